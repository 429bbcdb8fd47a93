/* cluster backup: the store of a node, or what was written since another backup, as a file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/backup_file.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/time_text.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/run.h"

#define PATH_BYTES     4096
#define READ_BYTES     (1u << 20)
#define BEGINNINGS_MAX 3 /* another node answers: it has another store, so all begins anew */
#define REPORT_BYTES   (64u << 10)

struct backup {
    struct cli *cli;
    const char *path;
    char made[PATH_BYTES]; /* where it is written to */
    int fd;                /* of `made`; -1 = not open */
    uint64_t written;
    uint64_t id;
    uint64_t copy;
    bool is_incremental;
    struct backup_manifest since; /* what an incremental one goes on from */
    struct backup_manifest manifest;
    struct backup_chain chain;
};

/* --- asking --------------------------------------------------------------------------------- */

struct number {
    const char *key;
    uint64_t value;
};

static struct clade_response *ask(struct backup *b,
                                  const char *action,
                                  const struct number *numbers,
                                  size_t n)
{
    const struct settings *s = &b->cli->settings;
    bool opens = strcmp(action, "open") == 0;
    struct clade_doc *doc = clade_doc_new();
    if (doc == NULL) {
        return NULL;
    }
    clade_doc_map(doc, (uint32_t)n + 2 + (opens ? settings_consistency_members(s) : 0));
    clade_doc_str(doc, "action");
    clade_doc_str(doc, action);
    clade_doc_str(doc, "id");
    clade_doc_uint(doc, b->id);
    for (size_t i = 0; i < n; i++) {
        clade_doc_str(doc, numbers[i].key);
        clade_doc_uint(doc, numbers[i].value);
    }
    if (opens) {
        settings_put_consistency(doc, s);
    }
    struct clade_response *response = clade_call_wait(b->cli->client, "backup", doc);
    clade_doc_free(doc);
    return response;
}

static uint64_t uint_at(const struct clade_value *map, const char *key)
{
    return clade_value_uint(clade_value_get(map, key));
}

static bool hash_at(const struct clade_value *map, const char *key, struct hash128 *ret)
{
    size_t len = 0;
    const char *text = clade_value_strn(clade_value_get(map, key), &len);
    return text != NULL && hash128_parse(span_make(text, len), ret);
}

static int say_error(struct backup *b, const struct error *e)
{
    return cli_fail_error(b->cli, NULL, e);
}

/* Of the disk that it is written to. */
static int say_disk_error(struct backup *b, const struct error *e)
{
    int code = say_error(b, e);
    cli_say(b->cli, "no backup was made: %s, or name a file on another disk",
            e->code == CLADE_ERR_NO_SPACE ? "make room there" : "look at that disk");
    return code;
}

static int say_wrong_answer(struct backup *b)
{
    cli_say(b->cli, "the node's answer is not what it should be; ask another node");
    return EXIT_REFUSED;
}

/* --- the file ------------------------------------------------------------------------------- */

static int write_bytes(struct backup *b, struct span bytes)
{
    struct error e = {.code = 0};
    if (!file_write_all(b->fd, b->written, bytes)) {
        (void)file_error(b->made, "cannot be written", &e);
        return say_disk_error(b, &e);
    }
    b->written += bytes.len;
    return EXIT_DONE;
}

static int write_chunk(struct backup *b, struct span bytes)
{
    uint8_t head[BACKUP_CHUNK_HEAD_BYTES];
    backup_chunk_encode(&b->chain, bytes, head);
    int code = write_bytes(b, span_make(head, sizeof head));
    return code == EXIT_DONE && bytes.len > 0 ? write_bytes(b, bytes) : code;
}

