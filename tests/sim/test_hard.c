/* Pairs whose ports have to be guessed: what DESIGN promises of each, in virtual time, over many seeds. And what it
 * costs others: datagrams, and people behind the same router.
 *
 *   HARD_SEEDS=n   so many a cell (a few; the promises are for 1000), HARD_FIRST=n: from this one on
 *   HARD_CELL=a/b  only this cell: ann is behind a and waits, bob comes from behind b
 *   SIM_TEST=*...  only these tests, SIM_TRACE=1: every datagram */
#include <string.h>

#include "bystanders.h"
#include "meeting.h"
#include "scene_test.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { PROBES_MAX = 2000 }; /* of each home, and MEETING_RATE_WINDOW - 1 in a second */

struct run {
    const char *test, *a, *b;
    uint64_t seed;
};

static struct run current;

static unsigned from_environment(const char *name, unsigned otherwise)
{
    return getenv(name) ? (unsigned)strtoul(getenv(name), NULL, 10) : otherwise;
}

static unsigned seeds_first(void)
{
    return from_environment("HARD_FIRST", 1);
}

static unsigned seeds_count(unsigned otherwise)
{
    return from_environment("HARD_SEEDS", otherwise);
}

static bool is_wanted(const char *a, const char *b)
{
    char name[100];
    snprintf(name, sizeof name, "%s/%s", a, b);
    return !getenv("HARD_CELL") || strcmp(getenv("HARD_CELL"), name) == 0;
}

static void say_how_to_repeat(const struct run *r)
{
    print_message("to repeat: SIM_TEST=%s HARD_CELL=%s/%s HARD_FIRST=%llu HARD_SEEDS=1 build/tests/sim/test_hard\n",
                  r->test, r->a, r->b, (unsigned long long)r->seed);
}

static _Noreturn void run_failed(const char *why)
{
    say_how_to_repeat(&current);
    scene_test_failed(why);
}

static struct scene *run_begin(const char *test, const char *a, const char *b, uint64_t seed)
{
    static char title[120];
    current = (struct run){test, a, b, seed};
    snprintf(title, sizeof title, "%s, %s and %s", test, a, b);
    struct scene *s = scene_new(title, seed);
    s->fail = run_failed;
    return s;
}

/* One way to the core; every seed has its own two. */
static vtime_us roll_delay(struct scene *s)
{
    return VTIME_MS(2) + dice_below(&s->w->dice, VTIME_MS(80));
}

static void wait_for_bob(struct meeting *m, struct scene *s, const char *a, const char *b)
{
    vtime_us delay_a = roll_delay(s), delay_b = roll_delay(s);
    meeting_wait(m, s, nat_kind_find(a), nat_kind_find(b), delay_a, delay_b);
}

static void check_budget(const struct meeting *m)
{
    for (int i = 0; i < 2; i++) {
        scene_check(m->s, m->side[i].sent <= PROBES_MAX);
        scene_check(m->s, !m->side[i].too_fast);
    }
}

static double seconds(vtime_us us)
{
    return (double)us / 1e6;
}

/* ---- how many, and how soon ---- */

struct goal {
    const char *test;
    unsigned percent;   /* of the seeds are direct */
    vtime_us within_us; /* of both knowing each other */
};

#define GIVEN_UP_US VTIME_S(20) /* what is not direct by then is not counted as late but as relayed */

struct cell {
    struct sample took, sent; /* of those that were direct */
    unsigned seeds, direct, in_time;
    struct run missed; /* the first; seed 0: none */
};

/* Nothing of it delays chatting: the first message does not wait. */
static void check_first_message(const struct meeting *m)
{
    const struct sim_event *at_a = sim_client_event(m->a, EVENT_MESSAGE, 0, 0, 0);
    const struct sim_event *at_b = sim_client_event(m->b, EVENT_MESSAGE, 0, 0, 0);
    vtime_us floor = meeting_floor(m);
    scene_check(m->s, at_a && at_b);
    scene_check(m->s, at_a->time - m->b->first_sent_at <= floor + floor / 10);
    scene_check(m->s, at_b->time - m->b->first_sent_at <= floor + floor / 10);
}

