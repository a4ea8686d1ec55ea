/* The way of a packet: up from a host to its network, across NATs and the core, down to a host. */
#include <stdlib.h>
#include <string.h>

#include "world_parts.h"

static const char *const fate_names[FATES] = {
    [FATE_SENT] = "send",       [FATE_DELIVERED] = "deliver", [FATE_LOST] = "lost",         [FATE_BLOCKED] = "blocked",
    [FATE_EXPIRED] = "expired", [FATE_NAT] = "refused",       [FATE_UNROUTED] = "unrouted", [FATE_UNHEARD] = "unheard",
};

struct packet *world_packet_new(struct world *w)
{
    struct world_parts *parts = w->parts;
    return parts->pool_count ? parts->pool[--parts->pool_count] : world_grow(NULL, sizeof(struct packet));
}

static void world_packet_free(struct world *w, struct packet *p)
{
    GROW(w->parts->pool, w->parts->pool_count);
    w->parts->pool[w->parts->pool_count++] = p;
}

void world_packet_tell(struct world *w, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct world_parts *parts = w->parts;
    w->fates[fate]++;
    const char *who = actor >= 0 ? parts->actors[actor].name : node >= 0 ? parts->nodes[node].name : "core";
    trace_packet(&w->trace, w->now, who, fate_names[fate], &p->src, &p->dst, p->ttl, p->bytes, p->size);
    for (int i = 0; i < parts->tap_count; i++)
        parts->taps[i].tap(parts->taps[i].context, fate, p, node, actor);
}

void world_packet_fate(struct world *w, enum packet_fate fate, struct packet *p, int node, int actor)
{
    world_packet_tell(w, fate, p, node, actor);
    world_packet_free(w, p);
}

/* ---- links ---- */

/* When the packet comes out at the other end; VTIME_NEVER: the queue was full. */
static vtime_us link_cross(const struct world *w, struct link *l, int direction, size_t size)
{
    if (l->bytes_per_s == 0)
        return w->now + l->delay_us;
    vtime_us start = l->busy_until[direction] > w->now ? l->busy_until[direction] : w->now;
    if (l->queue_bytes && (start - w->now) * l->bytes_per_s > (vtime_us)l->queue_bytes * 1000000)
        return VTIME_NEVER;
    l->busy_until[direction] = start + (vtime_us)size * 1000000 / l->bytes_per_s;
    return l->busy_until[direction] + l->delay_us;
}

static void go(struct world *w, struct packet *p, int node, int direction)
{
    struct node *n = &w->parts->nodes[node];
    vtime_us time = link_cross(w, &n->link, direction, p->size);
    if (time == VTIME_NEVER) {
        world_packet_fate(w, FATE_LOST, p, node, -1);
        return;
    }
    bool up = direction == LINK_UP;
    arrivals_push(w->parts, &(struct arrival){.time = time, .up = up, .where = up ? n->network : node, .packet = p});
}

/* ---- who has an address ---- */

static bool node_has(const struct world *w, const struct node *n, const struct addr *ip)
{
    for (int i = 0; i < WORLD_NODE_ADDRS && n->addrs[i].family; i++)
        if (addr_ip_equal(&n->addrs[i], ip))
            return true;
    if (n->inside < 0)
        return false;
    /* Without translation the addresses behind it are seen from outside. */
    const struct natbox *box = ip->family == ADDR_V6 ? n->v6 : n->v4;
    if (!box || natbox_rules(box)->mapping != NATBOX_NONE)
        return false;
    for (int i = 0; i < w->parts->node_count; i++)
        if (w->parts->nodes[i].network == n->inside && node_has(w, &w->parts->nodes[i], ip))
            return true;
    return false;
}

static int find_member(const struct world *w, int network, const struct addr *ip)
{
    for (int i = 0; i < w->parts->node_count; i++)
        if (w->parts->nodes[i].network == network && node_has(w, &w->parts->nodes[i], ip))
            return i;
    return -1;
}

/* ---- NATs ---- */

static void nat_inbound(struct world *w, int node, struct packet *p)
{
    struct node *n = &w->parts->nodes[node];
    struct natbox *box = p->dst.family == ADDR_V6 ? n->v6 : n->v4;
    /* A packet for the box itself needs no TTL: Linux's INPUT sees it, whatever is left. */
    if (!box || natbox_inbound(box, w->now, &p->src, &p->dst) != NATBOX_PASS) {
        world_packet_fate(w, FATE_NAT, p, node, -1);
        return;
    }
    if (p->ttl <= 1) {
        world_packet_fate(w, FATE_EXPIRED, p, node, -1);
        return;
    }
    p->ttl--;
    int member = find_member(w, n->inside, &p->dst);
    if (member < 0)
        world_packet_fate(w, FATE_UNROUTED, p, node, -1);
    else
        go(w, p, member, LINK_DOWN);
}

