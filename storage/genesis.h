#pragma once
/* What stands in a new store: its format number, its first meta row and the namespace
 * `default`, made at revision 0. The same on every node. */
#include "storage/environment.h"

/* Writes through `txn`, into tables that are open, and says what the first meta is. */
int genesis_write(struct environment *env, MDB_txn *txn, struct meta *ret, struct error *error);
