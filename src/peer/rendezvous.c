#include "peer/internal.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define UNREACHABLE_US VTIME_S(2)  /* say so when the first Register has had no answer so long: four were sent */
#define LOST_US        VTIME_S(5)  /* the same for a server that did answer: ten were sent */
#define RETRY_BUSY_US  VTIME_S(10) /* after a refusal that names no time */
#define REFILL_WAIT_US VTIME_S(1)  /* new shares go with a refresh this soon: later than a whole introduction */

enum {
    ADDR_TRIES = 3,  /* unanswered Registers before the server's next address */
    AT_ONCE_MAX = 8, /* Registers in a row without a pause; Retry, the echo and more bits take four */
};

void rendezvous_init(struct engine *e, vtime_us now)
{
    e->rv.register_at = now;
    e->rv.gap_us = REGISTER_INTERVAL_US;
    e->rv.unanswered_since = VTIME_NEVER;
}

const struct addr *rendezvous_addr(const struct engine *e)
{
    return &e->rv.addrs[e->rv.current];
}

uint16_t rendezvous_socket(const struct engine *e)
{
    return rendezvous_addr(e)->family == ADDR_V6 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4;
}

bool rendezvous_from_server(const struct engine *e, const struct addr *from)
{
    return e->rv.addr_count > 0 && addr_equal(from, rendezvous_addr(e));
}

/* Nothing that we asked is waiting for long. */
bool rendezvous_answers(const struct engine *e, vtime_us now)
{
    return e->rv.registered && (e->rv.unanswered_since == VTIME_NEVER || now < e->rv.unanswered_since + VTIME_S(3));
}

static void forget_registration(struct engine *e)
{
    e->rv.registered = e->rv.has_secret = e->rv.echoed = false;
    sodium_memzero(e->rv.secret, sizeof e->rv.secret);
    session_unlink_all(e);
    again_forget(e);
}

void rendezvous_addrs(struct engine *e, vtime_us now, const struct addr *addrs, size_t count)
{
    struct rendezvous *rv = &e->rv;
    if (count > ENGINE_SERVER_ADDRS_MAX)
        count = ENGINE_SERVER_ADDRS_MAX;
    struct addr old = rv->addr_count > 0 ? *rendezvous_addr(e) : (struct addr){0};
    memcpy(rv->addrs, addrs, count * sizeof addrs[0]);
    rv->addr_count = count;
    rv->current = 0;
    rv->trouble[0] = '\0';
    for (size_t i = 0; i < count; i++)
        if (addr_equal(&old, &addrs[i])) {
            rv->current = i;
            return;
        }
    forget_registration(e);
    rv->cookie_size = 0;
    rv->register_at = now;
}

void rendezvous_soon(struct engine *e, vtime_us at)
{
    e->rv.register_at = vtime_min(e->rv.register_at, at);
}

/* The request that this token belongs to, if it was one of the last ones and sent with the secret that we have now
 * (or, having none, without): what an older one is told is no longer true. */
static struct request *request_of(struct rendezvous *rv, uint64_t token)
{
    uint32_t secret = rv->has_secret ? rv->secret_count : 0;
    for (unsigned i = 0; i < REQUESTS_MAX; i++)
        if (token != 0 && rv->requests[i].token == token && rv->requests[i].secret == secret)
            return &rv->requests[i];
    return NULL;
}

/* A server that answers each Register so that another is due (or a NAT that gives every packet another port, which
 * looks the same) gets a few at once, then no more than one in half a second. */
static void register_at_once(struct rendezvous *rv, vtime_us now)
{
    rv->register_at = rv->at_once < AT_ONCE_MAX ? now : now + REGISTER_INTERVAL_US;
    if (rv->at_once < AT_ONCE_MAX)
        rv->at_once++;
}

static void answered(struct engine *e, vtime_us now)
{
    struct rendezvous *rv = &e->rv;
    if (rv->unanswered_since != VTIME_NEVER && now > rv->unanswered_since + VTIME_S(3))
        rv->back_at = now; /* silences of peers count anew from here */
    rv->unanswered_since = VTIME_NEVER;
    rv->unanswered = 0;
    rv->gap_us = REGISTER_INTERVAL_US;
}

