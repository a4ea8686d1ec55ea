/* What is remembered of introductions that came to nothing: small tables in which the newest pushes out
 * the oldest. What is forgotten costs a share, nothing more. */
#include "server/core_internal.h"
#include <stddef.h>
#include <string.h>

/* ---- pairs ---- */

struct ordered { /* two registrations, the smaller handle first */
    uint32_t id[2];
    uint64_t tag;
};

static struct ordered order(const struct server *s, uint32_t a, uint32_t b)
{
    const bool swap = party_at(s, a)->handle > party_at(s, b)->handle;
    struct ordered o = {.id = {swap ? b : a, swap ? a : b}};
    const uint64_t handles[2] = {party_at(s, o.id[0])->handle, party_at(s, o.id[1])->handle};
    o.tag = server_hash(s, handles, sizeof handles);
    o.tag += o.tag == 0;
    return o;
}

static struct pair *slot_of(const struct server *s, uint64_t tag)
{
    return &s->t.pairs[(size_t)(tag & s->t.pairs_mask) * PAIR_WAYS];
}

static struct pair *find(const struct server *s, uint64_t tag)
{
    struct pair *slot = slot_of(s, tag);
    for (int at = 0; at < PAIR_WAYS; at++)
        if (slot[at].tag == tag)
            return &slot[at];
    return NULL;
}

void pair_remember(struct server *s, uint32_t a, uint32_t b, bool silent_a, bool silent_b)
{
    struct ordered o = order(s, a, b);
    struct pair *slot = slot_of(s, o.tag), *old = find(s, o.tag);
    const uint8_t lost = old != NULL ? old->lost : 0;
    int at = 0;
    while (at < PAIR_WAYS - 1 && slot[at].tag != o.tag && slot[at].tag != 0)
        at++;
    memmove(slot + 1, slot, (size_t)at * sizeof *slot);
    slot[0] = (struct pair){.tag = o.tag, .strangers = !silent_a && !silent_b, .lost = lost};
    for (int i = 0; i < 2; i++) {
        slot[0].silent[i] = o.id[i] == a ? silent_a : silent_b;
        slot[0].refreshes[i] = registration_at(s, o.id[i])->refreshes;
    }
}

static uint32_t lost_gap_s(uint8_t lost)
{
    uint32_t gap = lost > 0 ? LOST_GAP_S : 0;
    while (lost-- > 1 && gap < LOST_GAP_MAX_S)
        gap *= 4;
    return gap < LOST_GAP_MAX_S ? gap : LOST_GAP_MAX_S;
}

/* Two whose packets never arrive must not spend their guess budgets on one another: each time that a run of theirs is
 * lost they wait longer for the next. */
void pair_proven(struct server *s, vtime_us now, uint32_t a, uint32_t b, bool in_time)
{
    struct ordered o = order(s, a, b);
    struct pair *p = find(s, o.tag);
    if (p == NULL)
        return;
    const uint8_t lost = p->lost;
    *p = (struct pair){0};
    if (!in_time)
        *p = (struct pair){.tag = o.tag,
                           .lost = lost < UINT8_MAX ? lost + 1 : lost,
                           .not_before_s = server_seconds(s, now) + lost_gap_s(lost)};
}

bool pair_is_blocked(const struct server *s, vtime_us now, uint32_t a, uint32_t b)
{
    struct ordered o = order(s, a, b);
    const struct pair *p = find(s, o.tag);
    if (p == NULL)
        return false;
    for (int i = 0; i < 2; i++)
        if (p->silent[i] && p->refreshes[i] == registration_at(s, o.id[i])->refreshes)
            return true;
    return p->strangers || server_seconds(s, now) < p->not_before_s;
}

/* ---- what somebody has spent on a source prefix ---- */

/* Two cells: when all that was spent will be forgotten. By chance others have them, too; what is the less is right. */
struct spent_cells {
    uint32_t *at[2];
};

/* A prefix that sends many into a room or bucket must not get all shares of those who wait there for somebody else. */
static struct spent_cells spent_cells(const struct server *s, uint32_t registration, const struct addr *source)
{
    const uint64_t handle = party_at(s, registration)->handle;
    const uint64_t hash = server_hash_prefix(s, source, (uint32_t)(handle ^ handle >> 32));
    return (struct spent_cells){{&s->t.spent[hash & s->t.spent_mask], &s->t.spent[hash >> 32 & s->t.spent_mask]}};
}

static uint32_t left_s(uint32_t until_s, uint32_t now_s)
{
    return until_s > now_s ? until_s - now_s : 0;
}

uint32_t spent_on(const struct server *s, vtime_us now, uint32_t registration, const struct addr *source)
{
    const struct spent_cells c = spent_cells(s, registration, source);
    const uint32_t now_s = server_seconds(s, now);
    const uint32_t a = left_s(*c.at[0], now_s), b = left_s(*c.at[1], now_s);
    return ((a < b ? a : b) + SPENT_GAP_S - 1) / SPENT_GAP_S;
}

