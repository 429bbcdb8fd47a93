#pragma once
/* The log entry: what Raft orders. One entry holds many commands of many clients.
 *
 * All integers little-endian.
 *     entry   0 u8  version (1)      1 u8 semantics level     2 u16 items (n)
 *             4 u32 elapsed_ms: monotonic milliseconds since this leader's previous entry of its
 *                   term, 0 for its first
 *             8 u64 stamp_us: the leader's wall clock
 *            16 n items, then zeros to a multiple of 8
 *     item    0 u32 length of the whole item          4 u8 item kind      5 u8 flags (0)
 *             6 u16 principal length    8 u16 on_behalf_of length   10 u16 namespace length
 *            12 u32 command length
 *            16 u64 node  24 u64 boot  32 u64 counter  (the proposal id)
 *            40 u64 session  48 u64 seq  56 u64 answered
 *            64 principal, on_behalf_of, namespace, command
 * The proposal id and everything before `command` were set by the node that accepted the command,
 * never by its client.
 */
#include "base/buffer.h"
#include "base/error.h"

#define ENTRY_VERSION      1
#define SEMANTICS_LEVEL    1
#define ENTRY_HEADER_BYTES 16
#define ITEM_HEADER_BYTES  64
#define ENTRY_ITEMS_MAX    65535
/* The three texts before the command have u16 lengths. */
#define ITEM_BYTES_MAX (ITEM_HEADER_BYTES + 3 * UINT16_MAX + CLADE_MAX_COMMAND_BYTES)
/* Of many small items, or of one. */
#define ENTRY_BYTES_MAX (2u << 20)

_Static_assert(ENTRY_HEADER_BYTES + ITEM_BYTES_MAX + 8 <= ENTRY_BYTES_MAX,
               "any item makes an entry");

struct proposal_id {
    uint64_t node;
    uint64_t boot;    /* random for each start of a node */
    uint64_t counter; /* from 1 in each boot */
};

enum item_kind {
    ITEM_TXN = 1,           /* command: a transaction */
    ITEM_SESSION_OPEN = 2,  /* command: u64 lease_ms */
    ITEM_SESSION_CLOSE = 3, /* session */
    ITEM_MEMBER = 4,        /* command: u64 node, then its client address as text */
    ITEM_MEMBER_WANTED = 5, /* command: u64 node, u8 wanted (1 to 3), then its peer address as text;
                               empty keeps what is there */
    ITEM_TICK = 6,          /* nothing: its entry lets the store go on with store_has_work */
    ITEM_RETAIN = 7         /* command: u64 ids of namespaces whose floors go to where their
                               retention has them (compact.h) */
};

/* What a member shall be. The numbers stand in logs and stores. */
enum member_wanted {
    MEMBER_AS_CONFIGURED = 0, /* nobody has said: as Raft's configuration has it */
    MEMBER_VOTER = 1,
    MEMBER_STANDBY = 2,
    MEMBER_REMOVED = 3 /* for ever: its id is not given again */
};

struct item {
    enum item_kind kind;
    struct proposal_id id;
    uint64_t session; /* 0 = none */
    uint64_t seq;
    uint64_t answered; /* every seq below it was answered */
    struct span principal;
    struct span on_behalf_of;
    struct span ns; /* the client's default namespace; len 0 = "default" */
    struct span command;
};

struct entry_header {
    uint8_t level;
    uint16_t items;
    uint32_t elapsed_ms;
    uint64_t stamp_us;
};

/* Bytes that the item takes in an entry. */
size_t item_bytes(const struct item *item);
/* Appends an item; lengths must be within clade.h's limits (checked at the edge). */
void item_encode(struct buffer *b, const struct item *item);
/* Decodes the item that `bytes` begin with; *ret borrows. Returns CLADE_ERR_CORRUPT with an
 * offset when it is malformed, or its command longer than CLADE_MAX_COMMAND_BYTES. */
int item_decode(struct span bytes, struct item *ret, size_t *ret_len, struct error *error);

/* Starts an entry: appends a header with n = 0. */
void entry_begin(struct buffer *b);
/* Pads, and writes the header over the first bytes. */
void entry_end(struct buffer *b, const struct entry_header *header);
/* Checks all of an entry: its header, that as many items follow at ENTRY_HEADER_BYTES and each
 * decodes, and that only padding is behind them. A level above SEMANTICS_LEVEL is
 * CLADE_ERR_UNSUPPORTED, whatever follows; anything malformed, or longer than ENTRY_BYTES_MAX,
 * CLADE_ERR_CORRUPT. */
int entry_check(struct span bytes, struct entry_header *ret, struct error *error);
