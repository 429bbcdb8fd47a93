"""Backups, the loss of everything, and restores, by the plain model: tests/model/drill, for a while."""

import pathlib
import subprocess
import sys
import unittest

import cluster

DRILL = cluster.ROOT / 'tests' / 'model' / 'drill'
ROUNDS = 4
SECONDS = 18  # after which no more rounds begin


class AllIsLost(cluster.Case):
    cost_s = 40

    def test_what_is_restored_is_the_plain_models_row_by_row_and_goes_on(self):
        done = subprocess.run(
            [sys.executable, DRILL, '--rounds', str(ROUNDS), '--seconds', str(SECONDS), '--seed',
             str(cluster.SEED), '--build', str(pathlib.Path(cluster.BUILD))],
            capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-20000:] + done.stderr[-4000:])
        self.assertIn('answers compared', done.stdout)


if __name__ == '__main__':
    unittest.main()
