/* Members who know the keyword and keep to no rule, attack by attack (docs/attacks.md is the table). Each test ends
 * with the others still talking. */
#include <string.h>

#include "hostile_member.h"
#include "scene_test.h"

struct party {
    struct scene *s;
    struct sim_client *a, *b; /* b may be missing */
    struct hostile_member *m;
    struct hostile_run *run; /* m's with a */
};

static struct party party_of(const char *title, bool three)
{
    struct party p = {.s = scene_test(title, 1)};
    p.a = scene_join(p.s, scene_home(p.s, VTIME_MS(10), NULL), "ann");
    world_run_for(p.s->w, VTIME_S(1));
    if (three) {
        p.b = scene_join(p.s, scene_home(p.s, VTIME_MS(10), NULL), "bob");
        scene_meet_by(p.s, p.a, p.b, PATH_DIRECT, VTIME_S(5));
    }
    p.m = hostile_member_new(p.s, scene_home(p.s, VTIME_MS(10), NULL), NULL, "mel");
    p.run = hostile_member_meet(p.m, p.a, VTIME_S(5));
    world_run_for(p.s->w, VTIME_S(5));
    return p;
}

static struct party pair(const char *title)
{
    return party_of(title, false);
}

static struct party three(const char *title)
{
    return party_of(title, true);
}

static void party_free(struct party *p)
{
    scene_free(p->s);
    hostile_member_free(p->m);
}

static bool is_gone(const struct party *p)
{
    return judge_peer(p->s->judge, p->a, p->m->mask) == 0;
}

static bool is_settled(struct scene *s, void *context)
{
    return judge_is_settled(s->judge, context);
}

/* Ann and mel still talk: a message each way. */
static void check_talks(struct party *p)
{
    size_t shown = sim_client_count(p->a, EVENT_MESSAGE, 0);
    scene_say(p->s, p->a, 100);
    hostile_member_text(p->m, p->run, scene_text(p->s, 100));
    bool done = scene_wait_until(p->s, VTIME_S(10), is_settled, p->a);
    scene_check(p->s, done && !is_gone(p));
    scene_check(p->s, sim_client_count(p->a, EVENT_MESSAGE, 0) == shown + 1);
}

static void check_friends_talk(struct party *p)
{
    scene_say(p->s, p->a, 100);
    scene_say(p->s, p->b, 100);
    world_run_for(p->s->w, VTIME_S(2));
    scene_check(p->s, judge_has_all(p->s->judge, p->a, p->b) && judge_has_all(p->s->judge, p->b, p->a));
    scene_check(p->s, judge_peer(p->s->judge, p->a, p->b) && judge_peer(p->s->judge, p->b, p->a));
}

/* A simple client without bad habits: what all the rest is measured against. */
static void test_no_habits(void **state)
{
    (void)state;
    struct party p = three("no habits");
    for (int i = 0; i < 20; i++) {
        check_talks(&p);
        check_friends_talk(&p);
        world_run_for(p.s->w, VTIME_S(20));
    }
    party_free(&p);
}

/* ---- malformed ---- */

/* Attack: plaintexts of random bytes, of frames cut short, of frames that belong elsewhere.
 * Sees: nothing. Bound: each is dropped whole and counted; the session lives. */
static void test_garbage(void **state)
{
    (void)state;
    struct party p = pair("garbage");
    uint8_t plain[PLAIN_BYTES_MAX];
    uint64_t before = sim_client_stat(p.a, "datagrams_dropped");
    for (int i = 0; i < 500; i++) {
        size_t size = 1 + rng_below(&p.m->rng, 200);
        rng_bytes(&p.m->rng, plain, size);
        if (i % 3 == 0) { /* begins well */
            const struct frame f = {.kind = FRAME_OFFER, .offer = p.m->offer};
            size = codec_encode_inner(&f, plain, sizeof plain);
            plain[size - 1 - rng_below(&p.m->rng, (uint32_t)size - 1)] ^= 0x80;
        } else if (i % 3 == 1) { /* a frame of the server's, inside */
            const struct frame f = {.kind = FRAME_REFUSED, .refused = {.proof = 1, .code = REFUSED_UNKNOWN}};
            size = codec_encode(&f, plain + 1, sizeof plain - 1);
            plain[0] = (uint8_t)size++;
        }
        hostile_member_send(p.m, p.run, plain, size);
        world_run_for(p.s->w, VTIME_MS(150)); /* within the relay's quota */
    }
    scene_check(p.s, sim_client_stat(p.a, "datagrams_dropped") - before > 300);
    check_talks(&p);
    party_free(&p);
}

/* Attack: a stream that is none: id 0, ids and lengths beyond the bounds, text that is no text.
 * Sees: a warning, mel left ("timeout"). Bound: nothing of it is shown; the others stay. */
