/* How fast two people find each other, in virtual time, and with how many datagrams. */
#include "kinds.h"
#include "scene_test.h"

/* One-way delays to the server in ms: A waits, B comes. */
static const struct {
    unsigned a, b;
} delays[] = {{10, 10}, {50, 50}, {10, 80}, {80, 10}, {5, 150}, {150, 5}, {1, 1}, {200, 200}};

struct timing {
    vtime_us r_a, r_b, p, t;
};

static struct timing timing_of(unsigned a_ms, unsigned b_ms)
{
    struct timing t = {.r_a = 2 * VTIME_MS(a_ms), .r_b = 2 * VTIME_MS(b_ms), .p = 2 * VTIME_MS(a_ms + b_ms)};
    vtime_us newcomer = t.r_a + t.r_b, waiter = (3 * t.r_b + t.r_a) / 2;
    t.t = newcomer > waiter ? newcomer : waiter;
    return t;
}

static bool in_time(vtime_us took, vtime_us floor)
{
    return took <= floor + floor / 10;
}

static vtime_us since_b(const struct sim_client *b, const struct sim_event *e)
{
    return e->time - b->first_sent_at;
}

/* When the path became direct for good. */
static const struct sim_event *direct_event(const struct sim_client *c)
{
    for (size_t i = 0; i < c->event_count; i++)
        if (c->events[i].e.kind == EVENT_PATH && c->events[i].e.path >= PATH_DIRECT)
            return &c->events[i];
    return NULL;
}

struct pair {
    struct scene *s;
    struct sim_client *a, *b;
    struct judge_traffic before; /* B's first packet */
};

/* A has been there for a while and is idle, both have typed something; B starts. */
static struct pair begin(const char *title, uint64_t seed, unsigned a_ms, unsigned b_ms,
                         const struct natbox_config *nat_a, const struct natbox_config *nat_b)
{
    struct pair p = {.s = scene_test(title, seed)};
    int home_a = scene_home(p.s, VTIME_MS(a_ms), nat_a), home_b = scene_home(p.s, VTIME_MS(b_ms), nat_b);
    p.a = scene_join(p.s, home_a, "ann");
    scene_say(p.s, p.a, 40);
    world_run_for(p.s->w, VTIME_S(40) + dice_below(&p.s->w->dice, VTIME_S(20)));
    /* Not in the middle of a refresh: that is no part of what meeting costs. */
    uint64_t sent = p.a->sent_count;
    while (p.a->sent_count == sent)
        world_step(p.s->w);
    world_run_for(p.s->w, VTIME_S(2));
    p.before = p.s->judge->traffic;
    p.b = scene_join(p.s, home_b, "bob");
    scene_say(p.s, p.b, 40);
    return p;
}

static void check_times(struct pair *p, struct timing t)
{
    const struct sim_event *at_a = scene_wait(p->s, p->a, EVENT_MESSAGE, VTIME_S(10));
    const struct sim_event *at_b = scene_wait(p->s, p->b, EVENT_MESSAGE, VTIME_S(10));
    scene_check(p->s, in_time(since_b(p->b, at_a), t.t));
    scene_check(p->s, in_time(since_b(p->b, at_b), t.t));
    scene_meet_by(p->s, p->a, p->b, PATH_DIRECT, VTIME_S(10));
    scene_check(p->s, in_time(since_b(p->b, direct_event(p->a)), t.t + t.p));
    scene_check(p->s, in_time(since_b(p->b, direct_event(p->b)), t.t + t.p));
}

static void end(struct pair *p)
{
    scene_settle(p->s, p->a, p->b, VTIME_S(20));
    scene_free(p->s);
}

/* The endpoint-independent mapping with each filtering, against each. */
static void test_times_behind_easy_nats(void **state)
{
    (void)state;
    static const struct natbox_config *const easy[] = {NULL, &natbox_cone, &natbox_restricted, &natbox_port_restricted,
                                                       &natbox_masquerade};
    for (size_t d = 0; d < sizeof delays / sizeof *delays; d++)
        for (size_t i = 0; i < sizeof easy / sizeof *easy; i++)
            for (size_t k = 0; k < sizeof easy / sizeof *easy; k++) {
                struct pair p = begin("times behind easy NATs", 1 + d * 100 + i * 10 + k, delays[d].a, delays[d].b,
                                      easy[i], easy[k]);
                check_times(&p, timing_of(delays[d].a, delays[d].b));
                end(&p);
            }
}

