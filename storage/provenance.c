/* Provenance: what each thing is in the bill of materials, and by what its bytes are known. */
#include "command/value.h"
#include "storage/lineage_internal.h"

static bool is_code_uri(struct span uri)
{
    return span_starts_with(uri, "git+") || span_starts_with(uri, "git:") ||
           span_starts_with(uri, "git@");
}

/* An artifact is code if its type is called so, or if it stands in a git repository. */
static int is_code(struct reading *r, const struct thing *t, bool *ret)
{
    const struct field_value *uris = &t->fields[FIELD_URIS];
    const struct field_value *type = &t->fields[FIELD_TYPE];
    *ret = false;
    for (size_t i = 0; i < uris->len && !*ret; i++) {
        *ret = is_code_uri(uris->texts[i]);
    }
    if (*ret || !type->set) {
        return 0;
    }
    struct thing *thing;
    int rc = lookup_thing(r->view, r->scratch, type->number, &thing);
    if (rc == 0) {
        *ret = span_equal_str(thing->name, "artifact:code");
    }
    return rc == 1 ? 0 : rc;
}

static int role_of(struct reading *r, const struct thing *t, const char **ret)
{
    bool code = false;
    int rc = 0;
    switch (t->kind) {
    case KIND_ARTIFACT:
        rc = is_code(r, t, &code);
        *ret = code ? "code" : "data";
        return rc;
    case KIND_RUN:
        *ret = "run";
        return 0;
    case KIND_VERSION:
    case KIND_MODEL:
        *ret = "parent";
        return 0;
    default:
        *ret = "other";
        return 0;
    }
}

int provenance_put(void *arg, struct buffer *out, uint32_t *members)
{
    static const enum field_code shown[] = {FIELD_DIGESTS, FIELD_SIZE, FIELD_CONTENT, FIELD_URIS};
    struct lineage *l = arg;
    const struct thing *t = l->thing;
    const char *role;
    int rc = role_of(l->r, t, &role);
    if (rc != 0) {
        return rc;
    }
    value_put_str(out, "role");
    value_put_str(out, role);
    ++*members;
    bool heads = l->r->query->view == CLADE_VIEW_HEADS; /* full has them all */
    for (size_t i = 0; rc == 0 && heads && i < sizeof shown / sizeof *shown; i++) {
        const struct field_value *v = &t->fields[shown[i]];
        if (v->set) {
            const struct field *field = field_by_code(shown[i]);
            value_put_str(out, field->name);
            rc = render_field(&l->r->render, field, v, out);
            ++*members;
        }
    }
    return rc;
}
