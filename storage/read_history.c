/* history: what each revision changed of one thing, newest first. The states of a thing stand in
 * its record and the history rows, its edges say when they came and went, and the change log says
 * who did it and why. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "command/value.h"
#include "storage/change_log.h"
#include "storage/floor.h"
#include "storage/pointer.h"
#include "storage/reading.h"

#define STATE_ARENA_BYTES (4u << 20)
/* A thing may have very many edges: the newest events are kept, and the page ends before those
 * that were dropped. One transaction makes fewer than EVENTS_KEPT. */
#define EVENTS_MAX  65536
#define EVENTS_KEPT 32768
_Static_assert(2 * CLADE_MAX_OPERATIONS < EVENTS_KEPT, "a page shows a revision at least");

enum event_kind { EVENT_ALIAS, EVENT_LINKED, EVENT_CHANGED, EVENT_UNLINKED };

static const enum edge_change edge_changes[] = {
    [EVENT_LINKED] = EDGE_LINKED, [EVENT_CHANGED] = EDGE_CHANGED, [EVENT_UNLINKED] = EDGE_UNLINKED};

/* What happened to something that belongs to the thing and is not in its record. */
struct event {
    uint64_t revision;
    uint64_t other;
    uint32_t label;
    enum event_kind kind;
};

/* The thing as of some revision. */
struct state {
    struct arena arena;
    struct thing *thing; /* NULL: it was not yet */
};

struct history {
    struct reading *r;
    uint64_t id;
    uint64_t below; /* only revisions below it */
    bool purged;    /* only its edges have a past */
    struct event *events;
    size_t len;
    size_t capacity;
    size_t at;          /* the next one to be shown */
    uint64_t floor;     /* events at or below it were dropped */
    uint64_t compacted; /* what changed at or below it is not told */
    struct state states[2];
    struct state *to;   /* after the next change of the record */
    struct state *from; /* before it */
};

/* --- Events --------------------------------------------------------------------------------- */

static int newest_first(const void *a, const void *b)
{
    const struct event *x = a;
    const struct event *y = b;
    if (x->revision != y->revision) {
        return x->revision > y->revision ? -1 : 1;
    }
    if (x->label != y->label) {
        return x->label < y->label ? -1 : 1;
    }
    if (x->other != y->other) {
        return x->other < y->other ? -1 : 1;
    }
    return (x->kind > y->kind) - (x->kind < y->kind);
}

static void sort_events(struct history *h)
{
    if (h->len > 1) {
        qsort(h->events, h->len, sizeof *h->events, newest_first);
    }
}

static void drop_oldest(struct history *h)
{
    sort_events(h);
    h->floor = h->events[EVENTS_KEPT].revision;
    h->len = EVENTS_KEPT;
    while (h->len > 0 && h->events[h->len - 1].revision == h->floor) {
        h->len--;
    }
}

