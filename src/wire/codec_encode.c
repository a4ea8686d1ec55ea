#include "p2p.pb-c.h"
#include "wire/codec.h"
#include "wire/varint.h"
#include <string.h>

/* What the frame's body points to while it is packed. */
struct parts {
    union {
        P2p__V1__Register reg;
        P2p__V1__Registered registered;
        P2p__V1__PeerInfo peer_info;
        P2p__V1__Signal signal;
        P2p__V1__Relay relay;
        P2p__V1__Sealed sealed;
        P2p__V1__Punch punch;
        P2p__V1__Aim aim;
        P2p__V1__Message message;
        P2p__V1__Ack ack;
        P2p__V1__Receipt receipt;
        P2p__V1__Credit credit;
        P2p__V1__Envelope envelope;
        P2p__V1__Offer offer;
        P2p__V1__Leave leave;
        P2p__V1__Link link;
        P2p__V1__Linked linked;
        P2p__V1__Retry retry;
        P2p__V1__Refused refused;
        P2p__V1__Probe probe;
        P2p__V1__Probed probed;
    };
    P2p__V1__Share shares[SHARES_MAX], *share_at[SHARES_MAX];
    P2p__V1__RelayToken tokens[LINKS_MAX], *token_at[LINKS_MAX];
    P2p__V1__Candidate candidates[CANDIDATES_MAX], *candidate_at[CANDIDATES_MAX];
    P2p__V1__Address addresses[CANDIDATES_MAX];
    uint64_t ranges[2 * ACK_RANGES_MAX];
};

/* protobuf-c's structs have no const; packing does not write. */
static ProtobufCBinaryData binary(const uint8_t *at, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)at};
}

static ProtobufCBinaryData binary_if(bool has, const uint8_t *at, size_t size)
{
    return binary(at, has ? size : 0);
}

static P2p__V1__Address *put_address(P2p__V1__Address *ret, const struct addr *from)
{
    p2p__v1__address__init(ret);
    ret->ip = binary(from->ip, addr_ip_size(from));
    ret->port = from->port;
    return ret;
}

static P2p__V1__Share *put_share(P2p__V1__Share *ret, const struct share_public *from)
{
    p2p__v1__share__init(ret);
    ret->point = binary(from->point, sizeof from->point);
    ret->commitment = binary(from->commitment, sizeof from->commitment);
    return ret;
}

static P2p__V1__RelayToken *put_relay_token(P2p__V1__RelayToken *ret, const struct relay_token *from)
{
    p2p__v1__relay_token__init(ret);
    ret->token = binary(from->token, sizeof from->token);
    ret->side = from->side;
    ret->may_tell = from->may_tell;
    return ret;
}

/* Brings *m to DATAGRAM_BYTES_MAX exactly. 128 bytes of padding make its length, and that of the body, two
 * bytes long, and more do not make them longer: so the second step cannot miss. */
static void put_padding(P2p__V1__Frame *m)
{
    static const uint8_t zeros[DATAGRAM_BYTES_MAX];
    size_t size;

    m->register_->padding = binary(zeros, 128);
    size = p2p__v1__frame__get_packed_size(m);
    assert(size <= DATAGRAM_BYTES_MAX);
    m->register_->padding.len += DATAGRAM_BYTES_MAX - size;
}

/* ---- client and server ---- */

static void put_register(P2p__V1__Frame *m, struct parts *p, const struct frame_register *f)
{
    assert(f->cookie_size <= COOKIE_BYTES_MAX && f->share_count <= SHARES_MAX && f->link_count <= LINKS_MAX);
    p2p__v1__register__init(&p->reg);
    p->reg.token = f->token;
    p->reg.secret = binary_if(f->has_secret, f->secret, sizeof f->secret);
    p->reg.cookie = binary(f->cookie, f->cookie_size);
    p->reg.form = (P2p__V1__Form)f->form;
    p->reg.room = f->room;
    p->reg.prefix_bits = f->prefix_bits;
    p->reg.prefix = f->prefix;
    p->reg.n_shares = f->share_count;
    p->reg.shares = p->share_at;
    for (size_t i = 0; i < f->share_count; i++)
        p->share_at[i] = put_share(&p->shares[i], &f->shares[i]);
    p->reg.n_links = f->link_count;
    p->reg.links = p->token_at;
    for (size_t i = 0; i < f->link_count; i++)
        p->token_at[i] = put_relay_token(&p->tokens[i], &f->links[i]);
    m->register_ = &p->reg;
    if (f->pad)
        put_padding(m);
}

