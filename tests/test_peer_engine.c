/* Engines and a server, back to back: what the user of an engine sees. */
#include "peer_rig.h"

/* ---- meeting ---- */

static void test_meet(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    rig_say(g, 0, "who is there?");
    rig_start(g, 1, "bob");
    rig_say(g, 1, "me");
    rig_run(g, VTIME_S(5));
    for (unsigned i = 0; i < 2; i++) {
        const struct rig_event *e = rig_nth(g, i, EVENT_PEER, 0);
        assert_string_equal(e->name, i == 0 ? "bob" : "ann");
        assert_int_equal(e->event.peer, 1);
        e = rig_nth(g, i, EVENT_PATH, 0);
        assert_int_equal(e->event.path, PATH_RELAY);
        assert_true(addr_equal(&e->event.addr, &g->server_addr));
        e = rig_nth(g, i, EVENT_MESSAGE, 0);
        assert_string_equal(e->text, i == 0 ? "me" : "who is there?");
        assert_true(rig_place(g, i, EVENT_REGISTERED, 0) < rig_place(g, i, EVENT_PEER, 0));
        assert_true(rig_place(g, i, EVENT_PEER, 0) < rig_place(g, i, EVENT_PATH, 0));
        assert_true(rig_place(g, i, EVENT_PATH, 0) < rig_place(g, i, EVENT_MESSAGE, 0));
        assert_int_equal(rig_count(g, i, EVENT_MESSAGE), 1);
        assert_int_equal(rig_count(g, i, EVENT_DELIVERED), 1);
        const struct engine_event *direct = rig_event(g, i, EVENT_PATH, 1);
        assert_int_equal(direct->path, PATH_DIRECT);
        assert_true(addr_equal(&direct->addr, &g->clients[1 - i].addr));
        assert_int_equal(direct->rtt_us, 80000);
    }
}

static void test_words(void **state)
{
    struct rig *g = *state;
    const char *ann[4], *bob[4];
    rig_meet(g);
    assert_true(engine_verify(g->clients[0].engine, 1, ann));
    assert_true(engine_verify(g->clients[1].engine, 1, bob));
    for (int i = 0; i < 4; i++)
        assert_string_equal(ann[i], bob[i]);
    assert_false(engine_verify(g->clients[0].engine, 2, ann));
    assert_false(engine_verify(g->clients[0].engine, 0, ann));
}

static void test_other_keyword(void **state)
{
    struct rig *g = *state;
    struct engine_config config = rig_config("bar", "eve");
    rig_start(g, 0, "ann");
    rig_start_with(g, 1, &config);
    rig_run(g, VTIME_S(60));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rig_count(g, i, EVENT_PEER), 0);
        assert_int_equal(g->clients[i].to_peers, 0);
        assert_int_equal(rig_stat(g, i, "guesses_wrong"), 1);
        assert_int_equal(rig_count(g, i, EVENT_WARNING), 0);
    }
}

/* A quiet minute costs refreshes and signs of life, nothing else. */
static void test_quiet(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    rig_say(g, 0, "hi");
    rig_run(g, VTIME_S(30));
    for (unsigned i = 0; i < 2; i++)
        g->clients[i].to_server = g->clients[i].to_peers = 0;
    rig_run(g, VTIME_S(600));
    for (unsigned i = 0; i < 2; i++) {
        assert_in_range(g->clients[i].to_server, 600 / 18, 600 / 15);
        assert_in_range(g->clients[i].to_peers, 600 / 18, 4 * 600 / 15);
        assert_int_equal(g->clients[i].to_nobody, 0);
    }
}

/* The Ack of a message is lost, the Receipt for it arrives: what is left outstanding must not keep both awake. */
static bool lose_from_bob(struct rig *g, unsigned from, unsigned to, const uint8_t *at, size_t size)
{
    (void)g, (void)to, (void)at, (void)size;
    return from == 1;
}

