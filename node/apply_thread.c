#include "node/apply_thread.h"

#include <stdlib.h>
#include <time.h>

#include "consensus/applier.h"
#include "node/answers.h"
#include "node/copier.h"
#include "node/lineage_thread.h"
#include "node/raft_thread.h"
#include "node/serve.h"
#include "node/thread.h"
#include "node/verifier.h"

#define BATCH_JOBS  4096
#define BATCH_BYTES (8U << 20)
#define RETRY_NS    100000000L

struct apply_thread {
    struct node *node;
    struct applier *applier;
    pthread_t thread;
    bool running;
    char old_store[CONFIG_PATH_BYTES + 300]; /* that a swap has replaced */
    struct answers **answers;                /* one a serving thread; NULL while there are none */
};

/* --- answers --- */

static void on_result(void *arg, const struct apply_result *result)
{
    struct apply_thread *a = arg;
    struct node *n = a->node;
    metric_add(&n->metrics.commands, 1);
    if (result->id.node != n->folder.identity.node || result->id.boot != n->boot) {
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

static void on_answered(void *arg)
{
    struct apply_thread *a = arg;
    for (unsigned i = 0; i < a->node->serves_len; i++) {
        if (a->answers[i] != NULL) {
            serve_answered(a->node->serves[i], a->answers[i]);
            a->answers[i] = NULL;
        }
    }
}

static void on_aborted(void *arg)
{
    struct apply_thread *a = arg;
    for (unsigned i = 0; i < a->node->serves_len; i++) {
        answers_free(a->answers[i]);
        a->answers[i] = NULL;
    }
}

/* --- what the applier says --- */

static void on_published(void *arg, const struct store_position *p)
{
    struct apply_thread *a = arg;
    struct node *n = a->node;
    atomic_store(&n->published_revision, p->revision);
    atomic_store(&n->published_index, p->applied);
    verifier_published(n->verifier, p->applied);
    for (unsigned i = 0; i < n->serves_len; i++) {
        serve_published(n->serves[i]);
    }
    raft_thread_published(n->raft);
}

static void on_marked(void *arg,
                      const struct store_position *position,
                      const struct store_digest *digest)
{
    struct apply_thread *a = arg;
    raft_thread_marked(a->node->raft, position, digest);
}

/* The store that was current is removed at once: readers that still have it open keep its pages,
 * and the space comes back when they have done. */
static int on_make_current(void *arg, const char *path, struct error *error)
{
    struct apply_thread *a = arg;
    struct data_folder *folder = &a->node->folder;
    (void)snprintf(a->old_store, sizeof a->old_store, "%s", folder->store_path);
    return data_folder_adopt_store(folder, path, error);
}

static void on_swapped(void *arg, const char *path, int code)
{
    struct apply_thread *a = arg;
    if (code == 0) {
        struct error error = {.code = 0};
        log_info("the store was swapped for the copy", LOG_STR("path", a->node->folder.store_path));
        lineage_thread_wake(a->node->lineage);
        if (data_folder_remove_store(&a->node->folder, a->old_store, &error) < 0) {
            log_warning("the former store could not be removed", LOG_STR("error", error.message));
        }
    }
    copier_swapped(a->node->copier, code);
}

/* --- batches --- */

static void wait_for_space(struct apply_thread *a, const struct error *error)
{
    metric_add(&a->node->metrics.store_full, 1);
    if (atomic_exchange(&a->node->applied_full, 1) == 0) {
        log_error("the store is full; applying waits until there is room (runbook: disk full)",
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
    atomic_fetch_add(&a->node->apply_turns, 1);
    atomic_store(&a->node->metrics.apply_since_us, node_now(a->node));
    applier_stop_at(a->applier, verifier_index(a->node->verifier));
    int r = applier_run(a->applier, jobs, ret_next, &error);
    atomic_store(&a->node->metrics.apply_since_us, 0);
    atomic_fetch_add(&a->node->apply_turns, 1);
    if (r == CLADE_ERR_NO_SPACE) {
        wait_for_space(a, &error);
        return false;
    }
    if (r != 0) {
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
    const struct applier_options options = {.store = n->store,
                                            .archive = n->archive,
                                            .clock = n->clock,
                                            .batches = &n->metrics.apply_batches,
                                            .commits = &n->metrics.store_commits,
                                            .on_result = on_result,
                                            .on_answered = on_answered,
                                            .on_aborted = on_aborted,
                                            .on_published = on_published,
                                            .on_marked = on_marked,
                                            .make_current = on_make_current,
                                            .on_swapped = on_swapped,
                                            .arg = a};
    int r = applier_new(&options, &a->applier, error);
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
    applier_free(a->applier);
    free(a->answers);
    free(a);
}
