/* Stages, targets and aliases as answers show them. */
#include <inttypes.h>
#include <stdlib.h>

#include "command/stage.h"
#include "command/value.h"
#include "storage/pointer.h"
#include "storage/render.h"
#include "storage/target.h"

static void put_stages(struct span packed, struct buffer *out)
{
    struct stage stage;
    uint32_t len = 0;
    size_t at = value_begin_array(out);
    for (; stages_next(&packed, &stage); len++) {
        value_put_map(out, 3);
        value_put_str(out, "name");
        value_put_span(out, stage.name);
        value_put_str(out, "multiple");
        value_put_bool(out, stage.multiple);
        value_put_str(out, "in_use");
        value_put_bool(out, stage.in_use);
    }
    value_end(out, at, len);
}

static int put_targets(struct render *r, struct span packed, struct buffer *out)
{
    int rc = 0;
    value_put_array(out, (uint32_t)targets_len(packed));
    for (size_t i = 0; rc == 0 && i < targets_len(packed); i++) {
        struct target target = target_at(packed, i);
        struct span ref = {0};
        rc = render_ref_of_id(r, target.version, &ref);
        value_put_map(out, 3);
        value_put_str(out, "version");
        value_put_span(out, ref);
        value_put_str(out, "share");
        value_put_uint(out, target.share);
        value_put_str(out, "mode");
        value_put_str(out, target.shadow ? "shadow" : "serving");
    }
    return rc;
}

int render_packed(struct render *r,
                  const struct field *field,
                  struct span packed,
                  struct buffer *out)
{
    if (field->code == FIELD_TARGETS) {
        return put_targets(r, packed, out);
    }
    put_stages(packed, out);
    return 0;
}

struct shown_alias {
    struct span text;
    struct pointer to;
};

struct alias_list {
    struct render *render;
    struct shown_alias aliases[CLADE_MAX_ALIASES];
    size_t len;
};

static int collect(void *arg, const struct key *key, const struct pointer *pointer)
{
    struct alias_list *list = arg;
    struct render *r = list->render;
    if (list->len == CLADE_MAX_ALIASES) {
        return row_corrupt(r->view->error, TABLE_ALIASES, key_span(key), "is one too many");
    }
    struct span text = arena_copy_span(r->arena, alias_of_key(key));
    if (text.data == NULL) {
        return arena_failure(r->arena, key->len, r->view->error);
    }
    list->aliases[list->len++] = (struct shown_alias){.text = text, .to = *pointer};
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return span_compare(((const struct shown_alias *)a)->text,
                        ((const struct shown_alias *)b)->text);
}

static int put_alias(struct render *r, const struct shown_alias *alias, struct buffer *out)
{
    uint64_t number;
    int rc = lookup_version_number(r->view, r->arena, alias->to.what, &number);
    if (rc != 0) {
        return rc;
    }
    value_put_map(out, 3);
    value_put_str(out, "alias");
    value_put_span(out, alias->text);
    value_put_str(out, "version");
    value_put_uint(out, number);
    value_put_str(out, "revision");
    value_put_uint(out, alias->to.created);
    return 0;
}

int render_aliases(struct render *r, const struct thing *thing, struct buffer *out)
{
    bool model = thing->kind == KIND_MODEL;
    struct key all = key_alias(thing->id, (struct span){0});
    struct alias_list *list = arena_alloc(r->arena, sizeof *list);
    if (list == NULL) {
        return arena_failure(r->arena, sizeof *list, r->view->error);
    }
    list->render = r;
    list->len = 0;
    int rc = thing->purged ? 0
             : model       ? pointer_each(r->view, TABLE_ALIASES, &all, collect, list)
                           : lookup_aliases_of(r->view, thing, collect, list);
    if (rc != 0) {
        return rc;
    }
    qsort(list->aliases, list->len, sizeof *list->aliases, by_text);
    value_put_str(out, "aliases");
    value_put_array(out, (uint32_t)list->len);
    for (size_t i = 0; rc == 0 && i < list->len; i++) {
        rc = put_alias(r, &list->aliases[i], out);
    }
    return rc;
}
