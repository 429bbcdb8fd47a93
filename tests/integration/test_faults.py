"""What stays true while nodes die, freeze and hand over."""

import random
import re
import signal
import threading
import time

import wire
from cluster import Case, Cluster, Writers, digest_of, until
from test_sessions import essence


class AllKilledAtOnce(Case):
    cost_s = 40

    def test_every_acknowledged_write_survives_all_three_killed_amid_writes(self):
        with Cluster() as c:
            with Writers(c, 16, self.rng, patience=60) as writers:
                for round_ in range(2):
                    writers.wait_acked(len(writers.acked) + 1200)
                    before = len(writers.acked)
                    c.kill_all()
                    self.assertGreater(before, 0)
                    c.start()
                    writers.wait_acked(before + 200)
                writers.stop()
                self.assertEqual(writers.maybe, set(), 'each write was answered in the end')
                writers.check(self)
            # How many writes share an entry depends on the load: past the first sampled index.
            with c.leader().client() as client:
                for i in range(1024):
                    if digest_of(client.status())['index'] > 1024:
                        break
                    client.txn([wire.artifact(f'filling-{i}')])
            c.digests()
            samples = until(lambda: same_samples(c), 'samples at one index on the three nodes')
            self.assertEqual(samples['index'] % 1024, 0)

    def test_the_folders_of_the_three_hold_the_same_when_checked(self):
        with Cluster() as c:
            with Writers(c, 8, self.rng) as writers:
                writers.wait_acked(300)
            c.digests()
            self.assertEqual(c.terminate_all(), [0, 0, 0])
            said = []
            for node in c.nodes:
                done = node.claded('check')
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                said.append(re.search(r'index (\d+).*data (\w+), state (\w+)', done.stdout))
            self.assertEqual(len({s[2] for s in said}), 1, 'what they hold is the same')
            for a, b in ((0, 1), (1, 2)):
                if said[a][1] == said[b][1]:
                    self.assertEqual(said[a][3], said[b][3], 'and so is the state at one index')


def same_samples(cluster):
    found = []
    for node in cluster.running():
        with node.client(timeout=3) as client:
            found.append(sample_of(client.status(), node.number))
    if None in found or len({s['index'] for s in found}) > 1:
        return None
    assert all(s == found[0] for s in found), f'the nodes differ: {found}'
    return found[0]


def sample_of(status, number):
    return [m for m in status['members'] if m['id'] == number][0]['digest']


