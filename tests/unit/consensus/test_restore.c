/* A store from backups: of node 1, whose entries each hold several commands; node 2 gets the same
 * commands one by one, and says what the store is at each revision. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "catch_up_fixture.h"
#include "command/value.h"
#include "consensus/log_folder.h"
#include "consensus/restore.h"
#include "storage/refound.h"

#define GROWN     40 /* entries of one command, the fixture's */
#define ENTRIES   6
#define PER_ENTRY 5 /* one of them is refused */
#define CHUNKED   5000
#define REVISIONS (GROWN + ENTRIES * PER_ENTRY + 1)

static const struct hash128 cluster = {.low = 5, .high = 6};

struct plain {
    uint64_t time_us;
    struct hash128 data;
};

struct backups {
    struct world *w;
    char folder[64];
    char files[3][96]; /* full; two incremental ones */
    char store[96];
    struct plain at[REVISIONS]; /* as node 2 was */
    uint64_t first;             /* revision of the full one */
    uint64_t second;
    uint64_t last;
    uint64_t last_index;
    uint64_t middle_index; /* where the second file ends */
    struct restore_options options;
    const char *names[3];
    struct restore_result result;
    struct error error;
};

/* --- the two nodes --- */

static uint64_t stamp_of(uint64_t index)
{
    return index * 1000;
}

static void put_item(struct buffer *b, const char *name)
{
    struct buffer command;
    buffer_init(&command, 4096);
    value_put_map(&command, 2);
    value_put_str(&command, "v");
    value_put_int(&command, 1);
    value_put_str(&command, "ops");
    value_put_array(&command, 1);
    value_put_map(&command, 3);
    value_put_str(&command, "op");
    value_put_str(&command, "create");
    value_put_str(&command, "kind");
    value_put_str(&command, "artifact");
    value_put_str(&command, "name");
    value_put_str(&command, name);
    const struct item item = {.kind = ITEM_TXN,
                              .id = {.node = 1, .boot = 1, .counter = 1},
                              .command = buffer_span(&command)};
    item_encode(b, &item);
    buffer_release(&command);
}

static void item_name(char name[32], uint64_t index, unsigned i)
{
    /* The third is the second again: refused, and takes no revision. */
    (void)snprintf(name, 32, "b%llu-%u", (unsigned long long)index, i == 2 ? 1 : i);
}

static void on_result(void *arg, const struct apply_result *result)
{
}

static void apply_one(struct node *n, uint64_t index, struct span entry, bool archived)
{
    struct store_position p;
    assert_int_equal(apply_begin(n->apply, NULL), 0);
    assert_int_equal(apply_entry(n->apply, store_position(n->store).applied, index, entry,
                                 on_result, NULL, NULL),
                     0);
    if (archived) {
        assert_int_equal(archive_append(n->archive, index - 1, index, entry, NULL), 0);
    }
    assert_int_equal(apply_commit(n->apply, &p, NULL), 0);
}

static void note(struct backups *k)
{
    struct store *store = node_of(k->w, 2)->store;
    struct store_position p = store_position(store);
    assert_true(p.revision < REVISIONS);
    /* The first state at a revision: what is refused after it changes nothing. */
    if (k->at[p.revision].time_us == 0) {
        k->at[p.revision] =
            (struct plain){.time_us = p.time_us, .data = store_digest_current(store).data};
    }
}

/* An entry of PER_ENTRY commands for node 1, one each for node 2. */
static void grow_both(struct backups *k, uint64_t index)
{
    struct buffer b;
    char name[32];
    struct entry_header header = {
        .level = SEMANTICS_LEVEL, .items = PER_ENTRY, .stamp_us = stamp_of(index)};
    buffer_init(&b, ENTRY_BYTES_MAX);
    entry_begin(&b);
    for (unsigned i = 0; i < PER_ENTRY; i++) {
        item_name(name, index, i);
        put_item(&b, name);
    }
    entry_end(&b, &header);
    apply_one(node_of(k->w, 1), index, buffer_span(&b), true);
    header.items = 1;
    for (unsigned i = 0; i < PER_ENTRY; i++) {
        buffer_clear(&b);
        entry_begin(&b);
        item_name(name, index, i);
        put_item(&b, name);
        entry_end(&b, &header);
        apply_one(node_of(k->w, 2), store_position(node_of(k->w, 2)->store).applied + 1,
                  buffer_span(&b), false);
        note(k);
    }
    buffer_release(&b);
}

