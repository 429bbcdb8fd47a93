/* A node's life: open, serve, close. The main thread keeps signals, disk headroom and the copy of
 * the members' addresses. */
#include "node/node.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/bytes.h"
#include "consensus/archive.h"
#include "consensus/proposal.h"
#include "node/advice.h"
#include "node/apply_thread.h"
#include "node/copier.h"
#include "node/endpoint.h"
#include "node/exit_status.h"
#include "node/http.h"
#include "node/lineage_thread.h"
#include "node/raft_thread.h"
#include "node/reload.h"
#include "node/request_metrics.h"
#include "node/serve.h"
#include "node/space.h"
#include "node/store_open.h"
#include "node/supervisor.h"
#include "node/throttle.h"
#include "node/verifier.h"
#include "node/workers.h"

#define DRAIN_MS             5000U
#define DRAIN_MS_REMOVED     100U /* the log comes no more: what is in flight is never answered */
#define PAUSE_MS             1000
#define PAUSE_MS_BUSY        100 /* while members' addresses are not known, or room is near its end */
#define NEAR                 4   /* times what is wanted */
#define PAUSE_MS_COMPACTING  20 /* between two steps of compaction */
#define COMPACT_CHANGES      16 /* of the change log, a step, while there are writes: a millisecond */
#define COMPACT_CHANGES_IDLE 256
#define RETAIN_US            (UINT64_C(5) * 1000000)
#define PAUSE_MS_ERASING     32                       /* while rows are erased (storage/purge.h) */
#define UNKNOWN_US           (UINT64_C(10) * 1000000) /* after that they are not waited for */
#define REGISTER_RETRY_US    (UINT64_C(500) * 1000)

/* --- shared by all --- */

bool node_charge(struct node *n, uint64_t bytes)
{
    uint64_t before = atomic_fetch_add(&n->charged, bytes);
    if (before + bytes > config_now(n->config->memory_max)) {
        atomic_fetch_sub(&n->charged, bytes);
        return false;
    }
    return true;
}

void node_discharge(struct node *n, uint64_t bytes)
{
    atomic_fetch_sub(&n->charged, bytes);
}

static void say(const char *event, const struct error *error)
{
    const char *advice = advice_for(error->code);
    if (advice[0] == 0) {
        log_error(event, LOG_STR("class", clade_error_name(error->code)),
                  LOG_STR("where", error->where), LOG_STR("error", error->message));
        return;
    }
    log_error(event, LOG_STR("class", clade_error_name(error->code)),
              LOG_STR("where", error->where), LOG_STR("error", error->message),
              LOG_STR("do", advice));
}

void node_fatal(const struct error *error)
{
    say("the node stops", error);
    _exit(exit_status_of(error->code)); /* nothing that is in memory may be written any more */
}

void node_fatal_memory(const char *what)
{
    struct error error = {.code = 0};
    (void)error_set(&error, CLADE_ERR_NO_MEMORY, what, "out of memory");
    node_fatal(&error);
}

void node_removed(struct node *n, uint64_t index)
{
    if (atomic_exchange(&n->removed, true)) {
        return;
    }
    struct error error = {.code = 0};
    log_error("this node was removed from its cluster: it stops, and cannot come back under this "
              "id; its data folder can be deleted",
              LOG_U64("node", n->folder.identity.node), LOG_STR("data", n->folder.path));
    if (data_folder_mark_removed(&n->folder, index, clock_wall_us(n->clock), &error) < 0) {
        log_error("the data folder could not be marked", LOG_STR("error", error.message));
    }
}

/* --- addresses --- */

/* Resolves, and refuses what is not loopback while nobody is authenticated. */
static int check_address(const struct config *c,
                         const char *key,
                         const char *text,
                         struct sockaddr_storage ret[ENDPOINTS_MAX],
                         struct error *error)
{
    int n = endpoint_resolve(text, ret, error);
    if (n < 0) {
        (void)error_wrap(error, "%s", key);
        return n;
    }
    for (int i = 0; i < n; i++) {
        if (!endpoint_is_loopback(&ret[i]) && !c->allow_unauthenticated) {
            return error_set(error, CLADE_ERR_INVALID, text,
                             "%s is not a loopback address, and there is no authentication yet: "
                             "anybody who reaches it can read and write everything. Set "
                             "allow_unauthenticated: true to allow that",
                             key);
        }
    }
    return n;
}

