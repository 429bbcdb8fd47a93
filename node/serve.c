/* The loop of a serving thread.
 *
 * A turn: bytes come in and frames are handled (connection.c, dispatch.c); letters come from the
 * raft loop, the apply thread and the query workers; then, in `check`, what was answered is
 * written, one write a connection, and the linearizable reads that gathered ask for one read
 * index together. */
#include <stdlib.h>

#include "base/check.h"
#include "node/raft_thread.h"
#include "node/serve_internal.h"
#include "node/thread.h"
#include "node/workers.h"

#define HOUSEKEEPING_MS 1000
#define DATA_BYTES_MAX  (CLADE_MAX_ANSWER_BYTES - ANSWER_SLACK_BYTES / 2)

/* --- the turn's end --- */

static void flush_all(struct serve *s)
{
    for (struct list *n; (n = list_pop_front(&s->dirty)) != NULL;) {
        connection_flush(LIST_ENTRY(n, struct connection, dirty_node));
    }
}

static void update_wheel_timer(struct serve *s);
static void update_watch_timer(struct serve *s);

static void end_of_turn(struct serve *s)
{
    if (s->stopped) {
        return;
    }
    flush_all(s);
    reads_ask(s);
    update_wheel_timer(s);
    update_watch_timer(s);
}

static void on_prepare(uv_prepare_t *prepare)
{
    end_of_turn(prepare->data);
}

static void on_check(uv_check_t *check)
{
    end_of_turn(check->data);
}

/* --- deadlines --- */

static void on_wheel(uv_timer_t *timer)
{
    struct serve *s = timer->data;
    struct list due;
    list_init(&due);
    wheel_advance(&s->wheel, node_now(s->node), &due);
    for (struct list *n; (n = list_pop_front(&due)) != NULL;) {
        struct wheel_timer *t = LIST_ENTRY(n, struct wheel_timer, node);
        request_expire(LIST_ENTRY(t, struct request, timer), false);
    }
}

/* It ticks only while something has a deadline: an idle node sleeps. */
static void update_wheel_timer(struct serve *s)
{
    bool active = uv_is_active((uv_handle_t *)&s->wheel_timer) != 0;
    if (s->wheel.len > 0 && !active) {
        (void)uv_timer_start(&s->wheel_timer, on_wheel, WHEEL_SLOT_MS, WHEEL_SLOT_MS);
    } else if (s->wheel.len == 0 && active) {
        (void)uv_timer_stop(&s->wheel_timer);
    }
}

/* --- ending --- */

static void close_handles(struct serve *s)
{
    s->stopped = true;
    atomic_store(&s->wants_wake, false);
    accept_stop(s);
    reads_release(s);
    mailbox_close(&s->mail);
    uv_handle_t *handles[] = {(uv_handle_t *)&s->wake,         (uv_handle_t *)&s->prepare,
                              (uv_handle_t *)&s->check,        (uv_handle_t *)&s->wheel_timer,
                              (uv_handle_t *)&s->housekeeping, (uv_handle_t *)&s->watch,
                              (uv_handle_t *)&s->watch_pause};
    for (unsigned i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        uv_close(handles[i], NULL);
    }
}

static void drain_on(struct serve *s)
{
    bool late = node_now(s->node) >= s->drain_until_us;
    LIST_FOREACH(n, &s->connections)
    {
        struct connection *c = LIST_ENTRY(n, struct connection, node);
        if (late) {
            connection_close(c);
        } else {
            connection_touch(c); /* closes itself when nothing is in flight */
        }
    }
}

static void on_housekeeping(uv_timer_t *timer)
{
    struct serve *s = timer->data;
    uint64_t now = node_now(s->node);
    atomic_store(&s->beat_us, now);
    if (s->draining) {
        drain_on(s);
        if (list_is_empty(&s->connections) && s->queries_out == 0) {
            close_handles(s);
        }
        return;
    }
    accept_go_on(s);
    uint64_t members = members_version(&s->node->members);
    LIST_FOREACH(n, &s->connections)
    {
        connection_check(LIST_ENTRY(n, struct connection, node), now, members);
    }
    watches_look(s);
}

#define WATCH_MS 100

