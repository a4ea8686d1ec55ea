/* A server that lies in what it says of itself: refusals, restarts, cookies, rooms, bits, links; and strangers who
 * pretend to be the server. It can make clients register often, but not without end, and tell nobody anything new
 * (docs/attacks.md is the table). */
#include <string.h>

#include "liar.h"

static void check_friends(struct liar *l)
{
    scene_say(l->s, l->a, 100);
    scene_say(l->s, l->b, 700);
    scene_settle(l->s, l->a, l->b, VTIME_S(20));
    scene_check(l->s, sim_client_count(l->a, EVENT_PEER, 0) == 1 && sim_client_count(l->b, EVENT_PEER, 0) == 1);
}

/* ---- answers that make one ask again ---- */

enum { ALWAYS_UNKNOWN, ALWAYS_RETRY, ALWAYS_NEW, ALWAYS_LEAVING, ALWAYS_MORE_BITS, ANSWERS };

static bool ask_again(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    const struct liar *l = h->context;
    struct frame lie = {.kind = FRAME_NONE};
    (void)at;
    if (f->kind != FRAME_REGISTERED)
        return false;
    if (l->kind == ALWAYS_UNKNOWN)
        lie = (struct frame){.kind = FRAME_REFUSED, .refused = {.token = who->token, .code = REFUSED_UNKNOWN}};
    if (l->kind == ALWAYS_RETRY)
        lie = (struct frame){.kind = FRAME_RETRY, .retry = {.token = who->token, .cookie_size = 20}};
    if (l->kind == ALWAYS_LEAVING) {
        hostile_server_tell(h, who, f);
        lie = (struct frame){.kind = FRAME_LEAVE, .leave = {.proof = who->proof, .reason = LEAVE_QUIT}};
    }
    if (l->kind == ALWAYS_NEW)
        rng_bytes(&h->rng, f->registered.secret, SECRET_BYTES);
    if (l->kind == ALWAYS_MORE_BITS)
        f->registered.bits_wanted = PREFIX_BITS_MAX;
    if (lie.kind != FRAME_NONE)
        hostile_server_tell(h, who, &lie);
    return lie.kind != FRAME_NONE;
}

/* Attack: each Register is answered so that another is due at once: unknown, Retry, another secret each time, "I am
 * leaving", more bits.
 * Sees: at most "the server is shutting down" again and again. Bound: two Registers a second; the chat goes on. */
static void test_makes_register(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ANSWERS; kind++) {
        struct liar l = direct_pair("makes register", 1);
        struct hostile_known *a = hostile_server_of(l.h, l.a);
        uint64_t before = a->registers;
        l.kind = kind;
        l.h->context = &l;
        l.h->down = ask_again;
        world_run_for(l.s->w, VTIME_S(120));
        print_message("makes register, %u: %.2f Registers a second\n", kind, (double)(a->registers - before) / 120);
        scene_check(l.s, a->registers - before <= 8 + 2 * 121);
        check_friends(&l);
        l.h->down = NULL;
        world_run_for(l.s->w, VTIME_S(60));
        world_block(l.s->w, l.a->host, l.b->host, true); /* and the relay is there when it is needed */
        check_friends(&l);
        liar_free(&l);
    }
}

static bool refuse(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    const struct liar *l = h->context;
    (void)at;
    if (f->kind != FRAME_REGISTERED)
        return false;
    const struct frame lie = {
        .kind = FRAME_REFUSED,
        .refused = {.token = who->token, .code = (uint8_t)l->kind, .retry_after_s = l->kind == 9 ? 3600 : 0}};
    hostile_server_tell(h, who, &lie);
    return true;
}

/* Attack: refuses everybody: full, busy, crowded, an unknown reason, come again in an hour.
 * Sees: `room-full`, `too-many-strangers` or `server-busy`, once. Bound: one Register in 10 s; who chats goes on. */
static void test_refuses(void **state)
{
    (void)state;
    static const uint8_t codes[] = {REFUSED_ROOM_FULL, REFUSED_BUSY, REFUSED_CROWDED, 9};
    for (size_t i = 0; i < sizeof codes; i++) {
        struct liar l = direct_pair("refuses", 1);
        struct hostile_known *a = hostile_server_of(l.h, l.a);
        uint64_t before = a->registers;
        size_t told = l.a->event_count;
        l.kind = codes[i];
        l.h->context = &l;
        l.h->down = refuse;
        world_run_for(l.s->w, VTIME_S(300));
        scene_check(l.s, a->registers - before <= 32);
        scene_check(l.s, sim_client_event(l.a, EVENT_ERROR, 0, told, 1) == NULL);
        scene_check(l.s, sim_client_event(l.a, EVENT_WARNING, 0, told, 1) == NULL);
        check_friends(&l);
        liar_free(&l);
    }
}

/* ---- the keyword's prefix ---- */

static bool want_all_bits(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)h;
    (void)who;
    (void)at;
    if (f->kind == FRAME_REGISTERED)
        f->registered.bits_wanted = (uint8_t)rng_below(&h->rng, 256);
    return false;
}

