/* dice.h: the simulator's only randomness (splitmix64). One seed is one run. */
#ifndef SIM_DICE_H
#define SIM_DICE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

uint64_t dice_u64(struct dice *d);
/* Uniform enough in 0 .. bound-1 for a simulator; bound > 0. */
uint64_t dice_below(struct dice *d, uint64_t bound);
/* The time until the next of what comes at random, on average once in `mean`. */
uint64_t dice_exponential(struct dice *d, uint64_t mean);
/* True with a chance of ppm in a million. Draws nothing for 0, so that a rule that is switched off
 * does not change the rest of a run. */
bool dice_chance(struct dice *d, uint32_t ppm);
void dice_bytes(struct dice *d, void *ret, size_t size);
/* A generator of its own for one part of the world: what that part draws disturbs no other. */
struct dice dice_fork(struct dice *d);
#endif
