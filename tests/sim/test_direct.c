/* Pairs that need no guessing: how soon they are direct, in good weather and bad, and after a NAT has forgotten them.
 * DIRECT_SEEDS=n: so many seeds a cell (a few; the promise is for 1000); DIRECT_FIRST=n: from this one on. */
#include <string.h>

#include "meeting.h"
#include "scene_test.h"

static unsigned from_environment(const char *name, unsigned otherwise)
{
    return getenv(name) ? (unsigned)strtoul(getenv(name), NULL, 10) : otherwise;
}

static struct scene *cell(const char *what, const char *a, const char *b, uint64_t seed)
{
    static char title[120];
    snprintf(title, sizeof title, "%s, %s and %s", what, a, b);
    return scene_test(title, seed);
}

/* ---- the first datagram ---- */

/* One way to the core, in ms: ann, bob. */
static const struct {
    unsigned a, b;
} delays[] = {{25, 25}, {5, 60}, {60, 5}, {1, 1}, {10, 80}, {80, 10}, {100, 100}, {5, 150}, {150, 5}};

/* From "both envelopes opened" to the first datagram at both ends that came directly, in percent of P. The skew is half
 * a P at the most; then one way is another half. Where a port has to be learned, the side with the one port hears
 * first, and answers. */
enum { EASY_PERCENT = 60, LEARNED_PERCENT = 120 };

/* Returns the percentage. */
static unsigned first_datagram(const char *a, const char *b, size_t d, unsigned percent_max)
{
    struct meeting m;
    struct scene *s = cell("first datagram", a, b, 1 + d);
    meeting_wait(&m, s, nat_kind_find(a), nat_kind_find(b), VTIME_MS(delays[d].a), VTIME_MS(delays[d].b));
    meeting_begin(&m);
    scene_check(s, meeting_until_direct(&m, VTIME_S(5)) != VTIME_NEVER);
    vtime_us took = meeting_first_direct(&m), round_trip = meeting_round_trip(&m);
    if (took * 100 > round_trip * percent_max)
        scene_fail(s, "%u ms and %u ms away: the first direct datagram at both ends came after %.3f P", delays[d].a,
                   delays[d].b, (double)took / (double)round_trip);
    scene_free(s);
    return (unsigned)(took * 100 / round_trip);
}

static void first_datagrams(const char *what, const char *const *as, size_t a_count, const char *const *bs,
                            size_t b_count, unsigned percent_max)
{
    unsigned worst = 0, cells = 0;
    for (size_t i = 0; i < a_count; i++)
        for (size_t k = 0; k < b_count; k++)
            for (size_t d = 0; d < sizeof delays / sizeof *delays; d++) {
                unsigned ab = first_datagram(as[i], bs[k], d, percent_max);
                unsigned ba = first_datagram(bs[k], as[i], d, percent_max);
                worst = ab > worst ? ab : worst;
                worst = ba > worst ? ba : worst;
                cells += 2;
            }
    print_message("%s: the first direct datagram within %u %% of P in %u cells\n", what, worst, cells);
}

#define COUNT(array) (sizeof(array) / sizeof *(array))
static const char *const lax[] = {"none", "full-cone", "cgn", "address-restricted"};
static const char *const strict[] = {"firewall", "port-restricted", "shifting", "linux"};
static const char *const changing[] = {"sequential", "symmetric", "address-dependent", "keeps-first"};

static void test_first_datagram_of_easy_pairs(void **state)
{
    (void)state;
    first_datagrams("lax and lax", lax, COUNT(lax), lax, COUNT(lax), EASY_PERCENT);
    first_datagrams("lax and strict", lax, COUNT(lax), strict, COUNT(strict), EASY_PERCENT);
    first_datagrams("strict and strict", strict, COUNT(strict), strict, COUNT(strict), EASY_PERCENT);
}

static void test_first_datagram_where_a_port_is_learned(void **state)
{
    (void)state;
    first_datagrams("lax and changing", lax, COUNT(lax), changing, COUNT(changing), LEARNED_PERCENT);
}

/* ---- bad weather ---- */

/* 10 % are lost on every way, and one way between the two takes 50 ms +- 20 ms (35 ms +- 20 ms to the server). */
#define LOSS_PPM   100000
#define HOME_US    VTIME_MS(15)
#define JITTER_US  VTIME_MS(40)
#define BAD_WAY_US (2 * HOME_US + JITTER_US / 2)
#define PTO_US     (3 * INITIAL_RTT_US) /* RFC 9002 s6.2.2: of a path of which nothing is known yet */

