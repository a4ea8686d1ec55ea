/* Anything at all, seeded: four people who talk, hold back, leave, come again and sleep, over a network
 * that loses, repeats, reorders and stops for minutes. Nothing may be heard twice, out of order or be called
 * delivered without having been heard; and when calm returns, everything is told of to its end. */
#include "peer_rig.h"
#include <stdio.h>

enum { SEEDS = 16, LIVES = 80, SAID_MAX = 600 };

/* One engine from its start to its end. Its name is its number in base 10. */
struct life {
    unsigned client;
    unsigned said;
    bool heard[LIVES][SAID_MAX]; /* from whom, which */
    int newest[LIVES];
};

struct chaos {
    struct rig g;
    struct rng dice;
    struct life *lives;
    unsigned life_count;
    unsigned of_client[RIG_CLIENTS]; /* its present life */
    unsigned checked[RIG_CLIENTS];   /* events of it that have been looked at */
    uint32_t loss_percent, twice_percent, late_ms;
    bool calm;
    unsigned long heard;
};

static struct chaos *world; /* for the hook */

static bool weather(struct rig *g, unsigned from, unsigned to, const uint8_t *at, size_t size)
{
    struct chaos *c = world;
    if (c->calm)
        return false;
    vtime_us base = (from < RIG_CLIENTS ? g->clients[from].half : 0) + (to < RIG_CLIENTS ? g->clients[to].half : 0);
    const struct addr *sender = from == RIG_SERVER ? &g->server_addr : &g->clients[from].addr;
    unsigned copies = dice_percent(&c->dice, c->loss_percent) ? 0 : dice_percent(&c->dice, c->twice_percent) ? 2 : 1;
    for (; copies > 0; copies--)
        rig_post(g, g->now + base + VTIME_MS(dice(&c->dice, c->late_ms + 1)), to, sender, at, size);
    return true;
}

static void begin(struct chaos *c, unsigned i)
{
    if (c->life_count == LIVES - RIG_CLIENTS && !c->calm) /* some are kept for the end */
        return;
    char name[16];
    struct rig_client *r = &c->g.clients[i];
    free(r->engine);
    r->engine = NULL;
    r->event_count = c->checked[i] = 0;
    r->ended = r->asleep = r->holds_back = false;
    c->of_client[i] = c->life_count;
    c->lives[c->life_count].client = i;
    for (unsigned k = 0; k < LIVES; k++)
        c->lives[c->life_count].newest[k] = -1;
    snprintf(name, sizeof name, "%u", c->life_count++);
    struct engine_config config = rig_config("foo", name);
    rig_start_with(&c->g, i, &config);
}

static bool is_up(const struct chaos *c, unsigned i)
{
    const struct rig_client *r = &c->g.clients[i];
    return r->engine != NULL && !r->ended && !r->asleep;
}

static void hear(struct chaos *c, unsigned i, const struct engine_event *e)
{
    unsigned from, n;
    struct life *l = &c->lives[c->of_client[i]];
    assert_int_equal(sscanf(e->text, "%u:%u", &from, &n), 2);
    assert_true(from < c->life_count && n < SAID_MAX && c->lives[from].client != i);
    assert_false(l->heard[from][n]);
    assert_true((int)n > l->newest[from]);
    assert_int_equal(e->id, n + 1);
    l->heard[from][n] = true;
    l->newest[from] = (int)n;
    c->heard++;
}

/* Who is peer `number` of i? Its newest name tells. */
static struct life *peer_life(struct chaos *c, unsigned i, uint32_t number)
{
    struct life *found = NULL;
    const struct rig_client *r = &c->g.clients[i];
    for (unsigned k = 0; k < r->event_count; k++) {
        const struct engine_event *e = &r->events[k].event;
        if ((e->kind == EVENT_PEER || e->kind == EVENT_NAME) && e->peer == number && e->name[0] != 'p')
            found = &c->lives[atoi(e->name)];
    }
    return found;
}

