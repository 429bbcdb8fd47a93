#pragma once
/* Shared by config.c and config_file.c alone. */
#include "node/config.h"

/* "listen" as the file writes it. */
const char *option_key(enum option_id id);
/* OPTION_COUNT when there is none. */
enum option_id option_by_key(struct span key);
