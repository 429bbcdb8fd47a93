/* Lines for what points to versions: stages, aliases, targets. */
#include "cli/export_internal.h"

static bool write_stage(struct export *x, const char *ns, const struct clade_value *version)
{
    const struct clade_value *stage = clade_value_get(version, "stage");
    if (stage == NULL) {
        return true;
    }
    export_line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"set_stage\"");
    export_put_member(x, "ref", clade_value_get(version, "ref"));
    export_put_member(x, "stage", stage);
    buffer_append_u8(&x->line, '}');
    return export_line_end(x, ns);
}

/* A version's aliases: what they point to is live as long as they do. */
static bool write_aliases(struct export *x, const char *ns, const struct clade_value *version)
{
    const struct clade_value *aliases = clade_value_get(version, "aliases");
    bool ok = true;
    for (size_t i = 0; ok && i < clade_value_len(aliases); i++) {
        export_line_begin(x, ns);
        buffer_append_str(&x->line, "{\"op\":\"set_alias\"");
        export_put_member(x, "ref", clade_value_get(version, "ref"));
        export_put_member(x, "alias", clade_value_get(clade_value_at(aliases, i), "alias"));
        buffer_append_u8(&x->line, '}');
        ok = export_line_end(x, ns);
    }
    return ok;
}

bool export_write_pointers(struct export *x, const char *ns, const struct clade_value *version)
{
    return write_stage(x, ns, version) && write_aliases(x, ns, version);
}

bool export_write_targets(struct export *x, const char *ns, const struct clade_value *deployment)
{
    const struct clade_value *targets = clade_value_get(deployment, "targets");
    if (targets == NULL) {
        return true;
    }
    export_line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"set_targets\"");
    export_put_member(x, "ref", clade_value_get(deployment, "ref"));
    export_put_member(x, "targets", targets);
    buffer_append_u8(&x->line, '}');
    return export_line_end(x, ns);
}
