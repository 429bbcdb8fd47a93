"""deploy/systemd: the unit, and what a claded tells the service manager that started it."""

import ctypes
import ctypes.util
import errno
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import unittest

import wire
from cluster import ROOT, Case, Cluster, claded, clean_environment, until

UNIT = ROOT / 'deploy' / 'systemd' / 'claded.service'
EXPOSURE_MAX = 15  # of systemd-analyze security, in tenths


class Manager:
    """Plays the service manager: the socket, and what each process told through it."""

    def __init__(self, folder):
        self.path = str(pathlib.Path(folder) / 'notify')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(self.path)
        self.told = []  # (pid, key, value) in order

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def take(self):
        """What has come since; all of it is in `told`."""
        while True:
            try:
                data, extra, _, _ = self.socket.recvmsg(4096, 64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return self.told
            pid = struct.unpack('iII', extra[0][2])[0]
            for line in data.decode().splitlines():
                self.told.append((pid, *line.split('=', 1)))

    def wait(self, node, key, pattern, since=0, timeout=30.0):
        """Waits until the node says so, and returns behind which place."""
        def look():
            for i, (pid, k, value) in enumerate(self.take()[since:], since):
                if (pid, k) == (node.process.pid, key) and re.search(pattern, value):
                    return i + 1
            return None
        return until(look, f'node {node.number} says {key}={pattern}', timeout)


class Held:
    """A thread of a process that is held where it is."""
    SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000

    def __init__(self, node, name):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        tasks = pathlib.Path(f'/proc/{node.process.pid}/task').iterdir()
        # The pool of libuv bears the name of the raft loop, which was there before it.
        self.thread = min(int(t.name) for t in tasks if (t / 'comm').read_text().strip() == name)

    def _ptrace(self, request):
        if self.libc.ptrace(request, self.thread, None, None) != 0:
            e = ctypes.get_errno()
            if e in (errno.EPERM, errno.ENOSYS):
                raise unittest.SkipTest('this machine lets nobody hold a thread (ptrace)')
            raise OSError(e, os.strerror(e))

    def __enter__(self):
        self._ptrace(self.SEIZE)
        self._ptrace(self.INTERRUPT)
        os.waitpid(self.thread, self.WALL)
        return self

    def __exit__(self, *_):
        self._ptrace(self.DETACH)


@unittest.skipUnless(shutil.which('systemd-analyze'), 'without systemd-analyze')
class Unit(Case):
    cost_s = 3

    def analyze(self, *words):
        with tempfile.TemporaryDirectory(prefix='clade-unit-') as folder:
            unit = pathlib.Path(folder) / 'claded.service'
            unit.write_text(UNIT.read_text().replace('/usr/bin/claded', claded()))
            return subprocess.run(['systemd-analyze', *words, str(unit)], capture_output=True,
                                  text=True, timeout=60, check=False, env=clean_environment())

    def test_systemd_finds_nothing_wrong_with_the_unit(self):
        done = self.analyze('verify', '--man=no')
        self.assertEqual((done.returncode, done.stderr.strip()), (0, ''))

    def test_little_is_exposed_to_the_unit(self):
        done = self.analyze('security', '--offline=true', f'--threshold={EXPOSURE_MAX}',
                            '--no-pager')
        if 'Unknown' in done.stderr or 'unrecognized' in done.stderr:
            self.skipTest('this systemd-analyze has no offline check')
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)

    def test_no_exit_status_that_a_restart_does_not_change_is_restarted(self):
        text = UNIT.read_text()
        self.assertIn('RestartPreventExitStatus=2 3\n', text)
        told = subprocess.run([claded(), '--help'], capture_output=True, text=True, check=True)
        rows = dict(re.findall(r'^  (\d+) +(.*)', told.stdout.split('Exit status:')[1], re.M))
        self.assertEqual(list(rows), ['0', '1', '2', '3', '130'])
        self.assertIn('wrong', rows['2'])
        self.assertIn('damaged', rows['3'])


