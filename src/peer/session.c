/* One peer: what its packets do to us, its timers, its end (docs/protocol.md s6). */
#include "peer/internal.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LINK_GAP_US     VTIME_S(1) /* doubles up to: */
#define LINK_GAP_MAX_US VTIME_S(15)
#define ENVELOPE_ACK_US                                                                                                \
    VTIME_MS(900) /* the Ack of an envelope may wait until the first probe timeout, 1 s, less the                      \
                   * round trip: by then it goes with something else, or directly */

/* ---- fates of our packets ---- */

bool session_fate(void *context, const struct sent_packet *s, enum packet_fate fate)
{
    const struct peer_context *c = context;
    struct peer *p = c->peer;
    if (fate == PACKET_ACKED) {
        seal_acknowledged(&p->seal, s->epoch);
        if (s->carried & CARRIED_ENVELOPE)
            p->envelope_acked = true;
        return false;
    }
    c->engine->count.packets_lost++;
    uint8_t again = s->carried & (CARRIED_OFFER | CARRIED_RECEIPT | CARRIED_CREDIT | CARRIED_AIM);
    if ((s->carried & CARRIED_ENVELOPE) && !p->envelope_acked)
        again |= CARRIED_OFFER; /* the two go together */
    p->due |= again;
    return (s->stream_size > 0 && outbox_lost(&p->outbox, s->stream_offset, s->stream_size)) || again != 0;
}

/* ---- the relay ---- */

void session_want_link(struct peer *p, vtime_us at)
{
    if (p->link != 0)
        return;
    if (!p->link_wanted || (p->link_tries == 0 && at < p->link_at)) /* once asked, it is repeated in its own time */
        p->link_at = at;
    p->link_wanted = true;
}

void session_unlink_all(struct engine *e)
{
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *p = &e->peers[i];
        if (p->state != PEER_LIVE)
            continue;
        p->link = 0;
        p->link_tries = 0;
        session_want_link(p, e->now + LINK_GAP_US); /* Register.links asks first */
    }
}

bool session_link(struct engine *e, const struct relay_token *token, struct engine_out *ret)
{
    struct frame f = {.kind = FRAME_LINK, .link = {.token = *token}};
    memcpy(f.link.secret, e->rv.secret, SECRET_BYTES);
    return engine_out_datagram(e, ret, rendezvous_socket(e), rendezvous_addr(e),
                               codec_encode(&f, e->datagram, sizeof e->datagram));
}

bool session_link_poll(struct engine *e, vtime_us now, struct peer *p, struct engine_out *ret)
{
    if (!p->link_wanted || p->state != PEER_LIVE || now < p->link_at || !e->rv.registered || !e->rv.echoed)
        return false;
    struct relay_token token = {.side = p->seal.side, .may_tell = e->config.relay != RELAY_ONLY};
    memcpy(token.token, p->seal.relay_token, sizeof token.token);
    p->link_at = now + vtime_min(LINK_GAP_US << (p->link_tries < 4 ? p->link_tries : 4), LINK_GAP_MAX_US);
    if (p->link_tries < 255)
        p->link_tries++;
    return session_link(e, &token, ret);
}

static uint64_t first_eight(const uint8_t token[static RELAY_TOKEN_BYTES])
{
    uint64_t mask = 0;
    for (int i = 7; i >= 0; i--)
        mask = mask << 8 | token[i];
    return mask;
}

void session_linked(struct engine *e, const struct frame_linked *f)
{
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *p = &e->peers[i];
        if (p->state != PEER_LIVE || sodium_memcmp(p->seal.relay_token, f->token, sizeof f->token) != 0)
            continue;
        p->link = f->link;
        p->link_wanted = false;
        p->link_tries = 0;
        if (f->observed.family != ADDR_NONE)
            p->witnessed = addr_mask(&f->observed, first_eight(f->token));
    }
    again_linked(e, f->token);
}

/* ---- what came out of a packet ---- */

