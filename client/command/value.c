#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/utf8.h"
#include "command/value_internal.h"

#define EXCERPT_BYTES 40 /* of a string that is wrong, in an error */

/* Values are not unpacked by msgpack-c. Its unpacker allocates a zone of its own, which no
 * request's arena could account for, and it would read the bytes a second time, by rules of its
 * own, behind a check that must agree with it in every case. Here one reader of tokens serves the
 * check and the decoding. Writing uses msgpack-c, and the tests hold this reader against its. */

_Static_assert((int)CLADE_MAX_DOCUMENT_DEPTH <= (int)VALUE_DEPTH_MAX,
               "requests fit the walks' stacks");

const struct value_limits value_limits_request = {
    .depth_max = CLADE_MAX_DOCUMENT_DEPTH,
    .objects_max = CLADE_MAX_DOCUMENT_OBJECTS,
    .string_bytes_max = CLADE_MAX_COMMAND_BYTES,
};

const struct value_limits value_limits_answer = {
    .depth_max = VALUE_DEPTH_MAX,
    .objects_max = CLADE_MAX_ANSWER_BYTES / 4,
    .string_bytes_max = CLADE_MAX_ANSWER_BYTES,
};

enum token_result { TOKEN_OK, TOKEN_SHORT, TOKEN_EXTENSION, TOKEN_UNUSED };

static enum token_result take_big_endian(struct span *rest, size_t n, uint64_t *ret)
{
    if (rest->len < n) {
        return TOKEN_SHORT;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v << 8 | rest->data[i];
    }
    *rest = span_skip(*rest, n);
    *ret = v;
    return TOKEN_OK;
}

static enum token_result take_number(struct span *rest, uint8_t head, struct value *ret)
{
    uint64_t v;
    size_t n = head == 0xCA ? 4 : head == 0xCB ? 8 : (size_t)1 << (head & 3);
    enum token_result r = take_big_endian(rest, n, &v);
    if (r != TOKEN_OK) {
        return r;
    }
    if (head == 0xCA) {
        uint32_t bits = (uint32_t)v;
        float f;
        memcpy(&f, &bits, sizeof f);
        *ret = (struct value){.type = CLADE_DOUBLE, .as.f64 = (double)f};
    } else if (head == 0xCB) {
        *ret = (struct value){.type = CLADE_DOUBLE};
        memcpy(&ret->as.f64, &v, sizeof v);
    } else if (head <= 0xCF || v >> (8 * n - 1) == 0) {
        *ret = (struct value){.type = CLADE_UINT, .as.u64 = v};
    } else {
        uint64_t sign_extension = n == 8 ? 0 : UINT64_MAX << (8 * n);
        *ret = (struct value){.type = CLADE_INT, .as.i64 = (int64_t)(v | sign_extension)};
    }
    return TOKEN_OK;
}

/* A string or binary of `len` bytes. */
static enum token_result take_data(struct span *rest,
                                   enum clade_type type,
                                   uint64_t len,
                                   struct value *ret)
{
    if (rest->len < len) {
        return TOKEN_SHORT;
    }
    *ret = (struct value){.type = type, .len = (uint32_t)len, .as.data = rest->data};
    *rest = span_skip(*rest, len);
    return TOKEN_OK;
}

static enum token_result take_sized(struct span *rest, uint8_t head, struct value *ret)
{
    uint64_t len;
    enum clade_type type;
    size_t n;
    if (head >= 0xDC) {
        type = head >= 0xDE ? CLADE_MAP : CLADE_ARRAY;
        n = (head & 1) != 0 ? 4 : 2;
    } else if (head >= 0xD9) {
        type = CLADE_STRING;
        n = (size_t)1 << (head - 0xD9);
    } else {
        type = CLADE_BYTES;
        n = (size_t)1 << (head - 0xC4);
    }
    enum token_result r = take_big_endian(rest, n, &len);
    if (r != TOKEN_OK) {
        return r;
    }
    if (type == CLADE_STRING || type == CLADE_BYTES) {
        return take_data(rest, type, len, ret);
    }
    *ret = (struct value){.type = type, .len = (uint32_t)len};
    return TOKEN_OK;
}

