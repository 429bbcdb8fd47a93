#include "consensus/catch_up.h"

#include <stdlib.h>

#include "base/check.h"
#include "consensus/archive.h"
#include "consensus/catch_up_internal.h"
#include "storage/entry.h"

#define CHUNK_BYTES     ((size_t)256 << 10)
#define CHUNK_BYTES_MAX ((size_t)1 << 20)
#define WINDOW          4
#define TIMEOUT_US      2000000u
#define QUEUE_BYTES_MAX (32u << 20)
#define QUEUE_PAUSE_US  20000u
#define DRY_PAUSE_US    250000u
#define HEADROOM_BYTES  (UINT64_C(64) << 20)
#define SYNC_BYTES      (UINT64_C(8) << 20)
#define ARCHIVE_BYTES   (256u << 10)

static const bool may_follow[CATCH_UP_STATE_COUNT][CATCH_UP_STATE_COUNT] = {
    [CATCH_UP_IDLE] = {[CATCH_UP_ARCHIVE] = true},
    [CATCH_UP_ARCHIVE] = {[CATCH_UP_IDLE] = true, [CATCH_UP_OPENING] = true},
    [CATCH_UP_OPENING] =
        {[CATCH_UP_COPYING] = true, [CATCH_UP_CHECKING] = true, [CATCH_UP_ARCHIVE] = true},
    [CATCH_UP_COPYING] =
        {[CATCH_UP_CHECKING] = true, [CATCH_UP_OPENING] = true, [CATCH_UP_ARCHIVE] = true},
    [CATCH_UP_CHECKING] = {[CATCH_UP_SWAPPING] = true, [CATCH_UP_ARCHIVE] = true},
    [CATCH_UP_SWAPPING] = {[CATCH_UP_ARCHIVE] = true},
};

uint64_t catch_up_now(const struct catch_up *c)
{
    return clock_monotonic_us(c->options.clock);
}

void catch_up_move(struct catch_up *c, enum catch_up_state to)
{
    CHECK(may_follow[c->state][to]);
    c->state = to;
}

uint64_t catch_up_position(const struct catch_up *c)
{
    uint64_t queued = apply_queue_last(c->options.queue);
    uint64_t applied = store_position(c->options.store).applied;
    return queued > applied ? queued : applied;
}

/* --- the archive --- */

static void begin_archive_round(struct catch_up *c)
{
    catch_up_begin_round(c);
    c->compacted = false;
    c->moved = false;
}

void catch_up_begin_archive(struct catch_up *c)
{
    catch_up_move(c, CATCH_UP_ARCHIVE);
    begin_archive_round(c);
}

/* What the store has beyond the queue, of an earlier start or of a copy, the queue must know of
 * before more is pushed to it, or a mark is put behind it. */
static void tell_queue(struct catch_up *c)
{
    apply_queue_expect(c->options.queue, store_position(c->options.store).applied);
}

static void finish(struct catch_up *c)
{
    catch_up_leave_source(c);
    catch_up_move(c, CATCH_UP_IDLE);
    c->backoff_us = CATCH_UP_BACKOFF_US_MIN;
    c->hold_us = 0;
    incoming_drop(&c->incoming); /* the archive sufficed after all */
    c->options.callbacks.sync(c->options.arg, c->target);
}

/* All were asked. */
static void end_archive_round(struct catch_up *c)
{
    if (c->moved) {
        c->hold_us = catch_up_now(c) + DRY_PAUSE_US; /* archives grow as members apply */
    } else if (c->compacted) {
        catch_up_begin_copy(c);
        return;
    } else {
        catch_up_notice(c, CAUSE_NOBODY, 0);
        catch_up_back_off(c);
    }
    begin_archive_round(c);
}

static void ask_archive(struct catch_up *c)
{
    if (c->ask.number == 0) {
        tell_queue(c);
        c->ask.after = apply_queue_last(c->options.queue);
    }
    struct fetch f = {.what = SUPPLY_ARCHIVE, .after = c->ask.after, .bytes = ARCHIVE_BYTES};
    catch_up_send(c, &f, &c->ask);
}

