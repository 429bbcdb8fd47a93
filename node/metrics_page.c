#include "node/metrics_page.h"

#include <inttypes.h>
#include <stdio.h>

void metrics_page_init(struct metrics_page *page, bool is_openmetrics, size_t bytes_max)
{
    *page = (struct metrics_page){.is_openmetrics = is_openmetrics};
    buffer_init(&page->out, bytes_max);
}

/* OpenMetrics names the family of a counter without what its samples end with. */
static int family_len(const struct metrics_page *page, const struct metric_family *f)
{
    size_t len = strlen(f->name);
    return (int)(page->is_openmetrics && f->type == METRIC_COUNTER ? len - strlen("_total") : len);
}

void metrics_page_begin(struct metrics_page *page, const struct metric_family *family)
{
    static const char *const types[] = {"gauge", "counter", "histogram"};
    int len = family_len(page, family);
    page->family = family;
    (void)buffer_append_fmt(&page->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, family->name,
                            family->help, len, family->name, types[family->type]);
}

void metrics_page_end(struct metrics_page *page)
{
    if (page->is_openmetrics) {
        (void)buffer_append_str(&page->out, "# EOF\n");
    }
}

static void put_escaped(struct buffer *b, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        if (c == '"' || c == '\\') {
            (void)buffer_append_u8(b, '\\');
            (void)buffer_append_u8(b, (uint8_t)c);
        } else if (c == '\n') {
            (void)buffer_append_str(b, "\\n");
        } else {
            (void)buffer_append_u8(b, (uint8_t)c);
        }
    }
}

/* NAME SUFFIX and the labels, `le` last where there is one. */
static void put_name(struct metrics_page *page,
                     const char *suffix,
                     const struct metric_label *labels,
                     const char *le)
{
    struct buffer *b = &page->out;
    const char *before = "{";
    (void)buffer_append_str(b, page->family->name);
    (void)buffer_append_str(b, suffix);
    for (int i = 0; labels != NULL && i < METRIC_LABELS_MAX && labels[i].name != NULL; i++) {
        (void)buffer_append_fmt(b, "%s%s=\"", before, labels[i].name);
        put_escaped(b, labels[i].value);
        (void)buffer_append_str(b, "\"");
        before = ",";
    }
    if (le != NULL) {
        (void)buffer_append_fmt(b, "%sle=\"%s\"", before, le);
        before = ",";
    }
    (void)buffer_append_str(b, *before == ',' ? "} " : " ");
}

void metrics_put(struct metrics_page *page, const struct metric_label *labels, uint64_t value)
{
    put_name(page, "", labels, NULL);
    (void)buffer_append_fmt(&page->out, "%" PRIu64 "\n", value);
}

static void put_millionths(struct buffer *b, int64_t v)
{
    uint64_t abs = v < 0 ? -(uint64_t)v : (uint64_t)v;
    (void)buffer_append_fmt(b, "%s%" PRIu64 ".%06" PRIu64 "\n", v < 0 ? "-" : "", abs / 1000000,
                            abs % 1000000);
}

void metrics_put_millionths(struct metrics_page *page,
                            const struct metric_label *labels,
                            int64_t millionths)
{
    put_name(page, "", labels, NULL);
    put_millionths(&page->out, millionths);
}

/* Canonical numbers, as both formats have them: 0.0005, 0.1, 1.0, 2.5, 10.0. */
static void write_bound(uint32_t us, char text[24])
{
    int len = snprintf(text, 24, "%u.%06u", us / 1000000, us % 1000000);
    while (text[len - 1] == '0' && text[len - 2] != '.') {
        text[--len] = 0;
    }
}

void metrics_put_histogram(struct metrics_page *page,
                           const struct metric_label *labels,
                           const struct metric_histogram *histogram)
{
    uint64_t count = 0;
    for (unsigned i = 0; i <= METRIC_BUCKETS; i++) {
        char le[24] = "+Inf";
        if (i < METRIC_BUCKETS) {
            write_bound(metric_bounds_us[i], le);
        }
        count += metric_read(&histogram->buckets[i]);
        put_name(page, "_bucket", labels, le);
        (void)buffer_append_fmt(&page->out, "%" PRIu64 "\n", count);
    }
    put_name(page, "_sum", labels, NULL);
    put_millionths(&page->out, (int64_t)metric_read(&histogram->sum_us));
    put_name(page, "_count", labels, NULL);
    (void)buffer_append_fmt(&page->out, "%" PRIu64 "\n", count);
}
