/* Two engines and the real server on a network that the fuzzer delays, doubles, reorders and loses on. Then it is well
 * again, and everything that was sent arrives: once, in order, and both ends say so. Only where a session ended may a
 * message have failed instead, and then it is told. */
#include "peer/engine.h"
#include "server/core.h"
#include "shapes.h"
#include "still.h"

const struct fuzz_shape *fuzz_shape = &shape_pair;

enum {
    CLIENTS = 2,
    SERVER = CLIENTS,
    PARCELS_MAX = 512,
    OLD_MAX = 64,
    MESSAGES_MAX = 48, /* of each */
    TEXT_SIZE_MAX = 12000,
    POLLS_MAX = 20000,
    CALM_EVENTS_MAX = 200000,
};
#define CHAOS_US VTIME_S(40)  /* less than PEER_TIMEOUT_US: nobody need be given up */
#define CALM_US  VTIME_S(240) /* as tests/sim/chaos.h has it */

struct parcel {
    bool used;
    uint8_t to; /* a client or SERVER */
    uint16_t size;
    uint32_t order;
    vtime_us at;
    struct addr from, dest;
    uint8_t bytes[DATAGRAM_BYTES_MAX];
};

struct message {
    uint8_t shown, delivered, failed;
};

struct held { /* COMMAND_WRITTEN that waits */
    uint32_t peer;
    uint64_t number;
};

struct person {
    struct engine *e;
    uint16_t rebinds;
    bool open[ENGINE_SOCKETS_MAX], holds;
    vtime_us asleep_until;
    struct held held[MESSAGES_MAX * 2];
    unsigned held_count, sent, left;
    uint64_t newest_shown;
    struct message messages[MESSAGES_MAX + 1]; /* by id: those it sent */
};

struct world {
    vtime_us now, began;
    unsigned blocked; /* 6 bits: direct each way, then up and down of each */
    uint32_t order;
    unsigned starts, old_count;
    struct person people[CLIENTS];
    struct parcel parcels[PARCELS_MAX], old[OLD_MAX];
};

static struct server *server;
static size_t server_bytes;
static struct world *w;

static vtime_us vtime_max(vtime_us a, vtime_us b)
{
    return a > b ? a : b;
}

static const struct server_config *config(void)
{
    static struct server_config c;
    c = (struct server_config){.registrations_max = 8,
                               .unvalidated_max = 8,
                               .introductions_max = 16,
                               .links_max = 8,
                               .alternate_port = 41415,
                               .socket_count = 2};
    c.sockets[0] = addr_v4(0, 0, 0, 0, 41414);
    c.sockets[1] = addr_v4(0, 0, 0, 0, 41415);
    return &c;
}

static struct addr server_addr(unsigned socket)
{
    return addr_v4(203, 0, 113, 1, (uint16_t)(41414 + socket));
}

/* After a rebind the same socket is seen at another port, and the old one leads nowhere. */
static struct addr person_addr(unsigned who, unsigned socket)
{
    return addr_v4(198, 51, 100, (uint8_t)(10 + who), (uint16_t)(5000 + socket + 1000 * (w->people[who].rebinds % 50)));
}

/* ---- the network ---- */

static bool is_blocked(unsigned from, unsigned to)
{
    if (to == SERVER)
        return w->blocked >> (2 + 2 * from) & 1;
    if (from == SERVER)
        return w->blocked >> (3 + 2 * to) & 1;
    return w->blocked >> from & 1;
}

static void post(const struct parcel *p, vtime_us at)
{
    for (unsigned i = 0; i < PARCELS_MAX; i++)
        if (!w->parcels[i].used) {
            w->parcels[i] = *p;
            w->parcels[i].used = true;
            w->parcels[i].at = at;
            w->parcels[i].order = w->order++;
            return;
        }
    /* a full queue loses what comes */
}

static void send(unsigned from, unsigned to, const struct addr *source, const struct addr *dest, const uint8_t *at,
                 size_t size)
{
    struct parcel p = {.to = (uint8_t)to, .size = (uint16_t)size, .from = *source, .dest = *dest};
    FUZZ_CHECK(size > 0 && size <= sizeof p.bytes);
    if (is_blocked(from, to))
        return;
    memcpy(p.bytes, at, size);
    post(&p, w->now + (from == SERVER || to == SERVER ? VTIME_MS(20) : VTIME_MS(30)));
}

