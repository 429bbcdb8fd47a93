/* Guards of a transaction that is built. */
#include "lib/txn_builder_internal.h"

static void guard_begin(struct clade_txn *txn, uint32_t members, const char *guard, const char *ref)
{
    txn->guards_len++;
    value_put_map(&txn->guards, members);
    txn_put_pair(&txn->guards, "guard", guard);
    txn_put_pair(&txn->guards, "ref", ref);
}

void clade_txn_guard_exists(struct clade_txn *txn, const char *ref)
{
    guard_begin(txn, 2, "exists", ref);
}

void clade_txn_guard_absent(struct clade_txn *txn, const char *ref)
{
    guard_begin(txn, 2, "absent", ref);
}

void clade_txn_guard_unchanged(struct clade_txn *txn, const char *ref, uint64_t revision)
{
    guard_begin(txn, 3, "unchanged", ref);
    value_put_str(&txn->guards, "revision");
    value_put_uint(&txn->guards, revision);
}

void clade_txn_guard_alias(struct clade_txn *txn,
                           const char *model,
                           const char *alias,
                           uint64_t number)
{
    guard_begin(txn, 4, "alias", model);
    txn_put_pair(&txn->guards, "alias", alias);
    value_put_str(&txn->guards, "is");
    txn_put_expected(&txn->guards, number);
}

void clade_txn_guard_stage(struct clade_txn *txn, const char *version, const char *stage)
{
    guard_begin(txn, 3, "stage", version);
    txn_put_pair(&txn->guards, "is", stage);
}

void clade_txn_guard_matches(struct clade_txn *txn, const char *ref, const char *query)
{
    guard_begin(txn, 3, "matches", ref);
    txn_put_pair(&txn->guards, "query", query);
}
