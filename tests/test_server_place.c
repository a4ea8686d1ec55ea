/* Rooms, buckets of the open form, numbers for --new. */
#include "server_rig.h"

/* ---- rooms ---- */

static void a_room_of_sixty_four_is_full(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client c[65];
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 64; i++) {
        c[i] = rig_client(i);
        rig_join(&r, &c[i], 42, 0);
    }
    /* Everybody has his own prefix: a tie. The first Register is told so at once. */
    c[64] = rig_client(64);
    assert_false(rig_register(&r, &c[64], FORM_ROOM, 42));
    const struct frame *f = rig_expect(&r, &c[64].addr, FRAME_REFUSED);
    assert_int_equal(f->refused.code, REFUSED_ROOM_FULL);
    assert_int_equal(f->refused.token, c[64].token);

    /* A member's refresh is nobody new, and another room is another room. */
    assert_true(rig_register(&r, &c[10], FORM_ROOM, 42));
    assert_true(rig_register(&r, &c[64], FORM_ROOM, 43));
    assert_true(rig_register(&r, &c[64], FORM_ROOM, 43));
    assert_false(rig_register(&r, &c[64], FORM_ROOM, 42));
    assert_int_equal(rig_expect(&r, &c[64].addr, FRAME_REFUSED)->refused.code, REFUSED_ROOM_FULL);
    assert_true(rig_register(&r, &c[64], FORM_ROOM, 43)); /* it stays where it was */
    assert_int_equal(rig_stat(&r, "registrations"), 65);
    rig_stop(&r);
}

static void the_newest_of_the_largest_prefix_gives_way(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client c[64], late = rig_client(100), later = rig_client(101);
    rig_start(&r, NULL);
    /* Two from one house among them, at 20 and 40. */
    for (uint16_t i = 0; i < 64; i++) {
        c[i] = rig_client(i == 40 ? 20 : i);
        c[i].addr.port = (uint16_t)(5000 + i);
        rig_join(&r, &c[i], 42, 0);
    }
    assert_true(rig_register(&r, &late, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "displaced"), 0); /* not for a source that may be forged */
    assert_true(rig_register(&r, &late, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "displaced"), 1);
    const struct frame *f = rig_expect(&r, &c[40].addr, FRAME_REFUSED);
    assert_int_equal(f->refused.code, REFUSED_ROOM_FULL);
    assert_int_equal(f->refused.proof, rig_proof(&c[40]));
    assert_false(rig_register(&r, &later, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "registrations"), 64);
    rig_stop(&r);
}

/* A flood from one house keeps nobody out, however long it was there. */
static void one_prefix_cannot_hold_a_room(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 64; i++) {
        struct rig_client c = rig_client(1);
        c.addr.port = (uint16_t)(5000 + i);
        rig_join(&r, &c, 42, 0);
    }
    struct rig_client same = rig_client(1);
    assert_false(rig_register(&r, &same, FORM_ROOM, 42));
    for (uint16_t i = 0; i < 63; i++) {
        struct rig_client c = rig_client((uint16_t)(10 + i));
        rig_join(&r, &c, 42, 0);
    }
    struct rig_client last = rig_client(100); /* now it is one of each */
    assert_false(rig_register(&r, &last, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "registrations"), 64);
    rig_stop(&r);
}

/* One registration of `number`'s address; each port is another. */
static struct rig_client from_port(uint16_t number, uint16_t port)
{
    struct rig_client c = rig_client(number);
    c.addr.port = port;
    c.token += (uint64_t)port << 32;
    return c;
}

static void on_a_tie_who_has_more_elsewhere_gives_way(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client c[64], late = rig_client(100), later = rig_client(101), last = rig_client(102);
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 64; i++) {
        c[i] = rig_client(i);
        rig_join(&r, &c[i], 42, 0);
    }
    struct rig_client elsewhere[] = {from_port(20, 1), from_port(40, 1), from_port(40, 2)};
    for (uint32_t i = 0; i < 3; i++)
        rig_join(&r, &elsewhere[i], 43 + i, 0);

    rig_join(&r, &late, 42, 0);
    assert_int_equal(rig_expect(&r, &c[40].addr, FRAME_REFUSED)->refused.proof, rig_proof(&c[40]));
    struct rig_client as_many[] = {from_port(103, 1), rig_client(103)};
    rig_join(&r, &as_many[0], 46, 0);
    assert_false(rig_register(&r, &as_many[1], FORM_ROOM, 42)); /* two with this one, as has 20 */
    assert_int_equal(rig_stat(&r, "displaced"), 1);
    assert_true(rig_register(&r, &as_many[0], FORM_ROOM, 42)); /* who moves is not counted twice */
    assert_true(rig_register(&r, &as_many[0], FORM_ROOM, 46));
    assert_int_equal(rig_stat(&r, "displaced"), 2);
    rig_join(&r, &later, 42, 0); /* into the place that is free again */
    assert_int_equal(rig_stat(&r, "displaced"), 2);
    assert_false(rig_register(&r, &last, FORM_ROOM, 42));
    rig_stop(&r);
}

