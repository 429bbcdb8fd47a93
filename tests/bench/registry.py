"""A generated registry as NDJSON: the same numbers give the same bytes.

Groups of 20 things: 12 artifacts with a digest and a uri, 3 runs, a model, 4 of its versions, the last
of them its champion. Names are in no order, as they are when many teams write. Then edges: a version
was trained on an artifact, a run consumed one, an artifact was derived from an older one.
"""

import hashlib
import json
import random

GROUP = 20
ARTIFACTS = 12
RUNS = 3
VERSIONS = 4
LINKS_PER_LINE = 100


def mixed(n):
    return f'{n * 0x9e3779b97f4a7c15 % (1 << 64):016x}'


def artifact(n):
    return f'artifact/a-{mixed(n)}'


def run(n):
    return f'run/r-{mixed(n)}'


def model(group):
    return f'model/m-{mixed(group)}'


def champion(group):
    return f'version/m-{mixed(group)}@champion'


def digest(n):
    return 'digest:sha256:' + hashlib.sha256(b'%d' % n).hexdigest()


def named(ref, **fields):
    kind, name = ref.split('/', 1)
    return {'op': 'create', 'kind': kind, 'name': name, **fields}


def group_of(g):
    """The operations that make a group."""
    ops = [named(artifact(n), digests=[digest(n)[len('digest:'):]], uris=[f's3://data/{mixed(n)}'],
                 tags={'team': f't{n % 50}'}, size=n)
           for n in range(g * ARTIFACTS, (g + 1) * ARTIFACTS)]
    ops += [named(run(n), status='finished', start=1767225600000000 + n)
            for n in range(g * RUNS, (g + 1) * RUNS)]
    ops.append(named(model(g), description='a model of the bench'))
    ops += [{'op': 'create', 'kind': 'version', 'model': f'${len(ops) - 1}', 'number': i + 1,
             'digests': [f'md5:{mixed(g * VERSIONS + i)}'], 'as': f'v{i}'} for i in range(VERSIONS)]
    ops.append({'op': 'set_alias', 'ref': f'$v{VERSIONS - 1}', 'alias': 'champion'})
    return ops


def write_things(path, things):
    with open(path, 'w', encoding='utf-8') as f:
        for g in range(things // GROUP):
            f.write(json.dumps({'ops': group_of(g)}, separators=(',', ':')) + '\n')


def link(rng, groups, i):
    g = rng.randrange(1, groups)
    older = artifact(rng.randrange(g * ARTIFACTS))
    n = i % 3
    a, label = ((f'version/m-{mixed(g)}/{1 + rng.randrange(VERSIONS)}', 'trained_on'),
                (run(g * RUNS + rng.randrange(RUNS)), 'consumed'),
                (artifact(g * ARTIFACTS + rng.randrange(ARTIFACTS)), 'derived_from'))[n]
    return {'op': 'link', 'from': a, 'label': label, 'to': older}


def write_edges(path, things, edges, seed=1):
    rng = random.Random(seed)
    with open(path, 'w', encoding='utf-8') as f:
        for i in range(0, edges, LINKS_PER_LINE):
            ops = [link(rng, things // GROUP, i + j) for j in range(min(LINKS_PER_LINE, edges - i))]
            f.write(json.dumps({'ops': ops}, separators=(',', ':')) + '\n')


def some(kind, things, count, seed=2):
    """References to some of the things, at random."""
    rng = random.Random(seed)
    groups = things // GROUP
    make = {'name': lambda: artifact(rng.randrange(groups * ARTIFACTS)),
            'digest': lambda: digest(rng.randrange(groups * ARTIFACTS)),
            'alias': lambda: champion(rng.randrange(groups)),
            'model': lambda: model(rng.randrange(groups))}[kind]
    return [make() for _ in range(count)]
