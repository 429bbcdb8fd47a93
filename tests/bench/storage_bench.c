/* Figures of storage alone: creates, links and closures in one process, without a cluster.
 *
 *     storage_bench FOLDER [THINGS] [EDGES]
 *
 * BENCH_NO_SYNC in the environment leaves the disk out of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "apply_bench.h"
#include "base/clock.h"
#include "command/value.h"
#include "storage/reader.h"

static void report(const char *name, uint64_t n, uint64_t started)
{
    double seconds = (double)(now_us() - started) / 1e6;
    printf("%-28s %10lu  %12.0f/s\n", name, n, (double)n / seconds);
}

static void put_create(struct bench *b, const char *name)
{
    value_put_map(&b->command, 5);
    value_put_str(&b->command, "op");
    value_put_str(&b->command, "create");
    value_put_str(&b->command, "kind");
    value_put_str(&b->command, "artifact");
    value_put_str(&b->command, "name");
    value_put_str(&b->command, name);
    value_put_str(&b->command, "size");
    value_put_uint(&b->command, 123456);
    value_put_str(&b->command, "description");
    char text[160];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    value_put_str(&b->command, text);
}

static void put_link(struct bench *b, uint64_t from, uint64_t to)
{
    char ref[32];
    value_put_map(&b->command, 4);
    value_put_str(&b->command, "op");
    value_put_str(&b->command, "link");
    value_put_str(&b->command, "from");
    snprintf(ref, sizeof ref, "id/%lu", from);
    value_put_str(&b->command, ref);
    value_put_str(&b->command, "label");
    value_put_str(&b->command, "derived_from");
    value_put_str(&b->command, "to");
    snprintf(ref, sizeof ref, "id/%lu", to);
    value_put_str(&b->command, ref);
}

static void creates(struct bench *b, const char *what, const char *prefix, uint64_t n)
{
    uint64_t started = now_us();
    for (uint64_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s-%016lx", prefix, i * 0x9e3779b97f4a7c15u);
        begin_command(b, 1);
        put_create(b, name);
        end_command(b);
        if (b->items == BATCH || i + 1 == n) {
            run_batch(b);
        }
    }
    report(what, n, started);
}

/* `edges` edges from each thing to earlier ones, 100 operations a command. */
static void links(struct bench *b, uint64_t things, uint64_t edges)
{
    uint64_t started = now_us();
    uint64_t state = 1;
    uint32_t per = 100;
    for (uint64_t i = 0; i < edges; i += per) {
        begin_command(b, per);
        for (uint32_t j = 0; j < per; j++) {
            uint64_t from = 1 + (i + j) * (things - 1) / edges;
            state = state * 6364136223846793005u + 1442695040888963407u;
            put_link(b, 2 + from, 2 + (state >> 33) % from);
        }
        end_command(b);
        if (b->items == BATCH / per * 10) {
            run_batch(b);
        }
    }
    if (b->items > 0) {
        run_batch(b);
    }
    report("link operations", edges, started);
}

static void closure(struct bench *b, uint64_t things, bool count)
{
    struct error e;
    struct reader *reader;
    must(reader_new(b->store, &reader, &e), &e);
    struct arena arena;
    struct buffer out;
    arena_init(&arena, 64 << 20);
    buffer_init(&out, 64 << 20);
    uint64_t best = UINT64_MAX;
    uint64_t items = 0;
    for (int i = 0; i < 9; i++) {
        /* Breadth first to about 10,000 things. */
        struct query q = {
            .kind = QUERY_LINEAGE,
            .start = {.form = REF_ID, .number = 2 + things - 1 - (uint64_t)i},
            .limit = 10000,
            .state = CLADE_STATE_ANY,
            .count_only = count,
        };
        struct reader_budget budget = {.visits_max = count ? 10000 : 1000000};
        struct reader_answer answer;
        buffer_clear(&out);
        arena_reset(&arena);
        uint64_t started = now_us();
        must(reader_query(reader, &q, span_of(""), &budget, &arena, &out, &answer, &e), &e);
        uint64_t took = now_us() - started;
        best = took < best ? took : best;
        items = out.len;
    }
    printf("%-28s %10.2f ms (answer %lu bytes)\n",
           count ? "closure of 10,000, counted" : "closure of 10,000, heads", (double)best / 1000,
           items);
    reader_free(reader);
    arena_release(&arena);
    buffer_release(&out);
}

