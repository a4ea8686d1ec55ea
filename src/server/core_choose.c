/* To whom of a place a registration is introduced, and in what order: a crowd must not get the shares that are for a
 * friend. */
#include "server/core_internal.h"
#include <string.h>

struct prefix {      /* of sources in this place */
    uint32_t member; /* one of it; 0: none is here */
    uint8_t all, seen;
};

struct member {
    uint32_t id;
    struct prefix *prefix;
};

struct choice {
    struct member other;
    uint32_t spent; /* on its prefix */
    uint32_t key;
};

/* First come those of prefixes that had the least so far, of these who has the fewest beside him behind his prefix,
 * then who waits longest. */
struct choices {
    struct member own; /* for whom */
    struct member members[WALK_MAX];
    uint32_t member_count;
    struct prefix prefixes[2 * WALK_MAX]; /* by hash; as many of them are used as mask says */
    uint32_t mask;
    struct choice best[SHARES_MAX]; /* by key */
    uint32_t count;
};

static struct prefix *prefix_of(const struct server *s, struct choices *c, uint32_t member)
{
    const struct addr *source = source_of(s, member);
    uint32_t at = (uint32_t)server_hash_prefix(s, source, 0) & c->mask;
    while (c->prefixes[at].member != 0 && !same_prefix(source_of(s, c->prefixes[at].member), source))
        at = (at + 1) & c->mask;
    if (c->prefixes[at].member == 0)
        c->prefixes[at] = (struct prefix){.member = member};
    return &c->prefixes[at];
}

static void count_up(uint8_t *count)
{
    *count = (uint8_t)(*count + (*count < UINT8_MAX));
}

/* Of `members` and `prefixes`, which are large, only what is needed is touched. */
static void choices_begin(struct choices *c, const struct server *s, vtime_us now, uint32_t id)
{
    struct place_walk k = place_walk(s, now, &registration_at(s, id)->wish);
    c->count = c->member_count = 0;
    for (uint32_t other; (other = place_walk_next(s, &k)) != 0;)
        c->members[c->member_count++].id = other;
    c->mask = 3; /* the own one too, and a third stays free */
    while (c->mask < c->member_count + c->member_count / 2)
        c->mask = 2 * c->mask + 1;
    assert(c->mask < 2 * WALK_MAX);
    memset(c->prefixes, 0, (c->mask + 1) * sizeof c->prefixes[0]);
    for (uint32_t i = 0; i < c->member_count; i++) {
        c->members[i].prefix = prefix_of(s, c, c->members[i].id);
        count_up(&c->members[i].prefix->all);
    }
    c->own = (struct member){.id = id, .prefix = prefix_of(s, c, id)};
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
static bool may_spend(const struct server *s, uint32_t party, uint32_t spent, const struct prefix *on)
{
    const uint32_t left = *share_count(s, party);
    return left > SPENT_SHARES_LEFT ? spent < SPENT_MAX : spent == 0 && on->all <= left;
}

static bool both_may_spend(const struct server *s, vtime_us now, const struct choices *c, const struct choice *w)
{
    return may_spend(s, c->own.id, w->spent, w->other.prefix) &&
           may_spend(s, w->other.id, spent_on(s, now, w->other.id, source_of(s, c->own.id)), c->own.prefix);
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

static uint32_t key_of(const struct prefix *p, uint32_t more)
{
    return (p->seen + more) << 8 | p->all;
}

/* What it costs to find out more is saved for most of a crowd. */
static bool comes_too_late(const struct choices *c, const struct prefix *p)
{
    return c->count == SHARES_MAX && c->best[SHARES_MAX - 1].key <= key_of(p, 0);
}

static void consider(struct server *s, vtime_us now, struct choices *c, const struct member *other)
{
    if (comes_too_late(c, other->prefix) || !may_meet(s, now, c->own.id, other->id))
        return;
    struct choice w = {.other = *other, .spent = spent_on(s, now, c->own.id, source_of(s, other->id))};
    w.key = key_of(other->prefix, w.spent + (failed_is_known(s, now, other->id) ? FAILED_KEY : 0) +
                                      (both_may_spend(s, now, c, &w) ? 0 : SPENT_KEY));
    count_up(&other->prefix->seen);
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
    struct choices c;
    choices_begin(&c, s, now, id);
    for (uint32_t i = 0; i < c.member_count; i++)
        consider(s, now, &c, &c.members[i]);
    for (uint32_t i = 0; i < c.count && is_open_to_more(s, id); i++) {
        struct choice *w = &c.best[i];
        w->spent = spent_on(s, now, id, source_of(s, w->other.id)); /* those before it may be of the same prefix */
        if (may_meet(s, now, id, w->other.id) && (c.member_count <= FEW || both_may_spend(s, now, &c, w)) &&
            !meet(s, now, id, w->other.id))
            return;
    }
}