static void look(struct chaos *c)
{
    for (unsigned i = 0; i < RIG_CLIENTS; i++)
        for (unsigned k = c->checked[i]; k < c->g.clients[i].event_count; k++)
            if (c->g.clients[i].events[k].event.kind == EVENT_MESSAGE)
                hear(c, i, &c->g.clients[i].events[k].event);
    for (unsigned i = 0; i < RIG_CLIENTS; i++)
        for (; c->checked[i] < c->g.clients[i].event_count; c->checked[i]++) {
            const struct engine_event *e = &c->g.clients[i].events[c->checked[i]].event;
            const struct life *l = e->kind == EVENT_DELIVERED ? peer_life(c, i, e->peer) : NULL;
            if (l != NULL) /* else its name never came through */
                assert_true(l->heard[c->of_client[i]][e->id - 1]);
        }
}

static void say(struct chaos *c, unsigned i)
{
    char text[4000];
    struct life *l = &c->lives[c->of_client[i]];
    size_t more = dice_percent(&c->dice, 20) ? dice(&c->dice, sizeof text - 20) : 0;
    if (l->said == SAID_MAX)
        return;
    int size = snprintf(text, sizeof text, "%u:%u ", c->of_client[i], l->said);
    memset(text + size, 'x', more);
    rig_command(
        &c->g, i,
        (struct engine_command){
            .kind = COMMAND_SEND, .id = ++l->said, .text = (const uint8_t *)text, .text_size = (size_t)size + more});
}

/* Writes all that has been held back. */
static void write_out(struct chaos *c, unsigned i)
{
    struct rig_client *r = &c->g.clients[i];
    r->holds_back = false;
    for (unsigned k = 0; k < r->event_count; k++)
        if (r->events[k].event.kind == EVENT_MESSAGE)
            rig_command(&c->g, i,
                        (struct engine_command){.kind = COMMAND_WRITTEN,
                                                .peer = r->events[k].event.peer,
                                                .number = r->events[k].event.number});
}

static void happen(struct chaos *c)
{
    unsigned i = dice(&c->dice, RIG_CLIENTS);
    struct rig_client *r = &c->g.clients[i];
    uint32_t d = dice(&c->dice, 1000);
    if (d < 700 && is_up(c, i))
        say(c, i);
    else if (d < 720 && is_up(c, i))
        r->holds_back = true;
    else if (d < 760 && is_up(c, i))
        write_out(c, i);
    else if (d < 763 && is_up(c, i))
        rig_do(&c->g, i, dice_percent(&c->dice, 50) ? COMMAND_QUIT : COMMAND_FINISH);
    else if (d < 775 && r->ended)
        begin(c, i);
    else if (d < 777)
        begin(c, i); /* killed, and started again */
    else if (d < 785)
        r->asleep = true;
    else if (d < 830 && r->asleep) {
        r->asleep = false;
        if (r->engine != NULL)
            rig_drain(&c->g, i);
    } else if (d < 840)
        c->g.no_direct = !c->g.no_direct;
    else if (d < 846)
        c->g.no_server = !c->g.no_server;
    else if (d < 870)
        r->addr.port = (uint16_t)(r->addr.port + 10); /* its NAT thinks anew */
    else if (d < 890)
        c->loss_percent = dice(&c->dice, 45);
}

/* Of everything that was sent to somebody the end has been told, once. */
static void check_ends(struct chaos *c, unsigned i)
{
    const struct rig_client *r = &c->g.clients[i];
    for (unsigned k = 0; k < r->event_count; k++) {
        const struct engine_event *sent = &r->events[k].event;
        if (sent->kind != EVENT_SENT)
            continue;
        for (unsigned n = 0; n < sent->peer_count; n++) {
            unsigned ends = 0;
            for (unsigned m = 0; m < r->event_count; m++) {
                const struct engine_event *e = &r->events[m].event;
                bool end = e->kind == EVENT_DELIVERED || e->kind == EVENT_FAILED;
                ends += end && e->id == sent->id && e->peer == sent->peers[n];
            }
            if (ends != 1)
                fail_msg("client %u, message %llu, peer %u: %u ends", i, (unsigned long long)sent->id, sent->peers[n],
                         ends);
        }
    }
}