static void test_lost_ack(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    rig_run(g, VTIME_S(20));
    g->clients[1].holds_back = true;
    rig_say(g, 0, "hi");
    g->lose = lose_from_bob;
    rig_run(g, VTIME_MS(100));
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 1);
    g->lose = NULL;
    rig_command(g, 1, (struct engine_command){.kind = COMMAND_WRITTEN, .peer = 1, .number = 1});
    rig_run(g, VTIME_S(1));
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 1);
    for (unsigned i = 0; i < 2; i++)
        g->clients[i].to_server = g->clients[i].to_peers = 0;
    rig_run(g, VTIME_S(60));
    for (unsigned i = 0; i < 2; i++) {
        assert_in_range(g->clients[i].to_peers, 3, 16);
        assert_in_range(g->clients[i].to_server, 3, 4);
    }
}

/* A full room refuses whoever comes, and counts his run once, however often he tries. */
static void test_full_room(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    rig_start(g, 1, "bob");
    rig_run(g, VTIME_MS(60)); /* ann has started the run, and then the room fills up */
    g->clients[0].engine->live = PEERS_MAX;
    rig_run(g, VTIME_S(10));
    struct stock *stock = &g->clients[0].engine->stock;
    assert_int_equal(rig_stat(g, 0, "introductions"), 1);
    assert_int_equal(rig_stat(g, 0, "introductions_confirmed"), 1);
    assert_int_equal(stock->count, SHARES_MAX);
    assert_int_equal(stock->missing, 0);
    assert_int_equal(rig_count(g, 0, EVENT_PEER), 0);
    assert_int_equal(rig_count(g, 1, EVENT_PEER_LEFT), 1); /* he has seen her first packet already */
    assert_string_equal(rig_event(g, 1, EVENT_ERROR, 0)->code, "room-full");
    g->clients[0].engine->live = 0;
    rig_run(g, VTIME_S(60)); /* he tries again by himself */
    assert_int_equal(rig_count(g, 1, EVENT_PEER), 2);
    rig_still_talk(g);
}

/* ---- names ---- */

static void name(struct rig *g, unsigned i, const char *text)
{
    rig_command(
        g, i, (struct engine_command){.kind = COMMAND_NAME, .text = (const uint8_t *)text, .text_size = strlen(text)});
    rig_run(g, VTIME_S(2));
}

static void test_names(void **state)
{
    struct rig *g = *state;
    char longest[NAME_BYTES_MAX + 2];
    rig_start(g, 0, "");
    rig_start(g, 1, "bob");
    rig_run(g, VTIME_S(3));
    assert_string_equal(rig_event(g, 1, EVENT_PEER, 0)->name, "peer 1");
    assert_string_equal(rig_event(g, 0, EVENT_PEER, 0)->name, "bob");
    assert_int_equal(rig_count(g, 1, EVENT_NAME), 0);
    name(g, 0, "anna");
    assert_string_equal(rig_event(g, 1, EVENT_NAME, 0)->name, "anna");
    name(g, 0, "anna");
    assert_int_equal(rig_count(g, 1, EVENT_NAME), 1);
    memset(longest, 'x', sizeof longest);
    longest[NAME_BYTES_MAX + 1] = '\0';
    name(g, 0, longest); /* a byte too long */
    name(g, 0, "a\nb");
    name(g, 0, "\xff");
    assert_int_equal(rig_count(g, 0, EVENT_ERROR), 3);
    assert_string_equal(rig_event(g, 0, EVENT_ERROR, 0)->code, "bad-command");
    assert_int_equal(rig_count(g, 1, EVENT_NAME), 1);
    longest[NAME_BYTES_MAX] = '\0';
    name(g, 0, longest);
    assert_string_equal(rig_event(g, 1, EVENT_NAME, 1)->name, longest);
    name(g, 0, "");
    assert_string_equal(rig_event(g, 1, EVENT_NAME, 2)->name, "peer 1");
    rig_say(g, 0, "x");
    rig_run(g, VTIME_S(1));
    assert_string_equal(rig_event(g, 1, EVENT_MESSAGE, 0)->name, "peer 1");
}

