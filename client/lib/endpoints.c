#include <stdlib.h>

#include "lib/lib_internal.h"

static int parse_port(struct span text, uint16_t *ret)
{
    unsigned port = 0;
    if (text.len == 0 || text.len > 5) {
        return CLADE_ERR_INVALID;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return CLADE_ERR_INVALID;
        }
        port = port * 10 + (text.data[i] - '0');
    }
    if (port == 0 || port > UINT16_MAX) {
        return CLADE_ERR_INVALID;
    }
    *ret = (uint16_t)port;
    return 0;
}

static bool is_host_byte(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '[' && c != ']' && c != ',';
}

static int take_host(struct span host, bool bracketed, struct endpoint *e)
{
    if (host.len == 0 || host.len >= sizeof e->host) {
        return CLADE_ERR_INVALID;
    }
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_byte(host.data[i]) || (host.data[i] == ':' && !bracketed)) {
            return CLADE_ERR_INVALID;
        }
    }
    memcpy(e->host, host.data, host.len);
    e->host[host.len] = '\0';
    return 0;
}

int endpoint_parse(struct span text, struct endpoint *ret)
{
    bool bracketed = text.len > 0 && text.data[0] == '[';
    const uint8_t *colon = text.len == 0 ? NULL : memrchr(text.data, ':', text.len);
    if (colon == NULL) {
        return CLADE_ERR_INVALID;
    }
    struct span host = span_make(text.data, (size_t)(colon - text.data));
    struct span port = span_skip(text, host.len + 1);
    if (bracketed) {
        if (host.len < 2 || host.data[host.len - 1] != ']') {
            return CLADE_ERR_INVALID;
        }
        host = span_make(host.data + 1, host.len - 2);
    }
    struct endpoint e = {0};
    int rc = take_host(host, bracketed, &e);
    if (rc == 0) {
        rc = parse_port(port, &e.port);
    }
    if (rc == 0) {
        *ret = e;
    }
    return rc;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static size_t find(const struct endpoints *e, const struct endpoint *at)
{
    size_t i = 0;
    while (i < e->len && !endpoint_equal(&e->items[i], at)) {
        i++;
    }
    return i;
}

/* Its place, which is `len` when there was no room for a new one. */
static size_t find_or_add(struct endpoints *e, const struct endpoint *at)
{
    size_t i = find(e, at);
    if (i == e->len && e->len < ENDPOINTS_MAX) {
        e->items[e->len++] = *at;
    }
    return i;
}

static struct span trim(struct span s)
{
    while (s.len > 0 && s.data[0] == ' ') {
        s = span_skip(s, 1);
    }
    while (s.len > 0 && s.data[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

int endpoints_parse(struct endpoints *e, const char *text)
{
    e->len = 0;
    e->next = 0;
    struct span rest = span_of(text);
    for (;;) {
        const uint8_t *comma = rest.len == 0 ? NULL : memchr(rest.data, ',', rest.len);
        size_t n = comma == NULL ? rest.len : (size_t)(comma - rest.data);
        struct endpoint one;
        if (endpoint_parse(trim(span_make(rest.data, n)), &one) != 0) {
            return CLADE_ERR_INVALID;
        }
        if (find_or_add(e, &one) == ENDPOINTS_MAX) {
            return CLADE_ERR_INVALID;
        }
        if (comma == NULL) {
            e->configured = e->len;
            return 0;
        }
        rest = span_skip(rest, n + 1);
    }
}

void endpoints_learn(struct endpoints *e, const struct value *members)
{
    struct endpoint next = e->items[e->next];
    bool first = true;
    for (size_t i = 0; i < value_len(members); i++) {
        struct span text = value_string(value_get(value_at(members, i), "client"));
        struct endpoint one;
        if (endpoint_parse(text, &one) != 0) {
            continue;
        }
        if (first) {
            e->len = e->configured;
            first = false;
        }
        find_or_add(e, &one);
    }
    size_t at = find(e, &next);
    e->next = at == e->len ? 0 : at;
}

void endpoints_prefer(struct endpoints *e, const struct endpoint *at)
{
    size_t i = find_or_add(e, at);
    if (i < e->len) {
        e->next = i;
    }
}

void endpoints_rotate(struct endpoints *e, const struct endpoint *at)
{
    size_t i = find(e, at);
    e->next = i >= e->len - 1 ? 0 : i + 1;
}
