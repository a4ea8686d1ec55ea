/* The same two processes in more than one run (docs/protocol.md s5): a server that introduces them again, or often,
 * gets one peer and one copy of each message.
 *
 * Every first packet lists what the sender had begun before its run: live sessions, runs that go on, and runs that are
 * over but may have brought the other some text. Only the two ends of a run can make its tags, each its own. Of two
 * runs between the same processes the one that is older at both ends stays, and when they do not agree, the one with
 * the smaller id: both ends know both orders as soon as they notice, so they decide alike whatever came first to whom.
 */
#include "peer/internal.h"
#include <string.h>

enum tag_kind { TAG_DONE /* live, or over */, TAG_RUNNING };

static uint64_t own_tag(const struct seal *s, enum tag_kind kind, const struct peer *run)
{
    return seal_same_tag(s->same_key, s->side, kind == TAG_RUNNING, run->run_id);
}

void same_envelope(const struct engine *e, const struct peer *p, struct frame_envelope *ret)
{
    memcpy(ret->nonce, p->own.nonce, sizeof ret->nonce);
    ret->same_count = ret->pending_count = 0;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        const struct peer *q = &e->peers[i];
        if (q == p || q->order >= p->order)
            continue;
        if (q->state == PEER_LIVE && ret->same_count < SAME_TAGS_MAX)
            ret->same[ret->same_count++] = own_tag(&q->seal, TAG_DONE, p);
        if (q->state == PEER_RUN && ret->pending_count < PENDING_TAGS_MAX)
            ret->pending[ret->pending_count++] = own_tag(&q->seal, TAG_RUNNING, p);
    }
    for (unsigned i = 0; i < GHOSTS_MAX && ret->pending_count < PENDING_TAGS_MAX; i++) {
        const struct ghost *g = &e->spoken[i];
        if (ghost_is_there(g, e->now))
            ret->pending[ret->pending_count++] = seal_same_tag(g->same_key, g->side, false, p->run_id);
    }
}

static bool lists(const uint64_t *tags, unsigned count, uint64_t tag)
{
    for (unsigned k = 0; k < count; k++)
        if (tags[k] == tag)
            return true;
    return false;
}

static uint64_t their_tag(const struct seal *s, enum tag_kind kind, const struct peer *run)
{
    return seal_same_tag(s->same_key, 1 - s->side, kind == TAG_RUNNING, run->run_id);
}

/* Had they begun q before `run`, by the envelope f of that run? */
static bool begun_before(const struct frame_envelope *f, const struct peer *q, const struct peer *run)
{
    return lists(f->same, f->same_count, their_tag(&q->seal, TAG_DONE, run)) ||
           lists(f->pending, f->pending_count, their_tag(&q->seal, TAG_RUNNING, run));
}

/* Is q with the same process as p, whose envelope is f, and which of the two is to go? */
static const struct peer *loser(const struct peer *p, const struct peer *q, const struct frame_envelope *f)
{
    bool q_before = begun_before(f, q, p), p_before = q->state == PEER_LIVE && begun_before(&q->envelope, p, q);
    if (!q_before && !p_before)
        return NULL;
    if (q_before == (q->order < p->order))
        return q_before ? p : q;
    return memcmp(p->run_id, q->run_id, sizeof p->run_id) < 0 ? q : p;
}

/* The server may have forgotten q's introduction: from now on q's Signals go by p's. */
static void hand_over(struct engine *e, struct peer *q, const struct peer *p)
{
    q->via = p->via;
    q->since = p->since;
    q->signal_frames = p->signal_frames;
    q->signal_bytes = p->signal_bytes;
    if (!q->envelope_acked)
        q->due |= CARRIED_OFFER; /* which had no way to get there */
    /* So may have had the token of a run that a full room refused: to a new server the two would be strangers. */
    if (q->refuses && q->counted_right)
        again_add(e, e->now, &q->seal);
}

/* False: more has been shown in q than we can remember, and p might show it again. */
static bool take_over(struct engine *e, struct peer *p, struct peer *q)
{
    if (q->state == PEER_RUN) {
        session_free(e, q);
        return true;
    }
    shown_join(&q->shown, &q->skip); /* what was shown in one before that, and has not come again yet */
    shown_join(&p->skip, &q->shown);
    session_leave(e, q, "timeout");
    return p->skip.count < SHOWN_MAX;
}

/* Earlier tries that only we hold for sessions, or held: for the other they are over, and what was said in them it will
 * say again (ghosts.h). */
static bool bury_ghosts(struct engine *e, struct peer *p, const struct frame_envelope *f)
{
    bool ok = true;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *q = &e->peers[i];
        if (q->state == PEER_LIVE && !q->envelope_acked &&
            lists(f->pending, f->pending_count, their_tag(&q->seal, TAG_DONE, p)))
            ok = take_over(e, p, q) && ok;
    }
    for (unsigned i = 0; i < GHOSTS_MAX; i++) {
        const struct ghost *g = &e->heard[i];
        if (ghost_is_there(g, e->now) &&
            lists(f->pending, f->pending_count, seal_same_tag(g->same_key, 1 - g->side, false, p->run_id)))
            shown_join(&p->skip, &g->shown);
    }
    return ok;
}

bool same_confirm(struct engine *e, struct peer *p, const struct frame_envelope *f)
{
    struct peer *losers[PEER_SLOTS];
    unsigned count = 0;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *q = &e->peers[i];
        if (q == p || (q->state != PEER_RUN && q->state != PEER_LIVE))
            continue;
        const struct peer *l = loser(p, q, f);
        if (l == p) {
            hand_over(e, q, p);
            return false;
        }
        if (l == q)
            losers[count++] = q;
    }
    bool ok = true;
    while (count > 0)
        ok = take_over(e, p, losers[--count]) && ok;
    return bury_ghosts(e, p, f) && ok;
}
