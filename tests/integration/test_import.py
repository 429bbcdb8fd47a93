"""Import and export: real catalogues, killed leaders, files with mistakes in them."""

import json
import re
import subprocess
import sys
import time
import unittest

from cluster import SAMPLE, TFHUB, Case, Cluster, needs_tfhub, until

IMAGENET = 'artifact/dataset:imagenet-ilsvrc-2012-cls'
DOWN = ('lineage', 'down', IMAGENET, '--labels', 'trained_on,derived_from', '--count')
TFHUB_FILES = ('--nodes', TFHUB / 'nodes.tsv', '--edges', TFHUB / 'edges.tsv')


def counted(done):
    """The counts that an import ends with."""
    return json.loads(done.stdout.strip().splitlines()[-1])


def lines_of(path):
    with open(path, encoding='utf-8') as f:
        return sum(1 for _ in f)


@unittest.skipUnless((SAMPLE / 'answers.py').is_file(), f'without {SAMPLE}/answers.py')
class Sample(Case):
    cost_s = 10

    def test_the_sample_is_imported_and_gives_its_known_answers(self):
        known = subprocess.run([sys.executable, str(SAMPLE / 'answers.py'), '--json'],
                               capture_output=True, text=True, timeout=60, check=True)
        with Cluster() as c:
            path = SAMPLE / 'models.ndjson'
            first = counted(self.run_cli(c, '-w', 'json', 'import', path))
            self.assertEqual(first['refused'], 0)
            again = counted(self.run_cli(c, '-w', 'json', 'import', path))
            self.assertEqual((again['unchanged'], again['refused']), (again['read'], 0))
            for row in json.loads(known.stdout):
                with self.subTest(row):
                    self.check_answer(c, row)

    def check_answer(self, cluster, row):
        node = self.rng.choice(cluster.nodes)
        if row['question'] == 'lineage':
            words = ['lineage', row['direction'], row['ref'], '--count']
            words += ['--labels', ','.join(row['labels'])] if row['labels'] else []
            words += ['--depth', row['depth']] if row['depth'] else []
            self.assertEqual(count_in(self.run_json(cluster, *words, node=node)), row['count'])
        elif row['question'] == 'newest':
            name = row['ref'].removeprefix('model/')
            got = self.run_json(cluster, 'get', f'version/{name}@latest', node=node)
            self.assertEqual(got['data'][0]['ref'], f"version/{name}/{row['number']}")
        elif row['kind'] in ('artifact', 'model'):
            got = self.run_json(cluster, row['kind'], 'list', node=node)
            self.assertEqual(len(got['data']), row['count'])


@needs_tfhub
class TfHub(Case):
    cost_s = 30

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.done = cls.cluster.cli('-w', 'json', 'import', *TFHUB_FILES, timeout=120)

    def test_the_catalogue_is_imported_whole(self):
        self.assertEqual(self.done.returncode, 0, self.done.stderr)
        counts = counted(self.done)
        self.assertEqual(counts['read'], lines_of(TFHUB / 'nodes.tsv') +
                         lines_of(TFHUB / 'edges.tsv'))
        self.assertEqual(counts['refused'], 0)
        self.assertEqual(counts['created'] + counts['changed'] + counts['unchanged'],
                         counts['read'])

    def test_877_things_depend_on_imagenet_on_each_node_at_each_level(self):
        for node in self.cluster.nodes:
            for level in ('linearizable', 'at-least', 'stale=10000', 'local'):
                for words, want in ((DOWN, 877), ((*DOWN, '--depth', 1), 640)):
                    with self.subTest(f'node {node.number} {level} {want}'):
                        if level == 'local':
                            until(lambda n=node: self.count(n, 'local', DOWN) == 877,
                                  'the node has caught up')
                        self.assertEqual(self.count(node, level, words), want)
            self.assertEqual(
                self.run_cli(self.cluster, *DOWN, node=node).stdout.strip().replace(',', ''), '877')

    def count(self, node, level, words):
        answer = self.run_json(self.cluster, '--consistency', level, *words, node=node)
        return count_in(answer)

    def test_the_walk_lists_what_it_counts_by_depth_across_pages(self):
        with self.cluster[1].client() as client:
            params = {'ref': IMAGENET, 'direction': 'down', 'limit': 100, 'view': 'ids',
                      'labels': ['trained_on', 'derived_from']}
            seen = []
            while True:
                answer = client.call('lineage', params)
                seen += [thing if isinstance(thing, int) else thing['id']
                         for thing in answer['data']]
                if answer['complete']:
                    break
                params['cursor'] = answer['cursor']
            self.assertEqual(len(seen), 877)
            self.assertEqual(len(set(seen)), 877, 'each thing once')
        listed = self.run_json(self.cluster, *DOWN[:-1])
        things = listed['data'] if isinstance(listed, dict) else listed
        self.assertEqual(len(things), 877)
        order = [(t['depth'], t['id']) for t in things]
        self.assertEqual(order, sorted(order))
        self.assertEqual(max(d for d, _ in order), 2)
        self.assertEqual(sum(1 for d, _ in order if d == 1), 640)

    def test_a_second_import_changes_nothing_and_says_so(self):
        with self.cluster[2].client() as client:
            before = client.call('describe')
            done = self.run_cli(self.cluster, '-w', 'json', 'import', *TFHUB_FILES, timeout=120)
            counts = counted(done)
            self.assertEqual((counts['created'], counts['changed'], counts['refused']),
                             (0, 0, 0))
            self.assertEqual(counts['unchanged'], counts['read'])
            after = client.call('describe')
            self.assertEqual(after['revision'], before['revision'])
            self.assertEqual(after['data']['namespace'], before['data']['namespace'])
        done = self.run_cli(self.cluster, 'import', *TFHUB_FILES, timeout=120)
        self.assertRegex(done.stdout + done.stderr, r'(?i)unchanged|nothing')

    def test_what_is_exported_and_imported_is_exported_the_same(self):
        first = self.run_cli(self.cluster, 'export').stdout
        self.assertGreater(first.count('\n'), 1000)
        path = self.cluster.folder / 'export.ndjson'
        path.write_text(first)
        with Cluster() as empty:
            self.run_cli(empty, 'import', path, timeout=120)
            self.assertTrue(self.run_cli(empty, 'export').stdout == first, 'the bytes differ')
            self.assertEqual(count_in(self.run_json(empty, *DOWN)), 877)


