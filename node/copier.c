#include "node/copier.h"

#include <stdlib.h>

#include "consensus/message.h"
#include "consensus/supplier.h"
#include "node/mailbox.h"
#include "node/raft_thread.h"
#include "node/thread.h"

#define TICK_MS 1000

struct copier {
    struct node *node;
    uv_loop_t loop;
    pthread_t thread;
    bool running;
    atomic_bool stopping;
    struct mailbox mail;
    uv_timer_t step;   /* catch_up wants to be called */
    uv_timer_t tick;   /* the supplier closes what is idle */
    uv_timer_t sender; /* answers that wait for their time */
    struct list delayed;
    struct supplier *supplier;
    struct backup_source *backups;
    struct catch_up *catch_up;
    struct buffer answer;
    atomic_uint letters;
    pthread_mutex_t mutex; /* guards `status` */
    struct catch_up_status status;
};

/* An answer that leaves later, to keep the rate. */
struct delayed_answer {
    struct list node;
    uint64_t due_us;
    struct backup_letter *letter; /* of a backup; NULL: a supply for `to` */
    uint64_t to;
    size_t len;
    uint8_t bytes[];
};

/* --- stepping --- */

static void step(struct copier *c);

static void on_step(uv_timer_t *timer)
{
    step(timer->data);
}

static void step(struct copier *c)
{
    catch_up_set_headroom(c->catch_up, node_headroom(c->node));
    uint64_t next_us = catch_up_step(c->catch_up);
    pthread_mutex_lock(&c->mutex);
    catch_up_status(c->catch_up, &c->status);
    pthread_mutex_unlock(&c->mutex);
    if (next_us == UINT64_MAX) {
        (void)uv_timer_stop(&c->step);
        return;
    }
    uint64_t now = node_now(c->node);
    uv_update_time(&c->loop);
    (void)uv_timer_start(&c->step, on_step, next_us <= now ? 0 : (next_us - now) / 1000 + 1, 0);
}

static void on_tick(uv_timer_t *timer)
{
    struct copier *c = timer->data;
    supplier_tick(c->supplier);
    backup_source_tick(c->backups);
}

/* --- answers --- */

static void on_sender(uv_timer_t *timer);

static void start_sender(struct copier *c)
{
    if (list_is_empty(&c->delayed)) {
        return;
    }
    uint64_t due = LIST_ENTRY(c->delayed.next, struct delayed_answer, node)->due_us;
    uint64_t now = node_now(c->node);
    uv_update_time(&c->loop);
    (void)uv_timer_start(&c->sender, on_sender, due <= now ? 0 : (due - now) / 1000 + 1, 0);
}

static void on_sender(uv_timer_t *timer)
{
    struct copier *c = timer->data;
    uint64_t now = node_now(c->node);
    LIST_FOREACH(n, &c->delayed)
    {
        struct delayed_answer *d = LIST_ENTRY(n, struct delayed_answer, node);
        if (d->due_us > now) {
            break; /* in order */
        }
        list_remove(n);
        if (d->letter != NULL) {
            raft_letter_return(&d->letter->letter);
        } else {
            raft_thread_send_supply(c->node->raft, d->to, span_make(d->bytes, d->len));
        }
        free(d);
    }
    start_sender(c);
}

/* Members and backups have a rate each, so what comes later may leave sooner. */
static void delay(struct copier *c, struct delayed_answer *d, uint64_t delay_us)
{
    d->due_us = node_now(c->node) + delay_us;
    struct list *behind = &c->delayed;
    while (behind->prev != &c->delayed &&
           LIST_ENTRY(behind->prev, struct delayed_answer, node)->due_us > d->due_us) {
        behind = behind->prev;
    }
    list_push_back(behind, &d->node); /* before `behind` */
    start_sender(c);
}

static void delay_supply(struct copier *c, uint64_t to, uint64_t delay_us)
{
    struct delayed_answer *d = malloc(sizeof *d + c->answer.len);
    if (d == NULL) {
        return; /* as if it had been lost */
    }
    *d = (struct delayed_answer){.to = to, .len = c->answer.len};
    memcpy(d->bytes, c->answer.data, c->answer.len);
    delay(c, d, delay_us);
}

static void give(struct copier *c, uint64_t from, struct span fetch)
{
    uint64_t delay_us = 0;
    supplier_set_rate(c->supplier, config_now(c->node->config->catch_up_rate_bytes));
    if (!supplier_answer(c->supplier, from, fetch, &c->answer, &delay_us)) {
        return;
    }
    if (delay_us > 0 || !list_is_empty(&c->delayed)) {
        delay_supply(c, from, delay_us);
    } else {
        raft_thread_send_supply(c->node->raft, from, buffer_span(&c->answer));
    }
}

