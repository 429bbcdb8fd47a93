"""A short soak: tests/soak/README.md says what is done and what must hold."""

import subprocess
import sys

from cluster import BUILD, Case, ROOT

MINUTES = 0.4
TIMEOUT_S = 240


class SoakCase(Case):
    def soak(self, *flags):
        process = subprocess.Popen(
            [sys.executable, str(ROOT / 'tests' / 'soak' / 'run'), '--minutes', str(MINUTES),
             '--gap', '1', '--seed', str(self.rng.randrange(1 << 24)), '--build', str(BUILD),
             *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            out, _ = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.terminate()  # it ends its nodes
            process.wait(60)
        self.assertEqual(process.returncode, 0, out[-20000:])
        said = dict(line.split('  ', 1) for line in out.splitlines() if '  ' in line)
        for what in ('leaders killed', 'snapshots seen', 'copies received', 'version'):
            self.assertGreater(int(said[what].strip().replace(',', '')), 0, out)
        print(f'note: soak: {said["leaders killed"].strip()} leaders killed, longest without a '
              f'write {said["longest without a write"].strip()}')


class FixedMembers(SoakCase):
    cost_s = 30

    def test_a_mixed_load_under_faults_violates_nothing(self):
        self.soak()


class ChangingMembers(SoakCase):
    cost_s = 35

    def test_nor_does_it_while_members_come_and_go(self):
        self.soak('--members')
