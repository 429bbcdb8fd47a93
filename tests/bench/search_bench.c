/* Figures of searching alone, in one process and one thread, without a cluster.
 *
 *     search_bench FOLDER [RUNS [SECONDS]]
 *
 * Makes RUNS runs (1,000,000), each with a status, two tags (one a number), a param and a metric,
 * every hundredth a consumer of one of 1,000 data sets, and asks each query for SECONDS (2). Prints
 * what the writing took, and of each query how many a second were answered, how long one took, and
 * what one read. BENCH_NO_SYNC in the environment leaves the disk out of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "apply_bench.h"
#include "base/clock.h"
#include "command/value.h"
#include "storage/reader.h"

#define SETS 1000

static void put_text(struct buffer *b, const char *key, const char *text)
{
    value_put_str(b, key);
    value_put_str(b, text);
}

static uint64_t mixed(uint64_t i)
{
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u;
    x ^= x >> 31;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 29;
}

static void put_run(struct bench *b, uint64_t i)
{
    static const char *const statuses[] = {"finished", "finished", "failed", "running"};
    struct buffer *c = &b->command;
    char text[64];
    uint64_t r = mixed(i);
    value_put_map(c, 5);
    put_text(c, "op", "create");
    put_text(c, "kind", "run");
    snprintf(text, sizeof text, "run-%" PRIu64, i);
    put_text(c, "name", text);
    put_text(c, "status", statuses[r & 3]);
    value_put_str(c, "tags");
    value_put_map(c, 2);
    snprintf(text, sizeof text, "team-%" PRIu64, r >> 8 & 1023);
    put_text(c, "team", text);
    snprintf(text, sizeof text, "%" PRIu64, r >> 20 & 0xfffff);
    put_text(c, "seed", text);
}

static void put_log(struct bench *b, uint64_t i)
{
    struct buffer *c = &b->command;
    char text[64];
    uint64_t r = mixed(i);
    value_put_map(c, 4);
    put_text(c, "op", "log");
    snprintf(text, sizeof text, "run/run-%" PRIu64, i);
    put_text(c, "ref", text);
    value_put_str(c, "params");
    value_put_map(c, 1);
    snprintf(text, sizeof text, "0.%04" PRIu64, r >> 30 & 8191);
    put_text(c, "lr", text);
    value_put_str(c, "metrics");
    value_put_array(c, 1);
    value_put_map(c, 2);
    put_text(c, "key", "acc");
    value_put_str(c, "points");
    value_put_array(c, 1);
    value_put_array(c, 3);
    value_put_uint(c, 1);
    value_put_uint(c, 1);
    value_put_double(c, (double)(r >> 11) / (double)(UINT64_C(1) << 53));
}

static void put_link(struct bench *b, uint64_t i)
{
    struct buffer *c = &b->command;
    char text[64];
    value_put_map(c, 4);
    put_text(c, "op", "link");
    snprintf(text, sizeof text, "run/run-%" PRIu64, i);
    put_text(c, "from", text);
    put_text(c, "label", "consumed");
    snprintf(text, sizeof text, "artifact/set-%" PRIu64, i / 100 % SETS);
    put_text(c, "to", text);
}

static void make(struct bench *b, uint64_t runs)
{
    char text[32];
    for (uint64_t i = 0; i < SETS; i++) {
        begin_command(b, 1);
        value_put_map(&b->command, 3);
        put_text(&b->command, "op", "create");
        put_text(&b->command, "kind", "artifact");
        snprintf(text, sizeof text, "set-%" PRIu64, i);
        put_text(&b->command, "name", text);
        end_command(b);
    }
    run_batch(b);
    uint64_t started = now_us();
    for (uint64_t i = 0; i < runs; i++) {
        begin_command(b, i % 100 == 0 ? 3 : 2);
        put_run(b, i);
        put_log(b, i);
        if (i % 100 == 0) {
            put_link(b, i);
        }
        end_command(b);
        if (b->items == BATCH) {
            run_batch(b);
        }
    }
    if (b->items > 0) {
        run_batch(b);
    }
    uint64_t took = now_us() - started;
    printf("%" PRIu64 " runs made in %.1f s, %.1f us each\n", runs, (double)took / 1e6,
           (double)took / (double)runs);
}

struct asked {
    struct bench *b;
    struct reader *reader;
    struct arena arena;
    struct buffer out;
};

static void ask(struct asked *a, enum query_kind kind, const char *text, uint32_t limit)
{
    struct reader_budget budget = {.clock = clock_system(), .bytes_max = 8u << 20};
    struct reader_answer answer;
    struct search search;
    struct error e;
    struct query q = {.kind = kind,
                      .list_kind = KIND_RUN,
                      .limit = limit,
                      .view = CLADE_VIEW_HEADS,
                      .count_only = kind == QUERY_COUNT,
                      .explain = kind == QUERY_EXPLAIN,
                      .text = span_of(text),
                      .search = &search};
    arena_reset(&a->arena);
    buffer_clear(&a->out);
    must(search_parse(q.text, &a->arena, &search, &e), &e);
    must(reader_query(a->reader, &q, span_of(""), &budget, &a->arena, &a->out, &answer, &e), &e);
}

static uint64_t member(struct asked *a, const char *key)
{
    const struct value *v;
    must(value_decode(buffer_span(&a->out), &value_limits_answer, &a->arena, &v, NULL), NULL);
    return value_uint(value_get(v, key));
}

static void measure(struct asked *a, const char *name, const char *text, double seconds)
{
    uint64_t n = 0;
    ask(a, QUERY_EXPLAIN, text, 100);
    uint64_t rows = member(a, "rows");
    uint64_t things = member(a, "things");
    uint64_t started = now_us();
    uint64_t took;
    do {
        ask(a, QUERY_SEARCH, text, 100);
        n++;
        took = now_us() - started;
    } while ((double)took < seconds * 1e6);
    printf("| %s | `%s` | %.0f | %.3f | %" PRIu64 " | %" PRIu64 " |\n", name, text,
           (double)n / ((double)took / 1e6), (double)took / 1e3 / (double)n, rows, things);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        const char *text;
    } queries[] = {
        {"equality, one thing", "tags.seed = '77777'"},
        {"equality, 1 of 1,000", "tags.team = 'team-7'"},
        {"equality, half of all", "status = 'finished'"},
        {"name", "name = 'run-4711'"},
        {"range, ordered", "metrics.acc > 0.9 ORDER BY metrics.acc DESC"},
        {"range, ordered by another", "metrics.acc > 0.9 ORDER BY id DESC"},
        {"range of a param", "params.lr BETWEEN 0.1 AND 0.101"},
        {"two equalities", "tags.team = 'team-7' AND status = 'failed'"},
        {"order alone", "ORDER BY metrics.acc DESC"},
        {"newest first", "ORDER BY created DESC"},
        {"lineage", "depends_on('artifact/set-7')"},
        {"combined", "depends_on('artifact/set-7') AND status = 'finished' AND metrics.acc > 0.5 "
                     "ORDER BY metrics.acc DESC"},
        {"equality ordered by a metric", "tags.team = 'team-7' ORDER BY metrics.acc DESC"},
        {"half, ordered by a metric", "status = 'finished' ORDER BY metrics.acc DESC"},
        {"scan, nothing matches", "name LIKE '%nothing%'"},
    };
    if (argc < 2) {
        fprintf(stderr, "usage: search_bench FOLDER [RUNS [SECONDS]]\n");
        return 2;
    }
    uint64_t runs = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 2;
    struct error e;
    struct bench b;
    bench_open(&b, argv[1]);
    make(&b, runs);
    struct asked a = {.b = &b};
    arena_init(&a.arena, 64u << 20);
    buffer_init(&a.out, 16u << 20);
    must(reader_new(b.store, &a.reader, &e), &e);
    printf("| what | query | a second | ms | rows | things |\n|---|---|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        measure(&a, queries[i].name, queries[i].text, seconds);
    }
    uint64_t started = now_us();
    ask(&a, QUERY_COUNT, "", 1);
    printf("all counted in %.0f ms\n", (double)(now_us() - started) / 1e3);
    reader_free(a.reader);
    arena_release(&a.arena);
    buffer_release(&a.out);
    bench_close(&b);
    return 0;
}
