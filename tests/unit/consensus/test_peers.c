/* Two and three meshes on one loop, over real sockets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/buffer.h"
#include "base/check.h"
#include "consensus/address.h"
#include "consensus/message.h"
#include "consensus/peer_frame.h"
#include "consensus/peers.h"

struct side {
    uint64_t id;
    char address[64];
    struct peers *peers;
    unsigned got;
    uint64_t got_from;
    char text[64];
    bool closed;
    uint64_t gone; /* the node that it takes for removed */
    unsigned removed;
    unsigned notices;
};

/* A resolver that answers from the loop, one at a time. */
struct resolver {
    struct peers_resolver base; /* first */
    uv_idle_t idle;
    struct {
        char address[64];
        void (*cb)(void *arg, int status, const struct sockaddr_storage *a);
        void *arg;
    } asked[64];
    size_t asked_len;
};

static void on_idle(uv_idle_t *idle)
{
    struct resolver *r = idle->data;
    size_t n = r->asked_len;
    r->asked_len = 0;
    for (size_t i = 0; i < n; i++) {
        struct address a;
        struct sockaddr_storage s;
        assert_int_equal(address_parse(r->asked[i].address, &a, NULL), 0);
        r->asked[i].cb(r->asked[i].arg, address_resolve(&a, &s, NULL), &s);
    }
}

static void resolve(struct peers_resolver *base,
                    const char *address,
                    void (*cb)(void *arg, int status, const struct sockaddr_storage *a),
                    void *arg)
{
    struct resolver *r = (struct resolver *)base;
    assert_true(r->asked_len < 64);
    (void)snprintf(r->asked[r->asked_len].address, 64, "%s", address);
    r->asked[r->asked_len].cb = cb;
    r->asked[r->asked_len].arg = arg;
    r->asked_len++;
}

static void on_message(void *arg, uint64_t from, struct span message)
{
    struct side *s = arg;
    s->got++;
    s->got_from = from;
    (void)snprintf(s->text, sizeof s->text, "%.*s", SPAN_FMT(message));
}

static bool on_is_gone(void *arg, uint64_t node)
{
    return ((struct side *)arg)->gone == node;
}

static void on_removed(void *arg, uint64_t by)
{
    ((struct side *)arg)->removed++;
}

static void on_notice(void *arg, bool is_warning, const char *what, uint64_t node)
{
    ((struct side *)arg)->notices++;
}

static void on_closed(void *arg)
{
    ((struct side *)arg)->closed = true;
}

struct mesh {
    uv_loop_t loop;
    struct resolver resolver;
    struct side sides[2];
};

/* A port that was free a moment ago. */
static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

static void open_side(struct mesh *m, int i, uint64_t id, uint64_t cluster)
{
    struct side *s = &m->sides[i];
    s->id = id;
    struct peers_options o = {.loop = &m->loop,
                              .listen = s->address,
                              .id = id,
                              .cluster = {.low = cluster},
                              .resolver = &m->resolver.base,
                              .on_message = on_message,
                              .is_gone = on_is_gone,
                              .on_removed = on_removed,
                              .on_notice = on_notice,
                              .arg = s};
    struct error e = {0};
    assert_int_equal(peers_new(&o, &s->peers, &e), 0);
}

static void tell_members(struct mesh *m, int i)
{
    struct group_member members[2] = {{.id = 1}, {.id = 2}};
    (void)snprintf(members[0].address, sizeof members[0].address, "%s", m->sides[0].address);
    (void)snprintf(members[1].address, sizeof members[1].address, "%s", m->sides[1].address);
    struct group_transport *t = peers_transport(m->sides[i].peers);
    t->set_members(t, members, 2);
}

static struct mesh *mesh_new(uint64_t cluster_0, uint64_t cluster_1)
{
    struct mesh *m = calloc(1, sizeof *m);
    assert_int_equal(uv_loop_init(&m->loop), 0);
    m->resolver.base.resolve = resolve;
    m->resolver.idle.data = &m->resolver;
    assert_int_equal(uv_idle_init(&m->loop, &m->resolver.idle), 0);
    assert_int_equal(uv_idle_start(&m->resolver.idle, on_idle), 0);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(m->sides[i].address, 64, "127.0.0.1:%d", free_port());
        open_side(m, i, (uint64_t)i + 1, i == 0 ? cluster_0 : cluster_1);
    }
    return m;
}

