#pragma once
/* One operation's fields while they are merged into a thing: what fields.c and props.c share. */
#include "storage/command.h"

struct merge {
    struct command *c;
    const struct op *op;
    enum write_mode mode;
    struct thing *thing;
    bool changed;
    char differs[256]; /* the fields that contradict what is there, for the error */
    /* props.c */
    struct field_value had_props; /* before the operation */
    bool had_type;
    struct thing *type; /* NULL = not looked up, or none */
};

/* Notes that the field, or the key of it, contradicts what is there. */
void merge_differs(struct merge *m, const char *field, struct span key);
/* Keys and values as bytes: tags, props, what a type says. `fixed` says which keys keep what they
 * have (NULL: none). */
int merge_pairs(struct merge *m,
                const struct field_write *w,
                struct field_value *v,
                bool (*fixed)(const struct merge *m, struct span key));

/* Writes props, held against the thing's type. */
int props_write(struct merge *m, const struct field_write *w, struct field_value *v);
/* Writes what a type says of keys: it only grows. */
int decls_write(struct merge *m, const struct field_write *w, struct field_value *v);
/* When all fields are written: whether the props are what the type asks for. */
int props_check(struct merge *m);
