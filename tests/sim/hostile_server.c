#include "hostile_server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "world_parts.h"

enum { SOCKET_OF_CORE, ALTERNATE_OF_CORE };

/* ---- what it knows ---- */

static struct hostile_known *known_at(struct hostile_server *h, const struct addr *addr)
{
    for (int i = 0; i < h->known_count; i++)
        if (addr_equal(&h->known[i].addr, addr))
            return &h->known[i];
    /* Of more than it has room for it forgets whom it has known longest. */
    struct hostile_known *k = &h->known[h->known_next++ % HOSTILE_KNOWN_MAX];
    h->known_count += h->known_count < HOSTILE_KNOWN_MAX;
    *k = (struct hostile_known){.addr = *addr, .prefix_bits_least = PREFIX_BITS_MAX};
    return k;
}

struct hostile_known *hostile_server_of(struct hostile_server *h, const struct sim_client *c)
{
    for (int i = h->known_count; i-- > 0;)
        for (size_t n = 0; world_addr(h->s->w, c->host, n); n++)
            if (addr_ip_equal(&h->known[i].addr, world_addr(h->s->w, c->host, n)))
                return &h->known[i];
    return NULL;
}

static void learn_register(struct hostile_known *k, const struct frame_register *r)
{
    k->token = r->token;
    k->form = r->form;
    k->registers++;
    k->links_listed += r->link_count;
    if (r->prefix_bits > k->prefix_bits) {
        k->prefix_bits = r->prefix_bits;
        k->prefix_bits_least = r->prefix_bits;
    } else if (r->prefix_bits < k->prefix_bits_least) {
        k->prefix_bits_least = r->prefix_bits;
    }
    if (r->share_count == 0)
        return;
    k->share_count = r->share_count;
    memcpy(k->shares, r->shares, sizeof k->shares);
}

static void learn_registered(struct hostile_known *k, const struct frame_registered *r)
{
    k->handle = r->handle;
    memcpy(k->secret, r->secret, sizeof k->secret);
    memcpy(k->cookie, r->cookie, sizeof k->cookie);
    k->cookie_size = r->cookie_size;
    k->proof = seal_proof(k->secret);
}

static void mark_used(struct hostile_known *k, const uint8_t point[CPACE_POINT_BYTES])
{
    memcpy(k->used[k->used_count++ % HOSTILE_POINTS_MAX], point, CPACE_POINT_BYTES);
}

const struct share_public *hostile_server_take(struct hostile_known *who)
{
    for (unsigned i = 0; i < who->share_count; i++) {
        bool used = false;
        for (unsigned n = 0; n < who->used_count && n < HOSTILE_POINTS_MAX; n++)
            used = used || memcmp(who->used[n], who->shares[i].point, CPACE_POINT_BYTES) == 0;
        if (used)
            continue;
        mark_used(who, who->shares[i].point);
        return &who->shares[i];
    }
    return NULL;
}

/* ---- sending ---- */

void hostile_server_send(struct hostile_server *h, const struct addr *to, const uint8_t *at, size_t size)
{
    h->sent++;
    world_send(h->s->w, h->socket, &h->local, to, 0, at, size);
}

void hostile_server_tell(struct hostile_server *h, const struct hostile_known *to, const struct frame *f)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    size_t size = codec_encode(f, bytes, sizeof bytes);
    assert(size > 0);
    hostile_server_send(h, &to->addr, bytes, size);
}

void hostile_server_later(struct hostile_server *h, vtime_us us, bool up, const struct addr *addr, struct bytes at)
{
    if (h->held_count == h->held_cap) {
        h->held_cap = h->held_cap ? 2 * h->held_cap : 64;
        h->held = world_grow(h->held, h->held_cap * sizeof *h->held);
    }
    struct hostile_held *d = &h->held[h->held_count++];
    *d = (struct hostile_held){
        .at = world_host_now(h->s->w, h->real->host) + us, .up = up, .addr = *addr, .size = (uint16_t)at.size};
    assert(at.size <= sizeof d->bytes);
    memcpy(d->bytes, at.at, at.size);
    world_touch(h->s->w, h->actor);
}

void hostile_server_introduce(struct hostile_server *h, const struct hostile_known *to, const uint8_t own_point[32],
                              uint64_t handle, const struct share_public *share)
{
    struct frame f = {.kind = FRAME_PEER_INFO, .peer_info = {.handle = handle, .share = *share}};
    memcpy(f.peer_info.own_point, own_point, CPACE_POINT_BYTES);
    hostile_server_tell(h, to, &f);
}

/* ---- introductions of its own ---- */

