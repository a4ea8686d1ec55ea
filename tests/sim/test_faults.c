/* Servers die, peers die, paths close, NATs forget, laptops sleep: the chat goes on. */
#include <string.h>

#include "scene_test.h"

struct pair {
    struct scene *s;
    struct sim_client *a, *b;
};

static struct pair pair_new(const char *title, uint64_t seed, const struct natbox_config *nat, enum relay_policy relay)
{
    struct pair p = {.s = scene_test(title, seed)};
    p.s->config.relay = relay;
    int home_a = scene_home(p.s, VTIME_MS(20), nat), home_b = scene_home(p.s, VTIME_MS(35), nat);
    p.a = scene_join(p.s, home_a, "ann");
    world_run_for(p.s->w, dice_below(&p.s->w->dice, VTIME_S(5)));
    p.b = scene_join(p.s, home_b, "bob");
    scene_meet_by(p.s, p.a, p.b, relay == RELAY_ONLY ? PATH_RELAY : PATH_DIRECT, VTIME_S(5));
    return p;
}

static void settle(struct pair *p, vtime_us us)
{
    scene_settle(p->s, p->a, p->b, us);
}

/* One small message each way every 100 ms. */
static void chat(struct pair *p, vtime_us us)
{
    for (vtime_us end = p->s->w->now + us; p->s->w->now < end; world_run_for(p->s->w, VTIME_MS(100))) {
        scene_say(p->s, p->a, 50);
        scene_say(p->s, p->b, 50);
    }
}

static void check_same_session(struct pair *p)
{
    scene_check(p->s, sim_client_count(p->a, EVENT_PEER, 0) == 1 && sim_client_count(p->b, EVENT_PEER, 0) == 1);
    scene_check(p->s, sim_client_count(p->a, EVENT_PEER_LEFT, 0) == 0);
    scene_check(p->s, sim_client_count(p->b, EVENT_PEER_LEFT, 0) == 0);
}

static bool both_on(struct scene *s, const struct pair *p, enum engine_path path)
{
    return scene_path(s, p->a, p->b) == path && scene_path(s, p->b, p->a) == path;
}

static bool are_relayed(struct scene *s, void *context)
{
    return both_on(s, context, PATH_RELAY);
}

static bool are_direct(struct scene *s, void *context)
{
    return both_on(s, context, PATH_DIRECT);
}

/* ---- paths ---- */

/* Blocked under load: over to the relay within seconds, nothing lost; opened again: back to the direct one. */
static void test_direct_path_blocked_and_back(void **state)
{
    (void)state;
    for (int one_way = 0; one_way <= 2; one_way++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct pair p = pair_new("direct path blocked and back", seed, &natbox_port_restricted, RELAY_AUTO);
            chat(&p, VTIME_S(3));
            if (one_way == 2)
                world_block(p.s->w, p.b->host, p.a->host, false);
            else
                world_block(p.s->w, p.a->host, p.b->host, one_way == 0);
            chat(&p, VTIME_S(5));
            settle(&p, VTIME_S(5));
            chat(&p, VTIME_S(35)); /* past the consent of the last answer */
            settle(&p, VTIME_S(5));
            scene_check(p.s, both_on(p.s, &p, PATH_RELAY));
            world_unblock(p.s->w, p.a->host, p.b->host);
            bool back = scene_wait_until(p.s, VTIME_S(120), are_direct, &p);
            scene_check(p.s, back);
            chat(&p, VTIME_S(5));
            settle(&p, VTIME_S(5));
            check_same_session(&p);
            scene_free(p.s);
        }
}

/* While the path is blocked a message gets through within seconds: it is not waited for the path to be declared dead.
 */
static void test_message_into_a_blocked_path(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pair p = pair_new("message into a blocked path", seed, &natbox_port_restricted, RELAY_AUTO);
        world_run_for(p.s->w, VTIME_S(30) + dice_below(&p.s->w->dice, VTIME_S(20)));
        world_block(p.s->w, p.a->host, p.b->host, true);
        vtime_us start = p.s->w->now;
        scene_say(p.s, p.a, 50);
        settle(&p, VTIME_S(4));
        scene_check(p.s, p.s->w->now - start <= VTIME_S(4));
        check_same_session(&p);
        scene_free(p.s);
    }
}