/* ---- messages ---- */

/* What was typed before anybody was there goes to all who come within two seconds of the first. */
static void test_typed_before(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    rig_say_to(g, 0, 5, 0, "one");
    rig_say_to(g, 0, 6, 0, "two");
    assert_int_equal(rig_event(g, 0, EVENT_SENT, 0)->peer_count, 0);
    rig_run(g, VTIME_S(10));
    rig_start(g, 1, "bob");
    rig_run(g, VTIME_MS(1500));
    rig_start(g, 2, "cat");
    rig_run(g, VTIME_MS(3000));
    rig_start(g, 3, "dan");
    rig_run(g, VTIME_S(5));
    for (unsigned i = 1; i < 3; i++) {
        unsigned seen = 0;
        for (unsigned k = 0; k < rig_count(g, i, EVENT_MESSAGE); k++) {
            assert_string_equal(rig_event(g, i, EVENT_MESSAGE, k)->text, seen == 0 ? "one" : "two");
            assert_int_equal(rig_event(g, i, EVENT_MESSAGE, k)->id, 5 + seen);
            seen++;
        }
        assert_int_equal(seen, 2);
    }
    assert_int_equal(rig_count(g, 3, EVENT_MESSAGE), 0);
    assert_int_equal(rig_count(g, 3, EVENT_PEER), 3);
    assert_int_equal(rig_count(g, 0, EVENT_SENT), 4);
    for (unsigned n = 2; n < 4; n++) {
        const struct engine_event *e = rig_event(g, 0, EVENT_SENT, n);
        assert_int_equal(e->id, 3 + n);
        assert_int_equal(e->peer_count, 2);
        assert_int_equal(e->peers[0] + e->peers[1], 3);
    }
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 4);
    assert_int_equal(rig_count(g, 0, EVENT_FAILED), 0);
    assert_int_equal(engine_undelivered(g->clients[0].engine), 0);
}

/* What was typed when the first had left again, within the two seconds, waits for the next one. */
static void test_typed_between(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    rig_say_to(g, 0, 5, 0, "one");
    rig_start(g, 1, "bob");
    rig_run(g, VTIME_MS(600));
    rig_do(g, 1, COMMAND_QUIT);
    rig_run(g, VTIME_MS(200));
    assert_int_equal(rig_count(g, 0, EVENT_PEER_LEFT), 1);
    rig_say_to(g, 0, 6, 0, "two");
    rig_run(g, VTIME_S(10));
    rig_start(g, 2, "cat");
    rig_run(g, VTIME_S(5));
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 1);
    assert_int_equal(rig_count(g, 2, EVENT_MESSAGE), 1);
    assert_string_equal(rig_event(g, 2, EVENT_MESSAGE, 0)->text, "two");
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 2);
    assert_int_equal(engine_undelivered(g->clients[0].engine), 0);
}

static void test_ids(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    g->clients[1].holds_back = true;
    rig_say_to(g, 0, 7, 0, "seven");
    rig_say_to(g, 0, 7, 0, "seven again"); /* in use */
    assert_int_equal(rig_count(g, 0, EVENT_SENT), 1);
    assert_string_equal(rig_event(g, 0, EVENT_ERROR, 0)->code, "bad-command");
    rig_say(g, 0, "next"); /* assigned */
    assert_int_equal(rig_event(g, 0, EVENT_SENT, 1)->id, 8);
    rig_say_to(g, 0, MESSAGE_ID_MAX, 0, "last");
    assert_int_equal(rig_event(g, 0, EVENT_SENT, 2)->id, MESSAGE_ID_MAX);
    rig_say_to(g, 0, MESSAGE_ID_MAX + 1, 0, "too far");
    rig_say_to(g, 0, UINT64_MAX, 0, "too far");
    assert_int_equal(rig_count(g, 0, EVENT_ERROR), 3);
    rig_say(g, 0, "assigned after the last there is");
    assert_int_equal(rig_event(g, 0, EVENT_SENT, 3)->id, 1);
    rig_run(g, VTIME_S(1));
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 4);
    assert_int_equal(rig_event(g, 1, EVENT_MESSAGE, 2)->id, MESSAGE_ID_MAX);
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 0); /* nothing is written yet */
    rig_command(g, 1, (struct engine_command){.kind = COMMAND_WRITTEN, .peer = 1, .number = 1});
    rig_run(g, VTIME_S(1));
    assert_int_equal(rig_event(g, 0, EVENT_DELIVERED, 0)->id, 7);
    rig_say_to(g, 0, 7, 0, "seven once more"); /* free again */
    assert_int_equal(rig_count(g, 0, EVENT_SENT), 5);
}