static void put_registered(P2p__V1__Frame *m, struct parts *p, const struct frame_registered *f)
{
    assert(f->cookie_size <= COOKIE_BYTES_MAX);
    p2p__v1__registered__init(&p->registered);
    p->registered.token = f->token;
    p->registered.handle = f->handle;
    p->registered.secret = binary(f->secret, sizeof f->secret);
    p->registered.cookie = binary(f->cookie, f->cookie_size);
    p->registered.observed = put_address(&p->addresses[0], &f->observed);
    if (f->alternate.port != 0)
        p->registered.alternate = put_address(&p->addresses[1], &f->alternate);
    p->registered.room = f->room;
    p->registered.lease_s = f->lease_s;
    p->registered.bits_wanted = f->bits_wanted;
    m->registered = &p->registered;
}

static void put_retry(P2p__V1__Frame *m, struct parts *p, const struct frame_retry *f)
{
    assert(f->cookie_size <= COOKIE_BYTES_MAX);
    p2p__v1__retry__init(&p->retry);
    p->retry.token = f->token;
    p->retry.cookie = binary(f->cookie, f->cookie_size);
    m->retry = &p->retry;
}

/* 5 for the word, 3 around the body, 9 and 2 for its fields, 2 around the padding */
enum { PROBE_PADDING = PROBE_BYTES_MIN - 5 - 3 - 9 - 2 - 2 };

static void put_probe(P2p__V1__Frame *m, struct parts *p, const struct frame_probe *f)
{
    static const uint8_t padding[PROBE_PADDING + 2];
    p2p__v1__probe__init(&p->probe);
    p->probe.token = f->token;
    p->probe.from = (P2p__V1__ProbeFrom)f->from;
    p->probe.padding = binary(padding, f->from == PROBE_FROM_SAME ? sizeof padding : PROBE_PADDING);
    m->probe = &p->probe;
}

static void put_probed(P2p__V1__Frame *m, struct parts *p, const struct frame_probed *f)
{
    p2p__v1__probed__init(&p->probed);
    p->probed.token = f->token;
    p->probed.observed = put_address(&p->addresses[0], &f->observed);
    m->probed = &p->probed;
}

static void put_refused(P2p__V1__Frame *m, struct parts *p, const struct frame_refused *f)
{
    p2p__v1__refused__init(&p->refused);
    p->refused.token = f->token;
    p->refused.proof = f->proof;
    p->refused.code = (P2p__V1__RefusedCode)f->code;
    p->refused.retry_after_s = f->retry_after_s;
    m->refused = &p->refused;
}

static void put_peer_info(P2p__V1__Frame *m, struct parts *p, const struct frame_peer_info *f)
{
    p2p__v1__peer_info__init(&p->peer_info);
    p->peer_info.handle = f->handle;
    p->peer_info.own_point = binary(f->own_point, sizeof f->own_point);
    p->peer_info.share = put_share(&p->shares[0], &f->share);
    m->peer_info = &p->peer_info;
}

static void put_signal(P2p__V1__Frame *m, struct parts *p, const struct frame_signal *f)
{
    p2p__v1__signal__init(&p->signal);
    p->signal.secret = binary_if(f->has_secret, f->secret, sizeof f->secret);
    p->signal.proof = f->proof;
    p->signal.handle = f->handle;
    p->signal.point = binary(f->point, sizeof f->point);
    p->signal.datagram = binary(f->datagram.at, f->datagram.size);
    m->signal = &p->signal;
}

static void put_link(P2p__V1__Frame *m, struct parts *p, const struct frame_link *f)
{
    p2p__v1__link__init(&p->link);
    p->link.secret = binary(f->secret, sizeof f->secret);
    p->link.token = put_relay_token(&p->tokens[0], &f->token);
    m->link = &p->link;
}

static void put_linked(P2p__V1__Frame *m, struct parts *p, const struct frame_linked *f)
{
    p2p__v1__linked__init(&p->linked);
    p->linked.proof = f->proof;
    p->linked.token = binary(f->token, sizeof f->token);
    p->linked.link = f->link;
    if (f->observed.family != ADDR_NONE)
        p->linked.observed = put_address(&p->addresses[0], &f->observed);
    m->linked = &p->linked;
}

