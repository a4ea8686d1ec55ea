/* What kind of NAT are we behind? Asked of the server's two ports, and of its two addresses if it has them
 * (docs/protocol.md s7), as RFC 5780 does:
 *
 *   mapping     the main socket asks the other port and the other address: does each see the same?
 *   filtering   a throw-away socket asks the first port alone, to be answered from elsewhere as well. It must be one of
 *               its own: what the main socket sends opens the filter, and where a router lets strangers' packets into
 *               itself such an answer takes the port away (DESIGN s6).
 *   ports       this socket and three more ask the first port at the same moment: which ports do they get?
 *
 * Runs when nothing else is at hand: what it sends is not part of what two need to meet. But who meets somebody and
 * gets no direct path asks as soon as that is clear. */
#include "peer/internal.h"

#define READY_US    VTIME_MS(50) /* and 1.5 round trips after registering: by then the echo has brought introductions */
#define RUN_WAIT_US VTIME_S(3)   /* a run that has not confirmed by then is somebody else's */
#define MET_US      VTIME_S(1)   /* after a direct path was found: the other end still has to find it */
#define MARGIN_US   VTIME_MS(50) /* what a direct path may come later than it should, which has a margin itself */
#define LATEST_US   VTIME_S(10)  /* then it runs whatever goes on */
#define AGAIN_US    VTIME_MS(100) /* and 1.5 round trips: what is unanswered then is asked again, */
enum { ROUNDS = 3 };              /* so often in all. */
#define FAILED_US VTIME_S(10)     /* The whole once more, if not even the mapping is known then, with doubling pauses */
enum { FAILURES_MAX = 5 };

static bool is_asking(const struct classify *c)
{
    return c->stage == CLASSIFY_ASKING;
}

void classify_met(struct engine *e, vtime_us now)
{
    e->classify.busy_until = now + MET_US;
}

/* There is no NAT worth the name in v6, so v4 is looked at whenever the server has it. */
const struct addr *classify_base(const struct engine *e)
{
    for (size_t i = 0; i < e->rv.addr_count; i++)
        if (e->rv.addrs[i].family == ADDR_V4)
            return rendezvous_addr(e)->family == ADDR_V4 ? rendezvous_addr(e) : &e->rv.addrs[i];
    return e->rv.addr_count > 0 ? rendezvous_addr(e) : NULL;
}

static const struct engine_socket *main_socket(const struct engine *e)
{
    return &e->sockets[classify_base(e)->family == ADDR_V6 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4];
}

const struct addr *classify_observed(const struct engine *e)
{
    const struct addr *base = classify_base(e);
    if (base == NULL || !e->rv.ever_registered)
        return NULL;
    if (e->rv.observed.family == base->family)
        return &e->rv.observed;
    return e->outside.observed.family == base->family ? &e->outside.observed : NULL;
}

static bool is_wanted(const struct engine *e)
{
    return e->classify.stage != CLASSIFY_DONE && e->rv.registered && e->rv.echoed && e->config.relay != RELAY_ONLY &&
           e->phase == PHASE_RUNNING && classify_observed(e) != NULL && main_socket(e)->open;
}

static bool is_ours(const struct engine *e, const struct addr *a)
{
    if (a->port != main_socket(e)->local.port)
        return false;
    bool ours = addr_is_loopback(a);
    for (size_t i = 0; i < e->interface_count; i++)
        ours = ours || addr_ip_equal(&e->interfaces[i], a);
    return ours;
}

/* ---- when ---- */

/* Who may just be meeting somebody waits: the first packets decide, and each of these would come on top. */
static vtime_us quiet_at(const struct engine *e)
{
    vtime_us at = e->classify.ready_at > e->classify.busy_until ? e->classify.ready_at : e->classify.busy_until;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        const struct peer *p = &e->peers[i];
        vtime_us busy_until = 0;
        if (p->state == PEER_RUN)
            busy_until = p->since + RUN_WAIT_US;
        else if (p->state == PEER_LIVE && p->chosen <= PATH_RELAYED)
            busy_until = p->hold_until + MARGIN_US;
        at = busy_until > at ? busy_until : at;
    }
    return vtime_min(at, e->classify.ready_at + LATEST_US);
}

/* Somebody has been met whose ports are no use without ours. (Where questions get lost, once: then the pauses hold.) */
static bool has_met_a_hard_one(const struct engine *e)
{
    if (e->classify.failures > 0)
        return false;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        const struct peer *p = &e->peers[i];
        const struct nat_class theirs = {.mapping = p->offer.mapping, .ports = p->offer.ports};
        if (p->state == PEER_LIVE && p->chosen <= PATH_RELAYED && nat_foresight(&theirs) != FORESIGHT_EXACT)
            return true;
    }
    return false;
}

static vtime_us ready_at(const struct engine *e, vtime_us now)
{
    return now + e->rv.rtt_us * 3 / 2 + READY_US;
}

