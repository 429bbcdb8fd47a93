/* JSON's grammar (RFC 8259), read once, without recursion and without memory. */
#include <clade.h>

#include "base/utf8.h"
#include "command/check_internal.h"
#include "command/prop.h"

struct json {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    uint64_t objects; /* a bit a level: an object, else an array */
    unsigned depth;
};

_Static_assert(CLADE_MAX_PROP_JSON_DEPTH <= 64, "a level has a bit");

static void skip_blanks(struct json *j)
{
    while (j->at < j->end && memchr(" \t\n\r", *j->at, 4) != NULL) {
        j->at++;
    }
}

static bool take(struct json *j, uint8_t c)
{
    bool is = j->at < j->end && *j->at == c;
    j->at += is;
    return is;
}

static bool take_word(struct json *j, const char *word)
{
    size_t len = strlen(word);
    bool is = (size_t)(j->end - j->at) >= len && memcmp(j->at, word, len) == 0;
    j->at += is ? len : 0;
    return is;
}

static bool take_digits(struct json *j)
{
    const uint8_t *from = j->at;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9') {
        j->at++;
    }
    return j->at > from;
}

static bool take_number(struct json *j)
{
    (void)take(j, '-');
    if (!take(j, '0') && !take_digits(j)) {
        return false;
    }
    if (take(j, '.') && !take_digits(j)) {
        return false;
    }
    if (take(j, 'e') || take(j, 'E')) {
        (void)(take(j, '+') || take(j, '-'));
        return take_digits(j);
    }
    return true;
}

static bool take_escape(struct json *j)
{
    if (!take(j, 'u')) {
        bool known = j->at < j->end && memchr("\"\\/bfnrt", *j->at, 8) != NULL;
        j->at += known;
        return known;
    }
    for (int i = 0; i < 4; i++, j->at++) {
        if (j->at == j->end || memchr("0123456789abcdefABCDEF", *j->at, 22) == NULL) {
            return false;
        }
    }
    return true;
}

static bool take_string(struct json *j)
{
    if (!take(j, '"')) {
        return false;
    }
    while (j->at < j->end && *j->at >= 0x20) {
        if (take(j, '"')) {
            return true;
        }
        if (!take(j, '\\')) {
            j->at++;
        } else if (!take_escape(j)) {
            return false;
        }
    }
    return false;
}

static bool take_key(struct json *j)
{
    skip_blanks(j);
    bool is = take_string(j);
    skip_blanks(j);
    return is && take(j, ':');
}

static bool take_scalar(struct json *j)
{
    if (j->at < j->end && *j->at == '"') {
        return take_string(j);
    }
    return take_word(j, "true") || take_word(j, "false") || take_word(j, "null") || take_number(j);
}

enum step { STEP_BAD, STEP_DEEP, STEP_VALUE, STEP_DONE };

/* A value begins: what is expected after it, or inside of it. */
static enum step begin_value(struct json *j)
{
    skip_blanks(j);
    bool object = take(j, '{');
    if (!object && !take(j, '[')) {
        return take_scalar(j) ? STEP_DONE : STEP_BAD;
    }
    skip_blanks(j);
    if (take(j, object ? '}' : ']')) {
        return STEP_DONE;
    }
    if (j->depth == CLADE_MAX_PROP_JSON_DEPTH) {
        return STEP_DEEP;
    }
    uint64_t bit = UINT64_C(1) << j->depth++;
    j->objects = object ? j->objects | bit : j->objects & ~bit;
    return !object || take_key(j) ? STEP_VALUE : STEP_BAD;
}

/* A value has ended: closes what ends with it. */
static enum step end_value(struct json *j)
{
    while (j->depth > 0) {
        bool object = (j->objects >> (j->depth - 1) & 1) != 0;
        skip_blanks(j);
        if (take(j, ',')) {
            return !object || take_key(j) ? STEP_VALUE : STEP_BAD;
        }
        if (!take(j, object ? '}' : ']')) {
            return STEP_BAD;
        }
        j->depth--;
    }
    skip_blanks(j);
    return j->at == j->end ? STEP_DONE : STEP_BAD;
}

int json_check(struct span text, struct error *error)
{
    if (!utf8_is_valid(text)) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "JSON must be UTF-8");
    }
    struct json j = {.start = text.data, .at = text.data, .end = text.data + text.len};
    enum step step = STEP_VALUE;
    while (step == STEP_VALUE) {
        step = begin_value(&j);
        if (step == STEP_DONE) {
            step = end_value(&j);
        }
    }
    if (step == STEP_DEEP) {
        return check_fail(error, CLADE_ERR_LIMIT, NULL, "JSON is nested at most %d levels deep",
                          (int)CLADE_MAX_PROP_JSON_DEPTH);
    }
    return step == STEP_DONE
               ? 0
               : check_fail(error, CLADE_ERR_INVALID, NULL, "it is no JSON: byte %zu is wrong",
                            (size_t)(j.at - j.start));
}
