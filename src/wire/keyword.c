#include "wire/keyword.h"
#include "wire/text.h"
#include "wire/words.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

/* What is typed may be longer than its normal form (runs of spaces, characters that compose), but
 * not without end: over this many decomposed code points it is called too long. */
enum { CODEPOINTS_MAX = 2048 };

/* Unicode's White_Space. NFKC turns most of it into U+0020, not all. */
static bool is_white(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Tab and the line ends are white space first, so the newline at the end of a file does no harm. */
static bool is_refused_control(uint32_t c)
{
    return (c < 0x20 || (c >= 0x7f && c < 0xa0)) && !is_white(c);
}

static enum keyword_error check_text(const char *text, size_t size)
{
    while (size > 0) {
        uint32_t c;
        size_t length = text_next((const uint8_t *)text, size, &c);
        if (length == 0)
            return KEYWORD_NOT_UTF8;
        if (is_refused_control(c))
            return KEYWORD_CONTROL;
        text += length;
        size -= length;
    }
    return KEYWORD_OK;
}

/* NFKC, case fold, NFKC again, into codepoints[CODEPOINTS_MAX]; their number, or -1 if they do not fit.
 * In one go utf8proc would fold before it orders the marks, and U+0345, a mark that folds to a letter,
 * would end up elsewhere than the standard's order of steps puts it. These are the parts of
 * utf8proc_map, without its heap: no copy of a keyword stays behind in freed memory. */
static utf8proc_ssize_t fold(int32_t *codepoints, const char *text, size_t size)
{
    const utf8proc_option_t nfkc = UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE;
    const utf8proc_option_t folded = UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD;
    int32_t first[CODEPOINTS_MAX + 1]; /* and then UTF-8 in place, with a NUL */
    utf8proc_ssize_t count = -1;
    if (size <= CODEPOINTS_MAX * 4)
        count = utf8proc_decompose((const uint8_t *)text, (utf8proc_ssize_t)size, first, CODEPOINTS_MAX, nfkc);
    if (count > CODEPOINTS_MAX)
        count = -1;
    if (count >= 0)
        count = utf8proc_reencode(first, count, nfkc);
    if (count >= 0)
        count = utf8proc_decompose((const uint8_t *)first, count, codepoints, CODEPOINTS_MAX, folded);
    sodium_memzero(first, sizeof first);
    if (count < 0 || count > CODEPOINTS_MAX)
        return -1;
    return utf8proc_normalize_utf32(codepoints, count, folded);
}

/* Trims, joins with '-', encodes. */
static enum keyword_error join(struct keyword *k, const int32_t *codepoints, size_t count)
{
    bool gap = false;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[4];
        if (is_white((uint32_t)codepoints[i]) || codepoints[i] == '-') {
            gap = used > 0;
            continue;
        }
        size_t length = (size_t)utf8proc_encode_char(codepoints[i], bytes);
        if (used + gap + length > sizeof k->normal)
            return KEYWORD_TOO_LONG;
        if (gap)
            k->normal[used++] = '-';
        memcpy(k->normal + used, bytes, length);
        used += length;
        gap = false;
    }
    k->size = (uint8_t)used;
    return used > 0 ? KEYWORD_OK : KEYWORD_EMPTY;
}

/* Bytes of "42-" in front, 0 if there is no room number; *ret_room only then. */
static size_t room_prefix(const struct keyword *k, uint32_t *ret_room)
{
    uint32_t room = 0;
    size_t digits = 0;
    for (; digits < k->size && digits < 6 && k->normal[digits] >= '0' && k->normal[digits] <= '9'; digits++)
        room = room * 10 + (uint32_t)(k->normal[digits] - '0');
    if (digits == 0 || k->normal[0] == '0' || digits + 1 >= k->size || k->normal[digits] != '-')
        return 0;
    *ret_room = room;
    return digits + 1;
}

static uint8_t prefix_hash(const struct keyword *k)
{
    static const char label[] = "p2p1 prefix";
    uint8_t text[sizeof label - 1 + KEYWORD_BYTES_MAX], hash[32];
    memcpy(text, label, sizeof label - 1);
    memcpy(text + sizeof label - 1, k->normal, k->size);
    crypto_generichash(hash, sizeof hash, text, sizeof label - 1 + k->size, NULL, 0);
    uint8_t first = hash[0];
    sodium_memzero(text, sizeof text);
    sodium_memzero(hash, sizeof hash);
    return first;
}

enum keyword_error keyword_parse(struct keyword *ret, const char *text, size_t size)
{
    struct keyword k = {.form = KEYWORD_OPEN};
    int32_t codepoints[CODEPOINTS_MAX];
    enum keyword_error error = check_text(text, size);
    if (error == KEYWORD_OK) {
        utf8proc_ssize_t count = fold(codepoints, text, size);
        error = count < 0 ? KEYWORD_TOO_LONG : join(&k, codepoints, (size_t)count);
    }
    if (error == KEYWORD_OK) {
        if (room_prefix(&k, &k.room) > 0)
            k.form = KEYWORD_ROOM;
        else
            k.hash = prefix_hash(&k);
        *ret = k;
    }
    sodium_memzero(codepoints, sizeof codepoints);
    sodium_memzero(&k, sizeof k);
    return error;
}

const char *keyword_error_text(enum keyword_error e)
{
    switch (e) {
    case KEYWORD_OK:
        return "The keyword is fine.";
    case KEYWORD_EMPTY:
        return "The keyword is empty: choose some words that the others know too.";
    case KEYWORD_TOO_LONG:
        return "The keyword is too long: at most 128 bytes count, so choose a shorter one.";
    case KEYWORD_NOT_UTF8:
        return "The keyword is not valid UTF-8: type it in a UTF-8 terminal or use plain letters.";
    case KEYWORD_CONTROL:
        return "The keyword has a control character in it: type it anew, with visible characters only.";
    }
    return "The keyword was refused.";
}

uint8_t keyword_prefix(const struct keyword *k, uint8_t bits)
{
    assert(bits <= PREFIX_BITS_MAX);
    return (uint8_t)(k->hash >> (8 - bits));
}

size_t keyword_ci(const struct keyword *k, uint8_t buf[static KEYWORD_CI_MAX])
{
    char text[KEYWORD_CI_MAX] = "p2p1 open";
    if (k->form == KEYWORD_ROOM)
        snprintf(text, sizeof text, "p2p1 room %u", (unsigned)k->room);
    size_t size = strlen(text);
    memcpy(buf, text, size);
    return size;
}

size_t keyword_random_words(struct rng *r, char buf[static KEYWORD_WORDS_TEXT_MAX])
{
    const char *word[3];
    for (size_t i = 0; i < 3; i++)
        word[i] = words_list[rng_below(r, WORDS_COUNT)];
    return (size_t)snprintf(buf, KEYWORD_WORDS_TEXT_MAX, "%s-%s-%s", word[0], word[1], word[2]);
}

void keyword_wipe(struct keyword *k)
{
    sodium_memzero(k, sizeof *k);
}
