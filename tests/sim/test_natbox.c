/* The NATs of the simulator against the words of RFC 4787, sections 4 and 5, and against what was measured of
 * Linux's MASQUERADE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "natbox.h"

static struct addr outside(void)
{
    return addr_v4(203, 0, 113, 1, 0);
}

static struct addr inside(uint16_t port)
{
    return addr_v4(192, 168, 1, 2, port);
}

static struct addr remote(uint8_t host, uint16_t port)
{
    return addr_v4(198, 51, 100, host, port);
}

static struct natbox *box_of(const struct natbox_config *config)
{
    struct addr o = outside();
    return natbox_new(config, &o, (struct dice){.state = 7});
}

/* The outside port that a packet from inside(from) to `to` gets; 0: dropped. */
static uint16_t out(struct natbox *n, vtime_us now, uint16_t from, struct addr to)
{
    struct addr src = inside(from), o = outside();
    if (natbox_outbound(n, now, &src, &to) != NATBOX_PASS)
        return 0;
    assert_true(addr_ip_equal(&src, &o));
    return src.port;
}

static enum natbox_verdict in(struct natbox *n, vtime_us now, struct addr from, uint16_t port, uint16_t expect_inside)
{
    struct addr dst = outside(), want = inside(expect_inside);
    dst.port = port;
    enum natbox_verdict v = natbox_inbound(n, now, &from, &dst);
    if (v == NATBOX_PASS)
        assert_true(addr_equal(&dst, &want));
    return v;
}

static void test_mapping_types(void **state)
{
    (void)state;
    static const struct {
        enum natbox_kind mapping;
        bool same_for_other_port, same_for_other_address;
    } rows[] = {
        {NATBOX_EI, true, true},
        {NATBOX_AD, true, false},
        {NATBOX_APD, false, false},
    };
    static const enum natbox_ports policies[] = {NATBOX_PRESERVE, NATBOX_SEQUENTIAL, NATBOX_RANDOM};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t p = 0; p < 3; p++) {
            struct natbox *n = box_of(
                &(struct natbox_config){.mapping = rows[i].mapping, .filtering = NATBOX_EI, .ports = policies[p]});
            uint16_t first = out(n, 1, 5000, remote(1, 10));
            assert_int_not_equal(first, 0);
            assert_int_equal(first, out(n, 2, 5000, remote(1, 10)));
            assert_int_equal(first == out(n, 3, 5000, remote(1, 11)), rows[i].same_for_other_port);
            assert_int_equal(first == out(n, 4, 5000, remote(2, 10)), rows[i].same_for_other_address);
            assert_int_not_equal(first, out(n, 5, 5001, remote(1, 10)));
            if (policies[p] == NATBOX_PRESERVE)
                assert_int_equal(first, 5000);
            natbox_free(n);
        }
}

static void test_filtering_types(void **state)
{
    (void)state;
    static const struct {
        enum natbox_kind filtering;
        bool other_port, other_address;
    } rows[] = {
        {NATBOX_EI, true, true},
        {NATBOX_AD, true, false},
        {NATBOX_APD, false, false},
    };
    static const enum natbox_kind mappings[] = {NATBOX_EI, NATBOX_AD, NATBOX_APD};
    for (size_t i = 0; i < 3; i++)
        for (size_t m = 0; m < 3; m++) {
            struct natbox *n = box_of(&(struct natbox_config){.mapping = mappings[m], .filtering = rows[i].filtering});
            uint16_t port = out(n, 1, 5000, remote(1, 10));
            assert_int_equal(in(n, 2, remote(1, 10), port, 5000), NATBOX_PASS);
            assert_int_equal(in(n, 2, remote(1, 11), port, 5000) == NATBOX_PASS, rows[i].other_port);
            assert_int_equal(in(n, 2, remote(2, 10), port, 5000) == NATBOX_PASS, rows[i].other_address);
            assert_int_equal(in(n, 2, remote(1, 10), (uint16_t)(port + 1), 0), NATBOX_UNMAPPED);
            natbox_free(n);
        }
}

static void test_firewall_translates_nothing(void **state)
{
    (void)state;
    struct natbox *n = box_of(&natbox_firewall);
    struct addr src = inside(5000), dst = remote(1, 10), back = inside(5000), other = inside(5001);
    assert_int_equal(natbox_inbound(n, 1, &dst, &back), NATBOX_UNMAPPED);
    assert_int_equal(natbox_outbound(n, 2, &src, &dst), NATBOX_PASS);
    assert_int_equal(src.port, 5000);
    assert_true(addr_equal(&src, &back));
    assert_int_equal(natbox_inbound(n, 3, &dst, &back), NATBOX_PASS);
    assert_int_equal(natbox_inbound(n, 3, &dst, &other), NATBOX_UNMAPPED);
    struct addr stranger = remote(1, 11);
    assert_int_equal(natbox_inbound(n, 3, &stranger, &back), NATBOX_FILTERED);
    natbox_free(n);
}

