#include "consensus/supplier.h"

#include <stdlib.h>

#include "base/check.h"
#include "consensus/supply_wire.h"

#define COPIES_MAX      8
#define COPY_IDLE_US    60000000u
#define CHUNK_BYTES_MAX (1u << 20)
/* An answer that would leave later is THROTTLED: well below an asker's timeout, or it would ask
 * again for what is on its way, and take up the rate for it. */
#define DELAY_US_MAX 500000u
#define MICROSECONDS UINT64_C(1000000)
/* A copy is given up when ten minutes have not brought it this much further, or one of so many
 * parts: it keeps every page that is freed meanwhile from being used again. */
#define LIFE_US            (600 * MICROSECONDS)
#define NOTICE_INTERVAL_US 60000000u
#define LIFE_BYTES         (UINT64_C(16) << 20)
#define LIFE_PARTS         8

#define GROWTH_BYTES_MAX (UINT64_C(1) << 30)

struct open_copy {
    uint64_t id; /* 0 = none */
    uint64_t from;
    uint64_t boot;   /* of the fetch that opened it */
    uint64_t number; /* the same: sent twice, it opens one copy */
    uint64_t used_us;
    uint64_t reached; /* by what was read */
    uint64_t goal;    /* from there on its life is longer */
    uint64_t end_us;
    struct store_copy *copy;
    struct store_copy_info info;
};

/* What a member that took a copy will need of the archive, while it checks the copy and reads on.
 */
struct need {
    uint64_t from; /* 0 = none */
    uint64_t after;
    uint64_t end_us;
};

struct supplier {
    struct supplier_options options;
    struct open_copy copies[COPIES_MAX];
    struct need needs[COPIES_MAX];
    uint64_t copies_made;
    uint64_t quiet_us; /* nothing is said of a disk before */
    uint64_t free_us;  /* when the rate allows the next byte */
};

int supplier_new(const struct supplier_options *options, struct supplier **ret, struct error *error)
{
    struct supplier *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    s->options = *options;
    if (s->options.copy_idle_us == 0) {
        s->options.copy_idle_us = COPY_IDLE_US;
    }
    if (s->options.growth_bytes_max == 0) {
        s->options.growth_bytes_max = GROWTH_BYTES_MAX;
    }
    unsigned copies = s->options.copies_max;
    s->options.copies_max = copies == 0 ? 1 : copies > COPIES_MAX ? COPIES_MAX : copies;
    size_t chunk = s->options.chunk_bytes_max;
    if (chunk == 0 || chunk > CHUNK_BYTES_MAX) {
        s->options.chunk_bytes_max = CHUNK_BYTES_MAX;
    }
    *ret = s;
    return 0;
}

/* --- what is needed of the archive --- */

static void tell_archive(struct supplier *s)
{
    uint64_t after = UINT64_MAX;
    for (size_t i = 0; i < COPIES_MAX; i++) {
        const struct need *n = &s->needs[i];
        after = n->from != 0 && n->after < after ? n->after : after;
    }
    if (!s->options.keeps_nothing) {
        archive_keep(s->options.archive, after);
    }
}

static struct need *find_need(struct supplier *s, uint64_t from)
{
    for (size_t i = 0; i < COPIES_MAX; i++) {
        if (s->needs[i].from == from) {
            return &s->needs[i];
        }
    }
    return NULL;
}

static void begin_need(struct supplier *s, uint64_t from, uint64_t after, uint64_t end_us)
{
    struct need *n = find_need(s, from);
    n = n != NULL ? n : find_need(s, 0);
    if (n != NULL) {
        *n = (struct need){.from = from, .after = after, .end_us = end_us};
        tell_archive(s);
    }
}

/* It reads on: what it has it needs no more, and what follows a little longer. */
static void move_need(struct supplier *s, uint64_t from, uint64_t after)
{
    struct need *n = find_need(s, from);
    if (n != NULL && after >= n->after) {
        n->after = after;
        n->end_us = clock_monotonic_us(s->options.clock) + s->options.copy_idle_us;
        tell_archive(s);
    }
}

static void extend_need(struct supplier *s, uint64_t from, uint64_t end_us)
{
    struct need *n = find_need(s, from);
    if (n != NULL && n->end_us < end_us) {
        n->end_us = end_us;
    }
}

