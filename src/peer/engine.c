#include "peer/engine.h"
#include "peer/internal.h"
#include "wire/text.h"
#include "wire/words.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* A call that comes this much later than it was asked for: the machine slept. */
#define SLEPT_US VTIME_S(10)

size_t engine_size(void)
{
    return sizeof(struct engine);
}

void engine_init(struct engine *e, const struct engine_config *config, const uint8_t seed[static RNG_SEED_BYTES],
                 vtime_us now)
{
    e->config = *config;
    e->keyword = config->keyword;
    e->now = now;
    e->alone_since = now;
    e->owed_until = VTIME_NEVER;
    for (uint16_t i = 0; i <= ENGINE_SOCKET_V6; i++)
        e->sockets[i] = (struct engine_socket){.use = SOCKET_MAIN, .family = i == ENGINE_SOCKET_V6 ? ADDR_V6 : ADDR_V4};
    e->pool_work = 2;
    rng_init(&e->rng, seed);
    rendezvous_init(e, now);
    if (e->keyword.form != KEYWORD_NEW)
        stock_init(&e->stock, &e->keyword, &e->rng, now);
    checks_own_offer(e);
}

bool engine_out_datagram(struct engine *e, struct engine_out *ret, uint16_t socket, const struct addr *to, size_t size)
{
    if (size == 0)
        return false;
    *ret = (struct engine_out){.kind = OUT_SEND, .socket = socket, .to = *to, .bytes = e->datagram, .size = size};
    e->count.datagrams_out++;
    e->count.bytes_out += size;
    return true;
}

void engine_wipe(struct engine *e)
{
    stock_wipe(&e->stock);
    sodium_memzero(&e->keyword, sizeof e->keyword);
    sodium_memzero(&e->config.keyword, sizeof e->config.keyword);
    sodium_memzero(e->rv.secret, sizeof e->rv.secret);
    sodium_memzero(e->spoken, sizeof e->spoken);
    sodium_memzero(e->heard, sizeof e->heard);
    sodium_memzero(e->again, sizeof e->again);
    sodium_memzero(e->datagram, sizeof e->datagram); /* the Leave with the secret */
    sodium_memzero(&e->codec, sizeof e->codec);
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        seal_wipe(&e->peers[i].seal);
        sodium_memzero(&e->peers[i].own, sizeof e->peers[i].own);
    }
}

/* ---- input ---- */

static bool proves(struct engine *e, uint64_t proof)
{
    if (e->rv.has_secret && proof == e->rv.proof)
        return true;
    e->count.server_frames_refused++;
    return false;
}

static void input_sealed_inside(struct engine *e, vtime_us now, struct bytes datagram, struct peer *expected)
{
    struct frame f;
    if (codec_decode(&e->codec, datagram.at, datagram.size, &f) == DECODE_OK && f.kind == FRAME_SEALED)
        session_sealed(e, now, &f.sealed, 0, NULL, expected);
    else if (expected != NULL && expected->state == PEER_RUN)
        introduce_wrong(e, expected);
}

static void input_server(struct engine *e, vtime_us now, const struct frame *f)
{
    struct peer *p;
    switch (f->kind) {
    case FRAME_REGISTERED:
        rendezvous_registered(e, now, &f->registered);
        break;
    case FRAME_RETRY:
        rendezvous_retry(e, now, &f->retry);
        break;
    case FRAME_REFUSED:
        rendezvous_refused(e, now, &f->refused);
        break;
    case FRAME_PEER_INFO:
        introduce_peer_info(e, now, &f->peer_info);
        break;
    case FRAME_SIGNAL:
        p = proves(e, f->signal.proof) ? introduce_find(e, f->signal.point) : NULL;
        if (p != NULL)
            input_sealed_inside(e, now, f->signal.datagram, introduce_is_own(p, f->signal.point) ? p : NULL);
        break;
    case FRAME_LINKED:
        if (proves(e, f->linked.proof))
            session_linked(e, &f->linked);
        break;
    case FRAME_RELAY:
        if (proves(e, f->relay.proof))
            input_sealed_inside(e, now, f->relay.datagram, NULL);
        break;
    case FRAME_LEAVE:
        if (proves(e, f->leave.proof))
            rendezvous_server_leaves(e, now);
        break;
    default:
        e->count.dropped++;
    }
}

