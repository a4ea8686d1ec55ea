/* hostile_server.h: a server that lies. It takes the place of the scene's server, whose core goes on working behind it:
 * every frame passes a hook on its way in and on its way out, which may read, change, drop, keep or repeat it, and any
 * frame can be made up with the secrets that pass by. It can also take part in runs itself, with a guessed keyword. */
#ifndef SIM_HOSTILE_SERVER_H
#define SIM_HOSTILE_SERVER_H
#include "hostile_run.h"
#include "scene.h"

enum { HOSTILE_KNOWN_MAX = 32, HOSTILE_RUNS_MAX = 64, HOSTILE_POINTS_MAX = 64, HOSTILE_PAIRS_MAX = 64 };

struct hostile_known { /* what the server knows of one source */
    struct addr addr;
    uint64_t token;  /* of its newest Register */
    uint64_t handle, proof;
    uint8_t secret[SECRET_BYTES], cookie[COOKIE_BYTES_MAX], cookie_size;
    uint8_t form;
    uint8_t prefix_bits; /* the most it ever gave */
    uint8_t prefix_bits_least; /* after it had given that */
    uint8_t share_count;
    struct share_public shares[SHARES_MAX]; /* of its newest Register */
    uint8_t used[HOSTILE_POINTS_MAX][CPACE_POINT_BYTES]; /* of those, what we have handed out, newest last */
    unsigned used_count;
    uint64_t registers, links_listed;
};

struct hostile_server;
/* True: the frame goes no further. `f` is decoded from `at`; of a frame that goes out, what the hook changes in *f
 * is what is sent. */
typedef bool hostile_hook(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at);

struct hostile_pair { /* an introduction that the core knows nothing of */
    struct hostile_known *side[2];
    struct share_public share[2];
    uint64_t signals;
};

struct hostile_held { /* a datagram for later */
    vtime_us at;
    bool up; /* to the core, as from `addr`; else to `addr` */
    struct addr addr;
    uint16_t size;
    uint8_t bytes[DATAGRAM_BYTES_MAX];
};

struct hostile_server {
    struct scene *s;
    struct sim_server *real;
    int actor, socket;
    int alternate; /* the socket that only Probes come to */
    struct addr local;
    struct rng rng;
    struct codec codec;
    hostile_hook *up, *down;
    void (*on_probed)(struct hostile_server *h, const struct addr *to, struct frame *f); /* may change the answer */
    void *context;
    struct hostile_known known[HOSTILE_KNOWN_MAX];
    int known_count;
    unsigned known_next;
    struct hostile_pair pairs[HOSTILE_PAIRS_MAX];
    int pair_count;
    struct hostile_held *held;
    size_t held_count, held_cap;
    struct hostile_run *runs; /* its own, HOSTILE_RUNS_MAX, oldest gives way */
    unsigned run_next;
    uint64_t guesses, guesses_right, guesses_answered;
    uint64_t sent, received;
    void (*on_frame)(struct hostile_server *h, struct hostile_run *run, const struct frame *f);
    void (*on_wake)(struct hostile_server *h); /* at wake_at */
    vtime_us wake_at;
};

struct hostile_server *hostile_server_new(struct scene *s); /* v4 only; the judge no longer watches the server */
void hostile_server_free(struct hostile_server *h);
/* The source that a client's host has; NULL: it has not been here. Clients must have public addresses, one each. */
struct hostile_known *hostile_server_of(struct hostile_server *h, const struct sim_client *c);
void hostile_server_tell(struct hostile_server *h, const struct hostile_known *to, const struct frame *f);
void hostile_server_send(struct hostile_server *h, const struct addr *to, const uint8_t *at, size_t size);
void hostile_server_later(struct hostile_server *h, vtime_us us, bool up, const struct addr *addr, struct bytes at);
/* A share of the newest Register that has not been handed out by this; NULL: none. */
const struct share_public *hostile_server_take(struct hostile_known *who);
/* PeerInfo to `to`: it is introduced to whoever has `share` by a handle. */
void hostile_server_introduce(struct hostile_server *h, const struct hostile_known *to, const uint8_t own_point[32],
                              uint64_t handle, const struct share_public *share);
/* Introduces two to one another, whoever they are, and carries their Signals. The shares may be any. */
struct hostile_pair *hostile_server_pair(struct hostile_server *h, struct hostile_known *a, const struct share_public *share_a,
                                         struct hostile_known *b, const struct share_public *share_b);
/* Runs with a guessed keyword: one share of `to` for one guess. False: it has none left, as far as we know. */
bool hostile_server_guess(struct hostile_server *h, struct hostile_known *to, const struct hostile_key *guess);
/* Sends a packet of such a run, as if a peer had, by Signal. */
void hostile_server_say(struct hostile_server *h, const struct hostile_known *to, struct hostile_run *run,
                        const uint8_t *plain, size_t size);
#endif
