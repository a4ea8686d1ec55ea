/* The stock of shares is the guess budget (DESIGN s4): how many an attacker gets, and when. */
#include "peer/stock.h"
#include "peer_tools.h"
#include "wire/words.h"
#include <stdio.h>

static struct rng dice_rng;

static struct stock stock_of(const char *keyword, vtime_us now)
{
    struct keyword k;
    struct stock s;
    assert_int_equal(keyword_parse(&k, keyword, strlen(keyword)), KEYWORD_OK);
    assert_true(stock_init(&s, &k, &dice_rng, now));
    return s;
}

/* A run that never confirms. */
static bool spend(struct stock *s, vtime_us now)
{
    struct share_secret taken;
    if (s->count == 0)
        return false;
    uint8_t point[CPACE_POINT_BYTES];
    memcpy(point, s->shares[dice(&dice_rng, s->count)].share.point, sizeof point);
    assert_true(stock_take(s, point, now, &taken));
    assert_memory_equal(taken.share.point, point, sizeof point);
    assert_false(stock_take(s, point, now, &taken)); /* once */
    return true;
}

/* An attacker who takes every share as soon as it is there; returns how many. */
static unsigned drain(struct stock *s, vtime_us *now, vtime_us until)
{
    unsigned count = 0;
    for (;;) {
        while (spend(s, *now))
            count++;
        vtime_us due = stock_deadline(s);
        if (due > until)
            break;
        *now = due > *now ? due : *now;
        assert_true(stock_refill(s, &dice_rng, *now));
        assert_false(stock_refill(s, &dice_rng, *now)); /* one at a time */
        assert_true(stock_deadline(s) > *now);
    }
    *now = until;
    return count;
}

static void test_shares(void **state)
{
    (void)state;
    struct stock s = stock_of("foo", 0);
    assert_int_equal(s.count, SHARES_MAX);
    assert_true(stock_deadline(&s) == VTIME_NEVER); /* full */
    assert_false(stock_refill(&s, &dice_rng, VTIME_S(1000)));
    for (unsigned i = 0; i < s.count; i++) {
        uint8_t commitment[SEAL_COMMITMENT_BYTES];
        seal_commit(commitment, s.shares[i].nonce);
        assert_memory_equal(commitment, s.shares[i].share.commitment, sizeof commitment);
        for (unsigned k = 0; k < i; k++) {
            assert_memory_not_equal(s.shares[i].share.point, s.shares[k].share.point, CPACE_POINT_BYTES);
            assert_memory_not_equal(s.shares[i].nonce, s.shares[k].nonce, SEAL_NONCE_BYTES);
        }
    }
    struct share_secret taken;
    const uint8_t unknown[CPACE_POINT_BYTES] = {1};
    assert_false(stock_take(&s, unknown, 0, &taken));
    assert_int_equal(s.count, SHARES_MAX);
}

/* Room form with three words: 8, and one a second for ever. */
static void test_fast(void **state)
{
    (void)state;
    char keyword[64];
    snprintf(keyword, sizeof keyword, "42-%s-%s-%s", words_list[0], words_list[1000], words_list[2047]);
    struct stock s = stock_of(keyword, 0);
    vtime_us now = 0;
    assert_true(s.fast);
    assert_int_equal(drain(&s, &now, 0), 8);
    assert_true(stock_deadline(&s) == VTIME_S(1));
    assert_int_equal(drain(&s, &now, VTIME_S(300)), 300);
    assert_false(stock_is_exhausted(&s));
}

/* Anything else: 8, one a second 16 times, one per 30 s, and at 128, the first eight counted, it ends. */
static void test_slow(void **state)
{
    (void)state;
    const char *const keywords[] = {"foo", "abacus-acorn-acre", "42-foo", "7-abacus-acorn-xyzzy", "7-abacus-acorn"};
    for (size_t i = 0; i < COUNT(keywords); i++) {
        struct stock s = stock_of(keywords[i], 0);
        vtime_us now = 0;
        assert_false(s.fast);
        assert_int_equal(drain(&s, &now, 0), 8);
        assert_int_equal(drain(&s, &now, VTIME_S(16)), 16);
        assert_true(stock_deadline(&s) == VTIME_S(16 + 30));
        assert_int_equal(drain(&s, &now, VTIME_S(16 + 300)), 10);
        assert_false(stock_is_exhausted(&s));
        assert_int_equal(drain(&s, &now, VTIME_S(100000)), 128 - 8 - 26);
        assert_true(stock_is_exhausted(&s));
        assert_true(stock_deadline(&s) == VTIME_NEVER);
        assert_false(stock_refill(&s, &dice_rng, VTIME_S(1000000)));
    }
}

/* A quiet hour saves nothing up: the rate is what counts, not the time. */
static void test_no_savings(void **state)
{
    (void)state;
    struct stock s = stock_of("foo", 0);
    vtime_us now = 0;
    drain(&s, &now, VTIME_S(50)); /* 16 fast ones, one slow */
    unsigned before = s.refilled;
    while (s.count < SHARES_MAX) {
        now = stock_deadline(&s);
        assert_true(stock_refill(&s, &dice_rng, now));
    }
    assert_int_equal(s.refilled, before + 8);
    now += VTIME_S(3600);
    assert_int_equal(drain(&s, &now, now), 8);
    assert_true(stock_deadline(&s) == now + VTIME_S(30));
}

