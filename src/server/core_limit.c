/* How much one source prefix (v4 /32, v6 /56) may do when there is not enough for all.
 *
 * A limit has a counter that grows by what each prefix may have per second; a prefix has a cell in a table of fixed
 * size, found by a keyed hash: how far it has used that counter up. At most a burst ahead of it. Nothing is allocated,
 * looked for or given up: there is no row that an attacker could have evicted, his own or a victim's. Two prefixes may
 * share a cell by chance; so each has two, and the less used one counts. Whoever wants to use up the cells of a victim
 * cannot know which they are, and has to use up most of the table.
 *
 * What a forged datagram can use up is LIMIT_STRANGERS alone, which decides between an answer with state and one
 * without (Retry), never between an answer and none: who forges a victim's address costs it one round trip. With the
 * cookie that Retry brings the victim's datagrams are its own, and counted where only those are who receive at its
 * prefix. */
#include "server/core_internal.h"

#define TOTAL_BURST (VTIME_S(1) * TIME_FINE)

enum {
    FINE = 16,        /* parts of a unit, since a rate of 20 a second grows every 50 ms only */
    TIME_FINE = 1024, /* parts of a microsecond: a gigabyte a second is a byte in a nanosecond */
    HALVINGS_MAX = 16,
};

static uint32_t value_or(uint32_t configured, uint32_t otherwise)
{
    return configured != 0 ? configured : otherwise;
}

void limits_init(struct server *s, vtime_us now)
{
    struct server_config *c = &s->config;
    const uint32_t clients = s->t.registrations.max;
    const uint32_t control =
        CONTROL_PER_S_MIN + clients < CONTROL_PER_S_MAX ? CONTROL_PER_S_MIN + clients : (uint32_t)CONTROL_PER_S_MAX;
    c->register_per_s = value_or(c->register_per_s, REGISTER_PER_S);
    c->control_per_s = value_or(c->control_per_s, control);
    c->relay_bytes_per_s = value_or(c->relay_bytes_per_s, RELAY_BYTES_PER_S);
    c->relay_total_bytes_per_s = value_or(c->relay_total_bytes_per_s, RELAY_TOTAL_BYTES_PER_S);
    s->limits[LIMIT_STRANGERS].burst = 2 * c->register_per_s;
    s->limits[LIMIT_CONTROL].burst = CONTROL_FLOOR_PER_S + c->control_per_s / 8;
    s->limits[LIMIT_INTRODUCTIONS].burst = 10 * INTRODUCTIONS_PER_S;
    s->limits[LIMIT_RELAY].burst = RELAY_BURST_BYTES;
    for (int i = 0; i < LIMITS; i++)
        s->limits[i].grown = now;
}

/* ---- one prefix ---- */

static void grow(struct limit_state *l, vtime_us now, uint32_t per_s)
{
    const uint64_t fine_per_s = (uint64_t)per_s * FINE;
    const vtime_us most = VTIME_S(60); /* more is no burst any more, and would overflow at 4 GB/s */
    if (now - l->grown > most)
        l->grown = now - most;
    const uint64_t gained = (now - l->grown) * fine_per_s / VTIME_S(1);
    l->counter += gained;
    l->grown += gained * VTIME_S(1) / fine_per_s; /* what is left of a part comes next time */
}

static void use(const struct limit_state *l, uint64_t *cell, uint32_t amount)
{
    const uint64_t from = *cell > l->counter ? *cell : l->counter, most = (uint64_t)(l->burst + amount) * FINE;
    const uint64_t used = from + (uint64_t)amount * FINE;
    *cell = used < l->counter + most ? used : l->counter + most;
}

/* False: it has used up its rate and burst, and that is `enforced`. If not, it is counted all the same. */
static bool take(struct server *s, enum limit limit, const struct addr *source, uint32_t amount, bool enforced)
{
    const struct limit_state *l = &s->limits[limit];
    const uint64_t hash = server_hash_prefix(s, source, 0);
    uint64_t *cells = s->t.limit_cells + (size_t)limit * LIMIT_CELLS;
    uint64_t *a = &cells[hash % LIMIT_CELLS], *b = &cells[(hash >> 32) % LIMIT_CELLS];
    const uint64_t least = *a < *b ? *a : *b;
    if (enforced && least >= l->counter + (uint64_t)l->burst * FINE)
        return false;
    use(l, a, amount);
    if (a != b)
        use(l, b, amount);
    return true;
}

