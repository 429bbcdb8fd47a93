#include "fixture.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/bytes.h"
#include "base/clock.h"

#define BUFFER_BYTES (64u << 20)

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_open(struct fixture *f, uint64_t map_bytes)
{
    struct store_options options = {
        .path = f->dir,
        .map_bytes = map_bytes,
        .readers_max = 16,
        .lineage_bytes = f->lineage_bytes,
        .no_sync = true,
    };
    struct error e = {0};
    if (store_open(&options, &f->store, &e) != 0) {
        fail_msg("%s", e.message);
    }
    assert_int_equal(apply_new(f->store, &f->apply, &e), 0);
    assert_int_equal(reader_new(f->store, &f->reader, &e), 0);
    f->index = store_position(f->store).applied;
}

void fixture_close(struct fixture *f)
{
    reader_free(f->reader);
    apply_free(f->apply);
    store_close(f->store);
    f->reader = NULL;
    f->apply = NULL;
    f->store = NULL;
}

static void new_folder(struct fixture *f)
{
    snprintf(f->dir, sizeof f->dir, "/tmp/clade-storage-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
}

void fixture_wipe(struct fixture *f)
{
    nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    new_folder(f);
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    new_folder(f);
    buffer_init(&f->entry, BUFFER_BYTES);
    buffer_init(&f->body, BUFFER_BYTES);
    buffer_init(&f->out, BUFFER_BYTES);
    arena_init(&f->arena, BUFFER_BYTES);
    f->stamp_us = 1000000;
    fixture_open(f, FIXTURE_MAP_BYTES);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    buffer_release(&f->entry);
    buffer_release(&f->body);
    buffer_release(&f->out);
    arena_release(&f->arena);
    free(f);
    return 0;
}

/* --- JSON --------------------------------------------------------------------------------------
 */

static void put_json(struct buffer *b, const json_t *j)
{
    const char *key;
    json_t *member;
    size_t i;
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        value_put_map(b, (uint32_t)json_object_size(j));
        json_object_foreach((json_t *)j, key, member)
        {
            value_put_str(b, key);
            put_json(b, member);
        }
        break;
    case JSON_ARRAY:
        value_put_array(b, (uint32_t)json_array_size(j));
        json_array_foreach(j, i, member)
        {
            put_json(b, member);
        }
        break;
    case JSON_STRING:
        value_put_span(b, span_make(json_string_value(j), json_string_length(j)));
        break;
    case JSON_INTEGER:
        value_put_int(b, json_integer_value(j));
        break;
    case JSON_REAL:
        value_put_double(b, json_real_value(j));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        value_put_bool(b, json_is_true(j));
        break;
    case JSON_NULL:
        value_put_nil(b);
        break;
    }
}

