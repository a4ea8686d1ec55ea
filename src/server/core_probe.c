/* Probes: where does a client's packet come from, and does an answer from elsewhere arrive? No state. */
#include "server/core_internal.h"
#include <string.h>

static bool is_wildcard(const struct addr *a)
{
    static const uint8_t zero[sizeof a->ip];
    return memcmp(a->ip, zero, sizeof zero) == 0;
}

/* The socket on the same address with the other port. */
static bool other_port(const struct server *s, const struct path *from, struct path *ret)
{
    const struct server_config *c = &s->config;
    for (size_t i = 0; from->socket < c->socket_count && i < c->socket_count; i++) {
        const struct addr *own = &c->sockets[from->socket], *a = &c->sockets[i];
        if (!addr_ip_equal(a, own) || a->port == own->port)
            continue;
        *ret = *from;
        ret->socket = (uint16_t)i;
        return true;
    }
    return false;
}

/* On a socket for all addresses: another of this machine's, as public as the one that was asked. */
static bool other_local(const struct server *s, const struct path *from, struct path *ret)
{
    for (size_t i = 0; i < s->config.address_count; i++) {
        const struct addr *a = &s->config.addresses[i];
        if (a->family != from->local.family || addr_ip_equal(a, &from->local) ||
            addr_is_local(a) != addr_is_local(&from->local) || !other_port(s, from, ret))
            continue;
        ret->local = *a;
        return true;
    }
    return false;
}

bool probe_other_address(const struct server *s, const struct path *from, struct path *ret)
{
    const struct server_config *c = &s->config;
    if (from->socket >= c->socket_count)
        return false;
    const struct addr *own = &c->sockets[from->socket];
    if (is_wildcard(own))
        return other_local(s, from, ret);
    for (size_t i = 0; i < c->socket_count; i++) {
        const struct addr *a = &c->sockets[i];
        if (a->family != own->family || addr_ip_equal(a, own) || a->port == own->port || is_wildcard(a))
            continue;
        *ret = *from;
        ret->socket = (uint16_t)i;
        ret->local = *a;
        ret->local.port = 0;
        return true;
    }
    return false;
}

void probe_answer(struct server *s, const struct arrival *in, const struct frame_probe *f)
{
    struct arrival out = *in;
    bool possible = in->size >= PROBE_BYTES_MIN;
    if (f->from == PROBE_FROM_OTHER_PORT)
        possible = possible && other_port(s, &in->path, &out.path);
    else if (f->from == PROBE_FROM_OTHER_ADDRESS)
        possible = possible && probe_other_address(s, &in->path, &out.path);
    if (!possible) {
        s->counts[COUNT_PROBES_DROPPED]++;
        return;
    }
    const struct frame answer = {.kind = FRAME_PROBED,
                                 .probed = {.token = f->token, .observed = addr_mask(&in->path.from, f->token)}};
    s->counts[COUNT_PROBES]++;
    send_reply(s, &out, &answer);
}
