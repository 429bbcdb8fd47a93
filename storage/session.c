#include "storage/session.h"

#include <inttypes.h>

#include "base/check.h"

#define SESSION_VALUE_BYTES 32
#define RESULT_HEADER_BYTES 24
#define SWEEP_ROWS          8 /* sessions looked at each time one is opened */

static int put_session(struct rows *r, const struct session *s, bool is_new)
{
    uint8_t value[SESSION_VALUE_BYTES];
    put_u64le(value, s->used_ms);
    put_u64le(value + 8, s->lease_ms);
    put_u64le(value + 16, s->answered);
    put_u64le(value + 24, s->bytes);
    struct key key = key_u64(s->id);
    struct span v = span_make(value, sizeof value);
    return is_new ? row_insert(r, TABLE_SESSIONS, key_span(&key), v)
                  : row_put(r, TABLE_SESSIONS, key_span(&key), v);
}

static int decode_session(struct rows *r, struct row row, struct session *ret)
{
    if (row.key.len != 8 || row.value.len != SESSION_VALUE_BYTES) {
        return row_corrupt(r->view.error, TABLE_SESSIONS, row.key, "has a wrong length");
    }
    *ret = (struct session){
        .id = get_u64be(row.key.data),
        .used_ms = get_u64le(row.value.data),
        .lease_ms = get_u64le(row.value.data + 8),
        .answered = get_u64le(row.value.data + 16),
        .bytes = get_u64le(row.value.data + 24),
    };
    return 0;
}

static bool has_expired(const struct rows *r, const struct session *s)
{
    return r->meta.session_ms - s->used_ms > s->lease_ms;
}

/* Forgets results below `seq`. */
static int forget_results(struct rows *r, struct session *s, uint64_t seq)
{
    for (;;) {
        struct key key = key_u64_u64(s->id, 0);
        struct row row;
        int rc = view_seek(&r->view, TABLE_RESULTS, key_span(&key), &row);
        if (rc != 0) {
            return rc == 1 ? 0 : rc;
        }
        if (row.key.len != 16 || get_u64be(row.key.data) != s->id ||
            get_u64be(row.key.data + 8) >= seq) {
            return 0;
        }
        key = key_u64_u64(s->id, get_u64be(row.key.data + 8));
        s->bytes -= row.value.len < s->bytes ? row.value.len : s->bytes;
        rc = row_delete(r, TABLE_RESULTS, key_span(&key));
        if (rc != 0) {
            return rc;
        }
    }
}

static int end_session(struct rows *r, struct session *s)
{
    int rc = forget_results(r, s, UINT64_MAX);
    if (rc == 0) {
        struct key key = key_u64(s->id);
        rc = row_delete(r, TABLE_SESSIONS, key_span(&key));
    }
    if (rc == 0) {
        r->meta.sessions--;
    }
    return rc;
}

/* Ends a few sessions whose lease is over, going round the table: with one look for several each
 * time one is opened, the table cannot fill up with dead ones. */
