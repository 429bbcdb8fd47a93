"""The store against a second, plain implementation of what clade means: tests/model, for a while."""

import pathlib
import subprocess
import sys
import unittest

import cluster

RUN = cluster.ROOT / 'tests' / 'model' / 'run'
SECONDS = 30


class TheStoreAndThePlainModel(cluster.Case):
    cost_s = SECONDS

    def test_they_give_the_same_answers(self):
        done = subprocess.run(
            [sys.executable, RUN, '--seconds', str(SECONDS), '--operations', '1000000', '--seed',
             str(cluster.SEED), '--build', str(pathlib.Path(cluster.BUILD))],
            capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-20000:] + done.stderr[-4000:])
        self.assertIn('answers compared', done.stdout)


if __name__ == '__main__':
    unittest.main()
