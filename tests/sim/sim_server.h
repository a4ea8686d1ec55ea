/* sim_server.h: the shell of the server core in the simulated world: its sockets, its clock, its entropy. */
#ifndef SIM_SIM_SERVER_H
#define SIM_SIM_SERVER_H
#include "server/core.h"
#include "world.h"

enum { SIM_SERVER_PORT = 41414, SIM_SERVER_ALTERNATE_PORT = 41415 };

struct sim_server {
    struct world *w;
    int host, actor; /* actor -1: killed */
    struct server_config config;
    struct server *core;
    int      sockets[4]; /* v4, v4 alternate, v6, v6 alternate; -1: not open */
    vtime_us entropy_at; /* the host's clock */
    struct dice dice;
    unsigned lives;
};

/* On the host's addresses; alternate_port of the config is filled in. */
struct sim_server *sim_server_new(struct world *w, int host, const struct server_config *config);
void sim_server_free(struct sim_server *s);
void sim_server_kill(struct sim_server *s);     /* at once and without a word */
void sim_server_shutdown(struct sim_server *s); /* SIGTERM: Leave to everybody, then gone */
void sim_server_start(struct sim_server *s);    /* again, knowing nothing */
uint64_t sim_server_stat(const struct sim_server *s, const char *name);
#endif
