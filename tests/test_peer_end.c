/* How it ends: finish, quit, --wait, and what is told of what was not delivered. */
#include "peer_rig.h"

static int status(const struct rig *g, unsigned i)
{
    return rig_event(g, i, EVENT_END, 0)->status;
}

static void test_finish_at_once(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    rig_do(g, 0, COMMAND_FINISH);
    assert_int_equal(status(g, 0), 0);
    assert_true(engine_deadline(g->clients[0].engine) == VTIME_NEVER);
    rig_start(g, 1, "bob"); /* the same with somebody there */
    rig_start(g, 2, "cat");
    rig_run(g, VTIME_S(5));
    rig_do(g, 1, COMMAND_FINISH);
    assert_int_equal(status(g, 1), 0);
    rig_run(g, VTIME_S(1));
    assert_string_equal(rig_event(g, 2, EVENT_PEER_LEFT, 0)->text, "quit");
}

static void test_finish_with_a_peer(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    rig_say(g, 0, "bye");
    rig_do(g, 0, COMMAND_FINISH);
    assert_int_equal(rig_count(g, 0, EVENT_END), 0);
    rig_say_to(g, 0, 44, 0, "too late");
    assert_int_equal(rig_event(g, 0, EVENT_FAILED, 0)->id, 44);
    rig_run(g, VTIME_S(1));
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 1);
    assert_int_equal(status(g, 0), 0);
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 1);
    assert_string_equal(rig_event(g, 1, EVENT_PEER_LEFT, 0)->text, "quit");
    rig_do(g, 1, COMMAND_FINISH);
    assert_int_equal(status(g, 1), 0);
}

static void test_finish_and_nobody(void **state)
{
    struct rig *g = *state;
    struct engine_config config = rig_config("foo", "ann");
    config.wait_us = VTIME_S(20);
    rig_start_with(g, 0, &config);
    rig_say_to(g, 0, 3, 0, "hello?");
    rig_run(g, VTIME_S(5));
    rig_do(g, 0, COMMAND_FINISH);
    rig_run(g, VTIME_MS(14999));
    assert_int_equal(rig_count(g, 0, EVENT_END), 0);
    rig_run(g, VTIME_MS(2)); /* 20 s without anybody */
    const struct rig_event *e = rig_nth(g, 0, EVENT_FAILED, 0);
    assert_int_equal(e->event.id, 3);
    assert_int_equal(e->event.peer, 0);
    assert_true(rig_place(g, 0, EVENT_FAILED, 0) < rig_place(g, 0, EVENT_END, 0));
    assert_int_equal(status(g, 0), 1);
    rig_do(g, 0, COMMAND_QUIT);
    rig_say(g, 0, "after the end");
    rig_do(g, 0, COMMAND_FINISH); /* rig_log fails the test if anything is told after the end */
}

static void test_wait(void **state)
{
    struct rig *g = *state;
    struct engine_config config = rig_config("foo", "ann");
    config.wait_us = VTIME_S(5);
    rig_start_with(g, 0, &config);
    rig_run(g, VTIME_MS(4999));
    assert_int_equal(rig_count(g, 0, EVENT_END), 0);
    rig_run(g, VTIME_MS(2));
    assert_int_equal(status(g, 0), 1); /* nobody ever came */

    config.wait_us = VTIME_S(5);
    rig_start_with(g, 1, &config);
    rig_run(g, VTIME_S(3));
    rig_start(g, 2, "cat");
    rig_run(g, VTIME_S(20)); /* somebody is there: no end */
    assert_int_equal(rig_count(g, 1, EVENT_END), 0);
    rig_do(g, 2, COMMAND_QUIT);
    vtime_us left = g->now;
    rig_run(g, VTIME_S(10));
    assert_int_equal(status(g, 1), 0);
    assert_in_range(rig_nth(g, 1, EVENT_END, 0)->at - left, VTIME_S(5), VTIME_MS(5200));
}

static void test_quit(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    g->clients[1].holds_back = true;
    rig_say_to(g, 0, 8, 0, "not written there");
    rig_run(g, VTIME_S(1));
    rig_do(g, 0, COMMAND_QUIT);
    assert_int_equal(rig_event(g, 0, EVENT_FAILED, 0)->id, 8);
    assert_int_equal(rig_event(g, 0, EVENT_FAILED, 0)->peer, 1);
    assert_int_equal(status(g, 0), 1);
    rig_run(g, VTIME_S(1));
    assert_string_equal(rig_event(g, 1, EVENT_PEER_LEFT, 0)->text, "quit");
    assert_int_equal(rig_count(g, 1, EVENT_PEER_LEFT), 1);
    rig_do(g, 1, COMMAND_QUIT);
    assert_int_equal(status(g, 1), 0);
}

