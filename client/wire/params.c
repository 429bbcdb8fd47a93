#include "wire/message.h"

/* One parameter: what it is called and what it must be. */
enum shape { SHAPE_UINT, SHAPE_BOOL, SHAPE_TEXT, SHAPE_BYTES, SHAPE_ARRAY };

static bool has_shape(const struct value *v, enum shape shape)
{
    enum clade_type t = value_type(v);
    switch (shape) {
    case SHAPE_UINT:
        return t == CLADE_UINT;
    case SHAPE_BOOL:
        return t == CLADE_BOOL;
    case SHAPE_TEXT:
        return t == CLADE_STRING;
    case SHAPE_BYTES:
        return t == CLADE_BYTES;
    case SHAPE_ARRAY:
        return t == CLADE_ARRAY;
    }
    return false;
}

static const char *const shape_texts[] = {
    [SHAPE_UINT] = "an unsigned integer",
    [SHAPE_BOOL] = "a boolean",
    [SHAPE_TEXT] = "a string",
    [SHAPE_BYTES] = "binary",
    [SHAPE_ARRAY] = "an array",
};

/* *ret is the value of `key`, NULL when it is not there. */
static int find(const struct value *params,
                const char *key,
                enum shape shape,
                const struct value **ret,
                struct error *error)
{
    const struct value *v = value_get(params, key);
    if (v != NULL && !has_shape(v, shape)) {
        return error_set(error, CLADE_ERR_INVALID, key, "must be %s", shape_texts[shape]);
    }
    *ret = v;
    return 0;
}

static int find_uint(const struct value *params,
                     const char *key,
                     uint64_t *ret,
                     struct error *error)
{
    const struct value *v = NULL;
    int rc = find(params, key, SHAPE_UINT, &v, error);
    if (rc == 0) {
        *ret = value_uint(v);
    }
    return rc;
}

/* *ret stays as it is when the key is not there. */
static int find_bool(const struct value *params, const char *key, bool *ret, struct error *error)
{
    const struct value *v = NULL;
    int rc = find(params, key, SHAPE_BOOL, &v, error);
    if (rc == 0 && v != NULL) {
        *ret = value_bool(v);
    }
    return rc;
}

static int find_text(const struct value *params,
                     const char *key,
                     size_t bytes_max,
                     struct span *ret,
                     struct error *error)
{
    const struct value *v = NULL;
    int rc = find(params, key, SHAPE_TEXT, &v, error);
    if (rc != 0) {
        return rc;
    }
    struct span s = value_string(v);
    if (s.len > bytes_max) {
        return error_set(error, CLADE_ERR_INVALID, key, "%zu bytes; at most %zu are accepted",
                         s.len, bytes_max);
    }
    *ret = s;
    return 0;
}

static int check_keys(const struct value *params, const char *const known[], struct error *error)
{
    if (value_type(params) != CLADE_MAP) {
        return error_set(error, CLADE_ERR_INVALID, "params", "must be a map");
    }
    if (!value_keys_known(params, known, error)) {
        return CLADE_ERR_INVALID;
    }
    const struct value *deadline = NULL;
    return find(params, "deadline_ms", SHAPE_UINT, &deadline, error);
}

static int decode_versions(const struct value *params, bool *ret_version_1, struct error *error)
{
    const struct value *versions = NULL;
    int rc = find(params, "versions", SHAPE_ARRAY, &versions, error);
    if (rc != 0) {
        return rc;
    }
    if (versions == NULL) {
        return error_set(error, CLADE_ERR_INVALID, "versions", "is missing");
    }
    bool found = false;
    for (size_t i = 0; i < value_len(versions); i++) {
        if (value_type(value_at(versions, i)) != CLADE_UINT) {
            return error_set(error, CLADE_ERR_INVALID, "versions", "holds unsigned integers");
        }
        found = found || value_uint(value_at(versions, i)) == WIRE_VERSION;
    }
    *ret_version_1 = found;
    return 0;
}

