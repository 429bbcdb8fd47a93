/* A data.mdb of another member: the input is what to write over a sound one. What the check lets
 * pass, LMDB opens, reads and writes without an assertion or a fault. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/file.h"
#include "command/value.h"
#include "storage/apply.h"
#include "storage/copy.h"
#include "storage/data_file.h"

#define MAP_BYTES      ((uint64_t)64 << 20)
#define PAGE           4096
#define THINGS         150
#define LONG_BYTES     6000
#define PATCH_BYTES    4 /* u16 page, u16 offset and how many bytes follow: 12 and 4 bits */
#define PATCH_DATA_MAX 16

static char folder[] = "/tmp/clade-fuzz-XXXXXX";
static char file[64];
static int fd;
static uint8_t *sound;
static size_t sound_bytes;
static uint64_t last; /* index */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_texts(struct buffer *b, const char *const *texts, unsigned n)
{
    value_put_map(b, n / 2);
    for (unsigned i = 0; i < n; i++) {
        value_put_str(b, texts[i]);
    }
}

/* A thing, and two edges between it and the first one, so that some keys have many values. */
static void put_command(struct buffer *b, uint64_t index)
{
    static char text[LONG_BYTES];
    char name[32];
    (void)snprintf(name, sizeof name, "a%llu", (unsigned long long)index);
    memset(text, 'x', sizeof text - 1);
    const char *description = text + (index % 10 == 0 ? 0 : sizeof text - 40);
    const char *const create[] = {"op",   "create", "kind",        "artifact",
                                  "name", name,     "description", description};
    const char *const out[] = {"op", "link", "from", "$0", "label", "l", "to", "artifact/a1"};
    const char *const in[] = {"op", "link", "from", "artifact/a1", "label", "m", "to", "$0"};
    value_put_map(b, 2);
    value_put_str(b, "v");
    value_put_int(b, 1);
    value_put_str(b, "ops");
    value_put_array(b, index == 1 ? 1 : 3);
    put_texts(b, create, 8);
    if (index > 1) {
        put_texts(b, out, 8);
        put_texts(b, in, 8);
    }
}

static void on_result(void *arg, const struct apply_result *result)
{
    *(int *)arg = result->code;
}

/* One transaction; 0, or what came of it. */
static int write_one(struct apply *a, uint64_t index)
{
    struct buffer command;
    struct buffer entry;
    buffer_init(&command, 1 << 20);
    buffer_init(&entry, ENTRY_BYTES_MAX);
    put_command(&command, index);
    const struct item item = {.kind = ITEM_TXN,
                              .id = {.node = 1, .boot = 1, .counter = index},
                              .command = buffer_span(&command)};
    const struct entry_header header = {
        .level = SEMANTICS_LEVEL, .items = 1, .stamp_us = index * 1000};
    entry_begin(&entry);
    item_encode(&entry, &item);
    entry_end(&entry, &header);
    CHECK(!command.failed && !entry.failed);
    int refused = 0;
    struct store_position p;
    int rc = apply_begin(a, NULL);
    if (rc == 0) {
        rc = apply_entry(a, index - 1, index, buffer_span(&entry), on_result, &refused, NULL);
        rc = rc == 0 ? apply_commit(a, &p, NULL) : rc;
        if (rc != 0) {
            apply_abort(a);
        }
    }
    buffer_release(&command);
    buffer_release(&entry);
    return rc != 0 ? rc : refused;
}

static int write_to_store(uint64_t first, uint64_t end)
{
    struct error error;
    struct store *store;
    struct apply *a;
    const struct store_options options = {.path = folder, .map_bytes = MAP_BYTES, .no_sync = true};
    int rc = store_open(&options, &store, &error);
    if (rc != 0) {
        return rc;
    }
    CHECK(apply_new(store, &a, &error) == 0);
    for (uint64_t i = first; i <= end && rc == 0; i++) {
        rc = write_one(a, i);
    }
    apply_free(a);
    store_close(store);
    return rc;
}

static void clean_up(void)
{
    char lock[80];
    (void)snprintf(lock, sizeof lock, "%s/lock.mdb", folder);
    (void)unlink(file);
    (void)unlink(lock);
    (void)rmdir(folder);
}

static void make_sound(void)
{
    struct stat st;
    CHECK(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
    (void)snprintf(file, sizeof file, "%s/data.mdb", folder);
    last = THINGS;
    CHECK(write_to_store(1, last) == 0);
    fd = open(file, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    sound_bytes = (size_t)st.st_size;
    sound = malloc(sound_bytes);
    CHECK(sound != NULL && pread(fd, sound, sound_bytes, 0) == st.st_size);
    CHECK(data_file_check(fd, NULL, NULL, NULL) == 0);
}

/* Writes the input's patches, or what was there before them. */
static void patch(struct span input, bool back)
{
    while (input.len > PATCH_BYTES) {
        size_t page = get_u16le(input.data) % (sound_bytes / PAGE);
        uint16_t where = get_u16le(input.data + 2);
        size_t at = page * PAGE + where / PATCH_DATA_MAX;
        size_t len = where % PATCH_DATA_MAX + 1u;
        input = span_skip(input, PATCH_BYTES);
        len = len < input.len ? len : input.len;
        len = len < sound_bytes - at ? len : sound_bytes - at;
        const uint8_t *bytes = back ? sound + at : input.data;
        CHECK(file_write_all(fd, at, span_make(bytes, len)));
        input = span_skip(input, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sound == NULL) {
        make_sound();
    }
    struct span input = span_make(data, size);
    patch(input, false);
    int rc = data_file_check(fd, NULL, NULL, NULL);
    CHECK(rc == 0 || rc == CLADE_ERR_CORRUPT || rc == CLADE_ERR_UNSUPPORTED ||
          rc == CLADE_ERR_NO_MEMORY);
    if (rc != 0) {
        patch(input, true);
        return 0;
    }
    struct store_copy_info info;
    (void)store_copy_check(folder, MAP_BYTES, NULL, NULL, &info, NULL);
    (void)write_to_store(last + 1, last + 20);
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(file_write_all(fd, 0, span_make(sound, sound_bytes)));
    return 0;
}
