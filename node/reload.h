#pragma once
/* SIGHUP: the settings are read again from where they came from, and what may change without a
 * restart (option_reloads) changes. On the main thread. */
#include "node/node.h"

/* The settings that a node runs with, in its data folder, for claded check-config --data. */
#define RELOAD_RUNNING_NAME "settings.yaml"

/* All or nothing: one wrong setting, and all stay as they are. Says in the log what changed, what
 * waits for a restart, and what was wrong. */
void reload(struct node *n);
/* Writes RELOAD_RUNNING_NAME; where that fails it is only logged. */
void reload_write_running(const struct node *n);
