#pragma once
/* Stores with a lineage index, for the tests of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define BYTES    ((uint64_t)64 << 20)
#define FIRST_ID 2 /* of what is made in an empty store */
#define CHAIN    3000

/* With room for an index of so many bytes; it is not filled. */
struct fixture *indexed_fixture(uint64_t lineage_bytes);
void indexed_fixture_free(struct fixture *f);
/* Closes the store and opens it again, as a restart does. */
void reopen(struct fixture *f, uint64_t lineage_bytes);
void fill(struct fixture *f);
enum store_lineage_state state_of(struct fixture *f);
/* A transaction that must go through. */
void run(struct fixture *f, const char *json);
/* Artifacts, runs, models and experiments in turns, n0 to n(n-1). */
void make_things(struct fixture *f, int n);
/* CHAIN runs, each linked to the next. */
void make_chain(struct fixture *f);
