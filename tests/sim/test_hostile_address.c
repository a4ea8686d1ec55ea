/* Members and servers who lie about addresses: what a machine that has nothing to do with it gets to see of it, and
 * that nobody can turn a path where it does not belong (docs/attacks.md is the table). */
#include <string.h>

#include "hostile_member.h"
#include "hostile_server.h"
#include "scene_test.h"

/* What a session may send to addresses that never answered: at once, and from then on (docs/protocol.md s7). */
enum { AT_ONCE = 256, GAP_S = 5 };

static uint64_t allowed(vtime_us us)
{
    return AT_ONCE + us / VTIME_S(GAP_S) + 1;
}

static const struct addr third = {.family = ADDR_V4, .ip = {192, 0, 2, 66}}; /* nobody answers there */

struct aimed {
    struct scene *s;
    struct sim_client *a, *b;
    struct hostile_member *m;
    struct hostile_run *run;
    struct hostile_victim victim;
};

static struct aimed *aimed_new(const char *title, const struct addr *victim)
{
    struct aimed *t = calloc(1, sizeof *t);
    t->s = scene_test(title, 1);
    t->a = scene_join(t->s, scene_home(t->s, VTIME_MS(10), NULL), "ann");
    world_run_for(t->s->w, VTIME_S(1));
    t->b = scene_join(t->s, scene_home(t->s, VTIME_MS(10), NULL), "bob");
    scene_meet_by(t->s, t->a, t->b, PATH_DIRECT, VTIME_S(5));
    t->m = hostile_member_new(t->s, scene_home(t->s, VTIME_MS(10), NULL), NULL, "mel");
    t->run = hostile_member_meet(t->m, t->a, VTIME_S(5));
    world_run_for(t->s->w, VTIME_S(5));
    t->victim = (struct hostile_victim){.ip = *victim, .but = t->m->host};
    hostile_watch(t->s->w, &t->victim);
    return t;
}

static void aimed_free(struct aimed *t)
{
    scene_free(t->s);
    hostile_member_free(t->m);
    free(t);
}

static void check_friends(struct aimed *t)
{
    scene_say(t->s, t->a, 500);
    scene_say(t->s, t->b, 500);
    world_run_for(t->s->w, VTIME_S(2));
    scene_check(t->s, judge_has_all(t->s->judge, t->a, t->b) && judge_has_all(t->s->judge, t->b, t->a));
    scene_check(t->s, scene_path(t->s, t->a, t->b) == PATH_DIRECT);
}

static void report(const struct aimed *t, const char *what)
{
    print_message("%s: %llu datagrams, %llu bytes, the largest %u\n", what, (unsigned long long)t->victim.packets,
                  (unsigned long long)t->victim.bytes, t->victim.largest);
}

/* Attack: candidates that nobody may be made to send to: own loopback, the LAN, the server, everybody at once.
 * Sees: nothing. Bound: not one datagram. */
static void test_forbidden_candidates(void **state)
{
    (void)state;
    const struct addr bad[] = {
        addr_v4(127, 0, 0, 1, 53),       addr_v4(0, 0, 0, 0, 53),           addr_v4(10, 0, 0, 1, 53),
        addr_v4(192, 168, 1, 1, 80),     addr_v4(172, 16, 0, 1, 53),        addr_v4(169, 254, 169, 254, 80),
        addr_v4(224, 0, 0, 251, 5353),   addr_v4(239, 255, 255, 250, 1900), addr_v4(255, 255, 255, 255, 67),
        addr_v4(198, 51, 100, 1, 41414), addr_v4(250, 1, 1, 1, 9),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct aimed *t = aimed_new("forbidden candidates", &bad[i]);
        t->victim.ip.port = bad[i].port;
        bool is_server = bad[i].port == SIM_SERVER_PORT;
        uint64_t before = t->s->judge->traffic.to_server;
        hostile_member_offer(t->m, t->run, &bad[i], 1);
        world_run_for(t->s->w, VTIME_S(60));
        if (is_server) /* refreshes and signs of life of three: far below eight probes and their repetitions */
            scene_check(t->s, t->s->judge->traffic.to_server - before <= 60);
        else
            scene_check(t->s, t->victim.packets == 0);
        check_friends(t);
        aimed_free(t);
    }
}

static void eight_of(const struct addr *ip, uint16_t port, struct addr ret[CANDIDATES_MAX])
{
    for (unsigned i = 0; i < CANDIDATES_MAX; i++) {
        ret[i] = *ip;
        ret[i].port = (uint16_t)(port + i);
    }
}

/* Attack: eight candidates, all at a third party, told once.
 * Sees: a peer through the server. Bound: 256 small datagrams and one more in 5 s, from each who believes it; nothing
 * that was said. */
