#pragma once
/* One query while a reader answers it: what the files of the read side share. */
#include "storage/adjacency.h"
#include "storage/cursor.h"
#include "storage/lookup.h"
#include "storage/reader.h"
#include "storage/render.h"

#define READING_SCRATCH_BYTES (64u << 20) /* what one item of an answer reads */
#define BUDGET_INTERVAL       256         /* steps between looks at the clock */

struct walk_memory;

struct reading {
    struct view *view;
    const struct adjacency *index; /* of all revisions up to the newest; NULL = there is none */
    const struct query *query;
    const struct reader_budget *budget;
    struct walk_memory *walks; /* two, for walk.h */
    struct meta meta;          /* of the snapshot */
    struct arena *arena;       /* the caller's: lives with the answer */
    struct arena *scratch;     /* emptied for each item */
    struct lookup_memo memo;   /* of what is in it */
    struct render render;
    /* what reading_emit adds to each thing; NULL = nothing (struct render_options) */
    int (*more)(void *arg, struct buffer *out, uint32_t *members);
    void *more_arg;
    struct buffer *out;
    size_t out_begin;
    struct error *error;
    uint64_t ns;                       /* the query's namespace */
    struct span position;              /* the cursor's; len 0 = from the start */
    uint32_t items;                    /* in the answer so far */
    uint64_t read_rows;                /* of the change log */
    uint64_t met;                      /* things, by walks */
    uint64_t began_us;                 /* monotonic; 0 = there is no clock */
    uint64_t compacted;                /* as in struct reader_answer */
    uint32_t steps;                    /* since the last look at the clock */
    bool full;                         /* an item did not fit: the answer ends before it */
    bool stopped;                      /* the budget is used up */
    bool sliced;                       /* its slice was over */
    uint8_t next[CURSOR_POSITION_MAX]; /* where to go on */
    size_t next_len;                   /* 0 = nowhere: what is cut off cannot be reached */
};

/* Forgets what the item before has read. */
void reading_next_item(struct reading *r);
/* Looks at the clock; true when the budget is used up (`stopped` is set too). Cancelling counts. */
bool reading_look(struct reading *r);
/* Counts steps and looks now and then. */
static inline bool reading_steps(struct reading *r, uint32_t steps)
{
    r->steps += steps;
    return r->stopped || (r->steps >= BUDGET_INTERVAL && reading_look(r));
}
static inline bool reading_step(struct reading *r)
{
    return reading_steps(r, 1);
}
/* The same, for those who know no readings: `arg` is one. */
bool reading_stop(void *arg);
/* Appends the thing. 0, 1 when it does not fit in the page (`full` is set), or a code. */
int reading_emit(struct reading *r, const struct thing *thing, uint32_t depth);
/* The same for an item that is in `out` already, from `mark` on. */
int reading_emitted(struct reading *r, size_t mark);
/* Whether so many bytes more surely fit in the answer. */
bool reading_has_room(const struct reading *r, size_t bytes);
/* The same after render_thing has returned `rc`. */
int reading_rendered(struct reading *r, int rc, size_t mark);
void reading_set_next(struct reading *r, struct span position);
/* What goes by rows of a namespace asks for its floor first: rows that are gone lead to nothing. Of
 * namespaces, which are the root's, there is none. What goes by references or along edges meets the
 * floor of each thing (lookup.h, walk.h). 0 or a code. */
int reading_check_floor(struct reading *r);
/* A cursor whose position is not of the form that the query makes. */
int reading_bad_cursor(struct reading *r);

/* The thing that a reference of the query means, as `state` has it: a name means a live thing
 * unless the deleted are asked for. 0 or a code. */
int reading_resolve(struct reading *r, const struct ref *ref, struct thing **ret);
/* The id of the thing where a read that follows edges begins, by the same rule; `id/N` means any.
 * The error's `where` is the parameter. */
int reading_find_start(struct reading *r, const struct ref *ref, const char *where, uint64_t *ret);
/* The revision that a parameter says. 0 or a code. */
int reading_revision(struct reading *r,
                     const struct query_as_of *as_of,
                     const char *where,
                     uint64_t *ret);

/* What a history says of a change: "fields" and the map from each field that differs to {"from",
 * "to"}, a side left out where it is not set; `from` NULL: there was nothing; another thing: names
 * are left out. `logged`: with the params that were written at the view's revision. */
int history_put_fields(struct reading *r,
                       const struct thing *from,
                       const struct thing *to,
                       bool logged);
/* The same for each key of pairs that differs, as members of a map that is open, counted in
 * *members: "FIELD.KEY"; for a field NULL props, and KEY alone. Both sides are sorted by key. */
int history_put_pairs(struct reading *r,
                      const struct field *field,
                      const struct field_value *from,
                      const struct field_value *to,
                      uint32_t *members);

/* Each appends the value of "data" and returns 0 or a code; `full` and `stopped` say whether it
 * is all. */
int read_get(struct reading *r);
int read_list(struct reading *r);
int read_lineage(struct reading *r);
int read_history(struct reading *r);
int read_paths(struct reading *r);
int read_diff(struct reading *r);
int read_describe(struct reading *r);
int read_metrics(struct reading *r);
int read_audit(struct reading *r);
/* As reader_watch says. */
struct watcher;
int read_watch(struct reading *r, struct watcher *watchers[], size_t len);
int read_search(struct reading *r);
/* The thing that a target means, in the scratch arena; NOT_FOUND is the target's own error. */
int reading_find(struct reading *r, const struct query_target *target, struct thing **ret);
/* A target's error in the place of its thing; as reading_emitted. */
int reading_emit_error(struct reading *r, const struct query_target *target);
