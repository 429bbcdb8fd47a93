#include "storage/namespace.h"

int namespace_parent(struct view *v, struct arena *arena, struct span path, uint64_t *ret)
{
    while (path.len > 0 && path.data[path.len - 1] != '/') {
        path.len--;
    }
    if (path.len == 0) {
        *ret = NAMESPACE_ROOT;
        return 0;
    }
    path.len--;
    return lookup_namespace(v, arena, path, ret);
}

int namespace_find(
    struct view *v, struct arena *arena, uint64_t ns, enum field_code field, struct thing **ret)
{
    while (ns != NAMESPACE_ROOT) {
        struct thing *thing;
        int rc = lookup_thing(v, arena, ns, &thing);
        if (rc != 0) {
            return rc;
        }
        if (thing->fields[field].set) {
            *ret = thing;
            return 0;
        }
        rc = namespace_parent(v, arena, thing->name, &ns);
        if (rc != 0) {
            return rc;
        }
    }
    return 1;
}

/* --- Defaults -------------------------------------------------------------------------------- */

static bool has_tag(const struct thing *t, struct span key)
{
    const struct field_value *tags = &t->fields[FIELD_TAGS];
    for (size_t i = 0; i < tags->len; i++) {
        if (span_equal(tags->pairs[i].key, key)) {
            return true;
        }
    }
    return false;
}

/* What follows "KIND." in a default's key, when it is of the thing's kind; else nothing. */
static struct span field_of(struct span key, enum kind kind)
{
    const char *name = kind_name(kind);
    bool is_kinds =
        span_starts_with(key, name) && key.len > strlen(name) && key.data[strlen(name)] == '.';
    return is_kinds ? span_skip(key, strlen(name) + 1) : (struct span){0};
}

/* What `ns` itself says, as an operation of at most a type and tags. */
static int defaults_of(struct command *c,
                       const struct thing *ns,
                       const struct thing *t,
                       struct op *op)
{
    const struct field_value *defaults = &ns->fields[FIELD_DEFAULTS];
    struct field_write *writes = arena_calloc(c->scratch, 2, sizeof *writes);
    struct text_pair *tags = arena_calloc(c->scratch, defaults->len + 1, sizeof *tags);
    size_t len = 0;
    if (writes == NULL || tags == NULL) {
        return arena_failure(c->scratch, (defaults->len + 1) * sizeof *tags, c->error);
    }
    *op = (struct op){.fields = writes};
    for (size_t i = 0; i < defaults->len; i++) {
        struct span field = field_of(defaults->pairs[i].key, t->kind);
        struct span tag = span_skip(field, strlen("tags."));
        if (span_equal_str(field, "type") && !t->fields[FIELD_TYPE].set) {
            writes[op->fields_len++] = (struct field_write){.field = field_by_code(FIELD_TYPE),
                                                            .text = defaults->pairs[i].value};
        } else if (span_starts_with(field, "tags.") && !has_tag(t, tag)) {
            /* In the order of the keys, as a transaction's are. */
            tags[len++] = (struct text_pair){.key = tag, .value = defaults->pairs[i].value};
        }
    }
    if (len > 0) {
        writes[op->fields_len++] =
            (struct field_write){.field = field_by_code(FIELD_TAGS), .pairs = tags, .len = len};
    }
    return 0;
}

int namespace_defaults(struct command *c, struct thing *new)
{
    uint64_t ns = new->kind == KIND_NAMESPACE ? NAMESPACE_ROOT : new->ns;
    struct thing *says;
    int rc;
    while ((rc = ns == NAMESPACE_ROOT
                     ? 1
                     : namespace_find(c->view, c->scratch, ns, FIELD_DEFAULTS, &says)) == 0) {
        struct op op;
        bool changed;
        rc = defaults_of(c, says, new, &op);
        rc = rc != 0 ? rc : fields_apply(c, &op, WRITE_UPDATE, new, &changed);
        if (rc != 0) {
            return code_is_fatal(rc) ? rc
                                     : error_wrap(c->error, "by the defaults of namespace \"%.*s\"",
                                                  SPAN_FMT(says->name));
        }
        rc = namespace_parent(c->view, c->scratch, says->name, &ns);
        if (rc != 0) {
            break;
        }
    }
    return rc == 1 ? 0 : rc;
}