static void take_name(struct engine *e, struct peer *p, const struct frame_offer *o)
{
    char before[sizeof p->name];
    memcpy(before, p->name, sizeof before);
    memcpy(p->name, o->name, o->name_size);
    p->name[o->name_size] = '\0';
    if (o->name_size == 0)
        snprintf(p->name, sizeof p->name, "peer %u", p->number);
    if (p->told && !p->ignored && strcmp(before, p->name) != 0)
        events_peer(e, EVENT_NAME, p);
}

static const char *first_reason(const struct engine *e, const struct peer *p)
{
    if (p->chosen != PATH_RELAYED)
        return hard_way(e, p, &p->paths[p->chosen]);
    if (e->config.relay == RELAY_ONLY)
        return "through the server, as --relay only asks";
    if (p->offer.generation > 0 && p->offer.candidate_count == 0)
        return "through the server, since the other gives no address";
    return "through the server while a direct path is looked for";
}

/* With its name, if the Offer came with its first packet, as it does unless that was lost. */
static void tell_peer(struct engine *e, struct peer *p)
{
    if (p->told)
        return;
    p->told = true;
    if (p->name[0] == '\0')
        snprintf(p->name, sizeof p->name, "peer %u", p->number);
    events_peer(e, EVENT_PEER, p);
    if (p->chosen >= 0)
        checks_tell(e, p, first_reason(e, p));
}

static void take_offer(struct engine *e, vtime_us now, struct peer *p, const struct frame_offer *o)
{
    if (o->generation <= p->offer.generation)
        return;
    p->offer = *o;
    take_name(e, p, o);
    checks_offer(e, now, p);
}

static void take_receipt(struct peer *p, uint64_t count)
{
    if (count <= p->their_receipt || !outbox_was_sent(&p->outbox, count))
        return;
    p->their_receipt = count;
    p->starved_since = VTIME_NEVER;
}

static void take_credit(struct peer *p, uint64_t limit)
{
    if (limit <= p->outbox.limit)
        return;
    p->outbox.limit = limit;
    p->starved_since = VTIME_NEVER;
}

/* False: the packet must not be acknowledged, so that it comes again. */
static bool take_frame(struct engine *e, vtime_us now, struct peer *p, int path, const struct frame *f)
{
    struct peer_context context = {e, p};
    switch (f->kind) {
    case FRAME_OFFER:
        take_offer(e, now, p, &f->offer);
        return true;
    case FRAME_PUNCH:
        if (path >= 0)
            checks_punch(e, now, p, path, &f->punch);
        return true;
    case FRAME_ACK:
        recovery_acked(&p->recovery, now, &f->ack, p->seal.counter, session_fate, &context);
        return true;
    case FRAME_AIM:
        hard_aim(e, now, p, &f->aim);
        return true;
    case FRAME_MESSAGE:
        return inbox_put(&p->inbox, f->message.offset, f->message.data.at, f->message.data.size) == INBOX_STORED;
    case FRAME_RECEIPT:
        take_receipt(p, f->receipt.count);
        return true;
    case FRAME_CREDIT:
        take_credit(p, f->credit.limit);
        return true;
    case FRAME_LEAVE:
        session_leave(e, p, "quit");
        if (f->leave.reason == LEAVE_ROOM_FULL) {
            again_add(e, now, &p->seal);
            introduce_room_full(e);
        }
        return true;
    default:
        return true;
    }
}

struct packet_summary {
    bool valid, eliciting, has_envelope, only_handshake, room_full;
    struct frame_envelope envelope;
};

/* The first pass: is everything in it well-formed, and what kind of packet is it? */
static struct packet_summary summarise(struct engine *e, struct bytes plain)
{
    struct packet_summary s = {.valid = true, .only_handshake = true};
    struct frame f;
    while (plain.size > 0) {
        enum decode_result r = codec_decode_inner(&e->codec, &plain, &f);
        if (r == DECODE_UNKNOWN)
            continue;
        if (r != DECODE_OK) {
            s.valid = false;
            return s;
        }
        if (f.kind == FRAME_ENVELOPE) {
            s.has_envelope = true;
            s.envelope = f.envelope;
        }
        s.room_full |= f.kind == FRAME_LEAVE && f.leave.reason == LEAVE_ROOM_FULL;
        s.eliciting |= f.kind == FRAME_ENVELOPE || f.kind == FRAME_OFFER || f.kind == FRAME_MESSAGE ||
                       f.kind == FRAME_RECEIPT || f.kind == FRAME_CREDIT || f.kind == FRAME_AIM;
        s.only_handshake &= f.kind == FRAME_ENVELOPE || f.kind == FRAME_OFFER || f.kind == FRAME_NONE;
    }
    return s;
}