static void on_watch(uv_timer_t *timer)
{
    struct serve *s = timer->data;
    member_changes_look(s);
}

static void update_watch_timer(struct serve *s)
{
    bool active = uv_is_active((uv_handle_t *)&s->watch) != 0;
    if (!list_is_empty(&s->watching) && !active) {
        (void)uv_timer_start(&s->watch, on_watch, WATCH_MS, 0);
    }
}

/* --- letters --- */

static void on_wake(uv_async_t *async)
{
    reads_published(async->data);
    watches_published(async->data);
}

void serve_published(struct serve *s)
{
    if (atomic_exchange(&s->wants_wake, false)) {
        (void)uv_async_send(&s->wake);
    }
}

static void deliver_answers(struct mail *mail, void *owner)
{
    struct answers *a = LIST_ENTRY(mail, struct answers, mail);
    struct span rest = buffer_span(&a->bytes);
    struct answer_record record;
    struct span body;
    while (answers_next(&rest, &record, &body)) {
        write_answered(owner, &record, body);
    }
    answers_free(a);
}

void serve_answered(struct serve *s, struct answers *answers)
{
    answers->mail.deliver = deliver_answers;
    if (!mailbox_post(&s->mail, &answers->mail.node)) {
        answers_free(answers);
    }
}

const struct request_metrics *serve_metrics(const struct serve *s)
{
    return &s->metrics;
}

const _Atomic uint64_t *serve_beat_us(const struct serve *s)
{
    return &s->beat_us;
}

struct refusal_mail {
    struct mail mail;
    uint64_t key;
    struct error error;
};

static void deliver_refusal(struct mail *mail, void *owner)
{
    struct refusal_mail *m = LIST_ENTRY(mail, struct refusal_mail, mail);
    struct request *r = table_find(owner, m->key);
    if (r != NULL && r->state == REQUEST_WRITE) {
        table_remove(owner, r);
        request_fail_with_leader(r, &m->error);
    }
    free(m);
}

void serve_refused(struct serve *s, uint64_t key, const struct error *error)
{
    struct refusal_mail *m = malloc(sizeof *m);
    if (m == NULL) {
        return; /* its deadline answers it */
    }
    *m = (struct refusal_mail){.mail.deliver = deliver_refusal, .key = key, .error = *error};
    if (!mailbox_post(&s->mail, &m->mail.node)) {
        free(m);
    }
}

struct index_mail {
    struct mail mail;
    uint64_t ticket;
    uint64_t index;
    int code;
};

static void deliver_index(struct mail *mail, void *owner)
{
    struct index_mail *m = LIST_ENTRY(mail, struct index_mail, mail);
    reads_index(owner, m->ticket, m->code, m->index);
    free(m);
}

void serve_read_index(struct serve *s, uint64_t ticket, int code, uint64_t index)
{
    struct index_mail *m = calloc(1, sizeof *m);
    if (m == NULL) {
        node_fatal_memory("answering a read index"); /* its reads would wait for ever */
    }
    *m = (struct index_mail){
        .mail.deliver = deliver_index, .ticket = ticket, .index = index, .code = code};
    if (!mailbox_post(&s->mail, &m->mail.node)) {
        free(m);
    }
}

static void deliver_query(struct mail *mail, void *owner)
{
    struct request *r = LIST_ENTRY(mail, struct request, mail);
    struct connection *c = r->conn;
    struct serve *s = owner;
    s->queries_out--;
    if (c->closing) {
        request_free(r);
    } else {
        read_finish(r);
    }
    connection_query_returned(c);
}

void serve_query_done(struct serve *s, struct request *r)
{
    r->mail.deliver = deliver_query;
    /* The mailbox is open while queries are out. */
    CHECK(mailbox_post(&s->mail, &r->mail.node));
}

static void deliver_stop_accepting(struct mail *mail, void *owner)
{
    accept_stop(owner);
    free(mail);
}

struct drain_mail {
    struct mail mail;
    unsigned timeout_ms;
};

