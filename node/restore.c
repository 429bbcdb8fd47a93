#include "node/restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/time_text.h"
#include "consensus/restore.h"
#include "node/data_folder.h"
#include "node/new_cluster.h"

struct job {
    const struct config *config;
    const struct restore_request *request;
    struct restore_result result;
};

static void on_progress(void *arg, const char *what, uint64_t done)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%.60s: %" PRIu64 " ", what, done);
    }
}

static struct restore_options options_of(const struct restore_request *request, uint64_t map_bytes)
{
    return (struct restore_options){.files = request->files,
                                    .files_len = request->files_len,
                                    .revision = request->revision,
                                    .time_us = request->time_us,
                                    .map_bytes = map_bytes,
                                    .progress = on_progress};
}

static int fill(void *arg, const char *raft_path, const char *store_path, struct error *error)
{
    struct job *job = arg;
    const struct restore_options options = options_of(job->request, job->config->map_bytes);
    int r = restore_store(&options, store_path, &job->result, error);
    return r < 0 ? r
                 : new_cluster_found(&job->request->identity, store_path, raft_path,
                                     job->config->map_bytes, error);
}

static void report(const struct job *job)
{
    const struct restore_result *made = &job->result;
    char time[TIME_TEXT_BYTES];
    char former[33];
    char cluster[33];
    time_format(made->time_us, time);
    hash128_format(made->cluster, former);
    hash128_format(job->request->identity.cluster, cluster);
    printf("%s: made the data folder of node %" PRIu64 ", the first of the new cluster %s, as "
           "cluster %s was at revision %" PRIu64 ", index %" PRIu64 ", %s\n",
           job->config->data, job->request->identity.node, cluster, former, made->revision,
           made->index, time);
    printf(
        "start it with claded --data %s; further nodes join it with 'clade cluster member add'\n",
        job->config->data);
}

static int check_files(const struct restore_request *request, struct error *error)
{
    if (request->files_len == 0) {
        return error_set(error, CLADE_ERR_INVALID, "--from",
                         "name the full backup, and then its incremental ones, each with --from");
    }
    if (request->revision != 0 && request->time_us != 0) {
        return error_set(error, CLADE_ERR_INVALID, "--time", "--revision is given too");
    }
    return 0;
}

int restore_run(const struct config *c, struct restore_request *request, struct error *error)
{
    struct job job = {.config = c, .request = request};
    request->identity.node = c->node;
    int r = check_files(request, error);
    r = r < 0 ? r : new_cluster_identity(&request->identity, error);
    r = r < 0 ? r : data_folder_make(c->data, &request->identity, fill, &job, error);
    if (r == 0) {
        report(&job);
    }
    return r;
}

int restore_look(const struct restore_request *request, struct error *error)
{
    const struct restore_options options = options_of(request, 0);
    struct restore_result found;
    int r = check_files(request, error);
    r = r < 0 ? r : restore_check(&options, &found, error);
    if (r == 0) {
        char time[TIME_TEXT_BYTES];
        char cluster[33];
        time_format(found.time_us, time);
        hash128_format(found.cluster, cluster);
        printf("%zu file%s: sound; cluster %s up to revision %" PRIu64 ", index %" PRIu64
               ", %s. Pages, rows and digests are checked by a restore\n",
               request->files_len, request->files_len == 1 ? "" : "s", cluster, found.revision,
               found.index, time);
    }
    return r;
}
