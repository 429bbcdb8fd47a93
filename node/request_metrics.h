#pragma once
/* What a serving thread counts of the requests that it answers: by method and outcome, and how long
 * they took, by method and by namespace. Only so many namespaces have a place of their own, and
 * only those that there are: what clients name has no place. */
#include <clade.h>

#include "base/metric.h"
#include "base/span.h"
#include "wire/message.h"

struct connection;
struct request;

#define OUTCOME_DROPPED 23 /* its client was gone; others are -CLADE_ERR_*, 0 = OK */
#define OUTCOME_COUNT   24
#define NAMESPACES_MAX  33 /* place 0 is that of all the others */

enum namespace_use { NAMESPACE_READ, NAMESPACE_WRITE, NAMESPACE_USES };

struct request_metrics {
    /* METHOD_COUNT: a method that there is not */
    metric_counter outcomes[METHOD_COUNT + 1][OUTCOME_COUNT];
    struct metric_histogram methods[METHOD_COUNT + 1];
    struct metric_histogram namespaces[NAMESPACES_MAX][NAMESPACE_USES];
    metric_counter in_flight;
    metric_counter watches;
    metric_counter slow;
    metric_counter events;
};

/* The namespaces that have a place, in the order in which they were first used; shared by the
 * node's serving threads. */
struct namespace_places;

struct namespace_places *namespace_places_new(void); /* NULL when memory is out */
void namespace_places_free(struct namespace_places *p);
/* How many places are taken, place 0 included. Any thread. */
unsigned namespace_places_len(const struct namespace_places *p);
/* The path of a place above 0 and below that number; lives as long as `p`. Any thread. */
struct span namespace_places_path(const struct namespace_places *p, unsigned place);
/* The place of a namespace, or 0. Any thread. */
unsigned namespace_places_find(const struct namespace_places *p, struct span path);
/* Gives it one, which it may have got meanwhile; 0 when all are taken. Any thread. */
unsigned namespace_places_add(struct namespace_places *p, struct span path);

/* On the serving thread: notes whose namespace a request is about, that of the connection where the
 * request itself names none (len 0). */
void request_in_namespace(struct request *r, struct span named);
/* Counts it: it was answered with a code (0 = OK), or dropped. */
void request_count(struct request *r, int outcome);
