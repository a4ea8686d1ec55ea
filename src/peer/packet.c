/* From a session's state to its next datagram (docs/protocol.md s6). */
#include "peer/internal.h"
#include <string.h>

/* What we spend of the signalling budget; the server's is 16 frames and 8 KiB (the margin is for its counting
 * of frames that we never saw lost). */
enum { SIGNAL_FRAMES = 14, SIGNAL_BYTES = 7168, MESSAGE_FRAME_BYTES = 20 };

struct writer {
    uint8_t *at;
    size_t used, cap;
};

static bool put(struct writer *w, const struct frame *f)
{
    size_t n = codec_encode_inner(f, w->at + w->used, w->cap - w->used);
    w->used += n;
    return n > 0;
}

/* ---- wrapping ---- */

static bool signal_is_ready(const struct engine *e, const struct peer *p, vtime_us now)
{
    return now < p->since + RUN_US && p->signal_frames < SIGNAL_FRAMES && p->signal_bytes < SIGNAL_BYTES &&
           e->rv.has_secret;
}

bool relay_is_refused(const struct engine *e, const struct peer *p)
{
    return e->config.relay == RELAY_NEVER || p->offer.no_relay;
}

/* Where the relay is refused, only what belongs to the introduction goes through the server. */
static bool is_signalled(const struct engine *e, const struct peer *p)
{
    return p->link == 0 || relay_is_refused(e, p);
}

bool relay_is_ready(const struct engine *e, const struct peer *p, vtime_us now)
{
    return e->rv.registered && (!is_signalled(e, p) || signal_is_ready(e, p, now));
}

static size_t wrap_relay(struct engine *e, struct peer *p, struct bytes datagram)
{
    struct frame f;
    if (!is_signalled(e, p)) {
        f.kind = FRAME_RELAY;
        f.relay = (struct frame_relay){.has_secret = true, .link = p->link, .datagram = datagram};
        memcpy(f.relay.secret, e->rv.secret, SECRET_BYTES);
    } else {
        f.kind = FRAME_SIGNAL;
        f.signal = (struct frame_signal){.has_secret = true, .handle = p->via.handle, .datagram = datagram};
        memcpy(f.signal.secret, e->rv.secret, SECRET_BYTES);
        memcpy(f.signal.point, p->via.own_point, sizeof f.signal.point);
        p->signal_frames++;
        p->signal_bytes += (uint32_t)datagram.size;
    }
    return codec_encode(&f, e->datagram, sizeof e->datagram);
}

static size_t plain_max(const struct engine *e, const struct peer *p, int path)
{
    return path == PATH_RELAYED && is_signalled(e, p) ? PLAIN_SIGNAL_BYTES_MAX : PLAIN_BYTES_MAX;
}

static struct frame sealed(struct peer *p, vtime_us now, const struct writer *plain,
                           uint8_t ret_ciphertext[static CIPHERTEXT_BYTES_MAX])
{
    struct frame f = {.kind = FRAME_SEALED};
    f.sealed.session = p->seal.send.session;
    seal_packet(&p->seal, now, plain->at, plain->used, ret_ciphertext, &f.sealed.counter, &f.sealed.epoch);
    f.sealed.ciphertext = (struct bytes){ret_ciphertext, plain->used + SEAL_TAG_BYTES};
    return f;
}

/* Seals and sends over path i; the packet's number and epoch go to *sent. */
static bool emit(struct engine *e, vtime_us now, struct peer *p, int i, const struct writer *plain,
                 struct sent_packet *sent, struct engine_out *ret)
{
    uint8_t ciphertext[CIPHERTEXT_BYTES_MAX], datagram[DATAGRAM_BYTES_MAX];
    const struct frame f = sealed(p, now, plain, ciphertext);
    sent->number = f.sealed.counter;
    sent->epoch = f.sealed.epoch;
    if (i == PATH_RELAYED) {
        size_t inner = codec_encode(&f, datagram, sizeof datagram);
        size_t size = wrap_relay(e, p, (struct bytes){datagram, inner});
        sent->bytes = (uint16_t)size;
        return engine_out_datagram(e, ret, rendezvous_socket(e), rendezvous_addr(e), size);
    }
    size_t size = codec_encode(&f, e->datagram, sizeof e->datagram);
    sent->bytes = (uint16_t)size;
    return engine_out_datagram(e, ret, p->paths[i].socket, &p->paths[i].remote, size);
}

