#pragma once
/* Compaction: floors are moved by the log (the operation `compact`, and retention), the same on
 * every node; the rows below them are then taken away by each node for itself, a little at a time.
 * None of these rows is in the sums, and apply depends on none of them. */
#include "storage/floor.h"

struct command;
struct op;

/* The operation `compact`: moves the floor of a namespace. Takes no revision. */
int op_compact(struct command *c, const struct op *op);
/* Moves the floors of namespaces to where their retention has them at `time_us` of store time;
 * `ids` is u64s (little-endian). What is no namespace, keeps everything or is there already is
 * passed over. `scratch` is emptied. CLADE_ERR_CORRUPT when `ids` is malformed; 0 or a fatal code.
 */
int compact_by_retention(struct rows *rows,
                         struct arena *scratch,
                         struct span ids,
                         uint64_t time_us);
/* Takes away what is below the floors, as much of it as `changes_max` changes of the change log
 * brought to an end. *ret_more: there is more. Both arenas are emptied. 0 or a fatal code. */
int compact_step(struct rows *rows,
                 struct arena *arena,
                 struct arena *scratch,
                 unsigned changes_max,
                 bool *ret_more);
