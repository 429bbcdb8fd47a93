#include "fake_clade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clade.h>
#include <uv.h>

#include "base/buffer.h"
#include "base/check.h"
#include "base/list.h"
#include "cli/names.h"

#define OPS_MAX    4096
#define TOKENS_MAX 64
#define TEXT_MAX   256

struct clade_value {
    enum clade_type type;
    const char *key;
    const char *text;
    struct clade_value *items;
    size_t len;
};

struct clade_response {
    int code;
    char message[TEXT_MAX];
    char where[64];
    struct clade_value data;
    struct clade_value error;
    struct clade_value error_where;
    struct clade_value *results; /* one map an operation, with one pair behind each */
};

struct clade_doc {
    char tokens[TOKENS_MAX][TEXT_MAX];
    size_t len;
};

struct op {
    char what[16];
    char first[TEXT_MAX]; /* of a create: KIND/NAME */
    char label[TEXT_MAX];
    char second[TEXT_MAX];
};

struct clade_txn {
    struct op *ops;
    uint32_t len;
};

struct clade_request {
    struct list node;
    struct clade_txn *txn; /* NULL: a get */
    clade_cb cb;
    void *arg;
};

struct clade_client {
    uv_idle_t idle;
    struct list waiting;
    unsigned waiting_len;
    clade_close_cb on_close;
    void *close_arg;
};

struct fake_cluster fake;
static struct names things;
static struct names edges;

void fake_reset(void)
{
    names_release(&things);
    names_release(&edges);
    fake = (struct fake_cluster){0};
}

/* --- documents and transactions --- */

struct clade_doc *clade_doc_new(void)
{
    struct clade_doc *doc = calloc(1, sizeof *doc);
    CHECK(doc != NULL);
    return doc;
}

void clade_doc_free(struct clade_doc *doc)
{
    free(doc);
}

void clade_doc_strn(struct clade_doc *doc, const char *s, size_t len)
{
    CHECK(doc->len < TOKENS_MAX && len < TEXT_MAX);
    memcpy(doc->tokens[doc->len++], s, len);
}

void clade_doc_str(struct clade_doc *doc, const char *s)
{
    clade_doc_strn(doc, s, strlen(s));
}

void clade_doc_map(struct clade_doc *doc, uint32_t members)
{
}

void clade_doc_array(struct clade_doc *doc, uint32_t members)
{
}

static const char *after(const struct clade_doc *doc, const char *key)
{
    for (size_t i = 0; i + 1 < doc->len; i++) {
        if (strcmp(doc->tokens[i], key) == 0) {
            return doc->tokens[i + 1];
        }
    }
    return "";
}

struct clade_txn *clade_txn_new(void)
{
    struct clade_txn *txn = calloc(1, sizeof *txn);
    CHECK(txn != NULL);
    txn->ops = calloc(OPS_MAX, sizeof *txn->ops);
    CHECK(txn->ops != NULL);
    return txn;
}

void clade_txn_free(struct clade_txn *txn)
{
    if (txn != NULL) {
        free(txn->ops);
        free(txn);
    }
}

void clade_txn_clear(struct clade_txn *txn)
{
    txn->len = 0;
}

static uint32_t add(struct clade_txn *txn,
                    const char *what,
                    const char *first,
                    const char *label,
                    const char *second)
{
    CHECK(txn->len < OPS_MAX);
    struct op *op = &txn->ops[txn->len];
    (void)snprintf(op->what, sizeof op->what, "%s", what);
    (void)snprintf(op->first, sizeof op->first, "%s", first);
    (void)snprintf(op->label, sizeof op->label, "%s", label);
    (void)snprintf(op->second, sizeof op->second, "%s", second);
    return txn->len++;
}

uint32_t clade_txn_create(struct clade_txn *txn, const char *kind, const char *name)
{
    char ref[TEXT_MAX];
    (void)snprintf(ref, sizeof ref, "%s/%s", kind, name);
    return add(txn, "create", ref, "", "");
}

uint32_t clade_txn_link(struct clade_txn *txn, const char *from, const char *label, const char *to)
{
    return add(txn, "link", from, label, to);
}

