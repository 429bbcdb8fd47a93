/* What nodes that were scanned at one index found: compared, as a table, or for programs. */
#include <inttypes.h>

#include "base/hash.h"
#include "cli/json.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verify.h"

#define ANSWERS_BYTES (1u << 20)
#define DIGEST_BYTES  8 /* of a digest in a table */

static uint64_t number(const struct clade_value *map, const char *key)
{
    return clade_value_uint(clade_value_get(map, key));
}

/* --- comparing --- */

static bool hash_at(const struct clade_value *map, const char *key, struct hash128 *ret)
{
    return hash128_parse(show_text_of(map, key), ret);
}

static void read_replica(const struct verified *n, struct replica *r)
{
    const struct clade_value *kept = clade_value_get(n->answer, "digest");
    const struct clade_value *found = clade_value_get(n->answer, "found");
    struct hash128 data = {0};
    struct hash128 state = {0};
    *r = (struct replica){.answered = n->answer != NULL};
    r->answered = r->answered && hash_at(kept, "data", &r->data) &&
                  hash_at(kept, "state", &r->state) && hash_at(found, "data", &data) &&
                  hash_at(found, "state", &state);
    r->is_sound = r->answered && number(n->answer, "bad_rows") == 0 &&
                  hash128_equal(data, r->data) && hash128_equal(state, r->state);
}

static const char *const verdict_words[] = {[VERDICT_NO_ANSWER] = "no answer",
                                            [VERDICT_DAMAGED] = "damaged",
                                            [VERDICT_SAME] = "same",
                                            [VERDICT_DIFFERS] = "differs",
                                            [VERDICT_UNKNOWN] = "undecided"};
static const char *const outcome_words[] = {[OUTCOME_SAME] = "same",
                                            [OUTCOME_DIFFERENT] = "different",
                                            [OUTCOME_UNDECIDED] = "undecided",
                                            [OUTCOME_INCOMPLETE] = "incomplete"};

/* --- for programs --- */

static void append_text(struct buffer *b, const char *key, struct span text)
{
    (void)buffer_append_fmt(b, ",\"%s\":", key);
    json_append_text(b, text);
}

static void append_value(struct buffer *b, const struct verified *n, const char *key)
{
    (void)buffer_append_fmt(b, ",\"%s\":", key);
    json_append_value(b, clade_value_get(n->answer, key));
}

static void append_node(struct buffer *b, const struct verified *n, const struct replica *r)
{
    static const char *const keys[] = {"index", "rows",   "bytes", "bad_rows",
                                       "bad",   "digest", "found"};
    (void)buffer_append_fmt(b, "{\"id\":%" PRIu64, n->id);
    append_text(b, "client", span_of(n->address));
    append_text(b, "result", span_of(verdict_words[r->verdict]));
    if (!r->answered) {
        append_text(b, "error", span_of(n->why));
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && r->answered; i++) {
        append_value(b, n, keys[i]);
    }
    (void)buffer_append_str(b, "}");
}

static void write_json(const struct verify_run *v, enum outcome outcome)
{
    struct buffer b;
    buffer_init(&b, ANSWERS_BYTES);
    (void)buffer_append_fmt(&b, "{\"index\":%" PRIu64, v->index);
    append_text(&b, "result", span_of(outcome_words[outcome]));
    (void)buffer_append_str(&b, ",\"nodes\":[");
    for (size_t i = 0; i < v->len; i++) {
        (void)buffer_append_str(&b, i > 0 ? "," : "");
        append_node(&b, &v->nodes[i], &v->replicas[i]);
    }
    (void)buffer_append_str(&b, "]}");
    if (v->cli->settings.write == WRITE_JSON) {
        show_json_text(v->cli, v->first, buffer_span(&b));
    } else {
        (void)fprintf(v->cli->out, "%.*s\n", SPAN_FMT(buffer_span(&b)));
    }
    buffer_release(&b);
}

/* --- for people --- */

static void add_cell(struct table *t, const char *text)
{
    (void)table_add(t, span_of(text));
}