/* --- letters --- */

struct copier_mail {
    struct mail mail;
    enum { LETTER_FETCH, LETTER_SUPPLY, LETTER_WANT, LETTER_SWAPPED, LETTER_STOP } kind;
    uint64_t from; /* WANT: the index */
    int code;
    size_t len;
    uint8_t bytes[]; /* WANT: the sources, u64 each */
};

static void close_handles(struct copier *c)
{
    mailbox_close(&c->mail);
    uv_close((uv_handle_t *)&c->step, NULL);
    uv_close((uv_handle_t *)&c->tick, NULL);
    uv_close((uv_handle_t *)&c->sender, NULL);
}

static void handle(struct copier *c, const struct copier_mail *m)
{
    uint64_t sources[GROUP_MEMBERS_MAX];
    switch (m->kind) {
    case LETTER_FETCH:
        give(c, m->from, span_make(m->bytes, m->len));
        return;
    case LETTER_SUPPLY:
        catch_up_receive(c->catch_up, m->from, span_make(m->bytes, m->len));
        break;
    case LETTER_WANT:
        memcpy(sources, m->bytes, m->len);
        catch_up_want(c->catch_up, m->from, sources, m->len / sizeof sources[0]);
        break;
    case LETTER_SWAPPED:
        catch_up_swapped(c->catch_up, m->code);
        break;
    case LETTER_STOP:
        close_handles(c);
        return;
    }
    step(c);
}

static void deliver(struct mail *mail, void *owner)
{
    struct copier *c = owner;
    struct copier_mail *m = LIST_ENTRY(mail, struct copier_mail, mail);
    atomic_fetch_sub(&c->letters, 1);
    if (!uv_is_closing((uv_handle_t *)&c->step)) {
        handle(c, m);
    }
    free(m);
}

/* False when it was dropped. */
static bool post(struct copier *c, int kind, uint64_t from, int code, struct span bytes)
{
    struct copier_mail *m = malloc(sizeof *m + bytes.len);
    if (m == NULL) {
        return false;
    }
    *m = (struct copier_mail){
        .mail.deliver = deliver, .kind = kind, .from = from, .code = code, .len = bytes.len};
    if (bytes.len > 0) {
        memcpy(m->bytes, bytes.data, bytes.len);
    }
    atomic_fetch_add(&c->letters, 1);
    if (!mailbox_post(&c->mail, &m->mail.node)) {
        atomic_fetch_sub(&c->letters, 1);
        free(m);
        return false;
    }
    return true;
}

static bool is_full(struct copier *c)
{
    return atomic_load(&c->letters) >= COPIER_LETTERS_MAX;
}

void copier_want(struct copier *c, uint64_t index, const uint64_t *sources, size_t n)
{
    if (!is_full(c)) {
        (void)post(c, LETTER_WANT, index, 0, span_make(sources, n * sizeof *sources));
    }
}

void copier_fetch(struct copier *c, uint64_t from, struct span fetch)
{
    if (!is_full(c)) {
        (void)post(c, LETTER_FETCH, from, 0, fetch);
    }
}

void copier_supply(struct copier *c, uint64_t from, struct span supply)
{
    if (!is_full(c)) {
        (void)post(c, LETTER_SUPPLY, from, 0, supply);
    }
}

/* --- backups --- */

static void give_backup(struct copier *c, struct backup_letter *l)
{
    uint64_t delay_us = 0;
    backup_source_answer(c->backups, l, &delay_us);
    struct delayed_answer *d = delay_us > 0 ? malloc(sizeof *d) : NULL;
    if (d == NULL) {
        raft_letter_return(&l->letter);
        return;
    }
    *d = (struct delayed_answer){.letter = l};
    delay(c, d, delay_us);
}

static void deliver_backup(struct mail *mail, void *owner)
{
    struct copier *c = owner;
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct backup_letter *l = LIST_ENTRY(letter, struct backup_letter, letter);
    atomic_fetch_sub(&c->letters, 1);
    if (uv_is_closing((uv_handle_t *)&c->step)) {
        backup_letter_free(letter);
    } else {
        give_backup(c, l);
    }
}

bool copier_backup(struct copier *c, struct backup_letter *l)
{
    if (is_full(c)) {
        return false;
    }
    l->letter.mail.deliver = deliver_backup;
    atomic_fetch_add(&c->letters, 1);
    if (!mailbox_post(&c->mail, &l->letter.mail.node)) {
        atomic_fetch_sub(&c->letters, 1);
        return false;
    }
    return true;
}

void copier_swapped(struct copier *c, int code)
{
    if (!post(c, LETTER_SWAPPED, 0, code, (struct span){0}) && !atomic_load(&c->stopping)) {
        node_fatal_memory("telling of a swapped store"); /* catching up would wait for ever */
    }
}

