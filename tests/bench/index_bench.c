/* What each index costs a write: the same writes with it and without it, in turns, on one store.
 *
 *     index_bench FOLDER [THINGS [WRITES [ROUNDS]]]
 *
 * An index is left out by not writing its rows: the linker lets the calls of rows.h that storage
 * makes come here first (--wrap). Nothing that these writes do reads them again. Without sync, and
 * in time of the processor: the bytes say what the disk has of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "apply_bench.h"
#include "base/check.h"
#include "command/value.h"
#include "storage/keys.h"
#include "storage/rows.h"

#define ROUNDS_MAX 99

struct index {
    const char *name;
    enum table table;
    uint8_t space; /* the first byte of its keys; 0 = the table is all its own */
    const char *reads;
};

static const struct index indexes[] = {
    {"name", TABLE_NAMES, NAME_SPACE_NAMES, "get by name, list"},
    {"external id", TABLE_NAMES, NAME_SPACE_EXTERNAL, "get by external id, get or create"},
    {"digest", TABLE_DIGESTS, 0, "get by digest"},
    {"uri", TABLE_URIS, 0, "get by uri"},
    {"version's number", TABLE_VERSIONS, 0, "get, list, the next number"},
    {"alias", TABLE_ALIASES, 1, "get by alias, compare-and-set"},
    {"alias by version", TABLE_ALIASES, 3, "in use? aliases of a version"},
    {"stage", TABLE_STAGES, 0, "who is in it, in use?"},
    {"edge from its end", TABLE_EDGES_IN, 0, "lineage down"},
    {"history", TABLE_HISTORY, 0, "as_of, history"},
    {"change log", TABLE_CHANGES, 0, "history: who, why"},
    {"time", TABLE_TIMES, 0, "as_of a time"},
    {"use of namespaces", TABLE_USAGE, 0, "quota, describe"},
    {"index of values", TABLE_VALUES, 0, "search"},
};
#define INDEXES (sizeof indexes / sizeof *indexes)

static const struct index *left_out; /* of what is running now; NULL = nothing */
static uint64_t rows_of[INDEXES];
static uint64_t bytes_of[INDEXES];
static uint64_t rows_all;

/* Counts the row; whether it is to be written. */
static bool wanted(enum table table, struct span key, size_t value_len)
{
    rows_all++;
    for (size_t i = 0; i < INDEXES; i++) {
        const struct index *x = &indexes[i];
        if (x->table == table && (x->space == 0 || (key.len > 0 && key.data[0] == x->space))) {
            rows_of[i]++;
            bytes_of[i] += key.len + value_len;
            return x != left_out;
        }
    }
    return true;
}

int __real_row_put(struct rows *rows, enum table table, struct span key, struct span value);
int __wrap_row_put(struct rows *rows, enum table table, struct span key, struct span value);
int __real_row_insert(struct rows *rows, enum table table, struct span key, struct span value);
int __wrap_row_insert(struct rows *rows, enum table table, struct span key, struct span value);
int __real_row_insert_edge(struct rows *rows, enum table table, struct span key, struct span value);
int __wrap_row_insert_edge(struct rows *rows, enum table table, struct span key, struct span value);

int __wrap_row_put(struct rows *rows, enum table table, struct span key, struct span value)
{
    return wanted(table, key, value.len) ? __real_row_put(rows, table, key, value) : 0;
}

int __wrap_row_insert(struct rows *rows, enum table table, struct span key, struct span value)
{
    return wanted(table, key, value.len) ? __real_row_insert(rows, table, key, value) : 0;
}

int __wrap_row_insert_edge(struct rows *rows, enum table table, struct span key, struct span value)
{
    return wanted(table, key, value.len) ? __real_row_insert_edge(rows, table, key, value) : 0;
}

/* --- Writes --------------------------------------------------------------------------------- */

static uint64_t things; /* artifacts at the beginning; their ids follow each other */
static uint64_t first_id;
static uint64_t models; /* the same behind them */
static uint64_t first_model;

/* In no order, and never twice. */
static uint64_t mixed(uint64_t n)
{
    return n * UINT64_C(0x9e3779b97f4a7c15);
}

static void put_text(struct bench *b, const char *key, const char *value)
{
    value_put_str(&b->command, key);
    value_put_str(&b->command, value);
}

static void put_one(struct bench *b, const char *key, const char *text)
{
    value_put_str(&b->command, key);
    value_put_array(&b->command, 1);
    value_put_str(&b->command, text);
}

