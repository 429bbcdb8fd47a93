/* What a query asks for, without what it compares with. */
#include "command/filter_internal.h"

/* A quoted text behind "tags." is a key. */
static bool is_key(const struct parser *p, const struct token *before)
{
    return p->token.kind == TOKEN_TEXT && before->kind == TOKEN_WORD && before->text.len > 0 &&
           before->text.data[before->text.len - 1] == '.' &&
           before->at + before->text.len == p->token.at;
}

static void put_token(struct buffer *out, const struct token *t, bool key)
{
    bool literal = t->kind == TOKEN_NUMBER || (t->kind == TOKEN_TEXT && !key);
    if (literal) {
        (void)buffer_append_u8(out, '?');
    } else if (t->kind == TOKEN_TEXT) {
        (void)buffer_append_fmt(out, "\"%.*s\"", SPAN_FMT(t->text));
    } else {
        (void)buffer_append_span(out, t->text);
    }
}

void filter_shape(struct span text, struct arena *arena, struct buffer *out)
{
    struct parser p = {.text = text, .arena = arena};
    struct token before = {.kind = TOKEN_END};
    while (filter_next(&p) == 0 && p.token.kind != TOKEN_END) {
        bool key = is_key(&p, &before);
        if (!key && before.kind != TOKEN_END) {
            (void)buffer_append_u8(out, ' ');
        }
        put_token(out, &p.token, key);
        before = p.token;
    }
}
