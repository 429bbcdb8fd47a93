"""Namespaces that change, their quotas and defaults, and purging, on a real cluster."""

import json
import unittest

import wire
from cluster import Case, Cluster, until

SECRET = 'what nobody may read any more'


class Namespaces(Case):
    cost_s = 8

    def setUp(self):
        super().setUp()
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)

    def cli(self, *words, **keys):
        return self.run_cli(self.cluster, *words, **keys)

    def figures(self, ns, of='namespace', **keys):
        return self.run_json(self.cluster, '-n', ns, 'describe', **keys)['data'][of]

    def test_quotas_bound_a_team_and_all_under_it(self):
        self.cli('namespace', 'create', 'a', '--quota', 'things=3', '--retention', '90d')
        self.cli('namespace', 'create', 'a/b')
        self.cli('-n', 'a/b', 'artifact', 'create', 'x', 'y')
        done = self.cli('-n', 'a', 'artifact', 'create', 'z', expect=1)
        self.assertIn('namespace "a" may hold 3 things', done.stderr)
        for node in self.cluster.nodes:
            got = self.figures('a/b', node=node)
            self.assertEqual((got['artifact'], got['retention_s']), (2, 90 * 86400))
            self.assertEqual(got['quotas'],
                             [{'namespace': 'a', 'of': 'things', 'limit': 3, 'used': 3}])
            self.assertEqual(self.figures('a', node=node)['with_children']['artifact'], 2)
        self.cli('namespace', 'update', 'a', '--quota', 'things=none')
        self.cli('-n', 'a', 'artifact', 'create', 'z')
        done = self.cli('namespace', 'delete', 'a', expect=4)
        self.assertIn('is not empty', done.stderr)
        self.cli('-n', 'a/b', 'artifact', 'delete', 'x', 'y')
        self.cli('namespace', 'delete', 'a/b')
        self.cli('-n', 'a/b', 'artifact', 'create', 'w', expect=3)
        self.cluster.digests()

    def test_what_is_purged_is_gone_on_every_node_though_nothing_else_is_written(self):
        self.cli('artifact', 'create', SECRET, '--digest', 'x:1', '--description', SECRET)
        for i in range(600):
            if i % 200 == 0:
                lines = [json.dumps({'op': 'update', 'ref': f'artifact/{SECRET}',
                                     'tags': {'k': f'{SECRET} {j}'}}) for j in range(i, i + 200)]
                self.cli('import', stdin='\n'.join(lines) + '\n')
        self.cli('artifact', 'delete', SECRET)
        begun = self.index()
        self.cli('artifact', 'purge', SECRET, '--reason', 'they asked')
        for node in self.cluster.nodes:
            got = self.run_json(self.cluster, 'get', 'id/2', '--view', 'full', node=node)['data'][0]
            self.assertEqual((got['state'], got['purged'], got['ref'], got['digests']),
                             ('deleted', True, 'id/2', ['x:1']))
            self.assertNotIn('name', got)
            done = self.run_cli(self.cluster, '--as-of', '300', 'get', f'artifact/{SECRET}',
                                node=node, expect=3)
            self.assertNotIn('tags', done.stdout)
        # The purge's own entry erases 256 of the 602 rows; the leader's ticks do the rest.
        until(lambda: self.index() >= begun + 3, 'the ticks')
        until(lambda: self.figures('default', of='store')['purging'] == 0, 'all is erased')
        self.cluster.digests()

    def index(self):
        return max(m['published'] for m in
                   self.run_json(self.cluster, 'cluster', 'status')['data']['members'])

    def test_a_namespace_that_bounds_its_writes_is_throttled_and_others_are_not(self):
        self.cli('namespace', 'create', 'a', 'a/b', '--quota', 'writes_per_s=5')
        self.cli('namespace', 'create', 'b')
        def create(client):
            try:
                client.txn([{'op': 'create', 'kind': 'run'}])
                return None
            except wire.Failure as e:
                return e
        follower = self.cluster.followers()[0]
        with follower.client(namespace='a/b') as bound, follower.client(namespace='b') as free:
            said = until(lambda: create(bound), 'the rate holds', pause=0)
            self.assertEqual(said.code, 'THROTTLED')
            self.assertGreater(said.error['retry_ms'], 0)
            self.assertIsNone(create(free))
        # A client waits as long as it was told, while its time allows.
        self.cli('-n', 'a/b', 'run', 'create', 'r1')
        self.cli('-n', 'a/b', 'run', 'create', *(f's{i}' for i in range(20)))
        done = self.cli('--timeout', '1s', '-n', 'a/b', 'run', 'create', 'late', expect=5)
        self.assertIn('THROTTLED', done.stderr)
        self.cli('-n', 'b', 'run', 'create', 'r')

    def test_export_import_export_gives_the_same_bytes(self):
        self.cli('namespace', 'create', 'a', '--retention', '90d', '-d', 'the first')
        self.cli('-n', 'a', 'type', 'create', 'artifact:table')
        self.cli('-n', 'a', 'artifact', 'create', 'before')
        self.cli('-n', 'a', 'artifact', 'create', 'gone')
        self.cli('-n', 'a', 'run', 'create', 'r')
        self.cli('-n', 'a', 'link', 'run/r', 'consumed', 'artifact/gone')
        self.cli('-n', 'a', 'artifact', 'delete', 'gone')
        self.cli('-n', 'a', 'artifact', 'purge', 'gone')
        self.cli('namespace', 'update', 'a', '--quota', 'things=1', '--quota', 'writes_per_s=100000',
                 '--default', 'artifact.type=table', '--default', 'artifact.tags.team=a')
        self.cli('namespace', 'create', 'b')
        self.cli('txn', stdin=json.dumps({'ops': [
            {'op': 'create', 'kind': 'model', 'name': 'm'},
            {'op': 'create', 'kind': 'version', 'model': '$0'},
            {'op': 'update', 'ref': 'namespace/default', 'description': 'home',
             'quota': {'edges': 9}, 'defaults': {'run.tags.k': 'v'},
             'stages': [{'name': 'blue', 'in_use': True}],
             'props': {'main': {'ref': '$1'}, 'gone': {'ref': 'namespace/b'}}},
            {'op': 'set_stage', 'ref': '$1', 'stage': 'blue'},
            {'op': 'hold', 'ref': 'namespace/default', 'reason': 'it is the default'},
            {'op': 'delete', 'ref': 'namespace/b'}]}))
        done = self.cli('export')
        first = done.stdout
        self.assertIn('left out 2 links, fields and metrics', done.stderr)
        self.assertIn('"things":1', first)
        self.assertIn('"stages":[{"name":"blue"', first)
        self.assertNotIn('namespace/b', first)
        with Cluster(1) as other:
            done = self.run_cli(other, 'import', stdin=first)
            self.assertEqual(self.run_cli(other, 'export').stdout, first, done.stderr)
            self.run_cli(other, 'import', stdin=first)
            self.assertEqual(self.run_cli(other, 'export').stdout, first)
        self.cli('-n', 'a', 'namespace', 'update', 'a', '--quota', 'things=none')
        self.cli('-n', 'a', 'artifact', 'create', 'after')
        got = self.run_json(self.cluster, '-n', 'a', 'get', 'artifact/after', '--view', 'full')
        self.assertEqual((got['data'][0]['type'], got['data'][0]['tags']), ('table', {'team': 'a'}))


if __name__ == '__main__':
    unittest.main()
