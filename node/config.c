#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "node/config_internal.h"

static const char *const formats[] = {"text", "json", NULL};
static const char *const levels[] = {"debug", "info", "warning", "error", NULL};

#define KIB          UINT64_C(1024)
#define MIB          (1024 * KIB)
#define GIB          (1024 * MIB)
#define TIB          (1024 * GIB)
#define AT(member)   .offset = offsetof(struct config, member)
#define TEXT(member) AT(member), .text_bytes = sizeof(((struct config *)0)->member)

/* clang-format off */
static const struct option options[] = {
    [OPTION_DATA] = {"data", OPTION_TEXT, TEXT(data), .initial = "clade-data",
        .help = "the data folder"},
    [OPTION_CLUSTER] = {"cluster", OPTION_HEX, TEXT(cluster), .initial = "",
        .help = "refuse a data folder of another cluster than this id"},
    [OPTION_NODE] = {"node", OPTION_UINT, AT(node), .min = 1, .max = UINT64_MAX >> 1,
        .zero = true, .initial = "0",
        .help = "refuse a data folder of another node than this; 0 = any"},
    [OPTION_LISTEN] = {"listen", OPTION_ADDRESS, TEXT(listen), .initial = "127.0.0.1:7400",
        .help = "HOST:PORT for clients"},
    [OPTION_PEER_LISTEN] = {"peer_listen", OPTION_ADDRESS, TEXT(peer_listen), .initial = "",
        .help = "HOST:PORT for other members; default: this node's address in the member list"},
    [OPTION_ADVERTISE] = {"advertise", OPTION_ADDRESS, TEXT(advertise), .initial = "",
        .help = "HOST:PORT that clients are told; default: listen"},
    [OPTION_ALLOW_UNAUTHENTICATED] = {"allow_unauthenticated", OPTION_BOOL,
        AT(allow_unauthenticated), .initial = "false",
        .help = "allow addresses that are not loopback though nobody is authenticated"},
    [OPTION_LOG_FORMAT] = {"log_format", OPTION_WORD, AT(log_format), .words = formats,
        .reload = true, .initial = "text", .help = "text (key=value) or json"},
    [OPTION_LOG_LEVEL] = {"log_level", OPTION_WORD, AT(log_level), .words = levels,
        .reload = true, .initial = "info", .help = "debug, info, warning or error"},
    [OPTION_ELECTION_TIMEOUT_MS] = {"election_timeout_ms", OPTION_UINT, AT(election_timeout_ms),
        .min = 100, .max = 60000, .initial = "1000",
        .help = "a leader not heard for this long is replaced"},
    [OPTION_HEARTBEAT_MS] = {"heartbeat_ms", OPTION_UINT, AT(heartbeat_ms), .min = 10,
        .max = 20000, .initial = "100",
        .help = "how often a leader is heard; at most a third of election_timeout_ms"},
    [OPTION_THREADS] = {"threads", OPTION_UINT, AT(threads), .min = 1, .max = 64, .zero = true,
        .initial = "0", .help = "threads that serve connections; 0 = one a core"},
    [OPTION_READERS] = {"readers", OPTION_UINT, AT(readers), .min = 1, .max = 64, .initial = "2",
        .help = "threads that answer long queries, beside one for those that are quick"},
    [OPTION_CONNECTIONS_MAX] = {"connections_max", OPTION_UINT, AT(connections_max), .min = 1,
        .max = 1000000, .reload = true, .initial = "10000", .help = "client connections at once"},
    [OPTION_MEMORY_MAX] = {"memory_max", OPTION_SIZE, AT(memory_max), .min = 32 * MIB,
        .max = TIB, .reload = true, .initial = "512MiB",
        .help = "for requests and answers of all connections; above it they are refused"},
    [OPTION_PENDING_BYTES_MAX] = {"pending_bytes_max", OPTION_SIZE, AT(pending_bytes_max),
        .min = 2 * MIB, .max = 64 * GIB, .reload = true, .initial = "32MiB",
        .help = "commands that wait to be proposed"},
    [OPTION_UNPUBLISHED_BYTES_MAX] = {"unpublished_bytes_max", OPTION_SIZE,
        AT(unpublished_bytes_max), .min = 4 * MIB, .max = 64 * GIB, .reload = true, .initial = "64MiB",
        .help = "commands proposed and not yet readable"},
    [OPTION_LOG_BYTES] = {"log_bytes", OPTION_SIZE, AT(log_bytes), .min = MIB, .max = 64 * GIB,
        .reload = true, .initial = "64MiB",
        .help = "of the log in memory: above it a snapshot is taken and about half is let go"},
    [OPTION_ARCHIVE_BYTES] = {"archive_bytes", OPTION_SIZE, AT(archive_bytes), .min = 32 * MIB,
        .max = 64 * TIB, .reload = true, .initial = "1GiB",
        .help = "of applied entries on disk for members that are behind; 4 times that beside a copy"},
    [OPTION_ARCHIVE_AGE_S] = {"archive_age_s", OPTION_UINT, AT(archive_age_s), .min = 60,
        .max = UINT64_C(315360000), .zero = true, .reload = true, .initial = "604800",
        .help = "seconds after which they go all the same; 0 = never"},
    [OPTION_CATCH_UP_RATE_BYTES] = {"catch_up_rate_bytes", OPTION_SIZE, AT(catch_up_rate_bytes), .min = MIB,
        .max = 64 * GIB, .zero = true, .reload = true, .initial = "24MiB",
        .help = "a second, that this node sends to members which catch up; 0 = as fast as it goes"},
    [OPTION_MAP_BYTES] = {"map_bytes", OPTION_SIZE, AT(map_bytes), .min = 16 * MIB,
        .max = 64 * TIB, .zero = true, .initial = "0",
        .help = "address space for the store; 0 = sized to the file system"},
    [OPTION_LINEAGE_BYTES] = {"lineage_bytes", OPTION_SIZE, AT(lineage_bytes), .min = 2 * MIB,
        .max = TIB, .zero = true, .initial = "1GiB",
        .help = "memory for the lineage index, 40 bytes an edge; above it, and with 0, lineage is "
                "read from the disk"},
    [OPTION_HEADROOM_BYTES] = {"headroom_bytes", OPTION_SIZE, AT(headroom_bytes), .min = MIB,
        .max = TIB, .reload = true, .initial = "64MiB",
        .help = "with less disk space than this, or 1 %, writes are refused"},
    [OPTION_LOG_GUARD] = {"log_guard", OPTION_BOOL, AT(log_guard), .initial = "true",
        .help = "notice at start when the log lost what was acknowledged; false only to measure"},
    [OPTION_WATCH_STALL_MS] = {"watch_stall_ms", OPTION_UINT, AT(watch_stall_ms), .min = 100,
        .max = 3600000, .reload = true, .initial = "30000",
        .help = "a watcher that takes nothing for this long is cut off; it can go on later"},
    [OPTION_METRICS_LISTEN] = {"metrics_listen", OPTION_ADDRESS, TEXT(metrics_listen),
        .initial = "",
        .help = "HOST:PORT for metrics and health over HTTP: /metrics, /livez, /readyz; default: none"},
    [OPTION_READY_LAG] = {"ready_lag", OPTION_UINT, AT(ready_lag), .min = 1,
        .max = UINT64_C(1000000000), .reload = true, .initial = "10000",
        .help = "a node that is more log entries behind than this is not ready (/readyz)"},
    [OPTION_SLOW_REQUEST_MS] = {"slow_request_ms", OPTION_UINT, AT(slow_request_ms), .min = 1,
        .max = 3600000, .zero = true, .reload = true, .initial = "1000",
        .help = "requests that take longer are logged with what they did; 0 = none are"},
};
/* clang-format on */
_Static_assert(sizeof options / sizeof options[0] == OPTION_COUNT, "an option has no row");

