#pragma once
/* The settings file: YAML, flat, unknown keys are errors.
 *
 *     endpoints: 10.0.0.1:7400,10.0.0.2:7400
 *     namespace: team/vision
 */
#include "base/error.h"

/* Each as the user wrote it; NULL where the file does not say. */
struct config_file {
    char *endpoints;
    char *namespace_path;
    char *write;
    char *consistency;
    char *timeout;
    char *user;
    char *color;
};

/* Reads `path`. Returns 0; CLADE_ERR_NOT_FOUND when there is no such file; CLADE_ERR_INVALID,
 * naming the file and what is wrong in it. On success *ret_config is freed with
 * config_file_free. */
int config_file_load(const char *path, struct config_file **ret_config, struct error *error);
void config_file_free(struct config_file *config);
