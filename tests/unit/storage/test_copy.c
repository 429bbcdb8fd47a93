/* Copies of a store that is written meanwhile, and the check of what arrived. */
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "fixture.h"
#include "storage/copy.h"
#include "storage/store_internal.h"

#define CHUNK_BYTES_MAX 70000
#define PAGE_BYTES      4096

/* --- Writing ---------------------------------------------------------------------------------- */

/* Of everything that LMDB lays out in its own way: long values, keys with few and with many
 * values, and pages that become free. */
static void write_one(struct fixture *f, uint64_t *seed)
{
    static char json[16384];
    static char text[9000];
    unsigned a = (unsigned)(next_random(seed) % 400);
    unsigned b = (unsigned)(next_random(seed) % 400);
    unsigned length = (unsigned)(next_random(seed) % 8 == 0 ? next_random(seed) % 8900 : 30);
    memset(text, 'a' + (int)(next_random(seed) % 26), sizeof text);
    text[length] = '\0';
    switch (next_random(seed) % 6) {
    case 0:
    case 1:
        snprintf(
            json, sizeof json,
            "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'hub','if_exists':'return'},"
            "{'op':'create','kind':'artifact','name':'a%u','if_exists':'return',"
            "'description':'%s'},"
            "{'op':'link','from':'$0','label':'l','to':'$1'}]}",
            a, text);
        break;
    case 2:
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'update','ref':'artifact/a%u','description':'%s'}]}", a,
                 text);
        break;
    case 3:
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'unlink','from':'artifact/hub','label':'l',"
                 "'to':'artifact/a%u'}]}",
                 a);
        break;
    case 4:
        snprintf(json, sizeof json, "{'v':1,'ops':[{'op':'delete','ref':'artifact/a%u'}]}", a);
        break;
    default:
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'link','from':'artifact/a%u','label':'m','to':'artifact/a%u'}"
                 "]}",
                 a, b);
    }
    fixture_txn(f, json);
}

static void write_many(struct fixture *f, uint64_t *seed, int n)
{
    while (n-- > 0) {
        write_one(f, seed);
    }
}

/* --- Copying ---------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

struct target {
    char dir[64];
    char file[96];
    int fd;
};

static void target_open(struct target *t)
{
    snprintf(t->dir, sizeof t->dir, "/tmp/clade-copy-XXXXXX");
    bool made = mkdtemp(t->dir) != NULL;
    CHECK(made); /* not an assertion of cmocka's, which belong to the main thread */
    snprintf(t->file, sizeof t->file, "%s/data.mdb", t->dir);
    t->fd = open(t->file, O_RDWR | O_CREAT, 0600);
    CHECK(t->fd >= 0);
}