int hello_decode(const struct value *params, struct hello_params *ret, struct error *error)
{
    static const char *const known[] = {"versions",     "client",      "namespace", "user",
                                        "on_behalf_of", "deadline_ms", NULL};
    struct hello_params p = {0};
    int rc = check_keys(params, known, error);
    if (rc == 0) {
        rc = decode_versions(params, &p.version_1, error);
    }
    if (rc == 0) {
        rc = find_text(params, "client", CLADE_MAX_PRINCIPAL_BYTES, &p.client, error);
    }
    if (rc == 0) {
        rc = find_text(params, "namespace", CLADE_MAX_NAMESPACE_BYTES, &p.ns, error);
    }
    if (rc == 0) {
        rc = find_text(params, "user", CLADE_MAX_PRINCIPAL_BYTES, &p.user, error);
    }
    if (rc == 0) {
        rc = find_text(params, "on_behalf_of", CLADE_MAX_PRINCIPAL_BYTES, &p.on_behalf_of, error);
    }
    if (rc == 0) {
        *ret = p;
    }
    return rc;
}

static int check_sequence(const struct txn_params *p, struct error *error)
{
    if (p->dry_run && (p->session != 0 || p->seq != 0)) {
        return error_set(error, CLADE_ERR_INVALID, "dry_run",
                         "what is only tried is of no session");
    }
    if (p->session == 0) {
        return p->seq == 0 && p->answered == 0
                   ? 0
                   : error_set(error, CLADE_ERR_INVALID, "session", "is missing beside seq");
    }
    if (p->seq == 0) {
        return error_set(error, CLADE_ERR_INVALID, "seq", "is missing, and counts from 1");
    }
    if (p->answered > p->seq) {
        return error_set(error, CLADE_ERR_INVALID, "answered", "is above seq");
    }
    return 0;
}

int txn_params_decode(const struct value *params, struct txn_params *ret, struct error *error)
{
    static const char *const known[] = {"command", "session",     "seq", "answered",
                                        "dry_run", "deadline_ms", NULL};
    struct txn_params p = {0};
    const struct value *command = NULL;
    int rc = check_keys(params, known, error);
    if (rc == 0) {
        rc = find(params, "command", SHAPE_BYTES, &command, error);
    }
    if (rc == 0 && command == NULL) {
        rc = error_set(error, CLADE_ERR_INVALID, "command", "is missing");
    }
    if (rc == 0) {
        rc = find_uint(params, "session", &p.session, error);
    }
    if (rc == 0) {
        rc = find_uint(params, "seq", &p.seq, error);
    }
    if (rc == 0) {
        rc = find_uint(params, "answered", &p.answered, error);
    }
    if (rc == 0) {
        rc = find_bool(params, "dry_run", &p.dry_run, error);
    }
    if (rc == 0) {
        rc = check_sequence(&p, error);
    }
    if (rc == 0) {
        p.command = value_bytes(command);
        *ret = p;
    }
    return rc;
}

int session_params_decode(enum method method,
                          const struct value *params,
                          struct session_params *ret,
                          struct error *error)
{
    static const char *const known_open[] = {"lease_ms", "deadline_ms", NULL};
    static const char *const known_close[] = {"session", "deadline_ms", NULL};
    bool opens = method == METHOD_SESSION_OPEN;
    struct session_params p = {0};
    int rc = check_keys(params, opens ? known_open : known_close, error);
    if (rc == 0) {
        rc = opens ? find_uint(params, "lease_ms", &p.lease_ms, error)
                   : find_uint(params, "session", &p.session, error);
    }
    if (rc == 0 && !opens && p.session == 0) {
        rc = error_set(error, CLADE_ERR_INVALID, "session", "is missing");
    }
    if (rc == 0) {
        *ret = p;
    }
    return rc;
}

int transfer_decode(const struct value *params, uint64_t *ret_to, struct error *error)
{
    static const char *const known[] = {"to", "deadline_ms", NULL};
    int rc = check_keys(params, known, error);
    return rc != 0 ? rc : find_uint(params, "to", ret_to, error);
}

static int decode_action(const struct value *params, enum member_action *ret, struct error *error)
{
    static const char *const names[] = {[ACTION_ADD] = "add",
                                        [ACTION_PROMOTE] = "promote",
                                        [ACTION_DEMOTE] = "demote",
                                        [ACTION_REMOVE] = "remove"};
    struct span text;
    int rc = find_text(params, "action", CLADE_MAX_NAME_BYTES, &text, error);
    if (rc != 0) {
        return rc;
    }
    for (unsigned i = 0; i < ACTION_COUNT; i++) {
        if (span_equal_str(text, names[i])) {
            *ret = (enum member_action)i;
            return 0;
        }
    }
    return error_set(error, CLADE_ERR_INVALID, "action", "is not add, promote, demote or remove");
}

