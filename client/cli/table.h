#pragma once
/* Aligned columns for people. Rows are added, printed in batches and forgotten, so that an
 * answer of any length takes a page's memory; columns only widen from batch to batch. */
#include <stdio.h>

#include "base/buffer.h"

#define TABLE_COLUMNS_MAX 12

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    const char *heading;
    enum table_align align;
    bool elastic; /* is cut, with an ellipsis, where the terminal is too narrow */
};

struct table_cell {
    size_t at;      /* into the table's bytes */
    size_t len;     /* bytes */
    unsigned width; /* terminal cells */
};

struct table {
    const struct table_column *columns;
    size_t columns_len;
    unsigned widths[TABLE_COLUMNS_MAX];
    struct buffer bytes;
    struct table_cell *cells; /* row by row */
    size_t cells_len;
    size_t cells_capacity;
    bool heading_printed;
};

/* `columns` must outlive the table; at most TABLE_COLUMNS_MAX. */
void table_init(struct table *t, const struct table_column *columns, size_t columns_len);
void table_release(struct table *t);
/* The next cell, left to right, row by row. Control characters are shown as blanks, so that no
 * stored text can drive a terminal. False when memory is out. */
bool table_add(struct table *t, struct span text);
/* Prints the whole rows added so far and forgets them. terminal_columns 0 = no limit. */
void table_flush(struct table *t, FILE *stream, unsigned terminal_columns, bool color);

/* Terminal cells that valid UTF-8 takes; what is not UTF-8 counts a cell a byte. */
unsigned table_width(struct span text);
/* Appends text with control characters as blanks. */
void table_append_clean(struct buffer *b, struct span text);
/* The same to a stream. */
void table_print_clean(FILE *stream, struct span text);
