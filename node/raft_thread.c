#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "consensus/disk.h"
#include "consensus/guard.h"
#include "consensus/peers.h"
#include "node/apply_thread.h"
#include "node/copier.h"
#include "node/mark_thread.h"
#include "node/raft_thread_internal.h"
#include "node/resolver.h"
#include "node/serve.h"
#include "node/space.h"
#include "node/thread.h"
#include "node/throttle.h"

/* --- what the group says --- */

static void on_refused(void *arg, struct proposal *p, const struct error *error)
{
    struct raft_thread *rt = arg;
    uint64_t owner = node_number_owner(p->id.counter);
    metric_add(&rt->node->metrics.proposals_refused[-error->code], 1);
    if (owner < rt->node->serves_len) {
        serve_refused(rt->node->serves[owner], p->id.counter, error);
    }
}

static int on_admit(void *arg, const struct proposal *p, uint64_t now_us, struct error *ret)
{
    struct raft_thread *rt = arg;
    return throttle_admit(rt->node->throttle, span_make(p->bytes, p->len), now_us, ret);
}

static bool on_short(void *arg, const struct proposal *p, const struct room *room)
{
    return space_lets(span_make(p->bytes, p->len), room);
}

static void on_read_index(void *arg, uint64_t ticket, int code, uint64_t index)
{
    struct raft_thread *rt = arg;
    uint64_t owner = node_number_owner(ticket);
    if (owner < rt->node->serves_len) {
        serve_read_index(rt->node->serves[owner], ticket, code, index);
    }
}

static void on_leader(void *arg, uint64_t leader, uint64_t term)
{
    struct raft_thread *rt = arg;
    uint64_t before = atomic_exchange(&rt->node->leader, leader);
    uint64_t term_before = atomic_exchange(&rt->node->term, term);
    if (leader != 0 && before != leader) {
        metric_add(&rt->node->metrics.leader_changes, 1);
    }
    if (before != leader || term_before != term) {
        log_info(leader == 0 ? "no leader" : "leader", LOG_U64("leader", leader),
                 LOG_U64("term", term));
    }
}

void raft_letter_return(struct raft_letter *letter)
{
    letter->mail.deliver = letter->on_reply;
    if (!mailbox_post(letter->reply, &letter->mail.node)) {
        if (letter->on_lost != NULL) {
            letter->on_lost(letter);
        } else {
            free(letter);
        }
    }
}

static void on_transfer(void *arg, uint64_t ticket, const struct error *error, uint64_t leader)
{
    struct raft_thread *rt = arg;
    LIST_FOREACH(n, &rt->transfers)
    {
        struct raft_transfer_letter *l = LIST_ENTRY(n, struct raft_transfer_letter, node);
        if (l->ticket == ticket) {
            list_remove(n);
            if (error != NULL) {
                l->error = *error;
            }
            l->leader = leader;
            raft_letter_return(&l->letter);
        }
    }
}

static void on_flush(uv_idle_t *idle)
{
    struct raft_thread *rt = idle->data;
    (void)uv_idle_stop(idle);
    if (rt->group != NULL) {
        group_flush(rt->group);
    }
}

static void on_wake(void *arg)
{
    struct raft_thread *rt = arg;
    if (!uv_is_closing((uv_handle_t *)&rt->flush)) {
        (void)uv_idle_start(&rt->flush, on_flush);
    }
}

static void on_fatal(void *arg, const struct error *error)
{
    node_fatal(error);
}

static void on_mark_due(void *arg, uint64_t due_us)
{
    struct raft_thread *rt = arg;
    mark_thread_due(rt->marker);
}

static void on_notice(void *arg, bool is_warning, const char *what, uint64_t member)
{
    if (is_warning) {
        log_warning(what, LOG_U64("member", member));
    } else {
        log_info(what, LOG_U64("member", member));
    }
}

static void on_behind(void *arg, uint64_t index, const uint64_t *sources, size_t n)
{
    struct raft_thread *rt = arg;
    copier_want(rt->node->copier, index, sources, n);
}

