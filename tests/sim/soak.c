/* A day of a quiet cluster on virtual time: what it holds in memory, in files and in descriptors
 * stays where it was after the first hours. See README.md.
 *
 * Little is asked of it: sessions that are closed, or forgotten until they expire, values that
 * stand there already, reads, and now and then a change, whose history stays. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/check.h"
#include "consensus/archive.h"
#include "tests/sim/front.h"
#include "tests/sim/txn.h"
#include "tests/sim/world.h"

#define NODES           3U
#define THINGS          8U
#define SECOND_US       UINT64_C(1000000)
#define WRITE_EVERY_S   10U
#define SESSION_EVERY_S 60U
#define CHANGE_EVERY_S  600U
#define LEASE_MS        UINT64_C(300000)
/* Each is closed a minute later or lives as long as its lease; and one more of each. */
#define SESSIONS_MAX (LEASE_MS / 1000 / SESSION_EVERY_S + 2)
#define TIMEOUT_US   UINT32_C(5000000)

/* Room for what goes up and down: a batch more or less that waits, a page more or less. */
#define HEAP_SLACK_BYTES  (UINT64_C(256) << 10)
#define STORE_SLACK_BYTES (UINT64_C(256) << 10)
/* Of the store for each change that was made since: its history, its log of changes, its time. */
#define CHANGE_BYTES_MAX UINT64_C(2048)

/* What the whole process and the fullest of its nodes hold. */
struct figures {
    uint64_t heap_bytes;
    uint64_t descriptors;
    uint64_t sessions;
    uint64_t store_bytes; /* in use */
    uint64_t file_bytes;  /* of the store */
    uint64_t log_bytes;
    uint64_t archive_bytes;
};

struct soak {
    struct world *w;
    uint64_t session; /* 0 = none yet */
    uint64_t former;  /* to be closed */
    uint64_t seq;
    uint64_t value;
    uint64_t opened;
    uint64_t writes;
    uint64_t reads;
    uint64_t changes;
    uint64_t refused;
    struct query query; /* of the read that is under way */
    struct query_target target;
};

/* --- what is asked --- */

static void on_written(void *arg, uint64_t tag, const struct apply_result *result)
{
    struct soak *s = arg;
    if (result == NULL || result->code != 0) {
        s->refused++;
        return;
    }
    s->writes++;
    s->changes += result->changed;
}

static void on_opened(void *arg, uint64_t tag, const struct apply_result *result)
{
    struct soak *s = arg;
    if (result == NULL || result->code != 0) {
        s->refused++;
        return;
    }
    /* Every second one is left to its lease. */
    s->former = s->opened % 2 == 0 ? s->session : 0;
    s->session = result->session;
    s->seq = 0;
    s->opened++;
}

static void on_read(void *arg, uint64_t tag, const struct front_answer *answer)
{
    struct soak *s = arg;
    s->reads += answer->code == 0;
    s->refused += answer->code != 0;
}

static struct sim_node *any_node(struct soak *s)
{
    return &s->w->nodes[random_below(&s->w->random, NODES)];
}

static void open_session(struct soak *s)
{
    uint8_t lease[8];
    put_u64le(lease, LEASE_MS);
    struct item item = {.kind = ITEM_SESSION_OPEN,
                        .principal = span_of("soak"),
                        .command = span_make(lease, sizeof lease)};
    front_write(any_node(s), &item, true, TIMEOUT_US, on_opened, s, 0);
}

static void close_session(struct soak *s)
{
    struct item item = {
        .kind = ITEM_SESSION_CLOSE, .principal = span_of("soak"), .session = s->former};
    s->former = 0;
    front_write(any_node(s), &item, true, TIMEOUT_US, on_written, s, 0);
}

static void send(struct soak *s, struct buffer *b, bool in_session)
{
    struct item item = {.kind = ITEM_TXN, .principal = span_of("soak"), .command = buffer_span(b)};
    CHECK(!b->failed);
    if (in_session) {
        item.session = s->session;
        item.seq = ++s->seq;
        item.answered = item.seq;
    }
    front_write(any_node(s), &item, in_session, TIMEOUT_US, on_written, s, 0);
    buffer_release(b);
}