static void test_one_offer(void **state)
{
    (void)state;
    struct aimed *t = aimed_new("one offer", &third);
    struct addr eight[CANDIDATES_MAX];
    eight_of(&third, 5000, eight);
    hostile_member_offer(t->m, t->run, eight, CANDIDATES_MAX);
    world_run_for(t->s->w, VTIME_S(5));
    report(t, "one offer, 5 s");
    scene_check(t->s, t->victim.packets > 8 && t->victim.packets <= 128);
    world_run_for(t->s->w, VTIME_S(55));
    report(t, "one offer, a minute");
    scene_check(t->s, t->victim.packets <= allowed(VTIME_S(60)));
    for (int i = 0; i < 10; i++) {
        scene_say(t->s, t->a, 1000);
        world_run_for(t->s->w, VTIME_S(354));
    }
    report(t, "one offer, an hour");
    scene_check(t->s, t->victim.packets <= allowed(VTIME_S(3600)) && t->victim.largest <= 200);
    check_friends(t);
    aimed_free(t);
}

/* Attack: a new Offer every 10 ms for a minute, each with eight new ports of a third party.
 * Bound: no more than for one Offer. */
static void test_offer_flood(void **state)
{
    (void)state;
    struct aimed *t = aimed_new("offer flood", &third);
    uint64_t sent = 0;
    for (unsigned i = 0; i < 6000; i++) {
        struct addr eight[CANDIDATES_MAX];
        eight_of(&third, (uint16_t)(1000 + 8 * i), eight);
        hostile_member_offer(t->m, t->run, eight, CANDIDATES_MAX);
        sent += t->m->newest_size;
        world_run_for(t->s->w, VTIME_MS(10));
    }
    report(t, "offer flood, a minute");
    print_message("   for %llu bytes of offers\n", (unsigned long long)sent);
    scene_check(t->s, t->victim.packets <= allowed(VTIME_S(60)));
    world_run_for(t->s->w, VTIME_S(10));
    check_friends(t);
    aimed_free(t);
}

/* Attack: the same eight candidates again and again, as new Offers.
 * Bound: no more than for one Offer. */
static void test_same_offer_again(void **state)
{
    (void)state;
    struct aimed *t = aimed_new("the same offer again", &third);
    struct addr eight[CANDIDATES_MAX];
    eight_of(&third, 5000, eight);
    for (unsigned i = 0; i < 600; i++) {
        hostile_member_offer(t->m, t->run, eight, CANDIDATES_MAX);
        world_run_for(t->s->w, VTIME_MS(100));
    }
    report(t, "the same offer again, a minute");
    scene_check(t->s, t->victim.packets <= allowed(VTIME_S(60)));
    aimed_free(t);
}

/* Attack: acknowledges nothing, so that every packet brings name, addresses and opening again, questions included.
 * Bound: still what one Offer may cost, and half a datagram each. */
static void test_fat_questions(void **state)
{
    (void)state;
    struct scene *s = scene_test("fat questions", 1);
    struct hostile_victim victim = {.ip = third, .but = -1};
    struct addr eight[CANDIDATES_MAX];
    eight_of(&third, 5000, eight);
    hostile_watch(s->w, &victim);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(10), NULL), "ann");
    struct hostile_member *m = hostile_member_new(s, scene_home(s, VTIME_MS(10), NULL), NULL, "mel");
    m->habits.no_acks = true;
    hostile_member_offer(m, NULL, eight, CANDIDATES_MAX);
    hostile_member_meet(m, a, VTIME_S(5));
    world_run_for(s->w, VTIME_S(60));
    print_message("fat questions, a minute: %llu datagrams, %llu bytes, the largest %u\n",
                  (unsigned long long)victim.packets, (unsigned long long)victim.bytes, victim.largest);
    scene_check(s, victim.packets > 8 && victim.packets <= allowed(VTIME_S(60)) && victim.largest <= 600);
    scene_free(s);
    hostile_member_free(m);
}

/* Attack: authentic packets that seem to come from a third party (one address; many ports; a reset of the question).
 * Sees: nothing. Bound: eight probes an address, in all no more than for one Offer; no data; the path in use stays. */