static void test_broken_streams(void **state)
{
    (void)state;
    static const struct {
        const char *at;
        size_t size;
    } broken[] = {{"\0\1x", 3},         {"\xff\xff\xff\xff\xff\xff\xff\xff\x01\1x", 11},
                  {"\1\x81\x80\1x", 5}, {"\1\2\xff\xfe", 4},
                  {"\1\3a\0b", 5},      {"\1\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1", 12}};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct party p = three("broken streams");
        const struct frame f = {.kind = FRAME_MESSAGE,
                                .message = {.data = {(const uint8_t *)broken[i].at, broken[i].size}}};
        hostile_member_say(p.m, p.run, &f);
        world_run_for(p.s->w, VTIME_S(2));
        scene_check(p.s, is_gone(&p));
        scene_check(p.s, sim_client_count(p.a, EVENT_MESSAGE, 0) == 0);
        check_friends_talk(&p);
        party_free(&p);
    }
}

/* Attack: names with control characters, too long, no UTF-8; with what turns writing round.
 * Sees: nothing of the first; of the last it is for the display to take the sting out. Bound: the packet is dropped, so
 * one who has no other name is not even introduced. */
static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"\033[2Jx", "a\nb", "\xc2\x9b", "\xff", "a\0b", "\x7f"};
    struct party p = pair("names");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct frame f = {.kind = FRAME_OFFER, .offer = p.m->offer};
        f.offer.generation = 100 + (uint32_t)i;
        f.offer.name_size = i == 4 ? 3 : (uint8_t)strlen(names[i]);
        memcpy(f.offer.name, names[i], f.offer.name_size);
        hostile_member_say(p.m, p.run, &f);
        world_run_for(p.s->w, VTIME_S(1));
    }
    scene_check(p.s, sim_client_count(p.a, EVENT_NAME, 0) == 0);
    check_talks(&p);
    struct hostile_member *second = hostile_member_new(p.s, scene_home(p.s, VTIME_MS(10), NULL), NULL, "nel");
    memcpy(second->offer.name, "\033]0;", 4);
    world_run_for(p.s->w, VTIME_S(40));
    scene_check(p.s, second->introduced >= 1 && sim_client_count(p.a, EVENT_PEER, 0) == 1);
    party_free(&p);
    hostile_member_free(second);
}

/* ---- numbers ---- */

/* Attack: acknowledges what was never sent, all there is, and with absurd delays.
 * Sees: nothing. Bound: nothing counts as delivered; messages still arrive. */
static void test_acks_of_nothing(void **state)
{
    (void)state;
    struct party p = pair("acks of nothing");
    const struct ack_range ranges[] = {{0, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {1000, 2000}, {0, 1 << 20}};
    p.m->habits.no_acks = true;
    for (int i = 0; i < 40; i++) {
        const struct frame f = {.kind = FRAME_ACK,
                                .ack = {.range_count = 1, .delay_us = 10000000, .ranges = {ranges[i % 4]}}};
        if (i % 8 == 0)
            scene_say(p.s, p.a, 3000);
        hostile_member_say(p.m, p.run, &f);
        world_run_for(p.s->w, VTIME_MS(200));
    }
    p.m->habits.no_acks = false;
    check_talks(&p);
    party_free(&p);
}

/* Attack: receipts and credit for more than there is; receipts that go back.
 * Sees: nothing. Bound: `delivered` comes for what was sent only; the sender keeps to its own bounds. */
static void test_receipts_and_credit(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 100, 1ULL << 32, UINT64_MAX};
    struct party p = pair("receipts and credit");
    for (size_t i = 0; i < 5; i++) {
        hostile_member_say(p.m, p.run, &(struct frame){.kind = FRAME_RECEIPT, .receipt = {.count = values[i]}});
        hostile_member_say(p.m, p.run, &(struct frame){.kind = FRAME_CREDIT, .credit = {.limit = values[i]}});
    }
    world_run_for(p.s->w, VTIME_S(1));
    scene_check(p.s, sim_client_count(p.a, EVENT_DELIVERED, 0) == 0);
    for (int i = 0; i < 3; i++)
        check_talks(&p);
    scene_check(p.s, sim_client_count(p.a, EVENT_DELIVERED, 0) == 3);
    party_free(&p);
}

/* Attack: writes beyond its credit, at the far end of numbers, and with a thousand gaps.
 * Sees: nothing. Bound: 64 KiB of memory, as for everybody; the stream goes on where it was. */
