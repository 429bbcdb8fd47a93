/* The parser: a lexer of tokens and a function for each rule of the grammar in README.md. */
#include "command/filter.h"

#include <strings.h>

#include "base/time_text.h"
#include "command/check_internal.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_NUMBER, TOKEN_SIGN };

struct token {
    enum token_kind kind;
    size_t at;        /* its first byte */
    struct span text; /* WORD, NUMBER: as written; TEXT: what it means; SIGN: the operator */
    uint8_t quote;    /* TEXT */
};

struct parser {
    struct span text;
    size_t at; /* behind `token` */
    struct token token;
    unsigned depth;
    struct arena *arena;
    struct error *error;
};

static int fail_at(struct parser *p, size_t at, const char *what)
{
    return check_fail(p->error, CLADE_ERR_INVALID, NULL, "at byte %zu of the query: %s", at, what);
}

static int fail_token(struct parser *p, const char *what)
{
    return fail_at(p, p->token.at, what);
}

static int no_room(struct parser *p, size_t bytes)
{
    return check_fail_no_room(p->arena, bytes, p->error);
}

/* --- Tokens --------------------------------------------------------------------------------- */

static bool is_blank(uint8_t c)
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
    return is_blank(c) || c < 0x20 || strchr("()='\"`!<>,", c) != NULL;
}

static uint8_t peek(const struct parser *p)
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
    uint8_t quote = peek(p);
    p->at++;
    size_t bytes = quoted_bytes(p, quote);
    if (bytes == SIZE_MAX) {
        return fail_token(p, "the quote is not closed");
    }
    uint8_t *text = arena_alloc(p->arena, bytes + 1);
    if (text == NULL) {
        return no_room(p, bytes + 1);
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

static int next(struct parser *p)
{
    while (is_blank(peek(p))) {
        p->at++;
    }
    p->token = (struct token){.kind = TOKEN_END, .at = p->at};
    uint8_t c = peek(p);
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

static bool is_sign(const struct parser *p, const char *sign)
{
    return p->token.kind == TOKEN_SIGN && span_equal_str(p->token.text, sign);
}

static bool is_word(const struct parser *p, const char *word)
{
    return p->token.kind == TOKEN_WORD && p->token.text.len == strlen(word) &&
           strncasecmp((const char *)p->token.text.data, word, p->token.text.len) == 0;
}

/* --- Keys ----------------------------------------------------------------------------------- */

struct attribute_row {
    const char *name;
    enum filter_attribute attribute;
    enum filter_type type;
};

static const struct attribute_row attributes[] = {
    {"id", ATTRIBUTE_ID, FILTER_NUMBER},
    {"kind", ATTRIBUTE_KIND, FILTER_TEXT},
    {"name", ATTRIBUTE_NAME, FILTER_TEXT},
    {"namespace", ATTRIBUTE_NAMESPACE, FILTER_TEXT},
    {"state", ATTRIBUTE_STATE, FILTER_TEXT},
    {"model", ATTRIBUTE_MODEL, FILTER_REF},
    {"number", ATTRIBUTE_NUMBER, FILTER_NUMBER},
    {"created", ATTRIBUTE_CREATED, FILTER_TIME},
    {"created_by", ATTRIBUTE_CREATED_BY, FILTER_TEXT},
    {"changed", ATTRIBUTE_CHANGED, FILTER_TIME},
    {"changed_by", ATTRIBUTE_CHANGED_BY, FILTER_TEXT},
    {"alias", ATTRIBUTE_ALIAS, FILTER_TEXT},
    {"stage", ATTRIBUTE_STAGE, FILTER_TEXT},
};

/* Other names, as MLflow has them. */
static const struct {
    const char *name;
    const char *meant;
} aliases[] = {
    {"run_name", "name"},
    {"start_time", "start"},
    {"end_time", "end"},
    {"user_id", "owner"},
    {"artifact_uri", "uris"},
    {"creation_time", "created"},
    {"last_update_time", "changed"},
    {"version_number", "number"},
    {"current_stage", "stage"},
    {"aliases", "alias"},
    {"uri", "uris"},
    {"digest", "digests"},
    {"external_id", "external_ids"},
};

static const struct {
    const char *name;
    enum filter_group group;
} groups[] = {
    {"attributes", FILTER_ATTRIBUTE},
    {"attribute", FILTER_ATTRIBUTE},
    {"attr", FILTER_ATTRIBUTE},
    {"tags", FILTER_TAGS},
    {"tag", FILTER_TAGS},
    {"params", FILTER_PARAMS},
    {"param", FILTER_PARAMS},
    {"parameters", FILTER_PARAMS},
    {"parameter", FILTER_PARAMS},
    {"props", FILTER_PROPS},
    {"prop", FILTER_PROPS},
};

static enum filter_type type_of_field(const struct field *f)
{
    if (f->code == FIELD_TYPE) {
        return FILTER_TEXT; /* compared by its name */
    }
    switch (f->shape) {
    case FIELD_UINT:
        return FILTER_NUMBER;
    case FIELD_TIME:
        return FILTER_TIME;
    case FIELD_REF:
        return FILTER_REF;
    case FIELD_TEXT:
    case FIELD_TEXT_SET:
        return FILTER_TEXT;
    default:
        return FILTER_ANY;
    }
}

static int take_attribute(struct parser *p,
                          struct span name,
                          struct filter *f,
                          enum filter_type *ret_type)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (span_equal_str(name, aliases[i].name)) {
            name = span_of(aliases[i].meant);
        }
    }
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        if (span_equal_str(name, attributes[i].name)) {
            f->attribute = attributes[i].attribute;
            *ret_type = attributes[i].type;
            return 0;
        }
    }
    f->attribute = ATTRIBUTE_FIELD;
    f->field = field_by_name(name);
    *ret_type = f->field != NULL ? type_of_field(f->field) : FILTER_ANY;
    return *ret_type != FILTER_ANY
               ? 0
               : fail_token(p, "there is no such attribute; keys of others are tags.KEY, "
                               "params.KEY, props.KEY");
}

