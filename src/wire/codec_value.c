#include "wire/codec_value.h"
#include "wire/text.h"
#include <string.h>

enum { DELAY_US_MAX = 10000000, SECONDS_MAX = 3600 };

static bool copy_exact(uint8_t *ret, size_t size, const ProtobufCBinaryData *from)
{
    if (from->len != size)
        return false;
    memcpy(ret, from->data, size);
    return true;
}

static bool copy_secret(bool *ret_has, uint8_t ret[static SECRET_BYTES], const ProtobufCBinaryData *from)
{
    *ret_has = from->len > 0;
    return from->len == 0 || copy_exact(ret, SECRET_BYTES, from);
}

/* The sender's secret towards the server, a proof from it: one of them, never both. */
static bool copy_secret_or_proof(bool *ret_has, uint8_t ret[static SECRET_BYTES], const ProtobufCBinaryData *from,
                                 uint64_t proof)
{
    return copy_secret(ret_has, ret, from) && *ret_has == (proof == 0);
}

static bool copy_cookie(uint8_t *ret_size, uint8_t ret[static COOKIE_BYTES_MAX], const ProtobufCBinaryData *from)
{
    *ret_size = (uint8_t)from->len;
    return from->len <= COOKIE_BYTES_MAX && (from->len == 0 || copy_exact(ret, from->len, from));
}

static bool span_fits(struct bytes span, size_t min, size_t max, struct bytes *ret)
{
    *ret = span;
    return span.size >= min && span.size <= max;
}

/* Masked: any bytes, any port. addr_from_ip would take some masked addresses for v4-mapped ones. */
static bool copy_address_masked(struct addr *ret, const P2p__V1__Address *from)
{
    if ((from->ip.len != 4 && from->ip.len != 16) || from->port > UINT16_MAX)
        return false;
    ret->family = from->ip.len == 4 ? ADDR_V4 : ADDR_V6;
    ret->port = (uint16_t)from->port;
    memcpy(ret->ip, from->ip.data, from->ip.len);
    return true;
}

static bool copy_address(struct addr *ret, const P2p__V1__Address *from)
{
    if (from->port < 1 || from->port > UINT16_MAX ||
        !addr_from_ip(ret, from->ip.data, from->ip.len, (uint16_t)from->port))
        return false;
    return addr_ip_size(ret) == from->ip.len; /* else it was v4-mapped */
}

static bool copy_share(struct share_public *ret, const P2p__V1__Share *from)
{
    return copy_exact(ret->point, sizeof ret->point, &from->point) &&
           copy_exact(ret->commitment, sizeof ret->commitment, &from->commitment);
}

static bool copy_relay_token(struct relay_token *ret, const P2p__V1__RelayToken *from)
{
    ret->side = (uint8_t)from->side;
    ret->may_tell = from->may_tell == 1;
    return from->side <= 1 && from->may_tell <= 1 && copy_exact(ret->token, sizeof ret->token, &from->token);
}

/* ---- client and server ---- */

static bool form_fits(const P2p__V1__Register *m)
{
    switch ((int)m->form) {
    case FORM_ROOM:
        return m->room >= 1 && m->room <= ROOM_NUMBER_MAX && m->prefix_bits == 0 && m->prefix == 0;
    case FORM_OPEN:
        return m->room == 0 && m->prefix_bits <= PREFIX_BITS_MAX && m->prefix < 1U << m->prefix_bits;
    case FORM_NEW:
        return m->room == 0 && m->prefix_bits == 0 && m->prefix == 0 && m->n_shares == 0;
    default:
        return false;
    }
}

