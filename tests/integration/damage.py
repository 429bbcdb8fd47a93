"""Damage to the files of a node: where it is put, and what the node is to do.

A row of ROWS is a file, a part of it, what happens to it, and what is expected. docs/damage.md is
this table as prose; test_damage.py runs it on real folders.
"""

import pathlib
import re
import shutil
import struct

# --- Outcomes

REFUSED = 'refused'  # the node does not start, and says which file, and what to do
STARTS = 'starts'    # it starts, and what it lacks, if anything, it gets from log or others
EITHER = 'either'    # the one or the other, by what else is there
RUNBOOK = '(runbook: damaged node)'


class Row:
    """One damage. `apply` is given the node's data folder, and the one of an earlier day."""

    def __init__(self, file, part, damage, apply, outcome, says):
        self.file = file
        self.part = part
        self.damage = damage
        self.apply = apply
        self.outcome = outcome
        self.says = says

    def name(self):
        return f'{self.file}, {self.part}: {self.damage}'


# --- What can happen to a file

def flip(path, at, bit=4):
    with open(path, 'r+b') as f:
        f.seek(at)
        byte = f.read(1)
        assert byte, f'{path} ends before {at}'
        f.seek(at)
        f.write(bytes((byte[0] ^ (1 << bit),)))


def cut(path, size):
    with open(path, 'r+b') as f:
        f.truncate(size)


def zero(path, at, size=4096):
    with open(path, 'r+b') as f:
        f.seek(at)
        f.write(b'\0' * size)


def size_of(path):
    return path.stat().st_size


# --- Where things are

def closed_segments(data):
    return sorted((p for p in (data / 'raft').iterdir() if re.fullmatch(r'\d+-\d+', p.name)),
                  key=lambda p: int(p.name.split('-')[0]))


def open_segment(data):
    """The one that was written last."""
    found = [p for p in (data / 'raft').glob('open-*') if any(p.read_bytes()[8:64])]
    return max(found, key=lambda p: int(p.name.split('-')[1]))


def batches(path):
    """(begin, where the data begins, end) of each batch of entries in a segment."""
    raw = path.read_bytes()
    at = 8
    found = []
    while at + 16 <= len(raw):
        n = struct.unpack_from('<Q', raw, at + 8)[0]
        if n == 0 or n > 1 << 20:
            break
        begin = at
        lengths = [struct.unpack_from('<I', raw, at + 16 + 16 * i + 12)[0] for i in range(n)]
        data = at + 16 + 16 * n
        at = data + sum(lengths)
        found.append((begin, data, at))
    return found


def snapshot(data):
    """The newest, without its meta file."""
    found = [p for p in (data / 'raft').glob('snapshot-*') if p.suffix != '.meta']
    return max(found, key=lambda p: int(p.name.split('-')[2]))


def meta_of(path):
    return path.with_name(path.name + '.meta')


def metadata(data):
    """The older and the newer one."""
    both = [data / 'raft' / 'metadata1', data / 'raft' / 'metadata2']
    return sorted(both, key=lambda p: struct.unpack_from('<Q', p.read_bytes(), 8)[0])


def mark_slots(data, name='raft/mark'):
    """Where the older slot of the mark begins, and the newer one."""
    raw = (data / name).read_bytes()
    return sorted((0, 4096), key=lambda at: struct.unpack_from('<Q', raw, at + 16)[0])


def mark_index(data):
    raw = (data / 'raft' / 'mark').read_bytes()
    return struct.unpack_from('<Q', raw, mark_slots(data)[1] + 40)[0]


def store(data):
    name = (data / 'store' / 'CURRENT').read_text().strip()
    return data / 'store' / name / 'data.mdb'


def archive_segments(data):
    return sorted((data / 'archive').glob('*.archive'))


