/* server_rig.h: a server core, its clock and its clients, for the tests of the core. Every datagram that
 * leaves is decoded and logged, and for every address the bytes both ways are counted. */
#ifndef TESTS_SERVER_RIG_H
#define TESTS_SERVER_RIG_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "server/core.h"
#include "wire/seal.h"

enum { RIG_LOG_MAX = 4096 };

struct rig_sent {
    struct addr to, local;
    uint16_t socket;
    size_t size;
    struct frame frame;
    uint8_t bytes[DATAGRAM_BYTES_MAX];
};

struct rig {
    struct server *server;
    vtime_us now;
    struct codec codec;
    struct rig_sent *log; /* of the newest rig_ call that sends or waits */
    size_t log_count;
};

struct rig_client {
    struct addr addr;
    uint64_t token, handle;
    uint8_t secret[SECRET_BYTES], cookie[COOKIE_BYTES_MAX];
    uint8_t cookie_size;
    bool registered;
    uint32_t room;
    uint8_t bits_wanted;
    uint32_t shares_made;
    struct share_public shares[SHARES_MAX]; /* the stock, as the client believes */
    uint8_t share_count;
    uint8_t link_count;
    struct relay_token links[LINKS_MAX]; /* what was presented by rig_link; every Register with a secret lists it */
};

static inline void rig_start(struct rig *r, const struct server_config *config)
{
    static const struct server_config standard;
    const uint8_t seed[RNG_SEED_BYTES] = {1, 2, 3};
    if (config == NULL)
        config = &standard;
    memset(r, 0, sizeof *r);
    r->now = VTIME_S(1000);
    r->server = calloc(1, server_size(config));
    r->log = calloc(RIG_LOG_MAX, sizeof *r->log);
    assert_non_null(r->server);
    assert_non_null(r->log);
    server_init(r->server, config, seed, r->now);
}

static inline void rig_stop(struct rig *r)
{
    free(r->server);
    free(r->log);
}

static inline void rig_drain(struct rig *r)
{
    struct server_out out;
    while (server_poll(r->server, r->now, &out)) {
        assert_true(r->log_count < RIG_LOG_MAX);
        struct rig_sent *sent = &r->log[r->log_count++];
        *sent = (struct rig_sent){.to = out.to, .local = out.local, .socket = out.socket, .size = out.size};
        memcpy(sent->bytes, out.bytes, out.size);
        assert_int_equal(codec_decode(&r->codec, sent->bytes, sent->size, &sent->frame), DECODE_OK);
    }
}

static inline void rig_input(struct rig *r, const struct addr *from, const uint8_t *at, size_t size)
{
    const struct addr local = addr_v4(192, 0, 2, 1, 0);
    r->log_count = 0;
    server_input(r->server, r->now, 0, &local, from, at, size);
    rig_drain(r);
}

/* Returns the bytes that it took. */
static inline size_t rig_send(struct rig *r, const struct addr *from, const struct frame *f)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    size_t size = codec_encode(f, bytes, sizeof bytes);
    assert_true(size > 0);
    rig_input(r, from, bytes, size);
    return size;
}

/* Lets time pass from deadline to deadline, as a shell would. */
static inline void rig_wait(struct rig *r, vtime_us us)
{
    const vtime_us until = r->now + us;
    r->log_count = 0;
    for (int i = 0; server_deadline(r->server) <= until; i++) {
        assert_true(i < 1000000);
        if (server_deadline(r->server) > r->now)
            r->now = server_deadline(r->server);
        rig_drain(r);
        assert_true(server_deadline(r->server) > r->now);
    }
    r->now = until;
    rig_drain(r);
}

static inline uint64_t rig_stat(const struct rig *r, const char *name)
{
    struct server_stat stats[SERVER_STATS_MAX];
    size_t count = server_stats(r->server, stats);
    for (size_t i = 0; i < count; i++)
        if (strcmp(stats[i].name, name) == 0)
            return stats[i].value;
    fail_msg("no counter named %s", name);
    return 0;
}

/* ---- what was sent ---- */

static inline size_t rig_count(const struct rig *r, const struct addr *to, enum frame_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < r->log_count; i++)
        count += addr_equal(&r->log[i].to, to) && r->log[i].frame.kind == kind;
    return count;
}

/* The `nth` of a kind, counted from 0; NULL if there are fewer. */
static inline const struct frame *rig_find(const struct rig *r, const struct addr *to, enum frame_kind kind, size_t nth)
{
    for (size_t i = 0; i < r->log_count; i++)
        if (addr_equal(&r->log[i].to, to) && r->log[i].frame.kind == kind && nth-- == 0)
            return &r->log[i].frame;
    return NULL;
}

static inline const struct frame *rig_expect(const struct rig *r, const struct addr *to, enum frame_kind kind)
{
    const struct frame *f = rig_find(r, to, kind, 0);
    if (f == NULL)
        fail_msg("no frame of kind %d was sent there", kind);
    return f;
}

/* ---- clients ---- */

