/* Guesses of the keyword: a hostile server makes up peers and runs CPace with them, a stranger does it through an
 * honest server. Each run is one guess; the stock of shares bounds them, and the stats count them (docs/attacks.md). */
#include <string.h>

#include "hostile_server.h"
#include "peer/mailbox.h"
#include "scene_test.h"

/* ---- a server that guesses as fast as it can ---- */

struct guesser {
    struct scene *s;
    struct hostile_server *h;
    struct sim_client *a;
    struct hostile_key guess;
    struct hostile_known *victim;
    bool silent;
};

static void guess_all(struct hostile_server *h)
{
    struct guesser *g = h->context;
    while (g->victim && hostile_server_guess(h, g->victim, &g->guess))
        ;
    h->wake_at = world_host_now(h->s->w, h->real->host) + VTIME_MS(100);
}

static struct guesser guesser_new(const char *title, const char *keyword, const char *guess)
{
    struct guesser g = {.s = scene_test(title, 1)};
    g.s->keyword = keyword;
    g.h = hostile_server_new(g.s);
    hostile_key_init(&g.guess, guess);
    g.a = scene_join(g.s, scene_home(g.s, VTIME_MS(5), NULL), "ann");
    world_run_for(g.s->w, VTIME_S(1));
    g.victim = hostile_server_of(g.h, g.a);
    return g;
}

static void start(struct guesser *g)
{
    g->h->context = g;
    g->h->on_wake = guess_all;
    guess_all(g->h);
    world_touch(g->s->w, g->h->actor);
}

static void guesser_free(struct guesser *g)
{
    scene_free(g->s);
    hostile_server_free(g->h);
}

static uint64_t taken(const struct guesser *g)
{
    return sim_client_stat(g->a, "introductions");
}

/* Attack: the server invents a new peer with a guessed keyword whenever it can, for a day.
 * Sees: room form: `wrong-keyword` once. Bound: three words of our list: 8 and one a second. */
static void test_room_with_three_words(void **state)
{
    (void)state;
    struct guesser g = guesser_new("guesses at three words", "42-crab-lunar-toast", "42-crab-lunar-comet");
    const vtime_us hours = 1; /* a day takes as long as all other tests together, and gives 24 times as many */
    start(&g);
    world_run_for(g.s->w, VTIME_S(100));
    uint64_t before = taken(&g);
    scene_check(g.s, before <= 8 + 101 && before >= 50);
    world_run_for(g.s->w, hours * VTIME_S(3600));
    print_message("three words: %llu guesses in %u h, %llu a day\n", (unsigned long long)taken(&g), (unsigned)hours,
                  (unsigned long long)((taken(&g) - before) * 24 / hours));
    scene_check(g.s, taken(&g) <= SHARES_MAX + (g.s->w->now - VTIME_S(1)) / VTIME_S(1));
    scene_check(g.s, sim_client_stat(g.a, "guesses_wrong") + PEERS_MAX + SHARES_MAX * 4 >= taken(&g));
    scene_check(g.s, g.h->guesses_right == 0 && sim_client_count(g.a, EVENT_PEER, 0) == 0);
    scene_check(g.s, sim_client_codes(g.a, "wrong-keyword") == 1 && !sim_client_codes(g.a, "too-many-strangers"));
    guesser_free(&g);
}

/* ... otherwise: 8, 16 more at one a second, then one per 30 s, 128 in all, then nobody. */
static void check_scarce(const char *title, const char *keyword, const char *guess, bool is_room)
{
    struct guesser g = guesser_new(title, keyword, guess);
    start(&g);
    world_run_for(g.s->w, VTIME_S(30));
    scene_check(g.s, taken(&g) >= 8 + 16 && taken(&g) <= 8 + 16 + 1);
    world_run_for(g.s->w, VTIME_S(3000));
    scene_check(g.s, taken(&g) <= 8 + 16 + 102 && taken(&g) >= 8 + 16 + 98);
    scene_check(g.s, !sim_client_codes(g.a, "too-many-strangers"));
    world_run_for(g.s->w, VTIME_S(24 * 3600 - 3030));
    print_message("%s: %llu guesses in a day\n", title, (unsigned long long)taken(&g));
    scene_check(g.s, taken(&g) == 128);
    scene_check(g.s, sim_client_codes(g.a, "too-many-strangers") == 1);
    scene_check(g.s, (sim_client_codes(g.a, "wrong-keyword") > 0) == is_room);
    scene_check(g.s, sim_client_stat(g.a, "guesses_wrong") == 128 && g.h->guesses_right == 0);
    scene_check(g.s, sim_client_stat(g.a, "shares_in_stock") == 0);
    guesser_free(&g);
}

