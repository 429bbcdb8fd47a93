/* clade: a replicated store of model lineage and artifact indexes. The client library.
 *
 * The installed header, with clade_limits.h. It needs nothing but C; a program that gives the
 * library a libuv loop of its own includes <uv.h> itself.
 *
 * Ownership: what a function named *_new or *_open returns is freed by its *_free or *_close.
 * Spans and strings read from a response borrow from it and die with it. Strings given to a
 * function are copied. Units stand at the end of a name. Every function may be called only from
 * the thread of its client's loop, but for those of section 6, which block and belong to one
 * thread at a time.
 */
#ifndef CLADE_H
#define CLADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(CLADE_BUILD)
#define CLADE_API __attribute__((visibility("default")))
#else
#define CLADE_API
#endif

#define CLADE_VERSION_MAJOR 0
#define CLADE_VERSION_MINOR 1
#define CLADE_VERSION_PATCH 0
#define CLADE_VERSION       "0.1.0"

/* --- 1. Errors ---------------------------------------------------------------------------- */

/* What a program may do after an error. */
enum clade_advice {
    CLADE_ADVICE_STOP,   /* repeating the same request fails again */
    CLADE_ADVICE_REPEAT, /* nothing happened: repeat it, here or on another node */
    CLADE_ADVICE_SESSION /* it may have happened: repeat under the same session and sequence */
};

/* number, name, HTTP status, advice, text. Numbers are part of the protocol and never change. */
/* clang-format off */
#define CLADE_ERRORS(X)                                                                            \
    X(-1,  RETRY,           503, REPEAT,  "nothing happened; try again")                           \
    X(-2,  UNKNOWN,         504, SESSION, "the outcome is unknown; it may have happened")          \
    X(-3,  CONFLICT,        409, STOP,    "the request contradicts what is there")                 \
    X(-4,  NOT_FOUND,       404, STOP,    "there is no such thing")                                \
    X(-5,  INVALID,         400, STOP,    "the request is not valid")                              \
    X(-6,  LIMIT,           413, STOP,    "a limit would be passed")                               \
    X(-7,  QUOTA,           403, STOP,    "a namespace's quota would be passed")                   \
    X(-8,  THROTTLED,       429, REPEAT,  "too many requests; slow down")                          \
    X(-9,  IN_USE,          409, STOP,    "something still points to it")                          \
    X(-10, CYCLE,           409, STOP,    "the edge would close a cycle")                          \
    X(-11, COMPACTED,       410, STOP,    "that history was compacted")                            \
    X(-12, SESSION_EXPIRED, 440, STOP,    "the session has ended")                                 \
    X(-13, UNAUTHENTICATED, 401, STOP,    "who you are is not known")                              \
    X(-14, DENIED,          403, STOP,    "you may not do that")                                   \
    X(-15, UNAVAILABLE,     503, REPEAT,  "no answer in time, and nothing happened")               \
    X(-16, INTERNAL,        500, STOP,    "a defect or a broken disk")                             \
    X(-17, CANCELLED,       499, STOP,    "the caller cancelled it")                               \
    X(-18, NO_MEMORY,       503, REPEAT,  "out of memory")                                         \
    X(-19, IO,              500, STOP,    "a disk or a network failed")                            \
    X(-20, CORRUPT,         500, STOP,    "stored or received bytes are damaged")                  \
    X(-21, NO_SPACE,        507, REPEAT,  "the disk or the store is full")                         \
    X(-22, UNSUPPORTED,     501, STOP,    "that version, method or option is not supported")
/* clang-format on */

enum clade_error {
    CLADE_OK = 0,
#define CLADE_ERROR_ENUM(number, name, http, advice, text) CLADE_ERR_##name = (number),
    CLADE_ERRORS(CLADE_ERROR_ENUM)
#undef CLADE_ERROR_ENUM
};

/* "CONFLICT" for CLADE_ERR_CONFLICT; "OK" for 0; "UNKNOWN_ERROR" for anything else. Static. */
CLADE_API const char *clade_error_name(int code);
/* A sentence for the class. Static. */
CLADE_API const char *clade_error_text(int code);
/* The HTTP status that a gateway should answer with. */
CLADE_API int clade_error_http(int code);
CLADE_API enum clade_advice clade_error_advice(int code);

/* --- 2. Limits: CLADE_MAX_* --------------------------------------------------------------- */

#include <clade_limits.h>

/* --- 3. Documents: what a request says ---------------------------------------------------- */

/* A document being written: the parameters of a call, or a transaction's operation. It is
 * MessagePack inside; a map or an array is opened with its number of members, which must follow,
 * for a map as key, value, key, value. Errors (out of memory, over the limit, members missing)
 * are remembered and reported by the call that takes the document. */
