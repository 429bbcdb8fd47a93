"""Backups of a running cluster, and the clusters that are made of them."""

import datetime
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import wire
from cluster import (HERE, Case, Cluster, Node, Writers, claded, clean_environment, free_ports,
                     member_flags, until)


def rfc3339(us):
    at = datetime.datetime.fromtimestamp(us // 1000000, datetime.timezone.utc)
    return f'{at:%Y-%m-%dT%H:%M:%S}.{us % 1000000:06}Z'


class Restored(Cluster):
    """A cluster of one node that was made of backups."""

    def __init__(self, files, *words, **settings):
        super().__init__(1, start=False, **settings)
        shutil.rmtree(self[1].data)
        flags = [word for file in files for word in ('--from', str(file))]
        self.done = self[1].claded('restore', *flags, '--node', '1', *member_flags(self), *words)
        if self.done.returncode != 0:
            self.close()
            raise AssertionError(self.done.stderr)
        self.start()


class Backups(Case):
    """Shorter words for what all of them do."""

    def backup(self, cluster, name, *words, **keys):
        """Its path, and what was said of it."""
        path = cluster.folder / name
        return path, self.run_json(cluster, 'cluster', 'backup', path, *words, **keys)

    def check_exactly(self, cluster, acked, revision):
        """What was written up to the revision is there as it was answered, and nothing else of it."""
        names = sorted(acked)
        with cluster[1].client(timeout=30) as c:
            for begin in range(0, len(names), 1000):
                part = names[begin:begin + 1000]
                things = c.get(*(f'artifact/{n}' for n in part), view='full')['data']
                for name, thing in zip(part, things):
                    answer = acked[name]
                    if answer['revision'] > revision:
                        self.assertEqual(thing['error']['code'], 'NOT_FOUND', name)
                    else:
                        self.assertEqual(thing['id'], answer['data'][0]['id'], name)
                        self.assertEqual(thing['created']['revision'], answer['revision'])
                        self.assertEqual(thing['created']['time'], answer['time'])


class Restore(Backups):
    cost_s = 15

    def test_a_chain_taken_under_load_gives_every_write_at_every_point(self):
        kept = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='clade-')))
        with Cluster(3) as c, Writers(c, 4, self.rng) as writers:
            writers.wait_acked(200)
            full, first = self.backup(c, 'full', node=c.followers()[0])
            writers.wait_acked(len(writers.acked) + 200)
            second = self.backup(c, 'second', '--since', full)
            writers.wait_acked(len(writers.acked) + 200)
            before = dict(writers.acked)
            third = self.backup(c, 'third', '--since', second[0])
            writers.wait_acked(len(writers.acked) + 50)
            writers.stop()
            for name, answer in before.items():
                self.assertLessEqual(answer['revision'], third[1]['revision'], name)
            self.assertLess(first['revision'], second[1]['revision'])
            middle = self.rng.choice([a for a in writers.acked.values() if
                                      second[1]['revision'] < a['revision'] < third[1]['revision']])
            exported = self.run_cli(c, 'export', '--as-of', middle['revision']).stdout
            files = [pathlib.Path(shutil.copy(p, kept)) for p in (full, second[0], third[0])]
            former = c.id()
        # Every node and folder of it is gone.
        acked = writers.acked
        with Restored(files) as r:
            self.assertNotEqual(r.id(), former)
            self.check_exactly(r, acked, third[1]['revision'])
            r.grow()
            r.digests()
        with Restored(files, '--revision', str(middle['revision'])) as r:
            self.check_exactly(r, acked, middle['revision'])
            self.assertEqual(self.run_cli(r, 'export').stdout, exported, 'row by row')
        with Restored(files, '--time', rfc3339(middle['time'])) as r:
            self.check_exactly(r, acked, middle['revision'])
            self.run_cli(r, 'artifact', 'create', 'goes-on')
            with r[1].client() as one:
                self.assertEqual(one.get('artifact/goes-on')['revision'], middle['revision'] + 1)

    def test_a_write_in_doubt_is_neither_repeated_nor_answered_by_another(self):
        """The session goes on being used in the cluster that was lost, and is given again there."""
        with Cluster(1) as c:
            session = c.sessions(1, self.rng)[0]
            session.txn([wire.artifact('early')])
            path, _ = self.backup(c, 'file')
            session.txn([wire.artifact('late')])
            with Restored([path]) as r, r[1].client() as one:
                theirs = wire.Session(r.addresses(), self.rng)
                theirs.txn([wire.artifact('new')])
                self.assertNotEqual(theirs.id, session.id)
                for seq, answered in ((1, 1), (2, 2), (3, 3)):
                    self.refused('SESSION_EXPIRED', one.txn, [wire.artifact('again')],
                                 session=session.id, seq=seq, answered=answered)
                self.assertEqual(one.get('artifact/again')['data'][0]['error']['code'],
                                 'NOT_FOUND')
                theirs.close()


