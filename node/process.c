#include "node/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t micros(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static void look_at_memory(struct process_figures *ret)
{
    uint64_t size;
    uint64_t resident;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL) {
        return;
    }
    if (fscanf(f, "%" SCNu64 " %" SCNu64, &size, &resident) == 2) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        ret->virtual_bytes = size * page;
        ret->resident_bytes = resident * page;
    }
    (void)fclose(f);
}

static void look_at_descriptors(struct process_figures *ret)
{
    DIR *d = opendir("/proc/self/fd");
    if (d == NULL) {
        return;
    }
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        ret->open_fds += e->d_name[0] != '.';
    }
    ret->open_fds -= ret->open_fds > 0; /* the one that reads */
    (void)closedir(d);
}

void process_look(struct process_figures *ret)
{
    struct rusage usage;
    struct rlimit limit;
    memset(ret, 0, sizeof *ret);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        ret->cpu_us = micros(usage.ru_utime) + micros(usage.ru_stime);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        ret->max_fds = limit.rlim_cur;
    }
    look_at_memory(ret);
    look_at_descriptors(ret);
}
