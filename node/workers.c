#include "node/workers.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "node/serve_internal.h"
#include "node/thread.h"

#define QUEUED_MAX      4096U
#define LANE_QUEUED_MAX 256U
#define SLICE_US        UINT64_C(5000) /* of the processor that a query may take of the quick thread */
#define SLICE_WAIT_US   UINT64_C(20000) /* and of time: it may wait for the disk */
#define SLOW_NICE       10              /* makes way for serving, the log and quick queries */

struct worker {
    struct workers *workers;
    struct reader *reader;
    pthread_t thread;
    bool running;
};

/* Guarded by the mutex. */
struct workers {
    struct node *node;
    pthread_mutex_t mutex;
    struct list ready[2];   /* lanes that have such jobs, by enum pace */
    pthread_cond_t wake[2]; /* of the threads of a pace */
    bool quick_is_busy;
    unsigned slow_idle;
    unsigned queued;
    unsigned lane_running_max; /* on slow threads */
    bool stopping;
    unsigned len;
    struct worker threads[]; /* the first is the quick one */
};

/* --- lanes --- */

void lane_init(struct lane *lane)
{
    *lane = (struct lane){.running = 0};
    list_init(&lane->queue[PACE_QUICK]);
    list_init(&lane->queue[PACE_SLOW]);
}

static void queue(struct workers *w, struct job *job, enum pace pace)
{
    struct lane *lane = job->lane;
    list_push_back(&lane->queue[pace], &job->node);
    w->queued++;
    lane->queued++;
    job->pace = pace;
    if (!list_is_linked(&lane->ready[pace])) {
        list_push_back(&w->ready[pace], &lane->ready[pace]);
    }
    bool slow = pace == PACE_SLOW || w->quick_is_busy;
    pthread_cond_signal(&w->wake[slow ? PACE_SLOW : PACE_QUICK]);
}

/* Takes the job out of its queue. Its lane is behind the others then, or has none of that pace. */
static void unqueue(struct workers *w, struct job *job)
{
    struct lane *lane = job->lane;
    list_remove(&job->node);
    w->queued--;
    lane->queued--;
    list_remove(&lane->ready[job->pace]);
    if (!list_is_empty(&lane->queue[job->pace])) {
        list_push_back(&w->ready[job->pace], &lane->ready[job->pace]);
    }
}

static enum pace pace_of(const struct workers *w, const struct job *job)
{
    if (job->sort == JOB_BOUNDED) {
        bool at_once = w->slow_idle > 0 && list_is_empty(&w->ready[PACE_SLOW]);
        return at_once ? PACE_SLOW : PACE_QUICK;
    }
    return (job->lane->slow_sorts >> job->sort & 1) != 0 ? PACE_SLOW : PACE_QUICK;
}

bool workers_submit(struct workers *w, struct job *job)
{
    pthread_mutex_lock(&w->mutex);
    bool room = w->queued < QUEUED_MAX && job->lane->queued < LANE_QUEUED_MAX && !w->stopping;
    if (room) {
        queue(w, job, pace_of(w, job));
    }
    pthread_mutex_unlock(&w->mutex);
    return room;
}

