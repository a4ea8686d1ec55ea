/* Letters: to whom they go, what is told of them, and when all is done (docs/protocol.md s8). */
#include "peer/internal.h"
#include "wire/text.h"
#include <stdio.h>
#include <string.h>

static uint32_t bit(const struct peer *p)
{
    return 1U << p->slot;
}

/* ---- taking ---- */

static struct peer *find_live(struct engine *e, uint32_t number)
{
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        if (e->peers[i].state == PEER_LIVE && e->peers[i].number == number)
            return &e->peers[i];
    return NULL;
}

static void fail(struct engine *e, uint64_t id, uint32_t peer, const char *reason)
{
    struct queued_event *q = events_add(e, EVENT_FAILED);
    q->event.id = id;
    q->event.peer = peer;
    snprintf(q->text, sizeof q->text, "%s", reason);
}

static void address(struct engine *e, struct peer *p, uint64_t number)
{
    outbox_add(&p->outbox, &e->mailbox, number);
    mailbox_letter(&e->mailbox, number)->waiting |= bit(p);
}

static bool is_acceptable(struct engine *e, const struct engine_command *c)
{
    char text[EVENT_TEXT_MAX];
    if (c->id > MESSAGE_ID_MAX || c->text_size > TEXT_BYTES_MAX || !text_is_valid(c->text, c->text_size)) {
        events_note(e, EVENT_ERROR, "bad-command",
                    "a message is UTF-8 without NUL, at most 16384 bytes; its id is 1 to 2^53-1");
        return false;
    }
    if (c->id != 0 && mailbox_id_in_use(&e->mailbox, c->id)) {
        snprintf(text, sizeof text, "id %llu is in use by a message that is not yet delivered; take another",
                 (unsigned long long)c->id);
        events_note(e, EVENT_ERROR, "bad-command", text);
        return false;
    }
    if (e->finishing || e->phase != PHASE_RUNNING) {
        fail(e, c->id, 0, "the end of input came before it");
        return false;
    }
    if (!mailbox_has_room(&e->mailbox, c->text_size)) {
        fail(e, c->id, 0, "too many messages wait to be delivered; try again later");
        return false;
    }
    return true;
}

void delivery_send(struct engine *e, vtime_us now, const struct engine_command *c)
{
    (void)now;
    if (!is_acceptable(e, c))
        return;
    struct peer *only = c->to != 0 ? find_live(e, c->to) : NULL;
    if (c->to != 0 && only == NULL) {
        fail(e, c->id, c->to, "no such peer");
        return;
    }
    bool open = only == NULL && e->live == 0;
    uint64_t number = mailbox_add(&e->mailbox, c->id, c->text, c->text_size, open);
    struct queued_event *q = events_add(e, EVENT_SENT);
    q->event.id = mailbox_letter(&e->mailbox, number)->id;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        struct peer *p = &e->peers[i];
        if (p->state != (open ? PEER_RUN : PEER_LIVE) || (only != NULL && p != only))
            continue;
        address(e, p, number);
        if (!open)
            q->event.peers[q->event.peer_count++] = p->number;
    }
    e->count.messages_out++;
}

/* A run begins: what was said to nobody yet goes into its first packet. */
void delivery_open_letters(struct engine *e, struct peer *p)
{
    for (uint64_t n = e->mailbox.first; n < e->mailbox.next; n++)
        if (mailbox_letter(&e->mailbox, n)->open)
            address(e, p, n);
}

static bool any_open(struct engine *e)
{
    for (uint64_t n = e->mailbox.first; n < e->mailbox.next; n++)
        if (mailbox_letter(&e->mailbox, n)->open)
            return true;
    return false;
}

void delivery_confirmed(struct engine *e, vtime_us now, struct peer *p)
{
    (void)p;
    e->ever_peer = true;
    if (!e->lingering && any_open(e)) {
        e->lingering = true;
        e->first_peer_at = now;
    }
}

/* ---- telling ---- */

/* Is anybody there for it, or was? Else it was said when the first had left again, and waits for the next. */
static bool is_for_somebody(const struct engine *e, const struct letter *l)
{
    bool there = l->told_count > 0;
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        there = there || (e->peers[i].state == PEER_LIVE && (l->waiting & bit(&e->peers[i])));
    return there;
}

static bool tell_closed_letter(struct engine *e, vtime_us now)
{
    if (!e->lingering || now < e->first_peer_at + LINGER_US)
        return false;
    for (uint64_t n = e->mailbox.first; n < e->mailbox.next; n++) {
        struct letter *l = mailbox_letter(&e->mailbox, n);
        if (!l->open || !is_for_somebody(e, l))
            continue;
        l->open = false;
        struct queued_event *q = events_add(e, EVENT_SENT);
        q->event.id = l->id;
        for (unsigned i = 0; i < l->told_count; i++)
            q->event.peers[q->event.peer_count++] = l->told[i];
        for (unsigned i = 0; i < PEER_SLOTS && q->event.peer_count < PEERS_MAX; i++) {
            const struct peer *p = &e->peers[i];
            if (p->state == PEER_LIVE && (l->waiting & bit(p)))
                q->event.peers[q->event.peer_count++] = p->number;
        }
        mailbox_collect(&e->mailbox);
        return true;
    }
    e->lingering = false;
    return false;
}

