/* peer_rig.h: engines and the real server core wired back to back with constant delays, for tests of the engine.
 * After whatever is done with an engine it is polled until it has nothing more to do, and then its deadline must
 * lie in the future: an engine that asks to be called again at once would turn for ever. */
#ifndef TESTS_PEER_RIG_H
#define TESTS_PEER_RIG_H
#include "peer_tools.h"

#include "peer/internal.h"
#include "server/core.h"

enum { RIG_CLIENTS = 4, RIG_SERVER = RIG_CLIENTS, RIG_EVENTS = 8192, RIG_PACKETS = 8192, RIG_TEXT = 120 };

struct rig_event {
    vtime_us at;
    struct engine_event event; /* text and name point into this struct */
    char text[RIG_TEXT], name[NAME_BYTES_MAX + 1];
};

struct rig_packet {
    vtime_us at;
    unsigned to;
    struct addr from;
    size_t size;
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    struct rig_packet *next;
};

struct rig_client {
    struct engine *engine;
    struct addr addr;
    vtime_us half;  /* one way to the server, and to anybody else */
    bool holds_back; /* does not say COMMAND_WRITTEN */
    bool asleep;     /* hears nothing, does nothing */
    bool ended;
    struct rig_event *events;
    unsigned event_count;
    unsigned long to_server, to_peers, to_nobody;
};

struct rig {
    vtime_us now;
    struct server *server;
    struct addr server_addr;
    struct rig_client clients[RIG_CLIENTS];
    struct rig_packet *packets;
    /* NULL, or: is this datagram lost? from and to are clients or RIG_SERVER. */
    bool (*lose)(struct rig *g, unsigned from, unsigned to, const uint8_t *at, size_t size);
    bool no_direct, no_server;
    unsigned long lost;
    unsigned starts;
    struct codec codec;
};

/* ---- the network ---- */

static inline void rig_post(struct rig *g, vtime_us at, unsigned to, const struct addr *from, const uint8_t *bytes,
                            size_t size)
{
    struct rig_packet *p = malloc(sizeof *p), **where = &g->packets;
    assert_non_null(p);
    assert_in_range(size, 1, sizeof p->bytes);
    *p = (struct rig_packet){.at = at, .to = to, .from = *from, .size = size};
    memcpy(p->bytes, bytes, size);
    while (*where != NULL && (*where)->at <= at)
        where = &(*where)->next;
    p->next = *where;
    *where = p;
}

static inline bool rig_loses(struct rig *g, unsigned from, unsigned to, const uint8_t *at, size_t size)
{
    bool server = from == RIG_SERVER || to == RIG_SERVER;
    bool lost = (server ? g->no_server : g->no_direct) || (g->lose != NULL && g->lose(g, from, to, at, size));
    g->lost += lost;
    return lost;
}

static inline void rig_drain_server(struct rig *g)
{
    struct server_out out;
    while (server_poll(g->server, g->now, &out))
        for (unsigned i = 0; i < RIG_CLIENTS; i++)
            if (addr_equal(&out.to, &g->clients[i].addr) && !rig_loses(g, RIG_SERVER, i, out.bytes, out.size))
                rig_post(g, g->now + g->clients[i].half, i, &g->server_addr, out.bytes, out.size);
}

static inline void rig_send(struct rig *g, unsigned i, const struct engine_out *out)
{
    struct rig_client *c = &g->clients[i];
    assert_true(addr_is_sendable(&out->to));
    assert_in_range(out->size, 1, DATAGRAM_BYTES_MAX);
    if (addr_equal(&out->to, &g->server_addr)) {
        c->to_server++;
        if (!rig_loses(g, i, RIG_SERVER, out->bytes, out->size))
            rig_post(g, g->now + c->half, RIG_SERVER, &c->addr, out->bytes, out->size);
        return;
    }
    for (unsigned k = 0; k < RIG_CLIENTS; k++)
        if (addr_equal(&out->to, &g->clients[k].addr)) {
            c->to_peers++;
            if (!rig_loses(g, i, k, out->bytes, out->size))
                rig_post(g, g->now + c->half + g->clients[k].half, k, &c->addr, out->bytes, out->size);
            return;
        }
    c->to_nobody++;
}

