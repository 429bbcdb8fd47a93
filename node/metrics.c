#include "node/metrics.h"

#include <stdlib.h>

#include "consensus/archive.h"
#include "node/alarms.h"
#include "node/copier.h"
#include "node/lineage_thread.h"
#include "node/metrics_page.h"
#include "node/process.h"
#include "node/raft_wait.h"
#include "node/request_metrics.h"
#include "node/serve.h"
#include "node/workers.h"

#define RAFT_WAIT_MS 500
#define LABEL_BYTES  32

/* clang-format off */
#define FAMILIES(X)                                                                                \
    X(INFO, "clade_info", GAUGE, "Always 1; which cluster, node and version this is")              \
    X(ALARM, "clade_alarm", GAUGE, "1 while that alarm is on")                                     \
    X(RAFT_ANSWERS, "clade_raft_answers", GAUGE,                                                   \
      "1 when the raft loop answered within half a second; without, what it knows is left out")    \
    X(HAS_LEADER, "clade_raft_has_leader", GAUGE, "1 when this node knows a leader")               \
    X(IS_LEADER, "clade_raft_is_leader", GAUGE, "1 when this node leads")                          \
    X(LEADER_CHANGES, "clade_raft_leader_changes_total", COUNTER,                                  \
      "How often another leader was seen since the start")                                         \
    X(TERM, "clade_raft_term", GAUGE, "The term of Raft")                                          \
    X(LAST_INDEX, "clade_raft_last_index", GAUGE, "Index of the last entry of the log")            \
    X(COMMIT_INDEX, "clade_raft_commit_index", GAUGE, "Index up to which the log is committed")    \
    X(QUEUED_INDEX, "clade_raft_queued_index", GAUGE,                                              \
      "Index of the newest committed entry that was handed to apply")                              \
    X(APPLIED_INDEX, "clade_applied_index", GAUGE, "Index of the last entry in the store")         \
    X(PUBLISHED_INDEX, "clade_published_index", GAUGE, "Index of the last entry that readers see") \
    X(LAG, "clade_lag_entries", GAUGE, "Entries that are committed and not seen by readers here")  \
    X(REVISION, "clade_revision", GAUGE, "The newest revision that readers see")                   \
    X(LOG_BYTES, "clade_raft_log_bytes", GAUGE, "Bytes of the log in memory, and about as much on disk") \
    X(SNAPSHOTS, "clade_raft_snapshots_total", COUNTER, "Snapshots taken since the start")         \
    X(SNAPSHOT_INDEX, "clade_raft_snapshot_index", GAUGE, "Index of the newest snapshot; 0 = none") \
    X(ARCHIVE_BYTES, "clade_archive_bytes", GAUGE, "Bytes of applied entries that are kept for members that are behind") \
    X(MEMBER, "clade_member_info", GAUGE, "Always 1; each member, and its role")                   \
    X(MEMBER_CONNECTED, "clade_member_connected", GAUGE, "1 when there is a connection to that member") \
    X(MEMBER_LAG, "clade_member_lag_entries", GAUGE,                                               \
      "Entries that are committed here and not seen by readers of that member, as it said last; of those heard of in the last 5 s") \
    X(MEMBER_CLOCK, "clade_member_clock_offset_seconds", GAUGE,                                    \
      "The wall clock of that member minus ours, about; of those heard of in the last 5 s")        \
    X(PENDING, "clade_proposals_pending", GAUGE, "Commands that wait to be proposed")              \
    X(UNPUBLISHED_BYTES, "clade_proposals_unpublished_bytes", GAUGE,                               \
      "Bytes of commands that were proposed and are not seen by readers yet")                      \
    X(REFUSED, "clade_proposals_failed_total", COUNTER,                                            \
      "Commands that were refused before they were in the log, by class of error")                 \
    X(COMMANDS, "clade_commands_applied_total", COUNTER, "Commands that were applied, refused ones included") \
    X(APPEND_SECONDS, "clade_raft_log_append_duration_seconds", HISTOGRAM,                         \
      "How long an append to the log took until it was durable")                                   \
    X(APPLY_SECONDS, "clade_apply_batch_duration_seconds", HISTOGRAM,                              \
      "How long a batch of entries took to be applied and committed in the store")                 \
    X(COMMIT_SECONDS, "clade_store_commit_duration_seconds", HISTOGRAM,                            \
      "How long the commit of such a batch took, on the disk")                                     \
    X(STORE_FULL, "clade_store_full_total", COUNTER, "How often applying found no room and tried again") \
    X(STORE_DAMAGE, "clade_store_damage_found_total", COUNTER,                                     \
      "Scans of the store (clade cluster verify) that found damage")                               \
    X(APPLY_QUEUE, "clade_apply_queue_bytes", GAUGE, "Bytes of committed entries that wait to be applied") \
    X(QUERY_QUEUE, "clade_query_queue_length", GAUGE, "Long queries that wait for a worker")       \
    X(CONNECTIONS, "clade_connections", GAUGE, "Connections of clients")                           \
    X(CONNECTIONS_MAX, "clade_connections_max", GAUGE, "The setting connections_max")              \
    X(MEMORY, "clade_request_memory_bytes", GAUGE, "Memory of connections, requests and answers")  \
    X(MEMORY_MAX, "clade_request_memory_max_bytes", GAUGE, "The setting memory_max")               \
    X(IN_FLIGHT, "clade_requests_in_flight", GAUGE, "Requests that were not answered yet, watches included") \
    X(WATCHES, "clade_watches", GAUGE, "Watches that are open")                                    \
    X(EVENTS, "clade_watch_events_total", COUNTER, "Transactions that watches were told of")       \
    X(SESSIONS, "clade_sessions", GAUGE, "Sessions of clients that are open in the store")         \
    X(REQUESTS, "clade_requests_total", COUNTER,                                                   \
      "Requests that ended, by method and outcome: OK, a class of error, or DROPPED with their connection") \
    X(REQUEST_SECONDS, "clade_request_duration_seconds", HISTOGRAM,                                \
      "How long requests took until they were answered, by method; without watches and changes of members") \
    X(NAMESPACE_SECONDS, "clade_namespace_request_duration_seconds", HISTOGRAM,                    \
      "The same of queries and transactions, by namespace; those beyond the first 32 that were used are other=true") \
    X(SLOW, "clade_slow_requests_total", COUNTER, "Requests that took longer than slow_request_ms") \
    X(STORE_USED, "clade_store_used_bytes", GAUGE, "Bytes of the store's file")                    \
    X(STORE_FREE, "clade_store_free_bytes", GAUGE, "Of these, what later commits will use again")  \
    X(STORE_MAP, "clade_store_map_bytes", GAUGE, "The most that the store's file can grow to")     \
    X(MAP_HEADROOM, "clade_store_headroom_bytes", GAUGE,                                           \
      "With less of the map left to write to than this, writes are refused")                       \
    X(READERS, "clade_store_readers", GAUGE, "Read transactions that are open: queries, copies, looks") \
    X(READERS_MAX, "clade_store_readers_max", GAUGE, "The most that can be open")                  \
    X(READER_COMMITS, "clade_store_oldest_reader_commits", GAUGE,                                  \
      "Commits since the oldest of them began; pages freed since then cannot be used again")       \
    X(QUERY_SECONDS, "clade_store_oldest_query_seconds", GAUGE, "How long the oldest query that runs has been at it") \
    X(DISK_FREE, "clade_disk_free_bytes", GAUGE, "Free bytes of the disk of the data folder")      \
    X(DISK_SIZE, "clade_disk_size_bytes", GAUGE, "Bytes of that disk")                             \
    X(HEADROOM, "clade_disk_headroom_bytes", GAUGE, "With less free than this, writes are refused") \
    X(COPY_ACTIVE, "clade_catch_up_active", GAUGE, "1 while this node fetches from others what the log no longer has") \
    X(COPY_BYTES, "clade_catch_up_copy_bytes", GAUGE, "Bytes of a copy of the store received so far") \
    X(COPY_SIZE, "clade_catch_up_copy_size_bytes", GAUGE, "Bytes of that copy; 0 = none is under way") \
    X(COPIES, "clade_catch_up_copies_total", COUNTER, "Copies that became this node's store since the start") \
    X(COPY_REFUSED, "clade_catch_up_refused_total", COUNTER, "Answers of other nodes that were wrong") \
    X(SUPPLIED, "clade_supplied_bytes_total", COUNTER, "Bytes of archive and copies given to members that catch up") \
    X(SUPPLY_COPIES, "clade_supply_copies_open", GAUGE, "Copies of this store that members are reading") \
    X(PEER_REFUSED, "clade_peer_refused_total", COUNTER, "What was refused of other nodes, by cause") \
    X(LINEAGE_STATE, "clade_lineage_index_state", GAUGE, "1 for the state that the lineage index is in") \
    X(LINEAGE_EDGES, "clade_lineage_index_edges", GAUGE, "Edges in the lineage index, ended ones included") \
    X(LINEAGE_BYTES, "clade_lineage_index_bytes", GAUGE, "Memory of the lineage index")            \
    X(LINEAGE_QUERIES, "clade_lineage_queries_total", COUNTER, "Queries that walked edges, by the index or by the tables on disk") \
    X(CPU, "process_cpu_seconds_total", COUNTER, "Processor time of user and system")              \
    X(RESIDENT, "process_resident_memory_bytes", GAUGE, "Resident memory")                         \
    X(VIRTUAL, "process_virtual_memory_bytes", GAUGE, "Virtual memory; the map of the store is in it") \
    X(FDS, "process_open_fds", GAUGE, "Open file descriptors")                                     \
    X(FDS_MAX, "process_max_fds", GAUGE, "The most that can be open")                              \
    X(START, "process_start_time_seconds", GAUGE, "When the process started, in seconds since 1970")
