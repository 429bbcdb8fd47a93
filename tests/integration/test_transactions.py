"""Transactions and reads end to end, by the command line and by the wire."""

import json

import wire
from cluster import Case, Cluster, until

SHA = 'sha256:' + '0123456789abcdef' * 4


class Shared(Case):
    """One cluster for the tests of the class; each works in a namespace of its own."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def setUp(self):
        super().setUp()
        self.ns = self.id().rsplit('.', 1)[-1].removeprefix('test_').replace('_', '-')[:100]
        self.run_cli(self.cluster, 'namespace', 'create', self.ns)
        self.client = self.rng.choice(self.cluster.nodes).client(namespace=self.ns)
        self.addCleanup(self.client.close)

    def cli(self, *words, expect=0, **keys):
        return self.run_cli(self.cluster, '-n', self.ns, *words, expect=expect, **keys)

    def json(self, *words, **keys):
        return json.loads(self.cli('-w', 'json', *words, **keys).stdout)

    def data(self, *words, **keys):
        return self.json(*words, **keys)['data']

    def txn(self, document, expect=0):
        return self.cli('-w', 'json', 'txn', '-', stdin=json.dumps(document), expect=expect)


class Commands(Shared):
    cost_s = 25

    def test_a_run_its_output_a_version_and_its_edges_are_one_write(self):
        done = json.loads(self.txn({'reason': 'trained', 'ops': [
            {'op': 'create', 'kind': 'experiment', 'name': 'e'},
            {'op': 'create', 'kind': 'run', 'as': 'r', 'experiment': '$0'},
            {'op': 'create', 'kind': 'artifact', 'name': 'weights', 'digests': [SHA], 'size': 7},
            {'op': 'create', 'kind': 'model', 'name': 'm'},
            {'op': 'create', 'kind': 'version', 'as': 'v', 'model': '$3', 'run': '$r'},
            {'op': 'link', 'from': '$v', 'label': 'contains', 'to': '$2'}]}).stdout)
        self.assertEqual([r['status'] for r in done['data']], ['created'] * 6)
        self.assertEqual(done_ref(done, 4), 'version/m/1')
        version = self.data('get', 'version/m/1', '--edges')[0]
        self.assertEqual({(e['label'], e['to']) for e in version['edges']},
                         {('contains', 'artifact/weights'), ('produced_by', done_ref(done, 1))})
        up = self.data('lineage', 'up', 'version/m@latest')
        self.assertEqual(sorted(t['kind'] for t in up), ['artifact', 'run'])
        by_digest = self.data('get', f'digest:{SHA}')
        self.assertEqual(json.dumps(by_digest).count('artifact/weights'), 1)
        by_id = self.data('get', f"id/{done['data'][2]['id']}")[0]
        self.assertEqual(by_id['ref'], 'artifact/weights')

    def test_guards_that_do_not_hold_refuse_the_whole_with_conflict(self):
        first = json.loads(self.cli('-w', 'json', 'artifact', 'create', 'a').stdout)
        op = {'op': 'create', 'kind': 'artifact', 'name': 'never'}
        for guard in ({'guard': 'absent', 'ref': 'artifact/a'},
                      {'guard': 'exists', 'ref': 'artifact/b'},
                      {'guard': 'unchanged', 'ref': 'artifact/a', 'revision': 1}):
            with self.subTest(guard):
                self.txn({'guards': [guard], 'ops': [op]}, expect=4)
        self.cli('get', 'artifact/never', expect=3)
        self.txn({'guards': [{'guard': 'exists', 'ref': 'artifact/a'},
                             {'guard': 'absent', 'ref': 'artifact/b'},
                             {'guard': 'unchanged', 'ref': 'artifact/a',
                              'revision': first['revision']}],
                  'ops': [{'op': 'update', 'ref': 'artifact/a', 'description': 'new'}]})
        self.txn({'guards': [{'guard': 'unchanged', 'ref': 'artifact/a',
                              'revision': first['revision']}], 'ops': [op]}, expect=4)

    def test_if_exists_is_error_return_or_match(self):
        self.cli('artifact', 'create', 'a', '--size', '5')
        self.cli('artifact', 'create', 'a', expect=4)
        got = self.data('artifact', 'create', 'a', '--if-exists', 'return')
        self.assertIn(got[0]['status'], ('returned', 'unchanged'))
        got = self.data('artifact', 'create', 'a', '--if-exists', 'match', '--digest', SHA)
        self.assertEqual(got[0]['status'], 'changed', 'fills what it lacks')
        got = self.data('artifact', 'create', 'a', '--if-exists', 'match', '--size', '5')
        self.assertIn(got[0]['status'], ('unchanged', 'returned'))
        self.cli('artifact', 'create', 'a', '--if-exists', 'match', '--size', '6', expect=4)
        thing = self.data('get', 'artifact/a')[0]
        self.assertEqual((thing['size'], thing['digests']), (5, [SHA]))

    def test_core_fields_are_set_once_and_others_change(self):
        self.cli('artifact', 'create', 'a', '--size', '5', '--tag', 'x=1', '-d', 'old')
        self.cli('artifact', 'update', 'a', '--size', '6', expect=4)
        self.cli('artifact', 'update', 'a', '--tag', 'y=2', '--untag', 'x', '-d', 'new')
        thing = self.data('artifact', 'get', 'a')[0]
        self.assertEqual((thing['size'], thing['tags'], thing['description']),
                         (5, {'y': '2'}, 'new'))
        before = self.json('get', 'artifact/a')['revision']
        self.assertEqual(self.data('artifact', 'update', 'a', '-d', 'new')[0]['status'],
                         'unchanged')
        self.assertEqual(self.json('get', 'artifact/a')['revision'], before,
                         'no change takes no revision')

    def test_a_refused_operation_leaves_nothing_of_its_transaction(self):
        before = self.client.call('describe')['revision']
        for bad, code in (
                ({'op': 'update', 'ref': 'artifact/none', 'description': 'x'}, 3),
                ({'op': 'link', 'from': '$0', 'label': 'x', 'to': 'artifact/none'}, 3),
                ({'op': 'create', 'kind': 'artifact', 'name': 'a'}, 4),
                ({'op': 'create', 'kind': 'version', 'model': 'model/none'}, 3),
                ({'op': 'delete', 'ref': '$7'}, 1)):
            with self.subTest(bad):
                done = self.txn({'ops': [{'op': 'create', 'kind': 'artifact', 'name': 'a'}, bad]},
                                expect=code)
                self.assertIn('ops[1]', done.stdout + done.stderr)
        self.cli('get', 'artifact/a', expect=3)
        self.assertEqual(self.client.call('describe')['revision'], before)

    def test_links_are_idempotent_unlinking_ends_them_and_walks_survive_a_circle(self):
        for name in 'abc':
            self.cli('artifact', 'create', name)
        link = ('artifact/a', 'consumed', 'artifact/b')
        self.assertEqual(self.data('link', *link)[0]['status'], 'created')
        self.assertEqual(self.data('link', *link)[0]['status'], 'unchanged')
        self.cli('link', 'artifact/b', 'my.own', 'artifact/c')
        self.cli('link', 'artifact/c', 'consumed', 'artifact/a')
        down = self.data('lineage', 'down', 'artifact/a')
        self.assertEqual([(t['ref'], t['depth']) for t in down],
                         [('artifact/c', 1), ('artifact/b', 2)])
        self.assertEqual(self.data('unlink', *link)[0]['status'], 'deleted')
        self.assertEqual(self.data('unlink', *link)[0]['status'], 'unchanged')
        self.assertEqual([t['ref'] for t in self.data('lineage', 'up', 'artifact/b')],
                         ['artifact/c', 'artifact/a'])
        self.assertEqual([t['ref'] for t in self.data('lineage', 'up', 'artifact/a')], [])

    def test_delete_frees_the_name_keeps_the_edges_and_hides_versions(self):
        self.cli('artifact', 'create', 'a')
        self.cli('artifact', 'create', 'b')
        self.cli('link', 'artifact/b', 'derived_from', 'artifact/a')
        old = self.data('get', 'artifact/a')[0]['id']
        self.cli('artifact', 'delete', 'a')
        self.cli('get', 'artifact/a', expect=3)
        self.assertEqual(self.data('get', f'id/{old}', '--state', 'any')[0]['state'], 'deleted')
        up = self.data('lineage', 'up', 'artifact/b', '--state', 'any')
        self.assertEqual([(t['id'], t['state']) for t in up], [(old, 'deleted')])
        self.cli('artifact', 'create', 'a')
        self.assertNotEqual(self.data('get', 'artifact/a')[0]['id'], old)
        self.cli('model', 'create', 'm')
        self.cli('version', 'create', 'm')
        self.cli('version', 'create', 'm')
        self.cli('model', 'delete', 'm')
        self.cli('get', 'version/m/1', expect=3)
        self.cli('model', 'create', 'm')
        self.assertTrue(self.data('version', 'create', 'm')[0]['ref'].endswith('version/m/1'))

    def test_version_numbers_may_be_given_above_the_highest(self):
        self.cli('model', 'create', 'm')
        self.cli('version', 'create', 'm', '--number', '5')
        self.assertTrue(self.data('version', 'create', 'm')[0]['ref'].endswith('/6'))
        self.assertNotEqual(self.cluster.cli('-n', self.ns, 'version', 'create', 'm', '--number',
                                             '3').returncode, 0)
        self.cli('get', 'version/m/3', expect=3)
        self.assertEqual([v['ref'] for v in self.data('version', 'list', '--model', 'm')],
                         ['version/m/5', 'version/m/6'])

    def test_exit_codes_and_messages_say_what_kind_of_failure_it_was(self):
        for words, code in ((('get', 'artifact/none'), 3), (('get', 'nonsense'), 1),
                            (('dance',), 2), (('get',), 2), (('get', 'artifact/x', '--colour'), 2),
                            (('--consistency', 'strong', 'get', 'artifact/x'), 2)):
            with self.subTest(words):
                done = self.cluster.cli('-n', self.ns, *words)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertNotEqual(done.stderr.strip(), '')
                self.assertEqual(done.stdout.strip(), '')
        done = self.cluster.cli('-n', 'no/such/team', 'artifact', 'create', 'x')
        self.assertEqual(done.returncode, 3, done.stderr)
        done = self.cluster.cli('--timeout', '1s', '-e', '127.0.0.1:9', 'get', 'artifact/x')
        self.assertEqual(done.returncode, 5, done.stderr)
        for words in (('--help',), ('artifact', '--help'), ('artifact', 'create', '--help'),
                      ('import', '--help'), ('lineage', 'down', '--help'), ('--version',)):
            done = self.cluster.cli(*words)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotEqual(done.stdout.strip(), '')

    def test_dashes_take_references_from_stdin(self):
        names = [f'bulk{i}' for i in range(2500)]
        self.cli('artifact', 'create', '-', stdin='\n'.join(names) + '\n')
        listed = [t['ref'] for t in self.data('artifact', 'list')]
        self.assertEqual(listed, sorted(f'artifact/{n}' for n in names))
        got = self.cli('-w', 'ndjson', 'get', '-', '--view', 'heads',
                       stdin=''.join(f'artifact/{n}\n' for n in names))
        self.assertEqual(got.stdout.count('\n'), 2500)

    def test_each_transaction_of_many_links_keeps_the_reason(self):
        names = [f'of-many-{i}' for i in range(1002)]
        self.cli('artifact', 'create', 'of-many', *names)
        self.cli('link', '-', '--reason', 'many', stdin=''.join(
            f'artifact/of-many\tcontains\tartifact/{n}\n' for n in names))
        told = self.data('history', 'artifact/of-many')
        self.assertEqual([(len(r['edges']), r['reason']) for r in told[:2]],
                         [(10, 'many'), (16, 'many')])

    def test_refusals_name_what_was_typed(self):
        """The argument, the line, or the operation's own subject; never a number that nobody gave."""
        self.cli('model', 'create', 'typed')
        self.cli('artifact', 'create', 'here', 'there')
        for words, stdin, code, said in (
                (('artifact', 'create', 'new', 'here'), None, 4, 'clade: here: an artifact of that name'),
                (('artifact', 'delete', '-'), 'here\nnowhere\n', 3, 'clade: artifact/nowhere: there'),
                (('link', '-'), 'artifact/here\tx\tartifact/there\nartifact/no\tx\tartifact/here\n', 3,
                 'clade: line 2: from: there is no artifact "no"'),
                (('link', 'artifact/here', 'x', 'artifact/no'), None, 3, 'clade: to: there is no'),
                (('alias', 'set', 'typed', 'best', '7'), None, 3, 'clade: @best: model "typed" has'),
                (('get', 'here'), None, 1, 'KIND/NAME, id/NUMBER or //TEAM//KIND/NAME, not "here"'),
                (('version', 'get', 'typed'), None, 1, 'not "version/typed"'),
                (('txn', '-'), '{"ops":[{"op":"delete","ref":"run/no"}]}', 3, 'clade: ops[0].ref: ')):
            with self.subTest(words):
                done = self.cli(*words, stdin=stdin, expect=code)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.stdout, '')

    def test_answers_for_people_say_it_as_people_do(self):
        self.cli('model', 'create', 'shown')
        self.cli('version', 'create', 'shown')
        self.cli('deployment', 'create', 'd/shown')
        self.assertEqual(self.cli('alias', 'set', 'shown', 'best', '1').stdout,
                         'created @best: version/shown/1\n')
        self.cli('deployment', 'set', 'd/shown', 'shown/1=99.5%', '--shadow', 'shown/1=1%', expect=1)
        self.cli('deployment', 'set', 'd/shown', 'shown/1', '--reason', 'go')
        self.assertIn('targets       version/shown/1 100%\n', self.cli('deployment', 'get', 'd/shown').stdout)
        self.assertIn('targets         version/shown/1 100%\n', self.cli('history', 'deployment/d/shown').stdout)
        self.assertRegex(self.cli('model', 'get', 'shown', '--aliases').stdout,
                         r'aliases       @best -> 1, revision \d+\n')
        self.cli('run', 'create', 'shown')
        self.assertEqual(self.cli('run', 'log', 'shown', '--param', 'lr=0.1', '--metric', 'loss=0.5',
                                  '--step', '3').stdout, 'changed run/shown; 1 param, 1 point\n')
        self.assertIn('metrics       loss: last 0.5 at step 3, min 0.5, max 0.5, first 0.5, 1 point\n',
                      self.cli('run', 'get', 'shown', '--metrics').stdout)
        self.assertIn('    params.lr       0.1\n', self.cli('run', 'history', 'shown').stdout)
        self.cli('namespace', 'create', 'shown', '--stage', 'a:in-use', '--stage', 'b:multiple',
                 '--retention', '90d')
        namespace = self.cli('namespace', 'get', 'shown').stdout
        self.assertIn('retention_s   90 days\n', namespace)
        self.assertIn('stages        a in_use\n              b multiple\n', namespace)
        self.assertTrue(self.cli('describe').stdout.startswith('namespace\n'))

    def test_limits_describe_and_status_speak(self):
        limits = {row['name'].upper(): row['value'] for row in self.json('limits')['data']}
        self.assertIn(1048576, limits.values())
        self.cli('artifact', 'create', 'a')
        self.assertEqual(self.json('describe')['data']['namespace']['artifact'], 1)
        status = self.run_json(self.cluster, 'cluster', 'status')
        self.assertEqual(len(status['data']['members']), 3)
        until(lambda: all(node.address in self.run_cli(self.cluster, 'cluster', 'status').stdout
                          for node in self.cluster.nodes), 'the table has all addresses')


