/* Props and types. A type speaks of what is written from now on: it is held against props that an
 * operation writes, and against all of them when it is set; what was there before a field was
 * declared stays. Required fields are asked for when the type is set and when the first prop is
 * written, but not of a stub (a create that matches and has no props); they are not taken away. */
#include "storage/fields_internal.h"

/* --- The type ------------------------------------------------------------------------------ */

/* m->type, when the thing has one. A deleted type still says what it said. */
static int load_type(struct merge *m)
{
    const struct field_value *v = &m->thing->fields[FIELD_TYPE];
    if (!v->set || m->type != NULL) {
        return 0;
    }
    int rc = lookup_thing(m->c->view, m->c->scratch, v->number, &m->type);
    if (rc == 1) {
        struct key key = key_u64(v->number);
        return row_corrupt(m->c->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    return rc;
}

static const struct text_pair *find_pair(const struct field_value *v, struct span key)
{
    size_t low = 0;
    size_t high = v->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int r = span_compare(v->pairs[middle].key, key);
        if (r == 0) {
            return &v->pairs[middle];
        }
        low = r < 0 ? middle + 1 : low;
        high = r < 0 ? high : middle;
    }
    return NULL;
}

static bool find_decl(const struct merge *m, struct span key, struct decl *ret)
{
    const struct text_pair *pair =
        m->type == NULL ? NULL : find_pair(&m->type->fields[FIELD_FIELDS], key);
    return pair != NULL && decl_read(pair->value, ret);
}

static bool is_fixed(const struct merge *m, struct span key)
{
    struct decl decl;
    return find_decl(m, key, &decl) && (decl.flags & DECL_FIXED) != 0;
}

/* `what` and `detail` are one phrase. */
static int refuse(struct merge *m, struct span key, const char *what, const char *detail)
{
    error_set(m->c->error, CLADE_ERR_INVALID, NULL, "%s%s, says the type %.*s", what, detail,
              SPAN_FMT(m->type->name));
    error_prefix_where(m->c->error, "props.%.*s", SPAN_FMT(key));
    return CLADE_ERR_INVALID;
}

/* --- Values -------------------------------------------------------------------------------- */

static int copy_value(struct merge *m, struct buffer *b, struct span *ret)
{
    int rc = 0;
    if (b->failed) {
        rc = error_set(m->c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    } else {
        *ret = arena_copy_span(m->c->scratch, buffer_span(b));
        rc = ret->data != NULL ? 0 : arena_failure(m->c->scratch, b->len, m->c->error);
    }
    buffer_release(b);
    return rc;
}

/* References are stored as ids. */
static int resolve_refs(struct merge *m, const struct prop_refs *refs, struct text_pair *pair)
{
    struct buffer b;
    int rc = 0;
    buffer_init(&b, COMMAND_BUFFER_BYTES);
    buffer_append_u8(&b, (uint8_t)(PROP_REF | (refs->is_list ? PROP_LIST : 0)));
    for (size_t i = 0; i < refs->len && rc == 0; i++) {
        struct thing *to;
        rc = command_resolve(m->c, &refs->refs[i], "", &to);
        if (rc != 0 && !code_is_fatal(rc)) {
            error_prefix_where(m->c->error, "props.%.*s", SPAN_FMT(pair->key));
        }
        if (rc == 0) {
            struct prop_item item = {.bits = to->id};
            prop_put(&b, PROP_REF, refs->is_list, &item);
        }
    }
    if (rc != 0) {
        buffer_release(&b);
        return rc;
    }
    return copy_value(m, &b, &pair->value);
}

static bool same_value(const struct text_pair *a, const struct text_pair *b)
{
    return a != NULL && !b->unset && span_equal(a->value, b->value);
}

/* Whether the type lets the pair be; ints become the floats that it asks for. */
static int hold_to_type(struct merge *m, struct text_pair *pair)
{
    struct decl decl;
    if (m->type == NULL || pair->unset) {
        return 0;
    }
    if (!find_decl(m, pair->key, &decl)) {
        bool closed = m->type->fields[FIELD_CLOSED].number != 0;
        return closed ? refuse(m, pair->key, "there is no such field", "") : 0;
    }
    if (prop_fits(pair->value, decl.type)) {
        return 0;
    }
    if (!prop_widens(pair->value, decl.type)) {
        return refuse(m, pair->key, "it must be of type ", prop_type_text(decl.type));
    }
    struct buffer b;
    buffer_init(&b, COMMAND_BUFFER_BYTES);
    prop_widen(&b, pair->value);
    m->changed = true;
    return copy_value(m, &b, &pair->value);
}

int props_write(struct merge *m, const struct field_write *w, struct field_value *v)
{
    struct arena *a = m->c->scratch;
    struct field_write typed = *w;
    bool changed = m->changed;
    int rc = load_type(m);
    typed.pairs = arena_calloc(a, w->len + 1, sizeof *typed.pairs);
    if (typed.pairs == NULL) {
        return arena_failure(a, (w->len + 1) * sizeof *typed.pairs, m->c->error);
    }
    for (size_t i = 0; i < w->len && rc == 0; i++) {
        typed.pairs[i] = w->pairs[i];
        if (w->refs[i].refs != NULL) {
            rc = resolve_refs(m, &w->refs[i], &typed.pairs[i]);
        }
        /* What is there already is no write: it may be older than what the type says. */
        if (rc == 0 && !same_value(find_pair(v, typed.pairs[i].key), &typed.pairs[i])) {
            rc = hold_to_type(m, &typed.pairs[i]);
        }
    }
    m->changed = changed; /* merging says what is another value */
    return rc != 0 ? rc : merge_pairs(m, &typed, v, is_fixed);
}

static bool stays(const struct merge *m, struct span key)
{
    (void)m;
    (void)key;
    return true;
}

int decls_write(struct merge *m, const struct field_write *w, struct field_value *v)
{
    return merge_pairs(m, w, v, stays);
}

/* --- What a type asks of all props ---------------------------------------------------------- */

static int check_required(struct merge *m, const struct field_value *now, bool all)
{
    const struct field_value *fields = &m->type->fields[FIELD_FIELDS];
    for (size_t i = 0; i < fields->len; i++) {
        struct span key = fields->pairs[i].key;
        struct decl decl;
        bool required =
            decl_read(fields->pairs[i].value, &decl) && (decl.flags & DECL_REQUIRED) != 0;
        bool was_there = find_pair(&m->had_props, key) != NULL;
        if (required && (all || was_there) && find_pair(now, key) == NULL) {
            return refuse(m, key, "it is required", was_there ? " and stays" : "");
        }
    }
    return 0;
}

static bool writes_props(const struct op *op)
{
    for (size_t i = 0; i < op->fields_len; i++) {
        if (op->fields[i].field->code == FIELD_PROPS) {
            return true;
        }
    }
    return false;
}

int props_check(struct merge *m)
{
    struct field_value *now = &m->thing->fields[FIELD_PROPS];
    bool typed = m->thing->fields[FIELD_TYPE].set && !m->had_type;
    bool written = writes_props(m->op);
    int rc = typed || written ? load_type(m) : 0;
    if (rc != 0 || m->type == NULL) {
        return rc;
    }
    for (size_t i = 0; typed && i < now->len && rc == 0; i++) {
        rc = hold_to_type(m, &now->pairs[i]);
    }
    bool stub = now->len == 0 && m->op->op == OP_CREATE && m->mode != WRITE_UPDATE &&
                m->op->if_exists == CLADE_IF_EXISTS_MATCH;
    bool first = m->had_props.len == 0 && now->len > 0;
    return rc != 0 || stub ? rc : check_required(m, now, typed || first);
}