/* Idle: consent (30 s) notices. */
static void test_idle_path_death(void **state)
{
    (void)state;
    struct pair p = pair_new("idle path death", 1, &natbox_port_restricted, RELAY_AUTO);
    world_run_for(p.s->w, VTIME_S(30));
    world_block(p.s->w, p.a->host, p.b->host, true);
    bool noticed = scene_wait_until(p.s, VTIME_S(50), are_relayed, &p);
    scene_check(p.s, noticed);
    check_same_session(&p);
    scene_free(p.s);
}

/* For forty minutes nothing reaches bob, neither from ann nor from the server, while both go on talking: four times as
 * long as an epoch of the keys lasts. His own packets arrive. Then all is made up for: the session is the same. */
static void test_one_way_blackout(void **state)
{
    (void)state;
    for (int relayed = 0; relayed <= 1; relayed++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct pair p =
                pair_new("one-way blackout", seed, &natbox_port_restricted, relayed ? RELAY_ONLY : RELAY_AUTO);
            chat(&p, VTIME_S(5));
            world_run_for(p.s->w, VTIME_S(20));
            world_block(p.s->w, p.a->host, p.b->host, false);
            world_block(p.s->w, p.s->server->host, p.b->host, false);
            for (int i = 0; i < 2400; i++) {
                scene_say(p.s, p.a, 50);
                scene_say(p.s, p.b, 50);
                world_run_for(p.s->w, VTIME_S(1));
            }
            check_same_session(&p);
            world_unblock(p.s->w, p.a->host, p.b->host);
            world_unblock(p.s->w, p.s->server->host, p.b->host);
            vtime_us start = p.s->w->now;
            settle(&p, VTIME_S(60));
            print_message("blackout, %s: all made up for after %.1f s\n", relayed ? "relayed" : "direct",
                          (double)(p.s->w->now - start) / 1e6);
            chat(&p, VTIME_S(5));
            settle(&p, VTIME_S(5));
            check_same_session(&p);
            scene_free(p.s);
        }
}

/* ---- the server ---- */

static void check_back(struct pair *p, struct sim_client *c, size_t events_before, vtime_us start)
{
    const struct sim_event *e = NULL;
    while (!e && p->s->w->now <= start + VTIME_S(25)) {
        e = sim_client_event(c, EVENT_REGISTERED, 0, events_before, 0);
        if (!e)
            world_run_for(p->s->w, VTIME_MS(100));
    }
    scene_check(p->s, e != NULL && e->time - start <= VTIME_S(20));
}

/* The longer it was away the longer the gaps between tries; still it is found again within 20 s. */
static void test_server_restart_under_direct_chat(void **state)
{
    (void)state;
    static const vtime_us away[] = {VTIME_S(8), VTIME_S(30), VTIME_S(100), VTIME_S(1000)};
    for (size_t i = 0; i < 4; i++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct pair p = pair_new("server restart under direct chat", seed, &natbox_port_restricted, RELAY_AUTO);
            world_run_for(p.s->w, VTIME_S(20));
            sim_server_kill(p.s->server);
            chat(&p, VTIME_S(5));
            settle(&p, VTIME_S(2)); /* direct sessions do not need it */
            world_run_for(p.s->w, away[i] + VTIME_S(20));
            scene_check(p.s, sim_client_count(p.a, EVENT_SERVER_LOST, 0) == 1);
            scene_check(p.s, sim_client_count(p.b, EVENT_SERVER_LOST, 0) == 1);
            scene_check(p.s, both_on(p.s, &p, PATH_DIRECT));
            size_t seen_a = p.a->event_count, seen_b = p.b->event_count;
            vtime_us start = p.s->w->now;
            scene_restart_server(p.s);
            chat(&p, VTIME_S(2));
            check_back(&p, p.a, seen_a, start);
            check_back(&p, p.b, seen_b, start);
            world_run_for(p.s->w, VTIME_S(100));
            chat(&p, VTIME_S(2));
            settle(&p, VTIME_S(2));
            check_same_session(&p);
            scene_free(p.s);
        }
}

