#pragma once
/* The thread that gives other members what they lack (supplier.h) and fetches what this node lacks
 * (catch_up.h): both block on disk, which the raft loop must not. What it holds is bounded: fetches
 * and supplies that wait above COPIER_LETTERS_MAX are dropped, and asked for again. */
#include "consensus/catch_up.h"
#include "node/backup_source.h"
#include "node/node.h"

struct copier;

#define COPIER_LETTERS_MAX 64

int copier_new(struct node *n, struct copier **ret, struct error *error);
int copier_start(struct copier *c, struct error *error);
/* Waits for the thread; nothing is sent any more. Accepts NULL. */
void copier_stop(struct copier *c);
void copier_free(struct copier *c);

/* Any thread: what the group says. The bytes are copied. */
void copier_want(struct copier *c, uint64_t index, const uint64_t *sources, size_t n);
void copier_fetch(struct copier *c, uint64_t from, struct span fetch);
void copier_supply(struct copier *c, uint64_t from, struct span supply);
/* Any thread: has a request of a backup answered; the letter goes back to its asker. False: it
 * stays the caller's, since too much waits or the node stops. */
bool copier_backup(struct copier *c, struct backup_letter *letter);
/* Any thread: the apply thread has swapped the store, or why not. */
void copier_swapped(struct copier *c, int code);
/* Any thread: how far catching up has got, about. */
void copier_status(struct copier *c, struct catch_up_status *ret);
