/* chaos.h: one seed, one story in two phases. Chaos: a few people behind any NATs talk while everything goes
 * wrong that can; the judge sees to what must never happen. Calm: everything is well again, and within
 * CHAOS_CALM_US every pair is connected, as directly as its NATs allow, and all that is said arrives. */
#ifndef SIM_CHAOS_H
#define SIM_CHAOS_H
#include "scene.h"

/* PEER_TIMEOUT for ghosts, then an introduction at the next refresh, then punching once more after its longest
 * pause. */
#define CHAOS_CALM_US VTIME_S(240)

/* Seeds from here on have hard NATs among their homes. */
#define CHAOS_HARD_FIRST 1000000

struct chaos_result {
    uint64_t hash, messages, datagrams;
    uint64_t guessable, guessed; /* pairs that need guessed ports; of these, direct in the end */
    vtime_us virtual_us;
};

/* What goes wrong ends in scene_fail (fail: see struct scene). */
struct chaos_result chaos_run(uint64_t seed, void (*fail)(const char *why));
#endif
