#include "peer/stock.h"
#include <sodium.h>
#include <string.h>

static void make(struct stock *s, struct rng *r)
{
    struct share_secret *n = &s->shares[s->count++];
    cpace_share(r, s->generator, n->scalar, n->share.point);
    rng_bytes(r, n->nonce, sizeof n->nonce);
    seal_commit(n->share.commitment, n->nonce);
}

bool stock_init(struct stock *s, const struct keyword *k, struct rng *r, vtime_us now)
{
    uint8_t ci[KEYWORD_CI_MAX];
    const struct cpace_part prs = {k->normal, k->size}, channel = {ci, keyword_ci(k, ci)}, sid = {NULL, 0};
    *s = (struct stock){.fast = k->form == KEYWORD_ROOM && keyword_has_three_words(k), .refill_at = now};
    if (!cpace_generator(s->generator, &prs, &channel, &sid))
        return false;
    while (s->count < SHARES_MAX)
        make(s, r);
    s->ready = true;
    return true;
}

bool stock_take(struct stock *s, const uint8_t point[static CPACE_POINT_BYTES], vtime_us now, struct share_secret *ret)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (memcmp(s->shares[i].share.point, point, CPACE_POINT_BYTES) != 0)
            continue;
        *ret = s->shares[i];
        s->shares[i] = s->shares[--s->count];
        sodium_memzero(&s->shares[s->count], sizeof s->shares[0]);
        vtime_us gap = s->fast ? STOCK_FAST_US : s->refilled < STOCK_FAST_REFILLS ? STOCK_FAST_US : STOCK_SLOW_US;
        if (s->missing++ == 0 && s->refill_at < now + gap)
            s->refill_at = now + gap;
        return true;
    }
    return false;
}

void stock_confirmed(struct stock *s, struct rng *r)
{
    if (s->missing > 0) {
        s->missing--;
        make(s, r);
    } else if (s->refilled > 0) {
        s->refilled--; /* has been replaced from the budget already: give that back */
    }
}

bool stock_is_exhausted(const struct stock *s)
{
    return s->ready && !s->fast && s->refilled >= STOCK_REFILLS_MAX && s->count == 0;
}

static bool may_refill(const struct stock *s)
{
    return s->ready && s->missing > 0 && (s->fast || s->refilled < STOCK_REFILLS_MAX);
}

bool stock_refill(struct stock *s, struct rng *r, vtime_us now)
{
    if (!may_refill(s) || now < s->refill_at)
        return false;
    make(s, r);
    s->missing--;
    s->refilled++;
    s->refill_at = now + (s->fast || s->refilled < STOCK_FAST_REFILLS ? STOCK_FAST_US : STOCK_SLOW_US);
    return true;
}

vtime_us stock_deadline(const struct stock *s)
{
    return may_refill(s) ? s->refill_at : VTIME_NEVER;
}

bool stock_owns(const struct stock *s, const struct share_public *p)
{
    for (unsigned i = 0; i < s->count; i++)
        if (memcmp(s->shares[i].share.point, p->point, sizeof p->point) == 0 ||
            memcmp(s->shares[i].share.commitment, p->commitment, sizeof p->commitment) == 0)
            return true;
    return false;
}

void stock_wipe(struct stock *s)
{
    sodium_memzero(s, sizeof *s);
}