/* From the beginning, whatever was written before. */
static int begin_file(struct backup *b)
{
    struct error e = {.code = 0};
    uint8_t header[BACKUP_HEADER_BYTES];
    if (b->fd < 0) {
        b->fd = open(b->made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    if (b->fd < 0 || ftruncate(b->fd, 0) != 0) {
        (void)file_error(b->made, "cannot be made", &e);
        return say_disk_error(b, &e);
    }
    b->written = 0;
    backup_header_encode(&b->manifest, header, &b->chain);
    return write_bytes(b, span_make(header, sizeof header));
}

static bool is_taken(struct backup *b)
{
    return !args_has(&b->cli->args, FLAG_FORCE) && access(b->path, F_OK) == 0;
}

static int refuse_taken(struct backup *b)
{
    cli_say(b->cli, "%s is there already; --force replaces it", b->path);
    return EXIT_CONFLICT;
}

static int finish_file(struct backup *b)
{
    struct error e = {.code = 0};
    char folder[PATH_BYTES];
    int code = write_chunk(b, span_make(NULL, 0));
    if (code != EXIT_DONE) {
        return code;
    }
    if (is_taken(b)) {
        return refuse_taken(b); /* somebody made it meanwhile */
    }
    const char *slash = strrchr(b->path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash == NULL ? 1 : (int)(slash - b->path) + (slash == b->path),
                   slash == NULL ? "." : b->path);
    if (fsync(b->fd) != 0 || rename(b->made, b->path) != 0) {
        (void)file_error(b->path, "cannot be written", &e);
        return say_disk_error(b, &e);
    }
    if (file_sync_folder(folder, &e) < 0) {
        code = say_error(b, &e);
        cli_say(b->cli, "%s is whole, but may be gone after a power cut: look at that disk",
                b->path);
    }
    return code;
}

static void drop_file(struct backup *b)
{
    if (b->fd >= 0) {
        (void)close(b->fd);
        (void)unlink(b->made);
        b->fd = -1;
    }
}

static void show_progress(struct backup *b, uint64_t done, uint64_t of, const char *unit)
{
    if (isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " %s", done, of, unit);
    }
}

/* --- opening -------------------------------------------------------------------------------- */

static bool read_manifest(struct backup *b, const struct clade_response *response)
{
    const struct clade_value *data = clade_response_data(response);
    struct backup_manifest m = {
        .kind = b->is_incremental ? BACKUP_INCREMENTAL : BACKUP_FULL,
        .store_format = (uint32_t)uint_at(data, "store_format"),
        .node = clade_response_node(response),
        .base = b->is_incremental ? b->since.index : 0,
        .index = uint_at(data, "index"),
        .revision = uint_at(data, "revision"),
        .time_us = uint_at(data, "time"),
        .covers_us = uint_at(data, "covers"),
        .bytes = b->is_incremental ? 0 : uint_at(data, "bytes"),
    };
    b->copy = uint_at(data, "copy");
    b->manifest = m;
    return hash_at(data, "cluster", &b->manifest.cluster) &&
           hash_at(data, "data", &b->manifest.data) && hash_at(data, "state", &b->manifest.state) &&
           m.index >= m.base && (b->is_incremental || m.bytes > 0);
}

static int check_same_cluster(struct backup *b)
{
    char theirs[33];
    char ours[33];
    if (!b->is_incremental || hash128_equal(b->since.cluster, b->manifest.cluster)) {
        return EXIT_DONE;
    }
    hash128_format(b->since.cluster, ours);
    hash128_format(b->manifest.cluster, theirs);
    cli_say(b->cli, "%s is of cluster %s, and this is cluster %s: take a full backup of it",
            args_get(&b->cli->args, FLAG_SINCE_BACKUP), ours, theirs);
    return EXIT_CONFLICT;
}

static int open_backup(struct backup *b)
{
    const struct number after = {"after", b->since.index};
    if (getrandom(&b->id, sizeof b->id, 0) != (ssize_t)sizeof b->id) {
        b->id = clock_wall_us(clock_system());
    }
    b->id |= 1; /* not 0 */
    struct clade_response *response = ask(b, "open", &after, b->is_incremental);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail(b->cli, NULL, response);
    } else if (!read_manifest(b, response)) {
        code = say_wrong_answer(b);
    } else {
        code = check_same_cluster(b);
    }
    clade_response_free(response);
    return code == EXIT_DONE ? begin_file(b) : code;
}

