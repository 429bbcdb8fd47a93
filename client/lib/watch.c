/* Watches: a request that lasts, is told of events, and is sent again from where it is when its
 * connection is lost. */
#include <stdlib.h>

#include "base/check.h"
#include "lib/lib_internal.h"
#include "wire/frame.h"

/* A message of events that the blocking caller has not seen to its end. */
struct watch_page {
    struct list node;
    struct clade_response *response; /* owns it */
    const struct value *events;
    size_t at; /* the next one */
    uint64_t next;
    size_t bytes;
};

/* --- what comes --- */

static void give_credit(const struct clade_watch *w, size_t bytes)
{
    const struct clade_request *r = w->request;
    struct connection *c = r == NULL ? NULL : w->client->connection;
    if (c != NULL && r->state == REQUEST_SENT && c->state == CONNECTION_READY &&
        c->number == w->connection) {
        notification_write_credit(&c->out, r->msgid, bytes);
        client_kick(w->client);
    }
}

static bool is_new(const struct clade_watch *w, const struct value *event)
{
    return value_uint(value_get(event, "revision")) >= w->seen;
}

static void tell(struct clade_watch *w, const struct value *events)
{
    for (size_t i = 0; i < value_len(events) && !w->stopped && !w->client->closing; i++) {
        const struct value *event = value_at(events, i);
        if (is_new(w, event)) {
            w->seen = value_uint(value_get(event, "revision")) + 1;
            w->on_event(w, (const struct clade_value *)event, w->arg);
        }
    }
}

static bool keep(struct clade_watch *w,
                 struct clade_response *response,
                 const struct value *events,
                 uint64_t next,
                 size_t bytes)
{
    struct watch_page *page = calloc(1, sizeof *page);
    if (page == NULL) {
        return false;
    }
    *page =
        (struct watch_page){.response = response, .events = events, .next = next, .bytes = bytes};
    list_push_back(&w->pages, &page->node);
    return true;
}

int watch_take_event(struct connection *c,
                     struct clade_response *response,
                     const struct message *m,
                     struct error *error)
{
    struct clade_client *client = c->client;
    const struct value *msgid = value_get(m->params, "msgid");
    const struct value *events = value_get(m->params, "events");
    uint64_t next = value_uint(value_get(m->params, "next"));
    size_t bytes = response->payload_len + FRAME_HEADER_BYTES;
    struct clade_request *r = slots_find(&client->slots, (uint32_t)value_uint(msgid));
    if (r == NULL || r->watch == NULL || r->watch->stopped) {
        clade_response_free(response);
        return 0; /* it was given up */
    }
    struct clade_watch *w = r->watch;
    if (next < w->next) {
        clade_response_free(response);
        return error_set(error, CLADE_ERR_INVALID, NULL, "events went back to revision %llu",
                         (unsigned long long)next);
    }
    w->connection = c->number;
    w->next = next;
    c->served = true;
    client->failures = 0;
    r->attempts = 0;
    if (w->on_event == NULL && value_len(events) > 0) {
        if (!keep(w, response, events, next, bytes)) {
            clade_response_free(response);
            return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "no memory for events");
        }
        return 0;
    }
    if (w->on_event != NULL) {
        tell(w, events);
    }
    if (!w->stopped && (w->on_event != NULL || list_is_empty(&w->pages))) {
        w->seen = next;
    }
    if (value_len(events) > 0 && !w->stopped) {
        give_credit(w, bytes);
    }
    clade_response_free(response);
    return 0;
}

/* --- its life --- */

static void page_free(struct watch_page *page)
{
    clade_response_free(page->response);
    free(page);
}

static void watch_free(struct clade_watch *w)
{
    for (struct list *n; (n = list_pop_front(&w->pages)) != NULL;) {
        page_free(LIST_ENTRY(n, struct watch_page, node));
    }
    if (w->at != NULL) {
        page_free(w->at);
    }
    clade_response_free(w->end);
    free(w);
}

static void on_ended(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct clade_watch *w = arg;
    w->request = NULL;
    w->stopped = true;
    if (w->on_end != NULL) {
        w->on_end(w, response, w->arg);
        watch_free(w);
        return;
    }
    w->end = response;
    w->ended = true;
    if (w->closed) {
        watch_free(w);
    }
}

static struct clade_watch *start(struct clade_client *client,
                                 const struct clade_watch_options *options,
                                 clade_event_cb on_event,
                                 clade_watch_end_cb on_end,
                                 void *arg)
{
    if (client->closing) {
        return NULL;
    }
    struct clade_watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    *w = (struct clade_watch){.client = client,
                              .next = options == NULL ? 0 : options->from,
                              .on_event = on_event,
                              .on_end = on_end,
                              .arg = arg};
    w->seen = w->next;
    list_init(&w->pages);
    struct clade_request *r = calls_start_watch(client, options, w, on_ended);
    if (r == NULL) {
        free(w);
        return NULL;
    }
    w->request = r;
    return w;
}

struct clade_watch *clade_watch_start(struct clade_client *client,
                                      const struct clade_watch_options *options,
                                      clade_event_cb on_event,
                                      clade_watch_end_cb on_end,
                                      void *arg)
{
    CHECK(on_event != NULL && on_end != NULL);
    return start(client, options, on_event, on_end, arg);
}

void clade_watch_stop(struct clade_watch *watch)
{
    if (watch != NULL && !watch->stopped) {
        watch->stopped = true;
        clade_cancel(watch->request);
    }
}

uint64_t clade_watch_revision(const struct clade_watch *watch)
{
    return watch->seen;
}

/* --- blocking --- */

struct clade_watch *clade_watch_open(struct clade_client *client,
                                     const struct clade_watch_options *options)
{
    CHECK(client->owns_loop);
    return start(client, options, NULL, NULL, NULL);
}

void clade_watch_close(struct clade_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    if (watch->ended) {
        watch_free(watch);
        return;
    }
    watch->closed = true;
    clade_watch_stop(watch);
}

/* The next event of what has come; NULL when there is none. */
static const struct value *next_event(struct clade_watch *w)
{
    for (;;) {
        if (w->at == NULL) {
            struct list *n = list_pop_front(&w->pages);
            if (n == NULL) {
                return NULL;
            }
            w->at = LIST_ENTRY(n, struct watch_page, node);
        }
        struct watch_page *page = w->at;
        while (page->at < value_len(page->events)) {
            const struct value *event = value_at(page->events, page->at++);
            if (is_new(w, event)) {
                w->seen = value_uint(value_get(event, "revision")) + 1;
                return event;
            }
        }
        w->seen = page->next;
        give_credit(w, page->bytes);
        page_free(page);
        w->at = NULL;
    }
}

static void on_wait_over(uv_timer_t *timer)
{
    struct clade_client *client = timer->data;
    client->waited = true;
}

const struct clade_value *clade_watch_wait(struct clade_watch *watch, unsigned timeout_ms)
{
    struct clade_client *client = watch->client;
    const struct value *event = next_event(watch);
    if (event != NULL || watch->ended) {
        return (const struct clade_value *)event;
    }
    client->waited = false;
    if (timeout_ms > 0) {
        uv_update_time(client->loop);
        uv_timer_start(&client->wait, on_wait_over, timeout_ms, 0);
    }
    while (event == NULL && !watch->ended && !client->waited) {
        uv_run(client->loop, UV_RUN_ONCE);
        event = next_event(watch);
    }
    uv_timer_stop(&client->wait);
    return (const struct clade_value *)event;
}

const struct clade_response *clade_watch_ended(const struct clade_watch *watch)
{
    return watch->ended ? watch->end : NULL;
}
