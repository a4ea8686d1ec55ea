/* stock.h: the one-time shares, which are also the guess budget (DESIGN s4): every introduction takes one, and
 * only what is in stock can be taken. Pure. */
#ifndef PEER_STOCK_H
#define PEER_STOCK_H
#include "wire/codec.h"
#include "wire/keyword.h"
#include "wire/rng.h"
#include "wire/seal.h"
#include "wire/vtime.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    STOCK_FAST_REFILLS = 16, /* without three words of our list: before the slow rate */
    STOCK_IN_ALL = 128,      /* guesses for the life of the process, the first eight counted */
    STOCK_REFILLS_MAX = STOCK_IN_ALL - SHARES_MAX,
};
#define STOCK_FAST_US VTIME_S(1) /* a refill, room form with three words: 86,400 guesses a day of 2^33 */
#define STOCK_SLOW_US VTIME_S(30)

struct share_secret {
    struct share_public share;
    uint8_t scalar[CPACE_SCALAR_BYTES];
    uint8_t nonce[SEAL_NONCE_BYTES];
};

struct stock {
    uint8_t generator[CPACE_POINT_BYTES];
    bool fast;  /* room form with three words */
    bool ready; /* the keyword is known: shares can be made */
    uint8_t count;
    struct share_secret shares[SHARES_MAX];
    uint8_t missing;   /* of SHARES_MAX: taken by runs that have not confirmed */
    uint32_t refilled; /* in all, not counting those for confirmed runs */
    vtime_us refill_at;
};

/* A keyword of room or open form. Fills the stock. False only if the keyword does not fit CPace's limits. */
bool stock_init(struct stock *s, const struct keyword *k, struct rng *r, vtime_us now);
/* Takes the share with this point out; false if there is none. */
bool stock_take(struct stock *s, const uint8_t point[static CPACE_POINT_BYTES], vtime_us now, struct share_secret *ret);
/* A run of ours confirmed: its share is replaced at once, free. */
void stock_confirmed(struct stock *s, struct rng *r);
/* Refills what is due. True if the stock grew. */
bool stock_refill(struct stock *s, struct rng *r, vtime_us now);
vtime_us stock_deadline(const struct stock *s);
/* No more newcomers for the life of this process. */
bool stock_is_exhausted(const struct stock *s);
/* Is this the point or commitment of one of our own? Then the peer reflects. */
bool stock_owns(const struct stock *s, const struct share_public *p);
void stock_wipe(struct stock *s);
#endif
