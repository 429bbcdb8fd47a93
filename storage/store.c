#include "storage/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/view.h"

uint32_t store_format(void)
{
    return STORE_FORMAT;
}

void meta_encode(const struct meta *m, uint8_t bytes[META_BYTES])
{
    const uint64_t numbers[] = {m->applied,      m->revision,   m->time_us,
                                m->next_id,      m->next_label, m->session_ms,
                                m->next_session, m->sessions,   m->sweep};
    uint8_t *p = bytes;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++, p += 8) {
        put_u64le(p, numbers[i]);
    }
    hash128_put(p, m->sum_data);
    hash128_put(p + 16, m->sum_state);
    put_u64le(p + 32, m->sample.index);
    hash128_put(p + 40, m->sample.data);
    hash128_put(p + 56, m->sample.state);
    CHECK(p + 72 == bytes + META_BYTES);
}

void meta_decode(const uint8_t bytes[META_BYTES], struct meta *m)
{
    uint64_t *const numbers[] = {&m->applied,      &m->revision,   &m->time_us,
                                 &m->next_id,      &m->next_label, &m->session_ms,
                                 &m->next_session, &m->sessions,   &m->sweep};
    const uint8_t *p = bytes;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++, p += 8) {
        *numbers[i] = get_u64le(p);
    }
    m->sum_data = hash128_get(p);
    m->sum_state = hash128_get(p + 16);
    m->sample.index = get_u64le(p + 32);
    m->sample.data = hash128_get(p + 40);
    m->sample.state = hash128_get(p + 56);
}

struct store_digest meta_digest(const struct meta *m)
{
    uint8_t data[4 * 8];
    put_u64le(data, m->revision);
    put_u64le(data + 8, m->next_id);
    put_u64le(data + 16, m->next_label);
    put_u64le(data + 24, 0);
    uint8_t state[5 * 8];
    put_u64le(state, m->applied);
    put_u64le(state + 8, m->time_us);
    put_u64le(state + 16, m->session_ms);
    put_u64le(state + 24, m->next_session);
    put_u64le(state + 32, m->sweep);
    struct span key = span_of("state");
    struct hash128 sum = hash128_add(m->sum_data, row_hash(TABLE_META, key, span_make(data, 32)));
    struct hash128 more =
        hash128_add(m->sum_state, row_hash(TABLE_META, key, span_make(state, 40)));
    return (struct store_digest){
        .index = m->applied,
        .data = sum,
        .state = hash128_add(sum, more),
    };
}

struct meta store_meta(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    struct meta meta = store->meta;
    pthread_mutex_unlock(&store->lock);
    return meta;
}

void store_publish(struct store *store, const struct meta *meta)
{
    pthread_mutex_lock(&store->lock);
    store->meta = *meta;
    pthread_mutex_unlock(&store->lock);
}

struct environment *store_ref(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    struct environment *env = store->env;
    env->users++;
    pthread_mutex_unlock(&store->lock);
    return env;
}

void store_unref(struct store *store, struct environment *env)
{
    pthread_mutex_lock(&store->lock);
    CHECK(env->users > 0);
    env->users--;
    pthread_mutex_unlock(&store->lock);
}

int store_open(const struct store_options *options, struct store **ret, struct error *error)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    pthread_mutex_init(&store->lock, NULL);
    atomic_init(&store->epoch.now, 1);
    store->options = *options;
    store->options.path = NULL;
    int rc = environment_open(options, NULL, &store->env, &store->meta, error);
    if (rc != 0) {
        store_close(store);
        return error_wrap(error, "opening the store in %s", options->path);
    }
    *ret = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    CHECK(store->readers == NULL && !store->writing);
    unsigned left = store_close_old(store);
    CHECK(left == 0);
    environment_close(store->env);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

/* --- Swapping ----------------------------------------------------------------------------------
 */

/* LMDB's locks are the process's: a second environment on a file that is open here would take
 * them from the first as it closes. */
