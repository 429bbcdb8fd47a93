#include "cli/verdict.h"

static bool counts(const struct replica *r)
{
    return r->answered && r->is_sound;
}

static bool agree(const struct replica *a, const struct replica *b)
{
    return hash128_equal(a->data, b->data) && hash128_equal(a->state, b->state);
}

static size_t count_same(const struct replica *replicas, size_t len, const struct replica *as)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        n += counts(&replicas[i]) && agree(&replicas[i], as);
    }
    return n;
}

enum outcome verdict_of(struct replica *replicas, size_t len, size_t *ret_agree)
{
    const struct replica *most = NULL;
    size_t best = 0;
    size_t answered = 0;
    for (size_t i = 0; i < len; i++) {
        size_t n = counts(&replicas[i]) ? count_same(replicas, len, &replicas[i]) : 0;
        answered += replicas[i].answered;
        if (n > best) {
            best = n;
            most = &replicas[i];
        }
    }
    bool decided = 2 * best > len || (best == answered && best > 0);
    for (size_t i = 0; i < len; i++) {
        struct replica *r = &replicas[i];
        if (!r->answered) {
            r->verdict = VERDICT_NO_ANSWER;
        } else if (!r->is_sound) {
            r->verdict = VERDICT_DAMAGED;
        } else if (!decided) {
            r->verdict = VERDICT_UNKNOWN;
        } else {
            r->verdict = agree(r, most) ? VERDICT_SAME : VERDICT_DIFFERS;
        }
    }
    *ret_agree = best;
    if (best == answered) {
        return best == len && len > 0 ? OUTCOME_SAME : OUTCOME_INCOMPLETE;
    }
    return 2 * best > len ? OUTCOME_DIFFERENT : OUTCOME_UNDECIDED;
}
