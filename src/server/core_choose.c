/* To whom of a place a registration is introduced, and in what order: a crowd must not get the shares that are for a
 * friend. */
#include "server/core_internal.h"

enum { PREFIX_CELLS = 1024 };

struct member {
    uint32_t id;
    uint16_t cell; /* of its prefix */
};

struct choice {
    struct member other;
    uint32_t spent; /* on its prefix */
    uint32_t key;
};

/* First come those of prefixes that had the least so far, of these who has the fewest beside him behind his prefix,
 * then who waits longest. */
struct choices {
    uint32_t id; /* for whom */
    uint16_t cell;
    uint32_t count;
    struct choice best[SHARES_MAX]; /* by key */
    struct {
        uint8_t all, seen;
    } of_prefix[PREFIX_CELLS]; /* members, by hash; others of the same hash only come later than they could */
};

static uint16_t cell_of(const struct server *s, uint32_t member)
{
    return (uint16_t)(server_hash_prefix(s, source_of(s, member), 0) % PREFIX_CELLS);
}

static void count_up(uint8_t *count)
{
    *count = (uint8_t)(*count + (*count < UINT8_MAX));
}

static uint32_t count_members(const struct server *s, vtime_us now, struct choices *c, struct member *ret)
{
    struct place_walk k = place_walk(s, now, &registration_at(s, c->id)->wish);
    uint32_t count = 0;
    for (uint32_t id; (id = place_walk_next(s, &k)) != 0; count++) {
        ret[count] = (struct member){.id = id, .cell = cell_of(s, id)};
        count_up(&c->of_prefix[ret[count].cell].all);
    }
    return count;
}

/* ---- who may ---- */

/* The newcomer of two registrations is who joined the place later, whoever's refresh brings them together. */
static bool is_newer(const struct server *s, uint32_t a, uint32_t b)
{
    return (int32_t)(registration_at(s, a)->sequence - registration_at(s, b)->sequence) > 0;
}

static bool may_meet(struct server *s, vtime_us now, uint32_t a, uint32_t b)
{
    return a != b && is_open_to_more(s, b) && !link_exists(s, a, b) && introduction_between(s, a, b) == 0 &&
           !pair_is_blocked(s, now, a, b) && !failed_must_wait(s, now, is_newer(s, a, b) ? a : b);
}

/* Shares that the other's prefix has not yet had its part of? The last two are kept for who is with one more at his,
 * the last for who is alone: so many addresses as a room has places are rarely one person's. */
static bool may_spend(const struct server *s, const struct choices *c, uint32_t party, uint32_t spent, uint16_t cell)
{
    const uint32_t left = *share_count(s, party);
    return left > SPENT_SHARES_LEFT ? spent < SPENT_MAX : spent == 0 && c->of_prefix[cell].all <= left;
}

static bool both_may_spend(const struct server *s, vtime_us now, const struct choices *c, const struct choice *w)
{
    return may_spend(s, c, c->id, w->spent, w->other.cell) &&
           may_spend(s, c, w->other.id, spent_on(s, now, w->other.id, source_of(s, c->id)), c->cell);
}

/* ---- in what order ---- */

static void choose(struct choices *c, const struct choice *w)
{
    uint32_t at = c->count < SHARES_MAX ? c->count++ : SHARES_MAX;
    if (at == SHARES_MAX && c->best[--at].key <= w->key)
        return;
    for (; at > 0 && c->best[at - 1].key > w->key; at--)
        c->best[at] = c->best[at - 1];
    c->best[at] = *w;
}

static uint32_t key_of(const struct choices *c, uint16_t cell, uint32_t more)
{
    return (c->of_prefix[cell].seen + more) << 8 | c->of_prefix[cell].all;
}

/* What it costs to find out more is saved for most of a crowd. */
static bool comes_too_late(const struct choices *c, uint16_t cell)
{
    return c->count == SHARES_MAX && c->best[SHARES_MAX - 1].key <= key_of(c, cell, 0);
}

static void consider(struct server *s, vtime_us now, struct choices *c, const struct member *other)
{
    if (comes_too_late(c, other->cell) || !may_meet(s, now, c->id, other->id))
        return;
    struct choice w = {.other = *other, .spent = spent_on(s, now, c->id, source_of(s, other->id))};
    w.key = key_of(c, other->cell,
                   w.spent + (failed_is_known(s, now, other->id) ? FAILED_KEY : 0) +
                       (both_may_spend(s, now, c, &w) ? 0 : SPENT_KEY));
    count_up(&c->of_prefix[other->cell].seen);
    choose(c, &w);
}

/* Who came last is the newcomer to everybody: the place of a crowd need not be searched for each of it. */
static bool has_had_its_introductions(struct server *s, vtime_us now, uint32_t id)
{
    const struct registration *r = registration_at(s, id);
    struct place_walk k = place_walk(s, now, &r->wish);
    const bool is_newest = r->sequence + 1 == s->sequence, is_first = place_walk_next(s, &k) == id;
    if (!is_newest || is_first || limit_introduction_is_left(s, now, &r->party.path.from))
        return false;
    s->counts[COUNT_DROPPED_INTRODUCTIONS_RATE]++;
    return true;
}

static bool meet(struct server *s, vtime_us now, uint32_t a, uint32_t b)
{
    const uint32_t newcomer = is_newer(s, a, b) ? a : b;
    if (!limit_introduction(s, now, source_of(s, newcomer))) {
        s->counts[COUNT_DROPPED_INTRODUCTIONS_RATE]++;
        return false;
    }
    if (!introduction_begin(s, now, newcomer, newcomer == a ? b : a))
        return false;
    spent_add(s, now, a, source_of(s, b));
    spent_add(s, now, b, source_of(s, a));
    failed_introduced(s, now, newcomer);
    return true;
}

/* Where there are few, all may be behind one address: an office, a carrier's NAT. */
void introduce_registration(struct server *s, vtime_us now, uint32_t id)
{
    if (!is_open_to_more(s, id) || has_had_its_introductions(s, now, id))
        return;
    struct member members[WALK_MAX];
    struct choices c = {.id = id, .cell = cell_of(s, id)};
    const uint32_t count = count_members(s, now, &c, members);
    for (uint32_t i = 0; i < count; i++)
        consider(s, now, &c, &members[i]);
    for (uint32_t i = 0; i < c.count && is_open_to_more(s, id); i++) {
        struct choice *w = &c.best[i];
        w->spent = spent_on(s, now, id, source_of(s, w->other.id)); /* those before it may be of the same prefix */
        if (may_meet(s, now, id, w->other.id) && (count <= FEW || both_may_spend(s, now, &c, w)) &&
            !meet(s, now, id, w->other.id))
            return;
    }
}
