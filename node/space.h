#pragma once
/* Whether a node has room for what is written: in the file system of its data folder, and in the
 * map of its store's file. Two reserves of each: below the first, writes are refused but for
 * those that make room; below the second, those too. A level that was left comes back a little
 * above where it was left, so that it does not flap. */
#include "base/span.h"
#include "consensus/room.h"

struct space_figures {
    uint64_t disk_free_bytes;
    uint64_t disk_wanted_bytes;
    uint64_t map_bytes;
    uint64_t map_used_bytes;     /* of the file, as far as it reaches */
    uint64_t map_reusable_bytes; /* of those, what the next commits may write to */
    bool applying_waits;         /* a commit found no room, and is tried again */
};

/* Zeroed: there is enough of both. */
struct space {
    struct room disk;
    struct room map;
};

/* Bytes of a map that are to stay free, by what is to stay free of the disk: as much, but no more
 * than an eighth of a small map. */
uint64_t space_map_wanted(uint64_t map_bytes, uint64_t disk_wanted_bytes);
/* The second reserve: a quarter of the first, or of a small one more: two segments of the log. */
uint64_t space_reserve(uint64_t wanted_bytes);

/* Takes new figures. */
void space_look(struct space *s, const struct space_figures *f);
/* The room there is: that of disk and map which lacks more. */
void space_room(const struct space *s, struct room *ret);
/* Whether an item of the log (storage/entry.h) is to be taken with so little room: it makes some,
 * or is the node's own business. Deletes, purges and compaction, what they may need first (unlink,
 * unset_alias, set_stage, release), what a namespace says (its retention), sessions, members. */
bool space_lets(struct span item, const struct room *room);
