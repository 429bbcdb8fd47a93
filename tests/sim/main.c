/* tests/sim/run: seeds of a simulated cluster. See README.md. */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "tests/sim/clients.h"
#include "tests/sim/faults.h"
#include "tests/sim/floors.h"
#include "tests/sim/front.h"
#include "tests/sim/operator.h"

#define RUN_US         UINT64_C(36000000) /* virtual time with faults */
#define SWAP_US        UINT64_C(25000000) /* then one is away, the leader goes, one is elected */
#define SETTLE_US      UINT64_C(60000000) /* then without, until all agree */
#define DISORDER_US    4000000            /* of which the network is out of order */
#define OPERATOR_US    100000
#define LAST_READ_US   3000000
#define LAST_LEADER_US 30000000
#define JOIN_LOOK_US   10000

struct sim {
    struct world *w;
    struct clients clients;
    struct operator operator;
    struct faults faults;
    struct floors floors;
    unsigned undecided;
};

/* --- a run --- */

static struct sim_node *first_up(struct world *w)
{
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].up) {
            return &w->nodes[i];
        }
    }
    return NULL;
}

static bool is_settled(struct sim *s)
{
    if (!clients_are_idle(&s->clients) || !floors_is_idle(&s->floors) ||
        !operator_is_content(&s->operator)) {
        return false;
    }
    /* Also what the log alone has is applied: a leader that has just begun has not looked yet. */
    struct group_status st;
    group_status(world_leader(s->w)->group, &st);
    uint64_t applied = store_position(world_leader(s->w)->store).applied;
    if (applied < st.last_index || st.commit < st.last_index) {
        return false;
    }
    for (unsigned i = 0; i < s->w->nodes_len; i++) {
        if (s->w->nodes[i].up && store_position(s->w->nodes[i].store).applied != applied) {
            return false;
        }
    }
    return true;
}

static void pass(struct world *w, uint64_t us)
{
    uint64_t until_us = w->now_us + us;
    while (world_step(w, until_us)) {
    }
}

/* Runs the world until `end_us`: with new work of its clients and its operator or, without, no
 * longer than it takes to settle; and with what goes wrong. */
static void run_until(struct sim *s, uint64_t end_us, bool with_work, bool with_faults)
{
    struct world *w = s->w;
    uint64_t clients_us = w->now_us;
    uint64_t operator_us = w->now_us;
    uint64_t floors_us = w->now_us;
    uint64_t faults_us = with_faults ? w->now_us : UINT64_MAX;
    while (w->now_us < end_us && w->failure[0] == '\0') {
        uint64_t next_us = clients_us < operator_us ? clients_us : operator_us;
        next_us = faults_us < next_us ? faults_us : next_us;
        next_us = floors_us < next_us ? floors_us : next_us;
        if (world_step(w, next_us)) {
            continue;
        }
        if (w->now_us >= clients_us) {
            clients_us = clients_step(&s->clients, with_work);
        }
        if (w->now_us >= faults_us) {
            faults_us = faults_step(&s->faults);
        }
        if (w->now_us >= floors_us) {
            floors_us = floors_step(&s->floors, with_work);
        }
        if (w->now_us >= operator_us) {
            operator_step(&s->operator, with_work);
            operator_us = w->now_us + OPERATOR_US;
            if (!with_work && is_settled(s)) {
                return;
            }
        }
    }
}

/* Faults end, but for messages that come late, in another order, twice, or not: what they do to a
 * leader that begins must not need another fault to be mended. Then those end, too. */
static void settle(struct sim *s)
{
    struct world *w = s->w;
    if (random_chance(&w->random, 500)) {
        faults_crash_all(w);
    }
    faults_heal(w);
    w->network.faults = (struct sim_network_faults){
        .lose_per_thousand = 100, .double_per_thousand = 300, .delay_us_max = 200000};
    run_until(s, w->now_us + DISORDER_US, true, false);
    network_heal(&w->network);
    run_until(s, w->now_us + SETTLE_US, false, false);
}

