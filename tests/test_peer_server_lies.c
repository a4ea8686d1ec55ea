/* A server that lies about who is there, hands out what is none, and forges what it carries. */
#include "peer_rig.h"

static void server_says(struct rig *g, unsigned i, const struct frame *f)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    size_t size = codec_encode(f, bytes, sizeof bytes);
    assert_true(size > 0);
    rig_input(g, i, &g->server_addr, bytes, size);
}

static struct engine *engine(const struct rig *g, unsigned i)
{
    return g->clients[i].engine;
}

/* The share of `to` in stock that is introduced to the share `from`. */
static void peer_info(struct rig *g, unsigned to, const uint8_t *own_point, const struct share_public *share)
{
    struct frame f = {.kind = FRAME_PEER_INFO, .peer_info = {.handle = 77, .share = *share}};
    memcpy(f.peer_info.own_point, own_point, sizeof f.peer_info.own_point);
    server_says(g, to, &f);
}

static struct share_public stock_share(const struct rig *g, unsigned i, unsigned k)
{
    assert_true(k < engine(g, i)->stock.count);
    return engine(g, i)->stock.shares[k].share;
}

static unsigned runs(const struct rig *g, unsigned i)
{
    unsigned count = 0;
    for (unsigned k = 0; k < PEER_SLOTS; k++)
        count += engine(g, i)->peers[k].state == PEER_RUN;
    return count;
}

static void test_introductions_that_are_none(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    rig_start(g, 1, "bob");
    g->no_server = true;
    struct share_public own = stock_share(g, 0, 0), other = stock_share(g, 0, 1), bob = stock_share(g, 1, 0), odd = bob;
    const uint8_t unknown[32] = {1};
    peer_info(g, 0, unknown, &bob); /* not a share of hers */
    peer_info(g, 0, own.point, &own);
    peer_info(g, 0, own.point, &other); /* her own reflected */
    odd = other;
    odd.point[3] ^= 1;
    peer_info(g, 0, own.point, &odd); /* half of it */
    odd = other;
    odd.commitment[3] ^= 1;
    peer_info(g, 0, own.point, &odd);
    assert_int_equal(engine(g, 0)->stock.count, SHARES_MAX);
    assert_int_equal(rig_stat(g, 0, "reflected"), 4);
    assert_int_equal(rig_stat(g, 0, "introductions"), 0);

    peer_info(g, 0, own.point, &bob);
    assert_int_equal(runs(g, 0), 1);
    peer_info(g, 0, own.point, &bob);   /* a repetition */
    peer_info(g, 0, other.point, &own); /* the share of a run, reflected */
    assert_int_equal(rig_stat(g, 0, "reflected"), 5);
    odd = bob;
    odd.commitment[0] ^= 1;
    peer_info(g, 0, own.point, &odd);
    struct share_public another = stock_share(g, 1, 1);
    peer_info(g, 0, own.point, &another); /* used */
    assert_int_equal(runs(g, 0), 1);
    assert_int_equal(engine(g, 0)->stock.count, SHARES_MAX - 1);
    rig_run(g, VTIME_S(40));
    assert_int_equal(runs(g, 0), 0);
    peer_info(g, 0, own.point, &bob); /* over */
    assert_int_equal(runs(g, 0), 0);
    assert_int_equal(rig_stat(g, 0, "guesses_silent"), 1);
    assert_int_equal(rig_stat(g, 0, "guesses_wrong"), 0);
}

/* A point that is none costs a share and nothing else: nobody's place in the final `sent` either. */
static void test_invalid_point(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    rig_say(g, 0, "x");
    rig_start(g, 1, "bob");
    rig_run(g, VTIME_S(1));
    struct share_public bad = {{0}, {1}};
    for (unsigned k = 0; k < 4; k++) {
        memset(bad.point, (int)(k * 85), sizeof bad.point);
        struct share_public own = stock_share(g, 0, 0);
        peer_info(g, 0, own.point, &bad);
        peer_info(g, 0, own.point, &bad);
    }
    assert_int_equal(runs(g, 0), 0);
    rig_run(g, VTIME_S(3));
    assert_int_equal(rig_event(g, 0, EVENT_SENT, 1)->peer_count, 1);
    rig_still_talk(g);
}

