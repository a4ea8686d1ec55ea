/* Loads a server with people who come, and measures how many it serves.
 * usage: register_load MODE PORT PID PEOPLE SECONDS
 *   register   each from a source of his own: Register, Registered, the echo, Registered
 *   refresh    those who are there: Register with what they were given, Registered
 *   introduce  as register, each into a room where somebody waits: both get a PeerInfo
 *   echo       1,200 bytes there and 144 back (forward BATCH 144)
 * At 127.0.0.1:PORT, process PID; it ends when PEOPLE have come (refresh: goes on with the first), or after SECONDS.
 *
 * Everybody has an address in 127.0.0.0/8, all with one socket: IP_PKTINFO says for each datagram from which. */
#include "bench/bench.h"
#include "wire/codec.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PEOPLE_MAX = ROOM_NUMBER_MAX,
    BATCH = 32,         /* datagrams in one call */
    UNDER_WAY_MAX = 64, /* people who wait for an answer: far fewer than the strangers from which on it says Retry */
    FIRST_HOST = 32 << 16,
};
#define PATIENCE_NS 5000000000U /* nothing is lost on loopback, but the machine may be busy */

struct person {
    uint8_t secret[SECRET_BYTES], cookie[COOKIE_BYTES_MAX];
    uint8_t cookie_size; /* 0: not yet registered */
};

static struct {
    int fd;
    struct sockaddr_in server;
    struct person *people;
    uint32_t rooms; /* who has this number is in the first one again */
    uint32_t done, introduced;
    struct codec codec;

    unsigned queued;
    uint8_t bytes[BATCH][DATAGRAM_BYTES_MAX];
    _Alignas(struct cmsghdr) uint8_t control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
    struct iovec parts[BATCH];
    struct mmsghdr out[BATCH];
} l;

/* ---- datagrams ---- */

static void flush(void)
{
    for (unsigned sent = 0; sent < l.queued;) {
        int now = sendmmsg(l.fd, l.out + sent, l.queued - sent, 0);
        if (now < 0)
            bench_fail("cannot send from many addresses of 127.0.0.0/8: %s", strerror(errno));
        sent += (unsigned)now;
    }
    l.queued = 0;
}

/* Where the next datagram is to be written; `queue` then sends it. */
static uint8_t *next_datagram(void)
{
    if (l.queued == BATCH)
        flush();
    return l.bytes[l.queued];
}

static void queue(uint32_t person, size_t size)
{
    const unsigned i = l.queued++;
    l.parts[i] = (struct iovec){.iov_base = l.bytes[i], .iov_len = size};
    l.out[i].msg_hdr = (struct msghdr){.msg_name = &l.server,
                                       .msg_namelen = sizeof l.server,
                                       .msg_iov = &l.parts[i],
                                       .msg_iovlen = 1,
                                       .msg_control = l.control[i],
                                       .msg_controllen = sizeof l.control[i]};
    const struct in_pktinfo from = {.ipi_spec_dst = bench_loopback(FIRST_HOST + person, 0).sin_addr};
    struct cmsghdr *c = CMSG_FIRSTHDR(&l.out[i].msg_hdr);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof from), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
    memcpy(CMSG_DATA(c), &from, sizeof from);
}

/* What has come; called again and again, since a sleeper would have to be woken by the server, which is no work that it
 * has with clients on other machines. */
static int receive(void (*hear)(const uint8_t *at, size_t size))
{
    static uint8_t bytes[BATCH][DATAGRAM_BYTES_MAX];
    struct iovec parts[BATCH];
    struct mmsghdr in[BATCH];
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){.iov_base = bytes[i], .iov_len = DATAGRAM_BYTES_MAX};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int got = recvmmsg(l.fd, in, BATCH, MSG_DONTWAIT, NULL);
    if (got < 0 && errno != EAGAIN)
        bench_fail("cannot receive: %s", strerror(errno));
    for (int i = 0; i < got; i++)
        hear(bytes[i], in[i].msg_len);
    return got;
}

static void receive_some(void (*hear)(const uint8_t *at, size_t size))
{
    const uint64_t until = bench_now_ns() + PATIENCE_NS;
    while (receive(hear) < 0)
        if (bench_now_ns() > until)
            bench_fail("no answer any more, after %u", l.done);
}

/* ---- people ---- */

static void put_number(uint8_t *at, uint32_t number)
{
    memcpy(at, &number, sizeof number);
}

/* The token says whose it is, and so does each share. */
static void send_register(uint32_t number)
{
    const struct person *p = &l.people[number];
    struct frame f = {.kind = FRAME_REGISTER,
                      .reg = {.token = number + 1,
                              .form = FORM_ROOM,
                              .room = number % l.rooms + 1,
                              .share_count = SHARES_MAX,
                              .cookie_size = p->cookie_size,
                              .has_secret = p->cookie_size > 0,
                              .pad = p->cookie_size == 0}};
    memcpy(f.reg.secret, p->secret, SECRET_BYTES);
    memcpy(f.reg.cookie, p->cookie, p->cookie_size);
    for (uint8_t i = 0; i < SHARES_MAX; i++) {
        put_number(f.reg.shares[i].point, number);
        f.reg.shares[i].point[4] = i;
        put_number(f.reg.shares[i].commitment, number);
        f.reg.shares[i].commitment[4] = i;
    }
    size_t size = codec_encode(&f, next_datagram(), DATAGRAM_BYTES_MAX);
    queue(number, size);
}

