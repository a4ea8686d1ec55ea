/* What one member can do to a room: floods, copies of himself, coming and going, other people's tags and tokens
 * (docs/attacks.md is the table). And a room that is full for honest reasons. */
#include <string.h>

#include "hostile_member.h"
#include "scene_test.h"

enum { COPIES_MAX = PEERS_MAX };

struct room {
    struct scene *s;
    struct sim_client *a, *b;
    struct hostile_member *m[COPIES_MAX];
    int count;
};

static struct room room_new(const char *title, uint64_t seed)
{
    return (struct room){.s = scene_test(title, seed)};
}

static void room_free(struct room *r)
{
    scene_free(r->s);
    for (int i = 0; i < r->count; i++)
        hostile_member_free(r->m[i]);
}

static void join_friends(struct room *r)
{
    r->a = scene_join(r->s, scene_home(r->s, VTIME_MS(10), NULL), "ann");
    world_run_for(r->s->w, VTIME_S(1));
    r->b = scene_join(r->s, scene_home(r->s, VTIME_MS(10), NULL), "bob");
    scene_meet_by(r->s, r->a, r->b, PATH_DIRECT, VTIME_S(5));
    world_run_for(r->s->w, VTIME_S(3));
}

static struct hostile_member *join_liar(struct room *r)
{
    char label[8];
    snprintf(label, sizeof label, "mel%d", r->count);
    return r->m[r->count++] = hostile_member_new(r->s, scene_home(r->s, VTIME_MS(10), NULL), NULL, label);
}

static void check_friends(struct room *r)
{
    scene_say(r->s, r->a, 500);
    scene_say(r->s, r->b, 500);
    world_run_for(r->s->w, VTIME_S(3));
    scene_check(r->s, judge_has_all(r->s->judge, r->a, r->b) && judge_has_all(r->s->judge, r->b, r->a));
    scene_check(r->s, sim_client_count(r->a, EVENT_PEER_LEFT, judge_peer(r->s->judge, r->a, r->b)) == 0);
}

/* ---- floods ---- */

/* Attack: messages as fast as the line takes them.
 * Sees: them, one after the other; with `ignore` nothing any more. Bound: 64 KiB unread, then mel has to wait; what is
 * ignored is thrown away, and mel does not learn of it. */
static void test_message_flood(void **state)
{
    (void)state;
    struct room r = room_new("message flood", 1);
    join_friends(&r);
    struct hostile_member *m = join_liar(&r);
    struct hostile_run *run = hostile_member_meet(m, r.a, VTIME_S(5));
    world_run_for(r.s->w, VTIME_S(5));
    for (int i = 0; i < 50; i++) {
        hostile_member_text(m, run, scene_text(r.s, 500));
        world_run_for(r.s->w, VTIME_MS(200));
    }
    uint32_t number = judge_peer(r.s->judge, r.a, m->mask);
    size_t shown = sim_client_count(r.a, EVENT_MESSAGE, number);
    scene_check(r.s, shown == 50);
    sim_client_ignore(r.a, number);
    for (int i = 0; i < 400; i++) {
        hostile_member_text(m, run, scene_text(r.s, 500));
        world_run_for(r.s->w, VTIME_MS(200));
    }
    scene_check(r.s, sim_client_count(r.a, EVENT_MESSAGE, number) == shown);
    scene_check(r.s, run->credit > run->stream_end && run->receipt == 450);
    check_friends(&r);
    room_free(&r);
}

/* Attack: the same towards somebody whose reader has stopped.
 * Bound: what is kept for it is 64 KiB; no memory of the engine grows, as it has no heap. */
static void test_flood_of_a_stalled_reader(void **state)
{
    (void)state;
    struct room r = room_new("flood of a stalled reader", 1);
    join_friends(&r);
    struct hostile_member *m = join_liar(&r);
    struct hostile_run *run = hostile_member_meet(m, r.a, VTIME_S(5));
    sim_client_stall(r.a, true);
    world_run_for(r.s->w, VTIME_S(5));
    for (int i = 0; i < 300; i++) {
        hostile_member_text(m, run, scene_text(r.s, 500));
        world_run_for(r.s->w, VTIME_MS(200));
    }
    size_t taken = sim_client_count(r.a, EVENT_MESSAGE, judge_peer(r.s->judge, r.a, m->mask));
    scene_check(r.s, run->credit == CREDIT_BYTES && taken > 100 && taken <= CREDIT_BYTES / 500);
    sim_client_stall(r.a, false);
    check_friends(&r);
    room_free(&r);
}

/* ---- coming and going ---- */

/* Attack: joins and leaves as fast as the server lets it.
 * Sees: "mel came, mel left" each time. Bound: a confirmed run costs no guess; two a second from one address. */
