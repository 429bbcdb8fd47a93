#pragma once
/* What the kernel says of this process. */
#include <stdint.h>

struct process_figures {
    int64_t cpu_us; /* user and system */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
};

/* What cannot be read is 0. Any thread. */
void process_look(struct process_figures *ret);
