/* machine.h: what the engine should know of the machine that it runs on: the server's addresses, its own, fresh
 * entropy, and that it slept. */
#ifndef CLIENT_MACHINE_H
#define CLIENT_MACHINE_H
#include <stdbool.h>
#include "client/client.h"
#include "client/resolve.h"
#include "loop/tell.h"

struct machine {
    struct client  *client;
    struct resolver resolver;
    struct event   *tick;
    unsigned        ticks;
    vtime_us        slept; /* CLOCK_BOOTTIME ahead of CLOCK_MONOTONIC */
    struct told_interfaces told_interfaces;
    struct addr     told_server[ENGINE_SERVER_ADDRS_MAX];
    size_t          told_server_count;
    bool            told_unknown;
};

/* Tells what is known at once, and from then on what changes. */
void machine_open(struct machine *m, struct client *c);
void machine_close(struct machine *m);
/* Call after EVENT_SERVER_LOST: its name is resolved again soon. */
void machine_lost_server(struct machine *m);
/* Call now and then, before the engine sees a datagram of after the sleep if possible. */
void machine_notice_sleep(struct machine *m);
#endif
