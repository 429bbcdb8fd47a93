"""What clade means, said a second time and as plainly as possible.

A `World` answers transactions and reads as the model and the READMEs of client/command and
client/wire describe them. It is dictionaries and loops: no index, no cleverness, nothing shared
with the store, so that what both get wrong alike is rare. A state is never changed once a revision
has it: a transaction works on a copy, which becomes the next revision's state or is thrown away.
"""

import bisect
import calendar
import copy
import json
import math
import re
import struct
import time

import searching
from plain_walks import Walks

KINDS = ('namespace', 'type', 'artifact', 'experiment', 'run', 'model', 'version', 'deployment')
TYPED = ('artifact', 'experiment', 'run', 'model', 'version', 'deployment')
CONTENT = ('artifact', 'version')
DEPLOYMENT_STATUSES = ('unknown', 'pending', 'running', 'degraded', 'failed', 'stopped')
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
    'content': ('content', CONTENT, False, False),
    'content_reason': ('text', CONTENT, False, False),
    'stage': ('text', ('version',), False, False),
    'props': ('props', KINDS, False, False),
    'hold': ('text', KINDS, False, False),
    'desired': ('deployed', ('deployment',), False, True),
    'observed': ('deployed', ('deployment',), False, True),
    'endpoint': ('text', ('deployment',), False, True),
    'targets': ('targets', ('deployment',), False, False),
    'quota': ('numbers', ('namespace',), False, False),
    'retention_s': ('uint', ('namespace',), False, True),
    'stages': ('stages', ('namespace',), False, True),
    'fields': ('fields', ('type',), False, False),
    'closed': ('bool', ('type',), False, False),
    'cyclic': ('bool', ('type',), False, False),
    'defaults': ('map', ('namespace',), False, False),
}
QUOTAS = ('bytes', 'edges', 'things', 'writes_per_s')
RETENTION_S = (900, 1000 * 366 * 24 * 3600)
NUMBER_BYTES = 8  # that a number or a reference counts
POINT_BYTES = 24
BY_OPERATION = ('hold', 'stage', 'targets')
STAGES = (('none', True, False), ('staging', False, True), ('production', False, True),
          ('archived', True, False))  # name, multiple, in use
ACYCLIC = ('derived_from', 'fine_tuned_from', 'distilled_from', 'merged_from', 'quantized_from',
           'adapter_of', 'contains', 'version_of', 'stands_for')
BUILT = set()  # the parts of the model that the cluster has
CONTENT_MOVES = {
    'none': ('pending',),
    'pending': ('ready', 'failed', 'gone'),
    'ready': ('failed', 'gone'),
    'failed': ('pending', 'ready', 'gone'),
    'gone': ('pending', 'ready'),
}
PROP_TYPES = ('string', 'int', 'float', 'bool', 'time', 'json', 'ref')

OWN_KEYS = {
    'create': {'kind', 'name', 'namespace', 'if_exists', 'model', 'number'},
    'update': {'ref'},
    'link': {'from', 'label', 'to', 'props'},
    'unlink': {'from', 'label', 'to'},
    'delete': {'ref'},
    'rename': {'ref', 'name'},
    'undelete': {'ref', 'name'},
    'hold': {'ref', 'reason'},
    'release': {'ref'},
    'purge': {'ref'},
    'set_alias': {'ref', 'alias', 'expect'},
    'unset_alias': {'ref', 'alias', 'expect'},
    'set_stage': {'ref', 'stage', 'expect', 'displace'},
    'set_targets': {'ref', 'targets'},
    'log': {'ref', 'params', 'metrics'},
    'compact': {'ref', 'before'},
}
FIELDS_OF = ('create', 'update')
MAKES_THING = ('create', 'update', 'rename', 'undelete', 'hold', 'release', 'log', 'compact')
CURSOR_LIFE_S = 900  # what is younger is never below a floor


class Refused(Exception):
    def __init__(self, code, where=None, thing=None, there=None, floors=()):
        super().__init__(code, where)
        self.code = code
        self.where = where
        self.thing = thing  # what is in the way
        self.there = there  # what is there now, as text
        self.floors = floors  # COMPACTED: what the oldest that can be read may be said to be

    def inside(self, prefix):
        where = self.where
        if where is None:
            where = prefix
        else:
            where = f'{prefix}{where}' if where.startswith('[') else f'{prefix}.{where}'
        return Refused(self.code, where, self.thing, self.there, self.floors)


TIME_MS_MAX = 253402300799999  # the end of the year 9999
SPECIAL = {'NaN': math.nan, 'Infinity': math.inf, '-Infinity': -math.inf}


def rank(value):
    """Orders values: by the numbers, -0 below 0, NaN above all."""
    if math.isnan(value):
        return 1 << 64
    bits = struct.unpack('>Q', struct.pack('>d', value))[0]
    return ~bits & ((1 << 64) - 1) if bits >> 63 else bits | 1 << 63


class Point:
    """Of a series; `run` is who logged it, or None."""

    def __init__(self, step, time_ms, value, run):
        self.shown = [step, time_ms, float(SPECIAL.get(value, value))]
        self.run = run

    def order(self):
        return self.shown[0], self.shown[1], rank(self.shown[2])


# --- what can be said without the store ------------------------------------------------------

NAMESPACE = re.compile(r'[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*\Z')
LABEL = re.compile(r'[a-z0-9_.-]+\Z')
HEX = {'sha256': 64, 'sha384': 96, 'sha512': 128, 'blake3': 64}


def check_name(kind, name):
    if not isinstance(name, str) or name == '' or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise Refused('INVALID')
    if len(name.encode()) > (256 if kind == 'namespace' else 1024):
        raise Refused('LIMIT')
    if kind in ('namespace', 'deployment') and not NAMESPACE.match(name):
        raise Refused('INVALID')
    if kind == 'type':
        of, colon, rest = name.partition(':')
        if not colon or of not in TYPED + ('edge',) or rest == '':
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
        if kind not in KINDS or (kind == 'namespace' and self.ns is not None):
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
            check_pointer(last)
            self.form, self.value = 'alias', (model, last)
        elif not re.match(r'[0-9]+\Z', last) or int(last) == 0:
            raise Refused('INVALID')
        else:
            self.form, self.value = 'version', (model, int(last))


