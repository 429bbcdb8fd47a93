#pragma once
/* The folders of three nodes of a cluster, stopped: each with a store, and a log with entries that
 * the store does not have yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "node/config.h"
#include "node/recover.h"

#define NODES    3
#define IN_STORE 4 /* revisions */
#define IN_LOG   3 /* further ones, which the log alone has */

struct fixture {
    char root[64];
    char paths[NODES + 1][80]; /* from 1 */
    struct config config;
    struct recover_request request;
    struct error error;
};

/* cmocka's setup and teardown. */
int recover_set_up(void **state);
int recover_tear_down(void **state);

/* `%s` in it is the path, wherever it stands. Fails the test when the shell does. */
void shell(const char *command, const char *path);
/* Of the names and bytes of all files, but for locks and the mark's witness, which counts each time
 * that the log was opened. */
struct hash128 digest_of_folder(const char *path);
/* Puts back what set_up made of node i's folder. */
void put_back(struct fixture *f, unsigned i);

/* Appends n entries of the term to the log of node i, each with one revision. */
void append(struct fixture *f, unsigned i, uint64_t term, unsigned n);
/* The store of node i takes in n further revisions, whatever its log has. */
void grow(struct fixture *f, unsigned i, unsigned n);
uint64_t revision_of(struct fixture *f, unsigned i);

/* recover_run of these nodes' folders, the first to be recovered; 0 ends them. */
int recover(struct fixture *f, unsigned first, unsigned second, unsigned third);
