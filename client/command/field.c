#include "command/field.h"

#include <clade.h>

#define OF(kind) (1u << KIND_##kind)

enum {
    OF_ALL = OF(NAMESPACE) | OF(TYPE) | OF(ARTIFACT) | OF(EXPERIMENT) | OF(RUN) | OF(MODEL) |
             OF(VERSION) | OF(DEPLOYMENT),
    OF_TYPED = OF(ARTIFACT) | OF(EXPERIMENT) | OF(RUN) | OF(MODEL) | OF(VERSION) | OF(DEPLOYMENT),
    OF_EXTERNAL = OF_TYPED,
    OF_CONTENT = OF(ARTIFACT) | OF(VERSION),
    /* A type's whole name is "KIND:NAME"; a field holds the NAME. */
    TYPE_BYTES_MAX = CLADE_MAX_NAME_BYTES - sizeof "experiment:"
};

#define LAST_NUMBER_MAX (UINT64_MAX / 2)              /* there is always a next one */
#define QUOTA_MAX       UINT64_C(1000000000000000000) /* far from where sums would wrap */
/* 1,000 years: multiplied by microseconds it stays below 2^63. */
#define RETENTION_S_MAX (UINT64_C(1000) * 366 * 24 * 3600)

static const char *const statuses[] = {"scheduled", "running", "finished",
                                       "failed",    "killed",  NULL};
static const char *const contents[] = {"none", "pending", "ready", "failed", "gone", NULL};
static const char *const deployment_statuses[] = {"unknown", "pending", "running", "degraded",
                                                  "failed",  "stopped", NULL};

static const char *const quotas[] = {"bytes", "edges", "things", "writes_per_s", NULL};

