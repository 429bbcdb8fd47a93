#pragma once
/* One transaction of the change log while watchers and audits are told of it: what it changed is
 * taken apart once, and what is said of a thing is written once, when the first one asks. */
#include "storage/change_log.h"
#include "storage/changes.h"

enum told_state { TOLD_NOT_YET, TOLD, TOLD_NOTHING };

/* A thing that the revision changed. */
struct told_thing {
    uint64_t id;
    enum kind kind;
    bool record;      /* its record is another one */
    bool logged;      /* params or points */
    bool purged;      /* by now */
    bool is_new;      /* there was nothing before */
    bool renamed;     /* its reference before was another one */
    struct span path; /* of its namespace; a namespace's own */
    size_t first;     /* its changes */
    size_t len;
    /* references as the namespace at hand has them; len 0 = not asked for yet */
    struct span refs[2];  /* before, after */
    struct span whole[2]; /* with the namespace in front */
    enum told_state state;
    size_t at; /* TOLD: where it stands in `bytes` */
    size_t bytes;
};

struct numbered_change;

struct told {
    struct reading *r;
    struct arena heads; /* lives as long as the revision is told */
    uint64_t revision;
    struct change_who who;
    struct numbered_change *changes; /* by thing, see order_changes */
    struct told_thing *things;
    size_t len;
    bool taken_apart;
    bool leaves_out;     /* things whose history was compacted */
    struct buffer bytes; /* of things that were asked for */
};

void told_open(struct told *t, struct reading *r);
void told_close(struct told *t);
/* Begins with a revision; `row` is the change log's, and stays where it is. 0 or a code. */
int told_begin(struct told *t, uint64_t revision, struct span row);
/* References are written for that namespace from now on. */
void told_use_namespace(struct told *t, uint64_t ns);
/* Appends the revision, as far as the query lets it pass: 0, 1 when nothing of it does, or a
 * code. */
int told_put(struct told *t, const struct query *q, struct buffer *out);
/* Says that those of a revision cannot be told any more: CLADE_ERR_COMPACTED. */
int told_refuse(struct error *error, uint64_t revision, uint64_t oldest);
/* CLADE_ERR_COMPACTED: the change log begins above the revision; or another code. */
int told_compacted(struct reading *r, uint64_t revision);
