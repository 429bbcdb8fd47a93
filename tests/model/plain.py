"""What clade means, said a second time and as plainly as possible.

A `World` answers transactions and reads as the model and the READMEs of client/command and
client/wire describe them. It is dictionaries and loops: no index, no cleverness, nothing shared
with the store, so that what both get wrong alike is rare. A state is never changed once a revision
has it: a transaction works on a copy, which becomes the next revision's state or is thrown away.
"""

import copy
import re

KINDS = ('namespace', 'type', 'artifact', 'experiment', 'run', 'model', 'version')
TYPED = ('artifact', 'experiment', 'run', 'model', 'version')
CONTENT = ('artifact', 'version')
STATUSES = ('scheduled', 'running', 'finished', 'failed', 'killed')

# name -> (shape, kinds that have it, core, may be taken away by nil), in the order of writing
FIELDS = {
    'description': ('text', KINDS, False, True),
    'owner': ('text', KINDS, False, True),
    'tags': ('map', KINDS, False, False),
    'type': ('type', TYPED, True, False),
    'external_ids': ('set', TYPED, False, False),
    'digests': ('set', CONTENT, True, False),
    'size': ('uint', ('artifact',), True, False),
    'uris': ('set', CONTENT, False, False),
    'experiment': ('ref:experiment', ('run',), True, False),
    'parent': ('ref:run', ('run',), True, False),
    'start': ('time', ('run',), True, False),
    'status': ('status', ('run',), False, True),
    'end': ('time', ('run',), False, True),
    'run': ('ref:run', ('version',), True, False),
}

OWN_KEYS = {
    'create': {'kind', 'name', 'namespace', 'if_exists', 'model', 'number'},
    'update': {'ref'},
    'link': {'from', 'label', 'to'},
    'unlink': {'from', 'label', 'to'},
    'delete': {'ref'},
}
FIELDS_OF = ('create', 'update')
MAKES_THING = ('create', 'update')


class Refused(Exception):
    def __init__(self, code, where=None, thing=None):
        super().__init__(code, where)
        self.code = code
        self.where = where
        self.thing = thing  # what is in the way

    def inside(self, prefix):
        where = self.where
        if where is None:
            where = prefix
        else:
            where = f'{prefix}{where}' if where.startswith('[') else f'{prefix}.{where}'
        return Refused(self.code, where, self.thing)


# --- what can be said without the store ------------------------------------------------------

NAMESPACE = re.compile(r'[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*\Z')
LABEL = re.compile(r'[a-z0-9_.-]+\Z')
HEX = {'sha256': 64, 'sha384': 96, 'sha512': 128, 'blake3': 64}


def check_name(kind, name):
    if not isinstance(name, str) or name == '' or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise Refused('INVALID')
    if len(name.encode()) > (256 if kind == 'namespace' else 1024):
        raise Refused('LIMIT')
    if kind == 'namespace' and not NAMESPACE.match(name):
        raise Refused('INVALID')
    if kind == 'type':
        of, colon, rest = name.partition(':')
        if not colon or of not in TYPED + ('deployment', 'edge') or rest == '':
            raise Refused('INVALID')
        if of == 'edge' and not LABEL.match(rest):
            raise Refused('INVALID')
        return
    if name.startswith(('ext:', '$')) or kind == 'version':
        raise Refused('INVALID')
    if kind == 'model' and '@' in name:
        raise Refused('INVALID')


