/* Keys and packets of a session: against the worked example, which an independent script computed, and by rule. */
#include "hex.h"
#include "wire/codec.h"
#include "wire/keyword.h"
#include "wire/limits.h"
#include "wire/seal.h"
#include <stdlib.h>

#define EXAMPLE "tests/vectors/worked-example.txt"

static struct blob example(const char *prefix, const char *name)
{
    return hex_lookup(EXAMPLE, prefix, name);
}

static uint64_t le64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

/* ---- the worked example ---- */

/* Both ends of the example's run, from what was typed on. */
static void run_example(const char *name, struct cpace_result *ret_a, struct cpace_result *ret_b)
{
    struct blob typed = example(name, "typed"), normal = example(name, "normal"), ci = example(name, "ci");
    struct blob string = example(name, "generator_string"), g = example(name, "g");
    struct keyword k;
    uint8_t buf[CPACE_GENERATOR_STRING_MAX], point[CPACE_POINT_BYTES];
    assert_int_equal(keyword_parse(&k, (const char *)typed.at, typed.size), KEYWORD_OK);
    assert_blob(normal, k.normal, k.size);
    assert_blob(ci, buf, keyword_ci(&k, buf));
    struct cpace_part prs = {k.normal, k.size}, ci_part = {ci.at, ci.size}, sid = {NULL, 0};
    assert_blob(string, buf, cpace_generator_string(buf, &prs, &ci_part, &sid));
    assert_true(cpace_generator(point, &prs, &ci_part, &sid));
    assert_blob(g, point, sizeof point);

    struct blob scalar[2] = {example(name, "scalar_a"), example(name, "scalar_b")};
    struct blob points[2] = {example(name, "point_a"), example(name, "point_b")};
    struct blob nonce[2] = {example(name, "nonce_a"), example(name, "nonce_b")};
    struct blob commitment[2] = {example(name, "commitment_a"), example(name, "commitment_b")};
    for (int i = 0; i < 2; i++) {
        uint8_t made[SEAL_COMMITMENT_BYTES];
        assert_true(cpace_point(point, scalar[i].at, g.at));
        assert_blob(points[i], point, sizeof point);
        seal_commit(made, nonce[i].at);
        assert_blob(commitment[i], made, sizeof made);
    }
    struct cpace_part a = {commitment[0].at, commitment[0].size}, b = {commitment[1].at, commitment[1].size};
    assert_true(cpace_finish(ret_a, scalar[0].at, &sid, points[0].at, &a, points[1].at, &b));
    assert_true(cpace_finish(ret_b, scalar[1].at, &sid, points[1].at, &b, points[0].at, &a));
    struct blob isk = example(name, "isk"), run_id = example(name, "run_id");
    assert_blob(isk, ret_a->isk, sizeof ret_a->isk);
    assert_blob(isk, ret_b->isk, sizeof ret_b->isk);
    assert_blob(run_id, ret_a->sid_output, sizeof ret_a->sid_output);
    assert_int_equal(example(name, "side_of_a").at[0], ret_a->own_is_larger ? 0 : 1);
}

/* Both ends' sessions; side[0] is the larger's. */
static void open_example(const char *name, struct seal side[static 2])
{
    struct cpace_result a, b;
    run_example(name, &a, &b);
    seal_init(&side[0], a.own_is_larger ? &a : &b, 0);
    seal_init(&side[1], a.own_is_larger ? &b : &a, 0);
}