static void test_beyond_the_credit(void **state)
{
    (void)state;
    struct party p = pair("beyond the credit");
    static const uint64_t offsets[] = {CREDIT_BYTES, CREDIT_BYTES + 1, UINT64_MAX, UINT64_MAX - 1, 1ULL << 40};
    sim_client_stall(p.a, true);
    for (size_t i = 0; i < 5; i++)
        hostile_member_say(p.m, p.run,
                           &(struct frame){.kind = FRAME_MESSAGE,
                                           .message = {.offset = offsets[i], .data = {(const uint8_t *)"xx", 2}}});
    for (unsigned i = 0; i < 1000; i++) {
        hostile_member_say(p.m, p.run,
                           &(struct frame){.kind = FRAME_MESSAGE,
                                           .message = {.offset = 40000 + 20 * i, .data = {(const uint8_t *)"x", 1}}});
        world_run_for(p.s->w, VTIME_MS(50));
    }
    scene_check(p.s, sim_client_count(p.a, EVENT_MESSAGE, 0) == 0);
    sim_client_stall(p.a, false);
    check_talks(&p);
    party_free(&p);
}

/* Attack: epochs ahead by two and more, a step with every packet, counters that jump to the end of numbers.
 * Sees: nothing. Bound: what is too far ahead does not open; the rest is its own affair. */
static void test_epochs(void **state)
{
    (void)state;
    struct party p = pair("epochs");
    uint64_t before = sim_client_stat(p.a, "packets_forged");
    for (uint32_t i = 0; i < 20; i++) {
        struct seal kept = p.run->seal;
        p.run->seal.send.epoch += 2 + i * i * i * 1000;
        hostile_member_say(p.m, p.run, &(struct frame){.kind = FRAME_CREDIT, .credit = {.limit = 70000}});
        kept.counter = p.run->seal.counter;
        p.run->seal = kept;
        world_run_for(p.s->w, VTIME_MS(100));
    }
    scene_check(p.s, sim_client_stat(p.a, "packets_forged") - before == 20);
    for (int i = 0; i < 50; i++) { /* a step with every packet: allowed, and only a KDF */
        p.run->seal.send.packets = RATCHET_PACKETS;
        p.run->seal.epoch_confirmed = true;
        hostile_member_say(p.m, p.run, &(struct frame){.kind = FRAME_CREDIT, .credit = {.limit = 70000}});
        world_run_for(p.s->w, VTIME_MS(100));
    }
    scene_check(p.s, p.run->seal.send.epoch >= 40);
    check_talks(&p);
    p.run->seal.counter = UINT64_MAX - 100;
    check_talks(&p);
    party_free(&p);
}

/* ---- not reading ---- */

/* Attack: never gives credit, with only one other there.
 * Sees: its messages wait; the ring tells when it is full. Bound: 1 MiB, as always; when mel reads on, all arrives. */
static void test_no_credit_alone(void **state)
{
    (void)state;
    struct party p = pair("no credit, alone");
    p.m->habits = (struct hostile_habits){.no_credit = true, .no_receipts = true};
    for (int i = 0; i < 40; i++)
        scene_say(p.s, p.a, 16000);
    world_run_for(p.s->w, VTIME_S(600));
    scene_check(p.s, !is_gone(&p) && p.run->frames[FRAME_MESSAGE] > 0);
    scene_check(p.s, sim_client_count(p.a, EVENT_DELIVERED, 0) == 0);
    p.m->habits = (struct hostile_habits){0};
    hostile_member_say(p.m, p.run,
                       &(struct frame){.kind = FRAME_CREDIT, .credit = {.limit = inbox_limit(&p.run->inbox)}});
    bool done = scene_wait_until(p.s, VTIME_S(300), is_settled, p.a);
    scene_check(p.s, done && sim_client_count(p.a, EVENT_DELIVERED, 0) == 40);
    party_free(&p);
}

/* ... and with others: who gives none for 60 s while messages wait is gone. */
static void stops_reading(const char *title, struct hostile_habits habits)
{
    struct party p = three(title);
    p.m->habits = habits;
    for (int i = 0; i < 400 && !is_gone(&p); i++) {
        if (engine_has_room(p.a->e, 8000))
            scene_say(p.s, p.a, 8000);
        world_run_for(p.s->w, VTIME_S(1));
    }
    scene_check(p.s, is_gone(&p));
    check_friends_talk(&p);
    size_t before = sim_client_count(p.b, EVENT_MESSAGE, 0);
    for (int i = 0; i < 50; i++) {
        scene_check(p.s, engine_has_room(p.a->e, 8000));
        scene_say(p.s, p.a, 8000);
        world_run_for(p.s->w, VTIME_S(1));
    }
    scene_check(p.s, sim_client_count(p.b, EVENT_MESSAGE, 0) == before + 50);
    party_free(&p);
}

static void test_no_credit_among_others(void **state)
{
    (void)state;
    stops_reading("no credit, among others", (struct hostile_habits){.no_credit = true, .no_receipts = true});
}

/* Attack: gives credit without end, and never says that anything was written: the ring of messages fills.
 * Sees: mel left ("timeout"). Bound: a minute after the ring is full the others can talk again. */
