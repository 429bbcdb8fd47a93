"""deploy/runbook.md: its commands do what it says."""

import re
import subprocess

from cluster import (ROOT, Case, Cluster, Node, Writers, clade, claded, clean_environment, free_ports,
                     until)

RUNBOOK = ROOT / 'deploy' / 'runbook.md'


def commands(section):
    """The blocks of commands of a section of the runbook, in order."""
    text = RUNBOOK.read_text().split(f'\n## {section}\n')[1].split('\n## ')[0]
    return re.findall(r'^ *```sh\n(.*?)^ *```$', text, re.M | re.S)


class DamagedNode(Case):
    cost_s = 20

    def run_block(self, block, **variables):
        folders = {str(p).rpartition('/')[0]: None for p in (clade(), claded())}
        env = clean_environment(PATH=':'.join([*folders, '/usr/bin', '/bin']), **variables)
        done = subprocess.run(['bash', '-euc', block], capture_output=True, text=True, timeout=90,
                              check=False, env=env)
        self.assertEqual(done.returncode, 0, f'{block}\n{done.stdout}\n{done.stderr}')
        return done.stdout

    def damage(self, node):
        """Takes a byte of its term; the node says what to do, and stops."""
        path = node.data / 'raft' / 'metadata1'
        node.kill()
        path.write_bytes(path.read_bytes()[:-1])
        node.start()
        self.assertEqual(node.wait_exit(), 3)
        self.assertIn('(runbook: damaged node)', node.log_tail())

    def test_the_page_on_a_damaged_node_puts_a_new_one_in_its_place(self):
        aside, remove, add, init, wait, compare = commands('Damaged node')
        with Cluster() as c, Writers(c, 4, self.rng, patience=60) as writers:
            writers.wait_acked(200)
            old = c.followers()[0]
            self.damage(old)
            c.nodes.remove(old)
            c.former.append(old)
            new = Node(c, 4, free_ports(1)[0], int(old.peer_address.split(':')[1]))
            new.data = old.data
            new.write_config(data=old.data)
            variables = {'CLADE_ENDPOINTS': c.endpoints(), 'OLD': str(old.number), 'NEW': '4',
                         'DATA': str(old.data), 'PEER': new.peer_address, 'LISTEN': new.address}
            self.run_block(aside, **variables)
            c.all_heard()
            self.run_block(remove, **variables)
            told = self.run_block(add, **variables)
            self.run_block(init, CLUSTER=re.search(r'--cluster (\w+)', told).group(1),
                           MEMBERS=' '.join(re.findall(r'--member \S+', told)), **variables)
            c.nodes.append(new)
            new.start()
            self.assertRegex(self.run_block(wait, **variables), r'\b4 +voter +voter\b')
            writers.wait_acked(len(writers.acked) + 100)
            writers.stop()
            writers.check(self)
            c.digests(30)

            def equal():
                rows = re.findall(r'^ +\d  +voter  +\S+(?: \d)? +(\S+) +\d+ +(\S+)',
                                  self.run_block(compare, **variables), re.M)
                return len(rows) == 3 and len(set(rows)) == 1
            until(equal, 'all digests on the page are equal')
            self.assertTrue(old.data.with_name(f'{old.data.name}.damaged').is_dir())