struct clade_doc;

CLADE_API struct clade_doc *clade_doc_new(void); /* NULL when out of memory */
CLADE_API void clade_doc_free(struct clade_doc *doc);
CLADE_API void clade_doc_map(struct clade_doc *doc, uint32_t members);
CLADE_API void clade_doc_array(struct clade_doc *doc, uint32_t members);
CLADE_API void clade_doc_str(struct clade_doc *doc, const char *s);
CLADE_API void clade_doc_strn(struct clade_doc *doc, const char *s, size_t len);
CLADE_API void clade_doc_bin(struct clade_doc *doc, const void *data, size_t len);
CLADE_API void clade_doc_int(struct clade_doc *doc, int64_t v);
CLADE_API void clade_doc_uint(struct clade_doc *doc, uint64_t v);
CLADE_API void clade_doc_double(struct clade_doc *doc, double v);
CLADE_API void clade_doc_bool(struct clade_doc *doc, bool v);
CLADE_API void clade_doc_nil(struct clade_doc *doc);

/* --- 4. Transactions ---------------------------------------------------------------------- */

/* Guards, operations, reason: applied whole at one revision, or not at all. Operations are
 * numbered from 0; "$n" and "$NAME" in a later reference mean what operation n, or the one that
 * carries NAME, made. The setters after an operation belong to it. Mistakes are remembered and
 * reported when the transaction is sent (CLADE_ERR_INVALID, saying which operation). */
struct clade_txn;

enum clade_if_exists { CLADE_IF_EXISTS_ERROR, CLADE_IF_EXISTS_RETURN, CLADE_IF_EXISTS_MATCH };

CLADE_API struct clade_txn *clade_txn_new(void); /* NULL when out of memory */
CLADE_API void clade_txn_free(struct clade_txn *txn);
CLADE_API void clade_txn_clear(struct clade_txn *txn); /* empty again, memory kept */
/* The namespace that plain references mean; the client's when not called. */
CLADE_API void clade_txn_namespace(struct clade_txn *txn, const char *path);
CLADE_API void clade_txn_reason(struct clade_txn *txn, const char *reason);
/* A time that the writer claims, microseconds since 1970 UTC, shown beside the store's time. */
CLADE_API void clade_txn_happened(struct clade_txn *txn, uint64_t time_us);
/* Only what it would answer: the guards are checked and the operations run on the newest state, as
 * of no revision but now, and nothing of it stays. Ids that it answers are given to others. Stays
 * until clade_txn_clear. */
CLADE_API void clade_txn_dry_run(struct clade_txn *txn, bool dry_run);
/* Bytes so far, to keep a batch under CLADE_MAX_COMMAND_BYTES. */
CLADE_API size_t clade_txn_bytes(const struct clade_txn *txn);

CLADE_API void clade_txn_guard_exists(struct clade_txn *txn, const char *ref);
CLADE_API void clade_txn_guard_absent(struct clade_txn *txn, const char *ref);
CLADE_API void clade_txn_guard_unchanged(struct clade_txn *txn, const char *ref, uint64_t revision);
/* The model's alias points to the version of that number; 0 = it is unset. */
CLADE_API void clade_txn_guard_alias(struct clade_txn *txn,
                                     const char *model,
                                     const char *alias,
                                     uint64_t number);
/* The version is in that stage; "none" = in no stage. */
CLADE_API void clade_txn_guard_stage(struct clade_txn *txn, const char *version, const char *stage);
/* The thing is as the query says ("stage = 'staging' AND tags.reviewed = 'yes'"). */
CLADE_API void clade_txn_guard_matches(struct clade_txn *txn, const char *ref, const char *query);

/* Creates a thing. `kind` is "artifact", "run", ...; `name` may be NULL where the store assigns
 * one. For a version, name is NULL and clade_txn_set(txn, "model", ...) says whose. Returns
 * the operation's number. */
CLADE_API uint32_t clade_txn_create(struct clade_txn *txn, const char *kind, const char *name);
CLADE_API uint32_t clade_txn_update(struct clade_txn *txn, const char *ref);
CLADE_API uint32_t clade_txn_delete(struct clade_txn *txn, const char *ref);
/* Gives it another name; not for versions and namespaces. */
CLADE_API uint32_t clade_txn_rename(struct clade_txn *txn, const char *ref, const char *name);
/* Brings back what is deleted, under `name`, or its own when that is NULL and not taken. */
CLADE_API uint32_t clade_txn_undelete(struct clade_txn *txn, const char *ref, const char *name);
/* While a thing is held it is not deleted. `reason` NULL is the transaction's. */
CLADE_API uint32_t clade_txn_hold(struct clade_txn *txn, const char *ref, const char *reason);
CLADE_API uint32_t clade_txn_release(struct clade_txn *txn, const char *ref);
/* Takes the content of what is deleted away for good; a tombstone stays. */
CLADE_API uint32_t clade_txn_purge(struct clade_txn *txn, const char *ref);
/* Lets go of the history of a namespace before `before`: a revision, or a time (RFC 3339 with an
 * offset); what was there then can still be read. Not of what is younger than a cursor can be. */
