#include "server/sockets.h"
#include "net/udp.h"
#include "server/service.h"
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

const char *sockets_advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; end the program that has this port, or give another";
    case EADDRNOTAVAIL:
        return "; give an address of this machine (ip address)";
    case EACCES:
        return "; ports below 1024 are for root: start as root with --user, or give another";
    case EAFNOSUPPORT:
        return "; this machine has no such addresses, give others";
    default:
        return "";
    }
}

static bool complain(const struct addr *a, int error)
{
    char text[ADDR_TEXT_MAX];
    fprintf(stderr, "p2p-server: cannot listen on udp %s: %s%s\n", addr_format(a, text), strerror(error),
            sockets_advice(error));
    return false;
}

/* The first is for root and has no upper bound; without it the system may grant less. Who has passed the socket may
 * have made it larger than we could; the system tells twice of what was asked for. */
static void set_buffer(int fd, int forced, int wished, int bytes)
{
    int has = 0;
    socklen_t size = sizeof has;
    if (getsockopt(fd, SOL_SOCKET, wished, &has, &size) == 0 && has >= 2 * bytes)
        return;
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, wished, &bytes, sizeof bytes);
}

static void set_buffers(int fd)
{
    set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER_BYTES);
}

/* Only a padded Register is exactly so long: what the relay takes is shorter. */
static int open_newcomers(int fd, const struct addr *local)
{
    static_assert(RELAY_DATAGRAM_BYTES_MAX + 34 < DATAGRAM_BYTES_MAX,
                  "Relay is told from a padded Register by its size");
    const int newcomers = udp_open_beside(fd, local, DATAGRAM_BYTES_MAX);
    if (newcomers >= 0)
        set_buffers(newcomers);
    return newcomers;
}

static void bind_to_one(struct sockets *s, size_t i)
{
    static const struct addr all;
    if (memcmp(s->locals[i].ip, all.ip, sizeof all.ip) == 0)
        return;
    s->only[i] = s->locals[i];
    s->only[i].port = 0;
    udp_stop_local(s->fds[i], &s->only[i]);
    if (s->newcomers[i] >= 0)
        udp_stop_local(s->newcomers[i], &s->only[i]);
}

static void take(struct sockets *s, int fd, const struct addr *local)
{
    set_buffers(fd);
    s->locals[s->count] = *local;
    s->only[s->count] = (struct addr){0};
    s->newcomers[s->count] = open_newcomers(fd, local);
    s->fds[s->count] = fd;
    bind_to_one(s, s->count++);
}

/* 0 or an errno. */
static int add(struct sockets *s, const struct addr *a)
{
    struct addr local;
    int fd = udp_open(a, &local);
    if (fd < 0)
        return -fd;
    take(s, fd, &local);
    return 0;
}

static void close_from(struct sockets *s, size_t first)
{
    while (s->count > first) {
        close(s->fds[--s->count]);
        if (s->newcomers[s->count] >= 0)
            close(s->newcomers[s->count]);
    }
}

/* Is one of the first `count` at this address, of whatever port? */
static bool has_ip(const struct sockets *s, size_t count, const struct addr *a)
{
    for (size_t i = 0; i < count; i++)
        if (addr_ip_equal(&s->locals[i], a))
            return true;
    return false;
}

/* Beside each main socket one at the same address; *ret_at is the address that failed. */
static int add_alternates(struct sockets *s, uint16_t port, struct addr *ret_at)
{
    const size_t mains = s->count;
    for (size_t i = 0; i < mains; i++) {
        if (has_ip(s, i, &s->locals[i]))
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

/* ---- those that the service manager has opened ---- */

static bool complain_passed(unsigned i, const char *what)
{
    fprintf(stderr, "p2p-server: the service manager's socket %u %s\n", i + 1, what);
    return false;
}

static bool adopt(unsigned i, struct addr *ret_local)
{
    const int error = -udp_adopt(SERVICE_FDS_FIRST + (int)i, ret_local);
    switch (error) {
    case 0:
        return true;
    case EPROTOTYPE:
        return complain_passed(i, "is not for UDP; write ListenDatagram=ADDR:PORT");
    case EDESTADDRREQ:
        return complain_passed(i, "is not bound to a port; write ListenDatagram=ADDR:PORT");
    case EAFNOSUPPORT:
        return complain_passed(i, "is for IPv6 and IPv4 at once; write BindIPv6Only=ipv6-only");
    default:
        return complain_passed(i, strerror(error));
    }
}

/* The first socket of an address is a main one, the second its alternate: their order is that of the ListenDatagram
 * lines. Mains come first. */
static bool sort_passed(struct sockets *s, const struct addr *locals, unsigned count)
{
    struct sockets alternates = {0};
    for (unsigned i = 0; i < count; i++) {
        const int fd = SERVICE_FDS_FIRST + (int)i;
        if (!has_ip(s, s->count, &locals[i])) {
            take(s, fd, &locals[i]);
            continue;
        }
        if (has_ip(&alternates, alternates.count, &locals[i]))
            return complain_passed(i, "is the third of its address; an address has a main and an alternate port");
        if (alternates.count > 0 && locals[i].port != alternates.alternate_port)
            return complain_passed(i,
                                   "has another alternate port than the one before; it has to be the same everywhere");
        alternates.alternate_port = locals[i].port;
        alternates.fds[alternates.count] = fd;
        alternates.locals[alternates.count++] = locals[i];
    }
    if (alternates.count != 0 && alternates.count != s->count)
        return complain_passed(count - 1, "is the last, and some addresses have an alternate port and some have none");
    for (size_t i = 0; i < alternates.count; i++)
        take(s, alternates.fds[i], &alternates.locals[i]);
    s->alternate_port = alternates.alternate_port;
    return true;
}

static bool take_passed(struct sockets *ret, const struct options *o, unsigned count)
{
    struct addr locals[SERVER_SOCKETS_MAX];
    if (!o->listen_is_default || o->alternate_given) {
        fputs("p2p-server: the service manager has opened sockets, and --listen or --alt-port name others; "
              "leave these out, or disable p2p-server.socket\n",
              stderr);
        return false;
    }
    if (count > SERVER_SOCKETS_MAX)
        return complain_passed(SERVER_SOCKETS_MAX, "is one too many");
    for (unsigned i = 0; i < count; i++)
        if (!adopt(i, &locals[i]))
            return false;
    return sort_passed(ret, locals, count);
}

/* ---- all ---- */

static bool open_own(struct sockets *ret, const struct options *o)
{
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

bool sockets_open(struct sockets *ret, const struct options *o)
{
    const unsigned passed = service_passed();
    *ret = (struct sockets){0};
    return passed > 0 ? take_passed(ret, o, passed) : open_own(ret, o);
}

void sockets_close(struct sockets *s)
{
    close_from(s, 0);
}
