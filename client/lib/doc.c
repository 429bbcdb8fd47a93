#include <stdlib.h>

#include "lib/lib_internal.h"

struct clade_doc {
    struct buffer bytes;
};

struct clade_doc *clade_doc_new(void)
{
    struct clade_doc *doc = malloc(sizeof *doc);
    if (doc != NULL) {
        buffer_init(&doc->bytes, CLADE_MAX_FRAME_BYTES);
    }
    return doc;
}

void clade_doc_free(struct clade_doc *doc)
{
    if (doc != NULL) {
        buffer_release(&doc->bytes);
        free(doc);
    }
}

void clade_doc_map(struct clade_doc *doc, uint32_t members)
{
    value_put_map(&doc->bytes, members);
}

void clade_doc_array(struct clade_doc *doc, uint32_t members)
{
    value_put_array(&doc->bytes, members);
}

void clade_doc_str(struct clade_doc *doc, const char *s)
{
    if (s == NULL) {
        value_put_nil(&doc->bytes);
    } else {
        value_put_str(&doc->bytes, s);
    }
}

void clade_doc_strn(struct clade_doc *doc, const char *s, size_t len)
{
    value_put_span(&doc->bytes, span_make(s, len));
}

void clade_doc_bin(struct clade_doc *doc, const void *data, size_t len)
{
    value_put_bytes(&doc->bytes, span_make(data, len));
}

void clade_doc_int(struct clade_doc *doc, int64_t v)
{
    value_put_int(&doc->bytes, v);
}

void clade_doc_uint(struct clade_doc *doc, uint64_t v)
{
    value_put_uint(&doc->bytes, v);
}

void clade_doc_double(struct clade_doc *doc, double v)
{
    value_put_double(&doc->bytes, v);
}

void clade_doc_bool(struct clade_doc *doc, bool v)
{
    value_put_bool(&doc->bytes, v);
}

void clade_doc_nil(struct clade_doc *doc)
{
    value_put_nil(&doc->bytes);
}

int doc_bytes(const struct clade_doc *doc, struct span *ret, struct error *error)
{
    struct span bytes = buffer_span(&doc->bytes);
    if (doc->bytes.failed) {
        return error_set(error, CLADE_ERR_LIMIT, "document", "is above %d bytes, or memory is out",
                         CLADE_MAX_FRAME_BYTES);
    }
    if (bytes.len == 0) {
        return error_set(error, CLADE_ERR_INVALID, "document", "is empty");
    }
    size_t len;
    int rc = value_check(bytes, &value_limits_request, &len, error);
    if (rc != 0) {
        error_prefix_where(error, "document");
        return rc;
    }
    if (len != bytes.len) {
        return error_set(error, CLADE_ERR_INVALID, "document",
                         "goes on behind its end: more members than were announced");
    }
    *ret = bytes;
    return 0;
}
