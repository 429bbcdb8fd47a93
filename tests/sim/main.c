/* tests/sim/run: seeds of a simulated cluster. See README.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/hash.h"
#include "command/value.h"
#include "world.h"

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

struct sim {
    struct world *w;
    struct client clients[CLIENTS];
    uint64_t acknowledged_revision; /* highest revision that any client was told */
    unsigned writes;
    unsigned reads;
    unsigned repeats;
    bool faults_on;
    uint64_t next_fault_us;
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
    if (result->code != 0) {
        world_fail(s->w, "client %u, write %llu: %s: %.*s", c->number, (unsigned long long)c->seq,
                   clade_error_name(result->code), SPAN_FMT(result->body));
    }
    c->busy = false;
    c->unknown = false;
    c->acknowledged++;
    s->writes++;
    note_revision(s, result->revision);
}

static void put_pair(struct buffer *b, const char *key, const char *value)
{
    value_put_str(b, key);
    value_put_str(b, value);
}

static void write_command(struct client *c, struct buffer *b)
{
    char name[64];
    (void)snprintf(name, sizeof name, "c%u-%llu", c->number, (unsigned long long)c->seq);
    value_put_map(b, 2);
    value_put_str(b, "v");
    value_put_uint(b, 1);
    value_put_str(b, "ops");
    value_put_array(b, 2);
    value_put_map(b, 3);
    put_pair(b, "op", "create");
    put_pair(b, "kind", "artifact");
    put_pair(b, "name", name);
    value_put_map(b, 3);
    put_pair(b, "op", "create");
    put_pair(b, "kind", "version");
    put_pair(b, "model", "model/m");
}

static struct sim_node *pick_node(struct sim *s)
{
    unsigned first = (unsigned)random_below(&s->w->random, s->w->nodes_len);
    for (unsigned i = 0; i < s->w->nodes_len; i++) {
        struct sim_node *n = &s->w->nodes[(first + i) % s->w->nodes_len];
        if (n->up) {
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
    } else if (random_chance(&s->w->random, 300)) {
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
        if (!w->nodes[i].up) {
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

static void inject(struct sim *s)
{
    struct world *w = s->w;
    struct sim_node *n = &w->nodes[random_below(&w->random, w->nodes_len)];
    switch (random_below(&w->random, 11)) {
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
            .lose_per_thousand = 100, .double_per_thousand = 100, .delay_us_max = 50000};
        break;
    case 4:
        n->log.write_us_max = 200000;
        break;
    case 5:
        n->clock_offset_us += (int64_t)random_below(&w->random, 20000000) - 10000000;
        break;
    case 6:
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

/* --- a run --- */

static bool is_settled(struct sim *s)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (s->clients[i].busy) {
            return false;
        }
    }
    uint64_t applied = store_position(s->w->nodes[0].store).applied;
    for (unsigned i = 1; i < s->w->nodes_len; i++) {
        if (store_position(s->w->nodes[i].store).applied != applied) {
            return false;
        }
    }
    return true;
}

static void check_digests(struct world *w)
{
    struct store_digest a = store_digest_current(w->nodes[0].store);
    for (unsigned i = 1; i < w->nodes_len; i++) {
        struct store_digest b = store_digest_current(w->nodes[i].store);
        if (a.index != b.index || a.data.low != b.data.low || a.data.high != b.data.high ||
            a.state.low != b.state.low || a.state.high != b.state.high) {
            world_fail(w, "nodes 1 and %u differ at index %llu", i + 1,
                       (unsigned long long)a.index);
        }
    }
}

/* Every acknowledged write is there, each thing once, and the model's numbers have no gap: as
 * many versions as artifacts, since each write makes one of both. */
static void check_contents(struct sim *s)
{
    uint64_t acknowledged = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        acknowledged += s->clients[i].acknowledged;
    }
    struct store_position p = store_position(s->w->nodes[0].store);
    /* The first revision made the model; after settling each write has its answer. */
    if (p.revision != acknowledged + 1) {
        world_fail(s->w, "%llu writes were acknowledged, the store has %llu revisions",
                   (unsigned long long)acknowledged, (unsigned long long)p.revision);
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

static struct outcome run_seed(uint64_t seed, bool verbose)
{
    struct sim s = {0};
    s.w = world_new(seed, seed % 4 == 0 ? 5 : 3);
    for (unsigned i = 0; i < CLIENTS; i++) {
        s.clients[i] = (struct client){.sim = &s, .number = i};
    }
    make_model(&s);
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
    }
    struct outcome o = {
        .trace = s.w->trace, .virtual_us = s.w->now_us, .failed = s.w->failure[0] != '\0'};
    if (verbose || o.failed) {
        printf("seed %llu: %s trace=%016llx steps=%llu writes=%u reads=%u repeats=%u%s%s\n",
               (unsigned long long)seed, o.failed ? "FAILED" : "ok", (unsigned long long)o.trace,
               (unsigned long long)s.w->steps, s.writes, s.reads, s.repeats, o.failed ? ": " : "",
               s.w->failure);
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
    (void)fprintf(stderr, "usage: sim [--seeds N] [--from S] [--verbose]\n");
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 200;
    uint64_t from = 1;
    bool verbose = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
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
    for (uint64_t seed = from; seed < from + seeds; seed++) {
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
