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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
