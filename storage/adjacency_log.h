#pragma once
/* What a batch of rows changes in an adjacency: struct adjacency_change, one behind the other. */
#include "base/buffer.h"
#include "storage/adjacency.h"

/* Notes a row that came; those of no concern are passed over. A row of an edge that ended, right
 * after its row as it lived went, is one change; not with changes before `begin`, which another
 * transaction made. */
void adjacency_log_came(
    struct buffer *log, size_t begin, enum table table, struct span key, struct span value);
/* Notes a row that went. */
void adjacency_log_went(struct buffer *log, enum table table, struct span key, struct span value);

/* The thing that a pointer's row says is pointed to; 0 when the row says none. */
uint64_t adjacency_pointed(enum table table, struct span key, struct span value);
