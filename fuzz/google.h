/* google.h: the same bytes through Google's protobuf (C++), for fuzz_codec.c. Where the library or a C++ compiler is
 * missing, google_missing.c takes its place. */
#ifndef FUZZ_GOOGLE_H
#define FUZZ_GOOGLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum google_verdict {
    GOOGLE_NOT_HERE,
    GOOGLE_REFUSES,
    GOOGLE_ACCEPTS,
    GOOGLE_OVER, /* it accepts what is over a bound of ours that is looked at before the values: repeated fields and
                  * enums below 0 */
};

enum google_verdict google_parse(const uint8_t *at, size_t size);
/* What it read, as it writes it: minimal, ordered, without unknown fields. 0 if it does not fit. */
size_t google_rewrite(const uint8_t *at, size_t size, uint8_t *ret, size_t cap);
/* Do both say the same, apart from what a decoder of ours may forget: padding, unknown fields, unknown enum values? True
 * if it is not here. */
bool google_same_values(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);

#ifdef __cplusplus
}
#endif
#endif
