#include "storage/render_series.h"

#include "command/value.h"

#define REF_ARENA_BYTES (4u << 20)

void ref_cache_init(struct ref_cache *cache, const struct render *render)
{
    *cache = (struct ref_cache){.render = *render};
    arena_init(&cache->arena, REF_ARENA_BYTES);
}

void ref_cache_release(struct ref_cache *cache)
{
    arena_release(&cache->arena);
}

int ref_cache_put(struct ref_cache *cache, uint64_t id, struct buffer *out)
{
    if (id != cache->id) {
        arena_reset(&cache->arena);
        cache->render.arena = &cache->arena;
        cache->render.cached_ns = 0;
        cache->id = 0;
        int rc = render_ref_of_id(&cache->render, id, &cache->ref);
        if (rc != 0) {
            return rc;
        }
        cache->id = id;
    }
    value_put_span(out, cache->ref);
    return 0;
}

void render_point(const struct point *p, struct buffer *out)
{
    value_put_array(out, 3);
    value_put_int(out, p->step);
    value_put_uint(out, p->time_ms);
    value_put_double(out, point_double(p->value));
}

int render_sums(struct ref_cache *cache,
                const struct series *s,
                struct span key,
                struct buffer *out,
                uint32_t *members)
{
    const struct {
        const char *name;
        const struct point *point;
        bool is_there;
    } points[] = {
        {"first", &s->sums.first, true},
        {"last", &s->sums.last, true},
        {"min", &s->sums.min, s->sums.has_extremes},
        {"max", &s->sums.max, s->sums.has_extremes},
    };
    value_put_str(out, "key");
    value_put_span(out, key);
    ++*members;
    if (s->on != 0) {
        value_put_str(out, "on");
        int rc = ref_cache_put(cache, s->on, out);
        if (rc != 0) {
            return rc;
        }
        ++*members;
    }
    value_put_str(out, "count");
    value_put_uint(out, s->sums.count);
    ++*members;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        if (points[i].is_there) {
            value_put_str(out, points[i].name);
            render_point(points[i].point, out);
            ++*members;
        }
    }
    return 0;
}

struct list {
    struct ref_cache *refs;
    struct buffer *out;
    uint32_t len;
    bool full; /* the buffer is, and says so itself */
};

static int put_param(void *arg, struct span key, struct span value)
{
    struct list *list = arg;
    value_put_span(list->out, key);
    value_put_span(list->out, value);
    list->len++;
    return list->out->failed;
}

int render_params(struct render *r, const struct thing *thing, struct buffer *out)
{
    struct list list = {.out = out};
    value_put_str(out, "params");
    size_t at = value_begin_map(out);
    int rc = thing->purged ? 0 : params_each(r->view, thing->id, 0, put_param, &list);
    value_end(out, at, list.len);
    return rc < 0 ? rc : 0;
}

static int put_series(void *arg, const struct series *series, struct span key)
{
    struct list *list = arg;
    const struct render *r = &list->refs->render;
    struct series then = *series;
    uint32_t members = 0;
    int rc = series_sums_at(r->view, &then, r->stop, r->stop_arg);
    if (rc != 0) {
        return rc;
    }
    size_t at = value_begin_map(list->out);
    rc = render_sums(list->refs, &then, key, list->out, &members);
    value_end(list->out, at, members);
    list->len++;
    list->full = list->out->failed;
    return rc != 0 ? rc : list->full;
}

int render_metrics(struct render *r, const struct thing *thing, struct buffer *out)
{
    struct ref_cache refs;
    struct list list = {.refs = &refs, .out = out};
    ref_cache_init(&refs, r);
    value_put_str(out, "metrics");
    size_t at = value_begin_array(out);
    int rc = thing->purged ? 0 : series_each(r->view, thing->id, NULL, put_series, &list);
    value_end(out, at, list.len);
    ref_cache_release(&refs);
    return list.full && rc > 0 ? 0 : rc;
}
