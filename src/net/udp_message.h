/* udp_message.h: the parts of a msghdr, shared by udp.c and by who sends and receives many at once. */
#ifndef NET_UDP_MESSAGE_H
#define NET_UDP_MESSAGE_H
#include "wire/addr.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

union udp_sockaddr {
    struct sockaddr     any;
    struct sockaddr_in  v4;
    struct sockaddr_in6 v6;
};

enum { UDP_LOCAL_BYTES = CMSG_SPACE(sizeof(struct in6_pktinfo)) }; /* of control data, aligned as a struct cmsghdr */

/* Returns the size that bind() and sendmsg() want. */
socklen_t udp_sockaddr_from(union udp_sockaddr *ret, const struct addr *a);
void udp_sockaddr_to(struct addr *ret, const union udp_sockaddr *from);
/* The address that a received message came to; port 0. */
void udp_read_local(struct msghdr *message, struct addr *ret);
/* Appends to the message's control data, for which it has room. */
void udp_append_source(struct msghdr *message, const struct addr *local);
/* Errors that an earlier datagram's ICMP answer may leave on the socket: the network's weather. */
bool udp_is_weather(int error);
/* The send queue's: what was to be sent is lost, as it might have been further on. */
bool udp_is_full(int error);
#endif
