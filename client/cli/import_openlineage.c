/* Events of OpenLineage: many to a transaction, one transaction at a time, since an event's merge
 * needs what the ones before it left.
 *
 *     read a window -> look up what it is about -> merge -> send -> count
 *                           ^                                |
 *                           +--- somebody else wrote it -----+--- refused: in halves, until the
 *                                                                 bad event stands alone
 *
 * The file is read twice: first for what openlineage_index keeps of all of it. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "cli/file_digest.h"
#include "cli/import.h"
#include "cli/json.h"
#include "cli/openlineage.h"
#include "cli/txn_json.h"

#define WINDOW_EVENTS_MAX 128
#define WINDOW_BYTES_MAX  (256u << 10)
/* Of a window whose things somebody else changed meanwhile: each time somebody gets on. */
#define TRIES_MAX 1000
/* Of one whose things cannot be made: somebody else made them, or something else has their name. */
#define MAKE_TRIES_MAX 5
#define GET_REFS_MAX   1000
#define TEXT_BYTES_CAP (64u << 20)

struct reader {
    struct import *im;
    const char *file;
    struct openlineage_index index;
    struct openlineage_event events[WINDOW_EVENTS_MAX];
    size_t events_len;
    struct clade_txn *txn;
};

/* --- calls that are waited for --------------------------------------------------------------- */

struct call {
    struct clade_response *response;
    bool done;
};

static void on_answer(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct call *call = arg;
    call->response = response;
    call->done = true;
}

static struct clade_response *wait_for(struct import *im,
                                       const struct clade_request *request,
                                       struct call *call)
{
    while (request != NULL && !call->done) {
        import_wait(im);
    }
    return call->response;
}

static void out_of_memory(struct reader *r)
{
    if (!r->im->stop) {
        cli_say(r->im->cli, "out of memory; the import stops");
    }
    r->im->stop = true;
    r->im->code = EXIT_REFUSED;
}

/* --- looking up ------------------------------------------------------------------------------ */

/* A thing of an answer as JSON; null where there is none. NULL when memory is out. */
static json_t *thing_json(const struct clade_value *thing)
{
    if (clade_value_get(thing, "error") != NULL) {
        return json_null();
    }
    struct buffer b;
    buffer_init(&b, TEXT_BYTES_CAP);
    json_append_value(&b, thing);
    json_t *json = b.failed ? NULL : json_loadb((const char *)b.data, b.len, 0, NULL);
    buffer_release(&b);
    return json;
}

/* Puts what the store has of refs[0..len) into `found`, page by page. False when it stopped. */
static bool look_up(struct reader *r, const char *const refs[], size_t len, json_t *found)
{
    size_t at = 0;
    struct clade_response *before = NULL;
    bool ok = true;
    while (ok && at < len) {
        struct call call = {0};
        const struct clade_read read = {.view = CLADE_VIEW_FULL,
                                        .limit = GET_REFS_MAX,
                                        .cursor =
                                            before == NULL ? NULL : clade_response_cursor(before)};
        struct clade_response *response =
            wait_for(r->im, clade_get(r->im->client, refs, len, &read, 0, on_answer, &call), &call);
        clade_response_free(before);
        before = response;
        const struct clade_value *data = clade_response_data(response);
        if (clade_response_code(response) != 0) {
            if (!import_stopped_by(r->im, response)) {
                r->im->code = cli_fail(r->im->cli, "the import stopped", response);
                r->im->stop = true;
            }
            ok = false;
        }
        for (size_t i = 0; ok && i < clade_value_len(data) && at < len; i++) {
            json_t *thing = thing_json(clade_value_at(data, i));
            ok = thing != NULL && json_object_set_new(found, refs[at++], thing) == 0;
            if (!ok) {
                out_of_memory(r);
            }
        }
        if (ok && at < len && clade_response_cursor(response) == NULL) {
            break; /* the rest is not there */
        }
    }
    clade_response_free(before);
    return ok;
}

/* From each reference of events [from, to) to the thing that is there, or null. NULL when it
 * stopped. */
static json_t *find(struct reader *r, size_t from, size_t to)
{
    const char *refs[GET_REFS_MAX];
    json_t *wanted = json_object();
    json_t *found = json_object();
    bool ok = wanted != NULL && found != NULL;
    for (size_t i = from; ok && i < to; i++) {
        ok = openlineage_collect(&r->index, &r->events[i], wanted);
    }
    if (!ok) {
        out_of_memory(r);
    }
    const char *ref;
    json_t *ignored;
    size_t len = 0;
    json_object_foreach(wanted, ref, ignored)
    {
        refs[len++] = ref;
        if (ok && len == GET_REFS_MAX) {
            ok = look_up(r, refs, len, found);
            len = 0;
        }
    }
    ok = ok && (len == 0 || look_up(r, refs, len, found));
    if (!ok) {
        json_decref(found);
        found = NULL;
    }
    /* The keys are those of `wanted` no more. */
    json_decref(wanted);
    return found;
}

