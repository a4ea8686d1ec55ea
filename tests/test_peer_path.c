/* One path: when it is asked, when it works, when it is given up, and which of two is better. */
#include "peer/path.h"
#include "peer_tools.h"
#include "wire/limits.h"

enum { MS = 1000 };

static struct rng dice_rng;

static struct path direct(void)
{
    return (struct path){.remote = addr_v4(192, 0, 2, 1, 1000)};
}

/* ---- asking ---- */

static void test_probing(void **state)
{
    (void)state;
    struct path p = direct();
    vtime_us now = VTIME_S(5);
    path_probe(&p, now);
    assert_int_equal(p.state, PATH_PROBING);
    assert_true(p.ask_at == now); /* at once */
    uint64_t challenge = 0;
    for (unsigned i = 1; i <= PROBE_TRIES_MAX; i++) {
        assert_false(path_expire(&p, now, VTIME_S(1), true));
        assert_int_equal(p.state, PATH_PROBING);
        uint64_t asked = path_ask(&p, &dice_rng, now, VTIME_MS(200 * i));
        assert_true(asked != 0);
        assert_true(challenge == 0 || asked == challenge); /* one question, repeated */
        challenge = asked;
        assert_true(p.ask_at == now + VTIME_MS(200 * i));
        assert_int_equal(p.tries, i);
        now = p.ask_at;
    }
    now--;
    assert_false(path_expire(&p, now, VTIME_S(1), false));
    assert_int_equal(p.state, PATH_PROBING); /* the last answer may still come */
    now++;
    assert_false(path_expire(&p, now, VTIME_S(1), false)); /* it never worked, so it did not stop to */
    assert_int_equal(p.state, PATH_RESTING);
    assert_true(p.ask_at == VTIME_NEVER);
    assert_false(path_answered(&p, &dice_rng, now, challenge)); /* too late */
    assert_int_equal(p.state, PATH_RESTING);
    path_probe(&p, now); /* and anew */
    assert_int_equal(p.tries, 0);
    assert_true(p.ask_at == now);
    assert_true(path_ask(&p, &dice_rng, now, MS) != challenge);
}

static void test_answer(void **state)
{
    (void)state;
    struct path p = direct();
    vtime_us now = VTIME_S(5);
    path_probe(&p, now);
    assert_false(path_answered(&p, &dice_rng, now, 0)); /* 0 answers nothing */
    assert_false(path_answered(&p, &dice_rng, now, 1));
    uint64_t c = path_ask(&p, &dice_rng, now, VTIME_MS(200));
    assert_false(path_answered(&p, &dice_rng, now, c + 1));
    assert_false(path_answered(&p, &dice_rng, now, 0));
    now += VTIME_MS(40);
    assert_true(path_answered(&p, &dice_rng, now, c));
    assert_int_equal(p.state, PATH_WORKING);
    assert_true(p.rtt_us == VTIME_MS(40));
    assert_true(p.answered_at == now);
    assert_in_range(p.ask_at - now, KEEPALIVE_MIN_US, KEEPALIVE_MIN_US + KEEPALIVE_JITTER_US);
    assert_false(path_answered(&p, &dice_rng, now, c)); /* once */

    c = path_ask(&p, &dice_rng, now, VTIME_MS(200)); /* smoothed: (7 * 40 + 120) / 8 */
    assert_true(path_answered(&p, &dice_rng, now + VTIME_MS(120), c));
    assert_true(p.rtt_us == VTIME_MS(50));
    c = path_ask(&p, &dice_rng, now, VTIME_MS(200));
    path_ask(&p, &dice_rng, now + VTIME_MS(200), VTIME_MS(200));
    assert_true(path_answered(&p, &dice_rng, now + VTIME_MS(210), c));
    assert_true(p.rtt_us == VTIME_MS(50)); /* of which of the two? No sample. */
    c = path_ask(&p, &dice_rng, now, VTIME_MS(200));
    assert_true(path_answered(&p, &dice_rng, now, c));
    assert_true(p.rtt_us > 0); /* 0 means unknown */
}

static void test_keepalive_is_spread(void **state)
{
    (void)state;
    vtime_us low = VTIME_NEVER, high = 0;
    for (int i = 0; i < 200; i++) {
        struct path p = direct();
        uint64_t c = path_ask(&p, &dice_rng, 0, MS);
        assert_true(path_answered(&p, &dice_rng, 0, c));
        low = vtime_min(low, p.ask_at);
        high = p.ask_at > high ? p.ask_at : high;
    }
    assert_true(low >= VTIME_S(15) && low < VTIME_MS(15300));
    assert_true(high <= VTIME_S(18) && high > VTIME_MS(17700));
}

