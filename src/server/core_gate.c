/* Register: who is let in, in which state. docs/protocol.md, "Registering", has the four cases. */
#include "server/core_internal.h"
#include <string.h>

static void send_retry(struct server *s, const struct arrival *in, uint64_t token)
{
    struct frame f = {.kind = FRAME_RETRY, .retry = {.token = token, .cookie_size = COOKIE_BYTES}};
    cookie_make(s, in->now, &in->path.from, f.retry.cookie);
    s->counts[COUNT_RETRIES]++;
    send_reply(s, in, &f);
}

/* `had`: where the party is now, NULL for a new one. A number that was given once is given again. */
static bool read_wish(struct server *s, vtime_us now, const struct frame_register *f, const struct wish *had,
                      struct wish *ret)
{
    *ret = (struct wish){.room = f->room, .prefix_bits = f->prefix_bits, .prefix = f->prefix};
    if (f->form == FORM_NEW) {
        if (had != NULL && had->given) {
            *ret = *had;
            return true;
        }
        *ret = (struct wish){.room = place_free_number(s, now), .given = 1};
        return ret->room != 0;
    }
    ret->given = had != NULL && had->given && had->room == f->room;
    return true;
}

/* ---- a source that is real ---- */

static void present_links(struct server *s, vtime_us now, uint32_t id, const struct relay_token *links, uint8_t count)
{
    links_keep(s, id, links, count);
    for (uint8_t i = 0; i < count; i++)
        link_present(s, now, id, &links[i], false);
}

/* Links come before introductions, so that linked pairs are never introduced anew. */
static void settle(struct server *s, const struct arrival *in, uint32_t id, const struct frame_register *f)
{
    registration_stock(s, id, f->shares, f->share_count);
    send_registered(s, in, id, f->token);
    present_links(s, in->now, id, f->links, f->link_count);
    introduce_registration(s, in->now, id);
}

static void reserve_given(struct server *s, vtime_us now, const struct wish *w)
{
    if (w->given)
        place_reserve(s, now, w->room);
}

/* The stranger's names and introduction live on in a registration. 0: there was no place, and the stranger is
 * forgotten. */
static uint32_t validate(struct server *s, const struct arrival *in, uint32_t stranger, const struct wish *wish,
                         uint8_t *ret_code)
{
    struct party party = stranger_at(s, stranger)->party;
    party.path = in->path;
    uint32_t id = registration_add(s, in->now, &party, wish, ret_code);
    if (id != 0) {
        introductions_rename(s, stranger, id);
        reserve_given(s, in->now, wish);
    }
    return id;
}

/* Case 3, the first time: the echo. */
static void echo(struct server *s, const struct arrival *in, uint32_t stranger, const struct frame_register *f)
{
    struct stranger *u = stranger_at(s, stranger);
    struct wish wish;
    uint8_t code = REFUSED_BUSY;
    uint32_t id = 0;
    if (read_wish(s, in->now, f, &u->wish, &wish))
        id = validate(s, in, stranger, &wish, &code);
    if (id == 0) {
        stranger_remove(s, stranger);
        send_refused(s, in, f->token, 0, code);
        return;
    }
    registration_stock(s, id, f->shares, f->share_count);
    send_registered(s, in, id, f->token);
    signal_deliver_slot(s, id, u->slot, u->slot_size);
    stranger_remove(s, stranger);
    present_links(s, in->now, id, f->links, f->link_count);
    introduce_registration(s, in->now, id);
}

static bool move_place(struct server *s, const struct arrival *in, uint32_t id, const struct wish *wish,
                       uint8_t *ret_code)
{
    struct registration *r = registration_at(s, id);
    uint32_t gives_way = 0;
    if (place_same(&r->wish, wish)) {
        r->wish.given = wish->given;
        return true;
    }
    if (!place_has_room(s, wish, &r->party.path.from, id, &gives_way, ret_code))
        return false;
    place_displace(s, in->now, gives_way);
    place_leave(s, in->now, id);
    place_join(s, in->now, id, wish);
    reserve_given(s, in->now, wish);
    return true;
}

/* Case 3: the refresh; and case 4 after its path has been set. */
static void refresh(struct server *s, const struct arrival *in, uint32_t id, const struct frame_register *f)
{
    struct wish wish;
    uint8_t code = REFUSED_BUSY;
    registration_set_path(s, in->now, id, &in->path);
    registration_refresh(s, in->now, id);
    if (!read_wish(s, in->now, f, &registration_at(s, id)->wish, &wish) || !move_place(s, in, id, &wish, &code)) {
        send_refused(s, in, f->token, 0, code);
        return;
    }
    settle(s, in, id, f);
}

/* Case 2: the cookie proves the source. If a stranger was there, it was this one. A registration that was there is a
 * ghost, unless it has one of these shares: then this Register went out before the answer to the last one was there,
 * and as a new one its shares would be given away once more, and its runs be different ones at their two ends. */