static void check_example_keys(const char *name)
{
    struct seal side[2];
    open_example(name, side);
    struct blob relay_token = example(name, "relay_token"), words_key = example(name, "words_key");
    struct blob same_key = example(name, "same_key");
    for (unsigned i = 0; i < 2; i++) {
        struct blob key = example(name, i == 0 ? "key_0" : "key_1");
        struct blob session = example(name, i == 0 ? "session_0" : "session_1");
        assert_int_equal(side[i].side, i);
        assert_blob(key, side[i].send.key, SEAL_KEY_BYTES);
        assert_blob(key, side[1 - i].recv.key, SEAL_KEY_BYTES);
        assert_int_equal(session.size, 8);
        assert_true(side[i].send.session == le64(session.at));
        assert_true(side[1 - i].recv.session == le64(session.at));
        assert_blob(relay_token, side[i].relay_token, SEAL_RELAY_TOKEN_BYTES);
        assert_blob(words_key, side[i].words_key, SEAL_KEY_BYTES);
        assert_blob(same_key, side[i].same_key, SEAL_KEY_BYTES);
    }
    struct blob next = example(name, "next_run_id"), tags = example(name, "same_tags");
    assert_int_equal(tags.size, 32);
    for (unsigned i = 0; i < 4; i++)
        assert_true(seal_same_tag(side[i / 2].same_key, i % 2, i / 2, next.at) == le64(tags.at + 8 * i));
}

static void check_example_words(const char *name)
{
    struct seal side[2];
    open_example(name, side);
    struct blob a = example(name, "nonce_a"), b = example(name, "nonce_b"), indices = example(name, "word_indices");
    bool a_is_0 = example(name, "side_of_a").at[0] == 0;
    uint16_t words[2][SEAL_WORDS];
    seal_words(&side[0], a_is_0 ? a.at : b.at, a_is_0 ? b.at : a.at, words[0]);
    seal_words(&side[1], a_is_0 ? b.at : a.at, a_is_0 ? a.at : b.at, words[1]);
    assert_memory_equal(words[0], words[1], sizeof words[0]);
    assert_int_equal(indices.size, 2 * SEAL_WORDS);
    for (unsigned i = 0; i < SEAL_WORDS; i++)
        assert_int_equal(words[0][i], indices.at[2 * i] << 8 | indices.at[2 * i + 1]);
    seal_words(&side[0], a_is_0 ? b.at : a.at, a_is_0 ? a.at : b.at, words[1]); /* the order matters */
    assert_memory_not_equal(words[0], words[1], sizeof words[0]);
}

/* Seals one packet, compares it with the example's, as ciphertext and as datagram, and opens it. */
static void check_example_packet(const char *name, unsigned number, struct seal *from, struct seal *to)
{
    char what[32];
    snprintf(what, sizeof what, "packet_%u.plain", number);
    struct blob plain = example(name, what);
    snprintf(what, sizeof what, "packet_%u.ciphertext", number);
    struct blob expected = example(name, what);
    snprintf(what, sizeof what, "packet_%u.datagram", number);
    struct blob datagram = example(name, what);

    uint8_t ciphertext[256], bytes[512], opened[256];
    struct frame f = {.kind = FRAME_SEALED, .sealed = {.session = from->send.session}};
    seal_packet(from, 0, plain.at, plain.size, ciphertext, &f.sealed.counter, &f.sealed.epoch);
    assert_blob(expected, ciphertext, plain.size + SEAL_TAG_BYTES);
    f.sealed.ciphertext = (struct bytes){ciphertext, expected.size};
    assert_blob(datagram, bytes, codec_encode(&f, bytes, sizeof bytes));

    static struct codec codec;
    struct frame got;
    assert_int_equal(codec_decode(&codec, datagram.at, datagram.size, &got), DECODE_OK);
    assert_int_equal(got.kind, FRAME_SEALED);
    assert_int_equal(seal_open(to, 0, got.sealed.session, got.sealed.epoch, got.sealed.counter,
                               got.sealed.ciphertext.at, got.sealed.ciphertext.size, OLD_KEY_US, opened),
                     SEAL_OPENED);
    assert_memory_equal(opened, plain.at, plain.size);
}

static void check_example_packets(const char *name)
{
    struct seal side[2];
    open_example(name, side);
    check_example_packet(name, 0, &side[0], &side[1]);
    /* Side 1 has used its first key up; its next packet is number 1,000. */
    side[1].send.packets = RATCHET_PACKETS;
    side[1].epoch_confirmed = true;
    side[1].counter = 1000;
    check_example_packet(name, 1, &side[1], &side[0]);
    struct blob key = example(name, "key_1_epoch_1");
    assert_blob(key, side[1].send.key, SEAL_KEY_BYTES);
    assert_blob(key, side[0].recv.key, SEAL_KEY_BYTES);
}