CLADE_API uint32_t clade_txn_compact(struct clade_txn *txn, const char *ref, const char *before);
/* `from` depends on `to`. clade_txn_prop and its like set props of the edge; linking again merges
 * them into those that it has. */
CLADE_API uint32_t clade_txn_link(struct clade_txn *txn,
                                  const char *from,
                                  const char *label,
                                  const char *to);
CLADE_API uint32_t clade_txn_unlink(struct clade_txn *txn,
                                    const char *from,
                                    const char *label,
                                    const char *to);
/* Points the alias of the version's model to the version. The result's "revision" is a fencing
 * token: it grows with each move. */
CLADE_API uint32_t clade_txn_set_alias(struct clade_txn *txn,
                                       const char *version,
                                       const char *alias);
CLADE_API uint32_t clade_txn_unset_alias(struct clade_txn *txn,
                                         const char *model,
                                         const char *alias);
/* Of set_alias and unset_alias: only if the alias points to the version of that number, 0 = if it
 * is unset; else CLADE_ERR_CONFLICT, whose error says what is "there". */
CLADE_API void clade_txn_expect_version(struct clade_txn *txn, uint64_t number);
/* Moves a version to a stage. clade_txn_set(txn, "expect", STAGE): only out of that one;
 * clade_txn_set(txn, "displace", STAGE): where those go that are in it. */
CLADE_API uint32_t clade_txn_set_stage(struct clade_txn *txn,
                                       const char *version,
                                       const char *stage);
/* Replaces what a deployment serves by the targets that follow; none of them takes all away. */
CLADE_API uint32_t clade_txn_set_targets(struct clade_txn *txn, const char *deployment);
/* A target of set_targets; `share` is in 1/10,000, those that are not shadows make 10,000. A shadow
 * gets a copy of that share of the traffic. */
CLADE_API void clade_txn_target(struct clade_txn *txn,
                                const char *version,
                                unsigned share,
                                bool shadow);
/* A stage of a namespace that is created or updated: whether more than one version of a model may
 * be in it, and whether what is in it is in use and not deleted. They replace the whole list. */
CLADE_API void clade_txn_stage(struct clade_txn *txn, const char *name, bool multiple, bool in_use);
/* Logs to a thing of any kind: params and metrics, which the three calls after it add. */
CLADE_API uint32_t clade_txn_log(struct clade_txn *txn, const char *ref);
/* A param, written once: the same value again is no change, another one CLADE_ERR_CONFLICT. */
CLADE_API void clade_txn_param(struct clade_txn *txn, const char *key, const char *value);
/* A metric, whose points follow. `on` is a reference to what it was measured on, `run` one to the
 * run that logs it; either may be NULL. */
CLADE_API void clade_txn_metric(struct clade_txn *txn,
                                const char *key,
                                const char *on,
                                const char *run);
/* A point of the metric before; time_ms counts from 1970 UTC. The value may be NaN or infinite. A
 * point that is there already is no change; points may come in any order. */
CLADE_API void clade_txn_point(struct clade_txn *txn, int64_t step, uint64_t time_ms, double value);
CLADE_API void clade_txn_as(struct clade_txn *txn, const char *name);
CLADE_API void clade_txn_if_exists(struct clade_txn *txn, enum clade_if_exists what);
/* A field of the current operation: "description", "owner", "type", "content", "run", ... */
CLADE_API void clade_txn_set(struct clade_txn *txn, const char *field, const char *value);
CLADE_API void clade_txn_set_uint(struct clade_txn *txn, const char *field, uint64_t value);
CLADE_API void clade_txn_set_bool(struct clade_txn *txn, const char *field, bool value);
/* A tag; value NULL takes it away. */
CLADE_API void clade_txn_tag(struct clade_txn *txn, const char *key, const char *value);
/* A prop, of the type that the function says; value NULL takes it away, in an update. What a type
 * declares is held against it. */
