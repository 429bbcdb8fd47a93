"""Disks that fail: which call on which file of a node goes wrong, and what the node is to do.

A row is a file, a call on it, how that fails, when, and what is expected. docs/failing-disk.md is
this table as prose; test_failing_disk.py plays it on real nodes, through failing_disk.c.
"""

import errno
import mmap
import struct

# --- Outcomes

STOPS = 'stops'      # the node ends, and says which file, what failed and what to do
REFUSED = 'refused'  # it does not start, and says the same
GOES_ON = 'goes on'  # it serves on, and says what it goes without, where that is anything
WAITS = 'waits'      # it serves what it has, says so, and goes on by itself when there is room
TELLS = 'tells'      # the command ends, and says the same

# --- When it fails

WRITES = 'while it takes writes'
GROWS = 'while its log is cut'
VOTES = 'while another is elected'
STARTS = 'at its start'
COPIES = 'while it fetches a copy of the store'
BACKUP = 'during a backup'
SERVES = 'while a backup is read from it'
ENDS = 'while it stops'

# --- The rule that failing_disk.c goes by

CALLS = {'sync': 1, 'write': 2, 'open': 3, 'rename': 4, 'read': 5, 'allocate': 6, 'dsync': 7}
RULE = struct.Struct('=IIiIIIIIQQ256s512s')
EVERY = 0xffffffff


class Rule:
    """What shall happen, and what did: shared with the process."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(RULE.size))
        with open(path, 'r+b') as f:
            self.map = mmap.mmap(f.fileno(), RULE.size)

    def environment(self, shim):
        return {'LD_PRELOAD': str(shim), 'FAILING_DISK': str(self.path),
                'ASAN_OPTIONS': 'verify_asan_link_order=0'}

    def arm(self, row):
        """The call comes last: before it is there nothing fails."""
        begin, end = row.place
        self.map[:] = RULE.pack(0, row.fault == 'short', row.code(), EVERY if row.lasts() else 1,
                                0, 0, 0, row.full, begin, end, row.pattern.encode(), b'')
        self.map[:4] = struct.pack('=I', CALLS[row.call])

    def disarm(self):
        self.map[:4] = bytes(4)

    def _get(self, field):
        return struct.unpack_from('=I', self.map, 4 * field)[0]

    def hits(self):
        return self._get(4)

    def again(self):
        """Syncs of a file after one of them had failed."""
        return self._get(5)

    def msyncs(self):
        return self._get(6)

    def path_hit(self):
        return self.map[RULE.size - 512:].split(b'\0')[0].decode()


class Row:
    """One failure. `pattern` is fnmatch's, of the whole path; `says` is what the message names."""

    def __init__(self, group, file, pattern, call, fault, when, outcome, says, **more):
        self.group = group
        self.file = file
        self.pattern = pattern
        self.call = call
        self.fault = fault
        self.when = when
        self.outcome = outcome
        self.says = says
        self.place = more.get('place', (0, 1 << 63))
        # The file system has no room, either: not so where a pool behind it has none.
        self.full = more.get('full', fault == 'ENOSPC' and 'sync' not in call)
        self.advice = more.get('advice', 'disk full' if fault == 'ENOSPC' else 'failing disk')
        self.rewritten = more.get('rewritten', False)  # what a sync lost, before the next one
        self.kept = more.get('kept', False)  # the file of a backup is there nevertheless

    def name(self):
        return f'{self.file}: {self.call} {self.fault}, {self.when}'

    def code(self):
        return 0 if self.fault == 'short' else getattr(errno, self.fault)

    def lasts(self):
        """A full disk is full until there is room, one that cannot be read at a start stays so.
        Else once is worst: the next try would succeed, without what the first one lost."""
        return self.fault == 'ENOSPC' or self.when == STARTS


DATA = '*/data/'
RAFT = DATA + 'raft/'
STORE = DATA + 'store/1/data.mdb'
INCOMING = DATA + 'store/incoming/'
PAGES = (8192, 1 << 63)  # behind the two meta pages


