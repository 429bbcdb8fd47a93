"""Events of OpenLineage: real ones, in any order, under kills and beside another import."""

import collections
import datetime
import json
import re
import unittest
import uuid

from cluster import SHARED, Case, Cluster, until

EVENTS = SHARED / 'openlineage' / 'events.ndjson'

def needs_events(test):
    return unittest.skipUnless(EVENTS.is_file(), f'without the shared data ({EVENTS})')(test)


def counted(done):
    return json.loads(done.stdout.strip().splitlines()[-1])


def is_uuid(text):
    return isinstance(text, str) and re.fullmatch('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', text)


def filled(copies=1):
    """The real events, which are templates for the most part, with ids and times in the gaps."""
    lines = EVENTS.read_text(encoding='utf-8').splitlines()
    for n in range(copies):
        for i, line in enumerate(lines):
            event = json.loads(line)['event']
            source = json.loads(line)['source']

            def known(text, what):
                if n == 0 and is_uuid(text):
                    return text
                return str(uuid.uuid5(uuid.NAMESPACE_URL, f'{n} {source} {what} {text}'))
            if 'run' in event:
                job = json.dumps(event['job'].get('name'))
                event['run']['runId'] = known(event['run'].get('runId'), job)
                parent = event['run'].get('facets', {}).get('parent', {}).get('run', {})
                if 'runId' in parent:
                    parent['runId'] = known(parent['runId'], 'parent')
            if not re.search(r'(Z|[+-]\d\d:\d\d)$', event['eventTime']):
                event['eventTime'] = f'2024-01-01T00:{i // 60:02}:{i % 60:02}.{n:06}Z'
            yield event


def write(path, events):
    path.write_text(''.join(json.dumps(e) + '\n' for e in events))
    return path


def text_of(value):
    return json.dumps(value, sort_keys=True, separators=(',', ':'), ensure_ascii=False)


def time_of(event):
    """In an order; Python before 3.11 wants three or six digits of a fraction, and no Z."""
    text = re.sub(r'\.(\d+)', lambda m: '.' + m[1].ljust(6, '0'), event['eventTime'])
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))


def newest_facets(events):
    """What the facets of each run, job and data set must be: external id -> facet -> text."""
    best = collections.defaultdict(dict)

    def note(owner, event, facets):
        for name, value in (facets or {}).items():
            said = (time_of(event), text_of(value))
            best[owner][name] = max(best[owner].get(name, said), said)
    for e in events:
        if 'run' in e:
            note('run/ext:openlineage:run:' + e['run']['runId'], e, e['run'].get('facets'))
        if 'job' in e:
            note(f'experiment/ext:openlineage:job:{e["job"]["namespace"]}#{e["job"]["name"]}', e,
                 e['job'].get('facets'))
        both = (e.get('inputs') or []) + (e.get('outputs') or [])
        for d in both + ([e['dataset']] if 'job' not in e else []):
            note(f'artifact/ext:openlineage:dataset:{d["namespace"]}#{d["name"]}', e,
                 d.get('facets'))
    return best


class OpenLineage(Case):

    def import_events(self, cluster, path, *words, expect=0):
        return counted(self.run_cli(cluster, '-w', 'json', *words, 'import', '--openlineage', path,
                                    expect=expect, timeout=120))

    def exported(self, cluster):
        """Without the times of the store."""
        return re.sub('"happened":"[^"]*",', '', self.run_cli(cluster, 'export').stdout)

    def thing(self, cluster, ref, *words):
        return self.run_json(cluster, 'get', ref, *words)['data'][0]


