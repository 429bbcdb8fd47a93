#include "cli/table.h"

#include <stdlib.h>
#include <wchar.h>

#include "base/check.h"

#define TABLE_BYTES_MAX (64u << 20)
#define TABLE_GAP       2
#define ELASTIC_MIN     8

/* The code point at s (len > 0) and its length in bytes; 1 byte for what is not UTF-8. */
static uint32_t decode(struct span s, size_t *ret_len)
{
    uint8_t c = s.data[0];
    size_t len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
    uint32_t cp = len == 1 ? c : c & (0xffu >> (len + 1));
    *ret_len = 1;
    if (len > s.len) {
        return c;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s.data[i] & 0xc0) != 0x80) {
            return c;
        }
        cp = cp << 6 | (s.data[i] & 0x3f);
    }
    *ret_len = len;
    return cp;
}

static bool is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
}

static unsigned cell_width(uint32_t cp)
{
    int width = cp < 0x7f ? 1 : wcwidth((wchar_t)cp);
    return width < 0 ? 1 : (unsigned)width;
}

unsigned table_width(struct span text)
{
    unsigned width = 0;
    while (text.len > 0) {
        size_t len;
        width += cell_width(decode(text, &len));
        text = span_skip(text, len);
    }
    return width;
}

void table_append_clean(struct buffer *b, struct span text)
{
    while (text.len > 0) {
        size_t len;
        uint32_t cp = decode(text, &len);
        if (is_control(cp)) {
            buffer_append_u8(b, ' ');
        } else {
            buffer_append(b, text.data, len);
        }
        text = span_skip(text, len);
    }
}

void table_print_clean(FILE *stream, struct span text)
{
    struct buffer b;
    buffer_init(&b, TABLE_BYTES_MAX);
    table_append_clean(&b, text);
    (void)fwrite(b.data, 1, b.len, stream);
    buffer_release(&b);
}

void table_init(struct table *t, const struct table_column *columns, size_t columns_len)
{
    CHECK(columns_len > 0 && columns_len <= TABLE_COLUMNS_MAX);
    *t = (struct table){.columns = columns, .columns_len = columns_len};
    buffer_init(&t->bytes, TABLE_BYTES_MAX);
    for (size_t i = 0; i < columns_len; i++) {
        t->widths[i] = table_width(span_of(columns[i].heading));
    }
}

void table_release(struct table *t)
{
    if (t != NULL) {
        buffer_release(&t->bytes);
        free(t->cells);
        *t = (struct table){0};
    }
}

static bool grow(struct table *t)
{
    if (t->cells_len < t->cells_capacity) {
        return true;
    }
    size_t capacity = t->cells_capacity == 0 ? 256 : t->cells_capacity * 2;
    struct table_cell *cells = reallocarray(t->cells, capacity, sizeof *cells);
    if (cells == NULL) {
        return false;
    }
    t->cells = cells;
    t->cells_capacity = capacity;
    return true;
}

bool table_add(struct table *t, struct span text)
{
    if (!grow(t)) {
        return false;
    }
    size_t at = t->bytes.len;
    table_append_clean(&t->bytes, text);
    if (t->bytes.failed) {
        return false;
    }
    struct span kept = span_make(t->bytes.data + at, t->bytes.len - at);
    unsigned width = kept.len == 0 ? 0 : table_width(kept);
    size_t column = t->cells_len % t->columns_len;
    t->cells[t->cells_len++] = (struct table_cell){.at = at, .len = kept.len, .width = width};
    if (width > t->widths[column]) {
        t->widths[column] = width;
    }
    return true;
}

/* Takes from the widest elastic columns until the row fits. */
static void fit(const struct table *t, unsigned terminal_columns, unsigned widths[])
{
    unsigned total = 0;
    for (size_t i = 0; i < t->columns_len; i++) {
        widths[i] = t->widths[i];
        total += widths[i] + (i > 0 ? TABLE_GAP : 0);
    }
    while (terminal_columns > 0 && total > terminal_columns) {
        size_t widest = t->columns_len;
        for (size_t i = 0; i < t->columns_len; i++) {
            if (t->columns[i].elastic && widths[i] > ELASTIC_MIN &&
                (widest == t->columns_len || widths[i] > widths[widest])) {
                widest = i;
            }
        }
        if (widest == t->columns_len) {
            return;
        }
        widths[widest]--;
        total--;
    }
}

/* Prints what fits; answers how wide it is, which is a cell less where a wide character did not. */
static unsigned print_cell(FILE *stream, struct span text, unsigned width_max)
{
    unsigned used = 0;
    while (text.len > 0) {
        size_t len;
        unsigned width = cell_width(decode(text, &len));
        if (used + width > width_max) {
            break;
        }
        (void)fwrite(text.data, 1, len, stream);
        used += width;
        text = span_skip(text, len);
    }
    return used;
}

static void print_padded(FILE *stream,
                         struct span text,
                         unsigned width,
                         unsigned column_width,
                         enum table_align align,
                         bool last)
{
    bool cut = width > column_width;
    if (align == TABLE_RIGHT && !cut) {
        (void)fprintf(stream, "%*s", (int)(column_width - width), "");
    }
    unsigned used = print_cell(stream, text, cut ? column_width - 1 : column_width);
    if (cut) {
        (void)fputs("\xe2\x80\xa6", stream);
        used++;
    }
    if (align == TABLE_LEFT && !last) {
        (void)fprintf(stream, "%*s", (int)(column_width - used), "");
    }
}

static void print_heading(const struct table *t, FILE *stream, const unsigned widths[], bool color)
{
    (void)fputs(color ? "\x1b[1m" : "", stream);
    for (size_t i = 0; i < t->columns_len; i++) {
        struct span heading = span_of(t->columns[i].heading);
        (void)fputs(i > 0 ? "  " : "", stream);
        print_padded(stream, heading, table_width(heading), widths[i], t->columns[i].align,
                     i + 1 == t->columns_len);
    }
    (void)fputs(color ? "\x1b[0m\n" : "\n", stream);
}

void table_flush(struct table *t, FILE *stream, unsigned terminal_columns, bool color)
{
    unsigned widths[TABLE_COLUMNS_MAX];
    fit(t, terminal_columns, widths);
    if (!t->heading_printed) {
        print_heading(t, stream, widths, color);
        t->heading_printed = true;
    }
    size_t whole = t->cells_len - t->cells_len % t->columns_len;
    for (size_t i = 0; i < whole; i++) {
        size_t column = i % t->columns_len;
        const struct table_cell *cell = &t->cells[i];
        (void)fputs(column > 0 ? "  " : "", stream);
        print_padded(stream, span_make(t->bytes.data + cell->at, cell->len), cell->width,
                     widths[column], t->columns[column].align, column + 1 == t->columns_len);
        (void)fputs(column + 1 == t->columns_len ? "\n" : "", stream);
    }
    t->cells_len = 0;
    buffer_clear(&t->bytes);
}
