#include "consensus/restore.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/time_text.h"
#include "consensus/archive.h"
#include "storage/apply.h"
#include "storage/refound.h"

#define BATCH_BYTES  (UINT64_C(64) << 20)
#define PATH_BYTES   4096
#define TELL_ENTRIES 1024

/* --- the files, and how they go together --- */

static void tell(const struct restore_options *o, const char *what, uint64_t done)
{
    if (o->progress != NULL) {
        o->progress(o->arg, what, done);
    }
}

static int check_format(const struct backup_reader *r, struct error *error)
{
    uint32_t format = r->manifest.store_format;
    return format == store_format()
               ? 0
               : error_set(error, CLADE_ERR_UNSUPPORTED, r->path,
                           "the backup is of a store of format %" PRIu32
                           "; this program knows format %" PRIu32 ": use the one that made it",
                           format, store_format());
}

static int check_first(const struct backup_reader *r, struct error *error)
{
    return r->manifest.kind == BACKUP_FULL
               ? 0
               : error_set(error, CLADE_ERR_INVALID, r->path,
                           "it is an incremental backup, which goes on from index %" PRIu64
                           ": give the full one first",
                           r->manifest.base);
}

/* Whether it goes on from what ends as `before` says. */
static int check_follows(const struct backup_reader *r,
                         const struct backup_manifest *before,
                         struct error *error)
{
    const struct backup_manifest *m = &r->manifest;
    if (m->kind != BACKUP_INCREMENTAL) {
        return error_set(error, CLADE_ERR_INVALID, r->path,
                         "it is a full backup: only the first one is");
    }
    if (!hash128_equal(m->cluster, before->cluster)) {
        char theirs[33];
        hash128_format(m->cluster, theirs);
        return error_set(error, CLADE_ERR_INVALID, r->path,
                         "it is of another cluster (%s) than the one before", theirs);
    }
    if (m->base > before->index || m->index < before->index) {
        return error_set(error, CLADE_ERR_INVALID, r->path,
                         "it holds what is behind index %" PRIu64 " up to %" PRIu64
                         ", and the one before ends at %" PRIu64
                         ": one is missing, or they are not in their order",
                         m->base, m->index, before->index);
    }
    return 0;
}

/* Opens file i, which goes on from `before` (NULL: it is the first). Release in any case. */
static int open_file(const struct restore_options *o,
                     size_t i,
                     const struct backup_manifest *before,
                     struct backup_reader *ret,
                     struct error *error)
{
    int rc = backup_reader_open(ret, o->files[i], error);
    rc = rc != 0 ? rc : check_format(ret, error);
    return rc != 0          ? rc
           : before == NULL ? check_first(ret, error)
                            : check_follows(ret, before, error);
}

/* --- entries --- */

typedef int (*record_cb)(void *arg, const struct archive_record *record, struct error *error);

static int damaged_entries(const struct backup_reader *r, const char *what, struct error *error)
{
    return error_set(error, CLADE_ERR_CORRUPT, r->path,
                     "in the chunk before byte %" PRIu64
                     " %s; take another copy of the file, or another backup",
                     r->offset, what);
}

/* Calls `cb` for each record; *at is the index up to which they came, before and after. `cb` may
 * end it by what it returns. */
static int each_record(
    struct backup_reader *r, uint64_t *at, record_cb cb, void *arg, struct error *error)
{
    struct span bytes;
    int rc;
    while ((rc = backup_reader_next(r, &bytes, error)) == 0) {
        while (bytes.len > 0) {
            struct archive_record record;
            if (archive_record_next(&bytes, &record, NULL) != 0) {
                return damaged_entries(r, "an entry is not whole", error);
            }
            if (record.previous > *at) {
                return damaged_entries(r, "entries are missing", error);
            }
            rc = cb(arg, &record, error);
            if (rc != 0) {
                return rc;
            }
            *at = record.index > *at ? record.index : *at;
        }
    }
    return rc < 0                    ? rc
           : *at < r->manifest.index ? damaged_entries(r, "the last entries are missing", error)
                                     : 0;
}

static int look_at_record(void *arg, const struct archive_record *record, struct error *error)
{
    const struct backup_reader *r = arg;
    struct entry_header header;
    struct error e = {.code = 0};
    int rc = record->bytes.len == 0 ? 0 : entry_check(record->bytes, &header, &e);
    return rc == 0 ? 0
                   : error_set(error, rc, r->path, "the entry at index %" PRIu64 ": %s",
                               record->index, e.message);
}

static int read_to_end(const struct restore_options *o,
                       struct backup_reader *r,
                       struct error *error)
{
    struct span bytes;
    uint64_t at = r->manifest.base;
    int rc = 0;
    if (r->manifest.kind == BACKUP_INCREMENTAL) {
        return each_record(r, &at, look_at_record, r, error);
    }
    while (rc == 0) {
        rc = backup_reader_next(r, &bytes, error);
        tell(o, r->path, r->chain.bytes);
    }
    return rc == 1 ? 0 : rc;
}

