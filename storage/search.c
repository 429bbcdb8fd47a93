/* A search's beginning and end, and the look at one thing. */
#include "storage/search.h"

void search_begin(struct search_run *s,
                  struct reading *r,
                  const struct search *search,
                  enum kind kind)
{
    *s = (struct search_run){
        .r = r,
        .search = search,
        .kind = kind,
        .ns = kind == KIND_NAMESPACE ? NAMESPACE_ROOT : r->ns,
        .steps_left = SEARCH_STEPS_MAX,
        .id_max = UINT64_MAX - 1,
        .count_max = r->budget->count_max != 0 ? r->budget->count_max : SEARCH_COUNT_MAX,
        .things_max = r->budget->things_max != 0 ? r->budget->things_max : SEARCH_THINGS_MAX,
    };
    s->match = (struct matcher){.view = r->view,
                                .arena = r->scratch,
                                .ns = r->ns,
                                .steps_left = &s->steps_left,
                                .lineage = search_match_lineage,
                                .lineage_arg = s};
}

void search_release(struct search_run *s)
{
    for (size_t i = 0; i < s->sets_len; i++) {
        id_pages_release(s->sets[i]);
    }
    for (size_t i = 0; i < SEARCH_LINEAGE_MAX; i++) {
        if (s->lineage[i].is_ready) {
            id_pages_release(&s->lineage[i].set);
            s->lineage[i].is_ready = false;
        }
    }
    s->sets_len = 0;
}

int search_test(struct search_run *s,
                uint64_t id,
                const struct filter *filter,
                enum clade_state state,
                struct thing **ret_thing,
                bool *ret)
{
    struct reading *r = s->r;
    uint64_t steps = *s->match.steps_left;
    bool live = false;
    *ret = false;
    if (s->things >= s->things_max) {
        s->is_exhausted = true;
    }
    if (reading_step(r) || s->is_exhausted) {
        return 2;
    }
    s->things++;
    reading_next_item(r);
    int rc = lookup_thing(r->view, r->scratch, id, ret_thing);
    if (rc != 0 || (*ret_thing)->kind != s->kind || (*ret_thing)->ns != s->ns) {
        return rc < 0 ? rc : 0;
    }
    rc = lookup_is_live(r->view, r->scratch, *ret_thing, &live);
    if (rc != 0 || (state != CLADE_STATE_ANY && (state == CLADE_STATE_LIVE) != live)) {
        return rc;
    }
    *ret = filter == NULL;
    rc = filter == NULL ? 0 : match_thing(&s->match, filter, *ret_thing, ret);
    r->steps += (uint32_t)((steps - *s->match.steps_left) / SEARCH_STEPS_SCALE);
    return rc;
}
