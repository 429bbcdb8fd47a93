#include "consensus/segments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "consensus/segment_scan.h"

#define PATH_BYTES     1280
#define NAME_BYTES     64
#define METADATA_BYTES 32
#define INSTALL_BYTES  32
#define FILE_BYTES_MAX (UINT64_C(4) << 30)

static const char install_magic[8] = "cladein";

struct segment {
    char name[NAME_BYTES];
    uint64_t first; /* closed: its entries; open: its number */
    uint64_t last;
    struct segment_scan scan; /* once it was scanned */
    size_t bytes;
};

struct segment_list {
    struct segment *items;
    size_t len;
    size_t cap;
};

struct folder {
    const char *path;
    struct segment_list closed; /* by first, then last */
    struct segment_list open;   /* by number */
};

/* --- files --- */

static void join(char to[PATH_BYTES], const char *path, const char *name)
{
    (void)snprintf(to, PATH_BYTES, "%s/%s", path, name);
}

static int read_all(int fd, uint8_t *to, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, to + done, len - done);
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return -1;
        }
        done += (size_t)n;
    }
    return 0;
}

/* > 0 when there is no such file. *ret_bytes is the caller's to free. */
static int read_file(const char *path, uint8_t **ret_bytes, size_t *ret_len, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0) {
        return errno == ENOENT ? 1 : file_error(path, "cannot be opened", error);
    }
    uint8_t *bytes = NULL;
    int r = 0;
    if (fstat(fd, &st) != 0) {
        r = file_error(path, "cannot be read", error);
    } else if ((uint64_t)st.st_size > FILE_BYTES_MAX ||
               (bytes = malloc((size_t)st.st_size + 1)) == NULL) {
        r = error_set(error, CLADE_ERR_NO_MEMORY, path, "no memory for its %jd bytes",
                      (intmax_t)st.st_size);
    } else if (read_all(fd, bytes, (size_t)st.st_size) != 0) {
        r = file_error(path, "cannot be read", error);
    }
    (void)close(fd);
    if (r < 0) {
        free(bytes);
        return r;
    }
    *ret_bytes = bytes;
    *ret_len = (size_t)st.st_size;
    return 0;
}

static int remove_file(const char *folder, const char *name, struct error *error)
{
    char path[PATH_BYTES];
    join(path, folder, name);
    return unlink(path) == 0 || errno == ENOENT ? 0 : file_error(path, "cannot be removed", error);
}

static int cut_file(const char *folder, const char *name, size_t bytes, struct error *error)
{
    char path[PATH_BYTES];
    join(path, folder, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int r = fd < 0 || ftruncate(fd, (off_t)bytes) != 0 || fsync(fd) != 0
                ? file_error(path, "cannot be cut", error)
                : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return r;
}

/* --- the folder --- */

static int add(struct segment_list *l, const struct segment *s)
{
    if (l->len == l->cap) {
        size_t cap = l->cap == 0 ? 16 : 2 * l->cap;
        struct segment *grown = realloc(l->items, cap * sizeof *grown);
        if (grown == NULL) {
            return -1;
        }
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->len++] = *s;
    return 0;
}

static int compare_segments(const void *a, const void *b)
{
    const struct segment *x = a;
    const struct segment *y = b;
    return x->first != y->first ? (x->first < y->first ? -1 : 1)
           : x->last != y->last ? (x->last < y->last ? -1 : 1)
                                : 0;
}

/* The names that raft_uv takes for segments. */
static int take_name(struct folder *f, const char *name)
{
    struct segment s = {.first = 0};
    int end = -1;
    size_t len = strlen(name);
    if (len >= sizeof s.name) {
        return 0;
    }
    memcpy(s.name, name, len);
    if (sscanf(name, "%" SCNu64 "-%" SCNu64 "%n", &s.first, &s.last, &end) == 2 &&
        (size_t)end == len) {
        return add(&f->closed, &s);
    }
    if (sscanf(name, "open-%" SCNu64 "%n", &s.first, &end) == 1 && (size_t)end == len) {
        return add(&f->open, &s);
    }
    return 0;
}

static int folder_read(struct folder *f, struct error *error)
{
    DIR *d = opendir(f->path);
    if (d == NULL) {
        return file_error(f->path, "cannot be read", error);
    }
    int r = 0;
    errno = 0;
    for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL; errno = 0) {
        if (take_name(f, e->d_name) != 0) {
            r = error_set(error, CLADE_ERR_NO_MEMORY, f->path, "out of memory");
        }
    }
    if (r == 0 && errno != 0) {
        r = file_error(f->path, "cannot be read", error);
    }
    (void)closedir(d);
    if (f->closed.len > 0) {
        qsort(f->closed.items, f->closed.len, sizeof *f->closed.items, compare_segments);
    }
    if (f->open.len > 0) {
        qsort(f->open.items, f->open.len, sizeof *f->open.items, compare_segments);
    }
    return r;
}