struct hostile_pair *hostile_server_pair(struct hostile_server *h, struct hostile_known *a,
                                         const struct share_public *share_a, struct hostile_known *b,
                                         const struct share_public *share_b)
{
    assert(h->pair_count < HOSTILE_PAIRS_MAX);
    struct hostile_pair *p = &h->pairs[h->pair_count++];
    *p = (struct hostile_pair){.side = {a, b}, .share = {*share_a, *share_b}};
    hostile_server_introduce(h, a, share_a->point, b->handle, share_b);
    hostile_server_introduce(h, b, share_b->point, a->handle, share_a);
    return p;
}

static bool forward_own(struct hostile_server *h, const struct hostile_known *from, const struct frame *f)
{
    for (int i = 0; f->kind == FRAME_SIGNAL && i < h->pair_count; i++)
        for (int side = 0; side < 2; side++) {
            struct hostile_pair *p = &h->pairs[i];
            if (p->side[side] != from || memcmp(p->share[side].point, f->signal.point, CPACE_POINT_BYTES) != 0)
                continue;
            const struct hostile_known *to = p->side[1 - side];
            struct frame out = {.kind = FRAME_SIGNAL,
                                .signal = {.proof = to->proof, .handle = from->handle, .datagram = f->signal.datagram}};
            memcpy(out.signal.point, f->signal.point, sizeof out.signal.point);
            p->signals++;
            hostile_server_tell(h, to, &out);
            return true;
        }
    return false;
}

/* ---- runs of its own ---- */

static vtime_us clock_of(const struct hostile_server *h)
{
    return world_host_now(h->s->w, h->real->host);
}

void hostile_server_say(struct hostile_server *h, const struct hostile_known *to, struct hostile_run *run,
                        const uint8_t *plain, size_t size)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    struct frame f = {.kind = FRAME_SIGNAL, .signal = {.proof = to->proof, .handle = run->handle}};
    memcpy(f.signal.point, run->own.share.point, sizeof f.signal.point);
    size = hostile_seal(run, clock_of(h), plain, size, bytes);
    f.signal.datagram = (struct bytes){bytes, size};
    hostile_server_tell(h, to, &f);
}

bool hostile_server_guess(struct hostile_server *h, struct hostile_known *to, const struct hostile_key *guess)
{
    const struct share_public *theirs = hostile_server_take(to);
    uint8_t plain[PLAIN_BYTES_MAX];
    if (!theirs)
        return false;
    struct hostile_run *run = &h->runs[h->run_next++ % HOSTILE_RUNS_MAX];
    *run = (struct hostile_run){.theirs = *theirs, .handle = rng_token(&h->rng)};
    hostile_share_make(&h->rng, guess, &run->own);
    if (!hostile_run_begin(run, clock_of(h)))
        return false; /* no point: somebody else has lied, too */
    h->guesses++;
    hostile_server_introduce(h, to, theirs->point, run->handle, &run->own.share);
    hostile_server_say(h, to, run, plain, hostile_put_envelope(run, NULL, plain, sizeof plain));
    return true;
}

static void take_own(struct hostile_server *h, struct hostile_run *run, struct bytes datagram)
{
    uint8_t plain[CIPHERTEXT_BYTES_MAX];
    struct frame f;
    size_t size;
    bool opened_before = run->opened, answered_before = run->opened || run->wrong > 0;
    bool opens = hostile_open(run, clock_of(h), &h->codec, datagram, plain, &size);
    h->guesses_answered += !answered_before;
    h->guesses_right += run->opened && !opened_before;
    for (struct bytes rest = {plain, opens ? size : 0}; rest.size > 0;) {
        enum decode_result ok = codec_decode_inner(&h->codec, &rest, &f);
        if (ok == DECODE_UNKNOWN)
            continue;
        if (ok != DECODE_OK)
            break;
        if (f.kind == FRAME_ENVELOPE)
            run->envelope = f.envelope;
        if (f.kind == FRAME_OFFER)
            run->offer = f.offer;
        if (h->on_frame)
            h->on_frame(h, run, &f);
    }
}

/* Is it for a peer that we have invented? */
static bool is_own(struct hostile_server *h, const struct frame *f)
{
    for (unsigned i = 0; f->kind == FRAME_SIGNAL && i < HOSTILE_RUNS_MAX; i++)
        if (h->runs[i].used && h->runs[i].handle == f->signal.handle &&
            memcmp(h->runs[i].theirs.point, f->signal.point, CPACE_POINT_BYTES) == 0) {
            take_own(h, &h->runs[i], f->signal.datagram);
            return true;
        }
    return false;
}

/* ---- between the clients and the core ---- */

/* Fresh sockets ask, and are answered from where they want it: no member is known by them. */
static void send_probed(struct hostile_server *h, const struct server_out *out, struct frame *f)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    if (h->on_probed)
        h->on_probed(h, &out->to, f);
    size_t size = codec_encode(f, bytes, sizeof bytes);
    h->sent++;
    world_send(h->s->w, out->socket == ALTERNATE_OF_CORE ? h->alternate : h->socket, &out->local, &out->to, 0, bytes,
               size);
}