def archive_records(path):
    """Where each record begins."""
    raw = path.read_bytes()
    at = 48
    found = []
    while at + 32 <= len(raw):
        found.append(at)
        at += 32 + struct.unpack_from('<I', raw, at + 16)[0]
    return found


# --- LMDB's file, as storage/data_file.h has it

class Lmdb:
    """Enough of data.mdb to find pages by what they hold."""

    def __init__(self, path):
        self.raw = path.read_bytes()
        metas = [struct.unpack_from('<Q', self.raw, slot * 4096 + 16 + 128)[0] for slot in (0, 1)]
        self.newer = metas.index(max(metas))
        self.at = self.newer * 4096 + 16
        self.free_root = struct.unpack_from('<Q', self.raw, self.at + 24 + 40)[0]
        self.main_root = struct.unpack_from('<Q', self.raw, self.at + 24 + 48 + 40)[0]

    def nodes(self, page):
        """(offset, flags, key, data offset, data length) of a page's nodes."""
        base = page * 4096
        lower = struct.unpack_from('<H', self.raw, base + 12)[0]
        for i in range((lower - 16) // 2):
            at = base + struct.unpack_from('<H', self.raw, base + 16 + 2 * i)[0]
            low, high, flags, key = struct.unpack_from('<HHHH', self.raw, at)
            yield at, flags, self.raw[at + 8:at + 8 + key], at + 8 + key, low | high << 16

    def is_leaf(self, page):
        return struct.unpack_from('<H', self.raw, page * 4096 + 10)[0] & 2 != 0

    def table(self, name):
        """The root page of a table."""
        todo = [self.main_root]
        while todo:
            page = todo.pop()
            for at, flags, key, data, _ in self.nodes(page):
                if not self.is_leaf(page):
                    low, high = struct.unpack_from('<HH', self.raw, at)
                    todo.append(low | high << 16 | flags << 32)
                elif key.rstrip(b'\0') == name:
                    return struct.unpack_from('<Q', self.raw, data + 40)[0]
        raise KeyError(name)

    def leaves(self, name):
        """The table's leaf pages, and its branches."""
        leaves, branches = [], []
        todo = [self.table(name)]
        while todo:
            page = todo.pop()
            if self.is_leaf(page):
                leaves.append(page)
                continue
            branches.append(page)
            for at, flags, *_ in self.nodes(page):
                low, high = struct.unpack_from('<HH', self.raw, at)
                todo.append(low | high << 16 | flags << 32)
        return leaves, branches

    def long_value(self, name):
        """Where a value that has pages of its own begins."""
        for page in self.leaves(name)[0]:
            for _, flags, _, data, _ in self.nodes(page):
                if flags & 1:
                    return struct.unpack_from('<Q', self.raw, data)[0] * 4096
        raise KeyError(f'no long value in {name}')


# --- The table

BOOK = re.escape(RUNBOOK)


def on(find, harm):
    """Harms what `find` names."""
    return lambda data, old: harm(find(data))


def old_copy(name):
    """Puts an earlier day's file, or folder, in the place of today's."""
    def apply(data, old):
        to = data / name
        if to.is_dir():
            shutil.rmtree(to)
            shutil.copytree(old / name, to)
        else:
            shutil.copy2(old / name, to)
    return apply


def gone(*names):
    def apply(data, old):
        for name in names:
            path = data / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return apply


def rows_of_identity():
    for name in ('identity', 'raft/identity', 'store/identity'):
        at = lambda data, name=name: data / name
        for part, place in (('format', 7), ('cluster', 20), ('checksum', -3)):
            yield Row(name, part, 'a flipped bit', on(at, lambda p, place=place: flip(
                p, place if place >= 0 else size_of(p) + place)), REFUSED, rf'identity.*{BOOK}')
        yield Row(name, 'all', 'cut to half', on(at, lambda p: cut(p, size_of(p) // 2)), REFUSED,
                  rf'identity.*{BOOK}')
        yield Row(name, 'all', 'empty', on(at, lambda p: cut(p, 0)), REFUSED, rf'identity.*{BOOK}')
        yield Row(name, 'all', 'zeros', on(at, lambda p: zero(p, 0, size_of(p))), REFUSED,
                  rf'identity.*{BOOK}')
    yield Row('identity', 'all', 'deleted', gone('identity'), REFUSED, 'identity')
    for name in ('raft/identity', 'store/identity'):
        yield Row(name, 'all', 'deleted', gone(name), REFUSED, rf'identity.*{BOOK}')


def rows_of_current():
    at = lambda data: data / 'store' / 'CURRENT'
    says = rf'CURRENT.*{BOOK}'
    yield Row('store/CURRENT', 'number', 'a flipped bit', on(at, lambda p: flip(p, 0, 1)), REFUSED,
              rf'store/\d+ .*{BOOK}')
    yield Row('store/CURRENT', 'end', 'a flipped bit', on(at, lambda p: flip(p, size_of(p) - 1)),
              REFUSED, says)
    yield Row('store/CURRENT', 'all', 'empty', on(at, lambda p: cut(p, 0)), REFUSED, says)
    yield Row('store/CURRENT', 'all', 'zeros', on(at, lambda p: zero(p, 0, size_of(p))), REFUSED,
              says)
    yield Row('store/CURRENT', 'all', 'deleted', gone('store/CURRENT'), REFUSED, says)


def rows_of_folders():
    yield Row('raft/', 'all', 'deleted', gone('raft'), REFUSED, BOOK)
    yield Row('raft/', 'all', 'an old copy', old_copy('raft'), REFUSED, BOOK)
    yield Row('store/', 'all', 'deleted', gone('store'), REFUSED, BOOK)
    yield Row('store/', 'all', 'an old copy', old_copy('store'), REFUSED, BOOK)
    yield Row('archive/', 'all', 'deleted', gone('archive'), STARTS, '')
    yield Row('archive/', 'all', 'an old copy', old_copy('archive'), STARTS, '')


def rows_of_metadata():
    for i, which in enumerate(('older', 'newer')):
        name = f'raft/metadata1, 2: the {which}'
        at = lambda data, i=i: metadata(data)[i]
        for part, place in (('format', 0), ('version', 8), ('term', 16), ('vote', 24)):
            # The older one's vote is told by the newer one alone where terms are the same.
            yield Row(name, part, 'a flipped bit', on(at, lambda p, place=place: flip(p, place)),
                      REFUSED, rf'(metadata|vote).*{BOOK}')
        yield Row(name, 'all', 'one byte short', on(at, lambda p: cut(p, size_of(p) - 1)), REFUSED,
                  rf'metadata.*{BOOK}')
        yield Row(name, 'all', 'empty', on(at, lambda p: cut(p, 0)), REFUSED, rf'metadata.*{BOOK}')
        yield Row(name, 'all', 'zeros', on(at, lambda p: zero(p, 0, 32)), REFUSED,
                  rf'metadata.*{BOOK}')
        yield Row(name, 'all', 'deleted', on(at, lambda p: p.unlink()), REFUSED,
                  rf'metadata.*{BOOK}')

    def both_old(data, old):
        for name in ('metadata1', 'metadata2'):
            shutil.copy2(old / 'raft' / name, data / 'raft' / name)
    yield Row('raft/metadata1, 2', 'both', 'old copies', both_old, REFUSED, rf'term.*{BOOK}')
    yield Row('raft/metadata1, 2', 'both', 'deleted', gone('raft/metadata1', 'raft/metadata2'),
              REFUSED, BOOK)


def rows_of_mark():
    at = lambda data: data / 'raft' / 'mark'
    for i, which in enumerate(('older', 'newer')):
        for part, place in (('name', 0), ('version', 8), ('generation', 16), ('term', 24),
                            ('index', 40), ('checksum', 72)):
            yield Row('raft/mark', f'{part} of the {which} slot', 'a flipped bit',
                      lambda data, old, i=i, place=place: flip(data / 'raft' / 'mark',
                                                               mark_slots(data)[i] + place),
                      STARTS, '')
    yield Row('raft/mark', 'newer slot', 'zeros', lambda data, old: zero(
        data / 'raft' / 'mark', mark_slots(data)[1], 80), STARTS, '')
    yield Row('raft/mark', 'all', 'zeros', on(at, lambda p: zero(p, 0, size_of(p))), REFUSED,
              rf'mark.*{BOOK}')
    yield Row('raft/mark', 'all', 'empty', on(at, lambda p: cut(p, 0)), REFUSED, rf'mark.*{BOOK}')
    yield Row('raft/mark', 'all', 'deleted', gone('raft/mark'), REFUSED, rf'mark.*{BOOK}')
    yield Row('raft/mark', 'all', 'an old copy', old_copy('raft/mark'), REFUSED, BOOK)
    witness = lambda data: data / 'mark'
    yield Row('mark', 'newer slot', 'zeros', lambda data, old: zero(
        data / 'mark', mark_slots(data, 'mark')[1], 80), STARTS, '')
    yield Row('mark', 'all', 'zeros', on(witness, lambda p: zero(p, 0, size_of(p))), REFUSED,
              rf'mark.*{BOOK}')
    yield Row('mark', 'all', 'empty', on(witness, lambda p: cut(p, 0)), REFUSED, rf'mark.*{BOOK}')
    yield Row('mark', 'all', 'deleted', gone('mark'), REFUSED, rf'mark.*{BOOK}')
    yield Row('mark', 'all', 'an old copy', old_copy('mark'), STARTS, '')


def rows_of_closed():
    at = lambda data: closed_segments(data)[-1]
    name = 'raft/FIRST-LAST, the last'
    says = rf'\d+-\d+.*{BOOK}'
    yield Row(name, 'format', 'a flipped bit', on(at, lambda p: flip(p, 0)), REFUSED, says)
    yield Row(name, 'header checksum', 'a flipped bit', on(at, lambda p: flip(p, 8)), REFUSED, says)
    yield Row(name, 'data checksum', 'a flipped bit', on(at, lambda p: flip(p, 12)), REFUSED, says)
    yield Row(name, 'count of entries', 'a flipped bit', on(at, lambda p: flip(p, 16)), REFUSED,
              says)
    yield Row(name, 'term of an entry', 'a flipped bit', on(at, lambda p: flip(p, 24)), REFUSED,
              says)
    yield Row(name, 'length of an entry', 'a flipped bit', on(at, lambda p: flip(p, 36)), REFUSED,
              says)
    yield Row(name, 'an entry', 'a flipped bit', on(at, lambda p: flip(
        p, batches(p)[len(batches(p)) // 2][1])), REFUSED, says)
    yield Row(name, 'the last byte', 'a flipped bit', on(at, lambda p: flip(
        p, batches(p)[-1][2] - 1)), REFUSED, says)
    yield Row(name, 'a page', 'zeros', on(at, lambda p: zero(p, size_of(p) // 8192 * 4096)),
              REFUSED, says)
    yield Row(name, 'all', 'cut to half', on(at, lambda p: cut(p, size_of(p) // 2)), REFUSED, says)
    yield Row(name, 'all', 'cut behind a batch', on(at, lambda p: cut(p, batches(p)[-2][2])),
              REFUSED, says)
    yield Row(name, 'all', 'empty', on(at, lambda p: cut(p, 0)), REFUSED, says)
    yield Row(name, 'all', 'deleted', on(at, lambda p: p.unlink()), REFUSED, BOOK)
    for i, which in ((0, 'the first'), (1, 'the second')):
        other = lambda data, i=i: closed_segments(data)[i]
        yield Row(f'raft/FIRST-LAST, {which}', 'an entry', 'a flipped bit', on(
            other, lambda p: flip(p, batches(p)[0][1])), REFUSED, says)
        yield Row(f'raft/FIRST-LAST, {which}', 'all', 'deleted', on(other, lambda p: p.unlink()),
                  (EITHER, REFUSED)[i], BOOK)


def rows_of_open():
    name = 'raft/open-N'
    says = rf'open-\d+.*{BOOK}'
    yield Row(name, 'format', 'a flipped bit', on(open_segment, lambda p: flip(p, 0)), REFUSED, says)
    for part, place in (('header checksum', 0), ('data checksum', 4), ('count of entries', 8),
                        ('term of an entry', 16), ('length of an entry', 28)):
        yield Row(name, f'{part}, first batch', 'a flipped bit', on(
            open_segment, lambda p, place=place: flip(p, batches(p)[0][0] + place)), REFUSED, says)
        yield Row(name, f'{part}, last batch', 'a flipped bit', on(
            open_segment, lambda p, place=place: flip(p, batches(p)[-1][0] + place)), REFUSED, BOOK)
    yield Row(name, 'an entry, first batch', 'a flipped bit', on(
        open_segment, lambda p: flip(p, batches(p)[0][1])), REFUSED, says)
    yield Row(name, 'an entry, last batch', 'a flipped bit', on(
        open_segment, lambda p: flip(p, batches(p)[-1][1])), REFUSED, BOOK)
    yield Row(name, 'the room behind', 'a flipped bit', on(
        open_segment, lambda p: flip(p, size_of(p) - 5)), STARTS, '')
    yield Row(name, 'a page', 'zeros', on(open_segment, lambda p: zero(
        p, batches(p)[len(batches(p)) // 2][0] // 4096 * 4096)), REFUSED, BOOK)
    yield Row(name, 'all', 'cut behind a batch', on(
        open_segment, lambda p: cut(p, batches(p)[-2][2])), REFUSED, BOOK)
    yield Row(name, 'all', 'cut in a batch', on(
        open_segment, lambda p: cut(p, batches(p)[-1][2] - 9)), REFUSED, BOOK)
    yield Row(name, 'all', 'empty', on(open_segment, lambda p: cut(p, 0)), REFUSED, BOOK)
    yield Row(name, 'all', 'deleted', on(open_segment, lambda p: p.unlink()), REFUSED, BOOK)
    yield Row(name, 'one that was not begun', 'deleted', on(
        lambda data: max((data / 'raft').glob('open-*'),
                         key=lambda p: int(p.name.split('-')[1])), lambda p: p.unlink()), STARTS, '')


def rows_of_snapshot():
    name = 'raft/snapshot-T-I-N'
    for part, place in (('begin', 0), ('middle', 40), ('end', -9)):
        yield Row(name, part, 'a flipped bit', on(snapshot, lambda p, place=place: flip(
            p, place if place >= 0 else size_of(p) + place)), REFUSED, BOOK)
    yield Row(name, 'all', 'cut to half', on(snapshot, lambda p: cut(p, size_of(p) // 2)), REFUSED,
              BOOK)
    yield Row(name, 'all', 'empty', on(snapshot, lambda p: cut(p, 0)), EITHER, BOOK)
    yield Row(name, 'all', 'deleted', on(snapshot, lambda p: p.unlink()), EITHER, BOOK)
    meta = lambda data: meta_of(snapshot(data))
    for part, place in (('format', 0), ('checksum', 8), ('configuration\'s index', 16),
                        ('configuration\'s length', 24), ('configuration', 40)):
        yield Row(name + '.meta', part, 'a flipped bit', on(meta, lambda p, place=place: flip(
            p, place)), EITHER, BOOK)
    yield Row(name + '.meta', 'all', 'cut to half', on(meta, lambda p: cut(p, size_of(p) // 2)),
              EITHER, BOOK)
    yield Row(name + '.meta', 'all', 'empty', on(meta, lambda p: cut(p, 0)), EITHER, BOOK)
    yield Row(name + '.meta', 'all', 'deleted', on(meta, lambda p: p.unlink()), EITHER, BOOK)

    def old(data, old_data):
        for p in (data / 'raft').glob('snapshot-*'):
            p.unlink()
        for p in (old_data / 'raft').glob('snapshot-*'):
            shutil.copy2(p, data / 'raft' / p.name)
    yield Row('raft/snapshot-*', 'all', 'old copies', old, REFUSED, BOOK)
    yield Row('raft/snapshot-*', 'all', 'deleted', lambda data, old: [
        p.unlink() for p in (data / 'raft').glob('snapshot-*')], REFUSED, BOOK)


def rows_of_store():
    name = 'store/N/data.mdb'
    says = rf'data\.mdb.*{BOOK}'

    def page(data, of):
        lmdb = Lmdb(store(data))
        return of(lmdb) * 4096
    def leaf(l, table=b'things'):
        found = l.leaves(table)[0]
        return found[len(found) // 2]
    def branch(l):
        return l.leaves(b'things')[1][0]
    for i, which in enumerate(('older', 'newer')):
        begin = lambda data, i=i: (Lmdb(store(data)).newer if i else
                                   1 - Lmdb(store(data)).newer) * 4096
        # What of the older one LMDB does not read does no harm; a newer one that is not the newest
        # any more leaves the commit before, and the log has what came after it.
        for part, place, outcome in (
                ('name', 16, REFUSED), ('format', 20, REFUSED), ('map size', 32, STARTS),
                ('free pages', 80, (STARTS, REFUSED)[i]), ('tables', 128, (STARTS, REFUSED)[i]),
                ('last page', 136, (STARTS, REFUSED)[i]), ('transaction', 144, STARTS)):
            yield Row(name, f'{which} meta page: {part}', 'a flipped bit',
                      lambda data, old, begin=begin, place=place: flip(
                          store(data), begin(data) + place), outcome,
                      says if outcome == REFUSED else '')
        yield Row(name, f'{which} meta page', 'zeros', lambda data, old, begin=begin: zero(
            store(data), begin(data)), REFUSED, says)
    for what, of in (('a branch page', branch), ('a leaf page', leaf)):
        for part, place in (('number', 0), ('kind', 10), ('bounds', 12), ('a node\'s place', 18)):
            yield Row(name, f'{part} of {what}', 'a flipped bit',
                      lambda data, old, of=of, place=place: flip(
                          store(data), page(data, of) + place), REFUSED, says)
        yield Row(name, what, 'zeros', lambda data, old, of=of: zero(
            store(data), page(data, of)), REFUSED, says)
        yield Row(name, what, 'another page\'s bytes', lambda data, old, of=of: copy_page(
            store(data), page(data, of), page(data, lambda l: leaf(l, b'names'))), REFUSED, says)
    def node(data, where):
        lmdb = Lmdb(store(data))
        nodes = list(lmdb.nodes(leaf(lmdb)))
        at, flags, key, begin, length = nodes[len(nodes) // 2]
        return where(at, begin, length)
    yield Row(name, 'a row\'s key', 'a flipped bit', lambda data, old: flip(
        store(data), node(data, lambda at, begin, n: begin - 1), 0), REFUSED, says)
    yield Row(name, 'a row\'s bytes', 'a flipped bit', lambda data, old: flip(
        store(data), node(data, lambda at, begin, n: begin + n // 2)), REFUSED, says)
    yield Row(name, 'a row\'s checksum', 'a flipped bit', lambda data, old: flip(
        store(data), node(data, lambda at, begin, n: begin + n - 2)), REFUSED, says)
    yield Row(name, 'a long value', 'a flipped bit', lambda data, old: flip(
        store(data), Lmdb(store(data)).long_value(b'things') + 2000), REFUSED, says)
    yield Row(name, 'a long value', 'zeros', lambda data, old: zero(
        store(data), Lmdb(store(data)).long_value(b'things')), REFUSED, says)
    yield Row(name, 'free pages\' root', 'a flipped bit', lambda data, old: flip(
        store(data), Lmdb(store(data)).free_root * 4096 + 12), REFUSED, says)
    yield Row(name, 'all', 'cut to half', on(store, lambda p: cut(p, size_of(p) // 8192 * 4096)),
              REFUSED, says)
    yield Row(name, 'all', 'cut to a page', on(store, lambda p: cut(p, 4096)), REFUSED, says)
    yield Row(name, 'all', 'a page short', on(store, lambda p: cut(p, size_of(p) - 4096)), EITHER,
              says)
    yield Row(name, 'all', 'empty', on(store, lambda p: cut(p, 0)), REFUSED, says)
    yield Row(name, 'all', 'deleted', on(store, lambda p: p.unlink()), REFUSED, says)
    yield Row(name, 'all', 'an old copy', lambda data, old: shutil.copy2(store(old), store(data)),
              REFUSED, says)
    lock = lambda data: store(data).with_name('lock.mdb')
    yield Row('store/N/lock.mdb', 'all', 'a flipped bit', on(lock, lambda p: flip(p, 0)), STARTS,
              '')
    yield Row('store/N/lock.mdb', 'all', 'zeros', on(lock, lambda p: zero(p, 0, size_of(p))),
              STARTS, '')
    yield Row('store/N/lock.mdb', 'all', 'deleted', on(lock, lambda p: p.unlink()), STARTS, '')


def copy_page(path, to, source):
    with open(path, 'r+b') as f:
        f.seek(source)
        bytes_ = f.read(4096)
        f.seek(to)
        f.write(bytes_)


def rows_of_archive():
    for i, which in ((0, 'the oldest'), (-1, 'the newest')):
        name = f'archive/*.archive, {which}'
        at = lambda data, i=i: archive_segments(data)[i]
        for part, place in (('name', 0), ('version', 8), ('cluster', 16), ('base', 32),
                            ('checksum', 40)):
            yield Row(name, f'header: {part}', 'a flipped bit', on(
                at, lambda p, place=place: flip(p, place)), STARTS, '')
        for part, place in (('previous', 0), ('index', 8), ('length', 16), ('checksum', 24),
                            ('bytes', 40)):
            yield Row(name, f'record: {part}', 'a flipped bit', on(
                at, lambda p, place=place: flip(
                    p, archive_records(p)[len(archive_records(p)) // 2] + place)), STARTS, '')
        yield Row(name, 'a page', 'zeros', on(at, lambda p: zero(p, size_of(p) // 8192 * 4096)),
                  STARTS, '')
        yield Row(name, 'all', 'cut to half', on(at, lambda p: cut(p, size_of(p) // 2)), STARTS, '')
        yield Row(name, 'all', 'empty', on(at, lambda p: cut(p, 0)), STARTS, '')
        yield Row(name, 'all', 'deleted', on(at, lambda p: p.unlink()), STARTS, '')


def rows_of_remains():
    def put(name, bytes_):
        def apply(data, old):
            (data / name).write_bytes(bytes_)
        return apply
    yield Row('raft/tmp-*', 'remains of a crash', 'any bytes', put('raft/tmp-0', b'x' * 100), STARTS,
              '')
    yield Row('store/CURRENT.new', 'remains of a crash', 'any bytes',
              put('store/CURRENT.new', b'9\n'), STARTS, '')
    yield Row('raft/install', 'all', 'any bytes', put('raft/install', b'x' * 32), REFUSED,
              rf'install.*{BOOK}')
    yield Row('INIT', 'remains of a crash', 'any bytes', put('INIT', b''), STARTS, '')
    yield Row('LOCK', 'all', 'any bytes', put('LOCK', b'\xff' * 5000), STARTS, '')
    yield Row('LOCK', 'all', 'deleted', gone('LOCK'), STARTS, '')


def rows():
    yield from rows_of_identity()
    yield from rows_of_current()
    yield from rows_of_folders()
    yield from rows_of_metadata()
    yield from rows_of_mark()
    yield from rows_of_closed()
    yield from rows_of_open()
    yield from rows_of_snapshot()
    yield from rows_of_store()
    yield from rows_of_archive()
    yield from rows_of_remains()


# --- The page

HEAD = """# What damage does to a node

A disk loses a sector, a tool cuts a file, somebody puts back what was there last week. A node that came
back with less than it has acknowledged would vote as if it had never acknowledged it, and a majority
could elect a leader that lacks it: a write that was answered would be gone. So it does not come back.
It says which file is damaged, and where, and names the [runbook](../deploy/runbook.md)'s page; its place is
taken by a new member, which gets everything from the others. Where nothing is lost it starts.

This page is made from tests/integration/damage.py, and every row is played on the folders of a real
cluster, in which the damaged node is one of the two that know the last writes, and the third is away:
`CLADE_TEST_TIMEOUT_S=1800 CLADE_DAMAGE=all tests/integration/run -k test_damage`.

"""

WHY = {
    'archive/': 'The archive is for others that are far behind; without it they get a copy of the '
                'store.',
    'mark': 'Of two slots one is written at a time. When the newer one is damaged the older one counts, '
            'and if it asks for less, the log still has it all.',
    'raft/mark': 'As for `mark`. Had the term or the vote changed since, it would be refused.',
    'raft/FIRST-LAST, the first': 'It may hold only what the snapshot stands for.',
    'raft/open-N': 'The last write of a node that died may be torn, and is cut off: it was not '
                   'acknowledged. What the mark says was acknowledged must be there.',
    'raft/snapshot-T-I-N': 'There are two. The one before does as well where the log still reaches '
                           'back to it; else the node is refused.',
    'store/N/data.mdb': 'Before LMDB sees it, every page is checked, then every row and the sums of all. '
                        'A start waits 3 seconds for that (about a GiB); a larger store is checked '
                        'by `claded check` while the node is stopped, and a row in it when it is read. '
                        'LMDB keeps two commits: where the newer one\'s page says that it is the older '
                        'one, the log has what is missing. An older file is refused when the log does '
                        'not reach back to it any more, and else goes on from there. The last page may '
                        'be one that is free.',
}

TAIL = """## What a node cannot know

An old copy of the **whole** data folder fits together. A node that is started with one votes as it did on
that day. Never do it: a folder is used by one process, once, and never put back (see the runbook).

A record of the archive, or a copy that another member sends, is checked before anything is replaced; a
member that sends what cannot be is asked last.
"""


def page():
    """docs/damage.md."""
    files = {}
    for row in rows():
        files.setdefault(row.file, {}).setdefault((row.damage, row.outcome), []).append(row.part)
    text = HEAD
    for outcome, title, lead in (
            (REFUSED, 'Refused', 'The node does not start.\n\n'),
            (STARTS, 'Harmless', 'The node starts; nothing is missing, on it or on the others.\n\n'),
            (EITHER, 'Either', 'The one or the other, by what else is there.\n\n')):
        text += f'## {title}\n\n{lead}| file | damage | to |\n|---|---|---|\n'
        for file, kinds in files.items():
            for (what, of), parts in kinds.items():
                if of == outcome:
                    text += f'| `{file}` | {what} | {", ".join(parts)} |\n'
        text += '\n'
    text += '## Why that is harmless\n\n'
    for file, why in sorted(WHY.items()):
        text += f'- `{file}`: {why}\n'
    return text + '\n' + TAIL
