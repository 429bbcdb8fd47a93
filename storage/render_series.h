#pragma once
/* Params and metric series as answers show them (client/wire/README.md, "Metrics"). */
#include "storage/render.h"
#include "storage/series.h"

/* References of things that an answer names again and again: rendered once for a stretch of them,
 * in an arena of their own, so that a long answer needs no more room than a short one. */
struct ref_cache {
    struct render render;
    struct arena arena;
    uint64_t id; /* 0 = none */
    struct span ref;
};

void ref_cache_init(struct ref_cache *cache, const struct render *render);
void ref_cache_release(struct ref_cache *cache);
/* Appends the reference as a string. */
int ref_cache_put(struct ref_cache *cache, uint64_t id, struct buffer *out);

/* Appends [step, time, value]. */
void render_point(const struct point *point, struct buffer *out);
/* Appends what stands of a series beside its points, and counts the map's members. */
int render_sums(struct ref_cache *cache,
                const struct series *series,
                struct span key,
                struct buffer *out,
                uint32_t *members);

/* Each appends a key and its value: "params" and a map, "metrics" and an array of sums. The second
 * returns 1 when the render's `stop` ended it. */
int render_params(struct render *r, const struct thing *thing, struct buffer *out);
int render_metrics(struct render *r, const struct thing *thing, struct buffer *out);
