"""Clients that write and read without end, and compare each answer with what must be true.

A client is a thread with a session of its own. What was acknowledged to any of them, and when, is
in `Acks`; a claim that does not hold goes to `World.problem`, and the run has failed.
"""

import bisect
import collections
import random
import threading
import time

import wire

PATIENCE_S = 90       # for one write, over all of its repeats
ATTEMPT_S = 3.0       # for one sending of it
STALE_MS = 500
WINDOW = 8            # writes in flight of a stream
FAN_OUT = 4           # children of an artifact in a creator's tree
READ_LATER = ('UNAVAILABLE', 'RETRY', 'THROTTLED')
PROBLEMS_SHOWN = 20


class Acks:
    """What was acknowledged to anybody, in the order in which the answers came."""

    def __init__(self):
        self.lock = threading.Lock()
        self.revision = 0
        self.store_time = 0
        self.counter = 0
        self.writes = 0
        self.instants = [time.monotonic()]  # when `revision` moved, and to what
        self.revisions = [0]
        self.last_at = time.monotonic()
        self.longest = (0.0, '')            # seconds without a write, and what was done then

    def add(self, revision, store_time, trouble):
        now = time.monotonic()
        with self.lock:
            self.writes += 1
            if now - self.last_at > self.longest[0]:
                self.longest = (now - self.last_at, trouble)
            self.last_at = now
            self.store_time = max(self.store_time, store_time)
            if revision > self.revision:
                self.revision = revision
                self.instants.append(now)
                self.revisions.append(revision)

    def counted(self, value):
        with self.lock:
            self.counter = max(self.counter, value)

    def floor(self):
        """(revision, store time, counter) that whoever asks from now on must see."""
        with self.lock:
            return self.revision, self.store_time, self.counter

    def revision_at(self, instant):
        """The revision that had been acknowledged by then."""
        with self.lock:
            return self.revisions[max(0, bisect.bisect_right(self.instants, instant) - 1)]

    def silence_s(self):
        return time.monotonic() - self.last_at