/* --- sending --------------------------------------------------------------------------------- */

static void refuse_event(struct reader *r, size_t i, const char *reason)
{
    import_refuse(r->im, r->file, r->events[i].line, reason);
}

/* An event counts as what was done first for it. */
static void count(struct reader *r,
                  size_t from,
                  size_t to,
                  const size_t events[],
                  const struct clade_response *response)
{
    enum import_status statuses[WINDOW_EVENTS_MAX] = {IMPORT_UNCHANGED};
    const struct clade_value *data = clade_response_data(response);
    for (size_t op = 0; op < clade_value_len(data); op++) {
        enum import_status status = import_status_of(clade_value_at(data, op));
        if (status > statuses[events[op]]) {
            statuses[events[op]] = status;
        }
    }
    for (size_t i = from; i < to; i++) {
        import_count(r->im, statuses[i]);
    }
}

enum outcome { SENT, STOPPED, CHANGED_MEANWHILE, CANNOT_BE_MADE, REFUSED };

/* Which of the last three a refusal is. */
static enum outcome outcome_of(const struct clade_response *response)
{
    size_t len = 0;
    const struct clade_value *error = clade_response_error(response);
    const char *where = clade_value_strn(clade_value_get(error, "where"), &len);
    if (clade_response_code(response) != CLADE_ERR_CONFLICT) {
        return REFUSED;
    }
    return where != NULL && span_starts_with(span_make(where, len), "guards[") ? CHANGED_MEANWHILE
                                                                               : CANNOT_BE_MADE;
}

/* Sends a transaction. The response is the caller's, unless it was SENT or STOPPED. */
static enum outcome send_txn(struct reader *r,
                             size_t from,
                             size_t to,
                             json_t *json,
                             const size_t events[],
                             struct clade_response **ret_response)
{
    struct error error = {0};
    struct call call = {0};
    if (json_array_size(json_object_get(json, "ops")) == 0) {
        count(r, from, to, events, NULL);
        return SENT;
    }
    clade_txn_clear(r->txn);
    if (r->im->cli->settings.reason != NULL) {
        clade_txn_reason(r->txn, r->im->cli->settings.reason);
    }
    int err = txn_from_json(json, r->txn, &error);
    if (err != 0) {
        for (size_t i = from; i < to; i++) {
            refuse_event(r, i, error.message);
        }
        return SENT;
    }
    struct clade_response *response =
        wait_for(r->im, clade_txn_send(r->im->client, r->txn, 0, on_answer, &call), &call);
    int code = clade_response_code(response);
    if (code == 0) {
        count(r, from, to, events, response);
    } else if (!import_stopped_by(r->im, response)) {
        *ret_response = response;
        return outcome_of(response);
    }
    clade_response_free(response);
    return code == 0 ? SENT : STOPPED;
}

static enum outcome try_once(struct reader *r,
                             size_t from,
                             size_t to,
                             struct clade_response **ret_response)
{
    json_t *found = find(r, from, to);
    if (found == NULL) {
        return STOPPED;
    }
    enum outcome outcome = STOPPED;
    size_t *events = NULL;
    struct openlineage_plan *plan = openlineage_plan_new(&r->index, found);
    for (size_t i = from; plan != NULL && i < to; i++) {
        openlineage_plan_add(plan, &r->events[i], i);
    }
    json_t *json = plan == NULL ? NULL : openlineage_plan_txn(plan, &events);
    if (json == NULL) {
        out_of_memory(r);
    } else {
        outcome = send_txn(r, from, to, json, events, ret_response);
    }
    json_decref(json);
    free(events);
    openlineage_plan_free(plan);
    json_decref(found);
    return outcome;
}

/* Events [from, to), as one transaction or in halves. */
static void send_events(struct reader *r, size_t from, size_t to)
{
    struct clade_response *response = NULL;
    enum outcome outcome = CHANGED_MEANWHILE;
    unsigned made = 0;
    for (unsigned i = 0; i < TRIES_MAX && made < MAKE_TRIES_MAX &&
                         (outcome == CHANGED_MEANWHILE || outcome == CANNOT_BE_MADE);
         i++) {
        clade_response_free(response);
        response = NULL;
        outcome = try_once(r, from, to, &response);
        made += outcome == CANNOT_BE_MADE;
    }
    if (outcome == SENT || outcome == STOPPED) {
        return;
    }
    if (to - from == 1) {
        import_refuse_response(r->im, r->file, r->events[from].line, false, response);
        clade_response_free(response);
        return;
    }
    clade_response_free(response);
    size_t middle = from + (to - from) / 2;
    send_events(r, from, middle);
    if (!r->im->stop) {
        send_events(r, middle, to);
    }
}

static void drop_events(struct reader *r)
{
    for (size_t i = 0; i < r->events_len; i++) {
        openlineage_release(&r->events[i]);
    }
    r->events_len = 0;
}

