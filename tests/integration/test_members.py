"""Members that come and go while the cluster works."""

import json
import shutil
import signal
import time

import wire
from cluster import Case, Cluster, Writers, until


def row_of(status, number):
    """The member's row of a status; None when there is none."""
    return next((m for m in status['members'] if m['id'] == number), None)


def roles(cluster, node=None):
    """Number -> role, as a node (the leader) sees it."""
    with (node or cluster.leader()).client() as c:
        return {m['id']: m['role'] for m in c.status()['members']}


def serving(cluster):
    """The numbers that each running node tells its clients of, when all say the same."""
    found = []
    for node in cluster.running():
        with node.client(timeout=3) as c:
            found.append(sorted(m['id'] for m in c.hello['members']))
    return found[0] if all(f == found[0] for f in found) else None


def has_everything(cluster, test, writers):
    cluster.ready(30)
    writers.check(test)
    cluster.digests(30)


class Growth(Case):
    cost_s = 60

    def test_from_one_to_three_to_five_to_three_under_load_nothing_is_lost(self):
        with Cluster(1) as c:
            first = c[1]
            with Writers(c, 8, self.rng, patience=60) as writers:
                writers.wait_acked(300)
                for n in (2, 3, 4, 5):
                    node = c.grow()
                    self.assertEqual(node.number, n)
                    self.assertEqual(roles(c), {i: 'voter' for i in range(1, n + 1)})
                    writers.wait_acked(len(writers.acked) + 200)
                # The leader among them: it hands over first.
                leader = c.leader()
                other = first if leader is not first else c.followers()[0]
                for node in (leader, other):
                    self.assertEqual(c.remove(node), 0, 'a removed node stops in order')
                    writers.wait_acked(len(writers.acked) + 200)
                writers.stop()
                self.assertEqual(writers.maybe, set(), 'each write was answered in the end')
                has_everything(c, self, writers)
                self.assertEqual(set(roles(c).values()), {'voter'})
                self.assertEqual(len(roles(c)), 3)
                worst = max(writers.gaps_s)
                print(f'note: {len(writers.acked)} writes, longest wait for one {worst:.2f} s')
                self.assertLess(worst, 2.5, 'a write waited for the client to give its node up')

    def test_a_change_goes_on_when_the_leader_dies(self):
        with Cluster() as c:
            with Writers(c, 4, self.rng, patience=60) as writers:
                writers.wait_acked(100)
                node = c.new_node(start=False)
                said = c.member('add', node, wait=False)
                self.assertEqual((said['id'], said['wanted']), (node.number, 'voter'))
                leader = c.leader()
                leader.kill()
                node.start()
                until(lambda: roles(c).get(node.number) == 'voter', 'the new node votes', 60)
                leader.start()
                writers.wait_acked(len(writers.acked) + 100)
                writers.stop()
                has_everything(c, self, writers)

    def test_nothing_is_lost_when_all_are_killed_amid_a_change(self):
        with Cluster() as c:
            with Writers(c, 8, self.rng, patience=90) as writers:
                writers.wait_acked(200)
                node = c.new_node()
                c.member('add', node, wait=False)
                writers.wait_acked(len(writers.acked) + self.rng.randrange(50))
                c.kill_all()
                c.start()
                until(lambda: roles(c).get(node.number) == 'voter', 'the new node votes', 60)
                writers.wait_acked(len(writers.acked) + 100)
                writers.stop()
                has_everything(c, self, writers)

    def test_a_voter_that_was_away_elects_one_that_it_has_never_heard_of(self):
        with Cluster() as c:
            away, lost = c[2], c[3]
            with Writers(c, 2, self.rng, patience=60) as writers:
                writers.wait_acked(50)
                away.kill()
                writers.wait_acked(len(writers.acked) + 50)
                newest = c.grow()
                self.assertEqual(c.remove(c[1]), 0)
                self.assertEqual(roles(c), {2: 'voter', 3: 'voter', newest.number: 'voter'})
                lost.kill()
                away.start()  # its log knows of 1, 2 and 3
                writers.wait_acked(len(writers.acked) + 50)
                self.assertEqual(c.leader().number, newest.number)
                writers.stop()
                has_everything(c, self, writers)


