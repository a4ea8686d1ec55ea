/* wan: the internet of the testbed, in user space: forwards IP between the interfaces it is given, with delay,
 * jitter, loss, duplication and reordering out of a seed, counts what each pair of addresses sent and got, and keeps
 * the first packets of each pair with their times.
 *
 * usage: wan socket PATH [OPTION VALUE]... EDGE...      EDGE is INTERFACE,PREFIX/BITS,MILLISECONDS to the middle
 *   socket PATH   where questions are answered
 *   seed N        of everything random
 *   jitter MS     each packet takes up to so much more or less
 *   loss %  duplicate %  reorder %    of packets; a reordered one is overtaken by those of the next `overtake` ms
 *   overtake MS   10
 *   hops N        what is taken off the TTL: 6
 * Says "ready" when it is.
 *
 * One question a connection, as a line; the answer is JSON, times are seconds of CLOCK_MONOTONIC:
 *   counts        by pair: packets and bytes sent and arrived, and what became of the rest
 *   trace         by pair: the first packets
 *   set OPTION VALUE...           the numbers above, from now on
 *   lose SRC DST COUNT [HEX]      the next COUNT packets of this pair get lost; with HEX only those that have this byte
 *                                 at offset 5 of the UDP payload, where our frames say what they are
 *
 * A user-space program and not netem, because not every kernel has that; and it sees what netem doesn't tell. */
#include "wan.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct wan wan = {.options = {[SEED] = 1, [OVERTAKE] = 10, [HOPS] = 6}};

void wan_die(const char *what)
{
    fprintf(stderr, "wan: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

uint64_t wan_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

bool wan_read_ip(struct ip *ret, const char *text, bool *ret_v6)
{
    *ret = (struct ip){.bytes = {[10] = 0xff, [11] = 0xff}};
    *ret_v6 = strchr(text, ':') != NULL;
    return inet_pton(*ret_v6 ? AF_INET6 : AF_INET, text, ret->bytes + (*ret_v6 ? 0 : 12)) == 1;
}

static void open_edge(const char *spec)
{
    struct edge *e = &wan.edges[wan.edge_count];
    char prefix[INET6_ADDRSTRLEN];
    double ms;
    if (wan.edge_count == WAN_EDGES_MAX ||
        sscanf(spec, "%15[^,],%45[^/]/%u,%lf", e->name, prefix, &e->bits, &ms) != 4 ||
        !wan_read_ip(&e->prefix, prefix, &e->v6) || e->bits > (e->v6 ? 128 : 32) || ms < 0)
        wan_die(spec);
    e->bits += e->v6 ? 0 : 96;
    e->delay_ns = (uint64_t)(ms * 1e6);
    e->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (e->fd < 0)
        wan_die("packet socket");
    struct sockaddr_ll where = {.sll_family = AF_PACKET,
                                .sll_protocol = htons(e->v6 ? ETH_P_IPV6 : ETH_P_IP),
                                .sll_ifindex = (int)if_nametoindex(e->name)};
    int size = 4 << 20, one = 1;
    if (setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size); /* as much as a user may have */
    /* Straight to the driver: a queue would be one more wait that nobody asked for. */
    setsockopt(e->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    if (where.sll_ifindex == 0 || bind(e->fd, (struct sockaddr *)&where, sizeof where) != 0)
        wan_die(e->name);
    wan.edge_count++;
}

static void run(int listener)
{
    struct pollfd wait[WAN_EDGES_MAX + 1];
    for (size_t i = 0; i < wan.edge_count; i++)
        wait[i] = (struct pollfd){.fd = wan.edges[i].fd, .events = POLLIN};
    wait[wan.edge_count] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (;;) {
        uint64_t now = wan_now_ns(), due = 0;
        bool more = wan_deliver(now, &due);
        struct timespec left = {0};
        if (more) {
            left.tv_sec = (time_t)((due - now) / 1000000000);
            left.tv_nsec = (long)((due - now) % 1000000000);
        }
        if (ppoll(wait, wan.edge_count + 1, more ? &left : NULL, NULL) < 0 && errno != EINTR)
            wan_die("ppoll");
        for (size_t i = 0; i < wan.edge_count; i++)
            if (wait[i].revents)
                wan_receive(&wan.edges[i]);
        if (wait[wan.edge_count].revents)
            wan_answer(listener);
    }
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    for (int i = 1; i < argc; i++) {
        errno = 0;
        if (strchr(argv[i], ',') != NULL)
            open_edge(argv[i]);
        else if (i + 1 < argc && strcmp(argv[i], "socket") == 0)
            path = argv[++i];
        else if (i + 1 < argc && wan_set_option(argv[i], argv[i + 1]))
            i++;
        else
            wan_die(argv[i]);
    }
    if (path == NULL || wan.edge_count == 0)
        wan_die("a socket and edges are needed");
    int listener = wan_listen(path);
    puts("ready");
    fflush(stdout);
    run(listener);
}
