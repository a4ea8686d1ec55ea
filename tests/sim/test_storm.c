/* Very bad weather in both directions: 1,000 messages each way, the path is forced to change, 1,000 more each way. All
 * arrive once and in order (the judge sees to it at every event). And how long they take, with less loss.
 * A few seeds by default; SIM_SEEDS=200 is the whole of it: some three minutes. */
#include <stdlib.h>

#include "scene_test.h"

enum { MESSAGES = 1000, MEANWHILE = 50, IDS_MAX = 2 * (2 * MESSAGES + MEANWHILE) + 2 };
#define HALF_A_US VTIME_MS(20) /* to the core of the internet */
#define HALF_B_US VTIME_MS(35)
#define ROUND_US  (2 * (HALF_A_US + HALF_B_US))

enum change {
    TO_THE_RELAY, /* the direct path is blocked */
    TO_DIRECT,    /* it was, and is not any more */
    NEW_ADDRESS,  /* the NAT of one of them gets another */
    CHANGES,
};

struct storm {
    struct scene *s;
    struct sim_client *a, *b;
    enum change change;
    vtime_us gap_us;                           /* from one message to the next, at most */
    vtime_us said_a[IDS_MAX], said_b[IDS_MAX]; /* by id */
};

static uint64_t seeds(uint64_t usual)
{
    const char *wanted = getenv("SIM_SEEDS");
    return wanted ? strtoull(wanted, NULL, 10) : usual;
}

static bool is_on(struct scene *s, void *context)
{
    const struct storm *p = context;
    const enum engine_path path = p->change == TO_THE_RELAY ? PATH_RELAY : PATH_DIRECT;
    return scene_path(s, p->a, p->b) == path && scene_path(s, p->b, p->a) == path;
}

static void say(struct storm *p, struct sim_client *c, vtime_us *said)
{
    struct dice *d = &p->s->w->dice;
    const size_t size = dice_below(d, 20) ? dice_below(d, 150) : dice_below(d, 2000);
    while (!engine_has_room(c->e, size + 64)) /* more than the weather lets through: as a user would, wait */
        world_run_for(p->s->w, VTIME_MS(100));
    const vtime_us now = p->s->w->now;
    const uint64_t id = scene_say(p->s, c, size);
    scene_check(p->s, id < IDS_MAX);
    said[id] = now;
}

static void talk(struct storm *p, int messages)
{
    for (int i = 0; i < messages; i++) {
        say(p, p->a, p->said_a);
        world_run_for(p->s->w, dice_below(&p->s->w->dice, p->gap_us));
        say(p, p->b, p->said_b);
        world_run_for(p->s->w, dice_below(&p->s->w->dice, p->gap_us));
    }
}

static void force_change(struct storm *p)
{
    const struct addr moved = addr_v4(203, 0, 113, 200, 0);
    if (p->change == TO_THE_RELAY)
        world_block(p->s->w, p->a->host, p->b->host, true);
    else if (p->change == TO_DIRECT)
        world_unblock(p->s->w, p->a->host, p->b->host);
    else
        world_rebind(p->s->w, scene_natbox(p->s, p->b->host), &moved);
}

static void check_all_there(const struct storm *p)
{
    const size_t each = 2 * MESSAGES + MEANWHILE;
    struct sim_client *const both[] = {p->a, p->b};
    for (int i = 0; i < 2; i++) {
        scene_check(p->s, sim_client_count(both[i], EVENT_MESSAGE, 0) == each);
        scene_check(p->s, sim_client_count(both[i], EVENT_DELIVERED, 0) == each);
        scene_check(p->s, sim_client_count(both[i], EVENT_PEER, 0) == 1);
        scene_check(p->s, sim_client_count(both[i], EVENT_PEER_LEFT, 0) == 0);
    }
}

static struct storm *storm_run(const char *title, uint64_t seed, const struct weather *weather, vtime_us gap_us)
{
    struct storm *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->s = scene_test(title, seed);
    p->change = (enum change)(seed % CHANGES);
    p->gap_us = gap_us;
    const int home_a = scene_home(p->s, HALF_A_US, &natbox_port_restricted);
    const int home_b = scene_home(p->s, HALF_B_US, &natbox_port_restricted);
    if (p->change == TO_DIRECT)
        world_block(p->s->w, home_a, home_b, true);
    p->s->w->weather = *weather;
    p->s->w->timer_slack_us = VTIME_MS(2);
    p->a = scene_join(p->s, home_a, "ann");
    p->b = scene_join(p->s, home_b, "bob");
    scene_meet_by(p->s, p->a, p->b, p->change == TO_DIRECT ? PATH_RELAY : PATH_DIRECT, VTIME_S(60));
    talk(p, MESSAGES);
    force_change(p);
    talk(p, MEANWHILE);
    bool changed = scene_wait_until(p->s, VTIME_S(180), is_on, p);
    scene_check(p->s, changed);
    talk(p, MESSAGES);
    scene_settle(p->s, p->a, p->b, VTIME_S(180));
    check_all_there(p);
    return p;
}

