/* peer_tools.h: what the tests of src/peer share: cmocka's headers and seeded dice. */
#ifndef TESTS_PEER_TOOLS_H
#define TESTS_PEER_TOOLS_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants some of these first */
#include <cmocka.h>

#include "wire/rng.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The same seed throws the same dice. */
static inline void dice_seed(struct rng *r, uint32_t seed)
{
    uint8_t bytes[RNG_SEED_BYTES] = {(uint8_t)seed, (uint8_t)(seed >> 8), (uint8_t)(seed >> 16), 77};
    rng_init(r, bytes);
}

/* 0 .. n-1 */
static inline uint32_t dice(struct rng *r, uint32_t n)
{
    return rng_below(r, n);
}

/* low .. high, both included */
static inline uint32_t dice_between(struct rng *r, uint32_t low, uint32_t high)
{
    return low + rng_below(r, high - low + 1);
}

static inline bool dice_percent(struct rng *r, uint32_t percent)
{
    return rng_below(r, 100) < percent;
}
#endif
