#include "cli/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cyaml/cyaml.h>

#define CONFIG_BYTES_MAX 65536
#define VALUE_BYTES_MAX  4096

/* clang-format off */
#define CONFIG_FIELD(key, member)                                                                  \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_file,      \
                           member, 1, VALUE_BYTES_MAX)
static const cyaml_schema_field_t fields[] = {
    CONFIG_FIELD("endpoints", endpoints),
    CONFIG_FIELD("namespace", namespace_path),
    CONFIG_FIELD("write", write),
    CONFIG_FIELD("consistency", consistency),
    CONFIG_FIELD("timeout", timeout),
    CONFIG_FIELD("user", user),
    CONFIG_FIELD("color", color),
    CYAML_FIELD_END
};
/* clang-format on */
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_file, fields)};

/* Keeps the first message, which is the innermost and the most telling. */
__attribute__((format(printf, 3, 0))) static void on_log(cyaml_log_t level,
                                                         void *ctx,
                                                         const char *fmt,
                                                         va_list args)
{
    struct error *detail = ctx;
    if (detail->message[0] != '\0') {
        return;
    }
    int len = vsnprintf(detail->message, sizeof detail->message, fmt, args);
    if (len > 0 && (size_t)len < sizeof detail->message && detail->message[len - 1] == '\n') {
        detail->message[len - 1] = '\0';
    }
}

static cyaml_config_t loader(struct error *detail)
{
    return (cyaml_config_t){
        .log_fn = on_log,
        .log_ctx = detail,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

/* Into `bytes`; *ret_len is CONFIG_BYTES_MAX when there was more. */
static int read_file(const char *path, uint8_t *bytes, size_t *ret_len, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return error_set(error, CLADE_ERR_NOT_FOUND, path, "there is no such file");
    }
    if (fd < 0) {
        return error_set(error, CLADE_ERR_INVALID, path, "cannot be opened: %m");
    }
    size_t len = 0;
    ssize_t n = 0;
    while (len < CONFIG_BYTES_MAX && (n = read(fd, bytes + len, CONFIG_BYTES_MAX - len)) > 0) {
        len += (size_t)n;
    }
    int saved = errno;
    (void)close(fd);
    if (n < 0) {
        errno = saved;
        return error_set(error, CLADE_ERR_INVALID, path, "cannot be read: %m");
    }
    *ret_len = len;
    return 0;
}

int config_file_load(const char *path, struct config_file **ret_config, struct error *error)
{
    uint8_t *bytes = malloc(CONFIG_BYTES_MAX);
    if (bytes == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, path, "out of memory");
    }
    size_t len = 0;
    int err = read_file(path, bytes, &len, error);
    if (err == 0 && len == CONFIG_BYTES_MAX) {
        err = error_set(error, CLADE_ERR_INVALID, path, "a settings file may have %d bytes",
                        CONFIG_BYTES_MAX - 1);
    }
    if (err == 0) {
        struct error detail = {0};
        cyaml_config_t config = loader(&detail);
        cyaml_data_t *data = NULL;
        cyaml_err_t code = cyaml_load_data(bytes, len, &config, &schema, &data, NULL);
        if (code == CYAML_OK && data != NULL) {
            *ret_config = (struct config_file *)data;
        } else {
            err = error_set(error, CLADE_ERR_INVALID, path, "%s",
                            detail.message[0] != '\0' ? detail.message : cyaml_strerror(code));
        }
    }
    free(bytes);
    return err;
}

void config_file_free(struct config_file *config)
{
    if (config != NULL) {
        struct error detail = {0};
        cyaml_config_t c = loader(&detail);
        (void)cyaml_free(&c, &schema, config, 0);
    }
}