/* ---- filling ---- */

static void put_envelope(struct engine *e, struct peer *p, struct writer *w, struct sent_packet *sent)
{
    struct frame f = {.kind = FRAME_ENVELOPE};
    same_envelope(e, p, &f.envelope);
    if (put(w, &f))
        sent->carried |= CARRIED_ENVELOPE;
}

/* With fewer ranges if there is little room: an Ack that is due and never goes out would be tried for ever. */
static bool put_ack(struct peer *p, vtime_us now, struct writer *w)
{
    struct frame f = {.kind = FRAME_ACK};
    if (p->received.unacknowledged == 0 || !received_ack(&p->received, now, &f.ack))
        return false;
    while (!put(w, &f)) {
        if (f.ack.range_count == 1)
            return false;
        f.ack.range_count /= 2;
    }
    return true;
}

static void put_punch(struct engine *e, vtime_us now, struct peer *p, int i, struct writer *w)
{
    struct path *q = &p->paths[i];
    struct frame f = {.kind = FRAME_PUNCH, .punch = {.answer = q->answer}};
    f.punch.challenge = checks_question(e, now, p, i);
    q->answer = 0;
    put(w, &f);
}

static bool put_offer(const struct engine *e, struct peer *p, struct writer *w)
{
    struct frame f = {.kind = FRAME_OFFER, .offer = e->offer};
    f.offer.server_rtt_us = e->rv.rtt_us;
    if (!put(w, &f))
        return false;
    p->offer_sent = e->offer.generation;
    return true;
}

static void put_state(struct engine *e, struct peer *p, struct writer *w, struct sent_packet *sent)
{
    if (p->refuses) {
        const struct frame full = {.kind = FRAME_LEAVE, .leave = {.reason = LEAVE_ROOM_FULL}};
        if ((p->due & CARRIED_OFFER) && put(w, &full))
            sent->carried |= CARRIED_OFFER;
        return;
    }
    if ((!p->envelope_acked || (p->due & CARRIED_OFFER)) && put_offer(e, p, w)) /* it may be the first that arrives */
        sent->carried |= CARRIED_OFFER;
    if ((p->due & CARRIED_AIM) && p->aim.attempt != 0) {
        const struct frame f = {.kind = FRAME_AIM, .aim = p->aim};
        if (put(w, &f))
            sent->carried |= CARRIED_AIM;
    }
    if (p->due & CARRIED_RECEIPT) {
        struct frame f = {.kind = FRAME_RECEIPT, .receipt = {.count = p->inbox.written}};
        if (put(w, &f))
            sent->carried |= CARRIED_RECEIPT;
    }
    if (p->due & CARRIED_CREDIT) {
        struct frame f = {.kind = FRAME_CREDIT, .credit = {.limit = inbox_limit(&p->inbox)}};
        if (put(w, &f)) {
            sent->carried |= CARRIED_CREDIT;
            p->limit_sent = f.credit.limit;
        }
    }
}

static void put_message(struct engine *e, struct peer *p, struct writer *w, struct sent_packet *sent)
{
    uint8_t data[MESSAGE_DATA_BYTES_MAX];
    uint64_t offset;
    size_t size, room = w->cap - w->used;
    if (room <= MESSAGE_FRAME_BYTES)
        return;
    room -= MESSAGE_FRAME_BYTES;
    if (room > sizeof data)
        room = sizeof data;
    while (outbox_next(&p->outbox, room, &offset, &size)) {
        if (!outbox_read(&p->outbox, &e->mailbox, offset, size, data)) {
            outbox_sent(&p->outbox, offset, size); /* receipted meanwhile: nothing to repeat */
            continue;
        }
        struct frame f = {.kind = FRAME_MESSAGE, .message = {.offset = offset, .data = {data, size}}};
        if (!put(w, &f))
            return;
        sent->stream_offset = offset;
        sent->stream_size = (uint16_t)size;
        outbox_sent(&p->outbox, offset, size);
        return;
    }
}

/* ---- deciding ---- */

/* The path for everything but questions and answers; -1: none. */
static int carrier(const struct engine *e, const struct peer *p, vtime_us now)
{
    if (p->state == PEER_LIVE && p->chosen > PATH_RELAYED)
        return p->chosen;
    return relay_is_ready(e, p, now) ? PATH_RELAYED : -1;
}