static void deliver_drain(struct mail *mail, void *owner)
{
    struct serve *s = owner;
    struct drain_mail *m = LIST_ENTRY(mail, struct drain_mail, mail);
    s->draining = true;
    s->drain_until_us = node_now(s->node) + m->timeout_ms * UINT64_C(1000);
    free(m);
    accept_stop(s);
    watches_drain(s);
    drain_on(s);
    (void)uv_timer_start(&s->housekeeping, on_housekeeping, 10, 10);
}

static void post(struct serve *s, struct mail *mail)
{
    if (mail == NULL) {
        node_fatal_memory("stopping a serving thread");
    }
    if (!mailbox_post(&s->mail, &mail->node)) {
        free(mail);
    }
}

void serve_stop_accepting(struct serve *s)
{
    struct mail *m = calloc(1, sizeof *m);
    if (m != NULL) {
        m->deliver = deliver_stop_accepting;
    }
    post(s, m);
}

void serve_drain(struct serve *s, unsigned timeout_ms)
{
    struct drain_mail *m = calloc(1, sizeof *m);
    if (m != NULL) {
        *m = (struct drain_mail){.mail.deliver = deliver_drain, .timeout_ms = timeout_ms};
    }
    post(s, m == NULL ? NULL : &m->mail);
}

/* --- life --- */

static bool open_loop(struct serve *s)
{
    return uv_loop_init(&s->loop) == 0 &&
           mailbox_open(&s->mail, &s->loop, mail_deliver_all, s) == 0 &&
           uv_async_init(&s->loop, &s->wake, on_wake) == 0 &&
           uv_prepare_init(&s->loop, &s->prepare) == 0 && uv_check_init(&s->loop, &s->check) == 0 &&
           uv_timer_init(&s->loop, &s->wheel_timer) == 0 &&
           uv_timer_init(&s->loop, &s->watch) == 0 &&
           uv_timer_init(&s->loop, &s->watch_pause) == 0 &&
           uv_timer_init(&s->loop, &s->housekeeping) == 0 &&
           uv_prepare_start(&s->prepare, on_prepare) == 0 &&
           uv_check_start(&s->check, on_check) == 0 &&
           uv_timer_start(&s->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS) == 0;
}

int serve_new(struct node *n, unsigned index, struct serve **ret, struct error *error)
{
    struct serve *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    s->node = n;
    s->index = index;
    struct list *lists[] = {&s->connections, &s->dirty,   &s->pool,     &s->fresh,  &s->tickets,
                            &s->indexed,     &s->waiting, &s->watching, &s->watches};
    for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        list_init(lists[i]);
    }
    wheel_init(&s->wheel, node_now(n));
    buffer_init(&s->scratch, DATA_BYTES_MAX);
    s->wake.data = s;
    s->prepare.data = s;
    s->check.data = s;
    s->wheel_timer.data = s;
    s->housekeeping.data = s;
    s->watch.data = s;
    s->watch_pause.data = s;
    lane_init(&s->watch_lane);
    s->chunk = malloc(READ_CHUNK_BYTES);
    if (s->chunk == NULL || !open_loop(s)) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a serving loop cannot be made");
    }
    int r = reader_new(n->store, &s->reader, error);
    if (r < 0) {
        return r;
    }
    *ret = s;
    return 0;
}

static void run(void *arg)
{
    struct serve *s = arg;
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
}

int serve_start(struct serve *s, struct error *error)
{
    char name[24];
    (void)snprintf(name, sizeof name, "serve-%u", s->index);
    if (thread_start(&s->thread, name, run, s) < 0) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
    }
    s->running = true;
    return 0;
}

void serve_join(struct serve *s)
{
    if (s != NULL && s->running) {
        pthread_join(s->thread, NULL);
        s->running = false;
    }
}

void serve_free(struct serve *s)
{
    if (s == NULL) {
        return;
    }
    for (struct list *n; (n = list_pop_front(&s->pool)) != NULL;) {
        struct request *r = LIST_ENTRY(n, struct request, node);
        arena_release(&r->arena);
        free(r);
    }
    (void)uv_loop_close(&s->loop);
    mailbox_release(&s->mail);
    accept_release(s);
    reader_free(s->reader);
    buffer_release(&s->scratch);
    free(s->table);
    free(s->chunk);
    free(s);
}
