#include "cli/show.h"

#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"

#define SHOW_BYTES_MAX (64u << 20)
#define SHOW_DEPTH_MAX 8
#define KEY_COLUMNS    14
#define CELL_TEXT_MAX  12
#define DAY_S          86400

static struct span text_of(const struct clade_value *v)
{
    size_t len = 0;
    const char *text = clade_value_strn(v, &len);
    return span_make(text == NULL ? "" : text, text == NULL ? 0 : len);
}

static bool ends_with(struct span s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.data + s.len - n, end, n) == 0;
}

/* Numbers mean what their key says: times, bytes, names of nodes, counts. */
static void append_number(struct buffer *b, struct span key, uint64_t n)
{
    static const char *const times[] = {"time", "start", "end", "happened", NULL};
    static const char *const names[] = {"id",     "node",  "leader", "term",
                                        "number", "depth", "vote",   NULL};
    char text[TEXT_BYTES_MAX];
    if (span_is_one_of(key, times)) {
        text_local_time(n, text);
    } else if (span_equal_str(key, "retention_s") && n % DAY_S == 0) {
        buffer_append_fmt(b, "%llu days", (unsigned long long)(n / DAY_S));
        return;
    } else if (span_is_one_of(key, names)) {
        buffer_append_fmt(b, "%llu", (unsigned long long)n);
        return;
    } else if (ends_with(key, "bytes") || span_equal_str(key, "size")) {
        text_size(n, text);
    } else {
        text_count(n, text);
    }
    buffer_append_str(b, text);
}

static void append_scalar(struct buffer *b, struct span key, const struct clade_value *v)
{
    switch (clade_value_type(v)) {
    case CLADE_UINT:
        append_number(b, key, clade_value_uint(v));
        return;
    case CLADE_STRING:
        table_append_clean(b, text_of(v));
        return;
    case CLADE_BOOL:
        buffer_append_str(b, clade_value_bool(v) ? "yes" : "no");
        return;
    case CLADE_NIL:
        buffer_append_str(b, "-");
        return;
    case CLADE_ARRAY:
    case CLADE_MAP:
        if (clade_value_len(v) == 0) {
            buffer_append_str(b, "none");
            return;
        }
        json_append_value(b, v);
        return;
    default:
        json_append_value(b, v);
        return;
    }
}

static void print_line(struct cli *cli, unsigned indent, struct span key, struct span value)
{
    unsigned used = key.len == 0 ? 0 : table_width(key);
    (void)fprintf(cli->out, "%*s%s%.*s%s", (int)indent, "", cli->color ? "\x1b[36m" : "",
                  SPAN_FMT(key), cli->color ? "\x1b[0m" : "");
    (void)fprintf(cli->out, "%*s", used < KEY_COLUMNS ? (int)(KEY_COLUMNS - used) : 1, "");
    (void)fwrite(value.data, 1, value.len, cli->out);
    (void)fputc('\n', cli->out);
}

static void print_scalar(struct cli *cli,
                         unsigned indent,
                         struct span key,
                         const struct clade_value *v)
{
    struct buffer b;
    buffer_init(&b, SHOW_BYTES_MAX);
    append_scalar(&b, key, v);
    print_line(cli, indent, key, buffer_span(&b));
    buffer_release(&b);
}

/* created, changed: "2026-03-01 12:00:00 by ann, revision 7" */
static void print_mark(struct cli *cli, struct span key, const struct clade_value *v)
{
    struct buffer b;
    buffer_init(&b, SHOW_BYTES_MAX);
    char time[TEXT_BYTES_MAX];
    text_local_time(clade_value_uint(clade_value_get(v, "time")), time);
    buffer_append_str(&b, time);
    struct span who = text_of(clade_value_get(v, "principal"));
    if (who.len > 0) {
        buffer_append_str(&b, " by ");
        table_append_clean(&b, who);
    }
    buffer_append_fmt(&b, ", revision %llu",
                      (unsigned long long)clade_value_uint(clade_value_get(v, "revision")));
    if (clade_value_get(v, "happened") != NULL) {
        text_local_time(clade_value_uint(clade_value_get(v, "happened")), time);
        buffer_append_fmt(&b, ", happened %s", time);
    }
    print_line(cli, 0, key, buffer_span(&b));
    buffer_release(&b);
}

