/* Who is there, and where they live. */
#include <string.h>

#include "swarm_parts.h"
#include "world_parts.h"

uint64_t swarm_roll(struct swarm *x, uint64_t bound)
{
    return dice_below(&x->d, bound);
}

/* ---- homes ---- */

static bool is_translating(const struct nat_kind *k)
{
    return k->config && k->config->mapping != NATBOX_NONE;
}

static const struct nat_kind *kind_any(struct swarm *x)
{
    return x->palette[swarm_roll(x, x->palette_count)];
}

/* One that can stand before or behind another: it has one address. */
static const struct nat_kind *kind_for_chain(struct swarm *x)
{
    const struct nat_kind *k = kind_any(x);
    return is_translating(k) && k->addresses <= 1 ? k : nat_kind_find(swarm_roll(x, 2) ? "port-restricted" : "cgn");
}

static struct addr outside_address(struct swarm *x)
{
    int n = ++x->s->homes;
    return addr_v4(203, 0, (uint8_t)(113 + n / 200), (uint8_t)(1 + n % 200), 0);
}

/* Carriers' NATs: a new one, or one that is there. */
static int cgn_any(struct swarm *x, vtime_us delay_us)
{
    if (x->cgn_count > 0 && (x->cgn_count == SWARM_CGNS_MAX || swarm_roll(x, 3) > 0))
        return (int)swarm_roll(x, (uint64_t)x->cgn_count);
    const struct addr outside = outside_address(x);
    const struct nat_kind *kind = kind_for_chain(x);
    int n = x->cgn_count++;
    x->cgns[n].kind = kind;
    x->cgns[n].box = world_add_natbox(x->s->w, INTERNET, delay_us, kind->config, &outside, &natbox_firewall);
    return n;
}

static void live_behind_cgn(struct swarm *x, struct swarm_place *at)
{
    struct world *w = x->s->w;
    int n = cgn_any(x, at->delay_us), home = ++x->s->homes;
    const struct addr outside = addr_v4(100, 64, (uint8_t)n, (uint8_t)(10 + home), 0);
    at->kind = kind_for_chain(x);
    at->outer = x->cgns[n].kind;
    at->cgn = x->cgns[n].box;
    at->delay_us = VTIME_MS(2);
    at->box = world_add_natbox(w, world_inside(w, at->cgn), at->delay_us, at->kind->config, &outside, &natbox_firewall);
    at->host = scene_host(x->s, world_inside(w, at->box), 0, addr_v4(192, 168, 1, (uint8_t)(10 + home), 0));
}

/* At home with somebody who has one. */
static bool live_with(struct swarm *x, struct swarm_place *at, const struct swarm_place *with)
{
    if (with->box < 0)
        return false;
    const struct addr *theirs = world_addr(x->s->w, with->host, 0);
    struct addr ip = *theirs;
    ip.ip[3] = (uint8_t)(220 + x->count);
    *at = *with;
    at->host = scene_host(x->s, scene_network(x->s, with->host), VTIME_MS(1), ip);
    return true;
}

static void live(struct swarm *x, struct swarm_place *at)
{
    int like = x->count > 0 ? (int)swarm_roll(x, (uint64_t)x->count) : 0;
    if (x->count > 0 && swarm_roll(x, 5) == 0 && live_with(x, at, &x->people[like].at))
        return;
    *at = (struct swarm_place){.lan = x->count, .box = -1, .cgn = -1, .kind = kind_any(x)};
    at->delay_us = VTIME_MS(1 + swarm_roll(x, 120));
    if (swarm_roll(x, 6) == 0) {
        live_behind_cgn(x, at);
    } else {
        at->host = scene_home_of(x->s, at->delay_us, at->kind);
        if (at->kind->config)
            at->box = scene_natbox(x->s, at->host);
    }
    at->is_private = addr_is_private(world_addr(x->s->w, at->host, 0));
}

/* ---- people ---- */

/* Three rooms with one number, and three in the open space: they meet each other, and are strangers. */
static const char *const keywords[] = {
    "42-crab-lunar-toast", "42-quite-other-words", "42-x", "crab lunar toast", "quite other words", "swarm", "",
};
enum { KEYWORDS = sizeof keywords / sizeof *keywords };

static void groups_new(struct swarm *x)
{
    bool taken[KEYWORDS] = {false};
    x->group_count = swarm_roll(x, 2) ? 1 : 1 + (int)swarm_roll(x, SWARM_GROUPS_MAX);
    for (int i = 0; i < x->group_count; i++) {
        size_t n = swarm_roll(x, KEYWORDS);
        while (taken[n])
            n = (n + 1) % KEYWORDS;
        taken[n] = true;
        x->groups[i].maker = -1;
        snprintf(x->groups[i].keyword, sizeof x->groups[i].keyword, "%s", keywords[n]);
    }
}

/* Most often few: sixteen cost as much as a hundred pairs. */
static int people_count(struct swarm *x)
{
    switch (swarm_roll(x, 20)) {
    case 0:
        return 9 + (int)swarm_roll(x, 8);
    case 1:
    case 2:
    case 3:
    case 4:
        return 5 + (int)swarm_roll(x, 4);
    default:
        return 2 + (int)swarm_roll(x, 3);
    }
}

