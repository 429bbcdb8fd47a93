"""A disk that fails under one node of three: docs/failing-disk.md is made true here.

By hand, all of it, or the rows whose name matches an expression:
    CLADE_TEST_TIMEOUT_S=3600 CLADE_FAULTS=all tests/integration/run -k test_failing_disk
    CLADE_FAULTS='raft/mark.*sync' tests/integration/run -k test_failing_disk
test_failing_disk.py --write makes the page.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import failing_disk
from cluster import ROOT, Case, Cluster, Writers, until
from failing_disk import (BACKUP, COPIES, ENDS, GOES_ON, GROWS, REFUSED, SERVES, STARTS, STOPS,
                          TELLS, VOTES, WAITS)
from test_catch_up import fill, status

FAILED = 1  # node/exit_status.h
PAGE = ROOT / 'docs' / 'failing-disk.md'
SHIM = pathlib.Path(__file__).resolve().parent / 'failing_disk.c'
SMALL = {'log_bytes': '1MiB', 'archive_bytes': '32MiB'}
PAUSE_MAX_S = 15
CONTINUES = (GOES_ON, WAITS)


class World:
    """A cluster of three; node 3's disk is the one that fails."""

    def __init__(self, rng, folder):
        self.rng = rng
        self.shim = folder / 'failing_disk.so'
        subprocess.run(['cc', '-shared', '-fPIC', '-O', '-o', str(self.shim), str(SHIM)],
                       check=True)
        self.rule = failing_disk.Rule(folder / 'rule')
        self.cluster = Cluster(3, start=False, **SMALL)
        self.victim = self.cluster[3]
        self.kept = None  # the three folders, the victim being far behind
        self.fills = 0
        self.cluster.start()
        self.grow(4)  # until there is a snapshot

    def grow(self, mib):
        self.fills += 1
        return fill(self.cluster, self.rng, mib, f'grow{self.fills}-')

    def sick(self):
        """From its next start on the victim's disk does what the rule says."""
        self.victim.environment = self.rule.environment(self.shim)

    def well(self):
        self.rule.disarm()
        self.victim.environment = {}

    def leave_behind(self):
        """The victim needs a copy of the store: others' logs and archives do not reach back."""
        c = self.cluster
        if self.kept is None:
            self.victim.kill()
            self.grow(60)
            c.kill_all()
            self.kept = c.folder / 'kept'
            for node in c.nodes:
                shutil.copytree(node.data, self.kept / str(node.number))
        c.kill_all()
        for node in c.nodes:
            shutil.rmtree(node.data)
            shutil.copytree(self.kept / str(node.number), node.data)
        c[1].start()
        c[2].start()
        c.ready(60)

    def leave_files(self):
        """What a node that was killed has to read: a closed segment, and an open one."""
        v = self.victim
        if v.alive():
            v.terminate()
        v.start()
        self.cluster.ready(60)
        fill(self.cluster, self.rng, 1, f'left{self.fills}-')
        self.fills += 1
        v.kill()

    def choose_leader(self, row):
        """A full disk refuses writes where it leads; else either will do."""
        leads = not row.full and self.rng.random() < 0.5
        wanted = 3 if leads else self.rng.choice((1, 2))
        if self.cluster.leader().number != wanted:
            self.cluster.cli('cluster', 'leader', 'transfer', wanted)
        until(lambda: (self.cluster.leader() is self.victim) == leads, 'the victim leads, or not')


def sample(rows, rng):
    """What continuous integration has time for: one row of each group that needs no copy of a store,
    and one where a sync fails."""
    groups = {}
    for row in rows:
        if row.when != COPIES:
            groups.setdefault(row.group, []).append(row)
    syncs = [r for of in groups.values() for r in of if r.call == 'sync' and r.when != BACKUP]
    return [rng.choice(of) for of in groups.values()] + [rng.choice(syncs)]


