"""Searches said a second time: queries as trees, made at random, rendered as text for the store, and
answered by looking at every thing.

    ["and" | "or", tree...]    ["not", tree]
    ["is", group, key, operator, [literal...]]     group: attribute, tags, params, props, last, min, ...
    ["lineage", relation, label or None, a reference, a tree or None]

A literal is text in a string, a number, or true and false.
"""

import json
import math
import re

import plain

KEYS = {'tags': ('k', 'l', 'm', 'none'), 'params': ('lr', 'depth', 'seed'), 'props': ('p', 'q', 'r')}
METRICS = ('last', 'min', 'max', 'first', 'count')
NUMBERS = (0, 1, 3, -1, 2.5, 0.5, (1 << 53) + 1, -(1 << 63), 1e300)
OPERATORS = ('=', '!=', '<', '<=', '>', '>=', 'LIKE', 'NOT LIKE', 'ILIKE', 'IN', 'NOT IN', 'BETWEEN',
             'NOT BETWEEN', 'IS NULL', 'IS NOT NULL')
NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z', re.A)
RELATIONS = {'depends_on': False, 'used_by': False, 'linked': True, 'linked_by': True}


# --- as text ---------------------------------------------------------------------------------

def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def literal(value):
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return quoted(value) if isinstance(value, str) else repr(value)


def key_text(group, key):
    if group == 'attribute':
        return key
    if group == 'last':
        return f'metrics.{key}'
    return f'{group}(metrics.{key})' if group in METRICS else f'{group}.{key}'


def render(tree):
    if tree[0] in ('and', 'or'):
        return '(' + f' {tree[0].upper()} '.join(render(t) for t in tree[1:]) + ')'
    if tree[0] == 'not':
        return 'NOT ' + render(tree[1])
    if tree[0] == 'lineage':
        _, relation, label, other = tree
        parts = [label] if label else []
        if other is not None:
            parts.append(quoted(other) if isinstance(other, str) else f'({render(other)})')
        return f"{relation}({', '.join(parts)})"
    _, group, key, operator, literals = tree
    text = f'{key_text(group, key)} {operator}'
    if operator.endswith('IN'):
        return f"{text} ({', '.join(map(literal, literals))})"
    if operator.endswith('BETWEEN'):
        return f'{text} {literal(literals[0])} AND {literal(literals[1])}'
    return f'{text} {literal(literals[0])}' if literals else text


def text_of(params):
    tree = json.loads(params['query'])
    order = ', '.join(key_text(group, key) + (' DESC' if descending else '')
                      for group, key, descending in json.loads(params['order']))
    return (render(tree) if tree else '') + (f' ORDER BY {order}' if order else '')


def uses_metrics(params):
    text = params.get('query', '') + params.get('order', '')
    return any(f'"{what}", "' in text for what in METRICS)


# --- what is asked of a thing ----------------------------------------------------------------

def parsed(text):
    return float(text) if NUMBER.match(text) else None


