/* The simulated network itself, with programs that only send and note. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

struct note {
    vtime_us time; /* the world's */
    struct addr from;
    uint8_t first;
};

struct stub { /* notes what comes; answers it if told so */
    struct world *w;
    int host, actor, socket;
    bool echoes;
    vtime_us wake_at; /* host's clock */
    unsigned wakes;
    struct note notes[4096];
    size_t count;
};

static void stub_input(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                       const uint8_t *at, size_t size)
{
    struct stub *s = self;
    assert_int_equal(now, world_host_now(s->w, s->host));
    assert_int_equal(local->port, 0);
    assert_int_equal(socket, s->socket);
    if (s->count < 4096)
        s->notes[s->count++] = (struct note){s->w->now, *from, at[0]};
    if (s->echoes)
        world_send(s->w, s->socket, local, from, 0, at, size);
}

static void stub_wake(void *self, vtime_us now)
{
    struct stub *s = self;
    assert_true(now >= s->wake_at);
    s->wakes++;
    s->wake_at = VTIME_NEVER;
}

static vtime_us stub_deadline(void *self)
{
    const struct stub *s = self;
    return s->wake_at;
}

static const struct actor_calls stub_calls = {stub_input, stub_wake, stub_deadline};

static struct stub *stub_at(struct world *w, int network, vtime_us delay, struct addr a, const char *name)
{
    struct stub *s = calloc(1, sizeof *s);
    s->w = w;
    s->wake_at = VTIME_NEVER;
    s->host = world_add_host(w, network, delay, name);
    world_add_addr(w, s->host, &a);
    s->actor = world_add_actor(w, s->host, &stub_calls, s, name);
    s->socket = world_open(w, s->actor, (enum addr_family)a.family, a.port);
    assert_true(s->socket >= 0);
    return s;
}

static void say(struct stub *s, struct addr to, uint8_t ttl, uint8_t what)
{
    assert_true(world_send(s->w, s->socket, NULL, &to, ttl, &what, 1));
}

static int nat_at(struct world *w, int network, vtime_us delay, struct addr a, const struct natbox_config *config)
{
    return world_add_natbox(w, network, delay, config, &a, NULL);
}

static const struct addr *address_of(struct stub *s)
{
    static struct addr a[8];
    static size_t at;
    struct addr *ret = &a[at++ % 8];
    *ret = *world_addr(s->w, s->host, 0);
    ret->port = world_port(s->w, s->socket);
    return ret;
}

static void test_delays_add_up(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct stub *server = stub_at(w, INTERNET, 0, addr_v4(198, 51, 100, 1, 41414), "server");
    int box = nat_at(w, INTERNET, VTIME_MS(30), addr_v4(203, 0, 113, 1, 0), &natbox_cone);
    int inner = nat_at(w, world_inside(w, box), VTIME_MS(4), addr_v4(100, 64, 0, 2, 0), &natbox_cone);
    struct stub *a = stub_at(w, INTERNET, VTIME_MS(10), addr_v4(198, 51, 100, 2, 5000), "a");
    struct stub *b = stub_at(w, world_inside(w, inner), VTIME_MS(1), addr_v4(192, 168, 1, 2, 5000), "b");
    server->echoes = true;

    say(a, *address_of(server), 0, 1);
    say(b, *address_of(server), 0, 2);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(server->count, 2);
    assert_int_equal(server->notes[0].time, VTIME_MS(10));
    assert_int_equal(server->notes[1].time, VTIME_MS(35));
    assert_true(addr_ip_equal(&server->notes[1].from, world_addr(w, box, 0)));
    assert_int_equal(a->notes[0].time, VTIME_MS(20));
    assert_int_equal(b->notes[0].time, VTIME_MS(70));
    assert_true(addr_equal(&b->notes[0].from, address_of(server)));

    vtime_us start = w->now;
    say(a, server->notes[1].from, 0, 3);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(b->count, 2);
    assert_int_equal(b->notes[1].time - start, VTIME_MS(45));
    free(server), free(a), free(b), world_free(w);
}

