/* Events: their shape, and the names of what they are about. */
#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/time_text.h"
#include "cli/json.h"
#include "cli/openlineage.h"

#define NAME_BYTES_MAX    512
#define ESCAPED_BYTES_MAX (8u << 20)
#define UUID_BYTES        36

static bool is_hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Copies a UUID in lower case. */
static bool parse_uuid(const char *text, char ret[UUID_BYTES + 1])
{
    if (text == NULL || strlen(text) != UUID_BYTES) {
        return false;
    }
    for (size_t i = 0; i < UUID_BYTES; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !is_hex_digit(text[i])) {
            return false;
        }
    }
    for (size_t i = 0; i <= UUID_BYTES; i++) {
        ret[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] + ('a' - 'A') : text[i]);
    }
    return true;
}

static int refuse(struct error *error, const char *where, const json_t *found, const char *should)
{
    if (json_is_string(found)) {
        return error_set(error, CLADE_ERR_INVALID, where, "\"%.60s\" is not %s",
                         json_string_value(found), should);
    }
    return error_set(error, CLADE_ERR_INVALID, where, "%s; it must be %s",
                     found == NULL || json_is_null(found) ? "is missing" : "has another type",
                     should);
}

bool openlineage_identity(const json_t *json, const char **ret_ns, const char **ret_name)
{
    const char *ns = json_string_value(json_object_get(json, "namespace"));
    const char *name = json_string_value(json_object_get(json, "name"));
    if (ns == NULL || name == NULL || ns[0] == '\0' || name[0] == '\0') {
        return false;
    }
    *ret_ns = ns;
    *ret_name = name;
    return true;
}

static int check_object(const json_t *json, const char *where, struct error *error)
{
    return json == NULL || json_is_null(json) || json_is_object(json)
               ? 0
               : refuse(error, where, json, "an object");
}

/* A job or a data set: its two names, and objects of facets. */
static int check_thing(const json_t *json, const char *where, struct error *error)
{
    static const char *const facets[] = {"facets", "inputFacets", "outputFacets"};
    if (!json_is_object(json)) {
        return refuse(error, where, json, "an object with a namespace and a name");
    }
    static const char *const members[] = {"namespace", "name"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *member = json_object_get(json, members[i]);
        if (!json_is_string(member) || json_string_length(member) == 0) {
            refuse(error, members[i], member, "a text that is not empty");
            error_prefix_where(error, "%s", where);
            return CLADE_ERR_INVALID;
        }
    }
    for (size_t i = 0; i < sizeof facets / sizeof *facets; i++) {
        if (check_object(json_object_get(json, facets[i]), facets[i], error) != 0) {
            error_prefix_where(error, "%s", where);
            return CLADE_ERR_INVALID;
        }
    }
    return 0;
}

