/* flow.h: one way of traffic through a relay: who sends, who receives, and the datagram that is sent again and again.
 * A kind of relay is known by how its flows are set up. */
#ifndef BENCH_FLOW_H
#define BENCH_FLOW_H
#include "bench/bench.h"
#include "wire/limits.h"

struct flow {
    int from, to; /* `from` is connected to the relay */
    size_t size;
    uint8_t datagram[DATAGRAM_BYTES_MAX]; /* its last 8 bytes are ciphertext: free for a time */
    uint32_t sent, arrived; /* modulo 2^32; as the kernel counts */
};

/* Each opens the sockets of flow `number` at two neighbouring addresses of its own, makes itself known to the relay at
 * 127.0.0.1:port, and makes a datagram of `size` bytes (the largest Relay has fewer than 1,200: flow->size says). */
void flow_open_bare(struct flow *f, uint32_t number, uint16_t port, size_t size);
void flow_open_p2p(struct flow *f, uint32_t number, uint16_t port, size_t size);  /* p2p-server */
void flow_open_turn(struct flow *f, uint32_t number, uint16_t port, size_t size); /* a TURN server, RFC 8656 */

/* The two sockets alone; for the above. */
void flow_open_sockets(struct flow *f, uint32_t number, uint16_t port);
struct sockaddr_in flow_receiver(uint32_t number, const struct flow *f);
#endif
