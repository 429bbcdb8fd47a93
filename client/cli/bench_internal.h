#pragma once
/* What the two halves of `clade bench` share: the run, and what it requests. */
#include <uv.h>

#include "cli/cli.h"

#define BENCH_NAME_BYTES 96

struct bench;

struct bench_slot {
    struct bench *bench;
    struct clade_client *client;
    struct clade_txn *txn;
    uint64_t started_us;
    uint64_t batches; /* logged so far */
};

/* A kind of request. */
struct bench_request {
    const char *name; /* as the command's subject */
    const char *refs; /* the kind that is asked for where no --ref is given; "" = none is needed,
                         NULL = it must be given */
    /* Sends the run's request n with the slot's transaction or references; NULL when memory is out.
     */
    struct clade_request *(*start)(struct bench_slot *s, uint64_t n, clade_cb on_done);
};

struct bench {
    struct cli *cli;
    const struct bench_request *request;
    uv_loop_t loop;
    struct clade_client **clients;
    size_t clients_open;
    struct bench_slot *slots;
    uint64_t slots_len;
    uint64_t connections;
    uint64_t count;
    uint64_t started; /* requests */
    uint64_t done;
    uint64_t failed;
    int first_error;
    uint32_t *latencies_us; /* of the requests that succeeded */
    uint64_t latencies_len;
    uint64_t series; /* of a batch */
    uint64_t points;
    uint64_t each;  /* references of a get */
    char *text;     /* of `bytes` bytes */
    uint64_t stamp; /* makes names of this run its own */
    struct cli_list refs;
    struct cli_list labels;
};

/* Never NULL: the subject of a command is one. */
const struct bench_request *bench_request_find(const char *name);
