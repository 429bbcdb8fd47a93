#include "node/verifier.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "base/log.h"
#include "node/thread.h"

#define LEASE_US         (UINT64_C(10) * 1000000)
#define VERIFIER_NICE    15
#define GROWTH_BYTES_MAX (UINT64_C(1) << 30)

struct verifier {
    struct node *node;
    pthread_t thread;
    _Atomic uint64_t stop_at;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    bool running;
    bool stopping;
    uint64_t id;         /* 0 = there is no scan */
    uint64_t leased_us;  /* it ends then, unless somebody looks */
    uint64_t generation; /* of the scan; rises when another begins, or it ends */
    struct verifier_look look;
    struct store_scan *pinned; /* the thread has not taken it yet; NULL = none */
};

/* What the thread runs. */
struct run {
    struct verifier *v;
    struct store_scan *scan;
    uint64_t generation;
    uint64_t paced_us; /* since then `paced_bytes` were read at the rate */
    uint64_t paced_bytes;
    const char *why; /* it was stopped; NULL = nobody wants it any more */
};

/* --- with the mutex held ------------------------------------------------------------------- */

static void forget(struct verifier *v)
{
    store_scan_close(v->pinned);
    v->pinned = NULL;
    v->id = 0;
    v->generation++;
    atomic_store(&v->stop_at, 0);
    pthread_cond_signal(&v->wake);
}

static bool is_leased(const struct verifier *v)
{
    return v->id != 0 && node_now(v->node) < v->leased_us;
}

/* Takes the last commit, if it is the one that is wanted. */
static void try_to_pin(struct verifier *v)
{
    struct verifier_look *l = &v->look;
    uint64_t beyond;
    if (store_scan_open(v->node->store, &v->pinned, &l->result, &l->error) < 0) {
        l->phase = VERIFIER_FAILED;
    } else if (l->index == 0 || l->result.kept.index == l->index) {
        l->index = l->result.kept.index;
        l->phase = VERIFIER_SCANS;
        store_scan_cost(v->pinned, &l->bytes_total, &beyond);
        pthread_cond_signal(&v->wake);
    } else {
        l->phase = l->result.kept.index > l->index ? VERIFIER_PASSED : VERIFIER_WAITS;
        store_scan_close(v->pinned);
        v->pinned = NULL;
    }
    if (l->phase != VERIFIER_WAITS) {
        atomic_store(&v->stop_at, 0);
    }
}

/* --- the scan ------------------------------------------------------------------------------ */

static void wait_until(struct verifier *v, uint64_t until_us)
{
    const struct timespec at = {.tv_sec = (time_t)(until_us / 1000000),
                                .tv_nsec = (long)(until_us % 1000000) * 1000};
    (void)pthread_cond_timedwait(&v->wake, &v->mutex, &at);
}

static bool costs_too_much(const struct run *r)
{
    uint64_t live;
    uint64_t beyond;
    store_scan_cost(r->scan, &live, &beyond);
    return beyond > (live > GROWTH_BYTES_MAX ? live : GROWTH_BYTES_MAX);
}

static bool is_wanted(struct run *r)
{
    struct verifier *v = r->v;
    if (v->stopping || v->generation != r->generation) {
        return false;
    }
    if (!is_leased(v)) {
        r->why = "nobody looked at it for ten seconds";
    } else if (costs_too_much(r)) {
        r->why = "the store has grown by too much meanwhile; try it when less is written";
    }
    return r->why == NULL;
}

/* When what was read is no more than the rate allows. */
static uint64_t due_us(struct run *r, uint64_t bytes)
{
    uint64_t rate = config_now(r->v->node->config->catch_up_rate_bytes);
    if (rate == 0) {
        return 0;
    }
    return r->paced_us + (uint64_t)((double)(bytes - r->paced_bytes) * 1e6 / (double)rate);
}

static bool on_progress(const struct store_scan_result *result, void *arg)
{
    struct run *r = arg;
    struct verifier *v = r->v;
    pthread_mutex_lock(&v->mutex);
    bool goes_on = is_wanted(r);
    if (goes_on) {
        v->look.result = *result;
    }
    uint64_t due = due_us(r, result->bytes);
    while (goes_on && node_now(v->node) < due) {
        wait_until(v, due);
        goes_on = is_wanted(r);
    }
    pthread_mutex_unlock(&v->mutex);
    r->paced_us = node_now(v->node);
    r->paced_bytes = result->bytes;
    return goes_on;
}

static void tell(struct node *n, const struct store_scan_result *result)
{
    metric_add(&n->metrics.store_damage, store_scan_is_sound(result) ? 0 : 1);
    if (result->bad_rows > 0) {
        log_error("a scan of the store found damaged rows (runbook: damaged node)",
                  LOG_U64("rows", result->bad_rows), LOG_STR("first", result->bad.message));
    } else if (!store_scan_is_sound(result)) {
        log_error("a scan of the store found that its rows do not add up to its digest (runbook: "
                  "damaged node)",
                  LOG_U64("index", result->kept.index));
    } else {
        log_info("the store was scanned and is sound", LOG_U64("index", result->kept.index),
                 LOG_U64("rows", result->rows), LOG_U64("bytes", result->bytes));
    }
}

