#include "tests/sim/clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "command/value.h"
#include "tests/sim/front.h"
#include "tests/sim/txn.h"

#define WRITE_TIMEOUT_US   20000000u
#define READ_TIMEOUT_US    5000000u
#define UNKNOWN_TIMEOUT_US 5000000u /* then a write without a session is given up */
#define LOOK_US            20000u

/* --- what is shared --- */

static struct world *world_of(const struct client *c)
{
    return c->all->promises.world;
}

static struct history *history_of(const struct client *c)
{
    return &c->all->promises.registers[c->reg].history;
}

static void rest(struct client *c)
{
    struct world *w = world_of(c);
    c->busy = false;
    c->next_us = w->now_us + (w->now_us < c->all->burst_until_us
                                  ? 1000 + random_below(&w->random, 60000)
                                  : 50000 + random_below(&w->random, 2000000));
}

static void see(struct client *c, uint64_t revision)
{
    c->seen_revision = revision > c->seen_revision ? revision : c->seen_revision;
    promises_note(&c->all->promises, revision);
}

static void begin_read(struct client *c, struct sim_node *n, enum clade_consistency level);

/* --- answers to writes --- */

static void on_name(struct client *c, const struct apply_result *result)
{
    struct clients *cs = c->all;
    struct world *w = world_of(c);
    struct error e = {0};
    const struct value *body = NULL;
    arena_reset(&w->arena);
    CHECK(value_decode(result->body, &value_limits_answer, &w->arena, &body, &e) == 0);
    uint64_t id = value_uint(value_get(value_at(body, 0), "id"));
    bool created =
        span_equal(value_string(value_get(value_at(body, 0), "status")), span_of("created"));
    uint64_t *known = &cs->name_ids[c->value];
    if (id == 0 || (*known != 0 && *known != id) || (created && cs->name_created[c->value]) ||
        created != result->changed) {
        world_fail(w, "name %" PRIu64 " was given the ids %" PRIu64 " and %" PRIu64 "%s", c->value,
                   *known, id, created ? ", created again" : "");
    }
    *known = id;
    cs->name_created[c->value] |= created;
    cs->counts.gotten += created;
}

static void on_register_written(struct client *c, const struct apply_result *result)
{
    bool swaps = c->task == TASK_SWAP;
    bool done = result->code == 0;
    history_end(history_of(c), c->operation,
                !swaps ? REGISTER_WRITE
                : done ? REGISTER_SWAP
                       : REGISTER_NO_SWAP,
                c->value);
    if (done) {
        promises_note_write(&c->all->promises, c->reg, result->revision, c->value);
        c->all->counts.counted += c->reg == COUNTER;
    }
}

static bool is_expected(const struct client *c, int code)
{
    if (c->task == TASK_SWAP) {
        return code == 0 || code == CLADE_ERR_CONFLICT;
    }
    return code == (c->is_refused ? CLADE_ERR_CONFLICT : 0);
}

static struct client_answer summary(const struct apply_result *r)
{
    return (struct client_answer){.code = r->code,
                                  .revision = r->revision,
                                  .time_us = r->time_us,
                                  .changed = r->changed,
                                  .body = hash64(r->body, 0)};
}

static void check_repeated(struct client *c, const struct client_answer *a)
{
    const struct client_answer *b = &c->answer;
    if (a->code != b->code || a->revision != b->revision || a->body != b->body ||
        a->changed != b->changed || a->time_us != b->time_us) {
        world_fail(world_of(c),
                   "client %u, write %" PRIu64 " was answered in two ways: revisions "
                   "%" PRIu64 " and %" PRIu64,
                   c->number, c->seq, b->revision, a->revision);
    }
}

static void check_time(struct client *c, const struct apply_result *r)
{
    if (r->time_us < c->seen_time_us) {
        world_fail(world_of(c), "client %u saw time go back at revision %" PRIu64, c->number,
                   r->revision);
    }
    c->seen_time_us = r->time_us;
    if (r->changed) {
        promises_note_time(&c->all->promises, r->revision, r->time_us);
    }
}