static void input_probed(struct engine *e, vtime_us now, const struct addr *from, const struct frame_probed *f)
{
    if (!classify_probed(e, from, f) && !hard_probed(e, from, f) && !outside_probed(e, now, from, f))
        e->count.server_frames_refused++;
}

static void note_time(struct engine *e, vtime_us now)
{
    vtime_us due = engine_deadline(e);
    if (now > e->now + SLEPT_US && due != VTIME_NEVER && now > due + SLEPT_US) {
        e->rv.back_at = now; /* peers' silence counts anew */
        rendezvous_soon(e, now);
    }
    e->now = now > e->now ? now : e->now;
}

void engine_input(struct engine *e, vtime_us now, uint16_t socket, const struct addr *local, const struct addr *from,
                  const uint8_t *at, size_t size)
{
    struct frame f;
    (void)local;
    note_time(e, now);
    e->count.datagrams_in++;
    e->count.bytes_in += size;
    /* While saying goodbye, letters are given up one by one: no Receipt may come for them any more. */
    if (e->phase != PHASE_RUNNING || codec_decode(&e->codec, at, size, &f) != DECODE_OK) {
        e->count.dropped++;
        return;
    }
    if (f.kind == FRAME_SEALED)
        session_sealed(e, now, &f.sealed, socket, from, NULL);
    else if (f.kind == FRAME_PROBED)
        input_probed(e, now, from, &f.probed);
    else if (rendezvous_from_server(e, from))
        input_server(e, now, &f);
    else
        e->count.dropped++;
}

/* ---- commands ---- */

static void take_interfaces(struct engine *e, const struct engine_command *c)
{
    e->interface_count = c->addr_count < ENGINE_INTERFACES_MAX ? c->addr_count : ENGINE_INTERFACES_MAX;
    for (size_t i = 0; i < e->interface_count; i++) {
        e->interfaces[i] = c->addrs[i];
        e->prefixes[i] = c->prefixes != NULL ? c->prefixes[i] : (c->addrs[i].family == ADDR_V6 ? 64 : 24);
    }
    checks_own_offer(e);
}

static void take_name(struct engine *e, const struct engine_command *c)
{
    if (c->text_size > NAME_BYTES_MAX || !text_is_name(c->text, c->text_size)) {
        events_note(e, EVENT_ERROR, "bad-command", "a name is at most 64 bytes of UTF-8 without control characters");
        return;
    }
    e->config.name_size = (uint8_t)c->text_size;
    memcpy(e->config.name, c->text, c->text_size);
    checks_own_offer(e);
}

static void for_peer(struct engine *e, const struct engine_command *c)
{
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *p = &e->peers[i];
        if ((p->state != PEER_LIVE && p->state != PEER_LEAVING) || p->number != c->peer)
            continue;
        if (c->kind == COMMAND_IGNORE) {
            p->ignored = true;
        } else if (c->number > p->inbox.written && c->number <= p->inbox.messages) {
            inbox_written(&p->inbox, c->number);
            p->due |= CARRIED_RECEIPT;
        }
        return;
    }
    for (unsigned i = 0; i < GHOSTS_MAX; i++)
        if (c->kind == COMMAND_WRITTEN && e->unwritten[i].peer == c->peer && c->number >= e->unwritten[i].number)
            e->unwritten[i].peer = 0;
    if (c->kind == COMMAND_IGNORE)
        events_note(e, EVENT_ERROR, "bad-command", "no such peer");
}

static void take_trouble(struct engine *e, const struct engine_command *c, bool resolving)
{
    int size = (int)(c->text_size < 70 ? c->text_size : 70);
    snprintf(e->rv.trouble, sizeof e->rv.trouble, "%.*s", size, size > 0 ? (const char *)c->text : "");
    if (!resolving || e->rv.addr_count > 0 || e->rv.lost_told)
        return;
    char text[EVENT_TEXT_MAX];
    snprintf(text, sizeof text, "the server's name cannot be resolved: %s; trying on", e->rv.trouble);
    events_note(e, EVENT_ERROR, "server-unreachable", text);
    e->rv.lost_told = true;
}