static int check_new_file(struct store *store, const char *path, struct error *error)
{
    pthread_mutex_lock(&store->lock);
    bool is_open = environment_is_at(store->env, path);
    for (const struct environment *env = store->old; env != NULL && !is_open; env = env->next) {
        is_open = environment_is_at(env, path);
    }
    pthread_mutex_unlock(&store->lock);
    return is_open ? error_set(error, CLADE_ERR_INVALID, path, "it is open already") : 0;
}

static int open_newer(struct store *store,
                      const char *path,
                      struct environment **ret,
                      struct meta *ret_meta,
                      struct error *error)
{
    struct store_options options = store->options;
    options.path = path;
    struct environment *env;
    int rc = environment_open(&options, store->env, &env, ret_meta, error);
    if (rc != 0) {
        return rc;
    }
    if (ret_meta->applied < store_meta(store).applied) {
        environment_close(env);
        return error_set(error, CLADE_ERR_INVALID, path,
                         "it ends at index %" PRIu64 ", and the store is at %" PRIu64 " already",
                         ret_meta->applied, store_meta(store).applied);
    }
    *ret = env;
    return 0;
}

int store_swap(
    struct store *store, const char *path, store_keep_cb keep, void *arg, struct error *error)
{
    CHECK(!store->writing);
    struct environment *env = NULL;
    struct meta meta;
    int rc = check_new_file(store, path, error);
    if (rc == 0) {
        rc = open_newer(store, path, &env, &meta, error);
    }
    if (rc != 0) {
        if (error != NULL) {
            error_wrap(error, "swapping the store for %s", path);
        }
        return rc;
    }
    rc = keep != NULL ? keep(arg, path, error) : 0;
    if (rc != 0) {
        environment_close(env);
        return rc;
    }
    pthread_mutex_lock(&store->lock);
    store->env->next = store->old;
    store->old = store->env;
    __atomic_store_n(&store->env, env, __ATOMIC_SEQ_CST); /* readers look without the lock */
    store->meta = meta;
    readers_leave(store);
    pthread_mutex_unlock(&store->lock);
    return 0;
}

unsigned store_close_old(struct store *store)
{
    struct environment *unused = NULL;
    unsigned left = 0;
    pthread_mutex_lock(&store->lock);
    for (struct environment **at = &store->old; *at != NULL;) {
        struct environment *env = *at;
        if (env->users > 0) {
            left++;
            at = &env->next;
            continue;
        }
        *at = env->next;
        env->next = unused;
        unused = env;
    }
    pthread_mutex_unlock(&store->lock);
    while (unused != NULL) {
        struct environment *env = unused;
        unused = env->next;
        environment_close(env);
    }
    return left;
}

/* --- What the store says of itself -------------------------------------------------------------
 */

struct store_position store_position(struct store *store)
{
    struct meta meta = store_meta(store);
    return (struct store_position){
        .applied = meta.applied, .revision = meta.revision, .time_us = meta.time_us};
}

struct store_digest store_digest_sample(struct store *store)
{
    return store_meta(store).sample;
}

struct store_digest store_digest_current(struct store *store)
{
    struct meta meta = store_meta(store);
    return meta_digest(&meta);
}

int store_sync(struct store *store, struct error *error)
{
    struct environment *env = store_ref(store);
    int rc = mdb_env_sync(env->mdb, 1);
    store_unref(store, env);
    /* Whatever it says, a full disk too: what a failed sync lost is not written again. */
    return lmdb_error(rc == ENOSPC || rc == EDQUOT ? EIO : rc, error, "syncing");
}

bool store_has_work(struct store *store)
{
    struct view view;
    MDB_stat stat;
    if (view_open(&view, store, NULL) != 0) {
        return false; /* the next look tells */
    }
    int rc = mdb_stat(view.txn, view.env->tables[TABLE_PURGES], &stat);
    view_close(&view, store);
    return rc == 0 && stat.ms_entries > 0;
}

void store_usage(struct store *store, uint64_t *ret_used_bytes, uint64_t *ret_map_bytes)
{
    struct environment *env = store_ref(store);
    *ret_used_bytes = environment_used_bytes(env);
    *ret_map_bytes = env->map_bytes;
    store_unref(store, env);
}
