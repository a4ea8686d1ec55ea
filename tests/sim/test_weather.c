/* Loss, copies, disorder, narrow links, all kinds of NATs: everything arrives, once and in order (the judge sees
 * to the order at every event). */
#include "scene_test.h"

struct pair {
    struct scene *s;
    struct sim_client *a, *b;
};

static struct pair pair_new(const char *title, uint64_t seed, const struct natbox_config *nat_a,
                            const struct natbox_config *nat_b, enum relay_policy relay)
{
    struct pair p = {.s = scene_test(title, seed)};
    p.s->config.relay = relay;
    int home_a = scene_home(p.s, VTIME_MS(20), nat_a), home_b = scene_home(p.s, VTIME_MS(35), nat_b);
    p.a = scene_join(p.s, home_a, "ann");
    world_run_for(p.s->w, dice_below(&p.s->w->dice, VTIME_S(5)));
    p.b = scene_join(p.s, home_b, "bob");
    return p;
}

/* Both talk: small things mostly, sometimes a page; now and then three at once. */
static void chat(struct pair *p, unsigned messages)
{
    struct dice *d = &p->s->w->dice;
    for (unsigned i = 0; i < messages; i++) {
        struct sim_client *c = dice_below(d, 2) ? p->a : p->b;
        size_t size = dice_below(d, 10) ? dice_below(d, 200) : dice_below(d, 12000);
        scene_say(p->s, c, size);
        if (dice_below(d, 3))
            world_run_for(p->s->w, dice_below(d, VTIME_MS(800)));
    }
}

static const uint32_t losses_ppm[] = {50000, 100000, 200000, 300000};

static void test_bad_weather_direct(void **state)
{
    (void)state;
    for (size_t l = 0; l < 4; l++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct pair p = pair_new("bad weather, direct", seed, &natbox_port_restricted, &natbox_cone, RELAY_AUTO);
            p.s->w->weather = (struct weather){.loss_ppm = losses_ppm[l],
                                               .duplicate_ppm = 50000,
                                               .reorder_ppm = 100000,
                                               .reorder_us = VTIME_MS(30),
                                               .jitter_us = VTIME_MS(10)};
            p.s->w->timer_slack_us = VTIME_MS(2);
            scene_say(p.s, p.a, 30);
            chat(&p, 40);
            scene_meet_by(p.s, p.a, p.b, PATH_DIRECT, VTIME_S(60));
            chat(&p, 40);
            scene_settle(p.s, p.a, p.b, VTIME_S(120));
            scene_free(p.s);
        }
}

static void test_bad_weather_relayed(void **state)
{
    (void)state;
    for (size_t l = 0; l < 4; l++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct pair p = pair_new("bad weather, relayed", seed, &natbox_random, &natbox_random, RELAY_AUTO);
            p.s->w->weather = (struct weather){
                .loss_ppm = losses_ppm[l], .duplicate_ppm = 50000, .reorder_ppm = 100000, .reorder_us = VTIME_MS(30)};
            chat(&p, 60);
            scene_meet(p.s, p.a, p.b, VTIME_S(60));
            scene_settle(p.s, p.a, p.b, VTIME_S(200));
            scene_free(p.s);
        }
}

/* Two minutes of it and nobody is taken for gone. */
static void test_heavy_loss_is_no_absence(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct pair p = pair_new("heavy loss is no absence", seed, &natbox_cone, &natbox_cone, RELAY_AUTO);
        scene_meet_by(p.s, p.a, p.b, PATH_DIRECT, VTIME_S(5));
        p.s->w->weather.loss_ppm = 300000;
        world_run_for(p.s->w, VTIME_S(1800));
        scene_check(p.s, sim_client_count(p.a, EVENT_PEER_LEFT, 0) == 0);
        scene_check(p.s, sim_client_count(p.b, EVENT_PEER_LEFT, 0) == 0);
        scene_say(p.s, p.a, 100);
        scene_settle(p.s, p.a, p.b, VTIME_S(60));
        scene_free(p.s);
    }
}

static void test_relay_only(void **state)
{
    (void)state;
    for (int who = 0; who < 3; who++) { /* both, only A, only B */
        struct scene *s = scene_test("relay only", 1);
        int home_a = scene_home(s, VTIME_MS(20), &natbox_cone), home_b = scene_home(s, VTIME_MS(20), NULL);
        s->config.relay = who == 2 ? RELAY_AUTO : RELAY_ONLY;
        struct sim_client *a = scene_join(s, home_a, "ann");
        s->config.relay = who == 1 ? RELAY_AUTO : RELAY_ONLY;
        struct sim_client *b = scene_join(s, home_b, "bob");
        struct pair p = {s, a, b};
        scene_meet(s, a, b, VTIME_S(2));
        chat(&p, 50);
        scene_settle(s, a, b, VTIME_S(60));
        world_run_for(s->w, VTIME_S(600));
        scene_say(s, a, 10);
        scene_settle(s, a, b, VTIME_S(60));
        scene_check(s, s->judge->traffic.to_others == 0);
        scene_check(s, scene_path(s, a, b) == PATH_RELAY && scene_path(s, b, a) == PATH_RELAY);
        scene_check(s, sim_client_count(a, EVENT_PEER, 0) == 1 && sim_client_count(b, EVENT_PEER, 0) == 1);
        scene_free(s);
    }
}

