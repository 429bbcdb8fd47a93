"""claded as its operator meets it: settings, folders, the first start, mistakes."""

import json
import re
import shutil
import subprocess

import wire
from cluster import Case, Cluster, claded, clean_environment, member_flags


def run(*words, env=None, timeout=30):
    return subprocess.run([claded(), *map(str, words)], capture_output=True, text=True,
                          timeout=timeout, env=clean_environment(**(env or {})), check=False)


class Settings(Case):
    cost_s = 10

    def setUp(self):
        super().setUp()
        self.cluster = Cluster(start=False)
        self.addCleanup(self.cluster.close)
        self.node = self.cluster[1]

    def with_file(self, text, *words):
        path = self.cluster.folder / 'settings.yaml'
        path.write_text(text)
        return run('--config', path, *words)

    def test_wrong_settings_are_refused_with_their_place_and_reason(self):
        for text, say in (
                ('colour: red\n', ('colour',)),
                ('election_timeout_ms: soon\n', ('election_timeout_ms', 'soon')),
                ('election_timeout_ms: 1\n', ('election_timeout_ms',)),
                ('election_timeout_ms: 300\nheartbeat_ms: 200\n', ('heartbeat_ms', 'third')),
                ('listen: nowhere\n', ('listen', 'HOST:PORT')),
                ('listen: 127.0.0.1:70000\n', ('listen',)),
                ('log_format: xml\n', ('log_format', 'json')),
                ('memory_max: 12 bananas\n', ('memory_max',)),
                ('allow_unauthenticated: perhaps\n', ('allow_unauthenticated', 'true')),
                ('data: x\ndata: y\n', ('data',)),
                ('- a\n- list\n', ()),
                ('{unclosed\n', ()),
                ('data: "\\xff\n', ()),
        ):
            with self.subTest(text):
                done = self.with_file(text, 'check-config')
                self.assertIn(done.returncode, (1, 2), done.stdout + done.stderr)
                for word in say + ('settings.yaml',):
                    self.assertIn(word, done.stderr)
        for words in (('--colour', 'red'), ('--election-timeout-ms',),
                      ('--election-timeout-ms', 'x'), ('dance',), ('run', 'more'),
                      ('--config', '/nonexistent/file')):
            with self.subTest(words):
                done = run(*words)
                self.assertIn(done.returncode, (1, 2), done.stdout + done.stderr)
                self.assertNotEqual(done.stderr.strip(), '')

    def test_flag_beats_environment_beats_file_beats_default(self):
        path = self.cluster.folder / 'settings.yaml'
        path.write_text('election_timeout_ms: 900\nheartbeat_ms: 90\nreaders: 3\n')
        done = run('--config', path, '--election-timeout-ms', '700', '--print-config',
                   env={'CLADE_ELECTION_TIMEOUT_MS': '800', 'CLADE_HEARTBEAT_MS': '80'})
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in ('election_timeout_ms: 700', 'heartbeat_ms: 80', 'readers: 3',
                     'listen: \'127.0.0.1:7400\''):
            self.assertIn(line, done.stdout)
        again = self.with_file(done.stdout, '--print-config')
        self.assertEqual(again.returncode, 0, 'what is printed can be read again')
        self.assertIn('election_timeout_ms: 700', again.stdout)

    def test_help_and_check_config_say_so_and_do_nothing(self):
        for word in ('--help', '-h'):
            done = run(word)
            self.assertEqual(done.returncode, 0, done.stderr)
            for part in ('init', 'check', '--listen', '--print-config'):
                self.assertIn(part, done.stdout)
        done = run('--version')
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r'\d+\.\d+\.\d+')
        before = sorted(self.cluster.folder.rglob('*'))
        done = run('check-config', self.node.config)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(self.cluster.folder.rglob('*')), before)

    def test_an_address_that_is_not_loopback_needs_allow_unauthenticated(self):
        open_to_all = {'listen': f"0.0.0.0:{self.node.address.split(':')[1]}"}
        self.node.write_config(**open_to_all)
        done = self.node.claded('run', timeout=20)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('advertise', done.stderr + done.stdout, 'nobody can connect to 0.0.0.0')
        open_to_all['advertise'] = self.node.address
        self.node.write_config(**open_to_all)
        done = self.node.claded('run', timeout=20)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('allow_unauthenticated', done.stderr + done.stdout)
        self.node.write_config(**open_to_all, allow_unauthenticated='true')
        for node in self.cluster.nodes:
            node.start()
        self.cluster.ready()
        self.assertIn('unauthenticated', self.node.log_text())

    def test_an_idle_empty_node_takes_less_than_15_mb(self):
        self.cluster.start()
        for node in self.cluster.nodes:
            self.assertLess(node.rss_kb(), 15 * 1024)

    def test_logs_are_json_when_asked(self):
        for node in self.cluster.nodes:
            node.write_config(log_format='json')
        self.cluster.start()
        lines = [l for l in self.node.log_text().splitlines() if l]
        self.assertGreater(len(lines), 0)
        for line in lines:
            self.assertIsInstance(json.loads(line), dict)


