#pragma once
/* `claded shrink`: gives back the space in the store of a stopped node that nothing uses. */
#include "node/data_folder.h"

struct shrink_result {
    uint64_t before_bytes; /* of the store's file */
    uint64_t after_bytes;
    bool shrunk; /* else there was nothing to give back, and the store is as it was */
};

/* Writes the store anew beside itself, checks that, and makes it the current one; the one before is
 * removed then. A crash, or an error, at any point leaves one of the two, whole. Needs room for the
 * new one: CLADE_ERR_NO_SPACE says how much. CLADE_ERR_CORRUPT, _IO, _NO_MEMORY. */
int shrink_store(struct data_folder *folder,
                 uint64_t map_bytes,
                 bool (*progress)(uint64_t n, void *arg),
                 struct shrink_result *ret,
                 struct error *error);
