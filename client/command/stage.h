#pragma once
/* The stages that a namespace gives its versions, as its field `stages` has them: on the wire an
 * array of {"name", "multiple"?, "in_use"?}, stored as a byte of flags (1 multiple, 2 in use), a
 * byte of length and the name for each.
 *
 * STAGE_NONE is where a version is that has no stage. It need not be listed, takes any number of
 * versions and is never in use. */
#include "base/arena.h"
#include "base/error.h"
#include "command/value.h"

#define STAGE_NONE "none"

struct stage {
    struct span name;
    bool multiple; /* more than one version of a model may be in it */
    bool in_use;   /* a version in it is not deleted */
};

/* The list of a namespace that neither has one nor inherits one. */
extern const struct stage stages_default[];
extern const size_t stages_default_len;

/* Checks what a client wrote and packs it, in the arena. CLADE_ERR_INVALID, _LIMIT, _NO_MEMORY. */
int stages_pack(const struct value *list,
                struct arena *arena,
                struct span *ret,
                struct error *error);
/* Takes the first stage off; false when there is none, or when the bytes are damaged. */
bool stages_next(struct span *packed, struct stage *ret);