/* --- reading --------------------------------------------------------------------------------- */

static bool is_blank(struct span line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t') {
            return false;
        }
    }
    return true;
}

/* Reads a line; `ret` has an event when it is one. An enum lines_result or an error; *error says
 * what is wrong with a line. */
static int read_event(struct lines *lines,
                      struct openlineage_event *ret,
                      size_t *ret_bytes,
                      struct error *error)
{
    struct span line = {0};
    int result = lines_next(lines, &line);
    *ret_bytes = line.len;
    if (result == LINES_TOO_LONG) {
        error_set(error, CLADE_ERR_LIMIT, NULL, "longer than %u bytes", LINES_BYTES_MAX);
        return LINES_LINE;
    }
    if (result != LINES_LINE || is_blank(line)) {
        *ret_bytes = 0;
        return result;
    }
    if (openlineage_parse(line, ret, error) != 0) {
        openlineage_release(ret);
    } else {
        ret->line = lines->number;
    }
    return LINES_LINE;
}

static void cannot_read(struct reader *r)
{
    cli_say(r->im->cli, "%s: cannot be read: %m", r->file);
    r->im->stop = true;
    r->im->code = EXIT_REFUSED;
}

/* The first reading. */
static void make_index(struct reader *r, struct lines *lines)
{
    int result = LINES_LINE;
    while (result > 0 && !r->im->stop) {
        struct openlineage_event e = {0};
        struct error error = {0};
        size_t bytes;
        result = read_event(lines, &e, &bytes, &error);
        if (e.json != NULL && !openlineage_index_add(&r->index, &e)) {
            out_of_memory(r);
        }
        openlineage_release(&e);
    }
    if (result < 0) {
        cannot_read(r);
    }
}

static void refuse_line(struct reader *r, uint64_t line, const struct error *e)
{
    char reason[sizeof e->message + sizeof e->where + 32];
    (void)snprintf(reason, sizeof reason, "%s%s%s (%s)", e->where, e->where[0] == '\0' ? "" : ": ",
                   e->message, clade_error_name(e->code));
    import_refuse(r->im, r->file, line, reason);
}

/* Fills a window and sends it. False at the end of the file. */
static bool send_window(struct reader *r, struct lines *lines)
{
    size_t bytes_total = 0;
    int result = LINES_LINE;
    while (result > 0 && r->events_len < WINDOW_EVENTS_MAX && bytes_total < WINDOW_BYTES_MAX &&
           !r->im->stop && import_may_read(r->im)) {
        struct openlineage_event *e = &r->events[r->events_len];
        struct error error = {0};
        size_t bytes;
        result = read_event(lines, e, &bytes, &error);
        r->im->counts.read += result > 0 && (e->json != NULL || error.code != 0);
        if (result > 0 && error.code != 0) {
            refuse_line(r, lines->number, &error);
        }
        r->events_len += result > 0 && e->json != NULL;
        bytes_total += bytes;
    }
    if (result < 0) {
        cannot_read(r);
    }
    if (r->events_len > 0 && !r->im->stop) {
        send_events(r, 0, r->events_len);
    } else {
        import_wait(r->im);
    }
    drop_events(r);
    return result > 0 && !r->im->stop;
}

static void import_events(struct reader *r, int fd)
{
    for (int pass = 0; pass < 2 && !r->im->stop; pass++) {
        struct lines lines;
        if (lseek(fd, 0, SEEK_SET) < 0 || lines_init(&lines, fd) != 0) {
            cannot_read(r);
            return;
        }
        if (pass == 0) {
            make_index(r, &lines);
        } else {
            r->im->lines = &lines;
            while (send_window(r, &lines)) {
            }
            r->im->lines = NULL;
        }
        lines_release(&lines);
    }
}

static int import_path(struct reader *r, const char *path)
{
    int fd;
    int kept;
    int code = import_open_file(r->im, path, &fd);
    if (code != EXIT_DONE) {
        return code;
    }
    r->file = path;
    if (file_spool(fd, &kept) != 0) {
        cli_say(r->im->cli, "%s: cannot be kept in a temporary file: %m", path);
        import_close_file(r->im, fd);
        return EXIT_REFUSED;
    }
    import_events(r, kept);
    openlineage_index_release(&r->index);
    if (kept != fd) {
        (void)close(kept);
    }
    import_close_file(r->im, fd);
    return EXIT_DONE;
}

int import_openlineage(struct import *im, const char *const files[], size_t files_len)
{
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL || (r->txn = clade_txn_new()) == NULL) {
        cli_say(im->cli, "out of memory");
        free(r);
        return EXIT_REFUSED;
    }
    r->im = im;
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < files_len && !im->stop; i++) {
        code = import_path(r, files[i]);
    }
    clade_txn_free(r->txn);
    free(r);
    return code;
}
