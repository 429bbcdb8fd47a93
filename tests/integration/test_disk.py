"""Disks that fill up and bytes that flip."""

import os
import pathlib
import re
import subprocess
import time

import wire
from cluster import Case, Cluster, Writers, until

TMPFS_BYTES = 160 << 20


class Full(Case):
    """One node's data on a small file system of its own."""
    cost_s = 60

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('mounting a small file system needs root')
        self.cluster = Cluster(start=False)
        self.addCleanup(self.cluster.close)
        self.victim = self.cluster[3]
        kept = self.victim.folder / 'kept'
        self.victim.data.rename(kept)
        self.victim.data.mkdir()
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={TMPFS_BYTES}', 'tmpfs',
                               str(self.victim.data)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f'no small file system can be mounted: {done.stderr.strip()}')
        self.addCleanup(self.unmount)
        subprocess.run(['cp', '-a', f'{kept}/.', str(self.victim.data)], check=True)
        self.victim.write_config(headroom_bytes='16MiB', map_bytes='1GiB')
        self.cluster.start()
        self.ballast = self.victim.data / 'ballast'

    def unmount(self):
        self.victim.kill()
        subprocess.run(['umount', str(self.victim.data)], capture_output=True, check=False)

    def fill(self, leave):
        free = os.statvfs(self.victim.data).f_bavail * 4096
        with open(self.ballast, 'wb') as f:
            left = max(0, free - leave)
            while left > 0:
                left -= f.write(b'x' * min(left, 1 << 20))

    def heal(self, writers):
        """Room again: the node serves, restarted if it stopped, and holds what the others hold."""
        self.ballast.unlink()
        if not self.victim.alive():
            self.victim.start()
        self.cluster.ready(40)
        writers.check(self)
        self.cluster.digests(40)

    def big_writes(self, n, skip=()):
        """Enough bytes to fill what is left; the answers' classes."""
        codes = {}
        node = [x for x in self.cluster.nodes if x not in skip][0]
        with node.client(timeout=30) as client:
            for i in range(n):
                try:
                    client.txn([wire.artifact(f'big-{time.monotonic_ns()}',
                                              description=self.rng.randbytes(30000).hex())],
                               deadline_ms=10000)
                    code = 'OK'
                except wire.Failure as e:
                    code = e.code
                codes[code] = codes.get(code, 0) + 1
        return codes

    def test_a_follower_on_a_full_disk_stops_or_refuses_and_the_cluster_goes_on(self):
        c = self.cluster
        if c.leader() is self.victim:
            self.run_cli(c, 'cluster', 'leader', 'transfer', 1)
            until(lambda: c.leader() is c[1], 'another leads')
        with Writers(c, 4, self.rng, patience=60) as writers:
            writers.wait_acked(100)
            self.fill(2 << 20)
            codes = self.big_writes(300, skip=(self.victim,))
            self.assertGreater(codes.get('OK', 0), 290, codes)
            writers.wait_acked(len(writers.acked) + 200)
        self.said()
        self.heal(writers)

    def test_a_leader_on_a_full_disk_loses_nothing(self):
        c = self.cluster
        if c.leader() is not self.victim:
            self.run_cli(c, 'cluster', 'leader', 'transfer', 3)
            until(lambda: c.leader() is self.victim, 'it leads')
        with Writers(c, 4, self.rng, patience=90) as writers:
            writers.wait_acked(100)
            self.fill(2 << 20)
            codes = self.big_writes(150)
            self.assertTrue(set(codes) <= {'OK', 'NO_SPACE', 'UNKNOWN', 'UNAVAILABLE', 'RETRY'},
                            codes)
            # Reads go on wherever a node lives.
            for node in c.running():
                with node.client() as client:
                    client.call('describe', {'consistency': 'local'})
            self.said()
            self.ballast.unlink()
            writers.wait_acked(len(writers.acked) + 100)
            self.ballast.touch()
        self.heal(writers)

    def said(self):
        """The node said what was wrong, and did not crash."""
        until(lambda: re.search(r'(?i)space|full|NO_SPACE', self.victim.log_text()),
              'the log speaks of space', 15)
        if not self.victim.alive():
            self.assertGreaterEqual(self.victim.process.returncode, 0,
                                    f'killed by a signal:\n{self.victim.log_tail()}')


class FlippedBytes(Case):
    cost_s = 30

    def written(self, cluster, n=3000):
        with cluster[1].client(timeout=30) as client:
            for begin in range(0, n, 500):
                client.pipeline([('txn', {'command': wire.command([
                    wire.artifact(f'flip-{i:06}', description='d' * 4000)])})
                    for i in range(begin, begin + 500)])
        cluster.digests()

    def test_a_flipped_byte_in_a_closed_segment_stops_the_node_and_names_the_file(self):
        with Cluster() as c:
            self.written(c)
            node = c.followers()[0]
            self.assertEqual(node.terminate(), 0)
            closed = sorted(p for p in (node.data / 'raft').iterdir()
                            if re.fullmatch(r'\d+-\d+', p.name))
            self.assertTrue(closed, 'no closed segment: write more')
            path = closed[len(closed) // 2]
            flip(path, path.stat().st_size // 2)
            node.start()
            code = node.wait_exit(30)
            self.assertGreater(code, 0, 'refused, not crashed')
            self.assertIn(path.name, node.log_text())
            flip(path, path.stat().st_size // 2)
            node.start()
            c.ready()
            c.digests()

    def test_a_flipped_byte_in_the_store_is_found_by_check(self):
        with Cluster() as c:
            self.written(c, 500)
            node = c.followers()[0]
            self.assertEqual(node.terminate(), 0)
            self.assertEqual(node.claded('check').returncode, 0)
            path = node.data / 'store' / '1' / 'data.mdb'
            at = [m.start() for m in re.finditer(rb'flip-000123', path.read_bytes())]
            self.assertTrue(at)
            found = 0
            for place in at:
                flip(path, place + 9)
                done = node.claded('check')
                self.assertIn(done.returncode, (0, 1, 3), done.stderr)
                if done.returncode:
                    found += 1
                    self.assertRegex(done.stdout + done.stderr, r'table \w+ does not match its checksum|sum|page')
                flip(path, place + 9)
            # Pages that were freed hold old copies, which nobody reads.
            self.assertGreater(found, 0, f'none of {len(at)} flips was found')
            self.assertEqual(node.claded('check').returncode, 0)

    def test_a_truncated_store_file_is_refused_and_crashes_nothing(self):
        with Cluster() as c:
            self.written(c, 500)
            node = c.followers()[0]
            self.assertEqual(node.terminate(), 0)
            path = node.data / 'store' / '1' / 'data.mdb'
            kept = path.read_bytes()
            for data in (b'', kept[:100], b'\0' * len(kept), kept[:4096] * 2,
                         kept[:len(kept) // 2 // 4096 * 4096]):
                path.write_bytes(data)
                done = node.claded('check')
                self.assertIn(done.returncode, (0, 1, 2, 3),
                              f'{len(data)} bytes: {done.stderr[-500:]}')
                if done.returncode:
                    self.assertNotEqual(done.stderr.strip(), '')
            path.write_bytes(kept)
            node.start()
            c.ready()


def flip(path: pathlib.Path, at):
    with open(path, 'r+b') as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes((byte ^ 0x10,)))
