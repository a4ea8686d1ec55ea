/* Which packets have arrived: ranges against a table and a slow model, and when an Ack is due. */
#include "peer/received.h"
#include "peer_tools.h"

enum { DELAY = 25000 };

struct row {
    const char *name;
    uint64_t numbers[12]; /* added in this order */
    unsigned count;
    struct ack_range ranges[6]; /* expected */
    unsigned range_count;
};

static const struct row rows[] = {
    {"one", {0}, 1, {{0, 0}}, 1},
    {"in order", {0, 1, 2, 3}, 4, {{0, 3}}, 1},
    {"backwards", {3, 2, 1, 0}, 4, {{0, 3}}, 1},
    {"twice", {5, 5, 5}, 3, {{5, 5}}, 1},
    {"inside a range", {1, 2, 3, 2}, 4, {{1, 3}}, 1},
    {"a gap", {0, 2}, 2, {{2, 2}, {0, 0}}, 2},
    {"the gap closes", {0, 2, 1}, 3, {{0, 2}}, 1},
    {"two ranges meet from above", {10, 11, 14, 13, 12}, 5, {{10, 14}}, 1},
    {"a lower one grows up", {10, 20, 11}, 3, {{20, 20}, {10, 11}}, 2},
    {"a lower one grows down", {10, 20, 9}, 3, {{20, 20}, {9, 10}}, 2},
    {"in the middle of three", {10, 30, 20, 21, 19}, 5, {{30, 30}, {19, 21}, {10, 10}}, 3},
    {"a far jump", {0, UINT64_MAX - 1, UINT64_MAX - 2}, 3, {{UINT64_MAX - 2, UINT64_MAX - 1}, {0, 0}}, 2},
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct received r = {0};
        for (unsigned k = 0; k < rows[i].count; k++)
            received_add(&r, 0, rows[i].numbers[k], false, DELAY);
        if (r.count != rows[i].range_count)
            fail_msg("%s: %u ranges", rows[i].name, r.count);
        for (unsigned k = 0; k < r.count; k++)
            if (r.ranges[k].first != rows[i].ranges[k].first || r.ranges[k].last != rows[i].ranges[k].last)
                fail_msg("%s: range %u", rows[i].name, k);
    }
}

/* The lowest range is forgotten when there are too many; what is lower than all is not taken in. */
static void test_overflow(void **state)
{
    (void)state;
    struct received r = {0};
    for (uint64_t n = 1; n <= ACK_RANGES_MAX; n++)
        received_add(&r, 0, 10 * n, true, DELAY);
    assert_int_equal(r.count, ACK_RANGES_MAX);
    received_add(&r, 0, 5, true, DELAY);
    assert_int_equal(r.count, ACK_RANGES_MAX);
    assert_int_equal(r.ranges[ACK_RANGES_MAX - 1].first, 10);
    received_add(&r, 0, 9, true, DELAY); /* touches: no new range */
    assert_int_equal(r.ranges[ACK_RANGES_MAX - 1].first, 9);
    received_add(&r, 0, 1000, true, DELAY);
    assert_int_equal(r.count, ACK_RANGES_MAX);
    assert_int_equal(r.ranges[0].last, 1000);
    assert_int_equal(r.ranges[ACK_RANGES_MAX - 1].first, 20);
    received_add(&r, 0, 25, true, DELAY); /* pushes the 20 out and is the last itself */
    assert_int_equal(r.ranges[ACK_RANGES_MAX - 1].first, 25);
    assert_int_equal(r.ranges[ACK_RANGES_MAX - 2].first, 30);
}

/* The model: a bit per number; one run too many, and the lowest is cleared. */
enum { NUMBERS = 400 };

static unsigned model_runs(const bool *have, struct ack_range *ret)
{
    unsigned count = 0;
    for (int n = NUMBERS - 1; n >= 0; n--) {
        if (!have[n])
            continue;
        int last = n;
        while (n > 0 && have[n - 1])
            n--;
        ret[count++] = (struct ack_range){(uint64_t)n, (uint64_t)last};
    }
    return count;
}