static void *field_of(struct config *c, const struct option *o)
{
    return (char *)c + o->offset;
}

/* --- names --- */

const struct option *option_row(enum option_id id)
{
    return &options[id];
}

const char *option_key(enum option_id id)
{
    return options[id].key;
}

enum option_id option_by_key(struct span key)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (span_equal_str(key, options[i].key)) {
            return (enum option_id)i;
        }
    }
    return OPTION_COUNT;
}

enum option_id option_by_flag(struct span name)
{
    char key[64];
    if (name.len >= sizeof key) {
        return OPTION_COUNT;
    }
    for (size_t i = 0; i < name.len; i++) {
        key[i] = name.data[i] == '-' ? '_' : (char)name.data[i];
    }
    return option_by_key(span_make(key, name.len));
}

bool option_is_bool(enum option_id id)
{
    return options[id].type == OPTION_BOOL;
}

void option_write_flag(const char *key, char text[64])
{
    size_t n = strlen(key);
    for (size_t i = 0; i <= n && i < 63; i++) {
        text[i] = key[i] == '_' ? '-' : key[i];
    }
    text[63] = 0;
}

static void write_variable(const char *key, char text[64])
{
    (void)snprintf(text, 64, "CLADE_%s", key);
    for (char *p = text; *p != 0; p++) {
        *p = (char)toupper((unsigned char)*p);
    }
}