/* clang-format on */

#define FAMILY_ID(id, name_, type_, help_)  FAMILY_##id,
#define FAMILY_ROW(id, name_, type_, help_) {.name = name_, .type = METRIC_##type_, .help = help_},

enum family { FAMILIES(FAMILY_ID) FAMILY_COUNT };

static const struct metric_family families[] = {FAMILIES(FAMILY_ROW)};

/* What is gathered before it is written. */
struct look {
    struct node *n;
    struct metrics_page *page;
    bool answered;
    struct raft_view view;
    struct request_metrics requests; /* of all serving threads */
};

static void begin(struct look *l, enum family family)
{
    metrics_page_begin(l->page, &families[family]);
}

static void put_one(struct look *l, enum family family, uint64_t value)
{
    begin(l, family);
    metrics_put(l->page, NULL, value);
}

static void put_seconds(struct look *l, enum family family, int64_t us)
{
    begin(l, family);
    metrics_put_millionths(l->page, NULL, us);
}

/* Of what the raft loop says; without its answer the family has no sample. */
static void put_raft(struct look *l, enum family family, uint64_t value)
{
    begin(l, family);
    if (l->answered) {
        metrics_put(l->page, NULL, value);
    }
}

static void put_for(struct look *l, const char *label, const char *value, uint64_t number)
{
    const struct metric_label labels[] = {{label, span_of(value)}, {.name = NULL}};
    metrics_put(l->page, labels, number);
}

