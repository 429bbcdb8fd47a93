#pragma once
/* A store without the pages that it does not use: what has become free stays in LMDB's file until
 * it is written anew. */
#include "storage/copy.h"

/* Writes such a copy of the store into the folder `path`, which is there and empty, and checks it
 * as one that arrived (store_copy_check, `progress` too): it holds the same rows at the same index.
 * Nothing is written to the store. What was written stays when it fails. CLADE_ERR_NO_SPACE, _IO,
 * _NO_MEMORY; CLADE_ERR_CORRUPT when the copy is not the same, or the store is damaged. */
int store_shrink(struct store *store,
                 const char *path,
                 bool (*progress)(uint64_t n, void *arg),
                 void *arg,
                 struct store_copy_info *ret,
                 struct error *error);
