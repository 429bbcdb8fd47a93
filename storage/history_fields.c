/* From what to what the fields of a thing, and the props of an edge, have changed. */
#include <stdio.h>

#include "command/value.h"
#include "storage/reading.h"
#include "storage/series.h"

static int put_side(struct reading *r,
                    const char *side,
                    const struct field *field,
                    const struct field_value *v,
                    uint32_t *members)
{
    if (v == NULL || !v->set) {
        return 0;
    }
    ++*members;
    value_put_str(r->out, side);
    return render_field(&r->render, field, v, r->out);
}

static int put_whole_field(struct reading *r,
                           const struct field *field,
                           const struct field_value *from,
                           const struct field_value *to)
{
    struct buffer *out = r->out;
    value_put_str(out, field->name);
    size_t at = value_begin_map(out);
    uint32_t members = 0;
    int rc = put_side(r, "from", field, from, &members);
    if (rc == 0) {
        rc = put_side(r, "to", field, to, &members);
    }
    value_end(out, at, members);
    return rc;
}

/* {"from": V, "to": V}, either left out when it is NULL. */
static int put_sides(struct reading *r,
                     enum field_shape shape,
                     const struct text_pair *from,
                     const struct text_pair *to)
{
    static const char *const sides[] = {"from", "to"};
    const struct text_pair *const values[] = {from, to};
    struct buffer *out = r->out;
    int rc = 0;
    value_put_map(out, (from != NULL) + (to != NULL));
    for (int i = 0; i < 2 && rc == 0; i++) {
        if (values[i] == NULL) {
            continue;
        }
        value_put_str(out, sides[i]);
        if (shape == FIELD_PROP_MAP) {
            rc = render_prop(&r->render, values[i]->value, out);
        } else if (shape == FIELD_UINT_MAP) {
            value_put_uint(out, values[i]->number);
        } else {
            value_put_span(out, values[i]->value);
        }
    }
    return rc;
}

/* "tags.KEY"; without a field KEY alone. */
static int put_pair_key(struct reading *r, const struct field *field, struct span key)
{
    size_t len = field == NULL ? key.len : strlen(field->name) + 1 + key.len;
    char *name = arena_alloc(r->scratch, len + 1);
    if (name == NULL) {
        return arena_failure(r->scratch, len + 1, r->error);
    }
    snprintf(name, len + 1, "%s%s%.*s", field == NULL ? "" : field->name, field == NULL ? "" : ".",
             SPAN_FMT(key));
    value_put_span(r->out, span_make(name, len));
    return 0;
}

int history_put_pairs(struct reading *r,
                      const struct field *field,
                      const struct field_value *from,
                      const struct field_value *to,
                      uint32_t *members)
{
    enum field_shape shape = field == NULL ? FIELD_PROP_MAP : field->shape;
    size_t i = 0;
    size_t j = 0;
    size_t from_len = from != NULL ? from->len : 0;
    int rc = 0;
    while (rc == 0 && (i < from_len || j < to->len)) {
        int order = i == from_len  ? 1
                    : j == to->len ? -1
                                   : span_compare(from->pairs[i].key, to->pairs[j].key);
        const struct text_pair *old = order <= 0 ? &from->pairs[i++] : NULL;
        const struct text_pair *new = order >= 0 ? &to->pairs[j++] : NULL;
        if (old != NULL && new != NULL && span_equal(old->value, new->value) &&
            old->number == new->number) {
            continue;
        }
        rc = put_pair_key(r, field, old != NULL ? old->key : new->key);
        if (rc == 0) {
            rc = put_sides(r, shape, old, new);
        }
        ++*members;
    }
    return rc;
}

static bool same_field(const struct field *field,
                       const struct field_value *a,
                       const struct field_value *b,
                       struct buffer bytes[2])
{
    if (a == NULL || a->set != b->set) {
        return (a != NULL && a->set) == b->set;
    }
    if (!a->set) {
        return true;
    }
    buffer_clear(&bytes[0]);
    buffer_clear(&bytes[1]);
    record_encode_field(field, a, &bytes[0]);
    record_encode_field(field, b, &bytes[1]);
    return !bytes[0].failed && !bytes[1].failed &&
           span_equal(buffer_span(&bytes[0]), buffer_span(&bytes[1]));
}

static int put_field_change(struct reading *r,
                            enum field_code code,
                            const struct thing *before,
                            const struct thing *after,
                            struct buffer bytes[2],
                            uint32_t *members)
{
    const struct field *field = field_by_code(code);
    const struct field_value *from = before != NULL ? &before->fields[code] : NULL;
    const struct field_value *to = &after->fields[code];
    if (field == NULL || same_field(field, from, to, bytes)) {
        return 0;
    }
    if (field->shape == FIELD_TEXT_MAP || field->shape == FIELD_UINT_MAP ||
        field->shape == FIELD_PROP_MAP) {
        return history_put_pairs(r, field, from, to, members);
    }
    ++*members;
    return put_whole_field(r, field, from, to);
}

struct params_put {
    struct buffer *out;
    uint32_t members;
};

static int put_param(void *arg, struct span key, struct span value)
{
    static const char prefix[] = "params.";
    struct params_put *p = arg;
    char name[sizeof prefix + CLADE_MAX_PARAM_KEY_BYTES];
    int len = snprintf(name, sizeof name, "%s%.*s", prefix, SPAN_FMT(key));
    value_put_span(p->out, span_make(name, (size_t)len));
    value_put_map(p->out, 1);
    value_put_str(p->out, "to");
    value_put_span(p->out, value);
    p->members++;
    return 0;
}

int history_put_fields(struct reading *r,
                       const struct thing *from,
                       const struct thing *to,
                       bool logged)
{
    struct buffer *out = r->out;
    struct buffer bytes[2];
    buffer_init(&bytes[0], CLADE_MAX_RECORD_BYTES);
    buffer_init(&bytes[1], CLADE_MAX_RECORD_BYTES);
    value_put_str(out, "fields");
    size_t at = value_begin_map(out);
    uint32_t members = 0;
    if (from != NULL && from->id == to->id && !span_equal(from->name, to->name)) {
        value_put_str(out, "name");
        (void)put_sides(r, FIELD_TEXT, &(struct text_pair){.value = from->name},
                        &(struct text_pair){.value = to->name});
        members++;
    }
    int rc = 0;
    for (int code = FIELD_NONE + 1; code < FIELD_CODE_COUNT && rc == 0; code++) {
        rc = put_field_change(r, (enum field_code)code, from, to, bytes, &members);
    }
    struct params_put params = {.out = out, .members = members};
    if (rc == 0 && logged) {
        rc = params_each(r->view, to->id, r->view->revision, put_param, &params);
    }
    value_end(out, at, params.members);
    buffer_release(&bytes[0]);
    buffer_release(&bytes[1]);
    return rc;
}