static inline struct rig_client rig_client(uint16_t number)
{
    return (struct rig_client){.addr =
                                   addr_v4(198, 51, (uint8_t)(100 + number / 200), (uint8_t)(number % 200 + 1), 4000),
                               .token = 1000000U + number};
}

/* Fills the stock with shares that no other client and no earlier stock has. */
static inline void rig_stock(struct rig_client *c, uint8_t count)
{
    c->share_count = 0;
    while (c->share_count < count) {
        struct share_public *share = &c->shares[c->share_count++];
        c->shares_made++;
        memset(share, 0x5a, sizeof *share);
        memcpy(share->point, &c->addr, sizeof c->addr);
        memcpy(share->point + 24, &c->shares_made, sizeof c->shares_made);
    }
}

static inline struct frame rig_register_frame(struct rig_client *c, uint8_t form, uint32_t room)
{
    struct frame f = {.kind = FRAME_REGISTER,
                      .reg = {.token = ++c->token,
                              .form = form,
                              .room = room,
                              .cookie_size = c->cookie_size,
                              .share_count = c->share_count,
                              .has_secret = c->registered,
                              .pad = !c->registered}};
    memcpy(f.reg.cookie, c->cookie, c->cookie_size);
    memcpy(f.reg.secret, c->secret, SECRET_BYTES);
    memcpy(f.reg.shares, c->shares, c->share_count * sizeof c->shares[0]);
    f.reg.link_count = c->registered ? c->link_count : 0;
    memcpy(f.reg.links, c->links, f.reg.link_count * sizeof c->links[0]);
    return f;
}

/* Takes what a Registered says; true if there was one for the newest request. */
static inline bool rig_take_registered(struct rig *r, struct rig_client *c)
{
    const struct frame *f = rig_find(r, &c->addr, FRAME_REGISTERED, 0);
    if (f == NULL)
        return false;
    assert_int_equal(f->registered.token, c->token);
    const struct addr observed = addr_mask(&f->registered.observed, c->token);
    assert_true(addr_equal(&observed, &c->addr));
    c->registered = true;
    c->handle = f->registered.handle;
    c->room = f->registered.room;
    c->bits_wanted = f->registered.bits_wanted;
    c->cookie_size = f->registered.cookie_size;
    memcpy(c->secret, f->registered.secret, SECRET_BYTES);
    memcpy(c->cookie, f->registered.cookie, c->cookie_size);
    return true;
}

static inline bool rig_register(struct rig *r, struct rig_client *c, uint8_t form, uint32_t room)
{
    struct frame f = rig_register_frame(c, form, room);
    rig_send(r, &c->addr, &f);
    return rig_take_registered(r, c);
}

static inline bool rig_register_open(struct rig *r, struct rig_client *c, uint8_t bits, uint8_t prefix)
{
    struct frame f = rig_register_frame(c, FORM_OPEN, 0);
    f.reg.prefix_bits = bits;
    f.reg.prefix = prefix;
    rig_send(r, &c->addr, &f);
    return rig_take_registered(r, c);
}

/* First Register and echo. */
static inline void rig_join(struct rig *r, struct rig_client *c, uint32_t room, uint8_t shares)
{
    rig_stock(c, shares);
    assert_true(rig_register(r, c, FORM_ROOM, room));
    assert_true(rig_register(r, c, FORM_ROOM, room));
}

static inline uint64_t rig_proof(const struct rig_client *c)
{
    return seal_proof(c->secret);
}

/* `point`: of the sender's share. */
static inline void rig_signal(struct rig *r, const struct rig_client *c, uint64_t to, const uint8_t point[static 32],
                              const uint8_t *datagram, size_t size)
{
    struct frame f = {.kind = FRAME_SIGNAL, .signal = {.has_secret = true, .handle = to, .datagram = {datagram, size}}};
    memcpy(f.signal.secret, c->secret, SECRET_BYTES);
    memcpy(f.signal.point, point, 32);
    rig_send(r, &c->addr, &f);
}

static inline void rig_link(struct rig *r, struct rig_client *c, uint8_t token, uint8_t side, bool may_tell)
{
    struct frame f = {.kind = FRAME_LINK, .link = {.token = {.side = side, .may_tell = may_tell}}};
    uint8_t      i = 0;
    memcpy(f.link.secret, c->secret, SECRET_BYTES);
    memset(f.link.token.token, token, RELAY_TOKEN_BYTES);
    while (i < c->link_count && c->links[i].token[0] != token)
        i++;
    if (i == c->link_count && i < LINKS_MAX)
        c->link_count++;
    if (i < LINKS_MAX)
        c->links[i] = f.link.token;
    rig_send(r, &c->addr, &f);
}

static inline void rig_relay(struct rig *r, const struct rig_client *c, uint32_t link, const uint8_t *datagram,
                             size_t size)
{
    struct frame f = {.kind = FRAME_RELAY, .relay = {.has_secret = true, .link = link, .datagram = {datagram, size}}};
    memcpy(f.relay.secret, c->secret, SECRET_BYTES);
    rig_send(r, &c->addr, &f);
}
#endif
