/* What a try on unknown ports is made of: the budget of an address, and sockets that are taken and given back. */
#include "peer/internal.h"
#include "peer_tools.h"

static struct addr ip(unsigned n)
{
    return addr_v4(203, 0, 113, (uint8_t)n, (uint16_t)(1000 + n));
}

/* ---- the budget of an address ---- */

static void test_a_target_is_open_until_it_has_had_enough(void **state)
{
    (void)state;
    struct hard h = {0};
    const struct addr a = ip(1), same = addr_v4(203, 0, 113, 1, 9), other = ip(2);
    vtime_us now = VTIME_S(50);
    assert_null(hard_target_find(&h, &a));
    assert_true(hard_target_is_open(&h, now, &a)); /* nothing is known of it */
    struct hard_target *t = hard_target_take(&h, now, &a);
    assert_non_null(t);
    assert_ptr_equal(hard_target_find(&h, &same), t); /* whatever the port */
    assert_null(hard_target_find(&h, &other));
    t->probes = PROBES_MAX - 1;
    assert_true(hard_target_is_open(&h, now, &same));
    t->probes = PROBES_MAX;
    assert_false(hard_target_is_open(&h, now, &same));
    assert_true(hard_target_is_open(&h, now, &other));

    now += TARGET_US - 1; /* the window is of the first probe, not of the last */
    assert_ptr_equal(hard_target_take(&h, now, &same), t);
    assert_int_equal(t->probes, PROBES_MAX);
    assert_false(hard_target_is_open(&h, now, &a));
    now++;
    assert_true(hard_target_is_open(&h, now, &a));
    assert_ptr_equal(hard_target_take(&h, now, &a), t);
    assert_int_equal(t->probes, 0);
}

static void test_pauses_double(void **state)
{
    (void)state;
    static const unsigned minutes[] = {10, 20, 40, 80, 80, 80};
    struct hard h = {0};
    const struct addr a = ip(1);
    vtime_us now = 0;
    for (size_t i = 0; i < COUNT(minutes); i++) {
        vtime_us pause = VTIME_S(60) * minutes[i];
        hard_target_close(&h, now, &a);
        assert_false(hard_target_is_open(&h, now, &a));
        assert_false(hard_target_is_open(&h, now + pause - 1, &a));
        assert_true(hard_target_is_open(&h, now + pause, &a));
        now += pause;
    }
    for (unsigned i = 0; i < 300; i++) /* and the count does not come round */
        hard_target_close(&h, now, &a);
    assert_false(hard_target_is_open(&h, now + VTIME_S(80 * 60) - 1, &a));
}

static void test_no_target_is_forgotten_too_soon(void **state)
{
    (void)state;
    struct hard h = {0};
    vtime_us now = VTIME_S(1);
    for (unsigned i = 0; i < HARD_TARGETS; i++)
        hard_target_take(&h, now + i, &(struct addr){.family = ADDR_V4, .ip = {10, 0, 0, (uint8_t)i}})->probes = i;
    const struct addr one_more = ip(99);
    assert_null(hard_target_take(&h, now + HARD_TARGETS, &one_more)); /* no room: nothing is sent there */
    hard_target_close(&h, now + HARD_TARGETS, &one_more);             /* harmless */
    assert_null(hard_target_find(&h, &one_more));

    const struct addr first = addr_v4(10, 0, 0, 0, 5), second = addr_v4(10, 0, 0, 1, 5);
    hard_target_close(&h, now + HARD_TARGETS, &first);
    struct hard_target *t = hard_target_take(&h, now + TARGET_US + 1, &one_more); /* the second's window is over */
    assert_non_null(t);
    assert_int_equal(t->probes, 0);
    assert_null(hard_target_find(&h, &second));
    assert_non_null(hard_target_find(&h, &first)); /* its window, too, but it is to be left alone a little longer */
}

/* ---- questions of a try ---- */

static void test_a_try_cut_short_is_not_in_vain(void **state)
{
    (void)state;
    struct hard h = {0};
    assert_true(hard_are_sampled(&h)); /* nothing was to be asked */
    h.samples[1] = (struct hard_sample){.token = 7, .tries = 2};
    assert_false(hard_are_sampled(&h));
    assert_false(hard_asked_in_vain(&h)); /* it could still be answered */
    h.samples[1].tries = 3;
    assert_true(hard_asked_in_vain(&h));
    h.samples[1].observed.family = ADDR_V4;
    assert_true(hard_are_sampled(&h));
    assert_false(hard_asked_in_vain(&h));
}

/* ---- sockets ---- */

static int new_engine(void **state)
{
    struct engine *e = calloc(1, sizeof *e);
    *state = e;
    return e == NULL;
}

static int free_engine(void **state)
{
    free(*state);
    return 0;
}

static const struct addr local = {.family = ADDR_V4, .port = 40000};

static bool asks(struct engine *e, enum engine_out_kind kind, uint16_t socket)
{
    struct engine_out out = {0};
    return pool_poll(e, &out) && out.kind == kind && out.socket == socket;
}

static bool is_quiet(struct engine *e)
{
    struct engine_out out;
    return !pool_poll(e, &out) && e->pool_work == 0;
}

