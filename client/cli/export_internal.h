#pragma once
/* What the files of `clade export` share. */
#include "base/buffer.h"
#include "cli/cli.h"
#include "cli/names.h"

#define EXPORT_BYTES_MAX (64u << 20)

struct export
{
    struct cli *cli;
    const char *home;           /* the namespace whose lines are bare operations */
    struct cli_list namespaces; /* those to export */
    uint64_t revision;          /* 0 before the first answer */
    struct names dead;          /* whole references of deleted things */
    struct names types;         /* of live types */
    struct names numbered; /* of models with versions that are deleted, or of their namesakes */
    uint64_t number;       /* the highest of a walk over versions */
    struct buffer key;     /* a whole reference */
    struct buffer line;
    uint64_t left_out; /* links and fields that lead to what is deleted */
    bool has_late;     /* things of this kind have something to be written when all are there */
};

/* A list of things. */
struct export_page {
    const char *ns;
    const char *kind;
    const char *under; /* versions: their model; NULL = all */
    const char *state;
    const char *view;
    const char *with[2]; /* of "edges", "aliases", "params", "metrics"; NULL = nothing */
    const char *cursor;
};

/* Writes what is said of one thing of the namespace; false when it cannot. */
typedef bool (*export_on_thing)(struct export *x, const char *ns, const struct clade_value *thing);

/* Calls `each` for every thing of the list, page after page. An exit code. */
int export_walk(struct export *x, struct export_page p, export_on_thing each);
/* The same for each namespace to export. */
int export_walk_all(struct export *x, struct export_page p, export_on_thing each);

/* The bytes of a string; none when it is another value or NULL. */
struct span export_text_of(const struct clade_value *v);
/* The consistency that a request of the export asks for: what the user said until there was an
 * answer, and then any node that has its revision will do. */
struct settings export_settings(const struct export *x);
/* Appends a member of a request's map. */
void export_put_text(struct clade_doc *doc, const char *key, const char *value);
/* Whether the reference, as things of the namespace have it, is that of a deleted thing alone. */
bool export_is_dead(struct export *x, const char *ns, struct span ref);
/* A line, which is an operation in the namespace; between the two, text goes to x->line. */
void export_line_begin(struct export *x, const char *ns);
/* False when it cannot be written. */
bool export_line_end(struct export *x, const char *ns);
/* Appends a member to the operation, after others. */
void export_put_member(struct export *x, const char *key, const struct clade_value *value);

/* The params and metrics of a thing that was listed with both; false after saying what failed. */
bool export_write_series(struct export *x, const char *ns, const struct clade_value *thing);
/* The stage and the aliases of a version that was listed with them. */
bool export_write_pointers(struct export *x, const char *ns, const struct clade_value *version);
bool export_write_targets(struct export *x, const char *ns, const struct clade_value *deployment);
