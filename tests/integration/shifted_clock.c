/* A wall clock that is CLOCK_SHIFT_S seconds ahead of the machine's, or behind it, for programs
 * that are started with this in LD_PRELOAD. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *ret)
{
    int r = (int)syscall(SYS_clock_gettime, id, ret);
    const char *shift = getenv("CLOCK_SHIFT_S");
    if (r == 0 && id == CLOCK_REALTIME && shift != NULL) {
        ret->tv_sec += (time_t)strtoll(shift, NULL, 10);
    }
    return r;
}
