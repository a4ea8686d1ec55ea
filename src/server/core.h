/* core.h: the rendezvous server without a socket.
 *
 * Pure: owns no socket, reads no clock, draws no entropy, logs nothing, allocates nothing; the
 * caller sets aside server_size(config) bytes, all zero (calloc, fresh pages): what is never needed is never
 * touched and costs nothing. docs/protocol.md, "The server", is what it does.
 *
 *     server_init(s, &config, seed, now)
 *     server_input(s, now, socket, local, from, at, size)  for every datagram
 *     server_command(s, now, &command)
 *     while (server_poll(s, now, &out)) send it            after each of the above, and when
 *     server_deadline(s)                                   has come */
#ifndef SERVER_CORE_H
#define SERVER_CORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/addr.h"
#include "wire/codec.h"
#include "wire/limits.h"
#include "wire/rng.h"
#include "wire/vtime.h"

struct server;

enum {
    SERVER_SOCKETS_MAX = 16,
    SERVER_ADDRESSES_MAX = 16,
    SERVER_CLIENTS_MAX = 1 << 24,   /* ids stay far from 2^32; 11 GB */
    SERVER_RATE_MAX = 1000 * 1000 * 1000, /* no sum overflows in years */
};

#define SERVER_NO_LIMIT UINT32_MAX

struct server_config { /* 0 in a count or rate: the default of core_internal.h; rates may be SERVER_NO_LIMIT */
    uint32_t registrations_max;
    uint32_t unvalidated_max;
    uint32_t introductions_max;
    uint32_t links_max;
    uint32_t register_per_s; /* of a source prefix, with state before the cookie, when many come */
    uint32_t control_per_s;  /* Registers, Signals, Links of real sources, all together */
    uint32_t relay_bytes_per_s;       /* of a link */
    uint32_t relay_total_bytes_per_s; /* of all */
    uint16_t alternate_port; /* told in Registered; 0: none */
    /* What each socket is bound to (an all-zero ip: every address of the family), and the addresses of this machine
     * without loopback (port 0): from which other port or address a Probe can be answered. */
    size_t      socket_count, address_count;
    struct addr sockets[SERVER_SOCKETS_MAX];
    struct addr addresses[SERVER_ADDRESSES_MAX];
};

enum server_command_kind {
    SERVER_COMMAND_ENTROPY,  /* entropy: 32 fresh bytes; every minute */
    SERVER_COMMAND_SHUTDOWN, /* queue a Leave to everybody */
};
struct server_command {
    enum server_command_kind kind;
    const uint8_t *entropy;
};

struct server_out {
    uint16_t       socket; /* the one that the client's last packet came to */
    struct addr    local;  /* and the address there; ADDR_NONE: any */
    struct addr    to;
    const uint8_t *bytes;  /* valid until the next call */
    size_t         size;
};

size_t   server_size(const struct server_config *config); /* SIZE_MAX: more than there are addresses */
void     server_init(struct server *s, const struct server_config *config, const uint8_t seed[static RNG_SEED_BYTES], vtime_us now);
void     server_input(struct server *s, vtime_us now, uint16_t socket, const struct addr *local, const struct addr *from,
                      const uint8_t *at, size_t size);
void     server_command(struct server *s, vtime_us now, const struct server_command *command);
bool     server_poll(struct server *s, vtime_us now, struct server_out *ret);
vtime_us server_deadline(const struct server *s);

/* Counters and gauges by name, in a fixed order; the text of the metrics and of the tests. */
struct server_stat { const char *name; uint64_t value; };
enum { SERVER_STATS_MAX = 64 };
size_t server_stats(const struct server *s, struct server_stat ret[static SERVER_STATS_MAX]);
#endif
