#include "consensus/apply_queue.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"

struct apply_queue {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct apply_job *head;
    struct apply_job **tail;
    uint64_t last;
    uint64_t bytes;
    bool compacts; /* a JOB_COMPACT waits */
    bool closed;
};

struct apply_queue *apply_queue_new(void)
{
    struct apply_queue *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return NULL;
    }
    CHECK(pthread_mutex_init(&q->mutex, NULL) == 0);
    CHECK(pthread_cond_init(&q->wake, NULL) == 0);
    q->tail = &q->head;
    return q;
}

void apply_queue_free(struct apply_queue *q)
{
    if (q == NULL) {
        return;
    }
    while (q->head != NULL) {
        struct apply_job *job = q->head;
        q->head = job->next;
        free(job);
    }
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

static void link_job(struct apply_queue *q, struct apply_job *job, uint64_t index)
{
    CHECK(index >= q->last);
    job->next = NULL;
    job->previous = q->last;
    job->index = index;
    *q->tail = job;
    q->tail = &job->next;
    q->last = index;
    q->bytes += job->len;
    pthread_cond_signal(&q->wake);
}

/* Raft has committed it: there is no going on without it. */
static void append(struct apply_queue *q,
                   enum apply_job_kind kind,
                   uint64_t index,
                   struct span bytes)
{
    struct apply_job *job = malloc(sizeof *job + bytes.len);
    CHECK(job != NULL);
    job->kind = kind;
    job->len = bytes.len;
    if (bytes.len > 0) {
        memcpy(job->bytes, bytes.data, bytes.len);
    }
    link_job(q, job, index);
}

void apply_queue_push(struct apply_queue *q, uint64_t index, struct span entry)
{
    CHECK(entry.len > 0);
    pthread_mutex_lock(&q->mutex);
    if (index > q->last + 1) {
        append(q, JOB_ADVANCE, index - 1, (struct span){0});
    }
    if (index > q->last) {
        append(q, JOB_ENTRY, index, entry);
    }
    pthread_mutex_unlock(&q->mutex);
}

bool apply_queue_push_follow(struct apply_queue *q,
                             uint64_t previous,
                             uint64_t index,
                             struct span entry)
{
    pthread_mutex_lock(&q->mutex);
    bool follows = previous <= q->last;
    if (follows && index > q->last) {
        append(q, entry.len > 0 ? JOB_ENTRY : JOB_ADVANCE, index, entry);
    }
    pthread_mutex_unlock(&q->mutex);
    return follows;
}

static void append_if_above(struct apply_queue *q, enum apply_job_kind kind, uint64_t index)
{
    pthread_mutex_lock(&q->mutex);
    if (index > q->last) {
        append(q, kind, index, (struct span){0});
    }
    pthread_mutex_unlock(&q->mutex);
}

void apply_queue_advance(struct apply_queue *q, uint64_t index)
{
    append_if_above(q, JOB_ADVANCE, index);
}

void apply_queue_expect(struct apply_queue *q, uint64_t index)
{
    append_if_above(q, JOB_EXPECT, index);
}

uint64_t apply_queue_mark(struct apply_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    uint64_t index = q->last;
    append(q, JOB_MARK, index, (struct span){0});
    pthread_mutex_unlock(&q->mutex);
    return index;
}

void apply_queue_swap(struct apply_queue *q, const char *path, uint64_t applied)
{
    uint8_t bytes[8 + PATH_MAX];
    size_t len = strlen(path) + 1;
    CHECK(len <= PATH_MAX);
    put_u64le(bytes, applied);
    memcpy(bytes + 8, path, len);
    pthread_mutex_lock(&q->mutex);
    append(q, JOB_SWAP, q->last, span_make(bytes, 8 + len));
    pthread_mutex_unlock(&q->mutex);
}

bool apply_queue_try(struct apply_queue *q, uint64_t stamp_us, struct span item)
{
    struct apply_job *job = malloc(sizeof *job + 8 + item.len);
    if (job == NULL) {
        return false;
    }
    job->kind = JOB_TRY;
    job->len = 8 + item.len;
    put_u64le(job->bytes, stamp_us);
    memcpy(job->bytes + 8, item.data, item.len);
    pthread_mutex_lock(&q->mutex);
    link_job(q, job, q->last);
    pthread_mutex_unlock(&q->mutex);
    return true;
}

void apply_queue_compact(struct apply_queue *q, uint16_t changes_max)
{
    struct apply_job *job = malloc(sizeof *job + 2);
    if (job == NULL) {
        return;
    }
    job->kind = JOB_COMPACT;
    job->len = 2;
    put_u16le(job->bytes, changes_max);
    pthread_mutex_lock(&q->mutex);
    if (q->compacts) {
        free(job);
    } else {
        q->compacts = true;
        link_job(q, job, q->last);
    }
    pthread_mutex_unlock(&q->mutex);
}

uint64_t apply_queue_last(struct apply_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    uint64_t last = q->last;
    pthread_mutex_unlock(&q->mutex);
    return last;
}

uint64_t apply_queue_bytes(struct apply_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    uint64_t bytes = q->bytes;
    pthread_mutex_unlock(&q->mutex);
    return bytes;
}

bool apply_queue_waits(struct apply_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    bool waits = q->head != NULL;
    pthread_mutex_unlock(&q->mutex);
    return waits;
}

struct apply_job *apply_queue_take(struct apply_queue *q, size_t jobs_max, size_t bytes_max)
{
    pthread_mutex_lock(&q->mutex);
    struct apply_job *first = q->head;
    struct apply_job *last = NULL;
    size_t jobs = 0;
    size_t bytes = 0;
    while (q->head != NULL && jobs < jobs_max && (jobs == 0 || bytes + q->head->len <= bytes_max)) {
        last = q->head;
        q->compacts = q->compacts && last->kind != JOB_COMPACT;
        jobs++;
        bytes += last->len;
        q->head = last->next;
    }
    if (last != NULL) {
        last->next = NULL;
    }
    if (q->head == NULL) {
        q->tail = &q->head;
    }
    pthread_mutex_unlock(&q->mutex);
    return first;
}

bool apply_queue_wait(struct apply_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    while (q->head == NULL && !q->closed) {
        pthread_cond_wait(&q->wake, &q->mutex);
    }
    bool more = q->head != NULL;
    pthread_mutex_unlock(&q->mutex);
    return more;
}

void apply_queue_done(struct apply_queue *q, uint64_t bytes)
{
    pthread_mutex_lock(&q->mutex);
    CHECK(q->bytes >= bytes);
    q->bytes -= bytes;
    pthread_mutex_unlock(&q->mutex);
}

void apply_queue_close(struct apply_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->mutex);
}
