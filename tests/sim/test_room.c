/* More than two, strangers among them, and how people come and go. */
#include <string.h>

#include "scene_test.h"

static const struct natbox_config *const nats[] = {&natbox_cone, &natbox_port_restricted, &natbox_restricted, NULL,
                                                   &natbox_masquerade};

static bool all_met(struct scene *s, void *context)
{
    enum engine_path path = *(enum engine_path *)context;
    for (int i = 0; i < s->client_count; i++)
        for (int k = 0; k < s->client_count; k++)
            if (i != k && (judge_peer(s->judge, s->clients[i], s->clients[k]) == 0 ||
                           scene_path(s, s->clients[i], s->clients[k]) < path))
                return false;
    return true;
}

static bool all_settled(struct scene *s, void *context)
{
    (void)context;
    for (int i = 0; i < s->client_count; i++) {
        if (!judge_is_settled(s->judge, s->clients[i]))
            return false;
        for (int k = 0; k < s->client_count; k++)
            if (i != k && !judge_has_all(s->judge, s->clients[i], s->clients[k]))
                return false;
    }
    return true;
}

static void room(const char *title, uint64_t seed, int people, vtime_us apart, const char *keyword)
{
    struct scene *s = scene_test(title, seed);
    enum engine_path path = PATH_DIRECT;
    s->keyword = keyword;
    for (int i = 0; i < people; i++) {
        char label[8];
        snprintf(label, sizeof label, "p%d", i);
        scene_join(s, scene_home(s, VTIME_MS(10 + 7 * (unsigned)i), nats[i % 5]), label);
        world_run_for(s->w, dice_below(&s->w->dice, apart + 1));
    }
    bool met = scene_wait_until(s, VTIME_S(60), all_met, &path);
    scene_check(s, met);
    for (int i = 0; i < people; i++)
        scene_say(s, s->clients[i], 100);
    bool settled = scene_wait_until(s, VTIME_S(10), all_settled, NULL);
    scene_check(s, settled);
    for (int i = 0; i < people; i++) {
        scene_check(s, sim_client_count(s->clients[i], EVENT_PEER, 0) == (size_t)people - 1);
        scene_check(s, sim_client_count(s->clients[i], EVENT_DELIVERED, 0) == (size_t)people - 1);
    }
    world_run_for(s->w, VTIME_S(300));
    for (int i = 0; i < people; i++)
        scene_check(s, sim_client_count(s->clients[i], EVENT_PEER_LEFT, 0) == 0);
    scene_free(s);
}

static void test_three(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        room("three one after the other", seed, 3, VTIME_S(10), "42-crab-lunar-toast");
        room("three at once", seed, 3, 0, "42-crab-lunar-toast");
        room("three in the open form", seed, 3, VTIME_S(3), "crab lunar toast");
    }
}

static void test_sixteen(void **state)
{
    (void)state;
    room("sixteen one after the other", 1, ROOM_PEOPLE_MAX, VTIME_S(10), "42-crab-lunar-toast");
    room("sixteen at once", 2, ROOM_PEOPLE_MAX, VTIME_MS(100), "42-crab-lunar-toast");
}

static uint64_t datagrams(const struct scene *s)
{
    const struct judge_traffic *t = &s->judge->traffic;
    return t->to_server + t->from_server + t->to_others;
}

/* What a mesh costs, all told: so many datagrams for each pair and each person until all are in, and then in five idle
 * minutes. A person needs 6 for registering and 20 for finding out about its NAT (8 questions, two of them up to three
 * times, and the answers). A pair needs 20 (12 of them with the server) if all come at once, and 26 if they come one by
 * one, since whoever is there refreshes his shares each time; later each end asks the path every 15 to 18 s, and is
 * answered. */
static void mesh(uint64_t seed, int people, vtime_us apart)
{
    struct scene *s = scene_test("mesh", seed);
    enum engine_path path = PATH_DIRECT;
    char label[16];
    for (int i = 0; i < people; i++) {
        snprintf(label, sizeof label, "p%d", i);
        scene_join(s, scene_home(s, VTIME_MS(10 + 7 * (unsigned)i), nats[i % 5]), label);
        world_run_for(s->w, apart);
    }
    vtime_us last = s->w->now;
    bool met = scene_wait_until(s, VTIME_S(4), all_met, &path);
    scene_check(s, met);
    vtime_us took = s->w->now - last;
    world_run_for(s->w, last + VTIME_S(10) - s->w->now);
    const uint64_t n = (uint64_t)people, pairs = n * (n - 1) / 2, joined = datagrams(s);
    world_run_for(s->w, VTIME_S(300));
    const uint64_t idle = datagrams(s) - joined;
    print_message("%2d people, %.0f s apart: all in after %.1f s and %llu datagrams; %llu in five idle minutes\n",
                  people, (double)apart / 1e6, (double)took / 1e6, (unsigned long long)joined,
                  (unsigned long long)idle);
    scene_check(s, joined <= (apart > 0 ? 27 : 22) * pairs + 26 * n);
    scene_check(s, idle <= 80 * pairs + 40 * n); /* four and two in 15 s */
    scene_free(s);
}

