/* The classes of clade.h, for the server and the library alike. */
#include <clade.h>

struct row {
    int code;
    const char *name;
    int http;
    enum clade_advice advice;
    const char *text;
};

#define ROW(number, row_name, status, what, sentence)                                              \
    {.code = (number),                                                                             \
     .name = #row_name,                                                                            \
     .http = (status),                                                                             \
     .advice = CLADE_ADVICE_##what,                                                                \
     .text = (sentence)},
static const struct row rows[] = {
    {.code = 0, .name = "OK", .http = 200, .advice = CLADE_ADVICE_STOP, .text = "it is done"},
    CLADE_ERRORS(ROW)};
#undef ROW

static const struct row unknown = {
    .name = "UNKNOWN_ERROR",
    .http = 500,
    .advice = CLADE_ADVICE_STOP,
    .text = "an error of a class that this version does not know",
};

#define IN_ORDER(number, name, http, advice, text)                                                 \
    _Static_assert((number) <= -1 && -(number) < (int)(sizeof rows / sizeof rows[0]),              \
                   "errors are numbered -1, -2, ... without gaps: " #name);
CLADE_ERRORS(IN_ORDER)
#undef IN_ORDER

/* A code is its row's place, negated. */
static const struct row *row_of(int code)
{
    int last = (int)(sizeof rows / sizeof rows[0]) - 1;
    return code > 0 || code < -last ? &unknown : &rows[-code];
}

const char *clade_error_name(int code)
{
    return row_of(code)->name;
}

const char *clade_error_text(int code)
{
    return row_of(code)->text;
}

int clade_error_http(int code)
{
    return row_of(code)->http;
}

enum clade_advice clade_error_advice(int code)
{
    return row_of(code)->advice;
}