/* What belongs to one action only is refused with the others: a mistake would go unseen. */
static int check_action(const struct value *params,
                        const struct member_params *p,
                        struct error *error)
{
    bool adds = p->action == ACTION_ADD;
    if (p->node == 0) {
        return error_set(error, CLADE_ERR_INVALID, "node", "is missing, and counts from 1");
    }
    if (adds && p->address.len == 0) {
        return error_set(error, CLADE_ERR_INVALID, "address", "is missing: HOST:PORT");
    }
    if (!adds && p->address.len > 0) {
        return error_set(error, CLADE_ERR_INVALID, "address", "only add takes it");
    }
    if (!adds && value_get(params, "promote") != NULL) {
        return error_set(error, CLADE_ERR_INVALID, "promote", "only add takes it");
    }
    return 0;
}

int member_params_decode(const struct value *params, struct member_params *ret, struct error *error)
{
    static const char *const known[] = {"action", "node",        "address", "promote",
                                        "wait",   "deadline_ms", NULL};
    struct member_params p = {.promote = true};
    int rc = check_keys(params, known, error);
    if (rc == 0) {
        rc = decode_action(params, &p.action, error);
    }
    if (rc == 0) {
        rc = find_uint(params, "node", &p.node, error);
    }
    if (rc == 0) {
        rc = find_text(params, "address", CLADE_MAX_ADDRESS_BYTES, &p.address, error);
    }
    if (rc == 0) {
        rc = find_bool(params, "promote", &p.promote, error);
    }
    if (rc == 0) {
        rc = find_bool(params, "wait", &p.wait, error);
    }
    if (rc == 0) {
        rc = check_action(params, &p, error);
    }
    if (rc == 0) {
        *ret = p;
    }
    return rc;
}

/* --- backup --- */

static int decode_backup_action(const struct value *params,
                                enum backup_action *ret,
                                struct error *error)
{
    static const char *const names[] = {[BACKUP_OPEN] = "open",
                                        [BACKUP_READ] = "read",
                                        [BACKUP_ENTRIES] = "entries",
                                        [BACKUP_CLOSE] = "close"};
    struct span text;
    int rc = find_text(params, "action", CLADE_MAX_NAME_BYTES, &text, error);
    if (rc != 0) {
        return rc;
    }
    for (unsigned i = 0; i < BACKUP_ACTION_COUNT; i++) {
        if (span_equal_str(text, names[i])) {
            *ret = (enum backup_action)i;
            return 0;
        }
    }
    return error_set(error, CLADE_ERR_INVALID, "action", "is not open, read, entries or close");
}

static int decode_backup_consistency(const struct value *params,
                                     struct backup_params *p,
                                     struct error *error)
{
    struct span text = {0};
    int rc = find_text(params, "consistency", CLADE_MAX_NAME_BYTES, &text, error);
    rc = rc != 0 ? rc : find_uint(params, "at_least", &p->at_least, error);
    if (rc != 0) {
        return rc;
    }
    p->consistency = CLADE_LINEARIZABLE;
    if (span_equal_str(text, "local")) {
        p->consistency = CLADE_LOCAL;
    } else if (span_equal_str(text, "at_least")) {
        p->consistency = CLADE_AT_LEAST;
    } else if (text.len > 0 && !span_equal_str(text, "linearizable")) {
        return error_set(error, CLADE_ERR_INVALID, "consistency",
                         "is not linearizable, at_least or local");
    }
    return 0;
}

static int check_backup(const struct backup_params *p, struct error *error)
{
    bool reads = p->action == BACKUP_READ || p->action == BACKUP_ENTRIES;
    if (p->id == 0) {
        return error_set(error, CLADE_ERR_INVALID, "id", "is missing, and is not 0");
    }
    if (reads && p->bytes == 0) {
        return error_set(error, CLADE_ERR_INVALID, "bytes", "is missing, and is not 0");
    }
    if (p->action == BACKUP_ENTRIES && p->until < p->after) {
        return error_set(error, CLADE_ERR_INVALID, "until", "is below after");
    }
    return 0;
}