int node_check_addresses(const struct config *config, struct error *error)
{
    struct sockaddr_storage addresses[ENDPOINTS_MAX];
    int r = check_address(config, "listen", config->listen, addresses, error);
    if (r >= 0 && config->peer_listen[0] != 0) {
        r = check_address(config, "peer_listen", config->peer_listen, addresses, error);
    }
    if (r >= 0 && config->metrics_listen[0] != 0) {
        r = check_address(config, "metrics_listen", config->metrics_listen, addresses, error);
    }
    return r < 0 ? r : 0;
}

static void choose_addresses(struct node *n)
{
    const struct config *c = n->config;
    (void)snprintf(n->peer_address, sizeof n->peer_address, "%s",
                   identity_address(&n->folder.identity));
    (void)snprintf(n->client_address, sizeof n->client_address, "%s",
                   c->advertise[0] != 0 ? c->advertise : c->listen);
}

/* --- opening --- */

static int open_store(struct node *n, struct error *error)
{
    const struct config *c = n->config;
    const struct store_options options = {.path = n->folder.store_path,
                                          .map_bytes = c->map_bytes,
                                          .lineage_bytes = c->lineage_bytes,
                                          /* serving threads with a look at the members each, query
                                           * workers, main, apply, the lineage index, checks */
                                          .readers_max =
                                              2 * n->serves_len + (unsigned)c->readers + 17};
    int r = store_open_checked(n, &options, error);
    if (r < 0) {
        (void)error_wrap(error, "opening the store");
        return r;
    }
    /* What a crash left in the page cache alone must not count as durable. */
    if ((r = store_sync(n->store, error)) < 0) {
        return r;
    }
    struct store_position p = store_position(n->store);
    atomic_store(&n->published_revision, p.revision);
    atomic_store(&n->published_index, p.applied);
    return members_refresh(&n->members, n->store, error);
}

static int open_archive(struct node *n, struct error *error)
{
    char path[CONFIG_PATH_BYTES + 16];
    (void)snprintf(path, sizeof path, "%s/archive", n->folder.path);
    const struct archive_options options = {.path = path,
                                            .cluster = n->folder.identity.cluster,
                                            .clock = n->clock,
                                            .bytes_max = n->config->archive_bytes,
                                            .age_max_us = n->config->archive_age_s * 1000000};
    return archive_open(&options, &n->archive, error);
}

