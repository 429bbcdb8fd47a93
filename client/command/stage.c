#include "command/stage.h"

#include "base/check.h"
#include "command/check_internal.h"
#include "command/txn.h"

#define FLAG_MULTIPLE 1
#define FLAG_IN_USE   2
#define HEAD_BYTES    2

_Static_assert(CLADE_MAX_STAGE_BYTES <= UINT8_MAX, "a stage's length is a byte");

static const char *const stage_keys[] = {"name", "multiple", "in_use", NULL};

#define NAMED(text)                                                                                \
    {                                                                                              \
        .data = (const uint8_t *)(text), .len = sizeof(text) - 1                                   \
    }
const struct stage stages_default[] = {
    {.name = NAMED(STAGE_NONE), .multiple = true},
    {.name = NAMED("staging"), .in_use = true},
    {.name = NAMED("production"), .in_use = true},
    {.name = NAMED("archived"), .multiple = true},
};
const size_t stages_default_len = sizeof stages_default / sizeof stages_default[0];

/* `none` is the absence of a stage, whatever a list makes of it. */
static int check_none(const struct value *map, struct stage *stage, struct error *error)
{
    if (!span_equal_str(stage->name, STAGE_NONE)) {
        return 0;
    }
    if (stage->in_use || (value_get(map, "multiple") != NULL && !stage->multiple)) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "\"" STAGE_NONE "\" means that a version has no stage: any number may be "
                          "in it, and it is not in use");
    }
    stage->multiple = true;
    return 0;
}

static int take_stage(const struct value *map, struct stage *ret, struct error *error)
{
    if (value_type(map) != CLADE_MAP) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "a stage is a map, not %s",
                          check_type_text(map));
    }
    if (!value_keys_known(map, stage_keys, error)) {
        return CLADE_ERR_INVALID;
    }
    int r = take_text(map, "name", true, SIZE_MAX, &ret->name, error);
    if (r == 0) {
        r = stage_check(ret->name, error);
        r = r == 0 ? 0 : check_fail_inside(error, r, "name");
    }
    r = r != 0 ? r : take_flag(map, "multiple", &ret->multiple, error);
    r = r != 0 ? r : take_flag(map, "in_use", &ret->in_use, error);
    return r != 0 ? r : check_none(map, ret, error);
}

static bool is_listed(struct span packed, struct span name)
{
    struct stage stage;
    while (stages_next(&packed, &stage)) {
        if (span_equal(stage.name, name)) {
            return true;
        }
    }
    return false;
}

static int check_list(const struct value *list, struct error *error)
{
    size_t len = value_len(list);
    if (value_type(list) != CLADE_ARRAY || len == 0) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "expected an array of stages, at least one");
    }
    if (len > CLADE_MAX_STAGES) {
        return check_fail(error, CLADE_ERR_LIMIT, NULL,
                          "a namespace has at most %d stages, got %zu", (int)CLADE_MAX_STAGES, len);
    }
    return 0;
}

int stages_pack(const struct value *list,
                struct arena *arena,
                struct span *ret,
                struct error *error)
{
    int r = check_list(list, error);
    if (r != 0) {
        return r;
    }
    size_t bytes_max = value_len(list) * (HEAD_BYTES + CLADE_MAX_STAGE_BYTES);
    uint8_t *bytes = arena_alloc(arena, bytes_max);
    if (bytes == NULL) {
        return check_fail_no_room(arena, bytes_max, error);
    }
    size_t used = 0;
    for (size_t i = 0; i < value_len(list); i++) {
        struct stage stage = {0};
        r = take_stage(value_at(list, i), &stage, error);
        if (r == 0 && is_listed(span_make(bytes, used), stage.name)) {
            r = check_fail(error, CLADE_ERR_INVALID, "name", "the stage stands here twice");
        }
        if (r != 0) {
            return check_fail_inside(error, r, "[%zu]", i);
        }
        bytes[used++] =
            (uint8_t)((stage.multiple ? FLAG_MULTIPLE : 0) | (stage.in_use ? FLAG_IN_USE : 0));
        bytes[used++] = (uint8_t)stage.name.len;
        memcpy(bytes + used, stage.name.data, stage.name.len);
        used += stage.name.len;
    }
    CHECK(used <= bytes_max);
    *ret = span_make(bytes, used);
    return 0;
}

bool stages_next(struct span *packed, struct stage *ret)
{
    if (packed->len < HEAD_BYTES || packed->len < HEAD_BYTES + (size_t)packed->data[1]) {
        return false;
    }
    uint8_t flags = packed->data[0];
    *ret = (struct stage){
        .name = span_make(packed->data + HEAD_BYTES, packed->data[1]),
        .multiple = (flags & FLAG_MULTIPLE) != 0,
        .in_use = (flags & FLAG_IN_USE) != 0,
    };
    *packed = span_skip(*packed, HEAD_BYTES + ret->name.len);
    return true;
}