static void test_a_socket_comes_and_goes(void **state)
{
    struct engine *e = *state;
    uint16_t s = pool_take(e, ADDR_V4, SOCKET_QUESTION);
    assert_int_equal(s, ENGINE_SOCKET_V6 + 1); /* never one of the two */
    assert_false(pool_is_open(e, s));
    assert_true(asks(e, OUT_OPEN, s));
    assert_true(is_quiet(e)); /* asked once */
    assert_false(pool_is_open(e, s));
    pool_opened(e, s, &local);
    assert_true(pool_is_open(e, s));
    assert_int_equal(e->sockets[s].local.port, 40000);
    pool_give(e, s);
    pool_give(e, s); /* twice is once */
    assert_false(pool_is_open(e, s));
    assert_true(asks(e, OUT_CLOSE, s));
    assert_true(is_quiet(e));
    assert_int_equal(pool_take(e, ADDR_V4, SOCKET_PING), s); /* free again */
}

static void test_a_socket_is_given_back_early(void **state)
{
    struct engine *e = *state;
    uint16_t s = pool_take(e, ADDR_V4, SOCKET_QUESTION);
    pool_give(e, s); /* before the shell has heard of it */
    assert_true(is_quiet(e));

    s = pool_take(e, ADDR_V4, SOCKET_QUESTION);
    assert_true(asks(e, OUT_OPEN, s));
    pool_give(e, s); /* before its answer */
    struct engine_out out;
    assert_false(pool_poll(e, &out));
    assert_int_not_equal(pool_take(e, ADDR_V4, SOCKET_PING), s); /* it is not free yet */
    pool_give(e, (uint16_t)(s + 1));
    pool_opened(e, s, &local);
    assert_true(asks(e, OUT_CLOSE, s));
    assert_true(is_quiet(e));
}

static void test_a_socket_that_fails(void **state)
{
    struct engine *e = *state;
    uint16_t s = pool_take(e, ADDR_V4, SOCKET_PUNCH);
    assert_true(asks(e, OUT_OPEN, s));
    pool_opened(e, s, NULL);
    assert_false(pool_is_open(e, s));
    assert_true(e->sockets[s].failed);
    pool_give(e, s); /* nothing to close */
    assert_true(is_quiet(e));
    assert_int_equal(e->sockets[s].use, SOCKET_FREE);

    s = pool_take(e, ADDR_V4, SOCKET_PUNCH);
    assert_true(asks(e, OUT_OPEN, s));
    pool_give(e, s);
    pool_opened(e, s, NULL); /* given back, and then not even there */
    assert_true(is_quiet(e));
    assert_int_equal(e->sockets[s].use, SOCKET_FREE);
}

static void test_all_sockets(void **state)
{
    struct engine *e = *state;
    for (uint16_t i = ENGINE_SOCKET_V6 + 1; i < ENGINE_SOCKETS_MAX; i++) {
        assert_int_equal(pool_take(e, ADDR_V4, SOCKET_QUESTION), i);
        assert_true(asks(e, OUT_OPEN, i));
        pool_opened(e, i, &local);
    }
    assert_int_equal(pool_take(e, ADDR_V4, SOCKET_QUESTION), 0);
    pool_give(e, 0); /* what pool_take answered, and the other one that stays */
    pool_give(e, ENGINE_SOCKET_V6);
    assert_true(is_quiet(e));
    pool_opened(e, 0, &local); /* not asked for here */
    assert_false(pool_is_open(e, 0));
    pool_give(e, 77);
    assert_true(asks(e, OUT_CLOSE, 77));
    assert_int_equal(pool_take(e, ADDR_V4, SOCKET_QUESTION), 77);
}

/* After a try: what is on a path or in the try that goes on stays, the rest goes. */
static void test_what_no_path_uses_goes(void **state)
{
    struct engine *e = *state;
    uint16_t on_path = pool_take(e, ADDR_V4, SOCKET_PUNCH), in_try = pool_take(e, ADDR_V4, SOCKET_PUNCH);
    uint16_t loser = pool_take(e, ADDR_V4, SOCKET_PUNCH), question = pool_take(e, ADDR_V4, SOCKET_QUESTION);
    for (uint16_t s = on_path; s <= question; s++) {
        assert_true(asks(e, OUT_OPEN, s));
        pool_opened(e, s, &local);
    }
    e->peers[3].state = PEER_LIVE;
    e->peers[3].paths[5] = (struct path){.state = PATH_PROBING, .socket = on_path};
    e->peers[4].paths[5] = (struct path){.state = PATH_WORKING, .socket = loser}; /* of a slot that is free */
    e->hard.sockets[e->hard.socket_count++] = in_try;
    assert_true(is_quiet(e));
    e->pool_stale = true;
    assert_true(asks(e, OUT_CLOSE, loser));
    assert_true(is_quiet(e));
    e->hard.socket_count = 0;
    e->peers[3].paths[5].state = PATH_UNUSED;
    assert_true(is_quiet(e)); /* nobody has said so */
    e->pool_stale = true;
    assert_true(asks(e, OUT_CLOSE, on_path));
    assert_true(asks(e, OUT_CLOSE, in_try));
    assert_true(is_quiet(e));
    assert_true(pool_is_open(e, question)); /* whose owner gives it back itself */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_target_is_open_until_it_has_had_enough),
        cmocka_unit_test(test_pauses_double),
        cmocka_unit_test(test_no_target_is_forgotten_too_soon),
        cmocka_unit_test(test_a_try_cut_short_is_not_in_vain),
        cmocka_unit_test_setup_teardown(test_a_socket_comes_and_goes, new_engine, free_engine),
        cmocka_unit_test_setup_teardown(test_a_socket_is_given_back_early, new_engine, free_engine),
        cmocka_unit_test_setup_teardown(test_a_socket_that_fails, new_engine, free_engine),
        cmocka_unit_test_setup_teardown(test_all_sockets, new_engine, free_engine),
        cmocka_unit_test_setup_teardown(test_what_no_path_uses_goes, new_engine, free_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
