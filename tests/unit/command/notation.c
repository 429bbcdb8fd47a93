#include "notation.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/check.h"

static const char *skip_space(const char *s)
{
    while (isspace((unsigned char)*s) || *s == ',' || *s == ':') {
        s++;
    }
    return s;
}

static const char *put(struct buffer *b, const char *s);

static const char *put_members(struct buffer *b, const char *s, char close, uint32_t *ret)
{
    uint32_t n = 0;
    for (s = skip_space(s + 1); *s != close; s = skip_space(s)) {
        CHECK(*s != '\0');
        s = put(b, s);
        n++;
    }
    *ret = n;
    return s + 1;
}

static const char *put(struct buffer *b, const char *s)
{
    uint32_t n;
    s = skip_space(s);
    if (*s == '{') {
        size_t at = value_begin_map(b);
        s = put_members(b, s, '}', &n);
        value_end(b, at, n / 2);
    } else if (*s == '[') {
        size_t at = value_begin_array(b);
        s = put_members(b, s, ']', &n);
        value_end(b, at, n);
    } else if (*s == '\'') {
        const char *end = strchr(s + 1, '\'');
        CHECK(end != NULL);
        value_put_span(b, span_make(s + 1, (size_t)(end - s - 1)));
        s = end + 1;
    } else if (strncmp(s, "nil", 3) == 0 || strncmp(s, "null", 4) == 0) {
        value_put_nil(b);
        s += s[1] == 'i' ? 3 : 4;
    } else if (strncmp(s, "true", 4) == 0) {
        value_put_bool(b, true);
        s += 4;
    } else if (strncmp(s, "false", 5) == 0) {
        value_put_bool(b, false);
        s += 5;
    } else if (s[strspn(s, "-0123456789")] == '.') {
        char *end;
        value_put_double(b, strtod(s, &end));
        s = end;
    } else {
        char *end;
        CHECK(*s == '-' || (*s >= '0' && *s <= '9'));
        if (*s == '-') {
            value_put_int(b, strtoll(s, &end, 10));
        } else {
            value_put_uint(b, strtoull(s, &end, 10));
        }
        s = end;
    }
    return s;
}

void notation_put(struct buffer *b, const char *text)
{
    put(b, text);
}