static vtime_us ack_delay(const struct engine *e, const struct peer *p, const struct packet_summary *s)
{
    vtime_us both = (vtime_us)e->rv.rtt_us + p->offer.server_rtt_us;
    if (!s->only_handshake || p->chosen > PATH_RELAYED || both + ACK_DELAY_MAX_US > ENVELOPE_ACK_US)
        return ACK_DELAY_MAX_US;
    return ENVELOPE_ACK_US - both;
}

static struct peer *find_session(struct engine *e, uint64_t session)
{
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *p = &e->peers[i];
        if ((p->state == PEER_RUN || p->state == PEER_LIVE) && p->seal.recv.session == session)
            return p;
    }
    return NULL;
}

static void heard(struct engine *e, vtime_us now, struct peer *p, int path, uint64_t number)
{
    p->heard_at = now;
    recovery_heard(&p->recovery);
    if (number >= p->newest)
        p->newest = number + 1;
    if (path >= 0 && number >= p->paths[path].newest)
        p->paths[path].newest = number + 1;
    (void)e;
}

/* Between a room that is full and a newcomer nothing counts but that both get to know it. */
static void refused(struct engine *e, vtime_us now, struct peer *p, uint64_t number, struct bytes plain,
                    const struct packet_summary *s)
{
    struct peer_context context = {e, p};
    struct frame f;
    while (plain.size > 0)
        if (codec_decode_inner(&e->codec, &plain, &f) == DECODE_OK && f.kind == FRAME_ACK)
            recovery_acked(&p->recovery, now, &f.ack, p->seal.counter, session_fate, &context);
    received_add(&p->received, now, number, s->eliciting, ACK_DELAY_MAX_US);
}

/* A packet of a run; true if that is a session now. */
static bool confirms(struct engine *e, vtime_us now, struct peer *p, uint64_t number, struct bytes plain,
                     const struct packet_summary *s)
{
    bool theirs_is_full = s->has_envelope && s->room_full && !p->refuses;
    if (!s->has_envelope && !p->counted_right)
        return false;
    if (theirs_is_full)
        p->refuses = true;
    if (s->has_envelope && introduce_confirm(e, now, p, &s->envelope))
        return true;
    if (p->state == PEER_RUN) {
        refused(e, now, p, number, plain, s);
        if (theirs_is_full)
            introduce_room_full(e);
    }
    return false;
}

static void opened(struct engine *e, vtime_us now, struct peer *p, uint64_t number, struct bytes plain, uint16_t socket,
                   const struct addr *from)
{
    struct packet_summary s = summarise(e, plain);
    if (!s.valid) {
        e->count.dropped++;
        return;
    }
    if (p->state == PEER_RUN && !confirms(e, now, p, number, plain, &s))
        return;
    int path = from == NULL ? PATH_RELAYED : checks_path(e, now, p, socket, from);
    heard(e, now, p, path, number);
    bool complete = true;
    struct frame f;
    while (plain.size > 0 && p->state == PEER_LIVE) {
        if (codec_decode_inner(&e->codec, &plain, &f) == DECODE_OK)
            complete = take_frame(e, now, p, path, &f) && complete;
    }
    if (p->state == PEER_LIVE || p->state == PEER_LEAVING)
        tell_peer(e, p);
    if (p->state == PEER_LIVE && complete)
        received_add(&p->received, now, number, s.eliciting, ack_delay(e, p, &s));
}

