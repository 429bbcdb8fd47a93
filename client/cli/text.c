#include "cli/text.h"

#include <stdio.h>
#include <time.h>

#include "base/time_text.h"

#define US_PER_S 1000000u

void text_count(uint64_t n, char text[TEXT_BYTES_MAX])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
}

void text_size(uint64_t bytes, char text[TEXT_BYTES_MAX])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        (void)snprintf(text, TEXT_BYTES_MAX, "%u B", (unsigned)bytes);
        return;
    }
    double v = (double)bytes / 1024;
    size_t unit = 0;
    /* 1023.95 would be shown as 1024.0 of the smaller unit. */
    while (v >= 1023.95 && unit + 1 < sizeof units / sizeof *units) {
        v /= 1024;
        unit++;
    }
    (void)snprintf(text, TEXT_BYTES_MAX, "%.1f %s", v, units[unit]);
}

void text_local_time(uint64_t us, char text[TEXT_BYTES_MAX])
{
    time_t seconds = (time_t)(us / US_PER_S);
    struct tm tm;
    if (us == 0 || localtime_r(&seconds, &tm) == NULL ||
        strftime(text, TEXT_BYTES_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        text[0] = '-';
        text[1] = '\0';
    }
}

void text_duration(uint64_t ms, char text[TEXT_BYTES_MAX])
{
    uint64_t s = (ms + 999) / 1000;
    unsigned long long h = s / 3600;
    unsigned m = (unsigned)(s / 60 % 60);
    if (h > 0) {
        (void)snprintf(text, TEXT_BYTES_MAX, "%lluh%02um", h, m);
    } else if (m > 0) {
        (void)snprintf(text, TEXT_BYTES_MAX, "%um%02us", m, (unsigned)(s % 60));
    } else {
        (void)snprintf(text, TEXT_BYTES_MAX, "%us", (unsigned)s);
    }
}

/* Reads digits at *text and moves on; false when there is none or they overflow. */
static bool take_uint(const char **text, uint64_t *ret)
{
    const char *c = *text;
    uint64_t n = 0;
    for (; *c >= '0' && *c <= '9'; c++) {
        unsigned digit = (unsigned)(*c - '0');
        if (n > (UINT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    if (c == *text) {
        return false;
    }
    *text = c;
    *ret = n;
    return true;
}

bool text_parse_uint(const char *text, uint64_t *ret)
{
    uint64_t n;
    if (!take_uint(&text, &n) || *text != '\0') {
        return false;
    }
    *ret = n;
    return true;
}

bool text_parse_duration(const char *text, uint64_t bare_ms, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t n;
    if (!take_uint(&text, &n)) {
        return false;
    }
    uint64_t unit_ms = *text == '\0' ? bare_ms : 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text, units[i].unit) == 0) {
            unit_ms = units[i].ms;
        }
    }
    if (unit_ms == 0 || n > UINT64_MAX / unit_ms) {
        return false;
    }
    *ret_ms = n * unit_ms;
    return true;
}

/* "14:30", "14:30:15", "14:30:15.25" behind a date. */
static bool take_clock(const char *text, struct tm *tm, uint64_t *ret_us)
{
    int len = 0;
    if (sscanf(text, "%2d:%2d%n", &tm->tm_hour, &tm->tm_min, &len) != 2 || len != 5) {
        return false;
    }
    text += len;
    len = 0;
    if (*text == ':') {
        if (sscanf(text, ":%2d%n", &tm->tm_sec, &len) != 1 || len != 3) {
            return false;
        }
        text += len;
    }
    uint64_t us = 0;
    if (*text == '.' && text[1] != '\0') {
        text++;
        for (uint64_t unit = US_PER_S / 10; *text >= '0' && *text <= '9'; text++, unit /= 10) {
            us += unit * (uint64_t)(*text - '0');
        }
    }
    *ret_us = us;
    return *text == '\0' && tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

static bool parse_local(const char *text, uint64_t *ret_us)
{
    struct tm tm = {.tm_isdst = -1};
    int len = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &len) != 3 ||
        len != 10 || tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
        tm.tm_mday > 31) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int day = tm.tm_mday;
    uint64_t us = 0;
    bool is_date = text[len] == '\0';
    if (is_date) {
        tm.tm_mday++; /* the midnight that ends it */
    } else if ((text[len] != 'T' && text[len] != ' ') || !take_clock(text + len + 1, &tm, &us)) {
        return false;
    }
    struct tm day_check = {
        .tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = day, .tm_hour = 12};
    if (timegm(&day_check) < 0 || day_check.tm_mday != day) {
        return false; /* 30 February */
    }
    time_t seconds = mktime(&tm);
    if (seconds < 0) {
        return false;
    }
    *ret_us = (uint64_t)seconds * US_PER_S + us - (is_date ? 1 : 0);
    return true;
}

bool text_parse_time(const char *text, uint64_t *ret_us)
{
    /* Dates come first: base's own reading of one is its end in UTC. */
    return parse_local(text, ret_us) || time_parse(span_of(text), ret_us) == 0;
}

void text_append_ref(struct buffer *b, const char *kind, const char *text)
{
    size_t len = strlen(kind);
    bool whole = strncmp(text, "//", 2) == 0 || strncmp(text, "id/", 3) == 0 || text[0] == '$' ||
                 (strncmp(text, kind, len) == 0 && (text[len] == '/'));
    if (!whole) {
        buffer_append_str(b, kind);
        buffer_append_str(b, "/");
    }
    buffer_append_str(b, text);
}
