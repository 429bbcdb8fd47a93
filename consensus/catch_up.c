#include "consensus/catch_up.h"

#include <stdlib.h>

#include "base/check.h"
#include "consensus/archive.h"
#include "consensus/incoming.h"
#include "consensus/supply_wire.h"

#define CHUNK_BYTES        (256u << 10)
#define CHUNK_BYTES_MAX    (1u << 20)
#define WINDOW             4
#define WINDOW_MAX         16
#define TIMEOUT_US         2000000u
#define STALL_US           10000000u
#define QUEUE_BYTES_MAX    (32u << 20)
#define QUEUE_PAUSE_US     20000u
#define BACKOFF_US_MIN     1000000u
#define BACKOFF_US_MAX     30000000u
#define SYNC_BYTES         (16u << 20)
#define SPACE_MARGIN_BYTES (64u << 20)
#define ARCHIVE_BYTES      (1u << 20)
#define NOTICE_INTERVAL_US 60000000u
#define TRIES_MAX          3

static const bool may_follow[CATCH_UP_STATE_COUNT][CATCH_UP_STATE_COUNT] = {
    [CATCH_UP_IDLE] = {[CATCH_UP_ARCHIVE] = true},
    [CATCH_UP_ARCHIVE] = {[CATCH_UP_IDLE] = true, [CATCH_UP_OPENING] = true},
    [CATCH_UP_OPENING] = {[CATCH_UP_COPYING] = true, [CATCH_UP_ARCHIVE] = true},
    [CATCH_UP_COPYING] =
        {[CATCH_UP_CHECKING] = true, [CATCH_UP_OPENING] = true, [CATCH_UP_ARCHIVE] = true},
    [CATCH_UP_CHECKING] = {[CATCH_UP_SWAPPING] = true, [CATCH_UP_ARCHIVE] = true},
    [CATCH_UP_SWAPPING] = {[CATCH_UP_ARCHIVE] = true},
};

enum cause {
    CAUSE_STALL,
    CAUSE_CHECKSUM,
    CAUSE_CONTRADICTION,
    CAUSE_COPY,
    CAUSE_SPACE,
    CAUSE_DISK,
    CAUSE_NOBODY,
    CAUSE_COUNT
};

static const char *const causes[CAUSE_COUNT] = {
    [CAUSE_STALL] = "catching up: a member does not answer; another one is asked",
    [CAUSE_CHECKSUM] = "catching up: a member sent bytes that do not match their checksum; another "
                       "one is asked",
    [CAUSE_CONTRADICTION] = "catching up: a member's answer makes no sense; another one is asked",
    [CAUSE_COPY] = "catching up: a copy of a member's store is damaged, and is thrown away",
    [CAUSE_SPACE] = "catching up: there is no room for a copy of the store; waiting for some",
    [CAUSE_DISK] = "catching up: a copy cannot be written; trying again",
    [CAUSE_NOBODY] = "catching up: no member has what this node lacks; trying again"};

/* A fetch under way. */
struct ask {
    uint64_t number; /* 0 = none */
    uint64_t sent_us;
    unsigned tries;
};

/* A chunk that was asked for. */
struct slot {
    struct ask ask;
    uint64_t offset;
    uint32_t len;
};

struct catch_up {
    struct catch_up_options options;
    enum catch_up_state state;
    uint64_t target;
    uint64_t sources[CATCH_UP_SOURCES_MAX];
    size_t sources_len;
    size_t at;          /* the source that is asked now */
    bool compacted;     /* in this round one said that its archive does not reach back */
    bool moved;         /* in this round one had something */
    uint64_t hold_us;   /* nothing is asked before this */
    uint64_t useful_us; /* when the present source last gave something */
    uint64_t backoff_us;
    uint64_t numbers;
    struct ask ask;  /* ARCHIVE, OPENING */
    uint64_t resume; /* OPENING: the copy to go on with; 0 = a new one */
    struct incoming incoming;
    struct slot slots[WINDOW_MAX];
    uint64_t next_offset; /* of the next chunk to ask for */
    uint64_t copies;
    uint64_t refused;
    uint64_t noticed_us[CAUSE_COUNT];
    struct buffer scratch;
};

