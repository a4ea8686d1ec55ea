#include "kinds.h"

#include <stddef.h>
#include <string.h>

/* ---- kernel kinds: testbed/netns/kinds/ ---- */

static const struct natbox_config full_cone = {.mapping = NATBOX_EI, .filtering = NATBOX_EI};
#define LINUX                                                                                                          \
    .mapping = NATBOX_APD, .filtering = NATBOX_APD, .overload = true, .timeout_us = VTIME_S(30),                       \
    .timeout_stream_us = VTIME_S(120)
#define SYMMETRIC .mapping = NATBOX_APD, .filtering = NATBOX_APD
#define SHORT     VTIME_S(20)
enum { FEW = 300 };
static const struct natbox_config short_timeout = {
    .mapping = NATBOX_APD, .filtering = NATBOX_APD, .overload = true, .timeout_us = SHORT, .timeout_stream_us = SHORT};
static const struct natbox_config shifting = {
    .mapping = NATBOX_EI, .filtering = NATBOX_APD, .ports = NATBOX_RANDOM, .port_first = 20000, .port_last = 29999};
static const struct natbox_config keeps_first = {SYMMETRIC, .ports = NATBOX_FIRST_KEPT_COMMON};
static const struct natbox_config few_sessions = {LINUX, .flows_max = FEW};
static const struct natbox_config few_sessions_random = {LINUX, .ports = NATBOX_RANDOM, .flows_max = FEW};

/* ---- what rules cannot do ---- */

#define LINUX_RANGE .port_first = 32768, .port_last = 60999 /* of its local ports; some routers give out the same */
enum { BUSY_PER_S = 5 };
static const struct natbox_config address_dependent = {
    .mapping = NATBOX_AD, .filtering = NATBOX_AD, .ports = NATBOX_RANDOM};
static const struct natbox_config sequential_2 = {SYMMETRIC, .ports = NATBOX_SEQUENTIAL, .step = 2};
static const struct natbox_config sequential_down = {SYMMETRIC, .ports = NATBOX_SEQUENTIAL, .step = -1};
static const struct natbox_config sequential_range = {SYMMETRIC, .ports = NATBOX_SEQUENTIAL, LINUX_RANGE};
static const struct natbox_config sequential_busy = {SYMMETRIC, .ports = NATBOX_SEQUENTIAL,
                                                     .foreign_per_s = BUSY_PER_S};
static const struct natbox_config keeps_first_own = {SYMMETRIC, .ports = NATBOX_FIRST_KEPT};
static const struct natbox_config keeps_first_busy = {SYMMETRIC, .ports = NATBOX_FIRST_KEPT_COMMON,
                                                      .foreign_per_s = BUSY_PER_S};
static const struct natbox_config symmetric_range = {SYMMETRIC, .ports = NATBOX_RANDOM, LINUX_RANGE};
static const struct natbox_config pool_arbitrary = {
    .mapping = NATBOX_EI, .filtering = NATBOX_AD, .pooling = NATBOX_ARBITRARY};
static const struct natbox_config symmetric_pool = {SYMMETRIC, .ports = NATBOX_RANDOM, .pooling = NATBOX_ARBITRARY};

const struct nat_kind nat_kinds[NAT_KINDS] = {
    {"none", NULL, 0},
    {"full-cone", &full_cone, 0},
    {"cgn", &natbox_cone, 0},
    {"address-restricted", &natbox_restricted, 0},
    {"firewall", &natbox_firewall, 0},
    {"port-restricted", &natbox_port_restricted, 0},
    {"shifting", &shifting, 0},
    {"linux", &natbox_masquerade, 0},
    {"open-input", &natbox_masquerade_open, 0},
    {"short-timeout", &short_timeout, 0},
    {"few-sessions", &few_sessions, 0},
    {"sequential", &natbox_sequential, 0},
    {"keeps-first", &keeps_first, 0},
    {"symmetric", &natbox_random, 0},
    {"few-sessions-random", &few_sessions_random, 0},

    {"address-dependent", &address_dependent, 0},
    {"sequential-2", &sequential_2, 0},
    {"sequential-down", &sequential_down, 0},
    {"sequential-range", &sequential_range, 0},
    {"sequential-busy", &sequential_busy, 0},
    {"keeps-first-own", &keeps_first_own, 0},
    {"keeps-first-busy", &keeps_first_busy, 0},
    {"symmetric-range", &symmetric_range, 0},
    {"pool-paired", &natbox_sequential, NATBOX_OUTSIDE_MAX},
    {"pool-arbitrary", &pool_arbitrary, NATBOX_OUTSIDE_MAX},
    {"symmetric-pool", &symmetric_pool, NATBOX_OUTSIDE_MAX},
};

const struct nat_kind *nat_kind_find(const char *name)
{
    for (size_t i = 0; i < NAT_KINDS; i++)
        if (strcmp(nat_kinds[i].name, name) == 0)
            return &nat_kinds[i];
    return NULL;
}

/* ---- hope ---- */

/* The outside port is the same for every destination (on Linux as long as nobody else has it). */
static bool has_one_port(const struct nat_kind *k)
{
    const struct natbox_config *c = k->config;
    return !c || c->mapping == NATBOX_NONE || c->mapping == NATBOX_EI || (c->overload && c->ports == NATBOX_PRESERVE);
}

static bool is_sequential(const struct nat_kind *k)
{
    enum natbox_ports ports = k->config ? k->config->ports : NATBOX_PRESERVE;
    return ports == NATBOX_SEQUENTIAL || ports == NATBOX_FIRST_KEPT || ports == NATBOX_FIRST_KEPT_COMMON;
}

static enum natbox_kind filtering(const struct nat_kind *k)
{
    return k->config ? k->config->filtering : NATBOX_NONE;
}

/* Does each new mapping come from any of several addresses? */
static bool has_any_address(const struct nat_kind *k)
{
    return k->addresses > 1 && k->config->pooling == NATBOX_ARBITRARY && !has_one_port(k);
}

static enum hope hope_of_guessing(const struct nat_kind *a, const struct nat_kind *b)
{
    if (has_any_address(a) || has_any_address(b))
        return has_one_port(a) || has_one_port(b) ? HOPE_LUCK : HOPE_RELAY;
    if ((has_one_port(a) || is_sequential(a)) && (has_one_port(b) || is_sequential(b)))
        return HOPE_PREDICTION;
    return has_one_port(a) || has_one_port(b) ? HOPE_BIRTHDAY : HOPE_RELAY;
}

/* What a, with one port, can hope for if it lets the other in. */
static enum hope hope_of_letting_in(const struct nat_kind *a, const struct nat_kind *b)
{
    return filtering(a) == NATBOX_AD && has_any_address(b) ? HOPE_LUCK : HOPE_DIRECT;
}

enum hope nat_hope(const struct nat_kind *a, const struct nat_kind *b)
{
    if (has_one_port(a) && has_one_port(b))
        return HOPE_DIRECT;
    if (has_one_port(a) && filtering(a) != NATBOX_APD)
        return hope_of_letting_in(a, b);
    if (has_one_port(b) && filtering(b) != NATBOX_APD)
        return hope_of_letting_in(b, a);
    return hope_of_guessing(a, b);
}

const char *nat_hope_name(enum hope hope)
{
    static const char *const names[] = {
        [HOPE_DIRECT] = "checks", [HOPE_PREDICTION] = "prediction", [HOPE_BIRTHDAY] = "birthday",
        [HOPE_LUCK] = "luck",     [HOPE_RELAY] = "relay",
    };
    return names[hope];
}