void classify_registered(struct engine *e, vtime_us now, const struct frame_registered *f, bool moved)
{
    struct classify *c = &e->classify;
    bool same = addr_equal(&c->alternate, &f->alternate);
    if (c->stage == CLASSIFY_WAITING && c->ready_at == 0)
        c->ready_at = ready_at(e, now);
    c->alternate = f->alternate;
    if ((same && !moved) || c->stage == CLASSIFY_WAITING)
        return;
    classify_forget(e);
    c->ready_at = ready_at(e, now);
}

void classify_forget(struct engine *e)
{
    struct classify *c = &e->classify;
    for (unsigned i = 0; i < CLASSIFY_QUESTIONS; i++)
        pool_give(e, c->questions[i].socket);
    *c = (struct classify){.alternate = c->alternate, .busy_until = c->busy_until};
}

/* ---- questions ---- */

static void ask(struct engine *e, enum classify_what what, uint16_t socket, struct addr to, uint8_t from)
{
    e->classify.questions[what] =
        (struct question){.wanted = true, .socket = socket, .to = to, .from = from, .token = rng_token(&e->rng)};
}

static struct addr other_port(const struct engine *e)
{
    struct addr a = *classify_base(e);
    a.port = e->classify.alternate.port;
    return a;
}

/* ADDR_NONE: it has none, or of the other family, or it lies: what it names must be as near as itself. */
static struct addr other_address(const struct engine *e)
{
    const struct addr *a = &e->classify.alternate, *base = classify_base(e);
    bool usable = a->family == base->family && !addr_ip_equal(a, base) && addr_is_sendable(a) &&
                  (addr_is_local(base) || !addr_is_local(a));
    return usable ? *a : (struct addr){0};
}

static void begin(struct engine *e)
{
    struct classify *c = &e->classify;
    const struct addr base = *classify_base(e), other = other_address(e);
    const uint16_t main = base.family == ADDR_V6 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4;
    c->stage = CLASSIFY_ASKING;
    c->round = 0;
    c->again_at = 0;
    if (c->alternate.port != 0)
        ask(e, CLASSIFY_OTHER_PORT, main, other_port(e), PROBE_FROM_SAME);
    if (c->alternate.port != 0 && other.family != ADDR_NONE)
        ask(e, CLASSIFY_OTHER_ADDRESS, main, other, PROBE_FROM_SAME);
    for (int i = CLASSIFY_FRESH_FIRST; i <= CLASSIFY_FRESH_LAST; i++) {
        uint16_t socket = pool_take(e, base.family, SOCKET_QUESTION);
        if (socket != 0)
            ask(e, (enum classify_what)i, socket, base, PROBE_FROM_SAME);
    }
    uint16_t throw_away = c->questions[CLASSIFY_FRESH_FIRST].socket;
    if (throw_away == 0 || c->alternate.port == 0)
        return;
    ask(e, CLASSIFY_FILTER_PORT, throw_away, base, PROBE_FROM_OTHER_PORT);
    if (other.family != ADDR_NONE)
        ask(e, CLASSIFY_FILTER_ADDRESS, throw_away, base, PROBE_FROM_OTHER_ADDRESS);
}

static bool is_answered(const struct classify *c, int first, int last)
{
    for (int i = first; i <= last; i++)
        if (c->questions[i].wanted && !c->questions[i].answered)
            return false;
    return true;
}

/* ---- answers ---- */

static uint8_t mapping_of(const struct engine *e)
{
    const struct question *port = &e->classify.questions[CLASSIFY_OTHER_PORT];
    const struct question *address = &e->classify.questions[CLASSIFY_OTHER_ADDRESS];
    const struct addr *observed = classify_observed(e);
    if (is_ours(e, observed))
        return NAT_NONE;
    if (!port->answered)
        return NAT_UNKNOWN;
    if (!addr_equal(&port->observed, observed))
        return NAT_ADDRESS_AND_PORT_DEPENDENT;
    if (!address->answered)
        return NAT_PORT_INDEPENDENT;
    return addr_equal(&address->observed, observed) ? NAT_ENDPOINT_INDEPENDENT : NAT_ADDRESS_DEPENDENT;
}

/* What has not come in the end was filtered, if that socket can be answered at all. */
static uint8_t filtering_of(const struct engine *e)
{
    const struct question *q = e->classify.questions;
    const bool both = q[CLASSIFY_FILTER_ADDRESS].wanted;
    if (!q[CLASSIFY_FILTER_PORT].wanted || !q[CLASSIFY_FRESH_FIRST].answered)
        return NAT_UNKNOWN;
    if (q[CLASSIFY_FILTER_ADDRESS].answered)
        return e->nat.mapping == NAT_NONE ? NAT_NONE : NAT_ENDPOINT_INDEPENDENT;
    if (!q[CLASSIFY_FILTER_PORT].answered)
        return NAT_ADDRESS_AND_PORT_DEPENDENT;
    if (both)
        return NAT_ADDRESS_DEPENDENT;
    return addr_is_loopback(classify_base(e)) ? NAT_NONE : NAT_PORT_INDEPENDENT;
}