static uint64_t now_us(const struct catch_up *c)
{
    return clock_monotonic_us(c->options.clock);
}

static void move(struct catch_up *c, enum catch_up_state to)
{
    CHECK(may_follow[c->state][to]);
    c->state = to;
}

static void notice(struct catch_up *c, enum cause cause, uint64_t member)
{
    uint64_t now = now_us(c);
    c->refused += cause == CAUSE_CHECKSUM || cause == CAUSE_CONTRADICTION || cause == CAUSE_COPY;
    if (c->noticed_us[cause] != 0 && now - c->noticed_us[cause] < NOTICE_INTERVAL_US) {
        return;
    }
    c->noticed_us[cause] = now + (now == 0);
    if (c->options.callbacks.notice != NULL) {
        c->options.callbacks.notice(c->options.arg, true, causes[cause], member);
    }
}

/* --- asking --- */

static uint64_t source(const struct catch_up *c)
{
    return c->sources[c->at];
}

static void send(struct catch_up *c, uint64_t to, struct fetch *f, struct ask *ask)
{
    f->boot = c->options.boot;
    f->number = ++c->numbers;
    ask->number = f->number;
    ask->sent_us = now_us(c);
    ask->tries++;
    buffer_clear(&c->scratch);
    fetch_encode(&c->scratch, f);
    c->options.callbacks.send(c->options.arg, to, buffer_span(&c->scratch));
}

static bool is_late(const struct catch_up *c, const struct ask *ask)
{
    return now_us(c) - ask->sent_us >= c->options.timeout_us;
}

static void back_off(struct catch_up *c)
{
    c->hold_us = now_us(c) + c->backoff_us;
    c->backoff_us = c->backoff_us * 2 > BACKOFF_US_MAX ? BACKOFF_US_MAX : c->backoff_us * 2;
}

static void begin_archive(struct catch_up *c)
{
    move(c, CATCH_UP_ARCHIVE);
    c->at = 0;
    c->ask = (struct ask){0};
    c->compacted = false;
    c->moved = false;
    c->useful_us = now_us(c);
}

static void begin_opening(struct catch_up *c, uint64_t resume)
{
    move(c, CATCH_UP_OPENING);
    c->ask = (struct ask){0};
    c->resume = resume;
    c->useful_us = now_us(c);
}

/* --- the archive --- */

static uint64_t position(const struct catch_up *c)
{
    uint64_t queued = apply_queue_last(c->options.queue);
    uint64_t applied = store_position(c->options.store).applied;
    return queued > applied ? queued : applied;
}

static void finish(struct catch_up *c)
{
    move(c, CATCH_UP_IDLE);
    c->backoff_us = BACKOFF_US_MIN;
    c->options.callbacks.sync(c->options.arg, c->target);
}

/* An earlier run may have left a copy whose source is still there. */
static void begin_copy(struct catch_up *c)
{
    c->at = 0;
    uint64_t resume = 0;
    if (incoming_load(&c->incoming) &&
        c->incoming.info.applied > store_position(c->options.store).applied) {
        for (size_t i = 0; i < c->sources_len; i++) {
            if (c->sources[i] == c->incoming.source) {
                c->at = i;
                resume = c->incoming.copy;
            }
        }
    }
    begin_opening(c, resume);
}

static void next_archive(struct catch_up *c)
{
    c->ask = (struct ask){0};
    c->useful_us = now_us(c);
    if (++c->at < c->sources_len) {
        return;
    }
    c->at = 0;
    if (c->moved) {
        c->hold_us = now_us(c) + c->options.timeout_us / 8; /* it grows as they apply */
    } else if (c->compacted) {
        begin_copy(c);
        return;
    } else {
        notice(c, CAUSE_NOBODY, 0);
        back_off(c);
    }
    c->compacted = false;
    c->moved = false;
}

