/* UTF-8 and varints: all encodings of all characters, and what is malformed. */
#include "hex.h"
#include "wire/rng.h"
#include "wire/text.h"
#include "wire/varint.h"

/* Written from the definition of UTF-8, apart from the code under test. */
static size_t encode(uint32_t c, size_t size, uint8_t ret[static 4])
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; c >>= 6)
        ret[i] = (uint8_t)(0x80 | (c & 0x3f));
    ret[0] = (uint8_t)(lead[size] | c);
    return size;
}

static size_t shortest(uint32_t c)
{
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

static void test_every_character(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        uint8_t bytes[4];
        uint32_t decoded = 0xdead;
        size_t size = encode(c, shortest(c), bytes);
        bool legal = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        size_t taken = text_next(bytes, size, &decoded);
        if (taken != (legal ? size : 0) || decoded != (legal ? c : 0xdead))
            fail_msg("U+%04X", (unsigned)c);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(text_next(bytes, cut, &decoded), 0);
        assert_int_equal(text_is_valid(bytes, size), legal && c != 0);
        assert_int_equal(text_is_name(bytes, size), legal && c >= 0x20 && !(c >= 0x7f && c <= 0x9f));
    }
}

static void test_overlong(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x10000; c++)
        for (size_t size = shortest(c) + 1; size <= 4; size++) {
            uint8_t bytes[4];
            uint32_t decoded;
            encode(c, size, bytes);
            if (text_next(bytes, size, &decoded) != 0)
                fail_msg("U+%04X in %zu bytes", (unsigned)c, size);
        }
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "80",       "bf",       "c0",         "c080",     "c1bf",     "c2",           "c241",   "e0a0",
        "e0a041",   "e282",     "e28228",     "eda080",   "edbfbf",   "f0808080",     "f09f98", "f09f9841",
        "f4908080", "f5808080", "f888808080", "f8908080", "ff908080", "fc8480808080", "fe",     "ff",
        "61c3",     "c3a961e2", "6100",       "00",       "6180",     "edb080eda080",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct blob b = hex_parse(bad[i]);
        if (text_is_valid(b.at, b.size) || text_is_name(b.at, b.size))
            fail_msg("%s passes", bad[i]);
    }
    static const char *const good[] = {"",         "61",     "c3a9",     "e282ac", "f09f9880",
                                       "f48fbfbf", "efbfbf", "61c3a962", "ee8080"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct blob b = hex_parse(good[i]);
        assert_true(text_is_valid(b.at, b.size));
        assert_true(text_is_name(b.at, b.size));
    }
    assert_true(text_is_valid((const uint8_t *)"a\n\tb", 4)); /* text has lines, a name has not */
    assert_false(text_is_name((const uint8_t *)"a\n", 2));
    assert_false(text_is_name((const uint8_t *)"a\x1b[2J", 5));
    assert_false(text_is_name((const uint8_t *)"\x7f", 1));
    assert_false(text_is_name((const uint8_t *)"\xc2\x9b", 2));
}

static void test_varint_edges(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *hex;
    } edges[] = {
        {0, "00"},
        {1, "01"},
        {127, "7f"},
        {128, "8001"},
        {300, "ac02"},
        {16383, "ff7f"},
        {16384, "808001"},
        {(1ULL << 53) - 1, "ffffffffffffff0f"},
        {(1ULL << 63) - 1, "ffffffffffffffff7f"},
        {1ULL << 63, "80808080808080808001"},
        {UINT64_MAX, "ffffffffffffffffff01"},
    };
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        struct blob b = hex_parse(edges[i].hex);
        uint8_t bytes[VARINT_BYTES_MAX];
        uint64_t value = 42;
        assert_blob(b, bytes, varint_put(bytes, sizeof bytes, edges[i].value));
        assert_int_equal(varint_put(bytes, b.size - 1, edges[i].value), 0);
        assert_int_equal(varint_put(bytes, b.size, edges[i].value), b.size);
        for (size_t cut = 0; cut < b.size; cut++)
            assert_int_equal(varint_get(b.at, cut, &value), 0);
        assert_true(value == 42);
        assert_int_equal(varint_get(b.at, sizeof b.at, &value), b.size);
        assert_true(value == edges[i].value);
    }
}

static void test_varint_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "80",
        "8000", /* cut off, not minimal */
        "ff00",
        "818000",
        "ffffffffffffffffff02",
        "ffffffffffffffffff7f", /* beyond 64 bits */
        "8080808080808080808001",
        "ffffffffffffffffffff01",
        "80808080808080808000",
        "80808080808080808080",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct blob b = hex_parse(bad[i]);
        uint64_t value = 42;
        if (varint_get(b.at, b.size, &value) != 0 || value != 42)
            fail_msg("%s passes", bad[i]);
    }
}

static void test_varint_round_trips(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){12});
    for (int i = 0; i < 20000; i++) {
        uint64_t value = rng_u64(&r) >> rng_below(&r, 64), back;
        uint8_t bytes[VARINT_BYTES_MAX];
        size_t size = varint_put(bytes, sizeof bytes, value);
        assert_in_range(size, 1, VARINT_BYTES_MAX);
        assert_int_equal(varint_get(bytes, size, &back), size);
        assert_true(back == value);
    }
    /* Whatever bytes are read as a number are the bytes that the number is written as. */
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[VARINT_BYTES_MAX + 2], again[VARINT_BYTES_MAX];
        uint64_t value;
        rng_bytes(&r, bytes, sizeof bytes);
        size_t continued = rng_below(&r, sizeof bytes);
        for (size_t k = 0; k < continued; k++)
            bytes[k] |= 0x80;
        size_t size = varint_get(bytes, sizeof bytes, &value);
        if (size > 0) {
            assert_int_equal(varint_put(again, sizeof again, value), size);
            assert_memory_equal(again, bytes, size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character), cmocka_unit_test(test_overlong),
        cmocka_unit_test(test_malformed),       cmocka_unit_test(test_varint_edges),
        cmocka_unit_test(test_varint_refused),  cmocka_unit_test(test_varint_round_trips),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
