/* Params and metrics of an export. */
#include <stdlib.h>

#include "cli/export_internal.h"
#include "cli/json.h"

#define PARAM_LINE_BYTES (256u << 10)
#define POINTS_PER_LINE  1000

static void log_begin(struct export *x, const char *ns, const struct clade_value *ref)
{
    export_line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"log\"");
    export_put_member(x, "ref", ref);
}

static bool write_params(struct export *x, const char *ns, const struct clade_value *thing)
{
    const struct clade_value *params = clade_value_get(thing, "params");
    bool open = false;
    bool ok = true;
    for (size_t i = 0; ok && i < clade_value_len(params); i++) {
        if (!open) {
            log_begin(x, ns, clade_value_get(thing, "ref"));
            buffer_append_str(&x->line, ",\"params\":{");
        }
        buffer_append_str(&x->line, open ? "," : "");
        json_append_value(&x->line, clade_value_key_at(params, i));
        buffer_append_u8(&x->line, ':');
        json_append_value(&x->line, clade_value_at(params, i));
        open = x->line.len < PARAM_LINE_BYTES && i + 1 < clade_value_len(params);
        if (!open) {
            buffer_append_str(&x->line, "}}");
            ok = export_line_end(x, ns);
        }
    }
    return ok;
}

/* The points of one series, a line for each thousand that one run logged. */
struct point_lines {
    struct export *x;
    const char *ns;
    const struct clade_value *thing;
    const struct clade_value *series;
    struct buffer run; /* that logged the points of the line; empty = not said */
    unsigned points;   /* in the line; 0 = none is open */
};

static bool points_end(struct point_lines *l)
{
    if (l->points == 0) {
        return true;
    }
    l->points = 0;
    buffer_append_str(&l->x->line, "]}]}");
    return export_line_end(l->x, l->ns);
}

static void points_begin(struct point_lines *l, struct span run)
{
    struct export *x = l->x;
    buffer_clear(&l->run);
    buffer_append_span(&l->run, run);
    log_begin(x, l->ns, clade_value_get(l->thing, "ref"));
    buffer_append_str(&x->line, ",\"metrics\":[{\"key\":");
    json_append_value(&x->line, clade_value_get(l->series, "key"));
    if (clade_value_get(l->series, "on") != NULL) {
        export_put_member(x, "on", clade_value_get(l->series, "on"));
    }
    if (run.len > 0) {
        buffer_append_str(&x->line, ",\"run\":");
        json_append_text(&x->line, run);
    }
    buffer_append_str(&x->line, ",\"points\":[");
}

static bool write_point(struct point_lines *l, const struct clade_value *point)
{
    struct span run = export_text_of(clade_value_at(point, 3));
    if (run.len > 0 && export_is_dead(l->x, l->ns, run)) {
        l->x->left_out++;
        run.len = 0;
    }
    bool same =
        l->points > 0 && l->points < POINTS_PER_LINE && span_equal(run, buffer_span(&l->run));
    if (!same && !points_end(l)) {
        return false;
    }
    if (l->points == 0) {
        points_begin(l, run);
    }
    struct buffer *b = &l->x->line;
    buffer_append_str(b, l->points++ > 0 ? ",[" : "[");
    for (size_t i = 0; i < 3; i++) {
        buffer_append_str(b, i > 0 ? "," : "");
        json_append_value(b, clade_value_at(point, i));
    }
    buffer_append_u8(b, ']');
    return true;
}

static void put_ref(struct clade_doc *doc, const char *key, const struct clade_value *text)
{
    struct span ref = export_text_of(text);
    clade_doc_str(doc, key);
    if (ref.len == 0) {
        clade_doc_nil(doc);
    } else {
        clade_doc_strn(doc, (const char *)ref.data, ref.len);
    }
}