class Minority(Case):
    """One node, the two others frozen."""
    cost_s = 50

    def freeze(self, cluster, survivor):
        for node in cluster.nodes:
            if node is not survivor:
                node.pause()

    def timed(self, call, deadline_s):
        """A request with a deadline: its error's class, which came in time."""
        begin = time.monotonic()
        try:
            answer = call()
            self.fail(f'a minority answered {answer!r}')
        except wire.Failure as e:
            took = time.monotonic() - begin
            self.assertLess(took, deadline_s + 1.0, f'{e} came late')
            return e.code

    def check_minority(self, cluster, survivor):
        with survivor.client() as client:
            session = client.call('session_open', {'lease_ms': 3600000})['session']
            before = client.txn([wire.artifact('before')])
            client.get('artifact/before')
            self.assertEqual(client.get('artifact/before', consistency='stale',
                                        stale_ms=60000)['data'][0]['kind'], 'artifact')
            client.txn([wire.artifact('measured'),
                        {'op': 'log', 'ref': 'artifact/measured',
                         'metrics': [{'key': 'loss', 'points': [[1, 1, 0.5]]}]}])
            whole = self.run_cli(cluster, 'export', node=survivor).stdout
            self.freeze(cluster, survivor)
            doubtful = {'command': wire.command([wire.artifact('doubtful')]), 'session': session,
                        'seq': 1, 'answered': 1, 'deadline_ms': 1500}
            # Sent at once: the survivor still believes in the old leader, perhaps itself.
            self.assertIn(self.timed(lambda: client.call('txn', doubtful), 1.5),
                          ('UNKNOWN', 'UNAVAILABLE'))
            for level in ({}, {'consistency': 'at_least', 'at_least': before['revision'] + 1000}):
                self.assertEqual('UNAVAILABLE', self.timed(lambda l=level: client.call(
                    'get', {'refs': ['artifact/before'], 'deadline_ms': 800, **l}), 0.8))
            self.assertEqual('UNAVAILABLE', self.timed(lambda: client.call(
                'get', {'refs': ['artifact/before'], 'consistency': 'stale', 'stale_ms': 500,
                        'deadline_ms': 800}), 0.8))
            # By now there is no leader: a write is not proposed, and that is certain.
            self.assertEqual('UNAVAILABLE', self.timed(lambda: client.txn(
                [wire.artifact('never')], deadline_ms=800), 0.8))
            # What asks for less is served.
            for level in ({'consistency': 'local'},
                          {'consistency': 'at_least', 'at_least': before['revision']}):
                answer = client.get('artifact/before', 'artifact/never', 'artifact/doubtful',
                                    **level)
                self.assertEqual(answer['data'][0]['ref'], 'artifact/before')
                self.assertEqual(answer['data'][1]['error']['code'], 'NOT_FOUND')
                self.assertEqual(answer['data'][2]['error']['code'], 'NOT_FOUND')
            rescued = self.run_cli(cluster, 'export', '--consistency', 'local', node=survivor)
            self.assertEqual(rescued.stdout, whole)
            for node in cluster.nodes:
                node.resume()
            cluster.ready(30)
            doubtful['deadline_ms'] = 10000
            first = client.call('txn', doubtful)
            self.assertEqual(first['data'][0]['status'], 'created')
            self.assertEqual(essence(client.call('txn', doubtful)), essence(first))
            for node in cluster.nodes:
                with node.client() as other:
                    things = other.get('artifact/doubtful', 'artifact/never')['data']
                    self.assertEqual(things[0]['id'], first['data'][0]['id'])
                    self.assertEqual(things[1]['error']['code'], 'NOT_FOUND')
            cluster.digests()

    def test_a_follower_alone_acknowledges_nothing_and_serves_no_linearizable_read(self):
        with Cluster() as c:
            self.check_minority(c, c.followers()[0])

    def test_a_leader_alone_acknowledges_nothing_and_serves_no_linearizable_read(self):
        with Cluster() as c:
            self.check_minority(c, c.leader())

    def test_concurrent_writes_to_a_minority_are_all_answered_within_their_deadline(self):
        with Cluster() as c:
            survivor = c.leader()
            with survivor.client() as client:
                self.freeze(c, survivor)
                begin = time.monotonic()
                answers = client.pipeline(
                    [('txn', {'command': wire.command([wire.artifact(f'm{i}')]),
                              'deadline_ms': 1500}) for i in range(200)])
                self.assertLess(time.monotonic() - begin, 3.5)
                for answer in answers:
                    self.assertIsInstance(answer, wire.Failure)
                    self.assertIn(answer.code, ('UNKNOWN', 'UNAVAILABLE'))
            for node in c.nodes:
                node.resume()
            c.ready(30)
            certain = [f'artifact/m{i}' for i, a in enumerate(answers) if a.code == 'UNAVAILABLE']
            if certain:
                with survivor.client() as client:
                    for thing in client.get(*certain)['data']:
                        self.assertEqual(thing['error']['code'], 'NOT_FOUND',
                                         'UNAVAILABLE means that nothing happened')


