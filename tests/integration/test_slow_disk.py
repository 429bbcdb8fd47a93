"""A disk that does not end a write: the node says so, and the others go on."""

import os
import subprocess

from cluster import Case, Writers, until
from test_metrics import MetricsCluster, get, scrape

IMAGE_BYTES = 160 << 20


class Frozen(Case):
    """One node's data on a file system that can be frozen (as root)."""
    cost_s = 20

    def run_root(self, *words):
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            self.skipTest(f'{words[0]}: {done.stderr.strip()}')

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('mounting a file system needs root')
        self.cluster = MetricsCluster(start=False)
        self.addCleanup(self.cluster.close)
        self.victim = self.cluster[3]
        kept = self.victim.folder / 'kept'
        image = self.victim.folder / 'image'
        self.victim.data.rename(kept)
        self.victim.data.mkdir()
        with open(image, 'wb') as f:
            f.truncate(IMAGE_BYTES)
        self.run_root('mkfs.ext4', '-q', '-F', str(image))
        self.run_root('mount', '-o', 'loop', str(image), str(self.victim.data))
        self.addCleanup(self.unmount)
        subprocess.run(['cp', '-a', f'{kept}/.', str(self.victim.data)], check=True)
        self.victim.write_config(metrics_listen=self.victim.metrics, headroom_bytes='16MiB',
                                 map_bytes='1GiB')
        self.cluster.start()

    def unmount(self):
        self.thaw()
        self.victim.kill()
        subprocess.run(['umount', str(self.victim.data)], capture_output=True, check=False)

    def thaw(self):
        subprocess.run(['fsfreeze', '-u', str(self.victim.data)], capture_output=True, check=False)

    def slow(self):
        return scrape(self.victim)['clade_alarm{alarm="slow_disk"}']

    def test_a_node_whose_disk_hangs_says_so_and_the_others_go_on(self):
        with Writers(self.cluster, 2, self.rng, patience=60) as writers:
            writers.wait_acked(50)
            self.assertEqual(self.slow(), 0)
            if self.cluster.leader() is self.victim:
                self.run_cli(self.cluster, 'cluster', 'leader', 'transfer')
            self.run_root('fsfreeze', '-f', str(self.victim.data))
            until(lambda: self.slow() == 1, 'it says that its disk hangs', 30)
            # What needs the store hangs with it: whether it still answers clients is open.
            status = self.run_cli(self.cluster, 'cluster', 'status').stdout
            self.assertRegex(status, rf'\n  node {self.victim.number}: (no answer|the disk has been '
                                     r'at a write for more than 5 s \(runbook: slow disk\))')
            self.assertEqual(get(self.victim, '/livez')[0], 200)
            writers.wait_acked(len(writers.acked) + 50)
            self.thaw()
            until(lambda: self.slow() == 0, 'the disk is well again', 30)
            writers.stop()
            writers.check(self)
        self.cluster.digests(40)
