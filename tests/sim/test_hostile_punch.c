/* Members, servers and strangers who lie about NATs, to have ports guessed that are somebody else's, sockets opened
 * again and again, or others' tries held up (docs/attacks.md is the table). */
#include <string.h>

#include "hostile_member.h"
#include "hostile_server.h"
#include "meeting.h"
#include "scene_test.h"

enum {
    PROBES_MAX = 1900, /* to one address in ten minutes, whoever asks for them (docs/protocol.md s7) */
    AT_ONCE = 256,
    GAP_S = 5,         /* plain questions to those who have never answered, and then one in GAP_S */
    RATE_MAX = 500,    /* a second, all together */
    SOCKETS_MAX = 300, /* open at any time */
    LOW_TTL = 6,       /* dies on the way */
};

static const struct addr third = {.family = ADDR_V4, .ip = {192, 0, 2, 66}}; /* nobody answers there */
static const struct addr fourth = {.family = ADDR_V4, .ip = {192, 0, 2, 99}};

static uint64_t allowed_to_anybody(vtime_us us)
{
    return AT_ONCE + us / VTIME_S(GAP_S) + 1;
}

/* ---- what an address gets of one host ---- */

struct target {
    struct world *w;
    struct addr ip;
    int host;              /* that sends */
    uint64_t packets, low; /* all, and those that die on the way */
    vtime_us latest[RATE_MAX + 1];
    bool too_fast;
};

static void target_tap(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct target *t = context;
    (void)actor;
    if (fate != FATE_SENT || node != t->host || !addr_ip_equal(&p->dst, &t->ip))
        return;
    vtime_us *oldest = &t->latest[t->packets % (RATE_MAX + 1)];
    t->too_fast |= t->packets > RATE_MAX && t->w->now - *oldest < VTIME_S(1);
    *oldest = t->w->now;
    t->packets++;
    t->low += p->ttl <= LOW_TTL;
}

static void target_watch(struct target *t, struct world *w, int host, const struct addr *ip)
{
    *t = (struct target){.w = w, .ip = *ip, .host = host};
    world_add_tap(w, target_tap, t);
}

/* ---- somebody who lies about NATs, and says it over and over ---- */

#define DEPENDENT NAT_ADDRESS_AND_PORT_DEPENDENT
struct says {
    uint8_t mapping, filtering, ports;
};
static const struct says strict = {NAT_ENDPOINT_INDEPENDENT, DEPENDENT, NAT_PORTS_PRESERVED};
static const struct says sequential = {DEPENDENT, DEPENDENT, NAT_PORTS_SEQUENTIAL};
static const struct says keeps = {DEPENDENT, DEPENDENT, NAT_PORTS_PRESERVED};
static const struct says random_ports = {DEPENDENT, DEPENDENT, NAT_PORTS_RANDOM};

/* What ann is, what mel says to be, and the number of ports in an Aim that do most harm. */
static const struct {
    const char *title, *kind;
    const struct says *says;
    uint8_t worst;
} rows[] = {
    {"strict and random", "port-restricted", &random_ports, 0},
    {"strict and sequential", "port-restricted", &sequential, AIM_PORTS_MAX},
    {"strict and strict", "port-restricted", &strict, 1},
    {"random and strict", "symmetric", &strict, 1},
    {"sequential and strict", "sequential", &strict, 1},
    {"sequential and sequential", "sequential", &sequential, AIM_PORTS_MAX},
    {"kept and kept", "keeps-first", &keeps, AIM_PORTS_MAX},
};
/* How mel goes about it: how often she begins a try herself, beside answering. */
static const struct {
    const char *name;
    vtime_us begins_us; /* 0: never */
} ways[] = {{"answers", 0}, {"begins", VTIME_MS(250)}, {"takes her time", VTIME_S(5)}};
enum { ROWS = sizeof rows / sizeof *rows, WAYS = sizeof ways / sizeof *ways, CASES = ROWS * WAYS };
#define FLOOD_US VTIME_MS(250)