class Notify(Case):
    cost_s = 15

    def test_the_manager_hears_of_start_role_and_stop(self):
        with Cluster(start=False) as c, Manager(c.folder) as manager:
            c.environment['NOTIFY_SOCKET'] = manager.path
            c.start()
            leader, follower = c.leader(), c.followers()[0]
            manager.wait(leader, 'READY', '^1$')
            manager.wait(leader, 'STATUS', r'^leader, term \d+; 0 entries behind$')
            manager.wait(follower, 'STATUS',
                         rf'^follows node {leader.number}, term \d+; 0 entries behind$')
            for node in c.nodes:
                keys = [k for pid, k, _ in manager.take() if pid == node.process.pid]
                self.assertEqual(keys[0], 'READY')
                self.assertNotIn('WATCHDOG', keys, 'nobody asked for it')
            place = len(manager.take())
            follower.signal(signal.SIGHUP)
            place = manager.wait(follower, 'RELOADING', '^1$', place)
            place = manager.wait(follower, 'MONOTONIC_USEC', r'^\d+$', place)
            manager.wait(follower, 'READY', '^1$', place)
            pid = follower.process.pid
            self.assertEqual(follower.terminate(), 0)
            ends = [(k, v) for p, k, v in manager.take() if p == pid][-2:]
            self.assertEqual(ends, [('STOPPING', '1'), ('STATUS', 'stops: SIGTERM')])

    def test_a_node_without_others_serves_and_says_that_it_has_no_leader(self):
        with Cluster(start=False) as c, Manager(c.folder) as manager:
            c.environment['NOTIFY_SOCKET'] = manager.path
            c[1].start()
            manager.wait(c[1], 'READY', '^1$')
            manager.wait(c[1], 'STATUS', '^no leader, term ')

    def test_the_watchdog_is_fed_only_while_the_threads_go_on(self):
        with Cluster(1, start=False) as c, Manager(c.folder) as manager:
            c.environment.update(NOTIFY_SOCKET=manager.path, WATCHDOG_USEC='600000')
            c.start()
            node = c[1]
            place = manager.wait(node, 'WATCHDOG', '^1$')
            for thread in ('raft', 'apply'):
                with Held(node, thread):
                    # What waits for the log is withdrawn; what waits for apply is in the log.
                    self.write_in_vain(node, 'UNAVAILABLE' if thread == 'raft' else 'UNKNOWN')
                    standing = manager.wait(node, 'STATUS', f'^the {thread} thread stands still$',
                                            place)
                    told = manager.take()
                    begin = max(i for i, (_, k, _) in enumerate(told[:standing]) if k == 'WATCHDOG')
                    # 3 s passed before it said so: some fifteen meals were left out.
                    self.assertLessEqual(sum(k == 'WATCHDOG' for _, k, _ in told[place:begin + 1]),
                                         4, told[place:])
                    self.assertNotIn('WATCHDOG', [k for _, k, _ in told[standing:]])
                    place = len(told)
                place = max(manager.wait(node, 'WATCHDOG', '^1$', place),
                            manager.wait(node, 'STATUS', '^leader, ', place))
            with node.client() as client:
                client.txn([wire.artifact('after')])

    def write_in_vain(self, node, code):
        with node.client(timeout=20) as client:
            self.refused(code, client.txn, [wire.artifact('never-mind')], deadline_ms=1500)

    def test_a_notify_socket_that_cannot_be_meant_is_refused(self):
        with Cluster(1, start=False) as c:
            for variables, says in ((dict(NOTIFY_SOCKET='nowhere'), 'neither a path nor'),
                                    (dict(NOTIFY_SOCKET='/' + 'x' * 200), 'at most 107 bytes'),
                                    (dict(NOTIFY_SOCKET='@x', WATCHDOG_USEC='-1'),
                                     "WATCHDOG_USEC\" error=\"'-1' is not a number")):
                c.environment = variables
                c[1].start()
                self.assertEqual(c[1].wait_exit(), 2)
                self.assertIn(says, c[1].log_tail())