static uint64_t step_archive(struct catch_up *c)
{
    uint64_t now = now_us(c);
    uint64_t after = position(c);
    if (after >= c->target) {
        finish(c);
        return now;
    }
    if (now < c->hold_us) {
        return c->hold_us;
    }
    if (apply_queue_bytes(c->options.queue) > c->options.queue_bytes_max) {
        return now + QUEUE_PAUSE_US;
    }
    if (c->ask.number != 0 && !is_late(c, &c->ask)) {
        return c->ask.sent_us + c->options.timeout_us;
    }
    if (c->ask.tries >= TRIES_MAX) {
        notice(c, CAUSE_STALL, source(c));
        next_archive(c);
        return now;
    }
    /* What the store has from a copy the queue must know of before more is pushed. */
    apply_queue_expect(c->options.queue, after);
    struct fetch f = {.what = SUPPLY_ARCHIVE, .after = after, .bytes = ARCHIVE_BYTES};
    send(c, source(c), &f, &c->ask);
    return now + c->options.timeout_us;
}

/* Pushes the records of an answer; false when they make no sense. */
static bool push_records(struct catch_up *c, const struct supply *s)
{
    struct span rest = s->bytes;
    uint64_t before = 0;
    while (rest.len > 0) {
        struct archive_record r;
        if (archive_record_next(&rest, &r, NULL) != 0 || r.index <= before || r.index > s->last ||
            r.previous >= r.index) {
            return false;
        }
        before = r.index;
        if (!apply_queue_push_follow(c->options.queue, r.previous, r.index, r.bytes)) {
            return false;
        }
    }
    return true;
}

static void on_archive(struct catch_up *c, const struct supply *s)
{
    uint64_t after = position(c);
    c->ask = (struct ask){0};
    if (s->code == CLADE_ERR_COMPACTED) {
        c->compacted = true;
        next_archive(c);
        return;
    }
    if (s->code != 0 || !push_records(c, s)) {
        if (s->code == 0) {
            notice(c, CAUSE_CONTRADICTION, source(c));
        }
        next_archive(c);
        return;
    }
    if (position(c) > after) {
        c->moved = true;
        c->useful_us = now_us(c);
        c->backoff_us = BACKOFF_US_MIN;
    } else {
        next_archive(c); /* it has nothing newer */
    }
}

/* --- opening a copy --- */

static void next_opening(struct catch_up *c)
{
    c->ask = (struct ask){0};
    c->resume = 0;
    c->useful_us = now_us(c);
    if (++c->at >= c->sources_len) {
        back_off(c);
        begin_archive(c);
    }
}

static uint64_t step_opening(struct catch_up *c)
{
    uint64_t now = now_us(c);
    if (c->ask.number != 0 && !is_late(c, &c->ask)) {
        return c->ask.sent_us + c->options.timeout_us;
    }
    if (c->ask.tries >= TRIES_MAX) {
        notice(c, CAUSE_STALL, source(c));
        next_opening(c);
        return now;
    }
    struct fetch f = {.what = SUPPLY_OPEN_COPY, .copy = c->resume};
    send(c, source(c), &f, &c->ask);
    return now + c->options.timeout_us;
}

static bool same_info(const struct store_copy_info *a, const struct store_copy_info *b)
{
    return a->bytes == b->bytes && a->applied == b->applied && a->revision == b->revision &&
           a->data.low == b->data.low && a->data.high == b->data.high &&
           a->state.low == b->state.low && a->state.high == b->state.high;
}

/* Whether a copy of that size may be kept here. */
static bool has_room(struct catch_up *c, uint64_t bytes)
{
    uint64_t available = incoming_free_bytes(&c->incoming) + c->incoming.synced;
    return (c->options.map_bytes == 0 || bytes <= c->options.map_bytes) &&
           (available == 0 || bytes + SPACE_MARGIN_BYTES <= available);
}

