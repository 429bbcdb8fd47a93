#pragma once
/* Rows that say what points to what, and from when to when: aliases, stages, deployments. One form
 * for all three tables: a key of keys.h, and {what, created, ended}. What holds stands under
 * POINTER_NOW; what ended goes under POINTER_PAST with when it ended behind the key, outside the
 * sums, so that what holds is found without passing what was, however often it moved.
 *
 * Functions return 0, 1 when there is no such pointer, or a negative CLADE_ERR_*, unless they say
 * otherwise. */
#include "storage/lookup.h"

struct pointer {
    uint64_t what;    /* an id */
    uint64_t created; /* the revision of the move; a fencing token: it only grows */
};

#define POINTER_VALUE_BYTES 24

/* The pointer as of the view's revision. */
int pointer_get(struct view *v, enum table table, const struct key *key, struct pointer *ret);
/* Calls `cb` for each as of the view's revision whose key begins with `prefix`, until it returns
 * other than 0; returns that. `key` is the row's, as of POINTER_NOW; it lives in the map. Never 1
 * of its own. Those that hold come first, in the order of their keys, then those that ended since.
 */
typedef int (*pointer_cb)(void *arg, const struct key *key, const struct pointer *pointer);
int pointer_each(
    struct view *v, enum table table, const struct key *prefix, pointer_cb cb, void *arg);
/* Whether the view sees the newest state, where what is past need not be looked at. Never 1. */
int pointer_is_newest(struct view *v, bool *ret);
/* The first that holds now whose key begins with `prefix`. */
int pointer_first(struct view *v, enum table table, const struct key *prefix, struct pointer *ret);

/* The key under which the pointer stands that ended at `ended`. */
struct key pointer_past_key(const struct key *key, uint64_t ended);

/* Calls `cb` with each revision at which a pointer under the prefix came, moved or went, in no
 * order, some more than once, until it returns other than 0; returns that. */
typedef int (*pointer_move_cb)(void *arg, uint64_t revision);
int pointer_moves(
    struct view *v, enum table table, const struct key *prefix, pointer_move_cb cb, void *arg);

struct command;
/* Points to `what` from the command's revision on, whatever was there. Never 1. */
int pointer_set(struct command *c, enum table table, const struct key *key, uint64_t what);
/* Ends a pointer, which is there. Never 1. */
int pointer_unset(struct command *c, enum table table, const struct key *key);

/* The version that an alias of the model means, `latest` too. */
int lookup_alias(
    struct view *v, struct arena *arena, uint64_t model, struct span alias, struct thing **ret);
/* Calls `cb` for each alias that points to the version, as pointer_each. */
int lookup_aliases_of(struct view *v, const struct thing *version, pointer_cb cb, void *arg);
/* The alias text of a key of key_alias or key_alias_back. */
struct span alias_of_key(const struct key *key);
