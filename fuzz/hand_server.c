#include "fuzz.h"
#include "hand_parts.h"

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

/* ---- what it answers ---- */

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

void hand_server_gets_probe(struct hand *h, uint16_t socket, const struct frame_probe *p, const struct addr *to)
{
    struct frame f = {.kind = FRAME_PROBED, .probed = {.token = p->token}};
    const struct addr server = h->server;
    h->probe = p->token;
    if (!(h->habits & HABIT_REGISTER) || (p->from != PROBE_FROM_SAME && h->nat != NAT_OF_NOBODY))
        return;
    const struct addr seen = seen_as(h, socket, to->port);
    f.probed.observed = addr_mask(&seen, p->token);
    h->server = *to;
    if (p->from != PROBE_FROM_SAME)
        h->server.port = to->port == 41414 ? 41415 : 41414;
    hand_serve(h, &f, 0, socket);
    h->server = server;
}

void hand_server_gets(struct hand *h, uint16_t socket, const struct addr *to, const uint8_t *at, size_t size)
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
        hand_server_gets_probe(h, socket, &f.probe, to);
        break;
    case FRAME_SIGNAL:
        memcpy(inside, f.signal.datagram.at, f.signal.datagram.size);
        hand_peer_gets(h, inside, f.signal.datagram.size, WAY_SIGNAL);
        break;
    case FRAME_RELAY:
        memcpy(inside, f.relay.datagram.at, f.relay.datagram.size);
        hand_peer_gets(h, inside, f.relay.datagram.size, WAY_RELAY);
        break;
    default:
        /* Sealed: a packet that opened seemed to come from here (ENGINE_AGAIN), which made it a path. */
        FUZZ_CHECK(f.kind == FRAME_LEAVE || f.kind == FRAME_SEALED);
    }
}

/* ---- what it sends ---- */

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
    socket = hand_open_socket(h, socket);
    if (size > 0 && h->sockets[socket].open)
        hand_put_in(h, socket, &h->server, bytes, size);
}
