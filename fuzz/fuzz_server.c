/* The server's core as the whole internet sees it, with low limits. Some sources are honest now and then, some know
 * each other's secrets, all may send anything. After every operation the tables agree with each other (server_check),
 * and no source that has not shown that it receives has been sent more than came from it. */
#include "shapes.h"
#include "still.h"
#include "tests/server_check.h"
#include "wire/seal.h"

const struct fuzz_shape *fuzz_shape = &shape_server;

enum { SOURCES = 96, KNOWN = 4, INPUT_DATAGRAMS_MAX = 600, OVER_BYTES = 16 };

enum server_patch {                      /* what is put right in a frame, if it has such a field */
                    PATCH_SECRET = 1,    /* the source's own */
                    PATCH_COOKIE = 2,    /* the newest that this very source was sent */
                    PATCH_HANDLE = 4,    /* somebody that it was introduced to */
                    PATCH_POINT = 8,     /* its own share in that introduction */
                    PATCH_LINK = 16,     /* its newest link */
                    PATCH_SHARES = 32,   /* shares that nobody else has */
                    PATCH_TOKENS = 64,   /* relay tokens that somebody else has, too */
                    PATCH_PAD = 128,     /* of a Register */
                    PATCH_FRIENDS = 256, /* secret, handle, link: those of the source next to it */
                    PATCH_FRIEND_COOKIE = 512,
                    PATCH_ROOM = 1024, /* room 1 to 3: else hardly anybody would meet */
};

struct source {
    struct addr addr;
    uint64_t sent, received; /* by it, to it; with headers */
    bool proven;             /* it has shown something that it was sent */
    bool has_secret;
    uint8_t secret[SECRET_BYTES];
    uint8_t cookie_size, cookie[COOKIE_BYTES_MAX];
    uint64_t token, handles[KNOWN];
    uint8_t points[KNOWN][32];
    unsigned known, step;
    uint32_t link, shares_made;
};

struct world {
    vtime_us now;
    unsigned starts, datagrams;
    struct source sources[SOURCES];
    size_t newest_size;
    uint8_t newest[DATAGRAM_BYTES_MAX + OVER_BYTES];
    struct codec codec;
};

static struct still stills[2];
static struct server *server;
static unsigned large; /* 0 or 1 */
static struct world *w;

/* Small tables, which are full soon; or ones in which a room of 64 has place. */
static const struct server_config *config(void)
{
    static struct server_config all[2];
    struct server_config *c = &all[large];
    if (c->registrations_max != 0)
        return c;
    *c = (struct server_config){.registrations_max = large ? 128 : 12,
                                .unvalidated_max = large ? 64 : 8,
                                .introductions_max = large ? 200 : 12,
                                .links_max = large ? 40 : 8,
                                /* So low that they are met, as far as there is no least. */
                                .register_per_s = 1,
                                .control_per_s = 8,
                                .relay_bytes_per_s = 1000,
                                .relay_total_bytes_per_s = 2000,
                                .alternate_port = 41415,
                                .socket_count = 4,
                                .address_count = 3};
    c->sockets[0] = addr_v4(0, 0, 0, 0, 41414);
    c->sockets[1] = addr_v4(0, 0, 0, 0, 41415);
    FUZZ_CHECK(addr_parse(&c->sockets[2], "[::]:41414") && addr_parse(&c->sockets[3], "[::]:41415"));
    c->addresses[0] = addr_v4(192, 0, 2, 1, 0);
    c->addresses[1] = addr_v4(192, 0, 2, 2, 0);
    FUZZ_CHECK(addr_parse(&c->addresses[2], "[2001:db8::1]:0"));
    return c;
}

/* Neighbours behind one address, others alone, some with IPv6 of one /56. */
static struct addr source_addr(unsigned i)
{
    struct addr a;
    if (i % 4 == 3) {
        char text[ADDR_TEXT_MAX];
        snprintf(text, sizeof text, "[2001:db8:0:%x::%x]:4000", i < 8 ? 1 : 0x100 * i, i + 1);
        FUZZ_CHECK(addr_parse(&a, text));
        return a;
    }
    if (i >= 32) /* a crowd out of a few houses */
        return addr_v4(192, 0, 2, (uint8_t)(100 + i % 5), (uint16_t)(4000 + i));
    return addr_v4(198, 51, 100, (uint8_t)(i < 6 ? 1 : i), (uint16_t)(4000 + i));
}

static void start(void)
{
    const uint8_t seed[RNG_SEED_BYTES] = {1, (uint8_t)++w->starts};
    memset(server, 0, server_size(config()));
    server_init(server, config(), seed, w->now);
    for (unsigned i = 0; i < SOURCES; i++) {
        w->sources[i].sent = w->sources[i].received = 0;
        w->sources[i].proven = false;
    }
}

