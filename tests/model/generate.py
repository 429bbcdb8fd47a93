"""Seeded random transactions and reads over a universe so small that they meet.

What is made here is abstract, so that it still means something when parts of it are left out:

    %E%        the episode's namespace
    %I3.2%     the id that operation 2 of item 3 made or met
    %R3%       the revision after item 3, %R3-1% the one before
    %T3%       its store time, %T3-1% a microsecond before
    $%O2%      operation 2 of the same transaction

Operations carry their number as "_", which is taken off before they are sent.
"""

import json

import plain
import searching
from plain_walks import walk

NAMES = ('a', 'b', 'c')
LABELS = ('consumed', 'derived_from', 'contains', 'own', 'own.2', 'evaluated_on')
SYSTEMS = ('s:1', 's:2', 't:1')
DIGESTS = ['sha256:' + c * 64 for c in '01'] + ['blake3:' + c * 64 for c in '01'] + ['own:x', 'own:y']
TEXTS = ('x', 'y', 'z', 'long ' * 60, '\u00e4\u4e2d\U0001f600')
NUMBERS = ('1', '10', '2.50', '007', '1e1', '-3', '.5', '12x')  # as texts
URIS = ('u:1', 'u:2', 'git+u:3')
OF_THINGS = ('content', 'content_reason', 'props', 'fields', 'closed')
OF_NAMESPACES = ('quota', 'retention_s', 'defaults')
OF_POINTERS = ('stages', 'desired', 'observed', 'endpoint', 'targets', 'stage')
TIMES = (1, 1000, 1767225600000000)
PASSES_S = (420, 3600, 100000)
NEAR_S = 120  # that an episode may take, so that it is certain what is too old meanwhile
RETAINS = 0.08  # the share of episodes with retention where time passes: it takes the leader seconds


