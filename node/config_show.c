/* The settings as they are shown: as YAML, in --help, in the manual page and as a table. */
#include <inttypes.h>

#include "base/roff.h"
#include "node/config_internal.h"

static void print_value(const struct config *c, const struct option *o, FILE *to)
{
    const void *field = (const char *)c + o->offset;
    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_ADDRESS:
    case OPTION_HEX:
        fputc('\'', to);
        for (const char *p = field; *p != 0; p++) {
            if (*p == '\'') {
                fputc('\'', to); /* YAML doubles a quote within single quotes */
            }
            fputc(*p, to);
        }
        fputc('\'', to);
        return;
    case OPTION_UINT:
    case OPTION_SIZE:
        fprintf(to, "%" PRIu64, *(const uint64_t *)field);
        return;
    case OPTION_BOOL:
        fputs(*(const bool *)field ? "true" : "false", to);
        return;
    case OPTION_WORD:
        fputs(o->words[*(const unsigned *)field], to);
        return;
    }
}

void config_value(const struct config *c, enum option_id id, char text[CONFIG_TEXT_BYTES])
{
    text[0] = 0;
    FILE *to = fmemopen(text, CONFIG_TEXT_BYTES, "w");
    if (to != NULL) {
        print_value(c, option_row(id), to);
        (void)fclose(to);
    }
}

void config_print(const struct config *c, FILE *to)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        char from[256];
        option_describe_source(c, (enum option_id)i, c->sources[i], c->lines[i], from, sizeof from);
        fprintf(to, "%s: ", option_key((enum option_id)i));
        print_value(c, option_row((enum option_id)i), to);
        fprintf(to, " # %s\n", from);
    }
}

void config_print_help(FILE *to)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = option_row((enum option_id)i);
        char flag[64];
        option_write_flag(o->key, flag);
        fprintf(to, "  --%s%s\n        %s%s%s%s\n", flag, o->type == OPTION_BOOL ? "" : " VALUE",
                o->help, o->initial[0] != 0 ? " (default " : "", o->initial,
                o->initial[0] != 0 ? ")" : "");
        (void)fputs(o->reload ? "        changed by a reload\n" : "", to);
    }
}

void config_print_manual(FILE *to)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = option_row((enum option_id)i);
        char flag[64];
        option_write_flag(o->key, flag);
        (void)fputs(".TP\n\\fB\\-\\-", to);
        roff_text(to, flag);
        (void)fprintf(to, "\\fR%s\n", o->type == OPTION_BOOL ? "" : " \\fIVALUE\\fR");
        roff_text(to, o->help);
        if (o->initial[0] != 0) {
            (void)fputs(" (default ", to);
            roff_text(to, o->initial);
            (void)fputc(')', to);
        }
        (void)fputs(o->reload ? "; changed by a reload\n" : "\n", to);
    }
}

/* --- a table --- */

static void print_amount(FILE *to, const struct option *o, uint64_t v)
{
    static const char *const units[] = {" bytes", " KiB", " MiB", " GiB", " TiB"};
    size_t len = strlen(o->key);
    unsigned unit = 0;
    if (o->type == OPTION_SIZE && v != 0) {
        while (v % 1024 == 0 && unit < 4) {
            v /= 1024;
            unit++;
        }
        (void)fprintf(to, "%" PRIu64 "%s", v, units[unit]);
        return;
    }
    const char *suffix = len > 3 && strcmp(o->key + len - 3, "_ms") == 0  ? " ms"
                         : len > 2 && strcmp(o->key + len - 2, "_s") == 0 ? " s"
                                                                          : "";
    (void)fprintf(to, "%" PRIu64 "%s", v, v == 0 ? "" : suffix);
}

static void print_values(FILE *to, const struct option *o)
{
    switch (o->type) {
    case OPTION_TEXT:
        (void)fprintf(to, "text of 1 to %zu bytes", o->text_bytes - 1);
        return;
    case OPTION_ADDRESS:
        (void)fputs("HOST:PORT", to);
        return;
    case OPTION_HEX:
        (void)fputs("32 hexadecimal digits", to);
        return;
    case OPTION_UINT:
    case OPTION_SIZE:
        print_amount(to, o, o->min);
        (void)fputs(" to ", to);
        print_amount(to, o, o->max);
        (void)fputs(o->zero ? ", or 0" : "", to);
        return;
    case OPTION_BOOL:
        (void)fputs("true, false", to);
        return;
    case OPTION_WORD:
        for (unsigned i = 0; o->words[i] != NULL; i++) {
            (void)fprintf(to, "%s%s", i > 0 ? ", " : "", o->words[i]);
        }
        return;
    }
}

void config_print_table(FILE *to)
{
    struct config c;
    config_init(&c);
    (void)fputs("| setting | default | values | changed by | |\n|---|---|---|---|---|\n", to);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = option_row((enum option_id)i);
        (void)fprintf(to, "| `%s` | ", o->key);
        if (o->type == OPTION_UINT || o->type == OPTION_SIZE) {
            print_amount(to, o, *(const uint64_t *)(const void *)((const char *)&c + o->offset));
        } else {
            (void)fputs(o->initial, to);
        }
        (void)fputs(" | ", to);
        print_values(to, o);
        (void)fprintf(to, " | %s | %s |\n", o->reload ? "reload" : "restart", o->help);
    }
}