void option_describe_source(const struct config *c,
                            enum option_id id,
                            enum config_source source,
                            unsigned line,
                            char *text,
                            size_t text_bytes)
{
    char name[64];
    switch (source) {
    case SOURCE_FLAG:
        option_write_flag(options[id].key, name);
        (void)snprintf(text, text_bytes, "flag --%s", name);
        return;
    case SOURCE_ENVIRONMENT:
        write_variable(options[id].key, name);
        (void)snprintf(text, text_bytes, "environment %s", name);
        return;
    case SOURCE_FILE:
        if (line != 0) {
            (void)snprintf(text, text_bytes, "%.200s line %u", c->file, line);
        } else {
            (void)snprintf(text, text_bytes, "%.200s", c->file);
        }
        return;
    case SOURCE_DEFAULT:
        break;
    }
    (void)snprintf(text, text_bytes, "default");
}

/* --- values --- */

static bool parse_digits(struct span s, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.len == 0 || s.len > 20) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9' || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.data[i] - '0'), &v)) {
            return false;
        }
    }
    *ret = v;
    return true;
}

static bool parse_size(struct span s, uint64_t *ret)
{
    static const struct {
        const char *suffix;
        uint64_t factor;
    } units[] = {{"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}, {"TiB", TIB}};
    uint64_t factor = 1;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (s.len > 3 && memcmp(s.data + s.len - 3, units[i].suffix, 3) == 0) {
            factor = units[i].factor;
            s.len -= 3;
            break;
        }
    }
    uint64_t v;
    if (!parse_digits(s, &v) || __builtin_mul_overflow(v, factor, &v)) {
        return false;
    }
    *ret = v;
    return true;
}

/* Plain values print as they are: what config_print writes, config_set_yaml reads again. */
static bool is_plain_text(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < 0x20 || s.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_address(struct span s)
{
    size_t colon = s.len;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f) {
            return false;
        }
        if (s.data[i] == ':') {
            colon = i;
        }
    }
    uint64_t port;
    return colon > 0 && colon < s.len && parse_digits(span_skip(s, colon + 1), &port) &&
           port >= 1 && port <= 65535;
}

static bool is_hex_id(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!isxdigit(s.data[i]) || isupper(s.data[i])) {
            return false;
        }
    }
    return s.len == 32;
}

static bool store_text(struct config *c, const struct option *o, struct span value)
{
    if (value.len >= o->text_bytes || !is_plain_text(value)) {
        return false;
    }
    char *to = field_of(c, o);
    memcpy(to, value.data, value.len);
    to[value.len] = 0;
    return true;
}

static bool store_number(struct config *c, const struct option *o, struct span value)
{
    uint64_t v;
    if (!(o->type == OPTION_SIZE ? parse_size(value, &v) : parse_digits(value, &v)) ||
        ((v < o->min || v > o->max) && !(o->zero && v == 0))) {
        return false;
    }
    *(uint64_t *)field_of(c, o) = v;
    return true;
}

static bool store_bool(struct config *c, const struct option *o, struct span value)
{
    bool yes = span_equal_str(value, "true");
    if (!yes && !span_equal_str(value, "false")) {
        return false;
    }
    *(bool *)field_of(c, o) = yes;
    return true;
}

static bool store_word(struct config *c, const struct option *o, struct span value)
{
    for (unsigned i = 0; o->words[i] != NULL; i++) {
        if (span_equal_str(value, o->words[i])) {
            *(unsigned *)field_of(c, o) = i;
            return true;
        }
    }
    return false;
}

static bool store_value(struct config *c, const struct option *o, struct span value)
{
    bool unset = value.len == 0 && o->initial[0] == 0;
    switch (o->type) {
    case OPTION_TEXT:
        return value.len > 0 && store_text(c, o, value);
    case OPTION_ADDRESS:
        return (unset || is_address(value)) && store_text(c, o, value);
    case OPTION_HEX:
        return (unset || is_hex_id(value)) && store_text(c, o, value);
    case OPTION_UINT:
    case OPTION_SIZE:
        return store_number(c, o, value);
    case OPTION_BOOL:
        return store_bool(c, o, value);
    case OPTION_WORD:
        return store_word(c, o, value);
    }
    return false;
}