static void signal_from(struct rig *g, const uint8_t *point, const uint8_t *bytes, size_t size, bool true_proof)
{
    struct frame f = {
        .kind = FRAME_SIGNAL,
        .signal = {.proof = engine(g, 0)->rv.proof + !true_proof, .handle = 77, .datagram = {bytes, size}}};
    memcpy(f.signal.point, point, sizeof f.signal.point);
    server_says(g, 0, &f);
}

/* Garbage for a run is one wrong guess and does not end it: the true envelope may still come. */
static void test_garbage_for_a_run(void **state)
{
    struct rig *g = *state;
    struct rng r;
    dice_seed(&r, 7);
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    g->clients[1].half = VTIME_MS(300); /* bob's envelope takes its time */
    rig_start(g, 1, "bob");
    rig_run(g, VTIME_MS(700));
    assert_int_equal(runs(g, 0), 1);
    uint8_t point[32], bytes[SIGNAL_DATAGRAM_BYTES_MAX];
    for (unsigned k = 0; k < PEER_SLOTS; k++)
        if (engine(g, 0)->peers[k].state == PEER_RUN)
            memcpy(point, engine(g, 0)->peers[k].theirs.point, sizeof point);
    for (int i = 0; i < 500; i++) {
        size_t size = dice_between(&r, 1, sizeof bytes);
        struct frame sealed = {.kind = FRAME_SEALED, .sealed = {.session = rng_u64(&r), .counter = rng_u64(&r)}};
        rng_bytes(&r, bytes, sizeof bytes);
        sealed.sealed.ciphertext = (struct bytes){bytes, dice_between(&r, 17, 400)};
        if (i % 3 == 0)
            sealed.sealed.session = rig_stat(g, 0, "introductions"); /* anything */
        uint8_t frame[DATAGRAM_BYTES_MAX];
        size_t frame_size = codec_encode(&sealed, frame, sizeof frame);
        if (i % 2 == 0)
            signal_from(g, point, frame, frame_size, true);
        else
            signal_from(g, point, bytes, size, true);
        signal_from(g, point, bytes, size, false);
    }
    assert_int_equal(rig_stat(g, 0, "guesses_wrong"), 1);
    assert_int_equal(runs(g, 0), 1);
    rig_run(g, VTIME_S(5));
    assert_int_equal(rig_count(g, 0, EVENT_PEER), 1);
    rig_still_talk(g);
}

/* Whoever knows the keyword but opens another commitment than his share has is no peer. */
static void test_wrong_nonce(void **state)
{
    struct rig *g = *state;
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    rig_start(g, 1, "bob");
    for (unsigned k = 0; k < SHARES_MAX; k++)
        engine(g, 1)->stock.shares[k].nonce[0] ^= 1;
    rig_run(g, VTIME_S(2));
    assert_int_equal(rig_count(g, 0, EVENT_PEER), 0);
    assert_int_equal(rig_stat(g, 0, "guesses_wrong"), 1);
    assert_int_equal(rig_stat(g, 0, "introductions_confirmed"), 0);
    assert_int_equal(engine(g, 0)->stock.missing + engine(g, 0)->stock.refilled, 1);
    rig_run(g, VTIME_S(100));
    assert_int_equal(rig_count(g, 0, EVENT_PEER), 0);
}