static void test_leave_storm(void **state)
{
    (void)state;
    struct room r = room_new("leave storm", 1);
    join_friends(&r);
    struct hostile_member *m = join_liar(&r);
    size_t before = sim_client_count(r.a, EVENT_PEER, 0);
    for (int i = 0; i < 300; i++) {
        world_run_for(r.s->w, VTIME_MS(100));
        for (unsigned k = 0; k < MEMBER_RUNS_MAX; k++) {
            if (!m->runs[k].opened || m->runs[k].left)
                continue;
            hostile_member_say(m, &m->runs[k], &(struct frame){.kind = FRAME_LEAVE, .leave = {.reason = LEAVE_QUIT}});
            m->runs[k].left = true;
            m->runs[k].since = 0; /* its place is free again */
        }
        hostile_member_leave(m);
        hostile_member_register(m);
    }
    hostile_member_leave(m);
    m->habits.no_envelope = m->habits.no_refresh = true;
    m->register_at = VTIME_NEVER;
    size_t seen = sim_client_count(r.a, EVENT_PEER, 0) - before;
    print_message("leave storm: ann saw mel come %zu times in 30 s\n", seen);
    scene_check(r.s, seen > 5 && seen <= 300 && sim_client_stat(r.a, "guesses_wrong") == 0);
    world_run_for(r.s->w, VTIME_S(90));
    scene_check(r.s, sim_client_stat(r.a, "peers") == 1 && sim_client_stat(r.a, "shares_in_stock") == SHARES_MAX);
    check_friends(&r);
    room_free(&r);
}

/* ---- full rooms ---- */

/* Attack: fifteen copies of one member.
 * Sees: fifteen people, and whoever comes now is told `room-full`. Bound: a room is denied, and free again when they
 * go. */
static void test_copies(void **state)
{
    (void)state;
    struct room r = room_new("copies", 1);
    r.a = scene_join(r.s, scene_home(r.s, VTIME_MS(10), NULL), "ann");
    world_run_for(r.s->w, VTIME_S(1));
    for (int i = 0; i < COPIES_MAX; i++) {
        struct hostile_member *m = join_liar(&r);
        hostile_member_meet(m, r.a, VTIME_S(20));
    }
    r.b = scene_join(r.s, scene_home(r.s, VTIME_MS(10), NULL), "bob");
    world_run_for(r.s->w, VTIME_S(40));
    scene_check(r.s, sim_client_stat(r.a, "peers") == PEERS_MAX && !judge_peer(r.s->judge, r.b, r.a));
    for (int i = 0; i < r.count; i++) /* killed: ann needs a minute to notice */
        world_remove_actor(r.s->w, r.m[i]->actor);
    scene_meet(r.s, r.a, r.b, VTIME_S(150));
    world_run_for(r.s->w, VTIME_S(120));
    check_friends(&r);
    room_free(&r);
}

static bool knows_all(const struct scene *s, const struct sim_client *c, int count)
{
    for (int i = 0; i < count; i++)
        if (s->clients[i] != c && !s->clients[i]->ended && !judge_peer(s->judge, c, s->clients[i]))
            return false;
    return true;
}

static bool is_complete(struct scene *s, void *context)
{
    (void)context;
    for (int i = 0; i < s->client_count; i++)
        if (!s->clients[i]->ended && !knows_all(s, s->clients[i], s->client_count))
            return false;
    return true;
}

/* Seventeen: the last is told `room-full`, tries again every half minute, and is in everywhere within 40 s when
 * somebody leaves. */
static void seventeen(bool killed)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct scene *s = scene_test("the seventeenth", seed);
        char label[8];
        for (int i = 0; i < ROOM_PEOPLE_MAX; i++) {
            snprintf(label, sizeof label, "p%d", i);
            scene_join(s, scene_home(s, VTIME_MS(10), NULL), label);
            world_run_for(s->w, VTIME_MS(500));
        }
        bool complete = scene_wait_until(s, VTIME_S(60), is_complete, NULL);
        scene_check(s, complete);
        struct sim_client *late = scene_join(s, scene_home(s, VTIME_MS(10), NULL), "late");
        world_run_for(s->w, VTIME_S(20) + dice_below(&s->w->dice, VTIME_S(40)));
        scene_check(s, sim_client_codes(late, "room-full") && sim_client_stat(late, "peers") == 0);
        for (int i = 0; i < ROOM_PEOPLE_MAX; i++)
            scene_check(s, sim_client_stat(s->clients[i], "peers") == PEERS_MAX &&
                               !sim_client_codes(s->clients[i], "room-full"));
        vtime_us start = s->w->now;
        if (killed)
            sim_client_kill(s->clients[5]);
        else
            sim_client_quit(s->clients[5]);
        s->clients[5]->ended = true;
        complete = scene_wait_until(s, VTIME_S(400), is_complete, NULL);
        print_message("the seventeenth is in everywhere %.1f s after somebody %s\n", (double)(s->w->now - start) / 1e6,
                      killed ? "was killed" : "left");
        scene_check(s, complete && s->w->now - start <= (killed ? PEER_TIMEOUT_US : 0) + VTIME_S(40));
        for (int i = 0; i <= ROOM_PEOPLE_MAX; i++) /* to be refused is to be known: it costs no guess */
            scene_check(s, i == 5 || sim_client_stat(s->clients[i], "guesses_silent") <= (killed ? 1 : 0));
        for (int i = 0; i <= ROOM_PEOPLE_MAX; i++)
            if (i != 5)
                scene_say(s, s->clients[i], 100);
        world_run_for(s->w, VTIME_S(5));
        for (int i = 0; i < ROOM_PEOPLE_MAX; i++)
            if (i != 5)
                scene_check(s, judge_has_all(s->judge, s->clients[i], late) &&
                                   judge_has_all(s->judge, late, s->clients[i]));
        scene_free(s);
    }
}

