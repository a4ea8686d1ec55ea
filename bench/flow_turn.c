/* A TURN client with one allocation and one channel (RFC 8656), without credentials: as much of it as a load needs. The
 * other end of the flow is a peer without an allocation, as in a call where one side alone needs the relay. */
#include "bench/flow.h"
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ALLOCATE = 0x0003,
    CHANNEL_BIND = 0x0009,
    SUCCESS = 0x0100, /* in an answer's type */
    CHANNEL_NUMBER = 0x000c,
    XOR_PEER_ADDRESS = 0x0012,
    REQUESTED_TRANSPORT = 0x0019,
    COOKIE = 0x2112a442,
    CHANNEL = 0x4000, /* the first of them */
    UDP = 17,
    HEADER_BYTES = 20,
    CHANNEL_HEADER_BYTES = 4,
};

struct request {
    uint8_t bytes[128];
    size_t size;
};

static void put16(struct request *r, uint32_t value)
{
    r->bytes[r->size++] = (uint8_t)(value >> 8);
    r->bytes[r->size++] = (uint8_t)value;
}

static void put32(struct request *r, uint32_t value)
{
    put16(r, value >> 16);
    put16(r, value & 0xffff);
}

static struct request begin(uint32_t type, uint32_t transaction)
{
    struct request r = {0};
    put16(&r, type);
    put16(&r, 0); /* the length, which `ask` fills in */
    put32(&r, COOKIE);
    put32(&r, 0);
    put32(&r, 0);
    put32(&r, transaction);
    return r;
}

static void ask(int fd, struct request *r, const char *what)
{
    uint8_t answer[1500];
    const size_t length = r->size - HEADER_BYTES;
    r->bytes[2] = (uint8_t)(length >> 8);
    r->bytes[3] = (uint8_t)length;
    size_t got = bench_ask(fd, r->bytes, r->size, answer, sizeof answer, what);
    if (got < HEADER_BYTES || (answer[0] << 8 | answer[1]) != ((r->bytes[0] << 8 | r->bytes[1]) | SUCCESS))
        bench_fail("%s was refused: an answer of %zu bytes and type %02x%02x", what, got, answer[0], answer[1]);
}

void flow_open_turn(struct flow *f, uint32_t number, uint16_t port, size_t size)
{
    flow_open_sockets(f, number, port);
    /* It takes what comes from any port of the relay's. */
    const struct sockaddr_in nobody = {.sin_family = AF_UNSPEC};
    if (connect(f->to, (const struct sockaddr *)&nobody, sizeof nobody) != 0)
        bench_fail("cannot take back a connect");
    const struct sockaddr_in peer = flow_receiver(number, f);

    struct request r = begin(ALLOCATE, 2 * number);
    put16(&r, REQUESTED_TRANSPORT);
    put16(&r, 4);
    put32(&r, (uint32_t)UDP << 24);
    ask(f->from, &r, "Allocate");

    r = begin(CHANNEL_BIND, 2 * number + 1);
    put16(&r, CHANNEL_NUMBER);
    put16(&r, 4);
    put32(&r, (uint32_t)CHANNEL << 16);
    put16(&r, XOR_PEER_ADDRESS);
    put16(&r, 8);
    put16(&r, 1); /* IPv4 */
    put16(&r, ntohs(peer.sin_port) ^ (uint32_t)COOKIE >> 16);
    put32(&r, ntohl(peer.sin_addr.s_addr) ^ (uint32_t)COOKIE);
    ask(f->from, &r, "ChannelBind");

    const size_t inside = size - CHANNEL_HEADER_BYTES;
    const uint8_t header[CHANNEL_HEADER_BYTES] = {CHANNEL >> 8, 0, (uint8_t)(inside >> 8), (uint8_t)inside};
    memset(f->datagram, 0x5a, size);
    memcpy(f->datagram, header, sizeof header);
    f->size = size;
}
