#include "consensus/catch_up_internal.h"

/* --- leaving --- */

/* Another source's copy, if one of this round has any; what was received stays as long as no other
 * one is begun. */
static void ask_another(struct catch_up *c)
{
    incoming_close(&c->incoming);
    if (c->state != CATCH_UP_OPENING) {
        catch_up_move(c, CATCH_UP_OPENING);
    }
    catch_up_leave_source(c);
    c->resume = 0;
}

/* What was received stays, to go on with when the trouble is over. */
static void pause(struct catch_up *c)
{
    incoming_close(&c->incoming);
    catch_up_back_off(c);
    catch_up_begin_archive(c);
}

static void pause_for(struct catch_up *c, int code)
{
    catch_up_notice(c, code == CLADE_ERR_NO_SPACE ? CAUSE_SPACE : CAUSE_DISK, 0);
    pause(c);
}

/* Its source need not keep it open. If this is lost it closes it by itself. */
static void close_at_source(struct catch_up *c, uint64_t source, uint64_t copy)
{
    struct catch_up_ask unused = {0};
    struct fetch f = {.what = SUPPLY_CLOSE_COPY, .copy = copy};
    uint64_t present = c->source;
    c->source = source;
    catch_up_send(c, &f, &unused);
    c->source = present;
}

/* Raft has gone on meanwhile: no copy is needed. */
static bool is_superfluous(struct catch_up *c)
{
    return catch_up_position(c) >= c->target;
}

/* --- opening --- */

static bool is_newer(const struct catch_up *c, const struct store_copy_info *info)
{
    return info->applied > store_position(c->options.store).applied;
}

/* What an earlier run, or an earlier round, left. */
void catch_up_begin_copy(struct catch_up *c)
{
    catch_up_begin_round(c);
    catch_up_move(c, CATCH_UP_OPENING);
    c->resume = 0;
    if (!incoming_load(&c->incoming) || !is_newer(c, &c->incoming.info)) {
        incoming_drop(&c->incoming);
        return;
    }
    if (c->incoming.synced == c->incoming.info.bytes) {
        catch_up_move(c, CATCH_UP_CHECKING);
    } else if (catch_up_take_source_of(c, c->incoming.source)) {
        c->resume = c->incoming.copy;
    }
}

uint64_t catch_up_step_opening(struct catch_up *c)
{
    uint64_t now = catch_up_now(c);
    if (is_superfluous(c)) {
        catch_up_begin_archive(c);
        return now;
    }
    if (c->source == 0 && !catch_up_take_source(c)) {
        pause(c);
        return now;
    }
    if (now >= catch_up_stall_us(c)) {
        catch_up_notice(c, CAUSE_STALL, c->source);
        ask_another(c);
        return now;
    }
    if (c->ask.number == 0 || catch_up_is_late(c, &c->ask)) {
        struct fetch f = {.what = SUPPLY_OPEN_COPY, .copy = c->resume};
        catch_up_send(c, &f, &c->ask);
    }
    return c->ask.due_us;
}

static bool same_state(const struct store_copy_info *a, const struct store_copy_info *b)
{
    return a->applied == b->applied && a->revision == b->revision &&
           hash128_equal(a->data, b->data) && hash128_equal(a->state, b->state);
}

static bool has_room(const struct catch_up *c, uint64_t bytes)
{
    uint64_t room;
    if (c->options.map_bytes != 0 && bytes > c->options.map_bytes) {
        return false;
    }
    return !incoming_room(&c->incoming, &room) ||
           (room > c->options.headroom_bytes && bytes <= room - c->options.headroom_bytes);
}

static int begin_or_go_on(struct catch_up *c, const struct supply *s)
{
    if (c->resume != 0) {
        int rc = incoming_go_on(&c->incoming, NULL);
        if (rc != CLADE_ERR_CORRUPT) {
            return rc;
        }
    }
    c->incoming.source = c->source;
    c->incoming.copy = s->copy;
    c->incoming.info = s->info;
    return incoming_begin(&c->incoming, NULL);
}

static void begin_copying(struct catch_up *c, const struct supply *s)
{
    int rc = begin_or_go_on(c, s);
    if (rc != 0) {
        pause_for(c, rc);
        return;
    }
    catch_up_move(c, CATCH_UP_COPYING);
    c->next_offset = c->incoming.synced;
    memset(c->slots, 0, sizeof c->slots);
    c->ask = (struct catch_up_ask){0};
    c->useful_us = catch_up_now(c);
}

