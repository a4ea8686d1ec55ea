/* Addresses: text, kinds, masking. */
#include "hex.h"
#include "wire/addr.h"
#include "wire/rng.h"

static struct addr parsed(const char *text)
{
    struct addr a = {0};
    if (!addr_parse(&a, text))
        fail_msg("%s is refused", text);
    return a;
}

static void test_text_both_ways(void **state)
{
    (void)state;
    static const char *const same[] = {
        "192.0.2.1:5",
        "0.0.0.0:0",
        "255.255.255.255:65535",
        "[::]:0",
        "[::1]:1",
        "[2001:db8::1]:5",
        "[fe80::1]:65535",
        "[2001:db8:0:1:1:1:1:1]:80", /* RFC 5952 s4.2.2: one group of zeros is not shortened */
        "[2001:0:0:1::1]:80",        /* s4.2.3: the longest run */
        "[2001:db8::1:0:0:1]:80",    /* s4.2.3: the first of two equal ones */
        "[abcd:ef01:2345:6789:abcd:ef01:2345:6789]:443",
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        char text[ADDR_TEXT_MAX];
        struct addr a = parsed(same[i]);
        assert_ptr_equal(addr_format(&a, text), text);
        assert_string_equal(text, same[i]);
    }
    static const char *const other[][2] = {
        {"[2001:DB8::0001]:5", "[2001:db8::1]:5"}, {"[2001:db8:0:0:0:0:2:1]:1", "[2001:db8::2:1]:1"},
        {"[0:0:0:0:0:0:0:0]:1", "[::]:1"},         {"[::ffff:192.0.2.7]:9", "192.0.2.7:9"}, /* v4-mapped is IPv4 */
        {"[::ffff:c000:207]:9", "192.0.2.7:9"},
    };
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        char text[ADDR_TEXT_MAX];
        struct addr a = parsed(other[i][0]);
        assert_string_equal(addr_format(&a, text), other[i][1]);
    }
    char text[ADDR_TEXT_MAX];
    assert_string_equal(addr_format(&(struct addr){0}, text), "none");
    assert_string_equal(addr_format(&(struct addr){.family = 77, .port = 1}, text), "none");
}

static void test_refused_text(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":",
        ":1",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:99999",
        "1.2.3.4:100000",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4: 1",
        "1.2.3.4:1 ",
        "1.2.3.4:01",
        "1.2.3.4:00",
        "1.2.3.4:1x",
        "1.2.3.4:0x1",
        " 1.2.3.4:1",
        "1.2.3.4 :1",
        "1.2.3:1",
        "1.2.3.4.5:1",
        "1.2.3.256:1",
        "01.2.3.4:1",
        "1.2.3.04:1",
        "1.2.3.4:1:2",
        "0x1.2.3.4:1",
        "localhost:1",
        "1:1",
        "none",
        "::1:5",
        "2001:db8::1:5",
        "[::1]",
        "[::1]:",
        "[::1]5",
        "[::1]:5]",
        "[::1:5",
        "[]:5",
        "[:::]:5",
        "[::1%lo]:5",
        "[fe80::1%1]:5",
        "[12345::]:5",
        "[1::2::3]:5",
        "[1:2:3:4:5:6:7]:5",
        "[1:2:3:4:5:6:7:8:9]:5",
        "[1.2.3.4]:5",
        "[::1] :5",
        "[[::1]]:5",
        "[::g]:1",
        "\xef\xbc\x91.2.3.4:5",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct addr a = addr_v4(9, 9, 9, 9, 9), before = a;
        if (addr_parse(&a, bad[i]))
            fail_msg("\"%s\" passes", bad[i]);
        assert_true(addr_equal(&a, &before));
    }
}

static void test_from_ip(void **state)
{
    (void)state;
    uint8_t ip[17] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    struct addr a, v4 = addr_v4(10, 0, 0, 1, 7);
    for (size_t size = 0; size <= 17; size++)
        assert_int_equal(addr_from_ip(&a, ip, size, 7), size == 4 || size == 16);
    assert_true(addr_from_ip(&a, ip, 16, 7));
    assert_true(addr_equal(&a, &v4)); /* equal addresses are equal bytes */
    assert_true(addr_from_ip(&a, ip + 12, 4, 7));
    assert_true(addr_equal(&a, &v4));
    ip[10] = 0xfe;
    assert_true(addr_from_ip(&a, ip, 16, 7));
    assert_int_equal(a.family, ADDR_V6);
    assert_int_equal(addr_ip_size(&a), 16);
    assert_int_equal(addr_ip_size(&v4), 4);
    assert_int_equal(addr_ip_size(&(struct addr){0}), 0);
}

static void test_equality(void **state)
{
    (void)state;
    struct addr a = parsed("10.0.0.1:1"), port = parsed("10.0.0.1:2"), ip = parsed("10.0.0.2:1"),
                v6 = parsed("[a00:1::]:1");
    assert_true(addr_equal(&a, &a));
    assert_false(addr_equal(&a, &port));
    assert_true(addr_ip_equal(&a, &port));
    assert_false(addr_ip_equal(&a, &ip));
    assert_false(addr_equal(&a, &ip));
    assert_memory_equal(a.ip, v6.ip, 4); /* the same bytes in another family */
    assert_false(addr_ip_equal(&a, &v6));
}

