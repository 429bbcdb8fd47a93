#include "tests/sim/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define DELAY_US_MIN     50
#define DELAY_US_HEALTHY 500

void network_init(struct sim_network *n, struct sim_random *random)
{
    *n = (struct sim_network){.random = random};
    network_heal(n);
}

void network_release(struct sim_network *n)
{
    for (size_t i = 0; i < n->mail_len; i++) {
        free(n->mail[i].bytes);
    }
    free(n->mail);
}

void network_heal(struct sim_network *n)
{
    memset(n->cut, 0, sizeof n->cut);
    n->faults = (struct sim_network_faults){.delay_us_max = DELAY_US_HEALTHY};
}

static bool is_before(const struct sim_mail *a, const struct sim_mail *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

void network_put(struct sim_network *n, struct sim_mail mail)
{
    if (n->mail_len == n->mail_cap) {
        n->mail_cap = n->mail_cap == 0 ? 1024 : 2 * n->mail_cap;
        n->mail = realloc(n->mail, n->mail_cap * sizeof *n->mail);
        CHECK(n->mail != NULL);
    }
    size_t i = n->mail_len++;
    for (; i > 0 && is_before(&mail, &n->mail[(i - 1) / 2]); i = (i - 1) / 2) {
        n->mail[i] = n->mail[(i - 1) / 2];
    }
    n->mail[i] = mail;
}

struct sim_mail network_take(struct sim_network *n)
{
    struct sim_mail first = n->mail[0];
    struct sim_mail last = n->mail[--n->mail_len];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n->mail_len) {
            break;
        }
        child += child + 1 < n->mail_len && is_before(&n->mail[child + 1], &n->mail[child]);
        if (!is_before(&n->mail[child], &last)) {
            break;
        }
        n->mail[i] = n->mail[child];
        i = child;
    }
    n->mail[i] = last;
    return first;
}

static void post(struct sim_network *n, struct sim_mail mail, uint64_t now_us, struct span message)
{
    mail.due_us = now_us + DELAY_US_MIN + random_below(n->random, n->faults.delay_us_max);
    mail.order = n->order++;
    mail.len = message.len;
    mail.bytes = malloc(message.len);
    CHECK(mail.bytes != NULL);
    memcpy(mail.bytes, message.data, message.len);
    network_put(n, mail);
}

void network_send(struct sim_network *n,
                  uint64_t now_us,
                  uint64_t from,
                  uint64_t to,
                  uint64_t boot,
                  struct span message)
{
    const struct sim_mail mail = {.from = from, .to = to, .boot = boot};
    if (n->cut[from][to] || random_chance(n->random, n->faults.lose_per_thousand)) {
        return;
    }
    post(n, mail, now_us, message);
    if (random_chance(n->random, n->faults.double_per_thousand)) {
        post(n, mail, now_us, message);
    }
}

uint64_t network_next_us(const struct sim_network *n)
{
    return n->mail_len == 0 ? UINT64_MAX : n->mail[0].due_us;
}
