/* loop.h: the server core among sockets, timers and signals. */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H
#include "server/sockets.h"

/* Runs until SIGINT or SIGTERM and says goodbye to everybody. Returns the exit status. `ready` is called when
 * datagrams are being received. `metrics` is a listening socket that the loop takes, or -1. */
int loop_run(const struct sockets *sockets, int metrics, void (*ready)(const struct sockets *));
#endif
