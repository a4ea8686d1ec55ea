/* Rooms and buckets: who may be introduced to whom. A room is its members in a list that it may share
 * with rooms of the same hash; the open form is a list for every prefix of every length. */
#include "server/core_internal.h"
#include <stddef.h>

static const size_t PLACE = offsetof(struct registration, place);

static uint32_t node_of(const struct wish *w)
{
    return 1U << w->prefix_bits | w->prefix;
}

static struct list *room_list(const struct server *s, uint32_t room)
{
    return &s->t.rooms[server_hash(s, &room, sizeof room) & s->t.rooms_mask];
}

static struct list *list_of(struct server *s, const struct wish *w)
{
    return w->room != 0 ? room_list(s, w->room) : &s->open[node_of(w)];
}

bool place_same(const struct wish *a, const struct wish *b)
{
    return a->room == b->room && a->prefix_bits == b->prefix_bits && a->prefix == b->prefix;
}

/* ---- how many bits ---- */

uint8_t place_bits_for(uint32_t registrations)
{
    uint8_t bits = 0;
    while (bits < PREFIX_BITS_MAX && registrations > 4U << bits)
        bits++;
    return bits;
}

/* When the wanted bits have just grown, those who wait have yet to learn it by their next refresh. Until
 * then one bit fewer suffices, lest a newcomer meets nobody. */
uint8_t place_bits_matched(const struct server *s, vtime_us now)
{
    if (now >= s->bits_grace_until || s->bits_wanted == 0)
        return s->bits_wanted;
    uint8_t fewer = (uint8_t)(s->bits_wanted - 1);
    return s->bits_before > fewer ? s->bits_before : fewer;
}

static void count_open(struct server *s, vtime_us now, const struct wish *w, int change)
{
    s->open_counts[node_of(w)] += (uint32_t)change;
    s->open_total += (uint32_t)change;
    uint8_t wanted = place_bits_for(s->open_total);
    if (wanted > s->bits_wanted) {
        s->bits_before = place_bits_matched(s, now);
        s->bits_grace_until = now + BITS_GRACE_US;
    } else if (wanted < s->bits_wanted) {
        s->bits_grace_until = 0;
    }
    s->bits_wanted = wanted;
}

/* ---- joining ---- */

void place_join(struct server *s, vtime_us now, uint32_t id, const struct wish *w)
{
    struct registration *r = registration_at(s, id);
    r->wish = *w;
    r->sequence = s->sequence++;
    list_append(&s->t.registrations, PLACE, list_of(s, w), id);
    if (w->room == 0)
        count_open(s, now, w, 1);
}

void place_leave(struct server *s, vtime_us now, uint32_t id)
{
    struct registration *r = registration_at(s, id);
    failed_forget(s, id);
    list_remove(&s->t.registrations, PLACE, list_of(s, &r->wish), id);
    if (r->wish.room == 0)
        count_open(s, now, &r->wish, -1);
}

/* ---- a full room ---- */

static void find_members(struct crowd *ret, const struct server *s, const struct wish *w, uint32_t except)
{
    const struct list *l = w->room != 0 ? room_list(s, w->room) : &s->open[node_of(w)];
    ret->count = 0;
    for (uint32_t id = l->head; id != 0 && ret->count < REGISTRATIONS_PER_ROOM_MAX;
         id = list_next(&s->t.registrations, PLACE, id))
        if (id != except && place_same(&registration_at(s, id)->wish, w))
            ret->members[ret->count++].id = id;
}

/* What a source prefix has here and, for a tie, in the whole table: who fills many places has few in each. */
static uint64_t weight(uint32_t here, uint32_t everywhere)
{
    return (uint64_t)here << 32 | everywhere;
}

/* The newest of the source prefix that weighs most; 0 when the newcomer's own does not weigh less. */
static uint32_t who_gives_way(const struct server *s, struct crowd *c, const struct addr *newcomer,
                              bool newcomer_is_new)
{
    uint32_t gives_way = 0;
    crowd_count(s, c);
    uint64_t most =
        weight(crowd_prefix(s, c, newcomer)->all + 1U, registrations_of_prefix(s, newcomer) + newcomer_is_new);
    for (uint32_t i = c->count; i-- > 0;) {
        const struct crowd_member *m = &c->members[i];
        if (m->prefix->seen++ > 0 || m->prefix->all < most >> 32)
            continue; /* not the newest of it; or what it has elsewhere does not matter */
        const uint64_t all = weight(m->prefix->all, registrations_of_prefix(s, source_of(s, m->id)));
        if (all > most) {
            most = all;
            gives_way = m->id;
        }
    }
    return gives_way;
}

bool place_has_room(const struct server *s, const struct wish *w, const struct addr *source, uint32_t except,
                    uint32_t *ret_gives_way, uint8_t *ret_code)
{
    *ret_gives_way = 0;
    /* One bit fewer may be enough (place_bits_matched) when all wanted are eight. With six and fewer that cannot be, or
     * there are so few in all that a walk looks at everybody. */
    if (w->room == 0 &&
        (w->prefix_bits < PREFIX_BITS_MAX - 1 || s->open_counts[node_of(w)] < REGISTRATIONS_PER_ROOM_MAX))
        return true;
    struct crowd c;
    find_members(&c, s, w, except);
    if (c.count < REGISTRATIONS_PER_ROOM_MAX)
        return true;
    *ret_gives_way = who_gives_way(s, &c, source, except == 0);
    *ret_code = w->room != 0 ? REFUSED_ROOM_FULL : REFUSED_CROWDED;
    return *ret_gives_way != 0;
}

