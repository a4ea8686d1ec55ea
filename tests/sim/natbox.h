/* natbox.h: a NAT as a value. Its behaviour is a row of fields in RFC 4787's terms; one table of
 * flows serves them all: two flows share a mapping when their 4-tuples are equal after the fields
 * that the mapping type does not look at were zeroed, and a stranger's packet passes when it matches
 * some flow after the same was done for the filtering type.
 *
 * Knows nothing of packets, time or networks: the caller passes addresses and `now`. */
#ifndef SIM_NATBOX_H
#define SIM_NATBOX_H
#include <stdbool.h>
#include <stdint.h>
#include "dice.h"
#include "wire/addr.h"
#include "wire/vtime.h"

enum natbox_kind {
    NATBOX_NONE, /* mapping: addresses stay as they are; filtering: everything passes */
    NATBOX_EI,   /* endpoint-independent */
    NATBOX_AD,   /* address-dependent */
    NATBOX_APD,  /* address-and-port-dependent */
};

enum natbox_ports {
    NATBOX_PRESERVE,   /* the inside port as long as it is free, else a random one */
    NATBOX_SEQUENTIAL, /* the last one given + step */
    NATBOX_RANDOM,
    /* Only with APD mapping: the first flow of an inside port keeps it if it is free, and each further one gets */
    NATBOX_FIRST_KEPT,        /* the last one given to the same inside port + step; */
    NATBOX_FIRST_KEPT_COMMON, /* the next of one counter for all. */
};

enum natbox_pooling { /* of several outside addresses, RFC 4787 s4.1 */
    NATBOX_PAIRED,    /* the same one for everything from an inside address */
    NATBOX_ARBITRARY, /* any one for each mapping */
};

struct natbox_config { /* all zero: a router that does nothing */
    enum natbox_kind  mapping, filtering;
    enum natbox_ports ports;
    enum natbox_pooling pooling;
    int               step;              /* of SEQUENTIAL and FIRST_KEPT, may be negative; 0: 1 */
    uint32_t          foreign_per_s;     /* other people's flows: each moves the common counter by a step, whenever */
    uint16_t          port_first, port_last; /* what it gives out; 0: 1024, 65535 */
    vtime_us          timeout_us;        /* of a flow; 0: 120 s */
    vtime_us          timeout_stream_us; /* once packets went both ways, and its first is 2 s ago; 0: as timeout_us */
    bool              outbound_only;     /* packets from outside do not refresh a flow */
    bool              hairpin;
    bool              overload;   /* Linux: flows to different remotes may share an outside port */
    bool              open_input; /* Linux: a stranger's packet to the NAT itself becomes a flow, and its ports
                                   * are taken from then on */
    uint32_t          flows_max;  /* new flows beyond it are dropped, the others live on; 0: no limit */
};

enum { NATBOX_OUTSIDE_MAX = 4 };

extern const struct natbox_config natbox_cone;       /* EI mapping, EI filtering, preserving, hairpin */
extern const struct natbox_config natbox_restricted; /* EI mapping, AD filtering */
extern const struct natbox_config natbox_port_restricted; /* EI mapping, APD filtering */
extern const struct natbox_config natbox_sequential; /* APD mapping and filtering, next port */
extern const struct natbox_config natbox_random;     /* APD mapping and filtering, random port */
extern const struct natbox_config natbox_masquerade; /* Linux MASQUERADE, INPUT drops strangers */
extern const struct natbox_config natbox_masquerade_open; /* the same, INPUT accepts them */
extern const struct natbox_config natbox_firewall;   /* no mapping, APD filtering: IPv6 at home */

enum natbox_verdict {
    NATBOX_PASS,
    NATBOX_UNMAPPED, /* no flow has this port: for the box itself */
    NATBOX_FILTERED,
    NATBOX_FULL,
};

struct natbox;
struct natbox *natbox_new(const struct natbox_config *config, const struct addr *outside, struct dice dice);
void           natbox_free(struct natbox *n);
void           natbox_add_outside(struct natbox *n, const struct addr *outside); /* one more, for a pool */

/* A packet from inside: *src becomes what the outside sees. */
enum natbox_verdict natbox_outbound(struct natbox *n, vtime_us now, struct addr *src, const struct addr *dst);
/* A packet from outside: *dst becomes the inside address. Unchanged unless NATBOX_PASS. */
enum natbox_verdict natbox_inbound(struct natbox *n, vtime_us now, const struct addr *src, struct addr *dst);
/* The same as natbox_inbound's answer, but nothing is refreshed and no trace is left. */
enum natbox_verdict natbox_would_pass(struct natbox *n, vtime_us now, const struct addr *src, struct addr *dst);

/* Every flow is forgotten; ports are given as before. */
void natbox_forget(struct natbox *n);
/* Reboot: every flow is forgotten, and ports are no longer the ones from before even where they
 * would be preserved. outside: a new address in place of the first, or NULL. */
void natbox_rebind(struct natbox *n, const struct addr *outside);
/* Flows that have not run out. */
uint32_t natbox_flows(struct natbox *n, vtime_us now);
const struct natbox_config *natbox_rules(const struct natbox *n);
bool natbox_has_outside(const struct natbox *n, const struct addr *ip);
#endif
