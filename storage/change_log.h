#pragma once
/* The change log as answers tell it: who made a revision, when and why, and what it changed. What
 * `history`, `watch` and `audit` share (client/wire/README.md, "History"). */
#include "storage/command.h"
#include "storage/reading.h"
#include "storage/varint.h"

struct change_who {
    uint64_t time_us;     /* 0 = there is no row */
    uint64_t happened_us; /* 0 = it was not said */
    struct span principal;
    struct span on_behalf_of;
    struct span reason;
    struct span changes; /* their number and they, for a varint_reader */
};

/* One change of a row. */
struct change {
    enum change_kind kind;
    uint64_t id;       /* of the thing; of an edge its `from`, of an alias the model */
    uint32_t label;    /* edges */
    uint64_t other;    /* edges */
    struct span alias; /* aliases; else len 0 */
    uint64_t from;     /* aliases: version ids, 0 = none */
    uint64_t to;
};

/* Appends what a row begins with, and a change. What `changes` has follows as it is: it is not
 * appended. */
void change_row_begin(struct buffer *row, const struct change_who *who);
void change_put(struct buffer *row, const struct change *change);
/* Decodes a row's value; *ret borrows from it. CLADE_ERR_CORRUPT. */
int change_row_decode(struct span row, uint64_t revision, struct change_who *ret, struct error *e);
/* The row of a revision; all zero when there is none. */
int change_who_find(struct view *v, uint64_t revision, struct change_who *ret);
/* The next change; the reader's `failed` says that the row is damaged. */
struct change change_next(struct varint_reader *v);
/* Appends "revision", "time", "principal" and what else was said; how many members these are. */
uint32_t change_put_who(struct buffer *out, uint64_t revision, const struct change_who *who);
/* "created", "changed", "deleted", "undeleted" or "purged". `from` NULL: there was nothing. */
const char *change_word(const struct thing *from, const struct thing *to);

enum edge_change { EDGE_LINKED, EDGE_CHANGED, EDGE_UNLINKED };
/* Appends what happened to the edge (from, label, other) at the view's revision. `bare`: without
 * its props. */
int change_put_edge(struct reading *r,
                    uint64_t from,
                    uint32_t label,
                    uint64_t other,
                    enum edge_change change,
                    bool bare);
/* Appends the move of an alias. */
int change_put_alias(struct reading *r, const struct change *c);
