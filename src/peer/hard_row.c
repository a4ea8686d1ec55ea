/* The packets of a try: the questions to the server about fresh sockets, the opener's row, the prober's row. */
#include "peer/internal.h"
#include <sodium.h>
#include <string.h>

#define SAMPLE_AGAIN_US VTIME_MS(100) /* and 1.5 round trips */
#define ARRIVE_US       VTIME_MS(300) /* and 1.25 round trips of both: from the last probe to what it brings */
#define PASS_GAP_US     VTIME_MS(150) /* between the passes over a row of predicted ports */
#define GAP_FIRST_US    VTIME_MS(4)   /* guessed ports: 250 a second, then */
#define GAP_US          2200          /* 454: with what else goes there it stays below DESIGN s6's bound of 500 */
#define LATE_MAX_US     VTIME_MS(10)  /* what a late timer may make up for */

enum {
    MIDDLE = 13,       /* of 25 next ports */
    SLOW_PROBES = 100, /* at GAP_FIRST_US */
    SAMPLE_TRIES = 3,
    PORT_FIRST = 1024,
    PORTS = 65536 - PORT_FIRST,
};

static uint64_t challenge_for(const struct hard *h, uint16_t socket, const struct addr *to)
{
    uint8_t in[2 + 16 + 2] = {(uint8_t)socket, (uint8_t)(socket >> 8)}, out[crypto_shorthash_BYTES];
    uint64_t challenge = 0;
    memcpy(in + 2, to->ip, 16);
    in[18] = (uint8_t)to->port;
    in[19] = (uint8_t)(to->port >> 8);
    crypto_shorthash(out, in, sizeof in, h->key);
    memcpy(&challenge, out, sizeof challenge);
    return challenge | 1;
}

bool hard_answers(const struct engine *e, const struct peer *p, const struct path *q, uint64_t answer)
{
    return e->hard.peer == p && hard_uses(e, q->socket) && answer == challenge_for(&e->hard, q->socket, &q->remote);
}

static bool send_punch(struct engine *e, vtime_us now, unsigned socket, const struct addr *to, uint8_t ttl,
                       struct engine_out *ret)
{
    struct hard *h = &e->hard;
    const struct frame_punch f = {.challenge = challenge_for(h, h->sockets[socket], to)};
    e->count.probes++;
    return packet_punch(e, now, h->peer, h->sockets[socket], to, ttl, &f, ret);
}

bool hard_ask_server(struct engine *e, uint16_t socket, uint64_t token, struct engine_out *ret)
{
    const struct frame f = {.kind = FRAME_PROBE, .probe = {.token = token}};
    return engine_out_datagram(e, ret, socket, classify_base(e), codec_encode(&f, e->datagram, sizeof e->datagram));
}

static void tell_aim(struct peer *p, const struct hard *h, struct addr address, uint16_t stride, uint8_t count)
{
    p->aim = (struct frame_aim){.attempt = h->attempt, .address = address, .stride = stride, .count = count};
    p->due |= CARRIED_AIM;
}

static bool are_open(const struct engine *e)
{
    for (unsigned i = 0; i < e->hard.socket_count; i++)
        if (!pool_is_open(e, e->hard.sockets[i]))
            return false;
    return true;
}

bool hard_are_sampled(const struct hard *h)
{
    for (unsigned i = 0; i < HARD_SAMPLES; i++)
        if (h->samples[i].token != 0 && h->samples[i].observed.family == ADDR_NONE)
            return false;
    return true;
}

bool hard_asked_in_vain(const struct hard *h)
{
    for (unsigned i = 0; i < HARD_SAMPLES; i++)
        if (h->samples[i].token != 0 && h->samples[i].observed.family == ADDR_NONE &&
            h->samples[i].tries == SAMPLE_TRIES)
            return true;
    return false;
}

/* Where a fresh socket comes out that kept its own port. */
static struct addr kept_address(const struct engine *e, uint16_t socket)
{
    struct addr a = *classify_observed(e);
    a.port = e->sockets[socket].local.port;
    return a;
}

