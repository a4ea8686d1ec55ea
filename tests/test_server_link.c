/* Links and the relay. */
#include "server_rig.h"

static const uint8_t datagram[RELAY_DATAGRAM_BYTES_MAX] = {1};

struct pair {
    struct rig_client a, b;
    uint32_t a_link, b_link;
};

static struct pair link_two(struct rig *r, bool a_tells, bool b_tells)
{
    struct pair p = {.a = rig_client(1), .b = rig_client(2)};
    rig_join(r, &p.a, 42, 0);
    rig_join(r, &p.b, 42, 0);
    rig_link(r, &p.a, 7, 0, a_tells);
    rig_link(r, &p.b, 7, 1, b_tells);
    p.a_link = rig_expect(r, &p.a.addr, FRAME_LINKED)->linked.link;
    p.b_link = rig_expect(r, &p.b.addr, FRAME_LINKED)->linked.link;
    return p;
}

static struct addr told(const struct frame *f)
{
    uint64_t mask = 0;
    for (int i = 7; i >= 0; i--)
        mask = mask << 8 | f->linked.token[i];
    struct addr none = {0};
    return f->linked.observed.family == ADDR_NONE ? none : addr_mask(&f->linked.observed, mask);
}

static void addresses_are_told_by_mutual_consent_only(void **state)
{
    (void)state;
    for (int consent = 0; consent < 4; consent++) {
        struct rig r;
        const bool both = consent == 3;
        const struct addr none = {0};
        rig_start(&r, NULL);
        struct pair p = link_two(&r, consent & 1, consent & 2);
        assert_int_equal(r.log_count, 2);
        const struct frame *to_a = rig_expect(&r, &p.a.addr, FRAME_LINKED),
                           *to_b = rig_expect(&r, &p.b.addr, FRAME_LINKED);
        const struct addr a = told(to_b), b = told(to_a);
        assert_true(addr_equal(&a, both ? &p.a.addr : &none));
        assert_true(addr_equal(&b, both ? &p.b.addr : &none));
        assert_int_equal(to_a->linked.proof, rig_proof(&p.a));
        assert_int_equal(to_b->linked.proof, rig_proof(&p.b));
        rig_stop(&r);
    }
}

static void consent_may_come_later_and_go(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    struct pair p = link_two(&r, true, false);
    rig_link(&r, &p.b, 7, 1, true);
    struct addr a = told(rig_expect(&r, &p.b.addr, FRAME_LINKED)), b = told(rig_expect(&r, &p.a.addr, FRAME_LINKED));
    assert_true(addr_equal(&a, &p.a.addr));
    assert_true(addr_equal(&b, &p.b.addr));
    rig_link(&r, &p.a, 7, 0, false);
    assert_int_equal(told(rig_expect(&r, &p.a.addr, FRAME_LINKED)).family, ADDR_NONE);
    rig_link(&r, &p.b, 7, 1, true);
    assert_int_equal(told(rig_expect(&r, &p.b.addr, FRAME_LINKED)).family, ADDR_NONE);
    rig_stop(&r);
}

static void a_repeated_link_is_answered_to_its_sender(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    struct pair p = link_two(&r, true, true);
    rig_link(&r, &p.a, 7, 0, true);
    assert_int_equal(r.log_count, 1);
    assert_int_equal(rig_expect(&r, &p.a.addr, FRAME_LINKED)->linked.link, p.a_link);
    rig_stop(&r);
}

static void one_cannot_link_to_oneself(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 0);
    rig_link(&r, &a, 7, 0, true);
    rig_link(&r, &a, 7, 1, true);
    assert_int_equal(r.log_count, 0);
    assert_int_equal(rig_stat(&r, "linked"), 0);
    rig_stop(&r);
}

