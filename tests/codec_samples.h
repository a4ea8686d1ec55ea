/* codec_samples.h: frames of every kind, with the least and the most that each may hold. Their bytes are the
 * golden vectors. */
#ifndef TESTS_CODEC_SAMPLES_H
#define TESTS_CODEC_SAMPLES_H
#include "wire/codec.h"
#include <string.h>

struct sample {
    const char *name;
    bool inside;                   /* Sealed */
    void (*make)(struct frame *f); /* *f is zeroed */
};

static inline const uint8_t *sample_letters(void)
{
    static uint8_t letters[DATAGRAM_BYTES_MAX];
    for (size_t i = 0; i < sizeof letters; i++)
        letters[i] = (uint8_t)('a' + i % 26);
    return letters;
}

static inline void sample_fill(uint8_t *ret, size_t size, char letter)
{
    memset(ret, letter, size);
}

static inline void sample_shares(struct frame_register *f, uint8_t count)
{
    f->share_count = count;
    for (uint8_t i = 0; i < count; i++) {
        sample_fill(f->shares[i].point, 32, (char)('A' + i));
        sample_fill(f->shares[i].commitment, 32, (char)('a' + i));
    }
}

static inline void sample_links(struct frame_register *f, uint8_t count)
{
    f->link_count = count;
    for (uint8_t i = 0; i < count; i++) {
        sample_fill(f->links[i].token, RELAY_TOKEN_BYTES, (char)('k' + i));
        f->links[i].side = i % 2;
        f->links[i].may_tell = i % 3 == 0;
    }
}

static inline void sample_address(struct addr *ret, uint8_t family, uint16_t port)
{
    static const uint8_t v4[4] = {203, 0, 113, 7};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x29};
    ret->family = family;
    memcpy(ret->ip, family == ADDR_V4 ? v4 : v6, family == ADDR_V4 ? 4 : 16);
    ret->port = port;
}

/* What a masked address may look like by chance, ::ffff:1.2.3.4: it must come out as it went in. */
static inline void sample_masked(struct addr *ret, uint16_t port)
{
    static const uint8_t ip[16] = {[10] = 0xff, 0xff, 1, 2, 3, 4};
    ret->family = ADDR_V6;
    memcpy(ret->ip, ip, sizeof ip);
    ret->port = port;
}

/* ---- client and server ---- */

static inline void make_register_room(struct frame *f)
{
    f->kind = FRAME_REGISTER;
    f->reg.token = 1;
    f->reg.form = FORM_ROOM;
    f->reg.room = 1;
}

static inline void make_register_first(struct frame *f)
{
    f->kind = FRAME_REGISTER;
    f->reg.token = 0x0123456789abcdef;
    f->reg.form = FORM_OPEN;
    f->reg.prefix_bits = 8;
    f->reg.prefix = 255;
    sample_shares(&f->reg, SHARES_MAX);
    f->reg.pad = true;
}

static inline void make_register_new(struct frame *f)
{
    f->kind = FRAME_REGISTER;
    f->reg.token = 2;
    f->reg.form = FORM_NEW;
    f->reg.pad = true;
}

static inline void make_register_open(struct frame *f)
{
    f->kind = FRAME_REGISTER;
    f->reg.token = 3;
    f->reg.form = FORM_OPEN;
}

static inline void make_register_back(struct frame *f)
{
    f->kind = FRAME_REGISTER;
    f->reg.token = 4;
    f->reg.form = FORM_ROOM;
    f->reg.room = 42;
    sample_links(&f->reg, 2);
}

static inline void make_register_most(struct frame *f)
{
    f->kind = FRAME_REGISTER;
    f->reg.token = UINT64_MAX;
    f->reg.has_secret = true;
    sample_fill(f->reg.secret, SECRET_BYTES, 's');
    f->reg.cookie_size = COOKIE_BYTES_MAX;
    sample_fill(f->reg.cookie, COOKIE_BYTES_MAX, 'c');
    f->reg.form = FORM_ROOM;
    f->reg.room = ROOM_NUMBER_MAX;
    sample_shares(&f->reg, SHARES_MAX);
    sample_links(&f->reg, LINKS_MAX);
}

static inline void make_register_most_padded(struct frame *f)
{
    make_register_most(f);
    f->reg.pad = true;
}

static inline void make_registered_least(struct frame *f)
{
    f->kind = FRAME_REGISTERED;
    f->registered.token = 1;
    f->registered.handle = 1;
    sample_fill(f->registered.secret, SECRET_BYTES, 's');
    f->registered.cookie_size = 1;
    f->registered.cookie[0] = 'c';
    sample_address(&f->registered.observed, ADDR_V4, 0); /* masked: any port */
    f->registered.lease_s = 1;
}

