/* Backups, as clients ask for them: each request goes to the copier's thread and comes back. */
#include <inttypes.h>

#include "node/copier.h"
#include "node/map_put.h"
#include "node/serve_internal.h"

#define DATA_BYTES_MAX (CLADE_MAX_ANSWER_BYTES - ANSWER_SLACK_BYTES / 2)

static void put_bytes(struct buffer *b, struct span bytes)
{
    value_put_str(b, "bytes");
    value_put_bytes(b, bytes);
}

/* Up to when what was acknowledged is in it. Behind store time that is so only of what a
 * linearizable read sees, by this node's clock. */
static uint64_t covers_us(const struct backup_letter *l)
{
    return l->asked_us > l->info.time_us ? l->asked_us : l->info.time_us;
}

/* When the request came, by the wall's clock. */
static uint64_t asked_us(const struct request *r)
{
    const struct node *n = r->conn->serve->node;
    uint64_t ago_us = node_now(n) - r->started_us;
    return clock_wall_us(n->clock) - ago_us;
}

static void put_opened(struct buffer *b, const struct node *n, const struct backup_letter *l)
{
    value_put_map(b, 10);
    map_put_uint(b, "copy", l->copy);
    map_put_uint(b, "bytes", l->info.bytes);
    map_put_uint(b, "index", l->info.applied);
    map_put_uint(b, "revision", l->info.revision);
    map_put_uint(b, "time", l->info.time_us);
    map_put_uint(b, "covers", covers_us(l));
    map_put_uint(b, "store_format", store_format());
    map_put_hash(b, "cluster", n->folder.identity.cluster);
    map_put_hash(b, "data", l->info.data);
    map_put_hash(b, "state", l->info.state);
}

static void put_answer(struct buffer *b, const struct node *n, const struct backup_letter *l)
{
    switch (l->params.action) {
    case BACKUP_OPEN:
        put_opened(b, n, l);
        return;
    case BACKUP_READ:
        value_put_map(b, 2);
        map_put_uint(b, "checksum", l->checksum);
        put_bytes(b, buffer_span(&l->bytes));
        return;
    case BACKUP_ENTRIES:
        value_put_map(b, 2);
        map_put_uint(b, "last", l->last);
        put_bytes(b, buffer_span(&l->bytes));
        return;
    default:
        value_put_nil(b);
        return;
    }
}

static void on_answer(struct mail *mail, void *owner)
{
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct backup_letter *l = LIST_ENTRY(letter, struct backup_letter, letter);
    struct request *r = ask_raft_answered(owner, letter);
    if (r != NULL && l->error.code != 0) {
        request_fail(r, &l->error);
    } else if (r != NULL) {
        struct buffer b;
        buffer_init(&b, DATA_BYTES_MAX);
        put_answer(&b, r->conn->serve->node, l);
        status_answer(r, &b);
    }
    backup_letter_free(letter);
}

void backup_run(struct request *r)
{
    struct backup_letter *l = backup_letter_new(r->backup);
    if (l == NULL) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    if (r->backup->action == BACKUP_OPEN && r->backup->consistency == CLADE_LINEARIZABLE) {
        l->asked_us = asked_us(r);
    }
    if (!ask_raft(r, &l->letter, on_answer)) {
        backup_letter_free(&l->letter);
        return;
    }
    if (!copier_backup(r->conn->serve->node->copier, l)) {
        backup_letter_free(&l->letter);
        table_remove(r->conn->serve, r);
        r->state = REQUEST_NEW;
        request_fail_code(r, CLADE_ERR_THROTTLED, "too much waits to be copied; ask later");
    }
}

void backup_request(struct request *r, const struct value *params)
{
    struct error e = {.code = 0};
    struct backup_params p;
    if (backup_params_decode(params, &p, &e) < 0) {
        request_fail(r, &e);
        return;
    }
    r->backup = arena_calloc(&r->arena, 1, sizeof *r->backup);
    if (r->backup == NULL) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    *r->backup = p;
    if (p.action == BACKUP_OPEN) {
        r->query = (struct query){.consistency = p.consistency, .at_least = p.at_least};
        read_begin(r);
    } else {
        backup_run(r);
    }
}
