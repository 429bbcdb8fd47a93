#include "node/advice.h"

#include <clade.h>

const char *advice_for(int code)
{
    switch (code) {
    case CLADE_ERR_CORRUPT:
        return "rebuild this node as a new member (runbook: damaged node)";
    case CLADE_ERR_UNSUPPORTED:
        return "use a claded that knows this format; where none was in use, the file is damaged "
               "(runbook: damaged node)";
    case CLADE_ERR_IO:
        return "look at the disk, then start the node again (runbook: failing disk)";
    case CLADE_ERR_NO_SPACE:
        return "make room, then start the node again (runbook: disk full)";
    default:
        return "";
    }
}