static void begin(void)
{
    struct still *still = &stills[large];
    const size_t size = (server_size(config()) + 63) / 64 * 64;
    const bool first = still->at == NULL;
    if (first)
        still_open(still, size + sizeof *w);
    server = still->at;
    w = (struct world *)((char *)still->at + size);
    if (!first) {
        still_restore(still);
        return;
    }
    w->now = VTIME_S(1000);
    for (unsigned i = 0; i < SOURCES; i++)
        w->sources[i].addr = source_addr(i);
    start();
    still_keep(still);
}

/* ---- what leaves ---- */

static struct source *source_at(const struct addr *a)
{
    for (unsigned i = 0; i < SOURCES; i++)
        if (addr_equal(a, &w->sources[i].addr))
            return &w->sources[i];
    return NULL;
}

static size_t header_of(const struct addr *a)
{
    return a->family == ADDR_V4 ? UDP4_HEADER_BYTES : UDP6_HEADER_BYTES;
}

static void learn(struct source *s, const struct frame *f)
{
    switch (f->kind) {
    case FRAME_REGISTERED:
        s->has_secret = true;
        s->step = s->step < 2 ? s->step + 1 : s->step;
        memcpy(s->secret, f->registered.secret, SECRET_BYTES);
        memcpy(s->cookie, f->registered.cookie, COOKIE_BYTES_MAX);
        s->cookie_size = f->registered.cookie_size;
        break;
    case FRAME_RETRY:
        memcpy(s->cookie, f->retry.cookie, COOKIE_BYTES_MAX);
        s->cookie_size = f->retry.cookie_size;
        break;
    case FRAME_PEER_INFO:
        s->handles[s->known % KNOWN] = f->peer_info.handle;
        memcpy(s->points[s->known++ % KNOWN], f->peer_info.own_point, 32);
        break;
    case FRAME_LINKED:
        s->link = f->linked.link;
        break;
    case FRAME_SIGNAL:
    case FRAME_RELAY:
    case FRAME_LEAVE:
    case FRAME_PROBED:
    case FRAME_REFUSED:
        break;
    default:
        FUZZ_CHECK(f->kind == FRAME_NONE); /* a server sends no others */
    }
}

static void drain(void)
{
    struct server_out out;
    unsigned count = 0;
    while (server_poll(server, w->now, &out)) {
        struct frame f;
        struct source *s = source_at(&out.to);
        FUZZ_CHECK(++count < 4096);
        FUZZ_CHECK(s != NULL && out.socket < config()->socket_count);
        FUZZ_CHECK(out.size > 0 && out.size <= DATAGRAM_BYTES_MAX);
        FUZZ_CHECK(codec_decode(&w->codec, out.bytes, out.size, &f) == DECODE_OK);
        s->received += out.size + header_of(&s->addr);
        if (!(s->proven || s->received <= s->sent))
            fprintf(stderr, "source %d: sent %llu, received %llu, newest a frame of kind %d of %zu bytes\n",
                    (int)(s - w->sources), (unsigned long long)s->sent, (unsigned long long)s->received, (int)f.kind,
                    out.size);
        FUZZ_CHECK(s->proven || s->received <= s->sent);
        learn(s, &f);
    }
    FUZZ_CHECK(server_deadline(server) > w->now);
    server_check(server, w->now);
}

/* ---- what comes ---- */

/* Shows something that only who receives at this source has been told? (A cookie is made for a source; a secret proves
 * only where it was given.) */
static void note_proof(struct source *s, const uint8_t *at, size_t size)
{
    struct frame f;
    if (codec_decode(&w->codec, at, size, &f) != DECODE_OK)
        return;
    const uint8_t *secret = NULL;
    if (f.kind == FRAME_REGISTER) {
        if (s->cookie_size > 0 && f.reg.cookie_size == s->cookie_size &&
            memcmp(f.reg.cookie, s->cookie, s->cookie_size) == 0)
            s->proven = true;
        secret = f.reg.has_secret ? f.reg.secret : NULL;
    } else if (f.kind == FRAME_SIGNAL) {
        secret = f.signal.secret;
    } else if (f.kind == FRAME_LINK) {
        secret = f.link.secret;
    } else if (f.kind == FRAME_RELAY) {
        secret = f.relay.secret;
    } else if (f.kind == FRAME_LEAVE) {
        secret = f.leave.secret;
    }
    if (secret != NULL && s->has_secret && memcmp(secret, s->secret, SECRET_BYTES) == 0)
        s->proven = true;
}

