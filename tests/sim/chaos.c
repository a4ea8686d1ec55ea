#include "chaos.h"

#include <stdlib.h>
#include <string.h>

enum { PEOPLE_MAX = 5, LIVES_MAX = 12 };

/* In this order, and no others: seeds are kept for what they tell. */
static const char *const homes[] = {
    "none",  "cgn",        "address-restricted", "port-restricted", "shifting",
    "linux", "open-input", "address-dependent",  "sequential",      "symmetric",
};

/* From CHAOS_HARD_FIRST on: nearly every pair has to guess ports, and some routers cannot take it. */
static const char *const hard_homes[] = {
    "port-restricted", "linux",           "open-input",      "address-restricted", "sequential",
    "sequential-2",    "sequential-down", "sequential-busy", "keeps-first",        "keeps-first-busy",
    "symmetric",       "symmetric-range", "symmetric-pool",  "few-sessions",       "few-sessions-random",
    "short-timeout",   "pool-arbitrary",
};

struct person {
    int host;
    const struct nat_kind *kind;
    int lan; /* people with the same number share a home */
    bool has_v6;
    struct sim_client *c; /* NULL: not running */
    unsigned lives;
    vtime_us back_at;  /* when it starts again */
    vtime_us wakes_at; /* 0: awake */
    vtime_us reads_at; /* 0: its reader reads */
};

struct chaos {
    struct scene *s;
    struct dice d;
    struct person people[PEOPLE_MAX];
    int count;
    bool all_v6, hard;
    vtime_us server_at; /* when it comes back; 0: it is there */
    vtime_us clears_at; /* the weather */
    struct {
        int a, b;
        vtime_us until; /* 0: free */
    } blocks[4];
};

static uint64_t roll(struct chaos *x, uint64_t bound)
{
    return dice_below(&x->d, bound);
}

/* ---- the cast ---- */

static void person_new(struct chaos *x)
{
    struct person *p = &x->people[x->count];
    if (x->count > 0 && roll(x, 5) == 0) { /* at home with the one before */
        *p = x->people[x->count - 1];
        if (p->kind->config) {
            struct addr ip =
                addr_v4(192, 168, (uint8_t)world_addr(x->s->w, p->host, 0)->ip[2], (uint8_t)(220 + x->count), 0);
            p->host = scene_host(x->s, scene_network(x->s, p->host), VTIME_MS(1), ip);
            if (p->has_v6)
                scene_add_v6(x->s, p->host);
            x->count++;
            return;
        }
    }
    const char *kind = x->hard ? hard_homes[roll(x, sizeof hard_homes / sizeof *hard_homes)]
                               : homes[roll(x, sizeof homes / sizeof *homes)];
    *p = (struct person){.kind = nat_kind_find(kind), .lan = x->count};
    p->host = scene_home_of(x->s, VTIME_MS(1 + roll(x, 120)), p->kind);
    p->has_v6 = x->all_v6;
    if (p->has_v6)
        scene_add_v6(x->s, p->host);
    x->count++;
}

static void person_start(struct chaos *x, int i)
{
    struct person *p = &x->people[i];
    char label[TRACE_NAME_MAX];
    snprintf(label, sizeof label, "p%d.%u", i, ++p->lives);
    p->c = scene_join(x->s, p->host, label);
    p->back_at = 0;
}

static bool person_is_up(const struct person *p)
{
    return p->c && !p->c->ended && p->wakes_at == 0;
}

/* ---- what happens ---- */

static void happen_talk(struct chaos *x, struct person *p)
{
    size_t size = roll(x, 12) ? roll(x, 300) : roll(x, TEXT_BYTES_MAX);
    if (person_is_up(p) && engine_has_room(p->c->e, size + 64))
        scene_say(x->s, p->c, size);
}

static void happen_death(struct chaos *x, struct person *p)
{
    if (!person_is_up(p) || p->lives >= LIVES_MAX)
        return;
    if (roll(x, 2))
        sim_client_kill(p->c);
    else
        sim_client_quit(p->c);
    if (p->c->actor >= 0)
        return; /* says goodbye; looked after in `pass` */
    p->c = NULL;
    p->back_at = x->s->w->now + 1 + roll(x, VTIME_S(90));
}

static void happen_sleep(struct chaos *x, struct person *p)
{
    if (!person_is_up(p))
        return;
    world_sleep(x->s->w, p->host, true);
    p->wakes_at = x->s->w->now + VTIME_S(1) + roll(x, VTIME_S(roll(x, 4) ? 30 : 300));
}

static void happen_stall(struct chaos *x, struct person *p)
{
    if (!person_is_up(p) || p->reads_at)
        return;
    sim_client_stall(p->c, true);
    p->reads_at = x->s->w->now + roll(x, VTIME_S(40));
}

