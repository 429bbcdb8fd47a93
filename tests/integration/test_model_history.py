"""What changed when: histories, the past by time, cycles."""

import json

import wire
from cluster import Case, Cluster


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

    def data(self, *words, **keys):
        return json.loads(self.cli('-w', 'json', *words, **keys).stdout)['data']

    def history(self, ref, **keys):
        return self.client.call('history', {'ref': ref, **keys})['data']

    def refused(self, code, method, params):
        with self.assertRaises(wire.Failure) as caught:
            self.client.call(method, params)
        self.assertEqual(caught.exception.code, code)
        return caught.exception


class Histories(Shared):
    cost_s = 15

    def test_a_history_says_who_when_why_and_what(self):
        self.cli('artifact', 'create', 'a', '--tag', 'k=1', '--reason', 'begun', '--user', 'ann')
        self.cli('artifact', 'update', 'a', '--tag', 'k=2', '-d', 'two', '--user', 'bob')
        self.cli('artifact', 'create', 'b')
        self.cli('link', 'artifact/a', 'derived_from', 'artifact/b', '--reason', 'found out')
        self.cli('artifact', 'delete', 'a', '--user', 'eve')
        thing = self.client.get('artifact/a', state='deleted')['data'][0]
        for ref, keys in ((f"id/{thing['id']}", {}), ('artifact/a', {'state': 'deleted'})):
            told = self.history(ref, **keys)
            self.assertEqual([t.get('change') for t in told],
                             ['deleted', None, 'changed', 'created'])
            self.assertEqual([t['principal'] for t in told[:1] + told[2:]], ['eve', 'bob', 'ann'])
            self.assertEqual(told[1]['reason'], 'found out')
            self.assertEqual(told[1]['edges'], [
                {'change': 'linked', 'label': 'derived_from', 'to': 'artifact/b'}])
            self.assertEqual(told[2]['fields'], {'description': {'to': 'two'},
                                                 'tags.k': {'from': '1', 'to': '2'}})
            self.assertEqual(told[3]['reason'], 'begun')
        self.assertEqual(self.data('history', f"id/{thing['id']}"), told)
        self.assertEqual(self.data('artifact', 'history', 'a', '--state', 'deleted'), told)
        text = self.cli('artifact', 'history', 'a', '--state', 'deleted').stdout
        self.assertIn('tags.k          1 -> 2', text)
        self.assertIn('linked          derived_from artifact/b', text)
        self.assertIn('  eve  deleted\n', text)
        self.refused('NOT_FOUND', 'history', {'ref': 'artifact/a'})
        self.cli('artifact', 'history', 'a', expect=3)

    def test_each_state_of_a_history_is_what_as_of_shows(self):
        self.cli('run', 'create', 'r')
        for i in range(12):
            self.cli('run', 'update', 'r', '-d', f'{i}')
        told = self.history('run/r')
        pages = []
        cursor = None
        while True:
            page = self.client.call('history', {'ref': 'run/r', 'limit': 5,
                                                **({'cursor': cursor} if cursor else {})})
            pages += page['data']
            cursor = page.get('cursor')
            if cursor is None:
                break
        self.assertEqual(pages, told)
        self.assertEqual(len(told), 13)
        for t in told[:-1]:
            self.assertEqual(
                self.client.get('run/r', view='full', as_of=t['revision'])['data'][0]['description'],
                t['fields']['description']['to'])
        at = told[4]
        self.assertEqual(self.history('run/r', as_of=at['revision']), told[4:])
        self.assertEqual(self.data('history', 'run/r', '--limit', '2'), told[:2])

    def test_the_past_is_asked_for_by_local_dates_and_by_times_with_an_offset(self):
        self.cli('artifact', 'create', 'a')
        for when in ('2026-03-01', '2026-03-01T12:00:00'):
            self.refused('INVALID', 'get', {'refs': ['artifact/a'], 'as_of': when})
            self.cli('artifact', 'get', 'a', '--as-of', when, expect=3)
        self.cli('artifact', 'get', 'a', '--as-of', '2999-12-31')
        self.client.get('artifact/a', as_of='2999-12-31T00:00:00+02:00')


class Cycles(Shared):
    cost_s = 8

    def test_a_cycle_is_refused_and_named(self):
        for name in 'abc':
            self.cli('artifact', 'create', name)
        self.cli('link', 'artifact/a', 'derived_from', 'artifact/b')
        self.cli('link', 'artifact/b', 'contains', 'artifact/c')
        failed = self.cli('link', 'artifact/c', 'version_of', 'artifact/a', expect=4)
        self.assertIn('artifact/c version_of artifact/a derived_from artifact/b contains '
                      'artifact/c', failed.stderr)
        refused = self.refused('CYCLE', 'txn', {'command': wire.command(
            [{'op': 'link', 'from': 'artifact/c', 'label': 'merged_from', 'to': 'artifact/c'}])})
        self.assertEqual(refused.error['where'], 'ops[0]')
        self.cli('link', 'artifact/c', 'consumed', 'artifact/a')