static void append_share(struct buffer *b, unsigned share, bool shadow)
{
    buffer_append_fmt(b, " %u", share / 100);
    if (share % 100 != 0) {
        buffer_append_fmt(b, ".%02u", share % 100);
    }
    buffer_append_str(b, shadow ? "% shadow" : "%");
}

static void append_target(struct buffer *b, const struct clade_value *target)
{
    unsigned share = (unsigned)clade_value_uint(clade_value_get(target, "share"));
    table_append_clean(b, text_of(clade_value_get(target, "version")));
    append_share(b, share, span_equal_str(text_of(clade_value_get(target, "mode")), "shadow"));
}

void show_append_targets(struct buffer *b, const struct clade_value *targets)
{
    for (size_t i = 0; i < clade_value_len(targets); i++) {
        buffer_append_str(b, i > 0 ? ", " : "");
        append_target(b, clade_value_at(targets, i));
    }
}

struct span show_text_of(const struct clade_value *map, const char *key)
{
    return text_of(clade_value_get(map, key));
}

/* "a, b" */
static void append_texts(struct buffer *b, const struct clade_value *list)
{
    for (size_t i = 0; i < clade_value_len(list); i++) {
        size_t len = 0;
        const char *text = clade_value_strn(clade_value_at(list, i), &len);
        buffer_append_str(b, i > 0 ? ", " : "");
        table_append_clean(b, span_make(text, len));
    }
}

void show_append_field(struct buffer *b, struct span field, const struct clade_value *v)
{
    char time[TEXT_BYTES_MAX];
    size_t len = 0;
    const char *text = clade_value_strn(v, &len);
    if (v == NULL) {
        buffer_append_str(b, "-");
    } else if (span_equal_str(field, "targets")) {
        show_append_targets(b, v);
    } else if (clade_value_type(clade_value_at(v, 0)) == CLADE_STRING) {
        append_texts(b, v);
    } else if (text != NULL) {
        table_append_clean(b, span_make(text, len));
    } else if (span_equal_str(field, "start") || span_equal_str(field, "end")) {
        text_local_time(clade_value_uint(v), time);
        buffer_append_str(b, time);
    } else {
        json_append_value(b, v);
    }
}

static void append_use(struct buffer *b, const struct clade_value *use)
{
    struct span alias = text_of(clade_value_get(use, "alias"));
    struct span stage = text_of(clade_value_get(use, "stage"));
    unsigned share = (unsigned)clade_value_uint(clade_value_get(use, "share"));
    if (alias.len > 0 || stage.len > 0) {
        buffer_append_str(b, alias.len > 0 ? "@" : "");
        table_append_clean(b, alias.len > 0 ? alias : stage);
        return;
    }
    table_append_clean(b, text_of(clade_value_get(use, "deployment")));
    append_share(b, share, span_equal_str(text_of(clade_value_get(use, "mode")), "shadow"));
}

void show_append_uses(struct buffer *b, const struct clade_value *uses)
{
    for (size_t i = 0; i < clade_value_len(uses); i++) {
        buffer_append_str(b, i > 0 ? ", " : "");
        append_use(b, clade_value_at(uses, i));
    }
}

/* "@champion -> 7, revision 12": of a model, or of a version itself. */
static void append_alias(struct buffer *b, const struct clade_value *alias)
{
    buffer_append_str(b, "@");
    table_append_clean(b, text_of(clade_value_get(alias, "alias")));
    buffer_append_fmt(b, " -> %llu, revision %llu",
                      (unsigned long long)clade_value_uint(clade_value_get(alias, "version")),
                      (unsigned long long)clade_value_uint(clade_value_get(alias, "revision")));
}