CLADE_API void clade_txn_prop(struct clade_txn *txn, const char *key, const char *value);
CLADE_API void clade_txn_prop_int(struct clade_txn *txn, const char *key, int64_t value);
/* Finite, else the transaction is refused. */
CLADE_API void clade_txn_prop_double(struct clade_txn *txn, const char *key, double value);
CLADE_API void clade_txn_prop_bool(struct clade_txn *txn, const char *key, bool value);
/* Microseconds since 1970 UTC. */
CLADE_API void clade_txn_prop_time(struct clade_txn *txn, const char *key, uint64_t time_us);
CLADE_API void clade_txn_prop_ref(struct clade_txn *txn, const char *key, const char *ref);
/* Text that is JSON; kept byte for byte. */
CLADE_API void clade_txn_prop_json(struct clade_txn *txn, const char *key, const char *json);
/* Any value as the protocol writes it: an array is a list. The document stays the caller's. */
CLADE_API void clade_txn_prop_doc(struct clade_txn *txn,
                                  const char *key,
                                  const struct clade_doc *doc);
/* What a namespace may hold, all under it included: "things", "edges", "bytes" (of texts), or
 * "writes_per_s" (operations a second). */
CLADE_API void clade_txn_quota(struct clade_txn *txn, const char *what, uint64_t limit);
/* As if it had never been bounded. */
CLADE_API void clade_txn_quota_unset(struct clade_txn *txn, const char *what);
/* What new things in a namespace and below get where they say nothing: `key` is "KIND.type" or
 * "KIND.tags.KEY". value NULL takes it away. */
CLADE_API void clade_txn_default(struct clade_txn *txn, const char *key, const char *value);
/* Adds to a list field: "digests", "uris", "external_ids". */
CLADE_API void clade_txn_add(struct clade_txn *txn, const char *field, const char *value);
/* Takes from a list field, in an update: "uris", "external_ids". */
CLADE_API void clade_txn_take_away(struct clade_txn *txn, const char *field, const char *value);
/* What a type says of a prop: "string", "int", "float", "bool", "time", "json", "ref", or one of
 * them with "[]" behind it for a list; flags of enum clade_field_flags; a unit, or NULL. */
enum clade_field_flags {
    CLADE_FIELD_REQUIRED = 1, /* things that get the type must have it */
    CLADE_FIELD_FIXED = 2,    /* it is written once */
    CLADE_FIELD_INDEXED = 4   /* searches will ask for it */
};
CLADE_API void clade_txn_type_field(
    struct clade_txn *txn, const char *key, const char *type, unsigned flags, const char *unit);
/* An operation or a guard as a document, in the vocabulary of the protocol: what import files
 * carry. The document is a map with "op", respectively "guard". It stays the caller's. */
CLADE_API void clade_txn_op_doc(struct clade_txn *txn, const struct clade_doc *doc);
CLADE_API void clade_txn_guard_doc(struct clade_txn *txn, const struct clade_doc *doc);

/* --- 5. The client, asynchronous ---------------------------------------------------------- */

struct uv_loop_s; /* uv_loop_t */
struct clade_client;
struct clade_request;
struct clade_response;
struct clade_value;

/* Zeroed fields mean their defaults. */
struct clade_options {
    const char *endpoints;       /* "HOST:PORT,[IPV6]:PORT"; default "127.0.0.1:7400". A few
                                    are enough: the cluster tells of its other nodes, and of
                                    those that come and go */
    const char *ns;              /* namespace; default "default" */
    const char *user;            /* whom to claim to be; default the login name */
    const char *client_name;     /* shown in the server's log; default "libclade/VERSION" */
    unsigned connect_timeout_ms; /* one attempt; default 2,000 */
    unsigned request_timeout_ms; /* a whole request with its retries; default 10,000 */
    unsigned lease_ms;           /* a session's idle lease in the store's time; default 3,600,000 */
    bool dry_run;          /* every transaction of the client is only tried: clade_txn_dry_run */
    unsigned requests_max; /* in flight at once, the rest waits; default 1,024, at most 4,096 */
};

enum clade_consistency {
    CLADE_LINEARIZABLE, /* the default */
    CLADE_AT_LEAST,     /* at least the revision that this client saw last, or the one given */
    CLADE_STALE,        /* at most stale_ms old */
    CLADE_LOCAL         /* whatever the node has; may miss even your own write */
};

enum clade_view { CLADE_VIEW_HEADS, CLADE_VIEW_FULL, CLADE_VIEW_IDS };
enum clade_state { CLADE_STATE_LIVE, CLADE_STATE_DELETED, CLADE_STATE_ANY };

/* What every read may carry. Zeroed is the default of each. */
struct clade_read {
    enum clade_consistency consistency;
    uint64_t at_least;  /* CLADE_AT_LEAST: a revision; 0 = the newest that this client saw */
    uint64_t stale_ms;  /* CLADE_STALE */
    const char *as_of;  /* a revision, or an RFC 3339 time with an offset; NULL = now */
    const char *cursor; /* of the answer before; NULL = from the start */
    uint32_t limit;     /* items; 0 = the server's default of 1,000 */
    enum clade_view view;
    enum clade_state state; /* CLADE_STATE_LIVE leaves it to the server: what is named is
                               answered in any state, lists hold what is live */
    bool with_edges;        /* each thing with its outgoing edges */
    bool with_aliases;      /* each model and version with its aliases */
    bool with_params;       /* with its params */
    bool with_metrics;      /* with what stands of its metrics beside their points */
};

