/* Where a search's candidates come from. */
#include <stdlib.h>

#include "storage/search.h"

bool search_row(struct search_run *s)
{
    if (++s->rows >= SEARCH_ROWS_MAX) {
        s->is_exhausted = true;
    }
    return reading_step(s->r) || s->is_exhausted;
}

static int out_of_memory(struct search_run *s)
{
    return error_set(s->r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
}

bool source_init_set(struct search_run *s, struct id_pages *set)
{
    if (s->sets_len == sizeof s->sets / sizeof *s->sets) {
        return false;
    }
    if (!id_pages_init(set, s->r->meta.next_id)) {
        return false;
    }
    s->sets[s->sets_len++] = set;
    return true;
}

/* --- One value, and everything ---------------------------------------------------------------- */

/* Whether the row is one of the source's, and which thing it is of. */
static bool is_of(const struct source *source, struct span row_key, uint64_t *ret_id)
{
    size_t tail = source->kind == SOURCE_ALL ? 8 : VALUE_TAIL_BYTES;
    if (row_key.len != source->prefix.len + tail || !key_begins(row_key, &source->prefix)) {
        return false;
    }
    *ret_id = get_u64be(row_key.data + source->prefix.len);
    return true;
}

/* Rows of longer keys may stand between those of one value only where a text goes on, and no text
 * does behind its end. */
static int seek_rows(
    struct search_run *s, const struct source *source, uint64_t id, bool backward, uint64_t *ret)
{
    struct view *v = s->r->view;
    struct key key = source->prefix;
    struct row row;
    key_add_tail(&key, id, backward ? UINT64_MAX : 0);
    if (source->kind == SOURCE_ALL && !backward) {
        key.len -= 8;
    }
    if (backward) {
        key.bytes[key.len++] = 0;
    }
    int rc = backward ? view_before(v, TABLE_VALUES, key_span(&key), &row)
                      : view_seek(v, TABLE_VALUES, key_span(&key), &row);
    while (rc == 0 && is_of(source, row.key, ret)) {
        if (search_row(s)) {
            return 2;
        }
        if (row.value.len != VALUE_ROW_BYTES) {
            return row_corrupt(s->r->error, TABLE_VALUES, row.key, "has a wrong length");
        }
        if (lives_at(get_u64le(row.value.data), get_u64le(row.value.data + 8), v->revision)) {
            return 0;
        }
        rc = backward ? view_previous(v, TABLE_VALUES, &row) : view_next(v, TABLE_VALUES, &row);
    }
    return rc < 0 ? rc : 1;
}

/* --- Ranges ----------------------------------------------------------------------------------- */

typedef int (*range_cb)(void *arg, uint64_t id);

/* The thing that a row leads to, as of the view's revision; false when it did not then. */
static bool row_thing(const struct view *v, enum table table, const struct row *row, uint64_t *ret)
{
    const uint8_t *key = row->key.data;
    const uint8_t *value = row->value.data;
    size_t len = row->key.len;
    switch (table) {
    case TABLE_NAMES:
        *ret = get_u64le(value);
        return row->value.len == NAME_VALUE_BYTES &&
               lives_at(key_name_created(row->key), get_u64le(value + 8), v->revision);
    case TABLE_DIGESTS:
        *ret = get_u64be(key + len - 8);
        return row->value.len == 8 && get_u64le(value) <= v->revision;
    case TABLE_URIS:
        *ret = get_u64be(key + len - 16);
        return row->value.len == URI_VALUE_BYTES &&
               lives_at(get_u64le(value), get_u64le(value + 8), v->revision);
    case TABLE_VERSIONS:
        *ret = get_u64le(value);
        return row->value.len == 8;
    default:
        *ret = value_row_id(row->key);
        return row->value.len == VALUE_ROW_BYTES &&
               lives_at(get_u64le(value), get_u64le(value + 8), v->revision);
    }
}

static int each_of_range(struct search_run *s,
                         const struct source_range *range,
                         range_cb cb,
                         void *arg)
{
    struct view *v = s->r->view;
    struct row row;
    int rc = view_seek(v, range->table, key_span(&range->low), &row);
    while (rc == 0 && span_compare(row.key, key_span(&range->high)) < 0) {
        uint64_t id;
        if (search_row(s)) {
            return 2;
        }
        rc = row_thing(v, range->table, &row, &id) ? cb(arg, id) : 0;
        if (rc != 0) {
            return rc;
        }
        rc = view_next(v, range->table, &row);
    }
    return rc < 0 ? rc : 0;
}

struct filling {
    struct search_run *s;
    struct source *source;
    uint64_t count;
    uint64_t count_max;
};

static int on_count(void *arg, uint64_t id)
{
    struct filling *f = arg;
    (void)id;
    return ++f->count >= f->count_max ? 3 : 0;
}

static int on_fill(void *arg, uint64_t id)
{
    struct filling *f = arg;
    int added = id_pages_add(&f->source->set, id);
    f->count += added == 1;
    return added < 0 ? out_of_memory(f->s) : 0;
}

int source_estimate(struct search_run *s, struct source *source)
{
    struct filling f = {.s = s, .source = source, .count_max = s->count_max};
    int rc = 0;
    for (size_t i = 0; i < source->ranges_len && rc == 0; i++) {
        rc = each_of_range(s, &source->ranges[i], on_count, &f);
    }
    source->estimate = f.count;
    source->is_exact = rc == 0;
    return rc == 3 ? 0 : rc;
}

int source_fill(struct search_run *s, struct source *source)
{
    struct filling f = {.s = s, .source = source};
    int rc = 0;
    if (source->is_filled) {
        return 0;
    }
    if (!source_init_set(s, &source->set)) {
        return out_of_memory(s);
    }
    for (size_t i = 0; i < source->ranges_len && rc == 0; i++) {
        rc = each_of_range(s, &source->ranges[i], on_fill, &f);
    }
    source->is_filled = rc == 0;
    if (rc == 0) {
        source->estimate = f.count;
        source->is_exact = true;
    }
    return rc;
}

/* --- Together --------------------------------------------------------------------------------- */

/* The first id that all have: each says where it could be, until they agree. */
static int seek_all(
    struct search_run *s, struct source *source, uint64_t id, bool backward, uint64_t *ret)
{
    bool agreed = false;
    while (!agreed) {
        agreed = true;
        for (struct source *one = source->first; one != NULL; one = one->next) {
            uint64_t found;
            int rc = source_seek(s, one, id, backward, &found);
            if (rc != 0) {
                return rc;
            }
            agreed = agreed && (found == id || one == source->first);
            id = found;
        }
    }
    *ret = id;
    return 0;
}

static int seek_any(
    struct search_run *s, struct source *source, uint64_t id, bool backward, uint64_t *ret)
{
    bool has = false;
    for (struct source *one = source->first; one != NULL; one = one->next) {
        uint64_t found;
        int rc = source_seek(s, one, id, backward, &found);
        if (rc == 1) {
            continue;
        }
        if (rc != 0) {
            return rc;
        }
        if (!has || (backward ? found > *ret : found < *ret)) {
            *ret = found;
        }
        has = true;
    }
    return has ? 0 : 1;
}

int source_seek(
    struct search_run *s, struct source *source, uint64_t id, bool backward, uint64_t *ret)
{
    int rc = 0;
    switch (source->kind) {
    case SOURCE_ALL:
    case SOURCE_VALUE:
        return seek_rows(s, source, id, backward, ret);
    case SOURCE_SET:
        rc = source_fill(s, source);
        if (rc != 0) {
            return rc;
        }
        return (backward ? id_pages_previous(&source->set, id, ret)
                         : id_pages_next(&source->set, id, ret))
                   ? 0
                   : 1;
    case SOURCE_AND:
        return seek_all(s, source, id, backward, ret);
    case SOURCE_OR:
        return seek_any(s, source, id, backward, ret);
    }
    return 1;
}