static void scan(struct run *r)
{
    struct verifier *v = r->v;
    struct store_scan_result result;
    struct error error = {.code = 0};
    r->paced_us = node_now(v->node);
    int rc = store_scan_run(r->scan, on_progress, r, &result, &error);
    store_scan_close(r->scan);
    if (rc == 0) {
        tell(v->node, &result);
    } else if (r->why != NULL) {
        (void)error_set(&error, rc, NULL, "the scan was stopped: %s", r->why);
    }
    pthread_mutex_lock(&v->mutex);
    if (v->generation == r->generation) {
        v->look.phase = rc == 0 ? VERIFIER_DONE : VERIFIER_FAILED;
        v->look.result = result;
        v->look.error = error;
    }
    pthread_mutex_unlock(&v->mutex);
}

static void run(void *arg)
{
    struct verifier *v = arg;
    (void)setpriority(PRIO_PROCESS, 0, VERIFIER_NICE); /* of this thread */
    pthread_mutex_lock(&v->mutex);
    while (!v->stopping) {
        struct run r = {.v = v, .scan = v->pinned, .generation = v->generation};
        v->pinned = NULL;
        if (r.scan == NULL) {
            pthread_cond_wait(&v->wake, &v->mutex);
            continue;
        }
        pthread_mutex_unlock(&v->mutex);
        scan(&r);
        pthread_mutex_lock(&v->mutex);
    }
    pthread_mutex_unlock(&v->mutex);
}

/* --- what is asked ------------------------------------------------------------------------- */

int verifier_pin(
    struct verifier *v, uint64_t id, uint64_t index, struct verifier_look *ret, struct error *error)
{
    int rc = 0;
    pthread_mutex_lock(&v->mutex);
    if (v->id != id && is_leased(v)) {
        rc = error_set(error, CLADE_ERR_THROTTLED, NULL,
                       "the store of this node is being scanned for another; ask later");
    } else if (v->id != id || index == 0 || v->look.index != index) {
        forget(v);
        v->id = id;
        v->look = (struct verifier_look){.index = index};
        atomic_store(&v->stop_at, index); /* before the look: apply may be on its way there */
        try_to_pin(v);
    }
    if (rc == 0) {
        v->leased_us = node_now(v->node) + LEASE_US;
        *ret = v->look;
    }
    pthread_mutex_unlock(&v->mutex);
    return rc;
}

int verifier_look(struct verifier *v, uint64_t id, struct verifier_look *ret, struct error *error)
{
    int rc = 0;
    pthread_mutex_lock(&v->mutex);
    if (v->id != id) {
        rc = error_set(error, CLADE_ERR_NOT_FOUND, "id", "this node has no such scan: begin anew");
    } else {
        v->leased_us = node_now(v->node) + LEASE_US;
        *ret = v->look;
    }
    pthread_mutex_unlock(&v->mutex);
    return rc;
}

void verifier_close(struct verifier *v, uint64_t id)
{
    pthread_mutex_lock(&v->mutex);
    if (v->id == id) {
        forget(v);
    }
    pthread_mutex_unlock(&v->mutex);
}

uint64_t verifier_index(struct verifier *v)
{
    return atomic_load(&v->stop_at);
}

void verifier_published(struct verifier *v, uint64_t index)
{
    if (atomic_load(&v->stop_at) == 0) {
        return;
    }
    pthread_mutex_lock(&v->mutex);
    if (v->id != 0 && !is_leased(v)) {
        forget(v);
    } else if (v->id != 0 && v->look.phase == VERIFIER_WAITS && index >= v->look.index) {
        try_to_pin(v);
    }
    pthread_mutex_unlock(&v->mutex);
}

/* --- life ---------------------------------------------------------------------------------- */

int verifier_new(struct node *n, struct verifier **ret, struct error *error)
{
    struct verifier *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    pthread_condattr_t attributes;
    v->node = n;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&v->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&v->mutex, NULL);
    *ret = v;
    return 0;
}

int verifier_start(struct verifier *v, struct error *error)
{
    v->running = true;
    if (thread_start(&v->thread, "verify", run, v) < 0) {
        v->running = false;
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
    }
    return 0;
}

void verifier_stop(struct verifier *v)
{
    if (v == NULL || !v->running) {
        return;
    }
    pthread_mutex_lock(&v->mutex);
    v->stopping = true;
    forget(v);
    pthread_mutex_unlock(&v->mutex);
    pthread_join(v->thread, NULL);
    v->running = false;
}

void verifier_free(struct verifier *v)
{
    if (v == NULL) {
        return;
    }
    store_scan_close(v->pinned);
    pthread_cond_destroy(&v->wake);
    pthread_mutex_destroy(&v->mutex);
    free(v);
}
