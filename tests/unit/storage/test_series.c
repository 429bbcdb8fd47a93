/* Params and metrics: what is logged, and what is read of it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "storage/lookup.h"
#include "storage/series.h"
#include "storage/series_erase.h"

/* The transaction is refused with the code, there; nothing is left of it. */
static void refused(struct fixture *f, const char *json, int code, const char *where)
{
    struct store_digest before = store_digest_current(f->store);
    assert_int_equal(fixture_txn(f, json), code);
    struct store_digest after = store_digest_current(f->store);
    assert_memory_equal(&before.data, &after.data, sizeof before.data);
    char *body = json_of(buffer_span(&f->body));
    char text[128];
    snprintf(text, sizeof text, "\"where\":\"%s\"", where);
    if (strstr(body, text) == NULL) {
        fail_msg("%s: %s", json, body);
    }
    free(body);
}

static void make_run(struct fixture *f)
{
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
              "{'op':'create','kind':'artifact','name':'test'}]}");
}

#define LOG(what) "{'v':1,'ops':[{'op':'log','ref':'run/r'," what "}]}"

static void a_param_is_written_once(void **state)
{
    struct fixture *f = *state;
    make_run(f);
    do_txn(f, LOG("'params':{'lr':'0.1','opt':'adam','empty':''}"));
    assert_body(f, "[{'status':'changed','id':2,'ref':'run/r','params':3,'points':0}]");
    assert_int_equal(f->result.revision, 2);
    do_txn(f, LOG("'params':{'lr':'0.1'}"));
    assert_body(f, "[{'status':'unchanged','id':2,'ref':'run/r','params':0,'points':0}]");
    assert_int_equal(f->result.revision, 2);
    refused(f, LOG("'params':{'new':'1','lr':'0.10'}"), CLADE_ERR_CONFLICT, "ops[0].params.lr");
    assert_non_null(memmem(f->body.data, f->body.len, "there\2430.1", 9));
    do_txn(f, LOG("'params':{'lr':'0.1','wd':'0'}"));
    assert_body(f, "[{'status':'changed','id':2,'ref':'run/r','params':1,'points':0}]");
    fixture_read(f, QUERY_GET, "{'refs':['run/r'],'with':['params']}");
    assert_answer(f, "[{'id':2,'kind':'run','ref':'run/r','state':'live',"
                     "'params':{'empty':'','lr':'0.1','opt':'adam','wd':'0'}}]");
    fixture_read(f, QUERY_GET, "{'refs':['run/r'],'with':['params'],'as_of':2}");
    assert_int_equal(answer_count(f, "wd"), 0);
    assert_int_equal(answer_count(f, "adam"), 1);
    fixture_read(f, QUERY_GET, "{'refs':['run/r'],'with':['params'],'as_of':1}");
    assert_int_equal(answer_count(f, "\"params\":{}"), 1);
    verify(f);
}

static void a_param_moves_changed_and_a_point_does_not(void **state)
{
    struct fixture *f = *state;
    make_run(f);
    do_txn(f, LOG("'params':{'lr':'0.1'}"));
    do_txn(f, LOG("'metrics':[{'key':'loss','points':[[1,1000,0.5]]}]"));
    assert_int_equal(f->result.revision, 3);
    do_txn(f, "{'v':1,'guards':[{'guard':'unchanged','ref':'run/r','revision':2}],"
              "'ops':[{'op':'log','ref':'run/r','params':{'wd':'1'}}]}");
    fixture_read(f, QUERY_GET, "{'refs':['run/r'],'view':'full','as_of':3}");
    assert_int_equal(answer_count(f, "\"changed\":{\"revision\":2"), 1);
    fixture_read(f, QUERY_GET, "{'refs':['run/r'],'view':'full'}");
    assert_int_equal(answer_count(f, "\"changed\":{\"revision\":4"), 1);
    verify(f);
}

