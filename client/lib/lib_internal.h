#pragma once
/* What the files of the client library share. One thread, the client's loop, runs all of it.
 *
 * A request moves WAITING -> SENT -> DONE; back from SENT to WAITING when its connection is lost,
 * over DELAYED when it was refused for now. client.c owns the moves; nothing else links a
 * request. */
#include <netinet/in.h>

#include <clade.h>
#include <uv.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/list.h"
#include "command/value.h"
#include "wire/message.h"

#define ENDPOINTS_MAX    64
#define ADDRESSES_MAX    8
#define TEXT_BYTES_MAX   256
#define SEND_BYTES_MAX   ((size_t)4 << 20) /* unsent bytes above which nothing is encoded */
#define CANCEL_BYTES_MAX 32                /* a cancel notification */
/* Twice over, since what was sent is cut off only when it is half of it. */
#define OUT_BYTES_MAX      (2 * (SEND_BYTES_MAX + CLADE_MAX_FRAME_BYTES))
#define PARAMS_BYTES_MAX   (CLADE_MAX_FRAME_BYTES - 1024) /* the rest is the envelope's */
#define METHOD_BYTES_MAX   64
#define RECEIVE_BYTES      ((size_t)64 << 10) /* room made before each read */
#define RESPONSE_BYTES_MAX ((size_t)64 << 20) /* an answer unpacked: 16 bytes a value, and room */
#define BACKOFF_MIN_MS     20
#define BACKOFF_MAX_MS     1000
#define WATCH_DEADLINE_MS  (UINT64_MAX / 4) /* of a watch: never */
#define FINAL_MS           100  /* with less than this left, the server's word is the last */
#define LIVENESS_MS        1000 /* how often a connection that owes answers is looked at */

_Static_assert(OUT_BYTES_MAX < UINT32_MAX, "lengths of what is sent fit 32 bits");

/* --- endpoints.c --- */

struct endpoint {
    char host[TEXT_BYTES_MAX]; /* without brackets */
    uint16_t port;
};

/* Where to connect: the configured ones in order, then those that a server told of. */
struct endpoints {
    struct endpoint items[ENDPOINTS_MAX];
    size_t len;
    size_t configured;
    size_t next; /* to be tried next */
};

/* Parses "HOST:PORT,[V6]:PORT". 0 or CLADE_ERR_INVALID. */
int endpoints_parse(struct endpoints *e, const char *text);
/* Parses one. */
int endpoint_parse(struct span text, struct endpoint *ret);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
/* Replaces what was learned before by the client addresses of the members that a server told of. A
 * list without any (of a node that just started) changes nothing. */
void endpoints_learn(struct endpoints *e, const struct value *members);
/* Makes `at` the next one to be tried; it is added when it is not there and there is room. */
void endpoints_prefer(struct endpoints *e, const struct endpoint *at);
/* The next one to be tried becomes the one behind `at`. */
void endpoints_rotate(struct endpoints *e, const struct endpoint *at);

/* --- backoff.c --- */

/* A xorshift state seeded from the kernel; never 0. */
uint64_t backoff_seed(void);
/* Milliseconds to wait before try n (from 0): doubling from BACKOFF_MIN_MS to BACKOFF_MAX_MS, its
 * upper half random. */
uint64_t backoff_ms(uint64_t *seed, unsigned n);

/* --- response.c --- */

struct clade_response {
    struct arena arena;
    int code;
    const char *message;
    uint64_t revision;
    uint64_t node;
    uint64_t term;
    bool complete;
    uint64_t read;
    uint64_t compacted;
    const char *cursor;
    const struct value *result; /* whole */
    const struct value *data;
    const struct value *error;
    char **refs; /* of data[op], made when asked for */
    size_t payload_len;
    uint8_t payload[]; /* what values borrow from */
};

/* Copies a frame's payload and decodes it as a message, which borrows from the response. NULL
 * with *error when it is not one, or when memory is out. */
struct clade_response *response_decode(struct span payload,
                                       struct message *ret_message,
                                       struct error *error);
/* Fills the response from an answer that response_decode gave. */
void response_take_result(struct clade_response *r, const struct value *result);
void response_take_error(struct clade_response *r, const struct value *map, const struct error *e);
/* An error of the library's own; NULL when memory is out. */
struct clade_response *response_new_error(const struct error *e);

/* --- doc.c, txn_builder.c, params.c: what requests are written from --- */