static void test_room_without_three_words(void **state)
{
    (void)state;
    check_scarce("a room's own words", "42-moonshine", "42-sunshine", true);
}

static void test_open_form(void **state)
{
    (void)state;
    check_scarce("the open form", "moonshine over here", "sunshine", false);
}

/* Attack: the same, with somebody there.
 * Sees: `too-many-strangers`. Bound: who is there stays, and all that is said arrives; nobody else gets in. */
static void test_exhausted(void **state)
{
    (void)state;
    struct guesser g = guesser_new("exhausted", "foo", "bar");
    struct sim_client *b = scene_join(g.s, scene_home(g.s, VTIME_MS(5), NULL), "bob");
    scene_meet(g.s, g.a, b, VTIME_S(5));
    start(&g);
    world_run_for(g.s->w, VTIME_S(5000));
    scene_check(g.s, sim_client_codes(g.a, "too-many-strangers"));
    scene_say(g.s, g.a, 100);
    scene_say(g.s, b, 100);
    scene_settle(g.s, g.a, b, VTIME_S(5));
    struct sim_client *c = scene_join(g.s, scene_home(g.s, VTIME_MS(5), NULL), "cat");
    scene_meet(g.s, b, c, VTIME_S(5)); /* bob's stock is full */
    world_run_for(g.s->w, VTIME_S(60));
    scene_check(g.s, sim_client_count(g.a, EVENT_PEER, 0) == 1);
    guesser_free(&g);
}

/* Attack: peers who never say anything.
 * Sees: nothing (ghosts of killed clients look the same). Bound: the stock. */
static void test_silence(void **state)
{
    (void)state;
    struct guesser g = guesser_new("silence", "42-moonshine", "42-sunshine");
    for (int i = 0; i < 20; i++) {
        const struct share_public *own = hostile_server_take(g.victim);
        struct share_secret share;
        hostile_share_make(&g.h->rng, &g.guess, &share);
        if (own)
            hostile_server_introduce(g.h, g.victim, own->point, 1000 + (uint64_t)i, &share.share);
        world_run_for(g.s->w, VTIME_S(31));
    }
    scene_check(g.s, sim_client_stat(g.a, "guesses_silent") >= 19 && sim_client_stat(g.a, "guesses_wrong") == 0);
    scene_check(g.s, sim_client_count(g.a, EVENT_WARNING, 0) == 0);
    guesser_free(&g);
}

/* Attack: three wrong guesses, and a friend right behind them.
 * Sees: `wrong-keyword` once, after the third. Bound: the door stays open. */
static void test_alarm(void **state)
{
    (void)state;
    struct guesser g = guesser_new("alarm", "42-crab-lunar-toast", "42-crab-lunar-comet");
    for (uint64_t i = 1; i <= 8; i++) {
        bool sent = hostile_server_guess(g.h, g.victim, &g.guess);
        scene_check(g.s, sent);
        world_run_for(g.s->w, VTIME_MS(200));
        scene_check(g.s, sim_client_stat(g.a, "guesses_wrong") == i);
        scene_check(g.s, sim_client_codes(g.a, "wrong-keyword") == (i >= 3));
    }
    struct sim_client *b = scene_join(g.s, scene_home(g.s, VTIME_MS(5), NULL), "bob");
    scene_meet(g.s, g.a, b, VTIME_S(60)); /* the honest part of the server tries shares that are used, at first */
    guesser_free(&g);
}

