#pragma once
/* The flags of the command line: one row each, which parsing, --help and usage errors read. */
#include <stdbool.h>

enum flag_id {
    FLAG_NONE,
    /* of every command */
    FLAG_ENDPOINTS,
    FLAG_NAMESPACE,
    FLAG_WRITE,
    FLAG_CONSISTENCY,
    FLAG_AS_OF,
    FLAG_REASON,
    FLAG_DRY_RUN,
    FLAG_TIMEOUT,
    FLAG_USER,
    FLAG_COLOR,
    FLAG_CONFIG,
    FLAG_HELP,
    FLAG_VERSION,
    FLAG_GLOBAL_END, /* no flag: the ones above belong to every command */
    /* fields of things */
    FLAG_DESCRIPTION,
    FLAG_OWNER,
    FLAG_TAG,
    FLAG_UNTAG,
    FLAG_TYPE,
    FLAG_DIGEST,
    FLAG_URI,
    FLAG_EXTERNAL_ID,
    FLAG_SIZE,
    FLAG_EXPERIMENT,
    FLAG_PARENT,
    FLAG_RUN,
    FLAG_NUMBER,
    FLAG_STATUS,
    FLAG_START,
    FLAG_END,
    FLAG_CONTENT,
    FLAG_CONTENT_REASON,
    FLAG_PROP,
    FLAG_UNPROP,
    FLAG_REMOVE_URI,
    FLAG_REMOVE_EXTERNAL_ID,
    FLAG_FIELD,
    FLAG_CLOSED,
    FLAG_OPEN,
    FLAG_CYCLIC,
    FLAG_NEW_NAME,
    FLAG_DESIRED,
    FLAG_OBSERVED,
    FLAG_ENDPOINT,
    FLAG_STAGE,
    FLAG_PARAM,
    FLAG_METRIC,
    FLAG_STEP,
    FLAG_TIME,
    FLAG_ON,
    FLAG_LOGGED_BY,
    FLAG_IF_EXISTS,
    FLAG_AS,
    /* pointers */
    FLAG_EXPECT,
    FLAG_EXPECT_STAGE,
    FLAG_DISPLACE,
    FLAG_SHADOW,
    FLAG_ALIAS,
    FLAG_TO_STAGE,
    FLAG_DEPLOYMENT,
    FLAG_IF,
    FLAG_QUOTA,
    FLAG_RETENTION,
    FLAG_DEFAULT,
    FLAG_NO_DEFAULT,
    /* reads */
    FLAG_UNDER_MODEL,
    FLAG_UNDER_EXPERIMENT,
    FLAG_LIMIT,
    FLAG_VIEW,
    FLAG_STATE,
    FLAG_EDGES,
    FLAG_ALIASES,
    FLAG_PARAMS,
    FLAG_METRICS,
    FLAG_LAST,
    FLAG_SAMPLE,
    FLAG_FROM_STEP,
    FLAG_TO_STEP,
    FLAG_FROM,
    FLAG_TO,
    FLAG_LABELS,
    FLAG_KINDS,
    FLAG_DEPTH,
    FLAG_COUNT_ONLY,
    /* import */
    FLAG_NODES_FILE,
    FLAG_EDGES_FILE,
    FLAG_HEADER,
    FLAG_RATE,
    FLAG_CREATE_NAMESPACE,
    FLAG_STRICT,
    /* bench */
    FLAG_NO_PROMOTE,
    FLAG_NO_WAIT,
    FLAG_CLIENTS,
    FLAG_CONNECTIONS,
    FLAG_COUNT,
    FLAG_BYTES,
    FLAG_SERIES,
    FLAG_POINTS,
    FLAG_REF,
    FLAG_REFS_FILE,
    FLAG_EACH,
    FLAG_JSON,
    FLAG_ID_COUNT
};

struct flag {
    const char *name;  /* without the dashes */
    char letter;       /* 0 = none */
    bool repeats;      /* may stand more than once, each value counts */
    const char *value; /* what its value is called; NULL = a switch */
    const char *text;  /* one line for --help */
};

/* Never NULL for a flag; the rows of FLAG_NONE and FLAG_GLOBAL_END have no name. */
const struct flag *flag_by_id(enum flag_id id);
