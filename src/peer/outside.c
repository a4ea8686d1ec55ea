/* The outside address of the family that we are not registered with: a dual-stack client can be met over both. */
#include "peer/internal.h"

#define ASK_AGAIN_US VTIME_S(1) /* while unanswered, ASK_TRIES times, then with the others */
enum { ASK_TRIES = 3 };

static const struct addr *other_server_addr(const struct engine *e)
{
    for (size_t i = 0; i < e->rv.addr_count; i++)
        if (e->rv.addrs[i].family != rendezvous_addr(e)->family)
            return &e->rv.addrs[i];
    return NULL;
}

static uint16_t socket_of(const struct addr *a)
{
    return a->family == ADDR_V6 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4;
}

static bool is_wanted(const struct engine *e)
{
    const struct addr *server = other_server_addr(e);
    return server != NULL && e->rv.registered && e->sockets[socket_of(server)].open && e->config.relay != RELAY_ONLY &&
           e->phase == PHASE_RUNNING;
}

/* An address of the other family that nobody confirms any more, or that is now the registered one's, is none. */
static void forget(struct engine *e)
{
    if (e->outside.observed.family == ADDR_NONE)
        return;
    e->outside.observed = (struct addr){0};
    checks_own_offer(e);
}

bool outside_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct outside *o = &e->outside;
    if (!is_wanted(e) || now < o->ask_at)
        return false;
    const struct addr *server = other_server_addr(e);
    if (o->unanswered >= ASK_TRIES || o->observed.family != server->family)
        forget(e);
    struct frame f = {.kind = FRAME_PROBE, .probe = {.token = rng_token(&e->rng)}};
    o->token = f.probe.token;
    o->ask_at = now + ASK_AGAIN_US;
    if (++o->unanswered > ASK_TRIES)
        o->ask_at = now + REFRESH_MIN_US + rng_below(&e->rng, (uint32_t)REFRESH_JITTER_US);
    return engine_out_datagram(e, ret, socket_of(server), server, codec_encode(&f, e->datagram, sizeof e->datagram));
}

bool outside_probed(struct engine *e, vtime_us now, const struct addr *from, const struct frame_probed *f)
{
    struct outside *o = &e->outside;
    const struct addr *server = other_server_addr(e);
    if (server == NULL || !addr_equal(from, server) || o->token == 0 || f->token != o->token)
        return false;
    struct addr observed = addr_mask(&f->observed, f->token);
    o->token = 0;
    o->unanswered = 0;
    o->ask_at = now + REFRESH_MIN_US + rng_below(&e->rng, (uint32_t)REFRESH_JITTER_US);
    if (observed.family != server->family || !addr_is_sendable(&observed) || addr_equal(&observed, &o->observed))
        return true;
    o->observed = observed;
    checks_own_offer(e);
    return true;
}

vtime_us outside_deadline(const struct engine *e)
{
    return is_wanted(e) ? e->outside.ask_at : VTIME_NEVER;
}
