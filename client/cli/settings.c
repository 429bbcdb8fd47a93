#include "cli/settings.h"

#include <stdio.h>
#include <string.h>

#include "base/time_text.h"
#include "cli/text.h"

#define PATH_BYTES_MAX 4096

struct source {
    const struct args *args;
    const char *(*environment)(const char *name);
    const struct config_file *file; /* NULL when there is none */
};

/* The value that wins, and in *ret_where the place it came from, for an error. */
static const char *choose(const struct source *s,
                          enum flag_id flag,
                          const char *variable,
                          const char *in_file,
                          const char **ret_where)
{
    const char *value = args_get(s->args, flag);
    *ret_where = flag_by_id(flag)->name;
    if (value == NULL && variable != NULL) {
        value = s->environment(variable);
        *ret_where = variable;
        value = value != NULL && value[0] == '\0' ? NULL : value;
    }
    if (value == NULL) {
        value = in_file;
        *ret_where = "the settings file";
    }
    return value;
}

static int wrong(struct error *error, const char *where, const char *value, const char *expected)
{
    return error_set(error, CLADE_ERR_INVALID, where, "\"%.80s\" is not %s", value, expected);
}

static int load_file(const struct source *s, struct config_file **ret, struct error *error)
{
    const char *where;
    const char *path = choose(s, FLAG_CONFIG, "CLADE_CONFIG", NULL, &where);
    if (path != NULL) {
        int err = config_file_load(path, ret, error);
        return err == CLADE_ERR_NOT_FOUND ? (error->code = CLADE_ERR_INVALID) : err;
    }
    char standard[PATH_BYTES_MAX];
    const char *base = s->environment("XDG_CONFIG_HOME");
    const char *home = s->environment("HOME");
    int len;
    if (base != NULL && base[0] == '/') {
        len = snprintf(standard, sizeof standard, "%s/clade/config.yaml", base);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(standard, sizeof standard, "%s/.config/clade/config.yaml", home);
    } else {
        return 0;
    }
    if (len < 0 || (size_t)len >= sizeof standard) {
        return 0;
    }
    int err = config_file_load(standard, ret, error);
    if (err == CLADE_ERR_NOT_FOUND) {
        *error = (struct error){0};
        return 0; /* nobody asked for it */
    }
    return err;
}

bool settings_parse_consistency(const char *text, struct settings *ret)
{
    uint64_t n = 0;
    if (strcmp(text, "linearizable") == 0) {
        ret->consistency = CLADE_LINEARIZABLE;
    } else if (strcmp(text, "local") == 0) {
        ret->consistency = CLADE_LOCAL;
    } else if (strcmp(text, "at-least") == 0) {
        ret->consistency = CLADE_AT_LEAST;
    } else if (strncmp(text, "at-least=", 9) == 0 && text_parse_uint(text + 9, &n)) {
        ret->consistency = CLADE_AT_LEAST;
        ret->at_least = n;
    } else if (strncmp(text, "stale=", 6) == 0 && text_parse_duration(text + 6, 1, &n)) {
        ret->consistency = CLADE_STALE;
        ret->stale_ms = n;
    } else {
        return false;
    }
    return true;
}

bool settings_parse_as_of(const char *text, char ret[40])
{
    uint64_t n;
    if (text_parse_uint(text, &n)) {
        (void)snprintf(ret, 40, "%llu", (unsigned long long)n);
    } else if (text_parse_time(text, &n)) {
        time_format(n, ret);
    } else {
        return false;
    }
    return true;
}

static int set_as_of(const char *text, struct settings *ret, struct error *error)
{
    return text == NULL || settings_parse_as_of(text, ret->as_of)
               ? 0
               : wrong(error, "as-of", text, "a revision, a time or a date");
}

