#pragma once
/* What the files of catch_up share: catch_up.c is the machine and its archive phase,
 * catch_up_copy.c the phases of a copy, catch_up_source.c whom to ask, and when. */
#include "consensus/catch_up.h"
#include "consensus/incoming.h"
#include "consensus/supply_wire.h"

#define CATCH_UP_WINDOW_MAX     16
#define CATCH_UP_BACKOFF_US_MIN 1000000u

enum catch_up_cause {
    CAUSE_STALL,
    CAUSE_CHECKSUM,
    CAUSE_CONTRADICTION,
    CAUSE_COPY,
    CAUSE_SPACE,
    CAUSE_DISK,
    CAUSE_NOBODY,
    CAUSE_COUNT
};

/* A fetch under way. Sent again, each time after twice as long, it keeps its number: a late answer
 * to the first is one. */
struct catch_up_ask {
    uint64_t number; /* 0 = none */
    uint64_t wait_us;
    uint64_t due_us; /* when it is sent again */
    uint64_t after;  /* ARCHIVE */
};

/* A chunk that was asked for; len 0 = none. */
struct catch_up_slot {
    struct catch_up_ask ask;
    uint64_t offset;
    uint32_t len;
};

struct catch_up_source {
    uint64_t id;
    uint64_t suspect_us; /* until then others are asked before it */
    bool asked;          /* in this round */
};

struct catch_up {
    struct catch_up_options options;
    enum catch_up_state state;
    uint64_t target;
    struct catch_up_source sources[CATCH_UP_SOURCES_MAX];
    size_t sources_len;
    uint64_t source;     /* that is asked now; 0 = none */
    bool compacted;      /* in this round one said that its archive does not reach back */
    bool moved;          /* in this round one had something */
    uint64_t hold_us;    /* nothing is asked before this */
    uint64_t useful_us;  /* when the present source last gave something, or was taken */
    uint64_t excused_us; /* when it last said that it will, later */
    uint64_t backoff_us;
    uint64_t numbers;
    struct catch_up_ask ask; /* ARCHIVE, OPENING */
    uint64_t resume;         /* OPENING: the copy to go on with; 0 = a new one */
    struct incoming incoming;
    struct catch_up_slot slots[CATCH_UP_WINDOW_MAX];
    uint64_t next_offset; /* of the next chunk to ask for */
    uint64_t copies;
    uint64_t refused;
    uint64_t dropped;
    uint64_t noticed_us[CAUSE_COUNT];
    struct buffer scratch;
};

uint64_t catch_up_now(const struct catch_up *c);
void catch_up_move(struct catch_up *c, enum catch_up_state to);
/* The last index that the store has, or will have of what is queued. */
uint64_t catch_up_position(const struct catch_up *c);
void catch_up_begin_archive(struct catch_up *c);

/* --- catch_up_source.c --- */

void catch_up_notice(struct catch_up *c, enum catch_up_cause cause, uint64_t member);
/* Nothing is asked for a while, longer each time. */
void catch_up_back_off(struct catch_up *c);
/* All may be asked again; nobody is. */
void catch_up_begin_round(struct catch_up *c);
/* Takes the best of those that were not asked in this round; false when there is none. */
bool catch_up_take_source(struct catch_up *c);
/* Takes this one, if it is one of them. */
bool catch_up_take_source_of(struct catch_up *c, uint64_t id);
/* The present source is not asked any more; it gave what it should not have. */
void catch_up_leave_source(struct catch_up *c);
void catch_up_suspect_source(struct catch_up *c, enum catch_up_cause cause);
void catch_up_set_sources(struct catch_up *c, const uint64_t *ids, size_t n);
/* Sends a fetch to the present source, for the first time or again. */
void catch_up_send(struct catch_up *c, struct fetch *f, struct catch_up_ask *ask);
bool catch_up_is_late(const struct catch_up *c, const struct catch_up_ask *ask);
/* When the present source will have given nothing of use for too long. */
uint64_t catch_up_stall_us(const struct catch_up *c);

/* --- catch_up_copy.c --- */

void catch_up_begin_copy(struct catch_up *c);
uint64_t catch_up_step_opening(struct catch_up *c);
uint64_t catch_up_step_copying(struct catch_up *c);
uint64_t catch_up_step_checking(struct catch_up *c);
void catch_up_on_opened(struct catch_up *c, const struct supply *s);
/* False: no such chunk is asked for. */
bool catch_up_on_chunk(struct catch_up *c, const struct supply *s);
/* Bytes of the copy that are written, from its front on. */
uint64_t catch_up_written(const struct catch_up *c);