static void thing_ref(unsigned i, char ref[24])
{
    (void)snprintf(ref, 24, "artifact/a%u", i);
}

static void set_tag(struct soak *s, unsigned i)
{
    struct buffer b;
    char ref[24];
    thing_ref(i, ref);
    buffer_init(&b, 4096);
    txn_begin(&b, 1);
    txn_set_tag(&b, ref, s->value);
    send(s, &b, true);
}

static void make_things(struct soak *s)
{
    struct buffer b;
    char ref[24];
    buffer_init(&b, 4096);
    txn_begin(&b, 2 * THINGS);
    for (unsigned i = 0; i < THINGS; i++) {
        thing_ref(i, ref);
        txn_create(&b, "artifact", ref + strlen("artifact/"));
        txn_set_tag(&b, ref, 0);
    }
    send(s, &b, false);
}

static void read_one(struct soak *s)
{
    s->query = (struct query){.kind = QUERY_GET,
                              .consistency = CLADE_LINEARIZABLE,
                              .limit = 1,
                              .view = CLADE_VIEW_FULL,
                              .state = CLADE_STATE_LIVE,
                              .ns = span_of("default"),
                              .targets = &s->target,
                              .targets_len = 1};
    front_read(any_node(s), &s->query, TIMEOUT_US, on_read, s, 0);
}

/* What is due in that second. A value is written again and again until it is another one. */
static void ask(struct soak *s, uint64_t second)
{
    if (second % SESSION_EVERY_S == 0) {
        open_session(s);
    }
    if (s->former != 0) {
        close_session(s);
    }
    if (second % SESSION_EVERY_S == SESSION_EVERY_S / 2) {
        read_one(s);
    }
    s->value += second % CHANGE_EVERY_S == 0;
    if (second % WRITE_EVERY_S == 0 && s->session != 0) {
        set_tag(s, (unsigned)(s->value % THINGS));
    }
}

/* --- what is held --- */

static uint64_t count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    CHECK(d != NULL);
    uint64_t n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        n += e->d_name[0] != '.';
    }
    (void)closedir(d);
    return n - 1; /* the folder itself */
}

static void raise_to(uint64_t *at, uint64_t value)
{
    *at = value > *at ? value : *at;
}

static void look(struct soak *s, struct figures *ret)
{
    *ret = (struct figures){.heap_bytes = mallinfo2().uordblks + mallinfo2().hblkhd,
                            .descriptors = count_descriptors()};
    for (unsigned i = 0; i < NODES; i++) {
        struct sim_node *n = &s->w->nodes[i];
        struct store_figures store;
        struct group_status group;
        struct error e = {0};
        CHECK(n->up && store_look(n->store, &store, &e) == 0);
        group_status(n->group, &group);
        raise_to(&ret->sessions, store.sessions);
        raise_to(&ret->store_bytes, store.used_bytes - store.free_bytes);
        raise_to(&ret->file_bytes, store.used_bytes);
        raise_to(&ret->log_bytes, group.log_bytes);
        raise_to(&ret->archive_bytes, archive_bytes(n->archive));
    }
}

static void print_figures(const struct soak *s, unsigned hour, const struct figures *f)
{
    printf("hour %2u: heap %" PRIu64 " KiB, descriptors %" PRIu64 ", %" PRIu64
           " sessions, store %" PRIu64 " KiB of %" PRIu64 " KiB, log %" PRIu64
           " bytes, archive %" PRIu64 " bytes; %" PRIu64 " sessions opened, %" PRIu64
           " writes, %" PRIu64 " changes, %" PRIu64 " reads\n",
           hour, f->heap_bytes >> 10, f->descriptors, f->sessions, f->store_bytes >> 10,
           f->file_bytes >> 10, f->log_bytes, f->archive_bytes, s->opened, s->writes, s->changes,
           s->reads);
}