/* A client that comes back under a new registration takes the place of its ghost. */
static void a_later_presentation_replaces_the_earlier(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client new = rig_client(3);
    rig_start(&r, NULL);
    struct pair p = link_two(&r, true, true);
    rig_join(&r, &new, 42, 0);
    rig_link(&r, &new, 7, 0, true);
    assert_int_equal(r.log_count, 2);
    const struct addr seen = told(rig_expect(&r, &p.b.addr, FRAME_LINKED));
    assert_true(addr_equal(&seen, &new.addr));
    assert_int_equal(rig_expect(&r, &p.b.addr, FRAME_LINKED)->linked.link, p.b_link); /* for B nothing else changed */

    rig_relay(&r, &p.b, p.b_link, datagram, 10);
    rig_expect(&r, &new.addr, FRAME_RELAY);
    assert_int_equal(r.log_count, 1);
    rig_relay(&r, &p.a, p.a_link, datagram, 10);
    assert_int_equal(rig_expect(&r, &p.a.addr, FRAME_REFUSED)->refused.code, REFUSED_UNKNOWN);
    assert_int_equal(r.log_count, 1);
    rig_stop(&r);
}

/* Fifteen answers to every refresh of every member would be many: who missed its Linked asks by Link. */
static void only_links_are_answered_again(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    struct pair p = link_two(&r, true, true);
    for (int by_link = 0; by_link < 2; by_link++) {
        struct frame f = rig_register_frame(&p.a, FORM_ROOM, 42);
        f.reg.link_count = 1;
        f.reg.links[0] = (struct relay_token){.may_tell = true};
        memset(f.reg.links[0].token, 7, RELAY_TOKEN_BYTES);
        struct frame link = {.kind = FRAME_LINK, .link = {.token = f.reg.links[0]}};
        memcpy(link.link.secret, p.a.secret, SECRET_BYTES);
        rig_send(&r, &p.a.addr, by_link ? &link : &f);
        assert_int_equal(rig_count(&r, &p.a.addr, FRAME_LINKED), by_link);
    }
    rig_stop(&r);
}

static void a_moved_address_is_told(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    struct pair p = link_two(&r, true, true);
    p.a.addr.port = 9999;
    assert_false(rig_register(&r, &p.a, FORM_ROOM, 42));
    const struct frame_retry retry = rig_expect(&r, &p.a.addr, FRAME_RETRY)->retry;
    assert_int_equal(rig_count(&r, &p.b.addr, FRAME_LINKED), 0);
    memcpy(p.a.cookie, retry.cookie, retry.cookie_size);
    assert_true(rig_register(&r, &p.a, FORM_ROOM, 42));
    const struct addr seen = told(rig_expect(&r, &p.b.addr, FRAME_LINKED));
    assert_true(addr_equal(&seen, &p.a.addr));
    rig_relay(&r, &p.b, p.b_link, datagram, 10);
    rig_expect(&r, &p.a.addr, FRAME_RELAY);
    rig_stop(&r);
}

/* ---- the end ---- */

static void links_go_with_their_registration(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    struct pair p = link_two(&r, true, true);
    struct frame leave = {.kind = FRAME_LEAVE, .leave = {.has_secret = true, .reason = LEAVE_QUIT}};
    memcpy(leave.leave.secret, p.a.secret, SECRET_BYTES);
    rig_send(&r, &p.a.addr, &leave);
    assert_int_equal(r.log_count, 0);
    rig_relay(&r, &p.b, p.b_link, datagram, 10);
    const struct frame *f = rig_expect(&r, &p.b.addr, FRAME_REFUSED);
    assert_int_equal(f->refused.code, REFUSED_UNKNOWN);
    assert_int_equal(f->refused.proof, rig_proof(&p.b));
    assert_int_equal(r.log_count, 1);
    rig_stop(&r);
}

/* A Register lists all sessions that its sender has. */
static void what_a_register_does_not_list_is_withdrawn(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    struct pair p = link_two(&r, false, false);
    for (int i = 0; i < 40; i++) {
        rig_wait(&r, VTIME_S(15));
        assert_true(rig_register(&r, &p.a, FORM_ROOM, 42));
        assert_true(rig_register(&r, &p.b, FORM_ROOM, 42));
    }
    rig_relay(&r, &p.a, p.a_link, datagram, 10);
    rig_expect(&r, &p.b.addr, FRAME_RELAY);
    p.b.link_count = 0;
    assert_true(rig_register(&r, &p.b, FORM_ROOM, 42));
    rig_relay(&r, &p.a, p.a_link, datagram, 10);
    assert_int_equal(r.log_count, 1);
    assert_int_equal(rig_expect(&r, &p.a.addr, FRAME_REFUSED)->refused.code, REFUSED_UNKNOWN);
    assert_int_equal(rig_stat(&r, "links"), 1); /* A's half waits */
    p.a.link_count = 0;
    assert_true(rig_register(&r, &p.a, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "links"), 0);
    rig_stop(&r);
}