/* From bob's first packet until both are direct: one in two meets no loss that matters, or one; three in a row of what
 * matters are lost to few. */
static void test_bad_weather(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
    } rows[] = {
        {"full-cone", "full-cone"},           {"address-restricted", "port-restricted"},
        {"port-restricted", "linux"},         {"linux", "linux"},
        {"address-restricted", "symmetric"},  {"symmetric", "full-cone"},
        {"sequential", "address-restricted"}, {"none", "symmetric"},
    };
    unsigned first = from_environment("DIRECT_FIRST", 1),
             seeds = from_environment("DIRECT_SEEDS", scene_test_seeds(40));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sample took = {0};
        vtime_us floor = 0;
        for (unsigned seed = first; seed < first + seeds; seed++) {
            struct meeting m;
            struct scene *s = cell("bad weather", rows[i].a, rows[i].b, seed);
            meeting_wait(&m, s, nat_kind_find(rows[i].a), nat_kind_find(rows[i].b), HOME_US, HOME_US);
            s->w->weather = (struct weather){.loss_ppm = LOSS_PPM, .jitter_us = JITTER_US};
            meeting_begin(&m);
            scene_check(s, meeting_until_direct(&m, VTIME_S(120)) != VTIME_NEVER);
            sample_add(&took, s->w->now - m.began_at);
            m.delay_us[0] = m.delay_us[1] = HOME_US + JITTER_US / 2; /* on average, for one way to the server */
            floor = meeting_floor(&m) + 2 * BAD_WAY_US;
            scene_free(s);
        }
        vtime_us median = sample_percentile(&took, 50), most = sample_percentile(&took, 95);
        print_message("%s and %s, %u seeds, 10 %% loss: direct after %.2f s (median), %.2f s (95 %%), %.2f s (all); "
                      "T + P is %.2f s\n",
                      rows[i].a, rows[i].b, seeds, (double)median / 1e6, (double)most / 1e6,
                      (double)sample_percentile(&took, 100) / 1e6, (double)floor / 1e6);
        sample_free(&took);
        assert_true(median <= floor + PTO_US);
        assert_true(most <= floor + 3 * PTO_US);
    }
}

/* ---- a NAT that forgets ---- */

struct forgetting {
    const char *a, *b;
    enum meeting_who whose, speaker;
    bool reboots;
};

/* Returns how long it took until it was direct again. */
static vtime_us forget(const struct forgetting *f, uint64_t seed)
{
    static const char *const who[] = {"ann's", "bob's", "both"};
    struct meeting m;
    char what[80];
    snprintf(what, sizeof what, "%s %s, speaker %d", who[f->whose], f->reboots ? "reboots" : "forgets", f->speaker);
    struct scene *s = cell(what, f->a, f->b, seed);
    meeting_wait(&m, s, nat_kind_find(f->a), nat_kind_find(f->b), VTIME_MS(25), VTIME_MS(25));
    meeting_begin(&m);
    scene_check(s, meeting_until_direct(&m, VTIME_S(5)) != VTIME_NEVER);
    meeting_chat(&m, f->speaker, VTIME_S(3));
    meeting_forget(&m, f->whose, f->reboots);
    vtime_us took = meeting_recover(&m, f->speaker, VTIME_S(60));
    scene_free(s);
    return took;
}

static void test_a_nat_forgets(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
    } rows[] = {
        {"linux", "linux"},
        {"port-restricted", "shifting"},
        {"symmetric", "full-cone"},
        {"address-restricted", "sequential"},
        {"symmetric", "address-restricted"},
    };
    unsigned first = from_environment("DIRECT_FIRST", 1), seeds = from_environment("DIRECT_SEEDS", scene_test_seeds(3));
    struct sample took = {0};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (enum meeting_who whose = MEETING_ANN; whose <= MEETING_BOTH; whose++)
            for (enum meeting_who speaker = MEETING_ANN; speaker <= MEETING_BOTH; speaker++)
                for (int reboots = 0; reboots < 2; reboots++)
                    for (unsigned seed = first; seed < first + seeds; seed++)
                        sample_add(&took,
                                   forget(&(struct forgetting){rows[i].a, rows[i].b, whose, speaker, reboots}, seed));
    print_message("a NAT forgets, %zu runs: all is said and direct again after 10 s of chat and %.1f s (median), "
                  "%.1f s (all)\n",
                  took.count, (double)sample_percentile(&took, 50) / 1e6 - 10,
                  (double)sample_percentile(&took, 100) / 1e6 - 10);
    sample_free(&took);
}

