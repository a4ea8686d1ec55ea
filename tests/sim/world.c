#include "world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "world_parts.h"

enum { EPHEMERAL_FIRST = 32768, EPHEMERAL_LAST = 60999, WAKES_AT_ONCE_MAX = 100000 };
#define EPOCH_MAX_US VTIME_S(30 * 24 * 3600) /* how long a host may have been up already */

void *world_grow(void *old, size_t size)
{
    void *new = realloc(old, size);
    assert(new);
    return new;
}

static int network_new(struct world *w, int gateway)
{
    struct world_parts *parts = w->parts;
    GROW(parts->gateways, parts->network_count);
    parts->gateways[parts->network_count] = gateway;
    return parts->network_count++;
}

struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    struct world_parts *parts = calloc(1, sizeof *parts);
    assert(w && parts);
    w->parts = parts;
    w->dice.state = seed;
    w->core_hops = 1;
    trace_init(&w->trace);
    network_new(w, -1);
    return w;
}

void world_free(struct world *w)
{
    struct world_parts *parts = w->parts;
    while (parts->heap_count > 0)
        free(arrivals_pop(parts).packet);
    while (parts->pool_count > 0)
        free(parts->pool[--parts->pool_count]);
    for (int i = 0; i < parts->node_count; i++) {
        natbox_free(parts->nodes[i].v4);
        natbox_free(parts->nodes[i].v6);
    }
    free(parts->heap);
    free(parts->pool);
    free(parts->nodes);
    free(parts->actors);
    free(parts->sockets);
    free(parts->blocks);
    free(parts->gateways);
    free(parts);
    free(w);
}

/* ---- the map ---- */

static int node_new(struct world *w, int network, vtime_us delay_us, const char *name)
{
    struct world_parts *parts = w->parts;
    GROW(parts->nodes, parts->node_count);
    struct node *n = &parts->nodes[parts->node_count];
    *n = (struct node){.network = network, .inside = -1, .link.delay_us = delay_us};
    for (size_t i = 0; i + 1 < sizeof n->name && name[i]; i++)
        n->name[i] = name[i];
    /* Cores must not take a clock for more than it is: every host has its own. */
    n->epoch = VTIME_S(1) + dice_below(&w->dice, EPOCH_MAX_US);
    return parts->node_count++;
}

int world_add_host(struct world *w, int network, vtime_us delay_us, const char *name)
{
    return node_new(w, network, delay_us, name);
}

int world_add_natbox(struct world *w, int network, vtime_us delay_us, const struct natbox_config *v4,
                     const struct addr *outside, const struct natbox_config *v6)
{
    static const struct addr none;
    int node = node_new(w, network, delay_us, "nat");
    struct node *n = &w->parts->nodes[node];
    n->name[3] = (char)('0' + node / 10 % 10);
    n->name[4] = (char)('0' + node % 10);
    if (v4)
        n->v4 = natbox_new(v4, outside, dice_fork(&w->dice));
    if (v6)
        n->v6 = natbox_new(v6, &none, dice_fork(&w->dice));
    n->inside = network_new(w, node);
    if (outside && outside->family)
        world_add_addr(w, node, outside);
    return node;
}

void world_add_outside(struct world *w, int natbox, const struct addr *outside_v4)
{
    natbox_add_outside(w->parts->nodes[natbox].v4, outside_v4);
    world_add_addr(w, natbox, outside_v4);
}

int world_inside(const struct world *w, int natbox)
{
    assert(w->parts->nodes[natbox].inside >= 0);
    return w->parts->nodes[natbox].inside;
}

struct natbox *world_natbox(const struct world *w, int natbox, enum addr_family family)
{
    return family == ADDR_V6 ? w->parts->nodes[natbox].v6 : w->parts->nodes[natbox].v4;
}

void world_add_addr(struct world *w, int node, const struct addr *ip)
{
    struct node *n = &w->parts->nodes[node];
    int at = 0;
    while (n->addrs[at].family) {
        at++;
        assert(at < WORLD_NODE_ADDRS);
    }
    n->addrs[at] = *ip;
    n->addrs[at].port = 0;
}

