#include "net/interfaces.h"
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

static bool read_sockaddr(struct addr *ret, const struct sockaddr *a)
{
    if (a != NULL && a->sa_family == AF_INET)
        return addr_from_ip(ret, (const uint8_t *)&((const struct sockaddr_in *)(const void *)a)->sin_addr, 4, 0);
    if (a != NULL && a->sa_family == AF_INET6)
        return addr_from_ip(ret, (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16, 0);
    return false;
}

/* Leading one bits of a mask; of a v6 mask, which addr_from_ip may take for something else, from the bytes. */
static uint8_t prefix_length(const struct ifaddrs *i)
{
    const uint8_t *mask;
    size_t size, bits = 0;
    if (i->ifa_netmask == NULL)
        return 0;
    if (i->ifa_addr->sa_family == AF_INET) {
        mask = (const uint8_t *)&((const struct sockaddr_in *)(const void *)i->ifa_netmask)->sin_addr;
        size = 4;
    } else {
        mask = (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)i->ifa_netmask)->sin6_addr;
        size = 16;
    }
    while (bits < 8 * size && mask[bits / 8] >> (7 - bits % 8) & 1)
        bits++;
    return (uint8_t)bits;
}

static size_t append(struct addr *ret, uint8_t *ret_prefixes, size_t count, size_t cap, const struct ifaddrs *list,
                     bool loopback)
{
    for (const struct ifaddrs *i = list; i != NULL && count < cap; i = i->ifa_next) {
        struct addr found;
        if ((i->ifa_flags & IFF_UP) == 0 || !read_sockaddr(&found, i->ifa_addr) || addr_is_loopback(&found) != loopback)
            continue;
        if (found.family == ADDR_V6 && addr_is_link_local(&found))
            continue;
        if (ret_prefixes != NULL)
            ret_prefixes[count] = prefix_length(i);
        ret[count++] = found;
    }
    return count;
}

size_t interfaces_list(struct addr *ret, uint8_t *ret_prefixes, size_t cap, bool with_loopback)
{
    struct ifaddrs *list;
    if (getifaddrs(&list) != 0)
        return 0;
    size_t count = with_loopback ? append(ret, ret_prefixes, 0, cap, list, true) : 0;
    count = append(ret, ret_prefixes, count, cap, list, false);
    freeifaddrs(list);
    return count;
}