static void pump_core(struct hostile_server *h, vtime_us now)
{
    struct server_out out;
    struct frame f;
    uint8_t bytes[DATAGRAM_BYTES_MAX], copy[DATAGRAM_BYTES_MAX];
    while (server_poll(h->real->core, now, &out)) {
        memcpy(copy, out.bytes, out.size);
        enum decode_result ok = codec_decode(&h->codec, copy, out.size, &f);
        assert(ok == DECODE_OK);
        (void)ok;
        if (f.kind == FRAME_PROBED) {
            send_probed(h, &out, &f);
            continue;
        }
        struct hostile_known *k = known_at(h, &out.to);
        if (f.kind == FRAME_REGISTERED)
            learn_registered(k, &f.registered);
        if (f.kind == FRAME_PEER_INFO)
            mark_used(k, f.peer_info.own_point);
        if (h->down && h->down(h, k, &f, (struct bytes){copy, out.size}))
            continue;
        size_t size = codec_encode(&f, bytes, sizeof bytes);
        assert(size > 0);
        hostile_server_send(h, &k->addr, bytes, size);
    }
}

static void to_core(struct hostile_server *h, vtime_us now, const struct addr *from, const uint8_t *at, size_t size)
{
    struct addr local = h->local;
    local.port = 0;
    server_input(h->real->core, now, SOCKET_OF_CORE, &local, from, at, size);
    pump_core(h, now);
}

static void on_input(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                     const uint8_t *at, size_t size)
{
    struct hostile_server *h = self;
    struct frame f;
    h->received++;
    if (codec_decode(&h->codec, at, size, &f) != DECODE_OK)
        return;
    if (f.kind == FRAME_PROBE) {
        server_input(h->real->core, now, socket == h->alternate ? ALTERNATE_OF_CORE : SOCKET_OF_CORE, local, from, at,
                     size);
        pump_core(h, now);
        return;
    }
    struct hostile_known *k = known_at(h, from);
    if (f.kind == FRAME_REGISTER)
        learn_register(k, &f.reg);
    if (is_own(h, &f) || forward_own(h, k, &f) || (h->up && h->up(h, k, &f, (struct bytes){at, size})))
        return;
    to_core(h, now, from, at, size);
}

static void release_held(struct hostile_server *h, vtime_us now)
{
    for (size_t i = 0; i < h->held_count;) {
        if (h->held[i].at > now) {
            i++;
            continue;
        }
        struct hostile_held d = h->held[i];
        h->held[i] = h->held[--h->held_count];
        if (d.up)
            to_core(h, now, &d.addr, d.bytes, d.size);
        else
            hostile_server_send(h, &d.addr, d.bytes, d.size);
    }
}

static void on_wake(void *self, vtime_us now)
{
    struct hostile_server *h = self;
    release_held(h, now);
    pump_core(h, now);
    if (h->on_wake && now >= h->wake_at) {
        h->wake_at = VTIME_NEVER;
        h->on_wake(h);
    }
}

static vtime_us on_deadline(void *self)
{
    const struct hostile_server *h = self;
    vtime_us at = vtime_min(server_deadline(h->real->core), h->on_wake ? h->wake_at : VTIME_NEVER);
    for (size_t i = 0; i < h->held_count; i++)
        at = vtime_min(at, h->held[i].at);
    return at;
}

/* ---- beginning and end ---- */

struct hostile_server *hostile_server_new(struct scene *s)
{
    static const struct actor_calls calls = {on_input, on_wake, on_deadline};
    struct hostile_server *h = calloc(1, sizeof *h);
    uint8_t seed[RNG_SEED_BYTES];
    assert(h);
    h->s = s;
    h->real = s->server;
    h->runs = calloc(HOSTILE_RUNS_MAX, sizeof *h->runs);
    assert(h->runs);
    dice_bytes(&s->w->dice, seed, sizeof seed);
    rng_init(&h->rng, seed);
    h->wake_at = VTIME_NEVER;
    h->local = *world_addr(s->w, h->real->host, 0);
    judge_set_server(s->judge, NULL);
    world_remove_actor(s->w, h->real->actor);
    h->real->actor = -1;
    h->actor = world_add_actor(s->w, h->real->host, &calls, h, "liar");
    h->socket = world_open(s->w, h->actor, ADDR_V4, SIM_SERVER_PORT);
    h->alternate = world_open(s->w, h->actor, ADDR_V4, SIM_SERVER_ALTERNATE_PORT);
    world_touch(s->w, h->actor);
    return h;
}

void hostile_server_free(struct hostile_server *h)
{
    free(h->held);
    free(h->runs);
    free(h);
}