struct lie {
    struct scene *s;
    struct hostile_server *h; /* NULL: the server is honest */
    struct sim_client *a;     /* ann, behind row's kind */
    struct hostile_member *m; /* mel, on a public address */
    struct hostile_run *run;
    unsigned lives; /* mel's */
    size_t row, way;
    struct addr at;                     /* that mel says to be at */
    uint32_t attempt, theirs, answered; /* mel's newest, ann's newest, the newest of ann's that mel has answered */
    vtime_us begins_at;
    struct target target; /* `at`, of ann */
};

static void take_aim(struct hostile_member *m, struct hostile_run *run, const struct frame *f)
{
    struct lie *t = m->context;
    (void)run;
    if (f->kind == FRAME_AIM && f->aim.attempt > t->theirs)
        t->theirs = f->aim.attempt;
}

static void tell_offer(struct lie *t, const struct says *c)
{
    struct frame_offer *o = &t->m->offer;
    o->generation++;
    o->mapping = c->mapping;
    o->filtering = c->filtering;
    o->ports = c->ports;
    o->candidate_count = 1;
    o->candidates[0] = (struct candidate){t->at, CANDIDATE_OBSERVED};
    const struct frame f = {.kind = FRAME_OFFER, .offer = *o};
    if (t->run)
        hostile_member_say(t->m, t->run, &f);
}

static void tell_aim(struct lie *t, uint32_t attempt, uint16_t port, uint8_t count)
{
    struct frame f = {.kind = FRAME_AIM, .aim = {.attempt = attempt, .address = t->at, .stride = 7, .count = count}};
    f.aim.address.port = port;
    if (attempt > t->attempt)
        t->attempt = attempt;
    hostile_member_say(t->m, t->run, &f);
}

/* Ann's own try is answered in each way that there is, the worst first; or another is begun for her. */
static void flood_once(struct lie *t)
{
    const uint8_t counts[] = {rows[t->row].worst, 1, 0, AIM_PORTS_MAX};
    const uint16_t port = (uint16_t)(1024 + dice_below(&t->s->w->dice, 60000));
    const vtime_us begins_us = ways[t->way].begins_us;
    uint32_t attempt = t->attempt;
    if (t->theirs > t->answered) {
        attempt = t->answered = t->theirs;
    } else if (begins_us > 0 && t->s->w->now >= t->begins_at) {
        attempt++;
        t->begins_at = t->s->w->now + begins_us;
    }
    for (size_t i = 0; attempt > 0 && i < sizeof counts; i++)
        tell_aim(t, attempt, (uint16_t)(port + i), counts[i]);
}

/* With all her might for a minute, and then on and on. */
static void flood(struct lie *t, vtime_us us)
{
    const vtime_us start = t->s->w->now;
    for (vtime_us gap = FLOOD_US; t->s->w->now < start + us; world_run_for(t->s->w, gap)) {
        flood_once(t);
        gap = t->s->w->now < start + VTIME_S(60) ? FLOOD_US : VTIME_S(2);
    }
}

static uint64_t mask_of(const struct frame_linked *f)
{
    uint64_t mask = 0;
    for (int k = 8; k-- > 0;)
        mask = mask << 8 | f->token[k];
    return mask;
}

static bool agrees_with_mel(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    const struct lie *t = h->context;
    (void)who;
    (void)at;
    if (f->kind == FRAME_LINKED)
        f->linked.observed = addr_mask(&t->at, mask_of(&f->linked));
    return false;
}

static void mel_comes(struct lie *t, int host)
{
    char label[TRACE_NAME_MAX];
    snprintf(label, sizeof label, "mel%u", ++t->lives);
    t->m = hostile_member_new(t->s, host, NULL, label);
    t->m->habits.tells = true;
    t->m->context = t;
    t->m->on_frame = take_aim;
    if (t->at.family == ADDR_NONE)
        t->at = t->m->addr;
}

