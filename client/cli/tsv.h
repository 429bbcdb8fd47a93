#pragma once
/* Rows of three fields between tabs. */
#include "base/error.h"
#include "base/span.h"

#define TSV_FIELDS 3

/* Cuts a line without its end. CLADE_ERR_INVALID with a sentence when it is not UTF-8, has a
 * control character, another number of fields, or an empty one where `required` has its bit. */
int tsv_parse(struct span line,
              unsigned required,
              struct span ret_fields[TSV_FIELDS],
              struct error *error);
