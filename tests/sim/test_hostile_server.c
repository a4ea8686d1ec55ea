/* A server that lies, attack by attack (docs/attacks.md is the table): it can delay, deny and count its guesses, and
 * nothing else. The judge watches all of it: no message twice, altered, out of order or to somebody else, nothing in
 * clear, no `delivered` that is not true. */
#include <string.h>

#include "liar.h"

static void talk(struct liar *l, vtime_us us)
{
    for (vtime_us end = l->s->w->now + us; l->s->w->now < end; world_run_for(l->s->w, VTIME_MS(200))) {
        scene_say(l->s, l->a, 50);
        scene_say(l->s, l->b, 700);
    }
}

static void check_one_peer(struct liar *l)
{
    scene_check(l->s, sim_client_count(l->a, EVENT_PEER, 0) == 1 && sim_client_count(l->b, EVENT_PEER, 0) == 1);
    scene_check(l->s, sim_client_count(l->a, EVENT_PEER_LEFT, 0) == 0);
    scene_check(l->s, sim_client_count(l->b, EVENT_PEER_LEFT, 0) == 0);
}

/* ---- what passes by: again, late, in another order, altered ---- */

static bool again(struct hostile_server *h, const struct hostile_known *who, struct bytes at, bool up)
{
    static const vtime_us later[] = {0, VTIME_MS(300), VTIME_S(3), VTIME_S(40), VTIME_S(700)};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        hostile_server_later(h, later[i], up, &who->addr, at);
    return false;
}

static bool up_again(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)f;
    return again(h, who, at, true);
}

static bool down_again(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)f;
    return again(h, who, at, false);
}

/* Attack: every datagram, both ways, five times more, up to twelve minutes later (past a step of the keys).
 * Sees: nothing. Bound: one peer, one copy of each message; a few shares are spent in silence (an old Register brings
 * an old registration back), and no run of them comes to anything. */
static void test_replays(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct liar l = liar_new("replays", seed);
        l.h->up = up_again;
        l.h->down = down_again;
        join_two(&l);
        world_block(l.s->w, l.a->host, l.b->host, true);
        scene_meet(l.s, l.a, l.b, VTIME_S(5));
        talk(&l, VTIME_S(20));
        world_run_for(l.s->w, VTIME_S(650));
        talk(&l, VTIME_S(20));
        scene_settle(l.s, l.a, l.b, VTIME_S(60)); /* the copies use up the relay's quota */
        world_run_for(l.s->w, VTIME_S(750));
        check_one_peer(&l);
        scene_check(l.s, sim_client_stat(l.a, "packets_replayed") > 100);
        scene_check(l.s, sim_client_stat(l.a, "introductions_confirmed") == 1);
        scene_check(l.s, sim_client_stat(l.a, "guesses_wrong") == 0 && sim_client_stat(l.a, "guesses_silent") <= 8);
        scene_check(l.s, !sim_client_codes(l.a, "wrong-keyword"));
        liar_free(&l);
    }
}

static bool some_time(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)f;
    hostile_server_later(h, rng_below(&h->rng, 2000000), false, &who->addr, at);
    return true;
}

static bool some_time_up(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)f;
    hostile_server_later(h, rng_below(&h->rng, 2000000), true, &who->addr, at);
    return true;
}

/* Attack: each datagram is held 0 to 2 s on its own, so that the order is thrown.
 * Sees: a slow chat. Bound: all arrives, in order, within a minute. */
static void test_reorders(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct liar l = liar_new("reorders", seed);
        l.h->up = some_time_up;
        l.h->down = some_time;
        join_two(&l);
        world_block(l.s->w, l.a->host, l.b->host, true);
        scene_meet(l.s, l.a, l.b, VTIME_S(30));
        talk(&l, VTIME_S(10));
        scene_settle(l.s, l.a, l.b, VTIME_S(60));
        check_one_peer(&l);
        liar_free(&l);
    }
}

/* A bit of what is inside, or a byte of the frame: what still decodes goes on to its receiver. */
static bool alter(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    (void)f;
    if (rng_below(&h->rng, 2) == 0)
        return false;
    memcpy(bytes, at.at, at.size);
    bytes[rng_below(&h->rng, (uint32_t)at.size)] ^= (uint8_t)(1U << rng_below(&h->rng, 8));
    size_t size = rng_below(&h->rng, 8) == 0 ? 1 + rng_below(&h->rng, (uint32_t)at.size) : at.size;
    hostile_server_send(h, &who->addr, bytes, size);
    return true;
}

