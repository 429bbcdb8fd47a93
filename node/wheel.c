#include "node/wheel.h"

static uint64_t tick_of(uint64_t us)
{
    return us / (WHEEL_SLOT_MS * UINT64_C(1000));
}

void wheel_init(struct wheel *w, uint64_t now_us)
{
    for (unsigned i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&w->slots[i]);
    }
    w->tick = tick_of(now_us);
    w->len = 0;
}

void wheel_add(struct wheel *w, struct wheel_timer *t, uint64_t due_us)
{
    uint64_t tick = tick_of(due_us) + 1; /* the first tick at which it is surely due */
    if (tick < w->tick) {
        tick = w->tick;
    }
    t->due_us = due_us;
    list_push_back(&w->slots[tick % WHEEL_SLOTS], &t->node);
    w->len++;
}

void wheel_remove(struct wheel *w, struct wheel_timer *t)
{
    if (list_is_linked(&t->node)) {
        list_remove(&t->node);
        w->len--;
    }
}

void wheel_advance(struct wheel *w, uint64_t now_us, struct list *due)
{
    uint64_t now = tick_of(now_us);
    uint64_t first = now > w->tick + WHEEL_SLOTS - 1 ? now - (WHEEL_SLOTS - 1) : w->tick;
    for (uint64_t tick = first; tick <= now && w->len > 0; tick++) {
        LIST_FOREACH(n, &w->slots[tick % WHEEL_SLOTS])
        {
            struct wheel_timer *t = LIST_ENTRY(n, struct wheel_timer, node);
            if (t->due_us <= now_us) {
                list_remove(n);
                w->len--;
                list_push_back(due, n);
            }
        }
    }
    /* The slot of now is looked at again: not all of it may be due. */
    w->tick = now;
}
