#include "tests/sim/promises.h"

#include <stdlib.h>

#include "base/check.h"

#define TIMES_NEAR 256 /* neighbours that a time is compared with, at most */

void promises_init(struct promises *p, struct world *w)
{
    p->world = w;
    p->acknowledged = malloc(REVISIONS_MAX * sizeof *p->acknowledged);
    CHECK(p->acknowledged != NULL);
    p->acknowledged[p->acknowledged_len++] = (struct acknowledged){0};
    for (unsigned i = 0; i < REGISTERS; i++) {
        p->registers[i].writes = malloc(FACTS_MAX * sizeof(struct fact));
        p->registers[i].reads = malloc(FACTS_MAX * sizeof(struct fact));
        CHECK(p->registers[i].writes != NULL && p->registers[i].reads != NULL);
    }
}

void promises_release(struct promises *p)
{
    for (unsigned i = 0; i < REGISTERS; i++) {
        free(p->registers[i].writes);
        free(p->registers[i].reads);
    }
    free(p->acknowledged);
}

void promises_note(struct promises *p, uint64_t revision)
{
    struct acknowledged *last = &p->acknowledged[p->acknowledged_len - 1];
    if (revision <= last->revision) {
        return;
    }
    CHECK(p->acknowledged_len < REVISIONS_MAX);
    p->acknowledged[p->acknowledged_len++] =
        (struct acknowledged){.at_us = p->world->now_us, .revision = revision};
}

uint64_t promises_floor(const struct promises *p, uint64_t at_us)
{
    size_t low = 0; /* was told by then; always one */
    size_t high = p->acknowledged_len;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (p->acknowledged[middle].at_us <= at_us) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return p->acknowledged[low].revision;
}

void promises_note_time(struct promises *p, uint64_t revision, uint64_t time_us)
{
    CHECK(revision < REVISIONS_MAX);
    bool good = p->time_of[revision] == 0 || p->time_of[revision] == time_us;
    uint64_t r = revision;
    for (unsigned i = 0; i < TIMES_NEAR && r > 0 && p->time_of[--r] == 0; i++) {
    }
    good = good && (p->time_of[r] == 0 || r == revision || p->time_of[r] < time_us);
    r = revision;
    for (unsigned i = 0; i < TIMES_NEAR && r + 1 < REVISIONS_MAX && p->time_of[++r] == 0; i++) {
    }
    good = good && (p->time_of[r] == 0 || r == revision || p->time_of[r] > time_us);
    if (!good) {
        world_fail(p->world, "store time does not rise with revisions around %llu",
                   (unsigned long long)revision);
    }
    p->time_of[revision] = time_us;
}

/* A read of revision R that shows the register as of revision `changed` contradicts a write in
 * between, and one at `changed` of another value. */
static void compare(struct promises *p,
                    unsigned reg,
                    const struct fact *write,
                    const struct fact *read)
{
    bool missed = write->revision > read->changed && write->revision <= read->revision;
    bool differs = write->revision == read->changed && write->value != read->value;
    if (missed || differs) {
        world_fail(p->world,
                   "register %u: %llu was written at revision %llu; a read of revision %llu shows "
                   "%llu of revision %llu",
                   reg, (unsigned long long)write->value, (unsigned long long)write->revision,
                   (unsigned long long)read->revision, (unsigned long long)read->value,
                   (unsigned long long)read->changed);
    }
}

void promises_note_write(struct promises *p, unsigned reg, uint64_t revision, uint64_t value)
{
    struct sim_register *r = &p->registers[reg];
    const struct fact write = {.revision = revision, .value = value};
    for (size_t i = 0; i < r->reads_len; i++) {
        compare(p, reg, &write, &r->reads[i]);
    }
    if (r->writes_len < FACTS_MAX) {
        r->writes[r->writes_len++] = write;
    }
}

void promises_note_read(struct promises *p, unsigned reg, const struct fact *read)
{
    struct sim_register *r = &p->registers[reg];
    for (size_t i = 0; i < r->writes_len; i++) {
        compare(p, reg, &r->writes[i], read);
    }
    if (r->reads_len < FACTS_MAX) {
        r->reads[r->reads_len++] = *read;
    }
}

unsigned promises_check_histories(struct promises *p)
{
    unsigned undecided = 0;
    for (unsigned i = 0; i < REGISTERS; i++) {
        enum history_verdict v = history_check(&p->registers[i].history, 0);
        if (v == HISTORY_BAD) {
            world_fail(p->world, "the history of register %u is not linearizable", i);
        }
        undecided += v == HISTORY_UNDECIDED;
    }
    return undecided;
}
