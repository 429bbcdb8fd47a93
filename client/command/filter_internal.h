#pragma once
/* What the files of the query language's parser share: a lexer of tokens (filter_lex.c), keys
 * (filter_key.c), and a function for each rule of the grammar in README.md (filter.c). Functions
 * return 0 or a code with the error filled. */
#include "command/filter.h"

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
    struct search *search; /* NULL: the query of a guard */
    bool has_edge;         /* within the query of a LINKED */
};

/* The reason of a mistake: at a byte of the query, resp. at the token. Returns CLADE_ERR_INVALID.
 */
int filter_fail_at(struct parser *p, size_t at, const char *what);
int filter_fail(struct parser *p, const char *what);
/* The arena has no room for so many bytes. */
int filter_no_room(struct parser *p, size_t bytes);

bool filter_is_blank(uint8_t c);
/* The byte behind the token; 0 at the end. */
uint8_t filter_peek(const struct parser *p);
/* Goes to the next token. */
int filter_next(struct parser *p);
/* Whether the token is that; words in either case. */
bool filter_is_sign(const struct parser *p, const char *sign);
bool filter_is_word(const struct parser *p, const char *word);
/* Passes over a sign that must be here; `what` is the reason when it is not. */
int filter_expect(struct parser *p, const char *sign, const char *what);

/* What is compared, and with what it may be. */
int filter_take_key(struct parser *p, struct filter *f, enum filter_type *ret_type);
/* Makes room for the node's reference. */
int filter_new_ref(struct parser *p, struct filter *f);
