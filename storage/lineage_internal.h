#pragma once
/* What lineage, impact and provenance share: things reached from one, shown by depth and id. */
#include "storage/search.h"
#include "storage/walk.h"

struct use;

struct lineage {
    struct reading *r;
    struct walk walk;
    struct label_set labels;
    uint64_t count;
    uint32_t groups; /* with depths, ids stand in groups, one a depth */
    uint32_t group_ids;
    size_t group_at;      /* where the array of the last one is; 0 = none is open */
    uint32_t after_depth; /* the cursor's position */
    uint64_t after_id;
    bool goes_on;             /* there is one */
    struct search_run search; /* when there is a query */
    /* the thing that is shown */
    const struct thing *thing;
    uint32_t depth;
    struct use *uses; /* impact: in the scratch arena */
    size_t uses_len;
    size_t uses_capacity;
};

/* Impact: finds what uses a thing, as of the view's revision; l->uses_len is 0 when nothing does.
 */
int impact_find(struct lineage *l, const struct thing *thing);
/* Appends "uses" and "path" of l->thing (struct render_options). */
int impact_put(void *arg, struct buffer *out, uint32_t *members);

/* Provenance: appends "role", and of a head "digests", "size", "content" and "uris", of l->thing.
 */
int provenance_put(void *arg, struct buffer *out, uint32_t *members);

/* Appends "steps" (of paths), respectively "path": the things of a path, each but the first with
 * the "labels" of the edges that led to it. `down`: each depends on the one before. */
int path_put(const struct walk *w,
             const char *key,
             const uint64_t *ids,
             size_t len,
             bool down,
             struct buffer *out);