/* ---- bounds ---- */

static void the_relay_has_a_quota(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    struct pair p = link_two(&r, false, false);

    /* A burst of 256 KiB, both ways together. */
    size_t passed = 0;
    for (int i = 0; i < 600; i++) {
        const bool from_a = i % 2 == 0;
        rig_relay(&r, from_a ? &p.a : &p.b, from_a ? p.a_link : p.b_link, datagram, 1000);
        passed += r.log_count;
    }
    assert_int_equal(passed, 262);

    /* Then 8,000 bytes a second, however often one asks. */
    passed = 0;
    for (int i = 0; i < 10000; i++) {
        rig_wait(&r, VTIME_MS(1));
        if (i % 3000 == 0)
            assert_true(rig_register(&r, &p.a, FORM_ROOM, 42));
        rig_relay(&r, &p.a, p.a_link, datagram, 1000);
        passed += rig_count(&r, &p.b.addr, FRAME_RELAY);
    }
    assert_in_range(passed, 79, 81);
    assert_int_equal(rig_stat(&r, "relayed_datagrams"), 262 + passed);
    assert_int_equal(rig_stat(&r, "relayed_bytes"), (262 + passed) * 1000);
    rig_stop(&r);
}

/* The largest datagram between peers fits the frame to the other side. */
static void the_largest_datagram_is_relayed(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    struct pair p = link_two(&r, false, false);
    rig_relay(&r, &p.a, p.a_link, datagram, RELAY_DATAGRAM_BYTES_MAX);
    assert_int_equal(rig_expect(&r, &p.b.addr, FRAME_RELAY)->relay.datagram.size, RELAY_DATAGRAM_BYTES_MAX);
    rig_stop(&r);
}

static void presentations_of_one_registration_are_bounded(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    struct pair p = link_two(&r, false, false);
    for (uint8_t token = 100; token < 115; token++) {
        rig_wait(&r, VTIME_MS(1));
        rig_link(&r, &p.a, token, 0, false);
    }
    assert_int_equal(rig_stat(&r, "links"), 16); /* fifteen sessions and one that is on its way */
    rig_relay(&r, &p.a, p.a_link, datagram, 10);
    rig_expect(&r, &p.b.addr, FRAME_RELAY);
    rig_wait(&r, VTIME_MS(1));
    rig_link(&r, &p.a, 200, 0, false);
    assert_int_equal(rig_stat(&r, "links"), 16);
    rig_relay(&r, &p.a, p.a_link, datagram, 10); /* it was used last: another one gave way */
    rig_expect(&r, &p.b.addr, FRAME_RELAY);
    rig_stop(&r);
}

static void a_full_table_of_links_is_told(void **state)
{
    (void)state;
    struct rig r;
    const struct server_config config = {.links_max = 1};
    rig_start(&r, &config);
    struct pair p = link_two(&r, false, false);
    rig_link(&r, &p.a, 8, 0, false);
    const struct frame *f = rig_expect(&r, &p.a.addr, FRAME_REFUSED);
    assert_int_equal(f->refused.code, REFUSED_BUSY);
    assert_int_equal(f->refused.proof, rig_proof(&p.a));
    rig_relay(&r, &p.a, p.a_link, datagram, 10);
    rig_expect(&r, &p.b.addr, FRAME_RELAY);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_told_by_mutual_consent_only),
        cmocka_unit_test(consent_may_come_later_and_go),
        cmocka_unit_test(a_repeated_link_is_answered_to_its_sender),
        cmocka_unit_test(one_cannot_link_to_oneself),
        cmocka_unit_test(a_later_presentation_replaces_the_earlier),
        cmocka_unit_test(only_links_are_answered_again),
        cmocka_unit_test(a_moved_address_is_told),
        cmocka_unit_test(links_go_with_their_registration),
        cmocka_unit_test(what_a_register_does_not_list_is_withdrawn),
        cmocka_unit_test(the_relay_has_a_quota),
        cmocka_unit_test(the_largest_datagram_is_relayed),
        cmocka_unit_test(presentations_of_one_registration_are_bounded),
        cmocka_unit_test(a_full_table_of_links_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
