#pragma once
/* What a node is told: flag over environment over YAML file over default. One table (config.c)
 * drives all four, --help, --print-config and what a reload changes. */
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/span.h"

#define CONFIG_PATH_BYTES    1024
#define CONFIG_ADDRESS_BYTES (CLADE_MAX_ADDRESS_BYTES + 1) /* with NUL */
#define CONFIG_VALUE_BYTES   1024
#define CONFIG_FILE_BYTES    65536
#define CONFIG_TEXT_BYTES    2100 /* a value as YAML, with NUL */

/* Reads a setting that a reload may change meanwhile (option_reloads): on any thread. */
#define config_now(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

enum option_id {
    OPTION_DATA,
    OPTION_CLUSTER,
    OPTION_NODE,
    OPTION_LISTEN,
    OPTION_PEER_LISTEN,
    OPTION_ADVERTISE,
    OPTION_ALLOW_UNAUTHENTICATED,
    OPTION_LOG_FORMAT,
    OPTION_LOG_LEVEL,
    OPTION_ELECTION_TIMEOUT_MS,
    OPTION_HEARTBEAT_MS,
    OPTION_THREADS,
    OPTION_READERS,
    OPTION_CONNECTIONS_MAX,
    OPTION_MEMORY_MAX,
    OPTION_PENDING_BYTES_MAX,
    OPTION_UNPUBLISHED_BYTES_MAX,
    OPTION_LOG_BYTES,
    OPTION_ARCHIVE_BYTES,
    OPTION_ARCHIVE_AGE_S,
    OPTION_CATCH_UP_RATE_BYTES,
    OPTION_MAP_BYTES,
    OPTION_LINEAGE_BYTES,
    OPTION_HEADROOM_BYTES,
    OPTION_LOG_GUARD,
    OPTION_WATCH_STALL_MS,
    OPTION_METRICS_LISTEN,
    OPTION_READY_LAG,
    OPTION_SLOW_REQUEST_MS,
    OPTION_COUNT
};

enum config_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAG };

struct config {
    char data[CONFIG_PATH_BYTES];
    char cluster[33]; /* "" = whatever the folder says */
    uint64_t node;    /* 0 = whatever the folder says */
    char listen[CONFIG_ADDRESS_BYTES];
    char peer_listen[CONFIG_ADDRESS_BYTES]; /* "" = this node's address in the member list */
    char advertise[CONFIG_ADDRESS_BYTES];   /* "" = listen */
    bool allow_unauthenticated;
    unsigned log_format; /* enum log_format */
    unsigned log_level;  /* enum log_level */
    uint64_t election_timeout_ms;
    uint64_t heartbeat_ms;
    uint64_t threads; /* 0 = one a core */
    uint64_t readers;
    uint64_t connections_max;
    uint64_t memory_max;
    uint64_t pending_bytes_max;
    uint64_t unpublished_bytes_max;
    uint64_t log_bytes;
    uint64_t archive_bytes;
    uint64_t archive_age_s;       /* 0 = any age */
    uint64_t catch_up_rate_bytes; /* a second; 0 = as fast as it goes */
    uint64_t map_bytes;           /* 0 = sized to the file system */
    uint64_t lineage_bytes;       /* 0 = no lineage index */
    uint64_t headroom_bytes;
    bool log_guard;
    uint64_t watch_stall_ms;
    char metrics_listen[CONFIG_ADDRESS_BYTES]; /* "" = no metrics and health */
    uint64_t slow_request_ms;                  /* 0 = none is */
    uint64_t ready_lag;                        /* entries */
    /* where each came from */
    enum config_source sources[OPTION_COUNT];
    unsigned lines[OPTION_COUNT]; /* of the file; 0 = not known */
    char file[CONFIG_PATH_BYTES]; /* "" when none was read */
};

/* All defaults. */
void config_init(struct config *c);
/* The option that flag "--NAME" sets; OPTION_COUNT when there is none. `name` is without dashes
 * in front; '-' and '_' are the same. */
enum option_id option_by_flag(struct span name);
/* "peer_listen", as the file writes it. */
const char *option_key(enum option_id id);
/* Whether the option takes no value on the command line ("--flag" means true). */
bool option_is_bool(enum option_id id);

/* Sets one value if nothing of a higher rank has set it. CLADE_ERR_INVALID says key, value, what
 * is expected and where it came from. */
int config_set(struct config *c,
               enum option_id id,
               struct span value,
               enum config_source source,
               unsigned line,
               struct error *error);
/* Every CLADE_<KEY> of the environment. */
int config_set_environment(struct config *c, struct error *error);
/* YAML: a map of the keys; unknown keys are errors with their line. `name` is for messages. */
int config_set_yaml(struct config *c, struct span text, const char *name, struct error *error);
/* Reads the file and applies config_set_yaml. */
int config_set_file(struct config *c, const char *path, struct error *error);
/* What can only be checked together: heartbeat against election timeout. */
int config_check(const struct config *c, struct error *error);

/* --- reading again, config_reload.c --- */

/* Whether a running node takes a new value without a restart. */
bool option_reloads(enum option_id id);
bool config_differs(const struct config *a, const struct config *b, enum option_id id);
/* Takes one value, and where it came from; other threads may read it meanwhile (config_now). */
void config_take(struct config *to, const struct config *from, enum option_id id);
/* What a start with the flags of `c`, this environment and that file ("" = none) would be told;
 * *ret stays as it was where that is refused. */
int config_read_beside(const struct config *c,
                       const char *file,
                       struct config *ret,
                       struct error *error);
/* Reads what config_print wrote, and which of it came from flags or the environment. */
int config_set_running(struct config *c, const char *path, struct error *error);

/* --- showing, config_show.c --- */

/* The value as YAML. */
void config_value(const struct config *c, enum option_id id, char text[CONFIG_TEXT_BYTES]);
/* YAML with every key, its value and where it came from. */
void config_print(const struct config *c, FILE *to);
/* The options as --help shows them. */
void config_print_help(FILE *to);
/* The same for a manual page. */
void config_print_manual(FILE *to);
/* A table of Markdown: default, values, whether a reload changes it. */
void config_print_table(FILE *to);