static void target_close(struct target *t)
{
    close(t->fd);
    nftw(t->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *copy_part(struct store_copy *copy, uint64_t at, size_t len, struct target *to)
{
    static _Thread_local uint8_t bytes[CHUNK_BYTES_MAX];
    struct error e;
    if (store_copy_read(copy, at, bytes, len, &e) != 0) {
        return "a part cannot be read";
    }
    return pwrite(to->fd, bytes, len, (off_t)at) == (ssize_t)len ? NULL : "no room";
}

static size_t part_bytes(uint64_t bytes, uint64_t at, uint64_t *seed)
{
    size_t len = (size_t)(next_random(seed) % CHUNK_BYTES_MAX + 1);
    return len < bytes - at ? len : (size_t)(bytes - at);
}

/* All of it from front to back, and again and again parts that were there already. `pause` is
 * called now and then. */
static const char *copy_all(struct store_copy *copy,
                            uint64_t bytes,
                            struct target *to,
                            uint64_t *seed,
                            void (*pause)(void *arg),
                            void *arg)
{
    const char *failure = NULL;
    for (uint64_t at = 0; at < bytes && failure == NULL;) {
        size_t len = part_bytes(bytes, at, seed);
        failure = copy_part(copy, at, len, to);
        at += len;
        if (failure == NULL && next_random(seed) % 3 == 0) {
            uint64_t again = next_random(seed) % bytes;
            failure = copy_part(copy, again, part_bytes(bytes, again, seed), to);
        }
        if (pause != NULL) {
            pause(arg);
        }
    }
    return failure;
}

static bool infos_equal(const struct store_copy_info *a, const struct store_copy_info *b)
{
    return a->bytes == b->bytes && a->applied == b->applied && a->revision == b->revision &&
           memcmp(&a->data, &b->data, sizeof a->data) == 0 &&
           memcmp(&a->state, &b->state, sizeof a->state) == 0;
}

static void assert_copy(const struct target *t, const struct store_copy_info *info)
{
    struct store_copy_info found;
    struct error e = {0};
    if (store_copy_check(t->dir, FIXTURE_MAP_BYTES, NULL, NULL, &found, &e) != 0) {
        fail_msg("%s", e.message);
    }
    assert_true(infos_equal(info, &found));
}

static void assert_info_is_of(const struct store_copy_info *info, struct store *store)
{
    struct store_digest digest = store_digest_current(store);
    assert_int_equal(info->applied, store_position(store).applied);
    assert_int_equal(info->revision, store_position(store).revision);
    assert_memory_equal(&info->data, &digest.data, sizeof digest.data);
    assert_memory_equal(&info->state, &digest.state, sizeof digest.state);
}

static struct store_copy *open_copy(struct fixture *f, struct store_copy_info *info)
{
    struct store_copy *copy;
    if (store_copy_open(f->store, &copy, info, &f->error) != 0) {
        fail_msg("%s", f->error.message);
    }
    return copy;
}

static void copy_now(struct fixture *f, struct target *t, struct store_copy_info *info)
{
    uint64_t seed = 1;
    struct store_copy *copy = open_copy(f, info);
    target_open(t);
    assert_null(copy_all(copy, info->bytes, t, &seed, NULL, NULL));
    store_copy_close(copy);
}

struct pause {
    struct fixture *f;
    uint64_t *seed;
    int writes_left; /* what is written while a copy is open makes the file longer */
};

static void write_some(void *arg)
{
    struct pause *p = arg;
    write_many(p->f, p->seed, p->writes_left > 0 ? 4 : 0);
    p->writes_left -= 4;
}

static void a_copy_is_the_store_as_of_its_start(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    for (int round = 0; round < 4; round++) {
        write_many(f, &seed, round == 0 ? 0 : 400);
        struct store_copy_info info;
        struct store_copy *copy = open_copy(f, &info);
        assert_info_is_of(&info, f->store);
        struct target t;
        struct pause pause = {.f = f, .seed = &seed, .writes_left = 200};
        target_open(&t);
        for (int times = 0; times < 2; times++) {
            assert_null(copy_all(copy, info.bytes, &t, &seed, write_some, &pause));
        }
        store_copy_close(copy);
        assert_true(store_position(f->store).applied > info.applied);
        assert_copy(&t, &info);
        assert_copy(&t, &info); /* the check has changed nothing */
        target_close(&t);
    }
}

static void a_copy_goes_on_at_any_offset(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    write_many(f, &seed, 300);
    struct store_copy_info info;
    struct store_copy *copy = open_copy(f, &info);
    struct target t;
    target_open(&t);
    /* From behind, as if each part had been lost once. */
    for (uint64_t end = info.bytes; end > 0;) {
        uint64_t len = next_random(&seed) % 9000 + 1;
        len = len < end ? len : end;
        assert_null(copy_part(copy, end - len, (size_t)len, &t));
        end -= len;
        if (end % 8 == 0) {
            write_one(f, &seed);
        }
    }
    assert_copy(&t, &info);
    uint8_t byte;
    assert_int_equal(store_copy_read(copy, info.bytes, &byte, 0, &f->error), 0);
    assert_int_equal(store_copy_read(copy, info.bytes, &byte, 1, &f->error), CLADE_ERR_INVALID);
    assert_int_equal(store_copy_read(copy, UINT64_MAX, &byte, 1, &f->error), CLADE_ERR_INVALID);
    assert_int_equal(store_copy_read(copy, 1, &byte, SIZE_MAX, &f->error), CLADE_ERR_INVALID);
    store_copy_close(copy);
    target_close(&t);
}

/* --- Beside the writer ------------------------------------------------------------------------ */

#define COPIES        6
#define COMMITS       1500
#define PAUSE_COMMITS 3

struct copying_thread {
    pthread_t thread;
    struct store *store;
    uint64_t seed;
    struct store_digest digests[COMMITS + 1]; /* by index, set before `commits` passes it */
    uint64_t commits;                         /* by the writer */
    bool writer_is_done;
    unsigned copies;
    const char *failure;
};

/* Until the writer has gone on a little. */
static void wait_for_commits(void *arg)
{
    struct copying_thread *t = arg;
    uint64_t until = __atomic_load_n(&t->commits, __ATOMIC_ACQUIRE) + PAUSE_COMMITS;
    while (__atomic_load_n(&t->commits, __ATOMIC_ACQUIRE) < until &&
           !__atomic_load_n(&t->writer_is_done, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
}

static const char *copy_once(struct copying_thread *t)
{
    struct store_copy *copy;
    struct store_copy_info info;
    struct store_copy_info found;
    struct error e;
    struct target to;
    if (store_copy_open(t->store, &copy, &info, &e) != 0) {
        return "no copy";
    }
    target_open(&to);
    const char *failure = copy_all(copy, info.bytes, &to, &t->seed, wait_for_commits, t);
    store_copy_close(copy);
    if (failure == NULL &&
        store_copy_check(to.dir, FIXTURE_MAP_BYTES, NULL, NULL, &found, &e) != 0) {
        fprintf(stderr, "%s\n", e.message);
        failure = "the copy is damaged";
    }
    if (failure == NULL && !infos_equal(&info, &found)) {
        failure = "the copy is not what was announced";
    }
    while (__atomic_load_n(&t->commits, __ATOMIC_ACQUIRE) < info.applied) {
        sched_yield();
    }
    const struct store_digest *digest = &t->digests[info.applied];
    if (failure == NULL && (memcmp(&digest->data, &info.data, sizeof info.data) != 0 ||
                            memcmp(&digest->state, &info.state, sizeof info.state) != 0)) {
        failure = "the copy is not what the source was at its index";
    }
    target_close(&to);
    return failure;
}

static void *copy_on(void *arg)
{
    struct copying_thread *t = arg;
    /* Two at least: on a busy machine the writer may end before the first has. */
    while (t->failure == NULL && t->copies < COPIES &&
           (t->copies < 2 || !__atomic_load_n(&t->writer_is_done, __ATOMIC_ACQUIRE))) {
        t->failure = copy_once(t);
        t->copies++;
    }
    return NULL;
}

static void copies_beside_a_writer_are_whole(void **state)
{
    struct fixture *f = *state;
    static struct copying_thread t;
    uint64_t seed = test_seed();
    t = (struct copying_thread){.store = f->store, .seed = seed + 1};
    t.digests[0] = store_digest_current(f->store);
    assert_int_equal(pthread_create(&t.thread, NULL, copy_on, &t), 0);
    for (uint64_t i = 1; i <= COMMITS; i++) {
        write_one(f, &seed);
        t.digests[i] = store_digest_current(f->store);
        __atomic_store_n(&t.commits, i, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&t.writer_is_done, true, __ATOMIC_RELEASE);
    pthread_join(t.thread, NULL);
    if (t.failure != NULL) {
        fail_msg("%s", t.failure);
    }
    assert_true(t.copies > 1);
}

struct opening_thread {
    pthread_t thread;
    struct store *store;
    bool stop;
    unsigned copies;
    const char *failure;
};

static void *open_on(void *arg)
{
    struct opening_thread *t = arg;
    while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE) && t->failure == NULL) {
        struct store_copy *copy;
        struct store_copy_info info;
        struct error e;
        uint8_t metas[2 * PAGE_BYTES];
        if (store_copy_open(t->store, &copy, &info, &e) != 0 ||
            store_copy_read(copy, 0, metas, sizeof metas, &e) != 0) {
            fprintf(stderr, "%s\n", e.message);
            t->failure = "no copy";
            break;
        }
        /* Ours is the newer of the two, and in the slot of its number. */
        uint64_t txns[2] = {get_u64le(metas + 144), get_u64le(metas + PAGE_BYTES + 144)};
        uint64_t last = get_u64le(metas + 136);
        unsigned newer = txns[1] > txns[0];
        if (txns[newer] != txns[!newer] + 1 || (txns[newer] & 1) != newer ||
            (last + 1) * PAGE_BYTES != info.bytes) {
            t->failure = "the meta pages are wrong";
        }
        store_copy_close(copy);
        t->copies++;
    }
    return NULL;
}

static void a_copy_can_be_begun_at_any_moment(void **state)
{
    struct fixture *f = *state;
    struct opening_thread t = {.store = f->store};
    assert_int_equal(pthread_create(&t.thread, NULL, open_on, &t), 0);
    uint64_t seed = 7;
    write_many(f, &seed, 2000);
    __atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
    pthread_join(t.thread, NULL);
    if (t.failure != NULL) {
        fail_msg("%s", t.failure);
    }
    assert_true(t.copies > 0);
}

/* --- With swaps ------------------------------------------------------------------------------- */

static void a_checked_copy_can_be_swapped_in(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    void *other;
    fixture_setup(&other);
    struct fixture *behind = other;
    write_many(f, &seed, 500);
    struct target t;
    struct store_copy_info info;
    copy_now(f, &t, &info);
    assert_copy(&t, &info);
    assert_int_equal(store_swap(behind->store, t.dir, NULL, NULL, &behind->error), 0);
    assert_info_is_of(&info, behind->store);
    behind->index = f->index;
    behind->stamp_us = f->stamp_us;
    /* Both go on alike. */
    uint64_t again = seed;
    write_many(f, &seed, 300);
    write_many(behind, &again, 300);
    assert_true(digests_equal(store_digest_current(f->store), store_digest_current(behind->store)));
    assert_int_equal(store_verify(behind->store, NULL, NULL, &behind->error), 0);
    fixture_teardown(&other);
    target_close(&t);
}

static void an_open_copy_outlives_a_swap(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    write_many(f, &seed, 200);
    struct store_copy_info info;
    struct store_copy *copy = open_copy(f, &info);
    write_many(f, &seed, 100);
    struct target newer;
    struct store_copy_info newer_info;
    copy_now(f, &newer, &newer_info);
    assert_copy(&newer, &newer_info);
    assert_int_equal(store_swap(f->store, newer.dir, NULL, NULL, &f->error), 0);
    assert_int_equal(store_close_old(f->store), 1);
    write_many(f, &seed, 100);
    struct target t;
    target_open(&t);
    assert_null(copy_all(copy, info.bytes, &t, &seed, NULL, NULL));
    assert_copy(&t, &info);
    store_copy_close(copy);
    assert_int_equal(store_close_old(f->store), 0);
    target_close(&t);
    fixture_close(f);
    target_close(&newer);
}

/* --- What must be refused --------------------------------------------------------------------- */

static void assert_refused(const struct target *t, const char *says)
{
    struct store_copy_info info = {.applied = 77};
    struct error e = {0};
    int rc = store_copy_check(t->dir, FIXTURE_MAP_BYTES, NULL, NULL, &info, &e);
    if (rc != CLADE_ERR_CORRUPT || e.code != rc || strstr(e.message, says) == NULL) {
        fail_msg("%d, not \"%s\": %s", rc, says, e.message);
    }
    assert_int_equal(info.applied, 77);
}

static void flip(struct target *t, uint64_t at, unsigned bits)
{
    uint8_t byte = 0;
    assert_int_equal(pread(t->fd, &byte, 1, (off_t)at), 1);
    byte ^= (uint8_t)bits;
    assert_int_equal(pwrite(t->fd, &byte, 1, (off_t)at), 1);
}

/* Where `bytes` stand in the copy; it must be once at least. */
static uint64_t find_bytes(const struct target *t, const char *bytes, size_t len)
{
    struct stat st;
    assert_int_equal(fstat(t->fd, &st), 0);
    uint8_t *all = malloc((size_t)st.st_size);
    assert_int_equal(pread(t->fd, all, (size_t)st.st_size, 0), st.st_size);
    const uint8_t *p = memmem(all, (size_t)st.st_size, bytes, len);
    assert_non_null(p);
    uint64_t at = (uint64_t)(p - all);
    free(all);
    return at;
}

static void damaged_copies_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact',"
                                    "'description':'mark-of-a-row'}]}"),
                     0);
    struct target t;
    struct store_copy_info info;
    copy_now(f, &t, &info);
    assert_copy(&t, &info);
    uint64_t newer = info.applied % 2 == 0 ? PAGE_BYTES : 0; /* transaction 1 made the store */
    const struct {
        uint64_t at;
        unsigned bits;
        const char *says;
    } rows[] = {
        {16, 1, "meta page 0 is none of LMDB's"},
        {PAGE_BYTES + 16, 1, "meta page 1 is none of LMDB's"},
        {20, 2, "data format 3"},
        {newer + 40, 1, "impossible page size"},
        {newer + 41, 0x30, "meta page 1 is none"},
        {newer + 144, 1, "meta pages contradict"},
        {newer + 136, 1, ""},                           /* the last page */
        {newer + 139, 1, "cut short"},                  /* far beyond the file */
        {newer + 128, 1, ""},                           /* the root of the tables */
        {newer + 88 + 32, 1, "wrong count of entries"}, /* tables */
        {find_bytes(&t, "mark-of-a-row", 13), 1, "does not match its checksum"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        flip(&t, rows[i].at, rows[i].bits);
        if (rows[i].says[0] != '\0') {
            assert_refused(&t, rows[i].says);
        } else {
            struct store_copy_info found;
            assert_int_equal(store_copy_check(t.dir, FIXTURE_MAP_BYTES, NULL, NULL, &found, NULL),
                             CLADE_ERR_CORRUPT);
        }
        flip(&t, rows[i].at, rows[i].bits);
    }
    assert_copy(&t, &info);
    assert_int_equal(ftruncate(t.fd, (off_t)info.bytes - 1), 0);
    assert_refused(&t, "cut short");
    assert_int_equal(ftruncate(t.fd, 5000), 0);
    assert_refused(&t, "");
    assert_int_equal(ftruncate(t.fd, 100), 0);
    assert_refused(&t, "too short");
    assert_int_equal(ftruncate(t.fd, 0), 0);
    assert_refused(&t, "holds no store");
    assert_int_equal(unlink(t.file), 0);
    assert_refused(&t, "holds no store");
    target_close(&t);
}

static void a_copy_that_misses_a_part_is_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    write_many(f, &seed, 400);
    struct target t;
    struct store_copy_info info;
    copy_now(f, &t, &info);
    static const uint8_t zeros[PAGE_BYTES];
    unsigned refused = 0;
    for (uint64_t at = 2 * PAGE_BYTES; at < info.bytes; at += PAGE_BYTES) {
        uint8_t page[PAGE_BYTES];
        struct store_copy_info found;
        assert_int_equal(pread(t.fd, page, sizeof page, (off_t)at), sizeof page);
        assert_int_equal(pwrite(t.fd, zeros, sizeof zeros, (off_t)at), sizeof zeros);
        int rc = store_copy_check(t.dir, FIXTURE_MAP_BYTES, NULL, NULL, &found, NULL);
        assert_true(rc == 0 || rc == CLADE_ERR_CORRUPT);
        refused += rc != 0;
        assert_int_equal(pwrite(t.fd, page, sizeof page, (off_t)at), sizeof page);
    }
    /* The rest was free. */
    assert_true(refused > info.bytes / PAGE_BYTES / 4);
    assert_copy(&t, &info);
    target_close(&t);
}

