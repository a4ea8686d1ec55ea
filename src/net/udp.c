#include "net/udp.h"
#include "net/udp_message.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SWALLOW_MAX = 16, /* ICMP errors in a row before the loop gets a chance to do something else */
};

socklen_t udp_sockaddr_from(union udp_sockaddr *ret, const struct addr *a)
{
    memset(ret, 0, sizeof *ret);
    if (a->family == ADDR_V6) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(a->port);
        memcpy(&ret->v6.sin6_addr, a->ip, 16);
        return sizeof ret->v6;
    }
    ret->v4.sin_family = AF_INET;
    ret->v4.sin_port = htons(a->port);
    memcpy(&ret->v4.sin_addr, a->ip, 4);
    return sizeof ret->v4;
}

void udp_sockaddr_to(struct addr *ret, const union udp_sockaddr *from)
{
    memset(ret, 0, sizeof *ret);
    if (from->any.sa_family == AF_INET6)
        addr_from_ip(ret, from->v6.sin6_addr.s6_addr, 16, ntohs(from->v6.sin6_port));
    else if (from->any.sa_family == AF_INET)
        addr_from_ip(ret, (const uint8_t *)&from->v4.sin_addr, 4, ntohs(from->v4.sin_port));
}

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

/* PMTUDISC_PROBE sets DF and ignores what the kernel believes about the path: 1,200 bytes are meant to
 * fit, and a forged ICMP must not be able to shrink that. */
static int prepare(int fd, bool v6)
{
    if (v6)
        return set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) |
               set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    return set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) | set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
}

void udp_stop_local(int fd, const struct addr *bound_to)
{
    if (bound_to->family == ADDR_V6)
        set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0);
    else
        set_option(fd, IPPROTO_IP, IP_PKTINFO, 0);
}

