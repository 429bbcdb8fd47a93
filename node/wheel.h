#pragma once
/* Deadlines of many requests: a hashed timing wheel. Adding and removing cost nothing; a deadline
 * is noticed within a slot's length after it. */
#include <stdint.h>

#include "base/list.h"

#define WHEEL_SLOTS   512
#define WHEEL_SLOT_MS 16

struct wheel_timer {
    struct list node;
    uint64_t due_us;
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint64_t tick; /* slots below it, counted from time 0, were looked at */
    size_t len;
};

void wheel_init(struct wheel *w, uint64_t now_us);
void wheel_add(struct wheel *w, struct wheel_timer *t, uint64_t due_us);
/* Nothing happens when it is not in. */
void wheel_remove(struct wheel *w, struct wheel_timer *t);
/* Moves what is due at `now_us` into `due`, which the caller empties. */
void wheel_advance(struct wheel *w, uint64_t now_us, struct list *due);