def each(calls):
    """('sync EIO ENOSPC', 'open EIO') -> the pairs."""
    for words in calls:
        call, *faults = words.split()
        for fault in faults:
            yield call, fault


def rows_of(group, file, pattern, when, outcome, says, *calls, **more):
    for call, fault in each(calls):
        yield Row(group, file, pattern, call, fault, when, outcome, says, **more)


def rows_of_log():
    yield from rows_of('segments', 'raft/open-N', RAFT + 'open-*', WRITES, STOPS,
                       r'data/raft .*writing a log segment',
                       'dsync EIO ENOSPC', 'write EIO ENOSPC short')
    yield from rows_of('segments', 'raft/open-N', RAFT + 'open-*', GROWS, STOPS,
                       r'data/raft .*log segment.*open-\d', 'open EIO', 'sync EIO')
    yield from rows_of('segments', 'raft/open-N', RAFT + 'open-*', GROWS, STOPS,
                       r'data/raft .*creating a log segment.*open-\d', 'allocate EIO')
    yield from rows_of('segments', 'raft/open-N', RAFT + 'open-*', GROWS, WAITS,
                       r'the disk is nearly full: writes are refused \(runbook: disk full\)',
                       'allocate ENOSPC')
    yield from rows_of('segments', 'raft/FIRST-LAST', RAFT + '[0-9]*-[0-9]*', GROWS, STOPS,
                       r'data/raft .*closing a log segment.*open-\d', 'rename EIO')
    yield from rows_of('segments', 'raft/', DATA + 'raft', GROWS, STOPS,
                       r'data/raft .*(segment|snapshot)', 'sync EIO', 'open EIO')
    for file, pattern, says in (('raft/FIRST-LAST', '[0-9]*-[0-9]*', r'raft/\d+-\d+: '),
                                ('raft/open-N', 'open-*', r'raft/open-\d+: ')):
        yield from rows_of('segments', file, RAFT + pattern, STARTS, REFUSED, says, 'open EIO',
                           'read EIO')
    yield from rows_of('metadata', 'raft/metadata1, 2', RAFT + 'metadata?', VOTES, STOPS,
                       r'data/raft .*writing the (term|vote).*metadata[12]',
                       'sync EIO', 'write EIO ENOSPC', 'open EIO ENOSPC')
    yield from rows_of('metadata', 'raft/metadata1, 2', RAFT + 'metadata?', VOTES, GOES_ON, '',
                       'write short')
    yield from rows_of('metadata', 'raft/metadata1, 2', RAFT + 'metadata?', STARTS, REFUSED,
                       r'raft/metadata[12]: ', 'open EIO', 'read EIO')


def rows_of_mark():
    for file, pattern, at in (('raft/mark', RAFT + 'mark', 'data/raft/mark'),
                              ('mark', DATA + 'mark', 'data/mark')):
        yield from rows_of('mark', file, pattern, WRITES, STOPS, f"{at} .*writing the log's mark",
                           'sync EIO', 'write EIO ENOSPC')
        yield from rows_of('mark', file, pattern, WRITES, STOPS, f"{at} .*writing the log's mark",
                           'write short', advice='disk full')
        yield from rows_of('mark', file, pattern, STARTS, REFUSED, f'{at}\\b', 'open EIO',
                           'read EIO')


def rows_of_snapshot():
    says = 'data/raft .*writing a snapshot'
    yield from rows_of('snapshot', 'raft/snapshot-T-I-N', RAFT + '#*', GROWS, STOPS, says,
                       'sync EIO', 'write EIO ENOSPC', 'allocate EIO ENOSPC')
    yield from rows_of('snapshot', 'raft/snapshot-T-I-N', RAFT + '#*', GROWS, GOES_ON, '',
                       'write short')
    yield from rows_of('snapshot', 'raft/snapshot-T-I-N', RAFT, GROWS, STOPS, says,
                       'open EIO ENOSPC')
    for file, pattern in (('raft/snapshot-T-I-N', 'snapshot-*[0-9]'),
                          ('raft/snapshot-T-I-N.meta', 'snapshot-*.meta')):
        yield from rows_of('snapshot', file, RAFT + pattern, GROWS, STOPS, says, 'rename EIO')
        yield from rows_of('snapshot', file, RAFT + pattern, STARTS, REFUSED,
                           r'data/raft/snapshot-\S+: ', 'open EIO', 'read EIO')