static void test_server_restart_under_relayed_chat(void **state)
{
    (void)state;
    static const vtime_us away[] = {0, VTIME_S(3), VTIME_S(30), VTIME_S(200)};
    for (size_t i = 0; i < 4; i++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct pair p = pair_new("server restart under relayed chat", seed, &natbox_random, RELAY_ONLY);
            world_run_for(p.s->w, VTIME_S(20));
            chat(&p, VTIME_S(1));
            sim_server_kill(p.s->server);
            chat(&p, VTIME_S(2));
            world_run_for(p.s->w, away[i]);
            scene_restart_server(p.s);
            settle(&p, VTIME_S(60));
            world_run_for(p.s->w, VTIME_S(100));
            chat(&p, VTIME_S(2));
            settle(&p, VTIME_S(5));
            check_same_session(&p);
            scene_free(p.s);
        }
}

/* At once and unnoticed: the refresh finds out, and the links are there again. */
static void test_unnoticed_server_restart(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct pair p = pair_new("unnoticed server restart", seed, &natbox_port_restricted, RELAY_AUTO);
        world_run_for(p.s->w, VTIME_S(30));
        scene_restart_server(p.s);
        world_run_for(p.s->w, VTIME_S(25));
        world_block(p.s->w, p.a->host, p.b->host, true); /* now the relay is needed */
        scene_say(p.s, p.a, 50);
        scene_say(p.s, p.b, 50);
        settle(&p, VTIME_S(5));
        check_same_session(&p);
        scene_free(p.s);
    }
}

static void test_server_shutdown(void **state)
{
    (void)state;
    struct pair p = pair_new("server shutdown", 1, &natbox_port_restricted, RELAY_AUTO);
    world_run_for(p.s->w, VTIME_S(30));
    size_t seen = p.a->event_count;
    sim_server_shutdown(p.s->server);
    world_run_for(p.s->w, VTIME_S(10));
    scene_check(p.s, sim_client_event(p.a, EVENT_SERVER_LOST, 0, seen, 0) != NULL);
    vtime_us start = p.s->w->now;
    seen = p.a->event_count;
    sim_server_start(p.s->server);
    judge_server_restarted(p.s->judge);
    check_back(&p, p.a, seen, start);
    check_same_session(&p);
    scene_free(p.s);
}

/* Nobody has met yet: the server comes (back) after any time, and both meet within 20 s and a bit. */
static void test_server_comes_late(void **state)
{
    (void)state;
    static const vtime_us away[] = {VTIME_S(1), VTIME_S(14), VTIME_S(40), VTIME_S(300)};
    for (size_t i = 0; i < 4; i++) {
        struct scene *s = scene_test("server comes late", 1 + i);
        int home_a = scene_home(s, VTIME_MS(20), &natbox_cone), home_b = scene_home(s, VTIME_MS(20), &natbox_cone);
        sim_server_kill(s->server);
        struct sim_client *a = scene_join(s, home_a, "ann");
        world_run_for(s->w, VTIME_S(2));
        struct sim_client *b = scene_join(s, home_b, "bob");
        scene_say(s, a, 50);
        world_run_for(s->w, away[i]);
        scene_restart_server(s);
        scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(21));
        scene_settle(s, a, b, VTIME_S(5));
        scene_free(s);
    }
}

static void test_unreachable_server_is_told(void **state)
{
    (void)state;
    struct scene *s = scene_test("unreachable server is told", 1);
    int home = scene_home(s, VTIME_MS(20), &natbox_cone);
    sim_server_kill(s->server);
    struct sim_client *a = scene_join(s, home, "ann");
    world_run_for(s->w, VTIME_S(6));
    bool told = false;
    for (size_t i = 0; i < a->event_count; i++)
        told = told || a->events[i].e.kind == EVENT_SERVER_LOST ||
               (a->events[i].e.code && strcmp(a->events[i].e.code, "server-unreachable") == 0);
    scene_check(s, told);
    scene_free(s);
}

/* ---- peers ---- */

static void test_peer_killed(void **state)
{
    (void)state;
    for (int relayed = 0; relayed <= 1; relayed++)
        for (int talking = 0; talking <= 1; talking++) {
            struct pair p = pair_new("peer killed", 1, &natbox_cone, relayed ? RELAY_ONLY : RELAY_AUTO);
            world_run_for(p.s->w, VTIME_S(20));
            chat(&p, VTIME_S(1)); /* heard just now */
            settle(&p, VTIME_S(5));
            sim_client_kill(p.b);
            vtime_us start = p.s->w->now;
            if (talking)
                scene_say(p.s, p.a, 50);
            const struct sim_event *left = scene_wait(p.s, p.a, EVENT_PEER_LEFT, VTIME_S(70));
            scene_check(p.s, left->time - start >= VTIME_S(59) && left->time - start <= VTIME_S(66));
            scene_check(p.s, strcmp(left->e.text, "timeout") == 0);
            scene_check(p.s, sim_client_count(p.a, EVENT_FAILED, 0) == (size_t)talking);
            scene_free(p.s);
        }
}

