/* What an address has had of our guesses: so many, then a pause. */
#include "peer/hard.h"

enum { PAUSE_DOUBLINGS = 3 }; /* 10, 20, 40, 80 minutes */

struct hard_target *hard_target_find(struct hard *h, const struct addr *ip)
{
    for (unsigned i = 0; i < HARD_TARGETS; i++)
        if (h->targets[i].ip.family != ADDR_NONE && addr_ip_equal(&h->targets[i].ip, ip))
            return &h->targets[i];
    return NULL;
}

struct hard_target *hard_target_take(struct hard *h, vtime_us now, const struct addr *ip)
{
    struct hard_target *t = hard_target_find(h, ip);
    for (unsigned i = 0; t == NULL && i < HARD_TARGETS; i++) {
        struct hard_target *old = &h->targets[i];
        if (now < old->window_until || now < old->closed_until)
            continue;
        *old = (struct hard_target){.ip = *ip};
        t = old;
    }
    if (t != NULL && now >= t->window_until) {
        t->window_until = now + TARGET_US;
        t->probes = 0;
    }
    return t;
}

bool hard_target_is_open(struct hard *h, vtime_us now, const struct addr *ip)
{
    const struct hard_target *t = hard_target_find(h, ip);
    return t == NULL || (now >= t->closed_until && (now >= t->window_until || t->probes < PROBES_MAX));
}

void hard_target_close(struct hard *h, vtime_us now, const struct addr *ip)
{
    struct hard_target *t = hard_target_take(h, now, ip);
    if (t == NULL)
        return;
    t->closed_until = now + (TARGET_US << (t->failures < PAUSE_DOUBLINGS ? t->failures : PAUSE_DOUBLINGS));
    if (t->failures < UINT8_MAX)
        t->failures++;
}
