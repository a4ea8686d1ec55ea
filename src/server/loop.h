/* loop.h: the server core among sockets, timers and signals. */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H
#include "server/sockets.h"

/* Runs until SIGINT or SIGTERM and says goodbye to everybody. Returns the exit status. `ready` is called when
 * datagrams are being received. */
int loop_run(const struct sockets *sockets, void (*ready)(const struct sockets *));
#endif
