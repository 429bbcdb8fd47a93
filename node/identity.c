#include "node/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "node/endpoint.h"
#include "node/files.h"

#define FILE_BYTES_MAX 32768

/* --- members --- */

static bool parse_number(struct span s, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9' || v > UINT64_MAX / 20) {
            return false;
        }
        v = v * 10 + (uint64_t)(s.data[i] - '0');
    }
    *ret = v;
    return s.len > 0;
}

/* "KEY=REST": the spans of both; false when there is no '='. */
static bool split_pair(struct span line, struct span *ret_key, struct span *ret_rest)
{
    const uint8_t *equals = line.len == 0 ? NULL : memchr(line.data, '=', line.len);
    if (equals == NULL) {
        return false;
    }
    size_t n = (size_t)(equals - line.data);
    *ret_key = span_make(line.data, n);
    *ret_rest = span_skip(line, n + 1);
    return true;
}

int identity_add_member(struct identity *id, struct span text, struct error *error)
{
    struct span number;
    struct span address;
    struct group_member m = {.role = GROUP_VOTER};
    char host[256];
    char port[8];
    bool valid = split_pair(text, &number, &address) && parse_number(number, &m.id) && m.id > 0 &&
                 address.len < sizeof m.address && utf8_is_printable(address);
    if (valid) {
        memcpy(m.address, address.data, address.len);
        valid = endpoint_split(m.address, host, sizeof host, port);
    }
    if (!valid) {
        return error_set(error, CLADE_ERR_INVALID, "member",
                         "'%.*s' is not ID=HOST:PORT with an id above 0",
                         (int)(text.len < 300 ? text.len : 300), (const char *)text.data);
    }
    for (size_t i = 0; i < id->members_len; i++) {
        if (id->members[i].id == m.id) {
            return error_set(error, CLADE_ERR_INVALID, "member",
                             "the id %" PRIu64 " is there twice", m.id);
        }
        if (strcmp(id->members[i].address, m.address) == 0) {
            return error_set(error, CLADE_ERR_INVALID, "member", "the address %s is there twice",
                             m.address);
        }
    }
    if (id->members_len == GROUP_MEMBERS_MAX) {
        return error_set(error, CLADE_ERR_INVALID, "member", "more than %d members",
                         GROUP_MEMBERS_MAX);
    }
    id->members[id->members_len++] = m;
    return 0;
}

