/* Keywords: normal form, room or open, prefix, strength; and the list of words. */
#include "hex.h"
#include "wire/keyword.h"
#include "wire/text.h"
#include "wire/words.h"
#include <sodium.h>
#include <stdlib.h>

static enum keyword_error parse(struct keyword *k, const char *text)
{
    return keyword_parse(k, text, strlen(text));
}

static struct keyword parsed(const char *text)
{
    struct keyword k;
    enum keyword_error e = parse(&k, text);
    if (e != KEYWORD_OK)
        fail_msg("\"%s\" is refused: %s", text, keyword_error_text(e));
    return k;
}

static void test_normal_form(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"foo", "foo"},
        {"Foo", "foo"},
        {"  foo  ", "foo"},
        {"foo\n", "foo"},
        {"\tfoo\r\n", "foo"},
        {"--foo--", "foo"},
        {" - foo - ", "foo"},
        {"a b", "a-b"},
        {"a  \t - -- b", "a-b"},
        {"a--b", "a-b"},
        {"a_b.c", "a_b.c"},
        {"42 Crab Lunar TOAST", "42-crab-lunar-toast"},
        {"\u3000a\u3000\u3000b\u3000", "a-b"}, /* ideographic space */
        {"a\u00a0b", "a-b"},                   /* no-break */
        {"a\u1680b", "a-b"},                   /* ogham: NFKC leaves it */
        {"a\u2000b\u200ac", "a-b-c"},          /* em */
        {"a\u2028b", "a-b"},                   /* line separator */
        {"a\u2029b", "a-b"},                   /* paragraph separator */
        {"a\u202fb\u205fc", "a-b-c"},          /* narrow no-break, mathematical */
        {"a\xc2\x85 b", "a-b"},                /* next line */
        {"a\u200bb", "a\u200bb"},              /* zero width space is no White_Space */
        {"a\uff0db", "a-b"},                   /* full-width hyphen-minus */
        {"a\u2011b", "a\u2010b"},              /* other hyphens are other characters */
        {"\uff26\uff4f\uff4f", "foo"},         /* full-width letters */
        {"\uff14\uff12-x", "42-x"},            /* full-width digits */
        {"Stra\u00dfe", "strasse"},            /* full case folding */
        {"STRA\u1e9eE", "strasse"},
        {"e\u0301", "\u00e9"}, /* composed */
        {"\u00c9", "\u00e9"},
        {"\ufb01t", "fit"},                           /* ligature */
        {"\u212bngstr\u00f6m", "\u00e5ngstr\u00f6m"}, /* the sign for it */
        {"\u03a3\u03c3\u03c2", "\u03c3\u03c3\u03c3"}, /* final sigma */
        {"\u1100\u1161", "\uac00"},                   /* hangul */
        {"\u0130", "i\u0307"},                        /* dotted I, without a language */
        {"a\u0345\u0315", "a\u0315\u03b9"},           /* marks are ordered before one of them folds to a letter */
        {"\u2460", "1"},                              /* circled */
        {"\U0001f600", "\U0001f600"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct keyword k = parsed(cases[i][0]);
        if (k.size != strlen(cases[i][1]) || memcmp(k.normal, cases[i][1], k.size) != 0)
            fail_msg("case %zu: \"%s\" becomes \"%.*s\"", i, cases[i][0], k.size, (const char *)k.normal);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        enum keyword_error error;
    } cases[] = {
        {"", 0, KEYWORD_EMPTY},
        {" ", 1, KEYWORD_EMPTY},
        {"---", 3, KEYWORD_EMPTY},
        {" \t\r\n-\xe3\x80\x80", 8, KEYWORD_EMPTY},
        {"a\0b", 3, KEYWORD_CONTROL},
        {"\0", 1, KEYWORD_CONTROL},
        {"foo\0", 4, KEYWORD_CONTROL},
        {"a\x1b[0m", 5, KEYWORD_CONTROL},
        {"\x7f", 1, KEYWORD_CONTROL},
        {"a\x08", 2, KEYWORD_CONTROL},
        {"a\x1f", 2, KEYWORD_CONTROL},
        {"a\xc2\x80", 3, KEYWORD_CONTROL},
        {"a\xc2\x9f", 3, KEYWORD_CONTROL},
        {"\xff", 1, KEYWORD_NOT_UTF8},
        {"a\xc3", 2, KEYWORD_NOT_UTF8},
        {"a\xc0\x80", 3, KEYWORD_NOT_UTF8},
        {"\xed\xa0\x80", 3, KEYWORD_NOT_UTF8},
        {"\xf4\x90\x80\x80", 4, KEYWORD_NOT_UTF8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct keyword k, before;
        memset(&k, 0x33, sizeof k);
        memcpy(&before, &k, sizeof k);
        if (keyword_parse(&k, cases[i].text, cases[i].size) != cases[i].error)
            fail_msg("case %zu", i);
        assert_memory_equal(&k, &before, sizeof k);
    }
    for (int e = KEYWORD_OK; e <= KEYWORD_CONTROL; e++)
        assert_true(strlen(keyword_error_text((enum keyword_error)e)) > 10);
    assert_non_null(keyword_error_text((enum keyword_error)99));
}

