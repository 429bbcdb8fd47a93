#include <stdlib.h>

#include "base/check.h"
#include "lib/lib_internal.h"

#define SLOT_MASK ((1u << SLOT_BITS) - 1)
/* One below all ones: hello and ping have ids that no slot ever gets. */
#define USES_MAX ((UINT32_MAX >> SLOT_BITS) - 1)

bool slots_init(struct slots *s, uint32_t len)
{
    s->items = calloc(len, sizeof s->items[0]);
    if (s->items == NULL) {
        return false;
    }
    s->len = len;
    for (uint32_t i = 0; i < len; i++) {
        s->items[i].msgid = i;
        s->items[i].next_free = i + 1;
    }
    return true;
}

void slots_release(struct slots *s)
{
    free(s->items);
    *s = (struct slots){0};
}

static void slot_free(struct slots *s, uint32_t i)
{
    struct slot *slot = &s->items[i];
    CHECK(slot->taken);
    uint32_t uses = slot->msgid >> SLOT_BITS;
    slot->msgid = (uses >= USES_MAX ? 0 : uses + 1) << SLOT_BITS | i;
    slot->request = NULL;
    slot->taken = false;
    slot->next_free = s->free;
    s->free = i;
    s->taken--;
}

bool slots_take(struct slots *s, struct clade_request *r)
{
    if (s->free == s->len) {
        return false;
    }
    struct slot *slot = &s->items[s->free];
    CHECK(!slot->taken);
    s->free = slot->next_free;
    s->taken++;
    slot->taken = true;
    slot->request = r;
    r->msgid = slot->msgid;
    return true;
}

bool slots_answer(struct slots *s, uint32_t msgid, struct clade_request **ret)
{
    uint32_t i = msgid & SLOT_MASK;
    if (i >= s->len || !s->items[i].taken || s->items[i].msgid != msgid) {
        return false;
    }
    *ret = s->items[i].request;
    slot_free(s, i);
    return true;
}

struct clade_request *slots_find(const struct slots *s, uint32_t msgid)
{
    uint32_t i = msgid & SLOT_MASK;
    return i < s->len && s->items[i].taken && s->items[i].msgid == msgid ? s->items[i].request
                                                                         : NULL;
}

void slots_give_up(struct slots *s, const struct clade_request *r)
{
    struct slot *slot = &s->items[r->msgid & SLOT_MASK];
    CHECK(slot->taken && slot->request == r);
    slot->request = NULL;
}

void slots_reset(struct slots *s)
{
    for (uint32_t i = 0; s->taken > 0 && i < s->len; i++) {
        if (s->items[i].taken) {
            slot_free(s, i);
        }
    }
}
