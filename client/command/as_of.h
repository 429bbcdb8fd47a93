#pragma once
/* A point in the store's history, as reads and the operation `compact` name it. */
#include <stdint.h>

struct query_as_of {
    enum { AS_OF_NOW, AS_OF_REVISION, AS_OF_TIME } form;
    uint64_t revision; /* AS_OF_REVISION */
    uint64_t time_us;  /* AS_OF_TIME: the last revision stamped at or before it */
};
