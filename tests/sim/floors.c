#include "tests/sim/floors.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "command/value.h"
#include "tests/sim/front.h"
#include "tests/sim/txn.h"

#define STEP_US      150000
#define TIMEOUT_US   5000000u
#define MINUTE_US    UINT64_C(60000000)
#define PASS_MINUTES 10 /* at most, at once */
#define RETENTION_S  2700
#define NAMES        5 /* of things with a past */
#define CHANGES_IDLE 256
#define LIST_MAX     50
#define ANSWER_BYTES (1u << 20)
#define LOOKS_LAST   12 /* at each node, in the end */
#define COMPACT_US   20000000u
#define COMPACT_LOOK 20000

#define SPACES 2
static const char *const spaces[SPACES] = {[TRUTH_DEFAULT] = "default", [TRUTH_PAST] = "past"};

static struct world *world_of(const struct floors *f)
{
    return f->clients->promises.world;
}

/* --- writes --- */

static uint64_t newest(const struct floors *f)
{
    return promises_floor(&f->clients->promises, world_of(f)->now_us);
}

static void note_result(struct floors *f, const struct apply_result *r)
{
    struct promises *p = &f->clients->promises;
    f->clients->counts.revisions += r->changed;
    if (r->changed) {
        promises_note_time(p, r->revision, r->time_us);
    }
    promises_note(p, r->revision);
}

static uint64_t floor_of_answer(const struct floors *f, const struct apply_result *r)
{
    struct world *w = world_of(f);
    struct error e = {0};
    const struct value *body = NULL;
    arena_reset(&w->arena);
    return value_decode(r->body, &value_limits_answer, &w->arena, &body, &e) != 0
               ? 0
               : value_uint(value_get(value_at(body, 0), "floor"));
}

static void on_written(void *arg, uint64_t tag, const struct apply_result *result)
{
    struct floors *f = arg;
    if (tag != f->tag || !f->busy) {
        return; /* given up since */
    }
    f->busy = false;
    if (result != NULL && result->code == 0) {
        note_result(f, result);
    }
}

static void on_moved(void *arg, uint64_t tag, const struct apply_result *result)
{
    struct floors *f = arg;
    if (tag == f->tag && f->busy && result != NULL && result->code == 0) {
        uint64_t floor = floor_of_answer(f, result);
        if (floor > f->floor) {
            f->counts.moved++;
            f->floor = floor;
            f->floor_revision = result->revision;
        }
    }
    on_written(arg, tag, result);
}

static void send(struct floors *f,
                 struct sim_node *n,
                 enum item_kind kind,
                 struct span command,
                 front_done_cb on_done)
{
    struct item item = {.kind = kind, .principal = span_of("sim"), .command = command};
    f->busy = true;
    f->tag++;
    f->node = n;
    f->node_boot = n->boot;
    f->started_us = world_of(f)->now_us;
    front_write(n, &item, false, TIMEOUT_US, on_done, f, f->tag);
}

static void send_txn(struct floors *f, struct sim_node *n, struct buffer *b, front_done_cb on_done)
{
    CHECK(!b->failed);
    send(f, n, ITEM_TXN, buffer_span(b), on_done);
}

/* What comes, goes and changes its name: of all of this apply must not read what a node may have
 * taken away. */
static void put_past(struct floors *f, struct buffer *b)
{
    static const char *const words[] = {"delete", "delete", "undelete", "hold", "release"};
    struct sim_random *random = &f->random;
    unsigned name = (unsigned)random_below(random, NAMES);
    char ref[32];
    char other[32];
    (void)snprintf(ref, sizeof ref, "//past//artifact/p%u", name);
    (void)snprintf(other, sizeof other, "//past//artifact/p%u",
                   (unsigned)random_below(random, NAMES));
    txn_begin(b, 1);
    switch (random_below(random, 10)) {
    case 0:
    case 1:
        txn_create_in(b, "artifact", ref + strlen("//past//artifact/"), "past");
        break;
    case 2:
        txn_set_tag(b, ref, random_below(random, 1000));
        break;
    case 3:
        txn_link(b, ref, f->refs[random_below(random, REGISTERS)], random_below(random, 9));
        break;
    case 4:
        txn_link(b, ref, other, random_below(random, 9));
        break;
    case 5:
        txn_unlink(b, ref, other);
        break;
    case 6:
        txn_rename(b, ref, other + strlen("//past//artifact/"));
        break;
    default:
        txn_of(b, words[random_below(random, sizeof words / sizeof words[0])], ref);
        break;
    }
}