static void test_length(void **state)
{
    (void)state;
    static char text[20000];
    struct keyword k;
    memset(text, 'x', sizeof text);
    assert_int_equal(keyword_parse(&k, text, KEYWORD_BYTES_MAX), KEYWORD_OK);
    assert_int_equal(k.size, KEYWORD_BYTES_MAX);
    assert_int_equal(keyword_parse(&k, text, KEYWORD_BYTES_MAX + 1), KEYWORD_TOO_LONG);
    assert_int_equal(keyword_parse(&k, text, sizeof text), KEYWORD_TOO_LONG);
    memset(text, ' ', 1000); /* what is trimmed does not count */
    memset(text + 1000 + KEYWORD_BYTES_MAX, ' ', 900);
    assert_int_equal(keyword_parse(&k, text, 1000 + KEYWORD_BYTES_MAX + 900), KEYWORD_OK);
    text[1064] = ' ';
    text[1065] = ' '; /* two for one */
    text[1000 + KEYWORD_BYTES_MAX] = 'x';
    assert_int_equal(keyword_parse(&k, text, 1000 + KEYWORD_BYTES_MAX + 900), KEYWORD_OK);
    assert_int_equal(k.size, KEYWORD_BYTES_MAX);
    memset(text, 'x', sizeof text);
    text[KEYWORD_BYTES_MAX - 1] = ' '; /* a gap takes a byte too, but not at the end */
    assert_int_equal(keyword_parse(&k, text, KEYWORD_BYTES_MAX), KEYWORD_OK);
    assert_int_equal(k.size, KEYWORD_BYTES_MAX - 1);
    assert_int_equal(keyword_parse(&k, text, KEYWORD_BYTES_MAX + 1), KEYWORD_TOO_LONG);
    /* 43 characters of three bytes are 129. */
    for (size_t i = 0; i < 43; i++)
        memcpy(text + 3 * i, "\u20ac", 3);
    assert_int_equal(keyword_parse(&k, text, 3 * 42), KEYWORD_OK);
    assert_int_equal(keyword_parse(&k, text, 3 * 43), KEYWORD_TOO_LONG);
    /* One character that becomes eighteen, and becomes that many times more than any buffer. */
    for (size_t i = 0; i < sizeof text / 3; i++)
        memcpy(text + 3 * i, "\ufdfa", 3);
    for (size_t n = 1; n <= sizeof text / 3; n += n < 300 ? 1 : 97)
        assert_int_equal(keyword_parse(&k, text, 3 * n), n <= 3 ? KEYWORD_OK : KEYWORD_TOO_LONG);
}

