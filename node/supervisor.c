#include "node/supervisor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/apply_queue.h"

/* After that it is told, and long before the watchdog. */
#define STANDS_US (UINT64_C(3) * 1000000)

int supervisor_open(struct supervisor *s, struct node *n, struct error *error)
{
    *s = (struct supervisor){.node = n};
    return notify_open(&s->notify, error);
}

void supervisor_close(struct supervisor *s)
{
    notify_close(&s->notify);
}

/* --- do its threads go on --- */

/* The main thread's letters make the raft loop turn even when nothing else does. */
static bool raft_moved(struct supervisor *s)
{
    uint64_t turns = atomic_load(&s->node->raft_turns);
    bool moved = turns != s->raft_turns;
    s->raft_turns = turns;
    return moved;
}

/* It may stand when nothing waits for it. */
static bool apply_moved(struct supervisor *s)
{
    bool waits = apply_queue_waits(s->node->queue);
    uint64_t turns = atomic_load(&s->node->apply_turns);
    bool idle = turns % 2 == 0 && !waits;
    bool moved = idle || turns != s->apply_turns;
    s->apply_turns = turns;
    return moved;
}

static bool all_moved(struct supervisor *s, uint64_t now_us)
{
    bool raft = raft_moved(s);
    bool apply = apply_moved(s);
    if (raft) {
        s->raft_moved_us = now_us;
    }
    if (apply) {
        s->apply_moved_us = now_us;
    }
    return raft && apply;
}

/* --- what it is doing --- */

static void describe_role(const struct node *n, char *text, size_t bytes)
{
    uint64_t leader = atomic_load(&n->leader);
    uint64_t term = atomic_load(&n->term);
    if (leader == 0) {
        (void)snprintf(text, bytes, "no leader, term %" PRIu64, term);
    } else if (leader == n->folder.identity.node) {
        (void)snprintf(text, bytes, "leader, term %" PRIu64, term);
    } else {
        (void)snprintf(text, bytes, "follows node %" PRIu64 ", term %" PRIu64, leader, term);
    }
}

static void describe(const struct supervisor *s, uint64_t now_us, char *text, size_t bytes)
{
    const struct node *n = s->node;
    char role[96];
    if (now_us - s->raft_moved_us > STANDS_US || now_us - s->apply_moved_us > STANDS_US) {
        (void)snprintf(text, bytes, "the %s thread stands still",
                       now_us - s->raft_moved_us > STANDS_US ? "raft" : "apply");
        return;
    }
    describe_role(n, role, sizeof role);
    uint64_t published = atomic_load(&n->published_index);
    uint64_t commit = atomic_load(&n->commit_index);
    (void)snprintf(text, bytes, "%s; %" PRIu64 " entries behind%s", role,
                   commit > published ? commit - published : 0,
                   atomic_load(&n->applied_full) != 0 ? "; the disk is full" : "");
}

static void tell_status(struct supervisor *s, uint64_t now_us)
{
    char status[sizeof s->told_status];
    char line[sizeof status + 16];
    describe(s, now_us, status, sizeof status);
    if (strcmp(status, s->told_status) == 0) {
        return;
    }
    (void)snprintf(line, sizeof line, "STATUS=%s", status);
    if (notify_send(&s->notify, line)) {
        memcpy(s->told_status, status, sizeof status);
    }
}

/* --- the node's life --- */

void supervisor_ready(struct supervisor *s)
{
    uint64_t now_us = node_now(s->node);
    s->raft_moved_us = now_us;
    s->apply_moved_us = now_us;
    s->told_ready = notify_send(&s->notify, "READY=1");
}

void supervisor_look(struct supervisor *s)
{
    uint64_t now_us = node_now(s->node);
    if (s->notify.fd < 0) {
        return;
    }
    bool moved = all_moved(s, now_us);
    if (!s->told_ready) {
        s->told_ready = notify_send(&s->notify, "READY=1");
    }
    tell_status(s, now_us);
    if (moved && s->notify.watchdog_us != 0) {
        (void)notify_send(&s->notify, "WATCHDOG=1"); /* again at the next look */
    }
}

int supervisor_pause_ms(const struct supervisor *s, int ms)
{
    uint64_t third_ms = s->notify.watchdog_us / 3000;
    return s->notify.watchdog_us != 0 && third_ms < (uint64_t)ms ? (int)third_ms + 1 : ms;
}

void supervisor_reloading(struct supervisor *s)
{
    char line[64];
    (void)snprintf(line, sizeof line, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, node_now(s->node));
    (void)notify_send(&s->notify, line);
}

void supervisor_reloaded(struct supervisor *s)
{
    s->told_ready = notify_send(&s->notify, "READY=1");
}

void supervisor_stopping(struct supervisor *s, const char *reason)
{
    char line[128];
    (void)snprintf(line, sizeof line, "STOPPING=1\nSTATUS=stops: %s", reason);
    (void)notify_send(&s->notify, line);
}