void clade_txn_op_doc(struct clade_txn *txn, const struct clade_doc *doc)
{
    if (strcmp(after(doc, "op"), "create") == 0) {
        (void)clade_txn_create(txn, after(doc, "kind"), after(doc, "name"));
    } else {
        (void)add(txn, after(doc, "op"), after(doc, "from"), after(doc, "label"), after(doc, "to"));
    }
}

void clade_txn_if_exists(struct clade_txn *txn, enum clade_if_exists what)
{
}

void clade_txn_set(struct clade_txn *txn, const char *field, const char *value)
{
}

void clade_txn_tag(struct clade_txn *txn, const char *key, const char *value)
{
}

/* --- the cluster --- */

static struct clade_response *response_new(size_t results)
{
    struct clade_response *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->results = calloc(2 * results + 1, sizeof *r->results);
    CHECK(r->results != NULL);
    r->data = (struct clade_value){.type = CLADE_ARRAY, .items = r->results, .len = results};
    return r;
}

static void set_status(struct clade_response *r, size_t i, const char *status)
{
    struct clade_value *pair = &r->results[r->data.len + i];
    *pair = (struct clade_value){.type = CLADE_STRING, .key = "status", .text = status};
    r->results[i] = (struct clade_value){.type = CLADE_MAP, .items = pair, .len = 1};
}

static void refuse(struct clade_response *r, int code, uint32_t op, const char *what)
{
    r->code = code;
    r->data.len = 0;
    (void)snprintf(r->message, sizeof r->message, "%.200s", what);
    (void)snprintf(r->where, sizeof r->where, "ops[%u].name", op);
    r->error_where = (struct clade_value){.type = CLADE_STRING, .key = "where", .text = r->where};
    r->error = (struct clade_value){
        .type = CLADE_MAP, .items = &r->error_where, .len = fake.names_no_place ? 0 : 1};
}

static bool there(const struct clade_txn *txn, uint32_t before, const char *ref)
{
    uint64_t value;
    for (uint32_t i = 0; i < before; i++) {
        if (strcmp(txn->ops[i].what, "create") == 0 && strcmp(txn->ops[i].first, ref) == 0) {
            return true;
        }
    }
    return names_find(&things, span_of(ref), &value);
}

static bool check(const struct clade_txn *txn, struct clade_response *r)
{
    for (uint32_t i = 0; i < txn->len; i++) {
        const struct op *op = &txn->ops[i];
        if (strstr(op->first, "bad") != NULL) {
            refuse(r, CLADE_ERR_INVALID, i, op->first);
            return false;
        }
        if (strcmp(op->what, "link") == 0 && !there(txn, i, op->first)) {
            refuse(r, CLADE_ERR_NOT_FOUND, i, op->first);
            return false;
        }
        if (strcmp(op->what, "link") == 0 && !there(txn, i, op->second)) {
            refuse(r, CLADE_ERR_NOT_FOUND, i, op->second);
            return false;
        }
    }
    return true;
}

static void apply(const struct clade_txn *txn, struct clade_response *r)
{
    for (uint32_t i = 0; i < txn->len; i++) {
        const struct op *op = &txn->ops[i];
        char name[3 * TEXT_MAX + 3];
        bool link = strcmp(op->what, "link") == 0;
        int len = snprintf(name, sizeof name, "%s%s%s%s%s", op->first, link ? " " : "", op->label,
                           link ? " " : "", op->second);
        struct names *set = link ? &edges : &things;
        size_t before = set->len;
        CHECK(names_add(set, span_make(name, (size_t)len), 1));
        set_status(r, i, set->len > before ? "created" : "unchanged");
    }
    fake.things = things.len;
    fake.edges = edges.len;
}

static void answer(struct clade_client *c, struct clade_request *request)
{
    struct clade_txn *txn = request->txn;
    struct clade_response *r = response_new(txn == NULL ? 1 : txn->len);
    list_remove(&request->node);
    c->waiting_len--;
    if (txn != NULL && fake.fail_with != 0 && fake.sent > fake.fail_after) {
        refuse(r, fake.fail_with, 0, "the cluster is away");
    } else if (txn != NULL && check(txn, r)) {
        apply(txn, r);
    }
    request->cb(request, r, request->arg);
    clade_txn_free(txn);
    free(request);
}

