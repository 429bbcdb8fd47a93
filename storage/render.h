#pragma once
/* Things as answers show them (client/wire/README.md, "Things"). */
#include "storage/lookup.h"

struct render {
    struct view *view;
    struct arena *arena;
    uint64_t ns;             /* references into it are written without their namespace */
    uint64_t cached_ns;      /* 0 = none */
    struct span cached_path; /* of cached_ns */
    bool (*stop)(void *arg); /* says when to give up what takes long; NULL = never */
    void *stop_arg;
};

/* The reference of a thing, "artifact/x" or "//team//version/m/7"; "id/7" where it is purged, or
 * where its name is not known any more: the view's revision is below the floor of the thing, which
 * then is known by its id alone, or of its model. Returns 0 or a fatal code, or
 * CLADE_ERR_LIMIT when the arena is full. */
int render_ref(struct render *r, const struct thing *thing, struct span *ret);
int render_ref_of_id(struct render *r, uint64_t id, struct span *ret);

/* A prop's value as answers show it. */
int render_prop(struct render *r, struct span value, struct buffer *out);
/* A field's value as answers show it. */
int render_field(struct render *r,
                 const struct field *field,
                 const struct field_value *v,
                 struct buffer *out);

struct render_options {
    enum clade_view view;
    bool with_edges;
    bool with_aliases;
    bool with_params;
    bool with_metrics;
    bool with_depth;
    uint32_t depth;
    /* appends further members of the thing's map, and counts them; 0 or a code. NULL = none */
    int (*more)(void *arg, struct buffer *out, uint32_t *members);
    void *more_arg;
};

/* Appends the value of a packed field. */
int render_packed(struct render *r,
                  const struct field *field,
                  struct span packed,
                  struct buffer *out);
/* Appends "aliases" and those of a model, or of a version, by name. */
int render_aliases(struct render *r, const struct thing *thing, struct buffer *out);

/* Appends the thing; the buffer's `failed` says whether it fitted. 0, 1 when `stop` ended it before
 * it was whole, or a code. */
int render_thing(struct render *r,
                 const struct thing *thing,
                 const struct render_options *options,
                 struct buffer *out);