static void put_create(struct bench *b, uint64_t n)
{
    char text[96];
    begin_command(b, 1);
    value_put_map(&b->command, 6);
    put_text(b, "op", "create");
    put_text(b, "kind", "artifact");
    (void)snprintf(text, sizeof text, "a-%016" PRIx64, mixed(n));
    put_text(b, "name", text);
    (void)snprintf(text, sizeof text,
                   "sha256:%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64, mixed(4 * n),
                   mixed(4 * n + 1), mixed(4 * n + 2), mixed(4 * n + 3));
    put_one(b, "digests", text);
    (void)snprintf(text, sizeof text, "s3://data/%016" PRIx64, mixed(n));
    put_one(b, "uris", text);
    (void)snprintf(text, sizeof text, "mlflow:%016" PRIx64, mixed(n));
    put_one(b, "external_ids", text);
    end_command(b);
}

static void put_version(struct bench *b, uint64_t n)
{
    char name[32];
    (void)snprintf(name, sizeof name, "m-%016" PRIx64, mixed(n));
    begin_command(b, 4);
    value_put_map(&b->command, 3);
    put_text(b, "op", "create");
    put_text(b, "kind", "model");
    put_text(b, "name", name);
    value_put_map(&b->command, 3);
    put_text(b, "op", "create");
    put_text(b, "kind", "version");
    put_text(b, "model", "$0");
    value_put_map(&b->command, 3);
    put_text(b, "op", "set_alias");
    put_text(b, "ref", "$1");
    put_text(b, "alias", "champion");
    value_put_map(&b->command, 3);
    put_text(b, "op", "set_stage");
    put_text(b, "ref", "$1");
    put_text(b, "stage", "production");
    end_command(b);
}

static void put_model(struct bench *b, uint64_t n)
{
    char name[32];
    (void)snprintf(name, sizeof name, "of-many-%016" PRIx64, mixed(n));
    begin_command(b, 1);
    value_put_map(&b->command, 3);
    put_text(b, "op", "create");
    put_text(b, "kind", "model");
    put_text(b, "name", name);
    end_command(b);
}

static void put_next_version(struct bench *b, uint64_t n)
{
    char ref[32];
    (void)snprintf(ref, sizeof ref, "id/%" PRIu64, first_model + mixed(n) % models);
    begin_command(b, 1);
    value_put_map(&b->command, 3);
    put_text(b, "op", "create");
    put_text(b, "kind", "version");
    put_text(b, "model", ref);
    end_command(b);
}

#define PARAMS 16

static void put_run(struct bench *b, uint64_t n)
{
    char text[32];
    begin_command(b, 2);
    value_put_map(&b->command, 4);
    put_text(b, "op", "create");
    put_text(b, "kind", "run");
    (void)snprintf(text, sizeof text, "r-%016" PRIx64, mixed(n));
    put_text(b, "name", text);
    put_text(b, "status", "finished");
    value_put_map(&b->command, 4);
    put_text(b, "op", "log");
    put_text(b, "ref", "$0");
    value_put_str(&b->command, "params");
    value_put_map(&b->command, PARAMS);
    for (unsigned i = 0; i < PARAMS; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "param-%u", i);
        (void)snprintf(text, sizeof text, "%.6f", (double)(mixed(n * PARAMS + i) >> 40) / 1e5);
        put_text(b, key, text);
    }
    value_put_str(&b->command, "metrics");
    value_put_array(&b->command, 1);
    value_put_map(&b->command, 2);
    put_text(b, "key", "loss");
    value_put_str(&b->command, "points");
    value_put_array(&b->command, 1);
    value_put_array(&b->command, 3);
    value_put_uint(&b->command, 1);
    value_put_uint(&b->command, 1);
    value_put_double(&b->command, (double)(mixed(n) >> 40) / 1e5);
    end_command(b);
}

static void put_update(struct bench *b, uint64_t n)
{
    char ref[32];
    char value[32];
    (void)snprintf(ref, sizeof ref, "id/%" PRIu64, first_id + mixed(n) % things);
    (void)snprintf(value, sizeof value, "%" PRIu64, n);
    begin_command(b, 1);
    value_put_map(&b->command, 3);
    put_text(b, "op", "update");
    put_text(b, "ref", ref);
    value_put_str(&b->command, "tags");
    value_put_map(&b->command, 1);
    put_text(b, "bench", value);
    end_command(b);
}

static void put_link(struct bench *b, uint64_t n)
{
    char ref[32];
    begin_command(b, 1);
    value_put_map(&b->command, 4);
    put_text(b, "op", "link");
    (void)snprintf(ref, sizeof ref, "id/%" PRIu64, first_id + mixed(2 * n) % things);
    put_text(b, "from", ref);
    put_text(b, "label", "trained_on");
    (void)snprintf(ref, sizeof ref, "id/%" PRIu64, first_id + mixed(2 * n + 1) % things);
    put_text(b, "to", ref);
    end_command(b);
}