static void put_histogram(struct look *l,
                          enum family family,
                          const struct metric_histogram *histogram)
{
    begin(l, family);
    metrics_put_histogram(l->page, NULL, histogram);
}

/* --- the node, raft, members --- */

static void write_node(struct look *l)
{
    const struct identity *identity = &l->n->folder.identity;
    char cluster[33];
    char node[LABEL_BYTES];
    hash128_format(identity->cluster, cluster);
    (void)snprintf(node, sizeof node, "%llu", (unsigned long long)identity->node);
    const struct metric_label labels[] = {{"cluster", span_of(cluster)},
                                          {"node", span_of(node)},
                                          {"version", span_of(CLADE_VERSION)},
                                          {.name = NULL}};
    begin(l, FAMILY_INFO);
    metrics_put(l->page, labels, 1);
    begin(l, FAMILY_ALARM);
    for (unsigned i = 0; i < ALARM_COUNT; i++) {
        const struct alarm_row *row = alarm_row((enum alarm)i);
        if (l->answered || !row->is_of_raft) {
            put_for(l, "alarm", row->name, alarm_is_on((enum alarm)i, l->n, &l->view.status));
        }
    }
}

static uint64_t behind(uint64_t commit, uint64_t published)
{
    return commit > published ? commit - published : 0;
}

static void write_raft(struct look *l)
{
    struct node *n = l->n;
    const struct group_status *s = &l->view.status;
    uint64_t published = atomic_load(&n->published_index);
    put_one(l, FAMILY_RAFT_ANSWERS, l->answered);
    put_one(l, FAMILY_HAS_LEADER, atomic_load(&n->leader) != 0);
    put_one(l, FAMILY_IS_LEADER, atomic_load(&n->leader) == n->folder.identity.node);
    put_one(l, FAMILY_LEADER_CHANGES, metric_read(&n->metrics.leader_changes));
    put_one(l, FAMILY_TERM, atomic_load(&n->term));
    put_raft(l, FAMILY_LAST_INDEX, s->last_index);
    put_raft(l, FAMILY_COMMIT_INDEX, s->commit);
    put_raft(l, FAMILY_QUEUED_INDEX, s->queued);
    put_one(l, FAMILY_APPLIED_INDEX, store_position(n->store).applied);
    put_one(l, FAMILY_PUBLISHED_INDEX, published);
    put_raft(l, FAMILY_LAG, behind(s->commit, published));
    put_one(l, FAMILY_REVISION, atomic_load(&n->published_revision));
    put_raft(l, FAMILY_LOG_BYTES, s->log_bytes);
    put_raft(l, FAMILY_SNAPSHOTS, s->snapshots);
    put_raft(l, FAMILY_SNAPSHOT_INDEX, s->snapshot_index);
    put_one(l, FAMILY_ARCHIVE_BYTES, archive_bytes(n->archive));
}

