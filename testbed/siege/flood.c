/* Floods a server with padded Registers from many sources.
 * usage: flood KIND INTERFACE SERVER AIM RATE SECONDS [ADDRESSES]
 *   KIND    spoofed   each from a source of its own, which hears nothing
 *           real      from sources that answer: each gets a registration, and later comes anew
 *   SERVER  ADDR:PORT, at the other end of the cable that INTERFACE is
 *   AIM     rooms (each another), open, the number of a room, or places: of the open form, each bucket with 64 in a
 *           row, who bring no shares and so take nothing but the places
 *   RATE    of padded Registers a second; SECONDS
 * Sources are 384 IPv4 addresses with random ports, or 2^87 IPv6 addresses (real: 50,000 sources). Prints one JSON
 * object. */
#include "packet.h"
#include "wire/codec.h"
#include "wire/rng.h"
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RATE_MAX = 5000000,
    SECONDS_MAX = 3600,
    POINTS = 256,   /* people's shares are made of: valid, so that whoever is introduced to them has to compute */
    PREPARED = 512, /* spoofed: datagrams that differ in token, shares, room */
    PEOPLE = 50000, /* real: under the server's 65,536, and far over half of it */
    LATE_MAX_S = 1, /* so far behind the rate is not caught up with */
    NAP_NS = 200000,
};

struct person {
    uint32_t came; /* how often */
    bool echoed;   /* since it came last */
};

struct flood {
    struct cable *cable;
    bool real;
    bool v6;
    uint8_t form;
    bool places_only;
    uint32_t room; /* 0: each another */
    uint32_t addresses;
    struct rng rng;
    uint8_t points[POINTS][32];
    uint8_t prepared[PREPARED][DATAGRAM_BYTES_MAX];
    struct person people[PEOPLE];
    struct codec codec;
    uint64_t sent, behind, registered, retries, refused, echoes;
};

/* ---- sources ---- */

/* The upper halves of the three networks that are for documentation: 384 addresses. */
static struct addr source4(uint32_t number, uint16_t port)
{
    static const uint8_t NETWORKS[3][3] = {{198, 51, 100}, {192, 0, 2}, {203, 0, 113}};
    struct addr a;
    uint8_t ip[4];
    memcpy(ip, NETWORKS[number % 3], 3);
    ip[3] = (uint8_t)(128 + number / 3 % 128);
    addr_from_ip(&a, ip, sizeof ip, port);
    return a;
}

/* 2001:db8:8000::/33; each number has a /56 of its own. */
static struct addr source6(uint32_t number, uint64_t host, uint16_t port)
{
    struct addr a;
    uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, 0x80};
    ip[4] |= (uint8_t)(number >> 16 & 0x7f);
    ip[5] = (uint8_t)(number >> 8);
    ip[6] = (uint8_t)number;
    memcpy(ip + 8, &host, sizeof host);
    addr_from_ip(&a, ip, sizeof ip, port);
    return a;
}

static struct addr random_source(struct flood *f)
{
    const uint64_t dice = rng_u64(&f->rng);
    const uint16_t port = (uint16_t)(1024 + (dice >> 32) % (65536 - 1024));
    const uint32_t number = (uint32_t)dice % f->addresses;
    return f->v6 ? source6(number, dice, port) : source4(number, port);
}

static struct addr source_of(const struct flood *f, uint32_t person)
{
    const uint32_t number = person % f->addresses;
    return f->v6 ? source6(number, person, 1024) : source4(number, (uint16_t)(1024 + person / f->addresses));
}

static uint32_t person_at(const struct flood *f, const struct addr *a)
{
    if (f->v6) {
        uint64_t host;
        memcpy(&host, a->ip + 8, sizeof host);
        return host < PEOPLE ? (uint32_t)host : PEOPLE;
    }
    const uint32_t network = a->ip[0] == 198 ? 0 : a->ip[0] == 192 ? 1 : 2;
    return ((uint32_t)a->port - 1024) * f->addresses + 3 * (a->ip[3] - 128U) + network;
}

