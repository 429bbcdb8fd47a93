"""A client of clade's protocol, written from client/wire/README.md alone.

It shares no code with libclade, so that a mistake which both ends of the library make alike is
seen here. One connection belongs to one thread at a time.
"""

import itertools
import random
import socket
import struct
import time

FRAME_BYTES_MAX = 8388608


# --- MessagePack -----------------------------------------------------------------------------

def pack(value):
    out = bytearray()
    _pack(out, value)
    return bytes(out)


def _pack(out, v):
    if v is None:
        out.append(0xC0)
    elif v is True:
        out.append(0xC3)
    elif v is False:
        out.append(0xC2)
    elif isinstance(v, int):
        _pack_int(out, v)
    elif isinstance(v, float):
        out += b'\xcb' + struct.pack('>d', v)
    elif isinstance(v, str):
        data = v.encode('utf-8', 'surrogateescape')
        _pack_head(out, len(data), (0xA0, 32), (0xD9, 0xDA, 0xDB))
        out += data
    elif isinstance(v, (bytes, bytearray)):
        _pack_head(out, len(v), (0, 0), (0xC4, 0xC5, 0xC6))
        out += v
    elif isinstance(v, (list, tuple)):
        _pack_head(out, len(v), (0x90, 16), (None, 0xDC, 0xDD))
        for item in v:
            _pack(out, item)
    elif isinstance(v, dict):
        _pack_head(out, len(v), (0x80, 16), (None, 0xDE, 0xDF))
        for key, item in v.items():
            _pack(out, key)
            _pack(out, item)
    else:
        raise TypeError(f'{type(v)} has no MessagePack form')


def _pack_int(out, v):
    if 0 <= v < 0x80 or -32 <= v < 0:
        out += struct.pack('b' if v < 0 else 'B', v)
        return
    signed = v < 0
    for code, form, bits in (((0xD0, 'b', 7), (0xD1, 'h', 15), (0xD2, 'i', 31), (0xD3, 'q', 63))
                             if signed else
                             ((0xCC, 'B', 8), (0xCD, 'H', 16), (0xCE, 'I', 32), (0xCF, 'Q', 64))):
        if (signed and v >= -(1 << bits)) or (not signed and v < 1 << bits):
            out.append(code)
            out += struct.pack('>' + form, v)
            return
    raise OverflowError(v)


def _pack_head(out, n, fix, codes):
    if n < fix[1]:
        out.append(fix[0] | n)
    elif codes[0] is not None and n < 1 << 8:
        out += bytes((codes[0], n))
    elif n < 1 << 16:
        out += struct.pack('>BH', codes[1], n)
    else:
        out += struct.pack('>BI', codes[2], n)


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError('truncated value')
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack('>' + form, self.take(struct.calcsize(form)))[0]

    def value(self):
        c = self.take(1)[0]
        if c < 0x80:
            return c
        if c >= 0xE0:
            return c - 256
        if c < 0x90:
            return self.map(c & 15)
        if c < 0xA0:
            return self.array(c & 15)
        if c < 0xC0:
            return self.take(c & 31).decode('utf-8')
        if c in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[c]
        if 0xC4 <= c <= 0xC6:
            return bytes(self.take(self.number('BHI'[c - 0xC4])))
        if 0xCA <= c <= 0xD3:
            return self.number('fdBHIQbhiq'[c - 0xCA])
        if 0xD9 <= c <= 0xDB:
            return self.take(self.number('BHI'[c - 0xD9])).decode('utf-8')
        if c in (0xDC, 0xDD):
            return self.array(self.number('HI'[c - 0xDC]))
        if c in (0xDE, 0xDF):
            return self.map(self.number('HI'[c - 0xDE]))
        raise ValueError(f'byte 0x{c:02x} begins no value that the protocol uses')

    def array(self, n):
        return [self.value() for _ in range(n)]

    def map(self, n):
        return {self.value(): self.value() for _ in range(n)}


def unpack(data):
    reader = Reader(memoryview(data).tobytes())
    value = reader.value()
    if reader.at != len(data):
        raise ValueError('bytes after the value')
    return value


def frame(message):
    payload = message if isinstance(message, (bytes, bytearray)) else pack(message)
    return struct.pack('>I', len(payload)) + payload


