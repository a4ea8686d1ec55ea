/* path.h: the ways to one peer: the relay, and every address where it might be reached. Pure.
 *
 * A path is asked by a challenge (Punch) and works once the answer came back over it. Timers, each path:
 *   - probing: asked at once, then with growing gaps PROBE_TRIES_MAX times, then it rests; path_restart asks anew
 *   - working, in use: asked again KEEPALIVE after the last answer; unanswered repeats every PTO (doubling); without an
 *     answer for CONSENT_US, or for 3 PTO if data went unanswered, it stops working and is probed anew
 *   - working, not in use: not asked; rests after CONSENT_US without an answer */
#ifndef PEER_PATH_H
#define PEER_PATH_H
#include "peer/engine.h"
#include "wire/addr.h"
#include "wire/rng.h"
#include "wire/vtime.h"
#include <stdbool.h>
#include <stdint.h>

enum { PATHS_MAX = 1 + 16, PATH_RELAYED = 0 /* index of the relay */, PROBE_TRIES_MAX = 8 };

enum path_state {
    PATH_UNUSED,
    PATH_RESTING, /* known, but neither works nor is being probed */
    PATH_PROBING,
    PATH_WORKING,
};

struct path {
    enum path_state state;
    bool listed; /* from the peer's Offer (else learnt from an authentic packet) */
    bool lan;    /* both ends are local addresses */
    uint16_t socket;
    struct addr remote; /* ADDR_NONE: the relay */
    uint64_t challenge; /* open question; 0: none */
    uint8_t tries;      /* how often it has been asked */
    vtime_us asked_at;  /* the last time */
    vtime_us first_asked_at;
    vtime_us ask_at;      /* next time; VTIME_NEVER */
    vtime_us full_at;     /* the other is not ready before: what goes there must die on the way; 0: it is */
    bool suspected;       /* data went unanswered since it last worked */
    uint64_t answer;      /* to be given; 0: none */
    vtime_us answered_at; /* when it last worked */
    vtime_us rtt_us;      /* smoothed, of answers; 0: not known */
    uint64_t newest;      /* highest packet number that came by it + 1 */
};

void path_probe(struct path *p, vtime_us now);
/* The question that is to be sent now. gap_us: when to repeat it. */
uint64_t path_ask(struct path *p, struct rng *r, vtime_us now, vtime_us gap_us);
/* Is what goes there now only to open our own NATs? */
bool path_opens(const struct path *p, vtime_us now);
/* True if that was the answer to the open question. */
bool path_answered(struct path *p, struct rng *r, vtime_us now, uint64_t answer);
/* It works, as an answer to a question that is none of its own has shown. */
void path_works(struct path *p, vtime_us now);
/* Data waits unanswered: ask now unless it is being asked. */
void path_suspect(struct path *p, vtime_us now);
/* Gives up what has been asked in vain. in_use: it carries the session. True if it worked and no longer does. */
bool path_expire(struct path *p, vtime_us now, vtime_us pto_us, bool in_use);

/* Is a to be preferred to b, which is in use? Both work. Never true both ways. */
bool path_better(const struct path *a, const struct path *b);
/* What users call it. */
enum engine_path path_kind(const struct path *p);
#endif
