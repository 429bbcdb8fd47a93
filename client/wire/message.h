#pragma once
/* The messages of the client protocol (client/wire/README.md). Decoders are given one frame's
 * payload from an untrusted peer; what they return borrows from it and from the arena. */
#include "base/hash.h"
#include "command/query.h"
#include "command/value.h"

#define WIRE_VERSION 1

enum method {
    METHOD_HELLO,
    METHOD_PING,
    METHOD_SESSION_OPEN,
    METHOD_SESSION_CLOSE,
    METHOD_TXN,
    METHOD_GET,
    METHOD_LIST,
    METHOD_LINEAGE,
    METHOD_PATHS,
    METHOD_IMPACT,
    METHOD_PROVENANCE,
    METHOD_DIFF,
    METHOD_DESCRIBE,
    METHOD_HISTORY,
    METHOD_METRICS,
    METHOD_AUDIT,
    METHOD_WATCH,
    METHOD_SEARCH,
    METHOD_COUNT_THINGS,
    METHOD_EXPLAIN,
    METHOD_LIMITS,
    METHOD_STATUS,
    METHOD_TRANSFER,
    METHOD_MEMBER,
    METHOD_BACKUP,
    METHOD_VERIFY,
    METHOD_CANCEL,  /* a notification */
    METHOD_CREDIT,  /* a notification */
    METHOD_ERROR,   /* a notification, server to client */
    METHOD_EVENT,   /* a notification, server to client */
    METHOD_MEMBERS, /* a notification, server to client */
    METHOD_COUNT
};

const char *method_name(enum method m);
/* METHOD_COUNT when there is none of that name. */
enum method method_parse(struct span name);

enum message_type { MESSAGE_REQUEST = 0, MESSAGE_ANSWER = 1, MESSAGE_NOTIFICATION = 2 };

struct message {
    enum message_type type;
    uint32_t msgid;             /* requests and answers */
    struct span method;         /* requests and notifications */
    const struct value *params; /* requests and notifications: a map */
    const struct value *error;  /* answers: nil or the error map */
    const struct value *result; /* answers */
};

/* CLADE_ERR_INVALID: not a message; the connection is to be ended. */
int message_decode(struct span payload,
                   const struct value_limits *limits,
                   struct arena *arena,
                   struct message *ret,
                   struct error *error);

/* --- requests --- */

struct hello_params {
    bool version_1; /* the client speaks version 1 */
    struct span client;
    struct span ns;
    struct span user;
    struct span on_behalf_of;
};
struct txn_params {
    struct span command;
    uint64_t session; /* 0 = none */
    uint64_t seq;
    uint64_t answered;
    bool dry_run; /* only what it would answer; then session and seq are 0 */
};
struct session_params {
    uint64_t session;  /* session_close */
    uint64_t lease_ms; /* session_open; 0 = the server's default */
};

enum member_action { ACTION_ADD, ACTION_PROMOTE, ACTION_DEMOTE, ACTION_REMOVE, ACTION_COUNT };
struct member_params {
    enum member_action action;
    uint64_t node;
    struct span address; /* add: HOST:PORT, not looked into; else len 0 */
    bool promote;        /* add: to be a voter, else a standby */
    bool wait;           /* for the configuration */
};

enum backup_action {
    BACKUP_OPEN,    /* the store as it is now, or the place up to which entries are wanted */
    BACKUP_READ,    /* bytes of the store's file */
    BACKUP_ENTRIES, /* log entries */
    BACKUP_CLOSE,
    BACKUP_ACTION_COUNT
};
struct backup_params {
    enum backup_action action;
    uint64_t id;    /* the client's own number for this backup, not 0 */
    bool entries;   /* open: the store itself is not wanted, but what follows on `after` */
    uint64_t after; /* open with `entries`, entries: an index */
    uint64_t until; /* entries: an index, not below `after` */
    uint64_t copy;  /* read, close */
    uint64_t offset;
    uint64_t bytes;                     /* read, entries: about so many; not 0 */
    enum clade_consistency consistency; /* open: linearizable, at_least or local */
    uint64_t at_least;
};