/* What stands behind "tags.": the rest of the word, or a quoted text right behind the dot. */
static int take_group_key(struct parser *p, struct span rest, struct span *ret)
{
    if (rest.len == 0 && (peek(p) == '"' || peek(p) == '`' || peek(p) == '\'')) {
        int r = next(p);
        if (r != 0) {
            return r;
        }
        rest = p->token.text;
    }
    *ret = rest;
    return rest.len > 0 ? 0 : fail_token(p, "a key is expected behind the dot");
}

static int take_grouped(struct parser *p,
                        struct span name,
                        struct span rest,
                        struct filter *f,
                        enum filter_type *ret_type)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (!span_equal_str(name, groups[i].name)) {
            continue;
        }
        f->group = groups[i].group;
        if (f->group == FILTER_ATTRIBUTE) {
            return take_attribute(p, rest, f, ret_type);
        }
        *ret_type = FILTER_ANY;
        return take_group_key(p, rest, &f->key);
    }
    bool metrics = span_equal_str(name, "metrics") || span_equal_str(name, "metric");
    return fail_token(p, metrics ? "metrics cannot be asked for here"
                                 : "a key with a dot is tags.KEY, params.KEY, props.KEY or "
                                   "attributes.NAME");
}

static int take_key(struct parser *p, struct filter *f, enum filter_type *ret_type)
{
    if (p->token.kind != TOKEN_WORD) {
        return fail_token(p, "an attribute, tags.KEY, params.KEY or props.KEY is expected");
    }
    struct span word = p->token.text;
    const uint8_t *dot = memchr(word.data, '.', word.len);
    size_t len = dot == NULL ? word.len : (size_t)(dot - word.data);
    int r = dot == NULL
                ? take_attribute(p, word, f, ret_type)
                : take_grouped(p, span_make(word.data, len), span_skip(word, len + 1), f, ret_type);
    return r != 0 ? r : next(p);
}

