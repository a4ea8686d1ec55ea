/* The client's side of registering (docs/protocol.md s4) against a server that is made by hand. */
#include "peer_rig.h"

/* What the engine has sent to the server. */
static struct {
    struct frame_register reg; /* the newest */
    size_t reg_size;
    vtime_us reg_at;
    unsigned registers, links, leaves, others;
} seen;

static bool capture(struct rig *g, unsigned from, unsigned to, const uint8_t *at, size_t size)
{
    static struct frame f;
    if (from != 0 || to != RIG_SERVER)
        return true;
    assert_int_equal(codec_decode(&g->codec, at, size, &f), DECODE_OK);
    switch (f.kind) {
    case FRAME_REGISTER:
        seen.reg = f.reg;
        seen.reg_size = size;
        seen.reg_at = g->now;
        seen.registers++;
        break;
    case FRAME_LINK:
        seen.links++;
        break;
    case FRAME_LEAVE:
        seen.leaves++;
        break;
    default:
        seen.others++;
    }
    return true;
}

static int setup(void **state)
{
    struct rig *g = malloc(sizeof *g);
    rig_open(g);
    g->lose = capture;
    memset(&seen, 0, sizeof seen);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    rig_close(*state);
    free(*state);
    return 0;
}

/* ---- the server ---- */

static void server_says_from(struct rig *g, const struct addr *from, const struct frame *f)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    size_t size = codec_encode(f, bytes, sizeof bytes);
    assert_true(size > 0);
    rig_input(g, 0, from, bytes, size);
}

static void server_says(struct rig *g, const struct frame *f)
{
    server_says_from(g, &g->server_addr, f);
}

static struct frame registered(struct rig *g, uint8_t secret)
{
    struct frame f = {.kind = FRAME_REGISTERED};
    f.registered = (struct frame_registered){
        .token = seen.reg.token, .handle = 1, .cookie_size = 20, .lease_s = 60, .room = seen.reg.room};
    memset(f.registered.secret, secret, SECRET_BYTES);
    memset(f.registered.cookie, secret + 1, 20);
    f.registered.observed = addr_mask(&g->clients[0].addr, seen.reg.token);
    return f;
}

static uint64_t proof_of(uint8_t secret)
{
    uint8_t bytes[SECRET_BYTES];
    memset(bytes, secret, sizeof bytes);
    return seal_proof(bytes);
}

/* Registered and echoed with this secret. */
static void settle(struct rig *g, uint8_t secret)
{
    struct frame f = registered(g, secret);
    server_says(g, &f);
    assert_true(seen.reg.has_secret);
    f = registered(g, secret);
    server_says(g, &f);
}

/* ---- the first steps ---- */

static void test_first(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    assert_int_equal(seen.registers, 1); /* at once */
    assert_int_equal(seen.reg_size, DATAGRAM_BYTES_MAX);
    assert_false(seen.reg.has_secret);
    assert_int_equal(seen.reg.cookie_size, 0);
    assert_int_equal(seen.reg.share_count, SHARES_MAX);
    assert_int_equal(seen.reg.form, FORM_OPEN);
    assert_int_equal(seen.reg.prefix_bits, 0);
    uint64_t token = seen.reg.token;
    vtime_us shortest = VTIME_NEVER, longest = 0, last = g->now, start = g->now;
    for (unsigned before = seen.registers; g->now < start + VTIME_S(14); before = seen.registers) {
        rig_run(g, VTIME_MS(1));
        if (seen.registers == before)
            continue;
        shortest = vtime_min(shortest, g->now - last);
        longest = g->now - last > longest ? g->now - last : longest;
        last = g->now;
    }
    assert_in_range(shortest, VTIME_MS(400), VTIME_MS(430)); /* 0.5 s +- 20 % */
    assert_in_range(longest, VTIME_MS(570), VTIME_MS(601));
    rig_run(g, VTIME_S(1));
    assert_in_range(seen.registers, 25, 38);
    assert_true(seen.reg.token != token);
    seen.registers = 0;
    rig_run(g, VTIME_S(120));
    assert_in_range(seen.registers, 8, 14); /* gaps that double up to 18 s */
    assert_int_equal(rig_count(g, 0, EVENT_ERROR), 1);
    assert_string_equal(rig_event(g, 0, EVENT_ERROR, 0)->code, "server-unreachable");
    assert_in_range(rig_nth(g, 0, EVENT_ERROR, 0)->at, VTIME_S(1002), VTIME_S(1003));
}