/* Both start at the same moment, or nearly: neither waits, and the floor is one round trip more at most. */
static void test_times_of_a_common_start(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        unsigned ms = 10 + (unsigned)(seed % 4) * 30;
        struct scene *s = scene_test("times of a common start", seed);
        int home_a = scene_home(s, VTIME_MS(ms), &natbox_cone), home_b = scene_home(s, VTIME_MS(ms), &natbox_cone);
        struct sim_client *a = scene_join(s, home_a, "ann");
        scene_say(s, a, 40);
        world_run_for(s->w, dice_below(&s->w->dice, VTIME_MS(3 * ms)));
        struct sim_client *b = scene_join(s, home_b, "bob");
        scene_say(s, b, 40);
        struct timing t = timing_of(ms, ms);
        const struct sim_event *at_a = scene_wait(s, a, EVENT_MESSAGE, VTIME_S(10));
        const struct sim_event *at_b = scene_wait(s, b, EVENT_MESSAGE, VTIME_S(10));
        scene_check(s, in_time(since_b(b, at_a), t.t + t.r_b) && in_time(since_b(b, at_b), t.t + t.r_b));
        scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(10));
        scene_check(s, in_time(since_b(b, direct_event(a)), t.t + t.r_b + t.p));
        scene_settle(s, a, b, VTIME_S(5));
        scene_free(s);
    }
}

/* In the open form there is no room number; with few people around that costs no round trip. */
static void test_times_in_the_open_form(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof delays / sizeof *delays; d++) {
        struct scene *s = scene_test("times in the open form", 1 + d);
        struct pair p = {.s = s};
        s->keyword = "crab lunar toast";
        int home_a = scene_home(s, VTIME_MS(delays[d].a), &natbox_cone);
        int home_b = scene_home(s, VTIME_MS(delays[d].b), &natbox_cone);
        p.a = scene_join(s, home_a, "ann");
        scene_say(s, p.a, 40);
        world_run_for(s->w, VTIME_S(40));
        p.b = scene_join(s, home_b, "bob");
        scene_say(s, p.b, 40);
        check_times(&p, timing_of(delays[d].a, delays[d].b));
        end(&p);
    }
}

/* Timers of the system come up to 2 ms late, and the network jitters by 1 ms each way: the times hold. */
static void test_times_with_jitter(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct scene *s = scene_test("times with jitter", seed);
        struct pair p = {.s = s};
        s->w->timer_slack_us = VTIME_MS(2);
        s->w->weather.jitter_us = VTIME_MS(1);
        int home_a = scene_home(s, VTIME_MS(30), &natbox_port_restricted);
        int home_b = scene_home(s, VTIME_MS(30), &natbox_port_restricted);
        p.a = scene_join(s, home_a, "ann");
        scene_say(s, p.a, 40);
        world_run_for(s->w, VTIME_S(40));
        p.b = scene_join(s, home_b, "bob");
        scene_say(s, p.b, 40);
        check_times(&p, timing_of(30, 30));
        end(&p);
    }
}

static void count_datagrams(uint64_t seed, size_t d, const struct natbox_config *nat_a,
                            const struct natbox_config *nat_b)
{
    enum { BETWEEN_PEERS = 12, WITH_SERVER = 12 };
    struct pair p = begin("datagrams of an easy pair", seed, delays[d].a, delays[d].b, nat_a, nat_b);
    scene_meet_by(p.s, p.a, p.b, PATH_DIRECT, VTIME_S(10));
    struct judge_traffic t = p.s->judge->traffic;
    uint64_t with_server = t.to_server - p.before.to_server + t.from_server - p.before.from_server;
    scene_check(p.s, t.to_others - p.before.to_others <= BETWEEN_PEERS);
    scene_check(p.s, with_server <= WITH_SERVER);
    end(&p);
}

