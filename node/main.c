#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/time_text.h"
#include "node/advice.h"
#include "node/check_config.h"
#include "node/config.h"
#include "node/data_folder.h"
#include "node/exit_status.h"
#include "node/folder_check.h"
#include "node/help.h"
#include "node/node.h"
#include "node/recover.h"
#include "node/restore.h"
#include "node/shrink.h"

/* What the command line says beside the options of config.h. */
struct arguments {
    const char *command;
    const char *config_file;
    bool print_config;
    const char *running_file; /* check-config */
    const char *running_data; /* check-config */
    bool join;                /* init */
    bool check;               /* restore, recover */
    struct identity identity; /* init, restore: members, name */
    struct restore_request restore;
    struct recover_request recover;
};

/* --- saying --- */

static int tell(const struct error *e, const char *advice, int status)
{
    fprintf(stderr, "claded: %s%s%s%s%s\n", e->where, e->where[0] != 0 ? ": " : "", e->message,
            advice[0] != 0 ? "; " : "", advice);
    return status;
}

static int complain(const struct error *e, int status)
{
    return tell(e, advice_for(e->code), status);
}

/* --- arguments --- */

static int usage(struct error *e, const char *where, const char *what)
{
    return error_set(e, CLADE_ERR_INVALID, where, "%s; see claded --help", what);
}

static bool is_check_config(const struct arguments *a)
{
    return a->command != NULL && strcmp(a->command, "check-config") == 0;
}

static int take_command(struct arguments *a, const char *word, struct error *e)
{
    static const char *const commands[] = {"run",     "init",    "check", "check-config",
                                           "restore", "recover", "shrink"};
    if (is_check_config(a) && a->config_file == NULL) {
        a->config_file = word;
        return 0;
    }
    for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(word, commands[i]) == 0) {
            if (a->command != NULL) {
                return usage(e, word, "a second command");
            }
            a->command = commands[i];
            return 0;
        }
    }
    return usage(e, word, "there is no such command");
}

static int take_name(struct arguments *a, struct span value, struct error *e)
{
    if (value.len >= sizeof a->identity.name) {
        return usage(e, "--name", "the name is too long");
    }
    memcpy(a->identity.name, value.data, value.len);
    a->identity.name[value.len] = 0;
    return 0;
}

static int take_from(struct arguments *a, const char *value, struct error *e)
{
    if (a->restore.files_len == RESTORE_FILES_MAX) {
        return usage(e, "--from", "too many files");
    }
    a->restore.files[a->restore.files_len++] = value;
    return 0;
}

static int take_revision(struct arguments *a, const char *value, struct error *e)
{
    char *end;
    errno = 0;
    a->restore.revision = strtoull(value, &end, 10);
    return errno == 0 && value[0] >= '0' && value[0] <= '9' && *end == 0 && a->restore.revision != 0
               ? 0
               : usage(e, "--revision", "it is a number above 0");
}

static int take_time(struct arguments *a, const char *value, struct error *e)
{
    return time_parse(span_of(value), &a->restore.time_us) == 0
               ? 0
               : usage(
                     e, "--time",
                     "it is RFC 3339, 2026-03-01T12:00:00Z, or a date, which means its end in UTC");
}

/* One "--NAME VALUE" or "--NAME=VALUE" of those with a value. */
static int take_value(
    struct arguments *a, struct config *c, struct span name, const char *value, struct error *e)
{
    if (span_equal_str(name, "config")) {
        a->config_file = value;
        return 0;
    }
    if (span_equal_str(name, "running")) {
        a->running_file = value;
        return 0;
    }
    if (span_equal_str(name, "data") && is_check_config(a)) {
        a->running_data = value;
        return 0;
    }
    if (span_equal_str(name, "member")) {
        return identity_add_member(&a->identity, span_of(value), e);
    }
    if (span_equal_str(name, "name")) {
        return take_name(a, span_of(value), e);
    }
    if (span_equal_str(name, "from")) {
        return take_from(a, value, e);
    }
    if (span_equal_str(name, "revision")) {
        return take_revision(a, value, e);
    }
    if (span_equal_str(name, "time")) {
        return take_time(a, value, e);
    }
    enum option_id id = option_by_flag(name);
    if (id == OPTION_DATA) {
        if (a->recover.folders_len == RECOVER_FOLDERS_MAX) {
            return usage(e, "--data", "that is too often");
        }
        a->recover.folders[a->recover.folders_len++] = value;
    }
    return config_set(c, id, span_of(value), SOURCE_FLAG, 0, e);
}

