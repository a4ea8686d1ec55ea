/* Members who lie: what they can do to an engine, and what it does then. The liar is a real engine whose session is
 * used to seal whatever the test wants. */
#include "peer_rig.h"

static void bob_seals_from(struct rig *g, const struct addr *from, const uint8_t *plain, size_t size)
{
    struct peer *ann = rig_peer(g, 1, 1);
    uint8_t ciphertext[CIPHERTEXT_BYTES_MAX], bytes[DATAGRAM_BYTES_MAX];
    struct frame f = {.kind = FRAME_SEALED, .sealed = {.session = ann->seal.send.session}};
    seal_packet(&ann->seal, g->now, plain, size, ciphertext, &f.sealed.counter, &f.sealed.epoch);
    f.sealed.ciphertext = (struct bytes){ciphertext, size + SEAL_TAG_BYTES};
    size = codec_encode(&f, bytes, sizeof bytes);
    assert_true(size > 0);
    rig_input(g, 0, from, bytes, size);
}

static void bob_seals(struct rig *g, const uint8_t *plain, size_t size)
{
    bob_seals_from(g, &g->clients[1].addr, plain, size);
}

static void bob_says(struct rig *g, const struct frame *f)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    size_t size = codec_encode_inner(f, plain, sizeof plain);
    assert_true(size > 0);
    bob_seals(g, plain, size);
}

static void bob_writes(struct rig *g, uint64_t offset, const char *bytes, size_t size)
{
    const struct frame f = {.kind = FRAME_MESSAGE,
                            .message = {.offset = offset, .data = {(const uint8_t *)bytes, size}}};
    bob_says(g, &f);
}

static void test_broken_streams(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } broken[] = {
        {"\x00\x01x", 3},                                  /* id 0 */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01x", 11}, /* an id over 2^53-1 */
        {"\x01\x81\x80\x01", 4},                           /* length 16,385 */
        {"\x01\x02\xff\xff", 4},                           /* not UTF-8 */
        {"\x01\x03"
         "a\0b",
         5}, /* NUL */
    };
    for (size_t i = 0; i < COUNT(broken); i++) {
        struct rig *g = *state;
        rig_close(g);
        rig_open(g);
        rig_meet(g);
        g->clients[1].holds_back = true;
        rig_say_to(g, 0, 9, 0, "never written");
        rig_run(g, VTIME_S(1));
        bob_writes(g, 0, "\x05\x02ok", 4);
        assert_int_equal(rig_count(g, 0, EVENT_MESSAGE), 1);
        bob_writes(g, 4, broken[i].bytes, broken[i].size);
        assert_string_equal(rig_event(g, 0, EVENT_PEER_LEFT, 0)->text, "timeout");
        assert_string_equal(rig_event(g, 0, EVENT_WARNING, 0)->code, "protocol-error");
        assert_int_equal(rig_event(g, 0, EVENT_FAILED, 0)->id, 9);
        assert_int_equal(rig_count(g, 0, EVENT_MESSAGE), 1);
        rig_run(g, VTIME_S(5)); /* bob goes on for a while; nobody listens */
        assert_int_equal(rig_count(g, 0, EVENT_PEER), 1);
        struct engine_peer peers[4];
        assert_int_equal(engine_peers(g->clients[0].engine, peers, COUNT(peers)), 0);
    }
}

static void test_garbage_inside(void **state)
{
    struct rig *g = *state;
    struct rng r;
    dice_seed(&r, 3);
    rig_meet(g);
    uint64_t replayed = rig_stat(g, 0, "packets_replayed");
    for (int i = 0; i < 2000; i++) {
        uint8_t plain[PLAIN_BYTES_MAX];
        size_t size = dice_between(&r, 1, 60);
        rng_bytes(&r, plain, size);
        bob_seals(g, plain, size);
    }
    const struct frame outside[] = {
        {.kind = FRAME_PEER_INFO, .peer_info = {.handle = 1}},
        {.kind = FRAME_LINKED, .linked = {.proof = 1, .link = 1}},
        {.kind = FRAME_REFUSED, .refused = {.proof = 1, .code = REFUSED_UNKNOWN}},
    };
    for (size_t i = 0; i < COUNT(outside); i++) {
        uint8_t bytes[DATAGRAM_BYTES_MAX];
        size_t size = codec_encode(&outside[i], bytes + 2, 120);
        bytes[0] = (uint8_t)size;
        bob_seals(g, bytes, 1);
        memmove(bytes + 1, bytes + 2, size);
        bob_seals(g, bytes, size + 1);
    }
    assert_int_equal(rig_stat(g, 0, "packets_replayed"), replayed);
    rig_still_talk(g);
}

