#pragma once
/* What the data folder is made with. Each returns 0, or what file_error (base/file.h) makes
 * of it: CLADE_ERR_NO_SPACE, _NO_MEMORY or _IO. */
#include "base/error.h"
#include "node/config.h"

#define FILES_PATH_BYTES (CONFIG_PATH_BYTES + 600)

/* "a/b" into `to`, which has FILES_PATH_BYTES. */
void files_join(char to[FILES_PATH_BYTES], const char *a, const char *b);
/* A folder that is there already is as good. */
int files_make_dir(const char *path, struct error *error);
/* Writes and syncs the file; the folder is the caller's to sync. */
int files_write_text(const char *path, const char *text, struct error *error);
/* Puts `text` in the place of folder/name, durably: whoever reads it, whenever the process or the
 * machine dies, finds the old text or the new one. A failure leaves the old one, and nothing else.
 */
int files_replace_text(const char *folder, const char *name, const char *text, struct error *error);
/* Removes what is in a folder; the folders in it `depth` levels deep. One that is not there is
 * empty. */
int files_empty_dir(const char *path, int depth, struct error *error);
/* The same with the folder itself. */
int files_remove_dir(const char *path, int depth, struct error *error);