static void begin_copying(struct catch_up *c, const struct supply *s)
{
    struct error e = {0};
    bool goes_on = c->resume != 0 && s->copy == c->resume && same_info(&s->info, &c->incoming.info);
    int rc = CLADE_ERR_CORRUPT;
    if (goes_on) {
        rc = incoming_go_on(&c->incoming, &e);
    }
    if (rc != 0) {
        c->incoming.source = source(c);
        c->incoming.copy = s->copy;
        c->incoming.info = s->info;
        rc = incoming_begin(&c->incoming, &e);
    }
    if (rc != 0) {
        notice(c, rc == CLADE_ERR_NO_SPACE ? CAUSE_SPACE : CAUSE_DISK, 0);
        back_off(c);
        begin_archive(c);
        return;
    }
    move(c, CATCH_UP_COPYING);
    c->next_offset = c->incoming.synced;
    memset(c->slots, 0, sizeof c->slots);
    c->useful_us = now_us(c);
}

static void on_opened(struct catch_up *c, const struct supply *s)
{
    c->ask = (struct ask){0};
    if (s->code == CLADE_ERR_NOT_FOUND && c->resume != 0) {
        c->resume = 0; /* that copy is gone: a new one of the same source */
        return;
    }
    if (s->code != 0) {
        next_opening(c);
        return;
    }
    if (s->copy == 0 || s->info.bytes == 0) {
        notice(c, CAUSE_CONTRADICTION, source(c));
        next_opening(c);
    } else if (s->info.applied <= store_position(c->options.store).applied) {
        next_opening(c); /* it is no further than this node */
    } else if (!has_room(c, s->info.bytes)) {
        notice(c, CAUSE_SPACE, 0);
        back_off(c);
        begin_archive(c);
    } else {
        begin_copying(c, s);
    }
}

/* --- copying --- */

static void leave_source(struct catch_up *c, enum cause cause)
{
    notice(c, cause, source(c));
    incoming_close(&c->incoming);
    move(c, CATCH_UP_OPENING);
    next_opening(c);
}

/* The first byte that is not written yet. */
static uint64_t written(const struct catch_up *c)
{
    uint64_t least = c->next_offset;
    for (size_t i = 0; i < c->options.window; i++) {
        if (c->slots[i].len > 0 && c->slots[i].offset < least) {
            least = c->slots[i].offset;
        }
    }
    return least;
}

static void ask_chunk(struct catch_up *c, struct slot *slot)
{
    struct fetch f = {.what = SUPPLY_READ_COPY,
                      .copy = c->incoming.copy,
                      .offset = slot->offset,
                      .bytes = slot->len};
    send(c, source(c), &f, &slot->ask);
}

static void fill_window(struct catch_up *c)
{
    for (size_t i = 0; i < c->options.window; i++) {
        struct slot *slot = &c->slots[i];
        if (slot->len > 0) {
            if (is_late(c, &slot->ask)) {
                ask_chunk(c, slot);
            }
            continue;
        }
        uint64_t left = c->incoming.info.bytes - c->next_offset;
        if (left == 0) {
            continue;
        }
        *slot =
            (struct slot){.offset = c->next_offset,
                          .len = left < c->options.chunk_bytes ? (uint32_t)left
                                                               : (uint32_t)c->options.chunk_bytes};
        c->next_offset += slot->len;
        ask_chunk(c, slot);
    }
}

static uint64_t step_copying(struct catch_up *c)
{
    uint64_t now = now_us(c);
    if (written(c) == c->incoming.info.bytes) {
        move(c, CATCH_UP_CHECKING);
        return now;
    }
    if (now - c->useful_us >= STALL_US) {
        leave_source(c, CAUSE_STALL);
        return now;
    }
    fill_window(c);
    return now + c->options.timeout_us / 2;
}

static void fail_copy(struct catch_up *c, int code)
{
    notice(c, code == CLADE_ERR_NO_SPACE ? CAUSE_SPACE : CAUSE_DISK, 0);
    incoming_close(&c->incoming);
    back_off(c);
    begin_archive(c);
}

