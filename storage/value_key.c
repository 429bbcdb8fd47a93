#include "storage/value_key.h"

#include <math.h>

#include "base/check.h"
#include "command/filter.h"
#include "command/point.h"

#define HASH_BYTES    16
#define KEY_TEXT_MAX  128 /* of a tag's key and the like, whole */
#define KEY_HEAD_MAX  (8 + 1 + 1 + KEY_TEXT_MAX + 1)
#define BEGINNING_MAX (VALUE_TEXT_MAX - HASH_BYTES) /* of a text that is not whole */

_Static_assert(KEY_HEAD_MAX + 1 + VALUE_TEXT_MAX + 1 + VALUE_TAIL_BYTES <= KEY_BYTES_MAX,
               "every value has a key");

static void add(struct key *k, const void *data, size_t len)
{
    CHECK(k->len + len <= sizeof k->bytes);
    memcpy(k->bytes + k->len, data, len);
    k->len = (uint16_t)(k->len + len);
}

static void add_u64(struct key *k, uint64_t v)
{
    uint8_t bytes[8];
    put_u64be(bytes, v);
    add(k, bytes, sizeof bytes);
}

/* --- Values ----------------------------------------------------------------------------------- */

static struct value_code code_of_u64(enum value_form form, uint64_t v)
{
    struct value_code c = {.bytes = {(uint8_t)form}, .len = 9};
    put_u64be(c.bytes + 1, v);
    return c;
}

struct value_code value_of_number(double number)
{
    double v = number == 0 ? 0 : number; /* not -0 */
    return code_of_u64(VALUE_NUMBER, point_value_rank(point_value_of(v)));
}

struct value_code value_of_ref(uint64_t id)
{
    return code_of_u64(VALUE_REF, id);
}

struct value_code value_of_bool(bool truth)
{
    return (struct value_code){.bytes = {VALUE_BOOL, truth}, .len = 2};
}

/* What of a text stands as it is: nothing from a NUL on, which ends texts in keys. */
static size_t plain_bytes(struct span text)
{
    const uint8_t *nul = text.len > 0 ? memchr(text.data, 0, text.len) : NULL;
    return nul != NULL ? (size_t)(nul - text.data) : text.len;
}

struct value_code value_of_text(struct span text)
{
    struct value_code c = {.bytes = {VALUE_TEXT}, .len = 1};
    size_t len = plain_bytes(text);
    bool whole = len == text.len && len <= VALUE_TEXT_MAX;
    len = whole || len < BEGINNING_MAX ? len : BEGINNING_MAX;
    if (len > 0) {
        memcpy(c.bytes + 1, text.data, len);
    }
    c.len = (uint16_t)(c.len + len);
    c.bytes[c.len++] = !whole;
    if (!whole) {
        struct hash128 h = hash128(text);
        put_u64be(c.bytes + c.len, h.high);
        put_u64be(c.bytes + c.len + 8, h.low);
        c.len += HASH_BYTES;
    }
    return c;
}

struct value_code value_of_prefix(struct span text)
{
    struct value_code c = {.bytes = {VALUE_TEXT}, .len = 1};
    size_t len = plain_bytes(text);
    len = len < BEGINNING_MAX ? len : BEGINNING_MAX;
    if (len > 0) {
        memcpy(c.bytes + 1, text.data, len);
    }
    c.len = (uint16_t)(c.len + len);
    return c;
}

struct value_code value_of_mixed(struct span text)
{
    struct filter_number n;
    return filter_parse_number(text, &n) ? value_of_number(n.value) : value_of_text(text);
}

/* --- Keys ------------------------------------------------------------------------------------- */

struct key key_values(
    uint64_t ns, enum kind kind, enum value_group group, unsigned code, struct span key)
{
    struct key k = {.len = 0};
    uint8_t bytes[2] = {(uint8_t)kind, (uint8_t)group};
    add_u64(&k, ns);
    add(&k, bytes, sizeof bytes);
    if (group == VALUE_FIELD) {
        bytes[0] = (uint8_t)code;
        add(&k, bytes, 1);
    } else if (group != VALUE_THING && group != VALUE_ALIAS) {
        bool whole = key.len <= KEY_TEXT_MAX && plain_bytes(key) == key.len;
        size_t len = plain_bytes(key);
        len = whole || len < KEY_TEXT_MAX - HASH_BYTES ? len : KEY_TEXT_MAX - HASH_BYTES;
        add(&k, key.data, len);
        bytes[0] = !whole;
        add(&k, bytes, 1);
        if (!whole) {
            struct hash128 h = hash128(key);
            add_u64(&k, h.high);
            add_u64(&k, h.low);
        }
    }
    return k;
}

void key_add_value(struct key *k, const struct value_code *value)
{
    add(k, value->bytes, value->len);
}

void key_add_tail(struct key *k, uint64_t id, uint64_t tail)
{
    add_u64(k, id);
    add_u64(k, tail);
}

bool key_end(struct key *k)
{
    while (k->len > 0) {
        if (++k->bytes[k->len - 1] != 0) {
            return true;
        }
        k->len--;
    }
    return false;
}

/* --- What stands for a value ------------------------------------------------------------------ */

static int each_of_item(unsigned type, const struct prop_item *item, value_cb cb, void *arg)
{
    struct value_code code;
    double number;
    switch (type) {
    case PROP_INT:
        code = value_of_number((double)(int64_t)item->bits);
        return cb(arg, &code);
    case PROP_TIME:
        code = value_of_number((double)item->bits);
        return cb(arg, &code);
    case PROP_FLOAT:
        memcpy(&number, &item->bits, sizeof number);
        code = value_of_number(number);
        return cb(arg, &code);
    case PROP_BOOL:
        code = value_of_bool(item->bits != 0);
        return cb(arg, &code);
    case PROP_REF:
        code = value_of_ref(item->bits);
        return cb(arg, &code);
    default:
        code = value_of_mixed(item->text);
        return cb(arg, &code);
    }
}

int value_each_of_prop(struct span prop, value_cb cb, void *arg)
{
    struct prop_reader reader = prop_read(prop);
    struct prop_item item;
    int rc = 0;
    bool more = true; /* what is no list has one element, and prop_next would give it again */
    while (rc == 0 && more && prop_next(&reader, &item) == 1) {
        rc = each_of_item(reader.type, &item, cb, arg);
        more = reader.is_list;
    }
    return rc;
}

/* Digests, uris and external ids have tables of their own; long texts for people have none. */
bool value_is_indexed(unsigned code)
{
    switch (code) {
    case FIELD_OWNER:
    case FIELD_TYPE:
    case FIELD_SIZE:
    case FIELD_EXPERIMENT:
    case FIELD_PARENT:
    case FIELD_START:
    case FIELD_END:
    case FIELD_STATUS:
    case FIELD_RUN:
    case FIELD_CONTENT:
    case FIELD_STAGE:
    case FIELD_DESIRED:
    case FIELD_OBSERVED:
    case FIELD_ENDPOINT:
        return true;
    default:
        return false;
    }
}
