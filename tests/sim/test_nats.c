/* Every kind of NAT against every other: docs/protocol.md and DESIGN, "Getting through". The names are those of
 * the testbed's cases. */
#include "scene_test.h"

struct kind {
    const char *name;
    const struct natbox_config *config;
    bool one_port; /* the outside port is the same for every destination */
    bool lets_in;  /* ... and packets from other ports of an address that was sent to */
};

static const struct natbox_config ad_mapping = {.mapping = NATBOX_AD, .filtering = NATBOX_AD, .ports = NATBOX_RANDOM};
static const struct natbox_config random_port_cone = {
    .mapping = NATBOX_EI, .filtering = NATBOX_APD, .ports = NATBOX_RANDOM};

static const struct kind kinds[] = {
    {"public", NULL, true, true},
    {"cone", &natbox_cone, true, true},
    {"restricted", &natbox_restricted, true, true},
    {"port-restricted", &natbox_port_restricted, true, false},
    {"port-restricted, random ports", &random_port_cone, true, false},
    {"masquerade", &natbox_masquerade, true, false},
    {"masquerade, open input", &natbox_masquerade_open, true, false},
    {"address-dependent", &ad_mapping, false, true},
    {"sequential", &natbox_sequential, false, false},
    {"random", &natbox_random, false, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

enum hope {
    DIRECT, /* by candidates alone */
    HARD,   /* ports would have to be guessed */
    HOPELESS,
};

static enum hope hope_of(const struct kind *a, const struct kind *b)
{
    if (a->one_port && b->one_port)
        return DIRECT;
    if ((a->one_port && a->lets_in) || (b->one_port && b->lets_in))
        return DIRECT; /* the other's packet shows its port */
    bool random = a->config == &natbox_random || b->config == &natbox_random || a->config == &ad_mapping ||
                  b->config == &ad_mapping;
    return a->one_port || b->one_port || !random ? HARD : HOPELESS;
}

static const struct {
    unsigned a, b;
} delays[] = {{20, 20}, {5, 120}, {120, 5}};

static void meet(const struct kind *ka, const struct kind *kb, size_t d, uint64_t seed)
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
    enum hope hope = hope_of(ka, kb);
    if (hope == DIRECT)
        scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(2));
    world_run_for(s->w, VTIME_S(60));
    scene_say(s, a, 5000);
    scene_say(s, b, 5000);
    scene_settle(s, a, b, VTIME_S(5));
    scene_check(s, hope != DIRECT || scene_path(s, a, b) == PATH_DIRECT);
    scene_check(s, hope != HOPELESS || scene_path(s, a, b) == PATH_RELAY);
    scene_check(s, sim_client_count(a, EVENT_PEER, 0) == 1 && sim_client_count(a, EVENT_PEER_LEFT, 0) == 0);
    scene_free(s);
}

static void test_every_pair(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < KINDS; k++)
            for (size_t d = 0; d < 3; d++)
                meet(&kinds[i], &kinds[k], d, 1 + d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
