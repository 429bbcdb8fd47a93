/* The lists that `clade export` reads, all of one revision. */
#include <stdlib.h>

#include "cli/export_internal.h"

#define PAGE_ITEMS       1000
#define SHORT_PAGE_ITEMS 200 /* some things have many */

void export_put_text(struct clade_doc *doc, const char *key, const char *value)
{
    clade_doc_str(doc, key);
    clade_doc_str(doc, value);
}

struct settings export_settings(const struct export *x)
{
    struct settings s = x->cli->settings;
    if (x->revision != 0 && s.consistency != CLADE_LINEARIZABLE) {
        s.consistency = CLADE_AT_LEAST;
        s.at_least = x->revision;
    }
    return s;
}

static struct clade_response *fetch(const struct export *x, const struct export_page *p)
{
    struct clade_doc *doc = clade_doc_new();
    if (doc == NULL) {
        return NULL;
    }
    bool pinned = x->revision != 0 || x->cli->settings.as_of[0] != '\0';
    uint32_t with_len = (p->with[0] != NULL) + (p->with[1] != NULL);
    struct settings settings = export_settings(x);
    clade_doc_map(doc, 5u + settings_consistency_members(&settings) + pinned + (with_len > 0) +
                           (p->cursor != NULL) + (p->under != NULL));
    settings_put_consistency(doc, &settings);
    export_put_text(doc, "kind", p->kind);
    export_put_text(doc, "ns", p->ns);
    export_put_text(doc, "state", p->state);
    export_put_text(doc, "view", p->view);
    clade_doc_str(doc, "limit");
    clade_doc_uint(doc, with_len == 0 ? PAGE_ITEMS : SHORT_PAGE_ITEMS);
    if (x->revision != 0) {
        clade_doc_str(doc, "as_of");
        clade_doc_uint(doc, x->revision);
    } else if (pinned) {
        export_put_text(doc, "as_of", x->cli->settings.as_of);
    }
    if (with_len > 0) {
        clade_doc_str(doc, "with");
        clade_doc_array(doc, with_len);
    }
    for (uint32_t i = 0; i < with_len; i++) {
        clade_doc_str(doc, p->with[i]);
    }
    if (p->under != NULL) {
        export_put_text(doc, "under", p->under);
    }
    if (p->cursor != NULL) {
        export_put_text(doc, "cursor", p->cursor);
    }
    struct clade_response *response = clade_call_wait(x->cli->client, "list", doc);
    clade_doc_free(doc);
    return response;
}

int export_walk(struct export *x, struct export_page p, export_on_thing each)
{
    char *cursor = NULL;
    int code = EXIT_DONE;
    for (bool more = true; more && code == EXIT_DONE;) {
        p.cursor = cursor;
        struct clade_response *response = fetch(x, &p);
        if (clade_response_code(response) != 0) {
            code = cli_fail(x->cli, p.kind, response);
        } else if (x->revision == 0) {
            x->revision = clade_response_revision(response);
        }
        const struct clade_value *data = clade_response_data(response);
        for (size_t i = 0; code == EXIT_DONE && i < clade_value_len(data); i++) {
            code = each(x, p.ns, clade_value_at(data, i)) ? EXIT_DONE : EXIT_REFUSED;
        }
        const char *next = clade_response_cursor(response);
        free(cursor);
        cursor = next == NULL ? NULL : strdup(next);
        more = cursor != NULL && !clade_response_complete(response);
        clade_response_free(response);
    }
    free(cursor);
    return code;
}

int export_walk_all(struct export *x, struct export_page p, export_on_thing each)
{
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < x->namespaces.len; i++) {
        p.ns = x->namespaces.items[i];
        code = export_walk(x, p, each);
    }
    return code;
}