static void put_relay(P2p__V1__Frame *m, struct parts *p, const struct frame_relay *f)
{
    p2p__v1__relay__init(&p->relay);
    p->relay.secret = binary_if(f->has_secret, f->secret, sizeof f->secret);
    p->relay.proof = f->proof;
    p->relay.link = f->link;
    p->relay.datagram = binary(f->datagram.at, f->datagram.size);
    m->relay = &p->relay;
}

static void put_leave(P2p__V1__Frame *m, struct parts *p, const struct frame_leave *f)
{
    p2p__v1__leave__init(&p->leave);
    p->leave.secret = binary_if(f->has_secret, f->secret, sizeof f->secret);
    p->leave.proof = f->proof;
    p->leave.reason = (P2p__V1__LeaveReason)f->reason;
    m->leave = &p->leave;
}

/* ---- between peers ---- */

static void put_sealed(P2p__V1__Frame *m, struct parts *p, const struct frame_sealed *f)
{
    p2p__v1__sealed__init(&p->sealed);
    p->sealed.session = f->session;
    p->sealed.epoch = f->epoch;
    p->sealed.counter = f->counter;
    p->sealed.ciphertext = binary(f->ciphertext.at, f->ciphertext.size);
    m->sealed = &p->sealed;
}

static void put_envelope(P2p__V1__Frame *m, struct parts *p, const struct frame_envelope *f)
{
    assert(f->same_count <= SAME_TAGS_MAX && f->pending_count <= PENDING_TAGS_MAX);
    p2p__v1__envelope__init(&p->envelope);
    p->envelope.nonce = binary(f->nonce, sizeof f->nonce);
    p->envelope.n_same = f->same_count;
    p->envelope.same = (uint64_t *)f->same;
    p->envelope.n_pending = f->pending_count;
    p->envelope.pending = (uint64_t *)f->pending;
    m->envelope = &p->envelope;
}

static void put_offer(P2p__V1__Frame *m, struct parts *p, const struct frame_offer *f)
{
    assert(f->name_size <= NAME_BYTES_MAX && f->candidate_count <= CANDIDATES_MAX);
    p2p__v1__offer__init(&p->offer);
    p->offer.generation = f->generation;
    p->offer.name = binary(f->name, f->name_size);
    p->offer.n_candidates = f->candidate_count;
    p->offer.candidates = p->candidate_at;
    for (size_t i = 0; i < f->candidate_count; i++) {
        p2p__v1__candidate__init(&p->candidates[i]);
        p->candidates[i].address = put_address(&p->addresses[i], &f->candidates[i].address);
        p->candidates[i].kind = (P2p__V1__CandidateKind)f->candidates[i].kind;
        p->candidate_at[i] = &p->candidates[i];
    }
    p->offer.mapping = (P2p__V1__NatBehaviour)f->mapping;
    p->offer.filtering = (P2p__V1__NatBehaviour)f->filtering;
    p->offer.ports = (P2p__V1__NatPorts)f->ports;
    p->offer.server_rtt_us = f->server_rtt_us;
    p->offer.no_relay = f->no_relay;
    m->offer = &p->offer;
}

static void put_punch(P2p__V1__Frame *m, struct parts *p, const struct frame_punch *f)
{
    p2p__v1__punch__init(&p->punch);
    p->punch.challenge = f->challenge;
    p->punch.answer = f->answer;
    m->punch = &p->punch;
}

static void put_aim(P2p__V1__Frame *m, struct parts *p, const struct frame_aim *f)
{
    p2p__v1__aim__init(&p->aim);
    p->aim.attempt = f->attempt;
    if (!f->stop)
        p->aim.address = put_address(&p->addresses[0], &f->address);
    p->aim.stride = f->stride;
    p->aim.count = f->count;
    p->aim.stop = f->stop;
    m->aim = &p->aim;
}

static void put_message(P2p__V1__Frame *m, struct parts *p, const struct frame_message *f)
{
    p2p__v1__message__init(&p->message);
    p->message.offset = f->offset;
    p->message.data = binary(f->data.at, f->data.size);
    m->message = &p->message;
}