def rows_of_store():
    file = 'store/N/data.mdb'
    yield from rows_of('store', file, STORE, WRITES, STOPS, r'data\.mdb .*committing', 'sync EIO',
                       'write EIO short')
    yield from rows_of('store', file, STORE, WRITES, STOPS, r'data\.mdb .*committing',
                       'sync ENOSPC', advice='failing disk')
    yield from rows_of('store', file, STORE, WRITES, WAITS,
                       r'the store is full; applying waits until there is room '
                       r'\(runbook: disk full\)', 'write ENOSPC', place=PAGES)
    yield from rows_of('store', file + ', meta page', STORE, WRITES, STOPS, r'data\.mdb ',
                       'write EIO short', place=(0, 8192))
    yield from rows_of('store', file, STORE, ENDS, STOPS, r'data\.mdb ', 'sync EIO')
    yield from rows_of('store', file, STORE, STARTS, REFUSED, 'data/store/1', 'open EIO',
                       'read EIO')
    yield from rows_of('store', 'store/N/lock.mdb', DATA + 'store/1/lock.mdb', STARTS, REFUSED,
                       'data/store/1', 'open EIO')
    yield from rows_of('store', 'store/N/', DATA + 'store/1', STARTS, REFUSED, 'data/store/1',
                       'sync EIO')
    yield from rows_of('current', 'store/CURRENT', DATA + 'store/CURRENT', STARTS, REFUSED,
                       'data/store/CURRENT', 'open EIO', 'read EIO')


def rows_of_copy():
    """A copy of the store, and how it becomes the store."""
    says = r'the copy in store/incoming cannot be written .*\(runbook: failing disk\)'
    full = r'there is no room for a copy .*\(runbook: disk full\)'
    for file in ('store/data.mdb', 'progress.new'):
        pattern = INCOMING + file
        name = f'store/incoming/{file}'
        yield from rows_of('copy', name, pattern, COPIES, GOES_ON, says, 'open EIO', 'write EIO')
        yield from rows_of('copy', name, pattern, COPIES, GOES_ON, says, 'sync EIO',
                           rewritten=True)
        yield from rows_of('copy', name, pattern, COPIES, WAITS, full, 'open ENOSPC',
                           'write ENOSPC', full=False)
    yield from rows_of('copy', 'store/incoming/store/data.mdb', INCOMING + 'store/data.mdb', COPIES,
                       GOES_ON, '', 'write short')
    yield from rows_of('copy', 'store/incoming/progress', INCOMING + 'progress', COPIES, GOES_ON,
                       says, 'rename EIO')
    yield from rows_of('copy', 'store/incoming/progress', INCOMING + 'progress', COPIES, GOES_ON,
                       '', 'open EIO')
    made, put = DATA + 'store/CURRENT.new', DATA + 'store/CURRENT'
    yield from rows_of('current', 'store/CURRENT', made, COPIES, STOPS, 'data/store/CURRENT',
                       'open EIO', 'write EIO', 'sync EIO')
    yield from rows_of('current', 'store/CURRENT', made, COPIES, WAITS, full, 'open ENOSPC',
                       'write ENOSPC', full=False)
    yield from rows_of('current', 'store/CURRENT', made, COPIES, GOES_ON, '', 'write short')
    yield from rows_of('current', 'store/CURRENT', put, COPIES, STOPS, 'data/store/CURRENT',
                       'rename EIO')
    yield from rows_of('current', 'store/N/', DATA + 'store/2', COPIES, STOPS,
                       'data/store/incoming/store .*current store', 'rename EIO')
    yield from rows_of('current', 'store/', DATA + 'store', COPIES, STOPS, 'data/store ',
                       'sync EIO')
    says = 'data/raft/install .*installing a snapshot'
    yield from rows_of('current', 'raft/install', RAFT + 'install', COPIES, STOPS, says,
                       'rename EIO')
    yield from rows_of('current', 'raft/install', RAFT + 'tmp-install', COPIES, STOPS, says,
                       'sync EIO', 'write EIO', 'open EIO')
    yield from rows_of('current', 'raft/install', RAFT + 'tmp-install', COPIES, STOPS, says,
                       'open ENOSPC', 'write ENOSPC', full=False)


