"""A cluster that lost its quorum for good: a survivor becomes a new one."""

import re
import shutil
import subprocess

import wire
from cluster import Case, Cluster, Writers, claded, clean_environment, until

DIGEST = re.compile(r'index (\d+), revision (\d+), data (\w+)')


def recover(node, *words, expect=0, timeout=60):
    done = node.claded('recover', *map(str, words), timeout=timeout)
    assert done.returncode == expect, (words, done)
    return done


class LostQuorum(Case):
    cost_s = 15

    def test_the_better_of_two_survivors_has_every_acknowledged_write_and_grows(self):
        with Cluster(3) as c:
            former = c.id()
            session = c.sessions(1, self.rng)[0]
            session.txn([wire.artifact('in-doubt')])
            with Writers(c, 4, self.rng, patience=2) as writers:
                writers.wait_acked(150)
                behind, kept, lost = self.rng.sample(c.nodes, 3)
                behind.kill()
                writers.wait_acked(len(writers.acked) + 150)
                c.kill_all()
                writers.stop()
            shutil.rmtree(lost.data)
            refused = recover(kept, '--data', behind.data, '--data', kept.data, expect=3)
            self.assertIn(f'node {kept.number} in {kept.data} has what this one lacks',
                          refused.stderr)
            told = recover(kept, '--check', '--data', kept.data, '--data', behind.data)
            self.assertEqual(len(re.findall(f'of cluster {former}: log up to index', told.stdout)), 2)
            self.assertFalse((kept.data / 'RECOVER').exists(), 'it was only looked at')
            recover(kept, '--data', kept.data, '--data', behind.data)
            c.nodes, c.former = [kept], [behind, lost]
            kept.start()
            c.ready()
            self.assertNotEqual(c.id(), former)
            writers.check(self)
            with kept.client() as one:
                for seq in (1, 2):
                    self.refused('SESSION_EXPIRED', one.txn, [wire.artifact('again')],
                                 session=session.id, seq=seq, answered=seq)
            c.grow()
            c.grow()
            # What is left of the old cluster calls, and is told nothing.
            before = dict(self.refusals(kept))
            behind.start()
            until(lambda: sum(self.refusals(kept).values()) > sum(before.values()),
                  'the old node is refused')
            with Writers(c, 2, self.rng, prefix='new') as more:
                more.wait_acked(50)
                more.stop()
                more.check(self)
            c.digests()
            with kept.client() as one:
                self.assertEqual(len(one.status()['members']), 3)
            with behind.client(timeout=3) as one:
                self.assertEqual(one.hello['cluster'], former)
                self.refused('UNAVAILABLE', one.call, 'describe', {'deadline_ms': 500})

    @staticmethod
    def refusals(node):
        with node.client(timeout=3) as one:
            return one.status()['refused']


