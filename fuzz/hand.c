#include "fuzz.h"
#include "hand_parts.h"
#include "wire/text.h"

enum { POLLS_MAX = 20000, WAKES_MAX = 1000, PACKETS_MAX = 3000, WAKES_EACH_MAX = 200 };

size_t hand_size(void)
{
    return (engine_size() + 63) / 64 * 64;
}

/* ---- the engine's datagrams and events ---- */

static void ring_put(struct hand_datagram ring[static HAND_RING], unsigned *count, uint16_t socket,
                     const struct addr *addr, const uint8_t *at, size_t size)
{
    struct hand_datagram *d = &ring[(*count)++ % HAND_RING];
    d->socket = socket;
    d->from = *addr;
    d->size = (uint16_t)(size < sizeof d->bytes ? size : sizeof d->bytes);
    memcpy(d->bytes, at, d->size);
}

static bool is_server(const struct hand *h, const struct addr *a)
{
    for (unsigned i = 0; i < h->server_count && i < HAND_SERVERS_MAX; i++)
        if (addr_equal(a, &h->servers[i]))
            return true;
    return false;
}

static void carry_out_send(struct hand *h, const struct engine_out *out)
{
    struct frame f;
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    FUZZ_CHECK(out->socket < HAND_SOCKETS_MAX && h->sockets[out->socket].open);
    FUZZ_CHECK(addr_is_sendable(&out->to));
    FUZZ_CHECK(out->to.family == h->sockets[out->socket].local.family);
    FUZZ_CHECK(out->size > 0 && out->size <= DATAGRAM_BYTES_MAX);
    memcpy(bytes, out->bytes, out->size);
    FUZZ_CHECK(codec_decode(&h->codec, bytes, out->size, &f) == DECODE_OK);
    h->packets++;
    ring_put(h->sent, &h->sent_count, out->socket, &out->to, bytes, out->size);
    if (is_server(h, &out->to)) {
        hand_server_gets(h, out->socket, &out->to, bytes, out->size);
    } else if (f.kind == FRAME_SEALED && h->nat == NAT_OF_NOBODY && addr_equal(&out->to, &h->peer)) {
        h->direct_socket = out->socket;
        hand_peer_gets(h, bytes, out->size, WAY_DIRECT);
    } else if (f.kind == FRAME_PROBE) {
        if (addr_ip_equal(&out->to, &h->server))
            hand_server_gets_probe(h, out->socket, &f.probe, &out->to);
    } else {
        FUZZ_CHECK(f.kind == FRAME_SEALED); /* nothing else goes to strangers */
    }
}

static void carry_out_event(struct hand *h, const struct engine_event *event)
{
    FUZZ_CHECK(!h->ended);
    FUZZ_CHECK(event->kind <= EVENT_END && event->peer_count <= PEERS_MAX);
    h->events[event->kind]++;
    if (event->name != NULL)
        FUZZ_CHECK(text_is_name((const uint8_t *)event->name, strlen(event->name)));
    if (event->peer != 0)
        h->newest_peer = event->peer;
    if (event->kind == EVENT_END)
        h->ended = true;
    if (h->on_event != NULL)
        h->on_event(event);
    if (event->kind == EVENT_KEYWORD) {
        struct keyword k;
        FUZZ_CHECK(keyword_parse(&k, event->text, strlen(event->text)) == KEYWORD_OK && k.form == KEYWORD_ROOM);
        hand_peer_learns(h, &k);
    }
    if (event->kind != EVENT_MESSAGE) {
        if (event->text != NULL)
            FUZZ_CHECK(strlen(event->text) < 1000);
        return;
    }
    FUZZ_CHECK(event->text_size <= TEXT_BYTES_MAX && event->id >= 1 && event->id <= MESSAGE_ID_MAX);
    FUZZ_CHECK(text_is_valid((const uint8_t *)event->text, event->text_size));
    h->held_peer = event->peer;
    h->held_number = event->number;
    if (!h->holds_back)
        engine_command(h->e, h->now,
                       &(struct engine_command){.kind = COMMAND_WRITTEN, .peer = event->peer, .number = event->number});
}

static void carry_out_open(struct hand *h, const struct engine_out *out)
{
    struct engine_command c = {.kind = COMMAND_SOCKET_FAILED, .socket = out->socket};
    FUZZ_CHECK(out->socket < HAND_SOCKETS_MAX && !h->sockets[out->socket].open);
    FUZZ_CHECK(out->family == ADDR_V4 || out->family == ADDR_V6);
    if (h->refuses_sockets) {
        c.text = (const uint8_t *)"Too many open files";
        c.text_size = 19;
    } else {
        c.kind = COMMAND_SOCKET_OPENED;
        if (out->family == ADDR_V4)
            c.addr = addr_v4(0, 0, 0, 0, (uint16_t)(5000 + out->socket));
        else
            c.addr = (struct addr){.family = ADDR_V6, .port = (uint16_t)(5000 + out->socket)};
        h->sockets[out->socket].open = true;
        h->sockets[out->socket].local = c.addr;
    }
    engine_command(h->e, h->now, &c);
}

