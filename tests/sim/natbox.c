#include "natbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, NIL = -1 };
enum { PORT_FIRST = 1024, PORT_LAST = 65535 };
#define TIMEOUT_US VTIME_S(120)

/* The ways in which flows are looked for; each has a chain of its own through every flow. */
enum index_kind {
    BY_FLOW,  /* inside, remote: the packet of a known flow from inside */
    BY_KEY,   /* inside, remote as far as the mapping type looks: a flow that shares the mapping */
    BY_PORT,  /* outside port: who has it */
    BY_REPLY, /* outside port, remote: the packet of a known flow from outside */
    INDEXES,
};

struct flow {
    struct addr inside, remote;
    uint16_t port; /* outside; with mapping NONE that of `inside` */
    bool replied;
    bool own; /* of the box itself: made by a stranger's packet, see open_input */
    vtime_us expires;
    int32_t next[INDEXES];
};

struct natbox {
    struct natbox_config config;
    struct addr outside;
    struct dice dice;
    uint16_t port_next;
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

static uint32_t hash_addr(uint32_t h, const struct addr *a)
{
    h = (h ^ a->port) * 16777619U;
    for (size_t i = 0; i < sizeof a->ip; i++)
        h = (h ^ a->ip[i]) * 16777619U;
    return h;
}

static uint32_t bucket_of(const struct natbox *n, enum index_kind kind, const struct addr *inside,
                          const struct addr *remote, uint16_t port)
{
    uint32_t h = 2166136261U;
    struct addr key = masked(remote, n->config.mapping);
    switch (kind) {
    case BY_FLOW:
        h = hash_addr(hash_addr(h, inside), remote);
        break;
    case BY_KEY:
        h = hash_addr(hash_addr(h, inside), &key);
        break;
    case BY_PORT:
        h = (h ^ port) * 16777619U;
        break;
    case BY_REPLY:
    default:
        h = hash_addr((h ^ port) * 16777619U, remote);
        break;
    }
    return (h ^ (h >> 15)) % BUCKETS;
}

static uint32_t bucket_of_flow(const struct natbox *n, enum index_kind kind, const struct flow *f)
{
    return bucket_of(n, kind, &f->inside, &f->remote, f->port);
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

static struct flow *flow_add(struct natbox *n, const struct addr *inside, const struct addr *remote, uint16_t port)
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
    *f = (struct flow){.inside = *inside, .remote = *remote, .port = port};
    for (int kind = 0; kind < INDEXES; kind++) {
        int32_t *head = &n->heads[kind][bucket_of_flow(n, (enum index_kind)kind, f)];
        f->next[kind] = *head;
        *head = at;
    }
    n->live++;
    return f;
}

static bool flow_matches(const struct natbox *n, enum index_kind kind, const struct flow *f, const struct addr *inside,
                         const struct addr *remote, uint16_t port)
{
    struct addr a = masked(&f->remote, n->config.mapping), b;
    switch (kind) {
    case BY_FLOW:
        return addr_equal(&f->inside, inside) && addr_equal(&f->remote, remote);
    case BY_KEY:
        b = masked(remote, n->config.mapping);
        return addr_equal(&f->inside, inside) && addr_equal(&a, &b) && !f->own;
    case BY_PORT:
        return f->port == port;
    case BY_REPLY:
    default:
        return f->port == port && addr_equal(&f->remote, remote);
    }
}

/* The first live flow that matches, from `from` (NULL: the beginning) on; expired ones that are met go. */
static struct flow *flow_find(struct natbox *n, vtime_us now, enum index_kind kind, const struct flow *after,
                              const struct addr *inside, const struct addr *remote, uint16_t port)
{
    int32_t at = after ? after->next[kind] : n->heads[kind][bucket_of(n, kind, inside, remote, port)];
    while (at != NIL) {
        struct flow *f = &n->flows[at];
        int32_t next = f->next[kind];
        if (f->expires <= now)
            flow_remove(n, at);
        else if (flow_matches(n, kind, f, inside, remote, port))
            return f;
        at = next;
    }
    return NULL;
}

static void flow_refresh(const struct natbox *n, struct flow *f, vtime_us now)
{
    vtime_us plain = n->config.timeout_us ? n->config.timeout_us : TIMEOUT_US;
    vtime_us stream = n->config.timeout_stream_us ? n->config.timeout_stream_us : plain;
    f->expires = now + (f->replied ? stream : plain);
}

static bool port_is_free(struct natbox *n, vtime_us now, uint16_t port, const struct addr *remote)
{
    static const struct addr none;
    if (n->config.overload)
        return !flow_find(n, now, BY_REPLY, NULL, &none, remote, port);
    return !flow_find(n, now, BY_PORT, NULL, &none, &none, port);
}

static uint16_t port_in_range(const struct natbox *n, int64_t offset)
{
    int64_t first = n->config.port_first ? n->config.port_first : PORT_FIRST;
    int64_t last = n->config.port_last ? n->config.port_last : PORT_LAST;
    int64_t span = last - first + 1;
    return (uint16_t)(first + ((offset - first) % span + span) % span);
}

/* 0: every port is taken. */
static uint16_t port_choose(struct natbox *n, vtime_us now, uint16_t inside_port, const struct addr *remote)
{
    bool preserve = n->config.ports == NATBOX_PRESERVE;
    uint16_t port = (uint16_t)(inside_port + n->port_shift);
    if (preserve && port != 0 && port_is_free(n, now, port, remote))
        return port;
    int step = n->config.step ? n->config.step : 1;
    for (int tries = 0; tries < 65536; tries++) {
        if (n->config.ports == NATBOX_SEQUENTIAL) {
            port = n->port_next = port_in_range(n, (int64_t)n->port_next + step);
        } else {
            port = port_in_range(n, (int64_t)dice_below(&n->dice, 65536));
        }
        if (port_is_free(n, now, port, remote))
            return port;
    }
    return 0;
}

struct natbox *natbox_new(const struct natbox_config *config, const struct addr *outside, struct dice dice)
{
    struct natbox *n = calloc(1, sizeof *n);
    assert(n);
    n->config = *config;
    n->outside = *outside;
    n->dice = dice;
    n->free = NIL;
    memset(n->heads, 0xff, sizeof n->heads);
    n->port_next = port_in_range(n, (int64_t)dice_below(&n->dice, 65536));
    return n;
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
        uint16_t port = n->config.mapping == NATBOX_NONE ? src->port
                        : sibling                        ? sibling->port
                                                         : port_choose(n, now, src->port, dst);
        if (port == 0)
            return NATBOX_FULL;
        f = flow_add(n, src, dst, port);
    }
    flow_refresh(n, f, now);
    if (n->config.mapping != NATBOX_NONE) {
        struct addr seen = n->outside;
        seen.port = f->port;
        *src = seen;
    }
    return NATBOX_PASS;
}