static void describe_range(const struct option *o, const char *what, char *text, size_t bytes)
{
    (void)snprintf(text, bytes, "%s from %" PRIu64 " to %" PRIu64 "%s", what, o->min, o->max,
                   o->zero ? ", or 0" : "");
}

static void describe_expected(const struct option *o, char *text, size_t bytes)
{
    switch (o->type) {
    case OPTION_TEXT:
        (void)snprintf(text, bytes, "text of 1 to %zu bytes", o->text_bytes - 1);
        return;
    case OPTION_ADDRESS:
        (void)snprintf(text, bytes, "HOST:PORT or [IPV6]:PORT, at most %zu bytes",
                       o->text_bytes - 1);
        return;
    case OPTION_HEX:
        (void)snprintf(text, bytes, "32 lower-case hexadecimal digits");
        return;
    case OPTION_UINT:
        describe_range(o, "a number", text, bytes);
        return;
    case OPTION_SIZE:
        describe_range(o, "bytes (KiB, MiB, GiB or TiB may follow)", text, bytes);
        return;
    case OPTION_BOOL:
        (void)snprintf(text, bytes, "true or false");
        return;
    case OPTION_WORD:
        (void)snprintf(text, bytes, "one of:");
        for (unsigned i = 0; o->words[i] != NULL; i++) {
            size_t at = strlen(text);
            (void)snprintf(text + at, bytes - at, " %s", o->words[i]);
        }
        return;
    }
}

int config_set(struct config *c,
               enum option_id id,
               struct span value,
               enum config_source source,
               unsigned line,
               struct error *error)
{
    const struct option *o = &options[id];
    struct config scratch; /* a value of lower rank is checked too, but changes nothing */
    struct config *to = c;
    if (c->sources[id] > source) {
        config_init(&scratch);
        to = &scratch;
    }
    if (!store_value(to, o, value)) {
        char from[256];
        char expected[160];
        option_describe_source(c, id, source, line, from, sizeof from);
        describe_expected(o, expected, sizeof expected);
        return error_set(error, CLADE_ERR_INVALID, from, "%s: '%.*s' is not %s", o->key,
                         (int)(value.len < 128 ? value.len : 128), (const char *)value.data,
                         expected);
    }
    to->sources[id] = source;
    to->lines[id] = line;
    return 0;
}

int config_set_environment(struct config *c, struct error *error)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        char name[64];
        write_variable(options[i].key, name);
        const char *value = getenv(name);
        if (value == NULL) {
            continue;
        }
        int r = config_set(c, (enum option_id)i, span_of(value), SOURCE_ENVIRONMENT, 0, error);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static bool is_wildcard(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
}

static int check_advertise(const struct config *c, struct error *error)
{
    enum option_id id = c->advertise[0] != 0 ? OPTION_ADVERTISE : OPTION_LISTEN;
    const char *address = c->advertise[0] != 0 ? c->advertise : c->listen;
    char from[256];
    if (!is_wildcard(address)) {
        return 0;
    }
    option_describe_source(c, id, c->sources[id], c->lines[id], from, sizeof from);
    return error_set(error, CLADE_ERR_INVALID, from,
                     "%s: clients cannot connect to '%s'; expected advertise: HOST:PORT as they "
                     "reach this node",
                     options[id].key, address);
}

static int check_heartbeat(const struct config *c, struct error *error)
{
    char from[256];
    if (c->heartbeat_ms * 3 <= c->election_timeout_ms) {
        return 0;
    }
    enum option_id id = c->sources[OPTION_HEARTBEAT_MS] != SOURCE_DEFAULT
                            ? OPTION_HEARTBEAT_MS
                            : OPTION_ELECTION_TIMEOUT_MS;
    option_describe_source(c, id, c->sources[id], c->lines[id], from, sizeof from);
    return error_set(error, CLADE_ERR_INVALID, from,
                     "heartbeat_ms: %" PRIu64 " is above a third of election_timeout_ms (%" PRIu64
                     "); expected at most %" PRIu64,
                     c->heartbeat_ms, c->election_timeout_ms, c->election_timeout_ms / 3);
}

int config_check(const struct config *c, struct error *error)
{
    int r = check_heartbeat(c, error);
    return r < 0 ? r : check_advertise(c, error);
}

void config_init(struct config *c)
{
    memset(c, 0, sizeof *c);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        (void)store_value(c, &options[i], span_of(options[i].initial));
    }
}
