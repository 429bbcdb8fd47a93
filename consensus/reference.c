#include "consensus/reference.h"

#include "base/bytes.h"

#define VERSION     1
#define CHECKSUM_AT 72
#define MAGIC_BYTES 8

static const uint8_t magic[MAGIC_BYTES] = "cladesn";

void reference_encode(const struct reference *r, uint8_t bytes[REFERENCE_BYTES])
{
    memcpy(bytes, magic, sizeof magic);
    put_u32le(bytes + 8, VERSION);
    put_u32le(bytes + 12, 0);
    put_u64le(bytes + 16, r->index);
    put_u64le(bytes + 24, r->term);
    put_u64le(bytes + 32, r->revision);
    hash128_put(bytes + 40, r->data);
    hash128_put(bytes + 56, r->state);
    put_u64le(bytes + CHECKSUM_AT, hash64(span_make(bytes, CHECKSUM_AT), 0));
}

int reference_decode(struct span bytes, struct reference *ret, struct error *error)
{
    if (bytes.len != REFERENCE_BYTES || memcmp(bytes.data, magic, sizeof magic) != 0) {
        return error_set(error, CLADE_ERR_CORRUPT, "snapshot", "is no reference to a store");
    }
    uint32_t version = get_u32le(bytes.data + 8);
    if (version != VERSION) {
        return error_set(error, CLADE_ERR_UNSUPPORTED, "snapshot",
                         "is of version %u; this program knows version %d", version, VERSION);
    }
    if (get_u64le(bytes.data + CHECKSUM_AT) != hash64(span_make(bytes.data, CHECKSUM_AT), 0)) {
        return error_set(error, CLADE_ERR_CORRUPT, "snapshot", "does not match its checksum");
    }
    *ret = (struct reference){.index = get_u64le(bytes.data + 16),
                              .term = get_u64le(bytes.data + 24),
                              .revision = get_u64le(bytes.data + 32),
                              .data = hash128_get(bytes.data + 40),
                              .state = hash128_get(bytes.data + 56)};
    return 0;
}
