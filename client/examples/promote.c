/* Promotes a version of a model: the alias "champion" moves to it, and with it the stage and the
 * deployment, in one transaction, and only if the alias is still where this program saw it.
 *
 *   promote MODEL NUMBER DEPLOYMENT      (the nodes: CLADE_ENDPOINTS)
 *
 * Exit code 4: another one was faster; what is there now is printed. */
#include <stdio.h>
#include <stdlib.h>

#include <clade.h>

/* The number of the version that the model's champion is; 0 when there is none. */
static uint64_t champion(struct clade_client *client, const char *model, int *ret_error)
{
    char ref[CLADE_MAX_REFERENCE_BYTES];
    (void)snprintf(ref, sizeof ref, "version/%s@champion", model);
    const char *refs[] = {ref};
    const struct clade_read read = {.view = CLADE_VIEW_FULL};
    struct clade_response *got = clade_get_wait(client, refs, 1, &read);
    const struct clade_value *version = clade_value_at(clade_response_data(got), 0);
    /* What is not there is an answer, {"ref", "error"}; a request that failed is another thing. */
    uint64_t number = clade_value_uint(clade_value_get(version, "number"));
    *ret_error = clade_response_code(got);
    if (*ret_error != 0) {
        fprintf(stderr, "promote: %s\n", clade_response_message(got));
    }
    clade_response_free(got);
    return number;
}

static struct clade_response *promote(struct clade_client *client,
                                      const char *version,
                                      const char *deployment,
                                      uint64_t expected)
{
    struct clade_txn *txn = clade_txn_new();
    clade_txn_reason(txn, "promoted by the example");
    clade_txn_set_alias(txn, version, "champion");
    clade_txn_expect_version(txn, expected); /* compare-and-set; 0 = it is unset */
    clade_txn_set_stage(txn, version, "production");
    clade_txn_set(txn, "displace", "archived"); /* where the one goes that is there */
    clade_txn_set_targets(txn, deployment);
    clade_txn_target(txn, version, 10000, false); /* all of the traffic */
    struct clade_response *done = clade_txn_wait(client, txn);
    clade_txn_free(txn);
    return done;
}

int main(int argc, char *argv[])
{
    char version[CLADE_MAX_REFERENCE_BYTES];
    char deployment[CLADE_MAX_REFERENCE_BYTES];
    const struct clade_options options = {.endpoints = getenv("CLADE_ENDPOINTS")};
    struct clade_client *client;
    int error;
    if (argc != 4) {
        fprintf(stderr, "usage: promote MODEL NUMBER DEPLOYMENT\n");
        return 2;
    }
    (void)snprintf(version, sizeof version, "version/%s/%s", argv[1], argv[2]);
    (void)snprintf(deployment, sizeof deployment, "deployment/%s", argv[3]);
    if (clade_open(&options, &client) != 0) {
        return 1;
    }
    uint64_t before = champion(client, argv[1], &error);
    if (error == 0) {
        struct clade_response *done = promote(client, version, deployment, before);
        const struct clade_value *alias = clade_value_at(clade_response_data(done), 0);
        error = clade_response_code(done);
        if (error != 0) {
            fprintf(stderr, "promote: %s\n", clade_response_message(done));
        } else {
            /* The alias's token grows with each move: who keeps the greatest that it saw can tell
             * an order that is older. */
            printf("champion: %llu -> %s, token %llu\n", (unsigned long long)before, argv[2],
                   (unsigned long long)clade_value_uint(clade_value_get(alias, "revision")));
        }
        clade_response_free(done);
    }
    clade_close(client);
    return error == CLADE_ERR_CONFLICT ? 4 : error != 0;
}
