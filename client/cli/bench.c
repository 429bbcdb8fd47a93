/* Measures one kind of request: N in flight at once, each timed alone on the monotonic clock. */
#include <stdlib.h>
#include <unistd.h>

#include <uv.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/run.h"
#include "cli/text.h"

#define CLIENTS_MAX     4096
#define CONNECTIONS_MAX 256
#define COUNT_MAX       100000000
#define BYTES_MAX       CLADE_MAX_TEXT_BYTES
#define NAME_BYTES_MAX  96
#define POINTS_MAX      20000

struct bench;

struct bench_slot {
    struct bench *bench;
    struct clade_client *client;
    struct clade_txn *txn;
    uint64_t started_us;
    uint64_t batches; /* logged so far */
};

struct bench {
    struct cli *cli;
    const char *what;
    uv_loop_t loop;
    struct clade_client **clients;
    size_t clients_open;
    struct bench_slot *slots;
    uint64_t slots_len;
    uint64_t connections;
    uint64_t count;
    uint64_t started; /* requests */
    uint64_t done;
    uint64_t failed;
    int first_error;
    uint32_t *latencies_us; /* of the requests that succeeded */
    uint64_t latencies_len;
    uint64_t series; /* of a batch */
    uint64_t points;
    char *text;     /* of `bytes` bytes */
    uint64_t stamp; /* makes names of this run its own */
    struct cli_list refs;
    struct cli_list labels;
};

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
            (void)cli_fail(b->cli, b->what, response);
        }
    }
    b->done++;
    clade_response_free(response);
    start_next(s);
}

static struct clade_request *start_create(struct bench_slot *s, uint64_t n)
{
    char name[NAME_BYTES_MAX];
    (void)snprintf(name, sizeof name, "bench-%llx-%llu", (unsigned long long)s->bench->stamp,
                   (unsigned long long)n);
    clade_txn_clear(s->txn);
    (void)clade_txn_create(s->txn, "artifact", name);
    clade_txn_set(s->txn, "description", s->bench->text);
    return clade_txn_send(s->client, s->txn, 0, on_done, s);
}

/* A batch of points of a run that is the slot's own, as a training would log them. */
static struct clade_request *start_log(struct bench_slot *s)
{
    struct bench *b = s->bench;
    char text[NAME_BYTES_MAX];
    (void)snprintf(text, sizeof text, "bench-%llx-%llu", (unsigned long long)b->stamp,
                   (unsigned long long)(s - b->slots));
    uint64_t each = b->points / b->series;
    uint64_t time_ms = clock_wall_us(clock_system()) / 1000;
    clade_txn_clear(s->txn);
    (void)clade_txn_create(s->txn, "run", text);
    clade_txn_if_exists(s->txn, CLADE_IF_EXISTS_MATCH);
    (void)clade_txn_log(s->txn, "$0");
    for (uint64_t k = 0; k < b->series; k++) {
        (void)snprintf(text, sizeof text, "metric/%llu", (unsigned long long)k);
        clade_txn_metric(s->txn, text, NULL, NULL);
        for (uint64_t i = 0; i < each; i++) {
            uint64_t step = s->batches * each + i;
            clade_txn_point(s->txn, (int64_t)step, time_ms + i, 1.0 / (double)(step + k + 1));
        }
    }
    s->batches++;
    return clade_txn_send(s->client, s->txn, 0, on_done, s);
}

static struct clade_request *start_get(struct bench_slot *s, uint64_t n)
{
    struct bench *b = s->bench;
    struct clade_read read = {.view = CLADE_VIEW_FULL,
                              .consistency = b->cli->settings.consistency,
                              .at_least = b->cli->settings.at_least,
                              .stale_ms = b->cli->settings.stale_ms};
    return clade_get(s->client, &b->refs.items[n % b->refs.len], 1, &read, 0, on_done, s);
}

static struct clade_request *start_closure(struct bench_slot *s, uint64_t n)
{
    struct bench *b = s->bench;
    struct clade_read read = {.consistency = b->cli->settings.consistency,
                              .at_least = b->cli->settings.at_least,
                              .stale_ms = b->cli->settings.stale_ms};
    struct clade_lineage lineage = {.ref = b->refs.items[n % b->refs.len],
                                    .labels = b->labels.items,
                                    .downstream = true,
                                    .count = true};
    return clade_lineage_walk(s->client, &lineage, &read, 0, on_done, s);
}

static void start_next(struct bench_slot *s)
{
    struct bench *b = s->bench;
    if (b->started == b->count) {
        return;
    }
    uint64_t n = b->started++;
    s->started_us = now_us();
    struct clade_request *request = strcmp(b->what, "create") == 0 ? start_create(s, n)
                                    : strcmp(b->what, "log") == 0  ? start_log(s)
                                    : strcmp(b->what, "get") == 0  ? start_get(s, n)
                                                                   : start_closure(s, n);
    if (request == NULL) {
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
                      b->what, (unsigned long long)b->slots_len, (unsigned long long)b->count,
                      (unsigned long long)b->failed, seconds, per_second, p50, p99, p999);
        return;
    }
    char rate[TEXT_BYTES_MAX];
    text_count((uint64_t)per_second, rate);
    (void)fprintf(out,
                  "%s, %llu at once: %s/s, p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, %llu failed\n",
                  b->what, (unsigned long long)b->slots_len, rate, p50, p99, p999,
                  (unsigned long long)b->failed);
}

/* --- setting up ----------------------------------------------------------------------------- */

/* Without --ref, gets go round the first things of the namespace. */
static int collect_refs(struct bench *b)
{
    struct clade_read read = {.limit = 1000};
    for (size_t i = 0; i < b->cli->args.flags_len; i++) {
        const struct args_flag *f = &b->cli->args.flags[i];
        if (f->id == FLAG_REF && !cli_list_add(&b->refs, span_of(f->value))) {
            return EXIT_REFUSED;
        }
    }
    if (b->refs.len > 0 || strcmp(b->what, "create") == 0 || strcmp(b->what, "log") == 0) {
        return EXIT_DONE;
    }
    if (strcmp(b->what, "closure") == 0) {
        return cli_usage(b->cli, "bench closure needs a --ref");
    }
    int code = cli_open(b->cli);
    if (code != EXIT_DONE) {
        return code;
    }
    struct clade_response *response = clade_list_wait(b->cli->client, "artifact", NULL, &read);
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
        cli_say(b->cli, "there is no artifact to get; run \"clade bench create\" first");
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
        !cli_uint(cli, FLAG_POINTS, 1000, &b->points)) {
        return EXIT_USAGE;
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
    struct bench b = {.cli = cli, .what = cli->args.command->subject};
    arena_init(&b.refs.arena, CLADE_MAX_ANSWER_BYTES);
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