/* at NULL: where mel really is. Ann has found out about her NAT before mel comes. */
static struct lie *lie_new(const char *title, size_t i, const struct addr *at, bool server_agrees, uint64_t seed)
{
    struct lie *t = calloc(1, sizeof *t);
    t->row = i / WAYS;
    t->way = i % WAYS;
    t->s = scene_test(title, seed);
    if (server_agrees) {
        t->h = hostile_server_new(t->s);
        t->h->context = t;
        t->h->down = agrees_with_mel;
    }
    int home = scene_home_of(t->s, VTIME_MS(10), nat_kind_find(rows[t->row].kind));
    t->a = scene_join(t->s, home, "ann");
    world_run_for(t->s->w, VTIME_S(5));
    if (at) {
        t->at = *at;
        t->at.port = 5000;
    }
    mel_comes(t, scene_home(t->s, VTIME_MS(10), NULL));
    target_watch(&t->target, t->s->w, home, &t->at);
    tell_offer(t, rows[t->row].says);
    t->run = hostile_member_meet(t->m, t->a, VTIME_S(10));
    world_run_for(t->s->w, VTIME_S(1));
    return t;
}

static void lie_free(struct lie *t)
{
    scene_free(t->s);
    hostile_member_free(t->m);
    if (t->h)
        hostile_server_free(t->h);
    free(t);
}

static void report(const struct lie *t, const char *what)
{
    print_message("%s, %s, mel %s: %llu datagrams, %llu of them die on the way; %u sockets opened, %u at once\n", what,
                  rows[t->row].title, ways[t->way].name, (unsigned long long)t->target.packets,
                  (unsigned long long)t->target.low, t->a->sockets_opened, t->a->sockets_open_most);
}

static bool has_one_socket(void *context)
{
    return ((const struct sim_client *)context)->sockets_open == 1;
}

/* Never too many, and after a try but the one that she began with (and of the next try is time enough between). */
static void check_sockets(struct scene *s, struct sim_client *c)
{
    scene_check(s, c->sockets_open_most <= SOCKETS_MAX);
    if (!world_run_while_not(s->w, VTIME_S(120), has_one_socket, c))
        scene_fail(s, "%u sockets of %s are open", c->sockets_open, c->label);
}

/* ---- third parties ---- */

/* Attack: a member says to be at a third party's address, of whatever class, and floods Aims there.
 * Bound: the server has not seen it there, so no more than for any Offer, what dies on the way included. */
static void test_aims_at_a_third_party(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct lie *t = lie_new("aims at a third party", i, &third, false, 1);
        flood(t, VTIME_S(600));
        report(t, "a third party, ten minutes");
        scene_check(t->s, t->target.packets <= allowed_to_anybody(VTIME_S(601)));
        scene_check(t->s, !t->target.too_fast);
        check_sockets(t->s, t->a);
        lie_free(t);
    }
}

/* Attack: the same, and the server agrees.
 * Bound: what an address may get at all, of each who believes it: 1,900 in ten minutes beside the plain questions. */
static void test_member_and_server_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct lie *t = lie_new("a member and the server agree", i, &third, true, 1);
        flood(t, VTIME_S(590));
        report(t, "member and server, ten minutes");
        scene_check(t->s, t->target.packets <= PROBES_MAX + allowed_to_anybody(VTIME_S(591)));
        scene_check(t->s, !t->target.too_fast);
        if (i == 0) { /* the most; so the test reaches what it is about */
            scene_check(t->s, t->target.packets >= PROBES_MAX);
            flood(t, VTIME_S(3600));
            report(t, "member and server, another hour");
            scene_check(t->s, t->target.packets <= 4 * PROBES_MAX + allowed_to_anybody(VTIME_S(4191)));
        }
        check_sockets(t->s, t->a);
        lie_free(t);
    }
}

struct two {
    struct scene *s;
    struct hostile_server *h;
    struct sim_client *c[2];
    struct addr real[2];
    const struct addr *lie[2];
};

static bool replace(const struct two *t, struct addr *a)
{
    for (int i = 0; i < 2; i++)
        if (addr_ip_equal(a, &t->real[i])) {
            memcpy(a->ip, t->lie[i]->ip, sizeof a->ip);
            return true;
        }
    return false;
}

static bool moves_both(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    const struct two *t = h->context;
    (void)at;
    struct addr *masked = f->kind == FRAME_REGISTERED ? &f->registered.observed
                          : f->kind == FRAME_LINKED   ? &f->linked.observed
                                                      : NULL;
    if (masked && masked->family != ADDR_NONE) {
        uint64_t mask = f->kind == FRAME_REGISTERED ? who->token : mask_of(&f->linked);
        struct addr a = addr_mask(masked, mask);
        replace(t, &a);
        *masked = addr_mask(&a, mask);
    }
    return false;
}

