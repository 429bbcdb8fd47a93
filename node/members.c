#include "node/members.h"

void members_init(struct members *m)
{
    *m = (struct members){.version = 1};
    pthread_mutex_init(&m->mutex, NULL);
}

void members_release(struct members *m)
{
    pthread_mutex_destroy(&m->mutex);
}

/* --- under the mutex --- */

static const struct group_member *find_configured(const struct members *m, uint64_t id)
{
    for (size_t i = 0; i < m->configuration_len; i++) {
        if (m->configuration[i].id == id) {
            return &m->configuration[i];
        }
    }
    return NULL;
}

static const struct member_client *find_client(const struct members *m, uint64_t id)
{
    for (size_t i = 0; i < m->len; i++) {
        if (m->list[i].id == id) {
            return &m->list[i];
        }
    }
    return NULL;
}

static bool is_serving(const struct members *m, uint64_t id)
{
    const struct group_member *g = find_configured(m, id);
    return m->configuration_len == 0 || (g != NULL && g->role != GROUP_SPARE);
}

static bool is_same(const struct members *m, const struct member_client *list, size_t len)
{
    if (len != m->serving_len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (list[i].id != m->serving[i].id || strcmp(list[i].address, m->serving[i].address) != 0) {
            return false;
        }
    }
    return true;
}

static void update_serving(struct members *m)
{
    struct member_client list[GROUP_MEMBERS_MAX];
    size_t len = 0;
    for (size_t i = 0; i < m->len; i++) {
        if (is_serving(m, m->list[i].id)) {
            list[len++] = m->list[i];
        }
    }
    if (!is_same(m, list, len)) {
        memcpy(m->serving, list, len * sizeof list[0]);
        m->serving_len = len;
        m->version++;
    }
}

/* --- changes --- */

struct reading {
    struct member_client list[GROUP_MEMBERS_MAX];
    size_t len;
};

static void on_member(void *arg, const struct member_record *member)
{
    struct reading *r = arg;
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
    update_serving(m);
    pthread_mutex_unlock(&m->mutex);
    return 0;
}

void members_set_configuration(struct members *m, const struct group_status *status)
{
    pthread_mutex_lock(&m->mutex);
    m->configuration_len = status->members_len;
    for (size_t i = 0; i < status->members_len; i++) {
        m->configuration[i] = status->members[i].member;
    }
    update_serving(m);
    pthread_mutex_unlock(&m->mutex);
}

/* --- looks --- */

void members_find(struct members *m, uint64_t id, char text[MEMBER_ADDRESS_BYTES])
{
    pthread_mutex_lock(&m->mutex);
    const struct member_client *c = find_client(m, id);
    if (c != NULL) {
        memcpy(text, c->address, MEMBER_ADDRESS_BYTES);
    } else {
        text[0] = 0;
    }
    pthread_mutex_unlock(&m->mutex);
}

size_t members_serving(struct members *m,
                       struct member_client ret[GROUP_MEMBERS_MAX],
                       uint64_t *ret_version)
{
    pthread_mutex_lock(&m->mutex);
    size_t n = m->serving_len;
    memcpy(ret, m->serving, n * sizeof *ret);
    *ret_version = m->version;
    pthread_mutex_unlock(&m->mutex);
    return n;
}

uint64_t members_version(struct members *m)
{
    pthread_mutex_lock(&m->mutex);
    uint64_t version = m->version;
    pthread_mutex_unlock(&m->mutex);
    return version;
}

bool members_has(struct members *m, uint64_t id)
{
    pthread_mutex_lock(&m->mutex);
    bool has = m->configuration_len > 0 && is_serving(m, id);
    pthread_mutex_unlock(&m->mutex);
    return has;
}

bool members_all_known(struct members *m)
{
    pthread_mutex_lock(&m->mutex);
    bool known = m->configuration_len > 0;
    for (size_t i = 0; i < m->configuration_len && known; i++) {
        const struct group_member *g = &m->configuration[i];
        known = g->role == GROUP_SPARE || find_client(m, g->id) != NULL;
    }
    pthread_mutex_unlock(&m->mutex);
    return known;
}