/* --- Literals ------------------------------------------------------------------------------- */

static int literal_of_text(struct parser *p, enum filter_type type, struct filter_literal *l)
{
    l->text = p->token.text;
    switch (type) {
    case FILTER_TEXT:
    case FILTER_ANY:
        l->type = FILTER_TEXT;
        return 0;
    case FILTER_TIME: {
        uint64_t us = 0;
        bool is_date = l->text.len == sizeof "2026-03-01" - 1;
        l->type = FILTER_TIME;
        if (is_date || time_parse(l->text, &us) != 0) {
            return fail_token(p, "a time with an offset is expected, as '2026-03-01T12:00:00Z'");
        }
        l->number = filter_number_of(us);
        return 0;
    }
    case FILTER_REF:
        l->type = FILTER_REF;
        return ref_parse(l->text, false, &l->ref, NULL) == 0
                   ? 0
                   : fail_token(p, "a reference is expected, as 'run/NAME'");
    default:
        return fail_token(p, type == FILTER_BOOL ? "true or false is expected"
                                                 : "a number is expected");
    }
}

static int literal_of_number(struct parser *p, enum filter_type type, struct filter_literal *l)
{
    l->text = p->token.text;
    if (!filter_parse_number(l->text, &l->number)) {
        return fail_token(p, "this is no number");
    }
    l->type = type == FILTER_TIME ? FILTER_TIME : FILTER_NUMBER;
    if (type == FILTER_NUMBER || type == FILTER_TIME || type == FILTER_ANY) {
        return 0;
    }
    return fail_token(p, "a text in quotes is expected");
}

static int take_literal(struct parser *p, enum filter_type type, struct filter_literal *l)
{
    int r;
    bool truth = is_word(p, "true");
    if (p->token.kind == TOKEN_TEXT && p->token.quote != '`') {
        r = literal_of_text(p, type, l);
    } else if (p->token.kind == TOKEN_NUMBER) {
        r = literal_of_number(p, type, l);
    } else if ((truth || is_word(p, "false")) && (type == FILTER_BOOL || type == FILTER_ANY)) {
        *l = (struct filter_literal){.type = FILTER_BOOL, .truth = truth};
        r = 0;
    } else {
        r = fail_token(p, "a value is expected: a text in quotes, a number, true or false");
    }
    return r != 0 ? r : next(p);
}

static int alloc_literals(struct parser *p, struct filter *f, size_t len)
{
    f->literals = arena_calloc(p->arena, len, sizeof *f->literals);
    return f->literals != NULL ? 0 : no_room(p, len * sizeof *f->literals);
}

/* --- Comparisons ---------------------------------------------------------------------------- */

static bool take_operator(const struct parser *p, enum filter_op *ret)
{
    static const struct {
        const char *sign;
        enum filter_op op;
    } signs[] = {{"=", FILTER_EQ}, {"==", FILTER_EQ}, {"!=", FILTER_NE}, {"<>", FILTER_NE},
                 {"<", FILTER_LT}, {"<=", FILTER_LE}, {">", FILTER_GT},  {">=", FILTER_GE}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (is_sign(p, signs[i].sign)) {
            *ret = signs[i].op;
            return true;
        }
    }
    return false;
}

/* References and truths have no order. */
static int check_ordered(struct parser *p, const struct filter *f, size_t at)
{
    bool ordered = f->op == FILTER_EQ || f->op == FILTER_NE || f->op == FILTER_IN;
    for (size_t i = 0; i < f->literals_len && !ordered; i++) {
        enum filter_type type = f->literals[i].type;
        if (type == FILTER_REF || type == FILTER_BOOL) {
            return fail_at(p, at, "references, true and false can only be equal or not");
        }
    }
    return 0;
}