static void test_model(void **state)
{
    (void)state;
    bool overflowed = false;
    for (uint32_t seed = 0; seed < 200; seed++) {
        struct rng dice_rng;
        struct received r = {0};
        bool have[NUMBERS] = {false};
        struct ack_range runs[NUMBERS];
        dice_seed(&dice_rng, seed);
        uint32_t spread = dice_between(&dice_rng, 2, NUMBERS);
        for (int step = 0; step < 600; step++) {
            uint32_t number = dice(&dice_rng, spread);
            received_add(&r, 0, number, true, DELAY);
            have[number] = true;
            unsigned count = model_runs(have, runs);
            if (count > ACK_RANGES_MAX) {
                overflowed = true;
                count--;
                memset(have + runs[count].first, 0, (size_t)(runs[count].last - runs[count].first + 1));
            }
            assert_int_equal(r.count, count);
            assert_memory_equal(r.ranges, runs, count * sizeof runs[0]);
        }
    }
    assert_true(overflowed);
}

/* ---- when an Ack is due (RFC 9000 s13.2.1) ---- */

struct arrival {
    uint64_t number;
    bool eliciting;
    vtime_us at, due; /* due: expected afterwards */
};

struct timing {
    const char *name;
    struct arrival arrivals[5];
    unsigned count;
};

static const struct timing timings[] = {
    {"the first may wait", {{0, true, 100, 100 + DELAY}}, 1},
    {"the second is due at once", {{0, true, 100, 100 + DELAY}, {1, true, 200, 200}}, 2},
    {"the third does not put it off", {{0, true, 100, 100 + DELAY}, {1, true, 200, 200}, {2, true, 300, 200}}, 3},
    {"a gap: at once", {{0, false, 100, VTIME_NEVER}, {2, true, 200, 200}}, 2},
    {"out of order: at once", {{5, false, 100, VTIME_NEVER}, {3, true, 200, 200}}, 2},
    {"nothing asked for it", {{0, false, 100, VTIME_NEVER}, {7, false, 200, VTIME_NEVER}}, 2},
    {"what asks for nothing does not hurry", {{0, true, 100, 100 + DELAY}, {1, false, 200, 100 + DELAY}}, 2},
    {"the first ever need not be number 0", {{9, true, 100, 100 + DELAY}}, 1},
};

static void test_timing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(timings); i++) {
        struct received r = {0};
        for (unsigned k = 0; k < timings[i].count; k++) {
            const struct arrival *a = &timings[i].arrivals[k];
            received_add(&r, a->at, a->number, a->eliciting, DELAY);
            if (received_deadline(&r) != a->due)
                fail_msg("%s, arrival %u: due %llu", timings[i].name, k, (unsigned long long)received_deadline(&r));
        }
        received_acknowledged(&r);
        assert_true(received_deadline(&r) == VTIME_NEVER);
    }
}

/* A long delay that was granted for one packet is cut short by one that grants less. */
static void test_delay_shrinks(void **state)
{
    (void)state;
    struct received r = {0};
    received_add(&r, 1000, 0, true, 900000);
    assert_true(received_deadline(&r) == 901000);
    received_add(&r, 2000, 1, true, 900000);
    assert_true(received_deadline(&r) == 2000);
    received_acknowledged(&r);
    received_add(&r, 3000, 2, true, 700);
    assert_true(received_deadline(&r) == 3700);
}

static void test_frame(void **state)
{
    (void)state;
    struct received r = {0};
    struct frame_ack f = {0};
    assert_false(received_ack(&r, 5000, &f));
    received_add(&r, 1000, 7, true, DELAY);
    received_add(&r, 2000, 3, true, DELAY); /* older: does not move the time of the largest */
    assert_true(received_ack(&r, 5000, &f));
    assert_int_equal(f.delay_us, 4000);
    assert_int_equal(f.range_count, 2);
    assert_int_equal(f.ranges[0].last, 7);
    assert_int_equal(f.ranges[1].last, 3);
    assert_true(received_ack(&r, 1000 + VTIME_S(11), &f)); /* the schema's bound */
    assert_int_equal(f.delay_us, 10000000);
    struct received first = {0};
    received_add(&first, 1000, 0, true, DELAY);
    assert_true(received_ack(&first, 1500, &f));
    assert_int_equal(f.delay_us, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges), cmocka_unit_test(test_overflow),      cmocka_unit_test(test_model),
        cmocka_unit_test(test_timing), cmocka_unit_test(test_delay_shrinks), cmocka_unit_test(test_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
