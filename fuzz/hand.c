#include "hand.h"
#include "fuzz.h"
#include "wire/text.h"
#include "wire/varint.h"

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

/* Where a packet of this socket to that port of the server's seems to come from. */
static struct addr seen_as(struct hand *h, uint16_t socket, uint16_t port)
{
    unsigned i = 0;
    if (h->nat == NAT_OF_NOBODY)
        return addr_v4(198, 51, 100, 10, (uint16_t)(5000 + socket));
    while (i < h->mapping_count && i < HAND_MAPPINGS_MAX &&
           (h->mappings[i].socket != socket || h->mappings[i].port != port))
        i++;
    if (i == h->mapping_count || i == HAND_MAPPINGS_MAX) {
        i = h->mapping_count++ % HAND_MAPPINGS_MAX;
        h->mappings[i].socket = socket;
        h->mappings[i].port = port;
    }
    return addr_v4(198, 51, 100, 10, (uint16_t)(20000 + (h->nat == NAT_OF_COUNTING ? i : i * 7919 % 40000)));
}

static void server_gets_register(struct hand *h, uint16_t socket, const struct frame_register *r)
{
    h->token = r->token;
    h->newest = *r;
    h->server_socket = socket;
    if (!(h->habits & HABIT_REGISTER))
        return;
    struct frame f = {.kind = FRAME_REGISTERED, .registered = {.lease_s = 60, .room = r->room}};
    if (r->form == FORM_NEW)
        f.registered.room = 7;
    hand_serve(h, &f, HAND_TOKEN | HAND_SECRET | HAND_OBSERVED | HAND_ALTERNATE, socket);
    if (r->has_secret && h->habits & HABIT_INTRODUCE && !h->running)
        hand_introduce(h, 0);
}

static void server_gets_link(struct hand *h, uint16_t socket, const struct frame_link *l)
{
    struct frame f = {.kind = FRAME_LINKED};
    if (!(h->habits & HABIT_LINK) || !h->running || memcmp(l->token.token, h->seal.relay_token, RELAY_TOKEN_BYTES) != 0)
        return;
    h->link = 7;
    hand_serve(h, &f, HAND_PROOF | HAND_LINK | HAND_OBSERVED, socket);
}

/* `at`: which of its addresses was asked. An answer from elsewhere comes through to who is behind no NAT. */
static void server_gets_probe(struct hand *h, uint16_t socket, const struct frame_probe *p, const struct addr *at)
{
    struct frame f = {.kind = FRAME_PROBED, .probed = {.token = p->token}};
    const struct addr server = h->server;
    h->probe = p->token;
    if (!(h->habits & HABIT_REGISTER) || (p->from != PROBE_FROM_SAME && h->nat != NAT_OF_NOBODY))
        return;
    const struct addr seen = seen_as(h, socket, at->port);
    f.probed.observed = addr_mask(&seen, p->token);
    h->server = *at;
    if (p->from != PROBE_FROM_SAME)
        h->server.port = at->port == 41414 ? 41415 : 41414;
    hand_serve(h, &f, 0, socket);
    h->server = server;
}

static void note_packet(struct hand *h, uint64_t counter)
{
    if (counter > h->seen_largest || h->seen_before == 0) {
        uint64_t ahead = counter - h->seen_largest;
        h->seen_before = h->seen_before == 0 || ahead > 63 ? 1 : h->seen_before << ahead | 1;
        h->seen_largest = counter;
    } else if (h->seen_largest - counter < 64) {
        h->seen_before |= 1ULL << (h->seen_largest - counter);
    }
}

/* The other's part in a try to guess ports: it has some of its own to tell. */
static void answer_aim(struct hand *h, const struct frame *f, enum hand_way way)
{
    struct frame aim = {.kind = FRAME_AIM,
                        .aim = {.attempt = f->aim.attempt, .address = h->peer, .stride = 1, .count = 16}};
    uint8_t plain[128];
    if (!(h->habits & HABIT_ANSWER) || f->aim.stop)
        return;
    aim.aim.count = h->nat == NAT_OF_DICE && f->aim.attempt % 2 == 1 ? 0 : 16;
    hand_say(h, way, 0, plain, codec_encode_inner(&aim, plain, sizeof plain));
}

