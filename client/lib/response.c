#include <stdlib.h>

#include "lib/lib_internal.h"

static struct clade_response *response_new(struct span payload)
{
    struct clade_response *r = malloc(sizeof *r + payload.len);
    if (r == NULL) {
        return NULL;
    }
    *r = (struct clade_response){.message = "", .payload_len = payload.len};
    arena_init(&r->arena, RESPONSE_BYTES_MAX);
    if (payload.len > 0) {
        memcpy(r->payload, payload.data, payload.len);
    }
    return r;
}

struct clade_response *response_decode(struct span payload,
                                       struct message *ret_message,
                                       struct error *error)
{
    struct clade_response *r = response_new(payload);
    if (r == NULL) {
        error_set(error, CLADE_ERR_NO_MEMORY, NULL, "no memory for an answer of %zu bytes",
                  payload.len);
        return NULL;
    }
    struct span copy = span_make(r->payload, r->payload_len);
    if (message_decode(copy, &value_limits_answer, &r->arena, ret_message, error) != 0) {
        clade_response_free(r);
        return NULL;
    }
    return r;
}

void response_take_result(struct clade_response *r, const struct value *result)
{
    const struct value *complete = value_get(result, "complete");
    struct span cursor = value_string(value_get(result, "cursor"));
    r->result = result;
    r->revision = value_uint(value_get(result, "revision"));
    r->node = value_uint(value_get(result, "node"));
    r->term = value_uint(value_get(result, "term"));
    r->complete = complete == NULL || value_bool(complete);
    r->read = value_uint(value_get(result, "read"));
    r->compacted = value_uint(value_get(result, "compacted"));
    r->data = value_get(result, "data");
    if (cursor.len > 0) {
        r->cursor = arena_copy_str(&r->arena, cursor);
    }
}

/* "where: message" */
static const char *compose(struct arena *arena, const struct error *e)
{
    size_t where = strlen(e->where);
    size_t message = strlen(e->message);
    char *text = arena_alloc(arena, where + 2 + message + 1);
    if (text == NULL) {
        return clade_error_text(e->code);
    }
    char *at = text;
    if (where > 0) {
        memcpy(at, e->where, where);
        memcpy(at + where, ": ", 2);
        at += where + 2;
    }
    memcpy(at, e->message, message + 1);
    return text;
}

void response_take_error(struct clade_response *r, const struct value *map, const struct error *e)
{
    r->code = e->code;
    r->message = compose(&r->arena, e);
    r->error = map;
    r->revision = e->revision;
}

struct clade_response *response_new_error(const struct error *e)
{
    struct clade_response *r = response_new((struct span){0});
    if (r != NULL) {
        response_take_error(r, NULL, e);
    }
    return r;
}

void clade_response_free(struct clade_response *response)
{
    if (response != NULL) {
        arena_release(&response->arena);
        free(response);
    }
}

int clade_response_code(const struct clade_response *response)
{
    return response == NULL ? CLADE_ERR_NO_MEMORY : response->code;
}

const char *clade_response_message(const struct clade_response *response)
{
    return response == NULL ? clade_error_text(CLADE_ERR_NO_MEMORY) : response->message;
}

uint64_t clade_response_revision(const struct clade_response *response)
{
    return response == NULL ? 0 : response->revision;
}

uint64_t clade_response_read(const struct clade_response *response)
{
    return response == NULL ? 0 : response->read;
}

uint64_t clade_response_compacted(const struct clade_response *response)
{
    return response == NULL ? 0 : response->compacted;
}

uint64_t clade_response_node(const struct clade_response *response)
{
    return response == NULL ? 0 : response->node;
}

uint64_t clade_response_term(const struct clade_response *response)
{
    return response == NULL ? 0 : response->term;
}

bool clade_response_complete(const struct clade_response *response)
{
    return response != NULL && response->complete;
}

const char *clade_response_cursor(const struct clade_response *response)
{
    return response == NULL ? NULL : response->cursor;
}

const struct clade_value *clade_response_data(const struct clade_response *response)
{
    return response == NULL ? NULL : (const struct clade_value *)response->data;
}

const struct clade_value *clade_response_error(const struct clade_response *response)
{
    return response == NULL ? NULL : (const struct clade_value *)response->error;
}

static const struct value *result_of(const struct clade_response *response, uint32_t op)
{
    const struct value *data = response == NULL ? NULL : response->data;
    return value_type(data) == CLADE_ARRAY ? value_at(data, op) : NULL;
}

uint64_t clade_response_id(const struct clade_response *response, uint32_t op)
{
    return value_uint(value_get(result_of(response, op), "id"));
}

const char *clade_response_ref(const struct clade_response *response, uint32_t op)
{
    const struct value *ref = value_get(result_of(response, op), "ref");
    if (value_type(ref) != CLADE_STRING) {
        return NULL;
    }
    /* Strings of a frame have no NUL behind them. The copies are a cache: what the response says
     * does not change. */
    struct clade_response *r = (struct clade_response *)response;
    if (r->refs == NULL) {
        r->refs = arena_calloc(&r->arena, value_len(r->data), sizeof r->refs[0]);
    }
    if (r->refs != NULL && r->refs[op] == NULL) {
        r->refs[op] = arena_copy_str(&r->arena, value_string(ref));
    }
    return r->refs == NULL ? NULL : r->refs[op];
}