class Ref:
    """A reference as it is written."""

    def __init__(self, text, in_txn=False):
        self.kind = None   # None: any
        self.ns = None     # None: the namespace of who asks
        self.form = None   # op, id, name, external, version, alias
        self.value = None
        if not isinstance(text, str):
            raise Refused('INVALID')
        try:
            self.parse(text, in_txn)
        except Refused:
            raise Refused('INVALID') from None

    def parse(self, text, in_txn):
        if text.startswith('$'):
            if not in_txn or not re.match(r'\$([0-9]+|[A-Za-z_][A-Za-z0-9_]*)\Z', text):
                raise Refused('INVALID')
            self.form, self.value = 'op', text[1:]
            return
        if text.startswith('//'):
            self.ns, found, text = text[2:].partition('//')
            if not found:
                raise Refused('INVALID')
            check_name('namespace', self.ns)
        kind, slash, rest = text.partition('/')
        if not slash:
            raise Refused('INVALID')
        if kind == 'id':
            if self.ns is not None or not re.match(r'[0-9]+\Z', rest) or int(rest) == 0:
                raise Refused('INVALID')
            self.form, self.value = 'id', int(rest)
            return
        self.kind = kind
        if kind not in KINDS + ('deployment',) or (kind == 'namespace' and self.ns is not None):
            raise Refused('INVALID')
        if rest.startswith('ext:') and kind not in ('namespace', 'type'):
            system, colon, number = rest[4:].partition(':')
            if not colon or not system or not number:
                raise Refused('INVALID')
            self.form, self.value = 'external', rest[4:]
        elif kind == 'version':
            self.parse_version(rest)
        else:
            check_name(kind, rest)
            self.form, self.value = 'name', rest

    def parse_version(self, rest):
        at = max(rest.rfind('/'), rest.rfind('@'))
        if at < 0:
            raise Refused('INVALID')
        model, last = rest[:at], rest[at + 1:]
        check_name('model', model)
        if rest[at] == '@':
            if last == '':
                raise Refused('INVALID')
            self.form, self.value = 'alias', (model, last)
        elif not re.match(r'[0-9]+\Z', last) or int(last) == 0:
            raise Refused('INVALID')
        else:
            self.form, self.value = 'version', (model, int(last))


def check_digest(text):
    if not isinstance(text, str) or not re.match(r'[a-z0-9_+.-]+:.', text):
        raise Refused('INVALID')
    algorithm, _, value = text.partition(':')
    if algorithm in HEX and not re.match(r'[0-9a-f]{%d}\Z' % HEX[algorithm], value):
        raise Refused('INVALID')


def check_text(value, control=False):
    if not isinstance(value, str):
        raise Refused('INVALID')
    for c in value:
        if c == '\0' or (not control and (ord(c) < 32 or ord(c) == 127)):
            raise Refused('INVALID')


