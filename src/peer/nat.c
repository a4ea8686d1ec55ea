#include "peer/nat.h"
#include <stdio.h>

/* Two fresh sockets' ports that are this far apart or less come from a counter. Of random ones two of three gaps are so
 * small, and go the same way, in one of 40,000 cases. */
enum { STEP_MAX = 128 };

enum nat_foresight nat_foresight(const struct nat_class *c)
{
    if (c->mapping != NAT_ADDRESS_DEPENDENT && c->mapping != NAT_ADDRESS_AND_PORT_DEPENDENT)
        return FORESIGHT_EXACT;
    switch (c->ports) {
    case NAT_PORTS_PRESERVED:
        return FORESIGHT_ONCE;
    case NAT_PORTS_SEQUENTIAL:
        return FORESIGHT_NEAR;
    default:
        return FORESIGHT_NONE;
    }
}

/* Packets from another port of an address that was sent to come in. What has not been found out yet is taken for the
 * strictest: the plain checks go on meanwhile. */
static bool lets_in(const struct nat_class *c)
{
    return c->filtering != NAT_UNKNOWN && c->filtering != NAT_ADDRESS_AND_PORT_DEPENDENT;
}

enum nat_technique nat_technique(const struct nat_class *a, const struct nat_class *b)
{
    enum nat_foresight fa = nat_foresight(a), fb = nat_foresight(b);
    if (fa == FORESIGHT_EXACT && fb == FORESIGHT_EXACT)
        return TECHNIQUE_CHECKS;
    if ((fa == FORESIGHT_EXACT && lets_in(a)) || (fb == FORESIGHT_EXACT && lets_in(b)))
        return TECHNIQUE_CHECKS;
    if (fa != FORESIGHT_NONE && fb != FORESIGHT_NONE)
        return TECHNIQUE_PREDICTION;
    return fa == FORESIGHT_EXACT || fb == FORESIGHT_EXACT ? TECHNIQUE_BIRTHDAY : TECHNIQUE_NONE;
}

static bool preserves(const uint16_t *own, const uint16_t *seen, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += own[i] == seen[i];
    return 2 * kept > count; /* one may have been taken already */
}

/* The smallest gap is the allocator's own: in a larger one somebody else's flows have come between. Among three gaps
 * one may be the counter's way back from its last port to its first. */
static bool counts(const uint16_t *seen, size_t count, int16_t *ret_step)
{
    int16_t step = 0;
    size_t outliers_left = count > 3;
    for (size_t i = 1; i < count; i++) {
        int16_t gap = (int16_t)(uint16_t)(seen[i] - seen[i - 1]);
        if (gap == 0 || gap < -STEP_MAX || gap > STEP_MAX || (step != 0 && (gap < 0) != (step < 0))) {
            if (outliers_left-- == 0)
                return false;
            continue;
        }
        if (step == 0 || (gap < 0 ? -gap : gap) < (step < 0 ? -step : step))
            step = gap;
    }
    if (step != 0)
        *ret_step = step;
    return step != 0;
}

uint8_t nat_ports_of(const uint16_t *own, const uint16_t *seen, size_t count, int16_t *ret_step)
{
    if (count == 0)
        return NAT_PORTS_UNKNOWN;
    if (preserves(own, seen, count))
        return NAT_PORTS_PRESERVED;
    if (count < 3)
        return NAT_PORTS_UNKNOWN;
    return counts(seen, count, ret_step) ? NAT_PORTS_SEQUENTIAL : NAT_PORTS_RANDOM;
}

static const char *behaviour_text(uint8_t behaviour)
{
    static const char *const texts[NAT_BEHAVIOURS] = {
        [NAT_UNKNOWN] = "unknown",
        [NAT_NONE] = "no NAT",
        [NAT_ENDPOINT_INDEPENDENT] = "endpoint-independent",
        [NAT_ADDRESS_DEPENDENT] = "address-dependent",
        [NAT_ADDRESS_AND_PORT_DEPENDENT] = "address-and-port-dependent",
        [NAT_PORT_INDEPENDENT] = "port-independent",
    };
    return behaviour < NAT_BEHAVIOURS ? texts[behaviour] : texts[NAT_UNKNOWN];
}

const char *nat_describe(const struct nat_class *c, char *ret, size_t cap)
{
    static const char *const ports[NAT_PORTS_KINDS] = {
        [NAT_PORTS_UNKNOWN] = "",
        [NAT_PORTS_PRESERVED] = ", ports kept once",
        [NAT_PORTS_SEQUENTIAL] = ", sequential ports",
        [NAT_PORTS_RANDOM] = ", random ports",
    };
    const char *mapping = behaviour_text(c->mapping);
    if (nat_foresight(c) != FORESIGHT_EXACT)
        snprintf(ret, cap, "%s%s", mapping, ports[c->ports < NAT_PORTS_KINDS ? c->ports : NAT_PORTS_UNKNOWN]);
    else if (c->filtering == NAT_ADDRESS_AND_PORT_DEPENDENT)
        snprintf(ret, cap, "%s, strict filter", mapping);
    else
        snprintf(ret, cap, "%s", mapping);
    return ret;
}
