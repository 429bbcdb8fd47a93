#pragma once
/* Frames between members, all integers little-endian.
 *     0 u32 length of the payload   4 u32 0   8 u64 XXH3 of the payload   16 payload
 * The first frame each way is the handshake:
 *     0 "cladepr" and a zero   8 u32 protocol version   12 u32 features
 *    16 16 bytes cluster id   32 u64 sender   40 u64 whom it takes the other for
 * Features of an answer: bit 31: the node that called was removed from the cluster.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"

#define PEER_FRAME_HEADER_BYTES 16
#define PEER_HANDSHAKE_BYTES    48
#define PEER_PROTOCOL_VERSION   1
#define PEER_FEATURE_REMOVED    (UINT32_C(1) << 31)

struct peer_handshake {
    uint32_t version;
    uint32_t features;
    struct hash128 cluster;
    uint64_t from;
    uint64_t to;
};

/* Appends a whole frame; false when the buffer's cap is reached (nothing is appended then). */
bool peer_frame_put(struct buffer *b, struct span payload);
/* 0: *ret is the payload of the first frame, *ret_len the bytes of the frame. 1: more bytes are
 * needed. CLADE_ERR_CORRUPT: a payload above payload_bytes_max, or the checksum is wrong. */
int peer_frame_parse(struct span bytes,
                     size_t payload_bytes_max,
                     struct span *ret,
                     size_t *ret_len,
                     struct error *error);

/* Appends the handshake as a whole frame. */
void peer_handshake_put(struct buffer *b, const struct peer_handshake *h);
/* From a frame's payload; CLADE_ERR_CORRUPT when it is none. Whose it is, is the caller's to judge.
 */
int peer_handshake_decode(struct span payload, struct peer_handshake *ret, struct error *error);
