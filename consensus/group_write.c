#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "consensus/group_internal.h"

/* Where a proposal stands:
 *
 *     pending --leader here--> raft_apply --+--> sent --answered, timed out--> gone
 *        ^  \--leader there--> PROPOSE -----+     |
 *        +---- new leader, or no answer for long: repeatable ones, and those that a leader
 *              certainly refused
 *
 * While it is pending and was never given to a leader its state is QUEUED, so that its client can
 * withdraw it for certain. */

#define RESEND_AFTER_US 2000000u /* no answer for this long: doubled with every attempt */

/* A raft_apply under way. libraft's callback is not used (README.md, hazard 5); without one,
 * libraft forgets the request when its index is applied or leadership is lost. */
struct apply_request {
    struct list node;
    struct raft_apply req;
    raft_index index;
    size_t bytes;
};

void group_write_init(struct group *g)
{
    list_init(&g->pending);
    list_init(&g->sent);
    list_init(&g->applies);
    buffer_init(&g->entry, ENTRY_BYTES_MAX);
}

static struct proposal *proposal_of(struct list *node)
{
    return LIST_ENTRY(node, struct proposal, node);
}

static void push_pending(struct group *g, struct proposal *p)
{
    list_push_back(&g->pending, &p->node);
    g->pending_bytes += p->len;
    g->pending_commands++;
}

static struct proposal *pop_pending(struct group *g)
{
    struct proposal *p = proposal_of(list_pop_front(&g->pending));
    g->pending_bytes -= p->len;
    g->pending_commands--;
    return p;
}

/* Puts `list` before what is pending, in its order. */
static void unshift_pending(struct group *g, struct list *list)
{
    LIST_FOREACH(node, list)
    {
        g->pending_bytes += proposal_of(node)->len;
        g->pending_commands++;
    }
    list_splice_back(list, &g->pending);
    list_splice_back(&g->pending, list);
}

/* Tells whoever accepted it that nothing came of the proposal, and drops it. */
static void refuse_with(struct group *g, struct proposal *p, const struct error *e)
{
    if (p->from != 0) {
        buffer_clear(&g->scratch);
        peer_put_refused(&g->scratch, e->code, e->retry_ms,
                         e->code == CLADE_ERR_NO_SPACE ? e->message : "", 1);
        peer_put_u64(&g->scratch, p->id.boot);
        peer_put_u64(&g->scratch, p->id.counter);
        group_send_scratch(g, p->from);
    } else {
        g->options.callbacks.on_refused(g->options.arg, p, e);
    }
    proposal_unref(p);
}

static void refuse(struct group *g, struct proposal *p, int code, const char *why)
{
    struct error e = {0};
    (void)error_set(&e, code, NULL, "%s", why);
    refuse_with(g, p, &e);
}

/* Whether the leader may propose it; if not, it was refused. What was given to a leader before may
 * be in a log, and is not refused any more. */
static bool admit(struct group *g, struct proposal *p)
{
    struct error e = {0};
    if (g->options.callbacks.on_admit == NULL || p->admitted || p->attempts > 0) {
        return true;
    }
    if (g->options.callbacks.on_admit(g->options.arg, p, group_now(g), &e) != 0) {
        refuse_with(g, p, &e);
        return false;
    }
    p->admitted = true;
    return true;
}

static void drop_or_keep_sent(struct group *g, struct proposal *p)
{
    if (p->from != 0) {
        proposal_unref(p); /* the member that forwarded it watches over it */
    } else {
        list_push_back(&g->sent, &p->node);
    }
}

/* Marks it as given to the present leader; false when its client has withdrawn it. */
static bool mark_sent(struct group *g, struct proposal *p)
{
    if (!proposal_move(p, PROPOSAL_QUEUED, PROPOSAL_PROPOSED) &&
        atomic_load(&p->state) != PROPOSAL_PROPOSED) {
        return false;
    }
    p->sent_term = raft_current_term(&g->raft);
    p->sent_to = group_leader(g);
    atomic_store_explicit(&p->sent_us, group_now(g), memory_order_relaxed);
    p->attempts++;
    return true;
}

static uint64_t unpublished_bytes(struct group *g)
{
    return g->applies_bytes + apply_queue_bytes(g->options.queue);
}

void group_write_after_event(struct group *g)
{
    bool leads = group_leads(g);
    LIST_FOREACH(node, &g->applies)
    {
        struct apply_request *a = LIST_ENTRY(node, struct apply_request, node);
        if (leads && a->index > raft_last_applied(&g->raft)) {
            return; /* in order: the rest is under way too */
        }
        list_remove(node);
        g->applies_len--;
        g->applies_bytes -= a->bytes;
        free(a);
        if (!list_is_empty(&g->pending)) {
            group_wake(g);
        }
    }
}