static void test_mesh(void **state)
{
    (void)state;
    static const int sizes[] = {2, 4, 8, 12, ROOM_PEOPLE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t seed = 1; seed <= 2; seed++) {
            mesh(seed, sizes[i], 0);
            mesh(seed, sizes[i], VTIME_S(2));
        }
}

/* A message goes to those who are there; one for a single peer goes to nobody else (the judge sees to that). */
static void test_to_one(void **state)
{
    (void)state;
    struct scene *s = scene_test("to one", 1);
    enum engine_path path = PATH_DIRECT;
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(10), NULL), "ann");
    struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(10), NULL), "bob");
    scene_join(s, scene_home(s, VTIME_MS(10), NULL), "cid");
    bool met = scene_wait_until(s, VTIME_S(10), all_met, &path);
    scene_check(s, met);
    const char *text = scene_text(s, 40);
    uint64_t id = sim_client_say_to(a, judge_peer(s->judge, a, b), (const uint8_t *)text, strlen(text));
    world_run_for(s->w, VTIME_S(5));
    scene_check(s, sim_client_count(b, EVENT_MESSAGE, 0) == 1);
    scene_check(s, sim_client_count(a, EVENT_DELIVERED, 0) == 1);
    scene_check(s, sim_client_event(a, EVENT_DELIVERED, 0, 0, 0)->e.id == id);
    /* Somebody who does not exist. */
    id = sim_client_say_to(a, 99, (const uint8_t *)text, strlen(text));
    world_run_for(s->w, VTIME_S(1));
    scene_check(s, sim_client_count(a, EVENT_DELIVERED, 0) == 1);
    scene_check(s, sim_client_count(a, EVENT_FAILED, 0) == 1);
    scene_check(s, sim_client_event(a, EVENT_FAILED, 0, 0, 0)->e.id == id);
    scene_free(s);
}

/* Same room, another secret behind the number; or the same bucket of the open form: nothing comes of it but the
 * alarm, and that does not keep friends out. */
static void test_strangers(void **state)
{
    (void)state;
    static const char *const keywords[][2] = {{"42-crab-lunar-toast", "42-crab-lunar-roast"},
                                              {"crab lunar toast", "quite other words"}};
    for (size_t form = 0; form < 2; form++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct scene *s = scene_test("strangers", seed);
            s->keyword = keywords[form][0];
            struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(10), &natbox_cone), "ann");
            s->keyword = keywords[form][1];
            struct sim_client *x = scene_join(s, scene_home(s, VTIME_MS(10), &natbox_cone), "eve");
            struct sim_client *y = scene_join(s, scene_home(s, VTIME_MS(10), &natbox_cone), "eva");
            scene_say(s, x, 40);
            scene_meet_by(s, x, y, PATH_DIRECT, VTIME_S(10));
            world_run_for(s->w, VTIME_S(120));
            scene_check(s, sim_client_count(a, EVENT_PEER, 0) == 0 && sim_client_count(x, EVENT_PEER, 0) == 1);
            s->keyword = keywords[form][0];
            struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(10), &natbox_cone), "bob");
            scene_say(s, b, 40);
            scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(3));
            scene_settle(s, a, b, VTIME_S(5));
            scene_free(s);
        }
}

static void test_wrong_keyword_alarm(void **state)
{
    (void)state;
    struct scene *s = scene_test("wrong keyword alarm", 1);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(10), &natbox_cone), "ann");
    s->keyword = "42-crab-lunar-roast";
    for (int i = 0; i < 4; i++) {
        char label[8];
        snprintf(label, sizeof label, "eve%d", i);
        world_run_for(s->w, VTIME_S(20));
        struct sim_client *x = scene_join(s, scene_home(s, VTIME_MS(10), &natbox_cone), label);
        world_run_for(s->w, VTIME_S(20));
        sim_client_kill(x);
    }
    scene_check(s, sim_client_codes(a, "wrong-keyword"));
    scene_free(s);
}

