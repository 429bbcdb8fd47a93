/* A change of the members, as a client asks for it: checked on the leader, logged, and, when the
 * client waits, looked at until the configuration shows it.
 *
 *     NEW -> ASKING (may it be?) -> WRITE -> ASKING (how far is it?) -> answered
 *       \____________________________^            |          ^
 *        it is wanted already                     v          |
 *                                              WATCHING, 100 ms
 */
#include <inttypes.h>
#include <stdlib.h>

#include "node/endpoint.h"
#include "node/serve_internal.h"

#define DATA_BYTES_MAX (64U << 10)
#define PROGRESS_BYTES 480

struct member_change {
    struct group_change change;
    bool wait;
    bool taken;                    /* it is in the table of members */
    uint64_t there_index;          /* the configuration that shows it is not above; 0 = none does */
    char progress[PROGRESS_BYTES]; /* how far it was when it was looked at last */
};

void member_change_free(struct member_change *change)
{
    free(change);
}

/* --- answers --- */

static void fail(struct request *r, int code, const char *message)
{
    struct error e = {.code = 0};
    (void)error_set(&e, code, NULL, "%s", message);
    request_fail_with_leader(r, &e);
}

void member_change_expire(struct request *r, bool cancelled)
{
    const struct member_change *c = r->change;
    if (c->taken) {
        fail(r, CLADE_ERR_UNKNOWN, c->progress);
    } else if (cancelled) {
        fail(r, CLADE_ERR_CANCELLED, "cancelled before it was proposed");
    } else {
        fail(r, CLADE_ERR_UNAVAILABLE, "no answer in time; nothing happened");
    }
}

static void answer(struct request *r, const struct group_status *status)
{
    const struct group_change *c = &r->change->change;
    struct buffer b;
    buffer_init(&b, DATA_BYTES_MAX);
    status_put_member(&b, r->conn->serve->node, status, c->id, c->wanted, c->address);
    status_answer(r, &b);
}

/* --- how far it is --- */

static const struct group_member_status *find(const struct group_status *status, uint64_t id)
{
    for (size_t i = 0; i < status->members_len; i++) {
        if (status->members[i].member.id == id) {
            return &status->members[i];
        }
    }
    return NULL;
}

static bool is_there(const struct group_member_status *m, enum member_wanted wanted)
{
    switch (wanted) {
    case MEMBER_VOTER:
        return m != NULL && m->member.role == GROUP_VOTER;
    case MEMBER_STANDBY:
        return m != NULL && m->member.role == GROUP_STANDBY;
    default:
        return m == NULL;
    }
}

/* Raft goes by a configuration as soon as it is in the log; it stays when it is committed. */
static bool is_done(struct member_change *c,
                    const struct group_member_status *m,
                    const struct group_status *status)
{
    if (!is_there(m, c->change.wanted)) {
        c->there_index = 0;
        return false;
    }
    if (c->there_index == 0) {
        c->there_index = status->last_index;
    }
    return status->commit >= c->there_index;
}

static void note_progress(struct member_change *c,
                          const struct group_member_status *m,
                          const struct group_status *status)
{
    static const char *const roles[] = {
        [GROUP_VOTER] = "voter", [GROUP_STANDBY] = "standby", [GROUP_SPARE] = "spare"};
    char *to = c->progress;
    uint64_t id = c->change.id;
    if (m == NULL) {
        (void)snprintf(to, PROGRESS_BYTES,
                       "accepted; node %" PRIu64 " is not in the configuration yet", id);
    } else if (c->change.wanted == MEMBER_REMOVED || m->member.role == GROUP_VOTER) {
        (void)snprintf(to, PROGRESS_BYTES, "accepted; node %" PRIu64 " is a %s still", id,
                       roles[m->member.role]);
    } else if (!m->connected || !m->heard) {
        (void)snprintf(to, PROGRESS_BYTES,
                       "accepted; node %" PRIu64 " is a %s and does not answer at %s: is it "
                       "started, and with the cluster's id?",
                       id, roles[m->member.role], m->member.address);
    } else if (m->copy_bytes_total > 0) {
        (void)snprintf(to, PROGRESS_BYTES,
                       "accepted; node %" PRIu64 " is a %s and has %" PRIu64 "%% of the copy", id,
                       roles[m->member.role],
                       (uint64_t)((double)m->copy_bytes / (double)m->copy_bytes_total * 100));
    } else {
        (void)snprintf(to, PROGRESS_BYTES,
                       "accepted; node %" PRIu64 " is a %s; its store is at log index %" PRIu64
                       " of %" PRIu64,
                       id, roles[m->member.role], m->published, status->commit);
    }
}

static void look(struct request *r, const struct group_status *status)
{
    struct member_change *c = r->change;
    const struct group_member_status *m = find(status, c->change.id);
    note_progress(c, m, status);
    if (!c->wait || is_done(c, m, status)) {
        answer(r, status);
    } else if (status->leader != 0 && !status->is_leader) {
        /* The new leader goes on; a node that is out of the configuration would wait in vain. */
        fail(r, CLADE_ERR_RETRY, c->progress);
    } else {
        r->state = REQUEST_WATCHING;
        list_push_back(&r->conn->serve->watching, &r->node);
    }
}