/* One family over the members: `put` writes the sample of one. */
static void for_members(struct look *l,
                        enum family family,
                        void (*put)(struct look *l,
                                    const struct group_member_status *m,
                                    const struct metric_label *labels))
{
    static const char *const roles[] = {
        [GROUP_VOTER] = "voter", [GROUP_STANDBY] = "standby", [GROUP_SPARE] = "spare"};
    begin(l, family);
    for (size_t i = 0; i < l->view.status.members_len && l->answered; i++) {
        const struct group_member_status *m = &l->view.status.members[i];
        char id[LABEL_BYTES];
        (void)snprintf(id, sizeof id, "%llu", (unsigned long long)m->member.id);
        const struct metric_label labels[] = {
            {"member", span_of(id)},
            {family == FAMILY_MEMBER ? "role" : NULL, span_of(roles[m->member.role])},
            {.name = NULL}};
        put(l, m, labels);
    }
}

static void put_member(struct look *l,
                       const struct group_member_status *m,
                       const struct metric_label *labels)
{
    metrics_put(l->page, labels, 1);
}

static void put_connected(struct look *l,
                          const struct group_member_status *m,
                          const struct metric_label *labels)
{
    metrics_put(l->page, labels, m->connected);
}

static void put_lag(struct look *l,
                    const struct group_member_status *m,
                    const struct metric_label *labels)
{
    if (m->heard) {
        metrics_put(l->page, labels, behind(l->view.status.commit, m->published));
    }
}

static void put_clock(struct look *l,
                      const struct group_member_status *m,
                      const struct metric_label *labels)
{
    if (m->heard) {
        metrics_put_millionths(l->page, labels, m->clock_offset_us);
    }
}

static void write_members(struct look *l)
{
    for_members(l, FAMILY_MEMBER, put_member);
    for_members(l, FAMILY_MEMBER_CONNECTED, put_connected);
    for_members(l, FAMILY_MEMBER_LAG, put_lag);
    for_members(l, FAMILY_MEMBER_CLOCK, put_clock);
}

/* --- writes --- */

static void write_writes(struct look *l)
{
    const struct node *n = l->n;
    const struct node_metrics *m = &n->metrics;
    put_raft(l, FAMILY_PENDING, l->view.status.pending_commands);
    put_raft(l, FAMILY_UNPUBLISHED_BYTES, l->view.status.unpublished_bytes);
    begin(l, FAMILY_REFUSED);
    for (int i = 1; i < OUTCOME_DROPPED; i++) {
        uint64_t refused = metric_read(&m->proposals_refused[i]);
        if (refused != 0) {
            put_for(l, "class", clade_error_name(-i), refused);
        }
    }
    put_one(l, FAMILY_COMMANDS, metric_read(&m->commands));
    put_histogram(l, FAMILY_APPEND_SECONDS, &m->log_appends);
    put_histogram(l, FAMILY_APPLY_SECONDS, &m->apply_batches);
    put_histogram(l, FAMILY_COMMIT_SECONDS, &m->store_commits);
    put_one(l, FAMILY_STORE_FULL, metric_read(&m->store_full));
    put_one(l, FAMILY_STORE_DAMAGE, metric_read(&m->store_damage));
    put_one(l, FAMILY_APPLY_QUEUE, apply_queue_bytes(n->queue));
}

/* --- requests --- */

