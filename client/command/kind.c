#include "command/kind.h"

static const char *const names[KIND_COUNT] = {
    [KIND_NAMESPACE] = "namespace",
    [KIND_TYPE] = "type",
    [KIND_ARTIFACT] = "artifact",
    [KIND_EXPERIMENT] = "experiment",
    [KIND_RUN] = "run",
    [KIND_MODEL] = "model",
    [KIND_VERSION] = "version",
    [KIND_DEPLOYMENT] = "deployment",
};

const char *kind_name(enum kind kind)
{
    return (unsigned)kind < KIND_COUNT ? names[kind] : NULL;
}

enum kind kind_parse(struct span name)
{
    for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++) {
        if (span_equal_str(name, names[kind])) {
            return (enum kind)kind;
        }
    }
    return KIND_NONE;
}
