/* The life of a read on its serving thread: decoded, held until its consistency can be had, run
 * here when it is light and by a query worker otherwise. */
#include <stdlib.h>

#include "base/check.h"
#include "node/raft_thread.h"
#include "node/serve_internal.h"
#include "node/workers.h"

#define TICKET_TIMEOUT_US  (UINT64_C(1) * 1000000)
#define TICKET_RETRY_US    (UINT64_C(50) * 1000)
#define SCRATCH_KEPT_BYTES (256U << 10)
#define DATA_BYTES_MAX     (CLADE_MAX_ANSWER_BYTES - ANSWER_SLACK_BYTES / 2)

/* --- running --- */

static void answer(struct request *r,
                   int code,
                   const struct reader_answer *a,
                   struct span data,
                   const struct error *e)
{
    if (code < 0) {
        request_fail(r, e);
        return;
    }
    struct answer_head head = head_make(r->conn->serve, a->revision);
    head.has_complete = true;
    head.complete = a->complete;
    head.cursor = a->cursor;
    head.has_read = a->has_read;
    head.read = a->read;
    head.compacted = a->compacted;
    request_answer(r, &head, data);
}

static void run_here(struct request *r)
{
    struct serve *s = r->conn->serve;
    const struct reader_budget budget = {.clock = s->node->clock,
                                         .deadline_us = r->deadline_us,
                                         .bytes_max = CLADE_MAX_ANSWER_BYTES - ANSWER_SLACK_BYTES,
                                         .visits_max = QUERY_VISITS_MAX};
    struct reader_answer a;
    struct error e = {.code = 0};
    buffer_clear(&s->scratch);
    int code =
        reader_query(s->reader, &r->query, r->conn->ns, &budget, &r->arena, &s->scratch, &a, &e);
    if (code == 0 && s->scratch.failed) {
        code = error_set(&e, CLADE_ERR_LIMIT, NULL, "the answer is too long");
    }
    answer(r, code, &a, buffer_span(&s->scratch), &e);
    if (s->scratch.capacity > SCRATCH_KEPT_BYTES) {
        buffer_release(&s->scratch);
        buffer_init(&s->scratch, DATA_BYTES_MAX);
    }
}

/* How long it may run on until its request is slow. */
static uint64_t left_until_slow(const struct request *r, uint64_t now_us)
{
    uint64_t slow_us = slow_request_us(r->conn->serve->node);
    uint64_t passed_us = now_us - r->started_us;
    return slow_us > passed_us ? slow_us - passed_us : 0;
}

static bool run_job(struct job *job, struct reader *reader, const struct reader_slice *slice)
{
    struct request *r = LIST_ENTRY(job, struct request, job);
    struct query_result *q = r->result;
    uint64_t begin_us = node_now(r->conn->serve->node);
    const struct reader_budget budget = {.clock = r->conn->serve->node->clock,
                                         .deadline_us = r->deadline_us,
                                         .slice = slice,
                                         .bytes_max = CLADE_MAX_ANSWER_BYTES - ANSWER_SLACK_BYTES,
                                         .visits_max = QUERY_VISITS_MAX,
                                         .cancelled = &q->cancelled,
                                         .effort = &q->effort,
                                         .plan_after_us = left_until_slow(r, begin_us)};
    q->code = reader_query(reader, &r->query, r->conn->ns, &budget, &r->arena, &q->data, &q->answer,
                           &q->error);
    q->worked_us += node_now(r->conn->serve->node) - begin_us;
    return q->code != 1;
}

static void job_done(struct job *job)
{
    struct request *r = LIST_ENTRY(job, struct request, job);
    serve_query_done(r->conn->serve, r); /* the connection may be gone after */
}