static void close_backup(struct backup *b)
{
    const struct number copy = {"copy", b->copy};
    if (b->copy != 0) {
        clade_response_free(ask(b, "close", &copy, 1)); /* else it is closed in a minute */
        b->copy = 0;
    }
}

/* --- a full one ----------------------------------------------------------------------------- */

static struct span bytes_of(const struct clade_response *response)
{
    size_t len = 0;
    const char *bytes =
        clade_value_strn(clade_value_get(clade_response_data(response), "bytes"), &len);
    return span_make(bytes == NULL ? "" : bytes, bytes == NULL ? 0 : len);
}

/* *ret_lost: the copy is no longer to be had, and another one may be. */
static int read_chunk(struct backup *b, bool *ret_lost)
{
    const struct number numbers[] = {
        {"copy", b->copy}, {"offset", b->chain.bytes}, {"bytes", READ_BYTES}};
    struct clade_response *response = ask(b, "read", numbers, 3);
    struct span bytes = bytes_of(response);
    int code;
    *ret_lost = clade_response_code(response) == CLADE_ERR_NOT_FOUND;
    if (clade_response_code(response) != 0) {
        code = cli_fail(b->cli, NULL, response);
    } else if (bytes.len == 0 || bytes.len > READ_BYTES ||
               bytes.len > b->manifest.bytes - b->chain.bytes ||
               hash64(bytes, 0) != uint_at(clade_response_data(response), "checksum")) {
        code = say_wrong_answer(b);
    } else {
        code = write_chunk(b, bytes);
    }
    clade_response_free(response);
    return code;
}

static int copy_store(struct backup *b, bool *ret_lost)
{
    int code = EXIT_DONE;
    while (code == EXIT_DONE && b->chain.bytes < b->manifest.bytes) {
        code = read_chunk(b, ret_lost);
        show_progress(b, b->chain.bytes, b->manifest.bytes, "bytes");
    }
    return code;
}

/* --- an incremental one --------------------------------------------------------------------- */

static int copy_entries(struct backup *b)
{
    uint64_t at = b->manifest.base;
    int code = EXIT_DONE;
    while (code == EXIT_DONE && at < b->manifest.index) {
        const struct number numbers[] = {
            {"after", at}, {"until", b->manifest.index}, {"bytes", READ_BYTES}};
        struct clade_response *response = ask(b, "entries", numbers, 3);
        struct span bytes = bytes_of(response);
        uint64_t last = uint_at(clade_response_data(response), "last");
        if (clade_response_code(response) != 0) {
            code = cli_fail(b->cli, NULL, response);
        } else if (bytes.len == 0 || bytes.len > BACKUP_CHUNK_BYTES_MAX || last <= at) {
            code = say_wrong_answer(b);
        } else {
            code = write_chunk(b, bytes);
            at = last;
        }
        clade_response_free(response);
        show_progress(b, at - b->manifest.base, b->manifest.index - b->manifest.base, "entries");
    }
    return code;
}

/* --- all of it ------------------------------------------------------------------------------ */

static int copy_all(struct backup *b)
{
    int code = EXIT_UNAVAILABLE;
    bool lost = true;
    for (int i = 0; i < BEGINNINGS_MAX && lost; i++) {
        lost = false;
        code = open_backup(b);
        if (code == EXIT_DONE) {
            code = b->is_incremental ? copy_entries(b) : copy_store(b, &lost);
        }
        close_backup(b);
        if (lost && i + 1 < BEGINNINGS_MAX) {
            cli_say(b->cli, "beginning anew");
        }
    }
    if (isatty(STDERR_FILENO)) {
        (void)fputc('\n', stderr);
    }
    return code == EXIT_DONE ? finish_file(b) : code;
}