static void another_number_moves(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 8);
    rig_join(&r, &b, 43, 8);
    assert_int_equal(rig_stat(&r, "introduced"), 0);
    assert_true(rig_register(&r, &a, FORM_ROOM, 43));
    assert_int_equal(rig_stat(&r, "introduced"), 1);
    rig_stop(&r);
}

/* ---- the open form ---- */

static void bits_wanted_follow_the_number_of_registrations(void **state)
{
    (void)state;
    static const struct {
        uint32_t registrations;
        uint8_t bits;
    } table[] = {{1, 0},  {4, 0},   {5, 1},   {8, 1},   {9, 2},   {16, 2},
                 {17, 3}, {256, 6}, {257, 7}, {512, 7}, {513, 8}, {600, 8}};
    struct rig r;
    uint16_t n = 0;
    rig_start(&r, NULL);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct rig_client c = {0};
        while (n < table[i].registrations) {
            c = rig_client(n);
            rig_register_open(&r, &c, 8, (uint8_t)n);
            assert_true(rig_register_open(&r, &c, 8, (uint8_t)n));
            n++;
        }
        assert_int_equal(rig_stat(&r, "registrations_open"), table[i].registrations);
        assert_int_equal(c.bits_wanted, table[i].bits);
    }
    rig_stop(&r);
}

/* The newcomer counts already in what it is told, so that its echo brings the bits. */
static void a_newcomer_learns_the_bits_at_once(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 5; i++) {
        struct rig_client c = rig_client(i);
        assert_true(rig_register_open(&r, &c, 0, 0));
        assert_int_equal(c.bits_wanted, i == 4 ? 1 : 0);
        assert_true(rig_register_open(&r, &c, c.bits_wanted, c.bits_wanted));
        assert_int_equal(c.bits_wanted, i == 4 ? 1 : 0);
    }
    rig_stop(&r);
}

static void buckets_agree_in_the_bits_wanted(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client c[17];
    rig_start(&r, NULL);
    /* Sixteen: two bits. They have more, and all differ in the first two from the seventeenth but four. */
    for (uint16_t i = 0; i < 16; i++) {
        c[i] = rig_client(i);
        rig_register_open(&r, &c[i], 8, (uint8_t)(i << 4));
        assert_true(rig_register_open(&r, &c[i], 8, (uint8_t)(i << 4)));
    }
    rig_wait(&r, VTIME_S(21));
    for (uint16_t i = 0; i < 16; i++) {
        rig_stock(&c[i], i == 0 ? 0 : 8);
        assert_true(rig_register_open(&r, &c[i], 8, (uint8_t)(i << 4)));
    }
    assert_int_equal(rig_stat(&r, "introduced"), 3 + 3 * 6);
    rig_stock(&c[0], 8);
    assert_true(rig_register_open(&r, &c[0], 2, 0)); /* two bits are enough */
    assert_int_equal(rig_stat(&r, "introduced"), 4 * 6);
    rig_stop(&r);
}

static void too_few_bits_meet_nobody_until_there_are_more(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client c[17];
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 17; i++) { /* 17 want three bits; the last has one, and 0x80 and 0x90 agree in three */
        c[i] = rig_client(i);
        const uint8_t bits = i == 16 ? 1 : 8, prefix = (uint8_t)(i == 16 ? 1 : i << 4);
        rig_register_open(&r, &c[i], bits, prefix);
        assert_true(rig_register_open(&r, &c[i], bits, prefix));
    }
    rig_wait(&r, VTIME_S(21));
    rig_stock(&c[8], 8);
    assert_true(rig_register_open(&r, &c[8], 8, 0x80));
    rig_stock(&c[16], 8);
    assert_true(rig_register_open(&r, &c[16], 1, 1));
    assert_int_equal(c[16].bits_wanted, 3);
    assert_int_equal(rig_stat(&r, "introduced"), 0);
    assert_true(rig_register_open(&r, &c[16], 3, 4));
    assert_int_equal(rig_stat(&r, "introduced"), 1);
    rig_stop(&r);
}

