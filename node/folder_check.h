#pragma once
/* `claded check`: all of a stopped node's folder. */
#include "node/config.h"

/* Checks identity and stamps, the store (each page, each row, both sums), the log with its marks as
 * a start does, that the store reaches the log, and the archive; prints a line for each that is
 * sound. Damage in the archive, which is for others, is told and is no error. `progress` is told
 * of pages, then of rows; what it returns is not false. */
int folder_check(const struct config *config,
                 bool (*progress)(uint64_t n, void *arg),
                 struct error *error);