/* The time for a refill begins with the first share that is missing, and later ones do not put it off. */
static void test_when(void **state)
{
    (void)state;
    struct stock s = stock_of("foo", 0);
    s.refilled = STOCK_FAST_REFILLS;
    const vtime_us quiet[] = {VTIME_S(3600), VTIME_S(5)};
    vtime_us now = VTIME_S(1);
    for (size_t i = 0; i < COUNT(quiet); i++) {
        now += quiet[i];
        vtime_us due = now + VTIME_S(30);
        assert_true(spend(&s, now));
        assert_true(stock_deadline(&s) == due);
        assert_true(spend(&s, now + VTIME_S(10)));
        assert_true(stock_deadline(&s) == due);
        assert_false(stock_refill(&s, &dice_rng, due - 1));
        assert_true(stock_refill(&s, &dice_rng, due));
        assert_true(stock_deadline(&s) == due + VTIME_S(30));
        now = due + VTIME_S(30);
        assert_true(stock_refill(&s, &dice_rng, now));
        assert_true(stock_deadline(&s) == VTIME_NEVER);
        now += VTIME_S(30);
    }
}

/* Runs that confirm cost nothing, however many there are. */
static void test_confirmed(void **state)
{
    (void)state;
    struct stock s = stock_of("foo", 0);
    for (int i = 0; i < 1000; i++) {
        assert_true(spend(&s, 0));
        assert_int_equal(s.count, SHARES_MAX - 1);
        stock_confirmed(&s, &dice_rng);
        assert_int_equal(s.count, SHARES_MAX);
        assert_true(stock_deadline(&s) == VTIME_NEVER);
    }
    assert_int_equal(s.refilled, 0);
    for (int i = 0; i < SHARES_MAX; i++)
        assert_true(spend(&s, 0));
    stock_confirmed(&s, &dice_rng);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.missing, SHARES_MAX - 1);
}

/* Nor do those whose share had been replaced from the budget before they confirmed. */
static void test_confirmed_late(void **state)
{
    (void)state;
    struct stock s = stock_of("foo", 0);
    vtime_us now = 0;
    for (int i = 0; i < 500; i++) {
        assert_true(spend(&s, now));
        now = stock_deadline(&s);
        assert_true(stock_refill(&s, &dice_rng, now));
        assert_int_equal(s.count, SHARES_MAX);
        stock_confirmed(&s, &dice_rng);
        assert_int_equal(s.count, SHARES_MAX); /* never more than 8 */
    }
    assert_int_equal(s.refilled, 0);
    assert_false(stock_is_exhausted(&s));
    drain(&s, &now, now);
    assert_true(stock_deadline(&s) == now + STOCK_FAST_US);
}

/* The sum that the design promises, whatever the order of things: 128 guesses in all. */
static void test_budget_random(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 100; seed++) {
        struct stock s = stock_of("foo", 0);
        vtime_us now = 0;
        unsigned open = 0, wrong = 0, right = 0;
        dice_seed(&dice_rng, seed);
        for (int step = 0; step < 2000; step++) {
            switch (dice(&dice_rng, 4)) {
            case 0:
                open += spend(&s, now);
                break;
            case 1:
                if (open > 0) {
                    open--;
                    wrong++;
                }
                break;
            case 2:
                if (open > 0 && dice_percent(&dice_rng, 20)) {
                    open--;
                    right++;
                    stock_confirmed(&s, &dice_rng);
                }
                break;
            case 3:
                now += dice(&dice_rng, 5000000);
                stock_refill(&s, &dice_rng, now);
                break;
            }
            assert_true(s.count + s.missing == SHARES_MAX);
            assert_true(s.refilled + SHARES_MAX <= STOCK_IN_ALL);
            assert_int_equal(wrong + open, s.refilled + s.missing);
            assert_true(wrong + open <= 128);
        }
        assert_true(right > 0 && wrong > 0);
        assert_true(wrong <= 8 + 16 + now / VTIME_S(30) + 1);
    }
}

static void test_reflection(void **state)
{
    (void)state;
    struct stock s = stock_of("foo", 0);
    struct share_public p = s.shares[3].share;
    assert_true(stock_owns(&s, &p));
    p.point[0] ^= 1; /* one of the two is enough */
    assert_true(stock_owns(&s, &p));
    p = s.shares[5].share;
    p.commitment[31] ^= 1;
    assert_true(stock_owns(&s, &p));
    p.point[0] ^= 1;
    assert_false(stock_owns(&s, &p));
}

static void test_new_keyword(void **state)
{
    (void)state;
    struct stock s = {0}; /* as before --new has its keyword */
    struct share_secret taken;
    const uint8_t point[CPACE_POINT_BYTES] = {0};
    assert_false(stock_take(&s, point, 0, &taken));
    assert_false(stock_refill(&s, &dice_rng, VTIME_S(100)));
    assert_true(stock_deadline(&s) == VTIME_NEVER);
    assert_false(stock_is_exhausted(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),         cmocka_unit_test(test_fast),       cmocka_unit_test(test_slow),
        cmocka_unit_test(test_no_savings),     cmocka_unit_test(test_when),       cmocka_unit_test(test_confirmed),
        cmocka_unit_test(test_confirmed_late), cmocka_unit_test(test_reflection), cmocka_unit_test(test_budget_random),
        cmocka_unit_test(test_new_keyword),
    };
    dice_seed(&dice_rng, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
