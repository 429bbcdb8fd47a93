#pragma once
/* Lines of a file or a pipe, in memory of one line. */
#include "base/error.h"
#include "base/span.h"

#define LINES_BYTES_MAX (1u << 20) /* the longest line, without its end */

struct lines {
    int fd; /* borrowed */
    uint8_t *data;
    size_t start;
    size_t end;
    uint64_t number;     /* of the line that was answered last, from 1 */
    uint64_t bytes_read; /* from the file so far */
    bool eof;
};

enum lines_result {
    LINES_END = 0,
    LINES_LINE = 1,
    LINES_TOO_LONG = 2 /* the line was passed over */
};

/* CLADE_ERR_NO_MEMORY. */
int lines_init(struct lines *l, int fd);
void lines_release(struct lines *l);
/* The next line without its end ("\n" or "\r\n"), borrowed until the next call. A byte order mark
 * before the first line is dropped. An enum lines_result, or CLADE_ERR_IO with errno set. */
int lines_next(struct lines *l, struct span *ret_line);