static inline void make_registered_port(struct frame *f)
{
    make_registered_least(f);
    f->registered.alternate.port = 41415;
}

static inline void make_registered_most(struct frame *f)
{
    f->kind = FRAME_REGISTERED;
    f->registered.token = UINT64_MAX;
    f->registered.handle = UINT64_MAX;
    sample_fill(f->registered.secret, SECRET_BYTES, 's');
    f->registered.cookie_size = COOKIE_BYTES_MAX;
    sample_fill(f->registered.cookie, COOKIE_BYTES_MAX, 'c');
    sample_masked(&f->registered.observed, 65535);
    sample_address(&f->registered.alternate, ADDR_V6, 65535);
    f->registered.room = ROOM_NUMBER_MAX;
    f->registered.lease_s = 3600;
    f->registered.bits_wanted = PREFIX_BITS_MAX;
}

static inline void make_probe_same(struct frame *f)
{
    f->kind = FRAME_PROBE;
    f->probe.token = 1;
}

static inline void make_probe_elsewhere(struct frame *f)
{
    f->kind = FRAME_PROBE;
    f->probe.token = UINT64_MAX;
    f->probe.from = PROBE_FROM_OTHER_ADDRESS;
}

static inline void make_probed_least(struct frame *f)
{
    f->kind = FRAME_PROBED;
    static const uint8_t ip[4] = {198, 51, 100, 7};
    f->probed.token = 1;
    f->probed.observed.family = ADDR_V4; /* field by field: an assignment may bring padding along */
    memcpy(f->probed.observed.ip, ip, sizeof ip);
    f->probed.observed.port = 40000;
}

static inline void make_probed_most(struct frame *f)
{
    f->kind = FRAME_PROBED;
    f->probed.token = UINT64_MAX;
    f->probed.observed = (struct addr){.family = ADDR_V6, .port = UINT16_MAX};
    sample_fill(f->probed.observed.ip, sizeof f->probed.observed.ip, 'p');
}

static inline void make_retry_least(struct frame *f)
{
    f->kind = FRAME_RETRY;
    f->retry.cookie_size = 1;
    f->retry.cookie[0] = 'c';
}

static inline void make_retry_most(struct frame *f)
{
    f->kind = FRAME_RETRY;
    f->retry.token = UINT64_MAX;
    f->retry.cookie_size = COOKIE_BYTES_MAX;
    sample_fill(f->retry.cookie, COOKIE_BYTES_MAX, 'c');
}

static inline void make_refused_token(struct frame *f)
{
    f->kind = FRAME_REFUSED;
    f->refused.token = 1;
    f->refused.code = REFUSED_UNKNOWN;
}

static inline void make_refused_proof(struct frame *f)
{
    f->kind = FRAME_REFUSED;
    f->refused.proof = UINT64_MAX;
    f->refused.code = REFUSED_CROWDED;
    f->refused.retry_after_s = 3600;
}

static inline void make_peer_info(struct frame *f)
{
    f->kind = FRAME_PEER_INFO;
    f->peer_info.handle = UINT64_MAX;
    sample_fill(f->peer_info.own_point, 32, 'o');
    sample_fill(f->peer_info.share.point, 32, 'p');
    sample_fill(f->peer_info.share.commitment, 32, 'q');
}

static inline void make_signal_up(struct frame *f)
{
    f->kind = FRAME_SIGNAL;
    f->signal.has_secret = true;
    sample_fill(f->signal.secret, SECRET_BYTES, 's');
    f->signal.handle = UINT64_MAX;
    sample_fill(f->signal.point, 32, 'p');
    f->signal.datagram = (struct bytes){sample_letters(), SIGNAL_DATAGRAM_BYTES_MAX};
}

static inline void make_signal_down(struct frame *f)
{
    f->kind = FRAME_SIGNAL;
    f->signal.proof = 1;
    f->signal.handle = 1;
    sample_fill(f->signal.point, 32, 'p');
    f->signal.datagram = (struct bytes){sample_letters(), 1};
}

static inline void make_relay_up(struct frame *f)
{
    f->kind = FRAME_RELAY;
    f->relay.has_secret = true;
    sample_fill(f->relay.secret, SECRET_BYTES, 's');
    f->relay.link = UINT32_MAX;
    f->relay.datagram = (struct bytes){sample_letters(), RELAY_DATAGRAM_BYTES_MAX};
}

static inline void make_relay_down(struct frame *f)
{
    f->kind = FRAME_RELAY;
    f->relay.proof = 1;
    f->relay.link = 1;
    f->relay.datagram = (struct bytes){sample_letters(), 1};
}

