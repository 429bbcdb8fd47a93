#pragma once
/* Whether a node is alive (else a restart may help) and ready (clients may be sent to it), as named
 * checks. */
#include "base/buffer.h"
#include "node/node.h"

/* Of the loops' signs of life. */
#define HEALTH_SILENCE_US (UINT64_C(60) * 1000000)

/* Appends one line a check, "[+]NAME ok" or "[-]NAME: WHY", and returns whether all are well.
 * A thread that may wait up to half a second for the raft loop. */
bool health_is_live(struct node *n, struct buffer *out);
bool health_is_ready(struct node *n, struct buffer *out);