static void input(struct source *s, unsigned socket, const uint8_t *at, size_t size)
{
    const unsigned v6 = s->addr.family == ADDR_V6 ? 2 : 0;
    const struct addr local = config()->addresses[v6 ? 2 : socket / 2 % 2], none = {0};
    if (++w->datagrams > INPUT_DATAGRAMS_MAX)
        return;
    if (size > sizeof w->newest)
        size = sizeof w->newest;
    memmove(w->newest, at, size);
    w->newest_size = size;
    s->sent += size + header_of(&s->addr);
    note_proof(s, w->newest, size);

    uint8_t *exact = malloc(size + (size == 0));
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, w->newest, size);
    server_input(server, w->now, (uint16_t)(v6 + socket % 2), socket % 8 == 7 ? &none : &local, &s->addr, exact, size);
    free(exact);
    drain();
}

static void send_frame(struct source *s, unsigned socket, const struct frame *f)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    size_t size = codec_encode(f, bytes, sizeof bytes);
    if (size > 0)
        input(s, socket, bytes, size);
}

static void fresh_shares(struct source *s, struct frame_register *r)
{
    for (unsigned i = 0; i < r->share_count; i++) {
        s->shares_made++;
        memset(&r->shares[i], 0x5a, sizeof r->shares[i]);
        memcpy(r->shares[i].point, &s->addr, sizeof s->addr);
        memcpy(r->shares[i].point + 24, &s->shares_made, sizeof s->shares_made);
    }
}

static void patch(struct source *s, struct frame *f, unsigned what)
{
    struct source *from = what & PATCH_FRIENDS ? &w->sources[(size_t)((s - w->sources) ^ 1)] : s;
    struct source *cookie = what & PATCH_FRIEND_COOKIE ? &w->sources[(size_t)((s - w->sources) ^ 1)] : s;
    uint8_t *secret = NULL;
    switch (f->kind) {
    case FRAME_REGISTER:
        f->reg.token += ++s->token;
        f->reg.token += f->reg.token == 0;
        f->reg.pad = (what & PATCH_PAD) != 0;
        if (what & PATCH_COOKIE) {
            f->reg.cookie_size = cookie->cookie_size;
            memcpy(f->reg.cookie, cookie->cookie, sizeof f->reg.cookie);
        }
        if (what & PATCH_SHARES)
            fresh_shares(s, &f->reg);
        for (unsigned i = 0; what & PATCH_TOKENS && i < f->reg.link_count; i++)
            memset(f->reg.links[i].token, f->reg.links[i].token[0] % 4, RELAY_TOKEN_BYTES);
        if (what & PATCH_ROOM && f->reg.form == FORM_ROOM)
            f->reg.room = 1 + f->reg.room % 3;
        if (what & PATCH_SECRET && from->has_secret) {
            f->reg.has_secret = true;
            secret = f->reg.secret;
        }
        break;
    case FRAME_SIGNAL:
        f->signal.has_secret = true;
        f->signal.proof = 0;
        secret = f->signal.secret;
        if (what & PATCH_HANDLE)
            f->signal.handle = from->handles[f->signal.handle % KNOWN] + (from->handles[f->signal.handle % KNOWN] == 0);
        if (what & PATCH_POINT)
            memcpy(f->signal.point, s->points[f->signal.point[0] % KNOWN], 32);
        break;
    case FRAME_RELAY:
        f->relay.has_secret = true;
        f->relay.proof = 0;
        secret = f->relay.secret;
        if (what & PATCH_LINK && from->link != 0)
            f->relay.link = from->link;
        break;
    case FRAME_LINK:
        secret = f->link.secret;
        if (what & PATCH_TOKENS)
            memset(f->link.token.token, f->link.token.token[0] % 4, RELAY_TOKEN_BYTES);
        break;
    case FRAME_LEAVE:
        f->leave.has_secret = true;
        f->leave.proof = 0;
        secret = f->leave.secret;
        break;
    default:
        break;
    }
    if (secret != NULL && what & PATCH_SECRET)
        memcpy(secret, from->secret, SECRET_BYTES);
}

static void do_frame(const struct record *r)
{
    struct source *s = &w->sources[r->head[0] % SOURCES];
    struct frame f;
    if (codec_decode(&w->codec, r->payload, r->size, &f) == DECODE_OK) {
        patch(s, &f, r->head[2] | (unsigned)r->head[3] << 8);
        send_frame(s, r->head[1], &f);
    } else {
        input(s, r->head[1], r->payload, r->size);
    }
}

