/* Candidates and paths of one peer (docs/protocol.md s7). */
#include "peer/internal.h"
#include <stdio.h>
#include <string.h>

#define PROBE_GAP_MIN_US VTIME_MS(200)
#define PROBE_GAP_MAX_US VTIME_MS(2000)
#define REPUNCH_FIRST_US                                                                                               \
    VTIME_S(5) /* without a direct path: try again after 5, 10, 20, 40, then                                           \
                  every 60 s */
#define REPUNCH_MAX_US VTIME_S(60)
#define HOLD_MAX_US    VTIME_MS(600) /* with an Ack's flight less than the first probe timeout, 1 s */

#define FRESH_US        VTIME_S(1) /* an answer no older than this is believed */
#define PATH_GAP_US     VTIME_S(1)
#define SKEW_MIN_US     VTIME_MS(5)   /* below that it is the programs' own delays */
#define SKEW_MAX_US     VTIME_MS(200) /* DESIGN s6 */
#define QUESTION_GAP_US VTIME_S(5)

enum { PATHS_BURST = 32, QUESTIONS_BURST = 256 };

static bool probes_allowed(const struct engine *e)
{
    return e->config.relay != RELAY_ONLY;
}

/* ---- our own candidates ---- */

static void add_candidate(struct frame_offer *o, struct addr a, uint8_t kind)
{
    for (unsigned i = 0; i < o->candidate_count; i++)
        if (addr_equal(&o->candidates[i].address, &a)) {
            o->candidates[i].kind = kind; /* a host's address that the server sees is an observed one */
            return;
        }
    if (o->candidate_count < CANDIDATES_MAX && addr_is_sendable(&a))
        o->candidates[o->candidate_count++] = (struct candidate){a, kind};
}

static const struct engine_socket *socket_for(const struct engine *e, uint8_t family)
{
    return &e->sockets[family == ADDR_V6 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4];
}

static void add_own_candidates(const struct engine *e, struct frame_offer *o)
{
    for (size_t i = 0; i < e->interface_count && o->candidate_count < CANDIDATES_MAX - 2; i++) {
        struct addr a = e->interfaces[i];
        const struct engine_socket *s = socket_for(e, a.family);
        if (!s->open || (a.family == ADDR_V6 && addr_is_link_local(&a)))
            continue;
        a.port = s->local.port;
        add_candidate(o, a, CANDIDATE_HOST);
    }
    if (e->rv.ever_registered)
        add_candidate(o, e->rv.observed, CANDIDATE_OBSERVED);
    if (e->outside.observed.family != ADDR_NONE)
        add_candidate(o, e->outside.observed, CANDIDATE_OBSERVED);
    o->mapping = e->nat.mapping;
    o->filtering = e->nat.filtering;
    o->ports = e->nat.ports;
}

static bool is_same_nat(const struct frame_offer *a, const struct frame_offer *b)
{
    return a->mapping == b->mapping && a->filtering == b->filtering && a->ports == b->ports;
}

static bool says_the_same(const struct frame_offer *a, const struct frame_offer *b)
{
    if (a->name_size != b->name_size || memcmp(a->name, b->name, a->name_size) != 0 ||
        a->candidate_count != b->candidate_count)
        return false;
    for (unsigned i = 0; i < a->candidate_count; i++)
        if (!addr_equal(&a->candidates[i].address, &b->candidates[i].address) ||
            a->candidates[i].kind != b->candidates[i].kind)
            return false;
    return true;
}

void checks_own_offer(struct engine *e)
{
    struct frame_offer o = {.generation = e->offer.generation, .no_relay = e->config.relay == RELAY_NEVER};
    memcpy(o.name, e->config.name, e->config.name_size);
    o.name_size = e->config.name_size;
    if (probes_allowed(e))
        add_own_candidates(e, &o);
    bool only_nat = e->offer.generation > 0 && says_the_same(&o, &e->offer);
    if (only_nat && is_same_nat(&o, &e->offer))
        return;
    o.generation++;
    e->offer = o;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *p = &e->peers[i];
        if (p->state == PEER_RUN || (p->state == PEER_LIVE && !(only_nat && p->chosen > PATH_RELAYED)))
            p->due |= CARRIED_OFFER; /* who has a direct path need not hear of the NAT */
    }
}

/* ---- the peer's candidates ---- */

