#include "node/alarms.h"

/* clang-format off */
static const struct alarm_row rows[] = {
    [ALARM_NO_LEADER] = {"no_leader", "no leader is known (runbook: lost node)", false, true},
    [ALARM_CLOCK] = {"clock",
        "the leader's clock is far from the other members' (runbook: clock off)", true, false},
    [ALARM_DIGEST] = {"digest",
        "members disagree about what is stored (runbook: damaged node)", true, true},
    [ALARM_DISK_FULL] = {"disk_full",
        "the disk is nearly full: writes are refused (runbook: disk full)", false, false},
    [ALARM_MAP_FULL] = {"map_full",
        "the store's map is nearly full: writes are refused (runbook: disk full)", false, false},
    [ALARM_STORE_FULL] = {"store_full",
        "the store is full: applying waits (runbook: disk full)", false, true},
    [ALARM_SLOW_DISK] = {"slow_disk",
        "the disk has been at a write for more than 5 s (runbook: slow disk)", false, false},
};
/* clang-format on */
_Static_assert(sizeof rows / sizeof rows[0] == ALARM_COUNT, "an alarm has no row");

/* A write that the disk takes longer for is no ordinary one. */
#define SLOW_DISK_US (UINT64_C(5) * 1000000)

static bool is_long(const struct node *n, const _Atomic uint64_t *since_us)
{
    uint64_t since = atomic_load(since_us);
    uint64_t now = node_now(n);
    return since != 0 && now > since && now - since > SLOW_DISK_US;
}

const struct alarm_row *alarm_row(enum alarm alarm)
{
    return &rows[alarm];
}

bool alarm_is_on(enum alarm alarm, const struct node *n, const struct group_status *status)
{
    switch (alarm) {
    case ALARM_NO_LEADER:
        return atomic_load(&n->leader) == 0;
    case ALARM_CLOCK:
        return status->clock_alarm;
    case ALARM_DIGEST:
        return status->digest_alarm;
    case ALARM_DISK_FULL:
        return atomic_load(&n->disk_level) != ROOM_ENOUGH;
    case ALARM_MAP_FULL:
        return atomic_load(&n->map_level) != ROOM_ENOUGH;
    case ALARM_STORE_FULL:
        return atomic_load(&n->applied_full) != 0;
    case ALARM_SLOW_DISK:
        return is_long(n, &n->metrics.append_since_us) || is_long(n, &n->metrics.apply_since_us);
    case ALARM_COUNT:
        break;
    }
    return false;
}