/* --- their backups --- */

static struct backup_manifest manifest_of(struct node *n, enum backup_kind kind, uint64_t base)
{
    struct store_position p = store_position(n->store);
    struct store_digest d = store_digest_current(n->store);
    return (struct backup_manifest){.kind = kind,
                                    .cluster = cluster,
                                    .store_format = store_format(),
                                    .node = 1,
                                    .base = base,
                                    .index = p.applied,
                                    .revision = p.revision,
                                    .time_us = p.time_us,
                                    .covers_us = p.time_us,
                                    .data = d.data,
                                    .state = d.state};
}

static void put(FILE *file, const void *bytes, size_t len)
{
    assert_true(len == 0 || fwrite(bytes, 1, len, file) == len);
}

static void put_chunk(FILE *file, struct backup_chain *chain, struct span bytes)
{
    uint8_t head[BACKUP_CHUNK_HEAD_BYTES];
    backup_chunk_encode(chain, bytes, head);
    put(file, head, sizeof head);
    put(file, bytes.data, bytes.len);
}

static FILE *begin_file(const char *path, const struct backup_manifest *m, struct backup_chain *ret)
{
    uint8_t header[BACKUP_HEADER_BYTES];
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    backup_header_encode(m, header, ret);
    put(file, header, sizeof header);
    return file;
}

static void end_file(FILE *file, struct backup_chain *chain)
{
    put_chunk(file, chain, span_make(NULL, 0));
    assert_int_equal(fclose(file), 0);
}

static void write_full(struct node *n, const char *path, struct backup_manifest m)
{
    struct store_copy *copy;
    struct store_copy_info info;
    struct backup_chain chain;
    assert_int_equal(store_copy_open(n->store, &copy, &info, NULL), 0);
    m.bytes = info.bytes;
    FILE *file = begin_file(path, &m, &chain);
    uint8_t bytes[CHUNKED];
    for (uint64_t at = 0; at < info.bytes; at += sizeof bytes) {
        size_t len = info.bytes - at < sizeof bytes ? (size_t)(info.bytes - at) : sizeof bytes;
        assert_int_equal(store_copy_read(copy, at, bytes, len, NULL), 0);
        put_chunk(file, &chain, span_make(bytes, len));
    }
    store_copy_close(copy);
    end_file(file, &chain);
}

static void write_incremental(struct node *n, const char *path, struct backup_manifest m)
{
    struct backup_chain chain;
    FILE *file = begin_file(path, &m, &chain);
    struct buffer b;
    buffer_init(&b, BACKUP_CHUNK_BYTES_MAX);
    for (uint64_t at = m.base; at < m.index;) {
        buffer_clear(&b);
        assert_int_equal(archive_read(n->archive, at, 2000, &b, &at, NULL), 0);
        put_chunk(file, &chain, buffer_span(&b));
    }
    buffer_release(&b);
    end_file(file, &chain);
}

