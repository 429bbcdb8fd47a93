#pragma once
/* How many rows of a fixture's store there are. */
#include "fixture.h"
#include "storage/view.h"

unsigned count_rows(struct fixture *f, enum table table);
/* Rows of any table with the text in key or value. */
unsigned count_rows_with(struct fixture *f, const char *text);