static void one_seed(struct cell *c, const struct goal *g, const char *a, const char *b, uint64_t seed)
{
    struct meeting m;
    struct scene *s = run_begin(g->test, a, b, seed);
    wait_for_bob(&m, s, a, b);
    meeting_begin(&m);
    vtime_us took = meeting_until_direct(&m, GIVEN_UP_US);
    check_budget(&m);
    check_first_message(&m);
    if (took != VTIME_NEVER) {
        c->direct++;
        c->in_time += took <= g->within_us;
        sample_add(&c->took, took);
        sample_add(&c->sent, m.side[0].sent + m.side[1].sent);
    }
    if ((took == VTIME_NEVER || took > g->within_us) && c->missed.seed == 0)
        c->missed = current;
    scene_say(s, m.a, 2000);
    scene_say(s, m.b, 2000);
    scene_settle(s, m.a, m.b, VTIME_S(10));
    scene_free(s);
}

static void summarize(struct cell *c, const struct goal *g, const char *a, const char *b)
{
    print_message(
        "%s/%s: %u of %u direct within %.0f s, %u at all; after %.2f s (median), %.2f s (95 %%), %.2f s (all); "
        "datagrams from home to home %llu (median), %llu (95 %%), %llu (most)\n",
        a, b, c->in_time, c->seeds, seconds(g->within_us), c->direct, seconds(sample_percentile(&c->took, 50)),
        seconds(sample_percentile(&c->took, 95)), seconds(sample_percentile(&c->took, 100)),
        (unsigned long long)sample_percentile(&c->sent, 50), (unsigned long long)sample_percentile(&c->sent, 95),
        (unsigned long long)sample_percentile(&c->sent, 100));
}

/* True: the goal is reached. Of few seeds one may be missed where 98 % are promised. */
static bool try_cell(const struct goal *g, const char *a, const char *b)
{
    struct cell c = {.seeds = seeds_count(6)};
    if (!is_wanted(a, b))
        return true;
    for (uint64_t seed = seeds_first(); seed < seeds_first() + c.seeds; seed++)
        one_seed(&c, g, a, b, seed);
    summarize(&c, g, a, b);
    unsigned allowed = (c.seeds * (100 - g->percent) + 99) / 100;
    bool good = c.seeds - c.in_time <= allowed;
    if (!good)
        say_how_to_repeat(&c.missed);
    sample_free(&c.took);
    sample_free(&c.sent);
    return good;
}

/* In both orders; returns how many cells miss the goal. */
static unsigned try_cells(const struct goal *g, const char *const *as, size_t a_count, const char *const *bs,
                          size_t b_count)
{
    unsigned missed = 0;
    for (size_t i = 0; i < a_count; i++)
        for (size_t k = 0; k < b_count; k++) {
            missed += !try_cell(g, as[i], bs[k]);
            if (strcmp(as[i], bs[k]) != 0)
                missed += !try_cell(g, bs[k], as[i]);
        }
    return missed;
}

static const char *const strict[] = {"port-restricted"}, *const linuxes[] = {"linux", "open-input"};
static const char *const sequential[] = {"sequential",       "sequential-2",     "sequential-down",
                                         "sequential-range", "sequential-busy",  "keeps-first",
                                         "keeps-first-own",  "keeps-first-busy", "pool-paired"};
static const char *const plain[] = {"sequential"}, *const busy[] = {"sequential-busy"};
static const char *const random_ports[] = {"symmetric", "symmetric-range"};

static void test_sequential_with_strict(void **state)
{
    (void)state;
    static const struct goal goal = {"test_sequential_with_strict", 100, VTIME_S(2)};
    unsigned missed = 0;
    missed += try_cells(&goal, sequential, COUNT(sequential), strict, COUNT(strict));
    missed += try_cells(&goal, plain, COUNT(plain), linuxes, COUNT(linuxes));
    assert_int_equal(missed, 0);
}

static void test_sequential_with_sequential(void **state)
{
    (void)state;
    static const struct goal goal = {"test_sequential_with_sequential", 98, VTIME_S(3)};
    unsigned missed = 0;
    missed += try_cells(&goal, sequential, COUNT(sequential), plain, COUNT(plain));
    missed += try_cells(&goal, busy, COUNT(busy), busy, COUNT(busy));
    assert_int_equal(missed, 0);
}

static void test_random_with_strict(void **state)
{
    (void)state;
    static const struct goal goal = {"test_random_with_strict", 98, VTIME_S(5)};
    unsigned missed = 0;
    missed += try_cells(&goal, random_ports, COUNT(random_ports), strict, COUNT(strict));
    missed += try_cells(&goal, random_ports, 1, linuxes, COUNT(linuxes));
    assert_int_equal(missed, 0);
}

/* ---- a kept port that somebody else has ---- */

/* Somebody else at home with who opens takes the port that the first fresh socket of a try is to keep, a moment before.
 */
struct neighbour {
    const struct meeting *m;
    int opener;     /* 0 ann, 1 bob */
    uint16_t taken; /* 0: none yet */
};

