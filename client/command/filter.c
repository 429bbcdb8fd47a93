/* The parser: a function for each rule of the grammar in README.md. */
#include "command/filter.h"

#include "base/time_text.h"
#include "command/check_internal.h"
#include "command/filter_internal.h"
#include "command/txn.h"

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
            return filter_fail(p, "a time with an offset is expected, as '2026-03-01T12:00:00Z'");
        }
        l->number = filter_number_of(us);
        return 0;
    }
    case FILTER_REF:
        l->type = FILTER_REF;
        return ref_parse(l->text, false, &l->ref, NULL) == 0
                   ? 0
                   : filter_fail(p, "a reference is expected, as 'run/NAME'");
    default:
        return filter_fail(p, type == FILTER_BOOL ? "true or false is expected"
                                                  : "a number is expected");
    }
}

static int literal_of_number(struct parser *p, enum filter_type type, struct filter_literal *l)
{
    l->text = p->token.text;
    if (!filter_parse_number(l->text, &l->number)) {
        return filter_fail(p, "this is no number");
    }
    l->type = type == FILTER_TIME ? FILTER_TIME : FILTER_NUMBER;
    if (type == FILTER_NUMBER || type == FILTER_TIME || type == FILTER_ANY) {
        return 0;
    }
    return filter_fail(p, "a text in quotes is expected");
}

static int take_literal(struct parser *p, enum filter_type type, struct filter_literal *l)
{
    int r;
    bool truth = filter_is_word(p, "true");
    if (p->token.kind == TOKEN_TEXT && p->token.quote != '`') {
        r = literal_of_text(p, type, l);
    } else if (p->token.kind == TOKEN_NUMBER) {
        r = literal_of_number(p, type, l);
    } else if ((truth || filter_is_word(p, "false")) &&
               (type == FILTER_BOOL || type == FILTER_ANY)) {
        *l = (struct filter_literal){.type = FILTER_BOOL, .truth = truth};
        r = 0;
    } else {
        r = filter_fail(p, "a value is expected: a text in quotes, a number, true or false");
    }
    return r != 0 ? r : filter_next(p);
}

static int alloc_literals(struct parser *p, struct filter *f, size_t len)
{
    f->literals = arena_calloc(p->arena, len, sizeof *f->literals);
    return f->literals != NULL ? 0 : filter_no_room(p, len * sizeof *f->literals);
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
        if (filter_is_sign(p, signs[i].sign)) {
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
            return filter_fail_at(p, at, "references, true and false can only be equal or not");
        }
    }
    return 0;
}

static int take_one(struct parser *p, struct filter *f, enum filter_type type, size_t at)
{
    int r = filter_next(p);
    r = r != 0 ? r : alloc_literals(p, f, 1);
    f->literals_len = 1;
    r = r != 0 ? r : take_literal(p, type, &f->literals[0]);
    return r != 0 ? r : check_ordered(p, f, at);
}

static int take_like(struct parser *p, struct filter *f, enum filter_type type)
{
    bool text = type == FILTER_TEXT || type == FILTER_ANY;
    f->op = filter_is_word(p, "like") ? FILTER_LIKE : FILTER_ILIKE;
    if (!text) {
        return filter_fail(p, "only texts are LIKE something");
    }
    int r = filter_next(p);
    if (r == 0 && p->token.kind != TOKEN_TEXT) {
        r = filter_fail(p, "a pattern in quotes is expected");
    }
    r = r != 0 ? r : alloc_literals(p, f, 1);
    f->literals_len = 1;
    return r != 0 ? r : take_literal(p, FILTER_TEXT, &f->literals[0]);
}

static int take_between(struct parser *p, struct filter *f, enum filter_type type, size_t at)
{
    f->op = FILTER_BETWEEN;
    int r = filter_next(p);
    r = r != 0 ? r : alloc_literals(p, f, 2);
    r = r != 0 ? r : take_literal(p, type, &f->literals[0]);
    if (r == 0 && !filter_is_word(p, "and")) {
        r = filter_fail(p, "AND is expected between the two bounds");
    }
    r = r != 0 ? r : filter_next(p);
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
    int r = filter_next(p);
    if (r == 0 && !filter_is_sign(p, "(")) {
        r = filter_fail(p, "a list in parentheses is expected");
    }
    do {
        r = r != 0 ? r : filter_next(p);
        r = r != 0 ? r : add_literal(p, f, type);
    } while (r == 0 && filter_is_sign(p, ","));
    if (r == 0 && !filter_is_sign(p, ")")) {
        r = filter_fail(p, "a ',' or a ')' is expected");
    }
    return r != 0 ? r : filter_next(p);
}

static int take_null(struct parser *p, struct filter *f)
{
    f->op = FILTER_IS_NULL;
    int r = filter_next(p);
    if (r == 0 && filter_is_word(p, "not")) {
        f->negated = true;
        r = filter_next(p);
    }
    if (r == 0 && !filter_is_word(p, "null")) {
        r = filter_fail(p, "NULL is expected");
    }
    return r != 0 ? r : filter_next(p);
}

