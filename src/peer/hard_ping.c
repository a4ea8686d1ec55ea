/* While ports are guessed: does the router still make mappings for others? */
#include "peer/internal.h"

#define PING_US       VTIME_MS(100) /* DESIGN s6 */
#define PING_AGAIN_US VTIME_MS(50)  /* and a round trip: a bad line loses one, a full router all of a socket's */
#define PING_LOST_US  VTIME_MS(200) /* and a round trip after the last */
enum { PING_TRIES = 3, LOST_PINGS = 2 };

void hard_ping_drop(struct engine *e)
{
    for (unsigned i = 0; i < HARD_PINGS; i++) {
        pool_give(e, e->hard.pings[i].socket);
        e->hard.pings[i] = (struct hard_ping){0};
    }
}

static bool is_pinging(const struct hard *h)
{
    return h->technique == TECHNIQUE_BIRTHDAY && (h->phase == HARD_PROBING || h->phase == HARD_OPENING);
}

static vtime_us ping_due_at(const struct engine *e, const struct hard_ping *g)
{
    return g->sent_at + e->rv.rtt_us + (g->tries < PING_TRIES ? PING_AGAIN_US : PING_LOST_US);
}

/* How many in a row have not been answered? */
static unsigned count_lost(struct engine *e, vtime_us now)
{
    struct hard *h = &e->hard;
    for (unsigned i = 0; i < HARD_PINGS; i++) {
        struct hard_ping *g = &h->pings[i];
        if (g->tries < PING_TRIES || now < ping_due_at(e, g))
            continue;
        pool_give(e, g->socket);
        *g = (struct hard_ping){0};
        h->lost_pings++;
    }
    return h->lost_pings;
}

bool hard_ping_poll(struct engine *e, vtime_us now, struct engine_out *ret, bool *ret_harm)
{
    struct hard *h = &e->hard;
    *ret_harm = count_lost(e, now) >= LOST_PINGS;
    if (*ret_harm || !is_pinging(h))
        return false;
    for (unsigned i = 0; i < HARD_PINGS; i++) {
        struct hard_ping *g = &h->pings[i];
        if (g->socket == 0 && now >= h->ping_at) {
            g->socket = pool_take(e, classify_base(e)->family, SOCKET_PING);
            h->ping_at = now + PING_US;
            return pool_poll(e, ret);
        }
        if (g->socket == 0 || !pool_is_open(e, g->socket) || (g->tries > 0 && now < ping_due_at(e, g)))
            continue;
        if (g->tries++ == 0)
            g->token = rng_token(&e->rng);
        g->sent_at = now;
        return hard_ask_server(e, g->socket, g->token, ret);
    }
    if (now >= h->ping_at) /* all are on their way: the line is slow */
        h->ping_at = now + PING_US;
    return false;
}

bool hard_ping_probed(struct engine *e, uint64_t token)
{
    for (unsigned i = 0; i < HARD_PINGS; i++) {
        struct hard_ping *g = &e->hard.pings[i];
        if (g->tries == 0 || g->token != token)
            continue;
        pool_give(e, g->socket);
        *g = (struct hard_ping){0};
        e->hard.lost_pings = 0;
        return true;
    }
    return false;
}

vtime_us hard_ping_deadline(const struct engine *e)
{
    const struct hard *h = &e->hard;
    vtime_us at = is_pinging(h) ? h->ping_at : VTIME_NEVER;
    for (unsigned i = 0; i < HARD_PINGS; i++)
        if (h->pings[i].tries > 0)
            at = vtime_min(at, ping_due_at(e, &h->pings[i]));
    return at;
}
