/* wan.h: what the parts of the wan share: the world of one process. See wan.c for what it does. */
#ifndef TESTBED_WAN_H
#define TESTBED_WAN_H
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WAN_EDGES_MAX = 16,
    WAN_FRAME_BYTES_MAX = 1600, /* Ethernet's, with room */
    WAN_FLIGHTS_MAX = 16384,
    WAN_PAIRS_MAX = 64,
    WAN_TRACE_MAX = 4096, /* packets of a pair that are remembered */
    WAN_LOSSES_MAX = 8,
};

struct ip { /* v4 as ::ffff:a.b.c.d */
    uint8_t bytes[16];
};

struct edge { /* where one network is plugged in; one with both families has two */
    char name[IF_NAMESIZE];
    struct ip prefix;
    unsigned bits;
    bool v6;
    uint64_t delay_ns; /* to the middle */
    int fd;
    uint64_t foreign; /* packets from addresses that don't live here, dropped as providers do */
};

enum fate { FATE_FLYING, FATE_ARRIVED, FATE_LOST, FATE_EXPIRED };

struct record { /* of one packet */
    uint64_t sent_ns, arrived_ns;
    enum fate fate;
    uint16_t size, from_port, to_port;
    uint8_t ttl;     /* as it was sent */
    uint8_t head[8]; /* of the UDP payload */
    uint8_t head_size;
};

struct pair { /* of addresses, one direction */
    struct ip src, dst;
    uint64_t sent, sent_bytes, arrived, arrived_bytes, lost, expired, duplicated;
    uint64_t dice;
    struct record trace[WAN_TRACE_MAX];
    unsigned trace_count;
};

struct loss { /* packets that are to get lost */
    struct ip src, dst;
    unsigned count;
    int byte; /* at offset 5 of the UDP payload; -1: any */
};

enum option { SEED, JITTER, LOSS, DUPLICATE, REORDER, OVERTAKE, HOPS, OPTIONS };

struct wan { /* all zero but the options: nothing has happened yet */
    double options[OPTIONS];
    struct edge edges[WAN_EDGES_MAX];
    size_t edge_count;
    struct pair pairs[WAN_PAIRS_MAX];
    size_t pair_count;
    struct loss losses[WAN_LOSSES_MAX];
    uint64_t unroutable; /* packets to nowhere */
    uint64_t overflow;   /* packets that this program lost, and should not have */
};
extern struct wan wan;

void wan_die(const char *what) __attribute__((noreturn));
uint64_t wan_now_ns(void); /* CLOCK_MONOTONIC */

/* False: it is no address. */
bool wan_read_ip(struct ip *ret, const char *text, bool *ret_v6);

/* wan_forward.c */
void wan_receive(struct edge *from); /* all that has come */
/* Delivers what is due; true: *ret_due_ns is when the next is. */
bool wan_deliver(uint64_t now, uint64_t *ret_due_ns);

/* wan_answer.c */
bool wan_set_option(const char *name, const char *text);
int wan_listen(const char *path);
void wan_answer(int listener);
#endif