static void on_fetch(void *arg, uint64_t from, struct span fetch)
{
    struct raft_thread *rt = arg;
    copier_fetch(rt->node->copier, from, fetch);
}

static void on_supply(void *arg, uint64_t from, struct span supply)
{
    struct raft_thread *rt = arg;
    copier_supply(rt->node->copier, from, supply);
}

static void on_group_removed(void *arg, uint64_t index)
{
    struct raft_thread *rt = arg;
    node_removed(rt->node, index);
}

static void on_peer_says_removed(void *arg, uint64_t by)
{
    struct raft_thread *rt = arg;
    node_removed(rt->node, 0);
}

static bool on_is_gone(void *arg, uint64_t node)
{
    struct raft_thread *rt = arg;
    return rt->group != NULL && group_is_gone(rt->group, node);
}

static void on_message(void *arg, uint64_t from, struct span message)
{
    struct raft_thread *rt = arg;
    /* The group is gone before the connections and the other threads' mail are. */
    if (rt->group != NULL) {
        group_receive(rt->group, from, message);
    }
}

/* --- what the node asks --- */

static void on_proposals(void *arg, struct list *items)
{
    struct raft_thread *rt = arg;
    for (struct list *n; (n = list_pop_front(items)) != NULL;) {
        struct proposal *p = LIST_ENTRY(n, struct proposal, node);
        group_propose(rt->group, p);
        proposal_unref(p);
    }
}

bool raft_thread_propose(struct raft_thread *rt, struct proposal *p)
{
    (void)proposal_ref(p);
    if (!mailbox_post(&rt->proposals, &p->node)) {
        proposal_unref(p);
        return false;
    }
    return true;
}

struct read_index_mail {
    struct mail mail;
    uint64_t ticket;
    uint64_t deadline_us;
};

static void deliver_read_index(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct read_index_mail *m = LIST_ENTRY(mail, struct read_index_mail, mail);
    group_read_index(rt->group, m->ticket, m->deadline_us);
    free(m);
}

bool raft_thread_read_index(struct raft_thread *rt, uint64_t ticket, uint64_t deadline_us)
{
    struct read_index_mail *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return false;
    }
    *m = (struct read_index_mail){
        .mail.deliver = deliver_read_index, .ticket = ticket, .deadline_us = deadline_us};
    if (!mailbox_post(&rt->mail, &m->mail.node)) {
        free(m);
        return false;
    }
    return true;
}

static void deliver_status(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_status_letter *l = LIST_ENTRY(letter, struct raft_status_letter, letter);
    group_status(rt->group, &l->status);
    peers_refused(rt->peers, l->refused);
    raft_letter_return(letter);
}

bool raft_thread_status(struct raft_thread *rt, struct raft_status_letter *letter)
{
    letter->letter.mail.deliver = deliver_status;
    return mailbox_post(&rt->mail, &letter->letter.mail.node);
}

static void deliver_transfer(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_transfer_letter *l = LIST_ENTRY(letter, struct raft_transfer_letter, letter);
    l->ticket = ++rt->transfer_ticket;
    list_push_back(&rt->transfers, &l->node);
    group_transfer(rt->group, l->ticket, l->to, l->deadline_us);
}

bool raft_thread_transfer(struct raft_thread *rt, struct raft_transfer_letter *letter)
{
    letter->letter.mail.deliver = deliver_transfer;
    return mailbox_post(&rt->mail, &letter->letter.mail.node);
}

static void deliver_check_change(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_change_letter *l = LIST_ENTRY(letter, struct raft_change_letter, letter);
    (void)group_check_change(rt->group, &l->change, &l->error);
    raft_letter_return(letter);
}

bool raft_thread_check_change(struct raft_thread *rt, struct raft_change_letter *letter)
{
    letter->letter.mail.deliver = deliver_check_change;
    return mailbox_post(&rt->mail, &letter->letter.mail.node);
}

