#include "natbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, NIL = -1 };
enum { PORT_FIRST = 1024, PORT_LAST = 65535 };
#define TIMEOUT_US      VTIME_S(120)
#define STREAM_AFTER_US VTIME_S(2) /* nf_conntrack_udp: a question and its answer are no stream */

/* A place outside is one of our addresses and a port there, as one number. */
static uint32_t place_of(unsigned address, uint16_t port)
{
    return (uint32_t)address << 16 | port;
}

/* The ways in which flows are looked for; each has a chain of its own through every flow. */
enum index_kind {
    BY_FLOW,   /* inside, remote: the packet of a known flow from inside */
    BY_KEY,    /* inside, remote as far as the mapping type looks: a flow that shares the mapping */
    BY_PLACE,  /* place: who has it */
    BY_REPLY,  /* place, remote: the packet of a known flow from outside */
    BY_INSIDE, /* inside, the newest first */
    INDEXES,
};

struct flow {
    struct addr inside, remote;
    uint32_t place; /* outside; with mapping NONE the port of `inside` */
    bool replied;
    bool own;           /* of the box itself: made by a stranger's packet, see open_input */
    vtime_us stream_at; /* from then on it may be one */
    vtime_us expires;
    int32_t next[INDEXES];
};

struct natbox {
    struct natbox_config config;
    struct addr outside[NATBOX_OUTSIDE_MAX];
    unsigned outside_count;
    struct dice dice;
    uint16_t counter;    /* the last port that it gave */
    vtime_us foreign_at; /* somebody else takes the next one */
    uint16_t port_shift; /* added to a preserved port after a rebind */
    struct flow *flows;
    int32_t count, cap, free;
    int32_t live; /* in use, expired ones that nobody met yet included */
    int32_t heads[INDEXES][BUCKETS];
};

const struct natbox_config natbox_cone = {.mapping = NATBOX_EI, .filtering = NATBOX_EI, .hairpin = true};
const struct natbox_config natbox_restricted = {.mapping = NATBOX_EI, .filtering = NATBOX_AD};
const struct natbox_config natbox_port_restricted = {.mapping = NATBOX_EI, .filtering = NATBOX_APD};
const struct natbox_config natbox_sequential = {
    .mapping = NATBOX_APD, .filtering = NATBOX_APD, .ports = NATBOX_SEQUENTIAL, .step = 1};
const struct natbox_config natbox_random = {.mapping = NATBOX_APD, .filtering = NATBOX_APD, .ports = NATBOX_RANDOM};
/* nf_conntrack_udp_timeout and _stream */
#define LINUX_NAT                                                                                                      \
    .mapping = NATBOX_APD, .filtering = NATBOX_APD, .ports = NATBOX_PRESERVE, .overload = true,                        \
    .timeout_us = VTIME_S(30), .timeout_stream_us = VTIME_S(120)
const struct natbox_config natbox_masquerade = {LINUX_NAT};
const struct natbox_config natbox_masquerade_open = {LINUX_NAT, .open_input = true};
const struct natbox_config natbox_firewall = {.mapping = NATBOX_NONE, .filtering = NATBOX_APD};

static struct addr masked(const struct addr *a, enum natbox_kind kind)
{
    struct addr m = *a;
    if (kind == NATBOX_NONE || kind == NATBOX_EI)
        memset(&m, 0, sizeof m);
    else if (kind == NATBOX_AD)
        m.port = 0;
    return m;
}

#define HASH_BASIS 2166136261U /* FNV-1a */

static uint32_t hash_addr(uint32_t h, const struct addr *a)
{
    h = (h ^ a->port) * 16777619U;
    for (size_t i = 0; i < sizeof a->ip; i++)
        h = (h ^ a->ip[i]) * 16777619U;
    return h;
}

static uint32_t hash_ip(const struct addr *a)
{
    struct addr ip = *a;
    ip.port = 0;
    uint32_t h = hash_addr(HASH_BASIS, &ip);
    return h ^ h >> 15;
}

static uint32_t bucket_of(const struct natbox *n, enum index_kind kind, const struct addr *inside,
                          const struct addr *remote, uint32_t place)
{
    uint32_t h = HASH_BASIS;
    struct addr key = masked(remote, n->config.mapping);
    switch (kind) {
    case BY_FLOW:
        h = hash_addr(hash_addr(h, inside), remote);
        break;
    case BY_KEY:
        h = hash_addr(hash_addr(h, inside), &key);
        break;
    case BY_PLACE:
        h = (h ^ place) * 16777619U;
        break;
    case BY_INSIDE:
        h = hash_addr(h, inside);
        break;
    case BY_REPLY:
    default:
        h = hash_addr((h ^ place) * 16777619U, remote);
        break;
    }
    return (h ^ (h >> 15)) % BUCKETS;
}

