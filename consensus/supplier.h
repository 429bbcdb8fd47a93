#pragma once
/* The giving side of catching up: answers what catch_up.h asks, from this node's archive and from a
 * copy of its store. It blocks on disk, so it runs on a thread of its own (node/) or as a step of
 * the simulator; one caller at a time. Messages are opaque to the group, which carries them as
 * PEER_FETCH and PEER_SUPPLY; both are untrusted bytes here.
 *
 * All integers little-endian. Every fetch and its supply begin
 *     0 u64 boot of the asker   8 u64 request number of the asker   16 u8 what
 *     fetch   what 1 archive    17 u64 after    25 u32 bytes wanted
 *             what 2 open copy  17 u64 copy (0 = a new one, else one to go on with)
 *             what 3 read copy  17 u64 copy     25 u64 offset   33 u32 bytes wanted
 *             what 4 close copy 17 u64 copy
 *     supply  17 i32 code (0, or CLADE_ERR_*)
 *             what 1  21 u64 last covered   29 records (archive.h)
 *             what 2  21 u64 copy   29 u64 bytes   37 u64 applied   45 u64 revision
 *                     53 16 bytes data digest   69 16 bytes state digest   85 u64 store time
 *             what 3  21 u64 copy   29 u64 offset   37 u64 XXH3-64 of the bytes   45 bytes
 *             what 4  nothing more
 * When the code is not 0 the other fields say nothing, and no bytes follow.
 * Codes: COMPACTED: the archive does not go on behind `after`, though the store does. NOT_FOUND: no
 * such copy any more. THROTTLED: too many copies are open, or the rate is used up; ask again later
 * (what 1 and 3: the asker waits). INVALID: no such chunk. A chunk may be shorter than was wanted.
 * What the archive has behind a copy is kept (archive_keep) until the member has read it, or seems
 * not to.
 * A member has one copy open: a new one closes its former one. A fetch may come twice: it opens one
 * copy.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/metric.h"
#include "consensus/archive.h"
#include "storage/copy.h"

struct supplier;

/* Counted by whoever calls the supplier. */
struct supplier_metrics {
    metric_counter bytes;  /* given, of archive and copies */
    metric_counter copies; /* that are open now */
};

struct supplier_options {
    struct store *store;
    struct archive *archive;
    const struct clock *clock;
    uint64_t boot;         /* copies of an earlier start are not found */
    uint64_t rate_bytes;   /* of archive and copies together, a second; 0 = no limit */
    uint64_t copy_idle_us; /* a copy that nobody reads is closed after; default 60 s. One that is
                              read is closed when ten minutes have not brought it 16 MiB, or an
                              eighth of itself, further */
    /* A copy is given up when it makes the store's file longer than what is in use of it by more
     * than this, and by more than that itself. Default 1 GiB. */
    uint64_t growth_bytes_max;
    unsigned copies_max;    /* default 1, at most 8: each keeps pages from being used again */
    size_t chunk_bytes_max; /* of an answer; default and at most 1 MiB */
    bool keeps_nothing;     /* the archive is not asked to keep what follows on a copy */
    /* A copy that `member` had read a part of was closed, or something cannot be read, which is
     * told once a minute. `what` is static. May be NULL. */
    void (*on_notice)(void *arg, const char *what, uint64_t member);
    void *arg;
    struct supplier_metrics *metrics; /* NULL: nothing is counted */
};

int supplier_new(const struct supplier_options *options,
                 struct supplier **ret,
                 struct error *error);
/* Another rate_bytes, from now on. */
void supplier_set_rate(struct supplier *s, uint64_t rate_bytes);
/* Accepts NULL. */
void supplier_free(struct supplier *s);

/* Answers one fetch of member `from` into `out`, which is cleared first and whose cap should be
 * PEER_MESSAGE_BYTES_MAX. *ret_delay_us is how long to wait before the answer is sent, to keep the
 * rate. Never an error: what is wrong is in the answer. False: there is no answer, because the
 * fetch is malformed or memory is out. */
bool supplier_answer(struct supplier *s,
                     uint64_t from,
                     struct span fetch,
                     struct buffer *out,
                     uint64_t *ret_delay_us);
/* Closes copies that nobody reads any more, or that cost too much; call it about once a second. */
void supplier_tick(struct supplier *s);
