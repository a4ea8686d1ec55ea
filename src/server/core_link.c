/* Links: two registrations that presented the same token, one as side 0 and one as side 1. */
#include "server/core_internal.h"
#include <string.h>

/* The table keeps a registration from standing on both sides. */
static int side_of(const struct link *l, uint32_t registration)
{
    return l->side[0].registration == registration ? 0 : 1;
}

static uint32_t next_of(const struct server *s, uint32_t link, uint32_t registration)
{
    const struct link *l = link_at(s, link);
    return l->side[side_of(l, registration)].next;
}

static uint32_t find_token(const struct server *s, const uint8_t token[static RELAY_TOKEN_BYTES], uint64_t hash)
{
    uint32_t id = chain_first(&s->t.link_by_token, hash);
    while (id != 0 && memcmp(link_at(s, id)->token, token, RELAY_TOKEN_BYTES) != 0)
        id = chain_next(&s->t.links, &s->t.link_by_token, id);
    return id;
}

bool link_exists(const struct server *s, uint32_t a, uint32_t b)
{
    for (uint32_t id = registration_at(s, a)->links; id != 0; id = next_of(s, id, a)) {
        const struct link *l = link_at(s, id);
        if (l->side[1 - side_of(l, a)].registration == b)
            return true;
    }
    return false;
}

/* ---- forgetting ---- */

static void withdraw(struct server *s, uint32_t link, int side)
{
    struct link *l = link_at(s, link);
    uint32_t registration = l->side[side].registration;
    struct registration *r = registration_at(s, registration);
    uint32_t *at = &r->links;
    while (*at != link) {
        struct link *other = link_at(s, *at);
        at = &other->side[side_of(other, registration)].next;
    }
    *at = l->side[side].next;
    r->link_count--;
    l->side[side] = (struct link_side){0};
}

static void forget(struct server *s, uint32_t link)
{
    struct link *l = link_at(s, link);
    for (int side = 0; side < 2; side++)
        if (l->side[side].registration != 0)
            withdraw(s, link, side);
    chain_remove(&s->t.links, &s->t.link_by_token, server_hash(s, l->token, RELAY_TOKEN_BYTES), link);
    table_give(&s->t.links, link);
}

static void withdraw_or_forget(struct server *s, uint32_t link, int side)
{
    if (link_at(s, link)->side[1 - side].registration == 0)
        forget(s, link);
    else
        withdraw(s, link, side);
}

void links_forget(struct server *s, uint32_t registration)
{
    for (uint32_t id; (id = registration_at(s, registration)->links) != 0;)
        withdraw_or_forget(s, id, side_of(link_at(s, id), registration));
}

static bool is_listed(const struct link *l, const struct relay_token *listed, uint8_t count)
{
    for (uint8_t i = 0; i < count; i++)
        if (memcmp(l->token, listed[i].token, RELAY_TOKEN_BYTES) == 0)
            return true;
    return false;
}

void links_keep(struct server *s, uint32_t registration, const struct relay_token *listed, uint8_t count)
{
    for (uint32_t id = registration_at(s, registration)->links, next; id != 0; id = next) {
        next = next_of(s, id, registration);
        if (!is_listed(link_at(s, id), listed, count))
            withdraw_or_forget(s, id, side_of(link_at(s, id), registration));
    }
}

/* ---- presenting ---- */

static bool is_whole(const struct link *l)
{
    return l->side[0].registration != 0 && l->side[1].registration != 0;
}

static void send_linked(struct server *s, const struct link *l, int side)
{
    const struct link_side *own = &l->side[side], *other = &l->side[1 - side];
    struct frame f = {.kind = FRAME_LINKED,
                      .linked = {.proof = party_at(s, own->registration)->proof, .link = own->name}};
    memcpy(f.linked.token, l->token, RELAY_TOKEN_BYTES);
    if (own->may_tell && other->may_tell) {
        uint64_t mask = 0;
        for (int i = 7; i >= 0; i--)
            mask = mask << 8 | l->token[i];
        f.linked.observed = addr_mask(&party_at(s, other->registration)->path.from, mask);
    }
    send_to(s, own->registration, &f);
}

static uint32_t add(struct server *s, vtime_us now, const uint8_t token[static RELAY_TOKEN_BYTES], uint64_t hash)
{
    uint32_t id = table_take(&s->t.links);
    if (id == 0)
        return 0;
    struct link *l = link_at(s, id);
    memcpy(l->token, token, RELAY_TOKEN_BYTES);
    l->credit_bytes = RELAY_BURST_BYTES;
    l->credited = l->touched = now;
    chain_insert(&s->t.links, &s->t.link_by_token, hash, id);
    return id;
}

/* Should link a of a registration go before b? What leads nowhere goes first, then what was used least recently. */
static bool goes_before(const struct link *a, const struct link *b)
{
    return is_whole(a) != is_whole(b) ? !is_whole(a) : a->touched < b->touched;
}

static void make_room(struct server *s, uint32_t registration)
{
    struct registration *r = registration_at(s, registration);
    if (r->link_count < LINKS_EACH_MAX)
        return;
    uint32_t oldest = r->links;
    for (uint32_t id = r->links; id != 0; id = next_of(s, id, registration))
        if (goes_before(link_at(s, id), link_at(s, oldest)))
            oldest = id;
    withdraw_or_forget(s, oldest, side_of(link_at(s, oldest), registration));
}

