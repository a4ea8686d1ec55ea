#include "packet.h"
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    RECEIVE_BUFFER_BYTES = 16 << 20, /* answers of a tenth of a second at any rate that we reach */
    HOPS = 64,
};

/* Both ends of the cable: there is no ARP on it. */
static const uint8_t SERVER_MAC[6] = {2, 0, 0, 0, 0, 1}, OWN_MAC[6] = {2, 0, 0, 0, 0, 2};

struct head4 {
    struct ethhdr ethernet;
    struct iphdr ip;
    struct udphdr udp;
} __attribute__((packed));

struct head6 {
    struct ethhdr ethernet;
    struct ip6_hdr ip;
    struct udphdr udp;
} __attribute__((packed));

struct cable {
    int fd;
    struct addr server;
    size_t head_bytes;
    unsigned queued;
    struct mmsghdr out[PACKET_BATCH];
    struct iovec parts[PACKET_BATCH];
    uint8_t bytes[PACKET_BATCH][sizeof(struct head6) + DATAGRAM_BYTES_MAX];
};

_Noreturn void packet_fail(const char *format, ...)
{
    va_list arguments;
    fputs("flood: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

struct cable *packet_open(const char *interface, const struct addr *server, bool hears)
{
    const uint16_t protocol = htons(server->family == ADDR_V6 ? ETH_P_IPV6 : ETH_P_IP);
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = hears ? protocol : 0};
    struct cable *c = calloc(1, sizeof *c);
    if (c == NULL)
        packet_fail("no memory");
    c->server = *server;
    c->head_bytes = server->family == ADDR_V6 ? sizeof(struct head6) : sizeof(struct head4);
    c->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        packet_fail("cannot send from forged addresses: %s; be root of a network namespace (private.sh)",
                    strerror(errno));
    at.sll_ifindex = (int)if_nametoindex(interface);
    if (at.sll_ifindex == 0 || bind(c->fd, (const struct sockaddr *)&at, sizeof at) != 0)
        packet_fail("no such interface: %s", interface);
    const int on = 1, bytes = RECEIVE_BUFFER_BYTES;
    setsockopt(c->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    setsockopt(c->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    for (unsigned i = 0; i < PACKET_BATCH; i++) {
        c->parts[i].iov_base = c->bytes[i];
        c->out[i].msg_hdr = (struct msghdr){.msg_iov = &c->parts[i], .msg_iovlen = 1};
    }
    return c;
}

/* RFC 1071, not yet folded. */
static uint64_t sum(uint64_t so_far, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (; size >= 4; size -= 4, at += 4) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        so_far += word;
    }
    uint32_t rest = 0;
    memcpy(&rest, at, size);
    return so_far + rest;
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static struct ethhdr ethernet(uint16_t protocol)
{
    struct ethhdr e = {.h_proto = htons(protocol)};
    memcpy(e.h_dest, SERVER_MAC, sizeof SERVER_MAC);
    memcpy(e.h_source, OWN_MAC, sizeof OWN_MAC);
    return e;
}

static struct udphdr udp(const struct cable *c, const struct addr *from, size_t size)
{
    return (struct udphdr){.source = htons(from->port),
                           .dest = htons(c->server.port),
                           .len = htons((uint16_t)(sizeof(struct udphdr) + size))};
}

/* Without a UDP checksum, which IPv4 allows. */
static void write_head4(const struct cable *c, uint8_t *at, const struct addr *from, size_t size)
{
    struct head4 h = {.ethernet = ethernet(ETH_P_IP), .udp = udp(c, from, size)};
    h.ip = (struct iphdr){.version = 4,
                          .ihl = sizeof h.ip / 4,
                          .tot_len = htons((uint16_t)(sizeof h.ip + sizeof h.udp + size)),
                          .ttl = HOPS,
                          .protocol = IPPROTO_UDP};
    memcpy(&h.ip.saddr, from->ip, 4);
    memcpy(&h.ip.daddr, c->server.ip, 4);
    h.ip.check = fold(sum(0, &h.ip, sizeof h.ip));
    memcpy(at, &h, sizeof h);
}

static void write_head6(const struct cable *c, uint8_t *at, const struct addr *from, size_t size)
{
    struct head6 h = {.ethernet = ethernet(ETH_P_IPV6), .udp = udp(c, from, size)};
    h.ip.ip6_flow = htonl(6U << 28);
    h.ip.ip6_plen = h.udp.len;
    h.ip.ip6_nxt = IPPROTO_UDP;
    h.ip.ip6_hops = HOPS;
    memcpy(&h.ip.ip6_src, from->ip, 16);
    memcpy(&h.ip.ip6_dst, c->server.ip, 16);
    uint64_t all = sum(htons(IPPROTO_UDP) + h.udp.len, &h.ip.ip6_src, 32);
    all = sum(sum(all, &h.udp, sizeof h.udp), at + sizeof h, size);
    h.udp.check = fold(all);
    memcpy(at, &h, sizeof h);
}

uint8_t *packet_next(struct cable *c)
{
    if (c->queued == PACKET_BATCH)
        packet_flush(c);
    return c->bytes[c->queued] + c->head_bytes;
}

void packet_queue(struct cable *c, const struct addr *from, size_t size)
{
    uint8_t *at = c->bytes[c->queued];
    if (from->family == ADDR_V6)
        write_head6(c, at, from, size);
    else
        write_head4(c, at, from, size);
    c->parts[c->queued++].iov_len = c->head_bytes + size;
}

void packet_flush(struct cable *c)
{
    for (unsigned sent = 0; sent < c->queued;) {
        int now = sendmmsg(c->fd, c->out + sent, c->queued - sent, 0);
        if (now < 0 && errno != EINTR && errno != ENOBUFS)
            packet_fail("cannot send: %s", strerror(errno));
        sent += now > 0 ? (unsigned)now : 0;
    }
    c->queued = 0;
}

static bool read_head(const struct cable *c, const uint8_t *at, size_t size, struct addr *ret_to)
{
    if (size <= c->head_bytes)
        return false;
    const struct head4 *h4 = (const void *)at;
    const struct head6 *h6 = (const void *)at;
    if (c->server.family == ADDR_V6) {
        addr_from_ip(ret_to, h6->ip.ip6_dst.s6_addr, 16, ntohs(h6->udp.dest));
        return h6->ip.ip6_nxt == IPPROTO_UDP;
    }
    addr_from_ip(ret_to, at + offsetof(struct head4, ip.daddr), 4, ntohs(h4->udp.dest));
    return h4->ip.protocol == IPPROTO_UDP;
}

void packet_receive(struct cable *c, void (*hear)(void *context, const struct addr *to, const uint8_t *at, size_t size),
                    void *context)
{
    static uint8_t bytes[PACKET_BATCH][sizeof(struct head6) + DATAGRAM_BYTES_MAX];
    struct iovec parts[PACKET_BATCH];
    struct mmsghdr in[PACKET_BATCH];
    int got;
    do {
        for (unsigned i = 0; i < PACKET_BATCH; i++) {
            parts[i] = (struct iovec){.iov_base = bytes[i], .iov_len = sizeof bytes[i]};
            in[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
        }
        got = recvmmsg(c->fd, in, PACKET_BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++) {
            struct addr to;
            if (read_head(c, bytes[i], in[i].msg_len, &to))
                hear(context, &to, bytes[i] + c->head_bytes, in[i].msg_len - c->head_bytes);
        }
    } while (got == PACKET_BATCH);
}
