#pragma once
/* `claded restore`: a new cluster of one node from backups; and the look at backups alone. */
#include "node/config.h"
#include "node/identity.h"

#define RESTORE_FILES_MAX 1024

struct restore_request {
    const char
        *files[RESTORE_FILES_MAX]; /* the full backup, then incremental ones in their order */
    size_t files_len;
    uint64_t revision;        /* 0 = the newest */
    uint64_t time_us;         /* 0 = the newest */
    struct identity identity; /* of the new node; without a cluster */
};

/* Makes the data folder c->data, and says on stdout what it is. 0, or an error with what to do; a
 * folder that was begun is made anew by the next attempt. */
int restore_run(const struct config *c, struct restore_request *request, struct error *error);
/* Looks at the files and says what they are. */
int restore_look(const struct restore_request *request, struct error *error);
