#pragma once
/* What may follow the words of a command line, from the tables of commands and flags. */
#include <stddef.h>
#include <stdio.h>

/* Writes what may stand in the place of the last of the words (of which there is one at least,
 * perhaps an empty one; "clade" is not among them), a line each: the word, a tab, what it is.
 * Behind them ":files" when the name of a file may stand there too, and ":nospace" when more
 * belongs to the word that was chosen. */
void completion_write(FILE *stream, const char *const words[], size_t words_len);