struct clade_lineage {
    const char *ref;
    bool downstream;           /* what was made from it; else what it was made from */
    const char *const *labels; /* NULL-terminated, NULL = all */
    const char *const *kinds;  /* NULL-terminated, NULL = all */
    uint32_t depth;            /* 0 = no bound */
    bool count;                /* only the number of things */
    const char *query;         /* only things that are so (clade_search); NULL = all. No ORDER BY */
    bool depths; /* of CLADE_VIEW_IDS: {"depth", "ids"} for each depth, in the place of ids */
};

/* Which way a path goes from its beginning to its end. */
enum clade_way {
    CLADE_WAY_EITHER, /* up if there is such a path, else down */
    CLADE_WAY_UP,     /* each thing was made from the next one */
    CLADE_WAY_DOWN    /* the next one was made from it */
};

struct clade_paths {
    const char *from;
    const char *to;
    enum clade_way way;
    const char *const *labels; /* NULL-terminated, NULL = all */
    uint32_t depth;            /* the longest path in steps; 0 = no bound */
};

/* Two things, or one at two times. */
struct clade_diff {
    const char *from;
    const char *to;            /* NULL = `from` too, which needs from_as_of */
    const char *from_as_of;    /* when `from` is meant, as clade_read's as_of; NULL = as `to` */
    const char *const *labels; /* of provenance; NULL-terminated, NULL = all but evaluated_on */
    uint32_t depth;            /* of provenance; 0 = no bound */
};

/* Which metrics to read, and which of their points. Zeroed fields ask for all. */
struct clade_metrics {
    const char *const *refs; /* things */
    size_t refs_len;
    const char *const *keys;  /* NULL-terminated, NULL = all */
    const char *on;           /* only what was measured on this thing */
    bool on_nothing;          /* only what says of no thing that it was measured on it */
    const int64_t *from_step; /* bounds, part of the range; NULL = none */
    const int64_t *to_step;
    const uint64_t *from_time_ms;
    const uint64_t *to_time_ms;
    bool last;       /* no points: count, first, last, min and max of each series */
    uint32_t sample; /* at most so many points of each series, 4 or more; 0 = all */
};

/* Which transactions an audit tells of. Zeroed fields ask for all. */
struct clade_audit {
    const char *by;           /* who made them, or in whose name */
    const char *ref;          /* of this thing */
    const char *ns;           /* of things in this namespace and under it */
    const char *const *kinds; /* of things of these kinds; NULL-terminated */
    const char *prefix;       /* of things whose references begin so */
    const char *query;        /* of things that are as it says, before or after */
    const char *from_time;    /* RFC 3339 with an offset; both are part of it */
    const char *to_time;
};

/* Which transactions a watch is told of: those that change a thing which is as these say before the
 * change or after it. Zeroed fields ask for all. */
struct clade_watch_options {
    uint64_t from;            /* the first revision; 0 = what comes from now on */
    const char *ns;           /* in this namespace and under it */
    const char *const *kinds; /* NULL-terminated */
    const char *prefix;       /* of references; beginning with "//" it is of any namespace */
    const char *query;        /* "stage = 'production'" */
};

/* Things of a kind that are as a query says (the language: "clade help search"). */
struct clade_search {
    const char *kind;
    const char *query; /* with its ORDER BY; NULL = all */
    const char *by;    /* of clade_count: the key that is counted by; NULL = none */
};

/* Called once for each request, never before the call that started it has returned. `response`
 * is the callee's and is freed with clade_response_free; it is never NULL unless memory ran
 * out. */
typedef void (*clade_cb)(struct clade_request *request, struct clade_response *response, void *arg);
typedef void (*clade_close_cb)(struct clade_client *client, void *arg);

/* Makes a client on the caller's loop; it connects when first used. Returns 0,
 * CLADE_ERR_INVALID (endpoints, names, requests_max) or CLADE_ERR_NO_MEMORY. The loop stays
 * alive while a request is outstanding or a connection is open. */
CLADE_API int clade_client_new(struct uv_loop_s *loop,
                               const struct clade_options *options,
                               struct clade_client **ret_client);
/* Answers every outstanding request (CANCELLED, a write that may have been sent UNKNOWN), ends
 * the session if it can be done at once, closes; then `cb`, after which the client is freed. */