static void folder_release(struct folder *f)
{
    free(f->closed.items);
    free(f->open.items);
}

static int damaged(const struct folder *f, const char *name, struct error *error, const char *what)
{
    char path[PATH_BYTES];
    join(path, f->path, name);
    return error_set(error, CLADE_ERR_CORRUPT, path, "%s %s", name, what);
}

/* --- metadata --- */

struct metadata {
    uint64_t version; /* 0 = the file is not there */
    uint64_t term;
    uint64_t vote;
};

static int metadata_read(const struct folder *f,
                         const char *name,
                         struct metadata *ret,
                         struct error *error)
{
    char path[PATH_BYTES];
    uint8_t *bytes;
    size_t len;
    join(path, f->path, name);
    *ret = (struct metadata){.version = 0};
    int r = read_file(path, &bytes, &len, error);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    if (len != METADATA_BYTES || get_u64le(bytes) != 1 || get_u64le(bytes + 8) == 0) {
        r = damaged(f, name, error, "is damaged");
    } else {
        *ret = (struct metadata){.version = get_u64le(bytes + 8),
                                 .term = get_u64le(bytes + 16),
                                 .vote = get_u64le(bytes + 24)};
    }
    free(bytes);
    return r;
}

/* Odd versions go to the first file, even ones to the second, each one above the other's; a term
 * begins without a vote, and its vote is given once. */
static bool metadata_fit(const struct metadata *odd, const struct metadata *even)
{
    if (even->version == 0) {
        return odd->version <= 1;
    }
    const struct metadata *older = odd->version < even->version ? odd : even;
    const struct metadata *newer = odd->version < even->version ? even : odd;
    return odd->version % 2 == 1 && even->version % 2 == 0 &&
           newer->version == older->version + 1 &&
           (newer->term == older->term ? older->vote == 0 || older->vote == newer->vote
                                       : newer->term > older->term && newer->vote == 0);
}

static int check_metadata(const struct folder *f, struct error *error)
{
    struct metadata m[2];
    int r = metadata_read(f, "metadata1", &m[0], error);
    if (r == 0) {
        r = metadata_read(f, "metadata2", &m[1], error);
    }
    if (r < 0) {
        return r;
    }
    if (!metadata_fit(&m[0], &m[1])) {
        return error_set(error, CLADE_ERR_CORRUPT, f->path,
                         "metadata1 (version %" PRIu64 ", term %" PRIu64
                         ") and metadata2 (version %" PRIu64 ", term %" PRIu64
                         ") do not follow on each other: one is damaged or missing",
                         m[0].version, m[0].term, m[1].version, m[1].term);
    }
    if (m[0].version == 0 && f->closed.len > 0) {
        return damaged(f, "metadata1", error, "is missing");
    }
    return 0;
}

/* --- an install --- */

int segments_begin_install(const char *path, uint64_t index, uint64_t term, struct error *error)
{
    uint8_t bytes[INSTALL_BYTES];
    char to[PATH_BYTES];
    char temporary[PATH_BYTES];
    memcpy(bytes, install_magic, sizeof install_magic);
    put_u64le(bytes + 8, index);
    put_u64le(bytes + 16, term);
    put_u64le(bytes + 24, hash64(span_make(bytes, 24), 0));
    join(to, path, "install");
    join(temporary, path, "tmp-install"); /* raft_uv sweeps names like this at its start */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 || write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes || fsync(fd) != 0 ||
                    rename(temporary, to) != 0
                ? file_error(to, "cannot be written", error)
                : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return r < 0 ? r : file_sync_folder(path, error);
}