static uint64_t step_archive(struct catch_up *c)
{
    uint64_t now = catch_up_now(c);
    if (catch_up_position(c) >= c->target) {
        finish(c);
        return UINT64_MAX;
    }
    if (now < c->hold_us) {
        return c->hold_us;
    }
    if (c->source == 0 && !catch_up_take_source(c)) {
        end_archive_round(c);
        return now;
    }
    if (c->ask.number == 0 && apply_queue_bytes(c->options.queue) >= c->options.queue_bytes_max) {
        c->useful_us = now; /* it is this node that is slow */
        return now + QUEUE_PAUSE_US;
    }
    if (now >= catch_up_stall_us(c)) {
        catch_up_notice(c, CAUSE_STALL, c->source);
        catch_up_leave_source(c);
        return now;
    }
    if (c->ask.number == 0 || catch_up_is_late(c, &c->ask)) {
        ask_archive(c);
    }
    return c->ask.due_us;
}

/* Apply stops the node when an entry is not well-formed: it must not come that far. */
static bool entry_makes_sense(struct span entry)
{
    struct entry_header header;
    return entry.len == 0 || entry_check(entry, &header, NULL) != CLADE_ERR_CORRUPT;
}

/* The records cover every index above `after` up to the supply's last, once. */
static bool records_make_sense(const struct supply *s, uint64_t after)
{
    struct span rest = s->bytes;
    struct archive_record r;
    uint64_t at = 0;
    bool first = true;
    while (rest.len > 0) {
        if (archive_record_next(&rest, &r, NULL) != 0 ||
            (first ? r.previous > after || r.index <= after : r.previous != at) ||
            !entry_makes_sense(r.bytes)) {
            return false;
        }
        at = r.index;
        first = false;
    }
    return s->last == (first ? after : at);
}

/* Nothing beyond the target, which Raft has said is there: what a member says of higher indexes
 * would be published, and every entry that Raft gives later be taken for known. A record that
 * reaches beyond has no entry up to the target. */
static void push_records(struct catch_up *c, struct span records)
{
    struct archive_record r = {0};
    while (records.len > 0 && r.index < c->target && archive_record_next(&records, &r, NULL) == 0) {
        bool beyond = r.index > c->target;
        CHECK(apply_queue_push_follow(c->options.queue, r.previous, beyond ? c->target : r.index,
                                      beyond ? (struct span){0} : r.bytes));
    }
}

static void on_archive(struct catch_up *c, const struct supply *s)
{
    uint64_t after = c->ask.after;
    c->ask = (struct catch_up_ask){0};
    if (s->code == CLADE_ERR_THROTTLED) {
        c->excused_us = catch_up_now(c);
        c->hold_us = c->excused_us + DRY_PAUSE_US;
    } else if (s->code != 0) {
        /* One that cannot be read is as good as none. */
        c->compacted |= s->code == CLADE_ERR_COMPACTED || s->code == CLADE_ERR_IO;
        catch_up_leave_source(c);
    } else if (!records_make_sense(s, after)) {
        catch_up_suspect_source(c, CAUSE_CONTRADICTION);
        catch_up_leave_source(c);
    } else if (s->bytes.len == 0) {
        catch_up_leave_source(c); /* it has nothing newer */
    } else {
        push_records(c, s->bytes);
        c->moved = true;
        c->useful_us = catch_up_now(c);
        c->backoff_us = CATCH_UP_BACKOFF_US_MIN;
    }
}

/* --- from outside --- */

void catch_up_want(struct catch_up *c, uint64_t index, const uint64_t *sources, size_t n)
{
    catch_up_set_sources(c, sources, n);
    c->target = index > c->target ? index : c->target;
    if (c->state != CATCH_UP_IDLE) {
        return;
    }
    if (catch_up_position(c) >= index) {
        tell_queue(c);
        c->options.callbacks.sync(c->options.arg, index); /* it is there, and not yet synced */
    } else if (c->sources_len > 0) {
        c->target = index;
        catch_up_begin_archive(c);
    }
}

