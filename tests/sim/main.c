/* tests/sim/run: seeds of a simulated cluster. See README.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "command/value.h"
#include "tests/sim/world.h"

#define CLIENTS          8
#define RUN_US           UINT64_C(30000000) /* virtual time with faults */
#define QUIET_US         UINT64_C(15000000) /* then without, until all agree */
#define CLIENT_STEP_US   20000
#define WRITE_TIMEOUT_US 20000000u
#define READ_TIMEOUT_US  5000000u

/* --- clients: one write or read at a time, under one session each --- */

struct client {
    struct sim *sim;
    unsigned number;
    uint64_t session;
    uint64_t seq; /* of the write under way or done last */
    bool busy;
    bool unknown;       /* the write under way was lost with its node: to be repeated */
    uint64_t node_boot; /* of the node that has it */
    struct sim_node *node;
    uint64_t started_us;
    uint64_t floor; /* read: the highest revision acknowledged to anyone before it began */
    unsigned acknowledged;
    bool reading;
};

/* Somebody who changes the members now and then: one change at a time, asked for until it is
 * acknowledged. */
struct operator
{
    bool active;
    bool busy;  /* its command is under way */
    bool asked; /* it was under way once, and may have been carried out */
    struct sim_node *node;
    uint64_t node_boot;
    uint64_t started_us;
    struct group_change change;
    uint64_t next_us;
    enum member_wanted wanted[WORLD_NODES_MAX]; /* as acknowledged; voters from the start */
    unsigned changes;
};

struct sim {
    struct world *w;
    struct operator operator;
    struct client clients[CLIENTS];
    uint64_t acknowledged_revision; /* highest revision that any client was told */
    unsigned writes;
    unsigned reads;
    unsigned repeats;
    bool faults_on;
    uint64_t next_fault_us;
    uint64_t flaky_until_us; /* nodes crash and come back all the time */
};

static void note_revision(struct sim *s, uint64_t revision)
{
    if (revision > s->acknowledged_revision) {
        s->acknowledged_revision = revision;
    }
}

static void on_opened(void *arg, const struct apply_result *result)
{
    struct client *c = arg;
    c->busy = false;
    if (result != NULL && result->code == 0) {
        c->session = result->session;
        c->seq = 0;
    }
}

static bool is_refused(const struct client *c);

/* Each write makes a thing of its own name, and fails if it is there: one that ran twice would
 * answer CONFLICT. */
static void on_written(void *arg, const struct apply_result *result)
{
    struct client *c = arg;
    struct sim *s = c->sim;
    if (result == NULL) {
        c->unknown = true; /* refused for certain: the same again */
        c->node = NULL;
        return;
    }
    if (result->code != (is_refused(c) ? CLADE_ERR_CONFLICT : 0)) {
        world_fail(s->w, "client %u, write %llu: %s: %.*s", c->number, (unsigned long long)c->seq,
                   clade_error_name(result->code), SPAN_FMT(result->body));
    }
    c->busy = false;
    c->unknown = false;
    c->acknowledged += result->code == 0;
    s->writes++;
    note_revision(s, result->revision);
}

static void put_pair(struct buffer *b, const char *key, const char *value)
{
    value_put_str(b, key);
    value_put_str(b, value);
}

/* Some transactions fail in their last operation: nothing of them may stay. */
static bool is_refused(const struct client *c)
{
    return c->seq % 7 == 3;
}

static void write_command(struct client *c, struct buffer *b)
{
    char name[64];
    (void)snprintf(name, sizeof name, "c%u-%llu", c->number, (unsigned long long)c->seq);
    value_put_map(b, 2);
    value_put_str(b, "v");
    value_put_uint(b, 1);
    value_put_str(b, "ops");
    value_put_array(b, is_refused(c) ? 3 : 2);
    value_put_map(b, 3);
    put_pair(b, "op", "create");
    put_pair(b, "kind", "artifact");
    put_pair(b, "name", name);
    value_put_map(b, 3);
    put_pair(b, "op", "create");
    put_pair(b, "kind", "version");
    put_pair(b, "model", "model/m");
    if (is_refused(c)) {
        value_put_map(b, 3);
        put_pair(b, "op", "create");
        put_pair(b, "kind", "model");
        put_pair(b, "name", "m");
    }
}

