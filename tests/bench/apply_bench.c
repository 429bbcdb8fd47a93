#include "apply_bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "command/value.h"

#define MAP_BYTES ((uint64_t)64 << 30)

uint64_t now_us(void)
{
    return clock_monotonic_us(clock_system());
}

void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fprintf(stderr, "%s\n", e->message);
        exit(1);
    }
}

static void on_result(void *arg, const struct apply_result *result)
{
    struct bench *b = arg;
    b->refused += result->code != 0;
}

void begin_command(struct bench *b, uint32_t ops)
{
    buffer_clear(&b->command);
    value_put_map(&b->command, 2);
    value_put_str(&b->command, "v");
    value_put_uint(&b->command, 1);
    value_put_str(&b->command, "ops");
    value_put_array(&b->command, ops);
}

void end_command(struct bench *b)
{
    struct item item = {
        .kind = ITEM_TXN,
        .id = {1, 1, 1},
        .principal = span_of("bench"),
        .command = buffer_span(&b->command),
    };
    if (b->session != 0) {
        item.session = b->session;
        item.seq = ++b->seq;
        item.answered = item.seq > 64 ? item.seq - 64 : 1;
    }
    if (b->items++ == 0) {
        entry_begin(&b->entry);
    }
    item_encode(&b->entry, &item);
}

void run_batch(struct bench *b)
{
    struct error e;
    struct store_position position;
    struct entry_header h = {
        .level = 1, .items = (uint16_t)b->items, .stamp_us = b->stamp_us += 1000000};
    entry_end(&b->entry, &h);
    must(apply_begin(b->apply, &e), &e);
    must(apply_entry(b->apply, b->index, b->index + 1, buffer_span(&b->entry), on_result, b, &e),
         &e);
    must(apply_commit(b->apply, &position, &e), &e);
    b->index++;
    b->items = 0;
    buffer_clear(&b->entry);
}

void bench_open(struct bench *b, const char *folder)
{
    struct error e = {0};
    struct store_options options = {
        .path = folder,
        .map_bytes = MAP_BYTES,
        .no_sync = getenv("BENCH_NO_SYNC") != NULL,
    };
    *b = (struct bench){0};
    must(store_open(&options, &b->store, &e), &e);
    must(apply_new(b->store, &b->apply, &e), &e);
    buffer_init(&b->entry, 64 << 20);
    buffer_init(&b->command, 1 << 20);
    b->index = store_position(b->store).applied;
}

void bench_close(struct bench *b)
{
    apply_free(b->apply);
    store_close(b->store);
    buffer_release(&b->entry);
    buffer_release(&b->command);
}