static struct clade_response *fetch_points(const struct point_lines *l, const char *cursor)
{
    struct clade_doc *doc = clade_doc_new();
    if (doc == NULL) {
        return NULL;
    }
    struct settings settings = export_settings(l->x);
    clade_doc_map(doc, 6u + settings_consistency_members(&settings) + (cursor != NULL));
    settings_put_consistency(doc, &settings);
    export_put_text(doc, "ns", l->ns);
    clade_doc_str(doc, "refs");
    clade_doc_array(doc, 1);
    struct span ref = export_text_of(clade_value_get(l->thing, "ref"));
    clade_doc_strn(doc, (const char *)ref.data, ref.len);
    clade_doc_str(doc, "keys");
    clade_doc_array(doc, 1);
    struct span key = export_text_of(clade_value_get(l->series, "key"));
    clade_doc_strn(doc, (const char *)key.data, key.len);
    put_ref(doc, "on", clade_value_get(l->series, "on"));
    clade_doc_str(doc, "as_of");
    clade_doc_uint(doc, l->x->revision);
    clade_doc_str(doc, "limit");
    clade_doc_uint(doc, CLADE_MAX_PAGE_ITEMS);
    if (cursor != NULL) {
        export_put_text(doc, "cursor", cursor);
    }
    struct clade_response *response = clade_call_wait(l->x->cli->client, "metrics", doc);
    clade_doc_free(doc);
    return response;
}

static bool write_points(struct point_lines *l)
{
    char *cursor = NULL;
    bool ok = true;
    for (bool more = true; ok && more;) {
        struct clade_response *response = fetch_points(l, cursor);
        const struct clade_value *series = clade_value_at(clade_response_data(response), 0);
        const struct clade_value *points = clade_value_get(series, "points");
        if (clade_response_code(response) != 0 || points == NULL) {
            (void)cli_fail(l->x->cli, "metrics", response);
            ok = false;
        }
        for (size_t i = 0; ok && i < clade_value_len(points); i++) {
            ok = write_point(l, clade_value_at(points, i));
        }
        const char *next = clade_response_cursor(response);
        free(cursor);
        cursor = next == NULL ? NULL : strdup(next);
        more = cursor != NULL;
        clade_response_free(response);
    }
    free(cursor);
    return points_end(l) && ok;
}

/* The store orders series of one key by the id of what they were measured on. */
static int compare_series(const void *a, const void *b)
{
    const struct clade_value *x = *(const struct clade_value *const *)a;
    const struct clade_value *y = *(const struct clade_value *const *)b;
    int r = span_compare(export_text_of(clade_value_get(x, "key")),
                         export_text_of(clade_value_get(y, "key")));
    return r != 0 ? r
                  : span_compare(export_text_of(clade_value_get(x, "on")),
                                 export_text_of(clade_value_get(y, "on")));
}

bool export_write_series(struct export *x, const char *ns, const struct clade_value *thing)
{
    const struct clade_value *metrics = clade_value_get(thing, "metrics");
    size_t len = clade_value_len(metrics);
    bool ok = write_params(x, ns, thing);
    if (len == 0 || !ok) {
        return ok;
    }
    const struct clade_value **sorted = calloc(len, sizeof *sorted);
    struct point_lines l = {.x = x, .ns = ns, .thing = thing};
    ok = sorted != NULL;
    buffer_init(&l.run, EXPORT_BYTES_MAX);
    for (size_t i = 0; ok && i < len; i++) {
        sorted[i] = clade_value_at(metrics, i);
    }
    if (ok) {
        qsort(sorted, len, sizeof *sorted, compare_series);
    }
    for (size_t i = 0; ok && i < len; i++) {
        struct span on = export_text_of(clade_value_get(sorted[i], "on"));
        l.series = sorted[i];
        if (on.len > 0 && export_is_dead(x, ns, on)) {
            x->left_out++;
        } else {
            ok = write_points(&l);
        }
    }
    buffer_release(&l.run);
    free(sorted);
    return ok;
}
