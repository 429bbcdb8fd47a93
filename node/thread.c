#include "node/thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <clade.h>

/* Address space, not memory: only the pages that a thread touches count. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES (8U << 20)
#else
#define STACK_BYTES (1U << 20)
#endif

struct start {
    char name[16];
    void (*run)(void *arg);
    void *arg;
};

static void *begin(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    (void)pthread_setname_np(pthread_self(), s.name);
    s.run(s.arg);
    return NULL;
}

uint64_t thread_cpu_us(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int thread_start(pthread_t *ret, const char *name, void (*run)(void *arg), void *arg)
{
    struct start *s = malloc(sizeof *s);
    pthread_attr_t attr;
    if (s == NULL || pthread_attr_init(&attr) != 0) {
        free(s);
        return CLADE_ERR_NO_MEMORY;
    }
    *s = (struct start){.run = run, .arg = arg};
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* inherited by the new thread */
    int e = pthread_create(ret, &attr, begin, s);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    if (e != 0) {
        free(s);
        return CLADE_ERR_NO_MEMORY;
    }
    return 0;
}
