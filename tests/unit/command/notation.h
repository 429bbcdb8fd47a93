#pragma once
/* Values as tests write them down: {'key': 1, 'list': [nil, true, -2, 0.5, 'text']}. */
#include "command/value.h"

/* Appends the value; fails the test when text is not of that form. */
void notation_put(struct buffer *b, const char *text);