static int set_up(void **state)
{
    struct backups *k = calloc(1, sizeof *k);
    (void)world_setup((void **)&k->w);
    (void)snprintf(k->folder, sizeof k->folder, "/tmp/clade-restore-XXXXXX");
    assert_non_null(mkdtemp(k->folder));
    for (int i = 0; i < 3; i++) {
        (void)snprintf(k->files[i], sizeof k->files[i], "%s/%d", k->folder, i);
        k->names[i] = k->files[i];
    }
    (void)snprintf(k->store, sizeof k->store, "%s/store", k->folder);
    struct node *n = node_of(k->w, 1);
    grow(k->w, GROWN);
    note(k);
    uint64_t index = GROWN;
    write_full(n, k->files[0], manifest_of(n, BACKUP_FULL, 0));
    k->first = store_position(n->store).revision;
    for (; index < GROWN + ENTRIES / 2; index++) {
        grow_both(k, index + 1);
    }
    write_incremental(n, k->files[1], manifest_of(n, BACKUP_INCREMENTAL, GROWN));
    k->second = store_position(n->store).revision;
    k->middle_index = index;
    for (; index < GROWN + ENTRIES; index++) {
        grow_both(k, index + 1);
    }
    write_incremental(n, k->files[2], manifest_of(n, BACKUP_INCREMENTAL, k->middle_index));
    k->last = store_position(n->store).revision;
    k->last_index = index;
    k->options =
        (struct restore_options){.files = k->names, .files_len = 3, .map_bytes = MAP_BYTES};
    *state = k;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static int tear_down(void **state)
{
    struct backups *k = *state;
    (void)world_teardown((void **)&k->w);
    (void)nftw(k->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(k);
    return 0;
}

static int restore(struct backups *k)
{
    (void)nftw(k->store, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(mkdir(k->store, 0700), 0);
    k->error.code = 0;
    k->error.message[0] = '\0';
    return restore_store(&k->options, k->store, &k->result, &k->error);
}

static struct store *open_store(struct backups *k)
{
    struct store *store;
    const struct store_options options = {.path = k->store, .map_bytes = MAP_BYTES};
    assert_int_equal(store_open(&options, &store, NULL), 0);
    return store;
}

static void assert_is(struct backups *k, uint64_t revision)
{
    struct store *store = open_store(k);
    assert_int_equal(k->result.revision, revision);
    assert_int_equal(store_position(store).revision, revision);
    assert_true(hash128_equal(store_digest_current(store).data, k->at[revision].data));
    assert_int_equal(store_verify(store, NULL, NULL, NULL), 0);
    store_close(store);
}

/* --- what is restored --- */

static void a_chain_gives_the_store_that_was(void **state)
{
    struct backups *k = *state;
    assert_int_equal(restore_check(&k->options, &k->result, &k->error), 0);
    assert_int_equal(k->result.index, k->last_index);
    assert_int_equal(restore(k), 0);
    assert_is(k, k->last);
    assert_int_equal(k->result.index, k->last_index);
    struct store *store = open_store(k);
    struct store_digest ours = store_digest_current(node_of(k->w, 1)->store);
    assert_true(hash128_equal(store_digest_current(store).state, ours.state));
    store_close(store);
}

static void the_full_one_alone_gives_what_was_then(void **state)
{
    struct backups *k = *state;
    k->options.files_len = 1;
    assert_int_equal(restore(k), 0);
    assert_is(k, k->first);
}

static void every_revision_is_reached_within_entries_too(void **state)
{
    struct backups *k = *state;
    for (uint64_t r = k->first; r <= k->last; r++) {
        k->options.revision = r;
        assert_int_equal(restore(k), 0);
        assert_is(k, r);
    }
}

static void a_time_means_the_newest_revision_until_then(void **state)
{
    struct backups *k = *state;
    for (uint64_t r = k->first; r < k->last; r++) {
        k->options.time_us = k->at[r].time_us;
        assert_int_equal(restore(k), 0);
        assert_is(k, r);
        k->options.time_us = k->at[r + 1].time_us - 1;
        assert_int_equal(restore(k), 0);
        assert_is(k, r);
    }
}

/* Nothing can be read below it, and its move takes no revision. */
static void compact(struct backups *k, uint64_t index, uint64_t stamp_us)
{
    struct buffer command;
    struct buffer b;
    const struct entry_header header = {.level = SEMANTICS_LEVEL, .items = 1, .stamp_us = stamp_us};
    buffer_init(&command, 4096);
    value_put_map(&command, 2);
    value_put_str(&command, "v");
    value_put_int(&command, 1);
    value_put_str(&command, "ops");
    value_put_array(&command, 1);
    value_put_map(&command, 3);
    value_put_str(&command, "op");
    value_put_str(&command, "compact");
    value_put_str(&command, "ref");
    value_put_str(&command, "namespace/default");
    value_put_str(&command, "before");
    value_put_uint(&command, k->last);
    const struct item item = {.kind = ITEM_TXN,
                              .id = {.node = 1, .boot = 1, .counter = 1},
                              .command = buffer_span(&command)};
    buffer_init(&b, ENTRY_BYTES_MAX);
    entry_begin(&b);
    item_encode(&b, &item);
    entry_end(&b, &header);
    apply_one(node_of(k->w, 1), index, buffer_span(&b), true);
    buffer_release(&b);
    buffer_release(&command);
}

static void assert_has_state(struct backups *k, struct hash128 state)
{
    struct store *store = open_store(k);
    assert_true(hash128_equal(store_digest_current(store).state, state));
    store_close(store);
}

static void a_time_before_history_was_compacted_has_it(void **state)
{
    struct backups *k = *state;
    struct node *n = node_of(k->w, 1);
    uint64_t at_us = store_position(n->store).time_us + 3600 * SECOND;
    struct hash128 before = store_digest_current(n->store).state;
    compact(k, k->last_index + 1, at_us);
    struct hash128 after = store_digest_current(n->store).state;
    assert_int_equal(store_position(n->store).revision, k->last);
    assert_false(hash128_equal(before, after));
    write_incremental(n, k->files[2], manifest_of(n, BACKUP_INCREMENTAL, k->middle_index));
    k->options.time_us = at_us - 1;
    assert_int_equal(restore(k), 0);
    assert_has_state(k, before);
    k->options.time_us = at_us;
    assert_int_equal(restore(k), 0);
    assert_has_state(k, after);
}

static void what_is_not_in_the_files_is_refused(void **state)
{
    struct backups *k = *state;
    const struct {
        uint64_t revision;
        uint64_t time_us;
        const char *what;
    } rows[] = {{k->first - 1, 0, "later than revision"},
                {k->last + 1, 0, "is not in them"},
                {0, k->at[k->first].time_us - 1, "later than"},
                {0, k->at[k->last].time_us + 1000000, "is not in them"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        k->options.revision = rows[i].revision;
        k->options.time_us = rows[i].time_us;
        assert_int_equal(restore(k), CLADE_ERR_INVALID);
        assert_non_null(strstr(k->error.message, rows[i].what));
    }
}

static void files_that_do_not_go_together_are_refused(void **state)
{
    struct backups *k = *state;
    struct node *n = node_of(k->w, 1);
    char other[96];
    (void)snprintf(other, sizeof other, "%s/other", k->folder);
    struct backup_manifest m = manifest_of(n, BACKUP_INCREMENTAL, GROWN);
    m.cluster.low++;
    write_incremental(n, other, m);
    const struct {
        const char *files[3];
        size_t n;
        const char *what;
    } rows[] = {
        {{k->files[1], k->files[2]}, 2, "give the full one first"},
        {{k->files[0], k->files[2]}, 2, "one is missing"},
        {{k->files[0], k->files[0]}, 2, "only the first one is"},
        {{k->files[0], k->files[2], k->files[1]}, 3, "one is missing"},
        {{k->files[0], other}, 2, "of another cluster"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        k->options.files = rows[i].files;
        k->options.files_len = rows[i].n;
        assert_int_equal(restore_check(&k->options, &k->result, &k->error), CLADE_ERR_INVALID);
        assert_non_null(strstr(k->error.message, rows[i].what));
        assert_int_equal(restore(k), CLADE_ERR_INVALID);
        assert_non_null(strstr(k->error.message, rows[i].what));
    }
}

/* Two that overlap are as good: what is there already is passed over. */
static void an_incremental_one_may_begin_earlier_than_it_must(void **state)
{
    struct backups *k = *state;
    struct node *n = node_of(k->w, 1);
    write_incremental(n, k->files[2], manifest_of(n, BACKUP_INCREMENTAL, GROWN));
    assert_int_equal(restore(k), 0);
    assert_is(k, k->last);
}

/* --- what is damaged, though each checksum of the file is right --- */

static void a_manifest_that_lies_is_found(void **state)
{
    struct backups *k = *state;
    struct node *n = node_of(k->w, 1);
    struct backup_manifest m = manifest_of(n, BACKUP_FULL, 0);
    m.state.low++;
    write_full(n, k->files[0], m);
    k->options.files_len = 1;
    assert_int_equal(restore(k), CLADE_ERR_CORRUPT);
    assert_string_equal(k->error.where, k->files[0]);
}

static void an_incremental_one_that_ends_in_another_state_is_found(void **state)
{
    struct backups *k = *state;
    struct node *n = node_of(k->w, 1);
    struct backup_manifest m = manifest_of(n, BACKUP_INCREMENTAL, GROWN);
    m.data.high++;
    write_incremental(n, k->files[1], m);
    k->options.files_len = 2;
    assert_int_equal(restore(k), CLADE_ERR_CORRUPT);
    assert_string_equal(k->error.where, k->files[1]);
}

static void a_row_that_rotted_before_the_backup_is_found(void **state)
{
    struct backups *k = *state;
    struct node *n = node_of(k->w, 1);
    struct store_copy *copy;
    struct store_copy_info info;
    struct backup_chain chain;
    struct backup_manifest m = manifest_of(n, BACKUP_FULL, 0);
    assert_int_equal(store_copy_open(n->store, &copy, &info, NULL), 0);
    uint8_t *bytes = malloc(info.bytes);
    assert_non_null(bytes);
    assert_int_equal(store_copy_read(copy, 0, bytes, info.bytes, NULL), 0);
    store_copy_close(copy);
    uint8_t *row = memmem(bytes, info.bytes, "aaaaaaaaaaaaaaaa", 16);
    assert_non_null(row);
    for (uint8_t *p = row; p != NULL;
         p = memmem(p, info.bytes - (size_t)(p - bytes), "aaaaaaaaaaaaaaaa", 16)) {
        *p ^= 1;
    }
    m.bytes = info.bytes;
    FILE *file = begin_file(k->files[0], &m, &chain);
    put_chunk(file, &chain, span_make(bytes, info.bytes));
    end_file(file, &chain);
    free(bytes);
    k->options.files_len = 1;
    assert_int_equal(restore_check(&k->options, &k->result, &k->error), 0);
    assert_int_equal(restore(k), CLADE_ERR_CORRUPT);
}

static void entries_that_are_missing_or_no_entries_are_found(void **state)
{
    struct backups *k = *state;
    struct node *n = node_of(k->w, 1);
    struct backup_manifest m = manifest_of(n, BACKUP_INCREMENTAL, GROWN);
    struct backup_chain chain;
    struct buffer b;
    uint64_t at = GROWN + 1;
    buffer_init(&b, BACKUP_CHUNK_BYTES_MAX);
    FILE *file = begin_file(k->files[1], &m, &chain);
    assert_int_equal(archive_read(n->archive, GROWN + 1, 1 << 20, &b, &at, NULL), 0);
    put_chunk(file, &chain, buffer_span(&b));
    end_file(file, &chain);
    k->options.files_len = 2;
    assert_int_equal(restore_check(&k->options, &k->result, &k->error), CLADE_ERR_CORRUPT);
    assert_non_null(strstr(k->error.message, "entries are missing"));
    assert_int_equal(restore(k), CLADE_ERR_CORRUPT);
    file = begin_file(k->files[1], &m, &chain);
    end_file(file, &chain);
    assert_int_equal(restore(k), CLADE_ERR_CORRUPT);
    assert_non_null(strstr(k->error.message, "the last entries are missing"));
    file = begin_file(k->files[1], &m, &chain);
    put_chunk(file, &chain, span_of("this is no entry at all, whatever it was"));
    end_file(file, &chain);
    assert_int_equal(restore(k), CLADE_ERR_CORRUPT);
    assert_non_null(strstr(k->error.message, "not whole"));
    buffer_release(&b);
}

static void a_backup_of_another_format_is_refused(void **state)
{
    struct backups *k = *state;
    struct node *n = node_of(k->w, 1);
    struct backup_manifest m = manifest_of(n, BACKUP_FULL, 0);
    m.store_format++;
    write_full(n, k->files[0], m);
    assert_int_equal(restore(k), CLADE_ERR_UNSUPPORTED);
    assert_non_null(strstr(k->error.message, "of format"));
}

/* --- a new cluster --- */

static int no_entry(void *arg, uint64_t index, struct span entry, struct error *error)
{
    fail_msg("an entry at %llu", (unsigned long long)index);
    return 0;
}

static void a_log_that_is_founded_begins_behind_the_store(void **state)
{
    struct backups *k = *state;
    char raft[96];
    struct log_folder_end end;
    const struct reference reference = {.index = 4711, .revision = 8};
    (void)snprintf(raft, sizeof raft, "%s/raft", k->folder);
    assert_int_equal(mkdir(raft, 0700), 0);
    assert_int_equal(log_folder_found(raft, 3, "127.0.0.1:1", &reference, &k->error), 0);
    assert_int_equal(
        log_folder_read(raft, NULL, 3, "127.0.0.1:1", 4711, no_entry, NULL, &end, &k->error), 0);
    assert_int_equal(end.last_index, 4711);
    assert_int_equal(end.snapshot_index, 4711);
    assert_int_equal(end.term, 1);
    /* A folder that has a log already is not made anew. */
    assert_true(log_folder_found(raft, 3, "127.0.0.1:1", &reference, &k->error) < 0);
}

static void on_opened(void *arg, const struct apply_result *result)
{
    *(uint64_t *)arg = result->session;
}

static uint64_t open_session(struct store *store)
{
    struct apply *a;
    struct store_position p = store_position(store);
    struct buffer b;
    uint8_t lease[8] = {0xff, 0xff};
    uint64_t session = 0;
    const struct item item = {.kind = ITEM_SESSION_OPEN, .command = span_make(lease, sizeof lease)};
    const struct entry_header header = {.level = SEMANTICS_LEVEL, .items = 1};
    buffer_init(&b, 4096);
    entry_begin(&b);
    item_encode(&b, &item);
    entry_end(&b, &header);
    assert_int_equal(apply_new(store, &a, NULL), 0);
    assert_int_equal(apply_begin(a, NULL), 0);
    assert_int_equal(
        apply_entry(a, p.applied, p.applied + 1, buffer_span(&b), on_opened, &session, NULL), 0);
    assert_int_equal(apply_commit(a, &p, NULL), 0);
    apply_free(a);
    buffer_release(&b);
    return session;
}

static void a_store_that_is_refounded_has_no_sessions_and_stays_sound(void **state)
{
    struct backups *k = *state;
    k->options.files_len = 1;
    assert_int_equal(restore(k), 0);
    struct store *store = open_store(k);
    struct hash128 data = store_digest_current(store).data;
    assert_int_not_equal(open_session(store), 1000);
    uint64_t applied = store_position(store).applied;
    assert_int_equal(store_refound(store, 1000, NULL), 0);
    struct hash128 once = store_digest_current(store).state;
    assert_int_equal(store_refound(store, 1000, NULL), 0);
    assert_true(hash128_equal(once, store_digest_current(store).state));
    assert_true(hash128_equal(data, store_digest_current(store).data));
    assert_int_equal(store_position(store).applied, applied);
    assert_int_equal(store_position(store).revision, k->first);
    assert_int_equal(open_session(store), 1000);
    assert_int_equal(store_verify(store, NULL, NULL, NULL), 0);
    store_close(store);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_chain_gives_the_store_that_was),
        T(the_full_one_alone_gives_what_was_then),
        T(every_revision_is_reached_within_entries_too),
        T(a_time_means_the_newest_revision_until_then),
        T(a_time_before_history_was_compacted_has_it),
        T(what_is_not_in_the_files_is_refused),
        T(files_that_do_not_go_together_are_refused),
        T(an_incremental_one_may_begin_earlier_than_it_must),
        T(a_manifest_that_lies_is_found),
        T(an_incremental_one_that_ends_in_another_state_is_found),
        T(a_row_that_rotted_before_the_backup_is_found),
        T(entries_that_are_missing_or_no_entries_are_found),
        T(a_backup_of_another_format_is_refused),
        T(a_log_that_is_founded_begins_behind_the_store),
        T(a_store_that_is_refounded_has_no_sessions_and_stays_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