static void take_port(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct neighbour *n = context;
    struct scene *s = n->m->s;
    const int home = n->m->side[n->opener].home, theirs = n->m->side[1 - n->opener].home;
    const struct sim_client *c = n->opener == 0 ? n->m->a : n->m->b;
    (void)actor;
    if (fate != FATE_SENT || node != home || n->taken != 0 || c == NULL ||
        p->src.port == world_port(s->w, c->sockets[ENGINE_SOCKET_V4]) ||
        !natbox_has_outside(world_natbox(s->w, scene_natbox(s, theirs), ADDR_V4), &p->dst))
        return;
    const struct addr elsewhere = addr_v4(198, 51, 100, 7, 53);
    struct addr own = addr_v4(192, 168, 200, 200, p->src.port);
    natbox_outbound(world_natbox(s->w, scene_natbox(s, home), ADDR_V4), s->w->now, &own, &elsewhere);
    n->taken = p->src.port; /* if it was not somebody's already */
}

/* The row has two such ports: the first try gets through by the second. */
static void test_a_kept_port_that_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int opener;
    } rows[] = {
        {"keeps-first", "port-restricted", 0},
        {"port-restricted", "keeps-first", 1},
        {"linux", "keeps-first-own", 1},
        {"keeps-first-own", "linux", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (uint64_t seed = seeds_first(); seed < seeds_first() + seeds_count(3) && is_wanted(rows[i].a, rows[i].b);
             seed++) {
            struct meeting m;
            struct scene *s = run_begin("test_a_kept_port_that_is_taken", rows[i].a, rows[i].b, seed);
            struct neighbour n = {.m = &m, .opener = rows[i].opener};
            wait_for_bob(&m, s, rows[i].a, rows[i].b);
            world_add_tap(s->w, take_port, &n);
            meeting_begin(&m);
            scene_check(s, meeting_until_direct(&m, VTIME_S(2)) != VTIME_NEVER);
            scene_check(s, n.taken != 0);
            scene_check(s, sim_client_stat(rows[i].opener == 0 ? m.a : m.b, "punch_attempts") == 1);
            scene_free(s);
        }
}

/* ---- what cannot be direct ---- */

static const char *reason_of(const struct meeting *m, const struct sim_client *of, const struct sim_client *to)
{
    struct engine_peer peers[PEERS_MAX];
    size_t n = engine_peers(of->e, peers, PEERS_MAX);
    for (size_t i = 0; i < n && i < PEERS_MAX; i++)
        if (peers[i].peer == judge_peer(m->s->judge, of, to))
            return peers[i].reason;
    return "";
}

static void check_reason(const struct meeting *m, const struct sim_client *of, const struct sim_client *to)
{
    const char *reason = reason_of(m, of, to);
    if (!strstr(reason, "relayed") || !strstr(reason, "port mapping"))
        scene_fail(m->s, "%s gives as the reason: \"%s\"", of->label, reason);
}

static void test_what_cannot_be_direct(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
    } rows[] = {
        {"symmetric", "symmetric"},   {"symmetric", "sequential"},      {"sequential", "symmetric"},
        {"symmetric", "keeps-first"}, {"symmetric-pool", "sequential"}, {"symmetric-pool", "symmetric"},
    };
    struct sample sent = {0};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (uint64_t seed = seeds_first(); seed < seeds_first() + seeds_count(3) && is_wanted(rows[i].a, rows[i].b);
             seed++) {
            struct meeting m;
            struct scene *s = run_begin("test_what_cannot_be_direct", rows[i].a, rows[i].b, seed);
            wait_for_bob(&m, s, rows[i].a, rows[i].b);
            meeting_begin(&m);
            scene_check(s, meeting_until_direct(&m, VTIME_S(30)) == VTIME_NEVER);
            check_first_message(&m);
            check_reason(&m, m.a, m.b);
            check_reason(&m, m.b, m.a);
            world_run_for(s->w, VTIME_S(600));
            check_budget(&m);
            scene_check(s, scene_path(s, m.a, m.b) == PATH_RELAY && scene_path(s, m.b, m.a) == PATH_RELAY);
            sample_add(&sent, m.side[0].sent + m.side[1].sent);
            scene_free(s);
        }
    print_message("relayed pairs: datagrams from home to home in ten minutes %llu (median), %llu (most)\n",
                  (unsigned long long)sample_percentile(&sent, 50), (unsigned long long)sample_percentile(&sent, 100));
    sample_free(&sent);
}

/* ---- what a client finds out ---- */

