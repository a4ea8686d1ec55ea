/* Random clients, honest and not, against small tables. After every step the tables must agree with each other,
 * and no source that has not shown that it receives may have been sent more than came from it. A seed repeats a
 * run: test_server_random SEED [STEPS]. */
#include "server_check.h"
#include "server_rig.h"
#include "wire/rng.h"
#include <stdio.h>

enum { CLIENTS = 48, MUTE_FROM = 36, PORTS = 3, TOKENS = 12, KNOWN_MAX = 8, SEEDS = 12, STEPS = 4000 };

struct source {
    uint64_t sent, received;
    bool proven;
};

struct random_client {
    struct rig_client base;
    struct source sources[PORTS];
    uint32_t port;
    bool named; /* it has a secret, right or not any more */
    uint64_t handles[KNOWN_MAX];
    uint8_t points[KNOWN_MAX][32]; /* the own share of each introduction */
    uint32_t link;
};

struct world {
    struct rig rig;
    struct rng dice;
    struct random_client clients[CLIENTS];
};

static struct random_client *owner(struct world *w, const struct addr *a, struct source **ret_source)
{
    for (int i = 0; i < CLIENTS; i++)
        if (addr_ip_equal(a, &w->clients[i].base.addr)) {
            *ret_source = &w->clients[i].sources[a->port % PORTS];
            return &w->clients[i];
        }
    fail_msg("something was sent to nobody");
    return NULL;
}

/* Clients learn what they are sent, wherever it is sent to. */
static void learn(struct world *w)
{
    for (size_t i = 0; i < w->rig.log_count; i++) {
        const struct rig_sent *sent = &w->rig.log[i];
        struct source *source;
        struct random_client *c = owner(w, &sent->to, &source);
        const uint32_t slot = rng_below(&w->dice, KNOWN_MAX);
        source->received += sent->size + UDP4_HEADER_BYTES;
        assert_true(source->proven || source->received <= source->sent);
        switch (sent->frame.kind) {
        case FRAME_REGISTERED:
            c->named = true;
            memcpy(c->base.secret, sent->frame.registered.secret, SECRET_BYTES);
            memcpy(c->base.cookie, sent->frame.registered.cookie, COOKIE_BYTES);
            c->base.cookie_size = COOKIE_BYTES;
            break;
        case FRAME_RETRY:
            memcpy(c->base.cookie, sent->frame.retry.cookie, COOKIE_BYTES);
            c->base.cookie_size = COOKIE_BYTES;
            break;
        case FRAME_PEER_INFO:
            c->handles[slot] = sent->frame.peer_info.handle;
            memcpy(c->points[slot], sent->frame.peer_info.own_point, 32);
            break;
        case FRAME_LINKED:
            c->link = sent->frame.linked.link;
            break;
        default:
            break;
        }
    }
}

static bool chance(struct world *w, uint32_t percent)
{
    return rng_below(&w->dice, 100) < percent;
}

static void send(struct world *w, struct random_client *c, const struct frame *f, bool proves)
{
    struct source *source = &c->sources[c->base.addr.port % PORTS];
    source->proven = source->proven || proves;
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    size_t size = codec_encode(f, bytes, sizeof bytes);
    assert_true(size > 0);
    source->sent += size + UDP4_HEADER_BYTES;
    rig_input(&w->rig, &c->base.addr, bytes, size);
    learn(w);
}

/* ---- what clients do ---- */

static void do_register(struct world *w, struct random_client *c, bool mute)
{
    static const uint8_t forms[] = {FORM_ROOM, FORM_ROOM, FORM_OPEN, FORM_NEW};
    const uint8_t form = forms[rng_below(&w->dice, 4)];
    const bool secret = !mute && c->named && chance(w, 80), cookie = !mute && c->base.cookie_size > 0 && chance(w, 80);
    if (chance(w, 70))
        rig_stock(&c->base, (uint8_t)rng_below(&w->dice, SHARES_MAX + 1));
    struct frame f = {.kind = FRAME_REGISTER,
                      .reg = {.token = rng_token(&w->dice),
                              .form = form,
                              .has_secret = secret,
                              .cookie_size = cookie ? COOKIE_BYTES : 0,
                              .pad = chance(w, secret ? 20 : 95)}};
    if (form == FORM_ROOM)
        f.reg.room = 1 + rng_below(&w->dice, 3);
    if (form == FORM_OPEN) {
        f.reg.prefix_bits = chance(w, 50) ? 8 : (uint8_t)rng_below(&w->dice, 9);
        f.reg.prefix = (uint8_t)rng_below(&w->dice, 1U << f.reg.prefix_bits);
    }
    memcpy(f.reg.secret, c->base.secret, SECRET_BYTES);
    memcpy(f.reg.cookie, c->base.cookie, COOKIE_BYTES);
    if (form != FORM_NEW) {
        f.reg.share_count = c->base.share_count;
        memcpy(f.reg.shares, c->base.shares, sizeof f.reg.shares);
    }
    if (chance(w, 20) && (secret || f.reg.share_count == 0)) {
        f.reg.link_count = (uint8_t)rng_below(&w->dice, 4);
        for (int i = 0; i < f.reg.link_count; i++)
            f.reg.links[i] = (struct relay_token){.token = {(uint8_t)rng_below(&w->dice, TOKENS)},
                                                  .side = (uint8_t)rng_below(&w->dice, 2),
                                                  .may_tell = chance(w, 50)};
    }
    send(w, c, &f, secret || cookie);
}

