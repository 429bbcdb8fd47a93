/* What an operation log says: params, and points of metrics. */
#include "lib/txn_builder_internal.h"

static bool may_log(struct clade_txn *txn, const char *what, bool allowed, const char *key)
{
    if (!txn->logs || !allowed) {
        txn_mistake(txn, what, "is set, but no log is open that it could belong to");
    } else if (key == NULL) {
        txn_mistake(txn, what, "one without a key");
    }
    return txn->logs && allowed && key != NULL;
}

void clade_txn_param(struct clade_txn *txn, const char *key, const char *value)
{
    if (may_log(txn, "params", true, key)) {
        txn_put_pair(&txn->params, key, value);
        txn->params_len++;
    }
}

void clade_txn_metric(struct clade_txn *txn, const char *key, const char *on, const char *run)
{
    struct buffer *b = &txn->metrics;
    if (!may_log(txn, "metrics", true, key)) {
        return;
    }
    value_put_map(b, 2u + (on != NULL) + (run != NULL));
    txn_put_pair(b, "key", key);
    if (on != NULL) {
        txn_put_pair(b, "on", on);
    }
    if (run != NULL) {
        txn_put_pair(b, "run", run);
    }
    value_put_str(b, "points");
    txn->points_at = value_begin_array(b);
    txn->points_len = 0;
    txn->metrics_len++;
    if (!b->failed) {
        value_end(b, txn->points_at, 0);
    }
}

void clade_txn_point(struct clade_txn *txn, int64_t step, uint64_t time_ms, double value)
{
    struct buffer *b = &txn->metrics;
    if (!may_log(txn, "metrics", txn->metrics_len > 0, "")) {
        return;
    }
    value_put_array(b, 3);
    value_put_int(b, step);
    value_put_uint(b, time_ms);
    value_put_double(b, value);
    if (!b->failed) {
        value_end(b, txn->points_at, ++txn->points_len);
    }
}
