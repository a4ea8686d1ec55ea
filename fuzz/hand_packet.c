#include "fuzz.h"
#include "hand_parts.h"
#include "wire/varint.h"

static size_t put_ack(struct hand *h, uint8_t *ret, size_t cap)
{
    struct frame f = {.kind = FRAME_ACK};
    for (unsigned bit = 0; bit < 64 && f.ack.range_count < ACK_RANGES_MAX;) {
        if (!(h->seen_before >> bit & 1) || bit > h->seen_largest) {
            bit++;
            continue;
        }
        struct ack_range *r = &f.ack.ranges[f.ack.range_count++];
        r->last = h->seen_largest - bit;
        while (bit < 64 && bit <= h->seen_largest && h->seen_before >> bit & 1)
            bit++;
        r->first = h->seen_largest - bit + 1;
    }
    h->ack_due = false;
    return f.ack.range_count == 0 ? 0 : codec_encode_inner(&f, ret, cap);
}

/* A record of the stream with what was to be its data as text. */
static size_t put_record(struct hand *h, uint8_t *ret, const struct bytes *text)
{
    size_t size = text->size < 1000 ? text->size : 1000;
    size_t used = varint_put(ret, VARINT_BYTES_MAX, ++h->next_id);
    used += varint_put(ret + used, VARINT_BYTES_MAX, size);
    for (size_t i = 0; i < size; i++)
        ret[used + i] = text->at[i] % 128 == 0 ? 'x' : text->at[i] % 128;
    return used + size;
}

static size_t put_right(struct hand *h, struct frame *f, unsigned how, uint8_t *ret, size_t cap)
{
    uint8_t record[MESSAGE_DATA_BYTES_MAX];
    switch (f->kind) {
    case FRAME_PUNCH:
        if (how & TWIST_RIGHT)
            f->punch.answer = h->challenge;
        break;
    case FRAME_OFFER:
        if (how & TWIST_RIGHT)
            f->offer.generation = ++h->generation;
        break;
    case FRAME_AIM:
        if (how & TWIST_RIGHT)
            f->aim.attempt = h->attempt + f->aim.attempt % 2;
        f->aim.attempt += f->aim.attempt == 0;
        break;
    case FRAME_ENVELOPE:
        if (how & TWIST_RIGHT)
            memcpy(f->envelope.nonce, h->nonce, sizeof h->nonce);
        break;
    case FRAME_MESSAGE:
        if (how & TWIST_RECORD)
            f->message.data = (struct bytes){record, put_record(h, record, &f->message.data)};
        if (how & TWIST_RIGHT) {
            f->message.offset = h->stream_end;
            h->stream_end += f->message.data.size;
        }
        break;
    default:
        break;
    }
    return codec_encode_inner(f, ret, cap);
}

/* Frames that decode are put right as `how` says, and the rest is left as it is. */
static size_t put_plain(struct hand *h, unsigned how, const uint8_t *plain, size_t size, size_t room, uint8_t *ret)
{
    struct bytes rest = {plain, size};
    size_t used = 0;
    if (how & TWIST_ENVELOPE) {
        struct frame f = {.kind = FRAME_ENVELOPE};
        memcpy(f.envelope.nonce, h->nonce, sizeof h->nonce);
        f.envelope.same_count = (h->how & RUN_SAME) != 0;
        f.envelope.same[0] = seal_same_tag(h->before_key, h->before_side, false, h->run_id);
        f.envelope.pending_count = (h->how & RUN_PENDING) != 0;
        f.envelope.pending[0] = seal_same_tag(h->before_key, h->before_side, !(h->how & RUN_OVER), h->run_id);
        used += codec_encode_inner(&f, ret, room);
    }
    if (how & TWIST_ACK)
        used += put_ack(h, ret + used, room - used);
    while (rest.size > 0 && how & (TWIST_RIGHT | TWIST_RECORD)) {
        struct frame f;
        const uint8_t *before = rest.at;
        enum decode_result result = codec_decode_inner(&h->codec, &rest, &f);
        if (result != DECODE_OK)
            break;
        size_t whole = (size_t)(rest.at - before);
        if (f.kind != FRAME_NONE) {
            used += put_right(h, &f, how, ret + used, room - used);
        } else if (whole <= room - used) {
            memcpy(ret + used, before, whole);
            used += whole;
        }
    }
    if (rest.size > room - used)
        rest.size = room - used;
    if (rest.size > 0)
        memcpy(ret + used, rest.at, rest.size);
    return used + rest.size;
}

