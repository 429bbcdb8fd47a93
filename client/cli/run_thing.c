#include "base/clock.h"
#include "cli/cli.h"
#include "cli/props.h"
#include "cli/run.h"
#include "cli/run_ops.h"
#include "cli/show.h"
#include "cli/text.h"

#define OPERATIONS_PER_TXN 1000

/* Flags whose value is a field as it stands. */
struct field_flag {
    enum flag_id flag;
    const char *field;
    const char *ref_kind; /* the value is a reference to this kind; NULL = it is not */
};

static const struct field_flag text_flags[] = {
    {FLAG_DESCRIPTION, "description", NULL},
    {FLAG_OWNER, "owner", NULL},
    {FLAG_TYPE, "type", NULL},
    {FLAG_STATUS, "status", NULL},
    {FLAG_CONTENT, "content", NULL},
    {FLAG_CONTENT_REASON, "content_reason", NULL},
    {FLAG_EXPERIMENT, "experiment", "experiment"},
    {FLAG_PARENT, "parent", "run"},
    {FLAG_RUN, "run", "run"},
    {FLAG_DESIRED, "desired", NULL},
    {FLAG_OBSERVED, "observed", NULL},
    {FLAG_ENDPOINT, "endpoint", NULL},
};
static const struct field_flag list_flags[] = {
    {FLAG_DIGEST, "digests", NULL},
    {FLAG_URI, "uris", NULL},
    {FLAG_EXTERNAL_ID, "external_ids", NULL},
};
static const struct field_flag take_flags[] = {
    {FLAG_REMOVE_URI, "uris", NULL},
    {FLAG_REMOVE_EXTERNAL_ID, "external_ids", NULL},
};
static const struct field_flag time_flags[] = {
    {FLAG_START, "start", NULL},
    {FLAG_END, "end", NULL},
};

/* A type may be given by its whole name, "artifact:dataset"; the field takes "dataset". */
static const char *without_kind(const char *type, const char *kind)
{
    size_t len = strlen(kind);
    return strncmp(type, kind, len) == 0 && type[len] == ':' ? type + len + 1 : type;
}

static void set_texts(struct cli *cli, struct clade_txn *txn, struct cli_list *memory)
{
    for (size_t i = 0; i < sizeof text_flags / sizeof *text_flags; i++) {
        const struct field_flag *f = &text_flags[i];
        const char *value = args_get(&cli->args, f->flag);
        if (value != NULL && f->ref_kind != NULL) {
            value = cli_list_ref(memory, f->ref_kind, value);
        }
        if (value != NULL && f->flag == FLAG_TYPE) {
            value = without_kind(value, cli->args.command->subject);
        }
        if (value != NULL) {
            clade_txn_set(txn, f->field, value);
        }
    }
}

static bool set_times(struct cli *cli, struct clade_txn *txn)
{
    for (size_t i = 0; i < sizeof time_flags / sizeof *time_flags; i++) {
        const char *text = args_get(&cli->args, time_flags[i].flag);
        uint64_t us = 0;
        if (text == NULL) {
            continue;
        }
        if (strcmp(text, "now") == 0) {
            us = clock_wall_us(clock_system());
        } else if (!text_parse_time(text, &us)) {
            (void)cli_usage(cli,
                            "--%s: \"%s\" is not a time: 2026-03-01T12:00:00 (local, or with an "
                            "offset), a date, or now",
                            time_flags[i].field, text);
            return false;
        }
        clade_txn_set_uint(txn, time_flags[i].field, us);
    }
    return true;
}

static bool set_tag(struct cli *cli,
                    struct clade_txn *txn,
                    const char *text,
                    struct cli_list *memory)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        (void)cli_usage(cli, "--tag: \"%s\" is not KEY=VALUE", text);
        return false;
    }
    const char *key = arena_copy_str(&memory->arena, span_make(text, (size_t)(equals - text)));
    if (key != NULL) {
        clade_txn_tag(txn, key, equals + 1);
    }
    return key != NULL;
}

/* Takes `end` off the text's end. */
static bool strip(char *text, const char *end)
{
    size_t len = strlen(text);
    size_t n = strlen(end);
    bool has = len > n && strcmp(text + len - n, end) == 0;
    if (has) {
        text[len - n] = '\0';
    }
    return has;
}