/* The token that `rest` begins with: a whole scalar, or the head of a map or an array. */
static enum token_result take_token(struct span *rest, struct value *ret)
{
    if (rest->len == 0) {
        return TOKEN_SHORT;
    }
    uint8_t head = rest->data[0];
    *rest = span_skip(*rest, 1);
    if (head <= 0x7F) {
        *ret = (struct value){.type = CLADE_UINT, .as.u64 = head};
    } else if (head <= 0x8F) {
        *ret = (struct value){.type = CLADE_MAP, .len = head & 0x0F};
    } else if (head <= 0x9F) {
        *ret = (struct value){.type = CLADE_ARRAY, .len = head & 0x0F};
    } else if (head <= 0xBF) {
        return take_data(rest, CLADE_STRING, head & 0x1F, ret);
    } else if (head == 0xC0) {
        *ret = (struct value){.type = CLADE_NIL};
    } else if (head == 0xC1) {
        return TOKEN_UNUSED;
    } else if (head <= 0xC3) {
        *ret = (struct value){.type = CLADE_BOOL, .as.boolean = head == 0xC3};
    } else if (head <= 0xC6) {
        return take_sized(rest, head, ret);
    } else if (head <= 0xC9 || (head >= 0xD4 && head <= 0xD8)) {
        return TOKEN_EXTENSION;
    } else if (head <= 0xD3) {
        return take_number(rest, head, ret);
    } else if (head <= 0xDF) {
        return take_sized(rest, head, ret);
    } else {
        *ret = (struct value){.type = CLADE_INT, .as.i64 = (int8_t)head};
    }
    return TOKEN_OK;
}

static bool is_container(const struct value *v)
{
    return v->type == CLADE_ARRAY || v->type == CLADE_MAP;
}

static uint64_t members(const struct value *v)
{
    return v->type == CLADE_MAP ? 2 * (uint64_t)v->len : v->len;
}

/* --- the check ---------------------------------------------------------------------------- */

/* What is open: how many values are still to come in it. */
struct check_level {
    uint64_t left;
    bool is_map; /* then an even number left means that a key comes next */
};

struct check {
    struct span rest;
    const struct value_limits *limits;
    uint64_t objects; /* announced so far, the ones still to come included */
    struct check_level levels[VALUE_DEPTH_MAX];
    size_t depth;
    const char *problem; /* what is wrong */
    struct span text;    /* with which string; empty when it is with none */
};

static bool refuse(struct check *c, const char *problem)
{
    c->problem = problem;
    return false;
}

static bool check_token(struct check *c, struct value *token)
{
    switch (take_token(&c->rest, token)) {
    case TOKEN_SHORT:
        return refuse(c, "the bytes end inside of a value");
    case TOKEN_EXTENSION:
        return refuse(c, "extension types are not accepted");
    case TOKEN_UNUSED:
        return refuse(c, "the byte 0xc1 begins no value");
    case TOKEN_OK:
        break;
    }
    if (token->type != CLADE_STRING && token->type != CLADE_BYTES) {
        return true;
    }
    if (token->len > c->limits->string_bytes_max) {
        return refuse(c, "a string is longer than the limit");
    }
    if (token->type == CLADE_STRING && !utf8_is_valid(span_make(token->as.data, token->len))) {
        c->text =
            span_make(token->as.data, token->len < EXCERPT_BYTES ? token->len : EXCERPT_BYTES);
        return refuse(c, "a string is not UTF-8");
    }
    return true;
}

static bool check_open(struct check *c, const struct value *token)
{
    uint64_t n = members(token);
    /* Each member takes a byte at least, so a head cannot promise more than there is. */
    if (n > c->rest.len) {
        return refuse(c, "the bytes end inside of a map or an array");
    }
    c->objects += n;
    if (c->objects > c->limits->objects_max) {
        return refuse(c, "there are more values than the limit allows");
    }
    if (c->depth == c->limits->depth_max) {
        return refuse(c, "maps and arrays are nested deeper than the limit allows");
    }
    c->levels[c->depth++] = (struct check_level){.left = n, .is_map = token->type == CLADE_MAP};
    return true;
}

static bool check_one(struct check *c)
{
    bool is_key = false;
    if (c->depth > 0) {
        struct check_level *level = &c->levels[c->depth - 1];
        is_key = level->is_map && level->left % 2 == 0;
        level->left--;
    }
    struct value token;
    if (!check_token(c, &token)) {
        return false;
    }
    if (is_key && token.type != CLADE_STRING) {
        return refuse(c, "a key of a map is not a string");
    }
    if (is_container(&token) && !check_open(c, &token)) {
        return false;
    }
    while (c->depth > 0 && c->levels[c->depth - 1].left == 0) {
        c->depth--;
    }
    return true;
}

