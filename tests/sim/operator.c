#include "tests/sim/operator.h"

#include "base/bytes.h"
#include "tests/sim/front.h"

#define ASK_TIMEOUT_US  5000000u
#define LOST_TIMEOUT_US 6000000u

void operator_init(struct operator* o, struct world *w)
{
    *o = (struct operator){.world = w, .next_us = w->now_us + 2000000};
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

static void choose(struct operator* o)
{
    struct world *w = o->world;
    static const enum member_wanted kinds[] = {MEMBER_VOTER, MEMBER_STANDBY, MEMBER_REMOVED};
    o->next_us = w->now_us + 1000000 + random_below(&w->random, 6000000);
    o->change = (struct group_change){0};
    o->asked = false;
    if (random_chance(&w->random, 400)) {
        int joined = world_join(w);
        if (joined < 0) {
            return;
        }
        o->change.is_add = true;
        o->change.id = (uint64_t)joined + 1;
        o->change.wanted = kinds[random_below(&w->random, 2)];
        world_address((unsigned)joined, o->change.address);
    } else {
        o->change.id = 1 + random_below(&w->random, w->nodes_len);
        o->change.wanted = kinds[random_below(&w->random, 3)];
        if (o->wanted[o->change.id - 1] == MEMBER_REMOVED) {
            return;
        }
    }
    o->active = true;
}

void operator_step(struct operator* o, bool begin)
{
    uint64_t now_us = o->world->now_us;
    bool lost = o->busy && (!o->node->up || o->node->boot != o->node_boot ||
                            now_us - o->started_us > LOST_TIMEOUT_US);
    if (lost) {
        o->busy = false;
    }
    if (o->active && !o->busy) {
        ask(o);
    } else if (!o->active && begin && now_us >= o->next_us) {
        choose(o);
    }
}

static bool is_member(const struct group_status *st, uint64_t id, enum group_role role)
{
    for (size_t i = 0; i < st->members_len; i++) {
        if (st->members[i].member.id == id) {
            return st->members[i].member.role == role;
        }
    }
    return false;
}

bool operator_is_content(struct operator* o)
{
    static const enum group_role roles[] = {[MEMBER_AS_CONFIGURED] = GROUP_VOTER,
                                            [MEMBER_VOTER] = GROUP_VOTER,
                                            [MEMBER_STANDBY] = GROUP_STANDBY};
    struct world *w = o->world;
    struct sim_node *leader = world_leader(w);
    struct group_status st;
    size_t expected = 0;
    if (leader == NULL || o->active) {
        return false;
    }
    group_status(leader->group, &st);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        enum member_wanted wanted = o->wanted[i];
        if (wanted == MEMBER_REMOVED ? w->nodes[i].up : !is_member(&st, i + 1, roles[wanted])) {
            return false;
        }
        expected += wanted != MEMBER_REMOVED;
    }
    return st.members_len == expected;
}
