"""Damage to each file of a node, and each part of it: docs/damage.md is made true here.

By hand, all of it, or the rows whose name matches an expression:
    CLADE_TEST_TIMEOUT_S=1800 CLADE_DAMAGE=all tests/integration/run -k test_damage
    CLADE_DAMAGE='data.mdb.*leaf' tests/integration/run -k test_damage
test_damage.py --write makes the page.
"""

import os
import re
import shutil
import sys

import damage
import wire
from cluster import ROOT, Case, Cluster, until

UNFIT = 3  # node/exit_status.h
PAGE = ROOT / 'docs' / 'damage.md'
SMALL = {'log_bytes': '1MiB', 'archive_bytes': '32MiB'}


class Folders:
    """A cluster of three that has stopped, and its folders, to be damaged and started.

    Node 3 is the victim. Node 2 was away at the end and lacks what 1 and 3 have acknowledged last,
    so that 2 and 3 are a majority of which 3 alone knows it. `old` is the victim's folder of
    before.
    """

    def __init__(self, rng, archives):
        self.cluster = Cluster(3, start=False, **SMALL)
        self.victim = self.cluster[3]
        self.names = []
        self.rng = rng
        self.kept = self.cluster.folder / 'kept'
        self.old = self.kept / 'old'
        self._prepare(archives)

    def _write(self, n, prefix, size):
        session = self.cluster.sessions(1, self.rng)[0]
        for i in range(n):
            ops = []
            for j in range(10):
                name = f'{prefix}{i}-{j}'
                self.names.append(name)
                ops.append({**wire.artifact(name, tags={'n': f'{i}'}),
                            'description': self.rng.randbytes(size // 2).hex()})
            session.txn(ops)
        session.close()

    def _prepare(self, archives):
        c = self.cluster
        c.start()
        self._write(60, 'first', 3000)
        c.digests()
        assert c.terminate_all() == [0, 0, 0], 'a node did not end well'
        shutil.copytree(self.victim.data, self.old)
        shutil.copytree(c[2].data, self.kept / 'far')
        c.start()
        self._write(60, 'second', 3000)
        for part in range(18 * (archives - 1)):  # segments of an archive have 16 MiB
            self._write(20, f'more{part}-', 6000)
        c.digests()
        for node in c.nodes:
            node.write_config(log_bytes='64MiB')  # from here on the log is not cut
        for part in range(3):  # a start closes the segment of before
            assert c.terminate_all() == [0, 0, 0], 'a node did not end well'
            c.start()
            self._write(3, f'closed{part}', 300)
            c.digests()
        assert c[2].terminate() == 0
        if c.leader() is not self.victim:
            c.cli('cluster', 'leader', 'transfer', 3)
            until(lambda: c.leader() is self.victim, 'the victim leads')
        self._write(20, 'third', 300)
        c.ready()  # an answer is given before the store commits
        last = c.digests()['index']
        until(lambda: damage.mark_index(self.victim.data) >= last, 'the mark is written')
        c.kill_all()
        for node in c.nodes:
            shutil.copytree(node.data, self.kept / str(node.number))

    def put(self, node, far=False):
        """Its folder as it was; `far`: so long ago that the logs do not reach back."""
        node.kill()
        shutil.rmtree(node.data, ignore_errors=True)
        shutil.copytree(self.kept / ('far' if far else str(node.number)), node.data)
        node.log.write_bytes(b'')

    def close(self):
        self.cluster.close()


def missing(node, names):
    """Those of the names that the node does not know."""
    lost = []
    with node.client(timeout=30) as c:
        for begin in range(0, len(names), 500):
            part = names[begin:begin + 500]
            things = c.get(*(f'artifact/{n}' for n in part), view='heads',
                           consistency='local')['data']
            lost += [n for n, thing in zip(part, things) if 'error' in thing]
    return lost


def sample(rows, rng):
    """What continuous integration has time for: of each file a damage that is refused, and of all
    of them three that are not."""
    refused = {}
    for row in rows:
        if row.outcome == damage.REFUSED:
            refused.setdefault(row.file, []).append(row)
    starts = [row for row in rows if row.outcome != damage.REFUSED]
    return [rng.choice(of) for of in refused.values()] + rng.sample(starts, 3)


class Damage(Case):
    cost_s = 40

    def test_the_page_has_the_table(self):
        self.assertEqual(PAGE.read_text(encoding='utf-8'), damage.page(),
                         'run tests/integration/test_damage.py --write')

    def test_no_damage_makes_a_node_forget(self):
        rows = list(damage.rows())
        every = os.environ.get('CLADE_DAMAGE', '')
        chosen = [r for r in rows if re.search(every.replace('all', ''), r.name())] if every \
            else sample(rows, self.rng)
        folders = Folders(self.rng, archives=2 if every else 1)
        self.addCleanup(folders.close)
        for row in chosen:
            with self.subTest(row.name()):
                try:
                    self.play(folders, row)
                finally:
                    for node in folders.cluster.nodes:
                        node.kill()

    def play(self, folders, row):
        victim = folders.victim
        folders.put(victim)
        row.apply(victim.data, folders.old)
        checked = self.check_copy(victim)
        victim.start()
        until(lambda: not victim.alive() or 'event="claded serves"' in victim.log_text(),
              'the node has started, or not', 60)
        if row.outcome == damage.REFUSED or (row.outcome == damage.EITHER and not victim.alive()):
            self.assertFalse(victim.alive(), 'it serves')
            self.assertEqual(checked.returncode, UNFIT, checked.stdout)
            self.assertIn(damage.RUNBOOK, checked.stderr)
            self.assertEqual(victim.process.returncode, UNFIT, victim.log_tail())
            last = victim.log_tail().splitlines()[-1]
            self.assertRegex(last, row.says)
            self.assertIn(damage.RUNBOOK, last)
        else:
            self.assertTrue(victim.alive(), victim.log_tail())
            self.assertEqual(checked.returncode, 0, checked.stderr)
            self.has_all(folders, row)

    def check_copy(self, node):
        """What `claded check` says of a copy of its folder, which it tidies up like a start."""
        kept = node.folder / 'kept'
        shutil.copytree(node.data, kept)
        done = node.claded('check')
        shutil.rmtree(node.data)
        kept.rename(node.data)
        return done

    def has_all(self, folders, row):
        """Two of three know what was acknowledged, of whom one is the victim: the other alone was
        away. Then all three agree."""
        c = folders.cluster
        other, third = c[2], c[1]
        folders.put(other, far='archive' in row.file)
        other.start()
        c.ready(60)
        for node in (folders.victim, other):
            until(lambda node=node: not missing(node, folders.names), 'nothing is lost', 30)
        folders.put(third)
        third.start()
        c.ready(60)
        c.digests(60)


if __name__ == '__main__':
    if sys.argv[1:] == ['--write']:
        PAGE.write_text(damage.page(), encoding='utf-8')
    else:
        sys.exit(__doc__)
