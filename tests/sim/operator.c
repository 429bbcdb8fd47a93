#include "tests/sim/operator.h"

#include "base/bytes.h"
#include "consensus/group_internal.h"
#include "tests/sim/front.h"

#define ASK_TIMEOUT_US  5000000u
#define LOST_TIMEOUT_US 6000000u

void operator_init(struct operator* o, struct world *w)
{
    *o = (struct operator){.world = w,
                           .next_us = w->now_us + 2000000,
                           .members_first = w->nodes_len,
                           .few_voters = w->seed % 4 == 1};
}

static uint64_t commit_of(const struct sim_node *n)
{
    struct group_status st;
    group_status(n->group, &st);
    return st.commit;
}

static void on_changed(void *arg, uint64_t tag, const struct apply_result *result)
{
    struct operator* o = arg;
    if (tag != o->tag || !o->busy) {
        return;
    }
    o->busy = false;
    if (result == NULL) {
        return; /* refused for certain: asked for again */
    }
    o->active = false;
    if (result->code == 0) {
        o->wanted[o->change.id - 1] = o->change.wanted;
        o->wanted_index[o->change.id - 1] = commit_of(o->node);
        o->changes++;
    } else if (o->change.is_add) {
        world_fail(o->world, "node %llu could not be added: %.*s", (unsigned long long)o->change.id,
                   SPAN_FMT(result->body));
    }
}

static void ask(struct operator* o)
{
    struct sim_node *leader = world_leader(o->world);
    struct error e = {0};
    if (leader == NULL) {
        return;
    }
    int rv = o->asked ? 0 : group_check_change(leader->group, &o->change, &e);
    if (rv != 0) {
        o->active = o->active && (rv == CLADE_ERR_RETRY || o->change.is_add);
        return;
    }
    uint8_t command[9 + MEMBER_ADDRESS_BYTES];
    size_t len = strlen(o->change.address);
    put_u64le(command, o->change.id);
    command[8] = (uint8_t)o->change.wanted;
    memcpy(command + 9, o->change.address, len);
    struct item item = {.kind = ITEM_MEMBER_WANTED, .command = span_make(command, 9 + len)};
    o->busy = true;
    o->asked = true;
    o->node = leader;
    o->node_boot = leader->boot;
    o->started_us = o->world->now_us;
    front_write(leader, &item, true, ASK_TIMEOUT_US, on_changed, o, ++o->tag);
}

static unsigned members_of(const struct operator* o)
{
    unsigned n = 0;
    for (unsigned i = 0; i < o->world->nodes_len; i++) {
        n += o->wanted[i] != MEMBER_REMOVED;
    }
    return n;
}

static void begin(struct operator* o, const struct group_change *c)
{
    o->change = *c;
    o->asked = false;
    o->active = true;
    o->done_index[c->id - 1] = 0;
}

static struct sim_node *add(struct operator* o, enum member_wanted wanted)
{
    struct world *w = o->world;
    int joined = o->active ? -1 : world_join(w);
    if (joined < 0) {
        return NULL;
    }
    struct group_change c = {.is_add = true, .id = (uint64_t)joined + 1, .wanted = wanted};
    world_address((unsigned)joined, c.address);
    begin(o, &c);
    return &w->nodes[joined];
}

struct sim_node *operator_add(struct operator* o)
{
    return add(o, random_chance(&o->world->random, 500) ? MEMBER_VOTER : MEMBER_STANDBY);
}

/* While a voter is away the others give way to new ones: a fourth comes, one of four goes. */
static void renew(struct operator* o)
{
    struct world *w = o->world;
    uint64_t voters[SIM_NODES_MAX];
    unsigned len = 0;
    o->next_us = w->now_us + 100000 + random_below(&w->random, 900000);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (o->wanted[i] == MEMBER_VOTER || o->wanted[i] == MEMBER_AS_CONFIGURED) {
            voters[len++] = i + 1;
        }
    }
    struct group_change c = {.id = voters[random_below(&w->random, len)], .wanted = MEMBER_STANDBY};
    if (len <= 3) {
        (void)add(o, MEMBER_VOTER);
    } else if (c.id != w->away) {
        begin(o, &c);
    }
}