static void nat_outbound(struct world *w, int node, struct packet *p)
{
    struct node *n = &w->parts->nodes[node];
    struct natbox *box = p->dst.family == ADDR_V6 ? n->v6 : n->v4;
    if (!box) {
        world_packet_fate(w, FATE_UNROUTED, p, node, -1);
        return;
    }
    /* A router drops what may not go on before its NAT has made a flow of it. */
    if (p->ttl <= 1) {
        world_packet_fate(w, FATE_EXPIRED, p, node, -1);
        return;
    }
    bool to_itself = natbox_has_outside(box, &p->dst);
    if ((to_itself && !natbox_rules(box)->hairpin) || natbox_outbound(box, w->now, &p->src, &p->dst) != NATBOX_PASS) {
        world_packet_fate(w, FATE_NAT, p, node, -1);
        return;
    }
    if (to_itself) {
        nat_inbound(w, node, p); /* takes the hop */
        return;
    }
    p->ttl--;
    go(w, p, node, LINK_UP);
}

/* ---- the internet's core ---- */

static int site_of(const struct world *w, int node)
{
    while (w->parts->nodes[node].network != INTERNET)
        node = w->parts->gateways[w->parts->nodes[node].network];
    return node;
}

static bool is_blocked(const struct world *w, const struct packet *p, int to_node, bool at_core)
{
    for (int i = 0; i < w->parts->block_count; i++) {
        const struct block *b = &w->parts->blocks[i];
        if (b->from == p->origin && to_node == (at_core ? site_of(w, b->to) : b->to))
            return true;
    }
    return false;
}

static void core_out(struct world *w, struct packet *p, vtime_us delay)
{
    arrivals_push(w->parts, &(struct arrival){
                                .time = w->now + delay, .up = true, .where = INTERNET, .crossed = true, .packet = p});
}

static vtime_us weather_delay(struct world *w)
{
    vtime_us delay = w->weather.jitter_us ? dice_below(&w->dice, w->weather.jitter_us + 1) : 0;
    if (dice_chance(&w->dice, w->weather.reorder_ppm))
        delay += w->weather.reorder_us;
    return delay;
}

static void core_in(struct world *w, struct packet *p)
{
    if (p->ttl <= w->core_hops) {
        world_packet_fate(w, FATE_EXPIRED, p, -1, -1);
        return;
    }
    p->ttl = (uint8_t)(p->ttl - w->core_hops);
    int member = find_member(w, INTERNET, &p->dst);
    if ((w->drop && w->drop(w->drop_context, p)) || (member >= 0 && is_blocked(w, p, member, true))) {
        world_packet_fate(w, FATE_BLOCKED, p, -1, -1);
        return;
    }
    if (dice_chance(&w->dice, w->weather.loss_ppm)) {
        world_packet_fate(w, FATE_LOST, p, -1, -1);
        return;
    }
    if (dice_chance(&w->dice, w->weather.duplicate_ppm)) {
        struct packet *copy = world_packet_new(w);
        *copy = *p;
        core_out(w, copy, weather_delay(w));
    }
    core_out(w, p, weather_delay(w));
}

/* ---- from place to place ---- */

static void network_arrive(struct world *w, int network, struct packet *p)
{
    int member = find_member(w, network, &p->dst);
    if (member >= 0)
        go(w, p, member, LINK_DOWN);
    else if (w->parts->gateways[network] >= 0)
        nat_outbound(w, w->parts->gateways[network], p);
    else
        world_packet_fate(w, FATE_UNROUTED, p, -1, -1);
}

void route_arrive(struct world *w, const struct arrival *a)
{
    if (a->up && a->where == INTERNET && !a->crossed)
        core_in(w, a->packet);
    else if (a->up)
        network_arrive(w, a->where, a->packet);
    else if (w->parts->nodes[a->where].inside >= 0)
        nat_inbound(w, a->where, a->packet);
    else if (is_blocked(w, a->packet, a->where, false))
        world_packet_fate(w, FATE_BLOCKED, a->packet, a->where, -1);
    else
        world_deliver(w, a->where, a->packet);
}

void route_send(struct world *w, int node, struct packet *p)
{
    const struct node *n = &w->parts->nodes[node];
    if (n->asleep)
        world_packet_fate(w, FATE_UNHEARD, p, node, -1);
    else if (addr_is_loopback(&p->dst) || node_has(w, n, &p->dst))
        arrivals_push(w->parts, &(struct arrival){.time = w->now, .where = node, .packet = p});
    else
        go(w, p, node, LINK_UP);
}
