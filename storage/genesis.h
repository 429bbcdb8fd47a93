#pragma once
/* What stands in a new store: its format number, its first meta row and the namespace
 * `default`, made at revision 0. The same on every node. */
#include "storage/store_internal.h"

/* Writes through `txn`, into tables that are open, and sets store->meta. */
int genesis_write(struct store *store, MDB_txn *txn, struct error *error);