def rows_of_archive():
    file, pattern = 'archive/*.archive', DATA + 'archive/*.archive'
    yield from rows_of('archive', file, pattern, WRITES, STOPS, 'data/archive.*record',
                       'write EIO')
    yield from rows_of('archive', file, pattern, WRITES, WAITS,
                       r'applying waits until there is room', 'write ENOSPC')
    yield from rows_of('archive', file, pattern, WRITES, GOES_ON, '', 'write short')
    yield from rows_of('archive', file, pattern, GROWS, STOPS, 'data/archive .*synced', 'sync EIO')
    yield from rows_of('archive', file, pattern, GROWS, STOPS, 'data/archive .*synced',
                       'sync ENOSPC', advice='failing disk')
    yield from rows_of('archive', file, pattern, GROWS, STOPS, r'data/archive/\d+\.archive',
                       'open EIO')
    yield from rows_of('archive', file, pattern, GROWS, WAITS,
                       r'applying waits until there is room', 'open ENOSPC')
    yield from rows_of('archive', 'archive/', DATA + 'archive', GROWS, STOPS, 'data/archive ',
                       'sync EIO')
    yield from rows_of('archive', file, pattern, STARTS, REFUSED, r'data/archive/\d+\.archive',
                       'open EIO', 'read EIO')
    yield from rows_of('archive', 'archive/', DATA + 'archive', STARTS, REFUSED, 'data/archive',
                       'open EIO')


def rows_of_folder():
    for file in ('identity', 'raft/identity', 'store/identity'):
        yield from rows_of('folder', file, DATA + file, STARTS, REFUSED, f'data/{file}\\b',
                           'open EIO', 'read EIO')
    yield from rows_of('folder', 'LOCK', DATA + 'LOCK', STARTS, REFUSED, r'data/LOCK\b',
                       'open EIO', 'write EIO')
    yield from rows_of('folder', 'LOCK', DATA + 'LOCK', STARTS, GOES_ON, '', 'write ENOSPC short',
                       full=False)
    says = r'settings\.yaml'
    made = DATA + 'settings.yaml.new'
    yield from rows_of('folder', 'settings.yaml', made, STARTS, GOES_ON, says, 'open EIO ENOSPC',
                       'write EIO ENOSPC', 'sync EIO', full=False, rewritten=True)
    yield from rows_of('folder', 'settings.yaml', made, STARTS, GOES_ON, '', 'write short')
    yield from rows_of('folder', 'settings.yaml', DATA + 'settings.yaml', STARTS, GOES_ON, says,
                       'rename EIO')
    for file in ('REMOVED', 'RECOVER'):
        yield from rows_of('folder', file, DATA + file, STARTS, REFUSED, f'data/{file}\\b',
                           'open EIO')


