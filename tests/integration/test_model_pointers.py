"""Aliases, stages and deployments on a real cluster: by the command line and by the wire."""

import json
import threading

import wire
from cluster import Case, Cluster


class Pointers(Case):
    """One cluster for the tests of the class; each works in a namespace of its own, with a model
    of four versions."""

    cost_s = 25

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def setUp(self):
        super().setUp()
        self.ns = self.id().rsplit('.', 1)[-1].removeprefix('test_').replace('_', '-')[:100]
        self.run_cli(self.cluster, 'namespace', 'create', self.ns)
        self.cli('model', 'create', 'm')
        self.cli('version', 'create', 'm', 'm', 'm', 'm')
        self.client = self.rng.choice(self.cluster.nodes).client(namespace=self.ns)
        self.addCleanup(self.client.close)

    def cli(self, *words, expect=0, **keys):
        return self.run_cli(self.cluster, '-n', self.ns, *words, expect=expect, **keys)

    def data(self, *words, **keys):
        return json.loads(self.cli('-w', 'json', *words, **keys).stdout)['data']

    def test_an_alias_is_moved_read_and_taken_away_by_command(self):
        first = self.data('alias', 'set', 'm', 'champion', '1', '--reason', 'the first')[0]
        self.assertEqual((first['status'], first['ref']), ('created', 'version/m/1'))
        moved = self.data('alias', 'set', 'model/m', 'champion', 'm/2', '--expect', '1')[0]
        self.assertEqual((moved['status'], moved['ref']), ('changed', 'version/m/2'))
        self.assertGreater(moved['revision'], first['revision'])
        refused = self.cli('alias', 'set', 'm', 'champion', '3', '--expect', '1', expect=4)
        self.assertIn('the alias @champion is 2, not 1', refused.stderr)
        self.cli('alias', 'set', 'm', 'newest', 'm@latest', '--expect', 'unset')
        self.assertEqual(self.data('alias', 'get', 'm', 'champion')[0]['number'], 2)
        self.assertEqual(self.data('get', 'version/m@newest')[0]['number'], 4)
        listed = self.cli('alias', 'list', 'm').stdout
        self.assertRegex(listed, r'champion +2 +\d+\n')
        self.assertRegex(listed, r'newest +4 +\d+\n')
        then = self.cli('--as-of', str(first['revision']), 'alias', 'list', 'm').stdout
        self.assertRegex(then, r'champion +1 ')
        self.assertNotIn('newest', then)
        full = self.data('version', 'list', '--model', 'm', '--aliases')
        self.assertEqual([[a['alias'] for a in v['aliases']] for v in full],
                         [[], ['champion'], [], ['newest']])
        self.cli('alias', 'unset', 'm', 'champion', '--expect', '2')
        self.cli('get', 'version/m@champion', expect=3)
        for words in (('m', 'a', 'n/1'), ('id/7', 'a', '1'), ('m', 'a', '1', '--expect', 'x')):
            self.cli('alias', 'set', *words, expect=2)
        self.cli('alias', 'set', 'm', 'a', '9', expect=3)
        self.cli('alias', 'list', 'none', expect=3)

    def test_history_tells_who_moved_what_from_where_and_why(self):
        self.cli('--user', 'ann', 'alias', 'set', 'm', 'best', '1', '--reason', 'the first')
        self.cli('--user', 'bob', 'alias', 'set', 'm', 'best', '2', '--reason', 'beat it')
        self.cli('alias', 'unset', 'm', 'best')
        self.cli('version', 'stage', 'm/2', 'production', '--reason', 'reviewed')
        told = self.data('alias', 'history', 'm')
        self.assertEqual([row.get('aliases') for row in told][:3],
                         [[{'alias': 'best', 'from': 2}], [{'alias': 'best', 'from': 1, 'to': 2}],
                          [{'alias': 'best', 'to': 1}]])
        self.assertEqual([(row['principal'], row['reason']) for row in told[1:3]],
                         [('bob', 'beat it'), ('ann', 'the first')])
        self.assertRegex(self.cli('alias', 'history', 'm').stdout, r'@best +1 -> 2\n')
        stage = self.data('version', 'history', 'm/2')[0]
        self.assertEqual((stage['fields'], stage['reason']),
                         ({'stage': {'to': 'production'}}, 'reviewed'))

    def test_an_alias_stands_wherever_a_reference_does(self):
        self.cli('alias', 'set', 'm', 'champion', '3')
        c = self.client
        c.txn([wire.artifact('data'),
               {'op': 'link', 'from': 'version/m@champion', 'label': 'trained_on', 'to': '$0'},
               {'op': 'update', 'ref': 'version/m@champion', 'tags': {'k': 'v'}}])
        lineage = c.call('lineage', {'ref': 'artifact/data', 'direction': 'down'})['data']
        self.assertEqual([t['ref'] for t in lineage], ['version/m/3'])
        up = c.call('lineage', {'ref': 'version/m@champion', 'direction': 'up'})['data']
        self.assertEqual([t['ref'] for t in up], ['artifact/data'])
        with self.cluster[1].client() as stranger:
            there = stranger.get(f'//{self.ns}//version/m@champion', view='full')['data'][0]
            self.assertEqual((there['number'], there['tags']), (3, {'k': 'v'}))

    def test_of_those_who_race_for_an_alias_one_wins_each_time(self):
        tokens = []
        lock = threading.Lock()

        def race(node, seed):
            with node.client(namespace=self.ns) as c:
                at = 'unset'
                for i in range(40):
                    version = 1 + (seed + i) % 4
                    if version == at:
                        continue
                    try:
                        row = c.txn([{'op': 'set_alias', 'ref': f'version/m/{version}',
                                      'alias': 'lock', 'expect': at}])['data'][0]
                    except wire.Failure as e:
                        self.assertEqual(e.code, 'CONFLICT')
                        there = e.error['there']
                        at = there if there == 'unset' else int(there)
                        continue
                    at = version
                    with lock:
                        tokens.append((row['revision'], row['status']))
        threads = [threading.Thread(target=race, args=(node, 7 * i))
                   for i, node in enumerate(self.cluster.nodes)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        moves = [r for r, status in tokens if status != 'unchanged']
        self.assertEqual(len(moves), len(set(moves)), 'no two moves have one token')
        self.assertEqual(len([s for _, s in tokens if s == 'created']), 1)
        self.assertEqual(self.cluster.leader().client(namespace=self.ns).get(
            'model/m', **{'with': ['aliases']})['data'][0]['aliases'][0]['revision'], max(moves))

    def test_versions_move_through_the_stages_of_their_namespace(self):
        self.cli('version', 'stage', 'm/1', 'production')
        refused = self.cli('version', 'stage', 'm/2', 'production', expect=4)
        self.assertIn('version 1 is in it', refused.stderr)
        row = self.data('version', 'stage', 'm/2', 'production', '--displace', 'archived',
                        '--expect', 'none')[0]
        self.assertEqual(row['displaced'], ['version/m/1'])
        stages = [v.get('stage') for v in self.data('version', 'list', '--model', 'm')]
        self.assertEqual(stages, ['archived', 'production', None, None])
        self.cli('version', 'delete', 'm/2', expect=4)
        self.cli('version', 'delete', 'm/1')
        self.run_cli(self.cluster, 'namespace', 'create', f'{self.ns}/ads', '--stage',
                     'canary:in-use', '--stage', 'live:in-use:multiple', '--stage', 'old:multiple')
        there = self.run_json(self.cluster, 'get', f'namespace/{self.ns}/ads')['data'][0]
        self.assertEqual(there['stages'], [
            {'name': 'canary', 'multiple': False, 'in_use': True},
            {'name': 'live', 'multiple': True, 'in_use': True},
            {'name': 'old', 'multiple': True, 'in_use': False}])

    def test_a_deployment_serves_what_it_is_told(self):
        self.cli('deployment', 'create', 'prod/eu', '--desired', 'running', '--endpoint', 'https://x')
        first = json.loads(self.cli('-w', 'json', 'deployment', 'set', 'prod/eu', 'm/1').stdout)
        self.cli('deployment', 'set', 'prod/eu', 'm/1=90%', 'm/2=1000', '--shadow', 'm/3=2.5%',
                 '--reason', 'canary')
        self.cli('deployment', 'update', 'prod/eu', '--observed', 'degraded')
        there = self.data('deployment', 'get', 'prod/eu')[0]
        self.assertEqual(there['targets'], [
            {'version': 'version/m/1', 'share': 9000, 'mode': 'serving'},
            {'version': 'version/m/2', 'share': 1000, 'mode': 'serving'},
            {'version': 'version/m/3', 'share': 250, 'mode': 'shadow'}])
        self.assertEqual((there['desired'], there['observed'], there['endpoint']),
                         ('running', 'degraded', 'https://x'))
        then = self.data('--as-of', str(first['revision']), 'deployment', 'get', 'prod/eu')[0]
        self.assertEqual([t['version'] for t in then['targets']], ['version/m/1'])
        self.assertIn('prod/eu', self.cli('deployment', 'list').stdout)
        refused = self.cli('model', 'delete', 'm', expect=4)
        self.assertIn('prod/eu', refused.stderr)
        for share in ('0.5', '101%', '10001', '1.234%', '%', ''):
            self.cli('deployment', 'set', 'prod/eu', f'm/1={share}', expect=2)
        self.cli('deployment', 'set', 'prod/eu', 'm/1=50%', expect=1)
        self.cli('deployment', 'clear', 'prod/eu')
        self.assertNotIn('targets', self.data('deployment', 'get', 'prod/eu')[0])
        self.cli('model', 'delete', 'm')

    def test_a_promotion_is_one_command_and_one_transaction(self):
        self.cli('deployment', 'create', 'prod/eu', 'prod/us')
        first = self.data('version', 'promote', 'm/1', '--alias', 'champion', '--expect', 'unset',
                          '--stage', 'production', '--deployment', 'prod/eu', '--deployment',
                          'prod/us', '--reason', 'the first')
        self.assertEqual([r['status'] for r in first], ['created'] + 3 * ['changed'])
        words = ('version', 'promote', 'm/2', '--alias', 'champion', '--expect', '1', '--stage',
                 'production', '--displace', 'archived', '--deployment', 'prod/eu', '--deployment',
                 'deployment/prod/us', '--if', "tags.reviewed = 'yes'", '--reason', 'beat it')
        before = self.run_json(self.cluster, 'get', f'namespace/{self.ns}')['revision']
        refused = self.cli(*words, expect=4)
        self.assertIn("tags.reviewed = 'yes'", refused.stderr)
        self.cli('version', 'update', 'm/2', '--tag', 'reviewed=yes')
        tried = self.cli(*words, '--dry-run')
        self.assertIn('nothing of this was written', tried.stderr)
        done = self.cli('--user', 'ann', *words)
        self.assertEqual(done.stdout, tried.stdout)
        self.assertEqual(done.stdout.splitlines(), [
            'changed @champion: version/m/2',
            'changed stage production: version/m/2; displaced version/m/1',
            'changed deployment/prod/eu', 'changed deployment/prod/us'])
        moves = [self.data(*w)[0] for w in (
            ('alias', 'history', 'm'), ('version', 'history', 'm/2'), ('version', 'history', 'm/1'),
            ('deployment', 'history', 'prod/eu'), ('deployment', 'history', 'prod/us'))]
        self.assertEqual({(m['revision'], m['principal'], m['reason']) for m in moves},
                         {(before + 2, 'ann', 'beat it')}, 'one revision, with who and why')
        # The same again: the alias is where it is now, and nothing moves.
        again = self.cli(*words, expect=4)
        self.assertIn('@champion: the alias @champion is 2, not 1 (CONFLICT)', again.stderr)
        error = json.loads(self.cli('-w', 'json', *words, expect=4).stderr)['error']
        self.assertEqual((error['code'], error['there']), ('CONFLICT', '2'))
        self.cli('version', 'promote', 'm/3', '--deployment', 'prod/mars', expect=3)
        for wrong in ((), ('--expect', '1'), ('--stage', 'staging', '--expect', '1'),
                      ('--alias', 'a', '--displace', 'none'), ('--alias', 'a', '--expect', 'x')):
            self.cli('version', 'promote', 'm/3', *wrong, expect=2)
        # Back to the version before, whose targets of the past are read by their revision.
        self.cli('version', 'promote', 'm/1', '--alias', 'champion', '--expect', '2', '--stage',
                 'production', '--displace', 'archived', '--deployment', 'prod/eu')
        served = lambda at: {d['name']: d['targets'][0]['version']
                             for d in self.data('deployment', 'list', *at)}
        self.assertEqual(served(()), {'prod/eu': 'version/m/1', 'prod/us': 'version/m/2'})
        self.assertEqual(served(('--as-of', str(before + 2))),
                         {'prod/eu': 'version/m/2', 'prod/us': 'version/m/2'})
        self.assertEqual(served(('--as-of', str(before))),
                         {'prod/eu': 'version/m/1', 'prod/us': 'version/m/1'})
        table = self.cli('--as-of', str(before), 'deployment', 'list').stdout
        self.assertRegex(table, r'deployment/prod/us .* version/m/1 100%')

    def test_pointers_live_through_a_restart_of_all_nodes(self):
        self.cli('alias', 'set', 'm', 'champion', '2')
        self.cli('version', 'stage', 'm/2', 'staging')
        self.cli('deployment', 'create', 'prod')
        self.cli('deployment', 'set', 'prod', 'm@champion')
        before = self.data('get', 'version/m@champion', 'deployment/prod', 'model/m', '--aliases')
        self.cluster.digests()
        self.cluster.kill_all()
        self.cluster.start()
        self.cluster.ready()
        self.assertEqual(self.data('get', 'version/m@champion', 'deployment/prod', 'model/m',
                                   '--aliases'), before)
        self.cluster.digests()


class Export(Case):
    cost_s = 15

    def test_export_import_and_export_again_give_the_same_bytes(self):
        with Cluster() as cluster:
            run = lambda *words, **keys: self.run_cli(cluster, *words, **keys)
            run('namespace', 'create', 'team', '--stage', 'live:in-use', '--stage', 'old:multiple')
            for ns in ('default', 'team'):
                run('-n', ns, 'model', 'create', 'm')
                run('-n', ns, 'version', 'create', 'm', 'm', 'm')
                run('-n', ns, 'alias', 'set', 'm', 'best', '2')
                run('-n', ns, 'alias', 'set', 'm', 'also', '2')
                run('-n', ns, 'alias', 'set', 'm', 'first', '1')
                run('-n', ns, 'deployment', 'create', 'prod/eu', '--desired', 'running')
                run('-n', ns, 'deployment', 'create', 'idle')
            for ns in ('default', 'team'):
                run('-n', ns, 'deployment', 'set', 'prod/eu', '//team//version/m/3=80%',
                    '//default//version/m/1=20%', '--shadow', 'm/2=1%')
            run('version', 'stage', 'm/2', 'production')
            run('version', 'stage', 'm/1', 'archived')
            run('-n', 'team', 'version', 'stage', 'm/3', 'live')
            first = run('export').stdout
            again = run('import', '-', stdin=first)
            self.assertNotIn('refused', again.stdout.replace('0 refused', ''))
            self.assertEqual(run('export').stdout, first, 'importing again changes nothing')
        for op in ('set_alias', 'set_stage', 'set_targets', '"stages"'):
            self.assertIn(op, first)
        with Cluster() as other:
            self.run_cli(other, 'artifact', 'create', 'shifts-the-ids')
            self.run_cli(other, 'artifact', 'delete', 'shifts-the-ids')
            self.run_cli(other, 'import', '-', stdin=first)
            self.assertEqual(self.run_cli(other, 'export').stdout, first)
