/* Watches: requests that are told of transactions until they end.
 *
 * A watch is a place in the change log and a filter; what it has not been told of stays in the
 * store, so a slow one costs nothing but its own time. All watches of a serving thread that are at
 * one place take a step together (storage/changes.h), in one job of the query workers at a time:
 * that is all that they can take of a node, however many they are. */
#include <stdlib.h>

#include "base/check.h"
#include "node/serve_internal.h"
#include "node/workers.h"
#include "storage/changes.h"
#include "wire/frame.h"

#define WATCHES_MAX           64U          /* of a connection */
#define WATCH_ROOM_BYTES      (256U << 10) /* of one step */
#define WATCH_UNSENT_BYTES    (256U << 10) /* of its connection: above, it waits */
#define WATCH_CREDIT_MAX      (16U << 20)
#define WATCH_OUT_BYTES       (WATCH_ROOM_BYTES + WATCH_EVENT_BYTES + (1U << 20))
#define WATCH_HEARTBEAT_US    (UINT64_C(10) * 1000000)
#define BATCH_BYTES           (8U << 20) /* of all that take one step */
#define BATCH_WATCHES_MAX     4096U
#define BATCH_US              20000U /* of a worker */
#define BATCH_PACED           16U    /* with more watches, steps are apart */
#define BATCH_PAUSE_US        10000U
#define BATCH_PAUSE_PER_FRAME 20U /* microseconds, beside what the step took */
#define BATCH_BYTES_PER_US    32U

struct watch {
    struct watcher watcher;
    struct query query;
    struct arena arena; /* what the query borrows from */
    struct buffer out;
    struct request *request; /* NULL: it has ended */
    struct list node;        /* serve->watches */
    bool stepping;           /* a batch has it */
    int64_t credit;          /* bytes that may be sent; below 0 after an event that was longer */
    uint64_t told;           /* the `next` that its client knows */
    uint64_t told_us;
    uint64_t stalled_us; /* since when its client takes nothing; 0 = it does */
};

struct watch_batch {
    struct job job;
    struct mail mail;
    struct serve *serve;
    uint64_t took_us;
    int code;
    struct error error;
    size_t len;
    struct watcher *watchers[];
};

static struct watch *watch_of(struct watcher *w)
{
    return LIST_ENTRY(w, struct watch, watcher);
}

static void watch_free(struct watch *w)
{
    arena_release(&w->arena);
    buffer_release(&w->out);
    free(w);
}

/* --- its end --- */

void watch_end(struct request *r)
{
    struct watch *w = r->watch;
    list_remove(&w->node);
    r->conn->watches--;
    r->conn->serve->watches_len--;
    metric_add(&r->conn->serve->metrics.watches, (uint64_t)-1);
    r->watch = NULL;
    w->request = NULL;
    if (!w->stepping) {
        watch_free(w);
    }
}

static void fail(struct watch *w, struct error *e)
{
    struct request *r = w->request;
    if (e->code != CLADE_ERR_COMPACTED) {
        e->revision = w->told; /* to go on from; a step may be further, with what nobody is told */
    }
    watch_end(r);
    r->state = REQUEST_NEW;
    request_fail(r, e);
}

void watch_cancel(struct request *r)
{
    struct error e = {.code = 0};
    (void)error_set(&e, CLADE_ERR_CANCELLED, NULL, "cancelled");
    fail(r->watch, &e);
}

void watches_drain(struct serve *s)
{
    LIST_FOREACH(n, &s->watches)
    {
        struct error e = {.code = 0};
        (void)error_set(&e, CLADE_ERR_RETRY, NULL, "the node stops; go on at another one");
        fail(LIST_ENTRY(n, struct watch, node), &e);
    }
}

/* --- telling --- */

static void send_events(struct watch *w, uint64_t now)
{
    struct connection *c = w->request->conn;
    size_t before = c->out.len;
    size_t at = notification_begin(&c->out, METHOD_EVENT, 3);
    value_put_str(&c->out, "msgid");
    value_put_uint(&c->out, w->request->msgid);
    value_put_str(&c->out, "next");
    value_put_uint(&c->out, w->watcher.next);
    value_put_str(&c->out, "events");
    value_put_array(&c->out, w->watcher.events);
    buffer_append_span(&c->out, buffer_span(&w->out));
    frame_end(&c->out, at);
    w->credit -= w->watcher.events > 0 ? (int64_t)(c->out.len - before) : 0;
    metric_add(&c->serve->metrics.events, w->watcher.events);
    w->told = w->watcher.next;
    w->told_us = now;
    connection_touch(c);
}

static size_t unsent(const struct connection *c)
{
    return c->out.len + c->sending.len;
}

static bool is_behind(const struct watch *w, uint64_t published)
{
    return w->watcher.next <= published;
}

static bool takes_more(const struct watch *w)
{
    const struct connection *c = w->request->conn;
    return w->credit > 0 && unsent(c) < WATCH_UNSENT_BYTES && !c->doomed && !c->closing;
}