void session_sealed(struct engine *e, vtime_us now, const struct frame_sealed *f, uint16_t socket,
                    const struct addr *from, struct peer *expected)
{
    uint8_t plain[CIPHERTEXT_BYTES_MAX];
    struct peer *p = find_session(e, f->session);
    if (p == NULL) {
        e->count.dropped++;
        if (expected != NULL && expected->state == PEER_RUN)
            introduce_wrong(e, expected);
        return;
    }
    if (from != NULL && e->config.relay == RELAY_ONLY)
        return;
    vtime_us old_key = 3 * recovery_pto(&p->recovery);
    enum seal_verdict v = seal_open(&p->seal, now, f->session, f->epoch, f->counter, f->ciphertext.at,
                                    f->ciphertext.size, old_key > OLD_KEY_US ? old_key : OLD_KEY_US, plain);
    if (v == SEAL_OPENED) {
        opened(e, now, p, f->counter, (struct bytes){plain, f->ciphertext.size - SEAL_TAG_BYTES}, socket, from);
    } else if (v == SEAL_REPLAYED) {
        e->count.replayed++;
    } else {
        e->count.forged++;
        if (expected != NULL && expected->state == PEER_RUN)
            introduce_wrong(e, expected);
    }
}

/* ---- timers ---- */

/* Silence counts from the last packet, or from when the server began to answer again. */
static vtime_us silence_ends(const struct engine *e, const struct peer *p)
{
    vtime_us from = p->heard_at > e->rv.back_at ? p->heard_at : e->rv.back_at;
    return from + PEER_TIMEOUT_US;
}

/* With nobody else there the sender waits for it instead. Its reader has stopped, by what we can see: there is more for
 * it than its credit allows, and it has given none, nor a Receipt. */
static bool starves(const struct engine *e, const struct peer *p)
{
    return p->state == PEER_LIVE && p->starved_since != VTIME_NEVER && e->live > 1;
}

/* Or it takes so little that it silences us, and thereby the room: whoever gives credit without end, and a Receipt now
 * and then. */
static bool holds_up(const struct engine *e, const struct peer *p)
{
    return p->state == PEER_LIVE && p->held_up_since != VTIME_NEVER && e->live > 1;
}

/* A minute begins when the store is full. It ends in time with a STORE_SHARE of the store receipted, or with all that
 * waited then; or when there is room again, and not just for the next message. */
static void watch_store(const struct engine *e, vtime_us now, struct peer *p)
{
    const struct outbox *o = &p->outbox;
    if (o->first >= p->due_messages || outbox_receipted(o) >= p->due_bytes || !mailbox_is_short(&e->mailbox))
        p->held_up_since = VTIME_NEVER;
    if (p->held_up_since != VTIME_NEVER || o->first == o->next || mailbox_has_room(&e->mailbox, TEXT_BYTES_MAX))
        return;
    const uint64_t share = o->first + MAILBOX_MESSAGES / STORE_SHARE;
    p->held_up_since = now;
    p->due_messages = share < o->next ? share : o->next;
    p->due_bytes = outbox_receipted(o) + MAILBOX_TEXT_BYTES / STORE_SHARE;
}

static void watch_credit(vtime_us now, struct peer *p)
{
    if (!outbox_is_starved(&p->outbox))
        p->starved_since = VTIME_NEVER;
    else if (p->starved_since == VTIME_NEVER)
        p->starved_since = now;
}

/* After 30 s; or it is refused, and both ends know. */
static bool run_is_over(const struct peer *p, vtime_us now)
{
    return now >= p->since + RUN_US ||
           (p->refuses && p->counted_right && p->envelope_acked && p->received.unacknowledged == 0);
}

/* RFC 9002's probe timeout starts anew with each packet, so a path that dies under somebody who never stops writing
 * would not be noticed. A packet that nothing is known of for two of them is as good a sign. */
static vtime_us stalls_at(const struct peer *p)
{
    vtime_us oldest = recovery_oldest_at(&p->recovery);
    if (p->chosen <= PATH_RELAYED || oldest == VTIME_NEVER)
        return VTIME_NEVER;
    vtime_us at = oldest + 2 * recovery_pto(&p->recovery);
    return at > p->stalled_at ? at : p->stalled_at;
}

