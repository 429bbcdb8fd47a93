/* What a transaction writes into a thing's fields, against what is there. */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "storage/command.h"

struct merge {
    struct command *c;
    enum write_mode mode;
    struct thing *thing;
    bool changed;
    char differs[256]; /* the fields that contradict what is there, for the error */
};

static void differs(struct merge *m, const char *field, struct span key)
{
    size_t used = strlen(m->differs);
    snprintf(m->differs + used, sizeof m->differs - used, "%s%s%s%.*s", used > 0 ? ", " : "", field,
             key.len > 0 ? "." : "", (int)(key.len < 64 ? key.len : 64), (const char *)key.data);
}

static int too_many(struct merge *m, const struct field *field)
{
    return error_set(m->c->error, CLADE_ERR_LIMIT, field->name,
                     "the thing would have more than %u %s", field->count_max, field->name);
}

/* --- References --------------------------------------------------------------------------- */

static int type_missing(struct command *c, struct span name)
{
    return error_set(c->error, CLADE_ERR_NOT_FOUND, "type",
                     "there is no type \"%.*s\" in the namespace or its parents", SPAN_FMT(name));
}

/* "KIND:NAME" in the thing's namespace, else in its parents. */
static int find_type(struct merge *m, struct span text, uint64_t *ret)
{
    struct command *c = m->c;
    const char *kind = kind_name(m->thing->kind);
    size_t len = strlen(kind) + 1 + text.len;
    char *name = arena_alloc(c->scratch, len + 1);
    if (name == NULL) {
        return arena_failure(c->scratch, len + 1, c->error);
    }
    snprintf(name, len + 1, "%s:%.*s", kind, SPAN_FMT(text));
    struct thing *ns;
    int rc = lookup_thing(c->view, c->scratch, m->thing->ns, &ns);
    if (rc != 0) {
        return rc == 1 ? type_missing(c, text) : rc;
    }
    struct span path = ns->name;
    uint64_t ns_id = ns->id;
    for (;;) {
        struct thing *type;
        rc = lookup_name(c->view, c->scratch, NAME_SPACE_NAMES, ns_id, KIND_TYPE,
                         span_make(name, len), false, &type);
        if (rc <= 0) {
            *ret = rc == 0 ? type->id : 0;
            return rc;
        }
        while (path.len > 0 && path.data[path.len - 1] != '/') {
            path.len--;
        }
        if (path.len == 0) {
            return type_missing(c, text);
        }
        path.len--;
        rc = lookup_namespace(c->view, c->scratch, path, &ns_id);
        if (rc != 0) {
            return rc == 1 ? type_missing(c, text) : rc;
        }
    }
}

static int find_reference(struct merge *m, const struct field_write *w, uint64_t *ret)
{
    struct thing *to;
    int rc = command_resolve(m->c, &w->ref, w->field->name, &to);
    if (rc != 0) {
        return rc;
    }
    if (w->field->ref_kind != KIND_NONE && to->kind != w->field->ref_kind) {
        return error_set(m->c->error, CLADE_ERR_INVALID, w->field->name,
                         "must be a %s; id/%" PRIu64 " is a %s", kind_name(w->field->ref_kind),
                         to->id, kind_name(to->kind));
    }
    if (to->id == m->thing->id) {
        return error_set(m->c->error, CLADE_ERR_INVALID, w->field->name,
                         "a thing cannot be its own");
    }
    *ret = to->id;
    return 0;
}

/* --- Values ------------------------------------------------------------------------------- */

static void unset_scalar(struct merge *m, struct field_value *v)
{
    if (v->set && m->mode == WRITE_UPDATE) {
        *v = (struct field_value){0};
        m->changed = true;
    }
}

static int write_scalar(struct merge *m, const struct field_write *w, struct field_value *v)
{
    struct field_value new = {.set = true, .text = w->text, .number = w->number};
    int rc = 0;
    if (w->field->code == FIELD_TYPE) {
        new.text = (struct span){0};
        rc = find_type(m, w->text, &new.number);
    } else if (w->field->shape == FIELD_REF) {
        new.text = (struct span){0};
        rc = find_reference(m, w, &new.number);
    } else if (w->field->shape == FIELD_TEXT) {
        new.number = 0;
    } else {
        new.text = (struct span){0};
    }
    if (rc != 0) {
        return rc;
    }
    if (v->set && v->number == new.number &&span_equal(v->text, new.text)) {
        return 0;
    }
    bool fixed = m->mode == WRITE_MATCH || (w->field->flags & FIELD_CORE) != 0;
    if (v->set && fixed) {
        differs(m, w->field->name, (struct span){0});
        return 0;
    }
    *v = new;
    m->changed = true;
    return 0;
}

/* The algorithm of "ALGO:VALUE" with its colon. */
static struct span algorithm(struct span digest)
{
    const uint8_t *colon = memchr(digest.data, ':', digest.len);
    return span_make(digest.data, colon == NULL ? digest.len : (size_t)(colon - digest.data) + 1);
}

/* A thing has one digest of an algorithm. */
static bool digest_contradicts(const struct field_value *v, struct span digest)
{
    for (size_t i = 0; i < v->len; i++) {
        if (span_equal(algorithm(v->texts[i]), algorithm(digest))) {
            return true;
        }
    }
    return false;
}

