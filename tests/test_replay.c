/* The replay window against a table of hard cases and against a slow model. */
#include "hex.h"
#include "wire/replay.h"
#include "wire/rng.h"
#include <stdlib.h>

enum { W = REPLAY_WINDOW_BITS };

struct step {
    uint64_t number;
    bool is_new; /* expected; a new one is marked */
};

#define TABLE(...)                                                                                                     \
    (const struct step[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            UINT64_MAX, false                                                                                          \
        }                                                                                                              \
    }

static void run(const struct step *steps)
{
    struct replay w = {0};
    size_t i = 0;
    do { /* the row of UINT64_MAX at the end is checked too: it is never new */
        struct replay before = w;
        bool is_new = replay_is_new(&w, steps[i].number);
        if (is_new != steps[i].is_new)
            fail_msg("step %zu: %llu", i, (unsigned long long)steps[i].number);
        assert_memory_equal(&before, &w, sizeof w);
        if (is_new) {
            replay_mark(&w, steps[i].number);
            assert_false(replay_is_new(&w, steps[i].number));
        }
    } while (steps[i++].number != UINT64_MAX);
}

static void test_table(void **state)
{
    (void)state;
    run(TABLE({0, true}, {0, false}, {1, true}, {1, false}, {0, false}));
    run(TABLE({5, true}, {3, true}, {4, true}, {0, true}, {5, false}, {3, false}, {1, true}, {2, true}, {0, false}));
    /* The edges of the window: W numbers up to the highest. */
    run(TABLE({W - 1, true}, {0, true}, {0, false}));
    run(TABLE({W, true}, {0, false}, {1, true}, {1, false}));
    run(TABLE({0, true}, {W, true}, {0, false}, {1, true}));
    run(TABLE({10000, true}, {10000 - W, false}, {10000 - W + 1, true}, {9999, true}, {10000, false}));
    /* Word edges. */
    run(TABLE({63, true}, {64, true}, {63, false}, {64, false}, {65, true}, {62, true}, {127, true}, {128, true},
              {126, true}, {128, false}));
    /* A jump of just under, exactly and just over once around the ring. */
    run(TABLE({0, true}, {W + 63, true}, {64, true}, {63, false}, {W + 62, true}));
    run(TABLE({5, true}, {W + 64 + 5, true}, {W + 5, true}, {W + 64 + 5, false}, {W + 5, false}, {69, false},
              {70, true}));
    run(TABLE({5, true}, {2 * W + 64 + 5, true}, {W + 64 + 6, true}, {W + 64 + 5, false}));
    /* Far jumps clear everything: the number with the same place in the ring is new. */
    run(TABLE({7, true}, {1ULL << 40, true}, {(1ULL << 40) - 1, true}, {(1ULL << 40) - W + 1, true}, {7, false}));
    for (uint64_t k = 1; k <= 40; k++)
        run(TABLE({100, true}, {100 + k * 64 * REPLAY_WORDS, true}, {99 + k * 64 * REPLAY_WORDS, true}, {100, false}));
}

static void test_end_of_numbers(void **state)
{
    (void)state;
    run(TABLE({UINT64_MAX, false}, {0, true}));
    run(TABLE({UINT64_MAX - 1, true}, {UINT64_MAX - 1, false}, {UINT64_MAX, false}, {UINT64_MAX - 2, true},
              {UINT64_MAX - W, true}, {UINT64_MAX - W - 1, false}, {0, false}));
    run(TABLE({UINT64_MAX - 70, true}, {UINT64_MAX - 1, true}, {UINT64_MAX - 70, false}, {UINT64_MAX - 71, true}));
    run(TABLE({3, true}, {UINT64_MAX - 1, true}, {3, false}));
}

/* The model remembers every number; steps of all sizes, so that the window is crossed often. */
static void test_against_model(void **state)
{
    (void)state;
    enum { NUMBERS = 200000, STEPS = 300000 };
    bool *seen = calloc(NUMBERS, sizeof *seen);
    struct rng r;
    struct replay w = {0};
    uint64_t next = 0, accepted = 0;
    assert_non_null(seen);
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){11});
    for (int i = 0; i < STEPS; i++) {
        uint32_t kind = rng_below(&r, 1000);
        uint64_t number = kind == 0 ? next + rng_below(&r, 3 * W) : kind < 200 ? next + rng_below(&r, 4) : 0;
        if (kind >= 200)
            number = next > 0 ? next - 1 - rng_below(&r, (uint32_t)(next < W + 200 ? next : W + 200)) : 0;
        if (number >= NUMBERS)
            break;
        bool expected = !seen[number] && (number >= next || next - number <= W);
        assert_int_equal(replay_is_new(&w, number), expected);
        if (expected) {
            replay_mark(&w, number);
            seen[number] = true;
            accepted++;
            next = number >= next ? number + 1 : next;
        }
        assert_int_equal(w.next, next);
    }
    assert_true(accepted > 10000 && next > 10 * W);
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_end_of_numbers),
        cmocka_unit_test(test_against_model),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
