"""The pages of deploy/runbook.md that need no damage: each command on them runs as it stands."""

import pathlib
import re
import subprocess

import wire
from cluster import Case, clade, claded, clean_environment
from test_metrics import MetricsCluster
from test_runbook import RUNBOOK, commands

HERE = pathlib.Path(__file__).resolve().parent


class Pages(Case):
    cost_s = 25

    def run_block(self, c, block, **variables):
        folders = {str(p).rpartition('/')[0]: None for p in (clade(), claded())}
        env = clean_environment(PATH=':'.join([*folders, '/usr/bin', '/bin']),
                                CLADE_ENDPOINTS=','.join(n.address for n in c.running()),
                                METRICS=c.nodes[0].metrics, **variables)
        done = subprocess.run(['bash', '-euo', 'pipefail', '-c', block], capture_output=True,
                              text=True, timeout=90, check=False, env=env, cwd=c.folder)
        self.assertEqual(done.returncode, 0, f'{block}\n{done.stdout}\n{done.stderr}')
        return done.stdout

    def run_page(self, title, c, **variables):
        """Runs all blocks of a page; what each printed."""
        return [self.run_block(c, block, **variables) for block in commands(title)]

    def test_every_page_is_run_by_some_test(self):
        tests = ''.join(p.read_text() for p in HERE.glob('test_*.py'))
        for title in re.findall(r'^## (.*)$', RUNBOOK.read_text(), re.M):
            if commands(title):
                self.assertIn(f"'{title}'", tests, f'no test runs the commands of {title}')

    def test_the_pages_do_what_they_say(self):
        with MetricsCluster(3) as c:
            with c.leader().client() as client:
                client.txn([{'op': 'create', 'kind': 'namespace', 'name': 'team'}])
                client.get('namespace/team')
                client.call('txn', {'command': wire.command([wire.artifact('a')], ns='team')})
            self.slow_disk(c)
            self.leader_flapping(c)
            self.hot_namespace(c)
            self.assertIn('clock_offset_us', self.run_page('Clock off', c)[0])
            self.disk_full(c)

    def slow_disk(self, c):
        before = c.leader().number
        means, moved, status = self.run_page('Slow disk', c)
        counts = dict(re.findall(r'^clade_(\w+)_duration_seconds_count (\d+)$', means, re.M))
        self.assertEqual(set(counts), {'raft_log_append', 'store_commit'})
        self.assertGreater(int(counts['raft_log_append']), 0)
        self.assertIn(f'node {before} leads', moved)
        self.assertNotEqual(c.leader().number, before)
        self.assertIn('lag', status)

    def leader_flapping(self, c):
        old = c.followers()[0]
        c.all_heard()
        looked, demoted, promoted = self.run_page('Leader flapping', c, OLD=str(old.number))
        self.assertRegex(looked, r'\nclade_raft_term \d+\n')
        self.assertIn('clade_member_connected{member="1"} 1', looked)
        self.assertIn(f'node {old.number} is a standby', demoted)
        self.assertIn(f'node {old.number} is a voter', promoted)

    def hot_namespace(self, c):
        counts, wrote, _, _ = self.run_page('Hot namespace', c, HOT='team')
        self.assertIn('type="write"', counts)
        self.assertIn('artifact/a', wrote)
        changes = self.run_cli(c, 'audit', 'namespace/team').stdout
        self.assertIn('it holds up the others', changes)

    def disk_full(self, c):
        """History goes; the store of a node that is stopped is written anew, and its folder copied."""
        leader = c.leader()
        transfer, compact, shrink, copy = commands('Disk full')
        self.run_block(c, transfer)
        self.assertIsNot(c.leader(), leader)
        self.assertIn('namespace/default', self.run_block(c, compact, NS='default',
                                                          WHEN='2026-01-01'))
        node = c.nodes[0]
        node.terminate()
        said = self.run_page('Failing disk', c, DATA=str(node.data))
        self.assertIn('sound', said[0])
        self.assertRegex(self.run_block(c, shrink, DATA=str(node.data)), r'\d+ bytes')
        larger = c.folder / 'larger'
        larger.mkdir()
        self.assertIn('/larger/disk/clade/', copy)
        self.run_block(c, copy.replace('/larger/disk/clade', str(larger)), DATA=str(node.data))
        node.data = larger
        node.write_config(metrics_listen=node.metrics)
        node.start()
        c.digests()