static void test_sequential_ports(void **state)
{
    (void)state;
    struct natbox *n = box_of(&(struct natbox_config){.mapping = NATBOX_APD,
                                                      .filtering = NATBOX_APD,
                                                      .ports = NATBOX_SEQUENTIAL,
                                                      .step = 2,
                                                      .port_first = 40000,
                                                      .port_last = 40009});
    uint16_t last = out(n, 1, 5000, remote(1, 1));
    for (uint16_t i = 2; i <= 5; i++) {
        uint16_t port = out(n, 1, 5000, remote(1, i));
        assert_true(port >= 40000 && port <= 40009);
        assert_int_equal((port - last + 10) % 10, 2);
        last = port;
    }
    natbox_free(n);
}

static void test_runs_out_of_ports(void **state)
{
    (void)state;
    static const enum natbox_ports policies[] = {NATBOX_SEQUENTIAL, NATBOX_RANDOM};
    for (size_t p = 0; p < 2; p++) {
        struct natbox *n = box_of(&(struct natbox_config){.mapping = NATBOX_APD,
                                                          .filtering = NATBOX_APD,
                                                          .ports = policies[p],
                                                          .port_first = 40000,
                                                          .port_last = 40007});
        uint8_t seen[8] = {0};
        for (uint16_t i = 1; i <= 8; i++)
            seen[out(n, 1, 5000, remote(1, i)) - 40000]++;
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(seen[i], 1);
        assert_int_equal(out(n, 1, 5000, remote(1, 9)), 0);
        assert_int_not_equal(out(n, VTIME_S(121), 5000, remote(1, 9)), 0);
        natbox_free(n);
    }
}

static void test_flows_max(void **state)
{
    (void)state;
    struct natbox *n = box_of(&(struct natbox_config){
        .mapping = NATBOX_APD, .filtering = NATBOX_APD, .flows_max = 3, .timeout_us = VTIME_S(10)});
    for (uint16_t i = 1; i <= 3; i++)
        assert_int_not_equal(out(n, i, 5000, remote(1, i)), 0);
    assert_int_equal(out(n, 4, 5000, remote(1, 4)), 0);
    assert_int_not_equal(out(n, 5, 5000, remote(1, 3)), 0);
    assert_int_equal(natbox_flows(n, VTIME_S(9)), 3);
    assert_int_not_equal(out(n, VTIME_S(10) + 2, 5000, remote(1, 4)), 0);
    assert_int_equal(natbox_flows(n, VTIME_S(10) + 3), 2); /* 3 was used at 5 us, 4 is new */
    natbox_free(n);
}

static void test_timeouts(void **state)
{
    (void)state;
    struct natbox *n = box_of(&(struct natbox_config){
        .mapping = NATBOX_EI, .filtering = NATBOX_APD, .timeout_us = VTIME_S(30), .timeout_stream_us = VTIME_S(120)});
    uint16_t port = out(n, 0, 5000, remote(1, 10));
    assert_int_equal(in(n, VTIME_S(30), remote(1, 10), port, 5000), NATBOX_UNMAPPED);
    port = out(n, VTIME_S(40), 5000, remote(1, 10));
    assert_int_equal(in(n, VTIME_S(69), remote(1, 10), port, 5000), NATBOX_PASS);
    assert_int_equal(in(n, VTIME_S(188), remote(1, 10), port, 5000), NATBOX_PASS);
    assert_int_equal(in(n, VTIME_S(309), remote(1, 10), port, 5000), NATBOX_UNMAPPED);
    natbox_free(n);

    /* RFC 4787 REQ-6: only outbound refresh is required. */
    n = box_of(&(struct natbox_config){
        .mapping = NATBOX_EI, .filtering = NATBOX_EI, .timeout_us = VTIME_S(30), .outbound_only = true});
    port = out(n, 0, 5000, remote(1, 10));
    assert_int_equal(in(n, VTIME_S(29), remote(1, 10), port, 5000), NATBOX_PASS);
    assert_int_equal(in(n, VTIME_S(31), remote(1, 10), port, 5000), NATBOX_UNMAPPED);
    natbox_free(n);
}

/* One mapping serves several remotes; each has its own permission, and the mapping lives as long as any. */
static void test_permissions_run_out_apart(void **state)
{
    (void)state;
    struct natbox *n = box_of(&(struct natbox_config){
        .mapping = NATBOX_EI, .filtering = NATBOX_APD, .ports = NATBOX_RANDOM, .timeout_us = VTIME_S(30)});
    uint16_t port = out(n, 0, 5000, remote(1, 10));
    assert_int_equal(out(n, VTIME_S(20), 5000, remote(2, 10)), port);
    assert_int_equal(in(n, VTIME_S(40), remote(1, 10), port, 5000), NATBOX_FILTERED);
    assert_int_equal(in(n, VTIME_S(40), remote(2, 10), port, 5000), NATBOX_PASS);
    assert_int_equal(out(n, VTIME_S(69), 5000, remote(3, 10)), port);
    natbox_free(n);
}

