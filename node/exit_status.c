#include "node/exit_status.h"

#include <clade.h>

enum exit_status exit_status_of(int code)
{
    switch (code) {
    case CLADE_ERR_INVALID:
        return EXIT_USAGE;
    case CLADE_ERR_CORRUPT:
    case CLADE_ERR_CONFLICT:
    case CLADE_ERR_UNSUPPORTED:
        return EXIT_UNFIT;
    default:
        return EXIT_FAILED;
    }
}
