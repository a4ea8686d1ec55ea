/* rng.h: the only randomness a core has: a fast-key-erasure generator over ChaCha20.
 * Pure: seeded by the caller, the same seed gives the same bytes. Not for two threads. */
#ifndef WIRE_RNG_H
#define WIRE_RNG_H
#include <stddef.h>
#include <stdint.h>

enum { RNG_SEED_BYTES = 32, RNG_BUFFER_BYTES = 512 };

struct rng {
    uint8_t key[32];
    uint8_t buffer[RNG_BUFFER_BYTES]; /* given out bytes are zeroed */
    size_t  used;
};

void     rng_init(struct rng *r, const uint8_t seed[static RNG_SEED_BYTES]);
/* Mixes fresh entropy into the key; what was drawn before stays unguessable from the state. */
void     rng_reseed(struct rng *r, const uint8_t entropy[static RNG_SEED_BYTES]);
void     rng_bytes(struct rng *r, void *ret, size_t size);
uint64_t rng_u64(struct rng *r);
/* Not 0: for tokens and handles. */
uint64_t rng_token(struct rng *r);
/* Uniform in 0 .. bound-1; bound > 0. */
uint32_t rng_below(struct rng *r, uint32_t bound);
#endif