static void test_echo_and_refresh(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    struct frame first = registered(g, 7);
    server_says(g, &first);
    assert_int_equal(seen.registers, 2); /* the echo */
    assert_true(seen.reg.has_secret);
    assert_int_equal(seen.reg.secret[0], 7);
    assert_int_equal(seen.reg.cookie_size, 20);
    assert_true(seen.reg_size < DATAGRAM_BYTES_MAX);
    assert_int_equal(seen.reg.share_count, SHARES_MAX);
    server_says(g, &first); /* the token of before the echo does not answer it */
    assert_int_equal(seen.registers, 2);
    rig_run(g, VTIME_S(1));
    assert_in_range(seen.registers, 3, 5); /* so it is repeated */
    struct frame f = registered(g, 7);
    server_says(g, &f);
    unsigned before = seen.registers;
    vtime_us then = g->now;
    rig_run(g, VTIME_S(14));
    assert_int_equal(seen.registers, before);
    rig_run(g, VTIME_MS(4100));
    assert_int_equal(seen.registers, before + 1);
    assert_in_range(seen.reg_at - then, VTIME_S(15), VTIME_S(18));
    assert_int_equal(rig_count(g, 0, EVENT_REGISTERED), 1);
}

static void test_frames_that_do_not_count(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    const struct addr elsewhere = addr_v4(203, 0, 113, 2, 41414);
    struct frame f = registered(g, 7);
    server_says_from(g, &elsewhere, &f);
    f.registered.token++;
    server_says(g, &f);
    f = registered(g, 7);
    f.registered.observed.port = 0; /* masked; comes out as something else, most likely sendable */
    f.registered.observed =
        addr_mask(&(struct addr){.family = ADDR_V4, .ip = {0, 1, 2, 3}, .port = 9}, f.registered.token);
    server_says(g, &f);
    const struct frame nothings[] = {
        {.kind = FRAME_RETRY, .retry = {.token = 1, .cookie_size = 1}},
        {.kind = FRAME_REFUSED, .refused = {.token = 1, .code = REFUSED_UNKNOWN}},
        {.kind = FRAME_REFUSED, .refused = {.proof = 1, .code = REFUSED_ROOM_FULL}},
        {.kind = FRAME_LINKED, .linked = {.proof = 1, .link = 1}},
        {.kind = FRAME_LEAVE, .leave = {.proof = 1, .reason = LEAVE_QUIT}},
        {.kind = FRAME_PEER_INFO, .peer_info = {.handle = 1}},
        {.kind = FRAME_SIGNAL, .signal = {.proof = 1, .handle = 1, .datagram = {(const uint8_t *)"x", 1}}},
        {.kind = FRAME_RELAY, .relay = {.proof = 1, .link = 1, .datagram = {(const uint8_t *)"x", 1}}},
    };
    for (size_t i = 0; i < COUNT(nothings); i++)
        server_says(g, &nothings[i]);
    assert_int_equal(seen.registers, 1);
    assert_int_equal(rig_count(g, 0, EVENT_REGISTERED), 0);
    assert_int_equal(g->clients[0].event_count, 0);
    assert_true(rig_stat(g, 0, "server_frames_refused") >= COUNT(nothings));
}

/* ---- Retry, Refused, Leave ---- */

static struct frame retry(uint8_t cookie)
{
    struct frame f = {.kind = FRAME_RETRY, .retry = {.token = seen.reg.token, .cookie_size = 20}};
    memset(f.retry.cookie, cookie, 20);
    return f;
}

static void test_retry(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    struct frame f = retry(3);
    server_says(g, &f);
    assert_int_equal(seen.registers, 2);
    assert_int_equal(seen.reg.cookie_size, 20);
    assert_int_equal(seen.reg.cookie[0], 3);
    server_says(g, &f); /* each request buys one repetition */
    assert_int_equal(seen.registers, 2);
}

