/* The steps are ordered so that a crash leaves a folder that the old cluster's node runs on, or one
 * with the marker RECOVER, on which nothing runs and which the next attempt takes to its end:
 *
 * 1. The marker is written, with the new cluster's id: the folder is the old cluster's no more.
 * 2. The store takes in its log and is founded; raft.new/ is made, its stamp last. Before that
 *    stamp is there, all of this is done again.
 * 3. raft/ goes, and raft.new/ becomes raft/.
 * 4. Stamps and identity are written; then the marker goes.
 */
#include "node/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/time_text.h"
#include "consensus/guard.h"
#include "consensus/log_folder.h"
#include "node/data_folder_internal.h"
#include "node/files.h"
#include "node/new_cluster.h"
#include "storage/apply.h"

#define BATCH_BYTES (UINT64_C(64) << 20)

/* What one folder has. */
struct survivor {
    struct data_folder folder;
    bool resumed;          /* an attempt before this one was interrupted */
    struct hash128 marked; /* its new cluster */
    bool founded;          /* it came as far as to a log of its own: there is nothing to look at */
    struct store_position position;
    struct store_digest digest;
    struct log_folder_end end;
};

/* --- looking --- */

static int open_store(const struct config *c,
                      const struct survivor *s,
                      struct store **ret,
                      struct error *error)
{
    const struct store_options options = {.path = s->folder.store_path, .map_bytes = c->map_bytes};
    return store_open(&options, ret, error);
}

static int pass_by(void *arg, uint64_t index, struct span entry, struct error *error)
{
    return 0;
}

static int look(const struct config *c, const char *path, struct survivor *s, struct error *error)
{
    struct store *store;
    int r = data_folder_open_for_recovery(path, &s->folder, &s->resumed, &s->marked, error);
    s->founded = r == 0 && s->resumed && data_folder_has_new_log(&s->folder, s->marked);
    if (r < 0 || s->founded) {
        return r;
    }
    r = open_store(c, s, &store, error);
    if (r < 0) {
        return error->where[0] != 0
                   ? r
                   : error_set(error, r, s->folder.store_path, "%s", error->message);
    }
    s->position = store_position(store);
    s->digest = store_digest_current(store);
    store_close(store);
    /* That the log goes on from the store is to be known before anything is changed. */
    return log_folder_read(s->folder.raft_path, s->folder.path, s->folder.identity.node,
                           identity_address(&s->folder.identity), s->position.applied, pass_by,
                           NULL, &s->end, error);
}

/* Adds what to do to an error that `look` came to. */
static int advise(int r, const char *path, const char *instead, struct error *error)
{
    const char *where = error->where[0] != 0 ? error->where : path;
    switch (r) {
    case 0:
    case CLADE_ERR_NOT_FOUND: /* which says it */
        return r;
    case CLADE_ERR_IN_USE:
        return error_set(error, r, where, "%s: stop it first", error->message);
    case CLADE_ERR_CORRUPT:
    case CLADE_ERR_INVALID:
    case CLADE_ERR_CONFLICT:
    case CLADE_ERR_COMPACTED:
        return error_set(error, r, where, "%s; %s", error->message, instead);
    default:
        return error_set(error, r, where, "%s; nothing was changed, so it may be tried again",
                         error->message);
    }
}

/* Up to which index it has everything. A store may be ahead of its own log. */
static uint64_t reach(const struct survivor *s)
{
    return s->end.last_index > s->position.applied ? s->end.last_index : s->position.applied;
}

static void show(const struct survivor *s)
{
    char cluster[33];
    char data[33];
    char time[TIME_TEXT_BYTES];
    hash128_format(s->folder.identity.cluster, cluster);
    hash128_format(s->digest.data, data);
    time_format(s->position.time_us, time);
    printf("%s: node %" PRIu64 " of cluster %s: log up to index %" PRIu64 " of term %" PRIu64
           "; store at index %" PRIu64 ", revision %" PRIu64 ", %s, data %s\n",
           s->folder.path, s->folder.identity.node, cluster, reach(s), s->end.last_term,
           s->position.applied, s->position.revision, time, data);
}

/* Whether b has what a lacks, as votes are given: by the term of the last entry, then by its index.
 * What is in a store is committed, whatever the terms say. */
static bool is_behind(const struct survivor *a, const struct survivor *b)
{
    if (b->position.applied > reach(a) || a->position.applied > reach(b)) {
        return b->position.applied > reach(a);
    }
    return b->end.last_term != a->end.last_term ? b->end.last_term > a->end.last_term
                                                : reach(b) > reach(a);
}

