#include "cli/props.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/json.h"
#include "cli/text.h"

#define FLAG_BYTES_MAX JSON_BYTES_MAX

#define TYPES_TEXT "string, int, float, bool, time, json, ref, or a list: int[]"
static const char *const types[] = {"string", "int", "float", "bool", "time", "json", "ref", NULL};

/* The name of the type that `text` is, with "[]" behind it or not; NULL when it is none. */
static const char *type_of(struct span text, bool *ret_list)
{
    bool list = text.len > 2 && memcmp(text.data + text.len - 2, "[]", 2) == 0;
    text.len -= list ? 2 : 0;
    for (size_t i = 0; types[i] != NULL; i++) {
        if (span_equal_str(text, types[i])) {
            *ret_list = list;
            return types[i];
        }
    }
    return NULL;
}

/* --- One value of a type ------------------------------------------------------------------ */

static bool put_int(struct clade_doc *doc, const char *text)
{
    char *end;
    errno = 0;
    long long i = strtoll(text, &end, 10);
    clade_doc_int(doc, i);
    return *text != '\0' && *end == '\0' && errno == 0;
}

static bool put_float(struct clade_doc *doc, const char *text)
{
    char *end;
    double d = strtod(text, &end);
    clade_doc_double(doc, d);
    return *text != '\0' && *end == '\0' && isfinite(d);
}

static bool put_time(struct clade_doc *doc, const char *text)
{
    uint64_t us = clock_wall_us(clock_system());
    bool known = strcmp(text, "now") == 0 || text_parse_time(text, &us);
    clade_doc_map(doc, 1);
    clade_doc_str(doc, "time");
    clade_doc_uint(doc, us);
    return known;
}

static bool put_value(struct clade_doc *doc, const char *type, const char *text)
{
    if (strcmp(type, "int") == 0) {
        return put_int(doc, text);
    }
    if (strcmp(type, "float") == 0) {
        return put_float(doc, text);
    }
    if (strcmp(type, "bool") == 0) {
        clade_doc_bool(doc, strcmp(text, "true") == 0);
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    }
    if (strcmp(type, "time") == 0) {
        return put_time(doc, text);
    }
    if (strcmp(type, "string") != 0) {
        clade_doc_map(doc, 1);
        clade_doc_str(doc, type);
    }
    clade_doc_str(doc, text);
    return true;
}

/* Separated by commas; an empty text is an empty list. Takes the text apart. */
static bool put_list(struct clade_doc *doc, const char *type, char *text)
{
    uint32_t len = *text != '\0';
    for (const char *c = text; *c != '\0'; c++) {
        len += *c == ',';
    }
    clade_doc_array(doc, len);
    bool ok = true;
    for (uint32_t i = 0; i < len; i++) {
        char *next = text + strcspn(text, ",");
        bool last = *next == '\0';
        *next = '\0';
        ok = put_value(doc, type, text) && ok;
        text = last ? next : next + 1;
    }
    return ok;
}

/* What JSON takes it for, if that is a number, a boolean, an array or an object; else a string. */
static bool put_guessed(struct clade_doc *doc, const char *text)
{
    struct buffer b;
    struct error error = {0};
    json_t *json = NULL;
    buffer_init(&b, FLAG_BYTES_MAX);
    buffer_append_fmt(&b, "[%s]", text);
    bool parsed = !b.failed && json_parse(buffer_span(&b), &json, &error) == 0;
    const json_t *only = parsed && json_array_size(json) == 1 ? json_array_get(json, 0) : NULL;
    bool ok = true;
    if (only != NULL && !json_is_string(only) && !json_is_null(only)) {
        ok = json_to_doc(only, doc, &error) == 0;
    } else {
        clade_doc_str(doc, text);
    }
    if (parsed) {
        json_decref(json);
    }
    buffer_release(&b);
    return ok;
}

/* --- The flags ---------------------------------------------------------------------------- */

bool props_add(struct cli *cli, struct clade_txn *txn, const char *text)
{
    const char *equals = strchr(text, '=');
    char *copy = equals == NULL || equals == text ? NULL : strdup(text);
    struct clade_doc *doc = clade_doc_new();
    bool ok = copy != NULL && doc != NULL;
    if (ok) {
        char *value = copy + (equals - text);
        *value++ = '\0';
        char *colon = strrchr(copy, ':');
        bool list = false;
        const char *type =
            colon == NULL || colon == copy ? NULL : type_of(span_of(colon + 1), &list);
        if (type != NULL) {
            *colon = '\0';
        }
        ok = type == NULL ? put_guessed(doc, value)
             : list       ? put_list(doc, type, value)
                          : put_value(doc, type, value);
        clade_txn_prop_doc(txn, copy, doc);
    }
    clade_doc_free(doc);
    free(copy);
    if (!ok) {
        (void)cli_usage(cli,
                        "--prop: \"%s\" is not KEY=VALUE, or KEY:TYPE=VALUE with a value of that "
                        "type: " TYPES_TEXT,
                        text);
    }
    return ok;
}

/* The colon between name and type: the first that a type follows. */
static char *find_type(char *text)
{
    bool list;
    for (char *c = strchr(text, ':'); c != NULL; c = strchr(c + 1, ':')) {
        if (c != text && type_of(span_make(c + 1, strcspn(c + 1, ",")), &list) != NULL) {
            return c;
        }
    }
    return NULL;
}

/* Of what stands behind the type; takes the text apart. */
static bool parse_marks(char *text, unsigned *ret_flags, const char **ret_unit)
{
    while (text != NULL) {
        char *comma = strchr(text, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        if (strcmp(text, "required") == 0) {
            *ret_flags |= CLADE_FIELD_REQUIRED;
        } else if (strcmp(text, "fixed") == 0) {
            *ret_flags |= CLADE_FIELD_FIXED;
        } else if (strcmp(text, "indexed") == 0) {
            *ret_flags |= CLADE_FIELD_INDEXED;
        } else if (strncmp(text, "unit=", 5) == 0) {
            *ret_unit = text + 5;
        } else {
            return false;
        }
        text = comma == NULL ? NULL : comma + 1;
    }
    return true;
}

bool props_add_field(struct cli *cli, struct clade_txn *txn, const char *text)
{
    char *copy = strdup(text);
    char *colon = copy == NULL ? NULL : find_type(copy);
    unsigned flags = 0;
    const char *unit = NULL;
    bool ok = colon != NULL;
    if (ok) {
        *colon = '\0';
        char *comma = strchr(colon + 1, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        ok = comma == NULL || parse_marks(comma + 1, &flags, &unit);
        clade_txn_type_field(txn, copy, colon + 1, flags, unit);
    }
    free(copy);
    if (!ok) {
        (void)cli_usage(cli,
                        "--field: \"%s\" is not NAME:TYPE[,required][,fixed][,indexed][,unit=U], "
                        "with a type of " TYPES_TEXT,
                        text);
    }
    return ok;
}
