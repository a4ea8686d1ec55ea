/* swarm.h: one seed, one world in two phases (docs/simulator.md).
 *
 * Chaos, at most 60 s: 2 to 16 people in up to four rooms and keywords, behind NATs of every kind, alone, together or in
 * chains; what goes wrong, and how often, is the seed's choice, much of it not at all; sometimes a member or a server
 * that keeps to no rule, or somebody on the wire. judge.h and swarm_audit.c see to what must never happen.
 * Calm: all is well again, and within SWARM_CALM_US each pair of friends is connected in the best way that its NATs
 * allow, and all that is said arrives. */
#ifndef SIM_SWARM_H
#define SIM_SWARM_H
#include "scene.h"

#define SWARM_CHAOS_US VTIME_S(60)
/* PEER_TIMEOUT for ghosts, then an introduction at the next refresh, then punching once more after its longest pause. */
#define SWARM_CALM_US VTIME_S(240)

enum { SWARM_HOPES = HOPE_RELAY + 1 };

struct swarm_result {
    uint64_t hash, messages, datagrams;
    vtime_us virtual_us;
    /* Pairs of friends at the end of the calm, by what could be hoped for between their NATs, and how many of them were
     * connected directly. */
    uint32_t pairs[SWARM_HOPES], direct[SWARM_HOPES];
    uint32_t excused; /* pairs that were not, one of them having spent all its shares on strangers */
};

/* What goes wrong ends in scene_fail (fail: see struct scene). */
struct swarm_result swarm_run(uint64_t seed, void (*fail)(const char *why));
#endif
