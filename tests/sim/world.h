/* world.h: a network in one process and in virtual time.
 *
 * Networks are numbered; 0 is the internet. Nodes hang on networks by a link with a delay: hosts, and
 * NATs (natbox.h) with a network of their own behind them, to any depth. Hosts carry actors: programs
 * with an input function and a deadline, whose clock each host sets to its own epoch. The clock of the
 * world jumps to the next arrival or deadline. Everything random comes from one seed: the same seed and
 * the same calls give the same run, which trace.hash proves.
 *
 * A datagram's delay is the sum of the links on its way (host, its NATs, the other's NATs, host), its
 * TTL goes down at every NAT and at the internet's core; weather happens at the core only. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dice.h"
#include "natbox.h"
#include "trace.h"
#include "wire/addr.h"
#include "wire/vtime.h"

enum { INTERNET = 0, WORLD_DATAGRAM_MAX = 1500, WORLD_TTL = 64, WORLD_NODE_ADDRS = 4, WORLD_TAPS_MAX = 8 };

struct weather { /* all zero: nothing is lost, copied, delayed or reordered */
    uint32_t loss_ppm, duplicate_ppm, reorder_ppm;
    vtime_us jitter_us;  /* 0 .. jitter_us more for every datagram */
    vtime_us reorder_us; /* more for those that reorder_ppm picks */
};

struct actor_calls { /* a program; times are its host's */
    /* A datagram for one of its sockets; `local` has port 0, as net/udp.h gives it. */
    void (*input)(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                  const uint8_t *at, size_t size);
    void (*wake)(void *self, vtime_us now); /* the deadline has come */
    vtime_us (*deadline)(void *self);
};

struct packet {
    uint64_t    number; /* of all that were sent; copies have the same */
    int         origin; /* node */
    struct addr src, dst; /* as they are at this moment */
    uint8_t     ttl;
    uint16_t    size;
    uint8_t     bytes[WORLD_DATAGRAM_MAX];
};

enum packet_fate {
    FATE_SENT,      /* by a host; src, dst as it sent them */
    FATE_DELIVERED, /* to an actor */
    FATE_LOST,      /* weather, or a link's full queue */
    FATE_BLOCKED,   /* world_block, or the drop function */
    FATE_EXPIRED,   /* TTL */
    FATE_NAT,       /* a NAT let it not through */
    FATE_UNROUTED,  /* nobody has this address */
    FATE_UNHEARD,   /* no socket, or the host is down */
    FATES,
};

/* Sees every packet meet its fate; `node` is where, `actor` is who sent or got it (-1: neither). */
typedef void world_tap(void *context, enum packet_fate fate, const struct packet *p, int node, int actor);

struct world {
    vtime_us       now;
    struct dice    dice;
    struct weather weather;
    int            core_hops;      /* TTL that crossing the internet costs; 1 */
    vtime_us       timer_slack_us; /* wakes come 0 .. so late, as the system's do */
    /* Looked at in the core; true: drop it. For scripted losses. */
    bool (*drop)(void *context, const struct packet *p);
    void          *drop_context;
    struct trace   trace;
    uint64_t       fates[FATES];
    struct world_parts *parts;
};

struct world *world_new(uint64_t seed);
void          world_free(struct world *w);

/* ---- the map ---- */
/* A NAT on `network`; returns its node. Its outside addresses: world_add_addr. A family without an
 * outside address, or with rules NULL, does not get through. */
int  world_add_natbox(struct world *w, int network, vtime_us delay_us, const struct natbox_config *v4,
                      const struct addr *outside, const struct natbox_config *v6);
/* One more outside address of a NAT: its pool. */
void world_add_outside(struct world *w, int natbox, const struct addr *outside_v4);
int  world_inside(const struct world *w, int natbox); /* the network behind it */
struct natbox *world_natbox(const struct world *w, int natbox, enum addr_family family);
int  world_add_host(struct world *w, int network, vtime_us delay_us, const char *name);
void world_add_addr(struct world *w, int node, const struct addr *ip);
/* Bytes per second and bytes of queue of a node's link, each way; 0: endless. */
void world_set_rate(struct world *w, int node, uint32_t bytes_per_s, uint32_t queue_bytes);
void world_set_delay(struct world *w, int node, vtime_us delay_us);
const struct addr *world_addr(const struct world *w, int node, size_t i); /* NULL: no more */
const char *world_name(const struct world *w, int node);

/* ---- programs ---- */
int      world_add_actor(struct world *w, int host, const struct actor_calls *calls, void *self, const char *name);
void     world_remove_actor(struct world *w, int actor); /* its sockets go, too: a kill -9 */
vtime_us world_host_now(const struct world *w, int host);
/* From the host's clock to the world's. */
vtime_us world_time_of(const struct world *w, int host, vtime_us host_time);
/* The actor's deadline may have changed for another reason than a call from here. */
void     world_touch(struct world *w, int actor);
/* A socket of the actor on all addresses of a family; port 0: any. Returns its number, -1 if the port is
 * taken or the host has no such address. */
int      world_open(struct world *w, int actor, enum addr_family family, uint16_t port);
void     world_close(struct world *w, int socket);
uint16_t world_port(const struct world *w, int socket);
/* False: the host has no address of this family. local: NULL, or which of the host's to send from. */
bool     world_send(struct world *w, int socket, const struct addr *local, const struct addr *to, uint8_t ttl,
                    const uint8_t *at, size_t size);

/* ---- what goes wrong ---- */
void world_sleep(struct world *w, int host, bool asleep); /* hears nothing, does nothing; its clock goes on */
void world_jump(struct world *w, int host, vtime_us us);  /* its clock leaps forward */
/* It has slept so long, and its clock did not go on. False: it would be from before the clock began. */
bool world_stand_still(struct world *w, int host, vtime_us us);
/* Drops what goes from a to b (and back), at the core or where it arrives; not what a server relays. */
void world_block(struct world *w, int host_a, int host_b, bool both_ways);
void world_unblock(struct world *w, int host_a, int host_b);
void world_forget(struct world *w, int natbox); /* its flows */
void world_rebind(struct world *w, int natbox, const struct addr *outside_v4);

/* ---- time ---- */
bool world_step(struct world *w); /* one arrival or wake; false: nothing will ever happen again */
vtime_us world_next(const struct world *w);
void world_run_until(struct world *w, vtime_us t);
void world_run_for(struct world *w, vtime_us us);
/* Until done says so; false: it did not within `us`. */
bool world_run_while_not(struct world *w, vtime_us us, bool (*done)(void *context), void *context);

void world_add_tap(struct world *w, world_tap *tap, void *context);
#endif
