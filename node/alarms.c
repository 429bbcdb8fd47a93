#include "node/alarms.h"

/* clang-format off */
static const struct alarm_row rows[] = {
    [ALARM_NO_LEADER] = {"no_leader", "no leader is known (runbook: lost node)", true},
    [ALARM_CLOCK] = {"clock",
        "the leader's clock is far from the other members' (runbook: clock off)", false},
    [ALARM_DIGEST] = {"digest",
        "members disagree about what is stored (runbook: damaged node)", true},
    [ALARM_DISK_FULL] = {"disk_full",
        "the disk is nearly full: writes are refused (runbook: disk full)", false},
    [ALARM_STORE_FULL] = {"store_full",
        "the store is full: applying waits (runbook: disk full)", true},
};
/* clang-format on */
_Static_assert(sizeof rows / sizeof rows[0] == ALARM_COUNT, "an alarm has no row");

const struct alarm_row *alarm_row(enum alarm alarm)
{
    return &rows[alarm];
}

bool alarm_is_on(enum alarm alarm, const struct node *n, const struct group_status *status)
{
    switch (alarm) {
    case ALARM_NO_LEADER:
        return status->leader == 0;
    case ALARM_CLOCK:
        return status->clock_alarm;
    case ALARM_DIGEST:
        return status->digest_alarm;
    case ALARM_DISK_FULL:
        return !status->headroom;
    case ALARM_STORE_FULL:
        return atomic_load(&n->applied_full) != 0;
    case ALARM_COUNT:
        break;
    }
    return false;
}
