/* sockets.h: the UDP sockets that the engine names. */
#ifndef CLIENT_SOCKETS_H
#define CLIENT_SOCKETS_H
#include <stdbool.h>
#include <stdint.h>
#include "peer/engine.h"

struct event_base;
struct event;

struct socket_slot {
    struct sockets *all;
    struct event   *readable; /* NULL: closed */
    int             fd;
};

struct sockets {
    struct event_base *base;
    void (*readable)(void *, uint16_t); /* something has come on this socket */
    void  *data;
    struct socket_slot slots[ENGINE_SOCKETS_MAX];
};

void sockets_init(struct sockets *s, struct event_base *base, void (*readable)(void *, uint16_t), void *data);
void sockets_close_all(struct sockets *s);
/* On every address of the family, any port. Returns 0 or -errno. */
int  sockets_open(struct sockets *s, uint16_t socket, uint8_t family, struct addr *ret_local);
void sockets_close(struct sockets *s, uint16_t socket);
bool sockets_is_open(const struct sockets *s, uint16_t socket);
/* As udp_receive and udp_send; -EBADF if it is closed. */
int  sockets_receive(struct sockets *s, uint16_t socket, uint8_t *at, size_t cap, struct addr *ret_from,
                     struct addr *ret_local);
int  sockets_send(struct sockets *s, const struct engine_out *out);
#endif
