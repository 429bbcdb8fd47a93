#pragma once
/* One transaction while apply runs it. What it answers and changes stands here until it has
 * succeeded or is taken back. */
#include "command/txn.h"
#include "storage/entry.h"
#include "storage/lookup.h"
#include "storage/render.h"
#include "storage/rows.h"

#define COMMAND_ARENA_BYTES   (64u << 20) /* the decoded transaction */
#define OPERATION_ARENA_BYTES (64u << 20) /* what one operation reads */
#define COMMAND_BODY_BYTES    (4u << 20)  /* what one transaction answers */
/* Caps of buffers, above all that a command within its limits can write, so that an append that
 * fails means that memory is out. */
#define COMMAND_BUFFER_BYTES (64u << 20)

/* What a change log row says of each change. Codes stand in stores. */
enum change_kind {
    CHANGE_CREATED = 1,
    CHANGE_CHANGED = 2,
    CHANGE_DELETED = 3,
    CHANGE_LINKED = 4,
    CHANGE_UNLINKED = 5,
    CHANGE_PURGED = 9
};

struct command {
    struct rows *rows;
    struct view *view; /* rows' */
    const struct item *item;
    struct txn txn;
    struct arena *arena;    /* lives as long as the command */
    struct arena *scratch;  /* emptied before each operation */
    struct buffer *record;  /* a record being encoded */
    struct buffer *body;    /* the results so far */
    struct buffer *changes; /* the list of the change log row */
    uint32_t changes_len;
    struct render render;
    struct charges *charges; /* what it adds to namespaces; NULL = nothing yet */
    uint64_t ns;             /* what plain references mean */
    uint64_t revision;       /* that this command makes if it changes something */
    uint64_t time_us;
    uint64_t *op_ids;         /* what each operation made or met; 0 = a link */
    size_t op;                /* the one that runs */
    struct op_name *op_names; /* sorted; built when first needed */
    size_t op_names_len;
    struct error *error; /* the view's too */
};

/* Runs guards and operations: 0 (the body holds the results; nothing changed when changes_len is
 * 0), a fatal code, or another CLADE_ERR_* that refuses the command, with `error` filled; then
 * the caller takes the rows back. */
int command_run(struct command *c);

/* A reference of the running operation; `where` is its field, for the error. Returns 0 or a
 * code. Things that are deleted are NOT_FOUND. */
int command_resolve(struct command *c,
                    const struct ref *ref,
                    const char *where,
                    struct thing **ret);
/* The same for a thing in any state; a name means who holds it, else who held it last. */
int command_resolve_any(struct command *c,
                        const struct ref *ref,
                        const char *where,
                        struct thing **ret);
/* Notes a change for the change log; label and other for edges, else 0. */
void command_note(
    struct command *c, enum change_kind kind, uint64_t id, uint32_t label, uint64_t other);
struct stamp command_stamp(const struct command *c);

/* How a write treats what is there already. */
enum write_mode {
    WRITE_NEW,    /* nothing is there */
    WRITE_UPDATE, /* core fields once, the rest is replaced */
    WRITE_MATCH   /* only what is missing; what differs is a conflict */
};

/* Applies the operation's fields to `thing`, in memory. Returns 0 or a code. */
int fields_apply(struct command *c,
                 const struct op *op,
                 enum write_mode mode,
                 struct thing *thing,
                 bool *ret_changed);

/* Stores a new thing with its index rows, counters and log. */
int thing_insert(struct command *c, struct thing *thing);
/* Writes the record and nothing else. */
int thing_put(struct command *c, const struct thing *thing, bool is_new);
/* Stores a thing that was `before`: history, record, new index rows, log. Sets `changed`. */
int thing_replace(struct command *c, const struct thing *before, struct thing *thing);

/* from LABEL to, which are there. Sets whether it was new. */
int edge_link(
    struct command *c, const struct thing *from, struct span label, uint64_t to, bool *ret_new);
/* Sets whether it was there. */
int edge_unlink(
    struct command *c, const struct thing *from, struct span label, uint64_t to, bool *ret_gone);

/* Appends one operation's result. */
int command_answer(struct command *c, const char *status, const struct thing *thing);

/* One operation each: 0 with its result appended and its id noted, or a code. Creates a thing, or
 * does what `if_exists` says with the one that is there. */
int op_create(struct command *c, const struct op *op);
/* Writes fields of a live thing. */
int op_update(struct command *c, const struct op *op);
/* Takes the content of a deleted thing away for good and leaves a tombstone. */
int op_purge(struct command *c, const struct op *op);
/* Marks a live thing deleted and frees its names; its edges stay. */
int op_delete(struct command *c, const struct op *op);
/* Makes an edge between live things, unless it is there. */
int op_link(struct command *c, const struct op *op);
/* Ends an edge between live things, if it is there. */
int op_unlink(struct command *c, const struct op *op);
