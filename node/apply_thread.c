#include "node/apply_thread.h"

#include <stdlib.h>
#include <time.h>

#include "node/answers.h"
#include "node/raft_thread.h"
#include "node/serve.h"
#include "node/thread.h"
#include "storage/apply.h"

#define BATCH_JOBS        4096
#define BATCH_BYTES       (8U << 20)
#define BATCH_DIRTY_BYTES (UINT64_C(256) << 20)
#define RETRY_NS          100000000L

struct apply_thread {
    struct node *node;
    struct apply *apply;
    pthread_t thread;
    bool running;
    struct answers **answers; /* one a serving thread; NULL while there are none */
    uint64_t answered;        /* entries up to this index were answered: not again after an abort */
    uint64_t index;           /* of the entry under way */
};

/* --- answers --- */

static void on_result(void *arg, const struct apply_result *result)
{
    struct apply_thread *a = arg;
    struct node *n = a->node;
    if (a->index <= a->answered || result->id.node != n->folder.identity.node ||
        result->id.boot != n->boot) {
        return;
    }
    uint64_t owner = node_number_owner(result->id.counter);
    if (owner >= n->serves_len) {
        return;
    }
    if (a->answers[owner] == NULL) {
        a->answers[owner] = answers_new();
    }
    if (a->answers[owner] != NULL) {
        answers_add(a->answers[owner], result); /* one that is lost ends as UNKNOWN */
    }
}

static void post_answers(struct apply_thread *a, uint64_t through)
{
    for (unsigned i = 0; i < a->node->serves_len; i++) {
        if (a->answers[i] != NULL) {
            serve_answered(a->node->serves[i], a->answers[i]);
            a->answers[i] = NULL;
        }
    }
    if (through > a->answered) {
        a->answered = through;
    }
}

static void drop_answers(struct apply_thread *a)
{
    for (unsigned i = 0; i < a->node->serves_len; i++) {
        answers_free(a->answers[i]);
        a->answers[i] = NULL;
    }
}

/* --- batches --- */

static void publish(struct apply_thread *a, const struct store_position *p)
{
    struct node *n = a->node;
    atomic_store(&n->published_revision, p->revision);
    atomic_store(&n->published_index, p->applied);
    for (unsigned i = 0; i < n->serves_len; i++) {
        serve_published(n->serves[i]);
    }
    raft_thread_published(n->raft);
}

/* Applies jobs from *jobs on and commits; *ret_next is the first one that was left for the next
 * transaction. After an error the store is as before and the same may be tried again. */
static int apply_some(struct apply_thread *a,
                      struct apply_job *jobs,
                      struct apply_job **ret_next,
                      struct error *error)
{
    struct store_position position;
    int r = apply_begin(a->apply, error);
    struct apply_job *j = jobs;
    while (r == 0 && j != NULL && (j == jobs || apply_batch_bytes(a->apply) < BATCH_DIRTY_BYTES)) {
        a->index = j->index;
        r = j->kind == JOB_ADVANCE ? apply_advance(a->apply, j->previous, j->index, error)
                                   : apply_entry(a->apply, j->previous, j->index,
                                                 span_make(j->bytes, j->len), on_result, a, error);
        j = j->next;
    }
    if (r == 0) {
        /* The entries are committed and durable in the log: their clients need not wait. */
        post_answers(a, a->index);
        r = apply_commit(a->apply, &position, error);
    }
    if (r != 0) {
        drop_answers(a);
        apply_abort(a->apply);
        return r;
    }
    publish(a, &position);
    *ret_next = j;
    return 0;
}

static void wait_for_space(struct apply_thread *a, const struct error *error)
{
    if (atomic_exchange(&a->node->applied_full, 1) == 0) {
        log_error("the store is full; applying waits until there is room",
                  LOG_STR("error", error->message));
    }
    const struct timespec pause = {.tv_nsec = RETRY_NS};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* A full disk is waited out (by determinism the same entries then give the same results); any
 * other error stops the node. */
static bool try_some(struct apply_thread *a, struct apply_job *jobs, struct apply_job **ret_next)
{
    struct error error = {.code = 0};
    int r = apply_some(a, jobs, ret_next, &error);
    if (r == CLADE_ERR_NO_SPACE) {
        wait_for_space(a, &error);
        return false;
    }
    if (r != 0) {
        (void)error_wrap(&error, "applying the log entry at index %llu",
                         (unsigned long long)a->index);
        node_fatal(&error);
    }
    if (atomic_exchange(&a->node->applied_full, 0) != 0) {
        log_info("there is room again; applying goes on");
    }
    return true;
}

static bool is_stopping(struct apply_thread *a)
{
    return !__atomic_load_n(&a->running, __ATOMIC_ACQUIRE);
}

static void free_jobs(struct apply_job *jobs)
{
    while (jobs != NULL) {
        struct apply_job *next = jobs->next;
        free(jobs);
        jobs = next;
    }
}

static void run(void *arg)
{
    struct apply_thread *a = arg;
    struct apply_queue *q = a->node->queue;
    while (apply_queue_wait(q)) {
        struct apply_job *jobs = apply_queue_take(q, BATCH_JOBS, BATCH_BYTES);
        while (jobs != NULL) {
            struct apply_job *next = jobs;
            if (!try_some(a, jobs, &next)) {
                if (is_stopping(a)) {
                    free_jobs(jobs); /* the log keeps them */
                    return;
                }
                continue;
            }
            uint64_t bytes = 0;
            while (jobs != next) {
                struct apply_job *done = jobs;
                jobs = jobs->next;
                bytes += done->len;
                free(done);
            }
            apply_queue_done(q, bytes);
        }
    }
}

/* --- life --- */

int apply_thread_new(struct node *n, struct apply_thread **ret, struct error *error)
{
    struct apply_thread *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    a->node = n;
    int r = apply_new(n->store, &a->apply, error);
    if (r < 0) {
        free(a);
        return r;
    }
    *ret = a;
    return 0;
}

int apply_thread_start(struct apply_thread *a, struct error *error)
{
    a->answers = calloc(a->node->serves_len, sizeof *a->answers);
    a->running = true;
    if (a->answers == NULL || thread_start(&a->thread, "apply", run, a) < 0) {
        a->running = false;
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
    }
    return 0;
}

void apply_thread_stop(struct apply_thread *a)
{
    if (a == NULL || !a->running) {
        return;
    }
    __atomic_store_n(&a->running, false, __ATOMIC_RELEASE);
    apply_queue_close(a->node->queue);
    pthread_join(a->thread, NULL);
}

void apply_thread_free(struct apply_thread *a)
{
    if (a == NULL) {
        return;
    }
    apply_free(a->apply);
    free(a->answers);
    free(a);
}