int restore_check(const struct restore_options *o, struct restore_result *ret, struct error *error)
{
    struct backup_manifest before;
    int rc = 0;
    for (size_t i = 0; i < o->files_len && rc == 0; i++) {
        struct backup_reader r;
        rc = open_file(o, i, i == 0 ? NULL : &before, &r, error);
        before = r.manifest;
        rc = rc != 0 ? rc : read_to_end(o, &r, error);
        backup_reader_release(&r);
    }
    if (rc == 0) {
        *ret = (struct restore_result){.cluster = before.cluster,
                                       .index = before.index,
                                       .revision = before.revision,
                                       .time_us = before.time_us,
                                       .last = before.revision};
    }
    return rc;
}

/* --- the full backup --- */

static int write_store(const struct restore_options *o,
                       struct backup_reader *r,
                       int fd,
                       const char *file,
                       struct error *error)
{
    struct span bytes;
    uint64_t offset = 0;
    int rc;
    while ((rc = backup_reader_next(r, &bytes, error)) == 0) {
        if (!file_write_all(fd, offset, bytes)) {
            return file_error(file, "cannot be written", error);
        }
        offset += bytes.len;
        tell(o, r->path, offset);
    }
    return rc == 1 ? 0 : rc;
}

static int unpack(const struct restore_options *o,
                  struct backup_reader *r,
                  const char *path,
                  struct error *error)
{
    char file[PATH_BYTES];
    if ((size_t)snprintf(file, sizeof file, "%s/data.mdb", path) >= sizeof file) {
        return error_set(error, CLADE_ERR_INVALID, path, "the path is too long");
    }
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return file_error(file, "cannot be made", error);
    }
    int rc = write_store(o, r, fd, file, error);
    (void)close(fd);
    return rc;
}

static int compare(const struct backup_reader *r,
                   const struct store_copy_info *info,
                   struct error *error)
{
    const struct backup_manifest *m = &r->manifest;
    if (info->applied == m->index && info->revision == m->revision &&
        hash128_equal(info->data, m->data) && hash128_equal(info->state, m->state)) {
        return 0;
    }
    return error_set(error, CLADE_ERR_CORRUPT, r->path,
                     "what it holds (index %" PRIu64 ", revision %" PRIu64
                     ") is not what it says of itself (index %" PRIu64 ", revision %" PRIu64
                     "), or has another digest; take another backup",
                     info->applied, info->revision, m->index, m->revision);
}

static bool on_rows(uint64_t rows, void *arg)
{
    tell(arg, "checking", rows);
    return true;
}

static int restore_full(const struct restore_options *o,
                        struct backup_reader *r,
                        const char *path,
                        struct error *error)
{
    struct store_copy_info info;
    struct restore_options told = *o;
    int rc = unpack(o, r, path, error);
    rc = rc != 0 ? rc : store_copy_check(path, o->map_bytes, on_rows, &told, &info, error);
    return rc != 0 ? rc : compare(r, &info, error);
}

/* --- entries on top of it --- */

struct replay {
    const struct restore_options *options;
    const struct backup_reader *reader;
    struct store *store;
    struct apply *apply;
    uint64_t index;
    uint64_t revision;
    uint64_t time_us; /* of that revision, or 0 */
    uint64_t entries;
    bool writing; /* a batch is open */
    bool over;    /* the limit is reached */
    /* of the entry that runs alone */
    unsigned ran;  /* items */
    unsigned kept; /* of them, those within the limit */
};

static bool is_limited(const struct restore_options *o)
{
    return o->revision != 0 || o->time_us != 0;
}

static bool is_within(const struct restore_options *o, uint64_t revision, uint64_t time_us)
{
    return (o->revision == 0 || revision <= o->revision) &&
           (o->time_us == 0 || time_us <= o->time_us);
}

static int commit(struct replay *p, struct error *error)
{
    struct store_position position;
    if (!p->writing) {
        return 0;
    }
    p->writing = false;
    int rc = apply_commit(p->apply, &position, error);
    if (rc != 0) {
        apply_abort(p->apply);
        return rc;
    }
    p->index = position.applied;
    p->revision = position.revision;
    p->time_us = position.time_us;
    return 0;
}

static int begin(struct replay *p, struct error *error)
{
    int rc = p->writing ? 0 : apply_begin(p->apply, error);
    p->writing = rc == 0;
    return rc;
}

static void drop(struct replay *p)
{
    if (p->writing) {
        apply_abort(p->apply);
        p->writing = false;
    }
}