/* "loss on artifact/holdout: last 0.3 at step 1200, min 0.2, max 0.9, first 0.9, 120 points" */
static void append_series(struct buffer *b, const struct clade_value *series)
{
    static const char *const points[] = {"last", "min", "max", "first"};
    char count[TEXT_BYTES_MAX];
    uint64_t n = clade_value_uint(clade_value_get(series, "count"));
    struct span on = text_of(clade_value_get(series, "on"));
    table_append_clean(b, text_of(clade_value_get(series, "key")));
    buffer_append_str(b, on.len > 0 ? " on " : "");
    table_append_clean(b, on);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        const struct clade_value *point = clade_value_get(series, points[i]);
        if (point != NULL) {
            buffer_append_fmt(b, "%s %s ", i == 0 ? ":" : ",", points[i]);
            json_append_value(b, clade_value_at(point, 2));
        }
        if (point != NULL && i == 0) {
            buffer_append_str(b, " at step ");
            json_append_value(b, clade_value_at(point, 0));
        }
    }
    text_count(n, count);
    buffer_append_fmt(b, ", %s point%s", count, n == 1 ? "" : "s");
}

static void append_member(struct buffer *b, const struct clade_value *v)
{
    if (clade_value_type(v) != CLADE_MAP) {
        append_scalar(b, span_of(""), v);
        return;
    }
    for (size_t i = 0; i < clade_value_len(v); i++) {
        struct span key = text_of(clade_value_key_at(v, i));
        const struct clade_value *member = clade_value_at(v, i);
        /* "float required fixed": what is true is said by its name. */
        bool flag = clade_value_type(member) == CLADE_BOOL;
        if (flag && !clade_value_bool(member)) {
            continue;
        }
        buffer_append_str(b, i > 0 ? " " : "");
        if (flag) {
            table_append_clean(b, key);
        } else {
            append_scalar(b, key, member);
        }
    }
}

/* Members that have a form of their own, by the key that they stand under. */
static void append_member_of(struct buffer *b, struct span key, const struct clade_value *v)
{
    static const struct {
        const char *key;
        void (*append)(struct buffer *b, const struct clade_value *v);
    } forms[] = {{"targets", append_target}, {"aliases", append_alias}, {"metrics", append_series}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (span_equal_str(key, forms[i].key) && clade_value_type(v) == CLADE_MAP) {
            forms[i].append(b, v);
            return;
        }
    }
    append_member(b, v);
}

/* Tags, digests, edges: a line each, the key before the first. */
static void print_members(struct cli *cli, struct span key, const struct clade_value *v)
{
    bool map = clade_value_type(v) == CLADE_MAP;
    struct buffer b;
    buffer_init(&b, SHOW_BYTES_MAX);
    for (size_t i = 0; i < clade_value_len(v); i++) {
        buffer_clear(&b);
        if (map) {
            table_append_clean(&b, text_of(clade_value_key_at(v, i)));
            buffer_append_str(&b, "=");
        }
        append_member_of(&b, key, clade_value_at(v, i));
        print_line(cli, 0, i == 0 ? key : span_of(""), buffer_span(&b));
    }
    buffer_release(&b);
}

void show_thing(struct cli *cli, const struct clade_value *thing)
{
    static const char *const marks[] = {"created", "changed", NULL};
    if (clade_value_type(thing) != CLADE_MAP) {
        print_scalar(cli, 0, span_of("id"), thing);
        return;
    }
    for (size_t i = 0; i < clade_value_len(thing); i++) {
        struct span key = text_of(clade_value_key_at(thing, i));
        const struct clade_value *v = clade_value_at(thing, i);
        enum clade_type type = clade_value_type(v);
        if (type == CLADE_MAP && span_is_one_of(key, marks)) {
            print_mark(cli, key, v);
        } else if (type == CLADE_MAP || type == CLADE_ARRAY) {
            print_members(cli, key, v);
        } else {
            print_scalar(cli, 0, key, v);
        }
    }
}

static void show(struct cli *cli, const struct clade_value *v, unsigned depth);

/* A map in a cell: its values, long ones cut, as with git's hashes. */
static void append_cell_map(struct buffer *b, const struct clade_value *map)
{
    for (size_t i = 0; i < clade_value_len(map); i++) {
        struct span key = text_of(clade_value_key_at(map, i));
        struct span text = text_of(clade_value_at(map, i));
        buffer_append_str(b, i > 0 ? " " : "");
        if (text.len > CELL_TEXT_MAX) {
            table_append_clean(b, span_make(text.data, CELL_TEXT_MAX));
        } else {
            append_scalar(b, key, clade_value_at(map, i));
        }
    }
}

