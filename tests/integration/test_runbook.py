"""deploy/runbook.md: its commands do what it says."""

import re
import shutil
import socket
import subprocess
import threading

from cluster import (ROOT, Case, Cluster, Node, Writers, clade, claded, clean_environment, free_ports,
                     until)

RUNBOOK = ROOT / 'deploy' / 'runbook.md'


def commands(section):
    """The blocks of commands of a section of the runbook, in order."""
    text = RUNBOOK.read_text().split(f'\n## {section}\n')[1].split('\n## ')[0]
    return re.findall(r'^ *```sh\n(.*?)^ *```$', text, re.M | re.S)


SYSTEMCTL = '''#!/usr/bin/env python3
import os, socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(os.environ["SYSTEMCTL"])
    s.sendall(" ".join(sys.argv[1:]).encode())
    s.shutdown(socket.SHUT_WR)
    sys.exit(s.recv(100) != b"done")
'''


class Systemd(threading.Thread):
    """Plays systemctl on a node's machine: a program that asks us, and this does it."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node = node
        self.folder = node.folder / 'bin'
        self.folder.mkdir(exist_ok=True)
        (self.folder / 'systemctl').write_text(SYSTEMCTL)
        (self.folder / 'systemctl').chmod(0o755)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.folder / 'socket'))
        self.socket.listen()
        self.asked = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.join(30)
        self.socket.close()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.makefile().read())
                if self.asked[-1] == 'restart claded' and self.node.terminate() == 0:
                    self.node.start()
                    until(self.node.client, 'it takes connections', 30)
                    connection.sendall(b'done')


class Page(Case):
    path = '/usr/bin:/bin'

    def run_block(self, block, **variables):
        folders = {str(p).rpartition('/')[0]: None for p in (clade(), claded())}
        env = clean_environment(PATH=':'.join([*folders, self.path]), **variables)
        done = subprocess.run(['bash', '-euc', block], capture_output=True, text=True, timeout=90,
                              check=False, env=env)
        self.assertEqual(done.returncode, 0, f'{block}\n{done.stdout}\n{done.stderr}')
        return done.stdout


class Whole(Page):
    cost_s = 2

    def test_the_index_names_each_page_and_each_link_leads_to_one(self):
        text = RUNBOOK.read_text()
        pages = re.findall(r'^## (.*)$', text, re.M)
        self.assertEqual(re.findall(r'^\| \[([^]]*)\]', text, re.M), pages)
        anchors = {p.lower().replace(' ', '-') for p in pages}
        self.assertEqual(set(re.findall(r'\]\(#([^)]*)\)', text)) - anchors, set())


class DamagedNode(Page):
    cost_s = 20

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


class LostNode(Page):
    cost_s = 20

    def test_a_node_that_was_away_comes_back_and_one_is_replaced_while_it_runs(self):
        listed, answers, remove = commands('Lost node')
        _, _, add, init, wait, _ = commands('Damaged node')
        with Cluster() as c, Writers(c, 4, self.rng, patience=60) as writers:
            old = c.followers()[0]
            old.kill()
            writers.wait_acked(300)
            variables = {'CLADE_ENDPOINTS': c.endpoints(), 'OLD': str(old.number), 'NEW': '4',
                         'LISTEN': old.address}
            until(lambda: re.search(rf'^ *{old.number} .*\bno\b', self.run_block(listed, **variables),
                                    re.M), 'the node is listed as away')
            begin = len(writers.acked)
            old.start()
            self.run_block(answers, **variables)
            known = list(writers.acked)[:begin]
            with old.client() as client:
                things = client.get(*(f'artifact/{n}' for n in known[-100:]), consistency='local')
            self.assertEqual([t for t in things['data'] if 'error' in t], [])
            # Replaced while it runs.
            new = Node(c, 4, *free_ports(2))
            new.write_config()
            told = self.run_block(add, PEER=new.peer_address, **variables)
            self.run_block(init, PEER=new.peer_address, DATA=str(new.data),
                           CLUSTER=re.search(r'--cluster (\w+)', told).group(1),
                           MEMBERS=' '.join(re.findall(r'--member \S+', told)), **variables)
            c.nodes.append(new)
            new.start()
            self.run_block(wait, PEER=new.peer_address, **variables)
            c.all_heard()
            self.run_block(remove, **variables)
            self.assertEqual(old.wait_exit(), 0)
            c.nodes.remove(old)
            c.former.append(old)
            writers.wait_acked(len(writers.acked) + 50)
            writers.stop()
            writers.check(self)


class LostQuorum(Page):
    cost_s = 15

    def test_the_page_makes_a_survivor_a_new_cluster(self):
        check, recover, status, add, init, wait = commands('Lost quorum')
        with Cluster(3) as c, Writers(c, 2, self.rng, patience=2) as writers:
            writers.wait_acked(100)
            c.kill_all()
            writers.stop()
            kept, other, lost = c.nodes
            shutil.rmtree(lost.data)
            new = Node(c, 4, *free_ports(2))
            new.write_config()
            variables = {'DATA': str(kept.data), 'OTHER': str(other.data), 'LISTEN': kept.address,
                         'NEW': '4', 'PEER': new.peer_address, 'NEW_DATA': str(new.data),
                         'BACKUPS': str(c.folder)}
            looked = kept.claded('recover', '--check', '--data', str(kept.data), '--data',
                                 str(other.data))
            if looked.returncode != 0:  # the other one has more
                kept, other = other, kept
                variables.update(DATA=str(kept.data), OTHER=str(other.data), LISTEN=kept.address)
            self.run_block(check, **variables)
            self.run_block(recover, **variables)
            c.nodes, c.former = [kept], [other, lost]
            kept.start()
            c.ready()
            self.assertRegex(self.run_block(status, **variables), r'leads')
            told = self.run_block(add, **variables)
            self.run_block(init, CLUSTER=re.search(r'--cluster (\w+)', told).group(1),
                           MEMBERS=' '.join(re.findall(r'--member \S+', told)), **variables)
            c.nodes.append(new)
            new.start()
            self.run_block(wait, **variables)
            writers.check(self)
            c.digests()


class RestoreDrill(Page):
    cost_s = 8

    def test_the_page_restores_what_the_cluster_had(self):
        full, more, restore, compare, remove = commands('Restore drill')
        with Cluster(1) as c, Cluster(1, start=False) as drill:
            node = drill[1]
            shutil.rmtree(node.data)
            variables = {'CLADE_ENDPOINTS': c.endpoints(), 'BACKUPS': str(c.folder),
                         'DRILL': str(node.data), 'PEER': node.peer_address,
                         'LISTEN': node.address}
            self.run_cli(c, 'artifact', 'create', 'a', 'b')
            self.run_block(full, **variables)
            self.run_cli(c, 'artifact', 'update', 'a', '--tag', 'k=v')
            self.run_block(more, **variables)
            told = self.run_block(restore, **variables)
            self.run_cli(c, 'artifact', 'create', 'later')
            drill.start()
            revision = re.search(r'was at revision (\d+)', told).group(1)
            self.run_block(compare, REVISION=revision, **variables)
            drill[1].kill()
            self.run_block(remove, **variables)
            self.assertFalse(node.data.exists())


class Moving(Page):
    cost_s = 10

    def test_the_page_moves_a_node(self):
        add, init, replace = commands('Moving the cluster')
        with Cluster(1) as c, Writers(c, 2, self.rng, patience=60) as writers:
            writers.wait_acked(50)
            old = c[1]
            new = Node(c, 2, *free_ports(2))
            new.write_config()
            variables = {'CLADE_ENDPOINTS': c.endpoints(), 'OLD': '1', 'NEW': '2',
                         'PEER': new.peer_address, 'LISTEN': new.address,
                         'NEW_DATA': str(new.data)}
            told = self.run_block(add, **variables)
            self.run_block(init, CLUSTER=re.search(r'--cluster (\w+)', told).group(1),
                           MEMBERS=' '.join(re.findall(r'--member \S+', told)), **variables)
            c.nodes.append(new)
            new.start()
            self.run_block(replace, **variables)
            self.assertEqual(old.wait_exit(), 0)
            writers.stop()
            c.nodes, c.former = [new], [old]
            c.ready()
            writers.check(self)


class RollingRestart(Page):
    cost_s = 20

    def test_all_nodes_are_restarted_and_no_writer_waits_long(self):
        before, each = commands('Rolling restart and upgrade')
        with Cluster() as c, Writers(c, 4, self.rng, patience=60) as writers:
            writers.wait_acked(100)
            c.all_heard()
            c.all_told()
            variables = {'CLADE_ENDPOINTS': c.endpoints()}
            said = self.run_block(before, **variables)
            self.assertIn('none', said)
            for node in [*c.followers(), c.leader()]:
                pid = node.process.pid
                with Systemd(node) as systemd:
                    self.path = f'{systemd.folder}:/usr/bin:/bin'
                    said = self.run_block(each.replace('/etc/clade/claded.yaml', str(node.config)),
                                          SYSTEMCTL=str(systemd.folder / 'socket'),
                                          LISTEN=node.address, **variables)
                self.assertEqual(systemd.asked, ['restart claded'])
                self.assertNotEqual(node.process.pid, pid)
                self.assertIn('the configuration is valid', said)
                writers.wait_acked(len(writers.acked) + 20)
                c.all_heard()
            writers.stop()
            writers.check(self)
            # Each handed its lead over: nobody waited for an election timeout and a half.
            self.assertLess(max(writers.gaps_s), 10.0)
            c.digests()
