/* What lineage costs in the server: walks by the lineage index and by the edge tables, beside a
 * walk of a compressed sparse row of the same edges, the least that memory allows.
 *
 *     lineage_bench STORE [LINEAGE_BYTES]
 *
 * STORE is the store of a node that has lineage_graph.py's graph, and is not running. Prints a JSON
 * object for each row: what, by which way, the median and the least time in ms, and what was found.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "storage/environment.h"
#include "storage/reader.h"
#include "storage/walk.h"

#define BLOCK    9980
#define VERSIONS 20
#define ROUNDS   100

struct bench {
    struct store *store;
    struct reader *reader;
    struct arena arena;
    struct buffer out;
    uint64_t *sources; /* ids, one a block */
    uint64_t *sinks;
    uint64_t *versions; /* the first of each block */
    size_t blocks;
    uint64_t revision; /* in the middle of the links */
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", e->where, e->message);
        exit(1);
    }
}

static int compare(const void *x, const void *y)
{
    double a = *(const double *)x;
    double b = *(const double *)y;
    return a < b ? -1 : a > b;
}

static void report(const char *what, const char *way, double *ms, size_t n, uint64_t found)
{
    qsort(ms, n, sizeof *ms, compare);
    printf("{\"what\": \"%s\", \"way\": \"%s\", \"median_ms\": %.3f, \"least_ms\": %.3f, "
           "\"found\": %lu}\n",
           what, way, ms[n / 2], ms[0], found);
    fflush(stdout);
}

/* --- Queries ---------------------------------------------------------------------------------- */

static uint64_t ask(struct bench *b, const struct query *q)
{
    struct error e = {0};
    struct reader_answer answer;
    struct reader_budget budget = {
        .clock = clock_system(), .deadline_us = UINT64_MAX, .visits_max = 16000000};
    buffer_clear(&b->out);
    arena_reset(&b->arena);
    must(reader_query(b->reader, q, span_of(""), &budget, &b->arena, &b->out, &answer, &e), &e);
    return b->out.len;
}

static uint64_t find(struct bench *b, enum kind kind, const char *prefix, size_t block, int n)
{
    char name[64];
    if (n >= 0) {
        snprintf(name, sizeof name, "%s%zu-%d", prefix, block, n);
    } else {
        snprintf(name, sizeof name, "%s%zu", prefix, block);
    }
    struct query_target target = {.ref = {.form = REF_NAME, .kind = kind, .name = span_of(name)}};
    if (kind == KIND_VERSION) {
        target.ref.form = REF_VERSION;
        target.ref.number = 1;
    }
    struct query q = {.kind = QUERY_GET,
                      .targets = &target,
                      .targets_len = 1,
                      .limit = 1,
                      .state = CLADE_STATE_ANY,
                      .view = CLADE_VIEW_IDS};
    ask(b, &q);
    struct error e;
    const struct value *v;
    must(value_decode(buffer_span(&b->out), &value_limits_answer, &b->arena, &v, &e), &e);
    return value_uint(value_at(v, 0));
}

static void find_all(struct bench *b)
{
    struct store_position p = store_position(b->store);
    b->revision = p.revision;
    for (size_t i = 0; i < b->blocks; i++) {
        b->sources[i] = find(b, KIND_ARTIFACT, "b", i, 0);
        b->sinks[i] = find(b, KIND_ARTIFACT, "b", i, BLOCK - 1);
        b->versions[i] = find(b, KIND_VERSION, "m", i, -1);
    }
}

/* How a query begins and ends: the ids of each block in turns. */
static void time_query(struct bench *b,
                       const char *what,
                       const char *way,
                       struct query q,
                       const uint64_t *from,
                       const uint64_t *to)
{
    double ms[ROUNDS];
    uint64_t found = 0;
    size_t rounds = b->blocks < ROUNDS ? b->blocks : ROUNDS;
    q.start.form = REF_ID;
    q.to.form = REF_ID;
    for (size_t i = 0; i < rounds; i++) {
        q.start.number = from[i];
        q.to.number = to != NULL ? to[i] : 0;
        uint64_t begin = now_ns();
        found = ask(b, &q);
        ms[i] = (double)(now_ns() - begin) / 1e6;
    }
    report(what, way, ms, rounds, found);
}