/* Moves proposals from pending into g->entry and into `batch`, up to about `bytes_aim`. */
static uint16_t gather(struct group *g, struct list *batch, size_t bytes_aim)
{
    uint16_t n = 0;
    while (!list_is_empty(&g->pending) && n < ENTRY_ITEMS_MAX) {
        struct proposal *next = proposal_of(g->pending.next);
        if (n > 0 && g->entry.len + next->len > bytes_aim) {
            break;
        }
        struct proposal *p = pop_pending(g);
        if (group_leads(g) && !admit(g, p)) {
            continue;
        }
        if (!mark_sent(g, p)) {
            proposal_unref(p);
            continue;
        }
        CHECK(buffer_append(&g->entry, p->bytes, p->len));
        list_push_back(batch, &p->node);
        n++;
    }
    return n;
}

/* They were given to nobody after all: as before. */
static void ungather(struct group *g, struct list *batch)
{
    LIST_FOREACH(node, batch)
    {
        struct proposal *p = proposal_of(node);
        p->attempts--;
        if (p->attempts == 0) {
            (void)proposal_move(p, PROPOSAL_PROPOSED, PROPOSAL_QUEUED);
        }
    }
    unshift_pending(g, batch);
}

static void finish_entry(struct group *g, uint16_t n)
{
    uint64_t now = group_now(g);
    uint64_t term = raft_current_term(&g->raft);
    uint64_t elapsed_ms = g->stamp_term == term ? (now - g->stamp_us) / 1000 : 0;
    struct entry_header header = {.level = SEMANTICS_LEVEL,
                                  .items = n,
                                  .elapsed_ms =
                                      (uint32_t)(elapsed_ms > UINT32_MAX ? UINT32_MAX : elapsed_ms),
                                  .stamp_us = group_stamp(g)};
    entry_end(&g->entry, &header);
    /* What is less than a millisecond counts with the next entry. */
    g->stamp_us = g->stamp_term == term ? g->stamp_us + elapsed_ms * 1000 : now;
    g->stamp_term = term;
}

/* One log entry of what waits. False: nothing more can be proposed now. */
static bool propose_entry(struct group *g)
{
    struct list batch;
    list_init(&batch);
    buffer_clear(&g->entry);
    entry_begin(&g->entry);
    uint16_t n = gather(g, &batch, GROUP_ENTRY_BYTES_AIM);
    if (n == 0) {
        return false;
    }
    finish_entry(g, n);
    struct apply_request *a = calloc(1, sizeof *a);
    struct raft_buffer buf = {.base = raft_malloc(g->entry.len), .len = g->entry.len};
    CHECK(a != NULL && buf.base != NULL);
    memcpy(buf.base, g->entry.data, g->entry.len);
    int rv = raft_apply(&g->raft, &a->req, &buf, 1, NULL);
    if (rv == 0) {
        a->index = raft_last_index(&g->raft);
        a->bytes = buf.len;
        list_push_back(&g->applies, &a->node);
        g->applies_len++;
        g->applies_bytes += buf.len;
        LIST_FOREACH(node, &batch)
        {
            list_remove(node);
            drop_or_keep_sent(g, proposal_of(node));
        }
        return true;
    }
    /* libraft refuses before it touches its log: nothing happened. A disk's error has
     * stopped the node; out of memory ends it here, since the entry may be in the log by then and
     * its buffer freed. */
    CHECK(rv == RAFT_NOTLEADER || rv == RAFT_NOSPACE);
    raft_free(buf.base);
    free(a);
    ungather(g, &batch);
    return false;
}

static void forward(struct group *g, uint64_t leader)
{
    while (!list_is_empty(&g->pending)) {
        struct list batch;
        list_init(&batch);
        buffer_clear(&g->entry);
        peer_put_head(&g->entry, PEER_PROPOSE);
        if (gather(g, &batch, GROUP_FORWARD_BYTES_AIM) == 0) {
            return;
        }
        g->options.transport->send(g->options.transport, leader, buffer_span(&g->entry));
        LIST_FOREACH(node, &batch)
        {
            list_remove(node);
            drop_or_keep_sent(g, proposal_of(node));
        }
    }
}

/* Forwarded ones whose leader is not this node any more go back with a refusal: they are in no
 * log. */