static uint32_t bucket_of_flow(const struct natbox *n, enum index_kind kind, const struct flow *f)
{
    return bucket_of(n, kind, &f->inside, &f->remote, f->place);
}

static void flow_remove(struct natbox *n, int32_t at)
{
    struct flow *f = &n->flows[at];
    for (int kind = 0; kind < INDEXES; kind++) {
        int32_t *link = &n->heads[kind][bucket_of_flow(n, (enum index_kind)kind, f)];
        while (*link != at)
            link = &n->flows[*link].next[kind];
        *link = f->next[kind];
    }
    f->next[0] = n->free;
    n->free = at;
    n->live--;
}

static struct flow *flow_add(struct natbox *n, vtime_us now, const struct addr *inside, const struct addr *remote,
                             uint32_t place)
{
    if (n->free == NIL && n->count == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 32;
        n->flows = realloc(n->flows, (size_t)n->cap * sizeof *n->flows);
        assert(n->flows);
    }
    int32_t at = n->free;
    if (at != NIL)
        n->free = n->flows[at].next[0];
    else
        at = n->count++;
    struct flow *f = &n->flows[at];
    *f = (struct flow){.inside = *inside, .remote = *remote, .place = place, .stream_at = now + STREAM_AFTER_US};
    for (int kind = 0; kind < INDEXES; kind++) {
        int32_t *head = &n->heads[kind][bucket_of_flow(n, (enum index_kind)kind, f)];
        f->next[kind] = *head;
        *head = at;
    }
    n->live++;
    return f;
}

static bool flow_matches(const struct natbox *n, enum index_kind kind, const struct flow *f, const struct addr *inside,
                         const struct addr *remote, uint32_t place)
{
    struct addr a = masked(&f->remote, n->config.mapping), b;
    switch (kind) {
    case BY_FLOW:
        return addr_equal(&f->inside, inside) && addr_equal(&f->remote, remote);
    case BY_KEY:
        b = masked(remote, n->config.mapping);
        return addr_equal(&f->inside, inside) && addr_equal(&a, &b) && !f->own;
    case BY_PLACE:
        return f->place == place;
    case BY_INSIDE:
        return addr_equal(&f->inside, inside) && !f->own;
    case BY_REPLY:
    default:
        return f->place == place && addr_equal(&f->remote, remote);
    }
}

/* The first live flow that matches, from `from` (NULL: the beginning) on; expired ones that are met go. */
static struct flow *flow_find(struct natbox *n, vtime_us now, enum index_kind kind, const struct flow *after,
                              const struct addr *inside, const struct addr *remote, uint32_t place)
{
    int32_t at = after ? after->next[kind] : n->heads[kind][bucket_of(n, kind, inside, remote, place)];
    while (at != NIL) {
        struct flow *f = &n->flows[at];
        int32_t next = f->next[kind];
        if (f->expires <= now)
            flow_remove(n, at);
        else if (flow_matches(n, kind, f, inside, remote, place))
            return f;
        at = next;
    }
    return NULL;
}

static void flow_refresh(const struct natbox *n, struct flow *f, vtime_us now)
{
    vtime_us plain = n->config.timeout_us ? n->config.timeout_us : TIMEOUT_US;
    vtime_us stream = n->config.timeout_stream_us ? n->config.timeout_stream_us : plain;
    f->expires = now + (f->replied && now > f->stream_at ? stream : plain);
}

static bool is_free(struct natbox *n, vtime_us now, uint32_t place, const struct addr *remote)
{
    static const struct addr none;
    if (n->config.overload)
        return !flow_find(n, now, BY_REPLY, NULL, &none, remote, place);
    return !flow_find(n, now, BY_PLACE, NULL, &none, &none, place);
}

/* ---- ports ---- */

static uint16_t port_in_range(const struct natbox *n, int64_t offset)
{
    int64_t first = n->config.port_first ? n->config.port_first : PORT_FIRST;
    int64_t last = n->config.port_last ? n->config.port_last : PORT_LAST;
    int64_t span = last - first + 1;
    return (uint16_t)(first + ((offset - first) % span + span) % span);
}

static uint16_t port_after(const struct natbox *n, uint16_t port)
{
    return port_in_range(n, (int64_t)port + (n->config.step ? n->config.step : 1));
}

