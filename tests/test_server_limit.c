/* Floods from one source prefix: whom they cost what, and whom nothing. */
#include "server_rig.h"

enum { FLOOD_PER_S = 2000 };

static struct rig_client client_at(uint16_t house, uint16_t port)
{
    struct rig_client c = rig_client(house);
    c.addr.port = port;
    return c;
}

static void forget_all(struct rig_client *c)
{
    c->registered = false;
    c->cookie_size = 0;
}

/* ---- before the cookie ---- */

/* A house with a hundred people in it after a power cut: nobody is asked to come twice. */
static void many_behind_one_address_are_no_flood(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 100; i++) {
        struct rig_client c = client_at(1, (uint16_t)(1000 + i));
        rig_join(&r, &c, 42U + i % 10, 0);
    }
    assert_int_equal(rig_stat(&r, "retries"), 0);
    rig_stop(&r);
}

/* Forged or not, new Registers from everywhere in one prefix: only that prefix is sent Retry. */
static void a_prefix_cannot_fill_the_strangers_table(void **state)
{
    (void)state;
    struct rig r;
    uint64_t refused = 0, others = 0;
    rig_start(&r, NULL);
    for (uint32_t i = 0; i < 10 * FLOOD_PER_S; i++) {
        struct rig_client flood = client_at(1, (uint16_t)(1000 + i));
        refused += !rig_register(&r, &flood, FORM_ROOM, 1 + i % 999);
        if (i % 100 == 0) {
            struct rig_client other = client_at((uint16_t)(2 + i / 100), 4000);
            others += !rig_register(&r, &other, FORM_ROOM, 42);
        }
        assert_true(rig_stat(&r, "unvalidated") <= 512);
        rig_wait(&r, VTIME_S(1) / FLOOD_PER_S);
    }
    assert_true(refused > 9 * FLOOD_PER_S);
    assert_int_equal(others, 0);
    assert_int_equal(rig_stat(&r, "retries"), refused);
    assert_int_equal(rig_stat(&r, "retries_over_rate"), refused);
    rig_stop(&r);
}

/* Somebody forges a victim's address as fast as he can: the victim's first packet is answered by Retry, the next one by
 * Registered, and from then on it notices nothing. */
static void a_forged_flood_costs_its_victim_one_round_trip(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client victim = client_at(1, 4000);
    rig_start(&r, NULL);
    for (uint32_t i = 0; i < 10 * FLOOD_PER_S; i++) {
        struct rig_client flood = client_at(1, (uint16_t)(5000 + i % 50000));
        rig_register(&r, &flood, FORM_ROOM, 42);
        rig_wait(&r, VTIME_S(1) / FLOOD_PER_S);
        if (i == FLOOD_PER_S) {
            assert_false(rig_register(&r, &victim, FORM_ROOM, 43));
            const struct frame *retry = rig_expect(&r, &victim.addr, FRAME_RETRY);
            victim.cookie_size = retry->retry.cookie_size;
            memcpy(victim.cookie, retry->retry.cookie, retry->retry.cookie_size);
        }
        if (i >= FLOOD_PER_S && i % 1000 == 0)
            assert_true(rig_register(&r, &victim, FORM_ROOM, 43));
    }
    assert_int_equal(rig_stat(&r, "registrations"), 1);
    rig_stop(&r);
}

/* There is nothing to be evicted: whoever is over his limit stays so, however many others come. */
static void other_prefixes_do_not_make_room_for_a_flood(void **state)
{
    (void)state;
    struct rig r;
    const struct server_config config = {.unvalidated_max = 4096};
    rig_start(&r, &config);
    for (uint16_t i = 0; i < 1100; i++) { /* a quarter is taken by many */
        struct rig_client c = rig_client(i);
        assert_true(rig_register(&r, &c, FORM_ROOM, 42));
    }
    for (uint16_t i = 0; i < 40; i++) {
        struct rig_client c = client_at(3000, (uint16_t)(1000 + i));
        assert_true(rig_register(&r, &c, FORM_ROOM, 42));
    }
    uint64_t locked_out = 0;
    for (uint32_t i = 0; i < 900; i++) { /* other houses have their own */
        struct rig_client c = rig_client((uint16_t)(10000 + i));
        locked_out += !rig_register(&r, &c, FORM_ROOM, 42);
    }
    struct rig_client again = client_at(3000, 5000);
    assert_false(rig_register(&r, &again, FORM_ROOM, 42));
    assert_int_equal(locked_out, 0);
    rig_wait(&r, VTIME_MS(50));
    forget_all(&again);
    assert_true(rig_register(&r, &again, FORM_ROOM, 42)); /* one more of twenty a second */
    rig_stop(&r);
}