static bool room_given(struct engine *e, uint32_t room, vtime_us now)
{
    char words[KEYWORD_WORDS_TEXT_MAX], text[KEYWORD_WORDS_TEXT_MAX + 12];
    keyword_random_words(&e->rng, words);
    int size = snprintf(text, sizeof text, "%u-%s", room, words);
    if (room == 0 || room > ROOM_NUMBER_MAX || keyword_parse(&e->keyword, text, (size_t)size) != KEYWORD_OK)
        return false;
    stock_init(&e->stock, &e->keyword, &e->rng, now);
    events_note(e, EVENT_KEYWORD, NULL, text);
    sodium_memzero(words, sizeof words);
    sodium_memzero(text, sizeof text);
    return true;
}

static void tell_registered(struct engine *e, const struct addr *observed)
{
    struct rendezvous *rv = &e->rv;
    if (!rv->ever_registered || rv->lost_told || !addr_equal(observed, &rv->observed)) {
        struct queued_event *q = events_add(e, EVENT_REGISTERED);
        q->event.addr = *observed;
    }
    bool moved = !addr_equal(observed, &rv->observed);
    rv->observed = *observed;
    rv->ever_registered = true;
    rv->lost_told = false;
    rv->refusal_told = 0;
    if (moved)
        checks_own_offer(e);
}

void rendezvous_registered(struct engine *e, vtime_us now, const struct frame_registered *f)
{
    struct rendezvous *rv = &e->rv;
    const struct request *request = request_of(rv, f->token);
    if (request == NULL) {
        e->count.server_frames_refused++;
        return;
    }
    struct addr observed = addr_mask(&f->observed, f->token);
    if (!addr_is_sendable(&observed))
        return;
    if (e->keyword.form == KEYWORD_NEW && !room_given(e, f->room, now))
        return;
    answered(e, now);
    uint64_t sample = now - request->sent_at;
    rv->rtt_us = sample < VTIME_S(10) ? (uint32_t)sample : (uint32_t)VTIME_S(10);
    bool new_secret = !rv->has_secret || memcmp(rv->secret, f->secret, SECRET_BYTES) != 0;
    memcpy(rv->secret, f->secret, SECRET_BYTES);
    memcpy(rv->cookie, f->cookie, f->cookie_size);
    rv->cookie_size = f->cookie_size;
    rv->proof = seal_proof(rv->secret);
    rv->has_secret = rv->registered = true;
    bool moved = rv->ever_registered && !addr_ip_equal(&observed, &rv->observed);
    tell_registered(e, &observed);
    classify_registered(e, now, f, moved);

    bool more_bits = e->keyword.form == KEYWORD_OPEN && f->bits_wanted > rv->bits;
    if (more_bits)
        rv->bits = f->bits_wanted > PREFIX_BITS_MAX ? PREFIX_BITS_MAX : f->bits_wanted;
    if (new_secret)
        rv->secret_count++;
    if (new_secret || !rv->echoed || more_bits) {
        rv->echoed = false;
        register_at_once(rv, now); /* the echo */
    } else {
        rv->at_once = 0;
        rv->register_at = now + REFRESH_MIN_US + rng_below(&e->rng, (uint32_t)REFRESH_JITTER_US);
    }
}

void rendezvous_retry(struct engine *e, vtime_us now, const struct frame_retry *f)
{
    struct request *request = request_of(&e->rv, f->token);
    if (request == NULL || now > request->sent_at + VTIME_S(10)) {
        e->count.server_frames_refused++;
        return;
    }
    request->token = 0; /* each request buys one repetition */
    memcpy(e->rv.cookie, f->cookie, f->cookie_size);
    e->rv.cookie_size = f->cookie_size;
    register_at_once(&e->rv, now);
}

/* Once, however often it is repeated, until the server takes us in or gives another reason. */
static void refuse_text(struct engine *e, uint8_t code)
{
    if (code == e->rv.refusal_told)
        return;
    e->rv.refusal_told = code;
    if (code == REFUSED_ROOM_FULL)
        events_note(e, EVENT_ERROR, "room-full", "this room is full; take another with --new, or try again later");
    else if (code == REFUSED_CROWDED)
        events_note(e, EVENT_ERROR, "too-many-strangers",
                    "too many people use keywords like this one; take a numbered room with --new");
    else
        events_note(e, EVENT_WARNING, "server-busy", "the server is busy; trying again");
}

