/* script.h: the operations of enum engine_operation, on an engine and the hand around it; for fuzz_engine, fuzz_sealed. */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H
#include "hand.h"

enum { BEGINNINGS_MAX = 8 };

/* The first byte of the input says with which of `count` beginnings. */
void script_run(const struct hand_beginning *beginnings, size_t count, const uint8_t *at, size_t size);
#endif
