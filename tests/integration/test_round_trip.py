"""Export, import into an empty cluster, export again: the same bytes, with everything in it."""

import json
import re

from cluster import Case, Cluster
from wire import pack

TRAINED = '2026-02-27T23:30:00.000001Z'
ODD = 'Größe/α β"\\,=:#1@2\U0001f426'  # a name is any UTF-8 without control characters


def create(kind, name=None, **fields):
    named = {} if name is None else {'name': name}
    return {'op': 'create', 'kind': kind, **named, **fields}


def update(ref, **fields):
    return {'op': 'update', 'ref': ref, **fields}


def link(a, label, b, **fields):
    return {'op': 'link', 'from': a, 'label': label, 'to': b, **fields}


def version(model, **fields):
    return create('version', model=f'model/{model}', **fields)


PROPS = {
    'string': 'héllo\nworld', 'empty': '', 'int': -9223372036854775808, 'big': 9223372036854775807,
    'float': 0.1, 'whole': 3.0, 'tiny': 5e-324, 'huge': 1.7976931348623157e308, 'minus': -0.0,
    'bool': False, 'time': {'time': TRAINED}, 'json': {'json': '{"b": [1, 2.0, null], "a": {}}'},
    'ref': {'ref': 'run/zz-parent'}, 'strings': ['a', ''], 'ints': [1, -1], 'floats': [1.0, 2.5],
    'bools': [True], 'times': [{'time': '1970-01-01T00:00:00Z'}], 'none': [],
    'refs': [{'ref': 'artifact/' + ODD}, {'ref': '//other/sub//artifact/x'}],
    'jsons': [{'json': '[]'}, {'json': '"x"'}], 'a key = "odd"': 1,
}