/* ---- what dies while somebody writes ---- */

static bool is_relayed(struct scene *s, void *context)
{
    const struct meeting *m = context;
    return scene_path(s, m->a, m->b) == PATH_RELAY;
}

/* Each packet starts the probe timeout anew, so for somebody who never stops it does not come. */
static void test_a_path_dies_under_somebody_who_writes(void **state)
{
    (void)state;
    for (unsigned gap_ms = 20; gap_ms <= 80; gap_ms += 20)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct meeting m;
            struct scene *s = cell("a path dies under somebody who writes", "full-cone", "full-cone", seed);
            meeting_wait(&m, s, nat_kind_find("full-cone"), nat_kind_find("full-cone"), VTIME_MS(25), VTIME_MS(25));
            meeting_begin(&m);
            scene_check(s, meeting_until_direct(&m, VTIME_S(5)) != VTIME_NEVER);
            world_run_for(s->w, VTIME_S(2));
            world_block(s->w, m.side[0].home, m.side[1].home, true);
            vtime_us start = s->w->now;
            for (; !is_relayed(s, &m) && s->w->now < start + VTIME_S(2); world_run_for(s->w, VTIME_MS(gap_ms)))
                scene_say(s, m.a, 10);
            scene_check(s, is_relayed(s, &m));
            scene_settle(s, m.a, m.b, VTIME_S(10));
            scene_free(s);
        }
}

/* Where one of two direct paths dies, nobody knows of the other: it has not been asked for a while. */
static void test_two_paths_die_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct meeting m;
        struct scene *s = cell("two paths die at once", "none", "none", seed);
        m = (struct meeting){.s = s};
        for (int i = 0; i < 2; i++) {
            m.side[i].home = scene_home_of(s, VTIME_MS(25), nat_kind_find("none"));
            scene_add_v6(s, m.side[i].home);
        }
        m.a = scene_join(s, m.side[0].home, "ann");
        world_run_for(s->w, VTIME_S(5));
        m.b = scene_join(s, m.side[1].home, "bob");
        scene_meet_by(s, m.a, m.b, PATH_DIRECT, VTIME_S(5));
        meeting_chat(&m, MEETING_BOTH, VTIME_S(5));
        const size_t before = m.a->event_count;
        world_block(s->w, m.side[0].home, m.side[1].home, true);
        meeting_chat(&m, MEETING_ANN, VTIME_S(5));
        const struct sim_event *first = sim_client_event(m.a, EVENT_PATH, 0, before, 0);
        scene_check(s, first && first->e.path == PATH_RELAY);
        scene_settle(s, m.a, m.b, VTIME_S(10));
        scene_free(s);
    }
}

/* A router that lets strangers' packets into itself gives the port away to one that comes too early. Half of what the
 * round trips differ is nearly the whole way where one is near to the server; with some jitter, one in so many comes
 * too early nevertheless, and others ports have to be tried. */
static void test_few_come_too_early(void **state)
{
    (void)state;
    static const char *const others[] = {"open-input", "linux", "port-restricted"};
    enum { SEEDS = 40, PERCENT_MAX = 2 };
    unsigned runs = 0, early = 0;
    for (size_t i = 0; i < COUNT(others); i++)
        for (int swapped = 0; swapped < 2; swapped++)
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                struct meeting m;
                struct scene *s = cell("few come too early", "open-input", others[i], seed);
                meeting_wait(&m, s, nat_kind_find("open-input"), nat_kind_find(others[i]), VTIME_MS(swapped ? 2 : 120),
                             VTIME_MS(swapped ? 120 : 2));
                s->w->weather.jitter_us = VTIME_MS(10);
                meeting_begin(&m);
                scene_check(s, meeting_until_direct(&m, VTIME_S(30)) != VTIME_NEVER);
                early += sim_client_stat(m.a, "punch_attempts") + sim_client_stat(m.b, "punch_attempts") > 0;
                runs++;
                scene_free(s);
            }
    print_message("too early: %u of %u\n", early, runs);
    assert_true(early * 100 <= runs * PERCENT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_datagram_of_easy_pairs),
        cmocka_unit_test(test_first_datagram_where_a_port_is_learned),
        cmocka_unit_test(test_bad_weather),
        cmocka_unit_test(test_a_nat_forgets),
        cmocka_unit_test(test_a_path_dies_under_somebody_who_writes),
        cmocka_unit_test(test_two_paths_die_at_once),
        cmocka_unit_test(test_few_come_too_early),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
