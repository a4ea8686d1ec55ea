/* udp.h: UDP sockets as both shells use them: non-blocking, closed on exec, don't-fragment, with the
 * local address of every datagram (IP_PKTINFO, IPV6_RECVPKTINFO); v6 sockets are v6 only. */
#ifndef NET_UDP_H
#define NET_UDP_H
#include "wire/addr.h"
#include "wire/vtime.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens and binds (port 0: any; an all-zero ip: every address of the family); returns the descriptor, or
 * -errno. *ret_local is what it was bound to. */
int udp_open(const struct addr *bind_to, struct addr *ret_local);
/* The same for a socket that somebody else has opened and bound. Returns 0 or -errno: -EPROTOTYPE: it is no UDP socket;
 * -EDESTADDRREQ: it is not bound; -EAFNOSUPPORT: it is v6, but not v6 only. */
int udp_adopt(int fd, struct addr *ret_local);
/* A second socket at the address of one that udp_open has opened, to which all datagrams of exactly `size` bytes come from
 * now on, so that a flood of them leaves the queue of the first alone. Returns the descriptor, or -errno: then everything
 * comes to the first, as before. Nobody else can join them who does not ask the system for it (SO_REUSEPORT). */
int udp_open_beside(int first, const struct addr *local, uint16_t size);
/* Datagrams of this socket no longer tell their local address: for one that is bound to a single address. */
void udp_stop_local(int fd, const struct addr *bound_to);
/* One datagram; returns its size (a longer one than cap: cap + 1), or -errno (-EAGAIN: none left). from and
 * local are canonical (addr.h); local's port is 0; after udp_stop_local it is ADDR_NONE. ICMP errors of earlier sends are swallowed. */
int udp_receive(int fd, uint8_t *at, size_t cap, struct addr *ret_from, struct addr *ret_local);
/* Sends; local may be NULL or ADDR_NONE (the system picks). ttl 0: the system's. Returns 0 or -errno. A full
 * queue (-EAGAIN, -ENOBUFS) is loss and 0. */
int udp_send(int fd, const struct addr *local, const struct addr *to, uint8_t ttl, const uint8_t *at, size_t size);
/* What udp_send returned, made positive: nothing goes there from here. Other errors are loss to the engine. */
bool udp_is_unreachable(int error);
/* CLOCK_BOOTTIME. */
vtime_us net_now(void);
#endif
