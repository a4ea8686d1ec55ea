/* Text that the terminal says was pasted, in whatever pieces it comes; and what Tab may mean. */
#include "client/choice.h"
#include "client/paste.h"
#include "hex.h"
#include <stdio.h>
#include <string.h>

static struct keys keys;
static struct paste paste;

static void put(const char *text, size_t size)
{
    size_t room;
    uint8_t *at = keys_space(&keys, &room);
    assert_true(size <= room);
    memcpy(at, text, size);
    keys.end += size;
}

/* What comes out of `input`, fed in pieces of `step` bytes: typed characters as they are, a paste as {text}. */
static const char *read_all(const char *input, size_t size, size_t step)
{
    static char out[512];
    size_t used = 0;
    memset(&keys, 0, sizeof keys);
    for (size_t at = 0; at < size; at += step) {
        put(input + at, size - at < step ? size - at : step);
        for (;;) {
            uint32_t codepoint;
            enum paste_step found = paste_take(&paste, &keys);
            if (found == PASTE_DONE) {
                used += (size_t)snprintf(out + used, sizeof out - used, "{%s}", buffer_text(&paste.text));
                buffer_clear(&paste.text);
            } else if (found == PASTE_MORE || !keys_are_whole(&keys)) {
                break;
            } else if (keys_next(&keys, &codepoint)) {
                out[used++] = (char)codepoint;
            }
        }
    }
    out[used] = '\0';
    return out;
}

static void test_pieces(void **state)
{
    static const struct {
        const char *input, *expected;
    } cases[] = {
        {"typed", "typed"},
        {"a\x1b[200~one\rtwo\x1b[201~b", "a{one\ntwo}b"},
        {"\x1b[200~one\r\ntwo\n\rthree\x1b[201~", "{one\ntwo\n\nthree}"},
        {"\x1b[200~one\r\n\r\n\x1b[201~", "{one}"},
        {"\x1b[200~\r\x1b[201~x", "{}x"},
        {"\x1b[200~\x1b[201~x", "{}x"},
        {"\x1b[200~a\x1b[20b\x1b[200~c\x1b\x1b[201~\x1b[200~d\x1b[201~", "{a\x1b[20b\x1b[200~c\x1b}{d}"},
        {"\x1b[200~\te\xcc\x81 \xf0\x9f\x98\x80\x1b[201~", "{\te\xcc\x81 \xf0\x9f\x98\x80}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step <= strlen(cases[i].input); step++)
            assert_string_equal(read_all(cases[i].input, strlen(cases[i].input), step), cases[i].expected);
    assert_string_equal(read_all("\x1b[200~a\0b\x1b[201~", 15, 4), "{ab}");
    buffer_free(&paste.text);
}

static void test_what_is_far_too_long_takes_no_memory(void **state)
{
    static char much[1000];
    uint32_t codepoint;
    (void)state;
    memset(&keys, 0, sizeof keys);
    memset(much, 'x', sizeof much);
    put("\x1b[200~", 6);
    for (int i = 0; i < 1000; i++) {
        put(much, sizeof much);
        assert_int_equal(paste_take(&paste, &keys), PASTE_MORE);
        assert_true(paste.text.size <= PASTE_BYTES_MAX);
    }
    put("\x1b[201~y", 7);
    assert_int_equal(paste_take(&paste, &keys), PASTE_DONE);
    assert_int_equal(paste.text.size, PASTE_BYTES_MAX);
    assert_int_equal(paste_take(&paste, &keys), PASTE_NONE);
    assert_true(keys_next(&keys, &codepoint) && codepoint == 'y');
    buffer_free(&paste.text);
}

static void test_choices(void **state)
{
    static const struct {
        const char *prefix, *words[4], *common;
        unsigned count;
    } cases[] = {
        {"an", {"ann", "bob"}, "ann", 1},
        {"", {"ann", "bob"}, "", 2},
        {"a", {"anna", "annb", "b"}, "ann", 2},
        {"ann", {"anna", "ann"}, "ann", 2},
        {"x", {"ann"}, "", 0},
        {"\xc3", {"\xc3\xa9"}, "\xc3\xa9", 1},
        {"e", {"e\xe5\x90\x8d", "e\xe5\x90\x8e"}, "e", 2}, /* they differ in a character's last byte */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct choice c = {.prefix = cases[i].prefix, .prefix_size = strlen(cases[i].prefix)};
        for (size_t w = 0; w < 4 && cases[i].words[w] != NULL; w++)
            choice_offer(&c, cases[i].words[w]);
        assert_int_equal(c.count, cases[i].count);
        assert_int_equal(c.common_size, strlen(cases[i].common));
        if (c.count > 0)
            assert_memory_equal(c.first, cases[i].common, c.common_size);
        buffer_free(&c.all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_what_is_far_too_long_takes_no_memory),
        cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