/* Datagrams that had no effect, for whatever reason: a copy of a packet has to be among them. */
static uint64_t refused(const struct hand *h)
{
    static const char *const names[] = {"datagrams_dropped", "server_frames_refused", "packets_forged",
                                        "packets_replayed", "guesses_wrong"};
    struct engine_stat stats[ENGINE_STATS_MAX];
    size_t count = engine_stats(h->e, stats);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < COUNT(names); k++)
            if (strcmp(stats[i].name, names[k]) == 0)
                sum += stats[i].value;
    return sum;
}

static void send_sealed(struct hand *h, enum hand_way way, const uint8_t *datagram, size_t size)
{
    struct frame f = {.kind = FRAME_SIGNAL};
    switch (way) {
    case WAY_SIGNAL:
        f.signal.datagram = (struct bytes){datagram, size};
        hand_serve(h, &f, HAND_PROOF | HAND_HANDLE | HAND_POINT, h->server_socket);
        break;
    case WAY_RELAY:
        f.kind = FRAME_RELAY;
        f.relay.datagram = (struct bytes){datagram, size};
        hand_serve(h, &f, HAND_PROOF | HAND_LINK, h->server_socket);
        break;
    default: {
        uint16_t socket = hand_open_socket(h, h->direct_socket);
        if (h->sockets[socket].open)
            hand_put_in(h, socket, way == WAY_DIRECT ? &h->peer : &h->elsewhere, datagram, size);
    }
    }
}

void hand_say(struct hand *h, enum hand_way way, unsigned how, const uint8_t *plain, size_t size)
{
    uint8_t row[PLAIN_BYTES_MAX], ciphertext[CIPHERTEXT_BYTES_MAX], bytes[DATAGRAM_BYTES_MAX];
    size_t room = way == WAY_SIGNAL ? PLAIN_SIGNAL_BYTES_MAX : PLAIN_BYTES_MAX;
    if (!h->running)
        return;
    size_t used = put_plain(h, how, plain, size, room, row);
    if (used == 0)
        return;
    if (how & TWIST_JUMP)
        h->seal.counter += 1 + (used * 37) % 5000;
    if (how & TWIST_EPOCH) { /* due, and allowed */
        h->seal.epoch_confirmed = true;
        h->seal.send.packets = RATCHET_PACKETS;
    }
    struct frame f = {.kind = FRAME_SEALED, .sealed = {.session = h->seal.send.session}};
    seal_packet(&h->seal, h->now, row, used, ciphertext, &f.sealed.counter, &f.sealed.epoch);
    if (how & TWIST_FLIP)
        ciphertext[used / 2] ^= 1;
    f.sealed.ciphertext = (struct bytes){ciphertext, used + SEAL_TAG_BYTES};
    size = codec_encode(&f, bytes, sizeof bytes);
    FUZZ_CHECK(size > 0);
    send_sealed(h, way, bytes, size);
    if (!(how & TWIST_TWICE))
        return;
    const uint64_t before = refused(h);
    const unsigned count = h->to_count;
    send_sealed(h, way, bytes, size);
    /* Not even counted is what comes directly to somebody who hides, and a Signal when its introduction is over. */
    bool counted = way == WAY_RELAY || (way >= WAY_DIRECT && h->relay != RELAY_ONLY);
    FUZZ_CHECK(!counted || refused(h) > before || h->to_count == count);
}