class Form:
    """The check of a command's form; makes nothing but the refusal."""

    def __init__(self, command):
        self.ops = command['ops']
        self.names = {}
        if not isinstance(self.ops, list) or not self.ops:
            raise Refused('INVALID', 'ops')
        for i, guard in enumerate(command.get('guards', [])):
            self.inside(f'guards[{i}]', self.guard, guard)
        for i, op in enumerate(self.ops):
            if 'as' in op and not re.match(r'[A-Za-z_][A-Za-z0-9_]{0,63}\Z', op['as']):
                raise Refused('INVALID', f'ops[{i}].as')
        # Of several that stand twice the first in the order of names is told.
        for i, name in sorted(((i, op['as']) for i, op in enumerate(self.ops) if 'as' in op),
                              key=lambda pair: (pair[1], pair[0])):
            if name in self.names:
                raise Refused('INVALID', f'ops[{i}].as')
            self.names[name] = i
        for i, op in enumerate(self.ops):
            self.inside(f'ops[{i}]', self.op, i, op)

    @staticmethod
    def inside(where, check, *args):
        try:
            return check(*args)
        except Refused as e:
            raise e.inside(where) from None

    def guard(self, guard):
        self.keys(guard, {'guard', 'ref', 'revision'})
        if guard.get('guard') not in ('exists', 'absent', 'unchanged'):
            raise Refused('INVALID', 'guard')
        if 'ref' not in guard:
            raise Refused('INVALID', 'ref')
        self.inside('ref', Ref, guard['ref'])
        if ('revision' in guard) != (guard['guard'] == 'unchanged'):
            raise Refused('INVALID', 'revision')

    @staticmethod
    def keys(given, known):
        for key in given:
            if key not in known:
                raise Refused('INVALID', key)

    def ref(self, i, text, kind=None):
        """The kind that it is of, as far as that is known; None when it is not."""
        ref = Ref(text, in_txn=True)
        of = ref.kind
        if ref.form == 'op':
            at = int(ref.value) if ref.value.isdigit() else self.names.get(ref.value, i)
            if at >= i or self.ops[at]['op'] not in MAKES_THING:
                raise Refused('INVALID')
            of = self.kind_of(at)
        if kind and of and of != kind:
            raise Refused('INVALID')
        return of

    def kind_of(self, i):
        op = self.ops[i]
        return op['kind'] if op['op'] == 'create' else self.ref(i, op['ref'])

    def op(self, i, op):
        word = op.get('op')
        if word not in OWN_KEYS:
            raise Refused('INVALID', 'op')
        own = OWN_KEYS[word] | {'op', 'as'}
        if word in FIELDS_OF:
            kind = self.create(i, op) if word == 'create' else self.subject(i, op)
            for key in op:
                if key not in own and (key not in FIELDS or (kind and kind not in FIELDS[key][1])):
                    raise Refused('INVALID', key)
            for key in FIELDS:
                if key in op:
                    self.inside(key, self.field, i, key, op[key], word == 'update')
            return
        self.keys(op, own)
        if word == 'delete':
            self.subject(i, op)
        else:
            for end in ('from', 'to'):
                self.need(i, op, end)
            if not isinstance(op.get('label'), str) or not LABEL.match(op['label']):
                raise Refused('INVALID', 'label')

    def need(self, i, op, key, kind=None):
        if key not in op:
            raise Refused('INVALID', key)
        return self.inside(key, self.ref, i, op[key], kind)

    def subject(self, i, op):
        kind = self.need(i, op, 'ref')
        if kind == 'namespace':
            raise Refused('UNSUPPORTED', 'ref')
        return kind

    def create(self, i, op):
        kind = op.get('kind')
        if not isinstance(kind, str):
            raise Refused('INVALID', 'kind')
        if op.get('if_exists', 'error') not in ('error', 'return', 'match'):
            raise Refused('INVALID', 'if_exists')
        if kind not in KINDS:
            raise Refused('INVALID', 'kind')
        if kind == 'version':
            for key in ('name', 'namespace'):
                if key in op:
                    raise Refused('INVALID', key)
            self.need(i, op, 'model', 'model')
            if op.get('number', 1) == 0:
                raise Refused('INVALID', 'number')
            return kind
        for key in ('model', 'number'):
            if key in op:
                raise Refused('INVALID', key)
        if kind == 'namespace' and 'namespace' in op:
            raise Refused('INVALID', 'namespace')
        if 'namespace' in op:
            self.inside('namespace', check_name, 'namespace', op['namespace'])
        if 'name' in op:
            self.inside('name', check_name, kind, op['name'])
        elif kind not in ('artifact', 'experiment', 'run'):
            raise Refused('INVALID', 'name')
        return kind

    def field(self, i, name, value, updates):
        shape, _, _, nil = FIELDS[name]
        if value is None:
            if not updates or not nil:
                raise Refused('INVALID')
        elif shape == 'text':
            check_text(value, control=name == 'description')
        elif shape == 'type':
            check_text(value)
        elif shape == 'status':
            if value not in STATUSES:
                raise Refused('INVALID')
        elif shape in ('uint', 'time'):
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise Refused('INVALID')
        elif shape == 'map':
            self.tags(value, updates)
        elif shape == 'set':
            self.members(name, value)
        else:
            self.ref(i, value, shape.partition(':')[2])

    @staticmethod
    def tags(value, updates):
        if not isinstance(value, dict):
            raise Refused('INVALID')
        for key, text in value.items():
            if text is None and not updates:
                raise Refused('INVALID', key)
            if text is not None:
                Form.inside(key, check_text, text, True)

    @staticmethod
    def members(name, value):
        if not isinstance(value, list):
            raise Refused('INVALID')
        for j, text in enumerate(value):
            if name == 'digests':
                Form.inside(f'[{j}]', check_digest, text)
            elif name == 'external_ids':
                if not isinstance(text, str) or not re.match('[^:]+:.', text):
                    raise Refused('INVALID', f'[{j}]')
            else:
                Form.inside(f'[{j}]', check_text, text)
        if name == 'digests' and len({d.partition(':')[0] for d in value}) < len(set(value)):
            raise Refused('INVALID')


