#include "cli/import.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/run.h"
#include "cli/text.h"

/* A leader that was killed is replaced within seconds; a minute is a cluster that is down. */
#define IMPORT_TIMEOUT_MS 60000
#define TICK_MS           20
#define PROGRESS_US       200000
#define REASON_BYTES_MAX  (1u << 20)

static uint64_t now_us(void)
{
    return clock_monotonic_us(clock_system());
}

static void clear_progress(struct import *im)
{
    if (im->shows_progress && im->shown_us != 0) {
        (void)fputs("\r\x1b[K", im->cli->messages);
    }
}

static void show_progress(struct import *im)
{
    uint64_t now = now_us();
    if (!im->shows_progress || now - im->shown_us < PROGRESS_US || im->lines == NULL) {
        return;
    }
    im->shown_us = now;
    char lines[TEXT_BYTES_MAX];
    char rate[TEXT_BYTES_MAX];
    char left[TEXT_BYTES_MAX] = "";
    uint64_t elapsed_us = now - im->started_us + 1;
    text_count(im->counts.read, lines);
    text_count(im->counts.read * 1000000 / elapsed_us, rate);
    uint64_t done = im->lines->bytes_read - (im->lines->end - im->lines->start);
    if (im->bytes_total > done && done > 0) {
        double ratio = (double)(im->bytes_total - done) / (double)done;
        text_duration((uint64_t)((double)elapsed_us / 1000 * ratio), left);
    }
    (void)fprintf(im->cli->messages, "\r\x1b[K%s lines, %s/s%s%s", lines, rate,
                  left[0] == '\0' ? "" : ", left ", left);
    (void)fflush(im->cli->messages);
}

static void on_tick(uv_timer_t *timer)
{
    show_progress(timer->data);
}

struct namespace_call {
    struct clade_response *response;
    bool done;
};

static void on_namespace(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct namespace_call *call = arg;
    call->response = response;
    call->done = true;
}

/* a, a/b, a/b/c: each needs the one before it. */
static struct clade_request *create_namespaces(struct import *im,
                                               const char *path,
                                               struct namespace_call *call)
{
    struct clade_txn *txn = clade_txn_new();
    char prefix[CLADE_MAX_NAMESPACE_BYTES + 1];
    size_t len = strlen(path);
    if (txn == NULL || len >= sizeof prefix) {
        clade_txn_free(txn);
        return NULL;
    }
    clade_txn_namespace(txn, "default");
    for (size_t i = 1; i <= len; i++) {
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(prefix, path, i);
            prefix[i] = '\0';
            (void)clade_txn_create(txn, "namespace", prefix);
            clade_txn_if_exists(txn, CLADE_IF_EXISTS_MATCH);
        }
    }
    struct clade_request *request = clade_txn_send(im->client, txn, 0, on_namespace, call);
    clade_txn_free(txn);
    return request;
}

static struct clade_request *look_up_namespace(struct import *im,
                                               const char *path,
                                               struct namespace_call *call)
{
    char ref[CLADE_MAX_REFERENCE_BYTES];
    int len = snprintf(ref, sizeof ref, "namespace/%s", path);
    if (len < 0 || (size_t)len >= sizeof ref) {
        return NULL;
    }
    const char *refs[] = {ref};
    const struct clade_read read = {.view = CLADE_VIEW_HEADS};
    return clade_get(im->client, refs, 1, &read, 0, on_namespace, call);
}

/* A missing namespace is said once, instead of once for each line. */
static int prepare_namespace(struct import *im)
{
    struct cli *cli = im->cli;
    bool create = args_has(&cli->args, FLAG_CREATE_NAMESPACE);
    const char *path = cli->settings.ns == NULL ? "default" : cli->settings.ns;
    struct namespace_call call = {0};
    struct clade_request *request =
        create ? create_namespaces(im, path, &call) : look_up_namespace(im, path, &call);
    if (request == NULL) {
        return cli_usage(cli, "\"%s\" is not a namespace's path", path);
    }
    while (!call.done) {
        import_wait(im);
    }
    int code = EXIT_DONE;
    int error = clade_response_code(call.response);
    const struct clade_value *found = clade_value_at(clade_response_data(call.response), 0);
    /* The namespace of the client itself is looked up before the one that was asked for. */
    if (!create && (error == CLADE_ERR_NOT_FOUND || clade_value_get(found, "error") != NULL)) {
        cli_say(cli, "there is no namespace %s; --create-namespace makes it", path);
        code = EXIT_NOT_FOUND;
    } else if (error != 0) {
        code = cli_fail(cli, path, call.response);
    }
    clade_response_free(call.response);
    return code;
}