static void happen_weather(struct chaos *x)
{
    struct weather *weather = &x->s->w->weather;
    *weather = (struct weather){.loss_ppm = (uint32_t)roll(x, 400000),
                                .duplicate_ppm = (uint32_t)roll(x, 200000),
                                .reorder_ppm = (uint32_t)roll(x, 200000),
                                .reorder_us = roll(x, VTIME_MS(200)),
                                .jitter_us = roll(x, VTIME_MS(60))};
    x->clears_at = x->s->w->now + roll(x, VTIME_S(60));
}

static void happen_block(struct chaos *x)
{
    int a = (int)roll(x, (uint64_t)x->count), b = (int)roll(x, (uint64_t)x->count);
    for (size_t i = 0; i < sizeof x->blocks / sizeof *x->blocks && a != b; i++)
        if (x->blocks[i].until == 0) {
            x->blocks[i].a = x->people[a].host;
            x->blocks[i].b = x->people[b].host;
            x->blocks[i].until = x->s->w->now + 1 + roll(x, VTIME_S(100));
            world_block(x->s->w, x->blocks[i].a, x->blocks[i].b, roll(x, 3) > 0);
            return;
        }
}

static void happen_rebind(struct chaos *x, const struct person *p)
{
    int box = scene_natbox(x->s, p->host);
    if (box >= 0)
        world_rebind(x->s->w, box, NULL);
}

static void happen_server(struct chaos *x)
{
    if (x->server_at)
        return;
    sim_server_kill(x->s->server);
    x->server_at = x->s->w->now + 1 + roll(x, VTIME_S(roll(x, 3) ? 10 : 150));
}

static void happen(struct chaos *x)
{
    struct person *p = &x->people[roll(x, (uint64_t)x->count)];
    switch (roll(x, 30)) {
    case 0:
        happen_death(x, p);
        break;
    case 1:
        happen_sleep(x, p);
        break;
    case 2:
        happen_stall(x, p);
        break;
    case 3:
        happen_weather(x);
        break;
    case 4:
        happen_block(x);
        break;
    case 5:
        happen_rebind(x, p);
        break;
    case 6:
        happen_server(x);
        break;
    default:
        happen_talk(x, p);
    }
}

/* ---- what passes ---- */

static void pass_person(struct chaos *x, int i, bool calm)
{
    struct person *p = &x->people[i];
    vtime_us now = x->s->w->now;
    if (p->wakes_at && (calm || p->wakes_at <= now)) {
        p->wakes_at = 0;
        world_sleep(x->s->w, p->host, false);
        if (p->c)
            sim_client_woke(p->c);
    }
    if (p->c && p->c->ended) {
        p->c = NULL;
        p->back_at = now + roll(x, VTIME_S(20));
    }
    if (p->reads_at && p->wakes_at == 0 && (calm || p->reads_at <= now)) {
        p->reads_at = 0;
        if (p->c)
            sim_client_stall(p->c, false);
    }
    if (!p->c && (calm || p->back_at <= now)) {
        p->reads_at = 0;
        person_start(x, i);
    }
}

static void pass(struct chaos *x, bool calm)
{
    vtime_us now = x->s->w->now;
    if (x->server_at && (calm || x->server_at <= now)) {
        x->server_at = 0;
        scene_restart_server(x->s);
    }
    for (size_t i = 0; i < sizeof x->blocks / sizeof *x->blocks; i++)
        if (x->blocks[i].until && (calm || x->blocks[i].until <= now)) {
            x->blocks[i].until = 0;
            world_unblock(x->s->w, x->blocks[i].a, x->blocks[i].b);
        }
    if (calm || x->clears_at <= now)
        x->s->w->weather = (struct weather){0};
    for (int i = 0; i < x->count; i++)
        pass_person(x, i, calm);
}

/* ---- calm ---- */

static enum engine_path best_path(const struct person *a, const struct person *b)
{
    if (a->lan == b->lan && a->kind->config)
        return PATH_LAN;
    /* A poisoned port stays so while both keep trying on the same sockets. */
    if (a->kind->config == &natbox_masquerade_open || b->kind->config == &natbox_masquerade_open)
        return PATH_RELAY;
    if ((a->has_v6 && b->has_v6) || nat_hope(a->kind, b->kind) == HOPE_DIRECT)
        return PATH_DIRECT;
    return PATH_RELAY;
}

static bool all_is_well(struct scene *s, void *context)
{
    struct chaos *x = context;
    (void)s;
    for (int i = 0; i < x->count; i++)
        for (int k = 0; k < x->count; k++) {
            const struct person *a = &x->people[i], *b = &x->people[k];
            if (i != k && (judge_peer(x->s->judge, a->c, b->c) == 0 || scene_path(x->s, a->c, b->c) < best_path(a, b)))
                return false;
        }
    return true;
}

/* Who is there: everybody once, and nobody who is dead. */
static bool no_ghosts(struct chaos *x)
{
    for (int i = 0; i < x->count; i++) {
        struct engine_peer peers[PEERS_MAX];
        if (engine_peers(x->people[i].c->e, peers, PEERS_MAX) != (size_t)x->count - 1)
            return false;
    }
    return true;
}

