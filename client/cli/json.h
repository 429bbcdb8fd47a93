#pragma once
/* JSON at both ends: what users write becomes documents, what the store answers becomes text. */
#include <clade.h>
#include <jansson.h>

#include "base/buffer.h"
#include "base/error.h"

/* The longest JSON document that is read: an import line, a transaction. */
#define JSON_BYTES_MAX (1u << 20)

/* Parses one document: UTF-8, no doubled keys, no NUL characters. CLADE_ERR_INVALID with "column
 * 17" (or "line 2, column 17") as `where`; CLADE_ERR_LIMIT above JSON_BYTES_MAX. *ret is a new
 * reference. */
int json_parse(struct span text, json_t **ret, struct error *error);

/* Writes `json` into `doc`, member by member, in the order of the text. CLADE_ERR_LIMIT when it
 * is nested deeper than a request may be. */
int json_to_doc(const json_t *json, struct clade_doc *doc, struct error *error);

/* Appends compact JSON. Bytes become hex text, NaN and infinities become strings. */
void json_append_value(struct buffer *b, const struct clade_value *value);
void json_append_text(struct buffer *b, struct span text);