static int set_formats(const struct source *s, struct settings *ret, struct error *error)
{
    const struct config_file none = {0};
    const struct config_file *file = s->file == NULL ? &none : s->file;
    const char *where;
    const char *v = choose(s, FLAG_WRITE, "CLADE_WRITE", file->write, &where);
    if (v == NULL || strcmp(v, "table") == 0) {
        ret->write = WRITE_TABLE;
    } else if (strcmp(v, "json") == 0) {
        ret->write = WRITE_JSON;
    } else if (strcmp(v, "ndjson") == 0) {
        ret->write = WRITE_NDJSON;
    } else {
        return wrong(error, where, v, "table, json or ndjson");
    }
    v = choose(s, FLAG_COLOR, "CLADE_COLOR", file->color, &where);
    if (v == NULL || strcmp(v, "auto") == 0) {
        ret->color = COLOR_AUTO;
    } else if (strcmp(v, "always") == 0) {
        ret->color = COLOR_ALWAYS;
    } else if (strcmp(v, "never") == 0) {
        ret->color = COLOR_NEVER;
    } else {
        return wrong(error, where, v, "auto, always or never");
    }
    return 0;
}

static int set_reads(const struct source *s, struct settings *ret, struct error *error)
{
    const struct config_file none = {0};
    const struct config_file *file = s->file == NULL ? &none : s->file;
    const char *where;
    const char *v = choose(s, FLAG_CONSISTENCY, "CLADE_CONSISTENCY", file->consistency, &where);
    if (v != NULL && !settings_parse_consistency(v, ret)) {
        return wrong(error, where, v, "linearizable, at-least[=REVISION], stale=MS or local");
    }
    v = choose(s, FLAG_TIMEOUT, "CLADE_TIMEOUT", file->timeout, &where);
    uint64_t ms = 0;
    if (v != NULL && (!text_parse_duration(v, 1000, &ms) || ms == 0 || ms > 86400000)) {
        return wrong(error, where, v, "a time from 1ms to 24h");
    }
    ret->timeout_ms = (unsigned)ms;
    return set_as_of(args_get(s->args, FLAG_AS_OF), ret, error);
}

int settings_load(const struct args *args,
                  const char *(*environment)(const char *name),
                  struct settings *ret,
                  struct error *error)
{
    *ret = (struct settings){0};
    struct source s = {.args = args, .environment = environment};
    int err = load_file(&s, &ret->file, error);
    if (err != 0) {
        return err;
    }
    s.file = ret->file;
    const struct config_file none = {0};
    const struct config_file *file = s.file == NULL ? &none : s.file;
    const char *where;
    ret->endpoints = choose(&s, FLAG_ENDPOINTS, "CLADE_ENDPOINTS", file->endpoints, &where);
    ret->ns = choose(&s, FLAG_NAMESPACE, "CLADE_NAMESPACE", file->namespace_path, &where);
    ret->user = choose(&s, FLAG_USER, "CLADE_USER", file->user, &where);
    ret->reason = args_get(args, FLAG_REASON);
    ret->dry_run = args_has(args, FLAG_DRY_RUN);
    err = set_formats(&s, ret, error);
    return err != 0 ? err : set_reads(&s, ret, error);
}

void settings_release(struct settings *settings)
{
    if (settings != NULL) {
        config_file_free(settings->file);
        settings->file = NULL;
    }
}

uint32_t settings_consistency_members(const struct settings *s)
{
    return 1u + (s->consistency == CLADE_AT_LEAST || s->consistency == CLADE_STALE);
}

void settings_put_consistency(struct clade_doc *doc, const struct settings *s)
{
    static const char *const levels[] = {[CLADE_LINEARIZABLE] = "linearizable",
                                         [CLADE_AT_LEAST] = "at_least",
                                         [CLADE_STALE] = "stale",
                                         [CLADE_LOCAL] = "local"};
    clade_doc_str(doc, "consistency");
    clade_doc_str(doc, levels[s->consistency]);
    if (s->consistency == CLADE_AT_LEAST) {
        clade_doc_str(doc, "at_least");
        clade_doc_uint(doc, s->at_least);
    }
    if (s->consistency == CLADE_STALE) {
        clade_doc_str(doc, "stale_ms");
        clade_doc_uint(doc, s->stale_ms);
    }
}