static void test_the_seventeenth(void **state)
{
    (void)state;
    seventeen(false);
}

/* The others notice it one by one, so that at first some let the newcomer in and some do not. */
static void test_the_seventeenth_after_a_death(void **state)
{
    (void)state;
    seventeen(true);
}

/* Attack: a member tells newcomers that the room is full.
 * Sees: `room-full`, while everybody else is there. Bound: who has others stays with them; who has nobody tries again.
 */
static void test_lies_room_full(void **state)
{
    (void)state;
    struct room r = room_new("lies room-full", 1);
    join_friends(&r);
    struct hostile_member *m = join_liar(&r);
    struct hostile_run *run = hostile_member_meet(m, r.a, VTIME_S(5));
    hostile_member_say(m, run, &(struct frame){.kind = FRAME_LEAVE, .leave = {.reason = LEAVE_ROOM_FULL}});
    world_run_for(r.s->w, VTIME_S(100));
    check_friends(&r);
    struct sim_client *c = scene_join(r.s, scene_home(r.s, VTIME_MS(10), NULL), "cat");
    run = hostile_member_meet(m, c, VTIME_S(10));
    hostile_member_say(m, run, &(struct frame){.kind = FRAME_LEAVE, .leave = {.reason = LEAVE_ROOM_FULL}});
    scene_meet(r.s, c, r.a, VTIME_S(5));
    scene_meet(r.s, c, r.b, VTIME_S(5));
    world_run_for(r.s->w, VTIME_S(100));
    scene_check(r.s, sim_client_count(c, EVENT_PEER_LEFT, judge_peer(r.s->judge, c, r.a)) == 0);
    check_friends(&r);
    room_free(&r);
}

/* ---- other people's secrets ---- */

static void reflect(struct hostile_member *m, struct hostile_run *run, const struct frame *f)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    if (f->kind != FRAME_ENVELOPE || run->left)
        return;
    struct frame_envelope tags = {.same_count = f->envelope.same_count, .pending_count = f->envelope.pending_count};
    memcpy(tags.same, f->envelope.same, sizeof tags.same);
    memcpy(tags.pending, f->envelope.pending, sizeof tags.pending);
    for (unsigned i = 0; i < f->envelope.pending_count && tags.same_count < SAME_TAGS_MAX; i++)
        tags.same[tags.same_count++] = f->envelope.pending[i];
    for (unsigned i = 0; i < f->envelope.same_count && tags.pending_count < PENDING_TAGS_MAX; i++)
        tags.pending[tags.pending_count++] = f->envelope.same[i];
    size_t size = hostile_put_envelope(run, &tags, plain, sizeof plain);
    const struct frame offer = {.kind = FRAME_OFFER, .offer = m->offer};
    size += codec_encode_inner(&offer, plain + size, sizeof plain - size);
    hostile_member_send(m, run, plain, size);
}

/* What bob is sent through the server is lost at first, so that ann's run with him goes on. */
static bool bob_hears_nothing(void *context, const struct packet *p)
{
    const struct room *r = context;
    return r->b && p->origin == r->s->server->host && p->size > 200 && r->s->w->now < r->b->started_at + VTIME_S(2) &&
           addr_ip_equal(&p->dst, world_addr(r->s->w, r->b->host, 0));
}

/* Attack: sends everybody's own same and pending tags back to them, before anything else.
 * Sees: nothing. Bound: only mel's own session is concerned; the others keep theirs, and those who are just being
 * introduced still meet. */
