/* batch.h: many datagrams for one system call. The structs are large and must not be moved once initialised: one
 * to receive into for all sockets, one to send from for each. Nothing is allocated. */
#ifndef SERVER_BATCH_H
#define SERVER_BATCH_H
#include "net/udp_message.h"
#include "wire/limits.h"
#include <stddef.h>
#include <stdint.h>

enum {
    /* Measured, a bare forwarder over loopback: CPU time a datagram of 1,200 bytes 6.3 us one by one, 2.9 by 8, 2.6
     * by 16, 2.4 by 32, 2.3 by 64, 2.3 by 128. */
    BATCH_MAX = 64,
    BATCH_DATAGRAM_BYTES = DATAGRAM_BYTES_MAX + 1, /* one more: a size that the core refuses */
};

struct batch_messages { /* one size of everything, so that all pointers are set once */
    struct mmsghdr      headers[BATCH_MAX];
    struct iovec        parts[BATCH_MAX];
    union udp_sockaddr  addresses[BATCH_MAX];
    _Alignas(struct cmsghdr) uint8_t controls[BATCH_MAX][UDP_LOCAL_BYTES];
    uint8_t             bytes[BATCH_MAX][BATCH_DATAGRAM_BYTES];
};

struct batch_in {
    struct batch_messages m;
};

struct batch_datagram {
    struct addr    from, local; /* canonical (addr.h); local as udp_receive gives it */
    const uint8_t *bytes;       /* valid until the next batch_receive */
    size_t         size;        /* of a longer one: BATCH_DATAGRAM_BYTES */
};

void batch_in_init(struct batch_in *b);
/* What is there, without waiting; returns how many (0: none), or -errno. ICMP errors of earlier sends are swallowed. */
int batch_receive(struct batch_in *b, int fd);
/* The i-th of those that the last batch_receive returned. */
void batch_get(struct batch_in *b, size_t i, struct batch_datagram *ret);

struct batch_out { /* all zero but for what batch_out_init sets */
    size_t   count;
    uint64_t full;   /* datagrams dropped because the system's queue was full */
    uint64_t failed; /* refused by the system: no route, not permitted, an ICMP error of an earlier one */
    int         failed_errno; /* of the last such */
    struct addr failed_to;
    struct batch_messages m;
};

void batch_out_init(struct batch_out *b);
/* Copies it; call batch_send when count is BATCH_MAX. size is at most DATAGRAM_BYTES_MAX. */
void batch_put(struct batch_out *b, const struct addr *local, const struct addr *to, const uint8_t *bytes, size_t size);
/* All that was put, without waiting; one that cannot be sent is counted and does not hold up the rest. */
void batch_send(struct batch_out *b, int fd);
#endif