/* Two whose introduction was lost on its last steps in both directions are strangers to the server as long as both
 * registrations live (docs/protocol.md s4): one of them has to start again. */
static void come_again(struct chaos *c, unsigned up)
{
    struct engine_peer peers[PEERS_MAX];
    bool apart = false;
    for (unsigned i = 0; i < RIG_CLIENTS; i++)
        if (is_up(c, i) && engine_peers(c->g.clients[i].engine, peers, PEERS_MAX) < up - 1) {
            apart = true;
            begin(c, i);
        }
    if (apart)
        rig_run(&c->g, VTIME_S(100));
    look(c);
}

static void calm_down(struct chaos *c)
{
    c->calm = true;
    c->g.no_direct = c->g.no_server = false;
    for (unsigned i = 0; i < RIG_CLIENTS; i++) {
        struct rig_client *r = &c->g.clients[i];
        r->asleep = false;
        if (r->engine == NULL || r->ended)
            continue;
        rig_drain(&c->g, i);
        write_out(c, i);
    }
    rig_run(&c->g, VTIME_S(200));
    look(c);
    unsigned up = 0;
    for (unsigned i = 0; i < RIG_CLIENTS; i++)
        up += is_up(c, i);
    come_again(c, up);
    for (unsigned i = 0; i < RIG_CLIENTS; i++) {
        struct engine_peer peers[PEERS_MAX];
        if (!is_up(c, i))
            continue;
        struct engine *e = c->g.clients[i].engine;
        assert_int_equal(engine_peers(e, peers, PEERS_MAX), up - 1);
        for (size_t k = 0; k + 1 < up; k++)
            assert_int_equal(peers[k].path, PATH_DIRECT);
        if (up > 1)
            assert_int_equal(engine_undelivered(e), 0);
        check_ends(c, i);
    }
}

static void run_seed(uint32_t seed)
{
    struct chaos *c = world = calloc(1, sizeof *c);
    c->lives = calloc(LIVES, sizeof *c->lives);
    dice_seed(&c->dice, seed);
    rig_open(&c->g);
    c->g.lose = weather;
    c->loss_percent = dice(&c->dice, 40);
    c->twice_percent = dice(&c->dice, 20);
    c->late_ms = dice(&c->dice, 200);
    for (unsigned i = 0; i < RIG_CLIENTS; i++) {
        c->g.clients[i].half = VTIME_MS(dice_between(&c->dice, 1, 150));
        begin(c, i);
    }
    for (int step = 0; step < 1500; step++) {
        happen(c);
        rig_run(&c->g, dice_percent(&c->dice, 2) ? VTIME_S(dice(&c->dice, 60)) : VTIME_MS(dice(&c->dice, 800)));
        look(c);
    }
    calm_down(c);
    print_message("seed %u: %lu messages heard, %u lives\n", seed, c->heard, c->life_count);
    assert_true(c->heard > 100);
    rig_close(&c->g);
    free(c->lives);
    free(c);
}

/* Seeds that failed once. */
static const uint32_t kept[] = {114, 115, 380, 468, 1235};

static void test_chaos(void **state)
{
    (void)state;
    const char *only = getenv("SEED"); /* one that failed */
    if (only != NULL)
        run_seed((uint32_t)atoi(only));
    for (uint32_t seed = 0; only == NULL && seed < SEEDS; seed++)
        run_seed(seed);
    for (size_t i = 0; only == NULL && i < COUNT(kept); i++)
        run_seed(kept[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chaos)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
