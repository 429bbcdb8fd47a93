#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/utf8.h"

/* What an error quotes may be any bytes, and snprintf cuts in the middle of a character. What
 * is not printable becomes '?'; a character cut at the end goes. */
static void make_printable(char *text, size_t capacity)
{
    size_t len = strlen(text);
    bool cut = len + 1 == capacity;
    size_t i = 0;
    while (i < len) {
        struct span rest = span_make(text + i, len - i);
        size_t n = utf8_printable_at(rest);
        if (n == 0 && cut && rest.len < 4 && (uint8_t)text[i] >= 0xC2) {
            text[i] = '\0';
            return;
        }
        if (n == 0) {
            text[i] = '?';
            n = 1;
        }
        i += n;
    }
}

/* Copies as much as fits. Not snprintf: gcc would have every caller of it prove that it fits. */
static void copy_text(char *to, size_t capacity, const char *from)
{
    size_t len = strnlen(from, capacity - 1);
    memmove(to, from, len);
    to[len] = '\0';
}

int error_set(struct error *e, int code, const char *where, const char *fmt, ...)
{
    if (e == NULL) {
        return code;
    }
    /* The arguments may point into *e. */
    struct error made = {.code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(made.message, sizeof made.message, fmt, args);
    va_end(args);
    copy_text(made.where, sizeof made.where, where == NULL ? "" : where);
    make_printable(made.message, sizeof made.message);
    make_printable(made.where, sizeof made.where);
    *e = made;
    return code;
}

/* text = prefix + joint + text. */
static void prepend(char *text, size_t capacity, const char *prefix, const char *joint)
{
    char old[sizeof((struct error *)0)->message];
    CHECK(capacity <= sizeof old);
    copy_text(old, sizeof old, text);
    copy_text(text, capacity, prefix);
    size_t at = strlen(text);
    copy_text(text + at, capacity - at, joint);
    at += strlen(text + at);
    copy_text(text + at, capacity - at, old);
    make_printable(text, capacity);
}

int error_wrap(struct error *e, const char *fmt, ...)
{
    CHECK(e != NULL);
    char prefix[sizeof e->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    prepend(e->message, sizeof e->message, prefix, ": ");
    return e->code;
}

void error_set_there(struct error *e, const char *fmt, ...)
{
    if (e == NULL) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(e->there, sizeof e->there, fmt, args);
    va_end(args);
    make_printable(e->there, sizeof e->there);
}

void error_prefix_where(struct error *e, const char *fmt, ...)
{
    if (e == NULL) {
        return;
    }
    char prefix[sizeof e->where];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    bool joined = e->where[0] == '\0' || e->where[0] == '[' || prefix[0] == '\0';
    prepend(e->where, sizeof e->where, prefix, joined ? "" : ".");
}