static inline void make_sealed_least(struct frame *f)
{
    f->kind = FRAME_SEALED;
    f->sealed.ciphertext = (struct bytes){sample_letters(), 17};
}

static inline void make_sealed_most(struct frame *f)
{
    f->kind = FRAME_SEALED;
    f->sealed.session = UINT64_MAX;
    f->sealed.epoch = UINT32_MAX;
    f->sealed.counter = UINT64_MAX;
    f->sealed.ciphertext = (struct bytes){sample_letters(), CIPHERTEXT_BYTES_MAX};
}

static inline void make_link_least(struct frame *f)
{
    f->kind = FRAME_LINK;
    sample_fill(f->link.secret, SECRET_BYTES, 's');
    sample_fill(f->link.token.token, RELAY_TOKEN_BYTES, 't');
}

static inline void make_link_most(struct frame *f)
{
    make_link_least(f);
    f->link.token.side = 1;
    f->link.token.may_tell = true;
}

static inline void make_linked_least(struct frame *f)
{
    f->kind = FRAME_LINKED;
    f->linked.proof = 1;
    sample_fill(f->linked.token, RELAY_TOKEN_BYTES, 't');
    f->linked.link = 1;
}

static inline void make_linked_most(struct frame *f)
{
    make_linked_least(f);
    f->linked.proof = UINT64_MAX;
    f->linked.link = UINT32_MAX;
    sample_masked(&f->linked.observed, 0);
}

static inline void make_leave_up(struct frame *f)
{
    f->kind = FRAME_LEAVE;
    f->leave.has_secret = true;
    sample_fill(f->leave.secret, SECRET_BYTES, 's');
    f->leave.reason = LEAVE_QUIT;
}

static inline void make_leave_down(struct frame *f)
{
    f->kind = FRAME_LEAVE;
    f->leave.proof = UINT64_MAX;
    f->leave.reason = LEAVE_QUIT;
}

/* ---- between peers ---- */

static inline void make_leave_inside(struct frame *f)
{
    f->kind = FRAME_LEAVE;
    f->leave.reason = LEAVE_QUIT;
}

static inline void make_punch_least(struct frame *f)
{
    f->kind = FRAME_PUNCH;
}

static inline void make_punch_most(struct frame *f)
{
    f->kind = FRAME_PUNCH;
    f->punch.challenge = UINT64_MAX;
    f->punch.answer = 0x0123456789abcdef;
}

static inline void make_message_least(struct frame *f)
{
    f->kind = FRAME_MESSAGE;
    f->message.data = (struct bytes){sample_letters(), 1};
}

static inline void make_message_most(struct frame *f)
{
    f->kind = FRAME_MESSAGE;
    f->message.offset = UINT64_MAX - MESSAGE_DATA_BYTES_MAX;
    f->message.data = (struct bytes){sample_letters(), MESSAGE_DATA_BYTES_MAX};
}

static inline void make_ack_least(struct frame *f)
{
    f->kind = FRAME_ACK;
    f->ack.range_count = 1;
}

static inline void make_ack_gaps(struct frame *f)
{
    f->kind = FRAME_ACK;
    f->ack.delay_us = 1234;
    f->ack.range_count = 3;
    f->ack.ranges[0] = (struct ack_range){400, 1000};
    f->ack.ranges[1] = (struct ack_range){398, 398};
    f->ack.ranges[2] = (struct ack_range){0, 2};
}

static inline void make_ack_most(struct frame *f)
{
    uint64_t step = UINT64_MAX / ACK_RANGES_MAX;

    f->kind = FRAME_ACK;
    f->ack.delay_us = 10000000;
    f->ack.range_count = ACK_RANGES_MAX;
    for (uint64_t i = 0; i < ACK_RANGES_MAX; i++) {
        f->ack.ranges[i].last = UINT64_MAX - i * step;
        f->ack.ranges[i].first = UINT64_MAX - i * step - step / 2;
    }
}

static inline void make_receipt_least(struct frame *f)
{
    f->kind = FRAME_RECEIPT;
}

static inline void make_receipt_most(struct frame *f)
{
    f->kind = FRAME_RECEIPT;
    f->receipt.count = UINT64_MAX;
}

static inline void make_credit_least(struct frame *f)
{
    f->kind = FRAME_CREDIT;
}

static inline void make_credit_most(struct frame *f)
{
    f->kind = FRAME_CREDIT;
    f->credit.limit = UINT64_MAX;
}

static inline void make_envelope_least(struct frame *f)
{
    f->kind = FRAME_ENVELOPE;
    sample_fill(f->envelope.nonce, 32, 'n');
}