static void palette_new(struct swarm *x)
{
    bool none_is_hard = swarm_roll(x, 2);
    unsigned share = 1 + (unsigned)swarm_roll(x, 4); /* of the kinds: a quarter to all */
    for (unsigned i = 0; i < NAT_KINDS; i++) {
        const struct nat_kind *k = &nat_kinds[i];
        bool is_hard = nat_hope(k, nat_kind_find("port-restricted")) != HOPE_DIRECT;
        if (swarm_roll(x, 4) < share && !(is_hard && none_is_hard))
            x->palette[x->palette_count++] = k;
    }
    if (x->palette_count == 0)
        x->palette[x->palette_count++] = &nat_kinds[swarm_roll(x, NAT_KINDS)];
}

static enum relay_policy relay_policy(struct swarm *x)
{
    uint64_t roll = swarm_roll(x, 24);
    return roll == 0 ? RELAY_NEVER : roll <= 2 ? RELAY_ONLY : RELAY_AUTO;
}

void swarm_cast(struct swarm *x)
{
    unsigned v6 = (unsigned)swarm_roll(x, 4); /* 0: nobody has it, 1: everybody, else some */
    int people = people_count(x);
    palette_new(x);
    groups_new(x);
    while (x->count < people) {
        struct swarm_person *p = &x->people[x->count];
        live(x, &p->at);
        p->at.has_v6 = v6 == 1 || (v6 > 1 && swarm_roll(x, 3) == 0);
        if (p->at.has_v6)
            scene_add_v6(x->s, p->at.host);
        p->group = x->count < 2 ? 0 : (int)swarm_roll(x, (uint64_t)x->group_count);
        p->relay = relay_policy(x);
        p->back_at = swarm_roll(x, 2) ? 0 : swarm_roll(x, VTIME_S(20));
        x->groups[p->group].people++;
        x->count++;
    }
}

void swarm_start(struct swarm *x, struct swarm_person *p)
{
    struct swarm_group *g = &x->groups[p->group];
    char label[TRACE_NAME_MAX];
    if (g->keyword[0] == '\0' && g->maker >= 0)
        return; /* it is being made */
    x->s->keyword = g->keyword[0] ? g->keyword : NULL;
    x->s->config.relay = p->relay;
    snprintf(label, sizeof label, "p%d.%u", (int)(p - x->people), ++x->lives);
    if (!x->s->keyword)
        g->maker = (int)(p - x->people);
    p->c = scene_join(x->s, p->at.host, label);
    p->back_at = 0;
    p->leaves = false;
    swarm_audit_add(x->audit, p->c->actor, p->c, g->keyword);
}

bool swarm_is_up(const struct swarm_person *p)
{
    return p->c && !p->c->ended && !p->leaves && p->wakes_at == 0;
}

/* ---- what can be hoped for ---- */

static enum hope worse(enum hope a, enum hope b)
{
    return a > b ? a : b;
}

/* Of two chains of NATs every pair has to get on with each other. That is enough, and now and then more than is
 * needed; what is hard in a chain is not foretold. */
static enum hope hope_of_chains(const struct swarm_place *a, const struct swarm_place *b, bool share_outer)
{
    enum hope hope = nat_hope(a->kind, b->kind);
    if (share_outer)
        return hope;
    if (a->outer)
        hope = worse(hope, nat_hope(a->outer, b->kind));
    if (b->outer)
        hope = worse(hope, nat_hope(a->kind, b->outer));
    if (a->outer && b->outer)
        hope = worse(hope, nat_hope(a->outer, b->outer));
    return hope == HOPE_DIRECT || !(a->outer || b->outer) ? hope : HOPE_RELAY;
}

enum hope swarm_hope(const struct swarm_person *a, const struct swarm_person *b)
{
    if (a->relay == RELAY_ONLY || b->relay == RELAY_ONLY)
        return HOPE_RELAY;
    if (a->at.lan == b->at.lan || (a->at.has_v6 && b->at.has_v6))
        return HOPE_DIRECT;
    bool share_outer = a->at.cgn >= 0 && a->at.cgn == b->at.cgn;
    /* What goes out and comes back in by the same NAT. */
    if (share_outer && !a->at.outer->config->hairpin)
        return HOPE_RELAY;
    return hope_of_chains(&a->at, &b->at, share_outer);
}

static bool may_be_poisoned(const struct swarm_place *at)
{
    return (at->kind->config && at->kind->config->open_input) || (at->outer && at->outer->config->open_input);
}

enum engine_path swarm_best(const struct swarm_person *a, const struct swarm_person *b)
{
    bool never = a->relay == RELAY_NEVER || b->relay == RELAY_NEVER, both_v6 = a->at.has_v6 && b->at.has_v6;
    if (swarm_hope(a, b) != HOPE_DIRECT)
        return never ? PATH_NONE : PATH_RELAY;
    if (a->at.lan == b->at.lan)
        return a->at.is_private ? PATH_LAN : PATH_DIRECT;
    /* A poisoned port stays so while both keep trying on the same sockets. */
    if (!both_v6 && (may_be_poisoned(&a->at) || may_be_poisoned(&b->at)))
        return never ? PATH_NONE : PATH_RELAY;
    return PATH_DIRECT;
}