static bool takes_value(struct span name)
{
    static const char *const names[] = {"config", "running",  "member", "name",
                                        "from",   "revision", "time"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (span_equal_str(name, names[i])) {
            return true;
        }
    }
    return option_by_flag(name) != OPTION_COUNT;
}

static bool take_switch(struct arguments *a, struct span name)
{
    if (span_equal_str(name, "print-config")) {
        a->print_config = true;
    } else if (span_equal_str(name, "join")) {
        a->join = true;
    } else if (span_equal_str(name, "check")) {
        a->check = true;
    } else if (span_equal_str(name, "force")) {
        a->recover.force = true;
    } else {
        return false;
    }
    return true;
}

static int take_flag(struct arguments *a, struct config *c, char **argv, int *i, struct error *e)
{
    const char *text = argv[*i] + 2;
    const char *equals = strchr(text, '=');
    struct span name = span_make(text, equals != NULL ? (size_t)(equals - text) : strlen(text));
    if (equals == NULL && take_switch(a, name)) {
        return 0;
    }
    if (!takes_value(name)) {
        return usage(e, argv[*i], "there is no such option");
    }
    enum option_id id = option_by_flag(name);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (value == NULL && id != OPTION_COUNT && option_is_bool(id)) {
        value = "true";
    }
    if (value == NULL) {
        value = argv[*i + 1];
        if (value == NULL) {
            return usage(e, argv[*i], "its value is missing");
        }
        (*i)++;
    }
    return take_value(a, c, name, value, e);
}

static bool is_command(const struct arguments *a, const char *command)
{
    return strcmp(a->command, command) == 0;
}

static int check_arguments(const struct arguments *a, const struct config *c, struct error *e)
{
    const struct restore_request *r = &a->restore;
    if (!is_command(a, "init") && a->join) {
        return usage(e, "--join", "only init takes it");
    }
    if (!is_command(a, "init") && !is_command(a, "restore") &&
        (a->identity.members_len > 0 || a->identity.name[0])) {
        return usage(e, "--member, --name", "only init and restore take them");
    }
    if (!is_command(a, "restore") && (r->files_len > 0 || r->revision != 0 || r->time_us != 0)) {
        return usage(e, "--from, --revision, --time", "only restore takes them");
    }
    if (!is_command(a, "restore") && !is_command(a, "recover") && a->check) {
        return usage(e, "--check", "only restore and recover take it");
    }
    if (!is_command(a, "recover") && a->recover.force) {
        return usage(e, "--force", "only recover takes it");
    }
    if (!is_command(a, "recover") && a->recover.folders_len > 1) {
        return usage(e, "--data", "only recover takes several");
    }
    if (a->running_file != NULL && !is_check_config(a)) {
        return usage(e, "--running", "only check-config takes it");
    }
    if (a->running_file != NULL && a->running_data != NULL) {
        return usage(e, "--running, --data", "one of them");
    }
    if (is_check_config(a) && c->sources[OPTION_DATA] == SOURCE_FLAG) {
        return usage(e, "--data", "it stands behind check-config");
    }
    return 0;
}

static int read_arguments(
    struct arguments *a, struct config *c, int argc, char **argv, struct error *e)
{
    for (int i = 1; i < argc; i++) {
        int r = strncmp(argv[i], "--", 2) == 0 ? take_flag(a, c, argv, &i, e)
                                               : take_command(a, argv[i], e);
        if (r < 0) {
            return r;
        }
    }
    if (a->command == NULL) {
        a->command = "run";
    }
    return check_arguments(a, c, e);
}

static int read_config(const struct arguments *a, struct config *c, struct error *e)
{
    int r = config_set_environment(c, e);
    const char *file = a->config_file != NULL ? a->config_file : getenv("CLADE_CONFIG");
    if (r == 0 && file != NULL) {
        r = config_set_file(c, file, e);
    }
    return r < 0 ? r : config_check(c, e);
}

/* --- commands --- */

/* Whoever names a cluster and forgets --join would make a new one beside it. */
static int complete_first(const struct config *c, struct identity *identity, struct error *e)
{
    char cluster[33];
    int r = identity_complete(identity, e);
    if (r < 0 || c->cluster[0] == 0) {
        return r;
    }
    hash128_format(identity->cluster, cluster);
    return strcmp(cluster, c->cluster) == 0
               ? 0
               : error_set(e, CLADE_ERR_INVALID, "cluster",
                           "these members and this name make the new cluster %s, not %s; to join "
                           "a running one add --join",
                           cluster, c->cluster);
}

