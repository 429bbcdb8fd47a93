/* The parameters of reads, as client/wire/README.md has them. What is zeroed is left out: the
 * server's defaults are ours. */
#include "lib/lib_internal.h"

static void put_key(struct params *p, const char *key)
{
    value_put_str(&p->bytes, key);
    p->members++;
}

static void put_text(struct params *p, const char *key, const char *text)
{
    if (text != NULL) {
        put_key(p, key);
        value_put_str(&p->bytes, text);
    }
}

static void put_uint(struct params *p, const char *key, uint64_t v)
{
    if (v != 0) {
        put_key(p, key);
        value_put_uint(&p->bytes, v);
    }
}

static void put_true(struct params *p, const char *key, bool v)
{
    if (v) {
        put_key(p, key);
        value_put_bool(&p->bytes, true);
    }
}

static void put_texts(struct params *p, const char *key, const char *const texts[], size_t len)
{
    put_key(p, key);
    value_put_array(&p->bytes, (uint32_t)len);
    for (size_t i = 0; i < len; i++) {
        if (texts[i] == NULL) {
            value_put_nil(&p->bytes);
        } else {
            value_put_str(&p->bytes, texts[i]);
        }
    }
}

static void put_list(struct params *p, const char *key, const char *const *texts)
{
    size_t len = 0;
    while (texts != NULL && texts[len] != NULL) {
        len++;
    }
    if (texts != NULL) {
        put_texts(p, key, texts, len);
    }
}

/* A revision is a number on the wire, a time is text. */
static void put_as_of(struct params *p, const char *key, const char *as_of)
{
    uint64_t revision = 0;
    size_t i = 0;
    if (as_of == NULL) {
        return;
    }
    while (i < 19 && as_of[i] >= '0' && as_of[i] <= '9') {
        revision = revision * 10 + (uint64_t)(as_of[i] - '0');
        i++;
    }
    if (i > 0 && as_of[i] == '\0') {
        put_key(p, key);
        value_put_uint(&p->bytes, revision);
    } else {
        put_text(p, key, as_of);
    }
}

static void put_consistency(struct params *p, const struct clade_read *read, uint64_t revision)
{
    switch (read->consistency) {
    case CLADE_LINEARIZABLE:
        return;
    case CLADE_AT_LEAST:
        put_text(p, "consistency", "at_least");
        put_key(p, "at_least");
        value_put_uint(&p->bytes, read->at_least != 0 ? read->at_least : revision);
        return;
    case CLADE_STALE:
        put_text(p, "consistency", "stale");
        put_key(p, "stale_ms");
        value_put_uint(&p->bytes, read->stale_ms);
        return;
    case CLADE_LOCAL:
        put_text(p, "consistency", "local");
        return;
    }
}

static void put_with(struct params *p, const struct clade_read *read, bool depths)
{
    const char *with[5];
    size_t with_len = 0;
    if (depths) {
        with[with_len++] = "depth";
    }
    if (read->with_edges) {
        with[with_len++] = "edges";
    }
    if (read->with_aliases) {
        with[with_len++] = "aliases";
    }
    if (read->with_params) {
        with[with_len++] = "params";
    }
    if (read->with_metrics) {
        with[with_len++] = "metrics";
    }
    if (with_len > 0) {
        put_texts(p, "with", with, with_len);
    }
}

static void put_read_with(struct params *p,
                          const struct clade_read *read,
                          uint64_t revision,
                          bool depths)
{
    static const char *const views[] = {
        [CLADE_VIEW_HEADS] = NULL, [CLADE_VIEW_FULL] = "full", [CLADE_VIEW_IDS] = "ids"};
    static const char *const states[] = {
        [CLADE_STATE_LIVE] = NULL, [CLADE_STATE_DELETED] = "deleted", [CLADE_STATE_ANY] = "any"};
    static const struct clade_read zeroed;
    read = read == NULL ? &zeroed : read;
    put_consistency(p, read, revision);
    put_as_of(p, "as_of", read->as_of);
    put_text(p, "cursor", read->cursor);
    put_uint(p, "limit", read->limit);
    put_text(p, "view", read->view <= CLADE_VIEW_IDS ? views[read->view] : NULL);
    put_text(p, "state", read->state <= CLADE_STATE_ANY ? states[read->state] : NULL);
    put_with(p, read, depths);
}

static void put_read(struct params *p, const struct clade_read *read, uint64_t revision)
{
    put_read_with(p, read, revision, false);
}

void params_get(struct params *p,
                const char *const refs[],
                size_t refs_len,
                const struct clade_read *read,
                uint64_t revision)
{
    put_texts(p, "refs", refs, refs_len);
    put_read(p, read, revision);
}

void params_list(struct params *p,
                 const char *kind,
                 const char *under,
                 const struct clade_read *read,
                 uint64_t revision)
{
    put_text(p, "kind", kind);
    put_text(p, "under", under);
    put_read(p, read, revision);
}

void params_lineage(struct params *p,
                    const struct clade_lineage *lineage,
                    const struct clade_read *read,
                    uint64_t revision)
{
    put_text(p, "ref", lineage->ref);
    put_text(p, "direction", lineage->downstream ? "down" : "up");
    put_list(p, "labels", lineage->labels);
    put_list(p, "kinds", lineage->kinds);
    put_uint(p, "depth", lineage->depth);
    put_true(p, "count", lineage->count);
    put_text(p, "query", lineage->query);
    put_read_with(p, read, revision, lineage->depths);
}

