/* addr.h: an IP address and port as a value.
 * Pure. IPv4-mapped IPv6 addresses do not exist here: whoever fills a struct addr from a socket
 * or a packet makes them IPv4 (addr_from_ip) or refuses them. */
#ifndef WIRE_ADDR_H
#define WIRE_ADDR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* p2p.h from here */
enum addr_family { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

/* An IP address and port as a value. IPv4-mapped IPv6 addresses do not exist here: addr_from_ip makes them IPv4.
 * All zero is "no address". Bytes of ip that the family does not use are zero, so that equal
 * addresses are equal bytes. */
struct addr {
    uint8_t  family; /* enum addr_family */
    uint8_t  ip[16]; /* network order; IPv4 in the first four */
    uint16_t port;   /* host order */
};

enum { ADDR_TEXT_MAX = 48 }; /* "[v6]:65535" and the NUL */

struct addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);
/* 4 or 16 for v4 and v6, 0 for none. */
size_t addr_ip_size(const struct addr *a);
/* From ip bytes of size 4 or 16; a v4-mapped one becomes IPv4. False for another size. */
bool addr_from_ip(struct addr *ret, const uint8_t *ip, size_t size, uint16_t port);
/* "192.0.2.1:5", "[2001:db8::1]:5" (RFC 5952); returns buf. "none" without a family. */
const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_MAX]);
/* The inverse; numeric only. Port 0 is allowed, a missing port is not. False, and *ret untouched: anything else. */
bool addr_parse(struct addr *ret, const char *text);
/* p2p.h to here */

bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_ip_equal(const struct addr *a, const struct addr *b);

bool addr_is_loopback(const struct addr *a);
bool addr_is_link_local(const struct addr *a);
/* RFC 1918, RFC 4193 (fc00::/7). RFC 6598's 100.64/10 is a carrier's, not private. */
bool addr_is_private(const struct addr *a);
/* Private, link-local or loopback: what a path needs at both ends to be called "lan". */
bool addr_is_local(const struct addr *a);
/* Could a packet be sent there at all: a family, a port, and not 0/8, multicast, broadcast,
 * 240/4, v6 unspecified or multicast. Loopback and private ones pass. */
bool addr_is_sendable(const struct addr *a);

/* XOR with a token of eight bytes as p2p.proto describes for "masked"; its own inverse. `token`
 * is the fixed64's value (t[0] is its lowest byte). A port of 0 may result. */
struct addr addr_mask(const struct addr *a, uint64_t token);
#endif