static void gather_requests(struct look *l)
{
    struct request_metrics *to = &l->requests;
    for (unsigned s = 0; s < l->n->serves_len; s++) {
        const struct request_metrics *from = serve_metrics(l->n->serves[s]);
        for (unsigned m = 0; m <= METHOD_COUNT; m++) {
            for (unsigned o = 0; o < OUTCOME_COUNT; o++) {
                metric_add(&to->outcomes[m][o], metric_read(&from->outcomes[m][o]));
            }
            metric_gather(&to->methods[m], &from->methods[m]);
        }
        for (unsigned p = 0; p < NAMESPACES_MAX; p++) {
            metric_gather(&to->namespaces[p][NAMESPACE_READ], &from->namespaces[p][NAMESPACE_READ]);
            metric_gather(&to->namespaces[p][NAMESPACE_WRITE],
                          &from->namespaces[p][NAMESPACE_WRITE]);
        }
        metric_add(&to->in_flight, metric_read(&from->in_flight));
        metric_add(&to->slow, metric_read(&from->slow));
        metric_add(&to->events, metric_read(&from->events));
        metric_add(&to->watches, metric_read(&from->watches));
    }
}

static struct span name_of(unsigned method)
{
    return span_of(method == METHOD_COUNT ? "none" : method_name((enum method)method));
}

/* Methods that nobody used have no samples: most clients use few. */
static uint64_t sum_outcomes(const struct request_metrics *m, unsigned method)
{
    uint64_t sum = 0;
    for (unsigned o = 0; o < OUTCOME_COUNT; o++) {
        sum += metric_read(&m->outcomes[method][o]);
    }
    return sum;
}

static void write_methods(struct look *l)
{
    begin(l, FAMILY_REQUESTS);
    for (unsigned m = 0; m <= METHOD_COUNT; m++) {
        for (int o = 0; o < OUTCOME_COUNT; o++) {
            uint64_t count = metric_read(&l->requests.outcomes[m][o]);
            const char *outcome = o == OUTCOME_DROPPED ? "DROPPED" : clade_error_name(-o);
            const struct metric_label labels[] = {
                {"method", name_of(m)}, {"outcome", span_of(outcome)}, {.name = NULL}};
            if (count != 0) {
                metrics_put(l->page, labels, count);
            }
        }
    }
    begin(l, FAMILY_REQUEST_SECONDS);
    for (unsigned m = 0; m < METHOD_COUNT; m++) {
        const struct metric_label labels[] = {{"method", name_of(m)}, {.name = NULL}};
        if (sum_outcomes(&l->requests, m) != 0 && m != METHOD_WATCH && m != METHOD_MEMBER) {
            metrics_put_histogram(l->page, labels, &l->requests.methods[m]);
        }
    }
}

static void write_namespaces(struct look *l)
{
    unsigned len = namespace_places_len(l->n->namespaces);
    begin(l, FAMILY_NAMESPACE_SECONDS);
    for (unsigned p = 0; p < len; p++) {
        struct span path = namespace_places_path(l->n->namespaces, p);
        for (unsigned use = 0; use < NAMESPACE_USES; use++) {
            const struct metric_label labels[] = {
                {p == 0 ? "other" : "namespace", p == 0 ? span_of("true") : path},
                {"type", span_of(use == NAMESPACE_READ ? "read" : "write")},
                {.name = NULL}};
            metrics_put_histogram(l->page, labels, &l->requests.namespaces[p][use]);
        }
    }
}

static void write_requests(struct look *l)
{
    struct node *n = l->n;
    gather_requests(l);
    put_one(l, FAMILY_QUERY_QUEUE, workers_queued(n->workers));
    put_one(l, FAMILY_CONNECTIONS, atomic_load(&n->connections));
    put_one(l, FAMILY_CONNECTIONS_MAX, config_now(n->config->connections_max));
    put_one(l, FAMILY_MEMORY, atomic_load(&n->charged));
    put_one(l, FAMILY_MEMORY_MAX, config_now(n->config->memory_max));
    put_one(l, FAMILY_IN_FLIGHT, metric_read(&l->requests.in_flight));
    put_one(l, FAMILY_WATCHES, metric_read(&l->requests.watches));
    put_one(l, FAMILY_EVENTS, metric_read(&l->requests.events));
    write_methods(l);
    write_namespaces(l);
    put_one(l, FAMILY_SLOW, metric_read(&l->requests.slow));
}

/* --- store, disk, what others send, the process --- */

void metrics_look(struct node *n,
                  const struct store_figures *store,
                  uint64_t disk_free_bytes,
                  uint64_t disk_bytes,
                  const struct space *space)
{
    struct node_look *look = &n->look;
    pthread_mutex_lock(&look->mutex);
    look->store = *store;
    look->disk_free_bytes = disk_free_bytes;
    look->disk_bytes = disk_bytes;
    look->headroom_bytes = space->disk.wanted_bytes;
    look->map_headroom_bytes = space->map.wanted_bytes;
    pthread_mutex_unlock(&look->mutex);
}