static bool in_own_subnet(const struct engine *e, const struct addr *a)
{
    for (size_t i = 0; i < e->interface_count; i++) {
        const struct addr *own = &e->interfaces[i];
        if (own->family != a->family)
            continue;
        unsigned bits = e->prefixes[i], k = 0;
        while (bits >= 8 && own->ip[k] == a->ip[k]) {
            bits -= 8;
            k++;
        }
        if (bits < 8 && (bits == 0 || (own->ip[k] ^ a->ip[k]) >> (8 - bits) == 0))
            return true;
    }
    return false;
}

static bool is_own_address(const struct engine *e, const struct addr *a)
{
    const struct engine_socket *s = socket_for(e, a->family);
    if (s->local.port != a->port)
        return false;
    for (size_t i = 0; i < e->interface_count; i++)
        if (addr_ip_equal(&e->interfaces[i], a))
            return true;
    return false;
}

static bool same_nat(const struct engine *e, const struct frame_offer *o)
{
    for (unsigned i = 0; i < o->candidate_count; i++)
        if (o->candidates[i].kind == CANDIDATE_OBSERVED && addr_ip_equal(&o->candidates[i].address, &e->rv.observed))
            return true;
    return false;
}

static bool candidate_is_allowed(const struct engine *e, const struct frame_offer *o, const struct addr *a)
{
    if (!addr_is_sendable(a) || is_own_address(e, a) || !socket_for(e, a->family)->open)
        return false;
    if (rendezvous_from_server(e, a))
        return false; /* nobody may point us at the server */
    if (addr_is_loopback(a))
        return e->rv.addr_count > 0 && addr_is_loopback(rendezvous_addr(e));
    if (addr_is_link_local(a) && a->family == ADDR_V6)
        return false; /* needs a scope */
    if (addr_is_private(a) || addr_is_link_local(a))
        return in_own_subnet(e, a) || same_nat(e, o);
    return true;
}

static bool have_local_address(const struct engine *e, uint8_t family)
{
    for (size_t i = 0; i < e->interface_count; i++)
        if (e->interfaces[i].family == family && addr_is_local(&e->interfaces[i]))
            return true;
    return false;
}

static int find_path(const struct peer *p, uint16_t socket, const struct addr *a)
{
    for (int i = 1; i < PATHS_MAX; i++)
        if (p->paths[i].state != PATH_UNUSED && p->paths[i].socket == socket && addr_equal(&p->paths[i].remote, a))
            return i;
    return -1;
}

/* A slot for a new address: an unused one, else the one that is least of use.
 */
static int path_slot(const struct peer *p)
{
    int best = -1;
    for (int i = 1; i < PATHS_MAX; i++) {
        const struct path *q = &p->paths[i];
        if (q->state == PATH_UNUSED)
            return i;
        if (q->state == PATH_WORKING || i == p->chosen || q->listed)
            continue;
        if (best < 0 || q->state < p->paths[best].state)
            best = i;
    }
    return best;
}

/* Each new address costs its owner up to PROBE_TRIES_MAX packets of ours, so a
 * member who names one after the other would use us against them: PATHS_BURST
 * at once, then one a second. */
static bool may_add_path(struct peer *p, vtime_us now)
{
    vtime_us at = p->paths_at > now ? p->paths_at : now;
    if (at - now >= PATHS_BURST * PATH_GAP_US)
        return false;
    p->paths_at = at + PATH_GAP_US;
    return true;
}

/* Both start when the other's first packet opens. Who is nearer to the server is the later one, by half of what the
 * round trips differ: until then the other's packets must not reach its NAT. That might take them for strangers' and
 * give the port away (DESIGN s6). */
static vtime_us skew(const struct engine *e, const struct peer *p)
{
    if (e->rv.rtt_us < p->offer.server_rtt_us + 2 * SKEW_MIN_US || p->offer.server_rtt_us == 0)
        return 0;
    return vtime_min((e->rv.rtt_us - p->offer.server_rtt_us) / 2, SKEW_MAX_US);
}

static int add_path(struct engine *e, vtime_us now, struct peer *p, uint16_t socket, const struct addr *a, bool listed)
{
    int i = path_slot(p);
    if (i < 0 || !may_add_path(p, now))
        return -1;
    e->pool_stale = e->pool_stale || p->paths[i].socket > ENGINE_SOCKET_V6;
    p->paths[i] = (struct path){.socket = socket, .remote = *a, .listed = listed};
    p->paths[i].lan = addr_is_local(a) && have_local_address(e, a->family);
    path_probe(&p->paths[i], now);
    if (listed && !p->paths[i].lan && p->attempt == 0)
        p->paths[i].full_at = now + skew(e, p);
    return i;
}

