"""An episode: transactions and reads given to a cluster and to the plain model, each answer of the
one held against that of the other."""

import json
import random
import re
import time

import plain
import searching
import wire
from generate import Generator

PIPELINE = (1, 4, 20, 60)  # transactions that are sent before an answer is waited for
PAGES_MAX = 2000
PLACE = re.compile(r'%([EIRTO])([0-9.]*)((?:-1)?)%')


def rfc3339(us):
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(us // 1000000)) + \
        f'.{us % 1000000:06d}Z'


def differ(a, b):
    """3, 3.0 and true are three values, and NaN is one."""
    if isinstance(b, wire.Failure):
        return True
    return json.dumps(a, sort_keys=True) != json.dumps(b, sort_keys=True)


class Mismatch(Exception):
    def __init__(self, item, expected, got, sent):
        super().__init__(f'item {item}')
        self.item = item
        self.expected = expected
        self.got = got
        self.sent = sent


class Environment:
    """What the places of abstract items stand for."""

    def __init__(self, base):
        self.base = base
        self.ids = {}        # 'item.operation' -> id
        self.labels = {}     # id -> the first such
        self.revisions = {}  # item -> revision after it
        self.times = {}      # revision -> time

    def note(self, t, command, results, revision):
        self.revisions[t] = revision
        for op, result in zip(command['ops'], results):
            if 'id' in result:
                label = f"{t}.{op['_']}"
                self.ids[label] = result['id']
                self.labels.setdefault(result['id'], label)

    def label_of(self, id_):
        return self.labels.get(id_)

    def label_of_revision(self, revision):
        return next((t for t, r in self.revisions.items() if r == revision), None)

    def revision(self, label):
        known = [t for t in self.revisions if t <= int(label)]
        return self.revisions[max(known)]

    def place(self, match, positions):
        kind, label, less = match.groups()
        if kind == 'E':
            return self.base
        if kind == 'I':
            return str(self.ids.get(label, 4000000000))
        if kind == 'O':
            return str(positions.get(int(label), 99))
        if kind == 'R':
            return str(self.revision(label) - (1 if less else 0))
        return rfc3339(self.times[self.revision(label)] - (1 if less else 0))

    def concrete(self, value, positions=None):
        if isinstance(value, str):
            if re.match(r'%R[0-9.]+%\Z', value):
                return self.revision(value[2:-1])
            return PLACE.sub(lambda m: self.place(m, positions or {}), value)
        if isinstance(value, list):
            return [self.concrete(v, positions) for v in value]
        if isinstance(value, dict):
            return {k: self.concrete(v, positions) for k, v in value.items()}
        return value

    def command(self, command):
        positions = {op['_']: i for i, op in enumerate(command['ops'])}
        made = self.concrete(command, positions)
        for op in made['ops']:
            del op['_']
        return made

    def as_of(self, text):
        """The revision that a read as of the place looks at."""
        label, less = PLACE.match(text).group(2, 3)
        revision = self.revision(label)
        return revision - 1 if less else revision


def purges(command):
    return any(op.get('op') == 'purge' for op in command['ops'])


class Real:
    """The cluster: one connection for each user to the leader, and one to each node."""

    def __init__(self, cluster, rng):
        self.rng = rng
        leader = cluster.leader()
        self.writers = {user: wire.Client(leader.address, timeout=60, user=user)
                        for user in ('ann', 'bob')}
        self.readers = [wire.Client(node.address, timeout=60) for node in cluster.nodes]
        self.clock = getattr(cluster, 'clock', None)  # where time passes
        self.session = self.writers['ann'].call('session_open', {'lease_ms': 3600000})['session']
        self.seq = 0
        self.episodes = 0
        self.times = []  # (time, revision) of all that was answered

    def close(self):
        for client in (*self.writers.values(), *self.readers):
            client.close()

    def writes(self, user, commands):
        """The answers to transactions that are in flight together."""
        client = self.writers[user]
        requests = []
        for command, dry_run in commands:
            params = {'command': wire.pack(command)}
            if dry_run:
                params['dry_run'] = True
            elif self.rng.random() < 0.3:
                self.seq += 1
                params.update(session=self.session, seq=self.seq)
                if self.seq > 2000:
                    params['answered'] = self.seq - 1000
            requests.append(('txn', params))
        return requests, client.pipeline(requests)

    def erased(self):
        """Waits until nothing of what was purged is charged any more."""
        client = self.writers['ann']
        deadline = time.monotonic() + 60
        while client.call('describe', {})['data']['store']['purging'] > 0:
            if time.monotonic() > deadline:
                raise AssertionError('what was purged is not erased')

    def floor(self, ns):
        """A namespace's, and the store's time."""
        told = self.writers['ann'].txn([{'op': 'compact', 'ref': f'id/{ns}', 'before': 0}])
        return told['data'][0]['floor'], told['time']

    def time_passes(self, ns, seconds):
        """Until the store has it: nodes tell each other their clocks. The store's time."""
        self.clock.go_on(seconds)
        deadline = time.monotonic() + 60
        while True:
            _, now_us = self.floor(ns)
            if now_us > self.clock.now_us() - 10 * 1000000:
                return now_us
            if time.monotonic() > deadline:
                raise AssertionError('the store does not know how late it is')
            time.sleep(0.01)

    def wait_for_floors(self, floors):
        """Retention moves them: those of `floors` to where they are to be."""
        deadline = time.monotonic() + 60
        for ns, floor in floors.items():
            while self.floor(ns)[0] < floor:
                if time.monotonic() > deadline:
                    raise AssertionError(f'retention does not move the floor of id/{ns} to {floor}')
                time.sleep(0.02)

    def compacted(self):
        """Waits until no node has anything left of what is below the floors."""
        deadline = time.monotonic() + 60
        for client in self.readers:
            while client.call('describe', {'consistency': 'local'})['data']['store']['compacting']:
                if time.monotonic() > deadline:
                    raise AssertionError('a node does not take away what is below its floors')
                time.sleep(0.01)

    def repeat(self, user, request):
        return self.writers[user].pipeline([request])[0]

    def read(self, method, params):
        """All pages as one answer."""
        client = self.rng.choice(self.readers)
        data = None
        compacted = {}
        for _ in range(PAGES_MAX):
            answer = client.call(method, params)
            data = answer['data'] if data is None else self.join(method, data, answer['data'])
            if 'compacted' in answer:
                compacted = {'compacted': answer['compacted']}
            if answer['complete'] or method in ('paths', 'diff'):  # they have no cursor
                return {'items': data, **compacted} if method in ('history', 'audit') else data
            params = {**params, 'cursor': answer['cursor']}
            client = self.rng.choice(self.readers)
        raise AssertionError(f'{method} has no end: {params}')

    def watch(self, params, last):
        """The events up to a revision."""
        client = self.rng.choice(self.readers)
        client.call('describe', {})  # a watch is told what its node knows: here, all that was done
        watch = wire.Watch([client.address], attempt=60, **params)
        events = []
        deadline = time.monotonic() + 60
        while watch.next <= last:
            if time.monotonic() > deadline:
                raise AssertionError(f'watch {params} is at {watch.next}, not beyond {last}')
            events += watch.step()
        watch.close()
        return [e for e in events if e['revision'] <= last]

    @staticmethod
    def join(method, data, page):
        """A series of metrics that a page ended in goes on in the next, under the same head."""
        if method == 'search':
            return {'items': data['items'] + page['items']}
        if method == 'metrics' and data and page and 'points' in data[-1] and 'key' in page[0] and \
                all(data[-1].get(k) == page[0].get(k) for k in ('id', 'key', 'on')):
            page[0]['points'] = data[-1]['points'] + page[0]['points']
            data = data[:-1]
        return data + page


class Episode:
    """A namespace of its own, empty at first."""

    def __init__(self, real):
        self.real = real
        real.episodes += 1
        self.base = f'e{real.episodes}'
        self.env = Environment(self.base)
        made = real.writers['ann'].txn([{'op': 'create', 'kind': 'namespace', 'name': self.base}])
        id_ = made['data'][0]['id']
        self.world = plain.World(self.base, id_, made['revision'], real.times)
        self.env.times[made['revision'] - 1] = made['time'] - 1
        self.world.now_us = made['time']
        self.told(made['revision'], made['time'], 'ann')
        self.env.revisions[0] = made['revision']
        self.env.ids['0.0'] = id_
        self.sent = []  # what was sent to be done, and the model's answers
        self.operations = 0
        self.answers = 0
        self.classes = {}

    def told(self, revision, time_us, user):
        self.world.times[revision] = self.env.times[revision] = time_us
        self.world.principals[revision] = user
        self.real.times.append((time_us, revision))
        self.world.now_us = max(self.world.now_us, time_us)

    def count(self, name):
        self.classes[name] = self.classes.get(name, 0) + 1
        self.answers += 1

    # Both sides of one item.

    def expect(self, item):
        """The model's answer to a transaction, and what is sent."""
        command = self.env.command(item['command'])
        answer = self.run(item, command)
        self.operations += len(command['ops'])
        return command, answer

    def run(self, item, command):
        answer = self.world.txn(command, item['user'], item.get('dry_run', False))
        if not item.get('dry_run'):
            self.sent.append((item, command, answer))
        if answer[0] == 'ok' and not item.get('dry_run'):
            self.env.note(item['t'], item['command'], answer[2], answer[1])
        else:
            self.env.revisions[item['t']] = self.world.revision
        return answer

    def hold_write(self, item, command, expected, got):
        if expected[0] == 'refused':
            wanted = self.refusal(expected[1])
            found = got
            if isinstance(got, wire.Failure):
                found = {k: got.error.get(k) for k in wanted}
            self.count(wanted['code'])
        else:
            wanted = {'revision': expected[1], 'data': expected[2]}
            found = got
            if not isinstance(got, wire.Failure):
                found = {k: got[k] for k in wanted}
                if got['revision'] not in self.env.times and not item.get('dry_run'):
                    self.told(got['revision'], got['time'], item['user'])
            for result in expected[2]:
                self.count(result['status'])
                if result['status'] == 'compacted' and not isinstance(got, wire.Failure) and \
                        not item.get('dry_run') and not item.get('again'):
                    floor = self.world.state.floors[result['id']]
                    if floor['revision'] == result['floor']:
                        floor['time'] = got['time']
        if differ(wanted, found):
            raise Mismatch(item, wanted, found.error if isinstance(found, wire.Failure) else found,
                           {'command': command})

    @staticmethod
    def refusal(refused):
        thing = refused.thing
        told = {'code': refused.code, 'where': refused.where, 'id': thing['id'] if thing else None}
        if refused.there is not None and 'pointers' in plain.BUILT:
            told['there'] = refused.there
        if refused.code == 'COMPACTED':
            told['revision'] = sorted(refused.floors)
        return told

    def read(self, item):
        params = self.env.concrete(item['params'])
        model = dict(params)
        for key in ('as_of', 'from_as_of'):
            if key in params:
                model[key] = self.env.as_of(item['params'][key])
        try:
            expected = self.world.read(item['method'], model)
        except plain.Refused as e:
            expected = self.refusal(e)
        may_be_compacted = self.world.may_be_compacted(model)
        if 'order' in params:
            params['query'] = searching.text_of(params)
            del params['order']
        try:
            got = self.real.watch(params, self.world.revision) if item['method'] == 'watch' else \
                self.real.read(item['method'], params)
        except wire.Failure as e:
            got = {k: e.error.get(k) for k in ('code', 'where', 'id')}
            if got['code'] == 'COMPACTED':
                got['revision'] = e.error.get('revision')
        got = self.plain(item['method'], params, got)
        self.count(item['method'])
        if isinstance(got, dict) and got.get('code') == 'COMPACTED':
            self.count('COMPACTED')
            if got['revision'] in may_be_compacted and got != expected:
                self.count('compacted_or_not')
                return
            floors = expected.get('revision') if isinstance(expected, dict) else None
            if floors and got['revision'] in floors:
                expected['revision'] = got['revision']
        if differ(expected, got):
            raise Mismatch(item, expected, got, {'method': item['method'], 'params': params})

    @staticmethod
    def takes(floor):
        """How much later than the answer said it may have moved: it takes no revision, and the time
        of an answer is a revision's. Retention moves it at some time."""
        return range(60 * 1000000 if floor['time'] else 1 << 63)

    def plain(self, method, params, got):
        """Without what is not the episode's, and errors among the data by their class."""
        if isinstance(got, dict) and 'code' in got:
            return got
        if method == 'search':
            got = got['items']
        if method == 'count':
            del got['things']
        if method in ('get', 'metrics'):
            return [{**d, 'error': d['error']['code']} if isinstance(d, dict) and 'error' in d
                    else d for d in got]
        if method in ('list', 'search') and params['kind'] == 'namespace':
            ours = {t['id'] for t in self.world.state.find('namespace')}
            return [d for d in got if (d['id'] if isinstance(d, dict) else d) in ours]
        if method == 'history':
            for item in got['items']:
                if 'edges' in item:  # labels have numbers that nobody sees
                    item['edges'].sort(key=lambda c: json.dumps(c, sort_keys=True))
            return got
        if method in ('audit', 'watch'):
            events = got['items'] if method == 'audit' else got
            for thing in (thing for event in events for thing in event['things']):
                if 'edges' in thing:
                    thing['edges'].sort(key=lambda c: json.dumps(c, sort_keys=True))
            return got
        if method == 'describe':
            floor = self.world.state.floors.get(self.world.state.namespace(params['ns']))
            shown = got['namespace'].get('compacted')
            if floor and shown and shown['time'] - (floor['time'] or 0) in self.takes(floor):
                shown['time'] = floor['time']
            return {'namespace': got['namespace']}
        return got

    # Whole episodes.

    def replay(self, items, pipelined):
        """Runs the items; the first answer that differs is a Mismatch."""
        batch = []
        for item in items:
            if 'pass_s' in item:
                self.finish(batch)
                batch = []
                self.time_passes(item)
                continue
            if item.get('dry_run'):
                self.finish(batch)
                batch = []
                self.finish([(item, *self.expect(item))])
                continue
            if 'command' in item:
                if batch and batch[0][0]['user'] != item['user']:
                    self.finish(batch)
                    batch = []
                batch.append((item, *self.expect(item)))
                if not pipelined or item.get('last') or self.must_wait(item):
                    self.finish(batch)
                    batch = []
                continue
            self.finish(batch)
            batch = []
            self.read(item)
        self.finish(batch)

    def must_wait(self, item):
        """Whether the cluster does something by itself after it."""
        return purges(item['command']) or ('compaction' in plain.BUILT and self.world.due())

    def time_passes(self, item):
        self.world.now_us = self.real.time_passes(self.env.ids['0.0'], item['pass_s'])
        self.retain()
        if item.get('compacts'):
            self.real.compacted()
        self.count('passes')

    def retain(self):
        due = self.world.due() if 'compaction' in plain.BUILT else {}
        self.real.wait_for_floors(due)
        for ns, floor in due.items():
            self.world.state.floors[ns] = {'revision': floor, 'time': None, 'by': None}
            self.count('retained')

    def finish(self, batch):
        if not batch:
            return
        user = batch[0][0]['user']
        requests, answers = self.real.writes(
            user, [(command, item.get('dry_run')) for item, command, _ in batch])
        for (item, command, expected), answer in zip(batch, answers):
            self.hold_write(item, command, expected, answer)
        if any(purges(command) for _, command, _ in batch):
            self.real.erased()
        self.retain()
        if 'session' in requests[-1][1]:
            again = self.real.repeat(user, requests[-1])
            item, command, expected = batch[-1]
            self.hold_write({**item, 'again': True}, command, expected, again)

    def generate(self, rng, items_max, parts):
        """Makes and runs items; gives those that ran, and the Mismatch if there was one."""
        g = Generator(rng, self.world, self.base, self.env, parts)
        items = []
        try:
            while len(items) < items_max:
                self.go_on(g, rng, items)
        except Mismatch as e:
            return items, e
        return items, None

    def go_on(self, g, rng, items):
        """Makes and runs a few transactions of one user, in flight together, and a few reads."""
        user = rng.choice(('ann', 'bob'))
        batch = []
        for _ in range(rng.choice(PIPELINE)):
            item = {**g.txn(), 'user': user}
            items.append(item)
            if item.get('dry_run'):  # a read: it comes after what was answered
                self.finish(batch)
                batch = []
            batch.append((item, *self.expect(item)))
            if item.get('dry_run') or self.must_wait(item):
                self.finish(batch)
                batch = []
        if batch:
            items[-1]['last'] = True
        self.finish(batch)
        if 'compaction' in plain.BUILT and rng.random() < 0.3:
            items.append({**g.time_passes(), 'compacts': rng.random() < 0.5})
            self.time_passes(items[-1])
            items.append(g.list_of_the_dead())
            self.read(items[-1])
        for _ in range(rng.randint(1, 12)):
            items.append(g.read())
            self.read(items[-1])

    def go_back(self, revision):
        """The cluster lost what came after the revision, and so does the model: what was sent up to
        there is given to a new one, since what was purged later has its past again."""
        sent, self.sent = self.sent, []
        first = self.world.first
        world = plain.World(self.base, self.env.ids['0.0'], first, self.real.times)
        world.times = {r: t for r, t in self.world.times.items() if r <= revision}
        world.principals = {r: u for r, u in self.world.principals.items() if r <= revision}
        base = self.env.ids['0.0']
        self.world, self.env = world, Environment(self.base)
        self.env.times = {r: t for r, t in world.times.items() if r >= first - 1}
        self.env.revisions[0] = first
        self.env.ids['0.0'] = base
        for item, command, answer in sent:
            if answer[0] == 'ok' and answer[1] > revision:
                break
            self.run(item, command)
        assert self.world.revision == revision, (self.world.revision, revision)


def show(items, mismatch):
    """A failing case for people and for --replay."""
    return json.dumps({'items': items, 'sent': mismatch.sent, 'expected': mismatch.expected,
                       'got': mismatch.got}, indent=1, ensure_ascii=False, default=str)
