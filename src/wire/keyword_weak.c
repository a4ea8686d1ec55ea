#include "wire/keyword.h"
#include "wire/text.h"
#include "wire/words.h"
#include <string.h>

/* An estimate in half bits of how much work a guesser has, low rather than high. The keyword (in
 * room form without the number, which everybody is told) is cut at its '-'. A part counts
 *  - 1 bit if it came before,
 *  - 11 bits if it is in our list of words,
 *  - 3 bits if it is in the list of very common choices below,
 *  - else the sum over its characters: 2.5 bits for a letter (English has more letters than
 *    surprises), 2.5 for a digit (years, birthdays), 4 for any other ASCII character and where
 *    letters and digits change over, 5 for any other character; but half a bit where it repeats the
 *    one before, goes on with a run (abc, 321, qwerty) or repeats the part's beginning (abcabc).
 * Letters before digits at the end are looked up too: password1 is not better than password. Under
 * 30 bits is weak: on line that is beyond reach, and all that the advice is about. Three words
 * of our list, unless all the same, are not: 33 bits. */
enum {
    WEAK_BELOW_HALF_BITS = 2 * 30,
    HALF_BITS_REPEATED = 2,
    HALF_BITS_LISTED = 22,
    HALF_BITS_COMMON = 6,
};

static const char *const common[] = {
    "admin",   "angel",    "baby",     "batman",  "charlie",  "chat",     "computer", "daniel",   "default",
    "demo",    "dragon",   "family",   "flower",  "football", "freedom",  "friend",   "friends",  "guest",
    "hallo",   "hello",    "hey",      "home",    "iloveyou", "jessica",  "jordan",   "killer",   "letmein",
    "liebe",   "login",    "love",     "lovely",  "master",   "meeting",  "michael",  "michelle", "monkey",
    "mustang", "ninja",    "office",   "passwd",  "passwort", "password", "party",    "pepper",   "please",
    "pokemon", "princess", "private",  "qazwsx",  "room",     "root",     "samsung",  "school",   "secret",
    "shadow",  "soccer",   "starwars", "summer",  "sunshine", "superman", "team",     "test",     "testing",
    "thomas",  "trustno",  "user",     "welcome", "whatever", "work",     "world",
};

struct part {
    const uint8_t *at;
    size_t size;
};

static bool part_equal(struct part a, struct part b)
{
    return a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

static bool is_common(struct part p)
{
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        if (part_equal(p, (struct part){(const uint8_t *)common[i], strlen(common[i])}))
            return true;
    return false;
}

static bool is_letter(uint32_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

/* Does b come next to a in the alphabet or on a keyboard, in either direction. */
static bool is_neighbour(uint32_t a, uint32_t b)
{
    static const char rows[] = "abcdefghijklmnopqrstuvwxyz 01234567890 qwertyuiop qwertz asdfghjkl zxcvbnm yxcvbnm";
    for (size_t i = 0; i + 2 < sizeof rows; i++)
        if (rows[i] != ' ' && rows[i + 1] != ' ' &&
            (((uint32_t)rows[i] == a && (uint32_t)rows[i + 1] == b) ||
             ((uint32_t)rows[i] == b && (uint32_t)rows[i + 1] == a)))
            return true;
    return false;
}

/* The length of the beginning that the whole part repeats ("abcab": 3); its size if it does not. */
static size_t period(struct part p)
{
    for (size_t n = 1; n < p.size; n++)
        if (memcmp(p.at, p.at + n, p.size - n) == 0)
            return n;
    return p.size;
}

static unsigned character_half_bits(uint32_t c, uint32_t before)
{
    if (c == before || is_neighbour(before, c))
        return 1;
    if (c >= 0x80)
        return 10;
    bool goes_on = before == 0 || (is_letter(before) && is_letter(c)) || (is_digit(before) && is_digit(c));
    return goes_on && (is_letter(c) || is_digit(c)) ? 5 : 8;
}

static unsigned spelled_half_bits(struct part p)
{
    unsigned sum = 0;
    uint32_t before = 0, c = 0;
    size_t fresh = period(p);
    for (size_t i = 0, length; i < p.size; i += length, before = c) {
        length = text_next(p.at + i, p.size - i, &c);
        if (length == 0) /* cannot be: a normal form is UTF-8 */
            break;
        sum += i < fresh ? character_half_bits(c, before) : 1;
    }
    return sum;
}

static unsigned part_half_bits(struct part p)
{
    struct part letters = p;
    while (letters.size > 0 && is_digit(letters.at[letters.size - 1]))
        letters.size--;
    struct part digits = {p.at + letters.size, p.size - letters.size};
    unsigned sum = spelled_half_bits(digits);
    if (is_common(letters))
        return sum + HALF_BITS_COMMON;
    if (words_contains((const char *)letters.at, letters.size))
        return sum + HALF_BITS_LISTED;
    return sum + spelled_half_bits(letters);
}

/* What lies behind the room number. */
static struct part secret_part(const struct keyword *k)
{
    struct part p = {k->normal, k->size};
    if (k->form == KEYWORD_ROOM) {
        const uint8_t *dash = memchr(p.at, '-', p.size);
        if (dash != NULL)
            p = (struct part){dash + 1, p.size - (size_t)(dash + 1 - p.at)};
    }
    return p;
}

/* Takes the text up to the next '-' from the front of *rest. */
static struct part next_part(struct part *rest)
{
    const uint8_t *dash = memchr(rest->at, '-', rest->size);
    struct part p = {rest->at, dash != NULL ? (size_t)(dash - rest->at) : rest->size};
    size_t taken = p.size + (dash != NULL);
    *rest = (struct part){rest->at + taken, rest->size - taken};
    return p;
}

/* Is p one of the parts of the text from start on that lie before it? */
static bool came_before(const uint8_t *start, struct part p)
{
    struct part rest = {start, (size_t)(p.at - start)};
    while (rest.size > 0)
        if (part_equal(next_part(&rest), p))
            return true;
    return false;
}

bool keyword_has_three_words(const struct keyword *k)
{
    struct part rest = secret_part(k);
    size_t words = 0;
    for (; rest.size > 0; words++) {
        struct part p = next_part(&rest);
        if (words == 3 || !words_contains((const char *)p.at, p.size))
            return false;
    }
    return words == 3;
}

bool keyword_is_weak(const struct keyword *k)
{
    struct part rest = secret_part(k);
    const uint8_t *start = rest.at;
    unsigned sum = 0, parts = 0, repeated = 0;
    while (rest.size > 0) {
        struct part p = next_part(&rest);
        bool again = came_before(start, p);
        sum += again ? HALF_BITS_REPEATED : part_half_bits(p);
        repeated += again;
        parts++;
    }
    /* Words drawn at random may come twice; all three the same is not what chance does. */
    if (keyword_has_three_words(k) && repeated + 1 < parts)
        return false;
    return sum < WEAK_BELOW_HALF_BITS;
}