/* Attack: wants 255 bits of the keyword's hash, then fewer, then other ones.
 * Sees: nothing. Bound: 8 bits, always the same ones, never fewer than before; and the real pair still meets. */
static void test_wants_bits(void **state)
{
    (void)state;
    struct liar l = liar_new("wants bits", 1);
    l.s->keyword = "moonshine";
    l.h->down = want_all_bits;
    join_two(&l);
    for (int i = 0; i < 60; i++) {
        world_run_for(l.s->w, VTIME_S(10));
        if (i % 5 == 0) /* as if it had been restarted */
            hostile_server_tell(l.h, hostile_server_of(l.h, l.a),
                                &(struct frame){.kind = FRAME_LEAVE,
                                                .leave = {.proof = hostile_server_of(l.h, l.a)->proof, .reason = 1}});
    }
    for (int i = 0; i < l.h->known_count; i++) {
        scene_check(l.s, l.h->known[i].prefix_bits == PREFIX_BITS_MAX);
        scene_check(l.s, l.h->known[i].prefix_bits_least == PREFIX_BITS_MAX);
    }
    scene_check(l.s, sim_client_count(l.a, EVENT_PEER, 0) == 1);
    liar_free(&l);
}

/* ---- rooms ---- */

static bool other_rooms(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)who;
    (void)at;
    if (f->kind == FRAME_REGISTERED)
        f->registered.room = 1 + rng_below(&h->rng, 50);
    return false;
}

/* Attack: --new is given another room with each answer, and one that others are in.
 * Sees: one keyword. Bound: the number is part of it: nobody without the three words of this client gets in. */
static void test_lies_about_rooms(void **state)
{
    (void)state;
    struct liar l = liar_new("lies about rooms", 1);
    l.h->down = other_rooms;
    l.a = scene_join(l.s, scene_home(l.s, VTIME_MS(20), NULL), "ann");
    l.s->keyword = NULL;
    l.b = scene_join(l.s, scene_home(l.s, VTIME_MS(20), NULL), "bob");
    world_run_for(l.s->w, VTIME_S(100));
    scene_check(l.s, sim_client_count(l.b, EVENT_KEYWORD, 0) == 1);
    scene_check(l.s, sim_client_count(l.b, EVENT_PEER, 0) == 0 && sim_client_count(l.a, EVENT_PEER, 0) == 0);
    liar_free(&l);
}

/* ---- relayed packets to others, and made-up frames ---- */

static bool misdeliver(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)at;
    if (f->kind != FRAME_RELAY && f->kind != FRAME_SIGNAL)
        return false;
    for (int i = 0; i < h->known_count; i++) { /* to everybody, the right one too, with the proof that each expects */
        struct frame copy = *f;
        if (copy.kind == FRAME_RELAY)
            copy.relay.proof = h->known[i].proof;
        else
            copy.signal.proof = h->known[i].proof;
        if (&h->known[i] != who)
            hostile_server_tell(h, &h->known[i], &copy);
    }
    return false;
}

/* Attack: what is relayed goes to everybody, and back to its sender.
 * Sees: nothing. Bound: it opens for nobody but its receiver, once. */
static void test_misdelivers(void **state)
{
    (void)state;
    struct liar l = liar_new("misdelivers", 1);
    l.h->down = misdeliver;
    l.s->config.relay = RELAY_ONLY;
    join_two(&l);
    struct sim_client *c = scene_join(l.s, scene_home(l.s, VTIME_MS(30), NULL), "cat");
    scene_meet(l.s, l.a, l.b, VTIME_S(5));
    scene_meet(l.s, l.a, c, VTIME_S(10));
    scene_meet(l.s, l.b, c, VTIME_S(10));
    for (int i = 0; i < 50; i++) {
        scene_say(l.s, l.a, 100);
        scene_say(l.s, l.b, 100);
        scene_say(l.s, c, 100);
        world_run_for(l.s->w, VTIME_MS(500));
    }
    world_run_for(l.s->w, VTIME_S(10));
    scene_check(l.s, judge_is_settled(l.s->judge, l.a) && judge_is_settled(l.s->judge, c));
    scene_check(l.s, judge_has_all(l.s->judge, l.a, l.b) && judge_has_all(l.s->judge, c, l.b));
    scene_check(l.s, sim_client_stat(l.a, "guesses_wrong") == 0);
    liar_free(&l);
}