static bool makes_sense(const struct catch_up *c, const struct supply *s)
{
    if (s->copy == 0 || s->info.bytes == 0) {
        return false;
    }
    return c->resume == 0 || (s->copy == c->resume && s->info.bytes == c->incoming.info.bytes &&
                              same_state(&s->info, &c->incoming.info));
}

void catch_up_on_opened(struct catch_up *c, const struct supply *s)
{
    c->ask = (struct catch_up_ask){0};
    if (s->code == CLADE_ERR_NOT_FOUND && c->resume != 0) {
        /* That copy is gone: a new one, of whoever is best. */
        incoming_drop(&c->incoming);
        c->resume = 0;
        catch_up_begin_round(c);
    } else if (s->code != 0) {
        ask_another(c);
    } else if (!makes_sense(c, s)) {
        catch_up_suspect_source(c, CAUSE_CONTRADICTION);
        ask_another(c);
    } else if (!is_newer(c, &s->info)) {
        close_at_source(c, c->source, s->copy);
        ask_another(c);
    } else if (!has_room(c, s->info.bytes)) {
        if (c->resume == 0) {
            close_at_source(c, c->source, s->copy);
        }
        pause_for(c, CLADE_ERR_NO_SPACE);
    } else {
        begin_copying(c, s);
    }
}

/* --- copying --- */

uint64_t catch_up_written(const struct catch_up *c)
{
    uint64_t least = c->next_offset;
    for (size_t i = 0; i < c->options.window; i++) {
        if (c->slots[i].len > 0 && c->slots[i].offset < least) {
            least = c->slots[i].offset;
        }
    }
    return least;
}

static void ask_chunk(struct catch_up *c, struct catch_up_slot *slot)
{
    struct fetch f = {.what = SUPPLY_READ_COPY,
                      .copy = c->incoming.copy,
                      .offset = slot->offset,
                      .bytes = slot->len};
    catch_up_send(c, &f, &slot->ask);
}

/* Gives every slot a chunk, as long as there are any. */
static void fill_window(struct catch_up *c)
{
    for (size_t i = 0; i < c->options.window; i++) {
        struct catch_up_slot *slot = &c->slots[i];
        uint64_t left = c->incoming.info.bytes - c->next_offset;
        if (slot->len == 0 && left > 0) {
            size_t len = left < c->options.chunk_bytes ? (size_t)left : c->options.chunk_bytes;
            *slot = (struct catch_up_slot){.offset = c->next_offset, .len = (uint32_t)len};
            c->next_offset += len;
        }
        if (slot->len > 0 && (slot->ask.number == 0 || catch_up_is_late(c, &slot->ask))) {
            ask_chunk(c, slot);
        }
    }
}

static uint64_t next_due(const struct catch_up *c)
{
    uint64_t due = catch_up_stall_us(c);
    for (size_t i = 0; i < c->options.window; i++) {
        const struct catch_up_slot *slot = &c->slots[i];
        if (slot->len > 0 && slot->ask.due_us < due) {
            due = slot->ask.due_us;
        }
    }
    return due;
}

uint64_t catch_up_step_copying(struct catch_up *c)
{
    uint64_t now = catch_up_now(c);
    if (is_superfluous(c)) {
        close_at_source(c, c->source, c->incoming.copy);
        catch_up_begin_archive(c); /* which ends at once, and drops it */
        return now;
    }
    if (catch_up_written(c) == c->incoming.info.bytes) {
        int rc = incoming_finish(&c->incoming, NULL);
        if (rc != 0) {
            pause_for(c, rc);
            return now;
        }
        close_at_source(c, c->source, c->incoming.copy);
        catch_up_move(c, CATCH_UP_CHECKING);
        return now;
    }
    if (now >= catch_up_stall_us(c)) {
        catch_up_notice(c, CAUSE_STALL, c->source);
        ask_another(c);
        return now;
    }
    fill_window(c);
    return next_due(c);
}

static struct catch_up_slot *find_slot(struct catch_up *c, uint64_t number)
{
    for (size_t i = 0; i < c->options.window; i++) {
        if (c->slots[i].len > 0 && c->slots[i].ask.number == number) {
            return &c->slots[i];
        }
    }
    return NULL;
}