static int compare_members(const void *a, const void *b)
{
    const struct group_member *x = a;
    const struct group_member *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void append_members(struct buffer *b, const struct identity *id)
{
    buffer_append_fmt(b, "name=%s\n", id->name);
    for (size_t i = 0; i < id->members_len; i++) {
        buffer_append_fmt(b, "member=%" PRIu64 "=%s\n", id->members[i].id, id->members[i].address);
    }
}

const char *identity_address(const struct identity *id)
{
    for (size_t i = 0; i < id->members_len; i++) {
        if (id->members[i].id == id->node) {
            return id->members[i].address;
        }
    }
    return NULL;
}

static int check_members(struct identity *id, struct error *error)
{
    if (id->node == 0) {
        return error_set(error, CLADE_ERR_INVALID, "node", "--node N is needed, N above 0");
    }
    if (id->members_len == 0) {
        return error_set(error, CLADE_ERR_INVALID, "member", "--member ID=HOST:PORT is needed");
    }
    if (identity_address(id) == NULL) {
        return error_set(error, CLADE_ERR_INVALID, "node",
                         "node %" PRIu64 " is not among the members", id->node);
    }
    if (!utf8_is_printable(span_of(id->name))) {
        return error_set(error, CLADE_ERR_INVALID, "name",
                         "is not UTF-8, or has control characters");
    }
    qsort(id->members, id->members_len, sizeof id->members[0], compare_members);
    return 0;
}

int identity_complete(struct identity *id, struct error *error)
{
    int r = check_members(id, error);
    if (r < 0) {
        return r;
    }
    struct buffer b;
    buffer_init(&b, FILE_BYTES_MAX);
    append_members(&b, id);
    r = b.failed ? error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory") : 0;
    id->cluster = hash128(buffer_span(&b));
    id->joined = false;
    buffer_release(&b);
    return r;
}

int identity_complete_joined(struct identity *id, const char *cluster, struct error *error)
{
    int r = check_members(id, error);
    if (r < 0) {
        return r;
    }
    if (!hash128_parse(span_of(cluster), &id->cluster)) {
        return error_set(error, CLADE_ERR_INVALID, "cluster",
                         "a node that joins needs --cluster and the 32 hex digits that "
                         "'clade cluster status' shows");
    }
    if (id->members_len < 2) {
        return error_set(error, CLADE_ERR_INVALID, "member",
                         "a node that joins needs at least one --member beside itself, to ask");
    }
    id->joined = true;
    return 0;
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
    if (!hash128_equal(a->cluster, b->cluster) || a->node != b->node || a->joined != b->joined ||
        strcmp(a->name, b->name) != 0 || a->members_len != b->members_len) {
        return false;
    }
    for (size_t i = 0; i < a->members_len; i++) {
        if (a->members[i].id != b->members[i].id ||
            strcmp(a->members[i].address, b->members[i].address) != 0) {
            return false;
        }
    }
    return true;
}

/* --- the file --- */

int identity_write(const struct identity *id, bool stamp, const char *folder, struct error *error)
{
    char cluster[33];
    struct buffer b;
    buffer_init(&b, FILE_BYTES_MAX);
    hash128_format(id->cluster, cluster);
    buffer_append_fmt(&b, "format=%d\ncluster=%s\nnode=%" PRIu64 "\n", IDENTITY_FORMAT, cluster,
                      id->node);
    if (!stamp && id->joined) {
        buffer_append_str(&b, "joined=1\n");
    }
    if (!stamp) {
        append_members(&b, id);
    }
    buffer_append_fmt(&b, "checksum=%016" PRIx64 "\n", hash64(buffer_span(&b), 0));
    buffer_append(&b, "", 1);
    int r = b.failed ? error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
                     : files_replace_text(folder, "identity", (const char *)b.data, error);
    buffer_release(&b);
    return r;
}

static int damaged(const char *path, const char *what, struct error *error)
{
    return error_set(error, CLADE_ERR_CORRUPT, path, "is damaged (%s)", what);
}

static int parse_pair(
    struct identity *id, struct span key, struct span value, const char *path, struct error *error)
{
    if (span_equal_str(key, "cluster")) {
        return hash128_parse(value, &id->cluster) ? 0 : damaged(path, "cluster", error);
    }
    if (span_equal_str(key, "node")) {
        return parse_number(value, &id->node) && id->node > 0 ? 0 : damaged(path, "node", error);
    }
    if (span_equal_str(key, "name") && value.len < sizeof id->name) {
        memcpy(id->name, value.data, value.len);
        id->name[value.len] = 0;
        return 0;
    }
    if (span_equal_str(key, "joined")) {
        id->joined = span_equal_str(value, "1");
        return id->joined ? 0 : damaged(path, "joined", error);
    }
    if (span_equal_str(key, "member")) {
        return identity_add_member(id, value, NULL) == 0 ? 0 : damaged(path, "member", error);
    }
    return damaged(path, "unknown key", error);
}

/* The format stands first and is looked at before anything else: a newer one may have another
 * checksum. */
static int parse_format(struct span line, const char *path, struct error *error)
{
    struct span key;
    struct span value;
    uint64_t format;
    if (!split_pair(line, &key, &value) || !span_equal_str(key, "format") ||
        !parse_number(value, &format) || format == 0) {
        return damaged(path, "no format number", error);
    }
    if (format > IDENTITY_FORMAT) {
        return error_set(error, CLADE_ERR_UNSUPPORTED, path,
                         "has format %" PRIu64 ", this claded knows formats up to %d; "
                         "use a newer claded",
                         format, IDENTITY_FORMAT);
    }
    return 0;
}

static struct span take_line(struct span *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->len);
    size_t n = end == NULL ? text->len : (size_t)(end - text->data);
    struct span line = span_make(text->data, n);
    *text = span_skip(*text, end == NULL ? n : n + 1);
    return line;
}

int identity_parse(struct span text, const char *path, struct identity *ret, struct error *error)
{
    const uint8_t *start = text.data;
    struct identity id = {.node = 0};
    if (text.len == 0 || memchr(text.data, 0, text.len) != NULL) {
        return damaged(path, text.len == 0 ? "empty" : "not text", error);
    }
    int r = parse_format(take_line(&text), path, error);
    bool checked = false;
    while (r == 0 && text.len > 0 && !checked) {
        size_t before = (size_t)(text.data - start);
        struct span key;
        struct span value;
        if (!split_pair(take_line(&text), &key, &value)) {
            return damaged(path, "a line without '='", error);
        }
        if (span_equal_str(key, "checksum")) {
            char sum[17];
            (void)snprintf(sum, sizeof sum, "%016" PRIx64, hash64(span_make(start, before), 0));
            checked = span_equal_str(value, sum);
            r = checked ? 0 : damaged(path, "checksum", error);
        } else {
            r = parse_pair(&id, key, value, path, error);
        }
    }
    if (r != 0) {
        return r;
    }
    if (!checked || text.len > 0 || id.node == 0) {
        return damaged(path, "cut off", error);
    }
    *ret = id;
    return 0;
}

int identity_read(const char *path, struct identity *ret, struct error *error)
{
    uint8_t bytes[FILE_BYTES_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set(error, errno == ENOENT ? CLADE_ERR_NOT_FOUND : CLADE_ERR_IO, path,
                         "cannot be read: %s", strerror(errno));
    }
    size_t len = 0;
    ssize_t n = 1;
    while (len < sizeof bytes && n > 0) {
        n = read(fd, bytes + len, sizeof bytes - len);
        len += n > 0 ? (size_t)n : 0;
    }
    int e = errno;
    (void)close(fd);
    if (n < 0) {
        return error_set(error, CLADE_ERR_IO, path, "cannot be read: %s", strerror(e));
    }
    return identity_parse(span_make(bytes, len), path, ret, error);
}