static void test_quit_before_anybody(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    rig_say_to(g, 0, 8, 0, "hello?");
    rig_do(g, 0, COMMAND_QUIT);
    assert_int_equal(rig_event(g, 0, EVENT_FAILED, 0)->peer, 0);
    assert_int_equal(status(g, 0), 1);
}

/* The last messages and the failures come before the news that the peer has left. */
static void test_left_comes_last(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    g->clients[0].holds_back = true; /* bob's words of farewell are never receipted */
    rig_say_to(g, 0, 1, 0, "from ann");
    g->clients[1].holds_back = true;
    rig_run(g, VTIME_S(1));
    for (int i = 0; i < 40; i++)
        rig_say(g, 1, "from bob");
    rig_do(g, 1, COMMAND_QUIT);
    rig_run(g, VTIME_S(1));
    unsigned left = rig_place(g, 0, EVENT_PEER_LEFT, 0);
    assert_true(rig_place(g, 0, EVENT_MESSAGE, 0) < left);
    assert_true(rig_place(g, 0, EVENT_FAILED, 0) < left);
    assert_int_equal(left, g->clients[0].event_count - 1);
}

/* With thousands of failures to tell, the shell looks at its sockets in between. */
static void test_input_during_the_goodbye(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    g->clients[1].holds_back = true;
    for (int i = 0; i < 20; i++)
        rig_say(g, 0, "x");
    rig_run(g, VTIME_S(1));
    struct engine *ann = g->clients[0].engine;
    engine_command(ann, g->now, &(struct engine_command){.kind = COMMAND_QUIT});
    struct engine_out out;
    for (int i = 0; i < 10; i++) {
        assert_true(engine_poll(ann, g->now, &out));
        rig_carry_out(g, 0, &out);
    }
    for (unsigned n = 1; n <= 20; n++)
        rig_command(g, 1, (struct engine_command){.kind = COMMAND_WRITTEN, .peer = 1, .number = n});
    rig_do(g, 1, COMMAND_QUIT);
    rig_run(g, VTIME_MS(100)); /* receipts for all, and a Leave */
    assert_int_equal(rig_count(g, 0, EVENT_FAILED) + rig_count(g, 0, EVENT_DELIVERED), 20);
    assert_int_equal(rig_count(g, 0, EVENT_END), 1);
}

/* What could open what was said, or let somebody in, is in the engine's memory until the end, and not after it. */
static void test_nothing_is_left(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    const struct engine *ann = g->clients[0].engine;
    struct {
        uint8_t bytes[80];
        size_t size;
    } secrets[6] = {{.size = ann->keyword.size}, {.size = CPACE_SCALAR_BYTES}, {.size = SEAL_NONCE_BYTES},
                    {.size = SECRET_BYTES},      {.size = SEAL_KEY_BYTES},     {.size = SEAL_KEY_BYTES}};
    memcpy(secrets[0].bytes, ann->keyword.normal, secrets[0].size);
    memcpy(secrets[1].bytes, ann->stock.shares[3].scalar, secrets[1].size);
    memcpy(secrets[2].bytes, ann->stock.shares[3].nonce, secrets[2].size);
    memcpy(secrets[3].bytes, ann->rv.secret, secrets[3].size);
    memcpy(secrets[4].bytes, ann->peers[0].seal.send.key, secrets[4].size);
    memcpy(secrets[5].bytes, ann->peers[0].seal.recv.key, secrets[5].size);
    for (size_t i = 0; i < COUNT(secrets); i++)
        assert_non_null(memmem(ann, engine_size(), secrets[i].bytes, secrets[i].size));
    rig_do(g, 0, COMMAND_QUIT);
    assert_int_equal(status(g, 0), 0);
    for (size_t i = 0; i < COUNT(secrets); i++)
        assert_null(memmem(ann, engine_size(), secrets[i].bytes, secrets[i].size));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_finish_at_once),
        TEST(test_finish_with_a_peer),
        TEST(test_finish_and_nobody),
        TEST(test_wait),
        TEST(test_quit),
        TEST(test_quit_before_anybody),
        TEST(test_left_comes_last),
        TEST(test_input_during_the_goodbye),
        TEST(test_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