/* --- at the end --- */

static void on_last_read(void *arg, uint64_t tag, const struct front_answer *answer)
{
    *(bool *)arg = answer->code == 0;
}

/* An idle, healthy cluster answers a linearizable read on every node, also when the last entry of
 * the log is no command but a new leader's barrier, and all of it comes from the disk. */
static void check_reads(struct sim *s)
{
    struct world *w = s->w;
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].up) {
            node_crash(&w->nodes[i], CRASH_POWER);
        }
    }
    faults_heal(w);
    uint64_t patience_us = w->now_us + LAST_LEADER_US;
    /* Also that the members are as wanted: a promotion may have been lost with the crash. */
    do {
        pass(w, OPERATOR_US);
        if (w->now_us > patience_us) {
            world_fail(w, "no leader is elected, or the members are not as wanted, though all is "
                          "well");
        }
        if (w->failure[0] != '\0') {
            return;
        }
    } while (!operator_is_content(&s->operator));
    for (unsigned i = 0; i < w->nodes_len; i++) {
        struct query q = s->clients.clients[0].query;
        bool answered = false;
        if (!w->nodes[i].up) {
            continue;
        }
        q.consistency = CLADE_LINEARIZABLE;
        uint64_t end_us = w->now_us + LAST_READ_US;
        front_read(&w->nodes[i], &q, LAST_READ_US, on_last_read, &answered, 0);
        while (!answered && world_step(w, end_us)) {
        }
        if (!answered) {
            world_fail(w, "node %u answers no linearizable read though all is well", i + 1);
            node_crash(&w->nodes[i], CRASH_PROCESS); /* forgets the read, whose memory is gone */
        }
    }
}

static bool is_spare_with_all(struct sim *s, const struct sim_node *n)
{
    struct sim_node *leader = world_leader(s->w);
    struct group_status st;
    if (leader == NULL || !n->up) {
        return false;
    }
    group_status(leader->group, &st);
    for (size_t i = 0; i < st.members_len; i++) {
        if (st.members[i].member.id == n->id) {
            return st.members[i].member.role == GROUP_SPARE &&
                   store_position(n->store).applied >= st.commit;
        }
    }
    return false;
}

/* A node joins a cluster that nobody writes to, and its process dies as soon as it has all that it
 * needs: what it has from before counts, though nothing comes after it. */
static void check_join(struct sim *s)
{
    struct world *w = s->w;
    struct sim_node *n = operator_add(&s->operator);
    uint64_t end_us = w->now_us + SETTLE_US;
    bool killed = false;
    while (n != NULL && w->failure[0] == '\0' && w->now_us < end_us && !is_settled(s)) {
        pass(w, JOIN_LOOK_US);
        operator_step(&s->operator, false);
        if (!killed && is_spare_with_all(s, n)) {
            node_crash(n, CRASH_PROCESS);
            (void)node_start(n);
            killed = true;
        }
    }
    if (n != NULL && !is_settled(s)) {
        world_fail(w, "node %" PRIu64 " does not come to be a member of an idle cluster", n->id);
    }
}

/* What the disks kept is whole: every row, and the sums over all. */
static void check_stores(struct sim *s)
{
    struct world *w = s->w;
    struct error e = {0};
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].up && store_verify(w->nodes[i].store, NULL, NULL, &e) != 0) {
            world_fail(w, "the store of node %u is damaged: %s", i + 1, e.message);
        }
    }
}

static void check_all(struct sim *s)
{
    if (!is_settled(s)) {
        world_fail(s->w, "the cluster has not settled after its faults were healed");
        return;
    }
    /* Digests were compared as they came: at one index all stores are equal. */
    s->undecided = promises_check_histories(&s->clients.promises);
    clients_check_contents(&s->clients, first_up(s->w));
    check_join(s);
    floors_check(&s->floors);
    check_reads(s);
    check_stores(s);
}

