/* Introductions: a share of each side, a PeerInfo to both, thirty seconds for their Signals. */
#include "server/core_internal.h"
#include <stddef.h>
#include <string.h>

static const size_t STAGE = offsetof(struct introduction, stage_node);

int introduction_side_of(const struct introduction *i, uint32_t party)
{
    return i->side[0].party == party ? 0 : 1;
}

uint32_t introduction_next(const struct server *s, uint32_t introduction, uint32_t party)
{
    const struct introduction *i = introduction_at(s, introduction);
    return i->side[introduction_side_of(i, party)].next;
}

uint32_t introduction_between(const struct server *s, uint32_t a, uint32_t b)
{
    if (party_at(s, b)->introduction_count < party_at(s, a)->introduction_count)
        return introduction_between(s, b, a); /* the shorter chain */
    uint32_t id = party_at(s, a)->introductions;
    for (; id != 0; id = introduction_next(s, id, a)) {
        const struct introduction *i = introduction_at(s, id);
        if (i->side[1 - introduction_side_of(i, a)].party == b)
            break;
    }
    return id;
}

bool introduction_used_share(const struct server *s, uint32_t party, const uint8_t point[static 32])
{
    for (uint32_t id = party_at(s, party)->introductions; id != 0; id = introduction_next(s, id, party)) {
        const struct introduction *i = introduction_at(s, id);
        if (memcmp(i->side[introduction_side_of(i, party)].share.point, point, 32) == 0)
            return true;
    }
    return false;
}

/* ---- PeerInfo ---- */

void introduction_send_peer_info(struct server *s, const struct introduction *i, int side, size_t reserve)
{
    const uint32_t to = i->side[side].party, other = i->side[1 - side].party;
    if (to == 0 || other == 0 || (reserve > 0 && !send_fits(s, to, PEER_INFO_BYTES_MAX + reserve)))
        return;
    struct frame f = {.kind = FRAME_PEER_INFO,
                      .peer_info = {.handle = party_at(s, other)->handle, .share = i->side[1 - side].share}};
    memcpy(f.peer_info.own_point, i->side[side].share.point, 32);
    send_to(s, to, &f);
}

/* ---- beginning ---- */

uint8_t *share_count(const struct server *s, uint32_t party)
{
    return is_stranger(s, party) ? &stranger_at(s, party)->share_count : &registration_at(s, party)->share_count;
}

/* The oldest share leaves the stock. */
static struct share_public take_share(struct server *s, uint32_t party)
{
    struct share_public *stock = is_stranger(s, party) ? stranger_at(s, party)->shares : shares_of(s, party);
    uint8_t *count = share_count(s, party);
    struct share_public first = stock[0];
    assert(*count > 0);
    memmove(stock, stock + 1, --*count * sizeof *stock);
    return first;
}

static void attach(struct server *s, uint32_t introduction, int side, uint32_t party)
{
    struct introduction_side *own = &introduction_at(s, introduction)->side[side];
    struct party *p = party_at(s, party);
    own->party = party;
    own->share = take_share(s, party);
    own->next = p->introductions;
    p->introductions = introduction;
    p->introduction_count++;
}

static void enter_stage(struct server *s, uint32_t introduction, uint8_t stage, vtime_us due)
{
    struct introduction *i = introduction_at(s, introduction);
    i->stage = stage;
    i->due = due;
    list_append(&s->t.introductions, STAGE, &s->stages[stage], introduction);
}

static void detach(struct server *s, uint32_t introduction, uint32_t party)
{
    struct party *p = party_at(s, party);
    uint32_t *at = &p->introductions;
    while (*at != introduction) {
        struct introduction *i = introduction_at(s, *at);
        at = &i->side[introduction_side_of(i, party)].next;
    }
    *at = introduction_next(s, introduction, party);
    p->introduction_count--;
}

static void drop(struct server *s, uint32_t introduction)
{
    struct introduction *i = introduction_at(s, introduction);
    for (int side = 0; side < 2; side++)
        if (i->side[side].party != 0)
            detach(s, introduction, i->side[side].party);
    table_give(&s->t.introductions, introduction);
}