static void spent_change(struct server *s, vtime_us now, uint32_t registration, const struct addr *source, bool more)
{
    const struct spent_cells c = spent_cells(s, registration, source);
    const uint32_t now_s = server_seconds(s, now);
    for (int i = 0; i < 2 && (i == 0 || c.at[1] != c.at[0]); i++) {
        const uint32_t left = left_s(*c.at[i], now_s), fewer = left > SPENT_GAP_S ? left - SPENT_GAP_S : 0;
        *c.at[i] = now_s + (more ? left + SPENT_GAP_S : fewer);
    }
}

void spent_add(struct server *s, vtime_us now, uint32_t registration, const struct addr *source)
{
    spent_change(s, now, registration, source, true);
}

void spent_forgive(struct server *s, vtime_us now, uint32_t registration, const struct addr *source)
{
    spent_change(s, now, registration, source, false);
}

/* ---- source prefixes whose runs failed ---- */

static uint64_t failed_tag(const struct server *s, uint32_t newcomer)
{
    const struct registration *r = registration_at(s, newcomer);
    uint64_t tag = server_hash_prefix(s, &r->party.path.from, r->wish.room);
    return tag + (tag == 0);
}

static struct failed *failed_find(const struct server *s, vtime_us now, uint32_t newcomer)
{
    const uint64_t tag = failed_tag(s, newcomer);
    const struct failed *f = &s->failed[tag % FAILED_SLOTS];
    return f->tag == tag && now < f->newest + FAILED_MEMORY_US ? (struct failed *)(uintptr_t)f : NULL;
}

/* In the open form strangers are the rule. */
static bool counts(const struct server *s, uint32_t newcomer)
{
    return registration_at(s, newcomer)->wish.room != 0;
}

/* Whoever else had the slot is forgotten; those who wait in it have their turn all the same. */
void failed_remember(struct server *s, vtime_us now, uint32_t newcomer)
{
    if (!counts(s, newcomer))
        return;
    const uint64_t tag = failed_tag(s, newcomer);
    struct failed *f = &s->failed[tag % FAILED_SLOTS];
    if (f->tag != tag || now >= f->newest + FAILED_MEMORY_US)
        f->runs = 0;
    f->tag = tag;
    f->runs++;
    f->newest = now;
}

bool failed_is_known(const struct server *s, vtime_us now, uint32_t newcomer)
{
    if (!counts(s, newcomer))
        return false;
    const struct failed *f = failed_find(s, now, newcomer);
    return f != NULL && f->runs >= FAILED_RUNS_MAX;
}

/* ---- the gap between two introductions of such a prefix ---- */

static const size_t WAITING = offsetof(struct registration, waiting);
static const size_t GAP = offsetof(struct failed, gap);
static_assert(FAILED_SLOTS <= UINT16_MAX, "registration.waits_at");

static struct table slots(struct server *s)
{
    return (struct table){.base = (uint8_t *)s->failed, .stride = sizeof s->failed[0], .max = FAILED_SLOTS};
}

static uint32_t slot_number(const struct server *s, const struct failed *f)
{
    return (uint32_t)(f - s->failed) + 1;
}

static void leave_gaps(struct server *s, struct failed *f)
{
    const struct table t = slots(s);
    if (f->in_gap)
        list_remove(&t, GAP, &s->gaps, slot_number(s, f));
    f->in_gap = false;
}

bool failed_must_wait(struct server *s, vtime_us now, uint32_t newcomer)
{
    if (!failed_is_known(s, now, newcomer))
        return false;
    struct failed *f = failed_find(s, now, newcomer);
    struct registration *r = registration_at(s, newcomer);
    if (!f->in_gap || now >= f->introduced + FAILED_GAP_US)
        return false;
    if (r->waits_at == 0) {
        r->waits_at = (uint16_t)slot_number(s, f);
        list_append(&s->t.registrations, WAITING, &f->waiting, newcomer);
    }
    return true;
}

void failed_introduced(struct server *s, vtime_us now, uint32_t newcomer)
{
    if (!failed_is_known(s, now, newcomer))
        return;
    struct failed *f = failed_find(s, now, newcomer);
    const struct table t = slots(s);
    leave_gaps(s, f);
    f->introduced = now;
    f->in_gap = true;
    list_append(&t, GAP, &s->gaps, slot_number(s, f));
}

void failed_forget(struct server *s, uint32_t registration)
{
    struct registration *r = registration_at(s, registration);
    if (r->waits_at != 0)
        list_remove(&s->t.registrations, WAITING, &s->failed[r->waits_at - 1].waiting, registration);
    r->waits_at = 0;
}

/* One after the other, until one of them has been introduced: with that the next gap begins, and who wants more goes
 * to the end. */
void failed_run(struct server *s, vtime_us now)
{
    while (now >= failed_deadline(s) && s->out_count + 2 * SHARES_MAX <= OUT_TIMERS_MAX) {
        struct failed *f = &s->failed[s->gaps.head - 1];
        const uint32_t first = f->waiting.head;
        if (first == 0) {
            leave_gaps(s, f);
            continue;
        }
        failed_forget(s, first);
        introduce_registration(s, now, first);
    }
}

vtime_us failed_deadline(const struct server *s)
{
    return s->gaps.head == 0 ? VTIME_NEVER : s->failed[s->gaps.head - 1].introduced + FAILED_GAP_US;
}