static void time_all(struct bench *b, const char *way)
{
    const struct query base = {
        .kind = QUERY_LINEAGE, .limit = 10000, .state = CLADE_STATE_ANY, .downstream = true};
    struct query q = base;
    q.count_only = true;
    time_query(b, "count", way, q, b->sources, NULL);
    q = base;
    q.view = CLADE_VIEW_IDS;
    time_query(b, "ids", way, q, b->sources, NULL);
    q.with_depths = true;
    time_query(b, "ids and depths", way, q, b->sources, NULL);
    q.as_of =
        (struct query_as_of){.form = AS_OF_REVISION, .revision = b->revision - b->revision / 8};
    time_query(b, "ids and depths, as of", way, q, b->sources, NULL);
    q = base;
    time_query(b, "heads", way, q, b->sources, NULL);
    q.as_of =
        (struct query_as_of){.form = AS_OF_REVISION, .revision = b->revision - b->revision / 8};
    time_query(b, "heads, as of", way, q, b->sources, NULL);
    q = base;
    q.view = CLADE_VIEW_FULL;
    time_query(b, "full", way, q, b->sources, NULL);
    q = base;
    q.kind = QUERY_IMPACT;
    time_query(b, "impact", way, q, b->sources, NULL);
    q.kind = QUERY_PROVENANCE;
    q.downstream = false;
    time_query(b, "provenance", way, q, b->versions, NULL);
    q.count_only = true;
    time_query(b, "provenance, count", way, q, b->versions, NULL);
    q = base;
    q.kind = QUERY_PATHS;
    q.limit = 1;
    q.paths = PATHS_UP;
    time_query(b, "path", way, q, b->versions, b->sources);
    q.limit = 10;
    time_query(b, "10 paths", way, q, b->versions, b->sources);
}

/* --- Compressed sparse row -------------------------------------------------------------------- */

struct csr {
    uint32_t *offsets; /* by id */
    uint32_t *others;
    uint64_t *seen;
    uint32_t *level;
    uint32_t *next;
    uint32_t *order;
    uint32_t *spare;
    uint64_t ids;
};

static void csr_make(struct csr *c, struct bench *b, enum adjacency_side side)
{
    struct environment *env = store_ref(b->store);
    const struct adjacency *a = lineage_index_use(&env->lineage, 0);
    uint64_t ids = store_meta(b->store).next_id;
    *c = (struct csr){.ids = ids};
    c->offsets = calloc(ids + 1, sizeof *c->offsets);
    c->others = calloc(a->edges + 1, sizeof *c->others);
    c->seen = calloc(ids / 64 + 1, sizeof *c->seen);
    c->level = calloc(ids, sizeof *c->level);
    c->next = calloc(ids, sizeof *c->next);
    c->order = calloc(ids, sizeof *c->order);
    uint32_t at = 0;
    for (uint64_t id = 0; id < ids; id++) {
        uint32_t len;
        const struct adjacency_block *block = adjacency_get(a, side, id, &len);
        c->offsets[id] = at;
        for (uint32_t i = 0; i < len; i++) {
            struct edge e = adjacency_edge(block, i);
            if (e.ended == 0) {
                c->others[at++] = (uint32_t)e.other;
            }
        }
    }
    c->offsets[ids] = at;
    store_unref(b->store, env);
}

static void csr_release(struct csr *c)
{
    free(c->offsets);
    free(c->others);
    free(c->seen);
    free(c->level);
    free(c->next);
    free(c->order);
}

