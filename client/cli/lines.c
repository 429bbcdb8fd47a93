#include "cli/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A longest line, its end, and room to read ahead. */
#define LINES_CAPACITY (LINES_BYTES_MAX + 2 + 262144)

int lines_init(struct lines *l, int fd)
{
    *l = (struct lines){.fd = fd, .data = malloc(LINES_CAPACITY)};
    return l->data == NULL ? CLADE_ERR_NO_MEMORY : 0;
}

void lines_release(struct lines *l)
{
    if (l != NULL) {
        free(l->data);
        *l = (struct lines){0};
    }
}

/* Reads more behind what there is; there must be room. */
static int fill(struct lines *l)
{
    if (l->start == l->end) {
        l->start = l->end = 0;
    } else if (l->start > 0 && l->end == LINES_CAPACITY) {
        memmove(l->data, l->data + l->start, l->end - l->start);
        l->end -= l->start;
        l->start = 0;
    }
    ssize_t n;
    do {
        n = read(l->fd, l->data + l->end, LINES_CAPACITY - l->end);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return CLADE_ERR_IO;
    }
    l->eof = n == 0;
    l->end += (size_t)n;
    l->bytes_read += (uint64_t)n;
    return 0;
}

static struct span take(struct lines *l, size_t len, size_t end_len)
{
    struct span line = span_make(l->data + l->start, len);
    l->start += len + end_len;
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    if (l->number == 0 && span_starts_with(line, "\xef\xbb\xbf")) {
        line = span_skip(line, 3);
    }
    l->number++;
    return line;
}

/* Drops bytes up to and with the next newline. */
static int skip_line(struct lines *l)
{
    for (;;) {
        uint8_t *newline = memchr(l->data + l->start, '\n', l->end - l->start);
        if (newline != NULL) {
            l->start = (size_t)(newline - l->data) + 1;
            break;
        }
        l->start = l->end = 0;
        int err = fill(l);
        if (err != 0) {
            return err;
        }
        if (l->eof) {
            break;
        }
    }
    l->number++;
    return LINES_TOO_LONG;
}

int lines_next(struct lines *l, struct span *ret_line)
{
    size_t seen = 0;
    for (;;) {
        size_t len = l->end - l->start;
        uint8_t *newline = len == seen ? NULL : memchr(l->data + l->start + seen, '\n', len - seen);
        if (newline != NULL) {
            len = (size_t)(newline - (l->data + l->start));
        }
        if (len > LINES_BYTES_MAX + 1) {
            return skip_line(l);
        }
        if (newline != NULL || (l->eof && len > 0)) {
            *ret_line = take(l, len, newline != NULL);
            return ret_line->len > LINES_BYTES_MAX ? LINES_TOO_LONG : LINES_LINE;
        }
        if (l->eof) {
            return LINES_END;
        }
        seen = len;
        int err = fill(l);
        if (err != 0) {
            return err;
        }
    }
}
