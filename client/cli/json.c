#include "cli/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int json_parse(struct span text, json_t **ret, struct error *error)
{
    if (text.len > JSON_BYTES_MAX) {
        return error_set(error, CLADE_ERR_LIMIT, NULL, "%zu bytes are above the limit of %u",
                         text.len, JSON_BYTES_MAX);
    }
    json_error_t e;
    json_t *json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &e);
    if (json != NULL) {
        *ret = json;
        return 0;
    }
    int code =
        json_error_code(&e) == json_error_out_of_memory ? CLADE_ERR_NO_MEMORY : CLADE_ERR_INVALID;
    error_set(error, code, NULL, "not JSON: %s", e.text);
    if (e.line > 1) {
        error_prefix_where(error, "line %d, column %d", e.line, e.column);
    } else if (e.column > 0) {
        error_prefix_where(error, "column %d", e.column);
    }
    return code;
}

static int put(const json_t *json, struct clade_doc *doc, unsigned depth, struct error *error);

static int put_object(const json_t *json,
                      struct clade_doc *doc,
                      unsigned depth,
                      struct error *error)
{
    clade_doc_map(doc, (uint32_t)json_object_size(json));
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)json, key, member)
    {
        clade_doc_str(doc, key);
        int err = put(member, doc, depth + 1, error);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int put_array(const json_t *json, struct clade_doc *doc, unsigned depth, struct error *error)
{
    clade_doc_array(doc, (uint32_t)json_array_size(json));
    for (size_t i = 0; i < json_array_size(json); i++) {
        int err = put(json_array_get(json, i), doc, depth + 1, error);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int put(const json_t *json, struct clade_doc *doc, unsigned depth, struct error *error)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        if (depth >= CLADE_MAX_DOCUMENT_DEPTH) {
            return error_set(error, CLADE_ERR_LIMIT, NULL, "nested deeper than %d levels",
                             CLADE_MAX_DOCUMENT_DEPTH);
        }
        return json_is_object(json) ? put_object(json, doc, depth, error)
                                    : put_array(json, doc, depth, error);
    case JSON_STRING:
        clade_doc_strn(doc, json_string_value(json), json_string_length(json));
        return 0;
    case JSON_INTEGER:
        clade_doc_int(doc, json_integer_value(json));
        return 0;
    case JSON_REAL:
        clade_doc_double(doc, json_real_value(json));
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        clade_doc_bool(doc, json_is_true(json));
        return 0;
    case JSON_NULL:
    default:
        clade_doc_nil(doc);
        return 0;
    }
}

int json_to_doc(const json_t *json, struct clade_doc *doc, struct error *error)
{
    return put(json, doc, 0, error);
}

void json_append_text(struct buffer *b, struct span text)
{
    static const char escapes[] = "btn?fr"; /* of the characters 8 to 13 */
    buffer_append_u8(b, '"');
    size_t plain = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            continue;
        }
        buffer_append(b, text.data + plain, i - plain);
        plain = i + 1;
        if (c == '"' || c == '\\') {
            buffer_append_fmt(b, "\\%c", c);
        } else if (c >= 8 && c <= 13 && c != 11) {
            buffer_append_fmt(b, "\\%c", escapes[c - 8]);
        } else {
            buffer_append_fmt(b, "\\u%04x", c);
        }
    }
    buffer_append(b, text.data + plain, text.len - plain);
    buffer_append_u8(b, '"');
}

static void append_double(struct buffer *b, double v)
{
    if (isnan(v) || isinf(v)) {
        buffer_append_str(b, isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    } else {
        /* 15 digits, more where they read as another number; 1.0 is not 1. */
        char text[32];
        int digits = 15;
        do {
            (void)snprintf(text, sizeof text, "%.*g", digits, v);
        } while (digits++ < 17 && strtod(text, NULL) != v);
        buffer_append_str(b, text);
        buffer_append_str(b, text[strcspn(text, ".e")] == '\0' ? ".0" : "");
    }
}

static void append_bytes(struct buffer *b, struct span bytes)
{
    buffer_append_u8(b, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        buffer_append_fmt(b, "%02x", bytes.data[i]);
    }
    buffer_append_u8(b, '"');
}

static void append_members(struct buffer *b, const struct clade_value *value, bool map)
{
    buffer_append_u8(b, map ? '{' : '[');
    for (size_t i = 0; i < clade_value_len(value); i++) {
        if (i > 0) {
            buffer_append_u8(b, ',');
        }
        if (map) {
            json_append_value(b, clade_value_key_at(value, i));
            buffer_append_u8(b, ':');
        }
        json_append_value(b, clade_value_at(value, i));
    }
    buffer_append_u8(b, map ? '}' : ']');
}

void json_append_value(struct buffer *b, const struct clade_value *value)
{
    size_t len = 0;
    const char *text = clade_value_strn(value, &len);
    switch (clade_value_type(value)) {
    case CLADE_NIL:
        buffer_append_str(b, "null");
        return;
    case CLADE_BOOL:
        buffer_append_str(b, clade_value_bool(value) ? "true" : "false");
        return;
    case CLADE_UINT:
        buffer_append_fmt(b, "%llu", (unsigned long long)clade_value_uint(value));
        return;
    case CLADE_INT:
        buffer_append_fmt(b, "%lld", (long long)clade_value_int(value));
        return;
    case CLADE_DOUBLE:
        append_double(b, clade_value_double(value));
        return;
    case CLADE_STRING:
        json_append_text(b, span_make(text, len));
        return;
    case CLADE_BYTES:
        append_bytes(b, span_make(text, text == NULL ? 0 : len));
        return;
    case CLADE_ARRAY:
        append_members(b, value, false);
        return;
    case CLADE_MAP:
        append_members(b, value, true);
        return;
    }
}
