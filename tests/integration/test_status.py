"""clade cluster status: each node is asked for itself."""

import re

from cluster import Case, Cluster, until


class Status(Case):
    cost_s = 12

    def all_known(self, c):
        until(lambda: all(m['client'] for m in self.run_json(c, 'cluster', 'status')
                          ['data']['members']), 'all addresses are known')

    def rows(self, text):
        """node number -> its cells."""
        lines = text.split('\n\n')[1].splitlines()
        self.assertEqual(re.split(r' {2,}', lines[0].strip()),
                         ['node', 'role', 'state', 'published', 'lag', 'digest', 'store',
                          'disk free', 'clock', 'version', 'clients'])
        return {int(cells[0]): cells for cells in (re.split(r' {2,}', l.strip())
                                                   for l in lines[1:])}

    def test_each_node_says_itself_how_it_is_and_one_that_does_not_is_shown(self):
        with Cluster() as c:
            leader = c.leader()
            self.run_cli(c, 'artifact', 'create', 'a')
            c.digests()
            self.all_known(c)
            text = self.run_cli(c, '--timeout', '10s', 'cluster', 'status').stdout
            rows = self.rows(text)
            self.assertEqual(sorted(rows), [1, 2, 3])
            self.assertEqual({r[4] for r in rows.values()}, {'0'})
            self.assertEqual(len({r[5] for r in rows.values()}), 1)
            for node in c.nodes:
                self.assertEqual(rows[node.number][1:3],
                                 ['voter', 'leads' if node is leader else
                                  f'follows {leader.number}'])
                self.assertEqual(rows[node.number][-1], node.address)
            self.assertIn('\nalarms\n  none\n', text)
            self.one_dead(c, leader)

    def one_dead(self, c, leader):
        dead, frozen = c.followers()
        dead.kill()
        text = self.run_cli(c, '--timeout', '1s', 'cluster', 'status', node=leader).stdout
        self.assertEqual(self.rows(text)[dead.number][2], 'no answer')
        self.assertEqual(self.rows(text)[leader.number][2], 'leads')
        self.assertRegex(text, rf'\n  node {dead.number}: no answer: .*refused.*'
                               r'\(runbook: lost node\)\n')
        frozen.pause()
        until(lambda: self.run_json(c, 'cluster', 'status', node=leader)['data']['leader'] == 0,
              'the leader knows that it leads no more')
        done = self.run_json(c, '--timeout', '1s', 'cluster', 'status', node=leader)
        nodes = {n['id']: n for n in done['data']['nodes']}
        self.assertEqual([nodes[n.number]['answers'] for n in (leader, dead, frozen)],
                         [True, False, False])
        self.assertEqual(nodes[leader.number]['status']['node'], leader.number)
        self.assertEqual(nodes[leader.number]['status']['alarms'],
                         ['no leader is known (runbook: lost node)'])
        self.assertTrue(nodes[frozen.number]['error'])
        for key in ('free', 'bytes', 'headroom'):
            self.assertGreater(nodes[leader.number]['status']['disk'][key], 0)
        text = self.run_cli(c, '--timeout', '1s', 'cluster', 'status', node=leader).stdout
        self.assertIn(f'\n  node {leader.number}: no leader is known (runbook: lost node)\n', text)
        lines = self.run_cli(c, '-w', 'ndjson', '--timeout', '1s', 'cluster', 'status',
                             node=leader).stdout
        self.assertEqual(lines.count('\n'), 1)
        frozen.resume()

    def test_another_node_at_its_address_does_not_answer_for_it(self):
        with Cluster() as c:
            first, moved, gone = c.nodes
            self.all_known(c)
            gone.terminate()
            moved.terminate()
            moved.address = gone.address
            moved.write_config()
            moved.start()

            def answers():
                nodes = self.run_json(c, '--timeout', '2s', 'cluster', 'status',
                                      node=first)['data']['nodes']
                return {n['id']: n for n in nodes if n['client'] == gone.address}
            found = until(lambda: len(n := answers()) == 2 and n, 'both have that address')
            self.assertTrue(found[moved.number]['answers'])
            self.assertFalse(found[gone.number]['answers'])
            self.assertIn('another node', found[gone.number]['error'])