static void moves_probed(struct hostile_server *h, const struct addr *to, struct frame *f)
{
    (void)to;
    struct addr a = addr_mask(&f->probed.observed, f->probed.token);
    if (replace(h->context, &a))
        f->probed.observed = addr_mask(&a, f->probed.token);
}

static struct two two_new(const char *title, const char *a, const char *b)
{
    static const char *const names[] = {"ann", "bob"};
    struct two t = {.s = scene_test(title, 1), .lie = {&third, &fourth}};
    const char *kinds[] = {a, b};
    int home[2];
    t.h = hostile_server_new(t.s);
    for (int i = 0; i < 2; i++) {
        home[i] = scene_home_of(t.s, VTIME_MS(20), nat_kind_find(kinds[i]));
        t.real[i] = *world_addr(t.s->w, scene_natbox(t.s, home[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        t.c[i] = scene_join(t.s, home[i], names[i]);
        world_run_for(t.s->w, VTIME_MS(1));
    }
    return t;
}

static void check_chat(struct two *t)
{
    for (int i = 0; i < 2; i++)
        scene_say(t->s, t->c[i], 500);
    scene_settle(t->s, t->c[0], t->c[1], VTIME_S(10));
}

static void two_free(struct two *t)
{
    scene_free(t->s);
    hostile_server_free(t->h);
}

/* Attack: the server alone tells two honest people behind hard NATs, whenever it says where somebody is, that each is
 * at another third party's address.
 * Sees: that they stay relayed. Bound: the same of each of the two. */
static void test_a_server_that_moves_both(void **state)
{
    (void)state;
    static const char *const kinds[][2] = {
        {"port-restricted", "symmetric"}, {"port-restricted", "sequential"}, {"sequential", "sequential"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct two t = two_new("a server that moves both", kinds[i][0], kinds[i][1]);
        struct target target[2];
        t.h->context = &t;
        t.h->down = moves_both;
        t.h->on_probed = moves_probed;
        for (int k = 0; k < 2; k++)
            target_watch(&target[k], t.s->w, t.c[k]->host, t.lie[1 - k]);
        scene_meet(t.s, t.c[0], t.c[1], VTIME_S(10));
        world_run_for(t.s->w, VTIME_S(590));
        print_message(
            "a server that moves both, %s and %s, ten minutes: %llu and %llu datagrams, %llu and %llu of them "
            "die on the way\n",
            kinds[i][0], kinds[i][1], (unsigned long long)target[0].packets, (unsigned long long)target[1].packets,
            (unsigned long long)target[0].low, (unsigned long long)target[1].low);
        for (int k = 0; k < 2; k++) {
            scene_check(t.s, target[k].packets <= PROBES_MAX + allowed_to_anybody(VTIME_S(600)));
            scene_check(t.s, !target[k].too_fast);
        }
        scene_check(t.s, i > 0 || target[0].packets >= PROBES_MAX);
        check_chat(&t);
        check_sockets(t.s, t.c[0]);
        check_sockets(t.s, t.c[1]);
        two_free(&t);
    }
}

/* ---- answers of Probe that are none ---- */

static void lies_probed(struct hostile_server *h, const struct addr *to, struct frame *f)
{
    struct two *t = h->context;
    struct addr a = addr_mask(&f->probed.observed, f->probed.token);
    unsigned kind = (unsigned)(uintptr_t)t->lie[0]; /* see below */
    (void)to;
    switch (kind) {
    case 0: /* the right address, any port */
        a.port = (uint16_t)(1 + dice_below(&t->s->w->dice, 65535));
        break;
    case 1: /* any address */
        dice_bytes(&t->s->w->dice, a.ip, 4);
        break;
    case 2:
        memcpy(a.ip, third.ip, sizeof a.ip);
        break;
    case 3:
        a.port = 0;
        break;
    case 4:
        addr_parse(&a, "[2001:db8::66]:77");
        break;
    case 5: /* at the end of all ports: predictions go over it */
        a.port = 65535;
        break;
    default: /* another token: no answer to anything */
        f->probed.token++;
    }
    f->probed.observed = addr_mask(&a, f->probed.token);
}

/* Attack: a server whose answers about NATs are wrong.
 * Sees: that they stay relayed. Bound: nobody else gets a guess, and no socket stays open. */
static void test_a_server_that_lies_about_nats(void **state)
{
    (void)state;
    for (uintptr_t kind = 0; kind < 7; kind++) {
        struct two t = two_new("a server that lies about NATs", "port-restricted", "sequential");
        struct target target[2];
        t.lie[0] = (const struct addr *)kind;
        t.h->context = &t;
        t.h->on_probed = lies_probed;
        for (int k = 0; k < 2; k++)
            target_watch(&target[k], t.s->w, t.c[k]->host, &third);
        scene_meet(t.s, t.c[0], t.c[1], VTIME_S(10));
        world_run_for(t.s->w, VTIME_S(300));
        scene_check(t.s, target[0].packets == 0 && target[1].packets == 0);
        check_chat(&t);
        check_sockets(t.s, t.c[0]);
        two_free(&t);
    }
}

/* Attack: a stranger sends answers in the server's name, all the time.
 * Bound: nothing; the tokens are not to be guessed. */
static void test_forged_probed(void **state)
{
    (void)state;
    struct scene *s = scene_test("forged Probed", 1);
    int eve = scene_home(s, VTIME_MS(5), NULL);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), NULL), "ann");
    const struct addr sources[] = {addr_v4(198, 51, 100, 1, SIM_SERVER_PORT),
                                   addr_v4(198, 51, 100, 1, SIM_SERVER_ALTERNATE_PORT),
                                   addr_v4(198, 51, 100, 2, SIM_SERVER_ALTERNATE_PORT)};
    uint64_t sent = 0;
    for (vtime_us end = s->w->now + VTIME_S(4); s->w->now < end; world_run_for(s->w, VTIME_MS(5)))
        for (unsigned k = 0; k < ENGINE_SOCKETS_MAX; k++)
            for (size_t i = 0; a->sockets[k] >= 0 && i < sizeof sources / sizeof *sources; i++) {
                uint8_t bytes[DATAGRAM_BYTES_MAX], token[8];
                struct frame f = {.kind = FRAME_PROBED};
                struct addr at = *world_addr(s->w, a->host, 0);
                at.port = world_port(s->w, a->sockets[k]);
                dice_bytes(&s->w->dice, token, sizeof token);
                memcpy(&f.probed.token, token, sizeof token);
                f.probed.observed = addr_mask(&third, f.probed.token);
                f.probed.observed.port = 9;
                hostile_spoof(s->w, eve, &sources[i], &at, bytes, codec_encode(&f, bytes, sizeof bytes));
                sent++;
            }
    const struct sim_event *nat = sim_client_event(a, EVENT_NAT, 0, 0, 0);
    print_message("forged Probed: %llu\n", (unsigned long long)sent);
    scene_check(s, sent > 2000 && nat != NULL);
    scene_check(s, nat->e.mapping == NAT_NONE && nat->e.filtering == NAT_NONE && nat->e.ports == NAT_PORTS_PRESERVED);
    scene_free(s);
}

/* ---- sockets, again and again ---- */

/* Attack: a member at its own address has ann open 256 sockets whenever it can, for an hour; then it comes again.
 * Bound: 256 in ten minutes, then in 20, 40, 80, whoever asks from that address. */
static void test_sockets_again_and_again(void **state)
{
    (void)state;
    enum { RANDOM_AND_STRICT = 3, COMES = 4, TRY = 256 + 1 };
    for (size_t way = 1; way < WAYS; way++) {
        struct lie *t = lie_new("sockets again and again", RANDOM_AND_STRICT * WAYS + way, NULL, false, 1);
        struct hostile_member *gone[COMES];
        const unsigned before = t->a->sockets_opened;
        scene_check(t->s, rows[t->row].says == &strict);
        flood(t, VTIME_S(3600));
        report(t, "an hour");
        /* At 0, 10 and 30 minutes (some earlier, as it is refused half a minute less). With each there are pings. */
        scene_check(t->s, t->a->sockets_opened - before > TRY && t->a->sockets_opened - before <= 3 * TRY + 3 * 120);
        const unsigned hour = t->a->sockets_opened;
        for (unsigned i = 0; i < COMES; i++) {
            gone[i] = t->m;
            hostile_member_leave(t->m);
            world_remove_actor(t->s->w, t->m->actor);
            world_run_for(t->s->w, VTIME_S(90));
            t->attempt = t->theirs = t->answered = 0;
            t->run = NULL;
            mel_comes(t, t->m->host);
            tell_offer(t, rows[t->row].says);
            t->run = hostile_member_meet(t->m, t->a, VTIME_S(60));
            flood(t, VTIME_S(60));
        }
        report(t, "and when mel has come again four times");
        scene_check(t->s, t->a->sockets_opened - hour <= TRY + 120);
        check_sockets(t->s, t->a);
        for (unsigned i = 0; i < COMES; i++)
            hostile_member_free(gone[i]);
        lie_free(t);
    }
}

/* ---- others' tries ---- */

static bool are_direct(struct lie *t, struct sim_client *b)
{
    return scene_path(t->s, t->a, b) == PATH_DIRECT && scene_path(t->s, b, t->a) == PATH_DIRECT;
}

static const char *reason_of(const struct lie *t, const struct sim_client *of, const struct sim_client *to)
{
    struct engine_peer peers[PEERS_MAX];
    size_t n = engine_peers(of->e, peers, PEERS_MAX);
    for (size_t i = 0; i < n && i < PEERS_MAX; i++)
        if (peers[i].peer == judge_peer(t->s->judge, of, to))
            return peers[i].reason;
    return "";
}

/* Bob comes while mel floods. Returns how long it took from when they knew each other. */
static vtime_us bob_comes(struct lie *t, const char *kind, vtime_us within_us, void (*once)(struct lie *t))
{
    struct sim_client *b = scene_join(t->s, scene_home_of(t->s, VTIME_MS(30), nat_kind_find(kind)), "bob");
    while (judge_peer(t->s->judge, t->a, b) == 0 || judge_peer(t->s->judge, b, t->a) == 0) {
        once(t);
        world_run_for(t->s->w, VTIME_MS(20));
    }
    vtime_us known = t->s->w->now, flooded = known;
    while (!are_direct(t, b) && t->s->w->now < known + within_us) {
        world_run_for(t->s->w, VTIME_MS(20));
        if (t->s->w->now < flooded + FLOOD_US)
            continue;
        once(t);
        flooded = t->s->w->now;
    }
    if (!are_direct(t, b))
        scene_fail(t->s, "%s, mel %s, bob %s: not direct within %.0f s; ann: %s; bob: %s", rows[t->row].title,
                   ways[t->way].name, kind, (double)within_us / 1e6, reason_of(t, t->a, b), reason_of(t, b, t->a));
    return t->s->w->now - known;
}

#define BESIDE_US VTIME_S(12)

/* Attack: a member keeps ann busy with its tries.
 * Bound: one such try takes 2.5 s, or 7 s where ports are guessed; then it is the honest pair's turn. */
static void test_an_honest_pair_beside_a_flood(void **state)
{
    (void)state;
    static const char *const partners[ROWS][2] = {
        {"sequential", "symmetric"},       {"sequential", "symmetric"},       {"sequential", "symmetric"},
        {"port-restricted", NULL},         {"port-restricted", "sequential"}, {"port-restricted", "sequential"},
        {"port-restricted", "sequential"},
    };
    enum { SEEDS = 10 };
    for (size_t i = 0; i < CASES; i++)
        for (size_t k = 0; k < 2 && partners[i / WAYS][k]; k++) {
            struct sample took = {0};
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                struct lie *t = lie_new("an honest pair beside a flood", i, NULL, false, seed);
                flood(t, VTIME_MS(250) + dice_below(&t->s->w->dice, VTIME_S(8)));
                sample_add(&took, bob_comes(t, partners[t->row][k], BESIDE_US, flood_once));
                lie_free(t);
            }
            print_message("mel floods, %s, %s, and bob is %s: direct after %.2f s (median), %.2f s (most)\n",
                          rows[i / WAYS].title, ways[i % WAYS].name, partners[i / WAYS][k],
                          (double)sample_percentile(&took, 50) / 1e6, (double)sample_percentile(&took, 100) / 1e6);
            sample_free(&took);
        }
}

