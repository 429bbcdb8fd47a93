#include "tests/sim/txn.h"

#include <inttypes.h>
#include <stdio.h>

#include "command/value.h"

static void put_pair(struct buffer *b, const char *key, const char *value)
{
    value_put_str(b, key);
    value_put_str(b, value);
}

static void put_head(struct buffer *b)
{
    value_put_str(b, "v");
    value_put_uint(b, 1);
}

void txn_begin(struct buffer *b, uint32_t operations)
{
    value_put_map(b, 2);
    put_head(b);
    value_put_str(b, "ops");
    value_put_array(b, operations);
}

void txn_begin_guarded(struct buffer *b, const char *ref, uint64_t revision, uint32_t operations)
{
    value_put_map(b, 3);
    put_head(b);
    value_put_str(b, "guards");
    value_put_array(b, 1);
    value_put_map(b, 3);
    put_pair(b, "guard", "unchanged");
    put_pair(b, "ref", ref);
    value_put_str(b, "revision");
    value_put_uint(b, revision);
    value_put_str(b, "ops");
    value_put_array(b, operations);
}

void txn_create(struct buffer *b, const char *kind, const char *name)
{
    value_put_map(b, 3);
    put_pair(b, "op", "create");
    put_pair(b, "kind", kind);
    put_pair(b, "name", name);
}

void txn_get_or_create(struct buffer *b, const char *kind, const char *name)
{
    value_put_map(b, 4);
    put_pair(b, "op", "create");
    put_pair(b, "kind", kind);
    put_pair(b, "name", name);
    put_pair(b, "if_exists", "return");
}

void txn_create_version(struct buffer *b, const char *model)
{
    value_put_map(b, 3);
    put_pair(b, "op", "create");
    put_pair(b, "kind", "version");
    put_pair(b, "model", model);
}

void txn_set_tag(struct buffer *b, const char *ref, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    value_put_map(b, 3);
    put_pair(b, "op", "update");
    put_pair(b, "ref", ref);
    value_put_str(b, "tags");
    value_put_map(b, 1);
    put_pair(b, "v", text);
}

void txn_set_alias(struct buffer *b, const char *version, const char *alias)
{
    value_put_map(b, 3);
    put_pair(b, "op", "set_alias");
    put_pair(b, "ref", version);
    put_pair(b, "alias", alias);
}

void txn_link(struct buffer *b, const char *from, const char *to, uint64_t weight)
{
    value_put_map(b, 5);
    put_pair(b, "op", "link");
    put_pair(b, "from", from);
    put_pair(b, "label", "contains");
    put_pair(b, "to", to);
    value_put_str(b, "props");
    value_put_map(b, 1);
    value_put_str(b, "weight");
    value_put_uint(b, weight);
}

void txn_log(struct buffer *b, const char *ref, uint64_t step)
{
    value_put_map(b, 4);
    put_pair(b, "op", "log");
    put_pair(b, "ref", ref);
    value_put_str(b, "params");
    value_put_map(b, 1);
    put_pair(b, "lr", "0.1");
    value_put_str(b, "metrics");
    value_put_array(b, 1);
    value_put_map(b, 2);
    put_pair(b, "key", "loss");
    value_put_str(b, "points");
    value_put_array(b, 1);
    value_put_array(b, 3);
    value_put_uint(b, step);
    value_put_uint(b, 1);
    value_put_double(b, 0.5);
}

void txn_delete_and_purge(struct buffer *b, const char *ref)
{
    value_put_map(b, 2);
    put_pair(b, "op", "delete");
    put_pair(b, "ref", ref);
    value_put_map(b, 2);
    put_pair(b, "op", "purge");
    put_pair(b, "ref", ref);
}

void txn_create_in(struct buffer *b, const char *kind, const char *name, const char *ns)
{
    value_put_map(b, 4);
    put_pair(b, "op", "create");
    put_pair(b, "kind", kind);
    put_pair(b, "name", name);
    put_pair(b, "namespace", ns);
}

void txn_create_namespace(struct buffer *b, const char *path, uint64_t retention_s)
{
    value_put_map(b, 4);
    put_pair(b, "op", "create");
    put_pair(b, "kind", "namespace");
    put_pair(b, "name", path);
    value_put_str(b, "retention_s");
    value_put_uint(b, retention_s);
}

void txn_unlink(struct buffer *b, const char *from, const char *to)
{
    value_put_map(b, 4);
    put_pair(b, "op", "unlink");
    put_pair(b, "from", from);
    put_pair(b, "label", "contains");
    put_pair(b, "to", to);
}

void txn_rename(struct buffer *b, const char *ref, const char *name)
{
    value_put_map(b, 3);
    put_pair(b, "op", "rename");
    put_pair(b, "ref", ref);
    put_pair(b, "name", name);
}

void txn_of(struct buffer *b, const char *op, const char *ref)
{
    value_put_map(b, 2);
    put_pair(b, "op", op);
    put_pair(b, "ref", ref);
}

void txn_compact(struct buffer *b, const char *ref, uint64_t before)
{
    value_put_map(b, 3);
    put_pair(b, "op", "compact");
    put_pair(b, "ref", ref);
    value_put_str(b, "before");
    value_put_uint(b, before);
}