CLADE_API void clade_client_close(struct clade_client *client, clade_close_cb cb, void *arg);
/* The highest revision that this client has seen in an answer. */
CLADE_API uint64_t clade_client_revision(const struct clade_client *client);

/* Each starts a request and returns it, or NULL when memory is out or the client is being closed.
 * The request lives until its callback. deadline_ms counts from now, 0 = the client's
 * request_timeout_ms. A mistake in what is asked is told by the callback, as any error. */

/* Sends a transaction under the client's session: it happens at most once however often it must
 * be repeated. The transaction is copied. */
CLADE_API struct clade_request *clade_txn_send(struct clade_client *client,
                                               const struct clade_txn *txn,
                                               unsigned deadline_ms,
                                               clade_cb cb,
                                               void *arg);
CLADE_API struct clade_request *clade_get(struct clade_client *client,
                                          const char *const refs[],
                                          size_t refs_len,
                                          const struct clade_read *read,
                                          unsigned deadline_ms,
                                          clade_cb cb,
                                          void *arg);
/* Things of a kind by name (versions: model and number). `under` limits versions to a model,
 * runs to an experiment; NULL = all. */
CLADE_API struct clade_request *clade_list(struct clade_client *client,
                                           const char *kind,
                                           const char *under,
                                           const struct clade_read *read,
                                           unsigned deadline_ms,
                                           clade_cb cb,
                                           void *arg);
CLADE_API struct clade_request *clade_lineage_walk(struct clade_client *client,
                                                   const struct clade_lineage *lineage,
                                                   const struct clade_read *read,
                                                   unsigned deadline_ms,
                                                   clade_cb cb,
                                                   void *arg);
/* What was made from it and is in use (alias, stage in use, deployment), each with its uses and the
 * path that reaches it. Of `lineage` ref, labels (NULL = all but evaluated_on), depth, count and
 * query are read. */
CLADE_API struct clade_request *clade_impact(struct clade_client *client,
                                             const struct clade_lineage *lineage,
                                             const struct clade_read *read,
                                             unsigned deadline_ms,
                                             clade_cb cb,
                                             void *arg);
/* All that it was made from, each with its role, digests, size and uris. Of `lineage` the same and
 * kinds are read. */
CLADE_API struct clade_request *clade_provenance(struct clade_client *client,
                                                 const struct clade_lineage *lineage,
                                                 const struct clade_read *read,
                                                 unsigned deadline_ms,
                                                 clade_cb cb,
                                                 void *arg);
/* How one thing leads to another: the shortest path, or the read->limit shortest ones. There is no
 * cursor. */
CLADE_API struct clade_request *clade_paths_find(struct clade_client *client,
                                                 const struct clade_paths *paths,
                                                 const struct clade_read *read,
                                                 unsigned deadline_ms,
                                                 clade_cb cb,
                                                 void *arg);
/* What differs: fields, params, the last points of metrics, provenance; read->limit counts the
 * things that only one side was made from, for each side. There is no cursor. */
CLADE_API struct clade_request *clade_diff_read(struct clade_client *client,
                                                const struct clade_diff *diff,
                                                const struct clade_read *read,
                                                unsigned deadline_ms,
                                                clade_cb cb,
                                                void *arg);
/* What each revision changed of one thing, newest first; read->limit counts revisions. */
CLADE_API struct clade_request *clade_history(struct clade_client *client,
                                              const char *ref,
                                              const struct clade_read *read,
                                              unsigned deadline_ms,
                                              clade_cb cb,
                                              void *arg);
/* Points of metrics, series by series; read->limit counts points. */
CLADE_API struct clade_request *clade_metrics_read(struct clade_client *client,
                                                   const struct clade_metrics *metrics,
                                                   const struct clade_read *read,
                                                   unsigned deadline_ms,
                                                   clade_cb cb,
                                                   void *arg);
/* Who changed what, when and why, the newest first; read->limit counts transactions. */
CLADE_API struct clade_request *clade_audit_read(struct clade_client *client,
                                                 const struct clade_audit *audit,
                                                 const struct clade_read *read,
                                                 unsigned deadline_ms,
                                                 clade_cb cb,
                                                 void *arg);

/* A watch: each committed transaction that passes, in the order of revisions, none missed and none
 * twice. It outlives connections and nodes: it goes on at another one from where it is. */
struct clade_watch;
/* An event as client/wire/README.md has it ("Watching"); it lives until the callback returns. */
typedef void (*clade_event_cb)(struct clade_watch *watch,
                               const struct clade_value *event,
                               void *arg);
/* Called once, last: why it ended (CANCELLED, INVALID, COMPACTED, ...). The response is the
 * callee's; the watch is freed when it returns. */