static void limits_can_be_turned_off(void **state)
{
    (void)state;
    struct rig r;
    const struct server_config config = {.register_per_s = SERVER_NO_LIMIT,
                                         .control_per_s = SERVER_NO_LIMIT,
                                         .relay_bytes_per_s = SERVER_NO_LIMIT,
                                         .relay_total_bytes_per_s = SERVER_NO_LIMIT};
    rig_start(&r, &config);
    for (uint16_t i = 0; i < 500; i++) {
        struct rig_client c = client_at(1, (uint16_t)(1000 + i));
        assert_true(rig_register(&r, &c, FORM_ROOM, 1U + i));
    }
    struct rig_client a = client_at(1, 900);
    rig_join(&r, &a, 42, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(rig_register(&r, &a, FORM_ROOM, 42));
    rig_stop(&r);
}

/* ---- registered ones ---- */

/* Refreshes as fast as it can: told to come back later. Others are served, and so is it, at its part. */
static void who_floods_with_control_is_slowed_down_alone(void **state)
{
    (void)state;
    struct rig r;
    const struct server_config config = {.control_per_s = 1000};
    struct rig_client flood[2] = {client_at(1, 1), client_at(1, 2)}, other = client_at(2, 1);
    uint64_t served = 0, busy = 0;
    rig_start(&r, &config);
    rig_join(&r, &flood[0], 42, 0);
    rig_join(&r, &flood[1], 42, 0);
    rig_join(&r, &other, 43, 0);
    for (uint32_t i = 0; i < 10 * FLOOD_PER_S; i++) {
        struct rig_client *f = &flood[i % 2];
        served += rig_register(&r, f, FORM_ROOM, 42);
        const struct frame *refused = rig_find(&r, &f->addr, FRAME_REFUSED, 0);
        busy += refused != NULL && refused->refused.code == REFUSED_BUSY && refused->refused.retry_after_s == 5;
        if (i % 50 == 0)
            assert_true(rig_register(&r, &other, FORM_ROOM, 43));
        rig_wait(&r, VTIME_S(1) / FLOOD_PER_S);
    }
    assert_int_equal(served + busy, 10 * FLOOD_PER_S);
    assert_in_range(served, 8 * 1000, 12 * 1000); /* nearly all there is: hardly anybody else wants it */
    assert_int_equal(rig_stat(&r, "refused_over_rate"), busy);
    assert_int_equal(rig_stat(&r, "refused_busy"), 0);
    rig_stop(&r);
}

static void control_is_not_limited_without_load(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = client_at(1, 1);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 0);
    for (uint32_t i = 0; i < 5 * FLOOD_PER_S; i++) {
        assert_true(rig_register(&r, &a, FORM_ROOM, 42));
        rig_wait(&r, VTIME_S(1) / FLOOD_PER_S);
    }
    rig_stop(&r);
}

/* One house in many rooms, always with fresh shares, cannot take all introductions that there may be. */
static void introductions_of_a_prefix_are_limited(void **state)
{
    (void)state;
    struct rig r;
    enum { PAIRS = 400 };
    const struct server_config config = {.introductions_max = 600};
    struct rig_client waiter, newcomer;
    rig_start(&r, &config);
    for (uint32_t i = 0; i < PAIRS; i++) {
        waiter = client_at(2, (uint16_t)(1000 + i));
        rig_join(&r, &waiter, 1 + i, 1);
    }
    for (uint32_t i = 0; i < PAIRS; i++) { /* no stranger is introduced: it brings its shares with the echo */
        newcomer = client_at(1, (uint16_t)(1000 + i));
        assert_true(rig_register(&r, &newcomer, FORM_ROOM, 1 + i));
        rig_stock(&newcomer, 1);
        assert_true(rig_register(&r, &newcomer, FORM_ROOM, 1 + i));
    }
    assert_int_equal(rig_stat(&r, "introduced"), 301); /* half, and one */
    assert_int_equal(rig_stat(&r, "dropped_introductions_over_rate"), PAIRS - 301);
    newcomer = client_at(3, 1);
    rig_stock(&newcomer, 1);
    assert_true(rig_register(&r, &newcomer, FORM_ROOM, PAIRS));
    assert_int_equal(rig_stat(&r, "introduced"), 302);
    rig_stop(&r);
}

/* ---- the relay ---- */

enum { PIECE = 1000, RELAY_S = 60 };

struct talker { /* sends to a partner of its own through the relay */
    struct rig_client from, to;
    uint32_t link;
    uint32_t bytes_per_s;
    uint64_t arrived;
};

static void talker_join(struct rig *r, struct talker *t, uint8_t token, uint8_t house, uint16_t port,
                        uint32_t bytes_per_s)
{
    *t = (struct talker){.from = client_at(house, port),
                         .to = client_at(200, (uint16_t)(port + 256 * house)),
                         .bytes_per_s = bytes_per_s};
    rig_join(r, &t->from, 1 + token, 0);
    rig_join(r, &t->to, 1 + token, 0);
    rig_link(r, &t->from, token, 0, false);
    rig_link(r, &t->to, token, 1, false);
    t->link = rig_expect(r, &t->from.addr, FRAME_LINKED)->linked.link;
}

