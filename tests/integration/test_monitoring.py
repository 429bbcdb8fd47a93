"""deploy/prometheus and deploy/grafana: rules and dashboard go by what nodes tell, a real Prometheus
reads it, and each alert, alarm and error names a page of the runbook that there is."""

import http.client
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.parse

import wire
from cluster import ROOT, Case, free_ports, until
from test_metrics import MetricsCluster, families, get, samples

PROMETHEUS = ROOT / 'deploy' / 'prometheus'
RULES = PROMETHEUS / 'clade.rules.yml'
DASHBOARD = ROOT / 'deploy' / 'grafana' / 'clade.json'
RUNBOOK = ROOT / 'deploy' / 'runbook.md'
# In a sentence, or a field of its own in a log.
PAGE = re.compile(r'runbook(?::\s*|", ")([a-z ]+?)[)"]')


def expressions():
    """Every expression of the rules and the dashboard."""
    rules = re.findall(r'^ +expr: (?:>-\n)?((?:.|\n(?! +(?:for|labels):))+)', RULES.read_text(), re.M)
    panels = json.loads(DASHBOARD.read_text())['panels']
    return [(f'rule {e.split()[0]}', e) for e in rules] + [
        (f"panel {p['title']}", t['expr']) for p in panels for t in p.get('targets', ())]


def names_of(expression):
    names = set(re.findall(r'\b((?:clade|process)_\w+)', re.sub(r'"[^"]*"', '""', expression)))
    return {re.sub('_(bucket|count|sum)$', '', n) if re.search('_seconds_(bucket|count|sum)$', n)
            else n for n in names}


def sources():
    for folder in ('client', 'consensus', 'node', 'storage'):
        for path in sorted((ROOT / folder).rglob('*.c')):
            # A message may be cut into several literals, and be a macro's.
            yield path, re.sub(r'"\s*"', '', path.read_text())


def pages():
    return [t.lower() for t in re.findall(r'^## (.*)$', RUNBOOK.read_text(), re.M)]


def anchor(page):
    return page.lower().replace(' ', '-')


class Runbook(Case):
    cost_s = 1

    def test_each_page_that_is_named_is_there_and_each_page_is_named(self):
        named = {}
        for path, text in sources():
            for page in PAGE.findall(text):
                named.setdefault(page, path.name)
        self.assertGreater(len(named), 3)
        there = pages()
        for page, path in named.items():
            self.assertIn(page, there, f'{path} names a page of the runbook that is not there')
        alerts = re.findall(r'^ +runbook: (\S+)$', RULES.read_text(), re.M)
        self.assertEqual(len(alerts), RULES.read_text().count('- alert: '))
        anchors = {f'runbook.md#{anchor(p)}' for p in there}
        self.assertEqual(set(alerts) - anchors, set())
        unnamed = [p for p in there if p not in named and f'runbook.md#{anchor(p)}' not in alerts]
        self.assertEqual(unnamed, [], 'pages that no message and no alert leads to')


class Monitoring(Case):
    cost_s = 20

    def promtool(self, *words):
        done = subprocess.run(['promtool', *words], capture_output=True, text=True, timeout=60,
                              check=False, cwd=PROMETHEUS)
        self.assertEqual(done.returncode, 0, f'{words}\n{done.stdout}\n{done.stderr}')

    def test_the_rules_are_right_and_alert_when_they_should(self):
        self.promtool('check', 'config', 'prometheus.yml')
        self.promtool('check', 'rules', 'clade.rules.yml')
        self.promtool('test', 'rules', 'clade.rules.test.yml')
        alerts = set(re.findall(r'- alert: (\w+)', RULES.read_text()))
        tested = set(re.findall(r'alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:',
                                (PROMETHEUS / 'clade.rules.test.yml').read_text()))
        self.assertEqual(alerts - tested, set(), 'alerts that no test has seen')

    def test_rules_and_dashboard_go_by_metrics_that_there_are_and_prometheus_reads_them(self):
        with MetricsCluster() as c:
            with c.leader().client() as client:
                client.txn([wire.artifact('a')])
            page = get(c.nodes[0], '/metrics')[2]
            there = families(page)
            self.assertGreater(len(expressions()), 40)
            for where, expression in expressions():
                names = names_of(expression)
                self.assertTrue(names or 'up{' in expression, where)
                self.assertEqual(names - set(there), set(), where)
            found = samples(page)
            for alarm in {a for _, e in expressions() for m in re.findall('alarm=~?"([^"]+)"', e)
                          for a in m.split('|')}:
                self.assertIn(f'clade_alarm{{alarm="{alarm}"}}', found)
            self.real(c)

    def real(self, c):
        """A Prometheus of its own reads the nodes, as OpenMetrics, and evaluates the rules."""
        program = shutil.which('prometheus')
        if program is None:
            self.skipTest('without prometheus')
        folder = pathlib.Path(tempfile.mkdtemp(prefix='clade-prom-'))
        shutil.copy(RULES, folder)
        text = (PROMETHEUS / 'prometheus.yml').read_text()
        for node, port in zip(c.nodes, (7480, 7481, 7482)):
            text = text.replace(f'127.0.0.1:{port}', node.metrics)
        (folder / 'prometheus.yml').write_text(text.replace('15s', '1s'))
        address = f'127.0.0.1:{free_ports(1)[0]}'
        with open(folder / 'log', 'wb') as log:
            process = subprocess.Popen(
                [program, f'--config.file={folder}/prometheus.yml', f'--web.listen-address={address}',
                 f'--storage.tsdb.path={folder}/data', '--log.level=warn'],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            self.asked(c, address)
        except BaseException:
            print((folder / 'log').read_text(), flush=True)
            raise
        finally:
            process.kill()
            process.wait(30)
            shutil.rmtree(folder, ignore_errors=True)

    def asked(self, c, address):
        def api(path, **parameters):
            connection = http.client.HTTPConnection(address, timeout=10)
            try:
                connection.request('GET', f'/api/v1/{path}?{urllib.parse.urlencode(parameters)}')
                response = connection.getresponse()
                if response.status == 503:
                    raise ConnectionError('prometheus starts')
                return json.loads(response.read())['data']
            finally:
                connection.close()

        def value(query):
            result = api('query', query=query)['result']
            return float(result[0]['value'][1]) if result else None
        until(lambda: value('sum(up{job="clade"})') == 3, 'prometheus reads all nodes', 30)
        until(lambda: value('sum(clade_raft_is_leader)') == 1, 'it knows the leader')
        targets = api('targets')['activeTargets']
        self.assertEqual([t['lastError'] for t in targets], ['', '', ''])
        groups = until(lambda: (g := api('rules')['groups']) and
                       all(r['health'] == 'ok' for r in g[0]['rules']) and g,
                       'the rules were evaluated', 30)
        self.assertEqual(len(groups[0]['rules']), RULES.read_text().count('- alert: '))
        for title, query in expressions():
            if title.startswith('panel'):
                query = query.replace('$__rate_interval', '1m').replace('$job', 'clade').replace(
                    '$instance', '.*')
                self.assertIn('result', api('query', query=query), title)
        dead = c.followers()[0]
        dead.kill()
        until(lambda: value('sum(up{job="clade"})') == 2, 'it sees that a node is gone')
