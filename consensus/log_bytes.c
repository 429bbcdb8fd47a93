#include "consensus/log_bytes.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define CAP_MIN 1024

static uint32_t *at(const struct log_bytes *l, size_t i)
{
    return &l->sizes[(l->head + i) & (l->cap - 1)];
}

void log_bytes_start(struct log_bytes *l, uint64_t first)
{
    free(l->sizes);
    *l = (struct log_bytes){.first = first};
}

void log_bytes_release(struct log_bytes *l)
{
    log_bytes_start(l, 0);
}

static void resize(struct log_bytes *l, size_t cap)
{
    uint32_t *sizes = malloc(cap * sizeof *sizes);
    CHECK(sizes != NULL);
    for (size_t i = 0; i < l->len; i++) {
        sizes[i] = *at(l, i);
    }
    free(l->sizes);
    l->sizes = sizes;
    l->cap = cap;
    l->head = 0;
}

void log_bytes_push(struct log_bytes *l, size_t bytes)
{
    CHECK(bytes <= UINT32_MAX);
    if (l->len == l->cap) {
        resize(l, l->cap == 0 ? CAP_MIN : l->cap * 2);
    }
    l->len++;
    *at(l, l->len - 1) = (uint32_t)bytes;
    l->total += bytes;
}

void log_bytes_truncate(struct log_bytes *l, uint64_t index)
{
    while (l->len > 0 && log_bytes_last(l) >= index) {
        l->total -= *at(l, l->len - 1);
        l->len--;
    }
}

void log_bytes_cut(struct log_bytes *l, uint64_t index)
{
    while (l->len > 0 && l->first <= index) {
        l->total -= *at(l, 0);
        l->head = (l->head + 1) & (l->cap - 1);
        l->len--;
        l->first++;
    }
    if (l->cap > CAP_MIN && l->len < l->cap / 8) {
        resize(l, l->cap / 4);
    }
}

uint64_t log_bytes_last(const struct log_bytes *l)
{
    return l->first + l->len - 1;
}

uint64_t log_bytes_trailing(const struct log_bytes *l, uint64_t index, uint64_t bytes_max)
{
    CHECK(index >= l->first && index <= log_bytes_last(l));
    uint64_t n = 0;
    uint64_t bytes = 0;
    for (size_t i = (size_t)(index - l->first) + 1; i > 0; i--, n++) {
        bytes += *at(l, i - 1);
        if (bytes > bytes_max && n > 0) {
            break;
        }
    }
    return n;
}
