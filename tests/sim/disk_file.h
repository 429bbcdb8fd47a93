#pragma once
/* The bytes of one file on a simulated disk, and what is needed to take unsynced writes back. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/sim/random.h"

/* A change of the bytes or of the length that was not synced yet. */
struct disk_change {
    size_t at;
    size_t len;        /* bytes written, or cut off */
    size_t old_len;    /* of them, those that were there before */
    size_t old_at;     /* where the old bytes are kept */
    size_t len_before; /* of the file */
    bool is_durable;   /* O_DSYNC: a crash can not take it */
};

struct disk_file {
    struct disk_file *next;
    ino_t inode;
    int fd;
    unsigned opens;
    uint8_t *map; /* shared with everybody who maps or reads the file */
    size_t len;
    size_t real_len; /* of the kernel's file while it is open: it grows in steps */
    struct disk_change *changes;
    size_t changes_len;
    size_t changes_cap;
    uint8_t *old;
    size_t old_len;
    size_t old_cap;
};

/* The file that `fd` is, which is the object's from then on. */
struct disk_file *disk_file_new(int fd);
void disk_file_free(struct disk_file *f);
/* Whether no name leads to it any more. */
bool disk_file_is_gone(const struct disk_file *f);

void disk_file_write(struct disk_file *f, size_t at, const void *data, size_t len, bool is_durable);
void disk_file_truncate(struct disk_file *f, size_t len);
/* Makes the kernel's file as long as this one: when nobody has it open. */
void disk_file_trim(struct disk_file *f);
/* What it holds is durable. */
void disk_file_settle(struct disk_file *f);
/* Takes back what was not synced, by chance; the number of sectors taken back. */
uint64_t disk_file_crash(struct disk_file *f, struct sim_random *random);