static void test_networks_may_have_equal_addresses(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    int box_a = nat_at(w, INTERNET, 10, addr_v4(203, 0, 113, 1, 0), &natbox_cone);
    int box_b = nat_at(w, INTERNET, 10, addr_v4(203, 0, 113, 2, 0), &natbox_cone);
    struct stub *a = stub_at(w, world_inside(w, box_a), 1, addr_v4(192, 168, 1, 2, 5000), "a");
    struct stub *neighbour = stub_at(w, world_inside(w, box_a), 1, addr_v4(192, 168, 1, 3, 5000), "neighbour");
    struct stub *b = stub_at(w, world_inside(w, box_b), 1, addr_v4(192, 168, 1, 3, 5000), "b");
    say(a, addr_v4(192, 168, 1, 3, 5000), 0, 1); /* stays at home */
    say(a, addr_v4(10, 0, 0, 1, 5000), 0, 1);    /* private: the internet does not know it */
    world_run_for(w, VTIME_S(1));
    assert_int_equal(neighbour->count, 1);
    assert_int_equal(neighbour->notes[0].time, 2);
    assert_true(addr_equal(&neighbour->notes[0].from, address_of(a)));
    assert_int_equal(b->count, 0);
    assert_int_equal(w->fates[FATE_UNROUTED], 1);
    free(a), free(neighbour), free(b), world_free(w);
}

static void test_ttl(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    int box_a = nat_at(w, INTERNET, 10, addr_v4(203, 0, 113, 1, 0), &natbox_masquerade);
    int box_b = nat_at(w, INTERNET, 10, addr_v4(203, 0, 113, 2, 0), &natbox_masquerade_open);
    struct stub *a = stub_at(w, world_inside(w, box_a), 1, addr_v4(192, 168, 1, 2, 5000), "a");
    struct stub *b = stub_at(w, world_inside(w, box_b), 1, addr_v4(192, 168, 1, 3, 5000), "b");
    struct addr a_out = addr_v4(203, 0, 113, 1, 5000), b_out = addr_v4(203, 0, 113, 2, 5000);

    say(a, b_out, 1, 1); /* does not even open the own NAT */
    world_run_for(w, VTIME_S(1));
    assert_int_equal(w->fates[FATE_EXPIRED], 1);
    assert_int_equal(natbox_flows(world_natbox(w, box_a, ADDR_V4), w->now), 0);

    say(a, b_out, 2, 2); /* opens it, and dies in the core: b's NAT is not poisoned */
    world_run_for(w, VTIME_S(1));
    assert_int_equal(w->fates[FATE_EXPIRED], 2);
    assert_int_equal(natbox_flows(world_natbox(w, box_a, ADDR_V4), w->now), 1);
    assert_int_equal(natbox_flows(world_natbox(w, box_b, ADDR_V4), w->now), 0);

    say(b, a_out, 0, 3);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(a->count, 1);
    assert_true(addr_equal(&a->notes[0].from, &b_out));
    say(a, b_out, 3, 4); /* one short of the last hop */
    say(a, b_out, 4, 5);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(b->count, 1);
    assert_int_equal(b->notes[0].first, 5);
    free(a), free(b), world_free(w);
}

/* FACTS 4.5 as it was measured: an early full-TTL packet poisons the other's port for good. */
static void test_early_packet_poisons(void **state)
{
    (void)state;
    for (int low_ttl = 0; low_ttl <= 1; low_ttl++) {
        struct world *w = world_new(1);
        int box_a = nat_at(w, INTERNET, 10, addr_v4(203, 0, 113, 1, 0), &natbox_masquerade_open);
        int box_b = nat_at(w, INTERNET, 10, addr_v4(203, 0, 113, 2, 0), &natbox_masquerade_open);
        struct stub *a = stub_at(w, world_inside(w, box_a), 1, addr_v4(192, 168, 1, 2, 5000), "a");
        struct stub *b = stub_at(w, world_inside(w, box_b), 1, addr_v4(192, 168, 1, 3, 5000), "b");
        struct addr a_out = addr_v4(203, 0, 113, 1, 5000), b_out = addr_v4(203, 0, 113, 2, 5000);
        say(a, b_out, low_ttl ? 2 : 0, 1);
        world_run_for(w, VTIME_S(1));
        for (int i = 0; i < 3; i++) {
            say(a, b_out, 0, 2);
            say(b, a_out, 0, 3);
            world_run_for(w, VTIME_S(1));
        }
        assert_int_equal(b->count, low_ttl ? 3 : 0);
        assert_int_equal(a->count > 0, low_ttl);
        free(a), free(b), world_free(w);
    }
}