static uint8_t behaviour(const struct natbox_config *c, enum natbox_kind kind)
{
    static const uint8_t words[] = {[NATBOX_NONE] = NAT_NONE,
                                    [NATBOX_EI] = NAT_ENDPOINT_INDEPENDENT,
                                    [NATBOX_AD] = NAT_ADDRESS_DEPENDENT,
                                    [NATBOX_APD] = NAT_ADDRESS_AND_PORT_DEPENDENT};
    return c ? words[kind] : NAT_NONE;
}

/* As the probe of test_kinds.py has found it. */
static void expected_nat(const struct nat_kind *k, uint8_t *ret_mapping, uint8_t *ret_filtering, uint8_t *ret_ports)
{
    const struct natbox_config *c = k->config;
    bool keeps = c && c->overload && c->ports == NATBOX_PRESERVE;
    *ret_mapping = keeps ? NAT_ENDPOINT_INDEPENDENT : behaviour(c, c ? c->mapping : NATBOX_NONE);
    *ret_filtering = behaviour(c, c ? c->filtering : NATBOX_NONE);
    *ret_ports = NAT_PORTS_PRESERVED;
    if (c && c->mapping != NATBOX_NONE && c->ports == NATBOX_RANDOM)
        *ret_ports = NAT_PORTS_RANDOM;
    /* Who keeps the first port preserves that of a fresh socket: that is what tries are made with. */
    if (c && c->ports == NATBOX_SEQUENTIAL)
        *ret_ports = NAT_PORTS_SEQUENTIAL;
}

static const struct sim_event *newest_nat(const struct sim_client *c)
{
    size_t count = sim_client_count(c, EVENT_NAT, 0);
    return count ? sim_client_event(c, EVENT_NAT, 0, 0, count - 1) : NULL;
}

static void test_classification(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAT_KINDS; i++)
        for (uint64_t seed = seeds_first();
             seed < seeds_first() + seeds_count(5) && is_wanted(nat_kinds[i].name, "none"); seed++) {
            struct scene *s = run_begin("test_classification", nat_kinds[i].name, "none", seed);
            struct sim_client *c = scene_join(s, scene_home_of(s, roll_delay(s), &nat_kinds[i]), "ann");
            world_run_for(s->w, VTIME_S(5));
            const struct sim_event *nat = newest_nat(c);
            uint8_t mapping, filtering, ports;
            expected_nat(&nat_kinds[i], &mapping, &filtering, &ports);
            scene_check(s, nat != NULL);
            if (nat->e.mapping != mapping || nat->e.filtering != filtering || nat->e.ports != ports)
                scene_fail(s, "mapping %u, filtering %u, ports %u; should be %u, %u, %u", nat->e.mapping,
                           nat->e.filtering, nat->e.ports, mapping, filtering, ports);
            scene_free(s);
        }
}

/* ---- a NAT forgets ---- */

/* A hard punch goes to a target once in 10 minutes; then it has to get through at the first or second try. */
#define AGAIN_US VTIME_S(25 * 60)

/* False: the pair was not direct to begin with. */
static bool forget(const char *a, const char *b, enum meeting_who whose, enum meeting_who speaker, uint64_t seed,
                   struct sample *took)
{
    struct meeting m;
    struct scene *s = run_begin("test_a_nat_forgets", a, b, seed);
    wait_for_bob(&m, s, a, b);
    meeting_begin(&m);
    bool direct = meeting_until_direct(&m, GIVEN_UP_US) != VTIME_NEVER;
    if (direct) {
        meeting_chat(&m, speaker, VTIME_S(3));
        meeting_forget(&m, whose, false);
        sample_add(took, meeting_recover(&m, speaker, AGAIN_US));
    }
    scene_free(s);
    return direct;
}

static void test_a_nat_forgets(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
    } rows[] = {{"sequential", "port-restricted"}, {"linux", "sequential"}, {"sequential", "sequential"},
                {"symmetric", "port-restricted"},  {"linux", "symmetric"},  {"open-input", "open-input"}};
    unsigned runs = 0, direct = 0;
    struct sample took = {0};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (enum meeting_who whose = MEETING_ANN; whose <= MEETING_BOTH && is_wanted(rows[i].a, rows[i].b); whose++)
            for (enum meeting_who speaker = MEETING_ANN; speaker <= MEETING_BOTH; speaker++)
                for (uint64_t seed = seeds_first(); seed < seeds_first() + seeds_count(1); seed++) {
                    runs++;
                    direct += forget(rows[i].a, rows[i].b, whose, speaker, seed, &took);
                }
    print_message("a NAT forgets under a hard pair, %u of %u direct before: direct again after %.1f s (median), %.1f s "
                  "(95 %%), %.1f s (all)\n",
                  direct, runs, seconds(sample_percentile(&took, 50)), seconds(sample_percentile(&took, 95)),
                  seconds(sample_percentile(&took, 100)));
    sample_free(&took);
    assert_true(direct * 100 >= runs * 95);
}

