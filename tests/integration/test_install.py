"""What a user's program gets: the installed header, library, pkg-config file and command."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

from cluster import BUILD, ROOT, Case, Cluster

EXAMPLES = ROOT / 'client' / 'examples'
EXAMPLE = EXAMPLES / 'register.c'


@unittest.skipUnless((BUILD / 'cmake_install.cmake').is_file() and shutil.which('cmake'),
                     'no build folder of cmake to install from')
class Install(Case):
    cost_s = 15

    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix='clade-install-'))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        subprocess.run(['cmake', '--install', str(BUILD)], check=True,
                       env={**os.environ, 'DESTDIR': str(cls.root)}, capture_output=True)

    def only(self, pattern):
        found = [p for p in self.root.rglob(pattern) if p.exists()]
        self.assertTrue(found, f'{pattern} was not installed')
        return found[0]

    def pkg_config(self, *words):
        folder = self.only('clade.pc').parent
        done = subprocess.run(['pkg-config', *words, 'clade'], capture_output=True, text=True,
                              check=True, env={**os.environ, 'PKG_CONFIG_PATH': str(folder)})
        return done.stdout.split()

    def test_one_header_and_the_programs_are_installed(self):
        headers = sorted(str(p.relative_to(self.root)) for p in self.root.rglob('*.h'))
        self.assertEqual(sorted(pathlib.Path(h).name for h in headers), ['clade.h', 'clade_limits.h'])
        for name in ('clade', 'claded', 'libclade.so', 'clade.pc', 'clade.1', 'claded.8',
                     'clade-config.5', 'clade-concepts.7', '_clade', 'clade.fish',
                     'bash-completion'):
            self.only(name)

    def test_the_library_has_a_soname_and_exports_clade_symbols_alone(self):
        library = self.only('libclade.so')
        done = subprocess.run(['nm', '-D', '--defined-only', str(library)], capture_output=True,
                              text=True, check=True)
        names = [line.split()[-1].split('@')[0] for line in done.stdout.splitlines()]
        self.assertGreater(len(names), 40)
        self.assertEqual([n for n in names if not n.startswith('clade_')], [])
        header = (ROOT / 'client/include/clade.h').read_text()
        declared = set(re.findall(r'CLADE_API[^;(]*?\*?(clade_\w+)\(', header))
        self.assertEqual(declared - set(names), set(), 'declared, and not exported')
        self.assertEqual(set(names) - declared, set(), 'exported, and not declared')
        done = subprocess.run(['readelf', '-d', str(library)], capture_output=True, text=True,
                              check=True)
        self.assertRegex(done.stdout, r'SONAME.*\[libclade\.so\.\d+\]')

    def test_the_header_compiles_alone_as_c_and_as_cxx(self):
        for compiler, standard in (('cc', 'c99'), ('cc', 'c17'), ('c++', 'c++11')):
            if not shutil.which(compiler):
                continue
            with self.subTest(f'{compiler} {standard}'):
                done = subprocess.run(
                    [compiler, '-x', 'c++' if compiler == 'c++' else 'c', f'-std={standard}',
                     '-Wall', '-Wextra', '-pedantic', '-Werror', '-fsyntax-only',
                     *self.pkg_config('--cflags'), '-'],
                    input='#include <clade.h>\nint main(void) { return 0; }\n', text=True,
                    capture_output=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)

    def built(self, name):
        """An example, built as a user would; warnings are errors."""
        program = self.root / name
        done = subprocess.run(['cc', '-std=gnu17', '-Wall', '-Wextra', '-Werror', '-o',
                               str(program), str(EXAMPLES / f'{name}.c'),
                               *self.pkg_config('--cflags', '--libs')],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return str(program)

    def started(self, cluster, program, *words, expect=0):
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=30,
                              check=False, env={
                                  'LD_LIBRARY_PATH': str(self.only('libclade.so').parent),
                                  'CLADE_ENDPOINTS': cluster.endpoints(),
                                  'PATH': os.environ['PATH'], 'HOME': str(cluster.folder)})
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    @unittest.skipUnless(EXAMPLE.is_file(), 'client/examples/register.c is not there')
    def test_the_example_is_built_through_pkg_config_and_registers_a_version(self):
        self.assertLess(EXAMPLE.read_text().count('\n'), 40, 'a program of under 40 lines')
        program = self.built('register')
        with socket.socket() as s:
            # The example talks to the default endpoint.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', 7400))
            except OSError:
                self.skipTest('something listens on port 7400 of this machine')
        with Cluster(first_port=7400) as c:
            for attempt in (1, 2):
                self.started(c, program)
                with c[1].client() as client:
                    models = client.call('list', {'kind': 'model'})['data']
                    versions = [v for m in models for v in client.call(
                        'list', {'kind': 'version', 'under': m['ref'], 'view': 'full',
                                 'with': ['edges']})['data']]
                    self.assertGreaterEqual(len(versions), 1, f'after run {attempt}')
                    self.assertTrue(any(v.get('edges') for v in versions), 'with its lineage')

    def test_the_examples_promote_with_compare_and_set_and_walk_lineage(self):
        promote, lineage = self.built('promote'), self.built('lineage')
        with Cluster() as c:
            self.run_cli(c, 'model', 'create', 'm')
            self.run_cli(c, 'version', 'create', 'm', 'm', 'm')
            self.run_cli(c, 'deployment', 'create', 'prod/eu')
            for begin, number in (('champion: 0 -> 1, token ', '1'),
                                  ('champion: 1 -> 3, token ', '3')):
                said = self.started(c, promote, 'm', number, 'prod/eu').stdout
                self.assertTrue(said.startswith(begin), said)
            versions = self.run_json(c, 'version', 'list', '--model', 'm')['data']
            self.assertEqual([v.get('stage') for v in versions], ['archived', None, 'production'])
            deployed = self.run_json(c, 'get', 'deployment/prod/eu')['data'][0]
            self.assertEqual([t['version'] for t in deployed['targets']], ['version/m/3'])
            refused = self.started(c, promote, 'm', '9', 'prod/eu', expect=1).stderr
            self.assertIn('model "m" has no version 9', refused)
            self.started(c, promote, 'm', expect=2)
            # More than a page: 1,200 artifacts that the version was trained on.
            names = [f'part-{i:04}' for i in range(1200)]
            self.run_cli(c, 'artifact', 'create', '-', stdin='\n'.join(names))
            self.run_cli(c, 'link', '-', stdin='\n'.join(
                f'version/m/3\ttrained_on\tartifact/{n}' for n in names))
            walked = self.started(c, lineage, 'up', 'version/m@champion', 'artifact').stdout
            self.assertEqual(walked.splitlines(), [f'1\tartifact/{n}\tlive' for n in names])
            down = self.started(c, lineage, 'down', 'artifact/part-0007').stdout
            self.assertEqual(down, '1\tversion/m/3\tlive\n')
            self.assertIn('there is no artifact "nope"',
                          self.started(c, lineage, 'up', 'artifact/nope', expect=1).stderr)

    def test_a_promotion_that_came_too_late_is_told_what_is_there(self):
        promote = self.built('promote')
        with Cluster() as c:
            self.run_cli(c, 'model', 'create', 'm')
            self.run_cli(c, 'version', 'create', *['m'] * 40)
            self.run_cli(c, 'deployment', 'create', 'prod')
            # All at once: each says what it saw, and whoever saw what is no more is refused.
            racers = [(n, subprocess.Popen(
                [promote, 'm', str(n), 'prod'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, env={'LD_LIBRARY_PATH': str(self.only('libclade.so').parent),
                                'CLADE_ENDPOINTS': c.endpoints(), 'HOME': str(c.folder)}))
                      for n in range(1, 41)]
            ends = [(n, *p.communicate(timeout=60), p.returncode) for n, p in racers]
            self.assertEqual({code for *_, code in ends} - {0, 4}, set(), ends)
            moves = {}
            for n, out, error, code in ends:
                if code == 0:
                    before, token = re.match(r'champion: (\d+) -> \d+, token (\d+)', out).groups()
                    moves[int(token)] = (int(before), n)
                else:
                    self.assertRegex(error, r'the alias @champion is \d+, not (unset|\d+)')
            order = [moves[token] for token in sorted(moves)]
            self.assertEqual([before for before, _ in order], [0] + [n for _, n in order[:-1]],
                             'each moved it from where the one before had left it')

    @unittest.skipUnless(EXAMPLE.is_file() and (ROOT / 'README.md').is_file(),
                         'client/examples/register.c and README.md are not both there')
    def test_the_readme_shows_the_example_as_it_is(self):
        readme = (ROOT / 'README.md').read_text()
        blocks = re.findall(r'```c\n(.*?)```', readme, re.S)
        self.assertIn(EXAMPLE.read_text().strip(), [b.strip() for b in blocks])