static void a_thing_has_so_many_params_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    make_run(f);
    buffer_init(&b, 1 << 20);
    buffer_append_str(&b, "{'v':1,'ops':[{'op':'log','ref':'run/r','params':{");
    for (int i = 0; i < CLADE_MAX_PARAMS; i++) {
        buffer_append_fmt(&b, "%s'p%d':'%d'", i == 0 ? "" : ",", i, i);
    }
    buffer_append_str(&b, "}}]}");
    buffer_append_u8(&b, 0);
    do_txn(f, (const char *)b.data);
    buffer_release(&b);
    do_txn(f, LOG("'params':{'p7':'7'}"));
    refused(f, LOG("'params':{'one more':'x'}"), CLADE_ERR_LIMIT, "ops[0].params");
}

static void a_thing_has_so_many_series_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    make_run(f);
    buffer_init(&b, 1 << 20);
    buffer_append_str(&b, "{'v':1,'ops':[{'op':'log','ref':'run/r','metrics':[");
    for (int i = 0; i < CLADE_MAX_SERIES; i++) {
        buffer_append_fmt(&b, "%s{'key':'k%d','points':[[1,1,1]]}", i == 0 ? "" : ",", i);
    }
    buffer_append_str(&b, "]}]}");
    buffer_append_u8(&b, 0);
    do_txn(f, (const char *)b.data);
    buffer_release(&b);
    do_txn(f, LOG("'metrics':[{'key':'k7','points':[[2,1,1]]}]"));
    refused(f, LOG("'metrics':[{'key':'k7','on':'artifact/test','points':[[1,1,1]]}]"),
            CLADE_ERR_LIMIT, "ops[0].metrics[0].key");
}

static void a_series_says_what_stands_of_it(void **state)
{
    struct fixture *f = *state;
    make_run(f);
    do_txn(f, LOG("'metrics':[{'key':'loss','points':[[3,30,'NaN'],[1,10,2],[2,20,0.5],"
                  "[2,20,0.5]]},{'key':'acc','on':'artifact/test','run':'run/r',"
                  "'points':[[1,10,'-Infinity'],[1,10,'Infinity'],[-4,5,1e300]]}]"));
    assert_body(f, "[{'status':'changed','id':2,'ref':'run/r','params':0,'points':6}]");
    do_txn(f, LOG("'metrics':[{'key':'loss','points':[[1,10,2]]}]"));
    assert_body(f, "[{'status':'unchanged','id':2,'ref':'run/r','params':0,'points':0}]");
    fixture_read(f, QUERY_METRICS, "{'refs':['run/r']}");
    assert_answer(
        f, "[{'ref':'run/r','id':2,'key':'acc','on':'artifact/test','count':3,"
           "'first':[-4,5,1e300],'last':[1,10,'Infinity'],'min':[1,10,'-Infinity'],"
           "'max':[1,10,'Infinity'],'points':[[-4,5,1e300,'run/r'],[1,10,'-Infinity','run/r'],"
           "[1,10,'Infinity','run/r']]},"
           "{'ref':'run/r','id':2,'key':'loss','count':3,'first':[1,10,2.0],'last':[3,30,'NaN'],"
           "'min':[2,20,0.5],'max':[1,10,2.0],"
           "'points':[[1,10,2.0],[2,20,0.5],[3,30,'NaN']]}]");
    fixture_read(f, QUERY_METRICS, "{'refs':['run/r'],'on':null,'last':true}");
    assert_answer(f, "[{'ref':'run/r','id':2,'key':'loss','count':3,'first':[1,10,2.0],"
                     "'last':[3,30,'NaN'],'min':[2,20,0.5],'max':[1,10,2.0]}]");
    fixture_read(f, QUERY_METRICS,
                 "{'refs':['run/x','run/r'],'on':'artifact/test','keys':['loss']}");
    assert_int_equal(answer_count(f, "NOT_FOUND"), 1);
    assert_int_equal(answer_count(f, "count"), 0);
    fixture_read(f, QUERY_GET, "{'refs':['run/r'],'with':['metrics']}");
    assert_int_equal(answer_count(f, "\"metrics\":[{\"key\":\"acc\",\"on\":\"artifact/test\""), 1);
    verify(f);
}