class Elections(Case):
    cost_s = 45

    def test_an_idle_cluster_answers_linearizable_reads_right_after_each_election(self):
        with Cluster() as c:
            for _ in range(6):
                leader = c.leader()
                leader.kill()
                for node in c.running():
                    with node.client() as client:
                        client.call('describe', {'deadline_ms': 5000})
                leader.start()
                until(lambda n=leader: answers(n), 'the restarted node serves')
                with leader.client() as client:
                    client.call('describe', {'deadline_ms': 5000})

    def test_a_deposed_leader_serves_no_stale_linearizable_read(self):
        with Cluster() as c:
            for i in range(4):
                old = c.leader()
                stale = old.client()
                stale.txn([wire.artifact(f'a{i}')])
                old.pause()
                new = c.leader()
                with new.client() as client:
                    client.txn([wire.artifact(f'b{i}')], deadline_ms=8000)
                # It waits in the socket of the frozen node: it began after the write's answer.
                asked = [stale.send('get', {'refs': [f'artifact/b{i}'], 'deadline_ms': 4000})
                         for _ in range(3)]
                old.resume()
                for msgid in asked:
                    try:
                        thing = stale.receive(msgid, 8)['data'][0]
                        self.assertNotIn('error', thing, 'a stale read')
                    except wire.Failure as e:
                        self.assertEqual(e.code, 'UNAVAILABLE', e)
                stale.close()

    def test_a_read_sees_every_write_acknowledged_before_it_while_leaders_die(self):
        with Cluster() as c:
            errors = []
            reads = []
            halt = threading.Event()
            with Writers(c, 8, self.rng, patience=60) as writers:
                def read(node, seed):
                    rng = random.Random(seed)
                    client = None
                    while not halt.is_set():
                        names = rng.sample(list(writers.acked), min(5, len(writers.acked)))
                        names += list(writers.acked)[-3:]
                        if not names:
                            time.sleep(0.01)
                            continue
                        try:
                            client = client or node.client(timeout=4)
                            answer = client.get(*(f'artifact/{n}' for n in names),
                                                deadline_ms=3000)
                            missing = [n for n, t in zip(names, answer['data']) if 'error' in t]
                            if missing:
                                errors.append((node.number, missing, answer['revision']))
                            reads.append(1)
                        except wire.Failure as e:
                            if e.code not in ('UNAVAILABLE', 'RETRY'):
                                errors.append(e)
                        except wire.Lost:
                            client = None
                            time.sleep(0.05)
                readers = [threading.Thread(target=read, args=(n, self.rng.random()))
                           for n in c.nodes]
                for t in readers:
                    t.start()
                try:
                    for how in ('kill', 'freeze', 'kill'):
                        writers.wait_acked(len(writers.acked) + 300)
                        leader = c.leader()
                        if how == 'kill':
                            leader.kill()
                        else:
                            leader.pause()
                        writers.wait_acked(len(writers.acked) + 200)
                        if how == 'kill':
                            leader.start()
                        else:
                            leader.resume()
                finally:
                    halt.set()
                    for t in readers:
                        t.join(30)
            self.assertEqual(errors, [])
            self.assertGreater(len(reads), 50)
            c.ready()
            writers.check(self)


def answers(node):
    with node.client(timeout=2):
        return True


