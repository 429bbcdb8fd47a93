#include "compact_fixture.h"

#define MINUTE_US ((uint64_t)60 * 1000000)

void pass_minutes(struct fixture *f, unsigned minutes)
{
    f->stamp_us += minutes * MINUTE_US;
}

bool compact_some(struct fixture *f, unsigned changes_max)
{
    struct store_position position;
    bool more;
    struct store_digest before = store_digest_current(f->store);
    assert_int_equal(apply_begin(f->apply, &f->error), 0);
    if (apply_compact(f->apply, changes_max, &more, &f->error) != 0) {
        fail_msg("%s", f->error.message);
    }
    assert_int_equal(apply_commit(f->apply, &position, &f->error), 0);
    assert_true(digests_equal(before, store_digest_current(f->store)));
    assert_int_equal(more, store_has_past(f->store));
    return more;
}

void compact_all(struct fixture *f)
{
    while (compact_some(f, ALL)) {
    }
}
