#include "tests/sim/faults.h"

#define FLAKY_LOOK_US  20000
#define LOG_US_MAX     1000
#define LOG_US_SLOW    200000
#define PUT_US_MAX     4000
#define PUT_US_SLOW    800000
#define PUT_US_STALLED 20000000
#define COMMIT_US_MAX  4000
#define COMMIT_US_SLOW 300000
#define COMMIT_US_LAGS 4000000
#define DELAY_US_SLOW  100000
#define LEAVE_US       2000000
#define SWAP_US        12000000
#define ELECT_US       10000000
#define ELECT_LOOK_US  100000

void faults_init(struct faults *f, struct world *w)
{
    *f = (struct faults){
        .world = w, .next_us = w->now_us + 500000, .plan_us = UINT64_MAX, .elect_us = UINT64_MAX};
}

static enum sim_crash how(struct world *w)
{
    return random_chance(&w->random, 500) ? CRASH_POWER : CRASH_PROCESS;
}

static void start(struct sim_node *n)
{
    if (!n->up && !n->removed && !n->lost) {
        (void)node_start(n);
    }
}

/* All but the nodes that are down. */
static void mend(struct world *w)
{
    network_heal(&w->network);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        struct sim_node *n = &w->nodes[i];
        n->log.write_us_max = LOG_US_MAX;
        n->log.put_us_max = PUT_US_MAX;
        n->commit_us_max = COMMIT_US_MAX;
        n->frozen_until_us = 0;
        sim_disk_set_room(n->disk, DISK_ROOM_ENOUGH);
        if (n->up) {
            sim_disk_fail_after(n->disk, DISK_CALLS_NEVER);
            node_plan(n);
        }
    }
}

void faults_heal(struct world *w)
{
    mend(w);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        start(&w->nodes[i]);
    }
}

static void cut_randomly(struct world *w)
{
    for (unsigned a = 1; a <= w->nodes_len; a++) {
        for (unsigned b = 1; b <= w->nodes_len; b++) {
            w->network.cut[a][b] = a != b && random_chance(&w->random, 350);
        }
    }
}

static struct sim_node *any_node(struct world *w)
{
    return &w->nodes[random_below(&w->random, w->nodes_len)];
}

/* Stops the leader's process, or any when there is none, long enough for another leader to be
 * elected; what waits meets the old one at once. */
static void freeze(struct world *w)
{
    struct sim_node *leader = world_leader(w);
    struct sim_node *n = leader != NULL ? leader : any_node(w);
    n->frozen_until_us = w->now_us + 1500000 + random_below(&w->random, 3000000);
    n->thaws_in_order = random_chance(&w->random, 500);
    n->thawed_us = 0;
    node_plan(n);
}

static void hand_over_to(struct world *w, uint64_t to)
{
    struct sim_node *leader = world_leader(w);
    if (leader != NULL) {
        group_transfer(leader->group, 1, to, w->now_us + 2000000);
        node_plan(leader);
    }
}

static void hand_over(struct world *w)
{
    hand_over_to(w, random_chance(&w->random, 500) ? 0 : any_node(w)->id);
}

static void cut_off(struct world *w, uint64_t node)
{
    for (unsigned i = 1; i <= w->nodes_len; i++) {
        w->network.cut[i][node] = w->network.cut[node][i] = i != node;
    }
}

static void crash(struct sim_node *n)
{
    if (n->up) {
        node_crash(n, how(n->world));
    }
}

static void restart(struct sim_node *n)
{
    crash(n);
    start(n);
}

/* --- one voter goes as another comes --- */

/* NULL when the one that takes itself for it is in an older term than another node: what it says of
 * the members may be of long ago. */
static struct sim_node *newest_leader(struct world *w)
{
    struct sim_node *leader = world_leader(w);
    struct group_status st;
    struct group_status other;
    if (leader == NULL) {
        return NULL;
    }
    group_status(leader->group, &st);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].up) {
            group_status(w->nodes[i].group, &other);
            if (other.term > st.term) {
                return NULL;
            }
        }
    }
    return leader;
}

/* Whether every other voter is up, and a majority has all that the leader has. */
static bool is_missed_alone(struct world *w, const struct sim_node *away)
{
    struct sim_node *leader = newest_leader(w);
    struct group_status st;
    unsigned voters = 0;
    bool votes = false;
    if (leader == NULL || away->up || away->removed || away->lost) {
        return false;
    }
    group_status(leader->group, &st);
    for (size_t i = 0; i < st.members_len; i++) {
        if (st.members[i].member.role == GROUP_VOTER) {
            bool is_away = st.members[i].member.id == away->id;
            voters++;
            votes |= is_away;
            if (!is_away && !w->nodes[st.members[i].member.id - 1].up) {
                return false;
            }
        }
    }
    return votes && voters >= 3 && st.commit == st.last_index;
}