static void on_result(void *arg, const struct apply_result *result)
{
    struct replay *p = arg;
    p->ran++;
    if (result->changed) {
        p->revision = result->revision;
    }
    /* What changed nothing belongs to the revision before it. */
    bool within = p->kept + 1 == p->ran &&
                  (!result->changed || is_within(p->options, result->revision, result->time_us));
    p->kept += within;
}

static int apply_bytes(struct replay *p,
                       const struct archive_record *record,
                       struct span bytes,
                       struct error *error)
{
    p->ran = 0;
    p->kept = 0;
    int rc = begin(p, error);
    if (rc == 0) {
        rc = bytes.len == 0 ? apply_advance(p->apply, record->previous, record->index, error)
                            : apply_entry(p->apply, record->previous, record->index, bytes,
                                          on_result, p, error);
    }
    p->entries += rc == 0 && bytes.len > 0;
    return rc == 0 ? 0
                   : error_wrap(error, "%s: the entry at index %" PRIu64, p->reader->path,
                                record->index);
}

/* The entry with its first `kept` items alone. */
static int cut_entry(struct span entry, unsigned kept, struct buffer *out, struct error *error)
{
    struct entry_header header;
    int rc = entry_check(entry, &header, error);
    struct span rest = rc == 0 ? span_skip(entry, ENTRY_HEADER_BYTES) : entry;
    entry_begin(out);
    for (unsigned i = 0; i < kept && rc == 0; i++) {
        struct item item;
        size_t len;
        rc = item_decode(rest, &item, &len, error);
        if (rc == 0) {
            (void)buffer_append(out, rest.data, len);
            rest = span_skip(rest, len);
        }
    }
    header.items = (uint16_t)kept;
    entry_end(out, &header);
    return rc == 0 && out->failed ? error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
                                  : rc;
}

/* An entry that passes the limit, or may: alone in its batch, and if it does again without what is
 * beyond. A cut entry never was in a log; the cluster that is made of the store has a log of its
 * own, which begins behind it. */
static int apply_limited(struct replay *p, const struct archive_record *record, struct error *error)
{
    int rc = commit(p, error);
    rc = rc != 0 ? rc : apply_bytes(p, record, record->bytes, error);
    if (rc != 0 || p->kept == p->ran) {
        return rc != 0 ? rc : commit(p, error);
    }
    unsigned kept = p->kept;
    drop(p);
    p->entries--;
    p->over = true;
    if (kept == 0) {
        return 0;
    }
    struct buffer entry;
    buffer_init(&entry, ENTRY_BYTES_MAX);
    rc = cut_entry(record->bytes, kept, &entry, error);
    rc = rc != 0 ? rc : apply_bytes(p, record, buffer_span(&entry), error);
    buffer_release(&entry);
    return rc != 0 ? rc : commit(p, error);
}

/* Whether all that the entry could do stays within the limit: times ascend by one at least. */
static bool surely_within(const struct replay *p, struct span entry)
{
    struct entry_header header;
    if (!is_limited(p->options) || entry_check(entry, &header, NULL) != 0) {
        return true; /* apply says what is wrong with it */
    }
    return is_within(p->options, p->revision + header.items, 0) && p->options->time_us == 0;
}

/* Store time does not go back: what comes behind an entry with a later stamp is later too. What is
 * in such an entry is left out even if it takes no revision: a floor that it moves was not there
 * yet, and history was. */
static bool is_later(const struct replay *p, struct span entry)
{
    struct entry_header header;
    uint64_t limit_us = p->options->time_us;
    return limit_us != 0 && entry.len > 0 && entry_check(entry, &header, NULL) == 0 &&
           header.stamp_us > limit_us;
}

static int on_record(void *arg, const struct archive_record *record, struct error *error)
{
    struct replay *p = arg;
    uint64_t end = p->reader->manifest.index;
    struct archive_record r = *record;
    if (p->over || r.index <= p->index) {
        return 0;
    }
    if (is_later(p, r.bytes)) {
        p->over = true;
        return 0;
    }
    if (r.index > end) {
        /* It begins before the backup's end and holds nothing up to there. */
        r.index = end;
        r.bytes = span_make(NULL, 0);
        if (r.index <= p->index) {
            return 0;
        }
    }
    if (p->entries % TELL_ENTRIES == 0) {
        tell(p->options, "entries", p->entries);
    }
    if (r.bytes.len > 0 && !surely_within(p, r.bytes)) {
        return apply_limited(p, &r, error);
    }
    int rc = apply_bytes(p, &r, r.bytes, error);
    if (rc == 0) {
        p->index = r.index;
    }
    return rc == 0 && apply_batch_bytes(p->apply) > BATCH_BYTES ? commit(p, error) : rc;
}

