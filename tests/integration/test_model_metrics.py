"""Params and metrics: logged from everywhere, read by range, in pages, as samples and of the past."""

import json
import math
import threading

import wire
from cluster import Case, Cluster, until
from test_transactions import Shared

MS = 1767225600000  # 2026-01-01


def points_of(data, key, on=None):
    """The points of a series, over the pages' parts."""
    return [p for s in data if s['key'] == key and s.get('on') == on for p in s['points']]


class Commands(Shared):
    cost_s = 20

    def log(self, ref, **keys):
        return self.client.txn([{'op': 'log', 'ref': ref, **keys}])

    def metrics(self, *refs, **keys):
        return self.client.call('metrics', {'refs': list(refs), **keys})

    def test_what_a_run_logs_is_shown_with_it(self):
        self.cli('run', 'create', 'r')
        done = self.data('run', 'log', 'r', '--param', 'lr=0.1', '--param', 'opt=adam',
                         '--metric', 'loss=0.5', '--metric', 'acc=nan', '--step', '-3')
        self.assertEqual((done[0]['status'], done[0]['params'], done[0]['points']),
                         ('changed', 2, 2))
        self.cli('run', 'log', 'r', '--param', 'lr=0.1')
        said = self.cli('run', 'log', 'r', '--param', 'lr=0.2', expect=4)
        self.assertIn('params.lr', said.stderr)
        self.cli('run', 'log', 'r', '--metric', 'loss=0.25', '--step', '7',
                 '--time', '2026-01-01T00:00:00Z')
        thing = self.data('run', 'get', 'r', '--params', '--metrics')[0]
        self.assertEqual(thing['params'], {'lr': '0.1', 'opt': 'adam'})
        loss = [m for m in thing['metrics'] if m['key'] == 'loss'][0]
        self.assertEqual((loss['count'], loss['last'], loss['min']),
                         (2, [7, MS, 0.25], [7, MS, 0.25]))
        table = self.cli('metrics', 'run/r').stdout
        self.assertRegex(table, r'KEY +ON +STEP +TIME +VALUE')
        self.assertRegex(table, r'loss +-3 .* 0\.5\n')
        self.assertRegex(self.cli('metrics', 'run/r', '--last').stdout,
                         r'loss +2 +7 +0\.25 +0\.25 +0\.5 +0\.5')
        got = self.data('metrics', 'run/r', 'loss', '--from-step', '0')
        self.assertEqual([s['points'] for s in got], [[[7, MS, 0.25]]])
        self.assertEqual(self.data('metrics', 'run/r', 'acc')[0]['last'][2], 'NaN')
        self.cli('metrics', 'run/none', expect=3)
        self.cli('run', 'finish', 'r')
        thing = self.data('run', 'get', 'r')[0]
        self.assertEqual(thing['status'], 'finished')
        self.assertIn('end', thing)
        for bad in (('--param', 'x'), ('--metric', 'loss=high'), ('--step', '1.5'), ()):
            self.cli('run', 'log', 'r', *bad, expect=2)

    def test_a_version_is_measured_on_several_sets_by_a_run(self):
        for words in (('artifact', 'create', 'val', 'test'), ('run', 'create', 'r'),
                      ('model', 'create', 'm'), ('version', 'create', 'm')):
            self.cli(*words)
        for on, acc in (('val', 0.9), ('test', 0.8)):
            self.cli('log', 'version/m/1', '--metric', f'acc={acc}', '--on', f'artifact/{on}',
                     '--run', 'r')
        self.cli('log', 'version/m/1', '--metric', 'acc=1')
        got = self.data('metrics', 'version/m@latest', '--on', 'artifact/test')
        self.assertEqual(len(got), 1)
        self.assertEqual(got[0]['on'], 'artifact/test')
        self.assertEqual(got[0]['points'][0][2:], [0.8, 'run/r'])
        self.assertEqual(len(self.data('metrics', 'version/m/1', 'acc')), 3)
        alone = self.metrics('version/m/1', on=None)['data']
        self.assertEqual([s['last'][2] for s in alone], [1.0])

    def test_a_run_its_params_and_its_first_points_are_one_write(self):
        self.client.txn([
            {'op': 'create', 'kind': 'artifact', 'name': 'd', 'as': 'd'},
            {'op': 'create', 'kind': 'run', 'name': 'r', 'as': 'r'},
            {'op': 'log', 'ref': '$r', 'params': {'seed': '7'},
             'metrics': [{'key': 'loss', 'on': '$d', 'run': '$r', 'points': [[0, MS, 1]]}]}])
        got = self.client.call('get', {'refs': ['run/r'], 'with': ['params', 'metrics']})['data'][0]
        self.assertEqual(got['params'], {'seed': '7'})
        self.assertEqual(got['metrics'][0]['on'], 'artifact/d')

    def test_the_past_has_the_points_of_the_past(self):
        self.cli('run', 'create', 'r')
        revisions = [self.log('run/r', metrics=[{'key': 'k', 'points': [[i, MS, i % 5]]}])
                     ['revision'] for i in (5, 1, 9, 3)]
        for n, revision in enumerate(revisions, 1):
            got = self.metrics('run/r', as_of=revision)['data'][0]
            steps = sorted([5, 1, 9, 3][:n])
            self.assertEqual([p[0] for p in got['points']], steps)
            self.assertEqual((got['count'], got['first'][0], got['last'][0]),
                             (n, steps[0], steps[-1]))
        self.assertEqual(self.metrics('run/r', as_of=revisions[0] - 1)['data'], [])

    def test_pages_samples_and_ranges_of_a_long_series(self):
        self.cli('run', 'create', 'r')
        values = [math.sin(i / 50) + (7 if i == 1234 else 0) for i in range(5000)]
        steps = list(range(5000))
        self.rng.shuffle(steps)
        for at in range(0, 5000, 1000):
            self.log('run/r', metrics=[{'key': 'k', 'points': [
                [i, MS + i, values[i]] for i in steps[at:at + 1000]]}])
        whole = [[i, MS + i, v] for i, v in enumerate(values)]
        got, cursor = [], None
        while True:
            answer = self.metrics('run/r', limit=self.rng.randint(1, 3000),
                                  **({'cursor': cursor} if cursor else {}))
            got += points_of(answer['data'], 'k')
            cursor = answer.get('cursor')
            if cursor is None:
                break
        self.assertEqual(got, whole)
        sampled = self.metrics('run/r', sample=100)['data'][0]
        self.assertLessEqual(len(sampled['points']), 100)
        self.assertEqual(sampled['of'], 5000)
        self.assertIn(whole[1234], sampled['points'], 'the peak stays')
        self.assertEqual((sampled['points'][0], sampled['points'][-1]), (whole[0], whole[-1]))
        self.assertTrue(all(p in whole for p in sampled['points']), 'none is made up')
        ranged = self.metrics('run/r', from_step=100, to_time=MS + 200, limit=10000)['data'][0]
        self.assertEqual(ranged['points'], whole[100:201])
        listed = self.data('metrics', 'run/r', 'k')
        self.assertEqual(points_of(listed, 'k'), whole)
        self.assertEqual(len(points_of(self.data('metrics', 'run/r', '--limit', '7'), 'k')), 7)