void copier_status(struct copier *c, struct catch_up_status *ret)
{
    pthread_mutex_lock(&c->mutex);
    *ret = c->status;
    pthread_mutex_unlock(&c->mutex);
}

/* --- what catch_up asks --- */

static void on_send(void *arg, uint64_t to, struct span fetch)
{
    struct copier *c = arg;
    raft_thread_send_fetch(c->node->raft, to, fetch);
}

static void on_swap(void *arg, const char *path, const struct store_copy_info *info)
{
    struct copier *c = arg;
    log_info("a copy of the store was received and checked", LOG_U64("index", info->applied),
             LOG_U64("revision", info->revision), LOG_U64("bytes", info->bytes));
    apply_queue_swap(c->node->queue, path, info->applied);
}

static void on_sync(void *arg, uint64_t index)
{
    struct copier *c = arg;
    (void)apply_queue_mark(c->node->queue);
}

static bool on_goes_on(void *arg)
{
    struct copier *c = arg;
    return !atomic_load(&c->stopping);
}

static void on_notice(void *arg, const char *what, uint64_t member)
{
    log_warning(what, LOG_U64("member", member));
}

/* --- life --- */

static int open_parts(struct copier *c, struct error *error)
{
    struct node *n = c->node;
    int made = backup_source_new(n, &c->backups, error);
    if (made < 0) {
        return made;
    }
    const struct supplier_options supplier = {.store = n->store,
                                              .archive = n->archive,
                                              .clock = n->clock,
                                              .boot = n->boot,
                                              .rate_bytes = n->config->catch_up_rate_bytes,
                                              .on_notice = on_notice,
                                              .metrics = &n->metrics.supplied};
    int r = supplier_new(&supplier, &c->supplier, error);
    if (r < 0) {
        return r;
    }
    const struct catch_up_options catch_up = {.folder = n->folder.store_folder,
                                              .clock = n->clock,
                                              .queue = n->queue,
                                              .store = n->store,
                                              .boot = n->boot,
                                              .map_bytes = n->config->map_bytes,
                                              .headroom_bytes = node_headroom(n),
                                              .callbacks = {.send = on_send,
                                                            .swap = on_swap,
                                                            .sync = on_sync,
                                                            .goes_on = on_goes_on,
                                                            .on_notice = on_notice},
                                              .arg = c};
    return catch_up_new(&catch_up, &c->catch_up, error);
}

int copier_new(struct node *n, struct copier **ret, struct error *error)
{
    struct copier *c = calloc(1, sizeof *c);
    if (c == NULL || uv_loop_init(&c->loop) != 0) {
        free(c);
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    c->node = n;
    list_init(&c->delayed);
    pthread_mutex_init(&c->mutex, NULL);
    buffer_init(&c->answer, PEER_MESSAGE_BYTES_MAX);
    c->step.data = c;
    c->tick.data = c;
    c->sender.data = c;
    *ret = c;
    if (mailbox_open(&c->mail, &c->loop, mail_deliver_all, c) < 0 ||
        uv_timer_init(&c->loop, &c->step) != 0 || uv_timer_init(&c->loop, &c->tick) != 0 ||
        uv_timer_init(&c->loop, &c->sender) != 0) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "the copier's loop cannot be made");
    }
    return open_parts(c, error);
}

static void run(void *arg)
{
    struct copier *c = arg;
    (void)uv_run(&c->loop, UV_RUN_DEFAULT);
}

int copier_start(struct copier *c, struct error *error)
{
    (void)uv_timer_start(&c->tick, on_tick, TICK_MS, TICK_MS);
    c->running = true;
    if (thread_start(&c->thread, "copier", run, c) < 0) {
        c->running = false;
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
    }
    return 0;
}

void copier_stop(struct copier *c)
{
    if (c == NULL || !c->running) {
        return;
    }
    atomic_store(&c->stopping, true);
    if (!post(c, LETTER_STOP, 0, 0, (struct span){0})) {
        node_fatal_memory("stopping the copier");
    }
    pthread_join(c->thread, NULL);
    c->running = false;
}

void copier_free(struct copier *c)
{
    if (c == NULL) {
        return;
    }
    while (!list_is_empty(&c->delayed)) {
        struct delayed_answer *d =
            LIST_ENTRY(list_pop_front(&c->delayed), struct delayed_answer, node);
        if (d->letter != NULL) {
            backup_letter_free(&d->letter->letter); /* who waited for it is gone */
        }
        free(d);
    }
    supplier_free(c->supplier);
    backup_source_free(c->backups);
    catch_up_free(c->catch_up);
    (void)uv_loop_close(&c->loop);
    mailbox_release(&c->mail);
    buffer_release(&c->answer);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}
