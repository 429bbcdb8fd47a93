#pragma once
/* The kinds of things. Numbers stand in commands, logs and stores and never change. */
#include "base/span.h"

enum kind {
    KIND_NONE = 0,
    KIND_NAMESPACE = 1,
    KIND_TYPE = 2,
    KIND_ARTIFACT = 3,
    KIND_EXPERIMENT = 4,
    KIND_RUN = 5,
    KIND_MODEL = 6,
    KIND_VERSION = 7,
    KIND_DEPLOYMENT = 8,
    KIND_COUNT
};

/* "artifact"; NULL for KIND_NONE and above the last. */
const char *kind_name(enum kind kind);
/* "an artifact", "a run"; NULL likewise. */
const char *kind_with_article(enum kind kind);
/* KIND_NONE when no kind has that name. */
enum kind kind_parse(struct span name);
