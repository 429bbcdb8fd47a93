#include "node/resolver.h"

#include <stdlib.h>

#include "node/endpoint.h"
#include "node/node.h"
#include "node/thread.h"

struct lookup {
    struct mail mail; /* first in the queue, then a letter to the loop */
    char address[MEMBER_ADDRESS_BYTES];
    void (*cb)(void *arg, int status, const struct sockaddr_storage *address);
    void *arg;
    int status;
    struct sockaddr_storage found;
};

struct resolver {
    struct peers_resolver face;
    struct mailbox *reply;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct list queue;
    bool stopping;
};

static void deliver(struct mail *mail, void *owner)
{
    struct lookup *l = LIST_ENTRY(mail, struct lookup, mail);
    l->cb(l->arg, l->status, l->status == 0 ? &l->found : NULL);
    free(l);
}

static void answer(struct resolver *r, struct lookup *l)
{
    l->mail.deliver = deliver;
    if (!mailbox_post(r->reply, &l->mail.node)) {
        free(l);
    }
}

static void look_up(struct lookup *l)
{
    struct sockaddr_storage all[ENDPOINTS_MAX];
    int n = endpoint_resolve(l->address, all, NULL);
    l->status = n > 0 ? 0 : CLADE_ERR_NOT_FOUND;
    if (n > 0) {
        l->found = all[0];
    }
}

static struct lookup *wait_for_one(struct resolver *r)
{
    pthread_mutex_lock(&r->mutex);
    while (list_is_empty(&r->queue) && !r->stopping) {
        pthread_cond_wait(&r->wake, &r->mutex);
    }
    struct list *n = r->stopping ? NULL : list_pop_front(&r->queue);
    pthread_mutex_unlock(&r->mutex);
    return n == NULL ? NULL : LIST_ENTRY(n, struct lookup, mail.node);
}

static void run(void *arg)
{
    struct resolver *r = arg;
    for (struct lookup *l; (l = wait_for_one(r)) != NULL;) {
        look_up(l);
        answer(r, l);
    }
}

static void resolve(struct peers_resolver *face,
                    const char *address,
                    void (*cb)(void *arg, int status, const struct sockaddr_storage *address),
                    void *arg)
{
    struct resolver *r = LIST_ENTRY(face, struct resolver, face);
    struct lookup *l = calloc(1, sizeof *l);
    if (l == NULL) {
        node_fatal_memory("resolving a member's name"); /* a callback is promised */
    }
    (void)snprintf(l->address, sizeof l->address, "%s", address);
    l->cb = cb;
    l->arg = arg;
    pthread_mutex_lock(&r->mutex);
    list_push_back(&r->queue, &l->mail.node);
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mutex);
}

int resolver_new(struct mailbox *reply, struct resolver **ret, struct error *error)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    r->face.resolve = resolve;
    r->reply = reply;
    list_init(&r->queue);
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->wake, NULL);
    if (thread_start(&r->thread, "resolver", run, r) != 0) {
        free(r);
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
    }
    *ret = r;
    return 0;
}

struct peers_resolver *resolver_face(struct resolver *r)
{
    return &r->face;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL) {
        return;
    }
    pthread_mutex_lock(&r->mutex);
    r->stopping = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mutex);
    pthread_join(r->thread, NULL);
    for (struct list *n; (n = list_pop_front(&r->queue)) != NULL;) {
        free(LIST_ENTRY(n, struct lookup, mail.node));
    }
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}