/* Is f a flow that lets a packet from src in, as far as the filtering looks? */
static bool permits(const struct natbox *n, const struct flow *f, const struct addr *src)
{
    struct addr a = masked(&f->remote, n->config.filtering), b = masked(src, n->config.filtering);
    return addr_equal(&a, &b);
}

static enum natbox_verdict inbound_find(struct natbox *n, vtime_us now, const struct addr *src, const struct addr *dst,
                                        struct flow **ret)
{
    static const struct addr none;
    enum natbox_verdict verdict = NATBOX_UNMAPPED;
    enum index_kind kind = n->config.overload ? BY_REPLY : BY_PORT;
    for (struct flow *f = NULL; (f = flow_find(n, now, kind, f, &none, src, dst->port)) != NULL;) {
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
    struct flow *f = flow_find(n, now, BY_REPLY, NULL, dst, src, dst->port);
    if (!f) {
        if (is_full(n, now))
            return;
        f = flow_add(n, dst, src, dst->port);
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

void natbox_rebind(struct natbox *n, const struct addr *outside)
{
    n->count = n->live = 0;
    n->free = NIL;
    memset(n->heads, 0xff, sizeof n->heads);
    n->port_shift = (uint16_t)(1 + dice_below(&n->dice, 30000));
    n->port_next = port_in_range(n, (int64_t)dice_below(&n->dice, 65536));
    if (outside)
        n->outside = *outside;
}

const struct natbox_config *natbox_rules(const struct natbox *n)
{
    return &n->config;
}

const struct addr *natbox_outside(const struct natbox *n)
{
    return &n->outside;
}