/* Attack: a flipped bit or a cut in every second datagram to the clients.
 * Sees: a slow chat. Bound: nothing is shown that was not said; when it stops, all arrives. */
static void test_alters(void **state)
{
    (void)state;
    uint64_t forged = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct liar l = relayed_pair("alters", seed);
        l.h->down = alter;
        talk(&l, VTIME_S(60));
        l.h->down = NULL;
        scene_settle(l.s, l.a, l.b, VTIME_S(60));
        scene_check(l.s, sim_client_count(l.a, EVENT_PEER, 0) <= 2);
        forged += sim_client_stat(l.a, "packets_forged") + sim_client_stat(l.b, "packets_forged");
        liar_free(&l);
    }
    assert_true(forged > 20);
}

/* ---- drops ---- */

static bool drop_kind(const struct hostile_server *h, const struct frame *f)
{
    return (*(const uint32_t *)h->context >> f->kind) & 1U;
}

static bool drop(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)who;
    (void)at;
    return drop_kind(h, f);
}

/* Attack: no introductions, or no Signals.
 * Sees: nobody comes; after --wait `failed` for nobody and status 1. Bound: the guesses are one a second at most. */
static void test_denies_introductions(void **state)
{
    (void)state;
    static const uint32_t kinds[] = {1U << FRAME_PEER_INFO, 1U << FRAME_SIGNAL};
    for (size_t i = 0; i < 2; i++) {
        struct liar l = liar_new("denies introductions", 1 + i);
        uint32_t dropped = kinds[i];
        l.s->config.wait_us = VTIME_S(300);
        l.h->down = drop;
        l.h->context = &dropped;
        join_two(&l);
        uint64_t id = scene_say(l.s, l.a, 50);
        const struct sim_event *end = scene_wait(l.s, l.a, EVENT_END, VTIME_S(310));
        const struct sim_event *failed = sim_client_event(l.a, EVENT_FAILED, 0, 0, 0);
        scene_check(l.s, end->e.status == 1 && sim_client_count(l.a, EVENT_PEER, 0) == 0);
        scene_check(l.s, failed != NULL && failed->e.id == id && failed->e.peer == 0);
        liar_free(&l);
    }
}

/* Attack: the relay is cut, after all have met and found a direct path.
 * Sees: nothing. Bound: the chat does not need the server any more. */
static void test_denies_the_relay(void **state)
{
    (void)state;
    struct liar l = direct_pair("denies the relay", 1);
    uint32_t dropped = UINT32_MAX;
    l.h->down = drop;
    l.h->context = &dropped;
    for (int i = 0; i < 10; i++) {
        talk(&l, VTIME_S(5));
        scene_settle(l.s, l.a, l.b, VTIME_S(2));
        world_run_for(l.s->w, VTIME_S(60));
    }
    check_one_peer(&l);
    liar_free(&l);
}

/* ---- introductions that it makes up ---- */

static void pair_again(struct liar *l)
{
    struct hostile_known *a = hostile_server_of(l->h, l->a), *b = hostile_server_of(l->h, l->b);
    const struct share_public *share_a = hostile_server_take(a), *share_b = hostile_server_take(b);
    scene_check(l->s, share_a != NULL && share_b != NULL);
    hostile_server_pair(l->h, a, share_a, b, share_b);
}

/* Attack: introduces the same two clients five times more: at once, and one after the other.
 * Sees: nothing. Bound: one peer, one copy of each message, not one guess. */
static void test_introduces_the_same_two(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct liar l = seed % 2 ? direct_pair("introduces the same two", seed) : relayed_pair("the same two", seed);
        talk(&l, VTIME_S(1));
        for (int i = 0; i < 5; i++) {
            pair_again(&l);
            talk(&l, seed % 3 ? VTIME_MS(200) : VTIME_S(3));
        }
        talk(&l, VTIME_S(40));
        scene_settle(l.s, l.a, l.b, VTIME_S(5));
        check_one_peer(&l);
        for (int i = 0; i < l.h->pair_count; i++)
            scene_check(l.s, l.h->pairs[i].signals >= 2);
        scene_check(l.s, sim_client_stat(l.a, "introductions_confirmed") == 6);
        scene_check(l.s, sim_client_stat(l.a, "guesses_wrong") + sim_client_stat(l.a, "guesses_silent") == 0);
        scene_check(l.s, sim_client_stat(l.a, "shares_in_stock") == SHARES_MAX);
        liar_free(&l);
    }
}

