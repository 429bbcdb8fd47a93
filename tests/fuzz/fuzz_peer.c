/* What other members send: frames, handshakes, messages. */
#include "base/check.h"
#include "consensus/message.h"
#include "consensus/peer_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_make(data, size);
    struct span payload;
    size_t len = 0;
    struct peer_handshake h;
    struct peer_message m;
    if (peer_frame_parse(bytes, PEER_MESSAGE_BYTES_MAX, &payload, &len, NULL) == 0) {
        CHECK(len <= size);
    }
    (void)peer_handshake_decode(bytes, &h, NULL);
    if (peer_message_decode(bytes, &m, NULL) == 0) {
        struct buffer b;
        buffer_init(&b, size + 64);
        if ((int)m.type <= PEER_TIMEOUT_NOW) {
            bool append = m.type == PEER_APPEND_ENTRIES;
            CHECK(peer_put_raft(&b, &m.raft, append ? m.raft.append_entries.entries : NULL,
                                append ? m.raft.append_entries.n_entries : 0));
            CHECK(b.len == size);
        }
        buffer_release(&b);
        peer_message_release(&m);
    }
    return 0;
}
