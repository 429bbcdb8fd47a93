#include "base/roff.h"

#include <stdbool.h>

static void put(FILE *stream, char c, bool begins_line, bool quoted)
{
    switch (c) {
    case '\\':
        (void)fputs("\\e", stream);
        return;
    case '-':
        (void)fputs("\\-", stream);
        return;
    case '~':
        (void)fputs("\\(ti", stream);
        return;
    case '^':
        (void)fputs("\\(ha", stream);
        return;
    case '`':
        (void)fputs("\\(ga", stream);
        return;
    case '\'':
        (void)fputs("\\(aq", stream);
        return;
    case '"':
        (void)fputs(quoted ? "\\(dq" : "\"", stream);
        return;
    default:
        (void)fputs(begins_line && c == '.' ? "\\&" : "", stream);
        (void)fputc(c, stream);
    }
}

static void text(FILE *stream, const char *s, bool quoted)
{
    for (const char *c = s; *c != '\0'; c++) {
        put(stream, *c, !quoted && (c == s || c[-1] == '\n'), quoted);
    }
}

void roff_text(FILE *stream, const char *s)
{
    text(stream, s, false);
}

void roff_line(FILE *stream, const char *s)
{
    text(stream, s, false);
    (void)fputc('\n', stream);
}

void roff_macro(FILE *stream, const char *macro, const char *s)
{
    (void)fprintf(stream, ".%s \"", macro);
    text(stream, s, true);
    (void)fputs("\"\n", stream);
}

void roff_examples(FILE *stream, const char *const examples[])
{
    (void)fputs(".EX\n", stream);
    for (size_t i = 0; examples[i] != NULL; i++) {
        roff_line(stream, examples[i]);
    }
    (void)fputs(".EE\n", stream);
}
