#include "storage/apply.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "command/value.h"
#include "storage/command.h"
#include "storage/compact.h"
#include "storage/member_internal.h"
#include "storage/purge.h"
#include "storage/session.h"

/* The end of the year 9999: a clock beyond it would leave no room for the times after it. */
#define STAMP_US_MAX    253402300799999999u
#define SAMPLE_INTERVAL 1024 /* indexes between digest samples */

struct apply {
    struct rows rows;
    struct arena arena;
    struct arena scratch;
    struct buffer record;
    struct buffer body;
    struct buffer changes;
    struct error error; /* of the item that runs */
};

int apply_new(struct store *store, struct apply **ret, struct error *error)
{
    struct apply *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    rows_init(&a->rows, store);
    arena_init(&a->arena, COMMAND_ARENA_BYTES);
    arena_init(&a->scratch, OPERATION_ARENA_BYTES);
    buffer_init(&a->record, COMMAND_BUFFER_BYTES);
    buffer_init(&a->body, COMMAND_BUFFER_BYTES);
    buffer_init(&a->changes, COMMAND_BUFFER_BYTES);
    *ret = a;
    return 0;
}

void apply_free(struct apply *a)
{
    if (a == NULL) {
        return;
    }
    rows_release(&a->rows);
    arena_release(&a->arena);
    arena_release(&a->scratch);
    buffer_release(&a->record);
    buffer_release(&a->body);
    buffer_release(&a->changes);
    free(a);
}

int apply_begin(struct apply *a, struct error *error)
{
    int rc = rows_begin(&a->rows, error);
    return rc != 0 ? rc : floors_load(&a->rows.view);
}

/* --- Items -------------------------------------------------------------------------------------
 */

