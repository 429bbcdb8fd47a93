"""What is done to the nodes: one thing every few seconds, taken at random."""

import collections
import signal
import time

import wire
from cluster import until

PAUSE_S_MAX = 3.0
DOWN_S_MAX = 1.0
PROGRESS_WRITES = 20      # between two blows, or nothing is tested
STALL_S_MAX = 45.0        # without them
# Logged and refused: it fills log and archive, and the store keeps nothing of it.
BULK_OPS = 15
BULK_TEXT_BYTES = 65000
BULK_COMMAND_BYTES = BULK_OPS * BULK_TEXT_BYTES
ABSENCE_EVERY = 12        # faults
SAY_EVERY_S = 60
SIGKILLED = -int(signal.SIGKILL)


class Stalled(Exception):
    """The cluster did not come back."""


class Nemesis:
    """Disturbs the nodes, and notices one that ended by itself."""

    def __init__(self, world, rng, archive_bytes, members, gap_s):
        self.world = world
        self.cluster = world.cluster
        self.rng = rng
        self.archive_bytes = archive_bytes
        self.gap_s = gap_s
        self.done = collections.Counter()
        self.leaders_killed = 0
        self.members = Members(self) if members else None
        self.faults = [(8, self.kill_leader), (2, self.kill_any), (1, self.kill_all),
                       (3, self.pause), (2, self.restart), (3, self.transfer)]

    def run(self, until_time):
        n = 0
        say_at = time.monotonic() + SAY_EVERY_S
        while time.monotonic() < until_time and not self.world.problems:
            n += 1
            if time.monotonic() >= say_at:
                say_at += SAY_EVERY_S
                print(f'          {n} faults, {self.leaders_killed} leaders killed, '
                      f'{self.world.acks.writes:,} writes', flush=True)
            self.check_alive()
            if self.members:
                self.members.step()
            # Early, so that a short run has them, too.
            fault = self.kill_leader if n == 1 else \
                self.absence if n % ABSENCE_EVERY == 2 else self.choose()
            self.world.trouble = fault.__name__
            self.done[fault.__name__] += 1
            fault()
            self.progress()
            self.world.trouble = 'nothing'
            time.sleep(self.rng.uniform(0, self.gap_s))

    def choose(self):
        weights = [w for w, _ in self.faults]
        return self.rng.choices([f for _, f in self.faults], weights)[0]

    def heal(self):
        """All nodes run and serve."""
        self.check_alive()
        for node in list(self.cluster.nodes):
            if node.stopped:
                node.resume()
            if not node.alive():
                self.start(node)
        self.progress()
        if self.members:
            self.members.settle()
        for node in self.cluster.nodes:
            if not node.alive():
                self.start(node)
        self.cluster.ready(60)

    # What every fault uses.

    def check_alive(self):
        for node in list(self.cluster.nodes):
            if not node.alive() and not self.left(node):
                self.world.problem(f'node {node.number} ended by itself, exit '
                                   f'{node.process.returncode}:\n{node.log_tail()}')
                self.start(node)

    def left(self, node):
        """Whether it is out of the cluster, as it was told."""
        return self.members is not None and self.members.left(node)

    def progress(self):
        acks = self.world.acks
        want = acks.writes + PROGRESS_WRITES
        end = time.monotonic() + STALL_S_MAX
        while acks.writes < want and not self.world.problems:
            if time.monotonic() > end:
                raise Stalled(f'{want - acks.writes} of {PROGRESS_WRITES} writes are missing '
                              f'{STALL_S_MAX} s after {self.world.trouble}')
            time.sleep(0.01)

    def leads(self, node):
        try:
            with node.client(timeout=1) as client:
                return client.hello['leader'] == 1
        except (wire.Lost, wire.Failure):
            return False

    def kill(self, node):
        """SIGKILL to a node that runs; whether there was one."""
        code = node.process.poll()
        if code is None:
            node.kill()
            code = node.process.returncode
        if code != SIGKILLED and not self.left(node):
            self.world.problem(f'node {node.number} ended by itself, exit {code}:\n'
                               f'{node.log_tail()}')
        return code == SIGKILLED

    def start(self, node):
        if not node.alive() and not self.left(node):
            node.start()

    def pause_s(self, longest):
        """A length of trouble, not a wait for something."""
        time.sleep(self.rng.uniform(0, longest))

    def any_node(self):
        return self.rng.choice(self.cluster.nodes)

    # The faults.

    def kill_leader(self):
        leader = self.cluster.leader(STALL_S_MAX)
        self.leaders_killed += self.kill(leader)
        self.pause_s(DOWN_S_MAX)
        self.start(leader)

    def kill_any(self):
        node = self.any_node()
        led = self.leads(node)
        self.leaders_killed += self.kill(node) and led
        self.pause_s(DOWN_S_MAX)
        self.start(node)

    def kill_all(self):
        nodes = list(self.cluster.nodes)
        led = any([self.leads(n) for n in nodes])
        for node in nodes:
            node.signal(signal.SIGKILL)
        for node in nodes:
            self.kill(node)
        self.leaders_killed += led
        for node in nodes:
            self.start(node)

    def pause(self):
        node = self.any_node()
        if not node.alive():
            return
        node.pause()
        self.pause_s(PAUSE_S_MAX)
        node.resume()

    def restart(self):
        node = self.any_node()
        if not node.alive():
            return
        code = node.terminate(timeout=60)
        self.world.expect(code == 0, f'node {node.number}: exit {code} after SIGTERM\n'
                                     f'{node.log_tail()}')
        self.pause_s(DOWN_S_MAX)
        self.start(node)

    def transfer(self):
        to = self.rng.choice([0] + [n.number for n in self.cluster.nodes])
        try:
            with self.cluster.leader(STALL_S_MAX).client() as client:
                client.call('transfer', {'to': to, 'deadline_ms': 3000})
        except (wire.Failure, wire.Lost):
            pass  # it may lead no more, or the other one not be ready

    def absence(self):
        """A follower is away until what it lacks is in nobody's archive any more."""
        leader = self.cluster.leader(STALL_S_MAX)
        followers = [n for n in self.cluster.nodes if n is not leader and n.alive()]
        if not followers:
            return
        node = self.rng.choice(followers)
        self.kill(node)
        # What is kept may pass its bound by a segment, and each segment goes as a whole.
        self.bulk(2 * self.archive_bytes)
        self.start(node)

    def bulk(self, total):
        ops = [wire.artifact(f'bulk{i}', description='x' * BULK_TEXT_BYTES)
               for i in range(BULK_OPS)]
        params = {'command': wire.command(ops, [{'guard': 'exists', 'ref': 'artifact/never'}]),
                  'deadline_ms': 10000}
        logged = 0
        end = time.monotonic() + STALL_S_MAX
        while logged < total and time.monotonic() < end:
            try:
                with self.cluster.leader(STALL_S_MAX).client(timeout=15) as client:
                    while logged < total and time.monotonic() < end:
                        answers = client.pipeline([('txn', params)] * 4)
                        logged += BULK_COMMAND_BYTES * sum(a.code == 'CONFLICT' for a in answers)
            except wire.Lost:
                continue


