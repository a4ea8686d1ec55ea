#include "dice.h"

#include <assert.h>

uint64_t dice_u64(struct dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

uint64_t dice_below(struct dice *d, uint64_t bound)
{
    assert(bound > 0);
    return dice_u64(d) % bound;
}

/* Von Neumann's way, without a logarithm: whole steps are failed tries, and a try succeeds when the numbers that follow
 * the first go down an even number of times. */
uint64_t dice_exponential(struct dice *d, uint64_t mean)
{
    for (uint64_t whole = 0;; whole++) {
        uint64_t first = dice_u64(d) >> 32, last = first, next;
        bool even = true;
        while ((next = dice_u64(d) >> 32) < last) {
            last = next;
            even = !even;
        }
        if (even)
            return whole * mean + (first * mean >> 32);
    }
}

bool dice_chance(struct dice *d, uint32_t ppm)
{
    return ppm > 0 && dice_below(d, 1000000) < ppm;
}

void dice_bytes(struct dice *d, void *ret, size_t size)
{
    uint8_t *at = ret;
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(dice_u64(d) >> 56);
}

struct dice dice_fork(struct dice *d)
{
    return (struct dice){.state = dice_u64(d)};
}
