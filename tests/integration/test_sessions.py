"""Exactly once: what a session promises to a client that repeats itself."""

import threading

import wire
from cluster import Case, Cluster, until


class BlindRepeats(Case):
    cost_s = 30

    def command(self, i):
        """Commands whose second run would show: names and numbers given by the store."""
        return self.rng.choice((
            [{'op': 'create', 'kind': 'artifact', 'tags': {'i': str(i)}}],
            [{'op': 'create', 'kind': 'version', 'model': 'model/m'}],
            [{'op': 'create', 'kind': 'run', 'as': 'r'},
             {'op': 'create', 'kind': 'artifact'},
             {'op': 'link', 'from': '$1', 'label': 'produced_by', 'to': '$r'}],
        ))

    def repeat(self, cluster, params, times):
        """Sends the same request to nodes chosen blindly, some of them at the same time."""
        clients = [self.rng.choice(cluster.nodes).client() for _ in range(times)]
        msgids = [c.send('txn', params) for c in clients]
        answers = [c.receive(m) for c, m in zip(clients, msgids)]
        for c in clients:
            c.close()
        return answers

    def test_each_command_has_one_effect_and_one_answer_also_after_a_restart(self):
        with Cluster() as c:
            with c[1].client() as client:
                client.txn([{'op': 'create', 'kind': 'model', 'name': 'm'}])
                session = client.call('session_open', {'lease_ms': 3600000})['session']
                before = counts(client)
            sent = []
            want = {'artifact': 0, 'version': 0, 'run': 0}
            for seq in range(1, 121):
                ops = self.command(seq)
                for op in ops:
                    if op['op'] == 'create':
                        want[op['kind']] += 1
                params = {'command': wire.command(ops), 'session': session, 'seq': seq,
                          'answered': 1, 'deadline_ms': 8000}
                got = self.repeat(c, params, self.rng.randint(1, 3))
                sent.append((params, essence(got[0])))
                for answer in got:
                    self.assertEqual(essence(answer), sent[-1][1])
            c.kill_all()
            c.start()
            for params, first in self.rng.sample(sent, 40):
                self.assertEqual(essence(self.repeat(c, params, 1)[0]), first)
            for node in c.nodes:
                with node.client() as client:
                    after = counts(client)
                    self.assertEqual({k: after[k] - before[k] for k in want}, want)
            c.digests()

    def test_a_refused_command_is_refused_again_even_when_it_would_pass_by_then(self):
        with Cluster() as c, c[2].client() as client:
            session = client.call('session_open', {'lease_ms': 60000})['session']
            params = {'command': wire.command([{'op': 'update', 'ref': 'artifact/late',
                                                'description': 'x'}]),
                      'session': session, 'seq': 1, 'answered': 1}
            first = self.refused('NOT_FOUND', client.call, 'txn', params)
            client.txn([wire.artifact('late')])
            again = self.refused('NOT_FOUND', client.call, 'txn', params)
            self.assertEqual(first.error, again.error)
            params['seq'] = 2
            client.call('txn', params)


class SessionsThatEnd(Case):
    cost_s = 20

    def setUp(self):
        super().setUp()
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.client = self.cluster[1].client()
        self.addCleanup(self.client.close)

    def params(self, session, seq, answered=1, name=None):
        ops = [wire.artifact(name)] if name else [{'op': 'create', 'kind': 'artifact'}]
        return {'command': wire.command(ops), 'session': session, 'seq': seq,
                'answered': answered}

    def test_unknown_closed_and_expired_sessions_are_refused_and_nothing_happens(self):
        client = self.client
        self.refused('SESSION_EXPIRED', client.call, 'txn', self.params(987654321, 1, name='x1'))
        closed = client.call('session_open', {'lease_ms': 60000})['session']
        client.call('txn', self.params(closed, 1))
        client.call('session_close', {'session': closed})
        self.refused('SESSION_EXPIRED', client.call, 'txn', self.params(closed, 2, name='x2'))
        self.refused('SESSION_EXPIRED', client.call, 'txn', self.params(closed, 1, name='x2'))
        opened = client.call('session_open', {'lease_ms': 1000})
        if opened['lease_ms'] <= 2000:
            short = opened['session']
            other = client.call('session_open', {'lease_ms': 3600000})['session']
            seq = [0]

            def ended():
                # Store time moves with entries alone, and this asks without touching the session.
                seq[0] += 1
                client.call('txn', self.params(other, seq[0], answered=seq[0]))
                with self.cluster[2].client() as c:
                    return c.status().get('sessions', 1) is not None and seq[0] > 40
            until(ended, 'time passes', pause=0.05)
            self.refused('SESSION_EXPIRED', client.call, 'txn', self.params(short, 1, name='x3'))
        for thing in client.get('artifact/x1', 'artifact/x2', 'artifact/x3')['data']:
            self.assertEqual(thing['error']['code'], 'NOT_FOUND')

    def test_a_session_outlives_all_nodes_and_the_window_is_bounded(self):
        client = self.client
        session = client.call('session_open', {'lease_ms': 3600000})['session']
        first = client.call('txn', self.params(session, 1))
        self.refused(('LIMIT', 'INVALID'), client.call, 'txn', self.params(session, 6000))
        client.call('txn', self.params(session, 5, answered=3))
        # Sequence 1 lies below what the client said was answered: its answer is forgotten.
        self.refused(('SESSION_EXPIRED', 'INVALID', 'CONFLICT'), client.call, 'txn',
                     self.params(session, 1))
        self.cluster.kill_all()
        self.cluster.start()
        with self.cluster[3].client() as again:
            second = again.call('txn', self.params(session, 4, answered=3))
            self.assertGreater(second['revision'], first['revision'])

    def test_seq_and_session_go_together_and_begin_at_1(self):
        session = self.client.call('session_open', {'lease_ms': 60000})['session']
        for bad in ({'session': session}, {'session': session, 'seq': 0, 'answered': 1},
                    {'session': -1, 'seq': 1}, {'session': 'x', 'seq': 1, 'answered': 1},
                    {'seq': 1, 'answered': 9, 'session': session}):
            params = {'command': wire.command([wire.artifact('bad')]), **bad}
            self.refused('INVALID', self.client.call, 'txn', params)

    def test_many_sessions_at_once_get_ids_of_their_own(self):
        ids = []

        def open_some():
            with self.cluster.nodes[len(ids) % 3].client() as c:
                for answer in c.pipeline([('session_open', {'lease_ms': 60000})] * 50):
                    ids.append(answer['session'])
        threads = [threading.Thread(target=open_some) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(30)
        self.assertEqual(len(ids), 300)
        self.assertEqual(len(set(ids)), 300)


def essence(answer):
    """What must be the same each time; who answered may differ."""
    return {k: answer[k] for k in ('revision', 'time', 'data')}


def counts(client):
    return count_by_kind(client.call('describe')['data']['namespace'])


def count_by_kind(namespace):
    return namespace.get('counts', namespace)