class Generator:
    def __init__(self, rng, world, base, env, parts):
        self.rng = rng
        self.world = world
        self.base = base
        self.env = env
        self.parts = parts
        self.kinds = [k for k in plain.KINDS if k != 'deployment' or 'pointers' in parts]
        self.item = 0
        self.retains = not self.has('compaction') or self.chance(RETAINS)
        self.made = []  # of the transaction that is made: (number, kind, as)

    def has(self, part):
        return part in self.parts

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, *choices, weights=None):
        return self.rng.choices(choices, weights)[0]

    def abstract(self, path):
        return path.replace(self.base, '%E%', 1)

    # References.

    def namespace(self):
        path = self.pick('%E%', '%E%/a', '%E%/b', '%E%/a/b', weights=(60, 25, 12, 3))
        there = self.world.state.namespace(self.env.concrete(path))
        return path if there or self.chance(0.1) else '%E%'

    def new_namespace(self):
        return self.pick('%E%/a', '%E%/b', '%E%/a/b', '%E%', weights=(40, 30, 20, 10))

    def thing_ref(self, thing):
        """One of the ways in which a thing is written."""
        state = self.world.state
        form = self.pick('name', 'id', 'external', weights=(70, 25, 5))
        label = self.env.label_of(thing['id'])
        if (form == 'id' or thing.get('purged')) and label:
            return f'id/%I{label}%'
        if thing['kind'] == 'namespace':
            return 'namespace/' + self.abstract(thing['name'])
        path = self.abstract(state.path(thing['ns']))
        prefix = '' if path == self.ns and self.chance(0.8) else f'//{path}//'
        if thing['name'] is None and thing['kind'] != 'version':
            return 'id/4000000000'
        if form == 'external' and thing['fields'].get('external_ids'):
            return f"{prefix}{thing['kind']}/ext:{self.rng.choice(thing['fields']['external_ids'])}"
        if thing['kind'] == 'version':
            model = state.things[thing['model']]
            if model['name'] is None:
                return f'id/%I{label}%'
            last = self.pick('@latest', '@champion', '@next', f"/{thing['number']}",
                             weights=(10, 10 * self.has('pointers'), 5 * self.has('pointers'), 75))
            return f"{prefix}version/{model['name']}{last}"
        return f"{prefix}{thing['kind']}/{thing['name']}"

    def ref(self, kinds, own=True):
        """A reference to one of the kinds: to something that is there, mostly."""
        if own:
            earlier = [(n, name) for n, kind, name in self.made if kind in kinds]
            if earlier and self.chance(0.4):
                n, name = self.rng.choice(earlier)
                return f'${name}' if name and self.chance(0.5) else f'$%O{n}%'
        if self.chance(0.015):
            kinds = self.kinds
        if self.chance(0.004):
            return self.pick('artifact', 'x/y', 'id/0', '//x/artifact/a', 'version/m', '', '$99',
                             '$no', 'artifact/ext:x', 'run/$r', 'namespace/a//b', 5)
        if self.chance(0.05):
            kind = self.rng.choice(kinds)
            if kind == 'version':
                return f'version/{self.rng.choice(NAMES)}/{self.rng.randint(1, 9)}'
            if kind == 'type':
                return f'type/artifact:{self.rng.choice(NAMES)}'
            if kind == 'namespace':
                return 'namespace/' + self.namespace()
            return f'{kind}/{self.rng.choice(NAMES + ("zz",))}'
        state = self.world.state
        found = [t for t in state.things.values() if t['kind'] in kinds and t['id'] != 1]
        live = [t for t in found if state.live(t)]
        if self.chance(0.9) and live:
            found = live
        if not found:
            return f'{self.rng.choice(kinds)}/none'
        return self.thing_ref(self.rng.choice(found))

    # Fields.

    def set_of(self, *choices):
        return self.rng.sample(choices, self.pick(0, 1, 2, weights=(5, 70, 25)))

    def tags(self, updates):
        return {k: None if updates and self.chance(0.2) else
                self.rng.choice(NUMBERS if self.chance(0.4) else TEXTS)
                for k in self.set_of('k', 'l', 'm')}

    def value(self, name, updates):
        shape, _, _, nil = plain.FIELDS[name]
        if nil and updates and self.chance(0.2):
            return None
        if self.chance(0.003):
            return self.pick(None, 5, 'x', [], {}, [5], {'k': 5}, -1, True, 'a\0b', ['x'])
        if shape == 'props':
            return self.props(updates)
        if shape == 'fields':
            return self.declarations()
        if name == 'quota':
            return {k: None if updates and self.chance(0.3) else
                    self.pick(0, 10, 20, 10 ** 17 + 1, weights=(1, 40, 40, 19)) *
                    (50 if k == 'bytes' else 1) for k in self.set_of('things', 'edges', 'bytes')}
        if name == 'retention_s' and self.has('compaction'):
            return self.pick(900, 3600, 86400, 10, weights=(60, 30, 10, 2))
        if name == 'retention_s':
            return self.pick(900, 86400, 10, weights=(45, 45, 5))
        if name == 'defaults':
            return {k: None if updates and self.chance(0.2) else self.rng.choice(NAMES)
                    for k in self.set_of('artifact.type', 'artifact.tags.k', 'run.tags.l',
                                         'run.type', 'version.tags.k')}
        if shape == 'stages':
            return self.stage_list()
        if shape == 'deployed':
            return self.rng.choice(plain.DEPLOYMENT_STATUSES)
        if shape == 'targets':
            return []
        if shape == 'bool':
            return self.chance(0.5)
        if shape == 'content':
            return self.rng.choice(list(plain.CONTENT_MOVES))
        if name in ('uris', 'external_ids') and updates and self.has('things') and self.chance(0.5):
            return self.changes(*(SYSTEMS if name == 'external_ids' else URIS))
        if shape == 'text':
            return self.rng.choice(TEXTS[:3])
        if shape == 'map':
            return self.tags(updates)
        if shape == 'type':
            found = [t['name'].partition(':')[2] for t in self.world.state.find('type')
                     if not t['deleted'] and t['name'].startswith(f'{self.kind}:')]
            return self.rng.choice(found if found and self.chance(0.95) else NAMES)
        if shape == 'status':
            return self.rng.choice(plain.STATUSES)
        if shape == 'time':
            return self.rng.choice(TIMES)
        if shape == 'uint':
            return self.pick(0, 1, (1 << 64) - 1)
        if name == 'external_ids':
            return self.set_of(*SYSTEMS)
        if name == 'digests':
            return self.set_of(*DIGESTS)
        if name == 'uris':
            return self.set_of(*URIS)
        return self.ref((shape.partition(':')[2],))

    def prop(self):
        kind = self.pick('string', 'int', 'float', 'bool', 'time', 'json', 'ref', 'bad',
                         weights=(20, 20, 20, 5, 10, 10, 10, 1))
        return {'string': lambda: self.rng.choice(TEXTS[:3]),
                'int': lambda: self.pick(0, 3, -1, -(1 << 63), (1 << 53) + 1, 1 << 53),
                'float': lambda: self.pick(0.0, 3.0, -2.5, 1e300),
                'bool': lambda: self.chance(0.5),
                'time': lambda: {'time': self.rng.choice(TIMES)},
                'json': lambda: {'json': self.pick('{}', ' [1, 2.50]', '{"a":null}')},
                'ref': lambda: {'ref': self.ref(('artifact', 'run', 'version'))},
                'bad': lambda: self.pick({'json': '{'}, {}, {'ref': 5}, {'x': 1}, [[1]], 'a\0b',
                                         1 << 63, float('inf'), ['x', 1])}[kind]()

    def props(self, updates):
        made = {}
        for key in self.set_of('p', 'q', 'r'):
            if updates and self.chance(0.2):
                made[key] = None
            elif self.chance(0.3):
                made[key] = self.pick([], [1, 2], [1, 2.5], [self.rng.choice(TEXTS[:3])],
                                      [True, False], [3.0])
            else:
                made[key] = self.prop()
        return made

    def declarations(self):
        made = {}
        for key in self.set_of('p', 'q', 'r'):
            says = {'type': self.rng.choice(plain.PROP_TYPES[:5]) +
                    self.pick('', '[]', weights=(80, 20))}
            for flag in ('required', 'fixed', 'indexed'):
                if self.chance(0.25):
                    says[flag] = self.chance(0.8)
            if self.chance(0.2):
                says['unit'] = self.pick('s', 'm', '', weights=(49, 49, 2))
            made[key] = says
        return made

    def changes(self, *choices):
        return {c: self.pick(True, None) for c in self.set_of(*choices)}

    def fields(self, kind, updates, p=0.25):
        names = [n for n in plain.FIELDS if n not in plain.BY_OPERATION or self.chance(0.002)]
        names = [n for n in names if self.has('things') or n not in OF_THINGS]
        names = [n for n in names if self.has('pointers') or n not in OF_POINTERS]
        names = [n for n in names if self.has('namespaces') or n not in OF_NAMESPACES]
        names = [n for n in names if self.has('history') or n != 'cyclic']
        names = [n for n in names if self.retains or n != 'retention_s']
        if kind and not self.chance(0.01):
            names = [n for n in names if kind in plain.FIELDS[n][1]]
        elif not kind:
            names = ['description', 'owner', 'tags']
        op = {}
        self.kind = kind
        if not self.has('things') and kind in ('namespace', None):
            names.remove('owner')
        for name in names:
            if name == 'type' and self.chance(0.5):
                continue
            if self.chance(0.04 if name == 'external_ids' and not updates else p):
                op[name] = self.value(name, updates)
        if 'content_reason' in op or op.get('content') == 'failed':
            op.pop('content_reason', None)
            if op.get('content') == 'failed' or self.chance(0.2):
                op['content_reason'] = self.rng.choice(TEXTS)
        return op

    # Operations.

    def create(self):
        kind = self.pick('artifact', 'experiment', 'run', 'model', 'version', 'type', 'namespace',
                         'deployment', weights=(25, 10, 20, 12, 25, 6, 2 + 3 * self.has('namespaces'),
                                  8 * self.has('pointers')))
        op = {'op': 'create', 'kind': kind}
        if kind == 'version':
            op['model'] = self.ref(('model',))
            if self.chance(0.35):
                op['number'] = self.rng.randint(1, 12)
        elif kind == 'namespace':
            op['name'] = self.new_namespace()
        elif kind == 'type':
            op['name'] = self.pick('artifact:', 'run:', 'model:', 'version:', 'edge:', 'x:',
                                   weights=(30, 30, 20, 20, 5 + 20 * self.has('history'), 1)) + self.rng.choice(NAMES)
            if op['name'].startswith('edge:'):
                op['name'] = 'edge:' + self.rng.choice(LABELS)
        elif kind in ('model', 'deployment') or self.chance(0.8):
            op['name'] = self.rng.choice(NAMES)
        if kind not in ('version', 'namespace') and self.chance(0.2):
            op['namespace'] = self.namespace()
        if self.chance(0.4):
            op['if_exists'] = self.pick('error', 'return', 'match', weights=(10, 30, 60))
        return kind, {**op, **self.fields(kind, False)}

    def update(self):
        pointers = self.has('pointers')
        if self.has('compaction') and self.retains and self.chance(0.1):
            return 'namespace', {'op': 'update', 'ref': f'namespace/{self.namespace()}',
                                 'retention_s': self.value('retention_s', True)}
        kind = self.pick('artifact', 'experiment', 'run', 'model', 'version', 'type', None,
                         'deployment', 'namespace',
                         weights=(25, 10, 25, 15, 20, 5, 10, 7 * pointers,
                                  6 * pointers or 6 * self.has('namespaces')))
        ref = self.ref((kind,) if kind else self.kinds)
        return kind, {'op': 'update', 'ref': ref, **self.fields(kind, True)}

    def edge(self, word):
        state = self.world.state
        if word == 'unlink' and state.edges and self.chance(0.7):
            a, label, b = self.rng.choice(list(state.edges))
            return None, {'op': word, 'from': self.thing_ref(state.things[a]), 'label': label,
                          'to': self.thing_ref(state.things[b])}
        label = self.rng.choice(LABELS) if not self.chance(0.01) else self.pick('X', '', 'a b')
        kinds = ('artifact', 'run', 'version', 'experiment', 'model')
        op = {'op': word, 'from': self.ref(kinds), 'label': label, 'to': self.ref(kinds)}
        if word == 'link' and self.has('history'):
            if state.edges and self.chance(0.3):
                a, label, b = self.rng.choice(list(state.edges))
                op.update({'from': self.thing_ref(state.things[a]), 'label': label,
                           'to': self.thing_ref(state.things[b])})
            if self.chance(0.4):
                op['props'] = self.props(True)
        return None, op

    def emptied(self):
        """What is left in a namespace, else the namespace; None when there is none."""
        state = self.world.state
        found = [n for n in state.find('namespace', deleted=False)
                 if n['name'].startswith(self.env.concrete('%E%/'))]
        if not found:
            return None
        ns = self.rng.choice(found)
        inside = [t for t in state.things.values() if not t['deleted'] and
                  (t['ns'] == ns['id'] or t['name'] and t['kind'] == 'namespace' and
                   t['name'].startswith(ns['name'] + '/'))]
        return self.rng.choice(inside) if inside else ns

    def delete(self):
        left = self.emptied() if self.has('namespaces') and self.chance(0.3) else None
        if left:
            return None, {'op': 'delete', 'ref': self.thing_ref(left)}
        kinds = self.pick(('artifact',), ('run',), ('experiment',), ('model',), ('version',),
                          ('deployment',), ('namespace',), self.kinds,
                          weights=(20, 20, 15, 15, 20, 20 * self.has('pointers'),
                                   12 * self.has('namespaces'), 15))
        return None, {'op': 'delete', 'ref': self.ref(kinds)}

    def dead(self):
        """A reference to what is deleted, mostly."""
        state = self.world.state
        found = [t for t in state.things.values() if t['deleted']]
        # What may not come back alone, and what it is in.
        hard = [t for t in found if t['fields'].keys() & {'stage', 'targets'} or
                t['kind'] == 'namespace' or state.things[t['ns']]['deleted']]
        if found and self.chance(0.85):
            thing = self.rng.choice(hard if hard and self.chance(0.5) else found)
            label = self.env.label_of(thing['id'])
            by_id = label and thing['ns'] and state.things[thing['ns']]['deleted']
            return f'id/%I{label}%' if by_id else self.thing_ref(thing)
        return self.ref(self.kinds)

    def rename(self, word):
        kind = self.rng.choice(('artifact', 'run', 'experiment', 'model', 'type', 'version', None))
        op = {'op': word, 'ref': self.dead() if word == 'undelete' else
              self.ref((kind,) if kind else self.kinds)}
        if word == 'rename' or self.chance(0.3):
            name = self.rng.choice(NAMES)
            op['name'] = f'artifact:{name}' if op['ref'] and 'type/' in str(op['ref']) and \
                self.chance(0.9) else name
        return kind if word == 'rename' else None, op

    def hold(self, word):
        state = self.world.state
        held = [t for t in state.things.values() if 'hold' in t['fields']]
        op = {'op': word, 'ref': self.thing_ref(self.rng.choice(held))
              if held and word == 'release' and self.chance(0.8) else
              self.pick(self.dead(), self.ref(self.kinds))}
        if word == 'hold' and self.chance(0.5):
            op['reason'] = self.pick('audit', 'law', '')
        return None, op

    # Floors.

    def compact(self):
        """Mostly up to what is old enough; only as of what has a time already."""
        there = [t for t in self.world.state.find('namespace') if t['id'] != 1]
        ref = self.thing_ref(self.rng.choice(there)) if self.chance(0.9) else \
            self.ref(('namespace',))
        known = sorted(t for t, r in self.env.revisions.items() if r in self.env.times)
        highest = self.world.revision_of_age(plain.CURSOR_LIFE_S)
        old = [t for t in known if self.env.revisions[t] <= highest]
        label = self.rng.choice(old if old and self.chance(0.9) else known)
        before = self.pick(f'%R{label}%', f'%T{label}%', f'%T{label}-1%', 0, 1 << 62, 'x',
                           weights=(70, 15, 13, 2, 1, 0.2))
        return None, {'op': 'compact', 'ref': ref, 'before': before}

    def between_floors(self, label):
        """A moment that some namespaces know and others do not, if there is one."""
        state = self.world.state
        floors = [state.floors.get(ns['id'], {'revision': 0})['revision']
                  for ns in state.find('namespace', deleted=False) if ns['id'] != 1]
        there = [t for t, r in self.env.revisions.items()
                 if floors and min(floors) <= r <= max(floors)]
        return self.rng.choice(there) if there else label

    def time_passes(self):
        """So much that whatever is old, or young, stays so for a while."""
        seconds = self.pick(*PASSES_S, weights=(50, 40, 10))
        now_us = self.world.now_us
        self.world.now_us += seconds * 1000000
        while self.world.is_near(NEAR_S):
            seconds += NEAR_S
            self.world.now_us += NEAR_S * 1000000
        self.world.now_us = now_us
        return {'t': self.next(), 'pass_s': seconds}

    def list_of_the_dead(self):
        """Names lead to them for ever, whatever else of them is gone."""
        state = self.world.state
        found = [t for t in state.things.values() if t['deleted'] and
                 t['kind'] not in ('version', 'namespace') and not state.things[t['ns']]['deleted']]
        dead = self.rng.choice(found) if found else {'kind': 'artifact', 'ns': None}
        ns = self.abstract(state.path(dead['ns'])) if dead['ns'] else '%E%'
        return {'t': self.next(), 'method': 'list',
                'params': {'ns': ns, 'kind': dead['kind'], 'state': 'any', 'view': 'heads'}}

    # Params and metrics.

    def log(self):
        op = {'op': 'log', 'ref': self.ref(('run', 'version', 'artifact', 'experiment'))}
        if self.chance(0.5):
            op['params'] = {k: self.pick('1', '0.5', 'x', weights=(80, 10, 10))
                            for k in self.set_of('lr', 'depth', 'seed')}
        if self.chance(0.8):
            op['metrics'] = [self.series() for _ in range(self.pick(1, 2))]
        return None, op

    def series(self):
        series = {'key': self.pick('loss', 'auc', 'n')}
        if self.chance(0.3):
            series['on'] = self.ref(('artifact', 'version'), own=False)
        if self.chance(0.3):
            series['run'] = self.ref(('run',))
        count = self.pick(0, 1, 3, 20, 150, weights=(3, 40, 30, 20, 7))
        series['points'] = [self.point() for _ in range(count)]
        return series

    def point(self):
        value = self.pick(0.0, -0.0, 1, -2.5, 1e300, 'NaN', 'Infinity', '-Infinity', float('nan'),
                          self.rng.random(), weights=(5, 5, 5, 5, 5, 3, 2, 2, 2, 60))
        step = self.pick(0, -1, self.rng.randint(0, 300), -(1 << 63), (1 << 63) - 1,
                         weights=(10, 5, 80, 1, 1))
        point = [step, self.pick(0, 5, 1767225600000), value]
        if self.chance(0.0005):
            point[self.rng.randint(0, 2)] = self.pick('x', None, 1 << 63, -1.5, [])
        return point

    # Pointers.

    def expected(self):
        return self.pick('unset', 1, 2, 3, 4, 0, 'x', weights=(30, 20, 20, 10, 10, 1, 1))

    def alias(self):
        return self.pick('champion', 'next', 'c', 'latest', 'a/b', weights=(50, 30, 17, 2, 1))

    def stage(self):
        left = [t['fields']['stage'] for t in self.world.state.find('version', deleted=True)
                if 'stage' in t['fields']]
        if left and self.chance(0.2):
            return self.rng.choice(left)
        return self.pick('staging', 'production', 'archived', 'none', 'one', 'nobody',
                         weights=(25, 30, 20, 10, 13, 2))

    def set_alias(self):
        op = {'op': 'set_alias', 'ref': self.ref(('version',)), 'alias': self.alias()}
        if self.chance(0.3):
            op['expect'] = self.expected()
        return None, op

    def unset_alias(self):
        return None, {**self.set_alias()[1], 'op': 'unset_alias', 'ref': self.ref(('model',))}

    def set_stage(self):
        op = {'op': 'set_stage', 'ref': self.ref(('version',)), 'stage': self.stage()}
        if self.chance(0.2):
            op['expect'] = self.stage()
        if self.chance(0.5) and op['stage'] != 'none':
            op['displace'] = self.stage()
            if op['displace'] == op['stage'] and self.chance(0.95):
                op['displace'] = 'none'
        return None, op

    def set_targets(self):
        shares = self.pick([10000], [5000, 5000], [10000, 0], [], [1, 2],
                           weights=(50, 25, 15, 8, 2))
        targets = [{'version': self.ref(('version',), own=self.chance(0.2)), 'share': share}
                   for share in shares]
        if self.chance(0.3):
            targets.append({'version': self.ref(('version',)), 'mode': 'shadow'})
        for target in targets:
            if target.get('share') == 10000 and self.chance(0.5):
                del target['share']
            if self.chance(0.1):
                target.setdefault('mode', 'serving')
        return None, {'op': 'set_targets', 'ref': self.ref(('deployment',)), 'targets': targets}

    def stage_list(self):
        names = self.rng.sample(('none', 'staging', 'production', 'archived', 'one', 'two'),
                                self.rng.randint(2, 6))
        return [{'name': n, **({} if n == 'none' else {'multiple': self.chance(0.3)}),
                 **({} if n == 'none' or self.chance(0.5) else {'in_use': self.chance(0.3)})}
                for n in names]

    def operation(self, number):
        things, pointers = self.has('things'), self.has('pointers')
        words = {
            'create': (40, self.create), 'update': (22, self.update), 'delete': (9, self.delete),
            'link': (20, lambda: self.edge('link')), 'unlink': (6, lambda: self.edge('unlink')),
            'rename': (5 * things, lambda: self.rename('rename')),
            'undelete': (8 * things, lambda: self.rename('undelete')),
            'hold': (2 * things + 4 * self.has('compaction'), lambda: self.hold('hold')),
            'release': (2 * things + 2 * self.has('compaction'), lambda: self.hold('release')),
            'set_alias': (8 * pointers, self.set_alias),
            'unset_alias': (3 * pointers, self.unset_alias),
            'set_stage': (10 * pointers, self.set_stage),
            'set_targets': (8 * pointers, self.set_targets),
            'purge': (6 * self.has('namespaces'), lambda: (None, {'op': 'purge',
                                                                  'ref': self.dead()})),
            'log': (12 * self.has('series'), self.log),
            'compact': (6 * self.has('compaction'), self.compact),
        }
        word = self.pick(*words, weights=[weight for weight, _ in words.values()])
        kind, op = words[word][1]()
        op['_'] = number
        if self.chance(0.15):
            op['as'] = self.pick(f'x{number}', f'_y{number}', 'x', '9', weights=(60, 30, 9, 1))
        self.made.append((number, kind, op.get('as')))
        if self.chance(0.005):
            self.spoil(op)
        return op

    def spoil(self, op):
        key = self.rng.choice([k for k in op if k != '_'])
        what = self.pick('drop', 'other', 'unknown')
        if what == 'drop':
            del op[key]
        elif what == 'other' and key not in ('op', 'kind', 'number', 'as', 'name', 'namespace'):
            op[key] = self.pick(5, 'nothing', [], {})
        else:
            op['unknown'] = 1

    def guard(self):
        word = self.pick('exists', 'absent', 'unchanged', 'alias', 'stage',
                         weights=(3, 3, 3, 2 * self.has('pointers'), 2 * self.has('pointers')))
        if word == 'alias':
            return {'guard': word, 'ref': self.ref(('model',), own=False), 'alias': self.alias(),
                    'is': self.expected()}
        if word == 'stage':
            return {'guard': word, 'ref': self.ref(('version',), own=False), 'is': self.stage()}
        guard = {'guard': word, 'ref': self.ref(self.kinds, own=False)}
        if word == 'absent' and self.chance(0.7):
            guard['ref'] = f'artifact/{self.rng.choice(NAMES + ("zz", "yy"))}'
        if word == 'unchanged':
            guard['revision'] = self.revision()
            try:
                thing = self.world.state.resolve(
                    plain.Ref(self.env.concrete(guard['ref'])),
                    self.world.state.namespace(self.env.concrete(self.ns)))
                label = self.env.label_of_revision(thing['changed'])
                if label is not None and self.chance(0.8):
                    guard['revision'] = f'%R{label}%'
            except plain.Refused:
                pass
        return guard

    def revision(self):
        label = self.rng.randint(0, self.item - 1) if self.item else 0
        return f'%R{label}%'

    def txn(self):
        self.made = []
        self.ns = self.namespace() if self.chance(0.5) else '%E%'
        command = {'v': 1, 'ns': self.ns}
        if self.chance(0.15):
            command['guards'] = [self.guard() for _ in range(self.pick(1, 2))]
        count = self.pick(1, 2, 3, 5, 12, weights=(40, 25, 15, 15, 5))
        command['ops'] = [self.operation(i) for i in range(count)]
        if self.chance(0.1):
            command['reason'] = 'because'
        item = {'t': self.next(), 'user': self.pick('ann', 'bob'), 'command': command}
        if self.has('history') and self.chance(0.05):
            item['dry_run'] = True
        return item

    def next(self):
        self.item += 1
        return self.item

    # Reads.

    def read(self):
        self.made = []
        self.ns = self.namespace() if self.chance(0.4) else '%E%'
        method = self.pick('get', 'list', 'lineage', 'search', 'count', 'history', 'describe',
                           'metrics', 'audit', 'watch', 'impact', 'provenance', 'paths', 'diff',
                           weights=(45, 25, 25, 50 * self.has('search'), 10 * self.has('search'),
                                    20 * self.has('history'), 15 * self.has('namespaces'),
                                    20 * self.has('series'), 12 * self.has('watch'),
                                    4 * self.has('watch'), *[15 * self.has('walks')] * 4))
        if method in ('audit', 'watch'):
            return {'t': self.next(), 'method': method, 'params': self.read_changes(method)}
        params = {'ns': self.ns, **getattr(self, 'read_' + method)()}
        of_now = searching.uses_metrics(params)
        if self.chance(0.5) and not of_now:
            label = self.rng.randint(0, self.item)
            if self.has('compaction') and self.chance(0.4):
                label = self.between_floors(label)
            params['as_of'] = self.pick(f'%R{label}%', f'%T{label}%', f'%T{label}-1%',
                                        weights=(60, 25, 15))
        if method != 'describe':
            if self.chance(0.8):
                params['view'] = self.pick('full', 'heads', 'ids', weights=(80, 10, 10))
            if self.chance(0.4):
                params['with'] = ['edges']
                ways = ['edges'] + ['aliases'] * self.has('pointers') + ['params', 'metrics'] * self.has('series')
                params['with'] = self.rng.sample(ways, self.rng.randint(1, len(ways)))
            if method in ('paths', 'diff'):
                params.pop('with', None)
            if method in ('history', 'metrics', 'count'):
                params.pop('view', None)
                params.pop('with', None)
            if self.chance(0.4):
                params['state'] = self.pick('live', 'deleted', 'any')
            if self.chance(0.3):
                params['limit'] = self.pick(1, 2, 5) * (20 if method == 'metrics' else 1)
        return {'t': self.next(), 'method': method, 'params': params}

    def read_get(self):
        refs = [str(self.ref(self.kinds, own=False)) for _ in range(self.rng.randint(1, 12))]
        refs = [r for r in refs if self.well_formed(r)] or ['id/%I0.0%']
        if self.chance(0.4):
            refs.append('digest:' + self.rng.choice(DIGESTS))
        if self.has('things') and self.chance(0.4):
            refs.append('uri:' + self.rng.choice(URIS))
        return {'refs': refs}

    def well_formed(self, ref):
        try:
            plain.Ref(self.env.concrete(ref))
        except plain.Refused:
            return False
        return True

    def read_list(self):
        kind = self.rng.choice(self.kinds)
        params = {'kind': kind}
        if kind in ('run', 'version') and self.chance(0.4):
            params['under'] = self.ref(('experiment' if kind == 'run' else 'model',), own=False)
        return params

    def read_search(self):
        maker = searching.Maker(self)
        metrics = self.has('series')
        # As text, which is never made smaller: half of a query is none.
        kind = self.pick('run', 'version', 'artifact', self.rng.choice(self.kinds),
                         weights=(30, 30, 20, 20))
        return {'kind': kind,
                'query': json.dumps(maker.tree(self.rng.randint(0, 2), metrics) if self.chance(0.9) else None),
                'order': json.dumps(maker.order(metrics))}

    def read_count(self):
        params = self.read_search()
        params['order'] = '[]'
        if params['kind'] == 'namespace':
            params['kind'] = 'run'  # other episodes have namespaces too
        if self.chance(0.5):
            params['by'] = self.pick('owner', 'tags.k', 'params.lr', 'status', 'state', 'name', 'alias')
        return params

    def read_lineage(self):
        params = {'ref': self.ref(('artifact', 'run', 'version', 'model', 'experiment'),
                                  own=False), 'direction': self.pick('up', 'down')}
        if self.chance(0.3):
            params['labels'] = self.rng.sample(LABELS + ('produced_by', 'nobody'),
                                               self.rng.randint(1, 3))
        if self.chance(0.2):
            params['kinds'] = self.rng.sample(self.kinds, self.rng.randint(1, 3))
        if self.chance(0.3):
            params['depth'] = self.rng.randint(1, 3)
        if self.chance(0.15):
            params['count'] = True
        return self.with_query(params)

    def with_query(self, params):
        """What is shown of what is reached."""
        if self.has('search') and self.chance(0.3):
            tree = searching.Maker(self).tree(self.rng.randint(0, 2), self.has('series'))
            params.update(query=json.dumps(tree), order='[]')
        return params

    def walked(self, *keys):
        params = {key: self.ref(('artifact', 'run', 'version', 'model', 'experiment'), own=False)
                  for key in keys}
        if self.chance(0.3):
            params['labels'] = self.rng.sample(LABELS + ('produced_by', 'nobody'),
                                               self.rng.randint(1, 3))
        if self.chance(0.25):
            params['depth'] = self.rng.randint(1, 4)
        return params

    def read_impact(self):
        params = self.walked('ref')
        if self.chance(0.15):
            params['count'] = True
        return self.with_query(params)

    def read_provenance(self):
        params = self.read_impact()
        if self.chance(0.2):
            params['kinds'] = self.rng.sample(self.kinds, self.rng.randint(1, 3))
        return params

    def read_paths(self):
        params = self.walked('from', 'to')
        far = self.far_apart() if self.chance(0.7) else None
        if far:
            params['from'], params['to'] = map(self.thing_ref, far)
        if self.chance(0.5):
            params['direction'] = self.pick('up', 'down', 'either')
        return params

    def far_apart(self):
        """Two things, of which one leads to the other in more than a step, if there are such."""
        state = self.world.state
        starts = sorted({a for a, _, _ in state.edges if state.live(state.things[a])})
        for start in self.rng.sample(starts, min(len(starts), 4)):
            depths = walk(state, None, False, start, 0)
            ends = sorted(i for i, d in depths.items() if d > 1 and state.live(state.things[i]))
            if ends:
                pair = [state.things[start], state.things[self.rng.choice(ends)]]
                return pair if self.chance(0.7) else pair[::-1]
        return None

    def read_diff(self):
        params = self.walked('from')
        if self.chance(0.6):
            params['to'] = self.walked('to')['to']
        if 'to' not in params or self.chance(0.3):
            params['from_as_of'] = f'%R{self.rng.randint(0, self.item)}%'
        return params

    def read_metrics(self):
        state = self.world.state
        measured = [state.things[i] for i in {place[0] for place in state.series}]
        refs = [self.thing_ref(t) for t in self.rng.sample(measured, min(len(measured), 2))]
        if not refs or self.chance(0.1):
            refs = [r for r in [self.ref(self.kinds, own=False)] if self.well_formed(r)]
        params = {'refs': refs or ['id/%I0.0%']}
        if self.chance(0.4):
            params['keys'] = self.rng.sample(('loss', 'auc', 'n', 'none'), self.rng.randint(1, 3))
        if self.chance(0.3):
            params['on'] = None
            if self.chance(0.6):
                on = self.ref(('artifact', 'version'), own=False)
                params['on'] = on if self.well_formed(on) else None
        if self.chance(0.15):
            params['last'] = True
            return params
        for key, values in (('from_step', (-1, 0, 5, 100)), ('to_step', (0, 50, 200)),
                            ('from_time', (0, 1, 5)), ('to_time', (5, 1767225600000))):
            if self.chance(0.2):
                params[key] = self.rng.choice(values)
        if self.chance(0.3):
            params['sample'] = self.pick(4, 8, 30, 5)
        return params

    def read_history(self):
        return {'ref': self.ref(self.kinds, own=False)}

    def read_changes(self, method):
        """What audit and watch tell of, and which of it."""
        params = {'ns': self.ns, 'namespace': self.pick('%E%', self.ns, weights=(80, 20))}
        if self.chance(0.3):
            params['kinds'] = self.rng.sample(self.kinds, self.rng.randint(1, 3))
        if self.chance(0.3):
            params['prefix'] = self.rng.choice(self.kinds) + '/' + \
                self.pick('', self.rng.choice(NAMES)[:1])
        label = self.rng.randint(0, self.item)
        if method == 'watch':
            return {**params, 'from': f'%R{label}%'}
        if self.chance(0.3):
            params['as_of'] = f'%R{label}%'
        if self.chance(0.3):
            params['by'] = self.pick('ann', 'bob')
        if self.chance(0.3):
            ref = self.ref(self.kinds, own=False)
            if self.well_formed(ref):
                params['ref'] = ref
        if self.chance(0.3):
            params['limit'] = self.pick(1, 2, 5)
        return params

    def read_describe(self):
        return {}
