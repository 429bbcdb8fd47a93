#include "consensus/peer_frame.h"

#include "base/bytes.h"

static const uint8_t magic[8] = "cladepr";

bool peer_frame_put(struct buffer *b, struct span payload)
{
    if (b->len + PEER_FRAME_HEADER_BYTES + payload.len > b->bytes_max) {
        return false;
    }
    uint8_t head[PEER_FRAME_HEADER_BYTES] = {0};
    put_u32le(head, (uint32_t)payload.len);
    put_u64le(head + 8, hash64(payload, 0));
    return buffer_append(b, head, sizeof head) && buffer_append_span(b, payload);
}

int peer_frame_parse(struct span bytes,
                     size_t payload_bytes_max,
                     struct span *ret,
                     size_t *ret_len,
                     struct error *error)
{
    if (bytes.len < PEER_FRAME_HEADER_BYTES) {
        return 1;
    }
    uint32_t len = get_u32le(bytes.data);
    if (len == 0 || len > payload_bytes_max || get_u32le(bytes.data + 4) != 0) {
        return error_set(error, CLADE_ERR_CORRUPT, NULL, "a frame of %u bytes", len);
    }
    if (bytes.len - PEER_FRAME_HEADER_BYTES < len) {
        return 1;
    }
    struct span payload = span_make(bytes.data + PEER_FRAME_HEADER_BYTES, len);
    if (hash64(payload, 0) != get_u64le(bytes.data + 8)) {
        return error_set(error, CLADE_ERR_CORRUPT, NULL, "a frame's checksum is wrong");
    }
    *ret = payload;
    *ret_len = PEER_FRAME_HEADER_BYTES + len;
    return 0;
}

void peer_handshake_put(struct buffer *b, const struct peer_handshake *h)
{
    uint8_t p[PEER_HANDSHAKE_BYTES];
    memcpy(p, magic, sizeof magic);
    put_u32le(p + 8, h->version);
    put_u32le(p + 12, h->features);
    hash128_put(p + 16, h->cluster);
    put_u64le(p + 32, h->from);
    put_u64le(p + 40, h->to);
    (void)peer_frame_put(b, span_make(p, sizeof p));
}

int peer_handshake_decode(struct span payload, struct peer_handshake *ret, struct error *error)
{
    if (payload.len != PEER_HANDSHAKE_BYTES || memcmp(payload.data, magic, sizeof magic) != 0) {
        return error_set(error, CLADE_ERR_CORRUPT, NULL, "not a member of a clade cluster");
    }
    const uint8_t *p = payload.data;
    *ret = (struct peer_handshake){.version = get_u32le(p + 8),
                                   .features = get_u32le(p + 12),
                                   .cluster = hash128_get(p + 16),
                                   .from = get_u64le(p + 32),
                                   .to = get_u64le(p + 40)};
    return 0;
}
