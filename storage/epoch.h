#pragma once
/* Epochs: when memory that readers find without a lock may be used again. The writer counts them.
 * A reader says at which it entered; what the writer took out of reach in epoch E is kept while a
 * reader is in that is of E or before. */
#include <stdatomic.h>
#include <stdint.h>

/* The count, from 1. */
struct epoch {
    _Atomic uint64_t now;
};

/* Where a reader is: 0 = nowhere. */
struct epoch_reader {
    _Atomic uint64_t at;
};

/* What it finds from here on stays until it leaves. The second look is what makes it sure: either
 * the writer, which counts before it looks at readers, sees this one, or this one sees the new
 * count and so what was done before it. */
static inline void epoch_enter(struct epoch *epoch, struct epoch_reader *reader)
{
    uint64_t now = atomic_load(&epoch->now);
    for (;;) {
        atomic_store(&reader->at, now);
        uint64_t again = atomic_load(&epoch->now);
        if (again == now) {
            return;
        }
        now = again;
    }
}

static inline void epoch_leave(struct epoch_reader *reader)
{
    atomic_store_explicit(&reader->at, 0, memory_order_release);
}

/* The writer: what is taken out of reach next is of the epoch that this returns. */
static inline uint64_t epoch_now(struct epoch *epoch)
{
    return atomic_load_explicit(&epoch->now, memory_order_relaxed);
}

/* The writer: a new epoch begins; then it looks at the readers. */
static inline void epoch_next(struct epoch *epoch)
{
    atomic_fetch_add(&epoch->now, 1);
}

/* The earlier one of `oldest` and that of the reader. */
static inline uint64_t epoch_older(const struct epoch_reader *reader, uint64_t oldest)
{
    uint64_t at = atomic_load(&reader->at);
    return at != 0 && at < oldest ? at : oldest;
}
