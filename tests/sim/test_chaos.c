/* A handful of seeds of the chaos, and every seed that once failed. More: sim-run. */
#include "chaos.h"
#include "scene_test.h"

static void test_first_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= scene_test_seeds(100); seed++)
        chaos_run(seed, scene_test_failed);
}

static void test_first_seeds_with_hard_nats(void **state)
{
    (void)state;
    for (uint64_t seed = CHAOS_HARD_FIRST; seed < CHAOS_HARD_FIRST + 60; seed++)
        chaos_run(seed, scene_test_failed);
}

/* Failed once. A seed tells its story only as long as chaos.c tells stories in the same way; what can be told
 * shortly became a test of its own. */
static const uint64_t kept[] = {
    3,       /* polled dry, and due again at once, for ever */
    17,      /* failed for nobody, although delivered to one who had left */
    64,      /* shown twice: a run that only one side took for confirmed, and the next one */
    101,     /* the same */
    151,     /* sent to a peer that was never told of, and never settled */
    163,     /* the only reader left before the linger was over: `sent` never came */
    181,     /* as 151 */
    256,     /* as 163 */
    265,     /* as 64 */
    280,     /* probes repeated the oldest packets only, in which nothing was left to repeat */
    329,     /* as 64 */
    1374,    /* an old packet's late Ack was taken for a round trip of minutes, and paced by */
    3070,    /* said when the first had left again within the linger: lost without a word */
    3121,    /* the LAN was lost, the outside of the NAT was found first, and the LAN never tried again */
    4796,    /* registered twice at once after a sleep: its shares given out twice, so that two never met */
    1000015, /* with sixteen pings under way the next was due all the time */
    1004105, /* what an earlier session had shown counted as written, though the reader had stalled before it */
};

static void test_kept_seeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        chaos_run(kept[i], scene_test_failed);
}

static void test_same_seed_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        assert_int_equal(chaos_run(seed, scene_test_failed).hash, chaos_run(seed, scene_test_failed).hash);
    assert_int_not_equal(chaos_run(1, scene_test_failed).hash, chaos_run(2, scene_test_failed).hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_seeds),
        cmocka_unit_test(test_first_seeds_with_hard_nats),
        cmocka_unit_test(test_kept_seeds),
        cmocka_unit_test(test_same_seed_same_run),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