typedef void (*clade_watch_end_cb)(struct clade_watch *watch,
                                   struct clade_response *response,
                                   void *arg);
/* NULL when memory is out or the client is being closed. A mistake in what is asked is told by
 * `on_end`. */
CLADE_API struct clade_watch *clade_watch_start(struct clade_client *client,
                                                const struct clade_watch_options *options,
                                                clade_event_cb on_event,
                                                clade_watch_end_cb on_end,
                                                void *arg);
/* No event comes after it; `on_end` comes soon. */
CLADE_API void clade_watch_stop(struct clade_watch *watch);
/* The first revision of which its caller was not told: what to start from again. It grows also
 * while nothing passes. 0 = not known yet. */
CLADE_API uint64_t clade_watch_revision(const struct clade_watch *watch);

/* The data is {"items": [...], "rows": R, "read": N, "pinned": B}: what was found, and how many
 * rows of indexes and how many things were read for it. */
CLADE_API struct clade_request *clade_search(struct clade_client *client,
                                             const struct clade_search *search,
                                             const struct clade_read *read,
                                             unsigned deadline_ms,
                                             clade_cb cb,
                                             void *arg);
/* The data is {"count": N, "things": N}, with "by" an array of {"value", "count"}, most first. */
CLADE_API struct clade_request *clade_count(struct clade_client *client,
                                            const struct clade_search *search,
                                            const struct clade_read *read,
                                            unsigned deadline_ms,
                                            clade_cb cb,
                                            void *arg);
/* How a search is answered, and what it reads: client/wire/README.md. */
CLADE_API struct clade_request *clade_explain(struct clade_client *client,
                                              const struct clade_search *search,
                                              const struct clade_read *read,
                                              unsigned deadline_ms,
                                              clade_cb cb,
                                              void *arg);
/* Any method of the protocol with its parameters as a map (NULL = an empty one), but for
 * deadline_ms, which the library adds: "describe", "limits", "status", "transfer", ...
 * client/wire/README.md lists them. One that writes is repeated only while it is certain that
 * nothing happened; "transfer" and "txn" are ones, and names that this library does not know.
 * "member" has the same effect twice and is repeated until its deadline. */
CLADE_API struct clade_request *clade_call(struct clade_client *client,
                                           const char *method,
                                           const struct clade_doc *params,
                                           unsigned deadline_ms,
                                           clade_cb cb,
                                           void *arg);
/* Gives up: the callback comes soon, with CANCELLED, or UNKNOWN for a write that was sent. */
CLADE_API void clade_cancel(struct clade_request *request);

/* --- 6. The client, blocking -------------------------------------------------------------- */

/* A client on a loop of its own, run by these calls; one thread at a time. */
CLADE_API int clade_open(const struct clade_options *options, struct clade_client **ret_client);
CLADE_API void clade_close(struct clade_client *client);
/* Each returns the response (freed by the caller), or NULL when memory is out. */
CLADE_API struct clade_response *clade_txn_wait(struct clade_client *client,
                                                const struct clade_txn *txn);
CLADE_API struct clade_response *clade_get_wait(struct clade_client *client,
                                                const char *const refs[],
                                                size_t refs_len,
                                                const struct clade_read *read);
CLADE_API struct clade_response *clade_list_wait(struct clade_client *client,
                                                 const char *kind,
                                                 const char *under,
                                                 const struct clade_read *read);
CLADE_API struct clade_response *clade_lineage_wait(struct clade_client *client,
                                                    const struct clade_lineage *lineage,
                                                    const struct clade_read *read);
CLADE_API struct clade_response *clade_impact_wait(struct clade_client *client,
                                                   const struct clade_lineage *lineage,
                                                   const struct clade_read *read);
CLADE_API struct clade_response *clade_provenance_wait(struct clade_client *client,
                                                       const struct clade_lineage *lineage,
                                                       const struct clade_read *read);
CLADE_API struct clade_response *clade_paths_wait(struct clade_client *client,
                                                  const struct clade_paths *paths,
                                                  const struct clade_read *read);
CLADE_API struct clade_response *clade_diff_wait(struct clade_client *client,
                                                 const struct clade_diff *diff,
                                                 const struct clade_read *read);
CLADE_API struct clade_response *clade_history_wait(struct clade_client *client,
                                                    const char *ref,
                                                    const struct clade_read *read);
CLADE_API struct clade_response *clade_metrics_wait(struct clade_client *client,
                                                    const struct clade_metrics *metrics,
                                                    const struct clade_read *read);
CLADE_API struct clade_response *clade_audit_wait(struct clade_client *client,
                                                  const struct clade_audit *audit,
                                                  const struct clade_read *read);
