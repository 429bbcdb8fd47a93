/* The accessors of clade.h over those of command/value.h: a clade_value is a value. */
#include "lib/lib_internal.h"

static const struct value *inner(const struct clade_value *v)
{
    return (const struct value *)v;
}

static const struct clade_value *outer(const struct value *v)
{
    return (const struct clade_value *)v;
}

enum clade_type clade_value_type(const struct clade_value *v)
{
    return value_type(inner(v));
}

bool clade_value_bool(const struct clade_value *v)
{
    return value_bool(inner(v));
}

uint64_t clade_value_uint(const struct clade_value *v)
{
    return value_uint(inner(v));
}

int64_t clade_value_int(const struct clade_value *v)
{
    return value_int(inner(v));
}

double clade_value_double(const struct clade_value *v)
{
    return value_double(inner(v));
}

const char *clade_value_strn(const struct clade_value *v, size_t *ret_len)
{
    enum clade_type type = value_type(inner(v));
    struct span s = {0};
    if (type == CLADE_STRING) {
        s = value_string(inner(v));
    } else if (type == CLADE_BYTES) {
        s = value_bytes(inner(v));
    }
    if (ret_len != NULL) {
        *ret_len = s.len;
    }
    if (type != CLADE_STRING && type != CLADE_BYTES) {
        return NULL;
    }
    return s.data == NULL ? "" : (const char *)s.data;
}

size_t clade_value_len(const struct clade_value *v)
{
    return value_len(inner(v));
}

const struct clade_value *clade_value_at(const struct clade_value *v, size_t i)
{
    return outer(value_at(inner(v), i));
}

const struct clade_value *clade_value_key_at(const struct clade_value *v, size_t i)
{
    return outer(value_key_at(inner(v), i));
}

const struct clade_value *clade_value_get(const struct clade_value *v, const char *key)
{
    return outer(value_get(inner(v), key));
}