static void run_in_worker(struct request *r)
{
    struct serve *s = r->conn->serve;
    r->result = arena_calloc(&r->arena, 1, sizeof *r->result);
    if (r->result == NULL) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    buffer_init(&r->result->data, DATA_BYTES_MAX);
    r->state = REQUEST_QUERY;
    r->conn->queries++;
    s->queries_out++;
    if (!list_is_linked(&r->timer.node)) {
        wheel_add(&s->wheel, &r->timer, r->deadline_us);
    }
    r->job = (struct job){
        .lane = &r->conn->lane, .sort = (uint8_t)r->query.kind, .run = run_job, .done = job_done};
    if (!workers_submit(s->node->workers, &r->job)) {
        r->conn->queries--;
        s->queries_out--;
        r->state = REQUEST_NEW;
        request_fail_code(r, CLADE_ERR_THROTTLED, "too many long queries wait; try again later");
    }
}

static void run(struct request *r)
{
    r->state = REQUEST_NEW;
    r->ready_us = node_now(r->conn->serve->node);
    if (r->method == METHOD_TXN) {
        write_try(r);
    } else if (r->method == METHOD_BACKUP) {
        backup_run(r);
    } else if (query_is_light(&r->query)) {
        run_here(r);
    } else {
        run_in_worker(r);
    }
}

void read_finish(struct request *r)
{
    struct query_result *q = r->result;
    r->state = REQUEST_NEW;
    if (q->cancelled) {
        request_fail_code(r, CLADE_ERR_CANCELLED, "cancelled");
    } else if (q->code == 0 && q->data.failed) {
        request_fail_code(r, CLADE_ERR_LIMIT, "the answer is too long");
    } else {
        answer(r, q->code, &q->answer, buffer_span(&q->data), &q->error);
    }
}

/* --- waiting --- */

static void hold(struct request *r, enum request_state state, struct list *where)
{
    struct serve *s = r->conn->serve;
    r->state = state;
    list_push_back(where, &r->node);
    if (!list_is_linked(&r->timer.node)) {
        wheel_add(&s->wheel, &r->timer, r->deadline_us);
    }
}

void read_fresh(struct request *r)
{
    hold(r, REQUEST_READ_FRESH, &r->conn->serve->fresh);
}

static void wait_for_revision(struct request *r)
{
    struct serve *s = r->conn->serve;
    if (atomic_load(&s->node->published_revision) >= r->query.at_least) {
        run(r);
        return;
    }
    hold(r, REQUEST_READ_WAITS, &s->waiting);
    reads_published(s); /* it may have been published since */
}

static bool is_fresh_enough(const struct serve *s, uint64_t stale_ms)
{
    uint64_t age_us = node_now(s->node) - s->confirmed_us;
    return s->confirmed_us != 0 && age_us / 1000 < stale_ms;
}

void read_begin(struct request *r)
{
    struct serve *s = r->conn->serve;
    switch (r->query.consistency) {
    case CLADE_LOCAL:
        run(r);
        return;
    case CLADE_AT_LEAST:
        wait_for_revision(r);
        return;
    case CLADE_STALE:
        if (is_fresh_enough(s, r->query.stale_ms)) {
            run(r);
            return;
        }
        break;
    case CLADE_LINEARIZABLE:
        break;
    }
    read_fresh(r);
}

static enum query_kind kind_of(enum method method)
{
    switch (method) {
    case METHOD_GET:
        return QUERY_GET;
    case METHOD_LIST:
        return QUERY_LIST;
    case METHOD_LINEAGE:
        return QUERY_LINEAGE;
    case METHOD_PATHS:
        return QUERY_PATHS;
    case METHOD_IMPACT:
        return QUERY_IMPACT;
    case METHOD_PROVENANCE:
        return QUERY_PROVENANCE;
    case METHOD_DIFF:
        return QUERY_DIFF;
    case METHOD_HISTORY:
        return QUERY_HISTORY;
    case METHOD_METRICS:
        return QUERY_METRICS;
    case METHOD_AUDIT:
        return QUERY_AUDIT;
    case METHOD_SEARCH:
        return QUERY_SEARCH;
    case METHOD_COUNT_THINGS:
        return QUERY_COUNT;
    case METHOD_EXPLAIN:
        return QUERY_EXPLAIN;
    default:
        CHECK(method == METHOD_DESCRIBE);
        return QUERY_DESCRIBE;
    }
}