void rendezvous_refused(struct engine *e, vtime_us now, const struct frame_refused *f)
{
    struct rendezvous *rv = &e->rv;
    struct request *request = request_of(rv, f->token);
    if (request == NULL && !(rv->has_secret && f->proof == rv->proof)) {
        e->count.server_frames_refused++;
        return;
    }
    if (request != NULL)
        request->token = 0; /* it counts once */
    answered(e, now);
    if (f->code == REFUSED_UNKNOWN) {
        if (request != NULL && rv->has_secret) { /* our secret is not known: a server that has been restarted */
            forget_registration(e);
            rv->cookie_size = 0;
            register_at_once(rv, now);
        } else if (request == NULL &&
                   now >= rv->refreshed_at + VTIME_S(1)) { /* a link, or the secret: the refresh will tell */
            session_unlink_all(e);
            rv->register_at = now;
        }
        return;
    }
    refuse_text(e, f->code);
    rv->register_at = now + (f->retry_after_s > 0 ? VTIME_S(f->retry_after_s) : RETRY_BUSY_US);
}

void rendezvous_server_leaves(struct engine *e, vtime_us now)
{
    struct rendezvous *rv = &e->rv;
    forget_registration(e);
    rv->cookie_size = 0;
    rv->lost_told = true;
    events_note(e, EVENT_SERVER_LOST, NULL, "the server is shutting down");
    rv->unanswered_since = now;
    rv->register_at = now + VTIME_MS(500) + rng_below(&e->rng, 1500000); /* not all clients at once */
}

static void fill_links(const struct engine *e, struct frame_register *f)
{
    for (unsigned i = 0; i < PEER_SLOTS && f->link_count < LINKS_MAX; i++) {
        const struct peer *p = &e->peers[i];
        if (p->state != PEER_LIVE)
            continue;
        struct relay_token *t = &f->links[f->link_count++];
        memcpy(t->token, p->seal.relay_token, sizeof t->token);
        t->side = p->seal.side;
        t->may_tell = e->config.relay != RELAY_ONLY;
    }
    again_list(e, f);
}

static void fill_register(struct engine *e, struct frame_register *f)
{
    struct rendezvous *rv = &e->rv;
    f->token = rng_token(&e->rng);
    f->has_secret = rv->has_secret;
    memcpy(f->secret, rv->secret, SECRET_BYTES);
    f->cookie_size = rv->cookie_size;
    memcpy(f->cookie, rv->cookie, rv->cookie_size);
    f->form = (uint8_t)e->keyword.form;
    f->room = e->keyword.room;
    if (e->keyword.form == KEYWORD_OPEN) {
        f->prefix_bits = rv->bits;
        f->prefix = keyword_prefix(&e->keyword, rv->bits);
    }
    fill_links(e, f);
    bool back_again = f->link_count > 0 && !rv->has_secret; /* shares follow with the echo */
    if (!back_again)
        for (unsigned i = 0; i < e->stock.count; i++)
            f->shares[f->share_count++] = e->stock.shares[i].share;
    f->pad = !rv->has_secret;
}

static void schedule_repeat(struct engine *e, vtime_us now)
{
    struct rendezvous *rv = &e->rv;
    if (rv->unanswered_since == VTIME_NEVER)
        rv->unanswered_since = now;
    rv->unanswered++;
    vtime_us gap = REGISTER_INTERVAL_US, most = gap + gap / 5;
    if (now >= rv->unanswered_since + REGISTER_FAST_US) {
        rv->gap_us = vtime_min(2 * rv->gap_us, REGISTER_GAP_MAX_US);
        most = gap = rv->gap_us; /* no more than that, so that a server that comes back is found in time */
    }
    vtime_us least = gap - gap / 5;
    rv->register_at = now + least + rng_below(&e->rng, (uint32_t)(most - least) + 1);
}

static bool can_send_to(const struct engine *e, const struct addr *a)
{
    return e->sockets[a->family == ADDR_V6 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4].open;
}

