"""What is quick is answered beside queries that are made to be expensive."""

import unittest

import wire
from cluster import Case, Cluster

THINGS = 10_000
HEAVY = 6        # connections
PIPELINED = 8    # expensive queries of each
DEADLINE_MS = 120_000


class Beside(Case):

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(1)
        cls.addClassCleanup(cls.cluster.close)
        with cls.cluster[1].client(timeout=60) as c:
            c.pipeline([('txn', {'command': wire.command(
                [wire.artifact(f'a{j}', tags={'n': str(j)}) for j in range(i, i + 1000)])})
                for i in range(0, THINGS, 1000)], timeout=120)
            c.txn([{'op': 'link', 'from': f'artifact/a{i}', 'label': 'derived_from',
                    'to': 'artifact/a0'} for i in range(1, 500)])

    def heavy(self):
        """Each compares every name with as many texts as a query can have."""
        many = ','.join(f"'{i}'" for i in range(2000))
        clients = [self.cluster[1].client(timeout=120) for _ in range(HEAVY)]
        for client in clients:
            self.addCleanup(client.close)
        return [(client, client.send('count', {
            'kind': 'artifact', 'query': f'NOT name IN ({many})', 'deadline_ms': DEADLINE_MS}))
            for client in clients for _ in range(PIPELINED)]

    def quick(self, client):
        def upstream(method, **more):
            return client.call(method, {'ref': 'artifact/a0', **more})['data']
        self.assertEqual(client.get('artifact/a7')['data'][0]['ref'], 'artifact/a7')
        self.assertEqual(len(client.get(*(f'artifact/a{i}' for i in range(100)))['data']), 100)
        self.assertEqual(upstream('lineage', direction='down', count=True), {'count': 499})
        self.assertEqual(upstream('impact'), [])
        self.assertEqual(len(upstream('history')), 1)
        found = client.call('count', {'kind': 'artifact', 'query': "tags.n = '4711'"})
        self.assertEqual(found['data']['count'], 1)
        paths = client.call('paths', {'from': 'artifact/a9', 'to': 'artifact/a0'})
        self.assertEqual(len(paths['data']), 1)

    def test_what_is_quick_is_answered_while_the_slow_threads_are_held(self):
        with self.cluster[1].client(timeout=60) as client:
            self.quick(client)
            heavy = self.heavy()
            for _ in range(3):
                self.quick(client)
            # The last of each connection waits for those before it, and nothing made it fail.
            for asked, msgid in heavy[PIPELINED - 1::PIPELINED]:
                with self.assertRaises(wire.Lost):
                    asked.receive(msgid, timeout=0.2)
            client.txn([{'op': 'update', 'ref': 'artifact/a1', 'tags': {'written': 'yes'}}])

    def test_a_heavy_query_that_has_the_slow_threads_to_itself_is_whole(self):
        asked, msgid = self.heavy()[0]
        answer = asked.receive(msgid, timeout=120)
        self.assertEqual((answer['data'], answer['complete']), ({'count': THINGS, 'things': THINGS}, True))


if __name__ == '__main__':
    unittest.main()