/* Two dozen strangers in the open space: buckets form, friends find each other, nobody's address is told about. */
static void test_crowd_in_the_open_form(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct scene *s = scene_test("crowd in the open form", seed);
        char label[8], keyword[32];
        for (int i = 0; i < 24; i++) {
            snprintf(label, sizeof label, "x%d", i);
            snprintf(keyword, sizeof keyword, "lonely words %d", i);
            s->keyword = keyword;
            scene_join(s, scene_home(s, VTIME_MS(10), &natbox_cone), label);
            world_run_for(s->w, VTIME_S(1));
        }
        world_run_for(s->w, VTIME_S(60));
        s->keyword = "crab lunar toast";
        struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(10), &natbox_cone), "ann");
        world_run_for(s->w, VTIME_S(30));
        struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(10), &natbox_cone), "bob");
        scene_say(s, b, 40);
        scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(10));
        scene_settle(s, a, b, VTIME_S(5));
        for (int i = 0; i < 24; i++)
            scene_check(s, sim_client_count(s->clients[i], EVENT_PEER, 0) == 0);
        scene_free(s);
    }
}

/* ---- coming and going ---- */

static void test_quit(void **state)
{
    (void)state;
    for (int relayed = 0; relayed <= 1; relayed++) {
        struct scene *s = scene_test("quit", 1);
        s->config.relay = relayed ? RELAY_ONLY : RELAY_AUTO;
        struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "ann");
        struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "bob");
        scene_meet_by(s, a, b, relayed ? PATH_RELAY : PATH_DIRECT, VTIME_S(5));
        world_run_for(s->w, VTIME_S(5));
        vtime_us start = s->w->now;
        sim_client_quit(b);
        const struct sim_event *end = scene_wait(s, b, EVENT_END, VTIME_S(5));
        scene_check(s, end->e.status == 0);
        const struct sim_event *left = scene_wait(s, a, EVENT_PEER_LEFT, VTIME_S(1));
        scene_check(s, strcmp(left->e.text, "quit") == 0 && left->time - start <= VTIME_MS(200));
        /* The server has forgotten it, too: the next one does not meet a ghost. */
        struct sim_client *c = scene_join(s, b->host, "bob2");
        scene_meet(s, a, c, VTIME_S(2));
        scene_check(s, sim_client_count(c, EVENT_PEER, 0) == 1);
        scene_free(s);
    }
}

/* What cannot be delivered any more is said to be failed, and the status says so, too. */
static void test_quit_with_undelivered(void **state)
{
    (void)state;
    struct scene *s = scene_test("quit with undelivered", 1);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "ann");
    scene_say(s, a, 40);
    world_run_for(s->w, VTIME_S(3));
    sim_client_quit(a);
    scene_wait(s, a, EVENT_END, VTIME_S(5));
    const struct sim_event *failed = sim_client_event(a, EVENT_FAILED, 0, 0, 0);
    scene_check(s, failed != NULL && failed->e.peer == 0);
    scene_free(s);
}

/* `echo hi | p2p-client`: typed and ended before anybody is there; it stays until that is delivered, then leaves. */
static void test_finish(void **state)
{
    (void)state;
    for (int first = 0; first <= 1; first++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct scene *s = scene_test("finish", seed);
            int home_a = scene_home(s, VTIME_MS(20), &natbox_cone), home_b = scene_home(s, VTIME_MS(20), &natbox_cone);
            struct sim_client *a, *b;
            s->w->weather.loss_ppm = seed > 2 ? 200000 : 0;
            if (first) {
                a = scene_join(s, home_a, "ann");
                scene_say(s, a, 40);
                sim_client_finish(a);
                world_run_for(s->w, VTIME_S(30));
                scene_check(s, !a->ended);
                b = scene_join(s, home_b, "bob");
            } else {
                b = scene_join(s, home_b, "bob");
                world_run_for(s->w, VTIME_S(30));
                a = scene_join(s, home_a, "ann");
                scene_say(s, a, 40);
                sim_client_finish(a);
            }
            const struct sim_event *end = scene_wait(s, a, EVENT_END, VTIME_S(60));
            scene_check(s, end->e.status == 0);
            scene_check(s, sim_client_count(a, EVENT_DELIVERED, 0) == 1);
            scene_check(s, sim_client_count(b, EVENT_MESSAGE, 0) == 1);
            const struct sim_event *left = scene_wait(s, b, EVENT_PEER_LEFT, VTIME_S(70));
            scene_check(s, seed > 2 || strcmp(left->e.text, "quit") == 0);
            scene_free(s);
        }
}