static bool count_down(uint64_t n, void *arg)
{
    unsigned *left = arg;
    return *left > 0 && (*left)-- > 0;
}

static void a_check_ends_when_it_is_told_to(void **state)
{
    struct fixture *f = *state;
    struct target t;
    struct store_copy_info info;
    struct store_copy_info found;
    struct error e = {0};
    copy_now(f, &t, &info);
    unsigned stops = 0;
    for (unsigned left = 0;; stops++) {
        left = stops;
        int rc = store_copy_check(t.dir, FIXTURE_MAP_BYTES, count_down, &left, &found, &e);
        if (rc == 0) {
            break;
        }
        assert_int_equal(rc, CLADE_ERR_RETRY);
    }
    assert_true(stops >= 1);
    assert_true(infos_equal(&info, &found));
    target_close(&t);
}

static void another_store_format_is_refused(void **state)
{
    struct fixture *f = *state;
    struct target t;
    struct store_copy_info info;
    copy_now(f, &t, &info);
    uint8_t row[4 + CHECKSUM_BYTES];
    put_u32le(row, 1);
    struct hash128 hash = row_hash(TABLE_META, span_of("format"), span_make(row, 4));
    put_u32le(row + 4, (uint32_t)hash.low);
    static const char there[] = {'f', 'o', 'r', 'm', 'a', 't', STORE_FORMAT};
    uint64_t at = find_bytes(&t, there, sizeof there);
    assert_int_equal(pwrite(t.fd, row, sizeof row, (off_t)at + 6), sizeof row);
    assert_refused(&t, "of format 1");
    target_close(&t);
}