static void take_side(struct server *s, uint32_t link, int side, uint32_t registration)
{
    struct link *l = link_at(s, link);
    if (l->side[side].registration != 0)
        withdraw(s, link, side);
    struct registration *r = registration_at(s, registration);
    l->side[side].registration = registration;
    l->side[side].name = (uint32_t)(rng_u64(&s->rng) | 1);
    l->side[side].next = r->links;
    r->links = link;
    r->link_count++;
}

void link_present(struct server *s, vtime_us now, uint32_t registration, const struct relay_token *t, bool answer)
{
    const uint64_t hash = server_hash(s, t->token, RELAY_TOKEN_BYTES);
    uint32_t id = find_token(s, t->token, hash);
    const int side = t->side;
    if (id == 0 || link_at(s, id)->side[side].registration != registration) {
        if (id != 0 && link_at(s, id)->side[1 - side].registration == registration)
            return; /* nobody is linked to himself */
        make_room(s, registration);
        id = find_token(s, t->token, hash); /* it may have been the one that made room */
        if (id == 0 && (id = add(s, now, t->token, hash)) == 0) {
            send_refused_to(s, registration, 0, party_at(s, registration)->proof, REFUSED_BUSY);
            return;
        }
        take_side(s, id, side, registration);
        struct link *l = link_at(s, id);
        l->touched = now;
        l->side[side].may_tell = t->may_tell;
        if (is_whole(l)) {
            s->counts[COUNT_LINKED]++;
            bool in_time = introductions_confirm(s, now, l->side[0].registration, l->side[1].registration);
            pair_proven(s, now, l->side[0].registration, l->side[1].registration, in_time);
            send_linked(s, l, side);
            send_linked(s, l, 1 - side);
        }
        return;
    }
    struct link *l = link_at(s, id);
    l->touched = now;
    bool told_before = l->side[0].may_tell && l->side[1].may_tell;
    l->side[side].may_tell = t->may_tell;
    if (!is_whole(l))
        return;
    bool told_now = l->side[0].may_tell && l->side[1].may_tell;
    if (answer || told_now != told_before)
        send_linked(s, l, side);
    if (told_now && !told_before)
        send_linked(s, l, 1 - side);
}

void links_tell_moved(struct server *s, uint32_t registration)
{
    for (uint32_t id = registration_at(s, registration)->links; id != 0; id = next_of(s, id, registration)) {
        const struct link *l = link_at(s, id);
        if (is_whole(l) && l->side[0].may_tell && l->side[1].may_tell)
            send_linked(s, l, 1 - side_of(l, registration));
    }
}

/* ---- relaying ---- */

static bool within_quota(const struct server *s, struct link *l, vtime_us now, size_t size)
{
    const uint32_t per_s = s->config.relay_bytes_per_s;
    const uint32_t burst = per_s < RELAY_BURST_BYTES ? RELAY_BURST_BYTES : per_s;
    if (per_s == SERVER_NO_LIMIT)
        return true;
    const vtime_us full = (vtime_us)burst * VTIME_S(1) / per_s;
    const vtime_us passed = vtime_min(now - l->credited, full);
    const uint64_t gained = passed * per_s / VTIME_S(1);
    if (gained > 0) { /* else the fraction of a byte is left to the next call */
        uint64_t credit = l->credit_bytes + gained;
        l->credit_bytes = (uint32_t)(credit < burst ? credit : burst);
        l->credited = now;
    }
    if (size > l->credit_bytes)
        return false;
    l->credit_bytes -= (uint32_t)size;
    return true;
}

/* The link's own quota, then what is there for all. */
static bool may_relay(struct server *s, const struct arrival *in, struct link *l, size_t size)
{
    static const enum server_count counts[] = {
        [LIMIT_OVER_PART] = COUNT_DROPPED_RELAY_PART, [LIMIT_OVER_TOTAL] = COUNT_DROPPED_RELAY_TOTAL};
    if (!within_quota(s, l, in->now, size)) {
        s->counts[COUNT_RELAY_OVER_QUOTA]++;
        return false;
    }
    const enum limit_verdict verdict = limit_relay(s, in->now, &in->path.from, size);
    if (verdict != LIMIT_OK)
        s->counts[counts[verdict]]++;
    return verdict == LIMIT_OK;
}

static uint32_t find_name(const struct server *s, uint32_t registration, uint32_t name)
{
    uint32_t id = registration_at(s, registration)->links;
    for (; id != 0; id = next_of(s, id, registration)) {
        const struct link *l = link_at(s, id);
        if (is_whole(l) && l->side[side_of(l, registration)].name == name)
            break;
    }
    return id;
}

void relay_forward(struct server *s, const struct arrival *in, uint32_t sender, const struct frame_relay *f)
{
    uint32_t id = find_name(s, sender, f->link);
    if (id == 0) {
        send_refused(s, in, 0, party_at(s, sender)->proof, REFUSED_UNKNOWN);
        return;
    }
    struct link *l = link_at(s, id);
    const int from = side_of(l, sender);
    l->touched = in->now;
    if (!may_relay(s, in, l, f->datagram.size))
        return;
    const struct link_side *to = &l->side[1 - from];
    struct frame out = {
        .kind = FRAME_RELAY,
        .relay = {.proof = party_at(s, to->registration)->proof, .link = to->name, .datagram = f->datagram}};
    if (send_to(s, to->registration, &out)) {
        s->counts[COUNT_RELAYED]++;
        s->counts[COUNT_RELAYED_BYTES] += f->datagram.size;
    }
}