static void on_client_closed(struct clade_client *client, void *arg)
{
    *(bool *)arg = true;
}

int import_open(struct import *im, struct cli *cli)
{
    *im = (struct import){.cli = cli,
                          .strict = args_has(&cli->args, FLAG_STRICT),
                          .header = args_has(&cli->args, FLAG_HEADER),
                          .shows_progress =
                              isatty(STDERR_FILENO) != 0 && cli->settings.write == WRITE_TABLE,
                          .started_us = now_us()};
    if (!cli_uint(cli, FLAG_RATE, 0, &im->rate)) {
        return EXIT_USAGE;
    }
    struct clade_options options = cli_options(cli, IMPORT_TIMEOUT_MS);
    int err = uv_loop_init(&im->loop);
    CHECK(err == 0);
    err = clade_client_new(&im->loop, &options, &im->client);
    if (err != 0) {
        (void)uv_loop_close(&im->loop);
        cli_say(cli, "the endpoints, the namespace or the user are not valid");
        return err == CLADE_ERR_INVALID ? EXIT_USAGE : cli_exit_code(err);
    }
    err = uv_timer_init(&im->loop, &im->tick);
    CHECK(err == 0);
    im->tick.data = im;
    err = uv_timer_start(&im->tick, on_tick, TICK_MS, TICK_MS);
    CHECK(err == 0);
    int code = prepare_namespace(im);
    if (code != EXIT_DONE) {
        import_close(im);
    }
    im->started_us = now_us();
    return code;
}

void import_close(struct import *im)
{
    bool closed = false;
    clear_progress(im);
    clade_client_close(im->client, on_client_closed, &closed);
    while (!closed) {
        (void)uv_run(&im->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&im->tick, NULL);
    (void)uv_run(&im->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&im->loop);
}

int import_open_file(struct import *im, const char *path, int *ret_fd)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    *ret_fd = fd;
    if (fd < 0) {
        cli_say(im->cli, "%s: cannot be opened: %m", path);
        return EXIT_REFUSED;
    }
    struct stat st;
    im->bytes_total = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    return EXIT_DONE;
}

void import_close_file(struct import *im, int fd)
{
    im->lines = NULL;
    if (fd >= 0) {
        (void)close(fd);
    }
}

bool import_may_read(struct import *im)
{
    if (im->rate == 0) {
        return true;
    }
    uint64_t elapsed_us = now_us() - im->started_us;
    /* In floating point: a long import at a high rate would overflow the product. */
    return (double)im->counts.read <= (double)elapsed_us * (double)im->rate / 1e6;
}

void import_wait(struct import *im)
{
    (void)uv_run(&im->loop, UV_RUN_ONCE);
}

void import_refuse(struct import *im, const char *file, uint64_t line, const char *reason)
{
    clear_progress(im);
    (void)fprintf(im->cli->messages, "%s:%llu: %s\n", strcmp(file, "-") == 0 ? "stdin" : file,
                  (unsigned long long)line, reason);
    im->counts.refused++;
    if (im->strict && !im->stop) {
        im->stop = true;
        im->code = EXIT_REFUSED;
    }
}

void import_refuse_response(struct import *im,
                            const char *file,
                            uint64_t line,
                            bool numbered,
                            const struct clade_response *response)
{
    int code = clade_response_code(response);
    const char *message = response == NULL ? "" : clade_response_message(response);
    message = numbered ? message : cli_without_op(message);
    struct buffer b;
    buffer_init(&b, REASON_BYTES_MAX);
    buffer_append_fmt(&b, "%s (%s)", message[0] == '\0' ? clade_error_text(code) : message,
                      clade_error_name(code));
    buffer_append_u8(&b, '\0');
    import_refuse(im, file, line, b.failed ? clade_error_name(code) : (const char *)b.data);
    buffer_release(&b);
}