static void peer_gets_frame(struct hand *h, const struct frame *f, enum hand_way way)
{
    if (f->kind == FRAME_PUNCH && f->punch.challenge != 0) {
        h->challenge = f->punch.challenge;
        if (h->habits & HABIT_ANSWER) {
            const struct frame answer = {.kind = FRAME_PUNCH, .punch = {.answer = f->punch.challenge}};
            uint8_t plain[64];
            size_t size = codec_encode_inner(&answer, plain, sizeof plain);
            hand_say(h, way, 0, plain, size);
        }
    } else if (f->kind == FRAME_AIM) {
        h->attempt = f->aim.attempt;
        answer_aim(h, f, way);
    }
    if (f->kind != FRAME_PUNCH && f->kind != FRAME_ACK && f->kind != FRAME_LEAVE)
        h->ack_due = true;
}

static void say_first(struct hand *h)
{
    h->said_first = true;
    struct frame f = {.kind = FRAME_OFFER,
                      .offer = {.generation = ++h->generation, .name_size = 3, .name = "bob", .candidate_count = 1}};
    f.offer.candidates[0] = (struct candidate){.address = h->peer, .kind = CANDIDATE_HOST};
    f.offer.server_rtt_us = 40000;
    if (h->nat != NAT_OF_NOBODY) {
        f.offer.candidates[0].kind = CANDIDATE_OBSERVED;
        f.offer.mapping = f.offer.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT;
        f.offer.ports = h->nat == NAT_OF_COUNTING ? NAT_PORTS_SEQUENTIAL : NAT_PORTS_RANDOM;
    }
    uint8_t plain[PLAIN_BYTES_MAX];
    size_t size = codec_encode_inner(&f, plain, sizeof plain);
    hand_say(h, WAY_SIGNAL, TWIST_ENVELOPE | TWIST_ACK, plain, size);
}

static void peer_gets_datagram(struct hand *h, const uint8_t *at, size_t size, enum hand_way way)
{
    struct frame f;
    uint8_t plain[CIPHERTEXT_BYTES_MAX];
    if (!h->running)
        return;
    FUZZ_CHECK(codec_decode(&h->codec, at, size, &f) == DECODE_OK && f.kind == FRAME_SEALED);
    if (seal_open(&h->seal, h->now, f.sealed.session, f.sealed.epoch, f.sealed.counter, f.sealed.ciphertext.at,
                  f.sealed.ciphertext.size, OLD_KEY_US, plain) != SEAL_OPENED)
        return; /* of an older run */
    note_packet(h, f.sealed.counter);
    h->opened = true;
    struct bytes rest = {plain, f.sealed.ciphertext.size - SEAL_TAG_BYTES};
    FUZZ_CHECK(rest.size <= PLAIN_BYTES_MAX);
    while (rest.size > 0) {
        struct frame inner;
        FUZZ_CHECK(codec_decode_inner(&h->inner_codec, &rest, &inner) == DECODE_OK);
        if (inner.kind != FRAME_NONE)
            peer_gets_frame(h, &inner, way);
    }
    if (!h->said_first && h->habits & HABIT_ENVELOPE)
        say_first(h);
    if (h->ack_due && h->habits & HABIT_ACK && h->said_first)
        hand_say(h, way, TWIST_ACK, NULL, 0);
}

