/* Names that come, change, go and come back at random, against a model that is too simple to be
 * wrong: at every revision each list shows what the model had. */
#include <stdio.h>
#include <string.h>

#include "steps.h"

#define TRANSACTIONS 800
#define OPS_MAX      3
#define THINGS_MAX   800
#define NAMES        6
#define FIRST_ID     2 /* what the store gives */

struct model_thing {
    uint64_t created;
    uint64_t named; /* the revision that gave it its name */
    unsigned name;
    bool deleted;
    bool lost; /* made and deleted by one transaction, or its name taken again by the same one */
};

struct model {
    struct model_thing things[THINGS_MAX];
    size_t len;
};

/* The live thing of that name; SIZE_MAX when there is none. */
static size_t holder(const struct model *m, unsigned name)
{
    for (size_t i = 0; i < m->len; i++) {
        if (!m->things[i].deleted && m->things[i].name == name) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* A thing takes a name: the row of one that had it within the same transaction goes. */
static void take_name(struct model *m, size_t i, unsigned name, uint64_t revision)
{
    for (size_t j = 0; j < m->len; j++) {
        struct model_thing *t = &m->things[j];
        if (j != i && t->deleted && t->name == name && t->named == revision) {
            t->lost = true;
        }
    }
    m->things[i].name = name;
    m->things[i].named = revision;
    m->things[i].lost = false;
}

enum act { ACT_CREATE, ACT_RENAME, ACT_DELETE, ACT_UNDELETE, ACTS };

/* What the operation does to the model; false when it is refused. */
static bool act(struct model *m, enum act what, size_t i, unsigned name, uint64_t revision)
{
    size_t there = holder(m, name);
    if (what == ACT_CREATE) {
        m->things[m->len] = (struct model_thing){.created = revision, .deleted = true};
        m->len++;
        i = m->len - 1;
        there = holder(m, name);
    }
    struct model_thing *t = &m->things[i];
    switch (what) {
    case ACT_RENAME:
        if (t->deleted || (there != SIZE_MAX && there != i)) {
            return false;
        }
        if (t->name != name) {
            take_name(m, i, name, revision);
        }
        return true;
    case ACT_DELETE:
        if (t->deleted) {
            return false;
        }
        t->deleted = true;
        t->lost = t->created == revision;
        return true;
    case ACT_UNDELETE:
        if (!t->deleted) {
            return true;
        }
        /* fall through */
    default:
        if (there != SIZE_MAX) {
            return false;
        }
        t->deleted = false;
        take_name(m, i, name, revision);
        return true;
    }
}

static int by_name(const struct model *m, size_t a, size_t b)
{
    const struct model_thing *x = &m->things[a];
    const struct model_thing *y = &m->things[b];
    if (x->name != y->name) {
        return x->name < y->name ? -1 : 1;
    }
    return (x->named < y->named) - (x->named > y->named); /* the newest holder first */
}

/* The ids that a list shows, as JSON. */
static void list_of(const struct model *m, bool live, bool dead, char *out, size_t out_bytes)
{
    size_t order[THINGS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < m->len; i++) {
        const struct model_thing *t = &m->things[i];
        if (t->deleted ? dead && !t->lost : live) {
            size_t at = n++;
            for (; at > 0 && by_name(m, i, order[at - 1]) < 0; at--) {
                order[at] = order[at - 1];
            }
            order[at] = i;
        }
    }
    size_t used = (size_t)snprintf(out, out_bytes, "[");
    for (size_t i = 0; i < n; i++) {
        used += (size_t)snprintf(out + used, out_bytes - used, "%s%zu", i > 0 ? "," : "",
                                 order[i] + FIRST_ID);
    }
    (void)snprintf(out + used, out_bytes - used, "]");
}

static size_t put_op(char *out, size_t bytes, enum act what, size_t i, unsigned name)
{
    static const char *const words[] = {[ACT_RENAME] = "rename", [ACT_UNDELETE] = "undelete"};
    int n;
    if (what == ACT_CREATE) {
        n = snprintf(out, bytes, "{'op':'create','kind':'artifact','name':'n%u'},", name);
    } else if (what == ACT_DELETE) {
        n = snprintf(out, bytes, "{'op':'delete','ref':'id/%zu'},", i + FIRST_ID);
    } else {
        n = snprintf(out, bytes, "{'op':'%s','ref':'id/%zu','name':'n%u'},", words[what],
                     i + FIRST_ID, name);
    }
    return (size_t)n;
}

/* Runs a transaction on both; whether it did anything. */
static bool step(struct fixture *f, struct model *m, uint64_t *seed, uint64_t revision)
{
    static struct model next;
    char command[1024] = "{'v':1,'ops':[";
    size_t used = strlen(command);
    next = *m;
    bool fits = true;
    uint64_t ops = next_random(seed) % OPS_MAX + 1;
    for (uint64_t n = 0; n < ops && fits; n++) {
        enum act what = (enum act)(next_random(seed) % ACTS);
        what = next.len == 0 ? ACT_CREATE : what;
        /* The last few, so that a thing meets more than one operation, or whoever has a name. */
        size_t recent = next.len < 6 ? next.len : 6;
        size_t i = next.len == 0 ? 0 : next.len - 1 - next_random(seed) % recent;
        size_t held = holder(&next, (unsigned)(next_random(seed) % NAMES));
        i = held != SIZE_MAX && next_random(seed) % 2 == 0 ? held : i;
        unsigned name = (unsigned)(next_random(seed) % NAMES);
        used += put_op(command + used, sizeof command - used, what, i, name);
        fits = act(&next, what, i, name, revision);
    }
    (void)snprintf(command + used - 1, sizeof command - used + 1, "]}");
    int code = fixture_txn(f, command);
    if ((code == 0) != fits) {
        fail_msg("%s: %d", command, code);
    }
    if (fits) {
        *m = next;
    }
    return code == 0 && f->result.revision == revision;
}

static void check_lists(struct fixture *f, const struct model *m, uint64_t revision)
{
    static const struct {
        const char *state;
        bool live;
        bool dead;
    } lists[] = {{"live", true, false}, {"deleted", false, true}, {"any", true, true}};
    static char want[THINGS_MAX * 8];
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        char query[160];
        list_of(m, lists[i].live, lists[i].dead, want, sizeof want);
        (void)snprintf(query, sizeof query,
                       "{'kind':'artifact','view':'ids','limit':5000,'state':'%s','as_of':%lu}",
                       lists[i].state, revision);
        assert_int_equal(fixture_read(f, QUERY_LIST, query), 0);
        assert_answer(f, want);
    }
}

static void lists_show_what_was_called_so_at_each_revision(void **state)
{
    struct fixture *f = *state;
    static struct model m;
    static struct model past[TRANSACTIONS + 1];
    uint64_t seed = test_seed();
    uint64_t revision = 0;
    memset(&m, 0, sizeof m);
    for (int i = 0; i < TRANSACTIONS; i++) {
        if (step(f, &m, &seed, revision + 1)) {
            past[++revision] = m;
        }
    }
    assert_true(revision > TRANSACTIONS / 8);
    for (uint64_t r = 1; r <= revision; r++) {
        check_lists(f, &past[r], r);
    }
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_show_what_was_called_so_at_each_revision,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