void session_timers(struct engine *e, vtime_us now, struct peer *p)
{
    struct peer_context context = {e, p};
    if (p->state == PEER_RUN && run_is_over(p, now)) {
        introduce_end(e, now, p);
        return;
    }
    if (p->state == PEER_LIVE && rendezvous_answers(e, now) && now >= silence_ends(e, p)) {
        session_leave(e, p, "timeout");
        return;
    }
    if (p->state != PEER_RUN && p->state != PEER_LIVE)
        return;
    checks_timers(e, now, p); /* first: a change of path sets the loss timer */
    if (recovery_timeout(&p->recovery, now, session_fate, &context)) {
        p->probes = p->state == PEER_LIVE ? 2 : 1; /* the second over the relay, if that is not the first's way */
        if (p->chosen > PATH_RELAYED)
            path_suspect(&p->paths[p->chosen], now);
    }
    if (now >= stalls_at(p)) {
        p->stalled_at = now + recovery_pto(&p->recovery);
        p->probes = 2;
        path_suspect(&p->paths[p->chosen], now);
    }
    if (inbox_limit(&p->inbox) - p->limit_sent >= CREDIT_BYTES / 4)
        p->due |= CARRIED_CREDIT;
    watch_credit(now, p);
    watch_store(e, now, p);
    if ((starves(e, p) && now >= p->starved_since + STARVED_US) ||
        (holds_up(e, p) && now >= p->held_up_since + STARVED_US))
        session_leave(e, p, "timeout");
}

vtime_us session_deadline(const struct engine *e, const struct peer *p)
{
    if (p->state != PEER_RUN && p->state != PEER_LIVE)
        return VTIME_NEVER;
    vtime_us at = vtime_min(recovery_deadline(&p->recovery), packet_deadline(e, p, e->now));
    if (p->state == PEER_RUN)
        return vtime_min(at, p->since + RUN_US);
    if (rendezvous_answers(e, e->now))
        at = vtime_min(at, silence_ends(e, p));
    if (starves(e, p))
        at = vtime_min(at, p->starved_since + STARVED_US);
    if (holds_up(e, p))
        at = vtime_min(at, p->held_up_since + STARVED_US);
    if (p->link_wanted && e->rv.registered && e->rv.echoed)
        at = vtime_min(at, p->link_at);
    at = vtime_min(at, stalls_at(p));
    return vtime_min(at, checks_deadline(e, p));
}

/* ---- the end ---- */

void session_leave(struct engine *e, struct peer *p, const char *reason)
{
    p->state = PEER_LEAVING;
    p->left_reason = reason;
    e->live--;
    e->alone_since = e->now;
}

void session_break(struct engine *e, struct peer *p)
{
    char text[EVENT_TEXT_MAX];
    snprintf(text, sizeof text, "%s sent what is no message; the session with it is ended", p->name);
    events_note(e, EVENT_WARNING, "protocol-error", text);
    session_leave(e, p, "timeout");
}

void session_free(struct engine *e, struct peer *p)
{
    struct mailbox *m = &e->mailbox;
    if (p->state == PEER_RUN && p->outbox.sent > 0)
        ghost_add(e->spoken, e->now, &p->seal, NULL);
    if (p->inbox.written < p->inbox.messages)
        e->unwritten[e->unwritten_next++ % GHOSTS_MAX] = (struct unwritten){p->number, p->inbox.messages};
    shown_join(&p->shown, &p->skip);
    if (p->state == PEER_LEAVING && p->shown.count > 0 && !p->envelope_acked)
        ghost_add(e->heard, e->now, &p->seal, &p->shown);
    for (uint64_t k = p->outbox.first; k < p->outbox.next; k++) {
        struct letter *l = mailbox_letter(m, p->outbox.letter[k % MAILBOX_MESSAGES]);
        l->waiting &= ~(1U << p->slot);
    }
    sodium_memzero(p, sizeof *p);
    e->pool_stale = true;
    mailbox_collect(m);
}
