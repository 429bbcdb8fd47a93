"""Logs that are cut, and nodes that fetch from others what their log no longer holds."""

import os
import socket
import struct

import wire
from cluster import Case, Cluster, Writers, folder_bytes, until

SMALL = {'log_bytes': '1MiB', 'archive_bytes': '32MiB'}
# A log of 1 MiB: what is kept behind a snapshot, what comes until the next tick and while the
# snapshot is written, and raft_uv's segments of 8 MiB, of which three are prepared.
LOG_MEMORY_MAX = 16 << 20
LOG_DISK_MAX = 80 << 20


def status(node):
    with node.client(timeout=10) as c:
        return c.status()


def fill(cluster, rng, mib, prefix):
    """Writes about so many MiB in transactions of half a MiB."""
    session = cluster.sessions(1, rng)[0]
    names = []
    for i in range(mib * 2):
        ops = []
        for j in range(8):
            name = f'{prefix}{i}-{j}'
            names.append(name)
            ops.append({**wire.artifact(name), 'description': rng.randbytes(32000).hex()[:60000]})
        session.txn(ops)
    session.close()
    return names


def has_received(node, part):
    """Whether the node has got so much of a copy; also when it is done."""
    with node.client(timeout=5) as c:
        s = c.status()
    got = s['catch_up']
    return s['log']['snapshot'] > 0 or (got['bytes_total'] > 0 and
                                        got['bytes'] >= part * got['bytes_total'])


def check_there(case, node, names):
    with node.client(timeout=30) as c:
        for begin in range(0, len(names), 500):
            part = names[begin:begin + 500]
            things = c.get(*(f'artifact/{n}' for n in part), view='heads')['data']
            for name, thing in zip(part, things):
                case.assertNotIn('error', thing, f'node {node.number}: {name}')


class Bounds(Case):
    cost_s = 20

    def test_log_and_archive_stay_within_their_bounds(self):
        with Cluster(3, **SMALL) as c:
            for part in range(4):
                fill(c, self.rng, 20, f'b{part}-')
                for node in c.running():
                    s = status(node)
                    self.assertLess(s['log']['bytes'], LOG_MEMORY_MAX, s['log'])
                    self.assertLess(s['archive']['bytes'], 34 << 20, s['archive'])
            for node in c.running():
                s = status(node)
                self.assertGreater(s['log']['snapshots'], 5)
                self.assertGreater(s['log']['first'], 1)
                self.assertGreater(s['archive']['base'], 0, 'the oldest segments went')
                self.assertLess(folder_bytes(node.folder / 'data/raft'), LOG_DISK_MAX)
                self.assertLess(folder_bytes(node.folder / 'data/archive'), 34 << 20)
            c.digests()

    def test_a_node_restarts_behind_a_snapshot(self):
        with Cluster(3, **SMALL) as c:
            names = fill(c, self.rng, 8, 'r')
            for node in list(c.nodes):
                self.assertEqual(node.terminate(), 0)
                node.start()
                c.ready()
            c.kill_all()
            c.start()
            for node in c.running():
                check_there(self, node, names)
            c.digests()


class Behind(Case):
    cost_s = 60

    def test_a_follower_behind_the_log_comes_back_from_an_archive(self):
        with Cluster(3, **SMALL) as c:
            fill(c, self.rng, 2, 'a')
            late = c.followers()[0]
            late.kill()
            names = fill(c, self.rng, 10, 'b')
            late.start()
            c.digests(60)
            s = status(late)
            self.assertEqual(s['catch_up']['copies'], 0, 'the archive reached back')
            self.assertEqual(s['catch_up']['refused'], 0)
            self.assertIn('dropped', s['catch_up'])
            check_there(self, late, names)

    def test_a_follower_behind_the_archives_gets_a_copy_killed_or_not(self):
        with Cluster(3, **SMALL, catch_up_rate_bytes='16MiB') as c:
            late = c.followers()[0]
            fill(c, self.rng, 2, 'a')
            late.kill()
            names = fill(c, self.rng, 60, 'b')
            with Writers(c, 4, self.rng) as writers:
                for part in (0.0, 0.2, 0.5, 0.8):
                    late.start()
                    until(lambda part=part: has_received(late, part),
                          f'{part:.0%} of the copy were received', 60)
                    late.kill()
                late.start()
                until(lambda: status(late)['log']['snapshot'] > 0, 'the copy is installed', 90)
                writers.wait_acked(len(writers.acked) + 200)
                writers.stop()
                c.digests(60)
                writers.check(self)
                check_there(self, late, names)
            folders = sorted(p.name for p in (late.folder / 'data/store').iterdir() if p.is_dir())
            self.assertEqual(len(folders), 1, f'the former store is gone: {folders}')

    def test_the_source_dies_while_it_gives_a_copy(self):
        with Cluster(3, **SMALL, catch_up_rate_bytes='8MiB') as c:
            late = c.followers()[0]
            fill(c, self.rng, 2, 'a')
            late.kill()
            names = fill(c, self.rng, 50, 'b')
            late.start()
            source = until(lambda: status(late)['catch_up']['bytes'] > 0 and
                           status(late)['catch_up']['source'], 'a copy is on its way', 30)
            c[source].kill()
            c[source].start()
            c.digests(90)
            check_there(self, late, names)


class Strangers(Case):
    """Bytes on the peer port."""

    def send(self, node, data):
        host, port = node.peer_address.rsplit(':', 1)
        with socket.create_connection((host, int(port)), timeout=5) as s:
            s.sendall(data)
            s.settimeout(10)
            try:
                while s.recv(65536):
                    pass
            except (ConnectionResetError, BrokenPipeError):
                pass

    def test_garbage_oversized_and_foreign_connections_are_refused_and_counted(self):
        with Cluster(3) as c:
            node = c[1]
            frame = struct.pack('<II', 0xffffffff, 0) + bytes(8)
            rss = node.rss_kb()
            for _ in range(20):
                self.send(node, os.urandom(4096))
                self.send(node, frame)
            refused = status(node)['refused']
            self.assertGreaterEqual(refused['handshake'], 40, refused)
            self.assertLess(node.rss_kb(), rss + 4096)
            told = node.log_text().count('does not begin as a member')
            self.assertEqual(told, 1, 'told once a minute')
            session = c.sessions(1, self.rng)[0]
            session.txn([wire.artifact('after')])
            session.close()
            c.digests()
