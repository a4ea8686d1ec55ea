#include "hostile_run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/words.h"
#include "world_parts.h"

void hostile_key_init(struct hostile_key *k, const char *text)
{
    uint8_t ci[KEYWORD_CI_MAX];
    enum keyword_error error = keyword_parse(&k->keyword, text, strlen(text));
    const struct cpace_part prs = {k->keyword.normal, k->keyword.size}, sid = {NULL, 0};
    const struct cpace_part channel = {ci, keyword_ci(&k->keyword, ci)};
    bool ok = error == KEYWORD_OK && cpace_generator(k->generator, &prs, &channel, &sid);
    assert(ok);
    (void)ok;
}

void hostile_share_make(struct rng *r, const struct hostile_key *k, struct share_secret *ret)
{
    cpace_share(r, k->generator, ret->scalar, ret->share.point);
    rng_bytes(r, ret->nonce, sizeof ret->nonce);
    seal_commit(ret->share.commitment, ret->nonce);
}

bool hostile_run_begin(struct hostile_run *run, vtime_us now)
{
    struct cpace_result result;
    const struct cpace_part sid = {NULL, 0};
    const struct cpace_part own_ad = {run->own.share.commitment, sizeof run->own.share.commitment};
    const struct cpace_part their_ad = {run->theirs.commitment, sizeof run->theirs.commitment};
    if (!cpace_finish(&result, run->own.scalar, &sid, run->own.share.point, &own_ad, run->theirs.point, &their_ad))
        return false;
    memcpy(run->run_id, result.sid_output, sizeof run->run_id);
    seal_init(&run->seal, &result, now);
    run->used = true;
    run->since = now;
    run->credit = CREDIT_BYTES;
    return true;
}

size_t hostile_seal(struct hostile_run *run, vtime_us now, const uint8_t *plain, size_t size,
                    uint8_t ret[static DATAGRAM_BYTES_MAX])
{
    uint8_t ciphertext[CIPHERTEXT_BYTES_MAX];
    struct frame f = {.kind = FRAME_SEALED, .sealed = {.session = run->seal.send.session}};
    assert(size <= PLAIN_BYTES_MAX);
    seal_packet(&run->seal, now, plain, size, ciphertext, &f.sealed.counter, &f.sealed.epoch);
    f.sealed.ciphertext = (struct bytes){ciphertext, size + SEAL_TAG_BYTES};
    return codec_encode(&f, ret, DATAGRAM_BYTES_MAX);
}

bool hostile_open(struct hostile_run *run, vtime_us now, struct codec *c, struct bytes datagram,
                  uint8_t ret_plain[static CIPHERTEXT_BYTES_MAX], size_t *ret_size)
{
    struct frame f;
    if (codec_decode(c, datagram.at, datagram.size, &f) != DECODE_OK || f.kind != FRAME_SEALED)
        return false;
    enum seal_verdict v = seal_open(&run->seal, now, f.sealed.session, f.sealed.epoch, f.sealed.counter,
                                    f.sealed.ciphertext.at, f.sealed.ciphertext.size, OLD_KEY_US, ret_plain);
    if (v != SEAL_OPENED) {
        run->wrong += v != SEAL_REPLAYED;
        return false;
    }
    *ret_size = f.sealed.ciphertext.size - SEAL_TAG_BYTES;
    run->opened = true;
    run->packets++;
    received_add(&run->received, now, f.sealed.counter, true, 0);
    return true;
}

size_t hostile_put_envelope(const struct hostile_run *run, const struct frame_envelope *tags, uint8_t *ret, size_t cap)
{
    struct frame f = {.kind = FRAME_ENVELOPE};
    if (tags)
        f.envelope = *tags;
    memcpy(f.envelope.nonce, run->own.nonce, sizeof f.envelope.nonce);
    return codec_encode_inner(&f, ret, cap);
}

void hostile_words(const struct hostile_run *run, const char *ret[static SEAL_WORDS])
{
    uint16_t words[SEAL_WORDS];
    seal_words(&run->seal, run->own.nonce, run->envelope.nonce, words);
    for (unsigned i = 0; i < SEAL_WORDS; i++)
        ret[i] = words_list[words[i]];
}

/* ---- the world ---- */

void hostile_spoof(struct world *w, int host, const struct addr *src, const struct addr *dst, const uint8_t *at,
                   size_t size)
{
    struct packet *p = world_packet_new(w);
    assert(size <= sizeof p->bytes);
    p->number = w->fates[FATE_SENT];
    p->origin = host;
    p->src = *src;
    p->dst = *dst;
    p->ttl = WORLD_TTL;
    p->size = (uint16_t)size;
    memcpy(p->bytes, at, size);
    world_packet_tell(w, FATE_SENT, p, host, -1);
    route_send(w, host, p);
}

static void victim_tap(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct hostile_victim *v = context;
    (void)actor;
    if (fate != FATE_SENT || node == v->but || !addr_ip_equal(&p->dst, &v->ip) ||
        (v->ip.port != 0 && v->ip.port != p->dst.port))
        return;
    v->packets++;
    v->bytes += p->size;
    if (p->size > v->largest)
        v->largest = p->size;
}

void hostile_watch(struct world *w, struct hostile_victim *v)
{
    world_add_tap(w, victim_tap, v);
}