class Joiner(Case):
    cost_s = 60

    def test_a_joiner_that_is_killed_again_and_again_gets_there(self):
        with Cluster() as c:
            with Writers(c, 8, self.rng, patience=60) as writers:
                writers.wait_acked(1000)
                node = c.new_node(start=False)
                c.member('add', node, wait=False)
                for _ in range(6):
                    node.start()
                    time.sleep(self.rng.random() * 0.6)  # anywhere in its way
                    node.kill()
                node.start()
                c.member('add', node)
                writers.wait_acked(len(writers.acked) + 200)
                writers.stop()
                has_everything(c, self, writers)

    def test_where_no_archive_reaches_back_a_joiner_takes_a_copy_though_it_is_killed(self):
        settings = {'log_bytes': '1MiB', 'archive_bytes': '32MiB', 'catch_up_rate_bytes': '8MiB'}
        with Cluster(**settings) as c:
            with c.leader().client(timeout=30) as client:
                text = 'x' * 60000
                for i in range(100):  # some 60 MiB, more than the archives keep
                    client.txn([wire.artifact(f'big{i}-{j}', description=text) for j in range(10)])
            with Writers(c, 4, self.rng, patience=60) as writers:
                node = c.new_node()
                c.member('add', node, wait=False)

                def copied():
                    """Bytes that the joiner has of the copy, as the leader tells."""
                    with c.leader().client() as client:
                        row = row_of(client.status(), node.number)
                        at = row and row['catching_up']
                        return at and at['copy_bytes_total'] and at['copy_bytes'] > 1 << 20
                for _ in range(2):
                    until(copied, 'the joiner has some of the copy', 60)
                    node.kill()
                    node.start()
                until(copied, 'the joiner has some of the copy', 60)
                with c.leader().client() as client:
                    e = self.refused('UNKNOWN', client.call, 'member',
                                     {'action': 'add', 'node': node.number, 'wait': True,
                                      'address': node.peer_address, 'deadline_ms': 300})
                    self.assertRegex(str(e), r'has \d+% of the copy')
                c.member('add', node, timeout=120)
                writers.wait_acked(len(writers.acked) + 100)
                writers.stop()
                has_everything(c, self, writers)
            with node.client() as client:
                self.assertEqual(client.get('artifact/big99-9')['data'][0]['ref'],
                                 'artifact/big99-9')
            self.assertEqual([p.name for p in sorted((node.data / 'store').iterdir())
                              if p.is_dir()][-1:], ['2'], 'the copy is its store')

    def test_a_joiner_without_the_cluster_serves_nobody_and_says_what_it_waits_for(self):
        with Cluster() as c:
            node = c.new_node()
            until(lambda: node.client(timeout=2).close() is None, 'it listens')
            with node.client() as client:
                e = self.refused('UNAVAILABLE', client.call, 'describe', {'deadline_ms': 500})
                self.assertIn('in time', str(e))
            self.assertEqual(roles(c), {1: 'voter', 2: 'voter', 3: 'voter'})
            self.assertEqual(node.terminate(), 0, node.log_tail())


