/* A server that lies: drops, holds back, repeats, bends, introduces whom it likes with shares that it has given out
 * already, names wrong addresses, and forgets people. Which of these is the seed's choice. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "swarm_parts.h"

enum lie {
    LIE_DROP,
    LIE_DROP_KIND, /* all frames of one kind, for a while */
    LIE_HOLD,
    LIE_REPEAT,
    LIE_BEND,
    LIE_INTRODUCE, /* any two, with any shares */
    LIE_ADDRESS,   /* what is observed */
    LIE_REFUSE,
    LIE_BITS,
    LIE_GUESS,
    LIES,
};

enum { GUESSES_AT_ONCE = 8 /* more than there are shares for */ };
enum { PAIRS_MADE_MAX = HOSTILE_PAIRS_MAX, HELD_MAX = 2000 };

struct swarm_liar {
    struct swarm *x;
    struct hostile_server *h;
    struct dice d;
    uint32_t lies;    /* which it tells */
    uint32_t one_in;  /* frames */
    uint32_t dropped; /* kinds */
    struct hostile_key guess;
};

static bool tells(struct swarm_liar *l, enum lie lie)
{
    return (l->lies >> lie & 1U) && dice_below(&l->d, l->one_in) == 0;
}

/* ---- to what passes ---- */

static bool passes_not(struct swarm_liar *l, bool up, const struct hostile_known *who, const struct frame *f,
                       struct bytes at)
{
    if (l->dropped >> f->kind & 1U)
        return true;
    if (tells(l, LIE_DROP))
        return true;
    if (tells(l, LIE_REPEAT) && l->h->held_count < HELD_MAX)
        hostile_server_later(l->h, dice_below(&l->d, VTIME_S(dice_below(&l->d, 2) ? 1 : 40)), up, &who->addr, at);
    if (!tells(l, LIE_HOLD) || l->h->held_count >= HELD_MAX)
        return false;
    hostile_server_later(l->h, dice_below(&l->d, VTIME_S(2)), up, &who->addr, at);
    return true;
}

static bool on_up(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    return passes_not(h->context, true, who, f, at);
}

static void lie_about_address(struct swarm_liar *l, struct addr *a)
{
    if (a->family != ADDR_V4)
        return;
    *a = swarm_victim;
    a->port = (uint16_t)(1 + dice_below(&l->d, 65535));
}

static bool bend(struct swarm_liar *l, const struct hostile_known *who, struct bytes at)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    memcpy(bytes, at.at, at.size);
    uint64_t bent = dice_below(&l->d, at.size);
    bytes[bent] ^= (uint8_t)(1U << dice_below(&l->d, 8));
    hostile_server_send(l->h, &who->addr, bytes, dice_below(&l->d, 8) ? at.size : 1 + dice_below(&l->d, at.size));
    return true;
}

static bool on_down(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    struct swarm_liar *l = h->context;
    if (passes_not(l, false, who, f, at))
        return true;
    if (tells(l, LIE_BEND))
        return bend(l, who, at);
    if (f->kind == FRAME_REGISTERED && tells(l, LIE_ADDRESS))
        lie_about_address(l, &f->registered.observed);
    if (f->kind == FRAME_LINKED && tells(l, LIE_ADDRESS))
        lie_about_address(l, &f->linked.observed);
    if (f->kind == FRAME_REGISTERED && tells(l, LIE_BITS))
        f->registered.bits_wanted = (uint8_t)dice_below(&l->d, PREFIX_BITS_MAX + 1);
    return false;
}

/* ---- of its own accord ---- */

static struct hostile_known *known_any(struct swarm_liar *l)
{
    struct hostile_known *k = &l->h->known[dice_below(&l->d, (uint64_t)l->h->known_count)];
    return k->share_count > 0 && k->handle ? k : NULL;
}

static void introduce(struct swarm_liar *l)
{
    struct hostile_known *a = known_any(l), *b = known_any(l);
    if (!a || !b || a == b || l->h->pair_count >= PAIRS_MADE_MAX)
        return;
    const struct share_public share_a = a->shares[dice_below(&l->d, a->share_count)];
    const struct share_public share_b = b->shares[dice_below(&l->d, b->share_count)];
    hostile_server_pair(l->h, a, &share_a, b, &share_b);
}

static void refuse(struct swarm_liar *l)
{
    const struct hostile_known *k = known_any(l);
    if (!k)
        return;
    const struct frame f = {
        .kind = FRAME_REFUSED,
        .refused = {.token = k->token, .proof = k->proof, .code = (uint8_t)(REFUSED_UNKNOWN + dice_below(&l->d, 4))}};
    hostile_server_tell(l->h, k, &f);
}

void swarm_liar_act(struct swarm *x)
{
    struct swarm_liar *l = x->liar;
    if (!l || l->h->known_count == 0)
        return;
    if (dice_below(&l->d, 20) == 0)
        l->dropped = l->lies >> LIE_DROP_KIND & 1U ? 1U << (2 + dice_below(&l->d, FRAME_KINDS - 2)) : 0;
    else if (dice_below(&l->d, 4) == 0)
        l->dropped = 0;
    if (l->lies >> LIE_INTRODUCE & 1U && dice_below(&l->d, 4) == 0)
        introduce(l);
    if (l->lies >> LIE_REFUSE & 1U && dice_below(&l->d, 10) == 0)
        refuse(l);
    for (int i = 0; l->lies >> LIE_GUESS & 1U && i < GUESSES_AT_ONCE; i++) {
        struct hostile_known *k = known_any(l);
        if (k)
            hostile_server_guess(l->h, k, &l->guess);
    }
}

/* ---- beginning and end ---- */

void swarm_liar_new(struct swarm *x)
{
    if (swarm_roll(x, 6))
        return;
    struct swarm_liar *l = calloc(1, sizeof *l);
    assert(l);
    *l = (struct swarm_liar){.x = x, .d = dice_fork(&x->d), .h = hostile_server_new(x->s)};
    l->lies = (uint32_t)(dice_u64(&l->d) & dice_u64(&l->d));
    l->one_in = 2 + (uint32_t)dice_below(&l->d, 30);
    hostile_key_init(&l->guess, "42-a-wild-guess");
    l->h->context = l;
    l->h->up = on_up;
    l->h->down = on_down;
    x->liar = l;
}

void swarm_liar_end(struct swarm *x)
{
    if (!x->liar)
        return;
    world_remove_actor(x->s->w, x->liar->h->actor);
    judge_set_server(x->s->judge, x->s->server);
}

void swarm_hostile_free(struct swarm *x)
{
    if (x->liar)
        hostile_server_free(x->liar->h);
    free(x->liar);
    free(x->wire);
}