static void test_worked_example(void **state)
{
    (void)state;
    static const char *const names[] = {"room", "open"};
    for (size_t i = 0; i < 2; i++) {
        check_example_keys(names[i]);
        check_example_words(names[i]);
        check_example_packets(names[i]);
    }
    struct blob hash = example("open", "prefix_hash"), typed = example("open", "typed");
    struct keyword k;
    assert_int_equal(keyword_parse(&k, (const char *)typed.at, typed.size), KEYWORD_OK);
    assert_int_equal(k.hash, hash.at[0]);
}

static void test_proof(void **state)
{
    (void)state;
    struct blob secret = example("", "secret"), proof = example("", "proof");
    assert_int_equal(secret.size, SEAL_SECRET_BYTES);
    assert_true(seal_proof(secret.at) == le64(proof.at));
}

/* ---- packets ---- */

struct packet {
    uint64_t session, counter;
    uint32_t epoch;
    size_t size;
    uint8_t ciphertext[64];
};

struct pair {
    struct seal a, b;
};

static struct pair new_pair(void)
{
    struct cpace_result run = {.own_is_larger = true};
    struct pair p;
    memset(run.isk, 0xa5, sizeof run.isk);
    seal_init(&p.a, &run, 0);
    run.own_is_larger = false;
    seal_init(&p.b, &run, 0);
    return p;
}

static struct packet seal_text(struct seal *s, vtime_us now, const char *text)
{
    struct packet p = {.session = s->send.session, .size = strlen(text) + SEAL_TAG_BYTES};
    assert_true(p.size <= sizeof p.ciphertext);
    seal_packet(s, now, (const uint8_t *)text, strlen(text), p.ciphertext, &p.counter, &p.epoch);
    return p;
}

static enum seal_verdict open_at(struct seal *s, vtime_us now, const struct packet *p)
{
    uint8_t plain[64];
    return seal_open(s, now, p->session, p->epoch, p->counter, p->ciphertext, p->size, OLD_KEY_US, plain);
}

/* The next packet of the sender steps to a new key. */
static void wear_out(struct seal *s)
{
    s->send.packets = RATCHET_PACKETS;
    s->epoch_confirmed = true;
}

static void test_packets_both_ways(void **state)
{
    (void)state;
    struct pair p = new_pair();
    for (unsigned i = 0; i < 100; i++) {
        uint8_t plain[64];
        struct packet to_b = seal_text(&p.a, i, "hello"), to_a = seal_text(&p.b, i, "");
        assert_true(to_b.counter == i && to_b.epoch == 0);
        assert_int_equal(
            seal_open(&p.b, i, to_b.session, to_b.epoch, to_b.counter, to_b.ciphertext, to_b.size, 0, plain),
            SEAL_OPENED);
        assert_memory_equal(plain, "hello", 5);
        assert_int_equal(open_at(&p.a, i, &to_a), SEAL_OPENED);
        assert_int_equal(open_at(&p.b, i, &to_b), SEAL_REPLAYED);
        assert_int_equal(open_at(&p.a, i, &to_b), SEAL_FORGED); /* sent back to its sender */
    }
    assert_true(p.a.send.packets == 100 && p.a.recv.packets == 100);
    assert_true(p.a.send.session != p.a.recv.session);
    assert_memory_not_equal(p.a.send.key, p.a.recv.key, SEAL_KEY_BYTES);
}