int segments_end_install(const char *path, struct error *error)
{
    int r = remove_file(path, "install", error);
    return r < 0 ? r : file_sync_folder(path, error);
}

/* Whether both files of the snapshot are there. They were synced before they had names. */
static int has_snapshot(
    const char *path, uint64_t index, uint64_t term, bool *ret, struct error *error)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        return file_error(path, "cannot be read", error);
    }
    *ret = false;
    for (struct dirent *e; !*ret && (e = readdir(d)) != NULL;) {
        uint64_t at[3];
        int end = -1;
        char file[PATH_BYTES];
        char meta[PATH_BYTES + 8];
        if (sscanf(e->d_name, "snapshot-%" SCNu64 "-%" SCNu64 "-%" SCNu64 "%n", &at[0], &at[1],
                   &at[2], &end) == 3 &&
            e->d_name[end] == 0 && at[0] == term && at[1] == index) {
            join(file, path, e->d_name);
            (void)snprintf(meta, sizeof meta, "%s.meta", file);
            *ret = access(meta, F_OK) == 0;
        }
    }
    (void)closedir(d);
    return 0;
}

static int remove_segments(struct folder *f, struct error *error)
{
    int r = 0;
    for (size_t i = 0; i < f->open.len && r == 0; i++) {
        r = remove_file(f->path, f->open.items[i].name, error);
    }
    for (size_t i = 0; i < f->closed.len && r == 0; i++) {
        r = remove_file(f->path, f->closed.items[i].name, error);
    }
    f->open.len = 0;
    f->closed.len = 0;
    return r < 0 ? r : file_sync_folder(f->path, error);
}

/* raft_uv links the snapshot first and removes the segments then, the oldest first: what a crash
 * leaves between is entries of before that no longer follow on each other, or on the snapshot. */
static int finish_install(struct folder *f, struct error *error)
{
    char path[PATH_BYTES];
    uint8_t *bytes;
    size_t len;
    join(path, f->path, "install");
    int r = read_file(path, &bytes, &len, error);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    bool installed = false;
    if (len != INSTALL_BYTES || memcmp(bytes, install_magic, sizeof install_magic) != 0 ||
        get_u64le(bytes + 24) != hash64(span_make(bytes, 24), 0)) {
        r = damaged(f, "install", error, "is damaged");
    } else {
        r = has_snapshot(f->path, get_u64le(bytes + 8), get_u64le(bytes + 16), &installed, error);
    }
    free(bytes);
    if (r == 0 && installed) {
        r = remove_segments(f, error);
    }
    return r < 0 ? r : segments_end_install(f->path, error);
}

/* --- segments --- */

static int scan(const struct folder *f, struct segment *s, struct error *error)
{
    char path[PATH_BYTES];
    uint8_t *bytes;
    join(path, f->path, s->name);
    int r = read_file(path, &bytes, &s->bytes, error);
    if (r != 0) {
        return r < 0 ? r : damaged(f, s->name, error, "is gone");
    }
    segment_scan(span_make(bytes, s->bytes), &s->scan);
    free(bytes);
    return 0;
}

static int refuse_batch(const struct folder *f, const struct segment *s, struct error *error)
{
    char path[PATH_BYTES];
    char after[64] = "";
    join(path, f->path, s->name);
    if (s->scan.after > 0) {
        (void)snprintf(after, sizeof after, ", and a whole one follows at byte %zu", s->scan.after);
    }
    return error_set(error, CLADE_ERR_CORRUPT, path, "%s: the batch at byte %zu is damaged%s",
                     s->name, s->scan.bytes, after);
}