/* The document's bytes, checked: one whole value. CLADE_ERR_INVALID, _LIMIT, _NO_MEMORY. */
int doc_bytes(const struct clade_doc *doc, struct span *ret, struct error *error);
/* Appends the command. The builder's first mistake, or CLADE_ERR_LIMIT. */
bool txn_is_dry_run(const struct clade_txn *txn);
int txn_encode(const struct clade_txn *txn, struct buffer *b, struct error *error);

/* The members of a request's params, without the head of the map. */
struct params {
    struct buffer bytes;
    uint32_t members;
};

void params_get(struct params *p,
                const char *const refs[],
                size_t refs_len,
                const struct clade_read *read,
                uint64_t revision);
void params_list(struct params *p,
                 const char *kind,
                 const char *under,
                 const struct clade_read *read,
                 uint64_t revision);
void params_lineage(struct params *p,
                    const struct clade_lineage *lineage,
                    const struct clade_read *read,
                    uint64_t revision);
void params_impact(struct params *p,
                   const struct clade_lineage *lineage,
                   const struct clade_read *read,
                   uint64_t revision);
void params_provenance(struct params *p,
                       const struct clade_lineage *lineage,
                       const struct clade_read *read,
                       uint64_t revision);
void params_paths(struct params *p,
                  const struct clade_paths *paths,
                  const struct clade_read *read,
                  uint64_t revision);
void params_diff(struct params *p,
                 const struct clade_diff *diff,
                 const struct clade_read *read,
                 uint64_t revision);
void params_history(struct params *p,
                    const char *ref,
                    const struct clade_read *read,
                    uint64_t revision);
void params_metrics(struct params *p,
                    const struct clade_metrics *metrics,
                    const struct clade_read *read,
                    uint64_t revision);
void params_watch(struct params *p, const struct clade_watch_options *options);
void params_audit(struct params *p,
                  const struct clade_audit *audit,
                  const struct clade_read *read,
                  uint64_t revision);
void params_search(struct params *p,
                   const struct clade_search *search,
                   const struct clade_read *read,
                   uint64_t revision);
int params_doc(struct params *p, const struct clade_doc *doc, struct error *error);

/* --- request.c --- */

enum request_state { REQUEST_NEW, REQUEST_WAITING, REQUEST_SENT, REQUEST_DELAYED, REQUEST_DONE };
enum request_queue { QUEUE_TXNS, QUEUE_CALLS, QUEUE_COUNT };

struct clade_request {
    struct list link;       /* in the client's list of its state */
    struct list unanswered; /* in session.unanswered, once it has a number */
    struct clade_client *client;
    enum request_state state;
    enum request_queue queue;
    bool internal;       /* ours: its callback runs at once */
    bool writes;         /* sent and unanswered means that it may have happened */
    bool idempotent;     /* of a write: it may be sent again even if it happened */
    bool maybe_happened; /* a sending of it was lost, or answered UNKNOWN */
    unsigned attempts;   /* refusals so far, for the backoff */
    unsigned refusals;   /* in a row, by connection `refused_by` */
    uint64_t refused_by;
    uint64_t order; /* of starting; 0 goes first */
    uint64_t deadline_ms;
    uint64_t wake_ms; /* the heap's key: the deadline, or the end of the delay */
    size_t heap_at;   /* from 1; 0 = not in the heap */
    uint32_t msgid;   /* SENT */
    uint64_t session; /* 0 = not numbered yet */
    uint64_t seq;
    struct clade_response *response; /* DONE */
    struct clade_watch *watch;       /* it lasts, and begins at watch->next when it is sent again */
    clade_cb cb;
    void *arg;
    struct span method;
    uint32_t members;
    struct span params;
    uint8_t bytes[]; /* method, params */
};

/* Copies; NULL when memory is out. */
struct clade_request *request_new(struct clade_client *client,
                                  struct span method,
                                  const struct params *params,
                                  clade_cb cb,
                                  void *arg);
/* Appends its frame under r->msgid. */
void request_encode(const struct clade_request *r,
                    uint64_t answered,
                    uint64_t now_ms,
                    struct buffer *b);

/* What an error answer means for a request. */
enum verdict {
    VERDICT_FINAL,      /* the answer stands */
    VERDICT_UNKNOWN,    /* an earlier sending may have happened, and nobody will tell any more */
    VERDICT_AGAIN,      /* later, under the same number */
    VERDICT_NEW_SESSION /* nothing happened: again, under a session and a number to come */
};
enum verdict request_judge(struct clade_request *r, int code, uint64_t now_ms);

/* --- heap.c: requests by wake_ms --- */

