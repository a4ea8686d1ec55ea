#include "server/sockets.h"
#include "net/udp.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RECEIVE_BUFFER_BYTES = 4 << 20, /* a burst of some thousand datagrams */
    SEND_BUFFER_BYTES = 1 << 20,    /* what the receive batches of one turn may make, while the device is busy */
    ALTERNATE_TRIES = 16,           /* to find one free port for all addresses */
};

static_assert(2 * OPTIONS_LISTEN_MAX <= SERVER_SOCKETS_MAX, "the core knows every socket");

static bool is_missing_family(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

static bool complain(const struct addr *a, int error)
{
    char text[ADDR_TEXT_MAX];
    fprintf(stderr, "p2p-server: cannot listen on udp %s: %s\n", addr_format(a, text), strerror(error));
    return false;
}

/* The first is for root and has no upper bound; without it the system may grant less. */
static void set_buffer(int fd, int forced, int wished, int bytes)
{
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, wished, &bytes, sizeof bytes);
}

/* 0 or an errno. */
static int add(struct sockets *s, const struct addr *a)
{
    int fd = udp_open(a, &s->locals[s->count]);
    if (fd < 0)
        return -fd;
    set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER_BYTES);
    s->fds[s->count++] = fd;
    return 0;
}

static void close_from(struct sockets *s, size_t first)
{
    while (s->count > first)
        close(s->fds[--s->count]);
}

static bool has_alternate(const struct sockets *s, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (addr_ip_equal(&s->locals[k], &s->locals[i]))
            return true;
    return false;
}

/* Beside each main socket one at the same address; *ret_at is the address that failed. */
static int add_alternates(struct sockets *s, uint16_t port, struct addr *ret_at)
{
    const size_t mains = s->count;
    for (size_t i = 0; i < mains; i++) {
        if (has_alternate(s, i))
            continue;
        *ret_at = s->locals[i];
        ret_at->port = port;
        int error = add(s, ret_at);
        if (error != 0) {
            close_from(s, mains);
            return error;
        }
        port = s->locals[s->count - 1].port;
    }
    s->alternate_port = port;
    return 0;
}

bool sockets_open(struct sockets *ret, const struct options *o)
{
    *ret = (struct sockets){0};
    for (size_t i = 0; i < o->listen_count; i++) {
        int error = add(ret, &o->listen[i]);
        if (error == 0)
            continue;
        if (!o->listen_is_default || !is_missing_family(error)) {
            sockets_close(ret);
            return complain(&o->listen[i], error);
        }
        log_event(LOG_LEVEL_INFO, "family-missing",
                  LOG_TEXT("family", o->listen[i].family == ADDR_V6 ? "ipv6" : "ipv4"));
    }
    struct addr at = o->listen[0];
    int error = ret->count == 0 ? EAFNOSUPPORT : EADDRINUSE;
    for (int i = 0; ret->count > 0 && error == EADDRINUSE && i < (o->alternate_port == 0 ? ALTERNATE_TRIES : 1); i++)
        error = add_alternates(ret, o->alternate_port, &at);
    if (error == 0)
        return true;
    sockets_close(ret);
    return complain(&at, error);
}

void sockets_close(struct sockets *s)
{
    close_from(s, 0);
}
