#pragma once
/* An error that a person can act on: its class, where it is, what is wrong and what to do. In
 * the caller's memory; used for outcomes that reach a user and on cold paths (boot, config,
 * disk). Classes are those of clade.h. */
#include <stdint.h>

#include <clade.h>

struct error {
    int code;          /* CLADE_ERR_*, 0 when there is none */
    char where[128];   /* "ops[2].tags", "line 7", a file's path; "" when it does not apply */
    char message[512]; /* one sentence, with what to do where that is known */
    uint64_t revision; /* CONFLICT, COMPACTED: what is there now; else 0 */
    uint32_t retry_ms; /* THROTTLED: nothing sooner than this will do; 0 = not known */
    uint64_t id;       /* CONFLICT, IN_USE: the thing that is in the way; else 0 */
    char there[256];   /* CONFLICT, IN_USE: what is there now, in a word: "7", "unset", a stage, a
                          reference; "" when it does not apply */
};

/* Fills *e (which may be NULL: then only the code counts) and returns code. `where` may be NULL.
 * `where` and the message come out as printable UTF-8 whatever went in, cut at a character: they
 * may quote what a client sent and go back to it. */
int error_set(struct error *e, int code, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Wraps outside-in: the message becomes "fmt...: old message". Returns e->code;
 * e is not NULL. */
int error_wrap(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says what is there, after error_set; printable as the rest. e may be NULL. */
void error_set_there(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts `prefix` before e->where, joined as a path: "ops[2]" + "tags" = "ops[2].tags", "uris" +
 * "[3]" = "uris[3]". e may be NULL. */
void error_prefix_where(struct error *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
