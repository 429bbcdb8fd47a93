#include "node/backup_source.h"

#include <inttypes.h>
#include <stdlib.h>

#include "consensus/message.h"
#include "consensus/supplier.h"
#include "consensus/supply_wire.h"

#define THE_FETCH 1 /* the one that opens a client's copy: said twice, it opens one */

struct backup_source {
    struct node *node;
    struct supplier *supplier; /* its askers are backups, by their numbers */
    struct buffer answer;
    uint64_t opened_id;       /* of the backup whose copy was opened last */
    uint64_t opened_asked_us; /* when that was asked for first */
};

/* --- letters --- */

struct backup_letter *backup_letter_new(const struct backup_params *params)
{
    struct backup_letter *l = calloc(1, sizeof *l);
    if (l != NULL) {
        l->params = *params;
        l->letter.on_lost = backup_letter_free;
        buffer_init(&l->bytes, PEER_MESSAGE_BYTES_MAX);
    }
    return l;
}

void backup_letter_free(struct raft_letter *letter)
{
    struct backup_letter *l = LIST_ENTRY(letter, struct backup_letter, letter);
    buffer_release(&l->bytes);
    free(l);
}

/* --- life --- */

static void on_notice(void *arg, const char *what, uint64_t id)
{
    log_warning(what, LOG_U64("backup", id));
}

int backup_source_new(struct node *n, struct backup_source **ret, struct error *error)
{
    struct backup_source *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    b->node = n;
    buffer_init(&b->answer, PEER_MESSAGE_BYTES_MAX);
    *ret = b;
    const struct supplier_options options = {.store = n->store,
                                             .archive = n->archive,
                                             .clock = n->clock,
                                             .boot = n->boot,
                                             .rate_bytes = n->config->catch_up_rate_bytes,
                                             .keeps_nothing = true,
                                             .on_notice = on_notice};
    return supplier_new(&options, &b->supplier, error);
}

void backup_source_free(struct backup_source *b)
{
    if (b == NULL) {
        return;
    }
    supplier_free(b->supplier);
    buffer_release(&b->answer);
    free(b);
}

void backup_source_tick(struct backup_source *b)
{
    supplier_tick(b->supplier);
}

/* --- asking the supplier --- */

/* Its answer borrows from b->answer. */
static int ask(struct backup_source *b,
               const struct backup_params *p,
               struct fetch *f,
               struct supply *ret,
               uint64_t *ret_delay_us)
{
    struct buffer fetch;
    f->boot = p->id;
    f->number = THE_FETCH;
    buffer_init(&fetch, FETCH_BYTES_MAX);
    fetch_encode(&fetch, f);
    bool answered = !fetch.failed && supplier_answer(b->supplier, p->id, buffer_span(&fetch),
                                                     &b->answer, ret_delay_us);
    buffer_release(&fetch);
    return answered && supply_decode(buffer_span(&b->answer), ret) ? ret->code
                                                                   : CLADE_ERR_NO_MEMORY;
}

static uint32_t wanted_bytes(const struct backup_params *p)
{
    return p->bytes < UINT32_MAX ? (uint32_t)p->bytes : UINT32_MAX;
}

static void fail(struct backup_letter *l, int code)
{
    struct error *e = &l->error;
    switch (code) {
    case CLADE_ERR_NOT_FOUND:
        (void)error_set(
            e, code, "copy",
            "this node has no such backup open: it was begun at another node, or nobody "
            "read it for a minute, or the store grew too much meanwhile; begin it anew");
        return;
    case CLADE_ERR_THROTTLED:
        (void)error_set(e, code, NULL,
                        l->params.action == BACKUP_OPEN
                            ? "another backup is being taken from this node; ask another node, or "
                              "later"
                            : "the rate of copies (catch_up_rate_bytes) is used up");
        return;
    case CLADE_ERR_INVALID:
        (void)error_set(e, code, "offset", "it is not within the store");
        return;
    default:
        (void)error_set(e, code, NULL, "this node cannot give a backup; its log says more");
        return;
    }
}

/* --- the store --- */

static int open_store(struct backup_source *b, struct backup_letter *l)
{
    struct fetch f = {.what = SUPPLY_OPEN_COPY};
    struct supply s;
    uint64_t delay_us;
    int rc = ask(b, &l->params, &f, &s, &delay_us);
    if (rc == 0) {
        l->copy = s.copy;
        l->info = s.info;
        if (b->opened_id != l->params.id) {
            b->opened_id = l->params.id;
            b->opened_asked_us = l->asked_us;
        }
        l->asked_us = b->opened_asked_us; /* said twice, it is the one copy */
    }
    return rc;
}

