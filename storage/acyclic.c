/* Labels whose edges, taken together, close no cycle: what a thing was derived from, what it
 * contains, what it is a snapshot of or stands for. A link is looked at before it is made: if its
 * `to` reaches its `from` along these labels it is refused, and the shortest cycle is named. */
#include <inttypes.h>
#include <stdlib.h>

#include "storage/command.h"

#define HOPS_SHOWN_MAX 8  /* of a cycle, in the message */
#define HOPS_SHOWN_END 2  /* of them those at its end */
#define REF_SHOWN_MAX  48 /* bytes */
#define TEXT_BYTES_MAX 4096

static const char *const labels[COMMAND_ACYCLIC_LABELS] = {
    "derived_from", "fine_tuned_from", "distilled_from", "merged_from", "quantized_from",
    "adapter_of",   "contains",        "version_of",     "stands_for"};

/* A thing that was met, and how. */
struct hop {
    uint64_t id;
    uint32_t parent; /* the hop it was met from */
    uint32_t label;
};

struct look {
    struct command *c;
    uint64_t ns;                             /* whose types are asked */
    uint32_t labels[COMMAND_ACYCLIC_LABELS]; /* that are followed */
    unsigned labels_len;
    uint64_t goal;
    struct hop *hops; /* in the order in which they were met */
    uint32_t len;
    uint32_t capacity;
    uint32_t *slots; /* hash of ids: the hop's place + 1, 0 = free; twice `capacity` of them */
    uint32_t at;     /* the hop whose edges are read */
    bool found;
};

static bool is_acyclic(struct span label)
{
    for (size_t i = 0; i < COMMAND_ACYCLIC_LABELS; i++) {
        if (span_equal_str(label, labels[i])) {
            return true;
        }
    }
    return false;
}

/* The numbers of those labels that are in use. */
static int find_labels(struct command *c)
{
    if (c->acyclic_at == c->rows->meta.next_label) {
        return 0;
    }
    c->acyclic_len = 0;
    for (size_t i = 0; i < COMMAND_ACYCLIC_LABELS; i++) {
        int rc = lookup_label(c->view, span_of(labels[i]), &c->acyclic[c->acyclic_len]);
        if (rc < 0) {
            return rc;
        }
        c->acyclic_len += rc == 0;
    }
    c->acyclic_at = c->rows->meta.next_label;
    return 0;
}

/* Whether a type of the namespace lets edges with the label form cycles. */
static int may_cycle(struct command *c, uint64_t ns, struct span label, bool *ret)
{
    struct thing *type = NULL;
    int rc = command_find_edge_type(c, ns, label, &type);
    *ret = rc == 0 && type->fields[FIELD_CYCLIC].number != 0;
    return rc < 0 ? rc : 0;
}

/* Those that are in use and that no type frees. */
static int choose_labels(struct look *k)
{
    struct command *c = k->c;
    for (unsigned i = 0; i < c->acyclic_len; i++) {
        struct span label;
        bool free_label;
        int rc = lookup_label_text(c->view, c->scratch, c->acyclic[i], &label);
        if (rc == 0) {
            rc = may_cycle(c, k->ns, label, &free_label);
        }
        if (rc != 0) {
            return rc;
        }
        if (!free_label) {
            k->labels[k->labels_len++] = c->acyclic[i];
        }
    }
    return 0;
}

static int too_many_edges(struct command *c)
{
    return error_set(c->error, CLADE_ERR_LIMIT, NULL,
                     "the search for cycles would visit more than %d edges; link fewer in a "
                     "transaction",
                     CLADE_MAX_CYCLE_EDGES);
}

/* --- Things that were met ------------------------------------------------------------------- */

