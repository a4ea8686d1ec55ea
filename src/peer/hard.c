/* Meeting on ports that no candidate names: predicted, guessed, or fresh (docs/protocol.md, "Hard NATs").
 *
 * A try has two ends. The *prober* tells by Aim which port its packets will come from. The *opener* opens one socket or
 * many towards that port, by packets that die on the way (low TTL), tells by Aim where its NAT has put them, and the
 * prober sends to those ports. One that gets through is answered, and is a path like any other from then on.
 *
 *                     opener                                    prober
 *   known ports       one fresh socket                          a fresh socket           (a stuck punch)
 *   prediction        one socket, or 25 if the prober's port    the port it has told, or a window of its own next
 *                     can only be predicted, too; the server    ports in whose middle the told one is
 *                     is asked before and after, so that the
 *                     ports between are known
 *   birthday          256 sockets                               up to 2,000 random ports
 *
 * One try at a time in a process. Timers:
 *   sample    the server's answers about fresh sockets are asked for again
 *   probe     the next packet of a row
 *   ping      birthday: a fresh socket asks the server every 100 ms; two unanswered in a row mean that the router is
 *             full, and end all guessing for the life of the process
 *   deadline  a try that has not met ends */
#include "peer/internal.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SAMPLE_AGAIN_US VTIME_MS(100) /* and 1.5 round trips */
#define AIMED_US        VTIME_S(2) /* and 3 round trips of both: the opener opens, asks, and its Aim may be lost once */
#define ARRIVE_US       VTIME_MS(300) /* and 1.25 round trips of both: from the last probe to what it brings */
#define BIRTHDAY_US     VTIME_S(10)   /* the opener's share of it: 2,000 probes at 500 a second, and the way */
#define PASS_GAP_US     VTIME_MS(150) /* a row of predicted ports is probed PASSES times: packets get lost */
#define GAP_FIRST_US    VTIME_MS(4)   /* birthday: 250 a second, then */
#define GAP_US          VTIME_MS(2)   /* 500: DESIGN s6's bound */
#define LATE_MAX_US     VTIME_MS(10)  /* what a late timer may make up for */
#define PING_US         VTIME_MS(100)
#define STUCK_US        VTIME_MS(700) /* known ports: what the plain checks may take longer */
#define TURN_US         VTIME_S(5)    /* the other's turn to probe, and it does not */
#define AIM_OLD_US      VTIME_S(3)    /* an Aim that could not be followed for so long */
#define TARGET_US       VTIME_S(600)  /* the window of a target's probes; the first pause after a failure */

enum {
    PREDICTED_SOCKETS = 25,
    MIDDLE = 13, /* of 25 next ports */
    PASSES = 3,
    SLOW_PROBES = 100, /* at GAP_FIRST_US */
    SAMPLE_TRIES = 3,
    PREDICTIONS_MAX = 8, /* tries in a row; 8 * 3 * 64 probes are below PROBES_MAX */
    PROBES_MAX = 2000,   /* to one address in TARGET_US: 99.97 % for 256 sockets among 64,512 ports */
    PAUSE_DOUBLINGS = 3,
    LOST_PINGS = 2,
    PORT_FIRST = 1024,
    PORTS = 65536 - PORT_FIRST,
};

static_assert(PREDICTIONS_MAX * PASSES * AIM_PORTS_MAX <= PROBES_MAX, "a prediction stays within the budget");
static_assert(AIM_PORTS_MAX >= 2 * PREDICTED_SOCKETS, "foreign flows among ours fit");

/* ---- who, how ---- */

static struct nat_class class_of(const struct peer *p)
{
    return (struct nat_class){.mapping = p->offer.mapping, .filtering = p->offer.filtering, .ports = p->offer.ports};
}

static enum nat_technique technique_of(const struct engine *e, const struct peer *p)
{
    const struct nat_class theirs = class_of(p);
    return nat_technique(&e->nat, &theirs);
}