/* Whatever a server answers, it does not get more than a few Registers at once. */
static void test_no_endless_answers(void **state)
{
    for (int kind = 0; kind < 4; kind++) {
        struct rig *g = *state;
        rig_close(g);
        setup(state);
        free(g);
        g = *state;
        rig_start(g, 0, "ann");
        vtime_us start = g->now;
        for (int i = 0; i < 2000; i++) {
            struct frame f = retry(1);
            if (kind == 1)
                f = registered(g, (uint8_t)i); /* another secret every time */
            else if (kind == 2)
                f = (struct frame){.kind = FRAME_REFUSED,
                                   .refused = {.token = seen.reg.token, .code = REFUSED_UNKNOWN}};
            else if (kind == 3 && i % 2 == 0)
                f = registered(g, 5);
            else if (kind == 3)
                f = (struct frame){.kind = FRAME_REFUSED,
                                   .refused = {.token = seen.reg.token, .code = REFUSED_UNKNOWN}};
            server_says(g, &f);
            rig_run(g, VTIME_MS(5));
        }
        assert_true(g->now == start + VTIME_S(10));
        assert_in_range(seen.registers, 12, 100);
    }
}

static void refuse(struct rig *g, uint8_t code, uint32_t after_s)
{
    const struct frame f = {.kind = FRAME_REFUSED,
                            .refused = {.token = seen.reg.token, .code = code, .retry_after_s = after_s}};
    server_says(g, &f);
}

static void test_refused(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    refuse(g, REFUSED_ROOM_FULL, 3);
    assert_string_equal(rig_event(g, 0, EVENT_ERROR, 0)->code, "room-full");
    for (int i = 0; i < 50; i++)
        refuse(g, REFUSED_ROOM_FULL, 3);
    vtime_us then = g->now;
    unsigned before = seen.registers;
    rig_run(g, VTIME_MS(3001));
    assert_int_equal(seen.registers, before + 1);
    assert_true(seen.reg_at == then + VTIME_S(3));
    refuse(g, REFUSED_ROOM_FULL, 0); /* the same again: 10 s, and not told twice */
    assert_int_equal(rig_count(g, 0, EVENT_ERROR), 1);
    rig_run(g, VTIME_MS(9999));
    assert_int_equal(seen.registers, before + 1);
    rig_run(g, VTIME_MS(2));
    assert_int_equal(seen.registers, before + 2);
    refuse(g, REFUSED_CROWDED, 1);
    assert_string_equal(rig_event(g, 0, EVENT_ERROR, 1)->code, "too-many-strangers");
    rig_run(g, VTIME_S(2));
    struct frame f = registered(g, 7);
    server_says(g, &f);
    refuse(g, REFUSED_CROWDED, 1); /* after it was taken in: news again */
    assert_int_equal(rig_count(g, 0, EVENT_ERROR), 3);
}

static void test_refused_unknown(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    settle(g, 7);
    rig_run(g, VTIME_S(20));
    unsigned before = seen.registers;
    struct frame refused = {.kind = FRAME_REFUSED, .refused = {.token = seen.reg.token, .code = REFUSED_UNKNOWN}};
    server_says(g, &refused);
    assert_int_equal(seen.registers, before + 1); /* anew, at once, as a stranger */
    assert_false(seen.reg.has_secret);
    assert_int_equal(seen.reg.cookie_size, 0);
    assert_int_equal(seen.reg_size, DATAGRAM_BYTES_MAX);
    settle(g, 9);
    before = seen.registers;
    server_says(g, &refused); /* a late copy of the refusal says nothing of the new registration */
    assert_int_equal(seen.registers, before);
    rig_run(g, VTIME_S(20));
    assert_true(seen.reg.has_secret);
    assert_int_equal(seen.reg.secret[0], 9);
}

static void test_refused_link(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    settle(g, 7);
    rig_run(g, VTIME_S(2));
    unsigned before = seen.registers;
    const struct frame f = {.kind = FRAME_REFUSED, .refused = {.proof = proof_of(7), .code = REFUSED_UNKNOWN}};
    for (int i = 0; i < 100; i++) {
        server_says(g, &f);
        rig_run(g, VTIME_MS(100));
    }
    assert_in_range(seen.registers - before, 9, 25); /* refreshes, about one a second */
    assert_true(seen.reg.has_secret);
}

