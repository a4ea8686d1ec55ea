/* sockets.h: the sockets that the server listens on: the main ones, then the alternates. A service manager may have
 * opened them all. */
#ifndef SERVER_SOCKETS_H
#define SERVER_SOCKETS_H
#include <stddef.h>
#include <stdint.h>
#include "server/core.h"
#include "server/options.h"

struct sockets {
    size_t      count;
    int         fds[SERVER_SOCKETS_MAX];
    /* Beside each of them the one to which padded Registers come, from people whom nobody knows yet: floods are made of
     * these, and have only this queue to fill. Negative: the system cannot, and fds[] gets all. */
    int         newcomers[SERVER_SOCKETS_MAX];
    struct addr locals[SERVER_SOCKETS_MAX];
    /* The address, without a port, that alone a socket is bound to. ADDR_NONE: it is bound to all, and each datagram
     * tells to which it came. To be told costs 5 % of the relay's time. */
    struct addr only[SERVER_SOCKETS_MAX];
    uint16_t    alternate_port; /* the same on every address; 0: there are none */
};

/* False after one line on stderr about what failed. */
bool sockets_open(struct sockets *ret, const struct options *o);
void sockets_close(struct sockets *s);
/* What to do when listening failed with this errno: "; ...", or nothing. Static. */
const char *sockets_advice(int error);
#endif
