/* clade: what the server bounds. Included by clade.h. */
#ifndef CLADE_LIMITS_H
#define CLADE_LIMITS_H

/* name, value, unit, text. The server enforces them; `clade limits` prints them. */
/* clang-format off */
#define CLADE_LIMITS(X)                                                                            \
    X(NAME_BYTES,         1024,    "bytes", "a thing's name")                                      \
    X(NAMESPACE_BYTES,    256,     "bytes", "a namespace's path")                                  \
    X(LABEL_BYTES,        128,     "bytes", "an edge's label")                                     \
    X(ALIAS_BYTES,        128,     "bytes", "an alias")                                            \
    X(ALIASES,            1000,    "count", "aliases of a model")                                  \
    X(STAGE_BYTES,        128,     "bytes", "a stage's name")                                      \
    X(STAGES,             32,      "count", "stages of a namespace")                               \
    X(DISPLACED,          1000,    "count", "versions that one set_stage displaces")               \
    X(TARGETS,            64,      "count", "targets of a deployment")                             \
    X(REFERENCE_BYTES,    2304,    "bytes", "a reference")                                         \
    X(TEXT_BYTES,         65536,   "bytes", "a description, a reason")                             \
    X(PRINCIPAL_BYTES,    256,     "bytes", "a user's name")                                       \
    X(TAG_KEY_BYTES,      256,     "bytes", "a tag's key")                                         \
    X(TAG_VALUE_BYTES,    8192,    "bytes", "a tag's value")                                       \
    X(TAGS,               512,     "count", "tags of a thing")                                     \
    X(DIGEST_BYTES,       256,     "bytes", "a digest, ALGO:VALUE")                                \
    X(DIGESTS,            16,      "count", "digests of a thing")                                  \
    X(URI_BYTES,          4096,    "bytes", "a uri")                                               \
    X(URIS,               64,      "count", "uris of a thing")                                     \
    X(PROP_KEY_BYTES,     256,     "bytes", "a prop's key")                                        \
    X(PROP_BYTES,         65536,   "bytes", "a prop's value, as it is stored")                     \
    X(PROPS,              512,     "count", "props of a thing")                                    \
    X(PROP_JSON_DEPTH,    64,      "levels", "nesting of a prop's JSON")                           \
    X(TYPE_FIELDS,        512,     "count", "fields of a type")                                    \
    X(UNIT_BYTES,         64,      "bytes", "the unit of a type's field")                          \
    X(EXTERNAL_ID_BYTES,  1024,    "bytes", "an external id, SYSTEM:ID")                           \
    X(EXTERNAL_IDS,       64,      "count", "external ids of a thing")                             \
    X(ADDRESS_BYTES,      262,     "bytes", "a node's address, HOST:PORT")                         \
    X(PARAM_KEY_BYTES,    256,     "bytes", "a param's key")                                       \
    X(PARAM_VALUE_BYTES,  8192,    "bytes", "a param's value")                                     \
    X(PARAMS,             10000,   "count", "params of a thing")                                   \
    X(METRIC_KEY_BYTES,   256,     "bytes", "a metric's key")                                      \
    X(SERIES,             10000,   "count", "metric series of a thing")                            \
    X(RECORD_BYTES,       262144,  "bytes", "a thing with all of its fields")                      \
    X(COMMAND_BYTES,      1048576, "bytes", "a transaction")                                       \
    X(OPERATIONS,         10000,   "count", "operations of a transaction")                         \
    X(GUARDS,             1000,    "count", "guards of a transaction")                             \
    X(QUERY_BYTES,        16384,   "bytes", "a query in text")                                      \
    X(MATCH_STEPS,        16000000, "count", "bytes and characters that a transaction's guards compare") \
    X(CYCLE_EDGES,        1000000, "count", "edges that a transaction's search for cycles visits") \
    X(GET_REFERENCES,     10000,   "count", "references of one get")                               \
    X(FRAME_BYTES,        2097152, "bytes", "a request on the wire")                               \
    X(ANSWER_BYTES,       8388608, "bytes", "an answer on the wire")                               \
    X(PAGE_ITEMS,         10000,   "count", "items of one page of an answer")                      \
    X(DOCUMENT_DEPTH,     16,      "levels", "nesting of a request")                               \
    X(DOCUMENT_OBJECTS,   262144,  "count", "values in a request")                                 \
    X(SESSIONS,           100000,  "count", "open sessions of a cluster")                          \
    X(SESSION_WINDOW,     4096,    "count", "unacknowledged writes of a session")                  \
    X(CURSOR_MINUTES,     15,      "minutes", "the life of a cursor")                              \
    X(REQUESTS,           4096,    "count", "requests in flight on a connection")
/* clang-format on */

enum clade_limit {
#define CLADE_LIMIT_ENUM(name, value, unit, text) CLADE_MAX_##name = (value),
    CLADE_LIMITS(CLADE_LIMIT_ENUM)
#undef CLADE_LIMIT_ENUM
};

#endif
