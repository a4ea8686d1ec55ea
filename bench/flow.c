#include "bench/flow.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void connect_to(int fd, uint16_t port)
{
    const struct sockaddr_in relay = bench_loopback(1, port);
    if (connect(fd, (const struct sockaddr *)&relay, sizeof relay) != 0)
        bench_fail("cannot send to 127.0.0.1 port %u: %s", port, strerror(errno));
}

/* An address each, so that no limit of a server for one source is what is measured; from 127.16.0.0 on. */
static uint32_t host_of(uint32_t number)
{
    return 16U << 16 | number << 1;
}

struct sockaddr_in flow_receiver(uint32_t number, const struct flow *f)
{
    return bench_loopback(host_of(number) | 1, bench_port_of(f->from));
}

void flow_open_sockets(struct flow *f, uint32_t number, uint16_t port)
{
    *f = (struct flow){.from = bench_socket(host_of(number), 0)};
    f->to = bench_socket(host_of(number) | 1, bench_port_of(f->from));
    connect_to(f->from, port);
    connect_to(f->to, port);
}

void flow_open_bare(struct flow *f, uint32_t number, uint16_t port, size_t size)
{
    flow_open_sockets(f, number, port);
    f->size = size;
    memset(f->datagram, (int)number, size);
}