static void move_by_hand(struct floors *f, struct sim_node *n, struct buffer *b)
{
    uint64_t high = newest(f);
    uint64_t low = f->floor < high ? f->floor : high;
    bool own = random_chance(&f->random, 200);
    txn_begin(b, 1);
    txn_compact(b, own ? "namespace/past" : "namespace/default",
                low + random_below(&f->random, high - low + 1));
    f->may_change = false;
    send_txn(f, n, b, own ? on_written : on_moved);
}

/* As node.c has it: the leader looks, the log decides. */
static void move_by_retention(struct floors *f)
{
    struct sim_node *leader = world_leader(world_of(f));
    uint64_t ids[RETAIN_NAMESPACES_MAX];
    uint8_t command[sizeof ids];
    size_t len = 0;
    struct error e = {0};
    if (leader == NULL || store_past_retention(leader->store, clock_wall_us(&leader->clock), 0, ids,
                                               RETAIN_NAMESPACES_MAX, &len, &e) < 0) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        put_u64le(command + 8 * i, ids[i]);
    }
    if (len > 0) {
        f->may_change = false;
        send(f, leader, ITEM_RETAIN, span_make(command, 8 * len), on_written);
    }
}

static struct sim_node *any_up(struct floors *f)
{
    struct world *w = world_of(f);
    unsigned first = (unsigned)random_below(&f->random, w->nodes_len);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        struct sim_node *n = &w->nodes[(first + i) % w->nodes_len];
        if (n->up && !n->removed) {
            return n;
        }
    }
    return NULL;
}

static void begin(struct floors *f, struct sim_node *n)
{
    struct buffer b;
    uint64_t dice = random_below(&f->random, 10);
    buffer_init(&b, 4096);
    if (dice < 5) {
        f->may_change = true;
        put_past(f, &b);
        send_txn(f, n, &b, on_written);
    } else if (dice < 7) {
        move_by_hand(f, n, &b);
    } else if (dice < 8) {
        move_by_retention(f);
    }
    buffer_release(&b);
}

static void give_up_what_is_lost(struct floors *f)
{
    bool lost = !f->node->up || f->node->boot != f->node_boot ||
                world_of(f)->now_us - f->started_us > TIMEOUT_US;
    if (f->busy && lost) {
        f->busy = false;
        f->clients->counts.lost += f->may_change;
    }
}

/* --- reads --- */

/* Appends nothing but to the world's scratch. 0 or a code. */
static int ask(struct sim_node *n, const struct query *q, uint64_t *ret, struct error *e)
{
    struct world *w = n->world;
    struct reader_answer got;
    const struct reader_budget budget = {.clock = &n->clock,
                                         .deadline_us = UINT64_MAX,
                                         .bytes_max = ANSWER_BYTES,
                                         .visits_max = 10000};
    *e = (struct error){0};
    arena_reset(&w->arena);
    buffer_clear(&w->scratch);
    int rc =
        reader_query(n->reader, q, span_of("default"), &budget, &w->arena, &w->scratch, &got, e);
    *ret = rc == 0 ? hash64(buffer_span(&w->scratch), 1) | 1 : 0;
    return rc;
}

static struct query list_of(const char *ns, uint64_t revision, bool with_edges)
{
    return (struct query){.kind = QUERY_LIST,
                          .list_kind = KIND_ARTIFACT,
                          .as_of = {.form = AS_OF_REVISION, .revision = revision},
                          .limit = LIST_MAX,
                          .view = CLADE_VIEW_FULL,
                          .state = CLADE_STATE_ANY,
                          .with_edges = with_edges,
                          .ns = span_of(ns)};
}

