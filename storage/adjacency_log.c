#include "storage/adjacency_log.h"

#include "base/bytes.h"
#include "base/check.h"
#include "storage/record.h"

#define DEPLOYED_VERSION_AT 9 /* in the key: space, model, version, deployment */

uint64_t adjacency_pointed(enum table table, struct span key, struct span value)
{
    if (key.len == 0 || key.data[0] == POINTER_BACK) {
        return 0;
    }
    if (table == TABLE_DEPLOYED) {
        return key.len >= DEPLOYED_VERSION_AT + 8 ? get_u64be(key.data + DEPLOYED_VERSION_AT) : 0;
    }
    return value.len >= 8 ? get_u64le(value.data) : 0;
}

static void put(struct buffer *log, const struct adjacency_change *change)
{
    buffer_append(log, change, sizeof *change);
}

static void put_mark(struct buffer *log, uint64_t id, uint8_t mark)
{
    put(log, &(struct adjacency_change){.op = ADJACENCY_MARK, .id = id, .mark = mark});
}

static struct adjacency_change of_edge(enum table table, struct span key, struct span value)
{
    CHECK(key.len == 8 && value.len == EDGE_VALUE_BYTES);
    return (struct adjacency_change){
        .side = table == TABLE_EDGES_OUT ? SIDE_OUT : SIDE_IN,
        .id = get_u64be(key.data),
        .edge = edge_decode(value.data),
    };
}

/* Whether the change before took away what comes back as ended. */
static bool ends(const struct adjacency_change *went, const struct adjacency_change *came)
{
    return went->op == ADJACENCY_REMOVE && went->side == came->side && went->id == came->id &&
           went->edge.label == came->edge.label && went->edge.other == came->edge.other &&
           went->edge.created == came->edge.created && went->edge.ended == 0 &&
           came->edge.ended != 0;
}

static void put_edge(struct buffer *log, size_t begin, struct adjacency_change *change)
{
    struct adjacency_change last;
    change->op = ADJACENCY_ADD;
    if (log->len >= begin + sizeof last) {
        memcpy(&last, log->data + log->len - sizeof last, sizeof last);
        if (ends(&last, change)) {
            change->op = ADJACENCY_END;
            log->len -= sizeof last;
        }
    }
    put(log, change);
}

void adjacency_log_came(
    struct buffer *log, size_t begin, enum table table, struct span key, struct span value)
{
    switch (table) {
    case TABLE_EDGES_OUT:
    case TABLE_EDGES_IN: {
        struct adjacency_change change = of_edge(table, key, value);
        put_edge(log, begin, &change);
        return;
    }
    case TABLE_THINGS:
        put_mark(log, get_u64be(key.data), (uint8_t)record_kind(value));
        return;
    case TABLE_ALIASES:
    case TABLE_DEPLOYED:
    case TABLE_STAGES: {
        uint64_t id = adjacency_pointed(table, key, value);
        if (id != 0) {
            put_mark(log, id, MARK_POINTED);
        }
        return;
    }
    default:
        return;
    }
}

void adjacency_log_went(struct buffer *log, enum table table, struct span key, struct span value)
{
    if (table == TABLE_EDGES_OUT || table == TABLE_EDGES_IN) {
        struct adjacency_change change = of_edge(table, key, value);
        change.op = ADJACENCY_REMOVE;
        put(log, &change);
    }
}