static void refuse_forwarded(struct group *g)
{
    LIST_FOREACH(node, &g->pending)
    {
        struct proposal *p = proposal_of(node);
        if (p->from != 0) {
            list_remove(node);
            g->pending_bytes -= p->len;
            g->pending_commands--;
            refuse(g, p, CLADE_ERR_RETRY, "the leader changed");
        }
    }
}

static void refuse_all(struct group *g, int code, const char *why)
{
    struct list kept;
    list_init(&kept);
    while (!list_is_empty(&g->pending)) {
        struct proposal *p = pop_pending(g);
        if (p->attempts > 0) {
            list_push_back(&kept, &p->node); /* it may be in a log: no certain answer */
        } else {
            refuse(g, p, code, why);
        }
    }
    unshift_pending(g, &kept);
}

/* With little room refuses what needs some, and sets aside what a leader had before: it may be in a
 * log, so there is no certain answer. */
static void sift(struct group *g, struct list *ret_back)
{
    struct list go;
    struct room room;
    struct error e = {0};
    (void)group_room(g, &room);
    if (room.level == ROOM_ENOUGH) {
        return;
    }
    list_init(&go);
    group_room_explain(g, &e);
    while (!list_is_empty(&g->pending)) {
        struct proposal *p = pop_pending(g);
        bool may = g->options.callbacks.on_short != NULL &&
                   g->options.callbacks.on_short(g->options.arg, p, &room);
        if (may || p->attempts > 0) {
            list_push_back(may ? &go : ret_back, &p->node);
        } else {
            refuse_with(g, p, &e);
        }
    }
    unshift_pending(g, &go);
}

void group_write_flush(struct group *g)
{
    if (list_is_empty(&g->pending)) {
        return;
    }
    if (!group_leads(g)) {
        uint64_t leader = group_leader(g);
        refuse_forwarded(g);
        if (leader != 0 && leader != g->options.id && group_now(g) >= g->forward_hold_us &&
            g->options.transport->is_connected(g->options.transport, leader)) {
            forward(g, leader);
        }
        return;
    }
    if (g->transfer.active) {
        return;
    }
    struct list back;
    list_init(&back);
    sift(g, &back);
    while (!list_is_empty(&g->pending) && g->applies_len < GROUP_APPLIES_MAX &&
           unpublished_bytes(g) < g->options.unpublished_bytes_max) {
        if (!propose_entry(g)) {
            break;
        }
    }
    unshift_pending(g, &back);
}

void group_propose(struct group *g, struct proposal *proposal)
{
    struct proposal *p = proposal_ref(proposal);
    if (g->closing) {
        refuse(g, p, CLADE_ERR_RETRY, "the node is stopping");
        return;
    }
    if (g->pending_bytes + p->len > g->options.pending_bytes_max) {
        refuse(g, p, CLADE_ERR_THROTTLED, "too many writes wait to be proposed; slow down");
        return;
    }
    push_pending(g, p);
    group_wake(g);
}

/* --- what other members say --- */

static void on_proposed_by(struct group *g, uint64_t from, struct span items)
{
    uint64_t deadline_us = group_now(g) + 60u * 1000000u;
    while (items.len > 0) {
        struct item item;
        size_t len = 0;
        if (item_decode(items, &item, &len, NULL) != 0 || item.id.node != from) {
            group_malformed(g, from);
            return;
        }
        struct proposal *p =
            proposal_new_forwarded(span_make(items.data, len), item.id, from, deadline_us);
        items = span_skip(items, len);
        if (p == NULL) {
            return; /* as if the message had been lost */
        }
        if (!group_leads(g)) {
            refuse(g, p, CLADE_ERR_RETRY, "not the leader");
        } else if (g->pending_bytes + p->len > g->options.pending_bytes_max) {
            refuse(g, p, CLADE_ERR_THROTTLED, "overloaded");
        } else {
            push_pending(g, p);
        }
    }
    group_wake(g);
}

static struct proposal *find_sent(struct group *g, uint64_t boot, uint64_t counter)
{
    LIST_FOREACH(node, &g->sent)
    {
        struct proposal *p = proposal_of(node);
        if (p->id.counter == counter && p->id.boot == boot) {
            return p;
        }
    }
    return NULL;
}