static uint8_t ports_of(struct engine *e)
{
    enum { FRESH = CLASSIFY_FRESH_LAST - CLASSIFY_FRESH_FIRST + 1 };
    uint16_t own[FRESH], seen[FRESH];
    size_t count = 0;
    for (int i = CLASSIFY_FRESH_FIRST; i <= CLASSIFY_FRESH_LAST; i++) {
        const struct question *q = &e->classify.questions[i];
        if (!q->answered)
            continue;
        if (nat_foresight(&e->nat) != FORESIGHT_EXACT && !addr_ip_equal(&q->observed, classify_observed(e)))
            return NAT_PORTS_RANDOM; /* a pool of addresses: which one comes next is as open as the port */
        own[count] = e->sockets[q->socket].local.port;
        seen[count++] = q->observed.port;
    }
    e->nat.step = 0;
    return nat_ports_of(own, seen, count, &e->nat.step);
}

/* Peers that we have a direct path to need not hear of it. */
static void publish(struct engine *e)
{
    e->nat.mapping = mapping_of(e);
    e->nat.ports = ports_of(e);
    checks_own_offer(e);
}

static void conclude(struct engine *e)
{
    publish(e);
    e->nat.filtering = filtering_of(e);
    struct queued_event *q = events_add(e, EVENT_NAT);
    q->event.mapping = e->nat.mapping;
    q->event.filtering = e->nat.filtering;
    q->event.ports = e->nat.ports;
    bool incomplete = e->nat.mapping == NAT_UNKNOWN && e->classify.alternate.port != 0;
    unsigned failures = e->classify.failures;
    classify_forget(e);
    if (incomplete && failures < FAILURES_MAX) {
        e->classify.failures = failures + 1;
        e->classify.ready_at = e->now + (FAILED_US << failures);
    } else {
        e->classify.stage = CLASSIFY_DONE;
    }
    checks_own_offer(e);
}

bool classify_probed(struct engine *e, const struct addr *from, const struct frame_probed *f)
{
    struct classify *c = &e->classify;
    for (int i = 0; is_asking(c) && is_wanted(e) && i < CLASSIFY_QUESTIONS; i++) {
        struct question *q = &c->questions[i];
        struct addr expected = q->from == PROBE_FROM_SAME         ? q->to
                               : q->from == PROBE_FROM_OTHER_PORT ? other_port(e)
                                                                  : other_address(e);
        if (!q->wanted || q->token != f->token || !addr_equal(from, &expected))
            continue;
        q->observed = addr_mask(&f->observed, f->token);
        q->answered = true;
        if (c->stage == CLASSIFY_ASKING && is_answered(c, CLASSIFY_OTHER_PORT, CLASSIFY_FRESH_LAST))
            publish(e);
        return true;
    }
    return false;
}

/* ---- poll ---- */

static bool next_question(struct engine *e, struct engine_out *ret)
{
    struct classify *c = &e->classify;
    while (c->next < CLASSIFY_QUESTIONS) {
        const struct question *q = &c->questions[c->next++];
        if (!q->wanted || q->answered || !pool_is_open(e, q->socket))
            continue;
        const struct frame f = {.kind = FRAME_PROBE, .probe = {.token = q->token, .from = q->from}};
        return engine_out_datagram(e, ret, q->socket, &q->to, codec_encode(&f, e->datagram, sizeof e->datagram));
    }
    return false;
}

static void next_round(struct engine *e, vtime_us now)
{
    struct classify *c = &e->classify;
    c->next = 0;
    c->round++;
    c->again_at = now + e->rv.rtt_us + e->rv.rtt_us / 2 + AGAIN_US;
}

bool classify_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct classify *c = &e->classify;
    if (!is_wanted(e))
        return false;
    if (c->stage == CLASSIFY_WAITING && (now >= quiet_at(e) || has_met_a_hard_one(e)))
        begin(e);
    if (!is_asking(c))
        return false;
    if (pool_poll(e, ret)) /* all fresh sockets ask in the same moment */
        return true;
    if (c->round == 0)
        next_round(e, now);
    if (next_question(e, ret))
        return true;
    if (is_answered(c, 0, CLASSIFY_QUESTIONS - 1)) {
        conclude(e);
        return false;
    }
    if (now < c->again_at)
        return false;
    if (c->round < ROUNDS)
        next_round(e, now);
    else
        conclude(e);
    return classify_poll(e, now, ret);
}

vtime_us classify_deadline(const struct engine *e)
{
    if (!is_wanted(e))
        return VTIME_NEVER;
    if (is_asking(&e->classify))
        return e->classify.again_at;
    return has_met_a_hard_one(e) ? e->now : quiet_at(e);
}
