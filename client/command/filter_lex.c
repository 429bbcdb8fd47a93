/* Queries in text as tokens. */
#include <strings.h>

#include "command/check_internal.h"
#include "command/filter_internal.h"

int filter_fail_at(struct parser *p, size_t at, const char *what)
{
    return check_fail(p->error, CLADE_ERR_INVALID, NULL, "at byte %zu of the query: %s", at, what);
}

int filter_fail(struct parser *p, const char *what)
{
    return filter_fail_at(p, p->token.at, what);
}

int filter_no_room(struct parser *p, size_t bytes)
{
    return check_fail_no_room(p->arena, bytes, p->error);
}

/* --- Tokens --------------------------------------------------------------------------------- */

bool filter_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* What ends a word: everything after a key's first dot belongs to it otherwise. */
static bool ends_word(uint8_t c)
{
    return filter_is_blank(c) || c < 0x20 || strchr("()='\"`!<>,", c) != NULL;
}

uint8_t filter_peek(const struct parser *p)
{
    return p->at < p->text.len ? p->text.data[p->at] : 0;
}

/* The bytes between the quotes, from p->at on, the closing one not among them; SIZE_MAX when it is
 * not there. */
static size_t quoted_bytes(const struct parser *p, uint8_t quote)
{
    size_t at = p->at;
    while (at < p->text.len) {
        if (p->text.data[at] != quote) {
            at++;
        } else if (at + 1 < p->text.len && p->text.data[at + 1] == quote) {
            at += 2;
        } else {
            return at - p->at;
        }
    }
    return SIZE_MAX;
}

/* A quoted text; the quote itself stands in it doubled. */
static int lex_quoted(struct parser *p)
{
    uint8_t quote = filter_peek(p);
    p->at++;
    size_t bytes = quoted_bytes(p, quote);
    if (bytes == SIZE_MAX) {
        return filter_fail(p, "the quote is not closed");
    }
    uint8_t *text = arena_alloc(p->arena, bytes + 1);
    if (text == NULL) {
        return filter_no_room(p, bytes + 1);
    }
    size_t len = 0;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = p->text.data[p->at + i];
        text[len++] = c;
        i += c == quote;
    }
    p->at += bytes + 1;
    p->token.kind = TOKEN_TEXT;
    p->token.text = span_make(text, len);
    p->token.quote = quote;
    return 0;
}

static void lex_sign(struct parser *p)
{
    static const char *const signs[] = {"<=", ">=", "!=", "<>", "==", "<",
                                        ">",  "=",  "(",  ")",  ",",  NULL};
    size_t i = 0;
    struct span rest = span_skip(p->text, p->at);
    while (signs[i] != NULL && !span_starts_with(rest, signs[i])) {
        i++;
    }
    size_t len = signs[i] != NULL ? strlen(signs[i]) : 1;
    p->token.kind = TOKEN_SIGN;
    p->token.text = span_make(rest.data, len);
    p->at += len;
}

int filter_next(struct parser *p)
{
    while (filter_is_blank(filter_peek(p))) {
        p->at++;
    }
    p->token = (struct token){.kind = TOKEN_END, .at = p->at};
    uint8_t c = filter_peek(p);
    if (p->at == p->text.len) {
        return 0;
    }
    if (c == '\'' || c == '"' || c == '`') {
        return lex_quoted(p);
    }
    if (ends_word(c)) {
        lex_sign(p);
        return 0;
    }
    size_t begin = p->at;
    while (p->at < p->text.len && !ends_word(p->text.data[p->at])) {
        p->at++;
    }
    bool number = is_digit(c) || c == '-' || c == '+' || c == '.';
    p->token.kind = number ? TOKEN_NUMBER : TOKEN_WORD;
    p->token.text = span_make(p->text.data + begin, p->at - begin);
    return 0;
}

bool filter_is_sign(const struct parser *p, const char *sign)
{
    return p->token.kind == TOKEN_SIGN && span_equal_str(p->token.text, sign);
}

bool filter_is_word(const struct parser *p, const char *word)
{
    return p->token.kind == TOKEN_WORD && p->token.text.len == strlen(word) &&
           strncasecmp((const char *)p->token.text.data, word, p->token.text.len) == 0;
}