/* Both at once, in both directions: neither leaves before it has what the other said. */
static void test_finish_both(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct scene *s = scene_test("finish both", seed);
        int home_a = scene_home(s, VTIME_MS(20), &natbox_cone), home_b = scene_home(s, VTIME_MS(60), &natbox_random);
        struct sim_client *a = scene_join(s, home_a, "ann");
        for (int i = 0; i < 5; i++)
            scene_say(s, a, 2000);
        sim_client_finish(a);
        world_run_for(s->w, dice_below(&s->w->dice, VTIME_S(3)));
        struct sim_client *b = scene_join(s, home_b, "bob");
        for (int i = 0; i < 5; i++)
            scene_say(s, b, 100);
        sim_client_finish(b);
        scene_check(s, scene_wait(s, a, EVENT_END, VTIME_S(30))->e.status == 0);
        scene_check(s, scene_wait(s, b, EVENT_END, VTIME_S(30))->e.status == 0);
        scene_check(s, judge_has_all(s->judge, a, b) && judge_has_all(s->judge, b, a));
        scene_free(s);
    }
}

static void test_wait(void **state)
{
    (void)state;
    for (int said = 0; said <= 1; said++) {
        struct scene *s = scene_test("wait", 1);
        s->config.wait_us = VTIME_S(60);
        struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "ann");
        if (said) {
            scene_say(s, a, 40);
            sim_client_finish(a);
        }
        const struct sim_event *end = scene_wait(s, a, EVENT_END, VTIME_S(65));
        scene_check(s, end->time >= VTIME_S(59) && end->e.status == 1);
        scene_check(s, sim_client_count(a, EVENT_FAILED, 0) == (size_t)said);
        scene_free(s);
    }
    /* In a row: while somebody is there it does not run, and then it begins anew. */
    struct scene *s = scene_test("wait in a row", 1);
    s->config.wait_us = VTIME_S(60);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "ann");
    world_run_for(s->w, VTIME_S(50));
    struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "bob");
    world_run_for(s->w, VTIME_S(300));
    scene_check(s, !a->ended && !b->ended);
    sim_client_quit(b);
    vtime_us start = s->w->now;
    const struct sim_event *end = scene_wait(s, a, EVENT_END, VTIME_S(65));
    scene_check(s, end->time - start >= VTIME_S(59));
    scene_check(s, end->e.status == 0); /* somebody came, nothing is undelivered */
    scene_free(s);
}

/* ---- keywords, names, words ---- */

static void test_new_keyword(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct scene *s = scene_test("new keyword", seed);
        s->w->weather.loss_ppm = seed > 2 ? 200000 : 0;
        s->keyword = NULL;
        struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "ann");
        const struct sim_event *e = scene_wait(s, a, EVENT_KEYWORD, VTIME_S(20));
        scene_say(s, a, 40);
        world_run_for(s->w, VTIME_S(10));
        scene_check(s, sim_client_count(a, EVENT_KEYWORD, 0) == 1);
        s->keyword = e->e.text;
        struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "bob");
        scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(20));
        scene_settle(s, a, b, VTIME_S(10));
        scene_free(s);
    }
}

static void test_verify_words(void **state)
{
    (void)state;
    struct scene *s = scene_test("verify words", 1);
    enum engine_path path = PATH_NONE;
    struct sim_client *p[3];
    for (int i = 0; i < 3; i++)
        p[i] = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), i == 0 ? "ann" : i == 1 ? "bob" : "cid");
    bool met = scene_wait_until(s, VTIME_S(10), all_met, &path);
    scene_check(s, met);
    const char *ab[4], *ba[4], *ac[4];
    scene_check(s, engine_verify(p[0]->e, judge_peer(s->judge, p[0], p[1]), ab));
    scene_check(s, engine_verify(p[1]->e, judge_peer(s->judge, p[1], p[0]), ba));
    scene_check(s, engine_verify(p[0]->e, judge_peer(s->judge, p[0], p[2]), ac));
    scene_check(s, !engine_verify(p[0]->e, 99, ac));
    int differ = 0;
    for (int i = 0; i < 4; i++) {
        scene_check(s, strcmp(ab[i], ba[i]) == 0);
        differ += strcmp(ab[i], ac[i]) != 0;
    }
    scene_check(s, differ > 0);
    scene_free(s);
}

static void test_rename_and_ignore(void **state)
{
    (void)state;
    struct scene *s = scene_test("rename and ignore", 1);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "ann");
    struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "bob");
    scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(5));
    sim_client_rename(b, JUDGE_MARK "robert");
    const struct sim_event *e = scene_wait(s, a, EVENT_NAME, VTIME_S(2));
    scene_check(s, strcmp(e->e.name, JUDGE_MARK "robert") == 0);
    scene_say(s, b, 40);
    scene_settle(s, a, b, VTIME_S(2));
    sim_client_ignore(a, judge_peer(s->judge, a, b));
    scene_say(s, b, 40);
    world_run_for(s->w, VTIME_S(10));
    scene_check(s, sim_client_count(a, EVENT_MESSAGE, 0) == 1);
    scene_free(s);
}

