/* A path as answers show it. */
#include "command/value.h"
#include "storage/lineage_internal.h"

struct step {
    const struct walk *walk;
    uint64_t from; /* the dependent one of the two ends; 0 = the first thing */
    uint64_t to;
    struct arena *arena;
};

static int put_labels(void *arg, struct buffer *out, uint32_t *members)
{
    const struct step *step = arg;
    struct span *labels = NULL;
    size_t len = 0;
    if (step->from == 0 && step->to == 0) {
        return 0;
    }
    int rc = walk_labels_between(step->walk, step->from, step->to, step->arena, &labels, &len);
    value_put_str(out, "labels");
    value_put_array(out, (uint32_t)len);
    for (size_t i = 0; rc == 0 && i < len; i++) {
        value_put_span(out, labels[i]);
    }
    ++*members;
    return rc;
}

static int put_step(struct reading *r, uint64_t id, struct step *step, struct buffer *out)
{
    struct thing *thing;
    int rc = lookup_thing(r->view, step->arena, id, &thing);
    if (rc != 0) {
        struct key key = key_u64(id);
        return rc < 0 ? rc : row_corrupt(r->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    struct render render = r->render;
    render.arena = step->arena;
    render.cached_ns = 0;
    struct render_options options = {.view = r->query->view, .more = put_labels, .more_arg = step};
    return render_thing(&render, thing, &options, out);
}

/* An arena of its own, emptied for each step: a path may be long. */
int path_put(const struct walk *w,
             const char *key,
             const uint64_t *ids,
             size_t len,
             bool down,
             struct buffer *out)
{
    struct arena arena;
    int rc = 0;
    arena_init(&arena, READING_SCRATCH_BYTES);
    value_put_str(out, key);
    value_put_array(out, (uint32_t)len);
    for (size_t i = 0; rc == 0 && i < len && !out->failed; i++) {
        struct step step = {.walk = w, .arena = &arena};
        if (i > 0) {
            step.from = ids[down ? i : i - 1];
            step.to = ids[down ? i - 1 : i];
        }
        arena_reset(&arena);
        rc = put_step(w->r, ids[i], &step, out);
        if (rc == 0 && reading_step(w->r)) {
            rc = 1;
        }
    }
    arena_release(&arena);
    return rc;
}