static void a_series_of_nothing_but_nan_has_no_extremes(void **state)
{
    struct fixture *f = *state;
    make_run(f);
    do_txn(f, LOG("'metrics':[{'key':'k','points':[[1,1,'NaN'],[2,1,'NaN']]}]"));
    fixture_read(f, QUERY_METRICS, "{'refs':['run/r'],'last':true}");
    assert_answer(f, "[{'ref':'run/r','id':2,'key':'k','count':2,'first':[1,1,'NaN'],"
                     "'last':[2,1,'NaN']}]");
}

static void as_of_leaves_out_later_points(void **state)
{
    struct fixture *f = *state;
    make_run(f);
    do_txn(f, LOG("'metrics':[{'key':'a','points':[[5,1,1],[6,1,2]]}]"));
    do_txn(f, LOG("'metrics':[{'key':'a','points':[[7,1,0],[1,1,9]]},"
                  "{'key':'b','points':[[1,1,1]]}]"));
    fixture_read(f, QUERY_METRICS, "{'refs':['run/r'],'as_of':2}");
    assert_answer(f, "[{'ref':'run/r','id':2,'key':'a','count':2,'first':[5,1,1.0],"
                     "'last':[6,1,2.0],'min':[5,1,1.0],'max':[6,1,2.0],"
                     "'points':[[5,1,1.0],[6,1,2.0]]}]");
    fixture_read(f, QUERY_METRICS, "{'refs':['run/r'],'as_of':1}");
    assert_answer(f, "[]");
    fixture_read(f, QUERY_METRICS, "{'refs':['run/r'],'last':true}");
    assert_int_equal(answer_count(f, "\"count\":4"), 1);
    assert_int_equal(answer_count(f, "\"max\":[1,1,9.0]"), 1);
}

static void what_cannot_be_logged_is_refused_whole(void **state)
{
    struct fixture *f = *state;
    make_run(f);
    do_txn(f, LOG("'metrics':[{'key':'a','points':[[1,1,1],[3,1,1]]}]"));
    refused(f,
            LOG("'metrics':[{'key':'a','points':[[2,1,1]]},{'key':'b','on':'run/x','points':[]}]"),
            CLADE_ERR_NOT_FOUND, "ops[0].metrics[1].on");
    refused(f,
            LOG("'metrics':[{'key':'n','points':[[2,1,1]]},"
                "{'key':'b','run':'id/3','points':[]}]"),
            CLADE_ERR_INVALID, "ops[0].metrics[1].run");
    refused(f,
            "{'v':1,'ops':[{'op':'log','ref':'run/r','params':{'p':'1'},"
            "'metrics':[{'key':'a','points':[[2,1,1]]}]},"
            "{'op':'delete','ref':'run/r'},"
            "{'op':'log','ref':'run/r','params':{}}]}",
            CLADE_ERR_NOT_FOUND, "ops[2].ref");
    fixture_read(f, QUERY_METRICS, "{'refs':['run/r'],'last':true}");
    assert_int_equal(answer_count(f, "\"count\":2"), 1);
    assert_int_equal(answer_count(f, "\"key\""), 1);
    verify(f);
}

static void the_points_of_what_is_deleted_are_kept(void **state)
{
    struct fixture *f = *state;
    make_run(f);
    do_txn(f, LOG("'params':{'p':'1'},'metrics':[{'key':'a','points':[[1,1,1]]}]"));
    do_txn(f, "{'v':1,'ops':[{'op':'delete','ref':'run/r'}]}");
    fixture_read(f, QUERY_METRICS, "{'refs':['id/2','run/r']}");
    assert_int_equal(answer_count(f, "\"points\":[[1,1,1.0]]"), 1);
    assert_int_equal(answer_count(f, "NOT_FOUND"), 1);
    fixture_read(f, QUERY_GET, "{'refs':['id/2'],'with':['params','metrics']}");
    assert_int_equal(answer_count(f, "\"params\":{\"p\":\"1\"}"), 1);
}