def done_ref(done, op):
    ref = done['data'][op]['ref']
    return ref.rsplit('//', 1)[-1]


class Reads(Shared):
    cost_s = 15

    def test_pages_fit_together_though_things_change_between_them(self):
        c = self.client
        c.pipeline([('txn', {'command': wire.command([wire.artifact(f'p{i:03}')])})
                    for i in range(300)])
        seen = []
        params = {'kind': 'artifact', 'limit': 37}
        others = [n.client(namespace=self.ns) for n in self.cluster.nodes]
        for round_ in range(100):
            # Each page from another node: a node behind the cursor's revision waits.
            answer = others[round_ % 3].call('list', params)
            seen += [t['ref'] for t in answer['data']]
            if answer['complete']:
                self.assertFalse(answer.get('cursor'))
                break
            params['cursor'] = answer['cursor']
            c.txn([wire.artifact(f'p{round_:03}x'), {'op': 'delete',
                                                     'ref': f'artifact/p{299 - round_:03}'}])
        self.assertEqual(seen, [f'artifact/p{i:03}' for i in range(300)])
        for other in others:
            other.close()

    def test_as_of_shows_each_state_that_there_was(self):
        c = self.client
        revisions = []
        for i in range(10):
            ops = [wire.artifact('a', description='0')] if i == 0 else \
                [{'op': 'update', 'ref': 'artifact/a', 'description': str(i)}]
            if i == 5:
                ops += [wire.artifact('b'), {'op': 'link', 'from': 'artifact/b',
                                             'label': 'derived_from', 'to': 'artifact/a'}]
            if i == 8:
                ops += [{'op': 'unlink', 'from': 'artifact/b', 'label': 'derived_from',
                         'to': 'artifact/a'}, {'op': 'delete', 'ref': 'artifact/b'}]
            revisions.append(c.txn(ops)['revision'])
        for node in self.cluster.nodes:
            with node.client(namespace=self.ns) as other:
                for i, revision in enumerate(revisions):
                    thing = other.get('artifact/a', view='full', as_of=revision)['data'][0]
                    self.assertEqual(thing['description'], str(i))
                    down = other.call('lineage', {'ref': 'artifact/a', 'direction': 'down',
                                                  'as_of': revision})['data']
                    self.assertEqual(len(down), 1 if 5 <= i < 8 else 0, i)
                    names = [t['ref'] for t in other.call(
                        'list', {'kind': 'artifact', 'as_of': revision})['data']]
                    self.assertEqual(names, ['artifact/a', 'artifact/b'] if 5 <= i < 8
                                     else ['artifact/a'])
                gone = other.get('artifact/a', as_of=revisions[0] - 1)['data'][0]
                self.assertEqual(gone['error']['code'], 'NOT_FOUND')
        self.assertEqual(self.data('--as-of', str(revisions[3]), 'get', 'artifact/a')[0]
                         ['description'], '3')

    def test_get_answers_each_reference_in_order_with_its_own_error(self):
        c = self.client
        c.txn([wire.artifact('a', external_ids=['hub:a/1'], digests=[SHA], uris=['s3://x/y'])])
        answer = c.get('artifact/none', 'artifact/a', 'artifact/ext:hub:a/1', 'id/999999999',
                       f'//{self.ns}//artifact/a')
        self.assertEqual([t.get('ref') if 'error' not in t else t['error']['code']
                          for t in answer['data']],
                         ['NOT_FOUND', 'artifact/a', 'artifact/a', 'NOT_FOUND', 'artifact/a'])
        with self.cluster[1].client() as stranger:
            thing = stranger.get(f'//{self.ns}//artifact/a')['data'][0]
            self.assertEqual(thing['ref'], f'//{self.ns}//artifact/a')
            self.assertEqual(stranger.get('artifact/a')['data'][0]['error']['code'], 'NOT_FOUND')

    def test_a_write_is_read_at_once_on_each_node(self):
        clients = [n.client(namespace=self.ns) for n in self.cluster.nodes]
        for i in range(60):
            revision = clients[i % 3].txn([wire.artifact(f'r{i}')])['revision']
            reader = clients[(i + 1 + i % 2) % 3]
            level = ({}, {'consistency': 'at_least', 'at_least': revision})[i % 2]
            answer = reader.get(f'artifact/r{i}', **level)
            self.assertNotIn('error', answer['data'][0])
            self.assertGreaterEqual(answer['revision'], revision)
        for client in clients:
            client.close()

    def test_principal_and_times_are_kept_with_what_was_written(self):
        with self.cluster[2].client(namespace=self.ns, user='ann') as ann:
            done = ann.txn([wire.artifact('a')])
        with self.cluster[3].client(namespace=self.ns, user='bob') as bob:
            changed = bob.txn([{'op': 'update', 'ref': 'artifact/a', 'owner': 'team'}])
            thing = bob.get('artifact/a', view='full')['data'][0]
        self.assertEqual((thing['created']['principal'], thing['changed']['principal']),
                         ('ann', 'bob'))
        self.assertEqual((thing['created']['revision'], thing['changed']['revision']),
                         (done['revision'], changed['revision']))
        self.assertEqual((thing['created']['time'], thing['changed']['time']),
                         (done['time'], changed['time']))
        self.assertLess(done['time'], changed['time'])


