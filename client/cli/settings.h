#pragma once
/* What every command needs to know: from a flag, else the environment, else the settings file,
 * else the default. */
#include <clade.h>

#include "cli/args.h"
#include "cli/config_file.h"

enum write_format { WRITE_TABLE, WRITE_JSON, WRITE_NDJSON };
enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct settings {
    const char *endpoints; /* NULL = libclade's default */
    const char *ns;        /* NULL = not said: "default" */
    const char *user;      /* NULL = the login name */
    const char *reason;    /* NULL = none */
    bool dry_run;          /* transactions are only tried */
    enum write_format write;
    enum color_mode color;
    enum clade_consistency consistency;
    uint64_t at_least;
    uint64_t stale_ms;
    char as_of[40];           /* "" = now; else a revision, or RFC 3339 with an offset */
    unsigned timeout_ms;      /* 0 = not said */
    struct config_file *file; /* owned; the strings above may borrow from it */
};

/* `environment` answers like getenv. CLADE_ERR_INVALID with a sentence that says where the wrong
 * value came from. *ret borrows from args and the environment; release it in any case. */
int settings_load(const struct args *args,
                  const char *(*environment)(const char *name),
                  struct settings *ret,
                  struct error *error);
void settings_release(struct settings *settings);

/* A revision, a time or a date, as libclade takes it ("as_of"). False when it is none. */
bool settings_parse_as_of(const char *text, char ret[40]);
/* "linearizable", "at-least", "at-least=12", "stale=500", "local". */
bool settings_parse_consistency(const char *text, struct settings *ret);
/* The members of a request that say the consistency: how many settings_put_consistency appends. */
uint32_t settings_consistency_members(const struct settings *settings);
void settings_put_consistency(struct clade_doc *doc, const struct settings *settings);
