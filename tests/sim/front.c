#include "tests/sim/front.h"

#include <stdlib.h>

#include "base/check.h"
#include "tests/sim/world.h"

#define ANSWER_BYTES_MAX (64u << 10)
#define VISITS_MAX       1000

/* A client's write that a node has accepted. */
struct sim_call {
    struct sim_call *next;
    struct proposal *proposal;
    front_done_cb on_done;
    void *arg;
    uint64_t tag;
};

enum read_state {
    READ_ASKS,     /* for a read index */
    READ_INDEX,    /* waits until `index` is published */
    READ_REVISION, /* waits until `query->at_least` is published */
    READ_NOW
};

struct sim_read {
    struct sim_read *next;
    const struct query *query;
    enum read_state state;
    uint64_t ticket;
    uint64_t asked_us;
    uint64_t index;
    front_read_cb on_done;
    void *arg;
    uint64_t tag;
};

/* A result of the batch that runs; told when the batch may be. */
struct sim_result {
    struct sim_result *next;
    struct apply_result result;
    uint8_t body[];
};

/* --- writes --- */

/* Ends the call; false when there is none of that number. */
static bool finish_call(struct sim_node *n, uint64_t counter, const struct apply_result *r)
{
    for (struct sim_call **at = &n->calls; *at != NULL; at = &(*at)->next) {
        struct sim_call *c = *at;
        if (c->proposal->id.counter == counter) {
            *at = c->next;
            (void)proposal_move(c->proposal, PROPOSAL_PROPOSED, PROPOSAL_ANSWERED);
            if (r != NULL) {
                world_trace(n->world, (uint64_t)-r->code, r->revision);
            }
            c->on_done(c->arg, c->tag, r);
            proposal_unref(c->proposal);
            free(c);
            return true;
        }
    }
    return false;
}

static bool is_heard(const struct sim_node *n)
{
    return !n->stops && !n->log.failed;
}

void front_on_refused(void *arg, struct proposal *p, const struct error *e)
{
    struct sim_node *n = arg;
    if (is_heard(n)) {
        (void)finish_call(n, p->id.counter, NULL);
    }
}

void front_on_result(void *arg, const struct apply_result *result)
{
    struct sim_node *n = arg;
    if (result->id.node != n->id || result->id.boot != n->boot) {
        return;
    }
    struct sim_result *r = malloc(sizeof *r + result->body.len);
    CHECK(r != NULL);
    r->result = *result;
    if (result->body.len > 0) {
        memcpy(r->body, result->body.data, result->body.len);
    }
    r->result.body.data = r->body;
    r->next = n->results;
    n->results = r;
}

static struct sim_result *take_results(struct sim_node *n)
{
    struct sim_result *first = NULL;
    while (n->results != NULL) { /* in the order in which they came */
        struct sim_result *r = n->results;
        n->results = r->next;
        r->next = first;
        first = r;
    }
    return first;
}

/* Before the commit: a client may come with its next request before the store has the last one. */
void front_on_answered(void *arg)
{
    struct sim_node *n = arg;
    for (struct sim_result *r = take_results(n); r != NULL;) {
        struct sim_result *next = r->next;
        (void)finish_call(n, r->result.id.counter, &r->result);
        free(r);
        r = next;
    }
}

void front_on_aborted(void *arg)
{
    for (struct sim_result *r = take_results(arg); r != NULL;) {
        struct sim_result *next = r->next;
        free(r);
        r = next;
    }
}

void front_write(struct sim_node *n,
                 struct item *item,
                 bool repeatable,
                 uint64_t timeout_us,
                 front_done_cb on_done,
                 void *arg,
                 uint64_t tag)
{
    struct sim_call *c = calloc(1, sizeof *c);
    CHECK(c != NULL && n->up);
    item->id = (struct proposal_id){.node = n->id, .boot = n->boot, .counter = ++n->counter};
    c->proposal = proposal_new(item, repeatable, n->world->now_us + timeout_us);
    CHECK(c->proposal != NULL);
    c->on_done = on_done;
    c->arg = arg;
    c->tag = tag;
    c->next = n->calls;
    n->calls = c;
    group_propose(n->group, c->proposal);
    node_plan(n);
}

/* --- reads --- */

static void take_content(const struct value *thing, struct front_answer *a)
{
    a->found = value_get(thing, "error") == NULL && value_get(thing, "id") != NULL;
    a->changed = value_uint(value_get(value_get(thing, "changed"), "revision"));
    a->content = value_string(value_get(value_get(thing, "tags"), "v"));
}

