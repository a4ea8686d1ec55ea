/* Every kind of NAT against every other: docs/protocol.md and DESIGN, "Getting through". The names are those of
 * the testbed's cases. */
#include "kinds.h"
#include "scene_test.h"

static const struct {
    unsigned a, b;
} delays[] = {{20, 20}, {5, 120}, {120, 5}};

static void meet(const struct nat_kind *ka, const struct nat_kind *kb, size_t d, uint64_t seed)
{
    char title[100];
    snprintf(title, sizeof title, "%s against %s, %u and %u ms", ka->name, kb->name, delays[d].a, delays[d].b);
    struct scene *s = scene_test(title, seed);
    int home_a = scene_home(s, VTIME_MS(delays[d].a), ka->config),
        home_b = scene_home(s, VTIME_MS(delays[d].b), kb->config);
    struct sim_client *a = scene_join(s, home_a, "ann");
    scene_say(s, a, 40);
    world_run_for(s->w, VTIME_S(20) + dice_below(&s->w->dice, VTIME_S(20)));
    struct sim_client *b = scene_join(s, home_b, "bob");
    scene_say(s, b, 40);
    scene_meet(s, a, b, VTIME_S(1));
    enum hope hope = nat_hope(ka, kb);
    if (hope == HOPE_DIRECT)
        scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(2));
    world_run_for(s->w, VTIME_S(60));
    scene_say(s, a, 5000);
    scene_say(s, b, 5000);
    scene_settle(s, a, b, VTIME_S(5));
    scene_check(s, hope != HOPE_DIRECT || scene_path(s, a, b) == PATH_DIRECT);
    scene_check(s, hope != HOPE_RELAY || scene_path(s, a, b) == PATH_RELAY);
    scene_check(s, sim_client_count(a, EVENT_PEER, 0) == 1 && sim_client_count(a, EVENT_PEER_LEFT, 0) == 0);
    scene_free(s);
}

static void test_every_pair(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAT_KINDS; i++)
        for (size_t k = 0; k < NAT_KINDS; k++)
            for (size_t d = 0; d < 3; d++)
                meet(&nat_kinds[i], &nat_kinds[k], d, 1 + d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