static void on_idle(uv_idle_t *idle)
{
    struct clade_client *c = idle->data;
    struct list batch;
    list_init(&batch);
    list_splice_back(&batch, &c->waiting);
    while (!list_is_empty(&batch)) {
        struct list *node = fake.newest_first ? batch.prev : batch.next;
        answer(c, LIST_ENTRY(node, struct clade_request, node));
    }
}

static struct clade_request *submit(struct clade_client *c,
                                    struct clade_txn *txn,
                                    clade_cb cb,
                                    void *arg)
{
    struct clade_request *request = calloc(1, sizeof *request);
    CHECK(request != NULL);
    request->txn = txn;
    request->cb = cb;
    request->arg = arg;
    list_push_back(&c->waiting, &request->node);
    c->waiting_len++;
    fake.waiting_max = c->waiting_len > fake.waiting_max ? c->waiting_len : fake.waiting_max;
    return request;
}

struct clade_request *clade_txn_send(struct clade_client *c,
                                     const struct clade_txn *txn,
                                     unsigned deadline_ms,
                                     clade_cb cb,
                                     void *arg)
{
    struct clade_txn *copy = clade_txn_new();
    memcpy(copy->ops, txn->ops, txn->len * sizeof *txn->ops);
    copy->len = txn->len;
    fake.sent++;
    fake.operations_max = txn->len > fake.operations_max ? txn->len : fake.operations_max;
    return submit(c, copy, cb, arg);
}

struct clade_request *clade_get(struct clade_client *c,
                                const char *const refs[],
                                size_t refs_len,
                                const struct clade_read *read,
                                unsigned deadline_ms,
                                clade_cb cb,
                                void *arg)
{
    return submit(c, NULL, cb, arg);
}

int clade_client_new(struct uv_loop_s *loop,
                     const struct clade_options *options,
                     struct clade_client **ret_client)
{
    struct clade_client *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    list_init(&c->waiting);
    int err = uv_idle_init(loop, &c->idle);
    CHECK(err == 0);
    c->idle.data = c;
    err = uv_idle_start(&c->idle, on_idle);
    CHECK(err == 0);
    *ret_client = c;
    return 0;
}

static void on_idle_closed(uv_handle_t *handle)
{
    struct clade_client *c = handle->data;
    c->on_close(c, c->close_arg);
    free(c);
}

void clade_client_close(struct clade_client *c, clade_close_cb cb, void *arg)
{
    CHECK(list_is_empty(&c->waiting));
    c->on_close = cb;
    c->close_arg = arg;
    uv_close((uv_handle_t *)&c->idle, on_idle_closed);
}

/* --- answers --- */

void clade_response_free(struct clade_response *r)
{
    free(r->results);
    free(r);
}

int clade_response_code(const struct clade_response *r)
{
    return r->code;
}

const char *clade_response_message(const struct clade_response *r)
{
    return r->message;
}

const struct clade_value *clade_response_data(const struct clade_response *r)
{
    return &r->data;
}

const struct clade_value *clade_response_error(const struct clade_response *r)
{
    return r->code == 0 ? NULL : &r->error;
}

enum clade_type clade_value_type(const struct clade_value *v)
{
    return v == NULL ? CLADE_NIL : v->type;
}

size_t clade_value_len(const struct clade_value *v)
{
    return v == NULL ? 0 : v->len;
}

const struct clade_value *clade_value_at(const struct clade_value *v, size_t i)
{
    return v == NULL || i >= v->len ? NULL : &v->items[i];
}

const struct clade_value *clade_value_get(const struct clade_value *v, const char *key)
{
    for (size_t i = 0; v != NULL && v->type == CLADE_MAP && i < v->len; i++) {
        if (strcmp(v->items[i].key, key) == 0) {
            return &v->items[i];
        }
    }
    return NULL;
}

const char *clade_value_strn(const struct clade_value *v, size_t *ret_len)
{
    if (v == NULL || v->type != CLADE_STRING) {
        return NULL;
    }
    *ret_len = strlen(v->text);
    return v->text;
}