class Files(Backups):
    cost_s = 8

    def test_files_are_replaced_only_when_told_and_wrong_ones_are_refused(self):
        with Cluster(1) as c, Cluster(1) as other:
            self.run_cli(c, 'artifact', 'create', 'a', 'b')
            full, said = self.backup(c, 'full')
            self.assertEqual(said['kind'], 'full')
            self.assertEqual(full.stat().st_size, said['bytes'])
            self.assertIn('--force', self.run_cli(c, 'cluster', 'backup', full, expect=4).stderr)
            self.backup(c, 'full', '--force')
            self.assertEqual(list(c.folder.glob('*.tmp')), [])
            more, _ = self.backup(c, 'more', '--since', full)
            foreign, _ = self.backup(other, 'foreign')
            refused = self.run_cli(c, 'cluster', 'backup', 'x', '--since', foreign, expect=4)
            self.assertIn('take a full backup of it', refused.stderr)
            self.run_cli(c, 'cluster', 'backup', c.folder / 'x', '--since', c[1].config, expect=1)
            self.run_cli(c, 'cluster', 'backup', c.folder / 'no' / 'folder', expect=1)
            flipped, cut = c.folder / 'flipped', c.folder / 'cut'
            data = bytearray(full.read_bytes())
            at = self.rng.randrange(136, len(data))
            data[at] ^= 1 << self.rng.randrange(8)
            flipped.write_bytes(data)
            cut.write_bytes(full.read_bytes()[:-self.rng.randrange(1, 5000)])
            node = Node(c, 9, *free_ports(2))
            node.write_config()
            rows = [(3, [flipped], 'at byte'), (3, [cut], 'at byte'),
                    (3, [c[1].config], 'no backup of clade'), (1, [c.folder / 'none'], 'no such'),
                    (2, [more], 'full one first'), (2, [full, full], 'only the first'),
                    (2, [], 'name the full backup')]
            for code, files, what in rows:
                flags = [word for file in files for word in ('--from', str(file))]
                for words in (['--check'], ['--node', '9', '--member', '9=127.0.0.1:1']):
                    done = node.claded('restore', *flags, *words)
                    self.assertEqual(done.returncode, code, (files, done))
                    self.assertIn(what, done.stderr)
            # What failed is made anew; what is made is never replaced.
            good = ['restore', '--from', str(full), '--node', '9', '--member', '9=127.0.0.1:1']
            self.assertEqual(node.claded(*good).returncode, 0)
            again = node.claded(*good)
            self.assertEqual(again.returncode, 3)
            self.assertIn("a node's already", again.stderr)

    def test_a_restore_that_is_killed_at_any_moment_is_made_anew_by_the_next(self):
        with Cluster(1) as c, Writers(c, 4, self.rng) as writers:
            writers.wait_acked(200)
            full, _ = self.backup(c, 'full')
            writers.wait_acked(len(writers.acked) + 400)
            more, said = self.backup(c, 'more', '--since', full)
            writers.stop()
            node = Node(c, 9, *free_ports(2))
            node.write_config()
            words = ['restore', '--from', str(full), '--from', str(more), '--node', '9', '--member',
                     '9=127.0.0.1:1']
            begin = time.monotonic()
            self.assertEqual(node.claded(*words).returncode, 0)
            took = time.monotonic() - begin
            for moment in (0, *[self.rng.random() * took for _ in range(7)]):
                shutil.rmtree(node.data)
                node.data.mkdir()
                self.interrupt(node, words, moment)
                if not (node.data / 'identity').exists():
                    run = node.claded('run')
                    self.assertNotEqual(run.returncode, 0, 'a node runs on what was half made')
                    again = node.claded(*words)
                    self.assertEqual(again.returncode, 0, again)
                checked = node.claded('check')
                self.assertEqual(checked.returncode, 0, checked)
                self.assertIn(f"revision {said['revision']}, data {said['data']}", checked.stdout)

    @staticmethod
    def interrupt(node, words, moment):
        """Kills a restore after so many seconds; it may have ended."""
        run = subprocess.Popen([claded(), *words, '--config', str(node.config)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=clean_environment())
        try:
            run.wait(moment)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()

    def test_an_archive_that_does_not_reach_back_is_told(self):
        with Cluster(1, archive_bytes='32MiB', log_bytes='1MiB') as c:
            full, said = self.backup(c, 'full')
            session = c.sessions(1, self.rng)[0]

            def reaches_no_more():
                session.txn([{**wire.artifact(f'f{self.rng.random()}-{i}'), 'description':
                              self.rng.randbytes(30000).hex()} for i in range(8)])
                with c[1].client() as one:
                    return one.status()['archive']['base'] > said['index']
            until(reaches_no_more, 'the archive has let go of its beginning')
            session.close()
            told = self.run_cli(c, 'cluster', 'backup', c.folder / 'x', '--since', full, expect=1)
            self.assertIn('take a full backup', told.stderr)
            self.assertFalse((c.folder / 'x').exists())


class Covered(Backups):
    """A time that the files do not reach is refused, whatever a clock says: what was written up to
    there would be missing, and nobody told."""
    cost_s = 8

    def not_in_it(self, cluster, path, time_us):
        node = Node(cluster, 9, *free_ports(2))
        node.write_config()
        done = node.claded('restore', '--from', str(path), '--node', '9', '--member',
                           '9=127.0.0.1:1', '--time', rfc3339(time_us))
        self.assertEqual(done.returncode, 2, done)
        self.assertIn('is not in them', done.stderr)
        return node

    def test_a_client_whose_clock_is_ahead_takes_a_backup_of_no_later_time(self):
        with tempfile.TemporaryDirectory(prefix='clade-clock-') as folder:
            shim = f'{folder}/shifted_clock.so'
            subprocess.run(['cc', '-shared', '-fPIC', '-O', '-o', shim,
                            str(HERE / 'shifted_clock.c')], check=True)
            with Cluster(1) as c:
                self.run_cli(c, 'artifact', 'create', 'early')
                path, _ = self.backup(c, 'file', env={'LD_PRELOAD': shim, 'CLOCK_SHIFT_S': '3600'})
                with c[1].client() as one:
                    late = one.txn([wire.artifact('late')])
                self.not_in_it(c, path, late['time'])

    def test_what_a_node_has_that_is_behind_is_of_its_own_time(self):
        with Cluster(3) as c:
            self.run_cli(c, 'artifact', 'create', 'early')
            c.digests()
            behind = c.followers()[0]
            behind.terminate()  # its store is synced: after a crash it would wait for a quorum
            with c.leader().client() as one:
                late = one.txn([wire.artifact('late')])
            c.kill_all()
            behind.start()
            until(lambda: self.has_early(behind), 'the node serves what it has')
            path, said = self.backup(c, 'file', '--consistency', 'local', node=behind)
            node = self.not_in_it(c, path, late['time'])
            done = node.claded('restore', '--from', str(path), '--node', '9', '--member',
                               '9=127.0.0.1:1', '--time', rfc3339(said['time']))
            self.assertEqual(done.returncode, 0, done)
            self.assertIn(f"was at revision {said['revision']}", done.stdout)

    @staticmethod
    def has_early(node):
        with node.client(timeout=3) as one:
            answer = one.call('get', {'refs': ['artifact/early'], 'consistency': 'local'})
            return 'error' not in answer['data'][0]


class Interrupted(Backups):
    cost_s = 8

    def test_a_backup_that_loses_its_node_begins_anew_with_another_or_leaves_nothing(self):
        # Four seconds' worth of copying, so that a node dies part-way on a busy machine, too.
        with Cluster(3, catch_up_rate_bytes='1MiB') as c:
            session = c.sessions(1, self.rng)[0]
            for i in range(9):
                session.txn([{**wire.artifact(f'f{i}-{j}'), 'description':
                              self.rng.randbytes(30000).hex()} for j in range(8)])
            session.close()
            c.digests()
            victim = c.followers()[0]
            path = c.folder / 'file'
            c.all_told()
            run = self.begin(c, path, victim, '60s')
            victim.kill()
            out, err = run.communicate(timeout=120)
            self.assertEqual(run.returncode, 0, err)
            self.assertIn('beginning anew', err)
            self.assertEqual(json.loads(out)['bytes'], path.stat().st_size)
            self.assertEqual(c[1].claded('restore', '--check', '--from', str(path)).returncode, 0)
            run = self.begin(c, c.folder / 'other', c.leader(), '5s')
            c.kill_all()
            _, err = run.communicate(timeout=60)
            self.assertIn(run.returncode, (1, 5), err)
            self.assertEqual(list(c.folder.glob('other*')), [])

    @staticmethod
    def begin(cluster, path, node, timeout):
        """A backup from this node, a part of which is there."""
        run = cluster.cli_start('-w', 'json', '--timeout', timeout, 'cluster', 'backup', path,
                                node=node)
        part = path.with_name(f'{path.name}.tmp')
        until(lambda: part.stat().st_size > 1 << 20, 'a part is there')
        return run
