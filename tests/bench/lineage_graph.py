"""A lineage graph whose closures are known: the same seed gives the same bytes.

It is made of blocks. In each block everything depends, over some steps, on its source, and its sink on
everything: a tree from the source, a tree to the sink, and links at random between them, about five
edges a thing. Each block has some versions that were made from its sink, a few of them in use. So of
each source CLOSURE things are downstream, and BLOCK upstream of each version.
"""

import json
import random

BLOCK = 9_980     # things of a block, its versions aside
VERSIONS = 20     # of a block, of one model
IN_USE = 5        # of them: three have an alias, two are deployed
CLOSURE = BLOCK - 1 + VERSIONS
BRANCHES = 4      # of the trees
LABELS = ('derived_from', 'trained_on', 'consumed', 'produced_by')


def source(block):
    return f'artifact/b{block}-0'


def sink(block):
    return f'artifact/b{block}-{BLOCK - 1}'


def version(block, number):
    return f'version/m{block}/{number}'


def write(nodes_path, edges_path, models_path, blocks, permuted, seed=1):
    """Things in the order of lineage, or in no order, which is what their ids are in then."""
    rng = random.Random(seed)
    order = [(b, i) for b in range(blocks) for i in range(BLOCK)]
    if permuted:
        rng.shuffle(order)
    with open(nodes_path, 'w', encoding='utf-8') as f:
        for b, i in order:
            f.write(f'b{b}-{i}\t{kind(i)}\tpublisher-{i % 97}\n')
    with open(edges_path, 'w', encoding='utf-8') as f:
        for b in range(blocks):
            for i, to in sorted(block_edges(rng)):
                label = LABELS[(i * 31 + to) % len(LABELS)]
                f.write(f'{name(b, i)}\t{label}\t{name(b, to)}\n')
    with open(models_path, 'w', encoding='utf-8') as f:
        for b in range(blocks):
            f.write(json.dumps({'ops': list(model(b))}) + '\n')


def kind(i):
    return 'run' if i % 5 == 2 and i != BLOCK - 1 else 'artifact'


def name(block, i):
    return f'{kind(i)}/b{block}-{i}'


def block_edges(rng):
    last = BLOCK - 1
    edges = {(i, (i - 1) // BRANCHES) for i in range(1, BLOCK)}
    edges |= {(last - (last - i - 1) // BRANCHES, i) for i in range(last)}
    while len(edges) < 5 * BLOCK:
        i = rng.randrange(1, BLOCK)
        edges.add((i, i - 1 - rng.randrange(min(i, 2000))))
    return edges


def model(block):
    yield {'op': 'create', 'kind': 'model', 'name': f'm{block}'}
    for n in range(1, VERSIONS + 1):
        yield {'op': 'create', 'kind': 'version', 'model': f'model/m{block}', 'as': f'v{n}',
               'digests': [f'sha256:{block * VERSIONS + n:064x}']}
        yield {'op': 'link', 'from': f'$v{n}', 'label': 'trained_on', 'to': sink(block)}
    for n in range(1, 4):
        yield {'op': 'set_alias', 'ref': f'$v{n}', 'alias': f'a{n}'}
    for n in range(4, IN_USE + 1):
        yield {'op': 'create', 'kind': 'deployment', 'name': f'prod/b{block}-{n}', 'as': f'd{n}'}
        yield {'op': 'set_targets', 'ref': f'$d{n}',
               'targets': [{'version': f'$v{n}', 'share': 10000, 'mode': 'serving'}]}
