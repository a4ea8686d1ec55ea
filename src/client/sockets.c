#include "client/sockets.h"
#include "net/udp.h"
#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

void sockets_init(struct sockets *s, struct event_base *base, void (*readable)(void *, uint16_t), void *data)
{
    *s = (struct sockets){.base = base, .readable = readable, .data = data};
    for (size_t i = 0; i < ENGINE_SOCKETS_MAX; i++)
        s->slots[i] = (struct socket_slot){.all = s, .fd = -1};
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
    struct socket_slot *slot = data;
    (void)fd;
    (void)what;
    slot->all->readable(slot->all->data, (uint16_t)(slot - slot->all->slots));
}

bool sockets_is_open(const struct sockets *s, uint16_t socket)
{
    return socket < ENGINE_SOCKETS_MAX && s->slots[socket].readable != NULL;
}

int sockets_open(struct sockets *s, uint16_t socket, uint8_t family, struct addr *ret_local)
{
    struct addr any = {.family = family};
    if (socket >= ENGINE_SOCKETS_MAX || sockets_is_open(s, socket))
        return -EINVAL;
    int fd = udp_open(&any, ret_local);
    if (fd < 0)
        return fd;

    struct socket_slot *slot = &s->slots[socket];
    slot->fd = fd;
    slot->readable = event_new(s->base, fd, EV_READ | EV_PERSIST, on_readable, slot);
    if (slot->readable == NULL || event_add(slot->readable, NULL) != 0) {
        sockets_close(s, socket);
        return -ENOMEM;
    }
    return 0;
}

void sockets_close(struct sockets *s, uint16_t socket)
{
    if (socket >= ENGINE_SOCKETS_MAX)
        return;
    struct socket_slot *slot = &s->slots[socket];
    if (slot->readable != NULL)
        event_free(slot->readable);
    if (slot->fd >= 0)
        close(slot->fd);
    slot->readable = NULL;
    slot->fd = -1;
}

void sockets_close_all(struct sockets *s)
{
    for (uint16_t i = 0; i < ENGINE_SOCKETS_MAX; i++)
        sockets_close(s, i);
}

int sockets_receive(struct sockets *s, uint16_t socket, uint8_t *at, size_t cap, struct addr *ret_from,
                    struct addr *ret_local)
{
    if (!sockets_is_open(s, socket))
        return -EBADF;
    return udp_receive(s->slots[socket].fd, at, cap, ret_from, ret_local);
}

int sockets_send(struct sockets *s, const struct engine_out *out)
{
    if (!sockets_is_open(s, out->socket))
        return -EBADF;
    return udp_send(s->slots[out->socket].fd, NULL, &out->to, out->ttl, out->bytes, out->size);
}