static void test_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t room; /* 0: open */
    } cases[] = {
        {"42-crab-lunar-toast", 42},
        {"42 crab", 42},
        {"1-x", 1},
        {"999999-x", 999999},
        {"1000000-x", 0},
        {"0-x", 0},
        {"042-x", 0},
        {"42", 0},
        {"42-", 0},
        {"-42-x", 42},
        {"42x-y", 0},
        {"4 2", 4},
        {"42--x", 42},
        {"x-42", 0},
        {"foo", 0},
        {"123456-7", 123456},
        {"42-\u00e9", 42},
        {"4-2-1", 4},
        {"\u0664-x", 0}, /* arabic digits stay */
        {"+42-x", 0},
        {"10-x", 10},
        {"100900-x", 100900},
        {"42.0-x", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct keyword k = parsed(cases[i].text);
        uint8_t ci[KEYWORD_CI_MAX];
        char expected[KEYWORD_CI_MAX] = "p2p1 open";
        if (k.room != cases[i].room || k.form != (cases[i].room != 0 ? KEYWORD_ROOM : KEYWORD_OPEN))
            fail_msg("\"%s\" is room %u", cases[i].text, (unsigned)k.room);
        if (k.room != 0)
            snprintf(expected, sizeof expected, "p2p1 room %u", (unsigned)k.room);
        assert_int_equal(keyword_ci(&k, ci), strlen(expected));
        assert_memory_equal(ci, expected, strlen(expected));
    }
}

static void test_prefix(void **state)
{
    (void)state;
    struct keyword k = parsed(" FOO");
    uint8_t hash[32];
    crypto_generichash(hash, sizeof hash, (const uint8_t *)"p2p1 prefixfoo", 14, NULL, 0);
    assert_int_equal(k.hash, hash[0]);
    k.hash = 0xb6; /* 10110110 */
    static const uint8_t bits[] = {0, 1, 2, 5, 11, 22, 45, 91, 182};
    for (uint8_t b = 0; b <= PREFIX_BITS_MAX; b++)
        assert_int_equal(keyword_prefix(&k, b), bits[b]);
    /* Nothing of a room's secret may leave the machine: there is no hash to leave. */
    assert_int_equal(parsed("42-foo").hash, 0);
}

/* The normal form is its own normal form, whatever went in. */
static void test_random_text(void **state)
{
    (void)state;
    struct rng r;
    unsigned good = 0;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){41});
    for (int i = 0; i < 40000; i++) {
        char text[96];
        size_t size = 0;
        for (uint32_t n = rng_below(&r, 12); n > 0; n--) {
            /* ASCII, two bytes, three bytes, hangul, or any bytes at all */
            uint32_t kind = rng_below(&r, 16), c = rng_below(&r, kind < 6 ? 0x80 : kind < 11 ? 0x700 : 0x10000);
            if (kind == 15) {
                text[size++] = (char)rng_below(&r, 256);
                continue;
            }
            if (c >= 0x800)
                text[size++] = (char)(0xe0 | c >> 12);
            if (c >= 0x80)
                text[size++] = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6);
            text[size++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
        }
        struct keyword k, again;
        if (keyword_parse(&k, text, size) != KEYWORD_OK)
            continue;
        good++;
        assert_true(k.size > 0 && text_is_name(k.normal, k.size));
        assert_int_not_equal(k.normal[0], '-');
        assert_int_not_equal(k.normal[k.size - 1], '-');
        assert_null(memmem(k.normal, k.size, "--", 2));
        assert_int_equal(keyword_parse(&again, (const char *)k.normal, k.size), KEYWORD_OK);
        assert_int_equal(again.size, k.size);
        assert_memory_equal(again.normal, k.normal, k.size);
        assert_true(again.form == k.form && again.room == k.room && again.hash == k.hash);
        keyword_is_weak(&k);
    }
    assert_in_range(good, 5000, 39000);
}