static void nobody_yet(struct liar *l, uint32_t *dropped, bool both_type)
{
    l->h->down = drop;
    l->h->context = dropped;
    join_two(l);
    scene_say(l->s, l->a, 50);
    if (both_type)
        scene_say(l->s, l->b, 50);
    world_run_for(l->s->w, VTIME_S(1));
    for (struct hostile_known *k = l->h->known; k < l->h->known + l->h->known_count; k++)
        k->used_count = 0; /* what the core has used never arrived */
}

/* The same before they know each other: so many introductions at once. */
static void test_introduces_often_at_first(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct liar l = liar_new("introduces often at first", seed);
        uint32_t dropped = 1U << FRAME_PEER_INFO;
        nobody_yet(&l, &dropped, seed % 2);
        for (int i = 0; i < (seed <= 10 ? 5 : SHARES_MAX); i++)
            pair_again(&l);
        scene_meet(l.s, l.a, l.b, VTIME_S(5));
        talk(&l, VTIME_S(3));
        for (int i = 0; i < 20; i++) { /* and on and on */
            world_run_for(l.s->w, VTIME_S(2));
            pair_again(&l);
            talk(&l, VTIME_MS(400));
        }
        scene_settle(l.s, l.a, l.b, VTIME_S(5));
        check_one_peer(&l);
        liar_free(&l);
    }
}

static void introduce_later(struct liar *l, struct hostile_known *to, const struct share_public *own,
                            const struct hostile_known *other, const struct share_public *share)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    struct frame f = {.kind = FRAME_PEER_INFO, .peer_info = {.handle = other->handle, .share = *share}};
    memcpy(f.peer_info.own_point, own->point, CPACE_POINT_BYTES);
    size_t size = codec_encode(&f, bytes, sizeof bytes);
    hostile_server_later(l->h, rng_below(&l->h->rng, 300000), false, &to->addr, (struct bytes){bytes, size});
}

static void pair_later(struct liar *l, struct hostile_known *a, struct hostile_known *b)
{
    const struct share_public *share_a = hostile_server_take(a), *share_b = hostile_server_take(b);
    scene_check(l->s, share_a != NULL && share_b != NULL);
    l->h->pairs[l->h->pair_count++] = (struct hostile_pair){.side = {a, b}, .share = {*share_a, *share_b}};
    introduce_later(l, a, share_a, b, share_b);
    introduce_later(l, b, share_b, a, share_a);
}

/* ... to each end in another order, the Signals late and in any order, too.
 * Sees: at worst "bob left" and bob again. Bound: never a message twice (says the judge); in the end one peer each. */
static void test_introduces_in_any_order(void **state)
{
    (void)state;
    unsigned clean = 0;
    enum { SEEDS = 60 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct liar l = liar_new("introduces in any order", seed);
        uint32_t dropped = 1U << FRAME_PEER_INFO;
        nobody_yet(&l, &dropped, true);
        struct hostile_known *a = hostile_server_of(l.h, l.a), *b = hostile_server_of(l.h, l.b);
        for (int i = 0; i < 5; i++)
            pair_later(&l, a, b);
        talk(&l, VTIME_S(60));
        world_run_for(l.s->w, VTIME_S(90)); /* what was not held by both has ended */
        scene_check(l.s, sim_client_stat(l.a, "peers") <= 1 && sim_client_stat(l.b, "peers") <= 1);
        clean += sim_client_count(l.a, EVENT_PEER, 0) == 1 && sim_client_count(l.b, EVENT_PEER, 0) == 1;
        l.h->down = NULL;
        scene_meet(l.s, l.a, l.b, VTIME_S(200));
        scene_say(l.s, l.a, 50);
        scene_say(l.s, l.b, 50);
        world_run_for(l.s->w, VTIME_S(5));
        scene_check(l.s, judge_is_settled(l.s->judge, l.a) && judge_is_settled(l.s->judge, l.b));
        liar_free(&l);
    }
    print_message("in any order: one peer and no other in %u of %u\n", clean, (unsigned)SEEDS);
    assert_true(clean > SEEDS / 2);
}