class Refused(Case):
    cost_s = 30

    def test_each_change_that_may_not_be_is_refused_with_its_reason(self):
        with Cluster() as c:
            removed = c.grow()
            c.remove(removed)
            pending = c.new_node(start=False)
            c.member('add', pending, wait=False)
            free = '127.0.0.1:9'
            rows = (
                ('NOT_FOUND', 'no member', 'remove', 77, {}),
                ('NOT_FOUND', 'no member', 'promote', 77, {}),
                ('CONFLICT', 'was removed', 'add', removed, {'address': free}),
                ('NOT_FOUND', 'no member', 'promote', removed, {}),
                ('CONFLICT', 'is a member already', 'add', 1, {'address': free}),
                ('CONFLICT', 'is the address of node 1', 'add', 78,
                 {'address': c[1].peer_address}),
                ('CONFLICT', pending.peer_address, 'add', pending, {'address': free}),
                ('CONFLICT', f'node {pending.number}', 'add', 78,
                 {'address': pending.peer_address}),
                ('INVALID', 'HOST:PORT', 'add', 78, {'address': 'nowhere'}),
                ('INVALID', 'HOST:PORT', 'add', 78, {'address': '127.0.0.1:'}),
                ('INVALID', 'node', 'remove', 0, {}),
                ('INVALID', 'action', 'kill', 1, {}),
            )
            for code, reason, action, node, params in rows:
                e = self.refused(code, c.member, action, node, **params)
                self.assertIn(reason, str(e), (action, node, params))
            # Asking again for what was asked already is none of these.
            self.assertEqual(c.member('remove', removed)['role'], 'none')
            self.assertEqual(c.member('add', pending, wait=False)['wanted'], 'voter')

    def test_what_would_lose_the_quorum_is_refused(self):
        with Cluster() as c:
            follower, other = c.followers()
            follower.kill()
            def counts():
                with c.leader().client() as client:
                    return not row_of(client.status(), follower.number)['connected']
            until(counts, 'the leader has noticed')
            for action in ('remove', 'demote'):
                e = self.refused('UNAVAILABLE', c.member, action, other, wait=False)
                self.assertIn('quorum', str(e))
            # The dead one may go: two of two are left.
            c.all_heard()
            c.member('remove', follower)
            self.assertEqual(len(roles(c)), 2)
        with Cluster(1) as c:
            for action in ('remove', 'demote'):
                e = self.refused('CONFLICT', c.member, action, 1)
                self.assertIn('last voter', str(e))

    def test_another_node_than_the_leader_says_where_it_is(self):
        with Cluster() as c:
            leader = c.leader()
            until(lambda: serving(c) == [1, 2, 3], 'all know of all')
            for node in c.followers():
                with node.client() as client:
                    e = self.refused('RETRY', client.call, 'member',
                                     {'action': 'demote', 'node': 1})
                    self.assertEqual(e.error['leader'], leader.address)

    def test_a_change_that_is_cancelled_before_it_is_proposed_never_happens(self):
        with Cluster() as c:
            with c.leader().client() as client:
                msgid = next(client.ids)
                add = {'action': 'add', 'node': 9, 'address': '127.0.0.1:9'}
                client.send_bytes(wire.frame([0, msgid, 'member', add])
                                  + wire.frame([2, 'cancel', {'msgid': msgid}]))
                self.refused('CANCELLED', client.receive, msgid)
                self.assertIsNone(row_of(client.status(), 9))

    def test_a_wait_that_is_in_vain_says_how_far_it_got(self):
        with Cluster() as c:
            node = c.new_node(start=False)
            c.member('add', node, wait=False)
            until(lambda: roles(c).get(node.number) == 'spare', 'it is in the configuration')
            with c.leader().client() as client:
                begin = time.monotonic()
                e = self.refused('UNKNOWN', client.call, 'member',
                                 {'action': 'add', 'node': node.number, 'wait': True,
                                  'address': node.peer_address, 'deadline_ms': 700})
                self.assertLess(time.monotonic() - begin, 1.5)
                self.assertIn(f'node {node.number} is a spare and does not answer', str(e))
                # Many may wait.
                add = {'action': 'add', 'node': node.number, 'wait': True,
                       'address': node.peer_address}
                for e in client.pipeline([('member', {**add, 'deadline_ms': 900})] * 50):
                    self.assertEqual(e.code, 'UNKNOWN', e)
            # It is given up: nobody has ever started it.
            c.member('remove', node)
            self.assertEqual(set(roles(c)), {1, 2, 3})


class Removed(Case):
    cost_s = 40

    def assert_never_again(self, node):
        node.start()
        self.assertEqual(node.wait_exit(), 3)
        self.assertIn(f'node {node.number} was removed from cluster', node.log_tail())
        self.assertIn('claded init --join', node.log_tail())
        self.assertEqual(node.claded('check').returncode, 3)

    def test_a_removed_node_stops_and_cannot_come_back(self):
        with Cluster() as c:
            node = c.followers()[0]
            self.assertEqual(c.remove(node), 0, node.log_tail())
            self.assert_never_again(node)
            self.assertTrue((node.data / 'REMOVED').is_file())
            c.ready()
            self.assertEqual(set(roles(c)), {n.number for n in c.nodes})

    def test_a_leader_that_is_removed_hands_over_and_stops(self):
        with Cluster() as c:
            leader = c.leader()
            with Writers(c, 4, self.rng, patience=60) as writers:
                writers.wait_acked(100)
                self.assertEqual(c.remove(leader), 0, leader.log_tail())
                writers.wait_acked(len(writers.acked) + 100)
                writers.stop()
                has_everything(c, self, writers)
            self.assert_never_again(leader)

    def test_a_node_that_was_down_when_it_was_removed_learns_it_from_the_others(self):
        with Cluster() as c:
            node = c.followers()[0]
            node.kill()
            def noticed():
                with c.leader().client() as client:
                    return not row_of(client.status(), node.number)['connected']
            until(noticed, 'the leader has noticed')
            c.all_heard()
            c.member('remove', node)
            node.start()
            self.assertEqual(node.wait_exit(), 0, node.log_tail())
            self.assert_never_again(node)

    def test_a_node_that_is_removed_while_it_stops_stops_in_order(self):
        with Cluster() as c:
            c.all_heard()
            node = c.followers()[0]
            with node.client() as client:
                # Keeps it from being done before it hears that it was removed.
                client.send('describe', {'consistency': 'at_least', 'at_least': 1 << 40,
                                         'deadline_ms': 60000})
                client.call('ping')
                node.signal(signal.SIGTERM)
                until(lambda: 'claded stops' in node.log_text(), 'it stops')
                c.member('remove', node)
                self.assertEqual(node.wait_exit(), 0, node.log_tail())
            self.assertTrue((node.data / 'REMOVED').is_file())
            self.assert_never_again(node)