/* Silence while the server is silent, too, proves nothing about the peer: it is our own line that is dead. */
static void test_silence_counts_only_while_the_server_answers(void **state)
{
    (void)state;
    struct pair p = pair_new("silence of everybody", 1, &natbox_cone, RELAY_AUTO);
    world_run_for(p.s->w, VTIME_S(20));
    sim_server_kill(p.s->server);
    world_block(p.s->w, p.a->host, p.b->host, true);
    scene_say(p.s, p.a, 50);
    world_run_for(p.s->w, VTIME_S(600));
    scene_check(p.s, sim_client_count(p.a, EVENT_PEER_LEFT, 0) == 0);
    world_unblock(p.s->w, p.a->host, p.b->host);
    scene_restart_server(p.s);
    settle(&p, VTIME_S(30));
    check_same_session(&p);
    scene_free(p.s);
}

/* The one that comes back is somebody new, and what was said to the dead one is failed or stays with it. */
static void test_peer_restarted(void **state)
{
    (void)state;
    for (int relayed = 0; relayed <= 1; relayed++) {
        struct pair p = pair_new("peer restarted", 1, &natbox_cone, relayed ? RELAY_ONLY : RELAY_AUTO);
        chat(&p, VTIME_S(1));
        settle(&p, VTIME_S(5));
        sim_client_kill(p.b);
        world_run_for(p.s->w, VTIME_S(1));
        struct sim_client *again = scene_join(p.s, p.b->host, "bob2");
        scene_say(p.s, again, 50);
        scene_meet(p.s, p.a, again, VTIME_S(3));
        scene_say(p.s, p.a, 50);
        scene_wait(p.s, again, EVENT_MESSAGE, VTIME_S(3));
        scene_wait(p.s, p.a, EVENT_PEER_LEFT, VTIME_S(70));
        scene_check(p.s, judge_is_settled(p.s->judge, p.a) && judge_is_settled(p.s->judge, again));
        scene_free(p.s);
    }
}

/* ---- NATs ---- */

static void test_keepalive_holds_a_mapping(void **state)
{
    (void)state;
    struct natbox_config forgetful = natbox_port_restricted;
    forgetful.ports = NATBOX_RANDOM;
    forgetful.outbound_only = true;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        forgetful.timeout_us = seed % 2 ? VTIME_S(25) : VTIME_S(20);
        struct pair p = pair_new("keepalive holds a mapping", seed, &forgetful, RELAY_AUTO);
        world_run_for(p.s->w, VTIME_S(10));
        size_t seen_a = p.a->event_count, seen_b = p.b->event_count;
        world_run_for(p.s->w, VTIME_S(3600));
        scene_check(p.s, p.a->event_count == seen_a && p.b->event_count == seen_b);
        vtime_us start = p.s->w->now;
        scene_say(p.s, p.a, 50);
        settle(&p, VTIME_S(2));
        scene_check(p.s, p.s->w->now - start < VTIME_MS(300)); /* one and a half round trips and an ACK's delay */
        scene_free(p.s);
    }
}

static void test_nat_rebinds(void **state)
{
    (void)state;
    for (int new_address = 0; new_address <= 1; new_address++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct pair p = pair_new("NAT rebinds", seed, &natbox_port_restricted, RELAY_AUTO);
            world_run_for(p.s->w, VTIME_S(20));
            struct addr moved = addr_v4(203, 0, 113, 200, 0);
            world_rebind(p.s->w, scene_natbox(p.s, p.b->host), new_address ? &moved : NULL);
            chat(&p, VTIME_S(10));
            settle(&p, VTIME_S(30));
            bool back = scene_wait_until(p.s, VTIME_S(60), are_direct, &p);
            scene_check(p.s, back);
            check_same_session(&p);
            scene_free(p.s);
        }
}