/* A namespace's floor, for that node. */
static uint64_t floor_at(struct sim_node *n, const char *ns)
{
    struct world *w = n->world;
    struct query q = {.kind = QUERY_DESCRIBE, .ns = span_of(ns)};
    struct error e;
    const struct value *data = NULL;
    uint64_t hash;
    int rc = ask(n, &q, &hash, &e);
    rc = rc != 0
             ? rc
             : value_decode(buffer_span(&w->scratch), &value_limits_answer, &w->arena, &data, &e);
    if (rc != 0) {
        world_fail(w, "node %" PRIu64 " does not describe %s: %s", n->id, ns, e.message);
        return 0;
    }
    return value_uint(value_get(value_get(value_get(data, "namespace"), "compacted"), "before"));
}

/* A question for each sort of truth, as of a revision. */
static struct query question(struct floors *f, enum floors_truth what, uint64_t revision)
{
    struct query q = list_of("past", revision, what == TRUTH_BOTH);
    if (what == TRUTH_DEFAULT) {
        q.kind = QUERY_GET;
        q.ns = span_of("default");
        q.targets = f->targets;
        q.targets_len = sizeof f->targets / sizeof f->targets[0];
        q.with_aliases = true;
        q.state = CLADE_STATE_LIVE;
        q.limit = CLADE_MAX_PAGE_ITEMS;
    }
    return q;
}

static void tell(struct floors *f, struct sim_node *n, enum floors_truth what, uint64_t revision)
{
    struct world *w = world_of(f);
    struct query q = question(f, what, revision);
    uint64_t *truth = &f->truth[what][revision];
    uint64_t hash;
    struct error e;
    if (ask(n, &q, &hash, &e) != 0) {
        world_fail(w, "node %" PRIu64 " does not tell of revision %" PRIu64 ", sort %d: %s", n->id,
                   revision, (int)what, e.message);
        return;
    }
    if (*truth != 0 && *truth != hash) {
        world_fail(w,
                   "node %" PRIu64 " tells something else of revision %" PRIu64
                   ", sort %d, than was told before",
                   n->id, revision, (int)what);
    }
    f->counts.told += *truth != 0;
    *truth = hash;
    world_trace(w, revision, hash);
}

static void must_refuse(
    struct floors *f, struct sim_node *n, unsigned space, uint64_t floor, uint64_t revision)
{
    struct query q = list_of(spaces[space], revision, false);
    uint64_t hash;
    struct error e;
    int rc = ask(n, &q, &hash, &e);
    if (rc != CLADE_ERR_COMPACTED || e.revision != floor) {
        world_fail(world_of(f),
                   "node %" PRIu64 " tells of revision %" PRIu64 " of %s, whose floor is %" PRIu64
                   ": %d, %s",
                   n->id, revision, spaces[space], floor, rc, e.message);
    }
    f->counts.refused++;
}

/* What the node says of one revision that it has, which has these floors. */
static void look_at(struct floors *f,
                    struct sim_node *n,
                    const uint64_t at[SPACES],
                    uint64_t revision)
{
    bool whole = true;
    for (unsigned space = 0; space < SPACES; space++) {
        if (revision < at[space]) {
            must_refuse(f, n, space, at[space], revision);
            whole = false;
        } else {
            tell(f, n, (enum floors_truth)space, revision);
        }
    }
    if (whole) {
        tell(f, n, TRUTH_BOTH, revision);
    }
}

/* A revision of which something may be wrong: at a floor, beside it, the newest, or any. */
static uint64_t choose_revision(struct floors *f, const uint64_t at[SPACES], uint64_t high)
{
    uint64_t floor = at[random_below(&f->random, SPACES)];
    uint64_t chosen[] = {floor - (floor > 0), floor, floor + 1, high,
                         f->made_revision + random_below(&f->random, high - f->made_revision + 1)};
    uint64_t revision = chosen[random_below(&f->random, sizeof chosen / sizeof chosen[0])];
    bool fits = revision >= f->made_revision && revision <= high;
    return fits ? revision : high;
}

static bool can_tell(const struct floors *f, const struct sim_node *n)
{
    return n->up && !n->stops && !n->log.failed &&
           store_position(n->store).revision >= f->made_revision;
}

static void look(struct floors *f, struct sim_node *n, unsigned times)
{
    uint64_t high = store_position(n->store).revision;
    uint64_t at[SPACES];
    for (unsigned space = 0; space < SPACES; space++) {
        at[space] = floor_at(n, spaces[space]);
    }
    if (at[TRUTH_DEFAULT] < f->floor && high > f->floor_revision) {
        world_fail(world_of(f),
                   "the floor of default is %" PRIu64 " for node %" PRIu64 ", and %" PRIu64
                   " was acknowledged",
                   at[TRUTH_DEFAULT], n->id, f->floor);
    }
    for (unsigned i = 0; i < times; i++) {
        look_at(f, n, at, choose_revision(f, at, high));
    }
}