/* ---- the engines ---- */

static inline void rig_log(struct rig *g, unsigned i, const struct engine_event *event)
{
    struct rig_client *c = &g->clients[i];
    assert_true(c->event_count < RIG_EVENTS);
    assert_false(c->ended); /* nothing comes after EVENT_END */
    struct rig_event *e = &c->events[c->event_count++];
    *e = (struct rig_event){.at = g->now, .event = *event};
    if (event->text != NULL) {
        size_t size = event->text_size < RIG_TEXT - 1 ? event->text_size : RIG_TEXT - 1;
        memcpy(e->text, event->text, size);
    }
    if (event->name != NULL)
        memcpy(e->name, event->name, strlen(event->name) + 1);
    e->event.text = e->text;
    e->event.name = e->name;
    c->ended = event->kind == EVENT_END;
}

static inline void rig_carry_out(struct rig *g, unsigned i, const struct engine_out *out)
{
    struct rig_client *c = &g->clients[i];
    switch (out->kind) {
    case OUT_OPEN: {
        bool v4 = out->family == ADDR_V4;
        struct engine_command opened = {
            .kind = v4 ? COMMAND_SOCKET_OPENED : COMMAND_SOCKET_FAILED, .socket = out->socket, .addr = c->addr};
        engine_command(c->engine, g->now, &opened);
        break;
    }
    case OUT_SEND:
        rig_send(g, i, out);
        break;
    case OUT_EVENT:
        rig_log(g, i, &out->event);
        if (out->event.kind == EVENT_MESSAGE && !c->holds_back) {
            struct engine_command written = {
                .kind = COMMAND_WRITTEN, .peer = out->event.peer, .number = out->event.number};
            engine_command(c->engine, g->now, &written);
        }
        break;
    case OUT_CLOSE:
        break;
    }
}

/* Returns how many things there were to do. */
static inline unsigned rig_drain(struct rig *g, unsigned i)
{
    struct engine_out out;
    unsigned done = 0;
    while (engine_poll(g->clients[i].engine, g->now, &out)) {
        rig_carry_out(g, i, &out);
        assert_true(++done < 20000);
    }
    vtime_us due = engine_deadline(g->clients[i].engine);
    if (due <= g->now)
        fail_msg("client %u at %llu us: polled empty, and due at %llu", i, (unsigned long long)g->now,
                 (unsigned long long)due);
    return done;
}

static inline void rig_command(struct rig *g, unsigned i, struct engine_command command)
{
    engine_command(g->clients[i].engine, g->now, &command);
    rig_drain(g, i);
}

/* A datagram out of nowhere, now. */
static inline void rig_input(struct rig *g, unsigned i, const struct addr *from, const uint8_t *at, size_t size)
{
    engine_input(g->clients[i].engine, g->now, ENGINE_SOCKET_V4, &g->clients[i].addr, from, at, size);
    rig_drain(g, i);
}

static inline void rig_deliver(struct rig *g, struct rig_packet *p)
{
    const struct addr none = {0};
    if (p->to == RIG_SERVER) {
        server_input(g->server, g->now, 0, &none, &p->from, p->bytes, p->size);
        rig_drain_server(g);
    } else if (g->clients[p->to].engine != NULL && !g->clients[p->to].asleep) {
        rig_input(g, p->to, &p->from, p->bytes, p->size);
    }
    free(p);
}

