"""The Debian packages: built from the objects of this build, installed beside this system, used, removed."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from cluster import BUILD, ROOT, Case, clean_environment, free_ports

PACKAGES = {'claded', 'clade', 'libclade0', 'libclade-dev'}

# In a mount namespace of its own: what is installed lies over this system's files, in memory.
INSTALLED = r'''
set -eu
mount -t tmpfs tmpfs "$WORK"
mkdir "$WORK/upper" "$WORK/work" "$WORK/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root"
mount --bind "$DEBS" "$WORK/root/mnt"
mount -t proc proc "$WORK/root/proc"
mount --bind /dev "$WORK/root/dev"
cat >"$WORK/root/run-it"
exec chroot "$WORK/root" bash -eu /run-it
'''

LIFE = r'''
export DEBIAN_FRONTEND=noninteractive
say() { printf '== %s\n' "$*"; }
dpkg -i /mnt/*.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; exit 1; }
say "user $(id -un clade), home $(stat -c '%U %a' /var/lib/clade)"
say "$(claded --version), $(clade --version)"
say "linked $(ldd /usr/bin/clade | grep -o 'libclade.so.0 => [^ ]*')"
man -l /usr/share/man/man8/claded.8.gz >/dev/null

# As a person would, then as the unit says.
claded check-config /etc/clade/claded.yaml
sed -i "s/^listen:.*/listen: 127.0.0.1:$PORT/" /etc/clade/claded.yaml
runuser -u clade -- claded init --data /var/lib/clade/data --node 1 --member 1=127.0.0.1:$PEER
start=$(sed -n 's/^ExecStart=//p' /lib/systemd/system/claded.service)
check=$(sed -n 's/^ExecReload=//p' /lib/systemd/system/claded.service | head -n 1)
runuser -u clade -- $start >/tmp/claded.log 2>&1 &
node=$!
export CLADE_ENDPOINTS=127.0.0.1:$PORT
clade --timeout 60s artifact create reviews || { cat /tmp/claded.log; exit 1; }
clade get artifact/reviews
runuser -u clade -- $check

cat >/tmp/p.c <<'C'
#include <clade.h>
#include <stdio.h>
int main(void) { struct clade_client *c; int r = clade_open(NULL, &c); clade_close(c); printf("== open %d\n", r); return r; }
C
cc /tmp/p.c $(pkg-config --cflags --libs clade) -o /tmp/p
say "flags $(pkg-config --cflags --libs clade)"
/tmp/p

pid=$(pgrep -P $node -x claded || echo $node)
kill -TERM $pid
wait $node && say "stopped with 0"

# Installed again while there are data and a changed file; then removed, then purged.
dpkg -i /mnt/claded_*.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; exit 1; }
grep -q "$PORT" /etc/clade/claded.yaml && say 'the changed file stays'
dpkg -r claded clade libclade-dev libclade0 >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; exit 1; }
[ ! -e /usr/bin/claded ] && [ ! -e /usr/bin/clade ] && [ -e /etc/clade/claded.yaml ] && say removed
dpkg -P claded clade libclade-dev libclade0 >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; exit 1; }
[ ! -e /etc/clade/claded.yaml ] && [ -e /var/lib/clade/data/identity ] && say 'purged, and the data stay'
'''


@unittest.skipUnless(shutil.which('dh') and (BUILD / 'cmake_install.cmake').is_file(),
                     'without debhelper, or a build folder of cmake')
class Package(Case):
    cost_s = 40

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix='clade-package-'))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.debs = cls.folder / 'debs'
        done = subprocess.run([ROOT / 'deploy/deb/build', '--from', BUILD, '--to', cls.debs],
                              capture_output=True, text=True, timeout=300, check=False,
                              env=clean_environment())
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        cls.files = [pathlib.Path(line) for line in done.stdout.split()]

    def field(self, path, name):
        return subprocess.run(['dpkg-deb', '-f', path, name], capture_output=True, text=True,
                              check=True).stdout.strip()

    def test_there_are_four_packages_of_this_version_and_what_belongs_into_each(self):
        version = re.search(r'^project\(clade VERSION ([\d.]+)', (ROOT / 'CMakeLists.txt')
                            .read_text(), re.M).group(1)
        holds = {'claded': ('usr/bin/claded', 'lib/systemd/system/claded.service',
                            'etc/clade/claded.yaml', 'man8/claded.8.gz', 'runbook.md'),
                 'clade': ('usr/bin/clade', 'man1/clade.1.gz', 'man7/clade-concepts.7.gz',
                           'completions/clade', 'vendor-completions/_clade', 'clade.fish'),
                 'libclade0': ('libclade.so.0',),
                 'libclade-dev': ('include/clade.h', 'include/clade_limits.h', 'libclade.so',
                                  'pkgconfig/clade.pc')}
        files = {self.field(p, 'Package'): p for p in self.files}
        self.assertEqual(set(files), PACKAGES)
        for name, path in files.items():
            self.assertEqual(self.field(path, 'Version'), f'{version}-1')
            listed = subprocess.run(['dpkg-deb', '-c', path], capture_output=True, text=True,
                                    check=True).stdout
            for part in holds[name]:
                self.assertIn(part, listed, name)
        self.assertRegex(self.field(files['claded'], 'Depends'), r'libraft0 \(>= 0\.22')

    @unittest.skipUnless(shutil.which('lintian'), 'without lintian')
    def test_lintian_finds_no_error(self):
        done = subprocess.run(['lintian', '--fail-on', 'error', *self.files], capture_output=True,
                              text=True, timeout=300, check=False,
                              env={**clean_environment(), 'LC_ALL': 'C.UTF-8'})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, 'packages are installed by root')
    def test_installed_used_and_removed_beside_this_system(self):
        work = self.folder / 'work'
        work.mkdir()
        port, peer = free_ports(2)
        environment = clean_environment(WORK=str(work), DEBS=str(self.debs), PORT=str(port),
                                        PEER=str(peer))
        enter = ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'bash', '-c']
        if subprocess.run([*enter, INSTALLED.replace('exec chroot', ': chroot')], input='',
                          capture_output=True, text=True, check=False, env=environment).returncode:
            self.skipTest('this machine lets root lay no file system over its own (overlay)')
        done = subprocess.run([*enter, INSTALLED], input=LIFE, capture_output=True, text=True,
                              timeout=300, check=False, env=environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for said in ('== user clade, home clade 750', 'the configuration is valid',
                     '== linked libclade.so.0 => /', '== open 0', 'nothing changes', '== stopped with 0',
                     '== the changed file stays', '== removed', '== purged, and the data stay'):
            self.assertIn(said, done.stdout, done.stderr)
        self.assertFalse(pathlib.Path('/etc/clade').exists() and
                         pathlib.Path('/etc/clade/claded.yaml').read_text().count(str(port)),
                         'this system was not touched')