void world_set_rate(struct world *w, int node, uint32_t bytes_per_s, uint32_t queue_bytes)
{
    w->parts->nodes[node].link.bytes_per_s = bytes_per_s;
    w->parts->nodes[node].link.queue_bytes = queue_bytes;
}

void world_set_delay(struct world *w, int node, vtime_us delay_us)
{
    w->parts->nodes[node].link.delay_us = delay_us;
}

const struct addr *world_addr(const struct world *w, int node, size_t i)
{
    const struct node *n = &w->parts->nodes[node];
    return i < WORLD_NODE_ADDRS && n->addrs[i].family ? &n->addrs[i] : NULL;
}

const char *world_name(const struct world *w, int node)
{
    return w->parts->nodes[node].name;
}

/* ---- programs ---- */

vtime_us world_host_now(const struct world *w, int host)
{
    return w->now + w->parts->nodes[host].epoch;
}

vtime_us world_time_of(const struct world *w, int host, vtime_us host_time)
{
    vtime_us epoch = w->parts->nodes[host].epoch;
    if (host_time == VTIME_NEVER)
        return VTIME_NEVER;
    return host_time > epoch ? host_time - epoch : 0;
}

void world_touch(struct world *w, int actor)
{
    struct actor *a = &w->parts->actors[actor];
    vtime_us deadline = a->calls.deadline(a->self);
    if (deadline == a->deadline)
        return;
    a->deadline = deadline;
    a->wake_at = world_time_of(w, a->host, deadline);
    if (w->timer_slack_us && a->wake_at != VTIME_NEVER)
        a->wake_at += dice_below(&w->dice, w->timer_slack_us + 1);
}

int world_add_actor(struct world *w, int host, const struct actor_calls *calls, void *self, const char *name)
{
    struct world_parts *parts = w->parts;
    GROW(parts->actors, parts->actor_count);
    struct actor *a = &parts->actors[parts->actor_count];
    *a = (struct actor){
        .alive = true, .host = host, .calls = *calls, .self = self, .deadline = VTIME_NEVER, .wake_at = VTIME_NEVER};
    for (size_t i = 0; i + 1 < sizeof a->name && name[i]; i++)
        a->name[i] = name[i];
    return parts->actor_count++;
}

void world_remove_actor(struct world *w, int actor)
{
    for (int i = 0; i < w->parts->socket_count; i++)
        if (w->parts->sockets[i].actor == actor)
            w->parts->sockets[i].open = false;
    w->parts->actors[actor].alive = false;
}

static struct socket *socket_find(struct world *w, int host, uint8_t family, uint16_t port)
{
    struct world_parts *parts = w->parts;
    for (int i = 0; i < parts->socket_count; i++) {
        struct socket *s = &parts->sockets[i];
        if (s->open && s->port == port && s->family == family && parts->actors[s->actor].host == host)
            return s;
    }
    return NULL;
}

static bool host_has_family(const struct world *w, int host, uint8_t family)
{
    for (int i = 0; i < WORLD_NODE_ADDRS; i++)
        if (w->parts->nodes[host].addrs[i].family == family)
            return true;
    return false;
}

int world_open(struct world *w, int actor, enum addr_family family, uint16_t port)
{
    struct world_parts *parts = w->parts;
    int host = parts->actors[actor].host, at = 0;
    if (!host_has_family(w, host, (uint8_t)family) || (port && socket_find(w, host, (uint8_t)family, port)))
        return -1;
    while (port == 0) {
        port = (uint16_t)(EPHEMERAL_FIRST + dice_below(&w->dice, EPHEMERAL_LAST - EPHEMERAL_FIRST + 1));
        if (socket_find(w, host, (uint8_t)family, port))
            port = 0;
    }
    while (at < parts->socket_count && parts->sockets[at].open)
        at++;
    if (at == parts->socket_count) {
        GROW(parts->sockets, parts->socket_count);
        parts->socket_count++;
    }
    parts->sockets[at] = (struct socket){.open = true, .actor = actor, .family = (uint8_t)family, .port = port};
    return at;
}

void world_close(struct world *w, int socket)
{
    w->parts->sockets[socket].open = false;
}

uint16_t world_port(const struct world *w, int socket)
{
    return w->parts->sockets[socket].port;
}

