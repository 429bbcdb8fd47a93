#include "consensus/supplier.h"

#include <stdlib.h>

#include "consensus/supply_wire.h"

#define COPIES_MAX      8
#define COPY_IDLE_US    60000000u
#define CHUNK_BYTES_MAX (1u << 20)
#define DELAY_US_MAX    2000000u /* an answer that would leave later is THROTTLED */
#define MICROSECONDS    UINT64_C(1000000)

struct open_copy {
    uint64_t id; /* 0 = none */
    uint64_t from;
    uint64_t used_us;
    struct store_copy *copy;
    struct store_copy_info info;
};

struct supplier {
    struct supplier_options options;
    struct open_copy copies[COPIES_MAX];
    uint64_t copies_made;
    uint64_t free_us; /* when the rate allows the next byte */
    struct buffer chunk;
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
    if (s->options.copies_max == 0 || s->options.copies_max > COPIES_MAX) {
        s->options.copies_max = 1;
    }
    if (s->options.chunk_bytes_max == 0) {
        s->options.chunk_bytes_max = CHUNK_BYTES_MAX;
    }
    buffer_init(&s->chunk, s->options.chunk_bytes_max);
    *ret = s;
    return 0;
}

static void close_copy(struct open_copy *c)
{
    store_copy_close(c->copy);
    *c = (struct open_copy){0};
}

void supplier_free(struct supplier *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < COPIES_MAX; i++) {
        close_copy(&s->copies[i]);
    }
    buffer_release(&s->chunk);
    free(s);
}

void supplier_tick(struct supplier *s)
{
    uint64_t now = clock_monotonic_us(s->options.clock);
    for (size_t i = 0; i < COPIES_MAX; i++) {
        struct open_copy *c = &s->copies[i];
        if (c->id != 0 && now - c->used_us > s->options.copy_idle_us) {
            close_copy(c);
        }
    }
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

/* --- archive --- */

static void give_archive(struct supplier *s,
                         const struct fetch *f,
                         struct supply *head,
                         struct buffer *out)
{
    size_t wanted = f->bytes < s->options.chunk_bytes_max ? f->bytes : s->options.chunk_bytes_max;
    size_t start = out->len;
    struct error e = {0};
    supply_encode(out, head); /* room, and written again with what is known then */
    int rc = archive_read(s->options.archive, f->after, wanted, out, &head->last, &e);
    uint64_t last;
    archive_range(s->options.archive, &head->base, &last);
    head->code = rc == 1 ? CLADE_ERR_COMPACTED : rc;
    struct buffer again;
    buffer_init(&again, 4096);
    supply_encode(&again, head);
    if (head->code != 0) {
        out->len = start + again.len;
    }
    memcpy(out->data + start, again.data, again.len);
    buffer_release(&again);
}

/* --- copies --- */

static int open_new(struct supplier *s, uint64_t from, struct open_copy **ret)
{
    struct open_copy *room = NULL;
    unsigned open = 0;
    for (size_t i = 0; i < COPIES_MAX; i++) {
        struct open_copy *c = &s->copies[i];
        if (c->id != 0 && c->from == from) {
            close_copy(c); /* it began anew: the former one is of no use to it */
        }
        open += c->id != 0;
        room = c->id == 0 ? c : room;
    }
    if (room == NULL || open >= s->options.copies_max) {
        return CLADE_ERR_THROTTLED;
    }
    int rc = store_copy_open(s->options.store, &room->copy, &room->info, NULL);
    if (rc != 0) {
        *room = (struct open_copy){0};
        return rc;
    }
    room->id = s->options.boot + ++s->copies_made;
    room->id += room->id == 0;
    room->from = from;
    *ret = room;
    return 0;
}

static void give_open(struct supplier *s, uint64_t from, const struct fetch *f, struct supply *head)
{
    struct open_copy *c = find_copy(s, f->copy, from);
    if (c == NULL) {
        head->code = f->copy != 0 ? CLADE_ERR_NOT_FOUND : open_new(s, from, &c);
    }
    if (c != NULL) {
        c->used_us = clock_monotonic_us(s->options.clock);
        head->copy = c->id;
        head->info = c->info;
    }
}

/* Microseconds until the rate lets so many bytes go. */
static uint64_t take_rate(struct supplier *s, size_t bytes)
{
    uint64_t now = clock_monotonic_us(s->options.clock);
    if (s->options.rate_bytes == 0) {
        return 0;
    }
    if (s->free_us < now) {
        s->free_us = now;
    }
    uint64_t delay = s->free_us - now;
    if (delay <= DELAY_US_MAX) {
        s->free_us += bytes * MICROSECONDS / s->options.rate_bytes;
    }
    return delay;
}

static void give_chunk(struct supplier *s,
                       uint64_t from,
                       const struct fetch *f,
                       struct supply *head,
                       uint64_t *ret_delay_us)
{
    struct open_copy *c = find_copy(s, f->copy, from);
    head->copy = f->copy;
    head->offset = f->offset;
    if (c == NULL) {
        head->code = CLADE_ERR_NOT_FOUND;
        return;
    }
    if (f->offset >= c->info.bytes || f->bytes == 0) {
        head->code = CLADE_ERR_INVALID;
        return;
    }
    uint64_t left = c->info.bytes - f->offset;
    size_t len = f->bytes < s->options.chunk_bytes_max ? f->bytes : s->options.chunk_bytes_max;
    len = left < len ? (size_t)left : len;
    c->used_us = clock_monotonic_us(s->options.clock);
    uint64_t delay = take_rate(s, len);
    if (delay > DELAY_US_MAX) {
        head->code = CLADE_ERR_THROTTLED;
        return;
    }
    buffer_clear(&s->chunk);
    uint8_t *to = buffer_extend(&s->chunk, len);
    head->code =
        to == NULL ? CLADE_ERR_NO_MEMORY : store_copy_read(c->copy, f->offset, to, len, NULL);
    if (head->code == 0) {
        head->bytes = span_make(to, len);
        head->checksum = hash64(head->bytes, 0);
        *ret_delay_us = delay;
    }
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
    struct open_copy *c;
    switch (f.what) {
    case SUPPLY_ARCHIVE:
        give_archive(s, &f, &head, out);
        return !out->failed;
    case SUPPLY_OPEN_COPY:
        give_open(s, from, &f, &head);
        break;
    case SUPPLY_READ_COPY:
        give_chunk(s, from, &f, &head, ret_delay_us);
        break;
    case SUPPLY_CLOSE_COPY:
        c = find_copy(s, f.copy, from);
        if (c != NULL) {
            close_copy(c);
        }
        break;
    }
    supply_encode(out, &head);
    (void)buffer_append_span(out, head.bytes);
    return !out->failed;
}