static void test_hairpin_and_chain(void **state)
{
    (void)state;
    for (int hairpin = 0; hairpin <= 1; hairpin++) {
        struct natbox_config carrier = natbox_port_restricted;
        carrier.hairpin = hairpin;
        struct world *w = world_new(1);
        struct stub *server = stub_at(w, INTERNET, 0, addr_v4(198, 51, 100, 1, 41414), "server");
        int cgn = nat_at(w, INTERNET, 10, addr_v4(203, 0, 113, 1, 0), &carrier);
        int box_a = nat_at(w, world_inside(w, cgn), 3, addr_v4(100, 64, 0, 1, 0), &natbox_port_restricted);
        int box_b = nat_at(w, world_inside(w, cgn), 3, addr_v4(100, 64, 0, 2, 0), &natbox_port_restricted);
        struct stub *a = stub_at(w, world_inside(w, box_a), 1, addr_v4(192, 168, 1, 2, 5000), "a");
        struct stub *b = stub_at(w, world_inside(w, box_b), 1, addr_v4(192, 168, 1, 2, 5000), "b");
        say(a, *address_of(server), 0, 1);
        say(b, *address_of(server), 0, 1);
        world_run_for(w, VTIME_S(1));
        struct addr a_out = server->notes[0].from, b_out = server->notes[1].from;
        assert_true(addr_ip_equal(&a_out, &b_out));
        assert_int_not_equal(a_out.port, b_out.port);
        for (int i = 0; i < 2; i++) {
            say(a, b_out, 0, 2);
            say(b, a_out, 0, 3);
            world_run_for(w, VTIME_S(1));
        }
        assert_int_equal(a->count > 0 && b->count > 0, hairpin);
        if (hairpin)
            assert_true(addr_equal(&a->notes[0].from, &b_out)); /* RFC 4787 REQ-9: the outside source */
        free(server), free(a), free(b), world_free(w);
    }
}

static struct addr v6(const char *text)
{
    struct addr a;
    assert_true(addr_parse(&a, text));
    return a;
}

static void test_v6_behind_a_firewall(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    int box = world_add_natbox(w, INTERNET, 10, NULL, NULL, &natbox_firewall);
    struct stub *a = stub_at(w, world_inside(w, box), 1, v6("[2001:db8:1::2]:5000"), "a");
    struct stub *b = stub_at(w, INTERNET, 1, v6("[2001:db8:2::2]:5000"), "b");
    say(b, *address_of(a), 0, 1);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(a->count, 0);
    assert_int_equal(w->fates[FATE_NAT], 1);
    say(a, *address_of(b), 0, 2);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(b->count, 1);
    assert_true(addr_equal(&b->notes[0].from, address_of(a)));
    say(b, *address_of(a), 0, 3);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(a->count, 1);
    struct addr v4_somewhere = addr_v4(198, 51, 100, 1, 5000);
    assert_false(world_send(w, a->socket, NULL, &v4_somewhere, 0, (const uint8_t *)"x", 1));
    free(a), free(b), world_free(w);
}

static void test_faults(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct stub *a = stub_at(w, INTERNET, 10, addr_v4(198, 51, 100, 1, 5000), "a");
    int box = nat_at(w, INTERNET, 10, addr_v4(203, 0, 113, 2, 0), &natbox_cone);
    struct stub *b = stub_at(w, world_inside(w, box), 10, addr_v4(192, 168, 1, 2, 5000), "b");
    struct stub *c = stub_at(w, world_inside(w, box), 10, addr_v4(192, 168, 1, 3, 5000), "c");
    struct addr a_addr = *address_of(a), b_out = addr_v4(203, 0, 113, 2, 5000);
    say(b, a_addr, 0, 1);
    world_run_for(w, VTIME_S(1));

    world_block(w, a->host, b->host, false);
    say(a, b_out, 0, 2);
    say(b, a_addr, 0, 2);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(b->count, 0);
    assert_int_equal(a->count, 2);
    world_unblock(w, a->host, b->host);
    say(a, b_out, 0, 3);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(b->count, 1);
    world_block(w, b->host, c->host, true); /* on the LAN */
    say(b, *address_of(c), 0, 4);
    say(c, *address_of(b), 0, 4);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(c->count + b->count, 1);

    b->wake_at = world_host_now(w, b->host) + VTIME_S(5);
    world_touch(w, b->actor);
    world_sleep(w, b->host, true);
    say(a, b_out, 0, 5);
    vtime_us before = world_host_now(w, b->host);
    world_run_for(w, VTIME_S(60));
    assert_int_equal(b->count, 1);
    assert_int_equal(b->wakes, 0);
    world_sleep(w, b->host, false);
    assert_int_equal(world_host_now(w, b->host) - before, VTIME_S(60));
    world_run_for(w, 0);
    assert_int_equal(b->wakes, 1);

    world_rebind(w, box, NULL);
    say(a, b_out, 0, 6);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(b->count, 1);
    size_t heard = a->count;
    world_remove_actor(w, a->actor);
    say(b, a_addr, 0, 7);
    world_run_for(w, VTIME_S(1));
    assert_int_equal(a->count, heard);
    free(a), free(b), free(c), world_free(w);
}