/* Who is next, and when: a client, RIG_SERVER, or -1 for the network. */
static inline int rig_next(const struct rig *g, vtime_us *ret_at)
{
    int who = -1;
    *ret_at = g->packets != NULL ? g->packets->at : VTIME_NEVER;
    for (unsigned i = 0; i <= RIG_CLIENTS; i++) {
        if (i < RIG_CLIENTS && (g->clients[i].engine == NULL || g->clients[i].asleep))
            continue;
        vtime_us due = i == RIG_SERVER ? server_deadline(g->server) : engine_deadline(g->clients[i].engine);
        if (due < *ret_at) {
            *ret_at = due;
            who = (int)i;
        }
    }
    return who;
}

/* Lets so much time go by. An engine that wakes again and again with nothing to do fails the test. */
static inline void rig_run(struct rig *g, vtime_us duration)
{
    vtime_us until = g->now + duration, at;
    unsigned idle = 0;
    for (;;) {
        int who = rig_next(g, &at);
        if (at > until)
            break;
        g->now = at > g->now ? at : g->now;
        if (who < 0) {
            struct rig_packet *p = g->packets;
            g->packets = p->next;
            rig_deliver(g, p);
            idle = 0;
        } else if (who == RIG_SERVER) {
            rig_drain_server(g);
        } else {
            idle = rig_drain(g, (unsigned)who) > 0 ? 0 : idle + 1;
            assert_true(idle < 200);
        }
    }
    g->now = until;
}

/* ---- setting up ---- */

static inline void rig_open(struct rig *g)
{
    static const struct server_config standard;
    const uint8_t seed[RNG_SEED_BYTES] = {9};
    memset(g, 0, sizeof *g);
    g->now = VTIME_S(1000);
    g->server_addr = addr_v4(203, 0, 113, 1, 41414);
    for (unsigned i = 0; i < RIG_CLIENTS; i++) {
        struct rig_client *c = &g->clients[i];
        c->addr = addr_v4(198, 51, 100, (uint8_t)(10 + i), (uint16_t)(5000 + i));
        c->half = VTIME_MS(20);
        c->events = calloc(RIG_EVENTS, sizeof *c->events);
        assert_non_null(c->events);
    }
    g->server = calloc(1, server_size(&standard));
    assert_non_null(g->server);
    server_init(g->server, &standard, seed, g->now);
}

static inline void rig_close(struct rig *g)
{
    while (g->packets != NULL) {
        struct rig_packet *p = g->packets;
        g->packets = p->next;
        free(p);
    }
    for (unsigned i = 0; i < RIG_CLIENTS; i++) {
        free(g->clients[i].engine);
        free(g->clients[i].events);
    }
    free(g->server);
}

static inline struct engine_config rig_config(const char *keyword, const char *name)
{
    struct engine_config config = {0};
    assert_int_equal(keyword_parse(&config.keyword, keyword, strlen(keyword)), KEYWORD_OK);
    config.name_size = (uint8_t)strlen(name);
    memcpy(config.name, name, config.name_size);
    return config;
}

static inline void rig_start_with(struct rig *g, unsigned i, const struct engine_config *config)
{
    struct rig_client *c = &g->clients[i];
    const uint8_t seed[RNG_SEED_BYTES] = {(uint8_t)(i + 1), (uint8_t)++g->starts}; /* no two are the same */
    struct addr interface = c->addr;
    interface.port = 0;
    c->engine = calloc(1, engine_size());
    assert_non_null(c->engine);
    engine_init(c->engine, config, seed, g->now);
    rig_command(g, i, (struct engine_command){.kind = COMMAND_SERVER_ADDRS, .addrs = &g->server_addr, .addr_count = 1});
    rig_command(g, i, (struct engine_command){.kind = COMMAND_INTERFACES, .addrs = &interface, .addr_count = 1});
}

static inline void rig_start(struct rig *g, unsigned i, const char *name)
{
    struct engine_config config = rig_config("foo", name);
    rig_start_with(g, i, &config);
}

