/* The blocking client: the asynchronous one on a loop that runs while a call waits. */
#include <stdlib.h>

#include "base/check.h"
#include "lib/lib_internal.h"

struct wait {
    struct clade_response *response;
    bool done;
};

int clade_open(const struct clade_options *options, struct clade_client **ret_client)
{
    uv_loop_t *loop = malloc(sizeof *loop);
    if (loop == NULL || uv_loop_init(loop) != 0) {
        free(loop);
        return CLADE_ERR_NO_MEMORY;
    }
    int rc = clade_client_new(loop, options, ret_client);
    if (rc != 0) {
        CHECK(uv_loop_close(loop) == 0);
        free(loop);
        return rc;
    }
    (*ret_client)->owns_loop = true;
    return 0;
}

void clade_close(struct clade_client *client)
{
    if (client == NULL) {
        return;
    }
    CHECK(client->owns_loop);
    uv_loop_t *loop = client->loop;
    clade_client_close(client, NULL, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(loop) == 0);
    free(loop);
}

static void on_done(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct wait *wait = arg;
    wait->response = response;
    wait->done = true;
}

static struct clade_response *finish(struct clade_client *client,
                                     const struct clade_request *request,
                                     struct wait *wait)
{
    CHECK(client->owns_loop);
    while (request != NULL && !wait->done) {
        uv_run(client->loop, UV_RUN_ONCE);
    }
    return wait->response;
}

struct clade_response *clade_txn_wait(struct clade_client *client, const struct clade_txn *txn)
{
    struct wait wait = {0};
    return finish(client, clade_txn_send(client, txn, 0, on_done, &wait), &wait);
}

struct clade_response *clade_get_wait(struct clade_client *client,
                                      const char *const refs[],
                                      size_t refs_len,
                                      const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_get(client, refs, refs_len, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_list_wait(struct clade_client *client,
                                       const char *kind,
                                       const char *under,
                                       const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_list(client, kind, under, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_lineage_wait(struct clade_client *client,
                                          const struct clade_lineage *lineage,
                                          const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_lineage_walk(client, lineage, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_impact_wait(struct clade_client *client,
                                         const struct clade_lineage *lineage,
                                         const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_impact(client, lineage, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_provenance_wait(struct clade_client *client,
                                             const struct clade_lineage *lineage,
                                             const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_provenance(client, lineage, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_paths_wait(struct clade_client *client,
                                        const struct clade_paths *paths,
                                        const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_paths_find(client, paths, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_diff_wait(struct clade_client *client,
                                       const struct clade_diff *diff,
                                       const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_diff_read(client, diff, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_history_wait(struct clade_client *client,
                                          const char *ref,
                                          const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_history(client, ref, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_metrics_wait(struct clade_client *client,
                                          const struct clade_metrics *metrics,
                                          const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_metrics_read(client, metrics, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_audit_wait(struct clade_client *client,
                                        const struct clade_audit *audit,
                                        const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_audit_read(client, audit, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_search_wait(struct clade_client *client,
                                         const struct clade_search *search,
                                         const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_search(client, search, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_count_wait(struct clade_client *client,
                                        const struct clade_search *search,
                                        const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_count(client, search, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_explain_wait(struct clade_client *client,
                                          const struct clade_search *search,
                                          const struct clade_read *read)
{
    struct wait wait = {0};
    return finish(client, clade_explain(client, search, read, 0, on_done, &wait), &wait);
}

struct clade_response *clade_call_wait(struct clade_client *client,
                                       const char *method,
                                       const struct clade_doc *params)
{
    struct wait wait = {0};
    return finish(client, clade_call(client, method, params, 0, on_done, &wait), &wait);
}
