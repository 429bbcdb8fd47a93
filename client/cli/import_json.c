/* NDJSON: each line its own transaction, many in flight.
 *
 *     free -> sent -> (answered) free
 *                  -> waiting -> sent again -> free      refused as NOT_FOUND the first time
 *
 * A line that is refused because something is not there may have overtaken the line that makes
 * it. It waits until every earlier line is answered and is tried once more. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/utf8.h"
#include "cli/file_digest.h"
#include "cli/import.h"
#include "cli/line_keys.h"
#include "cli/txn_json.h"

#define IN_FLIGHT_MAX 256

enum slot_state { SLOT_FREE, SLOT_SENT, SLOT_WAITING };

struct slot {
    struct import_json *owner;
    enum slot_state state;
    bool again; /* was sent a second time */
    struct clade_txn *txn;
    const char *file;
    uint64_t line;
    uint64_t order; /* of all lines of all files */
    struct line_keys keys;
};

struct import_json {
    struct import *im;
    struct slot slots[IN_FLIGHT_MAX];
    size_t used; /* slots that are not free */
    size_t waiting;
    uint64_t order_next;
    const char *file;
    int fd;
    struct lines lines;
    char digest[33]; /* of the file; "" until it is needed */
    json_t *held;    /* a line that was read and could not be sent yet */
    struct line_keys held_keys;
};

static void on_answer(struct clade_request *request, struct clade_response *response, void *arg);

static void slot_free(struct slot *s)
{
    s->owner->used--;
    s->state = SLOT_FREE;
}

static void slot_send(struct slot *s)
{
    s->state = SLOT_SENT;
    if (clade_txn_send(s->owner->im->client, s->txn, 0, on_answer, s) == NULL) {
        import_refuse(s->owner->im, s->file, s->line, "out of memory");
        slot_free(s);
    }
}

static void count_line(struct import *im, const struct clade_response *response)
{
    enum import_status best = IMPORT_UNCHANGED;
    const struct clade_value *data = clade_response_data(response);
    for (size_t i = 0; i < clade_value_len(data); i++) {
        enum import_status status = import_status_of(clade_value_at(data, i));
        best = status > best ? status : best;
    }
    import_count(im, best);
}

static void on_answer(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct slot *s = arg;
    struct import_json *j = s->owner;
    int code = clade_response_code(response);
    if (code == CLADE_ERR_NOT_FOUND && !s->again) {
        s->state = SLOT_WAITING;
        j->waiting++;
    } else {
        if (code == 0) {
            count_line(j->im, response);
        } else if (!import_stopped_by(j->im, response)) {
            import_refuse_response(j->im, s->file, s->line, true, response);
        }
        slot_free(s);
    }
    clade_response_free(response);
}

/* Sends the earliest line again, if it is one that waits. */
static void retry_earliest(struct import_json *j)
{
    struct slot *earliest = NULL;
    for (size_t i = 0; j->waiting > 0 && i < IN_FLIGHT_MAX; i++) {
        struct slot *s = &j->slots[i];
        if (s->state != SLOT_FREE && (earliest == NULL || s->order < earliest->order)) {
            earliest = s;
        }
    }
    if (earliest != NULL && earliest->state == SLOT_WAITING) {
        j->waiting--;
        earliest->again = true;
        slot_send(earliest);
    }
}

static bool conflicts(const struct import_json *j)
{
    for (size_t i = 0; i < IN_FLIGHT_MAX; i++) {
        if (j->slots[i].state != SLOT_FREE &&
            line_keys_conflict(&j->slots[i].keys, &j->held_keys)) {
            return true;
        }
    }
    return false;
}

static void refuse_error(struct import_json *j, const struct error *e)
{
    struct buffer b;
    buffer_init(&b, 4096);
    buffer_append_fmt(&b, "%s%s%s (%s)", e->where, e->where[0] == '\0' ? "" : ": ", e->message,
                      clade_error_name(e->code));
    buffer_append_u8(&b, '\0');
    import_refuse(j->im, j->file, j->lines.number,
                  b.failed ? clade_error_name(e->code) : (const char *)b.data);
    buffer_release(&b);
}

/* Unnamed things need the file's digest before the first of them is sent. */
static int identify(struct import_json *j, struct error *error)
{
    if (txn_json_needs_identity(j->held) && j->digest[0] == '\0') {
        int err = file_digest(j->fd, j->digest);
        if (err != 0) {
            return error_set(error, err, NULL, "reading the file again: %m");
        }
    }
    txn_json_identify(j->held, j->digest, j->lines.number);
    return 0;
}

static struct slot *slot_take(struct import_json *j)
{
    for (size_t i = 0; i < IN_FLIGHT_MAX; i++) {
        if (j->slots[i].state == SLOT_FREE) {
            return &j->slots[i];
        }
    }
    return NULL;
}

