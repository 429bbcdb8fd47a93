/* What gets of things in no order cost the store alone: one process, one thread, no cluster.
 *
 *     get_bench FOLDER [THINGS [ROUNDS [REFS [TEXT]]]]
 *
 * Makes a registry of THINGS things (1,000,000) like registry.py's: of 20 things 12 are artifacts
 * with a digest and a uri, 3 runs, a model and 4 of its versions, the last of them its champion. A
 * store that is there already is read as it is. Then REFS references (100,000) are gone round
 * ROUNDS times (5) in each way of naming a thing, after a first time that brings the pages in, and
 * looks whether each is answered. Prints the processor's nanoseconds a get, the median and the
 * least, and a hash of all the answers: two builds on one store must agree in it.
 * TEXT: only rows whose name has it. BENCH_NO_SYNC in the environment leaves the disk out of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "apply_bench.h"
#include "base/check.h"
#include "base/hash.h"
#include "command/value.h"
#include "storage/reader.h"

#define GROUP      20 /* things that one transaction makes */
#define ARTIFACTS  12 /* they come first, */
#define RUNS       3  /* then runs, a model and its versions */
#define VERSIONS   4
#define CHUNK      1000 /* references that are made ready at a time */
#define ROUNDS_MAX 99
#define FIRST_ID   2 /* behind the namespaces that every store begins with */
#define TEXT_BYTES 96

/* In no order, and never twice. */
static uint64_t mixed(uint64_t n)
{
    uint64_t x = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 31;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 29;
}

static void digest_text(uint64_t n, char text[TEXT_BYTES])
{
    (void)snprintf(text, TEXT_BYTES, "sha256:%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64,
                   mixed(4 * n), mixed(4 * n + 1), mixed(4 * n + 2), mixed(4 * n + 3));
}

static void name_text(const char *prefix, uint64_t n, char text[TEXT_BYTES])
{
    (void)snprintf(text, TEXT_BYTES, "%s-%016" PRIx64, prefix, mixed(n));
}

/* --- Filling -----------------------------------------------------------------------------------
 */

static void put_text(struct buffer *b, const char *key, const char *text)
{
    value_put_str(b, key);
    value_put_str(b, text);
}

static void put_one(struct buffer *b, const char *key, const char *text)
{
    value_put_str(b, key);
    value_put_array(b, 1);
    value_put_str(b, text);
}

static void put_create(struct buffer *c, uint32_t members, const char *kind, const char *name)
{
    value_put_map(c, members);
    put_text(c, "op", "create");
    put_text(c, "kind", kind);
    put_text(c, "name", name);
}

static void put_artifact(struct buffer *c, uint64_t n)
{
    char text[TEXT_BYTES];
    name_text("a", n, text);
    put_create(c, 7, "artifact", text);
    digest_text(n, text);
    put_one(c, "digests", text);
    name_text("s3://data/", n, text);
    put_one(c, "uris", text);
    (void)snprintf(text, sizeof text, "t%" PRIu64, n % 50);
    value_put_str(c, "tags");
    value_put_map(c, 1);
    put_text(c, "team", text);
    value_put_str(c, "size");
    value_put_uint(c, n);
}

static void put_model(struct buffer *c, uint64_t g)
{
    char text[TEXT_BYTES];
    name_text("m", g, text);
    put_create(c, 4, "model", text);
    put_text(c, "description", "a model of the bench");
    for (uint64_t i = 0; i < VERSIONS; i++) {
        value_put_map(c, 4);
        put_text(c, "op", "create");
        put_text(c, "kind", "version");
        (void)snprintf(text, sizeof text, "$%u", ARTIFACTS + RUNS);
        put_text(c, "model", text);
        (void)snprintf(text, sizeof text, "md5:%016" PRIx64, mixed(g * VERSIONS + i));
        put_one(c, "digests", text);
    }
    value_put_map(c, 3);
    put_text(c, "op", "set_alias");
    (void)snprintf(text, sizeof text, "$%u", GROUP - 1);
    put_text(c, "ref", text);
    put_text(c, "alias", "champion");
}

static void put_group(struct bench *b, uint64_t g)
{
    char text[TEXT_BYTES];
    begin_command(b, GROUP + 1);
    for (uint64_t i = 0; i < ARTIFACTS; i++) {
        put_artifact(&b->command, g * ARTIFACTS + i);
    }
    for (uint64_t i = 0; i < RUNS; i++) {
        name_text("r", g * RUNS + i, text);
        put_create(&b->command, 4, "run", text);
        put_text(&b->command, "status", "finished");
    }
    put_model(&b->command, g);
    end_command(b);
}

static void fill(struct bench *b, uint64_t things)
{
    uint64_t started = now_us();
    uint64_t groups = things / GROUP;
    for (uint64_t g = 0; g < groups; g++) {
        put_group(b, g);
        if (b->items == BATCH / GROUP || g + 1 == groups) {
            run_batch(b);
        }
    }
    CHECK(b->refused == 0);
    printf("%" PRIu64 " things made in %.1f us each\n", groups * GROUP,
           (double)(now_us() - started) / (double)(groups * GROUP));
}

/* --- Asking ------------------------------------------------------------------------------------
 */

enum form { BY_ID, BY_NAME, BY_DIGEST, BY_VERSION, BY_ALIAS };

struct asked {
    struct reader *reader;
    struct arena arena;
    struct buffer out;
    uint64_t groups;
    struct query_target targets[CHUNK];
    char texts[CHUNK][TEXT_BYTES];
};