/* Any class, any numbers, any candidate, all the time. */
static void nonsense(struct lie *t)
{
    static const uint32_t attempts[] = {1, 2, 3, 1000, UINT32_MAX - 1, UINT32_MAX};
    struct dice *d = &t->s->w->dice;
    struct addr at = t->at;
    t->at = dice_below(d, 3) ? at : third;
    const struct says any = {(uint8_t)dice_below(d, NAT_BEHAVIOURS), (uint8_t)dice_below(d, NAT_BEHAVIOURS),
                             (uint8_t)dice_below(d, NAT_PORTS_KINDS)};
    if (dice_below(d, 4) == 0)
        tell_offer(t, &any);
    for (int i = 0; i < 4; i++)
        tell_aim(t, attempts[dice_below(d, sizeof attempts / sizeof *attempts)], (uint16_t)(1 + dice_below(d, 65535)),
                 (uint8_t)dice_below(d, AIM_PORTS_MAX + 1));
    t->at = at;
}

/* Attack: Offers and Aims that make no sense, and numbers of tries up to the last; then the end of all tries.
 * Bound: its own path. */
static void test_nonsense(void **state)
{
    (void)state;
    enum { SEEDS = 10 };
    struct sample took = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct lie *t = lie_new("nonsense", 0, NULL, false, seed);
        struct target aside;
        target_watch(&aside, t->s->w, t->a->host, &third);
        for (int i = 0; i < 200; i++) {
            nonsense(t);
            world_run_for(t->s->w, VTIME_MS(50));
        }
        sample_add(&took, bob_comes(t, "sequential", VTIME_S(15), nonsense));
        const struct frame stop = {.kind = FRAME_AIM, .aim = {.attempt = 1, .stop = true}};
        hostile_member_say(t->m, t->run, &stop);
        world_run_for(t->s->w, VTIME_S(1));
        scene_check(t->s, scene_path(t->s, t->a, t->m->mask) == PATH_RELAY);
        scene_check(t->s, aside.packets <= allowed_to_anybody(VTIME_S(60)));
        scene_check(t->s, t->a->sockets_open_most <= SOCKETS_MAX);
        lie_free(t);
    }
    print_message("nonsense: an honest pair is direct after %.2f s (median), %.2f s (most)\n",
                  (double)sample_percentile(&took, 50) / 1e6, (double)sample_percentile(&took, 100) / 1e6);
    sample_free(&took);
}