# --- a connection ----------------------------------------------------------------------------

class Failure(Exception):
    """An error answer."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')}: {error.get('where', '')} {error.get('message')}")
        self.error = error
        self.code = error.get('code')


class Lost(Exception):
    """The connection ended, or nothing came in time: what was sent may have happened."""


class NotSent(Lost):
    """No connection could be made: nothing happened."""


class Client:
    def __init__(self, address, timeout=10.0, hello=True, user='tester', namespace='default'):
        self.address = address
        self.timeout = timeout
        self.ids = itertools.count(1)
        self.early = {}  # answers that came while another was waited for
        self.notifications = []
        self.buffer = bytearray()
        host, port = address.rsplit(':', 1)
        try:
            self.sock = socket.create_connection((host, int(port)), timeout=timeout)
        except OSError as e:
            raise NotSent(f'connecting to {address}: {e}') from e
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hello:
            try:
                self.hello = self.call('hello', {'versions': [1], 'client': 'integration/1.0',
                                                 'namespace': namespace, 'user': user})
            except Lost as e:
                self.close()
                raise NotSent(f'hello to {address}: {e}') from e
            except Failure:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, method, params=None):
        msgid = next(self.ids)
        self.send_bytes(frame([0, msgid, method, params or {}]))
        return msgid

    def send_bytes(self, data):
        try:
            self.sock.settimeout(self.timeout)
            self.sock.sendall(data)
        except OSError as e:
            raise Lost(f'sending to {self.address}: {e}') from e

    def message(self, deadline):
        """The next message of the server."""
        while True:
            if len(self.buffer) >= 4:
                n = struct.unpack_from('>I', self.buffer)[0]
                if not 0 < n <= FRAME_BYTES_MAX:
                    raise ValueError(f'the server sent a frame of {n} bytes')
                if len(self.buffer) >= 4 + n:
                    payload = bytes(self.buffer[4:4 + n])
                    del self.buffer[:4 + n]
                    return unpack(payload)
            left = deadline - time.monotonic()
            if left <= 0:
                raise Lost(f'no answer from {self.address} in time')
            try:
                self.sock.settimeout(left)
                data = self.sock.recv(65536)
            except OSError as e:
                raise Lost(f'receiving from {self.address}: {e}') from e
            if not data:
                raise Lost(f'{self.address} closed the connection')
            self.buffer += data

    def receive(self, msgid, timeout=None):
        """The answer to one request; others that come first are kept for their own callers."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while msgid not in self.early:
            m = self.message(deadline)
            if m[0] == 2:
                self.notifications.append(m)
            elif m[0] == 1 and len(m) == 4:
                self.early[m[1]] = m
            else:
                raise ValueError(f'the server sent {m!r}')
        _, _, error, result = self.early.pop(msgid)
        if error is not None:
            raise Failure(error)
        return result

    def call(self, method, params=None, timeout=None):
        return self.receive(self.send(method, params), timeout)

    def pipeline(self, requests, timeout=None):
        """Sends all, then gathers: a result or a Failure for each, in the order of sending."""
        msgids = []
        data = bytearray()
        for method, params in requests:
            msgids.append(next(self.ids))
            data += frame([0, msgids[-1], method, params])
        self.send_bytes(data)
        answers = []
        for msgid in msgids:
            try:
                answers.append(self.receive(msgid, timeout))
            except Failure as e:
                answers.append(e)
        return answers

    # Short forms of what the tests send most.

    def txn(self, ops, guards=None, timeout=None, deadline_ms=None, **more):
        params = {'command': command(ops, guards), **more}
        if deadline_ms is not None:
            params['deadline_ms'] = deadline_ms
        return self.call('txn', params, timeout)

    def get(self, *refs, **keys):
        return self.call('get', {'refs': list(refs), **keys})

    def status(self):
        return self.call('status')['data']


def command(ops, guards=None, **more):
    document = {'v': 1, 'ops': ops, **more}
    if guards:
        document['guards'] = guards
    return pack(document)


def artifact(name, **fields):
    return {'op': 'create', 'kind': 'artifact', 'name': name, **fields}


# --- a client that survives nodes ------------------------------------------------------------