static uint32_t *slot_of(const struct look *k, uint64_t id)
{
    uint32_t mask = 2 * k->capacity - 1;
    uint32_t i = (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;
    while (k->slots[i] != 0 && k->hops[k->slots[i] - 1].id != id) {
        i = (i + 1) & mask;
    }
    return &k->slots[i];
}

static int grow(struct look *k)
{
    uint32_t capacity = k->capacity == 0 ? 64 : 2 * k->capacity;
    struct hop *hops = realloc(k->hops, capacity * sizeof *hops);
    if (hops != NULL) {
        k->hops = hops;
    }
    uint32_t *slots = hops == NULL ? NULL : calloc(2 * (size_t)capacity, sizeof *slots);
    if (slots == NULL) {
        return error_set(k->c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    free(k->slots);
    k->slots = slots;
    k->capacity = capacity;
    for (uint32_t i = 0; i < k->len; i++) {
        *slot_of(k, k->hops[i].id) = i + 1;
    }
    return 0;
}

static int meet(struct look *k, uint64_t id, uint32_t label)
{
    int rc = k->len == k->capacity ? grow(k) : 0;
    if (rc != 0) {
        return rc;
    }
    uint32_t *slot = slot_of(k, id);
    if (*slot == 0) {
        k->hops[k->len++] = (struct hop){.id = id, .parent = k->at, .label = label};
        *slot = k->len;
    }
    return 0;
}

/* --- Walking -------------------------------------------------------------------------------- */

/* 2 ends the walk: the goal is reached. */
static int on_edge(void *arg, const struct edge *edge)
{
    struct look *k = arg;
    int rc = meet(k, edge->other, edge->label);
    k->found = rc == 0 && edge->other == k->goal;
    return k->found ? 2 : rc;
}

/* Breadth first, so that the cycle that is named is the shortest. */
static int walk(struct look *k)
{
    struct command *c = k->c;
    for (; k->at < k->len && !k->found; k->at++) {
        uint64_t id = k->hops[k->at].id;
        for (unsigned i = 0; i < k->labels_len && !k->found; i++) {
            int rc = lookup_edges_of(c->view, TABLE_EDGES_OUT, id, k->labels[i],
                                     &c->cycle_visits_left, on_edge, k);
            if (rc < 0 || rc == 1) {
                return rc < 0 ? rc : too_many_edges(c);
            }
        }
    }
    return 0;
}

static int on_incoming(void *arg, const struct edge *edge)
{
    (void)edge;
    *(bool *)arg = true;
    return 2;
}

/* Whether anything could lead back to the thing: usually nothing does. */
static int has_incoming(struct command *c, uint64_t id, bool *ret)
{
    *ret = false;
    for (unsigned i = 0; i < c->acyclic_len && !*ret; i++) {
        int rc = lookup_edges_of(c->view, TABLE_EDGES_IN, id, c->acyclic[i], &c->cycle_visits_left,
                                 on_incoming, ret);
        if (rc < 0 || rc == 1) {
            return rc < 0 ? rc : too_many_edges(c);
        }
    }
    return 0;
}

/* --- The cycle ------------------------------------------------------------------------------ */

static int put_ref(struct command *c, uint64_t id, struct buffer *text)
{
    struct span ref;
    int rc = render_ref_of_id(&c->render, id, &ref);
    if (rc == 0 && ref.len > REF_SHOWN_MAX) {
        buffer_append(text, ref.data, REF_SHOWN_MAX);
        buffer_append_str(text, "...");
    } else if (rc == 0) {
        buffer_append_span(text, ref);
    }
    return rc;
}

static int put_hop(struct command *c, const struct hop *hop, struct buffer *text)
{
    struct span label;
    int rc = lookup_label_text(c->view, c->scratch, hop->label, &label);
    if (rc == 0) {
        buffer_append_fmt(text, " %.*s ", SPAN_FMT(label));
        rc = put_ref(c, hop->id, text);
    }
    return rc;
}

/* From `from` over the new edge to hop 0 and on to the last hop, which is `from` again. */
static int put_cycle(struct look *k, uint64_t from, uint32_t label, struct buffer *text)
{
    uint32_t len = 1;
    for (uint32_t i = k->len - 1; i != 0; i = k->hops[i].parent) {
        len++;
    }
    uint32_t *path = calloc(len, sizeof *path);
    if (path == NULL) {
        return error_set(k->c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    for (uint32_t i = k->len - 1, n = len; n > 0; i = k->hops[i].parent) {
        path[--n] = i;
    }
    k->hops[0].label = label;
    int rc = put_ref(k->c, from, text);
    for (uint32_t n = 0; n < len && rc == 0; n++) {
        bool skipped = len > HOPS_SHOWN_MAX && n >= HOPS_SHOWN_MAX - HOPS_SHOWN_END &&
                       n < len - HOPS_SHOWN_END;
        if (!skipped) {
            rc = put_hop(k->c, &k->hops[path[n]], text);
        } else if (n == HOPS_SHOWN_MAX - HOPS_SHOWN_END) {
            buffer_append_fmt(text, " ... (%u more) ...", len - HOPS_SHOWN_MAX);
        }
    }
    free(path);
    return rc;
}

static int refuse(struct look *k, uint64_t from, uint32_t label)
{
    struct buffer text;
    buffer_init(&text, TEXT_BYTES_MAX);
    int rc = put_cycle(k, from, label, &text);
    if (rc == 0) {
        rc = error_set(k->c->error, CLADE_ERR_CYCLE, NULL, "the edge would close a cycle: %.*s",
                       SPAN_FMT(buffer_span(&text)));
        k->c->error->id = k->hops[0].id;
    }
    buffer_release(&text);
    return rc;
}

int edge_check_cycle(
    struct command *c, const struct thing *from, struct span label, uint32_t number, uint64_t to)
{
    bool needed = is_acyclic(label);
    int rc = needed ? find_labels(c) : 0;
    if (rc == 0 && needed && from->id != to) {
        rc = has_incoming(c, from->id, &needed);
    }
    bool freed = false;
    if (rc == 0 && needed) {
        rc = may_cycle(c, from->ns, label, &freed);
    }
    if (rc != 0 || !needed || freed) {
        return rc;
    }
    struct look k = {.c = c, .ns = from->ns, .goal = from->id, .found = from->id == to};
    rc = meet(&k, to, number);
    if (rc == 0) {
        rc = choose_labels(&k);
    }
    if (rc == 0) {
        rc = walk(&k);
    }
    if (rc == 0 && k.found) {
        rc = refuse(&k, from->id, number);
    }
    free(k.hops);
    free(k.slots);
    return rc;
}