/* The answer of an item that did not go through: its error as a map. */
static int answer_error(struct apply *a, int code, struct apply_result *result)
{
    a->error.code = code;
    buffer_clear(&a->body);
    value_put_error(&a->body, &a->error, (struct span){0});
    if (a->body.failed) {
        return error_set(&a->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    result->code = code;
    result->changed = false;
    result->revision = a->rows.meta.revision;
    result->body = buffer_span(&a->body);
    return 0;
}

static uint64_t max_u64(uint64_t x, uint64_t y)
{
    return x > y ? x : y;
}

/* Runs a transaction and takes it back if it is refused. Returns 0 or a fatal code. */
static int run_command(struct apply *a,
                       const struct item *item,
                       uint64_t stamp_us,
                       struct apply_result *result)
{
    struct rows *rows = &a->rows;
    arena_reset(&a->arena);
    arena_reset(&a->scratch);
    buffer_clear(&a->body);
    buffer_clear(&a->changes);
    rows_mark(rows);
    struct command c = {
        .rows = rows,
        .view = &rows->view,
        .item = item,
        .arena = &a->arena,
        .scratch = &a->scratch,
        .record = &a->record,
        .body = &a->body,
        .changes = &a->changes,
        .revision = rows->meta.revision + 1,
        .time_us = max_u64(stamp_us, rows->meta.time_us + 1),
        .match_steps_left = CLADE_MAX_MATCH_STEPS,
        .cycle_visits_left = CLADE_MAX_CYCLE_EDGES,
        .error = &a->error,
    };
    int rc = command_run(&c);
    if (rc != 0) {
        if (code_is_fatal(rc)) {
            return rc;
        }
        /* Before the roll-back, whose reads might fill the error anew. */
        int answered = answer_error(a, rc, result);
        return answered != 0 ? answered : rows_undo(rows);
    }
    rows_seal(rows);
    if (c.changes_len > 0) {
        rows->meta.revision = c.revision;
        rows->meta.time_us = c.time_us;
        result->time_us = c.time_us;
        result->changed = true;
    }
    result->revision = rows->meta.revision;
    result->body = buffer_span(&a->body);
    return 0;
}

static int run_txn(struct apply *a,
                   const struct item *item,
                   uint64_t stamp_us,
                   struct apply_result *result)
{
    if (item->session == 0) {
        return run_command(a, item, stamp_us, result);
    }
    struct session session;
    int rc = session_find(&a->rows, item->session, &session);
    if (rc == 0) {
        rc = session_admit(&a->rows, &session, item, result);
    }
    if (rc < 0) {
        /* Refused for the session's own sake: nothing is kept of it. */
        return code_is_fatal(rc) ? rc : answer_error(a, rc, result);
    }
    if (rc == 1) {
        buffer_clear(&a->body);
        if (!buffer_append_span(&a->body, result->body)) {
            return error_set(&a->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
        }
        result->body = buffer_span(&a->body);
        return session_record(&a->rows, &session, item, NULL, &a->record);
    }
    rc = run_command(a, item, stamp_us, result);
    if (rc == 0) {
        rc = session_record(&a->rows, &session, item, result, &a->record);
    }
    return rc;
}

static int open_session(struct apply *a, const struct item *item, uint64_t *ret_id)
{
    if (item->command.len != 8) {
        return error_set(&a->error, CLADE_ERR_INVALID, "lease_ms",
                         "the lease must be a number of 8 bytes");
    }
    return session_open(&a->rows, get_u64le(item->command.data), ret_id);
}

static int run_item(struct apply *a,
                    const struct item *item,
                    uint64_t stamp_us,
                    struct apply_result *result)
{
    int rc;
    switch (item->kind) {
    case ITEM_TXN:
        return run_txn(a, item, stamp_us, result);
    case ITEM_SESSION_OPEN:
        rc = open_session(a, item, &result->session);
        break;
    case ITEM_SESSION_CLOSE:
        rc = session_close(&a->rows, item->session);
        break;
    case ITEM_MEMBER:
        rc = member_set_client(&a->rows, item->command);
        break;
    case ITEM_TICK:
        rc = 0;
        break;
    case ITEM_RETAIN:
        rc = compact_by_retention(&a->rows, &a->scratch, item->command,
                                  max_u64(stamp_us, a->rows.meta.time_us));
        break;
    default:
        rc = member_set_wanted(&a->rows, item->command);
        break;
    }
    if (rc == 0 || code_is_fatal(rc)) {
        return rc;
    }
    /* Each refuses before it writes, but for the sweep, which stays. */
    return answer_error(a, rc, result);
}

/* --- Entries -----------------------------------------------------------------------------------
 */

/* Moves the applied index, taking the digests at the newest multiple that it passes. Between two
 * entries nothing changes but the index, so the sample is the same however a node got there. */
static void advance_to(struct rows *rows, uint64_t index)
{
    uint64_t sample = index / SAMPLE_INTERVAL * SAMPLE_INTERVAL;
    if (sample > rows->meta.applied) {
        rows->meta.applied = sample;
        rows->meta.sample = meta_digest(&rows->meta);
    }
    rows->meta.applied = index;
}

static int check_gap(struct apply *a, uint64_t previous, uint64_t index, struct error *error)
{
    uint64_t applied = a->rows.meta.applied;
    if (previous <= applied && previous < index) {
        return 0;
    }
    return error_set(error, CLADE_ERR_CORRUPT, NULL,
                     "the log has a gap: entry %" PRIu64 " follows %" PRIu64
                     ", and the store is at %" PRIu64,
                     index, previous, applied);
}

/* Of an entry that was checked. */
static int run_items(struct apply *a,
                     const struct entry_header *header,
                     struct span rest,
                     apply_result_cb cb,
                     void *arg)
{
    for (unsigned i = 0; i < header->items; i++) {
        struct item item;
        size_t len;
        int rc = item_decode(rest, &item, &len, &a->error);
        CHECK(rc == 0);
        rest = span_skip(rest, len);
        struct apply_result result = {
            .id = item.id,
            .revision = a->rows.meta.revision,
            .time_us = max_u64(a->rows.meta.time_us, header->stamp_us),
        };
        rc = run_item(a, &item, header->stamp_us, &result);
        if (rc != 0) {
            return rc;
        }
        cb(arg, &result);
    }
    return 0;
}

int apply_entry(struct apply *a,
                uint64_t previous,
                uint64_t index,
                struct span entry,
                apply_result_cb cb,
                void *arg,
                struct error *error)
{
    struct rows *rows = &a->rows;
    CHECK(rows->view.txn != NULL);
    int rc = check_gap(a, previous, index, error);
    if (rc != 0 || index <= rows->meta.applied) {
        return rc;
    }
    struct entry_header header;
    rc = entry_check(entry, &header, error);
    if (rc != 0) {
        return rc;
    }
    if (header.stamp_us > STAMP_US_MAX) {
        header.stamp_us = STAMP_US_MAX;
    }
    rows->view.error = &a->error;
    if (index - 1 > rows->meta.applied) {
        advance_to(rows, index - 1);
    }
    rows->meta.session_ms += header.elapsed_ms;
    rc = run_items(a, &header, span_skip(entry, ENTRY_HEADER_BYTES), cb, arg);
    rc = rc != 0 ? rc
                 : purge_step(rows, &a->scratch, rows->meta.session_ms - header.elapsed_ms,
                              rows->meta.session_ms);
    if (rc != 0) {
        if (error != NULL) {
            *error = a->error;
        }
        return rc;
    }
    rows->meta.time_us = max_u64(rows->meta.time_us, header.stamp_us);
    advance_to(rows, index);
    return 0;
}

int apply_advance(struct apply *a, uint64_t previous, uint64_t index, struct error *error)
{
    CHECK(a->rows.view.txn != NULL);
    int rc = check_gap(a, previous, index, error);
    if (rc == 0 && index > a->rows.meta.applied) {
        advance_to(&a->rows, index);
    }
    return rc;
}

int apply_commit(struct apply *a, struct store_position *ret, struct error *error)
{
    int rc = rows_commit(&a->rows, error);
    if (rc == 0) {
        *ret = (struct store_position){
            .applied = a->rows.meta.applied,
            .revision = a->rows.meta.revision,
            .time_us = a->rows.meta.time_us,
        };
    }
    return rc;
}

void apply_abort(struct apply *a)
{
    rows_abort(&a->rows);
}

static int try_item(struct apply *a, uint64_t stamp_us, struct span bytes, struct apply_result *ret)
{
    struct item item;
    size_t len;
    int rc = item_decode(bytes, &item, &len, &a->error);
    if (rc == 0 && (item.kind != ITEM_TXN || len != bytes.len)) {
        rc = error_set(&a->error, CLADE_ERR_CORRUPT, NULL, "only a transaction can be tried");
    }
    if (rc != 0) {
        return rc;
    }
    uint64_t revision = a->rows.meta.revision;
    *ret = (struct apply_result){.id = item.id};
    rc = run_command(a, &item, stamp_us < STAMP_US_MAX ? stamp_us : STAMP_US_MAX, ret);
    ret->revision = revision;
    ret->time_us = max_u64(stamp_us, ret->time_us);
    ret->changed = false;
    return rc;
}

int apply_try(struct apply *a,
              uint64_t stamp_us,
              struct span item,
              apply_result_cb cb,
              void *arg,
              struct error *error)
{
    struct apply_result result;
    int rc = apply_begin(a, error);
    if (rc != 0) {
        rows_abort(&a->rows);
        return rc;
    }
    a->rows.view.error = &a->error;
    rc = try_item(a, stamp_us, item, &result);
    if (rc == 0) {
        cb(arg, &result);
    } else if (error != NULL) {
        *error = a->error;
    }
    rows_abort(&a->rows);
    return rc;
}

int apply_compact(struct apply *a, unsigned changes_max, bool *ret_more, struct error *error)
{
    CHECK(a->rows.view.txn != NULL);
    a->rows.view.error = &a->error;
    int rc = compact_step(&a->rows, &a->arena, &a->scratch, changes_max, ret_more);
    if (rc != 0 && error != NULL) {
        *error = a->error;
    }
    return rc;
}

uint64_t apply_batch_bytes(const struct apply *a)
{
    return a->rows.bytes;
}