/* RFC 9000 section 19.3.1. */
static void put_ack(P2p__V1__Frame *m, struct parts *p, const struct frame_ack *f)
{
    size_t n = 0;

    assert(f->range_count >= 1 && f->range_count <= ACK_RANGES_MAX);
    p2p__v1__ack__init(&p->ack);
    p->ack.largest = f->ranges[0].last;
    p->ack.delay_us = f->delay_us;
    for (size_t i = 0; i < f->range_count; i++) {
        const struct ack_range *r = &f->ranges[i];
        assert(r->first <= r->last);
        if (i > 0) {
            assert(r->last < f->ranges[i - 1].first && f->ranges[i - 1].first - r->last >= 2);
            p->ranges[n++] = f->ranges[i - 1].first - r->last - 2;
        }
        p->ranges[n++] = r->last - r->first;
    }
    p->ack.n_ranges = n;
    p->ack.ranges = p->ranges;
    m->ack = &p->ack;
}

static void put_receipt(P2p__V1__Frame *m, struct parts *p, const struct frame_receipt *f)
{
    p2p__v1__receipt__init(&p->receipt);
    p->receipt.count = f->count;
    m->receipt = &p->receipt;
}

static void put_credit(P2p__V1__Frame *m, struct parts *p, const struct frame_credit *f)
{
    p2p__v1__credit__init(&p->credit);
    p->credit.limit = f->limit;
    m->credit = &p->credit;
}

static void put_peer_body(P2p__V1__Frame *m, struct parts *p, const struct frame *f)
{
    switch (f->kind) {
    case FRAME_PUNCH:
        put_punch(m, p, &f->punch);
        break;
    case FRAME_AIM:
        put_aim(m, p, &f->aim);
        break;
    case FRAME_MESSAGE:
        put_message(m, p, &f->message);
        break;
    case FRAME_ACK:
        put_ack(m, p, &f->ack);
        break;
    case FRAME_RECEIPT:
        put_receipt(m, p, &f->receipt);
        break;
    case FRAME_CREDIT:
        put_credit(m, p, &f->credit);
        break;
    case FRAME_ENVELOPE:
        put_envelope(m, p, &f->envelope);
        break;
    case FRAME_OFFER:
        put_offer(m, p, &f->offer);
        break;
    default:
        assert(false); /* a frame to be encoded has a kind */
    }
}

static void put_body(P2p__V1__Frame *m, struct parts *p, const struct frame *f)
{
    m->body_case = (P2p__V1__Frame__BodyCase)f->kind;
    switch (f->kind) {
    case FRAME_REGISTER:
        put_register(m, p, &f->reg);
        break;
    case FRAME_REGISTERED:
        put_registered(m, p, &f->registered);
        break;
    case FRAME_PEER_INFO:
        put_peer_info(m, p, &f->peer_info);
        break;
    case FRAME_SIGNAL:
        put_signal(m, p, &f->signal);
        break;
    case FRAME_RELAY:
        put_relay(m, p, &f->relay);
        break;
    case FRAME_SEALED:
        put_sealed(m, p, &f->sealed);
        break;
    case FRAME_LEAVE:
        put_leave(m, p, &f->leave);
        break;
    case FRAME_LINK:
        put_link(m, p, &f->link);
        break;
    case FRAME_LINKED:
        put_linked(m, p, &f->linked);
        break;
    case FRAME_RETRY:
        put_retry(m, p, &f->retry);
        break;
    case FRAME_REFUSED:
        put_refused(m, p, &f->refused);
        break;
    case FRAME_PROBE:
        put_probe(m, p, &f->probe);
        break;
    case FRAME_PROBED:
        put_probed(m, p, &f->probed);
        break;
    default:
        put_peer_body(m, p, f);
    }
}

size_t codec_encode(const struct frame *f, uint8_t *ret, size_t cap)
{
    P2p__V1__Frame m = P2P__V1__FRAME__INIT;
    struct parts parts;

    m.protocol = PROTOCOL_WORD;
    put_body(&m, &parts, f);
    if (p2p__v1__frame__get_packed_size(&m) > cap)
        return 0;
    return p2p__v1__frame__pack(&m, ret);
}

size_t codec_encode_inner(const struct frame *f, uint8_t *ret, size_t cap)
{
    P2p__V1__Frame m = P2P__V1__FRAME__INIT;
    struct parts parts;
    size_t size, head;

    put_body(&m, &parts, f);
    size = p2p__v1__frame__get_packed_size(&m);
    head = varint_put(ret, cap, size);
    if (head == 0 || size > cap - head)
        return 0;
    return head + p2p__v1__frame__pack(&m, ret + head);
}
