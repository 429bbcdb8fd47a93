#include "node/folder_check.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "consensus/archive.h"
#include "consensus/log_folder.h"
#include "node/data_folder.h"
#include "storage/entry.h"

#define READ_BYTES ((size_t)1 << 20)

/* --- the store --- */

static void say_store(const struct data_folder *folder, struct store *store)
{
    struct store_position p = store_position(store);
    struct store_digest d = store_digest_current(store);
    char data[33];
    char state[33];
    hash128_format(d.data, data);
    hash128_format(d.state, state);
    printf("%s: sound; index %" PRIu64 ", revision %" PRIu64 ", data %s, state %s\n",
           folder->store_path, p.applied, p.revision, data, state);
}

/* *ret_applied is 0 where nothing was ever committed. */
static int check_store(const struct config *c,
                       const struct data_folder *folder,
                       bool (*progress)(uint64_t n, void *arg),
                       uint64_t *ret_applied,
                       struct error *error)
{
    struct store *store = NULL;
    const struct store_options options = {
        .path = folder->store_path, .map_bytes = c->map_bytes, .readers_max = 8};
    int r = store_check_pages(options.path, progress, NULL, error);
    *ret_applied = 0;
    if (r == 1) {
        printf("%s: nothing was ever written to it\n", folder->store_path);
        return 0;
    }
    r = r < 0 ? r : store_open(&options, &store, error);
    r = r < 0 ? r : store_verify(store, progress, NULL, error);
    if (r == 0) {
        *ret_applied = store_position(store).applied;
        say_store(folder, store);
    }
    store_close(store);
    return r;
}

/* --- the log --- */

static int look_at_entry(void *arg, uint64_t index, struct span bytes, struct error *error)
{
    struct entry_header header;
    return bytes.len == 0 ? 0 : entry_check(bytes, &header, error);
}

static int check_log(const struct data_folder *folder, uint64_t applied, struct error *error)
{
    struct log_folder_end end;
    const struct identity *id = &folder->identity;
    int r = log_folder_read(folder->raft_path, folder->path, id->node, identity_address(id),
                            applied, look_at_entry, NULL, &end, error);
    if (r == CLADE_ERR_COMPACTED) {
        return error_set(error, CLADE_ERR_CORRUPT, folder->store_path,
                         "the log goes on after index %" PRIu64
                         ", and the store has only reached %" PRIu64
                         ": it is an older copy, or was lost",
                         end.snapshot_index, applied);
    }
    if (r == 0) {
        printf("%s: sound; index %" PRIu64 " of term %" PRIu64 ", snapshot at %" PRIu64 "\n",
               folder->raft_path, end.last_index, end.last_term, end.snapshot_index);
    }
    return r;
}

/* --- the archive --- */

/* Where it is damaged, what is before it is of no use: *ret_base is where the rest begins. */
static int read_archive(struct archive *a, uint64_t *ret_base, uint64_t *ret_last, struct error *e)
{
    struct buffer records;
    buffer_init(&records, READ_BYTES + ARCHIVE_RECORD_HEADER_BYTES + ARCHIVE_ENTRY_BYTES_MAX);
    archive_range(a, ret_base, ret_last);
    int r = 0;
    for (uint64_t at = *ret_base; at < *ret_last && r >= 0;) {
        buffer_clear(&records);
        r = archive_read(a, at, READ_BYTES, &records, &at, e);
        if (r == 1) {
            archive_range(a, ret_base, ret_last);
            at = at < *ret_base ? *ret_base : *ret_last;
        }
    }
    buffer_release(&records);
    return r < 0 ? r : 0;
}

static int check_archive(const struct config *c, const struct data_folder *f, struct error *error)
{
    char path[CONFIG_PATH_BYTES + 16];
    struct archive *a;
    uint64_t base;
    uint64_t last;
    uint64_t sound;
    (void)snprintf(path, sizeof path, "%s/archive", f->path);
    const struct archive_options options = {.path = path,
                                            .cluster = f->identity.cluster,
                                            .clock = clock_system(),
                                            .bytes_max = c->archive_bytes};
    int r = archive_open(&options, &a, error);
    if (r < 0) {
        return r;
    }
    archive_range(a, &base, &last);
    r = read_archive(a, &sound, &last, error);
    archive_close(a);
    if (r == 0 && sound == base) {
        printf("%s: sound; what follows on %" PRIu64 ", to %" PRIu64 "\n", path, base, last);
    } else if (r == 0) {
        printf("%s: damaged before %" PRIu64 ": members that are further behind get a copy; this "
               "node lacks nothing\n",
               path, sound);
    }
    return r;
}

int folder_check(const struct config *config,
                 bool (*progress)(uint64_t n, void *arg),
                 struct error *error)
{
    struct data_folder folder;
    uint64_t applied;
    int r = data_folder_open(config->data, config->cluster, config->node, &folder, error);
    if (r < 0) {
        return r;
    }
    r = check_store(config, &folder, progress, &applied, error);
    r = r < 0 ? r : check_log(&folder, applied, error);
    r = r < 0 ? r : check_archive(config, &folder, error);
    data_folder_close(&folder);
    return r;
}
