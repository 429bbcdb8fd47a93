"""The story in docs/tour.md happens as it is told there.

Each line of a ```console block that begins with "$ " is run, with what is indented below it after a
"\\" or belongs to a here-document, by one shell from the first block to the last; what follows it in
the page is what it must print, errors included. Seconds are not compared, dates are: a comment
<!-- clock: 2026-03-02 09:00 --> restarts the nodes on that morning.

    tests/integration/test_tour.py --write      puts what the commands print now into the page
"""

import calendar
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from cluster import ROOT, Case, Cluster, clade, clean_environment

PAGE = ROOT / 'docs' / 'tour.md'
SHIM = pathlib.Path(__file__).resolve().parent / 'shifted_clock.c'
CLOCK = re.compile(r'<!-- clock: (\S+ \S+) -->')
MARK = '--end-of-command--'
TIMEOUT_S = 60


class Command:
    """Lines of the page from `at` to `end`: what is typed, then what is printed."""

    def __init__(self, at, typed):
        self.at = at
        self.typed = typed
        self.printed = []
        self.output_at = at + len(typed)

    def text(self):
        return '\n'.join([self.typed[0][2:], *self.typed[1:]])


def ends_here_document(typed):
    """Whether the lines so far are whole."""
    begun = re.search(r"<<'(\w+)'", typed[0])
    if begun:
        return typed[-1] == begun.group(1)
    return not typed[-1].endswith('\\')


def steps(lines):
    """What the page has us do, in order: a Command, or the time that it becomes."""
    inside, command = False, None
    for at, line in enumerate(lines):
        clock = CLOCK.fullmatch(line)
        if clock:
            yield clock.group(1)
        elif line.startswith('```'):
            inside = not inside and line == '```console'
            if command:
                yield command
            command = None
        elif inside and command and not ends_here_document(command.typed):
            command.typed.append(line)
            command.output_at = at + 1
        elif inside and line.startswith('$ '):
            if command:
                yield command
            command = Command(at, [line])
        elif inside:
            command.printed.append(line)


def comparable(lines):
    """Without the time of day, without blanks at the end."""
    return re.sub(r'(\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d', r'\1 hh:mm:ss',
                  '\n'.join(line.rstrip() for line in lines).rstrip())


class Shell:
    """One bash for the whole page."""

    def __init__(self, environment, folder):
        self.process = subprocess.Popen(['bash', '--norc'], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=environment, cwd=folder)

    def run(self, text):
        """What it prints."""
        # The mark leaves $? to the next command as it was.
        self.process.stdin.write(f'{text}\n(code=$?; echo {MARK}; exit $code)\n')
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            if line.rstrip('\n').endswith(MARK):
                break
            printed.append(line.rstrip('\n').rstrip())
        while printed and not printed[-1]:
            printed.pop()
        return printed

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(TIMEOUT_S)


class Story:
    """A cluster in which it is the day that the page says, and the shell of those who work there."""

    def __init__(self, folder):
        self.shim = str(folder / 'shifted_clock.so')
        subprocess.run(['cc', '-shared', '-fPIC', '-O', '-o', self.shim, str(SHIM)], check=True)
        self.cluster = Cluster(start=False)
        environment = clean_environment(
            CLADE_ENDPOINTS=self.cluster.endpoints(), HOME=str(self.cluster.folder), TZ='UTC',
            PATH=f'{pathlib.Path(clade()).parent}:{os.environ["PATH"]}')
        self.shell = Shell(environment, folder)

    def begin_day(self, text):
        now = calendar.timegm(time.strptime(text, '%Y-%m-%d %H:%M'))
        shift = str(now - int(time.time()))
        if any(n.alive() for n in self.cluster.nodes):
            self.cluster.terminate_all()
        self.cluster.environment.update(LD_PRELOAD=self.shim, CLOCK_SHIFT_S=shift)
        self.cluster.start()
        self.shell.run(f'export CLOCK_SHIFT_S={shift}; '
                       f'clade() {{ LD_PRELOAD={self.shim} command clade "$@"; }}')

    def close(self):
        self.shell.close()
        self.cluster.close()


def play(folder, on_command):
    """Runs the page; on_command gets each Command and what it printed."""
    story = Story(folder)
    try:
        for step in steps(PAGE.read_text(encoding='utf-8').split('\n')):
            if isinstance(step, Command):
                on_command(step, story.shell.run(step.text()))
            else:
                story.begin_day(step)
        story.cluster.digests()
    finally:
        story.close()


@unittest.skipUnless(shutil.which('cc') and shutil.which('bash'), 'without cc or bash')
class Tour(Case):
    cost_s = 20

    def test_the_tour_goes_as_it_is_told(self):
        seen = []

        def compare(command, printed):
            seen.append(command)
            with self.subTest(command.text()):
                self.assertEqual(comparable(printed), comparable(command.printed))
        with tempfile.TemporaryDirectory(prefix='clade-tour-') as folder:
            play(pathlib.Path(folder), compare)
        self.assertGreater(len(seen), 40)


def write():
    lines = PAGE.read_text(encoding='utf-8').split('\n')
    runs = []
    with tempfile.TemporaryDirectory(prefix='clade-tour-') as folder:
        play(pathlib.Path(folder), lambda command, printed: runs.append((command, printed)))
    for command, printed in reversed(runs):
        lines[command.output_at:command.output_at + len(command.printed)] = printed
    PAGE.write_text('\n'.join(lines), encoding='utf-8')


if __name__ == '__main__':
    if sys.argv[1:] == ['--write']:
        write()
    else:
        sys.exit(__doc__)
