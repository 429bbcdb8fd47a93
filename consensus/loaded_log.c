#include "consensus/loaded_log.h"

void loaded_log_release(struct loaded_log *l)
{
    void *batch = NULL;
    for (size_t i = 0; i < l->n; i++) {
        if (l->entries[i].batch != batch) { /* a batch's entries follow on each other */
            batch = l->entries[i].batch;
            raft_free(batch);
        }
    }
    raft_free(l->entries);
    if (l->snapshot != NULL) {
        raft_configuration_close(&l->snapshot->configuration);
        for (unsigned i = 0; i < l->snapshot->n_bufs; i++) {
            raft_free(l->snapshot->bufs[i].base);
        }
        raft_free(l->snapshot->bufs);
        raft_free(l->snapshot);
    }
}