static void admit_new(struct server *s, const struct arrival *in, const struct frame_register *f)
{
    const uint32_t ghost = registration_by_source(s, &in->path.from);
    const uint32_t stranger = stranger_by_source(s, &in->path.from);
    if (stranger != 0) {
        echo(s, in, stranger, f);
        return;
    }
    if (ghost != 0 && registration_has_share(s, ghost, f->shares, f->share_count)) {
        refresh(s, in, ghost, f);
        return;
    }
    struct wish wish;
    struct party party = {.path = in->path};
    uint8_t code = REFUSED_BUSY;
    uint32_t id = 0;
    if (read_wish(s, in->now, f, ghost != 0 ? &registration_at(s, ghost)->wish : NULL, &wish)) {
        party_name(s, &party);
        id = registration_add(s, in->now, &party, &wish, &code);
    }
    if (id == 0) {
        send_refused(s, in, f->token, 0, code);
        return;
    }
    reserve_given(s, in->now, &wish);
    settle(s, in, id, f);
}

/* ---- a source that may be forged: case 1 ---- */

static bool has_place(struct server *s, const struct arrival *in, const struct wish *wish, uint8_t *ret_code)
{
    uint32_t gives_way;
    return place_has_room(s, wish, &in->path.from, registration_by_source(s, &in->path.from), &gives_way, ret_code);
}

static void keep(struct stranger *u, const struct frame_register *f)
{
    u->share_count = f->share_count;
    u->link_count = f->link_count;
    memcpy(u->shares, f->shares, f->share_count * sizeof f->shares[0]);
    memcpy(u->links, f->links, f->link_count * sizeof f->links[0]);
}

static bool is_over_rate(struct server *s, const struct arrival *in)
{
    if (limit_stranger(s, in->now, &in->path.from))
        return false;
    s->counts[COUNT_RETRIES_RATE]++;
    return true;
}

static void greet_stranger(struct server *s, const struct arrival *in, const struct frame_register *f)
{
    const struct table *table = &s->t.strangers;
    uint32_t id = stranger_by_source(s, &in->path.from);
    const bool known = id != 0;
    /* Under load there is no state before the cookie. */
    if (!known && (is_over_rate(s, in) || table->count > table->max / 2 || (id = stranger_add(s, in)) == 0)) {
        send_retry(s, in, f->token);
        return;
    }
    stranger_heard(s, in, id);

    struct stranger *u = stranger_at(s, id);
    uint8_t code = REFUSED_BUSY;
    struct wish wish;
    if (!read_wish(s, in->now, f, known ? &u->wish : NULL, &wish) || !has_place(s, in, &wish, &code)) {
        send_refused_to(s, id, f->token, 0, code);
        return;
    }
    u->wish = wish;
    keep(u, f);
    send_registered(s, in, id, f->token);
    if (f->link_count == 0)
        introduce_stranger(s, in->now, id);
}

/* ---- the gate ---- */

static void hear_party(struct server *s, const struct arrival *in, uint32_t party, const struct frame_register *f)
{
    if (is_stranger(s, party))
        echo(s, in, party, f);
    else
        refresh(s, in, party, f);
}

void gate_register(struct server *s, const struct arrival *in, const struct frame_register *f)
{
    const struct addr *from = &in->path.from;
    const bool padded = in->size == DATAGRAM_BYTES_MAX;
    const bool cookie = f->cookie_size > 0 && cookie_is_valid(s, in->now, from, f->cookie, f->cookie_size);
    const uint32_t party = f->has_secret ? party_by_secret(s, f->secret) : 0;

    const bool is_party = party != 0 && (cookie || addr_equal(&party_at(s, party)->path.from, from));

    if ((is_party || (party == 0 && cookie)) && !limit_control(s, in->now, from))
        send_refused_over_rate(s, in, f->token);
    else if (is_party)
        hear_party(s, in, party, f);
    else if (party != 0)
        send_retry(s, in, f->token);
    else if (cookie)
        admit_new(s, in, f);
    else if (padded)
        greet_stranger(s, in, f);
    else if (f->has_secret)
        send_refused(s, in, f->token, 0, REFUSED_UNKNOWN);
    else
        s->counts[COUNT_DROPPED_UNPADDED]++;
}

/* A stranger that shows its secret at its own source is as good as echoed: nobody else was sent it. Its echo is
 * lost or late; what it registered with counts. */
static uint32_t validate_early(struct server *s, const struct arrival *in, uint32_t stranger)
{
    struct stranger *u = stranger_at(s, stranger);
    uint8_t code;
    uint32_t id = validate(s, in, stranger, &u->wish, &code);
    if (id == 0) {
        uint64_t proof = u->party.proof;
        stranger_remove(s, stranger);
        send_refused(s, in, 0, proof, code);
        return 0;
    }
    registration_stock(s, id, u->shares, u->share_count);
    signal_deliver_slot(s, id, u->slot, u->slot_size);
    present_links(s, in->now, id, u->links, u->link_count);
    stranger_remove(s, stranger);
    introduce_registration(s, in->now, id);
    return id;
}

uint32_t gate_authenticate(struct server *s, const struct arrival *in, const uint8_t secret[static SECRET_BYTES],
                           bool answer_unknown)
{
    uint32_t party = party_by_secret(s, secret);
    if (party == 0) {
        s->counts[COUNT_DROPPED_SECRET]++;
        if (answer_unknown)
            send_refused(s, in, 0, seal_proof(secret), REFUSED_UNKNOWN);
        return 0;
    }
    struct party *p = party_at(s, party);
    if (!addr_equal(&p->path.from, &in->path.from)) {
        s->counts[COUNT_DROPPED_SOURCE]++;
        return 0;
    }
    if (is_stranger(s, party))
        return validate_early(s, in, party);
    p->path = in->path;
    return party;
}