int value_check(struct span bytes,
                const struct value_limits *limits,
                size_t *ret_len,
                struct error *error)
{
    CHECK(limits->depth_max <= VALUE_DEPTH_MAX);
    struct check c = {.rest = bytes, .limits = limits, .objects = 1};
    do {
        size_t at = bytes.len - c.rest.len;
        if (!check_one(&c)) {
            error_set(error, CLADE_ERR_INVALID, NULL, "malformed: %s%s%.*s%s", c.problem,
                      c.text.len > 0 ? ": \"" : "", SPAN_FMT(c.text), c.text.len > 0 ? "\"" : "");
            error_prefix_where(error, "byte %zu", at);
            return CLADE_ERR_INVALID;
        }
    } while (c.depth > 0);
    *ret_len = bytes.len - c.rest.len;
    return 0;
}

static bool skip_value(struct span *rest)
{
    uint64_t left = 1;
    while (left > 0) {
        struct value token;
        if (take_token(rest, &token) != TOKEN_OK) {
            return false;
        }
        left += (is_container(&token) ? members(&token) : 0);
        left--;
    }
    return true;
}

void value_peek(struct span bytes, const char *key, struct span *ret_text, uint32_t *ret_len)
{
    struct value map;
    struct value token;
    *ret_text = (struct span){0};
    *ret_len = 0;
    if (take_token(&bytes, &map) != TOKEN_OK || map.type != CLADE_MAP) {
        return;
    }
    for (uint32_t i = 0; i < map.len; i++) {
        if (take_token(&bytes, &token) != TOKEN_OK || token.type != CLADE_STRING) {
            return;
        }
        if (!span_equal_str(span_make(token.as.data, token.len), key)) {
            if (!skip_value(&bytes)) {
                return;
            }
            continue;
        }
        if (take_token(&bytes, &token) == TOKEN_OK) {
            *ret_text =
                token.type == CLADE_STRING ? span_make(token.as.data, token.len) : *ret_text;
            *ret_len = is_container(&token) ? token.len : 0;
        }
        return;
    }
}

/* --- decoding ----------------------------------------------------------------------------- */

/* An open container's members still to be filled. A map's pairs are read as twice as many values:
 * struct value_pair is two of them, key first. */
struct decode_level {
    struct value *next;
    uint64_t left;
};

_Static_assert(sizeof(struct value_pair) == 2 * sizeof(struct value), "a pair is two values");

struct decode {
    struct span rest;
    struct arena *arena;
    struct decode_level levels[VALUE_DEPTH_MAX];
    size_t depth;
};

static int no_room(const struct arena *arena, size_t bytes, struct error *error)
{
    if (arena_has_room(arena, bytes)) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    return error_set(error, CLADE_ERR_LIMIT, NULL,
                     "the request needs more than its %zu bytes of memory", arena->bytes_max);
}

static int decode_open(struct decode *d, struct value *v, struct error *error)
{
    uint64_t n = members(v);
    if (n == 0) {
        return 0;
    }
    struct value *items = arena_calloc(d->arena, n, sizeof *items);
    if (items == NULL) {
        return no_room(d->arena, n * sizeof *items, error);
    }
    if (v->type == CLADE_MAP) {
        v->as.pairs = (const struct value_pair *)items;
    } else {
        v->as.items = items;
    }
    CHECK(d->depth < VALUE_DEPTH_MAX);
    d->levels[d->depth++] = (struct decode_level){.next = items, .left = n};
    return 0;
}

/* Reads what value_check has passed. */
static int decode_into(struct decode *d, struct value *root, struct error *error)
{
    struct value *at = root;
    for (;;) {
        enum token_result token = take_token(&d->rest, at);
        CHECK(token == TOKEN_OK);
        int r = is_container(at) ? decode_open(d, at, error) : 0;
        if (r != 0) {
            return r;
        }
        while (d->depth > 0 && d->levels[d->depth - 1].left == 0) {
            d->depth--;
        }
        if (d->depth == 0) {
            return 0;
        }
        struct decode_level *level = &d->levels[d->depth - 1];
        at = level->next++;
        level->left--;
    }
}

