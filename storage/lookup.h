#pragma once
/* What a view says of things, names, labels and edges, as of its revision. Functions return 0, 1
 * when there is no such thing at that revision, or a negative CLADE_ERR_* with view->error
 * filled, unless they say otherwise; of things and names CLADE_ERR_COMPACTED where the revision is
 * below their floor (floor.h). What they return lives in the arena. */
#include "command/reference.h"
#include "storage/keys.h"
#include "storage/record.h"
#include "storage/view.h"

/* The things that one item of an answer needs are asked for again and again: a version's model for
 * its name, its state and its aliases. What lookup_thing gave from this arena last, which whoever
 * empties it has to forget. Readers have one; who may change what he looks up has none. */
#define LOOKUP_MEMO_MAX 4
struct lookup_memo {
    const struct arena *arena;
    unsigned next;
    struct {
        struct thing *thing; /* NULL: nothing */
        uint64_t id;
        uint64_t revision; /* the view's */
    } of[LOOKUP_MEMO_MAX];
};
static inline void lookup_forget(struct lookup_memo *memo)
{
    for (unsigned i = 0; i < LOOKUP_MEMO_MAX; i++) {
        memo->of[i].thing = NULL;
    }
}

/* The thing, live or deleted; not to be changed by a reader. */
int lookup_thing(struct view *v, struct arena *arena, uint64_t id, struct thing **ret);
/* The thing, its model or its experiment, that the thing is hidden with; 0 when there is none. */
uint64_t thing_holder(const struct thing *thing);
/* Whether the thing is live: a version only while its model is, a run only while its experiment
 * is. Never 1. */
int lookup_is_live(struct view *v, struct arena *arena, const struct thing *thing, bool *ret);

/* Who holds a name or an external id. `any_state`: else who held it last. */
int lookup_name(struct view *v,
                struct arena *arena,
                enum name_space space,
                uint64_t ns,
                enum kind kind,
                struct span text,
                bool any_state,
                struct thing **ret);
/* The live namespace of that path; an empty path is `default`. */
int lookup_namespace(struct view *v, struct arena *arena, struct span path, uint64_t *ret);
/* The version by its number, deleted ones too. */
int lookup_version(
    struct view *v, struct arena *arena, uint64_t model, uint64_t number, struct thing **ret);
/* The number of a version, which is the same at each revision: floors do not matter. What is read
 * lies in the arena. 0 or a code. */
int lookup_version_number(struct view *v, struct arena *arena, uint64_t id, uint64_t *ret);
/* The highest number of the model's versions, live or not; 0 when it has none. */
int lookup_highest_version(struct view *v, uint64_t model, uint64_t *ret);
/* The live version with the highest number. */
int lookup_latest_version(struct view *v, struct arena *arena, uint64_t model, struct thing **ret);

/* The number of a label; 1 when nobody ever used it. */
int lookup_label(struct view *v, struct span label, uint32_t *ret);
/* Never 1: a number without a label is damage. */
int lookup_label_text(struct view *v, struct arena *arena, uint32_t label, struct span *ret);

/* Decodes a value of an edge table, EDGE_BYTES long, and checks it. 0 or a code. */
int lookup_decode_edge(
    struct view *v, enum table table, struct span key, const uint8_t *bytes, struct edge *ret);

/* The newest edge (from, label, to) that lives at the view's revision. */
int lookup_edge(struct view *v, uint64_t from, uint32_t label, uint64_t to, struct edge *ret);

/* The props of an edge of that ends, as of the view's revision; 1 when it has had none. `set` is
 * the revision that wrote them. */
struct edge_props {
    uint64_t set;
    uint64_t ended; /* 0 = holds */
    uint64_t edge;  /* the revision that made the edge */
    struct field_value props;
};
int lookup_edge_props(struct view *v,
                      struct arena *arena,
                      uint64_t from,
                      uint32_t label,
                      uint64_t to,
                      struct edge_props *ret);
/* Whether any edge of the thing ever had props. Never 1. */
int lookup_has_edge_props(struct view *v, uint64_t from, bool *ret);
/* Decodes a row of edge_props. 0 or a code. */
int edge_props_decode(struct view *v,
                      struct arena *arena,
                      const struct row *row,
                      struct edge_props *ret);

/* The edges of one thing in one direction, in the order of (label, other). Calls `cb` for each
 * that lives at the view's revision until it returns other than 0; returns that. Never 1. */
typedef int (*lookup_edge_cb)(void *arg, const struct edge *edge);
int lookup_edges(struct view *v, enum table table, uint64_t id, lookup_edge_cb cb, void *arg);

/* The same for every edge that there was up to the view's revision: `ended` is 0 where it lives
 * then. */
int lookup_all_edges(struct view *v, enum table table, uint64_t id, lookup_edge_cb cb, void *arg);
/* The same as lookup_edges for the edges of one label. Each row that is read, of ended edges too,
 * is taken off *visits_left, but for those that compaction may have taken on some nodes; 1 when
 * none is left. */
int lookup_edges_of(struct view *v,
                    enum table table,
                    uint64_t id,
                    uint32_t label,
                    uint64_t *visits_left,
                    lookup_edge_cb cb,
                    void *arg);

/* The last revision that was stamped at or before a time. Never 1. */
int lookup_revision_at(struct view *v, uint64_t time_us, uint64_t *ret);
