#pragma once
/* A command on its way into the log. Shared by the serving thread that accepted it and the raft
 * loop; each holds one reference. The state says what may be told to the client when time runs
 * out: QUEUED can be withdrawn for certain, PROPOSED can not. */
#include <stdatomic.h>

#include "base/list.h"
#include "storage/entry.h"

enum proposal_state {
    PROPOSAL_QUEUED,    /* in no log, sent to nobody */
    PROPOSAL_PROPOSED,  /* in a log, or on its way to a leader */
    PROPOSAL_WITHDRAWN, /* by its client, before it was proposed */
    PROPOSAL_ANSWERED   /* apply has answered it */
};

struct proposal {
    struct list node; /* the group's, while it holds it */
    struct proposal_id id;
    uint64_t deadline_us; /* monotonic; the group forgets it after */
    bool repeatable;      /* under a session: proposing it twice has one effect */
    atomic_int state;
    atomic_int refs;
    /* The group's own: */
    uint64_t from;            /* the member that forwarded it; 0 = this node accepted it */
    uint64_t sent_term;       /* term of the leader that it was given to last */
    uint64_t sent_to;         /* and that leader: a member may name the old one for a moment */
    _Atomic uint64_t sent_us; /* monotonic; 0 = not yet. The accepting thread may look */
    unsigned attempts;        /* times that it was given to a leader */
    bool admitted;            /* here, as the leader */
    size_t len;
    uint8_t bytes[]; /* the encoded item (storage/entry.h) */
};

/* A proposal that another member forwarded: `item` is its encoded item. One reference. NULL when
 * memory is out. */
struct proposal *proposal_new_forwarded(struct span item,
                                        struct proposal_id id,
                                        uint64_t from,
                                        uint64_t deadline_us);
/* Encodes the item; one reference for the caller. NULL when memory is out. */
struct proposal *proposal_new(const struct item *item, bool repeatable, uint64_t deadline_us);
struct proposal *proposal_ref(struct proposal *p);
void proposal_unref(struct proposal *p);
/* Moves from one state to another if it is still in the first; true when it did. */
bool proposal_move(struct proposal *p, enum proposal_state from, enum proposal_state to);