static void put_json(struct buffer *out, const struct backup *b)
{
    const struct backup_manifest *m = &b->manifest;
    const struct number numbers[] = {{"node", m->node},
                                     {"base", m->base},
                                     {"index", m->index},
                                     {"revision", m->revision},
                                     {"time", m->time_us},
                                     {"bytes", b->written},
                                     {"store_format", m->store_format}};
    const struct {
        const char *key;
        struct hash128 hash;
    } hashes[] = {{"cluster", m->cluster}, {"data", m->data}, {"state", m->state}};
    buffer_append_str(out, "{\"file\": ");
    json_append_text(out, span_of(b->path));
    buffer_append_fmt(out, ", \"kind\": \"%s\"", b->is_incremental ? "incremental" : "full");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        buffer_append_fmt(out, ", \"%s\": %" PRIu64, numbers[i].key, numbers[i].value);
    }
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        char text[33];
        hash128_format(hashes[i].hash, text);
        buffer_append_fmt(out, ", \"%s\": \"%s\"", hashes[i].key, text);
    }
    buffer_append_str(out, "}\n");
}

static void report(struct backup *b)
{
    const struct backup_manifest *m = &b->manifest;
    char cluster[33];
    char time[TIME_TEXT_BYTES];
    struct buffer out;
    buffer_init(&out, REPORT_BYTES);
    hash128_format(m->cluster, cluster);
    time_format(m->time_us, time);
    if (b->cli->settings.write != WRITE_TABLE) {
        put_json(&out, b);
    } else if (b->is_incremental) {
        buffer_append_fmt(&out,
                          "%s: cluster %s from index %" PRIu64 " to index %" PRIu64
                          ", revision %" PRIu64 ", %s; %" PRIu64 " bytes, of node %" PRIu64 "\n",
                          b->path, cluster, m->base, m->index, m->revision, time, b->written,
                          m->node);
    } else {
        buffer_append_fmt(&out,
                          "%s: cluster %s at index %" PRIu64 ", revision %" PRIu64 ", %s; %" PRIu64
                          " bytes, of node %" PRIu64 "\n",
                          b->path, cluster, m->index, m->revision, time, b->written, m->node);
    }
    (void)fwrite(out.data, 1, out.len, b->cli->out);
    buffer_release(&out);
}

/* What an incremental backup goes on from. */
static int read_since(struct backup *b, const char *path)
{
    struct backup_reader reader;
    struct error e = {.code = 0};
    int rc = backup_reader_open(&reader, path, &e);
    b->since = reader.manifest;
    backup_reader_release(&reader);
    return rc == 0 ? EXIT_DONE : say_error(b, &e);
}

static int check_level(struct cli *cli)
{
    if (cli->settings.consistency == CLADE_STALE) {
        return cli_usage(cli, "a backup is linearizable, at-least=REVISION or local");
    }
    if (cli->settings.as_of[0] != '\0') {
        return cli_usage(cli, "a backup is of now, and holds the past: restore it to a revision or "
                              "a time");
    }
    return cli->settings.dry_run ? cli_no_dry_run(cli) : EXIT_DONE;
}

int run_backup(struct cli *cli)
{
    struct backup b = {.cli = cli, .path = cli->args.arguments[0], .fd = -1};
    const char *since = args_get(&cli->args, FLAG_SINCE_BACKUP);
    int code = check_level(cli);
    if (code == EXIT_DONE &&
        (size_t)snprintf(b.made, sizeof b.made, "%s.tmp", b.path) >= sizeof b.made) {
        code = cli_usage(cli, "the file's name is too long");
    }
    if (code == EXIT_DONE && since != NULL) {
        b.is_incremental = true;
        code = read_since(&b, since);
    }
    if (code == EXIT_DONE && is_taken(&b)) {
        code = refuse_taken(&b);
    }
    code = code == EXIT_DONE ? cli_open(cli) : code;
    code = code == EXIT_DONE ? copy_all(&b) : code;
    if (code == EXIT_DONE) {
        report(&b);
        (void)close(b.fd);
    } else {
        drop_file(&b);
    }
    return code;
}
