/* audit: transactions, the newest first, as far as they pass. There is no index by principal: it
 * reads the change log, and says how much of it. */
#include "command/value.h"
#include "storage/floor.h"
#include "storage/told.h"

#define AUDIT_ROWS_MAX 1000000u /* of one page */

struct audit {
    struct query query; /* with the thing's id */
    uint64_t low;       /* the first revision that counts */
    uint64_t below;     /* the next is the one before it */
};

static int audit_bounds(struct reading *r, struct audit *a)
{
    const struct query *q = r->query;
    uint64_t revision = r->view->revision;
    uint64_t high = revision;
    int rc = 0;
    a->low = 1;
    if (q->has_from_time) {
        rc = q->from_time_us == 0 ? 0 : lookup_revision_at(r->view, q->from_time_us - 1, &a->low);
        a->low += rc == 0 && q->from_time_us != 0;
    }
    if (rc == 0 && q->has_to_time) {
        rc = lookup_revision_at(r->view, q->to_time_us, &high);
    }
    a->below = (high < revision ? high : revision) + 1;
    if (rc == 0 && r->position.len != 0) {
        if (r->position.len != 8 || get_u64be(r->position.data) > a->below) {
            return reading_bad_cursor(r);
        }
        a->below = get_u64be(r->position.data);
    }
    return rc;
}

/* Below which revision something is left out of what is asked for. */
static int audit_floor(struct reading *r, const struct audit *a, uint64_t *ret)
{
    return a->query.changes.id != 0 ? floor_of_id(r->view, r->scratch, a->query.changes.id, ret)
                                    : floor_under(r->view, r->query->changes.under, ret);
}

static int audit_thing(struct reading *r, struct audit *a)
{
    struct thing *thing;
    if (!r->query->has_start) {
        return 0;
    }
    int rc = reading_resolve(r, &r->query->start, &thing);
    if (rc != 0) {
        error_prefix_where(r->error, "ref");
        return rc;
    }
    a->query.changes.id = thing->id;
    if (thing->created.revision > a->low) {
        a->low = thing->created.revision;
    }
    return 0;
}

/* The row of the change log at `below` - 1, or the next one down where compaction has taken some; 1
 * when there is none. */
static int audit_row(struct reading *r, struct audit *a, struct row *ret)
{
    struct key key = key_u64(a->below);
    int rc = view_before(r->view, TABLE_CHANGES, key_span(&key), ret);
    uint64_t revision = rc == 0 && ret->key.len == 8 ? get_u64be(ret->key.data) : 0;
    if (rc < 0) {
        return rc;
    }
    if (revision + 1 < a->below && a->below - 1 > r->view->floor_max) {
        return told_compacted(r, a->below - 1);
    }
    a->below = revision + 1;
    return revision < a->low ? 1 : 0;
}

/* One revision: 0, 1 when the page ends before it, or a code. */
static int audit_step(struct told *t, struct audit *a)
{
    struct reading *r = t->r;
    if (r->items >= r->query->limit) {
        r->full = true;
        return 1;
    }
    if (r->read_rows >= AUDIT_ROWS_MAX || reading_step(r)) {
        r->stopped = true;
        return 1;
    }
    struct row row;
    int rc = audit_row(r, a, &row);
    if (rc == 1) {
        a->below = a->low;
        return 0;
    }
    uint64_t revision = a->below - 1;
    if (rc == 0) {
        rc = told_begin(t, revision, row.value);
    }
    size_t mark = r->out->len;
    if (rc == 0) {
        rc = told_put(t, &a->query, r->out);
    }
    if (rc == 0) {
        rc = reading_emitted(r, mark);
        if (rc != 0) {
            return rc;
        }
    }
    if (rc >= 0) {
        uint8_t next[8];
        put_u64be(next, revision);
        reading_set_next(r, span_make(next, sizeof next));
        a->below = revision;
        r->read_rows++;
    }
    return rc == 1 ? 0 : rc;
}

int read_audit(struct reading *r)
{
    uint64_t revision = r->view->revision;
    struct audit a = {.query = *r->query};
    struct told t;
    int rc = audit_bounds(r, &a);
    if (rc == 0) {
        rc = audit_thing(r, &a);
    }
    uint64_t floor = 0;
    rc = rc != 0 ? rc : audit_floor(r, &a, &floor);
    if (rc != 0) {
        return rc;
    }
    r->compacted = floor >= a.low ? floor : 0;
    if (a.query.changes.id != 0 && floor >= a.low) {
        a.low = floor + 1;
    }
    told_open(&t, r);
    size_t at = value_begin_array(r->out);
    while (rc == 0 && a.below > a.low) {
        rc = audit_step(&t, &a);
    }
    value_end(r->out, at, r->items);
    told_close(&t);
    r->view->revision = revision; /* that the answer is of */
    return rc < 0 ? rc : 0;
}
