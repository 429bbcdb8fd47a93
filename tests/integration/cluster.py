"""Real claded processes on loopback: starting, disturbing, watching and ending them.

Nothing here sleeps for a fixed time and hopes: every wait is for a condition, has a deadline, and
says on failure what it waited for. Every process is ended by its own id.
"""

import atexit
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import wire

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get('CLADE_BUILD', ROOT / 'build' / 'release')).resolve()
SHARED = pathlib.Path(os.environ.get('CLADE_SHARED_DATA', ROOT.parent / 'shared' / 'data'))
TFHUB = SHARED / 'tfhub'
SAMPLE = ROOT / 'tests' / 'data'
SEED = int(os.environ.get('CLADE_TEST_SEED', '1'))
LOG_TAIL_LINES = 40


def find_program(name, *folders):
    """A program of the build, or the installed layout under it."""
    for folder in (*folders, 'bin', '.'):
        path = BUILD / folder / name
        if path.is_file():
            return str(path)
    raise FileNotFoundError(f'no {name} in {BUILD}: build it, or name the build with --build')


def claded():
    return find_program('claded', 'node')


def clade():
    return find_program('clade', 'client/cli')


def clean_environment(**more):
    """Ours without the settings of clade that whoever runs the tests has there."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith('CLADE_')}
    return {**kept, **more}


def member_flags(cluster):
    flags = []
    for node in cluster.nodes:
        flags += ['--member', f'{node.number}={node.peer_address}']
    return flags


def until(condition, what, timeout=20.0, pause=0.02):
    """Polls until the condition gives something true, which is returned."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (wire.Lost, wire.Failure, OSError) as e:
            last = e
        if time.monotonic() >= deadline:
            raise AssertionError(f'{what}: not within {timeout} s (last: {last!r})')
        time.sleep(pause)


def folder_bytes(folder):
    """What its files take on the disk."""
    total = 0
    for path in pathlib.Path(folder).rglob('*'):
        try:
            if path.is_file():
                total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


_given_ports = set()


def free_ports(n):
    """Ports of loopback that nobody listens on, outside of the range that the kernel hands out
    to connections, so that they stay free while a node restarts. None is given twice, for it may
    not be listened on yet; another process picks among others, mostly."""
    rng = random.Random(os.urandom(8))
    ports = []
    while len(ports) < n:
        port = rng.randrange(10000 + os.getpid() % 16, 32000, 16)
        if port in _given_ports:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', port))
            except OSError:
                continue
        _given_ports.add(port)
        ports.append(port)
    return ports


# Processes and folders that are still ours; ended and removed however this process ends.
_nodes = set()
_folders = set()


def _end_everything():
    for node in list(_nodes):
        node.kill()
    for folder in list(_folders):
        shutil.rmtree(folder, ignore_errors=True)


atexit.register(_end_everything)


