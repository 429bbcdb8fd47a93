#pragma once
/* Transactions as JSON: {"guards": [...], "ops": [...], "ns", "reason", "happened"}, or a bare
 * operation {"op": ...}, in the vocabulary of the protocol. */
#include "cli/json.h"

/* Adds what `json` says to an empty transaction. CLADE_ERR_INVALID with where ("ops[2]") when it
 * has another shape; what the members mean is for the store to judge. */
int txn_from_json(const json_t *json, struct clade_txn *txn, struct error *error);

/* Makes it safe to run again: each create that does not say otherwise gets "if_exists": "match",
 * and each unnamed thing and unnumbered version that `json` creates the external id
 * "import:DIGEST:LINE" (".OP" behind it where there are several operations). */
void txn_json_identify(json_t *json, const char *digest, uint64_t line);
/* Whether `json` creates an unnamed thing or an unnumbered version, so that the digest counts. */
bool txn_json_needs_identity(const json_t *json);