class Search:
    def __init__(self, state, ns):
        self.state = state
        self.ns = ns
        self.sets = {}

    def prop(self, prop):
        kind, value = prop
        if kind.endswith('[]'):
            return [v for item in value for v in self.prop((kind[:-2], item))]
        if kind in ('int', 'float'):
            return [('number', value)]
        return [({'string': 'text', 'json': 'text'}.get(kind, kind), value)]

    def values(self, thing, group, key):
        """What the thing has under a key, each with its sort."""
        fields = thing['fields']
        if group == 'tags':
            return [('text', fields['tags'][key])] if key in fields.get('tags', {}) else []
        if group == 'props':
            return self.prop(fields['props'][key]) if key in fields.get('props', {}) else []
        if group == 'params':
            text = self.state.params.get((thing['id'], key))
            return [('text', text)] if text is not None else []
        if group in METRICS:
            return [('number', v) for place in plain.World.series_of(self.state, thing)
                    if place[1] == key for v in self.metric(place, group)]
        return [(sort, v) for sort, v in self.attribute(thing, key) if sort != 'text' or v != '']

    def metric(self, place, what):
        points = [p.shown[2] for p in self.state.series[place]]
        numbers = [v for v in points if not math.isnan(v)]
        if what == 'count':
            return [len(points)]
        if what in ('min', 'max'):
            return [(min if what == 'min' else max)(numbers, key=plain.rank)] if numbers else []
        return [points[0 if what == 'first' else -1]]

    def attribute(self, thing, key):
        state = self.state
        if key == 'id':
            return [('number', thing['id'])]
        if key == 'name':
            named = state.things[thing['model']] if thing['kind'] == 'version' else thing
            return [('text', named['name'] or '')]
        if key == 'number':
            return [('number', thing['number'])] if thing['kind'] == 'version' else []
        if key == 'state':
            return [('text', 'live' if state.live(thing) else 'deleted')]
        if key == 'kind':
            return [('text', thing['kind'])]
        if key == 'alias':
            if thing['kind'] != 'version':
                return []
            latest = state.latest(thing['model'])
            names = ['latest'] if latest and latest['id'] == thing['id'] else []
            return [('text', n) for n in names + sorted(
                a for (_, a), (v, _) in state.aliases.items() if v == thing['id'])]
        value = thing['fields'].get(key)
        if value is None:
            return []
        if plain.FIELDS[key][0] == 'set':
            return [('text', v) for v in sorted(value, key=str.encode)]
        return [('number' if isinstance(value, int) else 'text', value)]

    @staticmethod
    def order_of(sort, value, literal_):
        """< 0, 0, > 0; None when the two do not compare."""
        if isinstance(literal_, bool):
            return (0 if value == literal_ else None) if sort == 'bool' else None
        if isinstance(literal_, str):
            if sort == 'text':
                a, b = value.encode(), literal_.encode()
                return (a > b) - (a < b)
            return None
        if sort == 'text':
            value = int(value) if re.match(r'[+-]?\d+\Z', value, re.A) else parsed(value)
        elif sort not in ('number', 'time'):
            return None
        if value is None or value != value:
            return None
        if isinstance(value, float) or isinstance(literal_, float):
            value, literal_ = float(value), float(literal_)
        return (value > literal_) - (value < literal_)

    def meets(self, sort, value, operator, literals):
        def order(i):
            return self.order_of(sort, value, literals[i])
        if operator in ('LIKE', 'ILIKE'):
            pattern = ''.join({'%': '.*', '_': '.'}.get(c, re.escape(c)) for c in literals[0])
            return sort == 'text' and \
                re.fullmatch(pattern, value, re.S | (re.I | re.A) * (operator == 'ILIKE')) is not None
        if operator == 'IN':
            return any(order(i) == 0 for i in range(len(literals)))
        if operator == 'BETWEEN':
            return order(0) is not None and order(1) is not None and order(0) >= 0 >= order(1)
        if order(0) is None:
            return False
        return {'=': order(0) == 0, '<': order(0) < 0, '<=': order(0) <= 0, '>': order(0) > 0,
                '>=': order(0) >= 0}[operator]

    def matches(self, thing, tree):
        if tree[0] == 'and':
            return all(self.matches(thing, t) for t in tree[1:])
        if tree[0] == 'or':
            return any(self.matches(thing, t) for t in tree[1:])
        if tree[0] == 'not':
            return not self.matches(thing, tree[1])
        if tree[0] == 'lineage':
            return self.related(thing, *tree[1:])
        _, group, key, operator, literals = tree
        values = self.values(thing, group, key)
        if operator in ('IS NULL', 'IS NOT NULL'):
            return (operator == 'IS NULL') == (not values)
        negated = operator.startswith('NOT ') or operator == '!='
        operator = '=' if operator == '!=' else operator.removeprefix('NOT ')
        met = any(self.meets(sort, v, operator, literals) for sort, v in values)
        return bool(values) and met != negated

    # Lineage.

    def others(self, other):
        """Ids; None for any."""
        if other is None:
            return None
        if isinstance(other, str):
            return {plain.Form.inside('query', self.state.resolve, plain.Ref(other), self.ns, True)['id']}
        return {t['id'] for t in self.state.things.values() if self.state.live(t) and
                t['ns'] == (0 if t['kind'] == 'namespace' else self.ns) and self.matches(t, other)}

    def closure(self, starts, down):
        found, level = set(), starts
        while level:
            level = {a if down else b for a, _, b in self.state.edges
                     if (b if down else a) in level} - found
            found |= level
        return found

    def related(self, thing, relation, label, other):
        key = repr((relation, label, other))
        if key not in self.sets:
            others = self.others(other)
            out = relation in ('depends_on', 'linked')
            if others is None or label:
                self.sets[key] = {a if out else b for a, has, b in self.state.edges
                                  if label in (None, has) and
                                  (others is None or (b if out else a) in others)}
            else:
                self.sets[key] = self.closure(others, relation == 'depends_on')
        return thing['id'] in self.sets[key]

    # Order.

    def place(self, thing, group, key):
        """By the first value; numbers before texts, for attributes as they are."""
        values = self.values(thing, group, key)
        if not values:
            return None
        sort, value = values[0]
        if sort == 'text' and group != 'attribute' and parsed(value) is not None:
            sort, value = 'number', parsed(value)
        if sort in ('number', 'time'):
            number = float(value)
            return (2, plain.rank(0.0 if number == 0 else number))
        if sort == 'bool':
            return (1, value)
        return (3, value.encode()) if sort == 'text' else (4, value)

    def run(self, kind, tree, order, wanted):
        if tree:
            self.check_references(tree)
        found = [t for t in self.state.find(kind) if wanted(t) and
                 t['ns'] == (0 if kind == 'namespace' else self.ns) and
                 (not tree or self.matches(t, tree))]
        last = bool(order) and order[-1][2]
        found.sort(key=lambda t: t['id'], reverse=last)
        for group, key, descending in reversed(order):
            placed = [(self.place(t, group, key), t) for t in found]
            have = [p for p in placed if p[0] is not None]
            have.sort(key=lambda p: p[0])
            if descending:
                have = stable_reverse(have)
            found = [t for _, t in have] + [t for p, t in placed if p is None]
        return found

    def check_references(self, tree):
        if tree[0] == 'lineage':
            if isinstance(tree[3], str):
                self.others(tree[3])
            elif tree[3] is not None:
                self.check_references(tree[3])
        elif tree[0] != 'is':
            for t in tree[1:]:
                self.check_references(t)