static bool value_register(const P2p__V1__Register *m, struct frame_register *ret)
{
    if (m->token == 0 || !form_fits(m) || !copy_secret(&ret->has_secret, ret->secret, &m->secret) ||
        !copy_cookie(&ret->cookie_size, ret->cookie, &m->cookie))
        return false;
    if (m->n_shares > 0 && m->n_links > 0 && !ret->has_secret)
        return false;
    ret->token = m->token;
    ret->form = (uint8_t)m->form;
    ret->room = m->room;
    ret->prefix_bits = (uint8_t)m->prefix_bits;
    ret->prefix = (uint8_t)m->prefix;
    ret->share_count = (uint8_t)m->n_shares;
    for (size_t i = 0; i < m->n_shares; i++) {
        if (!copy_share(&ret->shares[i], m->shares[i]))
            return false;
    }
    ret->link_count = (uint8_t)m->n_links;
    for (size_t i = 0; i < m->n_links; i++) {
        if (!copy_relay_token(&ret->links[i], m->links[i]))
            return false;
    }
    return true;
}

static bool copy_alternate(struct addr *ret, const P2p__V1__Address *from)
{
    if (from == NULL)
        return true;
    if (from->ip.len > 0)
        return copy_address(ret, from);
    ret->port = (uint16_t)from->port;
    return from->port >= 1 && from->port <= UINT16_MAX;
}

static bool value_registered(const P2p__V1__Registered *m, struct frame_registered *ret)
{
    if (m->handle == 0 || m->room > ROOM_NUMBER_MAX || m->lease_s < 1 || m->lease_s > SECONDS_MAX)
        return false;
    ret->token = m->token;
    ret->handle = m->handle;
    ret->room = m->room;
    ret->lease_s = m->lease_s;
    ret->bits_wanted = m->bits_wanted > PREFIX_BITS_MAX ? PREFIX_BITS_MAX : (uint8_t)m->bits_wanted;
    return copy_exact(ret->secret, SECRET_BYTES, &m->secret) && m->cookie.len >= 1 &&
           copy_cookie(&ret->cookie_size, ret->cookie, &m->cookie) && m->observed != NULL &&
           copy_address_masked(&ret->observed, m->observed) && copy_alternate(&ret->alternate, m->alternate);
}

static bool value_retry(const P2p__V1__Retry *m, struct frame_retry *ret)
{
    ret->token = m->token;
    return m->cookie.len >= 1 && copy_cookie(&ret->cookie_size, ret->cookie, &m->cookie);
}

static bool value_refused(const P2p__V1__Refused *m, struct frame_refused *ret)
{
    int code = (int)m->code;

    ret->token = m->token;
    ret->proof = m->proof;
    ret->code = code >= REFUSED_UNKNOWN && code <= REFUSED_CROWDED ? (uint8_t)code : REFUSED_BUSY;
    ret->retry_after_s = m->retry_after_s;
    return m->retry_after_s <= SECONDS_MAX;
}

static bool value_probe(const P2p__V1__Probe *m, struct frame_probe *ret)
{
    int from = (int)m->from;

    ret->token = m->token;
    ret->from = (uint8_t)from;
    return m->token != 0 && from >= PROBE_FROM_SAME && from <= PROBE_FROM_OTHER_ADDRESS;
}

static bool value_probed(const P2p__V1__Probed *m, struct frame_probed *ret)
{
    ret->token = m->token;
    return m->observed != NULL && copy_address_masked(&ret->observed, m->observed);
}

static bool value_peer_info(const P2p__V1__PeerInfo *m, struct frame_peer_info *ret)
{
    ret->handle = m->handle;
    return m->handle != 0 && copy_exact(ret->own_point, sizeof ret->own_point, &m->own_point) && m->share != NULL &&
           copy_share(&ret->share, m->share);
}

static bool value_signal(const P2p__V1__Signal *m, struct bytes span, struct frame_signal *ret)
{
    ret->proof = m->proof;
    ret->handle = m->handle;
    return m->handle != 0 && copy_secret_or_proof(&ret->has_secret, ret->secret, &m->secret, m->proof) &&
           copy_exact(ret->point, sizeof ret->point, &m->point) &&
           span_fits(span, 1, SIGNAL_DATAGRAM_BYTES_MAX, &ret->datagram);
}