static void test_acks_of_the_future(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    g->lose = NULL;
    rig_say(g, 0, "x"); /* under way */
    const struct ack_range ranges[] = {{0, UINT64_MAX},
                                       {UINT64_MAX, UINT64_MAX},
                                       {0, 1000000},
                                       {rig_peer(g, 0, 1)->seal.counter, rig_peer(g, 0, 1)->seal.counter}};
    for (size_t i = 0; i < COUNT(ranges); i++) {
        const struct frame f = {.kind = FRAME_ACK,
                                .ack = {.range_count = 1, .delay_us = 10000000, .ranges = {ranges[i]}}};
        bob_says(g, &f);
    }
    assert_int_equal(rig_peer(g, 0, 1)->recovery.outstanding, 1);
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 0);
    rig_run(g, VTIME_S(1));
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 1);
    /* All numbers that there were, many of them never in need of an Ack. */
    struct frame f = {.kind = FRAME_ACK, .ack = {.range_count = 1}};
    f.ack.ranges[0].last = rig_peer(g, 0, 1)->seal.counter - 1;
    for (int i = 0; i < 100; i++)
        bob_says(g, &f);
    rig_still_talk(g);
}

static void test_counters_jump(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    for (unsigned bit = 20; bit < 64; bit++) {
        rig_peer(g, 1, 1)->seal.counter += 1ULL << (bit - (bit == 63));
        bob_says(g, &(struct frame){.kind = FRAME_RECEIPT});
        rig_run(g, VTIME_MS(300)); /* ann's Ack has as many ranges as there may be, of huge numbers */
    }
    rig_still_talk(g);
    assert_int_equal(rig_count(g, 0, EVENT_PATH), 2);
}

static void test_receipts_and_credit(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    g->clients[1].holds_back = true;
    const uint64_t counts[] = {1, 5, UINT64_MAX, 1ULL << 32, 0};
    for (size_t i = 0; i < COUNT(counts); i++)
        bob_says(g, &(struct frame){.kind = FRAME_RECEIPT, .receipt = {.count = counts[i]}});
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 0);
    rig_say(g, 0, "x");
    rig_run(g, VTIME_S(1));
    for (size_t i = 1; i < COUNT(counts); i++)
        bob_says(g, &(struct frame){.kind = FRAME_RECEIPT, .receipt = {.count = counts[i]}});
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 0); /* more than was sent */
    bob_says(g, &(struct frame){.kind = FRAME_RECEIPT, .receipt = {.count = 1}});
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), 1);

    const uint64_t limits[] = {0, 1, UINT64_MAX, 5};
    for (size_t i = 0; i < COUNT(limits); i++)
        bob_says(g, &(struct frame){.kind = FRAME_CREDIT, .credit = {.limit = limits[i]}});
    g->clients[1].holds_back = false;
    rig_command(g, 1, (struct engine_command){.kind = COMMAND_WRITTEN, .peer = 1, .number = 1});
    rig_run(g, VTIME_S(1));
    static uint8_t text[TEXT_BYTES_MAX];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 60; i++) /* bob gave more credit than he has: he drops it, and ann repeats it */
        rig_command(g, 0, (struct engine_command){.kind = COMMAND_SEND, .text = text, .text_size = sizeof text});
    rig_run(g, VTIME_S(120));
    assert_int_equal(rig_count(g, 1, EVENT_MESSAGE), 61);
    rig_still_talk(g);
}

/* Far beyond the credit, holes without end, the same again: the memory for it is fixed, the session lives. */
static void test_stream_floods(void **state)
{
    struct rig *g = *state;
    struct rng r;
    dice_seed(&r, 5);
    rig_meet(g);
    bob_writes(g, UINT64_MAX, "x", 1);
    bob_writes(g, UINT64_MAX - 5, "xxxxxxxxxx", 10);
    bob_writes(g, CREDIT_BYTES, "x", 1);
    for (unsigned i = 0; i < 3000; i++) /* never the front, so nothing becomes a message */
        bob_writes(g, dice_between(&r, 30000, CREDIT_BYTES - 1), "y", 1);
    struct inbox *b = &rig_peer(g, 0, 1)->inbox;
    assert_int_equal(b->piece_count, INBOX_PIECES_MAX);
    assert_int_equal(rig_count(g, 0, EVENT_MESSAGE), 0);
    rig_still_talk(g);
}