static void take_result(struct client *c, const struct apply_result *r)
{
    if (!is_expected(c, r->code)) {
        world_fail(world_of(c), "client %u, write %" PRIu64 ": %s: %.*s", c->number, c->seq,
                   clade_error_name(r->code), SPAN_FMT(r->body));
        return;
    }
    c->answer = summary(r);
    c->all->counts.writes++;
    c->all->counts.revisions += r->changed;
    check_time(c, r);
    switch (c->task) {
    case TASK_CREATE:
        c->all->counts.created += r->code == 0;
        break;
    case TASK_GET_OR_CREATE:
        on_name(c, r);
        break;
    default:
        on_register_written(c, r);
        break;
    }
    see(c, r->revision);
}

static void on_written(void *arg, uint64_t tag, const struct apply_result *result)
{
    struct client *c = arg;
    struct world *w = world_of(c);
    if (tag != c->tag || !c->busy) {
        return; /* given up since */
    }
    if (result == NULL && c->in_session) {
        c->unknown = true; /* refused for certain: the same again */
        c->node = NULL;
        return;
    }
    if (result == NULL) {
        history_drop(history_of(c), c->operation);
        rest(c);
        return;
    }
    if (c->is_repeated) {
        struct client_answer again = summary(result);
        check_repeated(c, &again);
        c->is_repeated = false;
    } else {
        take_result(c, result);
        c->is_repeated = c->in_session && random_chance(&w->random, 40);
    }
    if (c->is_repeated) {
        c->unknown = true; /* once more, though it was answered */
        c->node = NULL;
    } else if (c->node->up && random_chance(&w->random, 150)) {
        /* On the same node, before it has committed. */
        begin_read(c, c->node, CLADE_AT_LEAST);
    } else {
        rest(c);
    }
}

static void on_opened(void *arg, uint64_t tag, const struct apply_result *result)
{
    struct client *c = arg;
    if (tag != c->tag || !c->busy) {
        return;
    }
    if (result != NULL && result->code == 0) {
        c->session = result->session;
        c->seq = 0;
    }
    rest(c);
}

/* --- writes --- */

/* What else a registry does, now and then, since it makes log and store grow: an edge, params and
 * points, an alias, and a run that leaves nothing but its tombstone. */
static void put_more(const struct client *c, const char *name, struct buffer *b)
{
    txn_link(b, "$1", "$0", c->seq);
    txn_log(b, "model/m", c->seq);
    txn_set_alias(b, "$1", "newest");
    txn_create(b, "run", name);
    txn_log(b, "$5", c->seq);
    txn_delete_and_purge(b, "$5");
}

static void put_create(const struct client *c, const char *name, struct buffer *b)
{
    bool more = c->seq % 8 == 7;
    txn_begin(b, (more ? 9 : 2) + (c->is_refused ? 1 : 0));
    txn_create(b, "artifact", name);
    txn_create_version(b, "model/m");
    if (more) {
        put_more(c, name, b);
    }
    if (c->is_refused) {
        txn_create(b, "model", "m"); /* it is there: nothing of the others may stay */
    }
}

static void put_command(const struct client *c, struct buffer *b)
{
    char name[64];
    switch (c->task) {
    case TASK_CREATE:
        (void)snprintf(name, sizeof name, "c%u-%" PRIu64, c->number, c->seq);
        put_create(c, name, b);
        break;
    case TASK_GET_OR_CREATE:
        (void)snprintf(name, sizeof name, "g%" PRIu64, c->value);
        txn_begin(b, 1);
        txn_get_or_create(b, "artifact", name);
        break;
    case TASK_SWAP:
        txn_begin_guarded(b, c->all->refs[c->reg], c->expected_revision, 1);
        txn_set_tag(b, c->all->refs[c->reg], c->value);
        break;
    default:
        txn_begin(b, 1);
        txn_set_tag(b, c->all->refs[c->reg], c->value);
        break;
    }
}

static void note_call(struct client *c, struct sim_node *n)
{
    c->busy = true;
    c->unknown = false;
    c->tag++;
    c->node = n;
    c->node_boot = n->boot;
    c->started_us = world_of(c)->now_us;
    c->next_us = c->started_us + LOOK_US;
}

static void send_open(struct client *c, struct sim_node *n)
{
    static const uint8_t lease[8] = {0xff, 0xff, 0xff, 0x7f};
    struct item item = {.kind = ITEM_SESSION_OPEN,
                        .principal = span_of("sim"),
                        .command = span_make(lease, sizeof lease)};
    c->task = TASK_OPEN;
    note_call(c, n);
    front_write(n, &item, true, WRITE_TIMEOUT_US, on_opened, c, c->tag);
}

