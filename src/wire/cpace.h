/* cpace.h: CPace, draft-irtf-cfrg-cpace-21, suite CPACE-RISTR255-SHA512, symmetric mode.
 * Pure: over libsodium, no heap, no entropy of its own. Names are the draft's. */
#ifndef WIRE_CPACE_H
#define WIRE_CPACE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/rng.h"

enum {
    CPACE_POINT_BYTES  = 32,
    CPACE_SCALAR_BYTES = 32,
    CPACE_ISK_BYTES    = 64,
    CPACE_SID_BYTES    = 64, /* sid_output */
    CPACE_AD_MAX       = 64,
    CPACE_GENERATOR_STRING_MAX = 512,
};

/* prepend_len and lv_cat over up to 8 parts; returns the size, 0 if it does not fit. */
struct cpace_part { const uint8_t *bytes; size_t size; };
size_t cpace_lv_cat(uint8_t *ret, size_t cap, const struct cpace_part *parts, size_t count);

/* g for a password, channel identifier and (here always empty, but for the vectors) sid. False if
 * the inputs do not fit CPACE_GENERATOR_STRING_MAX. */
bool cpace_generator(uint8_t ret_g[static CPACE_POINT_BYTES], const struct cpace_part *prs,
                     const struct cpace_part *ci, const struct cpace_part *sid);
/* The string that is hashed to it. Returns its size, 0 if it does not fit. */
size_t cpace_generator_string(uint8_t ret[static CPACE_GENERATOR_STRING_MAX], const struct cpace_part *prs,
                              const struct cpace_part *ci, const struct cpace_part *sid);

/* A fresh scalar (scalar_reduce of 64 bytes) and its point y*g. */
void cpace_share(struct rng *r, const uint8_t g[static CPACE_POINT_BYTES],
                 uint8_t ret_scalar[static CPACE_SCALAR_BYTES], uint8_t ret_point[static CPACE_POINT_BYTES]);
/* point = scalar*g, for the vectors. False for an invalid g. */
bool cpace_point(uint8_t ret[static CPACE_POINT_BYTES], const uint8_t scalar[static CPACE_SCALAR_BYTES],
                 const uint8_t g[static CPACE_POINT_BYTES]);

struct cpace_result {
    uint8_t isk[CPACE_ISK_BYTES];        /* ISK_SY; secret */
    uint8_t sid_output[CPACE_SID_BYTES]; /* public name of the run */
    bool    own_is_larger;               /* own lv_cat(point, ad) > the peer's: we are side 0 */
};
/* The run, symmetric mode. False (and *ret untouched) where the draft says abort: the peer's point
 * does not decode, K is the identity, or the peer's point or ad equals ours (reflection). */
bool cpace_finish(struct cpace_result *ret, const uint8_t scalar[static CPACE_SCALAR_BYTES],
                  const struct cpace_part *sid,
                  const uint8_t own_point[static CPACE_POINT_BYTES], const struct cpace_part *own_ad,
                  const uint8_t peer_point[static CPACE_POINT_BYTES], const struct cpace_part *peer_ad);
#endif