static void prober_is_ready(struct engine *e)
{
    struct hard *h = &e->hard;
    struct addr a = h->samples[0].observed;
    if (h->sockets[0] <= ENGINE_SOCKET_V6)
        a = *classify_observed(e);
    else if (h->samples[0].token == 0)
        a = kept_address(e, h->sockets[0]);
    else if (h->own == FORESIGHT_NEAR)
        a.port = (uint16_t)(a.port + MIDDLE * h->step);
    h->phase = HARD_AIMED;
    tell_aim(h->peer, h, a, 0, 1);
}

/* From one sample to the other our sockets have got what lies between, and perhaps others some of it. */
static uint8_t ports_between(const struct engine *e, uint16_t before, uint16_t after, unsigned openers)
{
    int32_t distance = (int16_t)(uint16_t)(after - before) / e->hard.step - 1;
    if (distance < (int32_t)openers || distance > AIM_PORTS_MAX)
        return (uint8_t)(openers + openers / 2 + 1); /* the counter has gone round, or the network has reordered */
    return (uint8_t)distance;
}

static void opener_is_ready(struct engine *e)
{
    struct hard *h = &e->hard;
    struct addr a = h->samples[0].observed;
    uint8_t count = 1;
    uint16_t stride = 0;
    switch (h->own) {
    case FORESIGHT_NEAR:
        count = ports_between(e, a.port, h->samples[1].observed.port, h->openers);
        stride = (uint16_t)h->step;
        a.port = (uint16_t)(a.port + h->step);
        break;
    case FORESIGHT_ONCE:
        a = kept_address(e, h->sockets[0]);
        count = (uint8_t)h->openers; /* KEPT_SOCKETS */
        stride = (uint16_t)(e->sockets[h->sockets[1]].local.port - a.port);
        break;
    case FORESIGHT_NONE:
        a = *classify_observed(e);
        count = 0;
        break;
    case FORESIGHT_EXACT:
        break;
    }
    h->told = true;
    if (a.port == 0)
        a.port = 1; /* went over the edge: that try fails */
    tell_aim(h->peer, h, a, stride, count);
    if (h->technique != TECHNIQUE_BIRTHDAY)
        h->deadline = e->now + hard_both_rtts(e, h->peer) * 5 / 4 + PROBES_PASSES * PASS_GAP_US + ARRIVE_US;
}

/* For port_of(): a random order of all ports. */
void hard_row_shuffle(struct engine *e)
{
    struct hard *h = &e->hard;
    h->factor = rng_below(&e->rng, PORTS / 6) * 6 + 1; /* prime to PORTS = 2^10 * 3^2 * 7 */
    while (h->factor % 7 == 0)
        h->factor = (h->factor + 6) % PORTS;
    h->offset = rng_below(&e->rng, PORTS);
}

static uint16_t port_of(const struct hard *h, uint32_t i)
{
    if (h->count > 0)
        return (uint16_t)(h->target.port + h->stride * (i % h->count));
    return (uint16_t)(PORT_FIRST + ((uint64_t)h->factor * i + h->offset) % PORTS); /* each port once */
}

static void pace(struct hard *h, vtime_us now)
{
    h->next_at += h->sent < SLOW_PROBES ? GAP_FIRST_US : GAP_US;
    if (h->next_at + LATE_MAX_US < now)
        h->next_at = now - LATE_MAX_US;
}

static bool poll_probing(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct hard *h = &e->hard;
    if (h->sent == h->total) {
        if (h->deadline == VTIME_NEVER)
            h->deadline = now + hard_both_rtts(e, h->peer) * 5 / 4 + ARRIVE_US;
        return false;
    }
    if (now < h->next_at)
        return false;
    struct addr to = h->target;
    to.port = port_of(h, h->sent++);
    if (h->count == 0)
        pace(h, now);
    else if (h->sent % h->count == 0)
        h->next_at = now + PASS_GAP_US;
    struct hard_target *t = h->technique == TECHNIQUE_CHECKS ? NULL : hard_target_find(h, &to);
    if (t != NULL)
        t->probes++;
    if (!addr_is_sendable(&to))
        return false;
    return send_punch(e, now, 0, &to, 0, ret);
}

