#pragma once
/* A store in a folder of its own, driven as the apply thread and a serving thread would. Requests
 * and answers are JSON text with ' for ", so that a test reads as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "command/value.h"
#include "storage/apply.h"
#include "storage/reader.h"

#define FIXTURE_MAP_BYTES ((uint64_t)1 << 28)

struct fixture {
    char dir[64];
    struct store *store;
    uint64_t lineage_bytes; /* of the store that fixture_open opens; 0 = no lineage index */
    struct apply *apply;
    struct reader *reader;
    struct buffer entry; /* being built */
    struct entry_header header;
    uint64_t index;      /* of the last entry */
    uint64_t stamp_us;   /* of the next */
    uint32_t elapsed_ms; /* between two entries; 0 until a test sets it */
    struct arena arena;
    /* of the last result */
    struct apply_result result; /* its body borrows from `body` */
    struct buffer body;
    unsigned results;
    /* of the last answer */
    struct reader_answer answer;
    struct reader_effort effort;
    uint64_t deadline_us; /* of the next read; 0 = none */
    struct buffer out;
    struct error error;
};

/* cmocka's setup and teardown; *state is the fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

void fixture_open(struct fixture *f, uint64_t map_bytes);
void fixture_close(struct fixture *f);
/* A new, empty folder instead of the one there. */
void fixture_wipe(struct fixture *f);

/* JSON to MessagePack. Fails the test when it is not JSON. */
void json_put(struct buffer *b, const char *json);
/* MessagePack to JSON, without blanks; freed by the caller. */
char *json_of(struct span bytes);

/* Adds an item to the entry being built. */
void fixture_add(struct fixture *f, const struct item *item);
/* Runs the entry in a batch of its own and commits. Returns apply_entry's code. */
int fixture_run(struct fixture *f);
/* One transaction, in an entry and a batch of its own: its code, the rest in f->result. */
int fixture_txn(struct fixture *f, const char *json);
/* The same under a session. */
int fixture_txn_in(
    struct fixture *f, uint64_t session, uint64_t seq, uint64_t answered, const char *json);
uint64_t fixture_open_session(struct fixture *f, uint64_t lease_ms, uint32_t elapsed_ms);

/* fixture_txn, which fails the test when the transaction is refused. */
void do_txn(struct fixture *f, const char *json);
/* An entry in which nothing but a tick stands. */
void tick(struct fixture *f);
/* Fails the test when a row or a sum is not as it must be (store_verify). */
void verify(struct fixture *f);

/* A read: reader_query's code, the rest in f->answer and f->out. */
int fixture_read(struct fixture *f, enum query_kind kind, const char *json);

/* The last body, respectively the last answer, is this JSON. */
#define assert_body(f, json)   assert_json(buffer_span(&(f)->body), json, __FILE__, __LINE__)
#define assert_answer(f, json) assert_json(buffer_span(&(f)->out), json, __FILE__, __LINE__)
void assert_json(struct span bytes, const char *json, const char *file, int line);
/* Counts occurrences of `text` in the last answer as JSON. */
size_t answer_count(struct fixture *f, const char *text);

bool digests_equal(struct store_digest a, struct store_digest b);
/* A seed that the test prints: CLADE_TEST_SEED, else from the clock. */
uint64_t test_seed(void);
uint64_t next_random(uint64_t *state);