/* --- each node for itself --- */

static void compact(struct floors *f)
{
    static const uint16_t paces[] = {1, 16, CHANGES_IDLE};
    struct world *w = world_of(f);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        struct sim_node *n = &w->nodes[i];
        if (n->up && random_chance(&f->random, 400) && store_has_past(n->store)) {
            apply_queue_compact(n->queue, paces[random_below(&f->random, 3)]);
            node_plan(n);
        }
    }
}

uint64_t floors_step(struct floors *f, bool may_begin)
{
    struct world *w = world_of(f);
    if (w->now_us < f->next_us) {
        return f->next_us;
    }
    f->next_us = w->now_us + STEP_US + random_below(&f->random, STEP_US);
    struct sim_node *n = any_up(f);
    if (f->busy) {
        give_up_what_is_lost(f);
    } else if (may_begin && n != NULL) {
        begin(f, n);
    }
    if (random_chance(&f->random, 300)) {
        w->passed_us += random_below(&f->random, PASS_MINUTES * MINUTE_US);
    }
    compact(f);
    if (n != NULL && can_tell(f, n)) {
        look(f, n, 1);
    }
    return f->next_us;
}

bool floors_is_idle(const struct floors *f)
{
    return !f->busy;
}

/* --- life --- */

static void on_made(void *arg, uint64_t tag, const struct apply_result *result)
{
    struct floors *f = arg;
    if (result != NULL && result->code == 0) {
        note_result(f, result);
        f->made_revision = result->revision;
    }
}

static void make_namespace(struct floors *f)
{
    struct world *w = world_of(f);
    struct buffer b;
    buffer_init(&b, 4096);
    txn_begin(&b, 1);
    txn_create_namespace(&b, "past", RETENTION_S);
    struct item item = {.kind = ITEM_TXN, .command = buffer_span(&b)};
    front_write(&w->nodes[0], &item, false, UINT32_MAX, on_made, f, 0);
    while (f->made_revision == 0 && w->failure[0] == '\0') {
        (void)world_step(w, w->now_us + 100000);
    }
    buffer_release(&b);
}

void floors_init(struct floors *f, struct clients *clients)
{
    static const char *const others[] = {"model/m", "version/m/1", "version/m@newest"};
    struct error e = {0};
    f->clients = clients;
    random_seed(&f->random, world_of(f)->seed + 1);
    for (unsigned i = 0; i < REGISTERS + 3; i++) {
        (void)snprintf(f->refs[i], sizeof f->refs[i], "%s",
                       i < REGISTERS ? clients->refs[i] : others[i - REGISTERS]);
        f->targets[i].text = span_of(f->refs[i]);
        CHECK(ref_parse(f->targets[i].text, false, &f->targets[i].ref, &e) == 0);
    }
    make_namespace(f);
}

/* --- at the end --- */

static bool has_past(struct floors *f)
{
    struct world *w = world_of(f);
    bool any = false;
    for (unsigned i = 0; i < w->nodes_len; i++) {
        struct sim_node *n = &w->nodes[i];
        if (n->up && store_has_past(n->store)) {
            apply_queue_compact(n->queue, CHANGES_IDLE);
            node_plan(n);
            any = true;
        }
    }
    return any;
}

void floors_check(struct floors *f)
{
    struct world *w = world_of(f);
    uint64_t end_us = w->now_us + COMPACT_US;
    while (has_past(f) && w->failure[0] == '\0') {
        if (w->now_us > end_us) {
            world_fail(w, "a node does not take away what is below its floors");
        }
        uint64_t until_us = w->now_us + COMPACT_LOOK;
        while (world_step(w, until_us)) {
        }
    }
    for (unsigned i = 0; i < w->nodes_len && w->failure[0] == '\0'; i++) {
        if (can_tell(f, &w->nodes[i])) {
            look(f, &w->nodes[i], LOOKS_LAST);
        }
    }
}