struct heap {
    struct clade_request **items;
    size_t len;
    size_t capacity;
};

bool heap_reserve(struct heap *h); /* room for one more; false when memory is out */
void heap_push(struct heap *h, struct clade_request *r); /* after heap_reserve */
void heap_remove(struct heap *h, struct clade_request *r);
void heap_release(struct heap *h);
static inline struct clade_request *heap_top(const struct heap *h)
{
    return h->len == 0 ? NULL : h->items[0];
}

/* --- slots.c: message ids --- */

/* A msgid is a slot's index and how often the slot was used, so that a late answer finds
 * nothing. The slot of a request that was given up stays taken until it is answered: the server
 * counts it too. */
struct slot {
    struct clade_request *request;
    uint32_t msgid;
    uint32_t next_free;
    bool taken;
};

struct slots {
    struct slot *items;
    uint32_t len;
    uint32_t taken;
    uint32_t free; /* first free one; len = none */
};

#define SLOT_BITS   12
#define MSGID_HELLO UINT32_MAX
#define MSGID_PING  (UINT32_MAX - 1)
_Static_assert(CLADE_MAX_REQUESTS <= 1 << SLOT_BITS, "a slot's index fits its bits");

bool slots_init(struct slots *s, uint32_t len);
void slots_release(struct slots *s);
bool slots_take(struct slots *s, struct clade_request *r); /* sets r->msgid; false = none free */
/* The slot of an answer, freed. *ret is its request, NULL when it was given up. False when there
 * is no such msgid. */
bool slots_answer(struct slots *s, uint32_t msgid, struct clade_request **ret);
/* The request that has the msgid; NULL when there is none. */
struct clade_request *slots_find(const struct slots *s, uint32_t msgid);
void slots_give_up(struct slots *s, const struct clade_request *r);
/* Frees all: their connection is gone. */
void slots_reset(struct slots *s);

/* --- connection.c --- */

enum connection_state {
    CONNECTION_RESOLVING,
    CONNECTION_CONNECTING,
    CONNECTION_GREETING, /* hello was sent */
    CONNECTION_READY,
    CONNECTION_CLOSED, /* the client has let go of it; its handles are closing */
    CONNECTION_STATES
};

/* One attempt at one address of one endpoint, and what becomes of it. */
struct connection {
    struct clade_client *client;
    enum connection_state state;
    uint64_t number; /* of all that the client ever made */
    struct endpoint endpoint;
    struct sockaddr_storage addresses[ADDRESSES_MAX]; /* this one, and those still untried */
    size_t addresses_len;
    int fd;
    unsigned handles; /* open ones, and the resolver's request */
    bool has_poll;
    bool resolving;
    bool served;    /* it answered a request */
    bool heard;     /* bytes came since the last look */
    unsigned quiet; /* looks in a row without any */
    bool writable_wanted;
    uv_poll_t poll;
    uv_timer_t timer; /* of the connect, later of the looks */
    uv_getaddrinfo_t resolver;
    struct buffer in;
    struct buffer out;
    size_t out_sent; /* bytes of `out` that are on their way */
};

/* Starts to connect. NULL when memory is out. */
struct connection *connection_open(struct clade_client *client, const struct endpoint *endpoint);
/* Lets go of it: the client hears nothing of it any more. Accepts NULL and closed ones. */
void connection_close(struct connection *c);
/* Sends what is in `out`, as far as the socket takes it. */
void connection_flush(struct connection *c);
/* An answer is owed from now on. */
void connection_watch(struct connection *c);
/* Enters READY after the hello. */
void connection_ready(struct connection *c);
size_t connection_unsent(const struct connection *c);

/* --- session.c --- */

struct session {
    uint64_t id; /* 0 = none */
    uint64_t next_seq;
    struct list unanswered; /* this session's and, before them, ended ones' */
    struct clade_request *opening;
};

/* Whether the transaction may be sent now; opens a session when there is none. */
bool session_admits(struct clade_client *client, const struct clade_request *r);
/* Gives it its number. */
void session_number(struct clade_client *client, struct clade_request *r);
/* The lowest seq of its session that has no answer. */
uint64_t session_answered(const struct clade_client *client, const struct clade_request *r);
/* The server does not know this session any more. */
void session_expired(struct clade_client *client, uint64_t id);
/* Takes the number away again. */
void session_forget(struct clade_request *r);
/* Appends session_close, when there is a session. */
void session_write_close(struct clade_client *client, struct buffer *b);

/* --- client.c --- */

