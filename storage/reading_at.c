/* Which revision a read is as of, and whether that can still be read. */
#include <inttypes.h>

#include "storage/floor.h"
#include "storage/reading.h"

int reading_revision(struct reading *r,
                     const struct query_as_of *as_of,
                     const char *where,
                     uint64_t *ret)
{
    *ret = r->meta.revision;
    if (as_of->form == AS_OF_TIME) {
        return lookup_revision_at(r->view, as_of->time_us, ret);
    }
    if (as_of->form == AS_OF_REVISION) {
        if (as_of->revision > r->meta.revision) {
            error_set(r->error, CLADE_ERR_INVALID, where,
                      "revision %" PRIu64 " has not been yet; the newest is %" PRIu64,
                      as_of->revision, r->meta.revision);
            r->error->revision = r->meta.revision;
            return CLADE_ERR_INVALID;
        }
        *ret = as_of->revision;
    }
    return 0;
}

int reading_check_floor(struct reading *r)
{
    return r->query->list_kind == KIND_NAMESPACE ? 0 : floor_check_namespace(r->view, r->ns);
}
