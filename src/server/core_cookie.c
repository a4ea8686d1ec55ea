/* Time and a keyed hash over time and source: proves that its bearer receives at that source. The server
 * keeps nothing but two keys. */
#include "server/core_internal.h"
#include <sodium.h>
#include <string.h>

/* Lazily, since nobody needs a cookie while nothing arrives, but on schedule: a key's age must not depend on
 * when it is looked at. */
static void rotate(struct server *s, vtime_us now)
{
    const vtime_us periods = (now - s->cookie_rotated) / COOKIE_ROTATE_US;
    if (periods == 0)
        return;
    if (periods == 1)
        memcpy(s->cookie_key[1], s->cookie_key[0], sizeof s->cookie_key[1]);
    else
        rng_bytes(&s->rng, s->cookie_key[1], sizeof s->cookie_key[1]);
    rng_bytes(&s->rng, s->cookie_key[0], sizeof s->cookie_key[0]);
    s->cookie_rotated += periods * COOKIE_ROTATE_US;
}

static void compute(const uint8_t key[static 16], const uint8_t time[static 4], const struct addr *source,
                    uint8_t ret[static COOKIE_BYTES])
{
    static_assert(COOKIE_BYTES == 4 + crypto_shorthash_siphashx24_BYTES, "time and SipHash-2-4-128");
    uint8_t bytes[4 + 16 + 2 + 1];
    memcpy(bytes, time, 4);
    memcpy(bytes + 4, source->ip, 16);
    bytes[20] = (uint8_t)(source->port >> 8);
    bytes[21] = (uint8_t)source->port;
    bytes[22] = source->family;
    memcpy(ret, time, 4);
    crypto_shorthash_siphashx24(ret + 4, bytes, sizeof bytes, key);
}

void cookie_make(struct server *s, vtime_us now, const struct addr *source, uint8_t ret[static COOKIE_BYTES])
{
    rotate(s, now);
    uint32_t seconds = server_seconds(s, now);
    const uint8_t time[4] = {(uint8_t)seconds, (uint8_t)(seconds >> 8), (uint8_t)(seconds >> 16),
                             (uint8_t)(seconds >> 24)};
    compute(s->cookie_key[0], time, source, ret);
}

/* How long one is valid is a matter of the keys alone: 2 to 4 minutes. */
bool cookie_is_valid(struct server *s, vtime_us now, const struct addr *source, const uint8_t *cookie, size_t size)
{
    if (size != COOKIE_BYTES)
        return false;
    rotate(s, now);
    for (int i = 0; i < 2; i++) {
        uint8_t right[COOKIE_BYTES];
        compute(s->cookie_key[i], cookie, source, right);
        if (sodium_memcmp(right, cookie, COOKIE_BYTES) == 0)
            return true;
    }
    return false;
}
