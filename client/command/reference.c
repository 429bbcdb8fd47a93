#include "command/reference.h"

#include "command/check_internal.h"
#include "command/txn.h"

#define EXCERPT_BYTES 100 /* of a text that is no reference, in an error */

/* Whether `s` has the form of what `as` may name. */
static bool is_identifier(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return s.len > 0 && s.len <= REF_AS_BYTES_MAX;
}

int ref_as_check(struct span name, struct error *error)
{
    return is_identifier(name)
               ? 0
               : check_fail(
                     error, CLADE_ERR_INVALID, NULL,
                     "expected a letter or '_', then letters, digits and '_', up to %d bytes",
                     REF_AS_BYTES_MAX);
}

/* "$3", "$NAME"; s is what follows the '$'. */
static int parse_op(struct span s, bool in_txn, struct ref *ref, struct error *error)
{
    if (!in_txn) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "\"$\" references stand only in operations of a transaction");
    }
    if (check_number(s, &ref->number)) {
        ref->form = REF_OP;
        return 0;
    }
    if (is_identifier(s)) {
        ref->form = REF_OP_NAME;
        ref->name = s;
        return 0;
    }
    return check_fail(
        error, CLADE_ERR_INVALID, NULL,
        "expected \"$\" and the number of an earlier operation, or what it carries as "
        "\"as\"");
}

/* "//TEAM//": takes it off *s. */
static int take_prefix(struct span *s, struct span *ret_ns, struct error *error)
{
    struct span rest = span_skip(*s, 2);
    const uint8_t *end = memmem(rest.data, rest.len, "//", 2);
    if (end == NULL) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "a reference into another namespace is //TEAM//KIND/NAME");
    }
    struct span ns = span_make(rest.data, (size_t)(end - rest.data));
    int r = name_check(KIND_NAMESPACE, ns, error);
    if (r != 0) {
        return r;
    }
    *s = span_skip(rest, ns.len + 2);
    *ret_ns = ns;
    return 0;
}

/* "MODEL/7", "MODEL@latest": the last '/' or '@' splits. */
static int parse_version(struct span s, struct ref *ref, struct error *error)
{
    size_t at = s.len;
    while (at > 0 && s.data[at - 1] != '/' && s.data[at - 1] != '@') {
        at--;
    }
    if (at == 0) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "a version is version/MODEL/NUMBER or version/MODEL@ALIAS, not "
                          "\"version/%.*s\"",
                          (int)(s.len < EXCERPT_BYTES ? s.len : EXCERPT_BYTES),
                          (const char *)s.data);
    }
    ref->name = span_make(s.data, at - 1);
    struct span last = span_skip(s, at);
    if (s.data[at - 1] == '@') {
        ref->form = REF_ALIAS;
        ref->alias = last;
        int r = alias_check(last, error);
        return r != 0 ? r : name_check(KIND_MODEL, ref->name, error);
    }
    ref->form = REF_VERSION;
    if (!check_number(last, &ref->number) || ref->number == 0) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "a version is version/MODEL/NUMBER (from 1) or version/MODEL@ALIAS");
    }
    return name_check(KIND_MODEL, ref->name, error);
}

static int parse_external(struct span id, struct ref *ref, struct error *error)
{
    if (!field_belongs(field_by_code(FIELD_EXTERNAL_IDS), ref->kind)) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "%s has no external ids",
                          kind_with_article(ref->kind));
    }
    ref->form = REF_EXTERNAL;
    ref->name = id;
    return check_external_id(id, error);
}

static int parse_id(struct span s, struct ref *ref, struct error *error)
{
    ref->form = REF_ID;
    if (ref->ns.len > 0) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "an id stands without a namespace: id/NUMBER");
    }
    if (!check_number(s, &ref->number) || ref->number == 0) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "an id is id/NUMBER, from 1");
    }
    return 0;
}

static int parse_named(struct span s, struct ref *ref, struct error *error)
{
    if (ref->kind == KIND_NAMESPACE && ref->ns.len > 0) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "a namespace is in no other: namespace/PATH with its full path");
    }
    if (span_starts_with(s, "ext:") && ref->kind != KIND_NAMESPACE && ref->kind != KIND_TYPE) {
        return parse_external(span_skip(s, 4), ref, error);
    }
    if (ref->kind == KIND_VERSION) {
        return parse_version(s, ref, error);
    }
    ref->form = REF_NAME;
    ref->name = s;
    return name_check(ref->kind, s, error);
}

/* "KIND/REST" */
static int parse_plain(struct span s, struct ref *ref, struct error *error)
{
    const uint8_t *slash = s.len == 0 ? NULL : memchr(s.data, '/', s.len);
    if (slash == NULL) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "a reference is KIND/NAME, id/NUMBER or //TEAM//KIND/NAME, not \"%.*s\"",
                          (int)(s.len < EXCERPT_BYTES ? s.len : EXCERPT_BYTES),
                          (const char *)s.data);
    }
    struct span head = span_make(s.data, (size_t)(slash - s.data));
    struct span rest = span_skip(s, head.len + 1);
    if (span_equal_str(head, "id")) {
        return parse_id(rest, ref, error);
    }
    ref->kind = kind_parse(head);
    return ref->kind == KIND_NONE ? check_fail_kind(error, NULL, head)
                                  : parse_named(rest, ref, error);
}

static int parse(struct span text, bool in_txn, struct ref *ref, struct error *error)
{
    int r = check_text(text, "a reference", CLADE_MAX_REFERENCE_BYTES, false, error);
    if (r != 0) {
        return r;
    }
    if (text.data[0] == '$') {
        return parse_op(span_skip(text, 1), in_txn, ref, error);
    }
    if (span_starts_with(text, "//")) {
        r = take_prefix(&text, &ref->ns, error);
    }
    return r != 0 ? r : parse_plain(text, ref, error);
}

int ref_parse(struct span text, bool in_txn, struct ref *ret, struct error *error)
{
    struct ref ref = {0};
    if (parse(text, in_txn, &ref, error) != 0) {
        /* What is too long to be a name is no reference: one class for all of it. */
        if (error != NULL) {
            error->code = CLADE_ERR_INVALID;
        }
        return CLADE_ERR_INVALID;
    }
    *ret = ref;
    return 0;
}
