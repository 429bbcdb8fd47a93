"""A client of the wire protocol, from client/wire/README.md alone, to poke running nodes by hand:

    probe.py HOST:PORT METHOD [JSON PARAMS]     a txn takes {"ops": [...]} and is encoded
    probe.py HOST:PORT load SECONDS CONNECTIONS IN_FLIGHT METHOD [JSON PARAMS]
"""

import json
import socket
import struct
import sys
import threading
import time


def pack(v):
    if v is None:
        return b"\xc0"
    if v is True or v is False:
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        if 0 <= v < 128:
            return bytes([v])
        if v >= 0:
            return b"\xcf" + struct.pack(">Q", v)
        return b"\xd3" + struct.pack(">q", v)
    if isinstance(v, float):
        return b"\xcb" + struct.pack(">d", v)
    if isinstance(v, str):
        b = v.encode()
        return b"\xdb" + struct.pack(">I", len(b)) + b
    if isinstance(v, bytes):
        return b"\xc6" + struct.pack(">I", len(v)) + v
    if isinstance(v, list):
        return b"\xdd" + struct.pack(">I", len(v)) + b"".join(pack(x) for x in v)
    return b"\xdf" + struct.pack(">I", len(v)) + b"".join(pack(k) + pack(x) for k, x in v.items())


FIXED = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
         0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
LENGTHS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xC4: ">B", 0xC5: ">H", 0xC6: ">I",
           0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}


def unpack(b, at=0):
    t = b[at]
    at += 1
    if t < 0x80:
        return t, at
    if t >= 0xE0:
        return t - 256, at
    if t in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[t], at
    if t in FIXED:
        n = struct.calcsize(FIXED[t])
        return struct.unpack(FIXED[t], b[at:at + n])[0], at + n
    if t in LENGTHS:
        w = struct.calcsize(LENGTHS[t])
        n = struct.unpack(LENGTHS[t], b[at:at + w])[0]
        at += w
    elif t < 0x90:
        n, t = t & 15, 0xDF
    elif t < 0xA0:
        n, t = t & 15, 0xDD
    else:
        n, t = t & 31, 0xDB
    if t in (0xD9, 0xDA, 0xDB):
        return b[at:at + n].decode(), at + n
    if t in (0xC4, 0xC5, 0xC6):
        return b[at:at + n], at + n
    if t in (0xDC, 0xDD):
        out = []
        for _ in range(n):
            v, at = unpack(b, at)
            out.append(v)
        return out, at
    out = {}
    for _ in range(n):
        k, at = unpack(b, at)
        out[k], at = unpack(b, at)
    return out, at


def frame(v):
    b = pack(v)
    return struct.pack(">I", len(b)) + b


class Client:
    def __init__(self, address, hello=True, timeout=30):
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.msgid = 0
        self.hello = self.call("hello", {"versions": [1], "user": "probe"}) if hello else None

    def send(self, method, params):
        self.msgid += 1
        self.sock.sendall(frame([0, self.msgid, method, params]))
        return self.msgid

    def receive(self):
        while True:
            if len(self.buf) >= 4:
                n = struct.unpack(">I", self.buf[:4])[0]
                if len(self.buf) >= 4 + n:
                    v, at = unpack(self.buf[4:4 + n])
                    assert at == n
                    self.buf = self.buf[4 + n:]
                    return v
            got = self.sock.recv(1 << 16)
            if not got:
                return None
            self.buf += got

    def call(self, method, params=None):
        """(error, result)"""
        i = self.send(method, params or {})
        while True:
            m = self.receive()
            if m is None:
                raise EOFError
            if m[0] == 1 and m[1] == i:
                return m[2], m[3]

    def txn(self, ops, **more):
        command = {"v": 1, "ops": ops}
        command.update({k: more.pop(k) for k in ("guards", "ns", "reason") if k in more})
        return self.call("txn", {"command": pack(command), **more})


def request_bytes(method, params, n):
    if method == "txn":
        params = {"command": pack({"v": 1, "ops": params["ops"]})}
    return frame([0, n, method, params])


def load(address, seconds, connections, in_flight, method, params):
    done = [0] * connections
    end = time.time() + seconds
    errors = []

    def run(k):
        c = Client(address)
        one = request_bytes(method, params, 5)
        c.sock.sendall(one * in_flight)
        buf = b""
        while time.time() < end:
            buf += c.sock.recv(1 << 20)
            got = at = 0
            while len(buf) - at >= 4:
                n = struct.unpack_from(">I", buf, at)[0]
                if len(buf) - at < 4 + n:
                    break
                if not errors and got == 0:
                    m, _ = unpack(buf[at + 4:at + 4 + n])
                    if m[2] is not None:
                        errors.append(m)
                at += 4 + n
                got += 1
            buf = buf[at:]
            done[k] += got
            c.sock.sendall(one * got)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"{sum(done) / seconds:.0f}/s", errors[:1])


def main():
    address, method = sys.argv[1:3]
    if method == "load":
        seconds, connections, in_flight = (int(x) for x in sys.argv[3:6])
        params = json.loads(sys.argv[7]) if len(sys.argv) > 7 else {}
        load(address, seconds, connections, in_flight, sys.argv[6], params)
        return
    params = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    c = Client(address)
    if method == "hello":
        print(json.dumps(c.hello))
        return
    error, result = c.txn(**params) if method == "txn" else c.call(method, params)
    print(json.dumps({"error": error} if error else result, indent=1))


if __name__ == "__main__":
    main()
