/* Members who lie about NATs, to have sockets opened again and again, or others' tries held up (docs/attacks.md is the
 * table). */
#include <string.h>

#include "lie.h"
#include "meeting.h"
#include "scene_test.h"

static const struct addr third = {.family = ADDR_V4, .ip = {192, 0, 2, 66}}; /* nobody answers there */

/* ---- sockets, again and again ---- */

/* Attack: a member at its own address has ann open 256 sockets whenever it can, for an hour; then it comes again.
 * Bound: three times in ten minutes, whoever asks from that address; once, if it does not begin before one is over. */
static void test_sockets_again_and_again(void **state)
{
    (void)state;
    enum { COMES = 4, TRY = 256 + 1, PINGS = 80, OPENINGS = 3 /* in ten minutes */ };
    for (unsigned way = BEGINS; way < LIE_WAYS; way++) {
        struct lie *t = lie_new(scene_test("sockets again and again", 1), RANDOM_AND_STRICT, way, NULL, NULL, false);
        struct hostile_member *gone[COMES];
        const unsigned before = t->a->sockets_opened;
        lie_flood(t, VTIME_S(3600));
        lie_report(t, "an hour");
        /* So often in each of seven windows, as the hour begins in one; with each there are pings. */
        scene_check(t->s, t->a->sockets_opened - before > TRY);
        scene_check(t->s, t->a->sockets_opened - before <= 7 * OPENINGS * (TRY + PINGS));
        const unsigned hour = t->a->sockets_opened;
        for (unsigned i = 0; i < COMES; i++) {
            gone[i] = t->m;
            hostile_member_leave(t->m);
            world_remove_actor(t->s->w, t->m->actor);
            world_run_for(t->s->w, VTIME_S(90));
            t->attempt = t->theirs = t->answered = 0;
            t->run = NULL;
            lie_mel_comes(t, t->m->host);
            lie_offer(t, t->row->says);
            t->run = hostile_member_meet(t->m, t->a, VTIME_S(60));
            lie_flood(t, VTIME_S(60));
        }
        lie_report(t, "and when mel has come again four times");
        scene_check(t->s, t->a->sockets_opened - hour <= 2 * OPENINGS * (TRY + PINGS));
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
        scene_fail(t->s, "%s, mel %s, bob %s: not direct within %.0f s; ann: %s; bob: %s", t->row->title, t->way->name,
                   kind, (double)within_us / 1e6, reason_of(t, t->a, b), reason_of(t, b, t->a));
    return t->s->w->now - known;
}

#define BESIDE_US VTIME_S(30)

/* Attack: a member keeps ann busy with its tries.
 * Bound: one such try takes 2.5 s, or 7 s where ports are guessed, and of these there are three; between them it is the
 * honest pair's turn. */
static void test_an_honest_pair_beside_a_flood(void **state)
{
    (void)state;
    static const char *const partners[LIE_ROWS][2] = {
        {"sequential", "symmetric"},       {"sequential", "symmetric"},       {"sequential", "symmetric"},
        {"port-restricted", NULL},         {"port-restricted", "sequential"}, {"port-restricted", "sequential"},
        {"port-restricted", "sequential"},
    };
    enum { SEEDS = 10 };
    for (unsigned i = 0; i < LIE_ROWS * LIE_WAYS; i++)
        for (size_t k = 0; k < 2 && partners[i / LIE_WAYS][k]; k++) {
            struct sample took = {0};
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                struct lie *t = lie_new(scene_test("an honest pair beside a flood", seed), i / LIE_WAYS, i % LIE_WAYS,
                                        NULL, NULL, false);
                lie_flood(t, VTIME_MS(250) + dice_below(&t->s->w->dice, VTIME_S(8)));
                sample_add(&took, bob_comes(t, partners[i / LIE_WAYS][k], BESIDE_US, lie_flood_once));
                lie_free(t);
            }
            print_message("mel floods, %s, %s, and bob is %s: direct after %.2f s (median), %.2f s (most)\n",
                          lie_rows[i / LIE_WAYS].title, lie_ways[i % LIE_WAYS].name, partners[i / LIE_WAYS][k],
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
        lie_offer(t, &any);
    for (int i = 0; i < 4; i++)
        lie_aim(t, attempts[dice_below(d, sizeof attempts / sizeof *attempts)], (uint16_t)(1 + dice_below(d, 65535)),
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
        struct lie *t = lie_new(scene_test("nonsense", seed), STRICT_AND_RANDOM, ANSWERS, NULL, NULL, false);
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
    struct lie *t = lie_new(scene_test("stop", 1), STRICT_AND_RANDOM, ANSWERS, NULL, NULL, false);
    const struct frame stop = {.kind = FRAME_AIM, .aim = {.attempt = 1, .stop = true}};
    uint64_t before = 0;
    for (int i = 0; i < 10; i++) {
        hostile_member_say(t->m, t->run, &stop);
        world_run_for(t->s->w, VTIME_MS(100));
        before = t->target.packets;
    }
    lie_flood(t, VTIME_S(60));
    scene_check(t->s, t->target.packets <= before + allowed_to_anybody(VTIME_S(60)));
    vtime_us took = bob_comes(t, "symmetric", VTIME_S(5), lie_flood_once);
    print_message("stop: an honest pair is direct by guessing after %.2f s\n", (double)took / 1e6);
    lie_free(t);
}

int main(void)
{
    scene_test_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets_again_and_again),
        cmocka_unit_test(test_an_honest_pair_beside_a_flood),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
