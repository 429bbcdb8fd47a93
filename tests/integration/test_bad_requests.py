"""Requests that are refused: with which class, where in the request, and what the person is told.

The rows are in tests/data/bad_requests/*.json. Each runs in a namespace of its own:

    {"name":  what is wrong, as a sentence,
     "setup": [operations that come first, as one transaction; one that is an array is a
               transaction of its own],
     "txn":   {"ops": [...], "guards": [...], ...}, without "v"; or
     "read":  [method, params],
     "code":  "CONFLICT", "where": "ops[0].alias" ("" = nowhere), "says": a phrase of the message,
     "there": what the answer says is there now; left out where it says nothing}

"{ns}" in any string is the row's namespace. What JSON cannot say stands as a map: {"$hex": "61ff"} a
string of those bytes, {"$bin": "61"} binary, {"$float": "nan"}, {"$repeat": ["x", 9]} a long string,
{"$times": [value, 9]} an array of the same. What is refused changes nothing: neither the revision
nor the digest of the data moves.
"""

import json
import pathlib

import wire
from cluster import Case, Cluster, until

ROWS = pathlib.Path(__file__).resolve().parents[1] / 'data/bad_requests'


FORMS = {
    '$hex': lambda digits: bytes.fromhex(digits).decode('utf-8', 'surrogateescape'),
    '$bin': bytes.fromhex,
    '$float': float,
    '$repeat': lambda args: args[0] * args[1],
    '$times': lambda args: [args[0]] * args[1],
}


def formed(pairs):
    """A map of JSON, or what it stands for."""
    value = dict(pairs)
    form = FORMS.get(next(iter(value), None))
    return form(*value.values()) if form else value


def placed(value, ns):
    """The row with its namespace in the place of {ns}, and with what JSON cannot say."""
    return json.loads(json.dumps(value).replace('{ns}', ns), object_pairs_hook=formed)


class BadRequests(Case):
    cost_s = 20

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.client = cls.cluster.leader().client()
        cls.addClassCleanup(cls.client.close)

    def state(self):
        revision = self.client.call('describe')['revision']  # what was answered is published
        return (revision, self.client.status()['digest']['data'])

    def set_up(self, ns, setup):
        self.client.txn([{'op': 'create', 'kind': 'namespace', 'name': ns}])
        together = [op for op in setup if isinstance(op, dict)]
        alone = [ops for ops in setup if isinstance(ops, list)]
        for ops in ([together] if together else []) + alone:
            self.client.call('txn', {'command': wire.command(ops, ns=ns)})
        until(lambda: self.client.call('describe')['data']['store']['purging'] == 0,
              'what is purged is erased, which moves the digest')

    def check(self, row, ns):
        self.set_up(ns, row.get('setup', []))
        before = self.state()
        with self.assertRaises(wire.Failure) as caught:
            if 'read' in row:
                method, params = row['read']
                self.client.call(method, {'ns': ns, **params})
            else:
                self.client.call('txn', {'command': wire.pack({'v': 1, 'ns': ns, **row['txn']})})
        error = caught.exception.error
        self.assertEqual((error['code'], error.get('where', '')), (row['code'], row['where']),
                         error)
        self.assertIn(row['says'], error['message'])
        self.assertEqual(error.get('there'), row.get('there'), error)
        self.assertEqual(self.state(), before, 'a refused request changes nothing')

    def test_each_is_refused_as_its_row_says_and_changes_nothing(self):
        seen = []
        for path in sorted(ROWS.glob('*.json')):
            rows = json.loads(path.read_text(encoding='utf-8'))
            seen += rows
            self.assertEqual(len(rows), len({r['name'] for r in rows}), f'{path.name}: names')
            for i, row in enumerate(rows):
                ns = f'bad-{path.stem}-{i:03}'
                with self.subTest(f'{path.stem}: {row["name"]}'):
                    self.check(placed(row, ns), ns)
        self.assertGreaterEqual(len(seen), 500)
        self.assertEqual({'INVALID', 'NOT_FOUND', 'CONFLICT', 'LIMIT', 'QUOTA', 'IN_USE', 'CYCLE',
                          'UNSUPPORTED'} - {row['code'] for row in seen}, set())
        self.cluster.digests()