/* The nth that is under way; NULL if there is none. */
static struct parcel *under_way(unsigned which)
{
    unsigned count = 0;
    for (unsigned i = 0; i < PARCELS_MAX; i++)
        count += w->parcels[i].used;
    for (unsigned i = 0; count > 0 && i < PARCELS_MAX; i++)
        if (w->parcels[i].used && which-- % count == 0)
            return &w->parcels[i];
    return NULL;
}

static struct parcel *next_parcel(void)
{
    struct parcel *best = NULL;
    for (unsigned i = 0; i < PARCELS_MAX; i++) {
        struct parcel *p = &w->parcels[i];
        if (p->used && (best == NULL || p->at < best->at || (p->at == best->at && p->order < best->order)))
            best = p;
    }
    return best;
}

/* ---- the engines ---- */

static void show(unsigned who, const struct engine_event *event)
{
    struct person *receiver = &w->people[who], *sender = &w->people[1 - who];
    FUZZ_CHECK(event->id >= 1 && event->id <= sender->sent);
    FUZZ_CHECK(event->text_size >= 4 && memcmp(event->text, who == 0 ? "bob " : "ann ", 4) == 0);
    FUZZ_CHECK(++sender->messages[event->id].shown == 1);
    FUZZ_CHECK(event->id > receiver->newest_shown);
    receiver->newest_shown = event->id;
    FUZZ_CHECK(receiver->held_count < COUNT(receiver->held));
    receiver->held[receiver->held_count++] = (struct held){event->peer, event->number};
}

static void hear_event(unsigned who, const struct engine_event *event)
{
    struct person *p = &w->people[who];
    FUZZ_CHECK(event->kind != EVENT_END);
    FUZZ_CHECK(event->kind != EVENT_ERROR || strcmp(event->code, "server-unreachable") == 0);
    switch (event->kind) {
    case EVENT_MESSAGE:
        show(who, event);
        break;
    case EVENT_DELIVERED:
        FUZZ_CHECK(event->id >= 1 && event->id <= p->sent);
        p->messages[event->id].delivered++;
        break;
    case EVENT_FAILED:
        FUZZ_CHECK(event->id >= 1 && event->id <= p->sent);
        p->messages[event->id].failed++;
        break;
    case EVENT_PEER_LEFT:
        p->left++;
        break;
    default:
        break;
    }
}

static void carry_out(unsigned who, const struct engine_out *out)
{
    struct person *p = &w->people[who];
    const struct addr own = person_addr(who, out->socket);
    struct engine_command c = {.kind = COMMAND_SOCKET_FAILED, .socket = out->socket};
    switch (out->kind) {
    case OUT_SEND:
        FUZZ_CHECK(out->socket < ENGINE_SOCKETS_MAX && p->open[out->socket]);
        for (unsigned socket = 0; socket < 2; socket++) {
            const struct addr a = server_addr(socket);
            if (addr_equal(&out->to, &a))
                send(who, SERVER, &own, &out->to, out->bytes, out->size);
        }
        if (out->to.ip[3] == 11 - who)
            send(who, 1 - who, &own, &out->to, out->bytes, out->size);
        break;
    case OUT_OPEN:
        FUZZ_CHECK(out->socket < ENGINE_SOCKETS_MAX && !p->open[out->socket]);
        if (out->family == ADDR_V4) {
            p->open[out->socket] = true;
            c.kind = COMMAND_SOCKET_OPENED;
            c.addr = addr_v4(0, 0, 0, 0, (uint16_t)(5000 + out->socket));
        }
        engine_command(p->e, w->now, &c);
        break;
    case OUT_CLOSE:
        FUZZ_CHECK(out->socket < ENGINE_SOCKETS_MAX && p->open[out->socket]);
        p->open[out->socket] = false;
        break;
    case OUT_EVENT:
        hear_event(who, &out->event);
        break;
    }
}

static void drain(unsigned who)
{
    struct person *p = &w->people[who];
    struct engine_out out;
    unsigned polls = 0;
    do {
        for (; engine_poll(p->e, w->now, &out); polls++) {
            FUZZ_CHECK(polls < POLLS_MAX);
            carry_out(who, &out);
        }
        for (unsigned i = 0; !p->holds && i < p->held_count; i++)
            engine_command(p->e, w->now,
                           &(struct engine_command){
                               .kind = COMMAND_WRITTEN, .peer = p->held[i].peer, .number = p->held[i].number});
    } while (!p->holds && p->held_count > 0 && (p->held_count = 0, true));
    FUZZ_CHECK(engine_deadline(p->e) > w->now);
}

