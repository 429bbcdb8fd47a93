"""What must be true of the stores when all is quiet again."""

import wire
from cluster import until

PART = 1000
SAMPLE = 4000


def verify(world, rng):
    """Compares what was acknowledged with what each node holds; claims that do not hold go to
    `world`. The nodes run and nobody writes."""
    cluster = world.cluster
    digest = cluster.digests(60)
    whole = rng.choice(cluster.nodes)
    for node in cluster.nodes:
        with node.client(timeout=60) as client:
            artifacts(world, client, None if node is whole else rng)
            versions(world, client)
            counter(world, client)
    stamps(world)
    cluster.digests(60)
    return digest


def artifacts(world, client, rng):
    """Each acknowledged create is there as it was answered, and nothing else is. With `rng`, which
    is for all but one node since the digests are equal, a sample of them."""
    names = sorted(world.artifacts)
    if rng is not None and len(names) > SAMPLE:
        names = rng.sample(names, SAMPLE)
    for begin in range(0, len(names), PART):
        part = names[begin:begin + PART]
        things = client.get(*(f'artifact/{n}' for n in part), view='full')['data']
        for name, thing in zip(part, things):
            want = world.artifacts[name]
            got = (thing['id'], thing['created']['revision']) if 'id' in thing else thing
            world.expect(got == want, f'{name}: acknowledged (id, revision) {want}; node '
                                      f'{client.hello["node"]} has {got}')
    n = client.call('describe', {'deadline_ms': 20000})['data']['namespace']['artifact']
    least = len(world.artifacts) + 1  # the counter
    most = least + len(world.maybe)
    world.expect(least <= n <= most, f'node {client.hello["node"]} has {n} artifacts; {least} were '
                                     f'acknowledged and {most - least} perhaps made')


def versions(world, client):
    """Numbers without a gap, none twice, each that was acknowledged with its id."""
    found = []
    cursor = {}
    while True:
        answer = client.call('list', {'kind': 'version', 'under': 'model/m', 'limit': 5000,
                                      'deadline_ms': 20000, **cursor})
        found += answer['data']
        if answer['complete']:
            break
        cursor = {'cursor': answer['cursor']}
    numbers = [int(t['ref'].rsplit('/', 1)[1]) for t in found]
    node = client.hello['node']
    world.expect(numbers == list(range(1, len(numbers) + 1)),
                 f'node {node}: the {len(numbers)} versions are not numbered without gap')
    extra = len(numbers) - len(world.versions)
    world.expect(0 <= extra <= world.versions_maybe,
                 f'node {node}: {len(numbers)} versions, {len(world.versions)} were acknowledged '
                 f'and {world.versions_maybe} perhaps made')
    ids = {n: t['id'] for n, t in zip(numbers, found)}
    for number, (id_, _) in world.versions.items():
        world.expect(ids.get(number) == id_, f'node {node}: version {number} is {ids.get(number)}, '
                                             f'acknowledged as {id_}')


def counter(world, client):
    thing = client.get('artifact/counter', view='full')['data'][0]
    value = int(thing['tags']['n'])
    added = sorted(world.increments)
    if world.increments_maybe == 0:
        world.expect(added == list(range(1, value + 1)),
                     f'node {client.hello["node"]}: the counter is {value} after {len(added)} '
                     'acknowledged additions, or one of them is missing or double')
    else:
        world.expect(len(set(added)) == len(added)
                     and len(added) <= value <= len(added) + world.increments_maybe,
                     f'node {client.hello["node"]}: the counter is {value} after {len(added)} '
                     f'acknowledged additions and {world.increments_maybe} perhaps made')


def stamps(world):
    """One write, one revision; store times rise with revisions."""
    pairs = sorted(world.stamps)
    for before, after in zip(pairs, pairs[1:]):
        world.expect(before[0] < after[0], f'two writes were answered with revision {before[0]}')
        world.expect(before[1] < after[1], f'revision {after[0]} has time {after[1]}, revision '
                                           f'{before[0]} has {before[1]}')


def check_folders(world):
    """Ends the nodes in order and has each scan its folder; the sums must be equal."""
    cluster = world.cluster
    codes = cluster.terminate_all()
    world.expect(not any(codes), f'the exit codes are {codes}')
    for node in cluster.nodes:
        done = node.claded('check', timeout=600)
        world.expect(done.returncode == 0, f'claded check of node {node.number}: exit '
                                           f'{done.returncode}\n{done.stdout}{done.stderr}')
