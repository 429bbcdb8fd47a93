/* What a search reads, told: its plan in an answer of explain, and in a line for logs. */
#include "command/value.h"
#include "storage/search.h"

static void put_str(struct buffer *b, const char *key, const char *text)
{
    value_put_str(b, key);
    value_put_str(b, text);
}

static const char *source_name(const struct source *source)
{
    static const char *const names[] = {[SOURCE_ALL] = "all",
                                        [SOURCE_VALUE] = "value",
                                        [SOURCE_SET] = "set",
                                        [SOURCE_AND] = "and",
                                        [SOURCE_OR] = "or"};
    return source->is_lineage ? "lineage" : names[source->kind];
}

void search_put_source(struct buffer *b, const struct source *source)
{
    bool parts = source->first != NULL;
    bool of = source->of != NULL && source->of->written.len > 0;
    value_put_map(b, 3u + of + parts);
    put_str(b, "use", source_name(source));
    value_put_str(b, "estimate");
    value_put_uint(b, source->estimate);
    value_put_str(b, "exact");
    value_put_bool(b, source->is_exact);
    if (of) {
        value_put_str(b, "of");
        value_put_span(b, source->of->written);
    }
    if (parts) {
        uint32_t len = 0;
        value_put_str(b, "parts");
        size_t at = value_begin_array(b);
        for (const struct source *one = source->first; one != NULL; one = one->next, len++) {
            search_put_source(b, one);
        }
        value_end(b, at, len);
    }
}

/* --- What it did ------------------------------------------------------------------------------ */

static void describe_source(struct search_run *s, const struct source *source, struct buffer *b)
{
    const struct filter *of = source->of;
    (void)buffer_append_str(b, source_name(source));
    if (of != NULL && of->written.len > 0 && source->first == NULL) {
        (void)buffer_append_str(b, " [");
        filter_shape(of->written, s->r->scratch, b);
        (void)buffer_append_str(b, "]");
    }
    (void)buffer_append_fmt(b, " %s%llu",
                            source->is_exact ? "" : ">=", (unsigned long long)source->estimate);
    const char *before = " (";
    for (const struct source *one = source->first; one != NULL; one = one->next) {
        (void)buffer_append_str(b, before);
        describe_source(s, one, b);
        before = ", ";
    }
    (void)buffer_append_str(b, source->first != NULL ? ")" : "");
}

/* A plan that is too long ends where there is no more room. */
void search_describe(struct search_run *s,
                     const struct source *source,
                     const char *order,
                     uint64_t matched)
{
    struct reading *r = s->r;
    struct reader_effort *e = r->budget->effort;
    if (e == NULL) {
        return;
    }
    e->rows = s->rows;
    e->things = s->things;
    e->matched = matched;
    uint64_t now_us = r->began_us != 0 ? clock_monotonic_us(r->budget->clock) : 0;
    if (source == NULL || now_us - r->began_us < r->budget->plan_after_us) {
        return;
    }
    struct buffer b;
    buffer_init(&b, sizeof e->plan - 1);
    describe_source(s, source, &b);
    (void)buffer_append_fmt(&b, "; order %s", order);
    if (b.len > 0) {
        memcpy(e->plan, b.data, b.len);
    }
    e->plan[b.len] = 0;
    buffer_release(&b);
}