static bool source_address(const struct world *w, int host, const struct addr *local, const struct addr *to,
                           struct addr *ret)
{
    const struct node *n = &w->parts->nodes[host];
    if (addr_is_loopback(to)) {
        *ret = *to;
        return true;
    }
    for (int i = 0; i < WORLD_NODE_ADDRS && n->addrs[i].family; i++) {
        bool wanted = local && local->family ? addr_ip_equal(&n->addrs[i], local) : n->addrs[i].family == to->family;
        if (wanted && n->addrs[i].family == to->family) {
            *ret = n->addrs[i];
            return true;
        }
    }
    return false;
}

bool world_send(struct world *w, int socket, const struct addr *local, const struct addr *to, uint8_t ttl,
                const uint8_t *at, size_t size)
{
    const struct socket *s = &w->parts->sockets[socket];
    int host = w->parts->actors[s->actor].host;
    struct addr src;
    assert(s->open && size <= WORLD_DATAGRAM_MAX);
    if (to->family != s->family || !source_address(w, host, local, to, &src))
        return false;
    struct packet *p = world_packet_new(w);
    p->number = w->fates[FATE_SENT];
    p->origin = host;
    p->src = src;
    p->src.port = s->port;
    p->dst = *to;
    p->ttl = ttl ? ttl : WORLD_TTL;
    p->size = (uint16_t)size;
    memcpy(p->bytes, at, size);
    world_packet_tell(w, FATE_SENT, p, host, s->actor);
    route_send(w, host, p);
    return true;
}

void world_deliver(struct world *w, int host, struct packet *p)
{
    struct socket *s = socket_find(w, host, p->dst.family, p->dst.port);
    if (!s || w->parts->nodes[host].asleep || !w->parts->actors[s->actor].alive) {
        world_packet_fate(w, FATE_UNHEARD, p, host, -1);
        return;
    }
    int actor = s->actor;
    struct addr local = p->dst;
    local.port = 0;
    struct packet copy = *p; /* the actor may send, and thereby use the pool */
    world_packet_fate(w, FATE_DELIVERED, p, host, actor);
    const struct actor *a = &w->parts->actors[actor];
    a->calls.input(a->self, world_host_now(w, host), (int)(s - w->parts->sockets), &local, &copy.src, copy.bytes,
                   copy.size);
    if (w->parts->actors[actor].alive)
        world_touch(w, actor);
}

/* ---- what goes wrong ---- */

void world_sleep(struct world *w, int host, bool asleep)
{
    w->parts->nodes[host].asleep = asleep;
    trace_text(&w->trace, w->now, w->parts->nodes[host].name, asleep ? "sleeps" : "wakes", "%s", "");
}

/* Deadlines are the host's: in the world's time they are others now. */
static void change_clock(struct world *w, int host, vtime_us epoch)
{
    w->parts->nodes[host].epoch = epoch;
    for (int i = 0; i < w->parts->actor_count; i++)
        if (w->parts->actors[i].alive && w->parts->actors[i].host == host) {
            w->parts->actors[i].deadline = 0;
            world_touch(w, i);
        }
}

void world_jump(struct world *w, int host, vtime_us us)
{
    trace_text(&w->trace, w->now, w->parts->nodes[host].name, "leaps", "%llu us", (unsigned long long)us);
    change_clock(w, host, w->parts->nodes[host].epoch + us);
}

bool world_stand_still(struct world *w, int host, vtime_us us)
{
    if (w->parts->nodes[host].epoch < us)
        return false;
    trace_text(&w->trace, w->now, w->parts->nodes[host].name, "stood", "%llu us", (unsigned long long)us);
    change_clock(w, host, w->parts->nodes[host].epoch - us);
    return true;
}

void world_block(struct world *w, int host_a, int host_b, bool both_ways)
{
    struct world_parts *parts = w->parts;
    GROW(parts->blocks, parts->block_count);
    parts->blocks[parts->block_count++] = (struct block){host_a, host_b};
    trace_text(&w->trace, w->now, "world", "block", "%s to %s", parts->nodes[host_a].name, parts->nodes[host_b].name);
    if (both_ways)
        world_block(w, host_b, host_a, false);
}

