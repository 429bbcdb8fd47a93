/* Cursors: any text is a cursor that encodes to the same text again, or an error. The input is
 * also taken as a position, so that the way in through the checksum is walked too. */
#include "base/check.h"
#include "storage/cursor.h"

#define ARENA_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct span text, struct arena *arena)
{
    struct cursor cursor;
    struct error error;
    if (cursor_decode(text, arena, &cursor, &error) == 0) {
        CHECK(span_equal(cursor_encode(&cursor, arena), text));
    } else {
        CHECK(error.code == CLADE_ERR_INVALID);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    decode(span_make(data, size), &arena);
    if (size <= CURSOR_POSITION_MAX) {
        struct cursor cursor = {.revision = size, .position = span_make(data, size)};
        decode(cursor_encode(&cursor, &arena), &arena);
    }
    arena_release(&arena);
    return 0;
}
