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
    static const int steps[] = {1, 2, 7, -1, -3};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        struct natbox *n = box_of(&(struct natbox_config){.mapping = NATBOX_APD,
                                                          .filtering = NATBOX_APD,
                                                          .ports = NATBOX_SEQUENTIAL,
                                                          .step = steps[s],
                                                          .port_first = 40000,
                                                          .port_last = 40009});
        int last = out(n, 1, 5000, remote(1, 1));
        for (uint16_t i = 2; i <= 5; i++) {
            int port = out(n, 1, 5000, remote(1, i));
            assert_in_range(port, 40000, 40009);
            assert_int_equal((port - last + 100) % 10, (steps[s] + 10) % 10);
            last = port;
        }
        natbox_free(n);
    }
}

static void test_range_of_ports(void **state)
{
    (void)state;
    static const enum natbox_ports policies[] = {NATBOX_SEQUENTIAL, NATBOX_RANDOM, NATBOX_FIRST_KEPT_COMMON};
    for (size_t p = 0; p < 3; p++) {
        struct natbox *n = box_of(&(struct natbox_config){.mapping = NATBOX_APD,
                                                          .filtering = NATBOX_APD,
                                                          .ports = policies[p],
                                                          .port_first = 32768,
                                                          .port_last = 60999});
        bool low = false, high = false;
        out(n, 1, 40000, remote(1, 1)); /* FIRST_KEPT's first */
        for (unsigned i = 0; i < 20000; i++) {
            uint16_t port = out(n, 1, 40000, remote((uint8_t)(2 + i / 5000), (uint16_t)(1 + i % 5000)));
            assert_in_range(port, 32768, 60999);
            low = low || port < 33768;
            high = high || port > 59999;
        }
        assert_true(p != 1 || (low && high));
        natbox_free(n);
    }
}

/* How far the counter of a sequential NAT has gone in `us`. */
static int moved(struct natbox *n, vtime_us *now, vtime_us us, int step)
{
    static uint16_t to;
    uint16_t before = out(n, *now, 5000, remote(1, ++to ? to : ++to));
    *now += us;
    uint16_t after = out(n, *now, 5000, remote(1, ++to ? to : ++to));
    return (int16_t)(uint16_t)(after - before) / step - 1;
}

/* Other people's flows come one by one, at random, as many as said, and any number may come between two of ours. */
static void test_foreign_traffic_moves_the_counter(void **state)
{
    (void)state;
    static const int steps[] = {1, -2};
    for (size_t s = 0; s < 2; s++) {
        enum { RATE = 5, WINDOWS = 5000 };
        struct natbox *n = box_of(&(struct natbox_config){.mapping = NATBOX_APD,
                                                          .filtering = NATBOX_APD,
                                                          .ports = NATBOX_SEQUENTIAL,
                                                          .step = steps[s],
                                                          .foreign_per_s = RATE,
                                                          .port_first = 1,
                                                          .port_last = 65535,
                                                          .timeout_us = VTIME_S(1)});
        vtime_us now = VTIME_S(1000);
        int sum = 0, windows[4] = {0};
        for (int i = 0; i < WINDOWS; i++) {
            int m = moved(n, &now, VTIME_MS(200), steps[s]);
            assert_true(m >= 0);
            sum += m;
            windows[m < 3 ? m : 3]++;
        }
        /* Poisson with mean 1: 36.8 %, 36.8 %, 18.4 %, 8.0 %; here within five standard deviations. */
        assert_in_range(sum, WINDOWS - 354, WINDOWS + 354);
        assert_in_range(windows[0], 1839 - 171, 1839 + 171);
        assert_in_range(windows[1], 1839 - 171, 1839 + 171);
        assert_in_range(windows[2], 920 - 138, 920 + 138);
        assert_in_range(windows[3], 402 - 97, 402 + 97);
        assert_int_equal(moved(n, &now, 0, steps[s]), 0);
        natbox_free(n);
    }
}

