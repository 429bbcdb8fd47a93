/* Requests: pool, deadlines, and the table of those that wait for an answer with a key. */
#include <stdlib.h>

#include "node/serve_internal.h"
#include "node/workers.h"

/* --- the pool --- */

struct request *request_new(struct connection *c)
{
    struct serve *s = c->serve;
    struct list *n = list_pop_front(&s->pool);
    struct request *r;
    if (n != NULL) {
        r = LIST_ENTRY(n, struct request, node);
        s->pool_len--;
    } else {
        r = calloc(1, sizeof *r);
        if (r == NULL) {
            return NULL;
        }
        arena_init(&r->arena, REQUEST_ARENA_BYTES_MAX);
    }
    r->state = REQUEST_NEW;
    r->method = METHOD_COUNT;
    r->conn = c;
    list_push_back(&c->requests, &r->conn_node);
    c->in_flight++;
    metric_add(&s->metrics.in_flight, 1);
    return r;
}

void request_free(struct request *r)
{
    struct connection *c = r->conn;
    struct serve *s = c->serve;
    wheel_remove(&s->wheel, &r->timer);
    list_remove(&r->conn_node);
    c->in_flight--;
    metric_add(&s->metrics.in_flight, (uint64_t)-1);
    c->in_flight_bytes -= r->charged;
    node_discharge(s->node, r->charged);
    if (r->result != NULL) {
        buffer_release(&r->result->data);
    }
    if (r->proposal != NULL) {
        proposal_unref(r->proposal);
    }
    member_change_free(r->change);
    if (s->pool_len >= REQUESTS_POOLED_MAX) {
        arena_release(&r->arena);
        free(r);
        return;
    }
    arena_reset(&r->arena);
    r->started_us = 0;
    r->ready_us = 0;
    r->is_placed = false;
    r->charged = 0;
    r->result = NULL;
    r->proposal = NULL;
    r->change = NULL;
    r->backup = NULL;
    r->tried = (struct span){0};
    list_push_back(&s->pool, &r->node);
    s->pool_len++;
}

/* --- deadlines --- */

void request_set_deadline(struct request *r, uint64_t deadline_ms)
{
    struct serve *s = r->conn->serve;
    if (deadline_ms == 0) {
        deadline_ms = REQUEST_DEADLINE_MS;
    } else if (deadline_ms > REQUEST_DEADLINE_MS_MAX) {
        deadline_ms = REQUEST_DEADLINE_MS_MAX;
    }
    r->started_us = node_now(s->node);
    r->deadline_us = r->started_us + deadline_ms * 1000;
}

static void expire_write(struct request *r, bool cancelled)
{
    if (!write_withdraw(r)) {
        request_fail_code(r, CLADE_ERR_UNKNOWN,
                          "the outcome is not known in time; it may still happen");
    } else if (cancelled) {
        request_fail_code(r, CLADE_ERR_CANCELLED, "cancelled before it was proposed");
    } else {
        request_fail_code(r, CLADE_ERR_UNAVAILABLE,
                          "no leader took the write in time; nothing happened");
    }
}

static void expire_read(struct request *r, bool cancelled)
{
    if (cancelled) {
        request_fail_code(r, CLADE_ERR_CANCELLED, "cancelled");
    } else {
        request_fail_code(r, CLADE_ERR_UNAVAILABLE,
                          "the consistency asked for could not be had in time");
    }
}

void request_expire(struct request *r, bool cancelled)
{
    struct serve *s = r->conn->serve;
    switch (r->state) {
    case REQUEST_NEW:
        return;
    case REQUEST_WRITE:
        table_remove(s, r);
        expire_write(r, cancelled);
        return;
    case REQUEST_READ_FRESH:
    case REQUEST_READ_ASKED:
    case REQUEST_READ_WAITS:
        list_remove(&r->node);
        expire_read(r, cancelled);
        return;
    case REQUEST_QUERY:
        /* One that runs minds its deadline itself, and answers what it has. */
        if (workers_cancel(s->node->workers, r, cancelled)) {
            r->conn->queries--;
            s->queries_out--;
            expire_read(r, cancelled);
        }
        return;
    case REQUEST_EVENTS:
        watch_cancel(r);
        return;
    case REQUEST_WATCHING:
        list_remove(&r->node);
        member_change_expire(r, cancelled);
        return;
    case REQUEST_TRIED:
        table_remove(s, r);
        request_fail_code(r, cancelled ? CLADE_ERR_CANCELLED : CLADE_ERR_UNAVAILABLE,
                          cancelled ? "cancelled" : "it could not be tried in time");
        return;
    case REQUEST_ASKING:
        table_remove(s, r);
        if (r->change != NULL) {
            member_change_expire(r, cancelled);
            return;
        }
        request_fail_code(r, cancelled ? CLADE_ERR_CANCELLED : CLADE_ERR_UNAVAILABLE,
                          cancelled ? "cancelled" : "no answer in time");
        return;
    }
}

/* --- the table --- */

static size_t slot_of(const struct serve *s, uint64_t key)
{
    return (size_t)key & (s->table_size - 1); /* keys are consecutive */
}

static bool grow(struct serve *s)
{
    size_t size = s->table_size == 0 ? 256 : s->table_size * 2;
    struct request **old = s->table;
    size_t old_size = s->table_size;
    struct request **table = calloc(size, sizeof(struct request *));
    if (table == NULL) {
        return false;
    }
    s->table = table;
    s->table_size = size;
    for (size_t i = 0; i < old_size; i++) {
        for (struct request *r = old[i], *next; r != NULL; r = next) {
            next = r->hash_next;
            r->hash_next = table[slot_of(s, r->key)];
            table[slot_of(s, r->key)] = r;
        }
    }
    free(old);
    return true;
}

bool table_add(struct serve *s, struct request *r)
{
    if (s->table_len == s->table_size && !grow(s)) {
        return false;
    }
    r->key = node_number(s->index, ++s->next_key);
    r->hash_next = s->table[slot_of(s, r->key)];
    s->table[slot_of(s, r->key)] = r;
    s->table_len++;
    return true;
}

struct request *table_find(struct serve *s, uint64_t key)
{
    struct request *r = s->table_size == 0 ? NULL : s->table[slot_of(s, key)];
    while (r != NULL && r->key != key) {
        r = r->hash_next;
    }
    return r;
}

void table_remove(struct serve *s, struct request *r)
{
    struct request **at = &s->table[slot_of(s, r->key)];
    while (*at != r) {
        at = &(*at)->hash_next;
    }
    *at = r->hash_next;
    s->table_len--;
}
