#pragma once
/* How much room a node has for what is written: what it is told by whoever looks at its disk and
 * its store, what members tell each other, and what a leader refuses writes by. */
#include <stdbool.h>
#include <stdint.h>

enum room_level {
    ROOM_ENOUGH,
    ROOM_LOW, /* for what makes room, and nothing else */
    ROOM_NONE /* for that neither */
};

enum room_kind {
    ROOM_OF_DISK, /* the file system of the data folder */
    ROOM_OF_MAP   /* the map of the store's file (map_bytes) */
};

/* All but the level is of no interest while there is enough. */
struct room {
    enum room_level level;
    enum room_kind kind; /* what lacks */
    uint64_t left_bytes;
    uint64_t wanted_bytes; /* with less left than that the level is no more ROOM_ENOUGH */
};
