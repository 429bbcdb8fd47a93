#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"

#define LIST_BYTES_MAX (256u << 20)
#define LINE_BYTES_MAX (1u << 20)

static bool wants_color(const struct cli *cli, int fd)
{
    if (cli->settings.color != COLOR_AUTO) {
        return cli->settings.color == COLOR_ALWAYS;
    }
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fd) && (no_color == NULL || no_color[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

void cli_init_output(struct cli *cli)
{
    struct winsize size = {0};
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        cli->terminal_columns = size.ws_col;
    }
    cli->color = wants_color(cli, STDOUT_FILENO);
    cli->messages_color = wants_color(cli, STDERR_FILENO);
}

struct clade_options cli_options(const struct cli *cli, unsigned timeout_ms)
{
    unsigned chosen = cli->settings.timeout_ms != 0 ? cli->settings.timeout_ms : timeout_ms;
    return (struct clade_options){
        .endpoints = cli->settings.endpoints,
        .ns = cli->settings.ns,
        .user = cli->settings.user,
        .client_name = "clade/" CLADE_VERSION,
        .request_timeout_ms = chosen,
        .dry_run = cli->settings.dry_run,
    };
}

static int open_client(struct cli *cli, struct clade_options options)
{
    int err = clade_open(&options, &cli->client);
    if (err == CLADE_ERR_INVALID) {
        return cli_usage(cli, "the endpoints, the namespace or the user are not valid: %s",
                         options.endpoints == NULL ? "" : options.endpoints);
    }
    if (err != 0) {
        cli_say(cli, "%s", clade_error_text(err));
    }
    return err == 0 ? EXIT_DONE : cli_exit_code(err);
}

int cli_open(struct cli *cli)
{
    return open_client(cli, cli_options(cli, 0));
}

int cli_open_for(struct cli *cli, unsigned timeout_ms)
{
    struct clade_options options = cli_options(cli, 0);
    options.request_timeout_ms = timeout_ms;
    clade_close(cli->client);
    cli->client = NULL;
    return open_client(cli, options);
}

int cli_exit_code(int error)
{
    switch (error) {
    case 0:
        return EXIT_DONE;
    case CLADE_ERR_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case CLADE_ERR_CONFLICT:
    case CLADE_ERR_IN_USE:
    case CLADE_ERR_CYCLE:
        return EXIT_CONFLICT;
    case CLADE_ERR_UNAVAILABLE:
    case CLADE_ERR_RETRY:
    case CLADE_ERR_THROTTLED:
    case CLADE_ERR_NO_SPACE:
        return EXIT_UNAVAILABLE;
    case CLADE_ERR_UNKNOWN:
    case CLADE_ERR_SESSION_EXPIRED:
        return EXIT_UNKNOWN;
    default:
        return EXIT_REFUSED;
    }
}

void cli_say(struct cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    (void)fputs(cli->messages_color ? "\x1b[1mclade:\x1b[0m " : "clade: ", cli->messages);
    if (len >= 0) {
        table_print_clean(cli->messages, span_make(text, (size_t)len));
        free(text);
    }
    (void)fputc('\n', cli->messages);
}

int cli_usage(struct cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char sentence[1024];
    (void)vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    cli_say(cli, "%s", sentence);
    return EXIT_USAGE;
}

static void print_json_error(struct cli *cli,
                             int code,
                             const char *message,
                             const struct clade_value *details)
{
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    buffer_append_str(&b, "{\"error\":");
    if (clade_value_type(details) == CLADE_MAP) {
        json_append_value(&b, details);
    } else {
        buffer_append_fmt(&b, "{\"code\":\"%s\",\"number\":%d,\"message\":", clade_error_name(code),
                          code);
        json_append_text(&b, span_of(message));
        buffer_append_u8(&b, '}');
    }
    buffer_append_str(&b, "}\n");
    (void)fwrite(b.data, 1, b.len, cli->messages);
    buffer_release(&b);
}

static int fail(struct cli *cli,
                const char *what,
                int code,
                const char *message,
                const struct clade_value *details)
{
    if (cli->settings.write != WRITE_TABLE) {
        print_json_error(cli, code, message[0] == '\0' ? clade_error_text(code) : message, details);
        return cli_exit_code(code);
    }
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    if (what != NULL) {
        buffer_append_fmt(&b, "%s: ", what);
    }
    buffer_append_fmt(&b, "%s (%s)", message[0] == '\0' ? clade_error_text(code) : message,
                      clade_error_name(code));
    buffer_append_u8(&b, '\0');
    cli_say(cli, "%s", b.failed ? clade_error_name(code) : (const char *)b.data);
    buffer_release(&b);
    return cli_exit_code(code);
}

int cli_fail(struct cli *cli, const char *what, const struct clade_response *response)
{
    return fail(cli, what, clade_response_code(response),
                response == NULL ? "" : clade_response_message(response),
                clade_response_error(response));
}

/* "ops[3].props.k: ..." is about operation 3; what stands behind it, "props.k: ...", is returned,
 * without a field that goes without saying where the operation is a command's. A guard is about no
 * operation: SIZE_MAX. NULL when the message begins with neither. */
static const char *of_operation(const char *message, size_t *ret_op)
{
    static const char *const evident[] = {"ref: ", "name: ", "alias: ", "expect: ", "stage: "};
    bool guard = strncmp(message, "guards[", 7) == 0;
    if (!guard && strncmp(message, "ops[", 4) != 0) {
        return NULL;
    }
    char *end;
    const char *digits = strchr(message, '[') + 1;
    unsigned long long n = strtoull(digits, &end, 10);
    if (end == digits || *end != ']') {
        return NULL;
    }
    const char *rest = end + 1 + strspn(end + 1, ".: ");
    for (size_t i = 0; i < sizeof evident / sizeof *evident; i++) {
        if (strncmp(rest, evident[i], strlen(evident[i])) == 0) {
            rest += strlen(evident[i]);
            break;
        }
    }
    *ret_op = guard ? SIZE_MAX : (size_t)n;
    return rest;
}

const char *cli_without_op(const char *message)
{
    size_t op;
    const char *rest = of_operation(message, &op);
    return rest == NULL ? message : rest;
}

int cli_fail_op(struct cli *cli,
                const char *const items[],
                size_t items_len,
                const struct clade_response *response)
{
    size_t op = 0;
    const char *rest =
        response == NULL ? NULL : of_operation(clade_response_message(response), &op);
    if (rest == NULL) {
        return cli_fail(cli, NULL, response);
    }
    return fail(cli, op < items_len ? items[op] : NULL, clade_response_code(response), rest,
                clade_response_error(response));
}

int cli_no_memory(struct cli *cli)
{
    cli_say(cli, "out of memory");
    return EXIT_REFUSED;
}

int cli_fail_error(struct cli *cli, const char *what, const struct error *error)
{
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    buffer_append_fmt(&b, "%s%s%s", error->where, error->where[0] == '\0' ? "" : ": ",
                      error->message);
    buffer_append_u8(&b, '\0');
    int code = fail(cli, what, error->code, b.failed ? "" : (const char *)b.data, NULL);
    buffer_release(&b);
    return code;
}

int cli_no_dry_run(struct cli *cli)
{
    return cli->settings.dry_run
               ? cli_usage(cli, "%s cannot be tried with --dry-run", cli->args.command->name)
               : EXIT_DONE;
}

bool cli_output_works(const struct cli *cli)
{
    return fflush(cli->out) == 0 && !ferror(cli->out);
}

bool cli_uint(struct cli *cli, enum flag_id flag, uint64_t fallback, uint64_t *ret)
{
    const char *text = args_get(&cli->args, flag);
    if (text == NULL) {
        *ret = fallback;
        return true;
    }
    if (!text_parse_uint(text, ret)) {
        (void)cli_usage(cli, "--%s: \"%s\" is not a whole number", flag_by_id(flag)->name, text);
        return false;
    }
    return true;
}

/* The place of `text` among NULL-terminated names; -1 when it is none of them. */
static int index_of(const char *text, const char *const names[])
{
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(text, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

int cli_read(struct cli *cli, struct clade_read *ret)
{
    static const char *const views[] = {
        [CLADE_VIEW_HEADS] = "heads", [CLADE_VIEW_FULL] = "full", [CLADE_VIEW_IDS] = "ids", NULL};
    static const char *const states[] = {[CLADE_STATE_LIVE] = "live",
                                         [CLADE_STATE_DELETED] = "deleted",
                                         [CLADE_STATE_ANY] = "any",
                                         NULL};
    const struct settings *s = &cli->settings;
    *ret = (struct clade_read){
        .consistency = s->consistency,
        .at_least = s->at_least,
        .stale_ms = s->stale_ms,
        .as_of = s->as_of[0] == '\0' ? NULL : s->as_of,
        .view = CLADE_VIEW_FULL,
        .with_edges = args_has(&cli->args, FLAG_EDGES),
        .with_aliases = args_has(&cli->args, FLAG_ALIASES),
        .with_params = args_has(&cli->args, FLAG_PARAMS),
        .with_metrics = args_has(&cli->args, FLAG_METRICS),
    };
    const char *view = args_get(&cli->args, FLAG_VIEW);
    const char *state = args_get(&cli->args, FLAG_STATE);
    int i = view == NULL ? CLADE_VIEW_FULL : index_of(view, views);
    if (i < 0) {
        return cli_usage(cli, "--view: \"%s\" is not ids, heads or full", view);
    }
    ret->view = (enum clade_view)i;
    i = state == NULL ? CLADE_STATE_LIVE : index_of(state, states);
    if (i < 0) {
        return cli_usage(cli, "--state: \"%s\" is not live, deleted or any", state);
    }
    ret->state = (enum clade_state)i;
    return EXIT_DONE;
}

/* Takes the pointer, which lives in the arena or in argv. */
static bool list_push(struct cli_list *list, const char *item)
{
    if (list->len + 1 >= list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        const char **items = reallocarray(list->items, capacity, sizeof *items);
        if (items == NULL) {
            return false;
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->len++] = item;
    list->items[list->len] = NULL;
    return item != NULL;
}

bool cli_list_add(struct cli_list *list, struct span item)
{
    return list_push(list, arena_copy_str(&list->arena, item));
}

const char *cli_list_ref(struct cli_list *list, const char *kind, const char *text)
{
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    text_append_ref(&b, kind, text);
    const char *copy = b.failed ? NULL : arena_copy_str(&list->arena, buffer_span(&b));
    buffer_release(&b);
    return copy;
}

static bool list_add(struct cli_list *list, const char *kind, const char *text)
{
    return list_push(list, kind == NULL ? arena_copy_str(&list->arena, span_of(text))
                                        : cli_list_ref(list, kind, text));
}

static bool list_add_stdin(struct cli_list *list, const char *kind)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    bool ok = true;
    while (ok && (len = getline(&line, &capacity, stdin)) >= 0) {
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) {
            line[--len] = '\0';
        }
        ok = len == 0 || list_add(list, kind, line);
    }
    free(line);
    return ok;
}

int cli_arguments(struct cli *cli, size_t first, const char *kind, struct cli_list *ret)
{
    *ret = (struct cli_list){0};
    arena_init(&ret->arena, LIST_BYTES_MAX);
    for (size_t i = first; i < cli->args.arguments_len; i++) {
        const char *text = cli->args.arguments[i];
        ret->of_stdin = ret->of_stdin || strcmp(text, "-") == 0;
        bool ok = strcmp(text, "-") == 0 ? list_add_stdin(ret, kind) : list_add(ret, kind, text);
        if (!ok) {
            return cli_no_memory(cli);
        }
    }
    return EXIT_DONE;
}

bool cli_split(const char *text, struct cli_list *ret)
{
    *ret = (struct cli_list){0};
    arena_init(&ret->arena, LIST_BYTES_MAX);
    for (;;) {
        size_t len = strcspn(text, ",");
        if (len > 0 && !cli_list_add(ret, span_make(text, len))) {
            return false;
        }
        if (text[len] == '\0') {
            return true;
        }
        text += len + 1;
    }
}

void cli_list_release(struct cli_list *list)
{
    if (list != NULL) {
        arena_release(&list->arena);
        free(list->items);
        *list = (struct cli_list){0};
    }
}
