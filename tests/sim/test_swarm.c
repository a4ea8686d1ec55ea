/* A slice of the swarm's seeds, and every one that once failed. More: make sim (docs/simulator.md). */
#include "scene_test.h"
#include "swarm.h"

enum { SLICE = 150, LINE_MAX_BYTES = 400 };

static void test_first_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SLICE; seed++)
        swarm_run(seed, scene_test_failed);
}

static void test_failed_seeds(void **state)
{
    (void)state;
    char line[LINE_MAX_BYTES];
    FILE *f = fopen("tests/sim/failed-seeds.txt", "r"); /* tests run in the root of the tree */
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (line[0] != '#' && line[0] != '\n')
            swarm_run(strtoull(line, NULL, 10), scene_test_failed);
    fclose(f);
}

static void test_same_seed_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        assert_int_equal(swarm_run(seed, scene_test_failed).hash, swarm_run(seed, scene_test_failed).hash);
    assert_int_not_equal(swarm_run(1, scene_test_failed).hash, swarm_run(2, scene_test_failed).hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_seeds),
        cmocka_unit_test(test_failed_seeds),
        cmocka_unit_test(test_same_seed_same_run),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