/* The one whose ports are known worse opens; between equals the side takes turns. */
static bool is_opener(const struct engine *e, const struct peer *p, uint32_t attempt)
{
    const struct nat_class theirs = class_of(p);
    enum nat_foresight own = nat_foresight(&e->nat), other = nat_foresight(&theirs);
    return own != other ? own < other : p->seal.side == attempt % 2;
}

/* Where the other says that the server sees it, in the family that was classified. */
static const struct addr *their_observed(const struct engine *e, const struct peer *p)
{
    const struct addr *own = classify_observed(e);
    for (unsigned i = 0; own != NULL && i < p->offer.candidate_count; i++) {
        const struct candidate *c = &p->offer.candidates[i];
        if (c->kind == CANDIDATE_OBSERVED && c->address.family == own->family)
            return &c->address;
    }
    return NULL;
}

/* Guesses go only to an address that both the envelope and the server name; a few packets to known ports need less. */
static bool is_consented(const struct engine *e, const struct peer *p, enum nat_technique technique)
{
    const struct addr *theirs = their_observed(e, p);
    return theirs != NULL && (technique == TECHNIQUE_CHECKS || addr_ip_equal(theirs, &p->witnessed));
}

/* Both are known well enough, and differ in where they are. */
bool hard_is_decided(const struct engine *e, const struct peer *p)
{
    const struct addr *theirs = their_observed(e, p);
    return p->state == PEER_LIVE && p->offer.generation > 0 && theirs != NULL &&
           !addr_ip_equal(theirs, classify_observed(e)) && e->nat.mapping != NAT_UNKNOWN &&
           p->offer.mapping != NAT_UNKNOWN && e->config.relay != RELAY_ONLY;
}

static bool lacks_direct(const struct peer *p)
{
    return p->chosen <= PATH_RELAYED;
}

/* ---- targets: what an address has had of us ---- */

static struct hard_target *find_target(struct engine *e, const struct addr *ip)
{
    for (unsigned i = 0; i < HARD_TARGETS; i++)
        if (e->hard.targets[i].ip.family != ADDR_NONE && addr_ip_equal(&e->hard.targets[i].ip, ip))
            return &e->hard.targets[i];
    return NULL;
}