static void test_weather(void **state)
{
    (void)state;
    struct world *w = world_new(42);
    struct stub *a = stub_at(w, INTERNET, VTIME_MS(5), addr_v4(198, 51, 100, 1, 5000), "a");
    struct stub *b = stub_at(w, INTERNET, VTIME_MS(5), addr_v4(198, 51, 100, 2, 5000), "b");
    w->weather = (struct weather){.loss_ppm = 200000, .duplicate_ppm = 100000, .jitter_us = VTIME_MS(2)};
    for (int i = 0; i < 2000; i++)
        say(a, *address_of(b), 0, (uint8_t)i);
    world_run_for(w, VTIME_S(1));
    /* 2000 * 0.8 * 1.1 = 1760; five standard deviations are about 110 */
    assert_in_range(b->count, 1650, 1870);
    for (size_t i = 0; i < b->count; i++)
        assert_in_range(b->notes[i].time, VTIME_MS(10), VTIME_MS(12));

    b->count = 0;
    w->weather = (struct weather){.reorder_ppm = 100000, .reorder_us = VTIME_MS(3)};
    for (int i = 0; i < 100; i++) {
        say(a, *address_of(b), 0, (uint8_t)i);
        world_run_for(w, VTIME_MS(1));
    }
    world_run_for(w, VTIME_S(1));
    size_t late = 0;
    for (size_t i = 1; i < b->count; i++)
        late += b->notes[i].first < b->notes[i - 1].first;
    assert_int_equal(b->count, 100);
    assert_in_range(late, 1, 30);
    free(a), free(b), world_free(w);
}

static void test_rate_and_queue(void **state)
{
    (void)state;
    struct world *w = world_new(42);
    struct stub *a = stub_at(w, INTERNET, VTIME_MS(5), addr_v4(198, 51, 100, 1, 5000), "a");
    struct stub *b = stub_at(w, INTERNET, VTIME_MS(5), addr_v4(198, 51, 100, 2, 5000), "b");
    static const uint8_t block[1000];
    world_set_rate(w, a->host, 100000, 5000); /* 10 ms a datagram, queue of 5 */
    for (int i = 0; i < 20; i++)
        assert_true(world_send(w, a->socket, NULL, address_of(b), 0, block, sizeof block));
    world_run_for(w, VTIME_S(1));
    assert_int_equal(b->count, 6); /* one on the wire and five behind it */
    for (size_t i = 0; i < b->count; i++)
        assert_int_equal(b->notes[i].time, VTIME_MS(10 * (i + 1) + 10));
    assert_int_equal(w->fates[FATE_LOST], 14);
    free(a), free(b), world_free(w);
}

static uint64_t run_of(uint64_t seed)
{
    struct world *w = world_new(seed);
    struct stub *a = stub_at(w, INTERNET, VTIME_MS(5), addr_v4(198, 51, 100, 1, 5000), "a");
    int box = nat_at(w, INTERNET, 10, addr_v4(203, 0, 113, 2, 0), &natbox_random);
    struct stub *b = stub_at(w, world_inside(w, box), 10, addr_v4(192, 168, 1, 2, 5000), "b");
    a->echoes = true;
    w->weather = (struct weather){.loss_ppm = 200000, .duplicate_ppm = 100000, .jitter_us = VTIME_MS(2)};
    for (int i = 0; i < 50; i++)
        say(b, *address_of(a), 0, (uint8_t)i);
    world_run_for(w, VTIME_S(1));
    uint64_t hash = w->trace.hash;
    free(a), free(b), world_free(w);
    return hash;
}

static void test_same_seed_same_run(void **state)
{
    (void)state;
    assert_int_equal(run_of(1), run_of(1));
    assert_int_not_equal(run_of(1), run_of(2));
}

static void test_timer_slack_is_never_early(void **state)
{
    (void)state;
    struct world *w = world_new(3);
    struct stub *a = stub_at(w, INTERNET, 0, addr_v4(198, 51, 100, 1, 5000), "a");
    w->timer_slack_us = VTIME_MS(2);
    for (unsigned i = 1; i <= 20; i++) {
        vtime_us start = w->now;
        a->wake_at = world_host_now(w, a->host) + VTIME_MS(10);
        world_touch(w, a->actor);
        while (a->wakes < i)
            assert_true(world_step(w));
        assert_in_range(w->now - start, VTIME_MS(10), VTIME_MS(12));
    }
    assert_false(world_step(w));
    free(a), world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_add_up),
        cmocka_unit_test(test_networks_may_have_equal_addresses),
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_early_packet_poisons),
        cmocka_unit_test(test_hairpin_and_chain),
        cmocka_unit_test(test_v6_behind_a_firewall),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_weather),
        cmocka_unit_test(test_rate_and_queue),
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_timer_slack_is_never_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