enum verify_action { VERIFY_PIN, VERIFY_LOOK, VERIFY_CLOSE, VERIFY_ACTION_COUNT };
struct verify_params {
    enum verify_action action;
    uint64_t id;    /* the client's own number for this scan, not 0 */
    uint64_t index; /* pin: of the log; 0 = what the node has now */
};

/* Each checks types, ranges and unknown keys: CLADE_ERR_INVALID with `where`. */
int hello_decode(const struct value *params, struct hello_params *ret, struct error *error);
int txn_params_decode(const struct value *params, struct txn_params *ret, struct error *error);
int session_params_decode(enum method method,
                          const struct value *params,
                          struct session_params *ret,
                          struct error *error);
int transfer_decode(const struct value *params, uint64_t *ret_to, struct error *error);
int member_params_decode(const struct value *params,
                         struct member_params *ret,
                         struct error *error);
int backup_params_decode(const struct value *params,
                         struct backup_params *ret,
                         struct error *error);
int verify_params_decode(const struct value *params,
                         struct verify_params *ret,
                         struct error *error);
int cancel_decode(const struct value *params, uint32_t *ret_msgid, struct error *error);
/* Of the notification that gives a watch more bytes. */
int credit_decode(const struct value *params,
                  uint32_t *ret_msgid,
                  uint64_t *ret_bytes,
                  struct error *error);
/* For methods without parameters of their own: ping, limits, status. */
int empty_params_decode(const struct value *params, struct error *error);
/* "deadline_ms" of any request; 0 when it has none. */
uint64_t message_deadline_ms(const struct value *params);

/* Opens a request frame: the envelope and the head of a map of `members` parameters, which
 * follow; close with frame_end. Returns the frame's place. */
size_t request_begin(struct buffer *b, uint32_t msgid, enum method method, uint32_t members);
/* The same for a method that is known by name alone. */
size_t request_begin_named(struct buffer *b, uint32_t msgid, struct span method, uint32_t members);
/* Appends the notification [2, "cancel", {"msgid": msgid}]. */
void notification_write_cancel(struct buffer *b, uint32_t msgid);

/* --- answers --- */

/* What every result begins with. */
struct answer_head {
    uint64_t revision;
    uint64_t node;
    uint64_t term;
    bool has_complete; /* reads */
    bool complete;
    struct span cursor; /* len 0 = none */
    bool has_read;      /* audit */
    uint64_t read;
    uint64_t compacted; /* what was then and before is not told; 0 = that is not so */
    bool has_time;      /* txn */
    uint64_t time_us;
};

/* Opens an answer frame: the envelope up to its result, one value, which follows (hello's, for
 * one); close with frame_end. Returns the frame's place. */
size_t answer_begin(struct buffer *b, uint32_t msgid);
/* Appends the whole answer of session_open. */
void answer_write_session(struct buffer *b,
                          uint32_t msgid,
                          const struct answer_head *head,
                          uint64_t session,
                          uint64_t lease_ms);
/* Appends a whole answer frame: head, then "data" = the MessagePack value in `data` (empty:
 * nil). */
void answer_write(struct buffer *b,
                  uint32_t msgid,
                  const struct answer_head *head,
                  struct span data);
/* Appends a whole error answer. `leader` is "HOST:PORT" or len 0. */
void answer_write_error(struct buffer *b,
                        uint32_t msgid,
                        const struct error *e,
                        struct span leader);
/* An error whose map was already encoded (apply_result.body), with "leader" left out. */
void answer_write_error_body(struct buffer *b, uint32_t msgid, struct span body);
/* Opens the notification [2, METHOD, a map of `members` members, which follow]; close with
 * frame_end. Returns the frame's place. */
size_t notification_begin(struct buffer *b, enum method method, uint32_t members);
/* Appends the notification [2, "credit", {"msgid": msgid, "bytes": bytes}]. */
void notification_write_credit(struct buffer *b, uint32_t msgid, uint64_t bytes);
/* Appends the notification [2, "error", {...}]. */
void notification_write_error(struct buffer *b, const struct error *e);
