#pragma once
/* Shared by config.c (the table and its values), config_file.c, config_show.c and config_reload.c
 * alone. */
#include "node/config.h"

enum option_type {
    OPTION_TEXT,
    OPTION_ADDRESS,
    OPTION_HEX,
    OPTION_UINT,
    OPTION_SIZE,
    OPTION_BOOL,
    OPTION_WORD
};

struct option {
    const char *key;
    enum option_type type;
    size_t offset;     /* in struct config */
    size_t text_bytes; /* room of a text, its NUL included */
    uint64_t min;
    uint64_t max;
    bool zero;                /* 0 is allowed beside min..max */
    const char *const *words; /* OPTION_WORD: value n is words[n] */
    bool reload; /* changes while the node runs: read with config_now, on every thread */
    const char *initial;
    const char *help;
};

const struct option *option_row(enum option_id id);
/* OPTION_COUNT when there is none. */
enum option_id option_by_key(struct span key);
/* "peer-listen", as a flag without its dashes. */
void option_write_flag(const char *key, char text[64]);
/* "flag --peer-listen", "environment CLADE_PEER_LISTEN", "FILE line 3" or "default". */
void option_describe_source(const struct config *c,
                            enum option_id id,
                            enum config_source source,
                            unsigned line,
                            char *text,
                            size_t text_bytes);