/* What the group shall know of the copier and of changed settings goes the same way. */
static void deliver_look_at_members(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct raft_status_letter *l =
        LIST_ENTRY(LIST_ENTRY(mail, struct raft_letter, mail), struct raft_status_letter, letter);
    atomic_store(&rt->node->raft_beat_us, node_now(rt->node));
    if (rt->group != NULL) {
        struct catch_up_status s;
        copier_status(rt->node->copier, &s);
        group_set_copied(rt->group, s.bytes, s.bytes_total);
        const struct config *c = rt->node->config;
        group_set_limits(rt->group, config_now(c->pending_bytes_max),
                         config_now(c->unpublished_bytes_max), config_now(c->log_bytes));
        group_status(rt->group, &l->status);
        members_set_configuration(&rt->node->members, &l->status);
        atomic_store(&rt->node->commit_index, l->status.commit);
        atomic_fetch_add(&rt->node->raft_turns, 1);
    }
    free(l);
}

void raft_thread_look_at_members(struct raft_thread *rt)
{
    struct raft_status_letter *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return; /* asked again a second later */
    }
    l->letter.mail.deliver = deliver_look_at_members;
    if (!mailbox_post(&rt->mail, &l->letter.mail.node)) {
        free(l);
    }
}

struct room_mail {
    struct mail mail;
    struct room room;
};

static void deliver_room(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct room_mail *m = LIST_ENTRY(mail, struct room_mail, mail);
    if (rt->group != NULL) {
        group_set_room(rt->group, &m->room);
    }
    free(m);
}

bool raft_thread_room(struct raft_thread *rt, const struct room *room)
{
    struct room_mail *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return false;
    }
    *m = (struct room_mail){.mail.deliver = deliver_room, .room = *room};
    if (!mailbox_post(&rt->mail, &m->mail.node)) {
        free(m); /* it is closed: nothing is written any more */
    }
    return true;
}

static void on_published(uv_async_t *async)
{
    struct raft_thread *rt = async->data;
    if (rt->group == NULL) {
        return; /* closed before the apply thread is */
    }
    struct store_digest d = store_digest_sample(rt->node->store);
    uint64_t index = atomic_load(&rt->node->published_index);
    group_set_published(rt->group, index, atomic_load(&rt->node->published_revision), d.index,
                        d.data, d.state);
}

void raft_thread_published(struct raft_thread *rt)
{
    (void)uv_async_send(&rt->published);
}

/* --- handing over, for shutdown --- */

struct hand_over {
    struct raft_transfer_letter transfer;
    struct mail mail;
    struct raft_thread *rt;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    int outcome; /* -1 = not yet */
    int holders; /* the waiter and the loop: the last one frees */
};

static void hand_over_finish(struct hand_over *h, int outcome)
{
    pthread_mutex_lock(&h->mutex);
    if (h->outcome < 0) {
        h->outcome = outcome;
    }
    int left = --h->holders;
    pthread_cond_signal(&h->done);
    pthread_mutex_unlock(&h->mutex);
    if (left == 0) {
        pthread_cond_destroy(&h->done);
        pthread_mutex_destroy(&h->mutex);
        free(h);
    }
}

static struct hand_over *hand_over_of(struct raft_letter *letter)
{
    struct raft_transfer_letter *l = LIST_ENTRY(letter, struct raft_transfer_letter, letter);
    return LIST_ENTRY(l, struct hand_over, transfer);
}

static void hand_over_replied(struct mail *mail, void *owner)
{
    struct hand_over *h = hand_over_of(LIST_ENTRY(mail, struct raft_letter, mail));
    hand_over_finish(h, h->transfer.error.code == 0);
}

static void hand_over_lost(struct raft_letter *letter)
{
    hand_over_finish(hand_over_of(letter), 0);
}

static void deliver_hand_over(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct hand_over *h = LIST_ENTRY(mail, struct hand_over, mail);
    struct group_status *s = malloc(sizeof *s);
    bool needed = false;
    if (s != NULL) {
        group_status(rt->group, s);
        needed = s->is_leader && s->members_len > 1;
        free(s);
    }
    if (!needed) {
        hand_over_finish(h, 0);
        return;
    }
    h->transfer.letter.reply = &rt->mail;
    h->transfer.letter.on_reply = hand_over_replied;
    h->transfer.letter.on_lost = hand_over_lost;
    deliver_transfer(&h->transfer.letter.mail, rt);
}

