/* The server is killed and comes back, knowing nothing, in the middle of a room of sixteen who chat. */
#include <string.h>

#include "scene_test.h"

static bool all_met(struct scene *s, void *context)
{
    (void)context;
    for (int i = 0; i < s->client_count; i++)
        for (int k = 0; k < s->client_count; k++)
            if (i != k && scene_path(s, s->clients[i], s->clients[k]) == PATH_NONE)
                return false;
    return true;
}

static bool all_settled(struct scene *s, void *context)
{
    (void)context;
    for (int i = 0; i < s->client_count; i++) {
        if (!judge_is_settled(s->judge, s->clients[i]))
            return false;
        for (int k = 0; k < s->client_count; k++)
            if (!judge_has_all(s->judge, s->clients[i], s->clients[k]) && i != k)
                return false;
    }
    return true;
}

/* One after the other says something, for so long. */
static void chat(struct scene *s, vtime_us us)
{
    for (vtime_us end = s->w->now + us; s->w->now < end; world_run_for(s->w, VTIME_MS(250)))
        scene_say(s, s->clients[dice_below(&s->w->dice, (uint64_t)s->client_count)], 50);
}

static uint64_t with_server(const struct scene *s)
{
    return s->judge->traffic.to_server + s->judge->traffic.from_server;
}

static uint64_t sum(const struct scene *s, const char *stat)
{
    uint64_t n = 0;
    for (int i = 0; i < s->client_count; i++)
        n += sim_client_stat(s->clients[i], stat);
    return n;
}

/* Every `relayed`th hides his address, so that what he says and hears goes through the server. */
static void restart(uint64_t seed, int relayed, vtime_us away)
{
    struct scene *s = scene_test("restart under a room", seed);
    char label[16];
    for (int i = 0; i < ROOM_PEOPLE_MAX; i++) {
        snprintf(label, sizeof label, "p%d", i);
        s->config.relay = relayed > 0 && i % relayed == 0 ? RELAY_ONLY : RELAY_AUTO;
        scene_join(s, scene_home(s, VTIME_MS(10 + 5 * (unsigned)i), &natbox_port_restricted), label);
    }
    bool met = scene_wait_until(s, VTIME_S(30), all_met, NULL);
    scene_check(s, met);
    world_run_for(s->w, VTIME_S(20));
    chat(s, VTIME_S(10));
    const uint64_t introductions = sum(s, "introductions"), start = with_server(s);
    chat(s, VTIME_S(60));
    const uint64_t usual = with_server(s) - start;
    sim_server_kill(s->server);
    chat(s, away);
    scene_restart_server(s);
    const uint64_t back = with_server(s);
    chat(s, VTIME_S(60));
    const uint64_t after = with_server(s) - back;
    bool settled = scene_wait_until(s, VTIME_S(60), all_settled, NULL);
    scene_check(s, settled);
    world_run_for(s->w, VTIME_S(100));
    for (int i = 0; i < ROOM_PEOPLE_MAX; i++) {
        scene_check(s, sim_client_count(s->clients[i], EVENT_PEER, 0) == PEERS_MAX);
        scene_check(s, sim_client_count(s->clients[i], EVENT_PEER_LEFT, 0) == 0);
    }
    scene_check(s, sum(s, "introductions") == introductions && sim_server_stat(s->server, "introduced") == 0);
    scene_check(s, sum(s, "guesses_silent") + sum(s, "guesses_wrong") == 0);
    /* Each Registers twice, and is told of fifteen links, for some of which it has asked before the other was back. */
    scene_check(s, relayed > 0 || after <= usual + 4 * ROOM_PEOPLE_MAX * PEERS_MAX / 2 + 4 * ROOM_PEOPLE_MAX);
    print_message(
        "away for %2.0f s, relayed %d: %llu datagrams with the server in a minute, %llu in that after the restart\n",
        (double)away / 1e6, relayed, (unsigned long long)usual, (unsigned long long)after);
    scene_free(s);
}

static void test_restart(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        restart(seed, 0, 0);
        restart(seed, 0, VTIME_S(30));
        restart(seed, 4, VTIME_S(3));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