static void on_chunk(struct catch_up *c, struct slot *slot, const struct supply *s)
{
    struct error e = {0};
    if (s->code == CLADE_ERR_THROTTLED) {
        c->useful_us = now_us(c); /* it lives, and answers later */
        return;
    }
    if (s->code == CLADE_ERR_NOT_FOUND) {
        incoming_close(&c->incoming);
        begin_opening(c, 0);
        return;
    }
    if (s->code != 0 || s->copy != c->incoming.copy || s->offset != slot->offset ||
        s->bytes.len != slot->len) {
        leave_source(c, CAUSE_CONTRADICTION);
        return;
    }
    if (hash64(s->bytes, 0) != s->checksum) {
        leave_source(c, CAUSE_CHECKSUM);
        return;
    }
    int rc = incoming_write(&c->incoming, s->offset, s->bytes, &e);
    if (rc == 0) {
        *slot = (struct slot){0};
        c->useful_us = now_us(c);
        if (written(c) - c->incoming.synced >= SYNC_BYTES) {
            rc = incoming_sync(&c->incoming, written(c), &e);
        }
    }
    if (rc != 0) {
        fail_copy(c, rc);
    }
}

/* --- checking and swapping --- */

static void throw_away(struct catch_up *c, enum cause cause)
{
    notice(c, cause, c->incoming.source);
    incoming_drop(&c->incoming);
    c->incoming.synced = 0;
    back_off(c);
    begin_archive(c);
}

/* A copy that is not what its source said is never used. */
static uint64_t step_checking(struct catch_up *c)
{
    struct error e = {0};
    struct store_copy_info info;
    int rc = incoming_finish(&c->incoming, &e);
    if (rc != 0) {
        throw_away(c, rc == CLADE_ERR_NO_SPACE ? CAUSE_SPACE : CAUSE_DISK);
        return now_us(c);
    }
    struct fetch f = {.what = SUPPLY_CLOSE_COPY, .copy = c->incoming.copy};
    struct ask unused = {0};
    send(c, c->incoming.source, &f, &unused);
    rc = store_copy_check(c->incoming.path, c->options.map_bytes, &info, &e);
    info.bytes = c->incoming.info.bytes;
    if (rc != 0 || !same_info(&info, &c->incoming.info)) {
        throw_away(c, CAUSE_COPY);
        return now_us(c);
    }
    move(c, CATCH_UP_SWAPPING);
    c->options.callbacks.swap(c->options.arg, c->incoming.path, &c->incoming.info);
    return UINT64_MAX;
}

void catch_up_swapped(struct catch_up *c, int code)
{
    if (c->state != CATCH_UP_SWAPPING) {
        return;
    }
    if (code == 0) {
        apply_queue_expect(c->options.queue, c->incoming.info.applied);
        c->copies++;
        c->backoff_us = BACKOFF_US_MIN;
        c->hold_us = 0;
    } else {
        incoming_drop(&c->incoming);
        back_off(c);
    }
    c->incoming.synced = 0;
    begin_archive(c);
}

/* --- from outside --- */

void catch_up_want(struct catch_up *c, uint64_t index, const uint64_t *sources, size_t n)
{
    if (n == 0) {
        return;
    }
    c->target = index > c->target ? index : c->target;
    /* While one is asked the list stays, or the place in it would mean another. */
    if (c->state == CATCH_UP_IDLE || (c->state == CATCH_UP_ARCHIVE && c->ask.number == 0)) {
        c->sources_len = n > CATCH_UP_SOURCES_MAX ? CATCH_UP_SOURCES_MAX : n;
        memcpy(c->sources, sources, c->sources_len * sizeof *sources);
        c->at = c->at < c->sources_len ? c->at : 0;
    }
    if (c->state == CATCH_UP_IDLE && position(c) < c->target) {
        begin_archive(c);
    } else if (c->state == CATCH_UP_IDLE) {
        c->options.callbacks.sync(c->options.arg, index); /* it is there, and not yet synced */
    }
}

