#pragma once
/* Threads with a name, a small stack and signals blocked: signals are the main thread's. */
#include <pthread.h>
#include <stdint.h>

/* Microseconds of a processor that the calling thread has taken. */
uint64_t thread_cpu_us(void);
/* 0 or CLADE_ERR_NO_MEMORY. `name` has at most 15 bytes. */
int thread_start(pthread_t *ret, const char *name, void (*run)(void *arg), void *arg);
