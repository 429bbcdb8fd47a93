#include "storage/reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/time_text.h"
#include "command/value.h"
#include "storage/changes.h"
#include "storage/floor.h"
#include "storage/reading.h"
#include "storage/varint.h"
#include "storage/walk.h"

#define LIGHT_TARGETS_MAX 16
#define QUERY_HASH_BYTES  (64u << 20)
#define CURSOR_LIFE_US    ((uint64_t)CLADE_MAX_CURSOR_MINUTES * 60 * 1000000)

/* Who has the reader's transaction. A query takes it and gives it back, so that store_swap can end
 * that of a reader that rests: else one without queries would keep an old environment, and its
 * space on disk, for ever. Nobody waits: a busy reader sees for itself that there is a new one. */
enum reader_state { READER_IDLE, READER_BUSY, READER_TAKEN };

struct reader {
    struct store *store;
    struct reader *next;  /* the store's list, under its lock */
    struct reader **link; /* what points here */
    enum reader_state state;
    struct epoch_reader epoch;
    _Atomic uint64_t began_us; /* the query that runs; 0 = none, or it has no clock */
    struct view view;          /* env is NULL when it has no transaction */
    struct arena scratch;
    struct walk_memory walks[2];
};

static bool take(struct reader *r, enum reader_state as)
{
    enum reader_state idle = READER_IDLE;
    return __atomic_compare_exchange_n(&r->state, &idle, as, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static void give_back(struct reader *r)
{
    __atomic_store_n(&r->state, READER_IDLE, __ATOMIC_SEQ_CST);
}

static const struct environment *current(struct reader *r)
{
    return __atomic_load_n(&r->store->env, __ATOMIC_SEQ_CST);
}

/* Ends the transaction; what is left to do for the environment is in *ret. */
static void end_txn(struct reader *r, struct environment **ret)
{
    view_release(&r->view);
    mdb_txn_abort(r->view.txn);
    r->view.txn = NULL;
    *ret = r->view.env;
    r->view.env = NULL;
}

static void leave(struct reader *r)
{
    if (r->view.env != NULL) {
        struct environment *env;
        end_txn(r, &env);
        store_unref(r->store, env);
    }
}

void readers_leave(struct store *store)
{
    for (struct reader *r = store->readers; r != NULL; r = r->next) {
        if (!take(r, READER_TAKEN)) {
            continue;
        }
        if (r->view.env != NULL && r->view.env != store->env) {
            struct environment *env;
            end_txn(r, &env);
            env->users--; /* the lock is held */
        }
        give_back(r);
    }
}

uint64_t readers_oldest_epoch(struct store *store)
{
    uint64_t oldest = UINT64_MAX;
    pthread_mutex_lock(&store->lock);
    for (const struct reader *r = store->readers; r != NULL; r = r->next) {
        oldest = epoch_older(&r->epoch, oldest);
    }
    pthread_mutex_unlock(&store->lock);
    return oldest;
}

uint64_t store_oldest_query_us(struct store *store)
{
    uint64_t oldest = 0;
    pthread_mutex_lock(&store->lock);
    for (const struct reader *r = store->readers; r != NULL; r = r->next) {
        uint64_t us = atomic_load_explicit(&r->began_us, memory_order_relaxed);
        oldest = us != 0 && (oldest == 0 || us < oldest) ? us : oldest;
    }
    pthread_mutex_unlock(&store->lock);
    return oldest;
}

static void note_begin(struct reader *r, const struct clock *clock)
{
    atomic_store_explicit(&r->began_us, clock != NULL ? clock_monotonic_us(clock) : 0,
                          memory_order_relaxed);
}

/* A transaction on the newest commit of the current environment. */
static int begin(struct reader *r)
{
    while (!take(r, READER_BUSY)) {
        /* store_swap has it, under the lock. */
        pthread_mutex_lock(&r->store->lock);
        pthread_mutex_unlock(&r->store->lock);
    }
    int rc;
    if (r->view.env == current(r)) {
        rc = mdb_txn_renew(r->view.txn);
    } else {
        leave(r);
        r->view.env = store_ref(r->store);
        rc = mdb_txn_begin(r->view.env->mdb, NULL, MDB_RDONLY, &r->view.txn);
        if (rc != 0) {
            store_unref(r->store, r->view.env);
            r->view.env = NULL;
        }
    }
    r->view.bound = 0;
    if (rc != 0) {
        give_back(r);
    } else {
        epoch_enter(&r->store->epoch, &r->epoch);
    }
    return lmdb_error(rc, r->view.error, "beginning a read");
}

static void end(struct reader *r)
{
    epoch_leave(&r->epoch);
    atomic_store_explicit(&r->began_us, 0, memory_order_relaxed);
    const struct environment *env = r->view.env;
    mdb_txn_reset(r->view.txn);
    give_back(r);
    /* Either a swap saw that it rests, or it sees the swap. */
    if (env != current(r) && take(r, READER_BUSY)) {
        leave(r);
        give_back(r);
    }
}

static void list(struct reader *r)
{
    struct store *store = r->store;
    pthread_mutex_lock(&store->lock);
    r->next = store->readers;
    r->link = &store->readers;
    if (r->next != NULL) {
        r->next->link = &r->next;
    }
    store->readers = r;
    pthread_mutex_unlock(&store->lock);
}

static void unlist(struct reader *r)
{
    pthread_mutex_lock(&r->store->lock);
    *r->link = r->next;
    if (r->next != NULL) {
        r->next->link = r->link;
    }
    pthread_mutex_unlock(&r->store->lock);
}

int reader_new(struct store *store, struct reader **ret, struct error *error)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    reader->store = store;
    reader->view = (struct view){.renewable = true, .error = error};
    arena_init(&reader->scratch, READING_SCRATCH_BYTES);
    list(reader);
    int rc = begin(reader); /* takes a slot */
    if (rc != 0) {
        reader_free(reader);
        return rc;
    }
    end(reader);
    *ret = reader;
    return 0;
}

void reader_free(struct reader *reader)
{
    if (reader == NULL) {
        return;
    }
    unlist(reader);
    leave(reader);
    arena_release(&reader->scratch);
    walk_memory_release(&reader->walks[0]);
    walk_memory_release(&reader->walks[1]);
    free(reader);
}

/* --- Budget and page ---------------------------------------------------------------------------
 */

void reading_next_item(struct reading *r)
{
    arena_reset(r->scratch);
    lookup_forget(&r->memo);
    r->render.cached_ns = 0;
}

bool reading_look(struct reading *r)
{
    r->steps = 0;
    const struct reader_budget *b = r->budget;
    if (b->cancelled != NULL && __atomic_load_n(b->cancelled, __ATOMIC_RELAXED)) {
        r->stopped = true;
    }
    if (b->clock != NULL && b->deadline_us != 0 && clock_monotonic_us(b->clock) > b->deadline_us) {
        r->stopped = true;
    }
    if (b->slice != NULL && b->slice->is_over(b->slice->arg)) {
        r->sliced = true;
        r->stopped = true;
    }
    return r->stopped;
}

bool reading_stop(void *arg)
{
    return reading_step(arg);
}

static uint64_t answer_bytes_max(const struct reading *r)
{
    return r->budget->bytes_max != 0 ? r->budget->bytes_max : CLADE_MAX_ANSWER_BYTES;
}

bool reading_has_room(const struct reading *r, size_t bytes)
{
    uint64_t bytes_max = answer_bytes_max(r);
    uint64_t used = r->out->len - r->out_begin;
    return used <= bytes_max && bytes <= bytes_max - used &&
           bytes <= r->out->bytes_max - r->out->len;
}

int reading_emitted(struct reading *r, size_t mark)
{
    uint64_t bytes_max = answer_bytes_max(r);
    if (!r->out->failed && r->out->len - r->out_begin <= bytes_max) {
        r->items++;
        return 0;
    }
    r->out->len = mark;
    r->out->failed = false;
    if (r->items == 0) {
        return error_set(r->error, CLADE_ERR_LIMIT, NULL,
                         "one item of the answer is longer than %" PRIu64
                         " bytes; ask for less of it",
                         bytes_max);
    }
    r->full = true;
    return 1;
}

int reading_rendered(struct reading *r, int rc, size_t mark)
{
    if (rc == 1) {
        r->out->len = mark; /* the budget ended in the middle of it */
    }
    return rc != 0 ? rc : reading_emitted(r, mark);
}

int reading_emit(struct reading *r, const struct thing *thing, uint32_t depth)
{
    if (r->items >= r->query->limit) {
        r->full = true;
        return 1;
    }
    struct render_options options = {
        .view = r->query->view,
        .with_edges = r->query->with_edges,
        .with_aliases = r->query->with_aliases,
        .with_params = r->query->with_params,
        .with_metrics = r->query->with_metrics,
        .with_depth = r->query->kind != QUERY_LIST && r->query->kind != QUERY_SEARCH,
        .depth = depth,
        .more = r->more,
        .more_arg = r->more_arg,
    };
    size_t mark = r->out->len;
    int rc = render_thing(&r->render, thing, &options, r->out);
    return reading_rendered(r, rc, mark);
}

void reading_set_next(struct reading *r, struct span position)
{
    CHECK(position.len <= sizeof r->next);
    if (position.len > 0) {
        memcpy(r->next, position.data, position.len);
    }
    r->next_len = position.len;
}

int reading_bad_cursor(struct reading *r)
{
    return error_set(r->error, CLADE_ERR_INVALID, "cursor", "the cursor is not of this query");
}

/* --- Which revision, and where -----------------------------------------------------------------
 */

static void hash_ref(struct buffer *b, const struct ref *ref)
{
    varint_put(b, ref->form);
    varint_put(b, ref->kind);
    varint_put_text(b, ref->ns);
    varint_put_text(b, ref->name);
    varint_put_text(b, ref->alias);
    varint_put(b, ref->number);
}

static void hash_metrics(struct buffer *b, const struct query *q)
{
    varint_put(b, q->keys != NULL);
    varint_put(b, q->keys_len);
    for (size_t i = 0; i < q->keys_len; i++) {
        varint_put_text(b, q->keys[i]);
    }
    varint_put(b, q->on_form);
    hash_ref(b, &q->on);
    varint_put(b, (uint64_t)q->step_min);
    varint_put(b, (uint64_t)q->step_max);
    varint_put(b, q->time_min_ms);
    varint_put(b, q->time_max_ms);
    varint_put(b, q->sums_only);
    varint_put(b, q->sample);
}

static void hash_audit(struct buffer *b, const struct query *q)
{
    const struct change_filter *f = &q->changes;
    varint_put_text(b, f->under);
    varint_put(b, f->kinds);
    varint_put_text(b, f->prefix);
    varint_put_text(b, f->query);
    varint_put_text(b, f->principal);
    varint_put(b, q->has_start);
    varint_put(b, q->has_from_time);
    varint_put(b, q->from_time_us);
    varint_put(b, q->has_to_time);
    varint_put(b, q->to_time_us);
}

/* What a cursor belongs to: everything that decides which items there are, and in which order.
 * Limits and views may change from page to page. */
static int hash_query(const struct query *q, uint64_t ns, uint64_t *ret, struct error *error)
{
    struct buffer b;
    buffer_init(&b, QUERY_HASH_BYTES);
    varint_put(&b, q->kind);
    varint_put(&b, ns);
    varint_put(&b, q->state);
    varint_put(&b, q->targets_len);
    for (size_t i = 0; i < q->targets_len; i++) {
        varint_put_text(&b, q->targets[i].text);
    }
    varint_put(&b, q->list_kind);
    varint_put(&b, q->has_under);
    hash_ref(&b, &q->under);
    hash_ref(&b, &q->start);
    hash_ref(&b, &q->to);
    varint_put(&b, q->paths);
    varint_put(&b, q->downstream);
    varint_put(&b, q->labels != NULL);
    varint_put(&b, q->labels_len);
    for (size_t i = 0; i < q->labels_len; i++) {
        varint_put_text(&b, q->labels[i]);
    }
    varint_put(&b, q->kinds);
    varint_put(&b, q->depth_max);
    varint_put(&b, q->count_only);
    if (q->kind == QUERY_METRICS) {
        hash_metrics(&b, q);
    }
    if (q->kind == QUERY_AUDIT) {
        hash_audit(&b, q);
    }
    varint_put_text(&b, q->text);
    bool failed = b.failed;
    *ret = hash64(buffer_span(&b), 0);
    buffer_release(&b);
    return failed ? error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory") : 0;
}

static int use_cursor(struct reading *r, uint64_t *ret_hash)
{
    struct cursor cursor;
    int rc = cursor_decode(r->query->cursor, r->arena, &cursor, r->error);
    if (rc != 0) {
        return rc;
    }
    const struct clock *clock = r->budget->clock;
    if (clock != NULL && clock_wall_us(clock) > cursor.issued_us &&
        clock_wall_us(clock) - cursor.issued_us > CURSOR_LIFE_US) {
        return error_set(r->error, CLADE_ERR_COMPACTED, "cursor",
                         "the cursor is older than %d minutes; ask again from the start",
                         CLADE_MAX_CURSOR_MINUTES);
    }
    if (cursor.revision > r->meta.revision) {
        error_set(r->error, CLADE_ERR_RETRY, "cursor",
                  "this node has not reached revision %" PRIu64 " of the cursor yet",
                  cursor.revision);
        return CLADE_ERR_RETRY;
    }
    r->view->revision = cursor.revision;
    if (r->query->search != NULL && r->query->search->uses_metrics) {
        r->view->revision =
            r->meta.revision; /* metrics have no history: each page is of its time */
    }
    r->position = cursor.position;
    *ret_hash = cursor.query;
    return 0;
}

static int find_namespace(struct reading *r, struct span ns_default)
{
    struct span path = r->query->ns.len > 0 ? r->query->ns : ns_default;
    int rc = lookup_namespace(r->view, r->scratch, path, &r->ns);
    if (rc == 1) {
        return error_set(r->error, CLADE_ERR_NOT_FOUND, "ns", "there is no namespace \"%.*s\"",
                         SPAN_FMT(path));
    }
    r->render.ns = r->ns;
    return rc;
}

/* The namespace is that of the answer's revision, which a cursor gives; the cursor's hash of the
 * query has its id. */
static int prepare(struct reading *r, struct span ns_default, uint64_t *ret_hash)
{
    uint64_t asked = 0;
    bool goes_on = r->query->cursor.len > 0;
    r->view->revision = r->meta.revision;
    int rc = goes_on ? use_cursor(r, &asked)
                     : reading_revision(r, &r->query->as_of, "as_of", &r->view->revision);
    if (rc == 0) {
        rc = find_namespace(r, ns_default);
    }
    if (rc == 0) {
        rc = hash_query(r->query, r->ns, ret_hash, r->error);
    }
    return rc == 0 && goes_on && asked != *ret_hash ? reading_bad_cursor(r) : rc;
}

static int answer(struct reading *r)
{
    switch (r->query->kind) {
    case QUERY_GET:
        return read_get(r);
    case QUERY_LIST:
        return read_list(r);
    case QUERY_LINEAGE:
    case QUERY_IMPACT:
    case QUERY_PROVENANCE:
        return read_lineage(r);
    case QUERY_PATHS:
        return read_paths(r);
    case QUERY_DIFF:
        return read_diff(r);
    case QUERY_DESCRIBE:
        return read_describe(r);
    case QUERY_HISTORY:
        return read_history(r);
    case QUERY_METRICS:
        return read_metrics(r);
    case QUERY_AUDIT:
        return read_audit(r);
    case QUERY_WATCH:
        break; /* reader_watch */
    case QUERY_SEARCH:
    case QUERY_COUNT:
    case QUERY_EXPLAIN:
        return read_search(r);
    }
    return error_set(r->error, CLADE_ERR_UNSUPPORTED, NULL, "there is no such query");
}

static int finish(struct reading *r, uint64_t query_hash, struct reader_answer *ret)
{
    if (r->out->failed) {
        return error_set(r->error, CLADE_ERR_LIMIT, NULL, "the answer is too long");
    }
    const struct reader_budget *b = r->budget;
    if (b->cancelled != NULL && __atomic_load_n(b->cancelled, __ATOMIC_RELAXED)) {
        return error_set(r->error, CLADE_ERR_CANCELLED, NULL, "the caller cancelled it");
    }
    *ret = (struct reader_answer){
        .revision = r->view->revision,
        .complete = !r->full && !r->stopped,
        .has_read = r->query->kind == QUERY_AUDIT,
        .read = r->read_rows,
        .compacted = r->compacted,
    };
    if (ret->complete || r->next_len == 0) {
        return 0;
    }
    struct cursor cursor = {
        .query = query_hash,
        .revision = r->view->revision,
        .issued_us = b->clock != NULL ? clock_wall_us(b->clock) : 0,
        .position = span_make(r->next, r->next_len),
    };
    ret->cursor = cursor_encode(&cursor, r->arena);
    return ret->cursor.data != NULL ? 0
                                    : arena_failure(r->arena, CURSOR_POSITION_MAX * 2, r->error);
}

static bool walks(const struct query *q)
{
    return q->kind == QUERY_LINEAGE || q->kind == QUERY_IMPACT || q->kind == QUERY_PROVENANCE ||
           q->kind == QUERY_PATHS || q->kind == QUERY_DIFF ||
           (q->search != NULL && q->search->lineage_len > 0);
}

static void use_index(struct reading *r, struct store *store)
{
    if (walks(r->query)) {
        r->index = lineage_index_use(&r->view->env->lineage, r->meta.revision);
        atomic_fetch_add_explicit(r->index != NULL ? &store->walks_by_index
                                                   : &store->walks_by_tables,
                                  1, memory_order_relaxed);
    }
}

static void begin_effort(const struct reading *r)
{
    if (r->budget->effort != NULL) {
        *r->budget->effort = (struct reader_effort){.walked = false};
    }
}

/* What a search read it has told itself. */
static void end_effort(const struct reading *r)
{
    struct reader_effort *e = r->budget->effort;
    if (e != NULL) {
        e->walked = walks(r->query);
        e->by_index = r->index != NULL;
        e->met = r->met;
        e->items = r->items;
    }
}

int reader_query(struct reader *reader,
                 const struct query *query,
                 struct span ns_default,
                 const struct reader_budget *budget,
                 struct arena *arena,
                 struct buffer *out,
                 struct reader_answer *ret,
                 struct error *error)
{
    struct error unread;
    struct view *v = &reader->view;
    v->error = error != NULL ? error : &unread;
    int rc = begin(reader);
    if (rc != 0) {
        return rc;
    }
    note_begin(reader, budget->clock);
    arena_reset(&reader->scratch);
    struct reading r = {
        .view = v,
        .query = query,
        .budget = budget,
        .arena = arena,
        .scratch = &reader->scratch,
        .memo = {.arena = &reader->scratch},
        .walks = reader->walks,
        .render = {.view = v, .arena = &reader->scratch, .stop = reading_stop, .stop_arg = &r},
        .out = out,
        .out_begin = out->len,
        .error = v->error,
    };
    uint64_t query_hash = 0;
    v->memo = &r.memo;
    r.began_us = atomic_load_explicit(&reader->began_us, memory_order_relaxed);
    begin_effort(&r);
    rc = view_meta(v, &r.meta);
    rc = rc != 0 ? rc : floors_load(v);
    if (rc == 0) {
        use_index(&r, reader->store);
        rc = prepare(&r, ns_default, &query_hash);
    }
    if (rc == 0) {
        rc = answer(&r);
    }
    if (rc == 0) {
        rc = finish(&r, query_hash, ret);
    }
    v->memo = NULL;
    end(reader);
    end_effort(&r);
    rc = r.sliced ? 1 : rc;
    if (rc != 0) {
        out->len = r.out_begin;
        out->failed = false;
    }
    return rc;
}

int reader_watch(struct reader *reader,
                 struct watcher *watchers[],
                 size_t len,
                 const struct reader_budget *budget,
                 struct error *error)
{
    struct error unread;
    struct view *v = &reader->view;
    v->error = error != NULL ? error : &unread;
    int rc = begin(reader);
    if (rc != 0) {
        return rc;
    }
    note_begin(reader, budget->clock);
    arena_reset(&reader->scratch);
    struct reading r = {
        .view = v,
        .budget = budget,
        .scratch = &reader->scratch,
        .render = {.view = v, .arena = &reader->scratch, .stop = reading_stop, .stop_arg = &r},
        .error = v->error,
    };
    rc = view_meta(v, &r.meta);
    rc = rc != 0 ? rc : floors_load(v);
    if (rc == 0) {
        v->revision = r.meta.revision;
        rc = read_watch(&r, watchers, len);
    }
    end(reader);
    return rc;
}

int reader_has_namespace(struct reader *reader, struct span path, struct error *error)
{
    struct error unread;
    struct view *v = &reader->view;
    v->error = error != NULL ? error : &unread;
    int rc = begin(reader);
    if (rc != 0) {
        return rc;
    }
    arena_reset(&reader->scratch);
    struct meta meta;
    uint64_t ns;
    rc = view_meta(v, &meta);
    if (rc == 0) {
        v->revision = meta.revision;
        rc = lookup_namespace(v, &reader->scratch, path, &ns);
    }
    end(reader);
    return rc;
}

bool query_is_light(const struct query *q)
{
    if (q->kind == QUERY_DESCRIBE) {
        return q->as_of.form == AS_OF_NOW;
    }
    return q->kind == QUERY_GET && q->targets_len <= LIGHT_TARGETS_MAX && !q->with_edges &&
           !q->with_params && !q->with_metrics;
}
