#pragma once
/* Opening the store of a node that starts. */
#include "node/node.h"

/* Opens n->store, checked before it serves: a store that rotted would answer with less than was
 * acknowledged. Takes 3 seconds at most for that; the log says what of a larger one is left.
 * CLADE_ERR_CORRUPT names page or row; else as store_open. */
int store_open_checked(struct node *n, const struct store_options *options, struct error *error);