static void send_held(struct import_json *j)
{
    struct slot *s = slot_take(j);
    CHECK(s != NULL);
    struct error error = {0};
    clade_txn_clear(s->txn);
    int err = identify(j, &error);
    if (err == 0) {
        err = txn_from_json(j->held, s->txn, &error);
    }
    if (err != 0) {
        refuse_error(j, &error);
    } else {
        if (j->im->cli->settings.reason != NULL && json_object_get(j->held, "reason") == NULL) {
            clade_txn_reason(s->txn, j->im->cli->settings.reason);
        }
        s->file = j->file;
        s->line = j->lines.number;
        s->order = j->order_next++;
        s->again = false;
        s->keys = j->held_keys;
        j->used++;
        slot_send(s);
    }
    json_decref(j->held);
    j->held = NULL;
}

static bool is_blank(struct span line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t') {
            return false;
        }
    }
    return true;
}

/* Reads the next line into `held`, unless it is blank or bad. False at the end. */
static bool read_line(struct import_json *j)
{
    struct span line;
    int result = lines_next(&j->lines, &line);
    if (result == LINES_END) {
        return false;
    }
    if (result < 0) {
        cli_say(j->im->cli, "%s: cannot be read: %m", j->file);
        j->im->stop = true;
        j->im->code = EXIT_REFUSED;
        return false;
    }
    if (result == LINES_LINE && is_blank(line)) {
        return true;
    }
    j->im->counts.read++;
    struct error error = {0};
    if (result == LINES_TOO_LONG) {
        error_set(&error, CLADE_ERR_LIMIT, NULL, "longer than %u bytes", LINES_BYTES_MAX);
        refuse_error(j, &error);
    } else if (!utf8_is_valid(line)) {
        error_set(&error, CLADE_ERR_INVALID, NULL, "not UTF-8");
        refuse_error(j, &error);
    } else if (json_parse(line, &j->held, &error) != 0) {
        refuse_error(j, &error);
    } else {
        line_keys_collect(j->held, &j->held_keys);
    }
    return true;
}

/* Reads and sends as much as pace, room and order allow. False when the file is at its end. */
static bool send_some(struct import_json *j)
{
    while (!j->im->stop) {
        if (j->held == NULL) {
            if (!import_may_read(j->im)) {
                return true;
            }
            if (!read_line(j)) {
                return false;
            }
            if (j->held == NULL) {
                continue;
            }
        }
        if (j->used == IN_FLIGHT_MAX || conflicts(j)) {
            return true;
        }
        send_held(j);
    }
    return false;
}

static int import_file(struct import_json *j)
{
    j->digest[0] = '\0';
    if (lines_init(&j->lines, j->fd) != 0) {
        cli_say(j->im->cli, "out of memory");
        return EXIT_REFUSED;
    }
    j->im->lines = &j->lines;
    bool more = true;
    while (more || j->used > 0) {
        more = more && send_some(j);
        retry_earliest(j);
        if (more || j->used > 0) {
            import_wait(j->im);
        }
    }
    if (j->held != NULL) {
        json_decref(j->held);
        j->held = NULL;
    }
    lines_release(&j->lines);
    return EXIT_DONE;
}

/* Opens one file, through a spool when it can be read only once, and imports it. */
static int import_path(struct import_json *j, const char *path)
{
    int fd;
    int code = import_open_file(j->im, path, &fd);
    if (code != EXIT_DONE) {
        return code;
    }
    j->file = path;
    if (file_spool(fd, &j->fd) != 0) {
        cli_say(j->im->cli, "%s: cannot be kept in a temporary file: %m", path);
        import_close_file(j->im, fd);
        return EXIT_REFUSED;
    }
    code = import_file(j);
    if (j->fd != fd) {
        (void)close(j->fd);
    }
    import_close_file(j->im, fd);
    return code;
}

int import_json(struct import *im, const char *const files[], size_t files_len)
{
    struct import_json *j = calloc(1, sizeof *j);
    int code = j == NULL ? EXIT_REFUSED : EXIT_DONE;
    for (size_t i = 0; j != NULL && i < IN_FLIGHT_MAX; i++) {
        j->slots[i].owner = j;
        j->slots[i].txn = clade_txn_new();
        code = j->slots[i].txn == NULL ? EXIT_REFUSED : code;
    }
    if (code != EXIT_DONE) {
        cli_say(im->cli, "out of memory");
    }
    if (j != NULL) {
        j->im = im;
    }
    for (size_t i = 0; code == EXIT_DONE && i < files_len && !im->stop; i++) {
        code = import_path(j, files[i]);
    }
    for (size_t i = 0; j != NULL && i < IN_FLIGHT_MAX; i++) {
        clade_txn_free(j->slots[i].txn);
    }
    free(j);
    return code;
}
