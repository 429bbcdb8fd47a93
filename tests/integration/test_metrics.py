"""Metrics and health over HTTP; docs/metrics.md is what a node tells of itself.

tests/integration/test_metrics.py --write makes docs/metrics.md anew.
"""

import http.client
import re
import shutil
import socket
import subprocess
import sys

import wire
from cluster import ROOT, Case, Cluster, free_ports, until

DOCS = ROOT / 'docs' / 'metrics.md'
BEGIN = '<!-- families -->\n'


def metrics_port(node, port):
    """Has a node that does not run answer there."""
    node.metrics = f'127.0.0.1:{port}'
    node.write_config(metrics_listen=node.metrics)


def get(node, path, method='GET', timeout=10, **headers):
    """(status, headers, text)."""
    c = http.client.HTTPConnection(node.metrics, timeout=timeout)
    try:
        c.request(method, path, headers=headers)
        r = c.getresponse()
        return r.status, r.headers, r.read().decode()
    finally:
        c.close()


def families(text):
    """name -> (type, help), in their order."""
    helps = dict(re.findall(r'^# HELP (\S+) (.*)$', text, re.M))
    return {name: (kind, helps[name])
            for name, kind in re.findall(r'^# TYPE (\S+) (\S+)$', text, re.M)}


def samples(text):
    """'name{labels}' -> number."""
    return {m[1]: float(m[2]) for m in re.finditer(r'^([^#\s].*) (\S+)$', text, re.M)}


def scrape(node):
    status, _, text = get(node, '/metrics')
    assert status == 200, (status, text)
    return samples(text)


def table(text):
    """What docs/metrics.md has of a page."""
    return '| metric | type | what it says |\n|---|---|---|\n' + ''.join(
        f'| `{name}` | {kind} | {said} |\n' for name, (kind, said) in families(text).items())


class MetricsCluster(Cluster):
    def __init__(self, n=3, start=True, **settings):
        super().__init__(n, start=False, **settings)
        for node, port in zip(self.nodes, free_ports(n)):
            metrics_port(node, port)
        if start:
            self.start()