static void write_store(struct look *l)
{
    struct node *n = l->n;
    pthread_mutex_lock(&n->look.mutex);
    const struct store_figures s = n->look.store;
    uint64_t free_bytes = n->look.disk_free_bytes;
    uint64_t disk_bytes = n->look.disk_bytes;
    uint64_t headroom_bytes = n->look.headroom_bytes;
    uint64_t map_headroom_bytes = n->look.map_headroom_bytes;
    pthread_mutex_unlock(&n->look.mutex);
    uint64_t now = node_now(n);
    uint64_t began = store_oldest_query_us(n->store);
    put_one(l, FAMILY_SESSIONS, s.sessions);
    put_one(l, FAMILY_STORE_USED, s.used_bytes);
    put_one(l, FAMILY_STORE_FREE, s.free_bytes);
    put_one(l, FAMILY_STORE_MAP, s.map_bytes);
    put_one(l, FAMILY_MAP_HEADROOM, map_headroom_bytes);
    put_one(l, FAMILY_READERS, s.readers);
    put_one(l, FAMILY_READERS_MAX, s.readers_max);
    put_one(l, FAMILY_READER_COMMITS, s.oldest_reader_commits);
    put_seconds(l, FAMILY_QUERY_SECONDS, began != 0 && began < now ? (int64_t)(now - began) : 0);
    put_one(l, FAMILY_DISK_FREE, free_bytes);
    put_one(l, FAMILY_DISK_SIZE, disk_bytes);
    put_one(l, FAMILY_HEADROOM, headroom_bytes);
}

static void write_others(struct look *l)
{
    struct catch_up_status c;
    copier_status(l->n->copier, &c);
    put_one(l, FAMILY_COPY_ACTIVE, c.state != CATCH_UP_IDLE);
    put_one(l, FAMILY_COPY_BYTES, c.bytes);
    put_one(l, FAMILY_COPY_SIZE, c.bytes_total);
    put_one(l, FAMILY_COPIES, c.copies);
    put_one(l, FAMILY_COPY_REFUSED, c.refused);
    put_one(l, FAMILY_SUPPLIED, metric_read(&l->n->metrics.supplied.bytes));
    put_one(l, FAMILY_SUPPLY_COPIES, metric_read(&l->n->metrics.supplied.copies));
    begin(l, FAMILY_PEER_REFUSED);
    for (unsigned i = 0; i < PEER_CAUSE_COUNT && l->answered; i++) {
        put_for(l, "cause", peer_cause_name((enum peer_cause)i), l->view.refused[i]);
    }
    if (l->answered) {
        put_for(l, "cause", "message", l->view.status.malformed);
    }
}

static void write_lineage(struct look *l)
{
    struct store_lineage look;
    store_lineage_look(l->n->store, &look);
    begin(l, FAMILY_LINEAGE_STATE);
    for (unsigned i = 0; i <= LINEAGE_DAMAGED; i++) {
        put_for(l, "state", lineage_state_name(i), look.state == i);
    }
    put_one(l, FAMILY_LINEAGE_EDGES, look.edges);
    put_one(l, FAMILY_LINEAGE_BYTES, look.bytes);
    begin(l, FAMILY_LINEAGE_QUERIES);
    put_for(l, "by", "index", look.by_index);
    put_for(l, "by", "tables", look.by_tables);
}

static void write_process(struct look *l)
{
    struct process_figures p;
    process_look(&p);
    put_seconds(l, FAMILY_CPU, p.cpu_us);
    put_one(l, FAMILY_RESIDENT, p.resident_bytes);
    put_one(l, FAMILY_VIRTUAL, p.virtual_bytes);
    put_one(l, FAMILY_FDS, p.open_fds);
    put_one(l, FAMILY_FDS_MAX, p.max_fds);
    put_seconds(l, FAMILY_START, (int64_t)l->n->started_wall_us);
}

void metrics_write(struct node *n, struct metrics_page *page)
{
    struct look *l = calloc(1, sizeof *l);
    if (l == NULL) {
        page->out.failed = true;
        return;
    }
    l->n = n;
    l->page = page;
    l->answered = raft_wait_status(n->raft, RAFT_WAIT_MS, &l->view);
    write_node(l);
    write_raft(l);
    write_members(l);
    write_writes(l);
    write_requests(l);
    write_store(l);
    write_others(l);
    write_lineage(l);
    write_process(l);
    metrics_page_end(page);
    free(l);
}