static vtime_us foreign_gap(struct natbox *n)
{
    return n->config.foreign_per_s ? dice_exponential(&n->dice, 1000000 / n->config.foreign_per_s) : VTIME_NEVER;
}

static void pass_foreign(struct natbox *n, vtime_us now)
{
    for (; n->foreign_at <= now; n->foreign_at += foreign_gap(n))
        n->counter = port_after(n, n->counter);
}

/* The port that this one was given last, for any destination; 0: none that still lives. */
static uint16_t port_of_newest(struct natbox *n, vtime_us now, const struct addr *inside)
{
    const struct flow *newest = flow_find(n, now, BY_INSIDE, NULL, inside, inside, 0);
    return newest ? (uint16_t)newest->place : 0;
}

static uint16_t port_candidate(struct natbox *n, uint16_t *last)
{
    switch (n->config.ports) {
    case NATBOX_SEQUENTIAL:
    case NATBOX_FIRST_KEPT_COMMON:
        return n->counter = port_after(n, n->counter);
    case NATBOX_FIRST_KEPT:
        return *last = port_after(n, *last);
    default:
        return port_in_range(n, (int64_t)dice_below(&n->dice, 65536));
    }
}

/* 0: every port is taken. */
static uint32_t place_choose(struct natbox *n, vtime_us now, const struct addr *inside, const struct addr *remote)
{
    unsigned address = 0;
    if (n->outside_count > 1)
        address = n->config.pooling == NATBOX_PAIRED ? hash_ip(inside) % n->outside_count
                                                     : (unsigned)dice_below(&n->dice, n->outside_count);
    uint16_t own = (uint16_t)(inside->port + n->port_shift), last = own;
    bool keep = n->config.ports == NATBOX_PRESERVE;
    if (n->config.ports == NATBOX_FIRST_KEPT || n->config.ports == NATBOX_FIRST_KEPT_COMMON) {
        uint16_t newest = port_of_newest(n, now, inside);
        keep = newest == 0;
        last = newest ? newest : own;
    }
    if (keep && own != 0 && is_free(n, now, place_of(address, own), remote))
        return place_of(address, own);
    pass_foreign(n, now);
    for (int tries = 0; tries < 65536; tries++) {
        uint32_t place = place_of(address, port_candidate(n, &last));
        if (is_free(n, now, place, remote))
            return place;
    }
    return 0;
}

struct natbox *natbox_new(const struct natbox_config *config, const struct addr *outside, struct dice dice)
{
    struct natbox *n = calloc(1, sizeof *n);
    assert(n);
    n->config = *config;
    natbox_add_outside(n, outside);
    n->dice = dice;
    n->free = NIL;
    memset(n->heads, 0xff, sizeof n->heads);
    n->counter = port_in_range(n, (int64_t)dice_below(&n->dice, 65536));
    n->foreign_at = foreign_gap(n);
    return n;
}

void natbox_add_outside(struct natbox *n, const struct addr *outside)
{
    assert(n->outside_count < NATBOX_OUTSIDE_MAX);
    n->outside[n->outside_count++] = *outside;
}

void natbox_free(struct natbox *n)
{
    if (n)
        free(n->flows);
    free(n);
}

uint32_t natbox_flows(struct natbox *n, vtime_us now)
{
    for (int bucket = 0; bucket < BUCKETS; bucket++)
        for (int32_t at = n->heads[BY_FLOW][bucket], next; at != NIL; at = next) {
            next = n->flows[at].next[BY_FLOW];
            if (n->flows[at].expires <= now)
                flow_remove(n, at);
        }
    return (uint32_t)n->live;
}

static bool is_full(struct natbox *n, vtime_us now)
{
    if (n->config.flows_max == 0 || (uint32_t)n->live < n->config.flows_max)
        return false;
    return natbox_flows(n, now) >= n->config.flows_max;
}

enum natbox_verdict natbox_outbound(struct natbox *n, vtime_us now, struct addr *src, const struct addr *dst)
{
    if (n->config.mapping == NATBOX_NONE && n->config.filtering == NATBOX_NONE)
        return NATBOX_PASS;
    struct flow *f = flow_find(n, now, BY_FLOW, NULL, src, dst, 0);
    if (!f) {
        if (is_full(n, now))
            return NATBOX_FULL;
        const struct flow *sibling = flow_find(n, now, BY_KEY, NULL, src, dst, 0);
        uint32_t place = n->config.mapping == NATBOX_NONE ? src->port
                         : sibling                        ? sibling->place
                                                          : place_choose(n, now, src, dst);
        if (place == 0)
            return NATBOX_FULL;
        f = flow_add(n, now, src, dst, place);
    }
    flow_refresh(n, f, now);
    if (n->config.mapping != NATBOX_NONE) {
        *src = n->outside[f->place >> 16];
        src->port = (uint16_t)f->place;
    }
    return NATBOX_PASS;
}