static void take_socket(struct engine *e, const struct engine_command *c)
{
    if (c->socket >= ENGINE_SOCKETS_MAX)
        return;
    pool_opened(e, c->socket, c->kind == COMMAND_SOCKET_OPENED ? &c->addr : NULL);
    if (c->socket > ENGINE_SOCKET_V6)
        return;
    checks_own_offer(e);
    if (e->sockets[ENGINE_SOCKET_V4].failed && e->sockets[ENGINE_SOCKET_V6].failed && !e->rv.lost_told) {
        events_note(e, EVENT_ERROR, "server-unreachable", "no UDP socket can be opened");
        e->rv.lost_told = true;
    }
}

void engine_command(struct engine *e, vtime_us now, const struct engine_command *c)
{
    note_time(e, now);
    if (e->phase == PHASE_ENDED)
        return; /* nothing comes after EVENT_END */
    switch (c->kind) {
    case COMMAND_SEND:
        delivery_send(e, now, c);
        break;
    case COMMAND_NAME:
        take_name(e, c);
        break;
    case COMMAND_IGNORE:
    case COMMAND_WRITTEN:
        for_peer(e, c);
        break;
    case COMMAND_FINISH:
        if (!e->finishing) {
            e->finishing = true;
            e->finish_since = now;
        }
        break;
    case COMMAND_QUIT:
        delivery_end(e, now);
        break;
    case COMMAND_SERVER_ADDRS:
        rendezvous_addrs(e, now, c->addrs, c->addr_count);
        break;
    case COMMAND_SERVER_UNKNOWN:
        take_trouble(e, c, true);
        break;
    case COMMAND_SEND_FAILED:
        if (rendezvous_from_server(e, &c->addr))
            take_trouble(e, c, false);
        break;
    case COMMAND_SOCKET_OPENED:
    case COMMAND_SOCKET_FAILED:
        take_socket(e, c);
        break;
    case COMMAND_INTERFACES:
        take_interfaces(e, c);
        break;
    case COMMAND_ENTROPY:
        rng_reseed(&e->rng, c->entropy);
        break;
    }
}

/* ---- poll ---- */

static bool poll_peers(struct engine *e, vtime_us now, struct engine_out *ret)
{
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *p = &e->peers[i];
        if (p->state != PEER_RUN && p->state != PEER_LIVE)
            continue;
        session_timers(e, now, p);
        if (p->state != PEER_RUN && p->state != PEER_LIVE)
            continue;
        if (packet_poll(e, now, p, ret) || session_link_poll(e, now, p, ret)) /* the first may ask for the second */
            return true;
    }
    return false;
}

bool engine_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    note_time(e, now);
    if (events_poll(e, ret) || delivery_poll(e, now, ret))
        return true;
    if (e->phase == PHASE_ENDED)
        return false;
    if (e->phase == PHASE_GOODBYE)
        return delivery_goodbye_poll(e, now, ret);
    /* Before the peers: these two may make something that their packets carry. */
    if (pool_poll(e, ret) || rendezvous_poll(e, now, ret) || outside_poll(e, now, ret) || classify_poll(e, now, ret) ||
        hard_poll(e, now, ret) || poll_peers(e, now, ret) || again_poll(e, now, ret))
        return true;
    delivery_timers(e, now);
    return events_poll(e, ret) || delivery_poll(e, now, ret) || delivery_goodbye_poll(e, now, ret);
}

vtime_us engine_deadline(const struct engine *e)
{
    if (e->phase == PHASE_ENDED)
        return VTIME_NEVER;
    vtime_us at = vtime_min(vtime_min(rendezvous_deadline(e), outside_deadline(e)), delivery_deadline(e));
    at = vtime_min(vtime_min(at, again_deadline(e)), vtime_min(classify_deadline(e), hard_deadline(e)));
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        at = vtime_min(at, session_deadline(e, &e->peers[i]));
    return at;
}
