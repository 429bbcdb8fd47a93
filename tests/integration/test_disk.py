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


class Short(Case):
    """Too little room, of the disk or of the map: refused early, and it clears by itself."""
    cost_s = 60
    IMAGE_BYTES = TMPFS_BYTES

    def mount(self, node, kind):
        """Gives the node's data a small file system of that kind."""
        if os.geteuid() != 0:
            self.skipTest('mounting a small file system needs root')
        kept = node.folder / 'kept'
        node.data.rename(kept)
        node.data.mkdir()
        words = ['mount', '-t', 'tmpfs', '-o', f'size={self.IMAGE_BYTES}', 'tmpfs', str(node.data)]
        if kind == 'ext4':
            image = node.folder / 'image'
            with open(image, 'wb') as f:
                f.truncate(self.IMAGE_BYTES)
            subprocess.run(['mkfs.ext4', '-q', '-F', str(image)], check=True)
            words = ['mount', '-o', 'loop', str(image), str(node.data)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f'no {kind} can be mounted: {done.stderr.strip()}')
        self.addCleanup(self.unmount, node)
        subprocess.run(['cp', '-a', f'{kept}/.', str(node.data)], check=True)
        node.write_config(headroom_bytes='16MiB', map_bytes='1GiB')

    def unmount(self, node):
        node.kill()
        subprocess.run(['umount', str(node.data)], capture_output=True, check=False)

    def fill(self, node, leave):
        s = os.statvfs(node.data)
        with open(node.data / 'ballast', 'wb') as f:
            left = s.f_bavail * s.f_frsize - leave
            while left > 0:
                left -= f.write(b'x' * min(left, 1 << 20))
            f.flush()
            os.fsync(f.fileno())

    def create(self, node, name, **fields):
        """What it is answered: OK, or the error."""
        with node.client(timeout=20) as client:
            try:
                client.txn([wire.artifact(name, **fields)], deadline_ms=10000)
                return 'OK', ''
            except wire.Failure as e:
                return e.code, str(e)

    def refused(self, node, says):
        """Waits until writes at the node are refused; what is said of it."""
        names = (f'probe-{node.number}-{i}' for i in range(100000))

        def look():
            code, text = self.create(node, next(names))
            self.assertIn(code, ('OK', 'NO_SPACE'), text)
            return text if code == 'NO_SPACE' else None
        text = until(look, 'writes are refused', 30)
        self.assertRegex(text, says)
        self.assertIn('(runbook: disk full)', text)

    def taken(self, cluster, name):
        until(lambda: self.create(cluster[1], name, if_exists='return')[0] == 'OK',
              'writes are taken again', 30)

    def reads_go_on(self, cluster, name):
        for node in cluster.nodes:
            with node.client() as client:
                self.assertNotIn('error', client.get(f'artifact/{name}')['data'][0])

    def alarms(self, cluster):
        found = {}
        for node in cluster.nodes:
            with node.client() as client:
                found[node.number] = ' '.join(client.status()['alarms'])
        return found

    def check_disk(self, kind, short):
        c = Cluster(start=False)
        self.addCleanup(c.close)
        for number in short:
            self.mount(c[number], kind)
        c.start()
        if c.leader() is not c[short[0] if len(short) == 1 else 1]:
            self.run_cli(c, 'cluster', 'leader', 'transfer', short[0] if len(short) == 1 else 1)
            until(lambda: c.leader() is c[short[0] if len(short) == 1 else 1], 'it leads')
        with Writers(c, 2, self.rng, patience=120) as writers:
            writers.wait_acked(50)
            for name in ('kept', 'gone'):
                self.assertEqual(self.create(c[1], name)[0], 'OK')
            for number in short:
                self.fill(c[number], 12 << 20)
            names = '|'.join(map(str, short))
            for node in c.nodes:
                self.refused(node, rf'the disk of node ({names}) is nearly full: 1\d\.\d MiB are '
                             rf'free and 16\.0 MiB are needed; free space on .*; deletes, purges')
            self.reads_go_on(c, 'kept')
            for node in c.nodes:
                self.assertEqual('the disk is nearly full' in self.alarms(c)[node.number],
                                 node.number in short)
            with c[1].client(timeout=20) as client:
                client.txn([{'op': 'delete', 'ref': 'artifact/gone'}])
            self.assertTrue(all(node.alive() for node in c.nodes))
            for number in short:
                (c[number].data / 'ballast').unlink()
            self.taken(c, 'after')
            writers.wait_acked(len(writers.acked) + 50)
            writers.stop()
            writers.check(self)
        c.digests(40)
        until(lambda: set(self.alarms(c).values()) == {''}, 'no alarm is left')

    def test_a_leader_short_of_disk_refuses_early_and_goes_on_by_itself_on_tmpfs(self):
        self.check_disk('tmpfs', [3])

    def test_a_leader_short_of_disk_refuses_early_and_goes_on_by_itself_on_ext4(self):
        self.check_disk('ext4', [3])

    def test_a_majority_short_of_disk_refuses_early_and_goes_on_by_itself_on_tmpfs(self):
        self.check_disk('tmpfs', [2, 3])

    def test_a_majority_short_of_disk_refuses_early_and_goes_on_by_itself_on_ext4(self):
        self.check_disk('ext4', [2, 3])

    def test_a_full_map_is_refused_early_and_purges_make_room_without_a_restart(self):
        with Cluster(map_bytes='32MiB') as c:
            made = []
            while True:
                name = f'big-{len(made)}'
                code, text = self.create(c[1], name, description=self.rng.randbytes(15000).hex())
                if code != 'OK':
                    break
                made.append(name)
                self.assertLess(len(made), 2000, 'a map of 32 MiB holds no such much')
            self.assertEqual(code, 'NO_SPACE', text)
            self.assertRegex(text, r'the store of node \d is nearly full: \d\.\d MiB of its map are '
                             r'left and 4\.0 MiB are needed; raise its map_bytes and restart it; '
                             r'deletes, purges and compaction are still taken and make room')
            self.reads_go_on(c, made[-1])
            until(lambda: all("the store's map is nearly full" in a
                              for a in self.alarms(c).values()), 'each says so')
            with c[1].client(timeout=20) as client:
                for name in made[:len(made) * 3 // 4]:
                    client.txn([{'op': 'delete', 'ref': f'artifact/{name}'}])
                    client.txn([{'op': 'purge', 'ref': f'artifact/{name}'}])
            self.taken(c, 'after')
            self.reads_go_on(c, made[-1])
            self.assertTrue(all(node.alive() for node in c.nodes))
            c.digests(40)


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