static int sweep(struct rows *r)
{
    for (int i = 0; i < SWEEP_ROWS; i++) {
        struct key key = key_u64(r->meta.sweep);
        struct row row;
        int rc = view_seek(&r->view, TABLE_SESSIONS, key_span(&key), &row);
        if (rc == 1) {
            r->meta.sweep = 0;
            return 0;
        }
        struct session s = {0};
        if (rc == 0) {
            rc = decode_session(r, row, &s);
        }
        if (rc != 0) {
            return rc;
        }
        r->meta.sweep = s.id + 1;
        rc = has_expired(r, &s) ? end_session(r, &s) : 0;
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int session_open(struct rows *r, uint64_t lease_ms, uint64_t *ret_id)
{
    if (lease_ms == 0 || lease_ms > SESSION_LEASE_MS_MAX) {
        return error_set(r->view.error, CLADE_ERR_INVALID, "lease_ms",
                         "must be between 1 and %" PRIu64 " milliseconds", SESSION_LEASE_MS_MAX);
    }
    int rc = sweep(r);
    if (rc != 0) {
        return rc;
    }
    if (r->meta.sessions >= CLADE_MAX_SESSIONS) {
        return error_set(r->view.error, CLADE_ERR_LIMIT, NULL,
                         "%d sessions are open; close some or wait for their leases to end",
                         CLADE_MAX_SESSIONS);
    }
    struct session s = {
        .id = r->meta.next_session++,
        .used_ms = r->meta.session_ms,
        .lease_ms = lease_ms,
        .answered = 1,
    };
    r->meta.sessions++;
    *ret_id = s.id;
    return put_session(r, &s, true);
}

int session_find(struct rows *r, uint64_t id, struct session *ret)
{
    struct key key = key_u64(id);
    struct row row = {.key = key_span(&key)};
    struct session s = {0};
    int rc = view_get(&r->view, TABLE_SESSIONS, row.key, &row.value);
    if (rc == 0) {
        rc = decode_session(r, row, &s);
    }
    if (rc < 0) {
        return rc;
    }
    if (rc == 1 || has_expired(r, &s)) {
        return error_set(r->view.error, CLADE_ERR_SESSION_EXPIRED, "session",
                         "session %" PRIu64 " has ended or never was; open a new one", id);
    }
    *ret = s;
    return 0;
}

int session_close(struct rows *r, uint64_t id)
{
    struct session s;
    int rc = session_find(r, id, &s);
    return rc != 0 ? rc : end_session(r, &s);
}

static int first_answer(struct rows *r,
                        const struct session *s,
                        uint64_t seq,
                        struct apply_result *ret)
{
    struct key key = key_u64_u64(s->id, seq);
    struct span value;
    int rc = view_get(&r->view, TABLE_RESULTS, key_span(&key), &value);
    if (rc != 0) {
        return rc;
    }
    if (value.len < RESULT_HEADER_BYTES) {
        return row_corrupt(r->view.error, TABLE_RESULTS, key_span(&key), "is too short");
    }
    ret->code = (int)(int32_t)get_u32le(value.data);
    ret->changed = value.data[4] != 0;
    ret->revision = get_u64le(value.data + 8);
    ret->time_us = get_u64le(value.data + 16);
    ret->body = span_skip(value, RESULT_HEADER_BYTES);
    return 0;
}

int session_admit(struct rows *r,
                  const struct session *s,
                  const struct item *item,
                  struct apply_result *ret)
{
    struct error *e = r->view.error;
    if (item->seq == 0 || item->answered > item->seq) {
        return error_set(e, CLADE_ERR_INVALID, item->seq == 0 ? "seq" : "answered",
                         "commands are numbered from 1, and `answered` is not above the number of "
                         "the command that carries it");
    }
    if (item->seq < s->answered) {
        return error_set(e, CLADE_ERR_SESSION_EXPIRED, "seq",
                         "command %" PRIu64 " was said to be answered; its outcome is not known "
                         "any more",
                         item->seq);
    }
    int rc = first_answer(r, s, item->seq, ret);
    if (rc != 1) {
        return rc == 0 ? 1 : rc;
    }
    uint64_t answered = item->answered > s->answered ? item->answered : s->answered;
    if (item->seq - answered >= CLADE_MAX_SESSION_WINDOW) {
        return error_set(e, CLADE_ERR_LIMIT, "seq",
                         "more than %d commands would be without an answer; the lowest is %" PRIu64,
                         CLADE_MAX_SESSION_WINDOW, answered);
    }
    if (s->bytes > SESSION_BYTES_MAX && item->answered <= s->answered) {
        return error_set(e, CLADE_ERR_LIMIT, "answered",
                         "the session keeps more than %u MiB of answers; raise `answered`",
                         SESSION_BYTES_MAX >> 20);
    }
    return 0;
}

static int keep_result(struct rows *r,
                       struct session *s,
                       uint64_t seq,
                       const struct apply_result *result,
                       struct buffer *scratch)
{
    uint8_t header[RESULT_HEADER_BYTES] = {0};
    put_u32le(header, (uint32_t)(int32_t)result->code);
    header[4] = result->changed;
    put_u64le(header + 8, result->revision);
    put_u64le(header + 16, result->time_us);
    buffer_clear(scratch);
    buffer_append(scratch, header, sizeof header);
    buffer_append_span(scratch, result->body);
    if (scratch->failed) {
        return error_set(r->view.error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    struct key key = key_u64_u64(s->id, seq);
    s->bytes += scratch->len;
    return row_insert(r, TABLE_RESULTS, key_span(&key), buffer_span(scratch));
}

int session_record(struct rows *r,
                   struct session *s,
                   const struct item *item,
                   const struct apply_result *result,
                   struct buffer *scratch)
{
    int rc = 0;
    if (item->answered > s->answered) {
        s->answered = item->answered;
        rc = forget_results(r, s, s->answered);
    }
    if (rc == 0 && result != NULL) {
        rc = keep_result(r, s, item->seq, result, scratch);
    }
    s->used_ms = r->meta.session_ms;
    return rc != 0 ? rc : put_session(r, s, false);
}