# --- a state ---------------------------------------------------------------------------------

class State:
    """All that is so at one revision. Things are dictionaries that are replaced, never changed."""

    def __init__(self):
        self.things = {}   # id -> thing
        self.edges = {}    # (from, label, to) -> revision that made it
        self.highest = {}  # model -> its highest number so far

    def copy(self):
        new = copy.copy(self)
        for key, value in vars(self).items():
            setattr(new, key, dict(value))
        return new

    def find(self, kind, **wanted):
        return [t for t in self.things.values() if t['kind'] == kind and
                all(t[k] == v for k, v in wanted.items())]

    def live(self, thing):
        """A version is live only while its model is, a run while its experiment is."""
        if thing['deleted']:
            return False
        parent = thing['model'] if thing['kind'] == 'version' else \
            thing['fields'].get('experiment') if thing['kind'] == 'run' else None
        return parent is None or self.live(self.things[parent])

    def namespace(self, path):
        found = [t for t in self.find('namespace', name=path) if not t['deleted']]
        return found[0]['id'] if found else None

    def path(self, ns):
        return self.things[ns]['name']

    def by_name(self, kind, ns, name, dead=False):
        """Who holds the name; with `dead` who held it last."""
        found = self.find(kind, ns=ns, name=name)
        found = [t for t in found if self.was_seen(t) if dead or not t['deleted']]
        return max(found, key=lambda t: (t['named'], t['id']), default=None)

    @staticmethod
    def was_seen(thing):
        """What one transaction makes and deletes never held its name at any revision."""
        return thing['created'] != thing.get('ended')

    def by_external_id(self, kind, ns, text, dead=False):
        found = [t for t in self.find(kind, ns=ns) if text in t['fields'].get('external_ids', ())]
        found = [t for t in found if t['external'][text][0] != t.get('ended')
                 if dead or not t['deleted']]
        return max(found, key=lambda t: t['external'][text], default=None)

    def version(self, model, number):
        found = self.find('version', model=model, number=number)
        return found[0] if found else None

    def resolve(self, ref, ns, dead=False):
        """The thing that a reference means, live unless `dead`."""
        thing = self.look_up(ref, ns, dead)
        if thing is None or not (dead or self.live(thing)):
            raise Refused('NOT_FOUND')
        return thing

    def look_up(self, ref, ns, dead):
        if ref.form == 'id':
            return self.things.get(ref.value)
        if ref.kind == 'namespace':
            ns = 0
        elif ref.ns is not None:
            ns = self.namespace(ref.ns)
            if ns is None:
                return None
        if ref.form == 'name':
            return self.by_name(ref.kind, ns, ref.value, dead)
        if ref.form == 'external':
            return self.by_external_id(ref.kind, ns, ref.value, dead)
        model = self.by_name('model', ns, ref.value[0], dead)
        if model is None:
            return None
        if ref.form == 'version':
            return self.version(model['id'], ref.value[1])
        if ref.value[1] == 'latest':
            return max((v for v in self.find('version', model=model['id'])
                        if not v['deleted']),
                       key=lambda v: v['number'], default=None)
        return None

    def ref(self, thing, ns):
        """How a thing is written for who is in `ns`."""
        prefix = '' if thing['ns'] in (0, ns) else f"//{self.path(thing['ns'])}//"
        if thing['kind'] == 'version':
            return f"{prefix}version/{self.things[thing['model']]['name']}/{thing['number']}"
        return f"{prefix}{thing['kind']}/{thing['name']}"


# --- transactions ----------------------------------------------------------------------------