static void test_weak(void **state)
{
    (void)state;
    static const char *const weak[] = {
        "foo",
        "a",
        "1",
        "password",
        "password1",
        "P@ss",
        "p4ssw0rd",
        "summer2024!",
        "vacations",
        "19051987",
        "zorro2019",
        "letmein",
        "qwerty",
        "qwertyuiop",
        "asdfghjkl",
        "123456",
        "1234567890",
        "abcdefghijklmnop",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabcabcabc",
        "secret",
        "crab",
        "crab-lunar",
        "42-crab",
        "42-crab-lunar",
        "42-foo",
        "42-1",
        "999999-password",
        "2024",
        "01-02-1990",
        "love-love-love-love-love-love",
        "crab-crab-crab",
        "hello-world",
        "test-test-test",
        "monday",
        "0000-0000-0000",
        "admin123456",
        "zyxwvutsrqponmlkjihgfedcba",
        "chat",
        "hey-you",
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9",
        "family-party-2024",
        "1234-5678-9012",
        "qwerty-asdfgh-zxcvbn",
    };
    for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
        struct keyword k = parsed(weak[i]);
        if (!keyword_is_weak(&k))
            fail_msg("%s is not weak", weak[i]);
    }
    static const char *const strong[] = {
        "42-crab-lunar-toast",
        "crab-lunar-toast",
        "7-lunar-toast-crab",
        "correct horse battery staple",
        "the rain in spain stays mainly",
        "my grandmother's yellow bicycle",
        "xk7qzw93mfp2",
        "8tG#k2!vQz",
        "42-crab-lunar-crab",
        "nobody knows this sentence",
        "\u4e00\u5929\u5730\u4eba\u6c34\u706b\u6728",
    };
    for (size_t i = 0; i < sizeof strong / sizeof strong[0]; i++) {
        struct keyword k = parsed(strong[i]);
        if (keyword_is_weak(&k))
            fail_msg("%s is weak", strong[i]);
    }
}

static void test_three_words(void **state)
{
    (void)state;
    static const char *const yes[] = {"42-crab-lunar-toast", "42 Crab Lunar Toast", "crab-lunar-toast",
                                      "1-zoo-zoo-zoo"};
    static const char *const no[] = {"foo",
                                     "42-foo",
                                     "42-crab-lunar",
                                     "42-crab-lunar-toast-zoo",
                                     "42-crab-lunar-toas",
                                     "42-crab-lunar-toasts",
                                     "42-42-crab-lunar",
                                     "42-crab-lunar-toast-x",
                                     "crab-lunar"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        struct keyword k = parsed(yes[i]);
        assert_true(keyword_has_three_words(&k));
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        struct keyword k = parsed(no[i]);
        if (keyword_has_three_words(&k))
            fail_msg("%s", no[i]);
    }
}

static void test_random_words(void **state)
{
    (void)state;
    struct rng r;
    bool seen[WORDS_COUNT] = {0};
    unsigned distinct = 0;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){42});
    for (int i = 0; i < 8000; i++) {
        char words[KEYWORD_WORDS_TEXT_MAX], text[64];
        size_t size = keyword_random_words(&r, words);
        assert_int_equal(size, strlen(words));
        snprintf(text, sizeof text, "42-%s", words);
        struct keyword k = parsed(text);
        assert_memory_equal(k.normal, text, strlen(text));
        assert_true(keyword_has_three_words(&k));
        assert_false(keyword_is_weak(&k));
        char *rest = words;
        for (char *word; (word = strsep(&rest, "-")) != NULL;)
            for (size_t w = 0; w < WORDS_COUNT; w++)
                if (strcmp(words_list[w], word) == 0 && !seen[w]) {
                    seen[w] = true;
                    distinct++;
                }
    }
    assert_true(distinct > WORDS_COUNT - 10); /* 24,000 draws leave each out with e^-11.7 */
}

