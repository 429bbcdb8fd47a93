/* Settings that are read a second time, and compared. */
#include <errno.h>
#include <stdlib.h>

#include "node/config_internal.h"

bool option_reloads(enum option_id id)
{
    return option_row(id)->reload;
}

static size_t value_bytes(const struct option *o)
{
    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_ADDRESS:
    case OPTION_HEX:
        return o->text_bytes;
    case OPTION_UINT:
    case OPTION_SIZE:
        return sizeof(uint64_t);
    case OPTION_BOOL:
        return sizeof(bool);
    case OPTION_WORD:
        return sizeof(unsigned);
    }
    return 0;
}

bool config_differs(const struct config *a, const struct config *b, enum option_id id)
{
    const struct option *o = option_row(id);
    const char *x = (const char *)a + o->offset;
    const char *y = (const char *)b + o->offset;
    return o->text_bytes > 0 ? strcmp(x, y) != 0 : memcmp(x, y, value_bytes(o)) != 0;
}

static void copy_value(struct config *to, const struct config *from, enum option_id id)
{
    const struct option *o = option_row(id);
    memcpy((char *)to + o->offset, (const char *)from + o->offset, value_bytes(o));
    to->sources[id] = from->sources[id];
    to->lines[id] = from->lines[id];
}

void config_take(struct config *to, const struct config *from, enum option_id id)
{
    const struct option *o = option_row(id);
    if (o->type != OPTION_UINT && o->type != OPTION_SIZE) {
        copy_value(to, from, id);
        return;
    }
    const void *value = (const char *)from + o->offset;
    void *place = (char *)to + o->offset;
    __atomic_store_n((uint64_t *)place, *(const uint64_t *)value, __ATOMIC_RELAXED);
    to->sources[id] = from->sources[id];
    to->lines[id] = from->lines[id];
}

int config_read_beside(const struct config *c,
                       const char *file,
                       struct config *ret,
                       struct error *error)
{
    struct config read;
    config_init(&read);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (c->sources[i] == SOURCE_FLAG) {
            copy_value(&read, c, (enum option_id)i);
        }
    }
    int r = config_set_environment(&read, error);
    if (r == 0 && file[0] != 0) {
        r = config_set_file(&read, file, error);
    }
    if (r == 0) {
        r = config_check(&read, error);
    }
    if (r == 0) {
        *ret = read;
    }
    return r;
}

/* --- the settings of a running node --- */

/* Whether the line of that key ends in a comment that begins so. */
static bool came_from(const char *text, const char *key, const char *source)
{
    size_t key_len = strlen(key);
    size_t source_len = strlen(source);
    for (const char *line = text; *line != 0;) {
        size_t len = strcspn(line, "\n");
        if (len > key_len && memcmp(line, key, key_len) == 0 && line[key_len] == ':') {
            const char *mark = memrchr(line, '#', len);
            return mark != NULL && strncmp(mark + 2, source, source_len) == 0;
        }
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    return false;
}

int config_set_running(struct config *c, const char *path, struct error *error)
{
    int r = config_set_file(c, path, error);
    char *text = r < 0 ? NULL : calloc(1, CONFIG_FILE_BYTES + 1);
    FILE *f = text == NULL ? NULL : fopen(path, "re");
    if (r == 0 && f == NULL) {
        r = error_set(error, CLADE_ERR_IO, path, "cannot be read: %s", strerror(errno));
    }
    if (r == 0) {
        (void)fread(text, 1, CONFIG_FILE_BYTES, f);
        for (unsigned i = 0; i < OPTION_COUNT; i++) {
            const char *key = option_key((enum option_id)i);
            c->sources[i] = came_from(text, key, "flag ")          ? SOURCE_FLAG
                            : came_from(text, key, "environment ") ? SOURCE_ENVIRONMENT
                                                                   : c->sources[i];
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    free(text);
    return r;
}