static struct sim_node *pick_node(struct sim *s)
{
    unsigned first = (unsigned)random_below(&s->w->random, s->w->nodes_len);
    for (unsigned i = 0; i < s->w->nodes_len; i++) {
        struct sim_node *n = &s->w->nodes[(first + i) % s->w->nodes_len];
        if (n->up && !n->removed) {
            return n;
        }
    }
    return NULL;
}

static void send_write(struct client *c, struct sim_node *n)
{
    struct buffer b;
    buffer_init(&b, 4096);
    struct item item = {.principal = span_of("sim")};
    uint8_t lease[8] = {0xff, 0xff, 0xff, 0x7f};
    if (c->session == 0) {
        item.kind = ITEM_SESSION_OPEN;
        item.command = span_make(lease, sizeof lease);
    } else {
        write_command(c, &b);
        item.kind = ITEM_TXN;
        item.session = c->session;
        item.seq = c->seq;
        item.answered = c->seq;
        item.command = buffer_span(&b);
    }
    c->busy = true;
    c->unknown = false;
    c->node = n;
    c->node_boot = n->boot;
    c->started_us = c->sim->w->now_us;
    world_write(n, &item, true, WRITE_TIMEOUT_US, c->session == 0 ? on_opened : on_written, c);
    buffer_release(&b);
}

/* A linearizable read's revision is at least every one that was acknowledged before it began. */
static void on_read(void *arg, int code, uint64_t revision)
{
    struct client *c = arg;
    c->busy = false;
    c->reading = false;
    if (code != 0) {
        return;
    }
    c->sim->reads++;
    if (revision < c->floor) {
        world_fail(c->sim->w, "a read of revision %llu began after %llu was acknowledged",
                   (unsigned long long)revision, (unsigned long long)c->floor);
    }
    note_revision(c->sim, revision);
}

static void send_read(struct client *c, struct sim_node *n)
{
    c->busy = true;
    c->reading = true;
    c->node = n;
    c->node_boot = n->boot;
    c->started_us = c->sim->w->now_us;
    c->floor = c->sim->acknowledged_revision;
    world_read(n, READ_TIMEOUT_US, on_read, c);
}

static void step_client(struct client *c)
{
    struct sim *s = c->sim;
    bool lost = c->busy && c->node != NULL && (!c->node->up || c->node->boot != c->node_boot);
    bool late = c->busy && s->w->now_us - c->started_us > WRITE_TIMEOUT_US;
    if (c->busy && c->reading && (lost || late)) {
        c->busy = false;
        c->reading = false;
    }
    struct sim_node *n = pick_node(s);
    if (n == NULL || (c->busy && !lost && !late && !c->unknown)) {
        return;
    }
    if (c->busy) {
        s->repeats++;
        send_write(c, n);
    } else if (random_chance(&s->w->random, 450)) {
        send_read(c, n);
    } else {
        c->seq += c->session != 0;
        send_write(c, n);
    }
}

/* --- faults --- */

static void heal(struct world *w)
{
    memset(w->cut, 0, sizeof w->cut);
    w->faults = (struct sim_faults){.delay_us_max = 500};
    for (unsigned i = 0; i < w->nodes_len; i++) {
        w->nodes[i].log.write_us_max = 1000;
        w->nodes[i].frozen_until_us = 0;
        if (!w->nodes[i].up && !w->nodes[i].removed) {
            world_restart(w, i);
        }
    }
}

static void cut_randomly(struct world *w)
{
    for (unsigned a = 1; a <= w->nodes_len; a++) {
        for (unsigned b = 1; b <= w->nodes_len; b++) {
            w->cut[a][b] = a != b && random_chance(&w->random, 350);
        }
    }
}

static struct sim_node *find_leader(struct world *w)
{
    for (unsigned i = 0; i < w->nodes_len; i++) {
        struct group_status s;
        if (w->nodes[i].up) {
            group_status(w->nodes[i].group, &s);
            if (s.is_leader) {
                return &w->nodes[i];
            }
        }
    }
    return NULL;
}

/* Stops the leader's process, or any when there is none. */
static void freeze(struct world *w, uint64_t us)
{
    struct sim_node *n = &w->nodes[random_below(&w->random, w->nodes_len)];
    struct sim_node *leader = find_leader(w);
    (leader != NULL ? leader : n)->frozen_until_us = w->now_us + us;
}