/* The same with three, each pair four times. */
static void test_introduces_three_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct liar l = liar_new("introduces three in any order", seed);
        uint32_t dropped = 1U << FRAME_PEER_INFO;
        struct sim_client *c = scene_join(l.s, scene_home(l.s, VTIME_MS(50), NULL), "cat");
        nobody_yet(&l, &dropped, true);
        scene_say(l.s, c, 50);
        struct sim_client *const all[] = {l.a, l.b, c};
        for (int i = 0; i < 12; i++)
            pair_later(&l, hostile_server_of(l.h, all[i % 3]), hostile_server_of(l.h, all[(i + 1) % 3]));
        talk(&l, VTIME_S(60));
        world_run_for(l.s->w, VTIME_S(90));
        for (int i = 0; i < 3; i++)
            scene_check(l.s, sim_client_stat(all[i], "peers") <= 2);
        l.h->down = NULL;
        for (int i = 0; i < 3; i++)
            scene_meet(l.s, all[i], all[(i + 1) % 3], VTIME_S(200));
        for (int i = 0; i < 3; i++)
            scene_say(l.s, all[i], 50);
        world_run_for(l.s->w, VTIME_S(5));
        for (int i = 0; i < 3; i++)
            scene_check(l.s, sim_client_stat(all[i], "peers") == 2 && judge_is_settled(l.s->judge, all[i]));
        liar_free(&l);
    }
}

/* Attack: introduces people of different rooms, who have different keywords.
 * Sees: `wrong-keyword` after three. Bound: nobody meets; each costs one guess, which is counted. */
static void test_introduces_strangers(void **state)
{
    (void)state;
    struct liar l = liar_new("introduces strangers", 1);
    l.a = scene_join(l.s, scene_home(l.s, VTIME_MS(20), NULL), "ann");
    l.s->keyword = "43-other-words-here";
    l.b = scene_join(l.s, scene_home(l.s, VTIME_MS(20), NULL), "bob");
    world_run_for(l.s->w, VTIME_S(3));
    for (int i = 1; i <= 5; i++) {
        pair_again(&l);
        world_run_for(l.s->w, VTIME_S(5));
        scene_check(l.s, sim_client_stat(l.a, "guesses_wrong") == (uint64_t)i);
        scene_check(l.s, (sim_client_codes(l.a, "wrong-keyword") > 0) == (i >= 3));
    }
    scene_check(l.s, sim_client_count(l.a, EVENT_PEER, 0) == 0 && sim_client_count(l.b, EVENT_PEER, 0) == 0);
    liar_free(&l);
}

/* Attack: one share of ann's is handed to bob and to cat, who both have her keyword.
 * Sees: one of the two comes by it. Bound: a share is used once; the other run dies in silence. */
static void test_hands_a_share_out_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct liar l = liar_new("hands a share out twice", seed);
        uint32_t dropped = 1U << FRAME_PEER_INFO;
        l.h->down = drop;
        l.h->context = &dropped;
        join_two(&l);
        struct sim_client *c = scene_join(l.s, scene_home(l.s, VTIME_MS(10), NULL), "cat");
        world_run_for(l.s->w, VTIME_S(2));
        struct hostile_known *a = hostile_server_of(l.h, l.a), *b = hostile_server_of(l.h, l.b);
        struct share_public twice = a->shares[3];
        hostile_server_pair(l.h, a, &twice, b, &b->shares[2]);
        hostile_server_pair(l.h, a, &twice, hostile_server_of(l.h, c), &hostile_server_of(l.h, c)->shares[1]);
        scene_meet(l.s, l.a, l.b, VTIME_S(5));
        world_run_for(l.s->w, VTIME_S(60));
        scene_check(l.s, sim_client_count(l.a, EVENT_PEER, 0) == 1 && sim_client_count(c, EVENT_PEER, 0) == 0);
        scene_check(l.s, sim_client_stat(l.a, "introductions") == 1);
        scene_check(l.s, sim_client_stat(c, "guesses_silent") + sim_client_stat(c, "guesses_wrong") == 1);
        /* ... and used ones do not come back. */
        hostile_server_pair(l.h, a, &twice, b, &b->shares[4]);
        world_run_for(l.s->w, VTIME_S(5));
        scene_check(l.s, sim_client_stat(l.a, "introductions") == 1);
        liar_free(&l);
    }
}

