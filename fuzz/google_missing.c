#include "google.h"

enum google_verdict google_parse(const uint8_t *at, size_t size)
{
    (void)at, (void)size;
    return GOOGLE_NOT_HERE;
}

size_t google_rewrite(const uint8_t *at, size_t size, uint8_t *ret, size_t cap)
{
    (void)at, (void)size, (void)ret, (void)cap;
    return 0;
}

bool google_same_values(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    (void)a, (void)a_size, (void)b, (void)b_size;
    return true;
}