/* The next message of p's stream into e->text. Those that are thrown away wait until what was shown before is written:
 * Receipt counts without gaps. */
/* What a session that is over has shown counts as written in the next one: but not before the program has written it.
 */
static bool waits_for_earlier(const struct engine *e, const struct peer *p)
{
    bool any = false;
    for (unsigned i = 0; i < GHOSTS_MAX; i++)
        any = any || e->unwritten[i].peer != 0;
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        any = any || (e->peers[i].state == PEER_LEAVING && e->peers[i].inbox.written < e->peers[i].inbox.messages);
    return any && p->skip.count > 0 && p->inbox.written == p->inbox.messages;
}

static bool take_message(struct engine *e, struct peer *p, struct inbox_message *ret)
{
    bool waits = (p->ignored && p->inbox.written < p->inbox.messages) || waits_for_earlier(e, p);
    enum inbox_next next = waits ? INBOX_NOTHING : inbox_peek(&p->inbox, ret);
    if (next == INBOX_MESSAGE)
        next = inbox_take(&p->inbox, ret, e->text);
    if (next == INBOX_BROKEN && p->state == PEER_LIVE)
        session_break(e, p);
    return next == INBOX_MESSAGE;
}

static bool tell_message(struct engine *e, struct peer *p, struct engine_out *ret)
{
    struct inbox_message m;
    bool skipped;
    do {
        if (!take_message(e, p, &m))
            return false;
        /* Those that an earlier try has shown stand at the beginning of the stream. And who is ignored must not be held
         * up by it, nor learn of it: what he says counts as written. */
        bool known = shown_contains(&p->skip, m.id, e->text, m.size) && p->inbox.written + 1 == m.number;
        skipped = known || p->ignored;
        if (skipped) {
            inbox_written(&p->inbox, m.number);
            p->due |= CARRIED_RECEIPT;
        }
        if (!p->envelope_acked || e->now < p->since + 2 * RUN_US) /* another run may take its place */
            shown_add(&p->shown, m.id, e->text, m.size);
    } while (skipped);
    e->text[m.size] = '\0';
    e->count.messages_in++;
    *ret = (struct engine_out){.kind = OUT_EVENT};
    ret->event = (struct engine_event){.kind = EVENT_MESSAGE,
                                       .peer = p->number,
                                       .id = m.id,
                                       .number = m.number,
                                       .text = (const char *)e->text,
                                       .text_size = m.size,
                                       .rtt_us = RTT_UNKNOWN,
                                       .name = p->name};
    return true;
}

/* The next letter of p's stream has been written out by p, or never will be. */
static bool tell_fate(struct engine *e, struct peer *p)
{
    bool written = p->outbox.first < p->their_receipt;
    if (p->outbox.first == p->outbox.next || (!written && p->state != PEER_LEAVING))
        return false;
    struct letter *l = mailbox_letter(&e->mailbox, p->outbox.letter[p->outbox.first % MAILBOX_MESSAGES]);
    struct queued_event *q = events_add(e, written ? EVENT_DELIVERED : EVENT_FAILED);
    q->event.id = l->id;
    q->event.peer = p->number;
    if (written) {
        l->delivered = true;
    } else {
        l->failed = true;
        snprintf(q->text, sizeof q->text, "%s",
                 strcmp(p->left_reason, "quit") == 0 ? "the peer left" : "the peer is gone");
    }
    l->waiting &= ~bit(p);
    if (l->open && l->told_count < PEERS_MAX)
        l->told[l->told_count++] = p->number;
    outbox_pop(&p->outbox);
    mailbox_collect(&e->mailbox);
    return true;
}

static bool tell_peer(struct engine *e, struct peer *p, struct engine_out *ret)
{
    if (p->state != PEER_LIVE && p->state != PEER_LEAVING)
        return false;
    if (tell_message(e, p, ret))
        return true;
    if (tell_fate(e, p))
        return events_poll(e, ret);
    if (p->state != PEER_LEAVING)
        return false;
    events_peer(e, EVENT_PEER_LEFT, p);
    session_free(e, p);
    return events_poll(e, ret);
}

bool delivery_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    if (tell_closed_letter(e, now))
        return events_poll(e, ret);
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        if (tell_peer(e, &e->peers[i], ret))
            return true;
    return false;
}

/* ---- finishing ---- */

static uint32_t live_bits(const struct engine *e)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        if (e->peers[i].state == PEER_LIVE)
            bits |= bit(&e->peers[i]);
    return bits;
}

