#include "node/health.h"

#include <inttypes.h>
#include <stdlib.h>

#include "node/alarms.h"
#include "node/copier.h"
#include "node/raft_wait.h"
#include "node/serve.h"

#define RAFT_WAIT_MS 500

static bool put(struct buffer *out, const char *name, const char *why)
{
    (void)buffer_append_fmt(out, "[%c]%s%s%s\n", why == NULL ? '+' : '-', name,
                            why == NULL ? " ok" : ": ", why == NULL ? "" : why);
    return why == NULL;
}

/* --- alive --- */

static const char *silence(const struct node *n, const _Atomic uint64_t *beat_us)
{
    uint64_t beat = atomic_load(beat_us);
    uint64_t now = node_now(n);
    return beat != 0 && now > beat && now - beat > HEALTH_SILENCE_US
               ? "no sign of life for a minute"
               : NULL;
}

bool health_is_live(struct node *n, struct buffer *out)
{
    bool well = put(out, "raft", silence(n, &n->raft_beat_us));
    well &= put(out, "main", silence(n, &n->main_beat_us));
    for (unsigned i = 0; i < n->serves_len; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "serve-%u", i);
        well &= put(out, name, silence(n, serve_beat_us(n->serves[i])));
    }
    return well;
}

/* --- ready --- */

static const char *phase_of(const struct node *n)
{
    switch (atomic_load(&n->phase)) {
    case NODE_STARTING:
        return "the node starts";
    case NODE_STOPPING:
        return "the node stops";
    default:
        return NULL;
    }
}

static bool put_lag(struct buffer *out, struct node *n, const struct group_status *status)
{
    char why[128];
    uint64_t published = atomic_load(&n->published_index);
    uint64_t lag = status->commit > published ? status->commit - published : 0;
    uint64_t most = config_now(n->config->ready_lag);
    (void)snprintf(why, sizeof why, "%" PRIu64 " entries behind, above ready_lag (%" PRIu64 ")",
                   lag, most);
    return put(out, "lag", lag > most ? why : NULL);
}

static bool put_alarms(struct buffer *out, const struct node *n, const struct group_status *status)
{
    bool well = true;
    for (unsigned i = 0; i < ALARM_COUNT; i++) {
        const struct alarm_row *row = alarm_row((enum alarm)i);
        if (i != ALARM_NO_LEADER && row->forbids_clients) {
            bool on = alarm_is_on((enum alarm)i, n, status);
            well &= put(out, row->name, on ? row->text : NULL);
        }
    }
    return well;
}

static bool put_raft(struct buffer *out, struct node *n, const struct group_status *status)
{
    struct catch_up_status copy;
    copier_status(n->copier, &copy);
    bool well = put(out, "leader", status->leader == 0 ? alarm_row(ALARM_NO_LEADER)->text : NULL);
    well &= put_lag(out, n, status);
    well &= put(out, "copy",
                copy.state != CATCH_UP_IDLE ? "the store of another node is being fetched" : NULL);
    return well & put_alarms(out, n, status);
}

bool health_is_ready(struct node *n, struct buffer *out)
{
    const char *phase = phase_of(n);
    struct raft_view *view = malloc(sizeof *view);
    bool answered = view != NULL && phase == NULL && raft_wait_status(n->raft, RAFT_WAIT_MS, view);
    bool well = put(out, "running", phase);
    well &= put(out, "raft", answered ? NULL : "the raft loop did not answer in time");
    if (answered) {
        well &= put_raft(out, n, &view->status);
    }
    free(view);
    return well;
}
