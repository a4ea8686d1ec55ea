/* world_parts.h: what world.c and route.c share; nobody else includes it. */
#ifndef SIM_WORLD_PARTS_H
#define SIM_WORLD_PARTS_H
#include "world.h"

struct link { /* between a node and its network */
    vtime_us delay_us;
    uint32_t bytes_per_s, queue_bytes;
    vtime_us busy_until[2]; /* up, down */
};

enum { LINK_UP, LINK_DOWN };

struct node {
    char        name[TRACE_NAME_MAX];
    int         network;
    int         inside;  /* a NAT's; -1: this is a host */
    struct addr addrs[WORLD_NODE_ADDRS];
    struct link link;
    struct natbox *v4, *v6;
    bool        asleep;
    vtime_us    epoch; /* the host's clock at the world's 0 */
};

struct actor {
    bool               alive;
    int                host;
    char               name[TRACE_NAME_MAX];
    struct actor_calls calls;
    void              *self;
    vtime_us           deadline; /* as it said, host's clock */
    vtime_us           wake_at;  /* world's clock, slack included */
};

struct socket {
    bool     open;
    int      actor;
    uint8_t  family;
    uint16_t port;
};

struct arrival {
    vtime_us       time;
    uint64_t       order; /* among equals: first come, first served */
    bool           up;    /* at network `where`, from below; else down at node `where` */
    int            where;
    bool           crossed; /* the core has been passed */
    struct packet *packet;
};

struct block {
    int from, to;
};

struct world_parts {
    struct node   *nodes;
    struct actor  *actors;
    struct socket *sockets;
    struct block  *blocks;
    int            node_count, actor_count, socket_count, block_count;
    int           *gateways; /* of each network: the NAT in front of it; -1 */
    int            network_count;
    struct arrival *heap;
    size_t         heap_count, heap_cap;
    uint64_t       order_next;
    struct packet **pool;
    size_t         pool_count;
    struct {
        world_tap *tap;
        void      *context;
    } taps[WORLD_TAPS_MAX];
    int            tap_count;
    vtime_us       last_wake; /* guards against a program that never gets on */
    unsigned       wakes_at_once;
};

/* route.c */
void route_send(struct world *w, int node, struct packet *p);
void route_arrive(struct world *w, const struct arrival *a);
struct packet *world_packet_new(struct world *w);
void world_packet_fate(struct world *w, enum packet_fate fate, struct packet *p, int node, int actor); /* and frees it */
void world_packet_tell(struct world *w, enum packet_fate fate, const struct packet *p, int node, int actor);

/* world.c */
void world_deliver(struct world *w, int host, struct packet *p);

/* arrivals.c: a heap of arrivals */
void arrivals_push(struct world_parts *q, const struct arrival *a);
struct arrival arrivals_pop(struct world_parts *q);

#define GROW(array, count)                                                                                             \
    do {                                                                                                               \
        if (((count) & ((count)-1)) == 0)                                                                              \
            (array) = world_grow((array), (size_t)((count) ? (count)*2 : 1) * sizeof *(array));                        \
    } while (0)
void *world_grow(void *old, size_t size);
#endif
