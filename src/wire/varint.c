#include "wire/varint.h"

size_t varint_put(uint8_t *ret, size_t cap, uint64_t value)
{
    size_t size = 1;
    for (uint64_t v = value >> 7; v != 0; v >>= 7)
        size++;
    if (size > cap)
        return 0;
    for (size_t i = 0; i + 1 < size; i++, value >>= 7)
        ret[i] = (uint8_t)(value | 0x80);
    ret[size - 1] = (uint8_t)value;
    return size;
}

size_t varint_get(const uint8_t *at, size_t size, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size && i < VARINT_BYTES_MAX; i++) {
        uint64_t bits = at[i] & 0x7f;
        if (i == VARINT_BYTES_MAX - 1 && bits > 1)
            return 0; /* bit 64 and up */
        value |= bits << (7 * i);
        if ((at[i] & 0x80) != 0)
            continue;
        if (i > 0 && bits == 0)
            return 0; /* a last byte of zero says nothing: not minimal */
        *ret = value;
        return i + 1;
    }
    return 0;
}
