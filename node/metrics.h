#pragma once
/* What a node tells a monitoring system: the families, and where each gets its samples from. The
 * table in metrics.c is the source of names and meanings; docs/metrics.md is made from it. */
#include <clade.h>

#include "base/metric.h"

struct metrics_page;
struct node;

/* Counted by the thread that is named. */
struct node_metrics {
    /* raft */
    struct metric_histogram log_appends;
    metric_counter leader_changes;
    metric_counter proposals_refused[1 + 22]; /* by -CLADE_ERR_*; 0 is not used */
    /* apply */
    struct metric_histogram apply_batches;
    struct metric_histogram store_commits;
    metric_counter commands;
    metric_counter store_full;
};

/* Writes all families. A thread that may wait up to half a second for the raft loop. */
void metrics_write(struct node *n, struct metrics_page *page);