static int take_one(struct parser *p, struct filter *f, enum filter_type type, size_t at)
{
    int r = next(p);
    r = r != 0 ? r : alloc_literals(p, f, 1);
    f->literals_len = 1;
    r = r != 0 ? r : take_literal(p, type, &f->literals[0]);
    return r != 0 ? r : check_ordered(p, f, at);
}

static int take_like(struct parser *p, struct filter *f, enum filter_type type)
{
    bool text = type == FILTER_TEXT || type == FILTER_ANY;
    f->op = is_word(p, "like") ? FILTER_LIKE : FILTER_ILIKE;
    if (!text) {
        return fail_token(p, "only texts are LIKE something");
    }
    int r = next(p);
    if (r == 0 && p->token.kind != TOKEN_TEXT) {
        r = fail_token(p, "a pattern in quotes is expected");
    }
    r = r != 0 ? r : alloc_literals(p, f, 1);
    f->literals_len = 1;
    return r != 0 ? r : take_literal(p, FILTER_TEXT, &f->literals[0]);
}

static int take_between(struct parser *p, struct filter *f, enum filter_type type, size_t at)
{
    f->op = FILTER_BETWEEN;
    int r = next(p);
    r = r != 0 ? r : alloc_literals(p, f, 2);
    r = r != 0 ? r : take_literal(p, type, &f->literals[0]);
    if (r == 0 && !is_word(p, "and")) {
        r = fail_token(p, "AND is expected between the two bounds");
    }
    r = r != 0 ? r : next(p);
    r = r != 0 ? r : take_literal(p, type, &f->literals[1]);
    f->literals_len = 2;
    return r != 0 ? r : check_ordered(p, f, at);
}

static int add_literal(struct parser *p, struct filter *f, enum filter_type type)
{
    size_t len = f->literals_len;
    if ((len & (len - 1)) == 0) { /* a power of two, or none yet: it is full */
        struct filter_literal *had = f->literals;
        int r = alloc_literals(p, f, len == 0 ? 1 : 2 * len);
        if (r != 0) {
            return r;
        }
        if (len > 0) {
            memcpy(f->literals, had, len * sizeof *had);
        }
    }
    f->literals_len++;
    return take_literal(p, type, &f->literals[len]);
}

static int take_in(struct parser *p, struct filter *f, enum filter_type type)
{
    f->op = FILTER_IN;
    int r = next(p);
    if (r == 0 && !is_sign(p, "(")) {
        r = fail_token(p, "a list in parentheses is expected");
    }
    do {
        r = r != 0 ? r : next(p);
        r = r != 0 ? r : add_literal(p, f, type);
    } while (r == 0 && is_sign(p, ","));
    if (r == 0 && !is_sign(p, ")")) {
        r = fail_token(p, "a ',' or a ')' is expected");
    }
    return r != 0 ? r : next(p);
}

static int take_null(struct parser *p, struct filter *f)
{
    f->op = FILTER_IS_NULL;
    int r = next(p);
    if (r == 0 && is_word(p, "not")) {
        f->negated = true;
        r = next(p);
    }
    if (r == 0 && !is_word(p, "null")) {
        r = fail_token(p, "NULL is expected");
    }
    return r != 0 ? r : next(p);
}