@needs_events
class RealEvents(OpenLineage):
    cost_s = 40

    def test_what_is_no_event_is_refused_by_its_line_with_the_reason(self):
        with Cluster() as c:
            done = self.run_cli(c, '-w', 'json', 'import', '--openlineage', EVENTS, expect=1)
            self.assertEqual(counted(done), {'read': 556, 'created': 21, 'changed': 0,
                                             'unchanged': 15, 'refused': 520, 'implied': 0})
            reasons = collections.Counter(
                re.sub('"[^"]*"', '"X"', re.fullmatch(r'.*?:\d+: (.*)', line)[1])
                for line in done.stderr.splitlines())
            self.assertEqual(reasons, {
                'eventTime: "X" is not a time as RFC 3339 has it, with an offset '
                '(2026-03-01T12:00:00Z) (INVALID)': 99,
                'run.runId: "X" is not a UUID (INVALID)': 415,
                'run.runId: is missing; it must be a UUID (INVALID)': 6})

    def test_a_second_import_changes_nothing(self):
        with Cluster() as c:
            path = write(c.folder / 'events', filled())
            first = self.import_events(c, path, expect=1)
            self.assertEqual((first['read'], first['refused']), (556, 4))
            with c[1].client() as client:
                revision = client.call('describe')['revision']
                again = self.import_events(c, path, expect=1)
                self.assertEqual((again['created'], again['changed'], again['unchanged']),
                                 (0, 0, 552))
                self.assertEqual(client.call('describe')['revision'], revision)

    def test_no_facet_is_lost_and_the_newest_is_kept(self):
        with Cluster() as c:
            events = [e for e in filled() if all('name' in d for d in e.get('inputs') or [])]
            self.import_events(c, write(c.folder / 'events', events))
            wanted = newest_facets(events)
            self.assertGreater(len(wanted), 300)
            refs = '\n'.join(wanted)
            got = json.loads(self.run_cli(c, '-w', 'json', 'get', '-', stdin=refs).stdout)['data']
            for ref, thing in zip(wanted, got):
                props = thing.get('props', {})
                kept = {k.removeprefix('facets.'): v['json'] for k, v in props.items()
                        if k.startswith('facets.')}
                for name, (_, text) in wanted[ref].items():
                    # Numbers may be written in another way.
                    self.assertEqual(json.loads(kept.pop(name)), json.loads(text), (ref, name))
                self.assertEqual(kept, {}, ref)

    def test_the_order_of_events_does_not_matter(self):
        exports = set()
        for turn in range(4):
            events = list(filled())
            if turn > 0:
                self.rng.shuffle(events)
            with Cluster(n=1) as c:
                self.import_events(c, write(c.folder / 'events', events), expect=1)
                exports.add(self.exported(c))
        self.assertEqual(len(exports), 1, 'the exports differ')
        self.assertGreater(exports.pop().count('\n'), 1000)

    def test_an_import_that_is_killed_is_finished_by_another(self):
        with Cluster() as calm:
            path = write(calm.folder / 'events', filled(4))
            self.import_events(calm, path, expect=1)
            want = self.exported(calm)
            with Cluster() as c:
                process = c.cli_start('import', '--openlineage', path, '--rate', 1000)
                with c[2].client() as client:
                    until(lambda: client.call('describe')['data']['namespace'].get('run', 0) > 50,
                          'some events are in')
                process.kill()
                process.communicate()
                self.import_events(c, path, expect=1)
                self.assertTrue(self.exported(c) == want, 'the exports differ')
                c.digests()

    def test_two_imports_at_once_lose_nothing_of_each_other(self):
        events = list(filled(2))
        with Cluster() as c:
            self.import_events(c, write(c.folder / 'calm', events), expect=1)
            want = self.exported(c)
        with Cluster() as c:
            processes = []
            for i in range(3):
                self.rng.shuffle(events)
                processes.append(c.cli_start('-w', 'json', 'import', '--openlineage',
                                             write(c.folder / f'{i}', events)))
            for process in processes:
                out, err = process.communicate(timeout=120)
                self.assertEqual(json.loads(out)['refused'], 8, err)
            self.assertTrue(self.exported(c) == want, 'the exports differ')


class OneDataSet(OpenLineage):
    cost_s = 10

    def test_writers_of_one_data_set_see_each_other(self):
        with Cluster() as c:
            processes = []
            for i in range(4):
                # Slow, so that each sends few at a time, often.
                events = [{'eventTime': f'2026-03-01T12:00:{j // 2:02}.{i}Z', 'dataset': {
                    'namespace': 'n', 'name': 'd', 'facets': {f'f{i}.{j}': {}, 'same': [i, j]}}}
                          for j in range(100)]
                processes.append(c.cli_start('-w', 'json', 'import', '--openlineage', '--rate',
                                             100, write(c.folder / f'{i}', events)))
            for process in processes:
                out, err = process.communicate(timeout=120)
                self.assertEqual(json.loads(out)['refused'], 0, err)
            props = self.thing(c, 'artifact/n#d')['props']
            self.assertEqual(len([k for k in props if k.startswith('facets.f')]), 400)
            self.assertEqual(len(json.loads(props['openlineage.times']['json'])), 401)
            self.assertEqual(props['facets.same'], {'json': '[3,99]'})