void checks_offer(struct engine *e, vtime_us now, struct peer *p)
{
    const struct frame_offer *o = &p->offer;
    if (p->chosen == PATH_RELAYED && o->no_relay)
        checks_choose(e, now, p, "the other wants no relay; waiting for a direct path");
    for (int i = 1; i < PATHS_MAX; i++)
        p->paths[i].listed = false;
    bool any = false;
    for (unsigned i = 0; probes_allowed(e) && i < o->candidate_count; i++) {
        const struct addr *a = &o->candidates[i].address;
        uint16_t socket = a->family == ADDR_V6 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4;
        if (!candidate_is_allowed(e, o, a))
            continue;
        any = true;
        int k = find_path(p, socket, a);
        if (k < 0)
            k = add_path(e, now, p, socket, a, true);
        else if (p->paths[k].state == PATH_RESTING)
            path_probe(&p->paths[k], now);
        if (k >= 0)
            p->paths[k].listed = true;
    }
    vtime_us both = (vtime_us)e->rv.rtt_us + o->server_rtt_us;
    if (any && p->chosen <= PATH_RELAYED)
        p->hold_until = now + vtime_min(skew(e, p) + both + both / 4 + VTIME_MS(50), HOLD_MAX_US);
}

int checks_path(struct engine *e, vtime_us now, struct peer *p, uint16_t socket, const struct addr *from)
{
    int i = find_path(p, socket, from);
    if (i >= 0 || !probes_allowed(e))
        return i;
    return add_path(e, now, p, socket, from, false);
}

void checks_init(struct engine *e, struct peer *p, vtime_us now)
{
    struct path *relay = &p->paths[PATH_RELAYED];
    *relay = (struct path){.state = PATH_WORKING, .answered_at = now};
    relay->ask_at = now + KEEPALIVE_MIN_US + rng_below(&e->rng, (uint32_t)KEEPALIVE_JITTER_US);
    p->chosen = relay_is_refused(e, p) ? -1 : PATH_RELAYED;
    p->repunch_at = now + REPUNCH_FIRST_US;
    p->attempt_at = now; /* whose turn the first try is has so long from now */
}

/* ---- choosing ---- */

static bool only_port_differs(const struct path *a, const struct path *b)
{
    return a->remote.family != ADDR_NONE && a->socket == b->socket && addr_ip_equal(&a->remote, &b->remote);
}

static int best_path(const struct engine *e, const struct peer *p)
{
    int best = p->chosen >= 0 && p->paths[p->chosen].state == PATH_WORKING ? p->chosen : -1;
    if (best == PATH_RELAYED && relay_is_refused(e, p))
        best = -1;
    for (int i = 0; i < PATHS_MAX; i++) {
        const struct path *q = &p->paths[i];
        if (q->state != PATH_WORKING || i == best || (i == PATH_RELAYED && relay_is_refused(e, p)))
            continue;
        if (best < 0 || path_better(q, &p->paths[best]))
            best = i;
        else if (only_port_differs(q, &p->paths[best]) && q->newest > p->paths[best].newest &&
                 q->answered_at > p->paths[best].answered_at)
            best = i; /* the peer's NAT has given it another port: follow its newest
                         packets */
    }
    return best;
}

/* "you: ...; ann: ...; " as far as both NATs are known, and what came of it. */
static void compose_reason(const struct engine *e, struct peer *p, const char *outcome)
{
    char own[64], theirs[64];
    const struct nat_class other = {
        .mapping = p->offer.mapping, .filtering = p->offer.filtering, .ports = p->offer.ports};
    if (e->nat.mapping == NAT_UNKNOWN || other.mapping == NAT_UNKNOWN) {
        snprintf(p->path_reason, sizeof p->path_reason, "%s", outcome);
        return;
    }
    nat_describe(&e->nat, own, sizeof own);
    nat_describe(&other, theirs, sizeof theirs);
    snprintf(p->path_reason, sizeof p->path_reason, "you: %s; %s: %s; %s", own, p->name,
             strcmp(own, theirs) == 0 ? "same" : theirs, outcome);
}