class FailingDisk(Case):
    cost_s = 60

    def test_the_page_has_the_table(self):
        self.assertEqual(PAGE.read_text(encoding='utf-8'), failing_disk.page(),
                         'run tests/integration/test_failing_disk.py --write')

    def test_a_failing_disk_loses_nothing_and_is_told(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='clade-')))
        rows = list(failing_disk.rows())
        every = os.environ.get('CLADE_FAULTS', '')
        chosen = [r for r in rows if re.search(every.replace('all', ''), r.name())] if every \
            else sample(rows, self.rng)
        # Last those that put folders back, in a cluster of their own.
        chosen.sort(key=lambda r: r.when == COPIES)
        world = World(self.rng, folder)
        for number, row in enumerate(chosen):
            begin = time.monotonic()
            if row.when == COPIES and chosen[number - 1].when != COPIES:
                world.cluster.close()
                world = World(self.rng, folder)
            with self.subTest(row.name()):
                try:
                    self.play(world, row, number)
                except BaseException:
                    print(world.victim.log_tail(), flush=True)
                    world.cluster.close()
                    world = World(self.rng, folder)
                    raise
                finally:
                    print(f'note: {row.name()}: {time.monotonic() - begin:.1f} s', flush=True)
        world.cluster.close()

    def play(self, w, row, number):
        if row.when == BACKUP:
            self.back_up(w, row)
            return
        c, v = w.cluster, w.victim
        self.prepare(w, row)
        with Writers(c, 2, self.rng, prefix=f'row{number}-', patience=60) as writers:
            begin = time.monotonic()
            self.strike(w, row, writers)
            if row.outcome in CONTINUES:
                self.continues(w, row)
            else:
                self.ends(w, row)
            writers.wait_acked(len(writers.acked) + 50)
            self.assertLess(writers.longest_pause_s(begin, time.monotonic()), PAUSE_MAX_S)
            self.assertEqual(w.rule.again(), 0 if not row.rewritten else w.rule.again(),
                             'a sync that had failed was tried again')
            self.assertEqual(w.rule.msyncs(), 0)
            w.well()
            if row.outcome in CONTINUES:
                c.ready(60)
                until(lambda: status(v)['digest']['index'] >= status(c[1])['digest']['index'] - 100,
                      'it goes on by itself', 60)
                self.assertEqual(v.terminate(), 0, v.log_tail())
            v.start()
            c.ready(60)
            writers.wait_acked(len(writers.acked) + 20)
        c.digests(60)
        writers.check(self)

    def prepare(self, w, row):
        w.well()
        if row.when == COPIES:
            w.leave_behind()
        elif row.when == STARTS:
            w.leave_files()
        elif w.victim.alive():
            self.assertEqual(w.victim.terminate(), 0)
        w.victim.log.write_bytes(b'')
        w.sick()

    def strike(self, w, row, writers):
        """Has it fail, and waits until it did."""
        c, v = w.cluster, w.victim
        if row.when in (STARTS, COPIES):
            w.rule.arm(row)
            v.start()
        else:
            v.start()
            c.ready(60)
            w.choose_leader(row)
            writers.wait_acked(20)
            if row.when == ENDS:
                v.process.terminate()
            w.rule.arm(row)
        until(lambda: self.has_struck(w, row), 'the disk fails', 60)

    def has_struck(self, w, row):
        if w.rule.hits():
            return True
        self.assertTrue(w.victim.alive() or row.when == ENDS,
                        f'it ended before:\n{w.victim.log_tail()}')
        if row.when == GROWS:
            w.grow(2)
        elif row.when == VOTES:
            w.cluster.cli('cluster', 'leader', 'transfer', self.rng.choice((1, 2)))
        elif row.when == SERVES:
            self.read_backup(w, row)
        return w.rule.hits() > 0

    def read_backup(self, w, row):
        """One that goes on from another reads the archive."""
        full = w.cluster.folder / 'full'
        words = ['cluster', 'backup', w.cluster.folder / 'more', '--force']
        if row.pattern != failing_disk.STORE:
            w.rule.disarm()
            self.run_cli(w.cluster, 'cluster', 'backup', full, '--force', node=w.victim)
            w.grow(1)
            w.rule.arm(row)
            words += ['--since', full]
        done = self.run_cli(w.cluster, *words, node=w.victim, expect=1)
        self.assertIn('its log says more', done.stderr)

    def ends(self, w, row):
        """It ends, and its last line says what there is to know."""
        v = w.victim
        code = v.wait_exit(20)
        self.assertEqual(code, FAILED, v.log_tail())
        last = v.log_tail().splitlines()[-1]
        self.assertRegex(last, r'event="(the node stops|claded cannot start)"')
        self.assertRegex(last, f'where=.*{row.says}')
        self.assertRegex(last, r'do="[^"]*, then start the node again '
                               rf'\(runbook: {row.advice}\)"')
        serves = 'event="claded serves"' in v.log_text()
        self.assertTrue(serves or row.outcome == REFUSED or row.when == COPIES)

    def continues(self, w, row):
        v = w.victim
        if row.says:
            until(lambda: re.search(row.says, v.log_text()), 'it says so', 30)
        until(lambda: not v.alive() or 'event="claded serves"' in v.log_text(), 'it serves', 30)
        with v.client() as client:
            client.call('describe', {'consistency': 'local'})
        self.assertTrue(v.alive(), v.log_tail())

    def back_up(self, w, row):
        """The disk that fails is the one that a backup is written to."""
        c = w.cluster
        target = c.folder / 'target'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        w.well()
        if not w.victim.alive():
            w.victim.start()
        c.ready(60)
        w.rule.arm(row)
        done = c.cli('cluster', 'backup', target / 'file', env=w.rule.environment(w.shim))
        w.rule.disarm()
        self.assertGreater(w.rule.hits(), 0)
        self.assertEqual(w.rule.again(), 0)
        names = [p.name for p in target.iterdir()]
        if row.outcome == TELLS:
            self.assertEqual(done.returncode, 5 if row.fault == 'ENOSPC' else 1, done.stderr)
            self.assertRegex(done.stderr, row.says)
            self.assertEqual(names, ['file'] if row.kept else [])
            self.run_cli(c, 'cluster', 'backup', '--force', target / 'file')
        else:
            self.assertEqual(done.returncode, 0, done.stderr)
        checked = c[1].claded('restore', '--check', '--from', str(target / 'file'))
        self.assertEqual(checked.returncode, 0, checked.stderr)


if __name__ == '__main__':
    if sys.argv[1:] == ['--write']:
        PAGE.write_text(failing_disk.page(), encoding='utf-8')
    else:
        sys.exit(__doc__)
