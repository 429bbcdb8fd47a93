/* The YAML file: one flat map. libcyaml checks its shape and its keys; values are read as text
 * and go the way that flags and the environment go. */
#include <errno.h>
#include <stdlib.h>

#include <cyaml/cyaml.h>

#include "node/config_internal.h"

/* What libcyaml said of the first mistake. */
struct complaint {
    char text[256];
    unsigned line;
};

static void on_complaint(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    struct complaint *c = ctx;
    char text[256];
    (void)vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\n")] = 0;
    const char *at = strstr(text, "line: ");
    if (at != NULL) {
        if (c->line == 0) {
            c->line = (unsigned)strtoul(at + 6, NULL, 10);
        }
    } else if (c->text[0] == 0) {
        const char *start = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
        (void)snprintf(c->text, sizeof c->text, "%s", start);
    }
}

static void *fill_schema(cyaml_schema_field_t fields[OPTION_COUNT + 1])
{
    memset(fields, 0, (OPTION_COUNT + 1) * sizeof *fields);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        fields[i] = (cyaml_schema_field_t){
            .key = option_key((enum option_id)i),
            .data_offset = (uint32_t)(i * sizeof(char *)),
            .value = {.type = CYAML_STRING,
                      .flags = (enum cyaml_flag)(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL),
                      .data_size = sizeof(char),
                      .string = {.min = 0, .max = CONFIG_VALUE_BYTES}}};
    }
    return fields;
}

static bool is_blank(struct span text)
{
    bool comment = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '\n') {
            comment = false;
        } else if (c == '#') {
            comment = true;
        } else if (!comment && c != ' ' && c != '\t' && c != '\r') {
            return false;
        }
    }
    return true;
}

/* The last line that begins with the key: libcyaml does not tell where keys and values stood. */
static unsigned find_line(struct span text, struct span wanted, unsigned *ret_count)
{
    unsigned line = 0;
    unsigned found = 0;
    unsigned count = 0;
    while (text.len > 0) {
        line++;
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t n = newline == NULL ? text.len : (size_t)(newline - text.data);
        const uint8_t *colon = memchr(text.data, ':', n);
        size_t key = colon == NULL ? 0 : (size_t)(colon - text.data);
        while (key > 0 && text.data[key - 1] == ' ') {
            key--;
        }
        if (key > 0 && span_equal(span_make(text.data, key), wanted)) {
            found = line;
            count++;
        }
        text = span_skip(text, newline == NULL ? n : n + 1);
    }
    *ret_count = count;
    return found;
}

/* Where the mistake is: a key that is not known is looked for, of the rest libcyaml tells the
 * line of the value that holds it. */
static unsigned complaint_line(const struct complaint *c, struct span text)
{
    static const char unexpected[] = "Unexpected key: ";
    unsigned count;
    if (strncmp(c->text, unexpected, sizeof unexpected - 1) == 0) {
        unsigned line = find_line(text, span_of(c->text + sizeof unexpected - 1), &count);
        if (line != 0) {
            return line;
        }
    }
    return c->line;
}

static int set_all(struct config *c,
                   struct span text,
                   char *const values[OPTION_COUNT],
                   struct error *error)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (values[i] == NULL) {
            continue;
        }
        unsigned count;
        unsigned line = find_line(text, span_of(option_key((enum option_id)i)), &count);
        if (count > 1) {
            char where[CONFIG_PATH_BYTES + 32];
            (void)snprintf(where, sizeof where, "%s line %u", c->file, line);
            return error_set(error, CLADE_ERR_INVALID, where, "%s: the key is there twice",
                             option_key((enum option_id)i));
        }
        int r = config_set(c, (enum option_id)i, span_of(values[i]), SOURCE_FILE, line, error);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int config_set_yaml(struct config *c, struct span text, const char *name, struct error *error)
{
    (void)snprintf(c->file, sizeof c->file, "%s", name);
    if (text.len > CONFIG_FILE_BYTES) {
        return error_set(error, CLADE_ERR_INVALID, name,
                         "the file is longer than %d bytes; is it a configuration?",
                         CONFIG_FILE_BYTES);
    }
    if (is_blank(text)) {
        return 0;
    }
    cyaml_schema_field_t fields[OPTION_COUNT + 1];
    const cyaml_schema_value_t schema = {.type = CYAML_MAPPING,
                                         .flags = CYAML_FLAG_POINTER,
                                         .data_size = OPTION_COUNT * sizeof(char *),
                                         .mapping = {.fields = fill_schema(fields)}};
    struct complaint complaint = {.text = ""};
    const cyaml_config_t how = {.log_fn = on_complaint,
                                .log_ctx = &complaint,
                                .log_level = CYAML_LOG_ERROR,
                                .mem_fn = cyaml_mem,
                                .flags = CYAML_CFG_NO_ALIAS};
    cyaml_data_t *data = NULL;
    cyaml_err_t e = cyaml_load_data(text.data, text.len, &how, &schema, &data, NULL);
    if (e != CYAML_OK) {
        char where[CONFIG_PATH_BYTES + 32];
        (void)snprintf(where, sizeof where, "%s", name);
        unsigned line = complaint_line(&complaint, text);
        if (line != 0) {
            (void)snprintf(where, sizeof where, "%s line %u", name, line);
        }
        return error_set(error, e == CYAML_ERR_OOM ? CLADE_ERR_NO_MEMORY : CLADE_ERR_INVALID, where,
                         "%s", complaint.text[0] != 0 ? complaint.text : cyaml_strerror(e));
    }
    int r = data == NULL ? 0 : set_all(c, text, (char *const *)data, error);
    (void)cyaml_free(&how, &schema, data, 0);
    return r;
}

int config_set_file(struct config *c, const char *path, struct error *error)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return error_set(error, CLADE_ERR_INVALID, path, "cannot be read: %s", strerror(errno));
    }
    uint8_t *text = malloc(CONFIG_FILE_BYTES + 1);
    if (text == NULL) {
        (void)fclose(f);
        return error_set(error, CLADE_ERR_NO_MEMORY, path, "out of memory");
    }
    size_t n = fread(text, 1, CONFIG_FILE_BYTES + 1, f);
    int r = ferror(f) ? error_set(error, CLADE_ERR_INVALID, path, "cannot be read")
                      : config_set_yaml(c, span_make(text, n), path, error);
    (void)fclose(f);
    free(text);
    return r;
}