int value_decode(struct span bytes,
                 const struct value_limits *limits,
                 struct arena *arena,
                 const struct value **ret,
                 struct error *error)
{
    size_t len;
    int r = value_check(bytes, limits, &len, error);
    if (r != 0) {
        return r;
    }
    if (len != bytes.len) {
        error_set(error, CLADE_ERR_INVALID, NULL, "malformed: bytes follow the value");
        error_prefix_where(error, "byte %zu", len);
        return CLADE_ERR_INVALID;
    }
    struct value *root = arena_calloc(arena, 1, sizeof *root);
    if (root == NULL) {
        return no_room(arena, sizeof *root, error);
    }
    struct decode d = {.rest = bytes, .arena = arena};
    r = decode_into(&d, root, error);
    if (r != 0) {
        return r;
    }
    CHECK(d.rest.len == 0);
    *ret = root;
    return 0;
}

/* --- accessors ---------------------------------------------------------------------------- */

static bool is_type(const struct value *v, enum clade_type type)
{
    return v != NULL && v->type == type;
}

enum clade_type value_type(const struct value *v)
{
    return v == NULL ? CLADE_NIL : v->type;
}

bool value_bool(const struct value *v)
{
    return is_type(v, CLADE_BOOL) && v->as.boolean;
}

uint64_t value_uint(const struct value *v)
{
    return is_type(v, CLADE_UINT) ? v->as.u64 : 0;
}

int64_t value_int(const struct value *v)
{
    if (is_type(v, CLADE_UINT) && v->as.u64 <= INT64_MAX) {
        return (int64_t)v->as.u64;
    }
    return is_type(v, CLADE_INT) ? v->as.i64 : 0;
}

double value_double(const struct value *v)
{
    if (is_type(v, CLADE_UINT)) {
        return (double)v->as.u64;
    }
    if (is_type(v, CLADE_INT)) {
        return (double)v->as.i64;
    }
    return is_type(v, CLADE_DOUBLE) ? v->as.f64 : 0;
}

struct span value_string(const struct value *v)
{
    return is_type(v, CLADE_STRING) ? span_make(v->as.data, v->len) : (struct span){0};
}

struct span value_bytes(const struct value *v)
{
    return is_type(v, CLADE_BYTES) ? span_make(v->as.data, v->len) : (struct span){0};
}

size_t value_len(const struct value *v)
{
    return is_type(v, CLADE_ARRAY) || is_type(v, CLADE_MAP) ? v->len : 0;
}

const struct value *value_at(const struct value *v, size_t i)
{
    if (i >= value_len(v)) {
        return NULL;
    }
    return v->type == CLADE_MAP ? &v->as.pairs[i].value : &v->as.items[i];
}

const struct value *value_key_at(const struct value *v, size_t i)
{
    return is_type(v, CLADE_MAP) && i < v->len ? &v->as.pairs[i].key : NULL;
}

const struct value *value_get(const struct value *v, const char *key)
{
    struct span wanted = span_of(key);
    for (size_t i = 0; is_type(v, CLADE_MAP) && i < v->len; i++) {
        if (span_equal(value_string(&v->as.pairs[i].key), wanted)) {
            return &v->as.pairs[i].value;
        }
    }
    return NULL;
}

/* "; there are ops, guards" */
static void list_keys(const char *const known[], char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; known[i] != NULL && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "; there are " : ", ",
                                 known[i]);
    }
}

/* Known keys are few, and the first key that is unknown or doubled ends the search: so this is
 * never quadratic in the size of the map. */
bool value_keys_known(const struct value *v, const char *const known[], struct error *error)
{
    uint64_t seen = 0;
    for (size_t i = 0; is_type(v, CLADE_MAP) && i < v->len; i++) {
        struct span key = value_string(value_key_at(v, i));
        size_t place = span_place_in(key, known);
        CHECK(place < 64);
        const char *problem = NULL;
        if (known[place] == NULL) {
            problem = "there is no such key here";
        } else if ((seen >> place & 1) != 0) {
            problem = "the key stands here twice";
        }
        if (problem != NULL) {
            char keys[256] = "";
            if (known[place] == NULL) {
                list_keys(known, keys, sizeof keys);
            }
            error_set(error, CLADE_ERR_INVALID, NULL, "%s%s", problem, keys);
            error_prefix_where(error, "%.*s", SPAN_FMT(key));
            return false;
        }
        seen |= UINT64_C(1) << place;
    }
    return true;
}