static void test_reflects_tags(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct room r = room_new("reflects tags", seed);
        r.a = scene_join(r.s, scene_home(r.s, VTIME_MS(30), NULL), "ann");
        world_run_for(r.s->w, VTIME_S(1));
        scene_say(r.s, r.a, 100);
        r.s->w->drop = bob_hears_nothing;
        r.s->w->drop_context = &r;
        r.b = scene_join(r.s, scene_home(r.s, VTIME_MS(150), NULL), "bob"); /* far, so that mel is faster */
        world_block(r.s->w, r.a->host, r.b->host, true);
        world_run_for(r.s->w, VTIME_MS(seed * 60));
        r.m[r.count++] = hostile_member_new(r.s, scene_home(r.s, VTIME_MS(1), NULL), NULL, "mel");
        r.m[0]->habits.no_envelope = true; /* but for the reflection */
        r.m[0]->on_frame = reflect;
        scene_meet(r.s, r.a, r.b, VTIME_S(5));
        world_run_for(r.s->w, VTIME_S(20));
        for (int i = 0; i < 5; i++) {
            hostile_member_leave(r.m[0]);
            hostile_member_register(r.m[0]);
            world_run_for(r.s->w, VTIME_S(8));
        }
        check_friends(&r);
        room_free(&r);
    }
}

/* Attack: presents both sides of the relay token of its session with ann, from two registrations.
 * Bound: that link is its own affair; other sessions' tokens cannot be guessed. */
static void test_takes_the_link(void **state)
{
    (void)state;
    struct room r = room_new("takes the link", 1);
    join_friends(&r);
    struct hostile_member *m = join_liar(&r), *n = join_liar(&r);
    struct hostile_run *run = hostile_member_meet(m, r.a, VTIME_S(5));
    hostile_member_meet(n, r.a, VTIME_S(5));
    world_run_for(r.s->w, VTIME_S(5));
    for (int i = 0; i < 20; i++) {
        struct frame f = {.kind = FRAME_LINK, .link = {.token = {.side = 1 - run->seal.side}}};
        memcpy(f.link.secret, n->secret, sizeof f.link.secret);
        memcpy(f.link.token.token, run->seal.relay_token, RELAY_TOKEN_BYTES);
        hostile_member_to_server(n, &f);
        world_run_for(r.s->w, VTIME_S(1));
    }
    check_friends(&r);
    room_free(&r);
}

/* ---- without the keyword ---- */

/* Attack: a stranger in the room guesses, from so many addresses, through an honest server.
 * Sees: `wrong-keyword`. Bound: the stock, as with a hostile server: who leaves before his run is over counts anew. */
static void guess_from(int addresses)
{
    struct room r = room_new("guesses through the server", 1);
    r.a = scene_join(r.s, scene_home(r.s, VTIME_MS(10), NULL), "ann");
    world_run_for(r.s->w, VTIME_S(1));
    for (int i = 0; i < addresses; i++) {
        char label[8];
        snprintf(label, sizeof label, "eve%d", i);
        r.m[r.count++] = hostile_member_new(r.s, scene_home(r.s, VTIME_MS(10), NULL), "42-crab-lunar-comet", label);
    }
    for (int i = 0; i < 600; i += 2) { /* a new registration is introduced anew */
        world_run_for(r.s->w, VTIME_S(2));
        for (int k = 0; k < addresses; k++) {
            hostile_member_leave(r.m[k]);
            memset(r.m[k]->runs, 0, MEMBER_RUNS_MAX * sizeof *r.m[k]->runs);
            hostile_member_register(r.m[k]);
        }
    }
    uint64_t guesses = sim_client_stat(r.a, "introductions");
    print_message("%d strangers: %llu guesses in ten minutes\n", addresses, (unsigned long long)guesses);
    scene_check(r.s, guesses > 10 && guesses <= SHARES_MAX + 601);
    scene_check(r.s, sim_client_count(r.a, EVENT_PEER, 0) == 0 && sim_client_codes(r.a, "wrong-keyword"));
    r.b = scene_join(r.s, scene_home(r.s, VTIME_MS(10), NULL), "bob");
    vtime_us start = r.s->w->now;
    scene_meet(r.s, r.a, r.b, VTIME_S(60));
    print_message("   a friend who comes now is in after %.1f s\n", (double)(r.s->w->now - start) / 1e6);
    room_free(&r);
}

static void test_one_stranger(void **state)
{
    (void)state;
    guess_from(1);
}

static void test_ten_strangers(void **state)
{
    (void)state;
    guess_from(10);
}

int main(void)
{
    scene_test_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_flood),   cmocka_unit_test(test_flood_of_a_stalled_reader),
        cmocka_unit_test(test_leave_storm),     cmocka_unit_test(test_copies),
        cmocka_unit_test(test_the_seventeenth), cmocka_unit_test(test_the_seventeenth_after_a_death),
        cmocka_unit_test(test_lies_room_full),  cmocka_unit_test(test_reflects_tags),
        cmocka_unit_test(test_takes_the_link),  cmocka_unit_test(test_one_stranger),
        cmocka_unit_test(test_ten_strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
