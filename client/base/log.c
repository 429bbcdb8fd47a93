#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/time_text.h"
#include "base/utf8.h"

static struct {
    atomic_int fd;
    _Atomic enum log_format format;
    _Atomic enum log_level level;
} sink = {.fd = STDERR_FILENO, .format = LOG_TEXT, .level = LOG_INFO};

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error",
};

/* A line being made. Lines are cut, not refused: what does not fit is left out, whole field by
 * whole field, so that a JSON line stays one. */
struct line {
    char text[4096];
    size_t len;
    bool full;
    enum log_format format;
};

/* Kept free for what closes a line: quote, brace, newline. */
enum { TAIL_BYTES = 8 };

static void put(struct line *l, const char *data, size_t len)
{
    if (l->full || len > sizeof l->text - TAIL_BYTES - l->len) {
        l->full = true;
        return;
    }
    memcpy(l->text + l->len, data, len);
    l->len += len;
}

static void put_str(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

static void put_fmt(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put_fmt(struct line *l, const char *fmt, ...)
{
    char text[64];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    put(l, text, n < 0 || (size_t)n >= sizeof text ? 0 : (size_t)n);
}

/* Both formats quote in JSON's way; bytes that are not UTF-8 become U+FFFD. */
static void put_quoted(struct line *l, const char *s)
{
    struct span rest = span_of(s);
    put_str(l, "\"");
    while (rest.len > 0) {
        size_t n = utf8_printable_at(rest);
        uint8_t c = rest.data[0];
        if (c == '"' || c == '\\') {
            put_fmt(l, "\\%c", c);
        } else if (n > 0) {
            put(l, (const char *)rest.data, n);
        } else if (c < 0x80) {
            put_fmt(l, "\\u%04x", c);
        } else {
            put_str(l, "\\ufffd");
        }
        rest = span_skip(rest, n == 0 ? 1 : n);
    }
    put_str(l, "\"");
}

static bool needs_quotes(const char *s)
{
    return s[0] == '\0' || strpbrk(s, " \"\\=") != NULL || !utf8_is_printable(span_of(s));
}

static void put_text(struct line *l, const char *s)
{
    if (l->format == LOG_JSON || needs_quotes(s)) {
        put_quoted(l, s);
    } else {
        put_str(l, s);
    }
}

static void put_value(struct line *l, const struct log_field *f)
{
    if (f->type == LOG_TYPE_U64) {
        put_fmt(l, "%llu", (unsigned long long)f->value.u64);
    } else if (f->type == LOG_TYPE_I64) {
        put_fmt(l, "%lld", (long long)f->value.i64);
    } else {
        put_text(l, f->value.str == NULL ? "" : f->value.str);
    }
}

static void put_field(struct line *l, const struct log_field *f)
{
    size_t before = l->len;
    if (l->format == LOG_JSON) {
        put_str(l, before == 0 ? "{" : ",");
        put_quoted(l, f->key);
        put_str(l, ":");
    } else {
        put_str(l, before == 0 ? "" : " ");
        put_str(l, f->key);
        put_str(l, "=");
    }
    put_value(l, f);
    if (l->full) {
        l->len = before;
        l->full = false;
    }
}

static void write_line(const struct line *l)
{
    ssize_t n;
    do {
        n = write(sink.fd, l->text, l->len);
    } while (n < 0 && errno == EINTR);
}

void log_configure(int fd, enum log_format format, enum log_level level)
{
    sink.fd = fd;
    sink.format = format;
    sink.level = level;
}

bool log_enabled(enum log_level level)
{
    return level >= sink.level;
}

void log_write(enum log_level level, const char *event, const struct log_field fields[])
{
    if (!log_enabled(level)) {
        return;
    }
    int error_before = errno;
    char now[TIME_TEXT_BYTES];
    time_format(clock_wall_us(clock_system()), now);
    struct line l;
    l.len = 0;
    l.full = false;
    l.format = sink.format;
    put_field(&l, &LOG_STR("time", now));
    put_field(&l, &LOG_STR("level", level_names[level]));
    put_field(&l, &LOG_STR("event", event));
    for (const struct log_field *f = fields; f->type != LOG_TYPE_END; f++) {
        put_field(&l, f);
    }
    if (l.format == LOG_JSON) {
        l.text[l.len++] = '}';
    }
    l.text[l.len++] = '\n';
    write_line(&l);
    errno = error_before;
}