static uint8_t opener_ttl(const struct hard *h)
{
    uint32_t more = (h->attempt - 1) / 2;
    return (uint8_t)(more < PUNCH_TTL_MAX - PUNCH_TTL ? PUNCH_TTL + more : PUNCH_TTL_MAX);
}

static bool ask_sample(struct engine *e, vtime_us now, struct hard_sample *s, struct engine_out *ret)
{
    s->tries++;
    s->asked_at = now;
    return hard_ask_server(e, s->socket, s->token, ret);
}

/* Each in its own time: in life no two polls are at the same moment. */
static vtime_us sample_due_at(const struct engine *e, const struct hard_sample *s)
{
    if (s->token == 0 || s->observed.family != ADDR_NONE || s->tries == SAMPLE_TRIES)
        return VTIME_NEVER;
    return s->tries == 0 ? 0 : s->asked_at + e->rv.rtt_us * 3 / 2 + SAMPLE_AGAIN_US;
}

/* One packet of the opener's row: the question before, the openers, the question after. */
static bool poll_row(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct hard *h = &e->hard;
    uint32_t i = h->sent;
    if (i > h->openers + 1 || (h->technique == TECHNIQUE_BIRTHDAY && now < h->next_at))
        return false;
    h->sent++;
    if (i >= 1 && i <= h->openers) {
        if (h->technique == TECHNIQUE_BIRTHDAY)
            pace(h, now);
        return send_punch(e, now, i - 1, &h->target, opener_ttl(h), ret);
    }
    struct hard_sample *s = &h->samples[i == 0 ? 0 : 1];
    if (s->token == 0)
        return poll_row(e, now, ret);
    return ask_sample(e, now, s, ret);
}

static bool poll_samples(struct engine *e, vtime_us now, struct engine_out *ret)
{
    for (unsigned i = 0; i < HARD_SAMPLES; i++)
        if (now >= sample_due_at(e, &e->hard.samples[i]))
            return ask_sample(e, now, &e->hard.samples[i], ret);
    return false;
}

bool hard_row_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct hard *h = &e->hard;
    if (!are_open(e))
        return false;
    switch (h->phase) {
    case HARD_SAMPLING:
        if (!hard_are_sampled(h))
            return poll_samples(e, now, ret);
        prober_is_ready(e);
        return false;
    case HARD_PROBING:
        return poll_probing(e, now, ret);
    case HARD_OPENING:
        if (h->technique == TECHNIQUE_BIRTHDAY && !h->told)
            opener_is_ready(e);
        if (poll_row(e, now, ret))
            return true;
        if (!hard_are_sampled(h))
            return poll_samples(e, now, ret);
        if (!h->told)
            opener_is_ready(e);
        return false;
    case HARD_AIMED:
    case HARD_IDLE:
        break;
    }
    return false;
}

bool hard_row_probed(struct engine *e, const struct addr *from, const struct frame_probed *f)
{
    for (unsigned i = 0; i < HARD_SAMPLES; i++) {
        struct hard_sample *s = &e->hard.samples[i];
        if (e->hard.peer == NULL || s->token == 0 || s->token != f->token)
            continue;
        struct addr observed = addr_mask(&f->observed, f->token);
        if (observed.family == from->family && addr_is_sendable(&observed))
            s->observed = observed;
        return true;
    }
    return false;
}

vtime_us hard_row_deadline(const struct engine *e)
{
    const struct hard *h = &e->hard;
    vtime_us at = VTIME_NEVER;
    if (h->phase == HARD_PROBING && h->sent < h->total)
        at = h->next_at;
    if (h->phase == HARD_OPENING && h->technique == TECHNIQUE_BIRTHDAY && h->sent <= h->openers)
        at = h->next_at;
    for (unsigned i = 0; i < HARD_SAMPLES && (h->phase == HARD_SAMPLING || h->phase == HARD_OPENING); i++)
        at = vtime_min(at, sample_due_at(e, &h->samples[i]));
    return at;
}