static void table_row(struct table *t,
                      const struct table_column *columns,
                      size_t len,
                      const struct clade_value *row)
{
    struct buffer b;
    buffer_init(&b, SHOW_BYTES_MAX);
    for (size_t i = 0; i < len; i++) {
        buffer_clear(&b);
        const struct clade_value *v = clade_value_get(row, columns[i].heading);
        if (clade_value_type(v) == CLADE_MAP) {
            append_cell_map(&b, v);
        } else {
            append_scalar(&b, span_of(columns[i].heading), v);
        }
        (void)table_add(t, buffer_span(&b));
    }
    buffer_release(&b);
}

/* An array of maps as a table, its columns the keys of the first one. */
static void show_table(struct cli *cli, const struct clade_value *rows)
{
    const struct clade_value *first = clade_value_at(rows, 0);
    struct table_column columns[TABLE_COLUMNS_MAX];
    struct cli_list names = {0};
    arena_init(&names.arena, SHOW_BYTES_MAX);
    size_t len = 0;
    for (size_t i = 0; i < clade_value_len(first) && len < TABLE_COLUMNS_MAX; i++) {
        const char *name = arena_copy_str(&names.arena, text_of(clade_value_key_at(first, i)));
        if (name != NULL) {
            bool number = clade_value_type(clade_value_at(first, i)) == CLADE_UINT;
            columns[len++] = (struct table_column){
                .heading = name, .align = number ? TABLE_RIGHT : TABLE_LEFT, .elastic = !number};
        }
    }
    if (len > 0) {
        struct table t;
        table_init(&t, columns, len);
        for (size_t i = 0; i < clade_value_len(rows); i++) {
            table_row(&t, columns, len, clade_value_at(rows, i));
        }
        table_flush(&t, cli->out, cli->terminal_columns, cli->color);
        table_release(&t);
    }
    cli_list_release(&names);
}

static void show_heading(struct cli *cli, struct span key)
{
    (void)fprintf(cli->out, "%s%.*s%s\n", cli->color ? "\x1b[1m" : "", SPAN_FMT(key),
                  cli->color ? "\x1b[0m" : "");
}

static bool is_nested(const struct clade_value *v)
{
    enum clade_type type = clade_value_type(v);
    return (type == CLADE_MAP || type == CLADE_ARRAY) && clade_value_len(v) > 0;
}

/* Scalars first, so that nothing below a table looks as if it belonged to it. */
static void show_map(struct cli *cli, const struct clade_value *map, unsigned depth)
{
    bool begun = depth > 0;
    for (size_t i = 0; i < clade_value_len(map); i++) {
        if (!is_nested(clade_value_at(map, i))) {
            print_scalar(cli, 0, text_of(clade_value_key_at(map, i)), clade_value_at(map, i));
            begun = true;
        }
    }
    for (size_t i = 0; i < clade_value_len(map); i++) {
        if (is_nested(clade_value_at(map, i))) {
            (void)fputs(begun ? "\n" : "", cli->out);
            begun = true;
            show_heading(cli, text_of(clade_value_key_at(map, i)));
            show(cli, clade_value_at(map, i), depth + 1);
        }
    }
}

static void show(struct cli *cli, const struct clade_value *v, unsigned depth)
{
    if (depth >= SHOW_DEPTH_MAX) {
        return;
    }
    if (clade_value_type(v) == CLADE_MAP) {
        show_map(cli, v, depth);
    } else if (clade_value_type(v) == CLADE_ARRAY &&
               clade_value_type(clade_value_at(v, 0)) == CLADE_MAP) {
        show_table(cli, v);
    } else if (clade_value_type(v) == CLADE_ARRAY) {
        print_members(cli, span_of(""), v);
    } else {
        print_scalar(cli, 0, span_of(""), v);
    }
}

void show_document(struct cli *cli, const struct clade_value *value)
{
    show(cli, value, 0);
}

