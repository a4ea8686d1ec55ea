#include "server/core_internal.h"
#include <sodium.h>
#include <stddef.h>
#include <string.h>

static const size_t LEASE = offsetof(struct registration, lease);
static const size_t AGE = offsetof(struct stranger, age);

void party_name(struct server *s, struct party *p)
{
    p->handle = rng_token(&s->rng);
    rng_bytes(&s->rng, p->secret, sizeof p->secret);
    p->proof = seal_proof(p->secret);
}

/* ---- looking up ---- */

uint32_t party_by_secret(const struct server *s, const uint8_t secret[static SECRET_BYTES])
{
    const struct tables *t = &s->t;
    const uint64_t hash = server_hash(s, secret, SECRET_BYTES);

    for (uint32_t id = chain_first(&t->registration_by_secret, hash); id != 0;
         id = chain_next(&t->registrations, &t->registration_by_secret, id))
        if (sodium_memcmp(registration_at(s, id)->party.secret, secret, SECRET_BYTES) == 0)
            return id;
    for (uint32_t row = chain_first(&t->stranger_by_secret, hash); row != 0;
         row = chain_next(&t->strangers, &t->stranger_by_secret, row)) {
        uint32_t id = row + t->registrations.max;
        if (sodium_memcmp(stranger_at(s, id)->party.secret, secret, SECRET_BYTES) == 0)
            return id;
    }
    return 0;
}

uint32_t registration_by_source(const struct server *s, const struct addr *source)
{
    const struct tables *t = &s->t;
    uint32_t id = chain_first(&t->registration_by_source, server_hash_source(s, source));
    while (id != 0 && !addr_equal(&registration_at(s, id)->party.path.from, source))
        id = chain_next(&t->registrations, &t->registration_by_source, id);
    return id;
}

uint32_t stranger_by_source(const struct server *s, const struct addr *source)
{
    const struct tables *t = &s->t;
    uint32_t row = chain_first(&t->stranger_by_source, server_hash_source(s, source));
    for (; row != 0; row = chain_next(&t->strangers, &t->stranger_by_source, row)) {
        uint32_t id = row + t->registrations.max;
        if (addr_equal(&stranger_at(s, id)->party.path.from, source))
            return id;
    }
    return 0;
}

/* ---- registrations ---- */

static uint32_t *prefix_count(const struct server *s, const struct addr *source)
{
    return &s->t.prefix_counts[server_hash_prefix(s, source, 0) & s->t.prefix_mask];
}

uint32_t registrations_of_prefix(const struct server *s, const struct addr *source)
{
    return *prefix_count(s, source);
}

/* Shares of a prefix bite only when the table is over half full: many are behind one address. */
static bool table_has_room(const struct server *s, const struct addr *source)
{
    const struct table *t = &s->t.registrations;
    if (t->count == t->max)
        return false;
    if (t->count <= t->max / 2)
        return true;
    uint32_t share = t->max / PREFIX_SHARE_PART;
    if (share < PREFIX_SHARE_MIN)
        share = PREFIX_SHARE_MIN;
    return registrations_of_prefix(s, source) < share;
}

static void index_source(struct server *s, uint32_t id)
{
    struct registration *r = registration_at(s, id);
    const struct addr *source = &r->party.path.from;
    chain_insert(&s->t.registrations, &s->t.registration_by_source, server_hash_source(s, source), id);
    (*prefix_count(s, source))++;
}

static void unindex_source(struct server *s, uint32_t id)
{
    struct registration *r = registration_at(s, id);
    const struct addr *source = &r->party.path.from;
    chain_remove(&s->t.registrations, &s->t.registration_by_source, server_hash_source(s, source), id);
    (*prefix_count(s, source))--;
}

/* Whoever proves that he receives at a source makes an older registration of that source a ghost. */
static void forget_ghost(struct server *s, vtime_us now, const struct addr *source, uint32_t keep)
{
    uint32_t ghost = registration_by_source(s, source);
    if (ghost != 0 && ghost != keep)
        registration_remove(s, now, ghost);
}

uint32_t registration_add(struct server *s, vtime_us now, const struct party *p, const struct wish *w,
                          uint8_t *ret_code)
{
    uint32_t gives_way = 0;
    forget_ghost(s, now, &p->path.from, 0);
    *ret_code = REFUSED_BUSY;
    if (!table_has_room(s, &p->path.from) || !place_has_room(s, w, &p->path.from, 0, &gives_way, ret_code))
        return 0;
    place_displace(s, now, gives_way);

    uint32_t id = table_take(&s->t.registrations);
    assert(id != 0);
    struct registration *r = registration_at(s, id);
    r->party = *p;
    r->party.introductions = 0;
    r->party.introduction_count = 0;
    r->refreshed = now;
    chain_insert(&s->t.registrations, &s->t.registration_by_secret, server_hash(s, p->secret, SECRET_BYTES), id);
    index_source(s, id);
    list_append(&s->t.registrations, LEASE, &s->leases, id);
    place_join(s, now, id, w);
    return id;
}