bool workers_cancel(struct workers *w, struct request *r, bool interrupt)
{
    pthread_mutex_lock(&w->mutex);
    bool queued = list_is_linked(&r->job.node);
    if (queued) {
        unqueue(w, &r->job);
    } else if (interrupt) {
        __atomic_store_n(&r->result->cancelled, true, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&w->mutex);
    return queued;
}

unsigned workers_queued(struct workers *w)
{
    pthread_mutex_lock(&w->mutex);
    unsigned queued = w->queued;
    pthread_mutex_unlock(&w->mutex);
    return queued;
}

/* --- the threads --- */

/* The next job of a pace; NULL when there is none, or none that a slow thread may have. At most as
 * many lanes are passed over as there are slow threads. */
static struct job *first(struct workers *w, enum pace pace, bool is_slow)
{
    LIST_FOREACH(n, &w->ready[pace])
    {
        struct lane *lane = LIST_ENTRY(n - pace, struct lane, ready[0]);
        if (!is_slow || lane->running < w->lane_running_max) {
            return LIST_ENTRY(lane->queue[pace].next, struct job, node);
        }
    }
    return NULL;
}

/* Slow threads help the quick one when it is busy, else it is about to wake. */
static struct job *next(struct workers *w, bool is_slow)
{
    if (!is_slow) {
        return first(w, PACE_QUICK, false);
    }
    struct job *job = first(w, PACE_SLOW, true);
    return job == NULL && w->quick_is_busy ? first(w, PACE_QUICK, true) : job;
}

static struct job *take(struct workers *w, bool is_slow)
{
    struct job *job;
    pthread_mutex_lock(&w->mutex);
    w->slow_idle += is_slow;
    while ((job = next(w, is_slow)) == NULL && !w->stopping) {
        pthread_cond_wait(&w->wake[is_slow ? PACE_SLOW : PACE_QUICK], &w->mutex);
    }
    w->slow_idle -= is_slow;
    if (job != NULL) {
        unqueue(w, job);
        job->lane->running += is_slow;
        w->quick_is_busy |= !is_slow;
    }
    if (!list_is_empty(&w->ready[PACE_QUICK])) {
        pthread_cond_signal(&w->wake[PACE_SLOW]);
    }
    pthread_mutex_unlock(&w->mutex);
    return job;
}

/* The time that a run has taken. Where the machine is busy a query is quick that takes little of
 * the processor, however long it took. */
struct run {
    const struct node *node;
    uint64_t begin_us;
    uint64_t begin_cpu_us;
};

static uint64_t cpu_us(const struct run *run)
{
    return thread_cpu_us() - run->begin_cpu_us;
}

static bool is_over(void *arg)
{
    const struct run *run = arg;
    uint64_t took_us = node_now(run->node) - run->begin_us;
    return took_us > SLICE_US && (took_us > SLICE_WAIT_US || cpu_us(run) > SLICE_US);
}

/* What the next job of its sort on this lane is taken for. */
static void learn(struct job *job, bool was_slow)
{
    uint32_t bit = job->sort == JOB_BOUNDED ? 0 : (uint32_t)1 << job->sort;
    job->lane->slow_sorts = was_slow ? job->lane->slow_sorts | bit : job->lane->slow_sorts & ~bit;
}

/* Runs it; false when its slice ended first: then it is a slow thread's. */
static bool run_job(struct worker *t, struct job *job, bool is_slow)
{
    struct workers *w = t->workers;
    struct run run = {
        .node = w->node, .begin_us = node_now(w->node), .begin_cpu_us = thread_cpu_us()};
    const struct reader_slice slice = {.is_over = is_over, .arg = &run};
    bool ended = job->run(job, t->reader, is_slow ? NULL : &slice);
    bool was_slow = cpu_us(&run) > SLICE_US;
    pthread_mutex_lock(&w->mutex);
    job->lane->running -= is_slow;
    w->quick_is_busy &= is_slow;
    learn(job, was_slow);
    if (!ended) {
        queue(w, job, PACE_SLOW);
    }
    pthread_mutex_unlock(&w->mutex);
    return ended;
}

static void run(void *arg)
{
    struct worker *t = arg;
    struct workers *w = t->workers;
    bool is_slow = t != &w->threads[0];
    if (is_slow) {
        (void)setpriority(PRIO_PROCESS, 0, SLOW_NICE); /* of this thread; where it may not: fair */
    }
    for (struct job *job; (job = take(w, is_slow)) != NULL;) {
        if (run_job(t, job, is_slow)) {
            job->done(job); /* its lane may be gone after */
        }
    }
}

/* --- life --- */

int workers_new(struct node *n, unsigned slow, struct workers **ret, struct error *error)
{
    unsigned threads = 1 + slow;
    struct workers *w = calloc(1, sizeof *w + threads * sizeof w->threads[0]);
    if (w == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    w->node = n;
    w->lane_running_max = slow > 1 ? slow - 1 : 1;
    pthread_mutex_init(&w->mutex, NULL);
    for (unsigned pace = 0; pace < 2; pace++) {
        list_init(&w->ready[pace]);
        pthread_cond_init(&w->wake[pace], NULL);
    }
    *ret = w;
    for (; w->len < threads; w->len++) {
        struct worker *t = &w->threads[w->len];
        t->workers = w;
        int r = reader_new(n->store, &t->reader, error);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int workers_start(struct workers *w, struct error *error)
{
    for (unsigned i = 0; i < w->len; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "query-%u", i);
        if (thread_start(&w->threads[i].thread, name, run, &w->threads[i]) < 0) {
            return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
        }
        w->threads[i].running = true;
    }
    return 0;
}

void workers_stop(struct workers *w)
{
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake[PACE_QUICK]);
    pthread_cond_broadcast(&w->wake[PACE_SLOW]);
    pthread_mutex_unlock(&w->mutex);
    for (unsigned i = 0; i < w->len; i++) {
        if (w->threads[i].running) {
            pthread_join(w->threads[i].thread, NULL);
            w->threads[i].running = false;
        }
    }
}

void workers_free(struct workers *w)
{
    if (w == NULL) {
        return;
    }
    for (unsigned i = 0; i < w->len; i++) {
        reader_free(w->threads[i].reader);
    }
    pthread_cond_destroy(&w->wake[PACE_QUICK]);
    pthread_cond_destroy(&w->wake[PACE_SLOW]);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}