static inline void make_envelope_most(struct frame *f)
{
    make_envelope_least(f);
    f->envelope.same_count = SAME_TAGS_MAX;
    for (uint64_t i = 0; i < SAME_TAGS_MAX; i++)
        f->envelope.same[i] = UINT64_MAX - i;
    f->envelope.pending_count = PENDING_TAGS_MAX;
    for (unsigned i = 0; i < PENDING_TAGS_MAX; i++)
        f->envelope.pending[i] = 1000 + i;
}

static inline void make_offer_least(struct frame *f)
{
    f->kind = FRAME_OFFER;
    f->offer.generation = 1;
}

static inline void make_offer_most(struct frame *f)
{
    f->kind = FRAME_OFFER;
    f->offer.generation = UINT32_MAX;
    f->offer.name_size = NAME_BYTES_MAX;
    memcpy(f->offer.name, sample_letters(), NAME_BYTES_MAX);
    f->offer.candidate_count = CANDIDATES_MAX;
    for (uint8_t i = 0; i < CANDIDATES_MAX; i++) {
        sample_address(&f->offer.candidates[i].address, i % 4 == 0 ? ADDR_V4 : ADDR_V6,
                       i == 0 ? 1 : (uint16_t)(65528 + i));
        f->offer.candidates[i].kind = (uint8_t)(CANDIDATE_HOST + i % 3);
    }
    f->offer.mapping = NAT_PORT_INDEPENDENT;
    f->offer.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT;
    f->offer.ports = NAT_PORTS_RANDOM;
    f->offer.server_rtt_us = 10000000;
    f->offer.no_relay = true;
}

static inline void make_aim_least(struct frame *f)
{
    f->kind = FRAME_AIM;
    f->aim.attempt = 1;
    sample_address(&f->aim.address, ADDR_V4, 1);
}

static inline void make_aim_most(struct frame *f)
{
    f->kind = FRAME_AIM;
    f->aim.attempt = UINT32_MAX;
    sample_address(&f->aim.address, ADDR_V6, 65535);
    f->aim.stride = UINT16_MAX;
    f->aim.count = AIM_PORTS_MAX;
}

static inline void make_aim_stop(struct frame *f)
{
    f->kind = FRAME_AIM;
    f->aim.attempt = 2;
    f->aim.stop = true;
}

static const struct sample samples[] = {
    {"register-room", false, make_register_room},
    {"register-first", false, make_register_first},
    {"register-new", false, make_register_new},
    {"register-open", false, make_register_open},
    {"register-back", false, make_register_back},
    {"register-most", false, make_register_most},
    {"register-most-padded", false, make_register_most_padded},
    {"registered-least", false, make_registered_least},
    {"registered-port", false, make_registered_port},
    {"registered-most", false, make_registered_most},
    {"retry-least", false, make_retry_least},
    {"retry-most", false, make_retry_most},
    {"probe-same", false, make_probe_same},
    {"probe-elsewhere", false, make_probe_elsewhere},
    {"probed-least", false, make_probed_least},
    {"probed-most", false, make_probed_most},
    {"refused-token", false, make_refused_token},
    {"refused-proof", false, make_refused_proof},
    {"peer-info", false, make_peer_info},
    {"signal-up", false, make_signal_up},
    {"signal-down", false, make_signal_down},
    {"relay-up", false, make_relay_up},
    {"relay-down", false, make_relay_down},
    {"sealed-least", false, make_sealed_least},
    {"sealed-most", false, make_sealed_most},
    {"link-least", false, make_link_least},
    {"link-most", false, make_link_most},
    {"linked-least", false, make_linked_least},
    {"linked-most", false, make_linked_most},
    {"leave-up", false, make_leave_up},
    {"leave-down", false, make_leave_down},
    {"leave-inside", true, make_leave_inside},
    {"punch-least", true, make_punch_least},
    {"punch-most", true, make_punch_most},
    {"message-least", true, make_message_least},
    {"message-most", true, make_message_most},
    {"ack-least", true, make_ack_least},
    {"ack-gaps", true, make_ack_gaps},
    {"ack-most", true, make_ack_most},
    {"receipt-least", true, make_receipt_least},
    {"receipt-most", true, make_receipt_most},
    {"credit-least", true, make_credit_least},
    {"credit-most", true, make_credit_most},
    {"envelope-least", true, make_envelope_least},
    {"envelope-most", true, make_envelope_most},
    {"offer-least", true, make_offer_least},
    {"offer-most", true, make_offer_most},
    {"aim-least", true, make_aim_least},
    {"aim-most", true, make_aim_most},
    {"aim-stop", true, make_aim_stop},
};

enum { SAMPLES = sizeof samples / sizeof samples[0] };

static inline void sample_make(size_t i, struct frame *ret)
{
    memset(ret, 0, sizeof *ret);
    samples[i].make(ret);
}
#endif