static void drain_server(void)
{
    struct server_out out;
    while (server_poll(server, w->now, &out))
        for (unsigned who = 0; who < CLIENTS; who++)
            if (out.to.ip[3] == 10 + who) {
                const struct addr from = server_addr(out.socket);
                send(SERVER, who, &from, &out.to, out.bytes, out.size);
            }
    FUZZ_CHECK(server_deadline(server) > w->now);
}

/* ---- time ---- */

static void deliver(const struct parcel *p)
{
    const struct addr none = {0};
    w->old[w->old_count++ % OLD_MAX] = *p;
    if (p->to == SERVER) {
        server_input(server, w->now, p->dest.port == 41415, &none, &p->from, p->bytes, p->size);
        drain_server();
        return;
    }
    struct person *person = &w->people[p->to];
    const unsigned first = person_addr(p->to, 0).port, socket = p->dest.port - first;
    if (p->dest.port < first || socket >= ENGINE_SOCKETS_MAX || !person->open[socket] || w->now < person->asleep_until)
        return;
    const struct addr local = addr_v4(198, 51, 100, (uint8_t)(10 + p->to), 0);
    engine_input(person->e, w->now, (uint16_t)socket, &local, &p->from, p->bytes, p->size);
    drain(p->to);
}

static vtime_us due(unsigned who)
{
    if (who == SERVER)
        return server_deadline(server);
    return vtime_max(engine_deadline(w->people[who].e), w->people[who].asleep_until);
}

/* The next arrival or deadline. */
static void step(void)
{
    struct parcel *p = next_parcel();
    unsigned who = SERVER;
    for (unsigned i = 0; i < CLIENTS; i++)
        if (due(i) < due(who))
            who = i;
    if (p != NULL && p->at <= due(who)) {
        struct parcel copy = *p;
        p->used = false;
        w->now = vtime_max(w->now, copy.at);
        deliver(&copy);
        return;
    }
    w->now = vtime_max(w->now, due(who));
    if (who == SERVER)
        drain_server();
    else
        drain(who);
}

static void run_for(vtime_us us)
{
    for (const vtime_us until = w->now + us; w->now < until;)
        step();
}

/* ---- setting up ---- */

static void start_server(void)
{
    const uint8_t seed[RNG_SEED_BYTES] = {9, (uint8_t)++w->starts};
    memset(server, 0, server_bytes);
    server_init(server, config(), seed, w->now);
}

static void start_person(unsigned who, enum relay_policy relay)
{
    const uint8_t seed[RNG_SEED_BYTES] = {(uint8_t)(who + 1)};
    const struct addr at = server_addr(0), interface = addr_v4(198, 51, 100, (uint8_t)(10 + who), 0);
    struct engine_config c = {.relay = relay, .name_size = 3};
    memcpy(c.name, who == 0 ? "ann" : "bob", 3);
    FUZZ_CHECK(keyword_parse(&c.keyword, "42-crab-lunar-toast", 19) == KEYWORD_OK);
    engine_init(w->people[who].e, &c, seed, w->now);
    engine_command(w->people[who].e, w->now,
                   &(struct engine_command){.kind = COMMAND_INTERFACES, .addrs = &interface, .addr_count = 1});
    engine_command(w->people[who].e, w->now,
                   &(struct engine_command){.kind = COMMAND_SERVER_ADDRS, .addrs = &at, .addr_count = 1});
    drain(who);
}

static size_t round_up(size_t size)
{
    return (size + 63) / 64 * 64;
}

/* 0: nobody knows anybody yet. 1: they talk directly. 2: through the server. 3: they want to. */
static void set_up(struct still *s, unsigned how)
{
    server_bytes = round_up(server_size(config()));
    const size_t engine_bytes = round_up(engine_size());
    still_open(s, server_bytes + CLIENTS * engine_bytes + sizeof *w);
    server = s->at;
    w = (struct world *)((char *)s->at + server_bytes + CLIENTS * engine_bytes);
    w->now = VTIME_S(1000);
    start_server();
    w->blocked = how == 2 ? 3 : 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        w->people[i].e = (struct engine *)((char *)s->at + server_bytes + i * engine_bytes);
        start_person(i, how == 3 ? RELAY_ONLY : RELAY_AUTO);
    }
    if (how > 0)
        run_for(VTIME_S(5));
    still_keep(s);
}