class OneSurvivor(Case):
    """Two of three folders are gone: what is in the third is all that there is."""
    cost_s = 12

    def test_what_it_had_is_there_and_the_new_cluster_serves_and_takes_members(self):
        with Cluster(3) as c:
            survivor = self.rng.choice(c.nodes)
            self.survive(c, survivor)

    def test_one_that_never_voted_is_as_good(self):
        with Cluster(3) as c:
            survivor = c.grow(promote=False)
            self.survive(c, survivor)

    def survive(self, c, survivor):
        former = c.id()
        lost = [n for n in c.nodes if n is not survivor]
        with Writers(c, 3, self.rng, patience=2) as writers:
            writers.wait_acked(100)
            with survivor.client(timeout=10) as one:
                applied = one.call('describe', {'consistency': 'local'})['revision']
            survivor.kill()
            writers.wait_acked(len(writers.acked) + 50)
            c.kill_all()
            writers.stop()
        for node in lost:
            shutil.rmtree(node.data)
        told = recover(survivor, '--data', survivor.data)
        self.assertEqual(len(re.findall(f'of cluster {former}: log up to index', told.stdout)), 1)
        self.assertIn('is lost, and nothing tells what that was', told.stdout)
        c.nodes, c.former = [survivor], lost
        survivor.start()
        c.ready()
        self.assertNotEqual(c.id(), former)
        self.check_exactly(survivor, writers.acked, applied)
        c.grow()
        c.grow()
        with Writers(c, 2, self.rng, prefix='new') as more:
            more.wait_acked(50)
            victim = self.rng.choice(c.nodes)
            victim.kill()  # three members: two go on
            more.wait_acked(len(more.acked) + 50)
            more.stop()
            more.check(self)
        victim.start()
        c.ready()
        more.check(self)
        c.digests()
        backup = c.folder / 'backup'
        self.run_cli(c, 'cluster', 'backup', backup)
        self.assertEqual(survivor.claded('restore', '--check', '--from', str(backup)).returncode, 0)

    def check_exactly(self, node, acked, applied):
        """What it had applied is there; of what its log had more, nothing has a gap before it."""
        with node.client(timeout=30) as one:
            revision = one.call('describe')['revision']
            self.assertGreaterEqual(revision, applied)
            names = sorted(acked)
            things = one.get(*(f'artifact/{n}' for n in names), view='full')['data']
            for name, thing in zip(names, things):
                answer = acked[name]
                if answer['revision'] > revision:
                    self.assertEqual(thing['error']['code'], 'NOT_FOUND', name)
                else:
                    self.assertEqual(thing['id'], answer['data'][0]['id'], name)
                    self.assertEqual(thing['created']['revision'], answer['revision'], name)
                    self.assertEqual(thing['created']['time'], answer['time'], name)


class Mistakes(Case):
    cost_s = 6

    def test_a_worse_folder_is_taken_when_it_must_be_and_no_running_one(self):
        with Cluster(3) as c, Writers(c, 2, self.rng, patience=2) as writers:
            writers.wait_acked(50)
            behind, kept, _ = self.rng.sample(c.nodes, 3)
            recover(kept, '--data', kept.data, expect=1)  # it runs
            behind.kill()
            writers.wait_acked(len(writers.acked) + 50)
            c.kill_all()
            writers.stop()
            # Whatever survives a crash at any moment is taken to its end by the next attempt.
            found = set()
            for i in range(5):
                copy = c.folder / f'copy{i}'
                shutil.copytree(kept.data, copy)
                self.interrupt(kept, copy)
                if (copy / 'RECOVER').exists():
                    run = kept.claded('run', '--data', str(copy))
                    self.assertEqual(run.returncode, 3, run)
                    self.assertIn('claded recover', run.stderr)
                    recover(kept, '--data', copy)
                self.assertFalse((copy / 'RECOVER').exists())
                recover(kept, '--data', copy)  # of what is a cluster of one already, too
                self.assertFalse((copy / 'raft.new').exists())
                checked = kept.claded('check', '--data', str(copy))
                self.assertEqual(checked.returncode, 0, checked)
                found.add(DIGEST.search(checked.stdout).groups())
            self.assertEqual(len(found), 1, found)
            recover(kept, '--data', behind.data, '--data', kept.data, expect=3)
            recover(kept, '--data', behind.data, '--data', kept.data, '--force')
            with Cluster(1, start=False) as other:
                recover(kept, '--data', kept.data, '--data', other[1].data, expect=2)
            c.nodes, c.former = [behind], [n for n in c.nodes if n is not behind]
            behind.start()
            c.ready()
            with behind.client() as one:
                revision = one.call('describe')['revision']
                for name, answer in writers.acked.items():
                    there = 'error' not in one.get(f'artifact/{name}')['data'][0]
                    self.assertEqual(there, answer['revision'] <= revision, name)

    def interrupt(self, node, folder):
        """Kills a recovery at some moment; it may have ended."""
        run = subprocess.Popen([claded(), 'recover', '--config', str(node.config), '--data',
                                str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=clean_environment())
        try:
            run.wait(self.rng.random() * 0.1)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
