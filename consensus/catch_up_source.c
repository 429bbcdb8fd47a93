#include "consensus/catch_up_internal.h"

#define STALL_TIMEOUTS     5
#define EXCUSE_STALLS      6
#define BACKOFF_US_MAX     30000000u
#define SUSPECT_US         600000000u
#define NOTICE_INTERVAL_US 60000000u

static const char *const causes[CAUSE_COUNT] = {
    [CAUSE_STALL] = "catching up: a member does not answer; another one is asked",
    [CAUSE_CHECKSUM] = "catching up: a member sent bytes that do not match their checksum; another "
                       "one is asked",
    [CAUSE_CONTRADICTION] = "catching up: a member's answer makes no sense; another one is asked",
    [CAUSE_COPY] = "catching up: a copy of a member's store is not what it should be, and is "
                   "thrown away",
    [CAUSE_SPACE] = "catching up: there is no room for a copy of the store; waiting for some "
                    "(runbook: disk full)",
    [CAUSE_DISK] = "catching up: the copy in store/incoming cannot be written or checked; trying "
                   "again (runbook: failing disk)",
    [CAUSE_NOBODY] = "catching up: no member has what this node lacks; trying again"};

void catch_up_notice(struct catch_up *c, enum catch_up_cause cause, uint64_t member)
{
    uint64_t now = catch_up_now(c);
    if (c->noticed_us[cause] != 0 && now - c->noticed_us[cause] < NOTICE_INTERVAL_US) {
        return;
    }
    c->noticed_us[cause] = now + (now == 0);
    if (c->options.callbacks.on_notice != NULL) {
        c->options.callbacks.on_notice(c->options.arg, causes[cause], member);
    }
}

void catch_up_back_off(struct catch_up *c)
{
    c->hold_us = catch_up_now(c) + c->backoff_us;
    c->backoff_us = c->backoff_us * 2 > BACKOFF_US_MAX ? BACKOFF_US_MAX : c->backoff_us * 2;
}

/* --- whom --- */

static struct catch_up_source *find(struct catch_up *c, uint64_t id)
{
    for (size_t i = 0; i < c->sources_len; i++) {
        if (c->sources[i].id == id) {
            return &c->sources[i];
        }
    }
    return NULL;
}

void catch_up_leave_source(struct catch_up *c)
{
    c->source = 0;
    c->ask = (struct catch_up_ask){0};
}

void catch_up_suspect_source(struct catch_up *c, enum catch_up_cause cause)
{
    struct catch_up_source *s = find(c, c->source);
    c->refused++;
    catch_up_notice(c, cause, c->source);
    if (s != NULL) {
        s->suspect_us = catch_up_now(c) + SUSPECT_US;
    }
}

void catch_up_begin_round(struct catch_up *c)
{
    catch_up_leave_source(c);
    for (size_t i = 0; i < c->sources_len; i++) {
        c->sources[i].asked = false;
    }
}

static void take(struct catch_up *c, struct catch_up_source *s)
{
    s->asked = true;
    c->source = s->id;
    c->ask = (struct catch_up_ask){0};
    c->useful_us = catch_up_now(c);
    c->excused_us = 0;
}

bool catch_up_take_source(struct catch_up *c)
{
    struct catch_up_source *best = NULL;
    for (size_t i = 0; i < c->sources_len; i++) {
        struct catch_up_source *s = &c->sources[i];
        bool suspect = s->suspect_us > catch_up_now(c);
        if (!s->asked && (best == NULL || (!suspect && best->suspect_us > catch_up_now(c)))) {
            best = s;
        }
    }
    if (best != NULL) {
        take(c, best);
    }
    return best != NULL;
}

bool catch_up_take_source_of(struct catch_up *c, uint64_t id)
{
    struct catch_up_source *s = find(c, id);
    if (s != NULL) {
        take(c, s);
    }
    return s != NULL;
}

void catch_up_set_sources(struct catch_up *c, const uint64_t *ids, size_t n)
{
    struct catch_up_source sources[CATCH_UP_SOURCES_MAX];
    n = n > CATCH_UP_SOURCES_MAX ? CATCH_UP_SOURCES_MAX : n;
    for (size_t i = 0; i < n; i++) {
        const struct catch_up_source *known = find(c, ids[i]);
        sources[i] = known != NULL ? *known : (struct catch_up_source){.id = ids[i]};
    }
    if (n > 0) {
        memcpy(c->sources, sources, n * sizeof *sources);
        c->sources_len = n;
    }
}

/* --- when --- */

void catch_up_send(struct catch_up *c, struct fetch *f, struct catch_up_ask *ask)
{
    ask->number = ask->number != 0 ? ask->number : ++c->numbers;
    ask->wait_us = ask->wait_us == 0 ? c->options.timeout_us : 2 * ask->wait_us;
    ask->due_us = catch_up_now(c) + ask->wait_us;
    f->boot = c->options.boot;
    f->number = ask->number;
    buffer_clear(&c->scratch);
    fetch_encode(&c->scratch, f);
    c->options.callbacks.send(c->options.arg, c->source, buffer_span(&c->scratch));
}

bool catch_up_is_late(const struct catch_up *c, const struct catch_up_ask *ask)
{
    return catch_up_now(c) >= ask->due_us;
}

/* A source that says that it will answer later is waited for longer, but not for ever. */
uint64_t catch_up_stall_us(const struct catch_up *c)
{
    uint64_t stall = STALL_TIMEOUTS * c->options.timeout_us;
    uint64_t end = c->useful_us + stall;
    if (c->excused_us + stall > end) {
        end = c->excused_us + stall;
    }
    uint64_t last = c->useful_us + EXCUSE_STALLS * stall;
    return end < last ? end : last;
}
