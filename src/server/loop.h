/* loop.h: the server core among sockets, timers and signals.
 *
 * One thread, on purpose: all that it knows is in one place, and nothing is locked. It was seen to carry 415,000 relayed
 * datagrams of 1,200 bytes a second (4.0 Gbit/s), and 200,000 refreshes: at one in 16.5 s 3.3 million clients, fifty
 * times what the default tables hold. docs/operating.md, "Speed", says how that was measured. Several threads over
 * SO_REUSEPORT would have to hand each other half of what they relay: two who are linked come in by different ones. */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H
#include "server/core.h"
#include "server/sockets.h"
#include <stdbool.h>

/* Called when everything is open and allocated, and before the first datagram is read; false: not to go on. */
typedef bool loop_ready(const struct sockets *, const struct options *);

/* Runs until SIGINT or SIGTERM and says goodbye to everybody. Returns the exit status. `metrics` is a listening
 * socket that the loop takes, or -1. */
int loop_run(const struct sockets *sockets, int metrics, const struct options *options, loop_ready *ready);
#endif
