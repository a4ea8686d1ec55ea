/* scene_test.h: scenes in cmocka programs: what goes wrong fails the test. */
#ifndef SIM_SCENE_TEST_H
#define SIM_SCENE_TEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scene.h"

static inline _Noreturn void scene_test_failed(const char *why)
{
    (void)why; /* scene_fail has said it */
    fail();
    for (;;) /* fail() does not come back, but is not declared so */
        ;
}

static inline struct scene *scene_test(const char *title, uint64_t seed)
{
    struct scene *s = scene_new(title, seed);
    s->fail = scene_test_failed;
    return s;
}
/* Of many seeds: sanitizers take five times as long and look for other things. */
static inline unsigned scene_test_seeds(unsigned count)
{
#ifdef __SANITIZE_ADDRESS__
    return count / 4 + 1;
#else
    return count;
#endif
}

/* SIM_TEST=pattern runs some of the tests only; SIM_LINES=n says how much of the trace is shown. */
static inline void scene_test_filter(void)
{
    if (getenv("SIM_TEST"))
        cmocka_set_test_filter(getenv("SIM_TEST"));
}
#endif
