#pragma once
/* One transaction while apply runs it. What it answers and changes stands here until it has
 * succeeded or is taken back. */
#include "command/txn.h"
#include "storage/entry.h"
#include "storage/filter_match.h"
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
    CHANGE_ALIAS_SET = 6,
    CHANGE_ALIAS_UNSET = 7,
    CHANGE_UNDELETED = 8,
    CHANGE_PURGED = 9,
    CHANGE_LOGGED = 10 /* params or points of metrics */
};

#define COMMAND_ACYCLIC_LABELS 9

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
    uint64_t *op_ids;                         /* what each operation made or met; 0 = a link */
    size_t op;                                /* the one that runs */
    uint64_t match_steps_left;                /* of the guards' queries */
    uint64_t cycle_visits_left;               /* of edges, for all looks for cycles */
    uint32_t acyclic[COMMAND_ACYCLIC_LABELS]; /* those labels' numbers, as far as they are used */
    unsigned acyclic_len;
    uint64_t acyclic_at;      /* the next label's number when they were looked up */
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
/* The same for a thing in any state: a name that nobody holds means its last holder. */
int command_resolve_any(struct command *c,
                        const struct ref *ref,
                        const char *where,
                        struct thing **ret);
/* Says that what `where` refers to is of another kind than it must be: CLADE_ERR_INVALID. */
int command_wrong_kind(struct command *c,
                       const char *where,
                       enum kind wanted,
                       const struct thing *got);
/* CLADE_ERR_CONFLICT when the thing is held. */
int command_check_hold(struct command *c, const struct thing *thing);
/* Notes a change for the change log; label and other for edges, else 0. */
void command_note(
    struct command *c, enum change_kind kind, uint64_t id, uint32_t label, uint64_t other);
/* Notes that an alias of the model moved from a version (0 = nowhere) to another (0 = nowhere). */
void command_note_alias(
    struct command *c, uint64_t model, struct span alias, uint64_t from, uint64_t to);
/* Says in the error which thing is in the way: its id, its revision, its reference. Returns the
 * error's code, or a fatal one. */
int command_say_there(struct command *c, const struct thing *there);
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
/* Notes a thing that no name leads to from now on, so that its edges are still found. */
int thing_lose_name(struct command *c, const struct thing *thing);
/* Takes away the row by which a uri finds the thing that has it, whenever it was written. */
int thing_forget_uri(struct command *c, const struct thing *thing, struct span uri);
/* Stores a thing that was `before`: history, record, index rows, use, log. Sets `changed`, and
 * `named` when it has another name, or its own again. */
int thing_replace(struct command *c, const struct thing *before, struct thing *thing);

/* The type of that whole name ("artifact:dataset", "edge:LABEL") in the namespace or above it; 1
 * when there is none. */
int command_find_type(struct command *c, uint64_t ns, struct span name, struct thing **ret);
/* The type of edges with the label that begin in the namespace; 1 when there is none. */
int command_find_edge_type(struct command *c, uint64_t ns, struct span label, struct thing **ret);

/* CLADE_ERR_CYCLE, naming it, when a new edge from LABEL to would close a cycle of the labels that
 * are acyclic (acyclic.c); CLADE_ERR_LIMIT when looking took too long. */
int edge_check_cycle(
    struct command *c, const struct thing *from, struct span label, uint32_t number, uint64_t to);
/* Writes the props of the operation, a link, into the edge that it made or met, held against the
 * label's type. Sets whether they are others now. */
int edge_write_props(struct command *c,
                     const struct op *op,
                     const struct thing *from,
                     uint64_t to,
                     bool is_new,
                     bool *ret_changed);
/* The edge ends, and its props with it. */
int edge_end_props(struct command *c, const struct thing *from, uint32_t label, uint64_t to);

/* Stores a thing of which what is not in its record has changed: history and record, no log.
 * `before` and `thing` as above. */
int thing_touch(struct command *c, const struct thing *before, struct thing *thing);

/* from LABEL to, which are there. Sets whether it was new. */
int edge_link(
    struct command *c, const struct thing *from, struct span label, uint64_t to, bool *ret_new);
/* Sets whether it was there. */
int edge_unlink(
    struct command *c, const struct thing *from, struct span label, uint64_t to, bool *ret_gone);

/* Index rows for the stage and the targets of what was `before` (NULL: nothing) and is `t`. */
int pointers_follow(struct command *c, const struct thing *before, const struct thing *t);
/* Refuses the command if something that it deleted is pointed to when it ends. */
int command_check_in_use(struct command *c);
/* A namespace's list of stages is about to be this one (len 0: what it inherits): what goes must
 * be empty. */
int stages_check_list(struct command *c, const struct thing *ns, struct span packed);

/* The guards on aliases and stages, of a thing that is there. */
int guard_alias(struct command *c, const struct guard *g, const struct thing *model);
int guard_stage(struct command *c, const struct guard *g, const struct thing *version);

/* Appends one operation's result. */
int command_answer(struct command *c, const char *status, const struct thing *thing);
/* The same with more members, which the caller appends before it calls command_check_answer. */
int command_begin_answer(struct command *c,
                         const char *status,
                         const struct thing *thing,
                         uint32_t more);
/* After a result of another form was appended: 0, or CLADE_ERR_LIMIT, _NO_MEMORY. */
int command_check_answer(struct command *c);
/* The operation's `ref`, which must be of that kind. */
int command_subject(struct command *c, const struct op *op, enum kind kind, struct thing **ret);

/* One operation each: 0 with its result appended and its id noted, or a code. Creates a thing, or
 * does what `if_exists` says with the one that is there. */
int op_create(struct command *c, const struct op *op);
/* Writes fields of a live thing. */
int op_update(struct command *c, const struct op *op);
/* Gives a live thing another name. */
int op_rename(struct command *c, const struct op *op);
/* Holds a thing, live or deleted, and lets go of it. */
int op_hold(struct command *c, const struct op *op);
int op_release(struct command *c, const struct op *op);
/* Brings a deleted thing back, under its own name or another. */
int op_undelete(struct command *c, const struct op *op);
/* Takes the content of a deleted thing away for good and leaves a tombstone. */
int op_purge(struct command *c, const struct op *op);
/* Marks a live thing deleted and frees its names; its edges stay. */
int op_delete(struct command *c, const struct op *op);
/* Makes an edge between live things, unless it is there. */
int op_link(struct command *c, const struct op *op);
/* Ends an edge between live things, if it is there. */
int op_unlink(struct command *c, const struct op *op);
/* Moves an alias, a version to a stage, a deployment to other targets. */
int op_set_alias(struct command *c, const struct op *op);
int op_unset_alias(struct command *c, const struct op *op);
int op_set_stage(struct command *c, const struct op *op);
int op_set_targets(struct command *c, const struct op *op);
/* Writes params of a live thing, each once, and adds points to its series. */
int op_log(struct command *c, const struct op *op);
