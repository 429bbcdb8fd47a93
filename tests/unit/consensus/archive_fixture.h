#pragma once
/* An archive in a folder of its own, on a clock that stands still; its disk can be made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/archive.h"

#define ARCHIVE_FILE_HEADER 48

extern _Thread_local int64_t room;      /* bytes that this thread may still write */
extern _Thread_local bool unlink_gives; /* room: what a file took that is removed */
extern _Thread_local bool sync_fails;

struct fixture {
    struct clock clock; /* first */
    uint64_t now_us;
    char path[64];
    struct archive_options options;
    struct archive *archive;
    struct buffer out;
    struct error error;
};

/* cmocka's setup and teardown; *state is the fixture, its archive not open yet. */
int archive_setup(void **state);
int archive_teardown(void **state);

void remove_files(const char *path);
void reopen(struct fixture *f);
/* Every fifth index is an advance; an entry's bytes and length are a function of its index. */
struct span entry_at(uint64_t index, char text[512]);
int append(struct fixture *f, uint64_t previous, uint64_t index);
void append_up_to(struct fixture *f, uint64_t last);
void assert_range(struct fixture *f, uint64_t base, uint64_t last);
/* Reads on from `after` to the end, and checks all of it; 1 as archive_read. */
int read_all(struct archive *a, uint64_t after, size_t bytes_max, uint64_t *ret_last);
void assert_reads(struct fixture *f, uint64_t after, uint64_t last);
unsigned files_of(struct fixture *f);
/* The path of the segment that has `nth` others behind it. */
void newest_path(struct fixture *f, unsigned nth, char path[128]);
uint64_t bytes_of(struct fixture *f); /* of all files */
uint8_t *load_file(const char *path, size_t *ret_len);
void store_file(const char *path, const uint8_t *bytes, size_t len);