class Sandbox(Case):
    """claded with the system calls of the unit, and no others."""
    cost_s = 10

    def allowed(self):
        """Names of the system calls that the unit allows, and of its address families."""
        def expand(name):
            if not name.startswith('@'):
                return {name}
            done = subprocess.run(['systemd-analyze', 'syscall-filter', name], text=True,
                                  capture_output=True, check=True)
            lines = [l.strip() for l in done.stdout.splitlines()[1:]]
            return set().union(*(expand(l) for l in lines if l and not l.startswith('#')))
        calls = expand('@default')
        for line in re.findall(r'^SystemCallFilter=(.*)$', UNIT.read_text(), re.M):
            for name in line.lstrip('~').split():
                calls = calls - expand(name) if line.startswith('~') else calls | expand(name)
        families = re.search(r'^RestrictAddressFamilies=(.*)$', UNIT.read_text(), re.M).group(1)
        return calls, [getattr(socket, f) for f in families.split()]

    def load_filter(self, lib, calls, families):
        """In the child, between fork and exec: whatever is not allowed ends it."""
        class Compare(ctypes.Structure):
            _fields_ = [('arg', ctypes.c_uint), ('op', ctypes.c_int), ('a', ctypes.c_uint64),
                        ('b', ctypes.c_uint64)]
        lib.seccomp_init.restype = ctypes.c_void_p
        lib.seccomp_init.argtypes = [ctypes.c_uint32]
        lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int,
                                               ctypes.c_uint, ctypes.POINTER(Compare)]
        lib.seccomp_load.argtypes = [ctypes.c_void_p]
        kill, allow, equal = 0x80000000, 0x7fff0000, 4
        context = lib.seccomp_init(kill)
        for name in sorted(calls - {'socket'}):
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number >= 0:
                lib.seccomp_rule_add_array(context, allow, number, 0, None)
        number = lib.seccomp_syscall_resolve_name(b'socket')
        for family in families:
            lib.seccomp_rule_add_array(context, allow, number, 1,
                                       ctypes.byref(Compare(0, equal, family, 0)))
        if lib.seccomp_load(context) != 0:
            os._exit(99)

    @unittest.skipUnless(shutil.which('systemd-analyze') and ctypes.util.find_library('seccomp'),
                         'without systemd-analyze or libseccomp')
    def test_a_node_needs_no_more_system_calls_than_the_unit_allows(self):
        calls, families = self.allowed()
        self.assertNotIn('mount', calls)
        self.assertIn('io_submit', calls)
        lib = ctypes.CDLL(ctypes.util.find_library('seccomp'))
        with Cluster(3, start=False) as c, Manager(c.folder) as manager:
            node = c[1]
            for other in c.nodes[1:]:
                other.start()
            with open(node.log, 'ab') as log:
                node.process = subprocess.Popen(
                    [claded(), 'run', '--config', str(node.config)], stdin=subprocess.DEVNULL,
                    stdout=log, stderr=subprocess.STDOUT, cwd=node.folder,
                    env=clean_environment(NOTIFY_SOCKET=manager.path),
                    preexec_fn=lambda: self.load_filter(lib, calls, families))
            c.ready()
            until(lambda: c.cli('cluster', 'leader', 'transfer', '1').returncode == 0 and
                  c.leader() is node, 'node 1 leads')
            for i in range(20):
                self.run_cli(c, 'artifact', 'create', f'a{i}', node=node)
            self.run_cli(c, 'import', ROOT / 'tests/data/models.ndjson', node=node)
            self.run_cli(c, 'search', 'version', "depends_on('artifact/imagenet-1k')", node=node)
            c.digests()
            manager.wait(node, 'READY', '^1$')
            self.assertEqual(node.terminate(), 0, node.log_tail())