void checks_tell(struct engine *e, struct peer *p, const char *outcome)
{
    compose_reason(e, p, outcome);
    if (!p->told)
        return; /* session.c tells it right after EVENT_PEER */
    struct queued_event *q = events_add(e, EVENT_PATH);
    q->event.peer = p->number;
    q->event.path = p->chosen < 0 ? PATH_NONE : path_kind(&p->paths[p->chosen]);
    if (p->chosen >= 0) {
        const struct path *c = &p->paths[p->chosen];
        q->event.addr = p->chosen == PATH_RELAYED ? *rendezvous_addr(e) : c->remote;
        if (c->rtt_us > 0)
            q->event.rtt_us = (uint32_t)c->rtt_us;
    }
    snprintf(q->text, sizeof q->text, "%s", p->path_reason);
    snprintf(q->name, sizeof q->name, "%s", p->name);
}

void checks_choose(struct engine *e, vtime_us now, struct peer *p, const char *reason)
{
    int best = best_path(e, p);
    if (best == p->chosen)
        return;
    bool keep =
        p->chosen > PATH_RELAYED && best > PATH_RELAYED && only_port_differs(&p->paths[best], &p->paths[p->chosen]);
    bool direct_before = p->chosen > PATH_RELAYED;
    p->chosen = best;
    recovery_path_changed(&p->recovery, now, keep);
    if (best > PATH_RELAYED) {
        p->repunch_tries = 0;
        p->hold_until = 0;
        hard_met(e, p);
        classify_met(e, now);
    } else {
        if (direct_before)
            p->attempt_at = now;
        if (p->offer_sent != e->offer.generation)
            p->due |= CARRIED_OFFER;
        p->repunch_at = now + (direct_before ? VTIME_MS(500) : REPUNCH_FIRST_US);
        session_want_link(p, now);
    }
    checks_tell(e, p, reason);
}

void checks_punch(struct engine *e, vtime_us now, struct peer *p, int path, const struct frame_punch *f)
{
    struct path *q = &p->paths[path];
    if (f->challenge != 0)
        q->answer = f->challenge;
    if (f->answer != 0 && path_answered(q, &e->rng, now, f->answer)) {
        checks_choose(e, now, p, hard_way(e, p, q));
    } else if (f->answer != 0 && hard_answers(e, p, q, f->answer)) {
        path_works(q, now);
        checks_choose(e, now, p, hard_way(e, p, q));
    }
    if (f->challenge != 0 && q->state == PATH_RESTING)
        path_probe(q, now);
}

/* ---- timers ---- */

/* When the next question over this path is due if there is no answer to this
 * one. */
static vtime_us gap(const struct engine *e, const struct peer *p, const struct path *q)
{
    if (q->state == PATH_WORKING) {
        vtime_us base = q->rtt_us > 0 ? 2 * q->rtt_us + VTIME_MS(50) : VTIME_S(1);
        return vtime_min(base << (q->tries < 4 ? q->tries : 4), VTIME_S(4));
    }
    vtime_us us = (vtime_us)e->rv.rtt_us + p->offer.server_rtt_us;
    us += us / 4;
    us = us < PROBE_GAP_MIN_US ? PROBE_GAP_MIN_US : us;
    us += us / 2 * q->tries;
    return vtime_min(us, PROBE_GAP_MAX_US);
}

/* Whether path i is to be asked: one that works only while it is what we use.
 */
static bool is_asked(const struct peer *p, int i)
{
    const struct path *q = &p->paths[i];
    if (q->state == PATH_PROBING)
        return true;
    return q->state == PATH_WORKING && i == p->chosen && p->state == PEER_LIVE;
}

/* Who has never answered may be anybody: a member who names somebody else's
 * addresses, however often, costs their owner QUESTIONS_BURST datagrams of
 * ours, and one in QUESTION_GAP_US from then on. */
static vtime_us question_at(const struct peer *p, const struct path *q)
{
    const vtime_us burst = (QUESTIONS_BURST - 1) * QUESTION_GAP_US;
    const vtime_us turn = p->questions_at > burst ? p->questions_at - burst : 0;
    return q->answered_at == 0 && turn > q->ask_at ? turn : q->ask_at;
}

uint64_t checks_question(struct engine *e, vtime_us now, struct peer *p, int i)
{
    struct path *q = &p->paths[i];
    if ((q->state != PATH_PROBING && q->state != PATH_WORKING) || now < question_at(p, q))
        return 0;
    if (q->answered_at == 0)
        p->questions_at = (p->questions_at > now ? p->questions_at : now) + QUESTION_GAP_US;
    return path_ask(q, &e->rng, now, gap(e, p, q));
}