void hand_drain(struct hand *h)
{
    struct engine_out out;
    unsigned polls = 0;
    while (engine_poll(h->e, h->now, &out)) {
        FUZZ_CHECK(++polls < POLLS_MAX);
        switch (out.kind) {
        case OUT_SEND:
            carry_out_send(h, &out);
            break;
        case OUT_OPEN:
            carry_out_open(h, &out);
            break;
        case OUT_CLOSE:
            FUZZ_CHECK(out.socket < HAND_SOCKETS_MAX && h->sockets[out.socket].open);
            h->sockets[out.socket].open = false;
            break;
        case OUT_EVENT:
            carry_out_event(h, &out.event);
            break;
        }
    }
    FUZZ_CHECK(engine_deadline(h->e) > h->now);
}

/* ---- to the engine ---- */

void hand_command(struct hand *h, const struct engine_command *command)
{
    engine_command(h->e, h->now, command);
    hand_drain(h);
}

void hand_servers(struct hand *h, const struct addr *addrs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_server(h, &addrs[i]))
            h->servers[h->server_count++ % HAND_SERVERS_MAX] = addrs[i];
    hand_command(h, &(struct engine_command){.kind = COMMAND_SERVER_ADDRS, .addrs = addrs, .addr_count = count});
}

void hand_put_in(struct hand *h, uint16_t socket, const struct addr *from, const uint8_t *at, size_t size)
{
    struct addr local = h->peer.family == ADDR_V4 ? addr_v4(198, 51, 100, 10, 0) : (struct addr){0};
    uint8_t *exact = malloc(size + (size == 0));
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, at, size);
    ring_put(h->to, &h->to_count, socket, from, at, size);
    engine_input(h->e, h->now, socket, &local, from, exact, size);
    free(exact);
}

uint16_t hand_open_socket(const struct hand *h, uint16_t wanted)
{
    return wanted < HAND_SOCKETS_MAX && h->sockets[wanted].open ? wanted : ENGINE_SOCKET_V4;
}

void hand_input(struct hand *h, uint16_t socket, const struct addr *from, const uint8_t *at, size_t size)
{
    socket = hand_open_socket(h, socket);
    if (h->sockets[socket].open)
        hand_put_in(h, socket, from, at, size);
    hand_drain(h);
}

/* ---- time ---- */

void hand_run(struct hand *h, vtime_us duration)
{
    const vtime_us until = h->now + duration;
    for (unsigned i = 0; i < WAKES_EACH_MAX && h->wakes < WAKES_MAX && h->packets < PACKETS_MAX; i++, h->wakes++) {
        vtime_us due = engine_deadline(h->e);
        if (due > until)
            break;
        h->now = due > h->now ? due : h->now;
        hand_drain(h);
    }
    h->now = until; /* a shell may be late */
    hand_drain(h);
}

/* ---- beginning ---- */

void hand_begin(struct hand *h, void *engine, const struct hand_beginning *b)
{
    const uint8_t seed[RNG_SEED_BYTES] = {3}, own_seed[RNG_SEED_BYTES] = {4};
    struct engine_config config = {
        .keyword = {.form = KEYWORD_NEW}, .relay = b->relay, .name_size = 3, .name = "ann", .wait_us = b->wait_us};
    if (b->keyword != NULL)
        FUZZ_CHECK(keyword_parse(&config.keyword, b->keyword, strlen(b->keyword)) == KEYWORD_OK);
    *h = (struct hand){.e = engine,
                       .now = VTIME_S(1000),
                       .server = addr_v4(203, 0, 113, 1, 41414),
                       .peer = addr_v4(198, 51, 100, 11, 5001),
                       .elsewhere = addr_v4(192, 0, 2, 33, 5002),
                       .nat = b->nat,
                       .relay = b->relay,
                       .habits = b->meets ? HABITS_ALL : 0};
    rng_init(&h->rng, own_seed);
    if (b->keyword != NULL)
        hand_peer_learns(h, &config.keyword);
    engine_init(h->e, &config, seed, h->now);
    struct addr interfaces[2] = {b->nat == NAT_OF_NOBODY ? addr_v4(198, 51, 100, 10, 0) : addr_v4(10, 0, 0, 5, 0)};
    struct addr servers[2] = {h->server};
    FUZZ_CHECK(addr_parse(&interfaces[1], "[2001:db8::10]:0") && addr_parse(&servers[1], "[2001:db8::1]:41414"));
    hand_command(h, &(struct engine_command){.kind = COMMAND_INTERFACES, .addrs = interfaces, .addr_count = 2});
    hand_servers(h, servers, 2);
    if (b->meets) {
        hand_run(h, VTIME_S(2));
        FUZZ_CHECK(h->events[EVENT_PEER] == 1);
    }
    h->wakes = h->packets = 0;
}