/* --relay never: what people write waits for a direct path. */
static bool data_allowed(const struct engine *e, const struct peer *p, int path)
{
    return path > PATH_RELAYED || !relay_is_refused(e, p);
}

static bool holds(const struct peer *p, int path, vtime_us now)
{
    return path == PATH_RELAYED && now < p->hold_until;
}

/* A run's data only fills up its first packet, and of the signalling budget a part is left for what follows it:
 * whoever spends all of it before the link is there has nothing to be confirmed with. */
static bool has_data(const struct engine *e, const struct peer *p, int path)
{
    bool signalled = path == PATH_RELAYED && is_signalled(e, p);
    if (p->state == PEER_RUN ||
        (signalled && (p->signal_frames >= SIGNAL_FRAMES / 2 || p->signal_bytes >= SIGNAL_BYTES / 2)))
        return false;
    return data_allowed(e, p, path) && outbox_has_more(&p->outbox);
}

static bool wants_to_send(const struct engine *e, const struct peer *p, int path, vtime_us now)
{
    if (p->probes > 0 && recovery_has_slot(&p->recovery))
        return true;
    if ((p->due & (CARRIED_OFFER | CARRIED_AIM)) || has_data(e, p, path))
        if (recovery_may_send(&p->recovery, now))
            return true;
    if (holds(p, path, now))
        return false;
    if (p->due != 0 && recovery_may_send(&p->recovery, now))
        return true;
    return now >= received_deadline(&p->received);
}

static bool is_eliciting(const struct sent_packet *s)
{
    return s->carried != 0 || s->stream_size != 0;
}

/* Of a run that carries text and does not confirm a memory is kept, so that the text is not shown twice. With more such
 * runs than memories (a server that introduces again and again) the text waits until its run is confirmed. */
static bool run_may_speak(const struct engine *e, const struct peer *p, vtime_us now)
{
    unsigned spoken = 0;
    for (unsigned i = 0; i < GHOSTS_MAX; i++)
        spoken += ghost_is_there(&e->spoken[i], now);
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        spoken += &e->peers[i] != p && e->peers[i].state == PEER_RUN && e->peers[i].outbox.sent > 0;
    return p->outbox.sent > 0 || spoken < GHOSTS_MAX;
}

/* A packet over what carries the session (or, as a probe's twin, over the relay beside it). */
static bool send_packet(struct engine *e, vtime_us now, struct peer *p, int i, bool punch, struct engine_out *ret)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    struct writer w = {plain, 0, plain_max(e, p, i)};
    struct sent_packet sent = {0};
    bool probe = p->probes > 0, tracked = recovery_has_slot(&p->recovery);
    bool beside = p->state == PEER_LIVE && p->chosen > PATH_RELAYED && i != p->chosen;
    if (!p->envelope_acked && tracked && !(p->refuses && p->due == 0)) /* a refused run ends with a mere Ack */
        put_envelope(e, p, &w, &sent);
    bool acked = put_ack(p, now, &w);
    if (punch)
        put_punch(e, now, p, i, &w);
    if (tracked)
        put_state(e, p, &w, &sent);
    bool data = p->state == PEER_RUN
                    ? !p->refuses && (sent.carried & CARRIED_OFFER) && data_allowed(e, p, i) && run_may_speak(e, p, now)
                    : has_data(e, p, i);
    if (tracked && data && (probe || recovery_may_send(&p->recovery, now)))
        put_message(e, p, &w, &sent);
    if (w.used == 0)
        return false;
    if (!emit(e, now, p, i, &w, &sent, ret))
        return false;
    p->due &= (uint8_t)~sent.carried;
    if (acked)
        received_acknowledged(&p->received);
    if (is_eliciting(&sent))
        recovery_sent(&p->recovery, now, &sent, beside);
    else if (!beside)
        recovery_sent_light(&p->recovery, now, sent.number);
    if (p->probes > 0)
        p->probes--;
    if (i == PATH_RELAYED && p->link == 0 && (sent.stream_size > 0 || p->signal_frames > SIGNAL_FRAMES / 2) &&
        p->state == PEER_LIVE)
        session_want_link(p, now);
    return true;
}

