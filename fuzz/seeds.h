/* seeds.h: what seeds.c cannot do itself, since headers of the samples and of the simulator use the same names. */
#ifndef FUZZ_SEEDS_H
#define FUZZ_SEEDS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every golden frame. */
void seeds_samples(void (*frame)(bool inside, const uint8_t *at, size_t size));
#endif
