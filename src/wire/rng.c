#include "wire/rng.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

/* Each refill makes a key stream of 32 + 512 bytes: the first 32 become the next key, so that the
 * state never tells what was given out before. The nonce is constant, since no key is used twice. */
static void refill(struct rng *r)
{
    static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
    uint8_t stream[sizeof r->key + RNG_BUFFER_BYTES];
    crypto_stream_chacha20_ietf(stream, sizeof stream, nonce, r->key);
    memcpy(r->key, stream, sizeof r->key);
    memcpy(r->buffer, stream + sizeof r->key, RNG_BUFFER_BYTES);
    r->used = 0;
    sodium_memzero(stream, sizeof stream);
}

static void drop_buffer(struct rng *r)
{
    sodium_memzero(r->buffer, sizeof r->buffer);
    r->used = RNG_BUFFER_BYTES;
}

void rng_init(struct rng *r, const uint8_t seed[static RNG_SEED_BYTES])
{
    memcpy(r->key, seed, sizeof r->key);
    drop_buffer(r);
}

void rng_reseed(struct rng *r, const uint8_t entropy[static RNG_SEED_BYTES])
{
    uint8_t key[sizeof r->key];
    crypto_generichash(key, sizeof key, entropy, RNG_SEED_BYTES, r->key, sizeof r->key);
    memcpy(r->key, key, sizeof key);
    sodium_memzero(key, sizeof key);
    drop_buffer(r);
}

void rng_bytes(struct rng *r, void *ret, size_t size)
{
    uint8_t *to = ret;
    while (size > 0) {
        if (r->used == RNG_BUFFER_BYTES)
            refill(r);
        size_t piece = RNG_BUFFER_BYTES - r->used;
        if (piece > size)
            piece = size;
        memcpy(to, r->buffer + r->used, piece);
        sodium_memzero(r->buffer + r->used, piece);
        r->used += piece;
        to += piece;
        size -= piece;
    }
}

/* Little-endian on every machine, so that a seed replays everywhere. */
uint64_t rng_u64(struct rng *r)
{
    uint8_t bytes[8];
    uint64_t value = 0;
    rng_bytes(r, bytes, sizeof bytes);
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint64_t rng_token(struct rng *r)
{
    uint64_t token;
    do {
        token = rng_u64(r);
    } while (token == 0);
    return token;
}

uint32_t rng_below(struct rng *r, uint32_t bound)
{
    assert(bound > 0);
    /* The 2^64 mod bound lowest values are drawn again: what is left divides evenly. */
    uint64_t uneven = (UINT64_MAX - bound + 1) % bound;
    uint64_t value;
    do {
        value = rng_u64(r);
    } while (value < uneven);
    return (uint32_t)(value % bound);
}
