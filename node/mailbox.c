#include "node/mailbox.h"

#include <clade.h>

static void deliver(struct mailbox *m)
{
    struct list items;
    list_init(&items);
    pthread_mutex_lock(&m->mutex);
    list_splice_back(&items, &m->items);
    pthread_mutex_unlock(&m->mutex);
    if (!list_is_empty(&items)) {
        m->on_items(m->arg, &items);
    }
}

static void on_async(uv_async_t *async)
{
    deliver(async->data);
}

int mailbox_open(struct mailbox *m,
                 uv_loop_t *loop,
                 void (*on_items)(void *arg, struct list *items),
                 void *arg)
{
    *m = (struct mailbox){.on_items = on_items, .arg = arg};
    list_init(&m->items);
    if (pthread_mutex_init(&m->mutex, NULL) != 0) {
        return CLADE_ERR_NO_MEMORY;
    }
    if (uv_async_init(loop, &m->async, on_async) != 0) {
        pthread_mutex_destroy(&m->mutex);
        return CLADE_ERR_NO_MEMORY;
    }
    m->async.data = m;
    return 0;
}

bool mailbox_post(struct mailbox *m, struct list *node)
{
    pthread_mutex_lock(&m->mutex);
    bool open = !m->closed;
    bool first = list_is_empty(&m->items);
    if (open) {
        list_push_back(&m->items, node);
        if (first) {
            /* Under the mutex, so that it never meets a handle that mailbox_close has closed. */
            (void)uv_async_send(&m->async);
        }
    }
    pthread_mutex_unlock(&m->mutex);
    return open;
}

void mailbox_close(struct mailbox *m)
{
    pthread_mutex_lock(&m->mutex);
    bool open = !m->closed;
    m->closed = true;
    pthread_mutex_unlock(&m->mutex);
    if (open) {
        deliver(m);
        uv_close((uv_handle_t *)&m->async, NULL);
    }
}

void mailbox_release(struct mailbox *m)
{
    pthread_mutex_destroy(&m->mutex);
}

void mail_deliver_all(void *arg, struct list *items)
{
    for (struct list *n; (n = list_pop_front(items)) != NULL;) {
        struct mail *mail = LIST_ENTRY(n, struct mail, node);
        mail->deliver(mail, arg);
    }
}
