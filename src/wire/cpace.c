#include "wire/cpace.h"
#include "wire/varint.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(CPACE_POINT_BYTES == crypto_core_ristretto255_BYTES, "a point");
static_assert(CPACE_SCALAR_BYTES == crypto_core_ristretto255_SCALARBYTES, "a scalar");
static_assert(CPACE_ISK_BYTES == crypto_hash_sha512_BYTES && CPACE_SID_BYTES == crypto_hash_sha512_BYTES, "SHA-512");

enum {
    HASH_BLOCK_BYTES = 128, /* s_in_bytes of SHA-512 */
    TRANSCRIPT_PART_MAX = 1 + CPACE_POINT_BYTES + 1 + CPACE_AD_MAX,
};
static_assert(CPACE_POINT_BYTES < 128 && CPACE_AD_MAX < 128, "one byte of length each");

static const uint8_t dsi[] = {'C', 'P', 'a', 'c', 'e', 'R', 'i', 's', 't', 'r', 'e', 't', 't', 'o', '2', '5', '5'};
static const uint8_t dsi_isk[] = {'C', 'P', 'a', 'c', 'e', 'R', 'i', 's', 't', 'r', 'e',
                                  't', 't', 'o', '2', '5', '5', '_', 'I', 'S', 'K'};
static const uint8_t dsi_sid[] = {'C', 'P', 'a', 'c', 'e', 'S', 'i', 'd', 'O', 'u', 't', 'p', 'u', 't'};

size_t cpace_lv_cat(uint8_t *ret, size_t cap, const struct cpace_part *parts, size_t count)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t prefix = varint_put(ret + used, cap - used, parts[i].size);
        if (prefix == 0 || parts[i].size > cap - used - prefix)
            return 0;
        used += prefix;
        if (parts[i].size > 0)
            memcpy(ret + used, parts[i].bytes, parts[i].size);
        used += parts[i].size;
    }
    return used;
}

static size_t prepended_size(size_t size)
{
    uint8_t prefix[VARINT_BYTES_MAX];
    return varint_put(prefix, sizeof prefix, size) + size;
}

size_t cpace_generator_string(uint8_t ret[static CPACE_GENERATOR_STRING_MAX], const struct cpace_part *prs,
                              const struct cpace_part *ci, const struct cpace_part *sid)
{
    static const uint8_t zeros[HASH_BLOCK_BYTES];
    /* The padding fills the first block of the hash together with its own length byte: that is the 1. */
    size_t before = 1 + prepended_size(sizeof dsi) + prepended_size(prs->size);
    size_t pad = before < HASH_BLOCK_BYTES ? HASH_BLOCK_BYTES - before : 0;
    const struct cpace_part parts[] = {{dsi, sizeof dsi}, *prs, {zeros, pad}, *ci, *sid};
    return cpace_lv_cat(ret, CPACE_GENERATOR_STRING_MAX, parts, sizeof parts / sizeof parts[0]);
}

bool cpace_generator(uint8_t ret_g[static CPACE_POINT_BYTES], const struct cpace_part *prs, const struct cpace_part *ci,
                     const struct cpace_part *sid)
{
    uint8_t string[CPACE_GENERATOR_STRING_MAX];
    uint8_t hash[crypto_hash_sha512_BYTES];
    size_t size = cpace_generator_string(string, prs, ci, sid);
    if (size > 0) {
        crypto_hash_sha512(hash, string, size);
        crypto_core_ristretto255_from_hash(ret_g, hash);
        sodium_memzero(hash, sizeof hash);
    }
    sodium_memzero(string, sizeof string);
    return size > 0;
}

bool cpace_point(uint8_t ret[static CPACE_POINT_BYTES], const uint8_t scalar[static CPACE_SCALAR_BYTES],
                 const uint8_t g[static CPACE_POINT_BYTES])
{
    /* Hazard: is_valid_point lets the identity pass. Only the result of scalarmult counts: -1 for what
     * does not decode and for the identity; the output buffer is then stale, hence the local. */
    uint8_t point[CPACE_POINT_BYTES];
    bool valid = crypto_scalarmult_ristretto255(point, scalar, g) == 0;
    if (valid)
        memcpy(ret, point, sizeof point);
    sodium_memzero(point, sizeof point);
    return valid;
}

