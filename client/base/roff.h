#pragma once
/* Texts in manual pages (man(7)). */
#include <stdio.h>

/* Writes text so that it reads as it is; a line of it is a line of the page. */
void roff_text(FILE *stream, const char *text);
/* The same as a line of its own. */
void roff_line(FILE *stream, const char *text);
/* ".MACRO TEXT", the text one quoted argument. */
void roff_macro(FILE *stream, const char *macro, const char *text);
/* Examples: as they are, one below the other. */
void roff_examples(FILE *stream, const char *const examples[]);
