#include "kinds.h"

#include <stddef.h>

static const struct natbox_config address_dependent = {
    .mapping = NATBOX_AD, .filtering = NATBOX_AD, .ports = NATBOX_RANDOM};
static const struct natbox_config random_port = {.mapping = NATBOX_EI, .filtering = NATBOX_APD, .ports = NATBOX_RANDOM};

const struct nat_kind nat_kinds[NAT_KINDS] = {
    {"public", NULL, true, true},
    {"cone", &natbox_cone, true, true},
    {"restricted", &natbox_restricted, true, true},
    {"port-restricted", &natbox_port_restricted, true, false},
    {"port-restricted, random ports", &random_port, true, false},
    {"masquerade", &natbox_masquerade, true, false},
    {"masquerade, open input", &natbox_masquerade_open, true, false},
    {"address-dependent", &address_dependent, false, true},
    {"sequential", &natbox_sequential, false, false},
    {"random", &natbox_random, false, false},
};

enum hope nat_hope(const struct nat_kind *a, const struct nat_kind *b)
{
    if (a->one_port && b->one_port)
        return HOPE_DIRECT;
    if ((a->one_port && a->lets_in) || (b->one_port && b->lets_in))
        return HOPE_DIRECT; /* the other's packet shows its port */
    bool both_sequential = a->config == &natbox_sequential && b->config == &natbox_sequential;
    return a->one_port || b->one_port || both_sequential ? HOPE_HARD : HOPE_RELAY;
}