void show_json_text(struct cli *cli, const struct clade_response *response, struct span data)
{
    (void)fprintf(cli->out,
                  "{\"revision\":%llu,\"node\":%llu,\"term\":%llu,\"complete\":%s,\"data\":",
                  (unsigned long long)clade_response_revision(response),
                  (unsigned long long)clade_response_node(response),
                  (unsigned long long)clade_response_term(response),
                  clade_response_complete(response) ? "true" : "false");
    (void)fwrite(data.data, 1, data.len, cli->out);
    (void)fputs("}\n", cli->out);
}

void show_json_part(struct cli *cli,
                    const struct clade_response *response,
                    const struct clade_value *part)
{
    struct buffer b;
    buffer_init(&b, SHOW_BYTES_MAX);
    json_append_value(&b, part);
    show_json_text(cli, response, buffer_span(&b));
    buffer_release(&b);
}

void show_json(struct cli *cli, const struct clade_response *response)
{
    show_json_part(cli, response, clade_response_data(response));
}

void show_ndjson_part(struct cli *cli, const struct clade_value *data)
{
    bool array = clade_value_type(data) == CLADE_ARRAY;
    struct buffer b;
    buffer_init(&b, SHOW_BYTES_MAX);
    for (size_t i = 0; i < (array ? clade_value_len(data) : 1); i++) {
        buffer_clear(&b);
        json_append_value(&b, array ? clade_value_at(data, i) : data);
        buffer_append_u8(&b, '\n');
        (void)fwrite(b.data, 1, b.len, cli->out);
    }
    buffer_release(&b);
}

void show_ndjson(struct cli *cli, const struct clade_response *response)
{
    show_ndjson_part(cli, clade_response_data(response));
}

static void append_displaced(struct buffer *b, const struct clade_value *refs)
{
    for (size_t i = 0; i < clade_value_len(refs); i++) {
        buffer_append_str(b, i == 0 ? "; displaced " : ", ");
        table_append_clean(b, text_of(clade_value_at(refs, i)));
    }
}

/* "; 2 params, 1 point": what of it was new. */
static void append_logged(struct buffer *b, const struct clade_value *result)
{
    static const char *const counted[] = {"param", "point"};
    bool any = false;
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        char key[16];
        char count[TEXT_BYTES_MAX];
        (void)snprintf(key, sizeof key, "%ss", counted[i]);
        uint64_t n = clade_value_uint(clade_value_get(result, key));
        if (n > 0) {
            text_count(n, count);
            buffer_append_fmt(b, "%s %s %s%s", any ? "," : ";", count, counted[i],
                              n == 1 ? "" : "s");
            any = true;
        }
    }
}

/* "changed @champion: version/fraud/7" */
static void show_result(struct cli *cli, const char *label, const struct clade_value *result)
{
    struct span ref = text_of(clade_value_get(result, "ref"));
    struct buffer b;
    buffer_init(&b, SHOW_BYTES_MAX);
    table_append_clean(&b, text_of(clade_value_get(result, "status")));
    if (label != NULL) {
        buffer_append_str(&b, " ");
        table_append_clean(&b, span_of(label));
        buffer_append_str(&b, ref.len > 0 ? ":" : "");
    }
    if (ref.len > 0) {
        buffer_append_str(&b, " ");
        table_append_clean(&b, ref);
    }
    append_displaced(&b, clade_value_get(result, "displaced"));
    append_logged(&b, result);
    buffer_append_str(&b, "\n");
    (void)fwrite(b.data, 1, b.len, cli->out);
    buffer_release(&b);
}

void show_results_of(struct cli *cli,
                     const char *const labels[],
                     size_t labels_len,
                     const struct clade_response *response)
{
    const struct clade_value *data = clade_response_data(response);
    if (cli->settings.write == WRITE_JSON) {
        show_json(cli, response);
        return;
    }
    if (cli->settings.write == WRITE_NDJSON) {
        show_ndjson(cli, response);
        return;
    }
    if (cli->settings.dry_run) {
        cli_say(cli, "dry run: nothing of this was written");
    }
    for (size_t i = 0; i < clade_value_len(data); i++) {
        show_result(cli, i < labels_len ? labels[i] : NULL, clade_value_at(data, i));
    }
}

void show_results(struct cli *cli, const struct clade_response *response)
{
    show_results_of(cli, NULL, 0, response);
}