/* --- a step --- */

static bool run_batch(struct job *job, struct reader *reader, const struct reader_slice *slice)
{
    (void)slice; /* it is bounded as it is */
    struct watch_batch *b = LIST_ENTRY(job, struct watch_batch, job);
    struct node *n = b->serve->node;
    uint64_t begin = node_now(n);
    const struct reader_budget budget = {
        .clock = n->clock, .deadline_us = begin + BATCH_US, .bytes_max = BATCH_BYTES};
    b->code = reader_watch(reader, b->watchers, b->len, &budget, &b->error);
    b->took_us = node_now(n) - begin;
    return true;
}

static void on_pause_over(uv_timer_t *timer)
{
    watches_published(timer->data);
}

static bool take_result(struct watch_batch *b, struct watch *w, uint64_t now, uint64_t *bytes)
{
    struct watcher *step = &w->watcher;
    bool sends = step->events > 0 && b->code == 0;
    w->stepping = false;
    if (w->request == NULL) {
        watch_free(w);
        return false;
    }
    if (sends && !node_charge(b->serve->node, w->out.len)) {
        struct error e = {.code = 0};
        (void)error_set(&e, CLADE_ERR_THROTTLED, NULL, "the node has no memory for more events");
        step->next = w->told; /* these were not sent */
        fail(w, &e);
        return false;
    }
    if (sends) {
        node_discharge(b->serve->node, w->out.len); /* the connection is charged for them */
        *bytes += w->out.len;
        send_events(w, now);
    }
    buffer_release(&w->out);
    if (b->code != 0 || step->code != 0) {
        struct error e = b->code != 0 ? b->error : step->error;
        fail(w, &e);
    }
    return sends;
}

static void deliver_batch(struct mail *mail, void *owner)
{
    struct serve *s = owner;
    struct watch_batch *b = LIST_ENTRY(mail, struct watch_batch, mail);
    uint64_t frames = 0;
    uint64_t bytes = 0;
    s->queries_out--;
    s->watch_batch = NULL;
    for (size_t i = 0; i < b->len; i++) {
        frames += take_result(b, watch_of(b->watchers[i]), node_now(s->node), &bytes);
    }
    uint64_t pause = b->took_us + frames * BATCH_PAUSE_PER_FRAME + bytes / BATCH_BYTES_PER_US;
    pause = pause < BATCH_PAUSE_US ? BATCH_PAUSE_US : pause;
    if (s->watches_len > BATCH_PACED && !s->stopped) {
        (void)uv_timer_start(&s->watch_pause, on_pause_over, pause / 1000, 0);
    } else {
        watches_published(s);
    }
    free(b);
}

static void batch_done(struct job *job)
{
    struct watch_batch *b = LIST_ENTRY(job, struct watch_batch, job);
    b->mail.deliver = deliver_batch;
    /* The mailbox is open while jobs are out. */
    CHECK(mailbox_post(&b->serve->mail, &b->mail.node));
}

/* Those that can go on from where the first of them is; NULL when there is none. */
static struct watch_batch *gather(struct serve *s, uint64_t published)
{
    struct watch_batch *b = NULL;
    struct list taken;
    list_init(&taken);
    LIST_FOREACH(n, &s->watches)
    {
        struct watch *w = LIST_ENTRY(n, struct watch, node);
        if (w->stepping || !is_behind(w, published) || !takes_more(w)) {
            continue;
        }
        if (b == NULL) {
            size_t max = s->watches_len < BATCH_WATCHES_MAX ? s->watches_len : BATCH_WATCHES_MAX;
            b = calloc(1, sizeof *b + max * sizeof b->watchers[0]);
            if (b == NULL) {
                return NULL; /* tried again with the next revision */
            }
        }
        if (b->len == BATCH_WATCHES_MAX ||
            (b->len > 0 && b->watchers[0]->next != w->watcher.next)) {
            continue;
        }
        w->stepping = true;
        w->watcher.events = 0;
        w->watcher.room =
            w->credit < (int64_t)WATCH_ROOM_BYTES ? (size_t)w->credit : WATCH_ROOM_BYTES;
        buffer_init(&w->out, WATCH_OUT_BYTES);
        b->watchers[b->len++] = &w->watcher;
        list_remove(n);
        list_push_back(&taken, n);
    }
    list_splice_back(&s->watches, &taken); /* behind those at other places */
    return b;
}

static void start_batch(struct serve *s, uint64_t published)
{
    struct watch_batch *b = gather(s, published);
    if (b == NULL) {
        return;
    }
    b->serve = s;
    b->job = (struct job){
        .lane = &s->watch_lane, .sort = JOB_BOUNDED, .run = run_batch, .done = batch_done};
    if (!workers_submit(s->node->workers, &b->job)) {
        for (size_t i = 0; i < b->len; i++) {
            watch_of(b->watchers[i])->stepping = false;
        }
        free(b); /* tried again with the next revision, or in a second */
        return;
    }
    s->queries_out++;
    s->watch_batch = b;
}