/* A process that dies and is started again at once: what it kept in memory alone is gone. */
static void crash_and_restart(struct world *w)
{
    unsigned i = (unsigned)random_below(&w->random, w->nodes_len);
    if (w->nodes[i].up && !w->nodes[i].removed && random_chance(&w->random, 60)) {
        world_crash(w, i);
        world_restart(w, i);
    }
}

static void inject(struct sim *s)
{
    struct world *w = s->w;
    struct sim_node *n = &w->nodes[random_below(&w->random, w->nodes_len)];
    switch (random_below(&w->random, 14)) {
    case 0:
    case 1:
        if (n->up) {
            world_crash(w, (unsigned)(n->id - 1));
        }
        break;
    case 2:
        cut_randomly(w);
        break;
    case 3:
        w->faults = (struct sim_faults){
            .lose_per_thousand = 100, .double_per_thousand = 300, .delay_us_max = 50000};
        break;
    case 4:
        n->log.write_us_max = 200000;
        break;
    case 5:
        n->clock_offset_us += (int64_t)random_below(&w->random, 20000000) - 10000000;
        break;
    case 6:
    case 7:
        /* Long enough for another leader to be elected; what waits meets the old one at once. */
        freeze(w, 1500000 + random_below(&w->random, 3000000));
        break;
    case 8:
        s->flaky_until_us = w->now_us + 6000000;
        w->faults = (struct sim_faults){.lose_per_thousand = 50, .delay_us_max = 100000};
        break;
    case 9:
        for (unsigned i = 0; i < w->nodes_len; i++) {
            if (w->nodes[i].up) {
                world_crash(w, i);
            }
        }
        break;
    default:
        heal(w);
        break;
    }
    s->next_fault_us = w->now_us + 100000 + random_below(&w->random, 2000000);
}

/* --- members --- */

static void on_changed(void *arg, const struct apply_result *result)
{
    struct sim *s = arg;
    struct operator* o = & s->operator;
    o->busy = false;
    if (result == NULL) {
        return; /* refused for certain: asked for again */
    }
    o->active = false;
    if (result->code == 0) {
        o->wanted[o->change.id - 1] = o->change.wanted;
        o->changes++;
    } else if (o->change.is_add) {
        world_fail(s->w, "node %llu could not be added: %.*s", (unsigned long long)o->change.id,
                   SPAN_FMT(result->body));
    }
}

static void ask_for_change(struct sim *s)
{
    struct operator* o = & s->operator;
    struct world *w = s->w;
    struct sim_node *leader = find_leader(w);
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
    o->started_us = w->now_us;
    world_write(leader, &item, true, 5000000, on_changed, s);
}

static void choose_change(struct sim *s)
{
    struct operator* o = & s->operator;
    struct world *w = s->w;
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

static void step_operator(struct sim *s)
{
    struct operator* o = & s->operator;
    bool lost = o->busy && (!o->node->up || o->node->boot != o->node_boot ||
                            s->w->now_us - o->started_us > 6000000);
    if (lost) {
        o->busy = false;
    }
    if (o->active && !o->busy) {
        ask_for_change(s);
    } else if (!o->active && s->faults_on && s->w->now_us >= o->next_us) {
        choose_change(s);
    }
}

/* Whether the configuration is what was asked for, and those that are to go have gone. */
static bool is_as_wanted(struct sim *s)
{
    static const enum group_role roles[] = {[MEMBER_AS_CONFIGURED] = GROUP_VOTER,
                                            [MEMBER_VOTER] = GROUP_VOTER,
                                            [MEMBER_STANDBY] = GROUP_STANDBY};
    struct sim_node *leader = find_leader(s->w);
    struct group_status st;
    size_t members = 0;
    if (leader == NULL || s->operator.active) {
        return false;
    }
    group_status(leader->group, &st);
    for (unsigned i = 0; i < s->w->nodes_len; i++) {
        enum member_wanted wanted = s->operator.wanted[i];
        if (wanted == MEMBER_REMOVED) {
            if (s->w->nodes[i].up) {
                return false;
            }
            continue;
        }
        for (size_t j = 0; j < st.members_len; j++) {
            members +=
                st.members[j].member.id == i + 1 && st.members[j].member.role == roles[wanted];
        }
    }
    size_t expected = 0;
    for (unsigned i = 0; i < s->w->nodes_len; i++) {
        expected += s->operator.wanted[i] != MEMBER_REMOVED;
    }
    return members == expected && st.members_len == expected;
}

/* --- a run --- */

static bool is_settled(struct sim *s)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (s->clients[i].busy) {
            return false;
        }
    }
    if (!is_as_wanted(s)) {
        return false;
    }
    uint64_t applied = store_position(find_leader(s->w)->store).applied;
    for (unsigned i = 0; i < s->w->nodes_len; i++) {
        if (s->w->nodes[i].up && store_position(s->w->nodes[i].store).applied != applied) {
            return false;
        }
    }
    return true;
}