/* Damage that a checksum of parts would not see, as a source with a bug would send it: the check
 * refuses it, or it does no harm, reading and writing. */
static void use(const struct target *t, uint64_t seed)
{
    struct fixture f = {.index = 0};
    memcpy(f.dir, t->dir, sizeof f.dir);
    buffer_init(&f.entry, 1 << 20);
    buffer_init(&f.body, 1 << 20);
    buffer_init(&f.out, 64 << 20);
    arena_init(&f.arena, 64 << 20);
    fixture_open(&f, FIXTURE_MAP_BYTES);
    f.stamp_us = 1000000000;
    write_many(&f, &seed, 20);
    assert_int_equal(fixture_read(&f, QUERY_LIST, "{'kind':'artifact','limit':1000}"), 0);
    assert_int_equal(store_verify(f.store, NULL, NULL, &f.error), 0);
    fixture_close(&f);
    buffer_release(&f.entry);
    buffer_release(&f.body);
    buffer_release(&f.out);
    arena_release(&f.arena);
}

static void whatever_arrives_does_no_harm(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    const char *text = getenv("CLADE_TEST_ROUNDS");
    long rounds = text != NULL ? strtol(text, NULL, 10) : 150;
    write_many(f, &seed, 500);
    struct target t;
    struct store_copy_info info;
    copy_now(f, &t, &info);
    uint8_t *whole = malloc(info.bytes);
    assert_int_equal(pread(t.fd, whole, info.bytes, 0), info.bytes);
    long refused = 0;
    for (long i = 0; i < rounds; i++) {
        struct store_copy_info found;
        for (uint64_t n = next_random(&seed) % 4 + 1; n > 0; n--) {
            /* Half of them where the structure is: headers and offsets. */
            uint64_t page = next_random(&seed) % (info.bytes / PAGE_BYTES);
            uint64_t at = next_random(&seed) % (next_random(&seed) % 2 == 0 ? 64 : PAGE_BYTES);
            flip(&t, page * PAGE_BYTES + at, 1u << next_random(&seed) % 8);
        }
        int rc = store_copy_check(t.dir, FIXTURE_MAP_BYTES, NULL, NULL, &found, NULL);
        assert_true(rc == 0 || rc == CLADE_ERR_CORRUPT);
        refused += rc != 0;
        if (rc == 0) {
            use(&t, seed);
        }
        assert_int_equal(ftruncate(t.fd, (off_t)info.bytes), 0);
        assert_int_equal(pwrite(t.fd, whole, info.bytes, 0), info.bytes);
    }
    print_message("%ld of %ld refused\n", refused, rounds);
    assert_true(refused > rounds / 10 && refused < rounds);
    free(whole);
    target_close(&t);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_copy_is_the_store_as_of_its_start), TEST(a_copy_goes_on_at_any_offset),
        TEST(copies_beside_a_writer_are_whole),    TEST(a_copy_can_be_begun_at_any_moment),
        TEST(a_checked_copy_can_be_swapped_in),    TEST(an_open_copy_outlives_a_swap),
        TEST(damaged_copies_are_refused),          TEST(a_copy_that_misses_a_part_is_refused),
        TEST(a_check_ends_when_it_is_told_to),     TEST(another_store_format_is_refused),
        TEST(whatever_arrives_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