/* Where each node stands, for whoever looks into a failed seed. */
static void print_node(struct sim *s, struct sim_node *n)
{
    struct group_status st;
    struct catch_up_status c;
    if (!n->up) {
        printf("  node %" PRIu64 ": down%s\n", n->id, n->removed ? ", removed" : "");
        return;
    }
    group_status(n->group, &st);
    catch_up_status(n->catch_up, &c);
    printf("  node %" PRIu64 ": wanted %d, term %" PRIu64 ", leader %" PRIu64 "%s, commit %" PRIu64
           ", log %" PRIu64 "-%" PRIu64 ", snapshot %" PRIu64 ", applied %" PRIu64
           ", catching up: %s from %" PRIu64 " to %" PRIu64 " (%" PRIu64 " of %" PRIu64
           "), members",
           n->id, (int)s->operator.wanted[n->id - 1], st.term, st.leader,
           st.is_leader ? " (leads)" : "", st.commit, st.log_first, st.last_index,
           st.snapshot_index, store_position(n->store).applied, catch_up_state_name(c.state),
           c.source, c.target, c.bytes, c.bytes_total);
    for (size_t j = 0; j < st.members_len; j++) {
        printf(" %" PRIu64 "/%d/%d", st.members[j].member.id, (int)st.members[j].member.role,
               (int)st.members[j].wanted);
    }
    printf("\n");
}

static void print_sim(struct sim *s)
{
    for (unsigned i = 0; i < s->w->nodes_len; i++) {
        print_node(s, &s->w->nodes[i]);
    }
    printf("  operator: %s%s node %" PRIu64 " wanted %d\n", s->operator.active ? "active" : "idle",
           s->operator.busy ? ", busy" : "", s->operator.change.id, (int)s->operator.change.wanted);
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *c = &s->clients.clients[i];
        if (c->busy) {
            printf("  client %u: task %d through node %" PRIu64 " since %.3f\n", i, (int)c->task,
                   c->node == NULL ? 0 : c->node->id, (double)c->started_us / 1e6);
        }
    }
}

struct outcome {
    uint64_t trace;
    uint64_t virtual_us;
    uint64_t steps;
    unsigned undecided;
    bool failed;
};

static void print_run(struct sim *s, const struct outcome *o)
{
    const struct client_counts *k = &s->clients.counts;
    const struct sim_counts *n = &s->w->counts;
    printf(
        "seed %" PRIu64 ": %s trace=%016" PRIx64 " steps=%" PRIu64
        " writes=%u reads=%u repeats=%u nodes=%u changes=%u removed=%" PRIu64 " snapshots=%" PRIu64
        " copies=%" PRIu64 " transfers=%" PRIu64 " disk_stops=%" PRIu64 " full_batches=%" PRIu64
        " damaged=%" PRIu64 " swaps=%" PRIu64 " floors=%u told=%u refused=%u%s%s\n",
        s->w->seed, o->failed ? "FAILED" : "ok", o->trace, o->steps, k->writes, k->reads,
        k->repeats, s->w->nodes_len, s->operator.changes, n->removals, n->snapshots, n->copies,
        n->transfers, n->disk_stops, n->full_batches, n->damaged, n->swaps, s->floors.counts.moved,
        s->floors.counts.told, s->floors.counts.refused, o->failed ? ": " : "", s->w->failure);
}