/* NAME[:multiple][:in-use], in any order. */
static bool set_stage(struct clade_txn *txn, const char *text, struct cli_list *memory)
{
    char *name = arena_copy_str(&memory->arena, span_of(text));
    bool multiple = false;
    bool in_use = false;
    for (bool more = name != NULL; more;) {
        bool many = strip(name, ":multiple");
        bool used = strip(name, ":in-use");
        multiple = multiple || many;
        in_use = in_use || used;
        more = many || used;
    }
    if (name != NULL) {
        clade_txn_stage(txn, name, multiple, in_use);
    }
    return name != NULL;
}

/* WHAT=N, or WHAT=none. */
static bool set_quota(struct cli *cli,
                      struct clade_txn *txn,
                      const char *text,
                      struct cli_list *memory)
{
    const char *equals = strchr(text, '=');
    const char *value = equals == NULL ? "" : equals + 1;
    uint64_t limit = 0;
    bool is_number = text_parse_uint(value, &limit);
    bool is_none = strcmp(value, "none") == 0;
    if (equals == NULL || equals == text || (!is_number && !is_none)) {
        (void)cli_usage(cli, "--quota: \"%s\" is not WHAT=N or WHAT=none", text);
        return false;
    }
    const char *what = arena_copy_str(&memory->arena, span_make(text, (size_t)(equals - text)));
    if (what != NULL && is_none) {
        clade_txn_quota_unset(txn, what);
    } else if (what != NULL) {
        clade_txn_quota(txn, what, limit);
    }
    return what != NULL;
}

static bool set_default(struct cli *cli,
                        struct clade_txn *txn,
                        const char *text,
                        struct cli_list *memory)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        (void)cli_usage(cli, "--default: \"%s\" is not KIND.FIELD=VALUE", text);
        return false;
    }
    const char *key = arena_copy_str(&memory->arena, span_make(text, (size_t)(equals - text)));
    if (key != NULL) {
        clade_txn_default(txn, key, equals + 1);
    }
    return key != NULL;
}

static bool set_retention(struct cli *cli, struct clade_txn *txn)
{
    const char *text = args_get(&cli->args, FLAG_RETENTION);
    uint64_t ms = 0;
    if (text != NULL && strcmp(text, "none") == 0) {
        clade_txn_set(txn, "retention_s", NULL);
    } else if (text != NULL && text_parse_duration(text, 0, &ms)) {
        clade_txn_set_uint(txn, "retention_s", ms / 1000);
    } else if (text != NULL) {
        (void)cli_usage(cli, "--retention: \"%s\" is not a time like 90d or 12h, nor none", text);
        return false;
    }
    return true;
}

static bool set_repeated(struct cli *cli, struct clade_txn *txn, struct cli_list *memory)
{
    for (size_t i = 0; i < cli->args.flags_len; i++) {
        const struct args_flag *given = &cli->args.flags[i];
        for (size_t j = 0; j < sizeof list_flags / sizeof *list_flags; j++) {
            if (given->id == list_flags[j].flag) {
                clade_txn_add(txn, list_flags[j].field, given->value);
            }
        }
        for (size_t j = 0; j < sizeof take_flags / sizeof *take_flags; j++) {
            if (given->id == take_flags[j].flag) {
                clade_txn_take_away(txn, take_flags[j].field, given->value);
            }
        }
        if ((given->id == FLAG_PROP && !props_add(cli, txn, given->value)) ||
            (given->id == FLAG_FIELD && !props_add_field(cli, txn, given->value))) {
            return false;
        }
        if (given->id == FLAG_UNPROP) {
            clade_txn_prop(txn, given->value, NULL);
        }
        if (given->id == FLAG_TAG && !set_tag(cli, txn, given->value, memory)) {
            return false;
        }
        if (given->id == FLAG_STAGE && !set_stage(txn, given->value, memory)) {
            return false;
        }
        if (given->id == FLAG_UNTAG) {
            clade_txn_tag(txn, given->value, NULL);
        }
        if ((given->id == FLAG_QUOTA && !set_quota(cli, txn, given->value, memory)) ||
            (given->id == FLAG_DEFAULT && !set_default(cli, txn, given->value, memory))) {
            return false;
        }
        if (given->id == FLAG_NO_DEFAULT) {
            clade_txn_default(txn, given->value, NULL);
        }
    }
    return true;
}

