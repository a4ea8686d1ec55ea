/* Meeting on ports that no candidate names: predicted, guessed, or fresh (docs/protocol.md, "Hard NATs").
 *
 * A try has two ends. The *prober* tells by Aim which port its packets will come from. The *opener* opens one socket or
 * many towards that port, by packets that die on the way (low TTL), tells by Aim where its NAT has put them, and the
 * prober sends to those ports. One that gets through is answered, and is a path like any other from then on.
 *
 *                     opener                                    prober
 *   known ports       one fresh socket                          a fresh socket           (a stuck punch)
 *   prediction        one socket (two if each keeps its port:   the port it has told, or a window of its own next
 *                     one may be taken), or 25 if the prober's  ports in whose middle the told one is
 *                     can only be predicted, too; the server
 *                     is asked before and after, so that the
 *                     ports between are known
 *   birthday          256 sockets                               up to 1,900 random ports
 *
 * One try at a time in a process. Timers:
 *   sample    the server's answers about fresh sockets are asked for again
 *   probe     the next packet of a row
 *   ping      birthday: a fresh socket asks the server every 100 ms; two in a row without any answer mean that the
 * router is full, and end all guessing for the life of the process deadline  a try that has not met ends */
#include "peer/internal.h"
#include <stdio.h>
#include <string.h>

#define AIMED_US        VTIME_S(2) /* and 3 round trips of both: the opener opens, asks, and its Aim may be lost once */
#define BIRTHDAY_US     VTIME_S(7) /* the opener's share of it: PROBES_MAX take 4.4 s, and one Aim may be lost */
#define STUCK_US        VTIME_MS(700) /* known ports: what the plain checks may take longer */
#define TURN_US         VTIME_S(5)    /* the other's turn to probe, and it does not */
#define DISAPPOINTED_US VTIME_S(3)    /* after the plain checks should have found something */
#define OPENING_GAP_US  VTIME_S(10)
#define CLOSED_SLACK_US VTIME_S(30) /* the prober's pause began before the opener's */
#define AIM_OLD_US      AIMED_US    /* an Aim that could not be followed for so long: its sender has given up */

enum {
    DOUBT = 3,           /* tries */
    LOST_SAMPLES = 2,    /* tries in a row */
    OPENINGS_BURST = 16, /* that a peer may ask for at once, and then one in OPENING_GAP_US */
};

/* ---- who, how ---- */

struct two_nats {
    struct nat_class own, theirs;
};

/* With one address of the server nobody knows whether a mapping depends on the address. Known ports are tried first; if
 * nothing comes of it, it is believed to, of one side after the other. A port that is kept will do either way. */
static void doubt(struct nat_class *c)
{
    if (c->mapping == NAT_PORT_INDEPENDENT && c->ports != NAT_PORTS_PRESERVED)
        c->mapping = NAT_ADDRESS_DEPENDENT;
}

static struct two_nats nats_for(const struct engine *e, const struct peer *p, uint32_t attempt)
{
    struct two_nats n = {
        .own = e->nat,
        .theirs = {.mapping = p->offer.mapping, .filtering = p->offer.filtering, .ports = p->offer.ports}};
    if (attempt > DOUBT)
        doubt(p->seal.side == attempt % 2 ? &n.own : &n.theirs);
    return n;
}

static enum nat_technique technique_for(const struct engine *e, const struct peer *p, uint32_t attempt)
{
    const struct two_nats n = nats_for(e, p, attempt);
    return nat_technique(&n.own, &n.theirs);
}

