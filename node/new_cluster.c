#include "node/new_cluster.h"

#include <sys/random.h>

#include "consensus/log_folder.h"
#include "storage/refound.h"

/* Sessions of the new cluster have numbers that the former one's, and those of other clusters made
 * of the same backup, do not come to: 2^21 of 2^51 to 2^52, where every client can hold them. */
#define SESSION_BASE  (UINT64_C(1) << 51)
#define SESSION_RANGE (UINT64_C(1) << 30)
#define SESSION_STEP  (UINT64_C(1) << 21)

int new_cluster_identity(struct identity *identity, struct error *error)
{
    uint8_t bytes[16];
    int r = identity_complete(identity, error);
    if (r < 0) {
        return r;
    }
    if (identity->members_len != 1) {
        return error_set(error, CLADE_ERR_INVALID, "member",
                         "the new cluster begins with one node; others join it with 'clade cluster "
                         "member add'");
    }
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
        return error_set(error, CLADE_ERR_INTERNAL, NULL, "there is no randomness");
    }
    identity->cluster = hash128(span_make(bytes, sizeof bytes));
    return 0;
}

static uint64_t first_session(const struct identity *identity)
{
    return SESSION_BASE + identity->cluster.low % SESSION_RANGE * SESSION_STEP + 1;
}

int new_cluster_found(const struct identity *identity,
                      const char *store_path,
                      const char *raft_path,
                      uint64_t map_bytes,
                      struct error *error)
{
    struct store *store;
    const struct store_options options = {.path = store_path, .map_bytes = map_bytes};
    int r = store_open(&options, &store, error);
    if (r < 0) {
        return r;
    }
    r = store_refound(store, first_session(identity), error);
    struct store_digest digest = store_digest_current(store);
    const struct reference reference = {.index = digest.index,
                                        .revision = store_position(store).revision,
                                        .data = digest.data,
                                        .state = digest.state};
    store_close(store);
    return r < 0 ? r
                 : log_folder_found(raft_path, identity->node, identity_address(identity),
                                    &reference, error);
}