static void send_write(struct client *c, struct sim_node *n)
{
    struct buffer b;
    buffer_init(&b, 4096);
    put_command(c, &b);
    CHECK(!b.failed);
    struct item item = {.kind = ITEM_TXN, .principal = span_of("sim"), .command = buffer_span(&b)};
    if (c->in_session) {
        item.session = c->session;
        item.seq = c->seq;
        item.answered = c->seq;
    }
    note_call(c, n);
    front_write(n, &item, c->in_session, c->in_session ? WRITE_TIMEOUT_US : UNKNOWN_TIMEOUT_US,
                on_written, c, c->tag);
    buffer_release(&b);
}

/* What it read last is to be replaced, if it still stands there. */
static void choose_swap(struct client *c)
{
    c->task = TASK_SWAP;
    c->reg = c->read_reg;
    c->expected = c->read.value;
    c->expected_revision = c->read.changed;
    c->value = c->reg == COUNTER ? c->expected + 1 : ++c->all->next_value;
    c->has_read = false;
    c->operation = history_begin(history_of(c), REGISTER_SWAP, c->value, c->expected);
}

static void choose_put(struct client *c)
{
    struct world *w = world_of(c);
    c->task = TASK_PUT;
    c->reg = 1 + (unsigned)random_below(&w->random, REGISTERS - 1);
    c->value = ++c->all->next_value;
    c->in_session = !random_chance(&w->random, 100);
    c->operation = history_begin(history_of(c), REGISTER_WRITE, c->value, 0);
}

static void choose_name(struct client *c)
{
    struct world *w = world_of(c);
    uint64_t newest = c->all->counts.gotten + 2;
    c->task = TASK_GET_OR_CREATE;
    c->value = newest - random_below(&w->random, newest < 4 ? newest : 4);
    c->value = c->value < CLIENT_NAMES_MAX ? c->value : CLIENT_NAMES_MAX - 1;
}

static void begin_write(struct client *c, struct sim_node *n)
{
    uint64_t dice = random_below(&world_of(c)->random, 100);
    c->in_session = true;
    c->is_repeated = false;
    c->is_refused = false;
    c->operation = -1;
    if (c->has_read && dice < 60) {
        choose_swap(c);
    } else if (dice < 75) {
        choose_put(c);
    } else if (dice < 85) {
        choose_name(c);
    } else {
        c->task = TASK_CREATE;
        c->is_refused = dice >= 97;
    }
    c->seq += c->in_session;
    send_write(c, n);
}

/* --- reads --- */

static uint64_t parse_number(struct span text)
{
    uint64_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        v = v * 10 + (text.data[i] - '0');
    }
    return v;
}

static void take_answer(struct client *c, const struct front_answer *a)
{
    struct promises *p = &c->all->promises;
    struct world *w = world_of(c);
    bool is_linearizable = c->query.consistency == CLADE_LINEARIZABLE;
    if (a->revision < c->floor) {
        world_fail(w,
                   "a read at level %d shows revision %" PRIu64 ", and at least %" PRIu64
                   " was promised",
                   (int)c->query.consistency, a->revision, c->floor);
    }
    if (a->found != (a->revision >= p->registers_revision)) {
        world_fail(w, "a read of revision %" PRIu64 " does not find register %u", a->revision,
                   c->reg);
    }
    c->all->counts.reads++;
    if (!a->found) {
        return;
    }
    c->read = (struct fact){
        .revision = a->revision, .changed = a->changed, .value = parse_number(a->content)};
    c->has_read = true;
    c->read_reg = c->reg;
    promises_note_read(p, c->reg, &c->read);
    if (is_linearizable) {
        history_end(history_of(c), c->operation, REGISTER_READ, c->read.value);
    }
    if (c->query.consistency != CLADE_LOCAL) {
        see(c, a->revision);
    }
}

static void on_read(void *arg, uint64_t tag, const struct front_answer *a)
{
    struct client *c = arg;
    if (tag != c->tag || !c->busy) {
        return;
    }
    if (a->code == 0) {
        take_answer(c, a);
    } else {
        history_drop(history_of(c), c->operation);
    }
    rest(c);
}