/* Also of who has another port outside than inside, but the same one for all. */
static void test_datagrams_of_an_easy_pair(void **state)
{
    (void)state;
    const struct natbox_config *shifting = nat_kind_find("shifting")->config;
    const struct natbox_config *const pairs[][2] = {{&natbox_cone, &natbox_cone},
                                                    {&natbox_port_restricted, shifting},
                                                    {shifting, &natbox_port_restricted},
                                                    {shifting, shifting}};
    for (size_t d = 0; d < sizeof delays / sizeof *delays; d++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            /* Over satellites the ACKs do not wait for the direct path: two more through the server. */
            if (delays[d].a + delays[d].b > 250)
                continue;
            for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
                count_datagrams(100 * i + seed, d, pairs[i][0], pairs[i][1]);
        }
}

/* Nobody else is there: what an idle client costs the server, and an idle pair each other. */
static void test_datagrams_of_idling(void **state)
{
    (void)state;
    struct pair p = begin("datagrams of idling", 1, 20, 20, &natbox_cone, &natbox_cone);
    scene_meet_by(p.s, p.a, p.b, PATH_DIRECT, VTIME_S(10));
    world_run_for(p.s->w, VTIME_S(60));
    struct judge_traffic t0 = p.s->judge->traffic;
    world_run_for(p.s->w, VTIME_S(1000));
    struct judge_traffic t = p.s->judge->traffic;
    /* Each: a refresh every 15 to 18 s (68 at most), one or two answers (Registered, Linked). */
    scene_check(p.s, t.to_server - t0.to_server <= 2 * 68);
    scene_check(p.s, t.from_server - t0.from_server <= 2 * 2 * 68);
    /* Each: a question every 15 to 18 s, and its answer. */
    scene_check(p.s, t.to_others - t0.to_others <= 2 * 2 * 68);
    end(&p);
}

/* Together in one home: over the LAN, and nothing that was private goes through the server. */
static void test_lan(void **state)
{
    (void)state;
    for (int hairpin = 0; hairpin <= 1; hairpin++) {
        struct scene *s = scene_test("lan", 1);
        struct natbox_config nat = natbox_port_restricted;
        nat.hairpin = hairpin;
        int home_a = scene_home(s, VTIME_MS(20), &nat);
        int home_b = scene_host(s, scene_network(s, home_a), VTIME_MS(1), addr_v4(192, 168, 1, 200, 0));
        struct sim_client *a = scene_join(s, home_a, "ann");
        world_run_for(s->w, VTIME_S(30));
        struct sim_client *b = scene_join(s, home_b, "bob");
        scene_say(s, a, 40);
        scene_say(s, b, 40);
        scene_meet_by(s, a, b, PATH_LAN, VTIME_S(1));
        scene_settle(s, a, b, VTIME_S(5));
        world_run_for(s->w, VTIME_S(100));
        scene_check(s, scene_path(s, a, b) == PATH_LAN && scene_path(s, b, a) == PATH_LAN);
        scene_free(s);
    }
}

/* The LAN's address means another machine to the other side; nothing may come of the mix-up. */
static void test_equal_private_networks(void **state)
{
    (void)state;
    struct scene *s = scene_test("equal private networks", 1);
    int home_a = scene_home(s, VTIME_MS(20), &natbox_port_restricted);
    scene_home(s, VTIME_MS(20), &natbox_port_restricted);
    int home_b = scene_home(s, VTIME_MS(20), &natbox_port_restricted); /* 192.168.1 again */
    struct addr b_inside = *world_addr(s->w, home_b, 0);
    int neighbour = scene_host(s, scene_network(s, home_a), 0, b_inside);
    struct sim_client *a = scene_join(s, home_a, "ann");
    struct sim_client *b = scene_join(s, home_b, "bob");
    s->keyword = "43-other-people-here";
    scene_join(s, neighbour, "eve");
    scene_say(s, a, 40);
    scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(2));
    scene_settle(s, a, b, VTIME_S(5));
    world_run_for(s->w, VTIME_S(60));
    scene_check(s, scene_path(s, a, b) == PATH_DIRECT && scene_path(s, b, a) == PATH_DIRECT);
    scene_free(s);
}

