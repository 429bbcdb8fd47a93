#pragma once
/* A queue from any thread to the thread of a libuv loop. What it holds is bounded by what the
 * senders may have outstanding; each says so where it posts. */
#include <pthread.h>

#include <uv.h>

#include "base/list.h"

struct mailbox {
    pthread_mutex_t mutex;
    struct list items;
    bool closed;
    uv_async_t async;
    /* On the loop: everything that came, in order; the callee takes the nodes out. */
    void (*on_items)(void *arg, struct list *items);
    void *arg;
};

/* 0 or CLADE_ERR_NO_MEMORY. The mailbox stays where it is until it is closed and the loop ran. */
int mailbox_open(struct mailbox *m,
                 uv_loop_t *loop,
                 void (*on_items)(void *arg, struct list *items),
                 void *arg);
/* Any thread: hands the node over. False when the mailbox is closed: the node stays the
 * caller's. */
bool mailbox_post(struct mailbox *m, struct list *node);
/* Loop: delivers what is there, then takes no more. Idempotent. */
void mailbox_close(struct mailbox *m);
/* After the loop has run the handle's closing. */
void mailbox_release(struct mailbox *m);

/* A letter says itself what is to be done with it. */
struct mail {
    struct list node;
    void (*deliver)(struct mail *mail, void *owner); /* owns the mail */
};
/* For mailboxes of letters: delivers each to `arg` as owner. */
void mail_deliver_all(void *arg, struct list *items);