static void server_gets(struct hand *h, uint16_t socket, const struct addr *at_server, const uint8_t *at, size_t size)
{
    struct frame f;
    uint8_t inside[DATAGRAM_BYTES_MAX];
    FUZZ_CHECK(codec_decode(&h->codec, at, size, &f) == DECODE_OK);
    switch (f.kind) {
    case FRAME_REGISTER:
        server_gets_register(h, socket, &f.reg);
        break;
    case FRAME_LINK:
        server_gets_link(h, socket, &f.link);
        break;
    case FRAME_PROBE:
        server_gets_probe(h, socket, &f.probe, at_server);
        break;
    case FRAME_SIGNAL:
        memcpy(inside, f.signal.datagram.at, f.signal.datagram.size);
        peer_gets_datagram(h, inside, f.signal.datagram.size, WAY_SIGNAL);
        break;
    case FRAME_RELAY:
        memcpy(inside, f.relay.datagram.at, f.relay.datagram.size);
        peer_gets_datagram(h, inside, f.relay.datagram.size, WAY_RELAY);
        break;
    default:
        /* Sealed: a packet that opened seemed to come from here (ENGINE_AGAIN), which made it a path. */
        FUZZ_CHECK(f.kind == FRAME_LEAVE || f.kind == FRAME_SEALED);
    }
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
        server_gets(h, out->socket, &out->to, bytes, out->size);
    } else if (f.kind == FRAME_SEALED && h->nat == NAT_OF_NOBODY && addr_equal(&out->to, &h->peer)) {
        h->direct_socket = out->socket;
        peer_gets_datagram(h, bytes, out->size, WAY_DIRECT);
    } else if (f.kind == FRAME_PROBE) {
        if (addr_ip_equal(&out->to, &h->server))
            server_gets_probe(h, out->socket, &f.probe, &out->to);
    } else {
        FUZZ_CHECK(f.kind == FRAME_SEALED); /* nothing else goes to strangers */
    }
}

static void learn_keyword(struct hand *h, const struct keyword *k)
{
    uint8_t ci[KEYWORD_CI_MAX];
    const struct cpace_part prs = {k->normal, k->size}, channel = {ci, keyword_ci(k, ci)}, sid = {NULL, 0};
    const struct cpace_part wrong = {(const uint8_t *)"wrong", 5};
    FUZZ_CHECK(cpace_generator(h->generator, &prs, &channel, &sid));
    FUZZ_CHECK(cpace_generator(h->wrong_generator, &wrong, &channel, &sid));
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
        learn_keyword(h, &k);
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

/* Not drained: this may be an answer in the middle of draining. */
static void put_in(struct hand *h, uint16_t socket, const struct addr *from, const uint8_t *at, size_t size)
{
    struct addr local = h->peer.family == ADDR_V4 ? addr_v4(198, 51, 100, 10, 0) : (struct addr){0};
    uint8_t *exact = malloc(size + (size == 0));
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, at, size);
    ring_put(h->to, &h->to_count, socket, from, at, size);
    engine_input(h->e, h->now, socket, &local, from, exact, size);
    free(exact);
}

/* A shell gives the engine what came to a socket that is open. */
static uint16_t open_socket(const struct hand *h, uint16_t wanted)
{
    return wanted < HAND_SOCKETS_MAX && h->sockets[wanted].open ? wanted : ENGINE_SOCKET_V4;
}

void hand_input(struct hand *h, uint16_t socket, const struct addr *from, const uint8_t *at, size_t size)
{
    socket = open_socket(h, socket);
    if (h->sockets[socket].open)
        put_in(h, socket, from, at, size);
    hand_drain(h);
}