def rows_of_backup():
    yield from rows_of('serves', 'store/N/data.mdb', STORE, SERVES, GOES_ON,
                       r"the store's data\.mdb cannot be read for a copy \(runbook: failing disk\)",
                       'read EIO', place=PAGES)
    yield from rows_of('serves', 'archive/*.archive', DATA + 'archive/*.archive', SERVES, GOES_ON,
                       r'the archive cannot be read for others \(runbook: failing disk\)',
                       'open EIO', 'read EIO')
    file, made = 'the file of a backup', '*/target/file.tmp'
    yield from rows_of('backup', file, made, BACKUP, TELLS,
                       r'target/file(?s:.*)no backup was made: ', 'open EIO ENOSPC',
                       'write EIO ENOSPC', 'sync EIO ENOSPC')
    yield from rows_of('backup', file, made, BACKUP, GOES_ON, '', 'write short')
    yield from rows_of('backup', file, '*/target/file', BACKUP, TELLS,
                       r'target/file(?s:.*)no backup was made: look at that disk', 'rename EIO')
    yield from rows_of('backup', 'its folder', '*/target', BACKUP, TELLS, r'target: (?s:.*)may be gone',
                       'sync EIO', kept=True)


def rows():
    yield from rows_of_log()
    yield from rows_of_mark()
    yield from rows_of_snapshot()
    yield from rows_of_store()
    yield from rows_of_copy()
    yield from rows_of_archive()
    yield from rows_of_folder()
    yield from rows_of_backup()


# --- The page

HEAD = """# What a node does when its disk fails

A write is told as failed, a disk is full, a sync says that what was written before may be lost. A node
that went on as if nothing were would acknowledge what it does not have. So it ends, with an exit code that
is not 0, and its last line says which file, what failed and what to do, and names the
[runbook](../deploy/runbook.md)'s page; or, where nothing is lost by it, it goes on and says what it
goes without. A sync that failed is never tried again: the kernel may have dropped what it could not write,
and the next one would say that all is well. What is synced after that was written anew.

This page is made from tests/integration/failing_disk.py, and every row is played on one of three nodes
that take writes. The other two go on; nothing that was acknowledged is lost; started again on a disk
that is well, the node catches up, and all three have the same digests:
`CLADE_TEST_TIMEOUT_S=3600 CLADE_FAULTS=all tests/integration/run -k test_failing_disk`.

`EIO` is told once (at a start: always): the next try would succeed. `ENOSPC` is told until there is
room. `short` writes a part, and says so. `dsync` is a write that is synced by a flag of its own,
`allocate` lays a file out in advance.

"""

TITLES = ((STOPS, 'It ends', 'The node ends: exit code 1.'),
          (REFUSED, 'It does not start', 'Exit code 1: another start may succeed.'),
          (WAITS, 'It waits for room', 'The node serves what it has, says that it waits, and goes on '
                                       'by itself when there is room.'),
          (GOES_ON, 'It goes on', 'The rest of a short write is written, or a file that can be '
                                  'missed is; where something is given up, the log says so.'),
          (TELLS, '`clade cluster backup` fails', 'It says so and leaves no file. Where the folder '
           'cannot be synced the file is whole and stays, but may be gone after a power cut.'))

TAIL = """## What is not in the tables

- `msync`: no node calls it; each row checks that. LMDB writes with `pwrite` and `fdatasync`.
- A page of the store that cannot be read when it is needed: the map ends in a signal there. The node says
  *the store's data.mdb cannot be read* and ends with exit code 3 (runbook: damaged node).
- A disk that does not answer: runbook, slow disk.
- `ENOSPC` of a sync, while the file system has room: a pool behind it is full. The disk had taken what it
  now cannot keep, so the node ends as for `EIO`.
- A file that is found damaged: [damage.md](damage.md).
"""


def page():
    """docs/failing-disk.md."""
    text = HEAD
    for outcome, title, lead in TITLES:
        text += f'## {title}\n\n{lead}\n\n| file | call | fails with | when |\n|---|---|---|---|\n'
        kinds = {}
        for row in rows():
            if row.outcome == outcome:
                kinds.setdefault((row.file, row.call, row.when), []).append(row.fault)
        for (file, call, when), faults in kinds.items():
            name = f'`{file}`' if '/' in file or '.' in file or file.isupper() or \
                file in ('mark', 'identity') else file
            text += f'| {name} | {call} | {", ".join(faults)} | {when} |\n'
        text += '\n'
    return text + TAIL
