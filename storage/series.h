#pragma once
/* Metric series as they are stored: a row that sums a series up, and its points packed in chunks
 * by columns. README.md has the byte tables. Params are here too: they are logged and read with
 * metrics. */
#include "command/point.h"
#include "storage/keys.h"
#include "storage/view.h"

#define CHUNK_POINTS_MAX 64

/* A point, and what is known of it. */
struct logged_point {
    struct point point;
    uint64_t created; /* revision */
    uint64_t run;     /* id of the run that logged it; 0 = not said */
};

/* What stands of a series whatever its length. */
struct series_sums {
    uint64_t count;
    bool has_extremes; /* there is a point that is not NaN */
    struct point first;
    struct point last;
    struct point min; /* the first of those with that value; NaN passed over */
    struct point max;
};

/* Counts a point in. */
void series_sums_add(struct series_sums *sums, const struct point *point);

struct series {
    uint64_t thing;
    uint64_t on;     /* id of what it was measured on; 0 = not said */
    uint32_t number; /* of the thing's series, from 1; its points stand under it */
    uint64_t created;
    uint64_t changed; /* the revision of the newest point */
    struct series_sums sums;
    struct span tail; /* its last points as a chunk, borrowed from the row */
};

#define SERIES_SUMS_BYTES (4 + 4 + 3 * 8 + 4 * 24)

/* thing, key, 0x00, on. */
struct key key_series(uint64_t thing, struct span key, uint64_t on);
/* thing, series, and the least point that the chunk may hold. */
struct key key_points(uint64_t thing, uint32_t series, const struct point *least);
/* The part that the chunks of a series begin with. */
struct key key_points_prefix(uint64_t thing, uint32_t series);
struct key key_param(uint64_t thing, struct span key);
/* thing alone: its tally. */
struct key key_tally(uint64_t thing);

/* What a thing has of params, resp. of series. */
struct tally {
    uint64_t count;
    uint64_t bytes; /* whatever the rows look like: texts, 8 for each number and reference */
};

#define TALLY_BYTES           16
#define TALLY_POINT_BYTES     24 /* step, time, value */
#define TALLY_REFERENCE_BYTES 8

struct chunk {
    unsigned len;
    struct logged_point points[CHUNK_POINTS_MAX];
};

/* Room for any chunk's bytes. */
#define CHUNK_BYTES_MAX (2 + CHUNK_POINTS_MAX * (10 + 10 + 8 + 2 * 11))

/* Packs 1 to CHUNK_POINTS_MAX points; returns the bytes. */
size_t chunk_encode(const struct logged_point *points, size_t len, uint8_t bytes[CHUNK_BYTES_MAX]);
/* The reverse; false for what chunk_encode does not write. */
bool chunk_decode(struct span bytes, struct chunk *ret);
/* The same for a row of the points table; CLADE_ERR_CORRUPT names it. */
int chunk_of_row(struct view *v, const struct row *row, struct chunk *ret);

#define SERIES_BYTES_MAX (SERIES_SUMS_BYTES + CHUNK_BYTES_MAX)

/* The value of its row, with 1 to CHUNK_POINTS_MAX last points; key and `on` stand in the row's
 * key. Returns the bytes. */
size_t series_encode(const struct series *s,
                     const struct logged_point *tail,
                     size_t tail_len,
                     uint8_t bytes[SERIES_BYTES_MAX]);
/* From a row of the series table; sets its key's text, which borrows from the row, as does the
 * tail. CLADE_ERR_CORRUPT when it is none. */
int series_decode(struct view *v, const struct row *row, struct series *ret, struct span *ret_key);
/* The points of the tail; CLADE_ERR_CORRUPT. */
int series_tail(struct view *v, const struct series *s, struct chunk *ret);

/* The series' row; 1 when there is none. The view's revision is not looked at. */
int lookup_series(struct view *v, uint64_t thing, struct span key, uint64_t on, struct series *ret);
/* Of TABLE_PARAMS or TABLE_SERIES; nothing is zeros. Never 1. */
int lookup_tally(struct view *v, enum table table, uint64_t thing, struct tally *ret);

/* The series of a thing that have points at the view's revision, in the order of (key, on), their
 * sums as they are now. Calls `cb` until it returns other than 0; returns that. Never 1 by
 * itself. `key` borrows from the map. `from` is where to begin, as key_series makes it; NULL = with
 * the first. */
typedef int (*series_cb)(void *arg, const struct series *series, struct span key);
int series_each(struct view *v, uint64_t thing, const struct key *from, series_cb cb, void *arg);
/* Makes the sums those of the view's revision, which takes as long as the series where points have
 * come since. `stop` (NULL: never) is asked at each point whether to give up. 0, 1 when it said so,
 * or a code. */
int series_sums_at(struct view *v, struct series *series, bool (*stop)(void *arg), void *arg);
/* The points of a series from `from` on (NULL = the first) at the view's revision, in order. As
 * above. */
typedef int (*point_cb)(void *arg, const struct logged_point *point);
int points_each(
    struct view *v, const struct series *series, const struct point *from, point_cb cb, void *arg);
/* A param at the view's revision; borrows from the map. 0, 1 when it is not there, or a code. */
int lookup_param(struct view *v, uint64_t thing, struct span key, struct span *ret);
/* The params of a thing at the view's revision that were written at `since` or later, in the order
 * of their keys; texts borrow from the map. As above. */
typedef int (*param_cb)(void *arg, struct span key, struct span value);
int params_each(struct view *v, uint64_t thing, uint64_t since, param_cb cb, void *arg);