static void test_first_port_is_kept(void **state)
{
    (void)state;
    static const enum natbox_ports policies[] = {NATBOX_FIRST_KEPT, NATBOX_FIRST_KEPT_COMMON};
    for (size_t p = 0; p < 2; p++) {
        bool common = policies[p] == NATBOX_FIRST_KEPT_COMMON;
        struct natbox *n =
            box_of(&(struct natbox_config){.mapping = NATBOX_APD, .filtering = NATBOX_APD, .ports = policies[p]});
        assert_int_equal(out(n, 1, 5000, remote(1, 1)), 5000);
        assert_int_equal(out(n, 1, 6000, remote(1, 1)), 6000);
        uint16_t second = out(n, 2, 5000, remote(1, 2));
        assert_int_equal(second == 5001, !common);
        assert_int_equal(out(n, 2, 6000, remote(1, 2)), common ? second + 1 : 6001);
        assert_int_equal(out(n, 3, 5000, remote(2, 1)), common ? second + 2 : 5002);
        assert_int_equal(out(n, 3, 5000, remote(1, 1)), 5000); /* known flows stay */
        assert_int_equal(out(n, 3, 5000, remote(1, 2)), second);
        /* Taken: what a port was to keep, and what it would get next. */
        assert_int_equal(out(n, 4, 5003, remote(1, 1)), 5003);
        assert_int_equal(out(n, 4, 5000, remote(3, 1)), common ? second + 3 : 5004);
        if (!common)
            assert_int_equal(out(n, 4, 5001, remote(1, 1)), 5005);
        assert_int_equal(in(n, 5, remote(1, 2), second, 5000), NATBOX_PASS);
        /* When all is forgotten the next one is the first again. */
        assert_int_equal(out(n, VTIME_S(200), 5000, remote(4, 1)), 5000);
        natbox_free(n);
    }
}

/* Several addresses outside: does an inside address keep to one of them? */
static void test_pooling(void **state)
{
    (void)state;
    static const enum natbox_pooling poolings[] = {NATBOX_PAIRED, NATBOX_ARBITRARY};
    for (size_t p = 0; p < 2; p++) {
        struct natbox *n =
            box_of(&(struct natbox_config){.mapping = NATBOX_EI, .filtering = NATBOX_EI, .pooling = poolings[p]});
        for (uint8_t i = 2; i <= NATBOX_OUTSIDE_MAX; i++) {
            struct addr more = addr_v4(203, 0, 113, i, 0);
            assert_false(natbox_has_outside(n, &more));
            natbox_add_outside(n, &more);
            assert_true(natbox_has_outside(n, &more));
        }
        unsigned used = 0, all_hosts = 0;
        for (uint8_t host = 1; host <= 40; host++) {
            for (uint16_t port = 5000; port < 5020; port++) {
                struct addr src = addr_v4(192, 168, 1, host, port), to = remote(1, 10), other = remote(2, 20),
                            own = src;
                assert_int_equal(natbox_outbound(n, 1, &src, &to), NATBOX_PASS);
                struct addr again = own, back = src;
                assert_int_equal(natbox_outbound(n, 1, &again, &other), NATBOX_PASS);
                assert_true(addr_equal(&again, &src)); /* it is a mapping of address and port */
                assert_int_equal(natbox_inbound(n, 1, &to, &back), NATBOX_PASS);
                assert_true(addr_equal(&back, &own));
                used |= 1U << src.ip[3];
            }
            assert_int_equal(__builtin_popcount(used) == 1, poolings[p] == NATBOX_PAIRED);
            all_hosts |= used;
            used = 0;
        }
        assert_int_equal(__builtin_popcount(all_hosts), NATBOX_OUTSIDE_MAX);
        natbox_free(n);
    }
}

