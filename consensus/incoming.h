#pragma once
/* A copy of a store that is being received, in FOLDER/incoming: `store`/data.mdb, written at any
 * offset, and `progress`, which says how much of it is synced and whose copy it is, so that a
 * restart goes on. The folder `store` is what is swapped in; `progress` stays behind.
 *
 *     progress, all integers little-endian
 *     0 "cladecu" and a zero   8 u32 version (1)   12 u32 0   16 u64 source member   24 u64 copy
 *    32 u64 bytes of the copy   40 u64 applied   48 u64 revision   56 16 bytes data digest
 *    72 16 bytes state digest   88 u64 synced bytes from the front
 *    96 u64 XXH3-64 of the 96 before
 */
#include "base/error.h"
#include "base/span.h"
#include "storage/copy.h"

#define INCOMING_PATH_BYTES     4096
#define INCOMING_PROGRESS_BYTES 104

struct incoming {
    char path[INCOMING_PATH_BYTES - 64];  /* the folder */
    char store[INCOMING_PATH_BYTES - 32]; /* the one with data.mdb */
    int fd;                               /* of data.mdb; -1 = not open */
    uint64_t source;
    uint64_t copy;
    struct store_copy_info info;
    uint64_t synced; /* the first bytes of data.mdb that are there whatever happens */
};

void incoming_init(struct incoming *in, const char *folder);
/* Whether an earlier run left a copy to go on with; fills in what it was. Damaged ones are no
 * copies. */
bool incoming_load(struct incoming *in);
/* Begins a new copy (source, copy and info are set), throwing away what was there; or goes on with
 * the loaded one. CLADE_ERR_NO_SPACE, _IO, or _CORRUPT: there is nothing to go on with. */
int incoming_begin(struct incoming *in, struct error *error);
int incoming_go_on(struct incoming *in, struct error *error);
/* CLADE_ERR_NO_SPACE, _IO; some of the bytes may be there then. */
int incoming_write(struct incoming *in, uint64_t offset, struct span bytes, struct error *error);
/* The first `bytes` are written: makes them durable, and notes it. */
int incoming_sync(struct incoming *in, uint64_t bytes, struct error *error);
/* All of it is written: makes it durable and closes it. From then a restart need not ask for it. */
int incoming_finish(struct incoming *in, struct error *error);
/* Throws it away: the files, and what is known of it. */
void incoming_drop(struct incoming *in);
/* Closes data.mdb; the files stay. */
void incoming_close(struct incoming *in);
/* Bytes that a copy may have here: what the file system has free, and what this one takes already.
 * False when that is not known. */
bool incoming_room(const struct incoming *in, uint64_t *ret_bytes);

/* The file `progress` as bytes; decoding fills in what it says, or returns false and changes
 * nothing. */
void incoming_progress_encode(const struct incoming *in, uint8_t bytes[INCOMING_PROGRESS_BYTES]);
bool incoming_progress_decode(struct span bytes, struct incoming *in);
