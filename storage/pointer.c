#include "storage/pointer.h"

#include "base/check.h"
#include "storage/command.h"

#define SEEKS_MAX 100000 /* pointers that a look into the past passes over */

static int decode(
    struct view *v, enum table table, struct span key, struct span value, struct pointer *ret)
{
    if (value.len != POINTER_VALUE_BYTES) {
        return row_corrupt(v->error, table, key, "has a wrong length");
    }
    *ret = (struct pointer){.what = get_u64le(value.data), .created = get_u64le(value.data + 8)};
    return 0;
}

struct key pointer_past_key(const struct key *key, uint64_t ended)
{
    struct key past = *key;
    CHECK(past.bytes[0] == POINTER_NOW && past.len + 8 <= KEY_BYTES_MAX);
    past.bytes[0] = POINTER_PAST;
    put_u64be(past.bytes + past.len, ended);
    past.len = (uint16_t)(past.len + 8);
    return past;
}

/* What held at the view's revision and ended since: the first that ended after it. */
static int get_past(struct view *v, enum table table, const struct key *key, struct pointer *ret)
{
    if (v->revision == UINT64_MAX) {
        return 1;
    }
    struct key from = pointer_past_key(key, v->revision + 1);
    struct row row;
    int rc = view_seek(v, table, key_span(&from), &row);
    if (rc != 0) {
        return rc;
    }
    if (row.key.len != from.len || memcmp(row.key.data, from.bytes, from.len - 8u) != 0) {
        return 1;
    }
    rc = decode(v, table, row.key, row.value, ret);
    return rc != 0 ? rc : ret->created > v->revision;
}

int pointer_get(struct view *v, enum table table, const struct key *key, struct pointer *ret)
{
    struct span value;
    struct pointer found;
    int rc = view_get(v, table, key_span(key), &value);
    if (rc == 0) {
        rc = decode(v, table, key_span(key), value, &found);
    }
    if (rc == 1 || (rc == 0 && found.created > v->revision)) {
        rc = get_past(v, table, key, &found);
    }
    if (rc == 0) {
        *ret = found;
    }
    return rc;
}

int pointer_first(struct view *v, enum table table, const struct key *prefix, struct pointer *ret)
{
    struct row row;
    int rc = view_seek(v, table, key_span(prefix), &row);
    if (rc != 0) {
        return rc;
    }
    return key_begins(row.key, prefix) ? decode(v, table, row.key, row.value, ret) : 1;
}

