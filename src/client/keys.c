#include "client/keys.h"
#include "wire/text.h"
#include <string.h>

enum { ESCAPE = 0x1b, SEQUENCE_BYTES_MAX = 32, REPLACEMENT = 0xfffd };

uint8_t *keys_space(struct keys *k, size_t *ret_size)
{
    memmove(k->at, k->at + k->start, k->end - k->start);
    k->end -= k->start;
    k->start = 0;
    *ret_size = KEYS_BYTES - k->end;
    return k->at + k->end;
}

/* ESC alone may be a key or the beginning of one: it is not whole. */
static bool sequence_is_whole(const uint8_t *at, size_t size)
{
    if (size < 2)
        return false;
    if (at[1] == 'O')
        return size >= 3;
    if (at[1] != '[')
        return true; /* Meta and a key */
    for (size_t i = 2; i < size; i++)
        if (at[i] >= 0x40 && at[i] <= 0x7e)
            return true;
    return size >= SEQUENCE_BYTES_MAX;
}

static bool is_beginning_of_character(const uint8_t *at, size_t size)
{
    size_t length = at[0] >= 0xf5 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 1;
    if (size >= length)
        return false;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return false;
    return true;
}

bool keys_are_whole(const struct keys *k)
{
    const uint8_t *at = k->at + k->start;
    size_t size = k->end - k->start;
    if (size == 0)
        return false;
    return at[0] == ESCAPE ? sequence_is_whole(at, size) : !is_beginning_of_character(at, size);
}

bool keys_are_partial(const struct keys *k)
{
    return k->end > k->start && !keys_are_whole(k);
}

bool keys_next(struct keys *k, uint32_t *ret_codepoint)
{
    uint32_t codepoint = REPLACEMENT;
    if (k->start == k->end)
        return false;
    size_t length = text_next(k->at + k->start, k->end - k->start, &codepoint);
    k->start += length == 0 ? 1 : length;
    *ret_codepoint = length == 0 ? REPLACEMENT : codepoint;
    return true;
}