static void test_masquerade_keeps_the_port_for_everybody(void **state)
{
    (void)state;
    struct natbox *n = box_of(&natbox_masquerade);
    assert_int_equal(out(n, 1, 5000, remote(1, 10)), 5000);
    assert_int_equal(out(n, 1, 5000, remote(2, 10)), 5000);
    /* Another machine with the same port, to the same remote: the tuple is taken. To a new one it is not. */
    struct addr other = addr_v4(192, 168, 1, 3, 5000), to = remote(1, 10), again = other;
    assert_int_equal(natbox_outbound(n, 2, &other, &to), NATBOX_PASS);
    assert_int_not_equal(other.port, 5000);
    to = remote(3, 10);
    assert_int_equal(natbox_outbound(n, 2, &again, &to), NATBOX_PASS);
    assert_int_equal(again.port, 5000);
    assert_int_equal(in(n, 3, remote(1, 10), 5000, 5000), NATBOX_PASS);
    assert_int_equal(in(n, 3, remote(1, 11), 5000, 5000), NATBOX_UNMAPPED);
    natbox_free(n);
}

static void test_open_input_poisons_a_port(void **state)
{
    (void)state;
    struct natbox *n = box_of(&natbox_masquerade);
    assert_int_equal(in(n, 1, remote(1, 10), 5000, 0), NATBOX_UNMAPPED);
    assert_int_equal(out(n, 2, 5000, remote(1, 10)), 5000);
    natbox_free(n);

    n = box_of(&natbox_masquerade_open);
    assert_int_equal(in(n, 1, remote(1, 10), 5000, 0), NATBOX_UNMAPPED);
    uint16_t port = out(n, 2, 5000, remote(1, 10));
    assert_int_not_equal(port, 5000);
    assert_int_equal(out(n, 2, 5000, remote(2, 10)), 5000); /* only that remote's tuple is taken */
    /* Every retry on the same ports keeps it alive, */
    assert_int_equal(in(n, VTIME_S(29), remote(1, 10), 5000, 0), NATBOX_UNMAPPED);
    assert_int_equal(out(n, VTIME_S(29), 5000, remote(1, 10)), port);
    assert_int_equal(in(n, VTIME_S(58), remote(1, 10), 5000, 0), NATBOX_UNMAPPED);
    /* a fresh port is free of it. */
    assert_int_equal(out(n, VTIME_S(58), 5001, remote(1, 10)), 5001);
    natbox_free(n);

    n = box_of(&natbox_masquerade_open);
    assert_int_equal(out(n, 1, 5000, remote(1, 10)), 5000); /* who opens first is not harmed */
    assert_int_equal(in(n, 2, remote(1, 10), 5000, 5000), NATBOX_PASS);
    natbox_free(n);
}

static void test_rebind(void **state)
{
    (void)state;
    struct natbox *n = box_of(&natbox_cone);
    uint16_t port = out(n, 1, 5000, remote(1, 10));
    natbox_rebind(n, NULL);
    assert_int_equal(in(n, 2, remote(1, 10), port, 5000), NATBOX_UNMAPPED);
    uint16_t fresh = out(n, 3, 5000, remote(1, 10));
    assert_int_not_equal(fresh, port);
    assert_int_equal(in(n, 4, remote(1, 10), fresh, 5000), NATBOX_PASS);
    struct addr moved = addr_v4(203, 0, 113, 99, 0), src = inside(5000), dst = remote(1, 10);
    natbox_rebind(n, &moved);
    assert_int_equal(natbox_outbound(n, 5, &src, &dst), NATBOX_PASS);
    assert_true(addr_ip_equal(&src, &moved));
    natbox_free(n);
}

static void test_would_pass_leaves_no_trace(void **state)
{
    (void)state;
    struct natbox *n = box_of(&natbox_masquerade_open);
    struct addr dst = outside(), from = remote(1, 10);
    dst.port = 5000;
    assert_int_equal(natbox_would_pass(n, 1, &from, &dst), NATBOX_UNMAPPED);
    assert_int_equal(natbox_flows(n, 1), 0);
    assert_int_equal(out(n, 2, 5000, remote(1, 10)), 5000);
    assert_int_equal(natbox_would_pass(n, VTIME_S(20), &from, &dst), NATBOX_PASS);
    assert_int_equal(natbox_flows(n, VTIME_S(31)), 0);
    natbox_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapping_types),
        cmocka_unit_test(test_filtering_types),
        cmocka_unit_test(test_firewall_translates_nothing),
        cmocka_unit_test(test_sequential_ports),
        cmocka_unit_test(test_runs_out_of_ports),
        cmocka_unit_test(test_flows_max),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_permissions_run_out_apart),
        cmocka_unit_test(test_masquerade_keeps_the_port_for_everybody),
        cmocka_unit_test(test_open_input_poisons_a_port),
        cmocka_unit_test(test_rebind),
        cmocka_unit_test(test_would_pass_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
