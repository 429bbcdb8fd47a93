"""clade cluster verify: what all nodes have is compared at one index, while it is used."""

import re
import subprocess

import test_metrics
from cluster import Case, Cluster, Writers, clade, clean_environment, free_ports, until
from wire import artifact


class Verify(Case):
    cost_s = 20

    def verify(self, cluster, *words, node=None, expect=0):
        done = self.run_json(cluster, *words, 'cluster', 'verify', node=node, expect=expect)['data']
        return done, {n['id']: n for n in done['nodes']}

    def results(self, nodes):
        return {number: n['result'] for number, n in nodes.items()}

    def test_nodes_under_load_are_the_same_at_one_index(self):
        with Cluster() as c, Writers(c, 4, self.rng) as writers:
            c.all_told()
            writers.wait_acked(300)
            for _ in range(5):
                before = len(writers.acked)
                with c.leader().client() as client:
                    client.txn([artifact('seen' + str(before))])
                    committed = client.status()['commit']
                done, nodes = self.verify(c)
                self.assertEqual(done['result'], 'same')
                self.assertGreaterEqual(done['index'], committed, 'what was acknowledged is in it')
                self.assertEqual(self.results(nodes), {1: 'same', 2: 'same', 3: 'same'})
                for n in nodes.values():
                    self.assertEqual(n['index'], done['index'])
                    self.assertEqual(n['digest'], nodes[1]['digest'])
                    self.assertEqual(n['found'], n['digest'], 'the sums were made anew of rows')
                    self.assertGreater(n['rows'], before)
                writers.wait_acked(before + 20)
            writers.stop()
            text = self.run_cli(c, 'cluster', 'verify').stdout
            self.assertRegex(text, r'all 3 nodes have the same at index \d+\n$')

    def test_a_row_that_rotted_is_found_and_its_node_named(self):
        with Cluster(start=False) as c:
            for node, port in zip(c.nodes, free_ports(3)):
                test_metrics.metrics_port(node, port)
            c.start()
            c.all_told()
            self.run_cli(c, 'artifact', 'create', 'a', '--description', 'what-will-rot')
            for n in c.nodes:
                self.run_cli(c, 'get', 'artifact/a', node=n)  # linearizable: it is committed there
            rotten = self.rng.choice(c.nodes)
            self.rot(rotten, b'what-will-rot')
            done, nodes = self.verify(c, expect=1)
            self.assertEqual(done['result'], 'different')
            self.assertEqual(self.results(nodes), {
                n.number: 'damaged' if n is rotten else 'same' for n in c.nodes})
            self.assertRegex(nodes[rotten.number]['bad'],
                             r'the row [0-9a-f]+ of table things does not match its checksum')
            text = self.run_cli(c, 'cluster', 'verify', expect=1).stdout
            self.assertRegex(text, rf'node {rotten.number}: 1 damaged row, the first: the row .* of '
                                   r'table things .* \(runbook: damaged node\)\n2 of 3 nodes')
            until(lambda: 'a scan of the store found damaged rows' in rotten.log_text(),
                  'the node itself says so')
            for n in c.nodes:
                found = test_metrics.scrape(n)['clade_store_damage_found_total']
                self.assertEqual(found > 0, n is rotten)

    def test_a_row_of_history_that_rotted_is_found_though_no_digest_covers_it(self):
        with Cluster() as c:
            c.all_told()
            self.run_cli(c, 'artifact', 'create', 'a', '--description', 'what-was')
            self.run_cli(c, 'artifact', 'update', 'a', '--description', 'what-is')
            for n in c.nodes:
                self.run_cli(c, 'get', 'artifact/a', node=n)
            rotten = self.rng.choice(c.nodes)
            self.rot(rotten, b'what-was')
            _, nodes = self.verify(c, expect=1)
            self.assertEqual(self.results(nodes), {
                n.number: 'damaged' if n is rotten else 'same' for n in c.nodes})
            self.assertEqual(nodes[rotten.number]['found'], nodes[rotten.number]['digest'])
            self.assertIn('of table history', nodes[rotten.number]['bad'])

    @staticmethod
    def rot(node, text):
        """Flips a bit of it in the file, which the node has mapped."""
        path = node.data / 'store' / '1' / 'data.mdb'
        places = [m.start() for m in re.finditer(re.escape(text), path.read_bytes())]
        assert places
        with open(path, 'r+b') as f:
            for at in places:
                f.seek(at)
                f.write(bytes([text[0] ^ 1]))

    def test_nodes_that_do_not_answer_make_it_incomplete(self):
        with Cluster() as c:
            c.all_told()
            self.run_cli(c, 'artifact', 'create', 'a')
            c.digests()
            dead, left = c.followers()
            dead.kill()
            done, nodes = self.verify(c, '--timeout', '2s', node=left, expect=1)
            self.assertEqual(done['result'], 'incomplete')
            self.assertEqual(self.results(nodes), {
                n.number: 'no answer' if n is dead else 'same' for n in c.nodes})
            self.assertTrue(nodes[dead.number]['error'])
            text = self.run_cli(c, '--timeout', '2s', 'cluster', 'verify', node=left, expect=1).stdout
            self.assertIn('(runbook: lost node)\nincomplete: 2 of 3 nodes were compared', text)

    def test_one_scan_at_a_time_and_one_whose_client_is_gone_ends(self):
        with Cluster(1, catch_up_rate_bytes='1MiB') as c, Writers(c, 4, self.rng) as writers:
            c.all_told()
            writers.wait_acked(5000, timeout=120)
            writers.stop()
            run = subprocess.Popen([clade(), '-e', c[1].address, 'cluster', 'verify'],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=clean_environment())
            try:
                with c[1].client() as one:
                    def is_taken():
                        if run.poll() is not None:
                            raise AssertionError('it was too fast')
                        try:
                            one.call('verify', {'action': 'pin', 'id': 5})
                            one.call('verify', {'action': 'close', 'id': 5})
                        except Exception as e:
                            return getattr(e, 'code', None) == 'THROTTLED'
                    until(is_taken, 'its scan is under way')
            finally:
                run.kill()
                run.wait()
            with c[1].client() as one:
                until(lambda: one.call('verify', {'action': 'pin', 'id': 7}),
                      'nobody looks at it, so it ends', timeout=60)
                self.refused('NOT_FOUND', one.call, 'verify', {'action': 'look', 'id': 5})
                one.call('verify', {'action': 'close', 'id': 7})