/* A question or answer over a path that does not carry the session: nothing in it is repeated. */
static bool send_punch(struct engine *e, vtime_us now, struct peer *p, int i, struct engine_out *ret)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    struct writer w = {plain, 0, plain_max(e, p, i)};
    struct sent_packet sent = {0};
    if (!p->envelope_acked) { /* it may be the first that arrives, too */
        put_envelope(e, p, &w, &sent);
        put_offer(e, p, &w);
    }
    bool acked = put_ack(p, now, &w) && p->paths[i].state == PATH_WORKING;
    bool opens = path_opens(&p->paths[i], now);
    put_punch(e, now, p, i, &w);
    if (!emit(e, now, p, i, &w, &sent, ret))
        return false;
    ret->ttl = opens ? PUNCH_TTL : 0;
    if (acked)
        received_acknowledged(&p->received);
    return true;
}

/* The second of two probes goes over the relay as well, with the same content. */
static bool send_twin(struct engine *e, vtime_us now, struct peer *p, struct engine_out *ret)
{
    struct peer_context context = {e, p};
    recovery_repeat_oldest(&p->recovery, session_fate, &context);
    if (send_packet(e, now, p, PATH_RELAYED, false, ret))
        return true;
    p->probes = 0;
    return false;
}

bool packet_poll(struct engine *e, vtime_us now, struct peer *p, struct engine_out *ret)
{
    int i = carrier(e, p, now), asked;
    if (i == PATH_RELAYED && p->link == 0 && p->state == PEER_LIVE && outbox_has_more(&p->outbox))
        session_want_link(p, now);
    if (checks_pending(e, p, now, &asked))
        return asked == i ? send_packet(e, now, p, i, true, ret) : send_punch(e, now, p, asked, ret);
    if (i < 0 || !wants_to_send(e, p, i, now))
        return false;
    if (p->probes == 1 && i > PATH_RELAYED && p->link != 0 && !relay_is_refused(e, p))
        return send_twin(e, now, p, ret);
    if (send_packet(e, now, p, i, false, ret))
        return true;
    p->probes = 0; /* nothing to repeat after all */
    return false;
}

vtime_us packet_deadline(const struct engine *e, const struct peer *p, vtime_us now)
{
    int i = carrier(e, p, now);
    if (i < 0)
        return VTIME_NEVER;
    vtime_us at = received_deadline(&p->received), data = VTIME_NEVER;
    bool window = recovery_window_open(&p->recovery);
    if (window && p->due != 0)
        at = vtime_min(at, recovery_pace_at(&p->recovery));
    if (at != VTIME_NEVER && holds(p, i, at))
        at = p->hold_until;
    if (window && ((p->due & (CARRIED_OFFER | CARRIED_AIM)) || has_data(e, p, i)))
        data = recovery_pace_at(&p->recovery);
    return vtime_min(at, data);
}

bool packet_punch(struct engine *e, vtime_us now, struct peer *p, uint16_t socket, const struct addr *to, uint8_t ttl,
                  const struct frame_punch *f, struct engine_out *ret)
{
    uint8_t bytes[PLAIN_BYTES_MAX], ciphertext[CIPHERTEXT_BYTES_MAX];
    struct writer w = {bytes, 0, sizeof bytes};
    const struct frame punch = {.kind = FRAME_PUNCH, .punch = *f};
    put(&w, &punch);
    const struct frame out = sealed(p, now, &w, ciphertext);
    if (!engine_out_datagram(e, ret, socket, to, codec_encode(&out, e->datagram, sizeof e->datagram)))
        return false;
    ret->ttl = ttl;
    return true;
}

bool packet_goodbye(struct engine *e, vtime_us now, struct peer *p, struct engine_out *ret)
{
    int i = carrier(e, p, now);
    if (p->goodbyes == 0 || i < 0)
        return false;
    if (p->goodbyes-- == 1 && !is_signalled(e, p))
        i = PATH_RELAYED; /* the last one the other way, in case the first was wrong */
    uint8_t plain[PLAIN_BYTES_MAX];
    struct writer w = {plain, 0, plain_max(e, p, i)};
    struct sent_packet sent = {0};
    const struct frame leave = {.kind = FRAME_LEAVE, .leave = {.reason = LEAVE_QUIT}};
    put_ack(p, now, &w);
    put_state(e, p, &w, &sent);
    put(&w, &leave);
    return emit(e, now, p, i, &w, &sent, ret);
}