static struct sim_node *first_up(struct world *w)
{
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].up) {
            return &w->nodes[i];
        }
    }
    return NULL;
}

static void check_digests(struct world *w)
{
    struct sim_node *first = first_up(w);
    struct store_digest a = store_digest_current(first->store);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (!w->nodes[i].up) {
            continue;
        }
        struct store_digest b = store_digest_current(w->nodes[i].store);
        if (a.index != b.index || a.data.low != b.data.low || a.data.high != b.data.high ||
            a.state.low != b.state.low || a.state.high != b.state.high) {
            world_fail(w, "nodes %llu and %u differ at index %llu", (unsigned long long)first->id,
                       i + 1, (unsigned long long)a.index);
        }
    }
}

/* How many live things of a kind the node's store lists; for versions, on demand the number of the
 * last one. */
static uint64_t count_things(struct sim_node *n, enum kind kind, bool last_number)
{
    struct reader *r;
    struct arena arena;
    struct buffer out;
    struct error e = {0};
    struct reader_answer answer;
    const struct value *list = NULL;
    struct query q = {.kind = QUERY_LIST,
                      .list_kind = kind,
                      .limit = CLADE_MAX_PAGE_ITEMS,
                      .view = CLADE_VIEW_FULL,
                      .state = CLADE_STATE_LIVE};
    const struct reader_budget budget = {.clock = &n->clock, .bytes_max = 64u << 20};
    arena_init(&arena, 256u << 20);
    buffer_init(&out, 64u << 20);
    CHECK(reader_new(n->store, &r, &e) == 0);
    CHECK(reader_query(r, &q, span_of("default"), &budget, &arena, &out, &answer, &e) == 0);
    CHECK(answer.complete);
    CHECK(value_decode(buffer_span(&out), &value_limits_answer, &arena, &list, &e) == 0);
    size_t len = value_len(list);
    uint64_t count =
        last_number && len > 0 ? value_uint(value_get(value_at(list, len - 1), "number")) : len;
    reader_free(r);
    buffer_release(&out);
    arena_release(&arena);
    return count;
}

/* Every acknowledged write is there, each thing once, and the model's numbers have no gap: as
 * many versions as artifacts, since each write makes one of both. */
static void check_contents(struct sim *s)
{
    uint64_t acknowledged = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        acknowledged += s->clients[i].acknowledged;
    }
    struct store_position p = store_position(first_up(s->w)->store);
    /* The first revision made the model; after settling each write has its answer. */
    if (p.revision != acknowledged + 1) {
        world_fail(s->w, "%llu writes were acknowledged, the store has %llu revisions",
                   (unsigned long long)acknowledged, (unsigned long long)p.revision);
    }
    for (unsigned i = 0; i < s->w->nodes_len; i++) {
        if (!s->w->nodes[i].up) {
            continue;
        }
        uint64_t artifacts = count_things(&s->w->nodes[i], KIND_ARTIFACT, false);
        uint64_t versions = count_things(&s->w->nodes[i], KIND_VERSION, false);
        uint64_t last = count_things(&s->w->nodes[i], KIND_VERSION, true);
        if (artifacts != acknowledged || versions != acknowledged || last != acknowledged) {
            world_fail(s->w,
                       "%llu writes were acknowledged; node %u has %llu artifacts, %llu versions, "
                       "the last with number %llu",
                       (unsigned long long)acknowledged, i + 1, (unsigned long long)artifacts,
                       (unsigned long long)versions, (unsigned long long)last);
        }
    }
}

static void on_last_read(void *arg, int code, uint64_t revision)
{
    *(bool *)arg = code == 0;
}

