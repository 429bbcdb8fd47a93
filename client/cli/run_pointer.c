/* Aliases, stages and targets: what points to versions. */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/run.h"
#include "cli/run_write.h"
#include "cli/show.h"
#include "cli/text.h"

#define SHARE_ALL 10000

/* --- aliases -------------------------------------------------------------------------------- */

/* "version/M" and what is behind it, of "M", "model/M" or "//TEAM//model/M"; NULL, having said why,
 * when the model is given otherwise. */
static const char *version_of_model(
    struct cli *cli, struct cli_list *memory, const char *model, char joint, const char *last)
{
    const char *ref = cli_list_ref(memory, "model", model);
    const char *kind = ref == NULL ? NULL : strstr(ref, "model/");
    bool plain = kind != NULL && (kind == ref || (ref[0] == '/' && kind[-1] == '/'));
    if (!plain) {
        (void)cli_usage(cli, "\"%s\": name the model, not its id", model);
        return NULL;
    }
    struct buffer b;
    buffer_init(&b, CLADE_MAX_REFERENCE_BYTES * 2);
    buffer_append(&b, ref, (size_t)(kind - ref));
    buffer_append_fmt(&b, "version/%s%c%s", kind + strlen("model/"), joint, last);
    const char *text = b.failed ? NULL : arena_copy_str(&memory->arena, buffer_span(&b));
    buffer_release(&b);
    if (text == NULL) {
        (void)cli_no_memory(cli);
    }
    return text;
}

int run_alias_set(struct cli *cli)
{
    const char *model = cli->args.arguments[0];
    const char *version = cli->args.arguments[2];
    struct run_write w;
    uint64_t number;
    int code = run_write_init(cli, &w);
    if (code != EXIT_DONE) {
        return run_write_end(cli, &w, code);
    }
    const char *ref = text_parse_uint(version, &number)
                          ? version_of_model(cli, &w.memory, model, '/', version)
                          : cli_list_ref(&w.memory, "version", version);
    if (ref == NULL) {
        return run_write_end(cli, &w, EXIT_USAGE);
    }
    const char *own = version_of_model(cli, &w.memory, model, '/', "");
    if (own == NULL || strncmp(ref, own, strlen(own) - 1) != 0) {
        code = own == NULL ? EXIT_USAGE
                           : cli_usage(cli, "\"%s\" is not a version of \"%s\"", version, model);
        return run_write_end(cli, &w, code);
    }
    run_write_label(&w, clade_txn_set_alias(w.txn, ref, cli->args.arguments[1]), "@",
                    cli->args.arguments[1]);
    return run_write_end(cli, &w, run_write_expect(cli, w.txn) ? EXIT_DONE : EXIT_USAGE);
}

int run_alias_unset(struct cli *cli)
{
    struct run_write w;
    int code = run_write_init(cli, &w);
    const char *model =
        code != EXIT_DONE ? NULL : cli_list_ref(&w.memory, "model", cli->args.arguments[0]);
    if (code == EXIT_DONE && model == NULL) {
        code = cli_no_memory(cli);
    }
    if (code == EXIT_DONE) {
        run_write_label(&w, clade_txn_unset_alias(w.txn, model, cli->args.arguments[1]), "@",
                        cli->args.arguments[1]);
        code = run_write_expect(cli, w.txn) ? EXIT_DONE : EXIT_USAGE;
    }
    return run_write_end(cli, &w, code);
}

static struct clade_response *fetch(struct cli *cli, const struct clade_read *read, void *arg)
{
    const struct cli_list *refs = arg;
    return clade_get_wait(cli->client, refs->items, refs->len, read);
}

int run_alias_get(struct cli *cli)
{
    struct clade_read read;
    struct cli_list refs = {0};
    arena_init(&refs.arena, CLADE_MAX_COMMAND_BYTES);
    int code = cli_read(cli, &read);
    for (size_t i = 1; code == EXIT_DONE && i < cli->args.arguments_len; i++) {
        const char *ref =
            version_of_model(cli, &refs, cli->args.arguments[0], '@', cli->args.arguments[i]);
        code = ref != NULL && cli_list_add(&refs, span_of(ref)) ? EXIT_DONE : EXIT_USAGE;
    }
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    if (code == EXIT_DONE) {
        code = listing_run(cli, listing_columns_heads(), &read, fetch, &refs);
    }
    cli_list_release(&refs);
    return code;
}

static void cell_alias(const struct clade_value *item, struct buffer *b)
{
    size_t len;
    const char *text = clade_value_strn(clade_value_get(item, "alias"), &len);
    buffer_append(b, text, len);
}

static void cell_version(const struct clade_value *item, struct buffer *b)
{
    buffer_append_fmt(b, "%llu",
                      (unsigned long long)clade_value_uint(clade_value_get(item, "version")));
}

static void cell_revision(const struct clade_value *item, struct buffer *b)
{
    buffer_append_fmt(b, "%llu",
                      (unsigned long long)clade_value_uint(clade_value_get(item, "revision")));
}