/* The server has several addresses, and this one does not answer. One for which there is no socket would be no better,
 * and the registration, for which it is given up, may well be alive: perhaps it is only us who hear nothing. */
static void next_address(struct engine *e)
{
    struct rendezvous *rv = &e->rv;
    size_t next = rv->current;
    if (rv->unanswered < (rv->registered ? 4 * ADDR_TRIES : ADDR_TRIES))
        return;
    do
        next = (next + 1) % rv->addr_count;
    while (next != rv->current && !can_send_to(e, &rv->addrs[next]));
    if (next == rv->current)
        return;
    rv->unanswered = 0;
    forget_registration(e);
    rv->current = next;
    rv->cookie_size = 0;
}

static void tell_trouble(struct engine *e, vtime_us now)
{
    struct rendezvous *rv = &e->rv;
    if (rv->lost_told || rv->unanswered_since == VTIME_NEVER)
        return;
    if (now < rv->unanswered_since + (rv->ever_registered ? LOST_US : UNREACHABLE_US))
        return;
    rv->lost_told = true;
    char text[EVENT_TEXT_MAX], at[ADDR_TEXT_MAX];
    const char *why = rv->trouble[0] != '\0' ? rv->trouble : "no answer";
    snprintf(text, sizeof text, "%s from the server at %s; trying on", why, addr_format(rendezvous_addr(e), at));
    if (rv->ever_registered)
        events_note(e, EVENT_SERVER_LOST, NULL, text);
    else
        events_note(e, EVENT_ERROR, "server-unreachable", text);
}

static bool any_socket_open(const struct engine *e)
{
    return e->sockets[ENGINE_SOCKET_V4].open || e->sockets[ENGINE_SOCKET_V6].open;
}

bool rendezvous_leave(struct engine *e, struct engine_out *ret)
{
    struct frame f = {.kind = FRAME_LEAVE, .leave = {.has_secret = true, .reason = LEAVE_QUIT}};
    memcpy(f.leave.secret, e->rv.secret, SECRET_BYTES);
    size_t size = codec_encode(&f, e->datagram, sizeof e->datagram);
    return engine_out_datagram(e, ret, rendezvous_socket(e), rendezvous_addr(e), size);
}

bool rendezvous_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    struct rendezvous *rv = &e->rv;
    if (rv->addr_count == 0 || !any_socket_open(e) || e->phase != PHASE_RUNNING)
        return false;
    if (stock_refill(&e->stock, &e->rng, now))
        rendezvous_soon(e, now + REFILL_WAIT_US);
    tell_trouble(e, now);
    if (now < rv->register_at)
        return false;
    next_address(e);
    if (!can_send_to(e, rendezvous_addr(e))) {
        rv->register_at = now + REGISTER_INTERVAL_US;
        rv->unanswered++;
        if (rv->unanswered_since == VTIME_NEVER)
            rv->unanswered_since = now;
        return false;
    }
    struct frame f = {.kind = FRAME_REGISTER};
    fill_register(e, &f.reg);
    rv->requests[rv->request_next++ % REQUESTS_MAX] =
        (struct request){.token = f.reg.token, .sent_at = now, .secret = rv->has_secret ? rv->secret_count : 0};
    if (rv->has_secret)
        rv->echoed = true;
    rv->refreshed_at = now;
    e->count.registers++;
    schedule_repeat(e, now);
    size_t size = codec_encode(&f, e->datagram, sizeof e->datagram);
    return engine_out_datagram(e, ret, rendezvous_socket(e), rendezvous_addr(e), size);
}

vtime_us rendezvous_deadline(const struct engine *e)
{
    const struct rendezvous *rv = &e->rv;
    if (rv->addr_count == 0 || !any_socket_open(e) || e->phase != PHASE_RUNNING)
        return VTIME_NEVER;
    vtime_us at = vtime_min(rv->register_at, stock_deadline(&e->stock));
    if (!rv->lost_told && rv->unanswered_since != VTIME_NEVER)
        at = vtime_min(at, rv->unanswered_since + (rv->ever_registered ? LOST_US : UNREACHABLE_US));
    return at;
}