static void patch(struct hand *h, struct frame *f, unsigned what, uint16_t socket)
{
    const struct addr seen = seen_as(h, socket, h->server.port);
    switch (f->kind) {
    case FRAME_REGISTERED:
        if (what & HAND_TOKEN)
            f->registered.token = h->token;
        if (what & HAND_SECRET) {
            if (!h->registered) {
                rng_bytes(&h->rng, h->secret, sizeof h->secret);
                h->handle = rng_token(&h->rng);
                h->registered = true;
            }
            memcpy(f->registered.secret, h->secret, SECRET_BYTES);
            h->proof = seal_proof(h->secret);
            f->registered.handle = h->handle;
            f->registered.cookie_size = COOKIE_BYTES;
        }
        if (what & HAND_OBSERVED)
            f->registered.observed = addr_mask(&seen, f->registered.token);
        if (what & HAND_ALTERNATE)
            f->registered.alternate = (struct addr){.port = 41415};
        break;
    case FRAME_RETRY:
        if (what & HAND_TOKEN)
            f->retry.token = h->token;
        break;
    case FRAME_REFUSED:
        f->refused.token = what & HAND_TOKEN ? h->token : f->refused.token;
        f->refused.proof = what & HAND_PROOF ? h->proof : f->refused.proof;
        break;
    case FRAME_PROBED:
        if (what & HAND_TOKEN)
            f->probed.token = h->probe;
        if (what & HAND_OBSERVED)
            f->probed.observed = addr_mask(&seen, f->probed.token);
        break;
    case FRAME_PEER_INFO:
        if (what & HAND_HANDLE)
            f->peer_info.handle = h->peer_handle + (h->peer_handle == 0);
        if (what & HAND_POINT && h->newest.share_count > 0)
            memcpy(f->peer_info.own_point, h->newest.shares[f->peer_info.own_point[0] % h->newest.share_count].point,
                   CPACE_POINT_BYTES);
        break;
    case FRAME_SIGNAL:
        f->signal.has_secret = false;
        f->signal.proof = what & HAND_PROOF ? h->proof + (h->proof == 0) : f->signal.proof + (f->signal.proof == 0);
        if (what & HAND_HANDLE)
            f->signal.handle = h->peer_handle + (h->peer_handle == 0);
        if (what & HAND_POINT)
            memcpy(f->signal.point, h->share.point, CPACE_POINT_BYTES);
        break;
    case FRAME_RELAY:
        f->relay.has_secret = false;
        f->relay.proof = what & HAND_PROOF ? h->proof + (h->proof == 0) : f->relay.proof + (f->relay.proof == 0);
        if (what & HAND_LINK)
            f->relay.link = 7;
        break;
    case FRAME_LINKED:
        if (what & HAND_PROOF)
            f->linked.proof = h->proof;
        if (what & HAND_LINK) {
            f->linked.link = 7;
            memcpy(f->linked.token, h->seal.relay_token, RELAY_TOKEN_BYTES);
        }
        if (what & HAND_OBSERVED) {
            uint64_t token;
            memcpy(&token, f->linked.token, sizeof token);
            f->linked.observed = addr_mask(&h->peer, token);
        }
        break;
    case FRAME_LEAVE:
        f->leave.has_secret = false;
        f->leave.proof = what & HAND_PROOF ? h->proof + (h->proof == 0) : f->leave.proof + (f->leave.proof == 0);
        break;
    default:
        break;
    }
}

void hand_serve(struct hand *h, struct frame *f, unsigned what, uint16_t socket)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    patch(h, f, what, socket);
    size_t size = codec_encode(f, bytes, sizeof bytes);
    socket = open_socket(h, socket);
    if (size > 0 && h->sockets[socket].open)
        put_in(h, socket, &h->server, bytes, size);
}

static size_t unused_share(const struct hand *h)
{
    size_t which = 0;
    while (which < h->newest.share_count &&
           memcmp(h->newest.shares[which].point, h->used_point, CPACE_POINT_BYTES) == 0)
        which++;
    return which;
}

void hand_introduce(struct hand *h, unsigned how)
{
    const size_t which = unused_share(h);
    struct frame f = {.kind = FRAME_PEER_INFO};
    if (which == h->newest.share_count)
        return;
    const struct share_public theirs = h->newest.shares[which];
    cpace_share(&h->rng, how & RUN_WRONG ? h->wrong_generator : h->generator, h->scalar, h->share.point);
    rng_bytes(&h->rng, h->nonce, sizeof h->nonce);
    seal_commit(h->share.commitment, h->nonce);
    memcpy(h->used_point, theirs.point, CPACE_POINT_BYTES);

    struct cpace_result result;
    const struct cpace_part sid = {NULL, 0}, own = {h->share.commitment, 32}, other = {theirs.commitment, 32};
    if (!cpace_finish(&result, h->scalar, &sid, h->share.point, &own, theirs.point, &other))
        return;
    memcpy(h->before_key, h->seal.same_key, sizeof h->before_key);
    h->before_side = h->seal.side;
    memcpy(h->run_id, result.sid_output, sizeof h->run_id);
    seal_init(&h->seal, &result, h->now);
    h->how = how;
    h->running = true;
    h->opened = h->ack_due = false;
    h->said_first = (how & RUN_SILENT) != 0;
    h->seen_largest = h->seen_before = h->stream_end = h->challenge = 0;
    h->link = 0;
    if (!(how & RUN_HANDLE) || h->peer_handle == 0)
        h->peer_handle++;
    memcpy(f.peer_info.own_point, theirs.point, CPACE_POINT_BYTES);
    f.peer_info.share = how & RUN_REFLECTED ? theirs : h->share;
    hand_serve(h, &f, HAND_HANDLE, h->server_socket);
    if (how & (RUN_WRONG | RUN_FIRST) && !h->said_first)
        say_first(h);
}