/* The next path over which a Punch must go now: an answer before a question,
 * and of those who have to wait for their turn who was asked longest ago. */
bool checks_pending(const struct engine *e, const struct peer *p, vtime_us now, int *ret_path)
{
    int next = -1;
    if (p->state != PEER_LIVE || p->offer.generation == 0)
        return false;
    for (int i = 0; i < PATHS_MAX; i++) {
        const struct path *q = &p->paths[i];
        if (q->state == PATH_UNUSED || (i == PATH_RELAYED && !relay_is_ready(e, p, now)))
            continue;
        if (q->answer != 0) {
            *ret_path = i;
            return true;
        }
        if (is_asked(p, i) && now >= question_at(p, q) && (next < 0 || q->asked_at < p->paths[next].asked_at))
            next = i;
    }
    if (next >= 0)
        *ret_path = next;
    return next >= 0;
}

static bool direct_works(const struct peer *p)
{
    return p->chosen > PATH_RELAYED;
}

/* A path that does not answer may do so by now. With a direct one in use only the LAN is worth it, if it has been there
 * before: it was lost, and the way by the outside of the common NAT came back first. */
static bool may_be_better(const struct peer *p, const struct path *q)
{
    return q->state == PATH_RESTING &&
           (!direct_works(p) || (q->answered_at != 0 && path_kind(q) > path_kind(&p->paths[p->chosen])));
}

static bool wants_better(const struct peer *p)
{
    bool wants = !direct_works(p);
    for (int i = 1; i < PATHS_MAX; i++)
        wants = wants || may_be_better(p, &p->paths[i]);
    return wants;
}

static void repunch(struct engine *e, vtime_us now, struct peer *p)
{
    if (now < p->repunch_at || !probes_allowed(e) || !wants_better(p))
        return;
    vtime_us pause = REPUNCH_FIRST_US << (p->repunch_tries < 4 ? p->repunch_tries : 4);
    p->repunch_at = now + vtime_min(pause, REPUNCH_MAX_US);
    if (p->repunch_tries < 255)
        p->repunch_tries++;
    for (int i = 1; i < PATHS_MAX; i++)
        if (may_be_better(p, &p->paths[i]))
            path_probe(&p->paths[i], now);
}

/* What took the path in use may have taken others, which nobody has asked since they were found. */
static void doubt_the_others(struct peer *p, vtime_us now)
{
    for (int i = 1; i < PATHS_MAX; i++) {
        struct path *q = &p->paths[i];
        if (q->state == PATH_WORKING && now > q->answered_at + FRESH_US)
            path_probe(q, now);
    }
}

void checks_timers(struct engine *e, vtime_us now, struct peer *p)
{
    if (p->state != PEER_LIVE)
        return;
    vtime_us pto = recovery_pto(&p->recovery);
    bool lost = false;
    for (int i = 1; i < PATHS_MAX; i++) {
        struct path *q = &p->paths[i];
        lost = path_expire(q, now, pto, i == p->chosen) || lost;
        if (q->state == PATH_RESTING && q->socket > ENGINE_SOCKET_V6) { /* its socket is no use any more */
            *q = (struct path){0};
            e->pool_stale = true;
        }
    }
    if (lost) {
        doubt_the_others(p, now);
        rendezvous_soon(e, now); /* our NAT may have given us another address: the
                                    server sees it */
        checks_choose(e, now, p, "the direct path stopped answering");
    }
    repunch(e, now, p);
}

vtime_us checks_deadline(const struct engine *e, const struct peer *p)
{
    if (p->state != PEER_LIVE || p->offer.generation == 0)
        return VTIME_NEVER;
    vtime_us at = probes_allowed(e) && wants_better(p) ? p->repunch_at : VTIME_NEVER;
    for (int i = 0; i < PATHS_MAX; i++) {
        const struct path *q = &p->paths[i];
        if (is_asked(p, i) && (i != PATH_RELAYED || relay_is_ready(e, p, e->now)))
            at = vtime_min(at, question_at(p, q));
        if (i > 0 && q->state == PATH_WORKING)
            at = vtime_min(at, q->answered_at + CONSENT_US);
    }
    return at;
}
