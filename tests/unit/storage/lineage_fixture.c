#include "lineage_fixture.h"

void fill(struct fixture *f)
{
    struct error e = {0};
    if (store_fill_lineage(f->store, NULL, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

enum store_lineage_state state_of(struct fixture *f)
{
    struct store_lineage l;
    store_lineage_look(f->store, &l);
    return l.state;
}

void reopen(struct fixture *f, uint64_t lineage_bytes)
{
    fixture_close(f);
    f->lineage_bytes = lineage_bytes;
    fixture_open(f, FIXTURE_MAP_BYTES);
}

struct fixture *indexed_fixture(uint64_t lineage_bytes)
{
    void *f;
    fixture_setup(&f);
    reopen(f, lineage_bytes);
    return f;
}

void indexed_fixture_free(struct fixture *f)
{
    void *state = f;
    fixture_teardown(&state);
}

void run(struct fixture *f, const char *json)
{
    if (fixture_txn(f, json) != 0) {
        fail_msg("%s", json_of(buffer_span(&f->body)));
    }
}

static const char *const kinds[] = {"artifact", "run", "model", "experiment"};

void make_things(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++) {
        char json[128];
        snprintf(json, sizeof json, "{'v':1,'ops':[{'op':'create','kind':'%s','name':'n%d'}]}",
                 kinds[i % 4], i);
        run(f, json);
    }
}

void make_chain(struct fixture *f)
{
    struct buffer json;
    buffer_init(&json, 1 << 20);
    buffer_append_str(&json, "{'v':1,'ops':[{'op':'create','kind':'run'}");
    for (int i = 1; i < CHAIN; i++) {
        buffer_append_str(&json, ",{'op':'create','kind':'run'}");
    }
    for (int i = 1; i < CHAIN; i++) {
        buffer_append_fmt(&json, ",{'op':'link','from':'$%d','label':'l','to':'$%d'}", i - 1, i);
    }
    buffer_append(&json, "]}", 3);
    run(f, (const char *)json.data);
    buffer_release(&json);
}
