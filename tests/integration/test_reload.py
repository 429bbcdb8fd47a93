"""Settings that change while a node runs, and what check-config says of them."""

import re
import signal
import subprocess
import sys

import wire
from cluster import ROOT, Case, Cluster, claded, clean_environment, find_program, until

DOCUMENT = ROOT / 'docs' / 'configuration.md'
MARKS = '<!-- settings -->\n', '<!-- /settings -->'


def settings_table():
    return subprocess.run([find_program('claded_man', 'node'), 'settings'], capture_output=True,
                          text=True, check=True).stdout


def with_table(text):
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + settings_table() + MARKS[1] + rest.split(MARKS[1])[1]


class Document(Case):
    cost_s = 1

    def test_the_document_lists_the_settings_as_they_are(self):
        text = DOCUMENT.read_text()
        self.assertEqual(text, with_table(text), 'run tests/integration/test_reload.py --write')
        keys = re.findall(r'^\| `(\w+)`', text, re.M)
        printed = subprocess.run([claded(), '--print-config'], capture_output=True, text=True,
                                 check=True, env=clean_environment()).stdout
        self.assertEqual(keys, re.findall(r'^(\w+):', printed, re.M))


class Reload(Case):
    cost_s = 15

    def setUp(self):
        super().setUp()
        self.cluster = Cluster(1)
        self.addCleanup(self.cluster.close)
        self.node = self.cluster[1]
        self.loaded = 0

    def reload(self, **settings):
        """Writes the file, sends the signal; what the log said of it."""
        if settings:
            self.node.write_config(**settings)
        before = len(self.node.log_text())
        self.node.signal(signal.SIGHUP)

        def ended():
            said = self.node.log_text()[before:]
            return said if re.search('read again.*\n', said) else None
        return until(ended, 'the settings were read again')

    def check(self, *words, expect=0, env=None):
        done = subprocess.run([claded(), 'check-config', str(self.node.config), *map(str, words)],
                              capture_output=True, text=True, timeout=30, check=False,
                              env=clean_environment(**(env or {})))
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_a_reload_changes_what_it_can_and_names_what_waits(self):
        said = self.reload(log_format='json', connections_max=2, readers=3)
        self.assertIn('event="setting needs a restart to change" setting=readers from=2 to=3', said)
        self.assertIn('event="setting changed" setting=connections_max from=10000 to=2', said)
        self.assertIn('changed=2 need_restart=1', said)
        with self.node.client() as a, self.node.client() as b:
            a.status()
            b.status()
            with self.assertRaises(wire.Lost):
                self.node.client(timeout=5)
        # The log has the new form by now.
        self.assertRegex(self.reload(log_format='text'), r'"event":"the settings were read again",'
                         r'"file":"[^"]*claded.yaml","changed":2,"need_restart":0}')
        until(lambda: [self.node.client(timeout=5) for _ in range(3)], 'three may come again')
        said = self.reload()
        self.assertIn('changed=0 need_restart=0', said)

    def test_one_wrong_setting_and_nothing_changes(self):
        for settings, says in ((dict(connections_max=2, memory_max='12 bananas'), 'bananas'),
                               (dict(connections_max=2, colour='red'), 'colour'),
                               (dict(connections_max=2, heartbeat_ms=300), 'a third of')):
            said = self.reload(**settings)
            self.assertRegex(said, r'level=error event="the settings stay as they were')
            self.assertIn('claded.yaml', said)
            self.assertIn(says, said)
            clients = [self.node.client() for _ in range(4)]
            for client in clients:
                client.status()
                client.close()
        self.node.config.unlink()
        said = self.reload()
        self.assertIn('stay as they were', said)
        self.assertIn('No such file', said)

    def test_limits_of_log_archive_and_memory_follow_a_reload(self):
        big = 'd' * 60000

        def write(n):
            with self.node.client(timeout=30) as client:
                client.pipeline([('txn', {'command': wire.command([
                    wire.artifact(f'{big[:3]}-{self.loaded}-{i}', description=big)])})
                    for i in range(n)])
                self.loaded += 1
                return client.status()
        # 64 MiB before: no snapshot is taken of 6 MiB.
        self.assertEqual(write(100)['log']['snapshot'], 0)
        self.reload(log_bytes='2MiB', memory_max='32MiB', headroom_bytes='1MiB')
        until(lambda: write(20)['log']['snapshot'] > 0, 'a snapshot is taken above 2 MiB')
        # More than the disk has: writes stop, and go on.
        self.reload(headroom_bytes='1TiB')
        until(lambda: self.writes() == 'NO_SPACE', 'writes are refused')
        self.reload(headroom_bytes='1MiB')
        until(lambda: self.writes() is None, 'writes are taken again')

    def writes(self):
        self.loaded += 1
        try:
            with self.node.client(timeout=10) as client:
                client.txn([wire.artifact(f'one-{self.loaded}')])
            return None
        except wire.Failure as e:
            return e.code

    def test_flags_and_environment_go_on_winning(self):
        self.node.terminate()
        self.cluster.environment['CLADE_WATCH_STALL_MS'] = '7000'
        self.node.start()
        self.cluster.ready()
        said = self.reload(watch_stall_ms=9000, log_level='warning')
        self.assertNotIn('watch_stall_ms', said)
        self.assertIn('setting=log_level from=info to=warning', said)

    def test_check_config_says_how_each_change_comes_about(self):
        said = self.check('--data', self.node.data)
        self.assertEqual(said, 'the configuration is valid\nnothing changes\n')
        self.node.write_config(log_level='debug', readers=4, archive_bytes='2GiB')
        said = self.check('--data', self.node.data)
        self.assertIn('log_level: info -> debug (by a reload)\n', said)
        self.assertIn('readers: 2 -> 4 (needs a restart)\n', said)
        self.assertIn('archive_bytes: 1073741824 -> 2147483648 (by a reload)\n', said)
        self.assertIn('\n2 by a reload (SIGHUP), 1 by a restart\n', said)
        self.reload()
        said = self.check('--data', self.node.data)
        self.assertEqual(said.splitlines()[1:], ['readers: 2 -> 4 (needs a restart)',
                                                 '0 by a reload (SIGHUP), 1 by a restart'])
        other = self.cluster.folder / 'other.yaml'
        other.write_text(self.node.config.read_text().replace('readers: 4', 'readers: 5'))
        said = self.check('--running', other)
        self.assertIn('readers: 5 -> 4 (needs a restart)\n', said)

    def test_check_config_knows_what_flags_and_environment_hold(self):
        self.node.terminate()
        self.cluster.environment['CLADE_READERS'] = '6'
        self.node.start()
        self.cluster.ready()
        self.node.write_config(readers=3)
        said = self.check('--data', self.node.data)
        self.assertEqual(said.splitlines()[1:], ['readers: 6 -> 3 (stays: the environment says so)',
                                                 'nothing changes'])

    def test_check_config_refuses_what_a_start_would(self):
        self.node.write_config(listen='192.0.2.1:7400')
        self.assertIn('allow_unauthenticated', self.check(expect=2))
        self.node.write_config(listen='no-such-host.invalid:7400')
        self.assertIn('cannot be resolved', self.check(expect=2))
        self.node.write_config()
        for words, says in ((('--data', '/nonexistent'), 'settings.yaml'),
                            (('--running', '/nonexistent'), 'cannot be read'),
                            (('--running', self.node.config, '--data', self.node.data), 'one of'),
                            (('one',), 'no such command')):
            self.assertIn(says, self.check(*words, expect=2))
        done = subprocess.run([claded(), '--data', 'x', 'check-config'], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, 'behind check-config' in done.stderr), (2, True))


if __name__ == '__main__' and sys.argv[1:] == ['--write']:
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