class Copies(Case):
    cost_s = 20

    def test_what_is_exported_with_its_series_and_imported_is_exported_the_same(self):
        with Cluster() as c:
            with c.leader().client() as client:
                client.txn([{'op': 'create', 'kind': 'namespace', 'name': 'team'}])
                client.txn([{'op': 'create', 'kind': 'artifact', 'name': n}
                            for n in ('z', 'a', 'gone')])
                client.txn([{'op': 'create', 'kind': 'run', 'name': 'r'},
                            {'op': 'create', 'kind': 'run', 'name': 's'},
                            {'op': 'create', 'kind': 'model', 'name': 'm', 'namespace': 'team'}])
                client.txn([{'op': 'log', 'ref': 'run/r', 'params': {
                    f'p{i}': 'é"\\\n' + 'x' * self.rng.randint(0, 8000) for i in range(100)}}])
                client.txn([{'op': 'log', 'ref': 'namespace/team', 'params': {'quota': '9'}}])
                special = [-0.0, 0.0, float('nan'), float('inf'), float('-inf'), 0.1, 1e300, 5e-324,
                           3, 2.0 ** 60]
                client.txn([{'op': 'log', 'ref': 'run/r', 'metrics': [
                    {'key': 'k', 'on': f'artifact/{on}', 'points': [
                        [i, MS + i, v] for i, v in enumerate(special)]}
                    for on in ('z', 'a', 'gone')]}])
                for start in range(0, 15000, 5000):
                    client.txn([{'op': 'log', 'ref': 'run/r', 'metrics': [
                        {'key': 'long', 'run': f'run/{self.rng.choice("rs")}', 'points': [
                            [self.rng.randint(-9999, 9999), MS, self.rng.random()]
                            for _ in range(5000)]}]}])
                client.txn([{'op': 'log', 'ref': '//team//model/m', 'metrics': [
                    {'key': 'acc', 'on': 'artifact/z', 'run': 'run/s', 'points': [[1, MS, 0.5]]}]}])
                client.txn([{'op': 'delete', 'ref': 'artifact/gone'}])
            done = self.run_cli(c, 'export')
            self.assertIn('left out 1 ', done.stderr)
            path = c.folder / 'export.ndjson'
            path.write_text(done.stdout)
            c.digests()
            with Cluster() as empty:
                self.run_cli(empty, 'import', path, timeout=120)
                again = self.run_cli(empty, 'export')
                self.assertTrue(again.stdout == done.stdout, 'the bytes differ')
                counts = json.loads(self.run_cli(empty, '-w', 'json', 'import', path,
                                                 timeout=120).stdout.splitlines()[-1])
                self.assertEqual((counts['created'], counts['changed'], counts['refused']),
                                 (0, 0, 0), 'a second import changes nothing')
                empty.digests()


