/* The requests that `clade bench` measures. */
#include "base/check.h"
#include "base/clock.h"
#include "cli/bench_internal.h"

#define TXN_OUTPUTS 9 /* with their edges, the run and its params: 20 operations */

/* A name that nothing else has. */
static void name_of(const struct bench *b, uint64_t n, char name[BENCH_NAME_BYTES])
{
    (void)snprintf(name, BENCH_NAME_BYTES, "bench-%llx-%llu", (unsigned long long)b->stamp,
                   (unsigned long long)n);
}

static const char *ref_of(const struct bench *b, uint64_t n)
{
    return b->refs.items[n % b->refs.len];
}

static struct clade_request *start_create(struct bench_slot *s, uint64_t n, clade_cb on_done)
{
    char name[BENCH_NAME_BYTES];
    name_of(s->bench, n, name);
    clade_txn_clear(s->txn);
    (void)clade_txn_create(s->txn, "artifact", name);
    clade_txn_set(s->txn, "description", s->bench->text);
    return clade_txn_send(s->client, s->txn, 0, on_done, s);
}

/* The next version of one of the models. */
static struct clade_request *start_version(struct bench_slot *s, uint64_t n, clade_cb on_done)
{
    char uri[BENCH_NAME_BYTES];
    (void)snprintf(uri, sizeof uri, "s3://bench/%llx/%llu", (unsigned long long)s->bench->stamp,
                   (unsigned long long)n);
    clade_txn_clear(s->txn);
    (void)clade_txn_create(s->txn, "version", NULL);
    clade_txn_set(s->txn, "model", ref_of(s->bench, n));
    clade_txn_add(s->txn, "uris", uri);
    return clade_txn_send(s->client, s->txn, 0, on_done, s);
}

static struct clade_request *start_update(struct bench_slot *s, uint64_t n, clade_cb on_done)
{
    char value[BENCH_NAME_BYTES];
    name_of(s->bench, n, value);
    clade_txn_clear(s->txn);
    (void)clade_txn_update(s->txn, ref_of(s->bench, n));
    clade_txn_tag(s->txn, "bench", value);
    return clade_txn_send(s->client, s->txn, 0, on_done, s);
}

/* What a training leaves: a run with its params, and outputs that it produced. */
static struct clade_request *start_txn(struct bench_slot *s, uint64_t n, clade_cb on_done)
{
    char name[BENCH_NAME_BYTES];
    char ref[16];
    name_of(s->bench, n, name);
    clade_txn_clear(s->txn);
    (void)clade_txn_create(s->txn, "run", name);
    (void)clade_txn_log(s->txn, "$0");
    clade_txn_param(s->txn, "lr", "0.1");
    for (unsigned i = 0; i < TXN_OUTPUTS; i++) {
        (void)snprintf(name, sizeof name, "bench-%llx-%llu-%u", (unsigned long long)s->bench->stamp,
                       (unsigned long long)n, i);
        (void)snprintf(ref, sizeof ref, "$%u", 2 + 2 * i);
        (void)clade_txn_create(s->txn, "artifact", name);
        (void)clade_txn_link(s->txn, ref, "produced_by", "$0");
    }
    return clade_txn_send(s->client, s->txn, 0, on_done, s);
}

/* A batch of points of a run that is the slot's own, as a training would log them. */
static struct clade_request *start_log(struct bench_slot *s, uint64_t n, clade_cb on_done)
{
    struct bench *b = s->bench;
    char text[BENCH_NAME_BYTES];
    (void)n;
    name_of(b, (uint64_t)(s - b->slots), text);
    uint64_t each = b->points / b->series;
    uint64_t time_ms = clock_wall_us(clock_system()) / 1000;
    clade_txn_clear(s->txn);
    (void)clade_txn_create(s->txn, "run", text);
    clade_txn_if_exists(s->txn, CLADE_IF_EXISTS_MATCH);
    (void)clade_txn_log(s->txn, "$0");
    for (uint64_t k = 0; k < b->series; k++) {
        (void)snprintf(text, sizeof text, "metric/%llu", (unsigned long long)k);
        clade_txn_metric(s->txn, text, NULL, NULL);
        for (uint64_t i = 0; i < each; i++) {
            uint64_t step = s->batches * each + i;
            clade_txn_point(s->txn, (int64_t)step, time_ms + i, 1.0 / (double)(step + k + 1));
        }
    }
    s->batches++;
    return clade_txn_send(s->client, s->txn, 0, on_done, s);
}

#define CLOSURE_LIMIT 10000 /* the most that an answer may hold */

static struct clade_read read_of(const struct bench *b)
{
    return (struct clade_read){.view = CLADE_VIEW_FULL,
                               .consistency = b->cli->settings.consistency,
                               .at_least = b->cli->settings.at_least,
                               .stale_ms = b->cli->settings.stale_ms};
}

/* The references from the n-th on; round to the first where that many do not follow. */
static struct clade_request *start_get(struct bench_slot *s, uint64_t n, clade_cb on_done)
{
    const struct bench *b = s->bench;
    struct clade_read read = read_of(b);
    uint64_t at = n * b->each % b->refs.len;
    at = at + b->each > b->refs.len ? 0 : at;
    return clade_get(s->client, b->refs.items + at, b->each, &read, 0, on_done, s);
}

static struct clade_request *start_closure(struct bench_slot *s, uint64_t n, clade_cb on_done)
{
    const struct bench *b = s->bench;
    const char *view = args_get(&b->cli->args, FLAG_VIEW);
    struct clade_read read = read_of(b);
    struct clade_lineage lineage = {.ref = ref_of(b, n),
                                    .labels = b->labels.items,
                                    .downstream = true,
                                    .count = view == NULL,
                                    .depths = view != NULL && strcmp(view, "ids") == 0};
    read.limit = CLOSURE_LIMIT;
    read.view = lineage.depths                              ? CLADE_VIEW_IDS
                : view != NULL && strcmp(view, "full") == 0 ? CLADE_VIEW_FULL
                                                            : CLADE_VIEW_HEADS;
    return clade_lineage_walk(s->client, &lineage, &read, 0, on_done, s);
}

static struct clade_request *start_impact(struct bench_slot *s, uint64_t n, clade_cb on_done)
{
    const struct bench *b = s->bench;
    struct clade_read read = read_of(b);
    struct clade_lineage lineage = {.ref = ref_of(b, n), .labels = b->labels.items};
    read.view = CLADE_VIEW_HEADS;
    return clade_impact(s->client, &lineage, &read, 0, on_done, s);
}

static const struct bench_request requests[] = {
    {"create", "", start_create},
    {"version", "model", start_version},
    {"update", "artifact", start_update},
    {"txn", "", start_txn},
    {"log", "", start_log},
    {"get", "artifact", start_get},
    {"closure", NULL, start_closure},
    {"impact", NULL, start_impact},
};

const struct bench_request *bench_request_find(const char *name)
{
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        if (strcmp(requests[i].name, name) == 0) {
            return &requests[i];
        }
    }
    CHECK(false);
}
