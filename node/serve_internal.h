#pragma once
/* What the files of a serving thread share: serve.c (the loop), accept.c, connection.c (bytes),
 * dispatch.c (methods), writes.c, reads.c, watch.c, workers.c (long queries), status.c,
 * member_change.c.
 *
 * A request is freed by the function that answers it; nobody touches it after. */
#include "base/arena.h"
#include "base/buffer.h"
#include "consensus/proposal.h"
#include "node/mailbox.h"
#include "node/node.h"
#include "node/raft_thread.h"
#include "node/request_metrics.h"
#include "node/serve.h"
#include "node/slow.h"
#include "node/wheel.h"
#include "storage/reader.h"
#include "wire/message.h"

#define CONNECTION_IN_FLIGHT_BYTES_MAX (16U << 20) /* of requests: more are not read */
#define CONNECTION_UNSENT_BYTES_PAUSE  (16U << 20) /* of answers: no more requests are read */
#define CONNECTION_UNSENT_BYTES_MAX    (64U << 20) /* of answers: the connection ends */
#define CONNECTION_STALL_US            (UINT64_C(60) * 1000000)
#define CONNECTION_HELLO_US            (UINT64_C(10) * 1000000)
#define HELLO_FRAME_BYTES_MAX          16384U
#define REQUEST_ARENA_BYTES_MAX        (64U << 20)
#define REQUEST_DEADLINE_MS            10000U
#define REQUEST_DEADLINE_MS_MAX        300000U
#define REQUESTS_POOLED_MAX            512U
#define READ_CHUNK_BYTES               65536U
#define TICKETS_MAX                    2U
#define QUERY_VISITS_MAX               UINT64_C(16000000)
#define ANSWER_SLACK_BYTES             65536U

enum request_state {
    REQUEST_NEW,        /* being decoded */
    REQUEST_WRITE,      /* a proposal is under way; in the serve's table */
    REQUEST_READ_FRESH, /* waits for a ticket to be asked; in serve->fresh */
    REQUEST_READ_ASKED, /* in a ticket's list */
    REQUEST_READ_WAITS, /* waits for a revision; in serve->waiting */
    REQUEST_QUERY,      /* with the query workers */
    REQUEST_ASKING,     /* the raft loop has a letter; in the serve's table */
    REQUEST_TRIED,      /* a transaction that is only tried waits for apply; in the serve's table */
    REQUEST_EVENTS,     /* a watch; in serve->watches */
    REQUEST_WATCHING    /* a change of members was taken and is waited for; in serve->watching */
};

/* A long query's outcome, filled by a worker. */
struct query_result {
    struct buffer data;
    struct reader_answer answer;
    int code;
    struct error error;
    bool cancelled;
    struct reader_effort effort;
    uint64_t worked_us; /* by workers, in all its runs */
};

enum pace { PACE_QUICK, PACE_SLOW };

/* A job that bounds itself to a moment: it is never begun again. Other sorts are enum query_kind.
 */
#define JOB_BOUNDED UINT8_MAX

/* What a query worker runs, see workers.c. */
struct job {
    struct list node; /* lane->queue */
    struct lane *lane;
    enum pace pace; /* whose queue it is in */
    uint8_t sort;
    /* False: its slice (NULL = none) was over first; it has done nothing, and is run again. */
    bool (*run)(struct job *job, struct reader *reader, const struct reader_slice *slice);
    void (*done)(struct job *job); /* on the worker's thread: who submitted it has it back */
};

struct watch;
struct watch_batch;

struct request {
    enum request_state state;
    enum method method;
    uint32_t msgid;
    struct connection *conn;
    struct list conn_node;
    struct list node; /* of its state */
    struct wheel_timer timer;
    struct request *hash_next;
    uint64_t key;        /* REQUEST_WRITE, REQUEST_ASKING */
    uint64_t started_us; /* when it was handled first; 0 = it was not */
    uint64_t ready_us;   /* a read: when what it should see was here; 0 = it was not yet */
    uint64_t deadline_us;
    unsigned place; /* of its namespace among the metrics */
    bool is_placed;
    uint64_t charged;
    struct arena arena;
    struct proposal *proposal;
    uint64_t lease_ms;
    struct span tried; /* the command of a transaction that is only tried; len 0 = none */
    struct member_change *change; /* METHOD_MEMBER */
    struct backup_params *backup; /* METHOD_BACKUP, in the arena */
    struct query query;
    struct query_result *result;
    struct job job;
    struct watch *watch; /* REQUEST_EVENTS */
    struct mail mail;    /* from the worker */
};