/* A closed segment holds what its name says, and nothing else. */
static int check_whole(const struct folder *f, struct segment *s, struct error *error)
{
    int r = scan(f, s, error);
    if (r < 0) {
        return r;
    }
    if (s->scan.end != SEGMENT_WHOLE || s->scan.bytes != s->bytes) {
        return refuse_batch(f, s, error);
    }
    return s->scan.entries == s->last - s->first + 1
               ? 0
               : damaged(f, s->name, error, "does not hold the entries of its name");
}

/* raft_uv cuts a closed segment by writing the part that stays as a file of its own, then removes
 * the whole one and all behind it. After a crash between, it would refuse to start. */
static int finish_truncate(struct folder *f, size_t i, struct error *error)
{
    int r = check_whole(f, &f->closed.items[i], error);
    /* The newest first, so that the two that tell of the truncation are there until the end. */
    for (size_t j = f->closed.len - 1; j > i && r == 0; j--) {
        r = remove_file(f->path, f->closed.items[j].name, error);
    }
    f->closed.len = i + 1;
    return r < 0 ? r : file_sync_folder(f->path, error);
}

static int check_closed(struct folder *f, struct error *error)
{
    for (size_t i = 0; i < f->closed.len; i++) {
        struct segment *s = &f->closed.items[i];
        if (i + 1 < f->closed.len && s->first == s[1].first) {
            return finish_truncate(f, i, error);
        }
        int r = check_whole(f, s, error);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* One write is under way at a time, over all segments: behind one that does not end in a whole
 * batch nothing was written. */
static int check_open(struct folder *f, struct error *error)
{
    const struct segment *broken = NULL;
    for (size_t i = 0; i < f->open.len; i++) {
        struct segment *s = &f->open.items[i];
        int r = scan(f, s, error);
        if (r < 0) {
            return r;
        }
        if (s->scan.end == SEGMENT_DAMAGED) {
            return refuse_batch(f, s, error);
        }
        if (s->scan.end != SEGMENT_EMPTY && broken != NULL) {
            return refuse_batch(f, broken, error);
        }
        if (s->scan.end != SEGMENT_WHOLE && broken == NULL) {
            broken = s;
        }
    }
    return 0;
}

/* raft_uv cuts at the first broken batch itself, but refuses some ends that a crash may leave: a
 * first sector that is missing, and room for less than a batch behind the last one. */
static int cut_open(const struct folder *f, const struct segment *s, struct error *error)
{
    size_t left = s->bytes - s->scan.bytes;
    bool raft_uv_may = s->scan.end != SEGMENT_TORN && (left == 0 || left >= 16);
    if (raft_uv_may) {
        return 0;
    }
    if (s->scan.entries > 0) {
        return cut_file(f->path, s->name, s->scan.bytes, error);
    }
    int r = remove_file(f->path, s->name, error);
    return r < 0 ? r : file_sync_folder(f->path, error);
}

static int put_open_right(struct folder *f, struct error *error)
{
    int r = check_open(f, error);
    for (size_t i = 0; i < f->open.len && r == 0; i++) {
        r = cut_open(f, &f->open.items[i], error);
    }
    return r;
}

int segments_check_metadata(const char *path, struct error *error)
{
    struct folder f = {.path = path};
    int r = folder_read(&f, error);
    if (r == 0) {
        r = check_metadata(&f, error);
    }
    folder_release(&f);
    return r;
}

int segments_prepare(const char *path, struct error *error)
{
    struct folder f = {.path = path};
    int r = folder_read(&f, error);
    if (r == 0) {
        r = finish_install(&f, error);
    }
    if (r == 0) {
        r = check_closed(&f, error);
    }
    if (r == 0) {
        r = put_open_right(&f, error);
    }
    folder_release(&f);
    return r;
}

int segments_reach(const char *path, uint64_t index, bool *ret, struct error *error)
{
    struct folder f = {.path = path};
    int r = folder_read(&f, error);
    bool reach = false;
    for (size_t i = 0; i < f.closed.len; i++) {
        reach = reach || f.closed.items[i].last >= index;
    }
    folder_release(&f);
    if (r == 0) {
        *ret = reach;
    }
    return r;
}