/* The fifth wants one bit of everybody, but those who wait cannot know yet. */
static void for_twenty_seconds_one_bit_fewer_is_enough(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct rig r;
        struct rig_client c[5];
        rig_start(&r, NULL);
        for (uint16_t i = 0; i < 5; i++) {
            c[i] = rig_client(i);
            assert_true(rig_register_open(&r, &c[i], 0, 0));
            rig_stock(&c[i], i == 0 || (i == 4 && late == 0) ? 8 : 0);
            assert_true(rig_register_open(&r, &c[i], c[i].bits_wanted, 0));
        }
        if (late == 1) {
            rig_wait(&r, VTIME_S(21));
            rig_stock(&c[4], 8);
            assert_true(rig_register_open(&r, &c[4], 1, 0));
        }
        assert_int_equal(rig_stat(&r, "introduced"), late == 0 ? 1 : 0);
        rig_stop(&r);
    }
}

static void sixty_four_with_the_same_eight_bits_are_a_crowd(void **state)
{
    (void)state;
    for (uint8_t bits = 7; bits <= 8; bits++) { /* seven may be enough for twenty seconds */
        struct rig r;
        rig_start(&r, NULL);
        for (uint16_t i = 0; i < 64; i++) {
            struct rig_client c = rig_client(i);
            rig_register_open(&r, &c, bits, 100);
            assert_true(rig_register_open(&r, &c, bits, 100));
        }
        struct rig_client late = rig_client(100), other = rig_client(101);
        assert_false(rig_register_open(&r, &late, bits, 100));
        assert_int_equal(rig_expect(&r, &late.addr, FRAME_REFUSED)->refused.code, REFUSED_CROWDED);
        assert_true(rig_register_open(&r, &other, bits, 101));
        rig_stop(&r);
    }
}

/* Each has one registration only in most of the buckets in which it is, and 42 or 43 in all. */
static void hundreds_of_addresses_cannot_hold_the_open_form(void **state)
{
    (void)state;
    enum { ADDRESSES = 384, BUCKETS = 256, BUCKET = 100 };
    struct rig r;
    struct rig_client ann = rig_client(500), bob = rig_client(501);
    rig_start(&r, NULL);
    for (uint16_t n = 0; n < BUCKETS * REGISTRATIONS_PER_ROOM_MAX; n++) {
        struct rig_client c = from_port(n % ADDRESSES, (uint16_t)(1 + n / ADDRESSES));
        const uint8_t prefix = (uint8_t)(n / REGISTRATIONS_PER_ROOM_MAX);
        assert_true(rig_register_open(&r, &c, 8, prefix));
        assert_true(rig_register_open(&r, &c, 8, prefix));
        rig_wait(&r, VTIME_MS(1)); /* 16 s in all: none lapses */
    }
    assert_int_equal(rig_stat(&r, "registrations"), BUCKETS * REGISTRATIONS_PER_ROOM_MAX);
    struct rig_client *pair[] = {&ann, &bob};
    for (size_t i = 0; i < 2; i++) {
        assert_true(rig_register_open(&r, pair[i], 8, BUCKET));
        rig_stock(pair[i], 8);
        assert_true(rig_register_open(&r, pair[i], 8, BUCKET));
    }
    assert_int_equal(rig_expect(&r, &ann.addr, FRAME_PEER_INFO)->peer_info.handle, bob.handle);
    for (uint16_t n = 0; n < ADDRESSES; n++) { /* nor do they get it back */
        struct rig_client c = from_port(n, 60000);
        rig_register_open(&r, &c, 8, BUCKET);
        rig_register_open(&r, &c, 8, BUCKET);
    }
    assert_true(rig_register_open(&r, &ann, 8, BUCKET));
    assert_true(rig_register_open(&r, &bob, 8, BUCKET));
    rig_stop(&r);
}

static void more_bits_move(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1);
    rig_start(&r, NULL);
    for (uint8_t bits = 0; bits <= 8; bits++) {
        rig_register_open(&r, &a, bits, (uint8_t)((1 << bits) - 1));
        assert_true(rig_register_open(&r, &a, bits, (uint8_t)((1 << bits) - 1)));
        assert_int_equal(rig_stat(&r, "registrations_open"), 1);
    }
    rig_stop(&r);
}