static struct outcome run_seed(uint64_t seed, bool verbose)
{
    static const unsigned sizes[] = {5, 3, 3, 7, 3, 3, 5, 3};
    struct sim *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->w = world_new(seed, sizes[seed % 8]);
    s->w->talks = getenv("CLADE_SIM_TALK") != NULL;
    clients_init(&s->clients, s->w);
    clients_prepare(&s->clients);
    floors_init(&s->floors, &s->clients);
    operator_init(&s->operator, s->w);
    faults_init(&s->faults, s->w);
    run_until(s, s->w->now_us + RUN_US, true, true);
    if (random_chance(&s->w->random, 500)) {
        faults_swap(&s->faults);
        run_until(s, s->w->now_us + SWAP_US, true, true);
    }
    settle(s);
    if (s->w->failure[0] == '\0') {
        check_all(s);
    }
    struct outcome o = {.trace = s->w->trace,
                        .virtual_us = s->w->now_us,
                        .steps = s->w->steps,
                        .undecided = s->undecided,
                        .failed = s->w->failure[0] != '\0'};
    if (verbose || o.failed) {
        print_run(s, &o);
    }
    if (verbose && o.failed) {
        print_sim(s);
    }
    clients_release(&s->clients);
    world_free(s->w);
    free(s);
    return o;
}

/* --- a campaign --- */

struct campaign {
    uint64_t seeds;
    uint64_t from;
    uint64_t replay_every; /* one seed in so many is run twice; 0 = none */
    bool verbose;
    bool stop; /* at the first failure */
    uint64_t failed;
    uint64_t replayed;
    uint64_t virtual_us;
    uint64_t steps;
    unsigned undecided;
};

static void run_one(struct campaign *c, uint64_t seed)
{
    struct outcome o = run_seed(seed, c->verbose);
    c->virtual_us += o.virtual_us;
    c->steps += o.steps;
    c->undecided += o.undecided;
    c->failed += o.failed;
    if (c->replay_every != 0 && (seed - c->from) % c->replay_every == 0 && !o.failed) {
        struct outcome again = run_seed(seed, false);
        c->virtual_us += again.virtual_us;
        c->steps += again.steps;
        c->replayed++;
        if (again.trace != o.trace) {
            printf("seed %" PRIu64
                   " FAILED: it does not replay, its second run has another trace\n",
                   seed);
            c->failed++;
        }
    }
}

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static bool parse(struct campaign *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        uint64_t *number = strcmp(argv[i], "--seeds") == 0          ? &c->seeds
                           : strcmp(argv[i], "--from") == 0         ? &c->from
                           : strcmp(argv[i], "--replay-every") == 0 ? &c->replay_every
                                                                    : NULL;
        if (strcmp(argv[i], "--verbose") == 0) {
            c->verbose = true;
        } else if (strcmp(argv[i], "--stop") == 0) {
            c->stop = true;
        } else if (number == NULL || i + 1 == argc || !parse_number(argv[++i], number)) {
            return false;
        }
    }
    return true;
}

/* Of this process: what else runs on the machine does not count. */
static uint64_t cpu_us(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    struct campaign c = {.seeds = 200, .from = 1, .replay_every = 10};
    if (!parse(&c, argc, argv)) {
        (void)fprintf(stderr, "usage: sim [--seeds N] [--from S] [--replay-every N] [--stop] "
                              "[--verbose]\n");
        return 2;
    }
    /* LMDB asks for 3 MiB of zeros at each opening and touches little of it. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    uint64_t start_us = cpu_us();
    for (uint64_t seed = c.from; seed < c.from + c.seeds && !(c.stop && c.failed > 0); seed++) {
        run_one(&c, seed);
    }
    uint64_t real_us = cpu_us() - start_us + 1;
    uint64_t virtual_s = c.virtual_us / 1000000 + 1;
    printf("%" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " replayed, %" PRIu64
           " s of virtual time at %" PRIu64 " events a second, %" PRIu64
           " times faster than real on one core, %u histories undecided\n",
           c.seeds, c.from, c.replayed, virtual_s, c.steps / virtual_s, c.virtual_us / real_us,
           c.undecided);
    printf("sim: %" PRIu64 " passed, %" PRIu64 " failed\n", c.seeds - c.failed, c.failed);
    return c.failed == 0 ? 0 : 1;
}