def check_pointer(text):
    """The name of an alias or a stage."""
    check_text(text)
    if text == '' or '/' in text or '@' in text or len(text.encode()) > 128:
        raise Refused('INVALID')


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
        self.keys(guard, {'guard', 'ref', 'revision', 'alias', 'is'})
        word = guard.get('guard')
        if word not in ('exists', 'absent', 'unchanged', 'alias', 'stage'):
            raise Refused('INVALID', 'guard')
        if 'ref' not in guard:
            raise Refused('INVALID', 'ref')
        ref = self.inside('ref', Ref, guard['ref'])
        if ('revision' in guard) != (word == 'unchanged'):
            raise Refused('INVALID', 'revision')
        kind = {'alias': 'model', 'stage': 'version'}.get(word)
        if kind and ref.kind not in (None, kind):
            raise Refused('INVALID', 'ref')
        if ('alias' in guard) != (word == 'alias'):
            raise Refused('INVALID', 'alias')
        if word == 'alias':
            self.inside('alias', check_pointer, guard['alias'])
        if ('is' in guard) != (kind is not None):
            raise Refused('INVALID', 'is')
        if word == 'alias':
            self.expected(guard, 'is')
        if word == 'stage':
            self.inside('is', check_pointer, guard['is'])

    @staticmethod
    def expected(given, key):
        if given[key] != 'unset' and (not isinstance(given[key], int) or given[key] < 1):
            raise Refused('INVALID', key)

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
                if key not in own and (key not in FIELDS or key in BY_OPERATION or
                                       (kind and kind not in FIELDS[key][1])):
                    raise Refused('INVALID', key)
            for key in FIELDS:
                if key in op:
                    self.inside(key, self.field, i, key, op[key], word == 'update')
            failed = op.get('content') == 'failed'
            if failed and not op.get('content_reason'):
                raise Refused('INVALID', 'content_reason')
            if 'content_reason' in op and not failed and ('content' in op or word == 'create'):
                raise Refused('INVALID', 'content_reason')
            return
        self.keys(op, own)
        if word == 'delete':
            self.subject(i, op)
        elif word == 'purge':
            if self.need(i, op, 'ref') in ('namespace', 'type'):
                raise Refused('INVALID', 'ref')
        elif word == 'compact':
            self.need(i, op, 'ref', 'namespace')
            self.inside('before', self.before, op.get('before'))
        elif word in ('rename', 'undelete'):
            kind = self.need(i, op, 'ref')
            if 'name' in op:
                if kind in ('version', 'namespace'):
                    raise Refused('INVALID', 'name')
                self.inside('name', check_name, kind or 'artifact', op['name'])
            elif word == 'rename':
                raise Refused('INVALID', 'name')
        elif word in ('hold', 'release'):
            self.need(i, op, 'ref')
            if 'reason' in op:
                self.inside('reason', check_text, op['reason'], True)
        elif word in ('set_alias', 'unset_alias'):
            self.need(i, op, 'ref', 'version' if word == 'set_alias' else 'model')
            self.inside('alias', check_pointer, op.get('alias'))
            if op['alias'] == 'latest':
                raise Refused('INVALID', 'alias')
            if 'expect' in op:
                self.expected(op, 'expect')
        elif word == 'log':
            self.need(i, op, 'ref')
            if 'params' not in op and 'metrics' not in op:
                raise Refused('INVALID')
            self.inside('params', self.tags, op.get('params', {}), False)
            if not isinstance(op.get('metrics', []), list):
                raise Refused('INVALID', 'metrics')
            for j, series in enumerate(op.get('metrics', [])):
                self.inside(f'metrics[{j}]', self.series, i, series)
        elif word == 'set_stage':
            self.need(i, op, 'ref', 'version')
            self.inside('stage', check_pointer, op.get('stage'))
            for key in ('expect', 'displace'):
                if key in op:
                    self.inside(key, check_pointer, op[key])
            if 'displace' in op and op['stage'] in (op['displace'], 'none'):
                raise Refused('INVALID', 'displace')
        elif word == 'set_targets':
            self.need(i, op, 'ref', 'deployment')
            if not isinstance(op.get('targets'), list):
                raise Refused('INVALID', 'targets')
            for j, target in enumerate(op['targets']):
                self.inside(f'targets[{j}]', self.target, i, target)
            serving = [t.get('share', 10000) for t in op['targets'] if t.get('mode') != 'shadow']
            if serving and sum(serving) != 10000:
                raise Refused('INVALID', 'targets')
        else:
            for end in ('from', 'to'):
                self.need(i, op, end)
            if not isinstance(op.get('label'), str) or not LABEL.match(op['label']):
                raise Refused('INVALID', 'label')
            if 'props' in op:
                self.inside('props', self.props, i, op['props'], True)

    def series(self, i, series):
        if not isinstance(series, dict):
            raise Refused('INVALID')
        self.keys(series, {'key', 'on', 'run', 'points'})
        if not series.get('key'):
            raise Refused('INVALID', 'key')
        self.inside('key', check_text, series['key'])
        for key, kind in (('on', None), ('run', 'run')):
            if key in series:
                self.need(i, series, key, kind)
        if not isinstance(series.get('points'), list):
            raise Refused('INVALID', 'points')
        for j, point in enumerate(series['points']):
            if not isinstance(point, list) or len(point) != 3 or \
                    not isinstance(point[0], int) or not -(1 << 63) <= point[0] < 1 << 63 or \
                    not isinstance(point[1], int) or not 0 <= point[1] <= TIME_MS_MAX or \
                    not (point[2] in SPECIAL if isinstance(point[2], str) else
                         isinstance(point[2], (int, float))):
                raise Refused('INVALID', f'points[{j}]')

    def target(self, i, target):
        if not isinstance(target, dict):
            raise Refused('INVALID')
        self.keys(target, {'version', 'share', 'mode'})
        self.need(i, target, 'version', 'version')
        share = target.get('share', 0)
        if not isinstance(share, int) or not 0 <= share <= 10000:
            raise Refused('INVALID', 'share')
        if target.get('mode', 'shadow') not in ('serving', 'shadow'):
            raise Refused('INVALID', 'mode')

    @staticmethod
    def stage_list(value):
        if not isinstance(value, list) or not value:
            raise Refused('INVALID')
        names = set()
        for j, stage in enumerate(value):
            Form.inside(f'[{j}]', Form.stage, stage)
            if stage['name'] in names:
                raise Refused('INVALID', f'[{j}].name')
            names.add(stage['name'])

    @staticmethod
    def stage(stage):
        if not isinstance(stage, dict):
            raise Refused('INVALID')
        Form.keys(stage, {'name', 'multiple', 'in_use'})
        Form.inside('name', check_pointer, stage.get('name'))
        for key in ('multiple', 'in_use'):
            if not isinstance(stage.get(key, False), bool):
                raise Refused('INVALID', key)
        if stage['name'] == 'none' and (stage.get('in_use') or not stage.get('multiple', True)):
            raise Refused('INVALID')

    @staticmethod
    def before(value):
        if isinstance(value, str):
            time_us(value)
        elif not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Refused('INVALID')

    def need(self, i, op, key, kind=None):
        if key not in op:
            raise Refused('INVALID', key)
        return self.inside(key, self.ref, i, op[key], kind)

    def subject(self, i, op):
        kind = self.need(i, op, 'ref')
        if kind == 'namespace' and 'namespaces' not in BUILT and \
                not (op['op'] == 'update' and 'pointers' in BUILT):
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
        if kind == 'deployment' and 'pointers' not in BUILT:
            raise Refused('UNSUPPORTED', 'kind')
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
            check_text(value, control=name in ('description', 'content_reason'))
        elif shape == 'type':
            check_text(value)
        elif shape in ('status', 'content', 'deployed'):
            if value not in {'status': STATUSES, 'content': tuple(CONTENT_MOVES),
                             'deployed': DEPLOYMENT_STATUSES}[shape]:
                raise Refused('INVALID')
        elif shape == 'stages':
            self.stage_list(value)
        elif shape == 'bool':
            if not isinstance(value, bool):
                raise Refused('INVALID')
        elif shape == 'props':
            self.props(i, value, updates)
        elif shape == 'fields':
            self.declarations(value)
        elif shape in ('uint', 'time'):
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise Refused('INVALID')
            if name == 'retention_s':
                if value < RETENTION_S[0]:
                    raise Refused('INVALID')
                if value > RETENTION_S[1]:
                    raise Refused('LIMIT')
        elif shape == 'numbers':
            self.quota(value, updates)
        elif shape == 'map':
            self.tags(value, updates, self.default_key if name == 'defaults' else None)
        elif shape == 'set':
            self.members(name, value, updates)
        else:
            self.ref(i, value, shape.partition(':')[2])

    @staticmethod
    def quota(value, updates):
        if not isinstance(value, dict):
            raise Refused('INVALID')
        for key, number in value.items():
            if key not in QUOTAS or (number is None and not updates) or \
                    (number is not None and (not isinstance(number, int) or number < 0 or
                                             isinstance(number, bool))):
                raise Refused('INVALID', key)
            if number is not None and number > 10 ** 18:
                raise Refused('LIMIT', key)

    @staticmethod
    def default_key(key):
        kind, _, field = key.partition('.')
        if kind not in KINDS or not ((field == 'type' and kind in TYPED) or
                                     (field.startswith('tags.') and field != 'tags.')):
            raise Refused('INVALID')

    @staticmethod
    def tags(value, updates, check_key=None):
        if not isinstance(value, dict):
            raise Refused('INVALID')
        for key, text in value.items():
            if check_key:
                Form.inside(key, check_key, key)
            if text is None and not updates:
                raise Refused('INVALID', key)
            if text is not None:
                Form.inside(key, check_text, text, True)

    def props(self, i, value, updates):
        if not isinstance(value, dict):
            raise Refused('INVALID')
        for key, prop in value.items():
            if prop is not None or not updates:
                self.inside(key, self.prop, i, prop)

    def prop(self, i, prop):
        for j, item in enumerate(prop if isinstance(prop, list) else []):
            self.inside(f'[{j}]', self.prop_item, i, item)
            types = {self.prop_type(x) for x in prop[:j + 1]}
            if len(types) > 1 and types != {'int', 'float'}:
                raise Refused('INVALID', f'[{j}]')
        if not isinstance(prop, list):
            self.prop_item(i, prop)

    def prop_item(self, i, item):
        kind = self.prop_type(item)
        if kind == 'string':
            check_text(item, True)
        if kind == 'ref':
            self.inside('ref', self.ref, i, item['ref'])
        if kind == 'json':
            try:
                json.loads(item['json'])
            except (TypeError, ValueError):
                raise Refused('INVALID', 'json') from None
        if kind == 'int' and not -(1 << 63) <= item < 1 << 63:
            raise Refused('INVALID')
        if kind == 'float' and not abs(item) < float('inf'):
            raise Refused('INVALID')

    @staticmethod
    def prop_type(item):
        for kind, of in (('bool', bool), ('int', int), ('float', float), ('string', str)):
            if isinstance(item, of):
                return kind
        if isinstance(item, dict) and len(item) == 1 and list(item)[0] in ('time', 'ref', 'json'):
            return list(item)[0]
        raise Refused('INVALID')

    @staticmethod
    def declarations(value):
        if not isinstance(value, dict):
            raise Refused('INVALID')
        for key, says in value.items():
            if not isinstance(says, dict):
                raise Refused('INVALID', key)
            Form.inside(key, Form.keys, says, {'type', 'required', 'fixed', 'indexed', 'unit'})
            if says.get('type') not in [t + end for t in PROP_TYPES for end in ('', '[]')]:
                raise Refused('INVALID', f'{key}.type')
            if says.get('unit') == '':
                raise Refused('INVALID', f'{key}.unit')

    @staticmethod
    def members(name, value, updates):
        if isinstance(value, dict) and name != 'digests' and 'things' in BUILT:
            for text, there in value.items():
                if there is not True and (there is not None or not updates):
                    raise Refused('INVALID', text)
                if name == 'external_ids' and not re.match('[^:]+:.', text):
                    raise Refused('INVALID', text)
            return
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


