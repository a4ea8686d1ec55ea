/* Friends whose first packets are lost meet all the same, however many others are there; strangers never do, and their
 * shares are not spent on trying (docs/protocol.md s5, "Again"). */
#include <string.h>

#include "scene_test.h"

struct lost { /* the Signals between two clients, who are known by the handles that the server gives them */
    struct scene *s;
    struct codec codec;
    const struct sim_client *c[2];
    uint64_t handle[2];
    bool towards[2]; /* what is lost */
    vtime_us until;
    unsigned count;
};

static int index_of(const struct lost *l, const struct packet *p)
{
    for (int i = 0; i < 2; i++)
        if (l->c[i] && addr_ip_equal(&p->dst, world_addr(l->s->w, l->c[i]->host, 0)))
            return i;
    return -1;
}

static bool is_lost(void *context, const struct packet *p)
{
    struct lost *l = context;
    struct frame f;
    int i = index_of(l, p);
    if (i < 0 || p->origin != l->s->server->host || codec_decode(&l->codec, p->bytes, p->size, &f) != DECODE_OK)
        return false;
    if (f.kind == FRAME_REGISTERED)
        l->handle[i] = f.registered.handle;
    if (f.kind != FRAME_SIGNAL || f.signal.handle != l->handle[1 - i] || !l->towards[i] || l->s->w->now >= l->until)
        return false;
    l->count++;
    return true;
}

static void lose(struct lost *l, struct scene *s)
{
    l->s = s;
    s->w->drop = is_lost;
    s->w->drop_context = l;
}

static bool is_said(struct scene *s, void *context)
{
    const struct lost *l = context;
    return judge_has_all(s->judge, l->c[0], l->c[1]) && judge_is_settled(s->judge, l->c[0]) &&
           judge_is_settled(s->judge, l->c[1]);
}

/* Three, all on public addresses; ann and bob, who is the last, have cat while their run is lost. Nothing goes directly
 * between the two, so that neither's packets come another way. */
static void friends_lose_a_run(uint64_t seed, unsigned ways, vtime_us for_us, vtime_us bound)
{
    static struct lost lost;
    struct scene *s = scene_test("friends lose a run", seed);
    lost = (struct lost){.towards = {ways & 1, (ways & 2) != 0}, .until = VTIME_NEVER};
    lose(&lost, s);
    struct sim_client *cat = scene_join(s, scene_home(s, VTIME_MS(15), NULL), "cat");
    struct sim_client *ann = scene_join(s, scene_home(s, VTIME_MS(20), NULL), "ann");
    lost.c[0] = ann;
    scene_meet_by(s, cat, ann, PATH_DIRECT, VTIME_S(5));
    world_run_for(s->w, dice_below(&s->w->dice, VTIME_S(20)));
    struct sim_client *bob = scene_join(s, scene_home(s, VTIME_MS(35), NULL), "bob");
    lost.c[1] = bob;
    lost.until = s->w->now + for_us;
    world_block(s->w, ann->host, bob->host, true);
    scene_meet_by(s, cat, bob, PATH_DIRECT, VTIME_S(5));
    scene_say(s, bob, 40);
    world_run_for(s->w, lost.until - s->w->now);
    scene_check(s, lost.count > 0 && (judge_peer(s->judge, ann, bob) == 0 || judge_peer(s->judge, bob, ann) == 0));
    scene_meet(s, ann, bob, bound);
    vtime_us took = s->w->now - lost.until;
    world_run_for(s->w, VTIME_S(100)); /* sessions that only one of the two had have ended */
    scene_check(s, sim_client_stat(ann, "peers") == 2 && sim_client_stat(bob, "peers") == 2);
    scene_check(s, sim_client_count(cat, EVENT_PEER, 0) == 2 && sim_client_count(cat, EVENT_PEER_LEFT, 0) == 0);
    scene_say(s, ann, 40);
    scene_say(s, bob, 40);
    bool said = scene_wait_until(s, VTIME_S(5), is_said, &lost);
    scene_check(s, said);
    print_message("lost for %llu s, ways %u: met %.1f s later; ann spent %llu shares\n",
                  (unsigned long long)(for_us / VTIME_S(1)), ways, (double)took / 1e6,
                  (unsigned long long)sim_client_stat(ann, "guesses_silent"));
    scene_free(s);
}

/* One run lost: the next comes two seconds after its end. */
static void test_one_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        for (unsigned ways = 1; ways <= 3; ways++)
            friends_lose_a_run(seed, ways, VTIME_S(31), VTIME_S(4));
}

/* More than one: the gap grows, so that two who never hear one another do not use up their shares on it. */
static void test_many_runs(void **state)
{
    (void)state;
    friends_lose_a_run(1, 3, VTIME_S(70), VTIME_S(60));
    friends_lose_a_run(1, 1, VTIME_S(150), VTIME_S(180));
    friends_lose_a_run(2, 3, VTIME_S(3600), VTIME_S(3600 + 60));
}

/* A day in which nothing of theirs arrives costs each of them no more than 30 shares. */
static void test_never(void **state)
{
    (void)state;
    static struct lost lost;
    struct scene *s = scene_test("never", 1);
    lost = (struct lost){.towards = {true, true}, .until = VTIME_NEVER};
    lose(&lost, s);
    s->keyword = "crab lunar toast";
    for (int i = 0; i < 2; i++)
        lost.c[i] = scene_join(s, scene_home(s, VTIME_MS(20), NULL), i ? "bob" : "ann");
    world_run_for(s->w, VTIME_S(24 * 3600));
    for (int i = 0; i < 2; i++) {
        uint64_t spent = sim_client_stat(lost.c[i], "introductions");
        print_message("a day of lost runs: %llu shares\n", (unsigned long long)spent);
        scene_check(s, spent >= 20 && spent <= 30 && sim_client_stat(lost.c[i], "shares_in_stock") == SHARES_MAX);
    }
    scene_free(s);
}

/* Strangers, for a day: one share each, and one once more if their run was lost. */
static void test_strangers(void **state)
{
    (void)state;
    static struct lost lost;
    for (int silent = 0; silent <= 1; silent++) {
        struct scene *s = scene_test("strangers for a day", 1);
        lost = (struct lost){.towards = {true, true}, .until = silent ? VTIME_S(60) : 0};
        lose(&lost, s);
        for (int i = 0; i < 2; i++) {
            s->keyword = i ? "42-crab-lunar-roast" : "42-crab-lunar-toast";
            lost.c[i] = scene_join(s, scene_home(s, VTIME_MS(20), NULL), i ? "eve" : "ann");
        }
        world_run_for(s->w, VTIME_S(24 * 3600));
        for (int i = 0; i < 2; i++) {
            scene_check(s, sim_client_stat(lost.c[i], "introductions") == 1);
            scene_check(s, sim_client_stat(lost.c[i], silent ? "guesses_silent" : "guesses_wrong") == 1);
            scene_check(s, sim_client_count(lost.c[i], EVENT_PEER, 0) == 0);
        }
        scene_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_run),
        cmocka_unit_test(test_many_runs),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_strangers),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
