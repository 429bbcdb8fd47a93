#include "node/reload.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "consensus/archive.h"
#include "node/files.h"

void reload_write_running(const struct node *n)
{
    struct error error = {.code = 0};
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    if (to != NULL) {
        config_print(n->config, to);
        (void)fclose(to);
    }
    if (text == NULL) {
        (void)error_set(&error, CLADE_ERR_NO_MEMORY, RELOAD_RUNNING_NAME, "out of memory");
    } else {
        (void)files_replace_text(n->folder.path, RELOAD_RUNNING_NAME, text, &error);
    }
    if (error.code != 0) {
        log_warning("the settings that this node runs with were not written into its folder; "
                    "claded check-config --data does not know them",
                    LOG_STR("where", error.where), LOG_STR("error", error.message));
    }
    free(text);
}

static bool take(struct node *n, const struct config *next, enum option_id id)
{
    char from[CONFIG_TEXT_BYTES];
    char to[CONFIG_TEXT_BYTES];
    config_value(n->config, id, from);
    config_value(next, id, to);
    if (!option_reloads(id)) {
        log_warning("setting needs a restart to change", LOG_STR("setting", option_key(id)),
                    LOG_STR("from", from), LOG_STR("to", to),
                    LOG_STR("runbook", "rolling restart and upgrade"));
        return false;
    }
    log_info("setting changed", LOG_STR("setting", option_key(id)), LOG_STR("from", from),
             LOG_STR("to", to));
    config_take(n->config, next, id);
    return true;
}

void reload(struct node *n)
{
    struct config next;
    struct error error = {.code = 0};
    uint64_t changed = 0;
    uint64_t waiting = 0;
    if (config_read_beside(n->config, n->config->file, &next, &error) < 0) {
        log_error("the settings stay as they were: what was read again is wrong",
                  LOG_STR("where", error.where), LOG_STR("error", error.message));
        return;
    }
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        enum option_id id = (enum option_id)i;
        if (config_differs(n->config, &next, id)) {
            bool taken = take(n, &next, id);
            changed += taken;
            waiting += !taken;
        }
    }
    log_info("the settings were read again", LOG_STR("file", n->config->file),
             LOG_U64("changed", changed), LOG_U64("need_restart", waiting));
    /* What no thread looks up by itself. A quieter log begins here. */
    const struct config *c = n->config;
    log_configure(STDERR_FILENO, (enum log_format)c->log_format, (enum log_level)c->log_level);
    archive_set_limits(n->archive, c->archive_bytes, c->archive_age_s * 1000000);
    if (changed > 0) {
        reload_write_running(n);
    }
}
