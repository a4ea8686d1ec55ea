/* The server core, from the first Register to the relay. */
#include "server_rig.h"

static void a_chat_begins(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);

    rig_join(&r, &a, 42, 8);
    assert_int_equal(rig_stat(&r, "registrations"), 1);
    assert_int_equal(rig_stat(&r, "unvalidated"), 0);

    /* The newcomer's first packet brings both PeerInfos, the newcomer's first. */
    rig_stock(&b, 8);
    assert_true(rig_register(&r, &b, FORM_ROOM, 42));
    assert_int_equal(r.log_count, 3);
    assert_int_equal(r.log[0].frame.kind, FRAME_REGISTERED);
    assert_true(addr_equal(&r.log[1].to, &b.addr));
    assert_true(addr_equal(&r.log[2].to, &a.addr));
    const struct frame_peer_info to_b = r.log[1].frame.peer_info, to_a = r.log[2].frame.peer_info;
    assert_int_equal(to_b.handle, a.handle);
    assert_int_equal(to_a.handle, b.handle);
    assert_memory_equal(to_b.own_point, b.shares[0].point, 32);
    assert_memory_equal(&to_b.share, &a.shares[0], sizeof to_b.share);
    assert_memory_equal(to_a.own_point, a.shares[0].point, 32);
    assert_memory_equal(&to_a.share, &b.shares[0], sizeof to_a.share);

    assert_true(rig_register(&r, &b, FORM_ROOM, 42));
    assert_int_equal(r.log_count, 1);

    /* B has answered nothing yet, so PeerInfo goes in front of A's envelope. */
    const uint8_t envelope[] = "sealed";
    rig_signal(&r, &a, b.handle, a.shares[0].point, envelope, sizeof envelope);
    assert_int_equal(r.log_count, 2);
    rig_expect(&r, &b.addr, FRAME_PEER_INFO);
    const struct frame *f = rig_expect(&r, &b.addr, FRAME_SIGNAL);
    assert_int_equal(f->signal.handle, a.handle);
    assert_int_equal(f->signal.proof, rig_proof(&b));
    assert_false(f->signal.has_secret);
    assert_memory_equal(f->signal.point, a.shares[0].point, 32);
    assert_int_equal(f->signal.datagram.size, sizeof envelope);
    assert_memory_equal(f->signal.datagram.at, envelope, sizeof envelope);

    rig_link(&r, &a, 7, 0, true);
    assert_int_equal(r.log_count, 0);
    rig_link(&r, &b, 7, 1, true);
    assert_int_equal(r.log_count, 2);
    const uint32_t a_name = rig_expect(&r, &a.addr, FRAME_LINKED)->linked.link;
    const uint32_t b_name = rig_expect(&r, &b.addr, FRAME_LINKED)->linked.link;

    rig_relay(&r, &a, a_name, envelope, sizeof envelope);
    assert_int_equal(r.log_count, 1);
    f = rig_expect(&r, &b.addr, FRAME_RELAY);
    assert_int_equal(f->relay.link, b_name);
    assert_int_equal(f->relay.proof, rig_proof(&b));
    assert_memory_equal(f->relay.datagram.at, envelope, sizeof envelope);
    rig_stop(&r);
}

static void leave_is_said_to_everybody_at_the_end(void **state)
{
    (void)state;
    enum { MANY = 300 }; /* more than the queue holds */
    static struct rig_client c[MANY];
    struct rig r;
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < MANY; i++) {
        c[i] = rig_client(i);
        rig_join(&r, &c[i], 1000U + i, 0);
    }
    struct rig_client stranger = rig_client(500);
    assert_true(rig_register(&r, &stranger, FORM_ROOM, 42));

    r.log_count = 0;
    server_command(r.server, r.now, &(struct server_command){.kind = SERVER_COMMAND_SHUTDOWN});
    rig_drain(&r);
    assert_int_equal(r.log_count, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(rig_expect(&r, &c[i].addr, FRAME_LEAVE)->leave.proof, rig_proof(&c[i]));

    /* It is deaf from then on, and in no hurry. */
    rig_register(&r, &c[0], FORM_ROOM, 42);
    assert_int_equal(r.log_count, 0);
    assert_int_equal(server_deadline(r.server), VTIME_NEVER);
    rig_stop(&r);
}

/* Answers come from the address and socket that the client's newest packet came to. */
static void answers_come_from_where_it_was_asked(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 8);
    const struct addr local = addr_v4(192, 0, 2, 77, 0);
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    struct frame f = rig_register_frame(&a, FORM_ROOM, 42);
    size_t size = codec_encode(&f, bytes, sizeof bytes);
    r.log_count = 0;
    server_input(r.server, r.now, 3, &local, &a.addr, bytes, size);
    rig_drain(&r);
    assert_int_equal(r.log_count, 1);
    assert_int_equal(r.log[0].socket, 3);
    assert_true(addr_equal(&r.log[0].local, &local));

    rig_stock(&b, 8);
    assert_true(rig_register(&r, &b, FORM_ROOM, 42)); /* socket 0 */
    for (size_t i = 0; i < r.log_count; i++)
        assert_int_equal(r.log[i].socket, addr_equal(&r.log[i].to, &a.addr) ? 3 : 0);
    rig_stop(&r);
}