static int take_comparison(struct parser *p, struct filter *f)
{
    enum filter_type type = FILTER_ANY;
    f->kind = FILTER_COMPARE;
    int r = take_key(p, f, &type);
    if (r != 0) {
        return r;
    }
    size_t at = p->token.at;
    if (take_operator(p, &f->op)) {
        return take_one(p, f, type, at);
    }
    if (is_word(p, "is")) {
        return take_null(p, f);
    }
    if (is_word(p, "not")) {
        f->negated = true;
        r = next(p);
    }
    if (r == 0 && (is_word(p, "like") || is_word(p, "ilike"))) {
        return take_like(p, f, type);
    }
    if (r == 0 && is_word(p, "in")) {
        return take_in(p, f, type);
    }
    if (r == 0 && is_word(p, "between")) {
        return take_between(p, f, type, at);
    }
    return r != 0
               ? r
               : fail_token(p, "expected =, !=, <, <=, >, >=, [NOT] LIKE, [NOT] ILIKE, [NOT] IN, "
                               "[NOT] BETWEEN or IS [NOT] NULL");
}

/* --- The tree ------------------------------------------------------------------------------- */

static int take_or(struct parser *p, struct filter **ret);

static int new_node(struct parser *p, enum filter_kind kind, struct filter **ret)
{
    struct filter *f = arena_calloc(p->arena, 1, sizeof *f);
    if (f == NULL) {
        return no_room(p, sizeof *f);
    }
    f->kind = kind;
    *ret = f;
    return 0;
}

static int deeper(struct parser *p)
{
    if (p->depth == FILTER_DEPTH_MAX) {
        return check_fail(p->error, CLADE_ERR_LIMIT, NULL,
                          "the query nests deeper than %d levels at byte %zu", FILTER_DEPTH_MAX,
                          p->token.at);
    }
    p->depth++;
    return next(p);
}

static int take_not(struct parser *p, struct filter **ret)
{
    int r = 0;
    if (is_word(p, "not")) {
        r = deeper(p);
        r = r != 0 ? r : new_node(p, FILTER_NOT, ret);
        r = r != 0 ? r : take_not(p, &(*ret)->first);
        p->depth--;
        return r;
    }
    if (is_sign(p, "(")) {
        r = deeper(p);
        r = r != 0 ? r : take_or(p, ret);
        if (r == 0 && !is_sign(p, ")")) {
            r = fail_token(p, "AND, OR or a ')' is expected");
        }
        p->depth--;
        return r != 0 ? r : next(p);
    }
    r = new_node(p, FILTER_COMPARE, ret);
    return r != 0 ? r : take_comparison(p, *ret);
}

/* One or more of what `take` takes, with `word` between them. */
static int take_chain(struct parser *p,
                      const char *word,
                      enum filter_kind kind,
                      int (*take)(struct parser *p, struct filter **ret),
                      struct filter **ret)
{
    struct filter *first = NULL;
    int r = take(p, &first);
    if (r != 0 || !is_word(p, word)) {
        *ret = first;
        return r;
    }
    r = new_node(p, kind, ret);
    struct filter **link = r == 0 ? &(*ret)->first : NULL;
    while (r == 0) {
        *link = first;
        link = &first->next;
        if (!is_word(p, word)) {
            break;
        }
        r = next(p);
        r = r != 0 ? r : take(p, &first);
    }
    return r;
}

static int take_and(struct parser *p, struct filter **ret)
{
    return take_chain(p, "and", FILTER_AND, take_not, ret);
}

static int take_or(struct parser *p, struct filter **ret)
{
    return take_chain(p, "or", FILTER_OR, take_and, ret);
}

int filter_parse(struct span text,
                 struct arena *arena,
                 const struct filter **ret,
                 struct error *error)
{
    struct parser p = {.text = text, .arena = arena, .error = error};
    struct filter *root = NULL;
    if (text.len > CLADE_MAX_QUERY_BYTES) {
        return check_fail(error, CLADE_ERR_LIMIT, NULL, "a query has at most %d bytes, got %zu",
                          CLADE_MAX_QUERY_BYTES, text.len);
    }
    int r = next(&p);
    r = r != 0 ? r : take_or(&p, &root);
    if (r == 0 && p.token.kind != TOKEN_END) {
        r = fail_token(&p, "AND, OR or the end is expected");
    }
    if (r == 0) {
        *ret = root;
    }
    return r;
}
