"""What comes of a data set, and what something was made of, by command and by wire: on tfhub's
catalogue, and on a graph of ten thousand things that is drawn."""

import collections
import csv
import json
import re
import shutil
import subprocess

from cluster import TFHUB, Case, Cluster, needs_tfhub, until

IMAGENET = 'artifact/dataset:imagenet-ilsvrc-2012-cls'
LABELS = ('trained_on', 'derived_from')
NODE = re.compile(r'  (n\d+) \[label="((?:[^"\\]|\\.)*)"(?:, \w+=(?:\w+|"[^"]*"))*\];')
EDGE = re.compile(r'  (n\d+) -> (n\d+) \[label="((?:[^"\\]|\\.)*)"\];')


def parsed(dot):
    """(nodes by id, edges as triples of texts) of what --dot wrote; each line is of a known form."""
    lines = dot.splitlines()
    assert lines[0].startswith('digraph "') and lines[0].endswith('" {'), lines[0]
    assert lines[1:4] == ['  rankdir=LR;', '  node [shape=box, fontname="sans-serif"];',
                          '  edge [fontname="sans-serif", fontsize=10];'], lines[:4]
    assert lines[-1] == '}', lines[-1]
    nodes, edges = {}, []
    for line in lines[4:-1]:
        node, edge = NODE.fullmatch(line), EDGE.fullmatch(line)
        assert node or edge, line
        if node:
            assert node[1] not in nodes, line
            nodes[node[1]] = node[2]
        else:
            edges.append((nodes[edge[1]], edge[3], nodes[edge[2]]))
    if shutil.which('nop'):  # Graphviz' own parser takes it, too
        subprocess.run(['nop', '-p'], input=dot, text=True, check=True, timeout=120,
                       stdout=subprocess.DEVNULL)
    return nodes, edges


