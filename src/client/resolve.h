/* resolve.h: the server's name, resolved again and again in a thread of its own, because getaddrinfo waits. */
#ifndef CLIENT_RESOLVE_H
#define CLIENT_RESOLVE_H
#include <stdbool.h>
#include <stddef.h>
#include "net/host.h"
#include "peer/engine.h"

struct event_base;
struct event;

struct resolver {
    const struct host_port *server;
    void         (*done)(void *); /* something below has changed */
    void          *data;
    struct addr    addrs[ENGINE_SERVER_ADDRS_MAX];
    size_t         addr_count; /* 0: not resolved yet */
    char           error[256]; /* of the last try; "" if it went well */
    int            pipe[2];
    bool           busy;
    unsigned       failures; /* in a row */
    struct event  *readable, *again;
};

/* A numeric address is there at once, and done is not called for it. */
void resolver_open(struct resolver *r, const struct host_port *server, struct event_base *base, void (*done)(void *),
                   void *data);
/* Now instead of in some minutes: call after the server was lost. Harmless while a try is under way. */
void resolver_hurry(struct resolver *r);
void resolver_close(struct resolver *r);
#endif