void world_unblock(struct world *w, int host_a, int host_b)
{
    struct world_parts *parts = w->parts;
    int kept = 0;
    for (int i = 0; i < parts->block_count; i++) {
        struct block b = parts->blocks[i];
        if (!(b.from == host_a && b.to == host_b) && !(b.from == host_b && b.to == host_a))
            parts->blocks[kept++] = b;
    }
    parts->block_count = kept;
    trace_text(&w->trace, w->now, "world", "unblock", "%s, %s", parts->nodes[host_a].name, parts->nodes[host_b].name);
}

void world_rebind(struct world *w, int natbox, const struct addr *outside_v4)
{
    struct node *n = &w->parts->nodes[natbox];
    trace_text(&w->trace, w->now, n->name, "rebinds", "%s", outside_v4 ? "new address" : "");
    for (int i = 0; outside_v4 && i < WORLD_NODE_ADDRS; i++)
        if (n->addrs[i].family == ADDR_V4) {
            n->addrs[i] = *outside_v4;
            n->addrs[i].port = 0;
            break;
        }
    if (n->v4)
        natbox_rebind(n->v4, outside_v4);
    if (n->v6)
        natbox_rebind(n->v6, NULL);
}

void world_forget(struct world *w, int natbox)
{
    struct node *n = &w->parts->nodes[natbox];
    trace_text(&w->trace, w->now, n->name, "forgets", "%s", "");
    if (n->v4)
        natbox_forget(n->v4);
    if (n->v6)
        natbox_forget(n->v6);
}

/* ---- time ---- */

static int next_actor(const struct world *w)
{
    int best = -1;
    for (int i = 0; i < w->parts->actor_count; i++) {
        const struct actor *a = &w->parts->actors[i];
        if (!a->alive || w->parts->nodes[a->host].asleep || a->wake_at == VTIME_NEVER)
            continue;
        if (best < 0 || a->wake_at < w->parts->actors[best].wake_at)
            best = i;
    }
    return best;
}

vtime_us world_next(const struct world *w)
{
    int actor = next_actor(w);
    vtime_us wake = actor < 0 ? VTIME_NEVER : w->parts->actors[actor].wake_at;
    if (wake != VTIME_NEVER && wake < w->now)
        wake = w->now;
    return vtime_min(wake, w->parts->heap_count ? w->parts->heap[0].time : VTIME_NEVER);
}

static void wake(struct world *w, int actor)
{
    struct world_parts *parts = w->parts;
    parts->wakes_at_once = parts->last_wake == w->now ? parts->wakes_at_once + 1 : 0;
    parts->last_wake = w->now;
    if (parts->wakes_at_once > WAKES_AT_ONCE_MAX) {
        trace_dump(&w->trace, stderr, 40);
        fprintf(stderr, "%s wants to be called again and again at the same time\n", parts->actors[actor].name);
        abort();
    }
    const struct actor *a = &parts->actors[actor];
    a->calls.wake(a->self, world_host_now(w, a->host));
    if (parts->actors[actor].alive)
        world_touch(w, actor);
}

bool world_step(struct world *w)
{
    struct world_parts *parts = w->parts;
    vtime_us next = world_next(w);
    if (next == VTIME_NEVER)
        return false;
    w->now = next;
    if (parts->heap_count && parts->heap[0].time == next) {
        struct arrival a = arrivals_pop(parts);
        route_arrive(w, &a);
    } else {
        wake(w, next_actor(w));
    }
    return true;
}

void world_run_until(struct world *w, vtime_us t)
{
    while (world_next(w) <= t && world_step(w))
        ;
    if (w->now < t)
        w->now = t;
}

void world_run_for(struct world *w, vtime_us us)
{
    world_run_until(w, w->now + us);
}

bool world_run_while_not(struct world *w, vtime_us us, bool (*done)(void *context), void *context)
{
    vtime_us end = w->now + us;
    while (!done(context)) {
        vtime_us next = world_next(w);
        if (next > end || next == VTIME_NEVER) {
            w->now = end;
            return false;
        }
        world_step(w);
    }
    return true;
}

void world_add_tap(struct world *w, world_tap *tap, void *context)
{
    assert(w->parts->tap_count < WORLD_TAPS_MAX);
    w->parts->taps[w->parts->tap_count].tap = tap;
    w->parts->taps[w->parts->tap_count].context = context;
    w->parts->tap_count++;
}
