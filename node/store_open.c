#include "node/store_open.h"

#include "base/log.h"

#define CHECK_US (UINT64_C(3) * 1000000)

struct store_check {
    const struct node *node;
    uint64_t until_us;
};

static bool on_checked(uint64_t n, void *arg)
{
    const struct store_check *c = arg;
    return node_now(c->node) < c->until_us;
}

/* What of the check was done in time is told. */
static int end_check(int r, const char *what, struct error *error)
{
    if (r != CLADE_ERR_RETRY) {
        return r;
    }
    log_info("the store is too large to be checked at the start; 'claded check' does it while the "
             "node is stopped",
             LOG_STR("left", what));
    *error = (struct error){.code = 0};
    return 0;
}

/* A store that rotted would answer with less than it acknowledged. Pages first: LMDB trusts what it
 * maps. */
int store_open_checked(struct node *n, const struct store_options *options, struct error *error)
{
    struct store_check c = {.node = n, .until_us = node_now(n) + CHECK_US};
    int r = store_check_pages(options->path, on_checked, &c, error);
    bool is_new = r == 1;
    r = is_new ? 0 : end_check(r, "pages and rows", error);
    r = r < 0 ? r : store_open(options, &n->store, error);
    if (r == 0 && !is_new && node_now(n) < c.until_us) {
        r = end_check(store_verify(n->store, on_checked, &c, error), "rows", error);
        r = r < 0 ? error_wrap(error, "checking %s/data.mdb", options->path) : r;
    }
    return r;
}
