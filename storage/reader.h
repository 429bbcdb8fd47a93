#pragma once
/* Reads: one LMDB read transaction answers one query at one revision. A reader belongs to one
 * thread at a time; any number run beside the writer. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "command/query.h"
#include "storage/store.h"

struct reader;

/* A reader with an LMDB slot of its own, kept for many queries. */
int reader_new(struct store *store, struct reader **ret, struct error *error);
void reader_free(struct reader *reader);

#define READER_PLAN_BYTES 1024

/* What a query did, for who watches over it. */
struct reader_effort {
    bool walked;      /* it followed edges, */
    bool by_index;    /* by the lineage index, or else by the tables on disk */
    uint64_t met;     /* things that walks met */
    uint64_t rows;    /* of indexes that a search read, */
    uint64_t things;  /* that it read for it, */
    uint64_t matched; /* and that are what it asks for */
    uint32_t items;   /* in the answer */
    /* The plan of a search that took longer than plan_after_us, as `explain` has it, in one line
     * and without what is compared with; "" = none. */
    char plan[READER_PLAN_BYTES];
};

/* A first try of a query, which is given up when it is over. */
struct reader_slice {
    bool (*is_over)(void *arg); /* asked now and then */
    void *arg;
};

/* Bounds of one query, and when to stop. */
struct reader_budget {
    const struct clock *clock;
    uint64_t deadline_us; /* monotonic; the answer is cut off (complete: false) after it */
    uint64_t bytes_max;   /* of the answer */
    uint64_t visits_max;  /* things that a walk may visit */
    const struct reader_slice *slice; /* NULL = none */
    const bool *cancelled;            /* may be NULL; looked at now and then */
    /* of searches; 0 = as search.h has them */
    uint64_t count_max;           /* rows that are counted to judge an index */
    uint64_t things_max;          /* that one page reads */
    struct reader_effort *effort; /* filled when there is an answer, and when there is none; may be
                                     NULL */
    uint64_t plan_after_us;
};

struct reader_answer {
    uint64_t revision;
    bool complete;
    bool has_read; /* `read` says how many transactions were looked at for it */
    uint64_t read;
    uint64_t compacted; /* what was at this revision and before is not told: it was compacted; 0 =
                           nothing is left out for that */
    /* MessagePack: the value of "data" is appended to the caller's buffer; the cursor is text, in
     * the arena; len 0 when there is no more */
    struct span cursor;
};

/* Opens a snapshot of the newest commit, answers, closes it. Appends the "data" value to `out`.
 * Errors are outcomes for the user: CLADE_ERR_NOT_FOUND, _INVALID (a cursor that is not of this
 * query), _COMPACTED, _LIMIT, ... `ns_default` is used where the query names no namespace. Returns
 * 1 when its slice was over first: nothing is appended, and the query may be asked again. */
int reader_query(struct reader *reader,
                 const struct query *query,
                 struct span ns_default,
                 const struct reader_budget *budget,
                 struct arena *arena,
                 struct buffer *out,
                 struct reader_answer *ret,
                 struct error *error);
/* Whether there is a live namespace of that path: 0, 1 when there is none, or a CLADE_ERR_*. */
int reader_has_namespace(struct reader *reader, struct span path, struct error *error);
/* As reader_query, at most a little work (a get of few references): for serving threads. True when
 * the query is of that sort. */
bool query_is_light(const struct query *query);
