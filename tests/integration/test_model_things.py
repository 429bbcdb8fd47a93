"""Things as a whole on a real cluster: props and types, content, uris, names, holds, what comes
back, and all of it through export and import."""

import json

from cluster import Case, Cluster

CREATE_TYPE = ('type', 'create', 'artifact:dataset', '--field', 'rows:int,required,unit=rows',
               '--field', 'lr:float', '--field', 'made:time,fixed', '--field', 'langs:string[]')


class Things(Case):
    """One cluster for the tests of the class; each works in a namespace of its own."""

    cost_s = 20

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def setUp(self):
        super().setUp()
        self.ns = self.id().rsplit('.', 1)[-1].removeprefix('test_').replace('_', '-')[:100]
        self.cluster.ready()
        self.run_cli(self.cluster, 'namespace', 'create', self.ns)

    def cli(self, *words, expect=0, **keys):
        return self.run_cli(self.cluster, '-n', self.ns, *words, expect=expect, **keys)

    def data(self, *words):
        return json.loads(self.cli('-w', 'json', *words).stdout)['data']

    def full(self, ref, *words):
        return self.data('get', ref, '--view', 'full', *words)[0]

    def txn(self, *ops, expect=0):
        return self.cli('-w', 'json', 'txn', '-', stdin=json.dumps({'ops': ops}), expect=expect)

    def test_props_keep_their_types_on_every_node(self):
        props = {'s': 'x', 'i': -9223372036854775808, 'f': 0.1, 'whole': 3.0, 'b': False,
                 't': {'time': 1772366400000000}, 'j': {'json': '{"a": [1, 2]}'},
                 'r': {'ref': 'model/m'}, 'l': [1, 2], 'fl': [1.0, 2.5], 'none': []}
        self.txn({'op': 'create', 'kind': 'model', 'name': 'm'},
                 {'op': 'create', 'kind': 'artifact', 'name': 'a', 'props': props})
        for node in self.cluster.nodes:
            with node.client(namespace=self.ns) as client:
                got = client.call('get', {'refs': ['artifact/a'], 'view': 'full'})['data'][0]
                self.assertEqual(got['props'], props)
                self.assertEqual({k: type(v) for k, v in got['props'].items()},
                                 {k: type(v) for k, v in props.items()})
        self.cluster.digests()

    def test_props_by_the_command_line_are_what_they_look_like_or_what_is_said(self):
        self.cli('artifact', 'create', 'a', '-p', 'n=7', '-p', 'x=1e3', '-p', 'b=true', '-p', 'z=007',
                 '-p', 's:string=7', '-p', 'l:float[]=1,2', '-p', 'm=["a","b"]', '-p', 'e=a=b',
                 '-p', 'k:1=v', '-p', 'j:json=[1]', '-p', 't:time=2026-03-01T12:00:00Z')
        self.assertEqual(self.full('artifact/a')['props'], {
            'n': 7, 'x': 1000.0, 'b': True, 'z': '007', 's': '7', 'l': [1.0, 2.0],
            'm': ['a', 'b'], 'e': 'a=b', 'k:1': 'v', 'j': {'json': '[1]'},
            't': {'time': 1772366400000000}})
        self.cli('artifact', 'update', 'a', '--unprop', 'n', '-p', 'x=2')
        self.assertEqual(self.full('artifact/a')['props']['x'], 2)
        for bad in ('n', '=1', 'n:int=x', 'b:bool=yes', 'f:float=nan', 't:time=soon'):
            self.cli('artifact', 'update', 'a', '-p', bad, expect=2)
        for bad in ('n', 'n:number', 'n:int,often'):
            self.cli('type', 'create', 'run:t', '--field', bad, expect=2)

    def test_a_type_of_a_parent_is_held_against_props(self):
        self.cli(*CREATE_TYPE, '--closed')
        self.run_cli(self.cluster, 'namespace', 'create', f'{self.ns}/sub')

        def sub(*words, expect=0):
            self.run_cli(self.cluster, '-n', f'{self.ns}/sub', 'artifact', *words, expect=expect)

        sub('create', 'a', '--type', 'dataset', expect=1)
        sub('create', 'a', '--type', 'dataset', '-p', 'rows=5', '-p', 'lr=1')
        sub('update', 'a', '-p', 'other=1', expect=1)
        sub('update', 'a', '--unprop', 'rows', expect=1)
        self.cli('type', 'update', 'artifact:dataset', '--field', 'lr:int', expect=4)
        self.cli('type', 'update', 'artifact:dataset', '--open', '--field', 'new:bool,required')
        sub('update', 'a', '-p', 'other=1')
        self.assertEqual(self.full(f'//{self.ns}/sub//artifact/a')['props'],
                         {'rows': 5, 'lr': 1.0, 'other': 1})

    def test_content_fails_says_why_and_is_ready_after_all(self):
        self.cli('artifact', 'create', 'a', '--content', 'pending', '--uri', 's3://x')
        self.cli('artifact', 'update', 'a', '--content', 'failed', expect=1)
        self.cli('artifact', 'update', 'a', '--content', 'failed', '--content-reason', 'no space')
        self.assertEqual(self.full('artifact/a')['content_reason'], 'no space')
        self.cli('artifact', 'update', 'a', '--content', 'ready')
        self.assertNotIn('content_reason', self.full('artifact/a'))
        self.cli('artifact', 'update', 'a', '--content', 'pending', expect=4)
        before = json.loads(self.cli('-w', 'json', 'get', 'uri:s3://x').stdout)['revision']
        self.cli('artifact', 'update', 'a', '--remove-uri', 's3://x', '--uri', 's3://y')
        self.cli('get', 'uri:s3://x', expect=3)
        self.assertEqual(self.data('get', 'uri:s3://y')[0]['ref'], 'artifact/a')
        self.assertEqual(self.data('get', 'uri:s3://x', '--as-of', str(before))[0]['uris'],
                         ['s3://x'])

    def test_a_name_changes_and_what_is_deleted_comes_back(self):
        self.txn({'op': 'create', 'kind': 'model', 'name': 'm'},
                 {'op': 'create', 'kind': 'version', 'model': 'model/m'})
        self.cli('model', 'rename', 'm', 'n')
        self.cli('get', 'model/m', expect=3)
        self.cli('hold', 'model/n', '--reason', 'audit')
        self.cli('model', 'delete', 'n', expect=4)
        self.assertEqual(self.full('model/n')['hold'], 'audit')
        self.cli('release', 'model/n')
        self.cli('model', 'delete', 'n')
        self.cli('get', 'version/n/1', expect=3)
        new = self.data('model', 'create', 'n')[0]['id']
        self.assertEqual(len(self.data('model', 'list', '--state', 'any')), 2)
        old = [t['id'] for t in self.data('model', 'list', '--state', 'deleted')]
        self.assertEqual(len(old), 1)
        self.assertNotIn(new, old)
        self.cli('model', 'undelete', f'id/{old[0]}', expect=4)
        self.cli('model', 'undelete', f'id/{old[0]}', '--name', 'm')
        self.assertEqual(self.data('get', 'version/m/1')[0]['state'], 'live')
        self.cluster.digests()

    def test_a_thing_without_an_owner_has_its_namespaces(self):
        self.run_cli(self.cluster, 'namespace', 'create', f'{self.ns}/sub', '--owner', 'ann')
        self.run_cli(self.cluster, '-n', f'{self.ns}/sub', 'artifact', 'create', 'a')
        thing = self.full(f'//{self.ns}/sub//artifact/a')
        self.assertEqual((thing['owner'], thing['owner_from']),
                         ('ann', f'namespace/{self.ns}/sub'))

    def test_all_of_it_comes_through_export_and_import(self):
        self.cli(*CREATE_TYPE, '--field', 'from:ref')
        self.cli('artifact', 'create', 'z', '--type', 'dataset', '-p', 'rows=1', '-p', 'lr=2')
        self.cli('artifact', 'create', 'a', '--type', 'dataset', '-p', 'rows=1',
                 '-p', 'from:ref=artifact/z', '-p', 'f=0.1', '-p', 'langs:string[]=',
                 '--content', 'failed', '--content-reason', 'why', '--uri', 's3://x')
        self.cli('artifact', 'create', 'b', '-p', 'gone:ref=artifact/z', '-p', 'stays=1')
        # Things that are older than what their type asks for.
        self.cli('type', 'update', 'artifact:dataset', '--closed', '--field', 'new:bool,required')
        self.cli('run', 'create', 'r1', '--parent', self.data('run', 'create', 'r2')[0]['ref'])
        self.cli('hold', 'artifact/z', '--reason', 'case 12')
        self.cli('hold', 'type/artifact:dataset')
        # A type that is deleted: what has it is written without.
        self.cli('type', 'create', 'model:old')
        self.cli('model', 'create', 'm', '--type', 'old')
        self.cli('type', 'delete', 'model:old')
        exported = self.cluster.cli('export')
        dump = exported.stdout
        self.assertIn('left out 1 links, fields and metrics', exported.stderr)
        with Cluster() as other:
            other.ready()
            done = other.cli('import', stdin=dump)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(other.cli('export').stdout, dump)
            again = other.cli('-w', 'json', 'import', stdin=dump)
            self.assertEqual(again.returncode, 0, again.stderr)
            counts = json.loads(again.stdout)
            self.assertEqual(counts['unchanged'], counts['read'], counts)
            z = json.loads(other.cli('-w', 'json', '-n', self.ns, 'get', 'artifact/z', '--view',
                                     'full').stdout)['data'][0]
            self.assertEqual((z['props'], z['hold']), ({'rows': 1, 'lr': 2.0}, 'case 12'))
