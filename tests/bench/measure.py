"""What the benchmarks share: a writer whose requests are timed, percentiles, figures of nodes."""

import itertools
import json
import os
import pathlib
import selectors
import signal
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEFAULT_BUILD = pathlib.Path(os.environ.get('CLADE_BUILD', ROOT / 'build' / 'release'))
USER_SETTINGS = {'election_timeout_ms': 1000, 'heartbeat_ms': 100}  # what one gets who sets none
DRAIN_S = 20
RECV_BYTES = 1 << 18


def use_build(build):
    """Has to be called before `cluster` and `wire` are imported, which read it."""
    os.environ['CLADE_BUILD'] = str(pathlib.Path(build).resolve())
    # Ended from outside, it ends what it has started, as after an error.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended by SIGTERM'))
    sys.path[:0] = [str(ROOT / 'tests' / 'integration')]


def percentile(values, p):
    """The smallest value that at least p percent do not pass; None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * p // 100) - 1)] if ordered else None


def bench(cluster, what, *words, timeout=900):
    """The report of one run of `clade bench`."""
    done = cluster.cli('-w', 'json', 'bench', what, *words, timeout=timeout)
    if done.returncode:
        sys.exit(f'clade bench {what}: exit {done.returncode}\n{done.stderr}{done.stdout}')
    return json.loads(done.stdout.strip().splitlines()[-1])


def mib(bytes_):
    return f'{bytes_ / (1 << 20):,.1f}'


def median(values):
    return percentile(values, 50)


def folder_bytes(folder):
    import cluster
    return cluster.folder_bytes(folder)


def memory_kb(node):
    """(resident, of it not from files) of a node."""
    text = pathlib.Path(f'/proc/{node.process.pid}/status').read_text()
    found = dict(line.split(':', 1) for line in text.splitlines())
    return int(found['VmRSS'].split()[0]), int(found['RssAnon'].split()[0])


def status_of(node):
    with node.client(timeout=10) as client:
        return client.status()


class Connection:
    """A connection of Writers."""

    def __init__(self, client):
        self.sock = client.sock
        self.sock.setblocking(False)
        self.input = bytearray(client.buffer)
        self.output = bytearray()
        self.sent = {}  # msgid -> when it was due


class Writers(threading.Thread):
    """Writes without a session, each sent once, over a connection to each of the addresses.

    With `rate`, so many are sent a second whatever the answers do, and a time runs from when the
    write was due, so that a stall is seen by all that fell into it. With `flight`, so many are in
    flight at once. `results` has (due, answered, None or the error's class) of each.
    """

    def __init__(self, addresses, command, rate=None, flight=None, deadline_ms=10000):
        super().__init__(daemon=True, name='writers')
        import wire
        self.wire = wire
        self.addresses = addresses
        self.command = command  # n -> its bytes
        self.rate = rate
        self.flight = flight
        self.deadline_ms = deadline_ms
        self.halt = threading.Event()
        self.results = []
        self.error = None
        self.selector = selectors.DefaultSelector()
        self.connections = []
        self.numbers = itertools.count()
        self.in_flight = 0

    def run(self):
        try:
            for address in self.addresses:
                self.connect(address)
            due = time.monotonic()
            while not self.halt.is_set():
                due = self.issue(due)
                self.turn(0.02 if self.rate is None else max(0.0, due - time.monotonic()))
            end = time.monotonic() + DRAIN_S
            while self.in_flight and time.monotonic() < end:
                self.turn(0.1)
        except Exception as e:  # pylint: disable=broad-except
            self.error = e
        finally:
            for c in self.connections:
                c.sock.close()

    def stop(self):
        self.halt.set()
        self.join(DRAIN_S + 10)
        if self.error:
            raise self.error
        return self.results

    def between(self, begin, end):
        """Seconds of the writes that succeeded and were due then."""
        return [done - due for due, done, code in list(self.results)
                if code is None and begin <= due < end]

    def failed(self):
        return [code for _, _, code in list(self.results) if code is not None]

    # Inside.

    def connect(self, address):
        c = Connection(self.wire.Client(address, timeout=10))
        self.connections.append(c)
        self.selector.register(c.sock, selectors.EVENT_READ, c)

    def issue(self, due):
        """Sends what is due; when the next one is."""
        if self.rate is None:
            while self.in_flight < self.flight:
                self.send(time.monotonic())
            return due
        while due <= time.monotonic():
            self.send(due)
            due += 1 / self.rate
        return due

    def send(self, due):
        n = next(self.numbers)
        c = self.connections[n % len(self.connections)]
        c.output += self.wire.frame([0, n, 'txn', {'command': self.command(n),
                                                   'deadline_ms': self.deadline_ms}])
        c.sent[n] = due
        self.in_flight += 1
        self.push(c)

    def push(self, c):
        try:
            while c.output:
                del c.output[:c.sock.send(c.output)]
        except BlockingIOError:
            pass
        except OSError:
            self.lost(c)
            return
        self.selector.modify(c.sock, selectors.EVENT_READ |
                             (selectors.EVENT_WRITE if c.output else 0), c)

    def turn(self, timeout_s):
        for key, events in self.selector.select(timeout_s):
            if events & selectors.EVENT_WRITE:
                self.push(key.data)
            if events & selectors.EVENT_READ and key.data in self.connections:
                self.take(key.data)

    def take(self, c):
        try:
            data = c.sock.recv(RECV_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b''
        if not data:
            self.lost(c)
            return
        now = time.monotonic()
        c.input += data
        while len(c.input) >= 4:
            n = int.from_bytes(c.input[:4], 'big')
            if len(c.input) < 4 + n:
                break
            message = self.wire.unpack(bytes(c.input[4:4 + n]))
            del c.input[:4 + n]
            if message[0] == 1:
                self.answered(c.sent.pop(message[1]), now,
                              message[2]['code'] if message[2] is not None else None)

    def answered(self, due, now, code):
        self.in_flight -= 1
        self.results.append((due, now, code))

    def lost(self, c):
        """What it carried may have happened or not."""
        self.selector.unregister(c.sock)
        c.sock.close()
        self.connections.remove(c)
        now = time.monotonic()
        for due in c.sent.values():
            self.answered(due, now, 'LOST')
        if not self.connections:
            raise ConnectionError('all connections were lost')


def small_write(prefix, bytes_=256):
    """For Writers: artifacts with a description."""
    import wire
    text = 'x' * bytes_
    return lambda n: wire.command([wire.artifact(f'{prefix}-{n}', description=text)])


def lead(cluster, number):
    """Has this node lead."""
    import cluster as module
    import wire
    def leads():
        leader = cluster.leader()
        if leader.number == number:
            return True
        try:
            with leader.client(timeout=10) as client:
                client.call('transfer', {'to': number, 'deadline_ms': 5000})
        except (wire.Failure, wire.Lost):
            pass
        return False
    module.until(leads, f'node {number} leads', 30, pause=0.1)
