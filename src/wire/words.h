/* words.h: 2,048 short English words, sorted, all different; for keywords and verification. */
#ifndef WIRE_WORDS_H
#define WIRE_WORDS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORDS_COUNT = 2048, WORDS_BITS = 11, WORDS_LETTERS_MAX = 8 };

extern const char *const words_list[WORDS_COUNT];
bool words_contains(const char *word, size_t size);
#endif