/* ---- what all have together ---- */

/* The more of the second half of the total's burst is used, the less each prefix gets, the same for all: half of it
 * each time. So it settles where those who want more than their part get one part each, and the others all that they
 * want. Nobody has to be counted for that. */
static uint32_t part_of(vtime_us used, uint32_t total_per_s, uint32_t floor)
{
    const vtime_us over = used > TOTAL_BURST / 2 ? used - TOTAL_BURST / 2 : 0;
    const vtime_us halvings = vtime_min(over * HALVINGS_MAX / (TOTAL_BURST / 2), HALVINGS_MAX);
    const uint32_t part = total_per_s >> halvings;
    return part > floor ? part : floor;
}

static vtime_us used_of(const struct limit_state *l, vtime_us now)
{
    return l->total_until > now * TIME_FINE ? l->total_until - now * TIME_FINE : 0;
}

static void use_total(struct limit_state *l, vtime_us now, uint32_t amount, uint32_t total_per_s)
{
    const vtime_us cost = amount * VTIME_S(1) * TIME_FINE / total_per_s;
    l->total_until = now * TIME_FINE + vtime_min(used_of(l, now) + cost, TOTAL_BURST + cost);
}

/* ---- the four ---- */

bool limit_stranger(struct server *s, vtime_us now, const struct addr *source)
{
    const struct table *t = &s->t.strangers;
    if (s->config.register_per_s == SERVER_NO_LIMIT)
        return true;
    grow(&s->limits[LIMIT_STRANGERS], now, s->config.register_per_s);
    return take(s, LIMIT_STRANGERS, source, 1, t->count > t->max / 4);
}

bool limit_control(struct server *s, vtime_us now, const struct addr *source)
{
    struct limit_state *l = &s->limits[LIMIT_CONTROL];
    const uint32_t total = s->config.control_per_s;
    if (total == SERVER_NO_LIMIT)
        return true;
    grow(l, now, part_of(used_of(l, now), total, CONTROL_FLOOR_PER_S));
    if (!take(s, LIMIT_CONTROL, source, 1, true))
        return false;
    use_total(l, now, 1, total);
    return true;
}

static bool introductions(struct server *s, vtime_us now, const struct addr *newcomer, uint32_t count)
{
    const struct table *t = &s->t.introductions;
    grow(&s->limits[LIMIT_INTRODUCTIONS], now, INTRODUCTIONS_PER_S);
    return take(s, LIMIT_INTRODUCTIONS, newcomer, count, t->count > t->max / 2);
}

bool limit_introduction(struct server *s, vtime_us now, const struct addr *newcomer)
{
    return introductions(s, now, newcomer, 1);
}

bool limit_introduction_is_left(struct server *s, vtime_us now, const struct addr *newcomer)
{
    return introductions(s, now, newcomer, 0);
}

/* Of bytes there is never more than the total, since somebody pays for them. */
enum limit_verdict limit_relay(struct server *s, vtime_us now, const struct addr *source, size_t bytes)
{
    struct limit_state *l = &s->limits[LIMIT_RELAY];
    const uint32_t total = s->config.relay_total_bytes_per_s;
    if (total == SERVER_NO_LIMIT)
        return LIMIT_OK;
    const vtime_us used = used_of(l, now);
    grow(l, now, part_of(used, total, RELAY_FLOOR_BYTES_PER_S));
    if (used >= TOTAL_BURST)
        return LIMIT_OVER_TOTAL;
    if (!take(s, LIMIT_RELAY, source, (uint32_t)bytes, true))
        return LIMIT_OVER_PART;
    use_total(l, now, (uint32_t)bytes, total);
    return LIMIT_OK;
}