/* Two people, ann and bob, who have met and found their path. */
static inline void rig_meet(struct rig *g)
{
    rig_start(g, 0, "ann");
    rig_run(g, VTIME_S(1));
    rig_start(g, 1, "bob");
    rig_run(g, VTIME_S(5));
}

/* ---- saying and hearing ---- */

static inline void rig_say_to(struct rig *g, unsigned i, uint64_t id, uint32_t to, const char *text)
{
    rig_command(g, i,
                (struct engine_command){.kind = COMMAND_SEND,
                                        .id = id,
                                        .to = to,
                                        .text = (const uint8_t *)text,
                                        .text_size = strlen(text)});
}

static inline void rig_say(struct rig *g, unsigned i, const char *text)
{
    rig_say_to(g, i, 0, 0, text);
}

static inline void rig_do(struct rig *g, unsigned i, enum engine_command_kind kind)
{
    rig_command(g, i, (struct engine_command){.kind = kind});
}

static inline unsigned rig_count(const struct rig *g, unsigned i, enum engine_event_kind kind)
{
    unsigned count = 0;
    for (unsigned k = 0; k < g->clients[i].event_count; k++)
        count += g->clients[i].events[k].event.kind == kind;
    return count;
}

/* The place in the log of the nth event (from 0) of a kind. */
static inline unsigned rig_place(const struct rig *g, unsigned i, enum engine_event_kind kind, unsigned n)
{
    for (unsigned k = 0; k < g->clients[i].event_count; k++)
        if (g->clients[i].events[k].event.kind == kind && n-- == 0)
            return k;
    fail_msg("client %u: no such event of kind %d", i, (int)kind);
    abort();
}

static inline const struct rig_event *rig_nth(const struct rig *g, unsigned i, enum engine_event_kind kind, unsigned n)
{
    return &g->clients[i].events[rig_place(g, i, kind, n)];
}

static inline const struct engine_event *rig_event(const struct rig *g, unsigned i, enum engine_event_kind kind,
                                                   unsigned n)
{
    return &rig_nth(g, i, kind, n)->event;
}

static inline void rig_forget_events(struct rig *g, unsigned i)
{
    g->clients[i].event_count = 0;
}

static inline uint64_t rig_stat(const struct rig *g, unsigned i, const char *name)
{
    struct engine_stat all[ENGINE_STATS_MAX];
    size_t count = engine_stats(g->clients[i].engine, all);
    for (size_t k = 0; k < count; k++)
        if (strcmp(all[k].name, name) == 0)
            return all[k].value;
    fail_msg("no counter %s", name);
    abort();
}

/* i's session with peer `number`, from the inside. */
static inline struct peer *rig_peer(const struct rig *g, unsigned i, uint32_t number)
{
    for (unsigned k = 0; k < PEER_SLOTS; k++) {
        struct peer *p = &g->clients[i].engine->peers[k];
        if (p->state == PEER_LIVE && p->number == number)
            return p;
    }
    fail_msg("client %u has no peer %u", i, number);
    abort();
}
/* After whatever it was: they still talk. */
static inline void rig_still_talk(struct rig *g)
{
    unsigned ann = rig_count(g, 0, EVENT_DELIVERED), bob = rig_count(g, 1, EVENT_DELIVERED);
    rig_say(g, 0, "still there?");
    rig_say(g, 1, "still here");
    rig_run(g, VTIME_S(20));
    assert_int_equal(rig_count(g, 0, EVENT_DELIVERED), ann + 1);
    assert_int_equal(rig_count(g, 1, EVENT_DELIVERED), bob + 1);
    assert_int_equal(rig_count(g, 0, EVENT_PEER_LEFT), 0);
}


/* ---- for cmocka ---- */

static inline int rig_setup(void **state)
{
    struct rig *g = malloc(sizeof *g);
    assert_non_null(g);
    rig_open(g);
    *state = g;
    return 0;
}

static inline int rig_teardown(void **state)
{
    rig_close(*state);
    free(*state);
    return 0;
}
#endif