static void test_no_receipts(void **state)
{
    (void)state;
    stops_reading("no receipts", (struct hostile_habits){.endless_credit = true, .no_receipts = true});
}

/* Attack: acknowledges nothing, but shows that it lives. */
static void test_no_acks(void **state)
{
    (void)state;
    stops_reading("no acks", (struct hostile_habits){.endless_credit = true, .no_receipts = true, .no_acks = true});
}

/* Attack: gives credit without end and one receipt a minute, so that it has always just read something.
 * Sees: mel left ("timeout"). Bound: a minute after the ring is full the others can talk again. */
static void test_a_receipt_a_minute(void **state)
{
    (void)state;
    struct party p = three("a receipt a minute");
    vtime_us full_at = VTIME_NEVER, receipt_at = 0;
    uint64_t receipts = 0;
    p.m->habits = (struct hostile_habits){.endless_credit = true, .no_receipts = true};
    while (!is_gone(&p) && p.s->w->now < full_at + VTIME_S(600)) {
        if (engine_has_room(p.a->e, TEXT_BYTES_MAX))
            scene_say(p.s, p.a, 1000);
        else if (full_at == VTIME_NEVER)
            full_at = p.s->w->now;
        if (p.s->w->now >= receipt_at) {
            hostile_member_say(p.m, p.run, &(struct frame){.kind = FRAME_RECEIPT, .receipt = {.count = ++receipts}});
            receipt_at = p.s->w->now + VTIME_S(50);
        }
        world_run_for(p.s->w, VTIME_MS(100));
    }
    scene_check(p.s, is_gone(&p) && receipts > 3);
    scene_check(p.s, p.s->w->now <= full_at + STARVED_US + VTIME_S(1));
    check_friends_talk(&p);
    party_free(&p);
}

/* No attack: a megabyte over the relay takes two minutes, and all the time more waits than the credit allows. Who reads
 * on is not gone. */
static void test_slow_but_steady(void **state)
{
    (void)state;
    struct party p = three("slow but steady");
    while (engine_has_room(p.a->e, 16000))
        scene_say(p.s, p.a, 16000);
    bool done = scene_wait_until(p.s, VTIME_S(400), is_settled, p.a);
    scene_check(p.s, done && !is_gone(&p) && p.s->w->now > VTIME_S(100));
    party_free(&p);
}

/* No attack: one of three has a line of a kilobyte a second, or a very bad one, and a full megabyte waits for him for
 * twenty minutes, small messages and pages. */
static void slow_line(const char *title, const struct natbox_config *nat, uint32_t rate_bytes,
                      const struct weather *weather)
{
    struct scene *s = scene_test(title, 1);
    struct sim_client *c[3];
    for (int i = 0; i < 3; i++) {
        c[i] = scene_join(s, scene_home(s, VTIME_MS(20), nat), i == 0 ? "ann" : i == 1 ? "bob" : "cid");
        world_run_for(s->w, VTIME_S(3));
    }
    scene_meet(s, c[0], c[2], VTIME_S(5));
    world_set_rate(s->w, scene_natbox(s, c[2]->host), rate_bytes, 3000);
    s->w->weather = *weather;
    bool was_full = false;
    size_t read = 0;
    for (vtime_us end = s->w->now + VTIME_S(1200); s->w->now < end; world_run_for(s->w, VTIME_MS(200)))
        if (engine_has_room(c[0]->e, TEXT_BYTES_MAX))
            scene_say(s, c[0], dice_below(&s->w->dice, 50) ? dice_below(&s->w->dice, 2000) : 16000);
        else
            was_full = true;
    for (size_t i = 0; i < c[2]->event_count; i++)
        read += c[2]->events[i].e.kind == EVENT_MESSAGE ? c[2]->events[i].e.text_size : 0;
    print_message("%s: %.0f bytes a second\n", title, (double)read / 1200);
    scene_check(s, was_full && sim_client_count(c[0], EVENT_PEER_LEFT, 0) == 0);
    scene_free(s);
}

static void test_slow_lines(void **state)
{
    (void)state;
    slow_line("a slow line", &natbox_cone, 1000, &(struct weather){0});
    slow_line("a very bad line, relayed", &natbox_random, 0, &(struct weather){.loss_ppm = 300000});
}

int main(void)
{
    scene_test_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_habits),          cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_broken_streams),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_acks_of_nothing),    cmocka_unit_test(test_receipts_and_credit),
        cmocka_unit_test(test_beyond_the_credit),  cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_no_credit_alone),    cmocka_unit_test(test_no_credit_among_others),
        cmocka_unit_test(test_no_receipts),        cmocka_unit_test(test_no_acks),
        cmocka_unit_test(test_a_receipt_a_minute), cmocka_unit_test(test_slow_but_steady),
        cmocka_unit_test(test_slow_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
