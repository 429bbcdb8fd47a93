"""Everything at once: nodes die, freeze, stop and hand over while clients write and compare."""

import random
import threading
import time

import wire
from cluster import Case, Cluster, Writers, until

SECONDS = 25


class Nemesis:
    """Disturbs one or two nodes at a time, and notices a node that ended by itself."""

    def __init__(self, cluster, rng):
        self.cluster = cluster
        self.rng = rng
        self.done = []

    def step(self):
        for node in self.cluster.nodes:
            assert node.alive(), f'node {node.number} ended by itself:\n{node.log_tail()}'
        what = self.rng.choice((self.kill, self.kill_two, self.freeze, self.terminate,
                                self.hand_on, self.freeze_two))
        self.done.append(what.__name__)
        what()

    def victims(self, n):
        leader = self.cluster.leader(timeout=30)
        others = [x for x in self.cluster.nodes if x is not leader]
        self.rng.shuffle(others)
        return ([leader] + others if self.rng.random() < 0.6 else others + [leader])[:n]

    def pause(self, low, high):
        """A length of trouble, not a wait for something."""
        time.sleep(self.rng.uniform(low, high))

    def kill(self, n=1):
        victims = self.victims(n)
        for node in victims:
            node.kill()
        self.pause(0, 0.8)
        for node in victims:
            node.start()

    def kill_two(self):
        self.kill(2)

    def freeze(self, n=1):
        victims = self.victims(n)
        for node in victims:
            node.pause()
        self.pause(0.1, 1.2)
        for node in victims:
            node.resume()

    def freeze_two(self):
        self.freeze(2)

    def terminate(self):
        node = self.victims(1)[0]
        code = node.terminate()
        assert code == 0, f'SIGTERM: exit {code}\n{node.log_tail()}'
        self.pause(0, 0.3)
        node.start()

    def hand_on(self):
        try:
            with self.cluster.leader(timeout=30).client() as client:
                client.call('transfer', {'to': 0, 'deadline_ms': 3000})
        except (wire.Failure, wire.Lost):
            pass  # it may lead no more


class Counter:
    """Threads that add one to a number, each time on the condition that nobody else did."""

    def __init__(self, cluster, threads, rng):
        self.cluster = cluster
        self.halt = threading.Event()
        self.added = []
        self.errors = []
        self.threads = [threading.Thread(target=self.work, args=(random.Random(rng.random()),),
                                         daemon=True) for _ in range(threads)]
        with cluster[1].client() as client:
            client.txn([wire.artifact('counter', description='0')])

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.halt.set()
        for t in self.threads:
            t.join(90)

    def work(self, rng):
        try:
            session = wire.Session(self.cluster.addresses(), rng, patience=60)
            while not self.halt.is_set():
                try:
                    with rng.choice(self.cluster.nodes).client(timeout=3) as client:
                        thing = client.get('artifact/counter', view='full',
                                           deadline_ms=2000)['data'][0]
                except (wire.Lost, wire.Failure):
                    continue
                n = int(thing['description']) + 1
                try:
                    session.txn([{'op': 'update', 'ref': 'artifact/counter',
                                  'description': str(n)}],
                                [{'guard': 'unchanged', 'ref': 'artifact/counter',
                                  'revision': thing['changed']['revision']}])
                    self.added.append(n)
                except wire.Failure as e:
                    if e.code != 'CONFLICT':
                        raise
        except Exception as e:  # pylint: disable=broad-except
            self.errors.append(repr(e))


class Chaos(Case):
    cost_s = 70

    def test_nothing_is_lost_doubled_or_torn_whatever_happens_to_the_nodes(self):
        with Cluster() as c:
            nemesis = Nemesis(c, random.Random(self.rng.random()))
            with Counter(c, 4, self.rng) as counter:
                with Writers(c, 10, self.rng, patience=90) as writers:
                    end = time.monotonic() + SECONDS
                    while time.monotonic() < end:
                        nemesis.step()
                        # Some progress between two blows, or nothing is tested.
                        want = len(writers.acked) + 20
                        until(lambda w=want: len(writers.acked) > w or writers.errors,
                              f'writes go on after {nemesis.done[-3:]}', 45)
            self.assertEqual(counter.errors, [])
            c.ready(40)
            self.assertGreater(len(nemesis.done), 5)
            self.assertEqual(writers.maybe, set(), 'each write was answered in the end')
            writers.check(self)
            added = sorted(counter.added)
            self.assertEqual(added, list(range(1, len(added) + 1)), 'an update was lost or doubled')
            for node in c.nodes:
                with node.client() as client:
                    thing = client.get('artifact/counter', view='full')['data'][0]
                    self.assertEqual(int(thing['description']), len(added))
            c.digests()
            self.assertEqual(c.terminate_all(), [0, 0, 0])
            for node in c.nodes:
                done = node.claded('check')
                self.assertEqual(done.returncode, 0, done.stderr)