bool import_stopped_by(struct import *im, const struct clade_response *response)
{
    int error = clade_response_code(response);
    int code = cli_exit_code(error);
    bool trouble = code == EXIT_UNAVAILABLE || code == EXIT_UNKNOWN ||
                   error == CLADE_ERR_NO_MEMORY || error == CLADE_ERR_CANCELLED ||
                   error == CLADE_ERR_UNAUTHENTICATED || error == CLADE_ERR_IO;
    if (trouble && im->code != EXIT_UNAVAILABLE && im->code != EXIT_UNKNOWN) {
        clear_progress(im);
        im->code = cli_fail(im->cli, "the import stopped", response);
        im->stop = true;
    } else if (code == EXIT_UNKNOWN) {
        im->code = code; /* the worse of the two */
    }
    return trouble;
}

enum import_status import_status_of(const struct clade_value *result)
{
    size_t len = 0;
    const char *text = clade_value_strn(clade_value_get(result, "status"), &len);
    struct span status = span_make(text, text == NULL ? 0 : len);
    if (span_equal_str(status, "created")) {
        return IMPORT_CREATED;
    }
    return span_equal_str(status, "changed") || span_equal_str(status, "deleted") ||
                   span_equal_str(status, "undeleted")
               ? IMPORT_CHANGED
               : IMPORT_UNCHANGED;
}

void import_count(struct import *im, enum import_status status)
{
    im->counts.created += status == IMPORT_CREATED;
    im->counts.changed += status == IMPORT_CHANGED;
    im->counts.unchanged += status == IMPORT_UNCHANGED;
}

static void print_json_counts(const struct import *im)
{
    const struct import_counts *c = &im->counts;
    (void)fprintf(im->cli->out,
                  "{\"read\":%llu,\"created\":%llu,\"changed\":%llu,\"unchanged\":%llu,"
                  "\"refused\":%llu,\"implied\":%llu}\n",
                  (unsigned long long)c->read, (unsigned long long)c->created,
                  (unsigned long long)c->changed, (unsigned long long)c->unchanged,
                  (unsigned long long)c->refused, (unsigned long long)c->implied);
}

static void print_counts(const struct import *im)
{
    const struct import_counts *c = &im->counts;
    const uint64_t numbers[] = {c->read, c->created, c->changed, c->unchanged, c->refused};
    static const char *const words[] = {"lines read: ", " created, ", " changed, ", " unchanged, ",
                                        " refused"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[TEXT_BYTES_MAX];
        text_count(numbers[i], text);
        (void)fprintf(im->cli->out, "%s%s%s", text, i == 0 ? " " : "", words[i]);
    }
    (void)fputc('\n', im->cli->out);
    if (c->implied > 0) {
        char text[TEXT_BYTES_MAX];
        text_count(c->implied, text);
        (void)fprintf(im->cli->out, "%s types and stubs made for them\n", text);
    }
    if (c->created == 0 && c->changed == 0 && c->implied == 0) {
        (void)fputs("nothing changed\n", im->cli->out);
    }
}

static int import_all(struct import *im, const char *nodes, const char *edges)
{
    static const char *const standard_input[] = {"-"};
    const struct args *args = &im->cli->args;
    if (nodes != NULL || edges != NULL) {
        return import_graph(im, nodes, edges);
    }
    return args->arguments_len == 0 ? import_json(im, standard_input, 1)
                                    : import_json(im, args->arguments, args->arguments_len);
}

int run_import(struct cli *cli)
{
    const char *nodes = args_get(&cli->args, FLAG_NODES_FILE);
    const char *edges = args_get(&cli->args, FLAG_EDGES_FILE);
    if ((nodes != NULL || edges != NULL) && cli->args.arguments_len > 0) {
        return cli_usage(cli, "either FILEs, or --nodes and --edges");
    }
    struct import im;
    int code = import_open(&im, cli);
    if (code != EXIT_DONE) {
        return code;
    }
    code = import_all(&im, nodes, edges);
    import_close(&im);
    if (cli->settings.write == WRITE_TABLE && code == EXIT_DONE) {
        print_counts(&im);
    } else if (cli->settings.write != WRITE_TABLE) {
        print_json_counts(&im);
    }
    if (im.code == EXIT_UNAVAILABLE || im.code == EXIT_UNKNOWN) {
        return im.code;
    }
    if (code == EXIT_DONE) {
        code = im.code;
    }
    return code == EXIT_DONE && im.counts.refused > 0 ? EXIT_REFUSED : code;
}