static void the_alternate_port_is_told(void **state)
{
    (void)state;
    struct server_config config[3] = {{0}, {.alternate_port = 41415}, {.alternate_port = 41415}};
    static const uint8_t families[3] = {ADDR_NONE, ADDR_NONE, ADDR_V6};
    for (uint8_t i = 0; i < 4; i++) /* two addresses, two ports each */
        config[2].sockets[config[2].socket_count++] =
            (struct addr){.family = ADDR_V6,
                          .ip = {0x20, 1, 0xd, 0xb8, [15] = (uint8_t)(8 + i / 2)},
                          .port = (uint16_t)(41414 + i % 2)};
    for (int i = 0; i < 3; i++) {
        struct rig r;
        struct rig_client a = rig_client(1);
        rig_start(&r, &config[i]);
        a.addr = (struct addr){.family = ADDR_V6, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 65535};
        assert_true(rig_register(&r, &a, FORM_ROOM, ROOM_NUMBER_MAX));
        const struct frame *f = rig_expect(&r, &a.addr, FRAME_REGISTERED);
        assert_int_equal(f->registered.alternate.port, config[i].alternate_port);
        assert_int_equal(f->registered.alternate.family, families[i]);
        assert_int_equal(f->registered.alternate.ip[15], families[i] == ADDR_V6 ? 9 : 0);
        assert_int_equal(f->registered.lease_s, 60);
        assert_true(r.log[0].size <= REGISTERED_BYTES_MAX);
        rig_stop(&r);
    }
}

/* None of these is answered, and all are counted. */
static void what_is_not_for_a_server_is_dropped(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1);
    const struct frame frames[] = {
        {.kind = FRAME_REGISTERED,
         .registered = {.token = 1, .handle = 1, .cookie_size = 1, .lease_s = 60, .observed = addr_v4(1, 2, 3, 4, 5)}},
        {.kind = FRAME_RETRY, .retry = {.token = 1, .cookie_size = 1}},
        {.kind = FRAME_LEAVE, .leave = {.proof = 1, .reason = LEAVE_QUIT}},
        {.kind = FRAME_REFUSED, .refused = {.token = 1, .code = REFUSED_BUSY}},
        {.kind = FRAME_SEALED, .sealed = {.ciphertext = {(const uint8_t[17]){0}, 17}}},
        {.kind = FRAME_SIGNAL, .signal = {.proof = 5, .handle = 5, .datagram = {(const uint8_t *)"x", 1}}},
        {.kind = FRAME_RELAY, .relay = {.proof = 5, .link = 5, .datagram = {(const uint8_t *)"x", 1}}},
    };
    rig_start(&r, NULL);
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        rig_send(&r, &a.addr, &frames[i]);
        assert_int_equal(r.log_count, 0);
    }
    assert_int_equal(rig_stat(&r, "decode_ok"), sizeof frames / sizeof frames[0]);
    assert_int_equal(rig_stat(&r, "dropped_not_for_server"), 4);

    const uint8_t garbage[DATAGRAM_BYTES_MAX + 1] = {0};
    rig_input(&r, &a.addr, garbage, sizeof garbage);
    rig_input(&r, &a.addr, garbage, 0);
    assert_int_equal(rig_stat(&r, "decode_size"), 2);
    rig_input(&r, &a.addr, garbage, 100);
    assert_int_equal(rig_stat(&r, "decode_protocol"), 1);
    rig_stop(&r);
}

/* Nothing is sent to a source that no packet can come from. */
static void impossible_sources_are_dropped(void **state)
{
    (void)state;
    struct rig r;
    const struct addr sources[] = {addr_v4(0, 0, 0, 0, 5),
                                   addr_v4(224, 0, 0, 1, 5),
                                   addr_v4(255, 255, 255, 255, 5),
                                   addr_v4(192, 0, 2, 1, 0),
                                   {0}};
    rig_start(&r, NULL);
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        struct rig_client c = rig_client(1);
        c.addr = sources[i];
        assert_false(rig_register(&r, &c, FORM_ROOM, 42));
        assert_int_equal(r.log_count, 0);
    }
    assert_int_equal(rig_stat(&r, "dropped_wrong_source"), sizeof sources / sizeof sources[0]);
    rig_stop(&r);
}

/* The queue is bounded; what does not fit is lost and counted, and nothing else breaks. */
static void a_shell_that_does_not_poll_loses_datagrams(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 200; i++) {
        struct rig_client c = rig_client(i);
        uint8_t bytes[DATAGRAM_BYTES_MAX];
        struct frame f = rig_register_frame(&c, FORM_ROOM, 42);
        server_input(r.server, r.now, 0, &c.addr, &c.addr, bytes, codec_encode(&f, bytes, sizeof bytes));
    }
    r.log_count = 0;
    rig_drain(&r);
    assert_int_equal(r.log_count, 128);
    assert_int_equal(rig_stat(&r, "dropped_queue_full"), 72);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_begins),
        cmocka_unit_test(leave_is_said_to_everybody_at_the_end),
        cmocka_unit_test(answers_come_from_where_it_was_asked),
        cmocka_unit_test(the_alternate_port_is_told),
        cmocka_unit_test(what_is_not_for_a_server_is_dropped),
        cmocka_unit_test(impossible_sources_are_dropped),
        cmocka_unit_test(a_shell_that_does_not_poll_loses_datagrams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
