/* kinds.h: the kinds of homes that people have, and what can be hoped for between two of them. */
#ifndef SIM_KINDS_H
#define SIM_KINDS_H
#include <stdbool.h>
#include "natbox.h"

struct nat_kind {
    const char *name;
    const struct natbox_config *config; /* NULL: a public address */
    bool one_port; /* the outside port is the same for every destination */
    bool lets_in;  /* ... and packets come in from other ports of an address that was sent to */
};

enum { NAT_KINDS = 10 };
extern const struct nat_kind nat_kinds[NAT_KINDS];

enum hope {
    HOPE_DIRECT, /* by candidates alone */
    HOPE_HARD,   /* ports would have to be guessed: direct or relayed */
    HOPE_RELAY,  /* direct would be a miracle */
};
enum hope nat_hope(const struct nat_kind *a, const struct nat_kind *b);
#endif
