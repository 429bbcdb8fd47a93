/* Measures one kind of request: N in flight at once, each timed alone on the monotonic clock. */
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/bench_internal.h"
#include "cli/run.h"
#include "cli/text.h"

#define CLIENTS_MAX     4096
#define CONNECTIONS_MAX 256
#define COUNT_MAX       100000000
#define BYTES_MAX       CLADE_MAX_TEXT_BYTES
#define POINTS_MAX      20000
#define REFS_BYTES_MAX  (256u << 20)

static uint64_t now_us(void)
{
    return clock_monotonic_us(clock_system());
}

static void start_next(struct bench_slot *s);

static void on_done(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct bench_slot *s = arg;
    struct bench *b = s->bench;
    int code = clade_response_code(response);
    if (code == 0) {
        uint64_t us = now_us() - s->started_us;
        b->latencies_us[b->latencies_len++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    } else {
        if (b->failed++ == 0) {
            b->first_error = code;
            (void)cli_fail(b->cli, b->request->name, response);
        }
    }
    b->done++;
    clade_response_free(response);
    start_next(s);
}

static void start_next(struct bench_slot *s)
{
    struct bench *b = s->bench;
    if (b->started == b->count) {
        return;
    }
    uint64_t n = b->started++;
    s->started_us = now_us();
    if (b->request->start(s, n, on_done) == NULL) {
        b->failed++;
        b->done++;
        b->first_error = CLADE_ERR_NO_MEMORY;
    }
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The smallest latency that at least so many thousandths of the requests do not pass. */
static double percentile_ms(const struct bench *b, uint64_t thousandths)
{
    if (b->latencies_len == 0) {
        return 0;
    }
    uint64_t rank = (b->latencies_len * thousandths + 999) / 1000;
    return b->latencies_us[rank == 0 ? 0 : rank - 1] / 1000.0;
}

static void report(struct bench *b, double seconds)
{
    FILE *out = b->cli->out;
    qsort(b->latencies_us, b->latencies_len, sizeof *b->latencies_us, compare_u32);
    double per_second = (double)b->latencies_len / seconds;
    double p50 = percentile_ms(b, 500);
    double p99 = percentile_ms(b, 990);
    double p999 = percentile_ms(b, 999);
    if (b->cli->settings.write != WRITE_TABLE || args_has(&b->cli->args, FLAG_JSON)) {
        (void)fprintf(out,
                      "{\"name\":\"%s\",\"clients\":%llu,\"count\":%llu,\"failed\":%llu,"
                      "\"seconds\":%.3f,\"per_second\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
                      "\"p999_ms\":%.3f}\n",
                      b->request->name, (unsigned long long)b->slots_len,
                      (unsigned long long)b->count, (unsigned long long)b->failed, seconds,
                      per_second, p50, p99, p999);
        return;
    }
    char rate[TEXT_BYTES_MAX];
    text_count((uint64_t)per_second, rate);
    (void)fprintf(out,
                  "%s, %llu at once: %s/s, p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, %llu failed\n",
                  b->request->name, (unsigned long long)b->slots_len, rate, p50, p99, p999,
                  (unsigned long long)b->failed);
}

/* --- setting up ----------------------------------------------------------------------------- */

/* --ref, and the lines of --refs. */
static int take_refs(struct bench *b)
{
    for (size_t i = 0; i < b->cli->args.flags_len; i++) {
        const struct args_flag *f = &b->cli->args.flags[i];
        if (f->id == FLAG_REF && !cli_list_add(&b->refs, span_of(f->value))) {
            return cli_no_memory(b->cli);
        }
    }
    const char *path = args_get(&b->cli->args, FLAG_REFS_FILE);
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (path != NULL && file == NULL) {
        return cli_usage(b->cli, "--refs: %s cannot be opened", path);
    }
    char *line = NULL;
    size_t capacity = 0;
    bool ok = true;
    for (ssize_t len; ok && file != NULL && (len = getline(&line, &capacity, file)) > 0;) {
        len -= line[len - 1] == '\n';
        ok = len == 0 || cli_list_add(&b->refs, span_make(line, (size_t)len));
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return ok ? EXIT_DONE : cli_no_memory(b->cli);
}

/* Without references, requests go round the first things of the namespace. */
static int collect_refs(struct bench *b)
{
    struct clade_read read = {.limit = 1000};
    const char *kind = b->request->refs;
    int code = take_refs(b);
    if (code != EXIT_DONE || b->refs.len > 0 || (kind != NULL && kind[0] == '\0')) {
        return code;
    }
    if (kind == NULL) {
        return cli_usage(b->cli, "bench %s needs a --ref", b->request->name);
    }
    code = cli_open(b->cli);
    if (code != EXIT_DONE) {
        return code;
    }
    struct clade_response *response = clade_list_wait(b->cli->client, kind, NULL, &read);
    if (clade_response_code(response) != 0) {
        code = cli_fail(b->cli, NULL, response);
    }
    const struct clade_value *data = clade_response_data(response);
    for (size_t i = 0; i < clade_value_len(data); i++) {
        size_t len = 0;
        const char *ref = clade_value_strn(clade_value_get(clade_value_at(data, i), "ref"), &len);
        if (ref != NULL && !cli_list_add(&b->refs, span_make(ref, len))) {
            code = EXIT_REFUSED;
        }
    }
    clade_response_free(response);
    if (code == EXIT_DONE && b->refs.len == 0) {
        cli_say(b->cli, "there is no %s to ask for; make one first, or give a --ref", kind);
        code = EXIT_NOT_FOUND;
    }
    return code;
}

static int open_clients(struct bench *b)
{
    struct clade_options options = cli_options(b->cli, 0);
    uint64_t each = (b->slots_len + b->connections - 1) / b->connections;
    options.requests_max = (unsigned)(each > 4096 ? 4096 : each);
    for (; b->clients_open < b->connections; b->clients_open++) {
        int err = clade_client_new(&b->loop, &options, &b->clients[b->clients_open]);
        if (err != 0) {
            cli_say(b->cli, "%s", clade_error_text(err));
            return cli_exit_code(err);
        }
    }
    for (uint64_t i = 0; i < b->slots_len; i++) {
        b->slots[i] = (struct bench_slot){
            .bench = b, .client = b->clients[i % b->connections], .txn = clade_txn_new()};
        if (b->slots[i].txn == NULL) {
            cli_say(b->cli, "out of memory");
            return EXIT_REFUSED;
        }
    }
    return EXIT_DONE;
}

static int read_numbers(struct bench *b, uint64_t *ret_bytes)
{
    struct cli *cli = b->cli;
    if (!cli_uint(cli, FLAG_CLIENTS, 64, &b->slots_len) ||
        !cli_uint(cli, FLAG_CONNECTIONS, 1, &b->connections) ||
        !cli_uint(cli, FLAG_COUNT, 10000, &b->count) ||
        !cli_uint(cli, FLAG_BYTES, 256, ret_bytes) || !cli_uint(cli, FLAG_SERIES, 10, &b->series) ||
        !cli_uint(cli, FLAG_POINTS, 1000, &b->points) || !cli_uint(cli, FLAG_EACH, 1, &b->each)) {
        return EXIT_USAGE;
    }
    if (b->each == 0 || b->each > CLADE_MAX_GET_REFERENCES) {
        return cli_usage(cli, "--each is from 1 to %d", CLADE_MAX_GET_REFERENCES);
    }
    if (b->series == 0 || b->points < b->series || b->points > POINTS_MAX) {
        return cli_usage(cli, "--points up to %d, --series 1 to as many", POINTS_MAX);
    }
    if (b->slots_len == 0 || b->slots_len > CLIENTS_MAX || b->connections == 0 ||
        b->connections > CONNECTIONS_MAX || b->count == 0 || b->count > COUNT_MAX ||
        *ret_bytes > BYTES_MAX) {
        return cli_usage(
            cli, "--clients 1 to %d, --connections 1 to %d, --count 1 to %d, --bytes up to %d",
            CLIENTS_MAX, CONNECTIONS_MAX, COUNT_MAX, BYTES_MAX);
    }
    return EXIT_DONE;
}

static int prepare(struct bench *b)
{
    uint64_t bytes;
    int code = read_numbers(b, &bytes);
    if (code != EXIT_DONE) {
        return code;
    }
    const char *labels = args_get(&b->cli->args, FLAG_LABELS);
    b->text = calloc(1, bytes + 1);
    b->latencies_us = calloc(b->count, sizeof *b->latencies_us);
    b->slots = calloc(b->slots_len, sizeof *b->slots);
    b->clients = calloc(b->connections, sizeof(struct clade_client *));
    if (b->text == NULL || b->latencies_us == NULL || b->slots == NULL || b->clients == NULL ||
        (labels != NULL && !cli_split(labels, &b->labels))) {
        cli_say(b->cli, "out of memory");
        return EXIT_REFUSED;
    }
    memset(b->text, 'x', bytes);
    b->stamp = clock_wall_us(clock_system()) * 64 + (uint64_t)getpid() % 64;
    code = collect_refs(b);
    if (code == EXIT_DONE && strcmp(b->request->name, "get") == 0 && b->refs.len < b->each) {
        code = cli_usage(b->cli, "--each %llu: there are only %zu references",
                         (unsigned long long)b->each, b->refs.len);
    }
    return code != EXIT_DONE ? code : open_clients(b);
}

static void on_closed(struct clade_client *client, void *arg)
{
    ++*(size_t *)arg;
}

static void finish(struct bench *b)
{
    size_t closed = 0;
    for (size_t i = 0; i < b->clients_open; i++) {
        clade_client_close(b->clients[i], on_closed, &closed);
    }
    while (closed < b->clients_open) {
        (void)uv_run(&b->loop, UV_RUN_ONCE);
    }
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&b->loop);
    for (uint64_t i = 0; b->slots != NULL && i < b->slots_len; i++) {
        clade_txn_free(b->slots[i].txn);
    }
    free(b->clients);
    free(b->slots);
    free(b->latencies_us);
    free(b->text);
    cli_list_release(&b->refs);
    cli_list_release(&b->labels);
}

int run_bench(struct cli *cli)
{
    struct bench b = {.cli = cli, .request = bench_request_find(cli->args.command->subject)};
    arena_init(&b.refs.arena, REFS_BYTES_MAX);
    int err = uv_loop_init(&b.loop);
    CHECK(err == 0);
    int code = prepare(&b);
    if (code == EXIT_DONE) {
        uint64_t started_us = now_us();
        for (uint64_t i = 0; i < b.slots_len; i++) {
            start_next(&b.slots[i]);
        }
        while (b.done < b.count && uv_run(&b.loop, UV_RUN_ONCE) != 0) {
        }
        report(&b, (double)(now_us() - started_us) / 1e6);
        code = b.failed > 0 ? cli_exit_code(b.first_error) : EXIT_DONE;
    }
    finish(&b);
    return code;
}