static bool no_introductions(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    (void)h;
    (void)who;
    (void)at;
    return f->kind == FRAME_PEER_INFO;
}

/* Attack: more runs at once than there is room for, wrong ones and silent ones, before a friend comes.
 * Sees: `wrong-keyword`. Bound: the oldest give way, and the friend's run has its place. */
static void test_more_runs_than_places(void **state)
{
    (void)state;
    for (int silent = 0; silent <= 1; silent++) {
        struct guesser g = guesser_new("more runs than places", "42-crab-lunar-toast", "42-crab-lunar-comet");
        g.h->down = no_introductions; /* the core's */
        struct sim_client *b = scene_join(g.s, scene_home(g.s, VTIME_MS(5), NULL), "bob");
        world_run_for(g.s->w, VTIME_S(1));
        for (vtime_us end = g.s->w->now + VTIME_S(28); g.s->w->now < end; world_run_for(g.s->w, VTIME_MS(500))) {
            struct share_secret share;
            const struct share_public *own = silent ? hostile_server_take(g.victim) : NULL;
            hostile_share_make(&g.h->rng, &g.guess, &share);
            if (own)
                hostile_server_introduce(g.h, g.victim, own->point, dice_u64(&g.s->w->dice), &share.share);
            while (!silent && hostile_server_guess(g.h, g.victim, &g.guess))
                ;
        }
        scene_check(g.s, taken(&g) > MAILBOX_SLOTS);
        world_run_for(g.s->w, VTIME_S(2));
        struct hostile_known *bob = hostile_server_of(g.h, b);
        bob->used_count = 0;
        hostile_server_pair(g.h, g.victim, hostile_server_take(g.victim), bob, hostile_server_take(bob));
        scene_meet(g.s, g.a, b, VTIME_S(1));
        guesser_free(&g);
    }
}

/* The same run, many packets that do not open: one guess, counted once. */
static void test_one_run_counts_once(void **state)
{
    (void)state;
    struct guesser g = guesser_new("one run counts once", "42-crab-lunar-toast", "42-crab-lunar-comet");
    uint8_t plain[PLAIN_BYTES_MAX];
    bool sent = hostile_server_guess(g.h, g.victim, &g.guess);
    scene_check(g.s, sent);
    for (int i = 0; i < 50; i++) {
        struct hostile_run *run = &g.h->runs[0];
        hostile_server_say(g.h, g.victim, run, plain, hostile_put_envelope(run, NULL, plain, sizeof plain));
        world_run_for(g.s->w, VTIME_MS(100));
    }
    scene_check(g.s, sim_client_stat(g.a, "guesses_wrong") == 1 && taken(&g) == 1);
    scene_check(g.s, sim_client_count(g.a, EVENT_WARNING, 0) == 0);
    guesser_free(&g);
}

/* ---- right guesses ---- */

static void words_of(const struct scene *s, const struct sim_client *c, const char *ret[static SEAL_WORDS])
{
    bool there = engine_verify(c->e, 1, ret);
    scene_check((struct scene *)(uintptr_t)s, there);
}