struct clade_client {
    uv_loop_t *loop;
    bool owns_loop; /* blocking.c's */
    char *ns;
    char *user;
    char *client_name;
    unsigned connect_timeout_ms;
    unsigned request_timeout_ms;
    unsigned lease_ms;
    bool dry_run;
    struct endpoints endpoints;
    struct connection *connection; /* NULL between them */
    unsigned connections;          /* with those still closing */
    uint64_t connections_made;
    unsigned failures; /* in a row */
    struct session session;
    struct list waiting[QUEUE_COUNT];
    struct list sent; /* in the order of sending */
    struct list delayed;
    struct list done;
    size_t done_len;
    struct heap heap;
    struct slots slots;
    struct params params;  /* scratch of the calls */
    struct buffer command; /* scratch of transactions */
    uint64_t order_next;
    uint64_t revision;
    uint64_t seed;
    char cluster[TEXT_BYTES_MAX];     /* "" until the first hello */
    char failure[TEXT_BYTES_MAX * 2]; /* why there is no connection, for messages */
    uv_timer_t wake;                  /* the heap's */
    uv_timer_t wait;                  /* of who waits for events, blocking */
    bool waited;
    uv_timer_t reconnect; /* between rounds through the endpoints */
    uv_prepare_t pump;    /* once before the loop sleeps: connect, encode, send, arm */
    uv_idle_t drain;      /* while callbacks are due */
    unsigned handles;
    bool closing;
    bool handles_closing;
    clade_close_cb close_cb;
    void *close_arg;
};

uint64_t client_now_ms(const struct clade_client *client);
/* Has the pump run before the loop sleeps. */
void client_kick(struct clade_client *client);
/* Puts a new request into its queue, deadline_ms from now; 0 = the client's. Takes it; on false,
 * memory is out and it was freed. */
bool client_start(struct clade_request *r, unsigned deadline_ms);
/* Answers a request, whatever its state. Takes the response. */
void client_finish(struct clade_request *r, struct clade_response *response);
void client_finish_error(struct clade_request *r, const struct error *e);
/* Ends it with `code`, or UNKNOWN for a write that may have happened. */
void client_give_up(struct clade_request *r, int code, const char *why);
/* Ends every request that waits to be sent in this queue; with `numbered` false, not the
 * transactions that have a number already. */
void client_fail_waiting(struct clade_client *client,
                         enum request_queue queue,
                         bool numbered,
                         const struct error *e);
/* Runs the callbacks that are due. */
void client_drain(struct clade_client *client);

/* Moves a request that is in no list back, to be sent again at once, resp. after `least_ms` and a
 * backoff. */
void client_requeue(struct clade_request *r);
void client_delay(struct clade_request *r, uint64_t least_ms);

/* --- watch.c --- */

struct watch_page;

struct clade_watch {
    struct clade_client *client;
    struct clade_request *request; /* NULL once it has ended */
    uint64_t next;                 /* where it is on the wire; 0 = the server says */
    uint64_t seen;                 /* what the caller was told is below it */
    uint64_t connection;           /* the number of that on which the last events came */
    clade_event_cb on_event;       /* NULL: they are kept until the caller asks */
    clade_watch_end_cb on_end;
    void *arg;
    bool stopped; /* nothing is told any more */
    bool ended;   /* `end` says why */
    bool closed;  /* freed when it ends */
    struct list pages;
    struct watch_page *at; /* the page that the caller is at */
    struct clade_response *end;
};

/* Takes a message of events, and the response that it borrows from. */
int watch_take_event(struct connection *c,
                     struct clade_response *response,
                     const struct message *m,
                     struct error *error);

/* --- calls.c --- */

/* Starts the request of a watch; NULL when memory is out. */
struct clade_request *calls_start_watch(struct clade_client *client,
                                        const struct clade_watch_options *options,
                                        struct clade_watch *watch,
                                        clade_cb cb);

/* --- pump.c: from the queues to the connection --- */

void pump_on_prepare(uv_prepare_t *handle);
void pump_on_wake(uv_timer_t *handle);
void pump_on_reconnect(uv_timer_t *handle);

/* From the connection: */
void client_on_connected(struct connection *c);
/* Says what became of it; its requests are sent again on the next one. */
void client_on_lost(struct connection *c, const char *why);
void client_on_connection_freed(struct clade_client *client);
/* Drops the connection; the next one goes to endpoints.next. */
void client_switch(struct clade_client *client);

/* --- answer.c: what the server says --- */

/* Takes a frame. False when the connection was lost over it. */
bool client_on_frame(struct connection *c, struct span payload);
