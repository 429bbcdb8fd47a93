#include "node/shrink.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/file.h"
#include "node/files.h"
#include "storage/shrink.h"

static int file_bytes(const char *folder, uint64_t *ret, struct error *error)
{
    char file[FILES_PATH_BYTES];
    struct stat st;
    files_join(file, folder, "data.mdb");
    if (stat(file, &st) != 0) {
        return file_error(file, "cannot be looked at", error);
    }
    *ret = (uint64_t)st.st_size;
    return 0;
}

/* Into the folder `to`, which is made. */
static int write_anew(const struct data_folder *folder,
                      const char *to,
                      uint64_t map_bytes,
                      bool (*progress)(uint64_t n, void *arg),
                      struct shrink_result *result,
                      struct error *error)
{
    const struct store_options options = {
        .path = folder->store_path, .map_bytes = map_bytes, .readers_max = 8};
    struct store_figures figures = {0};
    struct store_copy_info info;
    struct store *store;
    int r = files_make_dir(to, error);
    r = r != 0 ? r : store_open(&options, &store, error);
    if (r != 0) {
        return r;
    }
    r = store_look(store, &figures, error);
    r = r != 0 ? r : store_shrink(store, to, progress, NULL, &info, error);
    store_close(store);
    if (r == CLADE_ERR_NO_SPACE) {
        return error_wrap(error, "about %" PRIu64 " bytes must be free beside the store",
                          figures.used_bytes - figures.free_bytes);
    }
    return r != 0 ? r : file_bytes(to, &result->after_bytes, error);
}

static int adopt(struct data_folder *folder, const char *new, struct error *error)
{
    char old[sizeof folder->store_path];
    memcpy(old, folder->store_path, sizeof old);
    int r = data_folder_adopt_store(folder, new, error);
    return r != 0 ? r : data_folder_remove_store(folder, old, error);
}

int shrink_store(struct data_folder *folder,
                 uint64_t map_bytes,
                 bool (*progress)(uint64_t n, void *arg),
                 struct shrink_result *ret,
                 struct error *error)
{
    char new[FILES_PATH_BYTES];
    struct shrink_result result = {.shrunk = false};
    struct error unread;
    files_join(new, folder->store_folder, DATA_FOLDER_SHRINKING);
    int r = files_remove_dir(new, 0, error);
    r = r != 0 ? r : file_bytes(folder->store_path, &result.before_bytes, error);
    r = r != 0 ? r : write_anew(folder, new, map_bytes, progress, &result, error);
    result.shrunk = r == 0 && result.after_bytes < result.before_bytes;
    if (result.shrunk) {
        r = adopt(folder, new, error);
    }
    if (r != 0 || !result.shrunk) {
        (void)files_remove_dir(new, 0, &unread); /* else the next open does */
    }
    if (r == 0) {
        *ret = result;
    }
    return r;
}