static int init(const struct config *c, struct identity *identity, bool join)
{
    struct error e = {.code = 0};
    char cluster[33];
    identity->node = c->node;
    if ((join ? identity_complete_joined(identity, c->cluster, &e)
              : complete_first(c, identity, &e)) < 0) {
        return complain(&e, EXIT_USAGE);
    }
    int r = data_folder_init(c->data, identity, &e);
    if (r < 0) {
        return complain(&e, EXIT_FAILED);
    }
    hash128_format(identity->cluster, cluster);
    const char *made = r == 1 ? "is already the data folder of" : "made the data folder of";
    if (join) {
        printf("%s: %s node %" PRIu64 ", which joins cluster %s\n", c->data, made, identity->node,
               cluster);
    } else {
        printf("%s: %s node %" PRIu64 " of %zu, cluster %s\n", c->data, made, identity->node,
               identity->members_len, cluster);
    }
    return EXIT_DONE;
}

static int restore(const struct config *c, struct arguments *a)
{
    struct error e = {.code = 0};
    a->restore.identity = a->identity;
    int r = a->check ? restore_look(&a->restore, &e) : restore_run(c, &a->restore, &e);
    return r == 0 ? EXIT_DONE
                  : tell(&e, "", exit_status_of(r)); /* a node's advice is none for a file */
}

static int recover(const struct config *c, struct arguments *a)
{
    struct error e = {.code = 0};
    struct recover_request *request = &a->recover;
    request->check = a->check;
    if (request->folders_len == 0) {
        request->folders[request->folders_len++] = c->data;
    }
    int r = recover_run(c, request, &e);
    return r == 0 ? EXIT_DONE : tell(&e, "", exit_status_of(r));
}

static bool on_progress(uint64_t rows, void *arg)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%" PRIu64 " rows", rows);
    }
    return true;
}

static int check(const struct config *c)
{
    struct error e = {.code = 0};
    return folder_check(c, on_progress, &e) < 0 ? complain(&e, exit_status_of(e.code)) : EXIT_DONE;
}

static int shrink(const struct config *c)
{
    struct error e = {.code = 0};
    struct data_folder folder;
    struct shrink_result result;
    if (data_folder_refuse_others(c->data, &e) < 0) {
        return tell(&e, "", exit_status_of(e.code));
    }
    if (data_folder_open(c->data, c->cluster, c->node, &folder, &e) < 0) {
        return complain(&e, exit_status_of(e.code));
    }
    int r = shrink_store(&folder, c->map_bytes, on_progress, &result, &e);
    if (r == 0) {
        printf("%s: %s%" PRIu64 " bytes before, %" PRIu64 " now\n", folder.store_path,
               result.shrunk ? "" : "nothing to give back: ", result.before_bytes,
               result.shrunk ? result.after_bytes : result.before_bytes);
    }
    data_folder_close(&folder);
    return r == 0 ? EXIT_DONE : complain(&e, exit_status_of(e.code));
}

static int run(struct config *c)
{
    /* Many arenas and a high threshold for giving back would multiply an idle node's memory. */
    (void)mallopt(M_ARENA_MAX, 4);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
    log_configure(STDERR_FILENO, (enum log_format)c->log_format, (enum log_level)c->log_level);
    return node_run(c);
}

/* LMDB maps the store: a page that the disk cannot give, or a file that was cut, ends in a signal
 * where a read would have failed. */
static void on_bus_error(int sig)
{
    static const char text[] = "claded: the store's data.mdb cannot be read: it was cut short, or "
                               "its disk failed; rebuild this node as a new member (runbook: "
                               "damaged node)\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    _exit(EXIT_UNFIT);
}

int main(int argc, char **argv)
{
    const struct sigaction bus = {.sa_handler = on_bus_error};
    (void)sigaction(SIGBUS, &bus, NULL);
    static struct arguments a;
    static struct config c;
    struct error e = {.code = 0};
    config_init(&c);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help_print(stdout);
            return EXIT_DONE;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("claded " CLADE_VERSION);
            return EXIT_DONE;
        }
    }
    if (read_arguments(&a, &c, argc, argv, &e) < 0 || read_config(&a, &c, &e) < 0) {
        return complain(&e, EXIT_USAGE);
    }
    if (a.print_config) {
        config_print(&c, stdout);
        return EXIT_DONE;
    }
    if (is_check_config(&a)) {
        return check_config(&c, a.running_file, a.running_data);
    }
    if (is_command(&a, "init")) {
        return init(&c, &a.identity, a.join);
    }
    if (is_command(&a, "restore")) {
        return restore(&c, &a);
    }
    if (is_command(&a, "shrink")) {
        return shrink(&c);
    }
    if (is_command(&a, "recover")) {
        return recover(&c, &a);
    }
    return is_command(&a, "check") ? check(&c) : run(&c);
}