static void test_server_leaves(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    settle(g, 7);
    unsigned before = seen.registers;
    const struct frame f = {.kind = FRAME_LEAVE, .leave = {.proof = proof_of(7), .reason = LEAVE_QUIT}};
    vtime_us then = g->now;
    for (int i = 0; i < 50; i++)
        server_says(g, &f);
    assert_int_equal(rig_count(g, 0, EVENT_SERVER_LOST), 1);
    rig_run(g, VTIME_MS(2001));
    assert_int_equal(seen.registers > before, true);
    assert_true(seen.reg_at >= then + VTIME_MS(500));
    assert_false(seen.reg.has_secret);
    settle(g, 8);
    assert_int_equal(rig_count(g, 0, EVENT_REGISTERED), 2);
}

/* ---- prefix bits ---- */

static void test_bits(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    struct frame f = registered(g, 7);
    f.registered.bits_wanted = 3;
    server_says(g, &f);
    assert_int_equal(seen.reg.prefix_bits, 3);
    f = registered(g, 7);
    f.registered.bits_wanted = 1; /* never fewer than before */
    server_says(g, &f);
    rig_run(g, VTIME_S(20));
    assert_int_equal(seen.reg.prefix_bits, 3);
    f = registered(g, 7);
    f.registered.bits_wanted = 200; /* never more than 8 */
    unsigned before = seen.registers;
    server_says(g, &f);
    assert_int_equal(seen.registers, before + 1); /* and at once */
    assert_int_equal(seen.reg.prefix_bits, 8);
    f = registered(g, 7);
    f.registered.bits_wanted = 200;
    server_says(g, &f);
    assert_int_equal(seen.registers, before + 1);
    struct frame refused = {.kind = FRAME_REFUSED, .refused = {.token = 0, .proof = 0, .code = REFUSED_UNKNOWN}};
    rig_run(g, VTIME_S(20));
    refused.refused.token = seen.reg.token;
    server_says(g, &refused);
    assert_false(seen.reg.has_secret);
    assert_int_equal(seen.reg.prefix_bits, 8); /* another life, the same keyword */
}

static void test_room_form_has_no_prefix(void **state)
{
    struct rig *g = *state;
    struct engine_config config = rig_config("42-crab", "ann");
    rig_start_with(g, 0, &config);
    struct frame f = registered(g, 7);
    f.registered.bits_wanted = 8;
    server_says(g, &f);
    assert_int_equal(seen.reg.form, FORM_ROOM);
    assert_int_equal(seen.reg.room, 42);
    assert_int_equal(seen.reg.prefix_bits, 0);
    assert_int_equal(seen.reg.prefix, 0);
}

static void test_new_room(void **state)
{
    struct rig *g = *state;
    const struct engine_config config = {.keyword = {.form = KEYWORD_NEW}};
    rig_start_with(g, 0, &config);
    assert_int_equal(seen.reg.form, FORM_NEW);
    assert_int_equal(seen.reg.share_count, 0);
    struct frame f = registered(g, 7);
    f.registered.room = 0; /* no number: no answer */
    server_says(g, &f);
    assert_int_equal(rig_count(g, 0, EVENT_KEYWORD), 0);
    f.registered.room = 123;
    server_says(g, &f);
    assert_memory_equal(rig_event(g, 0, EVENT_KEYWORD, 0)->text, "123-", 4);
    assert_int_equal(seen.reg.form, FORM_ROOM);
    assert_int_equal(seen.reg.room, 123);
    assert_int_equal(seen.reg.share_count, SHARES_MAX);
    f = registered(g, 7);
    f.registered.room = 55; /* the keyword is made once */
    server_says(g, &f);
    rig_run(g, VTIME_S(20));
    assert_int_equal(seen.reg.room, 123);
    assert_int_equal(rig_count(g, 0, EVENT_KEYWORD), 1);
}

/* ---- addresses and sockets ---- */