/* ---- chaos ---- */

static void say(unsigned who, unsigned how)
{
    static char text[TEXT_SIZE_MAX];
    struct person *p = &w->people[who];
    size_t size = how % 8 == 7 ? 300 * (1 + how / 8) : 4 + how;
    memset(text, 'x', sizeof text);
    memcpy(text, who == 0 ? "ann " : "bob ", 4);
    if (p->sent == MESSAGES_MAX || !engine_has_room(p->e, size))
        return;
    engine_command(p->e, w->now,
                   &(struct engine_command){
                       .kind = COMMAND_SEND, .id = ++p->sent, .text = (const uint8_t *)text, .text_size = size});
    drain(who);
}

static void run(const struct record *r)
{
    const unsigned who = r->head[0] % CLIENTS;
    struct parcel *p = under_way(r->head[0]);
    struct parcel copy;
    switch ((enum pair_operation)r->operation) {
    case PAIR_RUN:
        for (unsigned i = 0; i <= r->head[0] && w->now < w->began + CHAOS_US; i++)
            step();
        break;
    case PAIR_SAY:
        say(who, r->head[1]);
        break;
    case PAIR_LOSE:
        if (p != NULL)
            p->used = false;
        break;
    case PAIR_DOUBLE:
        if (p != NULL) {
            copy = *p;
            post(&copy, copy.at + VTIME_MS(8) * r->head[1]);
        }
        break;
    case PAIR_DELAY:
        if (p != NULL)
            p->at += VTIME_MS(1) * r->head[1] * r->head[1];
        break;
    case PAIR_BLOCK:
        w->blocked = r->head[0] % 64;
        break;
    case PAIR_REPLAY:
        copy = w->old[r->head[0] % OLD_MAX];
        if (copy.size > 0)
            post(&copy, w->now + 1);
        break;
    case PAIR_REBIND:
        w->people[who].rebinds++;
        break;
    case PAIR_HOLD:
        w->people[who].holds = r->head[0] / CLIENTS % 2 == 0;
        drain(who);
        break;
    case PAIR_SLEEP:
        w->people[who].asleep_until = w->now + VTIME_MS(60) * r->head[1];
        break;
    case PAIR_RESTART:
        start_server();
        drain_server();
        break;
    case PAIR_OPERATIONS:
        break;
    }
}

/* ---- calm ---- */

static bool all_is_settled(void)
{
    for (unsigned who = 0; who < CLIENTS; who++)
        for (unsigned id = 1; id <= w->people[who].sent; id++)
            if (w->people[who].messages[id].delivered + w->people[who].messages[id].failed == 0)
                return false;
    return true;
}

static void calm_down(void)
{
    w->blocked = 0;
    for (unsigned who = 0; who < CLIENTS; who++) {
        w->people[who].holds = false;
        w->people[who].asleep_until = 0;
        drain(who);
    }
    const vtime_us until = w->now + CALM_US;
    unsigned events = 0;
    while (w->now < until && !all_is_settled()) {
        FUZZ_CHECK(++events < CALM_EVENTS_MAX);
        step();
    }
    run_for(VTIME_S(1)); /* nothing comes a second time */
    FUZZ_CHECK(all_is_settled());
    for (unsigned who = 0; who < CLIENTS; who++)
        for (unsigned id = 1; id <= w->people[who].sent; id++) {
            const struct message *m = &w->people[who].messages[id];
            /* For each session that it went into: one in which only this side had been confirmed fails when it is
             * given up, also when the one after it delivered. */
            FUZZ_CHECK(m->delivered <= 1 && m->failed <= w->people[who].left);
            FUZZ_CHECK(m->delivered == 0 || m->shown == 1);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    static struct still stills[4];
    struct record r;
    if (size == 0)
        return 0;
    struct still *s = &stills[at[0] % COUNT(stills)];
    if (s->at == NULL)
        set_up(s, at[0] % COUNT(stills));
    still_restore(s);
    server = s->at;
    w = (struct world *)((char *)s->at + s->size - sizeof *w);
    w->began = w->now;
    at++;
    size--;
    while (w->now < w->began + CHAOS_US && record_next(&at, &size, &r))
        run(&r);
    calm_down();
    return 0;
}