/* Is f a flow that lets a packet from src in, as far as the filtering looks? */
static bool permits(const struct natbox *n, const struct flow *f, const struct addr *src)
{
    struct addr a = masked(&f->remote, n->config.filtering), b = masked(src, n->config.filtering);
    return addr_equal(&a, &b);
}

/* 0: not ours. */
static uint32_t place_at(const struct natbox *n, const struct addr *dst)
{
    if (n->config.mapping == NATBOX_NONE)
        return dst->port;
    for (unsigned i = 0; i < n->outside_count; i++)
        if (addr_ip_equal(&n->outside[i], dst))
            return place_of(i, dst->port);
    return 0;
}

static enum natbox_verdict inbound_find(struct natbox *n, vtime_us now, const struct addr *src, const struct addr *dst,
                                        struct flow **ret)
{
    static const struct addr none;
    enum natbox_verdict verdict = NATBOX_UNMAPPED;
    enum index_kind kind = n->config.overload ? BY_REPLY : BY_PLACE;
    for (struct flow *f = NULL; (f = flow_find(n, now, kind, f, &none, src, place_at(n, dst))) != NULL;) {
        if (f->own || (n->config.mapping == NATBOX_NONE && !addr_equal(&f->inside, dst)))
            continue;
        verdict = NATBOX_FILTERED;
        if (permits(n, f, src)) {
            *ret = f;
            return NATBOX_PASS;
        }
    }
    return verdict;
}

enum natbox_verdict natbox_would_pass(struct natbox *n, vtime_us now, const struct addr *src, struct addr *dst)
{
    if (n->config.mapping == NATBOX_NONE && n->config.filtering == NATBOX_NONE)
        return NATBOX_PASS;
    struct flow *f = NULL;
    enum natbox_verdict verdict = inbound_find(n, now, src, dst, &f);
    if (verdict == NATBOX_PASS)
        *dst = f->inside;
    return verdict;
}

/* nf_conntrack confirms a flow for every packet that INPUT accepts, also one that no socket waits for.
 * Its tuple is then taken: our own flow to the same remote from the same port has to move elsewhere. */
static void poison(struct natbox *n, vtime_us now, const struct addr *src, const struct addr *dst)
{
    uint32_t place = place_at(n, dst);
    struct flow *f = flow_find(n, now, BY_REPLY, NULL, dst, src, place);
    if (!f) {
        if (is_full(n, now))
            return;
        f = flow_add(n, now, dst, src, place);
        f->own = true;
    }
    flow_refresh(n, f, now);
}

enum natbox_verdict natbox_inbound(struct natbox *n, vtime_us now, const struct addr *src, struct addr *dst)
{
    if (n->config.mapping == NATBOX_NONE && n->config.filtering == NATBOX_NONE)
        return NATBOX_PASS;
    struct flow *f = NULL;
    enum natbox_verdict verdict = inbound_find(n, now, src, dst, &f);
    if (verdict == NATBOX_UNMAPPED && n->config.open_input)
        poison(n, now, src, dst);
    if (verdict != NATBOX_PASS)
        return verdict;
    if (addr_equal(&f->remote, src))
        f->replied = true;
    if (!n->config.outbound_only)
        flow_refresh(n, f, now);
    *dst = f->inside;
    return NATBOX_PASS;
}

void natbox_forget(struct natbox *n)
{
    n->count = n->live = 0;
    n->free = NIL;
    memset(n->heads, 0xff, sizeof n->heads);
}

void natbox_rebind(struct natbox *n, const struct addr *outside)
{
    natbox_forget(n);
    n->port_shift = (uint16_t)(1 + dice_below(&n->dice, 30000));
    n->counter = port_in_range(n, (int64_t)dice_below(&n->dice, 65536));
    if (outside)
        n->outside[0] = *outside;
}

const struct natbox_config *natbox_rules(const struct natbox *n)
{
    return &n->config;
}

bool natbox_has_outside(const struct natbox *n, const struct addr *ip)
{
    for (unsigned i = 0; i < n->outside_count; i++)
        if (addr_ip_equal(&n->outside[i], ip))
            return true;
    return false;
}
