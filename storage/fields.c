/* What a transaction writes into a thing's fields, against what is there. */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "storage/fields_internal.h"

#define DIFFERS_TEXT_MAX 40

void merge_differs(struct merge *m, const char *field, struct span key)
{
    size_t used = strlen(m->differs);
    snprintf(m->differs + used, sizeof m->differs - used, "%s%s%s%.*s", used > 0 ? ", " : "", field,
             key.len > 0 ? "." : "", (int)(key.len < 64 ? key.len : 64), (const char *)key.data);
}

/* What the scalar is, where that is short: " (1)". */
static void differs_value(struct merge *m, const struct field *field, const struct field_value *v)
{
    size_t used = strlen(m->differs);
    if (field->shape == FIELD_UINT) {
        snprintf(m->differs + used, sizeof m->differs - used, " (%" PRIu64 ")", v->number);
    } else if (field->shape == FIELD_TEXT && v->text.len <= DIFFERS_TEXT_MAX) {
        snprintf(m->differs + used, sizeof m->differs - used, " (%.*s)", SPAN_FMT(v->text));
    }
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

int command_find_type(struct command *c, uint64_t ns_id, struct span name, struct thing **ret)
{
    struct thing *ns;
    int rc = lookup_thing(c->view, c->scratch, ns_id, &ns);
    struct span path = rc == 0 ? ns->name : (struct span){0};
    while (rc == 0) {
        rc = lookup_name(c->view, c->scratch, NAME_SPACE_NAMES, ns_id, KIND_TYPE, name, false, ret);
        if (rc != 1) {
            return rc;
        }
        while (path.len > 0 && path.data[path.len - 1] != '/') {
            path.len--;
        }
        if (path.len == 0) {
            return 1;
        }
        path.len--;
        rc = lookup_namespace(c->view, c->scratch, path, &ns_id);
    }
    return rc;
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
    struct thing *type = NULL;
    int rc = command_find_type(c, m->thing->ns, span_make(name, len), &type);
    *ret = rc == 0 ? type->id : 0;
    return rc == 1 ? type_missing(c, text) : rc;
}

static int find_reference(struct merge *m, const struct field_write *w, uint64_t *ret)
{
    struct thing *to;
    int rc = command_resolve(m->c, &w->ref, w->field->name, &to);
    if (rc != 0) {
        return rc;
    }
    if (w->field->ref_kind != KIND_NONE && to->kind != w->field->ref_kind) {
        return command_wrong_kind(m->c, w->field->name, w->field->ref_kind, to);
    }
    if (to->id == m->thing->id) {
        return error_set(m->c->error, CLADE_ERR_INVALID, w->field->name,
                         "a thing cannot be its own %s", w->field->name);
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

/* What content may become. Content that is ready is not written again: another digest is another
 * thing. Nothing that has content becomes a thing that has none. */
static const struct {
    const char *from;
    const char *to[4];
} content_moves[] = {
    {"none", {"pending"}},          {"pending", {"ready", "failed", "gone"}},
    {"ready", {"failed", "gone"}},  {"failed", {"pending", "ready", "gone"}},
    {"gone", {"pending", "ready"}},
};

static int move_content(struct merge *m, struct span from, struct span to)
{
    char may[64] = "";
    for (size_t i = 0; i < sizeof content_moves / sizeof *content_moves; i++) {
        const char *const *move = content_moves[i].to;
        for (; span_equal_str(from, content_moves[i].from) && *move != NULL; move++) {
            size_t used = strlen(may);
            if (span_equal_str(to, *move)) {
                m->thing->fields[FIELD_CONTENT_REASON] = (struct field_value){0};
                return 0;
            }
            (void)snprintf(may + used, sizeof may - used, "%s%s", used > 0 ? ", " : "", *move);
        }
    }
    error_set(m->c->error, CLADE_ERR_CONFLICT, "content", "content is %.*s and may become %s only",
              SPAN_FMT(from), may);
    m->c->error->id = m->thing->id;
    m->c->error->revision = m->thing->changed.revision;
    return CLADE_ERR_CONFLICT;
}

/* A model's numbers are used up one by one; a number that was given changes nothing. */
static int write_last_number(struct merge *m, uint64_t number, struct field_value *v)
{
    uint64_t given;
    int rc = lookup_highest_version(m->c->view, m->thing->id, &given);
    if (rc != 0 || number <= given || (v->set && number <= v->number)) {
        return rc;
    }
    *v = (struct field_value){.set = true, .number = number};
    m->changed = true;
    return 0;
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
    } else if (w->field->shape == FIELD_TEXT || w->field->shape == FIELD_PACKED) {
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
        merge_differs(m, w->field->name, (struct span){0});
        differs_value(m, w->field, v);
        return 0;
    }
    if (v->set && w->field->code == FIELD_CONTENT) {
        rc = move_content(m, v->text, new.text);
    } else if (w->field->code == FIELD_STAGES && m->mode != WRITE_NEW) {
        rc = stages_check_list(m->c, m->thing, new.text);
    }
    if (rc != 0) {
        return rc;
    }
    *v = new;
    m->changed = true;
    return rc;
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
        merge_differs(m, w->field->name, text);
    }
    return 0;
}

/* The union of two sorted sets, without what shall go. */
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
        bool met = i < v->len && span_equal(v->texts[i], w->texts[j]);
        bool gone = w->gone != NULL && w->gone[j];
        if (met && gone) {
            i++;
            m->changed = true;
        }
        if (met || gone) {
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
                       bool fixed,
                       struct field_value *out)
{
    bool same = old != NULL && !new->unset &&
                old->number == new->number &&span_equal(old->value, new->value);
    if (same || (old != NULL && (fixed || m->mode == WRITE_MATCH))) {
        if (!same) {
            merge_differs(m, w->field->name, new->key);
        }
        out->pairs[out->len++] = *old;
        return;
    }
    if (!new->unset) {
        out->pairs[out->len++] = *new;
    }
    m->changed = m->changed || !new->unset || old != NULL;
}

int merge_pairs(struct merge *m,
                const struct field_write *w,
                struct field_value *v,
                bool (*fixed)(const struct merge *m, struct span key))
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
        merge_pair(m, w, met ? &v->pairs[i] : NULL, &w->pairs[j],
                   fixed != NULL && fixed(m, w->pairs[j].key), &out);
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
        return error_set(m->c->error, CLADE_ERR_INVALID, w->field->name, "%s has no %s",
                         kind_with_article(m->thing->kind), w->field->name);
    }
    if (w->field->code == FIELD_CYCLIC && !span_starts_with(m->thing->name, "edge:")) {
        return error_set(m->c->error, CLADE_ERR_INVALID, w->field->name,
                         "only a type of edges is cyclic or not");
    }
    if (w->field->code == FIELD_LAST_NUMBER) {
        return write_last_number(m, w->number, v);
    }
    if (w->field->shape == FIELD_TEXT_SET) {
        return write_set(m, w, v);
    }
    if (w->field->shape == FIELD_TEXT_MAP || w->field->shape == FIELD_UINT_MAP) {
        return merge_pairs(m, w, v, NULL);
    }
    if (w->field->shape == FIELD_PROP_MAP) {
        return props_write(m, w, v);
    }
    if (w->field->shape == FIELD_DECL_MAP) {
        return decls_write(m, w, v);
    }
    if (w->unset) {
        int rc = w->field->code == FIELD_STAGES && v->set
                     ? stages_check_list(m->c, m->thing, (struct span){0})
                     : 0;
        unset_scalar(m, v);
        return rc;
    }
    return write_scalar(m, w, v);
}