static int open_bound(const struct addr *bind_to, struct addr *ret_local, bool shares)
{
    assert(bind_to->family == ADDR_V4 || bind_to->family == ADDR_V6);
    const bool v6 = bind_to->family == ADDR_V6;
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;

    union udp_sockaddr at;
    socklen_t size = udp_sockaddr_from(&at, bind_to);
    if ((v6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) || prepare(fd, v6) != 0 ||
        (shares && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) || bind(fd, &at.any, size) != 0 ||
        getsockname(fd, &at.any, &size) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    *ret_local = *bind_to; /* keeps the family of an all-zero ip */
    ret_local->port = ntohs(v6 ? at.v6.sin6_port : at.v4.sin_port);
    return fd;
}

/* -1 if it cannot be told. */
static int get_option(int fd, int level, int name)
{
    int value;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

int udp_adopt(int fd, struct addr *ret_local)
{
    union udp_sockaddr at;
    socklen_t size = sizeof at;
    const int family = get_option(fd, SOL_SOCKET, SO_DOMAIN);
    if ((family != AF_INET && family != AF_INET6) || get_option(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM ||
        get_option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP)
        return -EPROTOTYPE;
    const bool v6 = family == AF_INET6;
    if (v6 && get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 1)
        return -EAFNOSUPPORT;
    if (getsockname(fd, &at.any, &size) != 0)
        return -errno;
    *ret_local = (struct addr){.family = v6 ? ADDR_V6 : ADDR_V4, .port = ntohs(v6 ? at.v6.sin6_port : at.v4.sin_port)};
    memcpy(ret_local->ip, v6 ? (const void *)&at.v6.sin6_addr : &at.v4.sin_addr, v6 ? 16 : 4);
    if (ret_local->port == 0)
        return -EDESTADDRREQ;
    if (prepare(fd, v6) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return -errno;
    return 0;
}

int udp_open(const struct addr *bind_to, struct addr *ret_local)
{
    return open_bound(bind_to, ret_local, false);
}

/* The system runs this on each datagram; what it returns counts the sockets in the order in which they came. */
static int divide_by_size(int fd, uint16_t size)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, size, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program;
    memset(&program, 0, sizeof program); /* its padding goes to the kernel, too */
    program.len = sizeof code / sizeof code[0];
    program.filter = code;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

/* The first was bound without sharing, so that a port that is taken is an error; only now it shares. */
int udp_open_beside(int first, const struct addr *local, uint16_t size)
{
    struct addr same;
    if (set_option(first, SOL_SOCKET, SO_REUSEPORT, 1) != 0)
        return -errno;
    int fd = open_bound(local, &same, true);
    if (fd >= 0 && divide_by_size(fd, size) != 0) {
        int error = errno;
        close(fd);
        fd = -error;
    }
    if (fd < 0)
        set_option(first, SOL_SOCKET, SO_REUSEPORT, 0);
    return fd;
}

bool udp_is_weather(int error)
{
    switch (error) {
    case EINTR:
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EMSGSIZE:
    case EACCES:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
        return true;
    default:
        return false;
    }
}

bool udp_is_full(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

void udp_read_local(struct msghdr *message, struct addr *ret)
{
    memset(ret, 0, sizeof *ret);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            addr_from_ip(ret, (const uint8_t *)&info.ipi_spec_dst, 4, 0);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            addr_from_ip(ret, info.ipi6_addr.s6_addr, 16, 0);
        }
    }
}

int udp_receive(int fd, uint8_t *at, size_t cap, struct addr *ret_from, struct addr *ret_local)
{
    for (int i = 0; i < SWALLOW_MAX; i++) {
        union udp_sockaddr from = {0};
        _Alignas(struct cmsghdr) uint8_t control[UDP_LOCAL_BYTES];
        struct iovec part = {.iov_base = at, .iov_len = cap};
        struct msghdr message = {.msg_name = &from,
                                 .msg_namelen = sizeof from,
                                 .msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t size = recvmsg(fd, &message, 0);
        if (size < 0) {
            if (udp_is_weather(errno))
                continue;
            return -errno;
        }
        udp_sockaddr_to(ret_from, &from);
        udp_read_local(&message, ret_local);
        return message.msg_flags & MSG_TRUNC ? (int)cap + 1 : (int)size;
    }
    return -EAGAIN;
}

static void append_control(struct msghdr *message, int level, int type, const void *value, size_t size)
{
    struct cmsghdr c = {.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
    uint8_t *at = (uint8_t *)message->msg_control + message->msg_controllen;
    memcpy(at, &c, sizeof c);
    memcpy(at + CMSG_LEN(0), value, size);
    message->msg_controllen += CMSG_SPACE(size);
}

void udp_append_source(struct msghdr *message, const struct addr *local)
{
    if (local->family == ADDR_V6) {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, local->ip, 16);
        append_control(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    } else {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local->ip, 4);
        append_control(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
}

int udp_send(int fd, const struct addr *local, const struct addr *to, uint8_t ttl, const uint8_t *at, size_t size)
{
    if (to->family != ADDR_V4 && to->family != ADDR_V6)
        return -EAFNOSUPPORT;
    if (to->port == 0)
        return -EINVAL;

    union udp_sockaddr sockaddr;
    _Alignas(struct cmsghdr) uint8_t control[UDP_LOCAL_BYTES + CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)at, .iov_len = size};
    struct msghdr message = {.msg_name = &sockaddr,
                             .msg_namelen = udp_sockaddr_from(&sockaddr, to),
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control};
    if (local != NULL && local->family == to->family)
        udp_append_source(&message, local);
    if (ttl != 0) {
        int hops = ttl;
        bool v6 = to->family == ADDR_V6;
        append_control(&message, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_HOPLIMIT : IP_TTL, &hops, sizeof hops);
    }
    if (message.msg_controllen == 0)
        message.msg_control = NULL;

    while (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) {
        if (errno == EINTR)
            continue;
        return udp_is_full(errno) ? 0 : -errno;
    }
    return 0;
}

bool udp_is_unreachable(int error)
{
    return error == ENETUNREACH || error == EHOSTUNREACH || error == EPERM || error == EACCES ||
           error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

vtime_us net_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (vtime_us)t.tv_sec * 1000000U + (vtime_us)t.tv_nsec / 1000U;
}