/* The same port at two addresses is two places. */
static void test_pool_has_every_port_at_each_address(void **state)
{
    (void)state;
    struct natbox *n = box_of(&(struct natbox_config){.mapping = NATBOX_APD,
                                                      .filtering = NATBOX_APD,
                                                      .ports = NATBOX_RANDOM,
                                                      .pooling = NATBOX_ARBITRARY,
                                                      .port_first = 40000,
                                                      .port_last = 40003});
    struct addr second = addr_v4(203, 0, 113, 2, 0);
    natbox_add_outside(n, &second);
    unsigned seen[2] = {0};
    for (uint16_t i = 1; i <= 8; i++) {
        struct addr src = inside(5000), to = remote(1, i);
        if (natbox_outbound(n, 1, &src, &to) == NATBOX_PASS) /* the address is chosen first, and it may be full */
            seen[addr_ip_equal(&src, &second)] |= 1U << (src.port - 40000);
    }
    assert_true(seen[0] & seen[1]);
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

/* As connlimit does in the testbed's few-sessions: what is new fails while it is full, also where it would share a port
 * with an old one; what is old lives on, both ways; and a place is free again when an old one has run out. */
static void test_a_full_router_serves_its_flows(void **state)
{
    (void)state;
    enum { ROOM = 300 };
    struct natbox_config config = natbox_masquerade;
    config.flows_max = ROOM;
    struct natbox *n = box_of(&config);
    for (uint16_t i = 0; i < ROOM; i++)
        assert_int_equal(out(n, VTIME_MS(i), (uint16_t)(5000 + i), remote(1, 10)), 5000 + i);
    for (vtime_us t = VTIME_S(1); t < VTIME_S(100); t += VTIME_S(1)) {
        assert_int_equal(out(n, t, 4999, remote(1, 10)), 0);
        assert_int_equal(out(n, t, 5000, remote(2, 10)), 0);
        for (uint16_t i = 0; i < ROOM; i++) {
            assert_int_equal(out(n, t, (uint16_t)(5000 + i), remote(1, 10)), 5000 + i);
            assert_int_equal(in(n, t, remote(1, 10), (uint16_t)(5000 + i), (uint16_t)(5000 + i)), NATBOX_PASS);
        }
        assert_int_equal(natbox_flows(n, t), ROOM);
    }
    for (uint16_t i = 1; i < ROOM; i++) /* one falls silent */
        out(n, VTIME_S(200), (uint16_t)(5000 + i), remote(1, 10));
    assert_int_equal(out(n, VTIME_S(218), 4999, remote(1, 10)), 0);
    assert_int_equal(out(n, VTIME_S(219), 4999, remote(1, 10)), 4999);
    assert_int_equal(out(n, VTIME_S(219), 5000, remote(1, 10)), 0);
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
    /* A question and its answer, and no more, are no stream. */
    port = out(n, VTIME_S(400), 5000, remote(1, 10));
    assert_int_equal(in(n, VTIME_S(401), remote(1, 10), port, 5000), NATBOX_PASS);
    assert_int_equal(in(n, VTIME_S(431), remote(1, 10), port, 5000), NATBOX_UNMAPPED);
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

static void test_forget(void **state)
{
    (void)state;
    static const struct natbox_config *const configs[] = {&natbox_cone, &natbox_masquerade};
    for (size_t i = 0; i < 2; i++) {
        struct natbox *n = box_of(configs[i]);
        assert_int_equal(out(n, 1, 5000, remote(1, 10)), 5000);
        natbox_forget(n);
        assert_int_equal(natbox_flows(n, 2), 0);
        assert_int_equal(in(n, 2, remote(1, 10), 5000, 5000), NATBOX_UNMAPPED);
        assert_int_equal(out(n, 3, 5000, remote(1, 10)), 5000);
        assert_int_equal(in(n, 4, remote(1, 10), 5000, 5000), NATBOX_PASS);
        natbox_free(n);
    }
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
        cmocka_unit_test(test_range_of_ports),
        cmocka_unit_test(test_foreign_traffic_moves_the_counter),
        cmocka_unit_test(test_first_port_is_kept),
        cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_pool_has_every_port_at_each_address),
        cmocka_unit_test(test_runs_out_of_ports),
        cmocka_unit_test(test_flows_max),
        cmocka_unit_test(test_a_full_router_serves_its_flows),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_permissions_run_out_apart),
        cmocka_unit_test(test_masquerade_keeps_the_port_for_everybody),
        cmocka_unit_test(test_open_input_poisons_a_port),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_rebind),
        cmocka_unit_test(test_would_pass_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