static bool letters_pending(struct engine *e)
{
    uint32_t live = live_bits(e);
    for (uint64_t n = e->mailbox.first; n < e->mailbox.next; n++) {
        const struct letter *l = mailbox_letter(&e->mailbox, n);
        if (l->open || (l->waiting & live))
            return true;
    }
    return false;
}

/* Do we still owe somebody a receipt that has not arrived? */
static bool receipts_owed(const struct engine *e, vtime_us *ret_longest)
{
    bool owed = false;
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        const struct peer *p = &e->peers[i];
        if (p->state != PEER_LIVE)
            continue;
        if (p->inbox.written < p->inbox.messages || (p->due & CARRIED_RECEIPT) ||
            recovery_carries(&p->recovery, CARRIED_RECEIPT)) {
            owed = true;
            vtime_us three = 3 * recovery_pto(&p->recovery);
            *ret_longest = *ret_longest > three ? *ret_longest : three;
        }
    }
    return owed;
}

static void finish(struct engine *e, vtime_us now)
{
    if (letters_pending(e)) {
        e->owed_until = VTIME_NEVER;
        if (e->config.wait_us != 0 && now >= e->finish_since + e->config.wait_us) {
            e->waited_out = true;
            delivery_end(e, now);
        }
        return;
    }
    vtime_us longest = 0;
    bool owed = receipts_owed(e, &longest);
    if (e->owed_until == VTIME_NEVER)
        e->owed_until = now + longest;
    if (!owed || now >= e->owed_until)
        delivery_end(e, now);
}

void delivery_timers(struct engine *e, vtime_us now)
{
    if (e->phase != PHASE_RUNNING)
        return;
    if (e->finishing)
        finish(e, now);
    if (e->phase == PHASE_RUNNING && e->live == 0 && e->config.wait_us != 0 &&
        now >= e->alone_since + e->config.wait_us) {
        e->waited_out = true;
        delivery_end(e, now);
    }
}

vtime_us delivery_deadline(const struct engine *e)
{
    vtime_us at = e->lingering ? e->first_peer_at + LINGER_US : VTIME_NEVER;
    if (e->phase != PHASE_RUNNING)
        return at;
    if (e->live == 0 && e->config.wait_us != 0)
        at = vtime_min(at, e->alone_since + e->config.wait_us);
    if (e->finishing && e->owed_until == VTIME_NEVER && e->config.wait_us != 0)
        at = vtime_min(at, e->finish_since + e->config.wait_us);
    return e->finishing ? vtime_min(at, e->owed_until) : at;
}

void delivery_end(struct engine *e, vtime_us now)
{
    (void)now;
    if (e->phase != PHASE_RUNNING)
        return;
    e->phase = PHASE_GOODBYE;
    e->rv.leave_due = e->rv.has_secret;
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        if (e->peers[i].state == PEER_LIVE)
            e->peers[i].goodbyes = 2;
}

static const char *undelivered_reason(const struct engine *e)
{
    if (!e->waited_out)
        return "quit before it was delivered";
    return e->ever_peer ? "not delivered in the time of --wait" : "nobody came in the time of --wait";
}

/* Tells of one undelivered letter, or one peer of it. False: none is left. */
static bool tell_undelivered(struct engine *e)
{
    struct mailbox *m = &e->mailbox;
    while (m->first < m->next) {
        struct letter *l = mailbox_letter(m, m->first);
        uint64_t id = l->id;
        for (unsigned i = 0; i < PEER_SLOTS; i++) {
            const struct peer *p = &e->peers[i];
            if (!(l->waiting & bit(p)) || p->state != PEER_LIVE)
                continue;
            l->waiting &= ~bit(p);
            if (l->delivered)
                e->kept_from_somebody++;
            l->open = false;
            l->failed = true;
            fail(e, id, p->number, undelivered_reason(e));
            return true;
        }
        bool nobody = l->open && !l->delivered && !l->failed;
        l->open = false;
        l->waiting = 0;
        mailbox_collect(m);
        if (nobody) {
            fail(e, id, 0, undelivered_reason(e));
            return true;
        }
    }
    return false;
}

bool delivery_goodbye_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    if (e->phase != PHASE_GOODBYE)
        return false;
    if (tell_undelivered(e))
        return events_poll(e, ret);
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        if (e->peers[i].state == PEER_LIVE && packet_goodbye(e, now, &e->peers[i], ret))
            return true;
    if (e->rv.leave_due) {
        e->rv.leave_due = false;
        return rendezvous_leave(e, ret);
    }
    bool failed = e->mailbox.undelivered > 0 || e->kept_from_somebody > 0 || (e->waited_out && !e->ever_peer);
    events_add(e, EVENT_END)->event.status = failed ? 1 : 0;
    e->phase = PHASE_ENDED;
    engine_wipe(e);
    return events_poll(e, ret);
}