/* clang-format off */
static const struct field fields[FIELD_CODE_COUNT] = {
    [FIELD_DESCRIPTION] = {
        .name = "description", .code = FIELD_DESCRIPTION, .shape = FIELD_TEXT,
        .flags = FIELD_UTF8_CONTROL, .kinds = OF_ALL, .bytes_max = CLADE_MAX_TEXT_BYTES},
    [FIELD_OWNER] = {
        .name = "owner", .code = FIELD_OWNER, .shape = FIELD_TEXT,
        .kinds = OF_ALL, .bytes_max = CLADE_MAX_PRINCIPAL_BYTES},
    [FIELD_TAGS] = {
        .name = "tags", .code = FIELD_TAGS, .shape = FIELD_TEXT_MAP, .flags = FIELD_UTF8_CONTROL,
        .kinds = OF_ALL, .bytes_max = CLADE_MAX_TAG_VALUE_BYTES, .count_max = CLADE_MAX_TAGS},
    [FIELD_TYPE] = {
        .name = "type", .code = FIELD_TYPE, .shape = FIELD_REF, .flags = FIELD_CORE,
        .kinds = OF_TYPED, .ref_kind = KIND_TYPE, .bytes_max = TYPE_BYTES_MAX},
    [FIELD_EXTERNAL_IDS] = {
        .name = "external_ids", .code = FIELD_EXTERNAL_IDS, .shape = FIELD_TEXT_SET,
        .kinds = OF_TYPED, .bytes_max = CLADE_MAX_EXTERNAL_ID_BYTES,
        .count_max = CLADE_MAX_EXTERNAL_IDS},
    [FIELD_DIGESTS] = {
        .name = "digests", .code = FIELD_DIGESTS, .shape = FIELD_TEXT_SET, .flags = FIELD_CORE,
        .kinds = OF_CONTENT, .bytes_max = CLADE_MAX_DIGEST_BYTES, .count_max = CLADE_MAX_DIGESTS},
    [FIELD_SIZE] = {
        .name = "size", .code = FIELD_SIZE, .shape = FIELD_UINT, .flags = FIELD_CORE,
        .kinds = OF(ARTIFACT)},
    [FIELD_URIS] = {
        .name = "uris", .code = FIELD_URIS, .shape = FIELD_TEXT_SET,
        .kinds = OF_CONTENT, .bytes_max = CLADE_MAX_URI_BYTES, .count_max = CLADE_MAX_URIS},
    [FIELD_EXPERIMENT] = {
        .name = "experiment", .code = FIELD_EXPERIMENT, .shape = FIELD_REF, .flags = FIELD_CORE,
        .kinds = OF(RUN), .ref_kind = KIND_EXPERIMENT, .bytes_max = CLADE_MAX_REFERENCE_BYTES},
    [FIELD_PARENT] = {
        .name = "parent", .code = FIELD_PARENT, .shape = FIELD_REF, .flags = FIELD_CORE,
        .kinds = OF(RUN), .ref_kind = KIND_RUN, .bytes_max = CLADE_MAX_REFERENCE_BYTES},
    [FIELD_START] = {
        .name = "start", .code = FIELD_START, .shape = FIELD_TIME, .flags = FIELD_CORE,
        .kinds = OF(RUN)},
    [FIELD_STATUS] = {
        .name = "status", .code = FIELD_STATUS, .shape = FIELD_TEXT,
        .kinds = OF(RUN), .bytes_max = 16, .values = statuses},
    [FIELD_END] = {
        .name = "end", .code = FIELD_END, .shape = FIELD_TIME, .kinds = OF(RUN)},
    [FIELD_RUN] = {
        .name = "run", .code = FIELD_RUN, .shape = FIELD_REF, .flags = FIELD_CORE,
        .kinds = OF(VERSION), .ref_kind = KIND_RUN, .bytes_max = CLADE_MAX_REFERENCE_BYTES},
    [FIELD_CONTENT] = {
        .name = "content", .code = FIELD_CONTENT, .shape = FIELD_TEXT, .flags = FIELD_STAYS,
        .kinds = OF_CONTENT, .bytes_max = 16, .values = contents},
    [FIELD_CONTENT_REASON] = {
        .name = "content_reason", .code = FIELD_CONTENT_REASON, .shape = FIELD_TEXT,
        .flags = FIELD_UTF8_CONTROL | FIELD_STAYS, .kinds = OF_CONTENT,
        .bytes_max = CLADE_MAX_TEXT_BYTES},
    [FIELD_PROPS] = {
        .name = "props", .code = FIELD_PROPS, .shape = FIELD_PROP_MAP,
        .kinds = OF_ALL, .bytes_max = CLADE_MAX_PROP_BYTES, .count_max = CLADE_MAX_PROPS},
    [FIELD_HOLD] = {
        .name = "hold", .code = FIELD_HOLD, .shape = FIELD_TEXT,
        .flags = FIELD_UTF8_CONTROL | FIELD_BY_OP, .kinds = OF_ALL,
        .bytes_max = CLADE_MAX_TEXT_BYTES},
    [FIELD_FIELDS] = {
        .name = "fields", .code = FIELD_FIELDS, .shape = FIELD_DECL_MAP,
        .kinds = OF(TYPE), .bytes_max = CLADE_MAX_UNIT_BYTES, .count_max = CLADE_MAX_TYPE_FIELDS},
    [FIELD_CLOSED] = {
        .name = "closed", .code = FIELD_CLOSED, .shape = FIELD_BOOL, .flags = FIELD_STAYS,
        .kinds = OF(TYPE)},
    [FIELD_STAGE] = {
        .name = "stage", .code = FIELD_STAGE, .shape = FIELD_TEXT, .flags = FIELD_BY_OP,
        .kinds = OF(VERSION), .bytes_max = CLADE_MAX_STAGE_BYTES},
    [FIELD_DESIRED] = {
        .name = "desired", .code = FIELD_DESIRED, .shape = FIELD_TEXT,
        .kinds = OF(DEPLOYMENT), .bytes_max = 16, .values = deployment_statuses},
    [FIELD_OBSERVED] = {
        .name = "observed", .code = FIELD_OBSERVED, .shape = FIELD_TEXT,
        .kinds = OF(DEPLOYMENT), .bytes_max = 16, .values = deployment_statuses},
    [FIELD_ENDPOINT] = {
        .name = "endpoint", .code = FIELD_ENDPOINT, .shape = FIELD_TEXT,
        .kinds = OF(DEPLOYMENT), .bytes_max = CLADE_MAX_URI_BYTES},
    [FIELD_TARGETS] = {
        .name = "targets", .code = FIELD_TARGETS, .shape = FIELD_PACKED,
        .flags = FIELD_BY_OP, .kinds = OF(DEPLOYMENT), .count_max = CLADE_MAX_TARGETS},
    [FIELD_STAGES] = {
        .name = "stages", .code = FIELD_STAGES, .shape = FIELD_PACKED,
        .kinds = OF(NAMESPACE), .bytes_max = CLADE_MAX_STAGE_BYTES, .count_max = CLADE_MAX_STAGES},
    [FIELD_CYCLIC] = {
        .name = "cyclic", .code = FIELD_CYCLIC, .shape = FIELD_BOOL, .flags = FIELD_STAYS,
        .kinds = OF(TYPE)},
    [FIELD_QUOTA] = {
        .name = "quota", .code = FIELD_QUOTA, .shape = FIELD_UINT_MAP,
        .kinds = OF(NAMESPACE), .count_max = 4, .values = quotas, .number_max = QUOTA_MAX},
    [FIELD_RETENTION_S] = {
        .name = "retention_s", .code = FIELD_RETENTION_S, .shape = FIELD_UINT,
        .kinds = OF(NAMESPACE), .number_min = CLADE_MAX_CURSOR_MINUTES * 60,
        .number_max = RETENTION_S_MAX},
    [FIELD_DEFAULTS] = {
        .name = "defaults", .code = FIELD_DEFAULTS, .shape = FIELD_TEXT_MAP,
        .flags = FIELD_UTF8_CONTROL, .kinds = OF(NAMESPACE),
        .bytes_max = CLADE_MAX_TAG_VALUE_BYTES, .count_max = CLADE_MAX_TAGS},
    [FIELD_LAST_NUMBER] = {
        .name = "last_number", .code = FIELD_LAST_NUMBER, .shape = FIELD_UINT,
        .flags = FIELD_STAYS, .kinds = OF(MODEL), .number_max = LAST_NUMBER_MAX},
};
/* clang-format on */

const struct field *field_by_code(enum field_code code)
{
    return (unsigned)code < FIELD_CODE_COUNT && fields[code].name != NULL ? &fields[code] : NULL;
}

const struct field *field_by_name(struct span name)
{
    for (int code = FIELD_NONE + 1; code < FIELD_CODE_COUNT; code++) {
        if (fields[code].name != NULL && span_equal_str(name, fields[code].name)) {
            return &fields[code];
        }
    }
    return NULL;
}