static int compare_u32(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x;
    uint32_t b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

/* The least there is to do: what is reached, in `order`, no level sorted. */
static size_t csr_walk(struct csr *c, uint32_t start)
{
    size_t len = 1;
    size_t found = 0;
    c->level[0] = start;
    c->seen[start / 64] |= (uint64_t)1 << start % 64;
    while (len > 0) {
        size_t met = 0;
        for (size_t i = 0; i < len; i++) {
            if (i + 16 < len) {
                __builtin_prefetch(&c->offsets[c->level[i + 16]]);
            }
            if (i + 8 < len) {
                __builtin_prefetch(&c->others[c->offsets[c->level[i + 8]]]);
            }
            uint32_t end = c->offsets[c->level[i] + 1];
            for (uint32_t j = c->offsets[c->level[i]]; j < end; j++) {
                uint32_t id = c->others[j];
                uint64_t bit = (uint64_t)1 << id % 64;
                if ((c->seen[id / 64] & bit) == 0) {
                    c->seen[id / 64] |= bit;
                    c->next[met++] = id;
                }
            }
        }
        memcpy(c->order + found, c->next, met * sizeof *c->order);
        found += met;
        uint32_t *was = c->level;
        c->level = c->next;
        c->next = was;
        len = met;
    }
    c->seen[start / 64] = 0;
    for (size_t i = 0; i < found; i++) {
        c->seen[c->order[i] / 64] = 0;
    }
    return found;
}

static void time_csr(struct bench *b,
                     enum adjacency_side side,
                     const char *what,
                     const uint64_t *from)
{
    struct csr c;
    double ms[ROUNDS];
    uint64_t found = 0;
    size_t rounds = b->blocks < ROUNDS ? b->blocks : ROUNDS;
    csr_make(&c, b, side);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t begin = now_ns();
        found = csr_walk(&c, (uint32_t)from[i]);
        ms[i] = (double)(now_ns() - begin) / 1e6;
    }
    report(what, "csr", ms, rounds, found);
    qsort(c.order, found, sizeof *c.order, compare_u32);
    csr_release(&c);
}

/* --- All of it -------------------------------------------------------------------------------- */

static void open_store(struct bench *b, const char *path, uint64_t lineage_bytes)
{
    struct error e = {0};
    struct store_options options = {.path = path, .lineage_bytes = lineage_bytes, .no_sync = true};
    must(store_open(&options, &b->store, &e), &e);
    must(reader_new(b->store, &b->reader, &e), &e);
}

static void close_store(struct bench *b)
{
    reader_free(b->reader);
    store_close(b->store);
}

static void time_fill(struct bench *b)
{
    struct error e = {0};
    struct store_lineage look;
    uint64_t begin = now_ns();
    must(store_fill_lineage(b->store, NULL, &e), &e);
    double ms = (double)(now_ns() - begin) / 1e6;
    store_lineage_look(b->store, &look);
    printf("{\"what\": \"fill\", \"ms\": %.1f, \"edges\": %lu, \"bytes\": %lu, "
           "\"bytes_an_edge\": %.1f, \"million_edges_a_second\": %.1f}\n",
           ms, look.edges, look.bytes, (double)look.bytes / (double)look.edges,
           (double)look.edges / ms / 1000);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: lineage_bench STORE [LINEAGE_BYTES]\n");
        return 2;
    }
    uint64_t bytes = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)8 << 30;
    struct bench b = {0};
    arena_init(&b.arena, 64 << 20);
    buffer_init(&b.out, 64 << 20);
    open_store(&b, argv[1], 0);
    b.blocks = store_meta(b.store).next_id / (BLOCK + VERSIONS + 3);
    if (b.blocks == 0) {
        fprintf(stderr, "%s holds no graph of lineage_graph.py\n", argv[1]);
        return 1;
    }
    b.sources = calloc(b.blocks + 1, sizeof *b.sources);
    b.sinks = calloc(b.blocks + 1, sizeof *b.sinks);
    b.versions = calloc(b.blocks + 1, sizeof *b.versions);
    find_all(&b);
    time_all(&b, "tables");
    close_store(&b);
    open_store(&b, argv[1], bytes);
    time_fill(&b);
    time_csr(&b, SIDE_IN, "closure", b.sources);
    time_all(&b, "index");
    time_csr(&b, SIDE_IN, "closure", b.sources);
    close_store(&b);
    free(b.sources);
    free(b.sinks);
    free(b.versions);
    arena_release(&b.arena);
    buffer_release(&b.out);
    return 0;
}
