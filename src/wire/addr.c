#include "wire/addr.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* inet_ntop and inet_pton are used as pure functions: text to bytes and back. */

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct addr){.family = ADDR_V4, .ip = {a, b, c, d}, .port = port};
}

size_t addr_ip_size(const struct addr *a)
{
    return a->family == ADDR_V4 ? 4 : a->family == ADDR_V6 ? 16 : 0;
}

bool addr_from_ip(struct addr *ret, const uint8_t *ip, size_t size, uint16_t port)
{
    if (size != 4 && size != 16)
        return false;
    if (size == 16 && memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        ip += sizeof mapped_prefix;
        size = 4;
    }
    struct addr a = {.family = size == 4 ? ADDR_V4 : ADDR_V6, .port = port};
    memcpy(a.ip, ip, size);
    *ret = a;
    return true;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return addr_ip_equal(a, b) && a->port == b->port;
}

bool addr_ip_equal(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN];
    int family = a->family == ADDR_V4 ? AF_INET : AF_INET6;
    if (addr_ip_size(a) == 0 || inet_ntop(family, a->ip, ip, sizeof ip) == NULL)
        return strcpy(buf, "none");
    snprintf(buf, ADDR_TEXT_MAX, family == AF_INET ? "%s:%u" : "[%s]:%u", ip, (unsigned)a->port);
    return buf;
}

/* Decimal without sign, white space or leading zeros, up to 65535; nothing behind it. */
static bool parse_port(const char *text, uint16_t *ret)
{
    uint32_t value = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 5; digits++)
        value = value * 10 + (uint32_t)(text[digits] - '0');
    if (digits == 0 || text[digits] != '\0' || (text[0] == '0' && digits > 1) || value > UINT16_MAX)
        return false;
    *ret = (uint16_t)value;
    return true;
}

bool addr_parse(struct addr *ret, const char *text)
{
    bool v6 = text[0] == '[';
    const char *ip_at = text + (v6 ? 1 : 0);
    const char *end = strchr(ip_at, v6 ? ']' : ':');
    char ip[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    uint16_t port;

    if (end == NULL || (size_t)(end - ip_at) >= sizeof ip)
        return false;
    memcpy(ip, ip_at, (size_t)(end - ip_at));
    ip[end - ip_at] = '\0';
    if (v6 && *++end != ':')
        return false;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, ip, bytes) != 1 || !parse_port(end + 1, &port))
        return false;
    return addr_from_ip(ret, bytes, v6 ? 16 : 4, port);
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    return (a->family == ADDR_V4 && a->ip[0] == 127) || (a->family == ADDR_V6 && memcmp(a->ip, one, sizeof one) == 0);
}

bool addr_is_link_local(const struct addr *a)
{
    return (a->family == ADDR_V4 && a->ip[0] == 169 && a->ip[1] == 254) ||
           (a->family == ADDR_V6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80);
}

bool addr_is_private(const struct addr *a)
{
    if (a->family == ADDR_V6)
        return (a->ip[0] & 0xfe) == 0xfc;
    return a->family == ADDR_V4 &&
           (a->ip[0] == 10 || (a->ip[0] == 172 && (a->ip[1] & 0xf0) == 16) || (a->ip[0] == 192 && a->ip[1] == 168));
}

bool addr_is_local(const struct addr *a)
{
    return addr_is_private(a) || addr_is_link_local(a) || addr_is_loopback(a);
}

bool addr_is_sendable(const struct addr *a)
{
    static const uint8_t unspecified[16];
    if (a->port == 0)
        return false;
    if (a->family == ADDR_V6)
        return a->ip[0] != 0xff && memcmp(a->ip, unspecified, sizeof unspecified) != 0;
    /* From 224 on: multicast, class E and the broadcast address. */
    return a->family == ADDR_V4 && a->ip[0] != 0 && a->ip[0] < 224;
}

struct addr addr_mask(const struct addr *a, uint64_t token)
{
    struct addr masked = *a;
    size_t size = addr_ip_size(a);
    for (size_t i = 0; i < size; i++)
        masked.ip[i] ^= (uint8_t)(token >> (8 * (i % 8)));
    if (size > 0) /* "no address" stays that */
        masked.port = (uint16_t)(a->port ^ (token & 0xff) << 8 ^ (token >> 8 & 0xff));
    return masked;
}
