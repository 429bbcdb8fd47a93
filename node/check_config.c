#include "node/check_config.h"

#include "node/exit_status.h"
#include "node/node.h"
#include "node/reload.h"

static int complain(const struct error *e)
{
    fprintf(stderr, "claded: %s%s%s\n", e->where, e->where[0] != 0 ? ": " : "", e->message);
    return EXIT_USAGE;
}

static int read_running(const struct config *c,
                        const char *running,
                        const char *data,
                        struct config *ret,
                        struct error *error)
{
    char path[CONFIG_PATH_BYTES + sizeof RELOAD_RUNNING_NAME + 1];
    if (running != NULL) {
        return config_read_beside(c, running, ret, error);
    }
    if ((size_t)snprintf(path, sizeof path, "%s/%s", data, RELOAD_RUNNING_NAME) >= sizeof path) {
        return error_set(error, CLADE_ERR_INVALID, "--data", "the path is too long");
    }
    config_init(ret);
    return config_set_running(ret, path, error);
}

static const char *describe(const struct config *old, enum option_id id)
{
    if (old->sources[id] == SOURCE_FLAG) {
        return "stays: a flag says so";
    }
    if (old->sources[id] == SOURCE_ENVIRONMENT) {
        return "stays: the environment says so";
    }
    return option_reloads(id) ? "by a reload" : "needs a restart";
}

static void compare(const struct config *old, const struct config *c, bool flags_known)
{
    unsigned reloads = 0;
    unsigned restarts = 0;
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        enum option_id id = (enum option_id)i;
        if (!config_differs(old, c, id)) {
            continue;
        }
        char from[CONFIG_TEXT_BYTES];
        char to[CONFIG_TEXT_BYTES];
        config_value(old, id, from);
        config_value(c, id, to);
        printf("%s: %s -> %s (%s)\n", option_key(id), from, to, describe(old, id));
        bool stays = flags_known && old->sources[id] > SOURCE_FILE;
        reloads += !stays && option_reloads(id);
        restarts += !stays && !option_reloads(id);
    }
    if (reloads + restarts == 0) {
        puts("nothing changes");
    } else {
        printf("%u by a reload (SIGHUP), %u by a restart\n", reloads, restarts);
    }
}

int check_config(const struct config *c, const char *running, const char *data)
{
    struct error e = {.code = 0};
    struct config old;
    if (node_check_addresses(c, &e) < 0) {
        return complain(&e);
    }
    if (running == NULL && data == NULL) {
        puts("the configuration is valid");
        return EXIT_DONE;
    }
    if (read_running(c, running, data, &old, &e) < 0) {
        return complain(&e);
    }
    puts("the configuration is valid");
    compare(&old, c, data != NULL);
    return EXIT_DONE;
}
