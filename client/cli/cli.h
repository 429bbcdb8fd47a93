#pragma once
/* One run of the command: its arguments, its settings, where it writes, the client that it
 * talks through. */
#include <stdio.h>

#include <clade.h>

#include "base/arena.h"
#include "cli/args.h"
#include "cli/settings.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_CONFLICT = 4,
    EXIT_UNAVAILABLE = 5,
    EXIT_UNKNOWN = 6
};

struct cli {
    struct args args;
    struct settings settings;
    FILE *out;
    FILE *messages;
    bool color;                  /* of `out` */
    bool messages_color;         /* of `messages` */
    unsigned terminal_columns;   /* of `out`; 0 = no terminal */
    struct clade_client *client; /* blocking; NULL until cli_open */
};

/* Looks at the terminal; the rest of *cli is filled in by the caller. */
void cli_init_output(struct cli *cli);

/* Connection settings, with `timeout_ms` where the user did not say (0 = libclade's). */
struct clade_options cli_options(const struct cli *cli, unsigned timeout_ms);
/* Opens the blocking client; prints what is wrong. An exit code. */
int cli_open(struct cli *cli);
/* The same with another timeout for each request; a client that is open is closed. */
int cli_open_for(struct cli *cli, unsigned timeout_ms);

/* The exit code that an error of libclade becomes. */
int cli_exit_code(int error);
/* Prints why a response failed, as a sentence or, with -w json or ndjson, as a JSON object.
 * `what` says what was tried and may be NULL. Returns the exit code. */
int cli_fail(struct cli *cli, const char *what, const struct clade_response *response);
int cli_fail_error(struct cli *cli, const char *what, const struct error *error);
/* cli_fail for a transaction whose operation n is about items[n]: a person reads that in the place
 * of "ops[n]". Behind the last, and where it is NULL, nothing stands there. */
int cli_fail_op(struct cli *cli,
                const char *const items[],
                size_t items_len,
                const struct clade_response *response);
/* The message without the "ops[3].ref: " that it may begin with: for operations that the user did
 * not number. */
const char *cli_without_op(const char *message);
/* Says that memory is out; EXIT_REFUSED. */
int cli_no_memory(struct cli *cli);
/* "clade: ..." to the messages; what it quotes may be anything (table_append_clean). */
void cli_say(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A mistake in the command line; returns EXIT_USAGE. */
int cli_usage(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For commands whose effect is no transaction: a mistake when --dry-run was given. An exit code. */
int cli_no_dry_run(struct cli *cli);
/* Whether `out` still takes what is written (a reader such as head may have gone). */
bool cli_output_works(const struct cli *cli);

/* What every read may carry, from the settings and flags. An exit code. */
int cli_read(struct cli *cli, struct clade_read *ret);

/* A whole number given as a flag; `fallback` when it was not given. False, having said why, when
 * it is none. */
bool cli_uint(struct cli *cli, enum flag_id flag, uint64_t fallback, uint64_t *ret);

/* So many lines of stdin go to a transaction: it holds up others' writes while it is applied. */
#define CLI_LINES_PER_TXN 16

struct cli_list {
    struct arena arena;
    const char **items; /* NULL-terminated */
    size_t len;
    size_t capacity;
    bool of_stdin; /* lines of it are among them */
};

/* The arguments from `first` on, each "-" replaced by the lines of stdin. With a kind, each
 * becomes a reference (text_append_ref). An exit code; release in any case. */
int cli_arguments(struct cli *cli, size_t first, const char *kind, struct cli_list *ret);
/* The parts of "a,b,c". False when memory is out. */
bool cli_split(const char *text, struct cli_list *ret);
/* Appends a copy. False when memory is out. */
bool cli_list_add(struct cli_list *list, struct span item);
/* text_append_ref into the list's arena; NULL when memory is out. */
const char *cli_list_ref(struct cli_list *list, const char *kind, const char *text);
void cli_list_release(struct cli_list *list);
