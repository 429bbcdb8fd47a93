#include "node/request_metrics.h"

#include <pthread.h>
#include <stdlib.h>

#include "node/serve_internal.h"

#define CLADE_ERROR_COUNT(number, name, http, advice, text) +1
_Static_assert(OUTCOME_DROPPED == 1 + (0 CLADE_ERRORS(CLADE_ERROR_COUNT)),
               "each class of error has an outcome, and they are numbered without gaps");

struct place {
    char path[CLADE_MAX_NAMESPACE_BYTES];
    size_t len;
};

struct namespace_places {
    pthread_mutex_t mutex; /* of those who add */
    atomic_uint len;       /* what is below does not change any more */
    struct place places[NAMESPACES_MAX];
};

struct namespace_places *namespace_places_new(void)
{
    struct namespace_places *p = calloc(1, sizeof *p);
    if (p != NULL) {
        pthread_mutex_init(&p->mutex, NULL);
        atomic_init(&p->len, 1);
    }
    return p;
}

void namespace_places_free(struct namespace_places *p)
{
    if (p != NULL) {
        pthread_mutex_destroy(&p->mutex);
        free(p);
    }
}

unsigned namespace_places_len(const struct namespace_places *p)
{
    return atomic_load_explicit(&p->len, memory_order_acquire);
}

struct span namespace_places_path(const struct namespace_places *p, unsigned place)
{
    return span_make(p->places[place].path, p->places[place].len);
}

unsigned namespace_places_find(const struct namespace_places *p, struct span path)
{
    unsigned len = namespace_places_len(p);
    for (unsigned i = 1; i < len; i++) {
        if (span_equal(namespace_places_path(p, i), path)) {
            return i;
        }
    }
    return 0;
}

unsigned namespace_places_add(struct namespace_places *p, struct span path)
{
    if (path.len == 0 || path.len > sizeof p->places[0].path) {
        return 0;
    }
    pthread_mutex_lock(&p->mutex);
    unsigned place = namespace_places_find(p, path);
    unsigned len = namespace_places_len(p);
    if (place == 0 && len < NAMESPACES_MAX) {
        place = len;
        memcpy(p->places[place].path, path.data, path.len);
        p->places[place].len = path.len;
        atomic_store_explicit(&p->len, len + 1, memory_order_release);
    }
    pthread_mutex_unlock(&p->mutex);
    return place;
}

/* --- requests --- */

static unsigned find_place(struct serve *s, struct span path)
{
    struct namespace_places *p = s->node->namespaces;
    unsigned place = namespace_places_find(p, path);
    if (place == 0 && namespace_places_len(p) < NAMESPACES_MAX &&
        reader_has_namespace(s->reader, path, NULL) == 0) {
        place = namespace_places_add(p, path);
    }
    return place;
}

void request_in_namespace(struct request *r, struct span named)
{
    struct connection *c = r->conn;
    r->is_placed = true;
    if (named.len > 0) {
        r->place = find_place(c->serve, named);
        return;
    }
    if (c->place == 0) {
        c->place = find_place(c->serve, c->ns.len > 0 ? c->ns : span_of("default"));
    }
    r->place = c->place;
}

void request_count(struct request *r, int outcome)
{
    struct serve *s = r->conn->serve;
    struct request_metrics *m = &s->metrics;
    unsigned i = outcome <= 0 && outcome > -OUTCOME_DROPPED ? (unsigned)-outcome : OUTCOME_DROPPED;
    metric_add(&m->outcomes[r->method][i], 1);
    /* A watch lasts as long as its client likes, a change of members as long as it takes. */
    if (i == OUTCOME_DROPPED || r->started_us == 0 || r->method == METHOD_WATCH ||
        r->method == METHOD_MEMBER) {
        return;
    }
    uint64_t took_us = node_now(s->node) - r->started_us;
    metric_observe(&m->methods[r->method], took_us);
    if (took_us >= slow_request_us(s->node)) {
        metric_add(&m->slow, 1);
        slow_log(r, outcome, took_us);
    }
    if (r->is_placed) {
        enum namespace_use use = r->method == METHOD_TXN ? NAMESPACE_WRITE : NAMESPACE_READ;
        metric_observe(&m->namespaces[r->place][use], took_us);
    }
}