# Each is a transaction: the namespace, when it happened, why, its operations.
MADE = (
    ('default', None, 'ground', [
        create('namespace', 'team', owner='team-lead', description='a team', tags={'k': 'v'},
               stages=[{'name': 'canary', 'multiple': True, 'in_use': True},
                       {'name': 'live', 'in_use': True}, {'name': 'old', 'multiple': True}],
               retention_s=86400),
        create('namespace', 'team/sub', props={'cost': 1.5}),
        create('namespace', 'other'), create('namespace', 'other/sub', tags={'of': 'other'}),
        create('namespace', 'gone'),
        update('namespace/default', description='where things are by default', tags={'a': 'b'}),
    ]),
    ('team', None, 'types', [
        create('type', 'artifact:dataset', description='rows of something', fields={
            'rows': {'type': 'int', 'required': True, 'unit': 'rows'},
            'source': {'type': 'string', 'fixed': True, 'indexed': True}, 'parts': {'type': 'ref[]'}}),
        create('type', 'run:training', closed=True, fields={'lr': {'type': 'float'}}),
        create('type', 'edge:merged_from', fields={'weight': {'type': 'float', 'required': True}}),
        create('type', 'edge:stands_for', cyclic=True), create('type', 'model:plain'),
        create('type', 'deployment:k8s', tags={'t': '1'}), create('type', 'artifact:unused'),
        create('type', 'artifact:once'),
    ]),
    ('team', TRAINED, 'data', [
        create('artifact', ODD, description='first\nsecond', tags={'k = "x"': 'v\n1', 'e': ''}),
        create('artifact', 'data', type='dataset', props={'rows': 5, 'source': 'crawl'},
               digests=['sha256:' + 'ab' * 32, 'blake3:' + 'cd' * 32, 'md5:0a'], size=12345678901,
               uris=['s3://b/1', 'https://x/1?a=b&c="d"'], content='failed',
               content_reason='disk\nfull', external_ids=['airflow:1', 'mlflow:a/b']),
        create('artifact', 'a-gone'), create('artifact', 'empty', size=0, content='none'),
        create('artifact', 'ready', content='ready', uris=['s3://b/1']),
        create('experiment', 'e', owner='ann', external_ids=['w:e']),
        create('run', 'zz-parent', experiment='experiment/e', status='running',
               start='2026-02-27T22:00:00Z'),
        create('run', 'child', parent='run/zz-parent', status='finished', type='training',
               props={'lr': 0.25}, start='2026-02-27T22:00:00.5Z', end=TRAINED),
        create('run', tags={'unnamed': 'yes'}),
        create('run', 'stub', if_exists='match'),
    ]),
    ('other/sub', '2020-02-29T00:00:00Z', 'elsewhere', [create('artifact', 'x', owner='eve')]),
    ('team', None, 'props', [update('artifact/empty', props=PROPS)]),
    ('team', None, 'models', [
        create('model', 'm', type='plain', description='a model'), create('model', 'none'),
        create('model', 'tail'), create('model', 'gap'), create('model', 'm-gone'),
        version('m', run='run/child', digests=['sha256:' + '12' * 32], uris=['s3://m/1'],
                content='pending', tags={'n': '1'}, external_ids=['reg:m1']),
        version('m'), version('m'), version('m', number=9),
        version('tail'), version('tail'), version('tail'), version('gap', number=4),
        version('m-gone'), version('m-gone'),
    ]),
    ('team', None, 'numbers that are used up', [
        {'op': 'delete', 'ref': 'version/m/3'}, {'op': 'delete', 'ref': 'version/tail/2'},
        {'op': 'delete', 'ref': 'version/tail/3'}, {'op': 'delete', 'ref': 'version/gap/4'},
        {'op': 'delete', 'ref': 'model/m-gone'}, create('model', 'm-gone'),
    ]),
    ('team', None, 'edges', [
        link('version/m/1', 'trained_on', 'artifact/data',
             props={'share': 0.5, 'when': {'time': TRAINED}, 'by': {'ref': 'run/child'}}),
        link('version/m/2', 'merged_from', 'version/m/1', props={'weight': 1.0}),
        link('version/m/2', 'merged_from', 'version/tail/1', props={'weight': 0.25}),
        link('artifact/data', 'derived_from', f'artifact/{ODD}'),
        link('artifact/data', 'stands_for', '//other/sub//artifact/x'),
        link('run/child', 'consumed', 'artifact/data'),
        link('artifact/data', 'produced_by', 'run/child'),  # a cycle that may be
        link('artifact/ready', 'my-own.label_2', 'model/none', props={'empty': ''}),
        link('version/m/1', 'trained_on', 'artifact/a-gone'),
        link('artifact/a-gone', 'derived_from', 'artifact/data'),
    ]),
    ('team', None, 'series', [
        {'op': 'log', 'ref': 'run/child', 'params': {'lr': '0.1', 'odd = "k"': '', 'n': 'x\ny'},
         'metrics': [{'key': 'loss', 'points': [[-5, 0, 0.5], [1, 1767225600000, 1e-300],
                                                [1, 1767225600000, 2.5], [2, 5, 0.25]]},
                     {'key': 'loss', 'on': 'artifact/data', 'run': 'run/zz-parent',
                      'points': [[0, 1, float('nan')], [1, 1, float('inf')],
                                 [2, 1, -float('inf')], [3, 1, -0.0]]}]},
        {'op': 'log', 'ref': 'version/m/1', 'metrics': [
            {'key': 'auc', 'on': '//other/sub//artifact/x', 'points': [[0, 0, 0.9]]}]},
        {'op': 'log', 'ref': 'namespace/team', 'params': {'budget': '7'}},
        {'op': 'log', 'ref': 'model/none', 'metrics': [
            {'key': 'big', 'points': [[i, i, float(i)] for i in range(2500)]}]},
    ]),
    ('team', None, 'pointers', [
        create('deployment', 'prod/eu/x', type='k8s', desired='running', observed='degraded',
               endpoint='https://x', external_ids=['k8s:x']),
        create('deployment', 'idle'), create('deployment', 'all-shadow'),
        {'op': 'set_alias', 'ref': 'version/m/2', 'alias': 'champion'},
        {'op': 'set_alias', 'ref': 'version/m/2', 'alias': 'Ch ámpion:2'},
        {'op': 'set_alias', 'ref': 'version/tail/1', 'alias': 'champion'},
        {'op': 'set_stage', 'ref': 'version/m/1', 'stage': 'canary'},
        {'op': 'set_stage', 'ref': 'version/m/2', 'stage': 'canary'},
        {'op': 'set_stage', 'ref': 'version/m/9', 'stage': 'live'},
        {'op': 'set_targets', 'ref': 'deployment/prod/eu/x', 'targets': [
            {'version': 'version/m/1', 'share': 9999}, {'version': 'version/m/2', 'share': 1},
            {'version': 'version/tail/1', 'share': 250, 'mode': 'shadow'}]},
    ]),
    ('other/sub', None, 'a target in another team', [
        create('deployment', 'here'),
        {'op': 'set_targets', 'ref': 'deployment/here',
         'targets': [{'version': '//team//version/m/2'}]}]),
    ('team', None, 'names that moved and came back', [
        create('artifact', 'was'), {'op': 'rename', 'ref': 'artifact/was', 'name': 'is'},
        create('artifact', 'back')]),
    ('team', None, 'gone', [{'op': 'delete', 'ref': 'artifact/back'}]),
    ('team', None, 'back', [
        {'op': 'undelete', 'ref': 'artifact/back', 'name': 'back again'},
        {'op': 'delete', 'ref': 'artifact/a-gone'}, {'op': 'delete', 'ref': 'namespace/gone'}]),
    ('team', None, 'case 17', [
        {'op': 'hold', 'ref': 'artifact/data'}, {'op': 'hold', 'ref': 'run/child', 'reason': 'x\ny'},
        {'op': 'hold', 'ref': 'namespace/team'}, {'op': 'hold', 'ref': 'type/artifact:unused'}]),
    ('default', None, 'bounds', [
        update('namespace/team', quota={'things': 1000, 'edges': 2000, 'bytes': 10000000,
                                        'writes_per_s': 100000},
               defaults={'artifact.type': 'once', 'run.tags.cost': 'ml'}),
        update('namespace/default', quota={'things': 500}),
    ]),
)
# A word of each part of the model that the export must hold.
MUST = (
    '"kind":"namespace"', '"kind":"type"', '"kind":"artifact"', '"kind":"experiment"',
    '"kind":"run"', '"kind":"model"', '"kind":"version"', '"kind":"deployment"', '"owner"',
    '"description"', '"tags"', '"props"', '"external_ids"', '"digests"', '"size"', '"uris"',
    '"content"', '"content_reason"', '"experiment"', '"parent"', '"status"', '"start"', '"end"',
    '"run"', '"number":9', '"last_number":3', '"last_number":4', '"op":"hold"', '"reason"',
    '"desired"', '"observed"', '"endpoint"', '"op":"set_targets"', '"shadow"', '"op":"set_alias"',
    '"op":"set_stage"', '"stages"', '"quota"', '"writes_per_s"', '"retention_s"', '"defaults"',
    '"fields"', '"required"', '"fixed"', '"indexed"', '"unit"', '"closed":true', '"cyclic":true',
    '"op":"link"', '"weight"', '"op":"log"', '"params"', '"metrics"', '"NaN"', '"-Infinity"',
    f'"happened":"{TRAINED}"', '"happened":"2020-02-29T00:00:00Z"', '"ns":"other/sub"',
)
VARIES = ('id', 'revision', 'time', 'principal')


