#include <stdlib.h>

#include "node/raft_thread_internal.h"

/* --- what the copier and the apply thread say --- */

struct body_mail {
    struct mail mail;
    bool is_supply;
    uint64_t to;
    size_t len;
    uint8_t bytes[];
};

static void deliver_body(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct body_mail *m = LIST_ENTRY(mail, struct body_mail, mail);
    struct span body = span_make(m->bytes, m->len);
    if (rt->group != NULL && m->is_supply) {
        group_send_supply(rt->group, m->to, body);
    } else if (rt->group != NULL) {
        group_send_fetch(rt->group, m->to, body);
    }
    free(m);
}

static void send_body(struct raft_thread *rt, uint64_t to, bool is_supply, struct span body)
{
    struct body_mail *m = malloc(sizeof *m + body.len);
    if (m == NULL) {
        return; /* as if it had been lost */
    }
    *m = (struct body_mail){
        .mail.deliver = deliver_body, .is_supply = is_supply, .to = to, .len = body.len};
    memcpy(m->bytes, body.data, body.len);
    if (!mailbox_post(&rt->mail, &m->mail.node)) {
        free(m);
    }
}

void raft_thread_send_fetch(struct raft_thread *rt, uint64_t to, struct span fetch)
{
    send_body(rt, to, false, fetch);
}

void raft_thread_send_supply(struct raft_thread *rt, uint64_t to, struct span supply)
{
    send_body(rt, to, true, supply);
}

struct marked_mail {
    struct mail mail;
    struct store_position position;
    struct store_digest digest;
};

static void deliver_marked(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct marked_mail *m = LIST_ENTRY(mail, struct marked_mail, mail);
    if (rt->group != NULL) {
        group_set_marked(rt->group, &m->position, &m->digest);
    }
    free(m);
}

void raft_thread_marked(struct raft_thread *rt,
                        const struct store_position *position,
                        const struct store_digest *digest)
{
    struct marked_mail *m = malloc(sizeof *m);
    if (m == NULL) {
        node_fatal_memory("telling of a mark"); /* the log would never be cut again */
    }
    *m = (struct marked_mail){
        .mail.deliver = deliver_marked, .position = *position, .digest = *digest};
    if (!mailbox_post(&rt->mail, &m->mail.node)) {
        free(m);
    }
}