static bool same_words(const char *const a[static SEAL_WORDS], const char *const b[static SEAL_WORDS])
{
    for (unsigned i = 0; i < SEAL_WORDS; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

/* Attack: the server guesses right and sits between two.
 * Sees: a peer, until the words are compared. Bound: each end's words are those of its own run with the server, and
 * differ from the other end's; without the server between them they are the same. */
static void test_right_guess_between_two(void **state)
{
    (void)state;
    const char *words_a[SEAL_WORDS], *words_b[SEAL_WORDS], *liar[SEAL_WORDS];
    uint8_t plain[PLAIN_BYTES_MAX];
    struct scene *s = scene_test("right guess between two", 1);
    struct hostile_server *h = hostile_server_new(s);
    struct hostile_key right;
    hostile_key_init(&right, s->keyword);
    h->down = no_introductions; /* and it plays the other to each */
    struct sim_client_config config = {.keyword = s->keyword, .name = "ann"};
    config.server[config.server_count++] = addr_v4(198, 51, 100, 1, SIM_SERVER_PORT);
    struct sim_client *ends[2];
    for (int i = 0; i < 2; i++) { /* not known to the judge, who would object to the peer */
        ends[i] = sim_client_new(s->w, scene_home(s, VTIME_MS(5), NULL), i ? "bob" : "ann", &config, NULL);
        world_run_for(s->w, VTIME_S(1));
        struct hostile_known *k = hostile_server_of(h, ends[i]);
        bool sent = hostile_server_guess(h, k, &right);
        scene_check(s, sent);
        world_run_for(s->w, VTIME_S(1));
        struct hostile_run *run = &h->runs[i];
        for (int n = 0; n < 2; n++) /* again: so that it is acknowledged */
            hostile_server_say(h, k, run, plain, hostile_put_envelope(run, NULL, plain, sizeof plain));
        world_run_for(s->w, VTIME_S(1));
        scene_check(s, sim_client_count(ends[i], EVENT_PEER, 0) == 1);
    }
    scene_check(s, h->guesses_right == 2);
    words_of(s, ends[0], words_a);
    words_of(s, ends[1], words_b);
    scene_check(s, !same_words(words_a, words_b));
    hostile_words(&h->runs[0], liar);
    scene_check(s, same_words(words_a, liar));
    hostile_words(&h->runs[1], liar);
    scene_check(s, same_words(words_b, liar));
    sim_client_free(ends[0]);
    sim_client_free(ends[1]);
    scene_free(s);
    hostile_server_free(h);
}

/* The words of an honest pair, for comparison. */
static void test_words_agree(void **state)
{
    (void)state;
    const char *words_a[SEAL_WORDS], *words_b[SEAL_WORDS];
    struct scene *s = scene_test("words agree", 1);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(5), NULL), "ann");
    struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(5), NULL), "bob");
    scene_meet(s, a, b, VTIME_S(5));
    words_of(s, a, words_a);
    words_of(s, b, words_b);
    scene_check(s, same_words(words_a, words_b));
    scene_free(s);
}

/* Attack: the right keyword, but a nonce that the share was not committed to (to steer the words).
 * Sees: nothing. Bound: the run ends; it counts as a wrong guess. */
static void test_other_nonce(void **state)
{
    (void)state;
    struct guesser g = guesser_new("other nonce", "42-crab-lunar-toast", "42-crab-lunar-toast");
    const struct share_public *own = hostile_server_take(g.victim);
    struct hostile_run *run = &g.h->runs[0];
    uint8_t plain[PLAIN_BYTES_MAX];
    *run = (struct hostile_run){.theirs = *own, .handle = 5};
    hostile_share_make(&g.h->rng, &g.guess, &run->own);
    bool ok = hostile_run_begin(run, world_host_now(g.s->w, g.s->server->host));
    scene_check(g.s, ok);
    hostile_server_introduce(g.h, g.victim, own->point, run->handle, &run->own.share);
    run->own.nonce[0] ^= 1;
    hostile_server_say(g.h, g.victim, run, plain, hostile_put_envelope(run, NULL, plain, sizeof plain));
    world_run_for(g.s->w, VTIME_S(2));
    run->own.nonce[0] ^= 1; /* too late */
    hostile_server_say(g.h, g.victim, run, plain, hostile_put_envelope(run, NULL, plain, sizeof plain));
    world_run_for(g.s->w, VTIME_S(40));
    scene_check(g.s, sim_client_count(g.a, EVENT_PEER, 0) == 0);
    scene_check(g.s, sim_client_stat(g.a, "guesses_wrong") == 1 && taken(&g) == 1);
    guesser_free(&g);
}

int main(void)
{
    scene_test_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room_with_three_words),
        cmocka_unit_test(test_room_without_three_words),
        cmocka_unit_test(test_open_form),
        cmocka_unit_test(test_exhausted),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_alarm),
        cmocka_unit_test(test_more_runs_than_places),
        cmocka_unit_test(test_one_run_counts_once),
        cmocka_unit_test(test_right_guess_between_two),
        cmocka_unit_test(test_words_agree),
        cmocka_unit_test(test_other_nonce),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
