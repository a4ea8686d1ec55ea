/* Text from others, made fit for a terminal; and the other texts that people type or paste: keywords, addresses.
 * Input: how (1 byte), columns (1 byte), text. */
#include "client/display.h"
#include "shapes.h"
#include "wire/addr.h"
#include "wire/keyword.h"
#include "wire/text.h"

const struct fuzz_shape *fuzz_shape = &shape_text;

/* Written down once more, from Unicode's list and not from display.c's table: what turns the direction of reading. */
static bool is_bidi(uint32_t c)
{
    return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* `breaks`: lines may be broken, and then they begin with two spaces. Returns the columns of the widest line. */
static size_t check_shown(const char *text, size_t size, size_t column, bool breaks, bool tabs)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t widest = column;
    while (size > 0) {
        uint32_t c;
        size_t length = text_next(at, size, &c);
        FUZZ_CHECK(length > 0);
        if (c == '\n') {
            FUZZ_CHECK(breaks && size >= 3 && at[1] == ' ' && at[2] == ' ');
            column = 0;
        } else if (c == '\t') {
            FUZZ_CHECK(tabs);
        } else {
            FUZZ_CHECK(!is_control(c) && !is_bidi(c));
            FUZZ_CHECK(c != 0x200b && c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0x00ad);
            column += display_columns(c);
        }
        widest = column > widest ? column : widest;
        at += length;
        size -= length;
    }
    return widest;
}

static void run_display(uint8_t columns, const char *text, size_t size)
{
    struct buffer out = {0};
    display_text(&out, text, size);
    check_shown(buffer_text(&out), out.size, 0, true, true);
    buffer_clear(&out);

    /* On a screen of four columns or fewer an escape is as wide as it is. */
    display_wrapped(&out, text, size, columns / 2, columns);
    size_t widest = check_shown(buffer_text(&out), out.size, columns / 2, true, false);
    FUZZ_CHECK(columns < 12 || widest <= columns);
    buffer_clear(&out);

    display_line(&out, text, size, columns);
    widest = check_shown(buffer_text(&out), out.size, 0, false, false);
    FUZZ_CHECK(columns == 0 || widest <= columns);
    buffer_free(&out);
}

static void run_name(const char *text, size_t size)
{
    struct buffer out = {0};
    char *name = malloc(size + 1);
    FUZZ_CHECK(name != NULL);
    memcpy(name, text, size);
    name[size] = '\0';
    display_name(&out, name);
    FUZZ_CHECK(check_shown(buffer_text(&out), out.size, 0, false, false) <= DISPLAY_NAME_COLUMNS);
    FUZZ_CHECK(out.size == 0 || memchr(out.at, ':', out.size) == NULL);
    FUZZ_CHECK(out.size == 0 || (out.at[0] != ' ' && out.at[out.size - 1] != ' '));
    buffer_free(&out);
    free(name);
}

/* The normal form of a normal form is itself. */
static void run_keyword(const char *text, size_t size)
{
    struct keyword k, again;
    uint8_t ci[KEYWORD_CI_MAX];
    enum keyword_error error = keyword_parse(&k, text, size);
    FUZZ_CHECK(keyword_error_text(error) != NULL);
    if (error != KEYWORD_OK)
        return;
    FUZZ_CHECK(k.size >= 1 && k.size <= KEYWORD_BYTES_MAX && text_is_name(k.normal, k.size));
    FUZZ_CHECK(keyword_parse(&again, (const char *)k.normal, k.size) == KEYWORD_OK);
    FUZZ_CHECK(again.size == k.size && memcmp(again.normal, k.normal, k.size) == 0);
    FUZZ_CHECK(again.form == k.form && again.room == k.room && again.hash == k.hash);
    FUZZ_CHECK((k.form == KEYWORD_ROOM) == (k.room >= 1 && k.room <= ROOM_NUMBER_MAX));
    FUZZ_CHECK(keyword_ci(&k, ci) <= sizeof ci);
    for (uint8_t bits = 0; bits <= 8; bits++)
        FUZZ_CHECK(keyword_prefix(&k, bits) < 1U << bits);
    FUZZ_CHECK(keyword_is_weak(&k) || k.size > 3);
    keyword_has_three_words(&k);
    keyword_wipe(&k);
    FUZZ_CHECK(k.normal[0] == 0);
}

static void run_address(const char *text, size_t size)
{
    struct addr a, again;
    char line[ADDR_TEXT_MAX * 2], shown[ADDR_TEXT_MAX];
    size = size < sizeof line - 1 ? size : sizeof line - 1;
    memcpy(line, text, size);
    line[size] = '\0';
    if (!addr_parse(&a, line))
        return;
    FUZZ_CHECK(addr_parse(&again, addr_format(&a, shown)) && addr_equal(&a, &again));
    FUZZ_CHECK(addr_ip_size(&a) == (a.family == ADDR_V4 ? 4 : 16));
    const struct addr masked = addr_mask(&a, 0x0123456789abcdef), back = addr_mask(&masked, 0x0123456789abcdef);
    FUZZ_CHECK(addr_equal(&a, &back) && addr_ip_equal(&a, &again));
    FUZZ_CHECK(!(addr_is_loopback(&a) || addr_is_link_local(&a) || addr_is_private(&a)) || addr_is_local(&a));
    FUZZ_CHECK(!addr_is_sendable(&a) || a.port != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    if (size < 2)
        return 0;
    const char *text = (const char *)at + 2;
    size -= 2;
    switch (at[0] % 4) {
    case 0:
        run_name(text, size);
        break;
    case 1:
        run_keyword(text, size);
        break;
    case 2:
        run_address(text, size);
        break;
    default:
        run_display(at[1], text, size);
    }
    return 0;
}
