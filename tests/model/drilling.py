"""The rounds of tests/model/drill."""

import json
import shutil
import time

import episode
import plain
from cluster import Cluster, member_flags
from generate import Generator

HOW = ('latest', 'revision', 'time', 'survivor')
PASTS = 8            # moments of each episode that are looked at, beside those around the last
REVISIONS_MAX = 300  # of an episode: what is compared grows with them
EPISODES = 3         # that are over, and looked at all the same
CHUNK = 60           # things in a read
WALKED = 12          # things whose lineage and history is read, at each moment
FULL = {'view': 'full', 'state': 'any', 'with': ['edges', 'aliases', 'params', 'metrics']}


class Backup:
    """A file, and what was said of it."""

    def __init__(self, path, said):
        self.path = path
        self.revision = said['revision']


def difference(mismatch):
    """A Mismatch as text; of a long answer only what differs."""
    expected, got = mismatch.expected, mismatch.got
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = [(a, b) for a, b in zip(expected, got) if episode.differ(a, b)]
        expected, got = [a for a, _ in pairs], [b for _, b in pairs]
    return json.dumps({'sent': mismatch.sent, 'expected': expected, 'got': got}, indent=1,
                      ensure_ascii=False, default=str)


class Drill:
    def __init__(self, rng, parts):
        self.rng = rng
        self.parts = parts
        plain.BUILT = parts
        self.number = 0  # of the round
        self.at = ''     # what is done in it
        self.begin = time.monotonic()
        self.modes = []
        self.files = 0
        self.began = 0   # episodes
        self.episodes = []
        self.compared = 0  # answers of those that are looked at no more
        self.g = None  # makes items for the last one
        # Copying is slow enough that a backup of little is taken while something goes on.
        self.cluster = Cluster(3, start=False, catch_up_rate_bytes='1MiB')
        self.real = None

    def __enter__(self):
        self.cluster.__enter__()
        return self

    def __exit__(self, *what):
        if self.real:
            self.real.close()
        self.cluster.__exit__(*what)

    def say(self, text):
        self.at = text
        print(f'{time.monotonic() - self.begin:5.1f} s, round {self.number}: {text}', flush=True)

    def answers(self):
        return self.compared + sum(e.answers for e in self.episodes)

    def run(self, rounds, seconds):
        self.cluster[2].write_config(lineage_bytes=0)  # answers lineage from the disk
        self.cluster.start()
        self.connect()
        while self.number < rounds and not 0 < seconds < time.monotonic() - self.begin:
            self.round()
        # What the last one made can be backed up like the first.
        last = self.backup(None)
        self.claded('restore', '--check', '--from', str(last.path))

    # The episode, which goes on from cluster to cluster.

    def connect(self):
        self.real = episode.Real(self.cluster, self.rng)
        self.real.episodes = self.began
        for e in self.episodes:
            e.real = self.real

    def begin_episode(self):
        """Of the ones before only what they left is looked at."""
        self.compared += sum(e.answers for e in self.episodes[:-EPISODES])
        del self.episodes[:-EPISODES]
        self.episodes.append(episode.Episode(self.real))
        self.began = self.real.episodes
        self.renew_generator()

    def renew_generator(self):
        e = self.episodes[-1]
        item = self.g.item if self.g and self.g.base == e.base else 0
        self.g = Generator(self.rng, e.world, e.base, e.env, self.parts)
        self.g.item = item

    def write(self, times):
        for _ in range(times):
            self.episodes[-1].go_on(self.g, self.rng, [])

    # Backups.

    def backup(self, since):
        """One that is taken while the episode goes on."""
        self.files += 1
        path = self.cluster.folder / f'backup{self.files}'
        words = ('--since', since.path) if since else ()
        world = self.episodes[-1].world
        acknowledged = world.revision
        run = self.cluster.cli_start('-w', 'json', '--timeout', '120s', 'cluster', 'backup', path,
                                     *words, node=self.rng.choice(self.cluster.nodes))
        try:
            turns = 0
            while run.poll() is None or turns == 0:
                self.write(1)
                turns += 1
            out, err = run.communicate()
        finally:
            run.kill()
            run.wait()
        assert run.returncode == 0, f'clade cluster backup: exit {run.returncode}: {err}'
        made = Backup(path, json.loads(out))
        assert acknowledged <= made.revision <= world.revision, \
            f'the backup is of revision {made.revision}, not of {acknowledged} to {world.revision}'
        self.say(f'{"an incremental" if since else "a full"} backup of revision {made.revision}, '
                 f'taken while revisions {acknowledged} to {world.revision} came to be')
        return made

    # One round.

    def round(self):
        self.number += 1
        if not self.episodes or \
                self.episodes[-1].world.revision - self.episodes[-1].world.first > REVISIONS_MAX:
            self.begin_episode()
        self.write(self.rng.randint(5, 15))
        chain = [self.backup(None)]
        for _ in range(self.rng.randint(1, 3)):
            self.write(self.rng.randint(0, 8))
            chain.append(self.backup(chain[-1]))
        self.write(self.rng.randint(1, 8))
        if not self.modes:
            self.modes = self.rng.sample(HOW, len(HOW))
        mode = self.modes.pop()
        if mode == 'survivor':
            revision = self.recover()
        else:
            words, revision = self.choose(mode, chain)
            lost = self.episodes[-1].world.revision
            self.say(f'all is lost at revision {lost}; restoring {len(chain)} files to '
                     f'{" ".join(words) or "their end"}, which is revision {revision}')
            self.lose_all_but(None)
            self.restore(chain, words)
        self.grow()
        self.episodes[-1].go_back(revision)
        self.renew_generator()
        self.compare()
        self.cluster.digests()
        self.say('the episode goes on')
        self.write(self.rng.randint(5, 15))

    def choose(self, mode, chain):
        """Where to restore to: the words for it, and its revision."""
        first, last = chain[0].revision, chain[-1].revision
        if mode == 'latest':
            return (), last
        times = self.episodes[-1].world.times
        # Times that follow each other are of one entry of the log, within which it is cut then.
        within = [r for r in range(first, last) if times[r + 1] == times[r] + 1]
        revision = self.rng.choice((self.rng.choice(within or [first]), self.rng.randint(first, last),
                                    self.rng.choice((first, last))))
        if mode == 'revision':
            return ('--revision', str(revision)), revision
        begin = times[revision]
        end = times[revision + 1] - 1 if revision < last else begin
        return ('--time', episode.rfc3339(self.rng.choice(
            (begin, end, self.rng.randint(begin, end))))), revision

    def lose_all_but(self, survivor):
        self.real.close()
        self.real = None
        self.cluster.kill_all()
        for node in self.cluster.nodes:
            if node is not survivor:
                shutil.rmtree(node.data)

    def claded(self, *words):
        done = self.cluster.nodes[0].claded(*words, timeout=120)
        assert done.returncode == 0, f'claded {words}: exit {done.returncode}: {done.stderr}'

    def restore(self, chain, words):
        c = self.cluster
        c.nodes = c.nodes[:1]
        number = c.nodes[0].number
        files = [word for b in chain for word in ('--from', str(b.path))]
        self.claded('restore', *files, '--node', str(number), *member_flags(c), *words)

    def recover(self):
        """Makes a cluster of one of the nodes; its revision, which the others may have been
        beyond."""
        c = self.cluster
        survivor = self.rng.choice(c.nodes)
        lost = self.episodes[-1].world.revision
        with survivor.client() as one:
            applied = one.call('describe', {'consistency': 'local'})['revision']
        self.lose_all_but(survivor)
        c.nodes = [survivor]
        self.claded('recover', '--data', str(survivor.data))
        c.start()
        with survivor.client() as one:
            revision = one.call('describe', {})['revision']
        self.say(f'two of three are lost at revision {lost}; node {survivor.number}, which had '
                 f'applied {applied}, is recovered at revision {revision}')
        assert applied <= revision <= lost, 'the survivor has what it had, and nothing new'
        return revision

    def grow(self):
        """From the node that was made to three of them."""
        c = self.cluster
        if not c.nodes[0].alive():
            c.start()
        c.grow(lineage_bytes=0)
        c.grow()
        c.ready()
        self.connect()
        self.real.erased()

    # Row by row.

    def compare(self):
        for e in self.episodes:
            last = e.world.revision
            self.look(e, None)
            labels = sorted(e.env.revisions)
            # The last ones are those at which the files were cut.
            chosen = {0, *labels[-2:], *self.rng.sample(labels, min(PASTS, len(labels)))}
            for label in sorted(chosen):
                self.look(e, self.rng.choice((f'%R{label}%', f'%T{label}%', f'%T{label}-1%')))
            for method, params in (('audit', {}), ('watch', {'from': e.world.first})):
                self.read(e, method, {'ns': e.base, 'namespace': e.base, **params})
            self.say(f'namespace {e.base} is what it was, up to revision {last}')

    def look(self, e, as_of):
        """Each thing that there ever was, and everything of each namespace, at one moment."""
        at = {'ns': e.base, **({'as_of': as_of} if as_of else {})}
        revision = e.env.as_of(as_of) if as_of else e.world.revision
        state = e.world.states[revision]
        # What is used of a quota is said at the newest revision alone: another episode has that now.
        describes = e is self.episodes[-1] or not as_of or revision < e.world.revision
        if state.namespace(e.base) is None:
            return
        ids = sorted(e.world.state.things)
        ids = [i for i in ids if i != 1]
        if e is self.episodes[-1]:
            ids.append(e.world.next_id)  # which is nothing's yet
        for begin in range(0, len(ids), CHUNK):
            refs = [f'id/{i}' for i in ids[begin:begin + CHUNK]]
            self.read(e, 'get', {**at, **FULL, 'refs': refs})
        for ns in [t['name'] for t in state.find('namespace', deleted=False) if t['id'] != 1]:
            for kind in self.g.kinds:
                self.read(e, 'list', {**at, **FULL, 'ns': ns, 'kind': kind})
            if describes:
                self.read(e, 'describe', {**at, 'ns': ns})
        there = [i for i in ids if i in state.things]
        measured = sorted({place[0] for place in state.series})
        if measured and 'series' in self.parts and not as_of:
            self.read(e, 'metrics', {**at, 'refs': [f'id/{i}' for i in measured]})
        for i in self.rng.sample(there, min(WALKED, len(there))):
            self.read(e, 'history', {**at, 'ref': f'id/{i}'})
            for direction in ('up', 'down'):
                self.read(e, 'lineage', {**at, 'ref': f'id/{i}', 'direction': direction,
                                         'state': 'any', 'with': ['edges']})

    @staticmethod
    def read(e, method, params):
        e.read({'method': method, 'params': params})