void catch_up_receive(struct catch_up *c, uint64_t from, struct span supply)
{
    struct supply s;
    if (!supply_decode(supply, &s)) {
        c->refused++;
        return;
    }
    bool expected = s.boot == c->options.boot && from == c->source && from != 0;
    bool asked = expected && c->ask.number != 0 && s.number == c->ask.number;
    if (c->state == CATCH_UP_ARCHIVE && asked && s.what == SUPPLY_ARCHIVE) {
        on_archive(c, &s);
    } else if (c->state == CATCH_UP_OPENING && asked && s.what == SUPPLY_OPEN_COPY) {
        catch_up_on_opened(c, &s);
    } else if (c->state != CATCH_UP_COPYING || !expected || s.what != SUPPLY_READ_COPY ||
               !catch_up_on_chunk(c, &s)) {
        c->dropped++;
    }
}

uint64_t catch_up_step(struct catch_up *c)
{
    switch (c->state) {
    case CATCH_UP_ARCHIVE:
        return step_archive(c);
    case CATCH_UP_OPENING:
        return catch_up_step_opening(c);
    case CATCH_UP_COPYING:
        return catch_up_step_copying(c);
    case CATCH_UP_CHECKING:
        return catch_up_step_checking(c);
    default:
        return UINT64_MAX;
    }
}

/* --- life --- */

static void set_defaults(struct catch_up_options *o)
{
    o->headroom_bytes = o->headroom_bytes == 0 ? HEADROOM_BYTES : o->headroom_bytes;
    o->chunk_bytes = o->chunk_bytes == 0 ? CHUNK_BYTES : o->chunk_bytes;
    o->chunk_bytes = o->chunk_bytes > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : o->chunk_bytes;
    o->window = o->window == 0 ? WINDOW : o->window;
    o->window = o->window > CATCH_UP_WINDOW_MAX ? CATCH_UP_WINDOW_MAX : o->window;
    o->timeout_us = o->timeout_us == 0 ? TIMEOUT_US : o->timeout_us;
    o->sync_bytes = o->sync_bytes == 0 ? SYNC_BYTES : o->sync_bytes;
    o->queue_bytes_max = o->queue_bytes_max == 0 ? QUEUE_BYTES_MAX : o->queue_bytes_max;
}

int catch_up_new(const struct catch_up_options *options, struct catch_up **ret, struct error *error)
{
    struct catch_up *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    c->options = *options;
    set_defaults(&c->options);
    c->backoff_us = CATCH_UP_BACKOFF_US_MIN;
    buffer_init(&c->scratch, FETCH_BYTES_MAX);
    incoming_init(&c->incoming, options->folder);
    /* What an earlier run left is of use only if the store has not got there by itself. */
    if (!incoming_load(&c->incoming) ||
        c->incoming.info.applied <= store_position(options->store).applied) {
        incoming_drop(&c->incoming);
    }
    *ret = c;
    return 0;
}

void catch_up_set_headroom(struct catch_up *c, uint64_t headroom_bytes)
{
    c->options.headroom_bytes = headroom_bytes;
}

void catch_up_free(struct catch_up *c)
{
    if (c != NULL) {
        incoming_close(&c->incoming);
        buffer_release(&c->scratch);
        free(c);
    }
}

static uint64_t received(const struct catch_up *c)
{
    switch (c->state) {
    case CATCH_UP_COPYING:
        return catch_up_written(c);
    case CATCH_UP_CHECKING:
    case CATCH_UP_SWAPPING:
        return c->incoming.info.bytes;
    default:
        return 0;
    }
}

void catch_up_status(const struct catch_up *c, struct catch_up_status *ret)
{
    bool copies = c->state == CATCH_UP_COPYING || c->state == CATCH_UP_CHECKING ||
                  c->state == CATCH_UP_SWAPPING;
    *ret = (struct catch_up_status){.state = c->state,
                                    .source = c->source,
                                    .target = c->target,
                                    .bytes = received(c),
                                    .bytes_total = copies ? c->incoming.info.bytes : 0,
                                    .copies = c->copies,
                                    .refused = c->refused,
                                    .dropped = c->dropped};
}

const char *catch_up_state_name(enum catch_up_state state)
{
    static const char *const names[CATCH_UP_STATE_COUNT] = {
        [CATCH_UP_IDLE] = "idle",         [CATCH_UP_ARCHIVE] = "archive",
        [CATCH_UP_OPENING] = "opening",   [CATCH_UP_COPYING] = "copying",
        [CATCH_UP_CHECKING] = "checking", [CATCH_UP_SWAPPING] = "swapping"};
    return names[state];
}