/* Whether the others are two, and one of them has come since it left. */
static bool needs_a_stranger(struct world *w, const struct sim_node *away)
{
    const struct sim_node *leader = world_leader(w);
    struct group_status st;
    unsigned voters = 0;
    bool stranger = false;
    group_status(leader->group, &st);
    for (size_t i = 0; i < st.members_len; i++) {
        const struct group_member *m = &st.members[i].member;
        voters += m->role == GROUP_VOTER;
        stranger |= m->role == GROUP_VOTER && m->id != leader->id && !away->links[m->id];
    }
    return voters == 3 && stranger;
}

/* The leader goes and one voter comes back that was away, and nothing else is wrong: the others
 * elect one, whatever came to be while it was away. */
static void swap(struct faults *f, struct sim_node *away)
{
    struct world *w = f->world;
    if (!is_missed_alone(w, away) || (w->now_us < f->swap_us && !needs_a_stranger(w, away))) {
        f->plan_us = w->now_us + ELECT_LOOK_US;
        return;
    }
    mend(w);
    crash(world_leader(w));
    start(away);
    w->away = 0;
    if (away->up) {
        w->counts.swaps++;
        f->elect_us = w->now_us + ELECT_US;
        f->flaky_until_us = 0;
    }
}

static void watch_election(struct faults *f)
{
    struct world *w = f->world;
    if (world_leader(w) != NULL) {
        f->elect_us = UINT64_MAX;
    } else if (w->now_us >= f->elect_us) {
        world_fail(w, "no leader is elected though all voters but one are up");
        f->elect_us = UINT64_MAX;
    }
}

/* --- faults of two halves --- */

static void plan(struct faults *f, enum fault_plan what, uint64_t node, uint64_t within_us)
{
    f->plan = what;
    f->plan_node = node;
    f->plan_us = f->world->now_us + random_below(&f->world->random, within_us);
}

static void leave(struct faults *f)
{
    struct sim_node *leader = world_leader(f->world);
    struct group_status st;
    if (leader == NULL) {
        return;
    }
    group_status(leader->group, &st);
    const struct group_member *m =
        &st.members[random_below(&f->world->random, st.members_len)].member;
    if (m->role != GROUP_VOTER || m->id == leader->id) {
        f->plan_us = f->world->now_us + ELECT_LOOK_US;
        return;
    }
    crash(&f->world->nodes[m->id - 1]);
    f->world->away = m->id;
    plan(f, PLAN_SWAP, m->id, SWAP_US);
    f->swap_us = f->world->now_us + SWAP_US;
}

static void do_planned(struct faults *f)
{
    f->plan_us = UINT64_MAX;
    switch (f->plan) {
    case PLAN_FREEZE:
        freeze(f->world);
        break;
    case PLAN_LEAD:
        hand_over_to(f->world, f->plan_node);
        break;
    case PLAN_CUT_OFF:
        cut_off(f->world, f->plan_node);
        break;
    case PLAN_RESTART:
        restart(&f->world->nodes[f->plan_node - 1]);
        break;
    case PLAN_LEAVE:
        leave(f);
        break;
    case PLAN_SWAP:
        swap(f, &f->world->nodes[f->plan_node - 1]);
        break;
    }
}

/* The leader is stopped while answers to what it asked are still on their way. */
static void freeze_amid_answers(struct faults *f)
{
    f->world->network.faults.delay_us_max = DELAY_US_SLOW;
    plan(f, PLAN_FREEZE, 0, 400000);
}

/* A node whose log follows and whose store does not comes to lead. */
static void lag_and_lead(struct faults *f, struct sim_node *n)
{
    n->commit_us_max = COMMIT_US_LAGS;
    plan(f, PLAN_LEAD, n->id, 3000000);
}

/* Others have entries that are not on its own disk yet when its power goes. */
static void slow_and_restart(struct faults *f, struct sim_node *n)
{
    struct sim_node *leader = world_leader(f->world);
    n = leader != NULL && random_chance(&f->world->random, 500) ? leader : n;
    n->log.write_us_max = LOG_US_SLOW;
    n->log.put_us_max = PUT_US_SLOW;
    n->commit_us_max = COMMIT_US_SLOW;
    if (random_chance(&f->world->random, 500)) {
        plan(f, PLAN_RESTART, n->id, 2000000);
    }
}

/* A node falls behind the others' logs while it writes a snapshot. */
static void stall_and_cut_off(struct faults *f, struct sim_node *n)
{
    n->log.put_us_max = PUT_US_STALLED;
    plan(f, PLAN_CUT_OFF, n->id, 3000000);
}