static int open_serves(struct node *n, struct error *error)
{
    struct sockaddr_storage addresses[ENDPOINTS_MAX];
    int count = check_address(n->config, "listen", n->config->listen, addresses, error);
    n->serves = calloc(n->serves_len, sizeof *n->serves);
    if (count < 0 || n->serves == NULL) {
        return count < 0 ? count : error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    for (unsigned i = 0; i < n->serves_len; i++) {
        int r = serve_new(n, i, &n->serves[i], error);
        if (r < 0) {
            return r;
        }
    }
    return serve_listen(n->serves[0], addresses, (unsigned)count, error);
}

/* Nobody runs before everybody whom it may call exists. */
static int open_all(struct node *n, struct error *error)
{
    struct sockaddr_storage addresses[ENDPOINTS_MAX];
    const struct config *c = n->config;
    const char *peer = c->peer_listen[0] != 0 ? c->peer_listen : n->peer_address;
    int r = check_address(c, "peer_listen", peer, addresses, error);
    if (r < 0 || (r = open_store(n, error)) < 0 || (r = open_archive(n, error)) < 0) {
        return r;
    }
    n->queue = apply_queue_new();
    n->throttle = throttle_new();
    n->namespaces = namespace_places_new();
    if (n->queue == NULL || n->throttle == NULL || n->namespaces == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    if ((r = verifier_new(n, &n->verifier, error)) < 0 ||
        (r = apply_thread_new(n, &n->apply, error)) < 0 ||
        (r = copier_new(n, &n->copier, error)) < 0 ||
        (r = raft_thread_new(n, &n->raft, error)) < 0 ||
        (r = workers_new(n, (unsigned)c->readers, &n->workers, error)) < 0 ||
        (r = open_serves(n, error)) < 0) {
        return r;
    }
    return 0;
}

/* First of all: a long start can be watched. */
static int start_http(struct node *n, struct error *error)
{
    struct sockaddr_storage addresses[ENDPOINTS_MAX];
    const char *listen = n->config->metrics_listen;
    if (listen[0] == 0) {
        return 0;
    }
    int count = check_address(n->config, "metrics_listen", listen, addresses, error);
    return count < 0 ? count : http_start(n, addresses, (unsigned)count, &n->http, error);
}

static int start_all(struct node *n, struct error *error)
{
    int r = start_http(n, error);
    if (r < 0) {
        return r;
    }
    if ((n->config->lineage_bytes != 0 &&
         (r = lineage_thread_start(n->store, &n->lineage, error)) < 0) ||
        (r = verifier_start(n->verifier, error)) < 0 ||
        (r = apply_thread_start(n->apply, error)) < 0 || (r = copier_start(n->copier, error)) < 0 ||
        (r = raft_thread_start(n->raft, error)) < 0 || (r = workers_start(n->workers, error)) < 0) {
        return r;
    }
    for (unsigned i = 0; i < n->serves_len; i++) {
        if ((r = serve_start(n->serves[i], error)) < 0) {
            return r;
        }
    }
    return 0;
}

static void log_start(const struct node *n)
{
    const struct config *c = n->config;
    char cluster[33];
    hash128_format(n->folder.identity.cluster, cluster);
    log_info("claded starts", LOG_STR("version", CLADE_VERSION), LOG_STR("cluster", cluster),
             LOG_U64("node", n->folder.identity.node),
             LOG_U64("members", n->folder.identity.members_len), LOG_STR("data", n->folder.path),
             LOG_STR("listen", c->listen), LOG_STR("advertise", n->client_address),
             LOG_STR("peer_listen", c->peer_listen[0] != 0 ? c->peer_listen : n->peer_address),
             LOG_STR("metrics_listen", c->metrics_listen), LOG_U64("threads", n->serves_len),
             LOG_U64("readers", c->readers),
             LOG_U64("election_timeout_ms", c->election_timeout_ms));
    if (!c->log_guard) {
        log_warning(
            "the log is not guarded: a node that lost what it acknowledged would not notice "
            "(log_guard)");
    }
    if (c->allow_unauthenticated) {
        log_warning("nobody is authenticated: whoever reaches the addresses can read and write "
                    "everything (allow_unauthenticated)");
    }
}

/* --- what the main thread does meanwhile --- */

struct housekeeping {
    struct node *node;
    struct space space;
    struct room room; /* that the raft loop was told of last */
    bool room_is_near;
    uint64_t compacted_index; /* published when compaction was last asked for */
    uint64_t retain_us;       /* when to look at retention again */
    size_t retain_skip;       /* namespaces that had their turn already */
    uint64_t register_us;     /* when to propose our client address (again) */
    uint64_t members_version;
    uint64_t changed_us; /* when that version was seen first */
    uint64_t counter;
};

static void propose_own(struct housekeeping *h, enum item_kind kind, struct span command)
{
    struct node *n = h->node;
    const struct item item = {.kind = kind,
                              .id = {.node = n->folder.identity.node,
                                     .boot = n->boot,
                                     .counter = node_number(NODE_OWN, ++h->counter)},
                              .command = command};
    struct proposal *p = proposal_new(&item, true, node_now(n) + REGISTER_RETRY_US);
    if (p != NULL) {
        (void)raft_thread_propose(n->raft, p);
        proposal_unref(p);
    }
}

/* A member tells the others where its clients find it, through the log. */
static void register_address(struct housekeeping *h)
{
    struct node *n = h->node;
    uint8_t command[8 + CONFIG_ADDRESS_BYTES];
    size_t len = strlen(n->client_address);
    put_u64le(command, n->folder.identity.node);
    memcpy(command + 8, n->client_address, len);
    propose_own(h, ITEM_MEMBER, span_make(command, 8 + len));
}

/* What waits to be erased goes on with each entry: here is one, where nothing else may be written.
 * Whether there is more. */
static bool keep_erasing(struct housekeeping *h)
{
    struct node *n = h->node;
    bool more = atomic_load(&n->leader) == n->folder.identity.node && store_has_work(n->store);
    if (more) {
        propose_own(h, ITEM_TICK, (struct span){0});
    }
    return more;
}

/* The leader lets floors follow the retention of their namespaces: by the log, as of the time that
 * the entry gets there. Its own clock only says when it is worth one. */
static void keep_retention(struct housekeeping *h)
{
    struct node *n = h->node;
    uint64_t ids[RETAIN_NAMESPACES_MAX];
    uint8_t command[sizeof ids];
    size_t len = 0;
    struct error error = {.code = 0};
    if (atomic_load(&n->leader) != n->folder.identity.node || node_now(n) < h->retain_us) {
        return;
    }
    h->retain_us = node_now(n) + RETAIN_US;
    if (store_past_retention(n->store, clock_wall_us(n->clock), h->retain_skip, ids,
                             RETAIN_NAMESPACES_MAX, &len, &error) < 0) {
        node_fatal(&error);
    }
    /* Those that were named may be due again before the others have been. */
    h->retain_skip = len == RETAIN_NAMESPACES_MAX ? h->retain_skip + len : 0;
    for (size_t i = 0; i < len; i++) {
        put_u64le(command + 8 * i, ids[i]);
    }
    if (len > 0) {
        propose_own(h, ITEM_RETAIN, span_make(command, 8 * len));
    }
}

/* What is below the floors goes on every node by itself: a little with what is written anyway, more
 * where nothing is. Whether there is more. */
static bool keep_compacting(struct housekeeping *h)
{
    struct node *n = h->node;
    bool more = store_has_past(n->store);
    uint64_t index = atomic_load(&n->published_index);
    bool idle = index == h->compacted_index && !apply_queue_waits(n->queue);
    h->compacted_index = index;
    if (more) {
        apply_queue_compact(n->queue, idle ? COMPACT_CHANGES_IDLE : COMPACT_CHANGES);
    }
    return more;
}

/* Whether all is known that other nodes will tell soon: it is worth a look at short intervals. A
 * node that waits to be taken into the cluster, or that a member is long away, is no reason. */
static bool keep_members(struct housekeeping *h)
{
    struct node *n = h->node;
    struct error error = {.code = 0};
    char ours[MEMBER_ADDRESS_BYTES];
    if (members_refresh(&n->members, n->store, &error) < 0 ||
        throttle_refresh(n->throttle, n->store, &error) < 0) {
        node_fatal(&error);
    }
    raft_thread_look_at_members(n->raft);
    members_find(&n->members, n->folder.identity.node, ours);
    bool registered = strcmp(ours, n->client_address) == 0;
    /* A spare has not got its own record yet, and no clients. */
    if (!registered && members_has(&n->members, n->folder.identity.node) &&
        atomic_load(&n->leader) != 0 && node_now(n) >= h->register_us) {
        h->register_us = node_now(n) + REGISTER_RETRY_US;
        register_address(h);
    }
    uint64_t version = members_version(&n->members);
    if (version != h->members_version) {
        h->members_version = version;
        h->changed_us = node_now(n);
    }
    return (registered && members_all_known(&n->members)) ||
           node_now(n) - h->changed_us > UNKNOWN_US;
}

uint64_t node_headroom(const struct node *n)
{
    uint64_t available;
    uint64_t total = 0;
    (void)data_folder_space(&n->folder, &available, &total);
    uint64_t wanted = config_now(n->config->headroom_bytes);
    return wanted > total / 100 ? wanted : total / 100;
}

static void say_room(const struct node *n, const struct room *was, const struct room *is)
{
    const char *of = is->kind == ROOM_OF_DISK ? "the disk" : "the store's map";
    if (is->level == was->level) {
        return;
    }
    if (is->level == ROOM_ENOUGH) {
        log_info("there is room again: writes are taken", LOG_STR("of", of),
                 LOG_U64("left", is->left_bytes));
    } else {
        log_error(is->kind == ROOM_OF_MAP
                      ? "the store's map is nearly full: writes are refused (runbook: disk full)"
                      : "the disk is nearly full: writes are refused (runbook: disk full)",
                  LOG_STR("makes_room", is->level == ROOM_LOW ? "is taken" : "is refused too"),
                  LOG_U64("left", is->left_bytes), LOG_U64("wanted", is->wanted_bytes),
                  LOG_STR("data", n->folder.path));
    }
}

/* Whether there is so little room that it is worth another look soon: a fast writer takes what
 * remains within a second. */
static bool keep_space(struct housekeeping *h)
{
    struct node *n = h->node;
    struct space *s = &h->space;
    const struct space was = *s;
    struct store_figures store;
    uint64_t available;
    uint64_t total;
    if (data_folder_space(&n->folder, &available, &total) < 0 ||
        store_look(n->store, &store, NULL) < 0) {
        return h->room_is_near; /* of a broken disk others will tell */
    }
    uint64_t wanted = node_headroom(n);
    space_look(s, &(struct space_figures){.disk_free_bytes = available,
                                          .disk_wanted_bytes = wanted,
                                          .map_bytes = store.map_bytes,
                                          .map_used_bytes = store.used_bytes,
                                          .map_reusable_bytes = store.reusable_bytes,
                                          .applying_waits = atomic_load(&n->applied_full) != 0});
    metrics_look(n, &store, available, total, s);
    say_room(n, &was.disk, &s->disk);
    say_room(n, &was.map, &s->map);
    atomic_store(&n->disk_level, s->disk.level);
    atomic_store(&n->map_level, s->map.level);
    struct room room;
    space_room(s, &room);
    bool is_news = room.level != ROOM_ENOUGH || h->room.level != ROOM_ENOUGH;
    if (is_news && raft_thread_room(n->raft, &room)) {
        h->room = room;
    }
    return room.level != ROOM_ENOUGH || available < NEAR * wanted ||
           s->map.left_bytes < NEAR * s->map.wanted_bytes;
}

/* Returns why the node ends. */
static const char *serve_until_told(struct node *n, struct supervisor *s, const sigset_t *signals)
{
    struct housekeeping h = {.node = n};
    uint64_t look_us = 0;
    while (!atomic_load(&n->removed)) {
        atomic_store(&n->main_beat_us, node_now(n));
        bool known = keep_members(&h);
        bool erasing = keep_erasing(&h);
        bool compacting = keep_compacting(&h);
        keep_retention(&h);
        if (node_now(n) >= look_us) {
            (void)store_close_old(n->store); /* what a swap left to readers */
            lineage_thread_look(n->lineage);
            h.room_is_near = keep_space(&h);
            look_us = node_now(n) + (h.room_is_near ? PAUSE_MS_BUSY : PAUSE_MS) * UINT64_C(1000);
        }
        supervisor_look(s);
        int ms = compacting                 ? PAUSE_MS_COMPACTING
                 : erasing                  ? PAUSE_MS_ERASING
                 : known && !h.room_is_near ? PAUSE_MS
                                            : PAUSE_MS_BUSY;
        ms = supervisor_pause_ms(s, ms);
        const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
        int sig = sigtimedwait(signals, NULL, &pause);
        if (sig == SIGHUP) {
            supervisor_reloading(s);
            reload(n);
            supervisor_reloaded(s);
        } else if (sig > 0) {
            return sig == SIGTERM ? "SIGTERM" : "SIGINT";
        }
    }
    return "removed";
}

/* --- closing --- */

static void on_second_signal(int sig)
{
    _exit(EXIT_INTERRUPTED);
}

static void listen_for_second(sigset_t *signals)
{
    sigdelset(signals, SIGHUP);
    const struct sigaction action = {.sa_handler = on_second_signal};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

static int close_all(struct node *n)
{
    atomic_store(&n->phase, NODE_STOPPING);
    serve_stop_accepting(n->serves[0]);
    bool moved = raft_thread_hand_over(n->raft, 2 * (unsigned)n->config->election_timeout_ms);
    if (moved) {
        log_info("leadership was handed over");
    }
    for (unsigned i = 0; i < n->serves_len; i++) {
        serve_drain(n->serves[i], atomic_load(&n->removed) ? DRAIN_MS_REMOVED : DRAIN_MS);
    }
    for (unsigned i = 0; i < n->serves_len; i++) {
        serve_join(n->serves[i]);
    }
    http_stop(n->http);
    workers_stop(n->workers);
    copier_stop(n->copier);
    raft_thread_stop(n->raft);
    apply_thread_stop(n->apply);
    lineage_thread_stop(n->lineage);
    verifier_stop(n->verifier);
    struct error error = {.code = 0};
    int r = store_sync(n->store, &error);
    if (r < 0) {
        log_error("syncing the store failed", LOG_STR("error", error.message));
    }
    for (unsigned i = 0; i < n->serves_len; i++) {
        serve_free(n->serves[i]);
    }
    free(n->serves);
    workers_free(n->workers);
    apply_thread_free(n->apply);
    raft_thread_free(n->raft);
    copier_free(n->copier);
    verifier_free(n->verifier);
    apply_queue_free(n->queue);
    throttle_free(n->throttle);
    namespace_places_free(n->namespaces);
    archive_close(n->archive);
    store_close(n->store);
    return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* --- all of it --- */

static int run_opened(struct node *n, struct supervisor *s, sigset_t *signals)
{
    struct error error = {.code = 0};
    if (open_all(n, &error) < 0 || start_all(n, &error) < 0) {
        /* Threads may run already: the process ends without unwinding them. */
        node_fatal(&error);
    }
    log_info("claded serves", LOG_U64("revision", atomic_load(&n->published_revision)),
             LOG_U64("index", atomic_load(&n->published_index)));
    atomic_store(&n->phase, NODE_SERVING);
    reload_write_running(n);
    supervisor_ready(s);
    const char *reason = serve_until_told(n, s, signals);
    supervisor_stopping(s, reason);
    log_info("claded stops", LOG_STR("reason", reason));
    listen_for_second(signals);
    int status = close_all(n);
    log_info("claded stopped");
    return status;
}

static void block_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, ret, NULL);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

static unsigned count_serves(const struct config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (config->threads != 0) {
        return (unsigned)config->threads;
    }
    return cores < 1 ? 1 : cores > 64 ? 64 : (unsigned)cores;
}

static int cannot_start(const struct error *error)
{
    say("claded cannot start", error);
    return exit_status_of(error->code);
}

int node_run(struct config *config)
{
    struct node *n = calloc(1, sizeof *n);
    struct error error = {.code = 0};
    struct supervisor supervisor = {.notify.fd = -1};
    sigset_t signals;
    block_signals(&signals);
    if (n == NULL || getrandom(&n->boot, sizeof n->boot, 0) != sizeof n->boot) {
        log_error("claded cannot start: no memory, or no randomness");
        free(n);
        return EXIT_FAILED;
    }
    n->config = config;
    n->clock = clock_system();
    n->started_wall_us = clock_wall_us(n->clock);
    n->serves_len = count_serves(config);
    members_init(&n->members);
    pthread_mutex_init(&n->look.mutex, NULL);
    int status;
    if (supervisor_open(&supervisor, n, &error) < 0 ||
        data_folder_open(config->data, config->cluster, config->node, &n->folder, &error) < 0) {
        status = cannot_start(&error);
    } else {
        choose_addresses(n);
        log_start(n);
        status = run_opened(n, &supervisor, &signals);
        data_folder_close(&n->folder);
    }
    supervisor_close(&supervisor);
    members_release(&n->members);
    free(n);
    return status;
}