static bool is_delivered(struct scene *s, void *context)
{
    return judge_is_settled(s->judge, context);
}

/* Who is ignored is not held up and does not notice: many times his credit is taken, thrown away and receipted. But not
 * before what was shown until then is written. */
static void test_ignored_is_not_held_up(void **state)
{
    (void)state;
    struct scene *s = scene_test("ignored is not held up", 1);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "ann");
    struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "bob");
    scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(5));
    sim_client_stall(a, true);
    for (int i = 0; i < 2; i++)
        scene_say(s, b, 16000);
    world_run_for(s->w, VTIME_S(3));
    sim_client_ignore(a, judge_peer(s->judge, a, b));
    for (int i = 2; i < 40; i++)
        scene_say(s, b, 16000);
    world_run_for(s->w, VTIME_S(3));
    scene_check(s, sim_client_count(a, EVENT_MESSAGE, 0) == 2 && sim_client_count(b, EVENT_DELIVERED, 0) == 0);
    sim_client_stall(a, false);
    for (int i = 40; i < 100; i++) {
        world_run_for(s->w, VTIME_MS(300));
        scene_say(s, b, 16000);
    }
    bool delivered = scene_wait_until(s, VTIME_S(10), is_delivered, b);
    scene_check(s, delivered && sim_client_count(b, EVENT_DELIVERED, 0) == 100);
    scene_check(s, sim_client_count(a, EVENT_MESSAGE, 0) == 2);
    scene_say(s, b, 16000);
    sim_client_finish(b);
    scene_check(s, scene_wait(s, b, EVENT_END, VTIME_S(10))->e.status == 0);
    scene_free(s);
}

/* Text of every length up to the limit, to somebody who is there and to somebody who is not yet. */
static void test_lengths(void **state)
{
    (void)state;
    struct scene *s = scene_test("lengths", 1);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "ann");
    static const size_t sizes[] = {30, 500, 676, 677, 1000, 1089, 1090, 1091, 1100, 2180, 4096, 16383, 16384};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        scene_say(s, a, sizes[i]);
    struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "bob");
    scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(5));
    for (size_t size = 1; size < 1300; size++) {
        uint8_t text[1300];
        memset(text, 'a' + (int)(size % 26), size);
        sim_client_say_to(b, 0, text, size);
        if (size % 50 == 0)
            world_run_for(s->w, VTIME_MS(300));
    }
    scene_settle(s, a, b, VTIME_S(30));
    scene_free(s);
}

/* More than the mailbox holds: the sender is told, and what was accepted arrives. */
static void test_full_mailbox(void **state)
{
    (void)state;
    struct scene *s = scene_test("full mailbox", 1);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "ann");
    unsigned accepted = 0;
    while (engine_has_room(a->e, 16000) && accepted < 1000) {
        scene_say(s, a, 16000);
        accepted++;
    }
    scene_check(s, accepted >= 60 && accepted < 100);
    uint64_t over = scene_say(s, a, 16000);
    world_run_for(s->w, 0);
    bool told = sim_client_codes(a, "mailbox-full");
    for (size_t i = 0; i < a->event_count; i++)
        told = told || (a->events[i].e.kind == EVENT_FAILED && a->events[i].e.id == over);
    scene_check(s, told);
    struct sim_client *b = scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), "bob");
    scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(5));
    world_run_for(s->w, VTIME_S(60));
    scene_check(s, sim_client_count(b, EVENT_MESSAGE, 0) == accepted);
    scene_check(s, sim_client_count(a, EVENT_DELIVERED, 0) == accepted);
    scene_check(s, engine_has_room(a->e, 16000));
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three),
        cmocka_unit_test(test_sixteen),
        cmocka_unit_test(test_mesh),
        cmocka_unit_test(test_to_one),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_wrong_keyword_alarm),
        cmocka_unit_test(test_crowd_in_the_open_form),
        cmocka_unit_test(test_quit),
        cmocka_unit_test(test_quit_with_undelivered),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_finish_both),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_new_keyword),
        cmocka_unit_test(test_verify_words),
        cmocka_unit_test(test_rename_and_ignore),
        cmocka_unit_test(test_ignored_is_not_held_up),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_full_mailbox),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