/* The i-th reference that is gone round, as a get's target. */
static void aim(struct asked *a, enum form form, uint64_t i)
{
    uint64_t g = mixed(i) % a->groups;
    uint64_t n = g * ARTIFACTS + mixed(i + 77) % ARTIFACTS;
    char *text = a->texts[i % CHUNK];
    struct query_target *t = &a->targets[i % CHUNK];
    *t = (struct query_target){.form = form == BY_DIGEST ? TARGET_DIGEST : TARGET_REF};
    if (form == BY_ID) {
        t->ref = (struct ref){.form = REF_ID, .number = FIRST_ID + g * GROUP + n % ARTIFACTS};
    } else if (form == BY_NAME) {
        name_text("a", n, text);
        t->ref = (struct ref){.form = REF_NAME, .kind = KIND_ARTIFACT, .name = span_of(text)};
    } else if (form == BY_DIGEST) {
        digest_text(n, text);
        t->what = span_of(text);
    } else {
        name_text("m", g, text);
        t->ref = (struct ref){.form = form == BY_ALIAS ? REF_ALIAS : REF_VERSION,
                              .kind = KIND_VERSION,
                              .name = span_of(text),
                              .alias = span_of(form == BY_ALIAS ? "champion" : ""),
                              .number = form == BY_ALIAS ? 0 : VERSIONS};
    }
}

static void ask(struct asked *a, struct query_target *targets, size_t len)
{
    struct error e;
    struct reader_answer answer;
    struct reader_budget budget = {.clock = clock_system(), .deadline_us = UINT64_MAX};
    struct query q = {.kind = QUERY_GET,
                      .targets = targets,
                      .targets_len = len,
                      .limit = (uint32_t)len,
                      .view = CLADE_VIEW_FULL};
    arena_reset(&a->arena);
    buffer_clear(&a->out);
    must(reader_query(a->reader, &q, span_of(""), &budget, &a->arena, &a->out, &answer, &e), &e);
}

/* Whether each was found. */
static void look(struct asked *a, size_t len)
{
    const struct value *v;
    must(value_decode(buffer_span(&a->out), &value_limits_answer, &a->arena, &v, NULL), NULL);
    CHECK(value_len(v) == len);
    for (size_t i = 0; i < len; i++) {
        CHECK(value_uint(value_get(value_at(v, i), "id")) != 0);
    }
}

struct row {
    const char *name;
    enum form form;
    size_t each;
};

/* Nanoseconds of the processor so far; busy neighbours count by what they take of the caches. */
static double cpu_ns(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Goes round once. The nanoseconds of a get; `ret_hash` NULL: only that, else what was answered is
 * looked at. */
static double go_round(struct asked *a, const struct row *row, uint64_t refs, uint64_t *ret_hash)
{
    double spent = 0;
    for (uint64_t i = 0; i < refs; i += CHUNK) {
        for (uint64_t j = i; j < i + CHUNK; j++) {
            aim(a, row->form, j);
        }
        double began = cpu_ns();
        for (size_t j = 0; j < CHUNK; j += row->each) {
            ask(a, &a->targets[j], row->each);
            if (ret_hash != NULL) {
                look(a, row->each);
                *ret_hash = hash64(buffer_span(&a->out), *ret_hash);
            }
        }
        spent += cpu_ns() - began;
    }
    return spent * (double)row->each / (double)refs;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct asked *a, const struct row *row, unsigned rounds, uint64_t refs)
{
    double ns[ROUNDS_MAX];
    uint64_t hash = 0;
    (void)go_round(a, row, refs, &hash);
    for (unsigned i = 0; i < rounds; i++) {
        ns[i] = go_round(a, row, refs, NULL);
    }
    qsort(ns, rounds, sizeof *ns, compare);
    printf("| %s | %.0f | %.0f | %016" PRIx64 " |\n", row->name, ns[rounds / 2], ns[0], hash);
}

int main(int argc, char **argv)
{
    static const struct row rows[] = {
        {"by id", BY_ID, 1},
        {"by name", BY_NAME, 1},
        {"by digest", BY_DIGEST, 1},
        {"by version", BY_VERSION, 1},
        {"by alias", BY_ALIAS, 1},
        {"of 100 by name", BY_NAME, 100},
        {"of 100 by alias", BY_ALIAS, 100},
    };
    static struct asked a;
    if (argc < 2) {
        fprintf(stderr, "usage: get_bench FOLDER [THINGS [ROUNDS [REFS [TEXT]]]]\n");
        return 2;
    }
    uint64_t things = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5;
    uint64_t refs = argc > 4 ? strtoull(argv[4], NULL, 10) : 100000;
    CHECK(things >= GROUP && rounds > 0 && rounds <= ROUNDS_MAX);
    struct bench b;
    struct error e;
    bench_open(&b, argv[1]);
    if (b.index == 0) {
        fill(&b, things);
    }
    a.groups = things / GROUP;
    arena_init(&a.arena, 64u << 20);
    buffer_init(&a.out, 16u << 20);
    must(reader_new(b.store, &a.reader, &e), &e);
    printf("| get | ns | least | answers |\n|---|---:|---:|---|\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (argc > 5 && strstr(rows[i].name, argv[5]) == NULL) {
            continue;
        }
        measure(&a, &rows[i], rounds, (refs + CHUNK - 1) / CHUNK * CHUNK);
    }
    reader_free(a.reader);
    arena_release(&a.arena);
    buffer_release(&a.out);
    bench_close(&b);
    return 0;
}
