/* The way of a packet through the wan. */
#include "wan.h"
#include <assert.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Every edge has a cable of its own, so one address for everybody's end of it does; internet.sh gives it. */
static const uint8_t edge_mac[ETH_ALEN] = {2, 0, 0, 0, 0, 1};
static const uint8_t wan_mac[ETH_ALEN] = {2, 0, 0, 0, 0, 2};
/* 198.18.0.1: who complains about TTLs */
static const struct ip hop_ip = {{[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 18, [14] = 0, [15] = 1}};

struct flight { /* a packet on its way */
    uint64_t due_ns, order;
    struct edge *to;
    struct pair *pair;
    struct record *record; /* NULL: not remembered */
    size_t size;
    uint8_t bytes[WAN_FRAME_BYTES_MAX];
};

static struct flight *flights[WAN_FLIGHTS_MAX]; /* a heap, the first is due first */
static size_t flight_count;
static struct flight *idle[WAN_FLIGHTS_MAX];
static size_t idle_count;
static uint64_t flight_order;

/* ---- bytes of headers ---- */

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* ---- packets: what of them is asked for, whatever the family ---- */

static bool is_v6(const uint8_t *ip)
{
    return ip[0] >> 4 == 6;
}

static size_t ip_header_size(const uint8_t *ip)
{
    return is_v6(ip) ? 40 : (ip[0] & 15u) * 4;
}

static size_t ip_size(const uint8_t *ip)
{
    return is_v6(ip) ? 40u + get16(ip + 4) : get16(ip + 2);
}

static uint8_t *ttl_of(uint8_t *ip)
{
    return ip + (is_v6(ip) ? 7 : 8);
}

/* UDP, and not a fragment; of v6, without extension headers, which nobody here sends. */
static bool is_udp(const uint8_t *ip, size_t size)
{
    bool is_whole = is_v6(ip) || (get16(ip + 6) & 0x3fff) == 0;
    return ip[is_v6(ip) ? 6 : 9] == IPPROTO_UDP && is_whole && size >= ip_header_size(ip) + 8;
}

static struct ip address_at(const uint8_t *ip, bool is_dst)
{
    struct ip address = hop_ip;
    if (is_v6(ip))
        memcpy(address.bytes, ip + (is_dst ? 24 : 8), 16);
    else
        memcpy(address.bytes + 12, ip + (is_dst ? 16 : 12), 4);
    return address;
}

static bool is_same(const struct ip *a, const struct ip *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static void put_checksum(uint8_t *field, const uint8_t *from, size_t size, uint32_t sum)
{
    put16(field, 0);
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += get16(from + i);
    if (size % 2)
        sum += (uint32_t)from[size - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    put16(field, ~sum & 0xffff);
}

/* The kernel leaves checksums to network cards; there is none on our cables, so they are made here. */
static void put_udp_checksum(uint8_t *ip, size_t size)
{
    size_t at = ip_header_size(ip);
    if (!is_udp(ip, size))
        return;
    uint32_t pseudo = IPPROTO_UDP + (uint32_t)(size - at);
    for (size_t i = is_v6(ip) ? 8 : 12; i < (is_v6(ip) ? 40 : 20); i += 2)
        pseudo += get16(ip + i);
    put_checksum(ip + at + 6, ip + at, size - at, pseudo);
    if (get16(ip + at + 6) == 0)
        put16(ip + at + 6, 0xffff); /* 0 means: none (RFC 768) */
}

/* ---- pairs and their dice ---- */

/* splitmix64; each pair has its own, so that what one does changes nothing for another. 0 <= ... < 1 */
static double throw_dice(struct pair *p)
{
    uint64_t z = p->dice += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static bool chance(struct pair *p, enum option option)
{
    return wan.options[option] > 0 && throw_dice(p) * 100 < wan.options[option];
}

static uint32_t low_half(const struct ip *ip)
{
    return (uint32_t)get16(ip->bytes + 12) << 16 | get16(ip->bytes + 14);
}

static struct pair *find_pair(struct ip src, struct ip dst)
{
    for (size_t i = 0; i < wan.pair_count; i++)
        if (is_same(&wan.pairs[i].src, &src) && is_same(&wan.pairs[i].dst, &dst))
            return &wan.pairs[i];
    if (wan.pair_count == WAN_PAIRS_MAX)
        wan_die("too many pairs");
    struct pair *p = &wan.pairs[wan.pair_count++];
    p->src = src;
    p->dst = dst;
    p->dice = (uint64_t)wan.options[SEED] ^ ((uint64_t)low_half(&src) << 32 | low_half(&dst));
    return p;
}

static bool is_to_be_lost(const struct pair *p, const uint8_t *ip, size_t size)
{
    for (size_t i = 0; i < WAN_LOSSES_MAX; i++) {
        struct loss *l = &wan.losses[i];
        size_t at = ip_header_size(ip) + 8 + 5;
        if (l->count == 0 || !is_same(&l->src, &p->src) || !is_same(&l->dst, &p->dst))
            continue;
        if (l->byte >= 0 && (size <= at || ip[at] != l->byte))
            continue;
        l->count--;
        return true;
    }
    return false;
}

static struct record *remember(struct pair *p, uint64_t now, uint8_t *ip, size_t size)
{
    if (p->trace_count == WAN_TRACE_MAX)
        return NULL;
    struct record *r = &p->trace[p->trace_count++];
    *r = (struct record){.sent_ns = now, .size = (uint16_t)size, .ttl = *ttl_of(ip)};
    size_t at = ip_header_size(ip);
    if (is_udp(ip, size)) {
        r->from_port = get16(ip + at);
        r->to_port = get16(ip + at + 2);
        r->head_size = (uint8_t)(size - at - 8 < sizeof r->head ? size - at - 8 : sizeof r->head);
        memcpy(r->head, ip + at + 8, r->head_size);
    }
    return r;
}

/* ---- the heap ---- */

static bool is_before(const struct flight *a, const struct flight *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void swap_flights(size_t a, size_t b)
{
    struct flight *f = flights[a];
    flights[a] = flights[b];
    flights[b] = f;
}

static void push_flight(struct flight *f)
{
    size_t i = flight_count++;
    flights[i] = f;
    for (; i > 0 && is_before(flights[i], flights[(i - 1) / 2]); i = (i - 1) / 2)
        swap_flights(i, (i - 1) / 2);
}

static struct flight *pop_flight(void)
{
    struct flight *first = flights[0];
    flights[0] = flights[--flight_count];
    for (size_t i = 0, next; (next = 2 * i + 1) < flight_count; i = next) {
        if (next + 1 < flight_count && is_before(flights[next + 1], flights[next]))
            next++;
        if (!is_before(flights[next], flights[i]))
            break;
        swap_flights(i, next);
    }
    return first;
}

static void launch(struct pair *p, struct record *r, struct edge *to, uint64_t due_ns, const uint8_t *ip, size_t size)
{
    struct flight *f = NULL;
    if (idle_count > 0)
        f = idle[--idle_count];
    else if (flight_count < WAN_FLIGHTS_MAX)
        f = malloc(sizeof *f);
    if (f == NULL) {
        wan.overflow++;
        return;
    }
    f->due_ns = due_ns;
    f->order = flight_order++;
    f->to = to;
    f->pair = p;
    f->record = r;
    f->size = size;
    memcpy(f->bytes, ip, size);
    push_flight(f);
}

/* ---- forwarding ---- */

static bool is_in(const struct ip *address, const struct edge *e)
{
    size_t whole = e->bits / 8, rest = e->bits % 8;
    return memcmp(address->bytes, e->prefix.bytes, whole) == 0 &&
           (rest == 0 || (address->bytes[whole] ^ e->prefix.bytes[whole]) >> (8 - rest) == 0);
}

static struct edge *edge_of(const struct ip *address)
{
    for (size_t i = 0; i < wan.edge_count; i++)
        if (is_in(address, &wan.edges[i]))
            return &wan.edges[i];
    return NULL;
}

/* What neighbours and routers tell each other. */
static bool is_for_the_link(const uint8_t *ip)
{
    return is_v6(ip) && (ip[24] == 0xff || (ip[8] == 0xfe && (ip[9] & 0xc0) == 0x80));
}

/* "Time exceeded" to who sent a packet that doesn't get any further; only of v4, where people send such on purpose. */
static void complain(struct edge *from, uint64_t now, const uint8_t *ip, size_t size)
{
    enum { IP_BYTES = 20, ICMP_BYTES = 8 };
    size_t quoted = ip_header_size(ip) + 8;
    if (is_v6(ip) || ip[9] == IPPROTO_ICMP || quoted > size)
        return;
    uint8_t out[IP_BYTES + ICMP_BYTES + 68] = {0x45};
    size_t out_size = IP_BYTES + ICMP_BYTES + quoted;
    assert(out_size <= sizeof out);
    put16(out + 2, (uint32_t)out_size);
    out[8] = 64;
    out[9] = IPPROTO_ICMP;
    memcpy(out + 12, hop_ip.bytes + 12, 4);
    memcpy(out + 16, ip + 12, 4);
    put_checksum(out + 10, out, IP_BYTES, 0);
    out[IP_BYTES] = 11; /* type; code 0: in transit */
    memcpy(out + IP_BYTES + ICMP_BYTES, ip, quoted);
    put_checksum(out + IP_BYTES + 2, out + IP_BYTES, ICMP_BYTES + quoted, 0);
    struct pair *p = find_pair(hop_ip, address_at(ip, false));
    p->sent++;
    p->sent_bytes += out_size;
    launch(p, NULL, from, now + from->delay_ns, out, out_size);
}

static uint64_t travel_ns(struct pair *p, const struct edge *from, const struct edge *to)
{
    double jitter = wan.options[JITTER] > 0 ? wan.options[JITTER] * (2 * throw_dice(p) - 1) * 1e6 : 0;
    double ns = (double)(from->delay_ns + to->delay_ns) + jitter;
    if (chance(p, REORDER))
        ns += wan.options[OVERTAKE] * 1e6;
    return ns > 0 ? (uint64_t)ns : 0;
}

/* May change the packet. */
static void forward(struct edge *from, uint64_t now, uint8_t *ip, size_t size)
{
    struct ip src = address_at(ip, false), dst = address_at(ip, true);
    struct edge *to = edge_of(&dst);
    if (edge_of(&src) != from) {
        from->foreign++;
        return;
    }
    if (to == NULL) {
        wan.unroutable++;
        return;
    }
    struct pair *p = find_pair(src, dst);
    struct record *r = remember(p, now, ip, size);
    struct record nobody;
    p->sent++;
    p->sent_bytes += size;
    bool lost = chance(p, LOSS);
    if (lost || is_to_be_lost(p, ip, size)) {
        p->lost++;
        (r != NULL ? r : &nobody)->fate = FATE_LOST;
        return;
    }
    unsigned hops = (unsigned)wan.options[HOPS];
    if (*ttl_of(ip) <= hops) {
        p->expired++;
        (r != NULL ? r : &nobody)->fate = FATE_EXPIRED;
        complain(from, now, ip, size);
        return;
    }
    *ttl_of(ip) = (uint8_t)(*ttl_of(ip) - hops);
    if (!is_v6(ip))
        put_checksum(ip + 10, ip, ip_header_size(ip), 0);
    put_udp_checksum(ip, size);
    launch(p, r, to, now + travel_ns(p, from, to), ip, size);
    if (chance(p, DUPLICATE)) {
        p->duplicated++;
        launch(p, NULL, to, now + travel_ns(p, from, to), ip, size);
    }
}

void wan_receive(struct edge *from)
{
    uint8_t frame[WAN_FRAME_BYTES_MAX];
    struct sockaddr_ll who;
    for (;;) {
        socklen_t who_size = sizeof who;
        ssize_t got = recvfrom(from->fd, frame, sizeof frame, MSG_DONTWAIT, (struct sockaddr *)&who, &who_size);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got < 0)
            wan_die(from->name);
        if (who.sll_pkttype == PACKET_OUTGOING || got < (ssize_t)(ETH_HLEN + 20))
            continue;
        uint8_t *ip = frame + ETH_HLEN;
        if (is_v6(ip) != from->v6 || got < (ssize_t)(ETH_HLEN + (from->v6 ? 40 : 20)))
            continue;
        size_t size = ip_size(ip); /* what is after it is padding */
        if (ip_header_size(ip) >= 20 && size >= ip_header_size(ip) && size <= (size_t)got - ETH_HLEN &&
            !is_for_the_link(ip))
            forward(from, wan_now_ns(), ip, size);
    }
}

static void arrive(struct flight *f)
{
    uint8_t frame[ETH_HLEN + WAN_FRAME_BYTES_MAX];
    memcpy(frame, edge_mac, ETH_ALEN);
    memcpy(frame + ETH_ALEN, wan_mac, ETH_ALEN);
    put16(frame + 2 * ETH_ALEN, f->to->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
    memcpy(frame + ETH_HLEN, f->bytes, f->size);
    /* Before it is told: who has seen the packet may ask for the counts. */
    f->pair->arrived++;
    f->pair->arrived_bytes += f->size;
    if (f->record != NULL) {
        f->record->fate = FATE_ARRIVED;
        f->record->arrived_ns = wan_now_ns();
    }
    if (send(f->to->fd, frame, ETH_HLEN + f->size, 0) < 0)
        wan.overflow++;
    idle[idle_count++] = f;
}

bool wan_deliver(uint64_t now, uint64_t *ret_due_ns)
{
    while (flight_count > 0 && flights[0]->due_ns <= now)
        arrive(pop_flight());
    if (flight_count == 0)
        return false;
    *ret_due_ns = flights[0]->due_ns;
    return true;
}