void cpace_share(struct rng *r, const uint8_t g[static CPACE_POINT_BYTES],
                 uint8_t ret_scalar[static CPACE_SCALAR_BYTES], uint8_t ret_point[static CPACE_POINT_BYTES])
{
    uint8_t wide[crypto_core_ristretto255_NONREDUCEDSCALARBYTES];
    rng_bytes(r, wide, sizeof wide);
    crypto_core_ristretto255_scalar_reduce(ret_scalar, wide);
    sodium_memzero(wide, sizeof wide);
    bool valid = cpace_point(ret_point, ret_scalar, g);
    assert(valid); /* g is our own generator; a scalar of 0 comes once in 2^252 */
    (void)valid;
}

struct transcript_part {
    uint8_t bytes[TRANSCRIPT_PART_MAX];
    size_t size;
};

static struct transcript_part transcript_part(const uint8_t *point, const struct cpace_part *ad)
{
    const struct cpace_part parts[] = {{point, CPACE_POINT_BYTES}, *ad};
    struct transcript_part part;
    part.size = cpace_lv_cat(part.bytes, sizeof part.bytes, parts, 2);
    return part;
}

static bool is_reflection(const uint8_t *own_point, const struct cpace_part *own_ad, const uint8_t *peer_point,
                          const struct cpace_part *peer_ad)
{
    return memcmp(own_point, peer_point, CPACE_POINT_BYTES) == 0 ||
           (own_ad->size == peer_ad->size &&
            (own_ad->size == 0 || memcmp(own_ad->bytes, peer_ad->bytes, own_ad->size) == 0));
}

static void hash_prepended(crypto_hash_sha512_state *hash, const uint8_t *bytes, size_t size)
{
    uint8_t prefix[VARINT_BYTES_MAX];
    crypto_hash_sha512_update(hash, prefix, varint_put(prefix, sizeof prefix, size));
    crypto_hash_sha512_update(hash, bytes, size);
}

static void hash_transcript(crypto_hash_sha512_state *hash, const struct transcript_part *larger,
                            const struct transcript_part *smaller)
{
    static const uint8_t oc[] = {'o', 'c'};
    crypto_hash_sha512_update(hash, oc, sizeof oc);
    crypto_hash_sha512_update(hash, larger->bytes, larger->size);
    crypto_hash_sha512_update(hash, smaller->bytes, smaller->size);
}

bool cpace_finish(struct cpace_result *ret, const uint8_t scalar[static CPACE_SCALAR_BYTES],
                  const struct cpace_part *sid, const uint8_t own_point[static CPACE_POINT_BYTES],
                  const struct cpace_part *own_ad, const uint8_t peer_point[static CPACE_POINT_BYTES],
                  const struct cpace_part *peer_ad)
{
    uint8_t k[CPACE_POINT_BYTES];
    if (own_ad->size > CPACE_AD_MAX || peer_ad->size > CPACE_AD_MAX)
        return false;
    if (is_reflection(own_point, own_ad, peer_point, peer_ad))
        return false;
    if (!cpace_point(k, scalar, peer_point))
        return false;

    struct transcript_part own = transcript_part(own_point, own_ad);
    struct transcript_part peer = transcript_part(peer_point, peer_ad);
    /* The draft's order is unsigned, byte by byte. Both parts begin with a point of one size, and these
     * differ, so no later byte and no length comes into it. */
    ret->own_is_larger = memcmp(own_point, peer_point, CPACE_POINT_BYTES) > 0;
    const struct transcript_part *larger = ret->own_is_larger ? &own : &peer;
    const struct transcript_part *smaller = ret->own_is_larger ? &peer : &own;

    crypto_hash_sha512_state hash;
    crypto_hash_sha512_init(&hash); /* ISK = H(lv_cat(DSI_ISK, sid, K) || transcript) */
    hash_prepended(&hash, dsi_isk, sizeof dsi_isk);
    hash_prepended(&hash, sid->bytes, sid->size);
    hash_prepended(&hash, k, sizeof k);
    hash_transcript(&hash, larger, smaller);
    crypto_hash_sha512_final(&hash, ret->isk);

    crypto_hash_sha512_init(&hash);
    crypto_hash_sha512_update(&hash, dsi_sid, sizeof dsi_sid);
    hash_transcript(&hash, larger, smaller);
    crypto_hash_sha512_final(&hash, ret->sid_output);

    sodium_memzero(&hash, sizeof hash);
    sodium_memzero(k, sizeof k);
    return true;
}