static struct slot *find_slot(struct catch_up *c, uint64_t number)
{
    for (size_t i = 0; i < c->options.window; i++) {
        if (c->slots[i].len > 0 && c->slots[i].ask.number == number) {
            return &c->slots[i];
        }
    }
    return NULL;
}

void catch_up_receive(struct catch_up *c, uint64_t from, struct span supply)
{
    struct supply s;
    if (!supply_decode(supply, &s)) {
        c->refused++;
        return;
    }
    /* Answers to earlier requests, earlier starts, and of others than the one that was asked. */
    if (s.boot != c->options.boot || c->sources_len == 0 || from != source(c)) {
        return;
    }
    bool is_asked = c->ask.number != 0 && s.number == c->ask.number;
    struct slot *slot;
    if (c->state == CATCH_UP_ARCHIVE && is_asked && s.what == SUPPLY_ARCHIVE) {
        on_archive(c, &s);
    } else if (c->state == CATCH_UP_OPENING && is_asked && s.what == SUPPLY_OPEN_COPY) {
        on_opened(c, &s);
    } else if (c->state == CATCH_UP_COPYING && s.what == SUPPLY_READ_COPY &&
               (slot = find_slot(c, s.number)) != NULL) {
        on_chunk(c, slot, &s);
    }
}

uint64_t catch_up_step(struct catch_up *c)
{
    switch (c->state) {
    case CATCH_UP_ARCHIVE:
        return step_archive(c);
    case CATCH_UP_OPENING:
        return step_opening(c);
    case CATCH_UP_COPYING:
        return step_copying(c);
    case CATCH_UP_CHECKING:
        return step_checking(c);
    default:
        return UINT64_MAX;
    }
}

/* --- life --- */

int catch_up_new(const struct catch_up_options *options, struct catch_up **ret, struct error *error)
{
    struct catch_up *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    c->options = *options;
    struct catch_up_options *o = &c->options;
    o->chunk_bytes = o->chunk_bytes == 0 ? CHUNK_BYTES : o->chunk_bytes;
    o->chunk_bytes = o->chunk_bytes > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : o->chunk_bytes;
    o->window = o->window == 0 ? WINDOW : o->window > WINDOW_MAX ? WINDOW_MAX : o->window;
    o->timeout_us = o->timeout_us == 0 ? TIMEOUT_US : o->timeout_us;
    o->queue_bytes_max = o->queue_bytes_max == 0 ? QUEUE_BYTES_MAX : o->queue_bytes_max;
    c->backoff_us = BACKOFF_US_MIN;
    buffer_init(&c->scratch, 256);
    incoming_init(&c->incoming, options->folder);
    *ret = c;
    return 0;
}

void catch_up_free(struct catch_up *c)
{
    if (c != NULL) {
        incoming_close(&c->incoming);
        buffer_release(&c->scratch);
        free(c);
    }
}

void catch_up_status(const struct catch_up *c, struct catch_up_status *ret)
{
    bool copies = c->state == CATCH_UP_COPYING || c->state == CATCH_UP_CHECKING ||
                  c->state == CATCH_UP_SWAPPING;
    *ret = (struct catch_up_status){.state = c->state,
                                    .source = c->sources_len == 0 ? 0 : source(c),
                                    .target = c->target,
                                    .bytes = copies ? written(c) : 0,
                                    .bytes_total = copies ? c->incoming.info.bytes : 0,
                                    .copies = c->copies,
                                    .refused = c->refused};
}

const char *catch_up_state_name(enum catch_up_state state)
{
    static const char *const names[CATCH_UP_STATE_COUNT] = {
        [CATCH_UP_IDLE] = "idle",         [CATCH_UP_ARCHIVE] = "archive",
        [CATCH_UP_OPENING] = "opening",   [CATCH_UP_COPYING] = "copying",
        [CATCH_UP_CHECKING] = "checking", [CATCH_UP_SWAPPING] = "swapping"};
    return names[state];
}
