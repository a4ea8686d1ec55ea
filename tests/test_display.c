/* Foreign text on a terminal: what is replaced, what stays, and that nothing gets through by accident. */
#include "client/display.h"
#include "hex.h"
#include "wire/text.h"

/* Written from the definition of UTF-8, apart from the code under test. */
static size_t encode(uint32_t c, char ret[static 5])
{
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3f));
    ret[0] = (char)(lead[size] | c);
    ret[size] = '\0';
    return size;
}

static char *shown(const char *text, size_t size)
{
    static struct buffer out;
    buffer_clear(&out);
    display_text(&out, text, size);
    buffer_add(&out, "", 0);
    return out.at;
}

#define assert_shown(text, want) assert_string_equal(shown(text, strlen(text)), want)

static char *named(const char *name)
{
    static struct buffer out;
    buffer_clear(&out);
    display_name(&out, name);
    buffer_add(&out, "", 0);
    return out.at;
}

static void test_ordinary_text_is_exact(void **state)
{
    static const char *const texts[] = {
        "",
        "plain ASCII, with punctuation: {}[]<>|\\ and a tab\there",
        "Grüße, façade, Ελληνικά, русский, עברית, العربية, हिन्दी, বাংলা, தமிழ், ไทย, 日本語, 한국어, 中文, አማርኛ",
        "e\u0301 a\u0308 composed by marks; o\u0323\u0302 two of them",
        "می‌خواهم", /* ZWNJ, needed in Persian */
        "क्‍ष",      /* ZWJ, needed in Devanagari */
        "👍🏽 👩‍👩‍👧‍👦 ❤️‍🔥 🏳️‍🌈 1️⃣ 🇩🇪", /* skin, family, heart on
                                                                                               fire, rainbow, keycap,
                                                                                               regional */
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",           /* Scotland, in tags */
        "葛\U000e0100城",                                                                   /* an ideograph's variant */
        "\ue0b0 private use, \U000323af assigned to nobody, \U0001fae8 a younger emoji",
        "a no-break\u00a0space, an ideographic\u3000one, – — … “quotes” « »",
        "<U+202E> typed by hand",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_shown(texts[i], texts[i]);
}

static void test_dangerous_text(void **state)
{
    (void)state;
    assert_shown("\x1b[31mred\x1b[0m", "<U+001B>[31mred<U+001B>[0m");
    assert_shown("bell\a back\b form\f up\v", "bell<U+0007> back<U+0008> form<U+000C> up<U+000B>");
    assert_shown("over\rwritten", "over<U+000D>written");
    assert_shown("\xc2\x9b"
                 "31m \xc2\x85 \x7f",
                 "<U+009B>31m <U+0085> <U+007F>");
    assert_shown("a\u202eb\u202cc", "a<U+202E>b<U+202C>c");
    assert_shown("\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
                 "<U+2066><U+2067><U+2068><U+2069><U+200E><U+200F><U+061C>");
    assert_shown("x\u2028y\u2029z", "x<U+2028>y<U+2029>z");
    assert_shown("a\u200bb\u2060c\ufeffd\u00ade", "a<U+200B>b<U+2060>c<U+FEFF>d<U+00AD>e");
    assert_shown("\ufff9a\ufffab\ufffb", "<U+FFF9>a<U+FFFA>b<U+FFFB>");
    assert_shown("\u3164\u115f\uffa0\u2800", "<U+3164><U+115F><U+FFA0><U+2800>");
    assert_shown("\ufdd0\uffff\U000e0001", "<U+FDD0><U+FFFF><U+E0001>");
}

static void test_lines(void **state)
{
    (void)state;
    assert_shown("one\ntwo", "one\n  two");
    assert_shown("one\r\ntwo", "one\n  two");
    assert_shown("\n\n", "\n  \n  ");
    assert_shown("one\n\rtwo", "one\n  <U+000D>two");
}

static void test_joiners_only_where_they_join(void **state)
{
    (void)state;
    assert_shown("ad\u200dmin", "ad<U+200D>min");
    assert_shown("ad\u200cmin", "ad<U+200C>min");
    assert_shown("\u200d👩", "<U+200D>👩");
    assert_shown("👩\u200d\u200d👧", "👩\u200d<U+200D>👧");
    assert_shown("👩\u202e\u200d", "👩<U+202E><U+200D>");
    assert_shown("\u2003\u200dx", "\u2003<U+200D>x");
    assert_shown("\ufe0f", "<U+FE0F>");
    assert_shown("a \ufe0f", "a <U+FE0F>");
    assert_shown("❤\ufe0f\ufe0f", "❤\ufe0f<U+FE0F>");
}

static void test_tags_hide_nothing(void **state)
{
    (void)state;
    /* Texas is not one of the three, and a tag must not stand anywhere else. */
    assert_shown("\U0001f3f4\U000e0075\U000e0073\U000e0074\U000e0078\U000e007f",
                 "\U0001f3f4<U+E0075><U+E0073><U+E0074><U+E0078><U+E007F>");
    assert_shown("a\U000e0041", "a<U+E0041>");
    assert_shown("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067",
                 "\U0001f3f4<U+E0067><U+E0062><U+E0065><U+E006E><U+E0067>");
}

/* Each code point alone between two letters: either its own bytes come out, or the notation. Nothing that a terminal
 * acts upon is among the first. */
static void test_every_code_point(void **state)
{
    size_t escaped = 0;
    (void)state;
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        char text[8] = "a", notation[16], bytes[5];
        if (c == '\n' || (c >= 0xd800 && c <= 0xdfff))
            continue;
        size_t size = encode(c, bytes);
        memcpy(text + 1, bytes, size);
        text[1 + size] = 'b';
        snprintf(notation, sizeof notation, "a<U+%04X>b", (unsigned)c);
        const char *out = shown(text, size + 2);
        bool is_escaped = strcmp(out, notation) == 0;
        if (!is_escaped && (strlen(out) != size + 2 || memcmp(out, text, size + 2) != 0))
            fail_msg("U+%04X is shown as %s", (unsigned)c, out);
        bool control = (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0);
        bool bidi =
            c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
        if ((control || bidi) && !is_escaped)
            fail_msg("U+%04X gets through", (unsigned)c);
        if (c >= 'a' && c <= 'z' && is_escaped)
            fail_msg("a letter is escaped");
        escaped += is_escaped;
    }
    /* 65 controls less tab and line break; the rest is the list in display.h. It grows only on purpose: 0xe0000 to
     * 0xe0fff are 4,096, less 240 selectors of which 'a' may carry any. */
    assert_in_range(escaped, 3900, 4100);
}