/* Three envelopes that do not open in one room: time to tell. Once. */
static void test_alarm(void **state)
{
    struct rig *g = *state;
    struct engine_config config = rig_config("42-crab", "ann");
    rig_start_with(g, 0, &config);
    config = rig_config("42-lobster", "eve");
    for (unsigned n = 0; n < 6; n++) {
        rig_run(g, VTIME_S(40));
        assert_int_equal(rig_stat(g, 0, "guesses_wrong"), n);
        assert_int_equal(rig_count(g, 0, EVENT_WARNING), n >= 3);
        rig_start_with(g, 1, &config);
        rig_run(g, VTIME_S(2));
        rig_do(g, 1, COMMAND_QUIT);
        free(g->clients[1].engine);
        g->clients[1].engine = NULL;
        g->clients[1].event_count = 0;
        g->clients[1].ended = false;
    }
    assert_string_equal(rig_event(g, 0, EVENT_WARNING, 0)->code, "wrong-keyword");
    assert_int_equal(rig_count(g, 0, EVENT_PEER), 0);
}

/* ---- the same two, introduced again and again ---- */

/* Signals between runs that the real server knows nothing of are carried by this one. */
static bool carry_signals(struct rig *g, unsigned from, unsigned to, const uint8_t *at, size_t size)
{
    static struct frame f;
    if (to != RIG_SERVER || codec_decode(&g->codec, at, size, &f) != DECODE_OK || f.kind != FRAME_SIGNAL ||
        f.signal.handle != 77)
        return false;
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    f.signal.has_secret = false;
    f.signal.proof = engine(g, 1 - from)->rv.proof;
    size = codec_encode(&f, bytes, sizeof bytes);
    rig_post(g, g->now + VTIME_MS(40), 1 - from, &g->server_addr, bytes, size);
    return true;
}

static void test_introduced_again(void **state)
{
    struct rig *g = *state;
    g->lose = carry_signals;
    rig_meet(g);
    for (unsigned n = 0; n < 5; n++) {
        struct share_public ann = stock_share(g, 0, 0), bob = stock_share(g, 1, 0);
        peer_info(g, 0, ann.point, &bob);
        peer_info(g, 1, bob.point, &ann);
        rig_say(g, 0, "once");
        rig_run(g, VTIME_S(3));
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rig_count(g, i, EVENT_PEER), 1);
        assert_int_equal(rig_count(g, i, EVENT_PEER_LEFT), 0);
        assert_int_equal(rig_stat(g, i, "introductions_confirmed"), 6);
        assert_int_equal(engine(g, i)->stock.count, SHARES_MAX); /* it cost no guess */
        assert_int_equal(engine(g, i)->stock.refilled, 0);
        assert_int_equal(runs(g, i), 0);
    }
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 5);
    rig_still_talk(g);
}

/* Links that come again, with other numbers, or for nobody. */
static void test_links(void **state)
{
    struct rig *g = *state;
    g->no_direct = true;
    rig_meet(g);
    struct peer *bob = rig_peer(g, 0, 1);
    uint32_t link = bob->link;
    assert_true(link != 0);
    struct frame f = {.kind = FRAME_LINKED, .linked = {.proof = engine(g, 0)->rv.proof, .link = 5}};
    server_says(g, 0, &f); /* a token that is nobody's */
    memcpy(f.linked.token, bob->seal.relay_token, sizeof f.linked.token);
    f.linked.proof++;
    server_says(g, 0, &f); /* not this server */
    assert_int_equal(bob->link, link);
    f.linked.proof--;
    for (uint32_t n = 1; n < 500; n++) {
        f.linked.link = n + 1000;
        f.linked.observed = addr_v4(192, 0, 2, (uint8_t)(n % 200), (uint16_t)n);
        server_says(g, 0, &f);
    }
    rig_run(g, VTIME_S(5));
    assert_int_equal(g->clients[0].to_nobody, 0); /* told addresses are for later */
    rig_still_talk(g);                            /* the server refuses the false link, and is asked for the true one */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_introductions_that_are_none),
        TEST(test_invalid_point),
        TEST(test_garbage_for_a_run),
        TEST(test_wrong_nonce),
        TEST(test_alarm),
        TEST(test_introduced_again),
        TEST(test_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