class VersionNumbers(Case):
    cost_s = 30

    def test_64_clients_and_killed_leaders_leave_numbers_without_gap_or_double(self):
        each = 8
        with Cluster() as c:
            sessions = c.sessions(64, self.rng, patience=60)
            sessions[0].txn([{'op': 'create', 'kind': 'model', 'name': 'm'}])
            answered = []
            errors = []

            def create(session):
                try:
                    for _ in range(each):
                        answer = session.txn([{'op': 'create', 'kind': 'version',
                                               'model': 'model/m'}])
                        answered.append((answer['data'][0]['ref'], answer['data'][0]['id']))
                except Exception as e:  # pylint: disable=broad-except
                    errors.append(repr(e))
            threads = [threading.Thread(target=create, args=(s,)) for s in sessions]
            for t in threads:
                t.start()
            for share in (4, 2):
                until(lambda s=share: len(answered) > 64 * each // s or errors, 'versions', 60)
                leader = c.leader()
                leader.kill()
                c.leader()
                leader.start()
            for t in threads:
                t.join(90)
            self.assertEqual(errors, [])
            c.ready()
            want = [f'version/m/{n}' for n in range(1, 64 * each + 1)]
            self.assertEqual(sorted(r for r, _ in answered), sorted(want))
            for node in c.nodes:
                with node.client() as client:
                    things = client.call('list', {'kind': 'version', 'under': 'model/m',
                                                  'limit': 10000, 'view': 'full'})['data']
                    self.assertEqual([t['ref'] for t in things], want, 'in order of number')
                    self.assertEqual({(t['ref'], t['id']) for t in things}, set(answered))
                    self.assertEqual(client.get('version/m@latest')['data'][0]['ref'], want[-1])
            for s in sessions:
                s.close()


class HandOver(Case):
    cost_s = 40
    PAUSE_S_MAX = 2.0

    def test_sigterm_on_the_leader_under_load_exits_0_and_loses_nothing(self):
        with Cluster() as c:
            with Writers(c, 16, self.rng) as writers:
                writers.wait_acked(500)
                leader = c.leader()
                begin = time.monotonic()
                self.assertEqual(leader.terminate(), 0, 'exit code')
                self.assertLess(time.monotonic() - begin, 15, 'the end takes long')
                writers.wait_acked(len(writers.acked) + 500)
                new = c.leader()
                self.assertIsNot(new, leader)
                writers.stop()
                writers.check(self)
            self.assertLess(max(writers.gaps_s), self.PAUSE_S_MAX, 'the pause was long')
            leader.start()
            c.ready()
            writers.check(self, leader)
            c.digests()

    def test_sigterm_on_an_idle_node_of_each_role_exits_0(self):
        with Cluster() as c:
            for node in (c.followers()[0], c.leader()):
                self.assertEqual(node.terminate(), 0, node.log_tail())
                node.start()
                c.ready()
            self.assertEqual(c.terminate_all(), [0, 0, 0])

    def test_leader_transfer_moves_it_to_the_node_named_and_to_any(self):
        with Cluster() as c:
            old = c.leader()
            target = c.followers()[1]
            answer = self.run_json(c, 'cluster', 'leader', 'transfer', target.number)
            self.assertIn(f'{target.number}', str(answer))
            until(lambda: c.leader() is target, 'the node named leads')
            self.run_cli(c, 'cluster', 'leader', 'transfer')
            until(lambda: c.leader() is not target, 'another leads')
            self.run_cli(c, 'cluster', 'leader', 'transfer', 99, expect=1)
            self.assertTrue(old.alive())

    def test_no_write_fails_while_leadership_is_handed_on_under_load(self):
        with Cluster() as c:
            failures = []
            done = []
            halt = threading.Event()

            def write(node, number):
                with node.client(timeout=15) as client:
                    while not halt.is_set():
                        try:
                            client.txn([wire.artifact(f'x{number}-{len(done)}',
                                                      if_exists='return')], deadline_ms=10000)
                            done.append(1)
                        except (wire.Failure, wire.Lost) as e:
                            failures.append(repr(e))
            threads = [threading.Thread(target=write, args=(c.nodes[i % 3], i)) for i in range(9)]
            for t in threads:
                t.start()
            try:
                for _ in range(4):
                    want = len(done) + 200
                    until(lambda w=want: len(done) > w or failures, 'writes go on')
                    target = self.rng.choice(c.followers())
                    self.run_cli(c, 'cluster', 'leader', 'transfer', target.number)
                    until(lambda t=target: c.leader() is t, 'it leads')
            finally:
                halt.set()
                for t in threads:
                    t.join(30)
            self.assertEqual(failures[:3], [])
            c.digests()

    def test_a_second_sigterm_and_sigint_end_a_node_too(self):
        with Cluster() as c:
            c[1].signal(signal.SIGINT)
            self.assertEqual(c[1].wait_exit(), 0)
            c[2].signal(signal.SIGTERM)
            c[2].signal(signal.SIGTERM)
            self.assertIn(c[2].wait_exit(), (0, 1, 130, 143))