void read_query(struct request *r, const struct value *params)
{
    struct error e = {.code = 0};
    if (query_decode(kind_of(r->method), params, &r->arena, &r->query, &e) < 0) {
        request_fail(r, &e);
        return;
    }
    request_in_namespace(r, r->query.ns);
    read_begin(r);
}

/* --- tickets --- */

static void run_ticket(struct serve *s, struct ticket *t)
{
    if (t->asked_us > s->confirmed_us) {
        s->confirmed_us = t->asked_us;
    }
    for (struct list *n; (n = list_pop_front(&t->requests)) != NULL;) {
        run(LIST_ENTRY(n, struct request, node));
    }
    free(t);
}

static void look_at_indexed(struct serve *s, uint64_t index)
{
    LIST_FOREACH(n, &s->indexed)
    {
        struct ticket *t = LIST_ENTRY(n, struct ticket, node);
        if (t->index <= index) {
            list_remove(n);
            run_ticket(s, t);
        }
    }
}

/* Running a light read never closes its connection, so the next node of the list stays. */
static void look_at_waiting(struct serve *s, uint64_t revision)
{
    LIST_FOREACH(n, &s->waiting)
    {
        struct request *r = LIST_ENTRY(n, struct request, node);
        if (r->query.at_least <= revision) {
            list_remove(n);
            run(r);
        }
    }
}

void reads_published(struct serve *s)
{
    uint64_t index;
    do {
        index = atomic_load(&s->node->published_index);
        look_at_indexed(s, index);
        look_at_waiting(s, atomic_load(&s->node->published_revision));
        if (list_is_empty(&s->indexed) && list_is_empty(&s->waiting)) {
            return;
        }
        atomic_store(&s->wants_wake, true);
        /* Published between the look and the wish: nobody would wake us. */
    } while (atomic_load(&s->node->published_index) != index);
}

void reads_ask(struct serve *s)
{
    uint64_t now = node_now(s->node);
    if (list_is_empty(&s->fresh) || s->tickets_len >= TICKETS_MAX || now < s->retry_us) {
        return;
    }
    struct ticket *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return; /* asked again in the next turn, or the reads' deadlines pass */
    }
    t->id = node_number(s->index, ++s->next_ticket);
    t->asked_us = now;
    list_init(&t->requests);
    list_splice_back(&t->requests, &s->fresh);
    LIST_FOREACH(n, &t->requests)
    {
        LIST_ENTRY(n, struct request, node)->state = REQUEST_READ_ASKED;
    }
    list_push_back(&s->tickets, &t->node);
    s->tickets_len++;
    if (!raft_thread_read_index(s->node->raft, t->id, now + TICKET_TIMEOUT_US)) {
        reads_index(s, t->id, CLADE_ERR_UNAVAILABLE, 0);
    }
}

/* No quorum, or no leader: its reads ask again until their deadlines. */
static void ask_again(struct serve *s, struct ticket *t)
{
    LIST_FOREACH(n, &t->requests)
    {
        LIST_ENTRY(n, struct request, node)->state = REQUEST_READ_FRESH;
    }
    list_splice_back(&t->requests, &s->fresh);
    list_splice_back(&s->fresh, &t->requests);
    s->retry_us = node_now(s->node) + TICKET_RETRY_US;
    free(t);
}

void reads_index(struct serve *s, uint64_t ticket, int code, uint64_t index)
{
    LIST_FOREACH(n, &s->tickets)
    {
        struct ticket *t = LIST_ENTRY(n, struct ticket, node);
        if (t->id != ticket) {
            continue;
        }
        list_remove(n);
        s->tickets_len--;
        if (code != 0) {
            ask_again(s, t);
            return;
        }
        t->index = index;
        list_push_back(&s->indexed, &t->node);
        reads_published(s);
        return;
    }
}

static void free_tickets(struct list *l)
{
    for (struct list *n; (n = list_pop_front(l)) != NULL;) {
        struct ticket *t = LIST_ENTRY(n, struct ticket, node);
        CHECK(list_is_empty(&t->requests));
        free(t);
    }
}

void reads_release(struct serve *s)
{
    free_tickets(&s->tickets);
    free_tickets(&s->indexed);
}