/* Both at once, and nobody says a word. */
static void test_both_nats_rebind_while_idle(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct pair p = pair_new("both NATs rebind while idle", seed, &natbox_port_restricted, RELAY_AUTO);
        world_run_for(p.s->w, VTIME_S(20));
        world_rebind(p.s->w, scene_natbox(p.s, p.a->host), NULL);
        world_rebind(p.s->w, scene_natbox(p.s, p.b->host), NULL);
        world_run_for(p.s->w, VTIME_S(120));
        scene_check(p.s, both_on(p.s, &p, PATH_DIRECT));
        scene_say(p.s, p.a, 50);
        settle(&p, VTIME_S(2));
        check_same_session(&p);
        scene_free(p.s);
    }
}

/* ---- sleep ---- */

static void test_short_sleep(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct pair p = pair_new("short sleep", seed, &natbox_port_restricted, RELAY_AUTO);
        world_run_for(p.s->w, VTIME_S(20));
        world_sleep(p.s->w, p.b->host, true);
        scene_say(p.s, p.a, 50);
        world_run_for(p.s->w, VTIME_S(40));
        world_sleep(p.s->w, p.b->host, false);
        sim_client_woke(p.b);
        settle(&p, VTIME_S(30));
        check_same_session(&p);
        scene_free(p.s);
    }
}

/* A night. For the other it is gone; it wakes as somebody new to it, and they meet again by themselves. */
static void test_long_sleep(void **state)
{
    (void)state;
    static const vtime_us naps[] = {VTIME_S(90), VTIME_S(600), VTIME_S(8 * 3600)};
    for (size_t i = 0; i < 3; i++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct pair p = pair_new("long sleep", seed, &natbox_port_restricted, RELAY_AUTO);
            world_run_for(p.s->w, VTIME_S(20));
            world_sleep(p.s->w, p.b->host, true);
            world_run_for(p.s->w, naps[i]);
            scene_check(p.s, sim_client_count(p.a, EVENT_PEER_LEFT, 0) == 1);
            world_sleep(p.s->w, p.b->host, false);
            sim_client_woke(p.b);
            uint64_t sent = p.b->sent_count;
            world_run_for(p.s->w, VTIME_S(1));
            scene_check(p.s, p.b->sent_count - sent < 30); /* not a night's worth of packets */
            world_run_for(p.s->w, VTIME_S(130));
            scene_check(p.s, sim_client_count(p.a, EVENT_PEER, 0) == 2);
            scene_say(p.s, p.a, 50);
            scene_say(p.s, p.b, 50);
            settle(&p, VTIME_S(5));
            scene_check(p.s, both_on(p.s, &p, PATH_DIRECT));
            scene_free(p.s);
        }
}

/* The one thing that it must not do to its memory over the hours is grow, and to the session: end. */
static void test_hours_of_chat(void **state)
{
    (void)state;
    struct pair p = pair_new("hours of chat", 1, &natbox_port_restricted, RELAY_AUTO);
    p.s->w->weather = (struct weather){.loss_ppm = 20000, .reorder_ppm = 20000, .reorder_us = VTIME_MS(40)};
    for (int minute = 0; minute < 600; minute++) {
        scene_say(p.s, p.a, 50);
        scene_say(p.s, p.b, 50);
        world_run_for(p.s->w, VTIME_S(60));
    }
    settle(&p, VTIME_S(10));
    check_same_session(&p);
    scene_free(p.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct_path_blocked_and_back),
        cmocka_unit_test(test_message_into_a_blocked_path),
        cmocka_unit_test(test_idle_path_death),
        cmocka_unit_test(test_one_way_blackout),
        cmocka_unit_test(test_server_restart_under_direct_chat),
        cmocka_unit_test(test_server_restart_under_relayed_chat),
        cmocka_unit_test(test_unnoticed_server_restart),
        cmocka_unit_test(test_server_shutdown),
        cmocka_unit_test(test_server_comes_late),
        cmocka_unit_test(test_unreachable_server_is_told),
        cmocka_unit_test(test_peer_killed),
        cmocka_unit_test(test_silence_counts_only_while_the_server_answers),
        cmocka_unit_test(test_peer_restarted),
        cmocka_unit_test(test_keepalive_holds_a_mapping),
        cmocka_unit_test(test_nat_rebinds),
        cmocka_unit_test(test_both_nats_rebind_while_idle),
        cmocka_unit_test(test_short_sleep),
        cmocka_unit_test(test_long_sleep),
        cmocka_unit_test(test_hours_of_chat),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
