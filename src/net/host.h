/* host.h: the server as people write it, and its addresses. */
#ifndef NET_HOST_H
#define NET_HOST_H
#include "wire/addr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SERVER_PORT_DEFAULT = 41414,
    HOST_BYTES_MAX      = 253, /* a DNS name (RFC 1035 s2.3.4, written out) */
    HOST_ERROR_MAX      = 256, /* a sentence with 80 bytes of what was written */
};

struct host_port {
    char        host[HOST_BYTES_MAX + 1]; /* as given, without brackets */
    uint16_t    port;
    struct addr numeric; /* ADDR_NONE: a name to be resolved */
};

/* HOST, HOST:PORT, v4, v4:port, [v6], [v6]:port or bare v6. */
bool host_port_parse(struct host_port *ret, const char *text, char ret_error[static HOST_ERROR_MAX]);
/* Asks the system, and waits for it. At most cap addresses, each once, all such that packets can be sent there; returns
 * how many. 0: why is in ret_error. */
size_t host_resolve(const char *host, uint16_t port, struct addr *ret, size_t cap,
                    char ret_error[static HOST_ERROR_MAX]);
/* The same ones in the same order? */
bool addrs_equal(const struct addr *a, size_t a_count, const struct addr *b, size_t b_count);
#endif