class Node:
    """One claded and its folder."""

    def __init__(self, cluster, number, port, peer_port):
        self.cluster = cluster
        self.number = number
        self.folder = cluster.folder / f'node{number}'
        self.data = self.folder / 'data'
        self.address = f'127.0.0.1:{port}'
        self.peer_address = f'127.0.0.1:{peer_port}'
        self.config = self.folder / 'claded.yaml'
        self.log = self.folder / 'log'
        self.environment = {}  # its own, beside the cluster's
        self.process = None
        self.stopped = False
        self.lock = threading.RLock()

    # What claded is told. node/README.md says what the settings mean.

    def write_config(self, **more):
        self.folder.mkdir(exist_ok=True)
        settings = {
            'data': self.data, 'listen': self.address, 'peer_listen': self.peer_address,
            'election_timeout_ms': 400, 'heartbeat_ms': 50,
            **self.cluster.settings, **more,
        }
        self.config.write_text(''.join(f'{k}: {v}\n' for k, v in settings.items()))

    def init(self):
        done = self.claded('init', '--node', str(self.number), '--name', self.cluster.name,
                           *member_flags(self.cluster))
        if done.returncode != 0:
            raise AssertionError(f'claded init: exit {done.returncode}: {done.stderr}')

    def init_joining(self, contacts):
        """The folder of a node that joins the running cluster of these nodes."""
        flags = []
        for node in (*contacts, self):
            flags += ['--member', f'{node.number}={node.peer_address}']
        done = self.claded('init', '--node', str(self.number), '--join', '--cluster',
                           self.cluster.id(), *flags)
        if done.returncode != 0:
            raise AssertionError(f'claded init --join: exit {done.returncode}: {done.stderr}')

    def claded(self, *words, timeout=60):
        """Runs `claded` with this node's settings to its end."""
        return subprocess.run([claded(), *words, '--config', str(self.config)],
                              capture_output=True, text=True, timeout=timeout, check=False,
                              env=clean_environment())

    # Its life.

    def start(self):
        with self.lock:
            assert not self.alive(), f'node {self.number} runs already'
            with open(self.log, 'ab') as log:
                self.process = subprocess.Popen(
                    [claded(), 'run', '--config', str(self.config)], stdin=subprocess.DEVNULL,
                    stdout=log, stderr=subprocess.STDOUT,
                    env=clean_environment(**self.cluster.environment, **self.environment),
                    cwd=self.folder)  # where a core would lie
            self.stopped = False
            _nodes.add(self)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        with self.lock:
            if self.alive():
                self.process.send_signal(number)

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        with self.lock:
            if self.process is None:
                return
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(30)
            _nodes.discard(self)

    def terminate(self, timeout=30):
        """SIGTERM; the exit code."""
        with self.lock:
            self.process.terminate()
        code = self.process.wait(timeout)
        _nodes.discard(self)
        return code

    def wait_exit(self, timeout=30):
        """The exit code of a node that ends by itself."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f'node {self.number} still runs after {timeout} s') from e
        _nodes.discard(self)
        return code

    def pause(self):
        """SIGSTOP, and waits until each thread stands still: the signal alone returns before."""
        self.signal(signal.SIGSTOP)
        self.stopped = True
        until(lambda: set(self.thread_states()) == {'T'}, f'node {self.number} is frozen', pause=0)

    def thread_states(self):
        for path in pathlib.Path(f'/proc/{self.process.pid}/task').glob('*/stat'):
            yield path.read_text().rsplit(')', 1)[1].split()[0]

    def resume(self):
        self.signal(signal.SIGCONT)
        self.stopped = False

    # Looking at it.

    def client(self, **keys):
        return wire.Client(self.address, **keys)

    def rss_kb(self):
        for line in pathlib.Path(f'/proc/{self.process.pid}/status').read_text().splitlines():
            if line.startswith('VmRSS:'):
                return int(line.split()[1])
        raise AssertionError('a process without VmRSS')

    def log_text(self):
        return self.log.read_text(errors='replace') if self.log.exists() else ''

    def log_tail(self):
        return '\n'.join(self.log_text().splitlines()[-LOG_TAIL_LINES:])


class Cluster:
    """Nodes 1 to n. `with Cluster() as c:` starts them and waits until all of them serve."""

    def __init__(self, n=3, start=True, first_port=None, **settings):
        self.name = f'test-{os.getpid()}-{os.urandom(3).hex()}'
        self.settings = settings
        self.environment = {}  # of the nodes, beside ours
        self.keep = False  # the folder, when it is closed
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='clade-'))
        _folders.add(self.folder)
        ports = free_ports(2 * n)
        if first_port:
            ports[0] = first_port
        self.former = []  # removed from the cluster
        self.nodes = [Node(self, i + 1, ports[2 * i], ports[2 * i + 1]) for i in range(n)]
        try:
            for node in self.nodes:
                node.write_config()
                node.init()
            if start:
                self.start()
        except BaseException:
            self.print_logs()
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and not issubclass(kind, unittest.SkipTest):
            self.print_logs()
        self.close()

    def __getitem__(self, number):
        return self.nodes[number - 1]

    def print_logs(self):
        for node in (*self.nodes, *self.former):
            print(f'--- node {node.number} ({"runs" if node.alive() else "ended"}), its last '
                  f'lines\n{node.log_tail()}', flush=True)

    def close(self):
        for node in (*self.nodes, *self.former):
            node.kill()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        _folders.discard(self.folder)

    def start(self):
        for node in self.nodes:
            if not node.alive():
                node.start()
        self.ready()

    def kill_all(self):
        """SIGKILL to all before any is waited for: nobody sees the others go."""
        for node in self.nodes:
            node.signal(signal.SIGKILL)
        for node in self.nodes:
            node.kill()

    def terminate_all(self):
        for node in self.nodes:
            node.signal(signal.SIGTERM)
        return [node.wait_exit() for node in self.nodes]

    # Members that come and go.

    def id(self):
        """The cluster's id, 32 hex digits."""
        def ask():
            for node in self.running():
                with node.client(timeout=3) as c:
                    return c.hello['cluster']
        return until(ask, 'a node tells the cluster\'s id')

    def new_node(self, start=True, **settings):
        """A node with an id of its own and a folder that is made to join; not added yet."""
        number = max(n.number for n in (*self.nodes, *self.former)) + 1
        ports = free_ports(2)
        node = Node(self, number, ports[0], ports[1])
        node.write_config(**settings)
        node.init_joining(self.running())
        self.nodes.append(node)
        if start:
            node.start()
        return node

    def member(self, action, node, wait=True, timeout=60.0, **params):
        """Asks the leader for a change until it is answered; what it says. Errors that are not
        about who leads are the caller's."""
        number = node if isinstance(node, int) else node.number
        if action == 'add' and 'address' not in params:
            params['address'] = node.peer_address
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                with self.leader(max(1.0, left)).client(timeout=max(1.0, left)) as c:
                    return c.call('member', {'action': action, 'node': number, 'wait': wait,
                                             'deadline_ms': max(1, int(min(left, 5) * 1000)),
                                             **params})['data']
            except wire.Lost:
                pass
            except wire.Failure as e:
                if e.code not in ('RETRY', 'UNKNOWN'):
                    raise
                last = e
                if time.monotonic() >= deadline:
                    raise AssertionError(f'{action} {number}: not within {timeout} s: {last}') \
                        from e
            time.sleep(0.02)

    def grow(self, promote=True, **settings):
        """A new node, started and in the cluster."""
        node = self.new_node(**settings)
        self.member('add', node, promote=promote)
        return node

    def all_heard(self, timeout=20.0):
        """Waits until the leader has heard of each running node: it goes by that when it is asked
        to let a voter go."""
        def heard():
            with self.leader().client(timeout=3) as c:
                rows = {m['id']: m for m in c.status()['members']}
            return all(n.number not in rows or
                       (rows[n.number]['connected'] and rows[n.number]['heard'])
                       for n in self.running())
        until(heard, 'the leader has heard of all', timeout)

    def all_told(self, timeout=20.0):
        """Waits until each running node tells clients where all members serve them."""
        def tells(node):
            with node.client(timeout=3) as c:
                return len([m for m in c.hello['members'] if m.get('client')]) == len(self.nodes)
        until(lambda: all(map(tells, self.running())), 'each node knows where all serve', timeout)

    def remove(self, node):
        """Takes the node out and sees it stop; its exit code."""
        self.all_heard()
        self.member('remove', node)
        code = node.wait_exit()
        self.nodes.remove(node)
        self.former.append(node)
        return code

    # Watching.

    def running(self):
        return [n for n in self.nodes if n.alive() and not n.stopped]

    def addresses(self):
        return [n.address for n in self.nodes]

    def endpoints(self):
        return ','.join(self.addresses())

    def ready(self, timeout=20.0):
        """Waits until each running node answers a linearizable read."""
        for node in self.running():
            def serves(node=node):
                if not node.alive():
                    raise AssertionError(f'node {node.number} ended at its start, exit '
                                         f'{node.process.returncode}:\n{node.log_tail()}')
                with node.client(timeout=3) as c:
                    return c.call('describe', {'deadline_ms': 2000})
            until(serves, f'node {node.number} serves', timeout)

    def leader(self, timeout=20.0):
        """The node that leads, by its own word."""
        def look():
            for node in self.running():
                try:
                    with node.client(timeout=2) as c:
                        if c.hello['leader'] == 1:
                            return node
                except wire.Lost:
                    continue
            return None
        return until(look, 'some node leads', timeout)

    def followers(self):
        leader = self.leader()
        return [n for n in self.running() if n is not leader]

    def sessions(self, n, rng, **keys):
        return [wire.Session(self.addresses(), random.Random(rng.random()), **keys)
                for _ in range(n)]

    def digests(self, timeout=20.0):
        """Waits until all running nodes have applied the same index; checks that their digests
        are equal there, and returns them."""
        def level():
            found = []
            for node in self.running():
                with node.client(timeout=3) as c:
                    found.append(digest_of(c.status()))
            return found if len({d['index'] for d in found}) == 1 else None
        found = until(level, 'the nodes have applied the same index', timeout)
        assert all(d == found[0] for d in found), f'the nodes differ: {found}'
        return found[0]

    # The command line.

    def cli(self, *words, node=None, stdin=None, timeout=60, env=None):
        endpoints = self.endpoints() if node is None else node.address
        environment = clean_environment(CLADE_ENDPOINTS=endpoints, HOME=str(self.folder),
                                        **(env or {}))
        return subprocess.run([clade(), *map(str, words)], input=stdin, capture_output=True,
                              text=True, timeout=timeout, env=environment, check=False)

    def cli_start(self, *words, node=None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        """The same, left running."""
        environment = clean_environment(
            HOME=str(self.folder),
            CLADE_ENDPOINTS=self.endpoints() if node is None else node.address)
        return subprocess.Popen([clade(), *map(str, words)], stdin=stdin, stdout=stdout,
                                stderr=subprocess.PIPE, text=True, env=environment)


def digest_of(status):
    """The digests of the node itself at its last applied index, out of a status answer."""
    return status['digest']


class Case(unittest.TestCase):
    """A test case with the seed, and shorter ways to say what is often said."""

    maxDiff = 4000
    cost_s = 10  # about; the longest are started first

    def setUp(self):
        self.rng = random.Random(f'{SEED}/{self.id()}')

    def run_cli(self, cluster, *words, expect=0, **keys):
        done = cluster.cli(*words, **keys)
        self.assertEqual(done.returncode, expect,
                         f'clade {" ".join(map(str, words))}: exit {done.returncode}, expected '
                         f'{expect}\nstdout: {done.stdout[-2000:]}\nstderr: {done.stderr[-2000:]}')
        return done

    def run_json(self, cluster, *words, **keys):
        return json.loads(self.run_cli(cluster, '-w', 'json', *words, **keys).stdout)

    def refused(self, code, call, *words, **keys):
        """Calls, expects an error answer of that class, returns it."""
        with self.assertRaises(wire.Failure) as caught:
            call(*words, **keys)
        codes = (code,) if isinstance(code, str) else code
        self.assertIn(caught.exception.code, codes, caught.exception)
        return caught.exception


def needs_tfhub(test):
    return unittest.skipUnless((TFHUB / 'nodes.tsv').is_file(),
                               f'without the shared data ({TFHUB})')(test)


class Writers:
    """Threads that write at once and record what was acknowledged.

    Each creates its own artifacts W-I, so what became of each can be looked up: a name in `acked`
    must be there, one in `maybe` may be, one in `refused` must not be there.
    """

    def __init__(self, cluster, threads, rng, prefix='w', sessions=True, **keys):
        self.cluster = cluster
        self.prefix = prefix
        self.keys = keys
        self.with_sessions = sessions
        self.rngs = [random.Random(rng.random()) for _ in range(threads)]
        self.acked = {}   # name -> the answer
        self.maybe = set()
        self.errors = []
        self.gaps_s = []  # the longest wait of each writer for one answer
        self.times = []   # when each was acknowledged
        self.halt = threading.Event()
        self.threads = [threading.Thread(target=self._guarded, args=(i,), daemon=True)
                        for i in range(threads)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.halt.set()
        for t in self.threads:
            t.join(60)
            assert not t.is_alive(), 'a writer hangs'

    def wait_acked(self, n, timeout=60.0):
        until(lambda: len(self.acked) >= n or self.errors, f'{n} writes are acknowledged', timeout)
        assert not self.errors, self.errors

    def _guarded(self, number):
        try:
            self._write(number)
        except Exception as e:  # pylint: disable=broad-except
            self.errors.append(repr(e))

    def _write(self, number):
        rng = self.rngs[number]
        session = wire.Session(self.cluster.addresses, rng, **self.keys)
        worst = 0.0
        i = 0
        while not self.halt.is_set():
            name = f'{self.prefix}{number}-{i}'
            i += 1
            self.maybe.add(name)
            begin = time.monotonic()
            try:
                answer = session.txn([wire.artifact(name, tags={'n': str(i)})])
            except wire.Gone:
                continue
            worst = max(worst, time.monotonic() - begin)
            self.acked[name] = answer
            self.times.append(time.monotonic())
            self.maybe.discard(name)
        self.gaps_s.append(worst)
        session.close()

    def longest_pause_s(self, begin, end):
        """The longest time between `begin` and `end` in which nobody was answered."""
        times = [begin] + sorted(t for t in self.times if begin <= t <= end) + [end]
        return max(b - a for a, b in zip(times, times[1:]))

    def check(self, test, node=None):
        """Every acknowledged write is there, at the revision that was answered, on each node."""
        test.assertEqual(self.errors, [])
        names = sorted(self.acked)
        for at in ([node] if node else self.cluster.running()):
            with at.client(timeout=30) as c:
                for begin in range(0, len(names), 1000):
                    part = names[begin:begin + 1000]
                    things = c.get(*(f'artifact/{n}' for n in part), view='full')['data']
                    for name, thing in zip(part, things):
                        answer = self.acked[name]
                        test.assertNotIn('error', thing, f'{name} was acknowledged and is gone')
                        test.assertEqual(thing['created']['revision'], answer['revision'], name)
                        test.assertEqual(thing['id'], answer['data'][0]['id'], name)
        revisions = [a['revision'] for a in self.acked.values()]
        test.assertEqual(len(revisions), len(set(revisions)), 'two writes share a revision')