int backup_params_decode(const struct value *params, struct backup_params *ret, struct error *error)
{
    static const char *const known[] = {"action",   "id",          "after", "until",
                                        "copy",     "offset",      "bytes", "consistency",
                                        "at_least", "deadline_ms", NULL};
    struct backup_params p = {.entries = false};
    const struct {
        const char *key;
        uint64_t *ret;
    } numbers[] = {{"id", &p.id},     {"after", &p.after},   {"until", &p.until},
                   {"copy", &p.copy}, {"offset", &p.offset}, {"bytes", &p.bytes}};
    int rc = check_keys(params, known, error);
    rc = rc != 0 ? rc : decode_backup_action(params, &p.action, error);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && rc == 0; i++) {
        rc = find_uint(params, numbers[i].key, numbers[i].ret, error);
    }
    rc = rc != 0 ? rc : decode_backup_consistency(params, &p, error);
    rc = rc != 0 ? rc : check_backup(&p, error);
    if (rc == 0) {
        p.entries = value_get(params, "after") != NULL;
        *ret = p;
    }
    return rc;
}

/* --- verify --- */

int verify_params_decode(const struct value *params, struct verify_params *ret, struct error *error)
{
    static const char *const known[] = {"action", "id", "index", "deadline_ms", NULL};
    static const char *const names[] = {
        [VERIFY_PIN] = "pin", [VERIFY_LOOK] = "look", [VERIFY_CLOSE] = "close"};
    struct verify_params p = {.action = VERIFY_ACTION_COUNT};
    struct span action = {0};
    int rc = check_keys(params, known, error);
    rc = rc != 0 ? rc : find_text(params, "action", CLADE_MAX_NAME_BYTES, &action, error);
    for (unsigned i = 0; i < VERIFY_ACTION_COUNT && rc == 0; i++) {
        p.action = span_equal_str(action, names[i]) ? (enum verify_action)i : p.action;
    }
    rc = rc != 0 ? rc : find_uint(params, "id", &p.id, error);
    rc = rc != 0 ? rc : find_uint(params, "index", &p.index, error);
    if (rc == 0 && p.action == VERIFY_ACTION_COUNT) {
        rc = error_set(error, CLADE_ERR_INVALID, "action", "is not pin, look or close");
    } else if (rc == 0 && p.id == 0) {
        rc = error_set(error, CLADE_ERR_INVALID, "id", "is missing or 0");
    } else if (rc == 0 && p.index != 0 && p.action != VERIFY_PIN) {
        rc = error_set(error, CLADE_ERR_INVALID, "index", "is for pin alone");
    }
    if (rc == 0) {
        *ret = p;
    }
    return rc;
}

int empty_params_decode(const struct value *params, struct error *error)
{
    static const char *const known[] = {"deadline_ms", NULL};
    return check_keys(params, known, error);
}

static int take_msgid(const struct value *params,
                      const char *const known[],
                      uint32_t *ret_msgid,
                      struct error *error)
{
    if (value_type(params) != CLADE_MAP) {
        return error_set(error, CLADE_ERR_INVALID, "params", "must be a map");
    }
    if (!value_keys_known(params, known, error)) {
        return CLADE_ERR_INVALID;
    }
    const struct value *msgid = value_get(params, "msgid");
    if (value_type(msgid) != CLADE_UINT || value_uint(msgid) > UINT32_MAX) {
        return error_set(error, CLADE_ERR_INVALID, "msgid", "must be an unsigned 32-bit integer");
    }
    *ret_msgid = (uint32_t)value_uint(msgid);
    return 0;
}

int cancel_decode(const struct value *params, uint32_t *ret_msgid, struct error *error)
{
    static const char *const known[] = {"msgid", NULL};
    return take_msgid(params, known, ret_msgid, error);
}

int credit_decode(const struct value *params,
                  uint32_t *ret_msgid,
                  uint64_t *ret_bytes,
                  struct error *error)
{
    static const char *const known[] = {"msgid", "bytes", NULL};
    uint32_t msgid;
    uint64_t bytes = 0;
    int rc = take_msgid(params, known, &msgid, error);
    rc = rc != 0 ? rc : find_uint(params, "bytes", &bytes, error);
    if (rc == 0) {
        *ret_msgid = msgid;
        *ret_bytes = bytes;
    }
    return rc;
}

uint64_t message_deadline_ms(const struct value *params)
{
    return value_uint(value_get(params, "deadline_ms"));
}