/* A client that keeps to the protocol, one step. */
static void do_step(struct source *s, const struct record *r)
{
    const unsigned what = r->head[1] % 8, known = r->head[1] / 8 % KNOWN;
    struct frame f = {.kind = FRAME_REGISTER};
    switch (what) {
    case 5:
        f.kind = FRAME_SIGNAL;
        f.signal = (struct frame_signal){
            .has_secret = true, .handle = s->handles[known], .datagram = {w->newest, 1 + r->head[1]}};
        memcpy(f.signal.point, s->points[known], 32);
        memcpy(f.signal.secret, s->secret, SECRET_BYTES);
        break;
    case 6:
        f.kind = FRAME_LINK;
        memset(f.link.token.token, (int)known, RELAY_TOKEN_BYTES);
        f.link.token.side = (r->head[0] / SOURCES + r->head[0]) % 2;
        f.link.token.may_tell = r->head[0] / SOURCES / 2 % 2;
        memcpy(f.link.secret, s->secret, SECRET_BYTES);
        break;
    case 7:
        f.kind = FRAME_RELAY;
        f.relay = (struct frame_relay){
            .has_secret = true, .link = s->link, .datagram = {w->newest, 1 + (size_t)r->head[1] * 4}};
        memcpy(f.relay.secret, s->secret, SECRET_BYTES);
        break;
    default:
        f.reg = (struct frame_register){.token = (uint64_t)++s->token << 8 | r->head[0],
                                        .form = FORM_ROOM,
                                        .room = 1 + known % 2,
                                        .share_count = SHARES_MAX,
                                        .has_secret = s->has_secret,
                                        .cookie_size = s->cookie_size,
                                        .pad = !s->has_secret};
        if (what == 3 || what == 4)
            f.reg.form = what == 3 ? FORM_OPEN : FORM_NEW;
        if (what > 2)
            f.reg.room = 0;
        if (what == 3) {
            f.reg.prefix_bits = 2 * (uint8_t)known;
            f.reg.prefix = (uint8_t)((1U << f.reg.prefix_bits) - 1);
        }
        if (what == 4)
            f.reg.share_count = 0;
        fresh_shares(s, &f.reg);
        memcpy(f.reg.secret, s->secret, SECRET_BYTES);
        memcpy(f.reg.cookie, s->cookie, sizeof f.reg.cookie);
    }
    send_frame(s, 0, &f);
}

/* Lets time pass from deadline to deadline, as a shell would. */
static void do_time(unsigned how)
{
    static const vtime_us times[] = {VTIME_MS(20), VTIME_MS(400), VTIME_S(1),    VTIME_S(2),
                                     VTIME_S(6),   VTIME_S(16),   VTIME_S(31),   VTIME_S(61),
                                     VTIME_S(130), VTIME_S(700),  VTIME_S(4000), 1};
    const vtime_us until = w->now + times[how % COUNT(times)];
    for (unsigned i = 0; server_deadline(server) <= until; i++) {
        FUZZ_CHECK(i < 100000);
        if (server_deadline(server) > w->now)
            w->now = server_deadline(server);
        drain();
    }
    w->now = until;
    drain();
}

static void run(const struct record *r)
{
    uint8_t entropy[RNG_SEED_BYTES] = {7, (uint8_t)w->datagrams};
    switch ((enum server_operation)r->operation) {
    case SERVER_FRAME:
        do_frame(r);
        break;
    case SERVER_RAW:
        input(&w->sources[r->head[0] % SOURCES], r->head[1], r->payload, r->size);
        break;
    case SERVER_TIME:
        do_time(r->head[0]);
        break;
    case SERVER_AGAIN:
        input(&w->sources[r->head[0] % SOURCES], r->head[0], w->newest, w->newest_size);
        break;
    case SERVER_RESTART:
        start();
        drain();
        break;
    case SERVER_ENTROPY:
        server_command(server, w->now, &(struct server_command){.kind = SERVER_COMMAND_ENTROPY, .entropy = entropy});
        drain();
        break;
    case SERVER_SHUTDOWN:
        server_command(server, w->now, &(struct server_command){.kind = SERVER_COMMAND_SHUTDOWN});
        drain();
        start(); /* the process ends when it has said Leave to everybody */
        drain();
        break;
    case SERVER_STEP:
        do_step(&w->sources[r->head[0] % SOURCES], r);
        break;
    case SERVER_CROWD:
        for (unsigned i = 0; i < 2U * r->head[2]; i++) /* Register and echo */
            do_step(&w->sources[(r->head[0] + i / 2) % SOURCES], r);
        break;
    case SERVER_OPERATIONS:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct record r;
    struct server_stat stats[SERVER_STATS_MAX];
    if (size == 0)
        return 0;
    large = at[0] % 2;
    begin();
    at++;
    size--;
    while (record_next(&at, &size, &r))
        run(&r);
    FUZZ_CHECK(server_stats(server, stats) <= SERVER_STATS_MAX);
    return 0;
}