class Faults(Case):
    cost_s = 25

    def test_no_point_is_lost_or_doubled_when_leaders_are_killed(self):
        writers = 4
        with Cluster() as c:
            with c.leader().client() as client:
                client.txn([{'op': 'create', 'kind': 'run', 'name': f'r{i}'}
                            for i in range(writers)])
            sessions = c.sessions(writers, self.rng)
            failed = []
            written = [0] * writers
            enough = threading.Event()

            def write(number, session):
                try:
                    while not enough.is_set():
                        at = written[number] * 50
                        session.txn([{'op': 'log', 'ref': f'run/r{number}', 'metrics': [
                            {'key': 'k', 'points': [[at + i, MS, i] for i in range(50)]}]}])
                        written[number] += 1
                except Exception as e:  # shown below, in the thread that can fail the test
                    failed.append(e)

            threads = [threading.Thread(target=write, args=pair) for pair in enumerate(sessions)]
            for t in threads:
                t.start()
            for _ in range(2):
                before = sum(written)
                until(lambda n=before: failed or sum(written) > n + 20, 'some are written')
                leader = c.leader()
                leader.kill()
                until(lambda dead=leader: c.leader() is not dead, 'another leads')
                leader.start()
            enough.set()
            for t in threads:
                t.join(90)
            self.assertEqual(failed, [])
            c.ready()
            for node in c.nodes:
                with node.client() as client:
                    for n in range(writers):
                        points = written[n] * 50
                        got = client.call('metrics', {'refs': [f'run/r{n}'], 'last': True})
                        self.assertEqual(got['data'][0]['count'], points)
                        steps, cursor = [], {}
                        while cursor is not None:
                            got = client.call('metrics', {'refs': [f'run/r{n}'], 'limit': 10000,
                                                          **cursor})
                            steps += [p[0] for p in points_of(got['data'], 'k')]
                            cursor = {'cursor': got['cursor']} if 'cursor' in got else None
                        self.assertEqual(steps, list(range(points)))
            c.digests()