class World:
    """What the clients, the faults and the checks share."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.acks = Acks()
        self.halt = threading.Event()
        self.lock = threading.Lock()
        self.ops = collections.Counter()
        self.problems = []
        self.trouble = 'nothing'  # what is done to the nodes just now
        self.trees = []           # creators, for whoever reads what they made
        self.artifacts = {}       # name -> (id, revision)
        self.maybe = set()        # names of creates that nobody answered
        self.versions = {}        # number -> (id, revision)
        self.versions_maybe = 0
        self.increments = []      # values of the counter that were acknowledged
        self.increments_maybe = 0
        self.stamps = []          # (revision, store time) of each acknowledged write

    def problem(self, text):
        with self.lock:
            self.problems.append(text)
            n = len(self.problems)
        if n <= PROBLEMS_SHOWN:
            print(f'VIOLATION: {text}', flush=True)
        elif n == PROBLEMS_SHOWN + 1:
            print('VIOLATION: more of them are not shown', flush=True)

    def expect(self, truth, text):
        if not truth:
            self.problem(text)
        return truth

    def count(self, kind, n=1):
        with self.lock:
            self.ops[kind] += n


class Client(threading.Thread):
    """One client: `step` is done again and again, at most at its share of the rate."""

    kind = ''

    def __init__(self, world, number, rng, period_s):
        super().__init__(daemon=True, name=f'{self.kind}-{number}')
        self.world = world
        self.number = number
        self.rng = random.Random(rng.random())
        self.period_s = period_s
        self.session = None
        self.unknown = 0

    def open(self):
        self.session = wire.Session(self.world.cluster.addresses, self.rng, patience=PATIENCE_S,
                                    attempt=ATTEMPT_S)

    def step(self):
        raise NotImplementedError

    def run(self):
        try:
            self.open()
            due = time.monotonic()
            while not self.world.halt.is_set():
                self.step()
                # A steady pace; what trouble held up is not made up for.
                due = max(due + self.period_s * self.rng.uniform(0.5, 1.5), time.monotonic())
                self.world.halt.wait(max(0.0, due - time.monotonic()))
        except Exception as e:  # pylint: disable=broad-except
            self.world.problem(f'{self.name}: {type(e).__name__}: {e}')
        finally:
            self.close()

    def close(self):
        if self.session:
            self.unknown += self.session.unknown
            self.session.close()

    def acknowledged(self, kind, answer, floor):
        """What must be true of the answer to a write that changed something."""
        world = self.world
        world.acks.add(answer['revision'], answer['time'], world.trouble)
        world.count(kind)
        world.expect(answer['revision'] > floor[0] and answer['time'] > floor[1],
                     f'{self.name}: a write was answered with revision {answer["revision"]}, time '
                     f'{answer["time"]}, and began after revision {floor[0]}, time {floor[1]} '
                     'had been acknowledged')
        with world.lock:
            world.stamps.append((answer['revision'], answer['time']))


class Creator(Client):
    """Makes a tree: artifact i is derived from artifact (i - 1) / 4."""

    kind = 'create'

    def __init__(self, *args):
        super().__init__(*args)
        self.begun = 0
        self.done = 0
        self.world.trees.append(self)

    def node(self, i):
        return f'a{self.number}-{i}'

    def step(self):
        i = self.begun
        name = self.node(i)
        bytes_ = self.rng.choice((40, 200, 800, 2000, 12000))
        ops = [wire.artifact(name, description='x' * bytes_, tags={'by': self.name})]
        if i > 0:
            ops.append({'op': 'link', 'from': '$0', 'label': 'derived_from',
                        'to': f'artifact/{self.node((i - 1) // FAN_OUT)}'})
        self.begun += 1
        floor = self.world.acks.floor()
        try:
            answer = self.session.txn(ops)
        except wire.Gone:
            self.world.maybe.add(name)
            raise
        self.world.artifacts[name] = (answer['data'][0]['id'], answer['revision'])
        self.acknowledged('create', answer, floor)
        self.done += 1


class Stream(Client):
    """Creates with several in flight under one session; what is open goes again to another node."""

    kind = 'stream'

    def __init__(self, *args):
        super().__init__(*args)
        self.at = self.rng.randrange(100)
        self.conn = None
        self.seq = 0
        self.waiting = {}   # seq -> (name, command, floor), in order
        self.sent = {}      # msgid of this connection -> seq
        self.since = time.monotonic()

    def open(self):
        super().open()
        self.session.close()  # its id alone is used

    def step(self):
        """Fills the window, then takes one answer."""
        while len(self.waiting) < WINDOW and not self.world.halt.is_set():
            self.seq += 1
            name = f's{self.number}-{self.seq}'
            self.waiting[self.seq] = (name, wire.command([wire.artifact(name)]),
                                      self.world.acks.floor())
            if self.conn:
                self.send(self.seq)
        self.take()

    def run(self):
        super().run()
        # What is in flight at the end is answered, too.
        try:
            while self.waiting:
                self.take()
        except Exception as e:  # pylint: disable=broad-except
            self.world.problem(f'{self.name}: {type(e).__name__}: {e}')
        for name, _, _ in self.waiting.values():
            self.world.maybe.add(name)
        self.drop()

    def close(self):
        pass

    def drop(self):
        if self.conn:
            self.conn.close()
        self.conn = None
        self.sent = {}

    def send(self, seq):
        try:
            msgid = self.conn.send('txn', {
                'command': self.waiting[seq][1], 'session': self.session.id, 'seq': seq,
                'answered': min(self.waiting), 'deadline_ms': int(ATTEMPT_S * 1000)})
            self.sent[msgid] = seq
        except wire.Lost:
            self.drop()

    def connect(self):
        addresses = self.world.cluster.addresses()
        self.at = (self.at + 1) % len(addresses)
        try:
            self.conn = wire.Client(addresses[self.at], timeout=ATTEMPT_S)
        except (wire.Lost, wire.Failure):
            time.sleep(0.05)
            return
        for seq in list(self.waiting):
            if self.conn:
                self.send(seq)

    def take(self):
        if time.monotonic() - self.since > PATIENCE_S:
            raise wire.Gone(True, f'{len(self.waiting)} in flight')
        if self.conn is None:
            self.connect()
        if self.conn is None or not self.sent:
            return
        try:
            message = self.conn.message(time.monotonic() + ATTEMPT_S + 1)
        except wire.Lost:
            self.unknown += len(self.sent)
            self.drop()
            return
        if message[0] == 1:
            self.answer(self.sent.pop(message[1]), message[2], message[3])

    def answer(self, seq, error, result):
        if error is not None and error['code'] in wire.Session.REPEAT:
            # All that is open goes to another node, in order.
            self.unknown += error['code'] == 'UNKNOWN'
            self.drop()
            time.sleep(0.02)
            return
        name, _, floor = self.waiting.pop(seq)
        self.since = time.monotonic()
        if error is not None:
            self.world.maybe.add(name)
            raise wire.Failure(error)
        self.world.artifacts[name] = (result['data'][0]['id'], result['revision'])
        self.acknowledged('stream', result, floor)


class Versioner(Client):
    """Versions of one model, numbered by the store: each outcome is an effect of its own."""

    kind = 'version'
    last = 0

    def step(self):
        floor = self.world.acks.floor()
        try:
            answer = self.session.txn([{'op': 'create', 'kind': 'version', 'model': 'model/m'}])
        except wire.Gone:
            self.world.versions_maybe += 1
            raise
        number = int(answer['data'][0]['ref'].rsplit('/', 1)[1])
        self.world.expect(number > self.last,
                          f'{self.name}: version {number} after version {self.last}')
        self.last = number
        with self.world.lock:
            twice = number in self.world.versions
            self.world.versions[number] = (answer['data'][0]['id'], answer['revision'])
        self.world.expect(not twice, f'version {number} was given twice')
        self.acknowledged('version', answer, floor)


class Adder(Client):
    """Adds one to a tag, on the condition that nobody else has since."""

    kind = 'cas'

    def step(self):
        world = self.world
        floor = world.acks.floor()
        seen = read(self, 'artifact/counter')
        if seen is None:
            return
        answer, things = seen
        check_linearizable(self, answer, things[0], floor)
        value = int(things[0]['tags']['n']) + 1
        floor = world.acks.floor()
        try:
            answer = self.session.txn(
                [{'op': 'update', 'ref': 'artifact/counter', 'tags': {'n': str(value)}}],
                [{'guard': 'unchanged', 'ref': 'artifact/counter',
                  'revision': things[0]['changed']['revision']}])
        except wire.Gone:
            world.increments_maybe += 1
            raise
        except wire.Failure as e:
            if e.code != 'CONFLICT':
                raise
            world.count('cas refused')
            return
        world.increments.append(value)
        world.acks.counted(value)
        self.acknowledged('cas', answer, floor)


# --- readers -----------------------------------------------------------------------------------

def read(client, *refs, method='get', **keys):
    """(answer, things) from a node taken at random; None when it cannot just now."""
    world = client.world
    params = {'view': 'full', 'deadline_ms': 2000, **keys}
    if method == 'get':
        params['refs'] = list(refs)
    address = client.rng.choice(world.cluster.addresses())
    kept = client.__dict__.setdefault('connections', {})
    conn = kept.pop(address, None)
    try:
        conn = conn or wire.Client(address, timeout=4)
        answer = conn.call(method, params)
        kept[address] = conn
        return answer, answer['data']
    except wire.Failure as e:
        if conn is not None:
            conn.close()
        if e.code not in READ_LATER:
            raise
    except wire.Lost:
        if conn is not None:
            conn.close()
    world.count('reads without an answer')
    time.sleep(0.02)
    return None


def check_linearizable(client, answer, counter, floor):
    """Nothing that was acknowledged to anybody before the read began is missing."""
    value = int(counter['tags']['n'])
    client.world.expect(
        answer['revision'] >= floor[0] and value >= floor[2],
        f'{client.name}: a linearizable read of node {answer["node"]} shows revision '
        f'{answer["revision"]}, counter {value}; acknowledged before it were {floor[0]}, '
        f'{floor[2]}')


class Reader(Client):
    def open(self):
        pass

    def close(self):
        for conn in self.__dict__.get('connections', {}).values():
            conn.close()


class LinearReader(Reader):
    """Any node, default consistency: the newest artifacts, the counter, the store's figures."""

    kind = 'read linearizable'

    def step(self):
        world = self.world
        known = [(t.node(i), world.artifacts.get(t.node(i)))
                 for t in world.trees for i in {t.done - 1, self.rng.randrange(t.done or 1)}
                 if 0 <= i < t.done]
        floor = world.acks.floor()
        if self.rng.random() < 0.2:
            seen = read(self, method='describe', view='heads')
            if seen is not None:
                store = seen[1]['store']
                world.expect(store['revision'] >= floor[0] and store['time'] >= floor[1],
                             f'{self.name}: node {seen[0]["node"]} describes revision '
                             f'{store["revision"]}, time {store["time"]}; acknowledged before it '
                             f'were {floor[0]}, {floor[1]}')
                world.count('describe')
            return
        seen = read(self, 'artifact/counter', *(f'artifact/{n}' for n, _ in known))
        if seen is None:
            return
        answer, things = seen
        check_linearizable(self, answer, things[0], floor)
        for (name, made), thing in zip(known, things[1:]):
            world.expect(thing.get('id') == made[0],
                         f'{self.name}: {name}, acknowledged with id {made[0]}, is {thing} at '
                         f'node {answer["node"]}, revision {answer["revision"]}')
        world.count(self.kind)