static int read_store(struct backup_source *b, struct backup_letter *l, uint64_t *ret_delay_us)
{
    const struct backup_params *p = &l->params;
    struct fetch f = {
        .what = SUPPLY_READ_COPY, .copy = p->copy, .offset = p->offset, .bytes = wanted_bytes(p)};
    struct supply s;
    int rc = ask(b, p, &f, &s, ret_delay_us);
    if (rc == 0) {
        l->checksum = s.checksum;
        rc = buffer_append_span(&l->bytes, s.bytes) ? 0 : CLADE_ERR_NO_MEMORY;
    }
    return rc;
}

/* --- entries --- */

static int say_compacted(struct backup_source *b, struct backup_letter *l)
{
    uint64_t base;
    uint64_t last;
    archive_range(b->node->archive, &base, &last);
    (void)error_set(&l->error, CLADE_ERR_COMPACTED, NULL,
                    "this node's archive goes back to index %" PRIu64
                    ", and entries behind index %" PRIu64
                    " are wanted: ask another node, or take a full backup (archive_bytes says how "
                    "much is kept)",
                    base, l->params.after);
    return CLADE_ERR_COMPACTED;
}

/* What the store is at one commit. */
static void look_at_store(struct store *store, struct store_copy_info *ret)
{
    struct store_position p;
    struct store_digest d;
    do {
        p = store_position(store);
        d = store_digest_current(store);
    } while (d.index != p.applied);
    *ret = (struct store_copy_info){.applied = p.applied,
                                    .revision = p.revision,
                                    .time_us = p.time_us,
                                    .data = d.data,
                                    .state = d.state};
}

static int open_entries(struct backup_source *b, struct backup_letter *l)
{
    uint64_t base;
    uint64_t last;
    look_at_store(b->node->store, &l->info);
    archive_range(b->node->archive, &base, &last);
    if (l->params.after > l->info.applied) {
        return error_set(&l->error, CLADE_ERR_INVALID, "after",
                         "this cluster is at index %" PRIu64
                         ", before that of the backup: it is another one, or this node is behind",
                         l->info.applied);
    }
    bool reaches = l->params.after >= base && last >= l->info.applied;
    return reaches || l->params.after == l->info.applied ? 0 : say_compacted(b, l);
}

/* Takes the records that cover something up to `until`. */
static int take_records(struct backup_letter *l, struct span records, uint64_t last)
{
    struct span rest = records;
    struct archive_record r;
    uint64_t until = l->params.until;
    size_t taken = 0;
    int rc = 0;
    while (rest.len > 0 && (rc = archive_record_next(&rest, &r, NULL)) == 0 && r.previous < until) {
        taken = records.len - rest.len;
    }
    l->last = last < until ? last : until;
    return rc != 0                                                         ? rc
           : buffer_append_span(&l->bytes, span_make(records.data, taken)) ? 0
                                                                           : CLADE_ERR_NO_MEMORY;
}

static int read_entries(struct backup_source *b, struct backup_letter *l, uint64_t *ret_delay_us)
{
    const struct backup_params *p = &l->params;
    struct fetch f = {.what = SUPPLY_ARCHIVE, .after = p->after, .bytes = wanted_bytes(p)};
    struct supply s;
    int rc = ask(b, p, &f, &s, ret_delay_us);
    if (rc == CLADE_ERR_COMPACTED || (rc == 0 && s.bytes.len == 0)) {
        return say_compacted(b, l);
    }
    return rc != 0 ? rc : take_records(l, s.bytes, s.last);
}

void backup_source_answer(struct backup_source *b, struct backup_letter *l, uint64_t *ret_delay_us)
{
    struct fetch close = {.what = SUPPLY_CLOSE_COPY, .copy = l->params.copy};
    struct supply closed;
    int rc = 0;
    switch (l->params.action) {
    case BACKUP_OPEN:
        rc = l->params.entries ? open_entries(b, l) : open_store(b, l);
        break;
    case BACKUP_READ:
        rc = read_store(b, l, ret_delay_us);
        break;
    case BACKUP_ENTRIES:
        rc = read_entries(b, l, ret_delay_us);
        break;
    default:
        rc = ask(b, &l->params, &close, &closed, ret_delay_us);
        break;
    }
    if (rc != 0 && l->error.code == 0) {
        fail(l, rc);
    }
}