/* A chunk may be shorter than it was asked for: the slot then asks for the rest. */
static int keep_chunk(struct catch_up *c, struct catch_up_slot *slot, struct span bytes)
{
    int rc = incoming_write(&c->incoming, slot->offset, bytes, NULL);
    if (rc != 0) {
        return rc;
    }
    slot->offset += bytes.len;
    slot->len -= (uint32_t)bytes.len;
    slot->ask = (struct catch_up_ask){0};
    c->useful_us = catch_up_now(c);
    uint64_t written = catch_up_written(c);
    if (written - c->incoming.synced < c->options.sync_bytes) {
        return 0;
    }
    return incoming_sync(&c->incoming, written, NULL);
}

bool catch_up_on_chunk(struct catch_up *c, const struct supply *s)
{
    struct catch_up_slot *slot = find_slot(c, s->number);
    if (slot == NULL) {
        return false;
    }
    if (s->code == CLADE_ERR_THROTTLED) {
        c->excused_us = catch_up_now(c);
        slot->ask.wait_us = c->options.timeout_us; /* it has answered */
        slot->ask.due_us = c->excused_us + c->options.timeout_us;
    } else if (s->code == CLADE_ERR_NOT_FOUND) {
        /* A new one, but not at once, or a source that opens copies and does not find them is asked
         * for ever. */
        pause(c);
    } else if (s->code != 0) {
        ask_another(c);
    } else if (s->copy != c->incoming.copy || s->offset != slot->offset || s->bytes.len == 0 ||
               s->bytes.len > slot->len) {
        catch_up_suspect_source(c, CAUSE_CONTRADICTION);
        ask_another(c);
    } else if (hash64(s->bytes, 0) != s->checksum) {
        catch_up_suspect_source(c, CAUSE_CHECKSUM);
        ask_another(c);
    } else {
        int rc = keep_chunk(c, slot, s->bytes);
        if (rc != 0) {
            pause_for(c, rc);
        }
    }
    return true;
}

/* --- checking and swapping --- */

static void throw_away(struct catch_up *c)
{
    /* After a restart it may be one that is not in the list: then it is only told. */
    if (!catch_up_take_source_of(c, c->incoming.source)) {
        c->source = c->incoming.source;
    }
    catch_up_suspect_source(c, CAUSE_COPY);
    incoming_drop(&c->incoming);
    pause(c);
}

static bool on_progress(uint64_t n, void *arg)
{
    const struct catch_up *c = arg;
    return c->options.callbacks.goes_on == NULL || c->options.callbacks.goes_on(c->options.arg);
}

/* A copy that is not what its source said is never used. */
uint64_t catch_up_step_checking(struct catch_up *c)
{
    struct store_copy_info info;
    if (is_superfluous(c) || !is_newer(c, &c->incoming.info)) {
        incoming_drop(&c->incoming);
        catch_up_begin_archive(c);
        return catch_up_now(c);
    }
    int rc = store_copy_check(c->incoming.store, c->options.map_bytes, on_progress, c, &info, NULL);
    if (rc == CLADE_ERR_CORRUPT || (rc == 0 && !same_state(&info, &c->incoming.info))) {
        throw_away(c);
        return catch_up_now(c);
    }
    if (rc == CLADE_ERR_RETRY) {
        return UINT64_MAX; /* the next start checks it */
    }
    if (rc != 0) {
        /* A trouble of this machine, which says nothing of the source; but what cannot be read is
         * of no use. */
        if (rc == CLADE_ERR_IO) {
            incoming_drop(&c->incoming);
        }
        pause_for(c, rc);
        return catch_up_now(c);
    }
    catch_up_move(c, CATCH_UP_SWAPPING);
    /* The last thing: it may call catch_up_swapped. */
    struct store_copy_info announced = c->incoming.info;
    c->options.callbacks.swap(c->options.arg, c->incoming.store, &announced);
    return catch_up_now(c);
}

void catch_up_swapped(struct catch_up *c, int code)
{
    if (c->state != CATCH_UP_SWAPPING) {
        return;
    }
    if (code == CLADE_ERR_NO_SPACE) {
        pause_for(c, code);
        return;
    }
    if (code == 0) {
        apply_queue_expect(c->options.queue, c->incoming.info.applied);
    }
    incoming_drop(&c->incoming);
    if (code != 0) {
        pause(c);
        return;
    }
    c->copies++;
    c->backoff_us = CATCH_UP_BACKOFF_US_MIN;
    c->hold_us = 0;
    catch_up_begin_archive(c);
}