/* ---- addresses ---- */

static void offer(struct rig *g, uint32_t generation, const struct addr *addrs, unsigned count)
{
    struct frame f = {.kind = FRAME_OFFER, .offer = {.generation = generation, .candidate_count = (uint8_t)count}};
    for (unsigned i = 0; i < count; i++)
        f.offer.candidates[i] = (struct candidate){addrs[i], CANDIDATE_HOST};
    bob_says(g, &f);
}

/* Nobody can point an engine at a machine that it must not bother. */
static void test_forbidden_candidates(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    const struct addr bad[] = {
        addr_v4(127, 0, 0, 1, 53),
        addr_v4(0, 0, 0, 0, 53),
        addr_v4(0, 1, 2, 3, 53),
        addr_v4(224, 0, 0, 251, 5353),
        addr_v4(239, 1, 1, 1, 1),
        addr_v4(255, 255, 255, 255, 67),
        addr_v4(240, 0, 0, 1, 1),
        addr_v4(10, 0, 0, 1, 53),
        addr_v4(172, 16, 0, 1, 53),
        addr_v4(192, 168, 1, 1, 53),
        addr_v4(169, 254, 169, 254, 80),
        g->server_addr,
        g->clients[0].addr,
    };
    unsigned long before = g->clients[0].to_server;
    for (unsigned i = 0; i < COUNT(bad); i++)
        offer(g, 100 + i, &bad[i], 1);
    rig_run(g, VTIME_S(10));
    assert_int_equal(g->clients[0].to_nobody, 0);
    assert_true(g->clients[0].to_server - before <= 1); /* a refresh at most */
    assert_int_equal(rig_count(g, 0, EVENT_PEER_LEFT), 0);
}

/* Old generations are ignored, so a replay or a late packet brings no old addresses back. */
static void test_old_offers(void **state)
{
    struct rig *g = *state;
    const struct addr far = addr_v4(192, 0, 2, 77, 7777);
    rig_meet(g);
    offer(g, 50, &g->clients[1].addr, 1);
    offer(g, 50, &far, 1);
    offer(g, 49, &far, 1);
    offer(g, 1, &far, 1);
    rig_run(g, VTIME_S(5));
    assert_int_equal(g->clients[0].to_nobody, 0);
    rig_still_talk(g);
}

/* A member who sends one Offer after the other, each with eight new addresses of somebody else. */
static void test_offer_flood(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    for (uint32_t n = 0; n < 1000; n++) {
        struct addr a[CANDIDATES_MAX];
        for (unsigned i = 0; i < CANDIDATES_MAX; i++)
            a[i] = addr_v4(192, 0, 2, (uint8_t)(n % 200), (uint16_t)(1000 + 8 * n + i));
        offer(g, 100 + n, a, CANDIDATES_MAX);
        rig_run(g, VTIME_MS(10));
    }
    assert_in_range(g->clients[0].to_nobody, 32, 300); /* 32 + 10 addresses, some of them several times */
    rig_still_talk(g);
}

/* Authentic packets from a thousand addresses (a member can forge the sender's). */
static void test_source_flood(void **state)
{
    struct rig *g = *state;
    rig_meet(g);
    uint8_t plain[64];
    for (unsigned n = 0; n < 1000; n++) {
        const struct addr from = addr_v4(192, 0, 2, (uint8_t)(n % 200), (uint16_t)(1000 + n));
        const struct frame f = {.kind = FRAME_PUNCH, .punch = {.challenge = n + 1}};
        bob_seals_from(g, &from, plain, codec_encode_inner(&f, plain, sizeof plain));
        rig_run(g, VTIME_MS(10));
    }
    assert_in_range(g->clients[0].to_nobody, 32, 300);
    rig_still_talk(g);
    assert_int_equal(rig_count(g, 0, EVENT_PATH), 2); /* the path stays what it was */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_broken_streams),       TEST(test_garbage_inside),      TEST(test_acks_of_the_future),
        TEST(test_counters_jump),        TEST(test_receipts_and_credit), TEST(test_stream_floods),
        TEST(test_forbidden_candidates), TEST(test_old_offers),          TEST(test_offer_flood),
        TEST(test_source_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
