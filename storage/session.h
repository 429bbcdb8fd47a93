#pragma once
/* Sessions: who may repeat a write and get its first answer. All of it is replicated state; time
 * is session time, which leaders measured (architecture.md 3).
 *
 * Functions return 0, or a code with rows->view.error filled: fatal, or the refusal that the
 * client gets. */
#include "storage/apply.h"
#include "storage/keys.h"
#include "storage/rows.h"

#define SESSION_LEASE_MS_MAX ((uint64_t)30 * 24 * 3600 * 1000)
/* Kept answers of one session; above it a write is refused until the client lets some go. */
#define SESSION_BYTES_MAX (64u << 20)

struct session {
    uint64_t id;
    uint64_t used_ms; /* session time of its last write */
    uint64_t lease_ms;
    uint64_t answered; /* results below it are forgotten */
    uint64_t bytes;    /* of its kept results */
};

int session_open(struct rows *rows, uint64_t lease_ms, uint64_t *ret_id);
int session_close(struct rows *rows, uint64_t id);
/* The session, if it has not ended; CLADE_ERR_SESSION_EXPIRED else. */
int session_find(struct rows *rows, uint64_t id, struct session *ret);
/* Whether a write may run: 0 = yes, 1 = it ran already and *ret is its first answer (the body is
 * in the map), or a refusal. */
int session_admit(struct rows *rows,
                  const struct session *session,
                  const struct item *item,
                  struct apply_result *ret);
/* Marks the session as used now, forgets what the client has answers for, and keeps `result` of
 * `item` unless it is NULL. */
int session_record(struct rows *rows,
                   struct session *session,
                   const struct item *item,
                   const struct apply_result *result,
                   struct buffer *scratch);