/* A watch whose events are asked for, see clade_watch_wait. It is closed by clade_watch_close,
 * before or after its client. What is not asked for stays with the server, but for about 1 MiB. */
CLADE_API struct clade_watch *clade_watch_open(struct clade_client *client,
                                               const struct clade_watch_options *options);
CLADE_API void clade_watch_close(struct clade_watch *watch);
/* The next event, which lives until the next call; NULL when none came in timeout_ms (0 = wait for
 * ever), or when the watch has ended. */
CLADE_API const struct clade_value *clade_watch_wait(struct clade_watch *watch,
                                                     unsigned timeout_ms);
/* Why it has ended; NULL while it goes on. Borrowed from the watch. */
CLADE_API const struct clade_response *clade_watch_ended(const struct clade_watch *watch);
CLADE_API struct clade_response *clade_search_wait(struct clade_client *client,
                                                   const struct clade_search *search,
                                                   const struct clade_read *read);
CLADE_API struct clade_response *clade_count_wait(struct clade_client *client,
                                                  const struct clade_search *search,
                                                  const struct clade_read *read);
CLADE_API struct clade_response *clade_explain_wait(struct clade_client *client,
                                                    const struct clade_search *search,
                                                    const struct clade_read *read);
CLADE_API struct clade_response *clade_call_wait(struct clade_client *client,
                                                 const char *method,
                                                 const struct clade_doc *params);

/* --- 7. Responses ------------------------------------------------------------------------- */

CLADE_API void clade_response_free(struct clade_response *response);
/* 0, or an error; a NULL response is CLADE_ERR_NO_MEMORY. */
CLADE_API int clade_response_code(const struct clade_response *response);
/* "ops[2].name: ..." for a person; "" when there was no error. */
CLADE_API const char *clade_response_message(const struct clade_response *response);
/* The revision that the answer is of, resp. that the transaction made or met. */
CLADE_API uint64_t clade_response_revision(const struct clade_response *response);
CLADE_API uint64_t clade_response_node(const struct clade_response *response);
CLADE_API uint64_t clade_response_term(const struct clade_response *response);
/* Whether the answer holds everything that was asked for. */
CLADE_API bool clade_response_complete(const struct clade_response *response);
/* Of an audit: how many transactions were looked at for it; else 0. */
CLADE_API uint64_t clade_response_read(const struct clade_response *response);
/* Of a history or an audit: what was changed at this revision and before is left out, as far as it
 * was compacted; 0 = nothing is. */
CLADE_API uint64_t clade_response_compacted(const struct clade_response *response);
/* Where to go on when it is not complete; NULL when there is no more. */
CLADE_API const char *clade_response_cursor(const struct clade_response *response);
/* The "data" of the answer; NULL when there is none. */
CLADE_API const struct clade_value *clade_response_data(const struct clade_response *response);
/* The error as the server gave it, a map; NULL when there is none. */
CLADE_API const struct clade_value *clade_response_error(const struct clade_response *response);
/* Convenience for transactions: the id, and the reference, of what operation n made or met; 0
 * and NULL when there is none. */
CLADE_API uint64_t clade_response_id(const struct clade_response *response, uint32_t op);
CLADE_API const char *clade_response_ref(const struct clade_response *response, uint32_t op);

/* --- 8. Values: what an answer says ------------------------------------------------------- */

enum clade_type {
    CLADE_NIL,
    CLADE_BOOL,
    CLADE_UINT, /* any integer >= 0 */
    CLADE_INT,  /* a negative integer */
    CLADE_DOUBLE,
    CLADE_STRING,
    CLADE_BYTES,
    CLADE_ARRAY,
    CLADE_MAP
};

/* All of these accept NULL as nil and answer 0, NULL or false for the wrong type, so a path of
 * them needs one check at its end. */
CLADE_API enum clade_type clade_value_type(const struct clade_value *v);
CLADE_API bool clade_value_bool(const struct clade_value *v);
CLADE_API uint64_t clade_value_uint(const struct clade_value *v);
CLADE_API int64_t clade_value_int(const struct clade_value *v);
CLADE_API double clade_value_double(const struct clade_value *v);
/* The bytes of a string or of binary, not NUL-terminated; len bytes. */
CLADE_API const char *clade_value_strn(const struct clade_value *v, size_t *ret_len);
/* Elements of an array, pairs of a map. */
CLADE_API size_t clade_value_len(const struct clade_value *v);
CLADE_API const struct clade_value *clade_value_at(const struct clade_value *v, size_t i);
CLADE_API const struct clade_value *clade_value_key_at(const struct clade_value *v, size_t i);
CLADE_API const struct clade_value *clade_value_get(const struct clade_value *v, const char *key);

#ifdef __cplusplus
}
#endif

#endif