static void test_bytes_that_are_no_text(void **state)
{
    (void)state;
    assert_string_equal(shown("a\xff\xc3", 3), "a\ufffd\ufffd");
    assert_string_equal(shown("a\0b", 3), "a<U+0000>b");
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(named("ann"), "ann");
    assert_string_equal(named("Zoë 🐙 of the 日本"), "Zoë 🐙 of the 日本");
    assert_string_equal(named("ann: hi"), "ann<U+003A> hi");
    assert_string_equal(named("ann\uff1a hi \u2236 \ua789"), "ann<U+FF1A> hi <U+2236> <U+A789>");
    assert_string_equal(named("a\nb\tc"), "a<U+000A>b<U+0009>c");
    assert_string_equal(named(" ann "), "<U+0020>ann<U+0020>");
    assert_string_equal(named("\u3000"), "<U+3000>");
    assert_string_equal(named("\u202e"), "<U+202E>");
    assert_string_equal(named(""), "");
}

static void test_names_are_cut(void **state)
{
    char name[65], want[80] = "";
    (void)state;
    memset(name, 'x', 64);
    name[64] = '\0';
    assert_string_equal(named(name), name);
    /* 21 of U+202E are 168 columns: seven whole ones and the ellipsis fit into 64. */
    name[0] = '\0';
    for (int i = 0; i < 21; i++)
        strcat(name, "\u202e");
    for (int i = 0; i < 7; i++)
        strcat(want, "<U+202E>");
    /* The notation is plain text once it is there, so the cut may go through it. */
    assert_memory_equal(named(name), want, strlen(want));
    assert_true(strlen(named(name)) <= 63 + strlen("…"));
    assert_non_null(strstr(named(name), "…"));
}

static void assert_wrapped(const char *text, size_t column, size_t columns, const char *want)
{
    struct buffer out = {0};
    display_wrapped(&out, text, strlen(text), column, columns);
    assert_string_equal(buffer_text(&out), want);
    buffer_free(&out);
}

static void test_wrapping(void **state)
{
    (void)state;
    assert_wrapped("abcdef", 5, 10, "abcde\n  f");
    assert_wrapped("abcde", 5, 10, "abcde");
    assert_wrapped("日本語", 5, 10, "日本\n  語");
    assert_wrapped("a\tb\nc", 5, 20, "a    b\n  c");
    assert_wrapped("xxxxxxxxbob: spoofed", 2, 10, "xxxxxxxx\n  bob: \n  spoofed");
    assert_wrapped("e\u0301e\u0301e\u0301", 8, 10, "e\u0301e\u0301\n  e\u0301");
    assert_wrapped("\x1b", 9, 10, "\n  <U+001B>");
    assert_wrapped("two words", 2, 10, "two \n  words");
    assert_wrapped("a verylongword", 2, 10, "a \n  verylong\n  word");
    assert_wrapped("aa b ccccccccc", 2, 10, "aa b \n  cccccccc\n  c");
    assert_wrapped("words that fit", 2, 16, "words that fit");
    assert_wrapped("aaa bbbb c", 2, 10, "aaa bbbb\n  c");
    assert_wrapped("a b", 5, 6, "a\n  b");      /* the break is the space */
    assert_wrapped("abc", 2, 1, "a\n  b\n  c"); /* no screen is that narrow, but it ends */
}

static void test_one_line(void **state)
{
    struct buffer out = {0};
    (void)state;
    display_line(&out, "first\nsecond", 12, 80);
    assert_string_equal(out.at, "first<U+000A>second");
    buffer_clear(&out);
    display_line(&out, "日本語日本語", strlen("日本語日本語"), 6);
    assert_string_equal(out.at, "日本…");
    buffer_clear(&out);
    display_line(&out, "abc", 3, 3);
    assert_string_equal(out.at, "abc");
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary_text_is_exact),
        cmocka_unit_test(test_dangerous_text),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_joiners_only_where_they_join),
        cmocka_unit_test(test_tags_hide_nothing),
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_are_cut),
        cmocka_unit_test(test_wrapping),
        cmocka_unit_test(test_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
