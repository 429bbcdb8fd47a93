"""Compaction on a real cluster: history goes under load, and nothing that can be read changes."""

import os
import pathlib
import random
import subprocess
import tempfile

from cluster import Case, Cluster, Writers, until

SHIM = pathlib.Path(__file__).resolve().parent / 'shifted_clock.c'
THINGS = 30
ROUNDS = 6
HOUR_S = 3600


class Compaction(Case):
    cost_s = 20

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix='clade-clock-')
        self.addCleanup(folder.cleanup)
        self.shim = f'{folder.name}/shifted_clock.so'
        subprocess.run(['cc', '-shared', '-fPIC', '-O', '-o', self.shim, str(SHIM)], check=True)
        self.cluster = Cluster(start=False)
        self.addCleanup(self.cluster.close)

    def go_to(self, shift_s):
        """The nodes' clocks are that far from ours from now on."""
        c = self.cluster
        if any(n.alive() for n in c.nodes):
            c.terminate_all()
        c.environment.update(LD_PRELOAD=self.shim, CLOCK_SHIFT_S=str(shift_s))
        c.start()

    def make_past(self):
        """Things that change an hour ago; the newest revision then."""
        rng = random.Random(self.rng.random())
        lines = ['{"op": "create", "kind": "namespace", "name": "lab"}']
        for i in range(THINGS):
            lines.append(f'{{"op": "create", "kind": "artifact", "name": "x{i}"}}')
        for _ in range(ROUNDS):
            for i in range(THINGS):
                j = rng.randrange(THINGS)
                lines.append(f'{{"op": "update", "ref": "artifact/x{i}", '
                             f'"tags": {{"k": "{rng.randrange(9)}"}}, '
                             f'"uris": {{"s3://b/{rng.randrange(99)}": true}}}}')
                op = rng.choice(('link', 'link', 'unlink'))
                lines.append(f'{{"op": "{op}", "from": "artifact/x{i}", "label": "consumed", '
                             f'"to": "artifact/x{j}"}}')
        self.run_cli(self.cluster, 'import', stdin='\n'.join(lines) + '\n')
        with self.cluster.leader().client() as c:
            return c.call('describe', {})['revision']

    def answers(self, node, revision):
        """What a node says of the past at a revision."""
        refs = [f'artifact/x{i}' for i in range(THINGS)]
        with node.client(timeout=20) as c:
            at = {'as_of': revision}
            got = [c.call('get', {'refs': refs, 'view': 'full', 'with': ['edges'], **at}),
                   c.call('list', {'kind': 'artifact', 'view': 'full', **at}),
                   c.call('count', {'kind': 'artifact', 'query': "tags.k = '3'", 'by': 'tags.k',
                                    **at})]
            for ref in refs[:8]:
                got.append(c.call('lineage', {'ref': ref, 'direction': 'up', **at}))
                got.append(c.call('lineage', {'ref': ref, 'direction': 'down', **at}))
            return [g['data'] for g in got]

    def compacting(self, node):
        with node.client() as c:
            return c.call('describe', {'consistency': 'local'})['data']['store']['compacting']

    def refused_below(self, floor):
        for node in self.cluster.running():
            with node.client() as c:
                error = self.refused('COMPACTED', c.call, 'list',
                                     {'kind': 'artifact', 'as_of': floor - 1})
                self.assertEqual(error.error['revision'], floor)

    def test_history_goes_under_load_and_nothing_else_changes(self):
        c = self.cluster
        self.go_to(-HOUR_S)
        newest = self.make_past()
        floor = newest - 2 * THINGS
        self.go_to(0)
        before = self.answers(c[1], floor)
        self.assertEqual(before, self.answers(c[2], floor))
        with Writers(c, 4, self.rng, prefix='w') as writers:
            writers.wait_acked(50)
            done = self.run_cli(c, 'namespace', 'compact', 'default', '--before', newest + 40,
                                expect=1)
            self.assertIn('what is younger than 15 minutes is kept', done.stderr)
            away = c.followers()[0]
            away.kill()
            self.run_cli(c, 'namespace', 'compact', 'default', '--before', floor)
            self.refused_below(floor)
            for node in c.running():
                until(lambda n=node: self.compacting(n) == 0, f'node {node.number} has compacted')
            away.start()
            c.ready()
            until(lambda: self.compacting(away) == 0, 'the one that was away has compacted')
            joined = c.grow()
            until(lambda: self.compacting(joined) == 0, 'the one that joined has compacted')
            writers.wait_acked(len(writers.acked) + 100)
            writers.stop()
            writers.check(self)
        self.assertIn('have the same', self.run_cli(c, 'cluster', 'verify').stdout)
        self.refused_below(floor)
        for node in c.running():
            self.assertEqual(before, self.answers(node, floor), node.number)
            history = self.run_json(c, 'history', 'artifact/x3', node=node)
            self.assertEqual(history['compacted'], floor)
            self.assertTrue(history['complete'])
            self.assertTrue(all(r['revision'] > floor for r in history['data']))
        done = self.run_cli(c, 'audit', 'artifact/x3')
        self.assertIn(f'up to revision {floor} was compacted', done.stderr)
        done = self.run_cli(c, '--as-of', floor - 1, 'export', expect=1)
        self.assertIn('was compacted', done.stderr)
        with c[1].client() as client:
            error = self.refused('COMPACTED', client.call, 'watch', {'from': floor})
            self.assertEqual(error.error['revision'], floor + 1)
        c.digests()

    def test_retention_moves_the_floor_by_itself(self):
        c = self.cluster
        self.go_to(-HOUR_S)
        newest = self.make_past()
        self.go_to(0)
        before = self.answers(c[1], newest)
        self.run_cli(c, 'namespace', 'update', 'default', '--retention', '15m')

        def floor():
            return self.run_json(c, 'describe')['data']['namespace'].get('compacted', {})
        until(lambda: floor().get('before') == newest, 'retention has moved the floor')
        self.assertNotIn('by', floor())
        for node in c.running():
            until(lambda n=node: self.compacting(n) == 0, f'node {node.number} has compacted')
            self.assertEqual(before, self.answers(node, newest), node.number)
        self.refused_below(newest)
        self.run_cli(c, '-n', 'lab', '--as-of', 5, 'artifact', 'list')
        self.shrink(c[2])
        c.ready()
        self.assertEqual(before, self.answers(c[2], newest))
        c.digests()

    def shrink(self, node):
        """The store of the stopped node gets smaller; where there is no room for that nothing
        happens to it."""
        done = node.claded('shrink')
        self.assertEqual(done.returncode, 1)
        self.assertIn('in use by another process', done.stderr)
        node.terminate()
        store = node.data / 'store'
        files = {p.name for p in store.iterdir()}
        size = store.joinpath('1', 'data.mdb').stat().st_size
        self.no_room(node, size)
        self.assertEqual({p.name for p in store.iterdir()}, files)
        if os.geteuid() == 0:
            os.chown(node.data, 65534, -1)
            done = node.claded('shrink')
            os.chown(node.data, 0, -1)
            self.assertIn('run this as that user', done.stderr)
            self.assertEqual({p.name for p in store.iterdir()}, files)
        (store / 'shrinking').mkdir()  # what a crash leaves
        done = node.claded('shrink')
        self.assertEqual(done.returncode, 0, done.stderr)
        after = store.joinpath('2', 'data.mdb').stat().st_size
        self.assertIn(f'{size} bytes before, {after} now', done.stdout)
        self.assertLess(after, size)
        self.assertEqual({p.name for p in store.iterdir()}, files - {'1'} | {'2'})
        done = node.claded('shrink')
        self.assertIn('nothing to give back', done.stdout)
        self.assertIn('sound', node.claded('check').stdout)
        node.start()

    def no_room(self, node, size):
        with tempfile.TemporaryDirectory(prefix='clade-small-') as small:
            kilobytes = sum(p.stat().st_size for p in node.data.rglob('*')) // 1024
            done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={kilobytes + 100}k',
                                   'tmpfs', small], capture_output=True, check=False)
            if done.returncode != 0:
                return  # not root: the rest is tried all the same
            try:
                subprocess.run(['cp', '-a', f'{node.data}/.', small], check=True)
                done = node.claded('shrink', '--data', small)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertRegex(done.stderr, r'bytes must be free .*[Nn]o space')
                left = pathlib.Path(small, 'store')
                self.assertEqual(left.joinpath('1', 'data.mdb').stat().st_size, size)
                self.assertFalse(left.joinpath('shrinking').exists())
                self.assertIn('sound', node.claded('check', '--data', small).stdout)
            finally:
                subprocess.run(['umount', small], check=True)
