#include "server/core_internal.h"
#include <string.h>

static size_t prefix_bytes(const struct addr *a)
{
    return a->family == ADDR_V6 ? 7 : 4;
}

uint64_t server_hash_prefix(const struct server *s, const struct addr *a, uint32_t salt)
{
    uint8_t bytes[12] = {0};
    memcpy(bytes, a->ip, prefix_bytes(a));
    bytes[7] = a->family;
    memcpy(bytes + 8, &salt, 4);
    return server_hash(s, bytes, sizeof bytes);
}

bool same_prefix(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, prefix_bytes(a)) == 0;
}

/* ---- how many of each are in a place ---- */

struct prefix *crowd_prefix(const struct server *s, struct crowd *c, const struct addr *source)
{
    uint32_t at = (uint32_t)server_hash_prefix(s, source, 0) & c->mask;
    while (c->prefixes[at].source != NULL && !same_prefix(c->prefixes[at].source, source))
        at = (at + 1) & c->mask;
    if (c->prefixes[at].source == NULL)
        c->prefixes[at] = (struct prefix){.source = source};
    return &c->prefixes[at];
}

void crowd_count(const struct server *s, struct crowd *c)
{
    c->mask = 3; /* one more than the members are, and a third stays free */
    while (c->mask < c->count + c->count / 2)
        c->mask = 2 * c->mask + 1;
    assert(c->mask < 2 * WALK_MAX);
    memset(c->prefixes, 0, (c->mask + 1) * sizeof c->prefixes[0]);
    for (uint32_t i = 0; i < c->count; i++) {
        struct crowd_member *m = &c->members[i];
        m->prefix = crowd_prefix(s, c, source_of(s, m->id));
        m->prefix->all++;
    }
}
