#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "consensus/guard.h"

#define VERSION 2

static const char magic[8] = "clademk";

void guard_mark_encode(const struct guard_mark *mark, uint8_t ret[GUARD_SLOT_BYTES])
{
    memcpy(ret, magic, sizeof magic);
    put_u32le(ret + 8, VERSION);
    put_u32le(ret + 12, 0);
    put_u64le(ret + 16, mark->generation);
    put_u64le(ret + 24, mark->term);
    put_u64le(ret + 32, mark->vote);
    put_u64le(ret + 40, mark->index);
    put_u64le(ret + 48, mark->index_term);
    put_u64le(ret + 56, mark->next_term);
    put_u64le(ret + 64, mark->next_vote);
    put_u64le(ret + 72, hash64(span_make(ret, 72), 0));
}

bool guard_mark_decode(const uint8_t slot[GUARD_SLOT_BYTES], struct guard_mark *ret)
{
    if (memcmp(slot, magic, sizeof magic) != 0 || get_u32le(slot + 8) != VERSION ||
        get_u64le(slot + 72) != hash64(span_make(slot, 72), 0)) {
        return false;
    }
    *ret = (struct guard_mark){.generation = get_u64le(slot + 16),
                               .term = get_u64le(slot + 24),
                               .vote = get_u64le(slot + 32),
                               .index = get_u64le(slot + 40),
                               .index_term = get_u64le(slot + 48),
                               .next_term = get_u64le(slot + 56),
                               .next_vote = get_u64le(slot + 64)};
    return true;
}

int guard_mark_read(struct guard_disk *disk, struct guard_mark *ret, struct error *error)
{
    uint8_t slots[2][GUARD_SLOT_BYTES];
    struct guard_mark marks[2];
    bool exists;
    int r = disk->read(disk, slots, &exists, error);
    if (r < 0) {
        return r;
    }
    bool first = guard_mark_decode(slots[0], &marks[0]);
    bool second = guard_mark_decode(slots[1], &marks[1]);
    if (!first && !second) {
        return error_set(error, CLADE_ERR_CORRUPT, "mark", "the log's mark is %s",
                         exists ? "damaged" : "not there");
    }
    *ret = first && (!second || marks[0].generation > marks[1].generation) ? marks[0] : marks[1];
    return 0;
}

int guard_mark_write(struct guard_disk *disk, const struct guard_mark *mark, struct error *error)
{
    uint8_t slot[GUARD_SLOT_BYTES];
    guard_mark_encode(mark, slot);
    return disk->write(disk, mark->generation % 2, slot, error);
}

int guard_create(struct guard_disk *disk, struct error *error)
{
    return guard_mark_write(disk, &(struct guard_mark){.generation = 2}, error);
}
