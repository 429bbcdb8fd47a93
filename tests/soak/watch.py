"""What the nodes take and do while they are disturbed, looked at twice a second."""

import threading

import wire
from cluster import folder_bytes

PERIOD_S = 0.5
COPY_RECEIVED = 'event="a copy of the store was received and checked"'
COPY_BEGUN = 'event="the store was swapped for the copy"'


class Figures:
    """Of one node."""

    def __init__(self):
        self.rss_kb = 0
        self.rss_kb_max = 0
        self.log_bytes_max = 0
        self.archive_bytes_max = 0
        self.store_bytes = 0
        self.snapshots = set()  # names of their files


class Watch(threading.Thread):
    def __init__(self, cluster):
        super().__init__(daemon=True, name='watch')
        self.cluster = cluster
        self.halt = threading.Event()
        self.figures = {}

    def run(self):
        while not self.halt.wait(PERIOD_S):
            self.look()

    def stop(self):
        self.halt.set()
        self.join(30)
        self.look()

    def look(self):
        for node in list(self.cluster.nodes):
            f = self.figures.setdefault(node.number, Figures())
            try:
                self.look_at(node, f)
            except (OSError, AssertionError, wire.Lost, wire.Failure):
                continue  # it was ended just now

    def look_at(self, node, f):
        f.snapshots |= {p.name for p in (node.data / 'raft').glob('snapshot-*.meta')}
        f.archive_bytes_max = max(f.archive_bytes_max, folder_bytes(node.data / 'archive'))
        f.store_bytes = folder_bytes(node.data / 'store')
        if not node.alive() or node.stopped:
            return
        f.rss_kb = node.rss_kb()
        f.rss_kb_max = max(f.rss_kb_max, f.rss_kb)
        with node.client(timeout=1) as client:
            f.log_bytes_max = max(f.log_bytes_max, client.status()['log_bytes'])

    def snapshots(self):
        """Those that were seen; one that was replaced within half a second may be missing."""
        return sum(len(f.snapshots) for f in self.figures.values())

    def copies(self):
        """Received and used, by the nodes' own word."""
        return sum(n.log_text().count(COPY_BEGUN)
                   for n in (*self.cluster.nodes, *self.cluster.former))
