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

static const char *const with_articles[KIND_COUNT] = {
    [KIND_NAMESPACE] = "a namespace",
    [KIND_TYPE] = "a type",
    [KIND_ARTIFACT] = "an artifact",
    [KIND_EXPERIMENT] = "an experiment",
    [KIND_RUN] = "a run",
    [KIND_MODEL] = "a model",
    [KIND_VERSION] = "a version",
    [KIND_DEPLOYMENT] = "a deployment",
};

const char *kind_name(enum kind kind)
{
    return (unsigned)kind < KIND_COUNT ? names[kind] : NULL;
}

const char *kind_with_article(enum kind kind)
{
    return (unsigned)kind < KIND_COUNT ? with_articles[kind] : NULL;
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