static void test_relay_never(void **state)
{
    (void)state;
    struct pair p = pair_new("relay never", 1, &natbox_cone, &natbox_port_restricted, RELAY_NEVER);
    scene_say(p.s, p.a, 30);
    chat(&p, 5);
    scene_meet_by(p.s, p.a, p.b, PATH_DIRECT, VTIME_S(5));
    chat(&p, 20);
    scene_settle(p.s, p.a, p.b, VTIME_S(20));
    scene_check(p.s, sim_server_stat(p.s->server, "relayed_datagrams") == 0);
    scene_free(p.s);
}

/* Without a direct path nothing is carried, and what was said ends as failed. */
static void test_relay_never_without_a_path(void **state)
{
    (void)state;
    struct pair p = pair_new("relay never, without a path", 1, &natbox_random, &natbox_random, RELAY_NEVER);
    scene_say(p.s, p.a, 30);
    world_run_for(p.s->w, VTIME_S(10));
    scene_say(p.s, p.b, 30);
    world_run_for(p.s->w, VTIME_S(120));
    scene_check(p.s, sim_client_count(p.a, EVENT_MESSAGE, 0) == 0 && sim_client_count(p.b, EVENT_MESSAGE, 0) == 0);
    scene_check(p.s, sim_client_count(p.a, EVENT_DELIVERED, 0) == 0);
    sim_client_quit(p.a);
    scene_wait(p.s, p.a, EVENT_END, VTIME_S(5));
    scene_check(p.s, sim_client_count(p.a, EVENT_FAILED, 0) == 1);
    scene_free(p.s);
}

/* A modem on one side: 20 kB/s, a tenth of a second of queue. Nothing is lost, and the link is used well. */
static void test_narrow_link(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        enum { RATE = 20000, MESSAGES = 40, SIZE = 16000 };
        struct pair p = pair_new("narrow link", seed, &natbox_cone, &natbox_cone, RELAY_AUTO);
        world_set_rate(p.s->w, scene_natbox(p.s, p.a->host), RATE, RATE / 10);
        scene_meet_by(p.s, p.a, p.b, PATH_DIRECT, VTIME_S(5));
        vtime_us start = p.s->w->now;
        for (int i = 0; i < MESSAGES; i++)
            scene_say(p.s, p.a, SIZE);
        scene_settle(p.s, p.a, p.b, VTIME_S(300));
        vtime_us ideal = (vtime_us)MESSAGES * SIZE * 1000000 / RATE;
        scene_check(p.s, p.s->w->now - start < 2 * ideal);
        scene_free(p.s);
    }
}

/* More than the relay's burst: its quota is a narrow link, too. */
static void test_relay_quota(void **state)
{
    (void)state;
    struct pair p = pair_new("relay quota", 1, &natbox_cone, &natbox_cone, RELAY_ONLY);
    scene_meet(p.s, p.a, p.b, VTIME_S(5));
    for (int i = 0; i < 30; i++)
        scene_say(p.s, p.a, 16000);
    scene_settle(p.s, p.a, p.b, VTIME_S(300));
    scene_free(p.s);
}

/* Credit: a reader that stalls is waited for; nothing is lost, and not more than the credit is under way. */
static void test_stalled_reader(void **state)
{
    (void)state;
    struct pair p = pair_new("stalled reader", 1, &natbox_cone, &natbox_cone, RELAY_AUTO);
    scene_meet_by(p.s, p.a, p.b, PATH_DIRECT, VTIME_S(5));
    sim_client_stall(p.b, true);
    for (int i = 0; i < 20; i++)
        scene_say(p.s, p.a, 16000);
    scene_say(p.s, p.b, 100); /* the other direction goes on */
    world_run_for(p.s->w, VTIME_S(300));
    scene_check(p.s, judge_has_all(p.s->judge, p.b, p.a));
    scene_check(p.s, sim_client_count(p.a, EVENT_DELIVERED, 0) == 0);
    scene_check(p.s, sim_client_count(p.b, EVENT_MESSAGE, 0) <= CREDIT_BYTES / 16000);
    scene_check(p.s, sim_client_count(p.a, EVENT_PEER_LEFT, 0) == 0); /* nobody else is there: it waits */
    sim_client_stall(p.b, false);
    scene_settle(p.s, p.a, p.b, VTIME_S(30));
    scene_free(p.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_weather_direct),
        cmocka_unit_test(test_bad_weather_relayed),
        cmocka_unit_test(test_heavy_loss_is_no_absence),
        cmocka_unit_test(test_relay_only),
        cmocka_unit_test(test_relay_never),
        cmocka_unit_test(test_relay_never_without_a_path),
        cmocka_unit_test(test_narrow_link),
        cmocka_unit_test(test_relay_quota),
        cmocka_unit_test(test_stalled_reader),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