static int check_end(const struct replay *p, struct error *error)
{
    struct store_digest d = store_digest_current(p->store);
    const struct store_copy_info info = {.applied = d.index,
                                         .revision = store_position(p->store).revision,
                                         .data = d.data,
                                         .state = d.state};
    return compare(p->reader, &info, error);
}

static int replay_file(struct replay *p, struct backup_reader *r, struct error *error)
{
    uint64_t at = p->index;
    p->reader = r;
    int rc = each_record(r, &at, on_record, p, error);
    if (rc != 0) {
        drop(p);
        return rc;
    }
    rc = commit(p, error);
    return rc != 0 || p->over ? rc : check_end(p, error);
}

/* --- the limit --- */

static void describe_limit(const struct restore_options *o, char text[64])
{
    char time[TIME_TEXT_BYTES];
    if (o->revision != 0) {
        (void)snprintf(text, 64, "revision %" PRIu64, o->revision);
    } else {
        time_format(o->time_us, time);
        (void)snprintf(text, 64, "%s", time);
    }
}

/* The full backup must not be beyond it: the past is in it, but as the past. */
static int check_begin(const struct replay *p, struct error *error)
{
    const struct restore_options *o = p->options;
    uint64_t newest = o->revision != 0 ? o->revision : UINT64_MAX;
    int rc = o->time_us != 0 ? store_revision_at(p->store, o->time_us, &newest, error) : 0;
    if (rc == 0 && newest < p->revision) {
        char limit[64];
        describe_limit(o, limit);
        rc = error_set(error, CLADE_ERR_INVALID, o->files[0],
                       "the full backup is of revision %" PRIu64
                       ", which is later than %s: give an earlier one (or read the past with "
                       "--as-of)",
                       p->revision, limit);
    }
    return rc;
}

/* What comes behind the files is not known. `m` is the last one's. */
static int check_covered(const struct replay *p,
                         const struct backup_manifest *m,
                         struct error *error)
{
    const struct restore_options *o = p->options;
    if (p->over || (o->revision == 0 && o->time_us <= m->covers_us) ||
        (o->revision != 0 && o->revision <= p->revision)) {
        return 0;
    }
    char limit[64];
    char end[TIME_TEXT_BYTES];
    describe_limit(o, limit);
    time_format(m->covers_us, end);
    return error_set(error, CLADE_ERR_INVALID, o->files[o->files_len - 1],
                     "the backups end at revision %" PRIu64 ", as of %s: %s is not in them",
                     p->revision, end, limit);
}

/* --- all of it --- */

static int restore_rest(struct replay *p, struct backup_manifest before, struct error *error)
{
    const struct restore_options *o = p->options;
    int rc = check_begin(p, error);
    for (size_t i = 1; i < o->files_len && rc == 0; i++) {
        struct backup_reader r;
        rc = open_file(o, i, &before, &r, error);
        before = r.manifest;
        rc = rc != 0 || p->over ? rc : replay_file(p, &r, error);
        backup_reader_release(&r);
    }
    return rc != 0 ? rc : check_covered(p, &before, error);
}

/* The rows were checked before the entries came. */
static int finish(struct replay *p, struct error *error)
{
    struct restore_options told = *p->options;
    int rc = store_sync(p->store, error);
    return rc != 0 || p->entries == 0 ? rc : store_verify(p->store, on_rows, &told, error);
}

static int replay_all(const struct restore_options *o,
                      const struct backup_manifest *first,
                      const char *path,
                      struct restore_result *ret,
                      struct error *error)
{
    const struct store_options options = {
        .path = path, .map_bytes = o->map_bytes, .no_sync = true}; /* synced at the end */
    struct replay p = {.options = o};
    int rc = store_open(&options, &p.store, error);
    if (rc != 0) {
        return rc;
    }
    struct store_position position = store_position(p.store);
    p.index = position.applied;
    p.revision = position.revision;
    rc = apply_new(p.store, &p.apply, error);
    if (rc == 0) {
        rc = restore_rest(&p, *first, error);
        rc = rc != 0 ? rc : finish(&p, error);
        apply_free(p.apply);
    }
    position = store_position(p.store);
    store_close(p.store);
    if (rc == 0) {
        *ret = (struct restore_result){.cluster = first->cluster,
                                       .index = position.applied,
                                       .revision = position.revision,
                                       .time_us = position.time_us,
                                       .entries = p.entries,
                                       .last = position.revision};
    }
    return rc;
}

int restore_store(const struct restore_options *o,
                  const char *path,
                  struct restore_result *ret,
                  struct error *error)
{
    struct backup_reader first;
    int rc = open_file(o, 0, NULL, &first, error);
    rc = rc != 0 ? rc : restore_full(o, &first, path, error);
    struct backup_manifest manifest = first.manifest;
    backup_reader_release(&first);
    return rc != 0 ? rc : replay_all(o, &manifest, path, ret, error);
}