class Transaction:
    """One command on a state of its own."""

    def __init__(self, world, command):
        self.state = world.state.copy()
        self.revision = world.revision + 1
        self.next_id = world.next_id
        self.command = command
        self.made = []  # what each operation is about, for $ references
        self.changed = False
        self.ns = None

    def run(self):
        self.ns = self.state.namespace(self.command.get('ns', 'default'))
        if self.ns is None:
            raise Refused('NOT_FOUND', 'ns')
        for i, guard in enumerate(self.command.get('guards', [])):
            Form.inside(f'guards[{i}]', self.guard, guard)
        results = []
        for i, op in enumerate(self.command['ops']):
            self.made.append(None)
            results.append(Form.inside(f'ops[{i}]', getattr(self, 'do_' + op['op']), op))
        return results

    def guard(self, guard):
        try:
            thing = self.state.resolve(Ref(guard['ref']), self.ns)
        except Refused:
            thing = None
        word = guard['guard']
        if word == 'absent':
            if thing is not None:
                raise Refused('CONFLICT', None, thing)
        elif thing is None:
            raise Refused('CONFLICT')
        elif word == 'unchanged' and thing['changed'] != guard['revision']:
            raise Refused('CONFLICT', None, thing)

    # Things.

    def resolve(self, op, key):
        return Form.inside(key, self.resolve_text, op[key])

    def resolve_text(self, text):
        ref = Ref(text, in_txn=True)
        if ref.form == 'op':
            names = {o['as']: i for i, o in enumerate(self.command['ops']) if 'as' in o}
            i = int(ref.value) if ref.value.isdigit() else names[ref.value]
            ref.form, ref.value = 'id', self.made[i]
        return self.state.resolve(ref, self.ns)

    def put(self, thing):
        self.state.things[thing['id']] = thing
        self.changed = True

    def answer(self, status, thing):
        self.made[-1] = thing['id']
        return {'status': status, 'id': thing['id'], 'ref': self.state.ref(thing, self.ns)}

    def do_create(self, op):
        kind = op['kind']
        model = None
        if kind == 'namespace':
            ns = 0
        elif kind == 'version':
            model = self.resolve(op, 'model')
            if model['kind'] != 'model':
                raise Refused('INVALID', 'model')
            ns = model['ns']
            model = model['id']
        else:
            ns = self.state.namespace(op['namespace']) if 'namespace' in op else self.ns
            if ns is None:
                raise Refused('NOT_FOUND', 'namespace')
        there = self.existing(op, ns, model)
        if there is not None:
            return self.meet(op, there)
        thing = {'id': self.next_id, 'kind': kind, 'ns': ns, 'name': op.get('name'),
                 'model': model, 'number': None, 'deleted': False, 'created': self.revision,
                 'changed': self.revision, 'named': self.revision, 'fields': {}, 'external': {}}
        self.next_id += 1
        self.name(op, thing)
        thing, _ = self.write(op, thing, 'create')
        self.put(thing)
        self.produced_by(thing, None)
        return self.answer('created', thing)

    def existing(self, op, ns, model):
        """What the operation would make and is there already."""
        kind = op['kind']
        if kind == 'version':
            there = self.state.version(model, op.get('number'))
        else:
            there = self.state.by_name(kind, ns, op['name']) if 'name' in op else None
        if there is not None:
            return there
        for text in sorted(set(op.get('external_ids', [])), key=str.encode):
            there = self.state.by_external_id(kind, ns, text)
            if there is not None:
                if there['model'] != model or op.get('number') not in (None, there['number']) or \
                        op.get('name') not in (None, there['name']):
                    raise Refused('CONFLICT', 'external_ids', there)
                return there
        return None

    def meet(self, op, there):
        version = op['kind'] == 'version'
        named = op.get('number' if version else 'name') is not None
        if there['deleted']:
            raise Refused('CONFLICT', 'number', there)
        if op.get('if_exists', 'error') == 'error':
            where = 'external_ids' if not named else 'number' if version else 'name'
            raise Refused('CONFLICT', where, there)
        if not self.state.live(there):
            raise Refused('CONFLICT', 'name', there)
        if op['if_exists'] == 'return':
            return self.answer('returned', there)
        return self.merge(op, there, 'match')

    def merge(self, op, there, mode):
        thing, changed = self.write(op, there, mode)
        if changed:
            thing['changed'] = self.revision
            self.put(thing)
            self.produced_by(thing, there)
        return self.answer('changed' if changed else 'unchanged', thing)

    def name(self, op, thing):
        state = self.state
        if op['kind'] == 'version':
            highest = state.highest.get(thing['model'], 0)
            number = op.get('number', highest + 1)
            if number <= highest:
                raise Refused('CONFLICT', 'number')
            thing['number'] = state.highest[thing['model']] = number
        elif op['kind'] == 'namespace':
            above = op['name'].rpartition('/')[0]
            if above and state.namespace(above) is None:
                raise Refused('NOT_FOUND', 'name')
        elif 'name' not in op:
            name = first = f"_{thing['id']}"
            i = 0
            while state.by_name(thing['kind'], thing['ns'], name):
                i += 1
                name = f'{first}.{i}'
            thing['name'] = name

    def produced_by(self, thing, before):
        """Setting a version's run says where it is from."""
        run = thing['fields'].get('run')
        if run is not None and (before is None or 'run' not in before['fields']):
            self.state.edges.setdefault((thing['id'], 'produced_by', run), self.revision)

    def do_update(self, op):
        there = self.resolve(op, 'ref')
        if there['kind'] == 'namespace':
            raise Refused('UNSUPPORTED', 'ref')
        return self.merge(op, there, 'update')

    def do_delete(self, op):
        there = self.resolve(op, 'ref')
        if there['kind'] == 'namespace':
            raise Refused('UNSUPPORTED', 'ref')
        self.put({**there, 'deleted': True, 'changed': self.revision, 'ended': self.revision})
        return self.answer('deleted', there)

    # Fields.

    def write(self, op, there, mode):
        """The thing with what the operation says, and whether that is another one."""
        fields = dict(there['fields'])
        thing = {**there, 'fields': fields, 'external': dict(there['external'])}
        differs = False
        for name, (shape, kinds, core, _) in FIELDS.items():
            if name not in op:
                continue
            if there['kind'] not in kinds:
                if op[name] in ([], {}):
                    continue
                raise Refused('INVALID', name)
            value = op[name]
            if value is None:
                fields.pop(name, None)
            elif shape == 'map':
                differs |= self.write_map(fields, name, value, mode)
            elif shape == 'set':
                differs |= self.write_set(thing, fields, name, value)
            else:
                new = Form.inside(name, self.value, shape, value, there)
                if name in fields and fields[name] != new and (core or mode == 'match'):
                    differs = True
                else:
                    fields[name] = new
        if differs:
            raise Refused('CONFLICT', None, there)
        return thing, fields != there['fields']

    @staticmethod
    def write_map(fields, name, value, mode):
        new = dict(fields.get(name, {}))
        differs = False
        for key, text in value.items():
            if mode == 'match' and key in new:
                differs |= new[key] != text
            elif text is None:
                new.pop(key, None)
            else:
                new[key] = text
        fields[name] = new
        if not new:
            del fields[name]
        return differs

    def write_set(self, thing, fields, name, value):
        new = set(fields.get(name, ()))
        differs = False
        for text in sorted(set(value) - new, key=str.encode):
            if name == 'external_ids':
                holder = self.state.by_external_id(thing['kind'], thing['ns'], text)
                if holder is not None and holder['id'] != thing['id']:
                    raise Refused('CONFLICT', name, holder)
                thing['external'][text] = (self.revision, self.next_id)
            if name == 'digests' and any(d.partition(':')[0] == text.partition(':')[0]
                                         for d in new):
                differs = True
            new.add(text)
        if new:
            fields[name] = tuple(sorted(new, key=str.encode))
        return differs

    def value(self, shape, value, thing):
        if shape == 'type':
            return self.type(f"{thing['kind']}:{value}", thing['ns'])
        if shape.startswith('ref:'):
            to = self.resolve_text(value)
            if to['kind'] != shape[4:] or to['id'] == thing['id']:
                raise Refused('INVALID')
            return to['id']
        return value

    def type(self, name, ns):
        """In the namespace, else in the nearest one above."""
        path = self.state.path(ns)
        while True:
            ns = self.state.namespace(path)
            found = ns and self.state.by_name('type', ns, name)
            if found:
                return found['id']
            path = path.rpartition('/')[0]
            if not path:
                raise Refused('NOT_FOUND')

    # Edges.

    def ends(self, op):
        a = self.resolve(op, 'from')
        b = self.resolve(op, 'to')
        return a['id'], op['label'], b['id']

    def do_link(self, op):
        edge = self.ends(op)
        if edge in self.state.edges:
            return {'status': 'unchanged'}
        self.state.edges[edge] = self.revision
        self.changed = True
        return {'status': 'created'}

    def do_unlink(self, op):
        edge = self.ends(op)
        if edge not in self.state.edges:
            return {'status': 'unchanged'}
        del self.state.edges[edge]
        self.changed = True
        return {'status': 'deleted'}