/* The aliases of one model, a row each. */
static void write_aliases(struct cli *cli, const struct clade_value *aliases)
{
    static const struct table_column columns[] = {{"ALIAS", TABLE_LEFT, true},
                                                  {"VERSION", TABLE_RIGHT, false},
                                                  {"MOVED AT", TABLE_RIGHT, false}};
    static const listing_cell cells[] = {cell_alias, cell_version, cell_revision};
    struct table table;
    struct buffer text;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    buffer_init(&text, CLADE_MAX_NAME_BYTES);
    for (size_t i = 0; i < clade_value_len(aliases); i++) {
        for (size_t j = 0; j < sizeof cells / sizeof *cells; j++) {
            buffer_clear(&text);
            cells[j](clade_value_at(aliases, i), &text);
            (void)table_add(&table, buffer_span(&text));
        }
    }
    table_flush(&table, cli->out, cli->terminal_columns, cli->color);
    buffer_release(&text);
    table_release(&table);
}

int run_alias_list(struct cli *cli)
{
    struct clade_read read;
    struct cli_list refs;
    int code = cli_read(cli, &read);
    if (code != EXIT_DONE) {
        return code;
    }
    read.view = CLADE_VIEW_HEADS;
    read.with_aliases = true;
    code = cli_arguments(cli, 0, "model", &refs);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    if (code == EXIT_DONE && (cli->settings.write != WRITE_TABLE || refs.len != 1)) {
        code = listing_run(cli, NULL, &read, fetch, &refs);
    } else if (code == EXIT_DONE) {
        struct clade_response *response = fetch(cli, &read, &refs);
        const struct clade_value *model = clade_value_at(clade_response_data(response), 0);
        if (clade_response_code(response) != 0 || clade_value_get(model, "error") != NULL) {
            code = listing_run(cli, NULL, &read, fetch, &refs); /* says what is wrong */
        } else {
            write_aliases(cli, clade_value_get(model, "aliases"));
        }
        clade_response_free(response);
    }
    cli_list_release(&refs);
    return code;
}

/* --- stages --------------------------------------------------------------------------------- */

int run_version_stage(struct cli *cli)
{
    const char *expect = args_get(&cli->args, FLAG_EXPECT_STAGE);
    const char *displace = args_get(&cli->args, FLAG_DISPLACE);
    struct run_write w;
    int code = run_write_init(cli, &w);
    const char *ref =
        code != EXIT_DONE ? NULL : cli_list_ref(&w.memory, "version", cli->args.arguments[0]);
    if (code == EXIT_DONE && ref == NULL) {
        code = cli_no_memory(cli);
    }
    if (code == EXIT_DONE) {
        (void)clade_txn_set_stage(w.txn, ref, cli->args.arguments[1]);
        if (expect != NULL) {
            clade_txn_set(w.txn, "expect", expect);
        }
        if (displace != NULL) {
            clade_txn_set(w.txn, "displace", displace);
        }
    }
    return run_write_end(cli, &w, code);
}

/* --- targets -------------------------------------------------------------------------------- */

/* "9000", in 1/10,000, or "90%" with up to two digits behind the point. */
static bool parse_share(const char *text, unsigned *ret)
{
    unsigned whole = 0;
    unsigned part = 0;
    unsigned digits = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && whole <= SHARE_ALL; p++) {
        whole = whole * 10 + (unsigned)(*p - '0');
    }
    if (p == text || whole > SHARE_ALL) {
        return false;
    }
    if (*p == '\0') {
        *ret = whole;
        return true;
    }
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9' && digits < 2; p++, digits++) {
            part = part * 10 + (unsigned)(*p - '0');
        }
        if (digits == 0) {
            return false;
        }
    }
    part *= digits == 1 ? 10 : 1;
    *ret = whole * 100 + part;
    return strcmp(p, "%") == 0 && *ret <= SHARE_ALL;
}

/* VERSION or VERSION=SHARE. */
static int add_target(struct cli *cli, struct run_write *w, const char *text, bool shadow)
{
    const char *equals = strrchr(text, '=');
    unsigned share = SHARE_ALL;
    size_t len = strlen(text);
    if (equals != NULL && strpbrk(equals, "/@") == NULL) {
        if (!parse_share(equals + 1, &share)) {
            return cli_usage(cli, "\"%s\": a share is 1%% to 100%%, or a number up to %d", text,
                             SHARE_ALL);
        }
        len = (size_t)(equals - text);
    }
    const char *version = arena_copy_str(&w->memory.arena, span_make(text, len));
    const char *ref = version == NULL ? NULL : cli_list_ref(&w->memory, "version", version);
    if (ref == NULL) {
        return cli_no_memory(cli);
    }
    clade_txn_target(w->txn, ref, share, shadow);
    return EXIT_DONE;
}

int run_deployment_set(struct cli *cli)
{
    struct run_write w;
    int code = run_write_init(cli, &w);
    const char *ref =
        code != EXIT_DONE ? NULL : cli_list_ref(&w.memory, "deployment", cli->args.arguments[0]);
    if (code == EXIT_DONE && ref == NULL) {
        code = cli_no_memory(cli);
    }
    if (code == EXIT_DONE) {
        (void)clade_txn_set_targets(w.txn, ref);
    }
    for (size_t i = 1; code == EXIT_DONE && i < cli->args.arguments_len; i++) {
        code = add_target(cli, &w, cli->args.arguments[i], false);
    }
    for (size_t i = 0; code == EXIT_DONE && i < cli->args.flags_len; i++) {
        if (cli->args.flags[i].id == FLAG_SHADOW) {
            code = add_target(cli, &w, cli->args.flags[i].value, true);
        }
    }
    return run_write_end(cli, &w, code);
}