def tree_refs(text):
    """The references of a tree, top down, each with how deep it is indented."""
    found = []
    for line in text.splitlines():
        bare = line.lstrip('│├└─ ')
        found.append(((len(line) - len(bare)) // 3, bare.split(' ')[-1]))
    return found


@needs_tfhub
class Withdrawn(Case):
    """ImageNet is withdrawn. What serves customers?"""

    cost_s = 30

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.cli('import', '--nodes', TFHUB / 'nodes.tsv', '--edges', TFHUB / 'edges.tsv',
                        timeout=120)
        cls.graph = collections.defaultdict(list)  # against the arrows
        with open(TFHUB / 'edges.tsv', encoding='utf-8') as f:
            for from_, label, to in csv.reader(f, delimiter='\t', quoting=csv.QUOTE_NONE):
                cls.graph['artifact/' + to].append((label, 'artifact/' + from_))
        cls.far = max(cls.walk(), key=lambda ref: (cls.walk()[ref], ref))

    @classmethod
    def walk(cls):
        depths, level = {IMAGENET: 0}, [IMAGENET]
        while level:
            following = []
            for here in level:
                for label, there in cls.graph[here]:
                    if label in LABELS and there not in depths:
                        depths[there] = depths[here] + 1
                        following.append(there)
            level = following
        return depths

    def cli(self, *words, **keys):
        return self.run_cli(self.cluster, *words, **keys)

    def data(self, *words, **keys):
        return json.loads(self.cli('-w', 'json', *words, **keys).stdout)['data']

    def test_a_drawing_of_877_things_has_all_of_them_and_the_edges_between(self):
        nodes, edges = parsed(self.cli('lineage', 'down', IMAGENET, '--labels', ','.join(LABELS),
                                       '--dot').stdout)
        want = self.walk()
        self.assertEqual(len(want), 1 + 877)
        self.assertEqual(set(nodes.values()), set(want))
        self.assertEqual(sorted(edges), sorted({
            (from_, label, to) for to in want for label, from_ in self.graph[to]
            if from_ in want and label in LABELS}))

    def test_a_tree_has_each_of_them_once_at_its_depth(self):
        shown = tree_refs(self.cli('lineage', 'down', IMAGENET, '--labels', ','.join(LABELS),
                                   '--tree').stdout)
        self.assertEqual({ref: depth for depth, ref in shown}, self.walk())
        self.assertEqual(len(shown), 878)

    def test_what_serves_customers_is_found_with_its_path_until_it_is_taken_back(self):
        before = self.data('describe') and self.run_json(self.cluster, 'describe')['revision']
        self.assertEqual(self.data('impact', IMAGENET), [])
        self.cli('model', 'create', 'eyes')
        self.cli('version', 'create', 'eyes', 'eyes', 'eyes')
        for number in (1, 2):
            self.cli('link', f'version/eyes/{number}', 'derived_from', self.far)
        self.cli('link', 'version/eyes/3', 'evaluated_on', IMAGENET)
        self.cli('alias', 'set', 'eyes', 'champion', '1')
        self.cli('version', 'stage', 'eyes/3', 'production')
        self.cli('deployment', 'create', 'prod/eu')
        self.cli('deployment', 'set', 'prod/eu', 'version/eyes/1=9000', 'version/eyes/2=1000')
        found = {t['ref']: t for t in self.data('impact', IMAGENET)}
        self.assertEqual(set(found), {'version/eyes/1', 'version/eyes/2'})
        one = found['version/eyes/1']
        self.assertEqual(one['uses'], [
            {'alias': 'champion'},
            {'deployment': 'deployment/prod/eu', 'share': 9000, 'mode': 'serving'}])
        refs = [step['ref'] for step in one['path']]
        self.assertEqual((refs[0], refs[-2], refs[-1]), (IMAGENET, self.far, 'version/eyes/1'))
        self.assertEqual(one['depth'], len(refs) - 1)
        for before_, step in zip(one['path'], one['path'][1:]):
            for label in step['labels']:
                self.assertIn(step['ref'], [f for lab, f in self.graph[before_['ref']] if lab == label]
                              if step['kind'] == 'artifact' else [step['ref']])
        self.assertEqual(self.cli('impact', IMAGENET, '--count').stdout.strip(), '2')
        told = self.cli('impact', IMAGENET).stdout
        self.assertRegex(told, r'version/eyes/1 +@champion, deployment/prod/eu 90% ')
        tree = self.cli('impact', IMAGENET, '--tree').stdout
        self.assertIn('version/eyes/2  deployment/prod/eu 10%', tree)
        parsed(self.cli('impact', IMAGENET, '--dot').stdout)
        # With evaluations named, what was only evaluated on it is found, too.
        self.assertIn('version/eyes/3', [t['ref'] for t in self.data(
            'impact', IMAGENET, '--labels', 'trained_on,derived_from,evaluated_on')])
        self.assertEqual(self.data('impact', IMAGENET, '--as-of', str(before)), [])
        self.cli('deployment', 'clear', 'prod/eu')
        self.cli('alias', 'unset', 'eyes', 'champion')
        self.assertEqual(self.data('impact', IMAGENET), [])

    def test_provenance_paths_and_diff_of_what_was_made_of_it(self):
        self.cli('model', 'create', 'ears')
        self.cli('run', 'create', 'night')
        self.cli('artifact', 'create', 'code', '--uri', 'git+https://example.org/x@1')
        self.cli('version', 'create', 'ears', '--run', 'run/night', '--digest', f'sha256:{1:064}')
        self.cli('version', 'create', 'ears', '--digest', f'sha256:{2:064}')
        self.cli('link', 'run/night', 'consumed', 'artifact/code')
        self.cli('link', 'version/ears/1', 'derived_from', self.far)
        self.cli('log', 'version/ears/1', '--param', 'lr=1', '--metric', 'acc=0.5', '--step', '3')
        self.cli('log', 'version/ears/2', '--param', 'lr=2')
        bill = {t['ref']: t for t in self.data('provenance', 'version/ears/1')}
        self.assertEqual({bill[ref]['role'] for ref in ('artifact/code',)}, {'code'})
        self.assertEqual(bill['run/night']['role'], 'run')
        self.assertEqual(bill[IMAGENET]['role'], 'data')
        self.assertEqual(bill['artifact/code']['uris'], ['git+https://example.org/x@1'])
        depth = self.walk()[self.far]
        path = self.data('paths', 'version/ears/1', IMAGENET)[0]
        self.assertEqual((path['direction'], path['length']), ('up', depth + 1))
        back = self.data('paths', IMAGENET, 'version/ears/1', '--limit', '5')
        self.assertEqual({p['direction'] for p in back}, {'down'})
        self.assertEqual([s['ref'] for s in back[0]['steps']],
                         [s['ref'] for s in reversed(path['steps'])])
        failed = self.cli('paths', 'version/ears/2', IMAGENET, expect=3)
        self.assertIn('there is no path', failed.stderr)
        self.cli('paths', IMAGENET, 'version/ears/1', '--direction', 'up', expect=3)
        differs = self.data('diff', 'version/ears/1', 'version/ears/2')
        self.assertEqual(differs['params'], {'lr': {'from': '1', 'to': '2'}})
        self.assertEqual(differs['metrics'][0]['from']['last'][2], 0.5)
        self.assertEqual({t['ref'] for t in differs['provenance']['from']}, set(bill))
        self.assertEqual(differs['provenance']['to'], [])
        told = self.cli('diff', 'version/ears/1', 'version/ears/2').stdout
        self.assertRegex(told, r'params.lr +1 +2')
        self.assertIn(f'- {IMAGENET}', told)
        since = self.run_json(self.cluster, 'describe')['revision']
        self.cli('version', 'stage', 'ears/2', 'staging')
        self.assertEqual(self.data('diff', 'version/ears/2', '--from-as-of', str(since))['fields'],
                         {'stage': {'to': 'staging'}})
        self.cli('diff', 'version/ears/2', expect=2)

    def test_wrong_flags_are_usage_errors(self):
        for words in (('lineage', 'down', IMAGENET, '--tree', '--dot'),
                      ('lineage', 'down', IMAGENET, '--tree', '--count'),
                      ('lineage', 'down', IMAGENET, '--tree', '--kinds', 'run'),
                      ('-w', 'json', 'impact', IMAGENET, '--dot'),
                      ('paths', IMAGENET), ('paths', IMAGENET, IMAGENET, '--direction', 'left'),
                      ('paths', IMAGENET, IMAGENET, '--limit', '0'),
                      ('diff', IMAGENET, IMAGENET, '--from-as-of', 'soon'),
                      ('impact', IMAGENET, '--depth', '0')):
            with self.subTest(words):
                self.cli(*words, expect=2)


class Large(Case):
    cost_s = 20
    THINGS = 10_000

    def test_a_closure_of_ten_thousand_is_drawn_whole_on_nodes_with_an_index_and_without(self):
        with Cluster(2, start=False) as cluster:
            cluster[2].write_config(lineage_bytes=0)
            cluster.start()
            with cluster.leader().client() as client:
                self.fill(client)
            dots = []
            for node in cluster.nodes:
                with node.client() as client:
                    state = 'off' if node.number == 2 else 'ready'
                    until(lambda c=client, s=state: c.status()['lineage_index']['state'] == s,
                          f'node {node.number}: the index is {state}')
                dots.append(self.run_cli(cluster, 'lineage', 'down', 'artifact/root', '--dot',
                                         node=node).stdout)
            self.assertEqual(dots[0], dots[1])
            nodes, edges = parsed(dots[0])
            self.assertEqual(len(nodes), 1 + self.THINGS)
            self.assertEqual(len(edges), self.THINGS)
            count = self.run_cli(cluster, 'lineage', 'down', 'artifact/root', '--count').stdout
            self.assertEqual(count.strip().replace(',', ''), str(self.THINGS))
            part = self.run_cli(cluster, 'lineage', 'down', 'artifact/root', '--dot', '--limit', '9')
            self.assertEqual(len(parsed(part.stdout)[0]), 10)
            self.assertIn('not all of it is shown', part.stderr)

    def fill(self, client):
        """A tree: thing i was made from thing (i - 1) // 5."""
        client.txn([{'op': 'create', 'kind': 'artifact', 'name': 'root'}])
        size = 1000
        for begin in range(0, self.THINGS, size):
            ops = [{'op': 'create', 'kind': 'artifact', 'name': f't"{i}\\', 'as': f't{i}'}
                   for i in range(begin, begin + size)]
            for i in range(begin, begin + size):
                above = (i - 1) // 5
                to = 'artifact/root' if i == 0 else \
                    f'$t{above}' if above >= begin else f'artifact/t"{above}\\'
                ops.append({'op': 'link', 'from': f'$t{i}', 'label': 'made_of', 'to': to})
            client.txn(ops)

