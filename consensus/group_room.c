#include "base/check.h"
#include "consensus/group_internal.h"

/* Whether there is room for what is written, here and at the other members: what a leader proposes
 * is written by every one of them. A voter that has none stops; so many of them must not that the
 * rest is no majority. */

#define MIB 1048576.0

struct voter_room {
    uint64_t id;
    struct room room;
};

static struct room room_of(const struct group *g, uint64_t id, bool *ret_heard)
{
    const struct member_news *m = group_news_of(g, id);
    if (id == g->options.id) {
        *ret_heard = true;
        return g->room;
    }
    *ret_heard = m != NULL && group_now(g) - m->heard_us < GROUP_HEARD_US;
    return *ret_heard ? m->news.room : (struct room){.level = ROOM_ENOUGH};
}

/* Those that have most stand first. */
static void insert(struct voter_room *voters, size_t n, struct voter_room v)
{
    for (; n > 0 && voters[n - 1].room.level > v.room.level; n--) {
        voters[n] = voters[n - 1];
    }
    voters[n] = v;
}

/* Only voters that were heard of late can take part in a majority. Of so few that they are none
 * nothing can be said: what they do not answer is not committed either. */
uint64_t group_room(const struct group *g, struct room *ret)
{
    const struct raft_configuration *c = &g->raft.configuration;
    struct voter_room heard[GROUP_MEMBERS_MAX];
    size_t heard_len = 0;
    size_t voters = 0;
    *ret = g->room;
    for (unsigned i = 0; i < c->n && voters < GROUP_MEMBERS_MAX; i++) {
        bool is_heard;
        struct voter_room v = {.id = c->servers[i].id};
        if (c->servers[i].role != RAFT_VOTER) {
            continue;
        }
        v.room = room_of(g, v.id, &is_heard);
        voters++;
        if (is_heard) {
            insert(heard, heard_len++, v);
        }
    }
    size_t majority = voters / 2 + 1;
    if (heard_len < majority || heard[majority - 1].room.level <= g->room.level) {
        return g->options.id;
    }
    *ret = heard[majority - 1].room;
    return heard[majority - 1].id;
}

/* What can be done about it, and what is still taken. */
static const char *way_out(const struct room *room)
{
    if (room->level == ROOM_NONE) {
        return "";
    }
    return room->kind == ROOM_OF_DISK ? "; deletes, purges and compaction are still taken"
                                      : "; deletes, purges and compaction are still taken and make "
                                        "room";
}

void group_room_explain(const struct group *g, struct error *ret)
{
    struct room room;
    uint64_t id = group_room(g, &room);
    const char *folder = id == g->options.id ? g->options.folder : NULL;
    double left = (double)room.left_bytes / MIB;
    double wanted = (double)room.wanted_bytes / MIB;
    CHECK(room.level != ROOM_ENOUGH);
    if (room.kind == ROOM_OF_DISK) {
        (void)error_set(ret, CLADE_ERR_NO_SPACE, NULL,
                        "the disk of node %llu is nearly full: %.1f MiB are free and %.1f MiB are "
                        "needed; free space on %s%s (runbook: disk full)",
                        (unsigned long long)id, left, wanted,
                        folder != NULL ? folder : "the disk of its data folder", way_out(&room));
    } else {
        (void)error_set(ret, CLADE_ERR_NO_SPACE, NULL,
                        "the store of node %llu is nearly full: %.1f MiB of its map are left and "
                        "%.1f MiB are needed; raise its map_bytes and restart it%s (runbook: disk "
                        "full)",
                        (unsigned long long)id, left, wanted, way_out(&room));
    }
}

void group_set_room(struct group *g, const struct room *room)
{
    bool changed = room->level != g->room.level || room->kind != g->room.kind;
    g->room = *room;
    if (changed) {
        group_news_send(g);
        group_wake(g);
    }
}