/* Attack: says that its router is full, so that nobody guesses any more.
 * Bound: with itself. */
static void test_stop(void **state)
{
    (void)state;
    struct lie *t = lie_new("stop", 0, NULL, false, 1);
    const struct frame stop = {.kind = FRAME_AIM, .aim = {.attempt = 1, .stop = true}};
    uint64_t before = 0;
    for (int i = 0; i < 10; i++) {
        hostile_member_say(t->m, t->run, &stop);
        world_run_for(t->s->w, VTIME_MS(100));
        before = t->target.packets;
    }
    flood(t, VTIME_S(60));
    scene_check(t->s, t->target.packets <= before + allowed_to_anybody(VTIME_S(60)));
    vtime_us took = bob_comes(t, "symmetric", VTIME_S(5), flood_once);
    print_message("stop: an honest pair is direct by guessing after %.2f s\n", (double)took / 1e6);
    lie_free(t);
}

int main(void)
{
    scene_test_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aims_at_a_third_party),
        cmocka_unit_test(test_member_and_server_agree),
        cmocka_unit_test(test_a_server_that_moves_both),
        cmocka_unit_test(test_a_server_that_lies_about_nats),
        cmocka_unit_test(test_forged_probed),
        cmocka_unit_test(test_sockets_again_and_again),
        cmocka_unit_test(test_an_honest_pair_beside_a_flood),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