class Gone(Exception):
    """The session's deadline passed: `sent` says whether the command may have happened."""

    def __init__(self, sent, last):
        super().__init__(f'no answer: {last}')
        self.sent = sent
        self.last = last


class Session:
    """One session, one command at a time, repeated on other nodes until it is answered."""

    REPEAT = ('RETRY', 'UNKNOWN', 'UNAVAILABLE', 'THROTTLED', 'NO_MEMORY', 'NO_SPACE')

    def __init__(self, addresses, rng=None, patience=30.0, attempt=3.0, user='tester'):
        # A list, or a function that gives one: members come and go.
        self.give = addresses if callable(addresses) else lambda fixed=list(addresses): fixed
        self.addresses = self.give()
        self.rng = rng or random.Random(0)
        self.patience = patience
        self.attempt = attempt
        self.user = user
        self.client = None
        self.at = self.rng.randrange(len(self.addresses))
        self.seq = 0
        self.repeats = 0
        self.unknown = 0  # sendings whose outcome was not known
        self.id = self._until_answered('session_open', {'lease_ms': 3600000})['session']

    def close(self):
        if self.client:
            self.client.close()
            self.client = None

    def txn(self, ops, guards=None, patience=None):
        """The answer. Failure when it was refused, Gone when no node answered in time."""
        self.seq += 1
        return self._until_answered('txn', {
            'command': command(ops, guards), 'session': self.id, 'seq': self.seq,
            'answered': self.seq}, patience)

    def _until_answered(self, method, params, patience=None):
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        sent = False
        last = None
        while time.monotonic() < deadline:
            try:
                if self.client is None:
                    self.client = Client(self.addresses[self.at], timeout=self.attempt,
                                         user=self.user)
                params['deadline_ms'] = int(self.attempt * 1000)
                msgid = self.client.send(method, params)
                return self.client.receive(msgid, self.attempt + 1)
            except Failure as e:
                last = e
                if e.code not in self.REPEAT:
                    raise
                doubt = e.code == 'UNKNOWN'
            except Lost as e:
                last = e
                doubt = not isinstance(e, NotSent)
            sent = sent or doubt
            self.unknown += doubt
            self.repeats += 1
            self.close()
            self.addresses = self.give()
            self.at = (self.at + 1) % len(self.addresses)
            time.sleep(0.02 + 0.08 * self.rng.random())
        raise Gone(sent, last)


# --- a watcher that survives nodes -----------------------------------------------------------

class Watch:
    """Events from a revision on, in order, followed from node to node."""

    def __init__(self, addresses, rng=None, attempt=3.0, **params):
        self.addresses = list(addresses)
        self.rng = rng or random.Random(0)
        self.attempt = attempt
        self.params = params
        self.next = params.get('from', 0)
        self.at = self.rng.randrange(len(self.addresses))
        self.client = None
        self.msgid = None
        self.failures = []

    def close(self):
        if self.client:
            self.client.close()
            self.client = None

    def begin(self):
        self.client = Client(self.addresses[self.at], timeout=self.attempt)
        self.msgid = self.client.send('watch', {**self.params, 'from': self.next})

    def message(self, deadline):
        """The next event message; Failure when the watch has ended."""
        while True:
            m = self.client.message(deadline)
            if m[0] == 2 and m[1] == 'event' and m[2]['msgid'] == self.msgid:
                self.client.send_bytes(frame([2, 'credit', {
                    'msgid': self.msgid, 'bytes': len(pack(m[2])) + 64}]))
                return m[2]
            if m[0] == 1 and m[1] == self.msgid:
                raise Failure(m[2])

    def step(self, timeout=0.2):
        """What one message brings, maybe nothing; goes to another node when this one is gone."""
        try:
            if self.client is None:
                self.begin()
            got = self.message(time.monotonic() + timeout)
        except Failure as e:
            self.failures.append(e)
            if e.code not in Session.REPEAT:
                raise
            self._move()
            return []
        except Lost as e:
            if 'in time' not in str(e):
                self.failures.append(e)
                self._move()
            return []
        self.next = got['next']
        return got['events']

    def _move(self):
        self.close()
        self.at = (self.at + 1) % len(self.addresses)
        time.sleep(0.02)
