#include "tests/sim/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"

#define STATES_MAX 200000
#define DONE_WORDS (HISTORY_OPERATIONS_MAX / 64)

int history_begin(struct history *h, enum register_op op, uint64_t value, uint64_t expected)
{
    if (h->len == HISTORY_OPERATIONS_MAX) {
        h->is_full = true;
        return -1;
    }
    h->operations[h->len] = (struct operation){
        .op = op, .value = value, .expected = expected, .begin = h->moment++, .end = HISTORY_NEVER};
    return (int)h->len++;
}

void history_end(struct history *h, int number, enum register_op op, uint64_t value)
{
    if (number >= 0) {
        struct operation *o = &h->operations[number];
        o->op = op;
        o->value = value;
        o->end = h->moment++;
    }
}

void history_drop(struct history *h, int number)
{
    if (number >= 0) {
        struct operation *o = &h->operations[number];
        *o = (struct operation){.op = REGISTER_NO_SWAP, .expected = UINT64_MAX};
        o->begin = o->end = h->moment++;
    }
}

/* Whether the register may do it in this state, and the state after. */
static bool takes_effect(const struct operation *o, uint64_t *state)
{
    switch (o->op) {
    case REGISTER_READ:
        return *state == o->value;
    case REGISTER_WRITE:
        *state = o->value;
        return true;
    case REGISTER_SWAP:
        if (*state != o->expected) {
            return false;
        }
        *state = o->value;
        return true;
    case REGISTER_NO_SWAP:
        return *state != o->expected;
    }
    return false;
}

/* Beginnings and ends in the order of time, as a list from which those that were done are taken. */
struct event {
    struct event *before;
    struct event *after;
    struct event *end; /* of a beginning; NULL: never */
    int operation;
    bool is_end;
};

struct step {
    struct event *event;
    uint64_t state; /* before it */
};

struct search {
    const struct history *history;
    struct event events[2 * HISTORY_OPERATIONS_MAX + 1];
    struct event *head;                  /* before the first */
    uint64_t state_done[1 + DONE_WORDS]; /* the state, then a bit for each operation done */
    struct step steps[HISTORY_OPERATIONS_MAX];
    size_t steps_len;
    size_t ends_left;
    uint64_t *seen; /* open hashing; 0 = empty */
    size_t seen_len;
};

static void link_after(struct event *at, struct event *e)
{
    e->before = at;
    e->after = at->after;
    if (at->after != NULL) {
        at->after->before = e;
    }
    at->after = e;
}

static void take(struct event *e)
{
    e->before->after = e->after;
    if (e->after != NULL) {
        e->after->before = e->before;
    }
}

static void put_back(struct event *e)
{
    e->before->after = e;
    if (e->after != NULL) {
        e->after->before = e;
    }
}

/* Each moment is that of one beginning or one end. */
static void build(struct search *s)
{
    const struct history *h = s->history;
    int *at = malloc((h->moment + 1) * sizeof *at);
    CHECK(at != NULL);
    memset(at, 0, (h->moment + 1) * sizeof *at);
    for (size_t i = 0; i < h->len; i++) {
        if (h->operations[i].begin == h->operations[i].end) {
            continue; /* dropped */
        }
        at[h->operations[i].begin] = (int)i + 1;
        if (h->operations[i].end != HISTORY_NEVER) {
            at[h->operations[i].end] = -(int)i - 1;
        }
    }
    s->head = &s->events[2 * HISTORY_OPERATIONS_MAX];
    struct event *last = s->head;
    for (uint32_t m = 0; m < h->moment; m++) {
        if (at[m] == 0) {
            continue;
        }
        bool is_end = at[m] < 0;
        int i = (is_end ? -at[m] : at[m]) - 1;
        struct event *e = &s->events[2 * i + is_end];
        e->operation = i;
        e->is_end = is_end;
        if (is_end) {
            s->events[2 * i].end = e;
            s->ends_left++;
        }
        link_after(last, e);
        last = e;
    }
    free(at);
}

static void set_done(struct search *s, int operation, bool done)
{
    uint64_t bit = UINT64_C(1) << operation % 64;
    uint64_t *word = &s->state_done[1 + operation / 64];
    *word = done ? *word | bit : *word & ~bit;
}

/* Whether this set of done operations with this state is new; notes it. (Not with the state as the
 * hash's seed: XXH3 takes short input and seed together so that pairs of them meet.) */
static bool is_new(struct search *s, uint64_t state)
{
    size_t words = 1 + (s->history->len + 63) / 64;
    s->state_done[0] = state;
    uint64_t hash = hash64(span_make(s->state_done, words * sizeof s->state_done[0]), 0) | 1;
    for (size_t i = hash % (2 * STATES_MAX);; i = (i + 1) % (2 * STATES_MAX)) {
        if (s->seen[i] == hash) {
            return false;
        }
        if (s->seen[i] == 0) {
            s->seen[i] = hash;
            s->seen_len++;
            return true;
        }
    }
}

static enum history_verdict run(struct search *s, uint64_t state)
{
    struct event *e = s->head->after;
    while (s->ends_left > 0) {
        if (s->seen_len >= STATES_MAX) {
            return HISTORY_UNDECIDED;
        }
        if (e != NULL && !e->is_end) {
            uint64_t after = state;
            bool goes = takes_effect(&s->history->operations[e->operation], &after);
            set_done(s, e->operation, true);
            if (goes && is_new(s, after)) {
                s->steps[s->steps_len++] = (struct step){.event = e, .state = state};
                state = after;
                take(e);
                if (e->end != NULL) {
                    take(e->end);
                    s->ends_left--;
                }
                e = s->head->after;
            } else {
                set_done(s, e->operation, false);
                e = e->after;
            }
            continue;
        }
        /* An operation ends that could not be done before: another order, then. */
        if (s->steps_len == 0) {
            return HISTORY_BAD;
        }
        struct step last = s->steps[--s->steps_len];
        e = last.event;
        state = last.state;
        set_done(s, e->operation, false);
        if (e->end != NULL) {
            put_back(e->end);
            s->ends_left++;
        }
        put_back(e);
        e = e->after;
    }
    return HISTORY_GOOD;
}

enum history_verdict history_check(const struct history *h, uint64_t initial)
{
    struct search *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->history = h;
    s->seen = calloc(2 * STATES_MAX, sizeof *s->seen);
    CHECK(s->seen != NULL);
    build(s);
    enum history_verdict v = run(s, initial);
    free(s->seen);
    free(s);
    return v;
}
