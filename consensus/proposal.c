#include "consensus/proposal.h"

#include <stdlib.h>

#include "base/check.h"

struct proposal *proposal_new(const struct item *item, bool repeatable, uint64_t deadline_us)
{
    size_t len = item_bytes(item);
    struct proposal *p = malloc(sizeof *p + len);
    if (p == NULL) {
        return NULL;
    }
    struct buffer b;
    buffer_init(&b, len);
    item_encode(&b, item);
    if (b.failed) {
        buffer_release(&b);
        free(p);
        return NULL;
    }
    CHECK(b.len == len);
    *p = (struct proposal){
        .id = item->id, .deadline_us = deadline_us, .repeatable = repeatable, .len = len};
    memcpy(p->bytes, b.data, len);
    buffer_release(&b);
    atomic_init(&p->state, PROPOSAL_QUEUED);
    atomic_init(&p->refs, 1);
    return p;
}

struct proposal *proposal_new_forwarded(struct span item,
                                        struct proposal_id id,
                                        uint64_t from,
                                        uint64_t deadline_us)
{
    struct proposal *p = malloc(sizeof *p + item.len);
    if (p == NULL) {
        return NULL;
    }
    *p = (struct proposal){.id = id, .deadline_us = deadline_us, .from = from, .len = item.len};
    memcpy(p->bytes, item.data, item.len);
    atomic_init(&p->state, PROPOSAL_QUEUED);
    atomic_init(&p->refs, 1);
    return p;
}

struct proposal *proposal_ref(struct proposal *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void proposal_unref(struct proposal *p)
{
    if (p == NULL) {
        return;
    }
    int before = atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1) {
        free(p);
    }
}

bool proposal_move(struct proposal *p, enum proposal_state from, enum proposal_state to)
{
    int expected = (int)from;
    return atomic_compare_exchange_strong(&p->state, &expected, (int)to);
}
