"""Manual pages and what shells complete: made from the tables, and right for the real programs."""

import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from cluster import BUILD, Case, clade, clean_environment

MAN = BUILD / 'client/cli/man'
DEADLINE_S = 15


def needs(program):
    return unittest.skipUnless(shutil.which(program), f'without {program}')


def commands():
    """Of `clade help`: their words."""
    text = subprocess.run([clade(), 'help'], capture_output=True, text=True, check=True).stdout
    block = text.split('Commands:\n')[1].split('\n\n')[0]
    return re.findall(r'^  (\S+(?: \S+)*)(?:  .*)?$', block, re.MULTILINE)


@unittest.skipUnless((MAN / 'stamp').is_file(), 'the manual pages were not built')
class Manual(Case):
    cost_s = 10

    def pages(self):
        return sorted(p for p in MAN.rglob('*.[1-8]')) + [BUILD / 'node/claded.8']

    def test_each_command_has_a_page(self):
        names = {p.name for p in self.pages()}
        wanted = {f'clade-{c.replace(" ", "-")}.1' for c in commands()}
        self.assertGreater(len(wanted), 80)
        self.assertEqual(names - wanted, {'clade.1', 'clade-config.5', 'clade-concepts.7',
                                          'claded.8'})
        self.assertEqual(wanted - names, set())

    @needs('mandoc')
    def test_mandoc_finds_nothing_wrong(self):
        done = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', *map(str, self.pages())],
                              capture_output=True, text=True, check=False)
        # The pages have no day: they change with the tables.
        self.assertEqual([line for line in done.stdout.splitlines()
                          if 'missing date' not in line], [])

    @needs('man')
    @needs('groff')
    def test_man_warns_of_nothing(self):
        for page in self.rng.sample(self.pages(), 12):
            done = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', str(page)],
                                  capture_output=True, text=True, check=False,
                                  env={**os.environ, 'MANWIDTH': '80', 'LC_ALL': 'C.UTF-8'})
            self.assertEqual((done.returncode, done.stderr), (0, ''), page)
            # An example must be copied as it is, with no other dashes and quotes.
            self.assertNotRegex(done.stdout, '[\u2010-\u2019]--|\u2018|\u2019', page)

    @needs('mandoc')
    def test_the_pages_say_what_help_says(self):
        text = subprocess.run(['mandoc', '-T', 'ascii', '-O', 'width=300',
                               str(MAN / 'man1/clade-version-promote.1')],
                              capture_output=True, text=True, check=True).stdout
        text = re.sub('.\b', '', text)
        told = subprocess.run([clade(), 'help', 'version', 'promote'], capture_output=True,
                              text=True, check=True).stdout
        own = told.split('Flags of every command')[0].split('Flags:\n')[1]
        for flag, meaning in re.findall(r'(--\S+ ?\S*)\s+(\S.*)', own):
            self.assertIn(flag, text)
            self.assertIn(meaning, text)
        for example in told.split('Examples:\n')[1].splitlines():
            self.assertIn(example.strip(), text)


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, words, env):
        self.seen = ''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, env)

    def wait_for(self, pattern):
        end = time.monotonic() + DEADLINE_S
        while not re.search(pattern, self.seen):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f'no {pattern!r} in {self.seen!r}')
            self.seen += os.read(self.fd, 65536).decode(errors='replace')

    def type(self, text):
        self.seen = ''
        os.write(self.fd, text.encode())

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


# What is typed, and what the line is after a TAB.
LINES = (('clade artif', 'clade artifact '),
         ('clade artifact cre', 'clade artifact create '),
         ('clade artifact create --descr', 'clade artifact create --description '),
         ('clade -n vision run lis', 'clade -n vision run list '),
         ('clade --write=nd', 'clade --write=ndjson '),
         ('clade -w js', 'clade -w json '),
         ('clade get exper', 'clade get experiment/'),
         ('clade link version/a/1 trained', 'clade link version/a/1 trained_on '),
         ('clade lineage up --kinds artifact,dep', 'clade lineage up --kinds artifact,deployment '),
         ('clade txn relea', 'clade txn release.json '))


class Completion(Case):
    cost_s = 20

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='clade-shells-'))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / 'release.json').write_text('{}')
        self.env = clean_environment(
            HOME=str(self.folder), TERM='dumb', LC_ALL='C.UTF-8', PS1='> ',
            PATH=f'{pathlib.Path(clade()).parent}:{os.environ["PATH"]}')

    def script(self, shell):
        done = subprocess.run([clade(), 'completion', shell], capture_output=True, text=True,
                              check=True)
        path = self.folder / f'clade.{shell}'
        path.write_text(done.stdout)
        return path

    def complete_all(self, terminal, clear):
        try:
            terminal.wait_for('ready')
            for typed, want in LINES:
                with self.subTest(typed):
                    terminal.type(clear + typed + '\t')
                    terminal.wait_for(re.escape(want[len(typed):]))
                    # The line as it is then: all of it is printed by the shell itself.
                    terminal.type('\x01echo "<\x05>"\r')
                    # zsh takes the space away again that it added.
                    space = ' ?' if want.endswith(' ') else ''
                    terminal.wait_for(re.escape(f'<{want.rstrip()}') + space + '>\r?\n')
        finally:
            terminal.close()

    def test_bash_completes(self):
        script = self.script('bash')
        terminal = Terminal(['bash', '--norc', '--noprofile', '-i'], self.env)
        terminal.type(f'cd {self.folder}; source {script}; echo re""ady\r')
        self.complete_all(terminal, '')

    @needs('zsh')
    def test_zsh_completes(self):
        script = self.script('zsh')
        terminal = Terminal(['zsh', '-f', '-i'], self.env)
        terminal.type(f'cd {self.folder}; bindkey -e; autoload -U compinit; compinit -D; '
                      f'source {script}; echo re""ady\r')
        self.complete_all(terminal, '')

    @needs('fish')
    def test_fish_completes(self):
        script = self.script('fish')
        for typed, want in LINES:
            with self.subTest(typed):
                done = subprocess.run(
                    ['fish', '--no-config', '-c', f'source {script}; complete -C "{typed}"'],
                    capture_output=True, text=True, check=True, env=self.env, cwd=self.folder)
                words = [line.split('\t')[0] for line in done.stdout.splitlines()]
                self.assertEqual(words, [want.rstrip().split(' ')[-1]])

    def test_a_shell_that_is_not_known_is_refused(self):
        done = subprocess.run([clade(), 'completion', 'tcsh'], capture_output=True, text=True,
                              check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (2, 'clade: "tcsh" is not bash, zsh or fish\n'))


if __name__ == '__main__':
    unittest.main()