static void whole_count(struct bench *b, uint64_t things)
{
    struct error e;
    struct reader *reader;
    must(reader_new(b->store, &reader, &e), &e);
    struct arena arena;
    struct buffer out;
    arena_init(&arena, 64 << 20);
    buffer_init(&out, 64 << 20);
    struct query q = {.kind = QUERY_LINEAGE,
                      .start = {.form = REF_ID, .number = 2 + things - 1},
                      .limit = 1,
                      .state = CLADE_STATE_ANY,
                      .count_only = true};
    struct reader_budget budget = {0};
    struct reader_answer answer;
    uint64_t started = now_us();
    must(reader_query(reader, &q, span_of(""), &budget, &arena, &out, &answer, &e), &e);
    printf("%-28s %10.2f ms\n", "count of all upstream", (double)(now_us() - started) / 1000);
    reader_free(reader);
    arena_release(&arena);
    buffer_release(&out);
}

static void get_each(struct bench *b, uint64_t n)
{
    struct error e;
    struct reader *reader;
    must(reader_new(b->store, &reader, &e), &e);
    struct arena arena;
    struct buffer out;
    arena_init(&arena, 64 << 20);
    buffer_init(&out, 64 << 20);
    uint64_t started = now_us();
    for (uint64_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "thing-%016lx", i * 0x9e3779b97f4a7c15u);
        struct query_target target = {
            .ref = {.form = REF_NAME, .kind = KIND_ARTIFACT, .name = span_of(name)}};
        struct query q = {.kind = QUERY_GET,
                          .targets = &target,
                          .targets_len = 1,
                          .limit = 1,
                          .view = CLADE_VIEW_FULL};
        struct reader_budget budget = {.clock = clock_system(), .deadline_us = UINT64_MAX};
        struct reader_answer answer;
        buffer_clear(&out);
        arena_reset(&arena);
        must(reader_query(reader, &q, span_of(""), &budget, &arena, &out, &answer, &e), &e);
    }
    report("gets of one, full", n, started);
    reader_free(reader);
    arena_release(&arena);
    buffer_release(&out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: storage_bench FOLDER [THINGS] [EDGES]\n");
        return 2;
    }
    uint64_t things = argc > 2 ? strtoull(argv[2], NULL, 10) : 200000;
    uint64_t edges = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;
    struct error e;
    struct bench b;
    bench_open(&b, argv[1]);
    creates(&b, "creates", "thing", things);
    links(&b, things, edges);
    uint8_t lease[8] = {0, 0, 1};
    struct item item = {.kind = ITEM_SESSION_OPEN, .command = span_make(lease, 8)};
    entry_begin(&b.entry);
    item_encode(&b.entry, &item);
    b.items = 1;
    run_batch(&b);
    b.session = 1;
    creates(&b, "creates in a session", "more", things / 4);
    get_each(&b, things / 2);
    closure(&b, things, true);
    closure(&b, things, false);
    whole_count(&b, things);
    uint64_t used;
    uint64_t map;
    store_usage(b.store, &used, &map);
    printf("refused %lu, %lu MiB on disk\n", b.refused, used >> 20);
    uint64_t started = now_us();
    must(store_verify(b.store, NULL, NULL, &e), &e);
    printf("verify took %.1f s\n", (double)(now_us() - started) / 1e6);
    bench_close(&b);
    return 0;
}