/* The one whose ports are known worse opens; between equals the side takes turns. */
static bool is_opener(const struct engine *e, const struct peer *p, uint32_t attempt)
{
    const struct two_nats n = nats_for(e, p, attempt);
    enum nat_foresight own = nat_foresight(&n.own), other = nat_foresight(&n.theirs);
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
static bool is_decided(const struct engine *e, const struct peer *p)
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

/* ---- the end of a try ---- */

bool hard_uses(const struct engine *e, uint16_t socket)
{
    for (unsigned i = 0; i < e->hard.socket_count; i++)
        if (e->hard.sockets[i] == socket)
            return true;
    return false;
}

static void end(struct engine *e)
{
    struct hard *h = &e->hard;
    hard_ping_drop(e);
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

/* The router can't take it: nothing of the kind any more. */
static void harm(struct engine *e, struct peer *p)
{
    p->aim = (struct frame_aim){.attempt = p->attempt, .stop = true};
    p->due |= CARRIED_AIM;
    e->hard.harmed = true;
    end(e);
    checks_tell(e, p, "your router has too few mappings for guessing ports; relayed");
}

/* Fresh sockets that the server does not answer, three times each, are the same sign as lost pings. A try that the
 * other has cut short before says nothing, or it could end our guessing for good. */
static bool is_starved(struct engine *e)
{
    struct hard *h = &e->hard;
    if (h->technique == TECHNIQUE_CHECKS || hard_are_sampled(h))
        h->lost_samples = 0;
    else if (hard_asked_in_vain(h))
        h->lost_samples++;
    return h->lost_samples == LOST_SAMPLES;
}

/* A try brought nothing: when is the next? */
static void failed(struct engine *e, vtime_us now)
{
    struct hard *h = &e->hard;
    struct peer *p = h->peer;
    enum nat_technique technique = h->technique;
    bool unanswered = h->phase == HARD_AIMED; /* it is busy with somebody else, or has none of it */
    if (is_starved(e)) {
        harm(e, p);
        return;
    }
    end(e);
    if (p->attempts_failed < UINT8_MAX)
        p->attempts_failed++;
    if (technique == TECHNIQUE_CHECKS) {
        p->attempt_at = now + vtime_min(VTIME_S(1) << (p->attempts_failed < 7 ? p->attempts_failed : 7), VTIME_S(60));
        if (p->attempts_failed == 3)
            checks_tell(e, p, "nothing gets through directly so far; relayed, and tried again");
        return;
    }
    if (unanswered) {
        unsigned doublings = p->attempts_failed - 1U;
        p->attempt_at = now + vtime_min(TURN_US << (doublings < 7 ? doublings : 7), TARGET_US);
        return;
    }
    bool again = technique == TECHNIQUE_PREDICTION && p->attempts_failed % PREDICTIONS_MAX != 0;
    p->attempt_at = now; /* own_turn() leaves the other its time */
    if (again)
        return;
    p->attempt_at = now + TARGET_US;
    hard_target_close(&e->hard, now, their_observed(e, p) != NULL ? their_observed(e, p) : &p->witnessed);
    checks_tell(e, p,
                technique == TECHNIQUE_BIRTHDAY ? "no guessed port was right; relayed, and tried again later"
                                                : "no predicted port was right; relayed, and tried again later");
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

/* ---- beginning ---- */

vtime_us hard_both_rtts(const struct engine *e, const struct peer *p)
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

static void begin(struct engine *e, struct peer *p, uint32_t attempt)
{
    struct hard *h = &e->hard;
    h->peer = p;
    h->number = p->number;
    h->slot_next = p->slot + 1U;
    h->attempt = p->attempt = attempt;
    const struct two_nats n = nats_for(e, p, attempt);
    h->technique = nat_technique(&n.own, &n.theirs);
    h->own = nat_foresight(&n.own);
    h->theirs = nat_foresight(&n.theirs);
    h->step = e->nat.step;
    h->deadline = VTIME_NEVER;
    h->sent = 0;
    h->lost_pings = 0;
    h->ping_at = 0;
    h->told = false;
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
    begin(e, p, attempt);
    h->phase = HARD_SAMPLING;
    h->deadline = now + AIMED_US + 3 * hard_both_rtts(e, p);
    if (h->own == FORESIGHT_EXACT && attempt == 1 && h->technique != TECHNIQUE_CHECKS) {
        h->sockets[h->socket_count++] = classify_base(e)->family == ADDR_V6 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4;
        return; /* its port is known already */
    }
    if (!take_sockets(e, 1))
        failed(e, now);
    else if (h->own != FORESIGHT_ONCE)
        want_sample(e, 0, 0);
}

static void begin_opening(struct engine *e, vtime_us now, struct peer *p, const struct frame_aim *aim)
{
    struct hard *h = &e->hard;
    begin(e, p, aim->attempt);
    h->phase = HARD_OPENING;
    h->target = aim->address;
    h->openers = 1;
    if (h->technique == TECHNIQUE_BIRTHDAY)
        h->openers = HARD_BIRTHDAY_SOCKETS;
    else if (h->theirs == FORESIGHT_NEAR)
        h->openers = PREDICTED_SOCKETS;
    else if (h->own == FORESIGHT_ONCE)
        h->openers = KEPT_SOCKETS;
    /* Each takes a place in our own router: three times in TARGET_US, no more. */
    if (h->technique == TECHNIQUE_BIRTHDAY)
        hard_target_take(h, now, &h->target)->probes += 3 * HARD_BIRTHDAY_SOCKETS;
    h->deadline = now + (h->technique == TECHNIQUE_BIRTHDAY ? BIRTHDAY_US : AIMED_US) + 3 * hard_both_rtts(e, p);
    h->next_at = now;
    if (!take_sockets(e, h->openers + (h->own == FORESIGHT_NEAR))) {
        failed(e, now);
        return;
    }
    if (h->own == FORESIGHT_EXACT || h->own == FORESIGHT_NEAR)
        want_sample(e, 0, 0);
    if (h->own == FORESIGHT_NEAR)
        want_sample(e, 1, h->openers);
}

/* Of those whose filter decides: who has one port for all destinations. */
static bool are_filters_known(const struct two_nats *n)
{
    return (nat_foresight(&n->own) != FORESIGHT_EXACT || n->own.filtering != NAT_UNKNOWN) &&
           (nat_foresight(&n->theirs) != FORESIGHT_EXACT || n->theirs.filtering != NAT_UNKNOWN);
}

static vtime_us ready_at(const struct engine *e, const struct peer *p)
{
    const struct two_nats n = nats_for(e, p, p->attempt + 1);
    const enum nat_technique technique = nat_technique(&n.own, &n.theirs);
    if (technique != TECHNIQUE_CHECKS && are_filters_known(&n))
        return p->attempt_at; /* the plain checks have no chance */
    vtime_us at = p->attempt_at > p->hold_until ? p->attempt_at : p->hold_until;
    return technique == TECHNIQUE_CHECKS && p->attempts_failed == 0 ? at + STUCK_US : at;
}

/* Our Aim may go out before the server's word on the other's address has come, and so be there no later than that. */
static bool may_begin(struct engine *e, vtime_us now, struct peer *p, uint32_t attempt)
{
    const struct two_nats n = nats_for(e, p, attempt);
    const enum nat_technique technique = nat_technique(&n.own, &n.theirs);
    if (technique ==
        TECHNIQUE_CHECKS) /* with fresh ports, if those of both can be known; else a packet will show one */
        return nat_foresight(&n.own) == FORESIGHT_EXACT && nat_foresight(&n.theirs) == FORESIGHT_EXACT;
    return technique != TECHNIQUE_NONE && !e->hard.harmed && !p->spares &&
           hard_target_is_open(&e->hard, now, their_observed(e, p)) && nat_foresight(&n.own) != FORESIGHT_NONE;
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

/* A member who asks for one try after the other costs the others their turns and the server our questions. */
static bool may_open(struct peer *p, vtime_us now)
{
    vtime_us at = p->openings_at > now ? p->openings_at : now;
    if (at - now >= OPENINGS_BURST * OPENING_GAP_US)
        return false;
    p->openings_at = at + OPENING_GAP_US;
    return true;
}

static void follow_as_opener(struct engine *e, vtime_us now, struct peer *p)
{
    struct hard *h = &e->hard;
    const struct frame_aim aim = p->their_aim;
    enum nat_technique technique = technique_for(e, p, aim.attempt);
    if (aim.attempt <= p->attempt) { /* said again */
        p->their_aim.attempt = 0;
        return;
    }
    if (technique == TECHNIQUE_NONE || !is_consented(e, p, technique) ||
        (technique != TECHNIQUE_CHECKS &&
         (h->harmed || p->spares || !hard_target_is_open(h, now + CLOSED_SLACK_US, &p->witnessed) ||
          hard_target_take(h, now, &p->witnessed) == NULL)))
        return;
    if (h->peer == p && h->technique == TECHNIQUE_BIRTHDAY)
        end(e); /* it has given up the one before, which is no failure of guesses that never came; */
    else if (h->peer == p)
        failed(e, now); /* and those who wait have their turn first */
    else if (h->phase == HARD_IDLE && may_open(p, now))
        begin_opening(e, now, p, &aim);
}

static void follow_as_prober(struct engine *e, vtime_us now, struct peer *p)
{
    struct hard *h = &e->hard;
    const struct frame_aim aim = p->their_aim;
    if (h->peer != p || h->phase != HARD_AIMED || h->attempt != aim.attempt || !is_consented(e, p, h->technique) ||
        (aim.count == 0) != (h->technique == TECHNIQUE_BIRTHDAY) ||
        (aim.count != 1 && h->technique == TECHNIQUE_CHECKS))
        return;
    struct hard_target *t = h->technique == TECHNIQUE_CHECKS ? NULL : hard_target_take(h, now, &p->witnessed);
    h->target = aim.address;
    h->stride = aim.stride;
    h->count = aim.count;
    h->total = aim.count * PROBES_PASSES;
    if (h->technique != TECHNIQUE_CHECKS) {
        uint32_t left = t == NULL ? 0 : PROBES_MAX - t->probes;
        h->total = aim.count == 0 || h->total > left ? left : h->total;
    }
    hard_row_shuffle(e);
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
    if (!is_at_their_address(e, p, &f->address))
        return;
    if (is_opener(e, p, f->attempt))
        follow_as_opener(e, now, p);
    else
        follow_as_prober(e, now, p);
}

/* ---- poll ---- */

static bool any_failed(const struct engine *e)
{
    for (unsigned i = 0; i < e->hard.socket_count; i++)
        if (e->sockets[e->hard.sockets[i]].failed)
            return true;
    return false;
}

bool hard_probed(struct engine *e, const struct addr *from, const struct frame_probed *f)
{
    const struct addr *base = classify_base(e);
    return base != NULL && addr_equal(from, base) && (hard_row_probed(e, from, f) || hard_ping_probed(e, f->token));
}

/* Nothing has come of the plain checks, and there is nothing else: said once. */
static void tell_disappointment(struct engine *e, vtime_us now, struct peer *p)
{
    const struct addr *theirs = their_observed(e, p), *own = classify_observed(e);
    if (p->tries_told || !p->told || p->offer.generation == 0 || now < p->hold_until + DISAPPOINTED_US)
        return;
    p->tries_told = true;
    if (p->offer.candidate_count == 0)
        return; /* it wants it so */
    if (theirs != NULL && own != NULL && addr_ip_equal(theirs, own))
        checks_tell(e, p,
                    "both are behind the same NAT, which does not let them meet inside; relayed, and tried again");
    else
        checks_tell(e, p, "nothing gets through directly so far; relayed, and tried again");
}

/* Both know that it is hopeless, or how hard it is: said once. */
static void tell_outlook(struct engine *e, struct peer *p)
{
    enum nat_technique technique = technique_for(e, p, p->attempt + 1);
    if (p->tries_told || !p->told || technique == TECHNIQUE_CHECKS)
        return;
    p->tries_told = true;
    if (technique == TECHNIQUE_NONE)
        checks_tell(e, p, "no direct path is possible; relayed. A port mapping on either router would make it direct.");
    else
        session_want_link(p, e->now);
}

/* The number of the try in which we are the prober next: ours to begin now, or if the other does not begin its own.
 * 0: none. */
static uint32_t own_turn(const struct engine *e, const struct peer *p, vtime_us now)
{
    vtime_us at = ready_at(e, p);
    if (now >= at && !is_opener(e, p, p->attempt + 1))
        return p->attempt + 1;
    return now >= at + TURN_US && !is_opener(e, p, p->attempt + 2) ? p->attempt + 2 : 0;
}

/* Whoever has had the last try comes after all others. */
static void begin_somewhere(struct engine *e, vtime_us now)
{
    const unsigned first = e->hard.slot_next;
    for (unsigned i = 0; i < PEER_SLOTS && e->hard.phase == HARD_IDLE; i++) {
        struct peer *p = &e->peers[(first + i) % PEER_SLOTS];
        if (p->state != PEER_LIVE || !lacks_direct(p) || e->config.relay == RELAY_ONLY)
            continue;
        if (!is_decided(e, p)) {
            tell_disappointment(e, now, p);
            continue;
        }
        tell_outlook(e, p);
        follow(e, now, p);
        uint32_t attempt = own_turn(e, p, now);
        if (e->hard.phase == HARD_IDLE && attempt != 0 && may_begin(e, now, p, attempt))
            begin_probing(e, now, p, attempt);
    }
}

bool hard_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct hard *h = &e->hard;
    if (h->peer != NULL && (is_over_with(e, h->peer) || classify_observed(e) == NULL))
        end(e);
    if (classify_observed(e) == NULL)
        return false;
    if (h->peer != NULL)
        follow(e, now, h->peer);
    if (h->peer != NULL && (now >= h->deadline || any_failed(e)))
        failed(e, now);
    if (h->phase == HARD_IDLE && pool_poll(e, ret))
        return true; /* the sockets of the try before: there is no room for those of two */
    if (h->phase == HARD_IDLE)
        begin_somewhere(e, now);
    if (h->phase == HARD_IDLE)
        return false;
    bool is_harmed;
    if (pool_poll(e, ret) || hard_ping_poll(e, now, ret, &is_harmed))
        return true;
    if (is_harmed)
        harm(e, h->peer);
    return (h->peer != NULL && hard_row_poll(e, now, ret)) || pool_poll(e, ret);
}

/* When own_turn() may have another answer. */
static vtime_us turn_changes_at(const struct engine *e, const struct peer *p)
{
    if (p->state != PEER_LIVE || !lacks_direct(p) || e->config.relay == RELAY_ONLY)
        return VTIME_NEVER;
    if (!is_decided(e, p))
        return p->tries_told || !p->told || p->offer.generation == 0 ? VTIME_NEVER : p->hold_until + DISAPPOINTED_US;
    vtime_us at = ready_at(e, p);
    at = at > e->now ? at : at + TURN_US;
    return at > e->now ? at : VTIME_NEVER;
}

vtime_us hard_deadline(const struct engine *e)
{
    const struct hard *h = &e->hard;
    vtime_us at = VTIME_NEVER;
    if (classify_observed(e) == NULL)
        return VTIME_NEVER;
    if (h->phase != HARD_IDLE)
        return vtime_min(h->deadline, vtime_min(hard_row_deadline(e), hard_ping_deadline(e)));
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        at = vtime_min(at, turn_changes_at(e, &e->peers[i]));
    return at;
}
