#include <stdlib.h>

#include "base/check.h"
#include "lib/lib_internal.h"

bool heap_reserve(struct heap *h)
{
    if (h->len < h->capacity) {
        return true;
    }
    size_t capacity = h->capacity == 0 ? 64 : h->capacity * 2;
    struct clade_request **items = realloc(h->items, capacity * sizeof items[0]);
    if (items == NULL) {
        return false;
    }
    h->items = items;
    h->capacity = capacity;
    return true;
}

static void place(struct heap *h, size_t i, struct clade_request *r)
{
    h->items[i] = r;
    r->heap_at = i + 1;
}

static void sift_up(struct heap *h, size_t i, struct clade_request *r)
{
    while (i > 0 && r->wake_ms < h->items[(i - 1) / 2]->wake_ms) {
        place(h, i, h->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(h, i, r);
}

static void sift_down(struct heap *h, size_t i, struct clade_request *r)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < h->len && h->items[child + 1]->wake_ms < h->items[child]->wake_ms) {
            child++;
        }
        if (child >= h->len || h->items[child]->wake_ms >= r->wake_ms) {
            break;
        }
        place(h, i, h->items[child]);
        i = child;
    }
    place(h, i, r);
}

void heap_push(struct heap *h, struct clade_request *r)
{
    CHECK(h->len < h->capacity);
    CHECK(r->heap_at == 0);
    h->len++;
    sift_up(h, h->len - 1, r);
}

void heap_remove(struct heap *h, struct clade_request *r)
{
    CHECK(r->heap_at > 0 && r->heap_at <= h->len);
    size_t i = r->heap_at - 1;
    CHECK(h->items[i] == r);
    r->heap_at = 0;
    h->len--;
    if (i == h->len) {
        return;
    }
    struct clade_request *last = h->items[h->len];
    if (i > 0 && last->wake_ms < h->items[(i - 1) / 2]->wake_ms) {
        sift_up(h, i, last);
    } else {
        sift_down(h, i, last);
    }
}

void heap_release(struct heap *h)
{
    free(h->items);
    *h = (struct heap){0};
}
