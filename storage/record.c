#include "storage/record.h"

#include <inttypes.h>

#include "base/check.h"
#include "storage/varint.h"

#define RECORD_DELETED   1 /* flags */
#define RECORD_UNCHANGED 2 /* `changed` is `created` and is left out */
#define RECORD_PURGED    4
#define RECORD_NAMED     8  /* `named` is not `created` and stands before the fields */
#define RECORD_HAPPENED  16 /* `happened_us` is there, behind `created` */
#define RECORD_FLAGS     31

static void encode_stamp(const struct stamp *s, struct buffer *b)
{
    varint_put(b, s->revision);
    varint_put(b, s->time_us);
    varint_put_text(b, s->principal);
}

void record_encode_field(const struct field *field, const struct field_value *v, struct buffer *b)
{
    buffer_append_u8(b, (uint8_t)field->code);
    switch (field->shape) {
    case FIELD_TEXT:
    case FIELD_PACKED:
        varint_put_text(b, v->text);
        break;
    case FIELD_UINT:
    case FIELD_TIME:
    case FIELD_REF:
    case FIELD_BOOL:
        varint_put(b, v->number);
        break;
    case FIELD_TEXT_SET:
        varint_put(b, v->len);
        for (size_t i = 0; i < v->len; i++) {
            varint_put_text(b, v->texts[i]);
        }
        break;
    case FIELD_TEXT_MAP:
    case FIELD_PROP_MAP:
    case FIELD_DECL_MAP:
        varint_put(b, v->len);
        for (size_t i = 0; i < v->len; i++) {
            varint_put_text(b, v->pairs[i].key);
            varint_put_text(b, v->pairs[i].value);
        }
        break;
    case FIELD_UINT_MAP:
        varint_put(b, v->len);
        for (size_t i = 0; i < v->len; i++) {
            varint_put_text(b, v->pairs[i].key);
            varint_put(b, v->pairs[i].number);
        }
        break;
    }
}

void record_encode(const struct thing *t, struct buffer *b)
{
    bool same = t->changed.revision == t->created.revision;
    buffer_append_u8(b, RECORD_VERSION);
    buffer_append_u8(b, (uint8_t)t->kind);
    bool named = t->kind != KIND_VERSION && t->named != t->created.revision;
    buffer_append_u8(b, (t->deleted ? RECORD_DELETED : 0) | (same ? RECORD_UNCHANGED : 0) |
                            (t->purged ? RECORD_PURGED : 0) | (named ? RECORD_NAMED : 0) |
                            (t->happened_us != 0 ? RECORD_HAPPENED : 0));
    varint_put(b, t->ns);
    if (t->kind == KIND_VERSION) {
        varint_put(b, t->model);
        varint_put(b, t->number);
    } else {
        varint_put_text(b, t->name);
    }
    encode_stamp(&t->created, b);
    if (t->happened_us != 0) {
        varint_put(b, t->happened_us);
    }
    if (!same) {
        encode_stamp(&t->changed, b);
    }
    if (named) {
        varint_put(b, t->named);
    }
    for (int code = 1; code < FIELD_CODE_COUNT; code++) {
        if (t->fields[code].set) {
            const struct field *field = field_by_code((enum field_code)code);
            CHECK(field != NULL);
            record_encode_field(field, &t->fields[code], b);
        }
    }
}

int arena_failure(const struct arena *arena, size_t size, struct error *error)
{
    size_t rounded = (size + 15) / 16 * 16;
    if (arena->used + rounded > arena->bytes_max) {
        return error_set(error, CLADE_ERR_LIMIT, NULL,
                         "the request needs more than %zu bytes of memory", arena->bytes_max);
    }
    return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
}

static struct stamp decode_stamp(struct varint_reader *r)
{
    struct stamp s;
    s.revision = varint_get(r);
    s.time_us = varint_get(r);
    s.principal = varint_get_text(r);
    return s;
}

/* The number of elements of a set or a map: each takes at least `bytes_min` bytes, so a damaged
 * number cannot ask for more memory than the record is long. */
static size_t decode_len(struct varint_reader *r, size_t bytes_min)
{
    uint64_t n = varint_get(r);
    if (n > r->rest.len / bytes_min) {
        r->failed = true;
        return 0;
    }
    return (size_t)n;
}

static int decode_set(struct varint_reader *r,
                      struct arena *a,
                      struct field_value *v,
                      struct error *e)
{
    v->len = decode_len(r, 1);
    v->texts = arena_calloc(a, v->len + 1, sizeof *v->texts);
    if (v->texts == NULL) {
        return arena_failure(a, (v->len + 1) * sizeof *v->texts, e);
    }
    for (size_t i = 0; i < v->len; i++) {
        v->texts[i] = varint_get_text(r);
    }
    return 0;
}