static void choose(struct operator* o)
{
    static const enum member_wanted kinds[] = {MEMBER_VOTER, MEMBER_STANDBY, MEMBER_REMOVED};
    struct world *w = o->world;
    if (w->away != 0) {
        renew(o);
        return;
    }
    o->next_us = w->now_us + 1000000 + random_below(&w->random, 6000000);
    if (members_of(o) <= o->members_first && random_chance(&w->random, 500)) {
        (void)operator_add(o);
        return;
    }
    struct group_change c = {.id = 1 + random_below(&w->random, w->nodes_len),
                             .wanted = kinds[random_below(&w->random, 3)]};
    if (o->change.id != 0 && random_chance(&w->random, 400)) { /* the last one is taken back */
        c.id = o->change.id;
        c.wanted = o->change.wanted == MEMBER_VOTER ? MEMBER_STANDBY : MEMBER_VOTER;
    }
    if (o->few_voters && random_chance(&w->random, 600)) {
        c.wanted = MEMBER_STANDBY;
    }
    if (o->wanted[c.id - 1] != MEMBER_REMOVED) {
        begin(o, &c);
    }
}

/* A node whose log is damaged does not start again: it is taken out, whatever else there is to do.
 */
static bool choose_lost(struct operator* o)
{
    for (unsigned i = 0; i < o->world->nodes_len; i++) {
        if (o->world->nodes[i].lost && o->wanted[i] != MEMBER_REMOVED) {
            begin(o, &(struct group_change){.id = i + 1, .wanted = MEMBER_REMOVED});
            return true;
        }
    }
    return false;
}

/* --- what comes of it --- */

/* Whether the members are, for that node, as was acknowledged. */
static bool is_as_wanted(const struct operator* o, const struct group_status *st, uint64_t id)
{
    static const enum group_role roles[] = {[MEMBER_AS_CONFIGURED] = GROUP_VOTER,
                                            [MEMBER_VOTER] = GROUP_VOTER,
                                            [MEMBER_STANDBY] = GROUP_STANDBY};
    enum member_wanted wanted = o->wanted[id - 1];
    for (size_t i = 0; i < st->members_len; i++) {
        if (st->members[i].member.id == id) {
            return wanted != MEMBER_REMOVED && st->members[i].member.role == roles[wanted];
        }
    }
    return wanted == MEMBER_REMOVED;
}

/* A change that came to be stays until another is asked for: no older wish undoes it, whoever
 * leads. It has come to be when one leads who has applied the wish, committed all of its log, and
 * begun nothing else. */
static void check_done(struct operator* o)
{
    struct sim_node *leader = world_leader(o->world);
    struct group_status st;
    if (leader == NULL) {
        return;
    }
    group_status(leader->group, &st);
    uint64_t applied = store_position(leader->store).applied;
    bool rests = st.commit == st.last_index && leader->group->raft.legacy.change == NULL;
    for (unsigned i = 0; i < o->world->nodes_len; i++) {
        bool open = o->active && o->change.id == i + 1;
        bool as_wanted = is_as_wanted(o, &st, i + 1);
        if (o->done_index[i] != 0 && st.commit >= o->done_index[i] && !as_wanted) {
            world_fail(o->world, "what was asked of node %u had come to be, and was undone", i + 1);
        }
        if (!open && as_wanted && rests && applied >= o->wanted_index[i]) {
            o->done_index[i] = st.commit;
        }
    }
}

bool operator_is_content(struct operator* o)
{
    struct world *w = o->world;
    struct sim_node *leader = world_leader(w);
    struct group_status st;
    if (leader == NULL || o->active) {
        return false;
    }
    group_status(leader->group, &st);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        bool lingers = o->wanted[i] == MEMBER_REMOVED && w->nodes[i].up;
        if (lingers || !is_as_wanted(o, &st, i + 1)) {
            return false;
        }
    }
    return true;
}

void operator_step(struct operator* o, bool begin)
{
    check_done(o);
    uint64_t now_us = o->world->now_us;
    bool lost = o->busy && (!o->node->up || o->node->boot != o->node_boot ||
                            now_us - o->started_us > LOST_TIMEOUT_US);
    if (lost) {
        o->busy = false;
    }
    if (o->active && !o->busy) {
        ask(o);
    } else if (!o->active && !choose_lost(o) && begin && now_us >= o->next_us) {
        choose(o);
    }
}