static bool value_relay(const P2p__V1__Relay *m, struct bytes span, struct frame_relay *ret)
{
    ret->proof = m->proof;
    ret->link = m->link;
    return m->link != 0 && copy_secret_or_proof(&ret->has_secret, ret->secret, &m->secret, m->proof) &&
           span_fits(span, 1, RELAY_DATAGRAM_BYTES_MAX, &ret->datagram);
}

static bool value_link(const P2p__V1__Link *m, struct frame_link *ret)
{
    return copy_exact(ret->secret, SECRET_BYTES, &m->secret) && m->token != NULL &&
           copy_relay_token(&ret->token, m->token);
}

static bool value_linked(const P2p__V1__Linked *m, struct frame_linked *ret)
{
    ret->proof = m->proof;
    ret->link = m->link;
    return m->link != 0 && copy_exact(ret->token, sizeof ret->token, &m->token) &&
           (m->observed == NULL || copy_address_masked(&ret->observed, m->observed));
}

static bool value_leave(const P2p__V1__Leave *m, bool inside, struct frame_leave *ret)
{
    ret->proof = m->proof;
    ret->reason = (int)m->reason == LEAVE_ROOM_FULL ? LEAVE_ROOM_FULL : LEAVE_QUIT; /* unknown ones too */
    if (inside)
        return m->secret.len == 0 && m->proof == 0;
    return copy_secret_or_proof(&ret->has_secret, ret->secret, &m->secret, m->proof);
}

static bool value_sealed(const P2p__V1__Sealed *m, struct bytes span, struct frame_sealed *ret)
{
    ret->session = m->session;
    ret->epoch = m->epoch;
    ret->counter = m->counter;
    return span_fits(span, CIPHERTEXT_BYTES_MAX - PLAIN_BYTES_MAX + 1, CIPHERTEXT_BYTES_MAX, &ret->ciphertext);
}

/* ---- between peers ---- */

static bool value_envelope(const P2p__V1__Envelope *m, struct frame_envelope *ret)
{
    ret->same_count = (uint8_t)m->n_same;
    for (size_t i = 0; i < m->n_same; i++)
        ret->same[i] = m->same[i];
    ret->pending_count = (uint8_t)m->n_pending;
    for (size_t i = 0; i < m->n_pending; i++)
        ret->pending[i] = m->pending[i];
    return copy_exact(ret->nonce, sizeof ret->nonce, &m->nonce);
}

static bool copy_candidate(struct candidate *ret, const P2p__V1__Candidate *from)
{
    int kind = (int)from->kind;

    ret->kind = kind >= CANDIDATE_HOST && kind <= CANDIDATE_PREDICTED ? (uint8_t)kind : CANDIDATE_OBSERVED;
    return from->address != NULL && copy_address(&ret->address, from->address);
}

static uint8_t below_or_zero(int value, int bound)
{
    return value < bound ? (uint8_t)value : 0;
}

static bool value_offer(const P2p__V1__Offer *m, struct frame_offer *ret)
{
    if (m->generation < 1 || m->name.len > NAME_BYTES_MAX || m->server_rtt_us > DELAY_US_MAX || m->no_relay > 1)
        return false;
    ret->no_relay = m->no_relay == 1;
    ret->generation = m->generation;
    ret->server_rtt_us = m->server_rtt_us;
    ret->mapping = below_or_zero((int)m->mapping, NAT_BEHAVIOURS);
    ret->filtering = below_or_zero((int)m->filtering, NAT_BEHAVIOURS);
    ret->ports = below_or_zero((int)m->ports, NAT_PORTS_KINDS);
    ret->name_size = (uint8_t)m->name.len;
    if (m->name.len > 0 && !(copy_exact(ret->name, m->name.len, &m->name) && text_is_name(ret->name, m->name.len)))
        return false;
    ret->candidate_count = (uint8_t)m->n_candidates;
    for (size_t i = 0; i < m->n_candidates; i++) {
        if (!copy_candidate(&ret->candidates[i], m->candidates[i]))
            return false;
    }
    return true;
}