class Mapping(OpenLineage):
    cost_s = 15

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(n=1)
        cls.addClassCleanup(cls.cluster.close)

    def send(self, *events, expect=0):
        path = write(self.cluster.folder / 'events', events)
        return self.import_events(self.cluster, path, expect=expect)

    def edges(self, ref):
        got = self.thing(self.cluster, ref, '--edges')
        return {(e['label'], e['to']) for e in got.get('edges', [])}

    def test_a_run_its_job_its_parent_and_its_data(self):
        parent = str(uuid.UUID(int=self.rng.getrandbits(128)))
        run = str(uuid.UUID(int=self.rng.getrandbits(128)))
        self.send({'eventTime': '2026-03-01T12:00:00Z', 'eventType': 'START',
                   'job': {'namespace': 'etl', 'name': 'load'},
                   'run': {'runId': run.upper(), 'facets': {'parent': {
                       'run': {'runId': parent}, 'job': {'namespace': 'etl', 'name': 'daily'}}}},
                   'inputs': [{'namespace': 'pg://h', 'name': 'a', 'inputFacets': {
                       'dataQualityMetrics': {'rowCount': 7}}}]},
                  {'eventTime': '2026-03-01T12:05:00+00:00', 'eventType': 'COMPLETE',
                   'job': {'namespace': 'etl', 'name': 'load'}, 'run': {'runId': run},
                   'outputs': [{'namespace': 'pg://h', 'name': 'b', 'outputFacets': {
                       'outputStatistics': {'rowCount': 5, 'size': 0.5}}}]})
        got = self.thing(self.cluster, f'run/ext:openlineage:run:{run}')
        self.assertEqual((got['name'], got['status'], got['experiment'], got['parent']),
                         (run, 'finished', 'experiment/etl#load', f'run/{parent}'))
        self.assertEqual((got['start'], got['end']), (1772366400000000, 1772366700000000))
        self.assertEqual(json.loads(got['props']['inputs.dataQualityMetrics']['json']),
                         {'pg://h#a': {'rowCount': 7}})
        self.assertEqual(json.loads(got['props']['outputs.outputStatistics']['json']),
                         {'pg://h#b': {'rowCount': 5, 'size': 0.5}})
        self.assertEqual(self.edges(f'run/{run}'), {('consumed', 'artifact/pg://h#a')})
        self.assertEqual(self.edges('artifact/pg://h#b'), {('produced_by', f'run/{run}')})
        self.assertEqual(self.edges('experiment/etl#load'),
                         {('child_of', 'experiment/etl#daily')})
        up = self.run_json(self.cluster, 'lineage', 'up', 'artifact/pg://h#b')['data']
        self.assertIn('artifact/pg://h#a', [t['ref'] for t in up])

    def test_a_job_and_a_data_set_without_a_run(self):
        self.send({'eventTime': '2026-03-01T12:00:00Z', 'job': {'namespace': 'n', 'name': 'j', 'facets': {
                       'documentation': {'description': 'what it does'}}},
                   'inputs': [{'namespace': 'n', 'name': 'in'}],
                   'outputs': [{'namespace': 'n', 'name': 'out'}]},
                  {'eventTime': '2026-03-01T12:00:00Z', 'dataset': {
                      'namespace': 'n', 'name': 'in', 'facets': {'schema': {'fields': []}}}})
        self.assertEqual(self.edges('experiment/n#j'), {('consumed', 'artifact/n#in')})
        self.assertEqual(self.edges('artifact/n#out'), {('produced_by', 'experiment/n#j')})
        self.assertEqual(self.thing(self.cluster, 'experiment/n#j')['description'], 'what it does')
        got = self.thing(self.cluster, 'artifact/n#in')['props']
        self.assertEqual(got['facets.schema'], {'json': '{"fields":[]}'})
        self.assertEqual((got['openlineage.namespace'], got['openlineage.name']), ('n', 'in'))

    def test_a_version_of_a_data_set_is_a_thing_of_its_own(self):
        run = str(uuid.UUID(int=self.rng.getrandbits(128)))
        self.send({'eventTime': '2026-03-01T12:00:00Z', 'job': {'namespace': 'n', 'name': 'v'},
                   'run': {'runId': run}, 'inputs': [{
                       'namespace': 'n', 'name': 't', 'facets': {
                           'version': {'datasetVersion': '41#7'}}}]})
        self.assertEqual(self.edges(f'run/{run}'), {
            ('consumed', 'artifact/n#t'), ('consumed', 'artifact/n#t#41%237')})
        self.assertEqual(self.edges('artifact/n#t#41%237'), {('version_of', 'artifact/n#t')})

    def test_another_name_means_the_same_data_set_before_and_after(self):
        def dataset(name, **facets):
            return {'eventTime': '2026-03-01T12:00:00Z',
                    'dataset': {'namespace': 'link', 'name': name, 'facets': facets}}
        link = {'identifiers': [{'namespace': 'link', 'name': 'nick', 'type': 'TABLE'}]}
        self.send(dataset('nick', a={'v': 1}), dataset('real', symlinks=link))
        self.send(dataset('nick', b={'v': 2}))
        got = self.thing(self.cluster, 'artifact/ext:openlineage:dataset:link#nick')
        self.assertEqual(got['name'], 'link#real')
        self.assertEqual(got['external_ids'], ['openlineage:dataset:link#nick',
                                               'openlineage:dataset:link#real'])
        self.assertEqual({k for k in got['props'] if k.startswith('facets.')},
                         {'facets.a', 'facets.b', 'facets.symlinks'})
        # Where both are there already, they stay two things.
        self.send(dataset('one'), dataset('two'))
        link['identifiers'][0]['name'] = 'two'
        self.send(dataset('one', symlinks=link))
        self.assertEqual(self.edges('artifact/link#one'), {('same_as', 'artifact/link#two')})

    def test_columns_lead_to_the_data_sets_that_they_come_from(self):
        facet = {'fields': {'x': {'inputFields': [{'namespace': 'c', 'name': 'a', 'field': 'y'},
                                                  {'namespace': 'c', 'name': 'b', 'field': 'z'}]}},
                 'dataset': [{'namespace': 'c', 'name': 'd', 'field': 'k'},
                             {'namespace': 'c', 'name': 'out', 'field': 'self'}]}
        self.send({'eventTime': '2026-03-01T12:00:00Z', 'dataset': {
            'namespace': 'c', 'name': 'out', 'facets': {'columnLineage': facet}}})
        self.assertEqual(self.edges('artifact/c#out'),
                         {('column_lineage', f'artifact/c#{x}') for x in 'abd'})
        kept = self.thing(self.cluster, 'artifact/c#out')['props']['facets.columnLineage']['json']
        self.assertEqual(json.loads(kept), facet)

    def test_a_facet_that_is_too_long_for_a_prop_is_kept_in_parts(self):
        def event(second, value):
            return {'eventTime': f'2026-03-01T12:00:0{second}Z', 'dataset': {
                'namespace': 'long', 'name': 'd', 'facets': {'a': value}}}

        def parts():
            props = self.thing(self.cluster, 'artifact/long#d')['props']
            return [props[f'part.{i}.facets.a'] for i in range(1, 9)
                    if f'part.{i}.facets.a' in props], props.get('facets.a')
        long = {'text': '\u00e4' * 80_000}
        self.send(event(1, long))
        self.assertEqual(json.loads(''.join(parts()[0])), long)
        self.assertEqual((len(parts()[0]), parts()[1]), (3, None))
        self.assertEqual(self.send(event(1, long))['unchanged'], 1)
        self.send(event(2, {'text': 'b' * 70_000}))
        self.assertEqual(len(parts()[0]), 2)
        self.send(event(3, {'text': 'c'}))
        self.assertEqual(parts(), ([], {'json': '{"text":"c"}'}))
        self.send(event(4, long))
        self.assertEqual(json.loads(''.join(parts()[0])), long)
        self.assertIsNone(parts()[1])

    def test_what_the_store_refuses_is_refused_alone(self):
        def event(name, size):
            return {'eventTime': '2026-03-01T12:00:00Z', 'dataset': {
                'namespace': 'big', 'name': name, 'facets': {'a': 'x' * size}}}
        path = write(self.cluster.folder / 'events',
                     [event('1', 10), event('2', 400_000), event('3', 10)])
        done = self.run_cli(self.cluster, '-w', 'json', 'import', '--openlineage', path, expect=1)
        self.assertEqual((counted(done)['created'], counted(done)['refused']), (2, 1))
        self.assertRegex(done.stderr, r'^\S+:2: .*\(LIMIT\)\n$')


if __name__ == '__main__':
    unittest.main()