void registration_remove(struct server *s, vtime_us now, uint32_t id)
{
    struct registration *r = registration_at(s, id);
    introductions_forget(s, id);
    links_forget(s, id);
    place_leave(s, now, id);
    list_remove(&s->t.registrations, LEASE, &s->leases, id);
    unindex_source(s, id);
    chain_remove(&s->t.registrations, &s->t.registration_by_secret, server_hash(s, r->party.secret, SECRET_BYTES), id);
    sodium_memzero(shares_of(s, id), r->share_count * sizeof(struct share_public));
    table_give(&s->t.registrations, id);
}

void registration_refresh(struct server *s, vtime_us now, uint32_t id)
{
    struct registration *r = registration_at(s, id);
    r->refreshed = now;
    r->refreshes++;
    r->party.unanswered = 0;
    list_remove(&s->t.registrations, LEASE, &s->leases, id);
    list_append(&s->t.registrations, LEASE, &s->leases, id);
}

void registration_set_path(struct server *s, vtime_us now, uint32_t id, const struct path *path)
{
    struct registration *r = registration_at(s, id);
    if (addr_equal(&r->party.path.from, &path->from)) {
        r->party.path = *path;
        return;
    }
    forget_ghost(s, now, &path->from, id);
    failed_forget(s, id);
    unindex_source(s, id);
    r->party.path = *path;
    index_source(s, id);
    links_tell_moved(s, id);
}

void registration_stock(struct server *s, uint32_t id, const struct share_public *shares, uint8_t count)
{
    struct registration *r = registration_at(s, id);
    struct share_public *stock = shares_of(s, id);
    uint8_t kept = 0;
    for (uint8_t i = 0; i < count && i < SHARES_MAX; i++)
        if (!introduction_used_share(s, id, shares[i].point))
            stock[kept++] = shares[i];
    r->share_count = kept;
}

bool registration_has_share(const struct server *s, uint32_t id, const struct share_public *shares, uint8_t count)
{
    const struct share_public *stock = shares_of(s, id);
    for (uint8_t i = 0; i < count; i++) {
        if (introduction_used_share(s, id, shares[i].point))
            return true;
        for (uint8_t k = 0; k < registration_at(s, id)->share_count; k++)
            if (memcmp(stock[k].point, shares[i].point, sizeof stock[k].point) == 0)
                return true;
    }
    return false;
}

void registrations_run(struct server *s, vtime_us now)
{
    while (s->leases.head != 0 && now >= registration_at(s, s->leases.head)->refreshed + LEASE_US) {
        s->counts[COUNT_LAPSED]++;
        registration_remove(s, now, s->leases.head);
    }
}

/* ---- strangers ---- */

uint32_t stranger_add(struct server *s, const struct arrival *in)
{
    struct tables *t = &s->t;
    uint32_t row = table_take(&t->strangers);
    if (row == 0)
        return 0;
    uint32_t id = row + t->registrations.max;
    struct stranger *u = stranger_at(s, id);
    party_name(s, &u->party);
    u->party.path = in->path;
    u->heard = in->now;
    chain_insert(&t->strangers, &t->stranger_by_secret, server_hash(s, u->party.secret, SECRET_BYTES), row);
    chain_insert(&t->strangers, &t->stranger_by_source, server_hash_source(s, &in->path.from), row);
    list_append(&t->strangers, AGE, &s->stranger_ages, row);
    return id;
}

void stranger_heard(struct server *s, const struct arrival *in, uint32_t id)
{
    struct tables *t = &s->t;
    struct stranger *u = stranger_at(s, id);
    u->heard = in->now;
    u->party.path = in->path;
    u->ledger.received += in->size + header_bytes(&in->path.from);
    list_remove(&t->strangers, AGE, &s->stranger_ages, id - t->registrations.max);
    list_append(&t->strangers, AGE, &s->stranger_ages, id - t->registrations.max);
}

void stranger_remove(struct server *s, uint32_t id)
{
    struct tables *t = &s->t;
    const uint32_t row = id - t->registrations.max;
    const struct stranger *u = stranger_at(s, id);
    introductions_forget(s, id);
    list_remove(&t->strangers, AGE, &s->stranger_ages, row);
    chain_remove(&t->strangers, &t->stranger_by_secret, server_hash(s, u->party.secret, SECRET_BYTES), row);
    chain_remove(&t->strangers, &t->stranger_by_source, server_hash_source(s, &u->party.path.from), row);
    table_give(&t->strangers, row);
}

void strangers_run(struct server *s, vtime_us now)
{
    const uint32_t base = s->t.registrations.max;
    while (s->stranger_ages.head != 0 && now >= stranger_at(s, s->stranger_ages.head + base)->heard + UNVALIDATED_US)
        stranger_remove(s, s->stranger_ages.head + base);
}
