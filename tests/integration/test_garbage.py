"""Any bytes from anyone: the sender loses its connection, and nothing else happens."""

import os
import resource
import socket
import struct
import threading
import time

import wire
from cluster import Case, Cluster, until

HELLO = wire.frame([0, 1, 'hello', {'versions': [1]}])
RSS_GROWTH_KB_MAX = 300 * 1024


class Garbage(Case):
    cost_s = 45

    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.node = cls.cluster.followers()[0]
        with cls.node.client() as client:
            client.txn([wire.artifact('there', description='x' * 60000)])

    def setUp(self):
        super().setUp()
        self.pids = [n.process.pid for n in self.cluster.nodes]
        self.rss_kb = self.node.rss_kb()
        # Another client, connected before, is served while the garbage comes.
        self.other = self.node.client()
        self.addCleanup(self.other.close)

    def tearDown(self):
        for node, pid in zip(self.cluster.nodes, self.pids):
            if not (node.alive() and node.process.pid == pid):
                self.fail(f'node {node.number} died:\n{node.log_tail()}')
            with node.client() as client:
                self.assertEqual(client.get('artifact/there')['data'][0]['kind'], 'artifact')
        self.assertNotIn('error', self.other.get('artifact/there')['data'][0])
        until(lambda: self.node.rss_kb() < self.rss_kb + RSS_GROWTH_KB_MAX,
              f'resident memory stays near {self.rss_kb} kB', 10)

    def raw(self, address=None):
        host, port = (address or self.node.address).rsplit(':', 1)
        s = socket.create_connection((host, int(port)), timeout=10)
        self.addCleanup(s.close)
        return s

    def ends(self, data, note=''):
        """Sends, and waits for the server to end the connection. Returns what it said before."""
        s = self.raw()
        said = bytearray()
        try:
            s.sendall(data)
            s.settimeout(10)
            while True:
                part = s.recv(65536)
                if not part:
                    break
                said += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        except TimeoutError:
            self.fail(f'the connection lives on after {note or data[:40]!r}')
        return bytes(said)

    def test_malformed_frames_end_the_connection_with_one_error(self):
        deep = b'\x91' * 5000 + b'\xc0'
        deep_map = b'\x81\xa1a' * 5000 + b'\xc0'
        request = [0, 2, 'get', {'refs': ['x']}]
        cases = (
            ('a length of 0', struct.pack('>I', 0)),
            ('a length above the limit', struct.pack('>I', 2097153) + b'\x90'),
            ('the greatest length', b'\xff\xff\xff\xff'),
            ('HTTP', b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
            ('TLS', bytes.fromhex('16030100ca010000c60303') + os.urandom(200)),
            ('no array', wire.frame({'a': 1})),
            ('an empty array', wire.frame([])),
            ('an unknown type of message', wire.frame([7, 1, 'get', {}])),
            ('a request of three', wire.frame([0, 1, 'get'])),
            ('a msgid that is text', wire.frame([0, 'x', 'get', {}])),
            ('a msgid above 32 bits', wire.frame([0, 1 << 32, 'get', {}])),
            ('a negative msgid', wire.frame([0, -1, 'get', {}])),
            ('a method that is a number', wire.frame([0, 1, 5, {}])),
            ('an answer from a client', wire.frame([1, 1, None, {}])),
            ('two values in a frame', wire.frame(wire.pack(request) * 2)),
            ('a truncated value', wire.frame(wire.pack(request)[:-1])),
            ('an extension type', wire.frame(b'\x94\x00\x02\xa3get\xd4\x01\x00')),
            ('deep arrays', wire.frame(b'\x94\x00\x02\xa3get\x81\xa4refs' + deep)),
            ('deep maps', wire.frame(b'\x94\x00\x02\xa3get' + deep_map)),
            ('an array that claims four billion', wire.frame(b'\x94\x00\x02\xa3get\x81\xa4refs'
                                                             b'\xdd\xff\xff\xff\xff')),
            ('a map that claims four billion', wire.frame(b'\x94\x00\x02\xa3get'
                                                          b'\xdf\xff\xff\xff\xff')),
            ('a string that claims four billion', wire.frame(b'\x94\x00\x02\xdb\xff\xff\xff\xff')),
            ('a byte that begins nothing', wire.frame(b'\x94\x00\x02\xa3get\xc1')),
            ('text that is not UTF-8', wire.frame(b'\x94\x00\x02\xa3get\x81\xa4refs\x91\xa2\xff'
                                                  b'\xfe')),
            ('a surrogate in UTF-8', wire.frame(b'\x94\x00\x02\xa3get\x81\xa4refs\x91\xa3'
                                                b'\xed\xa0\x80')),
            ('a key that is a number', wire.frame([0, 2, 'get', {5: 5}])),
            ('too many values', wire.frame([0, 2, 'get', {'refs': [1] * 300000}])),
        )
        for name, data in cases:
            with self.subTest(name):
                for head in (b'', HELLO):
                    said = self.ends(head + data, name)
                    messages = frames(said)
                    last = messages[-1] if messages else None
                    if last is not None and last[0] == 2:
                        self.assertEqual(last[1], 'error')
                        self.assertIn('code', last[2])
                    self.assertLessEqual(sum(1 for m in messages if m[0] == 2), 1)

    def test_random_bytes_and_mutated_requests_do_no_harm(self):
        requests = [HELLO] + [wire.frame([0, i + 2, method, params]) for i, (method, params) in
                              enumerate((
            ('get', {'refs': ['artifact/there', 'digest:sha256:00'], 'view': 'full'}),
            ('list', {'kind': 'artifact', 'limit': 5, 'as_of': 1}),
            ('lineage', {'ref': 'artifact/there', 'direction': 'down', 'labels': ['x']}),
            ('txn', {'command': wire.command([wire.artifact('g', tags={'a': 'b'})]),
                     'session': 1, 'seq': 1, 'answered': 1}),
            ('session_open', {'lease_ms': 1000}), ('status', {}), ('limits', {}),
            ('describe', {'ns': 'default'}), ('ping', {'deadline_ms': 5})))]
        whole = b''.join(requests)
        for i in range(300):
            data = bytearray(whole)
            if i % 3 == 0:
                data = bytearray(self.rng.randbytes(self.rng.randrange(1, 4000)))
                if i % 2:
                    data = HELLO + struct.pack('>I', len(data)) + data
            else:
                for _ in range(self.rng.randrange(1, 6)):
                    at = self.rng.randrange(len(data))
                    data[at] = self.rng.randrange(256)
                if i % 5 == 0:
                    del data[self.rng.randrange(len(data)):]
            s = self.raw()
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                s.settimeout(0.05)
                s.recv(65536)
            except OSError:
                pass
            s.close()

    def test_garbage_at_the_door_of_the_peers_does_no_harm(self):
        for i in range(60):
            s = self.raw(self.node.peer_address)
            data = self.rng.randbytes(self.rng.randrange(1, 5000))
            if i % 4 == 0:
                data = struct.pack('<I', self.rng.randrange(1 << 32)) + data
            try:
                s.sendall(data)
                s.settimeout(0.05)
                s.recv(1000)
            except OSError:
                pass
            s.close()
        self.cluster.digests()

    def test_wrong_requests_are_answered_and_the_connection_goes_on(self):
        c = self.node.client()
        self.addCleanup(c.close)
        ops = [wire.artifact('a')]
        for code, method, params in (
                ('UNSUPPORTED', 'no_such_method', {}),
                ('INVALID', 'hello', {'versions': [1]}),
                ('INVALID', 'get', {}),
                ('INVALID', 'get', {'refs': []}),
                ('INVALID', 'get', {'refs': 'artifact/x'}),
                ('INVALID', 'get', {'refs': [5]}),
                ('INVALID', 'get', {'refs': ['artifact/x'], 'colour': 'red'}),
                ('INVALID', 'get', {'refs': ['artifact/x'], 'consistency': 'strong'}),
                ('INVALID', 'get', {'refs': ['artifact/x'], 'view': 'wide'}),
                ('INVALID', 'get', {'refs': ['artifact/x'], 'limit': -1}),
                ('INVALID', 'get', {'refs': ['artifact/x'], 'as_of': '2024-02-30T00:00:00Z'}),
                ('INVALID', 'get', {'refs': ['artifact/x'], 'as_of': '2024-02-03T00:00:00'}),
                ('INVALID', 'list', {'kind': 'unicorn'}),
                ('INVALID', 'list', {'kind': 'artifact', 'cursor': 'garbage'}),
                ('INVALID', 'lineage', {'ref': 'artifact/there', 'direction': 'sideways'}),
                (('INVALID', 'NOT_FOUND'), 'lineage', {'ref': 'artifact/none',
                                                       'direction': 'up'}),
                ('INVALID', 'txn', {'command': b''}),
                ('INVALID', 'txn', {'command': b'\xc1'}),
                ('INVALID', 'txn', {'command': 'text'}),
                ('INVALID', 'txn', {'command': wire.pack({'v': 1, 'ops': []})}),
                ('UNSUPPORTED', 'txn', {'command': wire.pack({'v': 2, 'ops': ops})}),
                ('INVALID', 'txn', {'command': wire.pack({'v': 1, 'ops': ops, 'x': 1})}),
                ('INVALID', 'txn', {'command': wire.command([{'op': 'explode'}])}),
                ('INVALID', 'txn', {'command': wire.command([wire.artifact('a\nb')])}),
                ('INVALID', 'txn', {'command': wire.command([wire.artifact('ext:a')])}),
                (('INVALID', 'LIMIT'), 'txn', {'command': wire.command([wire.artifact(
                    'n' * 1025)])}),
                (('INVALID', 'LIMIT'), 'txn', {'command': wire.command(ops * 10001)}),
                (('INVALID', 'LIMIT'), 'txn', {'command': wire.command([wire.artifact(
                    'a', tags={'k' * 257: 'v'})])}),
                ('INVALID', 'session_open', {'lease_ms': 'long'}),
                ('INVALID', 'transfer', {'to': 'me'}),
        ):
            with self.subTest(f'{method} {str(params)[:80]}'):
                self.refused(code, c.call, method, params)
        self.assertEqual(c.call('ping').get('data'), None)

    def test_nothing_is_answered_before_hello_but_hello(self):
        with self.node.client(hello=False) as c:
            self.refused('UNAUTHENTICATED', c.call, 'get', {'refs': ['artifact/there']})
            self.refused('UNAUTHENTICATED', c.call, 'status')
        with self.node.client(hello=False) as c:
            self.refused(('UNSUPPORTED', 'INVALID'), c.call, 'hello', {'versions': [77]})

    def test_truncated_frames_and_slow_senders_hold_nobody_up(self):
        slow = [self.raw() for _ in range(50)]
        for i, s in enumerate(slow):
            s.sendall((HELLO + wire.frame([0, 2, 'status', {}]))[:1 + i])
        begin = time.monotonic()
        for _ in range(50):
            self.other.get('artifact/there')
        self.assertLess(time.monotonic() - begin, 5)

    def test_two_thousand_connections_are_served_or_refused_and_let_go(self):
        n = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
        many = []
        for _ in range(n):
            try:
                many.append(self.raw())
                many[-1].sendall(HELLO)
            except OSError:
                break
        self.assertGreater(len(many), n // 2)
        self.other.get('artifact/there')
        with self.node.client() as c:
            c.get('artifact/there')
        for s in many:
            s.close()

    def test_a_client_that_never_reads_is_bounded_and_hurts_nobody(self):
        s = self.raw()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(HELLO)
        s.setblocking(False)
        request = wire.frame([0, 9, 'get', {'refs': ['artifact/there'] * 100, 'view': 'full',
                                            'consistency': 'local'}])
        peak = 0
        deadline = time.monotonic() + 6
        sent = 0
        while time.monotonic() < deadline:
            try:
                sent += s.send(request * 20)
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:
                break  # cut off: a fair answer
            peak = max(peak, self.node.rss_kb())
            if sent > 50 << 20:
                break
        self.other.get('artifact/there')
        self.assertLess(peak, self.rss_kb + RSS_GROWTH_KB_MAX * 2, 'resident memory')

    def test_more_requests_in_flight_than_allowed_are_bounded(self):
        with self.node.client(timeout=30) as c:
            got = []
            reader = threading.Thread(target=lambda: gather(c, got), daemon=True)
            reader.start()
            data = b''.join(wire.frame([0, 100 + i, 'get', {'refs': ['artifact/there'],
                                                            'view': 'ids'}])
                            for i in range(8000))
            try:
                c.sock.sendall(data)
            except OSError:
                pass  # cut off: a fair answer
            reader.join(20)
            self.assertGreater(len(got), 0)

    def test_cancelled_requests_are_answered_once(self):
        with self.node.client() as c:
            for i in range(100):
                msgid = c.send('get', {'refs': ['artifact/there']})
                c.send_bytes(wire.frame([2, 'cancel', {'msgid': msgid}]))
                try:
                    c.receive(msgid)
                except wire.Failure as e:
                    self.assertEqual(e.code, 'CANCELLED')
            self.assertEqual(c.early, {})


def frames(data):
    found = []
    while len(data) >= 4:
        n = struct.unpack_from('>I', data)[0]
        if len(data) < 4 + n:
            break
        found.append(wire.unpack(data[4:4 + n]))
        data = data[4 + n:]
    return found


def gather(client, got):
    try:
        while len(got) < 8000:
            m = client.message(time.monotonic() + 10)
            if m[0] == 1:
                got.append(m)
    except (wire.Lost, ValueError):
        pass