/* All talk for a minute, and refresh; what arrives in the second half counts. */
static void all_talk(struct rig *r, struct talker *t, size_t count)
{
    static const uint8_t piece[PIECE] = {1};
    for (uint32_t ms = 0; ms < RELAY_S * 1000; ms++) {
        for (size_t i = 0; i < count; i++) {
            const uint64_t before = (uint64_t)ms * t[i].bytes_per_s / 1000 / PIECE;
            for (uint64_t n = before; n < (ms + 1ULL) * t[i].bytes_per_s / 1000 / PIECE; n++) {
                rig_relay(r, &t[i].from, t[i].link, piece, sizeof piece);
                t[i].arrived += ms >= RELAY_S * 500 ? PIECE * rig_count(r, &t[i].to.addr, FRAME_RELAY) : 0;
            }
            if (ms % 15000 == 14999) {
                assert_true(rig_register(r, &t[i].from, FORM_ROOM, t[i].from.room));
                assert_true(rig_register(r, &t[i].to, FORM_ROOM, t[i].to.room));
            }
        }
        rig_wait(r, VTIME_MS(1));
    }
}

/* Four from one house and one from another want a hundred times what there is. A third one wants little, and gets it.
 */
static void no_client_starves_the_others_of_the_relay(void **state)
{
    (void)state;
    enum { TOTAL = 100000 };
    struct rig r;
    const struct server_config config = {.relay_bytes_per_s = SERVER_NO_LIMIT, .relay_total_bytes_per_s = TOTAL};
    struct talker t[6];
    rig_start(&r, &config);
    for (uint8_t i = 0; i < 4; i++)
        talker_join(&r, &t[i], i, 1, (uint16_t)(10 + i), 20 * TOTAL);
    talker_join(&r, &t[4], 4, 2, 10, 20 * TOTAL);
    talker_join(&r, &t[5], 5, 3, 10, 8000);
    all_talk(&r, t, 6);
    const uint64_t house = t[0].arrived + t[1].arrived + t[2].arrived + t[3].arrived;
    const uint64_t all = house + t[4].arrived + t[5].arrived;
    assert_int_equal(t[5].arrived, 8000 * RELAY_S / 2);
    assert_in_range(all, TOTAL * RELAY_S / 2 * 9 / 10, TOTAL * RELAY_S / 2 * 11 / 10);
    assert_true(t[4].arrived * 2 > house); /* as much as four in one house, but for the order of arrival */
    assert_true(rig_stat(&r, "dropped_relay_over_part") > 0);
    rig_stop(&r);
}

/* Twelve kilobytes a second is what each of thirty-three can have, and a third of what they want. */
static void what_there_is_is_divided_among_many(void **state)
{
    (void)state;
    enum { TOTAL = 400000, TALKERS = 33 };
    struct rig r;
    const struct server_config config = {.relay_bytes_per_s = SERVER_NO_LIMIT, .relay_total_bytes_per_s = TOTAL};
    struct talker t[TALKERS];
    uint64_t all = 0, least = UINT64_MAX, most = 0;
    rig_start(&r, &config);
    for (uint8_t i = 0; i < TALKERS; i++)
        talker_join(&r, &t[i], i, (uint8_t)(1 + i), 10, i == 0 ? 8000 : 36000);
    all_talk(&r, t, TALKERS);
    for (int i = 1; i < TALKERS; i++) {
        all += t[i].arrived;
        least = t[i].arrived < least ? t[i].arrived : least;
        most = t[i].arrived > most ? t[i].arrived : most;
    }
    assert_int_equal(t[0].arrived, 8000 * RELAY_S / 2);
    assert_in_range(all, TOTAL * RELAY_S / 2 * 8 / 10, TOTAL * RELAY_S / 2 * 11 / 10);
    assert_true(2 * least > most);
    rig_stop(&r);
}

static void the_quota_of_a_link_can_be_chosen(void **state)
{
    (void)state;
    struct rig r;
    const struct server_config config = {.relay_bytes_per_s = 20000};
    struct talker t;
    rig_start(&r, &config);
    talker_join(&r, &t, 1, 1, 10, 60000); /* the burst of 256 KiB is over after 6.6 s */
    all_talk(&r, &t, 1);
    assert_in_range(t.arrived, 20000 * RELAY_S / 2 - 2 * PIECE, 20000 * RELAY_S / 2 + 2 * PIECE);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_behind_one_address_are_no_flood),
        cmocka_unit_test(a_prefix_cannot_fill_the_strangers_table),
        cmocka_unit_test(a_forged_flood_costs_its_victim_one_round_trip),
        cmocka_unit_test(other_prefixes_do_not_make_room_for_a_flood),
        cmocka_unit_test(limits_can_be_turned_off),
        cmocka_unit_test(who_floods_with_control_is_slowed_down_alone),
        cmocka_unit_test(control_is_not_limited_without_load),
        cmocka_unit_test(introductions_of_a_prefix_are_limited),
        cmocka_unit_test(no_client_starves_the_others_of_the_relay),
        cmocka_unit_test(what_there_is_is_divided_among_many),
        cmocka_unit_test(the_quota_of_a_link_can_be_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