/* A NAT that forgets every quarter of a minute: each time ports are guessed anew, but no more than an address may get.
 */
static void test_a_nat_that_forgets_often(void **state)
{
    (void)state;
    enum { GUESSES_MAX = 1900 };
    for (uint64_t seed = seeds_first(); seed < seeds_first() + seeds_count(2); seed++) {
        struct meeting m;
        struct scene *s = run_begin("test_a_nat_that_forgets_often", "port-restricted", "symmetric", seed);
        unsigned found = 0;
        wait_for_bob(&m, s, "port-restricted", "symmetric");
        meeting_begin(&m);
        scene_check(s, meeting_until_direct(&m, GIVEN_UP_US) != VTIME_NEVER);
        for (vtime_us end = s->w->now + VTIME_S(570); s->w->now < end;) {
            found += meeting_is_direct(&m);
            meeting_forget(&m, MEETING_BOB, false);
            meeting_chat(&m, MEETING_BOTH, VTIME_S(15));
        }
        uint64_t guesses = sim_client_stat(m.a, "punch_probes");
        print_message("a NAT that forgets often: found %u times, by %llu guesses\n", found,
                      (unsigned long long)guesses);
        scene_check(s, found > 1 && guesses <= GUESSES_MAX);
        scene_settle(s, m.a, m.b, VTIME_S(20));
        scene_free(s);
    }
}

/* ---- other people on a router with few mappings ---- */

#define NEW_FLOWS_FAIL_US VTIME_S(40) /* from the first that does to the last, in a quarter of an hour */

static void test_bystanders(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int side; /* whose router it is: 0 ann's, 1 bob's */
    } rows[] = {
        {"few-sessions", "symmetric", 0},           {"symmetric", "few-sessions", 1},
        {"few-sessions-random", "linux", 0},        {"port-restricted", "few-sessions-random", 1},
        {"few-sessions", "sequential", 0},          {"sequential", "few-sessions", 1},
        {"few-sessions-random", "few-sessions", 0}, {"few-sessions-random", "few-sessions", 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sample spell = {0}, sent = {0};
        unsigned direct = 0, runs = 0;
        for (uint64_t seed = seeds_first(); seed < seeds_first() + seeds_count(3) && is_wanted(rows[i].a, rows[i].b);
             seed++) {
            struct meeting m;
            struct bystanders others;
            struct scene *s = run_begin("test_bystanders", rows[i].a, rows[i].b, seed);
            wait_for_bob(&m, s, rows[i].a, rows[i].b);
            bystanders_start(&others, s->w, scene_network(s, m.side[rows[i].side].home),
                             addr_v4(192, 168, rows[i].side ? 0 : 1, 250, 0));
            world_run_for(s->w, VTIME_S(40));
            meeting_begin(&m);
            scene_meet(s, m.a, m.b, VTIME_S(10));
            world_run_for(s->w, VTIME_S(900));
            scene_check(s, others.broken == 0);
            scene_check(s, bystanders_failing_us(&others) <= NEW_FLOWS_FAIL_US);
            runs++;
            direct += meeting_is_direct(&m);
            sample_add(&spell, bystanders_failing_us(&others));
            sample_add(&sent, m.side[0].sent + m.side[1].sent);
            scene_free(s);
        }
        print_message("bystanders at %s, %s/%s: %u of %u direct; new flows failed for %.0f s (median), %.0f s (most); "
                      "datagrams from home to home %llu (most)\n",
                      rows[i].side ? "bob's" : "ann's", rows[i].a, rows[i].b, direct, runs,
                      seconds(sample_percentile(&spell, 50)), seconds(sample_percentile(&spell, 100)),
                      (unsigned long long)sample_percentile(&sent, 100));
        sample_free(&spell);
        sample_free(&sent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequential_with_strict),
        cmocka_unit_test(test_sequential_with_sequential),
        cmocka_unit_test(test_random_with_strict),
        cmocka_unit_test(test_a_kept_port_that_is_taken),
        cmocka_unit_test(test_what_cannot_be_direct),
        cmocka_unit_test(test_classification),
        cmocka_unit_test(test_a_nat_forgets),
        cmocka_unit_test(test_a_nat_that_forgets_often),
        cmocka_unit_test(test_bystanders),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
