#pragma once
/* What apply answers to the requests of one serving thread: one letter a batch. */
#include "node/mailbox.h"
#include "storage/apply.h"

struct answers {
    struct mail mail;
    struct buffer bytes; /* of struct answer_record, each with its body behind it */
};

struct answer_record {
    uint64_t key;
    uint64_t revision;
    uint64_t time_us;
    uint64_t session;
    int32_t code;
    uint32_t body_len; /* then so many bytes */
};

struct answers *answers_new(void); /* NULL when memory is out */
void answers_free(struct answers *a);
/* Copies the result. One that does not fit is lost: its client learns UNKNOWN at its deadline. */
void answers_add(struct answers *a, const struct apply_result *result);
/* Takes the next record off `rest`; false at the end. */
bool answers_next(struct span *rest, struct answer_record *ret, struct span *ret_body);
