#include "storage/entry.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"

#define ENTRY_ALIGN 8

size_t item_bytes(const struct item *item)
{
    return ITEM_HEADER_BYTES + item->principal.len + item->on_behalf_of.len + item->ns.len +
           item->command.len;
}

void item_encode(struct buffer *b, const struct item *item)
{
    CHECK(item->principal.len <= UINT16_MAX && item->on_behalf_of.len <= UINT16_MAX);
    CHECK(item->ns.len <= UINT16_MAX && item->command.len <= CLADE_MAX_COMMAND_BYTES);
    uint8_t h[ITEM_HEADER_BYTES] = {0};
    put_u32le(h, (uint32_t)item_bytes(item));
    h[4] = (uint8_t)item->kind;
    put_u16le(h + 6, (uint16_t)item->principal.len);
    put_u16le(h + 8, (uint16_t)item->on_behalf_of.len);
    put_u16le(h + 10, (uint16_t)item->ns.len);
    put_u32le(h + 12, (uint32_t)item->command.len);
    put_u64le(h + 16, item->id.node);
    put_u64le(h + 24, item->id.boot);
    put_u64le(h + 32, item->id.counter);
    put_u64le(h + 40, item->session);
    put_u64le(h + 48, item->seq);
    put_u64le(h + 56, item->answered);
    buffer_append(b, h, sizeof h);
    buffer_append_span(b, item->principal);
    buffer_append_span(b, item->on_behalf_of);
    buffer_append_span(b, item->ns);
    buffer_append_span(b, item->command);
}

static int malformed(struct error *error, size_t at, const char *what)
{
    char where[32];
    snprintf(where, sizeof where, "byte %zu", at);
    return error_set(error, CLADE_ERR_CORRUPT, where, "the log entry is damaged: %s", what);
}

static struct span take(struct span *rest, size_t len)
{
    struct span s = span_make(rest->data, len);
    *rest = span_skip(*rest, len);
    return s;
}

int item_decode(struct span bytes, struct item *ret, size_t *ret_len, struct error *error)
{
    if (bytes.len < ITEM_HEADER_BYTES) {
        return malformed(error, 0, "an item is cut off");
    }
    const uint8_t *h = bytes.data;
    size_t len = get_u32le(h);
    size_t principal = get_u16le(h + 6);
    size_t on_behalf_of = get_u16le(h + 8);
    size_t ns = get_u16le(h + 10);
    size_t command = get_u32le(h + 12);
    if (len > bytes.len) {
        return malformed(error, 0, "an item is longer than the entry");
    }
    if (h[4] < ITEM_TXN || h[4] > ITEM_RETAIN) {
        return malformed(error, 4, "an item is of an unknown kind");
    }
    if (h[5] != 0) {
        return malformed(error, 5, "an item has unknown flags");
    }
    if (command > CLADE_MAX_COMMAND_BYTES) {
        return malformed(error, 12, "an item's command is too long");
    }
    if (len != ITEM_HEADER_BYTES + principal + on_behalf_of + ns + command) {
        return malformed(error, 6, "an item's lengths do not add up");
    }
    struct span rest = span_make(h + ITEM_HEADER_BYTES, len - ITEM_HEADER_BYTES);
    *ret = (struct item){
        .kind = (enum item_kind)h[4],
        .id = {.node = get_u64le(h + 16), .boot = get_u64le(h + 24), .counter = get_u64le(h + 32)},
        .session = get_u64le(h + 40),
        .seq = get_u64le(h + 48),
        .answered = get_u64le(h + 56),
    };
    ret->principal = take(&rest, principal);
    ret->on_behalf_of = take(&rest, on_behalf_of);
    ret->ns = take(&rest, ns);
    ret->command = take(&rest, command);
    *ret_len = len;
    return 0;
}

void entry_begin(struct buffer *b)
{
    static const uint8_t zeros[ENTRY_HEADER_BYTES];
    buffer_append(b, zeros, sizeof zeros);
}

void entry_end(struct buffer *b, const struct entry_header *header)
{
    static const uint8_t zeros[ENTRY_ALIGN];
    buffer_append(b, zeros, (ENTRY_ALIGN - b->len % ENTRY_ALIGN) % ENTRY_ALIGN);
    if (b->failed) {
        return;
    }
    CHECK(b->len >= ENTRY_HEADER_BYTES);
    b->data[0] = ENTRY_VERSION;
    b->data[1] = header->level;
    put_u16le(b->data + 2, header->items);
    put_u32le(b->data + 4, header->elapsed_ms);
    put_u64le(b->data + 8, header->stamp_us);
}

static int decode_header(struct span bytes, struct entry_header *ret, struct error *error)
{
    if (bytes.len < ENTRY_HEADER_BYTES || bytes.len > ENTRY_BYTES_MAX ||
        bytes.len % ENTRY_ALIGN != 0) {
        return malformed(error, bytes.len, "its length is wrong");
    }
    if (bytes.data[0] == 0) {
        return malformed(error, 0, "it has no version");
    }
    if (bytes.data[0] > ENTRY_VERSION || bytes.data[1] > SEMANTICS_LEVEL) {
        return error_set(error, CLADE_ERR_UNSUPPORTED, "byte 0",
                         "the log entry is of version %u, semantics level %u; this program knows "
                         "%u and %u and must be replaced by a newer one",
                         bytes.data[0], bytes.data[1], ENTRY_VERSION, SEMANTICS_LEVEL);
    }
    if (bytes.data[1] == 0) {
        return malformed(error, 1, "it has no semantics level");
    }
    *ret = (struct entry_header){
        .level = bytes.data[1],
        .items = get_u16le(bytes.data + 2),
        .elapsed_ms = get_u32le(bytes.data + 4),
        .stamp_us = get_u64le(bytes.data + 8),
    };
    return 0;
}

int entry_check(struct span bytes, struct entry_header *ret, struct error *error)
{
    struct entry_header header;
    int rc = decode_header(bytes, &header, error);
    if (rc != 0) {
        return rc;
    }
    struct span rest = span_skip(bytes, ENTRY_HEADER_BYTES);
    for (unsigned i = 0; i < header.items; i++) {
        struct item item;
        size_t len;
        rc = item_decode(rest, &item, &len, error);
        if (rc != 0) {
            return rc;
        }
        rest = span_skip(rest, len);
    }
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.data[i] != 0 || rest.len >= ENTRY_ALIGN) {
            return malformed(error, bytes.len - rest.len + i, "it has bytes after its items");
        }
    }
    *ret = header;
    return 0;
}
