/* The forms of names: of things, namespaces, types, labels, digests and external ids. */
#include "command/check_internal.h"
#include "command/txn.h"

static bool is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_one_of(uint8_t c, const char *chars)
{
    return c != 0 && strchr(chars, c) != NULL;
}

static bool is_segment_char(uint8_t c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c) || is_one_of(c, "._-");
}

/* A namespace, or a deployment's environment. */
static int path_check(struct span path, const char *what, struct error *error)
{
    bool open = false; /* a segment has begun */
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = path.data[i];
        if (c == '/' ? !open : !is_segment_char(c)) {
            return check_fail(
                error, CLADE_ERR_INVALID, NULL,
                "%s is a path of segments of letters, digits, '.', '_' and '-', joined by "
                "single '/'",
                what);
        }
        open = c != '/';
    }
    return open ? 0
                : check_fail(error, CLADE_ERR_INVALID, NULL, "%s must not end with a '/'", what);
}

/* What stands behind an '@', or is written like it: must not end or split a reference. */
static int pointer_check(struct span text, const char *what, size_t bytes_max, struct error *error)
{
    int r = check_text(text, what, bytes_max, false, error);
    for (size_t i = 0; r == 0 && i < text.len; i++) {
        if (is_one_of(text.data[i], "/@")) {
            r = check_fail(error, CLADE_ERR_INVALID, NULL, "%s must not have a '/' or an '@'",
                           what);
        }
    }
    return r;
}

int alias_check(struct span alias, struct error *error)
{
    return pointer_check(alias, "an alias", CLADE_MAX_ALIAS_BYTES, error);
}

int stage_check(struct span stage, struct error *error)
{
    return pointer_check(stage, "a stage", CLADE_MAX_STAGE_BYTES, error);
}

int label_check(struct span label, struct error *error)
{
    int r = check_text(label, "a label", CLADE_MAX_LABEL_BYTES, false, error);
    for (size_t i = 0; r == 0 && i < label.len; i++) {
        uint8_t c = label.data[i];
        if (!is_lower(c) && !is_digit(c) && !is_one_of(c, "_.-")) {
            r = check_fail(error, CLADE_ERR_INVALID, NULL,
                           "a label is made of lower-case letters, digits, '_', '.' and '-'");
        }
    }
    return r;
}

/* "artifact:dataset", "edge:trained_on" */
static int type_name_check(struct span name, struct error *error)
{
    const uint8_t *colon = memchr(name.data, ':', name.len);
    struct span kind = span_make(name.data, colon == NULL ? 0 : (size_t)(colon - name.data));
    bool is_edge = span_equal_str(kind, "edge");
    enum kind of = kind_parse(kind);
    if (!is_edge && (of == KIND_NONE || of == KIND_NAMESPACE || of == KIND_TYPE)) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "a type's name is KIND:NAME, its kind one of artifact, experiment, run, "
                          "model, version, deployment, edge");
    }
    struct span rest = span_skip(name, kind.len + 1);
    return is_edge ? label_check(rest, error)
                   : check_text(rest, "a type's name after its kind", CLADE_MAX_NAME_BYTES, false,
                                error);
}

int name_check(enum kind kind, struct span name, struct error *error)
{
    size_t bytes_max = kind == KIND_NAMESPACE ? CLADE_MAX_NAMESPACE_BYTES : CLADE_MAX_NAME_BYTES;
    int r = check_text(name, "a name", bytes_max, false, error);
    if (r != 0) {
        return r;
    }
    if (kind == KIND_NAMESPACE || kind == KIND_DEPLOYMENT) {
        return path_check(name, kind == KIND_NAMESPACE ? "a namespace" : "a deployment's name",
                          error);
    }
    if (kind == KIND_TYPE) {
        return type_name_check(name, error);
    }
    if (kind == KIND_VERSION) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "a version has a number, not a name");
    }
    if (span_starts_with(name, "ext:") || span_starts_with(name, "$")) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "a name must not begin with \"ext:\" or \"$\"");
    }
    if (kind == KIND_MODEL && memchr(name.data, '@', name.len) != NULL) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "a model's name must not have an '@'");
    }
    return 0;
}

static bool is_hex(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.data[i]) && (s.data[i] < 'a' || s.data[i] > 'f')) {
            return false;
        }
    }
    return true;
}

static int check_known_digest(struct span algorithm, struct span value, struct error *error)
{
    static const struct {
        const char *name;
        size_t digits;
    } known[] = {{"sha256", 64}, {"sha384", 96}, {"sha512", 128}, {"blake3", 64}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (span_equal_str(algorithm, known[i].name) &&
            (value.len != known[i].digits || !is_hex(value))) {
            return check_fail(error, CLADE_ERR_INVALID, NULL,
                              "a %s digest is %zu lower-case hex digits", known[i].name,
                              known[i].digits);
        }
    }
    return 0;
}

int check_digest(struct span digest, struct error *error)
{
    int r = check_text(digest, "a digest", CLADE_MAX_DIGEST_BYTES, false, error);
    if (r != 0) {
        return r;
    }
    size_t n = 0;
    while (n < digest.len && (is_lower(digest.data[n]) || is_digit(digest.data[n]) ||
                              is_one_of(digest.data[n], "_+.-"))) {
        n++;
    }
    if (n == 0 || n + 1 >= digest.len || digest.data[n] != ':') {
        return check_fail(
            error, CLADE_ERR_INVALID, NULL,
            "a digest is ALGO:VALUE, ALGO of lower-case letters, digits and \"_+.-\"");
    }
    return check_known_digest(span_make(digest.data, n), span_skip(digest, n + 1), error);
}

int check_external_id(struct span id, struct error *error)
{
    int r = check_text(id, "an external id", CLADE_MAX_EXTERNAL_ID_BYTES, false, error);
    if (r != 0) {
        return r;
    }
    const uint8_t *colon = memchr(id.data, ':', id.len);
    if (colon == NULL || colon == id.data || colon == id.data + id.len - 1) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "an external id is SYSTEM:ID");
    }
    return 0;
}