/* Certain only when that was the one leader that it was ever given to. */
static void on_refused_by_leader(struct group *g, struct proposal *p, const struct peer_message *m)
{
    int code = m->code;
    uint32_t wait_ms = m->wait_ms;
    if (p->attempts > 1) {
        if (p->repeatable && code == CLADE_ERR_RETRY) {
            list_remove(&p->node);
            push_pending(g, p);
        }
        return;
    }
    list_remove(&p->node);
    p->attempts = 0;
    if (!proposal_move(p, PROPOSAL_PROPOSED, PROPOSAL_QUEUED)) {
        proposal_unref(p);
        return;
    }
    if (code == CLADE_ERR_RETRY) {
        push_pending(g, p);
        return;
    }
    struct error e = {0};
    if (wait_ms > 0) {
        (void)error_set(&e, code, NULL,
                        "the namespace, or one above it, takes no more operations for now; try "
                        "again in %u ms",
                        (unsigned)wait_ms);
    } else {
        struct span why =
            m->why.len > 0 ? m->why : span_of("the leader has too many writes waiting; slow down");
        (void)error_set(&e, code, NULL, "%.*s", SPAN_FMT(why));
    }
    e.retry_ms = wait_ms;
    refuse_with(g, p, &e);
}

static void on_refused(struct group *g, uint64_t from, const struct peer_message *m)
{
    for (size_t at = 0; at < m->items.len; at += 16) {
        uint64_t boot = get_u64le(m->items.data + at);
        uint64_t counter = get_u64le(m->items.data + at + 8);
        struct proposal *p = find_sent(g, boot, counter);
        if (p != NULL && p->sent_to == from) {
            on_refused_by_leader(g, p, m);
        }
    }
    /* Who leads is about to change or has changed: until then the same node would refuse again. Not
     * so where one namespace may not write, or what makes no room: others may. */
    if (m->wait_ms == 0 && m->code != CLADE_ERR_NO_SPACE) {
        g->forward_hold_us = group_now(g) + g->options.heartbeat_ms * 1000u;
    }
}

void group_write_receive(struct group *g, uint64_t from, const struct peer_message *m)
{
    if (m->type == PEER_PROPOSE) {
        on_proposed_by(g, from, m->items);
    } else {
        on_refused(g, from, m);
    }
}

/* --- time and leadership --- */

static bool is_over(struct group *g, struct proposal *p, uint64_t now)
{
    int state = atomic_load(&p->state);
    return state == PROPOSAL_ANSWERED || state == PROPOSAL_WITHDRAWN || now >= p->deadline_us;
}

static void drop_over(struct group *g, uint64_t now)
{
    LIST_FOREACH(node, &g->sent)
    {
        if (is_over(g, proposal_of(node), now)) {
            list_remove(node);
            proposal_unref(proposal_of(node));
        }
    }
    LIST_FOREACH(pending, &g->pending)
    {
        struct proposal *p = proposal_of(pending);
        if (is_over(g, p, now)) {
            list_remove(pending);
            g->pending_bytes -= p->len;
            g->pending_commands--;
            proposal_unref(p);
        }
    }
}

/* Repeatable ones that a former leader had, or that got no answer for long, are given to a leader
 * again: under their session that has one effect. */
static void send_again(struct group *g, uint64_t now)
{
    struct list again;
    list_init(&again);
    uint64_t term = raft_current_term(&g->raft);
    uint64_t leader = group_leader(g);
    LIST_FOREACH(node, &g->sent)
    {
        struct proposal *p = proposal_of(node);
        unsigned shift = p->attempts > 6 ? 6 : p->attempts - 1;
        bool late = now - atomic_load_explicit(&p->sent_us, memory_order_relaxed) >
                    ((uint64_t)RESEND_AFTER_US << shift);
        if (p->repeatable && (p->sent_term != term || p->sent_to != leader || late)) {
            list_remove(node);
            list_push_back(&again, node);
        }
    }
    if (!list_is_empty(&again)) {
        unshift_pending(g, &again);
        group_wake(g);
    }
}

void group_write_tick(struct group *g)
{
    uint64_t now = group_now(g);
    drop_over(g, now);
    if (group_leader(g) != 0) {
        send_again(g, now);
    }
}

void group_write_leader_changed(struct group *g)
{
    g->forward_hold_us = 0;
    if (group_leader(g) != 0) {
        send_again(g, group_now(g));
    }
}

void group_write_close(struct group *g)
{
    refuse_forwarded(g);
    refuse_all(g, CLADE_ERR_RETRY, "the node is stopping");
    while (!list_is_empty(&g->pending)) {
        proposal_unref(pop_pending(g));
    }
    while (!list_is_empty(&g->sent)) {
        proposal_unref(proposal_of(list_pop_front(&g->sent)));
    }
}

void group_write_release(struct group *g)
{
    while (!list_is_empty(&g->applies)) {
        free(LIST_ENTRY(list_pop_front(&g->applies), struct apply_request, node));
    }
}