class Members:
    """A fresh node joins; when it votes, one of all is removed for ever; and again."""

    def __init__(self, nemesis):
        self.nemesis = nemesis
        self.cluster = nemesis.cluster
        self.coming = None
        self.going = None
        self.added = 0
        self.removed = 0

    def left(self, node):
        return node is self.going and (node.data / 'REMOVED').exists()

    def step(self):
        """One step on, if it can be made now; the next call goes on."""
        if self.going is not None:
            self.finish()
        elif self.coming is None:
            if len(self.cluster.running()) < len(self.cluster.nodes):
                return
            self.coming = self.cluster.new_node()
            self.ask('add', self.coming, address=self.coming.peer_address)
        elif self.role(self.coming) != 'voter':
            self.ask('add', self.coming, address=self.coming.peer_address)
        else:
            self.added += 1
            self.coming = None
            self.going = self.nemesis.any_node()
            self.ask('remove', self.going)

    def finish(self):
        node = self.going
        if node.alive() or not self.left(node):
            self.ask('remove', node)
            return
        code = node.process.returncode
        self.nemesis.world.expect(code in (0, 1, SIGKILLED), f'node {node.number}, removed: exit '
                                                             f'{code}\n{node.log_tail()}')
        self.cluster.nodes.remove(node)
        self.cluster.former.append(node)
        self.going = None
        self.removed += 1

    def settle(self):
        """What was begun comes to its end."""
        def over():
            if self.coming is None and self.going is None:
                return True
            node = self.going
            if node is not None and not node.alive():
                self.nemesis.start(node)
            if self.coming is not None and self.role(self.coming) == 'voter':
                self.added += 1
                self.coming = None
            elif self.coming is not None:
                self.ask('add', self.coming, address=self.coming.peer_address)
            elif node is not None:
                self.finish()
            return False
        until(over, 'the change of the members comes to its end', 120, pause=0.2)

    def ask(self, action, node, **params):
        """Says what is wanted; whoever did not hear it is asked again by the next step."""
        try:
            with self.cluster.leader(STALL_S_MAX).client(timeout=4) as client:
                client.call('member', {'action': action, 'node': node.number, 'deadline_ms': 3000,
                                       **params})
        except wire.Lost:
            pass
        except wire.Failure as e:
            # UNAVAILABLE: a member that is needed is down. NOT_FOUND: it is removed already.
            if e.code not in ('RETRY', 'UNKNOWN', 'UNAVAILABLE', 'NOT_FOUND'):
                raise

    def role(self, node):
        try:
            with self.cluster.leader(STALL_S_MAX).client(timeout=4) as client:
                return next((m['role'] for m in client.status()['members']
                             if m['id'] == node.number), None)
        except (wire.Lost, wire.Failure):
            return None
