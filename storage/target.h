#pragma once
/* What a deployment serves, as its field `targets` stores it: for each target the model's id u64,
 * the version's id u64, the share u16 (1/10,000), 1 for shadow u8; little-endian, in the order in
 * which they were given. */
#include "base/bytes.h"
#include "base/span.h"

#define TARGET_BYTES     19
#define TARGET_SHARE_ALL 10000

struct target {
    uint64_t model;
    uint64_t version;
    uint16_t share;
    bool shadow;
};

static inline void target_pack(const struct target *t, uint8_t bytes[TARGET_BYTES])
{
    put_u64le(bytes, t->model);
    put_u64le(bytes + 8, t->version);
    put_u16le(bytes + 16, t->share);
    bytes[18] = t->shadow ? 1 : 0;
}

/* The i-th target; packed.len / TARGET_BYTES of them. */
static inline struct target target_at(struct span packed, size_t i)
{
    const uint8_t *p = packed.data + i * TARGET_BYTES;
    return (struct target){.model = get_u64le(p),
                           .version = get_u64le(p + 8),
                           .share = get_u16le(p + 16),
                           .shadow = p[18] != 0};
}

static inline size_t targets_len(struct span packed)
{
    return packed.len / TARGET_BYTES;
}
