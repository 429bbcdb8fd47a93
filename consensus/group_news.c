#include <stdlib.h>

#include "consensus/group_internal.h"

/* What members tell each other once a second, and on a tick when there is news: how far they have
 * published, their clock, and their digests at the newest sampled index. */

const struct member_news *group_news_of(const struct group *g, uint64_t id)
{
    for (size_t i = 0; i < GROUP_MEMBERS_MAX; i++) {
        if (g->news[i].id == id) {
            return &g->news[i];
        }
    }
    return NULL;
}

/* --- clocks --- */

static int compare_offsets(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Median of the members' clocks against ours, ours among them; of an even number the one nearer
 * to ours. */
static int64_t median_offset(struct group *g)
{
    int64_t offsets[GROUP_MEMBERS_MAX + 1] = {0};
    size_t n = 1;
    uint64_t now = group_now(g);
    for (size_t i = 0; i < GROUP_MEMBERS_MAX; i++) {
        const struct member_news *m = &g->news[i];
        if (m->id != 0 && now - m->heard_us < GROUP_HEARD_US) {
            offsets[n++] = m->clock_offset_us;
        }
    }
    qsort(offsets, n, sizeof offsets[0], compare_offsets);
    int64_t high = offsets[n / 2];
    int64_t low = offsets[(n - 1) / 2];
    return llabs(low) < llabs(high) ? low : high;
}

uint64_t group_stamp(struct group *g)
{
    uint64_t wall = clock_wall_us(g->options.clock);
    int64_t offset = median_offset(g);
    bool far = llabs(offset) > GROUP_CLOCK_OFFSET_MAX_US;
    if (far != g->clock_alarm) {
        g->clock_alarm = far;
        group_notice(
            g, far,
            far ? "this leader's clock is far from its peers'; stamping their median (runbook: "
                  "clock off)"
                : "this leader's clock is near its peers' again",
            0);
    }
    return far ? wall + (uint64_t)offset : wall;
}

/* --- digests --- */

static void remember(struct digest_samples *s, const struct digest_sample *sample)
{
    s->ring[s->next] = *sample;
    s->next = (s->next + 1) % GROUP_SAMPLES;
}

static const struct digest_sample *sample_at(const struct digest_samples *s, uint64_t index)
{
    for (size_t i = 0; i < GROUP_SAMPLES; i++) {
        if (s->ring[i].index == index) {
            return &s->ring[i];
        }
    }
    return NULL;
}

static bool samples_equal(const struct digest_sample *a, const struct digest_sample *b)
{
    return hash128_equal(a->data, b->data) && hash128_equal(a->state, b->state);
}

/* How many other members have, at that index, the digests of `like`. */
static unsigned count_like(struct group *g, uint64_t index, const struct digest_sample *like)
{
    unsigned n = 0;
    for (size_t i = 0; i < GROUP_MEMBERS_MAX; i++) {
        const struct digest_sample *s =
            g->news[i].id == 0 ? NULL : sample_at(&g->news[i].samples, index);
        n += s != NULL && samples_equal(s, like);
    }
    return n;
}

/* A member against which a strict majority agrees stops: its answers can not be trusted. */
static void compare(struct group *g, uint64_t index)
{
    const struct digest_sample *own = sample_at(&g->samples, index);
    if (own == NULL) {
        return;
    }
    for (size_t i = 0; i < GROUP_MEMBERS_MAX; i++) {
        const struct digest_sample *other =
            g->news[i].id == 0 ? NULL : sample_at(&g->news[i].samples, index);
        if (other == NULL || samples_equal(own, other)) {
            continue;
        }
        if (count_like(g, index, other) > g->known_len / 2) {
            struct error e = {0};
            (void)error_set(&e, CLADE_ERR_CORRUPT, "store",
                            "this node's data differs from a majority's at index %llu",
                            (unsigned long long)index);
            g->options.callbacks.on_fatal(g->options.arg, &e);
            return;
        }
        if (!g->digest_alarm) {
            g->digest_alarm = true;
            group_notice(
                g, true,
                "this node's data and a member's differ at one index (runbook: damaged node)",
                g->news[i].id);
        }
    }
}

/* --- news --- */

void group_news_send(struct group *g)
{
    const struct digest_sample *last =
        &g->samples.ring[(g->samples.next + GROUP_SAMPLES - 1) % GROUP_SAMPLES];
    struct peer_news news = {.published = g->published,
                             .revision = g->revision,
                             .sample_index = last->index,
                             .data = last->data,
                             .state = last->state,
                             .wall_us = clock_wall_us(g->options.clock),
                             .copy_bytes = g->copy_bytes,
                             .copy_bytes_total = g->copy_bytes_total,
                             .room = g->room};
    for (size_t i = 0; i < g->known_len; i++) {
        if (g->known[i].id != g->options.id) {
            buffer_clear(&g->scratch);
            peer_put_news(&g->scratch, &news);
            group_send_scratch(g, g->known[i].id);
        }
    }
    g->news_sent_us = group_now(g);
    g->news_published = g->published;
}

static struct member_news *slot_for(struct group *g, uint64_t id)
{
    struct member_news *empty = NULL;
    for (size_t i = 0; i < GROUP_MEMBERS_MAX; i++) {
        if (g->news[i].id == id) {
            return &g->news[i];
        }
        if (empty == NULL && (g->news[i].id == 0 || group_known(g, g->news[i].id) == NULL)) {
            empty = &g->news[i];
        }
    }
    if (empty != NULL) {
        *empty = (struct member_news){.id = id};
    }
    return empty;
}

void group_news_receive(struct group *g, uint64_t from, const struct peer_news *news)
{
    struct member_news *m = group_known(g, from) == NULL ? NULL : slot_for(g, from);
    if (m == NULL) {
        return;
    }
    m->heard_us = group_now(g);
    m->clock_offset_us = (int64_t)(news->wall_us - clock_wall_us(g->options.clock));
    m->news = *news;
    if (news->sample_index != 0 && sample_at(&m->samples, news->sample_index) == NULL) {
        remember(&m->samples, &(struct digest_sample){.index = news->sample_index,
                                                      .data = news->data,
                                                      .state = news->state});
        compare(g, news->sample_index);
    }
}

void group_set_published(struct group *g,
                         uint64_t index,
                         uint64_t revision,
                         uint64_t sample_index,
                         struct hash128 data,
                         struct hash128 state)
{
    g->published = index;
    g->revision = revision;
    if (sample_index != 0 && sample_at(&g->samples, sample_index) == NULL) {
        remember(&g->samples,
                 &(struct digest_sample){.index = sample_index, .data = data, .state = state});
        compare(g, sample_index);
        group_news_send(g);
    }
    group_wake(g);
}

void group_set_copied(struct group *g, uint64_t bytes, uint64_t bytes_total)
{
    g->copy_bytes = bytes;
    g->copy_bytes_total = bytes_total;
}

void group_news_tick(struct group *g)
{
    if (g->published != g->news_published ||
        group_now(g) - g->news_sent_us >= GROUP_NEWS_INTERVAL_US) {
        group_news_send(g);
    }
}