static void tell_all_kinds(struct liar *l, const struct addr *from, const struct hostile_known *k, bool right_proof)
{
    uint64_t proof = right_proof ? k->proof : rng_token(&l->h->rng), token = rng_token(&l->h->rng);
    uint8_t junk[40], bytes[DATAGRAM_BYTES_MAX];
    rng_bytes(&l->h->rng, junk, sizeof junk);
    struct frame frames[] = {
        {.kind = FRAME_REGISTERED,
         .registered = {.token = token, .handle = 9, .cookie_size = 1, .observed = k->addr, .lease_s = 60}},
        {.kind = FRAME_RETRY, .retry = {.token = token, .cookie_size = 4}},
        {.kind = FRAME_REFUSED, .refused = {.token = token, .code = REFUSED_UNKNOWN}},
        {.kind = FRAME_REFUSED, .refused = {.proof = rng_token(&l->h->rng), .code = REFUSED_ROOM_FULL}},
        {.kind = FRAME_LINKED, .linked = {.proof = proof, .link = 7}},
        {.kind = FRAME_RELAY, .relay = {.proof = proof, .link = 7, .datagram = {junk, sizeof junk}}},
        {.kind = FRAME_SIGNAL, .signal = {.proof = proof, .handle = 7, .datagram = {junk, sizeof junk}}},
        {.kind = FRAME_PEER_INFO, .peer_info = {.handle = 5}},
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        size_t size = codec_encode(&frames[i], bytes, sizeof bytes);
        assert_true(size > 0);
        hostile_spoof(l->s->w, l->s->server->host, from, &k->addr, bytes, size);
    }
}

/* Attack: frames of every kind that answer nothing: from the server itself, and from others; the real ones from
 * another port.
 * Sees: nothing. Bound: all are dropped and counted. */
static void test_answers_nothing(void **state)
{
    (void)state;
    struct liar l = direct_pair("answers nothing", 1);
    struct hostile_known *a = hostile_server_of(l.h, l.a);
    struct addr server = l.h->local, other = l.h->local, stranger = addr_v4(192, 0, 2, 9, SIM_SERVER_PORT);
    server.port = SIM_SERVER_PORT;
    other.port = SIM_SERVER_ALTERNATE_PORT;
    uint64_t registers = a->registers, refused = sim_client_stat(l.a, "server_frames_refused");
    size_t events = l.a->event_count;
    for (int i = 0; i < 200; i++) {
        tell_all_kinds(&l, &server, a, false);
        tell_all_kinds(&l, &other, a, true);
        tell_all_kinds(&l, &stranger, a, true);
        world_run_for(l.s->w, VTIME_MS(100));
    }
    scene_check(l.s, a->registers - registers <= 2 && l.a->event_count == events);
    scene_check(l.s, sim_client_stat(l.a, "server_frames_refused") - refused >= 200 * 8);
    check_friends(&l);
    liar_free(&l);
}

/* Attack: with the right proof: made-up links, somebody else's link, Refused for links that are there.
 * Sees: nothing. Bound: a link is asked for again, once a second; the direct chat does not care. */
static void test_lies_about_links(void **state)
{
    (void)state;
    struct liar l = direct_pair("lies about links", 1);
    struct hostile_known *a = hostile_server_of(l.h, l.a);
    uint64_t registers = a->registers;
    for (int i = 0; i < 300; i++) {
        struct frame f = {.kind = FRAME_LINKED, .linked = {.proof = a->proof, .link = 1 + rng_below(&l.h->rng, 100)}};
        rng_bytes(&l.h->rng, f.linked.token, sizeof f.linked.token);
        hostile_server_tell(l.h, a, &f);
        f = (struct frame){.kind = FRAME_REFUSED, .refused = {.proof = a->proof, .code = REFUSED_UNKNOWN}};
        hostile_server_tell(l.h, a, &f);
        world_run_for(l.s->w, VTIME_MS(100));
    }
    scene_check(l.s, a->registers - registers <= 32 + 2);
    world_run_for(l.s->w, VTIME_S(5));
    world_block(l.s->w, l.a->host, l.b->host, true);
    check_friends(&l);
    liar_free(&l);
}

/* ---- patience ---- */

/* Attack: keeps everything that passes for two hours (past a dozen steps of the keys), then sends it again.
 * Sees: nothing. Bound: nothing opens a second time, and no session comes of it. */
static bool keep(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)f;
    if (h->held_count < 4000)
        hostile_server_later(h, VTIME_S(7200), false, &who->addr, at);
    return false;
}

static void test_late_replay(void **state)
{
    (void)state;
    struct liar l = liar_new("late replay", 1);
    l.h->down = keep;
    l.s->config.relay = RELAY_ONLY;
    join_two(&l);
    scene_meet(l.s, l.a, l.b, VTIME_S(5));
    for (int i = 0; i < 800; i++) {
        scene_say(l.s, l.a, 50);
        scene_say(l.s, l.b, 50);
        world_run_for(l.s->w, VTIME_S(10));
    }
    world_run_for(l.s->w, VTIME_S(2000));
    uint64_t dropped = sim_client_stat(l.a, "packets_replayed") + sim_client_stat(l.a, "packets_forged");
    scene_check(l.s, dropped > 500);
    check_friends(&l);
    liar_free(&l);
}

int main(void)
{
    scene_test_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_makes_register),   cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_wants_bits),       cmocka_unit_test(test_lies_about_rooms),
        cmocka_unit_test(test_misdelivers),      cmocka_unit_test(test_answers_nothing),
        cmocka_unit_test(test_lies_about_links), cmocka_unit_test(test_late_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