void params_impact(struct params *p,
                   const struct clade_lineage *lineage,
                   const struct clade_read *read,
                   uint64_t revision)
{
    put_text(p, "ref", lineage->ref);
    put_list(p, "labels", lineage->labels);
    put_uint(p, "depth", lineage->depth);
    put_true(p, "count", lineage->count);
    put_text(p, "query", lineage->query);
    put_read(p, read, revision);
}

void params_provenance(struct params *p,
                       const struct clade_lineage *lineage,
                       const struct clade_read *read,
                       uint64_t revision)
{
    put_list(p, "kinds", lineage->kinds);
    params_impact(p, lineage, read, revision);
}

void params_paths(struct params *p,
                  const struct clade_paths *paths,
                  const struct clade_read *read,
                  uint64_t revision)
{
    static const char *const ways[] = {
        [CLADE_WAY_EITHER] = NULL, [CLADE_WAY_UP] = "up", [CLADE_WAY_DOWN] = "down"};
    put_text(p, "from", paths->from);
    put_text(p, "to", paths->to);
    put_text(p, "direction", paths->way <= CLADE_WAY_DOWN ? ways[paths->way] : NULL);
    put_list(p, "labels", paths->labels);
    put_uint(p, "depth", paths->depth);
    put_read(p, read, revision);
}

void params_diff(struct params *p,
                 const struct clade_diff *diff,
                 const struct clade_read *read,
                 uint64_t revision)
{
    put_text(p, "from", diff->from);
    put_text(p, "to", diff->to);
    put_as_of(p, "from_as_of", diff->from_as_of);
    put_list(p, "labels", diff->labels);
    put_uint(p, "depth", diff->depth);
    put_read(p, read, revision);
}

void params_history(struct params *p,
                    const char *ref,
                    const struct clade_read *read,
                    uint64_t revision)
{
    put_text(p, "ref", ref);
    put_read(p, read, revision);
}

static void put_step(struct params *p, const char *key, const int64_t *step)
{
    if (step != NULL) {
        put_key(p, key);
        value_put_int(&p->bytes, *step);
    }
}

static void put_time_ms(struct params *p, const char *key, const uint64_t *time_ms)
{
    if (time_ms != NULL) {
        put_key(p, key);
        value_put_uint(&p->bytes, *time_ms);
    }
}

void params_metrics(struct params *p,
                    const struct clade_metrics *metrics,
                    const struct clade_read *read,
                    uint64_t revision)
{
    put_texts(p, "refs", metrics->refs, metrics->refs_len);
    put_list(p, "keys", metrics->keys);
    put_text(p, "on", metrics->on);
    if (metrics->on_nothing && metrics->on == NULL) {
        put_key(p, "on");
        value_put_nil(&p->bytes);
    }
    put_step(p, "from_step", metrics->from_step);
    put_step(p, "to_step", metrics->to_step);
    put_time_ms(p, "from_time", metrics->from_time_ms);
    put_time_ms(p, "to_time", metrics->to_time_ms);
    put_true(p, "last", metrics->last);
    put_uint(p, "sample", metrics->sample);
    put_read(p, read, revision);
}

static void put_changes(struct params *p,
                        const char *ns,
                        const char *const *kinds,
                        const char *prefix,
                        const char *query)
{
    put_text(p, "namespace", ns);
    put_list(p, "kinds", kinds);
    put_text(p, "prefix", prefix);
    put_text(p, "query", query);
}

void params_watch(struct params *p, const struct clade_watch_options *o)
{
    if (o != NULL) { /* `from` moves: request_encode adds it */
        put_changes(p, o->ns, o->kinds, o->prefix, o->query);
    }
}

void params_audit(struct params *p,
                  const struct clade_audit *audit,
                  const struct clade_read *read,
                  uint64_t revision)
{
    if (audit != NULL) {
        put_text(p, "by", audit->by);
        put_text(p, "ref", audit->ref);
        put_changes(p, audit->ns, audit->kinds, audit->prefix, audit->query);
        put_text(p, "from_time", audit->from_time);
        put_text(p, "to_time", audit->to_time);
    }
    put_read(p, read, revision);
}

void params_search(struct params *p,
                   const struct clade_search *search,
                   const struct clade_read *read,
                   uint64_t revision)
{
    put_text(p, "kind", search->kind);
    put_text(p, "query", search->query);
    put_text(p, "by", search->by);
    put_read(p, read, revision);
}

/* The number of a map's pairs and the length of its head; false when it is not a map. */
static bool map_head(struct span bytes, uint32_t *ret_members, size_t *ret_len)
{
    uint8_t tag = bytes.data[0];
    if ((tag & 0xf0) == 0x80) {
        *ret_members = tag & 0x0f;
        *ret_len = 1;
        return true;
    }
    if (tag != 0xde && tag != 0xdf) {
        return false;
    }
    size_t width = tag == 0xde ? 2 : 4;
    uint32_t members = 0;
    for (size_t i = 1; i <= width; i++) {
        members = members << 8 | bytes.data[i];
    }
    *ret_members = members;
    *ret_len = 1 + width;
    return true;
}

int params_doc(struct params *p, const struct clade_doc *doc, struct error *error)
{
    struct span bytes;
    size_t head;
    if (doc == NULL) {
        return 0;
    }
    int rc = doc_bytes(doc, &bytes, error);
    if (rc != 0) {
        return rc;
    }
    if (!map_head(bytes, &p->members, &head)) {
        return error_set(error, CLADE_ERR_INVALID, "params", "must be a map");
    }
    buffer_append_span(&p->bytes, span_skip(bytes, head));
    return 0;
}
