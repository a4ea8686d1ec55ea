#include "wire/seal.h"
#include "wire/limits.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(SEAL_KEY_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "a key of the cipher");
static_assert(SEAL_KEY_BYTES == crypto_kdf_KEYBYTES, "and of the derivation");
static_assert(SEAL_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES, "its tag");
static_assert(SEAL_SECRET_BYTES >= crypto_generichash_KEYBYTES_MIN, "a secret keys BLAKE2b");
static_assert(CPACE_ISK_BYTES <= crypto_generichash_KEYBYTES_MAX, "so does ISK");

enum { KDF_SIDE_KEY = 1, KDF_SESSION = 3, KDF_RELAY_TOKEN = 5, KDF_WORDS = 6, KDF_SAME = 7 }; /* ids below root */

static const uint8_t commit_text[] = {'c', 'o', 'm', 'm', 'i', 't'};
static const uint8_t proof_text[] = {'p', '2', 'p', '1', ' ', 'p', 'r', 'o', 'o', 'f'};
static const uint8_t root_text[] = {'p', '2', 'p', '1', ' ', 'r', 'o', 'o', 't'};

static uint64_t get_le64(const uint8_t *at)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void put_le(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

void seal_commit(uint8_t ret[static SEAL_COMMITMENT_BYTES], const uint8_t nonce[static SEAL_NONCE_BYTES])
{
    uint8_t text[sizeof commit_text + SEAL_NONCE_BYTES];
    memcpy(text, commit_text, sizeof commit_text);
    memcpy(text + sizeof commit_text, nonce, SEAL_NONCE_BYTES);
    crypto_generichash(ret, SEAL_COMMITMENT_BYTES, text, sizeof text, NULL, 0);
    sodium_memzero(text, sizeof text);
}

uint64_t seal_proof(const uint8_t secret[static SEAL_SECRET_BYTES])
{
    uint8_t hash[16];
    crypto_generichash(hash, sizeof hash, proof_text, sizeof proof_text, secret, SEAL_SECRET_BYTES);
    uint64_t proof = get_le64(hash);
    return proof != 0 ? proof : 1;
}

/* ---- keys ---- */

static void direction_init(struct seal_direction *d, const uint8_t root[static crypto_kdf_KEYBYTES], unsigned side)
{
    uint8_t session[16];
    *d = (struct seal_direction){0};
    crypto_kdf_derive_from_key(d->key, sizeof d->key, KDF_SIDE_KEY + side, "p2p1seal", root);
    crypto_kdf_derive_from_key(session, sizeof session, KDF_SESSION + side, "p2p1seal", root);
    d->session = get_le64(session);
}

void seal_init(struct seal *s, const struct cpace_result *run, vtime_us now)
{
    uint8_t root[crypto_kdf_KEYBYTES];
    crypto_generichash(root, sizeof root, root_text, sizeof root_text, run->isk, sizeof run->isk);
    *s = (struct seal){.side = run->own_is_larger ? 0 : 1, .epoch_since = now};
    direction_init(&s->send, root, s->side);
    direction_init(&s->recv, root, 1U - s->side);
    crypto_kdf_derive_from_key(s->relay_token, sizeof s->relay_token, KDF_RELAY_TOKEN, "p2p1seal", root);
    crypto_kdf_derive_from_key(s->words_key, sizeof s->words_key, KDF_WORDS, "p2p1seal", root);
    crypto_kdf_derive_from_key(s->same_key, sizeof s->same_key, KDF_SAME, "p2p1seal", root);
    sodium_memzero(root, sizeof root);
}

static void next_key(uint8_t ret[static SEAL_KEY_BYTES], const uint8_t key[static SEAL_KEY_BYTES])
{
    uint8_t next[SEAL_KEY_BYTES]; /* ret may be key */
    crypto_kdf_derive_from_key(next, sizeof next, 1, "p2p1step", key);
    memcpy(ret, next, sizeof next);
    sodium_memzero(next, sizeof next);
}

static void drop_old_key(struct seal *s, vtime_us now)
{
    if (s->recv_old_valid && now >= s->recv_old_until) {
        sodium_memzero(s->recv_old_key, sizeof s->recv_old_key);
        s->recv_old_valid = false;
    }
}

/* ---- packets ---- */

enum { NONCE_BYTES = 12, HEADER_BYTES = 20 };
static_assert(NONCE_BYTES == crypto_aead_chacha20poly1305_ietf_NPUBBYTES, "the cipher's nonce");

struct packet_head {
    uint8_t nonce[NONCE_BYTES];
    uint8_t header[HEADER_BYTES]; /* associated data */
};

static struct packet_head packet_head(uint64_t session, uint32_t epoch, uint64_t counter)
{
    struct packet_head h;
    put_le(h.header, session, 8);
    put_le(h.header + 8, epoch, 4);
    put_le(h.header + 12, counter, 8);
    memcpy(h.nonce, h.header + 8, NONCE_BYTES);
    return h;
}

/* An unconfirmed epoch stays: the receiver follows one step at a time, so a second step before the
 * first arrived would leave it behind for good. */
static bool step_is_due(const struct seal *s, vtime_us now)
{
    if (!s->epoch_confirmed || s->send.packets == 0 || s->send.epoch == UINT32_MAX)
        return false;
    return s->send.packets >= RATCHET_PACKETS || now - s->epoch_since >= RATCHET_US;
}

void seal_packet(struct seal *s, vtime_us now, const uint8_t *plain, size_t size, uint8_t *ret_ciphertext,
                 uint64_t *ret_counter, uint32_t *ret_epoch)
{
    assert(s->counter < UINT64_MAX); /* 584 years at a packet a nanosecond */
    drop_old_key(s, now);
    if (step_is_due(s, now)) {
        next_key(s->send.key, s->send.key);
        s->send.epoch++;
        s->send.packets = 0;
        s->epoch_confirmed = false;
    }
    if (s->send.packets == 0) /* ten minutes of use: they begin here */
        s->epoch_since = now;

    struct packet_head h = packet_head(s->send.session, s->send.epoch, s->counter);
    crypto_aead_chacha20poly1305_ietf_encrypt(ret_ciphertext, NULL, plain, size, h.header, sizeof h.header, NULL,
                                              h.nonce, s->send.key);
    *ret_counter = s->counter++;
    *ret_epoch = s->send.epoch;
    s->send.packets++;
}

void seal_acknowledged(struct seal *s, uint32_t epoch)
{
    if (epoch == s->send.epoch && s->send.packets > 0)
        s->epoch_confirmed = true;
}

static void commit_step(struct seal *s, const uint8_t next[static SEAL_KEY_BYTES], vtime_us now, vtime_us old_key_us)
{
    memcpy(s->recv_old_key, s->recv.key, SEAL_KEY_BYTES); /* an even older one goes */
    s->recv_old_valid = true;
    s->recv_old_until = old_key_us < VTIME_NEVER - now ? now + old_key_us : VTIME_NEVER;
    memcpy(s->recv.key, next, SEAL_KEY_BYTES);
    s->recv.epoch++;
    s->recv.packets = 0;
}

enum seal_verdict seal_open(struct seal *s, vtime_us now, uint64_t session, uint32_t epoch, uint64_t counter,
                            const uint8_t *ciphertext, size_t size, vtime_us old_key_us, uint8_t *ret_plain)
{
    uint8_t next[SEAL_KEY_BYTES] = {0};
    const uint8_t *key;

    drop_old_key(s, now);
    if (session != s->recv.session || size < SEAL_TAG_BYTES)
        return SEAL_FORGED;
    bool is_current = epoch == s->recv.epoch;
    bool is_next = epoch > s->recv.epoch && epoch - s->recv.epoch == 1;
    bool is_old = s->recv_old_valid && epoch < s->recv.epoch && s->recv.epoch - epoch == 1;
    if (!is_current && !is_next && !is_old)
        return SEAL_WRONG_EPOCH;
    if (!replay_is_new(&s->replay, counter))
        return SEAL_REPLAYED;

    if (is_next)
        next_key(next, s->recv.key);
    key = is_next ? next : is_old ? s->recv_old_key : s->recv.key;
    struct packet_head h = packet_head(session, epoch, counter);
    bool opened = crypto_aead_chacha20poly1305_ietf_decrypt(ret_plain, NULL, NULL, ciphertext, size, h.header,
                                                            sizeof h.header, h.nonce, key) == 0;
    if (opened) { /* authentic: only now may anything change */
        replay_mark(&s->replay, counter);
        if (is_next)
            commit_step(s, next, now, old_key_us);
        if (!is_old)
            s->recv.packets++;
    }
    sodium_memzero(next, sizeof next);
    return opened ? SEAL_OPENED : SEAL_FORGED;
}

/* ---- what else comes of a session ---- */

void seal_words(const struct seal *s, const uint8_t own_nonce[static SEAL_NONCE_BYTES],
                const uint8_t peer_nonce[static SEAL_NONCE_BYTES], uint16_t ret[static SEAL_WORDS])
{
    uint8_t nonces[2 * SEAL_NONCE_BYTES], hash[16];
    memcpy(nonces + (s->side == 0 ? 0 : SEAL_NONCE_BYTES), own_nonce, SEAL_NONCE_BYTES);
    memcpy(nonces + (s->side == 0 ? SEAL_NONCE_BYTES : 0), peer_nonce, SEAL_NONCE_BYTES);
    crypto_generichash(hash, sizeof hash, nonces, sizeof nonces, s->words_key, sizeof s->words_key);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++)
        bits = bits << 8 | hash[i];
    for (unsigned i = 0; i < SEAL_WORDS; i++)
        ret[i] = (uint16_t)(bits >> (64 - 11 * (i + 1)) & 0x7ff);
    sodium_memzero(hash, sizeof hash);
}

uint64_t seal_same_tag(const uint8_t same_key[static SEAL_KEY_BYTES], uint8_t side, bool running,
                       const uint8_t sid_output[static CPACE_SID_BYTES])
{
    uint8_t hash[32];
    crypto_generichash(hash, sizeof hash, sid_output, CPACE_SID_BYTES, same_key, SEAL_KEY_BYTES);
    return get_le64(hash + 8 * (side + 2 * running));
}

void seal_wipe(struct seal *s)
{
    sodium_memzero(s, sizeof *s);
}