static void end_need(struct supplier *s, uint64_t from)
{
    struct need *n = find_need(s, from);
    if (n != NULL) {
        *n = (struct need){0};
        tell_archive(s);
    }
}

/* --- life --- */

static void close_copy(struct open_copy *c)
{
    store_copy_close(c->copy);
    *c = (struct open_copy){0};
}

void supplier_set_rate(struct supplier *s, uint64_t rate_bytes)
{
    s->options.rate_bytes = rate_bytes;
}

void supplier_free(struct supplier *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < COPIES_MAX; i++) {
        close_copy(&s->copies[i]);
    }
    free(s);
}

/* The file may become twice as long as it needs be. One that is so already, for copies before,
 * stays as it is: another copy lasts until the free pages are used up. */
static bool costs_too_much(const struct supplier *s, const struct open_copy *c)
{
    uint64_t live;
    uint64_t beyond;
    store_copy_cost(c->copy, &live, &beyond);
    return beyond > (live > s->options.growth_bytes_max ? live : s->options.growth_bytes_max);
}

/* One that was read to its end was not lost: the word that it may go was. */
static void give_up(struct supplier *s, struct open_copy *c, const char *what)
{
    if (s->options.on_notice != NULL && c->reached < c->info.bytes) {
        s->options.on_notice(s->options.arg, what, c->from);
    }
    close_copy(c);
}

static void note_copies(struct supplier *s)
{
    uint64_t open = 0;
    for (size_t i = 0; i < COPIES_MAX; i++) {
        open += s->copies[i].id != 0;
    }
    if (s->options.metrics != NULL) {
        metric_set(&s->options.metrics->copies, open);
    }
}

void supplier_tick(struct supplier *s)
{
    uint64_t now = clock_monotonic_us(s->options.clock);
    for (size_t i = 0; i < COPIES_MAX; i++) {
        struct open_copy *c = &s->copies[i];
        if (c->id == 0) {
            continue;
        }
        if (now - c->used_us > s->options.copy_idle_us) {
            give_up(s, c, "a copy of the store was closed part-way: nobody reads it any more");
        } else if (now > c->end_us) {
            give_up(s, c, "a copy of the store was closed part-way: it is read too slowly");
        } else if (costs_too_much(s, c)) {
            give_up(
                s, c,
                "a copy of the store was closed part-way: the store has grown by too much while "
                "it was open; let copies go faster (catch_up_rate_bytes), or write less "
                "meanwhile");
        }
    }
    for (size_t i = 0; i < COPIES_MAX; i++) {
        if (s->needs[i].from != 0 && now > s->needs[i].end_us) {
            end_need(s, s->needs[i].from);
        }
    }
    note_copies(s);
}

static struct open_copy *find_copy(struct supplier *s, uint64_t id, uint64_t from)
{
    for (size_t i = 0; id != 0 && i < COPIES_MAX; i++) {
        if (s->copies[i].id == id && s->copies[i].from == from) {
            return &s->copies[i];
        }
    }
    return NULL;
}

static void close_copy_of(struct supplier *s, uint64_t id, uint64_t from)
{
    struct open_copy *c = find_copy(s, id, from);
    if (c != NULL) {
        close_copy(c);
    }
}

/* --- the rate --- */

/* Microseconds until the rate lets more bytes go. */
static uint64_t rate_delay(const struct supplier *s)
{
    uint64_t now = clock_monotonic_us(s->options.clock);
    return s->free_us > now ? s->free_us - now : 0;
}

static void rate_take(struct supplier *s, size_t bytes)
{
    if (s->options.metrics != NULL) {
        metric_add(&s->options.metrics->bytes, bytes);
    }
    if (s->options.rate_bytes > 0) {
        uint64_t now = clock_monotonic_us(s->options.clock);
        s->free_us =
            (s->free_us > now ? s->free_us : now) + bytes * MICROSECONDS / s->options.rate_bytes;
    }
}

/* --- archive --- */

/* The archive does not go on behind `after`, though the store does: it was lost, or begun later. */
static bool has_hole(struct supplier *s, uint64_t after, uint64_t last)
{
    return last <= after && after < store_position(s->options.store).applied;
}