static bool value_aim(const P2p__V1__Aim *m, struct frame_aim *ret)
{
    if (m->attempt < 1 || m->stride > UINT16_MAX || m->count > AIM_PORTS_MAX || m->stop > 1)
        return false;
    ret->attempt = m->attempt;
    ret->stride = (uint16_t)m->stride;
    ret->count = (uint8_t)m->count;
    ret->stop = m->stop == 1;
    return ret->stop ? m->address == NULL : m->address != NULL && copy_address(&ret->address, m->address);
}

static bool value_message(const P2p__V1__Message *m, struct bytes span, struct frame_message *ret)
{
    ret->offset = m->offset;
    /* No credit reaches past 2^64 - 1, so the sum may as well not wrap for those who compute it. */
    return span_fits(span, 1, MESSAGE_DATA_BYTES_MAX, &ret->data) && m->offset <= UINT64_MAX - span.size;
}

/* RFC 9000 section 19.3.1. */
static bool value_ack(const P2p__V1__Ack *m, struct frame_ack *ret)
{
    uint64_t last = m->largest;

    if (m->n_ranges % 2 == 0 || m->delay_us > DELAY_US_MAX)
        return false;
    ret->delay_us = m->delay_us;
    for (size_t i = 0;; i += 2) {
        struct ack_range *r = &ret->ranges[ret->range_count++];
        if (m->ranges[i] > last)
            return false;
        r->last = last;
        r->first = last - m->ranges[i];
        if (i + 1 == m->n_ranges)
            return true;
        uint64_t gap = m->ranges[i + 1];
        if (r->first < 2 || gap > r->first - 2)
            return false;
        last = r->first - gap - 2;
    }
}

bool codec_value(const P2p__V1__Frame *m, struct bytes span, bool inside, struct frame *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->kind = (enum frame_kind)m->body_case;
    switch (ret->kind) {
    case FRAME_REGISTER:
        return value_register(m->register_, &ret->reg);
    case FRAME_REGISTERED:
        return value_registered(m->registered, &ret->registered);
    case FRAME_PEER_INFO:
        return value_peer_info(m->peer_info, &ret->peer_info);
    case FRAME_SIGNAL:
        return value_signal(m->signal, span, &ret->signal);
    case FRAME_RELAY:
        return value_relay(m->relay, span, &ret->relay);
    case FRAME_SEALED:
        return value_sealed(m->sealed, span, &ret->sealed);
    case FRAME_PUNCH:
        ret->punch = (struct frame_punch){.challenge = m->punch->challenge, .answer = m->punch->answer};
        return true;
    case FRAME_AIM:
        return value_aim(m->aim, &ret->aim);
    case FRAME_MESSAGE:
        return value_message(m->message, span, &ret->message);
    case FRAME_ACK:
        return value_ack(m->ack, &ret->ack);
    case FRAME_RECEIPT:
        ret->receipt.count = m->receipt->count;
        return true;
    case FRAME_CREDIT:
        ret->credit.limit = m->credit->limit;
        return true;
    case FRAME_ENVELOPE:
        return value_envelope(m->envelope, &ret->envelope);
    case FRAME_OFFER:
        return value_offer(m->offer, &ret->offer);
    case FRAME_LEAVE:
        return value_leave(m->leave, inside, &ret->leave);
    case FRAME_LINK:
        return value_link(m->link, &ret->link);
    case FRAME_LINKED:
        return value_linked(m->linked, &ret->linked);
    case FRAME_RETRY:
        return value_retry(m->retry, &ret->retry);
    case FRAME_REFUSED:
        return value_refused(m->refused, &ret->refused);
    case FRAME_PROBE:
        return value_probe(m->probe, &ret->probe);
    case FRAME_PROBED:
        return value_probed(m->probed, &ret->probed);
    case FRAME_NONE:
    case FRAME_KINDS:
        break;
    }
    return false;
}