/* Its disk goes within its next writes, wherever those are: in the log, in a commit, in a copy. */
static void break_disk(struct world *w)
{
    struct sim_node *n = any_node(w);
    if (n->up) {
        sim_disk_fail_after(n->disk, random_below(&w->random, 60));
    }
}

static void fill_disk(struct world *w)
{
    uint64_t bytes = random_chance(&w->random, 500) ? 32u << 10 : 512u << 10;
    sim_disk_set_room(any_node(w)->disk, random_below(&w->random, bytes));
}

void faults_crash_all(struct world *w)
{
    for (unsigned i = 0; i < w->nodes_len; i++) {
        crash(&w->nodes[i]);
    }
}

/* A process that dies and is started again at once: what it kept in memory alone is gone. */
static void crash_and_restart(struct world *w)
{
    struct sim_node *n = any_node(w);
    if (n->up && !n->removed && random_chance(&w->random, 50)) {
        restart(n);
    }
}

/* Whether all voters answer and would still be a quorum without that one. */
static bool can_spare(struct world *w, const struct sim_node *n)
{
    struct sim_node *leader = newest_leader(w);
    struct group_status st;
    unsigned others = 0;
    if (leader == NULL) {
        return false;
    }
    group_status(leader->group, &st);
    if (st.commit < st.last_index) {
        return false; /* a promotion may not have come to be */
    }
    for (size_t i = 0; i < st.members_len; i++) {
        const struct group_member_status *m = &st.members[i];
        if (m->member.role != GROUP_VOTER || m->member.id == n->id) {
            continue;
        }
        if (!w->nodes[m->member.id - 1].up || m->wanted == MEMBER_STANDBY ||
            m->wanted == MEMBER_REMOVED) {
            return false;
        }
        others++;
    }
    return others >= 2;
}

/* A log that comes back with less than it acknowledged: once in a run, and its node is refused. */
static void damage(struct world *w)
{
    struct sim_node *n = any_node(w);
    if (w->counts.damaged == 0 && n->up && !n->removed && can_spare(w, n) && node_damage(n)) {
        (void)node_start(n);
    }
}

static void inject(struct faults *f)
{
    struct world *w = f->world;
    struct sim_node *n = any_node(w);
    switch (random_below(&w->random, 26)) {
    case 0:
    case 1:
        crash(n);
        break;
    case 2:
        cut_randomly(w);
        break;
    case 3:
    case 19:
        w->network.faults = (struct sim_network_faults){
            .lose_per_thousand = 100, .double_per_thousand = 300, .delay_us_max = 50000};
        break;
    case 4:
        slow_and_restart(f, n);
        break;
    case 5:
        n->clock_offset_us += (int64_t)random_below(&w->random, 20000000) - 10000000;
        break;
    case 6:
        freeze(w);
        break;
    case 7:
        freeze_amid_answers(f);
        break;
    case 8:
        f->flaky_until_us = w->now_us + 6000000;
        w->network.faults =
            (struct sim_network_faults){.lose_per_thousand = 50, .delay_us_max = 100000};
        break;
    case 9:
        faults_crash_all(w);
        break;
    case 10:
        hand_over(w);
        break;
    case 11:
    case 12:
        break_disk(w);
        break;
    case 13:
        fill_disk(w);
        break;
    case 14:
        start(n);
        break;
    case 15:
        damage(w);
        break;
    case 16:
    case 17:
        lag_and_lead(f, n);
        break;
    case 18:
        stall_and_cut_off(f, n);
        break;
    default:
        faults_heal(w);
        break;
    }
    f->next_us = w->now_us + 100000 + random_below(&w->random, 2000000);
}

void faults_swap(struct faults *f)
{
    faults_heal(f->world);
    f->plan = PLAN_LEAVE;
    f->plan_us = f->world->now_us + LEAVE_US;
    f->flaky_until_us = 0;
    f->next_us = UINT64_MAX;
}

uint64_t faults_step(struct faults *f)
{
    uint64_t now_us = f->world->now_us;
    if (now_us < f->flaky_until_us && now_us >= f->flaky_look_us) {
        f->flaky_look_us = now_us + FLAKY_LOOK_US;
        crash_and_restart(f->world);
    }
    if (now_us >= f->plan_us) {
        do_planned(f);
    }
    if (f->elect_us != UINT64_MAX) {
        watch_election(f);
        return now_us + ELECT_LOOK_US;
    }
    if (now_us >= f->next_us) {
        inject(f);
    }
    uint64_t next_us = f->plan_us < f->next_us ? f->plan_us : f->next_us;
    bool flaky = now_us < f->flaky_until_us && f->flaky_look_us < next_us;
    return flaky ? f->flaky_look_us : next_us;
}