/* ---- giving up ---- */

static struct path working(vtime_us now)
{
    struct path p = direct();
    path_probe(&p, now);
    uint64_t c = path_ask(&p, &dice_rng, now, VTIME_MS(200));
    assert_true(path_answered(&p, &dice_rng, now, c));
    return p;
}

static void test_consent(void **state)
{
    (void)state;
    const vtime_us now = VTIME_S(100), pto = VTIME_MS(100);
    struct path p = working(now);
    assert_false(path_expire(&p, now + CONSENT_US - 1, pto, true));
    assert_true(path_expire(&p, now + CONSENT_US, pto, true)); /* in use: probed anew */
    assert_int_equal(p.state, PATH_PROBING);
    assert_true(p.ask_at == now + CONSENT_US);
    assert_false(path_expire(&p, now + CONSENT_US, pto, true)); /* it stops once */

    p = working(now);
    assert_false(path_expire(&p, now + CONSENT_US - 1, pto, false));
    assert_int_equal(p.state, PATH_WORKING);
    assert_false(path_expire(&p, now + CONSENT_US, pto, false)); /* not in use: nothing is lost */
    assert_int_equal(p.state, PATH_RESTING);
}

static void test_suspect(void **state)
{
    (void)state;
    const vtime_us pto = VTIME_MS(100);
    vtime_us now = VTIME_S(100), start;
    struct path p = working(now);
    struct path idle = p;
    path_suspect(&p, now);
    assert_true(p.ask_at == now);
    idle.ask_at = start = now;
    for (int i = 0; i < 3; i++) {
        assert_false(path_expire(&p, now, pto, true));
        path_ask(&p, &dice_rng, now, VTIME_MS(50));
        path_ask(&idle, &dice_rng, now, VTIME_MS(50));
        path_suspect(&p, now); /* it is being asked: no sooner */
        assert_true(p.ask_at == now + VTIME_MS(50));
        now += VTIME_MS(50);
    }
    now = start + 3 * pto;
    assert_false(path_expire(&p, now - 1, pto, true)); /* three questions, but not three PTO */
    assert_false(path_expire(&idle, now, pto, true));  /* nothing has waited for it */
    assert_int_equal(idle.state, PATH_WORKING);
    assert_true(path_expire(&p, now, pto, true));
    assert_int_equal(p.state, PATH_PROBING);

    p = working(now);
    p.state = PATH_RESTING;
    p.ask_at = VTIME_NEVER;
    path_suspect(&p, now);
    assert_true(p.ask_at == VTIME_NEVER);
}

/* Asked for ever without an answer, the count does not come round to "asked once". */
static void test_many_tries(void **state)
{
    (void)state;
    struct path p = direct();
    uint64_t c = 0;
    for (unsigned i = 0; i < 257; i++)
        c = path_ask(&p, &dice_rng, i * VTIME_S(4), VTIME_S(4));
    assert_true(path_answered(&p, &dice_rng, 257 * VTIME_S(4), c));
    assert_true(p.rtt_us == 0);
}

/* ---- before the other is ready ---- */

/* What goes out until then is a question like any other, but it is not meant to arrive: its repetition waits until the
 * other starts, and is another question. */
static void test_opening(void **state)
{
    (void)state;
    const vtime_us now = VTIME_S(5), full_at = now + VTIME_MS(40);
    struct path p = direct();
    path_probe(&p, now);
    assert_false(path_opens(&p, now)); /* nobody has to wait */
    p.full_at = full_at;
    assert_true(path_opens(&p, now));
    uint64_t opener = path_ask(&p, &dice_rng, now, VTIME_MS(200));
    assert_true(opener != 0);
    assert_true(p.ask_at == full_at);
    assert_true(path_opens(&p, full_at - 1));
    assert_false(path_opens(&p, full_at));
    uint64_t first = path_ask(&p, &dice_rng, full_at, VTIME_MS(200));
    assert_true(first != 0 && first != opener);
    assert_int_equal(p.tries, 1); /* so that its answer gives a round trip */
    assert_true(p.ask_at == full_at + VTIME_MS(200));
    assert_true(path_ask(&p, &dice_rng, p.ask_at, VTIME_MS(200)) == first); /* only once is there a new one */
    assert_false(path_answered(&p, &dice_rng, p.ask_at, opener));
    assert_true(path_answered(&p, &dice_rng, p.ask_at, first));
}