/* Every bit of what is sent is authentic; nothing else opens, and nothing changes. */
static void test_nothing_changes_unless_opened(void **state)
{
    (void)state;
    struct pair p = new_pair();
    struct packet good = seal_text(&p.a, 0, "some text"), bad;
    struct seal before;
    memcpy(&before, &p.b, sizeof before); /* padding too */
    for (size_t bit = 0; bit < good.size * 8; bit++) {
        bad = good;
        bad.ciphertext[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(open_at(&p.b, 0, &bad), SEAL_FORGED);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        bad = good;
        bad.counter ^= 1ULL << bit;
        assert_int_equal(open_at(&p.b, 0, &bad), SEAL_FORGED);
        bad = good;
        bad.session ^= 1ULL << bit;
        assert_int_equal(open_at(&p.b, 0, &bad), SEAL_FORGED);
    }
    bad = good;
    bad.epoch = 1; /* the next key is tried, and forgotten */
    assert_int_equal(open_at(&p.b, 0, &bad), SEAL_FORGED);
    for (uint32_t epoch = 2; epoch != 0; epoch = epoch > UINT32_MAX / 2 ? 0 : epoch * 2) {
        bad.epoch = epoch;
        assert_int_equal(open_at(&p.b, 0, &bad), SEAL_WRONG_EPOCH);
    }
    bad.epoch = UINT32_MAX;
    assert_int_equal(open_at(&p.b, 0, &bad), SEAL_WRONG_EPOCH);
    for (bad = good; bad.size-- > 0;)
        assert_int_equal(open_at(&p.b, 0, &bad), SEAL_FORGED);
    bad = good;
    bad.counter = UINT64_MAX; /* no packet has this number */
    assert_int_equal(open_at(&p.b, 0, &bad), SEAL_REPLAYED);
    assert_memory_equal(&before, &p.b, sizeof before);
    assert_int_equal(open_at(&p.b, 0, &good), SEAL_OPENED);
}

static void test_old_packets_are_replays(void **state)
{
    (void)state;
    struct pair p = new_pair();
    struct packet first = seal_text(&p.a, 0, "x"), second = seal_text(&p.a, 0, "y");
    p.a.counter = REPLAY_WINDOW_BITS;
    struct packet edge = seal_text(&p.a, 0, "z");
    assert_int_equal(open_at(&p.b, 0, &edge), SEAL_OPENED);
    assert_int_equal(open_at(&p.b, 0, &first), SEAL_REPLAYED); /* just out of the window */
    assert_int_equal(open_at(&p.b, 0, &second), SEAL_OPENED);
}

/* ---- the ratchet ---- */

static void test_steps_after_packets(void **state)
{
    (void)state;
    struct pair p = new_pair();
    seal_text(&p.a, 0, "x");
    seal_acknowledged(&p.a, 0);
    p.a.send.packets = RATCHET_PACKETS - 1;
    assert_int_equal(seal_text(&p.a, 0, "x").epoch, 0); /* number 2^20 of this epoch */
    uint64_t counter = p.a.counter;
    struct packet next = seal_text(&p.a, 0, "x");
    assert_int_equal(next.epoch, 1);
    assert_true(next.counter == counter); /* numbers go on over the epochs */
    assert_true(p.a.send.packets == 1);
    assert_false(p.a.epoch_confirmed);
}

static void test_steps_after_use(void **state)
{
    (void)state;
    struct pair p = new_pair();
    const vtime_us begin = VTIME_S(1000); /* idle since 0: the time of use begins with the first packet */
    seal_text(&p.a, begin, "x");
    seal_acknowledged(&p.a, 0);
    assert_int_equal(seal_text(&p.a, begin + RATCHET_US - 1, "x").epoch, 0);
    assert_int_equal(seal_text(&p.a, begin + RATCHET_US, "x").epoch, 1);
    /* The step was the first packet of the new epoch. */
    seal_acknowledged(&p.a, 1);
    assert_int_equal(seal_text(&p.a, begin + 2 * RATCHET_US - 1, "x").epoch, 1);
    assert_int_equal(seal_text(&p.a, begin + 2 * RATCHET_US, "x").epoch, 2);
}

static void test_stays_unless_acknowledged(void **state)
{
    (void)state;
    struct pair p = new_pair();
    seal_text(&p.a, 0, "x");
    p.a.send.packets = 2 * RATCHET_PACKETS;
    assert_int_equal(seal_text(&p.a, 2 * RATCHET_US, "x").epoch, 0);
    seal_acknowledged(&p.a, 1); /* of an epoch that has not begun */
    assert_int_equal(seal_text(&p.a, 2 * RATCHET_US, "x").epoch, 0);
    seal_acknowledged(&p.a, 0);
    assert_int_equal(seal_text(&p.a, 2 * RATCHET_US, "x").epoch, 1);
    p.a.send.packets = 2 * RATCHET_PACKETS;
    seal_acknowledged(&p.a, 0); /* a late one, of the epoch before */
    assert_int_equal(seal_text(&p.a, 4 * RATCHET_US, "x").epoch, 1);
    struct pair fresh = new_pair();
    seal_acknowledged(&fresh.a, 0); /* before anything was sealed */
    assert_false(fresh.a.epoch_confirmed);
}

static void test_receiver_follows(void **state)
{
    (void)state;
    struct pair p = new_pair();
    struct packet late = seal_text(&p.a, 0, "before"), later = seal_text(&p.a, 0, "before, too");
    wear_out(&p.a);
    struct packet next = seal_text(&p.a, 10, "after"), forged = next;
    uint8_t old_key[SEAL_KEY_BYTES];
    memcpy(old_key, p.b.recv.key, sizeof old_key);
    assert_int_equal(next.epoch, 1);
    forged.ciphertext[0] ^= 1;
    assert_int_equal(open_at(&p.b, 10, &forged), SEAL_FORGED);
    assert_int_equal(p.b.recv.epoch, 0);
    assert_int_equal(open_at(&p.b, 10, &next), SEAL_OPENED);
    assert_int_equal(p.b.recv.epoch, 1);
    assert_true(p.b.recv.packets == 1);
    assert_memory_equal(p.b.recv.key, p.a.send.key, SEAL_KEY_BYTES);

    assert_int_equal(open_at(&p.b, 10 + OLD_KEY_US - 1, &late), SEAL_OPENED);
    assert_int_equal(open_at(&p.b, 10 + OLD_KEY_US - 1, &late), SEAL_REPLAYED);
    assert_true(p.b.recv.packets == 1); /* of the current epoch */
    assert_memory_equal(p.b.recv_old_key, old_key, sizeof old_key);
    assert_int_equal(open_at(&p.b, 10 + OLD_KEY_US, &later), SEAL_WRONG_EPOCH);
    assert_null(memmem(&p.b, sizeof p.b, old_key, sizeof old_key)); /* wiped */
}

static void test_sealing_wipes_old_key_too(void **state)
{
    (void)state;
    struct pair p = new_pair();
    uint8_t old_key[SEAL_KEY_BYTES];
    memcpy(old_key, p.b.recv.key, sizeof old_key);
    wear_out(&p.a);
    struct packet next = seal_text(&p.a, 0, "x");
    assert_int_equal(open_at(&p.b, 0, &next), SEAL_OPENED);
    seal_text(&p.b, OLD_KEY_US - 1, "y");
    assert_non_null(memmem(&p.b, sizeof p.b, old_key, sizeof old_key));
    seal_text(&p.b, OLD_KEY_US, "y");
    assert_null(memmem(&p.b, sizeof p.b, old_key, sizeof old_key));
}

static void test_two_steps_drop_the_older(void **state)
{
    (void)state;
    struct pair p = new_pair();
    struct packet zero = seal_text(&p.a, 0, "0");
    wear_out(&p.a);
    struct packet one = seal_text(&p.a, 0, "1"), late_one = seal_text(&p.a, 0, "1");
    wear_out(&p.a);
    struct packet two = seal_text(&p.a, 0, "2");
    assert_int_equal(two.epoch, 2);
    assert_int_equal(open_at(&p.b, 0, &two), SEAL_WRONG_EPOCH); /* never two at once */
    assert_int_equal(open_at(&p.b, 1, &one), SEAL_OPENED);
    assert_int_equal(open_at(&p.b, 2, &two), SEAL_OPENED);
    assert_int_equal(open_at(&p.b, 3, &zero), SEAL_WRONG_EPOCH);
    assert_int_equal(open_at(&p.b, 3, &late_one), SEAL_OPENED);
    assert_int_equal(p.b.recv.epoch, 2); /* an old packet does not lead back */
    assert_int_equal(open_at(&p.b, 2 + OLD_KEY_US, &late_one), SEAL_WRONG_EPOCH);
}

static void test_last_epoch_stays(void **state)
{
    (void)state;
    struct pair p = new_pair();
    p.a.send.epoch = p.b.recv.epoch = UINT32_MAX;
    wear_out(&p.a);
    struct packet last = seal_text(&p.a, 0, "x"), bad = last;
    assert_true(last.epoch == UINT32_MAX);
    bad.epoch = 0; /* one ahead only if numbers went in circles */
    assert_int_equal(open_at(&p.b, 0, &bad), SEAL_WRONG_EPOCH);
    assert_int_equal(open_at(&p.b, 0, &last), SEAL_OPENED);
}

static void test_old_key_for_ever(void **state)
{
    (void)state;
    struct pair p = new_pair();
    struct packet late = seal_text(&p.a, 0, "x");
    wear_out(&p.a);
    struct packet next = seal_text(&p.a, 0, "y");
    uint8_t plain[64];
    assert_int_equal(
        seal_open(&p.b, 5, next.session, next.epoch, next.counter, next.ciphertext, next.size, VTIME_NEVER, plain),
        SEAL_OPENED);
    assert_int_equal(open_at(&p.b, VTIME_NEVER - 1, &late), SEAL_OPENED);
}

/* Two ends over a line that loses, delays and repeats, with acknowledgements and much time between packets. */
static void test_long_life(void **state)
{
    (void)state;
    enum { LINE = 16 };
    struct pair p = new_pair();
    struct packet line[LINE] = {0};
    struct rng r;
    unsigned opened = 0, wrong_epoch = 0;
    vtime_us now = 0;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){31});
    for (unsigned i = 0; i < 20000; i++) {
        now += VTIME_MS(rng_below(&r, 1000)) * (rng_below(&r, 50) == 0 ? 1000 : 1);
        unsigned place = rng_below(&r, LINE);
        if (rng_below(&r, 3) > 0)
            line[place] = seal_text(&p.a, now, "text"); /* what was there is lost */
        if (line[place].size == 0)
            continue;
        enum seal_verdict v = open_at(&p.b, now, &line[place]);
        assert_int_not_equal(v, SEAL_FORGED);
        wrong_epoch += v == SEAL_WRONG_EPOCH;
        opened += v == SEAL_OPENED;
        /* One ahead at most, so what is sealed now always opens. */
        assert_true(p.a.send.epoch == p.b.recv.epoch || p.a.send.epoch == p.b.recv.epoch + 1);
        if (v == SEAL_OPENED && rng_below(&r, 4) == 0)
            seal_acknowledged(&p.a, line[place].epoch);
        struct packet fresh = seal_text(&p.a, now, "fresh");
        assert_int_equal(open_at(&p.b, now, &fresh), SEAL_OPENED);
    }
    assert_true(opened > 5000 && wrong_epoch > 10 && p.a.send.epoch > 100);
}

static void test_wipe(void **state)
{
    (void)state;
    struct pair p = new_pair();
    static const struct seal empty;
    seal_wipe(&p.a);
    assert_memory_equal(&p.a, &empty, sizeof empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_proof),
        cmocka_unit_test(test_packets_both_ways),
        cmocka_unit_test(test_nothing_changes_unless_opened),
        cmocka_unit_test(test_old_packets_are_replays),
        cmocka_unit_test(test_steps_after_packets),
        cmocka_unit_test(test_steps_after_use),
        cmocka_unit_test(test_stays_unless_acknowledged),
        cmocka_unit_test(test_receiver_follows),
        cmocka_unit_test(test_sealing_wipes_old_key_too),
        cmocka_unit_test(test_two_steps_drop_the_older),
        cmocka_unit_test(test_last_epoch_stays),
        cmocka_unit_test(test_old_key_for_ever),
        cmocka_unit_test(test_long_life),
        cmocka_unit_test(test_wipe),
    };
    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