/* "artifact/a has other values for: size (1)" */
static int say_differs(const struct merge *m)
{
    struct command *c = m->c;
    struct span ref = {0};
    int rc = render_ref(&c->render, m->thing, &ref);
    if (code_is_fatal(rc)) {
        return rc;
    }
    error_set(c->error, CLADE_ERR_CONFLICT, NULL, "%.*s has other values for: %s", SPAN_FMT(ref),
              m->differs);
    return command_say_there(c, m->thing);
}

/* Content alone decides whether it has a reason. */
static int check_content(struct merge *m)
{
    const struct field_value *reason = &m->thing->fields[FIELD_CONTENT_REASON];
    if (!reason->set || span_equal_str(m->thing->fields[FIELD_CONTENT].text, "failed")) {
        return 0;
    }
    return error_set(m->c->error, CLADE_ERR_INVALID, "content_reason",
                     "only content that failed has a reason");
}

int fields_apply(struct command *c,
                 const struct op *op,
                 enum write_mode mode,
                 struct thing *thing,
                 bool *ret_changed)
{
    struct merge m = {.c = c,
                      .op = op,
                      .mode = mode,
                      .thing = thing,
                      .had_props = thing->fields[FIELD_PROPS],
                      .had_type = thing->fields[FIELD_TYPE].set};
    int rc = 0;
    for (size_t i = 0; i < op->fields_len && rc == 0; i++) {
        rc = write_field(&m, &op->fields[i]);
    }
    if (rc == 0 && m.differs[0] == '\0') {
        rc = check_content(&m);
        rc = rc != 0 ? rc : props_check(&m);
    }
    if (rc != 0) {
        return rc;
    }
    if (m.differs[0] != '\0') {
        return say_differs(&m);
    }
    *ret_changed = m.changed;
    return 0;
}