class SessionReader(Reader):
    """At least what it saw last, from any node: neither revision nor time ever goes back."""

    kind = 'read at_least'
    last = (0, 0, 0)

    def step(self):
        if self.rng.random() < 0.2:  # what a write of another client told
            self.last = (max(self.last[0], self.world.acks.floor()[0]), *self.last[1:])
        at_least = max(self.last[0], self.world.first)
        seen = read(self, 'artifact/counter', consistency='at_least', at_least=at_least)
        if seen is None:
            return
        answer, things = seen
        now = (answer['revision'], things[0]['changed']['time'], int(things[0]['tags']['n']))
        self.world.expect(all(a >= b for a, b in zip(now, self.last)),
                          f'{self.name}: (revision, time, counter) went from {self.last} to {now} '
                          f'at node {answer["node"]}')
        self.last = now
        self.world.count(self.kind)


class StaleReader(Reader):
    """At most so stale: what had been acknowledged that long ago is there."""

    kind = 'read stale'

    def step(self):
        begun = time.monotonic()
        seen = read(self, 'artifact/counter', consistency='stale', stale_ms=STALE_MS)
        if seen is None:
            return
        floor = self.world.acks.revision_at(begun - STALE_MS / 1000)
        self.world.expect(seen[0]['revision'] >= floor,
                          f'{self.name}: node {seen[0]["node"]} shows revision '
                          f'{seen[0]["revision"]}; {floor} was acknowledged {STALE_MS} ms before')
        self.world.count(self.kind)