/* ---- packets of the session ---- */

static size_t put_ack(struct hand *h, uint8_t *ret, size_t cap)
{
    struct frame f = {.kind = FRAME_ACK};
    for (unsigned bit = 0; bit < 64 && f.ack.range_count < ACK_RANGES_MAX;) {
        if (!(h->seen_before >> bit & 1) || bit > h->seen_largest) {
            bit++;
            continue;
        }
        struct ack_range *r = &f.ack.ranges[f.ack.range_count++];
        r->last = h->seen_largest - bit;
        while (bit < 64 && bit <= h->seen_largest && h->seen_before >> bit & 1)
            bit++;
        r->first = h->seen_largest - bit + 1;
    }
    h->ack_due = false;
    return f.ack.range_count == 0 ? 0 : codec_encode_inner(&f, ret, cap);
}

/* A record of the stream with what was to be its data as text. */
static size_t put_record(struct hand *h, uint8_t *ret, const struct bytes *text)
{
    size_t size = text->size < 1000 ? text->size : 1000;
    size_t used = varint_put(ret, VARINT_BYTES_MAX, ++h->next_id);
    used += varint_put(ret + used, VARINT_BYTES_MAX, size);
    for (size_t i = 0; i < size; i++)
        ret[used + i] = text->at[i] % 128 == 0 ? 'x' : text->at[i] % 128;
    return used + size;
}

static size_t put_right(struct hand *h, struct frame *f, unsigned how, uint8_t *ret, size_t cap)
{
    uint8_t record[MESSAGE_DATA_BYTES_MAX];
    switch (f->kind) {
    case FRAME_PUNCH:
        if (how & TWIST_RIGHT)
            f->punch.answer = h->challenge;
        break;
    case FRAME_OFFER:
        if (how & TWIST_RIGHT)
            f->offer.generation = ++h->generation;
        break;
    case FRAME_AIM:
        if (how & TWIST_RIGHT)
            f->aim.attempt = h->attempt + f->aim.attempt % 2;
        f->aim.attempt += f->aim.attempt == 0;
        break;
    case FRAME_ENVELOPE:
        if (how & TWIST_RIGHT)
            memcpy(f->envelope.nonce, h->nonce, sizeof h->nonce);
        break;
    case FRAME_MESSAGE:
        if (how & TWIST_RECORD)
            f->message.data = (struct bytes){record, put_record(h, record, &f->message.data)};
        if (how & TWIST_RIGHT) {
            f->message.offset = h->stream_end;
            h->stream_end += f->message.data.size;
        }
        break;
    default:
        break;
    }
    return codec_encode_inner(f, ret, cap);
}

/* Frames that decode are put right as `how` says, and the rest is left as it is. */
static size_t put_plain(struct hand *h, unsigned how, const uint8_t *plain, size_t size, size_t room, uint8_t *ret)
{
    struct bytes rest = {plain, size};
    size_t used = 0;
    if (how & TWIST_ENVELOPE) {
        struct frame f = {.kind = FRAME_ENVELOPE};
        memcpy(f.envelope.nonce, h->nonce, sizeof h->nonce);
        f.envelope.same_count = (h->how & RUN_SAME) != 0;
        f.envelope.same[0] = seal_same_tag(h->before_key, h->before_side, false, h->run_id);
        f.envelope.pending_count = (h->how & RUN_PENDING) != 0;
        f.envelope.pending[0] = seal_same_tag(h->before_key, h->before_side, !(h->how & RUN_OVER), h->run_id);
        used += codec_encode_inner(&f, ret, room);
    }
    if (how & TWIST_ACK)
        used += put_ack(h, ret + used, room - used);
    while (rest.size > 0 && how & (TWIST_RIGHT | TWIST_RECORD)) {
        struct frame f;
        const uint8_t *before = rest.at;
        enum decode_result result = codec_decode_inner(&h->codec, &rest, &f);
        if (result != DECODE_OK)
            break;
        size_t whole = (size_t)(rest.at - before);
        if (f.kind != FRAME_NONE) {
            used += put_right(h, &f, how, ret + used, room - used);
        } else if (whole <= room - used) {
            memcpy(ret + used, before, whole);
            used += whole;
        }
    }
    if (rest.size > room - used)
        rest.size = room - used;
    if (rest.size > 0)
        memcpy(ret + used, rest.at, rest.size);
    return used + rest.size;
}