static bool all_calm(struct scene *s, void *context)
{
    return all_is_well(s, context) && no_ghosts(context);
}

static bool all_arrived(struct scene *s, void *context)
{
    struct chaos *x = context;
    for (int i = 0; i < x->count; i++)
        if (!judge_is_settled(s->judge, x->people[i].c))
            return false;
    return true;
}

static void complain(struct chaos *x, const char *what)
{
    static const char *const paths[] = {"none", "relay", "direct", "lan"};
    for (int i = 0; i < x->count; i++) {
        struct engine_peer peers[PEERS_MAX];
        struct person *p = &x->people[i];
        size_t n = engine_peers(p->c->e, peers, PEERS_MAX);
        fprintf(stderr, "%s (%s%s, home %d):", p->c->label, p->kind->name, p->has_v6 ? ", v6" : "", p->lan);
        for (size_t k = 0; k < n && k < PEERS_MAX; k++)
            fprintf(stderr, "  %s %s waiting %u;", peers[k].name, paths[peers[k].path], peers[k].waiting);
        fputc('\n', stderr);
        judge_print_unsettled(x->s->judge, p->c, stderr);
    }
    scene_fail(x->s, "%s", what);
}

static void calm_phase(struct chaos *x)
{
    pass(x, true);
    /* For a while, that is: a session that only one of two has may look like peace for a moment. */
    vtime_us end = x->s->w->now + CHAOS_CALM_US;
    do {
        if (!scene_wait_until(x->s, end - x->s->w->now, all_calm, x))
            complain(x, "calm did not bring everybody together");
        world_run_for(x->s->w, VTIME_S(5));
    } while (!all_calm(x->s, x) && x->s->w->now < end);
    for (int i = 0; i < x->count; i++)
        scene_say(x->s, x->people[i].c, 100);
    if (!scene_wait_until(x->s, VTIME_S(30), all_arrived, x))
        complain(x, "not everything arrived in calm weather");
    for (int i = 0; i < x->count; i++) {
        struct sim_client *c = x->people[i].c;
        if (sim_client_event(c, EVENT_DELIVERED, 0, 0, 0) == NULL && x->count > 1)
            complain(x, "somebody had nothing delivered");
    }
}

/* Somebody with the same room (or bucket) and another keyword: for ever a stranger. */
static void stranger_new(struct chaos *x)
{
    const char *keyword = x->s->keyword;
    int host = scene_home(x->s, VTIME_MS(30), &natbox_port_restricted);
    x->s->keyword = strchr(keyword, '-') ? "42-quite-other-words" : "quite other words";
    struct sim_client *c = scene_join(x->s, host, "stranger");
    scene_say(x->s, c, 100);
    x->s->keyword = keyword;
}

/* Pairs that are direct where only guesses can do it. */
static void count_guessed(const struct chaos *x, struct chaos_result *r)
{
    for (int i = 0; i < x->count; i++)
        for (int k = 0; k < i; k++) {
            const struct person *a = &x->people[i], *b = &x->people[k];
            enum hope hope = nat_hope(a->kind, b->kind);
            if (a->lan == b->lan || x->all_v6 || (hope != HOPE_PREDICTION && hope != HOPE_BIRTHDAY))
                continue;
            r->guessable++;
            r->guessed += scene_path(x->s, a->c, b->c) == PATH_DIRECT && scene_path(x->s, b->c, a->c) == PATH_DIRECT;
        }
}

struct chaos_result chaos_run(uint64_t seed, void (*fail)(const char *why))
{
    struct chaos x = {.s = scene_new("chaos", seed), .d = {.state = ~seed}, .hard = seed >= CHAOS_HARD_FIRST};
    x.s->fail = fail;
    x.s->w->timer_slack_us = roll(&x, 2) ? VTIME_MS(3) : 0;
    x.s->w->core_hops = 1 + (int)roll(&x, 4);
    x.s->keyword = roll(&x, 3) ? "42-crab-lunar-toast" : "crab lunar toast";
    x.all_v6 = roll(&x, 4) == 0;
    int people = 2 + (int)roll(&x, PEOPLE_MAX - 1);
    for (int i = 0; i < people; i++) {
        person_new(&x);
        x.people[i].back_at = roll(&x, VTIME_S(20));
    }
    if (seed % 4 == 2)
        stranger_new(&x);
    vtime_us end = VTIME_S(30) + roll(&x, VTIME_S(300));
    while (x.s->w->now < end) {
        pass(&x, false);
        happen(&x);
        world_run_for(x.s->w, roll(&x, VTIME_MS(roll(&x, 4) ? 500 : 5000)));
    }
    calm_phase(&x);
    struct chaos_result r = {.hash = x.s->w->trace.hash,
                             .messages = x.s->judge->shown,
                             .datagrams = x.s->w->fates[FATE_SENT],
                             .virtual_us = x.s->w->now};
    count_guessed(&x, &r);
    scene_free(x.s);
    return r;
}
