#pragma once
/* The network between the simulated nodes: it delays, loses, doubles and reorders, and cuts links
 * one way. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "tests/sim/random.h"

#define SIM_NODES_MAX 9

struct sim_mail {
    uint64_t due_us;
    uint64_t order; /* of equal times the one that was sent first */
    uint64_t from;
    uint64_t to;
    uint64_t boot; /* of the receiver; a restart loses what was on its way */
    size_t len;
    uint8_t *bytes; /* owned */
};

struct sim_network_faults {
    unsigned lose_per_thousand;
    unsigned double_per_thousand;
    uint64_t delay_us_max;
};

struct sim_network {
    struct sim_random *random;
    struct sim_network_faults faults;
    bool cut[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1]; /* [from][to], by id */
    struct sim_mail *mail;                          /* a heap by (due_us, order) */
    size_t mail_len;
    size_t mail_cap;
    uint64_t order;
};

void network_init(struct sim_network *n, struct sim_random *random);
void network_release(struct sim_network *n);
/* No link is cut, nothing is lost. */
void network_heal(struct sim_network *n);
/* Sends a copy of the message at `now_us`, or loses it. */
void network_send(struct sim_network *n,
                  uint64_t now_us,
                  uint64_t from,
                  uint64_t to,
                  uint64_t boot,
                  struct span message);
/* When the next message arrives; UINT64_MAX when none is on its way. */
uint64_t network_next_us(const struct sim_network *n);
/* Takes it; its bytes are the caller's to free. */
struct sim_mail network_take(struct sim_network *n);
/* Gives back a message that could not be delivered yet. */
void network_put(struct sim_network *n, struct sim_mail mail);