def stable_reverse(placed):
    """Descending, what is equal in its order."""
    groups = []
    for item in placed:
        if groups and groups[-1][0][0] == item[0]:
            groups[-1].append(item)
        else:
            groups.append([item])
    return [item for group in reversed(groups) for item in group]


# --- at random -------------------------------------------------------------------------------

class Maker:
    def __init__(self, generator):
        self.g = generator
        self.rng = generator.rng

    def key(self, metrics):
        group = self.rng.choice(['attribute', 'attribute', 'tags', 'tags', 'params', 'props'] +
                                ['last', 'last', self.rng.choice(METRICS)] * metrics)
        if group == 'attribute':
            return group, self.rng.choice(('name', 'id', 'owner', 'status', 'alias', 'stage', 'state', 'description',
                                           'number', 'size', 'alias', 'stage', 'digests', 'uris',
                                           'external_ids', 'content', 'kind'))
        return group, self.rng.choice(('loss', 'auc', 'n') if group in METRICS else KEYS[group])

    def comparison(self, metrics):
        group, key = self.key(metrics)
        number = group in METRICS or key in ('id', 'number', 'size')
        text = group == 'attribute' and not number
        operator = self.rng.choice(OPERATORS + ('=', '=', '=', '=', 'IN', '>=', '<=', 'BETWEEN'))
        if number and 'LIKE' in operator:
            operator = '>'
        n = 2 if operator.endswith('BETWEEN') else self.rng.randint(1, 3) \
            if operator.endswith('IN') else 0 if 'NULL' in operator else 1
        made = [self.literal(number, text or 'LIKE' in operator, 'LIKE' in operator) for _ in range(n)]
        if n > 0 and 'LIKE' not in operator and self.rng.random() < 0.5:
            made[0] = self.there(group, key, made[0])
        if any(isinstance(v, bool) for v in made) and operator not in ('=', '!=', 'IN', 'NOT IN'):
            operator = '='
            made = made[:1]
        return ['is', group, key, operator, made]

    def there(self, group, key, otherwise):
        """A value that something has."""
        state = self.g.world.state
        if group in METRICS:
            found = [p.shown[2] for (_, k, _), points in state.series.items() if k == key
                     for p in points[-1:] if math.isfinite(p.shown[2])]
        elif group == 'params':
            found = [text for (_, k), text in state.params.items() if k == key]
            found += [float(text) for text in found if parsed(text) is not None]
        elif key == 'alias':
            found = sorted(a for _, a in state.aliases)
        elif group == 'tags':
            found = [t['fields']['tags'][key] for t in state.things.values()
                     if key in t['fields'].get('tags', {})]
        else:
            return otherwise
        return self.rng.choice(found) if found else otherwise

    def literal(self, number, text, pattern):
        if pattern:
            return self.rng.choice(('%', 'x%', '_', '%o%', 'A%', 'long%', 'u:_', 'zz', '1%', '-%', '.5'))
        if not number and (text or self.rng.random() < 0.5):
            return self.rng.choice(('a', 'b', 'c', 'x', 'y', 'long ' * 60, 'live', 'running', '1',
                                    'latest', 'champion', 'staging', 's:1', 'u:2', 'none', 'run'))
        if not number and self.rng.random() < 0.1:
            return self.rng.random() < 0.5
        return self.rng.choice(NUMBERS + (self.rng.randint(1, 40),))

    def tree(self, depth, metrics):
        what = self.rng.random()
        if depth > 0 and what < 0.45:
            return [self.rng.choice(('and', 'and', 'or'))] + \
                [self.tree(depth - 1, metrics) for _ in range(self.rng.randint(2, 3))]
        if depth > 0 and what < 0.55:
            return ['not', self.tree(depth - 1, metrics)]
        if what < 0.7:
            relation = self.rng.choice(list(RELATIONS))
            label = self.rng.choice(('consumed', 'derived_from', 'contains', 'nobody')) \
                if RELATIONS[relation] else None
            ref = self.g.ref(('artifact', 'run', 'version', 'model'), own=False)
            other = self.rng.choice((None, ref if self.g.well_formed(ref) else None,
                                     self.comparison(metrics)))
            return ['lineage', relation, label, other]
        return self.comparison(metrics)

    def order(self, metrics):
        return [[*self.key(metrics), self.rng.random() < 0.5]
                for _ in range(self.rng.choice((0, 0, 1, 1, 1, 2)))]
