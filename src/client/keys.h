/* keys.h: bytes from a terminal to characters. Pure. */
#ifndef CLIENT_KEYS_H
#define CLIENT_KEYS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYS_BYTES = 4096 };

struct keys { /* all zero is empty */
    uint8_t at[KEYS_BYTES];
    size_t  start, end;
};

/* Where to read to; all of it is free. */
uint8_t *keys_space(struct keys *k, size_t *ret_size);
/* Is the next thing there whole: a character, or all of an escape sequence (arrow keys)? */
bool keys_are_whole(const struct keys *k);
/* Something is there, but not all of it. */
bool keys_are_partial(const struct keys *k);
/* The next character; a byte that is no UTF-8 is U+FFFD, and so is the beginning of one. False: none is there. */
bool keys_next(struct keys *k, uint32_t *ret_codepoint);
#endif