class Metrics(Case):
    cost_s = 15

    def test_a_scrape_is_what_prometheus_reads_and_the_docs_say(self):
        with MetricsCluster() as c:
            with c.leader().client() as client:
                client.txn([wire.artifact('a')])
                client.get('artifact/a')
                self.refused('NOT_FOUND', client.call, 'lineage', {'ref': 'artifact/none'})
            for node in c.nodes:
                status, headers, text = get(node, '/metrics')
                self.assertEqual(status, 200)
                self.assertEqual(headers['Content-Type'],
                                 'text/plain; version=0.0.4; charset=utf-8')
                self.assertTrue(shutil.which('promtool'), 'promtool is missing: deploy/packages test')
                checked = subprocess.run(['promtool', 'check', 'metrics'], input=text, timeout=30,
                                         capture_output=True, text=True, check=False)
                self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, '', ''))
                self.assertEqual(DOCS.read_text().partition(BEGIN)[2].split('\n<!--')[0],
                                 table(text), 'tests/integration/test_metrics.py --write')
            self.openmetrics(c.nodes[0])

    def openmetrics(self, node):
        _, headers, text = get(node, '/metrics', Accept='application/openmetrics-text;q=1,*/*;q=0.1')
        self.assertEqual(headers['Content-Type'],
                         'application/openmetrics-text; version=1.0.0; charset=utf-8')
        self.assertTrue(text.endswith('\n# EOF\n'))
        self.assertIn('# TYPE clade_requests counter\n', text)
        self.assertRegex(text, r'\nclade_requests_total\{')
        _, _, plain = get(node, '/metrics')
        self.assertEqual(set(families(text)), {re.sub('_total$', '', n) for n in families(plain)})

    def test_what_is_counted_is_what_happened(self):
        with MetricsCluster() as c:
            leader = c.leader()
            before = scrape(leader)
            with leader.client() as client:
                client.txn([{'op': 'create', 'kind': 'namespace', 'name': 'team'}])
                client.get('namespace/team')  # until it is published it is none of those that exist
                for i in range(5):
                    client.call('txn', {'command': wire.command([wire.artifact(f'a{i}')],
                                                                ns='team')})
                self.refused('NOT_FOUND', client.call, 'get', {'refs': ['artifact/x'], 'ns': 'no'})
            after = until(lambda: (s := scrape(leader))['clade_connections'] == 0 and s,
                          'the connection is gone')

            def rose(name):
                return after.get(name, 0) - before.get(name, 0)
            self.assertEqual(rose('clade_requests_total{method="txn",outcome="OK"}'), 6)
            self.assertEqual(rose('clade_requests_total{method="get",outcome="NOT_FOUND"}'), 1)
            self.assertEqual(rose('clade_request_duration_seconds_count{method="txn"}'), 6)
            self.assertEqual(rose('clade_namespace_request_duration_seconds_count'
                                  '{namespace="team",type="write"}'), 5)
            self.assertFalse([name for name in after if 'namespace="no"' in name])
            self.assertGreaterEqual(rose('clade_commands_applied_total'), 6)
            self.assertGreaterEqual(rose('clade_raft_log_append_duration_seconds_count'), 6)
            self.assertGreaterEqual(rose('clade_store_commit_duration_seconds_count'), 6)
            self.assertGreaterEqual(rose('clade_apply_batch_duration_seconds_sum'),
                                    rose('clade_store_commit_duration_seconds_sum') - 1e-5)
            self.assertEqual(rose('clade_revision'), 6)
            self.told(leader)
            self.assertEqual(after['clade_raft_has_leader'], 1)
            self.assertEqual(sum(scrape(n)['clade_raft_is_leader'] for n in c.nodes), 1)
            self.assertEqual(after['clade_requests_in_flight'], 0)
            self.assertGreater(after['clade_store_used_bytes'], after['clade_store_free_bytes'])
            self.assertGreater(after['process_resident_memory_bytes'], 1e6)
            for number in (1, 2, 3):
                self.assertEqual(after[f'clade_member_connected{{member="{number}"}}'], 1)
            changes = {n: scrape(n)['clade_raft_leader_changes_total'] for n in c.followers()}
            leader.kill()
            c.leader()
            for node, was in changes.items():
                until(lambda node=node, was=was:
                      scrape(node)['clade_raft_leader_changes_total'] > was,
                      f'node {node.number} counts the new leader')
                self.assertEqual(
                    scrape(node)[f'clade_member_connected{{member="{leader.number}"}}'], 0)

    def told(self, leader):
        """A watch, and what it is told, is counted."""
        with leader.client() as client:
            client.send('watch', {'from': 1, 'credit': 1 << 20})
            until(lambda: scrape(leader)['clade_watch_events_total'] >= 6, 'it was told of all')
            self.assertEqual(scrape(leader)['clade_watches'], 1)
        until(lambda: scrape(leader)['clade_watches'] == 0, 'its client is gone')

    def test_a_node_is_ready_only_with_a_leader(self):
        with MetricsCluster() as c:
            node = c.nodes[0]
            until(lambda: get(node, '/readyz')[0] == 200, 'it is ready')
            self.assertEqual(get(node, '/readyz')[2], 'ok\n')
            self.assertEqual(get(node, '/livez')[2], 'ok\n')
            status, _, text = get(node, '/readyz?verbose')
            self.assertEqual(status, 200)
            self.assertEqual(re.findall(r'^\[\+\](\S+) ok$', text, re.M),
                             ['running', 'raft', 'leader', 'lag', 'copy', 'digest', 'store_full'])
            self.assertTrue(text.endswith('\nreadyz ok\n'))
            self.assertRegex(get(node, '/livez?verbose')[2],
                             r'^\[\+\]raft ok\n\[\+\]main ok\n\[\+\]serve-0 ok\n')
            for other in c.nodes[1:]:
                other.kill()
            until(lambda: get(node, '/readyz')[0] == 503, 'it has no leader')
            self.assertRegex(get(node, '/readyz')[2], r'\n\[-\]leader: no leader is known \(runbook')
            self.assertEqual(get(node, '/livez')[0], 200)
            found = samples(get(node, '/metrics')[2])
            self.assertEqual(found['clade_raft_has_leader'], 0)
            self.assertEqual(found['clade_alarm{alarm="no_leader"}'], 1)
            self.assertEqual(found['clade_alarm{alarm="clock"}'], 0)
            for other in c.nodes[1:]:
                other.start()
            until(lambda: get(node, '/readyz')[0] == 200, 'it is ready again')

    def test_what_is_asked_wrongly_is_refused_and_no_client_holds_up_another(self):
        with MetricsCluster(1) as c:
            node = c.nodes[0]
            status, headers, _ = get(node, '/metrics', method='POST')
            self.assertEqual((status, headers['Allow']), (405, 'GET, HEAD'))
            self.assertEqual(get(node, '/')[0], 404)
            status, _, text = get(node, '/metrics', method='HEAD')
            self.assertEqual((status, text), (200, ''))
            host, port = node.metrics.split(':')
            idle = [socket.create_connection((host, int(port)), 5) for _ in range(20)]
            for s in idle[:5]:
                s.sendall(b'GET /metrics HTTP/1.1\r\nX: ' + b'y' * 40000)
            for s in idle[5:10]:
                s.sendall(self.rng.randbytes(500) + b'\r\n\r\n')
            self.assertEqual(get(node, '/readyz')[0], 200)
            for s in idle:
                s.close()
            self.assertTrue(node.alive())
            self.assertEqual(scrape(node)['clade_raft_has_leader'], 1)

    def test_an_address_that_cannot_be_listened_on_is_named(self):
        with Cluster(1, start=False) as c, socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            s.listen()
            node = c.nodes[0]
            metrics_port(node, s.getsockname()[1])
            node.start()
            self.assertEqual(node.wait_exit(), 1)
            self.assertRegex(node.log_tail(), r'where=\S*127\.0\.0\.1:\d+.*metrics_listen: cannot '
                                              r'listen: Address already in use')
            node.write_config(metrics_listen='0.0.0.0:7480')
            node.start()
            self.assertEqual(node.wait_exit(), 2)
            self.assertIn('metrics_listen is not a loopback address', node.log_tail())