/* Datagrams that had no effect, for whatever reason: a copy of a packet has to be among them. */
static uint64_t refused(const struct hand *h)
{
    static const char *const names[] = {"datagrams_dropped", "server_frames_refused", "packets_forged",
                                        "packets_replayed", "guesses_wrong"};
    struct engine_stat stats[ENGINE_STATS_MAX];
    size_t count = engine_stats(h->e, stats);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < COUNT(names); k++)
            if (strcmp(stats[i].name, names[k]) == 0)
                sum += stats[i].value;
    return sum;
}

static void send_sealed(struct hand *h, enum hand_way way, const uint8_t *datagram, size_t size)
{
    struct frame f = {.kind = FRAME_SIGNAL};
    switch (way) {
    case WAY_SIGNAL:
        f.signal.datagram = (struct bytes){datagram, size};
        hand_serve(h, &f, HAND_PROOF | HAND_HANDLE | HAND_POINT, h->server_socket);
        break;
    case WAY_RELAY:
        f.kind = FRAME_RELAY;
        f.relay.datagram = (struct bytes){datagram, size};
        hand_serve(h, &f, HAND_PROOF | HAND_LINK, h->server_socket);
        break;
    default: {
        uint16_t socket = open_socket(h, h->direct_socket);
        if (h->sockets[socket].open)
            put_in(h, socket, way == WAY_DIRECT ? &h->peer : &h->elsewhere, datagram, size);
    }
    }
}

void hand_say(struct hand *h, enum hand_way way, unsigned how, const uint8_t *plain, size_t size)
{
    uint8_t row[PLAIN_BYTES_MAX], ciphertext[CIPHERTEXT_BYTES_MAX], bytes[DATAGRAM_BYTES_MAX];
    size_t room = way == WAY_SIGNAL ? PLAIN_SIGNAL_BYTES_MAX : PLAIN_BYTES_MAX;
    if (!h->running)
        return;
    size_t used = put_plain(h, how, plain, size, room, row);
    if (used == 0)
        return;
    if (how & TWIST_JUMP)
        h->seal.counter += 1 + (used * 37) % 5000;
    if (how & TWIST_EPOCH) { /* due, and allowed */
        h->seal.epoch_confirmed = true;
        h->seal.send.packets = RATCHET_PACKETS;
    }
    struct frame f = {.kind = FRAME_SEALED, .sealed = {.session = h->seal.send.session}};
    seal_packet(&h->seal, h->now, row, used, ciphertext, &f.sealed.counter, &f.sealed.epoch);
    if (how & TWIST_FLIP)
        ciphertext[used / 2] ^= 1;
    f.sealed.ciphertext = (struct bytes){ciphertext, used + SEAL_TAG_BYTES};
    size = codec_encode(&f, bytes, sizeof bytes);
    FUZZ_CHECK(size > 0);
    send_sealed(h, way, bytes, size);
    if (!(how & TWIST_TWICE))
        return;
    const uint64_t before = refused(h);
    const unsigned count = h->to_count;
    send_sealed(h, way, bytes, size);
    /* Not even counted is what comes directly to somebody who hides, and a Signal when its introduction is over. */
    bool counted = way == WAY_RELAY || (way >= WAY_DIRECT && h->relay != RELAY_ONLY);
    FUZZ_CHECK(!counted || refused(h) > before || h->to_count == count);
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
        learn_keyword(h, &config.keyword);
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
