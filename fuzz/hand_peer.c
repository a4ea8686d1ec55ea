#include "fuzz.h"
#include "hand_parts.h"

void hand_peer_learns(struct hand *h, const struct keyword *k)
{
    uint8_t ci[KEYWORD_CI_MAX];
    const struct cpace_part prs = {k->normal, k->size}, channel = {ci, keyword_ci(k, ci)}, sid = {NULL, 0};
    const struct cpace_part wrong = {(const uint8_t *)"wrong", 5};
    FUZZ_CHECK(cpace_generator(h->generator, &prs, &channel, &sid));
    FUZZ_CHECK(cpace_generator(h->wrong_generator, &wrong, &channel, &sid));
}

static size_t unused_share(const struct hand *h)
{
    size_t which = 0;
    while (which < h->newest.share_count &&
           memcmp(h->newest.shares[which].point, h->used_point, CPACE_POINT_BYTES) == 0)
        which++;
    return which;
}

static void say_first(struct hand *h)
{
    h->said_first = true;
    struct frame f = {.kind = FRAME_OFFER,
                      .offer = {.generation = ++h->generation, .name_size = 3, .name = "bob", .candidate_count = 1}};
    f.offer.candidates[0] = (struct candidate){.address = h->peer, .kind = CANDIDATE_HOST};
    f.offer.server_rtt_us = 40000;
    if (h->nat != NAT_OF_NOBODY) {
        f.offer.candidates[0].kind = CANDIDATE_OBSERVED;
        f.offer.mapping = f.offer.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT;
        f.offer.ports = h->nat == NAT_OF_COUNTING ? NAT_PORTS_SEQUENTIAL : NAT_PORTS_RANDOM;
    }
    uint8_t plain[PLAIN_BYTES_MAX];
    size_t size = codec_encode_inner(&f, plain, sizeof plain);
    hand_say(h, WAY_SIGNAL, TWIST_ENVELOPE | TWIST_ACK, plain, size);
}

void hand_introduce(struct hand *h, unsigned how)
{
    const size_t which = unused_share(h);
    struct frame f = {.kind = FRAME_PEER_INFO};
    if (which == h->newest.share_count)
        return;
    const struct share_public theirs = h->newest.shares[which];
    cpace_share(&h->rng, how & RUN_WRONG ? h->wrong_generator : h->generator, h->scalar, h->share.point);
    rng_bytes(&h->rng, h->nonce, sizeof h->nonce);
    seal_commit(h->share.commitment, h->nonce);
    memcpy(h->used_point, theirs.point, CPACE_POINT_BYTES);

    struct cpace_result result;
    const struct cpace_part sid = {NULL, 0}, own = {h->share.commitment, 32}, other = {theirs.commitment, 32};
    if (!cpace_finish(&result, h->scalar, &sid, h->share.point, &own, theirs.point, &other))
        return;
    memcpy(h->before_key, h->seal.same_key, sizeof h->before_key);
    h->before_side = h->seal.side;
    memcpy(h->run_id, result.sid_output, sizeof h->run_id);
    seal_init(&h->seal, &result, h->now);
    h->how = how;
    h->running = true;
    h->opened = h->ack_due = false;
    h->said_first = (how & RUN_SILENT) != 0;
    h->seen_largest = h->seen_before = h->stream_end = h->challenge = 0;
    h->link = 0;
    if (!(how & RUN_HANDLE) || h->peer_handle == 0)
        h->peer_handle++;
    memcpy(f.peer_info.own_point, theirs.point, CPACE_POINT_BYTES);
    f.peer_info.share = how & RUN_REFLECTED ? theirs : h->share;
    hand_serve(h, &f, HAND_HANDLE, h->server_socket);
    if (how & (RUN_WRONG | RUN_FIRST) && !h->said_first)
        say_first(h);
}

static void note_packet(struct hand *h, uint64_t counter)
{
    if (counter > h->seen_largest || h->seen_before == 0) {
        uint64_t ahead = counter - h->seen_largest;
        h->seen_before = h->seen_before == 0 || ahead > 63 ? 1 : h->seen_before << ahead | 1;
        h->seen_largest = counter;
    } else if (h->seen_largest - counter < 64) {
        h->seen_before |= 1ULL << (h->seen_largest - counter);
    }
}

/* The other's part in a try to guess ports: it has some of its own to tell. */
static void answer_aim(struct hand *h, const struct frame *f, enum hand_way way)
{
    struct frame aim = {.kind = FRAME_AIM,
                        .aim = {.attempt = f->aim.attempt, .address = h->peer, .stride = 1, .count = 16}};
    uint8_t plain[128];
    if (!(h->habits & HABIT_ANSWER) || f->aim.stop)
        return;
    aim.aim.count = h->nat == NAT_OF_DICE && f->aim.attempt % 2 == 1 ? 0 : 16;
    hand_say(h, way, 0, plain, codec_encode_inner(&aim, plain, sizeof plain));
}

static void peer_gets_frame(struct hand *h, const struct frame *f, enum hand_way way)
{
    if (f->kind == FRAME_PUNCH && f->punch.challenge != 0) {
        h->challenge = f->punch.challenge;
        if (h->habits & HABIT_ANSWER) {
            const struct frame answer = {.kind = FRAME_PUNCH, .punch = {.answer = f->punch.challenge}};
            uint8_t plain[64];
            size_t size = codec_encode_inner(&answer, plain, sizeof plain);
            hand_say(h, way, 0, plain, size);
        }
    } else if (f->kind == FRAME_AIM) {
        h->attempt = f->aim.attempt;
        answer_aim(h, f, way);
    }
    if (f->kind != FRAME_PUNCH && f->kind != FRAME_ACK && f->kind != FRAME_LEAVE)
        h->ack_due = true;
}

void hand_peer_gets(struct hand *h, const uint8_t *at, size_t size, enum hand_way way)
{
    struct frame f;
    uint8_t plain[CIPHERTEXT_BYTES_MAX];
    if (!h->running)
        return;
    FUZZ_CHECK(codec_decode(&h->codec, at, size, &f) == DECODE_OK && f.kind == FRAME_SEALED);
    if (seal_open(&h->seal, h->now, f.sealed.session, f.sealed.epoch, f.sealed.counter, f.sealed.ciphertext.at,
                  f.sealed.ciphertext.size, OLD_KEY_US, plain) != SEAL_OPENED)
        return; /* of an older run */
    note_packet(h, f.sealed.counter);
    h->opened = true;
    struct bytes rest = {plain, f.sealed.ciphertext.size - SEAL_TAG_BYTES};
    FUZZ_CHECK(rest.size <= PLAIN_BYTES_MAX);
    while (rest.size > 0) {
        struct frame inner;
        FUZZ_CHECK(codec_decode_inner(&h->inner_codec, &rest, &inner) == DECODE_OK);
        if (inner.kind != FRAME_NONE)
            peer_gets_frame(h, &inner, way);
    }
    if (!h->said_first && h->habits & HABIT_ENVELOPE)
        say_first(h);
    if (h->ack_due && h->habits & HABIT_ACK && h->said_first)
        hand_say(h, way, TWIST_ACK, NULL, 0);
}