static void what_is_erased_leaves_no_row_and_other_things_alone(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'before'}]}");
    make_run(f);
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'after'}]}");
    static const char *const others[] = {"run/before", "run/after"};
    for (size_t i = 0; i < 2; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "{'v':1,'ops':[{'op':'log','ref':'%s','params':{'p':'1'},"
                 "'metrics':[{'key':'k','points':[[1,1,1]]}]}]}",
                 others[i]);
        do_txn(f, text);
    }
    buffer_init(&b, 1 << 20);
    buffer_append_str(&b, "{'v':1,'ops':[{'op':'log','ref':'run/r','params':{'a':'1','b':'2'},"
                          "'metrics':[{'key':'l','points':[[1,1,1]]},{'key':'k','points':[");
    for (int i = 0; i < 200; i++) {
        buffer_append_fmt(&b, "%s[%d,1,1]", i == 0 ? "" : ",", i);
    }
    buffer_append_str(&b, "]}]}]}");
    buffer_append_u8(&b, 0);
    do_txn(f, (const char *)b.data);
    buffer_release(&b);

    struct rows rows;
    unsigned erased = 0;
    rows_init(&rows, f->store);
    assert_int_equal(rows_begin(&rows, &f->error), 0);
    int rc;
    struct thing *thing;
    assert_int_equal(lookup_thing(&rows.view, &f->arena, 3, &thing), 0);
    while ((rc = series_erase_row(&rows, thing)) == 0) {
        erased++;
    }
    assert_int_equal(rc, 1);
    assert_int_equal(erased, 3 + 3 + 3); /* params, chunks, series; the tallies among them */
    assert_int_equal(rows_commit(&rows, &f->error), 0);
    rows_release(&rows);
    verify(f);
    fixture_read(f, QUERY_GET,
                 "{'refs':['run/r','run/before','run/after'],'with':['params','metrics']}");
    assert_int_equal(answer_count(f, "\"params\":{},\"metrics\":[]"), 1);
    assert_int_equal(answer_count(f, "\"count\":1"), 2);
    assert_int_equal(answer_count(f, "\"p\":\"1\""), 2);
}

static void a_tally_counts_what_is_new_whatever_its_rows_look_like(void **state)
{
    struct fixture *f = *state;
    struct view v;
    struct tally params;
    struct tally series;
    make_run(f);
    do_txn(f, LOG("'params':{'lr':'0.1','opt':''},'metrics':[{'key':'loss','points':[[1,1,1],[1,1,"
                  "1],[2,1,1]]},{'key':'acc','on':'id/3','run':'id/2','points':[[1,1,1]]},"
                  "{'key':'none','points':[]}]"));
    do_txn(f, LOG("'params':{'lr':'0.1'},'metrics':[{'key':'loss','run':'id/2','points':[[1,1,1],"
                  "[0,1,1]]}]"));
    assert_int_equal(view_open(&v, f->store, &f->error), 0);
    assert_int_equal(lookup_tally(&v, TABLE_PARAMS, 2, &params), 0);
    assert_int_equal(lookup_tally(&v, TABLE_SERIES, 2, &series), 0);
    view_close(&v, f->store);
    assert_int_equal(params.count, 2);
    assert_int_equal(params.bytes, 2 + 3 + 3);
    assert_int_equal(series.count, 2);
    assert_int_equal(series.bytes, 4 + 2 * 24 + 3 + 8 + 32 + 32);
}

