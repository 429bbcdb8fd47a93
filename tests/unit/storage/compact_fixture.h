#pragma once
/* Time that passes in a fixture's store, and compaction of what is below its floors. */
#include "fixture.h"

#define ALL 100000u /* changes: more than there are */

/* The store's time goes on by so much. */
void pass_minutes(struct fixture *f, unsigned minutes);
/* A step of compaction, after which the digests are what they were. Whether there is more. */
bool compact_some(struct fixture *f, unsigned changes_max);
void compact_all(struct fixture *f);
