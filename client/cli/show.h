#pragma once
/* Single answers for people: a thing with its fields, a document of any shape. */
#include "base/buffer.h"
#include "cli/cli.h"

/* A thing as "field  value" lines. */
void show_thing(struct cli *cli, const struct clade_value *thing);
/* "version/m/7 90%, version/m/8 10%, version/m/9 5% shadow" */
void show_append_targets(struct buffer *b, const struct clade_value *targets);
/* The text under a key; empty when there is none. */
struct span show_text_of(const struct clade_value *map, const char *key);
/* The value of a field as histories and diffs show it; "-" for NULL. */
void show_append_field(struct buffer *b, struct span field, const struct clade_value *v);
/* What uses a version: "@best, production, deployment/prod 100%" */
void show_append_uses(struct buffer *b, const struct clade_value *uses);
/* Any answer: scalars as lines, arrays of maps as tables, nested maps below a heading. Numbers
 * are made readable by what their key says they are. */
void show_document(struct cli *cli, const struct clade_value *value);
/* One JSON document: {"revision", "node", "term", "complete", "data"}. */
void show_json(struct cli *cli, const struct clade_response *response);
/* The same with a part of the data in the place of all of it. */
void show_json_part(struct cli *cli,
                    const struct clade_response *response,
                    const struct clade_value *part);
/* The same with data that is JSON already. */
void show_json_text(struct cli *cli, const struct clade_response *response, struct span data);
/* The data's elements, a line each; anything else as one line. */
void show_ndjson(struct cli *cli, const struct clade_response *response);
void show_ndjson_part(struct cli *cli, const struct clade_value *part);
/* What a transaction did, operation by operation, in the format that was asked for. */
void show_results(struct cli *cli, const struct clade_response *response);
/* The same, and for a person what operation n is about stands before what it did: labels[n], NULL
 * or behind the last = nothing. */
void show_results_of(struct cli *cli,
                     const char *const labels[],
                     size_t labels_len,
                     const struct clade_response *response);