static void test_kinds(void **state)
{
    (void)state;
    enum { LOOP = 1, LINK = 2, PRIVATE = 4, DEAD = 8 };
    static const struct {
        const char *text;
        int kind;
    } cases[] = {
        {"127.0.0.1:1", LOOP},
        {"127.255.255.254:1", LOOP},
        {"126.0.0.1:1", 0},
        {"128.0.0.1:1", 0},
        {"169.254.0.1:1", LINK},
        {"169.253.0.1:1", 0},
        {"169.255.0.1:1", 0},
        {"10.0.0.1:1", PRIVATE},
        {"10.255.255.255:1", PRIVATE},
        {"11.0.0.1:1", 0},
        {"9.255.0.1:1", 0},
        {"172.16.0.1:1", PRIVATE},
        {"172.31.255.1:1", PRIVATE},
        {"172.15.0.1:1", 0},
        {"172.32.0.1:1", 0},
        {"192.168.0.1:1", PRIVATE},
        {"192.167.0.1:1", 0},
        {"192.169.0.1:1", 0},
        {"100.64.0.1:1", 0},
        {"8.8.8.8:1", 0},
        {"0.0.0.0:1", DEAD},
        {"0.1.2.3:1", DEAD},
        {"1.0.0.1:1", 0},
        {"223.255.255.255:1", 0},
        {"224.0.0.1:1", DEAD},
        {"239.1.1.1:1", DEAD},
        {"240.0.0.1:1", DEAD},
        {"255.255.255.255:1", DEAD},
        {"8.8.8.8:0", DEAD},
        {"[::1]:1", LOOP},
        {"[::2]:1", 0},
        {"[::]:1", DEAD},
        {"[1::1]:1", 0},
        {"[fe80::1]:1", LINK},
        {"[febf::1]:1", LINK},
        {"[fec0::1]:1", 0},
        {"[fe7f::1]:1", 0},
        {"[fc00::1]:1", PRIVATE},
        {"[fdff::1]:1", PRIVATE},
        {"[fbff::1]:1", 0},
        {"[fe00::1]:1", 0},
        {"[ff02::1]:1", DEAD},
        {"[feff::1]:1", 0},
        {"[2001:db8::1]:1", 0},
        {"[2001:db8::1]:0", DEAD},
        {"[::1]:0", LOOP | DEAD},
        {"[7f00::1]:1", 0},
        {"[a00::1]:1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct addr a = parsed(cases[i].text);
        int kind = addr_is_loopback(&a) * LOOP + addr_is_link_local(&a) * LINK + addr_is_private(&a) * PRIVATE +
                   !addr_is_sendable(&a) * DEAD;
        if (kind != cases[i].kind)
            fail_msg("%s is %d, not %d", cases[i].text, kind, cases[i].kind);
        assert_int_equal(addr_is_local(&a), (kind & (LOOP | LINK | PRIVATE)) != 0);
    }
    struct addr none = {.port = 1};
    assert_false(addr_is_sendable(&none) || addr_is_local(&none));
}

static void test_mask(void **state)
{
    (void)state;
    const uint64_t token = 0x0807060504030201; /* t[0] is 1 */
    struct addr a = addr_mask(&(struct addr){.family = ADDR_V4, .port = 0x1234}, token);
    struct addr v4 = addr_v4(1, 2, 3, 4, 0x1234 ^ 0x0102);
    assert_true(addr_equal(&a, &v4));
    a = addr_mask(&(struct addr){.family = ADDR_V6}, token);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(a.ip[i], i % 8 + 1);
    assert_int_equal(a.port, 0x0102);
    struct addr none = {0};
    a = addr_mask(&none, token);
    assert_true(addr_equal(&a, &none));

    struct rng r;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){13});
    for (int i = 0; i < 1000; i++) {
        uint64_t any = rng_u64(&r);
        struct addr b = {.family = i % 2 ? ADDR_V4 : ADDR_V6, .port = (uint16_t)rng_u64(&r)};
        rng_bytes(&r, b.ip, addr_ip_size(&b));
        a = addr_mask(&b, any);
        a = addr_mask(&a, any);
        assert_true(addr_equal(&a, &b));
    }
}

/* Whatever the bytes: text and back gives the same address, and random text never harms. */
static void test_random(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){14});
    for (int i = 0; i < 20000; i++) {
        uint8_t ip[16];
        char text[ADDR_TEXT_MAX];
        struct addr a;
        rng_bytes(&r, ip, sizeof ip);
        for (size_t k = 0; k < sizeof ip; k++) /* runs of zeros make the short forms */
            ip[k] = rng_below(&r, 2) ? 0 : ip[k];
        assert_true(addr_from_ip(&a, ip, i % 2 ? 4 : 16, (uint16_t)rng_u64(&r)));
        struct addr back = parsed(addr_format(&a, text));
        assert_true(addr_equal(&a, &back));
        assert_true(strlen(text) < ADDR_TEXT_MAX);
    }
    for (int i = 0; i < 100000; i++) {
        static const char letters[] = "0123456789abcdef.:[]:. %x";
        char text[64];
        size_t size = rng_below(&r, sizeof text);
        struct addr a;
        for (size_t k = 0; k < size; k++)
            text[k] = letters[rng_below(&r, sizeof letters - 1)];
        text[size] = '\0';
        addr_parse(&a, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_both_ways), cmocka_unit_test(test_refused_text), cmocka_unit_test(test_from_ip),
        cmocka_unit_test(test_equality),       cmocka_unit_test(test_kinds),        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