static void test_another_server(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    settle(g, 7);
    rig_run(g, VTIME_S(5));
    g->server_addr = addr_v4(203, 0, 113, 9, 41414); /* its name means another machine now */
    unsigned before = seen.registers;
    rig_command(g, 0, (struct engine_command){.kind = COMMAND_SERVER_ADDRS, .addrs = &g->server_addr, .addr_count = 1});
    assert_int_equal(seen.registers, before + 1);
    assert_false(seen.reg.has_secret);
    assert_int_equal(seen.reg.cookie_size, 0);
    settle(g, 9);
    before = seen.registers;
    rig_command(g, 0, (struct engine_command){.kind = COMMAND_SERVER_ADDRS, .addrs = &g->server_addr, .addr_count = 1});
    assert_int_equal(seen.registers, before); /* the same one: nothing happens */
    rig_run(g, VTIME_S(20));
    assert_int_equal(seen.reg.secret[0], 9);
}

static void test_second_address(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    const struct addr addrs[2] = {addr_v4(203, 0, 113, 7, 41414), addr_v4(203, 0, 113, 1, 41414)};
    seen.registers = 0;
    rig_command(g, 0, (struct engine_command){.kind = COMMAND_SERVER_ADDRS, .addrs = addrs, .addr_count = 2});
    rig_run(g, VTIME_MS(900));
    assert_int_equal(seen.registers > 0, true); /* the one in use stays in use */
    settle(g, 7);
    rig_run(g, VTIME_S(60));
    assert_int_equal(g->clients[0].to_nobody > 0, true); /* silent: the other is tried */
}

static void test_unusable_server(void **state)
{
    struct rig *g = *state;
    struct addr v6;
    assert_true(addr_parse(&v6, "[2001:db8::1]:41414"));
    g->server_addr = v6; /* and no IPv6 here */
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(5));
    assert_string_equal(rig_event(g, 0, EVENT_ERROR, 0)->code, "server-unreachable");
    assert_int_equal(rig_count(g, 0, EVENT_ERROR), 1);
}

static void test_no_sockets(void **state)
{
    struct rig *g = *state;
    struct engine_config config = rig_config("foo", "");
    struct engine_out out;
    struct engine *e = g->clients[0].engine = calloc(1, engine_size());
    const uint8_t seed[RNG_SEED_BYTES] = {1};
    engine_init(e, &config, seed, g->now);
    while (engine_poll(e, g->now, &out)) {
        if (out.kind == OUT_EVENT)
            rig_log(g, 0, &out.event);
        else if (out.kind == OUT_OPEN)
            engine_command(e, g->now, &(struct engine_command){.kind = COMMAND_SOCKET_FAILED, .socket = out.socket});
    }
    rig_run(g, VTIME_S(60));
    assert_int_equal(rig_count(g, 0, EVENT_ERROR), 1);
    assert_string_equal(rig_event(g, 0, EVENT_ERROR, 0)->code, "server-unreachable");
}

static void test_name_unknown(void **state)
{
    struct rig *g = *state;
    struct engine_config config = rig_config("foo", "");
    const uint8_t seed[RNG_SEED_BYTES] = {1};
    g->clients[0].engine = calloc(1, engine_size());
    engine_init(g->clients[0].engine, &config, seed, g->now);
    rig_drain(g, 0);
    for (int i = 0; i < 5; i++)
        rig_command(g, 0,
                    (struct engine_command){
                        .kind = COMMAND_SERVER_UNKNOWN, .text = (const uint8_t *)"no such name", .text_size = 12});
    rig_do(g, 0, COMMAND_SERVER_UNKNOWN); /* without a text */
    assert_int_equal(rig_count(g, 0, EVENT_ERROR), 1);
    assert_non_null(strstr(rig_event(g, 0, EVENT_ERROR, 0)->text, "no such name"));
    rig_do(g, 0, COMMAND_QUIT);
    assert_int_equal(rig_event(g, 0, EVENT_END, 0)->status, 0);
    assert_int_equal(seen.leaves, 0); /* nobody knows us */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first),
        TEST(test_echo_and_refresh),
        TEST(test_frames_that_do_not_count),
        TEST(test_retry),
        TEST(test_no_endless_answers),
        TEST(test_refused),
        TEST(test_refused_unknown),
        TEST(test_refused_link),
        TEST(test_server_leaves),
        TEST(test_bits),
        TEST(test_room_form_has_no_prefix),
        TEST(test_new_room),
        TEST(test_another_server),
        TEST(test_second_address),
        TEST(test_unusable_server),
        TEST(test_no_sockets),
        TEST(test_name_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
