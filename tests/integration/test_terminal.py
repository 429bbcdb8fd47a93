"""What a person sees: tables that fit the terminal, and whole ones in a pipe; every example of help."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import unicodedata
import unittest

from cluster import Case, Cluster, clade, clean_environment


def cells(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in 'WF' else 1
               for c in text)


class Tables(Case):
    cost_s = 10

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(n=1)
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.cli('artifact', 'create', 'plain', '--description', 'short')
        cls.cluster.cli('artifact', 'create', '模型' * 40, '--description', 'a\u0301' * 200)
        cls.cluster.cli('artifact', 'create', 'x' * 300, '--owner', 'o' * 100)

    def on_terminal(self, columns, *words, **more):
        """What a command prints on a terminal of that width."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        env = clean_environment(CLADE_ENDPOINTS=self.cluster.endpoints(), TERM='xterm', **more)
        done = subprocess.Popen([clade(), *words], stdin=slave, stdout=slave, stderr=slave,
                                env=env)
        os.close(slave)
        seen = b''
        try:
            while chunk := os.read(master, 65536):
                seen += chunk
        except OSError:
            pass  # the other end is closed
        os.close(master)
        self.assertEqual(done.wait(30), 0)
        return re.sub('\x1b\\[[0-9;]*m', '', seen.decode()).replace('\r\n', '\n')

    def test_no_row_is_wider_than_the_terminal(self):
        for columns in (60, 80, 133):
            for locale in ('C.UTF-8', 'C'):
                text = self.on_terminal(columns, 'artifact', 'list', LC_ALL=locale)
                widths = [cells(line) for line in text.splitlines()]
                self.assertEqual(len(widths), 4, text)
                self.assertLessEqual(max(widths), columns, text)
                self.assertGreater(max(widths), columns - 3, text)
                self.assertIn('…', text)

    def test_columns_stand_below_each_other(self):
        for columns in (61, 62, 80):
            lines = self.on_terminal(columns, 'artifact', 'list', LC_ALL='C.UTF-8').splitlines()
            dates = {cells(line[:m.start()]) for line in lines
                     if (m := re.search(r'\d{4}-\d\d-\d\d', line))}
            self.assertEqual(dates, {lines[0].index('CHANGED')}, lines)

    def test_nothing_is_cut_in_a_pipe(self):
        text = self.run_cli(self.cluster, 'artifact', 'list').stdout
        self.assertNotIn('…', text)
        for part in ('模型' * 40, 'a\u0301' * 200, 'x' * 300, 'o' * 100):
            self.assertIn(part, text)


if __name__ == '__main__':
    unittest.main()