static void test_wipe(void **state)
{
    (void)state;
    static const struct keyword empty;
    struct keyword k = parsed("42-crab-lunar-toast");
    keyword_wipe(&k);
    assert_memory_equal(&k, &empty, sizeof k);
}

/* ---- the list ---- */

static bool listed(const char *word)
{
    for (size_t i = 0; i < WORDS_COUNT; i++)
        if (strcmp(words_list[i], word) == 0)
            return true;
    return false;
}

static void test_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < WORDS_COUNT; i++) {
        const char *word = words_list[i];
        char plural[WORDS_LETTERS_MAX + 3];
        assert_non_null(word);
        assert_in_range(strlen(word), 3, WORDS_LETTERS_MAX);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz"), strlen(word));
        assert_true(i == 0 || strcmp(words_list[i - 1], word) < 0);
        snprintf(plural, sizeof plural, "%ss", word);
        assert_false(listed(plural));
        snprintf(plural, sizeof plural, "%ses", word);
        assert_false(listed(plural));
    }
    assert_true(listed("crab") && listed("lunar") && listed("toast"));
}

/* Pairs that sound alike; those that a careless addition would most likely bring. */
static void test_list_has_no_homophones(void **state)
{
    (void)state;
    static const char *const alike[][2] = {
        {"bear", "bare"},     {"flour", "flower"},   {"pair", "pear"},       {"peace", "piece"},  {"rain", "reign"},
        {"sea", "see"},       {"sun", "son"},        {"tail", "tale"},       {"whale", "wail"},   {"wood", "would"},
        {"deer", "dear"},     {"hare", "hair"},      {"knight", "night"},    {"mail", "male"},    {"meat", "meet"},
        {"plane", "plain"},   {"prince", "prints"},  {"profit", "prophet"},  {"sail", "sale"},    {"stair", "stare"},
        {"steel", "steal"},   {"week", "weak"},      {"wheel", "weal"},      {"bread", "bred"},   {"cell", "sell"},
        {"cymbal", "symbol"}, {"desert", "dessert"}, {"hangar", "hanger"},   {"idle", "idol"},    {"kernel", "colonel"},
        {"lesson", "lessen"}, {"medal", "meddle"},   {"muscle", "mussel"},   {"pedal", "peddle"}, {"roll", "role"},
        {"root", "route"},    {"sundae", "sunday"},  {"weather", "whether"}, {"chord", "cord"},   {"ballot", "ballet"},
    };
    for (size_t i = 0; i < sizeof alike / sizeof alike[0]; i++)
        if (listed(alike[i][0]) && listed(alike[i][1]))
            fail_msg("%s and %s", alike[i][0], alike[i][1]);
}

static void test_contains(void **state)
{
    (void)state;
    for (size_t i = 0; i < WORDS_COUNT; i++) {
        const char *word = words_list[i];
        size_t size = strlen(word);
        char longer[WORDS_LETTERS_MAX + 2] = "";
        memcpy(longer, word, size);
        assert_true(words_contains(word, size));
        assert_false(words_contains(longer, size + 1)); /* with its NUL */
        if (size > 3) {
            memset(longer, 0, sizeof longer);
            memcpy(longer, word, size - 1);
            assert_int_equal(words_contains(word, size - 1), listed(longer));
        }
    }
    static const char *const no[] = {"", "a", "aaa", "zzz", "Crab", "crabs", "crabcrabcrab", "cr\u00e4b"};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(words_contains(no[i], strlen(no[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_form),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_length),       cmocka_unit_test(test_form),
        cmocka_unit_test(test_prefix),       cmocka_unit_test(test_random_text),
        cmocka_unit_test(test_weak),         cmocka_unit_test(test_three_words),
        cmocka_unit_test(test_random_words), cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_list),         cmocka_unit_test(test_list_has_no_homophones),
        cmocka_unit_test(test_contains),
    };
    return cmocka_run_group_tests_name("keyword", tests, NULL, NULL);
}
