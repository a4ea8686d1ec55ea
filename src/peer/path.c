#include "peer/path.h"
#include "wire/limits.h"

void path_probe(struct path *p, vtime_us now)
{
    p->state = PATH_PROBING;
    p->challenge = 0;
    p->tries = 0;
    p->suspected = false;
    p->ask_at = now;
}

bool path_opens(const struct path *p, vtime_us now)
{
    return now < p->full_at;
}

uint64_t path_ask(struct path *p, struct rng *r, vtime_us now, vtime_us gap_us)
{
    if (path_opens(p, now))
        gap_us = p->full_at - now;
    else if (p->full_at != 0)
        p->challenge = p->full_at = 0; /* what went out so far is not answered */
    if (p->challenge == 0) {
        p->challenge = rng_token(r);
        p->first_asked_at = now;
        p->tries = 0;
    }
    if (p->tries < UINT8_MAX)
        p->tries++;
    p->asked_at = now;
    p->ask_at = now + gap_us;
    return p->challenge;
}

static void smooth_rtt(struct path *p, vtime_us sample)
{
    if (sample == 0)
        sample = 1;
    p->rtt_us = p->rtt_us == 0 ? sample : (7 * p->rtt_us + sample) / 8;
}

bool path_answered(struct path *p, struct rng *r, vtime_us now, uint64_t answer)
{
    if (p->challenge == 0 || answer != p->challenge)
        return false;
    if (p->tries == 1) /* else nobody knows which of the questions this answers */
        smooth_rtt(p, now - p->asked_at);
    p->state = PATH_WORKING;
    p->challenge = 0;
    p->tries = 0;
    p->suspected = false;
    p->answered_at = now;
    p->ask_at = now + KEEPALIVE_MIN_US + rng_below(r, (uint32_t)KEEPALIVE_JITTER_US);
    return true;
}

void path_works(struct path *p, vtime_us now)
{
    p->state = PATH_WORKING;
    p->answered_at = now;
    p->ask_at = now; /* for its round trip */
}

void path_suspect(struct path *p, vtime_us now)
{
    if (p->state != PATH_WORKING)
        return;
    p->suspected = true;
    if (p->challenge == 0)
        p->ask_at = now;
}

bool path_expire(struct path *p, vtime_us now, vtime_us pto_us, bool in_use)
{
    if (p->state == PATH_PROBING && p->tries >= PROBE_TRIES_MAX && now >= p->ask_at) {
        p->state = PATH_RESTING;
        p->challenge = 0;
        p->ask_at = VTIME_NEVER;
        return false;
    }
    if (p->state != PATH_WORKING)
        return false;
    bool unanswered = p->challenge != 0 && p->tries >= 3 && now >= p->first_asked_at + 3 * pto_us;
    bool expired = now >= p->answered_at + CONSENT_US;
    if (!expired && !(p->suspected && unanswered))
        return false;
    if (!in_use) {
        p->state = PATH_RESTING;
        p->challenge = 0;
        return false;
    }
    path_probe(p, now);
    return true;
}

static int rank(const struct path *p)
{
    if (p->remote.family == ADDR_NONE)
        return 0;
    return p->lan ? 2 : 1;
}

bool path_better(const struct path *a, const struct path *b)
{
    if (rank(a) != rank(b))
        return rank(a) > rank(b);
    if (a->rtt_us == 0 || b->rtt_us == 0)
        return false;
    return a->rtt_us + VTIME_MS(5) < b->rtt_us - b->rtt_us / 5; /* hysteresis: a fifth and 5 ms */
}

enum engine_path path_kind(const struct path *p)
{
    if (p->remote.family == ADDR_NONE)
        return PATH_RELAY;
    return p->lan ? PATH_LAN : PATH_DIRECT;
}
