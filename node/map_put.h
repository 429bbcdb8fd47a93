#pragma once
/* Members of a map of an answer, as clients read it: a key, and its value. */
#include "base/buffer.h"
#include "base/hash.h"

/* The map's length was put before, and counts each of these as one. A buffer that is full says so
 * itself (base/buffer.h). */
void map_put_uint(struct buffer *b, const char *key, uint64_t v);
void map_put_str(struct buffer *b, const char *key, const char *v);
/* In hexadecimal. */
void map_put_hash(struct buffer *b, const char *key, struct hash128 h);