class Standbys(Case):
    cost_s = 40

    def changed(self, client, action, node):
        """Asks for a change; False while another one is under way."""
        try:
            return client.call('member', {'action': action, 'node': node.number})
        except wire.Failure as e:
            self.assertEqual(e.code, 'RETRY', e)
            return False

    def test_a_standby_serves_consistent_reads_and_does_not_vote(self):
        with Cluster() as c:
            standby = c.grow(promote=False)
            self.assertEqual(roles(c)[standby.number], 'standby')
            until(lambda: serving(c) == [1, 2, 3, 4], 'clients are told of it')
            with c.leader().client() as writer, standby.client() as reader:
                for i in range(100):
                    made = writer.txn([wire.artifact(f'a{i}')])
                    thing = reader.get(f'artifact/a{i}')
                    self.assertEqual(thing['data'][0]['id'], made['data'][0]['id'])
                    self.assertGreaterEqual(thing['revision'], made['revision'])
            # Writes at the standby go to the leader.
            with standby.client() as client:
                client.txn([wire.artifact('b')])
            # Two of three voters down: the standby is no third.
            leader = c.leader()
            for node in c.followers():
                if node is not standby:
                    node.kill()
            with leader.client(timeout=20) as client:
                self.refused(('UNAVAILABLE', 'UNKNOWN'), client.txn, [wire.artifact('never')],
                             deadline_ms=1500)
            c.start()

    def test_promoted_it_counts_and_demoted_it_does_not(self):
        with Cluster() as c:
            node = c.grow(promote=False)
            for action, role in (('promote', 'voter'), ('demote', 'standby'),
                                 ('promote', 'voter')):
                said = c.member(action, node)
                self.assertEqual((said['role'], said['wanted']), (role, role))
                self.assertEqual(roles(c)[node.number], role)
            # What was answered last is what comes to be, though the store lags behind the log.
            with c.leader().client() as client:
                for i in range(40):
                    for action in ('demote', 'promote'):
                        until(lambda: self.changed(client, action, node), f'{action} {i}',
                              pause=0)
                    until(lambda: row_of(client.status(), node.number)['wanted'] == 'voter',
                          f'the last answer counts, {i}', 5)
            c.member('promote', node)
            # A leader that is to be a standby hands over first.
            leader = c.leader()
            c.all_heard()
            c.member('demote', leader)
            self.assertIsNot(c.leader(), leader)
            with leader.client() as client:
                client.txn([wire.artifact('through-a-standby')])
            c.digests()


