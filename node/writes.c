/* The life of a write on its serving thread: checked, proposed, answered by apply alone. */
#include "base/bytes.h"
#include "command/txn.h"
#include "node/raft_thread.h"
#include "node/serve_internal.h"

#define LEASE_MS_DEFAULT UINT64_C(3600000)
#define LEASE_MS_MIN     UINT64_C(1000)
#define LEASE_MS_MAX     (UINT64_C(30) * 24 * 3600 * 1000)

/* The command was decoded and is in the proposal: the arena's memory goes back, the charge is
 * what stays. */
static void recharge(struct request *r, uint64_t bytes)
{
    struct node *n = r->conn->serve->node;
    r->conn->in_flight_bytes += bytes - r->charged;
    if (bytes > r->charged) {
        atomic_fetch_add(&n->charged, bytes - r->charged);
    } else {
        node_discharge(n, r->charged - bytes);
    }
    r->charged = bytes;
    arena_reset(&r->arena);
}

/* Whose it is, and where the answer goes. */
static void sign(const struct request *r, struct item *item)
{
    const struct connection *c = r->conn;
    const struct node *n = c->serve->node;
    item->id =
        (struct proposal_id){.node = n->folder.identity.node, .boot = n->boot, .counter = r->key};
    item->principal = c->user;
    item->on_behalf_of = c->on_behalf_of;
    item->ns = c->ns;
}

static void propose(struct request *r, struct item *item, bool repeatable)
{
    struct serve *s = r->conn->serve;
    if (!table_add(s, r)) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    sign(r, item);
    r->proposal = proposal_new(item, repeatable, r->deadline_us);
    if (r->proposal == NULL) {
        table_remove(s, r);
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    recharge(r, r->proposal->len);
    r->state = REQUEST_WRITE;
    if (!list_is_linked(&r->timer.node)) {
        wheel_add(&s->wheel, &r->timer, r->deadline_us);
    }
    if (!raft_thread_propose(s->node->raft, r->proposal)) {
        table_remove(s, r);
        request_fail_code(r, CLADE_ERR_RETRY, "the node is stopping");
    }
}

void write_txn(struct request *r, const struct value *params)
{
    struct txn_params p;
    struct txn txn;
    struct error e = {.code = 0};
    /* What apply would refuse whatever the store holds is refused here, with the same error. */
    if (txn_params_decode(params, &p, &e) < 0 || txn_decode(p.command, &r->arena, &txn, &e) < 0) {
        request_fail(r, &e);
        return;
    }
    if (p.command.len > CLADE_MAX_COMMAND_BYTES) {
        request_fail_code(r, CLADE_ERR_LIMIT, "the transaction is too long");
        return;
    }
    request_in_namespace(r, txn.ns);
    if (p.dry_run) {
        r->tried = p.command;
        read_fresh(r);
        return;
    }
    struct item item = {.kind = ITEM_TXN,
                        .session = p.session,
                        .seq = p.seq,
                        .answered = p.answered,
                        .command = p.command};
    propose(r, &item, p.session != 0);
}

void write_try(struct request *r)
{
    struct serve *s = r->conn->serve;
    struct item item = {.kind = ITEM_TXN, .command = r->tried};
    if (!table_add(s, r)) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    sign(r, &item);
    r->state = REQUEST_TRIED;
    struct buffer bytes;
    buffer_init(&bytes, item_bytes(&item));
    item_encode(&bytes, &item);
    bool queued = !bytes.failed && apply_queue_try(s->node->queue, clock_wall_us(s->node->clock),
                                                   buffer_span(&bytes));
    buffer_release(&bytes);
    if (!queued) {
        table_remove(s, r);
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
    }
}

void write_session_open(struct request *r, const struct value *params)
{
    struct session_params p;
    struct error e = {.code = 0};
    uint8_t lease[8];
    if (session_params_decode(METHOD_SESSION_OPEN, params, &p, &e) < 0) {
        request_fail(r, &e);
        return;
    }
    r->lease_ms = p.lease_ms == 0 ? LEASE_MS_DEFAULT : p.lease_ms;
    if (r->lease_ms < LEASE_MS_MIN || r->lease_ms > LEASE_MS_MAX) {
        (void)error_set(&e, CLADE_ERR_INVALID, "lease_ms", "expected %llu to %llu",
                        (unsigned long long)LEASE_MS_MIN, (unsigned long long)LEASE_MS_MAX);
        request_fail(r, &e);
        return;
    }
    put_u64le(lease, r->lease_ms);
    struct item item = {.kind = ITEM_SESSION_OPEN, .command = span_make(lease, sizeof lease)};
    propose(r, &item, true); /* opened twice, one of the two is an idle lease */
}

void write_session_close(struct request *r, const struct value *params)
{
    struct session_params p;
    struct error e = {.code = 0};
    if (session_params_decode(METHOD_SESSION_CLOSE, params, &p, &e) < 0) {
        request_fail(r, &e);
        return;
    }
    struct item item = {.kind = ITEM_SESSION_CLOSE, .session = p.session};
    propose(r, &item, true);
}

/* It has the same effect twice. */
void write_member_wanted(struct request *r, const struct group_change *change)
{
    uint8_t command[9 + MEMBER_ADDRESS_BYTES];
    size_t len = strlen(change->address);
    put_u64le(command, change->id);
    command[8] = (uint8_t)change->wanted;
    memcpy(command + 9, change->address, len);
    struct item item = {.kind = ITEM_MEMBER_WANTED, .command = span_make(command, 9 + len)};
    propose(r, &item, true);
}

bool write_withdraw(struct request *r)
{
    return proposal_move(r->proposal, PROPOSAL_QUEUED, PROPOSAL_WITHDRAWN);
}

static void answer_session(struct request *r, const struct answer_record *a)
{
    const struct answer_head head = head_make(r->conn->serve, a->revision);
    answer_write_session(&r->conn->out, r->msgid, &head, a->session, r->lease_ms);
    request_finish(r, 0);
}

void write_answered(struct serve *s, const struct answer_record *a, struct span body)
{
    struct request *r = table_find(s, a->key);
    if (r == NULL || (r->state != REQUEST_WRITE && r->state != REQUEST_TRIED)) {
        return; /* its deadline has passed, or its client is gone */
    }
    if (r->state == REQUEST_WRITE) {
        (void)proposal_move(r->proposal, PROPOSAL_PROPOSED, PROPOSAL_ANSWERED);
    }
    table_remove(s, r);
    if (a->code != 0) {
        answer_write_error_body(&r->conn->out, r->msgid, body);
        request_finish(r, a->code);
    } else if (r->method == METHOD_SESSION_OPEN) {
        answer_session(r, a);
    } else if (r->method == METHOD_MEMBER) {
        member_change_taken(r);
    } else {
        struct answer_head head = head_make(s, a->revision);
        head.has_time = r->method == METHOD_TXN;
        head.time_us = a->time_us;
        request_answer(r, &head, body);
    }
}
