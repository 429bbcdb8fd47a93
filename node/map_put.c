#include "node/map_put.h"

#include "command/value.h"

void map_put_uint(struct buffer *b, const char *key, uint64_t v)
{
    value_put_str(b, key);
    value_put_uint(b, v);
}

void map_put_str(struct buffer *b, const char *key, const char *v)
{
    value_put_str(b, key);
    value_put_str(b, v);
}

void map_put_hash(struct buffer *b, const char *key, struct hash128 h)
{
    char text[33];
    hash128_format(h, text);
    map_put_str(b, key, text);
}