class CatchingUp(Case):
    cost_s = 20

    def test_a_member_that_takes_a_copy_is_not_ready_before_it_has_it(self):
        with MetricsCluster(3, log_bytes='1MiB', archive_bytes='32MiB',
                            catch_up_rate_bytes='8MiB') as c:
            with c.leader().client() as client:
                for _ in range(65):
                    client.txn([wire.artifact(f'a{i}-{self.rng.random()}', description='x' * 60000)
                                for i in range(10)])
            before = sum(scrape(n)['clade_supplied_bytes_total'] for n in c.nodes)
            node = c.new_node(start=False)
            metrics_port(node, free_ports(1)[0])
            node.start()
            c.member('add', node, wait=False)
            until(lambda: scrape(node)['clade_catch_up_copy_bytes'] > 0, 'it takes a copy', 60)
            self.assertEqual(get(node, '/readyz')[0], 503)
            self.assertIn('[-]copy: ', get(node, '/readyz')[2])
            until(lambda: 1 in [scrape(n)['clade_supply_copies_open'] for n in c.nodes[:3]],
                  'another one gives it')
            until(lambda: get(node, '/readyz')[0] == 200, 'it is ready', 120)
            after = sum(scrape(n)['clade_supplied_bytes_total'] for n in c.nodes)
            self.assertGreater(after - before, 1 << 20)
            self.assertEqual(scrape(node)['clade_catch_up_copies_total'], 1)