class Sizes(Shared):
    cost_s = 20

    def test_a_transaction_may_have_ten_thousand_operations_and_a_mebibyte(self):
        c = self.client
        answer = c.txn([wire.artifact(f'o{i}') for i in range(10000)], timeout=30)
        self.assertEqual(len(answer['data']), 10000)
        ids = [row['id'] for row in answer['data']]
        self.assertEqual(ids, list(range(ids[0], ids[0] + 10000)), 'ids are dense')
        links = [{'op': 'link', 'from': f'artifact/o{i}', 'label': 'consumed',
                  'to': 'artifact/o0'} for i in range(1, 10000)]
        c.txn(links, timeout=30)
        count = c.call('lineage', {'ref': 'artifact/o0', 'direction': 'down', 'count': True})
        self.assertEqual(count['data']['count'], 9999)
        many = [wire.artifact(f'b{i}', description='x' * 60000) for i in range(17)]
        self.assertLess(len(wire.command(many)), 1 << 20)
        c.txn(many, timeout=30)
        with self.cluster[1].client(namespace=self.ns) as other:
            try:
                self.refused(('LIMIT', 'INVALID'), other.txn,
                             many + [wire.artifact('b17', description='x' * 60000)])
            except wire.Lost:
                # A value above its limit may end the connection, with a reason.
                self.assertIn(other.notifications[-1][2]['code'], ('LIMIT', 'INVALID'))
        self.refused(('LIMIT', 'INVALID'), c.txn, [wire.artifact('c', description='x' * 65537)])
        self.assertEqual(c.get('artifact/b17')['data'][0]['error']['code'], 'NOT_FOUND')

    def test_answers_are_cut_at_their_limit_and_go_on_at_their_cursor(self):
        c = self.client
        c.pipeline([('txn', {'command': wire.command([
            wire.artifact(f'large{i:03}', description=chr(97 + i % 26) * 60000)])})
            for i in range(300)], timeout=60)
        for method, params in (
                ('list', {'kind': 'artifact'}),
                ('get', {'refs': [f'artifact/large{i:03}' for i in range(300)]})):
            with self.subTest(method):
                seen = []
                pages = 0
                params = {**params, 'view': 'full', 'limit': 1000}
                while True:
                    answer = c.call(method, params, timeout=30)
                    pages += 1
                    self.assertLess(len(wire.pack(answer)), 8388608)
                    seen += [t['name'] for t in answer['data']]
                    if answer['complete']:
                        break
                    params['cursor'] = answer['cursor']
                self.assertEqual(seen, [f'large{i:03}' for i in range(300)])
                self.assertGreater(pages, 1)
        listed = self.cli('-w', 'ndjson', 'artifact', 'list', '--view', 'full')
        self.assertEqual(listed.stdout.count('\n'), 300, 'the command follows the cursor')