static int decode_map(
    struct varint_reader *r, struct arena *a, bool numbers, struct field_value *v, struct error *e)
{
    v->len = decode_len(r, 2);
    v->pairs = arena_calloc(a, v->len + 1, sizeof *v->pairs);
    if (v->pairs == NULL) {
        return arena_failure(a, (v->len + 1) * sizeof *v->pairs, e);
    }
    for (size_t i = 0; i < v->len; i++) {
        v->pairs[i].key = varint_get_text(r);
        if (numbers) {
            v->pairs[i].number = varint_get(r);
        } else {
            v->pairs[i].value = varint_get_text(r);
        }
    }
    return 0;
}

static bool map_is_valid(const struct field *field, const struct field_value *v)
{
    bool valid = true;
    struct decl decl;
    for (size_t i = 0; i < v->len && valid; i++) {
        valid = field->shape == FIELD_PROP_MAP   ? prop_is_valid(v->pairs[i].value)
                : field->shape == FIELD_DECL_MAP ? decl_read(v->pairs[i].value, &decl)
                                                 : true;
    }
    return valid;
}

static int decode_fields(struct varint_reader *r,
                         struct arena *arena,
                         struct thing *t,
                         struct error *error)
{
    int last = 0;
    while (r->rest.len > 0 && !r->failed) {
        int code = r->rest.data[0];
        r->rest = span_skip(r->rest, 1);
        const struct field *field =
            code > last && code < FIELD_CODE_COUNT ? field_by_code((enum field_code)code) : NULL;
        if (field == NULL) {
            r->failed = true;
            return 0;
        }
        last = code;
        struct field_value *v = &t->fields[code];
        v->set = true;
        int rc = 0;
        if (field->shape == FIELD_TEXT || field->shape == FIELD_PACKED) {
            v->text = varint_get_text(r);
        } else if (field->shape == FIELD_TEXT_SET) {
            rc = decode_set(r, arena, v, error);
        } else if (field->shape == FIELD_TEXT_MAP || field->shape == FIELD_UINT_MAP ||
                   field->shape == FIELD_PROP_MAP || field->shape == FIELD_DECL_MAP) {
            rc = decode_map(r, arena, field->shape == FIELD_UINT_MAP, v, error);
            r->failed = r->failed || (rc == 0 && !map_is_valid(field, v));
        } else {
            v->number = varint_get(r);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

enum kind record_kind(struct span bytes)
{
    if (bytes.len < 3 || bytes.data[1] >= KIND_COUNT) {
        return KIND_NONE;
    }
    return (enum kind)bytes.data[1];
}

int record_decode(
    struct span bytes, uint64_t id, struct arena *arena, struct thing *ret, struct error *error)
{
    struct varint_reader r = {.rest = bytes};
    enum kind kind = record_kind(bytes);
    if (kind == KIND_NONE || bytes.data[0] != RECORD_VERSION || bytes.data[2] > RECORD_FLAGS) {
        return error_set(error, CLADE_ERR_CORRUPT, "things",
                         "the record of id/%" PRIu64 " is damaged", id);
    }
    /* Straight into the caller's: a thing is large, and is decoded for each item of an answer. */
    *ret = (struct thing){.id = id,
                          .kind = kind,
                          .deleted = (bytes.data[2] & RECORD_DELETED) != 0,
                          .purged = (bytes.data[2] & RECORD_PURGED) != 0};
    r.rest = span_skip(r.rest, 3);
    ret->ns = varint_get(&r);
    if (ret->kind == KIND_VERSION) {
        ret->model = varint_get(&r);
        ret->number = varint_get(&r);
    } else {
        ret->name = varint_get_text(&r);
    }
    ret->created = decode_stamp(&r);
    if ((bytes.data[2] & RECORD_HAPPENED) != 0) {
        ret->happened_us = varint_get(&r);
        r.failed = r.failed || ret->happened_us == 0;
    }
    ret->changed = (bytes.data[2] & RECORD_UNCHANGED) != 0 ? ret->created : decode_stamp(&r);
    ret->named = (bytes.data[2] & RECORD_NAMED) != 0 ? varint_get(&r) : ret->created.revision;
    int rc = decode_fields(&r, arena, ret, error);
    if (rc != 0) {
        return rc;
    }
    if (r.failed) {
        return error_set(error, CLADE_ERR_CORRUPT, "things",
                         "the record of id/%" PRIu64 " is damaged", id);
    }
    return 0;
}
