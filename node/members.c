#include "node/members.h"

#include "storage/member.h"

void members_init(struct members *m)
{
    pthread_mutex_init(&m->mutex, NULL);
    m->len = 0;
}

void members_release(struct members *m)
{
    pthread_mutex_destroy(&m->mutex);
}

struct reading {
    struct member_client list[GROUP_MEMBERS_MAX];
    size_t len;
};

_Static_assert(MEMBER_ADDRESS_MAX < MEMBER_ADDRESS_BYTES, "a client address fits");

static void on_member(void *arg, const struct member_record *member)
{
    struct reading *r = arg;
    /* Those without an address would count as known. */
    if (r->len == GROUP_MEMBERS_MAX || member->wanted == MEMBER_REMOVED ||
        member->client_address[0] == 0) {
        return;
    }
    struct member_client *c = &r->list[r->len++];
    c->id = member->node;
    memcpy(c->address, member->client_address, sizeof member->client_address);
}

int members_refresh(struct members *m, struct store *store, struct error *error)
{
    struct reading r = {.len = 0};
    int rv = store_members(store, on_member, &r, error);
    if (rv < 0) {
        return rv;
    }
    pthread_mutex_lock(&m->mutex);
    memcpy(m->list, r.list, r.len * sizeof r.list[0]);
    m->len = r.len;
    pthread_mutex_unlock(&m->mutex);
    return 0;
}

void members_find(struct members *m, uint64_t id, char text[MEMBER_ADDRESS_BYTES])
{
    text[0] = 0;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->len; i++) {
        if (m->list[i].id == id) {
            memcpy(text, m->list[i].address, MEMBER_ADDRESS_BYTES);
        }
    }
    pthread_mutex_unlock(&m->mutex);
}

size_t members_copy(struct members *m, struct member_client ret[GROUP_MEMBERS_MAX])
{
    pthread_mutex_lock(&m->mutex);
    size_t n = m->len;
    memcpy(ret, m->list, n * sizeof *ret);
    pthread_mutex_unlock(&m->mutex);
    return n;
}