/* Sums as of the past are counted, which must not take longer than a reader may. */
static void sums_of_the_past_end_with_the_budget(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    make_run(f);
    buffer_init(&b, 1 << 20);
    buffer_append_str(&b, "{'v':1,'ops':[{'op':'log','ref':'run/r','metrics':"
                          "[{'key':'k','points':[");
    for (int i = 0; i < 1000; i++) {
        buffer_append_fmt(&b, "%s[%d,1,1]", i == 0 ? "" : ",", i);
    }
    buffer_append_str(&b, "]}]}]}");
    buffer_append_u8(&b, 0);
    do_txn(f, (const char *)b.data);
    buffer_release(&b);
    do_txn(f, LOG("'metrics':[{'key':'k','points':[[5000,1,1]]}]"));
    static const struct {
        enum query_kind kind;
        const char *params;
    } rows[] = {
        {QUERY_METRICS, "{'refs':['run/r'],'last':true,'as_of':2}"},
        {QUERY_GET, "{'refs':['run/r'],'with':['metrics'],'as_of':2}"},
        {QUERY_LIST, "{'kind':'run','with':['metrics'],'as_of':2}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        f->deadline_us = 1; /* long ago */
        assert_int_equal(fixture_read(f, rows[i].kind, rows[i].params), 0);
        assert_answer(f, "[]");
        assert_false(f->answer.complete);
        assert_int_equal(f->answer.cursor.len > 0, rows[i].kind != QUERY_LIST); /* its start */
        f->deadline_us = 0;
        assert_int_equal(fixture_read(f, rows[i].kind, rows[i].params), 0);
        assert_int_equal(answer_count(f, "\"count\":1000"), 1);
        assert_true(f->answer.complete);
    }
}

/* --- Against a model that keeps a plain list ------------------------------------------------ */

#define MODEL_MAX 4000

struct model {
    struct logged_point points[MODEL_MAX];
    size_t len;
};

static int compare_logged(const void *a, const void *b)
{
    return point_compare(&((const struct logged_point *)a)->point,
                         &((const struct logged_point *)b)->point);
}

static void model_add(struct model *m, const struct point *p, uint64_t revision)
{
    for (size_t i = 0; i < m->len; i++) {
        if (point_compare(&m->points[i].point, p) == 0) {
            return;
        }
    }
    assert_true(m->len < MODEL_MAX);
    m->points[m->len++] = (struct logged_point){.point = *p, .created = revision};
}

static struct point random_point(uint64_t *seed, unsigned shape, unsigned n)
{
    static const double values[] = {0.5, -0.0, 0.0, NAN, INFINITY, -INFINITY, 3, -7.25};
    uint64_t r = next_random(seed);
    int64_t step = shape == 0   ? (int64_t)n * 3
                   : shape == 1 ? (int64_t)(r % 500) - 250
                   : shape == 2 ? -(int64_t)n
                                : 0;
    return (struct point){.step = step,
                          .time_ms = shape == 3 ? (r >> 16) % 3000 : 1000 + (r >> 20) % 3,
                          .value = point_value_of(values[(r >> 8) % 8])};
}

static void put_point_text(struct buffer *b, const struct point *p)
{
    double v = point_double(p->value);
    const char *special = isnan(v)   ? "'NaN'"
                          : isinf(v) ? (v > 0 ? "'Infinity'" : "'-Infinity'")
                                     : NULL;
    buffer_append_fmt(b, "[%ld,%lu,", p->step, p->time_ms);
    if (special != NULL) {
        buffer_append_str(b, special);
    } else {
        buffer_append_fmt(b, "%.2f", v);
    }
    buffer_append_str(b, "]");
}

static const struct value *read_page(struct fixture *f,
                                     uint64_t revision,
                                     unsigned limit,
                                     struct buffer *cursor)
{
    const struct value *v;
    char params[1024];
    if (cursor->len == 0) {
        snprintf(params, sizeof params, "{'refs':['run/r'],'limit':%u,'as_of':%lu}", limit,
                 revision);
    } else {
        snprintf(params, sizeof params, "{'refs':['run/r'],'limit':%u,'cursor':'%.*s'}", limit,
                 SPAN_FMT(buffer_span(cursor)));
    }
    if (fixture_read(f, QUERY_METRICS, params) != 0) {
        fail_msg("%s: %s", f->error.where, f->error.message);
    }
    buffer_clear(cursor);
    buffer_append_span(cursor, f->answer.cursor);
    assert_int_equal(f->answer.complete, cursor->len == 0);
    assert_int_equal(
        value_decode(buffer_span(&f->out), &value_limits_answer, &f->arena, &v, &f->error), 0);
    return v;
}

static void assert_point(const struct value *got, const struct point *want)
{
    assert_int_equal(value_int(value_at(got, 0)), want->step);
    assert_int_equal(value_uint(value_at(got, 1)), want->time_ms);
    assert_int_equal(point_value_of(value_double(value_at(got, 2))), want->value);
}

static void assert_sums(const struct value *series, const struct series_sums *want)
{
    assert_int_equal(value_uint(value_get(series, "count")), want->count);
    assert_point(value_get(series, "first"), &want->first);
    assert_point(value_get(series, "last"), &want->last);
    assert_int_equal(value_get(series, "min") != NULL, want->has_extremes);
    if (want->has_extremes) {
        assert_point(value_get(series, "min"), &want->min);
        assert_point(value_get(series, "max"), &want->max);
    }
}

/* The series as of the revision, page for page, is the model's. */
static void compare(struct fixture *f, const struct model *m, uint64_t revision, unsigned limit)
{
    static struct point want[MODEL_MAX];
    struct series_sums sums = {0};
    struct buffer cursor;
    buffer_init(&cursor, 4096);
    for (size_t i = 0; i < m->len; i++) {
        if (m->points[i].created <= revision) {
            want[sums.count] = m->points[i].point;
            series_sums_add(&sums, &m->points[i].point);
        }
    }
    size_t at = 0;
    do {
        const struct value *series = value_at(read_page(f, revision, limit, &cursor), 0);
        const struct value *points = value_get(series, "points");
        assert_int_equal(series != NULL, sums.count > 0);
        if (series != NULL) {
            assert_sums(series, &sums);
        }
        assert_true(cursor.len == 0 || value_len(points) > 0);
        for (size_t i = 0; i < value_len(points); i++) {
            assert_true(at < sums.count);
            assert_point(value_at(points, i), &want[at++]);
        }
    } while (cursor.len > 0);
    assert_int_equal(at, sums.count);
    buffer_release(&cursor);
}

/* One series in one of four shapes: in order; at random steps; backwards; all of one step. */
static void run_shape(struct fixture *f, unsigned shape, uint64_t seed)
{
    static struct model m;
    struct buffer b;
    m.len = 0;
    make_run(f);
    buffer_init(&b, 1 << 20);
    unsigned n = 0;
    for (int command = 0; command < 60; command++) {
        unsigned len = 1 + (unsigned)(next_random(&seed) % (command % 10 == 9 ? 200 : 20));
        buffer_clear(&b);
        buffer_append_str(&b, "{'v':1,'ops':[{'op':'log','ref':'run/r','metrics':"
                              "[{'key':'k','points':[");
        uint64_t revision = f->result.revision + 1;
        for (unsigned i = 0; i < len; i++) {
            struct point p = random_point(&seed, shape, n++);
            buffer_append_str(&b, i == 0 ? "" : ",");
            put_point_text(&b, &p);
            model_add(&m, &p, revision);
        }
        buffer_append_str(&b, "]}]}]}");
        buffer_append_u8(&b, 0);
        do_txn(f, (const char *)b.data);
    }
    qsort(m.points, m.len, sizeof *m.points, compare_logged);
    compare(f, &m, f->result.revision, 10000);
    compare(f, &m, f->result.revision, 64);
    for (int i = 0; i < 5; i++) {
        compare(f, &m, 1 + next_random(&seed) % f->result.revision,
                1 + (unsigned)(next_random(&seed) % 100));
    }
    verify(f);
    buffer_release(&b);
}

static void points_stand_in_order_whatever_order_they_come_in(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    for (unsigned shape = 0; shape < 4; shape++) {
        run_shape(f, shape, seed + shape);
        fixture_close(f);
        fixture_wipe(f);
        fixture_open(f, FIXTURE_MAP_BYTES);
    }
}

/* --- Chunks ------------------------------------------------------------------------------- */

static size_t random_chunk(struct logged_point points[CHUNK_POINTS_MAX], uint64_t *seed)
{
    size_t len = 1 + next_random(seed) % CHUNK_POINTS_MAX;
    uint64_t wide = next_random(seed) % 2 == 0 ? UINT64_MAX : 15;
    for (size_t i = 0; i < len; i++) {
        points[i] = (struct logged_point){
            .point = {.step = (int64_t)(next_random(seed) & wide),
                      .time_ms = next_random(seed) & wide,
                      .value = point_value_of((double)(next_random(seed) % 1000))},
            .created = next_random(seed) & wide,
            .run = next_random(seed) % 3 * (next_random(seed) & wide)};
    }
    qsort(points, len, sizeof *points, compare_logged);
    size_t kept = 1;
    for (size_t i = 1; i < len; i++) {
        if (compare_logged(&points[i], &points[kept - 1]) != 0) {
            points[kept++] = points[i];
        }
    }
    return kept;
}

static void a_chunk_is_read_as_it_was_written(void **state)
{
    uint64_t seed = test_seed();
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct logged_point points[CHUNK_POINTS_MAX] = {0};
        uint8_t bytes[CHUNK_BYTES_MAX];
        struct chunk chunk;
        size_t len = random_chunk(points, &seed);
        size_t bytes_len = chunk_encode(points, len, bytes);
        assert_true(chunk_decode(span_make(bytes, bytes_len), &chunk));
        assert_int_equal(chunk.len, len);
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(compare_logged(&chunk.points[i], &points[i]), 0);
            assert_int_equal(chunk.points[i].created, points[i].created);
            assert_int_equal(chunk.points[i].run, points[i].run);
        }
        /* Cut off anywhere, or with more behind it, it is none; damaged, it is read within its
         * bytes. */
        uint8_t *copy = malloc(bytes_len + 1);
        memcpy(copy, bytes, bytes_len);
        copy[bytes_len] = 0;
        assert_false(chunk_decode(span_make(copy, bytes_len + 1), &chunk));
        assert_false(chunk_decode(span_make(copy, next_random(&seed) % bytes_len), &chunk));
        copy = realloc(copy, bytes_len);
        copy[next_random(&seed) % bytes_len] ^= (uint8_t)(1 + next_random(&seed) % 255);
        (void)chunk_decode(span_make(copy, bytes_len), &chunk);
        free(copy);
    }
}

