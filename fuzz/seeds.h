/* seeds.h: what seeds.c cannot do itself, since headers of the engine and of the simulator use the same names. */
#ifndef FUZZ_SEEDS_H
#define FUZZ_SEEDS_H
#include "peer/engine.h"

/* Every golden frame. */
void seeds_samples(void (*frame)(bool inside, const uint8_t *at, size_t size));
/* The plaintext of what this engine (NULL: nobody) has just sealed. ret_plain: CIPHERTEXT_BYTES_MAX. */
bool seeds_open(const struct engine *e, const struct frame_sealed *f, uint8_t *ret_plain);
#endif
