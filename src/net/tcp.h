/* tcp.h: a listening TCP socket, non-blocking and closed on exec. */
#ifndef NET_TCP_H
#define NET_TCP_H
#include "wire/addr.h"

/* Binds to *at and listens; returns the descriptor, or -errno. at->port 0: any, and then it is the one. */
int tcp_listen(struct addr *at);
#endif