class LineageReader(Reader):
    """Ancestors of an artifact are exactly those of its tree; descendants of a root all of it."""

    kind = 'lineage'

    def step(self):
        tree = self.rng.choice(self.world.trees)
        done = tree.done
        if done == 0:
            return
        floor = self.world.acks.floor()
        level = self.rng.choice(({}, {'consistency': 'at_least', 'at_least': floor[0]}))
        if self.rng.random() < 0.2:
            seen = read(self, method='lineage', ref=f'artifact/{tree.node(0)}', direction='down',
                        count=True, **level)
            if seen is None:
                return
            n = seen[1]['count']
            self.world.expect(done - 1 <= n < tree.begun,
                              f'{self.name}: {n} depend on {tree.node(0)}; {done - 1} were '
                              f'acknowledged before, {tree.begun} begun')
        else:
            i = self.rng.randrange(done)
            seen = read(self, method='lineage', ref=f'artifact/{tree.node(i)}', direction='up',
                        **level)
            if seen is None:
                return
            want = []
            while i > 0:
                i = (i - 1) // FAN_OUT
                want.append(f'artifact/{tree.node(i)}')
            got = [t['ref'] for t in seen[1]]
            self.world.expect(got == want, f'{self.name}: the ancestors are {got}, not {want}')
        self.world.count(self.kind)


CLIENTS = ((Creator, 4), (Stream, 2), (Versioner, 2), (Adder, 3), (LinearReader, 3),
           (SessionReader, 3), (StaleReader, 1), (LineageReader, 2))


class Load:
    """All clients."""

    def __init__(self, world, rng, rate):
        self.world = world
        session = wire.Session(world.cluster.addresses, rng, patience=PATIENCE_S)
        # The revision that has what all clients count on: a node may be behind it.
        world.first = session.txn([{'op': 'create', 'kind': 'model', 'name': 'm'},
                                   wire.artifact('counter', tags={'n': '0'})])['revision']
        session.close()
        period_s = sum(n for _, n in CLIENTS) / rate
        self.clients = [kind(world, i, rng, period_s) for kind, n in CLIENTS for i in range(n)]
        for c in self.clients:
            c.start()

    def stop(self):
        self.world.halt.set()
        end = time.monotonic() + PATIENCE_S + 30
        for c in self.clients:
            c.join(max(0.0, end - time.monotonic()))
            self.world.expect(not c.is_alive(), f'{c.name} hangs')

    def unknown(self):
        return sum(c.unknown for c in self.clients)