bool raft_thread_hand_over(struct raft_thread *rt, unsigned timeout_ms)
{
    struct hand_over *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return false;
    }
    h->mail.deliver = deliver_hand_over;
    h->transfer.deadline_us = node_now(rt->node) + timeout_ms * UINT64_C(1000);
    h->rt = rt;
    h->outcome = -1;
    h->holders = 2;
    pthread_mutex_init(&h->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&h->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!mailbox_post(&rt->mail, &h->mail.node)) {
        hand_over_finish(h, 0);
    }
    /* A second more than the group takes: it always answers. */
    uint64_t until_us = h->transfer.deadline_us + 1000000;
    const struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                                   .tv_nsec = (long)(until_us % 1000000) * 1000};
    pthread_mutex_lock(&h->mutex);
    while (h->outcome < 0 && pthread_cond_timedwait(&h->done, &h->mutex, &until) == 0) {
    }
    bool moved = h->outcome == 1;
    pthread_mutex_unlock(&h->mutex);
    hand_over_finish(h, 0);
    return moved;
}

/* --- life --- */

static int open_disk(struct raft_thread *rt, struct error *error)
{
    struct node *n = rt->node;
    const struct disk_options disk = {.loop = &rt->loop,
                                      .path = n->folder.raft_path,
                                      .clock = n->clock,
                                      .appends = &n->metrics.log_appends,
                                      .append_since_us = &n->metrics.append_since_us,
                                      .on_fatal = on_fatal,
                                      .arg = rt};
    int r = disk_new(&disk, &rt->disk, error);
    if (r == 0) {
        r = guard_file_open(n->folder.raft_path, &rt->mark, error);
    }
    if (r == 0) {
        r = guard_file_open(n->folder.path, &rt->witness, error);
    }
    if (r < 0) {
        return r;
    }
    const struct guard_options guard = {.io = disk_io(rt->disk),
                                        .disk = rt->mark,
                                        .witness = rt->witness,
                                        .clock = n->clock,
                                        .off = !n->config->log_guard,
                                        .on_due = on_mark_due,
                                        .on_fatal = on_fatal,
                                        .arg = rt};
    return guard_new(&guard, &rt->guard, error);
}

static int open_group(struct raft_thread *rt, struct error *error)
{
    struct node *n = rt->node;
    const struct config *c = n->config;
    int r = open_disk(rt, error);
    if (r < 0) {
        return r;
    }
    const struct peers_options peers = {.loop = &rt->loop,
                                        .listen = c->peer_listen[0] != 0 ? c->peer_listen
                                                                         : n->peer_address,
                                        .id = n->folder.identity.node,
                                        .cluster = n->folder.identity.cluster,
                                        .resolver = resolver_face(rt->resolver),
                                        .on_message = on_message,
                                        .is_gone = on_is_gone,
                                        .on_removed = on_peer_says_removed,
                                        .on_notice = on_notice,
                                        .arg = rt};
    r = peers_new(&peers, &rt->peers, error);
    if (r < 0) {
        return r;
    }
    const struct group_options group = {.id = n->folder.identity.node,
                                        .boot = n->boot,
                                        .address = n->peer_address,
                                        .folder = n->folder.path,
                                        .io = guard_io(rt->guard),
                                        .transport = peers_transport(rt->peers),
                                        .clock = n->clock,
                                        .queue = n->queue,
                                        .election_timeout_ms = (unsigned)c->election_timeout_ms,
                                        .heartbeat_ms = (unsigned)c->heartbeat_ms,
                                        .pending_bytes_max = c->pending_bytes_max,
                                        .unpublished_bytes_max = c->unpublished_bytes_max,
                                        .log_bytes_max = c->log_bytes,
                                        .store = n->store,
                                        .synced = atomic_load(&n->published_index),
                                        .contacts = n->folder.identity.members,
                                        .contacts_len = n->folder.identity.members_len,
                                        .callbacks = {.on_refused = on_refused,
                                                      .on_admit = on_admit,
                                                      .on_short = on_short,
                                                      .on_read_index = on_read_index,
                                                      .on_leader = on_leader,
                                                      .on_transfer = on_transfer,
                                                      .on_wake = on_wake,
                                                      .on_notice = on_notice,
                                                      .on_behind = on_behind,
                                                      .on_fetch = on_fetch,
                                                      .on_supply = on_supply,
                                                      .on_removed = on_group_removed,
                                                      .on_fatal = on_fatal},
                                        .arg = rt};
    return group_new(&group, &rt->group, error);
}

