/* Registers a version of a model with what it was made from: one transaction, all or nothing. */
#include <stdio.h>

#include <clade.h>

int main(void)
{
    struct clade_client *client;
    struct clade_txn *txn = clade_txn_new();
    if (txn == NULL || clade_open(NULL, &client) != 0) {
        return 1;
    }
    clade_txn_reason(txn, "nightly training");
    clade_txn_create(txn, "artifact", "reviews-2026-03");
    clade_txn_if_exists(txn, CLADE_IF_EXISTS_MATCH);
    clade_txn_add(txn, "uris", "s3://data/reviews-2026-03.parquet");
    clade_txn_create(txn, "run", "train-0412");
    clade_txn_if_exists(txn, CLADE_IF_EXISTS_MATCH);
    clade_txn_link(txn, "$1", "consumed", "$0"); /* the run consumed the data set */
    clade_txn_create(txn, "model", "sentiment");
    clade_txn_if_exists(txn, CLADE_IF_EXISTS_MATCH);
    uint32_t version = clade_txn_create(txn, "version", NULL);
    clade_txn_set(txn, "model", "$3");
    clade_txn_set(txn, "run", "$1");
    clade_txn_link(txn, "$4", "trained_on", "$0");

    struct clade_response *made = clade_txn_wait(client, txn);
    int failed = clade_response_code(made) != 0;
    if (failed) {
        fprintf(stderr, "register: %s\n", clade_response_message(made));
    } else {
        printf("%s at revision %llu\n", clade_response_ref(made, version),
               (unsigned long long)clade_response_revision(made));
    }
    clade_response_free(made);
    clade_txn_free(txn);
    clade_close(client);
    return failed;
}