static bool is_within(const char *what, unsigned hour, uint64_t value, uint64_t most)
{
    if (value > most) {
        printf("soak: hour %u: %s is %" PRIu64 ", and may be %" PRIu64 "\n", hour, what, value,
               most);
    }
    return value <= most;
}

/* `base` is what was held after the first hours, and how many changes had been made by then. */
static bool is_flat(const struct soak *s,
                    unsigned hour,
                    const struct figures *f,
                    const struct figures *base,
                    uint64_t base_changes)
{
    uint64_t history = (s->changes - base_changes) * CHANGE_BYTES_MAX + STORE_SLACK_BYTES;
    bool ok = is_within("heap", hour, f->heap_bytes, base->heap_bytes + HEAP_SLACK_BYTES);
    ok &= is_within("descriptors", hour, f->descriptors, base->descriptors);
    ok &= is_within("sessions", hour, f->sessions, SESSIONS_MAX);
    ok &= is_within("store", hour, f->store_bytes, base->store_bytes + history);
    ok &= is_within("file of the store", hour, f->file_bytes, base->file_bytes + 2 * history);
    /* As they are bounded; a batch may stand above. */
    ok &= is_within("log", hour, f->log_bytes, 2 * s->w->log_bytes);
    ok &= is_within("archive", hour, f->archive_bytes, 3 * s->w->log_bytes);
    return ok;
}

/* --- a run --- */

static void start(struct soak *s)
{
    struct error e = {0};
    s->target.text = span_of("artifact/a0");
    CHECK(ref_parse(s->target.text, false, &s->target.ref, &e) == 0);
    uint64_t patience_us = s->w->now_us + 60 * SECOND_US;
    while (world_leader(s->w) == NULL && s->w->now_us < patience_us) {
        (void)world_step(s->w, s->w->now_us + SECOND_US);
    }
    make_things(s);
}

static void pass_hour(struct soak *s, unsigned hour)
{
    for (uint64_t second = 0; second < 3600; second++) {
        uint64_t until_us = s->w->now_us + SECOND_US;
        ask(s, hour * UINT64_C(3600) + second);
        while (world_step(s->w, until_us)) {
        }
    }
}

static bool run(uint64_t seed, unsigned hours)
{
    struct soak *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->w = world_new(seed, NODES);
    struct figures base = {0};
    uint64_t base_changes = 0;
    unsigned warm = hours / 8 > 0 ? hours / 8 : 1;
    bool ok = true;
    start(s);
    for (unsigned hour = 1; hour <= hours && ok; hour++) {
        struct figures f;
        pass_hour(s, hour - 1);
        look(s, &f);
        print_figures(s, hour, &f);
        if (hour <= warm) {
            base = f;
            base_changes = s->changes;
        }
        ok = is_flat(s, hour, &f, &base, base_changes);
    }
    if (s->w->failure[0] != '\0') {
        printf("soak: %s\n", s->w->failure);
        ok = false;
    }
    /* Nothing went wrong, so hardly anything may have been refused: a leader or two. */
    ok &= is_within("refused", hours, s->refused, 20);
    ok &= s->changes >= hours * UINT64_C(3600) / CHANGE_EVERY_S / 2;
    printf("soak: %s, seed %" PRIu64 ", %u hours, %" PRIu64 " events, %" PRIu64 " refused\n",
           ok ? "flat" : "FAILED", seed, hours, s->w->steps, s->refused);
    world_free(s->w);
    free(s);
    return ok;
}

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    uint64_t hours = 24;
    for (int i = 1; i < argc; i += 2) {
        uint64_t *number = strcmp(argv[i], "--seed") == 0    ? &seed
                           : strcmp(argv[i], "--hours") == 0 ? &hours
                                                             : NULL;
        if (number == NULL || i + 1 == argc || !parse_number(argv[i + 1], number) || hours < 2 ||
            hours > 10000) {
            (void)fputs("usage: soak [--hours N] [--seed S]\n", stderr);
            return 2;
        }
    }
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    bool ok = run(seed, (unsigned)hours);
    printf("soak: %d passed, %d failed\n", ok, !ok);
    return ok ? 0 : 1;
}
