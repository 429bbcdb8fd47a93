"""A generated lineage graph: the same seed gives the same bytes.

Things depend on earlier ones, as in a catalogue that grew: five edges each on average. One part
of it is on its own: exactly CLOSURE things depend, over one or more steps, on the thing ROOT.
"""

import random

THINGS = 200_000
EDGES = 1_000_000
CLOSURE = 10_000
ROOT = 'm/0'
LABELS = ('derived_from', 'derived_from', 'fine_tuned_from', 'trained_on', 'evaluated_on')
KINDS = ('Model', 'Model', 'Model', 'Dataset', 'Checkpoint')


def write(nodes_path, edges_path, seed=1, things=THINGS, edges=EDGES, closure=CLOSURE):
    rng = random.Random(seed)
    order = list(range(things))
    # Ids are given in the order of import, which is not the order of lineage.
    rng.shuffle(order)
    with open(nodes_path, 'w', encoding='utf-8') as f:
        for i in order:
            f.write(f'm/{i}\t{KINDS[i % len(KINDS)]}\tpublisher-{i % 997}\n')
    # The early things of each part have too few before them for a full share: spread the rest.
    rest = edges - (things - 2)
    out = {}
    for i in range(1, things):
        if i <= closure:
            out[i] = {_before(rng, 0, i)}
        elif i > closure + 1:
            out[i] = {_before(rng, closure + 1, i)}
    assert sum(map(len, out.values())) == edges - rest
    while rest:
        i = rng.randrange(1, things)
        low = 0 if i <= closure else closure + 1
        if i == low:
            continue
        to = _before(rng, low, i)
        if to not in out[i]:
            out[i].add(to)
            rest -= 1
    with open(edges_path, 'w', encoding='utf-8') as f:
        for i in sorted(out):
            for to in sorted(out[i]):
                f.write(f'm/{i}\t{LABELS[(i * 31 + to) % len(LABELS)]}\tm/{to}\n')


def _before(rng, low, i):
    """An earlier thing of the same part: half the time a recent one."""
    span = i - low
    if rng.random() < 0.5:
        return i - 1 - rng.randrange(min(span, 2000))
    return low + rng.randrange(span)