/* NULL: none may be added now. */
static struct hard_target *take_target(struct engine *e, vtime_us now, const struct addr *ip)
{
    struct hard_target *t = find_target(e, ip);
    for (unsigned i = 0; t == NULL && i < HARD_TARGETS; i++) {
        struct hard_target *old = &e->hard.targets[i];
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

static bool is_open_target(struct engine *e, vtime_us now, const struct addr *ip)
{
    const struct hard_target *t = find_target(e, ip);
    return t == NULL || (now >= t->closed_until && (now >= t->window_until || t->probes < PROBES_MAX));
}

static void close_target(struct engine *e, vtime_us now, const struct addr *ip)
{
    struct hard_target *t = take_target(e, now, ip);
    if (t == NULL)
        return;
    t->closed_until = now + (TARGET_US << (t->failures < PAUSE_DOUBLINGS ? t->failures : PAUSE_DOUBLINGS));
    if (t->failures < UINT8_MAX)
        t->failures++;
}

/* ---- the end of a try ---- */

bool hard_uses(const struct engine *e, uint16_t socket)
{
    for (unsigned i = 0; i < e->hard.socket_count; i++)
        if (e->hard.sockets[i] == socket)
            return true;
    return false;
}

static void drop_pings(struct engine *e)
{
    for (unsigned i = 0; i < HARD_PINGS; i++) {
        pool_give(e, e->hard.pings[i].socket);
        e->hard.pings[i] = (struct hard_ping){0};
    }
}

static void end(struct engine *e)
{
    struct hard *h = &e->hard;
    drop_pings(e);
    h->peer = NULL;
    h->phase = HARD_IDLE;
    h->socket_count = 0;
    e->pool_stale = true;
}

static bool is_over_with(const struct engine *e, const struct peer *p)
{
    const struct hard *h = &e->hard;
    return h->peer == p && (p->state != PEER_LIVE || p->number != h->number);
}

/* A try brought nothing: when is the next? */
static void failed(struct engine *e, vtime_us now)
{
    struct hard *h = &e->hard;
    struct peer *p = h->peer;
    enum nat_technique technique = h->technique;
    end(e);
    if (p->attempts_failed < UINT8_MAX)
        p->attempts_failed++;
    if (technique == TECHNIQUE_CHECKS) {
        p->attempt_at = now + vtime_min(VTIME_S(1) << (p->attempts_failed < 7 ? p->attempts_failed : 7), VTIME_S(60));
        if (p->attempts_failed == 3)
            checks_tell(e, p, "nothing gets through directly so far; relayed, and tried again");
        return;
    }
    bool again = technique == TECHNIQUE_PREDICTION && p->attempts_failed % PREDICTIONS_MAX != 0;
    p->attempt_at = is_opener(e, p, p->attempt + 1) ? now + TURN_US : now;
    if (again)
        return;
    p->attempt_at = now + TARGET_US;
    close_target(e, now, their_observed(e, p) != NULL ? their_observed(e, p) : &p->witnessed);
    checks_tell(e, p,
                technique == TECHNIQUE_BIRTHDAY ? "no guessed port was right; relayed, and tried again later"
                                                : "no predicted port was right; relayed, and tried again later");
}

/* The router can't take it: nothing of the kind any more. */
static void harm(struct engine *e)
{
    struct peer *p = e->hard.peer;
    p->aim = (struct frame_aim){.attempt = p->attempt, .stop = true};
    p->due |= CARRIED_AIM;
    e->hard.harmed = true;
    end(e);
    checks_tell(e, p, "your router has too few mappings for guessing ports; relayed");
}

const char *hard_way(const struct engine *e, const struct peer *p, const struct path *q)
{
    static const char *const ways[] = {
        [TECHNIQUE_CHECKS] = "a direct path was found from fresh ports",
        [TECHNIQUE_PREDICTION] = "a direct path was found by predicted ports",
        [TECHNIQUE_BIRTHDAY] = "a direct path was found by guessed ports",
        [TECHNIQUE_NONE] = "a direct path was found",
    };
    return ways[e->hard.peer == p && hard_uses(e, q->socket) ? e->hard.technique : TECHNIQUE_NONE];
}

void hard_met(struct engine *e, struct peer *p)
{
    p->attempts_failed = 0;
    if (e->hard.peer == p)
        end(e);
}

/* ---- packets ---- */

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

static bool ask_server(struct engine *e, uint16_t socket, uint64_t token, struct engine_out *ret)
{
    const struct frame f = {.kind = FRAME_PROBE, .probe = {.token = token}};
    return engine_out_datagram(e, ret, socket, classify_base(e), codec_encode(&f, e->datagram, sizeof e->datagram));
}

/* ---- beginning ---- */

static vtime_us both_rtts(const struct engine *e, const struct peer *p)
{
    return (vtime_us)e->rv.rtt_us + p->offer.server_rtt_us;
}

static bool take_sockets(struct engine *e, unsigned count)
{
    struct hard *h = &e->hard;
    for (unsigned i = 0; i < count; i++) {
        uint16_t socket = pool_take(e, classify_base(e)->family, SOCKET_PUNCH);
        if (socket == 0)
            return false;
        h->sockets[h->socket_count++] = socket;
    }
    return true;
}

static void begin(struct engine *e, struct peer *p, uint32_t attempt, bool prober)
{
    struct hard *h = &e->hard;
    h->peer = p;
    h->number = p->number;
    h->attempt = p->attempt = attempt;
    h->technique = technique_of(e, p);
    h->prober = prober;
    h->deadline = VTIME_NEVER;
    h->sent = 0;
    h->lost_pings = 0;
    h->ping_at = 0;
    h->told = false;
    h->sample_at = 0;
    e->count.attempts++;
    memset(h->samples, 0, sizeof h->samples);
    rng_bytes(&e->rng, h->key, sizeof h->key);
    p->their_aim.attempt = 0;
    p->tries_told = true;
}

static void want_sample(struct engine *e, unsigned which, unsigned socket)
{
    e->hard.samples[which] = (struct hard_sample){.token = rng_token(&e->rng), .socket = e->hard.sockets[socket]};
}

/* The prober's part begins: which port will its packets come from? */
static void begin_probing(struct engine *e, vtime_us now, struct peer *p, uint32_t attempt)
{
    struct hard *h = &e->hard;
    enum nat_foresight own = nat_foresight(&e->nat);
    begin(e, p, attempt, true);
    h->phase = HARD_SAMPLING;
    h->deadline = now + AIMED_US + 3 * both_rtts(e, p);
    if (own == FORESIGHT_EXACT && attempt == 1 && h->technique != TECHNIQUE_CHECKS) {
        h->sockets[h->socket_count++] = classify_base(e)->family == ADDR_V6 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4;
        return; /* its port is known already */
    }
    if (!take_sockets(e, 1))
        failed(e, now);
    else if (own != FORESIGHT_ONCE)
        want_sample(e, 0, 0);
}

static void begin_opening(struct engine *e, vtime_us now, struct peer *p, const struct frame_aim *aim)
{
    struct hard *h = &e->hard;
    const struct nat_class theirs = class_of(p);
    enum nat_foresight own = nat_foresight(&e->nat);
    begin(e, p, aim->attempt, false);
    h->phase = HARD_OPENING;
    h->target = aim->address;
    h->openers = h->technique == TECHNIQUE_BIRTHDAY         ? HARD_BIRTHDAY_SOCKETS
                 : nat_foresight(&theirs) == FORESIGHT_NEAR ? PREDICTED_SOCKETS
                                                            : 1;
    h->deadline = now + (h->technique == TECHNIQUE_BIRTHDAY ? BIRTHDAY_US : AIMED_US) + 3 * both_rtts(e, p);
    h->next_at = now;
    if (!take_sockets(e, h->openers + (own == FORESIGHT_NEAR))) {
        failed(e, now);
        return;
    }
    if (own == FORESIGHT_EXACT || own == FORESIGHT_NEAR)
        want_sample(e, 0, 0);
    if (own == FORESIGHT_NEAR)
        want_sample(e, 1, h->openers);
}

static vtime_us ready_at(const struct engine *e, const struct peer *p)
{
    vtime_us at = p->attempt_at > p->hold_until ? p->attempt_at : p->hold_until;
    return technique_of(e, p) == TECHNIQUE_CHECKS && p->attempts_failed == 0 ? at + STUCK_US : at;
}

static bool may_begin(struct engine *e, vtime_us now, struct peer *p)
{
    if (!lacks_direct(p) || !hard_is_decided(e, p) || now < ready_at(e, p))
        return false;
    enum nat_technique technique = technique_of(e, p);
    if (technique == TECHNIQUE_CHECKS)
        return nat_foresight(&e->nat) == FORESIGHT_EXACT && p->offer.mapping != NAT_ADDRESS_DEPENDENT &&
               p->offer.mapping != NAT_ADDRESS_AND_PORT_DEPENDENT;
    return technique != TECHNIQUE_NONE && !e->hard.harmed && !p->spares && is_consented(e, p, technique) &&
           is_open_target(e, now, &p->witnessed);
}

/* What the other tells of a try. Kept until it can be followed: the server's word on its address may be on the way. */
void hard_aim(struct engine *e, vtime_us now, struct peer *p, const struct frame_aim *f)
{
    struct hard *h = &e->hard;
    if (f->stop) {
        p->spares = true;
        if (h->peer == p)
            end(e);
        if (lacks_direct(p))
            checks_tell(e, p, "the other's router has too few mappings for guessing ports; relayed");
        return;
    }
    if (f->attempt >= p->attempt) {
        p->their_aim = *f;
        p->their_aim_at = now;
    }
}

static bool is_at_their_address(const struct engine *e, const struct peer *p, const struct addr *a)
{
    const struct addr *theirs = their_observed(e, p);
    return theirs != NULL && addr_ip_equal(theirs, a);
}

static void follow_as_opener(struct engine *e, vtime_us now, struct peer *p)
{
    struct hard *h = &e->hard;
    enum nat_technique technique = technique_of(e, p);
    const struct frame_aim aim = p->their_aim;
    if (technique == TECHNIQUE_NONE || !is_consented(e, p, technique) ||
        (technique != TECHNIQUE_CHECKS && (e->hard.harmed || p->spares)))
        return;
    if (h->peer == p && aim.attempt > h->attempt)
        end(e); /* it has given up the one before */
    if (h->phase == HARD_IDLE)
        begin_opening(e, now, p, &aim);
}

static void follow_as_prober(struct engine *e, vtime_us now, struct peer *p)
{
    struct hard *h = &e->hard;
    const struct frame_aim aim = p->their_aim;
    if (h->peer != p || h->phase != HARD_AIMED || h->attempt != aim.attempt ||
        (aim.count == 0) != (h->technique == TECHNIQUE_BIRTHDAY))
        return;
    struct hard_target *t = h->technique == TECHNIQUE_CHECKS ? NULL : take_target(e, now, &p->witnessed);
    h->target = aim.address;
    h->stride = aim.stride;
    h->count = aim.count;
    h->total = aim.count * PASSES;
    if (h->technique != TECHNIQUE_CHECKS) {
        uint32_t left = t == NULL ? 0 : PROBES_MAX - t->probes;
        h->total = aim.count == 0 || h->total > left ? left : h->total;
    }
    h->factor = (rng_below(&e->rng, PORTS / 6) * 6 + 1) % PORTS; /* prime to 64,512 = 2^10 * 3^2 * 7, see port_of */
    while (h->factor % 7 == 0)
        h->factor = (h->factor + 6) % PORTS;
    h->offset = rng_below(&e->rng, PORTS);
    h->phase = HARD_PROBING;
    h->deadline = VTIME_NEVER;
    h->next_at = now;
    h->sent = 0;
    p->their_aim.attempt = 0;
}

static void follow(struct engine *e, vtime_us now, struct peer *p)
{
    const struct frame_aim *f = &p->their_aim;
    if (f->attempt == 0 || p->state != PEER_LIVE)
        return;
    if (now > p->their_aim_at + AIM_OLD_US || !lacks_direct(p) || f->attempt < p->attempt) {
        p->their_aim.attempt = 0;
        return;
    }
    if (!hard_is_decided(e, p) || !is_at_their_address(e, p, &f->address))
        return;
    if (is_opener(e, p, f->attempt))
        follow_as_opener(e, now, p);
    else
        follow_as_prober(e, now, p);
}

/* ---- a try goes on ---- */

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

static bool any_failed(const struct engine *e)
{
    for (unsigned i = 0; i < e->hard.socket_count; i++)
        if (e->sockets[e->hard.sockets[i]].failed)
            return true;
    return false;
}

static bool are_sampled(const struct hard *h)
{
    for (unsigned i = 0; i < HARD_SAMPLES; i++)
        if (h->samples[i].token != 0 && h->samples[i].observed.family == ADDR_NONE)
            return false;
    return true;
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
    else if (nat_foresight(&e->nat) == FORESIGHT_NEAR)
        a.port = (uint16_t)(a.port + MIDDLE * e->nat.step);
    h->phase = HARD_AIMED;
    tell_aim(h->peer, h, a, 0, 1);
}

/* From one sample to the other our sockets have got what lies between, and perhaps others some of it. */
static uint8_t ports_between(const struct engine *e, uint16_t before, uint16_t after, unsigned openers)
{
    int32_t distance = (int16_t)(uint16_t)(after - before) / e->nat.step - 1;
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
    switch (nat_foresight(&e->nat)) {
    case FORESIGHT_NEAR:
        count = ports_between(e, a.port, h->samples[1].observed.port, h->openers);
        stride = (uint16_t)e->nat.step;
        a.port = (uint16_t)(a.port + e->nat.step);
        break;
    case FORESIGHT_ONCE:
        a = kept_address(e, h->sockets[0]);
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
        h->deadline = e->now + both_rtts(e, h->peer) * 5 / 4 + PASSES * PASS_GAP_US + ARRIVE_US;
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
            h->deadline = now + both_rtts(e, h->peer) * 5 / 4 + ARRIVE_US;
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
    struct hard_target *t = h->technique == TECHNIQUE_CHECKS ? NULL : find_target(e, &to);
    if (t != NULL)
        t->probes++;
    if (!addr_is_sendable(&to))
        return false;
    return send_punch(e, now, 0, &to, 0, ret);
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
        return send_punch(e, now, i - 1, &h->target, PUNCH_TTL, ret);
    }
    struct hard_sample *s = &h->samples[i == 0 ? 0 : 1];
    if (s->token == 0)
        return poll_row(e, now, ret);
    h->sample_at = now + e->rv.rtt_us * 3 / 2 + SAMPLE_AGAIN_US;
    s->tries++;
    return ask_server(e, s->socket, s->token, ret);
}

static bool poll_samples(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct hard *h = &e->hard;
    if (now < h->sample_at)
        return false;
    for (unsigned i = 0; i < HARD_SAMPLES; i++) {
        struct hard_sample *s = &h->samples[i];
        if (s->token == 0 || s->observed.family != ADDR_NONE || s->tries == SAMPLE_TRIES || s->asked_at == now)
            continue;
        s->tries++;
        s->asked_at = now;
        return ask_server(e, s->socket, s->token, ret);
    }
    h->sample_at = now + e->rv.rtt_us * 3 / 2 + SAMPLE_AGAIN_US;
    return false;
}

static bool poll_phase(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct hard *h = &e->hard;
    if (!are_open(e))
        return false;
    switch (h->phase) {
    case HARD_SAMPLING:
        if (!are_sampled(h))
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
        if (!are_sampled(h))
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

/* ---- the router ---- */

static bool is_pinging(const struct hard *h)
{
    return h->technique == TECHNIQUE_BIRTHDAY && (h->phase == HARD_PROBING || h->phase == HARD_OPENING);
}

static vtime_us ping_lost_at(const struct engine *e, const struct hard_ping *g)
{
    return g->sent_at + 2 * (vtime_us)e->rv.rtt_us + VTIME_MS(200);
}

static void look_for_lost_pings(struct engine *e, vtime_us now)
{
    struct hard *h = &e->hard;
    for (unsigned i = 0; i < HARD_PINGS && h->peer != NULL; i++) {
        struct hard_ping *g = &h->pings[i];
        if (g->socket == 0 || g->sent_at == 0 || now < ping_lost_at(e, g))
            continue;
        pool_give(e, g->socket);
        *g = (struct hard_ping){0};
        if (++h->lost_pings == LOST_PINGS)
            harm(e);
    }
}

static bool poll_pings(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct hard *h = &e->hard;
    look_for_lost_pings(e, now);
    if (!is_pinging(h))
        return false;
    for (unsigned i = 0; i < HARD_PINGS; i++) {
        struct hard_ping *g = &h->pings[i];
        if (g->socket == 0 && now >= h->ping_at) {
            g->socket = pool_take(e, classify_base(e)->family, SOCKET_PING);
            h->ping_at = now + PING_US;
            return pool_poll(e, ret);
        }
        if (g->socket != 0 && g->sent_at == 0 && pool_is_open(e, g->socket)) {
            g->sent_at = now;
            g->token = rng_token(&e->rng);
            return ask_server(e, g->socket, g->token, ret);
        }
    }
    return false;
}

static bool ping_answered(struct engine *e, uint64_t token)
{
    for (unsigned i = 0; i < HARD_PINGS; i++) {
        struct hard_ping *g = &e->hard.pings[i];
        if (g->socket == 0 || g->sent_at == 0 || g->token != token)
            continue;
        pool_give(e, g->socket);
        *g = (struct hard_ping){0};
        e->hard.lost_pings = 0;
        return true;
    }
    return false;
}

bool hard_probed(struct engine *e, const struct addr *from, const struct frame_probed *f)
{
    const struct addr *base = classify_base(e);
    if (base == NULL || !addr_equal(from, base) || f->token == 0)
        return false;
    for (unsigned i = 0; i < HARD_SAMPLES; i++) {
        struct hard_sample *s = &e->hard.samples[i];
        if (e->hard.peer == NULL || s->token != f->token)
            continue;
        struct addr observed = addr_mask(&f->observed, f->token);
        if (observed.family == base->family && addr_is_sendable(&observed))
            s->observed = observed;
        return true;
    }
    return ping_answered(e, f->token);
}

/* ---- poll ---- */

/* Both know that it is hopeless, or how hard it is: said once. */
static void tell_outlook(struct engine *e, struct peer *p)
{
    enum nat_technique technique = technique_of(e, p);
    if (p->tries_told || !p->told || !lacks_direct(p) || !hard_is_decided(e, p) || technique == TECHNIQUE_CHECKS)
        return;
    p->tries_told = true;
    if (technique == TECHNIQUE_NONE)
        checks_tell(e, p, "no direct path is possible; relayed. A port mapping on either router would make it direct.");
    else
        session_want_link(p, e->now);
}

static void begin_somewhere(struct engine *e, vtime_us now)
{
    for (unsigned i = 0; i < PEER_SLOTS && e->hard.phase == HARD_IDLE; i++) {
        struct peer *p = &e->peers[i];
        if (p->state != PEER_LIVE)
            continue;
        tell_outlook(e, p);
        follow(e, now, p);
        if (e->hard.phase != HARD_IDLE || !may_begin(e, now, p))
            continue;
        uint32_t next = p->attempt + 1;
        if (is_opener(e, p, next)) {
            if (technique_of(e, p) != TECHNIQUE_CHECKS && nat_foresight(&e->nat) == FORESIGHT_NONE)
                continue; /* never the prober */
            if (now < ready_at(e, p) + TURN_US || is_opener(e, p, next + 1))
                continue;
            next++;
        }
        begin_probing(e, now, p, next);
    }
}

bool hard_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct hard *h = &e->hard;
    if (classify_base(e) == NULL)
        return false;
    if (h->peer != NULL && is_over_with(e, h->peer))
        end(e);
    if (h->peer != NULL)
        follow(e, now, h->peer);
    if (h->peer != NULL && (now >= h->deadline || any_failed(e)))
        failed(e, now);
    if (h->phase == HARD_IDLE)
        begin_somewhere(e, now);
    if (h->phase == HARD_IDLE)
        return pool_poll(e, ret);
    return pool_poll(e, ret) || poll_pings(e, now, ret) || (h->peer != NULL && poll_phase(e, now, ret)) ||
           pool_poll(e, ret);
}

vtime_us hard_deadline(const struct engine *e)
{
    const struct hard *h = &e->hard;
    vtime_us at = h->deadline;
    if (classify_base(e) == NULL)
        return VTIME_NEVER;
    if (h->phase == HARD_IDLE) {
        at = VTIME_NEVER;
        for (unsigned i = 0; i < PEER_SLOTS; i++) {
            const struct peer *p = &e->peers[i];
            if (p->state == PEER_LIVE && lacks_direct(p) && hard_is_decided(e, p) && ready_at(e, p) > e->now)
                at = vtime_min(at, ready_at(e, p));
            else if (p->state == PEER_LIVE && lacks_direct(p) && hard_is_decided(e, p) &&
                     ready_at(e, p) + TURN_US > e->now)
                at = vtime_min(at, ready_at(e, p) + TURN_US);
        }
        return at;
    }
    if (h->phase == HARD_PROBING && h->sent < h->total)
        at = vtime_min(at, h->next_at);
    if (h->phase == HARD_OPENING && h->technique == TECHNIQUE_BIRTHDAY && h->sent <= h->openers)
        at = vtime_min(at, h->next_at);
    if ((h->phase == HARD_SAMPLING || h->phase == HARD_OPENING) && !are_sampled(h))
        at = vtime_min(at, h->sample_at);
    if (is_pinging(h)) {
        at = vtime_min(at, h->ping_at);
        for (unsigned i = 0; i < HARD_PINGS; i++)
            if (h->pings[i].sent_at != 0)
                at = vtime_min(at, ping_lost_at(e, &h->pings[i]));
    }
    return at;
}