int raft_thread_new(struct node *n, struct raft_thread **ret, struct error *error)
{
    struct raft_thread *rt = calloc(1, sizeof *rt);
    if (rt == NULL || uv_loop_init(&rt->loop) != 0) {
        free(rt);
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    rt->node = n;
    list_init(&rt->transfers);
    rt->published.data = rt;
    rt->flush.data = rt;
    *ret = rt;
    if (mailbox_open(&rt->mail, &rt->loop, mail_deliver_all, rt) < 0 ||
        mailbox_open(&rt->proposals, &rt->loop, on_proposals, rt) < 0 ||
        uv_async_init(&rt->loop, &rt->published, on_published) != 0 ||
        uv_idle_init(&rt->loop, &rt->flush) != 0) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "the raft loop cannot be made");
    }
    int r = resolver_new(&rt->mail, &rt->resolver, error);
    return r < 0 ? r : open_group(rt, error);
}

static void run(void *arg)
{
    struct raft_thread *rt = arg;
    (void)uv_run(&rt->loop, UV_RUN_DEFAULT);
}

int raft_thread_start(struct raft_thread *rt, struct error *error)
{
    int r = mark_thread_start(rt->guard, &rt->marker, error);
    if (r == 0) {
        r = group_start(rt->group, error);
    }
    if (r < 0) {
        return r;
    }
    if (thread_start(&rt->thread, "raft", run, rt) < 0) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
    }
    rt->running = true;
    return 0;
}

static void on_peers_closed(void *arg)
{
    struct raft_thread *rt = arg;
    rt->peers = NULL;
    mailbox_close(&rt->mail);
    uv_close((uv_handle_t *)&rt->published, NULL);
    uv_close((uv_handle_t *)&rt->flush, NULL);
}

static void on_group_closed(void *arg)
{
    struct raft_thread *rt = arg;
    rt->group = NULL;
    peers_close(rt->peers, on_peers_closed, rt);
}

static void lose_transfers(struct raft_thread *rt)
{
    for (struct list *n; (n = list_pop_front(&rt->transfers)) != NULL;) {
        struct raft_transfer_letter *l = LIST_ENTRY(n, struct raft_transfer_letter, node);
        (void)error_set(&l->error, CLADE_ERR_UNAVAILABLE, NULL, "the node is stopping");
        raft_letter_return(&l->letter);
    }
}

static void deliver_stop(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    free(mail);
    lose_transfers(rt);
    mailbox_close(&rt->proposals);
    group_close(rt->group, on_group_closed, rt);
}

void raft_thread_stop(struct raft_thread *rt)
{
    if (rt == NULL || !rt->running) {
        return;
    }
    struct mail *stop = calloc(1, sizeof *stop);
    if (stop == NULL) {
        node_fatal_memory("stopping the raft loop");
    }
    stop->deliver = deliver_stop;
    if (!mailbox_post(&rt->mail, &stop->node)) {
        free(stop);
    }
    pthread_join(rt->thread, NULL);
    mark_thread_stop(rt->marker);
    rt->running = false;
}

void raft_thread_free(struct raft_thread *rt)
{
    if (rt == NULL) {
        return;
    }
    resolver_free(rt->resolver);
    if (rt->group == NULL && rt->peers == NULL) {
        guard_free(rt->guard);
        guard_file_close(rt->mark);
        guard_file_close(rt->witness);
        disk_free(rt->disk);
        (void)uv_loop_close(&rt->loop);
        mailbox_release(&rt->mail);
        mailbox_release(&rt->proposals);
        free(rt);
    }
    /* else the start failed, and the process ends: the loop is not run for its remains */
}