/* A connection's long queries, see workers.c; guarded by the workers' mutex. */
struct lane {
    struct list ready[2]; /* of lanes that have jobs, by enum pace */
    struct list queue[2]; /* of jobs */
    unsigned queued;
    unsigned running;    /* on slow threads */
    uint32_t slow_sorts; /* a bit for each sort of job: the last one was slow */
};

struct connection {
    uv_tcp_t tcp;
    struct serve *serve;
    struct list node;
    struct list dirty_node; /* something to write, or to read on */
    struct list requests;
    unsigned in_flight;
    unsigned watches; /* of them */
    unsigned queries; /* of them, with the workers: they keep the memory */
    uint64_t in_flight_bytes;
    uint64_t charged;
    struct buffer in;
    struct buffer out;
    struct buffer sending;
    uv_write_t write;
    bool writing;
    uint64_t write_started_us;
    uint64_t opened_us;
    bool said_hello;
    uint64_t members_version; /* that it was told of last */
    bool paused;              /* not reading: too much in flight */
    bool ended;               /* the peer sends no more */
    bool doomed;              /* closes when its output is written */
    bool closing;
    bool closed;
    char *names; /* what the spans below borrow from */
    struct span ns;
    struct span user;
    struct span on_behalf_of;
    unsigned place; /* of `ns` among the metrics; 0 = not known yet */
    struct lane lane;
};

/* Reads that wait for one read index. */
struct ticket {
    struct list node; /* serve->tickets, then serve->indexed */
    uint64_t id;
    uint64_t asked_us;
    uint64_t index;
    struct list requests;
};

struct listener;

struct serve {
    struct node *node;
    unsigned index;
    uv_loop_t loop;
    pthread_t thread;
    bool running;
    struct mailbox mail;
    uv_async_t wake; /* something was published */
    atomic_bool wants_wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t wheel_timer;
    uv_timer_t housekeeping;
    struct wheel wheel;
    struct list connections;
    struct list dirty;
    uint8_t *chunk; /* READ_CHUNK_BYTES, for all reads */
    struct buffer scratch;
    struct reader *reader;
    struct request_metrics metrics;
    _Atomic uint64_t beat_us; /* last sign of life */
    struct slow_limit slow_limit;

    struct listener *listeners;
    unsigned listeners_len;
    unsigned next_serve;

    struct list pool; /* free requests, by their node */
    unsigned pool_len;
    struct request **table; /* by key; a power of two */
    size_t table_size;
    size_t table_len;
    uint64_t next_key;

    struct list fresh;    /* reads to be asked for */
    struct list tickets;  /* asked */
    struct list indexed;  /* tickets that wait for their index to be published */
    struct list waiting;  /* reads that wait for a revision */
    struct list watching; /* changes of members that are waited for */
    uv_timer_t watch;     /* active while there are some */
    bool looking;         /* the raft loop has a letter for all of them */
    struct list watches;  /* those that are told of transactions, see watch.c */
    size_t watches_len;
    struct lane watch_lane;
    struct watch_batch *watch_batch; /* with the workers; NULL = none */
    uv_timer_t watch_pause;          /* active: no step before it ends */
    unsigned tickets_len;
    unsigned queries_out; /* requests that the workers have; the mailbox stays open for them */
    uint64_t retry_us;    /* no ticket before this: the last one failed */
    uint64_t next_ticket;
    uint64_t confirmed_us; /* time of asking of the newest read index that was published; 0 */

    bool draining;
    uint64_t drain_until_us;
    bool stopped;
};

/* accept.c */
/* Listens again after a shortage of descriptors. */
void accept_go_on(struct serve *s);
void accept_stop(struct serve *s);
void accept_release(struct serve *s);

/* connection.c */
/* Takes the socket. */
void connection_new(struct serve *s, int fd);
/* Something was appended to `out`, or reading may go on. */
void connection_touch(struct connection *c);
/* Ends it after what was written. */
void connection_doom(struct connection *c);
/* Ends it now; its requests are dropped. */
void connection_close(struct connection *c);
/* Writes what is there and reads on where it was paused. */
void connection_flush(struct connection *c);
/* Closes one that waited too long; tells it of the members if their list is another one now. */
void connection_check(struct connection *c, uint64_t now_us, uint64_t members_version);
/* One of its long queries came back. */
void connection_query_returned(struct connection *c);