static int check_datasets(const json_t *event, const char *side, struct error *error)
{
    const json_t *list = json_object_get(event, side);
    if (list == NULL || json_is_null(list)) {
        return 0;
    }
    if (!json_is_array(list)) {
        return refuse(error, side, list, "an array of data sets");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        char where[48];
        (void)snprintf(where, sizeof where, "%s[%zu]", side, i);
        int err = check_thing(json_array_get(list, i), where, error);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int take_time(struct openlineage_event *e, struct error *error)
{
    const json_t *time = json_object_get(e->json, "eventTime");
    const char *text = json_string_value(time);
    /* A date alone is one to time_parse. */
    if (text == NULL || strlen(text) <= strlen("2026-03-01") ||
        time_parse(span_of(text), &e->time_us) != 0) {
        return refuse(error, "eventTime", time,
                      "a time as RFC 3339 has it, with an offset (2026-03-01T12:00:00Z)");
    }
    return 0;
}

static int take_state(struct openlineage_event *e, struct error *error)
{
    static const char *const states[] = {
        [OPENLINEAGE_OTHER] = "OTHER",     [OPENLINEAGE_START] = "START",
        [OPENLINEAGE_RUNNING] = "RUNNING", [OPENLINEAGE_COMPLETE] = "COMPLETE",
        [OPENLINEAGE_ABORT] = "ABORT",     [OPENLINEAGE_FAIL] = "FAIL"};
    const json_t *type = json_object_get(e->json, "eventType");
    if (type == NULL || json_is_null(type)) {
        return 0;
    }
    for (size_t i = 0; json_is_string(type) && i < sizeof states / sizeof *states; i++) {
        if (strcmp(json_string_value(type), states[i]) == 0) {
            e->state = (enum openlineage_state)i;
            return 0;
        }
    }
    return refuse(error, "eventType", type, "START, RUNNING, COMPLETE, ABORT, FAIL or OTHER");
}

static int take_run(struct openlineage_event *e, const json_t *run, struct error *error)
{
    if (!json_is_object(run)) {
        return refuse(error, "run", run, "an object with a runId");
    }
    const json_t *id = json_object_get(run, "runId");
    if (!parse_uuid(json_string_value(id), e->run)) {
        return refuse(error, "run.runId", id, "a UUID");
    }
    int err = check_object(json_object_get(run, "facets"), "run.facets", error);
    return err == 0 ? take_state(e, error) : err;
}

/* A run event has a run, a job event a job and no run, a data set event neither. */
static int take_event(struct openlineage_event *e, struct error *error)
{
    const json_t *run = json_object_get(e->json, "run");
    const json_t *job = json_object_get(e->json, "job");
    const json_t *dataset = json_object_get(e->json, "dataset");
    int err = take_time(e, error);
    if (err != 0) {
        return err;
    }
    if (run == NULL && job == NULL && dataset == NULL) {
        return error_set(error, CLADE_ERR_INVALID, NULL,
                         "not an event of OpenLineage: it has neither run nor job nor dataset");
    }
    if (run == NULL && job == NULL) {
        e->kind = OPENLINEAGE_DATASET;
        return check_thing(dataset, "dataset", error);
    }
    e->kind = run == NULL ? OPENLINEAGE_JOB : OPENLINEAGE_RUN;
    err = run == NULL ? 0 : take_run(e, run, error);
    err = err == 0 ? check_thing(job, "job", error) : err;
    err = err == 0 ? check_datasets(e->json, "inputs", error) : err;
    return err == 0 ? check_datasets(e->json, "outputs", error) : err;
}

int openlineage_parse(struct span line, struct openlineage_event *ret, struct error *error)
{
    *ret = (struct openlineage_event){0};
    json_t *json;
    int err = json_parse(line, &json, error);
    if (err != 0) {
        return err;
    }
    json_t *inner = json_object_get(json, "event");
    bool wrapped = json_is_object(inner) && json_object_get(json, "eventTime") == NULL;
    ret->json = wrapped ? json_incref(inner) : json_incref(json);
    json_decref(json);
    if (!json_is_object(ret->json)) {
        return error_set(error, CLADE_ERR_INVALID, NULL, "not a JSON object");
    }
    return take_event(ret, error);
}

void openlineage_release(struct openlineage_event *e)
{
    json_decref(e->json);
    *e = (struct openlineage_event){0};
}

bool openlineage_parent(const struct openlineage_event *e, char ret[37])
{
    const json_t *facets = json_object_get(json_object_get(e->json, "run"), "facets");
    const json_t *run = json_object_get(json_object_get(facets, "parent"), "run");
    char uuid[UUID_BYTES + 1];
    if (!parse_uuid(json_string_value(json_object_get(run, "runId")), uuid) ||
        strcmp(uuid, e->run) == 0) {
        return false;
    }
    memcpy(ret, uuid, sizeof uuid);
    return true;
}

/* --- names ---------------------------------------------------------------------------------- */

static void append_part(struct buffer *b, const char *part)
{
    for (const uint8_t *c = (const uint8_t *)part; *c != '\0'; c++) {
        bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;
        if (*c < 0x20 || *c == 0x7f || *c == '#' || *c == '%') {
            buffer_append_fmt(b, "%%%02X", *c);
        } else if (c1) {
            buffer_append_fmt(b, "%%C2%%%02X", *++c);
        } else {
            buffer_append_u8(b, *c);
        }
    }
}

/* Cut before a character that would not be whole. */
static size_t cut(const struct buffer *b, size_t len)
{
    while (len > 0 && (b->data[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

bool openlineage_name(const char *ns,
                      const char *name,
                      const char *version,
                      char ret[OPENLINEAGE_NAME_BYTES])
{
    struct buffer b;
    buffer_init(&b, ESCAPED_BYTES_MAX);
    append_part(&b, ns);
    buffer_append_u8(&b, '#');
    append_part(&b, name);
    if (version != NULL) {
        buffer_append_u8(&b, '#');
        append_part(&b, version);
    }
    bool ok = !b.failed;
    if (ok && b.len <= NAME_BYTES_MAX) {
        memcpy(ret, b.data, b.len);
        ret[b.len] = '\0';
    } else if (ok) {
        size_t len = cut(&b, NAME_BYTES_MAX);
        memcpy(ret, b.data, len);
        ret[len] = '~';
        hash128_format(hash128(buffer_span(&b)), ret + len + 1);
    }
    buffer_release(&b);
    return ok;
}