static void run_read(struct sim_node *n, struct sim_read *r)
{
    const struct reader_budget budget = {.clock = &n->clock,
                                         .deadline_us = UINT64_MAX,
                                         .bytes_max = ANSWER_BYTES_MAX,
                                         .visits_max = VISITS_MAX};
    struct world *w = n->world;
    struct reader_answer got;
    struct error e = {0};
    struct front_answer a = {0};
    const struct value *data = NULL;
    arena_reset(&w->arena);
    buffer_clear(&w->scratch);
    int rc = reader_query(n->reader, r->query, (struct span){0}, &budget, &w->arena, &w->scratch,
                          &got, &e);
    rc = rc != 0
             ? rc
             : value_decode(buffer_span(&w->scratch), &value_limits_answer, &w->arena, &data, &e);
    if (rc != 0) {
        world_fail(w, "node %llu cannot read: %s", (unsigned long long)n->id, e.message);
        return;
    }
    a.revision = got.revision;
    take_content(value_at(data, 0), &a);
    world_trace(w, a.revision, a.changed);
    r->on_done(r->arg, r->tag, &a);
}

static bool is_ready(const struct sim_node *n,
                     const struct sim_read *r,
                     const struct store_position *p)
{
    switch (r->state) {
    case READ_ASKS:
        return false;
    case READ_INDEX:
        return r->index <= p->applied;
    case READ_REVISION:
        return r->query->at_least <= p->revision;
    case READ_NOW:
        break;
    }
    return true;
}

bool front_waits(const struct sim_node *n)
{
    if (n->reads == NULL) {
        return false;
    }
    struct store_position p = store_position(n->store);
    for (const struct sim_read *r = n->reads; r != NULL; r = r->next) {
        if (is_ready(n, r, &p)) {
            return true;
        }
    }
    return false;
}

void front_answer_reads(struct sim_node *n)
{
    struct store_position p = store_position(n->store);
    for (struct sim_read **at = &n->reads; *at != NULL;) {
        struct sim_read *r = *at;
        if (!is_ready(n, r, &p)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        if (r->state == READ_INDEX && r->asked_us > n->confirmed_us) {
            n->confirmed_us = r->asked_us;
        }
        run_read(n, r);
        free(r);
        at = &n->reads; /* a client may have asked for more */
        p = store_position(n->store);
    }
}

void front_on_read_index(void *arg, uint64_t ticket, int code, uint64_t index)
{
    struct sim_node *n = arg;
    for (struct sim_read **at = &n->reads; *at != NULL; at = &(*at)->next) {
        struct sim_read *r = *at;
        if (r->ticket != ticket) {
            continue;
        }
        if (code == 0) {
            r->state = READ_INDEX;
            r->index = index;
            n->apply_us = n->world->now_us;
            return;
        }
        *at = r->next;
        if (is_heard(n)) {
            r->on_done(r->arg, r->tag, &(struct front_answer){.code = code});
        }
        free(r);
        return;
    }
}

/* As node/reads.c decides. */
static enum read_state first_state(const struct sim_node *n, const struct query *q)
{
    uint64_t age_us = n->world->now_us - n->confirmed_us;
    switch (q->consistency) {
    case CLADE_LOCAL:
        return READ_NOW;
    case CLADE_AT_LEAST:
        return READ_REVISION;
    case CLADE_STALE:
        return n->confirmed_us != 0 && age_us / 1000 < q->stale_ms ? READ_NOW : READ_ASKS;
    case CLADE_LINEARIZABLE:
        break;
    }
    return READ_ASKS;
}

void front_read(struct sim_node *n,
                const struct query *query,
                uint64_t timeout_us,
                front_read_cb on_done,
                void *arg,
                uint64_t tag)
{
    struct sim_read *r = calloc(1, sizeof *r);
    CHECK(r != NULL && n->up);
    *r = (struct sim_read){.query = query,
                           .state = first_state(n, query),
                           .ticket = ++n->counter,
                           .asked_us = n->world->now_us,
                           .on_done = on_done,
                           .arg = arg,
                           .tag = tag};
    struct store_position p = store_position(n->store);
    if (is_ready(n, r, &p)) {
        run_read(n, r);
        free(r);
        return;
    }
    r->next = n->reads;
    n->reads = r;
    if (r->state == READ_ASKS) {
        group_read_index(n->group, r->ticket, n->world->now_us + timeout_us);
    }
    node_plan(n);
}

void front_forget(struct sim_node *n)
{
    while (n->calls != NULL) {
        struct sim_call *c = n->calls;
        n->calls = c->next;
        proposal_unref(c->proposal);
        free(c);
    }
    while (n->reads != NULL) {
        struct sim_read *r = n->reads;
        n->reads = r->next;
        free(r);
    }
    front_on_aborted(n);
}