static bool is_connected(struct mesh *m, int i)
{
    struct group_transport *t = peers_transport(m->sides[i].peers);
    return t->is_connected(t, (uint64_t)(2 - i));
}

/* Runs the loop until the condition holds or ten seconds are over. */
#define RUN_UNTIL(m, condition)                                                                    \
    do {                                                                                           \
        uint64_t end = uv_hrtime() + UINT64_C(10000000000);                                        \
        while (!(condition) && uv_hrtime() < end) {                                                \
            (void)uv_run(&(m)->loop, UV_RUN_NOWAIT);                                               \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static void close_side(struct mesh *m, int i)
{
    struct side *s = &m->sides[i];
    s->closed = false;
    peers_close(s->peers, on_closed, s);
    RUN_UNTIL(m, s->closed);
}

static void mesh_free(struct mesh *m)
{
    for (int i = 0; i < 2; i++) {
        if (!m->sides[i].closed) {
            close_side(m, i);
        }
    }
    uv_close((uv_handle_t *)&m->resolver.idle, NULL);
    (void)uv_run(&m->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&m->loop), 0);
    free(m);
}

static void say(struct mesh *m, int i, const char *text)
{
    struct group_transport *t = peers_transport(m->sides[i].peers);
    t->send(t, (uint64_t)(2 - i), span_of(text));
}

static void members_find_each_other_and_talk(void **state)
{
    struct mesh *m = mesh_new(7, 7);
    tell_members(m, 0);
    tell_members(m, 1);
    RUN_UNTIL(m, is_connected(m, 0) && is_connected(m, 1));
    say(m, 0, "hello");
    say(m, 1, "and you");
    RUN_UNTIL(m, m->sides[0].got == 1 && m->sides[1].got == 1);
    assert_string_equal(m->sides[1].text, "hello");
    assert_string_equal(m->sides[0].text, "and you");
    assert_int_equal(m->sides[1].got_from, 1);
    mesh_free(m);
}

static void who_is_no_member_yet_is_answered_on_its_own_connection(void **state)
{
    struct mesh *m = mesh_new(7, 7);
    say(m, 1, "into the void"); /* there is no connection of any kind */
    tell_members(m, 0);
    RUN_UNTIL(m, is_connected(m, 0) && is_connected(m, 1));
    say(m, 1, "not asked");
    say(m, 0, "your vote?");
    RUN_UNTIL(m, m->sides[1].got == 1);
    say(m, 1, "granted");
    RUN_UNTIL(m, m->sides[0].got == 2);
    assert_string_equal(m->sides[0].text, "granted");
    assert_int_equal(m->sides[0].got_from, 2);
    close_side(m, 0);
    RUN_UNTIL(m, !is_connected(m, 1));
    say(m, 1, "into the void");
    open_side(m, 0, 1, 7);
    m->sides[0].closed = false;
    m->sides[0].got = 0;
    tell_members(m, 0);
    RUN_UNTIL(m, is_connected(m, 1));
    /* Known, it is sent to by a connection of our own. */
    tell_members(m, 1);
    RUN_UNTIL(m, is_connected(m, 1));
    say(m, 1, "hello");
    RUN_UNTIL(m, m->sides[0].got == 1);
    mesh_free(m);
}

static void what_does_not_fit_a_message_goes_to_no_stranger(void **state)
{
    struct mesh *m = mesh_new(7, 7);
    size_t len = PEER_MESSAGE_BYTES_MAX / 4 * 3;
    char *long_text = calloc(1, len);
    struct group_transport *t = peers_transport(m->sides[1].peers);
    tell_members(m, 0);
    RUN_UNTIL(m, is_connected(m, 1));
    for (int i = 0; i < 20; i++) {
        t->send(t, 1, span_make(long_text, len)); /* all but the first are dropped */
    }
    RUN_UNTIL(m, m->sides[0].got == 1);
    say(m, 1, "goes on");
    RUN_UNTIL(m, m->sides[0].got == 2);
    assert_string_equal(m->sides[0].text, "goes on");
    free(long_text);
    mesh_free(m);
}

static void a_lost_connection_is_made_again(void **state)
{
    struct mesh *m = mesh_new(7, 7);
    tell_members(m, 0);
    RUN_UNTIL(m, is_connected(m, 0));
    close_side(m, 1);
    RUN_UNTIL(m, !is_connected(m, 0));
    open_side(m, 1, 2, 7);
    RUN_UNTIL(m, is_connected(m, 0));
    say(m, 0, "again");
    RUN_UNTIL(m, m->sides[1].got == 1);
    m->sides[1].closed = false;
    mesh_free(m);
}

static void a_node_of_another_cluster_is_refused(void **state)
{
    struct mesh *m = mesh_new(7, 8);
    tell_members(m, 0);
    for (int i = 0; i < 2000; i++) {
        (void)uv_run(&m->loop, UV_RUN_NOWAIT);
        assert_false(is_connected(m, 0));
    }
    say(m, 0, "secret");
    assert_int_equal(m->sides[1].got, 0);
    mesh_free(m);
}

static void garbage_ends_its_connection_and_nothing_else(void **state)
{
    struct mesh *m = mesh_new(7, 7);
    tell_members(m, 0);
    tell_members(m, 1);
    RUN_UNTIL(m, is_connected(m, 0) && is_connected(m, 1));
    struct address a;
    struct sockaddr_storage to;
    assert_int_equal(address_parse(m->sides[1].address, &a, NULL), 0);
    assert_int_equal(address_resolve(&a, &to, NULL), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(struct sockaddr_in)), 0);
    char garbage[4096];
    memset(garbage, 0xfe, sizeof garbage);
    assert_int_equal(write(fd, garbage, sizeof garbage), sizeof garbage);
    int flags = MSG_DONTWAIT;
    char byte;
    RUN_UNTIL(m, recv(fd, &byte, 1, flags) == 0 || errno == ECONNRESET);
    (void)close(fd);
    say(m, 0, "still here");
    RUN_UNTIL(m, m->sides[1].got == 1);
    mesh_free(m);
}