/* What the level promises. */
static uint64_t floor_of(const struct client *c)
{
    const struct promises *p = &c->all->promises;
    uint64_t now_us = world_of(c)->now_us;
    switch (c->query.consistency) {
    case CLADE_LINEARIZABLE:
        return promises_floor(p, now_us);
    case CLADE_AT_LEAST:
        return c->query.at_least;
    case CLADE_STALE:
        return promises_floor(p, now_us - c->query.stale_ms * 1000);
    case CLADE_LOCAL:
        break;
    }
    return 0;
}

static void begin_read(struct client *c, struct sim_node *n, enum clade_consistency level)
{
    struct world *w = world_of(c);
    c->task = TASK_READ;
    c->operation = -1;
    c->reg = (unsigned)random_below(&w->random, REGISTERS);
    c->query = (struct query){.kind = QUERY_GET,
                              .consistency = level,
                              .at_least = c->seen_revision,
                              .stale_ms = random_below(&w->random, 900),
                              .limit = 1,
                              .view = CLADE_VIEW_FULL,
                              .state = CLADE_STATE_LIVE,
                              .ns = span_of("default"),
                              .targets = &c->all->targets[c->reg],
                              .targets_len = 1};
    c->floor = floor_of(c);
    if (level == CLADE_LINEARIZABLE) {
        c->operation = history_begin(history_of(c), REGISTER_READ, 0, 0);
    }
    note_call(c, n);
    front_read(n, &c->query, READ_TIMEOUT_US, on_read, c, c->tag);
}

/* --- acting --- */

static struct sim_node *pick_node(struct world *w)
{
    unsigned first = (unsigned)random_below(&w->random, w->nodes_len);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        struct sim_node *n = &w->nodes[(first + i) % w->nodes_len];
        if (n->up && !n->removed) {
            return n;
        }
    }
    return NULL;
}

static void begin(struct client *c, struct sim_node *n)
{
    static const enum clade_consistency levels[] = {
        CLADE_LINEARIZABLE, CLADE_LINEARIZABLE, CLADE_LINEARIZABLE, CLADE_LINEARIZABLE,
        CLADE_AT_LEAST,     CLADE_STALE,        CLADE_STALE,        CLADE_LOCAL};
    struct world *w = world_of(c);
    if (c->session == 0) {
        send_open(c, n);
    } else if (random_chance(&w->random, 500)) {
        begin_read(c, n, levels[random_below(&w->random, 8)]);
    } else {
        begin_write(c, n);
    }
}

/* Its node died, or says nothing: a write under a session is given again, anything else given up.
 * Whether a write without one took effect is not known then. */
static void go_on(struct client *c, struct sim_node *n)
{
    if (c->task == TASK_READ) {
        history_drop(history_of(c), c->operation);
        rest(c);
    } else if (c->task == TASK_OPEN) {
        rest(c);
    } else if (c->in_session) {
        c->all->counts.repeats++;
        send_write(c, n);
    } else {
        c->all->counts.lost++;
        rest(c);
    }
}

static void step(struct client *c, bool may_begin)
{
    struct world *w = world_of(c);
    struct sim_node *n = pick_node(w);
    c->next_us = w->now_us + LOOK_US;
    if (n == NULL) {
        return;
    }
    if (!c->busy) {
        if (may_begin) {
            begin(c, n);
        }
        return;
    }
    bool lost = c->node != NULL && (!c->node->up || c->node->boot != c->node_boot);
    bool late = w->now_us - c->started_us >
                (c->in_session || c->task == TASK_READ ? WRITE_TIMEOUT_US : UNKNOWN_TIMEOUT_US);
    if (lost || late || c->unknown) {
        go_on(c, n);
    }
}

uint64_t clients_step(struct clients *cs, bool may_begin)
{
    struct world *w = cs->promises.world;
    uint64_t next_us = UINT64_MAX;
    if (w->now_us >= cs->next_burst_us) {
        cs->burst_until_us = w->now_us + 200000 + random_below(&w->random, 600000);
        cs->next_burst_us = cs->burst_until_us + 500000 + random_below(&w->random, 5000000);
        for (unsigned i = 0; i < CLIENTS; i++) { /* all at once */
            cs->clients[i].next_us = w->now_us + random_below(&w->random, 20000);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &cs->clients[i];
        if (c->next_us <= w->now_us) {
            step(c, may_begin);
        }
        next_us = c->next_us < next_us ? c->next_us : next_us;
    }
    return next_us;
}

bool clients_are_idle(const struct clients *cs)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (cs->clients[i].busy) {
            return false;
        }
    }
    return true;
}