static void send_bytes(struct rig *g, const uint8_t *text, size_t size)
{
    rig_command(g, 0, (struct engine_command){.kind = COMMAND_SEND, .text = text, .text_size = size});
}

static void test_texts(void **state)
{
    struct rig *g = *state;
    static uint8_t text[TEXT_BYTES_MAX + 1];
    memset(text, 'x', sizeof text);
    rig_meet(g);
    send_bytes(g, text, sizeof text);
    send_bytes(g, (const uint8_t *)"a\0b", 3);
    send_bytes(g, (const uint8_t *)"a\xff", 2);
    send_bytes(g, (const uint8_t *)"\xed\xa0\x80", 3);
    assert_int_equal(rig_count(g, 0, EVENT_ERROR), 4);
    assert_int_equal(rig_count(g, 0, EVENT_SENT), 0);
    send_bytes(g, text, TEXT_BYTES_MAX);
    send_bytes(g, text, 0);
    send_bytes(g, NULL, 0);
    send_bytes(g, (const uint8_t *)"\x1b[2J\r\n\t", 7); /* carried exactly; display is not our business */
    rig_run(g, VTIME_S(5));
    assert_int_equal(rig_event(g, 1, EVENT_MESSAGE, 0)->text_size, TEXT_BYTES_MAX);
    assert_int_equal(rig_event(g, 1, EVENT_MESSAGE, 1)->text_size, 0);
    assert_int_equal(rig_event(g, 1, EVENT_MESSAGE, 2)->text_size, 0);
    assert_string_equal(rig_event(g, 1, EVENT_MESSAGE, 3)->text, "\x1b[2J\r\n\t");
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 4);
}

static void test_to_one(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    rig_start(g, 2, "cat");
    rig_run(g, VTIME_S(5));
    rig_say_to(g, 0, 9, 2, "only you");
    rig_say_to(g, 0, 10, 3, "nobody");
    rig_run(g, VTIME_S(1));
    assert_int_equal(rig_event(g, 0, EVENT_SENT, 0)->peer_count, 1);
    assert_int_equal(rig_event(g, 0, EVENT_SENT, 0)->peers[0], 2);
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 0);
    assert_int_equal(rig_count(g, 2, EVENT_MESSAGE), 1);
    assert_int_equal(rig_event(g, 0, EVENT_FAILED, 0)->id, 10);
    assert_int_equal(rig_event(g, 0, EVENT_FAILED, 0)->peer, 3);
}