static void add_row(struct table *t, const struct verified *n, const struct replica *r)
{
    char text[TEXT_BYTES_MAX];
    char digest[33];
    (void)snprintf(text, sizeof text, "%" PRIu64, n->id);
    add_cell(t, text);
    for (int i = 0; i < 3; i++) {
        static const char *const keys[] = {"index", "rows", "bytes"};
        uint64_t value = number(n->answer, keys[i]);
        i < 2 ? text_count(value, text) : text_size(value, text);
        add_cell(t, r->answered ? text : "-");
    }
    for (int i = 0; i < 2; i++) {
        hash128_format(i == 0 ? r->data : r->state, digest);
        digest[DIGEST_BYTES] = '\0';
        add_cell(t, r->answered ? digest : "-");
    }
    add_cell(t, verdict_words[r->verdict]);
}

static void write_table(const struct verify_run *v)
{
    static const struct table_column columns[] = {
        {"node", TABLE_RIGHT, false},  {"index", TABLE_RIGHT, false}, {"rows", TABLE_RIGHT, false},
        {"bytes", TABLE_RIGHT, false}, {"data", TABLE_LEFT, false},   {"state", TABLE_LEFT, false},
        {"result", TABLE_LEFT, false}};
    struct table t;
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < v->len; i++) {
        add_row(&t, &v->nodes[i], &v->replicas[i]);
    }
    table_flush(&t, v->cli->out, v->cli->terminal_columns, v->cli->color);
    table_release(&t);
    (void)fputc('\n', v->cli->out);
}

static void write_finding(const struct verify_run *v, size_t i, size_t agree)
{
    const struct verified *n = &v->nodes[i];
    FILE *out = v->cli->out;
    switch (v->replicas[i].verdict) {
    case VERDICT_NO_ANSWER:
        (void)fprintf(out, "node %" PRIu64 ": no answer: ", n->id);
        table_print_clean(out, span_of(n->why));
        (void)fputs(n->is_away ? " (runbook: lost node)\n" : "\n", out);
        return;
    case VERDICT_DAMAGED:
        (void)fprintf(out, "node %" PRIu64 ": ", n->id);
        if (number(n->answer, "bad_rows") > 0) {
            (void)fprintf(out,
                          "%" PRIu64 " damaged row%s, the first: ", number(n->answer, "bad_rows"),
                          number(n->answer, "bad_rows") == 1 ? "" : "s");
            table_print_clean(out, show_text_of(n->answer, "bad"));
        } else {
            (void)fputs("its rows do not add up to its digest", out);
        }
        (void)fputs(" (runbook: damaged node)\n", out);
        return;
    case VERDICT_DIFFERS:
        (void)fprintf(out,
                      "node %" PRIu64 ": its data differ from what %zu nodes agree on (runbook: "
                      "damaged node)\n",
                      n->id, agree);
        return;
    default:
        return;
    }
}

static void write_outcome(const struct verify_run *v, enum outcome outcome, size_t agree)
{
    FILE *out = v->cli->out;
    for (size_t i = 0; i < v->len; i++) {
        write_finding(v, i, agree);
    }
    switch (outcome) {
    case OUTCOME_SAME:
        (void)fprintf(out, "all %zu nodes have the same at index %" PRIu64 "\n", v->len, v->index);
        return;
    case OUTCOME_DIFFERENT:
        (void)fprintf(out, "%zu of %zu nodes have the same at index %" PRIu64 "\n", agree, v->len,
                      v->index);
        return;
    case OUTCOME_UNDECIDED:
        (void)fprintf(out,
                      "no majority of the %zu nodes agrees at index %" PRIu64
                      ": which is right is not known (runbook: damaged node)\n",
                      v->len, v->index);
        return;
    case OUTCOME_INCOMPLETE:
        (void)fprintf(out, "incomplete: %zu of %zu nodes were compared, and are the same\n", agree,
                      v->len);
        return;
    }
}

int verify_report(struct verify_run *v)
{
    size_t agree = 0;
    for (size_t i = 0; i < v->len; i++) {
        read_replica(&v->nodes[i], &v->replicas[i]);
    }
    enum outcome outcome = verdict_of(v->replicas, v->len, &agree);
    if (v->cli->settings.write != WRITE_TABLE) {
        write_json(v, outcome);
    } else {
        write_table(v);
        write_outcome(v, outcome, agree);
    }
    return outcome == OUTCOME_SAME ? EXIT_DONE : EXIT_REFUSED;
}
