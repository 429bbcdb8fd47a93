#pragma once
/* claded check-config: what a start with these settings would say, and what a reload or a restart
 * would change. */
#include "node/config.h"

/* `c` was read and is valid by itself. Also resolves its addresses, as a start does; then compares
 * with what the file `running`, or the node of the folder `data`, has (each NULL or a path; not
 * both). Prints; returns the exit status. */
int check_config(const struct config *c, const char *running, const char *data);
