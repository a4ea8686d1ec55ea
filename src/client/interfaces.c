#include "client/interfaces.h"
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

static bool read_addr(struct addr *ret, const struct ifaddrs *i)
{
    if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0)
        return false;
    if (i->ifa_addr->sa_family == AF_INET)
        return addr_from_ip(ret, (const uint8_t *)&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, 4,
                            0);
    if (i->ifa_addr->sa_family == AF_INET6)
        return addr_from_ip(ret, (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr,
                            16, 0);
    return false;
}

static size_t append(struct addr *ret, size_t count, size_t cap, const struct ifaddrs *list, bool loopback)
{
    for (const struct ifaddrs *i = list; i != NULL && count < cap; i = i->ifa_next) {
        struct addr found;
        if (!read_addr(&found, i) || addr_is_loopback(&found) != loopback)
            continue;
        if (found.family == ADDR_V6 && addr_is_link_local(&found))
            continue;
        ret[count++] = found;
    }
    return count;
}

size_t interfaces_list(struct addr *ret, size_t cap, bool with_loopback)
{
    struct ifaddrs *list;
    if (getifaddrs(&list) != 0)
        return 0;
    size_t count = with_loopback ? append(ret, 0, cap, list, true) : 0;
    count = append(ret, count, cap, list, false);
    freeifaddrs(list);
    return count;
}
