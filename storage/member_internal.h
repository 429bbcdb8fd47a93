#pragma once
/* What apply does with ITEM_MEMBER and ITEM_MEMBER_WANTED. Neither takes a revision. */
#include "storage/member.h"
#include "storage/rows.h"

/* Each returns 0 or a code, with rows->view.error filled: fatal, or the refusal that whoever
 * proposed it gets, before anything is written.
 * CLADE_ERR_INVALID: malformed. _CONFLICT: the node was removed, or another one has the peer
 * address. _LIMIT: there are MEMBER_RECORDS_MAX records. */

/* `command`: u64 node, its client address. */
int member_set_client(struct rows *rows, struct span command);
/* `command`: u64 node, u8 wanted, its peer address (empty: what is there stays). */
int member_set_wanted(struct rows *rows, struct span command);
