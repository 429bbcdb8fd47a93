#pragma once
/* Transactions as the simulated clients write them (client/command/README.md). */
#include <stdint.h>

#include "base/buffer.h"

/* The operations follow. */
void txn_begin(struct buffer *b, uint32_t operations);
/* Only if `ref` was not changed since that revision. */
void txn_begin_guarded(struct buffer *b, const char *ref, uint64_t revision, uint32_t operations);
void txn_create(struct buffer *b, const char *kind, const char *name);
void txn_get_or_create(struct buffer *b, const char *kind, const char *name);
/* The next number of a model. */
void txn_create_version(struct buffer *b, const char *model);
/* Tag "v" of a thing that is there. */
void txn_set_tag(struct buffer *b, const char *ref, uint64_t value);
/* An alias of the version's model. */
void txn_set_alias(struct buffer *b, const char *version, const char *alias);
/* An edge with a prop. */
void txn_link(struct buffer *b, const char *from, const char *to, uint64_t weight);
/* A param, the same each time, and a point. */
void txn_log(struct buffer *b, const char *ref, uint64_t step);
/* Two operations. */
void txn_delete_and_purge(struct buffer *b, const char *ref);
/* In another namespace than the clients'. */
void txn_create_in(struct buffer *b, const char *kind, const char *name, const char *ns);
void txn_create_namespace(struct buffer *b, const char *path, uint64_t retention_s);
void txn_unlink(struct buffer *b, const char *from, const char *to);
void txn_rename(struct buffer *b, const char *ref, const char *name);
/* An operation that says no more than of what: delete, undelete, hold, release. */
void txn_of(struct buffer *b, const char *op, const char *ref);
/* Moves the floor of a namespace. */
void txn_compact(struct buffer *b, const char *ref, uint64_t before);