static void test_spoofed_sources(void **state)
{
    (void)state;
    struct aimed *t = aimed_new("spoofed sources", &third);
    struct addr at = *world_addr(t->s->w, t->a->host, 0), from = third;
    at.port = world_port(t->s->w, t->a->sockets[ENGINE_SOCKET_V4]);
    const struct frame ask = {.kind = FRAME_PUNCH, .punch = {.challenge = 77}};
    from.port = 4000;
    hostile_member_spoof(t->m, t->run, &from, &at, &ask);
    world_run_for(t->s->w, VTIME_S(5));
    report(t, "one spoofed packet, 5 s");
    scene_check(t->s, t->victim.packets >= 1 && t->victim.packets <= 9); /* an answer and eight questions */
    for (int i = 0; i < 5; i++) {
        scene_say(t->s, t->a, 1000);
        world_run_for(t->s->w, VTIME_MS(200));
    }
    scene_check(t->s, scene_path(t->s, t->a, t->m->mask) == PATH_RELAY);
    uint64_t before = t->victim.packets;
    for (unsigned i = 0; i < 6000; i++) {
        from.port = (uint16_t)(1000 + i);
        hostile_member_spoof(t->m, t->run, &from, &at, &ask);
        world_run_for(t->s->w, VTIME_MS(10));
    }
    report(t, "6000 spoofed packets, a minute");
    scene_check(t->s, t->victim.packets - before <= allowed(VTIME_S(60)) + 32 + 60); /* each new address is answered */
    scene_check(t->s, t->victim.largest <= 200);
    scene_check(t->s, scene_path(t->s, t->a, t->m->mask) == PATH_RELAY);
    check_friends(t);
    aimed_free(t);
}

/* Attack: guesses the answer to a question that was asked elsewhere.
 * Bound: an address never carries anything before an answer came that only who was asked there can know. */
static void test_blind_answers(void **state)
{
    (void)state;
    struct aimed *t = aimed_new("blind answers", &third);
    struct addr at = *world_addr(t->s->w, t->a->host, 0), from = third;
    at.port = world_port(t->s->w, t->a->sockets[ENGINE_SOCKET_V4]);
    from.port = 4000;
    hostile_member_offer(t->m, t->run, &from, 1);
    for (unsigned i = 0; i < 300; i++) {
        const struct frame answer = {.kind = FRAME_PUNCH,
                                     .punch = {.challenge = 1 + i, .answer = rng_token(&t->m->rng)}};
        hostile_member_spoof(t->m, t->run, &from, &at, &answer);
        world_run_for(t->s->w, VTIME_MS(20));
    }
    for (int i = 0; i < 5; i++) {
        scene_say(t->s, t->a, 1000);
        world_run_for(t->s->w, VTIME_S(1));
    }
    scene_check(t->s, t->victim.largest <= 200 && scene_path(t->s, t->a, t->m->mask) == PATH_RELAY);
    aimed_free(t);
}

/* Attack: an old packet of a member's, sent again from another address (by anybody who saw it).
 * Bound: it does not open a second time, so it moves nothing and asks nobody. */
static void test_replay_from_elsewhere(void **state)
{
    (void)state;
    struct aimed *t = aimed_new("replay from elsewhere", &third);
    struct addr at = *world_addr(t->s->w, t->a->host, 0), from = third;
    at.port = world_port(t->s->w, t->a->sockets[ENGINE_SOCKET_V4]);
    from.port = 4000;
    hostile_member_offer(t->m, t->run, NULL, 0);
    world_run_for(t->s->w, VTIME_S(1));
    for (int i = 0; i < 100; i++) {
        hostile_spoof(t->s->w, t->m->host, &from, &at, t->m->newest, t->m->newest_size);
        world_run_for(t->s->w, VTIME_MS(100));
    }
    scene_check(t->s, t->victim.packets == 0);
    scene_check(t->s, sim_client_stat(t->a, "packets_replayed") >= 100);
    aimed_free(t);
}

/* ---- servers ---- */

struct liar {
    struct scene *s;
    struct hostile_server *h;
    struct hostile_victim victim;
};

static bool another_observed(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    struct liar *l = h->context;
    (void)at;
    struct addr lie = l->victim.ip;
    lie.port = 4444;
    if (f->kind == FRAME_REGISTERED)
        f->registered.observed = addr_mask(&lie, who->token);
    if (f->kind == FRAME_LINKED) {
        uint64_t mask = 0;
        for (int k = 8; k-- > 0;)
            mask = mask << 8 | f->linked.token[k];
        f->linked.observed = addr_mask(&lie, mask);
    }
    return false;
}

/* Attack: the server tells each client that it was seen at a third party's address, and each pair that the other was.
 * Sees: the wrong address in `registered`. Bound: one more candidate each; found by others, they chat directly. */