static void hear_registered(const struct frame_registered *r)
{
    const uint32_t number = (uint32_t)r->token - 1;
    struct person *p = &l.people[number];
    const bool first = p->cookie_size == 0;
    memcpy(p->secret, r->secret, SECRET_BYTES);
    memcpy(p->cookie, r->cookie, sizeof p->cookie);
    p->cookie_size = r->cookie_size;
    if (first)
        send_register(number);
    else
        l.done++;
}

static void hear_frame(const uint8_t *at, size_t size)
{
    struct frame f;
    enum decode_result result = codec_decode(&l.codec, at, size, &f);
    if (result == DECODE_OK && f.kind == FRAME_REGISTERED)
        hear_registered(&f.registered);
    else if (result == DECODE_OK && f.kind == FRAME_PEER_INFO)
        l.introduced++;
    else
        bench_fail("instead of Registered came a frame of kind %d, code %d (%s)", (int)f.kind,
                   f.kind == FRAME_REFUSED ? f.refused.code : 0, decode_result_name(result));
}

static void hear_echo(const uint8_t *at, size_t size)
{
    (void)at;
    if (size != REGISTERED_BYTES_MAX)
        bench_fail("an echo of %zu bytes", size);
    l.done++;
}

static void ask_echo(uint32_t number)
{
    memset(next_datagram(), 0x5a, DATAGRAM_BYTES_MAX);
    queue(number, DATAGRAM_BYTES_MAX);
}

/* ---- many ---- */

struct crowd {
    uint32_t first, last; /* numbers, both included; after the last the first comes again */
    uint32_t count;       /* that are to come */
    uint64_t until;
    void (*ask)(uint32_t number);
    void (*hear)(const uint8_t *at, size_t size);
};

static bool goes_on(const struct crowd *c, uint32_t asked)
{
    return asked < c->count && bench_now_ns() < c->until;
}

static void serve(const struct crowd *c)
{
    uint32_t asked = 0, number = c->first;
    l.done = 0;
    while (goes_on(c, asked) || l.done < asked) {
        while (asked - l.done < UNDER_WAY_MAX && goes_on(c, asked)) {
            c->ask(number);
            number = number == c->last ? c->first : number + 1;
            asked++;
        }
        flush();
        receive_some(c->hear);
    }
}

static void measure(const struct crowd *c, pid_t pid)
{
    l.introduced = 0;
    const struct bench_use began = bench_use_of(pid);
    serve(c);
    const struct bench_use ended = bench_use_of(pid);
    printf("{\"served\": %u, \"introduced\": %u, ", l.done, l.introduced);
    bench_use_print(&began, &ended);
    puts("}");
}

static uint64_t in_seconds(double seconds)
{
    return bench_now_ns() + (uint64_t)(seconds * 1e9);
}

static struct crowd everybody(uint32_t first, uint32_t count)
{
    return (struct crowd){.first = first,
                          .last = first + count - 1,
                          .count = count,
                          .until = UINT64_MAX,
                          .ask = send_register,
                          .hear = hear_frame};
}

static void run(const char *mode, pid_t pid, uint32_t people, double seconds)
{
    struct crowd c = everybody(0, people);
    if (strcmp(mode, "refresh") == 0) {
        serve(&c);
        c.count = UINT32_MAX;
    } else if (strcmp(mode, "introduce") == 0) {
        serve(&c);
        c = everybody(people, people);
    } else if (strcmp(mode, "echo") == 0) {
        c.count = UINT32_MAX;
        c.ask = ask_echo;
        c.hear = hear_echo;
    } else if (strcmp(mode, "register") != 0) {
        bench_fail("MODE: '%s' is none of register, refresh, introduce, echo", mode);
    }
    c.until = in_seconds(seconds);
    measure(&c, pid);
    if (strcmp(mode, "introduce") == 0 && l.introduced < 2 * l.done)
        bench_fail("%u came and %u PeerInfos, not two for each", l.done, l.introduced);
}

int main(int argc, char *argv[])
{
    if (argc != 6)
        bench_fail("usage: register_load MODE PORT PID PEOPLE SECONDS");
    const pid_t pid = (pid_t)bench_number("PID", argv[3], 1, INT32_MAX);
    l.server = bench_loopback(1, (uint16_t)bench_number("PORT", argv[2], 1, 65535));
    l.rooms = (uint32_t)bench_number("PEOPLE", argv[4], 1, PEOPLE_MAX / 2);
    l.people = calloc(2 * (size_t)l.rooms, sizeof *l.people); /* introduce: as many again */
    if (l.people == NULL)
        bench_fail("no memory");
    l.fd = bench_socket_everywhere();
    run(argv[1], pid, l.rooms, bench_seconds("SECONDS", argv[5]));
    return 0;
}