/* ---- Registers ---- */

static void fill(struct flood *f, struct frame_register *r, uint32_t of, uint32_t turn)
{
    r->token = rng_token(&f->rng);
    r->form = f->form;
    r->share_count = f->places_only ? 0 : SHARES_MAX;
    if (f->form == FORM_ROOM)
        r->room = f->room != 0 ? f->room : 1 + of * 19 % ROOM_NUMBER_MAX; /* 19: 50,000 people over all numbers */
    if (f->form == FORM_OPEN) { /* all of the bits at once, so that nobody has to be asked for more */
        r->prefix_bits = PREFIX_BITS_MAX;
        r->prefix = (uint8_t)(f->places_only ? of / REGISTRATIONS_PER_ROOM_MAX : of);
    }
    for (uint32_t i = 0; i < r->share_count; i++) {
        memcpy(r->shares[i].point, f->points[((of + turn) * SHARES_MAX + i) % POINTS], 32);
        rng_bytes(&f->rng, r->shares[i].commitment, 32);
    }
}

static void prepare(struct flood *f)
{
    for (int i = 0; i < POINTS; i++) {
        uint8_t scalar[crypto_core_ristretto255_SCALARBYTES];
        crypto_core_ristretto255_scalar_random(scalar);
        if (crypto_scalarmult_ristretto255_base(f->points[i], scalar) != 0)
            packet_fail("no point");
    }
    for (uint32_t i = 0; i < PREPARED; i++) {
        struct frame frame = {.kind = FRAME_REGISTER, .reg = {.pad = true}};
        fill(f, &frame.reg, i, 0);
        if (codec_encode(&frame, f->prepared[i], DATAGRAM_BYTES_MAX) != DATAGRAM_BYTES_MAX)
            packet_fail("a Register that is not padded");
    }
}

static void send_spoofed(struct flood *f)
{
    const struct addr from = random_source(f);
    memcpy(packet_next(f->cable), f->prepared[f->sent % PREPARED], DATAGRAM_BYTES_MAX);
    packet_queue(f->cable, &from, DATAGRAM_BYTES_MAX);
}

static void send_register(struct flood *f, uint32_t person, const struct frame_registered *told,
                          const struct frame_retry *retry)
{
    const struct addr from = source_of(f, person);
    struct frame frame = {.kind = FRAME_REGISTER, .reg = {.pad = told == NULL}};
    struct frame_register *r = &frame.reg;
    fill(f, r, person, f->people[person].came);
    if (told != NULL) {
        r->has_secret = true;
        memcpy(r->secret, told->secret, SECRET_BYTES);
    }
    if (told != NULL || retry != NULL) {
        r->cookie_size = told != NULL ? told->cookie_size : retry->cookie_size;
        memcpy(r->cookie, told != NULL ? told->cookie : retry->cookie, r->cookie_size);
    }
    size_t size = codec_encode(&frame, packet_next(f->cable), DATAGRAM_BYTES_MAX);
    packet_queue(f->cable, &from, size);
}

static void send_one(struct flood *f)
{
    const uint32_t person = (uint32_t)(f->sent % PEOPLE);
    if (f->real) {
        f->people[person].came++;
        f->people[person].echoed = false;
        send_register(f, person, NULL, NULL);
    } else {
        send_spoofed(f);
    }
    f->sent++;
}

/* ---- answers ---- */

