/* Scans of the store, as clients ask for them; none waits for anything but a look at a row. */
#include "node/map_put.h"
#include "node/serve_internal.h"
#include "node/verifier.h"

#define DATA_BYTES_MAX (64U << 10)

static void put_digest(struct buffer *b, const char *key, const struct store_digest *d)
{
    value_put_str(b, key);
    value_put_map(b, 2);
    map_put_hash(b, "data", d->data);
    map_put_hash(b, "state", d->state);
}

/* What is wrong, as a sentence; nil where nothing is. */
static void put_sentence(struct buffer *b, const char *key, const struct error *e)
{
    if (e->code != 0) {
        map_put_str(b, key, e->message);
        return;
    }
    value_put_str(b, key);
    value_put_nil(b);
}

static void put_look(struct buffer *b, const struct node *n, const struct verifier_look *l)
{
    static const char *const phases[] = {[VERIFIER_WAITS] = "waits",
                                         [VERIFIER_PASSED] = "passed",
                                         [VERIFIER_SCANS] = "scans",
                                         [VERIFIER_DONE] = "done",
                                         [VERIFIER_FAILED] = "failed"};
    value_put_map(b, 11);
    map_put_str(b, "phase", phases[l->phase]);
    map_put_uint(b, "index", l->index);
    map_put_uint(b, "applied", atomic_load(&n->published_index));
    map_put_uint(b, "rows", l->result.rows);
    map_put_uint(b, "bytes", l->result.bytes);
    map_put_uint(b, "bytes_total", l->bytes_total);
    map_put_uint(b, "bad_rows", l->result.bad_rows);
    put_sentence(b, "bad", &l->result.bad);
    put_digest(b, "digest", &l->result.kept);
    put_digest(b, "found", &l->result.found);
    put_sentence(b, "error", &l->error);
}

void verify_request(struct request *r, const struct value *params)
{
    struct node *n = r->conn->serve->node;
    struct error e = {.code = 0};
    struct verifier_look look;
    struct verify_params p;
    int rc = verify_params_decode(params, &p, &e);
    if (rc == 0 && p.action == VERIFY_PIN) {
        rc = verifier_pin(n->verifier, p.id, p.index, &look, &e);
    } else if (rc == 0 && p.action == VERIFY_LOOK) {
        rc = verifier_look(n->verifier, p.id, &look, &e);
    } else if (rc == 0) {
        verifier_close(n->verifier, p.id);
    }
    if (rc < 0) {
        request_fail(r, &e);
        return;
    }
    struct buffer b;
    buffer_init(&b, DATA_BYTES_MAX);
    if (p.action == VERIFY_CLOSE) {
        value_put_nil(&b);
    } else {
        put_look(&b, n, &look);
    }
    status_answer(r, &b);
}
