#pragma once
/* Structured logs: one line an event, key=value or JSON, to a file descriptor. The log sink is
 * the only mutable global of the project. Library code never logs above debug; the node logs
 * once.
 *
 *     log_info("leader changed", LOG_U64("term", term), LOG_U64("leader", id));
 */
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

enum log_value_type { LOG_TYPE_END, LOG_TYPE_U64, LOG_TYPE_I64, LOG_TYPE_STR };

struct log_field {
    const char *key;
    enum log_value_type type;
    union {
        uint64_t u64;
        int64_t i64;
        const char *str; /* NULL prints as "" */
    } value;
};

#define LOG_U64(k, v)                                                                              \
    ((struct log_field){.key = (k), .type = LOG_TYPE_U64, .value.u64 = (uint64_t)(v)})
#define LOG_I64(k, v)                                                                              \
    ((struct log_field){.key = (k), .type = LOG_TYPE_I64, .value.i64 = (int64_t)(v)})
#define LOG_STR(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_STR, .value.str = (v)})

/* Where and how to log; default: stderr, text, info. Any thread, any time. */
void log_configure(int fd, enum log_format format, enum log_level level);
bool log_enabled(enum log_level level);
/* Writes one line with a single write(2): time, level, event, fields up to one of LOG_TYPE_END.
 * Control characters and quotes in values are escaped. Safe from any thread. */
void log_write(enum log_level level, const char *event, const struct log_field fields[]);

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})
#define log_debug(event, ...)                                                                      \
    (log_enabled(LOG_DEBUG) ? log_write(LOG_DEBUG, event, LOG_FIELDS(__VA_ARGS__)) : (void)0)
#define log_info(event, ...)    log_write(LOG_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_warning(event, ...) log_write(LOG_WARNING, event, LOG_FIELDS(__VA_ARGS__))
#define log_error(event, ...)   log_write(LOG_ERROR, event, LOG_FIELDS(__VA_ARGS__))
