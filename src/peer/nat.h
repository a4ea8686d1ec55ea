/* nat.h: what kind of NAT somebody is behind, and what that means for two of them (docs/protocol.md, "Hard NATs").
 * Pure; RFC 4787's terms. */
#ifndef PEER_NAT_H
#define PEER_NAT_H
#include "wire/codec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nat_class {
    uint8_t mapping, filtering; /* enum nat_behaviour */
    uint8_t ports;              /* enum nat_ports */
    int16_t step;               /* with NAT_PORTS_SEQUENTIAL: from one new mapping's port to the next's */
};

/* How well the outside port of a fresh socket towards a new destination is known beforehand; the worse the lower. */
enum nat_foresight {
    FORESIGHT_NONE,  /* it is random */
    FORESIGHT_NEAR,  /* it is the next one, unless somebody else takes that */
    FORESIGHT_ONCE,  /* its own port, for its first destination only */
    FORESIGHT_EXACT, /* the same for every destination; so, too, if nothing is known */
};
enum nat_foresight nat_foresight(const struct nat_class *c);

enum nat_technique {
    TECHNIQUE_CHECKS,     /* every address is known, or is shown by a packet */
    TECHNIQUE_PREDICTION, /* one side's next ports are guessed */
    TECHNIQUE_BIRTHDAY,   /* many sockets on one side, random ports on the other */
    TECHNIQUE_NONE,       /* some 10^5 mappings would be needed */
};
enum nat_technique nat_technique(const struct nat_class *a, const struct nat_class *b);

/* How new mappings get their ports, from the ports that fresh sockets were given one right after the other towards one
 * destination: seen[i] outside, for own[i] inside. *ret_step is set with NAT_PORTS_SEQUENTIAL. */
uint8_t nat_ports_of(const uint16_t *own, const uint16_t *seen, size_t count, int16_t *ret_step);

/* "address-and-port-dependent, random ports"; returns ret. */
const char *nat_describe(const struct nat_class *c, char *ret, size_t cap);
#endif