static uint64_t refused(struct mesh *m, int i, enum peer_cause cause)
{
    uint64_t counts[PEER_CAUSE_COUNT];
    peers_refused(m->sides[i].peers, counts);
    return counts[cause];
}

static void a_removed_node_is_told_so_when_it_calls(void **state)
{
    struct mesh *m = mesh_new(7, 7);
    m->sides[1].gone = 1;
    tell_members(m, 0);
    RUN_UNTIL(m, m->sides[0].removed > 0);
    assert_false(is_connected(m, 0));
    assert_true(refused(m, 1, PEER_CAUSE_REMOVED) > 0);
    mesh_free(m);
}

static void a_node_that_is_removed_while_connected_is_told_too(void **state)
{
    struct mesh *m = mesh_new(7, 7);
    tell_members(m, 0);
    RUN_UNTIL(m, is_connected(m, 0));
    m->sides[1].gone = 1;
    say(m, 0, "news");
    RUN_UNTIL(m, m->sides[0].removed > 0);
    assert_int_equal(m->sides[1].got, 0);
    mesh_free(m);
}

/* Sends raw bytes to side 1 and waits until it ends the connection. */
static void send_raw(struct mesh *m, const void *bytes, size_t len)
{
    struct address a;
    struct sockaddr_storage to;
    char byte;
    assert_int_equal(address_parse(m->sides[1].address, &a, NULL), 0);
    assert_int_equal(address_resolve(&a, &to, NULL), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(struct sockaddr_in)), 0);
    assert_int_equal(write(fd, bytes, len), len);
    RUN_UNTIL(m, recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
    (void)close(fd);
}