/* ---- FORM_NEW ---- */

static void a_new_number_is_free_short_and_kept(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    assert_true(rig_register(&r, &a, FORM_NEW, 0));
    const uint32_t number = a.room;
    assert_in_range(number, 1, 999);

    a.registered = false; /* Registered was lost: the same source gets the same number */
    a.cookie_size = 0;
    assert_true(rig_register(&r, &a, FORM_NEW, 0));
    assert_int_equal(a.room, number);
    rig_stock(&a, 8);
    assert_true(rig_register(&r, &a, FORM_ROOM, number));
    assert_int_equal(a.room, number);
    rig_stock(&a, 0);
    assert_true(rig_register(&r, &a, FORM_NEW, 0)); /* so does the same secret */
    assert_int_equal(a.room, number);

    rig_join(&r, &b, number, 8);                     /* the friend */
    assert_int_equal(rig_stat(&r, "introduced"), 0); /* FORM_NEW brought no shares */
    rig_stock(&a, 8);
    assert_true(rig_register(&r, &a, FORM_ROOM, number));
    assert_int_equal(rig_stat(&r, "introduced"), 1);
    rig_stop(&r);
}

/* All numbers below 1,000 are given once each before a longer one is, and a number that was really taken is
 * not given again for ten minutes, even when its owner is long gone. */
static void numbers_are_reserved_for_ten_minutes(void **state)
{
    (void)state;
    struct rig r;
    bool given[1000] = {false};
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 999; i++) {
        struct rig_client c = rig_client(i);
        assert_true(rig_register(&r, &c, FORM_NEW, 0));
        assert_in_range(c.room, 1, 999);
        assert_false(given[c.room]);
        given[c.room] = true;
        assert_true(rig_register(&r, &c, FORM_ROOM, c.room));
    }
    rig_wait(&r, LEASE_US);
    assert_int_equal(rig_stat(&r, "registrations"), 0);
    struct rig_client late = rig_client(2000);
    assert_true(rig_register(&r, &late, FORM_NEW, 0));
    assert_in_range(late.room, 1000, 9999);
    rig_wait(&r, ROOM_RESERVED_US);
    struct rig_client later = rig_client(2001);
    assert_true(rig_register(&r, &later, FORM_NEW, 0));
    assert_in_range(later.room, 1, 999);
    rig_stop(&r);
}

/* A forged flood must not use up the numbers: without echo one is held for five seconds only. */
static void strangers_hold_numbers_for_as_long_as_they_are_remembered(void **state)
{
    (void)state;
    struct rig r;
    bool given[1000] = {false};
    rig_start(&r, NULL);
    for (int round = 0; round < 5; round++) {
        memset(given, 0, sizeof given);
        for (uint16_t i = 0; i < 400; i++) {
            struct rig_client c = rig_client((uint16_t)(round * 400 + i));
            assert_true(rig_register(&r, &c, FORM_NEW, 0));
            assert_in_range(c.room, 1, 999);
            assert_false(given[c.room]);
            given[c.room] = true;
        }
        rig_wait(&r, UNVALIDATED_US);
    }
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_of_sixty_four_is_full),
        cmocka_unit_test(the_newest_of_the_largest_prefix_gives_way),
        cmocka_unit_test(one_prefix_cannot_hold_a_room),
        cmocka_unit_test(on_a_tie_who_has_more_elsewhere_gives_way),
        cmocka_unit_test(another_number_moves),
        cmocka_unit_test(bits_wanted_follow_the_number_of_registrations),
        cmocka_unit_test(a_newcomer_learns_the_bits_at_once),
        cmocka_unit_test(buckets_agree_in_the_bits_wanted),
        cmocka_unit_test(too_few_bits_meet_nobody_until_there_are_more),
        cmocka_unit_test(for_twenty_seconds_one_bit_fewer_is_enough),
        cmocka_unit_test(sixty_four_with_the_same_eight_bits_are_a_crowd),
        cmocka_unit_test(hundreds_of_addresses_cannot_hold_the_open_form),
        cmocka_unit_test(more_bits_move),
        cmocka_unit_test(a_new_number_is_free_short_and_kept),
        cmocka_unit_test(numbers_are_reserved_for_ten_minutes),
        cmocka_unit_test(strangers_hold_numbers_for_as_long_as_they_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