class Slow(Case):
    cost_s = 10

    def slow_lines(self, node, method):
        return [dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line))
                for line in node.log_text().splitlines()
                if 'event="slow request"' in line and f'method={method} ' in line]

    def test_slow_requests_are_logged_with_what_they_did_and_nothing_of_the_data(self):
        with MetricsCluster(3, slow_request_ms=1) as c:
            leader = c.leader()
            with leader.client() as client:
                client.txn([wire.artifact('hub')])
                for begin in range(0, 4000, 1000):
                    ops = []
                    for i in range(begin, begin + 1000):
                        ops += [wire.artifact(f'a{i}', tags={'k': f'secret-{i}'}),
                                {'op': 'link', 'from': f'${len(ops)}', 'label': 'derived_from',
                                 'to': 'artifact/hub'}]
                    client.txn(ops)
                client.call('search', {'kind': 'artifact',
                                       'query': "tags.k ILIKE '%SECRET-39%' AND name != 'x'"})
                client.call('lineage', {'ref': 'artifact/hub', 'direction': 'down', 'view': 'full'})
                self.assertGreaterEqual(scrape(leader)['clade_slow_requests_total'], 2)
            search = self.slow_lines(leader, 'search')[0]
            self.assertEqual(search['query'], '"tags.k ILIKE ? AND name != ?"')
            self.assertEqual((search['outcome'], search['user']), ('OK', 'tester'))
            self.assertEqual((search['things'], search['matched']), ('4001', '111'))
            self.assertRegex(search['plan'], r'^"all >?=?\d+; order ids"$')
            parts = [int(search[k]) for k in ('wait_ms', 'queue_ms', 'work_ms')]
            self.assertLessEqual(sum(parts), int(search['ms']))
            self.assertGreaterEqual(int(search['work_ms']), 1)
            lineage = self.slow_lines(leader, 'lineage')[0]
            self.assertEqual(lineage['met'], '4000')
            self.assertEqual(lineage['items'], '1000')
            self.assertIn(lineage['edges_by'], ('index', 'tables'))
            txn = self.slow_lines(leader, 'txn')[0]
            self.assertLessEqual(int(txn['wait_ms']) + int(txn['work_ms']), int(txn['ms']))
            self.assertNotIn('secret-', leader.log_text().lower())

    def test_a_write_without_a_majority_is_slow_at_work_and_not_in_the_queue(self):
        with MetricsCluster(3, slow_request_ms=200, election_timeout_ms=3000) as c:
            leader = c.leader()
            for node in c.followers():
                node.pause()
            with leader.client() as client:
                with self.assertRaises(wire.Failure):
                    client.txn([wire.artifact('a')], deadline_ms=400)
            line = self.slow_lines(leader, 'txn')[0]
            self.assertIn(line['outcome'], ('UNKNOWN', 'UNAVAILABLE'))
            self.assertGreaterEqual(int(line['work_ms']), 200)
            self.assertLess(int(line['wait_ms']), 200)

    def test_without_the_setting_nothing_is_slow(self):
        with MetricsCluster(1, slow_request_ms=0) as c:
            with c.nodes[0].client() as client:
                client.txn([wire.artifact('a')])
            self.assertEqual(scrape(c.nodes[0])['clade_slow_requests_total'], 0)


def write_docs():
    with MetricsCluster(1) as c:
        made = table(get(c.nodes[0], '/metrics')[2])
    before, _, old = DOCS.read_text().partition(BEGIN)
    DOCS.write_text(before + BEGIN + made + old[old.index('\n<!-- end -->'):])


if __name__ == '__main__':
    if sys.argv[1:] != ['--write']:
        sys.exit(__doc__)
    write_docs()
