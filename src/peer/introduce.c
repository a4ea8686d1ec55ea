/* Runs: from PeerInfo to a confirmed session (docs/protocol.md s5). */
#include "peer/internal.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LINK_LATER_US VTIME_S(3) /* a Link of its own, if the links in the Register after 1 s have not done it */

enum { WRONG_ALARM = 3 }; /* envelopes that came and did not open, before we warn */

/* Is q, a run, to give way before p? Who has been seen to guess wrong goes first, then who has been silent longest. */
static bool gives_way(const struct peer *q, const struct peer *p)
{
    return q->counted_wrong != p->counted_wrong ? q->counted_wrong : q->order < p->order;
}

/* However many strangers there are, a friend's run has a place for the time that its first packets need. */
static struct peer *free_slot(struct engine *e, vtime_us now)
{
    struct peer *run = NULL;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *p = &e->peers[i];
        if (p->state == PEER_FREE)
            return p;
        if (p->state == PEER_RUN && (run == NULL || gives_way(p, run)))
            run = p;
    }
    if (run != NULL)
        introduce_end(e, now, run);
    return run;
}

static bool is_reflection(const struct engine *e, const struct share_public *s)
{
    if (stock_owns(&e->stock, s))
        return true;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        const struct peer *p = &e->peers[i];
        if (p->state == PEER_FREE)
            continue;
        if (memcmp(p->own.share.point, s->point, sizeof s->point) == 0 ||
            memcmp(p->own.share.commitment, s->commitment, sizeof s->commitment) == 0)
            return true;
    }
    return false;
}

/* The run itself, in locals; true with the session's keys in p. */
static bool run_cpace(struct peer *p, vtime_us now)
{
    struct cpace_result result;
    const struct cpace_part sid = {NULL, 0};
    const struct cpace_part own_ad = {p->own.share.commitment, sizeof p->own.share.commitment};
    const struct cpace_part their_ad = {p->theirs.commitment, sizeof p->theirs.commitment};
    bool ok = cpace_finish(&result, p->own.scalar, &sid, p->own.share.point, &own_ad, p->theirs.point, &their_ad);
    if (ok) {
        memcpy(p->run_id, result.sid_output, sizeof p->run_id);
        seal_init(&p->seal, &result, now);
    }
    sodium_memzero(&result, sizeof result);
    sodium_memzero(p->own.scalar, sizeof p->own.scalar);
    return ok;
}

/* Same run as before (both shares known together), so the PeerInfo is a repetition. */
static bool run_exists(const struct engine *e, const struct frame_peer_info *f)
{
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        if (e->peers[i].state != PEER_FREE && memcmp(e->peers[i].own.share.point, f->own_point, 32) == 0 &&
            memcmp(e->peers[i].theirs.point, f->share.point, 32) == 0)
            return true;
    return false;
}

void introduce_peer_info(struct engine *e, vtime_us now, const struct frame_peer_info *f)
{
    if (run_exists(e, f))
        return;
    if (is_reflection(e, &f->share)) {
        e->count.reflected++;
        return;
    }
    struct share_secret own;
    if (!stock_take(&e->stock, f->own_point, now, &own)) {
        e->count.server_frames_refused++;
        return;
    }
    struct peer *p = free_slot(e, now); /* there are more than sessions, and runs give way */
    if (p == NULL)
        return;
    e->count.introductions++;
    if (stock_is_exhausted(&e->stock) && !e->strangers_told) {
        e->strangers_told = true;
        events_note(
            e, EVENT_WARNING, "too-many-strangers",
            "too many strangers use keywords like this one; nobody new is let in: take a new keyword with --new");
    }
    p->slot = (uint8_t)(p - e->peers);
    p->own = own;
    p->theirs = f->share;
    p->order = e->count.introductions;
    p->via.handle = f->handle;
    memcpy(p->via.own_point, own.share.point, sizeof p->via.own_point);
    memcpy(p->via.their_point, f->share.point, sizeof p->via.their_point);
    sodium_memzero(&own, sizeof own);
    if (!run_cpace(p, now)) {
        session_free(e, p);
        return;
    }
    p->state = PEER_RUN;
    p->since = p->heard_at = now;
    p->due = CARRIED_OFFER;
    recovery_init(&p->recovery);
    outbox_init(&p->outbox);
    p->limit_sent = CREDIT_BYTES;
    p->starved_since = p->held_up_since = VTIME_NEVER;
    checks_init(e, p, now);
    p->refuses = e->live == PEERS_MAX;
    delivery_open_letters(e, p);
}

void introduce_room_full(struct engine *e)
{
    if (!e->room_full_told)
        events_note(e, EVENT_ERROR, "room-full",
                    "this room has 16 people already; trying again every half minute, or take another with --new");
    e->room_full_told = true;
}

void introduce_end(struct engine *e, vtime_us now, struct peer *p)
{
    if (!p->counted_wrong && !p->counted_right) {
        e->count.silent++;
        again_add(e, now, &p->seal);
    }
    session_free(e, p);
}

struct peer *introduce_find(struct engine *e, const uint8_t point[static 32])
{
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        if (e->peers[i].state != PEER_FREE &&
            (introduce_is_own(&e->peers[i], point) || memcmp(e->peers[i].via.their_point, point, 32) == 0))
            return &e->peers[i];
    return NULL;
}

bool introduce_is_own(const struct peer *p, const uint8_t point[static 32])
{
    return memcmp(p->theirs.point, point, 32) == 0;
}

void introduce_wrong(struct engine *e, struct peer *p)
{
    if (p->counted_wrong)
        return;
    p->counted_wrong = true;
    e->count.wrong++;
    if (e->keyword.form != KEYWORD_ROOM || ++e->wrong_count != WRONG_ALARM)
        return;
    events_note(e, EVENT_WARNING, "wrong-keyword",
                "somebody tried this room with other keywords; if it goes on, take a new keyword with --new");
}

static void count_right(struct engine *e, vtime_us now, struct peer *p)
{
    if (p->counted_right)
        return;
    p->counted_right = true;
    e->count.confirmed++;
    stock_confirmed(&e->stock, &e->rng);
    rendezvous_soon(e, now + VTIME_S(1));
}

bool introduce_confirm(struct engine *e, vtime_us now, struct peer *p, const struct frame_envelope *f)
{
    uint8_t commitment[SEAL_COMMITMENT_BYTES];
    bool first = !p->counted_right;
    seal_commit(commitment, f->nonce);
    if (memcmp(commitment, p->theirs.commitment, sizeof commitment) != 0) {
        introduce_wrong(e, p);
        session_free(e, p);
        return false;
    }
    count_right(e, now, p);
    if (!first)
        return false; /* refused, and it does not know yet */
    if (!same_confirm(e, p, f)) {
        session_free(e, p);
        return false;
    }
    if (p->refuses || e->live == PEERS_MAX) {
        if (!p->refuses)
            p->due = CARRIED_OFFER; /* its packets have not said so yet */
        p->refuses = true;
        again_add(e, now, &p->seal);
        return false;
    }
    p->envelope = *f;
    p->state = PEER_LIVE;
    p->number = ++e->next_number;
    p->heard_at = now;
    e->live++;
    session_want_link(p, now + LINK_LATER_US);
    delivery_confirmed(e, now, p);
    return true;
}