/* dispatch.c */
/* Handles one frame's payload; a malformed one dooms the connection. */
void dispatch(struct connection *c, struct span payload);
/* Ends a connection with the notification of an error. */
void dispatch_protocol_error(struct connection *c, const struct error *e);
/* Each answers the request and frees it. */
void request_answer(struct request *r, const struct answer_head *head, struct span data);
void request_fail(struct request *r, const struct error *e);
/* With `leader` in the answer, where it is another node. */
void request_fail_with_leader(struct request *r, const struct error *e);
void request_fail_code(struct request *r, int code, const char *message);
/* For answers written by hand into the connection's `out`; `code` is what they say, 0 = OK. */
void request_finish(struct request *r, int code);
/* Without an answer: the connection is gone. */
void request_drop(struct request *r);
/* {node, term} and the revision. */
struct answer_head head_make(const struct serve *s, uint64_t revision);

/* request.c */
struct request *request_new(struct connection *c);
void request_free(struct request *r);
/* Starts its deadline, deadline_ms from now (0 = the default). */
void request_set_deadline(struct request *r, uint64_t deadline_ms);
/* The deadline has passed, or the client cancelled it: answers accordingly. */
void request_expire(struct request *r, bool cancelled);
/* The table of requests that wait for an answer with a key. */
bool table_add(struct serve *s, struct request *r);
struct request *table_find(struct serve *s, uint64_t key);
void table_remove(struct serve *s, struct request *r);

/* writes.c */
void write_txn(struct request *r, const struct value *params);
void write_session_open(struct request *r, const struct value *params);
void write_session_close(struct request *r, const struct value *params);
void write_answered(struct serve *s, const struct answer_record *a, struct span body);
/* Asks apply what the transaction would answer: what it should see is published. */
void write_try(struct request *r);
/* Withdraws it: true when it certainly never happens. */
bool write_withdraw(struct request *r);

/* reads.c */
void read_query(struct request *r, const struct value *params);
/* Holds the request until this node has all that was acknowledged before it came, then runs it. */
void read_fresh(struct request *r);
/* Holds the request until it can be as r->query.consistency says, then runs it. */
void read_begin(struct request *r);
/* Reads whose index or revision is there now. */
void reads_published(struct serve *s);
/* Makes a ticket of what gathered in this turn of the loop. */
void reads_ask(struct serve *s);
void reads_index(struct serve *s, uint64_t ticket, int code, uint64_t index);
/* Answers from r->result. */
void read_finish(struct request *r);
void reads_release(struct serve *s);

void write_member_wanted(struct request *r, const struct group_change *change);

/* watch.c */
void watch_start(struct request *r, const struct value *params);
/* Answers it. */
void watch_cancel(struct request *r);
/* Lets go of it, without an answer. */
void watch_end(struct request *r);
void watch_credit(struct connection *c, const struct value *params);
/* Has those go on that can. */
void watches_published(struct serve *s);
/* Once a second: tells of progress, cuts off those that take nothing. */
void watches_look(struct serve *s);
/* Ends all: the node stops. */
void watches_drain(struct serve *s);

/* member_change.c */
void member_change(struct request *r, const struct value *params);
/* Its command was applied. */
void member_change_taken(struct request *r);
/* Its deadline has passed, or its client cancelled it: answers how far it is. */
void member_change_expire(struct request *r, bool cancelled);
/* Looks at those that wait again. */
void member_changes_look(struct serve *s);
/* Accepts NULL. */
void member_change_free(struct member_change *change);

/* backup.c */
void backup_request(struct request *r, const struct value *params);
/* What it should hold is published. */
void backup_run(struct request *r);

/* verify.c */
void verify_request(struct request *r, const struct value *params);

/* status.c */
/* Registers the request under the letter's key and in the wheel; false when it was answered with an
 * error: the letter stays the caller's. */
bool ask_raft(struct request *r,
              struct raft_letter *letter,
              void (*on_reply)(struct mail *mail, void *owner));
/* The request that a letter came back for; NULL when it is gone. */
struct request *ask_raft_answered(struct serve *s, const struct raft_letter *letter);
/* The loop did not take the letter: answers the request. */
void ask_raft_refused(struct request *r);
/* Asks the raft loop for a status, a struct raft_status_letter that on_reply owns; false when the
 * request was answered with an error. */
bool ask_status(struct request *r, void (*on_reply)(struct mail *mail, void *owner));
/* Answers with `data`, which it releases. */
void status_answer(struct request *r, struct buffer *data);
/* Appends the map of one member; `address` is where it shall be while the configuration has it
 * not. */
void status_put_member(struct buffer *b,
                       struct node *n,
                       const struct group_status *status,
                       uint64_t id,
                       enum member_wanted wanted,
                       const char *address);
/* Tells a client whom it may go to. */
void status_tell_members(struct connection *c);
void status_hello(struct request *r);
void status_limits(struct request *r, const struct value *params);
void status_status(struct request *r, const struct value *params);
void status_transfer(struct request *r, const struct value *params);