static void hear(void *context, const struct addr *to, const uint8_t *at, size_t size)
{
    struct flood *f = context;
    struct frame frame;
    const uint32_t person = person_at(f, to);
    if (person >= PEOPLE || codec_decode(&f->codec, at, size, &frame) != DECODE_OK)
        return;
    if (frame.kind == FRAME_RETRY) {
        f->retries++;
        send_register(f, person, NULL, &frame.retry);
    } else if (frame.kind == FRAME_REGISTERED) {
        f->registered++;
        if (f->people[person].echoed)
            return;
        f->people[person].echoed = true;
        f->echoes++;
        send_register(f, person, &frame.registered, NULL);
    } else if (frame.kind == FRAME_REFUSED) {
        f->refused++;
    }
}

/* ---- time ---- */

static volatile sig_atomic_t stopped;

static void on_term(int number)
{
    (void)number;
    stopped = 1;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(struct flood *f, double rate, double seconds)
{
    const double began = now_s();
    double since = began;
    uint64_t since_sent = 0;
    for (double now = began; now < began + seconds && !stopped; now = now_s()) {
        uint64_t due = (uint64_t)((now - since) * rate) - since_sent;
        if ((double)due > rate * LATE_MAX_S) {
            f->behind += due;
            since = now;
            since_sent = 0;
            due = 0;
        }
        for (unsigned i = 0; i < PACKET_BATCH && due > 0; i++, due--, since_sent++)
            send_one(f);
        if (f->real)
            packet_receive(f->cable, hear, f);
        packet_flush(f->cable);
        if (due == 0)
            nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
    printf("{\"seconds\": %.3f, \"sent\": %llu, \"behind\": %llu, \"registered\": %llu, \"echoes\": %llu, "
           "\"retries\": %llu, \"refused\": %llu}\n",
           now_s() - began, (unsigned long long)f->sent, (unsigned long long)f->behind,
           (unsigned long long)f->registered, (unsigned long long)f->echoes, (unsigned long long)f->retries,
           (unsigned long long)f->refused);
}

/* ---- start ---- */

static uint32_t number(const char *what, const char *text, uint32_t max)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || n == 0 || n > max)
        packet_fail("%s must be a number from 1 to %u, not \"%s\"", what, max, text);
    return (uint32_t)n;
}

static void aim(struct flood *f, const char *text)
{
    f->places_only = strcmp(text, "places") == 0;
    f->form = f->places_only || strcmp(text, "open") == 0 ? FORM_OPEN : FORM_ROOM;
    if (f->form == FORM_ROOM && strcmp(text, "rooms") != 0)
        f->room = number("AIM is rooms, open, places or a room; a room", text, ROOM_NUMBER_MAX);
}

int main(int argc, char **argv)
{
    static struct flood f;
    struct addr server;
    uint8_t seed[RNG_SEED_BYTES];
    if (argc != 7 && argc != 8) {
        fputs("usage: flood spoofed|real INTERFACE SERVER rooms|open|places|ROOM RATE SECONDS [ADDRESSES]\n", stderr);
        return 2;
    }
    f.real = strcmp(argv[1], "real") == 0;
    if (!f.real && strcmp(argv[1], "spoofed") != 0)
        packet_fail("KIND must be spoofed or real, not \"%s\"", argv[1]);
    if (!addr_parse(&server, argv[3]))
        packet_fail("SERVER must be ADDR:PORT, not \"%s\"", argv[3]);
    f.v6 = server.family == ADDR_V6;
    aim(&f, argv[4]);
    const uint32_t rate = number("RATE", argv[5], RATE_MAX), seconds = number("SECONDS", argv[6], SECONDS_MAX);
    const uint32_t addresses_max = f.v6 ? 1U << 23 : 384;
    f.addresses = argc == 8 ? number("ADDRESSES", argv[7], addresses_max) : addresses_max;
    if (sodium_init() < 0)
        packet_fail("no libsodium");
    randombytes_buf(seed, sizeof seed);
    rng_init(&f.rng, seed);
    prepare(&f);
    signal(SIGTERM, on_term);
    f.cable = packet_open(argv[2], &server, f.real);
    puts("begun");
    fflush(stdout);
    run(&f, rate, seconds);
    return 0;
}