static void do_signal(struct world *w, struct random_client *c)
{
    const uint8_t datagram[SIGNAL_DATAGRAM_BYTES_MAX] = {0};
    const uint32_t slot = rng_below(&w->dice, KNOWN_MAX);
    if (c->handles[slot] == 0)
        return;
    struct frame f = {.kind = FRAME_SIGNAL,
                      .signal = {.has_secret = true,
                                 .handle = c->handles[slot],
                                 .datagram = {datagram, 1 + rng_below(&w->dice, sizeof datagram)}}};
    memcpy(f.signal.secret, c->base.secret, SECRET_BYTES);
    memcpy(f.signal.point, c->points[slot], 32);
    send(w, c, &f, true);
}

static void do_link(struct world *w, struct random_client *c)
{
    struct frame f = {.kind = FRAME_LINK,
                      .link = {.token = {.token = {(uint8_t)rng_below(&w->dice, TOKENS)},
                                         .side = (uint8_t)rng_below(&w->dice, 2),
                                         .may_tell = chance(w, 50)}}};
    memcpy(f.link.secret, c->base.secret, SECRET_BYTES);
    send(w, c, &f, true);
}

static void do_relay(struct world *w, struct random_client *c)
{
    const uint8_t datagram[RELAY_DATAGRAM_BYTES_MAX] = {0};
    struct frame f = {.kind = FRAME_RELAY,
                      .relay = {.has_secret = true,
                                .link = chance(w, 90) && c->link != 0 ? c->link : 1,
                                .datagram = {datagram, 1 + rng_below(&w->dice, sizeof datagram)}}};
    memcpy(f.relay.secret, c->base.secret, SECRET_BYTES);
    send(w, c, &f, true);
}

static void do_leave(struct world *w, struct random_client *c)
{
    struct frame f = {.kind = FRAME_LEAVE, .leave = {.has_secret = true, .reason = LEAVE_QUIT}};
    memcpy(f.leave.secret, c->base.secret, SECRET_BYTES);
    send(w, c, &f, true);
    if (chance(w, 50))
        c->named = false;
}

static void do_garbage(struct world *w, struct random_client *c)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX + 1];
    size_t size = chance(w, 3) ? sizeof bytes : rng_below(&w->dice, sizeof bytes); /* too long, or not */
    rng_bytes(&w->dice, bytes, size);
    memcpy(bytes, "\rP2P1", size < 5 ? size : 5);
    c->sources[c->base.addr.port % PORTS].sent += size + UDP4_HEADER_BYTES;
    rig_input(&w->rig, &c->base.addr, bytes, size);
    learn(w);
}

static void wait(struct world *w)
{
    static const vtime_us waits[] = {VTIME_MS(20), VTIME_MS(300), VTIME_S(1), VTIME_S(6), VTIME_S(40), VTIME_S(130)};
    /* Mostly short ones: a world in which everything lapses all the time is a dull one. */
    uint32_t which = chance(w, 3) ? rng_below(&w->dice, 6) : rng_below(&w->dice, 3);
    rig_wait(&w->rig, waits[which]);
    learn(w);
}

static void step(struct world *w)
{
    const uint32_t number = rng_below(&w->dice, CLIENTS), what = rng_below(&w->dice, 100);
    struct random_client *c = &w->clients[number];
    if (what < 15)
        wait(w);
    else if (what < 18)
        do_garbage(w, c);
    else if (number >= MUTE_FROM)
        do_register(w, c, true);
    else if (what < 22)
        c->base.addr.port = (uint16_t)(4000 + rng_below(&w->dice, PORTS));
    else if (what < 50 || !c->named)
        do_register(w, c, false);
    else if (what < 70)
        do_signal(w, c);
    else if (what < 82)
        do_link(w, c);
    else if (what < 97)
        do_relay(w, c);
    else
        do_leave(w, c);
}

/* The runs together must have been about all of this. */
static const char *const happened[] = {"introduced",
                                       "signals",
                                       "signals_dropped",
                                       "linked",
                                       "relayed_datagrams",

                                       "introductions_linked",
                                       "introductions_full",
                                       "introductions_cut",
                                       "retries",
                                       "lapsed",
                                       "refused_unknown",
                                       "refused_busy",
                                       "ledger_refused",
                                       "dropped_wrong_source",
                                       "dropped_unpadded",
                                       "decode_ok",
                                       "decode_wire",
                                       "decode_size"};
enum { HAPPENED = sizeof happened / sizeof happened[0] };
static uint64_t times[HAPPENED];

static void run(uint32_t seed, uint32_t steps)
{
    static struct world w;
    const struct server_config config = {
        .registrations_max = 24, .unvalidated_max = 16, .introductions_max = 8, .links_max = 10};
    uint8_t dice[RNG_SEED_BYTES] = {0};
    memcpy(dice, &seed, sizeof seed);
    memset(&w, 0, sizeof w);
    rng_init(&w.dice, dice);
    rig_start(&w.rig, &config);
    for (uint16_t i = 0; i < CLIENTS; i++)
        w.clients[i].base = rig_client(i);
    for (uint32_t i = 0; i < steps; i++) {
        step(&w);
        server_check(w.rig.server, w.rig.now);
    }
    for (size_t i = 0; i < HAPPENED; i++)
        times[i] += rig_stat(&w.rig, happened[i]);
    assert_int_equal(rig_stat(&w.rig, "dropped_queue_full"), 0);
    rig_stop(&w.rig);
}

static void nothing_wrong_happens(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        run(seed, STEPS);
    for (size_t i = 0; i < HAPPENED; i++)
        if (times[i] == 0)
            fail_msg("%s never happened", happened[i]);
}

int main(int argc, char *argv[])
{
    if (argc > 1) {
        run((uint32_t)strtoul(argv[1], NULL, 10), argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : STEPS);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_wrong_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
