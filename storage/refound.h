#pragma once
/* A store that begins anew as that of another cluster: restored from a backup, or the survivor of a
 * cluster that lost its quorum. */
#include "storage/store.h"

/* Takes out what was the former cluster's alone, outside of any log, so that it must be done before
 * the new cluster's first entry, on the one store that its members will copy:
 * - Every session ends, and ids of sessions go on from `first_session`, a number that no session of
 *   the former cluster had, or will have. A client that repeats a write under its session is told
 *   that the session has ended, which it holds for "the outcome is not known": what it wrote may be
 *   in this store or not, and is never done a second time, nor answered with another's result.
 * - The members are forgotten, removed ones too: ids may be given again, since the new cluster's
 *   nodes talk to none of the former's.
 * Index, revision, times and things stay. Done twice with the same number it is as if done once.
 * Durable when it returns 0; else a disk error, and nothing has changed. */
int store_refound(struct store *store, uint64_t first_session, struct error *error);
/* The newest revision stamped at or before a time, 0 when there is none: 0, or a disk error. Any
 * thread. */
int store_revision_at(struct store *store, uint64_t time_us, uint64_t *ret, struct error *error);