struct write {
    const char *name;
    void (*put)(struct bench *b, uint64_t n);
    enum table read_again; /* cannot be left out: a later operation of the write reads its rows */
};

static const struct write writes[] = {
    {"create of an artifact with a digest, a uri and an external id", put_create, TABLE_META},
    {"model, version, alias and stage in one transaction", put_version, TABLE_VERSIONS},
    {"version of one of many models", put_next_version, TABLE_META},
    {"run with a status, 16 params that are numbers and a metric", put_run, TABLE_META},
    {"update of a tag", put_update, TABLE_META},
    {"link", put_link, TABLE_META},
};

/* Of the processor so far; busy neighbours do not count in it. */
static double cpu_us(void)
{
    struct rusage u;
    CHECK(getrusage(RUSAGE_SELF, &u) == 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* Microseconds of the processor a write. */
static double run_writes(struct bench *b, const struct write *w, uint64_t n, uint64_t *number)
{
    double started = cpu_us();
    for (uint64_t i = 0; i < n; i++) {
        w->put(b, (*number)++);
        if (b->items == BATCH || i + 1 == n) {
            run_batch(b);
        }
    }
    return (cpu_us() - started) / (double)n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, compare);
    return values[n / 2];
}

static double times[INDEXES + 1][ROUNDS_MAX]; /* the last: with all */
static bool touched[INDEXES];

/* Which indexes the write has rows in, and how many. */
static void look(struct bench *b, const struct write *w, uint64_t n, uint64_t *number)
{
    memset(rows_of, 0, sizeof rows_of);
    memset(bytes_of, 0, sizeof bytes_of);
    rows_all = 0;
    (void)run_writes(b, w, n, number);
    printf(
        "\n%s: %.1f rows\n\n| index | rows | bytes | us with | us without | its part | read by |\n"
        "|---|---:|---:|---:|---:|---:|---|\n",
        w->name, (double)rows_all / (double)n);
    for (size_t i = 0; i < INDEXES; i++) {
        touched[i] = rows_of[i] > 0 && indexes[i].table != w->read_again;
    }
}

static void measure(struct bench *b, const struct write *w, uint64_t n, unsigned rounds)
{
    static uint64_t number = UINT64_C(1) << 40; /* above what the store was filled with */
    double rows[INDEXES];
    double bytes[INDEXES];
    look(b, w, n, &number);
    for (size_t i = 0; i < INDEXES; i++) {
        rows[i] = (double)rows_of[i] / (double)n;
        bytes[i] = (double)bytes_of[i] / (double)n;
    }
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t i = 0; i <= INDEXES; i++) {
            left_out = i < INDEXES ? &indexes[i] : NULL;
            if (left_out == NULL || touched[i]) {
                times[i][round] = run_writes(b, w, n, &number);
            }
        }
        left_out = NULL;
    }
    double with = median(times[INDEXES], rounds);
    for (size_t i = 0; i < INDEXES; i++) {
        if (touched[i]) {
            double without = median(times[i], rounds);
            printf("| %s | %.2f | %.0f | %.2f | %.2f | %.0f %% | %s |\n", indexes[i].name, rows[i],
                   bytes[i], with, without, (with - without) * 100 / with, indexes[i].reads);
        }
    }
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: index_bench FOLDER [THINGS [WRITES [ROUNDS]]]\n");
        return 2;
    }
    things = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    uint64_t n = argc > 3 ? strtoull(argv[3], NULL, 10) : 20000;
    uint64_t rounds = argc > 4 ? strtoull(argv[4], NULL, 10) : 9;
    struct bench b;
    CHECK(rounds > 0 && rounds <= ROUNDS_MAX && things > 0 && n > 0);
    CHECK(setenv("BENCH_NO_SYNC", "1", 1) == 0);
    bench_open(&b, argv[1]);
    first_id = 2; /* behind the namespace "default" */
    uint64_t number = 0;
    const struct write fill = writes[0];
    printf("%" PRIu64 " things, %" PRIu64 " writes, the median of %" PRIu64
           " rounds; filled at %.2f us a "
           "thing\n",
           things, n, rounds, run_writes(&b, &fill, things, &number));
    first_model = first_id + things;
    models = things / 20 + 1;
    const struct write fill_models = {"", put_model, TABLE_META};
    (void)run_writes(&b, &fill_models, models, &number);
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        measure(&b, &writes[i], n, (unsigned)rounds);
    }
    if (b.refused > 0) {
        fprintf(stderr, "%" PRIu64 " writes were refused\n", b.refused);
    }
    bench_close(&b);
    return b.refused > 0;
}
