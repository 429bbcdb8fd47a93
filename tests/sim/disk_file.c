#include "tests/sim/disk_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/sim/disk.h"

#define MAP_BYTES  ((size_t)1 << 28) /* no file of a run is larger */
#define STEP_BYTES ((size_t)1 << 18)

struct disk_file *disk_file_new(int fd)
{
    struct disk_file *f = calloc(1, sizeof *f);
    struct stat st;
    CHECK(f != NULL && syscall(SYS_fstat, fd, &st) == 0);
    f->fd = fd;
    f->inode = st.st_ino;
    f->len = (size_t)st.st_size;
    f->real_len = f->len;
    f->map = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(f->map != MAP_FAILED && f->len <= MAP_BYTES);
    return f;
}

void disk_file_free(struct disk_file *f)
{
    CHECK(f->opens == 0);
    (void)munmap(f->map, MAP_BYTES);
    (void)syscall(SYS_close, f->fd);
    free(f->changes);
    free(f->old);
    free(f);
}

bool disk_file_is_gone(const struct disk_file *f)
{
    struct stat st;
    return syscall(SYS_fstat, f->fd, &st) == 0 && st.st_nlink == 0;
}

static void *grow(void *p, size_t *cap, size_t need, size_t size)
{
    if (need > *cap) {
        *cap = need > *cap * 2 ? need : *cap * 2;
        p = realloc(p, *cap * size);
        CHECK(p != NULL);
    }
    return p;
}

/* Keeps what stands in the `len` bytes at `at`, as far as the file goes. */
static struct disk_change *note(struct disk_file *f, size_t at, size_t len)
{
    size_t old_len = at >= f->len ? 0 : at + len > f->len ? f->len - at : len;
    f->changes = grow(f->changes, &f->changes_cap, f->changes_len + 1, sizeof *f->changes);
    f->old = grow(f->old, &f->old_cap, f->old_len + old_len, 1);
    struct disk_change *c = &f->changes[f->changes_len++];
    *c = (struct disk_change){
        .at = at, .len = len, .old_len = old_len, .old_at = f->old_len, .len_before = f->len};
    if (old_len > 0) {
        memcpy(f->old + f->old_len, f->map + at, old_len);
        f->old_len += old_len;
    }
    return c;
}

static void set_real_len(struct disk_file *f, size_t len)
{
    if (len != f->real_len) {
        CHECK(len <= MAP_BYTES && syscall(SYS_ftruncate, f->fd, (off_t)len) == 0);
        f->real_len = len;
    }
}

/* Bytes behind the end are zero. */
static void set_len(struct disk_file *f, size_t len)
{
    if (len > f->real_len) {
        set_real_len(f, (len + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES);
    } else if (len < f->len) {
        size_t end = f->len < f->real_len ? f->len : f->real_len;
        memset(f->map + len, 0, end - len);
    }
    f->len = len;
}

void disk_file_trim(struct disk_file *f)
{
    set_real_len(f, f->len);
}

void disk_file_write(struct disk_file *f, size_t at, const void *data, size_t len, bool is_durable)
{
    note(f, at, len)->is_durable = is_durable;
    if (at + len > f->len) {
        set_len(f, at + len);
    }
    memcpy(f->map + at, data, len);
}

void disk_file_truncate(struct disk_file *f, size_t len)
{
    (void)note(f, len, f->len > len ? f->len - len : 0);
    set_len(f, len);
}

void disk_file_settle(struct disk_file *f)
{
    f->changes_len = 0;
    f->old_len = 0;
}

/* --- a crash --- */

/* How one crash treats one file: for each sector, and for the length, how many of the changes had
 * reached the disk. */
struct crash {
    uint64_t seed;
    enum { LOSES_ALL, LOSES_A_TAIL, LOSES_ANY } form;
    size_t kept; /* LOSES_A_TAIL: changes before this one stay; it is torn */
    size_t changes;
};

static size_t kept_of(const struct crash *c, size_t sector)
{
    struct sim_random r;
    random_seed(&r, c->seed ^ sector);
    (void)random_u64(&r);
    switch (c->form) {
    case LOSES_ALL:
        return 0;
    case LOSES_A_TAIL:
        return c->kept + random_below(&r, 2);
    default:
        return random_below(&r, c->changes + 1);
    }
}

/* Whether a later change, which a crash can not take, covers the sector. */
static bool is_held(const struct disk_file *f, size_t change, size_t sector)
{
    for (size_t i = change; i < f->changes_len; i++) {
        const struct disk_change *c = &f->changes[i];
        if (c->is_durable && sector >= c->at / DISK_SECTOR_BYTES &&
            sector * DISK_SECTOR_BYTES < c->at + c->len) {
            return true;
        }
    }
    return false;
}

static void restore(struct disk_file *f, const struct disk_change *c, size_t from, size_t to)
{
    for (size_t at = from; at < to && at < f->len; at++) {
        size_t i = at - c->at;
        f->map[at] = i < c->old_len ? f->old[c->old_at + i] : 0;
    }
}

/* Takes the change back in the sectors that the crash caught before it. */
static uint64_t take_back(struct disk_file *f, size_t change, const struct crash *crash)
{
    const struct disk_change *c = &f->changes[change];
    uint64_t n = 0;
    size_t end = c->at + c->len;
    for (size_t from = c->at; from < end;) {
        size_t sector = from / DISK_SECTOR_BYTES;
        size_t to = (sector + 1) * DISK_SECTOR_BYTES;
        to = to < end ? to : end;
        if (kept_of(crash, sector) <= change && !is_held(f, change, sector)) {
            restore(f, c, from, to);
            n++;
        }
        from = to;
    }
    return n;
}

uint64_t disk_file_crash(struct disk_file *f, struct sim_random *random)
{
    if (f->changes_len == 0) {
        return 0;
    }
    struct crash c = {.seed = random_u64(random), .changes = f->changes_len};
    static const int forms[] = {LOSES_ALL, LOSES_A_TAIL, LOSES_ANY, LOSES_ANY};
    c.form = forms[random_below(random, 4)];
    c.kept = random_below(random, f->changes_len);
    /* The longest that the file was, so that nothing is out of reach while changes are undone. */
    size_t kept = kept_of(&c, SIZE_MAX);
    size_t len = kept < f->changes_len ? f->changes[kept].len_before : f->len;
    size_t longest = f->len;
    for (size_t i = 0; i < f->changes_len; i++) {
        longest = f->changes[i].len_before > longest ? f->changes[i].len_before : longest;
    }
    set_len(f, longest);
    uint64_t n = 0;
    for (size_t i = f->changes_len; i-- > 0;) {
        n += take_back(f, i, &c);
    }
    /* O_DSYNC makes the length durable too, as far as its bytes need it. */
    for (size_t i = 0; i < f->changes_len; i++) {
        size_t end = f->changes[i].at + f->changes[i].len;
        len = f->changes[i].is_durable && end > len ? end : len;
    }
    set_len(f, len);
    disk_file_settle(f);
    return n;
}
