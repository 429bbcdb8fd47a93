#include "steps.h"

void run_steps(struct fixture *f, const struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct step *s = &steps[i];
        struct store_digest before = store_digest_current(f->store);
        int code = fixture_txn(f, s->command);
        if (code != s->code || f->result.revision != s->revision) {
            char *json = json_of(buffer_span(&f->body));
            fail_msg("%s: code %d, revision %lu: %s", s->why, code, f->result.revision, json);
        }
        if (code == 0) {
            assert_body(f, s->want);
            continue;
        }
        struct store_digest after = store_digest_current(f->store);
        assert_memory_equal(&before.data, &after.data, sizeof before.data);
        const struct value *v;
        arena_reset(&f->arena);
        assert_int_equal(
            value_decode(buffer_span(&f->body), &value_limits_answer, &f->arena, &v, &f->error), 0);
        struct span where = value_string(value_get(v, "where"));
        if (!span_equal_str(where, s->want)) {
            fail_msg("%s: where %.*s", s->why, SPAN_FMT(where));
        }
    }
    struct error e = {0};
    if (store_verify(f->store, NULL, NULL, &e) != 0) {
        fail_msg("%s", e.message);
    }
}