bool run_ops_set_fields(struct cli *cli, struct clade_txn *txn)
{
    struct cli_list memory = {0};
    arena_init(&memory.arena, CLADE_MAX_COMMAND_BYTES);
    set_texts(cli, txn, &memory);
    uint64_t size = 0;
    bool ok = set_times(cli, txn) && set_retention(cli, txn) && set_repeated(cli, txn, &memory) &&
              cli_uint(cli, FLAG_SIZE, 0, &size);
    if (ok && args_has(&cli->args, FLAG_SIZE)) {
        clade_txn_set_uint(txn, "size", size);
    }
    if (args_has(&cli->args, FLAG_CLOSED) || args_has(&cli->args, FLAG_OPEN)) {
        clade_txn_set_bool(txn, "closed", args_has(&cli->args, FLAG_CLOSED));
    }
    if (args_has(&cli->args, FLAG_CYCLIC)) {
        clade_txn_set_bool(txn, "cyclic", true);
    }
    const char *as = args_get(&cli->args, FLAG_AS);
    if (as != NULL) {
        clade_txn_as(txn, as);
    }
    cli_list_release(&memory);
    return ok;
}

static int set_if_exists(struct cli *cli, struct clade_txn *txn)
{
    const char *text = args_get(&cli->args, FLAG_IF_EXISTS);
    if (text == NULL) {
        return EXIT_DONE;
    }
    if (strcmp(text, "error") == 0) {
        clade_txn_if_exists(txn, CLADE_IF_EXISTS_ERROR);
    } else if (strcmp(text, "return") == 0) {
        clade_txn_if_exists(txn, CLADE_IF_EXISTS_RETURN);
    } else if (strcmp(text, "match") == 0) {
        clade_txn_if_exists(txn, CLADE_IF_EXISTS_MATCH);
    } else {
        return cli_usage(cli, "--if-exists: \"%s\" is not error, return or match", text);
    }
    return EXIT_DONE;
}

static int add_create(struct cli *cli, struct clade_txn *txn, const char *name)
{
    const char *kind = cli->args.command->subject;
    uint64_t number = 0;
    if (!cli_uint(cli, FLAG_NUMBER, 0, &number)) {
        return EXIT_USAGE;
    }
    if (strcmp(kind, "version") == 0) {
        (void)clade_txn_create(txn, kind, NULL);
        clade_txn_set(txn, "model", name);
        if (number > 0) {
            clade_txn_set_uint(txn, "number", number);
        }
    } else {
        (void)clade_txn_create(txn, kind, name);
    }
    int code = set_if_exists(cli, txn);
    return code != EXIT_DONE ? code : run_ops_set_fields(cli, txn) ? EXIT_DONE : EXIT_USAGE;
}

static int add_update(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    (void)clade_txn_update(txn, ref);
    return run_ops_set_fields(cli, txn) ? EXIT_DONE : EXIT_USAGE;
}

static int add_delete(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    (void)clade_txn_delete(txn, ref);
    return EXIT_DONE;
}

static int add_undelete(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    (void)clade_txn_undelete(txn, ref, args_get(&cli->args, FLAG_NEW_NAME));
    return EXIT_DONE;
}

static int add_hold(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    (void)clade_txn_hold(txn, ref, NULL);
    return EXIT_DONE;
}

static int add_release(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    (void)clade_txn_release(txn, ref);
    return EXIT_DONE;
}

static int add_rename(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    (void)clade_txn_rename(txn, ref, cli->args.arguments[1]);
    return EXIT_DONE;
}

static int add_purge(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    (void)clade_txn_purge(txn, ref);
    return EXIT_DONE;
}