/* When the table is full, those in it came faster than anybody needs: the oldest gives way, if its two have had the
 * time to meet. Nothing is remembered of it, since nobody was silent and nobody has failed. */
static bool make_room(struct server *s, vtime_us now)
{
    for (int stage = STAGE_END; stage >= 0; stage--) {
        const uint32_t oldest = s->stages[stage].head;
        if (oldest == 0)
            continue;
        if (now - introduction_at(s, oldest)->began < INTRODUCTION_MIN_US)
            return false;
        s->counts[COUNT_INTRODUCTIONS_CUT]++;
        list_remove(&s->t.introductions, STAGE, &s->stages[stage], oldest);
        drop(s, oldest);
        return true;
    }
    return false;
}

bool introduction_begin(struct server *s, vtime_us now, uint32_t newcomer, uint32_t waiter)
{
    uint32_t id = table_take(&s->t.introductions);
    if (id == 0 && make_room(s, now))
        id = table_take(&s->t.introductions);
    if (id == 0) {
        s->counts[COUNT_INTRODUCTIONS_FULL]++;
        return false;
    }
    struct introduction *i = introduction_at(s, id);
    i->began = now;
    attach(s, id, 0, newcomer);
    attach(s, id, 1, waiter);
    enter_stage(s, id, STAGE_REPEAT_1, now + PEER_INFO_REPEAT_US);
    s->counts[COUNT_INTRODUCED]++;
    introduction_send_peer_info(s, i, 0, 0);
    introduction_send_peer_info(s, i, 1, 0);
    return true;
}

bool is_open_to_more(const struct server *s, uint32_t party)
{
    const struct party *p = party_at(s, party);
    return *share_count(s, party) > 0 && p->unanswered < UNANSWERED_MAX &&
           p->introduction_count < INTRODUCTIONS_EACH_MAX;
}

/* ---- a stranger ---- */

/* Somebody whose runs all led to a link, or who had none, may spend a share on a source that may be forged. */
static bool is_cautious(const struct server *s, vtime_us now, uint32_t waiter)
{
    const struct registration *r = registration_at(s, waiter);
    if (r->unconfirmed_s != 0 && server_seconds(s, now) - r->unconfirmed_s < CAUTIOUS_S)
        return true;
    for (uint32_t id = r->party.introductions; id != 0; id = introduction_next(s, id, waiter))
        if (!introduction_at(s, id)->linked)
            return true;
    return false;
}

void introduce_stranger(struct server *s, vtime_us now, uint32_t id)
{
    struct stranger *u = stranger_at(s, id);
    struct place_walk k = place_walk(s, now, &u->wish);
    uint32_t longest = 0;
    if (u->introduced || u->share_count == 0)
        return;
    for (uint32_t other; (other = place_walk_next(s, &k)) != 0;) {
        const struct registration *r = registration_at(s, other);
        if (longest != 0 && (int32_t)(r->sequence - registration_at(s, longest)->sequence) > 0)
            continue;
        /* A registration of the same source is what the newcomer is about to replace. */
        if (is_open_to_more(s, other) && !is_cautious(s, now, other) &&
            !addr_equal(&r->party.path.from, &u->party.path.from))
            longest = other;
    }
    if (longest != 0)
        u->introduced = introduction_begin(s, now, id, longest);
}

/* ---- parties come and go ---- */

void introductions_rename(struct server *s, uint32_t from, uint32_t to)
{
    struct party *old = party_at(s, from), *new = party_at(s, to);
    for (uint32_t id = old->introductions, next; id != 0; id = next) {
        struct introduction *i = introduction_at(s, id);
        next = introduction_next(s, id, from);
        i->side[introduction_side_of(i, from)].party = to;
    }
    new->introductions = old->introductions;
    new->introduction_count = old->introduction_count;
    old->introductions = 0;
    old->introduction_count = 0;
}