/* Whether nobody else holds the external id. */
static int check_external_id(struct merge *m, struct span text)
{
    struct command *c = m->c;
    struct thing *holder;
    int rc = lookup_name(c->view, c->scratch, NAME_SPACE_EXTERNAL, m->thing->ns, m->thing->kind,
                         text, false, &holder);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    if (holder->id == m->thing->id) {
        return 0;
    }
    error_set(c->error, CLADE_ERR_CONFLICT, "external_ids",
              "the external id \"%.*s\" belongs to id/%" PRIu64, SPAN_FMT(text), holder->id);
    c->error->id = holder->id;
    c->error->revision = holder->changed.revision;
    return CLADE_ERR_CONFLICT;
}

static int check_element(struct merge *m,
                         const struct field_write *w,
                         const struct field_value *v,
                         struct span text)
{
    if (w->field->code == FIELD_EXTERNAL_IDS) {
        return check_external_id(m, text);
    }
    if (w->field->code == FIELD_DIGESTS && digest_contradicts(v, text)) {
        differs(m, w->field->name, text);
    }
    return 0;
}

/* The union of two sorted sets. */
static int write_set(struct merge *m, const struct field_write *w, struct field_value *v)
{
    struct arena *a = m->c->scratch;
    size_t n = v->len + w->len;
    struct span *texts = arena_calloc(a, n + 1, sizeof *texts);
    if (texts == NULL) {
        return arena_failure(a, (n + 1) * sizeof *texts, m->c->error);
    }
    size_t len = 0;
    size_t i = 0;
    for (size_t j = 0; j < w->len; j++) {
        while (i < v->len && span_compare(v->texts[i], w->texts[j]) < 0) {
            texts[len++] = v->texts[i++];
        }
        if (i < v->len && span_equal(v->texts[i], w->texts[j])) {
            continue;
        }
        int rc = check_element(m, w, v, w->texts[j]);
        if (rc != 0) {
            return rc;
        }
        texts[len++] = w->texts[j];
        m->changed = true;
    }
    while (i < v->len) {
        texts[len++] = v->texts[i++];
    }
    if (len > w->field->count_max) {
        return too_many(m, w->field);
    }
    *v = (struct field_value){.set = len > 0, .texts = texts, .len = len};
    return 0;
}

static void merge_pair(struct merge *m,
                       const struct field_write *w,
                       const struct text_pair *old,
                       const struct text_pair *new,
                       struct field_value *out)
{
    bool same = old != NULL && !new->unset &&
                old->number == new->number &&span_equal(old->value, new->value);
    if (same || (m->mode == WRITE_MATCH && old != NULL)) {
        if (!same) {
            differs(m, w->field->name, new->key);
        }
        out->pairs[out->len++] = *old;
        return;
    }
    if (!new->unset) {
        out->pairs[out->len++] = *new;
    }
    m->changed = m->changed || !new->unset || old != NULL;
}

static int write_map(struct merge *m, const struct field_write *w, struct field_value *v)
{
    struct arena *a = m->c->scratch;
    size_t n = v->len + w->len;
    struct field_value out = {.set = true, .pairs = arena_calloc(a, n + 1, sizeof *out.pairs)};
    if (out.pairs == NULL) {
        return arena_failure(a, (n + 1) * sizeof *out.pairs, m->c->error);
    }
    size_t i = 0;
    for (size_t j = 0; j < w->len; j++) {
        while (i < v->len && span_compare(v->pairs[i].key, w->pairs[j].key) < 0) {
            out.pairs[out.len++] = v->pairs[i++];
        }
        bool met = i < v->len && span_equal(v->pairs[i].key, w->pairs[j].key);
        merge_pair(m, w, met ? &v->pairs[i] : NULL, &w->pairs[j], &out);
        i += met;
    }
    while (i < v->len) {
        out.pairs[out.len++] = v->pairs[i++];
    }
    if (out.len > w->field->count_max) {
        return too_many(m, w->field);
    }
    out.set = out.len > 0;
    *v = out;
    return 0;
}

static int write_field(struct merge *m, const struct field_write *w)
{
    struct field_value *v = &m->thing->fields[w->field->code];
    if (!field_belongs(w->field, m->thing->kind)) {
        return error_set(m->c->error, CLADE_ERR_INVALID, w->field->name, "a %s has no %s",
                         kind_name(m->thing->kind), w->field->name);
    }
    if (w->field->shape == FIELD_TEXT_SET) {
        return write_set(m, w, v);
    }
    if (w->field->shape == FIELD_TEXT_MAP || w->field->shape == FIELD_UINT_MAP) {
        return write_map(m, w, v);
    }
    if (w->unset) {
        unset_scalar(m, v);
        return 0;
    }
    return write_scalar(m, w, v);
}

int fields_apply(struct command *c,
                 const struct op *op,
                 enum write_mode mode,
                 struct thing *thing,
                 bool *ret_changed)
{
    struct merge m = {.c = c, .mode = mode, .thing = thing};
    for (size_t i = 0; i < op->fields_len; i++) {
        int rc = write_field(&m, &op->fields[i]);
        if (rc != 0) {
            return rc;
        }
    }
    if (m.differs[0] != '\0') {
        error_set(c->error, CLADE_ERR_CONFLICT, NULL, "%s id/%" PRIu64 " has other values for: %s",
                  kind_name(thing->kind), thing->id, m.differs);
        c->error->id = thing->id;
        c->error->revision = thing->changed.revision;
        return CLADE_ERR_CONFLICT;
    }
    *ret_changed = m.changed;
    return 0;
}
