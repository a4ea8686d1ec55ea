#include "net/host.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool wrong(char ret_error[static HOST_ERROR_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(char ret_error[static HOST_ERROR_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_error, HOST_ERROR_MAX, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- as it is written ---- */

static bool port_parse(uint16_t *ret, const char *text, char ret_error[static HOST_ERROR_MAX])
{
    uint32_t port = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && port <= UINT16_MAX; at++)
        port = port * 10 + (uint32_t)(*at - '0');
    if (*at != '\0' || port == 0 || port > UINT16_MAX)
        return wrong(ret_error, "the port '%.40s' is not a number from 1 to 65535", text);
    *ret = (uint16_t)port;
    return true;
}

static bool host_is_numeric(struct addr *ret, const char *host, uint16_t port)
{
    uint8_t ip[16];
    if (inet_pton(AF_INET, host, ip) == 1)
        return addr_from_ip(ret, ip, 4, port);
    if (inet_pton(AF_INET6, host, ip) == 1)
        return addr_from_ip(ret, ip, 16, port);
    return false;
}

/* The resolver takes 1.2.3 and 0x7f.1 for addresses; no name ends in a number. */
static bool ends_in_number(const char *host, size_t size)
{
    size_t at = size;
    while (at > 0 && host[at - 1] != '.')
        at--;
    const char *label = host + at;
    if (strncasecmp(label, "0x", 2) == 0)
        return strspn(label + 2, "0123456789abcdefABCDEF") == size - at - 2;
    return label[0] != '\0' && strspn(label, "0123456789") == size - at;
}

/* What the resolver would refuse anyway, or take for something else. */
static bool host_is_name(const char *host)
{
    const size_t size = strlen(host);
    if (size == 0 || host[0] == '-' || host[0] == '.' || ends_in_number(host, size))
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)host[i] <= ' ' || strchr("/\\:@[]%?#'\"\x7f", host[i]) != NULL)
            return false;
    return true;
}

/* Cuts `text` into host and port; *ret_port points to the port's text or is NULL. */
static bool host_split(char *host, const char *text, const char **ret_port, char ret_error[static HOST_ERROR_MAX])
{
    const char *end, *colon = strchr(text, ':');
    *ret_port = NULL;
    if (text[0] == '[') {
        end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return wrong(ret_error, "the server '%.80s' is not written as [IPv6] or [IPv6]:PORT", text);
        text++;
        if (end[1] == ':')
            *ret_port = end + 2;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        end = colon;
        *ret_port = colon + 1;
    } else {
        end = text + strlen(text);
    }
    size_t size = (size_t)(end - text);
    if (size > HOST_BYTES_MAX)
        return wrong(ret_error, "the server's name is longer than %d bytes, which no name can be", HOST_BYTES_MAX);
    memcpy(host, text, size);
    host[size] = '\0';
    return true;
}

bool host_port_parse(struct host_port *ret, const char *text, char ret_error[static HOST_ERROR_MAX])
{
    struct host_port server = {.port = SERVER_PORT_DEFAULT};
    const char *port;

    if (!host_split(server.host, text, &port, ret_error))
        return false;
    if (port != NULL && !port_parse(&server.port, port, ret_error))
        return false;
    if (!host_is_numeric(&server.numeric, server.host, server.port)) {
        if (text[0] == '[' || strchr(server.host, ':') != NULL)
            return wrong(ret_error, "the server '%.80s' is not an IPv6 address (with a port: [2001:db8::1]:41414)",
                         text);
        if (!host_is_name(server.host))
            return wrong(ret_error, "the server '%.80s' is neither a name nor an address; write HOST or HOST:PORT",
                         text);
    } else if (!addr_is_sendable(&server.numeric)) {
        return wrong(
            ret_error,
            "the server's address '%.80s' is none that packets can be sent to; give the one that clients reach it by",
            text);
    }
    *ret = server;
    return true;
}

/* ---- by name ---- */

static size_t append(struct addr *ret, size_t count, size_t cap, const struct sockaddr *sa, uint16_t port)
{
    struct addr found = {0};
    if (sa->sa_family == AF_INET)
        addr_from_ip(&found, (const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4, port);
    else if (sa->sa_family == AF_INET6)
        addr_from_ip(&found, (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16, port);
    if (!addr_is_sendable(&found) || count == cap)
        return count;
    for (size_t i = 0; i < count; i++)
        if (addr_equal(&ret[i], &found))
            return count;
    ret[count] = found;
    return count + 1;
}

size_t host_resolve(const char *host, uint16_t port, struct addr *ret, size_t cap,
                    char ret_error[static HOST_ERROR_MAX])
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *list = NULL;
    const int error = getaddrinfo(host, NULL, &hints, &list);
    size_t count = 0;
    for (struct addrinfo *a = error == 0 ? list : NULL; a != NULL; a = a->ai_next)
        count = append(ret, count, cap, a->ai_addr, port);
    if (list != NULL)
        freeaddrinfo(list);
    if (error != 0)
        wrong(ret_error, "%s", error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
    else if (count == 0)
        wrong(ret_error, "it has no address that can be used");
    return count;
}

bool addrs_equal(const struct addr *a, size_t a_count, const struct addr *b, size_t b_count)
{
    for (size_t i = 0; a_count == b_count && i < a_count; i++)
        if (!addr_equal(&a[i], &b[i]))
            return false;
    return a_count == b_count;
}
