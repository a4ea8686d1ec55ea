#include "wire/text.h"

size_t text_next(const uint8_t *text, size_t size, uint32_t *ret_codepoint)
{
    /* By length of the sequence: the smallest value that needs it. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (size == 0)
        return 0;
    uint8_t first = text[0];
    size_t length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    if (length == 0 || length > size)
        return 0;
    uint32_t value = length == 1 ? first : first & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3fU);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *ret_codepoint = value;
    return length;
}

bool text_is_valid(const uint8_t *text, size_t size)
{
    while (size > 0) {
        uint32_t codepoint;
        size_t length = text_next(text, size, &codepoint);
        if (length == 0 || codepoint == 0)
            return false;
        text += length;
        size -= length;
    }
    return true;
}

bool text_is_name(const uint8_t *text, size_t size)
{
    while (size > 0) {
        uint32_t codepoint;
        size_t length = text_next(text, size, &codepoint);
        if (length == 0 || codepoint < 0x20 || (codepoint >= 0x7f && codepoint < 0xa0))
            return false;
        text += length;
        size -= length;
    }
    return true;
}