static int add_compact(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    const char *text = args_get(&cli->args, FLAG_BEFORE);
    char before[40];
    if (text == NULL || !settings_parse_as_of(text, before)) {
        return cli_usage(cli, "say up to when, --before: a revision, a time or a date%s%s%s",
                         text == NULL ? "" : ", not \"", text == NULL ? "" : text,
                         text == NULL ? "" : "\"");
    }
    (void)clade_txn_compact(txn, ref, before);
    return EXIT_DONE;
}

/* One transaction for names[at] and those that follow; *ret_taken says how many it took. */
static int run_batch(struct cli *cli,
                     struct clade_txn *txn,
                     const struct cli_list *names,
                     size_t at,
                     add_op add,
                     size_t *ret_taken)
{
    clade_txn_clear(txn);
    if (cli->settings.reason != NULL) {
        clade_txn_reason(txn, cli->settings.reason);
    }
    size_t n_max = names->of_stdin ? CLI_LINES_PER_TXN : OPERATIONS_PER_TXN;
    size_t n = 0;
    int code = EXIT_DONE;
    do {
        code = add(cli, txn, names->len == 0 ? NULL : names->items[at + n]);
        n++;
    } while (code == EXIT_DONE && at + n < names->len && n < n_max &&
             clade_txn_bytes(txn) < CLADE_MAX_COMMAND_BYTES / 2);
    *ret_taken = n;
    if (code != EXIT_DONE) {
        return code;
    }
    struct clade_response *response = clade_txn_wait(cli->client, txn);
    if (clade_response_code(response) != 0) {
        code = cli_fail_op(cli, names->items == NULL ? NULL : names->items + at,
                           names->items == NULL ? 0 : n, response);
    } else {
        show_results(cli, response);
    }
    clade_response_free(response);
    return code;
}

static int run_ops_on(struct cli *cli, struct cli_list *list, int code, add_op add)
{
    struct cli_list names = *list;
    struct clade_txn *txn = clade_txn_new();
    if (code == EXIT_DONE && txn == NULL) {
        code = cli_no_memory(cli);
    }
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    /* No argument is one unnamed thing; a "-" with nothing on stdin is nothing. */
    bool unnamed = cli->args.arguments_len == 0;
    for (size_t at = 0; code == EXIT_DONE && (at < names.len || (unnamed && at == 0));) {
        size_t taken = 0;
        code = run_batch(cli, txn, &names, at, add, &taken);
        at += taken;
    }
    clade_txn_free(txn);
    cli_list_release(&names);
    return code;
}

int run_ops(struct cli *cli, const char *ref_kind, add_op add)
{
    struct cli_list names;
    int code = cli_arguments(cli, 0, ref_kind, &names);
    return run_ops_on(cli, &names, code, add);
}

int run_create(struct cli *cli)
{
    const char *kind = cli->args.command->subject;
    return run_ops(cli, strcmp(kind, "version") == 0 ? "model" : NULL, add_create);
}

int run_update(struct cli *cli)
{
    return run_ops(cli, cli->args.command->subject, add_update);
}

int run_delete(struct cli *cli)
{
    return run_ops(cli, cli->args.command->subject, add_delete);
}

/* The second argument is no reference. */
int run_rename(struct cli *cli)
{
    struct cli_list names = {0};
    arena_init(&names.arena, CLADE_MAX_COMMAND_BYTES);
    const char *ref = cli_list_ref(&names, cli->args.command->subject, cli->args.arguments[0]);
    bool ok = ref != NULL && cli_list_add(&names, span_of(ref));
    return run_ops_on(cli, &names, ok ? EXIT_DONE : EXIT_REFUSED, add_rename);
}

int run_undelete(struct cli *cli)
{
    if (args_has(&cli->args, FLAG_NEW_NAME) && cli->args.arguments_len != 1) {
        return cli_usage(cli, "--name: one thing at a time can have it");
    }
    return run_ops(cli, cli->args.command->subject, add_undelete);
}

int run_hold(struct cli *cli)
{
    return run_ops(cli, NULL, add_hold);
}

int run_release(struct cli *cli)
{
    return run_ops(cli, NULL, add_release);
}

int run_compact(struct cli *cli)
{
    return run_ops(cli, cli->args.command->subject, add_compact);
}

int run_purge(struct cli *cli)
{
    return run_ops(cli, cli->args.command->subject, add_purge);
}