@needs_tfhub
class TfHubUnderKills(Case):
    cost_s = 60

    def test_a_paced_import_outlives_three_killed_leaders(self):
        lines = lines_of(TFHUB / 'nodes.tsv') + lines_of(TFHUB / 'edges.tsv')
        with Cluster() as c:
            begin = time.monotonic()
            process = c.cli_start('-w', 'json', 'import', *TFHUB_FILES, '--rate', lines // 20)
            try:
                for i in range(3):
                    # At about 3, 8 and 13 s of 20.
                    until(lambda s=3 + 5 * i: time.monotonic() - begin > s, 'some lines are in')
                    leader = c.leader()
                    self.assertIsNone(process.poll(), 'the import ended before the kill')
                    leader.kill()
                    until(lambda dead=leader: c.leader() is not dead, 'another leads')
                    leader.start()
                out, err = process.communicate(timeout=90)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.communicate()
            took = time.monotonic() - begin
            self.assertEqual(process.returncode, 0, err[-3000:])
            self.assertGreater(took, 15, 'the rate was not kept')
            counts = json.loads(out.strip().splitlines()[-1])
            self.assertEqual((counts['read'], counts['refused']), (lines, 0))
            c.ready()
            with Cluster() as calm:
                calm_counts = counted(self.run_cli(calm, '-w', 'json', 'import', *TFHUB_FILES))
                for key in ('read', 'created', 'changed', 'unchanged', 'refused'):
                    self.assertEqual(counts[key], calm_counts[key], key)
                with calm[1].client() as client:
                    want = client.call('describe')['data']['namespace']
                export = self.run_cli(calm, 'export').stdout
            for node in c.nodes:
                for words, count in ((DOWN, 877), ((*DOWN, '--depth', 1), 640)):
                    self.assertEqual(count_in(self.run_json(c, *words, node=node)), count)
                with node.client() as client:
                    self.assertEqual(client.call('describe')['data']['namespace'], want)
            # Each says when its things came to be; the rest of the bytes is the same.
            timeless = re.compile(r'"happened":"[^"]*",')
            self.assertTrue(timeless.sub('', self.run_cli(c, 'export').stdout) ==
                            timeless.sub('', export), 'nothing lost, nothing doubled')
            c.digests()


def count_in(answer):
    """{"count": n}, alone or as the data of an answer."""
    while 'count' not in answer:
        answer = answer['data']
    return answer['count']


class CyclesOfACatalogue(Case):
    """The two that a catalogue of models and data sets has (tests/data/cycles)."""

    cost_s = 15
    refused = ((5, 'artifact/sa-1b derived_from artifact/sam-vit-huge derived_from artifact/sa-1b'),
               (12, 'artifact/sam2 derived_from artifact/sa-v contains artifact/sa-v-auto '
                    'derived_from artifact/sam2'))

    def setUp(self):
        super().setUp()
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)

    def imported(self, words, lines):
        """Imports, and checks that those lines, and no others, are reported; the counts."""
        done = self.run_cli(self.cluster, '-w', 'json', 'import', *words, expect=1, timeout=120)
        told = re.findall(r'(\w+\.\w+):(\d+): (.*)', done.stderr)
        self.assertEqual([(name, int(n)) for name, n, _ in told], [(n, l) for n, l, _ in lines],
                         done.stderr)
        for (name, _, said), (_, _, cycle) in zip(told, lines):
            self.assertIn(f'the edge would close a cycle: {cycle} (CYCLE)', said)
            self.assertEqual(said.startswith('ops['), name.endswith('.ndjson'))
        return counted(done)

    def check_walks(self):
        """Edges that may form cycles are there, and each walk around them ends."""
        down = self.run_json(self.cluster, 'lineage', 'down', 'artifact/sa-1b')['data']
        self.assertEqual([t['ref'] for t in down], [f'artifact/{n}' for n in (
            'sam-vit-huge', 'sam2', 'sa-v-manual', 'sa-v-auto', 'sa-v')])
        up = self.run_json(self.cluster, 'lineage', 'up', 'artifact/sa-v', '--count')
        self.assertEqual(count_in(up), 6)

    def test_a_graph_is_taken_but_for_the_lines_that_close_them(self):
        words = ('--nodes', SAMPLE / 'cycles/nodes.tsv', '--edges', SAMPLE / 'cycles/edges.tsv')
        lines = [('edges.tsv', n, cycle) for n, cycle in self.refused]
        counts = self.imported(words, lines)
        self.assertEqual((counts['read'], counts['created'], counts['refused']), (20, 18, 2))
        self.check_walks()
        again = self.imported(words, lines)
        self.assertEqual((again['created'], again['unchanged'], again['refused']), (0, 18, 2))

    def test_lines_of_ndjson_are_refused_alone_whatever_else_is_in_flight(self):
        path = self.cluster.folder / 'catalogue.ndjson'
        ops = [{'op': 'create', 'kind': 'artifact', 'name': line.split('\t')[0]}
               for line in (SAMPLE / 'cycles/nodes.tsv').read_text().splitlines()]
        ops += [{'op': 'link', 'from': f'artifact/{f}', 'label': label, 'to': f'artifact/{t}'}
                for f, label, t in (line.split('\t') for line in
                                    (SAMPLE / 'cycles/edges.tsv').read_text().splitlines())]
        path.write_text(''.join(json.dumps(op) + '\n' for op in ops))
        lines = [('catalogue.ndjson', 7 + n, cycle) for n, cycle in self.refused]
        counts = self.imported((path,), lines)
        self.assertEqual((counts['read'], counts['created'], counts['refused']), (20, 18, 2))
        self.check_walks()

    @needs_tfhub
    def test_in_a_catalogue_of_thousands_they_alone_are_refused(self):
        edges = (TFHUB / 'edges.tsv').read_text().splitlines()
        more = (SAMPLE / 'cycles/edges.tsv').read_text().splitlines()
        # Among the others, far apart, so that each is found by halving a transaction.
        for i, line in enumerate(more):
            edges.insert(300 * (i + 1), line)
        at = {line: n for n, line in enumerate(edges, 1)}
        nodes = self.cluster.folder / 'all-nodes.tsv'
        nodes.write_text((TFHUB / 'nodes.tsv').read_text() +
                         (SAMPLE / 'cycles/nodes.tsv').read_text())
        path = self.cluster.folder / 'all_edges.tsv'
        path.write_text(''.join(line + '\n' for line in edges))
        counts = self.imported(('--nodes', nodes, '--edges', path), [
            ('all_edges.tsv', at[more[n - 1]], cycle) for n, cycle in self.refused])
        self.assertEqual((counts['read'], counts['refused']), (lines_of(nodes) + len(edges), 2))
        self.assertEqual(counts['created'], counts['read'] - 2)
        self.check_walks()
        self.assertEqual(count_in(self.run_json(self.cluster, *DOWN)), 877)


