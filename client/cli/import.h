#pragma once
/* What the two kinds of import share: the client on a loop, counts, pace, progress, reports. */
#include <uv.h>

#include "cli/cli.h"
#include "cli/lines.h"

struct import_counts {
    uint64_t read;
    uint64_t created;
    uint64_t changed;
    uint64_t unchanged;
    uint64_t refused;
    uint64_t implied; /* types and stubs that lines needed and that were made for them */
};

struct import {
    struct cli *cli;
    uv_loop_t loop;
    uv_timer_t tick; /* wakes the loop for pace and progress */
    struct clade_client *client;
    struct import_counts counts;
    bool strict;
    bool header;
    bool stop;           /* read no more: the cluster is away, or a line was refused (strict) */
    int code;            /* the exit code of what stopped it */
    uint64_t rate;       /* lines a second; 0 = no bound */
    uint64_t started_us; /* monotonic */
    uint64_t shown_us;
    bool shows_progress;
    const struct lines *lines; /* what is being read, for progress */
    uint64_t bytes_total;      /* of that file; 0 = not known */
};

/* Opens the client and checks, or makes, the namespace. An exit code; close only after
 * EXIT_DONE. */
int import_open(struct import *im, struct cli *cli);
void import_close(struct import *im);

/* Opens a file for reading, "-" being stdin, and shows its progress. *ret_fd is -1 after a
 * failure, which was said. */
int import_open_file(struct import *im, const char *path, int *ret_fd);
void import_close_file(struct import *im, int fd);

/* Whether the pace allows another line now. */
bool import_may_read(struct import *im);
/* Runs the loop until something happened. */
void import_wait(struct import *im);

/* FILE:LINE: reason. Counts the line as refused, and stops when strict. */
void import_refuse(struct import *im, const char *file, uint64_t line, const char *reason);
/* `numbered`: the line has operations of the user's, so that "ops[2]" tells him something. */
void import_refuse_response(struct import *im,
                            const char *file,
                            uint64_t line,
                            bool numbered,
                            const struct clade_response *response);
/* Whether an error means that the cluster, not the line, is the trouble; then the import stops
 * and the reason is said. */
bool import_stopped_by(struct import *im, const struct clade_response *response);

enum import_status { IMPORT_UNCHANGED, IMPORT_CHANGED, IMPORT_CREATED };
/* The status of an operation's result. */
enum import_status import_status_of(const struct clade_value *result);
void import_count(struct import *im, enum import_status status);

/* The two kinds. Each reads, sends and waits until all is answered. */
int import_json(struct import *im, const char *const files[], size_t files_len);
int import_graph(struct import *im, const char *nodes_path, const char *edges_path);