/* An idle, healthy cluster answers a linearizable read on every node, also when the last entry of
 * the log is no command but a new leader's barrier. */
static void check_reads(struct sim *s)
{
    struct world *w = s->w;
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].up) {
            world_crash(w, i);
        }
    }
    heal(w);
    uint64_t patience_us = w->now_us + 30000000;
    /* Also that the members are as wanted: a promotion may have been lost with the crash. */
    while (world_step(w, w->now_us + 1000) || find_leader(w) == NULL || !is_as_wanted(s)) {
        if (w->failure[0] == '\0' && w->now_us > patience_us) {
            world_fail(w, "no leader is elected, or the members are not as wanted, though all is "
                          "well");
        }
        if (w->failure[0] != '\0') {
            return;
        }
    }
    for (unsigned i = 0; i < w->nodes_len; i++) {
        bool answered = false;
        if (!w->nodes[i].up) {
            continue;
        }
        uint64_t end_us = w->now_us + 3000000;
        world_read(&w->nodes[i], READ_TIMEOUT_US, on_last_read, &answered);
        while (!answered && world_step(w, end_us)) {
        }
        if (!answered) {
            world_fail(w, "node %u answers no linearizable read though all is well", i + 1);
            world_crash(w, i); /* forgets the read, whose callback's memory is gone */
        }
    }
}

static void on_model(void *arg, const struct apply_result *result)
{
    *(bool *)arg = result != NULL && result->code == 0;
}

static void make_model(struct sim *s)
{
    bool made = false;
    struct buffer b;
    buffer_init(&b, 4096);
    value_put_map(&b, 2);
    value_put_str(&b, "v");
    value_put_uint(&b, 1);
    value_put_str(&b, "ops");
    value_put_array(&b, 1);
    value_put_map(&b, 3);
    put_pair(&b, "op", "create");
    put_pair(&b, "kind", "model");
    put_pair(&b, "name", "m");
    struct item item = {.kind = ITEM_TXN, .command = buffer_span(&b)};
    world_write(&s->w->nodes[0], &item, false, UINT32_MAX, on_model, &made);
    while (!made && s->w->failure[0] == '\0') {
        (void)world_step(s->w, s->w->now_us + 100000);
    }
    buffer_release(&b);
}

static void run_until(struct sim *s, uint64_t end_us, bool clients_on)
{
    struct world *w = s->w;
    uint64_t tick_us = w->now_us;
    while (w->now_us < end_us && w->failure[0] == '\0') {
        if (world_step(w, tick_us)) {
            continue;
        }
        tick_us = w->now_us + CLIENT_STEP_US;
        for (unsigned i = 0; i < CLIENTS; i++) {
            if (clients_on || s->clients[i].busy) {
                step_client(&s->clients[i]);
            }
        }
        step_operator(s);
        if (s->faults_on && w->now_us < s->flaky_until_us) {
            crash_and_restart(w);
        }
        if (s->faults_on && w->now_us >= s->next_fault_us) {
            inject(s);
        }
        if (!clients_on && is_settled(s)) {
            return;
        }
    }
}

struct outcome {
    uint64_t trace;
    uint64_t virtual_us;
    bool failed;
};

/* Where each node stands, for whoever looks into a failed seed. */
static void print_nodes(struct sim *s)
{
    for (unsigned i = 0; i < s->w->nodes_len; i++) {
        struct sim_node *n = &s->w->nodes[i];
        struct group_status st;
        struct catch_up_status c;
        if (!n->up) {
            printf("  node %u: down%s\n", i + 1, n->removed ? ", removed" : "");
            continue;
        }
        group_status(n->group, &st);
        catch_up_status(n->catch_up, &c);
        printf(
            "  node %u: wanted %d, term %llu, leader %llu%s, commit %llu, log %llu-%llu, snapshot "
            "%llu, applied %llu, catching up: %s from %llu to %llu (%llu of %llu), members:",
            i + 1, (int)s->operator.wanted[i], (unsigned long long)st.term,
            (unsigned long long)st.leader, st.is_leader ? " (leads)" : "",
            (unsigned long long)st.commit, (unsigned long long)st.log_first,
            (unsigned long long)st.last_index, (unsigned long long)st.snapshot_index,
            (unsigned long long)store_position(n->store).applied, catch_up_state_name(c.state),
            (unsigned long long)c.source, (unsigned long long)c.target, (unsigned long long)c.bytes,
            (unsigned long long)c.bytes_total);
        for (size_t j = 0; j < st.members_len; j++) {
            printf(" %llu/%d/%d match %llu published %llu",
                   (unsigned long long)st.members[j].member.id, (int)st.members[j].member.role,
                   (int)st.members[j].wanted, (unsigned long long)st.members[j].match,
                   (unsigned long long)st.members[j].published);
        }
        printf("\n");
    }
    printf("  operator: %s%s node %llu wanted %d\n", s->operator.active ? "active" : "idle",
           s->operator.busy ? ", busy" : "", (unsigned long long)s->operator.change.id,
           (int)s->operator.change.wanted);
}

