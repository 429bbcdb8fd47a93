#include "node/answers.h"

#include <stdlib.h>

/* A batch of entries is some 8 MiB; results are of the commands' order of size. */
#define BYTES_MAX (UINT64_C(512) << 20)

struct answers *answers_new(void)
{
    struct answers *a = calloc(1, sizeof *a);
    if (a != NULL) {
        buffer_init(&a->bytes, BYTES_MAX);
    }
    return a;
}

void answers_free(struct answers *a)
{
    if (a != NULL) {
        buffer_release(&a->bytes);
        free(a);
    }
}

void answers_add(struct answers *a, const struct apply_result *result)
{
    const struct answer_record record = {.key = result->id.counter,
                                         .revision = result->revision,
                                         .time_us = result->time_us,
                                         .session = result->session,
                                         .code = result->code,
                                         .body_len = (uint32_t)result->body.len};
    size_t before = a->bytes.len;
    if (!buffer_append(&a->bytes, &record, sizeof record) ||
        !buffer_append_span(&a->bytes, result->body)) {
        a->bytes.len = before;
        a->bytes.failed = false;
    }
}

bool answers_next(struct span *rest, struct answer_record *ret, struct span *ret_body)
{
    if (rest->len < sizeof *ret) {
        return false;
    }
    memcpy(ret, rest->data, sizeof *ret);
    *ret_body = span_make(rest->data + sizeof *ret, ret->body_len);
    *rest = span_skip(*rest, sizeof *ret + ret->body_len);
    return true;
}