static int add_event(struct history *h,
                     enum event_kind kind,
                     uint64_t revision,
                     const struct edge *e)
{
    if (revision >= h->below || revision <= h->floor || revision <= h->compacted) {
        return 0;
    }
    if (h->len == EVENTS_MAX) {
        drop_oldest(h);
    }
    if (h->len == h->capacity) {
        size_t capacity = h->capacity == 0 ? 64 : 2 * h->capacity;
        struct event *grown = realloc(h->events, capacity * sizeof *grown);
        if (grown == NULL) {
            return error_set(h->r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
        }
        h->events = grown;
        h->capacity = capacity;
    }
    h->events[h->len++] =
        (struct event){.revision = revision, .other = e->other, .label = e->label, .kind = kind};
    return 0;
}

static int on_alias(void *arg, uint64_t revision)
{
    struct history *h = arg;
    static const struct edge none = {.label = 0};
    if (reading_step(h->r)) {
        return error_set(h->r->error, CLADE_ERR_LIMIT, NULL,
                         "the model's aliases moved too often for the time that was given");
    }
    return add_event(h, EVENT_ALIAS, revision, &none);
}

static int on_edge(void *arg, const struct edge *edge)
{
    struct history *h = arg;
    if (reading_step(h->r)) {
        return error_set(h->r->error, CLADE_ERR_LIMIT, NULL,
                         "the thing has too many edges for the time that was given");
    }
    int rc = add_event(h, EVENT_LINKED, edge->created, edge);
    return rc != 0 || edge->ended == 0 ? rc : add_event(h, EVENT_UNLINKED, edge->ended, edge);
}

/* Each row of props but the edge's first is a change. */
static int collect_props(struct history *h)
{
    struct view *v = h->r->view;
    struct key key = key_u64(h->id);
    struct row row;
    int rc = view_seek(v, TABLE_EDGE_PROPS, key_span(&key), &row);
    for (; rc == 0; rc = view_next(v, TABLE_EDGE_PROPS, &row)) {
        struct edge_props p;
        if (row.key.len != EDGE_PROPS_KEY_BYTES || memcmp(row.key.data, key.bytes, 8) != 0) {
            return 0;
        }
        struct edge edge = {.label = get_u32be(row.key.data + 8),
                            .other = get_u64be(row.key.data + 12)};
        reading_next_item(h->r);
        rc = edge_props_decode(v, h->r->scratch, &row, &p);
        if (rc == 0 && p.set != p.edge) {
            rc = add_event(h, EVENT_CHANGED, p.set, &edge);
        }
        if (rc == 0 && reading_step(h->r)) {
            rc = error_set(h->r->error, CLADE_ERR_LIMIT, NULL,
                           "the thing has too many edges for the time that was given");
        }
        if (rc != 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : 0;
}

/* --- States --------------------------------------------------------------------------------- */

static int load(struct history *h, struct state *s, uint64_t revision)
{
    arena_reset(&s->arena);
    h->r->view->revision = revision;
    int rc = lookup_thing(h->r->view, &s->arena, h->id, &s->thing);
    if (rc == 1) {
        s->thing = NULL;
        rc = 0;
    }
    return rc;
}

/* --- Showing -------------------------------------------------------------------------------- */

/* What the change log says of the model's aliases at the revision, move by move. */
static int put_aliases(struct history *h, struct span row)
{
    struct reading *r = h->r;
    struct span copy = arena_copy_span(r->scratch, row);
    if (copy.data == NULL) {
        return arena_failure(r->scratch, row.len, r->error);
    }
    struct varint_reader v = {.rest = copy};
    uint64_t changes = varint_get(&v);
    value_put_str(r->out, "aliases");
    size_t at = value_begin_array(r->out);
    uint32_t members = 0;
    int rc = 0;
    for (uint64_t i = 0; i < changes && rc == 0 && !v.failed; i++) {
        struct change c = change_next(&v);
        if (c.alias.len > 0 && c.id == h->id) {
            rc = change_put_alias(r, &c);
            members++;
        }
    }
    value_end(r->out, at, members);
    return rc;
}

/* Passes over the aliases' events of the revision, which come first; whether there were any. */
static bool take_alias_events(struct history *h, uint64_t revision)
{
    bool any = false;
    while (h->at < h->len && h->events[h->at].revision == revision &&
           h->events[h->at].kind == EVENT_ALIAS) {
        any = true;
        h->at++;
    }
    return any;
}

static int put_events(struct history *h, uint64_t revision)
{
    value_put_str(h->r->out, "edges");
    size_t at = value_begin_array(h->r->out);
    uint32_t members = 0;
    int rc = 0;
    for (; h->at < h->len && h->events[h->at].revision == revision && rc == 0; h->at++) {
        const struct event *e = &h->events[h->at];
        rc = change_put_edge(h->r, h->id, e->label, e->other, edge_changes[e->kind], h->purged);
        members++;
    }
    value_end(h->r->out, at, members);
    return rc;
}

/* Whether the change log says that something was logged to the thing. */
static bool was_logged(const struct history *h, struct span row)
{
    struct varint_reader v = {.rest = row};
    uint64_t changes = varint_get(&v);
    for (uint64_t i = 0; i < changes && !v.failed; i++) {
        struct change c = change_next(&v);
        if (c.kind == CHANGE_LOGGED && c.id == h->id) {
            return true;
        }
    }
    return false;
}

static int put_record_change(struct history *h, bool logged)
{
    value_put_str(h->r->out, "change");
    value_put_str(h->r->out, change_word(h->from->thing, h->to->thing));
    const struct thing *from = h->to->thing->purged ? h->to->thing : h->from->thing;
    return history_put_fields(h->r, from, h->to->thing, logged);
}

/* Whether the record has a change that is to be told. */
static bool has_record(const struct history *h)
{
    return h->to->thing != NULL &&
           (h->compacted == 0 || h->to->thing->changed.revision > h->compacted);
}

/* The revision that is next: 0 when there is none. */
static uint64_t next_revision(const struct history *h)
{
    uint64_t record = has_record(h) ? h->to->thing->changed.revision : 0;
    uint64_t event = h->at < h->len ? h->events[h->at].revision : 0;
    return record > event ? record : event;
}

static int show(struct history *h, uint64_t revision, bool of_record)
{
    struct reading *r = h->r;
    struct change_who who;
    int rc = change_who_find(r->view, revision, &who);
    if (rc != 0) {
        return rc;
    }
    if (of_record && who.time_us == 0) {
        who.time_us = h->to->thing->changed.time_us;
        who.principal = h->to->thing->changed.principal;
    }
    size_t mark = r->out->len;
    size_t at = value_begin_map(r->out);
    uint32_t members = change_put_who(r->out, revision, &who);
    if (of_record) {
        bool logged = !h->purged && who.changes.len > 0 && was_logged(h, who.changes);
        rc = put_record_change(h, logged);
        members += 2;
    }
    bool aliases = take_alias_events(h, revision);
    if (rc == 0 && h->at < h->len && h->events[h->at].revision == revision) {
        rc = put_events(h, revision);
        members++;
    }
    if (rc == 0 && aliases && who.changes.len > 0) {
        rc = put_aliases(h, who.changes);
        members++;
    }
    value_end(r->out, at, members);
    return rc != 0 ? rc : reading_emitted(r, mark);
}

/* One revision: 0, 1 when the page ends before it, 2 when there are no more, or a code. */
static int step(struct history *h)
{
    struct reading *r = h->r;
    uint64_t revision = next_revision(h);
    if (!has_record(h) && h->at == h->len && h->floor == 0) {
        return 2;
    }
    if (r->items >= r->query->limit || (h->floor > 0 && revision <= h->floor)) {
        r->full = true;
        return 1;
    }
    if (reading_step(r)) {
        return 1;
    }
    reading_next_item(r);
    bool of_record = has_record(h) && h->to->thing->changed.revision == revision;
    h->from->thing = NULL;
    int rc = 0;
    if (of_record && !h->purged && h->to->thing->created.revision < revision) {
        rc = load(h, h->from, revision - 1);
    }
    r->view->revision = revision; /* names are shown as they were */
    if (rc == 0) {
        rc = show(h, revision, of_record);
    }
    if (rc == 0 && of_record) {
        struct state *newer = h->to;
        h->to = h->from;
        h->from = newer;
    }
    if (rc == 0) {
        uint8_t next[8];
        put_u64be(next, revision);
        reading_set_next(r, span_make(next, sizeof next));
    }
    return rc;
}

static int answer(struct history *h)
{
    struct reading *r = h->r;
    struct key aliases = key_alias(h->id, (struct span){0});
    int rc = load(h, h->to, h->below - 1);
    if (rc == 0 && h->to->thing != NULL && h->to->thing->purged) {
        h->purged = true;
        /* It was so at each revision; of its past only when it was purged is told. */
        h->to->thing = h->to->thing->changed.revision < h->below ? h->to->thing : NULL;
    }
    if (rc == 0) {
        rc = lookup_all_edges(r->view, TABLE_EDGES_OUT, h->id, on_edge, h);
    }
    if (rc == 0 && !h->purged) {
        rc = pointer_moves(r->view, TABLE_ALIASES, &aliases, on_alias, h);
    }
    if (rc == 0 && !h->purged) {
        rc = collect_props(h);
    }
    sort_events(h);
    size_t at = value_begin_array(r->out);
    while (rc == 0) {
        rc = step(h);
    }
    value_end(r->out, at, r->items);
    return rc < 0 ? rc : 0;
}

int read_history(struct reading *r)
{
    uint64_t revision = r->view->revision;
    struct history h = {.r = r, .below = revision + 1};
    if (r->position.len != 0) {
        if (r->position.len != 8 || get_u64be(r->position.data) > revision ||
            get_u64be(r->position.data) == 0) {
            return reading_bad_cursor(r);
        }
        h.below = get_u64be(r->position.data);
    }
    struct thing *thing;
    int rc = reading_resolve(r, &r->query->start, &thing);
    if (rc != 0) {
        error_prefix_where(r->error, "ref");
        return rc;
    }
    h.id = thing->id;
    uint64_t created = thing->created.revision;
    rc = floor_of_id(r->view, r->scratch, h.id, &h.compacted);
    if (rc != 0) {
        return rc;
    }
    r->compacted = created <= h.compacted ? h.compacted : 0;
    h.to = &h.states[0];
    h.from = &h.states[1];
    arena_init(&h.states[0].arena, STATE_ARENA_BYTES);
    arena_init(&h.states[1].arena, STATE_ARENA_BYTES);
    rc = answer(&h);
    arena_release(&h.states[0].arena);
    arena_release(&h.states[1].arena);
    free(h.events);
    r->view->revision = revision; /* that the answer is of */
    return rc;
}