/* A handshake as node `from` of the cluster, and one frame behind it whose length is `len`. */
static void put_call(struct buffer *b, uint64_t cluster, uint64_t from, uint64_t to)
{
    const struct peer_handshake h = {
        .version = PEER_PROTOCOL_VERSION, .cluster = {.low = cluster}, .from = from, .to = to};
    peer_handshake_put(b, &h);
}

static void what_a_stranger_sends_is_refused_counted_and_told_once(void **state)
{
    struct mesh *m = mesh_new(7, 7);
    struct buffer b;
    buffer_init(&b, 4096);
    for (int i = 0; i < 3; i++) {
        buffer_clear(&b);
        put_call(&b, 8, 9, 2);
        send_raw(m, b.data, b.len);
    }
    assert_int_equal(refused(m, 1, PEER_CAUSE_CLUSTER), 3);
    assert_int_equal(m->sides[1].notices, 1);
    buffer_clear(&b);
    put_call(&b, 7, 9, 5); /* looks for node 5 */
    send_raw(m, b.data, b.len);
    buffer_clear(&b);
    put_call(&b, 7, 2, 2); /* calls itself us */
    send_raw(m, b.data, b.len);
    assert_int_equal(refused(m, 1, PEER_CAUSE_NODE), 2);
    assert_int_equal(m->sides[1].notices, 2);
    /* A frame that is longer than a handshake, before one: not a byte of it is kept. */
    static const uint8_t long_frame[16] = {0, 0, 16, 0};
    send_raw(m, long_frame, sizeof long_frame);
    assert_int_equal(refused(m, 1, PEER_CAUSE_HANDSHAKE), 1);
    /* After one: too long, and with a wrong checksum. */
    static const uint8_t oversized[16] = {1, 0, 0x40, 0};
    buffer_clear(&b);
    put_call(&b, 7, 9, 2);
    buffer_append(&b, oversized, sizeof oversized);
    send_raw(m, b.data, b.len);
    static const uint8_t wrong[17] = {1};
    buffer_clear(&b);
    put_call(&b, 7, 9, 2);
    buffer_append(&b, wrong, sizeof wrong);
    send_raw(m, b.data, b.len);
    assert_int_equal(refused(m, 1, PEER_CAUSE_FRAME), 2);
    assert_int_equal(m->sides[1].got, 0);
    assert_int_equal(m->sides[1].notices, 4);
    buffer_release(&b);
    tell_members(m, 0);
    RUN_UNTIL(m, is_connected(m, 0)); /* and the cluster goes on */
    mesh_free(m);
}

static void addresses_are_parsed_or_refused(void **state)
{
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        const char *port;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1", "80"},
        {"[::1]:7400", "::1", "7400"},
        {"node-1.example:0", "node-1.example", "0"},
        {"", NULL, NULL},
        {":80", NULL, NULL},
        {"host", NULL, NULL},
        {"host:", NULL, NULL},
        {"host:70000", NULL, NULL},
        {"host:8o", NULL, NULL},
        {"::1:80", NULL, NULL},
        {"[]:80", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address a;
        int rv = address_parse(rows[i].text, &a, NULL);
        assert_int_equal(rv, rows[i].host == NULL ? CLADE_ERR_INVALID : 0);
        if (rv == 0) {
            assert_string_equal(a.host, rows[i].host);
            assert_string_equal(a.port, rows[i].port);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_find_each_other_and_talk),
        cmocka_unit_test(who_is_no_member_yet_is_answered_on_its_own_connection),
        cmocka_unit_test(what_does_not_fit_a_message_goes_to_no_stranger),
        cmocka_unit_test(a_lost_connection_is_made_again),
        cmocka_unit_test(a_node_of_another_cluster_is_refused),
        cmocka_unit_test(garbage_ends_its_connection_and_nothing_else),
        cmocka_unit_test(a_removed_node_is_told_so_when_it_calls),
        cmocka_unit_test(a_node_that_is_removed_while_connected_is_told_too),
        cmocka_unit_test(what_a_stranger_sends_is_refused_counted_and_told_once),
        cmocka_unit_test(addresses_are_parsed_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
