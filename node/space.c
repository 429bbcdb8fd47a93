#include "node/space.h"

#include "command/value.h"
#include "storage/entry.h"

#define MIB            (UINT64_C(1) << 20)
#define SEGMENTS_BYTES (16 * MIB) /* two of the log, which are made before they are written */
#define MAP_SHARE      8
#define FLAP_SHARE     16
/* What a decoded command may take; one that needs more is taken for one that makes no room. */
#define ARENA_BYTES (64 * MIB)

static const char *const ops_that_free[] = {"delete",      "purge",     "compact", "unlink",
                                            "unset_alias", "set_stage", "release", NULL};

/* --- levels --- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t space_map_wanted(uint64_t map_bytes, uint64_t disk_wanted_bytes)
{
    return least(map_bytes / MAP_SHARE, disk_wanted_bytes);
}

uint64_t space_reserve(uint64_t wanted_bytes)
{
    uint64_t small = least(wanted_bytes / 2, SEGMENTS_BYTES);
    return wanted_bytes / 4 > small ? wanted_bytes / 4 : small;
}

static void level(struct room *room, enum room_kind kind, uint64_t left, uint64_t wanted)
{
    uint64_t flap = wanted / FLAP_SHARE;
    uint64_t reserve = space_reserve(wanted);
    bool is_none = left < (room->level == ROOM_NONE ? reserve + flap : reserve);
    bool is_low = left < (room->level != ROOM_ENOUGH ? wanted + flap : wanted);
    *room = (struct room){.level = is_none  ? ROOM_NONE
                                   : is_low ? ROOM_LOW
                                            : ROOM_ENOUGH,
                          .kind = kind,
                          .left_bytes = left,
                          .wanted_bytes = wanted};
}

void space_look(struct space *s, const struct space_figures *f)
{
    uint64_t used = f->map_used_bytes - least(f->map_used_bytes, f->map_reusable_bytes);
    uint64_t left = f->map_bytes - least(f->map_bytes, used);
    level(&s->disk, ROOM_OF_DISK, f->disk_free_bytes, f->disk_wanted_bytes);
    level(&s->map, ROOM_OF_MAP, left, space_map_wanted(f->map_bytes, f->disk_wanted_bytes));
    if (f->applying_waits) { /* whatever the figures say: free pages may lie too far apart */
        struct room *room = left < f->disk_free_bytes ? &s->map : &s->disk;
        room->level = ROOM_NONE;
    }
}

void space_room(const struct space *s, struct room *ret)
{
    *ret = s->map.level > s->disk.level ? s->map : s->disk;
}

/* --- what is taken all the same --- */

static bool op_frees(const struct value *op)
{
    struct span name = value_string(value_get(op, "op"));
    struct span ref = value_string(value_get(op, "ref"));
    return span_is_one_of(name, ops_that_free) ||
           (span_equal_str(name, "update") && span_starts_with(ref, "namespace/"));
}

static bool txn_frees(struct span command)
{
    struct arena arena;
    const struct value *txn;
    arena_init(&arena, ARENA_BYTES);
    bool frees = value_decode(command, &value_limits_request, &arena, &txn, NULL) == 0;
    const struct value *ops = frees ? value_get(txn, "ops") : NULL;
    frees = frees && value_len(ops) > 0;
    for (size_t i = 0; frees && i < value_len(ops); i++) {
        frees = op_frees(value_at(ops, i));
    }
    arena_release(&arena);
    return frees;
}

bool space_lets(struct span item, const struct room *room)
{
    struct item i;
    size_t len;
    if (room->level == ROOM_ENOUGH) {
        return true;
    }
    if (item_decode(item, &i, &len, NULL) != 0) {
        return false;
    }
    if (room->level == ROOM_NONE) {
        /* What was purged goes with each entry: pages of the map for a few bytes of log. */
        return room->kind == ROOM_OF_MAP && i.kind == ITEM_TICK;
    }
    return i.kind != ITEM_TXN || txn_frees(i.command);
}