/* Shown by the answer to a question of a try: it works, and is asked at once for its round trip. */
static void test_works(void **state)
{
    (void)state;
    const vtime_us now = VTIME_S(5);
    struct path p = direct();
    path_works(&p, now);
    assert_int_equal(p.state, PATH_WORKING);
    assert_true(p.answered_at == now && p.ask_at == now && p.rtt_us == 0);
    assert_false(path_expire(&p, now + CONSENT_US - 1, VTIME_MS(100), true));
    assert_true(path_expire(&p, now + CONSENT_US, VTIME_MS(100), true));

    p = direct();
    path_probe(&p, now);
    uint64_t c = path_ask(&p, &dice_rng, now, VTIME_MS(200));
    path_works(&p, now + VTIME_MS(10));
    assert_true(path_answered(&p, &dice_rng, now + VTIME_MS(30), c)); /* its own question stays open */
    assert_true(p.rtt_us == VTIME_MS(30));
}

/* ---- choosing ---- */

static const vtime_us rtts[] = {0,          1,           1 * MS,      4 * MS,      5 * MS,   6 * MS,
                                6 * MS + 1, 10 * MS,     12 * MS,     20 * MS,     25 * MS,  30 * MS,
                                31 * MS,    32 * MS,     100 * MS,    130 * MS,    131 * MS, 132 * MS,
                                1000 * MS,  VTIME_S(10), VTIME_S(60), VTIME_S(300)};

static struct path make(unsigned kind, vtime_us rtt)
{
    struct path p = {.rtt_us = rtt, .lan = kind == 2};
    if (kind > 0)
        p.remote = addr_v4(10, 0, 0, 1, 1);
    return p;
}

static void test_better(void **state)
{
    (void)state;
    for (unsigned ka = 0; ka < 3; ka++)
        for (unsigned kb = 0; kb < 3; kb++)
            for (size_t i = 0; i < COUNT(rtts); i++)
                for (size_t k = 0; k < COUNT(rtts); k++) {
                    struct path a = make(ka, rtts[i]), b = make(kb, rtts[k]);
                    bool ab = path_better(&a, &b), ba = path_better(&b, &a);
                    assert_false(ab && ba);
                    if (ka != kb) /* LAN before direct before relay, whatever the round trip */
                        assert_true(ab == (ka > kb) && ba == (kb > ka));
                    else if (rtts[i] == 0 || rtts[k] == 0)
                        assert_false(ab || ba);
                    else /* shorter by more than a fifth and 5 ms */
                        assert_true(ab == (rtts[i] + 5 * MS < rtts[k] - rtts[k] / 5));
                }
}

/* No circle: who follows path_better from one path to the next comes to an end. */
static void test_better_ends(void **state)
{
    (void)state;
    for (int run = 0; run < 2000; run++) {
        struct path paths[6];
        for (size_t i = 0; i < COUNT(paths); i++)
            paths[i] = make(dice(&dice_rng, 3), dice(&dice_rng, 60000));
        size_t at = 0;
        for (int hops = 0;; hops++) {
            size_t k = 0;
            while (k < COUNT(paths) && !path_better(&paths[k], &paths[at]))
                k++;
            if (k == COUNT(paths))
                break;
            at = k;
            assert_true(hops < 6);
        }
    }
}

static void test_kind(void **state)
{
    (void)state;
    struct path relay = make(0, 0), far = make(1, 0), near = make(2, 0);
    assert_int_equal(path_kind(&relay), PATH_RELAY);
    assert_int_equal(path_kind(&far), PATH_DIRECT);
    assert_int_equal(path_kind(&near), PATH_LAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probing),     cmocka_unit_test(test_answer),  cmocka_unit_test(test_keepalive_is_spread),
        cmocka_unit_test(test_consent),     cmocka_unit_test(test_suspect), cmocka_unit_test(test_many_tries),
        cmocka_unit_test(test_opening),     cmocka_unit_test(test_works),   cmocka_unit_test(test_better),
        cmocka_unit_test(test_better_ends), cmocka_unit_test(test_kind),
    };
    dice_seed(&dice_rng, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
