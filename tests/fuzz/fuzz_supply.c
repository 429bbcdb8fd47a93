/* What members ask and give for catching up, and the note beside a copy that is being received. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "consensus/incoming.h"
#include "consensus/supply_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_fetch(struct span bytes, struct buffer *again)
{
    struct fetch f;
    if (fetch_decode(bytes, &f)) {
        buffer_clear(again);
        fetch_encode(again, &f);
        CHECK(again->len <= FETCH_BYTES_MAX);
        CHECK(span_equal(buffer_span(again), bytes));
    }
}

static void try_supply(struct span bytes, struct buffer *again)
{
    struct supply s;
    if (supply_decode(bytes, &s)) {
        CHECK(s.code <= 0 && s.bytes.len <= bytes.len);
        buffer_clear(again);
        supply_encode(again, &s);
        CHECK(again->len <= SUPPLY_HEAD_BYTES_MAX);
        CHECK(buffer_append_span(again, s.bytes));
        CHECK(span_equal(buffer_span(again), bytes));
    }
}

/* With a right checksum: or nothing behind it is ever reached. */
static void try_progress(struct span bytes)
{
    uint8_t p[INCOMING_PROGRESS_BYTES];
    uint8_t again[INCOMING_PROGRESS_BYTES];
    struct incoming in = {.fd = -1};
    (void)incoming_progress_decode(bytes, &in);
    if (bytes.len < sizeof p) {
        return;
    }
    memcpy(p, bytes.data, sizeof p);
    put_u64le(p + sizeof p - 8, hash64(span_make(p, sizeof p - 8), 0));
    if (incoming_progress_decode(span_make(p, sizeof p), &in)) {
        CHECK(in.synced <= in.info.bytes);
        incoming_progress_encode(&in, again);
        CHECK(memcmp(p, again, sizeof p) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_make(data, size);
    struct buffer again;
    buffer_init(&again, size + SUPPLY_HEAD_BYTES_MAX);
    try_fetch(bytes, &again);
    try_supply(bytes, &again);
    try_progress(bytes);
    buffer_release(&again);
    return 0;
}
