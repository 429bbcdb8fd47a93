#pragma once
/* The compaction floor: below it the history of a namespace cannot be read any more, on no node,
 * whether its rows are still there or not. Replicated, moved by the log alone (compact.h), and only
 * ever upwards. A floor F says: reads as of F and later are whole; what changed at F and before is
 * no longer told.
 *
 * A thing has the floor of its namespace; one that is held keeps the floor that it had when the
 * hold was set, for as long as it is held. Namespaces themselves, held or not, are of the root,
 * which has none: the row of a namespace's id is of what is in it.
 */
#include "storage/lookup.h"
#include "storage/rows.h"

struct floor {
    uint64_t revision; /* 0 = everything can be read */
    uint64_t time_us;  /* store time of the command that moved it last */
    struct span by;    /* the principal that asked for it, in the map; empty: retention did */
};

/* Sets view->floor_max, the highest of all: reads at or above it need not look at floors. To be
 * called when a view's transaction has begun. 0 or a code. */
int floors_load(struct view *v);
/* 0 or a code. */
int floor_of_namespace(struct view *v, uint64_t ns, struct floor *ret);
/* Of a thing, given as it is now. 0 or a code. */
int floor_of_thing(struct view *v, const struct thing *now, uint64_t *ret);
/* The highest of a namespace, given by its path, and of all under it; of all when the path is
 * empty. 0 or a code. */
int floor_under(struct view *v, struct span path, uint64_t *ret);
/* Of the thing with that id, which must be there; what is read lies in the arena. 0 or a code. */
int floor_of_id(struct view *v, struct arena *arena, uint64_t id, uint64_t *ret);

/* CLADE_ERR_COMPACTED when the view's revision is below the floor: of a namespace; of a thing as it
 * is now; of a thing by its id. The error's `revision` is the oldest that can be
 * read. Else 0 or another code. */
int floor_check_namespace(struct view *v, uint64_t ns);
int floor_check_thing(struct view *v, const struct thing *now);
int floor_check_id(struct view *v, struct arena *arena, uint64_t id);

/* --- Apply ---------------------------------------------------------------------------------- */

/* Moves a namespace's floor to `to`, which is above the one it has (`from`). The rows below it
 * become compaction's (compact.h). 0 or a code. */
int floor_move(struct rows *rows, uint64_t ns, uint64_t from, const struct floor *to);
/* The thing is held from now on, respectively no longer. 0 or a code. */
int floor_hold(struct rows *rows, const struct thing *thing);
int floor_release(struct rows *rows, const struct thing *thing);

/* What this node's compaction has still to look at: revisions from `next` to `end` of the change
 * log; of `next` the changes from the number `change` on, and whether its row has to stay. A row of
 * the table `meta`, outside the sums: each node is as far as it is. */
struct floor_pass {
    uint64_t next;
    uint64_t end;
    uint64_t change;
    uint64_t keeps; /* 0 or 1 */
};

/* 0, 1 when there is nothing to do, or a code. */
int floor_pass_get(struct view *v, struct floor_pass *ret);
/* Also takes it away when it is at its end. 0 or a code. */
int floor_pass_put(struct rows *rows, const struct floor_pass *pass);