static void test_observed_lies(void **state)
{
    (void)state;
    struct liar l = {.s = scene_test("observed lies", 1), .victim = {.ip = third, .but = -1}};
    l.h = hostile_server_new(l.s);
    l.h->down = another_observed;
    l.h->context = &l;
    hostile_watch(l.s->w, &l.victim);
    struct sim_client *a = scene_join(l.s, scene_home(l.s, VTIME_MS(10), NULL), "ann");
    world_run_for(l.s->w, VTIME_S(1));
    struct sim_client *b = scene_join(l.s, scene_home(l.s, VTIME_MS(10), NULL), "bob");
    scene_meet_by(l.s, a, b, PATH_DIRECT, VTIME_S(5)); /* their interfaces' addresses are true */
    world_run_for(l.s->w, VTIME_S(600));
    print_message("observed lies, ten minutes: %llu datagrams to a third party\n",
                  (unsigned long long)l.victim.packets);
    scene_check(l.s, l.victim.packets <= 2 * 8);
    scene_say(l.s, a, 100);
    scene_settle(l.s, a, b, VTIME_S(5));
    scene_free(l.s);
    hostile_server_free(l.h);
}

/* ---- --relay only ---- */

struct hidden {
    const struct sim_client *from; /* who hides */
    const struct sim_client *to;   /* in whose core its addresses are looked for */
    const struct addr *ips;
    size_t count, seen, packets;
};

/* The peer's core, all of it, after each input: nothing that came in has left an address there. */
static void look(struct hidden *h)
{
    for (size_t i = 0; i < h->count && !h->to->ended; i++)
        h->seen += memmem(h->to->e, engine_size(), h->ips[i].ip, addr_ip_size(&h->ips[i])) != NULL;
}

static void hidden_tap(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct hidden *h = context;
    (void)actor;
    if (fate != FATE_DELIVERED || node != h->to->host)
        return;
    h->packets++;
    for (size_t i = 0; i < h->count; i++)
        h->seen += addr_ip_equal(&p->src, &h->ips[i]) ||
                   memmem(p->bytes, p->size, h->ips[i].ip, addr_ip_size(&h->ips[i])) != NULL;
    look(h);
}

static uint64_t seen_of(enum relay_policy relay, bool lies)
{
    struct liar l = {.s = scene_test("relay only", 1)};
    if (lies) {
        l.h = hostile_server_new(l.s);
        l.h->down = another_observed;
        l.h->context = &l;
    }
    struct sim_client *b = scene_join(l.s, scene_home(l.s, VTIME_MS(10), NULL), "bob");
    world_run_for(l.s->w, VTIME_S(2));
    l.s->config.relay = relay;
    struct sim_client *a = scene_join(l.s, scene_home(l.s, VTIME_MS(10), &natbox_cone), "ann");
    const struct addr ips[] = {*world_addr(l.s->w, scene_natbox(l.s, a->host), 0), *world_addr(l.s->w, a->host, 0)};
    struct hidden h = {.from = a, .to = b, .ips = ips, .count = 2};
    l.victim.ip = ips[0]; /* what the liar tells in Linked is the truth */
    world_add_tap(l.s->w, hidden_tap, &h);
    scene_meet(l.s, a, b, VTIME_S(5));
    for (int i = 0; i < 20; i++) {
        scene_say(l.s, a, 300);
        scene_say(l.s, b, 300);
        world_run_for(l.s->w, VTIME_S(10));
        look(&h);
    }
    scene_settle(l.s, a, b, VTIME_S(10));
    scene_check(l.s, h.packets > 40);
    if (lies) /* whatever it is told by the server, bob sends nothing there */
        scene_check(l.s, scene_path(l.s, b, a) == PATH_RELAY);
    scene_free(l.s);
    if (l.h)
        hostile_server_free(l.h);
    return h.seen;
}

/* Attack: a member who wants to know where somebody is who runs with `--relay only`.
 * Bound: the address is in no datagram and nowhere in the memory of the member's core. */
static void test_relay_only_hides(void **state)
{
    (void)state;
    assert_true(seen_of(RELAY_AUTO, false) > 0); /* so the search finds what is there */
    assert_int_equal(seen_of(RELAY_ONLY, false), 0);
}

/* Attack: the server tells it nevertheless. Bound: the members' programs take no notice. */
static void test_relay_only_and_a_liar(void **state)
{
    (void)state;
    seen_of(RELAY_ONLY, true);
}

int main(void)
{
    scene_test_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forbidden_candidates),  cmocka_unit_test(test_one_offer),
        cmocka_unit_test(test_offer_flood),           cmocka_unit_test(test_same_offer_again),
        cmocka_unit_test(test_fat_questions),         cmocka_unit_test(test_spoofed_sources),
        cmocka_unit_test(test_blind_answers),         cmocka_unit_test(test_replay_from_elsewhere),
        cmocka_unit_test(test_observed_lies),         cmocka_unit_test(test_relay_only_hides),
        cmocka_unit_test(test_relay_only_and_a_liar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