static void storm_free(struct storm *p)
{
    scene_free(p->s);
    free(p);
}

/* ---- how long they take ---- */

struct times {
    vtime_us us[2 * IDS_MAX];
    size_t count;
};

/* From saying it to each `kind` of event: at the other (shown) or at oneself (delivered). */
static void add_times(struct times *t, const struct sim_client *c, enum engine_event_kind kind, const vtime_us *said)
{
    for (size_t i = 0; i < c->event_count; i++)
        if (c->events[i].e.kind == kind)
            t->us[t->count++] = c->events[i].time - said[c->events[i].e.id];
}

static int compare(const void *x, const void *y)
{
    const vtime_us a = *(const vtime_us *)x, b = *(const vtime_us *)y;
    return (a > b) - (a < b);
}

static double quantile_ms(struct times *t, double q)
{
    qsort(t->us, t->count, sizeof t->us[0], compare);
    return (double)t->us[(size_t)((double)(t->count - 1) * q)] / 1e3;
}

/* Of each run: the median of what was shown, and of what was told as delivered, must not be over these. */
static void storms(const char *title, const struct weather *weather, vtime_us gap_us, double shown_ms_max,
                   double delivered_ms_max)
{
    static struct times shown, delivered; /* too large for a stack */
    double worst_shown = 0, worst_delivered = 0, worst_tail = 0;
    const uint64_t count = seeds(2 * CHANGES);
    for (uint64_t seed = 1; seed <= count; seed++) {
        struct storm *p = storm_run(title, seed, weather, gap_us);
        shown.count = delivered.count = 0;
        add_times(&shown, p->b, EVENT_MESSAGE, p->said_a);
        add_times(&shown, p->a, EVENT_MESSAGE, p->said_b);
        add_times(&delivered, p->a, EVENT_DELIVERED, p->said_a);
        add_times(&delivered, p->b, EVENT_DELIVERED, p->said_b);
        const double s = quantile_ms(&shown, 0.5), d = quantile_ms(&delivered, 0.5), tail = quantile_ms(&shown, 0.99);
        worst_shown = s > worst_shown ? s : worst_shown;
        worst_delivered = d > worst_delivered ? d : worst_delivered;
        worst_tail = tail > worst_tail ? tail : worst_tail;
        scene_check(p->s, s <= shown_ms_max && d <= delivered_ms_max);
        storm_free(p);
    }
    print_message("%s: %llu seeds; worst of the medians: shown after %.0f ms, delivered after %.0f ms; worst 99th of "
                  "100 shown after %.0f ms; P is %.0f ms\n",
                  title, (unsigned long long)count, worst_shown, worst_delivered, worst_tail, (double)ROUND_US / 1e3);
}

static const struct weather heavy = {.loss_ppm = 300000,
                                     .duplicate_ppm = 100000,
                                     .reorder_ppm = 250000,
                                     .reorder_us = VTIME_MS(60),
                                     .jitter_us = VTIME_MS(20)};
static const double no_bound_ms = 1e9, round_ms = (double)ROUND_US / 1e3;

/* Some 25 a second in each direction, so that a few are always under way. Through the server, where a datagram meets
 * the weather twice, that is more than gets through at once, and more than the relay's quota. */
static void test_thirty_percent(void **state)
{
    (void)state;
    storms("30 % loss, heavy disorder", &heavy, VTIME_MS(40), no_bound_ms, no_bound_ms);
}

/* As people type. */
static void test_thirty_percent_at_ease(void **state)
{
    (void)state;
    storms("30 % loss, heavy disorder, a message a second", &heavy, VTIME_S(1), no_bound_ms, no_bound_ms);
}

/* Nothing but loss and copies, so that P is what the way takes. */
static void test_five_percent(void **state)
{
    (void)state;
    const struct weather weather = {.loss_ppm = 50000, .duplicate_ppm = 100000};
    storms("5 % loss", &weather, VTIME_MS(40), 1.5 * round_ms, 1.5 * round_ms);
}

/* The disorder is 25 ms more each way on average, so that a round trip takes 160 ms. */
static void test_five_percent_in_disorder(void **state)
{
    (void)state;
    struct weather weather = heavy;
    weather.loss_ppm = 50000;
    storms("5 % loss, heavy disorder", &weather, VTIME_MS(40), 1.5 * (round_ms + 50), no_bound_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thirty_percent),
        cmocka_unit_test(test_thirty_percent_at_ease),
        cmocka_unit_test(test_five_percent),
        cmocka_unit_test(test_five_percent_in_disorder),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