void place_displace(struct server *s, vtime_us now, uint32_t id)
{
    if (id == 0)
        return;
    s->counts[COUNT_DISPLACED]++;
    const struct registration *r = registration_at(s, id);
    send_refused_to(s, id, 0, r->party.proof, r->wish.room != 0 ? REFUSED_ROOM_FULL : REFUSED_CROWDED);
    registration_remove(s, now, id);
}

/* ---- walking ---- */

struct place_walk place_walk(const struct server *s, vtime_us now, const struct wish *w)
{
    struct place_walk k = {.wish = *w};
    if (w->room != 0) {
        k.id = room_list(s, w->room)->head;
        return k;
    }
    k.bits = place_bits_matched(s, now);
    if (w->prefix_bits < k.bits)
        return k;
    /* The subtree below the common prefix: node, then its children, level by level. */
    k.first = k.node = 1U << k.bits | (uint32_t)w->prefix >> (w->prefix_bits - k.bits);
    k.level_end = k.first + 1;
    k.id = s->open[k.node].head;
    return k;
}

static void next_node(struct place_walk *k)
{
    if (++k->node < k->level_end)
        return;
    k->first *= 2;
    k->level_end *= 2;
    k->node = k->first;
}

uint32_t place_walk_next(const struct server *s, struct place_walk *k)
{
    while (k->steps < WALK_MAX) {
        while (k->id == 0) {
            if (k->node == 0)
                return 0;
            next_node(k);
            if (k->node >= OPEN_NODES)
                return k->node = 0;
            k->id = s->open[k->node].head;
        }
        uint32_t id = k->id;
        k->id = list_next(&s->t.registrations, PLACE, id);
        k->steps++;
        if (registration_at(s, id)->wish.room == k->wish.room)
            return id;
    }
    return 0;
}

/* ---- numbers for --new ---- */

static bool is_reserved(const struct server *s, vtime_us now, uint32_t number)
{
    uint32_t i = s->reserved_heads[number % RESERVED_SLOTS];
    for (; i != 0; i = s->reserved[i - 1].next)
        if (s->reserved[i - 1].number == number)
            return now < s->reserved[i - 1].until;
    return false;
}

static bool is_inhabited(const struct server *s, uint32_t number)
{
    uint32_t id = room_list(s, number)->head;
    while (id != 0 && registration_at(s, id)->wish.room != number)
        id = list_next(&s->t.registrations, PLACE, id);
    return id != 0;
}

/* Numbers that strangers hold are theirs only as long as they are remembered. */
static bool is_held(const struct server *s, uint32_t number)
{
    uint32_t row = s->stranger_ages.head;
    for (; row != 0; row = list_next(&s->t.strangers, offsetof(struct stranger, age), row)) {
        const struct wish *w = &stranger_at(s, row + s->t.registrations.max)->wish;
        if (w->given && w->room == number)
            return true;
    }
    return false;
}

uint32_t place_free_number(struct server *s, vtime_us now)
{
    static const uint32_t ranges[] = {999, 9999, 99999, ROOM_NUMBER_MAX};
    enum { TRIES = 32 };
    /* Below a thousand every number is looked at, from a random one on; above, a few random ones. */
    uint32_t start = rng_below(&s->rng, ranges[0]);
    for (uint32_t i = 0; i < ranges[0]; i++) {
        uint32_t number = (start + i) % ranges[0] + 1;
        if (!is_inhabited(s, number) && !is_reserved(s, now, number) && !is_held(s, number))
            return number;
    }
    for (size_t range = 1; range < sizeof ranges / sizeof ranges[0]; range++)
        for (int i = 0; i < TRIES; i++) {
            uint32_t number = rng_below(&s->rng, ranges[range]) + 1;
            if (!is_inhabited(s, number) && !is_reserved(s, now, number) && !is_held(s, number))
                return number;
        }
    return 0;
}

static void unchain_reservation(struct server *s, uint32_t i)
{
    uint32_t *at = &s->reserved_heads[s->reserved[i - 1].number % RESERVED_SLOTS];
    while (*at != 0 && *at != i)
        at = &s->reserved[*at - 1].next;
    if (*at == i)
        *at = s->reserved[i - 1].next;
}

void place_reserve(struct server *s, vtime_us now, uint32_t number)
{
    if (is_reserved(s, now, number))
        return;
    uint32_t i = s->reserved_next % RESERVED_MAX + 1;
    s->reserved_next = i;
    unchain_reservation(s, i);
    struct reservation *r = &s->reserved[i - 1];
    uint32_t *head = &s->reserved_heads[number % RESERVED_SLOTS];
    *r = (struct reservation){.number = number, .next = *head, .until = now + ROOM_RESERVED_US};
    *head = i;
}