static void test_mailbox_full(void **state)
{
    struct rig *g = *state;
    static uint8_t text[TEXT_BYTES_MAX];
    memset(text, 'x', sizeof text);
    rig_meet(g);
    g->clients[1].holds_back = true;
    for (int i = 0; i < 64; i++) {
        assert_true(engine_has_room(g->clients[0].engine, sizeof text));
        send_bytes(g, text, sizeof text);
    }
    assert_false(engine_has_room(g->clients[0].engine, 1));
    rig_command(g, 0, (struct engine_command){.kind = COMMAND_SEND, .id = 1000, .text = text, .text_size = 1});
    assert_int_equal(rig_event(g, 0, EVENT_FAILED, 0)->id, 1000);
    assert_int_equal(rig_count(g, 0, EVENT_SENT), 64);
    rig_run(g, VTIME_S(60));
    /* A reader that does not write gets its credit's worth and no more. */
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), CREDIT_BYTES / (TEXT_BYTES_MAX + 4));
    g->clients[1].holds_back = false;
    for (unsigned n = 1; n <= 3; n++)
        rig_command(g, 1, (struct engine_command){.kind = COMMAND_WRITTEN, .peer = 1, .number = n});
    rig_run(g, VTIME_S(120));
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 64);
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 64);
    assert_int_equal(engine_undelivered(g->clients[0].engine), 0);
}

static void test_written(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    g->clients[1].holds_back = true;
    for (int i = 0; i < 5; i++)
        rig_say(g, 0, "x");
    rig_run(g, VTIME_S(1));
    const struct {
        uint32_t peer;
        uint64_t number;
        unsigned delivered;
    } steps[] = {{1, 0, 0}, {1, 6, 0}, {1, UINT64_MAX, 0}, {2, 1, 0}, {0, 1, 0},
                 {1, 2, 2}, {1, 2, 2}, {1, 1, 2},          {1, 5, 5}, {1, 6, 5}};
    for (size_t i = 0; i < COUNT(steps); i++) {
        rig_command(g, 1,
                    (struct engine_command){.kind = COMMAND_WRITTEN, .peer = steps[i].peer, .number = steps[i].number});
        rig_run(g, VTIME_S(1));
        assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), steps[i].delivered);
    }
}

/* ---- relay ---- */

static void test_relay_only(void **state)
{
    struct rig *g = *state;
    struct engine_config config = rig_config("foo", "ann");
    config.relay = RELAY_ONLY;
    rig_start_with(g, 0, &config);
    rig_start(g, 1, "bob");
    rig_run(g, VTIME_S(10));
    rig_say(g, 0, "hi");
    rig_say(g, 1, "ho");
    rig_run(g, VTIME_S(60));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rig_count(g, i, EVENT_MESSAGE), 1);
        assert_int_equal(rig_count(g, i, EVENT_DELIVERED), 1);
        assert_int_equal(rig_count(g, i, EVENT_PATH), 1);
        assert_int_equal(rig_event(g, i, EVENT_PATH, 0)->path, PATH_RELAY);
        assert_int_equal(g->clients[i].to_peers, 0);
    }
}

static void test_relay_never(void **state)
{
    struct rig *g = *state;
    struct engine_config config = rig_config("foo", "ann");
    config.relay = RELAY_NEVER;
    config.wait_us = VTIME_S(30);
    g->no_direct = true;
    rig_start_with(g, 0, &config);
    rig_start(g, 1, "bob");
    rig_say_to(g, 0, 1, 0, "for your eyes only");
    rig_run(g, VTIME_S(10));
    assert_int_equal(rig_count(g, 0, EVENT_PEER), 1);
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 0); /* it waits */
    g->no_direct = false;
    rig_run(g, VTIME_S(60));
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 1); /* for a direct path */
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 1);
    g->no_direct = true;
    rig_run(g, VTIME_S(75)); /* the path dies, and with it the session: there is no other way */
    assert_int_equal(rig_count(g, 0, EVENT_PEER_LEFT), 1);
    rig_run(g, VTIME_S(45)); /* the server knows that they have parted, and introduces them again */
    assert_true(rig_count(g, 0, EVENT_PEER) > 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_meet),          TEST(test_words),     TEST(test_other_keyword), TEST(test_quiet),
        TEST(test_lost_ack),      TEST(test_full_room), TEST(test_names),         TEST(test_typed_before),
        TEST(test_typed_between), TEST(test_ids),       TEST(test_texts),         TEST(test_to_one),
        TEST(test_mailbox_full),  TEST(test_written),   TEST(test_relay_only),    TEST(test_relay_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