class DryRuns(Shared):
    cost_s = 10

    def test_a_dry_run_answers_what_then_happens_and_writes_nothing(self):
        ops = [{'op': 'create', 'kind': 'model', 'name': 'm', 'as': 'm'},
               {'op': 'create', 'kind': 'version', 'model': '$m'},
               {'op': 'create', 'kind': 'run'}]
        before = self.client.call('describe')
        digest = self.client.status()['digest']['data']
        for node in self.cluster.nodes:
            with node.client(namespace=self.ns) as client:
                tried = client.txn(ops, dry_run=True)
                self.assertEqual(tried['revision'], before['revision'])
        self.assertEqual(self.client.call('describe')['revision'], before['revision'])
        self.assertEqual(self.client.status()['digest']['data'], digest)
        self.assertEqual(self.client.txn(ops)['data'], tried['data'])
        self.assertEqual(self.client.call('describe')['revision'], before['revision'] + 1)

    def test_a_dry_run_sees_what_was_acknowledged_before_and_says_what_would_be_refused(self):
        for i in range(10):
            self.client.txn([wire.artifact(f'a{i}')])
            with self.rng.choice(self.cluster.nodes).client(namespace=self.ns) as client:
                with self.assertRaises(wire.Failure) as caught:
                    client.txn([wire.artifact(f'a{i}')], dry_run=True)
                self.assertEqual(caught.exception.code, 'CONFLICT')
                self.assertEqual(caught.exception.error['where'], 'ops[0].name')
        session = self.client.call('session_open')['session']
        self.refused('INVALID', 'txn', {'command': wire.command([wire.artifact('b')]),
                                        'dry_run': True, 'session': session, 'seq': 1})

    def test_every_command_can_be_tried(self):
        tried = self.cli('artifact', 'create', 'a', '--dry-run')
        self.assertIn('created artifact/a', tried.stdout)
        self.assertIn('nothing of this was written', tried.stderr)
        self.cli('artifact', 'get', 'a', expect=3)
        self.cli('artifact', 'create', 'a')
        self.cli('artifact', 'delete', 'a', '--dry-run')
        self.cli('artifact', 'get', 'a')
        self.cli('import', '--dry-run', stdin=json.dumps(wire.artifact('b')) + '\n')
        self.cli('artifact', 'get', 'b', expect=3)
        self.cli('cluster', 'leader', 'transfer', '--dry-run', expect=2)
        self.cli('cluster', 'member', 'remove', '2', '--dry-run', expect=2)


class Guards(Shared):
    cost_s = 5

    def test_a_transaction_happens_only_if_the_thing_is_as_its_guard_says(self):
        self.cli('run', 'create', 'r', '--status', 'running', '--tag', 'loss=0.25')
        guard = {'guard': 'matches', 'ref': 'run/r',
                 'query': "status = 'running' AND tags.loss < 0.5 AND NOT end IS NOT NULL"}
        finish = {'op': 'update', 'ref': 'run/r', 'status': 'finished'}
        self.client.txn([finish], guards=[guard])
        with self.assertRaises(wire.Failure) as caught:
            self.client.txn([finish], guards=[guard])
        self.assertEqual(caught.exception.code, 'CONFLICT')
        self.assertEqual(caught.exception.error['where'], 'guards[0]')
        failed = self.cli('txn', '-', stdin=json.dumps({
            'guards': [{**guard, 'query': 'status = running'}], 'ops': [finish]}), expect=1)
        self.assertIn('guards[0].query', failed.stderr)
        self.assertIn('at byte 9', failed.stderr)


class Edges(Shared):
    cost_s = 8

    def test_props_of_edges_are_merged_told_and_exported(self):
        self.cli('type', 'create', 'edge:merged_from', '--field', 'weight:float,required')
        self.cli('type', 'create', 'edge:contains', '--cyclic')
        for name in 'ab':
            self.cli('artifact', 'create', name)
        failed = self.cli('link', 'artifact/a', 'merged_from', 'artifact/b', expect=1)
        self.assertIn('props.weight', failed.stderr)
        link = ['link', 'artifact/a', 'merged_from', 'artifact/b']
        for flags, status in ((['--prop', 'weight=1', '--prop', 'by=ann'], 'created'),
                              (['--prop', 'by=ann'], 'unchanged'),
                              (['--prop', 'weight:float=0.5', '--unprop', 'by'], 'changed')):
            self.assertEqual(self.data(*link, *flags)[0]['status'], status)
        there = self.data('get', 'artifact/b')[0]['id']
        edge = {'label': 'merged_from', 'to': 'artifact/b', 'id': there, 'props': {'weight': 0.5}}
        self.assertEqual(self.data('get', 'artifact/a', '--edges')[0]['edges'], [edge])
        told = self.history('artifact/a')
        self.assertEqual(told[0]['edges'][0]['props'], {'weight': {'from': 1.0, 'to': 0.5},
                                                        'by': {'from': 'ann'}})
        self.assertIn('weight          1.0 -> 0.5', self.cli('history', 'artifact/a').stdout)
        self.cli('link', 'artifact/a', 'contains', 'artifact/b')
        self.cli('link', 'artifact/b', 'contains', 'artifact/a')
        dump = self.cli('export').stdout
        self.assertIn('"props":{"weight":0.5}', dump)
        other = self.ns + '-2'
        self.run_cli(self.cluster, 'namespace', 'create', other)
        self.run_cli(self.cluster, '-n', other, 'import', stdin=dump)
        self.assertEqual(self.run_cli(self.cluster, '-n', other, 'export').stdout, dump)