class BadLines(Case):
    cost_s = 15

    def setUp(self):
        super().setUp()
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)

    def write(self, name, lines):
        path = self.cluster.folder / name
        path.write_bytes(b''.join(l if isinstance(l, bytes) else l.encode() for l in lines))
        return path

    def exists(self, *names):
        with self.cluster[1].client() as client:
            things = client.get(*(f'artifact/{n}' for n in names))['data']
            return [n for n, t in zip(names, things) if 'error' not in t]

    def line(self, name):
        return json.dumps({'op': 'create', 'kind': 'artifact', 'name': name}) + '\n'

    def test_bad_lines_of_ndjson_are_reported_and_the_rest_is_taken(self):
        bad = {3: '{"op": "create", "kind": "artifact"\n', 4: 'not json at all\n',
               6: '{"op": "explode"}\n', 7: '{"op": "create", "kind": "unicorn", "name": "u"}\n',
               8: '{"op":"link","from":"artifact/none","label":"x","to":"artifact/a1"}\n',
               9: b'{"op":"create","kind":"artifact","name":"\xff\xfe"}\n',
               10: '[1, 2]\n', 11: '{"ops": []}\n', 13: '{"op":"create","op":"create"}\n',
               14: '[' * 5000 + '\n', 15: '{"op":"create","kind":"artifact","name":"' + 'x' * 3000
               + '"}\n'}
        good = [n for n in range(1, 21) if n not in bad and n != 12]
        lines = [bad.get(n, '\n' if n == 12 else self.line(f'a{n}')) for n in range(1, 21)]
        path = self.write('mistakes.ndjson', lines)
        done = self.run_cli(self.cluster, '-w', 'json', 'import', path, expect=1)
        counts = counted(done)
        self.assertEqual((counts['created'], counts['refused']), (len(good), len(bad)), done.stderr)
        for number in bad:
            self.assertRegex(done.stderr, rf'mistakes\.ndjson:{number}\b')
        for number in good:
            self.assertNotRegex(done.stderr, rf'mistakes\.ndjson:{number}\b')
        names = [f'a{n}' for n in good]
        self.assertEqual(self.exists(*names), names)

    def test_strict_stops_at_the_first_bad_line(self):
        lines = [self.line(f'b{n}') for n in range(1, 2001)]
        lines[999] = 'broken\n'
        path = self.write('strict.ndjson', lines)
        done = self.run_cli(self.cluster, 'import', '--strict', path, expect=1)
        self.assertRegex(done.stderr, r'strict\.ndjson:1000\b')
        self.assertEqual(self.exists('b1', 'b999', 'b2000'), ['b1', 'b999'])

    def test_bad_lines_of_graph_files_are_reported_and_the_rest_is_taken(self):
        nodes = self.write('nodes.tsv', [
            'n1\tThing\tacme\n', 'n2\tThing\n', '\tThing\tacme\n', b'n\xff\tThing\tacme\n',
            'n3\tThing\tacme\n', 'n4\tThing\tacme\textra\tfields\n', 'n5\tThing\t\n'])
        edges = self.write('edges.tsv', [
            'n1\tderived_from\tn3\n', 'n1\tderived_from\n', 'n3\tBAD LABEL\tn1\n',
            'none/x\tBAD\n', 'n5\ttrained_on\tn1\n', '\t\t\n', 'n5\ttrained_on\tstub\n'])
        done = self.run_cli(self.cluster, '-w', 'json', 'import', '--nodes', nodes, '--edges',
                            edges, expect=1)
        for place in ('nodes.tsv:3', 'nodes.tsv:4', 'edges.tsv:2', 'edges.tsv:3', 'edges.tsv:4',
                      'edges.tsv:6'):
            self.assertRegex(done.stderr, re.escape(place) + r'\b')
        self.assertEqual(self.exists('n1', 'n3', 'n5', 'stub'), ['n1', 'n3', 'n5', 'stub'])
        with self.cluster[1].client() as client:
            thing = client.get('artifact/n5', **{'with': ['edges']})['data'][0]
            self.assertEqual([e['to'] for e in thing['edges']], ['artifact/n1', 'artifact/stub'])

    def test_missing_files_and_folders_are_told_apart_from_lines(self):
        done = self.cluster.cli('import', '/nonexistent/file')
        self.assertIn(done.returncode, (1, 2))
        self.assertIn('/nonexistent/file', done.stderr)
        done = self.cluster.cli('import', str(self.cluster.folder))
        self.assertIn(done.returncode, (1, 2))
        done = self.run_cli(self.cluster, 'import', '-', stdin=self.line('from-stdin'))
        self.assertEqual(self.exists('from-stdin'), ['from-stdin'])

    def test_an_import_killed_and_run_again_neither_loses_nor_doubles(self):
        lines = [json.dumps({'ops': [{'op': 'create', 'kind': 'artifact', 'tags': {'i': str(i)}}]})
                 + '\n' for i in range(1500)]
        path = self.write('unnamed.ndjson', lines)
        process = self.cluster.cli_start('import', path, '--rate', 1000)
        with self.cluster[1].client() as client:
            def some():
                return len(client.call('list', {'kind': 'artifact', 'limit': 1000})['data']) > 300
            until(some, 'some lines are in')
            process.kill()
            process.communicate()
            self.run_cli(self.cluster, 'import', path)
            listed = client.call('list', {'kind': 'artifact', 'limit': 10000, 'view': 'full'})
            self.assertTrue(listed['complete'])
            tags = sorted(int(t['tags']['i']) for t in listed['data'])
            self.assertEqual(tags, list(range(1500)))