void watches_published(struct serve *s)
{
    uint64_t revision;
    do {
        revision = atomic_load(&s->node->published_revision);
        if (list_is_empty(&s->watches) || s->watch_batch != NULL || s->stopped ||
            uv_is_active((const uv_handle_t *)&s->watch_pause)) {
            return; /* the batch, or the timer, comes back here */
        }
        start_batch(s, revision);
        if (s->watch_batch != NULL) {
            return;
        }
        atomic_store(&s->wants_wake, true);
        /* Published between the look and the wish: nobody would wake us. */
    } while (atomic_load(&s->node->published_revision) != revision);
}

/* --- once a second --- */

static void look(struct watch *w, uint64_t published, uint64_t now)
{
    struct serve *s = w->request->conn->serve;
    uint64_t stall_us = config_now(s->node->config->watch_stall_ms) * 1000;
    if (w->stepping) {
        return; /* its place is the worker's; it takes, and is told of it as the step ends */
    }
    if (!is_behind(w, published) || takes_more(w)) {
        w->stalled_us = 0;
    } else if (w->stalled_us == 0) {
        w->stalled_us = now;
    } else if (now - w->stalled_us > stall_us) {
        struct error e = {.code = 0};
        (void)error_set(&e, CLADE_ERR_THROTTLED, NULL,
                        "the watcher took nothing for %u ms; it can go on from the revision that "
                        "is said",
                        (unsigned)(stall_us / 1000));
        fail(w, &e);
        return;
    }
    bool due = w->told != w->watcher.next || now - w->told_us > WATCH_HEARTBEAT_US;
    if (due && unsent(w->request->conn) < WATCH_UNSENT_BYTES) {
        w->watcher.events = 0;
        send_events(w, now);
    }
}

void watches_look(struct serve *s)
{
    uint64_t published = atomic_load(&s->node->published_revision);
    uint64_t now = node_now(s->node);
    LIST_FOREACH(n, &s->watches)
    {
        look(LIST_ENTRY(n, struct watch, node), published, now);
    }
    watches_published(s);
}

/* --- its beginning --- */

static int open_watch(struct request *r, const struct value *params, struct error *e)
{
    struct connection *c = r->conn;
    struct serve *s = c->serve;
    struct query q;
    int rc = query_decode(QUERY_WATCH, params, &r->arena, &q, e);
    if (rc != 0) {
        return rc;
    }
    if (c->watches >= WATCHES_MAX) {
        return error_set(e, CLADE_ERR_LIMIT, NULL, "a connection has at most %u watches",
                         WATCHES_MAX);
    }
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return error_set(e, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    w->query = q;
    w->arena = r->arena; /* what it borrows from outlives the request */
    arena_init(&r->arena, REQUEST_ARENA_BYTES_MAX);
    w->request = r;
    w->credit = (int64_t)(q.credit < WATCH_CREDIT_MAX ? q.credit : WATCH_CREDIT_MAX);
    uint64_t published = atomic_load(&s->node->published_revision);
    w->watcher = (struct watcher){.query = &w->query,
                                  .ns = arena_copy_span(&w->arena, c->ns),
                                  .next = q.from != 0 ? q.from : published + 1,
                                  .out = &w->out};
    r->watch = w;
    r->state = REQUEST_EVENTS;
    list_push_back(&s->watches, &w->node);
    s->watches_len++;
    metric_add(&s->metrics.watches, 1);
    c->watches++;
    return 0;
}

void watch_start(struct request *r, const struct value *params)
{
    struct serve *s = r->conn->serve;
    struct error e = {.code = 0};
    if (s->draining) {
        request_fail_code(r, CLADE_ERR_RETRY, "the node stops; go on at another one");
        return;
    }
    if (!node_charge(s->node, sizeof(struct watch))) {
        request_fail_code(r, CLADE_ERR_THROTTLED, "the node has no memory for more watches");
        return;
    }
    r->charged += sizeof(struct watch);
    r->conn->in_flight_bytes += sizeof(struct watch);
    if (open_watch(r, params, &e) != 0) {
        request_fail(r, &e);
        return;
    }
    send_events(r->watch, node_now(s->node)); /* so its client knows where it begins */
    watches_published(s);
}

void watch_credit(struct connection *c, const struct value *params)
{
    uint32_t msgid;
    uint64_t bytes;
    if (credit_decode(params, &msgid, &bytes, NULL) != 0) {
        return;
    }
    LIST_FOREACH(n, &c->requests)
    {
        struct request *r = LIST_ENTRY(n, struct request, conn_node);
        if (r->msgid == msgid && r->state == REQUEST_EVENTS) {
            bytes = bytes < WATCH_CREDIT_MAX ? bytes : WATCH_CREDIT_MAX;
            r->watch->credit += (int64_t)bytes;
            if (r->watch->credit > (int64_t)WATCH_CREDIT_MAX) {
                r->watch->credit = WATCH_CREDIT_MAX;
            }
            watches_published(c->serve);
            return;
        }
    }
}