static int take_comparison(struct parser *p, struct filter *f)
{
    enum filter_type type = FILTER_ANY;
    f->kind = FILTER_COMPARE;
    int r = filter_take_key(p, f, &type);
    if (r != 0) {
        return r;
    }
    size_t at = p->token.at;
    if (take_operator(p, &f->op)) {
        return take_one(p, f, type, at);
    }
    if (filter_is_word(p, "is")) {
        return take_null(p, f);
    }
    if (filter_is_word(p, "not")) {
        f->negated = true;
        r = filter_next(p);
    }
    if (r == 0 && (filter_is_word(p, "like") || filter_is_word(p, "ilike"))) {
        return take_like(p, f, type);
    }
    if (r == 0 && filter_is_word(p, "in")) {
        return take_in(p, f, type);
    }
    if (r == 0 && filter_is_word(p, "between")) {
        return take_between(p, f, type, at);
    }
    return r != 0
               ? r
               : filter_fail(p, "expected =, !=, <, <=, >, >=, [NOT] LIKE, [NOT] ILIKE, [NOT] IN, "
                                "[NOT] BETWEEN or IS [NOT] NULL");
}

/* --- The tree ------------------------------------------------------------------------------- */

static int take_or(struct parser *p, struct filter **ret);

static int new_node(struct parser *p, enum filter_kind kind, struct filter **ret)
{
    struct filter *f = arena_calloc(p->arena, 1, sizeof *f);
    if (f == NULL) {
        return filter_no_room(p, sizeof *f);
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
    return filter_next(p);
}

static int take_parentheses(struct parser *p, struct filter **ret)
{
    int r = deeper(p);
    r = r != 0 ? r : take_or(p, ret);
    if (r == 0 && !filter_is_sign(p, ")")) {
        r = filter_fail(p, "AND, OR or a ')' is expected");
    }
    p->depth--;
    return r != 0 ? r : filter_next(p);
}

static bool find_relation(const struct parser *p, enum filter_relation *ret)
{
    static const char *const names[] = {[RELATION_DEPENDS_ON] = "depends_on",
                                        [RELATION_USED_BY] = "used_by",
                                        [RELATION_LINKED] = "linked",
                                        [RELATION_LINKED_BY] = "linked_by"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (filter_is_word(p, names[i])) {
            *ret = (enum filter_relation)i;
            return true;
        }
    }
    return false;
}

/* What stands for the others: a reference in quotes, or a query in parentheses. */
static int take_others(struct parser *p, struct filter *f)
{
    bool edges = f->relation == RELATION_LINKED || f->relation == RELATION_LINKED_BY;
    if (filter_is_sign(p, "(")) {
        bool had_edge = p->has_edge;
        p->has_edge = edges;
        int r = take_parentheses(p, &f->first);
        p->has_edge = had_edge;
        return r;
    }
    int r = filter_new_ref(p, f);
    if (r != 0) {
        return r;
    }
    if (p->token.kind != TOKEN_TEXT || p->token.quote == '`' ||
        ref_parse(p->token.text, false, f->ref, NULL) != 0) {
        return filter_fail(p,
                           "a reference in quotes, as 'artifact/NAME', or a query in parentheses "
                           "is expected");
    }
    return filter_next(p);
}

static int take_label(struct parser *p, struct filter *f)
{
    if ((p->token.kind != TOKEN_WORD && p->token.kind != TOKEN_TEXT) ||
        label_check(p->token.text, NULL) != 0) {
        return filter_fail(p, "a label is expected, as linked(trained_on, 'artifact/NAME')");
    }
    f->label = p->token.text;
    return filter_next(p);
}

static int take_relation(struct parser *p, enum filter_relation relation, struct filter *f)
{
    if (p->search == NULL) {
        return filter_fail(p, "lineage cannot be asked for here");
    }
    if (p->search->lineage_len == SEARCH_LINEAGE_MAX) {
        return check_fail(p->error, CLADE_ERR_LIMIT, NULL,
                          "at byte %zu of the query: a search has at most %d lineage predicates",
                          p->token.at, SEARCH_LINEAGE_MAX);
    }
    bool labelled = relation == RELATION_LINKED || relation == RELATION_LINKED_BY;
    f->relation = relation;
    f->number = p->search->lineage_len++;
    int r = filter_next(p);
    r = r != 0 ? r : filter_expect(p, "(", "a '(' is expected, as depends_on('artifact/NAME')");
    if (r == 0 && labelled) {
        r = take_label(p, f);
        if (r == 0 && !filter_is_sign(p, ")")) {
            r = filter_expect(p, ",", "a ',' or a ')' is expected behind the label");
            r = r != 0 ? r : take_others(p, f);
        }
    } else if (r == 0 && !filter_is_sign(p, ")")) {
        r = take_others(p, f);
    }
    return r != 0 ? r : filter_expect(p, ")", "a ')' is expected");
}

/* From `at` up to the token that is next. */
static void note_written(const struct parser *p, size_t at, struct filter *f)
{
    size_t end = p->token.at;
    while (end > at && filter_is_blank(p->text.data[end - 1])) {
        end--;
    }
    if (f != NULL) {
        f->written = span_make(p->text.data + at, end - at);
    }
}

static int take_not(struct parser *p, struct filter **ret)
{
    size_t at = p->token.at;
    int r = 0;
    if (filter_is_word(p, "not")) {
        r = deeper(p);
        r = r != 0 ? r : new_node(p, FILTER_NOT, ret);
        r = r != 0 ? r : take_not(p, &(*ret)->first);
        p->depth--;
        return r;
    }
    if (filter_is_sign(p, "(")) {
        return take_parentheses(p, ret);
    }
    enum filter_relation relation;
    if (find_relation(p, &relation)) {
        r = new_node(p, FILTER_LINEAGE, ret);
        r = r != 0 ? r : take_relation(p, relation, *ret);
        note_written(p, at, r == 0 ? *ret : NULL);
        return r;
    }
    r = new_node(p, FILTER_COMPARE, ret);
    r = r != 0 ? r : take_comparison(p, *ret);
    note_written(p, at, r == 0 ? *ret : NULL);
    return r;
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
    if (r != 0 || !filter_is_word(p, word)) {
        *ret = first;
        return r;
    }
    r = new_node(p, kind, ret);
    struct filter **link = r == 0 ? &(*ret)->first : NULL;
    while (r == 0) {
        *link = first;
        link = &first->next;
        if (!filter_is_word(p, word)) {
            break;
        }
        r = filter_next(p);
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

static int check_length(struct span text, struct error *error)
{
    return text.len <= CLADE_MAX_QUERY_BYTES
               ? 0
               : check_fail(error, CLADE_ERR_LIMIT, NULL, "a query has at most %d bytes, got %zu",
                            CLADE_MAX_QUERY_BYTES, text.len);
}

/* ORDER BY key [ASC | DESC] { , key [ASC | DESC] } */
static int take_order(struct parser *p)
{
    struct search *s = p->search;
    int r = filter_next(p);
    if (r == 0 && !filter_is_word(p, "by")) {
        return filter_fail(p, "BY is expected behind ORDER");
    }
    do {
        r = r != 0 ? r : filter_next(p);
        if (r == 0 && s->order_len == SEARCH_ORDER_MAX) {
            return check_fail(p->error, CLADE_ERR_LIMIT, NULL,
                              "at byte %zu of the query: ORDER BY has at most %d keys", p->token.at,
                              SEARCH_ORDER_MAX);
        }
        if (r != 0) {
            return r;
        }
        struct search_order *o = &s->order[s->order_len++];
        enum filter_type type;
        *o = (struct search_order){.key.kind = FILTER_COMPARE};
        r = filter_take_key(p, &o->key, &type);
        o->descending = r == 0 && filter_is_word(p, "desc");
        r = r == 0 && (o->descending || filter_is_word(p, "asc")) ? filter_next(p) : r;
    } while (r == 0 && filter_is_sign(p, ","));
    return r;
}

int search_parse(struct span text, struct arena *arena, struct search *ret, struct error *error)
{
    struct parser p = {.text = text, .arena = arena, .error = error, .search = ret};
    struct filter *root = NULL;
    *ret = (struct search){.filter = NULL};
    int r = check_length(text, error);
    r = r != 0 ? r : filter_next(&p);
    if (r == 0 && p.token.kind != TOKEN_END && !filter_is_word(&p, "order")) {
        r = take_or(&p, &root);
    }
    if (r == 0 && filter_is_word(&p, "order")) {
        r = take_order(&p);
    }
    if (r == 0 && p.token.kind != TOKEN_END) {
        r = filter_fail(&p,
                        filter_is_word(&p, "limit")
                            ? "how many are wanted does not stand in the query: say it with the "
                              "limit of the read (--limit)"
                        : ret->order_len > 0 ? "ASC, DESC, a ',' or the end is expected"
                                             : "AND, OR, ORDER BY or the end is expected");
    }
    ret->filter = root;
    return r;
}

int search_parse_key(struct span text, struct arena *arena, struct filter *ret, struct error *error)
{
    struct search search = {.filter = NULL};
    struct parser p = {.text = text, .arena = arena, .error = error, .search = &search};
    enum filter_type type;
    *ret = (struct filter){.kind = FILTER_COMPARE};
    int r = check_length(text, error);
    r = r != 0 ? r : filter_next(&p);
    r = r != 0 ? r : filter_take_key(&p, ret, &type);
    return r == 0 && p.token.kind != TOKEN_END ? filter_fail(&p, "one key is expected") : r;
}

int filter_parse(struct span text,
                 struct arena *arena,
                 const struct filter **ret,
                 struct error *error)
{
    struct parser p = {.text = text, .arena = arena, .error = error};
    struct filter *root = NULL;
    int r = check_length(text, error);
    r = r != 0 ? r : filter_next(&p);
    r = r != 0 ? r : take_or(&p, &root);
    if (r == 0 && p.token.kind != TOKEN_END) {
        r = filter_fail(&p, "AND, OR or the end is expected");
    }
    if (r == 0) {
        *ret = root;
    }
    return r;
}