class Folders(Case):
    cost_s = 25

    def test_a_folder_is_made_once_and_only_by_init(self):
        with Cluster(start=False) as c:
            node = c[1]
            before = tree(node.data)
            self.assertEqual(node.claded('init', '--node', '1', '--name', c.name,
                                         *member_flags(c)).returncode, 0, 'the same again')
            self.assertEqual(tree(node.data), before, 'and it changes nothing')
            done = node.claded('init', '--node', '1', '--name', 'another', *member_flags(c))
            self.assertNotEqual(done.returncode, 0, 'init as something else')
            self.assertIn(str(node.data), done.stderr)
            self.assertEqual(tree(node.data), before)
            shutil.rmtree(node.data)
            done = node.claded('run', timeout=20)
            self.assertNotEqual(done.returncode, 0, 'run without init')
            self.assertIn('init', done.stderr + done.stdout)
            node.data.mkdir()
            (node.data / 'precious').write_text('mine')
            done = node.claded('init', '--node', '1', *member_flags(c))
            self.assertNotEqual(done.returncode, 0, 'a folder that holds other things')
            self.assertEqual((node.data / 'precious').read_text(), 'mine')

    def test_init_refuses_member_lists_that_make_no_sense(self):
        with Cluster(start=False) as c:
            node = c[1]
            shutil.rmtree(node.data)
            a, b, d = (n.peer_address for n in c.nodes)
            for id_, *list_ in (('1', f'1={a}', f'1={b}'), ('1', f'1={a}', f'2={a}'),
                                ('4', f'1={a}', f'2={b}', f'3={d}'), ('1',), ('1', '1'),
                                ('1', ''), ('1', '1=nowhere'), ('0', f'0={a}'), ('1', f'x={a}')):
                with self.subTest(list_):
                    flags = [word for member in list_ for word in ('--member', member)]
                    done = node.claded('init', '--node', id_, *flags)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertNotEqual(done.stderr.strip(), '')
                    self.assertFalse((node.data / 'identity').exists())

    def test_a_second_process_and_check_are_refused_a_folder_in_use(self):
        with Cluster() as c:
            node = c[1]
            for word in ('run', 'check'):
                done = node.claded(word, timeout=20)
                self.assertNotEqual(done.returncode, 0, word)
                self.assertIn('in use', done.stderr + done.stdout)
            self.assertTrue(node.alive())
            c.ready()

    def test_the_folder_of_another_node_or_cluster_is_refused(self):
        with Cluster() as c:
            with c[1].client() as client:
                identity = client.hello['cluster']
            node = c[3]
            self.assertEqual(node.terminate(), 0)
            for wrong, word in (({'node': 2}, 'node'),
                                ({'cluster': "'" + '1' * 32 + "'"}, 'cluster')):
                node.write_config(**wrong)
                done = node.claded('run', timeout=20)
                self.assertNotEqual(done.returncode, 0, wrong)
                self.assertIn(f'belongs to {word}', done.stderr + done.stdout)
            node.write_config(node=3, cluster=f"'{identity}'")
            # Two folders mixed: the store of node 3 with the log of node 2.
            self.assertEqual(c[2].terminate(), 0)
            (node.data / 'raft').rename(node.folder / 'kept')
            shutil.copytree(c[2].data / 'raft', node.data / 'raft')
            done = node.claded('run', timeout=20)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn('mixed', done.stderr + done.stdout)
            shutil.rmtree(node.data / 'raft')
            (node.folder / 'kept').rename(node.data / 'raft')
            c.start()

    def test_a_node_of_another_cluster_at_a_members_address_is_no_member(self):
        with Cluster() as c, Cluster(start=False) as other:
            self.assertEqual(c[3].terminate(), 0)
            c[3].data.rename(c.folder / 'kept')
            # Node 3 of another cluster, listening where ours is expected.
            shutil.copytree(other[3].data, c[3].data)
            c[3].write_config(peer_listen=c[3].peer_address)
            c[3].start()
            with c[1].client() as client:
                for i in range(20):
                    client.txn([wire.artifact(f's{i}')])
            if c[3].alive():
                try:
                    with c[3].client() as client:
                        self.refused('UNAVAILABLE', client.call, 'describe',
                                     {'deadline_ms': 1000})
                except wire.NotSent:
                    pass
            c[3].kill()
            shutil.rmtree(c[3].data)
            (c.folder / 'kept').rename(c[3].data)
            c.start()
            c.digests()

    def test_a_newer_format_number_is_refused(self):
        with Cluster() as c:
            node = c[2]
            self.assertEqual(node.terminate(), 0)
            path = node.data / 'identity'
            kept = path.read_text()
            newer, n = re.subn(r'^format=\d+', 'format=999', kept)
            self.assertEqual(n, 1, kept)
            path.write_text(newer)
            done = node.claded('run', timeout=20)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn('999', done.stderr + done.stdout)
            path.write_text(kept.replace('node=2', 'node=3'))
            done = node.claded('run', timeout=20)
            self.assertNotEqual(done.returncode, 0, 'a checksum that does not match')
            self.assertIn('identity', done.stderr + done.stdout)
            path.write_text(kept)
            node.start()
            c.ready()

    def test_a_cluster_of_one_node_serves_and_survives_a_kill(self):
        with Cluster(n=1) as c:
            with c[1].client() as client:
                first = client.txn([wire.artifact('only')])
            c[1].kill()
            c.start()
            with c[1].client() as client:
                thing = client.get('artifact/only', view='full')['data'][0]
                self.assertEqual(thing['created']['revision'], first['revision'])


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
            for p in folder.rglob('*') if p.name != 'LOCK'}
