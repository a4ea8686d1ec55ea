/* kinds.h: the one table of the kinds of NAT that homes have, and what can be hoped for between two of them.
 *
 * A kind that is in testbed/netns/kinds/ too has the same name there, and test_kinds.py sees to it that both are what
 * the head of that file says. The others are what a kernel's rules cannot do. */
#ifndef SIM_KINDS_H
#define SIM_KINDS_H
#include <stdbool.h>
#include "natbox.h"

struct nat_kind {
    const char *name;
    const struct natbox_config *config; /* NULL: a public address */
    unsigned addresses;                 /* outside; 0: 1 */
};

enum { NAT_KINDS_OF_KERNEL = 15 /* the first */, NAT_KINDS = 26 };
extern const struct nat_kind nat_kinds[NAT_KINDS];

const struct nat_kind *nat_kind_find(const char *name); /* NULL: there is none */

/* By what means two get a direct path (DESIGN, "Getting through"). */
enum hope {
    HOPE_DIRECT,     /* candidates, and the addresses that packets come from */
    HOPE_PREDICTION, /* of a sequential NAT's next ports */
    HOPE_BIRTHDAY,   /* many sockets on one side, random ports on the other */
    HOPE_LUCK,       /* one of several outside addresses, and the right one is needed: any path is right */
    HOPE_RELAY,      /* none */
};
enum hope nat_hope(const struct nat_kind *a, const struct nat_kind *b);
const char *nat_hope_name(enum hope hope); /* of the means */
#endif
