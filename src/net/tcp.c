#include "net/tcp.h"
#include "net/udp_message.h"
#include <errno.h>
#include <unistd.h>

enum { BACKLOG = 16 }; /* who would wait longer than these should try again */

/* SO_REUSEADDR: connections of an earlier process that are still fading away do not keep the port. */
static bool prepare(int fd, bool v6)
{
    const int yes = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
           (!v6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) == 0);
}

int tcp_listen(struct addr *at)
{
    const bool v6 = at->family == ADDR_V6;
    const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    union udp_sockaddr name;
    socklen_t size = udp_sockaddr_from(&name, at);
    if (!prepare(fd, v6) || bind(fd, &name.any, size) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &name.any, &size) != 0) {
        const int error = errno;
        close(fd);
        return -error;
    }
    at->port = ntohs(v6 ? name.v6.sin6_port : name.v4.sin_port);
    return fd;
}