def same_everywhere(value):
    """What an answer says but for what each cluster gives out itself."""
    if isinstance(value, dict):
        return {k: same_everywhere(v) for k, v in value.items() if k not in VARIES}
    return [same_everywhere(v) for v in value] if isinstance(value, list) else value


class RoundTrip(Case):
    cost_s = 20

    def things(self, cluster):
        """Everything that lives, with all that can be asked for; by reference."""
        found = {}
        with cluster.leader().client() as c:
            names = [n['name'] for n in c.call('list', {'kind': 'namespace', 'view': 'full'})['data']]
            for ns in names:
                for kind in ('namespace', 'type', 'artifact', 'experiment', 'run', 'model', 'version',
                             'deployment'):
                    for t in c.call('list', {
                            'kind': kind, 'ns': ns, 'view': 'full', 'limit': 1000,
                            'with': ['edges', 'aliases', 'params', 'metrics']})['data']:
                        # A thing that claims no time is given that of the store it came from.
                        t['created'].pop('happened', None)
                        t.pop('last_number', None)  # checked by itself
                        t['edges'].sort(key=lambda e: (e['label'], e['to']))
                        t['metrics'] = sorted(map(repr, same_everywhere(t['metrics'])))
                        t['refs_seen_from'] = ns
                        found[(ns, t['ref'])] = same_everywhere(t)
        return found

    def check_numbers(self, cluster):
        """Each number that was ever given is used up."""
        with cluster.leader().client(namespace='team') as c:
            for model, number in (('m', 10), ('tail', 4), ('gap', 5), ('m-gone', 1), ('none', 1)):
                made = c.txn([version(model)], dry_run=True)['data'][0]
                self.assertEqual(made['ref'], f'version/{model}/{number}')

    def test_everything_comes_through_byte_for_byte(self):
        with Cluster() as cluster, Cluster() as other:
            with cluster.leader().client() as c:
                for ns, happened, reason, ops in MADE:
                    when = {'happened': happened} if happened else {}
                    c.call('txn', {'command': pack({'v': 1, 'ns': ns, 'reason': reason, 'ops': ops,
                                                    **when})})
            done = self.run_cli(cluster, 'export')
            first = done.stdout
            self.assertRegex(done.stderr, r'left out \d+ links, fields and metrics')
            for word in MUST:
                self.assertIn(word, first)
            for line in first.splitlines():
                json.loads(line)
            self.run_cli(other, 'artifact', 'create', 'shifts-the-ids')
            self.run_cli(other, 'artifact', 'delete', 'shifts-the-ids')
            self.run_cli(other, 'import', '-', stdin=first)
            again = self.run_cli(other, 'export')
            self.assertEqual(again.stdout.splitlines(), first.splitlines())
            self.assertEqual(again.stderr, '')
            mine = self.things(cluster)
            theirs = self.things(other)
            # What leads to what is deleted does not come along.
            del mine[('team', 'version/m/1')]['edges'][1]
            self.assertEqual(theirs, mine)
            self.check_numbers(cluster)
            self.check_numbers(other)
            # Once more into each: nothing changes, and nothing is refused.
            for there in (cluster, other):
                counts = json.loads(self.run_cli(there, '-w', 'json', 'import', '-',
                                                 stdin=first).stdout)
                self.assertEqual((counts['created'], counts['changed'], counts['refused']),
                                 (0, 0, 0), counts)
                self.assertEqual(self.run_cli(there, 'export').stdout, first)
                there.digests()

    def test_a_thing_says_when_it_came_to_be_beside_the_stores_time(self):
        with Cluster(1) as cluster:
            self.run_cli(cluster, 'txn', stdin=json.dumps({
                'happened': TRAINED, 'ops': [create('artifact', 'a'), create('run', 'r')]}))
            self.run_cli(cluster, 'artifact', 'create', 'b')
            self.run_cli(cluster, 'artifact', 'update', 'a', '--tag', 'k=v')
            things = self.run_json(cluster, 'get', 'artifact/a', 'run/r', 'artifact/b')['data']
            self.assertEqual([t['created'].get('happened') for t in things],
                             [1772235000000001, 1772235000000001, None])
            shown = self.run_cli(cluster, 'artifact', 'get', 'a', env={'TZ': 'UTC'}).stdout
            self.assertRegex(shown, r'created .* revision 1, happened 2026-02-27 23:30:00\n')
            told = self.run_cli(cluster, 'history', 'artifact/a', env={'TZ': 'UTC'}).stdout
            self.assertEqual(len(re.findall('happened 2026-02-27 23:30:00', told)), 1)
            exported = [json.loads(l) for l in self.run_cli(cluster, 'export').stdout.splitlines()]
            self.assertEqual([l['happened'] == TRAINED for l in exported], [True, False, True])
