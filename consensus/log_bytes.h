#pragma once
/* How many bytes each entry of the log takes in memory: libraft counts entries, we bound bytes.
 * Four bytes an entry; indexes are contiguous. */
#include <stddef.h>
#include <stdint.h>

struct log_bytes {
    uint64_t first;  /* index of the oldest entry; of the next one when there is none */
    uint32_t *sizes; /* a ring */
    size_t cap;      /* a power of two, or 0 */
    size_t head;
    size_t len;
    uint64_t total;
};

/* Forgets everything: the next entry has index `first`. A zeroed one starts at 0. */
void log_bytes_start(struct log_bytes *l, uint64_t first);
void log_bytes_release(struct log_bytes *l);
/* Adds the next entry. */
void log_bytes_push(struct log_bytes *l, size_t bytes);
/* Drops the entries from `index` on. */
void log_bytes_truncate(struct log_bytes *l, uint64_t index);
/* Drops the entries up to `index`. */
void log_bytes_cut(struct log_bytes *l, uint64_t index);
/* Index of the newest entry; first - 1 when there is none. */
uint64_t log_bytes_last(const struct log_bytes *l);
/* How many entries that end with the one at `index` (which is there) take at most bytes_max; at
 * least 1. */
uint64_t log_bytes_trailing(const struct log_bytes *l, uint64_t index, uint64_t bytes_max);
