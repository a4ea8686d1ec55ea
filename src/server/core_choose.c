/* To whom of a place a registration is introduced, and in what order: a crowd must not get the shares that are for a
 * friend. */
#include "server/core_internal.h"

struct choice {
    struct crowd_member other;
    uint32_t spent; /* on its prefix */
    uint32_t key;
};

/* First come those of prefixes that had the least so far; in a mob, of these who has the fewest beside him behind his
 * prefix; then who waits longest. */
struct choices {
    struct crowd_member own; /* for whom */
    bool is_mob;
    struct choice best[SHARES_MAX]; /* by key */
    uint32_t count;
};

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

/* Many, and most of them with others behind their prefixes: somebody may have come as all of these. Where most are
 * alone nothing can be kept for the friend among them, and those who share an address are rather an office or a
 * carrier's customers. */
static bool is_mob(const struct crowd *c)
{
    uint32_t almost_alone = 0;
    for (uint32_t i = 0; i < c->count; i++)
        almost_alone += c->members[i].prefix->all <= SPENT_SHARES_LEFT;
    return c->count > FEW && almost_alone <= c->count / 2;
}

/* Shares that the other's prefix has not yet had its part of? In a mob the last two are kept for who is with one more
 * behind his, the last for who is alone. */
static bool may_spend(const struct server *s, const struct choices *c, uint32_t party, uint32_t spent,
                      const struct prefix *on)
{
    const uint32_t left = *share_count(s, party);
    return left > SPENT_SHARES_LEFT ? spent < SPENT_MAX : spent == 0 && (!c->is_mob || on->all <= left);
}

static bool both_may_spend(const struct server *s, vtime_us now, const struct choices *c, const struct choice *w)
{
    return may_spend(s, c, c->own.id, w->spent, w->other.prefix) &&
           may_spend(s, c, w->other.id, spent_on(s, now, w->other.id, source_of(s, c->own.id)), c->own.prefix);
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

static uint32_t key_of(const struct choices *c, const struct prefix *p, uint32_t more)
{
    return (p->seen + more) << 16 | (c->is_mob ? p->all : 0);
}

/* What it costs to find out more is saved for most of a crowd. */
static bool comes_too_late(const struct choices *c, const struct prefix *p)
{
    return c->count == SHARES_MAX && c->best[SHARES_MAX - 1].key <= key_of(c, p, 0);
}

static void consider(struct server *s, vtime_us now, struct choices *c, const struct crowd_member *other)
{
    if (comes_too_late(c, other->prefix) || !may_meet(s, now, c->own.id, other->id))
        return;
    struct choice w = {.other = *other, .spent = spent_on(s, now, c->own.id, source_of(s, other->id))};
    w.key = key_of(c, other->prefix,
                   w.spent + (failed_is_known(s, now, other->id) ? FAILED_KEY : 0) +
                       (both_may_spend(s, now, c, &w) ? 0 : SPENT_KEY));
    other->prefix->seen++;
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

static void find_crowd(struct crowd *ret, const struct server *s, vtime_us now, uint32_t id)
{
    struct place_walk k = place_walk(s, now, &registration_at(s, id)->wish);
    ret->count = 0;
    for (uint32_t other; (other = place_walk_next(s, &k)) != 0;)
        ret->members[ret->count++].id = other;
    crowd_count(s, ret);
}

/* Where there are few, all may be behind one address: an office, a carrier's NAT. */
void introduce_registration(struct server *s, vtime_us now, uint32_t id)
{
    if (!is_open_to_more(s, id) || has_had_its_introductions(s, now, id))
        return;
    struct crowd crowd;
    find_crowd(&crowd, s, now, id);
    struct choices c = {.own = {.id = id, .prefix = crowd_prefix(s, &crowd, source_of(s, id))},
                        .is_mob = is_mob(&crowd)};
    for (uint32_t i = 0; i < crowd.count; i++)
        consider(s, now, &c, &crowd.members[i]);
    for (uint32_t i = 0; i < c.count && is_open_to_more(s, id); i++) {
        struct choice *w = &c.best[i];
        w->spent = spent_on(s, now, id, source_of(s, w->other.id)); /* those before it may be of the same prefix */
        if (may_meet(s, now, id, w->other.id) && (crowd.count <= FEW || both_may_spend(s, now, &c, w)) &&
            !meet(s, now, id, w->other.id))
            return;
    }
}
