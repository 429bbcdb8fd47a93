"""Seeded random transactions and reads over a universe so small that they meet.

What is made here is abstract, so that it still means something when parts of it are left out:

    %E%        the episode's namespace
    %I3.2%     the id that operation 2 of item 3 made or met
    %R3%       the revision after item 3, %R3-1% the one before
    %T3%       its store time, %T3-1% a microsecond before
    $%O2%      operation 2 of the same transaction

Operations carry their number as "_", which is taken off before they are sent.
"""

import plain

NAMES = ('a', 'b', 'c')
LABELS = ('consumed', 'derived_from', 'contains', 'own', 'own.2')
SYSTEMS = ('s:1', 's:2', 't:1')
DIGESTS = ['sha256:' + c * 64 for c in '01'] + ['blake3:' + c * 64 for c in '01'] + ['own:x', 'own:y']
TEXTS = ('x', 'y', 'z', 'long ' * 60, '\u00e4\u4e2d\U0001f600')
TIMES = (1, 1000, 1767225600000000)


class Generator:
    def __init__(self, rng, world, base, env, parts):
        self.rng = rng
        self.world = world
        self.base = base
        self.env = env
        self.parts = parts
        self.item = 0
        self.made = []  # of the transaction that is made: (number, kind, as)

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, *choices, weights=None):
        return self.rng.choices(choices, weights)[0]

    def abstract(self, path):
        return path.replace(self.base, '%E%', 1)

    # References.

    def namespace(self):
        return self.pick('%E%', '%E%/a', '%E%/b', '%E%/a/b', weights=(60, 25, 12, 3))

    def thing_ref(self, thing):
        """One of the ways in which a thing is written."""
        state = self.world.state
        form = self.pick('name', 'id', 'external', weights=(70, 25, 5))
        label = self.env.label_of(thing['id'])
        if form == 'id' and label:
            return f'id/%I{label}%'
        if thing['kind'] == 'namespace':
            return 'namespace/' + self.abstract(thing['name'])
        path = self.abstract(state.path(thing['ns']))
        prefix = '' if path == self.ns and self.chance(0.8) else f'//{path}//'
        if form == 'external' and thing['fields'].get('external_ids'):
            return f"{prefix}{thing['kind']}/ext:{self.rng.choice(thing['fields']['external_ids'])}"
        if thing['kind'] == 'version':
            model = state.things[thing['model']]
            last = '@latest' if self.chance(0.1) else f"/{thing['number']}"
            return f"{prefix}version/{model['name']}{last}"
        return f"{prefix}{thing['kind']}/{thing['name']}"

    def ref(self, kinds, own=True):
        """A reference to one of the kinds: to something that is there, mostly."""
        if own:
            earlier = [(n, name) for n, kind, name in self.made if kind in kinds]
            if earlier and self.chance(0.4):
                n, name = self.rng.choice(earlier)
                return f'${name}' if name and self.chance(0.5) else f'$%O{n}%'
        if self.chance(0.03):
            kinds = plain.KINDS
        if self.chance(0.02):
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
        return {k: None if updates and self.chance(0.2) else self.rng.choice(TEXTS)
                for k in self.set_of('k', 'l', 'm')}

    def value(self, name, updates):
        shape, _, _, nil = plain.FIELDS[name]
        if nil and updates and self.chance(0.2):
            return None
        if self.chance(0.01):
            return self.pick(None, 5, 'x', [], {}, [5], {'k': 5}, -1, True, 'a\0b', ['x'])
        if shape == 'text':
            return self.rng.choice(TEXTS[:3])
        if shape == 'map':
            return self.tags(updates)
        if shape == 'type':
            return self.rng.choice(NAMES)
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
            return self.set_of('u:1', 'u:2', 'u:3')
        return self.ref((shape.partition(':')[2],))

    def fields(self, kind, updates, p=0.25):
        names = list(plain.FIELDS)
        if kind and not self.chance(0.01):
            names = [n for n in names if kind in plain.FIELDS[n][1]]
        elif not kind:
            names = ['description', 'owner', 'tags']
        op = {}
        for name in names:
            if self.chance(0.04 if name == 'external_ids' and not updates else p):
                op[name] = self.value(name, updates)
        return op

    # Operations.

    def create(self):
        kind = self.pick('artifact', 'experiment', 'run', 'model', 'version', 'type', 'namespace',
                         weights=(25, 10, 20, 12, 25, 6, 2))
        op = {'op': 'create', 'kind': kind}
        if kind == 'version':
            op['model'] = self.ref(('model',))
            if self.chance(0.35):
                op['number'] = self.rng.randint(1, 12)
        elif kind == 'namespace':
            op['name'] = self.namespace()
        elif kind == 'type':
            op['name'] = self.pick('artifact:', 'run:', 'model:', 'version:', 'edge:', 'x:',
                                   weights=(30, 30, 20, 20, 5, 1)) + self.rng.choice(NAMES)
        elif kind == 'model' or self.chance(0.8):
            op['name'] = self.rng.choice(NAMES)
        if kind not in ('version', 'namespace') and self.chance(0.2):
            op['namespace'] = self.namespace()
        if self.chance(0.4):
            op['if_exists'] = self.pick('error', 'return', 'match', weights=(10, 30, 60))
        return kind, {**op, **self.fields(kind, False)}

    def update(self):
        kind = self.pick('artifact', 'experiment', 'run', 'model', 'version', 'type', None,
                         weights=(25, 10, 25, 15, 20, 5, 10))
        ref = self.ref((kind,) if kind else plain.KINDS)
        return kind, {'op': 'update', 'ref': ref, **self.fields(kind, True)}

    def edge(self, word):
        state = self.world.state
        if word == 'unlink' and state.edges and self.chance(0.7):
            a, label, b = self.rng.choice(list(state.edges))
            return None, {'op': word, 'from': self.thing_ref(state.things[a]), 'label': label,
                          'to': self.thing_ref(state.things[b])}
        label = self.rng.choice(LABELS) if not self.chance(0.01) else self.pick('X', '', 'a b')
        kinds = ('artifact', 'run', 'version', 'experiment', 'model')
        return None, {'op': word, 'from': self.ref(kinds), 'label': label, 'to': self.ref(kinds)}

    def delete(self):
        kinds = self.pick(('artifact',), ('run',), ('experiment',), ('model',), ('version',),
                          plain.KINDS)
        return None, {'op': 'delete', 'ref': self.ref(kinds)}

    def operation(self, number):
        word = self.pick('create', 'update', 'link', 'unlink', 'delete',
                         weights=(40, 22, 20, 6, 9))
        kind, op = {'create': self.create, 'update': self.update, 'delete': self.delete,
                    'link': lambda: self.edge('link'), 'unlink': lambda: self.edge('unlink')}[word]()
        op['_'] = number
        if self.chance(0.15):
            op['as'] = self.pick('x', 'y', '_z9', '9', weights=(40, 40, 19, 1))
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
        word = self.pick('exists', 'absent', 'unchanged')
        guard = {'guard': word, 'ref': self.ref(plain.KINDS, own=False)}
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
        return {'t': self.next(), 'user': self.pick('ann', 'bob'), 'command': command}

    def next(self):
        self.item += 1
        return self.item

    # Reads.

    def read(self):
        self.made = []
        self.ns = self.namespace() if self.chance(0.4) else '%E%'
        method = self.pick('get', 'list', 'lineage', 'describe', weights=(45, 25, 25, 5 if 'E' in self.parts else 0))
        params = {'ns': self.ns, **getattr(self, 'read_' + method)()}
        if self.chance(0.5):
            label = self.rng.randint(0, self.item)
            params['as_of'] = self.pick(f'%R{label}%', f'%T{label}%', f'%T{label}-1%',
                                        weights=(60, 25, 15))
        if method != 'describe':
            if self.chance(0.8):
                params['view'] = self.pick('full', 'heads', 'ids', weights=(80, 10, 10))
            if self.chance(0.4):
                params['with'] = ['edges']
            if self.chance(0.4):
                params['state'] = self.pick('live', 'deleted', 'any')
            if self.chance(0.3):
                params['limit'] = self.pick(1, 2, 5)
        return {'t': self.next(), 'method': method, 'params': params}

    def read_get(self):
        refs = [str(self.ref(plain.KINDS, own=False)) for _ in range(self.rng.randint(1, 12))]
        refs = [r for r in refs if self.well_formed(r)] or ['id/%I0.0%']
        if self.chance(0.4):
            refs.append('digest:' + self.rng.choice(DIGESTS))
        return {'refs': refs}

    def well_formed(self, ref):
        try:
            plain.Ref(self.env.concrete(ref))
        except plain.Refused:
            return False
        return True

    def read_list(self):
        kind = self.rng.choice(plain.KINDS)
        params = {'kind': kind}
        if kind in ('run', 'version') and self.chance(0.4):
            params['under'] = self.ref(('experiment' if kind == 'run' else 'model',), own=False)
        return params

    def read_lineage(self):
        params = {'ref': self.ref(('artifact', 'run', 'version', 'model', 'experiment'),
                                  own=False), 'direction': self.pick('up', 'down')}
        if self.chance(0.3):
            params['labels'] = self.rng.sample(LABELS + ('produced_by', 'nobody'),
                                               self.rng.randint(1, 3))
        if self.chance(0.2):
            params['kinds'] = self.rng.sample(plain.KINDS, self.rng.randint(1, 3))
        if self.chance(0.3):
            params['depth'] = self.rng.randint(1, 3)
        if self.chance(0.15):
            params['count'] = True
        return params

    def read_describe(self):
        return {}