static void give_archive(struct supplier *s,
                         uint64_t from,
                         const struct fetch *f,
                         struct supply *head,
                         struct buffer *out,
                         uint64_t *ret_delay_us)
{
    uint64_t delay = rate_delay(s);
    if (delay > DELAY_US_MAX) {
        head->code = CLADE_ERR_THROTTLED;
        supply_encode(out, head);
        return;
    }
    size_t wanted = f->bytes < s->options.chunk_bytes_max ? f->bytes : s->options.chunk_bytes_max;
    uint64_t base;
    uint64_t last;
    supply_encode(out, head); /* room, and written over with what is known then */
    size_t head_bytes = out->len;
    move_need(s, from, f->after);
    int rc = archive_read(s->options.archive, f->after, wanted, out, &head->last, NULL);
    if (out->failed) {
        return;
    }
    archive_range(s->options.archive, &base, &last);
    if (rc == 0 && out->len == head_bytes && has_hole(s, f->after, last)) {
        rc = 1;
    }
    head->code = rc == 1 ? CLADE_ERR_COMPACTED : rc;
    uint8_t *bytes = out->data;
    size_t len = rc == 0 ? out->len : head_bytes;
    out->len = 0;
    supply_encode(out, head); /* into memory that is there: it cannot fail, nor move */
    CHECK(out->len == head_bytes && out->data == bytes);
    out->len = len;
    if (len > head_bytes) {
        rate_take(s, len - head_bytes);
        *ret_delay_us = delay;
    }
}

/* --- copies --- */

/* The copy was read up to there: in order, so that asking for the same again gets it no further. */
static void note_progress(struct supplier *s, struct open_copy *c, uint64_t reached)
{
    if (reached > c->reached) {
        c->reached = reached;
    }
    if (c->reached >= c->goal) {
        uint64_t part = c->info.bytes / LIFE_PARTS + 1;
        c->goal = c->reached + (part < LIFE_BYTES ? part : LIFE_BYTES);
        c->end_us = clock_monotonic_us(s->options.clock) + LIFE_US;
        extend_need(s, c->from, c->end_us);
    }
}

/* Where a new copy of that member goes: its former one is closed, since it began anew. NULL: there
 * are too many. */
static struct open_copy *make_room(struct supplier *s, uint64_t from)
{
    struct open_copy *room = NULL;
    unsigned open = 0;
    for (size_t i = 0; i < COPIES_MAX; i++) {
        struct open_copy *c = &s->copies[i];
        if (c->id != 0 && c->from == from) {
            close_copy(c);
        }
        open += c->id != 0;
        room = c->id == 0 ? c : room;
    }
    return open < s->options.copies_max ? room : NULL;
}

static int open_new(struct supplier *s,
                    uint64_t from,
                    const struct fetch *f,
                    struct open_copy **ret)
{
    struct open_copy *room = make_room(s, from);
    if (room == NULL) {
        return CLADE_ERR_THROTTLED;
    }
    struct open_copy c = {.from = from, .boot = f->boot, .number = f->number};
    int rc = store_copy_open(s->options.store, &c.copy, &c.info, NULL);
    if (rc != 0) {
        return rc;
    }
    do {
        c.id = s->options.boot + ++s->copies_made;
    } while (c.id == 0);
    note_progress(s, &c, 0);
    begin_need(s, from, c.info.applied, c.end_us);
    *room = c;
    *ret = room;
    return 0;
}

/* The copy that this very fetch opened when it came before. */
static struct open_copy *find_opened(struct supplier *s, uint64_t from, const struct fetch *f)
{
    for (size_t i = 0; i < COPIES_MAX; i++) {
        struct open_copy *c = &s->copies[i];
        if (c->id != 0 && c->from == from && c->boot == f->boot && c->number == f->number) {
            return c;
        }
    }
    return NULL;
}

/* A fetch of the same start that is older than the one that opened its present copy comes late:
 * whatever it is answered is of no interest any more. */
static bool is_overtaken(const struct supplier *s, uint64_t from, const struct fetch *f)
{
    for (size_t i = 0; i < COPIES_MAX; i++) {
        const struct open_copy *c = &s->copies[i];
        if (c->id != 0 && c->from == from && c->boot == f->boot && f->number < c->number) {
            return true;
        }
    }
    return false;
}

static void give_open(struct supplier *s, uint64_t from, const struct fetch *f, struct supply *head)
{
    struct open_copy *c = f->copy != 0 ? find_copy(s, f->copy, from) : find_opened(s, from, f);
    if (c == NULL && (f->copy != 0 || is_overtaken(s, from, f))) {
        head->code = CLADE_ERR_NOT_FOUND;
    } else if (c == NULL) {
        head->code = open_new(s, from, f, &c);
    }
    if (c != NULL) {
        c->used_us = clock_monotonic_us(s->options.clock);
        head->copy = c->id;
        head->info = c->info;
    }
}