static void on_first_look(struct mail *mail, void *owner)
{
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_status_letter *l = LIST_ENTRY(letter, struct raft_status_letter, letter);
    struct request *r = ask_raft_answered(owner, letter);
    if (r != NULL) {
        look(r, &l->status);
    }
    free(l);
}

/* Looks at all that wait; status NULL: the node stops. */
static void look_at_all(struct serve *s, const struct group_status *status)
{
    struct list now;
    list_init(&now);
    list_splice_back(&now, &s->watching);
    for (struct list *n; (n = list_pop_front(&now)) != NULL;) {
        struct request *r = LIST_ENTRY(n, struct request, node);
        if (status == NULL) {
            fail(r, CLADE_ERR_RETRY, r->change->progress);
        } else {
            look(r, status);
        }
    }
}

static void on_look(struct mail *mail, void *owner)
{
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_status_letter *l = LIST_ENTRY(letter, struct raft_status_letter, letter);
    struct serve *s = owner;
    s->looking = false;
    look_at_all(s, &l->status);
    free(l);
}

void member_changes_look(struct serve *s)
{
    if (s->draining) {
        look_at_all(s, NULL);
        return;
    }
    struct raft_status_letter *l = s->looking ? NULL : calloc(1, sizeof *l);
    if (l == NULL) {
        return; /* looked at 100 ms later */
    }
    l->letter.reply = &s->mail;
    l->letter.on_reply = on_look;
    s->looking = raft_thread_status(s->node->raft, l);
    if (!s->looking) {
        free(l);
    }
}

void member_change_taken(struct request *r)
{
    r->state = REQUEST_NEW;
    r->change->taken = true;
    (void)snprintf(r->change->progress, PROGRESS_BYTES, "accepted");
    (void)ask_status(r, on_first_look);
}

/* --- asking for it --- */

static void on_checked(struct mail *mail, void *owner)
{
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_change_letter *l = LIST_ENTRY(letter, struct raft_change_letter, letter);
    struct request *r = ask_raft_answered(owner, letter);
    if (r != NULL && l->error.code != 0) {
        request_fail_with_leader(r, &l->error);
    } else if (r != NULL) {
        write_member_wanted(r, &r->change->change);
    }
    free(l);
}

static void check(struct request *r)
{
    struct raft_change_letter *l = calloc(1, sizeof *l);
    if (l == NULL) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    l->change = r->change->change;
    if (!ask_raft(r, &l->letter, on_checked)) {
        free(l);
    } else if (!raft_thread_check_change(r->conn->serve->node->raft, l)) {
        free(l);
        ask_raft_refused(r);
    }
}

/* Whether the same was asked for before: then it may be. It is logged all the same, since what came
 * after it may be committed and not in the store yet. */
static bool is_wanted(struct node *n, const struct group_change *c)
{
    struct member_record record;
    return store_member(n->store, c->id, &record, NULL) == 0 && record.wanted == c->wanted &&
           (!c->is_add || strcmp(record.peer_address, c->address) == 0);
}

static enum member_wanted wanted_by(const struct member_params *p)
{
    switch (p->action) {
    case ACTION_ADD:
        return p->promote ? MEMBER_VOTER : MEMBER_STANDBY;
    case ACTION_PROMOTE:
        return MEMBER_VOTER;
    case ACTION_DEMOTE:
        return MEMBER_STANDBY;
    default:
        return MEMBER_REMOVED;
    }
}

static int decode(const struct value *params, struct member_change *ret, struct error *error)
{
    struct member_params p;
    char host[256];
    char port[8];
    int r = member_params_decode(params, &p, error);
    if (r < 0) {
        return r;
    }
    *ret = (struct member_change){
        .change = {.wanted = wanted_by(&p), .id = p.node, .is_add = p.action == ACTION_ADD},
        .wait = p.wait};
    if (!ret->change.is_add) {
        return 0;
    }
    if (memchr(p.address.data, 0, p.address.len) != NULL) {
        return error_set(error, CLADE_ERR_INVALID, "address", "is not HOST:PORT");
    }
    memcpy(ret->change.address, p.address.data, p.address.len);
    return endpoint_split(ret->change.address, host, sizeof host, port)
               ? 0
               : error_set(error, CLADE_ERR_INVALID, "address", "'%s' is not HOST:PORT",
                           ret->change.address);
}

void member_change(struct request *r, const struct value *params)
{
    struct node *n = r->conn->serve->node;
    struct error e = {.code = 0};
    struct member_change *c = calloc(1, sizeof *c);
    r->change = c; /* freed with the request */
    if (c == NULL) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
    } else if (decode(params, c, &e) < 0) {
        request_fail(r, &e);
    } else if (atomic_load(&n->leader) != n->folder.identity.node) {
        fail(r, CLADE_ERR_RETRY, "this node does not lead");
    } else if (is_wanted(n, &c->change)) {
        write_member_wanted(r, &c->change);
    } else {
        check(r);
    }
}
