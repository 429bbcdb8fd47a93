#include "storage/cursor.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "storage/record.h"

/* version u8, 3 zeros, checksum u32, query, revision, issued */
#define CURSOR_HEADER_BYTES 32
#define CURSOR_BYTES_MAX    (CURSOR_HEADER_BYTES + CURSOR_POSITION_MAX)
#define CHECK_SEED          0x636c616465637572u

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The checksum is over everything with its own field zero. */
static uint32_t checksum(uint8_t *bytes, size_t len)
{
    put_u32le(bytes + 4, 0);
    return (uint32_t)hash64(span_make(bytes, len), CHECK_SEED);
}

static struct span to_text(const uint8_t *bytes, size_t len, struct arena *arena)
{
    size_t text_len = (len * 4 + 2) / 3;
    uint8_t *text = arena_alloc(arena, text_len);
    if (text == NULL) {
        return (struct span){0};
    }
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (have += 8; have >= 6; have -= 6) {
            text[n++] = (uint8_t)alphabet[bits >> (have - 6) & 63];
        }
    }
    if (have > 0) {
        text[n++] = (uint8_t)alphabet[bits << (6 - have) & 63];
    }
    CHECK(n == text_len);
    return span_make(text, n);
}

/* The reverse; false when it is not base64url in its one form. */
static bool from_text(struct span text, uint8_t *bytes, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.data[i] == '\0' ? NULL : strchr(alphabet, text.data[i]);
        if (at == NULL) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(at - alphabet);
        have += 6;
        if (have >= 8) {
            have -= 8;
            bytes[n++] = (uint8_t)(bits >> have);
        }
    }
    *ret_len = n;
    return have < 6 && (bits & ((1u << have) - 1)) == 0;
}

struct span cursor_encode(const struct cursor *c, struct arena *arena)
{
    CHECK(c->position.len <= CURSOR_POSITION_MAX);
    uint8_t bytes[CURSOR_BYTES_MAX] = {CURSOR_VERSION};
    size_t len = CURSOR_HEADER_BYTES + c->position.len;
    put_u64le(bytes + 8, c->query);
    put_u64le(bytes + 16, c->revision);
    put_u64le(bytes + 24, c->issued_us);
    if (c->position.len > 0) {
        memcpy(bytes + CURSOR_HEADER_BYTES, c->position.data, c->position.len);
    }
    put_u32le(bytes + 4, checksum(bytes, len));
    return to_text(bytes, len, arena);
}

static int invalid(struct error *error, const char *why)
{
    return error_set(error, CLADE_ERR_INVALID, "cursor", "the cursor %s", why);
}

int cursor_decode(struct span text, struct arena *arena, struct cursor *ret, struct error *error)
{
    uint8_t bytes[CURSOR_BYTES_MAX + 4];
    size_t len;
    if (text.len > (CURSOR_BYTES_MAX * 4 + 2) / 3 || !from_text(text, bytes, &len) ||
        len < CURSOR_HEADER_BYTES || len > CURSOR_BYTES_MAX) {
        return invalid(error, "is not one that this cluster gave");
    }
    uint32_t stored = get_u32le(bytes + 4);
    if (stored != checksum(bytes, len)) {
        return invalid(error, "is damaged or cut off");
    }
    if (bytes[0] != CURSOR_VERSION || bytes[1] != 0 || bytes[2] != 0 || bytes[3] != 0) {
        return invalid(error, "is of another version; ask again without it");
    }
    size_t position_len = len - CURSOR_HEADER_BYTES;
    struct span position =
        arena_copy_span(arena, span_make(bytes + CURSOR_HEADER_BYTES, position_len));
    if (position.data == NULL) {
        return arena_failure(arena, position_len, error);
    }
    *ret = (struct cursor){
        .query = get_u64le(bytes + 8),
        .revision = get_u64le(bytes + 16),
        .issued_us = get_u64le(bytes + 24),
        .position = position,
    };
    return 0;
}