/* How much a fetch of a chunk gets; 0: there is no such chunk. */
static size_t chunk_bytes(const struct supplier *s,
                          const struct open_copy *c,
                          const struct fetch *f)
{
    if (f->offset >= c->info.bytes) {
        return 0;
    }
    uint64_t left = c->info.bytes - f->offset;
    size_t len = f->bytes < s->options.chunk_bytes_max ? f->bytes : s->options.chunk_bytes_max;
    return left < len ? (size_t)left : len;
}

static int read_chunk(struct supplier *s,
                      uint64_t from,
                      const struct fetch *f,
                      struct buffer *chunk,
                      uint64_t *ret_delay_us)
{
    struct open_copy *c = find_copy(s, f->copy, from);
    if (c == NULL) {
        return CLADE_ERR_NOT_FOUND;
    }
    c->used_us = clock_monotonic_us(s->options.clock);
    size_t len = chunk_bytes(s, c, f);
    if (len == 0) {
        return CLADE_ERR_INVALID;
    }
    uint64_t delay = rate_delay(s);
    if (delay > DELAY_US_MAX) {
        return CLADE_ERR_THROTTLED;
    }
    uint8_t *to = buffer_extend(chunk, len);
    int rc = to == NULL ? CLADE_ERR_NO_MEMORY : store_copy_read(c->copy, f->offset, to, len, NULL);
    if (rc == 0) {
        rate_take(s, len);
        *ret_delay_us = delay;
        note_progress(s, c, f->offset + len);
    }
    return rc;
}

static void give_chunk(struct supplier *s,
                       uint64_t from,
                       const struct fetch *f,
                       struct supply *head,
                       struct buffer *out,
                       uint64_t *ret_delay_us)
{
    struct buffer chunk;
    buffer_init(&chunk, s->options.chunk_bytes_max);
    head->copy = f->copy;
    head->offset = f->offset;
    head->code = read_chunk(s, from, f, &chunk, ret_delay_us);
    if (head->code == 0) {
        head->bytes = buffer_span(&chunk);
        head->checksum = hash64(head->bytes, 0);
    }
    supply_encode(out, head);
    (void)buffer_append_span(out, head->bytes);
    buffer_release(&chunk);
}

/* Whoever asked hears of it in a word alone. */
static void notice_trouble(struct supplier *s, uint64_t from, const struct supply *head)
{
    uint64_t now = clock_monotonic_us(s->options.clock);
    bool trouble = head->code == CLADE_ERR_IO || head->code == CLADE_ERR_CORRUPT;
    if (!trouble || s->options.on_notice == NULL || now < s->quiet_us) {
        return;
    }
    s->quiet_us = now + NOTICE_INTERVAL_US;
    s->options.on_notice(
        s->options.arg,
        head->what == SUPPLY_ARCHIVE
            ? "the archive cannot be read for others (runbook: failing disk)"
            : "the store's data.mdb cannot be read for a copy (runbook: failing disk)",
        from);
}

bool supplier_answer(struct supplier *s,
                     uint64_t from,
                     struct span fetch,
                     struct buffer *out,
                     uint64_t *ret_delay_us)
{
    struct fetch f;
    *ret_delay_us = 0;
    buffer_clear(out);
    if (!fetch_decode(fetch, &f)) {
        return false;
    }
    struct supply head = {.boot = f.boot, .number = f.number, .what = f.what};
    CHECK(out->bytes_max >= SUPPLY_HEAD_BYTES_MAX);
    switch (f.what) {
    case SUPPLY_ARCHIVE:
        give_archive(s, from, &f, &head, out, ret_delay_us);
        break;
    case SUPPLY_OPEN_COPY:
        give_open(s, from, &f, &head);
        supply_encode(out, &head);
        break;
    case SUPPLY_READ_COPY:
        give_chunk(s, from, &f, &head, out, ret_delay_us);
        break;
    case SUPPLY_CLOSE_COPY:
        close_copy_of(s, f.copy, from);
        supply_encode(out, &head);
        break;
    }
    notice_trouble(s, from, &head);
    note_copies(s);
    return !out->failed;
}