static int compare(const struct survivor *chosen,
                   const struct survivor *other,
                   bool force,
                   struct error *error)
{
    if (!hash128_equal(chosen->folder.identity.cluster, other->folder.identity.cluster)) {
        return error_set(error, CLADE_ERR_INVALID, other->folder.path,
                         "the folder is of another cluster than %s: leave it out",
                         chosen->folder.path);
    }
    if (!force && is_behind(chosen, other)) {
        return error_set(error, CLADE_ERR_CONFLICT, chosen->folder.path,
                         "node %" PRIu64 " in %s has what this one lacks (index %" PRIu64
                         " of term %" PRIu64 ", and %" PRIu64 " of term %" PRIu64
                         " here): name that folder first, or give up what is there alone with "
                         "--force",
                         other->folder.identity.node, other->folder.path, reach(other),
                         other->end.last_term, reach(chosen), chosen->end.last_term);
    }
    return 0;
}

static bool is_same_folder(const char *a, const char *b)
{
    struct stat one;
    struct stat two;
    return stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

static int refuse_doubles(const struct recover_request *request, struct error *error)
{
    for (size_t i = 1; i < request->folders_len; i++) {
        for (size_t j = 0; j < i; j++) {
            if (is_same_folder(request->folders[i], request->folders[j])) {
                return error_set(error, CLADE_ERR_INVALID, request->folders[i],
                                 "the folder is named twice: name each once");
            }
        }
    }
    return 0;
}

static int look_at_other(const struct config *c,
                         const char *path,
                         const struct survivor *chosen,
                         bool force,
                         struct error *error)
{
    struct survivor *other = calloc(1, sizeof *other);
    if (other == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    other->folder.lock_fd = -1;
    int r = advise(look(c, path, other, error), path, "leave the folder out", error);
    if (r == 0 && other->resumed) {
        r = error_set(error, CLADE_ERR_CONFLICT, other->folder.path,
                      "a recovery of this folder was interrupted: take it to its end, or leave the "
                      "folder out");
    }
    if (r == 0) {
        show(other);
        r = compare(chosen, other, force, error);
    }
    data_folder_close(&other->folder);
    free(other);
    return r;
}

static int look_at_all(const struct config *c,
                       const struct recover_request *request,
                       struct survivor *chosen,
                       struct error *error)
{
    const char *path = request->folders[0];
    int r = data_folder_refuse_others(path, error);
    r = r < 0 ? r : refuse_doubles(request, error);
    r = r < 0 ? r : advise(look(c, path, chosen, error), path, "recover another survivor", error);
    if (r == 0 && chosen->resumed) {
        printf("%s: a recovery of this folder was interrupted, and is to be taken to its end\n",
               path);
    }
    if (r < 0 || chosen->founded) {
        return r;
    }
    show(chosen);
    for (size_t i = 1; i < request->folders_len && r == 0; i++) {
        r = look_at_other(c, request->folders[i], chosen, request->force, error);
    }
    return r;
}

/* --- the log goes into the store --- */

struct replay {
    struct apply *apply;
    uint64_t previous;
};

static void on_result(void *arg, const struct apply_result *result)
{
    /* Whoever waited for it is gone. */
}

static int on_entry(void *arg, uint64_t index, struct span entry, struct error *error)
{
    struct replay *p = arg;
    struct store_position position;
    int r = entry.len == 0 ? apply_advance(p->apply, p->previous, index, error)
                           : apply_entry(p->apply, p->previous, index, entry, on_result, p, error);
    p->previous = index;
    if (r == 0 && apply_batch_bytes(p->apply) > BATCH_BYTES) {
        r = apply_commit(p->apply, &position, error);
        r = r < 0 ? r : apply_begin(p->apply, error);
    }
    return r;
}

static int take_in(const struct survivor *s, struct store *store, struct error *error)
{
    struct replay p = {.previous = store_position(store).applied};
    struct store_position position;
    struct log_folder_end end;
    int r = apply_new(store, &p.apply, error);
    if (r < 0) {
        return r;
    }
    r = apply_begin(p.apply, error);
    if (r == 0) {
        r = log_folder_read(s->folder.raft_path, s->folder.path, s->folder.identity.node,
                            identity_address(&s->folder.identity), p.previous, on_entry, &p, &end,
                            error);
        r = r < 0 ? r : apply_commit(p.apply, &position, error);
        if (r < 0) {
            apply_abort(p.apply);
        }
    }
    apply_free(p.apply);
    return r < 0 ? r : store_sync(store, error);
}

/* --- becoming another cluster --- */

static int drop_former(const struct data_folder *f, struct error *error)
{
    char path[FILES_PATH_BYTES];
    files_join(path, f->path, "archive");
    int r = files_empty_dir(path, 0, error);
    if (r == 0) {
        files_join(path, f->store_folder, "incoming");
        r = files_remove_dir(path, 1, error);
    }
    return r;
}

static int make_log(const struct config *c,
                    const struct survivor *s,
                    const struct identity *identity,
                    struct error *error)
{
    char made[FILES_PATH_BYTES];
    struct store *store;
    files_join(made, s->folder.path, DATA_FOLDER_NEW_RAFT);
    int r = files_remove_dir(made, 0, error);
    r = r < 0 ? r : open_store(c, s, &store, error);
    if (r < 0) {
        return r;
    }
    r = take_in(s, store, error);
    store_close(store);
    r = r < 0 ? r : files_make_dir(made, error);
    r = r < 0 ? r : new_cluster_found(identity, s->folder.store_path, made, c->map_bytes, error);
    r = r < 0 ? r : identity_write(identity, true, made, error);
    return r < 0 ? r : file_sync_folder(s->folder.path, error);
}

/* The former one is of a log that had come further. */
static int make_witness(const struct data_folder *f, struct error *error)
{
    char file[FILES_PATH_BYTES];
    files_join(file, f->path, "mark");
    if (unlink(file) != 0 && errno != ENOENT) {
        return file_error(file, "cannot be removed", error);
    }
    return guard_file_create(f->path, error);
}

static int finish(const struct survivor *s, const struct identity *identity, struct error *error)
{
    int r = data_folder_adopt_log(&s->folder, error);
    r = r < 0 ? r : make_witness(&s->folder, error);
    r = r < 0 ? r : drop_former(&s->folder, error);
    r = r < 0 ? r : identity_write(identity, true, s->folder.store_folder, error);
    r = r < 0 ? r : identity_write(identity, false, s->folder.path, error);
    return r < 0 ? r : data_folder_end_recovery(&s->folder, error);
}

/* The node keeps its id and its address; everything else of the cluster is new. */
static int new_identity(const struct survivor *s, struct identity *ret, struct error *error)
{
    const struct identity *former = &s->folder.identity;
    *ret = (struct identity){.node = former->node, .members_len = 1};
    (void)snprintf(ret->name, sizeof ret->name, "%s", former->name);
    ret->members[0] = (struct group_member){.id = former->node, .role = GROUP_VOTER};
    (void)snprintf(ret->members[0].address, sizeof ret->members[0].address, "%s",
                   identity_address(former));
    int r = new_cluster_identity(ret, error);
    if (r == 0 && s->resumed) {
        ret->cluster = s->marked;
    }
    return r;
}

static int become(const struct config *c, const struct survivor *s, struct error *error)
{
    struct identity identity;
    char cluster[33];
    int r = new_identity(s, &identity, error);
    r = r < 0 ? r : data_folder_begin_recovery(&s->folder, identity.cluster, error);
    if (r < 0) {
        return r;
    }
    if (!data_folder_has_new_log(&s->folder, identity.cluster)) {
        r = make_log(c, s, &identity, error);
    }
    r = r < 0 ? r : finish(s, &identity, error);
    if (r < 0) {
        return error_set(error, r, error->where[0] != 0 ? error->where : s->folder.path,
                         "%s; the folder is on its way to be another cluster's: put that right, "
                         "and run 'claded recover' again",
                         error->message);
    }
    hash128_format(identity.cluster, cluster);
    printf(
        "%s: is the data folder of node %" PRIu64 ", the first and only one of the new cluster %s\n"
        "start it with claded --data %s; further nodes join it with 'clade cluster member add', in "
        "new folders\n",
        s->folder.path, identity.node, cluster, s->folder.path);
    return 0;
}

static void warn(const struct survivor *s)
{
    printf("what was acknowledged behind index %" PRIu64
           " and is in none of these folders is lost, and nothing tells what that was\n"
           "the other nodes of the old cluster must never be started again: they could still be "
           "that cluster\n",
           reach(s));
}

int recover_run(const struct config *c, const struct recover_request *request, struct error *error)
{
    struct survivor *chosen = calloc(1, sizeof *chosen);
    if (chosen == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    chosen->folder.lock_fd = -1;
    int r = look_at_all(c, request, chosen, error);
    if (r == 0 && !chosen->founded) {
        warn(chosen);
    }
    if (r == 0 && !request->check) {
        (void)fflush(stdout);
        r = become(c, chosen, error);
    }
    data_folder_close(&chosen->folder);
    free(chosen);
    return r;
}
