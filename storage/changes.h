#pragma once
/* Watching: the transactions of the change log, one after the other, for many watchers at once.
 * They share what is read and what is told: a row is read once for all, and what it says of a
 * thing is written once for all whose references are written alike. */
#include "storage/reader.h"

#define WATCH_EVENT_BYTES 4194304u /* of one event; what does not fit is said */
#define WATCH_STEP_EVENTS 1000u    /* of one watcher in one step */
#define WATCH_STEP_ROWS   10000u   /* that one step looks at */

/* One watcher, while its owner has it take a step. */
struct watcher {
    const struct query *query; /* QUERY_WATCH */
    struct span ns;            /* where the query names none */
    uint64_t ns_id;            /* what that is; 0 = not looked up yet */
    uint64_t next;             /* the first revision that it has not been told of */
    size_t room;               /* bytes after which it is enough; one event may go beyond */
    struct buffer *out;        /* events are appended; its owner's, capped at room and an event */
    uint32_t events;           /* appended */
    int code;                  /* why it is told no more; 0 = it goes on */
    struct error error;
};

/* Tells each of the watchers, all of which have the same `next`, what comes next, up to the newest
 * commit, and moves `next` to the first revision that it has not been told of, whether anything
 * passed its filter or not. Ends early at the budget (deadline_us, bytes_max of all together,
 * cancelled) and at WATCH_STEP_ROWS; some may then be further than others. A watcher whose own
 * trouble it is gets `code`: CLADE_ERR_COMPACTED (error.revision is the oldest one that is left),
 * _NOT_FOUND (its namespace), _LIMIT (its query). Returns 0, or a code that concerns all: the store
 * is damaged, memory is out. The order of `watchers` may change. */
int reader_watch(struct reader *reader,
                 struct watcher *watchers[],
                 size_t len,
                 const struct reader_budget *budget,
                 struct error *error);