static struct outcome run_seed(uint64_t seed, bool verbose)
{
    struct sim s = {0};
    s.w = world_new(seed, seed % 4 == 0 ? 5 : 3);
    s.w->talks = getenv("CLADE_SIM_TALK") != NULL;
    for (unsigned i = 0; i < CLIENTS; i++) {
        s.clients[i] = (struct client){.sim = &s, .number = i};
    }
    make_model(&s);
    s.operator.next_us = s.w->now_us + 2000000;
    s.faults_on = true;
    run_until(&s, s.w->now_us + RUN_US, true);
    s.faults_on = false;
    heal(s.w);
    run_until(&s, s.w->now_us + 4 * QUIET_US, false);
    if (s.w->failure[0] == '\0' && !is_settled(&s)) {
        world_fail(s.w, "the cluster has not settled after its faults were healed");
    }
    if (s.w->failure[0] == '\0') {
        check_digests(s.w);
        check_contents(&s);
        check_reads(&s);
    }
    struct outcome o = {
        .trace = s.w->trace, .virtual_us = s.w->now_us, .failed = s.w->failure[0] != '\0'};
    if (verbose || o.failed) {
        printf("seed %llu: %s trace=%016llx steps=%llu writes=%u reads=%u repeats=%u nodes=%u "
               "changes=%u removed=%llu snapshots=%llu copies=%llu%s%s\n",
               (unsigned long long)seed, o.failed ? "FAILED" : "ok", (unsigned long long)o.trace,
               (unsigned long long)s.w->steps, s.writes, s.reads, s.repeats, s.w->nodes_len,
               s.operator.changes, (unsigned long long)s.w->counts.removals,
               (unsigned long long)s.w->counts.snapshots, (unsigned long long)s.w->counts.copies,
               o.failed ? ": " : "", s.w->failure);
    }
    if (verbose && o.failed) {
        print_nodes(&s);
    }
    world_free(s.w);
    return o;
}

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: sim [--seeds N] [--from S] [--stop] [--verbose]\n");
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 200;
    uint64_t from = 1;
    bool verbose = false;
    bool stop = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else if (strcmp(argv[i], "--stop") == 0) {
            stop = true; /* at the first failure */
        } else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0) {
            if (!parse_number(argv[++i], &seeds)) {
                return usage();
            }
        } else if (i + 1 < argc && strcmp(argv[i], "--from") == 0) {
            if (!parse_number(argv[++i], &from)) {
                return usage();
            }
        } else {
            return usage();
        }
    }
    uint64_t start_us = clock_monotonic_us(clock_system());
    uint64_t virtual_us = 0;
    uint64_t failed = 0;
    struct outcome first = run_seed(from, verbose);
    if (run_seed(from, false).trace != first.trace) {
        printf("seed %llu does not replay: its second run has another trace\n",
               (unsigned long long)from);
        failed++;
    }
    for (uint64_t seed = from; seed < from + seeds && !(stop && failed > 0); seed++) {
        struct outcome o = run_seed(seed, verbose);
        virtual_us += o.virtual_us;
        failed += o.failed;
    }
    uint64_t real_us = clock_monotonic_us(clock_system()) - start_us;
    printf("%llu seeds from %llu, %llu s of virtual time, %llu times faster than real\n",
           (unsigned long long)seeds, (unsigned long long)from,
           (unsigned long long)(virtual_us / 1000000),
           (unsigned long long)(virtual_us / (real_us + 1)));
    printf("sim: %llu passed, %llu failed\n", (unsigned long long)(seeds - failed),
           (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}
