/* The generator: repeatable, erasing, even enough; its first block against a known answer. */
#include "hex.h"
#include "wire/rng.h"
#include <stdlib.h>

static struct rng seeded(uint8_t first)
{
    struct rng r;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){first});
    return r;
}

/* RFC 8439, appendix A.1: the key stream of the zero key and nonce; bytes 32.. are what is given out first, and
 * bytes 0..31 are the next key. */
static void test_known_answer(void **state)
{
    (void)state;
    struct blob stream = hex_parse("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
                                   "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
    struct rng r = seeded(0);
    uint8_t bytes[32];
    rng_bytes(&r, bytes, sizeof bytes);
    assert_memory_equal(bytes, stream.at + 32, 32);
    assert_memory_equal(r.key, stream.at, 32);
}

static void test_same_seed_same_bytes(void **state)
{
    (void)state;
    enum { SIZE = 5000 };
    static uint8_t at_once[SIZE], in_pieces[SIZE];
    struct rng a = seeded(7), b = seeded(7), c = seeded(8), pieces = seeded(99);
    rng_bytes(&a, at_once, SIZE);
    for (size_t i = 0; i < SIZE;) {
        size_t piece = rng_below(&pieces, 700);
        if (piece > SIZE - i)
            piece = SIZE - i;
        rng_bytes(&b, in_pieces + i, piece);
        i += piece;
    }
    assert_memory_equal(at_once, in_pieces, SIZE);
    assert_memory_equal(&a, &b, sizeof a);
    rng_bytes(&c, in_pieces, SIZE);
    assert_memory_not_equal(at_once, in_pieces, 16);
    rng_bytes(&a, at_once, 0);
    assert_memory_equal(&a, &b, sizeof a);
}

static bool contains(const void *haystack, size_t size, const void *needle, size_t needle_size)
{
    return memmem(haystack, size, needle, needle_size) != NULL;
}

/* What was given out is nowhere in the state, at any point of the buffer. */
static void test_erases(void **state)
{
    (void)state;
    struct rng r = seeded(1);
    for (int i = 0; i < 300; i++) {
        uint8_t bytes[8];
        rng_bytes(&r, bytes, sizeof bytes);
        assert_false(contains(&r, sizeof r, bytes, sizeof bytes));
    }
}

static void test_reseed(void **state)
{
    (void)state;
    struct rng a = seeded(1), b = seeded(1), old;
    uint8_t entropy[RNG_SEED_BYTES] = {5}, x[64], y[64];
    rng_bytes(&a, x, 10);
    rng_bytes(&b, y, 10);
    old = a;
    rng_reseed(&a, entropy);
    assert_false(contains(&a, sizeof a, old.key, sizeof old.key));
    assert_false(contains(&a, sizeof a, old.buffer + old.used, 16)); /* what was waiting is gone too */
    rng_bytes(&a, x, sizeof x);
    rng_bytes(&b, y, sizeof y);
    assert_memory_not_equal(x, y, sizeof x);
    b = old;
    rng_reseed(&b, entropy); /* same state, same entropy: same bytes */
    rng_bytes(&b, y, sizeof y);
    assert_memory_equal(x, y, sizeof x);
    b = old;
    entropy[31] = 1;
    rng_reseed(&b, entropy);
    rng_bytes(&b, y, sizeof y);
    assert_memory_not_equal(x, y, sizeof x);
}

static void test_u64_is_little_endian(void **state)
{
    (void)state;
    struct rng a = seeded(3), b = seeded(3);
    uint8_t bytes[8];
    uint64_t value = rng_u64(&a), expected = 0;
    rng_bytes(&b, bytes, sizeof bytes);
    for (int i = 7; i >= 0; i--)
        expected = expected << 8 | bytes[i];
    assert_true(value == expected);
}

static void test_token_is_not_zero(void **state)
{
    (void)state;
    struct rng r = seeded(4), twin;
    rng_bytes(&r, (uint8_t[1]){0}, 1); /* make a buffer, then put a zero where the next number comes from */
    memset(r.buffer + r.used, 0, 16);
    twin = r;
    assert_int_equal(rng_u64(&twin), 0);
    assert_int_equal(rng_u64(&twin), 0);
    uint64_t third = rng_u64(&twin);
    assert_true(rng_token(&r) == third);
}

/* 2^64 mod 3 is 1: of the numbers drawn only 0 has no equal share, and is drawn again. */
static void test_below_draws_again(void **state)
{
    (void)state;
    struct rng r = seeded(6);
    rng_bytes(&r, (uint8_t[1]){0}, 1);
    memset(r.buffer + r.used, 0, 16);
    r.buffer[r.used + 8] = 1;
    assert_int_equal(rng_below(&r, 3), 1);
    assert_int_equal(r.used, 1 + 16);
    memset(r.buffer + r.used, 0, 8);
    assert_int_equal(rng_below(&r, 4), 0);
    assert_int_equal(r.used, 1 + 24);
}

static void test_below(void **state)
{
    (void)state;
    struct rng r = seeded(5);
    unsigned counts[7] = {0};
    for (int i = 0; i < 70000; i++)
        counts[rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++) /* 10,000 expected, standard deviation 93: five of them */
        assert_in_range(counts[i], 9535, 10465);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rng_below(&r, 1), 0);
        assert_true(rng_below(&r, UINT32_MAX) < UINT32_MAX);
        assert_in_range(rng_below(&r, 2), 0, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answer),
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_erases),
        cmocka_unit_test(test_reseed),
        cmocka_unit_test(test_u64_is_little_endian),
        cmocka_unit_test(test_token_is_not_zero),
        cmocka_unit_test(test_below_draws_again),
        cmocka_unit_test(test_below),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