/* The introduction lives on for the other side's sake: it remembers the share that was used. */
void introductions_forget(struct server *s, uint32_t party)
{
    struct party *p = party_at(s, party);
    for (uint32_t id = p->introductions, next; id != 0; id = next) {
        struct introduction *i = introduction_at(s, id);
        next = introduction_next(s, id, party);
        i->side[introduction_side_of(i, party)].party = 0;
    }
    p->introductions = 0;
    p->introduction_count = 0;
}

bool introductions_confirm(struct server *s, vtime_us now, uint32_t a, uint32_t b)
{
    uint32_t id = introduction_between(s, a, b);
    if (id == 0)
        return false;
    if (!introduction_at(s, id)->linked) {
        s->counts[COUNT_INTRODUCTIONS_LINKED]++;
        spent_forgive(s, now, a, source_of(s, b));
        spent_forgive(s, now, b, source_of(s, a));
    }
    introduction_at(s, id)->linked = true;
    return true;
}

/* ---- time ---- */

static bool has_answered(const struct introduction *i, int side)
{
    return i->side[side].frames > 0;
}

static void repeat(struct server *s, const struct introduction *i)
{
    for (int side = 0; side < 2; side++)
        if (!has_answered(i, side) && !i->linked)
            introduction_send_peer_info(s, i, side, SIGNAL_BYTES_MAX + UDP6_HEADER_BYTES);
}

static void count_unanswered(struct server *s, const struct introduction *i)
{
    if (i->side[0].party == 0 || i->side[1].party == 0 || i->linked)
        return;
    for (int side = 0; side < 2; side++) {
        struct party *p = party_at(s, i->side[side].party);
        if (!has_answered(i, side) && p->unanswered < UNANSWERED_MAX)
            p->unanswered++;
    }
}

static void remember(struct server *s, vtime_us now, const struct introduction *i)
{
    const uint32_t a = i->side[0].party, b = i->side[1].party;
    for (int side = 0; side < 2; side++)
        if (i->side[side].party != 0 && !is_stranger(s, i->side[side].party))
            registration_at(s, i->side[side].party)->unconfirmed_s = server_seconds(s, now);
    if (a != 0 && !is_stranger(s, a))
        failed_remember(s, now, a);
    if (a != 0 && b != 0 && !is_stranger(s, a) && !is_stranger(s, b))
        pair_remember(s, a, b, !has_answered(i, 0), !has_answered(i, 1));
}

static void end(struct server *s, vtime_us now, uint32_t introduction)
{
    const struct introduction *i = introduction_at(s, introduction);
    if (!i->linked)
        remember(s, now, i);
    drop(s, introduction);
}

static void step(struct server *s, vtime_us now, uint32_t introduction)
{
    struct introduction *i = introduction_at(s, introduction);
    list_remove(&s->t.introductions, STAGE, &s->stages[i->stage], introduction);
    switch ((enum introduction_stage)i->stage) {
    case STAGE_REPEAT_1:
    case STAGE_REPEAT_2:
        repeat(s, i);
        enter_stage(s, introduction, i->stage + 1, now + PEER_INFO_REPEAT_US);
        break;
    case STAGE_REPEAT_3:
        repeat(s, i);
        enter_stage(s, introduction, STAGE_UNANSWERED, now + UNANSWERED_US);
        break;
    case STAGE_UNANSWERED:
        count_unanswered(s, i);
        enter_stage(s, introduction, STAGE_END, i->began + INTRODUCTION_US);
        break;
    case STAGE_END:
    case STAGES:
        end(s, now, introduction);
        break;
    }
}

/* Each list is in the order of its due times, since all introductions go through the same stages. */
void introductions_run(struct server *s, vtime_us now)
{
    for (int stage = 0; stage < STAGES; stage++)
        while (s->stages[stage].head != 0 && now >= introduction_at(s, s->stages[stage].head)->due &&
               s->out_count + 2 <= OUT_TIMERS_MAX)
            step(s, now, s->stages[stage].head);
}

vtime_us introductions_deadline(const struct server *s)
{
    vtime_us due = VTIME_NEVER;
    for (int stage = 0; stage < STAGES; stage++)
        if (s->stages[stage].head != 0)
            due = vtime_min(due, introduction_at(s, s->stages[stage].head)->due);
    return due;
}