/* Attack: a client's own shares as the other's: the same, another of the stock, one in use, halves of two.
 * Sees: nothing. Bound: refused and counted, and the share stays in stock: not even a guess. */
static void test_reflects(void **state)
{
    (void)state;
    struct liar l = direct_pair("reflects", 1);
    struct hostile_known *a = hostile_server_of(l.h, l.a), *b = hostile_server_of(l.h, l.b);
    struct share_public used = a->shares[0], mixed = b->shares[0], other = b->shares[1];
    memcpy(mixed.commitment, a->shares[5].commitment, sizeof mixed.commitment);
    memcpy(other.point, a->shares[6].point, sizeof other.point);
    uint64_t before = sim_client_stat(l.a, "introductions");
    hostile_server_introduce(l.h, a, a->shares[7].point, 77, &a->shares[7]);
    hostile_server_introduce(l.h, a, a->shares[7].point, 77, &a->shares[4]);
    hostile_server_introduce(l.h, a, a->shares[7].point, 77, &mixed);
    hostile_server_introduce(l.h, a, a->shares[7].point, 77, &other);
    world_run_for(l.s->w, VTIME_S(1));
    scene_check(l.s, sim_client_stat(l.a, "reflected") == 4);
    scene_check(l.s, sim_client_stat(l.a, "introductions") == before);
    hostile_server_pair(l.h, a, &a->shares[0], b, &b->shares[0]); /* in use from now on */
    world_run_for(l.s->w, VTIME_MS(60));
    hostile_server_introduce(l.h, a, a->shares[7].point, 77, &used);
    world_run_for(l.s->w, VTIME_S(40));
    scene_check(l.s, sim_client_stat(l.a, "introductions") == before + 1);
    scene_check(l.s, sim_client_stat(l.a, "shares_in_stock") == SHARES_MAX);
    check_one_peer(&l);
    liar_free(&l);
}

/* Attack: shares that are no points, the identity, small order; the right point with another's commitment.
 * Sees: nothing, or `wrong-keyword` after three of the last kind. Bound: one share each, no session. */
static void test_breaks_shares(void **state)
{
    (void)state;
    struct liar l = direct_pair("breaks shares", 1);
    struct hostile_known *a = hostile_server_of(l.h, l.a), *b = hostile_server_of(l.h, l.b);
    for (int i = 0; i < 40; i++) {
        struct share_public broken = *hostile_server_take(b);
        const struct share_public *own = hostile_server_take(a);
        const struct share_public theirs = broken;
        if (i % 4 == 0)
            memset(broken.point, 0, sizeof broken.point);
        else if (i % 4 == 1)
            memset(broken.point, 0xff, sizeof broken.point);
        else if (i % 4 == 2)
            broken.point[0] ^= 1; /* odd: not canonical */
        else
            broken.commitment[0] ^= 1;
        hostile_server_introduce(l.h, a, own->point, b->handle, &broken);
        hostile_server_introduce(l.h, b, theirs.point, a->handle, own);
        world_run_for(l.s->w, VTIME_S(5));
    }
    talk(&l, VTIME_S(1));
    scene_settle(l.s, l.a, l.b, VTIME_S(5));
    check_one_peer(&l);
    scene_check(l.s, sim_client_stat(l.a, "introductions") <= 42);
    liar_free(&l);
}

int main(void)
{
    scene_test_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replays),
        cmocka_unit_test(test_reorders),
        cmocka_unit_test(test_alters),
        cmocka_unit_test(test_denies_introductions),
        cmocka_unit_test(test_denies_the_relay),
        cmocka_unit_test(test_introduces_the_same_two),
        cmocka_unit_test(test_introduces_often_at_first),
        cmocka_unit_test(test_introduces_in_any_order),
        cmocka_unit_test(test_introduces_three_in_any_order),
        cmocka_unit_test(test_introduces_strangers),
        cmocka_unit_test(test_hands_a_share_out_twice),
        cmocka_unit_test(test_reflects),
        cmocka_unit_test(test_breaks_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