# --- the world -------------------------------------------------------------------------------

class World:
    """Begins with the namespace `path`, made by `revision` as `id_`; before it there was only
    `default`."""

    def __init__(self, path, id_, revision):
        self.revision = revision
        self.next_id = id_ + 1
        self.times = {0: 0}        # revision -> store time, as answered
        self.principals = {0: ''}  # revision -> who
        before = State()
        before.things[1] = self.namespace('default', 1, 0)
        self.state = before.copy()
        self.state.things[id_] = self.namespace(path, id_, revision)
        self.states = {revision - 1: before, revision: self.state}

    @staticmethod
    def namespace(path, id_, revision):
        return {'id': id_, 'kind': 'namespace', 'ns': 0, 'name': path, 'model': None,
                'number': None, 'deleted': False, 'created': revision, 'changed': revision,
                'named': revision, 'fields': {}, 'external': {}}

    def txn(self, command, principal, dry_run=False):
        """('ok', revision, results) or ('refused', Refused)."""
        try:
            Form(command)
            t = Transaction(self, command)
            results = t.run()
        except Refused as e:
            return 'refused', e
        if t.changed and not dry_run:
            self.revision = t.revision
            self.next_id = t.next_id
            self.state = self.states[t.revision] = t.state
            self.principals[t.revision] = principal
        return 'ok', self.revision, results

    # Reads: each answers its data, or raises Refused.

    def read(self, method, params):
        self.read_form(params)
        revision = self.revision_at(params.get('as_of'))
        state = self.states[revision]
        ns = state.namespace(params.get('ns', 'default'))
        if ns is None:
            raise Refused('NOT_FOUND', 'ns')
        return getattr(self, 'read_' + method)(state, ns, params)

    @staticmethod
    def read_form(params):
        """What can be said of a read without the store."""
        if 'under' in params:
            if params['kind'] not in ('version', 'run'):
                raise Refused('INVALID', 'under')
            ref = Form.inside('under', Ref, params['under'])
            if ref.kind not in (None, 'model' if params['kind'] == 'version' else 'experiment'):
                raise Refused('INVALID', 'under')
        if 'ref' in params:
            Form.inside('ref', Ref, params['ref'])

    def revision_at(self, as_of):
        if as_of is None:
            return self.revision
        if isinstance(as_of, int):
            if as_of > self.revision:
                raise Refused('INVALID', 'as_of')
            return as_of
        raise AssertionError('times are made revisions before they come here')

    def stamp(self, revision):
        return {'revision': revision, 'time': self.times.get(revision),
                'principal': self.principals.get(revision)}

    def show(self, state, ns, thing, params, **more):
        view = params.get('view', 'heads')
        if view == 'ids':
            return thing['id']
        shown = {'id': thing['id'], 'kind': thing['kind'], 'ref': state.ref(thing, ns),
                 'state': 'live' if state.live(thing) else 'deleted', **more}
        if view == 'full':
            self.show_full(state, ns, thing, shown)
        if 'edges' in params.get('with', ()):
            edges = sorted((label.encode(), to) for (a, label, to) in state.edges
                           if a == thing['id'])
            shown['edges'] = [{'label': label.decode(), 'to': state.ref(state.things[to], ns)}
                              for label, to in edges]
        return shown

    def show_full(self, state, ns, thing, shown):
        if thing['ns']:
            shown['namespace'] = state.path(thing['ns'])
        if thing['kind'] == 'version':
            shown['model'] = state.ref(state.things[thing['model']], ns)
            shown['number'] = thing['number']
        else:
            shown['name'] = thing['name']
        shown['created'] = self.stamp(thing['created'])
        shown['changed'] = self.stamp(thing['changed'])
        for name, value in thing['fields'].items():
            shape = FIELDS[name][0]
            if shape == 'type':
                value = state.things[value]['name'].partition(':')[2]
            elif shape.startswith('ref:'):
                value = state.ref(state.things[value], ns)
            elif shape == 'set':
                value = list(value)
            shown[name] = value

    @staticmethod
    def wanted(state, thing, params, default):
        which = params.get('state', default)
        return which == 'any' or (which == 'live') == state.live(thing)

    def read_get(self, state, ns, params):
        data = []
        for text in params['refs']:
            try:
                thing = self.get_one(state, ns, text, params)
                data.append(self.show(state, ns, thing, params))
            except Refused as e:
                data.append({'ref': text, 'error': e.code})
        return data

    def get_one(self, state, ns, text, params):
        which = params.get('state', 'any')
        if text.startswith('digest:'):
            for _, thing in sorted(state.things.items()):
                if thing['ns'] == ns and text[7:] in thing['fields'].get('digests', ()) and \
                        self.wanted(state, thing, params, 'any'):
                    return thing
            raise Refused('NOT_FOUND')
        ref = Ref(text)
        thing = state.resolve(ref, ns, dead=which == 'deleted' or
                              (ref.form == 'id' and which == 'any'))
        if which == 'deleted' and state.live(thing):
            raise Refused('NOT_FOUND')
        return thing

    def read_list(self, state, ns, params):
        kind = params['kind']
        under = None
        if 'under' in params:
            thing = Form.inside('under', state.resolve, Ref(params['under']), ns,
                                params.get('state', 'live') != 'live')
            if thing['kind'] != ('model' if kind == 'version' else 'experiment'):
                raise Refused('INVALID', 'under')
            under = thing['id']

        def place(thing):
            named = state.things[thing['model']] if kind == 'version' else thing
            return named['name'].encode(), -named['named'], -named['id'], thing['number'] or 0

        found = [t for t in state.find(kind) if self.wanted(state, t, params, 'live')]
        found = [t for t in found if kind == 'version' or state.was_seen(t)]
        if kind == 'version' and under:
            found = [t for t in found if t['model'] == under]
        elif kind == 'version':
            found = [t for t in found if t['ns'] == ns and
                     state.was_seen(state.things[t['model']])]
        elif kind != 'namespace':
            found = [t for t in found if t['ns'] == ns]
        if kind == 'run' and under:
            found = [t for t in found if t['fields'].get('experiment') == under]
        return [self.show(state, ns, t, params) for t in sorted(found, key=place)]

    def read_lineage(self, state, ns, params):
        which = params.get('state', 'any')
        ref = Ref(params['ref'])
        start = Form.inside('ref', state.resolve, ref, ns, which == 'deleted' or
                            ref.form == 'id')
        down = params.get('direction', 'up') == 'down'
        depths = {start['id']: 0}
        level = [start['id']]
        depth = 0
        while level and depth != params.get('depth', 0) or (level and not params.get('depth', 0)):
            depth += 1
            following = []
            for a, label, b in state.edges:
                if 'labels' in params and label not in params['labels']:
                    continue
                here, there = (b, a) if down else (a, b)
                if here in level and there not in depths:
                    depths[there] = depth
                    following.append(there)
            level = following
        found = [(d, i) for i, d in depths.items() if d > 0]
        things = [(d, state.things[i]) for d, i in sorted(found)]
        things = [(d, t) for d, t in things if self.wanted(state, t, params, 'any') and
                  t['kind'] in params.get('kinds', KINDS)]
        if params.get('count'):
            return {'count': len(things)}
        return [self.show(state, ns, t, params, depth=d) for d, t in things]

    def read_describe(self, state, ns, _params):
        counts = {kind: len([t for t in state.find(kind) if t['ns'] == ns and state.live(t)])
                  for kind in KINDS if kind != 'namespace'}
        edges = len([1 for a, _, _ in state.edges if state.things[a]['ns'] == ns])
        return {'namespace': {'name': state.path(ns), **counts, 'edges': edges}}
