/* text.h: is this text we carry? Pure. Display is somebody else's business (src/client/display). */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF) without NUL. */
bool text_is_valid(const uint8_t *text, size_t size);
/* text_is_valid, and without C0/C1 controls; for names. */
bool text_is_name(const uint8_t *text, size_t size);
/* One character from the front: returns its size in bytes (1..4) and its value, or 0 if it is malformed. */
size_t text_next(const uint8_t *text, size_t size, uint32_t *ret_codepoint);
#endif