static void test_v6(void **state)
{
    (void)state;
    struct scene *s = scene_test("v6", 1);
    /* v4 is hopeless here, v6 only filtered. */
    int home_a = scene_home(s, VTIME_MS(20), &natbox_random), home_b = scene_home(s, VTIME_MS(20), &natbox_random);
    scene_add_v6(s, home_a);
    scene_add_v6(s, home_b);
    struct sim_client *a = scene_join(s, home_a, "ann");
    world_run_for(s->w, VTIME_S(30));
    struct sim_client *b = scene_join(s, home_b, "bob");
    scene_say(s, a, 40);
    scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(1));
    scene_check(s, sim_client_count(a, EVENT_PATH, 0) >= 1 && direct_event(a)->e.addr.family == ADDR_V6);
    scene_settle(s, a, b, VTIME_S(5));
    scene_free(s);
}

/* One has v6 and uses it with the server; the other has not. They meet over v4, whose outside port the first must
 * have learned although it registered over v6, and after its NAT has forgotten it, too. */
static void test_v6_and_v4_only(void **state)
{
    (void)state;
    for (int server_moves = 0; server_moves <= 1; server_moves++)
        for (int rebinds = 0; rebinds <= 1; rebinds++) {
            struct scene *s = scene_test("v6 and v4 only", 1);
            struct natbox_config nat = natbox_port_restricted;
            nat.ports = NATBOX_RANDOM;
            int home_a = scene_home(s, VTIME_MS(20), &nat), home_b = scene_home(s, VTIME_MS(20), &nat);
            scene_add_v6(s, home_a);
            struct sim_client *b = scene_join(s, home_b, "bob");
            if (!server_moves) { /* the client was told v6 first */
                s->config.server[0] = *world_addr(s->w, s->server->host, 1);
                s->config.server[0].port = SIM_SERVER_PORT;
                s->config.server_count = 1;
            }
            struct sim_client *a = scene_join(s, home_a, "ann");
            scene_meet_by(s, a, b, server_moves ? PATH_DIRECT : PATH_RELAY, VTIME_S(5));
            if (server_moves) { /* it is away until the client tries its other address */
                sim_server_kill(s->server);
                world_run_for(s->w, VTIME_S(4));
                scene_restart_server(s);
                world_run_for(s->w, VTIME_S(30));
            }
            if (rebinds)
                world_rebind(s->w, scene_natbox(s, home_a), NULL);
            world_run_for(s->w, VTIME_S(120));
            scene_check(s, scene_path(s, a, b) == PATH_DIRECT && scene_path(s, b, a) == PATH_DIRECT);
            scene_free(s);
        }
}

/* One hangs behind a carrier's NAT as well. */
static void test_double_nat(void **state)
{
    (void)state;
    static const struct natbox_config *const nats[] = {&natbox_cone, &natbox_port_restricted, &natbox_masquerade};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++) {
            struct scene *s = scene_test("double NAT", 1 + i * 3 + k);
            struct addr cgn_out = addr_v4(203, 0, 113, 250, 0), box_out = addr_v4(100, 64, 0, 9, 0);
            int cgn = world_add_natbox(s->w, INTERNET, VTIME_MS(20), nats[i], &cgn_out, NULL);
            int box = world_add_natbox(s->w, world_inside(s->w, cgn), VTIME_MS(5), nats[k], &box_out, NULL);
            int home_a = scene_host(s, world_inside(s->w, box), 0, addr_v4(192, 168, 1, 7, 0));
            int home_b = scene_home(s, VTIME_MS(20), &natbox_port_restricted);
            struct sim_client *a = scene_join(s, home_a, "ann");
            world_run_for(s->w, VTIME_S(30));
            struct sim_client *b = scene_join(s, home_b, "bob");
            scene_say(s, a, 40);
            scene_say(s, b, 40);
            scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(2));
            scene_settle(s, a, b, VTIME_S(5));
            scene_free(s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_behind_easy_nats),
        cmocka_unit_test(test_times_of_a_common_start),
        cmocka_unit_test(test_times_in_the_open_form),
        cmocka_unit_test(test_times_with_jitter),
        cmocka_unit_test(test_datagrams_of_an_easy_pair),
        cmocka_unit_test(test_datagrams_of_idling),
        cmocka_unit_test(test_lan),
        cmocka_unit_test(test_equal_private_networks),
        cmocka_unit_test(test_v6),
        cmocka_unit_test(test_v6_and_v4_only),
        cmocka_unit_test(test_double_nat),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