static json_t *parse(const char *text)
{
    char *quoted = strdup(text);
    assert_non_null(quoted);
    for (char *p = quoted; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    json_error_t e;
    json_t *j = json_loads(quoted, JSON_DECODE_ANY, &e);
    if (j == NULL) {
        fail_msg("%s: %s", e.text, quoted);
    }
    free(quoted);
    return j;
}

void json_put(struct buffer *b, const char *text)
{
    json_t *j = parse(text);
    put_json(b, j);
    json_decref(j);
}

static json_t *to_json(const struct value *v)
{
    json_t *j;
    struct span s;
    switch (value_type(v)) {
    case CLADE_BOOL:
        return json_boolean(value_bool(v));
    case CLADE_UINT:
        return json_integer((json_int_t)value_uint(v));
    case CLADE_INT:
        return json_integer(value_int(v));
    case CLADE_DOUBLE:
        /* JSON has no numbers for the others. */
        return isfinite(value_double(v)) ? json_real(value_double(v))
               : isnan(value_double(v))  ? json_string("NaN")
               : value_double(v) > 0     ? json_string("Infinity")
                                         : json_string("-Infinity");
    case CLADE_STRING:
        s = value_string(v);
        return json_stringn((const char *)s.data, s.len);
    case CLADE_ARRAY:
        j = json_array();
        for (size_t i = 0; i < value_len(v); i++) {
            json_array_append_new(j, to_json(value_at(v, i)));
        }
        return j;
    case CLADE_MAP:
        j = json_object();
        for (size_t i = 0; i < value_len(v); i++) {
            s = value_string(value_key_at(v, i));
            char *key = strndup((const char *)s.data, s.len);
            json_object_set_new(j, key, to_json(value_at(v, i)));
            free(key);
        }
        return j;
    default:
        return json_null();
    }
}

static json_t *decode_json(struct span bytes)
{
    struct arena arena;
    struct error e = {0};
    const struct value *v;
    arena_init(&arena, BUFFER_BYTES);
    if (value_decode(bytes, &value_limits_answer, &arena, &v, &e) != 0) {
        fail_msg("not MessagePack: %s %s", e.where, e.message);
    }
    json_t *j = to_json(v);
    arena_release(&arena);
    return j;
}

char *json_of(struct span bytes)
{
    json_t *j = decode_json(bytes);
    char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(j);
    return text;
}

void assert_json(struct span bytes, const char *json, const char *file, int line)
{
    json_t *got = decode_json(bytes);
    json_t *want = parse(json);
    if (!json_equal(got, want)) {
        char *text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
        print_error("want %s\n got %s\n", json, text);
        free(text);
        _fail(file, line);
    }
    json_decref(got);
    json_decref(want);
}

size_t answer_count(struct fixture *f, const char *text)
{
    char *json = json_of(buffer_span(&f->out));
    size_t n = 0;
    for (const char *p = json; (p = strstr(p, text)) != NULL; p += strlen(text)) {
        n++;
    }
    free(json);
    return n;
}

/* --- Writing -----------------------------------------------------------------------------------
 */

static void on_result(void *arg, const struct apply_result *result)
{
    struct fixture *f = arg;
    f->result = *result;
    f->results++;
    buffer_clear(&f->body);
    buffer_append_span(&f->body, result->body);
}

void fixture_add(struct fixture *f, const struct item *item)
{
    if (f->entry.len == 0) {
        entry_begin(&f->entry);
        f->header = (struct entry_header){.level = SEMANTICS_LEVEL, .elapsed_ms = f->elapsed_ms};
    }
    item_encode(&f->entry, item);
    f->header.items++;
}

int fixture_run(struct fixture *f)
{
    struct store_position position;
    f->header.stamp_us = f->stamp_us;
    f->stamp_us += 1000;
    entry_end(&f->entry, &f->header);
    assert_false(f->entry.failed);
    f->results = 0;
    assert_int_equal(apply_begin(f->apply, &f->error), 0);
    int rc = apply_entry(f->apply, f->index, f->index + 1, buffer_span(&f->entry), on_result, f,
                         &f->error);
    if (rc == 0) {
        rc = apply_commit(f->apply, &position, &f->error);
    }
    if (rc == 0) {
        f->index++;
        assert_int_equal(position.applied, f->index);
    } else {
        apply_abort(f->apply);
    }
    buffer_clear(&f->entry);
    return rc;
}

int fixture_txn_in(
    struct fixture *f, uint64_t session, uint64_t seq, uint64_t answered, const char *json)
{
    struct buffer command;
    buffer_init(&command, BUFFER_BYTES);
    json_put(&command, json);
    struct item item = {
        .kind = ITEM_TXN,
        .id = {.node = 1, .boot = 1, .counter = f->index + 1},
        .session = session,
        .seq = seq,
        .answered = answered,
        .principal = span_of("ann"),
        .command = buffer_span(&command),
    };
    fixture_add(f, &item);
    int rc = fixture_run(f);
    if (rc != 0) {
        fail_msg("%s", f->error.message);
    }
    assert_int_equal(f->results, 1);
    buffer_release(&command);
    return f->result.code;
}

int fixture_txn(struct fixture *f, const char *json)
{
    return fixture_txn_in(f, 0, 0, 0, json);
}

uint64_t fixture_open_session(struct fixture *f, uint64_t lease_ms, uint32_t elapsed_ms)
{
    uint8_t lease[8];
    put_u64le(lease, lease_ms);
    struct item item = {.kind = ITEM_SESSION_OPEN, .command = span_make(lease, sizeof lease)};
    fixture_add(f, &item);
    f->header.elapsed_ms = elapsed_ms;
    assert_int_equal(fixture_run(f), 0);
    return f->result.code == 0 ? f->result.session : 0;
}

/* --- Reading -----------------------------------------------------------------------------------
 */

int fixture_read(struct fixture *f, enum query_kind kind, const char *json)
{
    struct buffer params;
    const struct value *v;
    struct query query;
    arena_reset(&f->arena);
    buffer_init(&params, BUFFER_BYTES);
    json_put(&params, json);
    int rc = value_decode(buffer_span(&params), &value_limits_request, &f->arena, &v, &f->error);
    if (rc == 0) {
        rc = query_decode(kind, v, &f->arena, &query, &f->error);
    }
    if (rc != 0) {
        fail_msg("%s: %s", f->error.where, f->error.message);
    }
    struct reader_budget budget = {.clock = clock_system(),
                                   .deadline_us = f->deadline_us,
                                   .bytes_max = BUFFER_BYTES / 2,
                                   .effort = &f->effort};
    buffer_clear(&f->out);
    f->answer = (struct reader_answer){0};
    rc = reader_query(f->reader, &query, span_of(""), &budget, &f->arena, &f->out, &f->answer,
                      &f->error);
    buffer_release(&params);
    return rc;
}

void do_txn(struct fixture *f, const char *json)
{
    if (fixture_txn(f, json) != 0) {
        fail_msg("%s: %s", json, json_of(buffer_span(&f->body)));
    }
}

void tick(struct fixture *f)
{
    struct item item = {.kind = ITEM_TICK, .id = {.node = 1}};
    fixture_add(f, &item);
    assert_int_equal(fixture_run(f), 0);
}

void verify(struct fixture *f)
{
    struct error e = {0};
    if (store_verify(f->store, NULL, NULL, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

bool digests_equal(struct store_digest a, struct store_digest b)
{
    return a.index == b.index && memcmp(&a.data, &b.data, sizeof a.data) == 0 &&
           memcmp(&a.state, &b.state, sizeof a.state) == 0;
}

uint64_t test_seed(void)
{
    const char *text = getenv("CLADE_TEST_SEED");
    uint64_t seed =
        text != NULL ? strtoull(text, NULL, 10) : clock_wall_us(clock_system()) % 1000000007;
    print_message("CLADE_TEST_SEED=%lu\n", seed);
    return seed;
}

uint64_t next_random(uint64_t *state)
{
    /* splitmix64 */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
