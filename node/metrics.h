#pragma once
/* What a node tells a monitoring system: the families, and where each gets its samples from. The
 * table in metrics.c is the source of names and meanings; docs/metrics.md is made from it. */
#include <pthread.h>

#include <clade.h>

#include "base/metric.h"
#include "consensus/supplier.h"
#include "node/space.h"
#include "storage/store.h"

struct metrics_page;
struct node;

/* Counted by the thread that is named. */
struct node_metrics {
    /* raft */
    struct metric_histogram log_appends;
    _Atomic uint64_t append_since_us; /* the oldest append that is not durable; 0 = none */
    metric_counter leader_changes;
    metric_counter proposals_refused[1 + 22]; /* by -CLADE_ERR_*; 0 is not used */
    /* apply */
    struct metric_histogram apply_batches;
    struct metric_histogram store_commits;
    _Atomic uint64_t apply_since_us; /* the batch, or what else apply is at; 0 = nothing */
    metric_counter commands;
    metric_counter store_full;
    metric_counter store_damage;
    /* copier */
    struct supplier_metrics supplied;
};

/* What the main thread has looked up last of store and disk: whoever answers a scrape must not wait
 * for a disk that hangs. */
struct node_look {
    pthread_mutex_t mutex;
    struct store_figures store;
    uint64_t disk_free_bytes;
    uint64_t disk_bytes;
    uint64_t headroom_bytes;
    uint64_t map_headroom_bytes;
};

/* Main thread: has looked again. */
void metrics_look(struct node *n,
                  const struct store_figures *store,
                  uint64_t disk_free_bytes,
                  uint64_t disk_bytes,
                  const struct space *space);

/* Writes all families. A thread that may wait up to half a second for the raft loop. */
void metrics_write(struct node *n, struct metrics_page *page);