static int each_now(
    struct view *v, enum table table, const struct key *prefix, pointer_cb cb, void *arg)
{
    struct row row;
    int rc = view_seek(v, table, key_span(prefix), &row);
    for (; rc == 0 && key_begins(row.key, prefix); rc = view_next(v, table, &row)) {
        struct pointer found;
        struct key key;
        rc = decode(v, table, row.key, row.value, &found);
        if (rc == 0 && found.created <= v->revision) {
            memcpy(key.bytes, row.key.data, row.key.len);
            key.len = (uint16_t)row.key.len;
            rc = cb(arg, &key, &found);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : 0;
}

/* Every pointer that ever was under the prefix, each looked at where it ended after the view's
 * revision, and passed over whole. */
static int each_past(
    struct view *v, enum table table, const struct key *prefix, pointer_cb cb, void *arg)
{
    struct key from = *prefix;
    struct row row;
    from.bytes[0] = POINTER_PAST;
    struct key begin = from;
    int rc = view_seek(v, table, key_span(&from), &row);
    for (int i = 0; rc == 0 && key_begins(row.key, &begin); i++) {
        if (row.key.len < begin.len + 8u) {
            return row_corrupt(v->error, table, row.key, "has a wrong length");
        }
        if (i == SEEKS_MAX) {
            return error_set(v->error, CLADE_ERR_LIMIT, NULL,
                             "more than %d pointers were there since; ask for a newer state",
                             SEEKS_MAX);
        }
        struct key key;
        struct pointer found;
        memcpy(key.bytes, row.key.data, row.key.len - 8u);
        key.bytes[0] = POINTER_NOW;
        key.len = (uint16_t)(row.key.len - 8u);
        rc = get_past(v, table, &key, &found);
        rc = rc == 0 ? cb(arg, &key, &found) : rc == 1 ? 0 : rc;
        if (rc != 0) {
            return rc;
        }
        from = pointer_past_key(&key, UINT64_MAX);
        rc = view_seek(v, table, key_span(&from), &row);
    }
    return rc < 0 ? rc : 0;
}

int pointer_is_newest(struct view *v, bool *ret)
{
    struct meta meta = {.revision = UINT64_MAX};
    int rc = v->revision == UINT64_MAX ? 0 : view_meta(v, &meta);
    *ret = v->revision >= meta.revision;
    return rc;
}

int pointer_each(
    struct view *v, enum table table, const struct key *prefix, pointer_cb cb, void *arg)
{
    int rc = each_now(v, table, prefix, cb, arg);
    bool newest = true;
    if (rc == 0) {
        rc = pointer_is_newest(v, &newest);
    }
    return rc != 0 || newest ? rc : each_past(v, table, prefix, cb, arg);
}

int pointer_moves(
    struct view *v, enum table table, const struct key *prefix, pointer_move_cb cb, void *arg)
{
    struct key from = *prefix;
    for (int space = POINTER_NOW; space <= POINTER_PAST; space++) {
        struct row row;
        from.bytes[0] = (uint8_t)space;
        int rc = view_seek(v, table, key_span(&from), &row);
        for (; rc == 0 && key_begins(row.key, &from); rc = view_next(v, table, &row)) {
            struct pointer found;
            rc = decode(v, table, row.key, row.value, &found);
            if (rc == 0) {
                rc = cb(arg, found.created);
            }
            if (rc == 0 && space == POINTER_PAST) {
                rc = cb(arg, get_u64le(row.value.data + 16));
            }
            if (rc != 0) {
                return rc;
            }
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* --- Writing -------------------------------------------------------------------------------- */

static void encode(const struct pointer *p, uint64_t ended, uint8_t bytes[POINTER_VALUE_BYTES])
{
    put_u64le(bytes, p->what);
    put_u64le(bytes + 8, p->created);
    put_u64le(bytes + 16, ended);
}

/* A pointer of this very revision was never seen, and leaves nothing. */
static int keep_past(struct command *c,
                     enum table table,
                     const struct key *key,
                     const struct pointer *p)
{
    if (p->created == c->revision) {
        return 0;
    }
    struct key past = pointer_past_key(key, c->revision);
    uint8_t bytes[POINTER_VALUE_BYTES];
    encode(p, c->revision, bytes);
    return row_insert(c->rows, table, key_span(&past), span_make(bytes, sizeof bytes));
}

int pointer_set(struct command *c, enum table table, const struct key *key, uint64_t what)
{
    struct pointer old;
    int rc = pointer_get(c->view, table, key, &old);
    if (rc == 0) {
        rc = keep_past(c, table, key, &old);
    }
    if (rc < 0) {
        return rc;
    }
    struct pointer new = {.what = what, .created = c->revision};
    uint8_t bytes[POINTER_VALUE_BYTES];
    encode(&new, 0, bytes);
    return row_put(c->rows, table, key_span(key), span_make(bytes, sizeof bytes));
}

int pointer_unset(struct command *c, enum table table, const struct key *key)
{
    struct pointer old;
    int rc = pointer_get(c->view, table, key, &old);
    if (rc == 1) {
        return row_corrupt(c->error, table, key_span(key), "is missing");
    }
    if (rc == 0) {
        rc = keep_past(c, table, key, &old);
    }
    return rc != 0 ? rc : row_delete(c->rows, table, key_span(key));
}