def time_us(text):
    """Of RFC 3339 text as episodes write it."""
    found = re.match(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z\Z', text)
    if not found:
        raise Refused('INVALID')
    return calendar.timegm(time.strptime(found.group(1), '%Y-%m-%dT%H:%M:%S')) * 1000000 + \
        int(found.group(2))


# --- a state ---------------------------------------------------------------------------------

class State:
    """All that is so at one revision. Things are dictionaries that are replaced, never changed."""

    def __init__(self):
        self.things = {}   # id -> thing
        self.edges = {}    # (from, label, to) -> {created, set, props}; set: who wrote props
        self.params = {}   # (thing, key) -> text
        self.series = {}   # (thing, key, on or 0) -> points in order
        self.aliases = {}  # (model, alias) -> (version, revision of the move)
        self.highest = {}  # model -> its highest number so far
        self.floors = {}   # namespace -> {revision, time, by}: how far back it can be read
        self.holds = {}    # what is held -> the floor that its namespace had then

    def copy(self):
        new = copy.copy(self)
        for key, value in vars(self).items():
            setattr(new, key, dict(value))
        return new

    def check(self):
        """What must hold whatever operations allow."""
        for thing in self.things.values():
            for version, _, _ in thing['fields'].get('targets', ()):
                if not thing['deleted'] and not self.live(self.things[version]):
                    raise AssertionError(f'{thing} serves what is deleted')
        for key, (version, _) in self.aliases.items():
            if not self.live(self.things[version]):
                raise AssertionError(f'the alias {key} means what is deleted')

    def forget(self, id_):
        """What a purged thing had beside its record."""
        self.params = {k: v for k, v in self.params.items() if k[0] != id_}
        self.series = {k: v for k, v in self.series.items() if k[0] != id_}
        self.edges = {k: {**v, 'set': None, 'props': {}} if k[0] == id_ else v
                      for k, v in self.edges.items()}

    def find(self, kind, **wanted):
        return [t for t in self.things.values() if t['kind'] == kind and
                all(t[k] == v for k, v in wanted.items())]

    def floor_of(self, thing):
        """Of a thing of now."""
        if thing['kind'] == 'namespace':
            return 0
        if 'hold' in thing['fields']:
            return self.holds[thing['id']]
        return self.floors.get(thing['ns'], {'revision': 0})['revision']

    def floor_under(self, path):
        return max((floor['revision'] for ns, floor in self.floors.items()
                    if f"{self.things[ns]['name']}/".startswith(f'{path}/')), default=0)

    def shown_by_id(self, id_):
        """Whether what it was called is not known any more."""
        return False

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
        return self.things[ns]['name'] if ns else ''

    def by_name(self, kind, ns, name, dead=False):
        """Who holds the name; with `dead` who held it last."""
        found = self.find(kind, ns=ns, name=name)
        found = [t for t in found if self.was_seen(t) if dead or not t['deleted']]
        return max(found, key=lambda t: t['named'], default=None)

    @staticmethod
    def was_seen(thing):
        """What one transaction makes and deletes never held its name at any revision."""
        return thing['created'] != thing.get('ended')

    def by_external_id(self, kind, ns, text, dead=False):
        found = [t for t in self.find(kind, ns=ns) if text in t['fields'].get('external_ids', ())]
        found = [t for t in found if self.was_seen(t) if dead or not t['deleted']]
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
        if ref.value[1] != 'latest':
            version, _ = self.aliases.get((model['id'], ref.value[1]), (None, None))
            return self.things.get(version)
        return self.latest(model['id'])

    def latest(self, model):
        return max((v for v in self.find('version', model=model) if not v['deleted']),
                   key=lambda v: v['number'], default=None)

    def above(self, path):
        """The namespaces of a path, the nearest first."""
        while path:
            ns = self.namespace(path)
            if ns is None:
                return
            yield self.things[ns]
            path = path.rpartition('/')[0]

    def stages(self, ns, own=True):
        for thing in self.above(self.path(ns)):
            if 'stages' in thing['fields'] and (own or thing['id'] != ns):
                return thing['fields']['stages']
        return STAGES

    def parent(self, ns):
        above = self.things[ns]['name'].rpartition('/')[0]
        return self.namespace(above) if above else 0

    def counts(self, ns):
        """What a namespace holds itself: live things by kind, edges, bytes."""
        counts = dict.fromkeys((*KINDS, 'edges', 'bytes'), 0)
        top = self.things[ns]['name'] + '/'
        for thing in self.things.values():
            inside = thing['ns'] == ns if thing['kind'] != 'namespace' else \
                not self.things[ns]['deleted'] and thing['name'].startswith(top) and \
                '/' not in thing['name'][len(top):]
            if inside and self.live(thing):
                counts[thing['kind']] += 1
                counts['bytes'] += self.bytes(thing) + self.logged_bytes(thing)
        for (a, _, _), edge in self.edges.items():
            if self.things[a]['ns'] == ns:
                counts['edges'] += 1
                counts['bytes'] += self.props_bytes(edge['props'])
        return counts

    def logged_bytes(self, thing):
        size = sum(len(key.encode()) + len(text.encode())
                   for (id_, key), text in self.params.items() if id_ == thing['id'])
        for (id_, key, on), points in self.series.items():
            if id_ == thing['id']:
                size += len(key.encode()) + (NUMBER_BYTES if on else 0)
                size += sum(POINT_BYTES + (NUMBER_BYTES if p.run else 0) for p in points)
        return size

    @staticmethod
    def props_bytes(props):
        size = 0
        for key, (kind, value) in props.items():
            items = value if kind.endswith('[]') else (value,)
            text = kind.removesuffix('[]') in ('string', 'json')
            size += len(key.encode())
            size += sum(len(i.encode()) if text else NUMBER_BYTES for i in items)
        return size

    def counts_with_children(self, ns):
        top = self.things[ns]['name'] + '/'
        # What is left in one that is deleted counts nowhere above it.
        inside = [n['id'] for n in self.find('namespace', deleted=False)
                  if n['name'].startswith(top)]
        counts = [self.counts(n) for n in (ns, *inside)]
        return {kind: sum(c[kind] for c in counts) for kind in counts[0]}

    @staticmethod
    def bytes(thing):
        size = NUMBER_BYTES if thing['kind'] == 'version' else len(thing['name'].encode())
        for name, value in thing['fields'].items():
            shape = FIELDS[name][0]
            if shape in ('uint', 'time', 'type', 'bool') or shape.startswith('ref:'):
                size += NUMBER_BYTES
            elif shape == 'props':
                size += State.props_bytes(value)
            elif shape == 'fields':
                size += sum(len(key.encode()) + NUMBER_BYTES + len(says.get('unit', '').encode())
                            for key, says in value.items())
            elif shape == 'stages':
                size += sum(len(n.encode()) + NUMBER_BYTES for n, _, _ in value)
            elif shape == 'targets':
                size += 2 * NUMBER_BYTES * len(value)
            elif shape == 'numbers':
                size += sum(len(key) + NUMBER_BYTES for key in value)
            elif shape == 'map':
                size += sum(len(k.encode()) + len(v.encode()) for k, v in value.items())
            elif shape == 'set':
                size += sum(len(v.encode()) for v in value)
            elif isinstance(value, str):
                size += len(value.encode())
        return size

    def in_stage(self, ns, model, stage):
        found = [v for v in self.find('version', ns=ns) if not v['deleted'] and
                 v['fields'].get('stage') == stage and model in (None, v['model'])]
        return sorted(found, key=lambda v: (v['model'], v['id']))

    def ref(self, thing, ns):
        """How a thing is written for who is in `ns`."""
        if thing.get('purged') or self.shown_by_id(thing['id']):
            return f"id/{thing['id']}"
        prefix = '' if thing['ns'] in (0, ns) else f"//{self.path(thing['ns'])}//"
        if thing['kind'] == 'version':
            return f"{prefix}version/{self.things[thing['model']]['name']}/{thing['number']}"
        return f"{prefix}{thing['kind']}/{thing['name']}"


class Past(State):
    """A state of below a floor: what is there is told as far as nobody may have lost it."""

    class Things(dict):
        """Notes whether one of those was looked at of which not all is known."""

        def __init__(self, past, things):
            super().__init__(things)
            self.past = past

        def __getitem__(self, id_):
            self.past.met_hidden |= id_ in self.past.hidden
            return super().__getitem__(id_)

    def __init__(self, state, newest, revision):  # pylint: disable=super-init-not-called
        vars(self).update(vars(state))
        self.newest = newest
        self.blind = {ns: floor['revision'] for ns, floor in newest.floors.items()
                      if floor['revision'] > revision}
        floors = {id_: newest.floor_of(thing) for id_, thing in newest.things.items()}
        self.hidden = {id_: floor for id_, floor in floors.items() if floor > revision}
        self.met_hidden = False
        self.things = self.Things(self, state.things)

    def check(self):
        pass

    def check_id(self, id_):
        if id_ in self.hidden:
            raise Refused('COMPACTED', 'as_of', floors={self.hidden[id_]})

    def check_namespace(self, ns):
        if ns in self.blind:
            raise Refused('COMPACTED', 'as_of', floors={self.blind[ns]})

    def shown_by_id(self, id_):
        thing = self.newest.things[id_]
        return id_ in self.hidden or thing['model'] in self.hidden

    def named(self, ns, dead, look):
        """Who held a name is known of those that are held; that nobody did is not."""
        if dead:
            self.check_namespace(ns)
        found = look()
        if found is None or found['id'] in self.hidden:
            self.check_namespace(ns)
        return found

    def by_name(self, kind, ns, name, dead=False):
        return self.named(ns, dead, lambda: State.by_name(self, kind, ns, name, dead))

    def by_external_id(self, kind, ns, text, dead=False):
        return self.named(ns, dead, lambda: State.by_external_id(self, kind, ns, text, dead))

    def version(self, model, number):
        for version in self.newest.find('version', model=model, number=number):
            self.check_id(version['id'])
        return super().version(model, number)

    def latest(self, model):
        for version in sorted(self.newest.find('version', model=model), key=lambda v: -v['number']):
            self.check_id(version['id'])
            then = self.things.get(version['id'])
            if then and not then['deleted']:
                return then
        return None

    def look_up(self, ref, ns, dead):
        if ref.form == 'id':
            self.check_id(ref.value)
        found = super().look_up(ref, ns, dead)
        if found:
            self.check_id(found['id'])
        return found

    def live(self, thing):
        parent = thing['model'] if thing['kind'] == 'version' else \
            thing['fields'].get('experiment') if thing['kind'] == 'run' else None
        if parent and not thing['deleted']:
            self.check_id(parent)
        return super().live(thing)


# --- transactions ----------------------------------------------------------------------------

class Transaction:
    """One command on a state of its own."""

    def __init__(self, world, command, principal):
        self.state = world.state.copy()
        self.revision = world.revision + 1
        self.next_id = world.next_id
        self.command = command
        self.made = []  # what each operation is about, for $ references
        self.changed = False
        self.ns = None
        self.steps = 0
        self.moves = []  # of aliases: model, alias, from, to
        self.before = world.state
        self.purged = []
        self.world = world
        self.principal = principal

    def now(self):
        """When a name is given: the revision, and which of its steps."""
        self.steps += 1
        return self.revision, self.steps

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
        for i, op in enumerate(self.command['ops']):
            if op['op'] == 'delete':
                Form.inside(f'ops[{i}]', self.check_in_use, self.state.things[self.made[i]])
        self.check_quotas()
        return results

    def check_quotas(self):
        """A quota refuses what passes it and adds, when all is done; the innermost says so."""
        found = [n for n in self.state.find('namespace') if n['fields'].get('quota')]
        for ns in sorted(found, key=lambda n: -len(n['name'])):
            before = self.before.counts_with_children(ns['id']) if ns['id'] in self.before.things \
                else {}
            after = self.state.counts_with_children(ns['id'])
            for what, limit in ns['fields']['quota'].items():
                kinds = KINDS if what == 'things' else (what,)
                used = sum(after.get(kind, 0) for kind in kinds)
                if used > limit and used > sum(before.get(kind, 0) for kind in kinds):
                    raise Refused('QUOTA', None, ns)

    def do_purge(self, op):
        there = self.resolve(op, 'ref', dead=True)
        if there.get('purged'):
            return self.answer('unchanged', there)
        if there['kind'] in ('namespace', 'type'):
            raise Refused('INVALID', 'ref')
        if self.state.live(there):
            raise Refused('CONFLICT', 'ref', there)
        if 'hold' in there['fields']:
            raise Refused('CONFLICT', 'ref', there)
        if any(not v.get('purged') for v in self.state.find('version', model=there['id'])):
            raise Refused('IN_USE', 'ref')
        fields = {k: v for k, v in there['fields'].items() if k == 'digests'}
        left = {**there, 'name': None, 'deleted': True, 'purged': True, 'changed': self.revision,
                'ended': self.revision, 'fields': fields, 'external': {}}
        self.put(left)
        self.purged.append(left)
        return self.answer('purged', left)

    def do_compact(self, op):
        there = self.resolve(op, 'ref', dead=True)
        if there['kind'] != 'namespace':
            raise Refused('INVALID', 'ref')
        to = op['before']
        if isinstance(to, str):
            to = self.world.revision_at_time(time_us(to))
        if to > self.world.revision or to > self.world.revision_of_age(CURSOR_LIFE_S):
            raise Refused('INVALID', 'before')
        had = self.state.floors.get(there['id'], {'revision': 0})
        moves = to > had['revision']
        if moves:
            self.state.floors[there['id']] = {'revision': to, 'time': None, 'by': self.principal}
        return {**self.answer('compacted' if moves else 'unchanged', there),
                'floor': max(to, had['revision'])}

    def there(self, code, where, thing):
        return Refused(code, where, thing, self.state.ref(thing, self.ns))

    def check_in_use(self, thing):
        """What is pointed to is not deleted, when all is done."""
        state = self.state
        if not thing['deleted'] or thing['kind'] not in ('model', 'version'):
            return
        is_model = thing['kind'] == 'model'
        model = thing['id'] if is_model else thing['model']
        for (of, alias), (version, _) in sorted(state.aliases.items(),
                                                key=lambda item: item[0][1].encode()):
            if of == model and (is_model or version == thing['id']):
                raise Refused('IN_USE', 'ref', state.things[model], f'@{alias}')
        by = [(version, d['id']) for d in state.find('deployment') if not d['deleted']
              for version, _, _ in d['fields'].get('targets', ())
              if version == thing['id'] or (is_model and state.things[version]['model'] == model)]
        if by:
            raise self.there('IN_USE', 'ref', state.things[min(by)[1]])
        for name, _, in_use in state.stages(thing['ns']):
            found = state.in_stage(thing['ns'], model, name) if is_model else \
                [thing] if thing['fields'].get('stage') == name else []
            if in_use and found:
                raise self.there('IN_USE', 'ref', found[0])

    def guard(self, guard):
        try:
            thing = self.state.resolve(Ref(guard['ref']), self.ns)
        except Refused:
            thing = None
        word = guard['guard']
        if word == 'absent':
            if thing is not None:
                raise self.there('CONFLICT', None, thing)
        elif thing is None:
            raise Refused('CONFLICT')
        elif word == 'unchanged' and thing['changed'] != guard['revision']:
            raise self.there('CONFLICT', None, thing)
        elif word == 'alias':
            if thing['kind'] != 'model':
                raise Refused('INVALID', 'ref')
            self.check_alias(thing['id'], guard['alias'], guard['is'], None)
        elif word == 'stage':
            if thing['kind'] != 'version':
                raise Refused('INVALID', 'ref')
            self.check_stage(thing, guard['is'], None)

    def alias(self, model, alias):
        """The version, None when it is unset."""
        if alias == 'latest':
            return self.state.latest(model)
        version, _ = self.state.aliases.get((model, alias), (None, None))
        return self.state.things.get(version)

    def check_alias(self, model, alias, expected, where):
        version = self.alias(model, alias)
        number = version['number'] if version else 'unset'
        if number != expected:
            raise Refused('CONFLICT', where, version, str(number))

    @staticmethod
    def check_stage(version, expected, where):
        stage = version['fields'].get('stage', 'none')
        if stage != expected:
            raise Refused('CONFLICT', where, version, stage)

    # Things.

    def resolve(self, op, key, dead=False):
        return Form.inside(key, self.resolve_text, op[key], dead)

    def resolve_text(self, text, dead=False):
        ref = Ref(text, in_txn=True)
        if ref.form == 'op':
            names = {o['as']: i for i, o in enumerate(self.command['ops']) if 'as' in o}
            i = int(ref.value) if ref.value.isdigit() else names[ref.value]
            ref.form, ref.value = 'id', self.made[i]
        return self.state.resolve(ref, self.ns, dead)

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
            if ns is None or self.state.things[ns]['deleted']:
                raise Refused('NOT_FOUND', 'namespace')
        there = self.existing(op, ns, model)
        if there is not None:
            return self.meet(op, there)
        thing = {'id': self.next_id, 'kind': kind, 'ns': ns, 'name': op.get('name'),
                 'model': model, 'number': None, 'deleted': False, 'created': self.revision,
                 'changed': self.revision, 'named': self.now(), 'fields': {}, 'external': {}}
        self.next_id += 1
        self.name(op, thing)
        thing, _ = self.write(op, thing, 'create')
        says = any(op.get(name, {}) not in ([], {}) for name in FIELDS)
        if says or op.get('if_exists') != 'match':
            thing = self.add_defaults(thing)
        self.put(thing)
        self.produced_by(thing, None)
        return self.answer('created', thing)

    def add_defaults(self, thing):
        """What the namespaces above say where the operation says nothing, the nearest first."""
        for ns in self.state.above(self.state.path(thing['ns'])):
            said = {'op': 'update'}
            for key, text in ns['fields'].get('defaults', {}).items():
                kind, _, field = key.partition('.')
                if kind != thing['kind']:
                    continue
                if field == 'type' and 'type' not in thing['fields']:
                    said['type'] = text
                elif field.startswith('tags.') and field[5:] not in thing['fields'].get('tags', {}):
                    said.setdefault('tags', {})[field[5:]] = text
            thing, _ = self.write(said, thing, 'update')
        return thing

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
            edge = (thing['id'], 'produced_by', run)
            if edge not in self.state.edges:
                self.state.edges[edge] = {'created': self.revision, 'set': None, 'props': {}}

    def do_update(self, op):
        there = self.resolve(op, 'ref')
        if there['kind'] == 'namespace' and not BUILT & {'pointers', 'namespaces'}:
            raise Refused('UNSUPPORTED', 'ref')
        return self.merge(op, there, 'update')

    def do_delete(self, op):
        there = self.resolve(op, 'ref')
        if there['kind'] == 'namespace':
            if 'namespaces' not in BUILT:
                raise Refused('UNSUPPORTED', 'ref')
            if there['id'] == 1:
                raise Refused('INVALID', 'ref')
            if any(self.state.counts(there['id'])[kind] for kind in KINDS):
                raise Refused('IN_USE', 'ref')
        if 'hold' in there['fields']:
            raise Refused('CONFLICT', 'ref', there)
        self.made[-1] = there['id']
        self.put({**there, 'deleted': True, 'changed': self.revision, 'ended': self.revision})
        return self.answer('deleted', there)

    def check_new_name(self, thing, name):
        if thing['kind'] in ('version', 'namespace') and name != thing['name']:
            raise Refused('INVALID', 'name')
        Form.inside('name', check_name, thing['kind'], name)
        holder = self.state.by_name(thing['kind'], thing['ns'], name)
        if holder is not None and holder['id'] != thing['id']:
            raise Refused('CONFLICT', 'name', holder)
        if thing['kind'] == 'type' and \
                thing['name'].partition(':')[0] != name.partition(':')[0]:
            raise Refused('INVALID', 'name')

    def do_rename(self, op):
        there = self.resolve(op, 'ref')
        self.check_new_name(there, op['name'])
        if there['name'] == op['name']:
            return self.answer('unchanged', there)
        thing = {**there, 'name': op['name'], 'named': self.now(), 'changed': self.revision}
        self.put(thing)
        return self.answer('changed', thing)

    def do_undelete(self, op):
        there = self.resolve(op, 'ref', dead=True)
        if there.get('purged'):
            raise Refused('CONFLICT', 'ref', there)
        if not self.state.live({**there, 'deleted': False}):
            parent = there['model'] or there['fields']['experiment']
            raise Refused('CONFLICT', 'ref', self.state.things[parent])
        if not there['deleted']:
            return self.answer('unchanged', there)
        self.check_place(there)
        name = op.get('name', there['name'])
        if name is not None:
            self.check_new_name(there, name)
        for text in there['fields'].get('external_ids', ()):
            holder = self.state.by_external_id(there['kind'], there['ns'], text)
            if holder is not None:
                raise Refused('CONFLICT', 'external_ids', holder)
        self.check_pointers(there)
        thing = {**there, 'deleted': False, 'ended': None, 'name': name, 'named': self.now(),
                 'changed': self.revision,
                 'external': {text: self.now() for text in there['external']}}
        self.put(thing)
        return self.answer('undeleted', thing)

    def check_place(self, thing):
        """Nothing lives in a namespace that is deleted, and none under it."""
        state = self.state
        if thing['kind'] == 'namespace':
            above = thing['name'].rpartition('/')[0]
            if above and state.namespace(above) is None:
                raise Refused('CONFLICT', 'ref')
            return
        with_it = [r['ns'] for r in state.find('run', deleted=False)
                   if r['fields'].get('experiment') == thing['id']]
        for ns in (thing['ns'], *sorted(with_it)):
            if state.things[ns]['deleted']:
                raise Refused('CONFLICT', 'ref', state.things[ns])

    def check_pointers(self, thing):
        """What it serves is live, and its stage has room, when it comes back."""
        for version, _, _ in thing['fields'].get('targets', ()):
            if not self.state.live(self.state.things[version]):
                raise self.there('CONFLICT', 'ref', self.state.things[version])
        stage = thing['fields'].get('stage')
        for name, multiple, _ in self.state.stages(thing['ns']) if stage else ():
            found = self.state.in_stage(thing['ns'], thing['model'], stage)
            if name == stage and not multiple and found:
                raise self.there('CONFLICT', 'ref', found[0])

    def set_hold(self, op, reason):
        there = self.resolve(op, 'ref', dead=True)
        if there.get('purged'):
            raise Refused('CONFLICT', 'ref', there)
        fields = {k: v for k, v in there['fields'].items() if k != 'hold'}
        if reason is not None:
            fields['hold'] = reason
        if fields == there['fields']:
            return self.answer('unchanged', there)
        if reason is None:
            self.state.holds.pop(there['id'], None)
        elif 'hold' not in there['fields']:
            self.state.holds[there['id']] = self.state.floor_of(there)
        self.put({**there, 'fields': fields, 'changed': self.revision})
        return self.answer('changed', there)

    def do_hold(self, op):
        return self.set_hold(op, op.get('reason') or self.command.get('reason', ''))

    def do_release(self, op):
        return self.set_hold(op, None)

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
            if name == 'cyclic' and not there['name'].startswith('edge:'):
                raise Refused('INVALID', name)
            value = op[name]
            if value is None:
                if shape == 'stages' and name in fields:
                    self.check_stages(there, self.state.stages(there['id'], own=False))
                fields.pop(name, None)
            elif shape == 'stages':
                value = tuple((v['name'], v.get('multiple', v['name'] == 'none'),
                               v.get('in_use', False)) for v in value)
                if value == fields.get(name):
                    continue
                if name in fields and mode == 'match':
                    differs = True
                    continue
                if mode != 'create':
                    self.check_stages(there, value)
                fields[name] = value
            elif shape in ('map', 'numbers'):
                differs |= self.write_map(fields, name, value, mode)
            elif shape == 'set':
                differs |= self.write_set(thing, fields, name, value)
            elif shape == 'props':
                differs |= self.write_props(thing, value, mode)
            elif shape == 'fields':
                new = {key: {k: v for k, v in says.items() if v not in (False, '')}
                       for key, says in value.items()}
                old = fields.get(name, {})
                differs |= any(old.get(key, says) != says for key, says in new.items())
                if new:
                    fields[name] = {**new, **old}
            elif shape == 'content' and name in fields and mode != 'match':
                if value != fields[name]:
                    if value not in CONTENT_MOVES[fields[name]]:
                        raise Refused('CONFLICT', name, there)
                    fields[name] = value
                    fields.pop('content_reason', None)
            else:
                new = Form.inside(name, self.value, shape, value, there)
                if name in fields and fields[name] != new and (core or mode == 'match'):
                    differs = True
                else:
                    fields[name] = new
        if differs:
            raise Refused('CONFLICT', None, there)
        if 'content_reason' in fields and fields.get('content') != 'failed':
            raise Refused('INVALID', 'content_reason')
        self.check_props(op, there, thing)
        return thing, fields != there['fields']

    def check_stages(self, ns, new):
        """No stage goes while a version of the namespace is in it."""
        names = [name for name, _, _ in new]
        for name, _, _ in self.state.stages(ns['id']):
            found = self.state.in_stage(ns['id'], None, name)
            if name not in names and name != 'none' and found:
                raise self.there('IN_USE', 'stages', found[0])

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
        gone = {k for k in value if value[k] is None} if isinstance(value, dict) else set()
        for text in gone & new:
            new.remove(text)
            thing['external'].pop(text, None)
        if not new:
            fields.pop(name, None)
        for text in sorted(set(value) - gone - new, key=str.encode):
            if name == 'external_ids':
                holder = self.state.by_external_id(thing['kind'], thing['ns'], text)
                if holder is not None and holder['id'] != thing['id']:
                    raise Refused('CONFLICT', name, holder)
                thing['external'][text] = self.now()
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

    # Props.

    def typed(self, value):
        """A prop as (type, value), a list's type with []."""
        if not isinstance(value, list):
            kind = Form.prop_type(value)
            if kind in ('time', 'json'):
                value = value[kind]
            if kind == 'ref':
                value = self.resolve_text(value[kind])['id']
            return kind, value
        items = [self.typed(item) for item in value]
        kinds = {kind for kind, _ in items}
        if kinds == {'int', 'float'}:
            return 'float[]', tuple(float(v) for _, v in items)
        return (kinds.pop() if kinds else '') + '[]', tuple(v for _, v in items)

    def type_of(self, thing):
        return self.state.things[thing['fields']['type']] if 'type' in thing['fields'] else None

    def hold_to_type(self, type_, key, prop):
        """The prop as the type lets it be."""
        if type_ is None:
            return prop
        says = type_['fields'].get('fields', {}).get(key)
        if says is None:
            if type_['fields'].get('closed'):
                raise Refused('INVALID', f'props.{key}')
            return prop
        kind, value = prop
        if kind == says['type'] or (kind == '[]' and says['type'].endswith('[]')):
            return prop
        numbers = value if kind == 'int[]' else (value,)
        if kind.replace('int', 'float') == says['type'] and 'int' in kind and \
                all(abs(n) <= 1 << 53 for n in numbers):
            return says['type'], tuple(float(n) for n in numbers) if kind == 'int[]' else \
                float(value)
        raise Refused('INVALID', f'props.{key}')

    def write_props(self, thing, value, mode):
        type_ = self.type_of(thing)
        old = thing['fields'].get('props', {})
        new = dict(old)
        differs = False
        for key in sorted(value, key=str.encode):
            prop = None
            if value[key] is not None:
                prop = Form.inside(f'props.{key}', self.typed, value[key])
                if prop == old.get(key):
                    continue
                prop = self.hold_to_type(type_, key, prop)
            says = type_['fields'].get('fields', {}).get(key, {}) if type_ else {}
            if key in old and prop != old[key] and (mode == 'match' or says.get('fixed')):
                differs = True
            elif prop is None:
                new.pop(key, None)
            else:
                new[key] = prop
        thing['fields']['props'] = new
        if not new:
            del thing['fields']['props']
        return differs

    def check_props(self, op, there, thing):
        type_ = self.type_of(thing)
        is_typed = 'type' not in there['fields']
        if type_ is None or not (is_typed or op.get('props')):
            return
        old = there['fields'].get('props', {})
        now = thing['fields'].get('props', {})
        if is_typed:
            now = {key: self.hold_to_type(type_, key, now[key])
                   for key in sorted(now, key=str.encode)}
            if now:
                thing['fields']['props'] = now
        if not now and op['op'] == 'create' and op.get('if_exists') == 'match':
            return  # a stub
        first = not old and now
        for key, says in sorted(type_['fields'].get('fields', {}).items(),
                                key=lambda pair: pair[0].encode()):
            if says.get('required') and key not in now and (is_typed or first or key in old):
                raise Refused('INVALID', f'props.{key}')

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
        ns = self.state.things[edge[0]]['ns']
        is_new = edge not in self.state.edges
        if is_new:
            self.check_cycle(edge, ns)
            self.state.edges[edge] = {'created': self.revision, 'set': None, 'props': {}}
            self.changed = True
        old = self.state.edges[edge]
        new = self.edge_props(op, old['props'], ns, is_new)
        if new == old['props']:
            return {'status': 'created' if is_new else 'unchanged'}
        self.state.edges[edge] = {**old, 'set': self.revision, 'props': new}
        self.changed = True
        return {'status': 'created' if is_new else 'changed'}

    def edge_type(self, label, ns):
        for above in self.state.above(self.state.path(ns)):
            found = self.state.by_name('type', above['id'], f'edge:{label}')
            if found:
                return found
        return None

    def edge_props(self, op, old, ns, is_new):
        if not is_new and not op.get('props'):
            return old
        # As a thing with the edge's props that gets the edge's type when it is made.
        type_ = self.edge_type(op['label'], ns)
        fields = {'props': old} if old else {}
        typed = {'type': type_['id']} if type_ else {}
        there = {'fields': {**fields, **({} if is_new else typed)}}
        edge = {'fields': {**fields, **typed}}
        if op.get('props') and self.write_props(edge, op['props'], 'update'):
            raise Refused('CONFLICT')
        self.check_props(op, there, edge)
        return edge['fields'].get('props', {})

    def check_cycle(self, edge, ns):
        start, label, end = edge

        def is_acyclic(name):
            type_ = self.edge_type(name, ns)
            return name in ACYCLIC and not (type_ and type_['fields'].get('cyclic'))

        if 'history' not in BUILT or not is_acyclic(label):
            return
        met = {end}
        level = [end]
        while level:
            if start in met:
                raise Refused('CYCLE', None, self.state.things[end])
            level = [b for a, name, b in self.state.edges
                     if a in level and b not in met and is_acyclic(name)]
            met.update(level)

    def do_unlink(self, op):
        edge = self.ends(op)
        if edge not in self.state.edges:
            return {'status': 'unchanged'}
        del self.state.edges[edge]
        self.changed = True
        return {'status': 'deleted'}


    # Params and metrics.

    def do_log(self, op):
        thing = self.resolve(op, 'ref')
        params = 0
        for key, text in sorted(op.get('params', {}).items(), key=lambda pair: pair[0].encode()):
            there = self.state.params.get((thing['id'], key))
            if there not in (None, text):
                raise Refused('CONFLICT', f'params.{key}', thing, there)
            params += there is None
            self.state.params[thing['id'], key] = text
        if params:
            thing = {**thing, 'changed': self.revision}
            self.put(thing)
        points = sum(Form.inside(f'metrics[{j}]', self.log_series, thing, series)
                     for j, series in enumerate(op.get('metrics', [])))
        self.changed = self.changed or points > 0
        return {**self.answer('changed' if params or points else 'unchanged', thing),
                'params': params, 'points': points}

    def log_series(self, thing, series):
        on = self.resolve(series, 'on')['id'] if 'on' in series else 0
        run = self.resolve(series, 'run') if 'run' in series else None
        if run and run['kind'] != 'run':
            raise Refused('INVALID', 'run')
        if not series['points']:
            return 0
        place = (thing['id'], series['key'], on)
        points = {p.order(): p for p in self.state.series.get(place, ())}
        before = len(points)
        for point in series['points']:
            p = Point(*point, run['id'] if run else None)
            points.setdefault(p.order(), p)
        self.state.series[place] = tuple(p for _, p in sorted(points.items()))
        return len(points) - before

    # Pointers.

    def subject(self, op, kind):
        thing = self.resolve(op, 'ref')
        if thing['kind'] != kind:
            raise Refused('INVALID', 'ref')
        return thing

    def do_set_alias(self, op):
        version = self.subject(op, 'version')
        key = (version['model'], op['alias'])
        if 'expect' in op:
            self.check_alias(*key, op['expect'], 'expect')
        old = self.state.aliases.get(key)
        if old and old[0] == version['id']:
            return {**self.answer('unchanged', version), 'revision': old[1]}
        self.state.aliases[key] = (version['id'], self.revision)
        self.changed = True
        self.moves.append((*key, old[0] if old else None, version['id']))
        return {**self.answer('changed' if old else 'created', version),
                'revision': self.revision}

    def do_unset_alias(self, op):
        model = self.subject(op, 'model')
        key = (model['id'], op['alias'])
        if 'expect' in op:
            self.check_alias(*key, op['expect'], 'expect')
        old = self.state.aliases.pop(key, None)
        if old is None:
            return {'status': 'unchanged'}
        self.changed = True
        self.moves.append((*key, old[0], None))
        return {**self.answer('deleted', self.state.things[old[0]]), 'revision': self.revision}

    def stage(self, version, name, key):
        for stage in (*self.state.stages(version['ns']), STAGES[0]):
            if stage[0] == name:
                return stage
        raise Refused('INVALID', key)

    def move(self, version, stage):
        fields = {k: v for k, v in version['fields'].items() if k != 'stage'}
        if stage != 'none':
            fields['stage'] = stage
        self.put({**version, 'fields': fields, 'changed': self.revision})

    def do_set_stage(self, op):
        version = self.subject(op, 'version')
        stage = op['stage']
        _, multiple, _ = self.stage(version, stage, 'stage')
        to = self.stage(version, op['displace'], 'displace') if 'displace' in op else None
        if 'expect' in op:
            self.check_stage(version, op['expect'], 'expect')

        def others_in(name):
            return [v for v in self.state.in_stage(version['ns'], version['model'], name)
                    if v['id'] != version['id']]

        moves = version['fields'].get('stage', 'none') != stage
        others = others_in(stage) if stage != 'none' and (to or (moves and not multiple)) else []
        if others and not to:
            raise self.there('CONFLICT', 'stage', others[0])
        if others and not to[1]:
            if len(others) > 1:
                raise Refused('CONFLICT', 'displace')
            if others_in(to[0]):
                raise self.there('CONFLICT', 'displace', others_in(to[0])[0])
        if moves:
            self.move(version, stage)
        for other in others:
            self.move(other, to[0])
        result = self.answer('changed' if moves or others else 'unchanged', version)
        if others:
            result['displaced'] = [self.state.ref(v, self.ns) for v in others]
        return result

    def do_set_targets(self, op):
        deployment = self.subject(op, 'deployment')
        targets = []
        for j, target in enumerate(op['targets']):
            version = Form.inside(f'targets[{j}]', self.resolve, target, 'version')
            if version['kind'] != 'version' or version['id'] in [v for v, _, _ in targets]:
                raise Refused('INVALID', f'targets[{j}].version')
            targets.append((version['id'], target.get('share', 10000),
                            target.get('mode', 'serving')))
        fields = {k: v for k, v in deployment['fields'].items() if k != 'targets'}
        if targets:
            fields['targets'] = tuple(targets)
        if fields == deployment['fields']:
            return self.answer('unchanged', deployment)
        self.put({**deployment, 'fields': fields, 'changed': self.revision})
        return self.answer('changed', deployment)


# --- the world -------------------------------------------------------------------------------

class World(Walks):
    """Begins with the namespace `path`, made by `revision` as `id_`; before it there was only
    `default`."""

    def __init__(self, path, id_, revision, all_times):
        self.first = self.revision = revision
        self.next_id = id_ + 1
        self.times = {0: 0}        # revision -> store time, as answered
        self.principals = {0: ''}  # revision -> who
        self.reasons = {}          # revision -> why
        self.moves = {}            # revision -> moves of aliases
        before = State()
        before.things[1] = self.namespace('default', 1, 0)
        self.state = before.copy()
        self.state.things[id_] = self.namespace(path, id_, revision)
        self.states = {revision - 1: before, revision: self.state}
        self.now_us = 0     # store time, as far as it is known
        self.all_times = all_times  # (time, revision) of all revisions of before, too
        self.pasts = []     # that the read looks at

    @staticmethod
    def namespace(path, id_, revision):
        return {'id': id_, 'kind': 'namespace', 'ns': 0, 'name': path, 'model': None,
                'number': None, 'deleted': False, 'created': revision, 'changed': revision,
                'named': (revision, 0), 'fields': {}, 'external': {}}

    def txn(self, command, principal, dry_run=False):
        """('ok', revision, results) or ('refused', Refused)."""
        try:
            Form(command)
            t = Transaction(self, command, principal)
            results = t.run()
        except Refused as e:
            return 'refused', e
        t.state.check()
        if not dry_run:  # floors move without a revision
            self.state.floors = t.state.floors
        if t.changed and not dry_run:
            self.revision = t.revision
            self.next_id = t.next_id
            self.state = self.states[t.revision] = t.state
            self.principals[t.revision] = principal
            self.reasons[t.revision] = command.get('reason')
            self.moves[t.revision] = t.moves
            for left in t.purged:  # what it was at any time is gone
                for state in self.states.values():
                    then = state.things.get(left['id'])
                    if then and then['changed'] != t.revision:
                        self.reasons[then['changed']] = None
                    if then:  # a digest finds it since it has had it
                        state.things[left['id']] = {
                            **left, 'found_by': then['fields'].get('digests', ())}
                        state.forget(left['id'])
        return 'ok', self.revision, results

    # Time, and what is too old.

    def revision_at_time(self, us):
        """The newest that is not younger; what is not answered yet is of now."""
        if us >= self.now_us:
            return self.revision
        at = bisect.bisect_right(self.all_times, (us, math.inf))
        return self.all_times[at - 1][1] if at else 0

    def revision_of_age(self, age_s):
        return self.revision_at_time(self.now_us - age_s * 1000000)

    def retention(self, ns):
        thing = self.state.things[ns]
        for above in (thing, *self.state.above(thing['name'].rpartition('/')[0])):
            if 'retention_s' in above['fields']:
                return above['fields']['retention_s']
        return None

    def due(self):
        """Where retention has the floors of namespaces that are not there yet."""
        due = {}
        for ns in self.state.find('namespace'):
            age_s = self.retention(ns['id']) if ns['id'] != 1 else None
            to = self.revision_of_age(max(age_s, CURSOR_LIFE_S)) if age_s is not None else 0
            if to > self.state.floors.get(ns['id'], {'revision': 0})['revision']:
                due[ns['id']] = to
        return due

    def is_near(self, within_s):
        """Whether a revision is about to become too old for something."""
        ages = {CURSOR_LIFE_S, *(t['fields']['retention_s'] for t in self.state.find('namespace')
                                 if 'retention_s' in t['fields'])}
        limits = [self.now_us - age * 1000000 for age in ages]
        return any(self.revision_at_time(us) != self.revision_at_time(us + within_s * 1000000)
                   for us in limits)

    def seen(self, revision):
        """The state at a revision, as it can still be read."""
        state = self.states[revision]
        if all(floor['revision'] <= revision for floor in self.state.floors.values()):
            return state
        self.pasts.append(Past(state, self.state, revision))
        return self.pasts[-1]

    def may_be_compacted(self, params):
        """The floors that the last read may be refused for, since it looked at something of which
        not all is known, by a way that is the store's own."""
        revisions = [self.revision_at(params.get(key)) for key in ('as_of', 'from_as_of')]
        met = any(past.met_hidden for past in self.pasts)
        return {floor for past in self.pasts for floor in past.hidden.values()
                if floor > min(revisions)} if met else set()

    # Reads: each answers its data, or raises Refused.

    def read(self, method, params):
        self.pasts = []
        self.read_form(method, params)
        revision = self.revision_at(params.get('as_of'))
        state = self.seen(revision)
        ns = state.namespace(params.get('ns', 'default'))
        if ns is None:
            raise Refused('NOT_FOUND', 'ns')
        return getattr(self, 'read_' + method)(state, ns, params)

    @staticmethod
    def read_form(method, params):
        """What can be said of a read without the store."""
        if 'under' in params:
            if params['kind'] not in ('version', 'run'):
                raise Refused('INVALID', 'under')
            ref = Form.inside('under', Ref, params['under'])
            if ref.kind not in (None, 'model' if params['kind'] == 'version' else 'experiment'):
                raise Refused('INVALID', 'under')
        for key in ('ref', 'from', 'to'):
            if key in params and (method, key) != ('watch', 'from'):  # which is a revision
                Form.inside(key, Ref, params[key])

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
        if thing.get('purged'):
            shown['purged'] = True
        if view == 'full':
            self.show_full(state, ns, thing, shown)
        if 'edges' in params.get('with', ()):
            edges = sorted((label.encode(), to) for (a, label, to) in state.edges
                           if a == thing['id'])
            shown['edges'] = [self.show_edge(state, ns, thing['id'], label.decode(), to)
                              for label, to in edges]
        if 'params' in params.get('with', ()):
            shown['params'] = {key: text for (id_, key), text in state.params.items()
                               if id_ == thing['id']}
        if 'metrics' in params.get('with', ()):
            shown['metrics'] = [self.show_series(state, ns, place)
                                for place in self.series_of(state, thing)]
        if 'aliases' in params.get('with', ()) and thing['kind'] in ('model', 'version'):
            shown['aliases'] = [
                {'alias': alias, 'version': state.things[version]['number'], 'revision': revision}
                for (model, alias), (version, revision) in
                sorted(state.aliases.items(), key=lambda item: item[0][1].encode())
                if thing['id'] in (model, version) and not thing.get('purged')]
        return shown

    def show_edge(self, state, ns, from_, label, to):
        shown = {'label': label, 'to': state.ref(state.things[to], ns), 'id': to}
        props = state.edges[from_, label, to]['props']
        if props:
            shown['props'] = {key: self.show_prop(state, ns, prop) for key, prop in props.items()}
        return shown

    def show_full(self, state, ns, thing, shown):
        if thing['ns']:
            shown['namespace'] = state.path(thing['ns'])
        if thing['kind'] == 'version':
            shown['model'] = state.ref(state.things[thing['model']], ns)
            shown['number'] = thing['number']
        elif not thing.get('purged'):
            shown['name'] = thing['name']
        shown['created'] = self.stamp(thing['created'])
        if thing.get('purged'):
            shown['created']['principal'] = ''
        shown['changed'] = self.stamp(thing['changed'])
        for name, value in thing['fields'].items():
            shown[name] = self.show_field(state, ns, name, value)
        if 'owner' not in shown and 'things' in BUILT:
            # Its own namespace, though it is deleted; of those above it, the live ones.
            above = state.things.get(thing['ns'])
            path = thing['name'].rpartition('/')[0] if thing['kind'] == 'namespace' else \
                state.path(thing['ns'])
            while path:
                if above is None:
                    above = state.things[state.namespace(path)] if state.namespace(path) else None
                if above and 'owner' in above['fields']:
                    shown['owner'] = above['fields']['owner']
                    shown['owner_from'] = state.ref(above, ns)
                    break
                path = path.rpartition('/')[0]
                above = None

    def show_field(self, state, ns, name, value):
        shape = FIELDS[name][0]
        if shape == 'type' and state.shown_by_id(value):
            return f'id/{value}'
        if shape == 'type':
            return state.things[value]['name'].partition(':')[2]
        if shape.startswith('ref:'):
            return state.ref(state.things[value], ns)
        if shape == 'set':
            return list(value)
        if shape == 'props':
            return {key: self.show_prop(state, ns, prop) for key, prop in value.items()}
        if shape == 'stages':
            return [{'name': n, 'multiple': m, 'in_use': u} for n, m, u in value]
        if shape == 'targets':
            return [{'version': state.ref(state.things[v], ns), 'share': share, 'mode': mode}
                    for v, share, mode in value]
        return value

    @staticmethod
    def show_prop(state, ns, prop):
        kind, value = prop
        if kind.endswith('[]'):
            return [World.show_prop(state, ns, (kind[:-2], item)) for item in value]
        if kind == 'ref':
            return {'ref': state.ref(state.things[value], ns)}
        return {kind: value} if kind in ('time', 'json') else value

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
        if text.startswith(('digest:', 'uri:')):
            form, _, what = text.partition(':')
            if isinstance(state, Past):
                state.check_namespace(ns)
            for _, thing in sorted(state.things.items()):
                has = thing.get('found_by') if thing.get('purged') and form == 'digest' else \
                    thing['fields'].get(form + 's')
                if thing['ns'] == ns and what in (has or ()) and \
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
        if isinstance(state, Past):
            if kind != 'namespace':
                state.check_namespace(ns)
            state.met_hidden |= 'under' in params
        if 'under' in params:
            thing = Form.inside('under', state.resolve, Ref(params['under']), ns,
                                params.get('state', 'live') != 'live')
            if thing['kind'] != ('model' if kind == 'version' else 'experiment'):
                raise Refused('INVALID', 'under')
            under = thing['id']

        def place(thing):
            named = state.things[thing['model']] if kind == 'version' else thing
            return (named['name'].encode(), [-n for n in named['named']], thing['number'] or 0)

        found = [t for t in state.find(kind) if self.wanted(state, t, params, 'live')]
        found = [t for t in found if kind == 'version' or
                 (state.was_seen(t) and not t.get('purged'))]
        if kind == 'version' and under:
            found = [t for t in found if t['model'] == under]
        elif kind == 'version':
            found = [t for t in found if t['ns'] == ns and
                     state.was_seen(state.things[t['model']]) and
                     not state.things[t['model']].get('purged')]
        elif kind != 'namespace':
            found = [t for t in found if t['ns'] == ns]
        if kind == 'run' and under:
            found = [t for t in found if t['fields'].get('experiment') == under]
        return [self.show(state, ns, t, params) for t in sorted(found, key=place)]

    def search(self, state, ns, params):
        if isinstance(state, Past):
            if params['kind'] != 'namespace':
                state.check_namespace(ns)
            state.met_hidden |= '"lineage"' in params['query']
        return searching.Search(state, ns).run(
            params['kind'], json.loads(params['query']), json.loads(params['order']),
            lambda t: self.wanted(state, t, params, 'live'))

    def read_search(self, state, ns, params):
        return [self.show(state, ns, t, params) for t in self.search(state, ns, params)]

    def read_count(self, state, ns, params):
        found = self.search(state, ns, params)
        if 'by' not in params:
            return {'count': len(found)}
        look = searching.Search(state, ns)
        group, _, key = params['by'].rpartition('.')
        counts = {}
        for thing in found:
            values = look.values(thing, group or 'attribute', key)
            value = values[0][1] if values else None
            counts[value] = counts.get(value, 0) + 1
        order = sorted(counts.items(), key=lambda c: (-c[1], (c[0] or '').encode()))
        return {'count': len(found), 'by': [{'value': v, 'count': n} for v, n in order]}

    def read_describe(self, state, ns, params):
        if isinstance(state, Past):
            state.check_namespace(ns)
            top = state.path(ns) + '/'
            for child in state.find('namespace', deleted=False):
                if child['name'].startswith(top):
                    state.check_namespace(child['id'])
        counts = state.counts(ns)
        shown = {'name': state.path(ns), **counts,
                 'with_children': state.counts_with_children(ns), 'quotas': []}
        for above in state.above(state.path(ns)):
            if 'retention_s' in above['fields']:
                shown.setdefault('retention_s', above['fields']['retention_s'])
            use = state.counts_with_children(above['id'])
            for what, limit in sorted(above['fields'].get('quota', {}).items()):
                quota = {'namespace': above['name'], 'of': what, 'limit': limit}
                if self.revision_at(params.get('as_of')) == self.revision and \
                        what != 'writes_per_s':
                    quota['used'] = sum(use[k] for k in (KINDS if what == 'things' else (what,)))
                shown['quotas'].append(quota)
        floor = self.state.floors.get(ns)
        if floor:
            shown['compacted'] = {'before': floor['revision'], 'time': floor['time']}
            if floor['by']:
                shown['compacted']['by'] = floor['by']
        return {'namespace': shown}

    # History.

    def read_history(self, state, ns, params):
        which = params.get('state', 'any')
        ref = Ref(params['ref'])
        thing = Form.inside('ref', state.resolve, ref, ns, which == 'deleted' or
                            (ref.form == 'id' and which == 'any'))
        if which == 'deleted' and state.live(thing):
            raise Refused('NOT_FOUND', 'ref')
        until = self.revision_at(params.get('as_of'))
        floor = self.state.floor_of(self.state.things[thing['id']])
        made = [self.history_of(thing['id'], ns, revision)
                for revision in range(until, max(min(self.states), floor), -1)]
        return self.changes([item for item in made if item], thing['created'] <= floor and floor)

    @staticmethod
    def changes(items, floor):
        return {'items': items, **({'compacted': floor} if floor else {})}

    def read_audit(self, state, ns, params):
        until = self.revision_at(params.get('as_of'))
        first = min(self.states) + 1
        if 'ref' in params:
            which = params.get('state', 'any')
            ref = Ref(params['ref'])
            thing = Form.inside('ref', state.resolve, ref, ns, which == 'deleted' or
                                (ref.form == 'id' and which == 'any'))
            if which == 'deleted' and state.live(thing):
                raise Refused('NOT_FOUND', 'ref')
            params = {**params, 'id': thing['id']}
            floor = self.state.floor_of(self.state.things[thing['id']])
            first = max(first, thing['created'])
        else:
            floor = self.state.floor_under(params['namespace'])
        made = [self.event_of(ns, revision, params) for revision in range(until, min(self.states), -1)]
        return self.changes([event for event in made if event],
                            floor >= (first if 'ref' in params else 1) and floor)

    def read_watch(self, state, ns, params):
        floor = self.state.floor_under(params['namespace'])
        if params['from'] <= floor:
            raise Refused('COMPACTED', 'from', floors={floor + 1})
        made = [self.event_of(ns, revision, params)
                for revision in range(params['from'], self.revision + 1) if revision in self.states]
        return [event for event in made if event]

    def event_of(self, ns, revision, params):
        """A transaction as far as it passes; None when nothing of it does."""
        before, after = self.seen(revision - 1), self.seen(revision)
        if 'by' in params and self.principals.get(revision) != params['by']:
            return None
        things = []
        for id_, thing in sorted(after.things.items()):
            if self.state.floor_of(self.state.things[id_]) >= revision:
                continue
            if params.get('id', id_) != id_ or not self.passes(ns, before, after, thing, params):
                continue
            told = self.told_of(id_, ns, before, after, revision)
            if told:
                head = {'id': id_, 'kind': thing['kind'], 'ref': after.ref(thing, ns)}
                if thing.get('purged'):
                    head['purged'] = True
                things.append({**head, **told})
        if not things:
            return None
        event = {**self.stamp(revision), 'things': things}
        if self.reasons.get(revision):
            event['reason'] = self.reasons[revision]
        return event

    @staticmethod
    def passes(ns, before, after, thing, params):
        path = thing['name'] if thing['kind'] == 'namespace' else after.path(thing['ns'])
        under = params['namespace']
        if path != under and not path.startswith(under + '/'):
            return False
        if 'kinds' in params and thing['kind'] not in params['kinds']:
            return False
        if 'prefix' not in params:
            return True
        if thing.get('purged'):
            return False
        old = before.things.get(thing['id'])
        refs = [after.ref(thing, ns)]
        if old and old['name'] != thing['name']:
            refs.append(before.ref(old, ns))
        return any(ref.startswith(params['prefix']) for ref in refs)

    def told_of(self, id_, ns, before, after, revision):
        told = self.history_of(id_, ns, revision) or {}
        for key in (*self.stamp(revision), 'reason', 'aliases'):
            told.pop(key, None)
        purged = after.things[id_].get('purged')
        if 'change' not in told and not purged and \
                any(points != before.series.get(place, []) for place, points in
                    after.series.items() if place[0] == id_):
            told.update(change='logged', fields={})
        moves = [m for m in self.moves.get(revision, ()) if m[0] == id_ and not purged]
        if moves:
            told['aliases'] = [{'alias': alias, **{side: after.things[v]['number']
                                                   for side, v in (('from', a), ('to', b)) if v}}
                               for _, alias, a, b in moves]
        return told

    def history_of(self, id_, ns, revision):
        """What one revision changed of a thing; None when it did not."""
        before, after = self.seen(revision - 1), self.seen(revision)
        old, new = before.things.get(id_), after.things.get(id_)
        if new is None:
            return None
        item = {}
        if new['changed'] == revision:
            item['change'] = 'purged' if new.get('purged') else 'created' if old is None else \
                'changed' if old['deleted'] == new['deleted'] else \
                'deleted' if new['deleted'] else 'undeleted'
            item['fields'] = self.field_changes(after, ns, new if new.get('purged') else old, new)
            item['fields'].update({f'params.{key}': {'to': text}
                                   for (thing, key), text in after.params.items()
                                   if thing == id_ and (id_, key) not in before.params})
        edges = self.edge_changes(before, after, ns, id_, revision)
        if edges:
            item['edges'] = edges
        moves = [move for move in self.moves.get(revision, ()) if move[0] == id_ and
                 not new.get('purged')]
        # What a transaction sets and unsets again was so at no revision.
        if moves and [(k, v) for k, v in before.aliases.items() if k[0] == id_] != \
                [(k, v) for k, v in after.aliases.items() if k[0] == id_]:
            item['aliases'] = [
                {'alias': alias, **{side: after.things[v]['number']
                                    for side, v in (('from', a), ('to', b)) if v}}
                for _, alias, a, b in moves]
        if not item:
            return None
        item.update(self.stamp(revision))
        if self.reasons.get(revision):
            item['reason'] = self.reasons[revision]
        return item

    def field_changes(self, state, ns, old, new):
        changes = {}
        if old is not None and old['id'] == new['id'] and old['name'] != new['name']:
            changes['name'] = {'from': old['name'], 'to': new['name']}
        before = old['fields'] if old else {}
        after = new['fields']
        for name, (shape, *_) in FIELDS.items():
            if before.get(name) == after.get(name):
                continue
            if shape in ('map', 'props', 'numbers'):
                pairs = self.pair_changes(state, ns, shape, before.get(name, {}),
                                          after.get(name, {}))
                changes.update({f'{name}.{key}': sides for key, sides in pairs.items()})
            else:
                changes[name] = {side: self.show_field(state, ns, name, fields[name])
                                 for side, fields in (('from', before), ('to', after))
                                 if name in fields}
        return changes

    def pair_changes(self, state, ns, shape, before, after):
        def show(value):
            return value if shape != 'props' else self.show_prop(state, ns, value)

        return {key: {side: show(pairs[key]) for side, pairs in (('from', before), ('to', after))
                      if key in pairs}
                for key in {**before, **after} if before.get(key) != after.get(key)}

    def edge_changes(self, before, after, ns, id_, revision):
        changes = []
        for edge in {**before.edges, **after.edges}:
            if edge[0] != id_:
                continue
            old, new = before.edges.get(edge), after.edges.get(edge)
            shown = {'label': edge[1], 'to': after.ref(after.things[edge[2]], ns)}
            again = old and new and old['created'] != new['created']
            if old and (not new or again):
                changes.append({'change': 'unlinked', **shown})
            if new and (not old or again):
                word = 'linked'
            elif new and new['set'] == revision:
                word = 'changed'
            else:
                continue
            if new['set'] == revision:
                was = old['props'] if word == 'changed' else {}
                shown['props'] = self.pair_changes(after, ns, 'props', was, new['props'])
            changes.append({'change': word, **shown})
        return sorted(changes, key=lambda c: json.dumps(c, sort_keys=True))

    # Metrics.

    @staticmethod
    def series_of(state, thing):
        return sorted((p for p in state.series if p[0] == thing['id']),
                      key=lambda p: (p[1].encode(), p[2]))

    @staticmethod
    def show_series(state, ns, place):
        """All but the points."""
        _, key, on = place
        points = state.series[place]
        numbers = [p for p in points if not math.isnan(p.shown[2])]
        shown = {'key': key, 'count': len(points), 'first': points[0].shown,
                 'last': points[-1].shown}
        if on:
            shown['on'] = state.ref(state.things[on], ns)
        if numbers:
            shown['min'] = min(numbers, key=lambda p: rank(p.shown[2])).shown
            shown['max'] = max(numbers, key=lambda p: rank(p.shown[2])).shown
        return shown

    def read_metrics(self, state, ns, params):
        on = params.get('on')
        if on is not None:
            on = Form.inside('on', self.get_one, state, ns, on, params)['id']
        data = []
        for text in params['refs']:
            try:
                thing = self.get_one(state, ns, text, params)
            except Refused as e:
                data.append({'ref': text, 'error': e.code})
                continue
            for place in self.series_of(state, thing):
                if ('keys' in params and place[1] not in params['keys']) or \
                        ('on' in params and place[2] != (on or 0)):
                    continue
                series = {'ref': state.ref(thing, ns), 'id': thing['id'],
                          **self.show_series(state, ns, place)}
                if not params.get('last'):
                    self.show_points(state, ns, state.series[place], params, series)
                data.append(series)
        return data

    def show_points(self, state, ns, points, params, series):
        found = [p for p in points
                 if params.get('from_step', p.shown[0]) <= p.shown[0] <=
                 params.get('to_step', p.shown[0]) and
                 params.get('from_time', p.shown[1]) <= p.shown[1] <=
                 params.get('to_time', p.shown[1])]
        if len(found) > params.get('sample', len(found)):
            series['of'] = len(found)
            found = self.sample(found, params['sample'] // 4)
        series['points'] = [p.shown + ([state.ref(state.things[p.run], ns)] if p.run else [])
                            for p in found]

    @staticmethod
    def sample(points, buckets):
        """M4: of each stretch the first, the least, the greatest and the last."""
        kept = []
        for bucket in range(buckets):
            stretch = [p for i, p in enumerate(points) if i * buckets // len(points) == bucket]
            if not stretch:
                continue
            some = [stretch[0], stretch[-1]]
            numbers = [p for p in stretch if not math.isnan(p.shown[2])]
            if numbers:
                some.append(min(numbers, key=lambda p: rank(p.shown[2])))
                some.append(max(numbers, key=lambda p: rank(p.shown[2])))
            kept += [p for p in stretch if p in some]
        return kept