/* --- life --- */

void clients_init(struct clients *cs, struct world *w)
{
    struct error e = {0};
    promises_init(&cs->promises, w);
    for (unsigned i = 0; i < CLIENTS; i++) {
        cs->clients[i] = (struct client){.all = cs, .number = i, .in_session = true};
    }
    for (unsigned i = 0; i < REGISTERS; i++) {
        (void)snprintf(cs->refs[i], sizeof cs->refs[i], "artifact/r%u", i);
        cs->targets[i].text = span_of(cs->refs[i]);
        CHECK(ref_parse(cs->targets[i].text, false, &cs->targets[i].ref, &e) == 0);
    }
}

void clients_release(struct clients *cs)
{
    promises_release(&cs->promises);
}

static void on_prepared(void *arg, uint64_t tag, const struct apply_result *result)
{
    struct clients *cs = arg;
    if (result == NULL || result->code != 0) {
        return; /* no leader in time: once more */
    }
    cs->promises.registers_revision = result->revision;
    cs->counts.revisions++;
    promises_note(&cs->promises, result->revision);
}

void clients_prepare(struct clients *cs)
{
    struct world *w = cs->promises.world;
    struct buffer b;
    buffer_init(&b, 4096);
    txn_begin(&b, 1 + 2 * REGISTERS);
    txn_create(&b, "model", "m");
    for (unsigned i = 0; i < REGISTERS; i++) {
        txn_create(&b, "artifact", cs->refs[i] + strlen("artifact/"));
        txn_set_tag(&b, cs->refs[i], 0);
    }
    struct item item = {.kind = ITEM_TXN, .command = buffer_span(&b)};
    front_write(&w->nodes[0], &item, false, UINT32_MAX, on_prepared, cs, 0);
    while (cs->promises.registers_revision == 0 && w->failure[0] == '\0') {
        (void)world_step(w, w->now_us + 100000);
    }
    buffer_release(&b);
}

/* --- at the end --- */

/* How many live things of a kind the node's store lists, and the last one. */
static uint64_t count_things(struct sim_node *n, enum kind kind, const struct value **ret_last)
{
    struct world *w = n->world;
    struct error e = {0};
    struct reader_answer answer;
    const struct value *list = NULL;
    struct query q = {.kind = QUERY_LIST,
                      .list_kind = kind,
                      .limit = CLADE_MAX_PAGE_ITEMS,
                      .view = CLADE_VIEW_FULL,
                      .state = CLADE_STATE_LIVE};
    const struct reader_budget budget = {
        .clock = &n->clock, .deadline_us = UINT64_MAX, .bytes_max = 1u << 20, .visits_max = 100000};
    arena_reset(&w->arena);
    buffer_clear(&w->scratch);
    if (reader_query(n->reader, &q, span_of("default"), &budget, &w->arena, &w->scratch, &answer,
                     &e) != 0 ||
        !answer.complete ||
        value_decode(buffer_span(&w->scratch), &value_limits_answer, &w->arena, &list, &e) != 0) {
        world_fail(w, "node %llu cannot list: %s", (unsigned long long)n->id, e.message);
        return 0;
    }
    size_t len = value_len(list);
    *ret_last = len == 0 ? NULL : value_at(list, len - 1);
    return len;
}

void clients_check_contents(struct clients *cs, struct sim_node *n)
{
    struct world *w = n->world;
    const struct client_counts *k = &cs->counts;
    const struct value *last = NULL;
    uint64_t revision = store_position(n->store).revision;
    if (revision < k->revisions || revision > k->revisions + k->lost) {
        world_fail(w,
                   "%u changes were acknowledged and %u are not known; the store has %" PRIu64
                   " revisions",
                   k->revisions, k->lost, revision);
    }
    uint64_t artifacts = count_things(n, KIND_ARTIFACT, &last);
    uint64_t versions = count_things(n, KIND_VERSION, &last);
    uint64_t number = value_uint(value_get(last, "number"));
    /* Each thing once, and the model's numbers without a gap. */
    if (artifacts != k->created + k->gotten + REGISTERS || versions != k->created ||
        number != k->created) {
        world_fail(w,
                   "%u and %u things were made beside the registers; the store has %" PRIu64
                   " artifacts, %" PRIu64 " versions, the last with number %" PRIu64,
                   k->created, k->gotten, artifacts, versions, number);
    }
}
