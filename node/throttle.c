#include "node/throttle.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "command/value.h"

#define RATE_MAX                                                                                   \
    UINT64_C(1000000000)      /* above it nothing is held back, and sums are far from 2^63 */
#define UNIT INT64_C(1000000) /* of an operation, so that a microsecond fills whole units */

struct bucket {
    char path[CLADE_MAX_NAMESPACE_BYTES];
    size_t path_len;
    uint64_t rate;
    int64_t units;
    uint64_t filled_us; /* when; 0 = never: it is full */
};

struct throttle {
    pthread_mutex_t mutex;
    struct bucket *buckets; /* sorted by path */
    size_t len;
};

struct throttle *throttle_new(void)
{
    struct throttle *t = calloc(1, sizeof *t);
    if (t != NULL) {
        pthread_mutex_init(&t->mutex, NULL);
    }
    return t;
}

void throttle_free(struct throttle *t)
{
    if (t != NULL) {
        pthread_mutex_destroy(&t->mutex);
        free(t->buckets);
        free(t);
    }
}

static struct span path_of(const struct bucket *b)
{
    return span_make(b->path, b->path_len);
}

static struct bucket *find(const struct throttle *t, struct span path)
{
    size_t low = 0;
    size_t high = t->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int r = span_compare(path_of(&t->buckets[middle]), path);
        if (r == 0) {
            return &t->buckets[middle];
        }
        if (r < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* --- What namespaces say --------------------------------------------------------------------- */

struct gathered {
    struct bucket *buckets;
    size_t len;
    size_t capacity;
    bool failed;
};

static void on_rate(void *arg, struct span path, uint64_t rate)
{
    struct gathered *g = arg;
    if (g->len == g->capacity) {
        size_t capacity = g->capacity == 0 ? 8 : 2 * g->capacity;
        struct bucket *grown = realloc(g->buckets, capacity * sizeof *grown);
        if (grown == NULL) {
            g->failed = true;
            return;
        }
        g->buckets = grown;
        g->capacity = capacity;
    }
    if (path.len > 0 && path.len <= sizeof g->buckets->path && rate <= RATE_MAX) {
        struct bucket *b = &g->buckets[g->len++];
        *b = (struct bucket){.path_len = path.len, .rate = rate};
        memcpy(b->path, path.data, path.len);
    }
}

static int by_path(const void *a, const void *b)
{
    return span_compare(path_of(a), path_of(b));
}

int throttle_refresh(struct throttle *t, struct store *store, struct error *error)
{
    struct gathered g = {.len = 0};
    int rc = store_rates(store, on_rate, &g, error);
    if (rc != 0 || g.failed) {
        free(g.buckets);
        return rc;
    }
    if (g.len > 1) {
        qsort(g.buckets, g.len, sizeof *g.buckets, by_path);
    }
    pthread_mutex_lock(&t->mutex);
    for (size_t i = 0; i < g.len; i++) {
        const struct bucket *before = find(t, path_of(&g.buckets[i]));
        if (before != NULL) {
            g.buckets[i].units = before->units;
            g.buckets[i].filled_us = before->filled_us;
        }
    }
    free(t->buckets);
    t->buckets = g.buckets;
    t->len = g.len;
    pthread_mutex_unlock(&t->mutex);
    return 0;
}

/* --- Writes ---------------------------------------------------------------------------------- */

static void fill(struct bucket *b, uint64_t now_us)
{
    int64_t full = (int64_t)b->rate * UNIT;
    uint64_t passed_us = now_us - b->filled_us;
    if (b->filled_us == 0 || now_us < b->filled_us) {
        b->units = full;
    } else if (passed_us >= (uint64_t)(full - b->units) / b->rate) {
        b->units = full;
    } else {
        b->units += (int64_t)(passed_us * b->rate);
    }
    b->filled_us = now_us;
}

/* The buckets from the namespace up to the root of its path; `path` becomes what is left. */
static struct bucket *next_up(const struct throttle *t, struct span *path)
{
    struct bucket *b = NULL;
    while (b == NULL && path->len > 0) {
        b = find(t, *path);
        while (path->len > 0 && path->data[path->len - 1] != '/') {
            path->len--;
        }
        path->len -= path->len > 0;
    }
    return b;
}

static int refuse(const struct bucket *b, struct error *error)
{
    uint64_t wait_us = (uint64_t)(UNIT - b->units) / b->rate + 1;
    uint64_t wait_ms = wait_us / 1000 + 1;
    error_set(error, CLADE_ERR_THROTTLED, NULL,
              "namespace \"%.*s\" takes %" PRIu64 " operations a second; try again in %" PRIu64
              " ms",
              SPAN_FMT(path_of(b)), b->rate, wait_ms);
    if (error != NULL) {
        error->retry_ms = wait_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)wait_ms;
    }
    return CLADE_ERR_THROTTLED;
}

static int charge(
    struct throttle *t, struct span ns, uint32_t ops, uint64_t now_us, struct error *e)
{
    struct span path = ns;
    for (struct bucket *b; (b = next_up(t, &path)) != NULL;) {
        fill(b, now_us);
        if (b->units < UNIT) {
            return refuse(b, e);
        }
    }
    path = ns;
    for (struct bucket *b; (b = next_up(t, &path)) != NULL;) {
        b->units -= (int64_t)ops * UNIT;
    }
    return 0;
}

int throttle_admit(struct throttle *t, struct span item, uint64_t now_us, struct error *error)
{
    struct item i;
    size_t len;
    int rc = 0;
    pthread_mutex_lock(&t->mutex);
    if (t->len > 0 && item_decode(item, &i, &len, NULL) == 0 && i.kind == ITEM_TXN) {
        struct span ns;
        struct span nothing;
        uint32_t none;
        uint32_t ops;
        value_peek(i.command, "ns", &ns, &none);
        value_peek(i.command, "ops", &nothing, &ops);
        ns = ns.len > 0 ? ns : i.ns.len > 0 ? i.ns : span_of("default");
        rc = charge(t, ns, ops, now_us, error);
    }
    pthread_mutex_unlock(&t->mutex);
    return rc;
}
