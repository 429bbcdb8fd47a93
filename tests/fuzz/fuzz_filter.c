/* Any text: refused with a sentence, or a tree within its bounds. The text is a pattern and a
 * number too. */
#include "base/check.h"
#include "base/utf8.h"
#include "command/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t check_tree(const struct filter *f, size_t depth)
{
    CHECK(depth <= 3 * FILTER_DEPTH_MAX + 3);
    if (f->kind == FILTER_COMPARE) {
        CHECK(f->group != FILTER_ATTRIBUTE || f->attribute != ATTRIBUTE_FIELD || f->field != NULL);
        CHECK(f->group == FILTER_ATTRIBUTE || f->key.len > 0);
        CHECK((f->op == FILTER_IS_NULL) == (f->literals_len == 0));
        CHECK(f->op != FILTER_BETWEEN || f->literals_len == 2);
        return 1;
    }
    size_t n = 1;
    size_t children = 0;
    for (const struct filter *child = f->first; child != NULL; child = child->next) {
        n += check_tree(child, depth + 1);
        children++;
    }
    CHECK(f->kind == FILTER_NOT ? children == 1 : children > 1);
    return n;
}

static void check_values(struct span text)
{
    struct filter_number n;
    uint64_t steps = 10000;
    size_t half = text.len / 2;
    if (filter_parse_number(text, &n)) {
        CHECK(filter_compare_numbers(&n, &n) == 0);
    }
    bool exact = filter_like(span_make(text.data, half), span_skip(text, half), false, &steps);
    uint64_t again = 10000;
    bool folded = filter_like(span_make(text.data, half), span_skip(text, half), true, &again);
    CHECK(!exact || folded || again == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data, size);
    const struct filter *f = NULL;
    struct error error = {0};
    struct arena arena;
    check_values(text);
    arena_init(&arena, 16 << 20);
    int r = filter_parse(text, &arena, &f, &error);
    CHECK(r == 0 || r == CLADE_ERR_INVALID || r == CLADE_ERR_LIMIT);
    if (r == 0) {
        CHECK(check_tree(f, 0) <= size);
    } else {
        CHECK(error.code == r && error.message[0] != '\0');
        CHECK(utf8_is_printable(span_of(error.message)));
    }
    arena_release(&arena);
    return 0;
}
