#include "node/slow.h"

#include "node/serve_internal.h"

#define SECOND_US  1000000
#define TEXT_BYTES 1024
#define FIELDS_MAX 24

bool slow_limit_take(struct slow_limit *limit, uint64_t now_us, uint64_t *ret_left_out)
{
    if (now_us - limit->second_us >= SECOND_US) {
        limit->second_us = now_us;
        limit->lines = 0;
    }
    if (limit->lines >= SLOW_LINES_A_SECOND) {
        limit->left_out++;
        return false;
    }
    limit->lines++;
    *ret_left_out = limit->left_out;
    limit->left_out = 0;
    return true;
}

/* The fields of one line; texts live as long as it. */
struct line {
    struct log_field fields[FIELDS_MAX + 1];
    unsigned len;
};

static void add(struct line *l, struct log_field field)
{
    if (l->len < FIELDS_MAX) {
        l->fields[l->len++] = field;
    }
}

/* The parts of the time: until what it should see was here, or it was proposed; in the queue of the
 * workers; at work. */
static void add_times(struct line *l, const struct request *r, uint64_t took_us)
{
    uint64_t end_us = r->started_us + took_us;
    uint64_t begin_us = r->ready_us;
    uint64_t queued_us = 0;
    uint64_t worked_us = 0;
    if (r->proposal != NULL) {
        begin_us = atomic_load_explicit(&r->proposal->sent_us, memory_order_relaxed);
    }
    if (begin_us < r->started_us || begin_us > end_us) {
        begin_us = end_us; /* it never got there */
    } else {
        worked_us = end_us - begin_us;
    }
    if (r->result != NULL && r->result->worked_us < worked_us) {
        queued_us = worked_us - r->result->worked_us;
        worked_us = r->result->worked_us;
    }
    add(l, LOG_U64("ms", took_us / 1000));
    add(l, LOG_U64("wait_ms", (begin_us - r->started_us) / 1000));
    add(l, LOG_U64("queue_ms", queued_us / 1000));
    add(l, LOG_U64("work_ms", worked_us / 1000));
}

static void add_effort(struct line *l, const struct request *r, const struct reader_effort *e)
{
    if (r->query.search != NULL && !e->walked) {
        add(l, LOG_U64("rows", e->rows));
        add(l, LOG_U64("things", e->things));
        add(l, LOG_U64("matched", e->matched));
    }
    if (e->walked) {
        add(l, LOG_STR("edges_by", e->by_index ? "index" : "tables"));
        add(l, LOG_U64("met", e->met));
    }
    add(l, LOG_U64("items", e->items));
    if (e->plan[0] != 0) {
        add(l, LOG_STR("plan", e->plan));
    }
}

static const char *text_of(struct buffer *b, struct span text)
{
    buffer_init(b, TEXT_BYTES);
    (void)buffer_append_fmt(b, "%.*s", SPAN_FMT(text));
    return buffer_append_u8(b, 0) ? (const char *)b->data : "";
}

static const char *shape_of(struct buffer *b, struct span query)
{
    struct arena arena;
    arena_init(&arena, CLADE_MAX_FRAME_BYTES);
    buffer_init(b, TEXT_BYTES - 1);
    filter_shape(query, &arena, b);
    arena_release(&arena);
    b->failed = false; /* what is longer is cut */
    b->bytes_max = TEXT_BYTES;
    return buffer_append_u8(b, 0) ? (const char *)b->data : "";
}

void slow_log(const struct request *r, int code, uint64_t took_us)
{
    struct serve *s = r->conn->serve;
    struct buffer user;
    struct buffer shape;
    struct line l = {.len = 0};
    uint64_t left_out;
    if (!slow_limit_take(&s->slow_limit, r->started_us + took_us, &left_out)) {
        return;
    }
    bool is_query = r->result != NULL;
    buffer_init(&shape, 0);
    add(&l, LOG_STR("method", r->method < METHOD_COUNT ? method_name(r->method) : ""));
    add(&l, LOG_STR("outcome", clade_error_name(code)));
    add(&l, LOG_STR("user", text_of(&user, r->conn->user)));
    add_times(&l, r, took_us);
    if (is_query && r->query.text.len > 0) {
        add(&l, LOG_STR("query", shape_of(&shape, r->query.text)));
    }
    if (is_query) {
        add_effort(&l, r, &r->result->effort);
    }
    if (left_out > 0) {
        add(&l, LOG_U64("left_out", left_out));
    }
    log_write(LOG_WARNING, "slow request", l.fields);
    buffer_release(&user);
    buffer_release(&shape);
}