static void values_rank_as_they_compare(void **state)
{
    static const double ascending[] = {-INFINITY, -1e300, -1, -1e-310, -0.0,     0.0,
                                       1e-310,    1,      2,  1e300,   INFINITY, NAN};
    (void)state;
    for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
        uint64_t value = point_value_of(ascending[i]);
        assert_int_equal(point_value_of_rank(point_value_rank(value)), value);
        if (i > 0) {
            assert_true(point_value_rank(point_value_of(ascending[i - 1])) <
                        point_value_rank(value));
        }
    }
    assert_int_equal(point_value_of(-NAN), point_value_of(NAN));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_param_is_written_once),
        TEST(a_param_moves_changed_and_a_point_does_not),
        TEST(a_thing_has_so_many_params_and_no_more),
        TEST(a_thing_has_so_many_series_and_no_more),
        TEST(a_series_says_what_stands_of_it),
        TEST(a_tally_counts_what_is_new_whatever_its_rows_look_like),
        TEST(sums_of_the_past_end_with_the_budget),
        TEST(what_is_erased_leaves_no_row_and_other_things_alone),
        TEST(a_series_of_nothing_but_nan_has_no_extremes),
        TEST(as_of_leaves_out_later_points),
        TEST(what_cannot_be_logged_is_refused_whole),
        TEST(the_points_of_what_is_deleted_are_kept),
        TEST(points_stand_in_order_whatever_order_they_come_in),
        cmocka_unit_test(a_chunk_is_read_as_it_was_written),
        cmocka_unit_test(values_rank_as_they_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