class Clients(Case):
    cost_s = 60
    LINES = 5000
    RATE = 200  # a second

    def test_a_client_of_one_endpoint_survives_the_loss_of_all_original_members(self):
        with Cluster() as c:
            originals = list(c.nodes)
            lines = c.folder / 'lines.ndjson'
            lines.write_text(''.join(json.dumps(wire.artifact(f'f{i}')) + '\n'
                                     for i in range(self.LINES)))
            # At a rate, so that the cluster moves under it; all the time through one client.
            feed = c.cli_start('-w', 'json', '--timeout', '60s', 'import', '--rate', self.RATE,
                               lines, node=c[1])
            def there(i):
                with c.leader().client() as client:
                    return 'error' not in client.get(f'artifact/f{i}')['data'][0]
            try:
                until(lambda: there(0), 'the import runs')
                for _ in originals:
                    c.grow()
                for node in originals:
                    self.assertEqual(c.remove(node), 0)
                self.assertIsNone(feed.poll(), 'the import ended before the cluster had moved')
                self.assertFalse(there(self.LINES - 1))
                out, err = feed.communicate(timeout=90)
            finally:
                feed.kill()
            self.assertEqual(feed.returncode, 0, err)
            self.assertEqual(json.loads(out)['created'], self.LINES)
            self.assertTrue(there(self.LINES - 1))
            c.digests()

    def test_connected_clients_are_told_of_members_that_come_and_go(self):
        with Cluster() as c:
            until(lambda: serving(c) == [1, 2, 3], 'all know of all')
            follower = c.followers()[0]
            with c.leader().client() as client:
                self.assertEqual(len(client.hello['members']), 3)
                node = c.grow()
                def told():
                    client.call('ping')
                    return [m[2]['members'] for m in client.notifications if m[1] == 'members']
                until(lambda: any(len(m) == 4 for m in told()), 'the client is told')
                last = told()[-1]
                self.assertIn({'id': node.number, 'client': node.address}, last)
                c.remove(follower)
                until(lambda: len(told()[-1]) == 3, 'the client is told again')
                self.assertNotIn(follower.number, [m['id'] for m in told()[-1]])
                self.assertLess(len(told()), 8, 'and not again and again')


class CommandLine(Case):
    cost_s = 40

    def test_add_prints_what_to_run_and_that_works(self):
        with Cluster() as c:
            node = c.new_node(start=False)
            adding = c.cli_start('cluster', 'member', 'add',
                                 f'{node.number}={node.peer_address}', '--timeout', '60s')
            lines = []
            while not lines or '--listen' not in lines[-1]:
                lines.append(adding.stdout.readline())
                self.assertTrue(lines[-1], lines)
            # As it was shown, but for the folder and the settings of the test.
            shown = ''.join(lines).replace('\\\n', ' ')
            words = next(l for l in shown.splitlines() if 'claded init' in l).split()[2:]
            del words[words.index('--data'):words.index('--data') + 2]
            shutil.rmtree(node.data)
            made = node.claded('init', *words)
            self.assertEqual(made.returncode, 0, made.stderr)
            node.start()
            out, err = adding.communicate(timeout=60)
            self.assertEqual(adding.returncode, 0, err)
            self.assertIn(f'node {node.number} is a voter', out)
            rows = self.run_json(c, 'cluster', 'member', 'list')['data']
            self.assertEqual([r['id'] for r in rows], [1, 2, 3, 4])
            leader = self.run_json(c, 'cluster', 'leader')['data']
            self.assertEqual(leader['id'], c.leader().number)
            self.assertIn(f'node {leader["id"]} leads', self.run_cli(c, 'cluster', 'leader').stdout)
            self.run_cli(c, 'cluster', 'member', 'demote', 4)
            self.run_cli(c, 'cluster', 'member', 'promote', 4)
            self.run_cli(c, 'cluster', 'member', 'remove', 4)
            self.assertEqual(node.wait_exit(), 0)
            self.run_cli(c, 'cluster', 'member', 'add', '4=127.0.0.1:9', expect=4)
            self.run_cli(c, 'cluster', 'member', 'remove', 9, expect=3)
            self.run_cli(c, 'cluster', 'member', 'remove', 'x', expect=2)


class Transfer(Case):
    cost_s = 30
    PAUSE_S_MAX = 2.0

    def test_handing_over_under_load_fails_no_write(self):
        with Cluster() as c:
            with Writers(c, 16, self.rng) as writers:
                writers.wait_acked(500)
                spans = []
                for _ in range(5):
                    old = c.leader()
                    begin = time.monotonic()
                    self.run_cli(c, 'cluster', 'leader', 'transfer')
                    self.assertIsNot(c.leader(), old)
                    writers.wait_acked(len(writers.acked) + 300)
                    spans.append((begin, time.monotonic()))
                writers.stop()
                self.assertEqual(writers.maybe, set(), 'no write failed')
                writers.check(self)
            pauses = [writers.longest_pause_s(*span) for span in spans]
            print('note: pauses of all writers at a hand-over: '
                  + ', '.join(f'{p * 1000:.0f} ms' for p in pauses)
                  + f'; the longest wait for one write {max(writers.gaps_s) * 1000:.0f} ms')
            self.assertLess(max(pauses), self.PAUSE_S_MAX)
